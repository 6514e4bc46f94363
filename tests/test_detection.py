"""The detection desk: windows follow the physics, what was only observed is never computed, nothing is guessed."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.records import read_csv
from kinetamine.safety import detection

PAGE = Path(__file__).parents[1] / "docs" / "detection.md"
MANY = kt.Population(200, seed=3)


def window(doses: str, q: float = 0.5, **options) -> float:
    return kt.detect(doses, population=MANY, **options).detections[0].window_h[q]


def test_every_row_has_its_source():
    facts = detection.load().facts
    assert all(f.source and f.seen for f in facts)
    assert {f.seen for f in facts} == {"text", "recalled"}


def test_predicted_windows_hold_the_observed_ones_and_the_page_says_so():
    rows = dict(re.findall(r"^\| (D\d+) .*\| (.+?) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    compared = [c for c in detection.compare() if c.predicted_h]
    assert {c.fact.id for c in compared} == set(rows)
    for c in compared:
        low, middle, high = c.predicted_h
        observed = float(c.fact.window.split()[0])
        assert low <= observed <= high
        assert middle == pytest.approx(observed, rel=0.25)
        printed = [float(x) for x in re.findall(r"\d+", rows[c.fact.id])]
        assert printed == pytest.approx([middle, low, high], abs=1.5), "docs/detection.md is stale"


def test_every_observed_window_is_compared_or_says_why_not():
    rows = detection.compare(MANY)
    assert len(rows) == sum(f.kind == "detection_window" for f in detection.load().facts)
    assert all(bool(c.predicted_h) != bool(c.why_not) for c in rows)


def test_what_leaves_in_urine_is_the_share_of_the_dose():
    """Rate = flow x concentration; over all time it adds up to the share given in the data."""
    desk = detection.load()
    regimen = kt.Regimen.parse("10 mg iv over 30 min")
    curves = detection._Curves(desk, "urine", regimen, None, kt.Patient())
    excreted = trapezoid(curves("ketamine")[0] * curves._flow[0], curves.times) / 1000  # ug/L L/h h = ug
    share = desk.share["ketamine"]
    assert excreted / 10 == pytest.approx((share.low * share.high) ** 0.5, rel=0.02)


def test_the_spread_has_the_range_of_the_data():
    spread = detection.load().urine_flow
    low, high = np.quantile(spread.draw(np.random.default_rng(1).normal(size=100_000)), [0.05, 0.95])
    assert (low, high) == (pytest.approx(spread.low, rel=0.02), pytest.approx(spread.high, rel=0.02))


@settings(max_examples=12, deadline=None)
@given(st.floats(0.1, 500), st.floats(1.05, 20), st.floats(10, 200))
def test_a_lower_cut_off_or_a_larger_dose_never_shortens_a_window(cutoff, factor, mg):
    one = window(f"{mg} mg nasal", cutoff=cutoff, analyte="ketamine")
    assert window(f"{mg} mg nasal", cutoff=cutoff / factor, analyte="ketamine") >= one - 1e-9
    assert window(f"{mg * factor} mg oral", cutoff=cutoff) >= window(f"{mg} mg oral", cutoff=cutoff) - 1e-9


def test_probabilities_are_probabilities_and_fall_in_the_end():
    for d in kt.detect("84 mg nasal", population=MANY).detections:
        assert ((d.probability >= 0) & (d.probability <= 1)).all()
        assert d.probability[-1] == 0
        assert d.window_h[0.05] <= d.window_h[0.5] <= d.window_h[0.95]
        assert d.grade == "extrapolated"
        assert d.at(1e4) == 0


def test_repeated_doses_are_counted_from_the_last_and_last_a_little_longer():
    once = window("84 mg nasal", assay="lc_ms_ms")
    often = window("84 mg nasal daily for 14 days", assay="lc_ms_ms")
    assert once < often < 1.3 * once


def test_plasma_is_the_model_itself():
    found = kt.detect(
        "84 mg nasal", matrix="serum", cutoff="20 ng/mL", analyte="ketamine", population=kt.Patient()
    )
    typical = kt.simulate("perez_ruixo_2021_esketamine", "84 mg nasal", times=np.arange(0, 24, 0.01))[
        "S-ketamine"
    ][0]
    last = np.arange(0, 24, 0.01)[np.nonzero(typical >= 20)[0][-1]]
    assert found.detections[0].window_h[0.5] == pytest.approx(last, abs=0.02)
    assert found.detections[0].grade == "range not stated"  # of the times


def test_a_dilute_sample_is_positive_for_a_shorter_time():
    """Half the creatinine is twice the flow, so half the drug."""
    usual, dilute = (
        kt.detect("84 mg nasal", assay="lc_ms_ms", creatinine=f"{mg} mg/dL", population=MANY).detections[0]
        for mg in (100, 10)
    )
    assert dilute.window_h[0.5] < usual.window_h[0.5]
    assert any("dilute" in r for r in dilute.reasons)
    assert not any("dilute" in r for r in usual.reasons)
    half = window("84 mg nasal", cutoff=2.0, creatinine=50)
    assert window("84 mg nasal", cutoff=1.0, creatinine="25 mg/dL") == pytest.approx(half)
    with pytest.raises(NoData, match="sex and weight"):
        kt.detect("84 mg nasal", creatinine=100, population=kt.Patient())
    with pytest.raises(InputError, match="urine"):
        kt.detect("84 mg nasal", matrix="plasma", creatinine=100)


def test_a_racemate_says_that_it_is_carried_by_another_model():
    d = kt.detect("35 mg racemate iv over 40 min", matrix="plasma", population=MANY).detections[0]
    assert d.grade == "extrapolated"
    assert "as if all were S-ketamine" in d.reasons[0]


def test_an_immunoassay_reads_the_sum_and_owns_up_to_what_it_does_not_know():
    both = kt.detect("84 mg nasal", assay="neogen_elisa", population=MANY).detections[0]
    alone = window("84 mg nasal", cutoff=both.cut_off, analyte="ketamine")
    assert both.window_h[0.5] > alone
    assert any("dehydronorketamine was not seen" in r for r in both.reasons)


@pytest.mark.parametrize("panel", ["five_panel", "ten_panel", "hhs_panel", "dfsa_panel"])
def test_a_routine_panel_is_not_tested_for(panel):
    found = kt.detect("84 mg nasal", assay=panel)
    assert found.answer.startswith("not tested for")
    assert "seen: " in found.answer
    assert not found.detections


@pytest.mark.parametrize("matrix", ["hair", "oral fluid", "saliva", "blood"])
def test_what_was_only_observed_is_never_computed(matrix):
    found = kt.detect("84 mg nasal", matrix=matrix, cutoff="1 ng/mL")
    assert not found.detections
    assert found.answer.startswith("not computed")
    assert found.observed
    assert all(f.source for f in found.observed)


def test_dehydronorketamine_has_no_number_but_its_observed_windows():
    found = kt.detect("84 mg nasal", analyte="dehydronorketamine", cutoff="1 ng/mL", population=MANY)
    assert [d.grade for d in found.detections] == ["no data"]
    assert found.detections[0].probability is None
    assert np.isnan(found.detections[0].at(24))
    assert {"D032", "D037", "D040"} <= {f.id for f in found.observed}
    assert json.loads(found.to_json())["detections"][0]["probability"] is None


@pytest.mark.parametrize(
    ("options", "error", "near"),
    [
        ({"matrix": "urin"}, UnknownName, "urine"),
        ({"assay": "lcmsms"}, UnknownName, "lc_ms_ms"),
        ({"analyte": "norketamin"}, UnknownName, "norketamine"),
        ({"matrix": "plasma", "assay": "lzi_eia"}, UnknownName, "gc_ms_plasma"),
        ({"cutoff": "0 ng/mL"}, InputError, "50 ng/mL"),
        ({"cutoff": "5 mg"}, InputError, "ng/mL"),
        ({"assay": "lzi_eia", "analyte": "ketamine"}, NoData, "norketamine"),
        ({"assay": "t_cup", "analyte": "norketamine"}, None, ""),
    ],
)
def test_unknown_names_offer_the_nearest(options, error, near):
    if error is None:
        assert "optional strip" in kt.detect("84 mg nasal", **options).answer
        return
    with pytest.raises(error, match=near):
        kt.detect("84 mg nasal", population=MANY, **options)


def test_a_route_no_model_knows_is_refused():
    with pytest.raises(NoData, match="the route im"):
        kt.detect("50 mg im")


def test_the_same_seed_gives_the_same_answer():
    first, second = (kt.detect("84 mg nasal", population=kt.Population(50, seed=7)).to_json() for _ in "ab")
    assert first == second


def test_the_command_line(capsys):
    assert run(["detect", "--dose", "84 mg nasal", "--patients", "50"]) == 0
    assert "observed, not computed" in capsys.readouterr().out
    assert run(["detect", "--dose", "84 mg nasal", "--patients", "50", "--format", "json", "--cite"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["detections"][0]["cut_off"] == {"value": 1.9, "unit": "ng/mL"}
    assert "Perez-Ruixo" in err
    assert run(["detect", "--dose", "84 mg nasal", "--assay", "five_panell"]) == 2
    assert "five_panel" in capsys.readouterr().err
    assert run(["detect"]) in (0, 2)


def test_faults_of_the_data_are_told_all_at_once():
    text = (resources.files("kinetamine") / "data/safety/detection.csv").read_text("utf-8")
    text = text.replace("harun_anderson_miller_2009_j_anal_toxicol", "nobody_1900", 1)
    with pytest.raises(FaultyFile) as caught:
        read_csv("detection.csv", detection.Fact, text=text.replace("\nD002,", "\nD001,"))
    assert len(caught.value.faults) == 2
    desk = detection.load()
    turned = desk.urine_flow.model_copy(update={"low": 9.0})
    broken = desk.model_copy(update={"urine_flow": turned, "immunoassays": ("crystal_ball",)})
    told = " ".join(map(str, detection.nonsense(broken)))
    assert "ascending" in told
    assert "crystal_ball" in told
