"""Observed acute effects: no row lost, the page fresh, and agreement where labels and guidelines speak."""

import csv
import runpy
from importlib import resources
from pathlib import Path

import pytest

from kinetamine.cli.app import run as command
from kinetamine.errors import FaultyFile, UnknownName
from kinetamine.evidence.effects import compare, page
from kinetamine.evidence.effects import observations as acute
from kinetamine.evidence.effects.compare import Comparison
from kinetamine.evidence.effects.observations import Observation
from kinetamine.records.reading import _judged

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "validation_effects.md"
CURE = "stale: kinetamine validate effects --out docs/validation_effects.md"


@pytest.fixture(scope="module")
def observations():
    return acute.load()


@pytest.fixture(scope="module")
def label(observations):
    """Label rows of anaesthesia, by vein and into a muscle."""
    return compare.run(observations=[o for o in observations if o.study == "Ketalar US label"])


def one(**changes):
    given = {
        "id": "x",
        "section": "anaesthesia",
        "study": "x",
        "drug": "racemic ketamine",
        "route": "IV",
        "effect": "x",
        "metric": "duration_min",
        "value": 10,
        "unit": "min",
        "source": "herd_2008",
        "place": "x",
        "seen": "text",
        "measure": "duration",
        "predict": "herd_2008_adult_thresholds: anaesthesia",
        "doses": "2 mg/kg iv",
    }
    return Observation(**{**given, **changes})


def test_no_row_is_lost(observations):
    rows = resources.files("kinetamine").joinpath("data/observations/acute_effects.csv").read_text("utf-8")
    assert len(observations) == sum(1 for _ in csv.DictReader(rows.splitlines())) > 100
    text = PAGE.read_text("utf-8")
    missing = [o.id for o in observations if o.study not in text or f"| {o.effect} |" not in text]
    assert missing == []
    assert f"Of {len(observations)} published observations" in text


def test_page_is_fresh():
    assert compare.fingerprint() in PAGE.read_text("utf-8"), CURE


def test_page_shows_what_is_computed(label):
    text = PAGE.read_text("utf-8")
    lines = page(label).splitlines()
    rows = [line for line in lines if line.startswith("| ") and "Ketalar US" in line]
    assert len(rows) == 6
    assert [row for row in rows if row not in text] == [], CURE


def test_rows_used_in_fits_are_those_of_the_script(observations):
    made = runpy.run_path(str(ROOT / "validation" / "effects" / "fit.py"))["inputs"]()
    fitted = {o.predict[0][0] for o in observations if o.used_in_fit == "fit"}
    by_script = {r["model"] for kind in ("share", "time", "change") for r in made[kind]}
    # the others say in their file what they were made from
    assert by_script <= fitted
    assert fitted - by_script == {
        "fitted_emergence_children", "fitted_emergence_adults", "bourke_1987_ventilation", "herd_2008_adult_thresholds",
    }  # fmt: skip
    shares = {(o.predict[0][0], o.doses, o.value / 100) for o in observations if o.measure == "share"}
    for row in made["share"]:
        assert (row["model"], (row["dose"],), row["share"]) in shares


def test_anaesthesia_agrees_with_the_label_by_vein(label):
    seen = {(c.row.measure, c.effect): c for c in label.predicted if c.row.route == "IV"}
    # at most half a minute is printed; mixing and the delay to the brain give 0.4 to 0.95
    assert not seen["onset", "anaesthesia"].agrees and seen["onset", "anaesthesia"].band[1] < 0.75
    assert seen["duration", "anaesthesia"].agrees
    assert {o.section for o, _ in label.unpredicted()} == {"emergence reactions"}


def test_error_and_agreement():
    twice = Comparison(one(), "m", "e", (4.0, 5.0, 6.0))
    assert (twice.error, twice.agrees) == (2.0, False)
    assert Comparison(one(low=4, high=12), "m", "e", (5.0, 5.0, 5.0)).agrees
    assert Comparison(one(), "m", "e", (9.0, 9.0, 9.0)).agrees  # no width: within 1.25-fold
    assert Comparison(one(bound="at most"), "m", "e", (1.0, 2.0, 3.0)).agrees
    assert not Comparison(one(bound="at least"), "m", "e", (1.0, 2.0, 3.0)).agrees
    share = Comparison(one(measure="share", unit="%", value=40), "m", "e", (45.0, 50.0, 55.0))
    assert (share.error, share.agrees) == (10.0, False)


def test_a_module_that_cannot_answer_is_told(observations):
    row = next(o for o in observations if o.study == "Gutstein")
    found = compare.run(observations=[row])
    assert found.predicted == []
    ((_, why),) = found.unpredicted()
    assert "by oral in children" in why


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"source": "nowhere_1900"}, "sources.toml"),
        ({"predict": "nothing: anaesthesia"}, "library"),
        ({"predict": "herd_2008_adult_thresholds: joy"}, "effect or output"),
        ({"unusable": "both"}, "why nothing does"),
    ],
)
def test_faults_are_told_before_anything_runs(changes, told, monkeypatch):
    monkeypatch.setattr(
        acute, "read_csv", lambda name, kind, sense: _judged(name, (one(**changes),), [], sense, None)
    )
    with pytest.raises(FaultyFile, match=told):
        acute.load.__wrapped__()


def test_an_unknown_word_is_refused_with_the_nearest(capsys):
    assert command(["validate", "effect"]) == UnknownName.exit_code
    assert "effects" in capsys.readouterr().err
