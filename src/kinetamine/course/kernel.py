"""Numbers only: one group of patients through a course, each stepped exactly from visit to visit.

Between two doses every state decays exponentially, so a step of any length is exact and nothing is kept in
time but streaming sums and a histogram per visit: memory grows with patients. A patient's draws depend on
seed, patient number and, for the noise of a score, the hour of the visit: the same patient is the same in any
block and any arm (common random numbers).

Times are days, sessions h; strengths are relative to one reference session (see `strength`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numba import njit

from kinetamine.engine.random import normal_from_uniform, philox, stream_number, uniform_from_word
from kinetamine.errors import InputError

__all__ = ["ACTIONS", "BINS", "MEASURES", "NAMES", "PATIENT", "PLACES", "simulate_arm", "steady_trough"]

#: what the kernel asks of a course model, in its order
NAMES = (
    "theta_fast",
    "theta_slow",
    "gain_fast",
    "gain_slow",
    "half_life_fast",
    "half_life_slow",
    "responder_share",
    "weak_effect",
    "omega_theta",
    "omega_half_life_fast",
    "omega_half_life_slow",
    "theta_placebo",
    "omega_placebo",
    "tau_placebo",
    "residual",
    "omega_wander",
    "tau_wander",
    "tau_onset",
    "theta_open",
    "tau_open",
    "theta_oral",
    "tau_oral",
    "relapse_hazard",
    "dropout_hazard",
    "tolerance",
    "tolerance_half_life",
    "refractory_drug",
    "refractory_placebo",
    "hospital_placebo",
    "beside_drug",
    "naltrexone_drug",
    "rapamycin_half_life",
    "baseline_mean",
    "baseline_sd",
    "baseline_low",
    "baseline_high",
    "score_max",
    # switches: 0 off, 1 on, between the two in part
    "drug_effect",
    "expectancy",
    "open_label",
    "hospital",
    "oral_antidepressant",
    "refractory",
    "naltrexone",
    "rapamycin",
)
#: columns of a rule: what, its number, the condition, where it is asked, from and until which day, of whom
RULE = ("action", "value", "measure", "op", "threshold", "place", "place_n", "from_d", "until_d", "who")
ACTIONS = ("booster", "stop", "dose", "space", "miss", "sessions", "boosters")
MEASURES = ("always", "score", "improvement")
OPS = (">=", ">", "<=", "<")
PLACES = ("any", "weekly", "session", "after", "visit", "sessions", "once")
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
    "responder_class",
)
#: days between the points of the path on which illness wanders, straight lines between
KNOT = 1.0
#: open care counts for so many days from each session
CARE = 7.0
#: the histogram of scores has two bins a point
BINS = 120
_BLOCK = 4096
_PEOPLE, _VISITS = stream_number("course", "people"), stream_number("course", "visits")
_WANDER = stream_number("course", "wander")


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
def _block(
    p, limits, event_d, strengths, visit_of, weekly, rules, relapse, seed, first, people, sums, hist, scores
):
    """Patients ``first …`` of one block; fills `people` (patient, PATIENT), adds to `sums` and `hist`.

    `scores` (patient, visit) is filled as well unless it has no columns.
    """
    (th_fast, th_slow, gain_fast, gain_slow, h_fast, h_slow, share, weak, om_th, om_hf, om_hs) = p[:11]
    (th_placebo, om_placebo, tau_placebo, residual, om_wander, tau_wander, tau_onset) = p[11:18]
    (th_open, tau_open, th_oral, tau_oral, hazard, dropout, tolerance, tolerance_h) = p[18:26]
    (refractory_drug, refractory_placebo, hospital_placebo, beside_drug, naltrexone_drug, rapamycin_h) = p[
        26:32
    ]
    (b_mean, b_sd, b_low, b_high, top, drug_on, expectancy, open_on, hospital, oral_on) = p[32:42]
    (refractory, naltrexone, rapamycin) = p[42:45]
    response, remission, planned_end, end_d = limits
    nan = math.nan
    ln2 = math.log(2.0)
    zero = np.uint64(0)
    one = np.uint64(1)
    people_key, visits_key, wander_key = np.uint64(_PEOPLE), np.uint64(_VISITS), np.uint64(_WANDER)
    n_rules = rules.shape[0]
    done = np.zeros(n_rules, np.bool_)
    drug = (
        drug_on
        * (1.0 + (refractory_drug - 1.0) * refractory)
        * (1.0 + (naltrexone_drug - 1.0) * naltrexone)
        * (1.0 + (beside_drug - 1.0) * max(min(oral_on, 1.0), hospital))
    )
    slower = 1.0 + (rapamycin_h - 1.0) * rapamycin
    unspecific = expectancy * (1.0 + (refractory_placebo - 1.0) * refractory)
    placebo_on = unspecific * (1.0 + (hospital_placebo - 1.0) * hospital) * th_placebo
    opened = unspecific * open_on * th_open
    # from one week to the next the illness keeps this much of where it was
    kept = math.exp(-KNOT / tau_wander)
    shock = om_wander * math.sqrt(1.0 - kept * kept)
    onset = 1.0 / tau_onset if tau_onset > 0 else 0.0
    bins_per_point = hist.shape[1] / top
    tolerance_step = 2.0 ** (1.0 / tolerance_h) - 1.0
    for i in range(people.shape[0]):
        who = np.uint64(first + i)
        w0, w1, w2, w3 = philox(seed, people_key, zero, who, zero, zero)
        w4, w5, w6, w7 = philox(seed, people_key, one, who, zero, zero)
        base = b_mean + b_sd * normal_from_uniform(uniform_from_word(w0))
        base = min(max(base, b_low), b_high)
        effect = drug * math.exp(om_th * normal_from_uniform(uniform_from_word(w1)))
        strong = uniform_from_word(w5) < share
        if not strong:
            effect *= weak
        k_slow = ln2 / (h_slow * slower * math.exp(om_hs * normal_from_uniform(uniform_from_word(w2))))
        k_fast = ln2 / (h_fast * slower * math.exp(om_hf * normal_from_uniform(uniform_from_word(w3))))
        suggestible = math.exp(om_placebo * normal_from_uniform(uniform_from_word(w4)))
        leaves = -math.log(uniform_from_word(w6)) / dropout if dropout > 0 else math.inf
        falls_ill = -math.log(uniform_from_word(w7)) / hazard if hazard > 0 else math.inf
        base_logit = math.log(base / (top - base))

        fast = slow = used = coming_fast = coming_slow = care = 0.0
        wander = wandered = 0.0
        knot = 0
        z0 = z1 = z2 = z3 = zero
        t = 0.0
        step = -1.0
        q_fast = q_slow = q_used = 1.0
        q_onset = in_fast = in_slow = 0.0
        score = base
        improvement = 0.0
        seen_d = 0.0
        was_well = 0.0
        well_d = 0.0
        response_d = remission_d = stopped_d = last_d = relapse_d = start_d = run_d = nan
        ever = stopped = asked = False
        judged_d = -1.0
        run = 0
        sessions = boosters = 0
        override = nan
        gap = 0.0
        miss = 0.0
        most_sessions = most_boosters = 2**31
        done[:] = False
        for k in range(event_d.shape[0]):
            now = event_d[k]
            if now > leaves:
                break
            dt = now - t
            if dt > 0:
                if dt != step:
                    step = dt
                    q_fast = math.exp(-k_fast * dt)
                    q_slow = math.exp(-k_slow * dt)
                    q_used = math.exp(-ln2 * dt / tolerance_h)
                    if onset > 0:
                        q_onset = math.exp(-onset * dt)
                        in_fast = onset / (k_fast - onset) * (q_onset - q_fast)
                        in_slow = onset / (k_slow - onset) * (q_onset - q_slow)
                fast = fast * q_fast + coming_fast * in_fast
                slow = slow * q_slow + coming_slow * in_slow
                coming_fast *= q_onset
                coming_slow *= q_onset
                if opened > 0 and sessions > 0:
                    cared = min(max(last_d + CARE - t, 0.0), dt)
                    care = 1.0 - (1.0 - care) * math.exp(-cared / tau_open)
                    care *= math.exp(-(dt - cared) / tau_open)
                used *= q_used
                t = now
            w0, w1, w2, w3 = philox(seed, visits_key, np.uint64(round(24.0 * now)), who, zero, zero)
            if now > 0:
                while shock > 0 and KNOT * knot < now:
                    place = knot % 4
                    if place == 0:
                        z0, z1, z2, z3 = philox(seed, wander_key, np.uint64(knot // 4), who, zero, zero)
                    z = z0 if place == 0 else z1 if place == 1 else z2 if place == 2 else z3
                    knot += 1
                    wandered = wander
                    wander = kept * wander + shock * normal_from_uniform(uniform_from_word(z))
                x = base_logit + wander + (wandered - wander) * (knot - now / KNOT)
                x -= effect * (th_fast * fast + th_slow * slow)
                x -= suggestible * placebo_on * (1.0 - math.exp(-now / tau_placebo))
                x -= suggestible * opened * care
                if oral_on > 0:
                    x -= oral_on * th_oral * (1.0 - math.exp(-now / tau_oral))
                x += residual * normal_from_uniform(uniform_from_word(w0))
                score = top / (1.0 + math.exp(-x))
                improvement = 1.0 - score / base
            ever = ever or improvement >= response

            v = visit_of[k]
            if v >= 0:
                well = 1.0 if improvement >= response or score <= remission else 0.0
                well_d += 0.5 * (well + was_well) * (now - seen_d)
                was_well = well
                if scores.shape[1] > 0:
                    scores[i, v] = score
                seen_d = now
                responds = improvement >= response
                remits = score <= remission
                sums[v, 0] += 1.0
                sums[v, 1] += score
                sums[v, 2] += score * score
                sums[v, 3] += base - score
                sums[v, 4] += (base - score) ** 2
                sums[v, 5] += responds
                sums[v, 6] += remits
                # never outside the table, whatever the parameters made of the score
                bin_ = int(score * bins_per_point) if score == score else 0
                hist[v, min(max(bin_, 0), hist.shape[1] - 1)] += 1
                if responds and not response_d <= now:
                    response_d = now
                if remits and not remission_d <= now:
                    remission_d = now
                if relapse[0] > 0:
                    if not start_d <= now:
                        if relapse[5] == 0:
                            start_d = response_d
                        elif relapse[5] == 1:
                            start_d = remission_d
                        elif not asked and (now > relapse[6] or (relapse[5] == 2 and now == relapse[6])):
                            asked = True
                            start_d = relapse[6] if responds else nan
                            judged_d = now
                    if now > start_d and now > judged_d and not relapse_d <= now:
                        value = score if relapse[1] == 1 else improvement
                        if _met(relapse[2], value, relapse[3]):
                            run_d = now if run == 0 else run_d
                            run += 1
                            if run >= relapse[4]:
                                relapse_d = run_d
                        else:
                            run = 0

            planned = strengths[k]  # nan where no session is planned
            give = planned
            is_booster = False
            if not stopped:
                for r in range(n_rules):
                    action = rules[r, 0]
                    place = rules[r, 5]
                    if now < rules[r, 7] or now > rules[r, 8] or done[r]:
                        continue
                    if place == 1 and not weekly[k]:
                        continue
                    if place == 2 and (planned != planned or sessions + 1 != rules[r, 6]):
                        continue
                    if place == 3:
                        if sessions < rules[r, 6] or now <= last_d:
                            continue
                        done[r] = True
                    if place == 4 and v < 0:
                        continue
                    if place == 5 and planned != planned:
                        continue
                    if place == 6:
                        done[r] = True
                    if rules[r, 9] == 1 and not ever:
                        continue
                    if rules[r, 2] == 1 and not _met(rules[r, 3], score, rules[r, 4]):
                        continue
                    if rules[r, 2] == 2 and not _met(rules[r, 3], improvement, rules[r, 4]):
                        continue
                    value = rules[r, 1]
                    if action == 0:
                        if now > planned_end and give != give and not now - last_d < rules[r, 6] - 0.25:
                            is_booster = True
                            give = value if value == value else strengths[-1]
                    elif action == 1:
                        stopped = True
                        stopped_d = now
                        break
                    elif action == 2:
                        override = value
                    elif action == 3:
                        gap = value
                    elif action == 4:
                        miss = value
                    elif action == 5:
                        most_sessions = value
                    else:
                        most_boosters = value
            if stopped or give != give:
                continue
            # a quarter of a day of grace: two sessions a week are 3.5 days apart on paper only
            if now - last_d < gap - 0.25 or sessions >= most_sessions or uniform_from_word(w1) < miss:
                continue
            if is_booster:
                if boosters >= most_boosters:
                    continue
                boosters += 1
            if override == override:
                give = override
            room = max(0.0, 1.0 - tolerance * min(used, 1.0))
            more_fast = min(gain_fast * give * room, 1.0) * (1.0 - fast - coming_fast)
            more_slow = min(gain_slow * give * room, 1.0) * (1.0 - slow - coming_slow)
            if onset > 0:
                coming_fast += more_fast
                coming_slow += more_slow
            else:
                fast += more_fast
                slow += more_slow
            used += tolerance_step
            sessions += 1
            last_d = now

        observed = min(end_d, leaves)
        ill_d = start_d + falls_ill
        if relapse[0] > 0 and ill_d <= observed and not relapse_d <= ill_d:
            relapse_d = ill_d
        row = people[i]
        row[0], row[1], row[2], row[3] = base, score, response_d, remission_d
        row[4], row[5], row[6], row[7] = start_d, relapse_d, observed, stopped_d
        row[8], row[9], row[10], row[11], row[12] = well_d, sessions, boosters, last_d, strong


def steady_trough(gain: float, half_life_d: float, spacing_d: float) -> float:
    """The state just before a session, once sessions of strength 1 have gone on for long.

    Examples
    --------
    >>> round(steady_trough(gain=0.35, half_life_d=7.6, spacing_d=7), 3)
    0.281
    """
    q = 2.0 ** (-spacing_d / half_life_d)
    return gain * q / (1.0 - (1.0 - gain) * q)


def timetable(
    sessions_d: np.ndarray, strengths: np.ndarray, visits_d: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sessions and visits as one list: days, strength there (nan: none), number of the visit (-1: none)."""
    days = np.unique(np.round(np.concatenate([sessions_d, visits_d]), 9))
    strength = np.full(days.size, np.nan)
    visit = np.full(days.size, -1)
    strength[np.searchsorted(days, np.round(sessions_d, 9))] = strengths
    visit[np.searchsorted(days, np.round(visits_d, 9))] = np.arange(visits_d.size)
    return days, strength, visit


def simulate_arm(
    parameters: Mapping[str, float],
    sessions_h: np.ndarray,
    strengths: np.ndarray,
    n: int,
    seed: int,
    visit_days: np.ndarray,
    baseline: tuple[float, ...] | None = None,
    placebo_only: bool = False,
    *,
    response: float,
    remission: float,
    rules: np.ndarray | None = None,
    booster: float = math.nan,
    relapse: np.ndarray | None = None,
    end_d: float | None = None,
    first: int = 0,
    threads: int | None = None,
    keep_scores: bool = False,
) -> dict[str, Any]:
    """One group through one course.

    Parameters
    ----------
    parameters : mapping
        Every name of `NAMES`; others are left alone.
    sessions_h, strengths : array (session,)
        Planned sessions, h, and how strong each is.
    n, seed, first : int
        How many patients, the key of their draws, the number of the first of them.
    visit_days : array (visit,), d
        When scores are taken, before a session of the same time. Day 0 is the baseline itself.
    baseline : (mean, sd) or (mean, sd, low, high), optional
        Instead of the model's.
    placebo_only : bool
        The same visits and sessions without drug.
    response, remission : float
        Share of improvement that counts as a response, and the highest score of a remission.
    rules : array (rule, 10), optional
        See `rules.table`.
    booster : float
        Strength of a booster that names no dose.
    relapse : array (7,), optional
        See `rules.relapse_table`.
    end_d : float, optional
        End of the follow-up; default the last visit or session.
    threads : int, optional
    keep_scores : bool
        Give the `scores` (patient, visit) too, nan for who has left: the only array that grows with visits.

    Returns
    -------
    dict
        Arrays by visit (`visit_days`, `n`, `mean`, `sd`, `mean_change`, `sd_change`: baseline minus score;
        `response`, `remission`: shares; `histogram`) and by patient (the names of `PATIENT`).
    """
    own = dict(parameters)
    if baseline is not None:
        names = ("baseline_mean", "baseline_sd", "baseline_low", "baseline_high")
        own.update(zip(names, baseline, strict=False))
    if placebo_only:
        own["drug_effect"] = 0.0
    if not 0 < own["baseline_low"] <= own["baseline_high"] < own["score_max"]:
        given = f"{own['baseline_low']:g} to {own['baseline_high']:g}"
        raise InputError("baseline", given, f"scores above 0 and below {own['score_max']:g}")
    p = tuple(float(own[name]) for name in NAMES)
    sessions_d = np.asarray(sessions_h, float) / 24.0
    visits_d = np.asarray(visit_days, float)
    days, strength, visit = timetable(sessions_d, np.asarray(strengths, float), visits_d)
    weekly = (visit >= 0) & (np.abs(days / 7.0 - np.round(days / 7.0)) < 1e-6) & (days > 0)
    last = float(days[-1]) if days.size else 0.0
    end = last if end_d is None else float(end_d)
    # the last entry is the booster's strength: past the last event, so no event of its own
    strength = np.append(strength, booster)
    planned_end = float(sessions_d.max()) if sessions_d.size else -1.0
    limits = (float(response), float(remission), planned_end, end)
    table = np.empty((0, len(RULE))) if rules is None else np.ascontiguousarray(rules, float)
    relapse = np.zeros(7) if relapse is None else np.asarray(relapse, float)

    people = np.empty((n, len(PATIENT)))
    scores = np.full((n, visits_d.size if keep_scores else 0), math.nan)
    starts = range(0, n, _BLOCK)
    sums = np.zeros((len(starts), visits_d.size, 7))
    workers = min(threads or os.cpu_count() or 1, len(starts))
    hists = np.zeros((workers, visits_d.size, BINS), np.int64)

    def work(lane: int) -> None:
        # a histogram counts, so lanes may share one; sums of floats are kept by block, in a fixed order
        for b in range(lane, len(starts), workers):
            rows = slice(starts[b], starts[b] + _BLOCK)
            _block(
                p, limits, days, strength, visit, weekly, table, relapse, np.uint64(seed), first + starts[b],
                people[rows], sums[b], hists[lane], scores[rows],
            )  # fmt: skip

    if workers > 1:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    else:
        work(0)
    total = sums.sum(axis=0)
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
        "histogram": hists.sum(axis=0),
    }
    result.update(zip(PATIENT, people.T, strict=True))
    if keep_scores:
        result["scores"] = scores
    return result
