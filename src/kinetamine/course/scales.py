"""Score maps between rating scales, only where one was published."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Any

from kinetamine.errors import InputError, NoData

__all__ = ["convert"]


@functools.cache
def _maps() -> dict[tuple[str, str], dict[str, Any]]:
    path = resources.files("kinetamine").joinpath("data/course/scales.toml")
    return {(row["from"], row["to"]): row for row in tomllib.loads(path.read_text("utf-8"))["maps"]}


def convert(score: float, scale: str, to: str) -> tuple[int, int]:
    """The scores of another scale that a whole score stands for, lowest and highest.

    Raises
    ------
    NoData
        If no map was published: a MADRS score becomes no other score here.

    Examples
    --------
    >>> convert(10, "QIDS-16", "HAM-D-17")
    (13, 13)
    >>> convert(20, "MADRS", "PHQ-9")
    Traceback (most recent call last):
    kinetamine.errors.NoData: scale: got MADRS to PHQ-9; expected a published map; try QIDS-16 to HAM-D-17
    """
    found = _maps().get((scale, to))
    if found is None:
        known = ", ".join(f"{a} to {b}" for a, b in _maps())
        raise NoData("scale", f"{scale} to {to}", "a published map", known)
    ranges = found["ranges"]
    if score != int(score) or not 0 <= score < len(ranges):
        raise InputError(scale, score, f"a whole score from 0 to {len(ranges) - 1}")
    low, high = ranges[int(score)]
    return low, high
