"""Every published exposure value and curve against every model whose range holds it.

`run` simulates, compares and gives a `Report`; `page` writes it down. Nothing is fitted: the models
are taken as they are, and a poor agreement is a result like any other.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.evidence.pk import observations
from kinetamine.evidence.pk.matching import Match, Origin, Site, matches, unusual_doses, why_none
from kinetamine.evidence.pk.observations import Arm, Observations, Point, Value
from kinetamine.evidence.pk.predict import Curves, NotDerivable, Predictor, Simulate, curve_measure
from kinetamine.evidence.tables import Screen
from kinetamine.records import read_toml

if TYPE_CHECKING:
    from kinetamine.models.spec import ModelSpec

__all__ = [
    "REPRODUCED",
    "Check",
    "Comparison",
    "Curve",
    "Report",
    "Statistics",
    "checked",
    "fingerprint",
    "remarks",
    "run",
    "statistics",
]

#: called with steps done, steps in all
Progress = Callable[[int, int], None]

#: size and seed of the population behind each predicted band
PATIENTS = 1000
SEED = 20
#: a measure to infinity leaves the model's range when more of the area than this lies beyond its duration
LATE_SHARE = 0.2
#: a printed number counts as reproduced within this fold
REPRODUCED = 1.1
#: a prediction of zero counts as this fold error
FLOOR = 1e-6

_TO_INFINITY = ("AUC_inf", "CL", "Vss", "Vz", "F", "AUC_ratio")
_NEEDS_TAIL = ("t_half", "Vss", "Vz")
#: what the models, all linear but one, give whatever the dose
_ANY_DOSE = ("CL", "Vss", "Vz", "F", "t_half", "AUC_ratio", "Tmax")


@dataclass(frozen=True)
class Comparison:
    """One published number (or range) and what one model, or an S- and an R-model together, says.

    `observed`, `predicted`, `low`, `high` and `band` are in the unit of `observations.METRICS` (per kg of
    weight where `per` says so). `low` and `high` are the published interval, or the ends of a published
    range; then `observed` is None. `band` is the 5-95 % range of simulated patients. `fold` is predicted /
    observed; for a range it is 1 inside and the distance to the nearer end outside. Tmax has a
    `difference_h` instead.
    """

    row: str
    arm: str
    study: str
    drug: str
    route: str
    analyte: str
    metric: str
    per: str | None
    model: str
    site: Site
    origin: Origin
    outside: tuple[str, ...]
    strong: bool
    predicted: float
    observed: float | None
    low: float | None = None
    high: float | None = None
    inside: bool | None = None
    band: tuple[float, float] | None = None
    inside_band: bool | None = None
    fold: float | None = None
    difference_h: float | None = None

    @property
    def counts(self) -> bool:
        """Whether it enters the statistics: one observed number, read in a text, all within range."""
        return self.strong and self.observed is not None and self.fold is not None and not self.outside


@dataclass(frozen=True)
class Curve:
    """A published mean curve against one model."""

    curve: str
    arm: str
    study: str
    drug: str
    route: str
    analyte: str
    model: str
    site: Site
    origin: Origin
    outside: tuple[str, ...]
    time_h: tuple[float, ...]
    observed: tuple[float, ...]
    predicted: tuple[float, ...]

    @property
    def errors(self) -> np.ndarray:
        """Prediction errors, (predicted - observed) / observed."""
        return np.asarray(self.predicted) / np.asarray(self.observed) - 1

    @property
    def bias(self) -> float:
        """Median prediction error."""
        return float(np.median(self.errors))

    @property
    def mdape(self) -> float:
        """Median absolute prediction error."""
        return float(np.median(np.abs(self.errors)))


@dataclass(frozen=True)
class Check:
    """A number that a source prints about its own model, and what the model file gives."""

    model: str
    status: str
    output: str
    metric: str
    doses: tuple[str, ...]
    covariates: Mapping[str, float]
    to_h: float | None
    unit: str
    place: str
    published: float
    predicted: float
    off: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the file gives the printed number within `REPRODUCED`-fold."""
        return 1 / REPRODUCED <= self.ratio <= REPRODUCED

    @property
    def ratio(self) -> float:
        """Predicted over published."""
        return self.predicted / self.published


@dataclass(frozen=True)
class Statistics:
    """Agreement of a group of comparisons.

    `afe` is the geometric mean of the fold errors (direction), `aafe` that of their sizes (precision).
    """

    n: int
    median: float
    afe: float
    aafe: float
    within_1_25: float
    within_2: float


@dataclass(frozen=True)
class Report:
    """The outcome of `run`."""

    comparisons: tuple[Comparison, ...]
    curves: tuple[Curve, ...]
    checks: tuple[Check, ...]
    unpredicted: tuple[tuple[str, str], ...]
    unusable: tuple[tuple[str, str], ...]
    observations: Observations
    models: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""

    def summary(self) -> list[tuple[str, Statistics]]:
        """Agreement by model and sampling site, over what counts and was not fitted; for the screen."""
        groups = grouped(
            [c for c in self.comparisons if c.counts and c.origin == "other"],
            lambda c: f"{c.model}, site {'differs' if c.site == 'mismatch' else c.site}",
        )
        return [(name, statistics(members)) for name, members in groups.items()]

    def screen(self) -> Screen:
        """Agreement by model and sampling site."""
        rows = [
            (
                name,
                str(s.n),
                f"{s.median:.2f}",
                f"{s.aafe:.2f}",
                *(f"{100 * share:.0f} %" for share in (s.within_1_25, s.within_2)),
            )
            for name, s in self.summary()
        ]
        return Screen(
            ("prediction / observation", "n", "median", "AAFE", "within 1.25", "within 2"),
            tuple(rows),
            (
                f"{len(self.comparisons)} values and {len(self.curves)} curves compared, "
                f"{len(self.unpredicted)} rows nothing here can predict, {len(self.unusable)} unusable.",
                "AAFE: absolute average fold error. Models are taken as published; nothing was fitted.",
            ),
        )

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every comparison in the shape of `kinetamine.evidence.stored.COLUMNS`."""
        yield from map(self._value_row, self.comparisons)
        yield from map(self._curve_row, self.curves)
        yield from map(_check_row, self.checks)

    def _value_row(self, c: Comparison) -> dict[str, Any]:
        value = self.observations.value(c.row.split(" / ")[0])
        band = c.band or (None, None)
        return {
            "id": c.row, "model": c.model, "study": c.study, "arm": c.arm, "metric": c.metric,
            "analyte": c.analyte, "site": self.observations.arms[c.arm].sampling,
            "unit": observations.METRICS[value.metric] + (f"/{c.per}" if c.per else ""),
            "observed": c.observed, "low": c.low, "high": c.high,
            "predicted": c.predicted, "predicted_low": band[0], "predicted_high": band[1],
            "fold": c.fold, "difference": c.difference_h, "holds": c.inside,
            "use": _USES[c.origin], "source": value.source,
            "remark": _remark(c, () if c.strong else ("recalled or not observed itself",)),
        }  # fmt: skip

    def _curve_row(self, c: Curve) -> dict[str, Any]:
        points = self.observations.curves()[c.curve]
        return {
            "id": c.curve, "model": c.model, "study": c.study, "arm": c.arm,
            "metric": f"curve of {len(c.time_h)} points", "analyte": c.analyte,
            "site": self.observations.arms[c.arm].sampling,
            "unit": "ng/mL", "fold": 1 + c.bias, "use": _USES[c.origin], "source": points[0].source,
            "remark": _remark(c, (f"fold: median of the points; median size of the error {c.mdape:.0%}",)),
        }  # fmt: skip


#: what the people of a number are to the model
_USES = {
    "other": "predicted",
    "own": "made from these people",
    "unknown": "perhaps made from these people",
}


def _check_row(c: Check) -> dict[str, Any]:
    from kinetamine.models import library

    covariates = ", ".join(f"{k} {v:g}" for k, v in c.covariates.items())
    return {
        "id": c.place, "model": c.model, "arm": "; ".join(c.doses) + (f", {covariates}" if covariates else ""),
        "metric": c.metric + (f" to {c.to_h:g} h" if c.to_h else ""), "analyte": c.output, "unit": c.unit,
        "observed": c.published, "predicted": c.predicted, "fold": c.ratio, "use": "check of the file",
        "source": library.load(c.model).source,
        "remark": "a number that the source prints about its own model",
    }  # fmt: skip


def _remark(c: Comparison | Curve, more: Iterable[str]) -> str:
    site = ("sampled at another site than the model's",) if c.site == "mismatch" else ()
    return "; ".join((*site, *c.outside, *more))


def statistics(comparisons: Iterable[Comparison]) -> Statistics:
    """Agreement over the fold errors of these comparisons.

    Examples
    --------
    >>> statistics([])
    Statistics(n=0, median=nan, afe=nan, aafe=nan, within_1_25=nan, within_2=nan)
    """
    return fold_statistics([c.fold for c in comparisons if c.fold is not None])


def fold_statistics(folds: Sequence[float]) -> Statistics:
    """Agreement over fold errors.

    Examples
    --------
    >>> found = fold_statistics([0.5, 2.0])
    >>> found.afe, found.aafe, found.within_1_25
    (1.0, 2.0, 0.0)
    """
    if not folds:
        return Statistics(0, *(math.nan,) * 5)
    logs = np.log(np.maximum(folds, FLOOR))
    sizes = np.abs(logs) - 1e-12  # a fold of exactly 2 is within 2
    return Statistics(
        n=len(folds),
        median=float(np.median(folds)),
        afe=float(np.exp(logs.mean())),
        aafe=float(np.exp(np.abs(logs).mean())),
        within_1_25=float(np.mean(sizes <= math.log(1.25))),
        within_2=float(np.mean(sizes <= math.log(2.0))),
    )


def grouped(things: Iterable[Any], key: Callable[[Any], str]) -> dict[str, list[Any]]:
    """Things by key, keys in alphabetical order."""
    found: dict[str, list[Any]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return dict(sorted(found.items()))


def run(
    progress: Progress | None = None,
    *,
    folder: str | Path | None = None,
    models: Sequence[str] | None = None,
    simulate: Simulate | None = None,
) -> Report:
    """Simulate every usable observation with every model whose range holds it.

    Parameters
    ----------
    progress : callable, optional
        Called with steps done and steps in all.
    folder : path, optional
        Observations of your own instead of those that come with kinetamine.
    models : sequence of str, optional
        Ids or paths; default all models that run.
    simulate : callable, optional
        Stands in for `kinetamine.simulate`.

    Returns
    -------
    Report
        The same every time: seeds are fixed.
    """
    if simulate is None:
        from kinetamine.simulate import simulate  # type: ignore[no-redef]
    assert simulate is not None
    found = observations.load(folder)
    specs = _specs(models)
    predictor = Predictor(simulate, PATIENTS, SEED)
    values = [group for group in _together(found.values) if group[0].unusable is None]
    curves = {
        name: usable
        for name, points in found.curves().items()
        if (usable := [p for p in points if p.unusable is None])
    }
    work = len(values) + len(curves) + sum(len(spec.checks) for spec in specs.values())
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, work)

    comparisons: list[Comparison] = []
    compared: list[Curve] = []
    unpredicted: list[tuple[str, str]] = []
    for group in values:
        made, why = _compare(group, found.arms[group[0].arm], specs, predictor)
        comparisons += made
        if not made:
            unpredicted += [(value.id, why) for value in group]
        step()
    for name, points in curves.items():
        made_curves, why = _compare_curve(name, points, found.arms[points[0].arm], specs, predictor)
        compared += made_curves
        if not made_curves:
            unpredicted.append((f"{name} ({len(points)} points)", why))
        step()
    checks = []
    for spec in specs.values():
        for check in spec.checks:
            checks.append(_check(spec, check, predictor))
            step()
    unusable = [(v.id, v.unusable) for v in found.values if v.unusable]
    unusable += [
        (f"{p.curve} at {p.time_h} h" if p.time_h is not None else p.curve, p.unusable)
        for p in found.points
        if p.unusable
    ]
    return Report(
        tuple(comparisons),
        tuple(compared),
        tuple(checks),
        tuple(unpredicted),
        tuple(unusable),
        found,
        {spec.id: spec.digest for spec in specs.values()},
        _fingerprint(found, specs),
    )


def fingerprint(folder: str | Path | None = None, models: Sequence[str] | None = None) -> str:
    """What the numbers of a report depend on, in 16 digits: observations and models, without their remarks.

    A page that carries another one was written before the data or the models changed.

    Examples
    --------
    >>> len(fingerprint())
    16
    """
    return _fingerprint(observations.load(folder), _specs(models))


def _fingerprint(found: Observations, specs: Mapping[str, ModelSpec]) -> str:
    content = {
        "arms": {name: arm.model_dump(mode="json") for name, arm in found.arms.items()},
        "values": [value.model_dump(mode="json") for value in found.values],
        "points": [point.model_dump(mode="json") for point in found.points],
        "models": [
            spec.model_dump(mode="json", exclude={"title", "notes", "sources"}) for spec in specs.values()
        ],
        "population": [PATIENTS, SEED],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _specs(models: Sequence[str] | None) -> dict[str, ModelSpec]:
    from kinetamine.models import library

    names: Sequence[Any] = (
        models if models is not None else [e.id for e in library.available() if e.status != "incomplete"]
    )
    specs = [library.load(name) for name in names]
    return {spec.id: spec for spec in specs if spec.kind == "pk" and spec.status != "incomplete"}


def _together(values: Iterable[Value]) -> list[list[Value]]:
    """Values one by one, the two ends of a range together."""
    found: dict[Any, list[Value]] = {}
    for value in values:
        key = (value.arm, value.analyte, value.metric, value.time_h) if value.bound else value.id
        found.setdefault(key, []).append(value)
    return list(found.values())


def _compare(
    group: Sequence[Value], arm: Arm, specs: Mapping[str, ModelSpec], predictor: Predictor
) -> tuple[list[Comparison], str]:
    value = group[0]
    analytes = [value.analyte] + ([value.reference] if value.reference else [])
    made, reasons = [], []
    for match in matches(value.arm, arm, analytes, specs):
        try:
            made.append(_comparison(group, arm, match, predictor))
        except NotDerivable as error:
            reasons.append(f"{match.label}: {error}")
    return made, "; ".join(reasons) or why_none(arm, analytes, specs)


def _comparison(group: Sequence[Value], arm: Arm, match: Match, predictor: Predictor) -> Comparison:
    value = group[0]
    predicted = float(_predict(match, arm, value, predictor)[0])
    low, high = _limits(group)
    observed = value.amount if value.bound is None else None
    nearest = observed
    if nearest is None:
        nearest = min(max(predicted, -math.inf if low is None else low), math.inf if high is None else high)
    band = None
    if value.interval is not None and observed is not None and any(spec.variability for spec in match.models):
        crowd = _predict(match, arm, value, predictor, crowd=True)
        band = (float(np.quantile(crowd, 0.05)), float(np.quantile(crowd, 0.95)))
    outside = [*match.outside, *_too_late(match, arm, value, predictor)]
    if value.metric not in _ANY_DOSE:
        outside += unusual_doses(match, arm)
    return Comparison(
        row=" / ".join(v.id for v in group),
        arm=value.arm,
        study=arm.study,
        drug=arm.drug,
        route=arm.route,
        analyte=value.analyte if value.reference is None else f"{value.analyte} / {value.reference}",
        metric=_metric_words(value),
        per=value.per,
        model=match.label,
        site=match.site,
        origin=_origin(match, value),
        outside=tuple(outside),
        strong=value.data_kind == "observed" and value.seen in ("text", "abstract"),
        predicted=predicted,
        observed=observed,
        low=low,
        high=high,
        inside=None if low is None and high is None else _between(predicted, low, high),
        band=band,
        inside_band=None if band is None or observed is None else _between(observed, *band),
        fold=None if value.metric == "Tmax" else predicted / nearest,
        difference_h=predicted - nearest if value.metric == "Tmax" else None,
    )


def _predict(
    match: Match, arm: Arm, value: Value, predictor: Predictor, *, crowd: bool = False
) -> np.ndarray:
    return predictor.measure(
        match,
        arm,
        value.metric,
        value.analyte,
        reference=value.reference,
        time_h=value.time_h,
        from_h=value.from_h,
        to_h=value.to_h,
        per=value.per,
        crowd=crowd,
    )


def _limits(group: Sequence[Value]) -> tuple[float | None, float | None]:
    if group[0].bound is None:
        return group[0].interval or (None, None)
    ends = {value.bound: value.amount for value in group}
    return ends.get("lower"), ends.get("upper")


def _between(x: float, low: float | None, high: float | None) -> bool:
    return (low is None or x >= low) and (high is None or x <= high)


def _metric_words(value: Value) -> str:
    if value.metric == "AUC_last":
        return f"AUC 0-{value.to_h:g} h"
    if value.metric == "C_at":
        assert value.time_h is not None
        return f"C at {value.time_h * 60:.3g} min"
    return {"AUC_inf": "AUC", "t_half": "half-life", "AUC_ratio": "AUC ratio"}.get(value.metric, value.metric)


def _origin(match: Match, fact: Value | Point) -> Origin:
    """A model that cites the very paper of the number was made from its people."""
    if any(spec.source == fact.source for spec in match.models):
        return "own"
    return match.origin


def _too_late(match: Match, arm: Arm, value: Value, predictor: Predictor) -> Iterable[str]:
    """Whether the measure needs a part of the curve that the model was not built on."""
    trusted = [spec.applies.duration_h for spec in match.models if spec.applies.duration_h is not None]
    if not trusted:
        return
    until = min(trusted)
    asked = value.to_h if value.metric in ("AUC_last", "Cmax", "AUC_ratio") else value.time_h
    if asked is not None and asked > until:
        yield f"asks for {asked:g} h (model: to {until:g} h)"
    if value.metric in _NEEDS_TAIL:
        half_life = float(predictor.measure(match, arm, "t_half", value.analyte)[0])
        if until < 2 * half_life:
            yield f"half-life of {half_life:.3g} h from a model trusted to {until:g} h"
    if value.metric in _TO_INFINITY and value.to_h is None:
        late = predictor.late_share(match, arm, value.analyte, until)
        if late > LATE_SHARE:
            yield f"{late:.0%} of the area lies beyond {until:g} h, to which the model is trusted"


def _compare_curve(
    name: str, points: Sequence[Point], arm: Arm, specs: Mapping[str, ModelSpec], predictor: Predictor
) -> tuple[list[Curve], str]:
    analyte = points[0].analyte
    times = [p.time_h for p in points if p.time_h is not None]
    made = []
    for match in matches(points[0].arm, arm, [analyte], specs):
        found = predictor.points(match, arm, times)
        predicted = found.of(analyte)[0]
        trusted = [spec.applies.duration_h for spec in match.models if spec.applies.duration_h is not None]
        late = (
            [f"goes to {max(times):g} h (model: to {min(trusted):g} h)"]
            if trusted and max(times) > min(trusted)
            else []
        )
        made.append(
            Curve(
                curve=name,
                arm=points[0].arm,
                study=arm.study,
                drug=arm.drug,
                route=arm.route,
                analyte=analyte,
                model=match.label,
                site=match.site,
                origin=_origin(match, points[0]),
                outside=(*match.outside, *unusual_doses(match, arm), *late),
                time_h=tuple(times),
                observed=tuple(p.concentration for p in points),
                predicted=tuple(float(x) for x in predicted),
            )
        )
    return made, why_none(arm, [analyte], specs)


def _check(spec: ModelSpec, check: Any, predictor: Predictor) -> Check:
    doses = (check.doses,) if isinstance(check.doses, str) else tuple(check.doses)
    metric = {
        "AUC": "AUC_last" if check.to_h else "AUC_inf",
        "half-life": "t_half",
        "concentration": "C_at",
    }.get(check.metric, check.metric)
    at = [t for t in (*check.samples_h, check.from_h, check.to_h) if t is not None]
    found: Curves = predictor.check(spec, doses, check.set, at)
    output = spec.outputs[check.output]
    t, c = found.time_h, found.of(output.analyte or check.output)
    if check.samples_h:
        taken = np.isin(np.round(t, 9), np.round(check.samples_h, 9))
        t, c = t[taken], c[:, taken]
    window: dict[str, Any] = (
        {"time_h": check.to_h} if metric == "C_at" else {"from_h": check.from_h, "to_h": check.to_h}
    )
    predicted = float(curve_measure(t, c, metric, **window)[0])
    common = observations.METRICS[metric]
    from kinetamine import units

    return Check(
        model=spec.id,
        status=spec.status,
        output=check.output,
        metric=check.metric,
        doses=doses,
        covariates=dict(check.set),
        to_h=check.to_h,
        unit=check.unit,
        place=check.place,
        published=check.value,
        predicted=float(units.convert(predicted, common, check.unit)),
        off=check.off,
    )


def checked(spec: ModelSpec) -> list[Check]:
    """What a model gives beside each number that its source prints (its ``[[checks]]``).

    Examples
    --------
    >>> from kinetamine.models import library
    >>> [one.agrees for one in checked(library.load("hijazi_2003_icu_adults"))]
    [True]
    """
    from kinetamine.simulate import simulate

    predictor = Predictor(simulate)
    return [_check(spec, one, predictor) for one in spec.checks] if spec.kind == "pk" else []


@functools.cache
def remarks() -> dict[str, str]:
    """What is known about models that disagree with their own papers."""
    found = read_toml("observations/remarks.toml", dict[str, str])
    return {name: " ".join(text.split()) for name, text in found.items()}
