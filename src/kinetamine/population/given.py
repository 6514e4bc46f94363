"""Reading what is said about patients: numbers, texts with units, ranges, lists and tables."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.errors import CovariateError, InputError

__all__ = ["FOUR", "Evenly", "Table", "check_allowed", "coded", "number", "spread"]

#: the properties every patient has, and the unit of a bare number
FOUR = {"age": "year", "sex": "1", "weight": "kg", "height": "cm"}

_EXAMPLE = {"age": "age=40", "sex": "sex='female'", "weight": "weight=70", "height": "height=170"}
_SEX = {"female": 0.0, "f": 0.0, "woman": 0.0, "male": 1.0, "m": 1.0, "man": 1.0}
_ALIASES = {
    "wt": "weight",
    "bw": "weight",
    "weight_kg": "weight",
    "ht": "height",
    "height_cm": "height",
    "gender": "sex",
    "age_years": "age",
}


@dataclass(frozen=True)
class Evenly:
    """A value spread evenly between two others."""

    low: float
    high: float


def number(name: str, value: Any, unit: str, where: str) -> float:
    """One finite number in `unit`; text may carry a unit of its own.

    Raises
    ------
    CovariateError
        If it is not a finite number.
    UnitError
        If its unit does not fit.

    Examples
    --------
    >>> number("weight", "3500 g", "kg", "patient"), number("age", "6 months", "year", "patient")
    (3.5, 0.5)
    >>> number("sex", "male", "1", "patient")
    1.0
    """
    place = f"{where}.{name}"
    if name == "sex":
        return _sex(value, place)
    what = "a finite number" + ("" if unit == "1" else f" in {unit}")
    cure = _EXAMPLE.get(name, f"{name}=1")
    if isinstance(value, str):
        text = value.strip()
        if text.lower().startswith(f"{name}="):
            text = text[len(name) + 1 :].strip()
        if unit in ("year", "month", "week"):  # short words that mean something else, or nothing, to pint
            text = re.sub(r"(?<![A-Za-z])(y|ys|yrs|yo)\b", "year", text)
            text = re.sub(r"(?<![A-Za-z])(mo|mos|mth|mths)\b", "month", text)
        try:
            value = float(text)
        except ValueError:
            value = units.read(text, unit, place)
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise CovariateError(place, repr(value), what, cure)
    if not math.isfinite(value):
        raise CovariateError(place, repr(float(value)), what, cure)
    value = float(value)
    if name in FOUR and (value < 0 or (value == 0 and name != "age")):
        raise CovariateError(place, f"{value:g}", "a number above 0", cure)
    return value


def coded(name: str, value: Any, covariate: Any, where: str) -> Any:
    """What was said about a covariate with categories, words as their numbers.

    Raises
    ------
    CovariateError
        If a word is none of the categories.
    """
    words = getattr(covariate, "categories", None)
    if words is None:
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in (w.lower() for w in words):
            return float([w.lower() for w in words].index(text.lower()))
        if text in (str(k) for k in range(len(words))):
            return float(text)
        raise CovariateError(f"{where}.{name}", repr(value), " or ".join(words), f"{name}={words[0]}")
    if isinstance(value, Sequence):
        return type(value)(coded(name, item, covariate, where) for item in value)  # type: ignore[call-arg]
    return value


def _sex(value: Any, place: str) -> float:
    if isinstance(value, str):
        text = value.strip().lower()
        if text in _SEX:
            return _SEX[text]
        value = {"0": 0, "1": 1, "0.0": 0, "1.0": 1}.get(text, value)
    if not isinstance(value, str | bool | np.bool_) and value in (0, 1):
        return float(value)
    raise CovariateError(place, repr(value), "'female' (0) or 'male' (1)", "'female'")


def spread(name: str, value: Any, unit: str, n: int, where: str) -> float | Evenly | np.ndarray:
    """A number for all, a range to spread evenly over, or one number for each of `n` patients.

    A tuple of two is a range; a list or array of `n` is one each; a list of two is a range unless n is two.

    Examples
    --------
    >>> spread("weight", (60, "90 kg"), "kg", 100, "population")
    Evenly(low=60.0, high=90.0)
    """
    if isinstance(value, str | int | float | np.number) or value is None:
        return number(name, value, unit, where)
    if not isinstance(value, Sequence | np.ndarray) and not hasattr(value, "to_numpy"):
        raise CovariateError(
            f"{where}.{name}", repr(value), "a number, a range (lowest, highest) or a list", ""
        )
    items = list(value)
    if len(items) == 2 and (isinstance(value, tuple) or n != 2):
        low, high = (number(name, item, unit, where) for item in items)
        if low > high:
            raise CovariateError(
                f"{where}.{name}", f"({low:g}, {high:g})", "lowest before highest", f"({high:g}, {low:g})"
            )
        return low if low == high else Evenly(low, high)
    if len(items) != n:
        raise CovariateError(
            f"{where}.{name}",
            f"{len(items)} values",
            f"one for each of the {n} patients",
            "(lowest, highest)",
        )
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and name != "sex":
        values = value.astype(float)
        good = np.isfinite(values) & (values > 0 if name in ("weight", "height") else values == values)
        if not (good & ~((values < 0) & (name in FOUR))).all():
            worst = int(np.argmin(good & ~((values < 0) & (name in FOUR))))
            number(name, values[worst], unit, f"{where} patient {worst}")
        return values
    return np.array([number(name, item, unit, f"{where} patient {i}") for i, item in enumerate(items)])


def check_allowed(
    name: str,
    value: float | Evenly | np.ndarray,
    covariate: Any,
    where: str,
    label: Mapping[int, str] | None = None,
) -> None:
    """Refuse what a model cannot take: outside its hard ``range``, or not one of its ``values``.

    `value` is in the covariate's own unit; `label` names the element of an array in the error.
    """
    unit = "" if covariate.unit == "1" else f" {covariate.unit}"
    words = getattr(covariate, "categories", None)
    if words is not None:
        if isinstance(value, Evenly):
            raise CovariateError(f"{where}.{name}", "a range", " or ".join(words), f"{name}={words[0]}")
        wrong = ~np.isin(value, range(len(words)))
        expected, cure = " or ".join(words), f"{name}={words[0]}"
    elif covariate.values is not None:
        allowed = " or ".join(f"{v:g}" for v in covariate.values)
        if isinstance(value, Evenly):
            raise CovariateError(
                f"{where}.{name}", "a range", f"{allowed}", f"{name}={covariate.values[0]:g}"
            )
        wrong = ~np.isin(value, covariate.values)
        expected, cure = allowed, f"{name}={covariate.values[0]:g}"
    elif covariate.range is not None:
        low, high = covariate.range
        ends = np.array([value.low, value.high]) if isinstance(value, Evenly) else value
        wrong = (np.asarray(ends) < low) | (np.asarray(ends) > high)
        expected, cure = f"{low:g} to {high:g}{unit}", f"{name}={min(max(covariate.reference, low), high):g}"
        value = ends
    else:
        return
    if np.any(wrong):
        at = int(np.argmax(np.atleast_1d(wrong)))
        given = float(np.atleast_1d(value)[at])
        which = f" (patient {at})" if np.ndim(value) and label is None else ""
        which = f" ({label[at]})" if label else which
        raise CovariateError(f"{where}.{name}{which}", f"{given:g}{unit}", expected, cure)


class Table:
    """Real patients: one row each, columns named as covariates (``WT``, ``HT``, ``SEX`` … are understood).

    Parameters
    ----------
    source : polars or pandas frame, mapping of columns, or path of a CSV file
    where : str
        Named in errors.
    """

    def __init__(self, source: Any, where: str = "population.table") -> None:
        self.where = where
        self.name = "a table"
        if isinstance(source, str | Path):
            self.name = str(source)
            source = _read_csv(Path(source), where)
        columns = list(source.keys() if isinstance(source, Mapping) else getattr(source, "columns", []))
        if not columns:
            raise CovariateError(
                where, type(source).__name__, "a polars or pandas table or the path of a CSV file", ""
            )
        self.columns: dict[str, Any] = {}
        for column in columns:
            key = str(column).strip().lower()
            key = _ALIASES.get(key, key)
            if key in self.columns:
                raise CovariateError(where, f"two columns for {key!r}", "one column for each covariate", "")
            self.columns[key] = source[column]
        lengths = {len(values) for values in self.columns.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise CovariateError(where, f"columns of {sorted(lengths)} rows", "at least one row", "")
        self.n_rows = lengths.pop()
        self._read: dict[str, np.ndarray] = {}

    def __contains__(self, name: str) -> bool:
        return name.lower() in self.columns

    def values(self, name: str, unit: str, covariate: Any = None) -> np.ndarray:
        """A column as numbers in `unit`, categories of `covariate` as their numbers.

        Raises
        ------
        CovariateError
            If cells are missing or are no numbers; all rows are named, the first row being 1.
        """
        if name not in self._read:
            self._read[name] = self._numbers(name, unit, covariate)
        return self._read[name]

    def _numbers(self, name: str, unit: str, covariate: Any) -> np.ndarray:
        cells = self.columns[name.lower()]
        cells = cells.to_numpy() if hasattr(cells, "to_numpy") else np.asarray(cells)
        if cells.dtype.kind in "fiu" and name != "sex":
            numbers = cells.astype(float)
            bad = ~np.isfinite(numbers)
            if name in FOUR:
                bad |= (numbers < 0) | ((numbers == 0) & (name != "age"))
            faults = [f"row {i + 1}: {numbers[i]:g}" for i in np.flatnonzero(bad)]
        else:
            numbers = np.full(len(cells), math.nan)
            faults = []
            for i, cell in enumerate(cells.tolist()):
                if (
                    cell is None
                    or cell != cell
                    or (isinstance(cell, str) and cell.strip().lower() in _MISSING)
                ):
                    faults.append(f"row {i + 1}: missing")
                    continue
                try:
                    numbers[i] = number(name, coded(name, cell, covariate, self.where), unit, self.where)
                except InputError as error:
                    faults.append(f"row {i + 1}: {error.faults[0].given}")
        if faults:
            shown = "; ".join(faults[:20]) + (
                f"; and {len(faults) - 20} more rows" if len(faults) > 20 else ""
            )
            what = "'female' (0) or 'male' (1)" if name == "sex" else f"a number in {unit} in every row"
            raise CovariateError(f"{self.where} column {name!r}", shown, what, "leaving these rows out")
        return numbers


_MISSING = ("", ".", "na", "nan", "null", "none")


def _read_csv(path: Path, where: str) -> Any:
    import polars as pl

    if not path.is_file():
        raise CovariateError(where, repr(str(path)), "the path of a CSV file that exists", "")
    try:
        return pl.read_csv(path, infer_schema_length=None, null_values=["NA", "."])
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CovariateError(where, f"{path.name}: {first}", "a CSV table with a header line", "") from None


def shared_range(ranges: Iterable[tuple[float, float] | None]) -> tuple[float, float]:
    """What all ranges have in common; lowest may come out above highest."""
    low, high = -math.inf, math.inf
    for item in ranges:
        if item is not None:
            low, high = max(low, float(item[0])), min(high, float(item[1]))
    return low, high
