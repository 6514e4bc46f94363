"""Onset, peak, offset and duration of acute effects in a population."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.choice import pk_models
from kinetamine.dosing import Regimen
from kinetamine.effects.crossing import Signals, cross, highest
from kinetamine.effects.module import Module
from kinetamine.effects.selection import Job, effect_of, jobs, wanted
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.models import library
from kinetamine.models.compile import compile_model
from kinetamine.models.keyed import Keyed
from kinetamine.models.spec import ModelSpec, Output
from kinetamine.population import Patient, Population
from kinetamine.results import references
from kinetamine.results.grades import EXTRAPOLATED, worst
from kinetamine.simulate.birth import source_keys
from kinetamine.simulate.grade import Given, grade, limits
from kinetamine.simulate.grid import GridRun
from kinetamine.simulate.runner import refuse_failures
from kinetamine.simulate.share import Share, given_doses, graded, share_of

__all__ = ["AcuteEffect", "AcuteEffects", "effects"]

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
#: values of one curve in a piece of patients: few enough to stay near the caches
PIECE = 800_000
#: the first minutes after a dose are looked at closely
CLOSE_H, CLOSE_STEP_H, MOST_CLOSE = 10 / 60, 5 / 3600, 20
FEWEST, MOST_TIMES = 60, 200_000
#: with few points: (step in s, number) of the first hour, and the steps of the rest in h; few different ones, as
#: each width of a step costs a matrix exponential per patient
STAGES = ((5, 12), (15, 8), (30, 4), (60, 5), (120, 25))
WIDTHS_H = tuple(m / 60 for m in (0.5, 1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60))
MINUTES = 60.0

Times = dict[str, float | None] | None


@dataclass(frozen=True)
class AcuteEffect:
    """One effect of one effect model; times in minutes after the first dose.

    Parameters
    ----------
    effect, threshold : str
    onset_min, peak_min, offset_min, duration_min : dict or None
        Quantiles ``q05``, ``q50``, ``q95`` among those affected; None where nobody is. A quantile is None where the
        effect is not over by the end of the time looked at.
    affected : float
        Share of the people in whom the threshold is crossed; of a probability, its mean highest value.
    grade : str
        A word of `kinetamine.results.grades.GRADES`.
    sources : tuple of str
    model, module : str
        Ids of the pk and the effect model.
    reasons : tuple of str
        Behind the grade, and what else to know.
    size : dict or None
        Quantiles among all people of the highest value, in `unit`; None of what is only there or not.
    unit : str
    varies : bool
        False where neither the pk nor the effect model has a published spread between people or error of a number:
        then 5 and 95 % are the median, which is not certainty.
    """

    effect: str
    threshold: str
    onset_min: Times
    peak_min: Times
    offset_min: Times
    duration_min: Times
    affected: float
    grade: str
    sources: tuple[str, ...]
    model: str = ""
    module: str = ""
    reasons: tuple[str, ...] = ()
    varies: bool = True
    size: Times = None
    unit: str = "1"

    @property
    def spread(self) -> str:
        """In words, whether 5 and 95 % say anything of people."""
        return "between people" if self.varies else "no variability published"

    def to_dict(self) -> dict[str, Any]:
        """What JSON has; without published variability `spread` says so and the ends are equal."""
        keys = ("effect", "threshold", "onset_min", "peak_min", "offset_min", "duration_min", "affected")
        plain = {k: getattr(self, k) for k in keys}
        size = None if self.size is None else {**self.size, "unit": self.unit}
        return {
            **plain, "size_at_peak": size, "grade": self.grade, "sources": list(self.sources), "spread": self.spread
        }  # fmt: skip


@dataclass(frozen=True)
class AcuteEffects(Sequence[AcuteEffect]):
    """All effects of a request, in the order of the effect models.

    Parameters
    ----------
    rows : tuple of AcuteEffect
    left_out : dict
        Ids of effect models that cannot answer → why.
    models : dict
        Ids of the pk models → why they were taken.
    """

    rows: tuple[AcuteEffect, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def to_dicts(self, models: bool = False) -> list[dict[str, Any]]:
        """Plain dicts, as in JSON; with the model of each where rows may differ in nothing else."""
        return [{**row.to_dict(), **({"model": row.model} if models else {})} for row in self.rows]


def effects(
    doses: Any,
    *,
    model: Any = None,
    population: Patient | Population | None = None,
    effects: Any = None,
    threshold: float | Mapping[str, float] | None = None,
    until: float | str = 24.0,
    step: float | str = 1 / 60,
    points: int | None = None,
    all_models: bool = False,
    allow_site_mismatch: bool = False,
    threads: int | None = None,
    notify: Callable[[str], None] | None = None,
) -> AcuteEffects:
    """When the effects of a dose begin, peak and end, and in how many people.

    Parameters
    ----------
    doses : str, list of str or Regimen
        Such as ``"2 mg/kg iv over 1 min"``.
    model : model, optional
        A pk model; a list of one of S- and one of R-ketamine for the racemate. Default: see docs/effects.md.
    population : Patient or Population, optional
        Default: 1000 adults with the variability and the uncertainty that were published.
    effects : str or list of str, optional
        Names of effects, ids or files of effect models. Default: all that can answer.
    threshold : float or dict of effect to float, optional
        Instead of the file's, in the output's unit.
    until, step : float or str
        End and step of the times looked at, numbers in h. The first ten minutes after a dose are looked at every
        five seconds.
    points : int, optional
        Instead of `step` at most about so many times: up to half of them in the first hour after the first starts and
        ends of doses, the others even. With 300 the medians of 8 h move by less than 2 % or 0.2 min, and it takes
        half the time.
    all_models : bool
        Each pk model of the library that fits, to see how much they differ.
    allow_site_mismatch : bool
        See `kinetamine.models.link.link`.
    threads : int, optional
        Default: one per processor. Results do not depend on it.
    notify : callable(text), optional
        Told what takes long.

    Returns
    -------
    AcuteEffects
        A sequence of `AcuteEffect`.

    Raises
    ------
    NoData
        If no model covers the route, drug, age or concentrations asked about; says what would be needed.

    Examples
    --------
    >>> import kinetamine as kt
    >>> row, = kt.effects("2 mg/kg iv over 1 min", effects="not awake", population=kt.Patient(weight=70))
    >>> round(row.onset_min["q50"], 1), round(row.offset_min["q50"]), row.grade
    (0.3, 14, 'range not stated')
    """
    people = population if population is not None else Population(1000, seed=0, uncertainty=True)
    if not isinstance(people, Patient | Population):
        raise InputError("population", repr(people)[:60], "a Patient or a Population", "Population(1000)")
    if isinstance(doses, Regimen):
        regimen = doses
    else:
        regimen = Regimen.parse(doses, entries={r for e in library.available() for r in e.routes})
    modules = wanted(effects)
    limits = _thresholds(threshold, modules)
    models, ages, why = pk_models(model, regimen, people, every=all_models)
    drugs = {d.drug for d in regimen.doses if d.drug}
    if len(drugs) > 1:
        raise InputError("doses", " and ".join(sorted(drugs)), "one drug", "one request for each")
    drug = next(iter(drugs), None)
    times = _times(regimen, until, step, points)

    routes = {d.entry for d in regimen.doses}
    found: list[Job] = []
    refused: dict[str, NoData] = {}
    for candidates in [[m] for m in models] if all_models else [models]:
        more, lacking = jobs(modules, candidates, drug, ages, allow_site_mismatch, routes)
        found += more
        refused = {**lacking, **refused}
    rows: list[tuple[int, AcuteEffect]] = []
    order = {spec.id: k for k, (spec, _) in enumerate(modules)}
    together = [j.effect for j in found]
    runs = []
    for pk in {j.pk.digest: j.pk for j in found}.values():
        mine = [j for j in found if j.pk.digest == pk.digest]
        # all outputs, as in `simulate`: the same kernel, compiled once
        share = share_of(compile_model(pk), regimen, times, tuple(pk.outputs), people, [pk, *together])
        runs.append(_Run(GridRun(share, threads, notify), mine, limits))
    _compute(runs)
    for run in runs:
        answered, beyond = run.rows()
        rows += [(order[row.module], row) for row in answered]
        refused |= beyond
    if not rows:
        raise _refusal(list(refused.values()), effects is not None)
    rows.sort(key=lambda r: r[0])
    answered_by = {row.module for _, row in rows}
    told = {name: str(error) for name, error in refused.items() if name not in answered_by}
    return AcuteEffects(tuple(row for _, row in rows), told, {row.model: why for _, row in rows})


def _refusal(errors: list[NoData], named: bool) -> NoData:
    """One error for all effect models that could have answered."""
    if len(errors) == 1:
        return errors[0]
    faults = [e.faults[0] for e in errors]
    if not named:
        return NoData("effects", "no effect model that can answer", str(faults[0]), "an effect by its name")
    told = "; ".join(f"{f.where.removeprefix('effect ')}: {f.expected}, got {f.given}" for f in faults)
    return NoData("effects", "no effect model that can answer", told, "another pk model, age, route or dose")


def _thresholds(given: Any, modules: Iterable[tuple[ModelSpec, tuple[str, ...]]]) -> dict[str, float]:
    known = list(dict.fromkeys(effect_of(spec, o) for spec, outputs in modules for o in outputs))
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(known) > 1:
            raise InputError(
                "threshold", repr(given), "one effect, or each effect's own threshold", f"{{{known[0]!r}: 1}}"
            )
        given = {known[0]: given}
    for name, value in given.items():
        if name not in known:
            raise UnknownName("threshold", str(name), known, "an effect that was asked for")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError("threshold", repr(value), "a number in the effect's unit", "1")
    return {name: float(value) for name, value in given.items()}


def _times(regimen: Regimen, until: float | str, step: float | str, points: int | None) -> np.ndarray:
    end, width = (
        units.read(v, "h", name) if isinstance(v, str) else float(v)
        for name, v in (("until", until), ("step", step))
    )
    if not (math.isfinite(end) and end > 0 and math.isfinite(width) and 0 < width <= end):
        raise InputError(
            "until", f"{until!r} with step {step!r}", "a positive time and a step in it", "'24 h'"
        )
    if end / width > MOST_TIMES:
        raise InputError("step", repr(step), f"at most {MOST_TIMES:,} times", "a longer step")
    doses = [d for d in regimen.expanded() if d.time_h < end]
    if not doses:
        first = min(d.time_h for d in regimen.doses)
        raise InputError(
            "until", repr(until), f"a time after the first dose, at {first:g} h", f"{first + 24:g}"
        )
    stops = [(d.time_h, d.end_h) for d in doses]
    near = [start for start, _ in stops[:MOST_CLOSE]]
    close = np.arange(0.0, CLOSE_H + CLOSE_STEP_H / 2, CLOSE_STEP_H)
    if points is not None:
        if isinstance(points, bool) or not isinstance(points, int) or not FEWEST <= points <= MOST_TIMES:
            told = f"a whole number from {FEWEST} to {MOST_TIMES:,}"
            raise InputError("points", repr(points), told, "300")
        close = np.cumsum(np.repeat(*np.transpose(STAGES))) / 3600
        near = sorted({t for pair in stops for t in pair})[: max(1, points // 2 // len(close))]
        rest = max(points - len(near) * len(close), points // 3)
        width = next((w for w in WIDTHS_H if end / w <= rest), end / rest)
    pieces = [width * np.arange(math.floor(end / width * (1 + 1e-12)) + 1), [end]]
    pieces += [[t for t in (start - 1e-7, start, stop) if 0 <= t <= end] for start, stop in stops]
    pieces += [[t for t in turn + close if t <= end] for turn in near]
    times = np.concatenate([np.asarray(p, float) for p in pieces])
    if points is None:
        return np.unique(np.round(times, 9))
    return np.unique(np.round(times * 3600, 4)) / 3600  # equal steps stay equal


# --- one pk model ------------------------------------------------------------------------------------


class _Run:
    """All effect models that read one pk model, in all people."""

    def __init__(self, run: GridRun, found: list[Job], limits: Mapping[str, float]) -> None:
        self.run, self.share, self.limits = run, run.share, limits
        people, self.times = self.share.population, self.share.times
        self.modules = [Module(j, people, list(self.share.together), limits) for j in found]
        signals = [signal for module in self.modules for signal in module.solved.signals]
        self.signals = Signals(signals) if signals else None
        self.crossed = np.full((self.signals.count if self.signals else 0, people.n, 4), np.nan)
        self.peaks = np.zeros((len(self.share.outputs), people.n))

    def compute(self, threads: int) -> None:
        """Simulate and look for crossings, in pieces of a multiple of eight patients."""
        n, size = self.run.n, 8 * max(1, PIECE // len(self.times) // 8)
        pieces = [(a, min(a + size, n)) for a in range(0, n, size)]
        self._work(pieces[0], 1 if len(pieces) > 1 else threads)  # alone, as it settles the plan of all
        _each(lambda piece: self._work(piece, 1), pieces[1:], threads)

    def _work(self, piece: tuple[int, int], threads: int) -> None:
        (start, stop), run = piece, self.run
        n = stop - start
        people = run.prepare(start, stop)
        part = np.empty((run.solver.observed, n * len(self.times)))
        run.compute(people, part, 0)
        curves = part.reshape(-1, n, len(self.times))
        if self.share.model.formulas or self.share.population.residual:
            curves = np.stack(list(run.found(people, part).values()))
        refuse_failures(run)
        self.peaks[:, start:stop] = highest(curves)
        if self.signals is not None:
            share = 8 * math.ceil(n / threads / 8)
            parts = [(a, min(a + share, n)) for a in range(0, n, share)]
            _each(lambda part: self._cross(curves, start, part), parts, threads)
        for module in self.modules:
            module.look(curves, self.times, start, stop)

    def _cross(self, curves: np.ndarray, start: int, part: tuple[int, int]) -> None:
        assert self.signals is not None
        found = cross(curves, self.signals, self.times, start, part)
        self.crossed[:, start + part[0] : start + part[1]] = found

    def rows(self) -> tuple[list[AcuteEffect], dict[str, NoData]]:
        """The answers, and why effect models cannot answer."""
        found = iter(self.crossed)
        for module in self.modules:
            module.found |= {output: next(found) for output in module.solved.outputs}
        rows: list[AcuteEffect] = []
        beyond: dict[str, NoData] = {}
        trust = _Trust(self.share, self.run.people)
        for module in self.modules:
            try:
                caveats, remarks = _studied(
                    module.job, dict(zip(self.share.outputs, self.peaks, strict=True))
                )
                caveats += self._limited(module.job)
            except NoData as error:
                beyond[module.spec.id] = error
                continue
            for effect, outputs in _alternatives(module.job).items():
                rows.append(_row(module, effect, outputs, self.limits, trust, caveats, remarks))
        return rows, beyond

    def _limited(self, job: Job) -> list[str]:
        """What the pk model's own limits say of the concentrations that an effect reads."""
        read = {r.output for r in job.readings}
        found = limits(self.share.model.spec, given_doses(self.share, self.run.people), self.share.times)
        for name, limit in found.items():
            if name in read and limit.becomes == "refused":
                raise NoData(
                    f"effect {job.effect.id}", f"{name} of {job.pk.id}", limit.why, "another pk model"
                )
        return [limit.why for name, limit in found.items() if name in read]


def _each(work: Callable[[Any], None], parts: Sequence[Any], threads: int) -> None:
    if threads == 1 or len(parts) < 2:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, parts))


def _compute(runs: list[_Run]) -> None:
    """Small runs side by side, the patients of a large one."""
    threads = runs[0].run.threads if runs else 1
    if threads > 1 and len(runs) > 1 and runs[0].run.n * len(runs[0].times) <= PIECE:
        _each(lambda run: run.compute(1), runs, threads)
        return
    for run in runs:
        run.compute(threads)


def _alternatives(job: Job) -> dict[str, tuple[str, ...]]:
    """Effect → its outputs."""
    found: dict[str, tuple[str, ...]] = {}
    for output in job.outputs:
        effect = effect_of(job.effect, output)
        found[effect] = (*found.get(effect, ()), output)
    return found


# --- the answer --------------------------------------------------------------------------------------


def _studied(job: Job, highest: Mapping[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """What the concentrations say about the trust in an effect."""
    caveats, remarks = [], []
    for r in job.readings:
        if r.output is None or r.drive.studied is None:
            continue
        top = r.drive.studied[1]
        peaks = highest[r.output] * units.convert(1.0, job.pk.outputs[r.output].unit, r.drive.unit)
        if not (peaks > top).any():
            continue
        typical = float(np.median(peaks))
        told = f"{r.drive.analyte} peaks at {typical:.3g} {r.drive.unit} (median)"
        known = f"{r.drive.studied[1]:g} {r.drive.unit}"
        if typical > top and r.drive.beyond == "refused":
            raise NoData(
                f"effect {job.effect.id}", told, f"at most {known}: beyond it nothing was seen and nothing bounds it",
                "a smaller or slower dose, or a study at these concentrations",
            )  # fmt: skip
        if typical > top:
            caveats.append(f"{told}, above the {known} studied")
        else:
            remarks.append(
                f"in {np.mean(peaks > top):.1%} of the people {r.drive.analyte} exceeds the {known} studied"
            )
    return caveats, remarks


class _Trust:
    """How far a run can be trusted until some time: an effect's trust does not hang on what comes after it."""

    def __init__(self, share: Share, people: dict[str, np.ndarray]) -> None:
        self.share, self.people = share, people
        self.first_h = min(d.time_h for d in share.doses)
        self._known: dict[int, tuple[str, tuple[str, ...]]] = {}

    def until(self, end_h: float) -> tuple[str, tuple[str, ...]]:
        studied = self.share.model.spec.applies.duration_h
        count = int(np.searchsorted(self.share.times, end_h, side="right"))
        if studied is None or end_h <= self.first_h + studied:
            count = 1  # nothing is late: the same as for the first time
        if count not in self._known:
            self._known[count] = graded(replace(self.share, times=self.share.times[:count]), self.people)
        return self._known[count]


def _row(
    module: Module,
    effect: str,
    outputs: tuple[str, ...],
    limits: Mapping[str, float],
    trust: _Trust,
    caveats: list[str],
    remarks: list[str],
) -> AcuteEffect:
    job, spec, pk = module.job, module.spec, module.job.pk
    record = spec.outputs[outputs[0]]
    assert record.threshold is not None
    onset, offset, peak = (np.concatenate([module.found[o][:, k] for o in outputs]) for k in range(3))
    there = ~np.isnan(onset)
    affected = float(there.mean())
    if record.scale == "probability":
        affected = float(np.mean([module.at_peak(o).mean() for o in outputs]))
    last = np.sort(offset[there] if there.any() else peak)
    verdict, why = trust.until(float(last[math.ceil(QUANTILES["q95"] * (len(last) - 1))]))
    own, own_why = grade(spec, trust.people, Given(), np.zeros(0))
    lowered = [*job.caveats, *caveats]
    if not there.any():
        remarks = [*remarks, f"not reached in anybody within {trust.share.times[-1]:g} h"]
    return AcuteEffect(
        effect=effect,
        threshold=_threshold(record, limits.get(effect)),
        onset_min=_bands(onset[there] - trust.first_h),
        peak_min=_bands(peak[there] - trust.first_h),
        offset_min=_bands(offset[there] - trust.first_h),
        duration_min=_bands(offset[there] - onset[there]),
        affected=round(affected, 4),
        grade=worst([verdict, own, *([EXTRAPOLATED] if lowered else [])]),
        sources=_cited(Keyed((pk.digest, spec.digest), (pk, spec))),
        model=pk.id,
        module=spec.id,
        reasons=tuple(dict.fromkeys([*lowered, *why, *own_why, *remarks, *_known(job)])),
        size=_size(module, outputs, record),
        unit=record.unit,
        varies=trust.share.population.n == 1 or _varies(spec, pk),
    )


def _size(module: Module, outputs: tuple[str, ...], record: Output) -> Times:
    """Highest values, of an effect that has a size."""
    if record.scale not in ("continuous", "score"):
        return None
    found = np.concatenate([module.at_peak(o) for o in outputs])
    quantiles = np.quantile(found[np.isfinite(found)], list(QUANTILES.values()))
    return {key: float(f"{value:.4g}") for key, value in zip(QUANTILES, quantiles, strict=True)}


def _varies(*specs: ModelSpec) -> bool:
    """Whether anything between people, or the error of any number, was published."""
    return any(s.variability or any(p.se or p.rse_percent for p in s.parameters.values()) for s in specs)


def _threshold(record: Output, asked: float | None) -> str:
    assert record.threshold is not None
    unit = {"1": "", "percent": " %"}.get(record.unit, f" {record.unit}")
    if asked is not None:
        return f"{asked:g}{unit} (asked for)"
    if record.scale == "relative":
        return record.threshold.meaning
    return f"{record.threshold.value:g}{unit}: {record.threshold.meaning}"


def _known(job: Job) -> list[str]:
    """What a reader should know of the numbers behind an effect."""
    spec, out = job.effect, [r.remark for r in job.readings if r.remark]
    recalled = [n for n, p in spec.parameters.items() if p.seen == "recalled"]
    if recalled:
        out.append(f"recalled or machine-extracted, not read in the paper: {', '.join(recalled)}")
    if not spec.variability and not any(p.se or p.rse_percent for p in spec.parameters.values()):
        out.append("no spread of this effect was published")
    if not job.pk.variability:
        out.append(f"no variability of {job.pk.id} was published")
    return out


def _bands(hours: np.ndarray) -> Times:
    if not len(hours):
        return None
    ordered = np.sort(hours * MINUTES)
    out: dict[str, float | None] = {}
    for key, q in QUANTILES.items():
        at = q * (len(ordered) - 1)
        low, high = ordered[math.floor(at)], ordered[math.ceil(at)]
        value = low if low == high else low + (at - math.floor(at)) * (high - low)
        out[key] = round(float(value), 3) if math.isfinite(value) else None
    return out


@functools.lru_cache(maxsize=256)
def _cited(models: Keyed) -> tuple[str, ...]:
    cited = (
        references.text(library.reference(key, spec)) for spec in models.asked for key in source_keys(spec)
    )
    return tuple(dict.fromkeys(cited))
