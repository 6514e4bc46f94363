"""What a hospital asks first: other drugs, near names, doses far beyond, one row for each hazard."""

import json

import pytest

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.errors import NoData, UnknownName
from kinetamine.safety import doses, pd_interactions, screening
from kinetamine.safety.findings import SEVERITIES

#: asked of every hospital's pharmacy; each is known with a source or refused as "no data"
# fmt: off
ASKED = (
    "propofol", "dexmedetomidine", "esmolol", "labetalol", "carbamazepine", "phenytoin", "cannabis",
    "cocaine", "MDMA", "GHB", "ritonavir", "efavirenz", "porphyria", "lithium",
    "valproate", "midazolam", "remifentanil", "sevoflurane", "clonidine", "alcohol", "paracetamol",
)
# fmt: on


@pytest.mark.parametrize("name", ASKED)
def test_what_a_hospital_asks_is_known_with_a_source_or_no_data(name):
    try:
        found = kt.interactions(name)
    except NoData as error:
        assert "no data" in str(error) and 'not "no effect"' in str(error)
        return
    assert found and all(f.source and f.seen for f in found)


@pytest.mark.parametrize("name", ["phenytoin", "MDMA", "propofol", "esmolol", "cocaine", "labetalol"])
def test_no_wrong_name_is_offered_for_a_curve(name):
    with pytest.raises(NoData) as error:
        kt.perturb("otto_2021_s_ketamine", with_=name, route="iv")
    for wrong in ("heroin", "male", "bupropion"):
        assert wrong not in str(error.value)


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("phenitoin", "phenytoin"),
        ("propofl", "propofol"),
        ("clarithromicin", "clarithromycin"),
        ("esmalol", "esmolol"),
    ],
)
def test_a_misspelt_drug_is_offered_by_sound(word, near):
    with pytest.raises(UnknownName, match=near):
        kt.interactions(word)


@pytest.mark.parametrize("word", ["heroine cut", "xyzzy", "zolmitriptan", "propane"])
def test_a_word_that_sounds_like_nothing_gets_no_drug(word):
    with pytest.raises(UnknownName) as error:
        kt.interactions(word)
    assert "kinetamine interactions, for the list" in str(error.value)


def test_a_class_is_an_inference_and_says_so():
    (found,) = kt.interactions("phenytoin")
    assert found.via == "CYP3A inducer" and found.evidence == "label"
    with pytest.raises(NoData):  # and nothing is computed from it
        kt.perturb("otto_2021_s_ketamine", with_="phenytoin", route="iv")


def test_a_medicine_without_data_is_told_wherever_it_is_named():
    found = screening.screen(medications=["levetiracetam", "phenelzine"])
    (said,) = found.without_data
    assert "levetiracetam" in said and found.to_dict()["no_data"] == [said]
    asked = {"model": "otto_2021_s_ketamine", "doses": "10 mg iv over 30 min", "medications": ["cannabis"]}
    assert any("cannabis" in note for note in kt.check(asked).notes)


def test_every_word_of_the_groups_has_one_meaning():
    words = pd_interactions.groups()
    for name, others in words.also.items():
        assert {pd_interactions.resolved(w) for w in others} <= {name, None} | {name}


# ---- the gravest finding there is


def test_35_g_is_the_gravest_finding_there_is():
    found = kt.check({"model": "kamp_2020_meta_racemic", "doses": "35 g iv", "conditions": ["aneurysm"]})
    first = found.findings[0]
    assert first.severity == found.worst == SEVERITIES[0]
    assert first.topic == "dose" and "far beyond anything given to people" in first.text
    hazard = found.hazards[0]
    assert hazard.findings[0] == first
    assert any("far beyond anything measured in people" in f.text for f in hazard.findings)


@pytest.mark.parametrize(
    ("phrase", "severity"),
    [
        ("2 mg/kg iv over 1 min", None),
        ("4.5 mg/kg iv over 1 min", None),
        ("10 mg/kg iv over 1 min", "caution"),
        ("35 mg/kg iv over 1 min", "exclude"),
        ("13 mg/kg im", None),
        ("100 mg/kg im", "exclude"),
        ("84 mg nasal", None),
        ("56000 mg nasal", "exclude"),
        ("500 mg iv over 24 h", None),
    ],
)
def test_a_dose_is_judged_by_the_largest_written_down(phrase, severity):
    found = list(doses.findings(kt.Regimen.parse(phrase).doses, 70))
    assert [f.severity for f in found] == ([severity] if severity else [])


def test_a_weight_that_was_not_told_is_said():
    (found,) = doses.findings(kt.Regimen.parse("35 g iv").doses, None)
    assert "70 kg taken" in found.text


# ---- one row for each hazard


def test_one_row_for_each_hazard_with_all_its_sources():
    found = screening.screen(
        conditions=["aneurysm", "psychosis"], medications=["phenelzine"], sbp=150, age=30
    )
    names = [h.name for h in found.hazards]
    assert len(names) == len(set(names))
    assert {"aneurysm", "psychosis", "phenelzine", "blood pressure"} <= set(names)
    by_name = {h.name: h for h in found.hazards}
    assert len(by_name["aneurysm"].sources) >= 3
    assert sorted(f for h in found.hazards for f in map(repr, h.findings)) == sorted(
        map(repr, found.findings)
    )
    ranks = [SEVERITIES.index(h.severity) for h in found.hazards]
    assert ranks == sorted(ranks)
    assert by_name["phenelzine"].severity == "adjust" == by_name["blood pressure"].severity


def test_the_desk_shows_one_row_for_each_hazard(capsys):
    assert (
        run(["screen", "--condition", "aneurysm", "--medication", "esmolol", "--product", "esketamine nasal"])
        == 0
    )
    shown = capsys.readouterr().out
    assert shown.startswith("1 hazards, the gravest: exclude")
    assert "kinetamine interactions 'esmolol'" in shown
    assert run(["screen", "--condition", "aneurysm", "--format", "json"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert [h["hazard"] for h in got["hazards"]] == ["aneurysm"]
