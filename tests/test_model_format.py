"""What a model file can say beyond compartments: five models of the field against SciPy, each word of the format."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import gammaln

import kinetamine as kt
from kinetamine.errors import FaultyFile, InputError
from kinetamine.models.library import load_text
from kinetamine.simulate.prepared import prepare

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 6.0, 12.0, 24.0, 25.0, 36.0, 72.0])


def solved(system, start, doses, times=TIMES):
    """States at `times`; `doses` are (time, state, amount)."""
    x, t, out = np.array(start, float), 0.0, {}
    for turn in sorted({0.0, *(d[0] for d in doses), *times}):
        if turn > t:
            sol = solve_ivp(system, (t, turn), x, "LSODA", rtol=1e-10, atol=1e-12)
            x, t = sol.y[:, -1], turn
        for when, state, amount in doses:
            if when == turn:
                x[state] += amount
        out[turn] = x.copy()
    return np.array([out[t] for t in times])


WARFARIN = """
format = 1
drug = "warfarin"
[parameters]
CL = { value = 0.134, unit = "L/h" }
V = { value = 8.1, unit = "L" }
ka = { value = 1.0, unit = "1/h" }
base = { value = 96, unit = "mg" }
kout = { value = 0.058, unit = "1/h" }
IC50 = { value = 1.2, unit = "mg/L" }
[compartments]
depot = {}
central = {}
pca = { start = "base" }
[flows]
in = { from = "depot", to = "central", rate = "ka * depot" }
out = { from = "central", rate = "CL * central / V" }
made = { to = "pca", rate = "base * kout * (1 - central / V / (IC50 + central / V))" }
lost = { from = "pca", rate = "kout * pca" }
[entries]
oral = [{ to = "depot" }]
[outputs]
warfarin = { value = "central / V", unit = "mg/L" }
complex = { value = "pca", unit = "mg" }
"""


def test_warfarin_turnover():
    def system(t, x):
        c = x[1] / 8.1
        return [-x[0], x[0] - 0.134 * c, 0.058 * (96 * (1 - c / (1.2 + c)) - x[2])]

    expected = solved(system, [0, 0, 96], [(0, 0, 100.0), (24, 0, 50.0)])
    spec = load_text(WARFARIN, "warfarin.toml")
    r = kt.simulate(spec, ["100 mg oral", "50 mg oral at 24 h"], times=TIMES)
    np.testing.assert_allclose(r["complex"][0], expected[:, 2], rtol=1e-7)
    np.testing.assert_allclose(r["warfarin"][0], expected[:, 1] / 8.1, rtol=1e-7, atol=1e-12)
    rows = {
        "TIME": [0.0, *TIMES, 24.0],
        "AMT": [100.0, *[0.0] * len(TIMES), 50.0],
        "EVID": [1, *[0] * len(TIMES), 1],
    }
    table = kt.EventTable.read(rows, sort=True)
    np.testing.assert_allclose(kt.simulate(spec, table)["complex"][:6], expected[:6, 2], rtol=1e-7)
    # a reset goes back to the start
    again = kt.EventTable.read({"TIME": [0, 5, 9, 9], "AMT": [100, 0, 0, 0], "EVID": [1, 0, 3, 0]})
    assert kt.simulate(spec, again)["complex"][1] == pytest.approx(96)
    whole = kt.simulate(spec, table)
    np.testing.assert_allclose(
        prepare(spec, table)()[0], np.concatenate([whole[o] for o in spec.outputs]), rtol=1e-12
    )


MICHAELIS = """
format = 1
drug = "phenytoin"
[parameters]
Vmax = { value = 20, unit = "mg/h" }
Km = { value = 4, unit = "mg/L" }
V = { value = 45, unit = "L" }
[compartments]
central = {}
[flows]
out = { from = "central", rate = "Vmax * central / (Km * V + central)" }
[entries]
iv = [{ to = "central" }]
[outputs]
phenytoin = { value = "central / V", unit = "mg/L" }
"""


def test_michaelis_menten():
    expected = solved(lambda t, x: -20 * x / (4 * 45 + x), [0], [(0, 0, 300.0), (24, 0, 300.0)])
    r = kt.simulate(load_text(MICHAELIS), "300 mg iv daily x 2", times=TIMES)
    np.testing.assert_allclose(r["phenytoin"][0], expected[:, 0] / 45, rtol=1e-7)


TMDD = """
format = 1
drug = "an antibody"
molar_mass = 150000
[parameters]
CL = { value = 0.02, unit = "L/h" }
V = { value = 3, unit = "L" }
kon = { value = 0.5, unit = "L/mg/h" }
koff = { value = 0.1, unit = "1/h" }
kint = { value = 0.05, unit = "1/h" }
kdeg = { value = 0.03, unit = "1/h" }
R0 = { value = 6, unit = "mg" }
[compartments]
free = {}
target = { start = "R0" }
bound = {}
[flows]
out = { from = "free", rate = "CL * free / V" }
made = { to = "target", rate = "kdeg * R0" }
lost = { from = "target", rate = "kdeg * target" }
binds = { from = "free", rate = "kon * free / V * target" }
bind_target = { from = "target", to = "bound", rate = "kon * free / V * target" }
frees = { to = "free", rate = "koff * bound" }
frees_target = { from = "bound", to = "target", rate = "koff * bound" }
taken = { from = "bound", rate = "kint * bound" }
[entries]
iv = [{ to = "free" }]
[outputs]
antibody = { value = "free / V", unit = "mg/L" }
molar = { value = "free / V / molar_mass", unit = "nmol/L" }
target = { value = "target", unit = "mg" }
"""


def test_target_mediated_disposition():
    def system(t, x):
        on, off = 0.5 * x[0] / 3 * x[1], 0.1 * x[2]
        return [
            -0.02 * x[0] / 3 - on + off,
            0.03 * (6 - x[1]) - on + off,
            on - off - 0.05 * x[2],
        ]

    expected = solved(system, [0, 6, 0], [(0, 0, 30.0)])
    r = kt.simulate(load_text(TMDD), "30 mg iv", times=TIMES)
    np.testing.assert_allclose(r["antibody"][0], expected[:, 0] / 3, rtol=1e-6)
    np.testing.assert_allclose(r["target"][0], expected[:, 1], rtol=1e-6)
    np.testing.assert_allclose(r["molar"][0], r["antibody"][0] / 150000 * 1e6, rtol=1e-12)


GAMMA = """
format = 1
drug = "a drug"
[covariates]
weight = { unit = "kg", reference = 70 }
[parameters]
CL = { value = 5, unit = "L/h" }
V = { value = 50, unit = "L" }
ka = { value = 1.5, unit = "1/h" }
F = { value = 0.8, unit = "1" }
n = { value = 3.5, unit = "1" }
mtt = { value = 1.8, unit = "h" }
[variability]
mtt = { etas = ["mtt"], variance = [0.09] }
[individual]
ktr = "(n + 1) / (mtt * exp(eta.mtt))"
[compartments]
depot = {}
central = {}
[flows]
transit = { to = "depot", rate = "F * last_dose * ktr * exp(n * log(ktr * tad + 1e-12) - ktr * tad - lgamma(n + 1))" }
in = { from = "depot", to = "central", rate = "ka * depot" }
out = { from = "central", rate = "CL * central / V" }
[entries]
oral = [{ to = "depot", fraction = 0 }]
[outputs]
C = { value = "central / V", unit = "ng/mL" }
after = { value = "tad", unit = "h" }
given = { value = "last_dose", unit = "mg" }
"""


def gamma_curve(doses, mtt=1.8):
    ktr = 4.5 / mtt

    def system(t, x):
        last = max((d for d in doses if d[0] <= t), default=None)
        rate = 0.0
        if last is not None and t > last[0]:
            tad = t - last[0]
            rate = 0.8 * last[1] * ktr * math.exp(3.5 * math.log(ktr * tad) - ktr * tad - gammaln(4.5))
        return [rate - 1.5 * x[0], 1.5 * x[0] - 0.1 * x[1]]

    return solved(system, [0, 0], [(t, 0, 0.0) for t, _ in doses])[:, 1] / 50 * 1000


def test_transit_by_a_gamma_function():
    doses = [(1.0, 100.0), (24.0, 140.0)]
    spec = load_text(GAMMA)
    r = kt.simulate(spec, ["100 mg oral at 1 h", "2 mg/kg oral at 24 h"], times=TIMES)
    np.testing.assert_allclose(r["C"][0], gamma_curve(doses), rtol=1e-5, atol=1e-6)
    assert r["given"][0].tolist() == [0, 0, 100, 100, 100, 100, 140, 140, 140, 140]
    np.testing.assert_allclose(r["after"][0], [0, 0, 0, 1, 5, 11, 0, 1, 12, 48])
    rows = {
        "TIME": [1.0, *TIMES, 24.0], "AMT": [100.0, *[0.0] * len(TIMES), 140.0],
        "EVID": [1, *[0] * len(TIMES), 1],
    }  # fmt: skip
    table = kt.EventTable.read(rows, sort=True)
    t = kt.simulate(spec, table)
    later = TIMES > 1
    np.testing.assert_allclose(t["C"][-6:], gamma_curve(doses)[later][-6:], rtol=1e-5)
    people = kt.Population(5, seed=2, weight=70)
    f = prepare(spec, ["100 mg oral at 1 h", "2 mg/kg oral at 24 h"], kt.Patient(weight=70), times=TIMES)
    effects = people.etas(spec)["eta.mtt"][:, None]
    r = kt.simulate(spec, ["100 mg oral at 1 h", "2 mg/kg oral at 24 h"], people, times=TIMES)
    np.testing.assert_allclose(f(effects)[:, : len(TIMES)], r["C"], rtol=1e-12)
    with pytest.raises(InputError, match="last dose"):
        kt.simulate(spec, "100 mg oral every 12 h at steady state", times=[1])


OCCASIONS = """
format = 1
drug = "a drug"
[parameters]
CL = { value = 5, unit = "L/h" }
V = { value = 50, unit = "L" }
ka = { value = 1.5, unit = "1/h" }
[variability]
CL_V = { etas = ["CL", "V"], covariance = [[0.09, 0.03], [0.03, 0.04]] }
visits = { etas = ["CL", "ka"], covariance = [[0.02, -0.01], [-0.01, 0.05]], level = "occasion" }
[individual]
CL_i = "CL * exp(eta.CL + occ.CL)"
V_i = "V * exp(eta.V)"
ka_i = "ka * exp(occ.ka)"
[compartments]
depot = {}
central = {}
[flows]
in = { from = "depot", to = "central", rate = "ka_i * depot" }
out = { from = "central", rate = "CL_i * central / V_i" }
[entries]
oral = [{ to = "depot" }]
[outputs]
C = { value = "central / V_i", unit = "mg/L" }
CL = { value = "CL_i", unit = "L/h" }
"""


def test_effects_between_occasions_in_a_block():
    spec = load_text(OCCASIONS)
    people = kt.Population(400, seed=5)
    r = kt.simulate(spec, "100 mg oral daily x 2", people, times=TIMES)
    eta, occ = people.etas(spec), people.occasions(spec, 2)
    drawn = np.stack([occ["occ.CL"].ravel(), occ["occ.ka"].ravel()])
    np.testing.assert_allclose(np.cov(drawn), [[0.02, -0.01], [-0.01, 0.05]], atol=0.01)
    for k in (0, 7):
        v = 50 * math.exp(eta["eta.V"][k])

        def rates(t, k=k):
            o = int(t >= 24)
            return 5 * math.exp(eta["eta.CL"][k] + occ["occ.CL"][o, k]), 1.5 * math.exp(occ["occ.ka"][o, k])

        def system(t, x, rates=rates, v=v):
            cl, ka = rates(t)
            return [-ka * x[0], ka * x[0] - cl / v * x[1]]

        expected = solved(system, [0, 0], [(0, 0, 100.0), (24, 0, 100.0)])[:, 1] / v
        np.testing.assert_allclose(r["C"][k], expected, rtol=1e-6, atol=1e-12)
        assert r["CL"][k, 0] == pytest.approx(rates(0)[0])
        assert r["CL"][k, -1] == pytest.approx(rates(30)[0])


# ---- words of the format

SMALL = """
format = 1
drug = "midazolam"
[covariates]
form = { categories = ["tablet", "solution"], reference = "tablet" }
[parameters]
CL = { value = 5, unit = "L/h" }
V = { value = 50, unit = "L" }
ka = { value = 1.5, unit = "1/h" }
[individual]
ka_i = "where(form == 'solution' and not (ka < CL / V), 3 * ka, ka)"
share = "0.5 + 0.25 * abs(sin(-1)) + 0 * floor(1.7) + 0 * cos(1) + 0 * tanh(1) + 0 * erf(1)"
[compartments]
depot = {}
central = {}
[flows]
in = { from = "depot", to = "central", rate = "ka_i * depot" }
out = { from = "central", rate = "CL * central / V" }
[entries]
oral = [{ to = "depot", fraction = "share" }]
[outputs]
C = { value = "central / V", unit = "ng/mL" }
rate = { value = "ka_i", unit = "1/h" }
"""


def test_categories_in_words():
    spec = load_text(SMALL)
    assert kt.simulate(spec, "10 mg oral", times=[1])["rate"][0] == [1.5]
    r = kt.simulate(spec, "10 mg oral", kt.Patient(form="solution"), times=[1])
    assert r["rate"][0] == [4.5]
    people = kt.Population(4, table={"form": ["tablet", "solution", "solution", "tablet"]})
    assert kt.simulate(spec, "10 mg oral", people, times=[1])["rate"][:, 0].tolist() == [1.5, 4.5, 4.5, 1.5]
    with pytest.raises(InputError, match=r"form.*'capsule'.*tablet or solution"):
        kt.simulate(spec, "10 mg oral", kt.Patient(form="capsule"), times=[1])
    expected = 0.5 + 0.25 * math.sin(1)
    full = load_text(SMALL.replace('fraction = "share"', "fraction = 1"))
    ratio = kt.simulate(spec, "10 mg oral", times=[1])["C"] / kt.simulate(full, "10 mg oral", times=[1])["C"]
    assert ratio[0, 0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("form == 'solution'", "form == 'capsule'"), "a category of form"),
        (("form == 'solution'", "CL == 'solution'"), "a covariate with categories"),
        (('reference = "tablet"', "reference = 2"), "one of its categories"),
        (('drug = "midazolam"', 'drug = "esketamin"'), 'drug = "S-ketamine"'),
        (("depot = {}", 'depot = { start = "2 * V" }'), "an amount"),
        (
            ("[individual]", "tad = { value = 1, unit = 'h' }\n[individual]"),
            "a name that formulas do not use",
        ),
        (('"0.5 +', '"tad +'), "no tad here"),
        (('rate = "ka_i * depot"', 'rate = "ka_i * depot * erf(V)"'), "without unit"),
    ],
)
def test_faults_say_what_was_meant(change, said):
    with pytest.raises(FaultyFile) as caught:
        load_text(SMALL.replace(*change))
    assert said in str(caught.value)


def test_plain_formulas_are_outputs():
    only = SMALL.replace('C = { value = "central / V", unit = "ng/mL" }\n', "")
    r = kt.simulate(load_text(only), "10 mg oral", times=[0, 1])
    assert r["rate"].tolist() == [[1.5, 1.5]]
    assert r.exposure()["remark"][0] == "one value per person, not a curve"
    assert prepare(load_text(only), "10 mg oral", times=[0, 1])().tolist() == [[1.5, 1.5]]


def test_another_drug_takes_its_own_doses_only():
    spec = load_text(SMALL)
    with pytest.raises(InputError, match="midazolam"):
        kt.simulate(spec, "10 mg esketamine oral", times=[1])


def test_a_table_of_results_has_what_was_carried_and_more():
    rows = {
        "TIME": [0, 1, 13, 30], "AMT": [10, 0, 0, 0], "ADDL": [1, 0, 0, 0], "II": [12, 0, 0, 0],
        "DV": [0.0, 5.5, 7.25, 1.0], "CMT": ["oral"] * 4,
    }  # fmt: skip
    spec = load_text(OCCASIONS)
    table = kt.EventTable.for_model(rows, spec, carry=["DV"], also=["TAD", "parameters"])
    frame = kt.simulate(spec, table).to_polars()
    assert frame["DV"].to_list() == [5.5, 7.25, 1.0]
    assert frame["TAD"].to_list() == [1.0, 1.0, 18.0]
    assert frame["CL_i"].to_list() == [5.0] * 3
    plain = kt.simulate(spec, kt.EventTable.for_model(rows, spec, carry=["DV"]))
    assert plain.to_polars().columns == ["ID", "TIME", "C", "CL", "DV"]


def test_a_row_for_each_dose_where_asked():
    rows = {"TIME": [0, 1, 2, 3], "AMT": [10, 0, 5, 0], "DV": [0.0, 5.5, 7.25, 1.0], "CMT": ["oral"] * 4}
    spec = load_text(OCCASIONS)
    one = kt.simulate(spec, kt.EventTable.for_model(rows, spec, also="doses")).to_polars()
    assert one["EVID"].to_list() == [1, 0, 1, 0] and one["AMT"].to_list() == [10, 0, 5, 0]
    alone = kt.simulate(spec, kt.EventTable.for_model(rows, spec)).to_polars()
    assert one.filter(one["EVID"] == 0)["C"].to_list() == alone["C"].to_list()
    # residual error of an observation does not depend on the rows shown beside it
    noisy = [
        kt.simulate(
            spec,
            kt.EventTable.for_model(rows, spec, also=also),
            population=kt.Population(1, seed=3, residual=True),
        ).to_polars()
        for also in ("", "doses")
    ]
    assert noisy[1].filter(noisy[1]["EVID"] == 0)["C"].to_list() == noisy[0]["C"].to_list()
    with pytest.raises(InputError, match="also: got 'dosis'"):
        kt.EventTable.for_model(rows, spec, also="dosis")
    with pytest.raises(InputError, match="no table of outputs"):
        kt.nca(rows, also="doses")


def test_what_goes_along_keeps_its_name_and_nothing_is_lost():
    rows = {"TIME": [0, 1], "AMT": [10, 0], "DV": [0.0, 5.5], "TAD": [7, 8], "CMT": ["oral"] * 2}
    spec = load_text(OCCASIONS)
    table = kt.EventTable.for_model(rows, spec, carry=["TAD"], also=["tad", "parameters"])
    frame = kt.simulate(spec, table).to_polars()
    assert frame["TAD"].to_list() == [8] and frame["TAD_"].to_list() == [1.0]
