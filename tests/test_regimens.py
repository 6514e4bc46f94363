"""The regimen library: every entry has a source, reads, runs or says why it cannot."""

import json
import tomllib
from importlib import resources

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.dosing.library import read
from kinetamine.errors import FaultyFile

REGIMENS = kt.regimens()


def test_the_uses_of_the_field_are_there():
    uses = {r.use for r in REGIMENS.values()}
    assert uses >= {
        "induction of anaesthesia",
        "maintenance of anaesthesia",
        "procedural sedation",
        "emergency pain",
        "acute pain",
        "chronic pain",
        "depression",
        "refractory status epilepticus",
    }
    words = resources.files("kinetamine").joinpath("data/regimens.toml").read_text("utf-8").lower()
    assert "recreation" not in words


@pytest.mark.parametrize("name", REGIMENS)
def test_it_runs_with_each_of_its_models_or_is_refused(name):
    record = REGIMENS[name]
    patient = kt.Patient(**{"weight": 70.0, **record.patient})
    end = min(record.regimen.end_h, 48.0)
    if not record.models:
        with pytest.raises(kt.InputError, match="no published model here has that route"):
            kt.simulate("clements_1981_250", record.regimen, patient)
    for model in record.models:
        found = kt.simulate(model, list(record.doses), patient, times=np.linspace(0, end + 0.5, 40))
        drug = next(iter(found.outputs))
        assert np.isfinite(found[drug]).all() and found[drug].max() > 1


def test_the_label_schedule_counts_its_sessions():
    hours = [d.time_h for d in REGIMENS["depression_nasal_label"].regimen.expanded()]
    assert len(hours) == 8 + 4 + 4
    assert [h / 24 for h in hours[:4]] == [0, 3, 7, 10]
    assert sum(h < 28 * 24 for h in hours) == 8
    assert (np.diff(hours[8:12]) == 168).all() and (np.diff(hours[12:]) == 336).all()


def test_antidepressant_peak_is_near_the_one_quoted():
    """Zanos 2018, Table 1: 185 ng/mL after 0.5 mg/kg over 40 min (Zarate 2006)."""
    record = REGIMENS["depression_iv_single"]
    peaks = [
        kt.simulate(m, list(record.doses), kt.Patient(weight=70), until=1)["ketamine"].max()
        for m in record.models
    ]
    assert min(peaks) < 220 and max(peaks) > 150


GOOD = """
[x]
use = "pain"
title = "t"
doses = ["10 mg racemic ketamine iv"]
population = "adults"
source = "zanos_2018"
place = "Table 1"
seen = "text"
models = ["clements_1981_250"]
"""


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("zanos_2018", "zanos_2081", ["x.source"]),
        ("clements_1981_250", "fanta_2015_s_oral_iv", ["x.models", "can run"]),
        ('["clements_1981_250"]', "[]", ["x.models", "`missing`"]),
        ("10 mg racemic", "10 racemic", ["x.doses"]),
        ('seen = "text"', 'seen = "heard"', ["x.seen", "heard"]),
        ('place = "Table 1"\n', "", ["x.place", "nothing"]),
        ('use = "pain"', 'use = "pain"\ncolour = "red"', ["x.colour"]),
    ],
)
def test_faults_are_found(old, new, words):
    assert list(read(GOOD)) == ["x"]
    with pytest.raises(FaultyFile) as caught:
        read(GOOD.replace(old, new))
    assert all(word in str(caught.value) for word in words)


def test_all_faults_come_at_once():
    with pytest.raises(FaultyFile) as caught:
        read(GOOD.replace("zanos_2018", "nobody").replace("10 mg racemic", "10 racemic"))
    assert len(caught.value.faults) == 2


def test_ids_are_words_and_titles_differ():
    text = resources.files("kinetamine").joinpath("data/regimens.toml").read_text("utf-8")
    assert all(key.isidentifier() for key in tomllib.loads(text))
    assert len({(r.title, r.use) for r in REGIMENS.values()}) == len(REGIMENS)


def test_command(capsys):
    assert run(["regimens"]) == 0
    shown = capsys.readouterr().out
    assert "depression_nasal_label" in shown and "(recalled)" in shown
    assert run(["regimens", "procedure_im_children"]) == 0
    shown = capsys.readouterr().out
    assert "10.1016/j.annemergmed" in shown and "--set weight=25" in shown and "not for treating" in shown
    assert run(["regimens", "--use", "depression", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r["use"] for r in rows} == {"depression"} and rows[0]["run"].startswith("kinetamine simulate")
    assert run(["regimens", "depresion_iv_single"]) == 2
    assert "depression_iv_single" in capsys.readouterr().err
    assert run(["regimens", "--use", "party"]) == 2
