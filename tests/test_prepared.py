"""The prepared evaluator gives what `simulate` gives, whatever changes from call to call."""

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.dosing import EventTable
from kinetamine.errors import InputError, UnknownName
from kinetamine.models.library import load
from kinetamine.simulate.prepared import prepare

OTTO, PEREZ, SIMONS = "otto_2021_s_ketamine", "perez_ruixo_2021_esketamine", "simons_2022_s_ketamine_otf"
TIMES = [0.25, 0.5, 1.0, 3.0, 8.0, 24.5, 26.0]


def drawn(f, people, spec):
    """Random effects of a population in the order of a call, array (patient, effect)."""
    between, within = people.etas(spec), people.occasions(spec, f.layout.occasions)
    columns = [between[f"eta.{n}"] for n in f.between]
    columns += [within[f"occ.{n}"][k] for k in range(f.layout.occasions) for n in f.within]
    return np.stack(columns, axis=1)


CASES = {
    OTTO: ("0.5 mg/kg iv over 40 min; 10 mg iv at 24 h", {"weight": 81.0}),
    PEREZ: ("84 mg nasal as 3 sprays; 56 mg nasal at 24 h", {"age": 41.0}),  # oral share with a lag
    SIMONS: ("50 mg oral film; 50 mg oral film at 24 h", {"weight": 64.0}),  # lags and durations by occasion
    "flint_2017_s_ketamine_picu": ("1 mg/kg iv over 1 h; 0.5 mg/kg iv at 24 h", {"weight": 12.0, "age": 3.0}),
}


@pytest.mark.parametrize("model", CASES)
def test_lanes_are_the_people_of_a_simulation(model):
    doses, given = CASES[model]
    spec = load(model)
    people = kt.Population(13, seed=3, **given)
    r = kt.simulate(spec, doses, people, times=TIMES)
    f = prepare(spec, doses, kt.Patient(**given), times=TIMES, outputs=list(r.outputs))
    expected = np.concatenate([r[name] for name in r.outputs], axis=1)
    np.testing.assert_allclose(f(drawn(f, people, spec)), expected, rtol=1e-12, atol=0)
    assert f.observed == [name for name in r.outputs for _ in TIMES]
    assert f.time_h.tolist() == TIMES * len(r.outputs)


def test_doses_by_another_weight_and_up_to_a_limit():
    who = kt.Patient(weight=140, height=165, sex="female")
    doses = "0.5 mg/kg iv over 40 min by ideal weight; 0.5 mg/kg max 50 mg iv at 4 h"
    f = prepare(OTTO, doses, who, times=TIMES, outputs=["S-ketamine"])
    r = kt.simulate(OTTO, doses, who, times=TIMES, outputs=["S-ketamine"])
    np.testing.assert_allclose(f()[0], r["S-ketamine"][0], rtol=1e-12)
    with pytest.raises(InputError, match="another weight"):
        f(values={"weight": 80})


@pytest.mark.parametrize("model", [OTTO, SIMONS])
def test_one_lane_alone_has_the_same_bits(model):
    doses, given = CASES[model]
    f = prepare(model, doses, kt.Patient(**given), times=TIMES)
    lanes = np.random.default_rng(1).normal(0, 0.2, (70, len(f.effects)))
    together = f(lanes)
    for k in (0, 7, 33, 69):
        np.testing.assert_array_equal(f(lanes[k : k + 1])[0], together[k])


def table(n=5):
    rows = {"ID": [], "TIME": [], "AMT": [], "RATE": [], "EVID": [], "weight": [], "OCC": []}

    def row(*values):
        for column, value in zip(rows.values(), values, strict=True):
            column.append(value)

    for k in range(n):
        if k != 2:  # one subject without a dose
            row(k, 0.0, 30.0 + 5 * k, 60.0 if k % 2 else 0.0, 1, 60.0 + k, 1)
        for j in range(2 + k % 3):
            row(k, 0.5 + j + 0.1 * k, 0, 0, 0, 60.0 + k + (j > 1), 1)
        row(k, 30.0, 25.0, 0, 1, 60.0 + k, 2)
        row(k, 31.0, 0, 0, 0, 60.0 + k, 2)
    return rows


@pytest.mark.parametrize("model", [OTTO, SIMONS])
def test_subjects_of_a_table_are_tiles(model):
    spec = load(model)
    rows = table()
    if model == SIMONS:
        rows["RATE"] = [0.0] * len(rows["ID"])
        rows["CMT"] = ["oral film"] * len(rows["ID"])
    events = EventTable.read(
        rows,
        covariates=list(spec.covariates),
        entries=list(spec.entries),
        compartments=list(spec.compartments),
    )
    people = kt.Population(5, seed=9, weight=70, age=40, height=170)
    f = prepare(spec, events, people)
    effects = drawn(f, people, spec)
    assert f.n_subjects == 5
    r = kt.simulate(spec, events, people)
    expected = np.concatenate([r[name] for name in spec.outputs])
    found = f(np.stack([0 * effects, effects, 2 * effects]))
    np.testing.assert_allclose(found[1], expected, rtol=1e-12, atol=0)
    np.testing.assert_array_equal(f(effects[None])[0], found[1])
    typical = kt.simulate(
        spec, events, kt.Population(5, seed=9, weight=70, age=40, height=170, variability=False)
    )
    np.testing.assert_allclose(
        found[0], np.concatenate([typical[name] for name in spec.outputs]), rtol=1e-12, atol=0
    )


def test_parameters_covariates_and_doses_change_from_call_to_call():
    f = prepare(
        OTTO, "0.5 mg/kg iv over 40 min", kt.Patient(weight=70), times=[1.0, 4.0], outputs=["S-ketamine"]
    )
    spec = load(OTTO)
    base = f()
    assert base.shape == (1, 2)
    name = next(n for n in spec.parameters if n.startswith("V"))
    value = spec.parameters[name].value
    moved = f(values={name: value * np.array([1.0, 1.1])})
    np.testing.assert_array_equal(moved[0], base[0])
    assert (moved[1] != base[0]).all()
    heavy = kt.simulate(OTTO, "0.5 mg/kg iv over 40 min", kt.Patient(weight=90), times=[1.0, 4.0])
    np.testing.assert_allclose(f(values={"weight": 90})[0], heavy["S-ketamine"][0], rtol=1e-12)
    np.testing.assert_allclose(f(scale=[0.5, 2.0]), np.outer([0.5, 2.0], base[0]), rtol=1e-12)
    with pytest.raises(UnknownName, match="values"):
        f(values={"CLX": 1.0})
    with pytest.raises(InputError, match="lanes"):
        f(np.zeros((3, len(f.effects))), {name: [1.0, 2.0]})
    with pytest.raises(InputError, match="effects"):
        f(np.zeros((3, 1)))


def test_an_output_for_each_time():
    names = ["S-norketamine", "S-ketamine", "S-ketamine"]
    f = prepare(PEREZ, "84 mg nasal", times=[2.0, 0.7, 24.0], observe=names)
    r = kt.simulate(PEREZ, "84 mg nasal", times=[0.7, 2.0, 24.0])
    expected = [r["S-norketamine"][0, 1], r["S-ketamine"][0, 0], r["S-ketamine"][0, 2]]
    np.testing.assert_allclose(f()[0], expected, rtol=1e-12)
    assert (f.observed, f.time_h.tolist()) == (names, [2.0, 0.7, 24.0])
    assert f.errors["S-ketamine"].sd(np.array([10.0])) > 0


def test_a_lane_that_cannot_be_computed_is_nan_and_harms_no_other():
    f = prepare(SIMONS, "50 mg oral film", times=[0.5, 2.0], outputs=["S-ketamine"])
    effects = np.zeros((3, len(f.effects)))
    effects[1] = np.nan
    found = f(effects)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], np.repeat(f(), 2, axis=0))


def test_effects_of_each_occasion_have_names_and_covariance():
    f = prepare(SIMONS, "50 mg oral film; 50 mg oral film at 24 h", times=[1.0, 25.0])
    spec = load(SIMONS)
    n, k = len(spec.subject_etas), len(spec.occasion_etas)
    assert f.effects[n : n + k] == tuple(f"{name}[1]" for name in spec.occasion_etas)
    assert len(f.effects) == n + 2 * k
    np.testing.assert_array_equal(f.covariance[n : n + k, n : n + k], spec.covariance("occasion")[1])
    assert not f.covariance[:n, n:].any()
