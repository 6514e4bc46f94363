"""Observed acute effects against the effect models: ``kinetamine validate effects``.

`run` predicts every observation of data/observations/acute_effects.csv that names effect models and compares;
`validation_effects_page` writes it down. Nothing is tuned here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from statistics import median
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from kinetamine import units
from kinetamine.dosing import Regimen
from kinetamine.effects import AcuteEffects, effects
from kinetamine.effects.choice import ADULT, pk_models
from kinetamine.effects.crossing import limit_of
from kinetamine.effects.selection import effect_of
from kinetamine.errors import Fault, FaultyFile, NoData
from kinetamine.evidence.rows import Record, read_rows
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.models import library
from kinetamine.models.link import link
from kinetamine.models.spec import ModelSpec
from kinetamine.population import Population
from kinetamine.records import Seen, check_sources

__all__ = ["Comparison", "Observation", "Report", "fingerprint", "load", "run"]

_FILE = "acute_effects.csv"
#: people of each prediction; end and step (h) of the times looked at
PATIENTS, SEED, UNTIL_H, STEP_H = 300, 1, 12.0, 2 / 60
ADULTS = (ADULT, 64.0)
QUANTILES = (0.05, 0.5, 0.95)

Measure = Literal[
    "onset",
    "peak",
    "offset",
    "duration",
    "share",
    "level",
    "value at level",
    "change",
    "peak change",
    "concentration",
    "cmax",
]
#: compared by difference; all others by ratio
DIFFERENCES = ("share", "value at level", "change", "peak change")
#: agreement where neither side has a width
CLOSE_FOLD, CLOSE_POINTS = 1.25, 5.0
_TIMES = ("onset", "peak", "offset", "duration")
Band = tuple[float, float, float]


class Observation(Record):
    """One published number.

    `predict` names what predicts it, ``module: effect`` (for concentrations ``pk model: output``), several with
    `;`. `doses` has several arms with `|`, their mean is taken; for ``value at level`` it is a concentration.
    `used_in_fit` is ``fit`` for rows of validation/effects/fit.py and ``model`` where the module's own number or
    study stands.
    """

    id: str
    section: str
    study: str
    year: int | None = None
    n: int | None = None
    people: str = ""
    age_years: str = Field(default="", pattern=r"^(\d+-\d+)?$")
    drug: str
    route: str
    dose: str = ""
    effect: str
    instrument: str = ""
    metric: str
    time_min: float | None = None
    value: float
    low: float | None = None
    high: float | None = None
    bound: Literal["", "at most", "at least"] = ""
    spread: str = ""
    unit: str
    source: str
    place: str
    seen: Seen
    used_in_fit: Literal["", "fit", "model"] = ""
    measure: Measure | None = None
    predict: tuple[tuple[str, str], ...] = ()
    doses: tuple[str, ...] = ()
    placebo_percent: float = 0.0
    factor: float = 1.0
    remark: str = ""
    unusable: str = ""

    @field_validator("predict", mode="before")
    @classmethod
    def _pairs(cls, text: str) -> list[list[str]]:
        return [[word.strip() for word in part.split(":", 1)] for part in text.split(";")]

    @field_validator("doses", mode="before")
    @classmethod
    def _arms(cls, text: str) -> list[str]:
        return [part.strip() for part in text.split("|")]


@dataclass(frozen=True)
class Comparison:
    """One observation and what one module says: median and 5 to 95 % in the observation's unit, or why not."""

    row: Observation
    module: str
    effect: str
    band: Band | None = None
    model: str = ""
    grade: str = ""
    refused: str = ""

    @property
    def error(self) -> float | None:
        """Fold error (at least 1), or predicted minus observed; None where there is no prediction."""
        if self.band is None or not math.isfinite(self.band[1]):
            return None
        predicted, seen = self.band[1], self.row.value
        if self.row.measure in DIFFERENCES:
            return round(predicted - seen, 9)
        return max(predicted / seen, seen / predicted) if predicted > 0 else math.inf

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if self.row.bound:
            return KINDS[3]
        if self.row.measure == "share":
            return KINDS[1]
        return KINDS[2] if self.row.measure in DIFFERENCES else KINDS[0]

    @property
    def agrees(self) -> bool | None:
        """Whether the observed range holds the prediction, or the band holds the observed value."""
        if self.band is None or math.isnan(self.band[1]):
            return None
        predicted, row = self.band[1], self.row
        if row.bound:
            return predicted <= row.value if row.bound == "at most" else predicted >= row.value
        inside = row.low is not None and row.high is not None and row.low <= predicted <= row.high
        if inside or self.band[0] <= row.value <= self.band[2]:
            return True
        if row.measure == "share":
            return abs(predicted - row.value) <= CLOSE_POINTS
        return row.measure not in DIFFERENCES and (self.error or math.inf) <= CLOSE_FOLD


@dataclass(frozen=True)
class Report:
    """All observations and all comparisons."""

    observations: tuple[Observation, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def predicted(self) -> list[Comparison]:
        """Comparisons with a prediction."""
        return [c for c in self.comparisons if c.band is not None]

    @property
    def rows_predicted(self) -> set[str]:
        """Ids of observations that at least one module predicts."""
        return {c.row.id for c in self.predicted}

    def unpredicted(self) -> list[tuple[Observation, str]]:
        """Observations that nothing predicts, and why."""
        reasons: dict[str, dict[str, str]] = {}
        for c in self.comparisons:
            mine = reasons.setdefault(c.row.id, {})
            mine[c.refused] = ", ".join(x for x in (mine.get(c.refused), f"`{c.module}`") if x)
        done = self.rows_predicted
        return [
            (o, o.unusable or "; ".join(f"{who}: {why}" for why, who in reasons.get(o.id, {}).items()))
            for o in self.observations
            if o.id not in done
        ]

    def summary(self) -> list[tuple[str, str, int, float, int]]:
        """Use of a row, kind of error, comparisons, median error (where it has one unit), and how many agree."""
        out = []
        for use, words in USES.items():
            for kind in KINDS:
                found = [c for c in self.predicted if c.row.used_in_fit == use and c.kind == kind]
                if found:
                    sizes = [abs(c.error) for c in found if c.error is not None]
                    middle = median(sizes) if sizes and kind in KINDS[:2] else math.nan
                    out.append((words, kind, len(found), middle, sum(bool(c.agrees) for c in found)))
        return out


#: kinds of comparison; errors of the first two can be put together
KINDS = ("fold", "share of people, percentage points", "change or score", "bound")
USES = {"": "**predicted**", "fit": "fitted to", "model": "the module's own"}


@functools.cache
def load() -> tuple[Observation, ...]:
    """All observations, usable or not.

    Raises
    ------
    FaultyFile
        With all faults: form, ids given twice, unknown sources, modules or effects, rows without use or reason.

    Examples
    --------
    >>> len(load())
    181
    """
    faults: list[Fault] = []
    rows = read_rows(resources.files("kinetamine") / "data" / "observations", _FILE, Observation, faults)
    if not faults:
        faults = [*check_sources((row.id, row.source) for row in rows), *_sense(rows)]
    if faults:
        raise FaultyFile(_FILE, faults)
    return tuple(rows)


def _sense(rows: Sequence[Observation]) -> Iterable[Fault]:
    known = {e.id for e in library.available() if e.status != "incomplete"}
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            yield Fault(row.id, "a second row", "one row for each id")
        seen.add(row.id)
        if bool(row.predict) == bool(row.unusable) or bool(row.predict) != bool(row.measure):
            yield Fault(row.id, "predict, measure, unusable", "what predicts it and how, or why nothing does")
        for module, name in row.predict:
            if module not in known:
                yield Fault(row.id, repr(module), "a model of the library that runs")
            elif name not in _answers(library.load(module)):
                yield Fault(row.id, repr(name), f"an effect or output of {module}")


def _answers(spec: ModelSpec) -> set[str]:
    return set(spec.outputs) if spec.kind == "pk" else {effect_of(spec, o) for o in spec.outputs}


def fingerprint() -> str:
    """What the page depends on, in 16 digits: observations, effect and pk models, people.

    Examples
    --------
    >>> len(fingerprint())
    16
    """
    models = [library.load(e.id) for e in library.available() if e.status != "incomplete"]
    content = {
        "observations": [row.model_dump(mode="json") for row in load()],
        "models": [
            m.model_dump(mode="json", exclude={"title", "notes", "sources"})
            for m in models
            if m.kind in ("pk", "effect")
        ],
        "people": [PATIENTS, SEED, UNTIL_H, STEP_H],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


# ---- predictions


def run(
    progress: Callable[[int, int], None] | None = None, observations: Sequence[Observation] | None = None
) -> Report:
    """Predict every observation that names effect models.

    Parameters
    ----------
    progress : callable, optional
        Called with observations done and in all.
    observations : sequence of Observation, optional
        Instead of all.

    Examples
    --------
    >>> row = next(o for o in load() if o.study == "Adams" and o.value == 9.2)
    >>> [c.effect for c in run(observations=[row]).predicted]
    ['not awake', 'anaesthesia until emergence']
    """
    rows = load() if observations is None else tuple(observations)
    found = []
    for done, row in enumerate(rows):
        if progress is not None:
            progress(done, len(rows))
        found += [_compare(row, module, name) for module, name in row.predict]
    if progress is not None:
        progress(len(rows), len(rows))
    return Report(rows, tuple(found))


def _compare(row: Observation, module: str, name: str) -> Comparison:
    try:
        band, model, grade = _PREDICT[str(row.measure)](row, library.load(module), name)
    except NoData as error:
        fault = error.faults[0]
        return Comparison(row, module, name, refused=f"{fault.given}; needs {fault.expected}")
    return Comparison(row, module, name, band, model, grade)


def _ages(row: Observation, spec: ModelSpec) -> tuple[float, float]:
    """Ages of the observation; where it does not say, adults, or the children of the module."""
    if row.age_years:
        low, high = (float(x) for x in row.age_years.split("-"))
    else:
        low, high = spec.applies.age_years or ADULTS
        low, high = ADULTS if high >= ADULT else (low, high)
    return low, high


def _people(ages: tuple[float, float]) -> Population:
    return Population(PATIENTS, seed=SEED, age=ages, uncertainty=True)


@functools.lru_cache(maxsize=256)
def _acute(dose: str, module: str, ages: tuple[float, float]) -> AcuteEffects:
    return effects(dose, effects=module, population=_people(ages), until=UNTIL_H, step=STEP_H)


def _from_effects(row: Observation, spec: ModelSpec, name: str) -> tuple[Band, str, str]:
    """A time, or the share of people affected."""
    ages = _ages(row, spec)
    arms = [next(a for a in _acute(dose, spec.id, ages) if a.effect == name) for dose in row.doses]
    model, grade = arms[0].model, max((a.grade for a in arms), key=("fitted", "extrapolated").index)
    if row.measure == "share":
        others = row.placebo_percent
        share = others + (100 - others) * float(np.mean([a.affected for a in arms]))
        return _around(share, row.n), model, grade
    bands = [getattr(a, f"{row.measure}_min") for a in arms]
    if any(b is None for b in bands):
        raise NoData(spec.id, "nobody is affected by this dose", "people who are")
    values = [[math.inf if b[q] is None else b[q] for q in ("q05", "q50", "q95")] for b in bands]
    low, middle, high = zip(*values, strict=True)
    return (min(low), float(np.mean(middle)), max(high)), model, grade


def _around(percent: float, n: int | None) -> Band:
    """Share that a study of `n` people would see; without `n` no band."""
    if n is None:
        return math.nan, percent, math.nan
    from scipy.stats import binom

    low, high = (100 * float(binom.ppf(q, n, percent / 100)) / n for q in (QUANTILES[0], QUANTILES[2]))
    return low, percent, high


def _quantiles(values: Any) -> Band:
    low, middle, high = (float(q) for q in np.quantile(values, QUANTILES))
    return low, middle, high


def _held(row: Observation, spec: ModelSpec, name: str) -> list[tuple[str, Callable[[Any], Any]]]:
    """Outputs of an effect as functions of one concentration (mg/L; patient, try) that is held for long."""
    if len(spec.drives) != 1:
        raise NoData(spec.id, f"{len(spec.drives)} concentrations", "a module of one")
    people = _people(_ages(row, spec))
    env: dict[str, Any] = {**people.parameters(spec, 0, people.n), **people.covariates(spec, 0, people.n)}
    env |= people.etas(spec, 0, people.n)
    for key, text in spec.individual.items():
        env[key] = evaluate(parse(text), env)
    env = {k: v[:, None] if np.ndim(v) else v for k, v in env.items()}
    (drive,) = spec.drives

    def at(output: str, held: Any) -> Any:
        here = {k: v[: len(held)] if np.ndim(v) else v for k, v in env.items()} | {drive: held, "time": 0.0}
        for key, site in spec.effect_sites.items():
            here[key] = evaluate(parse(site.follows), here)
        shown = evaluate(parse(spec.outputs[output].value), here) * spec.output_factor[output]
        return np.broadcast_to(shown, held.shape)

    return [(o, functools.partial(at, o)) for o in spec.outputs if effect_of(spec, o) == name]


def _excess(at: Callable[[Any], Any], sign: float, threshold: float, held: Any) -> Any:
    return sign * (at(held) - threshold)


def _level(row: Observation, spec: ModelSpec, name: str) -> tuple[Band, str, str]:
    """The concentration that, held, brings the effect to its threshold."""
    found = []
    for output, at in _held(row, spec, name):
        record = spec.outputs[output]
        assert record.threshold is not None
        sign = 1.0 if record.direction == "rises" else -1.0
        level = limit_of(functools.partial(_excess, at, sign, record.threshold.value), PATIENTS)
        if level is None:
            raise NoData(spec.id, "an effect that does not rise all the way", "one that does")
        found.append(level * units.convert(1.0, "mg/L", row.unit))
    return _quantiles(np.concatenate(found)), "no dose", ""


def _value_at_level(row: Observation, spec: ModelSpec, name: str) -> tuple[Band, str, str]:
    held = np.full((PATIENTS, 1), float(np.mean([units.read(d, "mg/L", row.id) for d in row.doses])))
    values = np.concatenate([at(held) for _, at in _held(row, spec, name)])
    return _quantiles(values * row.factor), "no dose", ""


def _change(row: Observation, spec: ModelSpec, name: str) -> tuple[Band, str, str]:
    """Change from before the dose, at the time of the observation or at its greatest."""
    from kinetamine.simulate import simulate

    people = _people(_ages(row, spec))
    outputs = [o for o in spec.outputs if effect_of(spec, o) == name]
    whole = row.measure == "peak change"
    if not whole and row.time_min is None:
        raise NoData(row.id, "no time", "the time of the observation")
    times = np.arange(0, UNTIL_H, STEP_H) if whole else np.array([0.0, float(row.time_min or 0) / 60])
    changes, used, grades = [], "", set()
    for dose in row.doses:
        linked, used = _linked(dose, people, spec)
        result = simulate(linked, dose, people, times=times, outputs=outputs)
        for output in outputs:
            curves = result[output]
            change = curves - curves[:, :1]
            changes.append(change[np.arange(len(change)), np.abs(change).argmax(axis=1)])
            grades.add(result.output(output).grade)
    grade = "extrapolated" if "extrapolated" in grades else "fitted"
    return _quantiles(np.concatenate(changes) * row.factor), used, grade


def _linked(dose: str, people: Population, spec: ModelSpec) -> tuple[ModelSpec, str]:
    """The effect model on the first pk model that gives what it reads."""
    regimen = Regimen.parse(dose, entries={r for e in library.available() for r in e.routes})
    models, _, _ = pk_models(None, regimen, people)
    refused: NoData | None = None
    for pk in models:
        try:
            return link(pk, spec), pk.id
        except NoData as error:
            refused = refused or error
    assert refused is not None
    raise refused


def _concentration(row: Observation, spec: ModelSpec, name: str) -> tuple[Band, str, str]:
    """Concentration at a time, or its peak."""
    from kinetamine.simulate import simulate

    peak = row.measure == "cmax"
    times = np.arange(0, UNTIL_H, STEP_H) if peak else np.array([float(row.time_min or 0) / 60])
    (dose,) = row.doses
    result = simulate(spec, dose, _people(_ages(row, spec)), times=times, outputs=[name])
    values = result[name].max(axis=1) * units.convert(1.0, spec.outputs[name].unit, row.unit)
    return _quantiles(values), spec.id, result.output(name).grade


_PREDICT: dict[str, Callable[[Observation, ModelSpec, str], tuple[Band, str, str]]] = {
    **dict.fromkeys((*_TIMES, "share"), _from_effects),
    "level": _level,
    "value at level": _value_at_level,
    "change": _change,
    "peak change": _change,
    "concentration": _concentration,
    "cmax": _concentration,
}
