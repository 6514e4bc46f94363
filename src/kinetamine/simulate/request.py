"""What was asked: read, checked, run, and put together as a result."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import kinetamine
from kinetamine import units
from kinetamine.dosing import Dose, EventTable, Regimen
from kinetamine.errors import InputError, NoData, SimulationFailed, UnknownName
from kinetamine.models import library
from kinetamine.models.compile import Compiled, compile_model
from kinetamine.models.spec import ModelSpec
from kinetamine.population import Patient, Population
from kinetamine.results import Output, Result, TableResult
from kinetamine.results.output import describe_status
from kinetamine.simulate import parts
from kinetamine.simulate.events import EventRun
from kinetamine.simulate.grade import grade
from kinetamine.simulate.grid import GridRun, Plan

__all__ = ["default_times", "graded", "planned", "refuse_failures", "simulate", "source_keys"]

MOST_TIMES = 1_000_000

Model = str | Path | ModelSpec


def simulate(
    model: Model | Sequence[Model],
    doses: str | Dose | Sequence[str | Dose] | Regimen | EventTable,
    population: Patient | Population | None = None,
    *,
    times: Iterable[float] | None = None,
    until: float | str | None = None,
    step: float | str | None = None,
    outputs: Sequence[str] | None = None,
    on_failure: str = "raise",
    carry: str = "next",
    occasion_h: float = 24.0,
    threads: int | None = None,
    keep: str = "auto",
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    progress: Callable[[int, int], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> Any:
    """Simulate a regimen, or an event table, in a patient or a population.

    Parameters
    ----------
    model : str, Path, ModelSpec or a list of them
        Id of a shipped model or a model file. Several models run side by side on the same people; a racemic
        dose gives each model of an enantiomer its half.
    doses : str, list of str, Regimen or EventTable
        Such as ``"0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"``.
    population : Patient or Population, optional
        Default: the model's typical patient, no variability.
    times : iterable of float, h, optional
        When to look. Otherwise from 0 until `until` by `step` (numbers in h, or texts such as ``"28 d"``), or a
        grid that fits the regimen. A sample at the time of a dose comes after the dose.
    outputs : list of str, optional
        Default: all of the model.
    on_failure : {"raise", "keep"}
        ``keep`` returns the others; a failed patient has a status and NaN.
    carry : {"next", "last"}
        Event tables: covariates of a record hold since the record before (as in NONMEM), or until the next.
    occasion_h : float, h
        Between-occasion variability: an occasion lasts this long from its first dose; the next dose after that
        begins the next.
    threads : int, optional
        Default: one per processor. Results do not depend on it.
    keep : {"auto", "all", "bands"}
        ``bands`` keeps quantiles and exposure only, for any number of patients; ``auto`` does so when the
        curves would fill more than a quarter of the memory.
    quantiles : sequence of float
        Those kept with ``bands``.
    progress : callable(done, total), optional
    notify : callable(text), optional
        Told what takes long.

    Returns
    -------
    Result
        ``r["S-ketamine"]`` is an array (patient, time) in the output's unit.
        For an event table a TableResult, one value per observation record.

    Raises
    ------
    InputError
        If something asked for is unknown, malformed or beyond the evidence (`NoData`).
    SimulationFailed
        If a patient could not be computed.

    Examples
    --------
    >>> import kinetamine as kt
    >>> r = kt.simulate("otto_2021_s_ketamine", "10 mg iv over 30 min", kt.Patient(weight=95), times=[0, 0.5, 2])
    >>> r["S-ketamine"].round(1).tolist()
    [[0.0, 39.4, 12.8]]
    """
    _one_of("on_failure", on_failure, ("raise", "keep"))
    _one_of("carry", carry, ("next", "last"))
    _one_of("keep", keep, ("auto", "all", "bands"))
    many = isinstance(model, Sequence) and not isinstance(model, str)
    asked: Sequence[Model] = model if many else [model]  # type: ignore[assignment,list-item]
    if not asked:
        raise InputError("model", "none", "at least one model", "'otto_2021_s_ketamine'")
    specs = [library.load(m, runnable=True) for m in asked]
    for spec in specs:
        if spec.kind != "pk":
            cure = f"kinetamine.link(a pk model, {spec.id!r}), or kinetamine.effects"
            raise InputError("model", f"{spec.id!r}, an effect model", "a pk model", cure)
    if len({s.id for s in specs}) < len(specs):
        raise InputError("model", ", ".join(s.id for s in specs), "each model once", "without the repetition")
    models = [compile_model(s) for s in specs]
    threads = _threads(threads)
    if isinstance(doses, EventTable):
        if len(models) > 1:
            raise InputError("model", f"{len(models)} models", "one model for an event table", specs[0].id)
        return _table(models[0], doses, population, outputs, on_failure, carry, threads, progress, notify)
    people = population if population is not None else Patient()
    if not isinstance(people, Patient | Population):
        raise InputError(
            "population", repr(people)[:60], "a Patient or a Population", "Population(1000, seed=1)"
        )
    regimen = Regimen.parse(
        doses,  # type: ignore[arg-type]
        entries={r for s in specs for r in s.routes},
        fields={f for s in specs for f in s.dose_fields},
    )
    grid = _times(times, until, step, regimen)
    plans = [
        planned(m, regimen, grid, _outputs(m, outputs, len(models) > 1), people, specs, occasion_h)
        for m in models
    ]
    if outputs is not None:
        _all_known(outputs, models)
    plans = [p for p in plans if p.outputs]
    cells = people.n * len(grid) * sum(len(p.outputs) for p in plans)
    stream = keep == "bands" or (keep == "auto" and people.n > 1 and cells * 8 > _memory() / 4)
    q = _quantiles(quantiles) if stream else ()

    total = people.n * len(plans) * (2 if stream else 1)
    done = 0

    def advanced(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(done, total)

    found_outputs: dict[str, Output] = {}
    shown: dict[str, np.ndarray] = {}
    measures: dict[str, np.ndarray] = {}
    status = np.zeros(people.n, np.int64)
    for plan in plans:
        run = GridRun(plan, threads, notify)
        spec = plan.model.spec
        if stream:
            bands, exposure = run.streamed(q, advanced)
        else:
            curves = run.stored(advanced)
        refuse_failures(run, on_failure)
        status = np.where(status == 0, run.status, status)
        if not stream:
            shown = {**run.people, **shown}
        verdict, reasons = graded(plan, run.people)
        for name in plan.outputs:
            record = spec.outputs[name]
            key = name if sum(name in p.outputs for p in plans) == 1 else f"{spec.id}: {name}"
            lowered = spec.caveats.get(name, ())
            found_outputs[key] = Output(
                key, record.analyte or name, record.site, record.unit,
                "extrapolated" if lowered else verdict, (*lowered, *reasons),
                None if stream else curves[name],
                {x: bands[name][k] for k, x in enumerate(q)} if stream else {},
            )  # fmt: skip
            if stream:
                measures[key] = exposure[name]
    specs = [p.model.spec for p in plans]
    birth, citations = _birth(specs, people, regimen.describe().split("; "))
    return Result(
        grid,
        found_outputs,
        shown,
        status.astype(np.int8),
        birth,
        citations,
        isinstance(people, Patient),
        tuple(regimen.expanded()),
        tuple(dict.fromkeys(note for s in specs for note in s.notes)),
        measures,
    )


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(name, repr(value), " or ".join(map(repr, allowed)), repr(allowed[0]))


def _threads(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise InputError("threads", repr(threads), "a whole number of at least 1", "2")
    return threads


def _memory() -> float:
    """Bytes of memory of this machine, or of the control group it is held in."""
    try:
        total = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        total = 8e9
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text()
        total = min(total, float(limit))
    except (OSError, ValueError):
        pass
    return total


def _quantiles(q: Sequence[float]) -> tuple[float, ...]:
    out = tuple(float(x) for x in q)
    if not out or not all(0.0 <= x <= 1.0 for x in out):
        raise InputError("quantiles", str(list(out)), "numbers between 0 and 1", "(0.05, 0.5, 0.95)")
    return out


# ---- times


def default_times(regimen: Regimen, until: float | None = None, step: float | None = None) -> np.ndarray:
    """Times that show a regimen: an even grid, the starts of doses and the ends of infusions.

    Examples
    --------
    >>> default_times(Regimen.parse("35 mg iv over 40 min"))[:3].round(3).tolist()
    [0.0, 0.05, 0.1]
    """
    end = until if until is not None else _default_end(regimen)
    if step is not None:
        grid = step * np.arange(math.floor(end / step * (1 + 1e-12)) + 1)
        return grid if grid[-1] >= end * (1 - 1e-12) else np.append(grid, end)
    nice = (1 / 60, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 6.0, 12.0, 24.0, 168.0)
    width = next((w for w in nice if end / w <= 700), end / 700)
    grid = np.round(width * np.arange(math.floor(end / width * (1 + 1e-12)) + 1), 12)
    expanded = regimen.expanded() if sum(d.count for d in regimen.doses) <= 1000 else list(regimen.doses)
    turns = [t for d in expanded for t in (d.time_h, d.end_h) if t <= end]
    more = np.unique(np.append(np.round(turns, 12), end))
    near = np.minimum(
        np.abs(more - grid[np.minimum(np.searchsorted(grid, more), len(grid) - 1)]),
        np.abs(more - grid[np.maximum(np.searchsorted(grid, more) - 1, 0)]),
    )
    return np.sort(np.append(grid, more[near > 1e-9]))


def _default_end(regimen: Regimen) -> float:
    """A day after the last dose began, or after the end of an infusion of a day or more."""
    last = regimen.duration_h + 24.0
    return last if regimen.end_h < last else regimen.end_h + 24.0


def _duration(name: str, value: float | str, cure: str) -> float:
    hours = units.read(value, "h", name) if isinstance(value, str) else float(value)
    if not math.isfinite(hours) or hours <= 0:
        raise InputError(name, repr(value), "a positive time", cure)
    return hours


def _times(
    times: Iterable[float] | None,
    until: float | str | None,
    step: float | str | None,
    regimen: Regimen,
) -> np.ndarray:
    if times is None:
        end = _duration("until", until, "'28 d'") if until is not None else None
        width = _duration("step", step, "'1 h'") if step is not None else None
        if width is not None and (end if end is not None else _default_end(regimen)) / width > MOST_TIMES:
            raise InputError("step", repr(step), f"at most {MOST_TIMES:,} times", "a longer step")
        return default_times(regimen, end, width)
    if until is not None or step is not None:
        raise InputError("times", "times as well as until or step", "one or the other", "times alone")
    try:
        grid = np.array(list(times) if not isinstance(times, np.ndarray) else times, dtype=float)
    except (TypeError, ValueError):
        raise InputError("times", repr(times)[:60], "numbers, in h", "[0.5, 1, 2]") from None
    if grid.ndim != 1 or len(grid) == 0:
        raise InputError(
            "times", f"an array of shape {grid.shape}", "a row of at least one time", "[0.5, 1, 2]"
        )
    if len(grid) > MOST_TIMES:
        raise InputError("times", f"{len(grid):,} times", f"at most {MOST_TIMES:,}", "fewer")
    if not np.isfinite(grid).all() or (grid < 0).any() or (grid > 1e7).any():
        bad = grid[~(np.isfinite(grid) & (grid >= 0) & (grid <= 1e7))][0]
        raise InputError("times", f"{bad:g}", "finite times of at least 0 h", "[0.5, 1, 2]")
    if (np.diff(grid) < 0).any():
        raise InputError("times", "times that go back", "ascending times", "sorted(times)")
    return grid


# ---- doses and outputs of each model


def planned(
    model: Compiled,
    regimen: Regimen,
    times: np.ndarray,
    outputs: tuple[str, ...],
    people: Patient | Population,
    together: Sequence[ModelSpec],
    occasion_h: float = 24.0,
) -> Plan:
    """One model's share of a request.

    Raises
    ------
    NoData
        If it has no route of a dose, or if no dose is of its drug and it is the only model.
    """
    alone = sum(spec.kind == "pk" for spec in together) == 1
    doses = _doses_for(model, regimen, alone)
    varies = model.spec.occasion_etas and people.variability
    starts = _occasions(doses, occasion_h) if varies else np.zeros(0)
    return Plan(model, _unroll(model, doses, people), times, outputs, people, starts, together)


def _doses_for(model: Compiled, regimen: Regimen, alone: bool) -> list[Dose]:
    spec = model.spec
    found = []
    for dose in regimen.doses:
        share = parts.share_of_drug(spec, dose.drug)
        if share == 0.0:
            continue
        if dose.entry not in model.entries:
            raise NoData(
                f"model {spec.id}",
                f"a dose by the route {dose.entry!r}",
                "one of its routes: " + ", ".join(model.entries),
                _others_with(dose.entry, spec),
            )
        found.append(dose)
    if not found and alone:
        drugs = ", ".join(sorted({d.drug or spec.drug for d in regimen.doses}))
        raise NoData(f"model {spec.id}", f"doses of {drugs}", f"doses of {spec.drug}", "a model of that drug")
    return found


def _others_with(route: str, spec: ModelSpec) -> str:
    fits = [e.id for e in library.available() if e.status != "incomplete" and route in e.routes]
    same = [e for e in fits if e != spec.id]
    return "the model " + " or ".join(same[:3]) if same else "no published model here has that route"


def _unroll(model: Compiled, doses: list[Dose], people: Any) -> list[Dose]:
    """Repeats written out where they may differ: between occasions."""
    if model.spec.occasion_etas and people.variability:
        return sorted((one for d in doses for one in d.repeats()), key=lambda d: d.time_h)
    return doses


def _occasions(doses: list[Dose], occasion_h: float) -> np.ndarray:
    if not (isinstance(occasion_h, int | float) and math.isfinite(occasion_h) and occasion_h > 0):
        raise InputError("occasion_h", repr(occasion_h), "a positive number of hours", "24")
    starts: list[float] = []
    for time in sorted(one.time_h for d in doses for one in d.repeats()):
        if not starts or time >= starts[-1] + occasion_h - 1e-9:
            starts.append(time)
    return np.array(starts)


def _outputs(model: Compiled, asked: Sequence[str] | None, several: bool) -> tuple[str, ...]:
    names = tuple(model.spec.outputs)
    if asked is None:
        return names
    return tuple(n for n in names if n in asked)


def _all_known(asked: Sequence[str], models: Sequence[Compiled]) -> None:
    if isinstance(asked, str):
        raise InputError("outputs", repr(asked), "a list of outputs", f"[{asked!r}]")
    known = {n for m in models for n in m.spec.outputs}
    for name in asked:
        if name not in known:
            raise UnknownName("outputs", str(name), known, "an output of the model")
    if not asked:
        raise InputError("outputs", "an empty list", "at least one output", repr([sorted(known)[0]]))


# ---- what comes with the numbers


def graded(plan: Plan, people: dict[str, np.ndarray]) -> tuple[str, tuple[str, ...]]:
    """Grade of a model's outputs in a run, with the reasons."""
    starts = [np.array([d.time_h + k * d.every_h for k in range(d.count)]) for d in plan.doses]
    weight = float(np.median(people["weight"])) if "weight" in people else 70.0
    return grade(
        plan.model.spec,
        people,
        [d.entry for d in plan.doses],
        np.concatenate(starts) if starts else np.zeros(0),
        plan.times,
        [
            d.amount * parts.share_of_drug(plan.model.spec, d.drug) * (weight if d.per_kg else 1.0)
            for d in plan.doses
        ],
    )


def _birth(
    specs: Sequence[ModelSpec], people: Any, regimen: list[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    citations = {key: library.reference(key, spec) for spec in specs for key in source_keys(spec)}
    describe = getattr(people, "describe", None)
    birth = {
        "models": [{"id": s.id, "digest": s.digest, "source": s.source, "status": s.status} for s in specs],
        "kinetamine": kinetamine.__version__,
        "seed": people.seed if isinstance(people, Population) else None,
        "n": people.n,
        "regimen": regimen,
        "population": describe() if describe else repr(people),
        "sources": list(citations),
    }
    return birth, list(citations.values())


def source_keys(spec: ModelSpec) -> list[str]:
    """Keys of the sources behind a model's numbers, its own first."""
    keys = [spec.source]
    for group in (spec.parameters, spec.variability, spec.residual):
        keys += [r.source for r in group.values() if r.source]  # type: ignore[attr-defined]
    keys += [o.threshold.source for o in spec.outputs.values() if o.threshold and o.threshold.source]
    return list(dict.fromkeys((*keys, *spec.also_cited)))


def refuse_failures(run: Any, on_failure: str = "raise") -> None:
    """Name the first patient who could not be computed."""
    failed = np.flatnonzero(run.status)
    if len(failed) and on_failure == "raise":
        first = int(failed[0])
        when = run.failed_at[first]
        raise SimulationFailed(
            f"patient {first}{f' at {when:g} h' if np.isfinite(when) else ''}: "
            f"{describe_status(int(run.status[first]))} ({len(failed)} of {len(run.status)} patients failed); "
            'look at the patient\'s values, or keep the others with on_failure="keep"'
        )


# ---- event tables


def _table(
    model: Compiled,
    table: EventTable,
    population: Any,
    outputs: Sequence[str] | None,
    on_failure: str,
    carry: str,
    threads: int,
    progress: Callable[[int, int], None] | None,
    notify: Callable[[str], None] | None,
) -> TableResult:
    people = population if population is not None else Patient()
    n = table.n_subjects
    if isinstance(people, Population) and people.n != n:
        raise InputError(
            "population",
            f"{people.n} patients for a table of {n}",
            "as many as the table has",
            f"Population({n}, seed={people.seed})",
        )
    if outputs is not None:
        _all_known(outputs, [model])
    run = EventRun(model, table, _outputs(model, outputs, False), people, carry, threads, notify)
    done = 0

    def advanced(k: int) -> None:
        nonlocal done
        done += k
        if progress is not None:
            progress(done, n)

    values = run.run(advanced)
    refuse_failures(run, on_failure)
    spec = model.spec
    shown: dict[str, np.ndarray] = {
        key: run.covariates[key][run.bounds[:-1]]
        for key in ("age", "weight")
        if key in run.covariates and np.isfinite(run.covariates[key]).all()
    }
    verdict, reasons = grade(
        spec,
        shown,
        {name for target, plain, name in run.targets if name in model.entries},
        table.time_h[run.dosed],
        np.zeros(0),
        table.amount[run.dosed][table.amount[run.dosed] > 0],
    )
    birth, citations = _birth([spec], people, [f"{len(run.dosed)} dose records of {table.source}"])
    birth["n"] = n
    return TableResult(
        [table.id[k] for k in run.sampled],
        table.subject[run.sampled],
        table.time_h[run.sampled],
        {
            name: Output(
                name, spec.outputs[name].analyte or name, spec.outputs[name].site, spec.outputs[name].unit,
                verdict, reasons, values[name],
            )
            for name in values
        },
        run.status.astype(np.int8),
        birth,
        citations,
        (),
        spec.notes,
    )  # fmt: skip
