"""The demographic reference: tables of children and adults, brought into the arrays that drawing needs.

Numbers and their sources are in ``data/population``; docs/population.md says in words how they are joined.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

__all__ = ["ADULT_FROM", "OLDEST", "SOURCES", "Tables", "correlation", "quantile", "read_data", "tables"]

#: keys in data/sources.toml of what is used when weight or height is drawn
SOURCES = ("cdc_2000_growth", "fryar_2025_anthropometry", "nhanes_2001_2014")
#: from this age on, in years, the adult tables are used
ADULT_FROM = 20.0
#: highest age, years, to which the group "80 and over" is taken to reach
OLDEST = 90.0

_SEXES = ("female", "male")
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


@functools.cache
def read_data(name: str) -> dict[str, Any]:
    """One file of data/population as a plain mapping."""
    folder = resources.files("kinetamine") / "data" / "population"
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))


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
    child = read_data("children_cdc_2000")
    to_years = _TO_YEARS[child["age_unit"]]
    curves = [
        child[sex][name]
        for sex in _SEXES
        for name in ("weight_infant", "length_infant", "weight_child", "height_child")
    ]

    def flat(key: str) -> np.ndarray:
        return np.concatenate([np.array(curve[key], dtype=float) for curve in curves])

    adult = read_data("adults_nhanes_2021_2023")
    z = np.array([random.normal_from_uniform(p / 100) for p in adult["percentiles"]])
    groups = adult["age_groups"]
    # groups are whole years, so 20-29 ends at the 30th birthday; the last one gets the length of the others
    middle = np.array([(low + (high + 1 if np.isfinite(high) else low + 10)) / 2 for low, high in groups])

    def percentiles(what: str) -> np.ndarray:
        return np.array([_filled(np.array(adult[sex][what]["values"], dtype=float), z) for sex in _SEXES])

    linked = read_data("height_weight_correlation")
    bands = [(low, high if np.isfinite(high) else low + 10) for low, high in linked["age_bands"]]
    return Tables(
        child_start=np.cumsum([0, *(len(curve["age"]) for curve in curves)]),
        child_age=flat("age") * to_years,
        child_l=flat("L"),
        child_log_m=log(flat("M")),
        child_s=flat("S"),
        adult_age=middle,
        adult_z=z,
        adult_log_weight=log(percentiles("weight")),
        adult_height=percentiles("height"),
        correlation_age=np.array([(low + high) / 2 for low, high in bands]),
        correlation=np.array([linked[sex]["r"] for sex in _SEXES], dtype=float),
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
