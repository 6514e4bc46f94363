"""Doses, infusions, resets and samples → an ordered plan of steps.

The rules are those of event tables in the NONMEM style:

* records at the same time act in the order given; doses that follow from an earlier record (additional doses,
  doses held back by a lag, the ends of infusions) act before the records of that time;
* a reset, and a steady-state dose with SS = 1, empty all compartments, stop infusions and cancel what is
  still to come of earlier doses; SS = 2 adds to what is there;
* a steady-state dose with a lag finds the state of the regimen at that moment: the last dose went in
  ``interval - lag`` ago, infusions longer than their interval overlap and go on to their end;
* a compartment that is turned off is emptied, infusions into it stop, and it stays empty until a dose into it, a
  record that turns it on or a reset;
* time may go back at a reset: inside, time goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit

__all__ = ["Doses", "Plan", "Records", "build", "common_lengths", "plan_lengths", "steady_phase"]

# what a step does when its time has come
NOTHING, SAMPLE, BOLUS, START, STOP, RESET, STEADY, STEADY_ADD, VERSION, OFF, ON = range(11)

# kinds of records
REC_SAMPLE, REC_DOSE, REC_RESET, REC_VERSION, REC_OFF, REC_ON = range(6)

#: two times are one when they differ by less than this share of the larger: arithmetic on times that people write
#: (lag + duration = 11.3 + 0.7) leaves a few units in the last place
TIE = 1e-12


@dataclass
class Records:
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


@dataclass
class Doses:
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


@dataclass
class Plan:
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
def _turned_off(rec_time, rec_kind, rec_arg, first, last, offset, state, begin, end):
    """Whether a record turns a state off while an infusion into it runs: that is its end."""
    for q in range(first, last):
        if rec_kind[q] == REC_OFF and rec_arg[q] == state and begin <= rec_time[q] + offset < end:
            return True
    return False


@njit(cache=True, nogil=True)
def _actions(
    rec_time, rec_kind, rec_arg, first, last, first_part, additional, interval, steady, state,
    value, duration, lag, column, time, code, arg, derived,
):  # fmt: skip
    """Write the actions of one plan (unordered); with empty arrays only count them."""
    write = len(time) > 0
    n = 0
    offset = 0.0
    previous = -np.inf
    for r in range(first, last):
        if rec_kind[r] == REC_RESET and rec_time[r] + offset < previous:
            offset = previous - rec_time[r]
        t = rec_time[r] + offset
        previous = max(previous, t)
        kind = rec_kind[r]
        # what is still to come of this record ends at the next reset or SS = 1
        cut = np.inf
        if kind == REC_DOSE:
            shift = offset
            latest = t
            for q in range(r + 1, last):
                if rec_kind[q] == REC_RESET and rec_time[q] + shift < latest:
                    shift = latest - rec_time[q]
                latest = max(latest, rec_time[q] + shift)
                if rec_kind[q] == REC_RESET or (rec_kind[q] == REC_DOSE and steady[rec_arg[q]] == 1):
                    cut = rec_time[q] + shift
                    break
        if kind != REC_DOSE:
            if write:
                time[n] = t
                if kind == REC_SAMPLE:
                    code[n] = SAMPLE
                elif kind == REC_RESET:
                    code[n] = RESET
                elif kind == REC_VERSION:
                    code[n] = VERSION
                else:
                    code[n] = OFF if kind == REC_OFF else ON
                arg[n] = rec_arg[r]
                derived[n] = 1
            n += 1
            continue
        d = rec_arg[r]
        ss = steady[d]
        ii = interval[d]
        if ss > 0:
            for k in range(first_part[d], first_part[d + 1]):
                if write:
                    time[n] = t
                    code[n] = STEADY if ss == 1 and k == first_part[d] else STEADY_ADD
                    arg[n] = k
                    derived[n] = 1
                n += 1
        if ss > 0 and ii <= 0.0:
            continue  # an endless infusion reaches its steady state and stops at the record
        for k in range(first_part[d], first_part[d + 1]):
            if value[k, column] == 0.0:
                continue
            lasts = duration[k, column]
            begin = t + lag[k, column]
            tie = TIE * max(abs(t), lag[k, column], ii, lasts)
            earliest = 0
            if ss > 0:
                # doses given before the record: those that have gone in and still run, those that lag
                while begin + earliest * ii + lasts > t + tie or earliest == 0:
                    earliest -= 1
            for turn in range(earliest, additional[d] + 1):
                at = begin + turn * ii
                fixed = 0 if turn != 0 or lag[k, column] > 0.0 else 1
                if turn < 0:
                    if at <= t + tie:  # inside the steady state already
                        if at + lasts <= t + tie:
                            continue
                        at_start = t
                        fixed = 1
                    else:
                        at_start = at
                else:
                    at_start = at
                if at_start >= cut - tie and not (turn == 0 and fixed == 1 and at_start == t):
                    continue
                if write:
                    time[n] = at_start
                    code[n] = BOLUS if lasts <= 0.0 else START
                    arg[n] = k
                    derived[n] = fixed
                n += 1
                if (
                    lasts > 0.0
                    and at + lasts < cut - tie
                    and not _turned_off(
                        rec_time, rec_kind, rec_arg, r + 1, last, offset, state[k], at_start, at + lasts
                    )
                ):
                    if write:
                        time[n] = at + lasts
                        code[n] = STOP
                        arg[n] = k
                        derived[n] = 0
                    n += 1
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
def _order(time, derived, n, noise):
    """Order of the actions by time; at the same time what follows from earlier records first."""
    by_time = _sorted(np.arange(n), time)
    rounded = np.empty(n)
    start = 0.0
    for k in range(n):
        t = time[by_time[k]]
        if k == 0 or t - start > noise:
            start = t
        rounded[by_time[k]] = start
    first = np.empty(n, np.int64)
    m = 0
    for wanted in range(2):
        for k in range(n):
            if derived[k] == wanted:
                first[m] = k
                m += 1
    return _sorted(first, rounded), rounded


@njit(cache=True, nogil=True)
def _build(
    start, rec_time, rec_kind, rec_arg, first_part, additional, interval, steady, state,
    value, duration, lag, plans, per_plan, lengths,
):  # fmt: skip
    """Plans for the given patients; `per_plan` tells whether each has records of his own."""
    nothing_f = np.empty(0)
    nothing_i = np.empty(0, np.int64)
    total = 0
    most = 0
    for p in range(plans):
        own = p if per_plan else 0
        column = 0 if per_plan else p
        n = _actions(
            rec_time, rec_kind, rec_arg, start[own], start[own + 1], first_part, additional, interval, steady,
            state, value, duration, lag, column, nothing_f, nothing_i, nothing_i, nothing_i,
        )  # fmt: skip
        total += n
        most = max(most, n)
    # states that are ever turned off: while one is, it is emptied again before each action
    off = np.zeros(0, np.int64)
    for r in range(len(rec_kind)):
        if rec_kind[r] == REC_OFF:
            known = False
            for q in range(len(off)):
                known = known or off[q] == rec_arg[r]
            if not known:
                longer = np.empty(len(off) + 1, np.int64)
                longer[: len(off)] = off
                longer[len(off)] = rec_arg[r]
                off = longer
    is_off = np.zeros(len(off), np.int64)
    total *= 1 + len(off)
    out_start = np.zeros(plans + 1, np.int64)
    origin = np.zeros(plans)
    length = np.empty(total, np.int64)
    h = np.empty(total)
    version = np.empty(total, np.int64)
    code = np.empty(total, np.int64)
    arg = np.empty(total, np.int64)
    a_time = np.empty(most + 1)
    a_code = np.empty(most + 1, np.int64)
    a_arg = np.empty(most + 1, np.int64)
    a_derived = np.empty(most + 1, np.int64)
    m = 0
    for p in range(plans):
        own = p if per_plan else 0
        column = 0 if per_plan else p
        n = _actions(
            rec_time, rec_kind, rec_arg, start[own], start[own + 1], first_part, additional, interval, steady,
            state, value, duration, lag, column, a_time, a_code, a_arg, a_derived,
        )  # fmt: skip
        latest = 0.0
        for k in range(n):
            latest = max(latest, abs(a_time[k]))
        noise = 8 * np.spacing(latest)
        order, rounded = _order(a_time, a_derived, n, noise)
        now = rounded[order[0]] if n > 0 else 0.0
        for q in range(n):
            k = order[q]
            if a_code[k] == BOLUS or a_code[k] == START or a_code[k] == STEADY or a_code[k] == STEADY_ADD:
                origin[p] = now - rounded[k]
                break
        current = 0
        is_off[:] = 0
        for q in range(n):
            k = order[q]
            gap = rounded[k] - now
            now = rounded[k]
            what = a_code[k]
            for w in range(len(off)):
                if is_off[w] == 1 and (what != VERSION or gap > 0.0):
                    which = _snap(gap, lengths, noise) if gap > 0.0 else -1
                    length[m] = which
                    h[m] = lengths[which] if which >= 0 else gap
                    gap = 0.0
                    version[m] = current
                    code[m] = OFF
                    arg[m] = off[w]
                    m += 1
                if what == RESET or (
                    off[w] == (a_arg[k] if what == ON or what == OFF else -1)
                    or (
                        (what == BOLUS or what == START or what == STEADY or what == STEADY_ADD)
                        and state[a_arg[k]] == off[w]
                    )
                ):
                    is_off[w] = 1 if what == OFF else 0
            if what == ON:
                what = NOTHING
            if what == VERSION and gap <= 0.0:
                current = a_arg[k]
                continue
            which = _snap(gap, lengths, noise) if gap > 0.0 else -1
            length[m] = which
            h[m] = lengths[which] if which >= 0 else gap
            version[m] = current
            code[m] = NOTHING if what == VERSION else what
            arg[m] = a_arg[k]
            m += 1
            if what == VERSION:
                current = a_arg[k]
        out_start[p + 1] = m
    return out_start, length[:m], h[:m], version[:m], code[:m], arg[:m], origin


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

    start, length, h, version, code, arg, origin = _build(
        records.start.astype(np.int64), records.time_h.astype(float), records.kind.astype(np.int64),
        records.arg.astype(np.int64), doses.first_part.astype(np.int64), doses.additional.astype(np.int64),
        doses.interval_h.astype(float), doses.steady_state.astype(np.int64), doses.state.astype(np.int64),
        np.ascontiguousarray(doses.value), np.ascontiguousarray(doses.duration_h),
        np.ascontiguousarray(doses.lag_h), plans, per_plan, lengths,
    )  # fmt: skip
    return Plan(start, length, h, version, code, arg, lengths, origin)


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
