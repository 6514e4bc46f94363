"""Doses, infusions, resets and samples → an ordered plan of steps.

The rules are those of event tables in the NONMEM style:

* records at the same time act in the order given; doses that follow from an earlier record (additional doses,
  doses held back by a lag, the ends of infusions) act before the records of that time;
* a reset, and a steady-state dose with SS = 1, empty all compartments, stop infusions and cancel what is
  still to come of earlier doses; SS = 2 adds to what is there;
* a steady-state dose with a lag finds the state of the regimen at that moment: the last dose went in
  ``interval - lag`` ago, infusions longer than their interval overlap and go on to their end;
* time may go back at a reset: inside, time goes on;
* a compartment that is turned off is emptied, infusions into it stop, and it takes nothing up until a dose into it, a
  record that turns it on or a reset;
* times that differ by rounding only are the same time: sums of lags, durations and intervals that meet a record,
  or each other, meet it exactly.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

__all__ = ["Doses", "Plan", "Records", "build", "common_lengths", "plan_lengths", "steady_phase"]

# what a step does when its time has come
NOTHING, SAMPLE, BOLUS, START, STOP, RESET, STEADY, STEADY_ADD, VERSION, OFF, ON = range(11)

# kinds of records
REC_SAMPLE, REC_DOSE, REC_RESET, REC_VERSION, REC_OFF, REC_ON = range(6)

#: two times are one when they differ by less than this share of the largest in sight: arithmetic on times that people
#: write (lag + duration = 11.3 + 0.7) leaves a few units in the last place
TIE = 1e-12
#: the same for the order of a whole plan; finer, so that the shortest infusion ends after its start
SAME = 64 * 2.0**-52


class Records(NamedTuple):
    """What happens to each plan, in order.

    Parameters
    ----------
    start : array (plans + 1,)
        Where the records of each plan begin.
    time_h, kind, arg : array (records,)
        `kind` is REC_SAMPLE (arg: sample number), REC_DOSE (dose number), REC_RESET, REC_VERSION (version),
        REC_OFF and REC_ON (state).
    """

    start: np.ndarray
    time_h: np.ndarray
    kind: np.ndarray
    arg: np.ndarray


class Doses(NamedTuple):
    """Doses and the parts each is split into.

    Parameters
    ----------
    first_part : array (doses + 1,)
    additional : array (doses,)
        Number of repeats after the first.
    interval_h, steady_state : array (doses,)
    state : array (parts,)
        State that receives the part.
    value, duration_h, lag_h, phase_h : array (parts, columns)
        Amount (duration 0) or rate of the part; `phase_h` as from :func:`steady_phase`. One column per patient,
        or a single one when each plan belongs to one patient.
    """

    first_part: np.ndarray
    additional: np.ndarray
    interval_h: np.ndarray
    steady_state: np.ndarray
    state: np.ndarray
    value: np.ndarray
    duration_h: np.ndarray
    lag_h: np.ndarray
    phase_h: np.ndarray

    def turns(self) -> np.ndarray | None:
        """What the times of a plan depend on, if it is the same in all columns, else None."""
        rows = np.stack([self.duration_h, self.lag_h, self.value == 0])
        return rows[:, :, 0] if (rows == rows[:, :, :1]).all() else None

    def more(self) -> np.ndarray:
        """Duration, interval and phase of each part as the engine wants them, array (3, parts × columns)."""
        every = np.repeat(self.interval_h.astype(float), np.diff(self.first_part))
        every = np.broadcast_to(every[:, None], self.value.shape)
        return np.stack([self.duration_h, every, self.phase_h]).reshape(3, -1)


class Plan(NamedTuple):
    """Ordered steps: move on by `h` with `version`, then do `code` with `arg`.

    Parameters
    ----------
    start : array (plans + 1,)
    length : array (steps,)
        Number of the interval in `lengths`, or -1.
    h : array (steps,), h
    version, code, arg : array (steps,)
    lengths : array (distinct,), h
        Interval lengths that come up often.
    origin : array (plans,), h
        Time of the first step, counted from the first dose.
    """

    start: np.ndarray
    length: np.ndarray
    h: np.ndarray
    version: np.ndarray
    code: np.ndarray
    arg: np.ndarray
    lengths: np.ndarray
    origin: np.ndarray


class Actions(NamedTuple):
    """What one plan has to do, unordered."""

    time: np.ndarray
    code: np.ndarray
    arg: np.ndarray
    fixed: np.ndarray  # 1 for records and what they do at once, 0 for what follows from earlier ones


@njit(cache=True, nogil=True)
def _room(n):
    return Actions(np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64))


def steady_phase(lag_h: Any, interval_h: Any) -> Any:
    """Time since the last dose of a steady regimen at its record, when doses go in `lag_h` after their records.

    Examples
    --------
    >>> float(steady_phase(10.0, 12.0)), float(steady_phase(0.0, 12.0))
    (2.0, 12.0)
    """
    interval = np.maximum(interval_h, 1e-300)
    turns = np.maximum(1.0, np.ceil(lag_h / interval - TIE * np.maximum(1.0, lag_h / interval)))
    return np.maximum(0.0, turns * interval_h - lag_h)


def common_lengths(records: Records, most: int = 64) -> np.ndarray:
    """Interval lengths between records that come up at least twice, freed of rounding noise.

    Differences of times carry noise of some units in the last place of the time; lengths closer than that are
    one length, their mean, so that a long row of steps does not drift.

    Examples
    --------
    >>> t = np.arange(0, 1, 0.1)
    >>> r = Records(np.array([0, 10]), t, np.zeros(10, int), np.arange(10))
    >>> [round(float(h), 12) for h in common_lengths(r)]
    [0.1]
    """
    if len(records.time_h) < 2:
        return np.zeros(0)
    step = np.diff(records.time_h)
    inside = np.ones(len(step), dtype=bool)
    inside[records.start[1:-1] - 1] = False
    step = np.sort(step[inside & (step > 0)])
    if len(step) == 0:
        return step
    noise = 8 * np.spacing(np.abs(records.time_h).max())
    edge = np.flatnonzero(np.diff(step) > noise) + 1
    first = np.concatenate([[0], edge])
    count = np.diff(np.concatenate([first, [len(step)]]))
    mean = np.add.reduceat(step, first) / count
    keep = np.flatnonzero(count >= 2)
    keep = keep[np.argsort(-count[keep], kind="stable")][:most]
    return np.sort(mean[keep])


@njit(cache=True, nogil=True)
def _snap(h, lengths, noise):
    for k in range(len(lengths)):
        if abs(lengths[k] - h) <= noise:
            return k
    return -1


@njit(cache=True, nogil=True)
def _put(out, n, time, code, arg, fixed):
    """Write one action; with empty arrays it is only counted."""
    if len(out.time) > 0:
        out.time[n] = time
        out.code[n] = code
        out.arg[n] = arg
        out.fixed[n] = fixed
    return n + 1


@njit(cache=True, nogil=True)
def _cut(records, doses, r, last, offset, t):
    """When what is still to come of a dose ends: the next reset or dose with SS = 1."""
    for q in range(r + 1, last):
        if records.kind[q] == REC_RESET and records.time_h[q] + offset < t:
            offset = t - records.time_h[q]
        t = max(t, records.time_h[q] + offset)
        steady = records.kind[q] == REC_DOSE and doses.steady_state[records.arg[q]] == 1
        if records.kind[q] == REC_RESET or steady:
            return records.time_h[q] + offset
    return np.inf


@njit(cache=True, nogil=True)
def _turned_off(records, r, last, offset, state, after, before):
    """Whether a compartment is turned off between two times; what ran into it does not end again."""
    for q in range(r + 1, last):
        t = records.time_h[q] + offset
        if records.kind[q] == REC_OFF and records.arg[q] == state and after <= t <= before:
            return True
    return False


@njit(cache=True, nogil=True)
def _part(records, r, last, offset, doses, column, d, k, t, cut, out, n):
    """Actions of one part of dose `d` given at `t`."""
    ii = doses.interval_h[d]
    lag, lasts = doses.lag_h[k, column], doses.duration_h[k, column]
    repeats = doses.additional[d]
    near = TIE * max(abs(t), lag + lasts + (repeats + 1) * ii)
    begin = t + lag
    earliest = 0
    if doses.steady_state[d] > 0:
        # doses given before the record: those that have gone in and still run, those that lag
        earliest = -1
        while begin + earliest * ii + lasts > t + near:
            earliest -= 1
    for turn in range(earliest, repeats + 1):
        at = begin + turn * ii
        fixed = 0 if turn != 0 or lag > 0.0 else 1
        if turn < 0 and at <= t + near:  # inside the steady state already
            if at + lasts <= t + near:
                continue
            starts = t
            fixed = 1
        else:
            starts = at
        if starts >= cut - near and not (turn == 0 and fixed == 1 and starts == t):
            continue
        n = _put(out, n, starts, START if lasts > 0.0 else BOLUS, k, fixed)
        end = at + lasts
        if (
            lasts > 0.0
            and end < cut - near
            and not _turned_off(records, r, last, offset, doses.state[k], starts, end)
        ):
            n = _put(out, n, at + lasts, STOP, k, 0)
    return n


@njit(cache=True, nogil=True)
def _dose(records, doses, column, r, last, offset, t, out, n):
    """Actions of the dose of record `r`: its steady state, then each part."""
    d = records.arg[r]
    cut = _cut(records, doses, r, last, offset, t)
    steady = doses.steady_state[d]
    parts = range(doses.first_part[d], doses.first_part[d + 1])
    if steady > 0:
        for k in parts:
            n = _put(out, n, t, STEADY if steady == 1 and k == doses.first_part[d] else STEADY_ADD, k, 1)
        if doses.interval_h[d] <= 0.0:
            return n  # an endless infusion reaches its steady state and stops at the record
    for k in parts:
        if doses.value[k, column] != 0.0:
            n = _part(records, r, last, offset, doses, column, d, k, t, cut, out, n)
    return n


@njit(cache=True, nogil=True)
def _actions(records, doses, own, column, out):
    """Write the actions of one plan (unordered); with empty arrays only count them."""
    n = 0
    offset = 0.0
    previous = -np.inf
    first, last = records.start[own], records.start[own + 1]
    for r in range(first, last):
        kind = records.kind[r]
        if kind == REC_RESET and records.time_h[r] + offset < previous:
            offset = previous - records.time_h[r]
        t = records.time_h[r] + offset
        previous = max(previous, t)
        if kind == REC_DOSE:
            n = _dose(records, doses, column, r, last, offset, t, out, n)
        elif kind == REC_SAMPLE:
            n = _put(out, n, t, SAMPLE, records.arg[r], 1)
        elif kind == REC_RESET:
            n = _put(out, n, t, RESET, records.arg[r], 1)
        elif kind == REC_OFF:
            n = _put(out, n, t, OFF, records.arg[r], 1)
        elif kind == REC_ON:
            n = _put(out, n, t, ON, records.arg[r], 1)
        else:
            n = _put(out, n, t, VERSION, records.arg[r], 1)
    return n


@njit(cache=True, nogil=True)
def _sorted(index, key):
    """Indices in order of their keys, equal keys as they stand (NumPy's own takes a second to compile)."""
    n = len(index)
    other = np.empty(n, np.int64)
    width = 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            a, b = low, middle
            for k in range(low, high):
                if a < middle and (b >= high or key[index[a]] <= key[index[b]]):
                    other[k] = index[a]
                    a += 1
                else:
                    other[k] = index[b]
                    b += 1
        index, other = other, index
        width *= 2
    return index


@njit(cache=True, nogil=True)
def _order(out, n):
    """Order of the actions by time; at the same time what follows from earlier records first.

    Returns the order and the times with rounding noise taken out.
    """
    time = out.time[:n]
    by_time = _sorted(np.arange(n), time)
    latest = 0.0
    for k in range(n):
        latest = max(latest, abs(time[k]))
    rounded = np.empty(n)
    start = 0.0
    for k in range(n):
        t = time[by_time[k]]
        if k == 0 or t - start > SAME * latest:
            start = t
        rounded[by_time[k]] = start
    first = np.empty(n, np.int64)
    m = 0
    for wanted in range(2):
        for k in range(n):
            if out.fixed[k] == wanted:
                first[m] = k
                m += 1
    return _sorted(first, rounded), rounded, latest


@njit(cache=True, nogil=True)
def _first_dose(out, order, rounded):
    """When the first dose of a plan acts."""
    for k in order:
        if out.code[k] in (BOLUS, START, STEADY, STEADY_ADD):
            return rounded[k]
    return 0.0 if len(order) == 0 else rounded[order[0]]


@njit(cache=True, nogil=True)
def _write(out, n, plan, m, lengths):
    """Steps of one plan from its actions; returns how many there are now, and the plan's origin."""
    order, rounded, latest = _order(out, n)
    now = rounded[order[0]] if n > 0 else 0.0
    origin = now - _first_dose(out, order, rounded)
    noise = 8 * np.spacing(latest)
    current = 0
    for k in order:
        gap = rounded[k] - now
        now = rounded[k]
        what = out.code[k]
        if what == VERSION and gap <= 0.0:
            current = out.arg[k]
            continue
        which = _snap(gap, lengths, noise) if gap > 0.0 else -1
        plan.length[m] = which
        plan.h[m] = lengths[which] if which >= 0 else gap
        plan.version[m] = current
        plan.code[m] = NOTHING if what == VERSION else what
        plan.arg[m] = out.arg[k]
        m += 1
        if what == VERSION:
            current = out.arg[k]
    return m, origin


@njit(cache=True, nogil=True)
def _build(records, doses, plans, per_plan, lengths):
    """Plans for the given patients; `per_plan` tells whether each has records of his own."""
    total = most = 0
    for p in range(plans):
        n = _actions(records, doses, p if per_plan else 0, 0 if per_plan else p, _room(0))
        total += n
        most = max(most, n)
    i = np.int64
    start, origin = np.zeros(plans + 1, i), np.zeros(plans)
    plan = Plan(
        start, np.empty(total, i), np.empty(total), np.empty(total, i), np.empty(total, i), np.empty(total, i),
        lengths, origin,
    )  # fmt: skip
    out = _room(most + 1)
    m = 0
    for p in range(plans):
        n = _actions(records, doses, p if per_plan else 0, 0 if per_plan else p, out)
        m, origin[p] = _write(out, n, plan, m, lengths)
        start[p + 1] = m
    return plan, m


def build(records: Records, doses: Doses, lengths: np.ndarray | None = None) -> Plan:
    """The plans of all patients.

    When there is one set of records, doses have one column per patient; the plan is built once if no time
    depends on the patient (`start` then has one plan) and once per patient otherwise. When each patient has
    records of his own, doses have one column.

    Examples
    --------
    >>> records = Records(np.array([0, 2]), np.array([0.0, 1.0]), np.array([1, 0]), np.array([0, 0]))
    >>> one = np.zeros((1, 1))
    >>> doses = Doses(np.array([0, 1]), np.array([0]), np.array([0.0]), np.array([0]), np.array([0]),
    ...               one + 10, one, one, one)
    >>> build(records, doses).code.tolist()   # bolus, sample
    [2, 1]
    """
    per_plan = len(records.start) > 2
    columns = doses.value.shape[1]
    plans = len(records.start) - 1 if per_plan or doses.turns() is not None else columns
    if lengths is None:
        lengths = common_lengths(records)

    i, f = np.int64, np.float64
    given = Records(
        records.start.astype(i), records.time_h.astype(f), records.kind.astype(i), records.arg.astype(i)
    )
    parts = Doses(
        doses.first_part.astype(i), doses.additional.astype(i), doses.interval_h.astype(f),
        doses.steady_state.astype(i), doses.state.astype(i),
        *(np.ascontiguousarray(a, f) for a in (doses.value, doses.duration_h, doses.lag_h, doses.phase_h)),
    )  # fmt: skip
    plan, m = _build(given, parts, plans, per_plan, lengths)
    return plan._replace(
        length=plan.length[:m], h=plan.h[:m], version=plan.version[:m], code=plan.code[:m], arg=plan.arg[:m]
    )


def plan_lengths(records: Records, doses: Doses) -> np.ndarray:
    """Common interval lengths of the first patient's plan: also those that ends of infusions make.

    Examples
    --------
    >>> records = Records(np.array([0, 4]), np.array([0.0, 1, 2, 3]), np.array([1, 0, 0, 0]), np.array([0, 0, 1, 2]))
    >>> one = np.ones((1, 1))
    >>> doses = Doses(np.array([0, 1]), np.array([0]), np.array([0.0]), np.array([0]), np.array([0]),
    ...               one, one / 2, 0 * one, 0 * one)
    >>> plan_lengths(records, doses).tolist()   # the infusion ends at half an hour
    [0.5, 1.0]
    """
    one = Doses(
        doses.first_part, doses.additional, doses.interval_h, doses.steady_state, doses.state,
        doses.value[:, :1], doses.duration_h[:, :1], doses.lag_h[:, :1], doses.phase_h[:, :1],
    )  # fmt: skip
    h = build(records, one).h
    steps = Records(np.array([0, len(h) + 1]), np.concatenate([[0.0], np.cumsum(h)]), h, h)
    return common_lengths(steps)
