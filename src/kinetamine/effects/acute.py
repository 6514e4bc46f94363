"""Onset, peak, offset and duration of acute effects in a population."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.dosing import Regimen
from kinetamine.effects import crossing
from kinetamine.effects.choice import pk_models
from kinetamine.effects.selection import Job, effect_of, jobs, wanted
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.models import library
from kinetamine.models.compile import compile_model, linear_terms
from kinetamine.models.expressions import Expr, evaluate, names, parse
from kinetamine.models.spec import ModelSpec, Output
from kinetamine.population import Patient, Population
from kinetamine.results import references
from kinetamine.simulate.grade import grade
from kinetamine.simulate.grid import GridRun, Plan
from kinetamine.simulate.request import graded, planned, refuse_failures, source_keys

__all__ = ["AcuteEffect", "AcuteEffects", "effects"]

QUANTILES = {"q05": 0.05, "q50": 0.5, "q95": 0.95}
#: values of one curve in a piece of patients: few enough to stay near the caches
PIECE = 800_000
#: the first minutes after a dose are looked at closely
CLOSE_H, CLOSE_STEP_H, MOST_CLOSE = 10 / 60, 5 / 3600, 20
MOST_TIMES = 200_000
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
        ``fitted`` or ``extrapolated``.
    sources : tuple of str
    model, module : str
        Ids of the pk and the effect model.
    reasons : tuple of str
        Behind the grade, and what else to know.
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

    def to_dict(self) -> dict[str, Any]:
        """The nine fields that JSON has."""
        keys = ("effect", "threshold", "onset_min", "peak_min", "offset_min", "duration_min", "affected")
        return {**{k: getattr(self, k) for k in keys}, "grade": self.grade, "sources": list(self.sources)}


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

    def to_dicts(self) -> list[dict[str, Any]]:
        """Plain dicts, as in JSON."""
        return [row.to_dict() for row in self.rows]


def effects(
    doses: Any,
    *,
    model: Any = None,
    population: Patient | Population | None = None,
    effects: Any = None,
    threshold: float | Mapping[str, float] | None = None,
    until: float | str = 24.0,
    step: float | str = 1 / 60,
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
    (0.1, 14, 'fitted')
    """
    people = population if population is not None else Population(1000, seed=0, uncertainty=True)
    if not isinstance(people, Patient | Population):
        raise InputError("population", repr(people)[:60], "a Patient or a Population", "Population(1000)")
    regimen = Regimen.parse(doses, entries={r for e in library.available() for r in e.routes})
    modules = wanted(effects)
    limits = _thresholds(threshold, modules)
    models, ages, why = pk_models(model, regimen, people, every=all_models)
    drugs = {d.drug for d in regimen.doses if d.drug}
    if len(drugs) > 1:
        raise InputError("doses", " and ".join(sorted(drugs)), "one drug", "one request for each")
    drug = next(iter(drugs), None)
    times = _times(regimen, until, step)

    found: list[Job] = []
    refused: dict[str, NoData] = {}
    for candidates in [[m] for m in models] if all_models else [models]:
        more, lacking = jobs(modules, candidates, drug, ages, allow_site_mismatch)
        found += more
        refused = {**lacking, **refused}
    rows: list[tuple[int, AcuteEffect]] = []
    order = {spec.id: k for k, (spec, _) in enumerate(modules)}
    together = [j.effect for j in found]
    for pk in {j.pk.digest: j.pk for j in found}.values():
        mine = [j for j in found if j.pk is pk]
        answered, beyond = _run(pk, mine, regimen, people, times, limits, together, threads, notify)
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


def _times(regimen: Regimen, until: float | str, step: float | str) -> np.ndarray:
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
    pieces = [width * np.arange(math.floor(end / width * (1 + 1e-12)) + 1), [end]]
    for dose in doses:
        stops = [dose.time_h, dose.time_h + (dose.duration_h or 0.0)]
        pieces.append([t for t in (stops[0] - 1e-7, *stops) if 0 <= t <= end])
    close = np.arange(0.0, CLOSE_H + CLOSE_STEP_H / 2, CLOSE_STEP_H)
    for dose in doses[:MOST_CLOSE]:
        pieces.append([t for t in dose.time_h + close if t <= end])
    return np.unique(np.round(np.concatenate([np.asarray(p, float) for p in pieces]), 9))


# --- one pk model ------------------------------------------------------------------------------------


def _run(
    pk: ModelSpec,
    found: list[Job],
    regimen: Regimen,
    people: Any,
    times: np.ndarray,
    limits: Mapping[str, float],
    together: list[ModelSpec],
    threads: int | None,
    notify: Callable[[str], None] | None,
) -> tuple[list[AcuteEffect], dict[str, NoData]]:
    # all outputs, as in `simulate`: the same kernel, compiled once
    plan = planned(compile_model(pk), regimen, times, tuple(pk.outputs), people, [pk, *together])
    run = GridRun(plan, threads, notify)
    modules = [_Module(j, people, [pk, *together], limits) for j in found]
    highest = np.zeros((len(plan.outputs), people.n))

    def work(start: int, stop: int) -> None:
        chunk = run.prepare(start, stop)
        n = stop - start
        part = np.empty((run.solver.observed, n * len(times)))
        run.compute(chunk, part, 0)
        curves = part.reshape(-1, n, len(times))
        if plan.model.formulas or people.residual:
            curves = np.stack(list(run.outputs(chunk, curves).values()))
        refuse_failures(run)
        highest[:, start:stop] = curves.max(axis=2)
        for module in modules:
            module.look(curves, times, start, stop)

    size = 8 * max(1, PIECE // len(times) // 8)
    pieces = [(a, min(a + size, people.n)) for a in range(0, people.n, size)]
    for start, stop in pieces if run.threads == 1 else pieces[:1]:
        work(start, stop)
    if run.threads > 1:
        with ThreadPoolExecutor(run.threads) as pool:
            list(pool.map(lambda ab: work(*ab), pieces[1:]))
    rows: list[AcuteEffect] = []
    beyond: dict[str, NoData] = {}
    for module in modules:
        try:
            caveats, remarks = _studied(module.job, dict(zip(plan.outputs, highest, strict=True)))
        except NoData as error:
            beyond[module.spec.id] = error
            continue
        for effect, outputs in _alternatives(module.job).items():
            rows.append(_row(module, effect, outputs, limits, plan, run.people, caveats, remarks))
    return rows, beyond


def _alternatives(job: Job) -> dict[str, tuple[str, ...]]:
    """Effect → its outputs."""
    found: dict[str, tuple[str, ...]] = {}
    for output in job.outputs:
        effect = effect_of(job.effect, output)
        found[effect] = (*found.get(effect, ()), output)
    return found


@dataclass
class _Signal:
    """A weighted sum of concentrations, at once or through an effect site, and the outputs it alone moves."""

    weights: np.ndarray
    rate: np.ndarray
    outputs: list[str]
    limits: list[np.ndarray]


class _Module:
    """One effect model in all people of one run.

    `found` has for each output an array (patient, 4): onset, offset, time of the peak, and the signal there (of an
    output that follows several signals its own value, with the sign of its direction).
    """

    def __init__(self, job: Job, people: Any, together: list[ModelSpec], asked: Mapping[str, float]) -> None:
        self.job, self.spec, self.n = job, job.effect, people.n
        spec = self.spec
        env: dict[str, Any] = {**people.parameters(spec, 0, self.n)}
        env |= people.covariates(spec, 0, self.n, together)
        env |= people.etas(spec, 0, self.n)
        for name, text in spec.individual.items():
            env[name] = evaluate(parse(text), env)
        self.env = env
        places = {name: k for k, name in enumerate(job.pk.outputs)}
        #: drive → row of the pk model's outputs and their factor to mg/L; None: it counts as zero
        self.drives = {
            name: (places[r.output], 1 / job.pk.output_factor[r.output]) if r.output else None
            for name, r in zip(spec.drives, job.readings, strict=True)
        }
        self.found = {o: np.full((self.n, 4), np.nan) for o in job.outputs}
        self.thresholds: dict[str, float] = {}
        self.signals: dict[tuple[str, float], _Signal] = {}
        self.signs: dict[str, float] = {}
        for output in job.outputs:
            record = spec.outputs[output]
            assert record.threshold is not None
            self.thresholds[output] = asked.get(effect_of(spec, output), record.threshold.value)
            self.signs[output] = 1.0 if record.direction == "rises" else -1.0
            if effect_of(spec, output) in asked:
                self._refuse_pointless(output, record)
            self._assign(output)

    def _refuse_pointless(self, output: str, record: Output) -> None:
        """A threshold that is off the scale, or met without any drug."""
        threshold = self.thresholds[output]
        low, high = record.range or (-np.inf, np.inf)
        env = {**self.env, "time": 0.0, **dict.fromkeys(self.drives, 0.0)}
        for name, site in self.spec.effect_sites.items():
            env[name] = evaluate(parse(site.follows), env)
        without = float(np.median(evaluate(parse(record.value), env))) * self.spec.output_factor[output]
        if not low <= threshold <= high:
            raise InputError("threshold", f"{threshold:g}", f"a value on the scale of {low:g} to {high:g}")
        if self.signs[output] * (without - threshold) >= 0:
            side = "above" if record.direction == "rises" else "below"
            raise InputError("threshold", f"{threshold:g}", f"a value {side} that without drug, {without:g}")

    def _assign(self, output: str) -> None:
        """Find the one signal of an output and each patient's limit of it; else the output is computed."""
        formula = parse(self.spec.outputs[output].value)
        moving = names(formula) & {*self.spec.effect_sites, *self.drives, "time"}
        if len(moving) != 1 or "time" in moving:
            return
        (name,) = moving
        weights = self._weights(name)
        if weights is None:
            return
        for way in (1.0, -1.0):
            limit = self._limit(output, formula, name, way)
            if limit is not None:
                known = self.signals.setdefault((name, way), _Signal(way * weights, self._rate(name), [], []))
                known.outputs.append(output)
                known.limits.append(limit)
                return

    def _limit(self, output: str, formula: Expr, name: str, way: float) -> np.ndarray | None:
        sign, threshold = self.signs[output], self.thresholds[output]
        straight = linear_terms(formula, {name: 0})
        if straight is not None and sign * threshold > 0:
            slope = way * self.spec.output_factor[output] * self._column(evaluate(straight[0], self.env))
            if (sign * slope >= 0).all():
                with np.errstate(divide="ignore"):
                    return np.where(slope == 0, np.inf, threshold / np.where(slope == 0, 1.0, slope))
            return None
        return crossing.limit_of(lambda s: sign * (self.value(output, way * s) - threshold), self.n)

    def value(self, output: str, signal: np.ndarray) -> np.ndarray:
        """An output of one signal, array (patient, …) like the signal; the first patients if it has fewer."""
        formula = parse(self.spec.outputs[output].value)
        (name,) = names(formula) & {*self.spec.effect_sites, *self.drives}
        env = {k: v[: len(signal), None] if np.ndim(v) else v for k, v in self.env.items()}
        shown = self.spec.output_factor[output] * np.asarray(evaluate(formula, {**env, name: signal}))
        return np.broadcast_to(shown, signal.shape)

    def at_peak(self, output: str) -> np.ndarray:
        """Value of an output at its peak, array (patient,)."""
        peak = self.found[output][:, 3]
        for (_, way), signal in self.signals.items():
            if output in signal.outputs:
                return self.value(output, way * peak[:, None])[:, 0]
        return self.signs[output] * peak

    def _column(self, value: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), (self.n,))

    def _weights(self, name: str) -> np.ndarray | None:
        """Weights of the curves in a signal; None if it is no weighted sum of them."""
        site = self.spec.effect_sites.get(name)
        terms = linear_terms(parse(site.follows if site else name), {d: k for k, d in enumerate(self.drives)})
        if terms is None:
            return None
        out = np.zeros((len(self.job.pk.outputs), self.n))
        read = list(self.drives.values())
        for k, weight in terms.items():
            if (place := read[k]) is not None:
                out[place[0]] += place[1] * self._column(evaluate(weight, self.env))
        return out

    def _rate(self, name: str) -> np.ndarray:
        site = self.spec.effect_sites.get(name)
        rate = np.inf if site is None or site.rate is None else evaluate(parse(site.rate), self.env)
        return np.ascontiguousarray(self._column(rate))

    def look(self, curves: np.ndarray, times: np.ndarray, start: int, stop: int) -> None:
        """Find the crossings of some patients from the curves of the pk model (output, patient, time)."""
        done = set()
        for signal in self.signals.values():
            weights = np.ascontiguousarray(signal.weights[:, start:stop])
            limits = np.array([limit[start:stop] for limit in signal.limits])
            found = crossing.cross(curves, weights, signal.rate[start:stop], times, limits)
            for output, rows in zip(signal.outputs, found, strict=True):
                self.found[output][start:stop] = rows
                done.add(output)
        for output in self.found.keys() - done:
            shown = self._shown(output, curves, times, start, stop)
            n = stop - start
            limits = np.full((1, n), self.signs[output] * self.thresholds[output])
            sign, at_once = np.full((1, n), self.signs[output]), np.full(n, np.inf)
            self.found[output][start:stop] = crossing.cross(shown[None], sign, at_once, times, limits)[0]

    def _shown(self, output: str, curves: np.ndarray, times: np.ndarray, start: int, stop: int) -> np.ndarray:
        """An output at all times, array (patient, time): for what follows more than one signal."""
        env = {k: v[start:stop, None] if np.ndim(v) else v for k, v in self.env.items()}
        env["time"] = times
        for name, place in self.drives.items():
            env[name] = place[1] * curves[place[0]] if place is not None else 0.0
        for name, site in self.spec.effect_sites.items():
            follows = np.broadcast_to(evaluate(parse(site.follows), env), curves.shape[1:])
            env[name] = crossing.follow(
                follows[None], np.ones((1, stop - start)), self._rate(name)[start:stop], times
            )
        formula = parse(self.spec.outputs[output].value)
        shown = self.spec.output_factor[output] * np.asarray(evaluate(formula, env))
        return np.ascontiguousarray(np.broadcast_to(shown, curves.shape[1:]))


# --- the answer --------------------------------------------------------------------------------------


def _studied(job: Job, highest: Mapping[str, np.ndarray]) -> tuple[list[str], list[str]]:
    """What the concentrations say about the trust in an effect."""
    caveats, remarks = [], []
    for r in job.readings:
        if r.output is None or r.drive.studied is None:
            continue
        top = r.drive.studied[1]
        peaks = highest[r.output] * units.convert(1.0, job.pk.outputs[r.output].unit, r.drive.unit)
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
        elif (peaks > top).any():
            remarks.append(
                f"in {np.mean(peaks > top):.1%} of the people {r.drive.analyte} exceeds the {known} studied"
            )
    return caveats, remarks


def _row(
    module: _Module,
    effect: str,
    outputs: tuple[str, ...],
    limits: Mapping[str, float],
    plan: Plan,
    people: dict[str, np.ndarray],
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
    # the trust in a time of the effect does not hang on what comes after it
    last = offset[there] if there.any() else peak
    over = np.quantile(last, QUANTILES["q95"], method="higher")
    seen = replace(plan, times=plan.times[plan.times <= over])
    verdict, why = graded(seen, people)
    own, own_why = grade(spec, people, [], np.zeros(0), np.zeros(0))
    lowered = [*job.caveats, *caveats]
    if not there.any():
        remarks = [*remarks, f"not reached in anybody within {plan.times[-1]:g} h"]
    first = min(d.time_h for d in plan.doses)
    return AcuteEffect(
        effect=effect,
        threshold=_threshold(record, limits.get(effect)),
        onset_min=_bands(onset[there] - first),
        peak_min=_bands(peak[there] - first),
        offset_min=_bands(offset[there] - first),
        duration_min=_bands(offset[there] - onset[there]),
        affected=round(affected, 4),
        grade="extrapolated" if lowered or "extrapolated" in (verdict, own) else "fitted",
        sources=tuple(_cited((pk, spec))),
        model=pk.id,
        module=spec.id,
        reasons=tuple(dict.fromkeys([*lowered, *why, *own_why, *remarks, *_known(job)])),
    )


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


def _cited(specs: Iterable[ModelSpec]) -> list[str]:
    shared = library.sources()
    cited = []
    for spec in specs:
        for key in source_keys(spec):
            record = spec.sources.get(key) or shared.get(key)
            plain = record.model_dump(exclude_none=True) if record else {"citation": key}
            cited.append(references.text({"key": key, **plain}))
    return list(dict.fromkeys(cited))
