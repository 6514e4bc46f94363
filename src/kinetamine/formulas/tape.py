"""Many formulas as one list of array operations: what is constant is computed once, what is equal once per call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kinetamine.errors import UnknownName
from kinetamine.formulas.evaluate import JOINED, SINGLE
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Relation, Unary

__all__ = ["Tape"]

_PAIRS: dict[str, Callable[..., Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}
_CALLS: dict[str, Callable[..., Any]] = {**SINGLE, "where": np.where, "not": np.logical_not}
_CHAINS: dict[str, Callable[..., Any]] = {"min": np.minimum, "max": np.maximum, **JOINED}


class Tape:
    """Formulas compiled for repeated evaluation.

    Parameters
    ----------
    known : mapping of str to float or array
        Names whose values never change; operations on them alone are done once, here.
    given : sequence of str
        Names whose values come with each call, in this order.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> tape = Tape({"CL": 2.0, "V": 4.0}, ["eta.CL"])
    >>> tape.define("CL_i", parse("CL * exp(eta.CL)"))
    >>> k = tape.add(parse("CL_i / V"))
    >>> values = tape.run([np.array([0.0, np.log(2.0)])])
    >>> values[k].tolist()
    [0.5, 1.0]
    """

    def __init__(self, known: Mapping[str, Any], given: Sequence[str]) -> None:
        self._values: list[Any] = [None] * len(given)
        self._steps: list[tuple[Callable[..., Any], int, int, int, int]] = []
        self._places: dict[tuple[Any, ...], int] = {}
        self._names: dict[str, int] = {name: k for k, name in enumerate(given)}
        self._given = len(given)
        self._varies = [True] * len(given)
        for name, value in known.items():
            if name not in self._names:
                self._names[name] = self._constant(value)

    def _constant(self, value: Any) -> int:
        key = ("#", float(value)) if np.ndim(value) == 0 else ("array", id(value), len(self._values))
        if key not in self._places:
            self._places[key] = len(self._values)
            self._values.append(float(value) if np.ndim(value) == 0 else value)
            self._varies.append(False)
        return self._places[key]

    def _operation(self, work: Callable[..., Any], *parts: int) -> int:
        if work is np.where and not self._varies[parts[0]]:  # the branch is known already
            condition = np.asarray(self._values[parts[0]])
            if condition.all() or not condition.any():
                return parts[1] if condition.all() else parts[2]
        key = (work, *parts)
        if key in self._places:
            return self._places[key]
        place = len(self._values)
        if any(self._varies[p] for p in parts):
            one, two, three = (*parts, -1, -1)[:3]
            self._steps.append((work, one, two, three, place))
            self._values.append(None)
            self._varies.append(True)
        else:
            with np.errstate(all="ignore"):
                value = work(*(self._values[p] for p in parts))
            if np.ndim(value) == 0 and not isinstance(value, bool | np.bool_):
                place = self._constant(value)
                self._places[key] = place
                return place
            self._values.append(value)
            self._varies.append(False)
        self._places[key] = place
        return place

    def define(self, name: str, expr: Expr) -> None:
        """Let later formulas use a formula by a name."""
        self._names[name] = self.add(expr)

    def choose(self, name: str, condition: np.ndarray, otherwise: np.ndarray) -> None:
        """Keep a name's value where `condition` holds, else take another that never changes."""
        then, test, other = self._names[name], self._constant(condition), self._constant(otherwise)
        self._names[name] = self._operation(np.where, test, then, other)

    def __len__(self) -> int:
        return len(self._values)

    def place(self, name: str) -> int:
        """Where the value of a name stands."""
        return self._names[name]

    def add(self, expr: Expr) -> int:
        """Put a formula on the tape; gives the place of its value."""
        match expr:
            case Num(value):
                return self._constant(value)
            case Name(id):
                if id not in self._names:
                    raise UnknownName("formula", id, self._names, "a name that has a value")
                return self._names[id]
            case Unary(_, operand):
                return self._operation(np.negative, self.add(operand))
            case Binary("^", base, exponent):
                return self._power(self.add(base), self.add(exponent))
            case Binary(op, left, right) | Relation(op, left, right):
                return self._operation(_PAIRS[op], self.add(left), self.add(right))
            case Call("min" | "max" | "and" | "or" as func, args):
                places = [self.add(a) for a in args]
                first = places[0]
                for other in places[1:]:
                    first = self._operation(_CHAINS[func], first, other)
                return first
            case Call(func, args):
                return self._operation(_CALLS[func], *(self.add(a) for a in args))
        raise TypeError(f"not a formula: {expr!r}")

    def _power(self, base: int, exponent: int) -> int:
        """As `formulas.evaluate`: whole and half exponents are exact products and roots."""
        power = None if self._varies[exponent] else self._values[exponent]
        if isinstance(power, float):
            if power == 0.5:
                return self._operation(np.sqrt, base)
            if 1 <= abs(power) <= 64 and power == int(power):
                count, square, result = abs(int(power)), base, -1
                while count:
                    if count & 1:
                        result = square if result < 0 else self._operation(np.multiply, result, square)
                    count >>= 1
                    if count:
                        square = self._operation(np.multiply, square, square)
                return self._operation(np.divide, self._constant(1.0), result) if power < 0 else result
        return self._operation(np.power, base, exponent)

    def varies(self, place: int) -> bool:
        """Whether a value depends on what comes with a call."""
        return self._varies[place]

    def constant(self, place: int) -> Any:
        """A value that does not."""
        return self._values[place]

    def run(self, given: Sequence[Any]) -> list[Any]:
        """All values, by place. The caller silences warnings of NumPy (``np.errstate``) where he wants to."""
        values = self._values.copy()
        values[: self._given] = given
        for work, one, two, three, place in self._steps:
            if two < 0:
                values[place] = work(values[one])
            elif three < 0:
                values[place] = work(values[one], values[two])
            else:
                values[place] = work(values[one], values[two], values[three])
        return values
