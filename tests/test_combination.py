"""Combinations: printed numbers, hand calculations, second sources, and the models of other anaesthetics."""

import json
import math

import numpy as np
import pytest

import kinetamine as kt
from kinetamine import combination
from kinetamine.cli.app import run
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.infusion.system import system_of
from kinetamine.models import library

COMPANIONS = [e.id for e in library.available() if e.path.parent.name == "companion"]

#: by hand from the published equations (L, L/min)
BY_HAND = {
    ("propofol_schnider_1998", 40, 70, 170, "male"): {"V1": 4.27, "V2": 23.983, "V3": 238,
        "CL": 1.638, "Q2": 1.602, "Q3": 0.836},
    ("propofol_schnider_1998", 53, 77, 177, "male"): {"V2": 18.9, "CL": 1.789, "Q2": 1.29},
    ("propofol_eleveld_2018", 35, 70, 170, "male"): {"V1": 6.28, "V2": 25.5, "V3": 273,
        "CL": 1.79, "Q2": 1.831, "Q3": 1.11},
    ("propofol_eleveld_2018", 5, 20, 110, "male"): {"V1": 3.468, "V2": 11.634, "Q2": 1.206},
    ("propofol_eleveld_2018", 70, 60, 160, "female"): {"V1": 5.958, "V2": 12.661, "Q2": 1.060},
    ("remifentanil_minto_1997", 40, 70, 170, "male"): {"V1": 5.121, "V2": 9.852, "CL": 2.606,
        "Q2": 2.05, "Q3": 0.076},
    ("remifentanil_eleveld_2017", 35, 70, 170, "male"): {"V1": 5.81, "V2": 8.82, "V3": 5.03,
        "CL": 2.58, "Q2": 1.72, "Q3": 0.124},
    ("remifentanil_eleveld_2017", 35, 60, 165, "female"): {"V1": 4.258, "V2": 8.947, "V3": 4.781,
        "CL": 2.827, "Q2": 2.407, "Q3": 0.119},
    ("propofol_marsh_1991", 40, 70, 170, "male"): {"V1": 15.96, "V2": 32.5, "V3": 202.6, "CL": 1.899},
    ("propofol_kataria_1994", 5, 20, 110, "male"): {"V1": 8.2, "V2": 15.1, "V3": 138, "CL": 0.70},
    ("dexmedetomidine_hannivoort_2015", 40, 70, 170, "male"): {"V1": 1.78, "V2": 30.3, "V3": 52, "CL": 0.686},
    ("dexmedetomidine_dyck_1993", 40, 70, 170, "male"): {"CL": 0.4177},
    ("midazolam_albrecht_1999", 70, 70, 170, "male"): {"V1": 8.5, "CL": 0.388, "V2": 16.67},
}  # fmt: skip


def micro(id, age, weight, height, sex):
    """Volumes and clearances (L, L/min) read back from the matrix of the model."""
    drug = library.load(id).drug
    system = system_of(id, kt.Patient(age=age, weight=weight, height=height, sex=sex), output=drug)
    states = [s for s in system.spec.states if s != "effect_site"]
    index = [system.spec.states.index(s) for s in states]
    a = system.matrix[np.ix_(index, index)] / 60
    factor = system.spec.output_factor[drug]
    v1 = factor / system.per_mg
    found = {"V1": v1, "CL": -a.sum(axis=0)[0] * v1}
    for k in range(1, len(states)):
        found[f"Q{k + 1}"] = a[k, 0] * v1
        found[f"V{k + 1}"] = a[k, 0] * v1 / a[0, k]
    return found


@pytest.mark.parametrize("who", BY_HAND, ids=lambda w: f"{w[0]}-{w[1]}")
def test_models_give_the_numbers_calculated_by_hand(who):
    found = micro(*who)
    for name, value in BY_HAND[who].items():
        assert found[name] == pytest.approx(value, rel=4e-3), name


@pytest.mark.parametrize("id", COMPANIONS)
def test_each_model_runs_and_can_be_held(id):
    spec = library.load(id)
    who = kt.Patient(age=5, weight=18, height=108) if "child" in spec.title else kt.Patient()
    output = next(iter(spec.outputs))
    result = kt.simulate(spec.id, "10 mg iv", who, times=[0.01, 0.5, 1])
    assert np.all(np.diff(result[output][0]) < 0)
    plan = kt.infusion_for(1.0, model=id, patient=who, duration="30 min", output=output)
    assert plan.held[0] == pytest.approx(1.0, rel=1e-3)
    if spec.effect_sites:
        site = kt.infusion_for(
            1.0, model=id, patient=who, duration="30 min", output=output, site="effect site"
        )
        assert site.peak_plasma > 1.0
    assert spec.source in kt.sources()


def test_a_dose_of_ketamine_never_meets_another_drug():
    found = kt.compare("0.5 mg/kg iv over 40 min", kt.Patient(weight=70, age=30))
    assert not {r.model for r in found.rows} & set(COMPANIONS)


# ---- propofol and ketamine


def test_hui_is_additive():
    assert combination.additive(0.63, 0.21).index == pytest.approx(1.11, abs=0.005)
    assert combination.additive(1.05, 0.35, "no response to tetanus").index == pytest.approx(1.10, abs=0.005)
    assert combination.additive(1.10, 0).index == pytest.approx(1)
    assert combination.additive(0, 0.39).index == pytest.approx(1)
    half = combination.additive(0.55, 0.195)
    assert half.index == pytest.approx(1) and half.low < 1 < half.high
    with pytest.raises(NoData, match=r"0\.85"):
        combination.additive(1, 0.5, "apnoea")
    with pytest.raises(UnknownName):
        combination.additive(1, 1, "sleep")


def test_the_surface_is_the_closed_form():
    assert float(combination.no_response(3.1, 0)) == 0.5 == float(combination.no_response(0, 0.64))
    u = 2 / 3.1 + 0.5 / 0.64
    assert float(combination.no_response(2, 0.5)) == pytest.approx(u**5.4 / (1 + u**5.4))


@pytest.mark.parametrize(("ratio", "hours"), [(1, 4.5), (2, 3.25), (5, 1.6), (10, 0.67)])
def test_ketofol_returns_response_within_30_per_cent_of_what_was_printed(ratio, hours):
    found = combination.ketofol(ratio)
    assert found.printed_h == hours
    assert found.return_h == pytest.approx(hours, rel=0.30)
    assert found.ketamine_mg == pytest.approx(found.propofol_mg / ratio)
    assert found.grade == "assumed" and "assumption" in " ".join(found.reasons)


def test_more_ketamine_and_longer_infusions_take_longer():
    times = [combination.ketofol(r).return_h for r in (10, 5, 2, 1)]
    assert times == sorted(times)
    assert combination.ketofol(5, 0.5).return_h < combination.ketofol(5, 3).return_h
    assert combination.ketofol(5, weight=30).printed_h is None
    assert combination.ketofol(5, age=40, weight=70).grade == "extrapolated"
    for wrong in (0, -1, math.nan, True):
        with pytest.raises(InputError):
            combination.ketofol(wrong)


# ---- others


def test_laryngoscopy_is_the_hierarchical_form():
    p, r = 4.0, 2.0
    left = 0.83 * (1 - r**0.72 / (r**0.72 + (1.01 * 0.83) ** 0.72))
    assert combination.laryngoscopy(p, r) == pytest.approx(p**6.9 / (p**6.9 + (6.68 * left) ** 6.9))
    assert combination.laryngoscopy(0, 5) == 0


def test_looked_up_values_are_those_printed():
    assert combination.sevoflurane()[1][1:] == (0.9, 0.1)
    assert combination.endoscopy()[2] == (0.5, (1.71, 1.15, 2.27))


def test_the_command(capsys):
    assert run(["combine", "ketofol", "--ratio", "5", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["printed_h"] == 1.6
    assert run(["combine", "sevoflurane", "--cite"]) == 0
    assert "0.9" in capsys.readouterr().out
    for words in (
        ["ketofol"],
        ["ketofol", "--ratio", "5", "--ketamine", "1"],
        ["tea"],
        ["bolus", "--propofol", "1"],
    ):
        assert run(["combine", *words]) == 2
        assert capsys.readouterr().err.startswith("error: ")
