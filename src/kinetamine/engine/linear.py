"""Exact steps of linear compartment systems, eight patients at a time.

A linear system is ``dx/dt = A x + B u`` with a matrix `A` per patient and inputs `u` that are constant between
events. Over an interval ``h`` it moves exactly by ``x ← exp(A h) x + ∫ exp(A s) ds B u``. Both factors are
blocks of one exponential (of `A` with one more column per input), called a *propagator*. A propagator is made
once per patient and distinct interval length, then reused at every step of that length.

Three facts make this fast and accurate:

* which entries of a propagator can be non-zero follows from the compartments alone, so products of propagators
  and steps are written out as straight-line code for that pattern (:func:`kernel_source`);
* the off-diagonal entries of a compartment matrix are rates, never negative. After adding a multiple of the
  identity all numbers in the Taylor series and the squarings are non-negative: nothing cancels, and even the
  far tail of a curve has close to full relative precision;
* each lane is scaled by its own power of two, so a patient's numbers do not depend on who sits beside him:
  the same bits whatever the block, the thread or the population.

The stepper (:mod:`kinetamine.engine.propagator`, :mod:`kinetamine.engine.steady`) and the driver of events
(:mod:`kinetamine.engine.driver`) are ordinary Python; :func:`kernel_source` puts their text behind the generated
straight-line code, and the whole is compiled by Numba as one module, kept in the user's cache folder.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from kinetamine.engine import driver, kernels, propagator, steady
from kinetamine.engine.driver import NJIT, Sums

__all__ = ["WORTH_COMPILING", "Kernel", "Structure", "generic_source", "kernel", "kernel_source"]

#: above this many multiply-adds a matrix product is written as loops: LLVM's time grows with the text
_LONGEST_PRODUCT = 1500

#: patients × times from which code made for one structure repays the seconds that compiling it takes
WORTH_COMPILING = 20_000_000


@dataclasses.dataclass(frozen=True)
class Structure:
    """Which numbers of a linear system can be non-zero.

    Parameters
    ----------
    n_states : int
    entries : tuple of (row, column)
        Places of `A` that carry a coefficient, diagonal included where present.
    inputs : tuple of int
        States that can receive a constant input (zero-order).
    outputs : tuple of tuple of int
        For each observed quantity the states it is a weighted sum of.
    steady : bool
        Whether some dose is at steady state; without, the kernel compiles faster.

    Examples
    --------
    >>> Structure(1, ((0, 0),), (0,), ((0,),)).pattern()
    ((0, 0), (0, 1), (1, 1))
    """

    n_states: int
    entries: tuple[tuple[int, int], ...]
    inputs: tuple[int, ...]
    outputs: tuple[tuple[int, ...], ...]
    steady: bool = False

    def pattern(self) -> tuple[tuple[int, int], ...]:
        """Places where a propagator can be non-zero: reachability along the flows."""
        size = self.n_states + len(self.inputs)
        reach = np.eye(size, dtype=bool)
        for row, column in self.entries:
            reach[row, column] = True
        for k, state in enumerate(self.inputs):
            reach[state, self.n_states + k] = True
        for _ in range(size.bit_length() + 1):
            reach = reach @ reach
        return tuple((int(i), int(j)) for i, j in np.argwhere(reach))

    def slots(self) -> dict[tuple[int, int], int]:
        """Number of each place of the pattern."""
        return {place: k for k, place in enumerate(self.pattern())}

    def products(self) -> list[list[tuple[int, int]]]:
        """For each slot of a product of two propagators the pairs of slots that are multiplied and added."""
        slot = self.slots()
        size = range(self.n_states + len(self.inputs))
        return [
            [(slot[i, k], slot[k, j]) for k in size if (i, k) in slot and (k, j) in slot] for i, j in slot
        ]

    def step(self, columns: int) -> list[list[tuple[int, int]]]:
        """For each new state the slots, and the states or inputs they multiply (inputs after states)."""
        slot = self.slots()
        return [[(slot[i, j], j) for j in range(columns) if (i, j) in slot] for i in range(self.n_states)]

    def observed(self) -> list[list[tuple[int, int]]]:
        """For each observed quantity the weights and the states they multiply."""
        weight = iter(range(sum(map(len, self.outputs))))
        return [[(next(weight), state) for state in states] for states in self.outputs]

    def shape(self) -> propagator.Shape:
        """The same as the arrays that kernels take."""
        n, m = self.n_states, len(self.inputs)
        slot = self.slots()

        def places(found: Iterable[int], *size: int) -> np.ndarray:
            return np.array([*found] or [0], np.int64).reshape(size or (-1,))

        return propagator.Shape(
            n, m, len(self.entries), sum(map(len, self.outputs)), len(self.outputs), len(slot),
            places(i for i, _ in self.entries),
            places(j for _, j in self.entries),
            places(slot[e] for e in self.entries),
            places(slot[i, i] for i in range(n + m)),
            places(slot[s, n + k] for k, s in enumerate(self.inputs)),
            places(self.inputs.index(s) if s in self.inputs else -1 for s in range(n)),
            places((slot.get((i, j), -1) for i in range(n) for j in range(n)), n, n),
            places((slot.get((i, n + k), -1) for i in range(n) for k in range(m)), n, m) if m
            else np.full((n, 1), -1, np.int64),
            sums(self.products()), sums(self.step(n + m)), sums(self.observed()),
        )  # fmt: skip


def sums(terms: Sequence[Sequence[tuple[int, int]]]) -> Sums:
    """Sums of products as arrays."""
    flat = [pair for row in terms for pair in row] or [(0, 0)]
    return Sums(
        np.cumsum([0, *map(len, terms)]).astype(np.int64),
        np.array([a for a, _ in flat], np.int64),
        np.array([b for _, b in flat], np.int64),
    )


def kernel_source(structure: Structure) -> str:
    """The text of the Numba module that steps systems of this structure."""
    out = ['"""Generated by kinetamine.engine.linear; do not edit."""', *driver.head()]
    out += ["from kinetamine.engine.propagator import CAPACITY, Room", ""]
    out += _products(structure) + _steps(structure)
    return "\n".join([*out, *_stepper(structure.steady), *driver.source()])


def generic_source() -> str:
    """The text of the module that steps systems of any structure."""
    out = ['"""Generated by kinetamine.engine.linear; do not edit."""', *driver.head()]
    out += ["from kinetamine.engine.propagator import CAPACITY, Room", ""]
    out += driver.texts(multiply, advance, advance_forced, observe, march)
    return "\n".join([*out, *_stepper(True), *driver.source()])


def _stepper(settles: bool) -> list[str]:
    p, s = propagator, steady
    out = driver.texts(p.scratch, p.close, p.scaling, p.taylor, p.propagator)
    out += driver.texts(p.begin, p.common_length, p.find, p.move, decorator=driver.INLINE)
    if settles:
        return out + driver.texts(
            s.solve, s.collecting, s.repeat, s.endless, s.flow, s.period, s.steady, s.settle
        )
    head = "def settle(k, shape, plan, parts, results, state, j, add, control, lane, room):"
    return [*out, NJIT, head, "    return 4", ""]


def _products(structure: Structure) -> list[str]:
    """`multiply`: the product of two propagators, written out; of very full ones as loops."""
    products = structure.products()
    if sum(map(len, products)) > _LONGEST_PRODUCT:
        return driver.texts(multiply)
    out = [NJIT, "def multiply(product, a, b, c):"]
    for target, pairs in enumerate(products):
        text = _chain([(f"v.load(a, {p})", f"v.load(b, {q})") for p, q in pairs])
        out.append(f"    v.store(c, {target}, {text})")
    return [*out, ""]


def _steps(structure: Structure) -> list[str]:
    """One step, one with inputs, what is observed, and many steps of one length with a sample after each."""
    n, m = structure.n_states, len(structure.inputs)

    def moved(columns: int) -> list[str]:
        rows = structure.step(columns)
        return [
            f"y{i} = {_chain([(f'v.load(p, at + {s})', f'x{j}') for s, j in row])}"
            for i, row in enumerate(rows)
        ]

    load = [f"    x{j} = v.load(x, {j})" for j in range(n)]
    observed = [_chain([(f"v.load(c, {w})", f"x{s}") for w, s in row]) for row in structure.observed()]
    out = []
    for name, columns in (("advance(step, p, at, x, y)", n), ("advance_forced(step, p, at, x, u, y)", n + m)):
        out += [NJIT, f"def {name}:", *load]
        out += [f"    x{n + k} = v.load(u, {k})" for k in range(columns - n)]
        out += [f"    {text}" for text in moved(columns)]
        out += [f"    v.store(x, {i}, y{i})" for i in range(n)]
        out.append("")
    out += [NJIT, "def observe(sums, c, x, o):", *load]
    out += [f"    v.store(o, {k}, {text})" for k, text in enumerate(observed)]
    # the state stays in registers
    out += [
        "",
        NJIT,
        "def march(step, sums, p, at, x, y, c, out, size, base, across, along, arg, first, last):",
    ]
    out += load
    out.append("    for s in range(first, last):")
    out += [f"        {text}" for text in moved(n)]
    out += [f"        x{i} = y{i}" for i in range(n)]
    out.append("        k = base + arg[s] * along")
    out += [f"        v.scatter(out, k + {q} * size, across, {text})" for q, text in enumerate(observed)]
    out += [f"    v.store(x, {i}, x{i})" for i in range(n)]
    return [*out, ""]


def _chain(pairs: list[tuple[str, str]]) -> str:
    """The text of a sum of products."""
    text = ""
    for left, right in pairs:
        text = f"v.fma({left}, {right}, {text})" if text else f"v.mul({left}, {right})"
    return text or "v.zero()"


class Kernel(NamedTuple):
    """A compiled `run` (see engine.driver) and the structure it takes."""

    run: Any
    shape: Any


@functools.lru_cache(maxsize=256)
def kernel(structure: Structure, notify: Any = None, points: int = 0) -> Kernel:
    """A kernel for `structure`, for work of about `points` patients × times.

    Code made for the structure takes seconds to compile once and pays in large runs only; small ones share the
    code that takes the structure as data. Both give the same bits.
    """
    if points < WORTH_COMPILING:
        return Kernel(_generic(notify).run, structure.shape())
    return Kernel(kernels.load("linear", kernel_source(structure), notify).run, structure.shape())


@functools.cache
def _generic(notify: Any = None) -> Any:
    return kernels.load("generic", generic_source(), notify)


# ---------------------------------------------------------------------------------------------------------
# The same functions with the structure as data: compiled once for all models, 1.4 to 2 times slower, same bits.

if False:
    from kinetamine.engine import lanes as v


def multiply(product, a, b, c):
    """c = a b, sums taken from data."""
    for k in range(len(product.first) - 1):
        s = v.zero()
        for q in range(product.first[k], product.first[k + 1]):
            s = v.fma(v.load(a, product.left[q]), v.load(b, product.right[q]), s)
        v.store(c, k, s)


def advance(step, p, at, x, y):
    """x moved by one propagator; inputs stand after the states and are left out."""
    n = len(step.first) - 1
    for i in range(n):
        s = v.zero()
        for q in range(step.first[i], step.first[i + 1]):
            if step.right[q] < n:
                s = v.fma(v.load(p, at + step.left[q]), v.load(x, step.right[q]), s)
        v.store(y, i, s)
    for i in range(n):
        v.store(x, i, v.load(y, i))


def advance_forced(step, p, at, x, u, y):
    """x moved by one propagator with inputs."""
    n = len(step.first) - 1
    for i in range(n):
        s = v.zero()
        for q in range(step.first[i], step.first[i + 1]):
            j = step.right[q]
            if j < n:
                s = v.fma(v.load(p, at + step.left[q]), v.load(x, j), s)
            else:
                s = v.fma(v.load(p, at + step.left[q]), v.load(u, j - n), s)
        v.store(y, i, s)
    for i in range(n):
        v.store(x, i, v.load(y, i))


def observe(sums, c, x, o):
    """Weighted sums of states."""
    for k in range(len(sums.first) - 1):
        s = v.zero()
        for q in range(sums.first[k], sums.first[k + 1]):
            s = v.fma(v.load(c, sums.left[q]), v.load(x, sums.right[q]), s)
        v.store(o, k, s)


def march(step, sums, p, at, x, y, c, out, size, base, across, along, arg, first, last):
    """Many steps of one length, a sample after each."""
    n = len(step.first) - 1
    for t in range(first, last):
        for i in range(n):
            s = v.zero()
            for q in range(step.first[i], step.first[i + 1]):
                if step.right[q] < n:
                    s = v.fma(v.load(p, at + step.left[q]), v.load(x, step.right[q]), s)
            v.store(y, i, s)
        x, y = y, x
        k = base + arg[t] * along
        for m in range(len(sums.first) - 1):
            s = v.zero()
            for q in range(sums.first[m], sums.first[m + 1]):
                s = v.fma(v.load(c, sums.left[q]), v.load(x, sums.right[q]), s)
            v.scatter(out, k + m * size, across, s)
    if (last - first) % 2 == 1:
        for i in range(n):
            v.store(y, i, v.load(x, i))
