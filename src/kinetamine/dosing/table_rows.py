"""Which rows of a table count: the IGNORE and ACCEPT of NONMEM's $DATA."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from kinetamine.errors import InputError, UnknownName

__all__ = ["is_character", "leave_out"]

_OPERATORS = {
    "eq": "==", "ne": "!=", "lt": "<", "gt": ">", "le": "<=", "ge": ">=", "eqn": "==", "nen": "!=",
    "=": "==", "==": "==", "/=": "!=", "!=": "!=", "<>": "!=", "<": "<", ">": ">", "<=": "<=", ">=": ">=",
}  # fmt: skip
_CONDITION = re.compile(
    r"\s*([^\s.=!<>/()]+)\s*(?:\.(eqn|nen|eq|ne|lt|gt|le|ge)\.|(==|/=|!=|<>|<=|>=|=|<|>)|\s)\s*(\S+)\s*", re.I
)


def is_character(rule: str) -> bool:
    """Whether a rule names the first character of lines to leave out (``#``, ``@``, ``C``)."""
    return len(rule.strip().strip("'\"")) == 1


def leave_out(raw: Any, ignore: Sequence[str], accept: Sequence[str]) -> None:
    """Drop the rows that a condition of `ignore` is true for, then those that none of `accept` is true for."""
    conditions = [one for rule in ignore if not is_character(rule) for one in _list(rule)]
    gone = np.zeros(len(raw.line), bool)
    for one in conditions:
        gone |= _holds(raw, one, "ignore")
    wanted = [one for rule in accept for one in _list(rule)]
    if wanted:
        gone |= ~np.any([_holds(raw, one, "accept") for one in wanted], axis=0)
    if gone.any():
        raw.tell(f"{int(gone.sum())} rows left out by " + ", ".join((*conditions, *wanted)), gone)
        raw.keep(~gone)


def _list(rule: str) -> list[str]:
    """The conditions of ``(SEX.EQ.1, DV=0)``; any of them is enough."""
    text = rule.strip()
    if text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    return [part.strip() for part in text.split(",") if part.strip()]


def _holds(raw: Any, condition: str, option: str) -> np.ndarray:
    import polars as pl

    match = _CONDITION.fullmatch(condition)
    if match is None:
        raise InputError(
            option, repr(condition), "a character, or a condition such as DV.EQ.0", repr("ID>10")
        )
    name, word, sign, value = match.groups()
    lower = [column.lower() for column in raw.names]
    if name.lower() not in lower:
        raise UnknownName(option, name, raw.names, "a column of the table")
    column = raw.columns[lower.index(name.lower())]
    operator = _OPERATORS[(word or sign or "=").lower()]
    value = value.strip("'\"")
    text = column.cast(pl.String, strict=False).str.strip_chars().fill_null(".")
    try:
        number = float(value)
    except ValueError:
        if operator not in ("==", "!="):
            raise InputError(option, repr(condition), "a number to compare with", f"{name}>10") from None
        return np.asarray((text == value if operator == "==" else text != value).to_numpy(), bool)
    # NONMEM reads a missing value as 0; here it is neither smaller nor larger than anything.
    given = text.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    compare = {"==": np.equal, "!=": np.not_equal, "<": np.less, ">": np.greater, "<=": np.less_equal}
    return np.asarray(compare.get(operator, np.greater_equal)(given, number), bool)
