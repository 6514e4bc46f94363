"""Score maps between rating scales, only where one was published."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from pydantic import Field

from kinetamine.errors import Fault, InputError, NoData
from kinetamine.records import Record, Seen, read_toml

__all__ = ["convert"]


class _Map(Record):
    from_: str = Field(alias="from")
    to: str
    source: str
    place: str
    seen: Seen
    ranges: tuple[tuple[int, int], ...]


class _File(Record):
    maps: tuple[_Map, ...]


def _nonsense(file: _File) -> Iterable[Fault]:
    for one in file.maps:
        where = f"{one.from_} to {one.to}"
        lows = [low for low, _ in one.ranges]
        if lows != sorted(lows) or any(low > high for low, high in one.ranges):
            yield Fault(where, "ranges that do not ascend", "lowest and highest score, ascending")


@functools.cache
def _maps() -> dict[tuple[str, str], _Map]:
    file: _File = read_toml("course/scales.toml", _File, sense=_nonsense)
    return {(one.from_, one.to): one for one in file.maps}


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
    ranges = found.ranges
    if score != int(score) or not 0 <= score < len(ranges):
        raise InputError(scale, score, f"a whole score from 0 to {len(ranges) - 1}")
    low, high = ranges[int(score)]
    return low, high
