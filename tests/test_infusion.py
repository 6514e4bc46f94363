"""Target-controlled infusion: what the plan promises, the simulator must find."""

import json
import math

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.infusion.system import system_of
from kinetamine.models.library import load_text

MODELS = [
    "otto_2021_s_ketamine",
    "noppers_2011_s_ketamine",
    "kamp_2020_meta_racemic",
    "domino_tci_set",
    "clements_1981_250",
    "herd_2007_children_ed",
    "perez_ruixo_2021_esketamine",
    "simons_2022_s_ketamine_otf",
]
V, CL = 200.0, 50.0
ONE = f"""
format = 1
id = "one"
kind = "pk"
status = "derived"
title = "one compartment"
drug = "racemate"
sampling = "venous"
source = "mine"
[parameters]
V = {{ value = {V}, unit = "L", place = "test", seen = "derived" }}
CL = {{ value = {CL}, unit = "L/h", place = "test", seen = "derived" }}
ke0 = {{ value = 6, unit = "1/h", place = "test", seen = "derived" }}
[compartments]
central = {{ analyte = "ketamine", volume = "V" }}
[effect_sites]
brain = {{ follows = "central / V", rate = "ke0" }}
[flows]
elimination = {{ from = "central", rate = "CL * central / V" }}
[entries]
iv = [{{ to = "central" }}]
[outputs]
"ketamine" = {{ value = "central / V", analyte = "ketamine", site = "venous plasma", unit = "ng/mL" }}
"brain" = {{ value = "brain", analyte = "ketamine", site = "effect site", unit = "ng/mL" }}
"""


@pytest.fixture(scope="module")
def one():
    return load_text(ONE, "one.toml")


def typical(model):
    return kt.Patient(weight=30) if "children" in model else kt.Patient(weight=70)


@pytest.mark.parametrize("model", MODELS)
def test_plasma_is_reached_and_held(model):
    plan = kt.infusion_for("150 ng/mL", model=model, duration="90 min", patient=typical(model), wake_at=60)
    times = np.linspace(plan.reached_h, plan.duration_h, 400)
    found = plan.predict(times=times)[plan.output][0]
    assert np.abs(found / 150 - 1).max() < 0.01
    assert plan.held[0] >= 0.999 * 150 and plan.held[1] <= 1.0001 * 150
    later = plan.predict(times=[plan.duration_h + plan.half_time_h, plan.duration_h + plan.wake_h])
    assert later[plan.output][0] == pytest.approx([75, 60], rel=1e-6)


@pytest.mark.parametrize("site", ["plasma", "effect site"])
@pytest.mark.parametrize("bolus", [True, False])
def test_halving_the_step_changes_next_to_nothing(site, bolus):
    def plan(step):
        return kt.infusion_for(
            200, model="kamp_2020_meta_racemic", duration=1, site=site, step=step, bolus=bolus,
            max_rate="300 mg/h", ke0=None if site == "plasma" else "0.3 1/min",
        )  # fmt: skip

    coarse, fine = plan("30 s"), plan("15 s")
    assert (coarse.bolus_mg, coarse.reached_h) == pytest.approx((fine.bolus_mg, fine.reached_h), rel=1e-9)
    assert coarse.held == pytest.approx(fine.held, rel=1e-3)
    assert coarse.total_mg == pytest.approx(fine.total_mg, rel=1e-3)
    assert coarse.half_time_h == pytest.approx(fine.half_time_h, rel=1e-3)


def test_hold_matches_the_closed_form_of_one_compartment(one):
    plan = kt.infusion_for(100, model=one, duration=2)
    assert plan.bolus_mg == pytest.approx(0.1 * V)
    assert plan.rate_mg_h == pytest.approx(np.full(720, 0.1 * CL))
    assert plan.half_time_h == pytest.approx(math.log(2) * V / CL)


def test_loading_at_full_rate_matches_the_closed_form(one):
    plan = kt.infusion_for(100, model=one, duration=3, bolus=False, max_rate=20)
    assert plan.bolus_mg == 0
    assert plan.reached_h == pytest.approx(-V / CL * math.log(1 - 0.1 * CL / 20))
    assert plan.rate_mg_h.max() <= 20 * (1 + 1e-12)


def test_effect_site_of_the_model_itself(one):
    plan = kt.infusion_for(100, model=one, duration=3, site="effect site")
    k, ke = CL / V, 6.0
    peak = math.log(ke / k) / (ke - k)
    assert plan.reached_h == pytest.approx(peak)
    assert plan.peak_plasma == pytest.approx(100 * math.exp(k * peak))  # plasma equals the site at its peak
    found = plan.predict(times=np.linspace(plan.reached_h, 3, 300))["brain"][0]
    assert np.abs(found / 100 - 1).max() < 0.01
    before = plan.predict(times=np.linspace(0, plan.reached_h, 50))["brain"][0]
    assert before.max() <= 100 * (1 + 1e-9), "no overshoot"


def test_effect_site_with_a_given_rate_agrees_with_a_numerical_integral():
    ke0 = 12.0
    plan = kt.infusion_for(
        150, model="noppers_2011_s_ketamine", duration=1, site="effect site", ke0=ke0, max_rate=400
    )
    times = np.linspace(0, 1, 7201)
    plasma = plan.predict(times=times)[plan.output][0]
    site = np.zeros_like(plasma)
    decay = math.exp(-ke0 * times[1])
    for k in range(1, len(times)):
        site[k] = site[k - 1] * decay + (1 - decay) * (plasma[k - 1] + plasma[k]) / 2
    held = site[times >= plan.reached_h + 1 / 60]
    assert np.abs(held / 150 - 1).max() < 0.01
    assert plan.concentrations([0.5, 1.0])[1] == pytest.approx(site[[3600, 7200]], rel=2e-3)
    assert plan.grade == "extrapolated" and "user's" in plan.reasons[0]


def test_limits_of_the_pump_are_kept():
    plan = kt.infusion_for(
        300, model="kamp_2020_meta_racemic", duration=2, max_bolus="4 mg", max_rate="3 mg/kg/h",
        patient=kt.Patient(weight=60),
    )  # fmt: skip
    assert plan.bolus_mg == pytest.approx(4)
    assert plan.rate_mg_h.max() <= 180 * (1 + 1e-12) and plan.rate_mg_h.min() >= 0
    assert plan.reached_h > 0 and not plan.remarks
    tight = kt.infusion_for(300, model="kamp_2020_meta_racemic", duration=2, max_rate=60)
    assert tight.rate_mg_h.max() <= 60 and tight.held[0] < 290
    assert "60 mg/h" in tight.remarks[0]


def test_total_and_regimen_agree():
    plan = kt.infusion_for(200, model="kamp_2020_meta_racemic", duration=1, bolus=False, max_rate=250)
    given = sum(d.amount for d in plan.regimen.expanded())
    assert given == pytest.approx(plan.total_mg)
    table = plan.table("7 min")
    assert (table["rate_mg_h"] * (table["end_h"] - table["start_h"])).sum() == pytest.approx(plan.total_mg)
    assert table["plasma (ng/mL)"].to_list()[-1] == pytest.approx(200)


def test_grade_knows_the_patient_and_the_site():
    asked = {"model": "otto_2021_s_ketamine", "duration": 1, "ke0": 20}
    assert kt.infusion_for(100, **asked).grade == "range not stated"
    child = kt.infusion_for(100, patient=kt.Patient(age=5, weight=18), **asked)
    assert child.grade == "extrapolated" and "age" in child.reasons[0]
    assert kt.infusion_for(100, site="effect site", **asked).grade == "extrapolated"


def test_people_fall_earlier_and_later_than_the_typical_patient():
    plan = kt.infusion_for(100, model="otto_2021_s_ketamine", duration=1, wake_at=50)
    falls = plan.falls(kt.Population(300, seed=1), 50)
    assert (falls < plan.wake_h).mean() == pytest.approx(0.5, abs=0.2)
    assert plan.falls(kt.Population(3, variability=False, weight=70), 50) == pytest.approx(
        np.full(3, plan.wake_h), rel=1e-3
    )


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.8])
def test_context_sensitive_half_time_of_one_compartment_does_not_depend_on_context(one, fraction):
    times = kt.context_sensitive_half_time(one, [0.1, "1 h", "3 d"], fraction)
    assert times == pytest.approx(np.full(3, -math.log(1 - fraction) * V / CL), rel=1e-9)


def test_context_sensitive_half_time_grows_to_that_of_the_steady_state():
    model = "kamp_2020_meta_racemic"
    times = kt.context_sensitive_half_time(model, [0.01, 0.1, 1, 10, 1000])
    assert (np.diff(times) > 0).all()
    system = system_of(model, kt.Patient())
    steady = np.linalg.solve(-system.matrix, system.entry)
    steady /= system.plasma @ steady
    assert times[-1] == pytest.approx(system.fall(steady, 0.5, system.plasma), rel=1e-6)
    plan = kt.infusion_for(1, model=model, duration=1)
    assert plan.half_time_h == pytest.approx(times[2], rel=1e-3)


@pytest.mark.parametrize(
    "options, word",
    [
        ({"target": "1500 ng/mL", "bolus": False, "max_rate": 20}, "it reaches 112"),
        ({"bolus": False}, "max_rate"),
        ({"max_bolus": 1}, "max_rate"),
        ({"site": "effect site"}, "follows plasma"),
        ({"site": "brain"}, "plasma"),
        ({"target": "-3 ng/mL"}, "more than 0"),
        ({"target": "100 mg"}, "ng/mL"),
        ({"duration": "0 h"}, "more than 0"),
        ({"step": "1 ms"}, "a longer step"),
        ({"output": "nor"}, "output"),
        ({"model": "flint_2017_s_ketamine_picu"}, "not linear"),
        ({"model": "jonkman_2017_inhaled_s"}, "incomplete"),
        ({"site": "effect site", "ke0": "0.001 1/h", "duration": "10 min"}, "to reach the target"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(options, word):
    asked = {"target": 200, "model": "kamp_2020_meta_racemic", "duration": "1 h", **options}
    with pytest.raises(kt.InputError, match=word) as caught:
        kt.infusion_for(asked.pop("target"), **asked)
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


def test_command(capsys):
    asked = ["infusion", "--model", "otto_2021_s_ketamine", "--target", "100 ng/mL", "--for", "1 h"]
    assert (
        run([*asked, "--wake-at", "50", "--patients", "100", "--set", "weight=80", "--half-times", "1 h"])
        == 0
    )
    shown = capsys.readouterr().out
    for words in (
        "bolus 15.2 mg",
        "90 % between",
        "context-sensitive",
        "grade: range not stated",
        "not for treating",
    ):
        assert words in shown
    assert run([*asked, "--format", "json", "--every", "10 min"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["bolus_mg"] == pytest.approx(13.3) and len(facts["rates"]) == 6
    assert run([*asked, "--site", "effect site"]) == 2
    assert run([*asked, "--model", "kamp_2020_meta_racemic", "--patients", "10"]) == 2
