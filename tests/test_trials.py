"""Published trials: the files, the predictions, the calibration and the validation of the course model."""

import csv
import importlib.util
import math
import shutil
import subprocess
import sys
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from kinetamine.course import model as course_model
from kinetamine.course.run import Plan
from kinetamine.errors import FaultyFile
from kinetamine.evidence import stored
from kinetamine.evidence.course import calibration, compare, page
from kinetamine.evidence.course import observations as trials
from kinetamine.evidence.course.predict import Predictor, _picked

ROOT = Path(__file__).parents[1]
DATA = Path(str(resources.files("kinetamine"))) / "data" / "trials"


@pytest.fixture(scope="module")
def data():
    return trials.load()


@pytest.fixture(scope="module")
def report():
    return compare.run(draws=6)


@pytest.fixture
def folder(tmp_path):
    for name in ("arms.csv", "designs.csv", "outcomes.csv"):
        shutil.copy(DATA / name, tmp_path)
    return tmp_path


def edit(path, row, **cells):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[row].update(cells)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


# ---- the files


def test_every_row_is_there_and_expressed_or_explained(data):
    for name, rows in (("arms.csv", data.arms), ("outcomes.csv", data.outcomes)):
        assert (
            len(rows) == sum(1 for _ in csv.DictReader((DATA / name).read_text("utf-8").splitlines())) > 100
        )
    for o in data.outcomes:
        assert (o.unusable is None) == (o.measure is not None)
    assert len(data.usable()) > 180


@pytest.mark.parametrize("word", ["alcohol", "PTSD", "suicidality"])
def test_other_uses_are_kept_as_evidence_only(data, word):
    kept = [o for o in data.outcomes if "kept as evidence" in str(o.unusable)]
    word = "substance" if word == "alcohol" else word
    assert any(word in o.unusable for o in kept)
    assert all(o.measure is None for o in kept)


def test_faults_come_all_at_once_with_place_and_cure(folder):
    edit(folder / "designs.csv", 1, setting="hospitl", days="0 3 3", session="28 mg S-ketamin nasal")
    edit(folder / "outcomes.csv", 8, source="daly_2081", treated="p1_placbo")
    with pytest.raises(FaultyFile) as error:
        trials.load(folder)
    text = str(error.value)
    for part in ("hospitl", "hospital", "days that ascend", "daly_2081", "daly_2018", "p1_placbo"):
        assert part in text
    assert len(error.value.faults) >= 4


def test_form_before_sense(folder):
    edit(folder / "outcomes.csv", 3, value="many", seen="somewhere")
    with pytest.raises(FaultyFile, match=r"outcomes\.csv line 5.*value") as error:
        trials.load(folder)
    assert len(error.value.faults) == 2


def test_published_intervals_by_their_kind(data):
    # as printed; Wilson (10 of 77: textbook formula); mean from SE; none without n
    assert data.outcome("murrough2013_single-ket-mean_score-1").published() == (11.73, 17.8)
    low, high = data.outcome("zheng2019-ket-response_pct-1").published()
    p, n, z = 10 / 77, 77, 1.959964
    centre, reach = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert [low, high] == pytest.approx(
        [100 * (centre + s * reach) / (1 + z * z / n) for s in (-1, 1)], abs=1e-3
    )
    assert data.outcome("daly2018_p2-p1_placebo-mean_change-8").published() == pytest.approx(
        (-4.9 - 1.96 * 1.74, -4.9 + 1.96 * 1.74)
    )
    assert data.outcome("meta_han2016-ket-response_pct-1").published() is None


def test_a_tenth_of_the_trials_is_left_out_with_all_of_a_family(data):
    out = data.left_out()
    assert len(out) == math.ceil(len(data.families()) / 10)
    roles = {data.design(o).family: data.role(o) for o in data.usable() if data.design(o).group == "trial"}
    assert {family for family, role in roles.items() if role == "left out"} == set(out)


# ---- predictions


@pytest.fixture(scope="module")
def predictor(data):
    return Predictor(data, course_model.load("one_state"), n=2000)


def test_no_drug_effect_means_no_difference(data, predictor):
    own = course_model.load("one_state").values(drug_effect=0)
    chosen = [o for o in data.usable() if o.measure in ("difference", "response_odds_ratio")]
    same = ("madrs_mean", "madrs_sd")
    chosen = [
        o
        for o in chosen
        if all(getattr(data.design(o), k) == getattr(data.design(o, control=True), k) for k in same)
    ]
    for o, p in zip(chosen, predictor.predict(chosen, own), strict=True):
        # an odds ratio of equal arms is 1, a difference 0: the same patients in both
        assert p.value == pytest.approx(1.0 if o.measure.endswith("ratio") else 0.0, abs=1e-9)


def test_settings_move_what_they_name(data, predictor):
    own = course_model.load("one_state").values()
    chosen = [
        data.outcome("aspire2-placebo-mean_change-1"),
        data.outcome("aspire2-esk_vs_placebo-mean_difference-1"),
    ]
    plain = predictor.predict(chosen, own)
    hoped = predictor.predict(chosen, own | {"hospital_placebo": 2 * own["hospital_placebo"]})
    weak = predictor.predict(chosen, own | {"beside_drug": 0.1 * own["beside_drug"]})
    assert hoped[0].value < plain[0].value
    assert weak[0].value == plain[0].value
    assert plain[1].value < weak[1].value < 0


def test_a_design_is_predicted_as_a_course_of_that_setting(data, predictor):
    # the same words mean the same in a trial and in kt.course
    o = data.outcome("zheng2019-ket-response_pct-12")
    design = data.design(o)
    assert design.setting == "open label"
    values = course_model.load("one_state").values(**design.switches)
    plan = Plan("0.5 mg/kg racemate iv over 40 min", 12 / 7, visits=[12], setting=design.setting)
    assert plan.values == values


def test_only_the_stable_are_picked():
    scores = np.array(
        [[30, 10, 9, 12], [10, 30, 12, 12], [30, 30, 8, 8], [8, 8, 13, 8], [8, 8, 8, 16], [40, 40, 16, 16]]
    )
    arm = {"scores": scores, "baseline": np.full(6, 32.0)}
    assert _picked("stable remission", arm, 3).tolist() == [True, True, False, False, False, False]
    assert _picked("stable response", arm, 3).tolist() == [False, False, True, True, True, True]


def test_conditional_response_agrees_with_the_joint_one(data, predictor):
    # P(late) = P(early and late) + P(not early) P(late | not early), from three separate outcomes
    own = course_model.load("one_state").values()
    o = [
        data.outcome(f"transform1_2_pooled-esk-response_pct{x}")
        for x in ("-1", "-28", "_given_day2_nonresponse-28")
    ]
    early, late, after = (p.value / 100 for p in predictor.predict(o, own))
    both = late - (1 - early) * after
    assert 0 <= both <= min(early, late)


# ---- calibration


def calibrate_script():
    spec = importlib.util.spec_from_file_location(
        "calibrate_course", ROOT / "validation" / "course" / "calibrate.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_calibration_runs_on_three_outcomes(data):
    script = calibrate_script()
    names = (
        "murrough2013_single-ket-mean_score-1",
        "zheng2019-ket-response_pct-12",
        "daly2018_p2-p1_placebo-mean_change-8",
    )
    chosen = [data.outcome(name) for name in names]
    problem = script.Problem(data, chosen, 300)
    fit = script.calibrate(data, chosen, patients=300, steps=3)
    again = script.calibrate(data, chosen, patients=300, steps=3)
    assert np.array_equal(fit.x, again.x)
    assert fit.cost <= problem.cost(problem.start)
    assert np.all(fit.low < fit.x) and np.all(fit.x < fit.high)
    assert np.linalg.eigvalsh(fit.covariance).min() > 0


def test_the_model_file_holds_the_calibration(data):
    found, model = calibration.load(), course_model.load("one_state")
    assert found.trials == data.digest, "designs or outcomes changed: run validation/course/calibrate.py"
    assert found.left_out == data.left_out()
    for name, p in found.parameters.items():
        assert p["low"] < p["value"] < p["high"]
        assert model.parameters[name].value == pytest.approx(p["value"], rel=1e-3)
    assert set(model.uncertainty.parameters) == set(found.parameters)
    unseen = {one.family for one in found.in_turn}
    assert unseen and unseen.isdisjoint(data.left_out()) and unseen <= set(data.families())


def test_draws_spread_as_the_covariance_says():
    found = calibration.load()
    z = np.log([one["theta_slow"] for one in found.draws(400, seed=1)])
    at = list(found.parameters).index("theta_slow")
    assert z.std() == pytest.approx(math.sqrt(found.covariance[at, at]), rel=0.15)


# ---- validation


def test_report_counts_every_row_once(data, report):
    assert len(report.comparisons) + len(report.unusable) == len(data.outcomes)
    assert {c.role for c in report.comparisons} == {"fit", "left out", "beyond", "pooled"}
    for c in report.comparisons:
        assert c.predicted_low <= c.predicted <= c.predicted_high
        assert (c.inside is None) == (c.low is None)


def test_the_target_of_the_calibration_is_met(report):
    found = dict(report.summary())
    assert found["fit"].n > 100
    assert found["fit"].held >= compare.TARGETS["fit"]
    everyone = found[compare.TENTHS]
    assert everyone.held >= compare.TARGETS["left out"]
    assert everyone.n == found["fit"].n + found["left out"].n and everyone.trials > 20
    assert everyone.low < everyone.held < everyone.high


def test_page_is_stable_and_honest(report):
    text = page(report)
    assert "not for a person" in text
    assert "(recalled)" in text and "not counted" in text and "**no**" in text
    for o in report.unusable:
        assert o.trial in text
    assert stored.frame(stored.text("course", report)).height == len(report.comparisons)


def test_the_page_in_docs_was_written_from_these_data_and_this_model(data):
    # stale? run: kinetamine validate course --out docs/validation_course.md
    text = (ROOT / "docs" / "validation_course.md").read_text("utf-8")
    assert f"trials {data.digest}, model mono_state {course_model.load('one_state').digest}" in text


def test_unknown_subject_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "kinetamine", "validate", "courses"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "course" in done.stderr and "Traceback" not in done.stderr


def test_rules_name_their_sources():
    from kinetamine.models import library

    rules = tomllib.loads((DATA / "rules.toml").read_text("utf-8"))
    assert rules.pop("format") == 1
    for rule in rules.values():
        assert rule["source"] in library.sources() and rule["seen"] in ("text", "recalled")
