"""A formula for sympy."""

from __future__ import annotations

from typing import Any

from kinetamine.formulas.evaluate import constant
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Relation, Unary

__all__ = ["to_sympy"]


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
            case Call(func, args):
                known = {"exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt}
                known |= {"min": sympy.Min, "max": sympy.Max}
                return known[func](*(convert(a) for a in args))
        raise TypeError(f"not an expression: {node!r}")

    return convert(expr)
