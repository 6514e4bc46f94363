"""Screening, rating scales, misuse, law and the check of a whole scenario."""

import json
import tomllib
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.models.library import sources
from kinetamine.records import read_csv
from kinetamine.safety import check, findings, instruments, law, misuse, screening
from kinetamine.safety.findings import SEVERITIES, worst

VOCABULARY = tomllib.loads(
    (resources.files("kinetamine") / "data" / "safety" / "screening.toml").read_text(encoding="utf-8")
)
CONDITIONS = sorted(VOCABULARY["condition"])
TIMED = [
    f"{c} {n} ago"
    for c in ("myocardial infarction", "history of substance use")
    for n in ("3 weeks", "5 years")
]
ESKETAMINE = "esketamine nasal"


def rank(severity):
    return len(SEVERITIES) if severity is None else SEVERITIES.index(severity)


def ids(found):
    return {f.id for f in found.findings}


# ---- data


def test_every_row_has_a_known_source_and_says_how_it_was_read():
    known = sources()
    steps = [*screening.session_plan(), *screening.guidance()]
    rows = [*screening.rules(), *steps, *misuse.facts(), *law.law()]
    for row in rows:
        assert row.source in known, row.id
        assert row.seen in ("text", "abstract", "recalled", "derived"), row.id
    for key, form in instruments.instruments().items():
        for row in form.evidence:
            assert row.source in known and row.seen in ("text", "recalled"), key
    assert sum(row.seen == "recalled" for row in rows) > 30


def test_a_table_with_faults_names_them_all():
    head = "id,domain,severity,when,product,population,text,basis,source,seen\n"
    good = "R1,age,exclude,age < 18,any ketamine,all,young,label,otto_2021,text\n"
    assert read_csv("x.csv", screening.Rule, text=head + good)[0].id == "R1"
    with pytest.raises(FaultyFile) as error:
        read_csv("x.csv", screening.Rule, text=head + "R1,age,stop,,a,b,c,d,,text\nR2,too,few\n")
    assert len(error.value.faults) == 3  # severity, source, cells
    with pytest.raises(FaultyFile) as error:
        read_csv("x.csv", screening.Rule, text=head + good + good.replace("otto_2021", "oto_2021"))
    assert "twice" in str(error.value) and "otto_2021" in str(error.value)


@pytest.mark.parametrize("when", ["anurysm", "taking sugar", "sbp = 140", "sbp > 6 weeks", "stroke < 6"])
def test_a_rule_nobody_can_read_is_a_fault(when):
    desk = screening._desk()
    with pytest.raises(ValueError):
        screening._parse(when, desk.implied, desk.quantities)


# ---- screening


@pytest.mark.parametrize(
    ("patient", "severity", "row"),
    [
        ({"conditions": ["thoracic aortic aneurysm"]}, "exclude", "S001"),
        ({"avm": True}, "exclude", "S002"),
        ({"conditions": ["Intracerebral hemorrhage"]}, "exclude", "S003"),
        ({"conditions": ["heart attack 4 weeks ago"]}, "exclude", "S007"),
        ({"conditions": ["heart attack 3 months ago"]}, "exclude", "S044"),
        ({"conditions": ["heart attack 3 years ago"]}, "caution", "S034"),
        ({"pregnant": True}, "exclude", "S019"),
        ({"age": 17.9}, "exclude", "S021"),
        ({"liver": "C"}, "exclude", "S050"),
        ({"liver": "moderate"}, "caution", "S049"),
        ({"conditions": ["history of psychosis"]}, "exclude", "S047"),
        ({"substance_use_history": True}, "caution", "S060"),
        ({"sbp": 141, "dbp": 80}, "adjust", "S029"),
        ({"sbp": 140, "dbp": 91}, "adjust", "S036"),
        ({"sbp": 145, "dbp": 80, "age": 60}, "adjust", "S035"),
        ({"bladder_symptoms": True}, "caution", "S065"),
        ({"medications": ["tranylcypromine"]}, "adjust", "S033"),
        ({"egfr": 40}, "information", "S058"),
        ({"weight": 130, "height": 170, "conditions": ["sleep apnea"]}, "caution", "S107"),
    ],
)
def test_the_label_speaks(patient, severity, row):
    found = kt.screen(patient, product="spravato")
    assert found.worst == severity
    assert row in ids(found)


def test_thresholds_are_where_they_are_published():
    assert kt.screen(sbp=140, dbp=90, product=ESKETAMINE).worst is None
    older = kt.screen(sbp=145, dbp=80, age=70, product=ESKETAMINE)
    assert "S029" in ids(older) and "S035" not in ids(older)  # the trials allowed 150 above 65 years
    assert {"S021", "S022"}.isdisjoint(ids(kt.screen(age=18, product=ESKETAMINE)))


def test_what_was_not_told_is_said_and_not_guessed():
    found = kt.screen(conditions=["heart attack"], product=ESKETAMINE)
    assert found.worst == "caution"
    assert any("time since" in f.because and "6 weeks" in f.because for f in found.findings)
    assert "systolic pressure at the visit" in found.missing
    assert "age" not in kt.screen(age=40).missing


def test_a_rule_of_another_product_is_at_most_a_caution():
    found = kt.screen(conditions=["aneurysm"], product="ketamine for depression")
    assert found.worst == "caution"
    assert all(f.other_product and "excluded for esketamine nasal" in f.text for f in found.findings)
    assert kt.screen(conditions=["aneurysm"]).worst == "exclude"


def test_recalled_rules_say_so():
    found = kt.screen(conditions=["active substance use disorder"], product="ketamine for pain")
    assert {f.id: f.seen for f in found.findings}["S073"] == "recalled"


@pytest.mark.parametrize(
    ("patient", "said"),
    [
        ({"conditions": ["anurysm"]}, "aneurysm"),
        ({"medications": ["tranylcipromine"]}, "tranylcypromine"),
        ({"medications": ["psychosis"]}, "among the conditions"),
        ({"product": "spravatto"}, "spravato"),
        ({"liver": "D"}, "one of A, B, C"),
        ({"sbp": 900}, "40 to 300"),
        ({"age": True}, "0 to 125"),
        ({"sbp": float("nan")}, "mmHg"),
        ({"sbp": 80, "dbp": 90}, "above the diastolic"),
        ({"pregnent": True}, "pregnant"),
        ({"conditions": "  "}, "list of names"),
    ],
)
def test_nothing_is_guessed(patient, said):
    with pytest.raises(InputError) as error:
        kt.screen(patient)
    assert error.value.exit_code == 2
    assert said in str(error.value)


def test_all_faults_of_a_patient_come_at_once():
    with pytest.raises(FaultyFile) as error:
        kt.screen(conditions=["anurysm", "strok"], sbp=900)
    assert len(error.value.faults) == 3


patients = st.fixed_dictionaries(
    {"conditions": st.lists(st.sampled_from([*CONDITIONS, *TIMED]), max_size=4)},
    optional={
        "age": st.floats(1, 100),
        "sbp": st.floats(100, 250),
        "dbp": st.floats(40, 99),
        "egfr": st.floats(0, 120),
        "product": st.sampled_from(sorted(VOCABULARY["product"])),
        "medications": st.lists(st.sampled_from(["lorazepam", "phenelzine", "levothyroxine"]), max_size=2),
    },
)


@settings(max_examples=150, deadline=None)
@given(patients, st.sampled_from([*CONDITIONS, *TIMED]))
def test_a_further_condition_never_lowers_the_worst_severity(patient, more):
    before = kt.screen(patient)
    after = kt.screen({**patient, "conditions": [*patient["conditions"], more]})
    assert rank(after.worst) <= rank(before.worst)
    assert [f.rank for f in after.findings] == sorted(f.rank for f in after.findings)
    assert all(f.source in sources() and f.seen for f in after.findings)


@settings(max_examples=60, deadline=None)
@given(patients, st.sampled_from(["tranylcypromine", "morphine", "theophylline", "mometasone nasal spray"]))
def test_a_further_medicine_never_lowers_the_worst_severity(patient, more):
    after = kt.screen({**patient, "medications": [*patient.get("medications", []), more]})
    assert rank(after.worst) <= rank(kt.screen(patient).worst)


@given(st.lists(st.sampled_from(SEVERITIES), min_size=1), st.sampled_from(SEVERITIES))
def test_a_further_finding_never_lowers_the_worst_severity(some, more):
    made = [findings.Finding(s, "t", str(i), "p", "q", "s", "text") for i, s in enumerate([*some, more])]
    assert rank(worst(made)) <= rank(worst(made[:-1]))


def test_every_condition_is_spoken_of():
    for condition in CONDITIONS:
        assert kt.screen(conditions=[condition]).findings, condition


def test_the_plan_of_a_session():
    plan = {s.id: s for s in screening.session_plan("spravato")}
    assert plan["S097"].value == ">=2" and plan["S097"].unit == "h"
    assert plan["S030"].value == "40"
    assert any(s.phase == "leaving" and "driving" in s.text for s in plan.values())
    assert any("blood pressure before dosing" in s.text for s in plan.values())
    anaesthesia = screening.session_plan("ketalar")
    assert any(s.id == "S095" and s.value == "24" for s in anaesthesia)
    assert not any("esketamine" in s.product for s in anaesthesia)
    assert {s.phase for s in screening.guidance()} == set(VOCABULARY["guidance"])


# ---- rating scales


@pytest.mark.parametrize(
    ("name", "items", "total", "band"),
    [
        ("PHQ-9", [1, 1, 1, 1, 1, 0, 0, 0, 0], 5, "mild"),
        ("phq9", [3] * 9, 27, "severe"),
        ("GAD-7", [2, 2, 2, 2, 2, 0, 0], 10, "moderate"),
        ("MADRS", [6] * 10, 60, "severe"),
        ("HAM-D", [4, 4, 4, 2, 2, 2, 4, 4, 4, 4, 4, 2, 2, 2, 4, 2, 2], 52, "severe"),
        ("QIDS", [0, 3, 1, 0, 2, 1, 0, 0, 2, 1, 1, 1, 1, 1, 0, 2], 3 + 2 + 2 + 5 + 2, "moderate"),
        ("CADSS", [1] * 23, 23, None),
        ("MOAA/S", 3, 3, "responds to loud or repeated voice"),
        ("DSM-5 SUD", [1] * 4 + [0] * 7, 4, "moderate"),
        ("DSM-5 ketamine", [1] * 6 + [0] * 4, 6, "severe"),
        ("AUDIT", [2] * 10, 20, "possible dependence"),
        ("DAST-10", [0, 0, 1, 0, 0, 0, 0, 0, 0, 0], 0, "none"),
        ("DAST-10", [1, 1, 0, 1, 1, 1, 1, 1, 1, 1], 10, "severe"),
        ("C-SSRS", 4, 4, "active with some intent"),
    ],
)
def test_scores(name, items, total, band):
    got = kt.score(name, items)
    assert (got.total, got.band) == (total, band)
    assert got.source in sources() and got.seen in ("text", "recalled") and got.licence


def test_flags_response_and_remission():
    got = kt.score("PHQ-9", [0, 0, 0, 0, 0, 0, 0, 0, 1], baseline=20)
    assert any("self-harm" in f and "(recalled)" in f for f in got.flags)
    assert got.response and got.remission == {"default": True} and got.change_percent == -95
    madrs = kt.score("MADRS", total=11, baseline=21)
    assert madrs.remission == {"default": True, "strict": False, "hawley": False}
    assert madrs.response is False
    assert madrs.recalled == ("remission (strict)",)
    assert kt.score("MADRS", total=9).response is None
    assert kt.score("HAM-D", total=10).seen == "recalled"  # the bands of Zimmerman 2013 were not read
    assert "HAM-D17 by the published map: 13" in kt.score("QIDS", total=10).remarks[-1]
    assert kt.score("MOAA/S", 0).flags == (
        "sedation by the label (recalled)",
        "loss of consciousness by the label (recalled)",
    )


@pytest.mark.parametrize(
    ("name", "items"),
    [("PHQ-9", [1] * 8), ("PHQ-9", [4] + [0] * 8), ("PHQ-9", [0.5] * 9), ("PHQ-9", [-1] * 9), ("MOAA/S", 6)],
)
def test_a_score_out_of_range_is_refused(name, items):
    with pytest.raises(InputError):
        kt.score(name, items)


def test_scales_without_a_total_are_refused_and_unknown_ones_answered():
    with pytest.raises(NoData):
        kt.score("Bowdle VAS", [50] * 13)
    with pytest.raises(UnknownName, match="PHQ"):
        kt.score("PHQ-7", [0])
    with pytest.raises(InputError, match="either"):
        kt.score("PHQ-9")
    with pytest.raises(InputError, match="0 to 27"):
        kt.score("PHQ-9", total=28)


scored = sorted(k for k, i in instruments.instruments().items() if i.scored)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(scored), st.data())
def test_scores_stay_in_range_and_are_monotone(key, data):
    form = instruments.instruments()[key]
    items = [data.draw(st.integers(form.lowest, high)) for high in form.highest_of]
    before = kt.score(key, items)
    assert before.lowest <= before.total <= before.highest
    assert (before.band is None) == (not form.bands)
    n = data.draw(st.integers(0, form.items - 1))
    if items[n] < form.highest_of[n]:
        items[n] += 1
        after = kt.score(key, items)
        change = after.total - before.total
        assert change in ((-1,) if n + 1 in form.reverse else (0, 1) if form.groups else (1,))


# ---- misuse


def test_concentrations_against_published_ranges():
    assert not any(t.reached for t in misuse.thresholds(0.0))
    reached = {t.fact.id: t.relation for t in misuse.thresholds(2000.0)}
    assert reached["M076"] == "within"  # general anaesthesia, 0.5 to 5 mg/L
    assert reached["M072a"] == "above"  # a single value
    assert reached["M075"] == "below"
    assert misuse.gravest_kind(misuse.thresholds(2000.0)) == "caution"
    assert misuse.gravest_kind(misuse.thresholds(10.0)) is None
    for wrong in (-1, float("nan"), float("inf"), "high"):
        with pytest.raises(InputError):
            misuse.thresholds(wrong)


@given(st.floats(0, 1e5), st.floats(0, 1e5))
def test_a_higher_concentration_reaches_no_fewer_ranges(a, b):
    low, high = sorted((a, b))
    reached = {t.fact.id for t in misuse.thresholds(low) if t.reached}
    assert reached <= {t.fact.id for t in misuse.thresholds(high) if t.reached}


def test_topics_and_odds():
    for topic in misuse.topics():
        assert misuse.facts(topic), topic
    assert len(misuse.urinary_odds(0)) == 4
    assert {o.ratio for o in misuse.urinary_odds(0)} == {1.0}
    with pytest.raises(NoData, match="0 to 90"):
        misuse.urinary_odds(91)
    with pytest.raises(UnknownName, match="tolerance"):
        misuse.facts("tolerence")


# ---- law


def test_law():
    assert kt.law("United States")[0].schedule == "CSA Schedule III"
    assert {r.jurisdiction for r in kt.law("us")} == {"US", "US-OR"}
    assert {r.jurisdiction for r in kt.law("Oregon")} == {"US-OR"}
    assert {r.where for r in kt.law("UK")} == {"United Kingdom"}
    with pytest.raises(UnknownName, match="Germany"):
        kt.law("Germny")


# ---- check

CALM = {"model": "otto_2021_s_ketamine", "doses": "10 mg iv over 30 min"}


def test_check_brings_everything_together():
    found = kt.check(
        {
            **CALM,
            "doses": "140 mg iv over 1 min",
            "product": "ketamine anaesthesia",
            "conditions": ["psychosis"],
            "medications": ["tranylcypromine", "clarithromycin"],
            "visit": {"sbp": 150, "dbp": 80},
            "patient": {"age": 30, "weight": 70},
        }
    )
    topics = {f.topic for f in found.findings}
    assert {"psychosis", "interaction", "exposure", "concentration", "cardiovascular"} <= topics
    assert found.worst == "exclude" == found.findings[0].severity
    assert [f.rank for f in found.findings] == sorted(f.rank for f in found.findings)
    (peak,) = found.peaks
    assert peak.ng_ml > 1000 and peak.name == "S-ketamine" and "total ketamine" in peak.note
    assert "caution" in {f.severity for f in found.findings if f.topic == "concentration"}
    assert all(f.source in sources() and f.seen for f in found.findings)
    assert json.loads(json.dumps(found.to_dict()))["worst"] == "exclude"


def test_check_peak_is_that_of_the_simulation():
    peak = kt.check(CALM).peaks[0]
    r = kt.simulate(CALM["model"], CALM["doses"], times=[0.5])
    assert peak.ng_ml == pytest.approx(float(r["S-ketamine"].max()), rel=1e-3)


def test_check_adds_the_enantiomers():
    doses = "0.5 mg/kg racemate iv over 40 min"
    models = ["noppers_2011_s_ketamine", "derived_r_ketamine_noppers_distribution"]
    sides = [kt.check({"model": m, "doses": doses}).peaks[0] for m in models]
    (both,) = kt.check({"model": models, "doses": doses}).peaks
    assert both.name == "S-ketamine + R-ketamine" and not both.note
    assert both.ng_ml == pytest.approx(sum(p.ng_ml for p in sides), rel=0.01)


def test_check_says_when_a_perturbation_could_not_be_shown():
    found = kt.check({**CALM, "condition": "pregnancy"})
    assert found.worst == "exclude" and "the peak is that without pregnancy" in found.notes[0]
    moved = kt.check({**CALM, "with": ["rifampicin"]})
    assert moved.peaks[0].ng_ml < kt.check(CALM).peaks[0].ng_ml and not moved.notes


def test_check_screens_the_youngest_and_the_oldest():
    people = {"n": 10, "age": [16, 80]}
    found = kt.check({**CALM, "product": ESKETAMINE, "population": people})
    assert {"S021", "S022"} <= ids(found)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.sampled_from(CONDITIONS), max_size=2), st.sampled_from(CONDITIONS))
def test_check_with_more_is_never_milder(some, more):
    before = check.check({**CALM, "conditions": some})
    after = check.check({**CALM, "conditions": [*some, more]})
    assert rank(after.worst) <= rank(before.worst)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"conditions": ["anurysm"]}, "aneurysm"),
        ({"medications": ["clarithromicin"]}, "clarithromycin"),
        ({"visit": {"spb": 150}}, "sbp"),
        ({"visit": {"age": 5}}, "measured at the visit"),
        ({"visit": 150}, "visit"),
        ({"product": "nasel esketamine"}, "nasal esketamine"),
    ],
)
def test_check_guesses_nothing(more, said):
    with pytest.raises(InputError) as error:
        kt.check({**CALM, **more})
    assert said in str(error.value)


# ---- command line


def output(capsys, *words):
    assert run(list(words)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_screen_command(capsys, tmp_path):
    file = tmp_path / "patient.toml"
    file.write_text('product = "spravato"\nconditions = ["aneurysm"]\n', encoding="utf-8")
    got = json.loads(output(capsys, "screen", str(file), "--sbp", "150", "--format", "json"))
    assert got["worst"] == "exclude" and got["session_plan"]
    assert {"severity", "product", "population", "source", "seen"} <= set(got["findings"][0])
    text = output(
        capsys, "screen", "--liver", "B", "--product", "ketamine for pain", "--plan", "--guidance", "--cite"
    )
    assert "recalled" in text and "Plan of a session" in text and "Not a clearance" in text


def test_other_commands(capsys):
    got = json.loads(output(capsys, "scale", "PHQ-9", "3,3,3,3,3,3,3,3,3", "--format", "json"))
    assert got["total"] == 27 and got["band"] == "severe"
    assert "Ketamine Side Effect Tool" in output(capsys, "scale")
    assert "remission (default): yes" in output(capsys, "scale", "MADRS", "--total", "12", "--baseline", "30")
    assert "1999-08-12" in output(capsys, "law", "US")
    assert json.loads(output(capsys, "law", "JP", "--format", "json"))[0]["seen"] == "recalled"
    assert "United Kingdom" in output(capsys, "law")
    assert "withdrawal" in output(capsys, "misuse")
    got = json.loads(
        output(capsys, "misuse", "bladder", "--concentration", "800", "--days", "30", "--format", "json")
    )
    assert {"facts", "ranges", "urinary_odds"} <= set(got)


def test_check_command_gives_0_even_when_something_excludes(capsys):
    got = json.loads(output(capsys, "check", "examples/safety_check.toml", "--format", "json"))
    assert got["worst"] == "exclude" and got["peaks"][0]["peak_ng_ml"] > 0
    assert "gravest: exclude" in output(capsys, "check", "examples/safety_check.toml", "--cite")


@pytest.mark.parametrize(
    "words",
    [
        ["screen"],
        ["screen", "--condition", "anurysm"],
        ["screen", "--product", "x", "--format", "json"],
        ["screen", "--age", "30", "--format", "xml"],
        ["scale", "PHQ-99", "1"],
        ["scale", "PHQ-9", "1,2,x"],
        ["law", "Atlantis"],
        ["misuse", "tolerence"],
        ["misuse", "--concentration", "-4"],
        ["check", "nowhere.toml"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, capsys):
    code = run(words)
    if words == ["screen"]:
        return  # shows the help
    assert code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and "\n" not in error
