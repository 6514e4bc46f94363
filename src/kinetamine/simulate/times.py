"""When to look: the times of a request, or a grid that shows its regimen."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from kinetamine import units
from kinetamine.dosing import Regimen
from kinetamine.errors import InputError

__all__ = ["MOST_TIMES", "default_times", "read_times"]

MOST_TIMES = 1_000_000


def default_times(regimen: Regimen, until: float | None = None, step: float | None = None) -> np.ndarray:
    """Times that show a regimen: an even grid, the starts of doses and the ends of infusions.

    Examples
    --------
    >>> default_times(Regimen.parse("35 mg iv over 40 min"))[:3].round(3).tolist()
    [0.0, 0.05, 0.1]
    """
    end = until if until is not None else _default_end(regimen)
    if step is not None:
        grid = step * np.arange(math.floor(end / step * (1 + 1e-12)) + 1)
        return grid if grid[-1] >= end * (1 - 1e-12) else np.append(grid, end)
    nice = (1 / 60, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 6.0, 12.0, 24.0, 168.0)
    width = next((w for w in nice if end / w <= 700), end / 700)
    grid = np.round(width * np.arange(math.floor(end / width * (1 + 1e-12)) + 1), 12)
    expanded = regimen.expanded() if sum(d.count for d in regimen.doses) <= 1000 else list(regimen.doses)
    turns = [t for d in expanded for t in (d.time_h, d.end_h) if t <= end]
    more = np.unique(np.append(np.round(turns, 12), end))
    near = np.minimum(
        np.abs(more - grid[np.minimum(np.searchsorted(grid, more), len(grid) - 1)]),
        np.abs(more - grid[np.maximum(np.searchsorted(grid, more) - 1, 0)]),
    )
    return np.sort(np.append(grid, more[near > 1e-9]))


def _default_end(regimen: Regimen) -> float:
    """A day after the last dose began, or after the end of an infusion of a day or more."""
    last = regimen.duration_h + 24.0
    return last if regimen.end_h < last else regimen.end_h + 24.0


def _duration(name: str, value: float | str, cure: str) -> float:
    hours = units.read(value, "h", name) if isinstance(value, str) else float(value)
    if not math.isfinite(hours) or hours <= 0:
        raise InputError(name, repr(value), "a positive time", cure)
    return hours


def read_times(
    times: Iterable[float] | None,
    until: float | str | None,
    step: float | str | None,
    regimen: Regimen,
) -> np.ndarray:
    if times is None:
        end = _duration("until", until, "'28 d'") if until is not None else None
        width = _duration("step", step, "'1 h'") if step is not None else None
        if width is not None and (end if end is not None else _default_end(regimen)) / width > MOST_TIMES:
            raise InputError("step", repr(step), f"at most {MOST_TIMES:,} times", "a longer step")
        return default_times(regimen, end, width)
    if until is not None or step is not None:
        raise InputError("times", "times as well as until or step", "one or the other", "times alone")
    try:
        grid = np.array(list(times) if not isinstance(times, np.ndarray) else times, dtype=float)
    except (TypeError, ValueError):
        raise InputError("times", repr(times)[:60], "numbers, in h", "[0.5, 1, 2]") from None
    if grid.ndim != 1 or len(grid) == 0:
        raise InputError(
            "times", f"an array of shape {grid.shape}", "a row of at least one time", "[0.5, 1, 2]"
        )
    if len(grid) > MOST_TIMES:
        raise InputError("times", f"{len(grid):,} times", f"at most {MOST_TIMES:,}", "fewer")
    if not np.isfinite(grid).all() or (grid < 0).any() or (grid > 1e7).any():
        bad = grid[~(np.isfinite(grid) & (grid >= 0) & (grid <= 1e7))][0]
        raise InputError("times", f"{bad:g}", "finite times of at least 0 h", "[0.5, 1, 2]")
    if (np.diff(grid) < 0).any():
        raise InputError("times", "times that go back", "ascending times", "sorted(times)")
    return grid
