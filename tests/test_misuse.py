"""Misuse, computed: every number against the closed form or the printed one, and what would mislead is guarded."""

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.safety.misuse import models
from kinetamine.safety.misuse.shares import beta_share, none_seen, wilson

misuse = kt.misuse
GRADES = {"observed", "fitted", "extrapolated", "assumed", "no data"}


def everything():
    return [
        misuse.dependence(), misuse.bladder(26, 24, "female", True), misuse.onset(), misuse.hydronephrosis(),
        misuse.recovery(), misuse.liver(), misuse.withdrawal(), misuse.relapse(), misuse.urine(), misuse.mortality(10),
        misuse.screening(8.6), misuse.diagnosis(4), misuse.escalation(30), misuse.prevalence(), misuse.treatment(),
        misuse.cognition(),
    ]  # fmt: skip


# ---- intervals


@given(st.integers(0, 500), st.integers(1, 500))
@settings(max_examples=50)
def test_intervals_are_those_of_scipy(k, n):
    k = min(k, n)
    want = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n)[1:] == pytest.approx((100 * want.low, 100 * want.high), abs=1e-5)
    a, b = k + 0.5, n - k + 0.5
    got = beta_share(k, n)
    assert got[0] == pytest.approx(100 * stats.beta.ppf(0.5, a, b), rel=1e-6)
    assert got[2] == pytest.approx(100 * stats.beta.ppf(0.975, a, b), rel=1e-6)
    exact = stats.binomtest(0, n).proportion_ci(method="exact").high
    assert none_seen(n) == pytest.approx(100 * exact, rel=1e-6)


# ---- dependence


def test_the_ladder_of_dependence():
    ladder = misuse.dependence()
    want = {
        "medical use": (0.9, 0.1, 3.3),
        "Global Drug Survey": (8.6, 7.8, 9.4),
        "dance scene": (17.0, 15.0, 19.1),
        "more than 5": (29, 23, 36),
        "severe group": (76, 67, 84),
    }
    for group, numbers in want.items():
        found = ladder[group]
        assert (found.value, found.low, found.high) == pytest.approx(numbers, abs=0.6), group
        assert found.n and found.events is not None


def test_no_case_after_one_infusion_is_not_safe():
    found = misuse.dependence()["6 months"]
    assert (found.events, found.n, found.value) == (0, 62, 0.0)
    assert found.high == pytest.approx(5.8, abs=0.05)
    assert "not 'safe'" in found.note
    assert any("not 'safe'" in w for w in misuse.dependence().warns)


def test_both_surveys_are_shown_and_not_averaged():
    people = [n.people for n in misuse.dependence().numbers]
    assert sum("past-year users" in p for p in people) == 2
    assert any("twofold" in w for w in misuse.dependence().warns)


@pytest.mark.parametrize(
    ("count", "band"),
    [(0, "none"), (1, "none"), (2, "mild"), (3, "mild"), (4, "moderate"), (5, "moderate"), (6, "severe")],
)
def test_dsm_5_bands(count, band):
    assert misuse.diagnosis(count).title.endswith(band)


@pytest.mark.parametrize("wrong", [-1, 11, 2.5, True, "3"])
def test_dsm_5_counts_that_cannot_be(wrong):
    with pytest.raises(InputError):
        misuse.diagnosis(wrong)


@pytest.mark.parametrize(
    ("score", "band"), [(0, "low"), (3, "low"), (4, "moderate"), (26, "moderate"), (27, "high")]
)
def test_assist_bands(score, band):
    assert misuse.assist(score) == band


@pytest.mark.parametrize(
    ("p", "dast", "sds"), [(1.1, 11, 6), (8.6, 51, 33.5), (17, 69, 52.4), (29, 82, 68.7)]
)
def test_predictive_values_by_prevalence(p, dast, sds):
    found = [n.value for n in misuse.screening(p).numbers if n.what == "disorder if positive"]
    assert found == pytest.approx([dast, sds], abs=0.8)
    assert {n.grade for n in misuse.screening(p).numbers} == {"extrapolated"}
    assert "No accuracy" in misuse.screening(p).warns[0]


# ---- bladder


@pytest.mark.parametrize(("days", "odds", "share"), [(26, 1.5, 32), (52, 2.3, 42), (90, 4.2, 57)])
def test_bladder_odds_on_a_stated_baseline(days, odds, share):
    found = misuse.bladder(days)
    assert found["frequency, odds"].value == pytest.approx(odds, abs=0.06)
    assert found["frequency, share"].value == pytest.approx(share, abs=0.6)
    assert "never users" in found["frequency, share"].people
    assert found["frequency, share"].low is None  # no interval was printed


@pytest.mark.parametrize("days", [91, 129, 180, 1000])
def test_beyond_90_days_is_refused(days):
    with pytest.raises(NoData, match="0 to 90"):
        misuse.bladder(days)
    with pytest.raises(NoData):
        misuse.urinary_odds(days)


def test_women_two_years_five_days_a_week_get_a_share_with_interval_beside_never_users():
    found = misuse.bladder(days=129, months=24, sex="female")
    recent = found["recent users"]
    assert recent.value == pytest.approx(30, abs=0.1) and recent.low < 30 < recent.high
    assert found["never users"].value == 24
    assert any("0 to 90" in r for r in found.refused) and any("one sex" in r for r in found.refused)
    assert found["women"].value == pytest.approx(math.exp(0.20))


def test_symptom_score_by_months_sex_and_mood():
    found = misuse.symptom_index(60, "female", True)
    assert (found["five times"].value, found["five times"].low, found["five times"].high) == pytest.approx(
        (1.40, 1.10, 1.76), abs=0.01
    )
    assert found["depressed"].value == pytest.approx(math.exp(0.49))
    assert all("not a risk" in n.note for n in found.numbers)


def test_onset_recovery_and_hydronephrosis():
    assert [n.value for n in misuse.onset().numbers] == pytest.approx([35, 66, 88], abs=0.6)
    assert {n.grade for n in misuse.onset().numbers} == {"assumed"}
    spans = [(n.value, n.low, n.high) for n in misuse.recovery().numbers]
    assert spans[0] == pytest.approx((51, 45, 57), abs=0.5)
    assert spans[1] == pytest.approx((83.5, 75, 90), abs=0.6)
    assert spans[2] == pytest.approx((67.7, 55, 78), abs=0.6)
    assert misuse.hydronephrosis().numbers[0].value == pytest.approx(16.8, abs=0.05)


# ---- stopping, relapse, urine, deaths


def test_withdrawal_shares():
    want = {
        "craving": (71, 66, 76),
        "low mood": (62, 56, 68),
        "anxiety": (59, 53, 65),
        "irritability": (45, 39, 51),
    }
    for symptom, numbers in want.items():
        found = misuse.withdrawal()[symptom]
        assert (found.value, found.low, found.high) == pytest.approx(numbers, abs=0.6)
    assert [n.value for n in misuse.withdrawal().numbers if "PWC" in n.what] == [7.2, 7.5, 7.4, 7.2]
    assert any("No day-by-day course" in w for w in misuse.withdrawal().warns)


def test_relapse_is_a_weibull_curve_for_one_kind_of_event():
    curve = misuse.relapse("offence again, any illicit drug", (6, 12, 18, 24, 36))
    assert [n.value for n in curve.numbers] == pytest.approx([18, 25, 29.8, 34, 39.5], abs=0.6)
    constant = 1 - (1 - 0.3952) ** (12 / 36)  # what a constant hazard would say at 12 months
    assert 100 * constant == pytest.approx(15, abs=0.6)
    assert any("constant hazard is wrong" in w for w in curve.warns)
    beyond = misuse.relapse("offence again, any illicit drug", (48,))
    assert not beyond.numbers and "beyond 36" in beyond.refused[0]
    with pytest.raises(UnknownName):
        misuse.relapse("relapse")


def test_youths_after_a_programme():
    found = misuse.relapse()
    assert found["youths"].value == pytest.approx(34.8, abs=0.05)
    assert found["went back to ketamine"].value == pytest.approx(65.6, abs=0.05)
    kinds = [n.what.partition(" by ")[0] for n in found.numbers]
    assert len(set(kinds)) >= 4  # never pooled


def test_urine_after_chronic_use():
    assert [n.value for n in misuse.urine().numbers] == pytest.approx([78, 31, 11], abs=0.6)
    assert misuse.urine([120]).numbers[0].grade == "extrapolated"


def test_mortality_ratios_and_shares():
    found = misuse.mortality(expected=2)
    assert found["where so many were expected"].value == pytest.approx(9.8)
    assert found["suicide"].value == 13.4
    assert found["major effect or death, US"].value == pytest.approx(19.7, abs=0.05)
    assert any("are not risks" in w for w in found.warns)


def test_escalation_only_between_its_two_points():
    assert misuse.escalation(0).numbers[0].value == 1
    assert misuse.escalation(60).numbers[0].value == pytest.approx(7.6)
    assert misuse.escalation(44, "infrequent").numbers[0].value == pytest.approx(2.6)
    yearly = misuse.escalation(12).numbers[0]
    assert yearly.value == pytest.approx(1.50, abs=0.005) and yearly.grade == "assumed"
    with pytest.raises(NoData):
        misuse.escalation(61)


def test_prevalence_is_looked_up_and_never_interpolated():
    assert misuse.prevalence("United States", 2019).numbers[0].value == 0.2
    with pytest.raises(NoData, match="nothing is interpolated"):
        misuse.prevalence("United States", 2017)
    with pytest.raises(UnknownName):
        misuse.prevalence("Atlantis")


def test_treatment_says_that_no_trial_was_found():
    assert "No trial with abstinence" in misuse.treatment().warns[0]
    assert all(n.value is None and "certainty" in n.note for n in misuse.treatment().numbers)


# ---- guards


def test_every_number_has_rows_with_sources_and_a_grade():
    known = kt.sources()
    for answer in everything():
        assert answer.warns, answer.title
        for number in answer.numbers:
            assert number.grade in GRADES and number.rows, number
            assert all(models.row(r).source in known for r in number.rows)
            if number.low is not None:
                assert number.low <= number.value <= number.high
        json.dumps(answer.to_dict())


def test_clinic_series_are_never_called_risks():
    shown = " ".join(str(n) for a in everything() for n in a.numbers)
    assert "77" not in re.findall(r"\b77\b", shown)  # pooled frequency of clinic patients
    assert any("Clinic series" in w for w in misuse.bladder().warns)


def test_nothing_tells_how_to_use():
    words = json.dumps([a.to_dict() for a in everything()]) + json.dumps(misuse.timeline(24, 60).to_dict())
    assert not re.search(
        r"\b(redose|line of|bump|sweet spot|threshold dose|to get high)\b", words, re.IGNORECASE
    )


# ---- time line and faces


def test_the_time_line_is_in_order_and_every_part_is_graded():
    story = misuse.timeline(24, days=60, sex="female")
    months = [m.months for m in story.moments]
    assert months == sorted(months) and months[0] == 0
    assert all(n.grade in GRADES for m in story.moments for n in m.numbers)
    assert "invented person" in story.warns[0]
    assert misuse.timeline(24, days=150).refused
    for wrong in (0, 500, True, "24"):
        with pytest.raises(InputError):
            misuse.timeline(wrong)


@pytest.mark.parametrize("topic", list(misuse.topics()))
def test_every_topic_is_answered(topic):
    assert misuse.ask(topic).to_dict()


def test_every_option_is_used_or_refused():
    found = misuse.ask("withdrawal", days=30, criteria=4, prevalence=5, country="Australia")
    assert {a.topic for a in found.answers} == {
        "withdrawal",
        "bladder",
        "diagnosis",
        "screening",
        "prevalence",
    }
    with pytest.raises(InputError, match="months, days and sex"):
        misuse.ask("timeline", months=24, criteria=4)


def test_the_command(capsys):
    assert run(["misuse", "bladder", "--days", "129", "--months", "24", "--sex", "female"]) == 0
    shown = capsys.readouterr().out
    assert "Refused: " in shown and "30 (27.4-32.8)" in shown and "none tells how to use" in shown
    assert run(["misuse", "timeline", "--months", "24", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["timeline"]["moments"]
    assert run(["misuse", "--days", "129"]) == 2
    assert "0 to 90" in capsys.readouterr().err
