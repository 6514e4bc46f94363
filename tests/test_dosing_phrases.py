"""Dose phrases and [[doses]] tables: what they mean, what they refuse, and the way back to words."""

from __future__ import annotations

import itertools
import math
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kinetamine.dosing.phrases import read_phrase, understood
from kinetamine.dosing.regimen import Dose, Regimen, base_per_hydrochloride
from kinetamine.dosing.words import DRUG_WORDS, EXAMPLES, ROUTES
from kinetamine.errors import DoseError, FaultyFile, InputError

PAGE = (Path(__file__).parent.parent / "docs" / "dosing.md").read_text("utf-8")


def one(phrase: str, **names) -> Dose:
    (dose,) = Regimen.parse(phrase, **names).doses
    return dose


def facts(phrase: str) -> list[tuple]:
    doses = Regimen.parse(phrase).doses
    return [(d.time_h, d.amount, d.per_kg, d.entry, d.duration_h, d.every_h, d.count) for d in doses]


FORTY_MIN = pytest.approx(2 / 3, rel=1e-15)


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("35 mg iv over 40 min", [(0, 35, False, "iv", FORTY_MIN, 0, 1)]),
        ("0.5 mg/kg iv over 40 min", [(0, 0.5, True, "iv", FORTY_MIN, 0, 1)]),
        ("1.5 mg/kg/h iv for 48 h", [(0, 72, True, "iv", 48, 0, 1)]),
        ("20 mg/h iv for 2 h", [(0, 40, False, "iv", 2, 0, 1)]),
        ("20 mg/h iv over 2 h", [(0, 40, False, "iv", 2, 0, 1)]),
        ("35 mg iv at 52.5 mg/h", [(0, 35, False, "iv", FORTY_MIN, 0, 1)]),
        ("5 ug/kg/min iv for 2 h", [(0, pytest.approx(0.6), True, "iv", 2, 0, 1)]),
        ("84 mg nasal", [(0, 84, False, "nasal", None, 0, 1)]),
        ("84 mg intranasal", [(0, 84, False, "nasal", None, 0, 1)]),
        ("50 mg oral film", [(0, 50, False, "oral film", None, 0, 1)]),
        ("84 mg oral", [(0, 84, False, "oral", None, 0, 1)]),
        ("84 mg PO", [(0, 84, False, "oral", None, 0, 1)]),
        ("10 mg iv at 3 h", [(3, 10, False, "iv", None, 0, 1)]),
        ("10 mg iv starting at 2 h", [(2, 10, False, "iv", None, 0, 1)]),
        ("10 mg iv at day 3", [(48, 10, False, "iv", None, 0, 1)]),
        ("10 mg iv at week 2", [(168, 10, False, "iv", None, 0, 1)]),
        ("10 mg iv at 3 d", [(72, 10, False, "iv", None, 0, 1)]),
        ("10 mg iv at 0", [(0, 10, False, "iv", None, 0, 1)]),
        ("10 mg iv bolus once", [(0, 10, False, "iv", None, 0, 1)]),
        ("25 mg oral daily for 6 weeks", [(0, 25, False, "oral", None, 24, 42)]),
        ("56 mg nasal every 84 h x 8", [(0, 56, False, "nasal", None, 84, 8)]),
        ("56 mg nasal every 84 h × 8", [(0, 56, False, "nasal", None, 84, 8)]),
        ("56 mg nasal every 84 h for 8 doses", [(0, 56, False, "nasal", None, 84, 8)]),
        (
            "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks",
            [(0, 0.5, True, "iv", FORTY_MIN, 168, 4), (72, 0.5, True, "iv", FORTY_MIN, 168, 4)],
        ),
        (
            "1 mg/kg im three times weekly for 2 weeks",
            [(t, 1, True, "im", None, 168, 2) for t in (0, 48, 96)],
        ),
        ("56 mg nasal weekly for 4 weeks", [(0, 56, False, "nasal", None, 168, 4)]),
        ("56 mg nasal every 2 weeks x 4", [(0, 56, False, "nasal", None, 336, 4)]),
        ("25 mg oral twice daily for 3 days", [(0, 25, False, "oral", None, 12, 6)]),
        ("25 mg oral 3 times a day for 2 days", [(0, 25, False, "oral", None, 8, 6)]),
        ("25 mg oral every 8 h for 2 days", [(0, 25, False, "oral", None, 8, 6)]),
        ("25 mg oral every 5 h for 24 h", [(0, 25, False, "oral", None, 5, 5)]),
        ("25 mg oral every other day x 3", [(0, 25, False, "oral", None, 48, 3)]),
        ("1.5 mg/kg/h iv for 2 h daily for 5 days", [(0, 3, True, "iv", 2, 24, 5)]),
        ("500 ug sc", [(0, 0.5, False, "sc", None, 0, 1)]),
        ("500 mcg sc", [(0, 0.5, False, "sc", None, 0, 1)]),
        ("500 µg sc", [(0, 0.5, False, "sc", None, 0, 1)]),
        ("0.1 g rectal", [(0, 100, False, "rectal", None, 0, 1)]),
        (
            "20 mg iv over 1 h; 40 mg iv over 1 h at 1 h; 10 mg iv at 3 h",
            [(0, 20, False, "iv", 1, 0, 1), (1, 40, False, "iv", 1, 0, 1), (3, 10, False, "iv", None, 0, 1)],
        ),
    ],
)
def test_a_phrase_means_what_it_says(phrase, expected):
    assert facts(phrase) == expected
    assert facts(phrase.upper()) == expected
    assert facts("  " + phrase.replace(" ", " \n\t ") + " ") == expected


def test_then_begins_where_the_dose_before_it_ends():
    assert facts("0.5 mg/kg iv over 40 min then 0.25 mg/kg/h iv for 2 h")[1][0] == FORTY_MIN
    assert facts("56 mg nasal twice weekly for 4 weeks then 56 mg nasal weekly x 4")[2][0] == 672
    assert facts("56 mg nasal twice weekly x 7 then 28 mg nasal")[2][0] == 3 * 168 + 72
    assert facts("20 mg iv over 1 h THEN 10 mg iv at 3 h")[1][0] == 3
    with pytest.raises(DoseError, match="then 10 mg iv at 2 h"):
        Regimen.parse("20 mg iv then 10 mg iv")


@pytest.mark.parametrize("drug", DRUG_WORDS)
def test_the_drug_word_stands_first_or_after_the_amount(drug):
    for word in DRUG_WORDS[drug]:
        assert one(f"35 mg {word} iv").drug == drug
        assert one(f"{word} 35 mg iv").drug == drug
        assert one(f"35 mg of {word.upper()} HCl iv over 40 min").drug == drug
    assert one("35 mg iv").drug is None


@pytest.mark.parametrize("route", ROUTES)
def test_every_word_for_a_route(route):
    for word in (route, *ROUTES[route]):
        assert one(f"35 mg {word}").entry == route


def test_salt_is_kept_as_base():
    assert base_per_hydrochloride() == 0.867
    assert base_per_hydrochloride() == pytest.approx(237.73 / 274.19, abs=5e-4)
    dose = one("100 mg S-ketamine hydrochloride iv")
    assert (dose.amount, dose.salt) == (pytest.approx(86.7), "HCl")
    assert one("100 mg/h HCl iv for 2 h").amount == pytest.approx(173.4)
    assert (one("100 mg base iv").amount, one("100 mg base iv").salt) == (100, "base")


def test_fields_of_a_dose():
    assert one("84 mg nasal as 3 sprays").fields == {"sprays": 3}
    assert one("28 mg nasal as 1 spray").fields == {"sprays": 1}
    assert one("30 mg oral as 2 tablets", fields=["tablets"]).fields == {"tablets": 2}
    with pytest.raises(DoseError, match="a number of sprays"):
        Regimen.parse("30 mg oral as 2 tablets")


def test_entries_of_a_model_are_routes():
    assert one("30 mg slow_tablet", entries=["slow_tablet"]).entry == "slow_tablet"
    assert one("30 mg Slow Tablet daily x 3", entries=["slow_tablet"]).entry == "slow_tablet"
    with pytest.raises(DoseError):
        Regimen.parse("30 mg slow_tablet")


def test_steady_state():
    dose = one("25 mg oral every 12 h at steady state")
    assert (dose.steady_state, dose.every_h, dose.count) == (1, 12, 1)
    dose = one("25 mg oral every 12 h x 3 at steady state")
    assert (dose.steady_state, dose.every_h, dose.count) == (1, 12, 3)
    first, second, third = dose.repeats()
    assert (first.steady_state, first.every_h, first.time_h) == (1, 12, 0)
    assert (second.steady_state, second.every_h, second.time_h) == (0, 0, 12)
    assert third.time_h == 24
    dose = one("20 mg/h iv at steady state")
    assert (dose.amount, dose.rate, dose.duration_h, dose.every_h) == (0, 20, None, 0)
    dose = one("120 mg iv over 36 h every 24 h at steady state")  # an infusion longer than its interval
    assert (dose.duration_h, dose.every_h) == (36, 24)
    assert one("5 mg oral daily at added steady state").steady_state == 2
    with pytest.raises(DoseError, match="added steady state"):
        Regimen.parse("25 mg oral every 12 h at steady state; 5 mg oral daily at steady state")


def test_regimen_in_time():
    regimen = Regimen.parse("25 mg oral daily x 3; 5 mg iv over 2 h at 30 h; 1 mg im at 24 h")
    assert [(d.time_h, d.entry) for d in regimen.expanded()] == [
        (0, "oral"),
        (24, "oral"),
        (24, "im"),
        (30, "iv"),
        (48, "oral"),
    ]
    assert all(d.count == 1 and d.every_h == 0 for d in regimen.expanded())
    assert (regimen.duration_h, Regimen.parse("5 mg iv over 2 h at 30 h").end_h) == (48, 32)


def test_parse_takes_lists_doses_and_regimens():
    dose = Dose(1, 10)
    regimen = Regimen.parse(["35 mg iv", dose, Regimen.parse("84 mg nasal")])
    assert [d.entry for d in regimen.doses] == ["iv", "iv", "nasal"]
    assert Regimen.parse(regimen) is regimen
    assert Regimen.parse(dose).doses == (dose,)
    for wrong in (None, 3, [3], [None], b"35 mg iv", []):
        with pytest.raises(InputError):
            Regimen.parse(wrong)
    with pytest.raises(FaultyFile) as error:
        Regimen.parse(["35 mg ivv", "35 iv", "35 mg iv"])
    assert len(error.value.faults) == 2


@pytest.mark.parametrize(
    ("phrase", "told"),
    [
        ("", "an empty phrase"),
        ("  \n", "an empty phrase"),
        ("35 mg iv;;3 mg iv", "an empty phrase"),
        ("35 mg ivv over 40 min", "try '35 mg iv over 40 min'"),
        ("35 mg iv ovr 40 min", "try '35 mg iv over 40 min'"),
        ("84 mg nasel", "try '84 mg nasal'"),
        ("84 mg smoked in a pipe", "'smoked'"),
        ("35 iv", "'35' without a unit; .* try '35 mg iv'"),
        ("35", "'35' without a unit"),
        ("35 mg", "no route; .* try '35 mg iv'"),
        ("iv", "no amount"),
        ("mg iv", "a number in digits"),
        ("five mg iv", "a number in digits"),
        ("-3 mg iv", "amount -3; expected a number above 0"),
        ("−3 mg iv", "amount -3; expected a number above 0"),
        ("0 mg iv", "amount 0; expected a number above 0"),
        ("1e-400 mg iv", "expected a number above 0"),
        ("1e400 mg iv", "a finite number"),
        ("nan mg iv", "a (finite )?number"),
        ("inf mg iv", "a (finite )?number"),
        ("1e9 mg iv", "at most 1e\\+06"),
        ("0,5 mg/kg iv", "a decimal point; try 0.5$"),
        ("1,000 mg iv", "try 1.000, or 1000 if the comma marks thousands"),
        ("35 mg ketamine iv", "racemic ketamine"),
        ("35 mg racemic esketamine iv", "drug twice"),
        ("35 mg iv oral", "route twice"),
        ("35 mg 40 mg iv", "two amounts"),
        ("35 mg iv and 20 mg oral", "';' between doses"),
        ("35 mg iv daily", "a schedule without an end; .* try '35 mg iv daily for 4 weeks'"),
        ("35 mg iv x 8", "8 doses without an interval"),
        ("35 mg iv twice", "'twice daily' or 'twice weekly'"),
        ("35 mg iv biweekly x 3", "'twice weekly' or 'every 2 weeks'"),
        ("35 mg iv five times weekly x 3", "'five'"),
        ("35 mg iv 5 times weekly x 3", "once, twice or three times weekly"),
        ("35 mg iv daily for 2 months", "weeks or days"),
        ("35 mg iv every 1 h x 10000000", "whole number from 1 to 1000000"),
        ("35 mg iv every 1 s for 6 weeks", "at most 1000000"),
        ("35 mg iv every 84 h x 2.5", "whole number"),
        ("35 mg iv every 84 h x 0", "whole number"),
        ("35 mg iv every 84 h x -2", "whole number"),
        ("35 mg iv every 84 h x", "whole number"),
        ("35 mg iv every 0 h x 8", "above 0"),
        ("35 mg iv every 84 h x 8 for 4 weeks", "one of them"),
        ("35 mg iv daily weekly x 8", "schedule twice"),
        ("10 kg iv", "the unit 'kg'"),
        ("35 mgg iv", "the unit 'mgg'; .* try '35 mg iv'"),
        ("10 mg/m2 iv", "the unit 'mg/m2'"),
        ("10 mg/kg/kg iv", "the unit 'mg/kg/kg'"),
        ("35 mg iv 40 min", "'40 min' by itself"),
        ("35 mg iv over 40", "'over 40 min' or 'over 40 h'"),
        ("35 mg iv over", "nothing after 'over'"),
        ("35 mg iv over 0 min", "above 0"),
        ("35 mg iv over -40 min", "above 0"),
        ("35 mg iv over 40 min over 1 h", "'over' twice"),
        ("35 mg iv for 2 h", "'over 40 min'"),
        ("35 mg iv at -2 h", "0 or more"),
        ("35 mg iv at 3", "'at 3 min' or 'at 3 h'"),
        ("35 mg iv at day 0", "from 1"),
        ("35 mg iv at day 1.5", "whole number"),
        ("35 mg iv at 2 h starting at 3 h", "two starts"),
        ("35 mg iv at 1e9 h", "up to 1e\\+06 h"),
        ("20 mg/h iv", "a rate without an end"),
        ("35 mg iv at 20 mg/h over 2 h", "two of the three"),
        ("35 mg/kg iv at 20 mg/h", "one of them per kg"),
        ("35 mg iv bolus over 2 h", "a bolus that takes time"),
        ("35 mg iv infusion", "an infusion without a length"),
        ("35 mg iv once daily once x 3", "'once' and a schedule"),
        ("35 mg iv at steady state", "an interval, or a constant rate"),
        ("35 mg iv twice weekly at steady state", "'every 84 h at steady state'"),
        ("84 mg nasal as 0 sprays", "above 0"),
        ("84 mg nasal as 3 puffs", "as 3 sprays"),
        ("84 mg nasal as sprays", "as 3 sprays"),
        ("84 mg nasal as 3 sprays as 2 sprays", "sprays twice"),
        ("__import__('os').system('true') mg iv", "expected"),
        ("35 mg iv " + "x" * 5000, "at most 1000 characters"),
    ],
)
def test_a_refusal_says_what_and_how_to_mend(phrase, told):
    with pytest.raises(DoseError, match=told) as error:
        Regimen.parse(phrase)
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    fault = error.value.faults[0]
    assert fault.where and fault.given and fault.expected


@pytest.mark.parametrize("phrase", EXAMPLES)
def test_examples_come_back_the_same(phrase):
    regimen = Regimen.parse(phrase)
    assert Regimen.parse(regimen.describe()) == regimen
    assert Regimen.parse(str(regimen)).describe() == regimen.describe()
    assert pickle.loads(pickle.dumps(regimen)) == regimen
    assert hash(regimen) == hash(Regimen.parse(phrase))


NUMBERS = st.one_of(
    st.sampled_from(["35", "0.5", "84", "1.5", "0.1", "1e-3", "7.25", "12", ".5", "+3"]),
    st.floats(1e-3, 900).map(repr),
    st.floats(1e-3, 900).map(lambda x: f"{x:.3g}"),
)
TIMES = st.builds("{} {}".format, NUMBERS, st.sampled_from(["min", "h", "hours", "d", "days", "s", "weeks"]))
INPUTS = st.one_of(
    st.builds("{} {}".format, NUMBERS, st.sampled_from(["mg", "mg/kg", "ug", "g", "ug/kg"])),
    st.builds("{} mg over {}".format, NUMBERS, TIMES),
    st.builds("{} {} for {}".format, NUMBERS, st.sampled_from(["mg/h", "mg/kg/h", "ug/kg/min"]), TIMES),
)
WORDS = st.sampled_from(["", "esketamine", "racemic ketamine", "R-ketamine HCl", "hydrochloride", "base"])
STARTS = st.one_of(st.just(""), st.builds("at {}".format, TIMES), st.just("at day 3"), st.just("at week 2"))
SCHEDULES = st.one_of(
    st.just(""),
    st.builds("every {} x {}".format, TIMES, st.integers(1, 40)),
    st.builds(
        "{} {}".format,
        st.sampled_from(["daily", "weekly", "twice weekly", "three times weekly", "twice daily"]),
        st.one_of(
            st.builds("x {}".format, st.integers(1, 40)), st.builds("for {} weeks".format, st.integers(1, 9))
        ),
    ),
    st.builds("every {} at steady state".format, TIMES),
    st.builds("daily x {} at steady state".format, st.integers(1, 5)),
)
PHRASES = st.builds(
    "{} {} {} {} {} {}".format,
    INPUTS,
    WORDS,
    st.sampled_from(sorted(ROUTES)),
    STARTS,
    SCHEDULES,
    st.sampled_from(["", "as 3 sprays"]),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(PHRASES, min_size=1, max_size=3))
@example(["35 mg R-ketamine HCl iv   "])
@example(["1.5 ug/kg/min for 2.561846144803919 s R-ketamine HCl buccal   "])
def test_words_and_back(phrases):
    try:
        regimen = Regimen.parse(phrases)
    except InputError:
        return  # such as a dose that would begin after 114 years
    assert Regimen.parse(regimen.describe()) == regimen
    assert Regimen.parse(" ; ".join(phrases)) == regimen
    for dose in regimen.doses:
        assert Regimen.parse(dose.describe()).doses == (dose,)
    assert len(regimen.expanded()) == sum(d.count for d in regimen.doses)
    assert regimen.duration_h == max(d.time_h for d in regimen.expanded())


VOCABULARY = sorted({word for phrase in EXAMPLES for word in phrase.split()})
VOCABULARY += ["then", ";", ",", "-", "/", "0", "-1", "1e999", "nan", "day", "week", "at", "added", "once"]


@settings(max_examples=600, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from(VOCABULARY), max_size=12).map(" ".join),
        st.text(alphabet="0123456789.,eE+-/ mgkhivx;", max_size=40),
    )
)
def test_random_text_is_read_or_refused(text):
    try:
        regimen = Regimen.parse(text)
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert Regimen.parse(regimen.describe()) == regimen


def test_a_long_hostile_text_is_refused_at_once():
    for text in (
        "1" * 900 + " mg iv",
        "a" * 900,
        ", " * 400 + "x",
        "35 mg iv " * 100,
        "(" * 900,
        "1 mg iv;" * 30_000,
    ):
        with pytest.raises(InputError):
            read_phrase(text)


# -- words of the clinic --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "same"),
    [
        ("25 mg oral BID for 3 days", "25 mg oral twice daily for 3 days"),
        ("25 mg oral q.d. x 7", "25 mg oral daily x 7"),
        ("25 mg oral TID x 6", "25 mg oral every 8 h x 6"),
        ("56 mg nasal BIW for 4 weeks", "56 mg nasal twice weekly for 4 weeks"),
        ("56 mg nasal TIW x 6", "56 mg nasal three times weekly for 2 weeks"),
        ("1 mg iv q15min x 4", "1 mg iv every 15 min x 4"),
        ("1 mg iv q8h x 4", "1 mg iv every 8 h x 4"),
        ("56 mg nasal q2w x 4", "56 mg nasal every 2 weeks x 4"),
        ("56 mg nasal on days 1, 4, 8", "56 mg nasal; 56 mg nasal at day 4; 56 mg nasal at day 8"),
        ("56 mg nasal on days 1,4,8", "56 mg nasal; 56 mg nasal at day 4; 56 mg nasal at day 8"),
        ("5 mg oral on days 1 to 3", "5 mg oral; 5 mg oral at day 2; 5 mg oral at day 3"),
        (
            "5 mg oral twice daily on days 1 and 3",
            "5 mg oral every 12 h x 2; 5 mg oral every 12 h x 2 at day 3",
        ),
        ("56 mg nasal on days 1 and 4 of each week for 4 weeks", "56 mg nasal twice weekly for 4 weeks"),
        ("56 mg nasal weekly for 4 weeks except session 1", "56 mg nasal weekly x 3 at week 2"),
        ("5 mg im every 84 h x 5 except sessions 2 and 4", "5 mg im; 5 mg im at 168 h; 5 mg im at 336 h"),
        ("5 mg im every 84 h x 3 without the 2nd session", "5 mg im; 5 mg im at 168 h"),
        ("4 mL/h of 10 mg/mL iv for 2 h", "80 mg iv over 2 h"),
        ("3.5 mL of 10 mg/mL iv over 40 min", "35 mg iv over 40 min"),
        ("0.05 ml/kg 10 mg/ml iv", "0.5 mg/kg iv"),
        ("3.5 mL Ketalar 10 mg/mL iv", "35 mg racemic ketamine iv"),
        ("56 mg Spravato", "56 mg esketamine nasal"),
        ("2 devices of Spravato twice weekly x 8", "56 mg esketamine nasal twice weekly x 8"),
        ("4 sprays Spravato", "56 mg esketamine nasal"),
        ("56 mg Spravato as 4 sprays", "56 mg esketamine nasal"),
        ("84 mg Spravato as 3 sprays", "84 mg esketamine nasal as 3 sprays"),
        ("20 mg Ketanest S iv", "20 mg esketamine iv"),
        ("100 µmol iv", "23.773 mg iv"),
        ("100 umol HCl iv", "23.773 mg iv"),
        ("20 mg iv bolus then 10 mg/h iv for 2 h", "20 mg iv; 20 mg iv over 2 h"),
        (
            "20 mg iv then 10 mg/h iv for 2 h then 5 mg/h iv for 1 h",
            "20 mg iv; 20 mg iv over 2 h; 5 mg iv over 1 h at 2 h",
        ),
    ],
)
def test_words_of_the_clinic(phrase, same):
    def rows(text):
        return [
            (d.time_h, d.amount, d.per_kg, d.entry, d.drug, d.duration_h, d.fields)
            for d in Regimen.parse(text).expanded()
        ]

    assert sorted(rows(phrase), key=str) == sorted(rows(same), key=str)


def test_the_most_of_a_dose_and_the_weight_it_is_by():
    dose = one("0.5 mg/kg esketamine HCl iv over 40 min max 50 mg")
    assert dose.most == pytest.approx(50 * 0.867)
    assert one("0.5 mg/kg iv max 50 mg").mg({"weight": 140}) == 50
    assert one("0.5 mg/kg iv max 50 mg").mg({"weight": 80}) == 40
    for words, kind in (("by IBW", "ideal"), ("by adjusted body weight", "adjusted"), ("by LBW", "lean")):
        assert one(f"1 mg/kg iv {words}").by == f"{kind} weight"
    man = {"weight": 120.0, "height": 180.0, "sex": 1.0}
    # Devine: 50 + 2.3 (180 / 2.54 - 60); adjusted: 40 % of the rest; Janmahasatian: 9270 W / (6680 + 216 BMI)
    ideal = 50 + 2.3 * (180 / 2.54 - 60)
    assert one("1 mg/kg iv by ideal weight").mg(man) == pytest.approx(ideal)
    assert one("1 mg/kg iv by adjusted weight").mg(man) == pytest.approx(ideal + 0.4 * (120 - ideal))
    lean = 9270 * 120 / (6680 + 216 * 120 / 1.8**2)
    assert one("1 mg/kg iv by lean weight").mg(man) == pytest.approx(lean)
    woman = man | {"sex": 0.0}
    assert one("1 mg/kg iv by ideal weight").mg(woman) == pytest.approx(ideal - 4.5)
    assert one("1 mg/kg iv by lean weight").mg(woman) == pytest.approx(
        9270 * 120 / (8780 + 244 * 120 / 1.8**2)
    )
    for known in ({}, {"weight": 70}, {"weight": 70, "height": 170}, {"weight": 40, "height": 140, "sex": 0}):
        with pytest.raises(InputError):
            one("1 mg/kg iv by ideal weight").mg(known)
    for wrong in (
        "35 mg iv by IBW",
        "20 mg/h iv at steady state max 50 mg",
        "35 mg iv max 5 doses",
        "1 mg/kg iv max",
    ):
        with pytest.raises(DoseError):
            Regimen.parse(wrong)
    with pytest.raises(DoseError, match="no height"):
        Regimen.parse("1 mg/kg iv by IBW").to_events(weight=70)
    assert Regimen.parse("1 mg/kg iv max 50 mg").to_events(2, weight=[40, 70])["AMT"].to_list() == [40, 50]
    assert Regimen.from_toml(
        [{"amount": "1 mg/kg", "route": "iv", "by": "IBW", "max": "50 mg"}]
    ) == Regimen.parse("1 mg/kg iv by ideal weight max 50 mg")


def test_numbers_are_echoed_as_people_write_them():
    assert Regimen.parse("1.2 mg/h iv for 48 h").describe() == "57.6 mg iv over 48 h"
    assert Regimen.parse("5 ug/kg/min iv for 2 h").describe() == "0.6 mg/kg iv over 2 h"
    assert Regimen.parse("0.29 mg/kg/h iv over 3 h").doses[0].amount == 0.87
    assert Dose(0, 0, rate=1.2, duration_h=48).amount == 57.6


def test_a_models_own_drug_by_name():
    dose = one("5 mg midazolam oral", drugs=["midazolam"])
    assert (dose.drug, dose.describe()) == ("midazolam", "5 mg midazolam oral")
    assert one("35 mg esketamine iv", drugs=["midazolam"]).drug == "S-ketamine"
    with pytest.raises(DoseError, match="'midazolam'"):
        Regimen.parse("5 mg midazolam oral")


def test_two_sessions_at_one_moment_are_said():
    assert Regimen.parse("56 mg nasal weekly x 3; 28 mg nasal at day 8").said == (
        "2 doses nasal at 168 h: 56 mg, 28 mg",
    )
    assert Regimen.parse("10 mg iv; 10 mg iv").said == ("2 doses iv at 0 h: 10 mg, 10 mg",)
    for apart in ("10 mg iv; 20 mg/h iv for 2 h", "10 mg iv; 10 mg im", "10 mg iv; 10 mg iv at 1 h"):
        assert Regimen.parse(apart).said == ()


def test_an_infusion_too_short_to_be_seen_is_refused():
    with pytest.raises(DoseError, match="at least 1e-09"):
        Regimen.parse("35 mg iv at 1e308 mg/h")


@pytest.mark.parametrize(
    ("phrase", "quoted"),
    [
        ("35 mg propofol iv over 40 min", "'propofol'"),
        ("84 mg smoked in a pipe", "'smoked', 'in', 'a', 'pipe'"),
        ("0.5 mg/kg iv over 40 min by total bodyweight", "'by'"),
        ("35 mg iv quickly over 40 min", "'quickly'"),
    ],
)
def test_words_that_are_not_understood_are_quoted(phrase, quoted):
    with pytest.raises(DoseError) as error:
        Regimen.parse(phrase)
    fault = error.value.faults[0]
    assert quoted in fault.given
    assert fault.try_ == ""


SLIP_WORDS = (
    "nasel iv ivv ovr over quickly propofol 35 mg 35_mg 0,5_mg -3_mg esketamine ketamine Spravato weekly_x_4 40_min "
    "for_2_h by_IBW max_50_mg max_5 mgg as_3_puffs 3_sprays bid every_84_h x_8 except_session_2 on_days_1,_4 5_mL "
    "of_10_mg/mL steady_state at_3 once"
)
SLIPS = st.sampled_from([slip.replace("_", " ") for slip in SLIP_WORDS.split()])


@settings(max_examples=400, deadline=None)
@given(st.one_of(PHRASES, st.just("")), st.lists(SLIPS, max_size=5))
@example("", ["56 mg", "Spravatto"])
def test_a_cure_keeps_what_was_understood(phrase, slips):
    text = " ".join([phrase, *slips])
    try:
        Regimen.parse(text)
        return
    except InputError as error:
        cures = [cure for fault in error.faults for cure in re.findall(r"'([^']*)'", fault.try_)]
    facts, _ = understood(text)
    for cure in cures:
        try:
            Regimen.parse(cure)
        except InputError:
            continue  # a part of a phrase
        again, strange = understood(cure)
        assert not strange
        changed = {name for name in facts if again.get(name) != facts[name]}
        # "for 2 h" of an amount becomes "over 2 h", and nothing else
        assert not changed - ({"for_h"} if again.get("over_h") == facts.get("for_h") else set()), (text, cure)


# -- docs/dosing.md -------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_every_block_of_the_page_runs(block):
    exec(compile(block, "docs/dosing.md", "exec"), {})


def test_every_phrase_of_the_page_is_a_phrase():
    table = PAGE.split("| phrase | meaning |")[1].split("\n\n")[0]
    phrases = [p for row in table.splitlines()[2:] for p in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(phrases) > 25
    for phrase in phrases:
        assert Regimen.parse(Regimen.parse(phrase).describe()) == Regimen.parse(phrase)
    routes = re.search(r"\*\*Routes\*\*:(.*?);", PAGE, re.S)[1]
    assert set(re.findall(r"`([^`]+)`", routes)) == {*ROUTES, "intranasal", "po"}


# -- Dose and Regimen themselves ------------------------------------------------------------------------


def test_a_dose_keeps_amount_and_duration_of_the_three():
    assert Dose(0, 35, rate=52.5).duration_h == FORTY_MIN
    assert Dose(0, 0, rate=20, duration_h=2).amount == 40
    dose = Dose(0, 40, rate=20, duration_h=2)
    assert (dose.amount, dose.duration_h, dose.rate) == (40, 2, None)
    assert Dose(0, 0, rate=20, steady_state=1).rate == 20
    assert Dose(0, 10, every_h=24).every_h == 0  # an interval of a single dose says nothing


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": math.nan},
        {"amount": math.inf},
        {"amount": 1e7},
        {"amount": "many"},
        {"amount": None},
        {"amount": True},
        {"time_h": -1},
        {"time_h": math.nan},
        {"duration_h": 0},
        {"duration_h": -1},
        {"rate": -1},
        {"rate": 20, "duration_h": 9},
        {"count": 0},
        {"count": 2},
        {"count": 1.5, "every_h": 3},
        {"count": True, "every_h": 3},
        {"count": 2, "every_h": -3},
        {"count": 1_000_001, "every_h": 1},
        {"count": 1_000_000, "every_h": 100},
        {"entry": ""},
        {"entry": None},
        {"drug": "ketamine"},
        {"drug": "esketamine"},
        {"drug": "S-ketmine"},
        {"drug": " "},
        {"drug": 3},
        {"salt": "hcl"},
        {"steady_state": 3},
        {"steady_state": 1},
        {"fields": {"sprays": math.nan}},
        {"fields": {"sprays": "three"}},
    ],
)
def test_a_dose_refuses(wrong):
    with pytest.raises(DoseError):
        Dose(**({"time_h": 0, "amount": 10} | wrong))


def test_a_regimen_refuses():
    for wrong in ((), ("35 mg iv",), [Dose(0, 1, every_h=0.1, count=1_000_000)] * 2):
        with pytest.raises(DoseError):
            Regimen(wrong)


# -- TOML -----------------------------------------------------------------------------------------------


def test_toml_says_what_a_phrase_says():
    tables = [
        ({"amount": "0.5 mg/kg", "route": "iv", "over": "40 min", "every": "84 h", "count": 8}, 0),
        ({"phrase": "84 mg nasal as 3 sprays at day 2"}, 1),
        ({"amount": "84 mg", "route": "Intranasal", "sprays": 3, "at": "day 2"}, 1),
        ({"rate": "1.5 mg/kg/h", "route": "iv", "for": "48 h"}, 2),
        ({"rate": "1.5 mg/kg/h", "route": "iv", "over": "2 h", "every": "daily", "for": "5 days"}, 3),
        ({"amount": "10 mg", "route": "oral", "every": "twice weekly", "for": "4 weeks"}, 4),
        ({"amount": "10 mg", "route": "oral", "every": "12 h", "steady_state": True}, 5),
        ({"rate": "10 mg/h", "route": "iv", "steady_state": 1}, 6),
        ({"amount": "10 mg", "route": "im", "drug": "Esketamine", "salt": "hydrochloride"}, 7),
        ({"amount": "35 mg", "rate": "52.5 mg/h", "route": "iv"}, 8),
    ]
    phrases = [
        "0.5 mg/kg iv over 40 min every 84 h x 8",
        "84 mg nasal as 3 sprays at 24 h",
        "1.5 mg/kg/h iv for 48 h",
        "1.5 mg/kg/h iv for 2 h daily for 5 days",
        "10 mg oral twice weekly for 4 weeks",
        "10 mg oral every 12 h at steady state",
        "10 mg/h iv at steady state",
        "10 mg esketamine hcl im",
        "35 mg iv at 52.5 mg/h",
    ]
    for table, index in tables:
        assert Regimen.from_toml([table]) == Regimen.parse(phrases[index]), table


def test_toml_sources(tmp_path):
    text = '[[doses]]\nphrase = "35 mg iv"\n[[doses]]\namount = "3 mg"\nroute = "slow"\n'
    path = tmp_path / "regimen.toml"
    path.write_text(text)
    expected = Regimen.parse(["35 mg iv", "3 mg slow"], entries=["slow"])
    for source in (text, path, {"doses": [{"phrase": "35 mg iv"}, {"amount": "3 mg", "route": "slow"}]}):
        assert Regimen.from_toml(source, entries=["slow"]) == expected
    for wrong in (
        "x ==",
        "a = 1",
        [],
        {},
        None,
        {"doses": 3},
        tmp_path / "none.toml",
        tmp_path,
        "[" * 100_000,
    ):
        with pytest.raises(FaultyFile):
            Regimen.from_toml(wrong)


def test_all_faults_of_toml_at_once():
    faulty = [
        {"amount": 35, "route": "nasel", "over": 40, "evry": "2 h", "count": 0},
        {"phrase": "35 mg ivv"},
        {"phrase": "35 mg iv", "route": "iv"},
        {"amount": "35 mg iv", "route": "iv"},
        3,
        {"route": "iv"},
        {"amount": "3 mg"},
        {"amount": "10 mg/h", "route": "iv"},
        {"rate": "10 mg", "route": "iv", "over": "2 h"},
        {"amount": "3 mg", "route": "iv", "over": "3 h at 2 h"},
        {"amount": "3 mg", "route": "iv", "drug": "ketamine", "salt": "sulphate", "steady_state": "yes"},
        {"amount": "3 mg", "route": "iv", "sprays": 0},
        {"amount": "3 mg", "route": "iv", "every": "daily"},
        {"phrase": "35 mg iv"},
    ]
    with pytest.raises(FaultyFile) as error:
        Regimen.from_toml(faulty, name="scenario.toml")
    where = [fault.where for fault in error.value.faults]
    counts = {k: len(list(g)) for k, g in itertools.groupby(where, lambda w: w.split(".")[0])}
    assert counts == {f"doses[{i}]": {1: 5, 11: 3}.get(i, 1) for i in range(1, 14)}
    assert "doses[1].route: got 'nasel'; expected a route; try 'nasal'" in str(error.value)
    assert str(error.value).startswith("scenario.toml: 19 faults: ")
    assert "\n" not in str(error.value)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["amount", "route", "over", "at", "every", "count", "for", "rate", "phrase", "sprays", "x"]
        ),
        st.one_of(
            st.text(max_size=20),
            st.sampled_from(["35 mg", "iv", "2 h", "daily", "20 mg/h"]),
            st.integers(),
            st.floats(),
            st.none(),
            st.booleans(),
            st.lists(st.text(max_size=3), max_size=2),
        ),
    )
)
def test_random_tables_are_read_or_refused(table):
    try:
        regimen = Regimen.from_toml([table])
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert Regimen.parse(regimen.describe()) == regimen
