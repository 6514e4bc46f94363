"""A formula as a tree: what it is made of, the names in it, and its canonical text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "COMPARISONS",
    "FUNCTIONS",
    "JOINED",
    "SINGLE",
    "Binary",
    "Call",
    "Expr",
    "Name",
    "Num",
    "Relation",
    "Text",
    "Unary",
    "children",
    "depth",
    "names",
    "replaced",
    "to_source",
]

#: functions of one value
SINGLE = ("exp", "log", "sqrt", "abs", "floor", "sin", "cos", "tanh", "lgamma", "erf")
#: function name → smallest and largest number of arguments
FUNCTIONS = {**dict.fromkeys(SINGLE, (1, 1)), "min": (2, 50), "max": (2, 50), "where": (3, 3)}
#: words that join conditions
JOINED = ("and", "or", "not")

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True, slots=True)
class Num:
    """A number as it stands in the text."""

    value: float


@dataclass(frozen=True, slots=True)
class Name:
    """A name; random effects carry their prefix: ``eta.V1``, ``occ.D1``."""

    id: str


@dataclass(frozen=True, slots=True)
class Text:
    """A category of a covariate; stands only beside ``==`` and ``!=``."""

    value: str


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
    """One of the functions of the grammar; the first argument of ``where`` is a condition: a `Relation`, or ``and``,
    ``or``, ``not`` of conditions.
    """

    func: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A comparison; stands only in conditions."""

    op: str
    left: Expr
    right: Expr


Expr: TypeAlias = Num | Name | Text | Unary | Binary | Call | Relation


def children(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Binary | Relation):
        return (expr.left, expr.right)
    if isinstance(expr, Call):
        return expr.args
    if isinstance(expr, Unary):
        return (expr.operand,)
    return ()


def depth(expr: Expr) -> int:
    """Levels of the tree, counted without recursion because it may be too deep for that."""
    deepest, todo = 0, [(expr, 1)]
    while todo:
        node, level = todo.pop()
        deepest = max(deepest, level)
        todo.extend((child, level + 1) for child in children(node))
    return deepest


def replaced(expr: Expr, new: Callable[[Expr], Expr | None]) -> Expr:
    """A formula with some of its parts replaced: `new` gives what stands for a part, or None to look inside it.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> to_source(replaced(parse("a + b"), lambda e: Num(1.0) if e == Name("a") else None))
    '1 + b'
    """
    found = new(expr)
    if found is not None:
        return found
    match expr:
        case Unary(op, operand):
            return Unary(op, replaced(operand, new))
        case Binary(op, left, right):
            return Binary(op, replaced(left, new), replaced(right, new))
        case Relation(op, left, right):
            return Relation(op, replaced(left, new), replaced(right, new))
        case Call(func, args):
            return Call(func, tuple(replaced(a, new) for a in args))
    return expr


def names(expr: Expr) -> set[str]:
    """All names that occur, random effects with their prefix.

    Examples
    --------
    >>> from kinetamine.formulas.parse import parse
    >>> sorted(names(parse("V1 * exp(eta.V1) / time")))
    ['V1', 'eta.V1', 'time']
    """
    found: set[str] = set()
    todo = [expr]
    while todo:
        node = todo.pop()
        if isinstance(node, Name):
            found.add(node.id)
        todo.extend(children(node))
    return found


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
    >>> from kinetamine.formulas.parse import parse
    >>> to_source(parse("(a*b)+ -c**2"))
    'a * b + -c ^ 2'
    """
    return _source(expr)[0]


def _joined(expr: Call) -> str:
    """A condition; brackets round every joined part."""

    def part(condition: Expr) -> str:
        text = _source(condition)[0]
        return f"({text})" if isinstance(condition, Call) else text

    if expr.func == "not":
        return f"not ({_source(expr.args[0])[0]})"
    return f" {expr.func} ".join(part(a) for a in expr.args)


def _source(expr: Expr) -> tuple[str, int]:
    """Text and how tightly its outermost operator binds."""
    if isinstance(expr, Num):
        return _number(expr.value), 5
    if isinstance(expr, Name):
        return expr.id, 5
    if isinstance(expr, Text):
        return f"'{expr.value}'", 5
    if isinstance(expr, Call) and expr.func in JOINED:
        return _joined(expr), 0
    if isinstance(expr, Call):
        return f"{expr.func}({', '.join(_source(a)[0] for a in expr.args)})", 5
    if isinstance(expr, Relation):
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
