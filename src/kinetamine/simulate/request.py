"""What was asked: read, checked, run, and put together as a result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.cluster import Blocks
from kinetamine.dosing import Dose, EventTable, Regimen
from kinetamine.errors import InputError, NoData
from kinetamine.models import library
from kinetamine.models.compile import Compiled, compile_model
from kinetamine.models.spec import Limit, ModelSpec
from kinetamine.population import Patient, Population
from kinetamine.results import Output, Result, TableResult
from kinetamine.results.export import beside
from kinetamine.results.exposure import Measured
from kinetamine.results.grades import EXTRAPOLATED
from kinetamine.simulate.birth import certificate
from kinetamine.simulate.blocks import BlockRun
from kinetamine.simulate.events import EventRun
from kinetamine.simulate.exposure import OwnExposure
from kinetamine.simulate.grade import Given, grade, limits
from kinetamine.simulate.grid import GridRun
from kinetamine.simulate.runner import refuse_failures
from kinetamine.simulate.share import (
    Share,
    chosen_outputs,
    given_doses,
    graded,
    refuse_unknown_outputs,
    share_of,
)
from kinetamine.simulate.times import read_times

__all__ = ["simulate"]

NO_VARIABILITY = "no variability published: a band without width is not certainty"

Model = str | Path | ModelSpec
Told = Callable[[int, int], None] | None


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
    executor: Any = None,
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
    executor : Blocks, or anything with ``submit``, optional
        Who computes: a Dask client, a process pool, or `kinetamine.cluster.Blocks` with a size and a checkpoint. Keeps
        ``bands``, which have the same bits.

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
    models = _models(model)
    blocks = None if executor is None else _blocks(executor, keep, threads, doses, population)
    how = _How(on_failure, _threads(threads), progress, notify, blocks)
    if isinstance(doses, EventTable):
        if len(models) > 1:
            raise InputError(
                "model", f"{len(models)} models", "one model for an event table", models[0].spec.id
            )
        return _on_table(models[0], doses, population, outputs, carry, how)
    people = population if population is not None else Patient()
    if not isinstance(people, Patient | Population):
        raise InputError(
            "population", repr(people)[:60], "a Patient or a Population", "Population(1000, seed=1)"
        )
    specs = [m.spec for m in models]
    regimen = Regimen.parse(
        doses,  # type: ignore[arg-type]
        entries={r for s in specs for r in s.routes},
        fields={f for s in specs for f in s.dose_fields},
    )
    grid = read_times(times, until, step, regimen)
    shares = [
        share_of(m, regimen, grid, chosen_outputs(m, outputs), people, specs, occasion_h) for m in models
    ]
    if outputs is not None:
        refuse_unknown_outputs(outputs, models)
    shares = [s for s in shares if s.outputs]
    cells = people.n * len(grid) * sum(len(s.outputs) for s in shares)
    stream = (
        keep == "bands"
        or blocks is not None
        or (keep == "auto" and people.n > 1 and cells * 8 > _memory() / 4)
    )
    return _on_grid(shares, regimen, _quantiles(quantiles) if stream else None, how)


@dataclass(frozen=True)
class _How:
    """How to run, whatever is run."""

    on_failure: str
    threads: int
    progress: Told
    notify: Callable[[str], None] | None
    blocks: Blocks | None = None

    def counter(self, total: int) -> Callable[[int], None]:
        """Tells of progress towards `total`."""
        done = 0

        def advanced(n: int) -> None:
            nonlocal done
            done += n
            if self.progress is not None:
                self.progress(done, total)

        return advanced


def _models(model: Model | Sequence[Model]) -> list[Compiled]:
    """The models asked for, ready to run."""
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
    return [compile_model(s) for s in specs]


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(name, repr(value), " or ".join(map(repr, allowed)), repr(allowed[0]))


def _threads(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if isinstance(threads, bool) or not isinstance(threads, int) or not 1 <= threads <= 1024:
        raise InputError("threads", repr(threads), "a whole number of at least 1", "2")
    return threads


def _blocks(executor: Any, keep: str, threads: int | None, doses: Any, people: Any) -> Blocks:
    """Who computes, when it is not this process; what cannot be sent away is refused."""
    blocks = executor if isinstance(executor, Blocks) else Blocks(executor)
    if keep == "all":
        raise InputError("executor", "keep='all'", "bands, the only thing that blocks keep", "keep='bands'")
    if threads is not None:
        raise InputError("threads", repr(threads), "no threads beside an executor", "more workers")
    if isinstance(doses, EventTable):
        raise InputError("executor", "an event table", "doses and a population", "no executor")
    if not isinstance(people, Population):
        raise InputError("executor", "one patient", "a population", "Population(1_000_000, seed=1)")
    return blocks


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


# ---- on a grid


def _on_grid(shares: list[Share], regimen: Regimen, q: tuple[float, ...] | None, how: _How) -> Result:
    """Each model's share run and put together; `q` are the quantiles of a streamed run."""
    people = shares[0].population
    advanced = how.counter(people.n * len(shares) * (1 if q is None else 2))
    outputs: dict[str, Output] = {}
    shown: dict[str, np.ndarray] = {}
    own: dict[str, tuple[OwnExposure, str]] = {}
    left_out: dict[str, str] = {}
    status = np.zeros(people.n, np.int64)
    for share in shares:
        run = (
            BlockRun(share, how.blocks, how.notify) if how.blocks else GridRun(share, how.threads, how.notify)
        )
        curves: dict[str, np.ndarray] = {}
        if q is None:
            curves = run.stored(advanced)
            shown = {**run.people, **shown}
        else:
            bands = run.streamed(q, advanced)
        refuse_failures(run, how.on_failure)
        status = np.where(status == 0, run.status, status)
        verdict, reasons = graded(share, run.people)
        spec = share.model.spec
        limited = limits(spec, given_doses(share, run.people), share.times)
        if people.n > 1 and people.variability and not spec.variability:
            reasons = (*reasons, NO_VARIABILITY)
        measures = OwnExposure(share, how.threads, how.blocks)
        for name in share.outputs:
            key = name if sum(name in s.outputs for s in shares) == 1 else f"{spec.id}: {name}"
            limit = limited.get(name)
            if limit is not None and limit.becomes == "refused":
                left_out[key] = f"{spec.id}: {name} is left out: {limit.why}"
                continue
            kept = {x: bands[name][k] for k, x in enumerate(q)} if q is not None else {}
            outputs[key] = _output(spec, name, key, (verdict, reasons), limit, curves.get(name), kept)
            own[key] = measures, name
    if left_out and not outputs:
        told = "; ".join(left_out.values())
        raise NoData("outputs", " and ".join(left_out), told, "another output, or a longer infusion")
    specs = [s.model.spec for s in shares]
    birth, citations = certificate(specs, people, regimen.describe().split("; "))
    if regimen.said:
        birth["said"] = list(regimen.said)
    for line in regimen.said if how.notify else ():
        how.notify(line)  # type: ignore[misc]

    def measure(levels: Mapping[str, float], from_h: float, to_h: float) -> dict[str, Measured]:
        found: dict[str, Measured] = {}
        for one in dict.fromkeys(o for o, _ in own.values()):
            keys = {name: key for key, (o, name) in own.items() if o is one}
            asked = {name: levels[key] for name, key in keys.items()}
            last = float(shares[0].times[-1])
            found |= {keys[n]: m for n, m in one.measure(asked, from_h, to_h, last).items()}
        return found

    return Result(
        shares[0].times,
        outputs,
        shown,
        status.astype(np.int8),
        birth,
        citations,
        isinstance(people, Patient),
        tuple(regimen.expanded()),
        tuple(dict.fromkeys([*regimen.said, *left_out.values(), *(n for s in specs for n in s.notes)])),
        measure=measure,
    )


def _output(
    spec: ModelSpec,
    name: str,
    key: str,
    trust: tuple[str, tuple[str, ...]],
    limit: Limit | None,
    values: np.ndarray | None,
    quantiles: dict[float, np.ndarray],
) -> Output:
    record, lowered = spec.outputs[name], spec.caveats.get(name, ())
    if limit is not None:
        lowered = (limit.why, *lowered)
    verdict, reasons = trust
    return Output(
        key, record.analyte or name, record.site, record.unit,
        EXTRAPOLATED if lowered else verdict, (*lowered, *reasons), values, quantiles,
    )  # fmt: skip


# ---- on an event table


def _on_table(
    model: Compiled,
    table: EventTable,
    population: Any,
    outputs: Sequence[str] | None,
    carry: str,
    how: _How,
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
        refuse_unknown_outputs(outputs, [model])
    run = EventRun(model, table, chosen_outputs(model, outputs), people, carry, how.threads, how.notify)
    values = run.stored(how.counter(n))
    refuse_failures(run, how.on_failure)
    spec = model.spec
    verdict, reasons = _table_grade(run)
    birth, citations = certificate([spec], people, [f"{len(run.dosed)} dose records of {table.source}"])
    birth["n"] = n
    told = table.told(_taken(spec, people, table))
    birth["table"] = {**table.to_dict(), "told": told}
    for line in told if how.notify else ():
        how.notify(line)  # type: ignore[misc]
    carried = {name: [column[k] for k in run.sampled.tolist()] for name, column in table.carried.items()}
    return TableResult(
        [table.id[k] for k in run.sampled],
        table.subject[run.sampled],
        table.time_h[run.sampled],
        {name: _output(spec, name, name, (verdict, reasons), None, values[name], {}) for name in values},
        run.status.astype(np.int8),
        birth,
        citations,
        (),
        (*told, *spec.notes),
        carried | beside(["ID", "TIME", *values, *carried], run.also()),
    )


def _taken(spec: ModelSpec, people: Any, table: EventTable) -> dict[str, str]:
    """The covariates of which the table lacks values, and what stands for them."""
    known = people.covariates(spec, 0, people.n)
    taken = {}
    for name, covariate in spec.covariates.items():
        if name in table.columns and np.isfinite(table.columns[name]).all():
            continue
        values = known[name]
        unit = "" if covariate.unit == "1" else f" {covariate.unit}"
        span = f"{values.min():g}" if values.min() == values.max() else f"{values.min():g}-{values.max():g}"
        taken[name] = span + unit
    return taken


def _table_grade(run: EventRun) -> tuple[str, tuple[str, ...]]:
    table, entries = run.table, run.model.entries
    applies = run.model.spec.applies
    shown: dict[str, np.ndarray] = {}
    for key, studied in (("age", applies.age_years), ("weight", applies.weight_kg)):
        if key in run.covariates and np.isfinite(run.covariates[key]).all():
            # of each person the row that lies furthest out
            low = np.minimum.reduceat(run.covariates[key], run.bounds[:-1])
            high = np.maximum.reduceat(run.covariates[key], run.bounds[:-1])
            shown[key] = np.where(low < studied[0], low, high) if studied is not None else low
    amounts, rates = table.amount[run.dosed], table.rate[run.dosed]
    weight = float(np.median(shown["weight"])) if "weight" in shown else 70.0
    given = Given(
        sorted({name for _, _, name in run.targets if name in entries}),
        table.time_h[run.dosed],
        np.where(rates > 0, amounts / np.where(rates > 0, rates, 1.0), table.duration_h[run.dosed]),
        amounts[amounts > 0],
        amounts[amounts > 0] / weight,
    )
    return grade(run.model.spec, shown, given, np.zeros(0))
