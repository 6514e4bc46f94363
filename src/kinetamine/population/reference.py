"""The demographic reference: tables of children and adults, brought into the arrays that drawing needs.

Numbers and their sources are in ``data/population``; docs/population.md says in words how they are joined.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np

from kinetamine.errors import Fault
from kinetamine.records import Record, Seen, read_toml

__all__ = ["ADULT_FROM", "OLDEST", "SOURCES", "Tables", "correlation", "quantile", "tables"]

#: keys in data/sources.toml of what is used when weight or height is drawn
SOURCES = ("cdc_2000_growth", "fryar_2025_anthropometry", "nhanes_2001_2014")
#: from this age on, in years, the adult tables are used
ADULT_FROM = 20.0
#: highest age, years, to which the group "80 and over" is taken to reach
OLDEST = 90.0

_SEXES = ("female", "male")
_CURVES = ("weight_infant", "length_infant", "weight_child", "height_child")
_TO_YEARS = {"month": 1 / 12, "year": 1.0}


class Tables(NamedTuple):
    """Arrays for drawing; first index of everything by sex is 0 = female, 1 = male.

    ``child_*`` are flat; curve ``c = 4 * sex + 2 * (age >= 2 years) + (0 weight | 1 height)`` lies at
    ``child_start[c]:child_start[c + 1]``.
    """

    child_start: np.ndarray
    child_age: np.ndarray  # years
    child_l: np.ndarray
    child_log_m: np.ndarray  # ln kg or ln cm
    child_s: np.ndarray
    adult_age: np.ndarray  # middle of each age group, years
    adult_z: np.ndarray  # normal scores of the percentiles
    adult_log_weight: np.ndarray  # (sex, group, percentile), ln kg
    adult_height: np.ndarray  # (sex, group, percentile), cm
    correlation_age: np.ndarray  # middle of each band, years
    correlation: np.ndarray  # (sex, band)


class _Reference(Record):
    source: str
    place: str = ""
    seen: Seen


class _Curve(Record):
    age: tuple[float, ...]
    L: tuple[float, ...]
    M: tuple[float, ...]
    S: tuple[float, ...]


class _Growth(Record):
    weight_infant: _Curve
    length_infant: _Curve
    weight_child: _Curve
    height_child: _Curve


class _Children(_Reference):
    age_unit: Literal["month", "year"]
    weight_unit: Literal["kg"]
    height_unit: Literal["cm"]
    female: _Growth
    male: _Growth


class _Percentiles(Record):
    place: str
    n: tuple[int, ...]
    mean: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


class _Measured(Record):
    weight: _Percentiles
    height: _Percentiles


class _Adults(_Reference):
    percentiles: tuple[float, ...]
    age_unit: Literal["year"]
    weight_unit: Literal["kg"]
    height_unit: Literal["cm"]
    age_groups: tuple[tuple[float, float], ...]
    female: _Measured
    male: _Measured


class _Linked(Record):
    n: tuple[int, ...]
    r: tuple[float, ...]
    se: tuple[float, ...]


class _Correlation(_Reference):
    age_unit: Literal["year"]
    age_bands: tuple[tuple[float, float], ...]
    female: _Linked
    male: _Linked


def _bad_children(found: _Children) -> Iterable[Fault]:
    for sex in _SEXES:
        for name in _CURVES:
            curve = getattr(getattr(found, sex), name)
            where = f"{sex}.{name}"
            lengths = [len(values) for values in (curve.age, curve.L, curve.M, curve.S)]
            if len(set(lengths)) > 1:
                yield Fault(where, f"{lengths} values of age, L, M, S", "as many of each")
            if list(curve.age) != sorted(set(curve.age)):
                yield Fault(f"{where}.age", "ages that do not ascend", "ages that ascend")
            if not all(x > 0 for x in (*curve.M, *curve.S)):
                yield Fault(where, "M or S of 0 or less", "positive numbers")


def _bad_adults(found: _Adults) -> Iterable[Fault]:
    for sex in _SEXES:
        for name in ("weight", "height"):
            table = getattr(getattr(found, sex), name)
            shape = {len(table.n), len(table.mean), len(table.values), len(found.age_groups)}
            if len(shape) > 1 or any(len(row) != len(found.percentiles) for row in table.values):
                yield Fault(
                    f"{sex}.{name}", "another size", "a row for each age group, a value for each percentile"
                )
            for row in table.values:
                told = [x for x in row if not math.isnan(x)]
                if told != sorted(told):
                    yield Fault(f"{sex}.{name}.values", str(row), "percentiles that ascend")


def _bad_correlation(found: _Correlation) -> Iterable[Fault]:
    for sex in _SEXES:
        table = getattr(found, sex)
        if {len(table.n), len(table.r), len(table.se)} != {len(found.age_bands)}:
            yield Fault(sex, "another size", "a number for each age band")
        if not all(-1 < r < 1 for r in table.r):
            yield Fault(f"{sex}.r", str(table.r), "correlations between -1 and 1")


def _filled(values: np.ndarray, z: np.ndarray) -> np.ndarray:
    """A missing highest percentile continues the line from the 75th to the one below it."""
    out = values.copy()
    upper = int(np.argmin(np.abs(z - 0.6745)))
    for row in out:
        if np.isnan(row[-1]):
            slope = (row[-2] - row[upper]) / (z[-2] - z[upper])
            row[-1] = row[-2] + slope * (z[-1] - z[-2])
    return out


@functools.cache
def tables() -> Tables:
    """All arrays; read once.

    Examples
    --------
    >>> tables().adult_age.tolist()
    [25.0, 35.0, 45.0, 55.0, 65.0, 75.0, 85.0]
    """
    from kinetamine.engine import random

    log = np.vectorize(random.log, otypes=[float])  # not libm's, see engine.random
    child: _Children = read_toml("population/children_cdc_2000.toml", _Children, sense=_bad_children)
    to_years = _TO_YEARS[child.age_unit]
    curves: list[_Curve] = [getattr(getattr(child, sex), name) for sex in _SEXES for name in _CURVES]

    def flat(key: str) -> np.ndarray:
        return np.concatenate([np.array(getattr(curve, key), dtype=float) for curve in curves])

    adult: _Adults = read_toml("population/adults_nhanes_2021_2023.toml", _Adults, sense=_bad_adults)
    z = np.array([random.normal_from_uniform(p / 100) for p in adult.percentiles])
    groups = adult.age_groups
    # groups are whole years, so 20-29 ends at the 30th birthday; the last one gets the length of the others
    middle = np.array([(low + (high + 1 if np.isfinite(high) else low + 10)) / 2 for low, high in groups])

    def percentiles(what: str) -> np.ndarray:
        measured = (getattr(getattr(adult, sex), what).values for sex in _SEXES)
        return np.array([_filled(np.array(values, dtype=float), z) for values in measured])

    linked: _Correlation = read_toml(
        "population/height_weight_correlation.toml", _Correlation, sense=_bad_correlation
    )
    bands = [(low, high if np.isfinite(high) else low + 10) for low, high in linked.age_bands]
    return Tables(
        child_start=np.cumsum([0, *(len(curve.age) for curve in curves)]),
        child_age=flat("age") * to_years,
        child_l=flat("L"),
        child_log_m=log(flat("M")),
        child_s=flat("S"),
        adult_age=middle,
        adult_z=z,
        adult_log_weight=log(percentiles("weight")),
        adult_height=percentiles("height"),
        correlation_age=np.array([(low + high) / 2 for low, high in bands]),
        correlation=np.array([getattr(linked, sex).r for sex in _SEXES], dtype=float),
    )


def quantile(what: str, sex: str, age_years: float, share: float) -> float:
    """Weight (kg) or height (cm) below which a share of people of this sex and age lies.

    Parameters
    ----------
    what : {"weight", "height"}
    sex : {"female", "male"}
    age_years : float
        0 to 90.
    share : float
        Between 0 and 1.

    Examples
    --------
    >>> round(quantile("weight", "male", 45, 0.5), 1)
    88.4
    """
    from kinetamine.engine import random
    from kinetamine.population import sampling

    z = random.normal_from_uniform(share)
    value = sampling.weight_of if what == "weight" else sampling.height_of
    return float(value(tables(), _SEXES.index(sex), float(age_years), z))


def correlation(sex: str, age_years: float) -> float:
    """Correlation of the normal scores of height and weight among people of one sex and age.

    Examples
    --------
    >>> 0.2 < correlation("female", 40) < 0.4
    True
    """
    table = tables()
    return float(np.interp(age_years, table.correlation_age, table.correlation[_SEXES.index(sex)]))
