"""Exposure that does not depend on the times shown.

The terminal half-life of a linear model and its area to infinity follow from the model itself; peaks are found on
times of their own, dense after every start and end of a dose; of a non-linear model these times go on for three
terminal half-lives, or it is said that the area cannot be told.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from kinetamine.cluster import Blocks
from kinetamine.engine import nca, terminal
from kinetamine.engine.timeline import Doses
from kinetamine.formulas.tree import names
from kinetamine.population import Patient
from kinetamine.results.exposure import Measured
from kinetamine.simulate.grid import GridRun
from kinetamine.simulate.runner import Piece
from kinetamine.simulate.share import Share

__all__ = ["OwnExposure"]

#: each time since a dose is this much longer than the one before it
_RATIO = 1.06
#: first interval after a dose begins or ends, h, and the most times in all
_FIRST_H, _MOST_TIMES = 0.005, 8000
#: how many terminal half-lives the times go on after the last dose: linear and other models
_FOLLOWED, _REACHED = 10.0, 3.0
#: a last phase whose rate changes by less than this is one
_STEADY = 0.01
#: an area is told when no more of it than this lies beyond the times
_MOST_BEYOND = 0.2
#: longest time looked at, h (about two years)
_LONGEST_H = 20_000.0

_Rows = tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]

CMAX, TMAX, LAST, INFINITE, HALF, ABOVE = range(6)


class OwnExposure:
    """Measures exposure of one share of a request; nothing is computed before it is asked for.

    Parameters
    ----------
    share : Share
    threads : int
    blocks : Blocks, optional
        Workers who measure instead of threads.
    """

    def __init__(self, share: Share, threads: int, blocks: Blocks | None = None) -> None:
        self.share, self.threads, self.blocks = share, threads, blocks
        plain = not share.model.starts and not any(d.steady_state for d in share.doses)
        self.exact = share.model.linear and plain

    @functools.cached_property
    def run(self) -> GridRun:
        """The run on its own times."""
        return GridRun(replace(self.share, times=self._times()), self.threads)

    # ---- times

    def _times(self) -> np.ndarray:
        typical = GridRun(replace(self.share, population=self._typical(), occasion_starts=np.zeros(0)), 1)
        piece = typical.prepare(0, 1)
        turns = _turns(self.share, piece.doses)
        end = turns[-1]
        if self.share.model.linear:
            half = self._half_life(piece)
            return _own_times(turns, min(end + _FOLLOWED * half, end + _LONGEST_H))
        far = end + 24.0
        while far < end + _LONGEST_H:
            times = _own_times(turns, far)
            run = GridRun(replace(typical.share, times=times), 1)
            tails = [_last_phase(times, c, end) for c in run.stored().values()]
            halves = [float(math.log(2) / rate[0]) for rate, steady, _ in tails if steady[0] and rate[0] > 0]
            if len(halves) == len(tails) and far - end >= _REACHED * max(halves):
                break
            far = end + 2 * (far - end)
        return _own_times(turns, min(far, end + _LONGEST_H))

    def _typical(self) -> Any:
        people = self.share.population
        if people.n == 1 and not people.variability:
            return people
        known = {} if "weight" in self.share.model.spec.covariates else {"weight": 70}
        return Patient(**known)

    def _half_life(self, piece: Piece) -> float:
        halves = [
            math.log(2) / r for r in (float(self._rate(piece, o)[0]) for o in self.share.outputs) if r > 0
        ]
        return max(halves, default=24.0)

    # ---- what follows from the model itself

    def _matrix(self, piece: Piece) -> dict[tuple[int, int], np.ndarray]:
        """The system after the last dose, one array (patient,) per place."""
        model = self.share.model
        numbers = model.coefficients(piece.env, piece.shape)
        return {place: values[-1] for place, values in zip(model.places, numbers, strict=True)}

    def _seen(self, piece: Piece, output: str) -> list[int]:
        """States that an output is made of."""
        model = self.share.model
        if output in model.sums:
            return [s for s, _ in model.sums[output]]
        return list(model.watched((output,)))

    def _rate(self, piece: Piece, output: str) -> np.ndarray:
        model, n = self.share.model, piece.stop - piece.start
        states = terminal.between(model.places, piece.doses.state, self._seen(piece, output))
        if not states:
            return np.zeros(n)
        return np.broadcast_to(terminal.slowest_rate(self._matrix(piece), states), n)

    def _area(self, piece: Piece, output: str) -> np.ndarray | None:
        """Area from the first dose to infinity, where a closed form gives it."""
        model, n = self.share.model, piece.stop - piece.start
        if not self.exact or output not in model.sums or piece.shape[0] > 1:
            return None
        states = terminal.between(model.places, piece.doses.state, self._seen(piece, output))
        weights = model.weights(piece.env, (output,), piece.shape)[:, -1]
        weight_of = dict(zip((s for s, _ in model.sums[output]), weights, strict=True))
        unit = terminal.areas(self._matrix(piece), states, weight_of)
        doses = piece.doses
        repeats = np.repeat(doses.additional + 1, np.diff(doses.first_part))
        amount = np.where(doses.duration_h > 0, doses.value * doses.duration_h, doses.value)
        total = np.zeros(n)
        for part, state in enumerate(doses.state):
            if state in unit:
                total = total + unit[int(state)] * amount[part] * repeats[part]
        return total

    def _constant(self, output: str) -> bool:
        """Whether an output is a property of the person: it looks at no amount and no time."""
        model = self.share.model
        moving = {*model.states, "time", "last_dose", "last_dose_at"}
        return output in model.formulas and not names(model.formulas[output]) & moving

    # ---- measuring

    def measure(
        self, levels: Mapping[str, float], from_h: float, to_h: float, last_h: float
    ) -> dict[str, Measured]:
        """Exposure of every output in a window of time.

        Parameters
        ----------
        levels : dict of output to level
            Of the outputs that are measured; NaN: no time above it.
        from_h, to_h : float, h
            The window; to infinity when nobody asked for one.
        last_h : float, h
            Last time shown, where the area to last ends.
        """
        asked = (dict(levels), from_h, to_h, last_h)
        found, beyond, failed = self._rows(*asked) if self.blocks is None else self._gathered(*asked)
        result = {}
        for name, rows in found.items():
            rows[failed] = np.nan
            untold = np.isnan(rows[:, INFINITE]) & (beyond[name] > _MOST_BEYOND)
            remark = ""
            if self._constant(name):
                remark = "one value per person, not a curve"
            elif untold.any() and math.isinf(to_h):
                share = float(np.median(beyond[name][untold]))
                remark = f"cannot be told: {share:.0%} of the area lies after {self._end_h:,.0f} h"
                remark = remark.replace("%", " %")
            result[name] = Measured(rows, remark)
        return result

    @functools.cached_property
    def _end_h(self) -> float:
        """Last of its own times."""
        return float(self._times()[-1])

    def _gathered(self, levels: Mapping[str, float], from_h: float, to_h: float, last_h: float) -> _Rows:
        """The same from workers, block by block."""
        assert self.blocks is not None
        n = self.share.population.n
        found = {o: np.empty((n, len(nca.MEASURES))) for o in levels}
        beyond, failed = {o: np.empty(n) for o in levels}, np.zeros(n, bool)

        def take(block: tuple[int, int], answer: _Rows) -> None:
            people = slice(*block)
            for o in levels:
                found[o][people], beyond[o][people] = answer[0][o], answer[1][o]
            failed[people] = answer[2]

        def arguments(start: int, stop: int) -> tuple[Any, ...]:
            return self.share, start, stop, levels, from_h, to_h, last_h

        self.blocks.each(_block, arguments, self.blocks.of(n), take)
        return found, beyond, failed

    def _rows(self, levels: Mapping[str, float], from_h: float, to_h: float, last_h: float) -> _Rows:
        """Measures of everybody, what of an area lies beyond the times, and who failed."""
        run, times = self.run, self.run.share.times
        found = {o: np.full((run.n, len(nca.MEASURES)), np.nan) for o in levels}
        beyond = {o: np.zeros(run.n) for o in levels}
        firm = _turns(self.share, run.prepare(0, min(8, run.n)).doses)

        def work(start: int, stop: int) -> None:
            piece = run.prepare(start, stop)
            observed = np.empty((run.solver.observed, (stop - start) * len(times)))
            run.compute(piece, observed, 0)
            fixed = piece.doses.turns() is not None
            for name, curves in run.curves(piece, observed).items():
                if name not in levels:
                    continue
                rows = nca.measure(times, curves, levels[name], from_h, to_h, threads=1, tail=False)
                _first_peaks(rows, times, curves, (from_h, to_h))
                if fixed:
                    _refine_peaks(rows, times, curves, firm, (from_h, to_h))
                rows[:, LAST] = nca.measure(
                    times, curves, math.nan, from_h, min(to_h, last_h), threads=1, tail=False
                )[:, LAST]
                beyond[name][start:stop] = self._tail(
                    piece, name, rows, times, curves, levels[name], from_h, to_h
                )
                found[name][start:stop] = rows

        run.each(work)
        return found, beyond, run.status != 0

    def _tail(
        self, piece: Piece, output: str, rows: np.ndarray, times: np.ndarray, curves: np.ndarray, level: float,
        from_h: float, to_h: float,
    ) -> np.ndarray:  # fmt: skip
        """Fill in what lies after the times looked at; gives the share of the area there."""
        whole = math.isinf(to_h)
        end = curves[:, -1]

        def inside() -> np.ndarray:
            """The area within the times: not needed where a closed form gives all of it."""
            return nca.measure(times, curves, math.nan, from_h, math.inf, threads=1, tail=False)[:, LAST]

        with np.errstate(all="ignore"):
            if self.share.model.linear and output in self.share.model.sums:
                rate = self._rate(piece, output)
                rows[:, HALF] = np.where(rate > 0, math.log(2) / rate, np.nan)
                exact = self._area(piece, output)
                if exact is None:
                    total = np.where(rate > 0, inside() + end / rate, np.nan)
                else:
                    before = np.zeros(len(rows))
                    if from_h > times[0]:
                        before = nca.measure(
                            times, curves, math.nan, -math.inf, from_h, threads=1, tail=False
                        )[:, LAST]
                    total = np.where(rate > 0, np.maximum(exact - before, 0.0), np.nan)
                    rows[:, LAST] = np.minimum(rows[:, LAST], np.where(rate > 0, total, np.inf))
                late = (end > level) & (rate > 0) & (level > 0) & whole
                rows[:, ABOVE] += np.where(late, np.log(end / level) / rate, 0.0)
                rows[:, INFINITE] = total if whole else np.nan
                return np.zeros(len(rows))
            rate, steady, last = _last_phase(times, curves, _turns(self.share, piece.doses)[-1])
            within = inside()
            total = within + last / rate
            beyond = np.where(np.isfinite(total) & (total > 0), 1 - within / total, 1.0)
            told = steady & (beyond <= _MOST_BEYOND)
            rows[:, HALF] = np.where(told, math.log(2) / rate, np.nan)
            rows[:, INFINITE] = np.where(told, total, np.nan) if whole else np.nan
            return beyond


def _block(
    share: Share,
    start: int,
    stop: int,
    levels: Mapping[str, float],
    from_h: float,
    to_h: float,
    last_h: float,
) -> _Rows:
    """A worker's part: one block."""
    some = replace(share, population=share.population[start:stop])
    return OwnExposure(some, 1)._rows(levels, from_h, to_h, last_h)


def _last_phase(
    times: np.ndarray, curves: np.ndarray, end: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How curves fall at their end: rate (1/h), whether it is the same for a while, and the last value.

    The last fifth of the time since `end` is compared with the fifth before it. What has fallen below a billionth of
    the peak is left out.
    """
    rows = np.arange(len(curves))
    top = np.nanmax(np.where(np.isfinite(curves), curves, 0.0), axis=1, initial=0.0)
    alive = curves > 1e-9 * top[:, None]
    stop = len(times) - 1 - np.argmax(alive[:, ::-1], axis=1)
    length = times[stop] - end
    one = np.searchsorted(times, end + 0.8 * length)
    two = np.searchsorted(times, end + 0.6 * length)
    with np.errstate(all="ignore"):
        log = np.log(np.where(curves > 0, curves, np.nan))
        late = (log[rows, one] - log[rows, stop]) / (times[stop] - times[one])
        early = (log[rows, two] - log[rows, one]) / (times[one] - times[two])
        steady = (late > 0) & (np.abs(late - early) <= _STEADY * late)
    return late, steady, curves[rows, stop]


def _turns(share: Share, doses: Doses) -> np.ndarray:
    """Times at which something starts or ends, ascending, h: of the first patient."""
    found = [0.0]
    first = doses.first_part
    for k, dose in enumerate(share.doses):
        starts = dose.time_h + dose.every_h * np.arange(min(dose.count, 2000))
        for part in range(first[k], first[k + 1]):
            begin = starts + doses.lag_h[part, 0]
            found += [*starts, *begin, *(begin + doses.duration_h[part, 0])]
    times = np.unique(np.round(found, 12))
    return times[np.isfinite(times)]


def _own_times(turns: np.ndarray, far: float) -> np.ndarray:
    """Times dense after each turn, growing apart until the next."""
    ends = np.append(turns, max(far, turns[-1] + 1.0))
    most = max(6, _MOST_TIMES // len(turns))
    pieces = []
    for start, stop in pairwise(ends):
        gap = stop - start
        first = min(_FIRST_H, gap / 8)
        count = math.ceil(math.log(gap / first) / math.log(_RATIO)) + 1
        if count > most:
            count, first = most, max(first, gap / 200)
        grid = np.geomspace(first, gap, count)
        pieces.append(np.append(start, start + grid[:-1]))
    return np.append(np.unique(np.concatenate(pieces)), ends[-1])


def _first_peaks(
    rows: np.ndarray, times: np.ndarray, curves: np.ndarray, window: tuple[float, float]
) -> None:
    """The time of a peak that is reached several times, but for rounding, is the first one."""
    inside = np.flatnonzero((times >= window[0]) & (times <= window[1]))
    if len(inside):
        high = curves[:, inside] >= (rows[:, CMAX] * (1 - 1e-9))[:, None]
        some = high.any(axis=1) & np.isfinite(rows[:, TMAX])
        rows[some, TMAX] = times[inside][np.argmax(high[some], axis=1)]


def _refine_peaks(
    rows: np.ndarray, times: np.ndarray, curves: np.ndarray, turns: np.ndarray, window: tuple[float, float]
) -> None:
    """Put the peak of a smooth curve at the top of the parabola through its three highest times."""
    inside = np.flatnonzero((times >= window[0]) & (times <= window[1]))
    if len(inside) < 3:
        return
    t, c = times[inside], curves[:, inside]
    top = np.searchsorted(t, np.where(np.isfinite(rows[:, TMAX]), rows[:, TMAX], t[0]))
    edge = np.min(np.abs(t[:, None] - turns[None, :]), axis=1) < 1e-9 * np.maximum(1.0, t)
    good = (top > 0) & (top < len(t) - 1)
    k = np.clip(top, 1, len(t) - 2)
    good &= ~edge[k]
    r = np.arange(len(c))
    t0, t1, t2 = t[k - 1], t[k], t[k + 1]
    c0, c1, c2 = c[r, k - 1], c[r, k], c[r, k + 1]
    with np.errstate(all="ignore"):
        left, right = (c1 - c0) / (t1 - t0), (c2 - c1) / (t2 - t1)
        bend = (right - left) / (t2 - t0)
        at = 0.5 * (t0 + t1) - left / (2 * bend)
        height = c1 + (at - t1) * (left + bend * (at - t0))
    good &= np.isfinite(height) & (height >= c1) & (at > t0) & (at < t2)
    rows[good, CMAX], rows[good, TMAX] = height[good], at[good]
