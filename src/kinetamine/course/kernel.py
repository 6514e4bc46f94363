"""Numbers only: one group of patients through a course, each stepped exactly from event to event.

Between two events every state has a closed form, so a step of any length is exact and nothing is kept in time but
streaming sums and a histogram per visit: memory grows with patients. Patients are dealt to sets of parameters
(draws of the posterior, each with a trial of its own) by their number. A patient's draws depend on seed, patient
number and, at an event, its hour: the same patient is the same in any block and any arm (common random numbers).

Times are days, sessions h. Scores are continuous; where a score is compared with points (a remission, a rule) the
whole number counts that a rater would have written down, as in the fit.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kinetamine.engine.random import normal_from_uniform, philox, stream_number, uniform_from_word
from kinetamine.errors import InputError

__all__ = [
    "ACTIONS",
    "BINS",
    "COUNTED",
    "MEASURES",
    "PATIENT",
    "PLACES",
    "Parameters",
    "Relapse",
    "simulate_arm",
]


class Parameters(NamedTuple):
    """What the kernel asks of a course model and its surroundings; units in the model's file."""

    theta_drug: float
    omega_drug: float
    gain_fast: float
    half_life_fast: float
    tau_onset: float
    gain_slow: float
    half_life_slow: float
    tau_onset_slow: float
    slow_effect: float
    omega_half_life: float
    theta_expectancy: float
    tau_expectancy: float
    omega_expectancy: float
    theta_session_day: float
    tau_session_day: float
    tau_session_rise: float
    theta_contact: float
    tau_contact: float
    tau_fade: float
    contact_days: float
    theta_open: float
    theta_hospital: float
    theta_oral: float
    tau_oral: float
    omega_stable: float
    tau_stable: float
    omega_wander: float
    tau_wander: float
    residual: float
    beside_drug: float
    refractory_drug: float
    refractory_placebo: float
    age_effect: float
    age_from: float
    relapse_hazard: float
    relapse_slope: float
    dropout_hazard: float
    dropout_slope: float
    score_reference: float
    baseline_mean: float
    baseline_sd: float
    baseline_low: float
    baseline_high: float
    score_max: float
    naltrexone_drug: float
    rapamycin_half_life: float
    grace: float
    # of the trial the patients are in
    trial: float
    tau_trial: float
    trial_drug: float
    trial_relapse_score: float
    trial_relapse_hazard: float
    # switches: 0 off, 1 on, between the two in part
    drug_effect: float
    expectancy: float
    open_label: float
    hospital: float
    oral_antidepressant: float
    refractory: float
    naltrexone: float
    rapamycin: float
    age: float


class Relapse(NamedTuple):
    """A relapse rule, as numbers: a condition at so many visits in a row once a patient's clock has started.

    `start`: 0 response, 1 remission, 2 response on the day `start_d` or the first visit after it, 3 response at
    the first visit after `start_d`. `counts` is 0 without a rule.
    """

    counts: float = 0.0
    measure: float = 0.0
    op: float = 0.0
    threshold: float = 0.0
    visits: float = 1.0
    start: float = 0.0
    start_d: float = 0.0


class Limits(NamedTuple):
    """What counts, and when it ends."""

    response: float
    remission: float
    planned_end: float
    end_d: float
    counted: int
    crisis_d: float
    crisis_points: float
    select_visit: int
    select_kind: int


class Timetable(NamedTuple):
    """Sessions and visits as one list, arrays (event,)."""

    day: np.ndarray
    strength: np.ndarray  # planned; nan where no session is planned, 0 for a sham one
    open: np.ndarray  # 1: the drug, known; 0: the drug, blinded; -1: sham
    visit: np.ndarray  # number of the visit, -1 for none
    weekly: np.ndarray
    scored: np.ndarray  # whether somebody looks at the score


#: columns of a rule: what, its number, the condition, where it is asked, from and until which day, of whom
RULE = ("action", "value", "measure", "op", "threshold", "place", "place_n", "from_d", "until_d", "who")
ACTIONS = ("booster", "stop", "dose", "space", "miss", "sessions", "boosters")
MEASURES = ("always", "score", "improvement")
OPS = (">=", ">", "<=", "<")
PLACES = ("any", "weekly", "session", "after", "visit", "sessions", "once")
#: how those count who have left: nobody leaves; not at all; as they were last seen; as not responding
COUNTED = ("stay", "completers", "last observation", "non-responder")
#: columns kept for each patient
PATIENT = (
    "baseline",
    "last_score",
    "response_d",
    "remission_d",
    "relapse_start_d",
    "relapse_d",
    "observed_d",
    "stopped_d",
    "well_d",
    "sessions",
    "boosters",
    "last_session_d",
    "drug_effect",
    "remission_twice_d",
)
#: columns of the sums over patients at a visit
SUMS = ("n", "score", "score2", "gain", "gain2", "response", "remission")
#: the histogram of scores has two bins a point
BINS = 120
_BLOCK = 4096
_PEOPLE, _VISITS = stream_number("course", "people"), stream_number("course", "visits")


class _Person(NamedTuple):
    """What a patient brings: drawn once."""

    base: float
    base_logit: float
    drug: float  # multiplies what the drug does
    z_stable: float
    suggestible: float
    k_fast: float
    k_slow: float
    leaves: float  # cumulative hazard at which he leaves, and at which he falls ill again
    ill: float


# columns of a patient's moving state
_F, _DF, _S, _DS, _C, _Q, _E, _LAST, _OPEN = range(9)
_W, _WT, _GONE, _ILL, _LATENT = range(9, 14)
_STATE = 14
# columns of what a judge remembers
(_EVER, _RESPONSE, _REMISSION, _TWICE, _START, _RELAPSE, _RUN, _ASKED, _JUDGED, _WELL, _WAS, _SEEN, _LEFT,
 _REMITTED, _VISITED, _HAZARD) = range(16)  # fmt: skip
_MEMORY = 16
# columns of what the rules have decided
_STOPPED, _OVERRIDE, _GAP, _MISS, _MOST, _MOST_BOOSTERS, _SESSIONS, _BOOSTERS = range(8)
_CHOICE = 8


@njit(cache=True, nogil=True, error_model="numpy")
def _met(op, value, threshold):
    if op == 0:
        return value >= threshold
    if op == 1:
        return value > threshold
    if op == 2:
        return value <= threshold
    return value < threshold


@njit(cache=True, nogil=True, error_model="numpy")
def _rated(score):
    """The whole number a rater writes down."""
    return math.floor(score + 0.5)


@njit(cache=True, nogil=True, error_model="numpy")
def _draw(p, seed, who):
    zero, one = np.uint64(0), np.uint64(1)
    key = np.uint64(_PEOPLE)
    w0, w1, w2, w3 = philox(seed, key, zero, who, zero, zero)
    _, _, w6, w7 = philox(seed, key, one, who, zero, zero)
    base = p.baseline_mean + p.baseline_sd * normal_from_uniform(uniform_from_word(w0))
    base = min(max(base, p.baseline_low), p.baseline_high)
    z_stable = normal_from_uniform(uniform_from_word(w2))
    z_half_life = normal_from_uniform(uniform_from_word(w3))
    beside = max(min(p.oral_antidepressant, 1.0), p.hospital)
    older = max(p.age - p.age_from, 0.0) / 10.0
    drug = (
        p.drug_effect
        * p.theta_drug
        * math.exp(
            p.omega_drug * normal_from_uniform(uniform_from_word(w1)) + p.trial_drug + p.age_effect * older
        )
    )
    drug *= 1.0 + (p.beside_drug - 1.0) * beside
    drug *= 1.0 + (p.refractory_drug - 1.0) * p.refractory
    drug *= 1.0 + (p.naltrexone_drug - 1.0) * p.naltrexone
    slower = math.exp(p.omega_half_life * z_half_life) * (1.0 + (p.rapamycin_half_life - 1.0) * p.rapamycin)
    return _Person(
        base,
        math.log(base / (p.score_max - base)),
        drug,
        z_stable,
        math.exp(p.omega_expectancy * z_stable - 0.5 * p.omega_expectancy * p.omega_expectancy),
        math.log(2.0) / (p.half_life_fast * slower),
        math.log(2.0) / (p.half_life_slow * slower),
        -math.log(uniform_from_word(w6)),
        -math.log(uniform_from_word(w7)),
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _contact(p, s, dt):
    """Care, expectancy and what comes of knowing, `dt` after the last session.

    Knowing rises with open sessions; under the blind the drug is felt and holds it, and its lack is noticed.
    """
    near = min(dt, p.contact_days)
    fade = math.exp(-(dt - near) / p.tau_fade)
    slow = math.exp(-near / p.tau_contact)
    care = (1.0 - (1.0 - s[_C]) * slow) * fade
    expects = (1.0 - (1.0 - s[_Q]) * math.exp(-near / p.tau_expectancy)) * fade
    knows = s[_E]
    if s[_OPEN] > 0:
        knows = 1.0 - (1.0 - knows) * slow
    elif s[_OPEN] < 0:
        knows *= slow
    return care, expects, knows * fade


@njit(cache=True, nogil=True, error_model="numpy")
def _drugged(p, person, s, dt):
    """Fast and slow effect `dt` after the last session: what it added comes in with its onset, all decays."""
    fast = (s[_F] + s[_DF] * (1.0 - math.exp(-dt / p.tau_onset))) * math.exp(-person.k_fast * dt)
    slow = (s[_S] + s[_DS] * (1.0 - math.exp(-dt / p.tau_onset_slow))) * math.exp(-person.k_slow * dt)
    return fast, slow


@njit(cache=True, nogil=True, error_model="numpy")
def _common(p, table, out):
    """What no patient and no session changes, array (event, 4): oral drug and trial, stable part, 0, 0."""
    soft = p.expectancy * (1.0 + (p.refractory_placebo - 1.0) * p.refractory)
    soft *= math.exp(p.age_effect * max(p.age - p.age_from, 0.0) / 10.0)
    for k in range(table.day.shape[0]):
        t = table.day[k]
        out[k, 0] = p.theta_oral * p.oral_antidepressant * (1.0 - math.exp(-t / p.tau_oral)) * soft
        out[k, 0] += p.trial * (1.0 - math.exp(-t / p.tau_trial))
        out[k, 1] = p.omega_stable * (1.0 - math.exp(-t / p.tau_stable))
    return soft


@njit(cache=True, nogil=True, error_model="numpy")
def _planned(p, table, soft, s, out):
    """What sessions do to everybody while they are given as planned: (event, 2..3) care and knowing, expectancy."""
    s[:] = 0.0
    s[_LAST] = math.nan
    for k in range(table.day.shape[0]):
        out[k, 2], out[k, 3] = _unspecific(p, s, soft, table.day[k])
        if table.strength[k] == table.strength[k]:
            _remember(p, s, table.day[k], table.open[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _unspecific(p, s, soft, now):
    if s[_LAST] != s[_LAST]:
        return 0.0, 0.0
    dt = now - s[_LAST]
    care, expects, knows = _contact(p, s, dt)
    day = math.exp(-dt / p.tau_session_day) * (1.0 - math.exp(-dt / p.tau_session_rise))
    steady = p.theta_contact * care + p.theta_open * p.open_label * knows + p.theta_session_day * day
    return soft * steady, soft * (p.theta_expectancy + p.theta_hospital * p.hospital) * expects


@njit(cache=True, nogil=True, error_model="numpy")
def _remember(p, s, now, is_open):
    """Contact at a session; the next interval counts from here."""
    if s[_LAST] == s[_LAST]:
        s[_C], s[_Q], s[_E] = _contact(p, s, now - s[_LAST])
    s[_LAST] = now
    s[_OPEN] = is_open


@njit(cache=True, nogil=True, error_model="numpy")
def _evolve(p, person, s, limits, now, steady, expects, common, z):
    """The latent score (logit) now, wander moved on by an exact step of its own."""
    dt = now - s[_WT]
    if dt > 0:
        keep = math.exp(-dt / p.tau_wander)
        # a crisis between: it has been fading by the wander's own clock since
        if s[_WT] < limits.crisis_d <= now:
            high = min(_score(p, s[_LATENT]) + limits.crisis_points, p.score_max - 0.5)
            up = math.log(high / (p.score_max - high)) - s[_LATENT]
            s[_W] = s[_W] * keep + up * math.exp(-(now - limits.crisis_d) / p.tau_wander)
        else:
            s[_W] *= keep
        s[_W] += p.omega_wander * math.sqrt(1.0 - keep * keep) * z
        s[_WT] = now
    x = (
        person.base_logit
        + s[_W]
        - steady
        - person.suggestible * expects
        - common[0]
        - common[1] * person.z_stable
    )
    if s[_LAST] == s[_LAST] and person.drug != 0.0:
        fast, slow = _drugged(p, person, s, now - s[_LAST])
        x -= person.drug * (fast + p.slow_effect * slow)
    return x


@njit(cache=True, nogil=True, error_model="numpy")
def _score(p, x):
    return p.score_max / (1.0 + math.exp(-x))


@njit(cache=True, nogil=True, error_model="numpy")
def _hazards(p, s, m, person, x, now, relapse):
    """Leaving and falling ill since the last look, at the pace of the score now; the days of either."""
    dt = now - m[_SEEN]
    if p.dropout_hazard > 0 and dt > 0:
        h = p.dropout_hazard * math.exp(p.dropout_slope * (x - p.score_reference))
        if s[_GONE] + h * dt >= person.leaves and m[_LEFT] == math.inf:
            m[_LEFT] = m[_SEEN] + (person.leaves - s[_GONE]) / h
        s[_GONE] += h * dt
    if relapse.counts > 0 and p.relapse_hazard > 0 and now > m[_START] and not m[_RELAPSE] <= now:
        # a clock may start before the visit at which it was seen to
        since = max(m[_HAZARD], m[_START])
        h = p.relapse_hazard * math.exp(p.trial_relapse_hazard + p.relapse_slope * (x - p.score_reference))
        if s[_ILL] + h * (now - since) >= person.ill:
            m[_RELAPSE] = since + (person.ill - s[_ILL]) / h
        s[_ILL] += h * (now - since)
        m[_HAZARD] = now


@njit(cache=True, nogil=True, error_model="numpy")
def _judge(p, m, limits, relapse, base, x, score, now):
    """What this visit's score makes of a patient: response, remission, relapse."""
    improvement = 1.0 - score / base
    responds = improvement >= limits.response
    remits = _rated(score) <= limits.remission
    well = 1.0 if responds or remits else 0.0
    m[_WELL] += 0.5 * (well + m[_WAS]) * (now - m[_VISITED])
    m[_VISITED] = now
    m[_WAS] = well
    if responds and not m[_RESPONSE] <= now:
        m[_RESPONSE] = now
    if remits:
        if not m[_REMISSION] <= now:
            m[_REMISSION] = now
        if m[_REMITTED] > 0 and not m[_TWICE] <= now:
            m[_TWICE] = now
    m[_REMITTED] = 1.0 if remits else 0.0
    if relapse.counts > 0:
        _relapses(p, m, relapse, base, x, score, responds, now)
    return responds, remits


@njit(cache=True, nogil=True, error_model="numpy")
def _relapses(p, m, relapse, base, x, score, responds, now):
    if not m[_START] <= now:
        if relapse.start == 0:
            m[_START] = m[_RESPONSE]
        elif relapse.start == 1:
            m[_START] = m[_REMISSION]
        elif m[_ASKED] == 0 and (now > relapse.start_d or (relapse.start == 2 and now == relapse.start_d)):
            m[_ASKED] = 1.0
            m[_START] = relapse.start_d if responds else math.nan
            m[_JUDGED] = now
    if now > m[_START] and now > m[_JUDGED] and not m[_RELAPSE] <= now:
        # the trial's own reading of its threshold
        seen = score if p.trial_relapse_score == 0 else _score(p, x - p.trial_relapse_score)
        value = _rated(seen) if relapse.measure == 1 else 1.0 - seen / base
        if _met(relapse.op, value, relapse.threshold):
            m[_RUN] += 1.0
            if m[_RUN] >= relapse.visits:
                m[_RELAPSE] = now
        else:
            m[_RUN] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _count(sums, hist, v, base, score, responds, remits, per_point):
    sums[v, 0] += 1.0
    sums[v, 1] += score
    sums[v, 2] += score * score
    sums[v, 3] += base - score
    sums[v, 4] += (base - score) ** 2
    sums[v, 5] += responds
    sums[v, 6] += remits
    # never outside the table, whatever the parameters made of the score
    place = int(score * per_point) if score == score else 0
    hist[v, min(max(place, 0), hist.shape[1] - 1)] += 1


@njit(cache=True, nogil=True, error_model="numpy")
def _asked(rule, done, table, k, s, c, score, improvement, ever):
    """Whether a rule is asked here and its condition holds."""
    now, planned, place = table.day[k], table.strength[k], rule[5]
    if now < rule[7] or now > rule[8] or done:
        return False
    if place == 1 and not table.weekly[k]:
        return False
    if place == 2 and (planned != planned or c[_SESSIONS] + 1 != rule[6]):
        return False
    if place == 3 and (c[_SESSIONS] < rule[6] or now <= s[_LAST]):
        return False
    if place == 4 and table.visit[k] < 0:
        return False
    return not (place == 5 and planned != planned)


@njit(cache=True, nogil=True, error_model="numpy")
def _holds(rule, score, improvement, ever):
    if rule[9] == 1 and not ever:
        return False
    if rule[2] == 1 and not _met(rule[3], _rated(score), rule[4]):
        return False
    return not (rule[2] == 2 and not _met(rule[3], improvement, rule[4]))


@njit(cache=True, nogil=True, error_model="numpy")
def _decide(p, rules, done, table, k, s, c, score, base, ever, limits, booster):
    """What the rules make of a planned session: its strength (nan: none), whether it is a booster."""
    now = table.day[k]
    give, is_booster = table.strength[k], False
    improvement = 1.0 - score / base
    for r in range(rules.shape[0]):
        rule = rules[r]
        if not _asked(rule, done[r], table, k, s, c, score, improvement, ever):
            continue
        if rule[5] == 3 or rule[5] == 6:
            done[r] = True
        if not _holds(rule, score, improvement, ever):
            continue
        action, value = rule[0], rule[1]
        if action == 0:
            if now > limits.planned_end and give != give and not now - s[_LAST] < rule[6] - p.grace:
                is_booster = True
                give = value if value == value else booster
        elif action == 1:
            c[_STOPPED] = now
            return math.nan, False
        elif action == 2:
            c[_OVERRIDE] = value
        else:
            c[_GAP + int(action) - 3] = value
    return give, is_booster


@njit(cache=True, nogil=True, error_model="numpy")
def _given(p, c, s, now, give, is_booster, u):
    """The strength given in the end; nan when a rule, a missed session or a limit is against it."""
    # two sessions a week are 3.5 days apart on paper only
    if now - s[_LAST] < c[_GAP] - p.grace or c[_SESSIONS] >= c[_MOST] or u < c[_MISS]:
        return math.nan
    if is_booster:
        if c[_BOOSTERS] >= c[_MOST_BOOSTERS]:
            return math.nan
        c[_BOOSTERS] += 1.0
    if c[_OVERRIDE] == c[_OVERRIDE]:
        give = c[_OVERRIDE]
    return give


@njit(cache=True, nogil=True, error_model="numpy")
def _give(p, person, s, now, strength, is_open, shared):
    """A session: states move on to now, its jumps are on their way."""
    if s[_LAST] == s[_LAST]:
        fast, slow = _drugged(p, person, s, now - s[_LAST])
    else:
        fast = slow = 0.0
    if shared:
        s[_LAST] = now  # contact stands in the table of what was planned
    else:
        _remember(p, s, now, is_open)
    s[_F], s[_S] = fast, slow
    s[_DF] = (1.0 - math.exp(-p.gain_fast * strength)) * (1.0 - fast)
    s[_DS] = (1.0 - math.exp(-p.gain_slow * strength)) * (1.0 - slow)


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(s, m, c, done):
    s[:] = 0.0
    s[_LAST] = math.nan
    m[:] = 0.0
    for k in (_RESPONSE, _REMISSION, _TWICE, _START, _RELAPSE):
        m[k] = math.nan
    m[_JUDGED] = -1.0
    m[_LEFT] = math.inf
    c[:] = 0.0
    c[_STOPPED] = c[_OVERRIDE] = math.nan
    c[_MOST] = c[_MOST_BOOSTERS] = math.inf
    done[:] = False


@njit(cache=True, nogil=True, error_model="numpy")
def _patient(p, person, limits, table, rules, booster, relapse, seed, who, common, shared, soft,
             s, m, c, done, people, sums, hist, scores):  # fmt: skip
    """One patient through all events; whether he was chosen."""
    _begin(s, m, c, done)
    base = person.base
    score, counted = base, limits.counted
    s[_LATENT] = person.base_logit
    per_point = hist.shape[1] / p.score_max
    key, zero = np.uint64(_VISITS), np.uint64(0)
    responds = remits = False
    chosen = limits.select_visit < 0
    for k in range(table.day.shape[0]):
        now = table.day[k]
        planned = table.strength[k]
        w0 = w1 = w2 = zero
        if table.scored[k] or rules.shape[0] > 0:
            w0, w1, w2, _ = philox(seed, key, np.uint64(round(24.0 * now)), who, zero, zero)
        v = table.visit[k]
        if table.scored[k]:
            if now > 0:
                if shared:
                    steady, expects = common[k, 2], common[k, 3]
                else:
                    steady, expects = _unspecific(p, s, soft, now)
                z = normal_from_uniform(uniform_from_word(w0))
                x = _evolve(p, person, s, limits, now, steady, expects, common[k], z)
                s[_LATENT] = x
                _hazards(p, s, m, person, x, now, relapse)
                if counted == 0 or m[_LEFT] >= now:
                    x += p.residual * normal_from_uniform(uniform_from_word(w2))
                    score = _score(p, x)
            else:
                x = person.base_logit
            here = counted == 0 or m[_LEFT] >= now
            if 1.0 - score / base >= limits.response:
                m[_EVER] = 1.0
            if v >= 0:
                if here:
                    responds, remits = _judge(p, m, limits, relapse, base, x, score, now)
                    if scores.shape[0] > 0:
                        scores[v] = score
                    if v == limits.select_visit:
                        chosen = responds if limits.select_kind == 0 else remits
                        if not chosen:
                            return False
                if here or counted == 2:
                    _count(sums, hist, v, base, score, responds, remits, per_point)
                elif counted == 3:
                    _count(sums, hist, v, base, score, False, False, per_point)
            m[_SEEN] = now
        if (counted > 0 and m[_LEFT] < now) or c[_STOPPED] == c[_STOPPED]:
            continue
        give, is_booster = planned, False
        if rules.shape[0] > 0:
            give, is_booster = _decide(
                p, rules, done, table, k, s, c, score, base, m[_EVER] > 0, limits, booster
            )
            if give == give:
                give = _given(p, c, s, now, give, is_booster, uniform_from_word(w1))
        if give == give:
            _give(p, person, s, now, give, table.open[k], shared)
            c[_SESSIONS] += 1.0
    observed = min(limits.end_d, m[_LEFT])
    row = people
    row[0], row[1], row[2], row[3] = base, score, m[_RESPONSE], m[_REMISSION]
    row[4], row[5], row[6], row[7] = m[_START], m[_RELAPSE], observed, c[_STOPPED]
    row[8], row[9], row[10], row[11] = m[_WELL], c[_SESSIONS], c[_BOOSTERS], s[_LAST]
    row[12], row[13] = person.drug, m[_TWICE]
    if not m[_RELAPSE] <= observed:
        row[5] = math.nan
    return chosen


@njit(cache=True, nogil=True, error_model="numpy")
def _block(p, limits, table, rules, booster, relapse, seed, first, step, people, sums, hist, scores):
    """Patients ``first, first + step …``; fills `people` and `scores`, adds to `sums` and `hist`.

    `scores` (patient, visit) is filled as well unless it has no columns. Who is not chosen has nan.
    """
    s, m, c = np.empty(_STATE), np.empty(_MEMORY), np.empty(_CHOICE)
    done = np.zeros(rules.shape[0], np.bool_)
    common = np.zeros((table.day.shape[0], 4))
    soft = _common(p, table, common)
    # with rules each patient's sessions are his own, and so is what they do
    shared = rules.shape[0] == 0 and limits.counted == 0
    if shared:
        _planned(p, table, soft, s, common)
    select = limits.select_visit >= 0
    spare, spare_hist = np.zeros(sums.shape), np.zeros(hist.shape, hist.dtype)
    for i in range(people.shape[0]):
        who = np.uint64(first + i * step)
        person = _draw(p, seed, who)
        # a first walk tells who is chosen; only those are counted
        if select and not _patient(p, person, limits, table, rules, booster, relapse, seed, who, common, shared,
                                   soft, s, m, c, done, people[i], spare, spare_hist, scores[i]):  # fmt: skip
            people[i, :] = math.nan
            scores[i, :] = math.nan
            continue
        _patient(p, person, limits, table, rules, booster, relapse, seed, who, common, shared, soft,
                 s, m, c, done, people[i], sums, hist, scores[i])  # fmt: skip


def timetable(
    sessions_d: np.ndarray, strengths: np.ndarray, open_: np.ndarray, visits_d: np.ndarray, always: bool
) -> Timetable:
    """Sessions and visits as one list; `always`: a score is taken before each session too, for the rules."""
    days = np.unique(np.round(np.concatenate([sessions_d, visits_d]), 9))
    strength, known = np.full(days.size, np.nan), np.zeros(days.size)
    visit = np.full(days.size, -1)
    at = np.searchsorted(days, np.round(sessions_d, 9))
    strength[at], known[at] = strengths, np.where(np.asarray(strengths) > 0, open_, -1.0)
    visit[np.searchsorted(days, np.round(visits_d, 9))] = np.arange(visits_d.size)
    weekly = (visit >= 0) & (np.abs(days / 7.0 - np.round(days / 7.0)) < 1e-6) & (days > 0)
    return Timetable(days, strength, known, visit, weekly, (visit >= 0) | always)


def parameters(values: Mapping[str, float]) -> Parameters:
    """The kernel's own names out of a mapping; others are left alone."""
    return Parameters(*(float(values[name]) for name in Parameters._fields))


def simulate_arm(
    draws: Mapping[str, float] | Sequence[Mapping[str, float]],
    sessions_h: np.ndarray,
    strengths: np.ndarray,
    n: int,
    seed: int,
    visit_days: np.ndarray,
    *,
    response: float = 0.5,
    remission: float = 12.0,
    open_: np.ndarray | None = None,
    rules: Sequence[np.ndarray] | np.ndarray | None = None,
    booster: np.ndarray | float = math.nan,
    relapse: Relapse | None = None,
    end_d: float | None = None,
    counted: str = "stay",
    crisis: tuple[float, float] | None = None,
    select: tuple[str, float] | None = None,
    first: int = 0,
    threads: int | None = None,
    keep_scores: bool = False,
) -> dict[str, Any]:
    """One group through one course.

    Parameters
    ----------
    draws : mapping or sequence of mappings
        Every name of `Parameters`; others are left alone. Of several sets the patient with number i gets set
        i modulo their number: a group dealt out over draws of the posterior, each with its own trial.
    sessions_h : array (session,), h
        Planned sessions.
    strengths : array (session,) or (draw, session)
        How strong each is; 0 is a sham session.
    n, seed, first : int
        How many patients, the key of their draws, the number of the first of them.
    visit_days : array (visit,), d
        When scores are taken, before a session of the same time. Day 0 is the baseline itself.
    response, remission : float
        Share of improvement that counts as a response, and the highest score of a remission.
    open_ : array (session,), optional
        1 where patient and rater know what is given; default as the parameters' ``open_label``.
    rules : array (rule, 10), or one for each draw, optional
        See `rules.table`.
    booster : float, or one for each draw
        Strength of a booster that names no dose.
    relapse : Relapse, optional
    end_d : float, optional
        End of the follow-up; default the last visit or session.
    counted : str
        One of `COUNTED`: whether patients leave, and how who has left is counted.
    crisis : (day, points), optional
        The score rises by so many points that day, and falls back at the pace of the wander.
    select : ("response" or "remission", day), optional
        Only those who have it at the visit of that day are counted; the others' rows are nan.
    threads : int, optional
    keep_scores : bool
        Give the `scores` (patient, visit) too, nan for who has left: the only array that grows with visits.

    Returns
    -------
    dict
        Arrays by visit (`visit_days`, `n`, `mean`, `sd`, `mean_change`, `sd_change`: baseline minus score;
        `response`, `remission`: shares; `histogram`) and by patient (the names of `PATIENT`).
    """
    sets = [draws] if isinstance(draws, Mapping) else list(draws)
    own = [parameters(values) for values in sets]
    _check_baseline(own[0])
    if counted == "stay":
        own = [p._replace(dropout_hazard=0.0) for p in own]
    sessions_d, visits_d = np.asarray(sessions_h, float) / 24.0, np.asarray(visit_days, float)
    strength = np.broadcast_to(np.asarray(strengths, float), (len(own), sessions_d.size))
    known = np.ones(sessions_d.size) if open_ is None else np.asarray(open_, float)
    asked = [np.empty((0, len(RULE)))] if rules is None else rules
    asked = [np.ascontiguousarray(asked, float)] if isinstance(asked, np.ndarray) else list(asked)
    boosters = np.broadcast_to(np.asarray(booster, float), (len(own),))
    always = counted != "stay" or len(asked[0]) > 0
    tables = [timetable(sessions_d, row, known, visits_d, always) for row in strength]
    days = tables[0].day
    last = float(days[-1]) if days.size else 0.0
    limits = Limits(
        float(response),
        float(remission),
        float(sessions_d.max()) if sessions_d.size else -1.0,
        last if end_d is None else float(end_d),
        COUNTED.index(counted),
        *((math.inf, 0.0) if crisis is None else (float(crisis[0]), float(crisis[1]))),
        *_selection(select, visits_d),
    )
    rule = Relapse() if relapse is None else relapse
    people = np.empty((n, len(PATIENT)))
    scores = np.full((n, visits_d.size if keep_scores else 0), math.nan)
    # one job: the patients of one draw, in pieces of a size that does not depend on threads
    jobs = [(d, a) for d in range(min(len(own), n)) for a in range(d, n, _BLOCK * len(own))]
    sums = np.zeros((len(jobs), visits_d.size, len(SUMS)))
    workers = min(threads or os.cpu_count() or 1, len(jobs))
    hists = np.zeros((workers, visits_d.size, BINS), np.int64)
    shift = first % len(own)

    def work(lane: int) -> None:
        # a histogram counts, so lanes may share one; sums of floats are kept by job, in a fixed order
        for b in range(lane, len(jobs), workers):
            row, start = jobs[b]
            rows = slice(start, start + _BLOCK * len(own), len(own))
            d = (row + shift) % len(own)
            _block(
                own[d], limits, tables[d], asked[d % len(asked)], float(boosters[d]), rule, np.uint64(seed),
                first + start, len(own), people[rows], sums[b], hists[lane], scores[rows],
            )  # fmt: skip

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    else:
        work(0)
    return _gathered(visits_d, sums.sum(axis=0), hists.sum(axis=0), people, scores if keep_scores else None)


def _check_baseline(p: Parameters) -> None:
    if not 0 < p.baseline_low <= p.baseline_high < p.score_max:
        given = f"{p.baseline_low:g} to {p.baseline_high:g}"
        raise InputError("baseline", given, f"scores above 0 and below {p.score_max:g}")


def _selection(select: tuple[str, float] | None, visits_d: np.ndarray) -> tuple[int, int]:
    if select is None:
        return -1, 0
    kind, day = select
    at = np.flatnonzero(np.abs(visits_d - day) < 1e-6)
    if not at.size:
        raise InputError("select", f"day {day:g}", "a day with a visit", f"visits with {day:g} among them")
    return int(at[0]), ("response", "remission").index(kind)


def _gathered(
    visits_d: np.ndarray, total: np.ndarray, hist: np.ndarray, people: np.ndarray, scores: np.ndarray | None
) -> dict[str, Any]:
    count = total[:, 0]
    safe = np.maximum(count, 1)
    mean, change = total[:, 1] / safe, total[:, 3] / safe
    result: dict[str, Any] = {
        "visit_days": visits_d,
        "n": count,
        "mean": mean,
        "sd": np.sqrt(np.maximum(total[:, 2] / safe - mean**2, 0)),
        "mean_change": change,
        "sd_change": np.sqrt(np.maximum(total[:, 4] / safe - change**2, 0)),
        "response": total[:, 5] / safe,
        "remission": total[:, 6] / safe,
        "histogram": hist,
    }
    result.update(zip(PATIENT, people.T, strict=True))
    if scores is not None:
        result["scores"] = scores
    return result
