"""One driver of events for both steppers: eight patients side by side, each with his own place in his own plan.

The functions here are ordinary Python. :mod:`kinetamine.engine.linear` and :mod:`kinetamine.engine.nonlinear` put
their text behind functions made for one structure and compile the whole as one module. What they call and the
stepper provides:

``scratch(shape)``
    its own room for work, a named tuple;
``begin(plan, parts, control, lane, room)``
    at the start of a block;
``close(shape, lane, k)``
    takes the numbers of compartments that are off out of lane `k`;
``move(shape, plan, numbers, results, control, lane, room)``
    carries lanes on, and says in ``lane.due`` which of them stand where their next step acts;
``settle(k, shape, plan, parts, results, state, j, add, control, lane, room)``
    puts lane `k` into the steady state of part `j`, or says why not;
``observe(table, weights, x, o)``
    weighted sums of states.

A *lane* is one of eight places in every array that ends in 8; docs/dev/kernels.md explains it.
"""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import numpy as np
from numba import config

from kinetamine.engine.timeline import BOLUS, NOTHING, OFF, ON, RESET, SAMPLE, START, STEADY_ADD, STOP

__all__ = [
    "NJIT",
    "Control",
    "Lanes",
    "Numbers",
    "Parts",
    "Results",
    "Sums",
    "Who",
    "head",
    "source",
    "texts",
]


class Who(NamedTuple):
    """Which plan and which numbers are a patient's: column ``column_of[patient] + version * column_stride``."""

    n: int  # patients; the last block repeats the last one
    plan_of: np.ndarray  # (n,)
    column_of: np.ndarray  # (n,)
    column_stride: int


class Numbers(NamedTuple):
    """Numbers of each version of each patient."""

    values: np.ndarray  # (number, column): coefficients of a linear system, parameters of another
    weights: np.ndarray  # (weight, column): of the states in what is observed


class Parts(NamedTuple):
    """What doses give; the numbers of step argument `arg` stand at ``arg * stride[0] + patient * stride[1]``."""

    state: np.ndarray  # (parts,): the state that receives it
    value: np.ndarray  # mg, or mg/h where it lasts
    more: np.ndarray  # (3, …): duration, interval and phase, h
    stride: np.ndarray


class Results(NamedTuple):
    """Written at ``patient * stride[0] + sample * stride[1] + stride[2]``."""

    out: np.ndarray  # (observed, …)
    stride: np.ndarray
    status: np.ndarray  # (n,): 0, or a code of `results.STATUS`
    failed_at: np.ndarray  # (n,): time since the first dose, h


class Control(NamedTuple):
    """How carefully an adaptive stepper goes."""

    rtol: float  # of a step
    atol_share: float  # absolute tolerance as share of the largest dose


class Sums(NamedTuple):
    """Sums of products as data: sum `i` has the terms ``first[i]:first[i + 1]``, each a product of two rows."""

    first: np.ndarray
    left: np.ndarray
    right: np.ndarray


class Lanes(NamedTuple):
    """Where eight patients stand."""

    x: np.ndarray  # (states, 8)
    u: np.ndarray  # (inputs, 8), mg/h
    running: np.ndarray  # (inputs, 8): infusions under way
    off: np.ndarray  # (states, 8): 1 where a compartment is turned off
    values: np.ndarray  # (numbers, 8)
    weights: np.ndarray  # (weights, 8)
    observed: np.ndarray  # (observed, 8)
    h: np.ndarray  # (1, 8): hours to the next step
    time: np.ndarray  # (8,): hours since the first dose
    patient: np.ndarray  # (8,)
    at: np.ndarray  # (8,): the next step of the plan
    end: np.ndarray  # (8,)
    version: np.ndarray  # (8,)
    due: np.ndarray  # (8,): 1 where the next step acts now
    flags: np.ndarray


#: places in `Lanes.flags`: all follow one plan; eight different patients; something runs in; new numbers
TOGETHER, WHOLE, FORCED, FRESH = range(4)


def head() -> list[str]:
    """What a generated module begins with."""
    return [
        "import numpy as np",
        "from numba import njit",
        f"from kinetamine.engine import {'lanes_plain' if config.DISABLE_JIT else 'lanes'} as v",
        "from kinetamine.engine.driver import FORCED, FRESH, TOGETHER, WHOLE, Lanes",
        "from kinetamine.engine.timeline import BOLUS, NOTHING, OFF, ON, RESET, SAMPLE, START, STEADY",
        "from kinetamine.engine.timeline import STEADY_ADD, STOP",
        "",
    ]


def source() -> list[str]:
    """The text of the driver, with which a generated module ends."""
    return [
        *texts(new_lanes, turn, give),
        *texts(enter, look, infuse, act, leave, decorator=INLINE),
        *texts(run),
    ]


def texts(*functions: Any, decorator: str | None = None) -> list[str]:
    """Functions as text, to be compiled; divisions by zero give infinity rather than stop a thread."""
    return [line for f in functions for line in (decorator or NJIT, inspect.getsource(f))]


NJIT = "@njit(nogil=True, error_model='numpy')"
#: for what is called at every event: at a call each array of the named tuples would be counted, which takes longer than
#: the event
INLINE = "@njit(nogil=True, error_model='numpy', forceinline=True)"

if False:  # known to a generated module only; this tells the type checker and linter what they are
    from kinetamine.engine import lanes as v

    scratch = begin = close = move = settle = observe = None


def new_lanes(shape):
    return Lanes(
        np.zeros((shape.states, 8)),
        np.zeros((max(shape.inputs, 1), 8)),
        np.zeros((max(shape.inputs, 1), 8), np.int64),
        np.zeros((shape.states, 8), np.int64),
        np.zeros((max(shape.numbers, 1), 8)),
        np.zeros((max(shape.weights, 1), 8)),
        np.zeros((max(shape.observed, 1), 8)),
        np.zeros((1, 8)),
        np.zeros(8),
        np.zeros(8, np.int64),
        np.zeros(8, np.int64),
        np.zeros(8, np.int64),
        np.zeros(8, np.int64),
        np.zeros(8, np.int64),
        np.zeros(4, np.int64),
    )


def enter(block, plan, who, lane):
    """Eight patients take their places before their first step."""
    lane.flags[TOGETHER] = 1
    for k in range(8):
        patient = min(block * 8 + k, who.n - 1)
        own = who.plan_of[patient]
        if k > 0 and own != who.plan_of[lane.patient[0]]:
            lane.flags[TOGETHER] = 0
        lane.patient[k] = patient
        lane.at[k] = plan.start[own]
        lane.end[k] = plan.start[own + 1]
        lane.time[k] = plan.origin[own]
        lane.version[k] = -1
    lane.x[:] = 0.0
    lane.u[:] = 0.0
    lane.running[:] = 0
    lane.off[:] = 0
    lane.flags[WHOLE] = block * 8 + 8 <= who.n
    lane.flags[FORCED] = 0


def look(shape, plan, who, numbers, lane):
    """How far it is to each lane's next step, and the numbers that hold till then; False when all are done."""
    busy = False
    lane.flags[FRESH] = 0
    for k in range(8):
        lane.h[0, k] = 0.0
        lane.due[k] = 0
        if lane.at[k] >= lane.end[k]:
            continue
        busy = True
        step = lane.at[k]
        if plan.version[step] != lane.version[k]:
            lane.version[k] = plan.version[step]
            lane.flags[FRESH] = 1
            column = who.column_of[lane.patient[k]] + lane.version[k] * who.column_stride
            for i in range(numbers.values.shape[0]):
                lane.values[i, k] = numbers.values[i, column]
            for i in range(numbers.weights.shape[0]):
                lane.weights[i, k] = numbers.weights[i, column]
            close(shape, lane, k)
        if plan.h[step] > 0.0:
            lane.h[0, k] = plan.h[step]
    return busy


def act(shape, plan, parts, results, control, lane, room):
    """What the due steps do."""
    observed = changed = False
    for k in range(8):
        if lane.due[k] == 0:
            continue
        step = lane.at[k]
        lane.at[k] += 1
        code = plan.code[step]
        patient = lane.patient[k]
        if code == SAMPLE:
            if not observed:
                observe(shape.sums, v.rows(lane.weights), v.rows(lane.x), v.rows(lane.observed))
                observed = True
            if k == 0 or patient != lane.patient[k - 1]:
                where = patient * results.stride[0] + plan.arg[step] * results.stride[1] + results.stride[2]
                for q in range(shape.observed):
                    results.out[q, where] = lane.observed[q, k]
        elif code == BOLUS or code == START or code == STOP:
            arg = plan.arg[step]
            state = parts.state[arg]
            value = parts.value[arg * parts.stride[0] + patient * parts.stride[1]]
            infuse(k, code, state, value, shape.channel[state], lane.x, lane.u, lane.running)
            if lane.off[state, k] == 1 and code != STOP:
                turn(lane, k, state, 0)
            changed = True
        elif code != NOTHING:
            changed = True
            status = give(k, code, plan.arg[step], shape, plan, parts, results, control, lane, room)
            if status != 0:
                results.status[patient] = status
    lane.due[:] = 0
    if changed:
        lane.flags[FORCED] = 0
        for i in range(shape.inputs):
            for k in range(8):
                if lane.running[i, k] > 0:
                    lane.flags[FORCED] = 1


def infuse(k, code, state, value, channel, x, u, running):
    """A bolus, or the start or end of an infusion; few arguments, for each array of a call is counted."""
    if code == BOLUS:
        x[state, k] += value
    elif code == START:
        u[channel, k] += value
        running[channel, k] += 1
    else:
        running[channel, k] = max(0, running[channel, k] - 1)
        u[channel, k] -= value
        if running[channel, k] == 0:  # no rounding residue runs on for ever
            u[channel, k] = 0.0


def give(k, code, arg, shape, plan, parts, results, control, lane, room):
    """Resets, compartments turned off and on, and steady states of lane `k`; 0, or a code of failure."""
    status = 0
    j = arg * parts.stride[0] + lane.patient[k] * parts.stride[1]
    if code == RESET:
        lane.x[:, k] = 0.0
        lane.u[:, k] = 0.0
        lane.running[:, k] = 0
        for i in range(shape.states):
            turn(lane, k, i, 0)
    elif code == OFF:
        lane.x[arg, k] = 0.0
        if shape.channel[arg] >= 0:
            lane.u[shape.channel[arg], k] = 0.0
            lane.running[shape.channel[arg], k] = 0
        turn(lane, k, arg, 1)
    elif code == ON:
        turn(lane, k, arg, 0)
    else:
        add = code == STEADY_ADD
        status = settle(k, shape, plan, parts, results, parts.state[arg], j, add, control, lane, room)
    return status


def turn(lane, k, state, off):
    """A compartment of lane `k` off or on; its numbers are then read anew."""
    if lane.off[state, k] != off:
        lane.off[state, k] = off
        lane.version[k] = -1


def leave(shape, results, lane):
    """A patient whose numbers ran away has failed."""
    for k in range(8):
        for i in range(shape.states):
            if not np.isfinite(lane.x[i, k]) and results.status[lane.patient[k]] == 0:
                results.status[lane.patient[k]] = 1


def run(first, last, shape, plan, who, numbers, parts, results, control):
    """Simulate the blocks first…last of eight patients each; what the arguments hold is said at their classes."""
    lane = new_lanes(shape)
    room = scratch(shape)
    for block in range(first, last):
        enter(block, plan, who, lane)
        begin(plan, parts, control, lane, room)
        while look(shape, plan, who, numbers, lane):
            move(shape, plan, numbers, results, control, lane, room)
            act(shape, plan, parts, results, control, lane, room)
        leave(shape, results, lane)
