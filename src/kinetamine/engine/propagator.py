"""The stepper of linear systems: a propagator made once per interval length, then products (see engine.linear).

Text for generated modules, like :mod:`kinetamine.engine.driver`; `multiply`, `advance`, `advance_forced` and
`march` are those of the module.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kinetamine.engine.driver import FORCED, FRESH, TOGETHER, WHOLE, Sums
from kinetamine.engine.timeline import SAMPLE

__all__ = ["Room", "Shape"]


class Shape(NamedTuple):
    """The structure of a linear system; a *slot* is a place of the propagator that can be non-zero."""

    states: int
    inputs: int
    numbers: int
    weights: int
    observed: int
    slots: int
    row: np.ndarray  # (numbers,): place of each coefficient
    column: np.ndarray
    place: np.ndarray  # (numbers,): its slot
    diagonal: np.ndarray  # (states + inputs,): slots
    input_place: np.ndarray  # (inputs,): slots
    channel: np.ndarray  # (states,): the input that feeds it, or -1
    dense: np.ndarray  # (states, states): slots, or -1
    forced: np.ndarray  # (states, inputs): slots, or -1
    product: Sums  # slots of the product of two propagators
    step: Sums  # new states: slots × states, then slots × inputs
    sums: Sums  # observed: weights × states


class Room(NamedTuple):
    """Work space and the propagators of this block; each row of eight is one slot."""

    slots: np.ndarray  # ((capacity + 1) × slots, 8): the last is for lengths that come up once
    length: np.ndarray  # (capacity,): which interval length
    version: np.ndarray  # (capacity,)
    used: np.ndarray  # (1,)
    work: np.ndarray  # (6, slots, 8)
    lanes: np.ndarray  # (5 + states, 8)
    swap: np.ndarray  # (states, 8)


#: propagators kept per block
CAPACITY = 64

if False:  # known to a generated module only; this tells the type checker and linter what they are
    from kinetamine.engine import lanes as v

    multiply = advance = advance_forced = march = None


def scratch(shape):
    return Room(
        np.empty((CAPACITY + 1) * shape.slots * 8).reshape((CAPACITY + 1) * shape.slots, 8),
        np.empty(CAPACITY, np.int64),
        np.empty(CAPACITY, np.int64),
        np.zeros(1, np.int64),
        np.empty((6, shape.slots, 8)),
        np.empty((5 + shape.states, 8)),
        np.empty((shape.states, 8)),
    )


def begin(plan, parts, control, lane, room):
    room.used[0] = 0


def close(shape, lane, k):
    """A compartment that is off takes nothing up; what was made for other numbers is forgotten."""
    for i in range(shape.numbers):
        if lane.off[shape.row[i], k] == 1:
            lane.values[i, k] = 0.0
            lane.flags[TOGETHER] = 0


def scaling(shape, a, h, lanes):
    """How often each lane is halved so that its norm is at most 1; the most of all. Fills rows of `lanes`."""
    most = 0
    scale, shift, undo, squarings = lanes[0], lanes[1], lanes[2], lanes[4]
    column_sum = lanes[5:, 0]
    for lane in range(8):
        mu = 0.0
        for k in range(shape.numbers):
            if shape.row[k] == shape.column[k]:
                mu = max(mu, -a[k, lane])
        for j in range(shape.states):
            column_sum[j] = mu
        for k in range(shape.numbers):
            column_sum[shape.column[k]] += a[k, lane]
        norm = mu
        for j in range(shape.states):
            norm = max(norm, column_sum[j])
        norm *= h[0, lane]
        s = 0
        while norm > 1.0 and s < 1000:
            norm *= 0.5
            s += 1
        step = h[0, lane] * 0.5**s
        squarings[lane] = s
        most = max(most, s)
        scale[lane] = step
        shift[lane] = mu * step
        undo[lane] = np.exp(-mu * step)
    return most


def taylor(shape, b1, b2, b3, b4, t1, t2):
    """The series to degree 16 (Paterson-Stockmeyer) of b1 in t1 or t2; True when in t1.

    A norm of at most 1 makes the rest smaller than 3e-15.
    """
    multiply(shape.product, b1, b1, b2)
    multiply(shape.product, b2, b1, b3)
    multiply(shape.product, b2, b2, b4)
    c = (
        1.0,
        1.0,
        1 / 2.0,
        1 / 6.0,
        1 / 24.0,
        1 / 120.0,
        1 / 720.0,
        1 / 5040.0,
        1 / 40320.0,
        1 / 362880.0,
        1 / 3628800.0,
        1 / 39916800.0,
        1 / 479001600.0,
        1 / 6227020800.0,
        1 / 87178291200.0,
        1 / 1307674368000.0,
        1 / 20922789888000.0,
    )
    top = v.splat(c[16])
    for k in range(shape.slots):
        v.store(t1, k, v.mul(top, v.load(b4, k)))
    for quarter in range(3, -1, -1):
        c1, c2, c3 = v.splat(c[4 * quarter + 1]), v.splat(c[4 * quarter + 2]), v.splat(c[4 * quarter + 3])
        c0 = v.splat(c[4 * quarter])
        for k in range(shape.slots):
            sum3 = v.fma(c3, v.load(b3, k), v.load(t1, k))
            v.store(t1, k, v.fma(c1, v.load(b1, k), v.fma(c2, v.load(b2, k), sum3)))
        for k in range(shape.states + shape.inputs):
            v.store(t1, shape.diagonal[k], v.add(c0, v.load(t1, shape.diagonal[k])))
        if quarter > 0:
            multiply(shape.product, t1, b4, t2)
            t1, t2 = t2, t1
    return t1, t2


def propagator(shape, a, h, p, at, work, lanes):
    """exp(A h) with input columns, into rows at… behind `p`; `h` is one length per lane (1, 8)."""
    most = scaling(shape, a, h, lanes)
    switch, squarings = lanes[3], lanes[4]
    b1, t1, t2 = v.rows(work[0]), v.rows(work[4]), v.rows(work[5])
    ap, scratch = v.rows(a), v.rows(lanes)
    nothing = v.zero()
    for k in range(shape.slots):
        v.store(b1, k, nothing)
    hs = v.load(scratch, 0)
    for k in range(shape.states + shape.inputs):
        v.store(b1, shape.diagonal[k], v.load(scratch, 1))
    for k in range(shape.numbers):
        v.store(b1, shape.place[k], v.fma(v.load(ap, k), hs, v.load(b1, shape.place[k])))
    for k in range(shape.inputs):
        v.store(b1, shape.input_place[k], hs)
    t1, t2 = taylor(shape, b1, v.rows(work[1]), v.rows(work[2]), v.rows(work[3]), t1, t2)

    # undo the shift before squaring, so that no lane overflows
    u = v.load(scratch, 2)
    for k in range(shape.slots):
        v.store(t1, k, v.mul(u, v.load(t1, k)))
    for r in range(most):
        even = True
        for lane in range(8):
            on = squarings[lane] > r
            switch[lane] = 1.0 if on else 0.0
            even = even and on
        multiply(shape.product, t1, t1, t2)
        if even:
            t1, t2 = t2, t1
        else:
            w = v.load(scratch, 3)
            for k in range(shape.slots):
                v.store(t1, k, v.blend(w, v.load(t2, k), v.load(t1, k)))
    for k in range(shape.slots):
        v.store(p, at + k, v.load(t1, k))


def common_length(plan, lane):
    """The length that all lanes move by (its number, or -1), and whether any moves at all."""
    moving = False
    common = -2
    for k in range(8):
        which = -1
        if lane.h[0, k] > 0.0:
            moving = True
            which = plan.length[lane.at[k]]
        common = which if common == -2 or common == which else -1
    return common, moving


def find(common, shape, lane, room):
    """Where the propagator of this interval stands; made when it is new."""
    if common >= 0:
        for k in range(room.used[0]):
            if room.length[k] == common and room.version[k] == lane.version[0]:
                return k * shape.slots
    place = CAPACITY
    if common >= 0 and room.used[0] < CAPACITY:
        place = room.used[0]
        room.length[place] = common
        room.version[place] = lane.version[0]
        room.used[0] += 1
    propagator(shape, lane.values, lane.h, v.rows(room.slots), place * shape.slots, room.work, room.lanes)
    return place * shape.slots


def move(shape, plan, numbers, results, control, lane, room):
    """All lanes to their next step; when that is a sample for all, along the whole row of such samples."""
    if lane.flags[FRESH] == 1 and lane.flags[TOGETHER] == 0:
        room.used[0] = 0
    common, moving = common_length(plan, lane)
    for k in range(8):
        lane.due[k] = lane.at[k] < lane.end[k]
    if not moving:
        return
    at = find(common, shape, lane, room)
    p, x, swap = v.rows(room.slots), v.rows(lane.x), v.rows(room.swap)
    first = lane.at[0]
    still = lane.flags[TOGETHER] == 1 and lane.flags[WHOLE] == 1 and lane.flags[FORCED] == 0
    if still and plan.code[first] == SAMPLE:
        last = first + 1
        if common >= 0:
            while (
                last < lane.end[0]
                and plan.length[last] == common
                and plan.code[last] == SAMPLE
                and plan.version[last] == lane.version[0]
            ):
                last += 1
        base = lane.patient[0] * results.stride[0] + results.stride[2]
        march(
            shape.step, shape.sums, p, at, x, swap, v.rows(lane.weights), v.rows(results.out),
            results.out.shape[1], base, results.stride[0], results.stride[1], plan.arg, first, last,
        )  # fmt: skip
        for k in range(8):
            lane.at[k] = last
            lane.due[k] = 0
    elif lane.flags[FORCED] == 1:
        advance_forced(shape.step, p, at, x, v.rows(lane.u), swap)
    else:
        advance(shape.step, p, at, x, swap)
