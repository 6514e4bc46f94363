"""When a curve crosses a limit: numbers only.

An effect follows one signal: a weighted sum of concentrations, at once or through an effect site. Where the effect
only ever rises (or only falls) with its signal, it is there exactly while the signal is above the patient's own
limit, so the effect itself need not be computed at every minute.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numba import njit

__all__ = ["cross", "follow", "limit_of"]

#: signals are looked for between these
_LOW, _HIGH = 1e-9, 1e9
_HALVINGS = 46
_TRIES = 65
_BLOCK = 64


@njit(cache=True, nogil=True)
def _site(signal, times, which, widths, rate, out):  # type: ignore[no-untyped-def]
    """d out / dt = rate * (signal - out), exact for a signal that is straight between its times."""
    kept = np.empty(len(widths))
    old = np.empty(len(widths))
    new = np.empty(len(widths))
    for k in range(len(widths)):
        x = rate * widths[k]
        kept[k] = np.exp(-x)
        mean = (1.0 - kept[k]) / x if x > 1e-8 else 1.0 - 0.5 * x
        old[k], new[k] = mean - kept[k], 1.0 - mean
    value = 0.0
    out[0] = 0.0
    for t in range(1, len(times)):
        k = which[t - 1]
        value = kept[k] * value + old[k] * signal[t - 1] + new[k] * signal[t]
        out[t] = value


@njit(cache=True, nogil=True)
def _signal(curves, weights, p, out):  # type: ignore[no-untyped-def]
    w = weights[0, p]
    for t in range(out.shape[0]):
        out[t] = w * curves[0, p, t]
    for d in range(1, curves.shape[0]):
        w = weights[d, p]
        if w != 0.0:
            for t in range(out.shape[0]):
                out[t] += w * curves[d, p, t]


@njit(cache=True, nogil=True)
def _follow(curves, weights, rate, times, which, widths, out):  # type: ignore[no-untyped-def]
    row = np.empty(len(times))
    for p in range(out.shape[0]):
        if np.isinf(rate[p]):
            _signal(curves, weights, p, out[p])
        else:
            _signal(curves, weights, p, row)
            _site(row, times, which, widths, rate[p], out[p])


@njit(cache=True, nogil=True, fastmath={"nnan", "nsz", "reassoc"})
def _tops(value, tops):  # type: ignore[no-untyped-def]
    """Highest value of each block: what is below a limit as a whole need not be looked at one by one."""
    for b in range(len(tops)):
        first = b * _BLOCK
        top = value[first]
        for t in range(first, min(first + _BLOCK, len(value))):
            if value[t] > top:
                top = value[t]
        tops[b] = top


@njit(cache=True, nogil=True)
def _between(times, value, t, limit):  # type: ignore[no-untyped-def]
    """When a straight line from point t - 1 to point t is at the limit."""
    share = (limit - value[t - 1]) / (value[t] - value[t - 1])
    return times[t - 1] + share * (times[t] - times[t - 1])


@njit(cache=True, nogil=True)
def _cross(curves, weights, rate, times, which, widths, limits, found):  # type: ignore[no-untyped-def]
    """found (limit, patient, 4): onset, offset, time of the peak, peak of the signal."""
    row = np.empty(len(times))
    site = np.empty(len(times))
    tops = np.empty((len(times) + _BLOCK - 1) // _BLOCK)
    for p in range(curves.shape[1]):
        scale, alone, used = 1.0, 0, 0
        for d in range(curves.shape[0]):
            if weights[d, p] != 0.0:
                used += 1
                alone = d
        if used == 1 and weights[alone, p] > 0.0 and np.isinf(rate[p]):
            value, scale = curves[alone, p], weights[alone, p]  # no copy: the limit is scaled instead
        else:
            _signal(curves, weights, p, row)
            value = row
            if not np.isinf(rate[p]):
                _site(row, times, which, widths, rate[p], site)
                value = site
        _tops(value, tops)
        highest = np.argmax(tops)
        at = highest * _BLOCK
        while at < len(times) - 1 and value[at] != tops[highest]:
            at += 1
        if not np.isfinite(value).all():  # a failed patient is nobody's onset
            found[:, p] = np.nan
            continue
        for k in range(limits.shape[0]):
            limit = limits[k, p] / scale
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


@functools.lru_cache(maxsize=8)
def _steps_of(times: bytes) -> tuple[np.ndarray, np.ndarray]:
    widths, which = np.unique(np.round(np.diff(np.frombuffer(times)), 12), return_inverse=True)
    return which.astype(np.int64), widths


def _steps(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of the few widths each step has, and the widths."""
    return _steps_of(times.tobytes())


def follow(curves: np.ndarray, weights: np.ndarray, rate: np.ndarray, times: np.ndarray) -> np.ndarray:
    """The signal of each patient.

    Parameters
    ----------
    curves : array (drive, patient, time)
    weights : array (drive, patient)
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
    _follow(curves, weights, rate, times, *_steps(times), out)
    return out


def cross(
    curves: np.ndarray, weights: np.ndarray, rate: np.ndarray, times: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """Onset, offset, time of the peak and peak of a signal.

    Parameters
    ----------
    curves, weights, rate, times
        See `follow`.
    limits : array (limit, patient)

    Returns
    -------
    array (limit, patient, 4)
        NaN where the limit is never reached; an infinite offset where it is still exceeded at the end.

    Examples
    --------
    >>> curve = np.array([[[0.0, 2.0, 0.0]]])
    >>> at_once = np.array([np.inf])
    >>> cross(curve, np.ones((1, 1)), at_once, np.array([0.0, 1.0, 2.0]), np.ones((1, 1))).tolist()
    [[[0.5, 1.5, 1.0, 2.0]]]
    """
    found = np.empty((*limits.shape, 4))
    _cross(curves, weights, rate, times, *_steps(times), limits, found)
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
