"""What an effect model says about one published number: median and 5 to 95 % of people."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.choice import ADULT, pk_models
from kinetamine.dosing import Regimen
from kinetamine.effects import AcuteEffects, effects
from kinetamine.effects.crossing import limit_of
from kinetamine.effects.selection import effect_of
from kinetamine.errors import NoData
from kinetamine.evidence.effects.observations import Observation
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.models import library
from kinetamine.models.link import link
from kinetamine.models.spec import ModelSpec
from kinetamine.population import Population
from kinetamine.results.grades import worst

__all__ = ["PATIENTS", "SEED", "STEP_H", "UNTIL_H", "Band", "predict"]

#: people of each prediction; end and step (h) of the times looked at
PATIENTS, SEED, UNTIL_H, STEP_H = 300, 1, 12.0, 2 / 60
ADULTS = (ADULT, 64.0)
QUANTILES = (0.05, 0.5, 0.95)
_TIMES = ("onset", "peak", "offset", "duration")
Band = tuple[float, float, float]


def predict(row: Observation, module: str, name: str) -> tuple[Band, str, str]:
    """Low, middle and high in the unit of the observation, the pk model under it, and the grade.

    Raises
    ------
    NoData
        If the module cannot answer.
    """
    return _PREDICT[str(row.measure)](row, library.load(module), name)


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
    model, grade = arms[0].model, worst(a.grade for a in arms)
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
    grade = worst(grades)
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
