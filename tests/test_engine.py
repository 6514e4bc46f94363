"""The engine against closed forms and general laws."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm

import kinetamine as kt
from kinetamine.engine import linear, nonlinear
from kinetamine.models.library import load_text

ONE = """
format = 1
drug = "S-ketamine"
[covariates]
weight = { unit = "kg", reference = 70 }
[parameters]
CL = { value = 30, unit = "L/h" }
V = { value = 50, unit = "L" }
ka = { value = 1.7, unit = "1/h" }
F = { value = 0.6, unit = "1" }
lag = { value = 0.3, unit = "h" }
D = { value = 0.8, unit = "h" }
[variability]
CL = { etas = ["CL", "V"], covariance = [[0.09, 0.03], [0.03, 0.05]] }
[individual]
CL_i = "CL * (weight / 70)^0.75 * exp(eta.CL)"
V_i = "V * exp(eta.V)"
[compartments]
gut = {}
central = { volume = "V_i" }
out = {}
[flows]
absorption = { from = "gut", to = "central", rate = "ka * gut" }
elimination = { from = "central", to = "out", rate = "CL_i * central / V_i" }
[entries]
iv = [{ to = "central" }]
oral = [{ to = "gut", fraction = "F", lag = "lag" }]
patch = [{ to = "central", fraction = "F", duration = "D" }]
split = [{ to = "gut", fraction = 0.25 }, { to = "central", fraction = 0.5, lag = "lag", duration = "D" }]
[outputs]
C = { value = "central / V_i", unit = "mg/L", site = "plasma" }
gut = { value = "gut", unit = "mg", site = "gut" }
eliminated = { value = "out", unit = "mg", site = "urine" }
central = { value = "central", unit = "mg", site = "body" }
"""


@functools.cache
def model(change: tuple[tuple[str, str], ...] = ()):
    text = ONE
    for old, new in change:
        assert old in text
        text = text.replace(old, new)
    return load_text(text, "one.toml")


def curve(doses, times, who=None, spec=None, name="C", **options):
    return kt.simulate(spec or model(), doses, who, times=times, **options)[name]


#: a lag that differs between patients, so that each has times of his own
LAGS = (('lag = "lag" }]\npatch', 'lag = "lag * V_i / V" }]\npatch'),)

T = np.unique(np.concatenate([np.linspace(0, 30, 61), [0.01, 0.123456, 7.77]]))
K = 30 / 50


def infusion(t, rate, duration, k=K, v=50):
    up = rate / (k * v) * (1 - np.exp(-k * np.minimum(t, duration)))
    return np.where(t <= 0, 0, up * np.exp(-k * np.maximum(0, t - duration)))


class TestClosedForms:
    def test_bolus(self):
        assert curve("100 mg iv", T)[0] == pytest.approx(100 / 50 * np.exp(-K * T), rel=1e-9)

    def test_infusion(self):
        assert curve("100 mg iv over 40 min", T)[0] == pytest.approx(
            infusion(T, 150, 2 / 3), rel=1e-9, abs=1e-15
        )

    def test_first_order_absorption_with_lag(self):
        t = np.maximum(0, T - 0.3)
        expected = 0.6 * 100 * 1.7 / (50 * (1.7 - K)) * (np.exp(-K * t) - np.exp(-1.7 * t))
        assert curve("100 mg oral", T)[0] == pytest.approx(expected, rel=1e-9, abs=1e-14)

    def test_zero_order_input_of_the_entry(self):
        doses = kt.Dose(0, 100, entry="patch")
        assert curve(doses, T)[0] == pytest.approx(infusion(T, 60 / 0.8, 0.8), rel=1e-9, abs=1e-15)

    def test_split_dose(self):
        doses = kt.Dose(0, 100, entry="split")
        gut = 25 * 1.7 / (50 * (1.7 - K)) * (np.exp(-K * T) - np.exp(-1.7 * T))
        assert curve(doses, T)[0] == pytest.approx(
            gut + infusion(T - 0.3, 50 / 0.8, 0.8), rel=1e-9, abs=1e-14
        )

    def test_repeated_doses_add_up(self):
        t = np.linspace(0, 100, 401)
        expected = sum(np.where(t >= 8 * k, 2 * np.exp(-K * (t - 8 * k)), 0) for k in range(5))
        assert curve("100 mg iv every 8 h x 5", t)[0] == pytest.approx(expected, rel=1e-9)

    def test_far_tail_keeps_its_relative_precision(self):
        t = np.array([1.0, 100, 400, 1000])
        assert curve("100 mg iv", t)[0] == pytest.approx(2 * np.exp(-K * t), rel=1e-9)

    @pytest.mark.parametrize("duration", [0.0, 2.0, 12.0, 30.0])
    def test_steady_state(self, duration):
        # an infusion of 30 h every 12 h: two or three run at any time
        t = np.linspace(0, 12, 25)
        dose = kt.Dose(0, 100, duration_h=duration or None, every_h=12, steady_state=1)
        before = np.arange(400) * 12.0
        if duration:
            expected = sum(infusion(t + b, 100 / duration, duration) for b in before)
        else:
            expected = sum(2 * np.exp(-K * (t + b)) for b in before)
        mine = curve(dose, t)[0]
        # only the dose at time 0 goes on: the next would come at 12 h
        assert mine[:-1] == pytest.approx(expected[:-1], rel=1e-9)

    def test_steady_state_finds_lagging_doses(self):
        t = np.linspace(0, 12, 25)
        dose = kt.Dose(0, 100, entry="oral", every_h=12, steady_state=1)
        since = t[:, None] + 12 * np.arange(300)[None, :] - 0.3
        s = np.maximum(0, since)
        expected = (60 * 1.7 / (50 * (1.7 - K)) * (np.exp(-K * s) - np.exp(-1.7 * s))).sum(axis=1)
        assert curve(dose, t)[0] == pytest.approx(expected, rel=1e-9)

    def test_three_compartments_against_the_matrix_exponential(self):
        spec = kt.load_model("noppers_2011_s_ketamine")
        v1, v2, v3, cl, q2, q3 = 17.0, 28.3, 147.0, 93.5, 127.0, 91.9
        a = np.array(
            [[-(cl + q2 + q3) / v1, q2 / v2, q3 / v3], [q2 / v1, -q2 / v2, 0], [q3 / v1, 0, -q3 / v3]]
        )
        t = np.array([0.01, 0.1, 1, 10, 48])
        expected = [expm(a * h)[0, 0] * 20 / v1 * 1000 for h in t]
        found = kt.simulate(spec, "20 mg iv", kt.Patient(weight=70), times=t)["S-ketamine"][0]
        assert found == pytest.approx(expected, rel=1e-9)


class TestLaws:
    doses = st.lists(
        st.builds(
            kt.Dose,
            time_h=st.floats(0, 20),
            amount=st.floats(0.1, 500),
            entry=st.sampled_from(["iv", "oral", "patch", "split"]),
            duration_h=st.none() | st.floats(0.05, 9),
        ),
        min_size=1,
        max_size=4,
    )

    @settings(deadline=None, max_examples=30)
    @given(doses=doses)
    def test_mass_is_kept_and_nothing_is_negative(self, doses):
        t = np.array([0.0, 1, 5, 21, 400])
        r = kt.simulate(model(), doses, times=t)
        bio = {"iv": 1.0, "oral": 0.6, "patch": 0.6, "split": 0.75}
        total = sum(d.amount * bio[d.entry] for d in doses)
        body = r["gut"] + r["central"] + r["eliminated"]
        assert body[0, -1] == pytest.approx(total, rel=1e-9)
        assert all((r[name] >= 0).all() for name in r)

    @settings(deadline=None, max_examples=20)
    @given(doses=doses, factor=st.floats(0.01, 100))
    def test_superposition_and_proportion(self, doses, factor):
        together = curve(doses, T)
        alone = sum(curve(d, T) for d in doses)
        assert together == pytest.approx(alone, rel=1e-9, abs=1e-12)
        from dataclasses import replace

        scaled = curve([replace(d, amount=d.amount * factor) for d in doses], T)
        assert scaled == pytest.approx(together * factor, rel=1e-9, abs=1e-12)

    @settings(deadline=None, max_examples=10)
    @given(st.integers(1, 60), st.integers(0, 2**30))
    @pytest.mark.parametrize("lags", ["alike", "different"])
    def test_a_patient_is_the_same_in_any_company(self, lags, n, seed):
        spec = model(LAGS) if lags == "different" else model()
        doses = ["50 mg iv over 1 h every 12 h x 3", "20 mg oral at 5 h"]
        many = curve(doses, T, kt.Population(70, seed=seed), spec)
        few = curve(doses, T, kt.Population(n, seed=seed), spec)
        assert np.array_equal(many[:n], few)

    def test_threads_do_not_matter(self):
        who = kt.Population(5000, seed=3)
        one = curve("50 mg iv over 1 h", T, who, threads=1)
        assert np.array_equal(one, curve("50 mg iv over 1 h", T, who, threads=4))

    def test_times_do_not_matter(self):
        fine = curve("50 mg oral", T)
        assert curve("50 mg oral", T[::7]) == pytest.approx(fine[:, ::7], rel=1e-11, abs=1e-14)

    def test_different_lags_per_patient(self):
        spec = model(LAGS)
        who = kt.Population(37, seed=5)
        many = curve("100 mg oral every 6 h x 3", T, who, spec)
        v = 50 * np.exp(who.etas(spec, 0, 37)["eta.V"])
        cl = (
            30
            * (who.covariates(spec, 0, 37)["weight"] / 70) ** 0.75
            * np.exp(who.etas(spec, 0, 37)["eta.CL"])
        )
        k = (cl / v)[:, None]
        expected = np.zeros((37, len(T)))
        for turn in range(3):
            s = np.maximum(0, T[None, :] - 6 * turn - 0.3 * v[:, None] / 50)
            expected += 60 * 1.7 / (v[:, None] * (1.7 - k)) * (np.exp(-k * s) - np.exp(-1.7 * s))
        assert many == pytest.approx(expected, rel=1e-8, abs=1e-12)

    def test_streaming_gives_what_storing_gives(self):
        who = kt.Population(3000, seed=2)
        q = (0.0, 0.05, 0.5, 0.95, 1.0)
        stored = kt.simulate(model(), "50 mg oral", who, times=T)
        streamed = kt.simulate(model(), "50 mg oral", who, times=T, keep="bands", quantiles=q)
        for name in stored:
            a, b = stored.quantiles(name, q), streamed.quantiles(name, q)
            for x in q:
                assert b[x] == pytest.approx(a[x], rel=1e-6, abs=1e-12)
        a, b = stored.exposure(), streamed.exposure()
        for column in ("cmax", "auc_last", "half_life_h"):
            one, two = a[column].to_numpy(), b[column].to_numpy()
            both = np.isfinite(one) & np.isfinite(two)
            assert two[both] == pytest.approx(one[both], rel=1e-6)


class TestNonLinear:
    def test_order_of_the_method(self):
        # Steinebach's Rodas5P has order 5 for x' = -x² + cos t; halving the step divides the error by 2⁵
        def solve(n):
            x, t, h = 1.0, 0.0, 1.0 / n
            for _ in range(n):
                jac, dt = -2 * x, -np.sin(t)
                w = 1 / (nonlinear.GAMMA * h) - jac
                k = np.zeros(8)
                for s in range(8):
                    y = x + nonlinear.A[s] @ k
                    f = -y * y + np.cos(t + nonlinear.B[s] * h)
                    k[s] = (f + h * nonlinear.D[s] * dt + nonlinear.C[s] @ k / h) / w
                x = y + k[7]
                t += h
            return x

        exact = solve(400)
        rates = np.log2([abs(solve(n) - exact) / abs(solve(2 * n) - exact) for n in (8, 16)])
        assert rates == pytest.approx([5, 5], abs=0.4)

    def test_agrees_with_the_exact_steps(self):
        # the same model, made non-linear by a factor that is 1
        same = model((('rate = "ka * gut"', 'rate = "ka * gut * exp(0 * time / D)"'),))
        doses = ["100 mg iv over 1 h every 6 h x 3", "40 mg oral at 2 h"]
        who = kt.Population(9, seed=1)
        assert curve(doses, T, who, same) == pytest.approx(curve(doses, T, who), rel=1e-7, abs=1e-10)

    def test_michaelis_menten_against_its_integral(self):
        text = ONE.replace(
            'rate = "CL_i * central / V_i"', 'rate = "Vmax * central / (Km + central)"'
        ).replace(
            "[parameters]",
            '[parameters]\nVmax = { value = 12, unit = "mg/h" }\nKm = { value = 5, unit = "mg" }',
        )
        r = kt.simulate(load_text(text, "mm.toml"), "100 mg iv", times=np.linspace(0, 20, 41))
        a, t = r["central"][0], r.time_h
        # Km ln(a0/a) + a0 - a = Vmax t
        assert 5 * np.log(100 / a) + 100 - a == pytest.approx(12 * t, rel=1e-6, abs=1e-6)

    def test_steady_state(self):
        text = ONE.replace(
            'rate = "CL_i * central / V_i"', 'rate = "Vmax * central / (Km + central)"'
        ).replace(
            "[parameters]",
            '[parameters]\nVmax = { value = 30, unit = "mg/h" }\nKm = { value = 5, unit = "mg" }',
        )
        spec = load_text(text, "mm.toml")
        t = np.linspace(0, 12, 13)
        steady = kt.simulate(spec, kt.Dose(0, 100, duration_h=1, every_h=12, steady_state=1), times=t)["C"]
        given = kt.simulate(spec, "100 mg iv over 1 h every 12 h x 40", times=t + 39 * 12)["C"]
        assert steady[0, :-1] == pytest.approx(given[0, :-1], rel=1e-6)


class TestStructure:
    def test_pattern_follows_the_flows(self):
        s = linear.Structure(3, ((0, 0), (1, 0), (1, 1), (2, 1)), (0,), ((2,),))
        assert set(s.pattern()) >= {(2, 0), (2, 3), (1, 3), (3, 3)}
        assert (0, 1) not in s.pattern()

    def test_a_failed_patient_is_named(self):
        # nothing is eliminated, so there is no steady state
        spec = model(
            (('to = "out", rate = "CL_i * central / V_i"', 'to = "gut", rate = "CL_i * central / V_i"'),)
        )
        dose = kt.Dose(0, 100, every_h=12, steady_state=1)
        with pytest.raises(kt.RunError, match=r"patient 0.*steady state"):
            curve(dose, T, None, spec)
        kept = kt.simulate(spec, dose, times=T, on_failure="keep")
        assert kept.status.tolist() == [4]
        assert np.isnan(kept["C"]).all()
