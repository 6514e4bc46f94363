"""The weight that a dose per kg is of: as measured, ideal, adjusted or lean, by published formulas.

The numbers and their sources are in ``data/body_weights.toml``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from kinetamine.errors import CovariateError
from kinetamine.records import Record, Seen, read_toml

__all__ = ["dosing_weight", "formulas"]

_CM_PER_INCH = 2.54  # by definition


class Number(Record):
    """One number of a formula."""

    value: float = Field(gt=0, allow_inf_nan=False)
    unit: str


class Ideal(Record):
    """A weight that follows from height and sex."""

    source: str
    place: str
    seen: Seen
    note: str
    male: Number
    female: Number
    per_inch: Number
    from_height: Number


class Adjusted(Record):
    """Ideal weight and a part of what somebody weighs above it."""

    source: str
    place: str
    seen: Seen
    note: str
    part: Number


class Lean(Record):
    """A weight that follows from weight, height and sex."""

    source: str
    place: str
    seen: Seen
    note: str
    factor: Number
    male_base: Number
    male_bmi: Number
    female_base: Number
    female_bmi: Number


class Formulas(Record):
    """``data/body_weights.toml``."""

    ideal: Ideal
    adjusted: Adjusted
    lean: Lean


@functools.cache
def formulas() -> Formulas:
    """The formulas, with source and place."""
    found: Formulas = read_toml("body_weights.toml", Formulas)
    return found


def dosing_weight(by: str, people: Mapping[str, Any]) -> Any:
    """The weight to multiply an amount per kg by, kg.

    Parameters
    ----------
    by : str
        One of `kinetamine.dosing.dose.BASES`.
    people : dict of float or array
        weight (kg), height (cm), sex (0 female, 1 male).

    Raises
    ------
    CovariateError
        If something is not known, or somebody is too short for the formula.

    Notes
    -----
    Ideal: Devine 1974. Adjusted: ideal and a part of what the person weighs above it. Lean: Janmahasatian 2005.

    Examples
    --------
    >>> round(dosing_weight("ideal weight", {"weight": 120.0, "height": 180.0, "sex": 1.0}), 2)
    74.99
    >>> round(dosing_weight("lean weight", {"weight": 120.0, "height": 180.0, "sex": 1.0}), 2)
    75.78
    """
    needed = {"weight": ("weight",), "ideal weight": ("height", "sex")}.get(by, ("weight", "height", "sex"))
    for name in needed:
        if people.get(name) is None:
            cure = {"weight": "weight=70", "height": "height=175", "sex": "sex='female'"}[name]
            raise CovariateError(
                "doses", f"a dose per kg by {by} and no {name}", f"the patient's {name}", cure
            )
    if by == "weight":
        return people["weight"]
    if by == "lean weight":
        return _lean(people["weight"], people["height"], people["sex"])
    ideal = _ideal(people["height"], people["sex"])
    if by == "ideal weight":
        return ideal
    return ideal + formulas().adjusted.part.value * (people["weight"] - ideal)


def _ideal(height: Any, sex: Any) -> Any:
    given = formulas().ideal
    above = height - given.from_height.value
    short = above < -1e-9
    if short if isinstance(short, bool) else short.any():
        low = given.from_height.value
        raise CovariateError(
            "doses",
            f"a height below {low:g} cm",
            f"a height from {low:g} cm on: the formula for ideal weight covers no other",
            "by weight, or by lean weight",
        )
    base = given.female.value + sex * (given.male.value - given.female.value)
    return base + given.per_inch.value * above / _CM_PER_INCH


def _lean(weight: Any, height: Any, sex: Any) -> Any:
    given = formulas().lean
    bmi = weight / (height / 100) ** 2
    woman = given.female_base.value + given.female_bmi.value * bmi
    man = given.male_base.value + given.male_bmi.value * bmi
    return given.factor.value * weight / (woman + sex * (man - woman))
