"""Exposure measures of many curves (non-compartmental analysis): numbers in, numbers out.

Definitions, the usual ones of non-compartmental analysis:

cmax, tmax_h
    The highest sampled value in the window and the first time it is reached; no interpolation.
auc_last
    Area from the start of the window to the last positive value, linear trapezoids while the curve rises,
    logarithmic ones while it falls. Window edges between two samples are interpolated by the same rule.
half_life_h
    ln 2 / slope of a straight line through the logarithms of the last 3 or more positive samples after Tmax:
    as many of them as give the best adjusted R², and of stretches within `NEARLY_BEST` of it the longest.
auc_inf
    auc_last + last positive value / slope.
time_above_h
    Time spent above `level`, crossings interpolated as for the area.

What cannot be determined is NaN.
"""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["MEASURES", "measure", "measure_ragged"]

#: columns of the arrays returned, in this order
MEASURES = ("cmax", "tmax_h", "auc_last", "auc_inf", "half_life_h", "time_above_h")

#: adjusted R² this close to the best counts as equally good, and the longer stretch wins
NEARLY_BEST = 1e-4

_LN2 = math.log(2.0)
_BLOCK = 2048


@njit(cache=True, nogil=True)
def _log_mean(a: float, b: float) -> float:
    """(a - b) / ln(a / b) for a > b > 0, without the cancellation (or the logarithm) when they are close."""
    x = (a - b) / (a + b)
    if x < 0.05:
        y = x * x
        return 0.5 * (a + b) / (1.0 + y * (1 / 3 + y * (1 / 5 + y * (1 / 7 + y / 9))))
    return (a - b) / math.log(a / b)


@njit(cache=True, nogil=True)
def _between(t0: float, c0: float, t1: float, c1: float, t: float) -> float:
    """The curve at t between two samples: straight when rising, exponential when falling."""
    share = (t - t0) / (t1 - t0)
    if c0 > c1 > 0.0:
        return c0 * math.exp(share * math.log(c1 / c0))
    return c0 + share * (c1 - c0)


@njit(cache=True, nogil=True)
def _above(t0: float, c0: float, t1: float, c1: float, level: float) -> float:
    if c0 > level and c1 > level:
        return t1 - t0
    if c0 <= level and c1 <= level:
        return 0.0
    if c0 <= level:
        return (t1 - t0) * (c1 - level) / (c1 - c0)
    if c1 > 0.0 and level > 0.0:
        return (t1 - t0) * math.log(c0 / level) / math.log(c0 / c1)
    return (t1 - t0) * (c0 - level) / (c0 - c1)


@njit(cache=True, nogil=True)
def _slope(t, c, first, last, adjusted, slopes):
    """Terminal slope (positive) over samples first..last, best adjusted R²; NaN when there is none."""
    n = 0
    mean_x = mean_y = sxx = syy = sxy = 0.0
    best = -math.inf
    for i in range(last, first - 1, -1):
        if not (c[i] > 0.0 and c[i] < math.inf):
            continue
        x, y = t[i] - t[last], math.log(c[i])
        n += 1
        dx, dy = x - mean_x, y - mean_y  # running sums of squares about the mean: no cancellation
        mean_x += dx / n
        mean_y += dy / n
        sxx += dx * (x - mean_x)
        syy += dy * (y - mean_y)
        sxy += dx * (y - mean_y)
        adjusted[n - 1] = -math.inf
        if n < 3 or not (sxx > 0.0 and syy > 0.0 and sxy < 0.0):
            continue
        value = 1.0 - (1.0 - sxy * sxy / (sxx * syy)) * (n - 1) / (n - 2)
        adjusted[n - 1] = value
        slopes[n - 1] = -sxy / sxx
        if value > best:
            best = value
    if best == -math.inf:
        return math.nan
    k = n - 1
    while adjusted[k] < best - NEARLY_BEST:
        k -= 1
    return slopes[k]


@njit(cache=True, nogil=True)
def _curve(t, c, level, from_h, to_h, tail, adjusted, slopes, out):
    n = t.shape[0]
    for j in range(6):
        out[j] = math.nan
    cmax, lowest = -math.inf, math.inf
    i_max = i_last = -1
    auc = auc_last = c_last = above = 0.0
    previous = -1
    segments = 0
    for i in range(n):
        if not math.isfinite(c[i]):
            continue
        if from_h <= t[i] <= to_h:
            if c[i] > cmax:
                cmax, i_max = c[i], i
            if c[i] < lowest:
                lowest = c[i]
            if c[i] > 0.0:
                i_last = i
        if previous >= 0:
            t0, c0, t1, c1 = t[previous], c[previous], t[i], c[i]
            if t1 > t0 and t1 > from_h and t0 < to_h:
                a, ca, b, cb = t0, c0, t1, c1
                if a < from_h:
                    a, ca = from_h, _between(t0, c0, t1, c1, from_h)
                if b > to_h:
                    b, cb = to_h, _between(t0, c0, t1, c1, to_h)
                segments += 1
                auc += (b - a) * (_log_mean(ca, cb) if ca > cb > 0.0 else 0.5 * (ca + cb))
                if cb > 0.0:
                    auc_last, c_last = auc, cb
                if not math.isnan(level):
                    above += _above(a, ca, b, cb, level)
        previous = i
    if i_max < 0:
        return
    out[0] = cmax
    if cmax > 0.0:
        out[1] = t[i_max]
    if segments == 0:
        return
    if not math.isnan(level):
        out[5] = above
    if cmax > 0.0 or lowest >= 0.0:
        out[2] = auc_last
    if tail and i_last > i_max:
        slope = _slope(t, c, i_max + 1, i_last, adjusted, slopes)
        out[3] = auc_last + c_last / slope
        out[4] = _LN2 / slope


@njit(cache=True, nogil=True)
def _grid(t, values, level, from_h, to_h, tail, out):
    adjusted = np.empty(t.shape[0])
    slopes = np.empty(t.shape[0])
    for p in range(values.shape[0]):
        _curve(t, values[p], level, from_h, to_h, tail, adjusted, slopes, out[p])


@njit(cache=True, nogil=True)
def _ragged(t, c, starts, level, from_h, to_h, out):
    adjusted = np.empty(t.shape[0])
    slopes = np.empty(t.shape[0])
    for p in range(starts.shape[0] - 1):
        a, b = starts[p], starts[p + 1]
        _curve(t[a:b], c[a:b], level, from_h, to_h, True, adjusted, slopes, out[p])


def measure(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    level: float = math.nan,
    from_h: float = -math.inf,
    to_h: float = math.inf,
    *,
    out: NDArray[np.float64] | None = None,
    threads: int | None = 1,
    tail: bool = True,
) -> NDArray[np.float64]:
    """Exposure measures of curves on a common time grid.

    Parameters
    ----------
    times : array (time,), h
        Ascending.
    values : array (patient, time)
        Missing values are NaN and are left out.
    level : float
        For the time above it; NaN = not asked.
    from_h, to_h : float
        Window, h.
    out : array (patient, 6), optional
        Written to instead of a new array.
    threads : int, optional
        None = one per processor; a caller that has threads of its own leaves it at 1.
    tail : bool
        Whether the terminal slope is looked for; without it `auc_inf` and `half_life_h` are NaN and the logarithm of
        every sample is saved.

    Returns
    -------
    array (patient, 6)
        Columns as in `MEASURES`; NaN where not determinable.

    Examples
    --------
    >>> t = np.arange(0.0, 25.0)
    >>> measure(t, 100.0 * np.exp(-0.1 * t)[None, :]).round(3).tolist()
    [[100.0, 0.0, 909.282, 1000.0, 6.931, nan]]
    """
    t = np.ascontiguousarray(times, dtype=np.float64)
    n = values.shape[0]
    if out is None:
        out = np.empty((n, len(MEASURES)))
    window = (float(level), float(from_h), float(to_h), tail)

    def block(start: int) -> None:
        part = np.ascontiguousarray(values[start : start + _BLOCK], dtype=np.float64)
        _grid(t, part, *window, out[start : start + _BLOCK])

    starts = range(0, n, _BLOCK)
    workers = min(threads or os.cpu_count() or 1, len(starts))
    if workers <= 1:
        for start in starts:
            block(start)
    else:
        block(0)  # compiles (or reads the cache) once, before the threads start
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(block, starts[1:]))
    return out


def measure_ragged(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    starts: NDArray[np.int64],
    level: float = math.nan,
    from_h: float = -math.inf,
    to_h: float = math.inf,
) -> NDArray[np.float64]:
    """Exposure measures of curves that each have times of their own.

    Parameters
    ----------
    times, values : array (record,)
        All curves one after the other, times ascending within each.
    starts : array (subject + 1,) of int
        Where each curve starts, and the end.

    Returns
    -------
    array (subject, 6)
        Columns as in `MEASURES`.

    Examples
    --------
    >>> t = np.array([0.0, 1.0, 2.0, 0.0, 4.0])
    >>> c = np.array([8.0, 4.0, 2.0, 0.0, 1.0])
    >>> measure_ragged(t, c, np.array([0, 3, 5]))[:, :3].round(3).tolist()
    [[8.0, 0.0, 8.656], [1.0, 4.0, 2.0]]
    """
    bounds = np.ascontiguousarray(starts, dtype=np.int64)
    out = np.empty((bounds.shape[0] - 1, len(MEASURES)))
    _ragged(
        np.ascontiguousarray(times, dtype=np.float64),
        np.ascontiguousarray(values, dtype=np.float64),
        bounds,
        float(level),
        float(from_h),
        float(to_h),
        out,
    )
    return out
