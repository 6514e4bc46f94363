"""Exposure of a simulation is the model's, whatever times are shown."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm

import kinetamine as kt
from kinetamine.engine import terminal
from kinetamine.models.library import load_text

HEAD = 'format = 1\ndrug = "S-ketamine"\n'
LINEAR = (
    HEAD
    + """
[parameters]
CL = { value = 60, unit = "L/h" }
V = { value = 100, unit = "L" }
Q = { value = 40, unit = "L/h" }
V2 = { value = 300, unit = "L" }
ka = { value = 2, unit = "1/h" }
[compartments]
depot = {}
central = {}
deep = {}
urine = {}
[flows]
in = { from = "depot", to = "central", rate = "ka * depot" }
out = { from = "central", to = "urine", rate = "CL * central / V" }
there = { from = "central", to = "deep", rate = "Q * central / V" }
back = { from = "deep", to = "central", rate = "Q * deep / V2" }
[entries]
iv = [{ to = "central" }]
oral = [{ to = "depot", fraction = 0.4, lag = "0.25 / ka * 2" }]
[outputs]
C = { value = "central / V", unit = "ng/mL" }
excreted = { value = "urine", unit = "mg" }
"""
)
SATURABLE = (
    HEAD
    + """
[parameters]
Vmax = { value = 20, unit = "mg/h" }
Km = { value = 0.5, unit = "mg/L" }
V = { value = 100, unit = "L" }
fade = { value = 0.2, unit = "1/h" }
[compartments]
central = {}
[flows]
out = { from = "central", rate = "Vmax * central / (Km * V + central)" }
[entries]
iv = [{ to = "central" }]
[outputs]
C = { value = "central / V", unit = "mg/L" }
"""
)


def measures(result, **window):
    return {row["output"]: row for row in result.exposure(**window).to_dicts()}


def test_the_window_shown_changes_nothing():
    runs = [
        measures(kt.simulate("perez_ruixo_2021_esketamine", "56 mg nasal", until=u))
        for u in ("4 h", "3 d", "28 d")
    ]
    for name in runs[0]:
        for key in ("cmax", "tmax_h", "auc_inf", "half_life_h"):
            assert runs[0][name][key] == runs[1][name][key] == runs[2][name][key]
    found = runs[0]["S-ketamine"]
    assert found["cmax"] == pytest.approx(73.03, rel=1e-3)
    assert found["half_life_h"] == pytest.approx(11.03, rel=1e-3)
    assert found["auc_inf"] == pytest.approx(276.2, rel=1e-3)
    assert runs[2]["S-ketamine"]["auc_last"] == pytest.approx(found["auc_inf"], rel=1e-3)


def test_a_linear_model_against_its_closed_form():
    k, q1, q2 = 0.6, 0.4, 40 / 300
    system = np.array([[-2, 0, 0], [2, -k - q1, q2], [0, q1, -q2]])
    rate = -np.max(np.linalg.eigvals(system[1:, 1:]).real)
    r = kt.simulate(load_text(LINEAR), "100 mg oral", until="2 h")
    found = measures(r)["C"]
    assert found["half_life_h"] == pytest.approx(math.log(2) / rate, rel=1e-9)
    assert found["auc_inf"] == pytest.approx(1000 * 0.4 * 100 / 60, rel=1e-9)

    def curve(t):
        return 1000 * (expm(system * (t - 0.25)) @ [40, 0, 0])[1] / 100 if t > 0.25 else 0.0

    fine = np.linspace(0.3, 3, 2701)
    peak = max(curve(t) for t in fine)
    assert found["cmax"] == pytest.approx(peak, rel=3e-5)
    assert found["auc_last"] == pytest.approx(quad(curve, 0, 2, points=[0.25])[0], rel=1e-3)
    # three doses, in a window of their own
    r = kt.simulate(load_text(LINEAR), "100 mg oral daily x 3", until="80 h")
    window = measures(r, from_h=48, to_h=72)["C"]
    assert (window["from_h"], window["to_h"]) == (48, 72)
    assert window["auc_inf"] is None
    assert window["cmax"] > found["cmax"]
    assert measures(r)["C"]["auc_inf"] == pytest.approx(3 * 1000 * 0.4 * 100 / 60, rel=1e-9)
    assert r.summary(48, 72)[0]["measured"] == "from 48 to 72 h"


def test_what_only_collects_has_no_half_life():
    found = measures(kt.simulate(load_text(LINEAR), "100 mg iv", until="2 h"))["excreted"]
    assert found["half_life_h"] is None
    assert found["auc_inf"] is None
    assert found["cmax"] == pytest.approx(100, rel=1e-3)


def test_a_saturable_model_is_followed_until_its_last_phase():
    r = kt.simulate(load_text(SATURABLE), "200 mg iv", until="1 h")
    found = measures(r)["C"]
    assert found["half_life_h"] == pytest.approx(math.log(2) * 0.5 * 100 / 20, rel=0.03)
    # AUC of Michaelis-Menten elimination: C0 V / Vmax (C0 / 2 + Km)
    assert found["auc_inf"] == pytest.approx(2 * 100 / 20 * (2 / 2 + 0.5), rel=1e-3)


def test_an_area_that_never_ends_cannot_be_told():
    spec = load_text(
        SATURABLE.replace(
            '"Vmax * central / (Km * V + central)"', '"Vmax / Km * exp(-fade * time) * central / V"'
        )
    )
    r = kt.simulate(spec, "200 mg iv", until="1 h")
    row = r.exposure().row(0, named=True)
    assert row["auc_inf"] is None and row["half_life_h"] is None
    assert "cannot be told" in row["remark"]
    assert "cannot be told" in r.summary()[0]["AUC to infinity, unit × h"]


def test_steady_state_and_populations():
    r = kt.simulate(load_text(LINEAR), "100 mg oral every 12 h at steady state", until="12 h")
    found = measures(r)["C"]
    once = measures(kt.simulate(load_text(LINEAR), "100 mg oral", until="12 h"))["C"]
    assert found["auc_inf"] > once["auc_inf"]
    people = kt.Population(20, seed=1)
    bands = kt.simulate("otto_2021_s_ketamine", "35 mg iv over 40 min", people, keep="bands", until="3 h")
    stored = kt.simulate("otto_2021_s_ketamine", "35 mg iv over 40 min", people, until="9 h")
    same = ["patient", "cmax", "tmax_h", "auc_inf", "half_life_h"]
    assert bands.exposure().select(same).equals(stored.exposure().select(same))
    alone = kt.simulate("otto_2021_s_ketamine", "35 mg iv over 40 min", kt.Population(8, seed=1), until="9 h")
    assert (
        alone.exposure()
        .select(same)
        .equals(stored.exposure().select(same).filter(stored.exposure()["patient"] < 8))
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_slowest_rate_and_areas_of_random_systems(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        flows = np.exp(rng.normal(0, 2, (n, n)))
        np.fill_diagonal(flows, 0)
        a = flows - np.diag(flows.sum(axis=0) + np.exp(rng.normal(0, 2, n)))
        matrix = {(i, j): a[None, i, j] for i in range(n) for j in range(n)}
        slow = terminal.slowest_rate(matrix, range(n))[0]
        assert slow == pytest.approx(-np.linalg.eigvals(a).real.max(), rel=1e-9)
        w = rng.uniform(0, 1, n)
        found = terminal.areas(matrix, list(range(n)), {k: w[None, k] for k in range(n)})
        np.testing.assert_allclose([found[k][0] for k in range(n)], np.linalg.solve(-a.T, w), rtol=1e-9)


def test_measuring_without_the_tail_leaves_out_the_tail_only():
    from kinetamine.engine import nca

    t = np.linspace(0, 24, 97)
    curves = np.random.default_rng(1).lognormal(size=(20, 97)) * np.exp(-0.2 * t)
    whole, some = nca.measure(t, curves, 0.5, 1, 20), nca.measure(t, curves, 0.5, 1, 20, tail=False)
    tail = [nca.MEASURES.index(m) for m in ("auc_inf", "half_life_h")]
    others = [k for k in range(len(nca.MEASURES)) if k not in tail]
    assert np.array_equal(whole[:, others], some[:, others])
    assert np.isnan(some[:, tail]).all() and np.isfinite(whole[:, tail]).any()
