"""Model files: what loads, what is refused and how, and what is remembered."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tree import to_source
from kinetamine.models import library, schema, sense
from kinetamine.models.library import available, load, load_text, sources

GOOD = """
format = 1
drug = "S-ketamine"
[covariates]
weight = { unit = "kg", reference = 70, range = [1, 300] }
[parameters]
CL = { value = 90, unit = "L/h" }
V1 = { value = 130, unit = "L" }
[variability]
V1_CL = { etas = ["V1", "CL"], covariance = [[0.08, 0.02], [0.02, 0.03]] }
[individual]
V1_i = "V1 * (weight / 70) * exp(eta.V1)"
CL_i = "CL * (weight / 70) ^ 0.75 * exp(eta.CL)"
[compartments]
central = {}
[flows]
elimination = { from = "central", rate = "CL_i * central / V1_i" }
[entries]
iv = [{ to = "central" }]
[outputs]
"S-ketamine" = { value = "central / V1_i", unit = "ng/mL" }
[residual]
"S-ketamine" = { kind = "proportional", sd = 0.2 }
"""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    """No test reads what another run remembered."""
    monkeypatch.setattr(library, "_cache_folder", lambda: tmp_path / "cache")


def changed(*pairs: tuple[str, str]) -> str:
    text = GOOD
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def faults_of(text: str | bytes) -> list[str]:
    with pytest.raises(FaultyFile) as caught:
        load_text(text, "m.toml")
    return [str(f) for f in caught.value.faults]


# --- what loads --------------------------------------------------------------------------------------


def test_a_quick_file_of_a_user_needs_no_papers():
    spec = load_text(GOOD, "My model.toml")
    assert spec.id == "my_model"
    assert spec.parameters["V1"].seen == "recalled"
    assert spec.warnings == ()
    assert spec.states == ("central",)
    assert spec.routes == ("iv",)
    assert spec.subject_etas == ("V1", "CL")
    assert spec.occasion_etas == ()
    assert spec.derived_units == {"V1_i": "L", "CL_i": "L/h", "central": "mg", "S-ketamine": "mg/L"}
    assert spec.output_factor == {"S-ketamine": 1000.0}
    assert len(spec.digest) == 16
    assert spec.text == GOOD
    assert not spec.shipped


def test_covariance_puts_blocks_side_by_side():
    extra = """
ka = { etas = ["ka", "F"], sd = [0.5, 0.2] }
visit = { etas = ["CL"], variance = [0.04], level = "occasion" }
[individual]"""
    spec = load_text(changed(("\n[individual]", extra), ("exp(eta.CL)", "exp(eta.CL + occ.CL)")))
    names, matrix = spec.covariance("subject")
    assert names == ("V1", "CL", "ka", "F") == spec.subject_etas
    wanted = [[0.08, 0.02, 0, 0], [0.02, 0.03, 0, 0], [0, 0, 0.25, 0], [0, 0, 0, 0.04]]
    np.testing.assert_allclose(matrix, wanted)
    names, matrix = spec.covariance("occasion")
    assert names == ("CL",)
    assert matrix.tolist() == [[0.04]]
    assert spec.covariance("occasion")[1].shape == (1, 1)
    assert load_text(GOOD).covariance("occasion")[1].shape == (0, 0)


@pytest.mark.parametrize(
    ("value", "unit", "formula", "inside"),
    [
        (1.5, "L/min", "CL * (weight / 70)", 90.0),
        (25, "mL/min/kg", "CL * weight", 1.5),
        (1.2, "L/h/kg", "CL * weight", 1.2),
        (3.0, "L/h/kg^0.75", "CL * weight ^ 0.75", 3.0),
        (2160, "L/d", "CL", 90.0),
        (90000, "mL/h", "CL", 90.0),
    ],
)
def test_parameters_come_inside_in_h_mg_and_litres(value, unit, formula, inside):
    text = changed(('{ value = 90, unit = "L/h" }', f'{{ value = {value}, unit = "{unit}" }}'))
    spec = load_text(text.replace("CL * (weight / 70) ^ 0.75", formula))
    assert spec.inside("CL") == pytest.approx(inside, rel=1e-14)
    assert spec.derived_units["CL_i"] == "L/h"
    assert spec.parameters["CL"].value == value, "the literature value stays as it is"


def test_numbers_are_formulas_and_units_are_read_for_every_part():
    spec = load_text(
        changed(
            ('{ to = "central" }', '{ to = "central", fraction = 0.5, lag = "tl", duration = "tl / 2" }'),
            (
                "[variability]",
                'tl = { value = 30, unit = "min" }\nke0 = { value = 1, unit = "1/h" }\n[variability]',
            ),
            ("[flows]", '[effect_sites]\nbrain = { follows = "central / V1_i", rate = "ke0" }\n[flows]'),
            ("[residual]", 'brain_conc = { value = "brain", unit = "ug/L" }\n[residual]'),
        )
    )
    assert spec.entries["iv"][0].fraction == "0.5"
    assert spec.states == ("central", "brain")
    assert spec.derived_units["brain"] == "mg/L"
    assert spec.output_factor["brain_conc"] == 1000.0


def test_what_is_odd_but_not_wrong_is_a_warning():
    spec = load_text(
        changed(
            ("[variability]", 'unused = { value = 1, unit = "1" }\n[variability]'),
            ("central = {}", "central = {}\nlonely = {}"),
            ('{ to = "central" }', '{ to = "central", fraction = 2 }'),
            ("* exp(eta.V1)", ""),
        )
    )
    text = " ".join(spec.warnings)
    for part in ("parameters.unused", "compartments.lonely", "2 of the dose", "eta.V1"):
        assert part in text
    flow = 'rate = "CL_i * central / V1_i"'
    spec = load_text(
        changed((flow, 'rate = "k0"'), ("[variability]", 'k0 = { value = 1, unit = "mg/h" }\n[variability]'))
    )
    assert any("below zero" in w for w in spec.warnings)
    assert any("no [entries]" in w for w in load_text(changed(('iv = [{ to = "central" }]', ""))).warnings)


# --- one fault, one clear line -----------------------------------------------------------------------

CL = 'CL = { value = 90, unit = "L/h" }'
MATRIX = "[[0.08, 0.02], [0.02, 0.03]]"
FLOW = '"CL_i * central / V1_i"'
ONE_FAULT = [
    # schema
    ("format = 1", "format = 2", "m.toml: format: got 2; expected 1; try format = 1"),
    ("format = 1\n", "", "m.toml: format: got nothing"),
    ('drug = "S-ketamine"\n', "", "m.toml: drug: got nothing"),
    ('drug = "S-ketamine"', 'drug = "ketamin"', 'try drug = "racemate"'),
    ("format = 1", 'format = 1\nid = "Otto 2021"', "m.toml: id: got 'Otto 2021'; expected small letters"),
    ("format = 1", 'format = 1\nkind = "pd"', "m.toml: kind: got 'pd'; expected pk"),
    ("format = 1", "format = 1\nnotes = 3", "m.toml: notes: got 3; expected a list"),
    ("[parameters]", "[parameter]", "m.toml: parameter: got the unknown key"),
    ("[flows]", "[flow]", "m.toml: flow: got the unknown key 'flow'; expected a known key; try flows"),
    ("value = 90", "valeu = 90", "m.toml: parameters.CL.valeu: got the unknown key 'valeu'"),
    ("value = 90", "value = '90'", "parameters.CL.value: got '90'; expected a number; try 90 without quotes"),
    ("value = 90", "value = true", "parameters.CL.value: got True; expected a number"),
    ("value = 90", "value = nan", "parameters.CL.value: got nan; expected a finite number"),
    ("value = 90", "value = 1e999", "parameters.CL.value: got inf; expected a finite number"),
    ("value = 90", "value = 2021-01-01", "expected a number"),
    ("value = 90", "value = 1" + 400 * "0", "expected a"),
    ("value = 90, ", "", "m.toml: parameters.CL.value: got nothing; expected the number as published"),
    (CL, "CL = 90", 'parameters.CL: got 90; expected a table; try CL = { value = 133, unit = "L" }'),
    (CL, 'CL = { value = 90, unit = "L/h", fixed = "yes" }', "fixed: got 'yes'; expected true or false"),
    (CL, 'CL = { value = 90, unit = "L/h", seen = "txt" }', 'try seen = "text"'),
    ("central = {}", 'central = { volum = "V1" }', "compartments.central.volum: got the unknown key 'volum'"),
    ("central = {}", 'central = {}\n"a b" = {}', "compartments.a b: got 'a b'; expected a letter, then"),
    (
        '[{ to = "central" }]',
        '{ to = "central" }',
        "entries.iv: got {'to': 'central'}; expected a list of parts",
    ),
    ('[{ to = "central" }]', '["central"]', "m.toml: entries.iv[0]: got 'central'; expected a table"),
    (
        '{ to = "central" }',
        '{ to = "central", F1 = 0.5 }',
        "the unknown key 'F1'; expected a known key; try fraction",
    ),
    (
        "[variability]",
        "[omega]",
        "m.toml: omega: got the unknown key 'omega'; expected a known key; try variability",
    ),
    ('{ to = "central" }', '{ into = "central" }', "entries.iv[0].into: got the unknown key 'into'"),
    ("sd = 0.2", "sd = -1", "residual.S-ketamine.sd: got -1; expected 0 or more"),
    ('"proportional"', '"propotional"', 'try kind = "proportional"'),
    # names
    (
        FLOW,
        '"CLi * central / V1_i"',
        "m.toml: flows.elimination.rate: got 'CLi'; expected a name that this file",
    ),
    (FLOW, "\"__import__('os').system('x')\"", "flows.elimination.rate: got '__import__' in column 1"),
    (FLOW, '"CL_i * central / (V1_i"', "column 23"),
    (CL, "", "individual.CL_i: got 'CL'; expected a name that this file defines; try defining CL"),
    ("(weight / 70) *", "(wieght / 70) *", "individual.V1_i: got 'wieght'; expected a name"),
    ('"V1 * (', '"CL_i / CL * V1 * (', "individual.V1_i: got 'CL_i'; expected a name defined above"),
    ('"V1 * (', '"time * V1 * (', "individual.V1_i: got 'time'; expected no time here"),
    ('"V1 * (', '"central * V1 * (', "individual.V1_i: got 'central'; expected no amounts here"),
    ('"V1 * (', '"amount * V1 * (', "individual.V1_i: got 'amount'; expected amount only in [dose_fields]"),
    (
        "exp(eta.CL)",
        "exp(eta.Cl)",
        "individual.CL_i: got 'eta.Cl'; expected a random effect of [variability]",
    ),
    (
        "exp(eta.CL)",
        "exp(occ.CL)",
        "individual.CL_i: got 'occ.CL'; expected a random effect of level subject",
    ),
    (
        CL,
        CL + '\ncentral = { value = 1, unit = "L" }',
        "compartments.central: got 'central', which is a parameter",
    ),
    (
        CL,
        CL + '\ntime = { value = 1, unit = "h" }',
        "parameters.time: got 'time'; expected a name that formulas",
    ),
    (
        CL,
        CL + '\nexp = { value = 1, unit = "h" }',
        "parameters.exp: got 'exp'; expected a name that formulas",
    ),
    # units
    ('"L/h"', '"L/hh"', "parameters.CL.unit: got 'L/hh'; expected a unit such as"),
    ('"L/h"', '"L/h/70kg"', "try 'L/h', with (weight / 70) in [individual]"),
    ('"L/h"', '"9**9**9**9**9"', "parameters.CL.unit: got '9**9**9**9**9'"),
    ('"L/h"', '"degC"', "parameters.CL.unit"),
    ('"L/h"', '"L/h/year"', "try the unit of the slope without the year"),
    (
        FLOW,
        '"CL_i * central"',
        "has unit mg*L/h; expected amount per time (mg/h); try a factor with unit 1/L",
    ),
    (FLOW, "12", "flows.elimination.rate: got '12', which has no unit; expected amount per time"),
    ("exp(eta.V1)", "exp(eta.V1 + CL)", "individual.V1_i: got 'eta.V1' (no unit) with 'CL' (L/h)"),
    (
        "central = {}",
        'central = { volume = "CL" }',
        "compartments.central.volume: got 'CL', which has unit L/h",
    ),
    ('{ to = "central" }', '{ to = "central", fraction = "CL" }', "expected a share of the dose (no unit)"),
    ('{ to = "central" }', '{ to = "central", lag = 3 }', "expected a time (h); try a parameter with unit h"),
    ('{ to = "central" }', '{ to = "central", duration = "V1" }', "expected a time (h)"),
    ('{ to = "central" }', '{ to = "central", rate = "CL" }', "expected amount per time (mg/h)"),
    (
        '"ng/mL"',
        '"h"',
        "outputs.S-ketamine.value: got 'central / V1_i', which has unit mg/L; expected what h",
    ),
    ('"ng/mL"', '"nmol/L"', "try a molar mass (g/mol) among the parameters"),
    ('"ng/mL"', '"ng/mLL"', "outputs.S-ketamine.unit: got 'ng/mLL'"),
    ('kind = "proportional"', 'kind = "additive", unit = "h"', "residual.S-ketamine.unit: got 'h'"),
    # values
    (
        "reference = 70",
        "reference = 700",
        "covariates.weight.reference: got 700; expected a value in the range 1",
    ),
    ("range = [1, 300]", "range = [300, 1]", "covariates.weight.range: got [300, 1]"),
    (
        "range = [1, 300]",
        "values = [0, 1]",
        "covariates.weight.reference: got 70; expected one of its values",
    ),
    ("[covariates]", "[applies]\nage_years = [60, 18]\n[covariates]", "applies.age_years: got [60.0, 18.0]"),
    ('"V1 * (weight / 70)', '"V1 * log(weight - 200)', "individual.V1_i: got nan for the reference patient"),
    ('{ to = "central" }', '{ to = "central", fraction = -1 }', "fraction: got -1 for the reference patient"),
    # variances
    (MATRIX, "[[0.08, 0.2], [0.2, 0.03]]", "variability.V1_CL.covariance: got smallest eigenvalue"),
    (MATRIX, "[[0.08, 0.02], [0.01, 0.03]]", "expected a symmetric matrix"),
    (MATRIX, "[[0.08], [0.02, 0.03]]", "expected 2 rows of 2; try writing both halves"),
    (MATRIX, "[[0.08]]", "expected 2 rows of 2"),
    ("covariance = " + MATRIX, "variance = [0.1]", "got 1 values; expected 2, one per effect"),
    ("covariance = " + MATRIX, "variance = [0.1, -0.1]", "expected 0 or more"),
    (", covariance = " + MATRIX, "", "got none of them; expected one of covariance, variance or sd"),
    (MATRIX, MATRIX + ", sd = [0.1, 0.1]", "got covariance and sd; expected one of"),
    (
        "[individual]",
        'again = { etas = ["CL"], sd = [0.1] }\n[individual]',
        "got 'CL', which is in V1_CL already",
    ),
    # structure
    (
        'to = "central"',
        'to = "centrl"',
        "entries.iv[0].to: got 'centrl'; expected a compartment; try 'central'",
    ),
    ('[{ to = "central" }]', "[]", "entries.iv: got no parts; expected at least one"),
    ('from = "central", rate', "rate", "flows.elimination: got a flow without from and to"),
    ('from = "central", rate', 'from = "cental", rate', "flows.elimination.from: got 'cental'"),
    ('from = "central", rate', 'from = "central", to = "central", rate', "two different compartments"),
    ('from = "central", rate', 'from = "central", yield = 0.5, rate', "flows.elimination.yield: got a yield"),
    (
        '"S-ketamine" = { kind',
        '"R-ketamine" = { kind',
        "residual.R-ketamine: got 'R-ketamine'; expected an output",
    ),
    ('kind = "proportional"', 'kind = "additive"', "residual.S-ketamine.unit: got nothing"),
    ('kind = "proportional"', 'kind = "combined", unit = "ng/mL"', "additive_sd: got no additive_sd"),
    ("format = 1", 'format = 1\nstatus = "incomplete"', "m.toml: missing: got nothing"),
    ("format = 1", 'format = 1\nmissing = ["V1"]', "m.toml: missing: got a list with status 'published'"),
]


@pytest.mark.parametrize(("old", "new", "said"), ONE_FAULT, ids=[f"{i}" for i in range(len(ONE_FAULT))])
def test_one_slip_is_one_clear_line(old, new, said):
    text = changed((old, new))
    told = faults_of(text)
    assert len(told) == 1, told
    assert said in told[0]
    assert told[0].startswith("m.toml")
    assert "\n" not in told[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty file"),
        ("  \n\n", "an empty file"),
        ("format = 1;\n", "line 1, column 11"),
        ("a = 1\nb = \n", "line 2, column 5"),
        ("drug = S-ketamine", 'quotes around the text: drug = "S-ketamine"'),
        ("[a", "TOML"),
        ("a = '''x", "TOML"),
        ("a = 1\na = 2", "line 2"),
        ("\0", "TOML"),
        (b"a = 1\nb = '\xff'", "line 2: got bytes that are not UTF-8"),
        ("x" * 1_000_001, "more than 1,000,000 bytes"),
        ("a = " + "[" * 50_000, "nested without end"),
        ("a = " + "{a = " * 3_000, "nested without end"),
        ("a." * 5_000 + "a = 1", "nested without end"),
        ("a = " + "9" * 10_000, "thousands of digits"),
        ("\ud800", "not UTF-8"),
    ],
    ids=str,
)
def test_what_is_no_toml_is_one_fault(text, said):
    told = faults_of(text)
    assert len(told) == 1
    assert said in told[0]


def test_all_faults_are_told_at_once():
    told = faults_of(
        changed(
            ("value = 90", "valeu = 90"),  # schema
            ('"L"', '"litter"'),  # unit
            ('"V1 * (weight', '"V1 * (wieght'),  # name
            ("reference = 70", "reference = 0"),  # range
            (MATRIX, "[[0.08, 0.2], [0.2, 0.03]]"),  # variance
            ('to = "central"', 'to = "centrl"'),  # structure
        )
    )
    places = [t.split(": got")[0].removeprefix("m.toml: ") for t in told]
    assert sorted(places) == [
        "covariates.weight.reference",
        "entries.iv[0].to",
        "individual.V1_i",
        "parameters.CL.valeu",
        "parameters.V1.unit",
        "variability.V1_CL.covariance",
    ]


def test_two_unit_faults_are_both_named():
    told = faults_of(changed((FLOW, '"CL_i * central"'), ('"central / V1_i"', '"central * V1_i"')))
    assert len(told) == 2


def test_an_endless_list_of_faults_is_cut_short():
    many = "\n".join(f'x{i} = "nothing{i} + 1"' for i in range(500))
    start = time.perf_counter()
    told = faults_of(changed(("[individual]", "[individual]\n" + many)))
    assert len(told) <= sense.MOST_FAULTS + 1
    assert time.perf_counter() - start < 5


def test_the_message_of_a_file_is_one_line():
    with pytest.raises(FaultyFile) as caught:
        load_text(changed(("value = 90", "valeu = 90"), ("[flows]", '["fl\\u001b[31m\\nows"]')), "m.toml")
    message = str(caught.value)
    assert message.isprintable()
    assert message.startswith("m.toml: ")
    assert caught.value.exit_code == 2


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_a_damaged_file_is_refused_never_a_crash(seed):
    """Take out, double or replace pieces of a good file."""
    chance = random.Random(seed)
    text = GOOD
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(text)), chance.randint(0, 12)
        other = chance.randrange(len(text))
        put = chance.choice(
            ["", text[other : other + length], chance.choice("\"[]{}=.,#\\\n'0-"), "é", "nan", "true"]
        )
        text = text[:at] + put + text[at + length :]
    try:
        load_text(text)
    except InputError as error:
        assert "\n" not in str(error)


ODD = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["V1", "eta.V1", "1/0", "CL_i", "L/h", 10**400]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=4,
)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_odd_values_anywhere_are_faults_never_a_crash(data):
    tree = tomllib.loads(GOOD)
    places = [(tree, key) for key in tree]
    places += [(table, key) for table in tree.values() if isinstance(table, dict) for key in table]
    places += [
        (part, key)
        for table in tree.values()
        if isinstance(table, dict)
        for part in table.values()
        if isinstance(part, dict)
        for key in part
    ]
    where, key = data.draw(st.sampled_from(range(len(places))).map(places.__getitem__))
    where[key] = data.draw(ODD)
    record, faults, broken = schema.read(tree, "m.toml")
    assert record is not None or faults
    for fault in faults:
        assert str(fault).startswith("m.toml")
    if record is not None:
        found = sense.examine(record, "m.toml", (), False, broken)
        derived = sense.derive(found)
        if not faults and not found.faults:
            sense.try_typical(found, derived.factors)


# --- the library -------------------------------------------------------------------------------------

SHIPPED = sorted(library._files().values())


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)
def test_every_model_of_the_library_is_sound(path):
    spec = load(path.stem)
    assert spec.shipped
    assert spec.path is not None and spec.path.samefile(path)
    assert spec.id == path.stem
    known = sources() | spec.sources
    assert spec.source in known
    for table in (spec.parameters, spec.variability, spec.residual):
        for record in table.values():
            assert record.place.strip()
            assert record.source is None or record.source in known
    assert spec.factors.keys() == spec.parameters.keys()
    assert spec.output_factor.keys() == spec.outputs.keys()
    if spec.status == "incomplete":
        assert spec.missing
        with pytest.raises(NoData, match=re.escape(spec.missing[0])):
            load(path.stem, runnable=True)
    else:
        assert spec.outputs
        if spec.kind == "effect":
            assert spec.drives and all(o.threshold and o.scale and o.direction for o in spec.outputs.values())
        else:
            assert spec.entries and spec.flows
        assert load(path.stem, runnable=True).digest == spec.digest
    for name, text in spec.individual.items():
        expr = parse(text, name)
        assert parse(to_source(expr)) == expr


def test_a_library_file_must_name_its_papers(tmp_path):
    found = sense.examine(load_text(GOOD, "mine.toml"), "mine.toml", ["otto_2021"], shipped=True)
    told = " ".join(map(str, found.faults))
    for place in ("title", "source", "sampling", "parameters.CL.place", "residual.S-ketamine.seen"):
        assert f"mine.toml: {place}" in told
    assert "outputs.S-ketamine.site" in told
    named = load_text(changed(("format = 1", 'format = 1\nsource = "oto_2021"')), "mine.toml")
    found = sense.examine(named, "mine.toml", ["otto_2021"], shipped=True)
    assert any("'oto_2021'" in str(f) and "try 'otto_2021'" in str(f) for f in found.faults)


def test_available_lists_every_file_at_once():
    start = time.perf_counter()
    entries = available()
    assert time.perf_counter() - start < 0.2
    assert [e.id for e in entries] == [p.stem for p in SHIPPED]
    for entry in entries:
        whole = tomllib.loads(entry.path.read_text(encoding="utf-8"))
        assert entry.status == whole["status"]
        assert entry.drug == whole["drug"]
        assert entry.title == whole["title"]
        assert entry.routes == tuple(whole.get("entries", {}))
        assert entry.missing == tuple(whole.get("missing", ()))


@pytest.mark.parametrize(
    "text",
    [
        'format = 1\nid = "a"\nmissing = [\n"x",\n[1],\n]\n[entries]\niv = [\n{ to = "a" },\n]\n[x]\n',
        'id = "a"\n[[entries.iv]]\nto = "a"\n[[entries.oral]]\nto = "a"\n',
        'id = "a"\nentries = { iv = [] }\n',
    ],
)
def test_the_short_reading_of_a_file_equals_the_long_one(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_text(text)
    assert library._entry(path).routes == tuple(tomllib.loads(text)["entries"])


def test_names_nobody_knows_get_the_nearest():
    with pytest.raises(UnknownName, match="otto_2021_s_ketamine"):
        load("otto_2021_s_ketamin")
    with pytest.raises(UnknownName, match="otto_2021_s_ketamine"):
        load("otto")
    for odd in ("", ".", "a\0b", "é", "../x", "x" * 5000):
        with pytest.raises(InputError):
            load(odd)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none.toml")
    with pytest.raises(InputError, match=r"does not exist.*try the library's 'otto_2021_s_ketamine'"):
        load("otto_2021_s_ketamin.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match="a folder"):
        load(tmp_path / "folder.toml")
    with pytest.raises(InputError):
        load("a\0b.toml")


def test_a_user_file_may_lie_anywhere(tmp_path):
    path = tmp_path / "my model.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())  # as Windows editors write it
    spec = load(path)
    assert spec == load(str(path))
    assert spec.path == path
    assert not spec.shipped
    assert load(spec) is spec


def test_a_user_file_may_bring_its_own_sources():
    text = changed(("[covariates]", '[sources.mine]\ncitation = "Me 2020"\nyear = 2020\n[covariates]'))
    assert load_text(text).sources["mine"].year == 2020
    assert load_text(changed(("format = 1", 'format = 1\nsource = "Smith 2020, Table 2"'))).source


# --- what is remembered ------------------------------------------------------------------------------


def test_units_are_derived_once_per_file(monkeypatch):
    first = load_text(GOOD)
    monkeypatch.setattr(sense, "derive", lambda found: pytest.fail("derived again"))
    again = load_text(GOOD)
    assert again.factors == first.factors
    assert again.output_factor == first.output_factor
    assert again.derived_units == first.derived_units


def test_a_faulty_file_is_not_remembered_as_good():
    bad = changed((FLOW, '"CL_i * central"'))
    assert faults_of(bad) == faults_of(bad)
    bad = changed(("[individual]", '[individual]\nx = "nothing"'))
    assert faults_of(bad) == faults_of(bad)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"factors": 3}', b'{"factors": {"CL": 1.0}}']
)
def test_a_broken_cache_is_read_past(tmp_path, content):
    spec = load_text(GOOD)
    files = list((tmp_path / "cache").iterdir())
    assert len(files) == 1
    files[0].write_bytes(content)
    assert load_text(GOOD).factors == spec.factors
    assert json.loads(files[0].read_text())["factors"] == spec.factors


def test_a_cache_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(library, "_cache_folder", lambda: blocked)
    assert load_text(GOOD).inside("CL") == 90.0
    assert load_text(GOOD).inside("CL") == 90.0


def test_second_start_reads_no_units(tmp_path):
    """pint takes 0.3 s to import, sympy more: a shipped model needs neither once it is known."""
    code = (
        "import sys; from pathlib import Path; from kinetamine.models import library;"
        f"library._cache_folder = lambda: Path({str(tmp_path)!r});"
        "library.load('otto_2021_s_ketamine');"
        "print([m for m in ('pint', 'sympy', 'scipy', 'polars', 'numba') if m in sys.modules])"
    )
    for _ in range(2):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


# --- JSON Schema -------------------------------------------------------------------------------------


def test_the_written_schema_is_not_stale():
    path = Path(library.__file__).parents[1] / "data" / "schema" / "model.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == schema.json_schema(), "run library.export_schema()"


def test_the_schema_describes_every_key():
    whole = schema.json_schema()
    assert whole["properties"].keys() == schema._keys(library.ModelSpec).keys()
    for part in (whole, *whole["$defs"].values()):
        assert part["additionalProperties"] is False
        for key, value in part["properties"].items():
            assert value.get("description"), key
    assert {"from", "yield"} <= whole["$defs"]["Flow"]["properties"].keys()
