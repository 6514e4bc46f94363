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
from kinetamine.course.kernel import simulate_arm, steady_trough
from kinetamine.course.settings import settings
from kinetamine.errors import FaultyFile, InputError, NoData, UnknownName
from kinetamine.models.library import sources

SERIES = "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"
BOOSTER = "booster when MADRS >= 20 at a weekly visit for responders"
#: one patient like all others, without noise
PLAIN = {
    "omega_theta": 0,
    "omega_half_life_slow": 0,
    "omega_half_life_fast": 0,
    "omega_placebo": 0,
    "omega_wander": 0,
    "residual": 0,
    "tau_onset": 0,
    "responder_share": 1,
    "baseline_sd": 0,
    "theta_placebo": 0,
    "relapse_hazard": 0,
}


def values(model="mono_state", **changes):
    return models.load(model).values(**changes)


def arm(parameters, sessions_d=(), visits_d=(0, 7), n=1, strengths=None, **more):
    days = np.asarray(sessions_d, float)
    u = np.ones(days.size) if strengths is None else np.asarray(strengths, float)
    more = {"response": 0.5, "remission": 12.0, "seed": 1} | more
    return simulate_arm(parameters, 24 * days, u, n, visit_days=np.asarray(visits_d, float), **more)


def state_of(score, parameters):
    """The drug-effect state behind a noise-free score."""
    b, top = parameters["baseline_mean"], parameters["score_max"]
    logit = math.log(score / (top - score)) - math.log(b / (top - b))
    return -logit / parameters["theta_slow"]


# --- the kernel against closed forms -----------------------------------------------------------------


@pytest.mark.parametrize("spacing", [1, 3.5, 7, 14, 28])
def test_steady_trough_is_its_closed_form(spacing):
    p = values(**PLAIN)
    days = np.arange(0, 60) * spacing
    found = state_of(arm(p, days, [60 * spacing])["mean"][0], p)
    q = 2 ** (-spacing / p["half_life_slow"])
    expected = p["gain_slow"] * q / (1 - (1 - p["gain_slow"]) * q)
    assert steady_trough(p["gain_slow"], p["half_life_slow"], spacing) == pytest.approx(expected, rel=1e-12)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("model", ["mono_state", "two_state"])
def test_score_after_one_session_is_its_closed_form(model):
    p = values(model, **PLAIN)
    days = np.array([0.5, 1, 7, 30.0])
    shift = sum(
        p[f"theta_{k}"] * p[f"gain_{k}"] * 2 ** (-days / p[f"half_life_{k}"]) for k in ("fast", "slow")
    )
    logit = math.log(32 / 28) - shift
    assert arm(p, [0], days)["mean"] == pytest.approx(60 / (1 + np.exp(-logit)), rel=1e-9)


def test_onset_is_its_closed_form_and_late_it_does_not_matter():
    p = values(**PLAIN | {"tau_onset": 0.1})
    days = np.array([0.04, 0.1, 1, 3])
    k, a = math.log(2) / p["half_life_slow"], 1 / 0.1
    expected = p["gain_slow"] * a / (a - k) * (np.exp(-k * days) - np.exp(-a * days))
    found = [state_of(score, p) for score in arm(p, [0], days)["mean"]]
    assert found == pytest.approx(expected, rel=1e-9)
    at_once = values(**PLAIN)
    assert arm(p, [0, 3], [14])["mean"][0] == pytest.approx(arm(at_once, [0, 3], [14])["mean"][0], rel=0.01)


def test_open_care_comes_with_sessions_and_goes_after_them():
    p = values(**PLAIN | {"theta_slow": 0, "theta_open": 1, "tau_open": 10, "open_label": 1})
    scores = arm(p, [0, 3, 7], [7, 14, 30])["mean"]
    care = math.log(32 / 28) - np.log(scores / (60 - scores))
    kept = math.exp(-0.7), math.exp(-1.4), math.exp(-1.6)
    assert care == pytest.approx([1 - kept[0], 1 - kept[1], (1 - kept[1]) * kept[2]])
    assert arm(p, [], [7, 30])["mean"] == pytest.approx(32)


def test_illness_wanders_as_its_equation_says():
    p = values(**PLAIN | {"omega_wander": 0.5, "tau_wander": 20, "theta_slow": 0})
    scores = arm(p, [], [7, 28, 280, 287], n=20_000, keep_scores=True)["scores"]
    path = np.log(scores / (60 - scores)) - math.log(32 / 28)
    kept = math.exp(-7 / 20)
    expected = 0.5 * np.sqrt(1 - np.exp(-2 * np.array([7, 28, 280]) / 20))
    assert path[:, :3].std(axis=0) == pytest.approx(expected, rel=0.03)
    assert np.corrcoef(path[:, 2], path[:, 3])[0, 1] == pytest.approx(kept, abs=0.02)
    assert path.mean(axis=0) == pytest.approx(0, abs=0.02)


def test_a_step_may_be_cut_into_many():
    p = values(**PLAIN)
    fine = arm(p, [0, 3], np.arange(1, 57) / 2)
    coarse = arm(p, [0, 3], [7, 28])
    assert coarse["mean"] == pytest.approx(fine["mean"][[13, 55]], rel=1e-12)


def test_small_sessions_superpose():
    p = values(**PLAIN)
    u = 1e-6

    def state(days):
        return state_of(arm(p, days, [10], strengths=[u] * len(days))["mean"][0], p)

    assert state([0, 2, 5]) == pytest.approx(state([0]) + state([2]) + state([5]), rel=1e-4)


def test_without_drug_effect_sessions_change_nothing():
    p = values(drug_effect=0)
    with_them, without = arm(p, [0, 3, 7], n=500), arm(p, [], n=500)
    for name in ("mean", "sd", "response", "histogram"):
        assert np.array_equal(with_them[name], without[name])
    placebo = arm(values(), [0, 3, 7], n=500, placebo_only=True)
    assert np.array_equal(placebo["mean"], without["mean"])
    assert placebo["sessions"].tolist() == [3.0] * 500


def test_limits():
    sure = values(**PLAIN | {"gain_slow": 1})
    assert state_of(arm(sure, [0], [1e-9])["mean"][0], sure) == pytest.approx(1)
    lasting = values(**PLAIN | {"half_life_slow": 1e12})
    assert state_of(arm(lasting, [0], [3650])["mean"][0], lasting) == pytest.approx(lasting["gain_slow"])
    strong = values(**PLAIN)
    assert state_of(arm(strong, [0], [1e-9], strengths=[100])["mean"][0], strong) == pytest.approx(1)
    nothing = arm(values(**PLAIN), [], [0, 7, 700])
    assert nothing["mean"] == pytest.approx(32)


def test_tolerance_of_daily_use_is_one():
    p = values(**PLAIN | {"tolerance": 1, "half_life_slow": 1e-3})
    after_first = state_of(arm(p, [0], [1e-6])["mean"][0], p)
    late = state_of(arm(p, range(400), [399 + 1e-6])["mean"][0], p)
    assert after_first == pytest.approx(p["gain_slow"], rel=1e-2)
    assert late == pytest.approx(0, abs=1e-6)


def test_scores_stay_on_the_scale():
    p = values(residual=20, omega_theta=3)
    found = arm(p, range(30), range(60), n=300)
    assert (found["mean"] >= 0).all() and (found["mean"] <= 60).all()
    assert (found["histogram"].sum(axis=1) == 300).all()


# --- patients ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*kernel.NAMES[: kernel.NAMES.index("baseline_mean")]])
def test_extreme_parameters_break_nothing(name):
    for value in (0.0, 1e-12, 1e6):
        with np.errstate(all="ignore"):
            found = arm(values(**{name: value}), [0, 3], [0, 7, 14], n=20)
        assert found["histogram"].sum() == found["n"].sum()


def test_baselines_lie_on_the_scale():
    with pytest.raises(InputError, match="below 60"):
        kt.course(None, n=5, switches={"baseline_high": 70})


def test_same_patient_in_any_block_thread_and_arm():
    p = values(dropout_hazard=0.01)
    whole = arm(p, [0, 3], range(0, 29, 7), n=9000, threads=1)
    threads = arm(p, [0, 3], range(0, 29, 7), n=9000, threads=3)
    part = arm(p, [0, 3], range(0, 29, 7), n=10, first=4090)
    for name in kernel.PATIENT:
        assert np.array_equal(whole[name], threads[name], equal_nan=True)
        assert np.array_equal(whole[name][4090:4100], part[name], equal_nan=True)
    for name in ("mean", "sd", "response"):
        assert np.array_equal(whole[name], threads[name])
    other = arm(p, [], range(0, 29, 7), n=9000)
    assert np.array_equal(whole["baseline"], other["baseline"])
    assert np.array_equal(whole["responder_class"], other["responder_class"])


def test_noise_of_a_visit_does_not_depend_on_the_other_visits():
    p = values()
    assert arm(p, [0], [14], n=50)["mean"] == pytest.approx(
        arm(p, [0], [3, 7, 14], n=50)["mean"][-1:], rel=1e-12
    )


def test_sums_and_histogram_agree_with_patients():
    found = arm(values(), [0, 3, 7], [0, 7, 14], n=5000)
    last = found["last_score"]
    assert found["mean"][-1] == pytest.approx(last.mean())
    assert found["sd"][-1] == pytest.approx(last.std())
    assert found["mean_change"][-1] == pytest.approx((found["baseline"] - last).mean())
    assert found["remission"][-1] == pytest.approx((last <= 12).mean())
    assert np.array_equal(found["histogram"][-1], np.histogram(last, kernel.BINS, (0, 60))[0])


def test_dropout_is_exponential_and_ends_a_patient():
    found = arm(values(dropout_hazard=0.02), [], range(0, 57, 7), n=20_000)
    assert found["n"][-1] / 20_000 == pytest.approx(math.exp(-0.02 * 56), abs=0.01)


def test_memory_grows_with_patients_not_with_visits():
    p = values()

    def peak(visits):
        arm(p, [0], range(20), n=10)
        tracemalloc.start()
        arm(p, [0], visits, n=20_000)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(np.arange(0, 182.0)) < 1.5 * peak([0, 182.0])


# --- model files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.available())
def test_shipped_models_are_sound(name):
    model = models.load(name)
    assert model.id == name
    assert set(kernel.NAMES) <= set(model.values())
    assert all(p.place for p in model.parameters.values())


def test_all_faults_of_a_model_file_at_once(tmp_path):
    text = (models._folder() / "mono_state.toml").read_text()
    text = text.replace("theta_slow = {", "theta_slwo = {")
    text = re.sub(r"(half_life_slow = { value = )[^,]+", r"\g<1>9999", text)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(FaultyFile) as caught:
        models.load(path)
    words = str(caught.value)
    assert "no theta_slow" in words and "theta_slwo" in words and "half_life_slow" in words
    path.write_text("format = 1\nid = 3")
    with pytest.raises(FaultyFile, match=r"parameters"):
        models.load(path)


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownName, match="mono_state"):
        models.load("mono_stat")
    with pytest.raises(UnknownName, match="refractory"):
        kt.course(None, n=5, switches={"refractry": 1})
    with pytest.raises(InputError, match="0 to 1"):
        kt.course(None, n=5, switches={"refractory": 2})


def test_draws_follow_the_ranges():
    model = models.load("mono_state").model_copy(update={"uncertainty": None})
    drawn = model.draws(400, seed=1, theta_slow=2.5)
    assert {d["theta_slow"] for d in drawn} == {2.5}
    for name in ("half_life_slow", "responder_share"):
        low, high = np.quantile([d[name] for d in drawn], [0.05, 0.95])
        parameter = model.parameters[name]
        assert high - low == pytest.approx(parameter.range[1] - parameter.range[0], rel=0.2)
    assert drawn[:3] == model.draws(3, seed=1, theta_slow=2.5)


def test_draws_follow_a_covariance():
    model = models.load("mono_state")
    joint = models.Uncertainty(
        parameters=("theta_slow", "gain_slow"), covariance=((0.04, -0.054), (-0.054, 0.09)), place="test"
    )
    drawn = model.model_copy(update={"uncertainty": joint}).draws(2000, seed=1)
    x = np.log([d["theta_slow"] for d in drawn])
    y = np.array([models._logit(d["gain_slow"]) for d in drawn])
    assert np.cov(x, y) == pytest.approx(np.array(joint.covariance), abs=0.01)


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
    reference = models.load("mono_state").reference
    return strength.sessions(phrase, reference.dose, reference.weight_kg, **more)


def test_the_reference_session_has_strength_one():
    one = found_sessions("0.5 mg/kg racemate iv over 40 min")
    assert strength.strength(one.s, one.r, values()).tolist() == pytest.approx([1])
    assert one.beyond == () and one.hours.tolist() == pytest.approx([2 / 3])


def test_strength_rises_with_dose_and_saturates():
    v = values()
    phrases = [f"{dose} mg/kg racemate iv over 40 min" for dose in (0.1, 0.2, 0.5, 1, 2)]
    u = [float(strength.strength(s.s, s.r, v)[0]) for s in map(found_sessions, phrases)]
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
    p = values(**PLAIN | {"theta_slow": 0.1})
    raised = with_rules("raise to 84 mg if response < 50 % at session 3", n=1, p=p)
    plain = with_rules(n=1, p=p)
    # day 14 is scored before its session, the third
    assert raised["mean"][:3] == pytest.approx(plain["mean"][:3])
    assert (raised["mean"][3:] < plain["mean"][3:]).all()
    by_hand = arm(p, [0, 7, 14, 21], raised["visit_days"], strengths=[1, 1, 2, 2])
    assert raised["mean"] == pytest.approx(by_hand["mean"])


# --- relapse -----------------------------------------------------------------------------------------


def test_relapse_rules():
    p = values(**PLAIN | {"theta_slow": 3, "gain_slow": 0.9, "half_life_slow": 8})

    def days(text, **more):
        table = rules.relapse_table(rules.parse_relapse(text), 0.0)
        found = arm(p | more, [0], range(0, 85, 7), relapse=table)
        return found["relapse_start_d"][0], found["relapse_d"][0]

    scores = arm(p, [0], range(0, 85, 7))["mean"]
    above = 7 * int(np.flatnonzero((scores >= 22) & (np.arange(13) > 0))[0])
    assert days("relapse when MADRS >= 22 after response") == (7, above)
    assert days("relapse when MADRS >= 22 at 3 visits in a row after the last session") == (0, above)
    assert days("relapse when MADRS >= 22 after day 7") == (7, above)
    # out of response when the clock would start: never at risk
    assert np.isnan(days("relapse when MADRS >= 22 after week 12")).all()
    assert np.isnan(days("relapse when MADRS >= 60 after response")[1])
    with pytest.raises(InputError, match="relapse when"):
        rules.parse_relapse("relapse on Mondays")


def test_background_relapse_is_exponential():
    p = values(**PLAIN | {"relapse_hazard": 0.01, "half_life_slow": 1e9, "gain_slow": 1})
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
    assert series.birth["model"] == "mono_state" and series.cite()


def test_visits_and_summary_hang_together(series):
    visits = series.visits()
    assert visits["day"].to_list() == [7.0 * k for k in range(27)]
    for name in ("mean", "response", "remission"):
        assert (visits[f"{name}_low"] <= visits[f"{name}_high"]).all()
    assert (visits["p05"] <= visits["median"]).all() and (visits["median"] <= visits["p95"]).all()
    assert np.quantile(series["last_score"], 0.5) == pytest.approx(visits["median"][-1], abs=0.3)
    ends = series.summary()
    assert ends["response at the end"]["value"] == visits["response"][-1]
    assert ends["sessions"]["value"] == series.patients()["sessions"].mean()
    assert ends["clinic hours"]["value"] == pytest.approx(ends["sessions"]["value"] * (2 + 2 / 3))
    assert ends["share of time well"]["value"] < 1
    json.loads(series.to_json())


def test_kaplan_meier_by_hand():
    arrays = {
        "baseline": np.ones(5),
        "relapse_start_d": np.array([0, 0, 0, 0, np.nan]),
        "relapse_d": np.array([7, 14, np.nan, np.nan, np.nan]),
        "observed_d": np.array([28, 28, 10, 28, 28.0]),
    }
    blank = kt.CourseResult(arrays, {}, "", (), (), "", 5, 0, 4, 0.5, 12, 0, 2, "fitted", ())
    curve = blank.kaplan_meier("relapse")
    free = dict(zip(curve["day"], curve["free"], strict=True))
    assert free[7] == pytest.approx(0.75) and free[14] == pytest.approx(0.375)
    assert dict(zip(curve["day"], curve["at_risk"], strict=True))[14] == 2
    assert blank.median_time("relapse") == 14


def test_nnt_against_placebo_and_against_a_published_share(series):
    placebo = kt.course(None, n=3000, seed=1)
    found = series.nnt(placebo, day=28)
    assert found["nnt"] == pytest.approx(1 / found["difference"])
    assert found["low"] < found["difference"] < found["high"]
    assert series.nnt(0.28, day=28)["difference"] == pytest.approx(series.visits()["response"][4] - 0.28)
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
    assert response(14, oral_antidepressant=1) > response(14)
    assert response(1, expectancy=0) < response(1) < response(1, expectancy=2)
    assert response(1, drug_effect=0) < response(1)


def test_a_setting_is_its_switches():
    def end(regimen=SERIES, **more):
        return kt.course(regimen, 1000, 1, weeks=4, uncertainty=0, **more)["mean"][-1]

    assert end(setting="new oral drug") == end(switches={"oral_antidepressant": 1})
    assert end(setting="Open-label") == end(switches={"open_label": 1}) < end()
    assert end(setting=["blinded", "ongoing oral drug"]) == end()
    for setting in ("hospital", "new oral drug"):
        assert end(None, setting=setting) < end(None)
    # open care is that of sessions, with drug or without
    assert end(None, setting="open label") == end(None)
    assert end(setting="open label", switches={"drug_effect": 0}) < end(switches={"drug_effect": 0})
    # beside other care the drug adds less, once however much care there is
    added = [
        (end(s, switches={"oral_antidepressant": o, "hospital": h, "theta_oral": 0, "theta_placebo": 0}))
        for s in (SERIES, None)
        for o, h in ((0, 0), (1, 0), (1, 1))
    ]
    assert added[0] < added[1] == added[2] < added[3] == added[4] == added[5]
    arm = kt.course(SERIES, 50, weeks=2, setting="hospital", uncertainty=0)
    assert "setting: hospital" in arm.notes


def test_drug_is_better_than_placebo_beyond_the_uncertainty():
    drug, placebo = (
        kt.course(d, 3000, 1, weeks=1, visits=[1, 7]) for d in ("0.5 mg/kg iv over 40 min", None)
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
    arms = {"drug": "0.5 mg/kg iv over 40 min", "placebo": None}
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
    arms = {"go on": weeks.format(24), "stop": weeks.format(12)}
    rule = "relapse when MADRS >= 22 at 2 visits in a row after week 12"
    found = kt.trial(
        arms, 80, "relapse", 300, day=168, relapse=rule, setting="open label", uncertainty=5, seed=1
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

    kt.course(SERIES, n=10, rules=BOOSTER)
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
    assert "not for a person" in drawn and "extrapolated" in drawn and "free of relapse" in drawn


def test_command_line(capsys):
    code, out, _ = cli(capsys, "--dose", SERIES, "--rule", BOOSTER, "--patients", "300", "--cite")
    assert code == 0 and "not for a person" in out and "share of time well" in out and "Perez-Ruixo" in out
    words = ("esketamine_label", "--patients", "200", "--weeks", "8", "--model", "two_state")
    code, out, err = cli(capsys, *words, "--format", "json", "--set", "refractory=1")
    assert code == 0 and json.loads(out)["birth"]["model"] == "two_state" and "not for a person" in err
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
