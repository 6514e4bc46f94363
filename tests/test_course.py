"""The course of treatment: closed forms, limits, rules, endpoints, virtual trials."""

import json
import math
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kinetamine as kt
from kinetamine.course import kernel, rules, run, scales, strength
from kinetamine.course import model as models
from kinetamine.course.kernel import simulate_arm
from kinetamine.course.plan import Plan
from kinetamine.course.settings import settings
from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.models.library import sources

SERIES = "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"
BOOSTER = "booster when MADRS >= 20 at a weekly visit for responders"
#: one patient like all others, without noise, touched by the drug alone
PLAIN = {
    "omega_drug": 0,
    "omega_half_life": 0,
    "omega_expectancy": 0,
    "omega_stable": 0,
    "omega_wander": 0,
    "residual": 0,
    "baseline_sd": 0,
    "theta_expectancy": 0,
    "theta_contact": 0,
    "theta_session_day": 0,
    "relapse_hazard": 0,
}
#: the same without a slow state, all of the effect at once
FAST = PLAIN | {"slow_effect": 0, "tau_onset": 1e-6}


def values(**changes):
    return models.load("hierarchical").values(**changes)


def arm(parameters, sessions_d=(), visits_d=(0, 7), n=1, strengths=None, **more):
    days = np.asarray(sessions_d, float)
    u = np.ones(days.size) if strengths is None else np.asarray(strengths, float)
    return simulate_arm(
        parameters, 24 * days, u, n, visit_days=np.asarray(visits_d, float), **({"seed": 1} | more)
    )


def logit(score):
    return np.log(np.asarray(score) / (60 - np.asarray(score)))


def gained(found, parameters):
    """Logits won since the baseline, at each visit of a noise-free patient."""
    return logit(parameters["baseline_mean"]) - logit(found["mean"])


# --- the kernel against closed forms -----------------------------------------------------------------


def test_one_session_is_its_closed_form():
    p = values(**PLAIN)
    days = np.array([0.02, 0.5, 1, 7, 60])
    found = gained(arm(p, [0], days), p)
    fast = (
        -math.expm1(-p["gain_fast"]) * -np.expm1(-days / p["tau_onset"]) * 2 ** (-days / p["half_life_fast"])
    )
    slow = -math.expm1(-p["gain_slow"]) * -np.expm1(-days / p["tau_onset_slow"])
    slow = slow * 2 ** (-days / p["half_life_slow"])
    assert found == pytest.approx(p["theta_drug"] * (fast + p["slow_effect"] * slow))


@pytest.mark.parametrize("spacing", [1, 3.5, 7, 14, 28])
def test_steady_trough_is_its_closed_form(spacing):
    p = values(**FAST)
    days = spacing * np.arange(60)
    found = gained(arm(p, days, [days[-1]]), p)[0] / p["theta_drug"]
    q, jump = 2 ** (-spacing / p["half_life_fast"]), -math.expm1(-p["gain_fast"])
    assert found == pytest.approx(jump * q / (1 - (1 - jump) * q))


def test_equal_rates_give_a_number():
    # an onset as slow as the decay once gave nan
    half_life = 3.0
    p = values(**PLAIN | {"half_life_fast": half_life, "tau_onset": half_life / math.log(2)})
    assert np.isfinite(arm(p, [0, 7], [14], n=100)["mean"]).all()


def test_contact_comes_with_sessions_and_fades_after_them():
    own = PLAIN | {"theta_contact": 1.0, "drug_effect": 0}
    p = values(**own)
    found = gained(arm(p, [0, 7], [5, 17, 30], strengths=[0, 0]), p)
    near = [5, 17, 17]
    expected = -np.expm1(-np.array(near) / p["tau_contact"]) * np.exp(-np.array([0, 0, 13]) / p["tau_fade"])
    assert found == pytest.approx(expected)
    assert gained(arm(p, [], [5, 17, 30]), p) == pytest.approx(0)


def test_knowing_is_won_in_the_open_held_by_drug_and_lost_by_sham():
    own = values(**PLAIN | {"theta_open": 1.0, "open_label": 1, "theta_drug": 0})
    weeks = 7.0 * np.arange(12)
    opened = (weeks < 42).astype(float)
    drug = gained(arm(own, weeks, [41, 83], open_=opened), own)
    sham = gained(arm(own, weeks, [41, 83], open_=opened, strengths=np.where(weeks < 42, 1, 0)), own)
    assert drug[0] == sham[0] > 0.9
    assert drug[1] == pytest.approx(drug[0], abs=0.03) and sham[1] < 0.05
    blind = gained(arm(own, weeks, [83], open_=0 * weeks), own)
    assert blind == pytest.approx(0)


def test_illness_wanders_as_its_equation_says():
    p = values(**PLAIN | {"omega_wander": 0.4, "tau_wander": 10.0})
    found = arm(p, [], [0, 5, 12], n=40_000, keep_scores=True)
    w = logit(found["scores"]) - logit(32)
    assert w.std(axis=0) == pytest.approx(0.4 * np.sqrt(-np.expm1(-np.array([0, 1, 2.4]))), abs=0.005)
    assert np.cov(w[:, 1:].T)[0, 1] == pytest.approx(math.exp(-0.7) * w[:, 1].var(), abs=0.004)


def test_a_step_may_be_cut_into_many():
    p = values(**PLAIN)
    whole = arm(p, [0, 3, 9], [20])["mean"]
    cut = arm(p, [0, 3, 9], np.arange(0, 20.5, 0.5))["mean"]
    assert whole[0] == pytest.approx(cut[-1], rel=1e-12)


def test_without_drug_effect_sessions_are_sham():
    p = values()
    off = arm(values(drug_effect=0), [0, 3, 7], [0, 1, 28], n=500)
    sham = arm(p, [0, 3, 7], [0, 1, 28], n=500, strengths=[0, 0, 0])
    assert np.array_equal(off["mean"], sham["mean"])
    assert (arm(p, [0, 3, 7], [0, 1, 28], n=500)["mean"][1:] < sham["mean"][1:]).all()


def test_a_crisis_passes_by_itself():
    p = values(**PLAIN | {"tau_wander": 10.0})
    days = [20, 30, 40, 80]
    calm, crisis = arm(p, [], days), arm(p, [], days, crisis=(30, 10))
    rise = logit(crisis["mean"]) - logit(calm["mean"])
    jump = logit(42) - logit(32)
    assert rise == pytest.approx([0, jump, jump * math.exp(-1), jump * math.exp(-5)])


def test_only_the_chosen_are_followed():
    p = values()
    everyone = arm(p, [0, 3, 7, 10], [0, 14, 28], n=3000, keep_scores=True)
    chosen = arm(p, [0, 3, 7, 10], [0, 14, 28], n=3000, select=("response", 14), keep_scores=True)
    responds = everyone["scores"][:, 1] <= everyone["baseline"] / 2
    assert np.array_equal(np.isfinite(chosen["baseline"]), responds)
    assert np.array_equal(chosen["scores"][responds], everyone["scores"][responds])
    assert chosen["n"][2] == responds.sum() and chosen["response"][1] == 1


def test_who_has_left_is_counted_as_asked():
    p = values(dropout_hazard=0.01, dropout_slope=0.0)
    days, n = np.arange(0, 85, 7.0), 20_000
    found = {how: arm(p, [0], days, n=n, counted=how) for how in kernel.COUNTED}
    left = 1 - math.exp(-0.84)
    assert (found["stay"]["n"] == n).all() and (found["last observation"]["n"] == n).all()
    assert found["completers"]["n"][-1] / n == pytest.approx(1 - left, abs=0.01)
    stayed = found["completers"]["response"][-1] * found["completers"]["n"][-1] / n
    assert found["non-responder"]["response"][-1] == pytest.approx(stayed)
    # the worse leave
    worse = arm(values(dropout_hazard=0.01, dropout_slope=2.0), [0], days, n=n, counted="completers")
    assert worse["mean"][-1] < found["completers"]["mean"][-1]


def test_scores_stay_on_the_scale():
    p = values(omega_drug=3, omega_wander=3, residual=3, theta_drug=10)
    found = arm(p, [0, 1, 2], range(8), n=2000, keep_scores=True)
    assert found["scores"].min() >= 0 and found["scores"].max() <= 60


@pytest.mark.parametrize(
    "name", [k for k in kernel.Parameters._fields if k.startswith(("theta", "omega", "gain"))]
)
def test_extreme_parameters_break_nothing(name):
    for value in (0.0, 50.0):
        found = arm(values(**{name: value}), [0, 7], [0, 1, 14], n=200)
        assert np.isfinite(found["mean"]).all()


def test_baselines_lie_on_the_scale():
    with pytest.raises(InputError, match="baseline"):
        arm(values(baseline_low=0, baseline_high=70))
    fixed = arm(values(baseline_mean=34, baseline_sd=0), n=5)
    assert (fixed["baseline"] == 34).all()


def test_same_patient_in_any_block_thread_and_arm():
    p = values()
    whole = arm(p, [0], [0, 7], n=9000)
    late = arm(p, [0], [0, 7], n=100, first=8000, threads=2)
    assert np.array_equal(whole["last_score"][8000:8100], late["last_score"])
    again = arm(p, [0], [0, 7], n=9000, threads=1)
    assert np.array_equal(whole["last_score"], again["last_score"]) and np.array_equal(
        whole["mean"], again["mean"]
    )
    other = arm(p, [], [0, 7], n=9000)
    assert np.array_equal(whole["baseline"], other["baseline"])


def test_patients_are_dealt_out_over_draws():
    sets = models.load("hierarchical").draws(7, 3)
    dealt = arm(sets, [0], [0, 7], n=700)
    for k in (0, 5):
        own = arm(sets[k], [0], [0, 7], n=700)
        assert np.array_equal(dealt["last_score"][k::7], own["last_score"][k::7])
    later = arm(sets, [0], [0, 7], n=70, first=10)
    assert np.array_equal(dealt["last_score"][10:80], later["last_score"])


def test_sums_and_histogram_agree_with_patients():
    found = arm(values(), [0, 3], [0, 1, 28], n=3000, keep_scores=True)
    s, base = found["scores"], found["baseline"][:, None]
    assert found["mean"] == pytest.approx(s.mean(axis=0)) and found["sd"] == pytest.approx(s.std(axis=0))
    assert found["response"] == pytest.approx((1 - s / base >= 0.5).mean(axis=0))
    # a rater writes whole numbers
    assert found["remission"] == pytest.approx((np.floor(s + 0.5) <= 12).mean(axis=0))
    assert found["histogram"].sum(axis=1).tolist() == [3000] * 3
    twice = np.isfinite(found["remission_twice_d"])
    assert np.array_equal(
        twice, ((np.floor(s + 0.5) <= 12)[:, 1:] & (np.floor(s + 0.5) <= 12)[:, :-1]).any(axis=1)
    )


def test_memory_grows_with_patients_not_with_visits():
    def peak(n, visits):
        tracemalloc.start()
        arm(values(), [0], range(visits), n=n)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    arm(values(), [0], range(2), n=10)
    assert peak(40_000, 150) < 1.5 * peak(40_000, 10)


# --- the model file ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.available())
def test_shipped_models_are_sound(name):
    model = models.load(name)
    assert set(kernel.Parameters._fields) <= set(model.values())
    assert all(p.place for p in model.parameters.values())
    assert model.trials and model.central["sd_trial"] > 0


def test_all_faults_of_a_model_file_at_once(tmp_path):
    shipped = models.load("hierarchical")
    text = (models._folder() / "hierarchical.toml").read_text("utf-8")
    path = tmp_path / "mine.toml"
    text = text.replace("theta_drug =", "theta_drog =").replace("spread = 0.4, unit", "unit", 1)
    path.write_text(re.sub(r"\[posterior\].*?\n\n", "", text, flags=re.DOTALL), "utf-8")
    with pytest.raises(FaultyFile) as error:
        models.load(path)
    for part in ("theta_drog", "theta_drug", "omega_drug", "spread"):
        assert part in str(error.value)
    assert shipped.digest


def test_draws_that_are_not_those_of_the_file_are_refused(tmp_path):
    for name in ("hierarchical.toml", "hierarchical.npz"):
        (tmp_path / name).write_bytes((models._folder() / name).read_bytes())
    assert models.load(tmp_path / "hierarchical.toml").trials
    with (tmp_path / "hierarchical.npz").open("ab") as file:
        file.write(b"x")
    with pytest.raises(FaultyFile, match="sha256"):
        models.load(tmp_path / "hierarchical.toml")


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName, match="refractory"):
        values(refractry=1)
    with pytest.raises(UnknownName, match="hierarchical"):
        models.load("hierarchic")
    with pytest.raises(InputError, match="0 to 1"):
        values(refractory=2)


def test_draws_are_those_of_the_posterior_and_each_has_its_trial():
    model = models.load("hierarchical")
    new, average = model.draws(400, 1), model.draws(400, 1, new_trial=False)
    own = model.draws(400, 1, trial="heerlein2021")
    assert [d["theta_drug"] for d in new] == [d["theta_drug"] for d in average]
    assert np.median([d["theta_drug"] for d in new]) == pytest.approx(model.central["theta_drug"], rel=0.02)
    scaled = np.array([d["trial"] / d["sd_trial"] for d in new])
    assert scaled.std() == pytest.approx(1, abs=0.15)
    assert {d["trial"] for d in average} == {0.0} and np.std([d["trial"] for d in own]) > 0
    # what a trial was not fitted for is that of the average one
    assert {d["trial_drug"] for d in own} == {0.0}
    assert {d["theta_open"] for d in model.draws(5, 1, theta_open=0.3)} == {0.3}
    with pytest.raises(UnknownName, match="heerlein2021"):
        model.draws(1, 1, trial="heerlein2020")


def test_age_counts_above_fifty_and_is_a_prior():
    drawn = models.load("hierarchical").draws(2000, 1)
    ages = np.array([d["age_effect"] for d in drawn])
    assert ages.mean() == pytest.approx(-0.1, abs=0.01) and ages.std() == pytest.approx(0.1, abs=0.01)
    young, fifty, old = (
        kt.course("0.5 mg/kg iv over 40 min", 500, weeks=1, uncertainty=0, age=a) for a in (30, 50, 75)
    )
    assert young["mean"][-1] == fifty["mean"][-1] < old["mean"][-1]
    assert any("older people" in note for note in old.notes) and old.grade == "extrapolated"


def test_settings_and_courses_have_sources():
    found = settings()
    parts = (
        found.endpoints.response,
        found.endpoints.remission,
        found.endpoints.relapse,
        found.session.observation_h,
    )
    assert {part.source for part in parts} <= set(sources())
    for name in kt.available_courses():
        file = run.read_course(name)
        assert file.sources and file.notes
        rules.parse_all(file.rules)


# --- exposure ----------------------------------------------------------------------------------------


def found_sessions(phrase, **more):
    reference = models.load("hierarchical").reference
    return strength.sessions(phrase, reference.dose, reference.weight_kg, **more)


def test_the_reference_session_has_strength_one():
    one = found_sessions("0.5 mg/kg racemate iv over 40 min")
    assert one.strength(values()).tolist() == pytest.approx([1]) and one.flat.tolist() == pytest.approx([1])
    assert one.beyond == () and one.hours.tolist() == pytest.approx([2 / 3])


def test_strength_rises_with_dose_and_saturates():
    v = values()
    phrases = [f"{dose} mg/kg racemate iv over 40 min" for dose in (0.1, 0.2, 0.5, 1, 2)]
    u = [float(s.strength(v)[0]) for s in map(found_sessions, phrases)]
    assert u == sorted(u) and u[-1] < 1 + v["saturation"]
    assert float(strength.strength(0, 0, v)) == 0


def test_enantiomers_split_the_racemate():
    both, s, r = (
        found_sessions(f"0.5 mg/kg {d} iv over 40 min") for d in ("racemate", "S-ketamine", "R-ketamine")
    )
    assert both.s + both.r == pytest.approx(s.s) and s.s == pytest.approx(r.r)
    assert s.r == r.s == 0


@pytest.mark.parametrize("route", sorted(set(settings().routes) - {"iv"}))
def test_every_route_absorbs_at_most_all(route):
    s = found_sessions(f"35 mg racemate {route}")
    assert 0 < s.s[0] <= 1.01 and s.s == pytest.approx(s.r)


def test_a_flat_profile_counts_for_less_than_its_area():
    quick, slow = (found_sessions(f"120 mg racemate {route}") for route in ("iv", "oral prolonged release"))
    assert slow.flat[0] < 0.6 < found_sessions("84 mg nasal").flat[0] < 1
    same = {**values(), "flatness": 0.0}
    assert slow.strength(values() | {"flatness": 1.0}) < slow.strength(same)
    assert quick.sham().strength(same) == 0


def test_routes_without_an_adult_model():
    assert found_sessions("0.5 mg/kg sc").beyond
    with pytest.raises(NoData, match="nasal"):
        found_sessions("50 mg inhaled")


# --- rules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", rules.EXAMPLES)
def test_examples_read_back(text):
    rule = rules.parse(text)
    assert rules.parse(rule.describe()) == rule


numbers = st.integers(0, 600).map(lambda k: k / 10)
amounts = st.sampled_from(["56 mg", "84 mg", "0.5 mg/kg"])
conditions = st.one_of(
    st.just({}),
    st.builds(
        lambda op, x: {"measure": "score", "op": op, "threshold": x}, st.sampled_from(kernel.OPS), numbers
    ),
    st.builds(
        lambda op, x: {"measure": "improvement", "op": op, "threshold": x / 100},
        st.sampled_from(kernel.OPS),
        numbers,
    ),
    st.sampled_from(
        [
            {"measure": m, "op": op, "threshold": math.nan}
            for m, op in (("score", "<="), ("score", ">"), ("improvement", ">="), ("improvement", "<"))
        ]
    ),
)
actions = st.one_of(
    st.builds(
        lambda dose, every: {"action": "booster", "place": "weekly", "dose": dose, "place_n": float(every)},
        st.one_of(st.just(""), amounts),
        st.integers(0, 60),
    ),
    st.builds(lambda a, p: a | p, st.one_of(
        st.just({"action": "stop"}),
        amounts.map(lambda d: {"action": "dose", "dose": d}),
        st.integers(1, 60).map(lambda d: {"action": "space", "value": float(d)}),
    ), st.one_of(
        st.sampled_from([{}, {"place": "weekly"}, {"place": "visit"}, {"place": "sessions"}]),
        st.builds(
            lambda p, k: {"place": p, "place_n": float(k)}, st.sampled_from(["session", "after"]), st.integers(1, 40)
        ),
    )),
)  # fmt: skip
windows = st.builds(
    lambda a, b: {"from_d": float(a)} | ({"until_d": float(a + b)} if b else {}),
    st.integers(0, 300),
    st.integers(0, 300),
)


@given(actions, conditions, windows, st.booleans())
def test_any_rule_reads_back(action, condition, window, responders):
    rule = rules.Rule(**action, **condition, **window, responders=responders)
    again = rules.parse(rule.describe())
    assert again.describe() == rule.describe()
    for name in ("action", "dose", "measure", "op", "place", "responders", "from_d", "until_d"):
        assert getattr(again, name) == getattr(rule, name)
    for name in ("threshold", "value", "place_n"):
        assert getattr(again, name) == pytest.approx(getattr(rule, name), nan_ok=True)


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text):
    for read in (rules.parse, rules.parse_relapse):
        try:
            read(text)
        except InputError as error:
            assert "expected" in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("boost when MADRS >= 20", "booster when MADRS >= 20 at a weekly visit"),
        ("stop after lunch", "stop after 4 sessions"),
        ("raise to 84 mg if sad", "raise to 84 mg if response < 50 % at session 4"),
        ("miss 120 % of sessions", "miss 10 % of sessions"),
    ],
)
def test_unknown_rules_are_answered_with_the_nearest(text, near):
    with pytest.raises(InputError, match=near):
        rules.parse(text)


def test_all_faulty_rules_at_once():
    with pytest.raises(FaultyFile, match="2 faults"):
        rules.parse_all(["bananas", "at most 12 sessions", "apples"])


def with_rules(*texts, n=400, days=range(0, 28, 7), weeks=12, p=None, **more):
    table = rules.table(rules.parse_all(texts), lambda words: 2.0, 0.5, 12.0)
    visits = 7.0 * np.arange(weeks + 1)
    return arm(p or values(), days, visits, n=n, rules=table, booster=1.0, **more)


def test_a_booster_rule_is_followed():
    found = with_rules("booster when MADRS >= 20 at a weekly visit", n=1, p=values(**PLAIN))
    plain = with_rules(n=1, p=values(**PLAIN))
    first = int(np.flatnonzero((plain["mean"] >= 20) & (plain["visit_days"] > 21))[0])
    assert found["boosters"][0] >= 1
    assert found["mean"][: first + 1] == pytest.approx(plain["mean"][: first + 1])
    assert found["mean"][first + 1] < plain["mean"][first + 1]
    assert (found["sessions"] == 4 + found["boosters"]).all()


def test_boosters_wait_for_spacing_limits_and_responders():
    weekly = with_rules("booster every 7 days")
    assert (weekly["boosters"] == 9).all()
    assert (with_rules("booster every 4 weeks")["boosters"] == 2).all()
    assert (with_rules("at most 2 boosters", "booster every 7 days")["boosters"] == 2).all()
    assert (with_rules("booster every 7 days from week 9")["boosters"] == 5).all()
    assert (with_rules("booster every 7 days until week 6")["boosters"] == 3).all()
    responders = with_rules("booster every 7 days for responders")
    never = np.isnan(responders["response_d"])
    assert (responders["boosters"][never] == 0).all() and responders["boosters"][~never].min() > 0


def test_stop_miss_space_and_caps():
    stopped = with_rules("stop after 2 sessions without 20 % improvement")
    out = np.isfinite(stopped["stopped_d"])
    assert 0 < out.mean() < 1
    assert (stopped["stopped_d"][out] == 14).all() and (stopped["sessions"][out] == 2).all()
    assert (stopped["sessions"][~out] == 4).all()
    missed = with_rules("miss 25 % of sessions", n=4000)
    assert missed["sessions"].mean() == pytest.approx(3, abs=0.05)
    assert (with_rules("at most 3 sessions")["sessions"] == 3).all()
    assert (with_rules("space to every 2 weeks")["sessions"] == 2).all()
    assert (with_rules("taper to every 2 weeks from week 3")["sessions"] == 3).all()


def test_a_dose_is_raised_at_its_session_and_stays():
    p = values(**PLAIN | {"theta_drug": 0.1})
    raised = with_rules("raise to 84 mg if response < 50 % at session 3", n=1, p=p)
    plain = with_rules(n=1, p=p)
    # day 14 is scored before its session, the third
    assert raised["mean"][:3] == pytest.approx(plain["mean"][:3])
    assert (raised["mean"][3:] < plain["mean"][3:]).all()
    by_hand = arm(p, [0, 7, 14, 21], raised["visit_days"], strengths=[1, 1, 2, 2])
    assert raised["mean"] == pytest.approx(by_hand["mean"])


# --- relapse -----------------------------------------------------------------------------------------


def test_relapse_rules():
    p = values(**FAST | {"theta_drug": 3, "gain_fast": 3, "half_life_fast": 8})

    def days(text, **more):
        table = rules.relapse_table(rules.parse_relapse(text), 0.0)
        found = arm(p | more, [0], range(0, 85, 7), relapse=table)
        return found["relapse_start_d"][0], found["relapse_d"][0]

    scores = arm(p, [0], range(0, 85, 7))["mean"]
    above = 7 * int(np.flatnonzero((scores >= 21.5) & (np.arange(13) > 0))[0])
    assert days("relapse when MADRS >= 22 after response") == (7, above)
    # counted at the visit that makes it three
    assert days("relapse when MADRS >= 22 at 3 visits in a row after the last session") == (0, above + 14)
    assert days("relapse when MADRS >= 22 after day 7") == (7, above)
    # out of response when the clock would start: never at risk
    assert np.isnan(days("relapse when MADRS >= 22 after week 12")).all()
    assert np.isnan(days("relapse when MADRS >= 60 after response")[1])
    with pytest.raises(InputError, match="relapse when"):
        rules.parse_relapse("relapse on Mondays")


def test_background_relapse_is_exponential():
    p = values(**FAST | {"relapse_hazard": 0.01, "relapse_slope": 0, "half_life_fast": 1e9, "gain_fast": 9})
    table = rules.relapse_table(rules.parse_relapse("relapse when MADRS >= 60 after the last session"), 0.0)
    found = arm(p, [0], [0, 7, 100], n=20_000, relapse=table)
    assert np.isfinite(found["relapse_d"]).mean() == pytest.approx(1 - math.exp(-1), abs=0.01)


# --- the public call ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def series():
    return kt.course(SERIES, n=3000, seed=1, rules=BOOSTER)


def test_a_course_says_what_it_is(series):
    assert "not for a person" in series.caveat
    assert series.grade == "extrapolated"
    assert any("boosters" in note for note in series.notes)
    assert kt.course(SERIES, n=50, weeks=12, uncertainty=0).grade == "fitted"
    assert series.birth["model"] == "hierarchical" and series.birth["trial"] == "new" and series.cite()


def test_visits_and_summary_hang_together(series):
    visits = series.visits()
    assert visits["day"].to_list() == [0.0, 1.0, *(7.0 * k for k in range(1, 27))]
    for name in ("mean", "response", "remission"):
        assert (visits[f"{name}_low"] <= visits[f"{name}_high"]).all()
    assert (visits["p05"] <= visits["median"]).all() and (visits["median"] <= visits["p95"]).all()
    assert np.quantile(series["last_score"], 0.5) == pytest.approx(visits["median"][-1], abs=0.3)
    ends = series.summary()
    assert ends["response at the end"]["value"] == visits["response"][-1]
    assert ends["sessions"]["value"] == series.patients()["sessions"].mean()
    assert ends["clinic hours"]["value"] == pytest.approx(ends["sessions"]["value"] * (2 + 2 / 3))
    assert ends["share of time well"]["value"] < 1
    ever = ends["ever in remission"]
    assert 0 < ever["without ketamine"] < ever["value"] < 1
    assert ends["median days to response"]["low"] <= ends["median days to response"]["value"]
    json.loads(series.to_json())


def test_ever_and_relapse_stand_within_the_horizon_only():
    found = kt.course("84 mg nasal weekly x 4", n=60, weeks=60, uncertainty=2)
    assert not {"ever in response", "relapsed of those at risk", "median days to relapse"} & set(
        found.summary()
    )
    assert found.grade == "extrapolated"


def test_hazard_ratio_and_medians_are_censored():
    on = "84 mg nasal every 7 d x {} at 0 d"
    rule = "relapse when MADRS >= 22 at 2 visits in a row after week 8"
    go, stop = (
        kt.course(
            [on.format(8), f"{word}84 mg nasal every 7 d x 16 at 56 d"], 2000, 1, weeks=24, relapse=rule,
            setting="open label until week 8", uncertainty=20,
        )
        for word in ("", "sham ")
    )  # fmt: skip
    found = go.hazard_ratio(stop, day=112)
    assert 0 < found["low"] < found["value"] < 1 and found["value"] < found["high"]
    assert go.median_interval("relapse")["high"] == math.inf
    assert any("open label until day 56" in note for note in go.notes)


def test_a_course_may_be_one_more_of_a_fitted_trial():
    new, own, average = (
        kt.course(None, 2000, 1, setting="new oral drug", uncertainty=40, **more)
        for more in ({}, {"trial": "heerlein2021"}, {"new_trial": False})
    )
    spread = [
        float(np.ptp(np.quantile(r.bands["response"][:, -1], [0.05, 0.95]))) for r in (new, own, average)
    ]
    assert spread[1] < spread[0] and spread[2] < spread[0]
    with pytest.raises(UnknownName, match="heerlein2021"):
        kt.course(None, 10, trial="heerlein2020")


def test_sham_sessions_are_those_of_a_blinded_control():
    sham = kt.course(f"sham {SERIES}", 1000, 1, weeks=4, uncertainty=0)
    off = kt.course(SERIES, 1000, 1, weeks=4, uncertainty=0, switches={"drug_effect": 0})
    usual = kt.course(None, 1000, 1, weeks=4, uncertainty=0)
    assert np.array_equal(sham["mean"], off["mean"])
    assert (sham["mean"][1:] < usual["mean"][1:]).all()
    assert sham.regimen[0].startswith("sham") and any("usual" in n or "no sessions" in n for n in usual.notes)


def test_responders_can_be_chosen():
    plan = Plan(SERIES, 12, select="response at week 4")
    found = plan.run(plan.values, 2000, 1)
    assert 0 < len(found["baseline"]) < 2000
    chosen = kt.course(SERIES, 2000, 1, weeks=12, select="response at week 4", uncertainty=0)
    everyone = kt.course(SERIES, 2000, 1, weeks=12, uncertainty=0)
    assert chosen["response"][-1] > everyone["response"][-1]
    with pytest.raises(InputError, match="a day with a visit"):
        kt.course(SERIES, 10, weeks=2, select="response at day 9", uncertainty=0)


def test_kaplan_meier_by_hand():
    arrays = {
        "baseline": np.ones(5),
        "relapse_start_d": np.array([0, 0, 0, 0, np.nan]),
        "relapse_d": np.array([7, 14, np.nan, np.nan, np.nan]),
        "observed_d": np.array([28, 28, 10, 28, 28.0]),
    }
    blank = kt.CourseResult(arrays, {}, {}, 52, "", (), (), "", 5, 0, 4, 0.5, 12, 0, 2, "fitted", ())
    curve = blank.kaplan_meier("relapse")
    free = dict(zip(curve["day"], curve["free"], strict=True))
    assert free[7] == pytest.approx(0.75) and free[14] == pytest.approx(0.375)
    assert dict(zip(curve["day"], curve["at_risk"], strict=True))[14] == 2
    assert blank.median_time("relapse") == 14


def test_nnt_against_placebo_and_against_a_published_share(series):
    placebo = kt.course(f"sham {SERIES}", n=3000, seed=1)
    found = series.nnt(placebo, day=28)
    assert found["nnt"] == pytest.approx(1 / found["difference"])
    assert found["low"] < found["difference"] < found["high"]
    assert found["nnt_low"] < found["nnt"] < found["nnt_high"]
    assert series.nnt(0.28, day=28)["difference"] == pytest.approx(series.visits()["response"][5] - 0.28)
    with pytest.raises(InputError, match="day=28"):
        series.nnt(0.28, day=29)


def test_shipped_label_course_follows_the_label():
    arm = kt.course("esketamine_label", n=2000, seed=1, uncertainty=0)
    sessions = arm["sessions"]
    stopped = np.isfinite(arm["stopped_d"])
    # 8 in four weeks, 4 weekly ones, then 18 weekly or 9 every second week
    assert (arm["stopped_d"][stopped] == 28).all() and (sessions[stopped] == 8).all()
    assert sessions[~stopped].min() >= 21 and sessions[~stopped].max() <= 30


def test_a_course_file_is_the_same_course(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        f'doses = "{SERIES}"\nrules = ["{BOOSTER}"]\nweeks = 12\npatients = 300\nseed = 5\n[switches]\nrefractory = 1\n'
    )
    file = kt.course(path, uncertainty=0)
    call = kt.course(SERIES, 300, 5, rules=[BOOSTER], weeks=12, switches={"refractory": 1}, uncertainty=0)
    assert np.array_equal(file["last_score"], call["last_score"])
    path.write_text(f'doses = "{SERIES}"\nweeks = 2\nsetting = ["hospital", "new oral drug"]\n')
    file = kt.course(path, n=50, uncertainty=0)
    call = kt.course(SERIES, n=50, weeks=2, setting="hospital, new oral drug", uncertainty=0)
    assert np.array_equal(file["last_score"], call["last_score"])
    path.write_text("doses = 3\nruls = []")
    with pytest.raises(FaultyFile, match="doses"):
        kt.course(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"n": 0},
        {"seed": -1},
        {"weeks": 0},
        {"visits": [500]},
        {"baseline": (70, 1)},
        {"visits": [1, 3], "rules": BOOSTER},
        {"model": "none"},
        {"pk": "none"},
        {"setting": "open lable"},
        {"setting": ("blinded", "open label")},
        {"counted": "somehow"},
        {"select": "the best"},
        {"crisis": (5, 100)},
        {"age": 200},
        {"trial": "none"},
    ],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(InputError):
        kt.course(SERIES, **{"n": 10, "uncertainty": 0} | wrong)


def test_switches_do_what_trials_showed():
    def response(day, **switches):
        arm = kt.course(
            "0.5 mg/kg iv over 40 min", 4000, 1, weeks=2, visits=[1, 14], switches=switches, uncertainty=0
        )
        return arm["response"][[1, 14].index(day)]

    assert response(1, naltrexone=1) < response(1)
    assert response(14, rapamycin=1) > response(14)
    assert response(1, refractory=1) < response(1)
    assert response(1, expectancy=0) < response(1) < response(1, expectancy=2)
    assert response(1, drug_effect=0) < response(1)


def test_a_setting_is_its_switches():
    def end(regimen=SERIES, **more):
        return kt.course(regimen, 1000, 1, weeks=4, uncertainty=0, **more)["mean"][-1]

    assert end(setting="new oral drug") == end(switches={"oral_antidepressant": 1})
    assert end(setting="Open-label") == end(switches={"open_label": 1}) < end()
    assert end(setting=["blinded", "ongoing oral drug"]) == end()
    sham = f"sham {SERIES}"
    assert end(None, setting="new oral drug") < end(None) == end(None, setting="hospital")
    assert end(sham, setting="hospital") < end(sham)
    # what is known counts where the drug is given
    assert end(None, setting="open label") == end(None) and end(sham, setting="open label") == end(sham)
    # beside other care the drug adds less, once however much care there is
    added = [
        (end(s, switches={"oral_antidepressant": o, "hospital": h, "theta_oral": 0, "theta_hospital": 0}))
        for s in (SERIES, f"sham {SERIES}")
        for o, h in ((0, 0), (1, 0), (1, 1))
    ]
    assert added[0] < added[1] == added[2] < added[3] == added[4] == added[5]
    arm = kt.course(SERIES, 50, weeks=2, setting="hospital", uncertainty=0)
    assert "setting: hospital" in arm.notes


def test_drug_is_better_than_placebo_beyond_the_uncertainty():
    drug, placebo = (
        kt.course(d, 3000, 1, weeks=1, visits=[1, 7])
        for d in ("0.5 mg/kg iv over 40 min", "sham 0.5 mg/kg iv over 40 min")
    )
    assert drug.nnt(placebo, day=1)["low"] > 0
    assert drug["mean"][0] < placebo["mean"][0] < 32


# --- trials, search, scales --------------------------------------------------------------------------


def test_a_trial_of_equals_finds_nothing_more_often_than_its_level():
    found = kt.trial({"a": None, "b": None}, n=50, endpoint="change", day=7, replicates=2000, uncertainty=0)
    row = found.comparisons[0]
    assert row["difference"] == pytest.approx(0, abs=4 * row["mc_se"])
    assert row["power"] == pytest.approx(0.05, abs=0.02)


def test_power_grows_with_the_trial():
    arms = {"drug": "0.5 mg/kg iv over 40 min", "placebo": "sham 0.5 mg/kg iv over 40 min"}
    small, large = (
        kt.trial(arms, n=n, day=1, replicates=300, seed=2, uncertainty=20).comparisons[0] for n in (15, 60)
    )
    assert small["power"] < large["power"]
    assert large["low"] < large["difference"] < large["high"]
    assert 0 < large["assurance"] < 1
    with pytest.raises(InputError, match="two named arms"):
        kt.trial({"drug": None}, n=10)
    with pytest.raises(UnknownName, match="response"):
        kt.trial(arms, n=10, endpoint="respons")


def test_relapse_is_an_endpoint():
    weeks = "84 mg nasal every 7 d x {}"
    arms = {"go on": weeks.format(24), "stop": [weeks.format(12), "sham 84 mg nasal every 7 d x 12 at 84 d"]}
    rule = "relapse when MADRS >= 22 at 2 visits in a row after week 12"
    found = kt.trial(
        arms,
        80,
        "relapse",
        300,
        day=168,
        relapse=rule,
        setting="open label until week 12",
        uncertainty=5,
        seed=1,
    )
    row = found.comparisons[0]
    assert -1 < row["difference"] < 0 and row["low"] < row["difference"] < row["high"]
    assert row["hazard_ratio_low"] < row["hazard_ratio"] < 1
    assert 0.05 < row["power"] < 1 and 0 < found.means["go on"] < found.means["stop"] < 1
    with pytest.raises(InputError, match="nobody at risk"):
        kt.trial(arms, 5, "relapse", 5, day=7, relapse=rule, uncertainty=0)


def test_log_rank_agrees_with_scipy():
    from scipy.stats import CensoredData, logrank

    from kinetamine.course.trials import _Outcomes

    rng = np.random.default_rng(1)
    time = [np.ceil(rng.exponential(mean, (5, 60)) / 3) * 3 for mean in (10, 18)]
    happened = [t <= 24 for t in time]
    time = [np.minimum(t, 24) for t in time]
    a, b = (_Outcomes(h.astype(float), t) for h, t in zip(happened, time, strict=True))
    ratio, z = a.log_rank(b)
    for k in range(5):
        both = [CensoredData.right_censored(t[k], ~h[k]) for t, h in zip(time, happened, strict=True)]
        assert z[k] == pytest.approx(logrank(*both).statistic)
    assert (ratio > 0).all()


def test_search_shows_its_error():
    found = kt.search_boosters(SERIES, (7, 28), (16, 24), n=500, seed=1, uncertainty=10)
    table = found.table
    assert table.height == 4 and table["efficient"].any()
    assert (table["well_se"] > 0).all() and (table["sessions_low"] <= table["sessions_high"]).all()


def test_score_maps_only_where_published():
    assert scales.convert(27, "QIDS-16", "HAM-D-17") == (36, 52)
    with pytest.raises(InputError):
        scales.convert(28, "QIDS-16", "HAM-D-17")
    with pytest.raises(NoData):
        scales.convert(20, "MADRS", "HAM-D-17")


# --- speed and command line --------------------------------------------------------------------------


def test_a_hundred_thousand_patients_in_seconds():
    import time

    kt.course(SERIES, n=1000, rules=BOOSTER)
    begin = time.perf_counter()
    kt.course(SERIES, n=100_000, rules=BOOSTER)
    assert time.perf_counter() - begin < 5


def cli(capsys, *words):
    from kinetamine.cli.app import run as main

    code = main(["course", *words])
    return code, *capsys.readouterr()


def test_every_figure_says_what_it_is(capsys, tmp_path):
    path = tmp_path / "course.svg"
    code, _, _ = cli(capsys, "--dose", SERIES, "--patients", "200", "--figure", str(path), "-q")
    assert code == 0
    drawn = path.read_text(encoding="utf-8")
    assert "not for a person" in drawn and "fitted" in drawn and "free of relapse" in drawn


def test_command_line(capsys):
    code, out, _ = cli(capsys, "--dose", SERIES, "--rule", BOOSTER, "--patients", "300", "--cite")
    assert code == 0 and "not for a person" in out and "share of time well" in out and "Perez-Ruixo" in out
    words = ("esketamine_label", "--patients", "200", "--weeks", "8", "--model", "hierarchical")
    code, out, err = cli(capsys, *words, "--format", "json", "--set", "refractory=1")
    assert code == 0 and json.loads(out)["birth"]["model"] == "hierarchical" and "not for a person" in err
    code, out, _ = cli(capsys, *words, "--format", "csv")
    assert code == 0 and out.startswith("day,n,mean")
    code, out, _ = cli(capsys, *words, "--setting", "open label", "--setting", "new oral drug")
    assert code == 0 and "setting: open label, new oral drug" in " ".join(out.split())
    code, out, _ = cli(capsys, *words, "--visits", "0, 1, 28", "--baseline", "37.5, 5.6", "--format", "csv")
    rows = [row.split(",") for row in out.splitlines()[1:]]
    assert code == 0 and [float(row[0]) for row in rows] == [0, 1, 28]
    assert float(rows[0][2]) == pytest.approx(37.5, abs=1.5)


@pytest.mark.parametrize(
    "words",
    [
        ("--dose", "84 mg nasal", "--rule", "bananas"),
        ("esketamine_lable",),
        ("esketamine_label", "--dose", "84 mg nasal"),
        ("esketamine_label", "--set", "refractory"),
        ("esketamine_label", "--setting", "hospitol"),
        ("esketamine_label", "--visits", "weekly"),
        ("esketamine_label", "--format", "xml"),
    ],
)
def test_command_line_faults_are_one_line(capsys, words):
    code, out, err = cli(capsys, *words)
    assert code == 2 and out == "" and err.count("\n") == 1 and err.startswith("error: ")


def test_usual_care_has_its_name_in_a_course_file_too(tmp_path):
    (tmp_path / "usual.toml").write_text('format = 1\ndoses = "usual care"\nweeks = 8\n', "utf-8")
    given = (tmp_path / "usual.toml", "usual care")
    read, said = (kt.course(one, n=200, weeks=8, uncertainty=0) for one in given)
    assert read.regimen == said.regimen == ("no sessions",)
    assert np.array_equal(read["mean"], said["mean"])
