"""The small grammar of model files: text in, a tree out, numbers, units or sympy from the tree.

Text from outside is read by the parser below and never handed to Python. The grammar::

    expression  =  term { ("+" | "-") term }
    term        =  sign { ("*" | "/") sign }
    sign        =  { "-" | "+" } power
    power       =  atom [ ("^" | "**") sign ]                    right to left, as in NONMEM and R
    atom        =  number | name | function "(" … ")" | "(" expression ")"
    function    =  exp log sqrt (1 value)   min max (2 or more)   where(condition, if true, if false)
    condition   =  expression ("<" | "<=" | ">" | ">=" | "==" | "!=") expression
    name        =  letter { letter | digit | "_" }  |  "eta." name  |  "occ." name
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from kinetamine.errors import InputError, UnitError, UnknownName, nearest
from kinetamine.units import NUMBER, Unit

__all__ = [
    "FUNCTIONS",
    "Binary",
    "Call",
    "Compare",
    "Expr",
    "Name",
    "Num",
    "Unary",
    "constant",
    "evaluate",
    "fits",
    "names",
    "parse",
    "to_source",
    "to_sympy",
    "unit_of",
]

#: function name → smallest and largest number of arguments
FUNCTIONS = {"exp": (1, 1), "log": (1, 1), "sqrt": (1, 1), "min": (2, 50), "max": (2, 50), "where": (3, 3)}

LONGEST = 2000
DEEPEST = 50  # brackets, calls, powers and signs inside each other
DEEPEST_TREE = 200  # a + b + c + … makes a tree as deep as it is long; well under Python's recursion limit


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Num:
    """A number as it stands in the text."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A name; random effects carry their prefix: ``eta.V1``, ``occ.D1``."""

    id: str


@dataclass(frozen=True, slots=True)
class Unary:
    """Minus something; `op` is ``-``."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    """Two values and one of ``+ - * / ^``."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Call:
    """One of the functions of the grammar; the first argument of ``where`` is a `Compare`."""

    func: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Compare:
    """A condition; stands only in the first place of ``where``."""

    op: str
    left: Expr
    right: Expr


Expr: TypeAlias = Num | Name | Unary | Binary | Call | Compare


# --- reading -----------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
    | (?P<op>\*\*|<=|>=|==|!=|[-+*/^(),<>])
    )""",
    re.VERBOSE | re.ASCII,
)

_CURES = {
    "&": "one where(…) inside another",
    "|": "one where(…) inside another",
    "~": "where(condition, a, b) with a and b changed round",
    "=": "== to compare",
    "%": "a number, for example 0.2 for 20 %",
    "'": "names and numbers only",
    '"': "names and numbers only",
    "[": "round brackets",
    "{": "round brackets",
    "]": "round brackets",
    "}": "round brackets",
    "!": "!= to compare",
    "#": "the key `note` for remarks",
    ";": "one entry per value",
    ":": "where(condition, if true, if false)",
    "?": "where(condition, if true, if false)",
    "×": "*",
    "·": "*",
    "−": "-",
    "–": "-",
    "÷": "/",
    "²": "^2",
    "√": "sqrt(…)",
}

_GRAMMAR = "+ - * / ^ ( ), numbers, names, exp log sqrt min max, where(a < b, c, d)"


class _Parser:
    """Precedence by one method per level; every fault names its column."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.tokens: list[tuple[str, str, int]] = []
        self.at = 0
        self.nested = 0
        self._scan()

    def fault(self, column: int, got: str, expected: str, cure: str = "") -> InputError:
        shown = self.text if len(self.text) <= 60 else self.text[:57] + "..."
        return InputError(self.where, f"{got} in column {column + 1} of {shown!r}", expected, cure)

    def _scan(self) -> None:
        position, text = 0, self.text
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                column = position + len(text[position:]) - len(text[position:].lstrip())
                if column >= len(text):
                    break
                bad = text[column]
                raise self.fault(column, repr(bad), f"only {_GRAMMAR}", _CURES.get(bad, ""))
            kind = str(match.lastgroup)
            start, position = match.start(kind), match.end()
            if kind == "number" and re.match(r"[A-Za-z0-9_.]", text[position : position + 1]):
                word = re.match(r"[\w.]+", text[start:])
                got = word[0] if word else match[kind]
                cure = f"{match[kind]} * {text[position]}…" if text[position].isalpha() else ""
                raise self.fault(start, repr(got), "a number such as 0.5 or 1e-3, or a name", cure)
            if kind == "name" and match[kind].startswith("_"):
                why = "a name that begins with a letter (formulas are read, never run as code)"
                raise self.fault(start, repr(match[kind]), why)
            self.tokens.append((kind, match[kind], start))
        self.tokens.append(("end", "the end", len(text)))

    def peek(self) -> str:
        kind, word, _ = self.tokens[self.at]
        return word if kind == "op" else ""

    def take(self) -> tuple[str, str, int]:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def need(self, word: str, why: str) -> None:
        kind, got, column = self.tokens[self.at]
        if kind != "op" or got != word:
            cure = f"* {got}" if kind in ("name", "number") else f"a {word!r}"
            raise self.fault(column, got if kind == "end" else repr(got), why, cure)
        self.at += 1

    def deeper(self, column: int) -> None:
        self.nested += 1
        if self.nested > DEEPEST:
            limit = f"at most {DEEPEST} brackets inside each other"
            raise self.fault(column, "too many levels", limit, "a name for a part")

    def whole(self) -> Expr:
        expr = self.sum()
        kind, got, column = self.tokens[self.at]
        if kind == "end":
            if _depth(expr) > DEEPEST_TREE:
                limit = f"at most {DEEPEST_TREE} operations in a row"
                raise self.fault(0, "a very long formula", limit, "a name for a part")
            return expr
        if got in _COMPARISONS:
            wanted = "a comparison only as the condition of where"
            raise self.fault(column, repr(got), wanted, "where(a < b, c, d)")
        if kind == "op":
            raise self.fault(column, repr(got), "an operator or the end", "without it" if got == ")" else "")
        raise self.fault(column, repr(got), "an operator before it", f"* {got}")

    def chain(self, below: Callable[[], Expr], operators: str) -> Expr:
        expr = below()
        while (op := self.peek()) and op in operators:
            self.take()
            expr = Binary(op, expr, below())
        return expr

    def sum(self) -> Expr:
        return self.chain(self.product, "+-")

    def product(self) -> Expr:
        return self.chain(self.sign, "*/")

    def sign(self) -> Expr:
        if self.peek() in ("-", "+"):
            _, op, column = self.take()
            self.deeper(column)
            inner = self.sign()
            self.nested -= 1
            return Unary("-", inner) if op == "-" else inner
        return self.power()

    def power(self) -> Expr:
        base = self.atom()
        if self.peek() not in ("^", "**"):
            return base
        _, _, column = self.take()
        self.deeper(column)
        exponent = self.sign()
        self.nested -= 1
        return Binary("^", base, exponent)

    def atom(self) -> Expr:
        kind, word, column = self.take()
        if kind == "number":
            value = float(word)
            if not math.isfinite(value):
                raise self.fault(column, repr(word), "a finite number", "a smaller one")
            return Num(value)
        if kind == "name":
            return self.call(word, column) if self.peek() == "(" else self.name(word, column)
        if word == "(" and kind == "op":
            self.deeper(column)
            expr = self.sum()
            self.need(")", "an operator or the closing bracket")
            self.nested -= 1
            return expr
        raise self.fault(column, word if kind == "end" else repr(word), "a number, a name or a bracket")

    def name(self, word: str, column: int) -> Expr:
        head, dot, tail = word.partition(".")
        if dot and (head not in ("eta", "occ") or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", tail)):
            close = nearest(head, ["eta", "occ"], 1) or ["eta"]
            raise self.fault(column, repr(word), "a dot only in eta.NAME or occ.NAME", f"{close[0]}.{tail}")
        if word in FUNCTIONS:
            raise self.fault(column, repr(word), "a function with its arguments", f"{word}(…)")
        if word in ("eta", "occ"):
            raise self.fault(column, repr(word), "the name of the random effect as well", f"{word}.CL")
        return Name(word)

    def call(self, word: str, column: int) -> Expr:
        if word not in FUNCTIONS:
            close = nearest(word, FUNCTIONS, 1)
            others = {"ln": "log", "pow": "a ^ b", "if": "where", "ifelse": "where", "abs": "max(x, -x)"}
            cure = others.get(word, "")
            raise self.fault(
                column,
                repr(f"{word}(…)"),
                "one of the functions " + ", ".join(FUNCTIONS),
                cure or (close[0] if close else f"{word} * (…)"),
            )
        self.take()
        self.deeper(column)
        args: list[Expr] = []
        if self.peek() != ")":
            args.append(self.condition() if word == "where" else self.sum())
            while self.peek() == ",":
                self.take()
                args.append(self.sum())
        self.need(")", "a comma or the closing bracket")
        self.nested -= 1
        fewest, most = FUNCTIONS[word]
        if not fewest <= len(args) <= most:
            wanted = {"min": "2 or more", "max": "2 or more"}.get(word, str(fewest))
            shape = "where(a < b, c, d)" if word == "where" else f"{word}({', '.join('abc'[:fewest])})"
            raise self.fault(column, f"{word} with {len(args)} values", f"{wanted} of them", shape)
        return Call(word, tuple(args))

    def condition(self) -> Expr:
        left = self.sum()
        op = self.peek()
        if op not in _COMPARISONS:
            _, got, column = self.tokens[self.at]
            raise self.fault(
                column, got if got == "the end" else repr(got), "a comparison", "where(a < b, c, d)"
            )
        self.take()
        right = self.sum()
        if self.peek() in _COMPARISONS:
            column = self.tokens[self.at][2]
            raise self.fault(column, repr(self.peek()), "one comparison", "one where(…) inside another")
        return Compare(op, left, right)


@functools.lru_cache(maxsize=4096)
def _parse(text: str) -> Expr:
    return _Parser(text, "").whole()


def parse(text: str, where: str = "expression") -> Expr:
    """Read an expression.

    Parameters
    ----------
    text : str
        At most 2000 characters; brackets at most 50 deep.
    where : str
        Named in the error.

    Raises
    ------
    InputError
        If the text is not in the grammar; the message names the column.

    Examples
    --------
    >>> parse("V1 * (weight / 70)^0.75")
    Binary(op='*', left=Name(id='V1'), right=Binary(op='^', ...))
    """
    if not text.strip():
        raise InputError(where, repr(text), "an expression", "a number or a formula")
    if len(text) > LONGEST:
        raise InputError(where, f"{len(text)} characters", f"at most {LONGEST}", "a name for a part of it")
    try:
        return _parse(text)
    except InputError as error:  # read without a place, so that equal texts are read once
        fault = error.faults[0]
        raise InputError(where, fault.given, fault.expected, fault.try_) from None


# --- asking ------------------------------------------------------------------------------------------


def _children(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Binary | Compare):
        return (expr.left, expr.right)
    if isinstance(expr, Call):
        return expr.args
    if isinstance(expr, Unary):
        return (expr.operand,)
    return ()


def _depth(expr: Expr) -> int:
    """Levels of the tree, counted without recursion because it may be too deep for that."""
    deepest, todo = 0, [(expr, 1)]
    while todo:
        node, level = todo.pop()
        deepest = max(deepest, level)
        todo.extend((child, level + 1) for child in _children(node))
    return deepest


def names(expr: Expr) -> set[str]:
    """All names that occur, random effects with their prefix.

    Examples
    --------
    >>> sorted(names(parse("V1 * exp(eta.V1) / time")))
    ['V1', 'eta.V1', 'time']
    """
    found: set[str] = set()
    todo = [expr]
    while todo:
        node = todo.pop()
        if isinstance(node, Name):
            found.add(node.id)
        todo.extend(_children(node))
    return found


def constant(expr: Expr) -> float | None:
    """The value if the expression holds no name, else None.

    Examples
    --------
    >>> constant(parse("1 / 4")), constant(parse("a / 4"))
    (0.25, None)
    """
    return None if names(expr) else float(evaluate(expr, {}))


_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_SIGN = 3


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def to_source(expr: Expr) -> str:
    """Canonical text: reading it again gives an equal tree.

    Examples
    --------
    >>> to_source(parse("(a*b)+ -c**2"))
    'a * b + -c ^ 2'
    """
    return _source(expr)[0]


def _source(expr: Expr) -> tuple[str, int]:
    """Text and how tightly its outermost operator binds."""
    if isinstance(expr, Num):
        return _number(expr.value), 5
    if isinstance(expr, Name):
        return expr.id, 5
    if isinstance(expr, Call):
        return f"{expr.func}({', '.join(_source(a)[0] for a in expr.args)})", 5
    if isinstance(expr, Compare):
        return f"{_source(expr.left)[0]} {expr.op} {_source(expr.right)[0]}", 0
    if isinstance(expr, Unary):
        text, level = _source(expr.operand)
        return (f"-{text}" if level >= _SIGN else f"-({text})"), _SIGN
    here = _LEVEL[expr.op]
    left, left_level = _source(expr.left)
    right, right_level = _source(expr.right)
    if expr.op == "^":
        # the base must be an atom; the exponent may carry a sign or another power
        left = left if left_level == 5 else f"({left})"
        right = right if right_level >= _SIGN else f"({right})"
    else:
        left = left if left_level >= here else f"({left})"
        right = right if right_level > here else f"({right})"
    return f"{left} {expr.op} {right}", here


# --- numbers -----------------------------------------------------------------------------------------


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
_SINGLE: dict[str, Callable[[Any], Any]] = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt}


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
        case Call("where", (Compare(op, left, right), then, otherwise)):
            condition = _COMPARISONS[op](_value(left, env), _value(right, env))
            return np.where(condition, _value(then, env), _value(otherwise, env))[()]
        case Call("min" | "max" as func, args):
            pick = np.minimum if func == "min" else np.maximum
            return functools.reduce(pick, [_value(a, env) for a in args])
        case Call(func, (argument,)):
            return _SINGLE[func](_value(argument, env))
    raise TypeError(f"not an expression: {expr!r}")


# --- units -------------------------------------------------------------------------------------------


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
        case Compare(_, left, right):
            _same((left, right), expr, units, where)
            return NUMBER
        case Call("where", (condition, then, otherwise)):
            _unit(condition, units, where)
            return _same((then, otherwise), expr, units, where)
        case Call("min" | "max", args):
            return _same(args, expr, units, where)
        case Call("sqrt", (argument,)):
            unit = _unit(argument, units, where)
            return None if unit is None else unit ** Fraction(1, 2)
        case Call(func, (argument,)):
            _plain(argument, expr, units, where, f"a value for {func}")
            return NUMBER
    raise TypeError(f"not an expression: {expr!r}")


# --- sympy -------------------------------------------------------------------------------------------


def to_sympy(expr: Expr, symbols: dict[str, Any] | None = None) -> Any:
    """The expression for sympy.

    Parameters
    ----------
    expr : Expr
    symbols : dict of str to sympy object, optional
        What stands for a name; real symbols are added for names that are missing.

    Examples
    --------
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
            case Compare(op, left, right):
                return relations[op](convert(left), convert(right))
            case Call("where", (condition, then, otherwise)):
                return sympy.Piecewise((convert(then), convert(condition)), (convert(otherwise), True))
            case Call(func, args):
                known = {"exp": sympy.exp, "log": sympy.log, "sqrt": sympy.sqrt}
                known |= {"min": sympy.Min, "max": sympy.Max}
                return known[func](*(convert(a) for a in args))
        raise TypeError(f"not an expression: {node!r}")

    return convert(expr)
