"""A formula for sympy."""

from __future__ import annotations

import functools
from typing import Any

from kinetamine.formulas.evaluate import constant
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Relation, Unary

__all__ = ["to_sympy"]


@functools.cache
def _floor() -> Any:
    """The floor of a number, flat between its steps."""
    import sympy

    class Floor(sympy.Function):  # type: ignore[misc]
        nargs = 1

        @classmethod
        def eval(cls, value: Any) -> Any:
            return sympy.floor(value) if value.is_number else None

        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.Integer(0)

    return Floor


def to_sympy(expr: Expr, symbols: dict[str, Any] | None = None) -> Any:
    """The expression for sympy.

    Parameters
    ----------
    expr : Expr
    symbols : dict of str to sympy object, optional
        What stands for a name; real symbols are added for names that are missing.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> to_sympy(parse("a^2 / max(a, 1)"))
    a**2/Max(1, a)
    """
    import sympy

    table = {} if symbols is None else symbols
    relations = {"<": sympy.Lt, "<=": sympy.Le, ">": sympy.Gt, ">=": sympy.Ge, "==": sympy.Eq, "!=": sympy.Ne}

    def convert(node: Expr) -> Any:
        match node:
            case Num(value):
                if value == int(value) and abs(value) < 2**53:
                    return sympy.Integer(int(value))
                return sympy.Float(value, 17)
            case Name(id):
                if id not in table:
                    table[id] = sympy.Symbol(id, real=True)
                return table[id]
            case Unary(_, operand):
                return -convert(operand)
            case Binary("^", base, exponent):
                power = constant(exponent)
                half = power is not None and power == 0.5
                return convert(base) ** (sympy.Rational(1, 2) if half else convert(exponent))
            case Binary(op, left, right):
                a, b = convert(left), convert(right)
                return a + b if op == "+" else a - b if op == "-" else a * b if op == "*" else a / b
            case Relation(op, left, right):
                return relations[op](convert(left), convert(right))
            case Call("where", (condition, then, otherwise)):
                return sympy.Piecewise((convert(then), convert(condition)), (convert(otherwise), True))
            case Call("and" | "or" | "not" as func, args):
                joined = {"and": sympy.And, "or": sympy.Or, "not": sympy.Not}
                return joined[func](*(convert(a) for a in args))
            case Call(func, args):
                known = {"exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt}
                known |= {"min": sympy.Min, "max": sympy.Max, "abs": sympy.Abs, "floor": _floor()}
                known |= {"sin": sympy.sin, "cos": sympy.cos, "tanh": sympy.tanh}
                known |= {"lgamma": sympy.loggamma, "erf": sympy.erf}
                return known[func](*(convert(a) for a in args))
        raise TypeError(f"not an expression: {node!r}")

    return convert(expr)
