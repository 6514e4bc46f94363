"""The value of a formula, for numbers or whole arrays."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kinetamine.errors import UnknownName
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Relation, Unary, names

__all__ = ["JOINED", "SINGLE", "constant", "evaluate"]

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def constant(expr: Expr) -> float | None:
    """The value if the expression holds no name, else None.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> constant(parse("1 / 4")), constant(parse("a / 4"))
    (0.25, None)
    """
    return None if names(expr) else float(evaluate(expr, {}))


def _power(base: Any, exponent: Any) -> Any:
    """Powers with whole and half exponents are exact products and roots, as written by hand."""
    if isinstance(exponent, float):
        if exponent == 0.5:
            return np.sqrt(base)
        if 1 <= abs(exponent) <= 64 and exponent == int(exponent):
            count = abs(int(exponent))
            result: Any = None
            square = base
            while count:
                if count & 1:
                    result = square if result is None else result * square
                count >>= 1
                if count:
                    square = square * square
            return np.divide(1.0, result) if exponent < 0 else result
    return np.power(base, exponent)


_PAIRS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.divide,
    "^": _power,
}


def _special(name: str) -> Callable[[Any], Any]:
    def function(value: Any) -> Any:
        from scipy import special

        return getattr(special, name)(value)

    return function


#: NumPy's (SciPy's) function of each function of one value
SINGLE: dict[str, Callable[[Any], Any]] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "lgamma": _special("gammaln"),
    "erf": _special("erf"),
}
#: and of the words that join conditions
JOINED: dict[str, Callable[..., Any]] = {"and": np.logical_and, "or": np.logical_or}


def evaluate(expr: Expr, env: Mapping[str, Any]) -> Any:
    """The value of an expression.

    Parameters
    ----------
    expr : Expr
    env : dict of str to float or array
        A value for every name; arrays broadcast as in NumPy.

    Returns
    -------
    float or array
        A plain float if every value is one. What has no value (log of a negative number, 1 / 0) is nan or
        inf without a warning: a branch of ``where`` that is not chosen may well be such a number.

    Raises
    ------
    UnknownName
        If a name has no value.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> evaluate(parse("V1 * (weight / 70)^2"), {"V1": 10.0, "weight": 140.0})
    40.0
    """
    with np.errstate(all="ignore"):
        value = _value(expr, env)
    return value if isinstance(value, np.ndarray) and value.ndim else float(value)


def _value(expr: Expr, env: Mapping[str, Any]) -> Any:
    match expr:
        case Num(value):
            return value
        case Name(id):
            try:
                value = env[id]
            except KeyError:
                raise UnknownName("expression", id, env, "a name that has a value") from None
            return value if isinstance(value, float | np.ndarray) else np.asarray(value, dtype=float)[()]
        case Binary(op, left, right):
            return _PAIRS[op](_value(left, env), _value(right, env))
        case Unary(_, operand):
            return -_value(operand, env)
        case Call("where", (condition, then, otherwise)):
            return np.where(_value(condition, env), _value(then, env), _value(otherwise, env))[()]
        case Relation(op, left, right):
            return _COMPARISONS[op](_value(left, env), _value(right, env))
        case Call("and" | "or" as func, args):
            return functools.reduce(JOINED[func], [_value(a, env) for a in args])
        case Call("not", (argument,)):
            return np.logical_not(_value(argument, env))
        case Call("min" | "max" as func, args):
            pick = np.minimum if func == "min" else np.maximum
            return functools.reduce(pick, [_value(a, env) for a in args])
        case Call(func, (argument,)):
            return SINGLE[func](_value(argument, env))
    raise TypeError(f"not an expression: {expr!r}")
