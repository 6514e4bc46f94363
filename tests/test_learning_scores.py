"""A patient's scores: weighed, followed on, forecast, refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import kinetamine as kt
from kinetamine.cli import app
from kinetamine.course.follow import Followed, follow
from kinetamine.course.kernel import simulate_arm
from kinetamine.course.model import load
from kinetamine.course.rules import parse_relapse, relapse_table
from kinetamine.errors import FaultyFile, InputError
from kinetamine.inference.scores import Seen, weigh

SERIES = "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"
SEEN = [
    "MADRS 34 on day 0",
    "MADRS 25 on day 7",
    "MADRS 19 on day 14",
    "MADRS 15 on day 21",
    "MADRS 13 on day 28",
]


@pytest.fixture(scope="module")
def post() -> kt.inference.CoursePosterior:
    return kt.posterior("hierarchical", SERIES, SEEN, setting="open label")


def test_weights_are_the_density_of_a_gaussian_process() -> None:
    own = {"omega_wander": np.array([0.3]), "tau_wander": np.array([20.0]), "residual": np.array([0.2])}
    day, score = np.array([0.0, 7.0, 10.0, 28.0]), np.array([30.0, 22.0, 25.0, 14.0])
    means = np.array([[0.1, -0.2, -0.6]])
    log, wander = weigh(own, means, Seen(day, score, 30.0), 60.0)
    t, s = day[1:], score[1:]
    # the wander begins at nothing, so its covariance is that of a started Ornstein-Uhlenbeck process
    gap = np.abs(t[:, None] - t)
    of_wander = 0.09 * (np.exp(-gap / 20) - np.exp(-(t[:, None] + t) / 20))
    noise = 0.04 + (60 / (s * (60 - s))) ** 2 / 12
    whole = of_wander + np.diag(noise)
    y = np.log(s / (60 - s))
    assert log[0] == pytest.approx(stats.multivariate_normal(means[0], whole).logpdf(y), abs=1e-9)
    gain = np.linalg.solve(whole, of_wander[:, -1])
    assert wander.mean[0] == pytest.approx(gain @ (y - means[0]), abs=1e-9)
    assert wander.variance[0] == pytest.approx(of_wander[-1, -1] - gain @ of_wander[:, -1], abs=1e-9)


def test_a_patient_is_judged_as_the_course_judges_him() -> None:
    values = load("hierarchical").values(relapse_hazard=0.0, dropout_hazard=0.0)
    hours, days = np.arange(8) * 84.0, np.arange(0, 85, 7.0)
    rule = relapse_table(parse_relapse("relapse when MADRS >= 22 at 2 visits in a row after response"), 24.5)
    arm = simulate_arm(values, hours, np.ones(8), 3000, 5, days, relapse=rule, keep_scores=True)
    scores = arm["scores"]
    seen = Followed(days, np.zeros_like(scores), scores, arm["baseline"], np.full(3000, np.inf))
    for now in (0.0, 84.0):  # his own or simulated ones, the judge is the same
        found = follow([values], np.zeros(3000, int), seen, rule, now, 0.5, 12.0)
        for k, name in enumerate(("response_d", "remission_d", "relapse_start_d", "relapse_d")):
            assert np.array_equal(found[:, k], arm[name], equal_nan=True), name
    assert np.isfinite(arm["relapse_d"]).sum() > 100


def test_without_a_later_score_the_forecast_is_that_of_the_group() -> None:
    alone = kt.posterior("hierarchical", SERIES, ["MADRS 32 on day 0"]).forecast(28)
    arm = kt.course(SERIES, 20_000, 0, weeks=4, baseline=(32.0, 0.0, 31.999, 32.001), uncertainty=1)
    group = arm.visits()
    for day in (7.0, 28.0):
        mine = alone.filter(alone["day"] == day).row(0, named=True)
        theirs = group.filter(group["day"] == day).row(0, named=True)
        for name, other in (("p05", "p05"), ("p95", "p95")):
            assert mine[name] == pytest.approx(theirs[other], abs=1.0)
        for name in ("response", "remission"):
            assert mine[name] == pytest.approx(theirs[name], abs=0.03)


def test_scores_narrow_the_forecast_and_a_booster_lowers_the_risk(post: kt.inference.CoursePosterior) -> None:
    alone = kt.posterior("hierarchical", SERIES, SEEN[:1], setting="open label")

    def width(found: kt.inference.CoursePosterior, day: float) -> float:
        row = found.forecast(56).filter(found.forecast(56)["day"] == day).row(0, named=True)
        return float(row["p95"] - row["p05"])

    assert width(post, 35.0) < 0.7 * width(alone, 35.0)
    risks = post.forecast(84)["relapse"].to_list()
    assert risks == sorted(risks)
    assert post.relapse(35.0) == pytest.approx(risks[0], abs=0.02)
    tried = post.boosters((7, 28), most=0.3)
    rows = {row["booster_day"]: row for row in tried.table.to_dicts()}
    assert rows[35.0]["score_at_end"] < rows[None]["score_at_end"]
    assert rows[35.0]["relapse_before"] < rows[56.0]["relapse_before"]
    assert tried.best == 35.0
    assert post.grade == "extrapolated"
    assert any("single patients" in text for text in post.remarks)


def test_what_does_not_fit_says_so_and_a_relapse_is_named() -> None:
    seen = ["MADRS 34 on day 0", "MADRS 3 on day 7", "MADRS 30 on day 14", "MADRS 31 on day 21"]
    found = kt.posterior("hierarchical", SERIES, seen)
    assert found.grade == "uncertain"
    assert found.relapsed() == 21.0
    assert np.isnan(found.relapse(28.0))
    assert found.to_dict()["relapsed_day"] == 21.0


def test_the_same_seed_gives_the_same_scores(post: kt.inference.CoursePosterior) -> None:
    again = kt.posterior("hierarchical", SERIES, SEEN, setting="open label")
    assert again.forecast().equals(post.forecast())


def test_every_fault_of_scores_comes_at_once() -> None:
    with pytest.raises(FaultyFile) as caught:
        kt.posterior(
            "hierarchical", SERIES, ["MADRS 34.5 on day 0", "S-ketamine 3 ng/mL at 1 h", "PHQ-9 12 on day 7"]
        )
    assert len(caught.value.faults) == 3
    with pytest.raises(FaultyFile, match="one score a day"):
        kt.posterior("hierarchical", SERIES, ["MADRS 34 on day 0", "MADRS 33 on day 0"])


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"residual": {"MADRS": "20 %"}}, "residual"),
        ({"method": "smc"}, "method"),
        ({"n": 500}, "n"),
        ({"patient": kt.Patient(weight=80)}, "weight"),
        ({"prior_weights": {"hierarchical": 2.0}}, "prior_weights"),
    ],
)
def test_nothing_that_a_course_cannot_use_is_taken(more: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        kt.posterior("hierarchical", SERIES, SEEN, **more)
    with pytest.raises(InputError, match="setting"):
        kt.posterior("otto_2021_s_ketamine", "10 mg iv", ["S-ketamine 40 ng/mL at 1 h"], setting="hospital")


def test_a_psychiatrist_asks_about_the_next_weeks(capsys: pytest.CaptureFixture[str]) -> None:
    line = [
        "posterior",
        "--model",
        "hierarchical",
        "--dose",
        SERIES,
        "--setting",
        "open label",
        "--booster",
        "7,28",
    ]
    for text in SEEN:
        line += ["--level", text]
    assert app.run(line) == 0
    said = capsys.readouterr().out
    assert "relapse until then" in said
    assert "one more session" in said
    assert app.run([*line, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "course"
    assert [row["booster_day"] for row in found["boosters"]["days"]] == [None, 35.0, 56.0]
    for words in (["--search", "1 to 2 mg iv"], ["--forecast", "same"]):
        assert app.run([*line, *words]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--model", "hierarchical", "--dose", SERIES, "--level", SEEN[0], "--level", SEEN[1], "--booster", "7"],
        ["--model", "otto_2021_s_ketamine", "--dose", "10 mg iv over 30 min", "--level", "S-ketamine 46 ng/mL at 1 h",
         "--search", "5 to 20 mg iv over 30 min", "--target", "S-ketamine Cmax 40 to 90 ng/mL"],
        ["--model", "perez_ruixo_2021_esketamine", "--dose", "10 to 1000 mg oral", "--level",
         "S-ketamine 46 ng/mL at 2 h"],
    ],
    ids=["scores", "levels", "dose"],
)  # fmt: skip
def test_the_report_is_one_file_that_says_how_far_to_trust_it(words: list[str], tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    path = tmp_path / "me.html"
    assert app.run(["posterior", *words, "--report", str(path), "--out", str(tmp_path / "me.json")]) == 0
    text = path.read_text(encoding="utf-8")
    for said in (
        "How far to trust it",
        "Sources",
        "<svg",
        "kinetamine posterior --model",
        "For research and teaching",
    ):
        assert said in text
    assert "<script" not in text
