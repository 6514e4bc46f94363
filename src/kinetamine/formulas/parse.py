"""Text of the small grammar of model files → a tree.

Text from outside is read by the parser below and never handed to Python. The grammar::

    expression  =  term { ("+" | "-") term }
    term        =  sign { ("*" | "/") sign }
    sign        =  { "-" | "+" } power
    power       =  atom [ ("^" | "**") sign ]                    right to left, as in NONMEM and R
    atom        =  number | name | function "(" … ")" | "(" expression ")"
    function    =  exp log sqrt abs floor sin cos tanh lgamma erf (1 value)   min max (2 or more)
                   where(condition, if true, if false)
    condition   =  both { "or" both }
    both        =  one { "and" one }
    one         =  "not" one  |  "(" condition ")"  |  expression ("<" | "<=" | ">" | ">=" | "==" | "!=") expression
                |  name ("==" | "!=") "'" category "'"
    name        =  letter { letter | digit | "_" }  |  "eta." name  |  "occ." name
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable

from kinetamine.errors import InputError, nearest
from kinetamine.formulas.tree import (
    COMPARISONS,
    FUNCTIONS,
    JOINED,
    Binary,
    Call,
    Expr,
    Name,
    Num,
    Relation,
    Text,
    Unary,
    depth,
)

__all__ = ["DEEPEST", "DEEPEST_TREE", "LONGEST", "parse"]

LONGEST = 2000
DEEPEST = 50  # brackets, calls, powers and signs inside each other
DEEPEST_TREE = 200  # a + b + c + … makes a tree as deep as it is long; well under Python's recursion limit

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
    | (?P<text>'[^'"\\]*'|"[^'"\\]*")
    | (?P<op>\*\*|<=|>=|==|!=|[-+*/^(),<>])
    )""",
    re.VERBOSE | re.ASCII,
)

_CURES = {
    "&": "and",
    "|": "or",
    "~": "not",
    "=": "== to compare",
    "%": "a number, for example 0.2 for 20 %",
    "'": "a category in quotes: where(form == 'tablet', a, b)",
    '"': "a category in quotes: where(form == 'tablet', a, b)",
    "[": "round brackets",
    "{": "round brackets",
    "]": "round brackets",
    "}": "round brackets",
    "!": "!= to compare, or not",
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

_GRAMMAR = f"+ - * / ^ ( ), numbers, names, {' '.join(FUNCTIONS)}, as in where(a < b, c, d)"


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
            if depth(expr) > DEEPEST_TREE:
                limit = f"at most {DEEPEST_TREE} operations in a row"
                raise self.fault(0, "a very long formula", limit, "a name for a part")
            return expr
        if got in COMPARISONS:
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
        if kind == "text":
            wanted = "a category only beside == or != in the condition of where"
            raise self.fault(column, word, wanted, "where(form == 'tablet', a, b)")
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
        if word in JOINED:
            wanted = "a name or a number; and, or, not join the conditions of where"
            raise self.fault(column, repr(word), wanted, "where(a < b and c < d, e, f)")
        if word in ("eta", "occ"):
            raise self.fault(column, repr(word), "the name of the random effect as well", f"{word}.CL")
        return Name(word)

    def call(self, word: str, column: int) -> Expr:
        if word not in FUNCTIONS:
            close = nearest(word, FUNCTIONS, 1)
            others = {"ln": "log", "pow": "a ^ b", "if": "where", "ifelse": "where", "gammaln": "lgamma"}
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

    def word(self) -> str:
        """The next word when it joins conditions."""
        kind, word, _ = self.tokens[self.at]
        return word if kind == "name" and word in JOINED else ""

    def condition(self) -> Expr:
        return self.joined("or", lambda: self.joined("and", self.one))

    def joined(self, word: str, below: Callable[[], Expr]) -> Expr:
        parts = [below()]
        while self.word() == word:
            self.take()
            parts.append(below())
        return Call(word, tuple(parts)) if len(parts) > 1 else parts[0]

    def one(self) -> Expr:
        """One condition: ``not`` of another, one in brackets, or a comparison."""
        if self.word() == "not":
            _, _, column = self.take()
            self.deeper(column)
            inner = self.one()
            self.nested -= 1
            return Call("not", (inner,))
        if self.peek() == "(" and self.closes():
            self.deeper(self.take()[2])
            inner = self.condition()
            self.need(")", "an operator or the closing bracket")
            self.nested -= 1
            return inner
        left = self.side()
        op = self.peek()
        if op not in COMPARISONS:
            _, got, column = self.tokens[self.at]
            raise self.fault(
                column, got if got == "the end" else repr(got), "a comparison", "where(a < b, c, d)"
            )
        _, _, column = self.take()
        right = self.side()
        if self.peek() in COMPARISONS:
            column = self.tokens[self.at][2]
            raise self.fault(column, repr(self.peek()), "one comparison", f"a {op} b and b {self.peek()} c")
        texts = [isinstance(side, Text) for side in (left, right)]
        if any(texts) and (
            all(texts) or op not in ("==", "!=") or not isinstance(right if texts[0] else left, Name)
        ):
            wanted = "a category beside == or != and a covariate"
            raise self.fault(column, repr(op), wanted, "where(form == 'tablet', a, b)")
        return Relation(op, left, right)

    def closes(self) -> bool:
        """Whether a bracket that opens here holds a whole condition: what follows it belongs to no value."""
        level = 0
        for place in range(self.at, len(self.tokens)):
            kind, word, _ = self.tokens[place]
            level += (kind == "op") * ((word == "(") - (word == ")"))
            if level == 0:
                kind, word, _ = self.tokens[place + 1]
                return (kind == "op" and word in (",", ")")) or (kind == "name" and word in JOINED)
        return False

    def side(self) -> Expr:
        """One side of a comparison: a category in quotes, or an expression."""
        if self.tokens[self.at][0] == "text":
            return Text(self.take()[1][1:-1])
        return self.sum()


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
