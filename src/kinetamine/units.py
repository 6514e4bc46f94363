"""The door for units: outside it a number carries a unit (pint), inside it is a plain float.

Inside units are h (time), mg (amount of drug), L (volume), kg (body weight is a plain covariate number),
so a concentration is mg/L and a clearance L/h. pint is imported only when a unit must really be read.
"""

from __future__ import annotations

import functools
import math
import re
import tokenize
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from kinetamine.errors import UnitError

__all__ = [
    "MASS",
    "NUMBER",
    "TIME",
    "VOLUME",
    "Unit",
    "convert",
    "dimension",
    "inside_factor",
    "inside_unit",
    "parse",
    "read",
    "unit",
]

#: dimension (as pint prints it) → the unit used inside
_INSIDE = {
    "dimensionless": "1",
    "[time]": "h",
    "1 / [time]": "1/h",
    "[mass]": "mg",
    "[length] ** 3": "L",
    "[length] ** 3 / [time]": "L/h",
    "[mass] / [length] ** 3": "mg/L",
    "[mass] / [time]": "mg/h",
    "[mass] * [time] / [length] ** 3": "mg*h/L",
}

_BASE = {"[time]": "h", "[mass]": "mg", "[length]": "dm", "[substance]": "nmol"}

# Fast path for the units that nearly every request uses: pint costs 0.2 s to import.
_COMMON = {
    ("min", "h"): 1 / 60,
    ("h", "h"): 1.0,
    ("d", "h"): 24.0,
    ("mg", "mg"): 1.0,
    ("ug", "mg"): 1e-3,
    ("g", "mg"): 1e3,
    ("mg/L", "ng/mL"): 1e3,
    ("ng/mL", "mg/L"): 1e-3,
    ("L", "L"): 1.0,
    ("L/h", "L/h"): 1.0,
    ("L/min", "L/h"): 60.0,
    ("1/h", "1/h"): 1.0,
    ("1/min", "1/h"): 60.0,
    ("mg/L", "mg/L"): 1.0,
    ("mg*h/L", "ng*h/mL"): 1e3,
}

_ALIASES = {"": "1", "-": "1", "fraction": "1", "µg": "ug", "mcg": "ug", "μg": "ug", "%": "percent"}


@functools.cache
def _registry() -> Any:
    import pint

    registry: Any = pint.UnitRegistry(cache_folder=None)
    registry.define("IU = []")
    return registry


def _clean(unit: str) -> str:
    text = unit.strip().replace("µ", "u").replace("μ", "u").replace("·", "*").replace("mcg", "ug")
    text = re.sub(r"\bmin(s|ute|utes)?\b", "min", text)
    text = re.sub(r"\b(hr|hrs|hour|hours)\b", "h", text)
    text = re.sub(r"\b(days?)\b", "d", text)
    text = re.sub(r"\b(weeks?|wk)\b", "week", text)
    return _ALIASES.get(text, text)


@functools.lru_cache(maxsize=4096)
def parse(unit: str, where: str = "unit") -> Any:
    """Read a unit; returns a pint unit.

    Raises
    ------
    UnitError
        If the unit is unknown.

    Examples
    --------
    >>> str(parse("ng/mL").dimensionality)
    '[mass] / [length] ** 3'
    """
    text = _clean(unit)
    # a power of a number is never a unit, and pint would work out 9**9**9
    if (
        len(text) > 60
        or not re.fullmatch(r"[A-Za-z0-9_ */^().%-]+", text)
        or re.search(r"[0-9.][\s)]*(\*\*|\^)|[0-9]{4}", text)
    ):
        raise UnitError(where, repr(unit), "a unit such as L/h, 1/min, ng/mL, mg or h", "L/h")
    found = _parsed(text)
    # pint reads "hh" as a hundred hours; prefixes belong to g, L, mol, m and s only
    if found is None or any(_STRANGE.search(name) for name, _ in _items(found)):
        raise UnitError(where, repr(unit), "a unit such as L/h, 1/min, ng/mL, mg or h", "L/h")
    return found


#: prefixes of units of time, and differences of offset units, which pint itself does not know again
_STRANGE = re.compile(r"[a-z](hour|minute|day|week|month|year|percent)$|^delta_")


def _items(found: Any) -> Any:
    """Names and powers that a pint unit is made of."""
    return _registry().Quantity(1, found).unit_items()


_NAME = r"(?:[A-Za-z_%][A-Za-z_%0-9]*|[0-9]+(?:\.[0-9]+)?)"
_NUMBER = r"-?(?!0+(?:\.0*)?(?![0-9.]))[0-9]+(?:\.[0-9]+)?"
_POWER = rf"(?:\s*(?:\*\*|\^)\s*(?:{_NUMBER}|\(\s*-?[1-9][0-9]*\s*(?:/\s*[1-9][0-9]*\s*)?\)))?"
_FLAT = re.compile(rf"\s*{_NAME}{_POWER}(?:(?:\s*[*/.]\s*|\s+){_NAME}{_POWER})*\s*")
#: a bracket that is no power
_INNER = re.compile(rf"(?<!\*\*)(?<!\^)\({_FLAT.pattern}\)")


def _looks_like_a_unit(text: str) -> bool:
    """Names and numbers with powers, multiplied and divided; brackets."""
    while (simpler := _INNER.sub("x", text)) != text:
        text = simpler
    return _FLAT.fullmatch(text) is not None


def _parsed(text: str) -> Any:
    """A pint unit, or None if the text is none; a library that is broken must not read as the user's fault."""
    if text == "1":
        return _registry().dimensionless
    if not _looks_like_a_unit(text):
        return None
    from pint import errors

    not_one = (
        errors.UndefinedUnitError,
        errors.DefinitionSyntaxError,
        errors.OffsetUnitCalculusError,
        errors.DimensionalityError,
        tokenize.TokenError,
        ValueError,
        ZeroDivisionError,
    )
    try:
        return _registry().parse_units(text)
    except not_one:
        try:  # "1/h" is a quantity to pint, not a unit
            quantity = _registry().parse_expression(text)
            return quantity.units if quantity.magnitude == 1 else None
        except not_one:
            return None


def dimension(unit: str, where: str = "unit") -> str:
    """What a unit measures, e.g. ``[mass] / [length] ** 3``.

    Examples
    --------
    >>> dimension("L/min")
    '[length] ** 3 / [time]'
    """
    return str(parse(unit, where).dimensionality)


def convert(value: float, unit: str, to: str, where: str = "value") -> float:
    """Convert a number between units.

    Parameters
    ----------
    value : float or array
    unit, to : str
        Units of the same dimension.

    Raises
    ------
    UnitError
        If a unit is unknown or the two measure different things.

    Examples
    --------
    >>> convert(40, "min", "h")  # doctest: +ELLIPSIS
    0.666...
    """
    a, b = _clean(unit), _clean(to)
    if a == b:
        return value
    factor = _COMMON.get((a, b))
    if factor is None:
        factor = _factor(a, b, where, unit, to)
    return value * factor


@functools.lru_cache(maxsize=4096)
def _factor(a: str, b: str, where: str, unit: str, to: str) -> float:
    source, target = parse(a, where), parse(b, where)
    if source.dimensionality != target.dimensionality:
        raise UnitError(where, f"{unit!r} ({source.dimensionality})", f"a unit of {to!r}", repr(to))
    return float(_registry().Quantity(1.0, source).to(target).magnitude)


def inside_unit(unit: str, where: str = "unit") -> str:
    """The unit used inside for what `unit` measures.

    Examples
    --------
    >>> inside_unit("mL/min")
    'L/h'
    """
    dim = dimension(unit, where)
    if dim in _INSIDE:
        return _INSIDE[dim]
    powers = sorted(parse(unit, where).dimensionality.items())
    if any(name not in _BASE for name, _ in powers):
        return _clean(unit)
    return "*".join(f"{_BASE[name]}**{power:g}" for name, power in powers)


def inside_factor(unit: str, where: str = "unit") -> float:
    """What a value in `unit` is multiplied by to be in inside units.

    Examples
    --------
    >>> inside_factor("L/min")
    60.0
    """
    text = _clean(unit)
    for (a, b), factor in _COMMON.items():
        if a == text and b in _INSIDE.values():
            return factor
    return convert(1.0, unit, inside_unit(unit, where), where)


_QUANTITY = re.compile(r"\s*([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(.*?)\s*")


def read(text: str | float, to: str, where: str = "value") -> float:
    """Read ``"40 min"`` and give the number in `to`; a bare number is taken to be in `to` already.

    Raises
    ------
    UnitError
        If it is not a finite number with a fitting unit.

    Examples
    --------
    >>> read("28 d", "h")
    672.0
    """
    match = _QUANTITY.fullmatch(str(text))
    if match is None:
        raise UnitError(where, repr(text), f"a number with a unit, such as '1 {to}'", f"'1 {to}'")
    value = float(match[1])
    if not math.isfinite(value):
        raise UnitError(where, repr(text), "a finite number", f"'1 {to}'")
    return convert(value, match[2], to, where) if match[2] else value


#: base dimensions in the order in which they are written, and the inside unit of each
_SYMBOLS = {"[mass]": "mg", "[substance]": "nmol", "[time]": "h", "[length]": "dm"}


@dataclass(frozen=True)
class Unit:
    """One of the units used inside: a product of powers of mg, nmol, h and dm (1 L = 1 dm**3).

    There is one such unit for each thing that can be measured, so multiplying two values never needs
    a factor. Built with :func:`unit`; this class needs no pint.

    Parameters
    ----------
    powers : tuple of (str, Fraction)
        Base dimension and its power, sorted, without zeros.

    Examples
    --------
    >>> mg, volume = Unit((("[mass]", Fraction(1)),)), Unit((("[length]", Fraction(3)),))
    >>> str(mg / volume), str((mg / volume) ** Fraction(1, 2))
    ('mg/L', 'mg**(1/2)/dm**(3/2)')
    """

    powers: tuple[tuple[str, Fraction], ...] = ()

    @property
    def plain(self) -> bool:
        """True for a number without unit."""
        return not self.powers

    def _combined(self, other: Unit, sign: int) -> Unit:
        powers = dict(self.powers)
        for name, power in other.powers:
            powers[name] = powers.get(name, Fraction(0)) + sign * power
        return Unit(tuple(sorted((n, p) for n, p in powers.items() if p)))

    def __mul__(self, other: Unit) -> Unit:
        return self._combined(other, 1)

    def __truediv__(self, other: Unit) -> Unit:
        return self._combined(other, -1)

    def __pow__(self, power: Fraction | int) -> Unit:
        return Unit(tuple((n, p * power) for n, p in self.powers) if power else ())

    def __str__(self) -> str:
        above: list[str] = []
        below: list[str] = []
        for base, symbol in _SYMBOLS.items():
            power = dict(self.powers).get(base, Fraction(0))
            if base == "[length]" and power.denominator == 1 and power % 3 == 0:
                symbol, power = "L", power / 3
            size = abs(power)
            shown = f"{size}" if size.denominator == 1 else f"({size})"
            if power:
                (above if power > 0 else below).append(symbol if size == 1 else f"{symbol}**{shown}")
        return "/".join(["*".join(above) or "1", *below])


#: a plain number, and the units that every model file needs (without asking pint)
NUMBER = Unit()
MASS = Unit((("[mass]", Fraction(1)),))
TIME = Unit((("[time]", Fraction(1)),))
VOLUME = Unit((("[length]", Fraction(3)),))


@functools.lru_cache(maxsize=4096)
def unit(text: str, where: str = "unit", *, body_weight: bool = False) -> tuple[Unit, float]:
    """Read a unit: the inside unit that measures the same, and the factor to it.

    Parameters
    ----------
    text : str
    where : str
        Named in the error.
    body_weight : bool
        Take ``kg`` as a plain kilogram of body weight, so that ``L/kg`` gives L. Weight enters the
        expressions of a model file as a plain number, so this is how its parameters are read.

    Raises
    ------
    UnitError
        If the unit is unknown or measures neither mass, substance, time nor length.

    Examples
    --------
    >>> measured, factor = unit("mL/min/kg", body_weight=True)
    >>> str(measured), round(factor, 12)
    ('L/h', 0.06)
    """
    read = parse(text, where)
    if body_weight:
        powers = dict(_items(read))
        read = read / _registry().kilogram ** powers.get("kilogram", 0)
    dimensions = dict(read.dimensionality)
    if not dimensions.keys() <= _SYMBOLS.keys():
        raise UnitError(where, repr(text), "a unit made of mass, volume, time or amount of substance", "L/h")
    exact = ((name, Fraction(power).limit_denominator(1000)) for name, power in dimensions.items())
    measured = Unit(tuple(sorted((n, p) for n, p in exact if p)))
    fast = _COMMON.get((_clean(text), str(measured)))
    if fast is not None and not body_weight:
        return measured, fast
    from pint import errors

    try:
        factor = float(_registry().Quantity(1.0, read).to(parse(str(measured))).magnitude)
    except (errors.OffsetUnitCalculusError, errors.DimensionalityError):  # an offset unit such as degC
        raise UnitError(where, repr(text), "a unit that is a plain multiple of others", "L/h") from None
    short = float(f"{factor:.14g}")  # 999.9999999999999 is 1000 that went through a division
    return measured, short if abs(short - factor) < 2.3e-16 * abs(factor) else factor
