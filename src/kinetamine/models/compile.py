"""A model file's formulas → what the engine needs: coefficients of a linear system, or equations.

Most models are wholly linear: every flow is a sum of states times numbers that differ between patients. Then only
those numbers are computed here (vectorised over patients) and the engine's exact steps do the rest. A flow that
is anything else, or that depends on time, makes the model non-linear; its right-hand side and Jacobian are written
as code (the Jacobian by sympy) and solved by :mod:`kinetamine.engine.nonlinear`. Outputs that are not a sum of
states are computed from the states afterwards: a sigmoid on a linear effect site does not make a model non-linear.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.engine.linear import Structure
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Unary, names, replaced
from kinetamine.models.spec import ModelSpec

__all__ = ["Compiled", "PartFormulas", "affine_terms", "compile_model", "linear_terms"]

ONE = Num(1.0)


@dataclass(frozen=True)
class PartFormulas:
    """One part of an entry: the state it goes into and its formulas."""

    state: int
    fraction: Expr
    lag: Expr | None
    duration: Expr | None
    rate: Expr | None


@dataclass(frozen=True)
class Term:
    """`coefficient` × state `column`, counted into rows with a sign and a yield."""

    coefficient: Expr
    column: int
    rows: tuple[tuple[int, float, Expr | None], ...]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A model ready to compute.

    Parameters
    ----------
    spec : ModelSpec
    states : tuple of str
    linear : bool
    individual : tuple of (name, Expr)
        In the order they must be computed.
    entries : dict of str to tuple of PartFormulas
    terms : tuple of Term
        The linear system (when `linear`).
    places : tuple of (row, column)
        Its non-zero coefficients.
    sums : dict of str to tuple of (state, Expr)
        Outputs that are weighted sums of states; weights give the declared unit.
    formulas : dict of str to Expr
        Outputs that are anything else.
    equations : tuple of Expr
        dx/dt of each state (when not `linear`).
    starts : tuple of PartFormulas
        Amounts that are there before anything is given, as fractions of 1 mg.
    follows : bool
        Whether something depends on the last dose: then each dose begins a version of the patient.
    """

    spec: ModelSpec
    states: tuple[str, ...]
    linear: bool
    individual: tuple[tuple[str, Expr], ...]
    entries: dict[str, tuple[PartFormulas, ...]]
    terms: tuple[Term, ...]
    places: tuple[tuple[int, int], ...]
    sums: dict[str, tuple[tuple[int, Expr], ...]]
    formulas: dict[str, Expr]
    equations: tuple[Expr, ...]
    starts: tuple[PartFormulas, ...] = ()
    follows: bool = False

    def __reduce__(self) -> tuple[Any, tuple[ModelSpec]]:
        return compile_model, (self.spec,)  # another process compiles its own

    @property
    def from_dose(self) -> bool:
        """Whether the time of the first dose must be told to the engine: it is not the first thing that enters."""
        return bool(self.starts) or self.follows

    def watched(self, outputs: tuple[str, ...]) -> tuple[int, ...]:
        """States that must be observed for the outputs that are formulas."""
        needed = {n for o in outputs if o in self.formulas for n in names(self.formulas[o])}
        return tuple(i for i, s in enumerate(self.states) if s in needed)

    def structure(self, outputs: tuple[str, ...], inputs: tuple[int, ...], steady: bool = False) -> Structure:
        """The engine's view: sums asked for, then watched states; `inputs` are states with zero-order input."""
        observed = [tuple(s for s, _ in self.sums[o]) for o in outputs if o in self.sums]
        observed += [(s,) for s in self.watched(outputs)]
        return Structure(len(self.states), self.places, tuple(sorted(inputs)), tuple(observed), steady)

    def environment(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters, covariates and effects, with the individual values computed from them."""
        env = dict(given)
        for name, formula in self.individual:
            env[name] = evaluate(formula, env)
        return env

    def coefficients(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        """Numbers of the linear system, array (place, *shape)."""
        at = {place: k for k, place in enumerate(self.places)}
        out = np.zeros((len(self.places), *shape))
        for term in self.terms:
            value = evaluate(term.coefficient, env)
            for row, sign, yield_ in term.rows:
                share = value if yield_ is None else value * evaluate(yield_, env)
                out[at[row, term.column]] += sign * share
        return out

    def weights(self, env: Mapping[str, Any], outputs: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
        """Weights of the observed sums, array (weight, *shape); see `structure`."""
        rows = [
            np.broadcast_to(evaluate(w, env), shape)
            for o in outputs
            if o in self.sums
            for _, w in self.sums[o]
        ]
        rows += [np.broadcast_to(1.0, shape) for _ in self.watched(outputs)]
        return np.array(rows).reshape(len(rows), *shape)


def _since_dose(expr: Expr) -> Expr:
    """Time after the last dose in terms of what the engine knows: the time, and when the last dose was."""

    def new(node: Expr) -> Expr | None:
        if node == Name("tad"):
            return Call("max", (Binary("-", Name("time"), Name("last_dose_at")), Num(0.0)))
        return None

    return replaced(expr, new)


def linear_terms(expr: Expr, states: Mapping[str, int]) -> dict[int, Expr] | None:
    """Coefficients of an expression that is a sum of states times state-free factors; None when it is not.

    A part without any state counts as not linear, since a linear system has no such flow.

    Examples
    --------
    >>> sorted(linear_terms(parse("k * (a - b / V)"), {"a": 0, "b": 1}))
    [0, 1]
    >>> linear_terms(parse("Vmax * a / (Km + a)"), {"a": 0}) is None
    True
    """
    if names(expr) & {"time", "last_dose"}:
        return None
    found = affine_terms(expr, states)
    if found is None or None in found:
        return None
    return {k: v for k, v in found.items() if k is not None}


def affine_terms(expr: Expr, states: Mapping[str, int]) -> dict[int | None, Expr] | None:
    """As `linear_terms`; a part without any state stands under None.

    Examples
    --------
    >>> sorted(affine_terms(parse("1 + b / V"), {"b": 1}), key=str)
    [1, None]
    """
    if not names(expr) & states.keys():
        return {None: expr}
    if isinstance(expr, Name):
        return {states[expr.id]: ONE}
    if isinstance(expr, Unary):
        inner = affine_terms(expr.operand, states)
        return inner and {k: Unary("-", v) for k, v in inner.items()}
    if isinstance(expr, Binary):
        left, right = affine_terms(expr.left, states), affine_terms(expr.right, states)
        if left is None or right is None:
            return None
        if expr.op in "+-":
            out = dict(left)
            for k, v in right.items():
                if k in out:
                    out[k] = Binary(expr.op, out[k], v)
                else:
                    out[k] = v if expr.op == "+" else Unary("-", v)
            return out
        if expr.op == "*" and set(left) == {None}:
            return {k: Binary("*", left[None], v) for k, v in right.items()}
        if expr.op in "*/" and set(right) == {None}:
            return {k: Binary(expr.op, v, right[None]) for k, v in left.items()}
    return None


@functools.lru_cache(maxsize=128)
def _compile(spec_key: _ByDigest) -> Compiled:
    spec = spec_key.spec
    states = {name: i for i, name in enumerate(spec.states)}
    individual = tuple((name, parse(text, name)) for name, text in spec.individual.items())
    entries = {
        route: tuple(
            PartFormulas(
                states[part.to],
                parse(part.fraction),
                *(parse(t) if t is not None else None for t in (part.lag, part.duration, part.rate)),
            )
            for part in parts
        )
        for route, parts in spec.entries.items()
    }
    terms: list[Term] = []
    equations: list[Expr] = [Num(0.0)] * len(states)
    linear = True

    def add(rate: Expr, rows: list[tuple[int, float, Expr | None]]) -> None:
        nonlocal linear
        for row, sign, yield_ in rows:
            whole = rate if yield_ is None else Binary("*", rate, yield_)
            old = equations[row]
            if old == Num(0.0):
                equations[row] = whole if sign > 0 else Unary("-", whole)
            else:
                equations[row] = Binary("+" if sign > 0 else "-", old, whole)
        found = linear_terms(rate, states)
        if found is None or any(
            y is not None and (names(y) & states.keys() or names(y) & {"time", "last_dose"}) for *_, y in rows
        ):
            linear = False
            return
        terms.extend(Term(coefficient, column, tuple(rows)) for column, coefficient in found.items())

    for flow in spec.flows.values():
        rows: list[tuple[int, float, Expr | None]] = []
        if flow.from_ is not None:
            rows.append((states[flow.from_], -1.0, None))
        if flow.to is not None:
            rows.append((states[flow.to], 1.0, _since_dose(parse(flow.yield_)) if flow.yield_ else None))
        add(_since_dose(parse(flow.rate)), rows)
    for name, site in spec.effect_sites.items():
        gap = Binary("-", _since_dose(parse(site.follows)), Name(name))
        add(Binary("*", _since_dose(parse(site.rate or "0")), gap), [(states[name], 1.0, None)])

    sums: dict[str, tuple[tuple[int, Expr], ...]] = {}
    formulas: dict[str, Expr] = {}
    for name, output in spec.outputs.items():
        factor = Num(spec.output_factor[name])
        formula = _since_dose(parse(output.value))
        found = linear_terms(formula, states)
        if found is None:
            formulas[name] = Binary("*", factor, formula)
        else:
            sums[name] = tuple(
                (state, Binary("*", factor, weight)) for state, weight in sorted(found.items())
            )
    places = tuple(sorted({(row, t.column) for t in terms for row, _, _ in t.rows}))
    return Compiled(
        spec,
        tuple(states),
        linear,
        individual,
        entries,
        tuple(terms),
        places,
        sums,
        formulas,
        tuple(equations),
        tuple(
            PartFormulas(states[name], parse(c.start), None, None, None)
            for name, c in spec.compartments.items()
            if c.start is not None
        ),
        any(names(e) & {"last_dose", "last_dose_at"} for e in (*equations, *formulas.values())),
    )


@dataclass(frozen=True)
class _ByDigest:
    """A spec as a key of a cache: same file and name, same thing."""

    digest: str
    spec: ModelSpec

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByDigest) and (self.digest, self.spec.id) == (other.digest, other.spec.id)


def compile_model(spec: ModelSpec) -> Compiled:
    """Compile a model; the same file is compiled once.

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> model = compile_model(load("otto_2021_s_ketamine"))
    >>> model.linear, len(model.states)
    (True, 5)
    """
    return _compile(_ByDigest(spec.digest, spec))
