"""Axes: the time axis and its ticks, logarithmic ticks, and labels that keep their distance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.report.figures.vega import Sheet

__all__ = ["MOST_POINTS", "Clock", "apart", "blank", "log_domain", "log_ticks", "thin", "time_axis"]

#: time points a curve is thinned to
MOST_POINTS = 500

_TIMES = (
    (2.0, "min", 1 / 60, (5, 10, 15, 20, 30)),
    (96.0, "h", 1.0, (0.5, 1, 2, 3, 4, 6, 8, 12, 24)),
    (math.inf, "d", 24.0, (1, 2, 7, 14, 28, 56, 91, 182, 364, 728)),
)


def thin(*shapes: np.ndarray[Any, Any], most: int = MOST_POINTS) -> np.ndarray[Any, Any]:
    """Places to keep so that no peak and no trough of the curves is lost.

    Parameters
    ----------
    *shapes : array (time,)
        Curves on one time grid.
    most : int
        How many places to keep at most, about.

    Returns
    -------
    array of int
        Ascending, with the first and the last place.

    Examples
    --------
    >>> spike = np.zeros(10_000); spike[4321] = 1.0
    >>> kept = thin(spike)
    >>> len(kept) <= 500, 4321 in kept
    (True, True)
    """
    n = len(shapes[0])
    if n <= most:
        return np.arange(n)
    blocks = max(1, (most - 2) // (2 * len(shapes)))
    size = -(-n // blocks)
    starts = np.arange(0, n, size)
    kept = [np.array([0, n - 1])]
    for shape in shapes:
        filled = np.nan_to_num(np.asarray(shape, dtype=np.float64), nan=0.0)
        # the last block is filled up with its last value, which comes after the places looked for
        padded = np.pad(filled, (0, len(starts) * size - n), mode="edge").reshape(-1, size)
        kept += [starts + padded.argmax(axis=1), starts + padded.argmin(axis=1)]
    return np.unique(np.concatenate(kept))


@dataclass(frozen=True)
class Clock:
    """The time axis: its unit, its ends in that unit and where its ticks stand.

    Examples
    --------
    >>> clock = Clock.over(0.0, 24.0, 560)
    >>> clock.unit, clock.ticks[:3]
    ('h', (0, 3, 6))
    """

    unit: str
    per_unit_h: float
    start: float
    end: float
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, time_h: np.ndarray[Any, Any], width: int) -> Clock:
        """The axis of these times; zero is on it when it is near."""
        low, high = (float(time_h.min()), float(time_h.max())) if len(time_h) else (0.0, 1.0)
        return cls.over(min(low, 0.0) if low < 0.2 * high else low, high, width)

    @classmethod
    def over(cls, low: float, high: float, width: int) -> Clock:
        """The axis between two times in h."""
        if high <= low:
            high = low + 1.0
        _, unit, size, steps = next(row for row in _TIMES if high <= row[0])
        start, end = low / size, high / size
        step = next((s for s in steps if (end - start) / s <= width / 52), steps[-1])
        first = math.ceil(start / step - 1e-9)
        ticks = tuple(round(k * step, 9) for k in range(first, math.floor(end / step + 1e-9) + 1))
        return cls(unit, size, start, end, ticks)

    def __call__(self, time_h: Any) -> Any:
        """Times in h, in the unit of the axis."""
        return np.asarray(time_h, dtype=np.float64) / self.per_unit_h


def time_axis(
    sheet: Sheet,
    clock: Clock,
    field: str = "t",
    *,
    named: bool = True,
    bare: bool = False,
    words: str = "time",
    name: str = "x",
) -> dict[str, Any]:
    """The encoding of time, the same in every panel of a figure.

    The page zooms by setting ``x_low``, ``x_high`` and ``x_ticks``; ``x_unit`` is the unit of all three.
    """
    domain = sheet.domain(name, clock.start, clock.end)
    ticks = sheet.live(f"{name}_ticks", list(clock.ticks))
    title = sheet.live(f"{name}_title", f"{words}, {clock.unit}")
    sheet.live(f"{name}_unit", clock.unit)
    axis: dict[str, Any] = {"values": ticks, "grid": True, "title": title if named else None}
    if bare:
        axis |= {"labels": False, "ticks": False}
    scale = {"domain": domain, "nice": False, "zero": False}
    return {"field": field, "type": "quantitative", "scale": scale, "axis": axis}


def blank() -> dict[str, Any]:
    """An axis that is not seen."""
    return {"title": None, "labels": False, "ticks": False, "grid": False, "domain": False}


def log_domain(values: np.ndarray[Any, Any], decades: float = 4.0) -> tuple[float, float]:
    """Ends of a logarithmic axis: a round number below what is drawn, some room above.

    Examples
    --------
    >>> log_domain(np.array([0.0, 3.0, 100.0]))
    (2.0, 130.0)
    """
    values = values[values > 0]
    if not values.size:
        return 0.1, 1.0
    high = float(values.max())
    least = max(float(values.min()), high / 10**decades)
    decade = 10.0 ** math.floor(math.log10(least))
    return decade * max(k for k in (1, 2, 5) if k * decade <= least * (1 + 1e-9)), high * 1.3


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them when there are few.

    Examples
    --------
    >>> log_ticks(0.5, 30)
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    """
    steps = (1,) if high / low > 300 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{k}e{d}") for d in decades for k in steps]
    return [t for t in ticks if low * (1 - 1e-9) <= t <= high]


def apart(places: Sequence[float], sizes: Sequence[float], height: float) -> list[float]:
    """Middles of labels moved as little as needed to stand apart and inside the panel.

    Parameters
    ----------
    places, sizes : sequence of float
        Where each label should be and how high it is.
    height : float
        Of the panel.

    Examples
    --------
    >>> apart([200.0, 199.0], [30, 30], 200)
    [185.0, 155.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    top = 0.0
    for i in order:
        moved[i] = max(moved[i], top + sizes[i] / 2)
        top = moved[i] + sizes[i] / 2
    foot = height
    for i in reversed(order):
        moved[i] = min(moved[i], foot - sizes[i] / 2)
        foot = moved[i] - sizes[i] / 2
    return moved
