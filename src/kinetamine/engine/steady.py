"""Steady states of linear systems: the state that repeats itself, from one linear equation.

Text for generated modules whose structure has a dose at steady state; others get :func:`no_settle`.
"""

from __future__ import annotations

import numpy as np

__all__: list[str] = []

if False:  # known to a generated module only; this tells the type checker and linter what they are
    from kinetamine.engine import lanes as v

    propagator = None


def solve(matrix, rhs):
    """Gaussian elimination with row exchange, in place; False when singular but for rounding."""
    n = len(rhs)
    largest = 0.0
    for i in range(n):
        for j in range(n):
            largest = max(largest, abs(matrix[i, j]))
    for i in range(n):
        best = i
        for r in range(i + 1, n):
            if abs(matrix[r, i]) > abs(matrix[best, i]):
                best = r
        if not abs(matrix[best, i]) > 1e-13 * largest:
            return False
        if best != i:
            for j in range(n):
                matrix[i, j], matrix[best, j] = matrix[best, j], matrix[i, j]
            rhs[i], rhs[best] = rhs[best], rhs[i]
        for r in range(i + 1, n):
            f = matrix[r, i] / matrix[i, i]
            if f != 0.0:
                for j in range(i, n):
                    matrix[r, j] -= f * matrix[i, j]
                rhs[r] -= f * rhs[i]
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            rhs[i] -= matrix[i, j] * rhs[j]
        rhs[i] /= matrix[i, i]
    return True


def collecting(shape, a, lane):
    """What nothing leaves (urine, say) only collects: it is counted from the record on."""
    collects = np.ones(shape.states, np.bool_)
    for k in range(shape.numbers):
        if shape.row[k] == shape.column[k] and a[k, lane] != 0.0:
            collects[shape.row[k]] = False
    return collects


def repeat(matrix, rhs, collects):
    """x = M x + r for what does not only collect: `matrix` is 1 - M, `rhs` r on entry and x on return."""
    n = len(rhs)
    for i in range(n):
        if collects[i]:
            for j in range(n):
                matrix[i, j] = 1.0 if i == j else 0.0
            rhs[i] = 0.0
    return solve(matrix, rhs)


def endless(shape, a, lane, state, rate, collects, result):
    """The level that an infusion which never stops holds."""
    matrix = np.zeros((shape.states, shape.states))
    for k in range(shape.numbers):
        matrix[shape.row[k], shape.column[k]] -= a[k, lane]
    result[:] = 0.0
    result[state] = rate
    return repeat(matrix, result, collects)


def flow(shape, a, lane, x, length, channel, level, p, work, lanes):
    """x moved on by `length` hours with `level` running into an input; `p` keeps the propagator."""
    h = np.zeros((1, 8))
    h[0, lane] = length
    propagator(shape, a, h, v.rows(p), np.int64(0), work, lanes)
    y = np.zeros(shape.states)
    for i in range(shape.states):
        total = 0.0
        for j in range(shape.states):
            if shape.dense[i, j] >= 0:
                total += p[shape.dense[i, j], lane] * x[j]
        if level != 0.0 and shape.forced[i, channel] >= 0:
            total += p[shape.forced[i, channel], lane] * level
        y[i] = total
    x[:] = y


def period(shape, a, lane, x, state, value, duration, every, end, p, work, lanes):
    """x moved from just before a dose to `end` hours after it; infusions longer than `every` overlap."""
    if duration <= 0.0:
        x[state] += value
        if end > 0.0:
            flow(shape, a, lane, x, end, 0, 0.0, p, work, lanes)
        return
    overlaps = int(np.floor(duration / every * (1 + 1e-12)))
    high = max(0.0, duration - overlaps * every)
    done = 0.0
    for part in range(2):
        stop = min(end, high if part == 0 else every)
        if stop > done:
            level = value * (overlaps + 1 if part == 0 else overlaps)
            flow(shape, a, lane, x, stop - done, shape.channel[state], level, p, work, lanes)
            done = stop


def steady(shape, a, lane, state, value, duration, every, phase, result, work, lanes):
    """State `phase` hours after a dose of a regimen that has always been given; False when there is none.

    A bolus of `value` (duration 0) or a rate `value` for `duration` into `state`, each `every` hours; every = 0
    is an infusion that never stops.
    """
    collects = collecting(shape, a, lane)
    if collects[state]:
        return False
    if every <= 0.0:
        return endless(shape, a, lane, state, value, collects, result)
    p = np.empty((shape.slots, 8))
    x = np.zeros(shape.states)
    period(shape, a, lane, x, state, value, duration, every, every, p, work, lanes)
    h = np.zeros((1, 8))
    h[0, lane] = every
    propagator(shape, a, h, v.rows(p), np.int64(0), work, lanes)
    matrix = np.zeros((shape.states, shape.states))
    for i in range(shape.states):
        for j in range(shape.states):
            e = p[shape.dense[i, j], lane] if shape.dense[i, j] >= 0 else 0.0
            matrix[i, j] = (1.0 if i == j else 0.0) - e
    if not repeat(matrix, x, collects):
        return False
    period(shape, a, lane, x, state, value, duration, every, phase, p, work, lanes)
    finite = True
    for i in range(shape.states):
        result[i] = 0.0 if collects[i] else x[i]
        finite = finite and np.isfinite(x[i])
    return finite


def settle(k, shape, plan, parts, results, state, j, add, control, lane, room):
    """Lane `k` into the steady state of part `j`; 4 when there is none."""
    found = np.zeros(shape.states)
    done = steady(
        shape, lane.values, k, state, parts.value[j], parts.more[0, j], parts.more[1, j], parts.more[2, j],
        found, room.work, room.lanes,
    )  # fmt: skip
    for i in range(shape.states):
        lane.x[i, k] = found[i] + (lane.x[i, k] if add else 0.0)
    if not add:
        lane.u[:, k] = 0.0
        lane.running[:, k] = 0
    return 0 if done else 4
