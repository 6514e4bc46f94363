"""Stories of people who simulate: what goes in, what comes out, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.models.library import load_text

OTTO, S, R = "otto_2021_s_ketamine", "noppers_2011_s_ketamine", "derived_r_ketamine_noppers_distribution"
T = np.linspace(0, 12, 25)


def test_a_racemic_dose_gives_each_enantiomer_its_half():
    both = kt.simulate([S, R], "50 mg racemate iv over 40 min", times=T)
    assert list(both) == ["S-ketamine", "R-ketamine"]
    alone = kt.simulate(S, "25 mg S-ketamine iv over 40 min", times=T)
    assert both["S-ketamine"] == pytest.approx(alone["S-ketamine"], rel=1e-12)
    # R is cleared more slowly
    assert (both["R-ketamine"][0, 5:] > both["S-ketamine"][0, 5:]).all()
    assert {m["id"] for m in both.birth["models"]} == {S, R}


def test_a_dose_of_one_enantiomer_leaves_the_others_model_out():
    r = kt.simulate([S, R], "25 mg S-ketamine iv", times=T)
    assert (r["R-ketamine"] == 0).all()
    with pytest.raises(kt.InputError, match="R-ketamine"):
        kt.simulate(S, "25 mg R-ketamine iv", times=T)
    with pytest.raises(kt.InputError, match="tell the enantiomers apart"):
        kt.simulate("kamp_2020_meta_racemic", "25 mg S-ketamine iv", times=T)


def test_models_side_by_side_keep_their_names_apart():
    r = kt.simulate([OTTO, S], "10 mg iv over 30 min", times=T)
    assert set(r) == {f"{OTTO}: S-ketamine", "S-norketamine", f"{S}: S-ketamine"}
    assert r.output(f"{OTTO}: S-ketamine").site == "venous plasma"
    assert r.output(f"{S}: S-ketamine").site == "arterial plasma"


def test_hydrochloride_counts_as_its_base():
    salt = kt.simulate(OTTO, "10 mg HCl iv", times=T)["S-ketamine"]
    base = kt.simulate(OTTO, "8.67 mg iv", times=T)["S-ketamine"]
    assert salt == pytest.approx(base, rel=1e-12)


def test_doses_per_kg_use_the_patients_weight():
    a = kt.simulate(OTTO, "0.5 mg/kg iv over 40 min", kt.Patient(weight=80), times=T)
    b = kt.simulate(OTTO, "40 mg iv over 40 min", kt.Patient(weight=80), times=T)
    assert np.array_equal(a["S-ketamine"], b["S-ketamine"])
    # also where the model itself has no weight
    c = kt.simulate("perez_ruixo_2021_esketamine", "0.5 mg/kg iv over 40 min", kt.Patient(weight=80), times=T)
    d = kt.simulate("perez_ruixo_2021_esketamine", "40 mg iv over 40 min", times=T)
    assert np.array_equal(c["S-ketamine"], d["S-ketamine"])
    with pytest.raises(kt.InputError, match="weight"):
        kt.simulate("perez_ruixo_2021_esketamine", "0.5 mg/kg iv over 40 min", times=T)


def test_sprays_change_a_nasal_dose():
    three = kt.simulate("perez_ruixo_2021_esketamine", "84 mg nasal", times=T)["S-ketamine"]
    told = kt.simulate("perez_ruixo_2021_esketamine", "84 mg nasal as 3 sprays", times=T)["S-ketamine"]
    one = kt.simulate("perez_ruixo_2021_esketamine", "84 mg nasal as 1 spray", times=T)["S-ketamine"]
    assert np.array_equal(three, told)
    assert one.max() > 1.1 * three.max()


def test_between_occasion_variability_changes_from_day_to_day():
    who = kt.Population(40, seed=1)
    times = np.concatenate([np.linspace(0, 6, 13), 24 + np.linspace(0, 6, 13), [24.01]])
    r = kt.simulate("simons_2022_s_ketamine_otf", "50 mg oral film daily x 2", who, times=np.sort(times))
    c, t = r["S-ketamine"], r.time_h
    first, second = c[:, (t > 0) & (t < 7)].max(axis=1), c[:, t > 24].max(axis=1)
    assert np.std(np.log(second / first)) > 0.1
    # one long occasion: the same absorption twice
    same = kt.simulate(
        "simons_2022_s_ketamine_otf", "50 mg oral film daily x 2", who, times=np.sort(times), occasion_h=48
    )["S-ketamine"]
    peak = same[:, (t > 0) & (t < 7)].max(axis=1)
    assert np.std(np.log(same[:, t > 24].max(axis=1) / peak)) < 0.05
    # the typical patient has none
    typical = kt.simulate("simons_2022_s_ketamine_otf", "50 mg oral film daily x 2", times=np.sort(times))
    assert typical["S-ketamine"].shape == (1, len(times))


def test_switches_of_uncertainty_are_apart():
    doses, times = "10 mg iv over 30 min", [0.5, 2.0]

    def spread(**switches):
        who = kt.Population(400, seed=4, weight=70, age=25, **switches)
        return np.log(kt.simulate(OTTO, doses, who, times=times)["S-norketamine"]).std(axis=0)

    nothing = spread(variability=False)
    assert nothing == pytest.approx(0, abs=1e-12)
    for switch in ("uncertainty", "residual"):
        assert (spread(variability=False, **{switch: True}) > 0.01).all()
    assert (spread() > 0.05).all()


def test_children_get_their_own_sizes():
    r = kt.simulate(
        "herd_2007_children_ed", "1 mg/kg iv", kt.Population(500, seed=1, age=(2, 10)), times=[0.2]
    )
    assert 9 < np.median(r.patients["weight"]) < 35
    with pytest.raises(kt.InputError, match="child's weight"):
        kt.simulate("herd_2007_children_ed", "1 mg/kg iv", kt.Patient(age=5), times=[0.2])


@pytest.mark.parametrize(
    "who, doses, times, reason",
    [
        (kt.Patient(weight=70, age=70), "10 mg iv over 30 min", [1], "age"),
        (kt.Patient(weight=150), "10 mg iv over 30 min", [1], "weight"),
        (kt.Patient(weight=70), "10 mg iv over 30 min", [1, 200], "later than was studied"),
    ],
)
def test_outside_its_range_a_result_is_graded_down(who, doses, times, reason):
    inside = kt.simulate(OTTO, doses, kt.Patient(weight=70, age=25), times=[1])
    assert inside.output("S-ketamine").grade == "range not stated"  # of doses
    out = kt.simulate(OTTO, doses, who, times=times).output("S-ketamine")
    assert out.grade == "extrapolated"
    assert any(reason in text for text in out.reasons)


def test_a_formula_of_states_is_an_output_without_costing_exactness():
    text = """
    format = 1
    drug = "S-ketamine"
    [parameters]
    CL = { value = 30, unit = "L/h" }
    V = { value = 50, unit = "L" }
    ke0 = { value = 4, unit = "1/h" }
    C50 = { value = 0.5, unit = "mg/L" }
    Emax = { value = 80, unit = "1" }
    [variability]
    C50 = { etas = ["C50"], variance = [0.1] }
    [individual]
    C50_i = "C50 * exp(eta.C50)"
    [compartments]
    central = {}
    [effect_sites]
    brain = { follows = "central / V", rate = "ke0" }
    [flows]
    out = { from = "central", rate = "CL * central / V" }
    [entries]
    iv = [{ to = "central" }]
    [outputs]
    brain = { value = "brain", unit = "mg/L", site = "effect site" }
    effect = { value = "Emax * brain^2 / (C50_i^2 + brain^2)", unit = "1", site = "effect site" }
    """
    spec = load_text(text, "emax.toml")
    who = kt.Population(20, seed=1)
    r = kt.simulate(spec, "100 mg iv", who, times=T)
    k = 0.6
    brain = 2 * 4 / (4 - k) * (np.exp(-k * T) - np.exp(-4 * T))
    assert r["brain"] == pytest.approx(np.tile(brain, (20, 1)), rel=1e-9, abs=1e-15)
    c50 = 0.5 * np.exp(who.etas(spec, 0, 20)["eta.C50"])[:, None]
    assert r["effect"] == pytest.approx(80 * brain**2 / (c50**2 + brain**2), rel=1e-9, abs=1e-15)
    only = kt.simulate(spec, "100 mg iv", who, times=T, outputs=["effect"])
    assert list(only) == ["effect"]
    assert np.array_equal(only["effect"], r["effect"])
    bands = kt.simulate(spec, "100 mg iv", who, times=T, outputs=["effect"], keep="bands")
    assert bands.quantiles("effect", 0.5)[0.5] == pytest.approx(r.quantiles("effect", 0.5)[0.5], rel=1e-6)


def test_an_infusion_that_ends_between_samples_is_exact():
    r = kt.simulate(OTTO, "10 mg iv over 37 min", kt.Patient(weight=70), times=[0.6, 1])
    fine = kt.simulate(
        OTTO, "10 mg iv over 37 min", kt.Patient(weight=70), times=np.sort([*np.linspace(0, 1, 97), 0.6])
    )
    assert r["S-ketamine"][0, -1] == pytest.approx(fine["S-ketamine"][0, -1], rel=1e-11)


def test_default_times_show_the_peak():
    r = kt.simulate(OTTO, "10 mg iv over 37 min", kt.Patient(weight=70))
    assert 37 / 60 in r.time_h.round(12) or np.isclose(r.time_h, 37 / 60).any()
    assert r.time_h[-1] == 24
    assert len(r.time_h) < 1000


@pytest.mark.parametrize(
    "change, said",
    [
        ({"times": []}, "at least one time"),
        ({"times": [2, 1]}, "ascending"),
        ({"times": [1, float("nan")]}, "finite"),
        ({"times": [-1]}, "at least 0"),
        ({"times": [1], "until": 3}, "one or the other"),
        ({"until": "soon"}, "until"),
        ({"until": "28 d", "step": "1 ms"}, "step"),
        ({"outputs": ["S-ketamin"]}, "'S-ketamine'"),
        ({"threads": 0}, "threads"),
        ({"keep": "some"}, "keep"),
        ({"carry": "back"}, "carry"),
        ({"on_failure": "hide"}, "on_failure"),
        ({"keep": "bands", "quantiles": [1.5]}, "quantiles"),
    ],
)
def test_nonsense_is_refused_with_a_cure(change, said):
    with pytest.raises(kt.InputError) as caught:
        kt.simulate(OTTO, "10 mg iv", kt.Population(10, seed=1), **change)
    assert said in str(caught.value)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_same_request_same_bytes():
    one = kt.simulate(OTTO, "10 mg iv", kt.Population(50, seed=9), times=T)
    two = kt.simulate(OTTO, "10 mg iv", kt.Population(50, seed=9), times=T)
    assert one.to_json() == two.to_json()
    assert one.birth["seed"] == 9
    assert "Otto" in one.cite()


def test_times_that_differ_only_in_later_pieces_are_kept_apart():
    # a covariate that is the same for the first thousands and another for the last
    text = """
    format = 1
    drug = "S-ketamine"
    [covariates]
    hours = { unit = "h", reference = 1 }
    [parameters]
    k = { value = 0.3, unit = "1/h" }
    V = { value = 10, unit = "L" }
    [compartments]
    central = {}
    [flows]
    out = { from = "central", rate = "k * central" }
    [entries]
    iv = [{ to = "central", duration = "hours" }]
    [outputs]
    C = { value = "central / V", unit = "mg/L", site = "plasma" }
    """
    spec = load_text(text, "late.toml")
    hours = np.where(np.arange(20_000) < 16_500, 1.0, 3.0)
    found = kt.simulate(spec, "10 mg iv", kt.Population(20_000, seed=1, hours=hours), times=[4.0])["C"][:, 0]
    wanted = 10 / hours / 0.3 / 10 * (1 - np.exp(-0.3 * hours)) * np.exp(-0.3 * (4 - hours))
    assert found == pytest.approx(wanted, rel=1e-9)


def test_a_dose_without_a_drug_is_not_given_whole_to_models_of_several():
    models = ["kamp_2020_meta_racemic", "otto_2021_s_ketamine"]
    with pytest.raises(kt.InputError, match="without a drug for models of S-ketamine and racemate"):
        kt.simulate(models, "35 mg iv over 40 min", times=[1.0])
    half = kt.simulate(models, "35 mg racemic ketamine iv over 40 min", times=[1.0])
    alone = kt.simulate("otto_2021_s_ketamine", "17.5 mg iv over 40 min", times=[1.0])
    assert half["S-ketamine"] == pytest.approx(alone["S-ketamine"], rel=1e-12)
