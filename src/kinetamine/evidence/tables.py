"""What the pages and screens of every part are made of: numbers with three digits, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["NONE", "Screen", "significant", "table"]

NONE = "–"


@dataclass(frozen=True)
class Screen:
    """A table for the screen, and the lines below it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[str, ...] = ()


def significant(x: float | None, digits: int = 3) -> str:
    """A number with three significant digits, never in powers of ten.

    Examples
    --------
    >>> [significant(x) for x in (1234.5, 0.0123456, 99.96, 0)]
    ['1230', '0.0123', '100', '0']
    """
    if x is None or not math.isfinite(x):
        return NONE
    if x == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(x)))
    x = round(x, places)
    places = digits - 1 - math.floor(math.log10(abs(x)))
    return f"{round(x, places):.{max(places, 0)}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
