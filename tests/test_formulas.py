"""The grammar of model files: what it reads, what it refuses, and that all its readings agree."""

from __future__ import annotations

import ast
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kinetamine import formulas
from kinetamine.errors import InputError, UnitError, UnknownName
from kinetamine.formulas.dimensions import fits, unit_of
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.formulas.symbolic import to_sympy
from kinetamine.formulas.tree import (
    JOINED,
    SINGLE,
    Binary,
    Call,
    Name,
    Num,
    Relation,
    Unary,
    children,
    names,
    to_source,
)
from kinetamine.units import MASS, NUMBER, TIME, VOLUME, unit

# --- reading -----------------------------------------------------------------------------------------

GOOD = {
    "1": "1",
    " 0.5e-3 ": "0.0005",
    "a+b*c": "a + b * c",
    "(a+b)*c": "(a + b) * c",
    "a-(b-c)": "a - (b - c)",
    "a-b-c": "a - b - c",
    "a/(b*c)": "a / (b * c)",
    "a/b/c": "a / b / c",
    "a**b**c": "a ^ b ^ c",
    "(a^b)^c": "(a ^ b) ^ c",
    "-a^2": "-a ^ 2",
    "(-a)^2": "(-a) ^ 2",
    "a^-b": "a ^ -b",
    "a * -b": "a * -b",
    "+a": "a",
    "--a": "--a",
    "a - -(b + c)": "a - -(b + c)",
    "V1 * exp(eta.V1 + occ.V1)": "V1 * exp(eta.V1 + occ.V1)",
    "min(a, b, c)": "min(a, b, c)",
    "where(age>=60, 1, 2)": "where(age >= 60, 1, 2)",
    "a\n  + b": "a + b",
    "where(a<1 and b>2 or not c==3, 1, 2)": "where((a < 1 and b > 2) or (not (c == 3)), 1, 2)",
    "where((a < 1), 1, 2)": "where(a < 1, 1, 2)",
    "where((a + b) * 2 < (c), 1, 2)": "where((a + b) * 2 < c, 1, 2)",
    'where(form == "tablet", 1, 2)': "where(form == 'tablet', 1, 2)",
    "abs(a) + floor(b) * lgamma(c)": "abs(a) + floor(b) * lgamma(c)",
    "lambda * if": "lambda * if",  # names only: nothing here is Python
}


@pytest.mark.parametrize(("text", "canonical"), GOOD.items())
def test_reads_and_writes_canonical_text(text, canonical):
    expr = parse(text)
    assert to_source(expr) == canonical
    assert parse(canonical) == expr


BAD = {
    "": ("", "an expression"),
    "   ": ("", "an expression"),
    "a b": ("column 3", "* b"),
    "(a": ("column 3", "')'"),
    "a)": ("column 2", "without it"),
    "a +": ("column 4", "a number, a name"),
    "* a": ("column 1", "a number, a name"),
    "2V1": ("column 1", "2 * V"),
    "1.2.3": ("column 1", "number"),
    "1e999": ("column 1", "finite"),
    "exp": ("column 1", "exp(…)"),
    "exp()": ("column 1", "exp(a)"),
    "exp(1, 2)": ("column 1", "exp(a)"),
    "max(a)": ("column 1", "max(a, b)"),
    "ln(a)": ("column 1", "try log"),
    "sqr(a)": ("column 1", "try sqrt"),
    "pow(a, 2)": ("column 1", "a ^ b"),
    "ifelse(a < b, c, d)": ("column 1", "where"),
    "where(a, 1, 2)": ("column 8", "a comparison"),
    "where(a < b < c, 1, 2)": ("column 13", "one comparison"),
    "where(a < b, 1)": ("column 1", "where(a < b, c, d)"),
    "a < b": ("column 3", "where"),
    "max(a < b, c)": ("column 7", "comma"),
    "a = b": ("column 3", "=="),
    "a % b": ("column 3", "0.2"),
    "a if b else c": ("column 3", "operator"),
    "not a": ("column 1", "join the conditions"),
    "where(not a, b, c)": ("column 12", "a comparison"),
    "where(a < b and c, d, e)": ("column 18", "a comparison"),
    "where(a == 'x' < b, c, d)": ("column 16", "one comparison"),
    "where('x' < b, c, d)": ("column 11", "a category beside"),
    "a & b": ("column 3", "and"),
    "a // b": ("column 4", "a number, a name"),
    "a[0]": ("column 2", "round brackets"),
    "{a}": ("column 1", "round brackets"),
    "a.b": ("column 1", "eta.b"),
    "Eta.CL": ("column 1", "eta.CL"),
    "eta.CL.x": ("column 1", "eta"),
    "eta": ("column 1", "eta.CL"),
    "_a": ("column 1", "letter"),
    "a + __class__": ("column 5", "letter"),
    "a.__class__": ("column 1", "dot"),
    "eta.__class__": ("column 1", "dot"),
    "'text'": ("column 1", "a category only beside"),
    "lambda x: x": ("column 9", "where"),
    "(x := 3)": ("column 4", "where"),
    "a # b": ("column 3", "note"),
    "a; b": ("column 2", "only"),
    "√a": ("column 1", "sqrt"),
    "a − b": ("column 3", "try -"),
    "ａ": ("column 1", "only"),  # a full-width letter, which Python itself would take for an a
    "1j": ("column 1", "number"),
    "0x10": ("column 1", "number"),
    "__import__('os').system('x')": ("column 1", "never run as code"),
    "exec('x')": ("column 1", "functions"),
    "open(a)": ("column 1", "one of the functions"),
    "a\0b": ("column 2", "only"),
}


@pytest.mark.parametrize(("text", "said"), BAD.items())
def test_refuses_with_column_and_cure(text, said):
    with pytest.raises(InputError) as caught:
        parse(text, "m.toml: flows.x.rate")
    message = str(caught.value)
    assert message.startswith("m.toml: flows.x.rate: got ")
    assert "\n" not in message
    assert all(part in message for part in said)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 2001,
        "(" * 900 + "a" + ")" * 900,
        "-" * 1999 + "a",
        "a^" * 900 + "a",
        "exp(" * 300 + "a" + ")" * 300,
        "+".join("a" * 999),
        "(" * 40 + "a" + "".join(("+a" * 20 + ")") for _ in range(40)),
        "where(a<b,c," * 100 + "d" + ")" * 100,
    ],
)
def test_too_much_is_one_clear_fault(text):
    with pytest.raises(InputError, match=r"at most"):
        parse(text)


def test_long_but_allowed_text_works_all_the_way():
    text = "+".join(["a"] * 190)
    expr = parse("(" * 49 + text + ")" * 49)
    assert evaluate(expr, {"a": 2.0}) == 380.0
    assert unit_of(expr, {"a": MASS}) == MASS
    assert to_source(expr) == text.replace("+", " + ")
    assert str(to_sympy(expr)) == "190*a"


@given(st.one_of(st.text(max_size=60), st.text("ab.eta_()+-*/^<>=!, 0123456789exp\n'\"[]", max_size=60)))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_or_refused_never_a_crash(text):
    try:
        expr = parse(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert parse(to_source(expr)) == expr


def test_no_python_is_ever_run():
    for file in Path(formulas.__path__[0]).glob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        called = {
            n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
        }
        assert not called & {"eval", "exec", "compile", "__import__", "sympify", "parse_expr"}, file.name


# --- all readings agree ------------------------------------------------------------------------------

SIMPLE = st.one_of(
    st.sampled_from(["a", "b", "c", "eta.V1"]).map(Name),
    st.integers(0, 40).map(lambda k: Num(k / 4)),
)


def _deeper(inner):
    relation = st.builds(Relation, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), SIMPLE, SIMPLE)
    compare = st.one_of(
        relation,
        st.builds(lambda c: Call("not", (c,)), relation),
        st.builds(lambda f, a, b: Call(f, (a, b)), st.sampled_from(["and", "or"]), relation, relation),
    )
    return st.one_of(
        st.builds(Unary, st.just("-"), inner),
        st.builds(Binary, st.sampled_from("+-*/"), inner, inner),
        st.builds(Binary, st.just("^"), inner, st.sampled_from([0.5, 2.0, 3.0, 0.75]).map(Num)),
        st.builds(lambda f, x: Call(f, (x,)), st.sampled_from(SINGLE), inner),
        st.builds(
            lambda f, x: Call(f, tuple(x)),
            st.sampled_from(["min", "max"]),
            st.lists(inner, min_size=2, max_size=3),
        ),
        st.builds(lambda c, x, y: Call("where", (c, x, y)), compare, inner, inner),
    )


TREES = st.recursive(SIMPLE, _deeper, max_leaves=8)
POINT = {"a": 1.25, "b": 0.5, "c": 3.0, "eta.V1": -0.25}


def _parts(expr):
    yield expr
    for child in children(expr):
        yield from _parts(child)


@given(TREES)
@settings(max_examples=300, deadline=None)
def test_text_and_tree_are_the_same_thing(expr):
    assert parse(to_source(expr)) == expr


@given(TREES)
@settings(max_examples=120, deadline=None)
def test_numbers_agree_with_sympy(expr):
    import sympy

    values = [
        evaluate(p, POINT)
        for p in _parts(expr)
        if not (isinstance(p, Relation) or (isinstance(p, Call) and p.func in JOINED))
    ]
    assume(all(math.isfinite(v) and (v == 0 or 1e-4 < abs(v) < 1e4) for v in values))
    symbols: dict[str, sympy.Symbol] = {}
    symbolic = to_sympy(expr, symbols)
    assert symbols.keys() == names(expr)
    exact = complex(symbolic.subs({s: sympy.Rational(POINT[n]) for n, s in symbols.items()}).evalf(30))
    # what was lost to cancellation is in proportion to the largest part
    scale = max(1.0, *map(abs, values))
    assert exact.imag == pytest.approx(0, abs=1e-12 * scale)
    assert evaluate(expr, POINT) == pytest.approx(exact.real, rel=1e-9, abs=1e-9 * scale)


@given(TREES)
@settings(max_examples=150, deadline=None)
def test_one_patient_is_the_same_alone_and_among_others(expr):
    rng = np.random.default_rng(1)
    many = {name: rng.uniform(-1, 4, 37) for name in POINT}
    together = np.broadcast_to(evaluate(expr, many), 37)
    for start, stop in ((0, 1), (5, 6), (8, 21), (36, 37)):
        some = evaluate(expr, {n: v[start:stop] for n, v in many.items()})
        np.testing.assert_array_equal(np.broadcast_to(some, stop - start), together[start:stop])


# --- numbers -----------------------------------------------------------------------------------------


def test_floats_stay_floats_and_arrays_broadcast():
    for text in ("a + 1", "exp(a)", "a / 3", "a ^ 2", "where(a < 1, a, 2)", "min(a, 2)", "3"):
        assert type(evaluate(parse(text), {"a": 0.5})) is float
        assert type(evaluate(parse(text), {"a": np.float64(0.5)})) is float
    table = {"a": np.ones((3, 1)), "b": np.arange(4.0)}
    assert evaluate(parse("a + b"), table).shape == (3, 4)
    assert evaluate(parse("a"), {"a": 2}) == 2.0


def test_branches_not_chosen_give_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = evaluate(parse("where(a > 0, log(a), 1 / (a - a))"), {"a": np.array([-1.0, 1.0])})
        assert values.tolist() == [math.inf, 0.0]
        assert evaluate(parse("where(a > 0, log(a), 0)"), {"a": -1.0}) == 0.0
        assert evaluate(parse("exp(1000)"), {}) == math.inf
        assert math.isnan(evaluate(parse("sqrt(a)"), {"a": -1.0}))


@given(st.floats(0.01, 100))
def test_whole_powers_and_roots_are_exact(x):
    def value(text):
        return evaluate(parse(text), {"x": x})

    assert value("x^2") == x * x
    assert value("x^3") == x * (x * x)
    assert value("x^1") == x
    assert value("x^0") == 1.0
    assert value("x^-1") == 1.0 / x
    assert value("x^0.5") == math.sqrt(x) == value("sqrt(x)")
    assert value("x^0.75") == pytest.approx(x**0.75, rel=1e-15)
    assert value("-x^2") == -(x * x)


def test_a_name_without_value_is_named():
    with pytest.raises(UnknownName, match=r"CLi.*try 'CL_i'"):
        evaluate(parse("CLi / V"), {"CL_i": 1.0, "V": 2.0})


# --- units -------------------------------------------------------------------------------------------

UNITS = {
    "CL": VOLUME / TIME,
    "V": VOLUME,
    "A": MASS,
    "k": NUMBER / TIME,
    "t": TIME,
    "w": NUMBER,
    "MW": unit("g/mol")[0],
}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CL / V", "1/h"),
        ("CL * A / V", "mg/h"),
        ("A / V", "mg/L"),
        ("A * t / V", "mg*h/L"),
        ("A / V / MW", "nmol/L"),
        ("k * t", "1"),
        ("exp(-k * t)", "1"),
        ("V * (w / 70) ^ 0.75", "L"),
        ("V ^ 2 / V", "L"),
        ("sqrt(V * V)", "L"),
        ("V ^ (1 / 3)", "dm"),
        ("w ^ w", "1"),
        ("max(0, A)", "mg"),
        ("where(t < 1 / k, A, 0)", "mg"),
        ("0 * V + A", "mg"),
        ("-A + A / 2", "mg"),
        ("0", "1"),
    ],
)
def test_units_are_derived(text, shown):
    assert str(unit_of(parse(text), UNITS)) == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A + V", "'A' (mg) with 'V' (L)"),
        ("A + 1", "a parameter with unit mg in place of '1'"),
        ("where(t < 24, 1, 2)", "a parameter with unit h in place of '24'"),
        ("where(t < t, A, V)", "'A' (mg) with 'V' (L)"),
        ("min(A, V)", "equal units"),
        ("exp(t)", "'t' (h)"),
        ("log(V)", "a value for log without unit"),
        ("w ^ t", "an exponent without unit"),
        ("V ^ w", "a base without unit"),
        ("V * exp(k)", "'k' (1/h)"),
    ],
)
def test_units_that_do_not_fit_are_named(text, said):
    with pytest.raises(UnitError) as caught:
        unit_of(parse(text), UNITS, "m.toml: individual.x")
    assert said in str(caught.value)
    assert str(caught.value).startswith("m.toml: individual.x: ")


def test_a_zero_fits_every_unit():
    assert fits(parse("0"), UNITS, MASS / TIME) is None
    assert fits(parse("CL * A / V"), UNITS, MASS / TIME) is None
    assert fits(parse("1"), UNITS, MASS / TIME) == NUMBER


@given(st.lists(st.tuples(st.sampled_from(list(UNITS)), st.integers(-3, 3)), min_size=1, max_size=5))
def test_products_of_powers_add_up(factors):
    text = " * ".join(f"{name} ^ ({power})" for name, power in factors)
    wanted = NUMBER
    for name, power in factors:
        wanted = wanted * UNITS[name] ** power
    assert unit_of(parse(text), UNITS) == wanted
    again, factor = unit(str(wanted))
    assert again == wanted
    assert factor == pytest.approx(1.0, rel=1e-14)


@pytest.mark.parametrize("broken", [AttributeError, ImportError, RuntimeError])
def test_a_broken_library_of_units_is_not_the_users_fault(monkeypatch, broken):
    from kinetamine import units

    class Broken:
        def __getattr__(self, name):
            raise broken("no longer there")

    monkeypatch.setattr(units, "_registry", Broken)
    with pytest.raises(broken):
        units._parsed("stone")


@pytest.mark.parametrize(
    "text", ["count-mL-", "mL**0", "a-b", "(mg", "mg/", "delta_decibel", "1/0", "mg**x", "not mg"]
)
def test_what_is_no_unit_is_refused_and_nothing_else_happens(text):
    from kinetamine import units
    from kinetamine.errors import UnitError

    with pytest.raises(UnitError, match="a unit such as"):
        units.parse(text)


def test_powers_brackets_and_dots_are_units():
    from kinetamine import units

    for text in ("mg**(1/2)", "L/h/kg**0.75", "L.h^-1", "((mg)/(L))", "mg h / L"):
        assert units.parse(text) is not None
