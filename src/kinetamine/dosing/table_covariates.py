"""Covariates and dose fields of a table: units, words, and what a model refuses in any row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.dosing.table_columns import canonical_covariate
from kinetamine.dosing.table_source import MISSING

if TYPE_CHECKING:
    from kinetamine.dosing.row_faults import RowFaults
    from kinetamine.dosing.table_checks import Checked

__all__ = ["add_limits", "read_covariates"]

_WORDS = {"sex": {"female": 0.0, "f": 0.0, "woman": 0.0, "male": 1.0, "m": 1.0, "man": 1.0}}
_YES_NO = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0}
#: units of a column whose model is not at hand
_UNITS = {"weight": "kg", "height": "cm", "age": "year"}


def read_covariates(at: Checked) -> dict[str, np.ndarray]:
    """The model's covariates and dose fields, each an array (row,) in the model's unit, NaN where missing."""
    columns = {}
    for name, index in at.roles.kept.items():
        covariate = at.needs.covariates.get(name)
        _read_words(at, name, index, covariate)
        values = at.read(name, index) * _factor(at, name, index, covariate)
        columns[name] = values
        if name in at.needs.covariates:
            add_limits(at.faults, name, values, covariate, at.options.say)
        else:
            below = values < 0

            def shown(i: int, v: np.ndarray = values, s: str = name) -> str:
                return f"{s} {v[i]:.12g}"

            at.faults.add(below, shown, "0 or more", "'.' for none")
        if np.isnan(values).all():
            at.roles.notes[index] = "no value on any row"
    return columns


def _read_words(at: Checked, name: str, index: int, covariate: Any) -> None:
    """Female, male, yes and no as the numbers they stand for."""
    import polars as pl

    column = at.raw.columns[index]
    if column.dtype != pl.String:
        return
    categories = getattr(covariate, "categories", None)
    if categories:
        _read_categories(at, name, index, categories)
        return
    words = _WORDS.get(canonical_covariate(name))
    if words is None and covariate is not None and covariate.values and set(covariate.values) <= {0, 1}:
        words = _YES_NO
    if words is None:
        return
    lower = column.str.strip_chars().str.to_lowercase()
    if lower.is_in(list(words)).any():
        said = ", ".join(f"{word} is {words[word]:g}" for word in lower.unique().to_list() if word in words)
        at.roles.notes[index] = said
        at.raw.columns[index] = lower.replace({word: f"{value:g}" for word, value in words.items()})


def _read_categories(at: Checked, name: str, index: int, categories: tuple[str, ...]) -> None:
    """The categories of a model as their numbers; another word is a fault."""
    import polars as pl

    column = at.raw.columns[index]
    lower = column.str.strip_chars().str.to_lowercase()
    numbers = {word.lower(): str(k) for k, word in enumerate(categories)}
    known = [*numbers, *numbers.values(), *(one.lower() for one in MISSING)]
    wrong = (~lower.is_in(known)).fill_null(False).to_numpy()
    at.faults.add(wrong, lambda i: f"{name} {str(column[i])[:40]!r}", " or ".join(categories), categories[0])
    at.raw.columns[index] = lower.replace(numbers).zip_with(pl.Series(~wrong), pl.Series(["."] * len(wrong)))
    at.roles.notes[index] = ", ".join(f"{word} is {k}" for word, k in numbers.items())


def _factor(at: Checked, name: str, index: int, covariate: Any) -> float:
    """From the unit that the header gives to the model's own."""
    given = at.roles.units.get(index)
    own = covariate.unit if covariate is not None else _UNITS.get(canonical_covariate(name))
    if given is None or own is None or given == own:
        return 1.0
    from kinetamine import units
    from kinetamine.errors import InputError

    given = {"yr": "year", "yrs": "year", "y": "year", "years": "year"}.get(given.lower(), given)
    try:
        factor = units.convert(1.0, given, own, f"column {at.raw.names[index]}")
    except InputError as error:
        at.faults.whole += error.faults
        return 1.0
    if factor != 1.0:
        at.roles.notes[index] = f"{given} to {own}"
    return float(factor)


def add_limits(faults: RowFaults, name: str, values: np.ndarray, covariate: Any, say: Any) -> None:
    """The rows whose value no door lets through: not above 0 where nobody has that, or beyond the model's range."""
    unit = "" if covariate is None or covariate.unit == "1" else f" {covariate.unit}"
    kind = canonical_covariate(name)
    wrong = np.zeros(len(values), bool)
    expected = ""
    with np.errstate(invalid="ignore"):
        if covariate is not None and covariate.values is not None:
            wrong = ~np.isnan(values) & ~np.isin(values, covariate.values)
            expected = " or ".join(f"{v:g}" for v in covariate.values)
        elif covariate is not None and covariate.range is not None:
            low, high = covariate.range
            wrong, expected = (values < low) | (values > high), f"{low:g} to {high:g}{unit}"
        if kind == "sex":
            odd = ~np.isnan(values) & ~np.isin(values, (0, 1))
            wrong, expected = wrong | odd, expected or "0 (female) or 1 (male)"
        elif kind in ("weight", "height"):
            wrong, expected = wrong | (values <= 0), expected or "a number above 0"
        elif kind == "age":
            wrong, expected = wrong | (values < 0), expected or "0 or more"

    def cure(row: int) -> str:
        value = values[row]
        if value < 0 and math.isfinite(value):
            return f"'.' where it is not known, or {say('missing', int(value) if value == int(value) else value)}"
        return "'.' where it is not known"

    faults.add(wrong, lambda i: f"{name} {values[i]:.12g}{unit}", expected, cure)
