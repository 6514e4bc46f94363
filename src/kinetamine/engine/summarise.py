"""Quantiles of more curves than fit into memory, in two passes over blocks of patients.

The first pass counts values in bins that follow the bits of a double: 256 bins to each power of two. That tells
in which bin each wanted order statistic lies. The second pass counts within those bins only, 4096 finer bins
each, so that an order statistic is known to 2.4e-7 of its value, for any number of patients and in any order of
the blocks. Passing over the patients again costs less than keeping them: the same patient is the same again.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

__all__ = ["Quantiles"]

_COARSE, _FINE = 8, 12  # bits of the mantissa looked at in the first and second pass
_LOWEST, _OCTAVES = -40, 80  # powers of two that have bins of their own
_BINS = _OCTAVES << _COARSE
_TILE = 8


@njit(cache=True, nogil=True)
def _count(values, counts, lowest, highest):
    """First pass; values (patient, time), counts (time, 1 + bins): row 0 is zero and below."""
    n, times = values.shape
    words = values.view(np.int64)
    base = np.int64(1023 + _LOWEST) << _COARSE
    for first in range(0, times, _TILE):
        last = min(first + _TILE, times)
        for p in range(n):
            for t in range(first, last):
                value = values[p, t]
                lowest[t] = min(lowest[t], value)
                highest[t] = max(highest[t], value)
                key = np.int64(0)
                if value > 0.0:
                    key = (
                        min(max((words[p, t] >> (52 - _COARSE)) - base, np.int64(0)), np.int64(_BINS - 1)) + 1
                    )
                counts[t, key] += 1


@njit(cache=True, nogil=True)
def _refine(values, wanted, counts):
    """Second pass; wanted (time, order statistic) is a bin, counts (time, order statistic, finer bins)."""
    n, times = values.shape
    words = values.view(np.int64)
    base = np.int64(1023 + _LOWEST) << _COARSE
    mask = np.int64((1 << _FINE) - 1)
    for first in range(0, times, _TILE):
        last = min(first + _TILE, times)
        for p in range(n):
            for t in range(first, last):
                if values[p, t] > 0.0:
                    key = (words[p, t] >> (52 - _COARSE)) - base + 1
                    for k in range(wanted.shape[1]):
                        if wanted[t, k] == key:
                            counts[t, k, (words[p, t] >> (52 - _COARSE - _FINE)) & mask] += 1


class Quantiles:
    """Quantiles at each time of values that come in blocks.

    Parameters
    ----------
    times : int
    q : sequence of float
        Between 0 and 1.

    Examples
    --------
    >>> values = np.random.default_rng(0).lognormal(size=(1001, 3))
    >>> s = Quantiles(3, [0.05, 0.5])
    >>> s.count(values); s.locate(); s.refine(values)
    >>> bool(np.allclose(s.result(), np.quantile(values, [0.05, 0.5], axis=0), rtol=1e-6))
    True
    """

    def __init__(self, times: int, q: Sequence[float]) -> None:
        self.q = np.asarray(q, dtype=float)
        self.counts = np.zeros((times, _BINS + 1), np.uint32)
        self.lowest = np.full(times, np.inf)
        self.highest = np.full(times, -np.inf)

    def __getstate__(self) -> dict[str, np.ndarray | int]:
        """What is sent or kept: of the counts, which are mostly zero, only the others."""
        state = dict(self.__dict__)
        for name in ("counts", "fine"):
            if name in state:
                flat = state[name].reshape(-1)
                at = np.flatnonzero(flat)
                state |= {name: flat[at], f"{name}_at": at, f"{name}_shape": np.array(state[name].shape)}
        return state

    def __setstate__(self, state: dict[str, np.ndarray | int]) -> None:
        kept = dict(state)
        for name in ("counts", "fine"):
            if name in kept:
                full = np.zeros(tuple(kept.pop(f"{name}_shape")), np.uint32)  # type: ignore[arg-type]
                full.reshape(-1)[kept.pop(f"{name}_at")] = kept[name]
                kept[name] = full
        self.__dict__.update(kept)

    def count(self, values: np.ndarray) -> None:
        """First pass over a block, array (patient, time)."""
        _count(values, self.counts, self.lowest, self.highest)

    def merge(self, other: Quantiles) -> None:
        """Take in what another thread has counted."""
        self.counts += other.counts
        self.lowest = np.minimum(self.lowest, other.lowest)
        self.highest = np.maximum(self.highest, other.highest)

    def locate(self) -> None:
        """Between the passes: find the bin of each order statistic."""
        total = int(self.counts[0].sum()) if len(self.counts) else 0
        place = self.q * (total - 1)
        low = np.floor(place).astype(np.int64)
        self.share = place - low
        self.ranks = np.concatenate([low, np.minimum(low + 1, total - 1)])
        self.total = total
        self.wanted = np.zeros((len(self.counts), len(self.ranks)), np.int64)
        self.before = np.zeros_like(self.wanted)
        for t, row in enumerate(self.counts):
            running = np.cumsum(row, dtype=np.int64)
            self.wanted[t] = np.searchsorted(running, self.ranks, side="right")
            self.before[t] = running[self.wanted[t]] - row[self.wanted[t]]
        self.fine = np.zeros((*self.wanted.shape, 1 << _FINE), np.uint32)

    def another(self) -> Quantiles:
        """An empty counter for the second pass of another thread."""
        twin = object.__new__(Quantiles)
        twin.__dict__.update(self.__dict__)
        twin.counts = self.counts[:0]  # what was counted is settled: it need not travel
        twin.fine = np.zeros_like(self.fine)
        return twin

    def merge_fine(self, other: Quantiles) -> None:
        """Take in what another thread has counted in the second pass."""
        self.fine += other.fine

    def refine(self, values: np.ndarray) -> None:
        """Second pass over a block, array (patient, time)."""
        _refine(values, self.wanted, self.fine)

    def result(self) -> np.ndarray:
        """Quantiles with linear interpolation between order statistics, array (q, time)."""
        times = len(self.wanted)
        found = np.zeros((times, len(self.ranks)))
        base = (1023 + _LOWEST) << _COARSE
        for t in range(times):
            for k, rank in enumerate(self.ranks):
                key = int(self.wanted[t, k])
                if key == 0:
                    found[t, k] = min(0.0, self.lowest[t])
                    continue
                running = np.cumsum(self.fine[t, k], dtype=np.int64)
                finer = int(np.searchsorted(running, rank - self.before[t, k], side="right"))
                finer = min(finer, (1 << _FINE) - 1)
                word = (((key - 1 + base) << _FINE | finer) << 1 | 1) << (51 - _COARSE - _FINE)
                found[t, k] = np.int64(word).view(np.float64)
        found = np.clip(found, self.lowest[:, None], self.highest[:, None])
        n = len(self.q)
        low, high = found[:, :n], found[:, n:]
        return np.ascontiguousarray((low + self.share * (high - low)).T)
