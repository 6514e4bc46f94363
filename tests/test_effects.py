"""Acute effects: the file format, models linked, crossings, and what the page that started this asks."""

import csv
import io
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

import kinetamine as kt
from kinetamine import choice
from kinetamine.cli import app
from kinetamine.effects import crossing, selection
from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.models import library
from kinetamine.models.link import link, readings, side_by_side

MW = 237.73  # g/mol, ketamine

EFFECT = """
format = 1
id = "mine"
kind = "effect"
drug = "S-ketamine"
[drives]
C = { analyte = "S-ketamine", site = "arterial plasma" }
[parameters]
C50 = { value = 100, unit = "ng/mL" }
t_half = { value = 5, unit = "min" }
[effect_sites]
Ce = { follows = "C", rate = "log(2) / t_half" }
[outputs]
"high" = { value = "10 * (1 - 1 / (1 + (Ce / C50)^2))", unit = "1", site = "effect", scale = "score", range = [0, 10], direction = "rises", baseline = "0", threshold = { value = 5, meaning = "half of the scale" } }
"""  # noqa: E501


SMALL = """
format = 1
id = "small"
drug = "S-ketamine"
[parameters]
k = { value = 0.8, unit = "1/h" }
V = { value = 50, unit = "L" }
[variability]
V = { etas = ["V"], sd = [0.3] }
[individual]
V_i = "V * exp(eta.V)"
[compartments]
central = {}
nor = {}
[flows]
change = { from = "central", to = "nor", rate = "k * central" }
out = { from = "nor", rate = "k * nor" }
[entries]
iv = [{ to = "central" }]
[outputs]
"S-ketamine" = { value = "central / V_i", unit = "ng/mL", site = "arterial plasma" }
"S-norketamine" = { value = "nor / V_i", unit = "ng/mL", site = "arterial plasma" }
"""


def small(*changes):
    text = SMALL
    for old, new in changes:
        text = text.replace(old, new)
    return library.load_text(text, "small.toml")


def mine(*changes):
    text = EFFECT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return library.load_text(text, "mine.toml")


def one(doses, effect, **more):
    rows = kt.effects(doses, effects=effect, **more)
    assert len(rows) == 1
    return rows[0]


# --- the file ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"arterial plasma"', '"artery"', "drives.C.site: got 'artery'"),
        ("[drives]\nC = {", "[drives]\nD = {", "effect_sites.Ce.follows: got 'C'"),
        (', direction = "rises"', "", "outputs.high.direction: got nothing"),
        (', scale = "score"', "", "outputs.high.scale: got nothing"),
        (
            ', threshold = { value = 5, meaning = "half of the scale" }',
            "",
            "outputs.high.threshold: got nothing",
        ),
        ("range = [0, 10]", "range = [10, 0]", "outputs.high.range: got [10.0, 0.0]"),
        ('kind = "effect"', 'kind = "pk"', "drives: got a table in a model of kind 'pk'"),
        (
            "[outputs]",
            "[compartments]\ncentral = {}\n[outputs]",
            "compartments: got a table in a model of kind",
        ),
        ('baseline = "0"', 'baseline = "Ce"', "outputs.high.baseline: got 'Ce'"),
        ('site = "arterial plasma" }', 'site = "plasma", unit = "mg" }', "drives.C.unit: got 'mg'"),
        (
            "[outputs]",
            '[variability]\nC = { etas = ["C"], sd = [1], level = "occasion" }\n[outputs]',
            "C.level",
        ),
        ("(Ce / C50)^2", "(Ce / t_half)^2", "outputs.high.value"),
    ],
)
def test_a_faulty_effect_file_says_where(old, new, told):
    with pytest.raises(FaultyFile) as error:
        mine((old, new))
    assert told in str(error.value)


def test_a_pk_model_needs_the_rate_of_its_effect_sites():
    text = library.load("otto_2021_s_ketamine").text
    text += '\n[effect_sites]\nbrain = { follows = "central / V1_i" }\n'
    with pytest.raises(FaultyFile, match=r"effect_sites\.brain\.rate: got nothing"):
        library.load_text(text, "otto.toml")


def test_both_kinds_are_listed_and_an_incomplete_one_says_what_is_missing():
    kinds = {e.id: e.kind for e in library.available()}
    assert kinds["otto_2021_s_ketamine"] == "pk" and kinds["nmda_occupancy"] == "effect"
    lacking = [e for e in library.available() if e.kind == "effect" and e.status == "incomplete"]
    assert {e.id for e in lacking} >= {"sigtermans_2009", "hayley_2018_driving"}
    with pytest.raises(NoData, match="Hill exponents"):
        kt.effects("10 mg iv", effects="sigtermans_2009")


def test_an_effect_model_alone_does_not_run():
    with pytest.raises(InputError, match="an effect model; expected a pk model"):
        kt.simulate("nmda_occupancy", "10 mg iv")


# --- linked ------------------------------------------------------------------------------------------


def test_linked_the_pk_stays_and_the_effect_is_the_formula():
    people, times = kt.Population(20, seed=3), np.arange(0, 3, 0.25)
    alone = kt.simulate(small(), "20 mg iv", people, times=times)
    both = link(small(), mine())
    r = kt.simulate(both, "20 mg iv", people, times=times)
    np.testing.assert_allclose(r["S-ketamine"], alone["S-ketamine"], rtol=1e-9, atol=1e-12)
    assert r["high"].shape == (20, len(times)) and 0 < r["high"].max() < 10
    assert both.digest != small().digest


def test_an_effect_site_is_exact():
    """A bolus into one compartment: the site's closed form."""
    shown = mine(('"10 * (1 - 1 / (1 + (Ce / C50)^2))"', '"Ce / C50"'))
    t = np.array([0.1, 0.5, 1.0, 2.0])
    r = kt.simulate(link(small(), shown), "20 mg iv", times=t)
    ke0, k = math.log(2) * 12, 0.8
    site = 20 / 50 * ke0 / (ke0 - k) * (np.exp(-k * t) - np.exp(-ke0 * t))
    np.testing.assert_allclose(r["high"][0], site / 0.1, rtol=1e-9)


def test_arterial_effects_do_not_read_venous_curves():
    with pytest.raises(NoData, match=r"venous plasma.*allow_site_mismatch=True"):
        link("otto_2021_s_ketamine", "olofsen_2022_perception")
    venous = small(("arterial", "venous"))
    r = kt.simulate(link(venous, mine(), allow_site_mismatch=True), "20 mg iv", times=[0.1, 0.5])
    graded = r.output("high")
    assert graded.grade == "extrapolated" and "gives it in venous plasma" in graded.reasons[0]
    assert r.output("S-ketamine").grade == "range not stated"


def test_the_racemate_is_half_and_half_and_their_sum():
    other = small(('"small"', '"other"'), ("S-", "R-"), ("value = 0.8", "value = 0.5"))
    times = [0.25, 1, 3]
    apart = kt.simulate([small(), other], "40 mg racemate iv", times=times)
    both = side_by_side([small(), other])
    assert list(both.outputs)[-2:] == ["ketamine", "norketamine"]
    r = kt.simulate(link(both, "schuettler_1987_eeg_racemate"), "40 mg iv", times=times)
    np.testing.assert_allclose(r["S-ketamine"], apart["S-ketamine"], rtol=1e-9)
    np.testing.assert_allclose(r["ketamine"], apart["S-ketamine"] + apart["R-ketamine"], rtol=1e-9)
    np.testing.assert_allclose(r["EEG slowing"], r["ketamine"] / 2000, rtol=0.01)  # 11 s behind
    with pytest.raises(InputError, match="one model of S-ketamine and one of R-ketamine"):
        side_by_side(["noppers_2011_s_ketamine", "otto_2021_s_ketamine"])


def test_one_enantiomer_may_stand_alone_only_for_its_own_doses():
    with pytest.raises(NoData, match="other enantiomer"):
        kt.simulate(link("noppers_2011_s_ketamine", "nmda_occupancy"), "10 mg racemate iv", times=[1])
    with pytest.raises(NoData, match="R-ketamine too"):
        kt.effects("10 mg racemate iv", model="noppers_2011_s_ketamine", effects="nmda_occupancy")


def test_what_a_pk_model_lacks_is_refused_or_said():
    load = library.load
    with pytest.raises(NoData, match=r"expected S-norketamine in arterial plasma; try the model simons_2022"):
        readings(load("noppers_2011_s_ketamine"), load("kamp_2021_cardiac_output"))
    found = readings(load("noppers_2011_s_ketamine"), load("nmda_occupancy"))
    assert [r.output for r in found] == ["S-ketamine", None, None, None]
    assert "its share of the occupancy is missing" in found[2].remark
    with pytest.raises(NoData):
        readings(load("kamp_2020_meta_racemic"), load("schuettler_1987_eeg_s"))


# --- numbers by hand ---------------------------------------------------------------------------------


def at(model, output, **mg_per_l):
    """An output at steady concentrations, in its unit."""
    spec = library.load(model)
    env = {name: spec.inside(name) for name in spec.parameters}
    env |= {f"eta.{n}": 0.0 for n in spec.subject_etas}
    env |= dict.fromkeys(spec.drives, 0.0) | mg_per_l
    for table in (spec.individual, {n: s.follows for n, s in spec.effect_sites.items()}):
        for name, text in table.items():
            env[name] = evaluate(parse(text), env)
    return evaluate(parse(spec.outputs[output].value), env) * spec.output_factor[output]


def test_occupancy_has_the_right_units():
    # 100 ng/mL = 100 ug/L; / 237.73 g/mol = 0.4206 umol/L = 420.6 nmol/L; 53 % free: 222.9 nmol/L against 300
    free_nmol_l = 100 / MW * 1000 * 0.53
    by_hand = 100 * free_nmol_l / (free_nmol_l + 300)
    assert by_hand == pytest.approx(42.6, abs=0.05)
    assert at("nmda_occupancy", "NMDA occupancy, Ebert 1997, 53 % free", C_S=0.1) == pytest.approx(by_hand)


def test_occupancy_competes_and_shows_its_spread():
    name = "NMDA occupancy, Ebert 1997, 53 % free"
    s, r = at("nmda_occupancy", name, C_S=0.1), at("nmda_occupancy", name, C_R=0.1)
    both = at("nmda_occupancy", name, C_S=0.1, C_R=0.1, N_S=0.05)
    assert s > r and max(s, r) < both < s + r + 10
    found = [at("nmda_occupancy", o, C_S=0.1) for o in library.load("nmda_occupancy").outputs]
    assert len(found) == 10 and min(found) < 10 < 60 < max(found)


def test_published_points_are_met():
    # racemic C100 from S and R; 25 % more cardiac output at C25; 1.2 cm less pain where the abstract says so
    # half of 0.62 nmol/mL each; the effect site's U is 1 where the threshold has doubled
    half = 0.62 / 2 * MW / 1000
    for sign in ("adds", "subtracts"):
        name = f"pressure pain threshold, norketamine {sign}"
        assert at("dahan_2024_pressure_pain", name, C_S=half, C_R=half) == pytest.approx(2 * 48.9, rel=0.01)
    assert at("kamp_2021_cardiac_output", "cardiac output", C=1.68 * MW / 1000) == pytest.approx(6.8 * 1.25)
    assert at("kamp_2021_cardiac_output", "cardiac output", C=0.32) == pytest.approx(6.8 * 1.20, rel=0.002)
    assert at("olofsen_2012_pain", "pain score change", C=0.1, N=0.05) == pytest.approx(-2.3)
    assert at("herd_2008_children", "sedation level", C=0.56) == pytest.approx(5 * (1 - 0.939 / 2))
    assert at("jonkman_2018_remifentanil", "remifentanil needed for the same depression", C=0.127) == 2
    assert at("bowdle_1998_psychedelic", "psychedelic items, high slope", C=0.2) == pytest.approx(89)
    assert at("coulter_2014_tetanus", "no response to tetanus", C=0.64 * 9 ** (1 / 5.4)) == pytest.approx(0.9)


# --- crossings ---------------------------------------------------------------------------------------


def test_crossings_are_those_of_the_exact_curve():
    people, times = kt.Population(30, seed=2), np.arange(0, 4, 1 / 720)
    row = one("8 mg iv", mine(), model=small(), population=people)
    r = kt.simulate(link(small(), mine()), "8 mg iv", people, times=times)
    there = r["high"] >= 5
    some = there.any(axis=1)
    assert 0.5 < some.mean() < 1
    onset = 60 * times[there.argmax(axis=1)][some]
    offset = 60 * times[len(times) - 1 - there[:, ::-1].argmax(axis=1)][some]
    assert row.affected == pytest.approx(some.mean(), abs=1e-4)
    assert row.onset_min["q50"] == pytest.approx(np.median(onset), abs=0.1)
    assert row.offset_min["q95"] == pytest.approx(np.quantile(offset, 0.95), abs=0.2)
    assert row.peak_min["q50"] == pytest.approx(60 * np.median(times[r["high"].argmax(axis=1)][some]), abs=1)


def test_an_output_of_two_signals_is_computed():
    people, times = kt.Population(10, seed=2), np.arange(0, 3, 1 / 720)
    row = one("8 mg iv", "cardiac output", model=small(), population=people, threshold=7.2)
    spec = link(small(), "kamp_2021_cardiac_output")
    there = kt.simulate(spec, "8 mg iv", people, times=times)["cardiac output"] >= 7.2
    assert row.affected == pytest.approx(there.any(axis=1).mean(), abs=1e-4)
    onset = 60 * times[there.argmax(axis=1)][there.any(axis=1)]
    assert row.onset_min["q50"] == pytest.approx(np.median(onset), abs=0.1)
    assert row.threshold == "7.2 L/min (asked for)"


def signals(weights, rate, *limits):
    return crossing.Signals([crossing.Signal(weights, rate, np.array(limits))])


def test_a_falling_effect_and_one_never_there():
    curve = np.array([[[0.0, 1.0, 4.0, 0.0]]])
    times = np.arange(4.0)
    limit = crossing.limit_of(lambda s: 2.5 - 5 / (1 + s), 1)
    assert limit == pytest.approx([1.0])
    at_once = np.full((1, 1), np.inf)
    found = crossing.cross(curve, signals(np.ones((1, 1, 1)), at_once, limit), times)[0, 0]
    np.testing.assert_allclose(found, [1, 2.75, 2, 4])
    never = crossing.limit_of(lambda s: s / (1 + s) - 2, 1)
    assert np.isinf(never).all()
    found = crossing.cross(curve, signals(np.ones((1, 1, 1)), at_once, never), times)[0, 0]
    assert np.isnan(found[:2]).all()
    assert crossing.limit_of(lambda s: np.sin(s), 1) is None


@pytest.mark.parametrize("weights", [np.array([[2.0]]), np.array([[1.0], [1.0]])])
def test_a_site_follows_a_straight_line_exactly(weights):
    times = np.array([0.0, 0.3, 1.0, 2.5])
    curves = np.repeat(times[None, None], len(weights), axis=0)
    got = crossing.follow(curves, weights, np.array([0.7]), times)[0]
    np.testing.assert_allclose(got, 2 * (times - (1 - np.exp(-0.7 * times)) / 0.7), rtol=1e-12)


def test_signals_of_many_patients_are_those_of_each_alone():
    rng, n, times = np.random.default_rng(3), 21, np.r_[0, np.cumsum([0.1, 0.2, 0.5] * 50)]
    curves = np.abs(np.cumsum(rng.normal(size=(2, n, len(times))), axis=2))
    curves[1, 5, 40] = np.nan  # a failed patient
    rate = np.stack([np.where(np.arange(n) % 3, 2.0, np.inf), np.full(n, np.inf), rng.uniform(1, 3, n)])
    weights, limits = rng.uniform(0.5, 1, (3, 2, n)), np.stack([np.full(n, 6.0), np.full(n, 1e9)])
    weights[1, 0] = 0
    kinds = [[0], [1], [2], [0, 1, 2]]
    many = crossing.Signals(crossing.Signal(weights[k], rate[k], limits) for k in kinds)
    found = crossing.cross(curves, many, times)
    assert np.isnan(found[:, 5]).all() and np.isfinite(found[::2, 0, 0]).all()
    assert np.isnan(found[1::2, :, :2]).all()
    np.testing.assert_array_equal(crossing.cross(curves[:, 8:], many, times, 8), found[:, 8:])
    for p in (0, 1, 20):
        for row, k in enumerate(kinds):
            parts = [crossing.follow(curves[:, [p]], weights[j][:, [p]], rate[j, [p]], times)[0] for j in k]
            value, got = np.sum(parts, axis=0), found[2 * row, p]
            assert (got[2], got[3]) == (times[value.argmax()], pytest.approx(value.max(), rel=1e-12))
            above = np.flatnonzero(value >= 6)
            if above[0] > 0:
                assert times[above[0] - 1] < got[0] <= times[above[0]]
            if above[-1] < len(times) - 1:
                assert times[above[-1]] <= got[1] < times[above[-1] + 1]


def test_an_output_that_is_no_sum_is_computed_at_all_times():
    both = mine(
        ("[parameters]", 'N = { analyte = "S-norketamine", site = "arterial plasma" }\n[parameters]'),
        ("10 * (1 - 1 / (1 + (Ce / C50)^2))", "Ce * N / C50^2"),
        ("range = [0, 10], ", ""),
        ("value = 5, meaning", "value = 0.1, meaning"),
    )
    people, times = kt.Population(20, seed=2), np.arange(0, 4, 1 / 720)
    row = one("8 mg iv", both, model=small(), population=people, until=4.0)
    there = kt.simulate(link(small(), both), "8 mg iv", people, times=times)["high"] >= 0.1
    assert 0.1 < row.affected == pytest.approx(there.any(axis=1).mean(), abs=1e-4)
    onset = 60 * times[there.argmax(axis=1)][there.any(axis=1)]
    assert row.onset_min["q50"] == pytest.approx(np.median(onset), abs=0.1)


def test_what_is_remembered_changes_no_answer():
    def ask(dose="84 mg esketamine nasal", **more):
        fixed = {k: more.pop(k) for k in ("weight", "seed") if k in more}
        people = kt.Population(60, **{"seed": 4, "uncertainty": True, **fixed})
        return kt.effects(dose, population=people, until=6.0, **more).to_dicts()

    first = ask()
    others = [ask("56 mg esketamine nasal"), ask(seed=5)]
    heavy, light = (ask("20 mg iv over 40 min", weight=kg) for kg in (95, 60))
    higher = ask(effects="dissociation", threshold=2)
    assert first not in others and heavy != light
    assert higher[0]["affected"] < next(r for r in first if r["effect"] == "dissociation")["affected"]
    assert ask() == first and ask("56 mg esketamine nasal") == others[0]
    assert ask("20 mg iv over 40 min", weight=95) == heavy


@pytest.mark.parametrize(
    "dose", ["84 mg esketamine nasal", "0.5 mg/kg iv over 40 min", "2 mg/kg iv over 1 min"]
)
def test_fewer_points_move_the_medians_little(dose):
    people = kt.Population(200, seed=1)
    fine, coarse = (kt.effects(dose, population=people, until=8.0, **more) for more in ({}, {"points": 300}))
    for a, b in zip(fine, coarse, strict=True):
        assert a.affected == pytest.approx(b.affected, abs=0.011)
        for key in ("onset_min", "offset_min", "duration_min"):
            if getattr(a, key):
                assert getattr(a, key)["q50"] == pytest.approx(getattr(b, key)["q50"], rel=0.02, abs=0.2)


@pytest.mark.parametrize("points", [10, True, "300", 10**6])
def test_points_out_of_reason_are_refused(points):
    with pytest.raises(InputError, match="points"):
        kt.effects("5 mg iv", population=kt.Patient(), points=points)


def test_threads_and_pieces_change_nothing():
    people = kt.Population(1100, seed=5)
    rows = [kt.effects("84 mg esketamine nasal", population=people, threads=k).to_dicts() for k in (1, 2)]
    assert rows[0] == rows[1]


def test_an_effect_not_over_at_the_end_is_open():
    row = one("84 mg esketamine nasal", "altered perception and memory", until="30 min")
    assert row.offset_min["q95"] is None and row.onset_min["q50"] < 20


def test_a_probability_counts_as_it_is():
    child = kt.Patient(age=6, weight=20)
    low, high = (one(f"{mg} mg iv over 1 min", "no response to tetanus", population=child) for mg in (5, 40))
    assert low.onset_min is None and 0 < low.affected < 0.5 < high.affected <= 1


# --- what the page asks ------------------------------------------------------------------------------


def test_injected_it_acts_within_a_minute_and_wears_off_in_a_quarter_of_an_hour():
    asleep = one("2 mg/kg iv over 1 min", "anaesthesia", model="kamp_2020_meta_racemic")
    awake = one("2 mg/kg iv over 1 min", "not awake")
    assert asleep.onset_min["q95"] < 1 and asleep.affected > 0.95
    assert awake.offset_min["q05"] < 15 and awake.offset_min["q95"] > 20 and 10 < awake.offset_min["q50"] < 20
    assert 2 < asleep.duration_min["q05"] < 5 < asleep.duration_min["q50"] < 10  # label: 5 to 10 minutes


def test_into_a_muscle_it_takes_three_to_eight_minutes():
    row = one("11 mg/kg im", "anaesthesia")
    assert row.onset_min["q05"] < 3 < row.onset_min["q50"] < 4  # label: 3 to 4 minutes
    assert 12 < row.duration_min["q50"] < 25  # label: 12 to 25 minutes
    assert row.grade == "extrapolated"


def test_an_effect_of_swallowed_doses_answers_for_those_only():
    assert {r.module for r in kt.effects("1 mg/kg oral", effects="analgesia", points=100)} == {
        "grant_1981_oral_analgesia"
    }
    with pytest.raises(NoData, match="a dose by oral, as it was measured after"):
        kt.effects("10 mg iv", effects="grant_1981_oral_analgesia")


def test_no_published_spread_is_said_and_not_drawn_as_certainty():
    still = small(('V = { etas = ["V"], sd = [0.3] }', ""), ("[variability]\n", ""), (" * exp(eta.V)", ""))
    people = kt.Population(20, seed=1, weight=70)
    (row,) = kt.effects("35 mg iv over 40 min", model=still, effects=mine(), population=people, points=100)
    assert not row.varies and row.to_dict()["spread"] == "no variability published"
    people = kt.simulate("kamp_2020_meta_racemic", "35 mg iv", kt.Population(5, seed=1), times=[1.0])
    assert any("no variability published" in why for why in people.output("ketamine").reasons)


def test_every_effect_waits_for_the_brain():
    for entry in library.available():
        if entry.kind == "effect" and entry.status != "incomplete":
            spec = library.load(entry.id)
            assert spec.effect_sites, entry.id
    row = one("2 mg/kg iv", "not awake", points=100)
    assert row.onset_min["q05"] > 0


def test_through_the_nose_it_starts_in_5_to_15_minutes_lasts_an_hour_and_swallowed_comes_later():
    nasal = one("84 mg esketamine nasal", "altered perception and memory")
    oral = one("84 mg esketamine oral", "altered perception and memory")
    assert 5 < nasal.onset_min["q50"] < 15
    assert nasal.duration_min["q05"] < 60 < nasal.duration_min["q95"]
    assert oral.onset_min["q05"] > nasal.onset_min["q50"] and oral.affected < nasal.affected
    assert any("Perez-Ruixo" in s for s in nasal.sources) and any("Hartvig" in s for s in nasal.sources)


def test_the_numbers_of_the_documentation_are_those_of_today():
    page = (Path(__file__).parents[1] / "docs" / "effects.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d.*?) \| (.*?) \| (\d+) % \| (.*?) \| (.*?) \|", page, re.MULTILINE)
    assert len(rows) == 5
    for dose, effect, share, *times in rows:
        row = one(dose, effect)
        assert round(100 * row.affected) == int(share), dose
        for told, got in zip(times, (row.onset_min, row.duration_min), strict=True):
            q50, q05, q95 = (float(x) for x in re.findall(r"[\d.]+", told))
            assert (q05, q50, q95) == pytest.approx(tuple(got.values()), rel=0.05, abs=0.06), (dose, effect)


def test_children_get_models_of_children():
    found = kt.effects("1 mg/kg iv over 1 min", population=kt.Population(50, seed=1, age=(2, 10)))
    assert {row.module for row in found} >= {"herd_2008_children", "coulter_2014_sedation"}
    assert all(library.load(row.module).applies.age_years[0] < 18 for row in found)
    assert "herd_2008_adult_thresholds" in found.left_out
    with pytest.raises(InputError, match="children or adults"):
        kt.effects("1 mg/kg iv", population=kt.Population(50, age=(10, 30)))


def test_models_side_by_side_show_their_spread():
    found = kt.effects("2 mg/kg iv over 1 min", effects="not awake", all_models=True, population=kt.Patient())
    offsets = {row.model: row.offset_min["q50"] for row in found}
    assert len(offsets) >= 4 and max(offsets.values()) > 1.3 * min(offsets.values())


# --- refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--dose", "2 mg/kg iv", "--effect", "no recall"], "people of 1 to 14 years, as it was measured in"),
        (["--dose", "10 mg esketamine rectal"], "expected a route, drug and age with a published model"),
        (["--dose", "2 mg/kg iv", "--effect", "psychedelic effects"], "beyond it nothing was seen"),
        (["--dose", "2 mg/kg iv", "--effect", "sedatoin"], "try 'sedation'"),
        (["--dose", "2 mg/kg iv", "--effect", "navarrete_2025_ani"], "concentration-effect curve"),
        (["--dose", "2 mg/kg iv", "--model", "perez_ruixo_2021_esketamine"], None),
        (["--dose", "5 mg iv", "--threshold", "3"], "one effect"),
        (["--dose", "5 mg iv", "--threshold", "high"], "a number"),
        (["--dose", "5 mg iv", "--age", "old"], "--age"),
        (["--dose", "5 mg iv", "--until", "0 h"], "a positive time"),
        (["--dose", "5 mg iv", "--effect", "anaesthesia", "--threshold", "0"], "above that without drug, 0"),
        (
            ["--dose", "25 mg iv over 1 h", "--effect", "NMDA receptor occupancy", "--threshold", "120"],
            "scale",
        ),
        (["--dose", "5 mg iv at 30 h"], "a time after the first dose, at 30 h"),
        (["--dose", "2 mg/kg im", "--model", "otto_2021_s_ketamine"], "im"),
        (["--format", "table"], "--dose: got nothing"),
    ],
)
def test_without_evidence_it_refuses(words, told, capsys):
    code = app.run(["effects", *words, "--patients", "20"])
    err = [line for line in capsys.readouterr().err.strip().splitlines() if not line.startswith("compiling")]
    if told is None:
        assert code == 0
    else:
        assert code == 2 and len(err) == 1 and told in err[0], err


# --- the command -------------------------------------------------------------------------------------


def run(capsys, *words):
    assert app.run(["effects", "--patients", "50", *words]) == 0
    return capsys.readouterr().out


def test_json_has_these_fields_and_no_others(capsys):
    rows = json.loads(run(capsys, "--dose", "84 mg esketamine nasal", "--format", "json"))
    keys = {"effect", "threshold", "onset_min", "peak_min", "offset_min", "duration_min", "affected", "grade"}
    for row in rows:
        assert row.keys() == keys | {"sources", "size_at_peak", "spread"} and row["sources"]
        for key in ("onset_min", "peak_min", "offset_min", "duration_min"):
            assert (row[key] is None) == (row["affected"] == 0)
            assert row[key] is None or row[key].keys() == {"q05", "q50", "q95"}
        assert row["grade"] in ("fitted", "range not stated", "extrapolated")


def test_two_models_of_enantiomers_and_all_models(capsys):
    pair = ["--model", "noppers_2011_s_ketamine", "--model", "derived_r_ketamine_noppers_distribution"]
    words = ["--dose", "0.5 mg/kg iv over 40 min", "--effect", "NMDA receptor occupancy", "--format", "json"]
    (row,) = json.loads(run(capsys, *words, *pair))
    assert row["onset_min"]["q05"] < row["onset_min"]["q95"]
    rows = json.loads(run(capsys, *words[:2], "--effect", "analgesia", "--format", "json", "--all-models"))
    assert len({r["model"] for r in rows}) == len(rows) > 3


def test_fewer_points_from_the_command(capsys):
    words = ["--dose", "84 mg esketamine nasal", "--format", "csv", "--until", "8 h"]
    fine, coarse = (run(capsys, *words, *more) for more in ([], ["--points", "100"]))
    assert fine != coarse and len(fine.splitlines()) == len(coarse.splitlines())


def test_table_and_csv(capsys, tmp_path):
    table = run(capsys, "--dose", "84 mg esketamine nasal", "--cite")
    assert (
        "altered perception and memory" in table and "Hartvig" in table and "not for dosing oneself" in table
    )
    text = run(capsys, "--dose", "84 mg esketamine nasal", "--format", "csv", "--typical")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {"effect", "onset_min_q50", "model", "module", "sources"} <= rows[0].keys()
    run(capsys, "--dose", "84 mg esketamine nasal", "--out", str(tmp_path / "a.txt"))
    assert "altered perception" in (tmp_path / "a.txt").read_text()


def test_the_table_of_models_is_sound():
    assert {c.people for c in choice.choices()} == {"adults", "children"}
    with pytest.raises(UnknownName):
        selection.wanted("flying")
