"""When a curve crosses a limit: numbers only.

An effect follows one signal: a sum of concentrations, each at once or through an effect site. Where the effect only
ever rises (or only falls) with its signal, it is there exactly while the signal is above the patient's own limit,
so the effect itself need not be computed at every minute.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numba import njit

__all__ = ["Signal", "Signals", "cross", "follow", "highest", "limit_of"]

#: signals are looked for between these
_LOW, _HIGH = 1e-9, 1e9
_HALVINGS = 46
_TRIES = 65
_BLOCK = 64
#: patients in step: an effect site waits for its own last value, several sites do not wait for each other
_LANES = 8


@dataclass(frozen=True)
class Signal:
    """What an effect follows, and the limits that are looked for.

    Parameters
    ----------
    weights : array (part, curve, patient)
        A part is a weighted sum of the curves; the signal is the sum of its parts.
    rate : array (part, patient), 1/h
        How fast a part follows its sum; infinite: at once.
    limits : array (limit, patient)
    """

    weights: np.ndarray
    rate: np.ndarray
    limits: np.ndarray


class Signals:
    """Several signals of the same curves, looked at in one go.

    Examples
    --------
    >>> at_once = Signal(np.ones((1, 1, 1)), np.full((1, 1), np.inf), np.ones((1, 1)))
    >>> Signals([at_once, at_once]).count
    2
    """

    def __init__(self, signals: Iterable[Signal]) -> None:
        every = list(signals)
        #: number of all limits
        self.count = sum(len(s.limits) for s in every)
        self.arrays = (
            np.concatenate([s.weights for s in every]),
            np.concatenate([s.rate for s in every]),
            np.concatenate([s.limits for s in every]),
            np.cumsum([0] + [len(s.weights) for s in every]),
            np.cumsum([0] + [len(s.limits) for s in every]),
        )


@njit(cache=True, nogil=True)
def _tables(rate, widths, lane, kept, old, new):  # type: ignore[no-untyped-def]
    """What a step of each width keeps of a site, and takes of the sum before and after it."""
    for k in range(len(widths)):
        x = rate * widths[k]
        kept[k, lane] = np.exp(-x)
        mean = (1.0 - kept[k, lane]) / x if x > 1e-8 else 1.0 - 0.5 * x
        old[k, lane], new[k, lane] = mean - kept[k, lane], 1.0 - mean


@njit(cache=True, nogil=True)
def _sites(signal, which, kept, old, new, out):  # type: ignore[no-untyped-def]
    """d out / dt = rate * (signal - out), exact for signals that are straight between their times."""
    for t in range(1, signal.shape[1]):
        k = which[t - 1]
        for lane in range(_LANES):
            out[lane, t] = (
                kept[k, lane] * out[lane, t - 1]
                + old[k, lane] * signal[lane, t - 1]
                + new[k, lane] * signal[lane, t]
            )


@njit(cache=True, nogil=True)
def _sum(curves, weights, p, column, out):  # type: ignore[no-untyped-def]
    w = weights[0, column]
    for t in range(out.shape[0]):
        out[t] = w * curves[0, p, t]
    for d in range(1, curves.shape[0]):
        w = weights[d, column]
        if w != 0.0:
            for t in range(out.shape[0]):
                out[t] += w * curves[d, p, t]


@njit(cache=True, nogil=True)
def _part(curves, weights, rate, start, p, n, which, widths, tables, rows, out):  # type: ignore[no-untyped-def]
    """One part of a signal in `n` patients from `p` on."""
    at_once = True
    for lane in range(n):
        at_once = at_once and np.isinf(rate[start + p + lane])
    for lane in range(n):
        _sum(curves, weights, p + lane, start + p + lane, out[lane] if at_once else rows[lane])
    if at_once:
        return
    kept, old, new = tables
    for lane in range(_LANES):
        column = start + p + min(lane, n - 1)
        if lane > 0 and rate[column] == rate[column - 1]:
            for k in range(len(widths)):
                kept[k, lane] = kept[k, lane - 1]
                old[k, lane], new[k, lane] = old[k, lane - 1], new[k, lane - 1]
        else:
            _tables(rate[column], widths, lane, kept, old, new)
        out[lane, 0] = rows[lane, 0] if np.isinf(rate[column]) else 0.0
    _sites(rows, which, kept, old, new, out)


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _tops(value, tops):  # type: ignore[no-untyped-def]
    """Highest value of each block: what is below a limit as a whole need not be looked at one by one."""
    for k in range(len(value) // _BLOCK):
        first = k * _BLOCK
        a = b = c = d = value[first]  # four at a time: a comparison need not wait for the one before
        for t in range(first, first + _BLOCK, 4):
            a = value[t] if value[t] > a else a
            b = value[t + 1] if value[t + 1] > b else b
            c = value[t + 2] if value[t + 2] > c else c
            d = value[t + 3] if value[t + 3] > d else d
        a, c = a if a > b else b, c if c > d else d
        tops[k] = a if a > c else c
    if len(value) % _BLOCK:
        a = value[-1]
        for t in range(len(value) // _BLOCK * _BLOCK, len(value)):
            a = value[t] if value[t] > a else a
        tops[-1] = a


@njit(cache=True, nogil=True, fastmath={"reassoc"})
def _finite(value):  # type: ignore[no-untyped-def]
    nothing = 0.0
    for t in range(len(value)):
        nothing += 0.0 * value[t]
    return nothing == 0.0


@njit(cache=True, nogil=True)
def _between(times, value, t, limit):  # type: ignore[no-untyped-def]
    """When a straight line from point t - 1 to point t is at the limit."""
    share = (limit - value[t - 1]) / (value[t] - value[t - 1])
    return times[t - 1] + share * (times[t] - times[t - 1])


@njit(cache=True, nogil=True)
def _peak(value, tops):  # type: ignore[no-untyped-def]
    """Fills `tops`; the place of the highest value, -1 if not all are numbers."""
    if not _finite(value):
        return -1
    _tops(value, tops)
    highest = np.argmax(tops)
    at = highest * _BLOCK
    while value[at] != tops[highest]:
        at += 1
    return at


@njit(cache=True, nogil=True)
def _look(value, scale, at, tops, times, limits, column, found, p):  # type: ignore[no-untyped-def]
    """found (limit, patient, 4): onset, offset, time of the peak, peak of the signal."""
    if at < 0:  # a failed patient is nobody's onset
        found[:, p] = np.nan
        return
    for k in range(limits.shape[0]):
        limit = limits[k, column] / scale
        found[k, p, 0] = found[k, p, 1] = np.nan
        found[k, p, 2], found[k, p, 3] = times[at], value[at] * scale
        if not value[at] >= limit:
            continue
        b = 0
        while tops[b] < limit:
            b += 1
        first = b * _BLOCK
        while value[first] < limit:
            first += 1
        found[k, p, 0] = times[first] if first == 0 else _between(times, value, first, limit)
        b = len(tops) - 1
        while tops[b] < limit:
            b -= 1
        last = min((b + 1) * _BLOCK, len(times)) - 1
        while value[last] < limit:
            last -= 1
        over = last < len(times) - 1
        found[k, p, 1] = _between(times, value, last + 1, limit) if over else np.inf


@njit(cache=True, nogil=True)
def _cross(curves, begin, end, start, weights, rate, limits, parts, firsts, times, which, widths, found):  # type: ignore[no-untyped-def]
    shape, size = (_LANES, len(times)), (len(widths), _LANES)
    rows, site, total = np.zeros(shape), np.empty(shape), np.empty(shape)
    tables = (np.empty(size), np.empty(size), np.empty(size))
    blocks = (len(times) + _BLOCK - 1) // _BLOCK
    tops, at_of = np.empty((_LANES, len(curves), blocks)), np.empty((_LANES, len(curves)), np.int64)
    own = np.empty(blocks)
    for p in range(begin, end, _LANES):  # all signals of a few patients: their curves stay near
        n = min(_LANES, end - p)
        at_of[:] = -2  # not looked at yet
        for s in range(len(parts) - 1):
            a, z = parts[s], parts[s + 1]
            wanted, here = limits[firsts[s] : firsts[s + 1]], found[firsts[s] : firsts[s + 1]]
            plain = z == a + 1
            for lane in range(n):
                plain = plain and np.isinf(rate[a, start + p + lane])
            if not plain:
                _part(curves, weights[a], rate[a], start, p, n, which, widths, tables, rows, total)
                for part in range(a + 1, z):
                    _part(curves, weights[part], rate[part], start, p, n, which, widths, tables, rows, site)
                    for lane in range(n):
                        for t in range(len(times)):
                            total[lane, t] += site[lane, t]
            for lane in range(n):
                column = start + p + lane
                used, alone = 0, 0
                for d in range(len(curves)):
                    if weights[a, d, column] != 0.0:
                        used += 1
                        alone = d
                if plain and used == 1 and weights[a, alone, column] > 0.0:
                    # a curve itself: neither copied nor searched again, the limit is scaled instead
                    value, scale = curves[alone, p + lane], weights[a, alone, column]
                    if at_of[lane, alone] == -2:
                        at_of[lane, alone] = _peak(value, tops[lane, alone])
                    at = at_of[lane, alone]
                    _look(value, scale, at, tops[lane, alone], times, wanted, column, here, p - begin + lane)
                    continue
                if plain:
                    _sum(curves, weights[a], p + lane, column, total[lane])
                at = _peak(total[lane], own)
                _look(total[lane], 1.0, at, own, times, wanted, column, here, p - begin + lane)


@njit(cache=True, nogil=True)
def _follow(curves, weights, rate, which, widths, out):  # type: ignore[no-untyped-def]
    shape, size = (_LANES, out.shape[1]), (len(widths), _LANES)
    rows, found = np.zeros(shape), np.empty(shape)
    tables = (np.empty(size), np.empty(size), np.empty(size))
    for p in range(0, out.shape[0], _LANES):
        n = min(_LANES, out.shape[0] - p)
        _part(curves, weights, rate, 0, p, n, which, widths, tables, rows, found)
        out[p : p + n] = found[:n]


@njit(cache=True, nogil=True)
def _highest(curves, out):  # type: ignore[no-untyped-def]
    tops = np.empty((curves.shape[2] + _BLOCK - 1) // _BLOCK)
    for d in range(curves.shape[0]):
        for p in range(curves.shape[1]):
            _tops(curves[d, p], tops)
            out[d, p] = tops.max()


@functools.lru_cache(maxsize=8)
def _steps_of(times: bytes) -> tuple[np.ndarray, np.ndarray]:
    widths, which = np.unique(np.round(np.diff(np.frombuffer(times)), 12), return_inverse=True)
    return which.astype(np.int64), widths


def _steps(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the few widths each step has, and the widths."""
    return _steps_of(times.tobytes())


def highest(curves: np.ndarray) -> np.ndarray:
    """Highest value of each curve, array (curve, patient), of curves without NaN.

    Examples
    --------
    >>> highest(np.array([[[1.0, 3.0, 2.0]]])).tolist()
    [[3.0]]
    """
    out = np.empty(curves.shape[:2])
    _highest(curves, out)
    return out


def follow(curves: np.ndarray, weights: np.ndarray, rate: np.ndarray, times: np.ndarray) -> np.ndarray:
    """One part of a signal in each patient.

    Parameters
    ----------
    curves : array (curve, patient, time)
    weights : array (curve, patient)
    rate : array (patient,), 1/h
        Infinite: at once.
    times : array (time,), h
        From 0 on, where nothing has arrived yet.

    Returns
    -------
    array (patient, time)

    Examples
    --------
    >>> held = np.full((1, 1, 3), 2.0)
    >>> follow(held, np.ones((1, 1)), np.array([np.log(2)]), np.array([0.0, 1.0, 2.0])).round(6).tolist()
    [[0.0, 1.0, 1.5]]
    """
    out = np.empty(curves.shape[1:])
    _follow(curves, weights, rate, *_steps(times), out)
    return out


def cross(
    curves: np.ndarray,
    signals: Signals,
    times: np.ndarray,
    start: int = 0,
    part: tuple[int, int] | None = None,
) -> np.ndarray:
    """Onset, offset, time of the peak and peak of signals.

    Parameters
    ----------
    curves : array (curve, patient, time)
    signals : Signals
    times : array (time,), h
        See `follow`.
    start : int
        The first patient of `curves` among those of `signals`.
    part : (begin, end), optional
        Patients of `curves` to look at. Default: all.

    Returns
    -------
    array (limit, patient, 4)
        NaN where the limit is never reached; an infinite offset where it is still exceeded at the end.

    Examples
    --------
    >>> curve = np.array([[[0.0, 2.0, 0.0]]])
    >>> at_once = Signal(np.ones((1, 1, 1)), np.full((1, 1), np.inf), np.ones((1, 1)))
    >>> cross(curve, Signals([at_once]), np.array([0.0, 1.0, 2.0])).tolist()
    [[[0.5, 1.5, 1.0, 2.0]]]
    """
    begin, end = part or (0, curves.shape[1])
    found = np.empty((signals.count, end - begin, 4))
    _cross(curves, begin, end, start, *signals.arrays, times, *_steps(times), found)
    return found


def limit_of(excess: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray | None:
    """The signal from where on an effect is there.

    Parameters
    ----------
    excess : callable
        Of signals, array (patient, try) or (patient, 1): how far the effect is past its threshold.
    n : int
        Number of patients.

    Returns
    -------
    array (patient,) or None
        0 if the effect is always there, infinite if never; None if the effect does not rise with the signal all
        the way.

    Examples
    --------
    >>> limit_of(lambda s: s / (1 + s) - 0.5, 1).round(9).tolist()
    [1.0]
    """
    tries = np.concatenate([[0.0], np.geomspace(_LOW, _HIGH, _TRIES - 1)])
    sampled = excess(np.broadcast_to(tries, (min(n, 64), _TRIES)))
    if not np.isfinite(sampled).all() or (np.diff(sampled, axis=1) < -1e-9 * np.abs(sampled[:, 1:])).any():
        return None
    low, high = np.full((n, 1), np.log(_LOW)), np.full((n, 1), np.log(_HIGH))
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        there = excess(np.exp(middle)) >= 0
        low, high = np.where(there, low, middle), np.where(there, middle, high)
    limit = np.exp(high)
    limit = np.where(excess(np.full((n, 1), _HIGH)) < 0, np.inf, limit)
    return np.where(excess(np.zeros((n, 1))) >= 0, 0.0, limit)[:, 0]
