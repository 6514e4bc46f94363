"""The unit of a formula, derived from the units of its names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from kinetamine.errors import UnitError, UnknownName
from kinetamine.formulas.evaluate import constant
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Relation, Text, Unary, to_source
from kinetamine.units import NUMBER, Unit

__all__ = ["fits", "unit_of"]


def unit_of(expr: Expr, units: Mapping[str, Unit], where: str = "expression") -> Unit:
    """Derive the unit of an expression.

    Numbers in the text have no unit, except that a 0 fits every unit.

    Parameters
    ----------
    expr : Expr
    units : dict of str to Unit
        The unit of every name.
    where : str
        Named in the error.

    Raises
    ------
    UnitError
        If units do not fit together; names the part where.
    UnknownName
        If a name has no unit.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> from kinetamine.units import unit
    >>> clearance, volume = unit("L/h")[0], unit("L")[0]
    >>> str(unit_of(parse("CL / V"), {"CL": clearance, "V": volume}))
    '1/h'
    """
    return _unit(expr, units, where) or NUMBER


def fits(expr: Expr, units: Mapping[str, Unit], wanted: Unit, where: str = "expression") -> Unit | None:
    """None if the expression measures what is wanted (a 0 always does), else the unit it has.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> str(fits(parse("time / 2"), {"time": NUMBER}, NUMBER))
    'None'
    """
    found = _unit(expr, units, where)
    return None if found is None or found == wanted else found


def _shown(expr: Expr) -> str:
    text = to_source(expr)
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _named(unit: Unit) -> str:
    return "no unit" if unit.plain else str(unit)


def _same(parts: tuple[Expr, ...], whole: Expr, units: Mapping[str, Unit], where: str) -> Unit | None:
    """The one unit of all parts."""
    found: tuple[Expr, Unit] | None = None
    for part in parts:
        unit = _unit(part, units, where)
        if unit is None:
            continue
        if found is None:
            found = (part, unit)
        elif found[1] != unit:
            first, second = found[1], unit
            cure = ""
            number = next((p for p in (found[0], part) if constant(p) is not None), None)
            if number is not None:
                other = second if number is found[0] else first
                cure = f"a parameter with unit {other} in place of {_shown(number)}"
            pair = f"{_shown(found[0])} ({_named(first)}) with {_shown(part)} ({_named(second)})"
            raise UnitError(where, f"{pair} in {_shown(whole)}", "equal units", cure)
    return found[1] if found else None


def _plain(expr: Expr, whole: Expr, units: Mapping[str, Unit], where: str, what: str) -> None:
    unit = _unit(expr, units, where)
    if unit is not None and not unit.plain:
        raise UnitError(where, f"{_shown(expr)} ({unit}) in {_shown(whole)}", f"{what} without unit")


def _unit(expr: Expr, units: Mapping[str, Unit], where: str) -> Unit | None:
    """The unit; None for a 0, which fits every unit."""
    match expr:
        case Num(value):
            return None if value == 0 else NUMBER
        case Name(id):
            if id not in units:
                raise UnknownName(where, id, units)
            return units[id]
        case Unary(_, operand):
            return _unit(operand, units, where)
        case Binary("+" | "-" | "*" | "/" as op, left, right):
            if op in "+-":
                return _same((left, right), expr, units, where)
            a, b = _unit(left, units, where), _unit(right, units, where)
            if a is None or (b is None and op == "*"):
                return None
            return a * (b or NUMBER) if op == "*" else a / (b or NUMBER)
        case Binary(_, base, exponent):
            _plain(exponent, expr, units, where, "an exponent")
            unit, fixed = _unit(base, units, where), constant(exponent)
            if unit is None or unit.plain:
                return NUMBER if unit is not None or fixed == 0 else None
            if fixed is None or not math.isfinite(fixed):
                raise UnitError(
                    where,
                    f"{_shown(base)} ({unit}) in {_shown(expr)}",
                    "a base without unit, because the exponent is not a number",
                    "dividing the base by a reference value first",
                )
            return unit ** Fraction(fixed).limit_denominator(1000)
        case Relation(_, left, right):
            _same((left, right), expr, units, where)
            return NUMBER
        case Call("where", (condition, then, otherwise)):
            _unit(condition, units, where)
            return _same((then, otherwise), expr, units, where)
        case Call("and" | "or" | "not", args):
            for part in args:
                _unit(part, units, where)
            return NUMBER
        case Text():
            return NUMBER
        case Call("abs" | "floor", (argument,)):
            return _unit(argument, units, where)
        case Call("min" | "max", args):
            return _same(args, expr, units, where)
        case Call("sqrt", (argument,)):
            unit = _unit(argument, units, where)
            return None if unit is None else unit ** Fraction(1, 2)
        case Call(func, (argument,)):
            _plain(argument, expr, units, where, f"a value for {func}")
            return NUMBER
    raise TypeError(f"not an expression: {expr!r}")
