"""A person's levels: what is read, scored, learned and refused."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

import kinetamine as kt
from kinetamine.errors import FaultyFile, InputError, KinetamineError, NoData
from kinetamine.inference import pareto, ranges
from kinetamine.inference.mixture import weighted_quantiles
from kinetamine.likelihood import score, stated
from kinetamine.observations import parse
from kinetamine.observations.table import read_table
from kinetamine.population.residual import ResidualError
from kinetamine.results.export import plain

OTTO, NASAL = "otto_2021_s_ketamine", "perez_ruixo_2021_esketamine"
ONE = """
format = 1
id = "one"
drug = "S-ketamine"
parameters = { V = { value = 100, unit = "L" }, CL = { value = 50, unit = "L/h" } }
variability = { v = { etas = ["V"], sd = [0.4] } }
individual = { V_i = "V * exp(eta.V)" }
compartments = { central = {} }
flows = { out = { from = "central", rate = "CL * central / V_i" } }
entries = { iv = [{ to = "central" }] }
outputs = { "S-ketamine" = { value = "central / V_i", unit = "ng/mL", site = "venous plasma" } }
residual = { "S-ketamine" = { kind = "proportional", sd = 0.2 } }
"""
ERRORS = [
    ResidualError("proportional", 0.2, 0.0),
    ResidualError("additive", 0.0, 2.0),
    ResidualError("combined", 0.2, 1.0),
    ResidualError("lognormal", 0.3, 0.0),
]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "one.toml"
    path.write_text(ONE)
    return path


# ---- phrases


@pytest.mark.parametrize(
    ("phrase", "low", "high", "hours", "site"),
    [
        ("S-ketamine 46 ng/mL at 40 min", 46, 46, 2 / 3, None),
        ("S-ketamine <0.5 ng/mL at 24 h", 0, 0.5, 24, None),
        ("S-ketamine > 500 ng/mL after 5 min", 500, math.inf, 1 / 12, None),
        ("norketamine 10 to 20 ng/mL at 2 h in venous plasma", 10, 20, 2, "venous plasma"),
        ("ketamine between 3 and 4 ng/mL at 1 d", 3, 4, 24, None),
        ("S-ketamine: 4,5 ng/mL @ 3 h", 4.5, 4.5, 3, None),
        ("2R,6R-hydroxynorketamine 12 ng/mL at 4 h", 12, 12, 4, None),
        ("MADRS 21 on day 7", 21, 21, 168, None),
    ],
)
def test_phrases_are_read_as_meant(
    phrase: str, low: float, high: float, hours: float, site: str | None
) -> None:
    found = parse(phrase)[0]
    assert (found.low, found.high, found.site) == (low, high, site)
    assert found.time_h == pytest.approx(hours)


def test_a_phrase_reads_back() -> None:
    for text in ("S-ketamine 46 ng/mL at 40 min", "S-ketamine <0.5 ng/mL at 24 h", "MADRS 21 on day 7"):
        assert str(parse(text)[0]) == text


def test_a_sample_after_death_is_refused() -> None:
    with pytest.raises(FaultyFile, match="after death"):
        parse("ketamine 2 mg/L at 5 h in femoral blood")


def test_all_faults_come_at_once_and_no_cure_invents_a_number() -> None:
    with pytest.raises(FaultyFile) as caught:
        parse(["S-ketamine 46 at 40 min", "S-ketamine 46 ng/mL", "S-ketamine -3 ng/mL at 1 h", "nonsense"])
    faults = caught.value.faults
    assert len(faults) == 4
    assert "unit" in faults[0].expected
    assert "when it was taken" in faults[1].try_
    assert "negative" in faults[2].expected


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_no_text_gives_a_traceback(text: str) -> None:
    with contextlib.suppress(KinetamineError):
        parse(text)


# ---- likelihood


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
def test_densities_integrate_to_one_and_limits_to_their_share(error: ResidualError) -> None:
    f = 10.0

    def density(y: float) -> float:
        seen = np.array([y])
        return float(np.exp(score(error, np.array([f]), seen, seen).log[0]))

    start = 1e-9 if error.kind == "lognormal" else -40.0
    total = integrate.quad(density, start, 200, limit=300, points=[f])[0]
    assert total == pytest.approx(1.0, abs=1e-6)
    below = integrate.quad(density, start, 8.0, limit=300)[0]
    low = np.array([-np.inf])
    assert np.exp(score(error, np.array([f]), low, np.array([8.0])).log[0]) == pytest.approx(below, abs=1e-6)


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: e.kind)
def test_slopes_are_derivatives(error: ResidualError) -> None:
    f = np.array([8.0, 3.0, 12.0, 5.0, 1.0])
    low, high = np.array([10.0, 0.0, 9.0, 7.0, 30.0]), np.array([10.0, 4.0, np.inf, 8.0, 31.0])
    h = 1e-6
    change = score(error, f + h, low, high).log - score(error, f - h, low, high).log
    np.testing.assert_allclose(score(error, f, low, high).slope, change / (2 * h), rtol=1e-5, atol=1e-7)


def test_stated_errors() -> None:
    assert stated("20 %", "ng/mL") == ResidualError("proportional", 0.2, 0.0)
    assert stated("2 ug/L", "ng/mL").additive == pytest.approx(2.0)
    assert stated("30 % lognormal", "ng/mL") == ResidualError("lognormal", 0.3, 0.0)
    for text in ("20", "-3 %", "", "20 mg", "0 %"):
        with pytest.raises(InputError):
            stated(text, "ng/mL")


# ---- weights


def test_pareto_k_tells_heavy_tails_from_light_ones() -> None:
    rng = np.random.default_rng(4)
    assert pareto.smooth(rng.standard_normal(20_000))[1] < 0.5
    heavy = stats.genpareto.rvs(0.9, size=20_000, random_state=5)
    assert 0.75 < pareto.smooth(np.log(heavy + 1e-9))[1] < 1.05


def test_weighted_quantiles_of_equal_weights_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).standard_normal((2001, 3))
    found = weighted_quantiles(values, np.ones(2001), [0.05, 0.5, 0.95])
    np.testing.assert_allclose(found, np.quantile(values, [0.05, 0.5, 0.95], axis=0, method="hazen"))


# ---- posterior


def _exact(levels: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Mean and SD of eta, and the evidence, of the model `ONE` by quadrature; dose 10 mg iv."""
    error = ResidualError("proportional", 0.2, 0.0)
    eta = np.linspace(-2.4, 2.4, 20_001)
    v = 100 * np.exp(eta)
    log = stats.norm.logpdf(eta, 0, 0.4)
    for time, low, high in levels:
        f = 1e3 * 10 / v * np.exp(-50 / v * time)
        log = log + score(error, f, np.full_like(f, low), np.full_like(f, high)).log
    mass = np.trapezoid(np.exp(log), eta)
    p = np.exp(log) / mass
    mean = np.trapezoid(p * eta, eta)
    return mean, math.sqrt(np.trapezoid(p * (eta - mean) ** 2, eta)), math.log(mass)


@pytest.mark.parametrize("method", ["importance", "smc"])
def test_posterior_of_one_effect_is_that_of_quadrature(one: Path, method: str) -> None:
    phrases = ["S-ketamine 40 ng/mL at 1 h", "S-ketamine <20 ng/mL at 3 h"]
    mean, sd, log_evidence = _exact([(1.0, 40.0, 40.0), (3.0, 0.0, 20.0)])
    post = kt.posterior(one, "10 mg iv", phrases, method=method)
    draws = post.one().draws
    eta = 0.4 * draws.z[:, 0]
    found = float(draws.weights @ eta)
    assert found == pytest.approx(mean, abs=0.05 * sd + (0.1 * sd if method == "smc" else 0))
    assert math.sqrt(draws.weights @ (eta - found) ** 2) == pytest.approx(sd, rel=0.1)
    assert draws.log_evidence == pytest.approx(log_evidence, abs=0.02 if method == "importance" else 0.15)


def test_same_seed_same_draws_and_no_data_far_away_is_the_prior(one: Path) -> None:
    a = kt.posterior(one, "10 mg iv", "S-ketamine 40 ng/mL at 1 h", seed=3)
    b = kt.posterior(one, "10 mg iv", "S-ketamine 40 ng/mL at 1 h", seed=3)
    assert (a.one().draws.z == b.one().draws.z).all()
    vague = kt.posterior(one, "10 mg iv", "S-ketamine 0 to 5000 ng/mL at 1 h").summary()
    assert vague["shrinkage"].abs().max() < 0.1  # type: ignore[operator]


def test_a_posterior_is_a_population(tmp_path: Path) -> None:
    post = kt.posterior(
        OTTO, "10 mg iv over 30 min",
        ["S-ketamine 46 ng/mL at 40 min", "S-norketamine 12 ng/mL at 2 h"], kt.Patient(weight=80),
    )  # fmt: skip
    people = post.people(500)
    curve = kt.simulate(OTTO, "10 mg iv over 30 min", people, times=[2 / 3, 2])
    prior = kt.simulate(OTTO, "10 mg iv over 30 min", kt.Population(500, seed=1, weight=80), times=[2 / 3, 2])
    after, before = np.std(np.log(curve["S-ketamine"][:, 0])), np.std(np.log(prior["S-ketamine"][:, 0]))
    assert after < 0.9 * before
    fit = post.fit()["posterior_median"].to_list()
    np.testing.assert_allclose(np.median(curve["S-ketamine"][:, 0]), fit[0], rtol=0.03)
    path = tmp_path / "me.json"
    post.save(path, n=500)
    again = kt.Individuals.read(path)
    np.testing.assert_array_equal(
        kt.simulate(OTTO, "10 mg iv over 30 min", again, times=[1])["S-ketamine"],
        kt.simulate(OTTO, "10 mg iv over 30 min", people, times=[1])["S-ketamine"],
    )
    assert json.loads(path.read_text())["grade"] == "fitted"
    rows = kt.effects(
        "10 mg iv over 30 min", model=OTTO, population=post.people(50), effects=["dissociation"]
    )
    assert 0 <= rows.rows[0].affected <= 1


def test_values_in_a_wrong_unit_are_flagged() -> None:
    right = kt.posterior(OTTO, "10 mg iv over 30 min", "S-ketamine 36 ng/mL at 40 min")
    wrong = kt.posterior(OTTO, "10 mg iv over 30 min", "S-ketamine 36 mg/L at 40 min")
    assert right.grade == "fitted"
    assert wrong.grade == "uncertain"
    assert any("check units" in text for text in wrong.remarks)


def test_amounts_of_substance_are_converted_by_the_molar_mass() -> None:
    a = kt.posterior(OTTO, "10 mg iv over 30 min", "S-ketamine 23.7725 ng/mL at 1 h").one().matched.low
    b = kt.posterior(OTTO, "10 mg iv over 30 min", "S-ketamine 100 nmol/L at 1 h").one().matched.low
    np.testing.assert_allclose(a, b, rtol=1e-3)


def test_models_are_weighed_by_their_evidence() -> None:
    dose = "28 mg iv over 40 min"
    level = kt.simulate(OTTO, dose, times=[1.0, 6.0])["S-ketamine"][0]
    phrases = [f"S-ketamine {v:g} ng/mL at {t} h" for v, t in zip(level, (1, 6), strict=True)]
    post = kt.posterior([OTTO, NASAL], dose, phrases)
    assert sum(post.weights.values()) == pytest.approx(1.0)
    assert post.weights[OTTO] > 0.3
    mixture = post.forecast(until="6 h", n=200)
    assert mixture.analytes()
    bands = mixture.quantiles(mixture.analytes()[0])
    assert (bands[0.05] <= bands[0.95]).all()


# ---- refusals


@pytest.mark.parametrize(
    ("model", "level", "error", "word"),
    [
        ("kamp_2020_meta_racemic", "S-ketamine 50 ng/mL at 1 h", NoData, "between-subject"),
        ("herd_2007_children_ed", "ketamine 50 ng/mL at 1 h", NoData, "residual"),
        (OTTO, "R-ketamine 50 ng/mL at 1 h", FaultyFile, "R-ketamine"),
        (OTTO, "S-ketamine 50 ng/mL at 1 h in arterial plasma", FaultyFile, "site"),
        (OTTO, "S-ketamine 50 mg at 1 h", FaultyFile, "unit"),
        (OTTO, "S-ketamine 50 ng/mL at -1 h", KinetamineError, "time"),
    ],
)
def test_what_cannot_be_learned_is_refused(model: str, level: str, error: type, word: str) -> None:
    with pytest.raises(error, match=word):
        kt.posterior(model, "10 mg iv over 30 min", level, kt.Patient(age=10, weight=30))


def test_a_stated_error_is_graded_assumed() -> None:
    post = kt.posterior(
        "herd_2007_children_ed", "20 mg iv over 1 min", "ketamine 400 ng/mL at 30 min",
        kt.Patient(age=6, weight=20), residual={"ketamine": "20 %"},
    )  # fmt: skip
    assert post.grade in ("assumed", "uncertain")
    assert any("assumed" in text for text in post.remarks)


# ---- doses: searched, and unknown


def test_search_finds_the_dose_that_reaches_a_target(one: Path) -> None:
    found = kt.search_dose(
        one, "1 to 100 mg iv", "S-ketamine Cmax 80 to 120 ng/mL", kt.Population(2000, seed=1), steps=21
    )
    best = float(found.best.split()[0])
    # Cmax = dose / V is log-normal with SD 0.4 about dose / 100 L
    p = stats.norm.cdf(np.log(1.2 * 100 / best / 10) / 0.4 + 0) - stats.norm.cdf(
        np.log(0.8 * 100 / best / 10) / 0.4
    )
    assert 8 < best < 12
    assert found.table["probability"].max() == pytest.approx(p, abs=0.05)
    assert not found.reached


def test_ranges_in_phrases() -> None:
    assert ranges.read("10 to 1000 mg oral, 0 to 24 h before").before_h == (0.0, 24.0)
    assert ranges.read("56 mg nasal every 2 to 7 d x 8").phrase(every=3.5) == "56 mg nasal every 3.5 d x 8"
    for text in ("1000 to 10 mg oral", "0 to 10 mg oral", "10 mg oral"):
        with pytest.raises(InputError):
            ranges.read(text)


def test_an_unknown_dose_of_a_known_time_is_that_of_quadrature(one: Path) -> None:
    found = kt.posterior(one, "1 to 100 mg iv", "S-ketamine 60 ng/mL at 1 h")
    # posterior of log dose, flat prior: quadrature over eta and dose
    eta, log_dose = np.linspace(-2, 2, 801), np.linspace(0, math.log(100), 801)
    v = 100 * np.exp(eta)[:, None]
    f = 1e3 * np.exp(log_dose)[None, :] / v * np.exp(-50 / v)
    seen = np.full(f.shape, 60.0)
    log = (
        score(ResidualError("proportional", 0.2, 0.0), f, seen, seen).log
        + stats.norm.logpdf(eta, 0, 0.4)[:, None]
    )
    p = np.exp(log).sum(axis=0)
    cumulative = np.cumsum(p) / p.sum()
    low, middle, high = (math.exp(np.interp(q, cumulative, log_dose)) for q in (0.05, 0.5, 0.95))
    np.testing.assert_allclose(found.interval()["dose"], (low, middle, high), rtol=0.06)
    assert found.probability(f"dose > {middle:g} mg") == pytest.approx(0.5, abs=0.04)
    assert "factor" in found.words()


def test_dose_and_time_stay_wide_with_one_sample_and_say_so() -> None:
    found = kt.posterior(NASAL, "10 to 1000 mg oral, 0 to 24 h before", "S-ketamine 46 ng/mL at 0 h")
    low, _, high = found.interval()["dose"]
    assert high / low > 3
    assert "No statement about a person's dose" in found.words()
    assert found.density()["density"].sum() == pytest.approx(1.0, abs=1e-6)


# ---- tables of people

DV = """ID,TIME,AMT,RATE,DV,DVID,WT
1,0,10,20,.,.,80
1,0.6667,.,.,46,S-ketamine,80
1,2,.,.,12,2,80
1,24,.,.,<1,1,80
2,0,10,20,.,.,60
2,1,.,.,30,1,60
"""


def test_each_person_of_a_table_is_learned_as_by_phrases(tmp_path: Path) -> None:
    path = tmp_path / "dv.csv"
    path.write_text(DV)
    found = kt.posterior(OTTO, path)
    assert list(found) == ["1", "2"]
    phrases = [
        "S-ketamine 46 ng/mL at 0.6667 h",
        "S-norketamine 12 ng/mL at 2 h",
        "S-ketamine <1 ng/mL at 24 h",
    ]
    alone = kt.posterior(OTTO, "10 mg iv at 20 mg/h", phrases, kt.Patient(weight=80))
    np.testing.assert_allclose(found["1"].one().draws.modes[0], alone.one().draws.modes[0], atol=1e-5)
    np.testing.assert_allclose(
        found["1"].summary()["median"].to_numpy()[:4], alone.summary()["median"].to_numpy()[:4], rtol=0.02
    )
    assert found["1"].patient.given["weight"] == 80
    assert found["2"].forecast("20 mg iv over 30 min", n=20, until="4 h").n == 20


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"46,S-ketamine": "abc,S-ketamine"}, "line 3: got DV 'abc'"),
        ({"12,2": "12,7"}, "line 4: got DVID '7'"),
        ({"12,2": ".,2"}, "MDV 1"),
        ({",DV,": ",XX,"}, "no DV"),
    ],
)
def test_a_table_whose_values_cannot_be_used_says_where(
    tmp_path: Path, change: dict[str, str], words: str
) -> None:
    text = DV
    for old, new in change.items():
        text = text.replace(old, new)
    path = tmp_path / "dv.csv"
    path.write_text(text)
    with pytest.raises(FaultyFile, match=words):
        kt.posterior(OTTO, path)


def test_censored_columns_of_monolix_and_nonmem_mean_the_same(tmp_path: Path) -> None:
    rows = [
        "1,0,10,20,.,1,.,.,.", "1,1,.,.,30,1,.,.,.",
    ]  # fmt: skip
    found = []
    for last in ("1,24,.,.,1,1,1,.,.", "1,24,.,.,.,1,.,1,1", "1,24,.,.,<1,1,.,.,."):
        path = tmp_path / "cens.csv"
        path.write_text("\n".join(["ID,TIME,AMT,RATE,DV,DVID,CENS,BLQ,LLOQ", *rows, last]) + "\n")
        found.append(kt.posterior(OTTO, path)["1"].one().draws.log_evidence)
    assert found[0] == found[1] == found[2]


def test_nothing_that_was_said_is_left_unused(tmp_path: Path) -> None:
    path = tmp_path / "dv.csv"
    path.write_text(DV)
    level = "S-ketamine 46 ng/mL at 40 min"
    for doses, said in (
        (path, {"observations": level}),
        (path, {"prior_weights": {OTTO: 2.0}}),
        ("10 mg iv", {"observations": level, "dv_unit": "ug/L"}),
        ("5 to 50 mg iv", {"observations": level, "method": "smc"}),
    ):
        with pytest.raises(InputError):
            kt.posterior(OTTO, doses, **said)  # type: ignore[arg-type]


def test_the_column_of_values_may_have_another_name(one: Path) -> None:
    rows = "ID,TIME,AMT,{0},EVID\n1,0,100,.,1\n1,2,.,{1},0\n"
    plain = kt.posterior(str(one), rows.format("DV", 300).encode())["1"]
    assert kt.posterior(str(one), rows.format("CONC", 300).encode())["1"].one().matched.low == 300
    renamed = kt.posterior(str(one), rows.format("Cp", 300).encode(), rename={"Cp": "DV"})["1"]
    assert renamed.one().matched.low == plain.one().matched.low == 300
    with pytest.raises(FaultyFile, match="no DV"):
        kt.posterior(str(one), rows.format("Cp", 300).encode())
    with pytest.raises(InputError, match="rename"):
        kt.posterior(str(one), "100 mg iv", ["S-ketamine 300 ng/mL at 2 h"], rename={"Cp": "DV"})


# ---- hostile tables

TABLE = """ID,TIME,AMT,RATE,DV,DVID,EVID,MDV,CENS,LIMIT,BLQ,LLOQ,SITE,WT
1,0,10,20,.,.,1,1,0,.,0,.,.,70
1,1,.,.,40.5,S-ketamine,0,0,0,.,0,.,venous plasma,70
1,2,.,.,<0.5,1,0,0,0,.,0,.,.,70
1,3,.,.,12,2,0,0,1,3,0,.,.,70
2,0,10,20,.,.,1,1,0,.,0,.,.,55
2,1.5,.,.,30,S-norketamine,0,0,-1,.,0,.,.,55
2,4,.,.,.,S-ketamine,0,0,0,.,1,0.5,.,55
"""
CELLS = [
    ".",
    "-1",
    "0",
    "1",
    "2",
    "3",
    "0.5",
    "<0.5",
    ">3",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "1e-320",
    "9999999999999999999",
    "S-ketamine",
    "s-norketamine",
    "ketamine",
    "NA",
    "BLQ",
    "plasma",
    "é",
    "=1+1",
]
CELLS += ["", '"', "venous plasma", "arterial plasma", "femoral blood", "\0"]
HEADS = [
    "ID",
    "TIME",
    "AMT",
    "RATE",
    "DV",
    "CONC",
    "DVID",
    "EVID",
    "MDV",
    "CENS",
    "LIMIT",
    "BLQ",
    "LLOQ",
    "SITE",
    "WT",
    "CMT",
    "X",
]


def mutated(rng: np.random.Generator) -> bytes:
    rows = [line.split(",") for line in TABLE.strip().split("\n")]
    for _ in range(int(rng.integers(1, 4))):
        kind, i = int(rng.integers(10)), int(rng.integers(len(rows)))
        j = int(rng.integers(len(rows[i])))
        if kind < 7:
            rows[i][j] = str(rng.choice(HEADS if i == 0 else CELLS))
        elif kind == 7:
            rows.insert(i, list(rows[int(rng.integers(len(rows)))]))
        elif kind == 8:
            rows = [row[:j] + row[j + 1 :] for row in rows]
        elif len(rows) > 2:
            rows.pop(i)
    text = "\n".join(",".join(row) for row in rows)
    if rng.random() < 0.1:
        at = int(rng.integers(len(text)))
        text = text[:at] + str(rng.choice(CELLS)) + text[at + int(rng.integers(4)) :]
    return text.encode()


def hostile(first: int, many: int, learn_each: int) -> int:
    """How many of so many mutated tables were read; each other one was refused in words."""
    spec = kt.load_model(OTTO)
    read = 0
    for k in range(first, first + many):
        table = mutated(np.random.default_rng([8, k]))
        with contextlib.suppress(KinetamineError):
            read_table(table, spec)
            read += 1
            if k % learn_each == 0:
                for post in kt.posterior(OTTO, table, n=200).values():
                    json.dumps(plain(post.to_dict(2)), allow_nan=False)
    return read


def test_mutated_tables_are_read_or_refused() -> None:
    assert 3 < hostile(0, 60, 30) < 57


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_ten_thousand_mutated_tables_are_read_or_refused(part: int) -> None:
    assert 50 < hostile(1250 * part, 1250, 100) < 1200


# ---- urine and ratios


def test_urine_bounds_a_dose_as_detection_has_it() -> None:
    doses, when = "5 to 500 mg oral, 1 to 48 h before", "at 0 h in urine"
    error = {"S-ketamine in urine": "30 %"}
    with pytest.raises(NoData, match=r"S-ketamine in urine"):
        kt.posterior(NASAL, doses, [f"S-ketamine 200 ng/mL {when}"])
    one = kt.posterior(NASAL, doses, [f"S-ketamine 200 ng/mL {when}"], residual=error)
    low = kt.posterior(NASAL, doses, [f"S-ketamine 2 ng/mL {when}"], residual=error)
    assert one.interval()["dose"][1] > low.interval()["dose"][1]
    assert one.interval()["time"][1] < low.interval()["time"][1]
    assert any("urine" in text for text in one.remarks)
    # a known dose and time: the concentration expected is what detect computes, within the spread of people
    found = kt.detect("84 mg nasal", assay="lc_ms_ms", population=kt.Population(400, seed=2), model=NASAL)
    window = next(d for d in found.detections if d.analyte == "ketamine")
    level = f"S-ketamine {window.cut_off:g} ng/mL at 0 h in urine"
    back = kt.posterior(NASAL, "84 mg nasal, 1 to 200 h before", [level], residual=error)
    assert back.interval()["time"][1] == pytest.approx(window.window_h[0.5], rel=0.2)


def test_a_ratio_of_metabolite_and_parent_tells_the_time_not_the_dose() -> None:
    doses = "10 to 1000 mg oral, 0 to 24 h before"
    early, late = (
        kt.posterior(NASAL, doses, [f"S-norketamine/S-ketamine {ratio} at 0 h"]).interval()
        for ratio in (1, 20)
    )
    assert early["time"][1] < late["time"][1]
    assert early["dose"][2] / early["dose"][0] > 50  # the ratio hardly knows the dose
    for values in (["S-ketamine 20 ng/mL at 1 h in urine"], ["S-norketamine/S-ketamine 2 at 1 h"]):
        with pytest.raises(FaultyFile, match="a range in the doses"):
            kt.posterior(NASAL, "84 mg nasal", values)
    with pytest.raises(FaultyFile, match="a ratio without a unit"):
        kt.posterior(NASAL, doses, ["S-norketamine/S-ketamine 2 ng/mL at 1 h"])


@pytest.mark.parametrize("method", ["auto", "importance", "smc", "laplace"])
def test_a_value_that_nobody_could_have_is_refused(method: str) -> None:
    with pytest.raises(InputError, match="no person of this model could give rise"):
        kt.posterior(OTTO, "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 0 h"], method=method)


def test_a_figure_is_no_surer_than_the_answer(tmp_path: Path) -> None:
    from kinetamine.inference.bands import bands
    from kinetamine.models.library import load
    from kinetamine.report import figures

    path = tmp_path / "dv.csv"
    path.write_text(DV)
    known = kt.simulate(OTTO, kt.EventTable.for_model(path, load(OTTO))).outputs
    one = kt.posterior(OTTO, path)["1"]
    assert [band.grade for band in bands(one)] == [known[band.name].grade for band in bands(one)]
    stated = kt.posterior(
        OTTO, "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"], residual={"S-ketamine": "20 %"}
    )
    assert f"{bands(stated)[0].grade}, assumed" in str(figures.values(stated).to_dict())


def test_what_an_answer_cannot_use_is_refused() -> None:
    from kinetamine.inference.answer import answer

    found = kt.posterior("hierarchical", "usual care", ["MADRS 34 on day 0", "MADRS 30 on day 7"])
    with pytest.raises(InputError, match="people"):
        answer(found).to_dict(50)
    with pytest.raises(InputError, match="booster"):
        answer(found, booster=[])
