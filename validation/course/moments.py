"""Expected outcomes of trial arms under the course model: differentiable (JAX), with common random numbers.

The same equations as `kinetamine.course.kernel`, for means over a fixed set of quasi-random patients: wander and
residual are integrated out, for relapse the residual alone. tests/test_trials.py holds both against each other.
Half-lives stand in six equal strata, so that states are solved once for an arm and stratum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from problem import RATIO, Arm, Key, Row
from scipy.stats import norm, qmc

from kinetamine.evidence.course.fits import rules

__all__ = ["STAY_EVERY", "Moments", "People", "logit"]

sigmoid, normal = jax.nn.sigmoid, jax.scipy.special.ndtr
STRATA = 6
#: days of the open phase and follow-up over which those who stay are counted, and days each stands for
STAY_DAYS, STAY_EVERY = np.arange(21.0, 120.0, 14.0), 14.0
#: nodes for the mean score over wander and residual
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def logit(p: Any) -> Any:
    return np.log(p / (1 - p))


class People:
    """`k` quasi-random patients; the seed is one whose moments stay close to those of many thousands."""

    def __init__(self, k: int = 128, seed: int = 11) -> None:
        z = norm.ppf(np.clip(qmc.Sobol(3, seed=seed).random(k), 1e-4, 1 - 1e-4))
        self.k = k
        self.baseline, self.drug, self.stable = z.T
        self.stratum = np.arange(k) % STRATA
        np.random.default_rng(seed).shuffle(self.stratum)
        self.half_life = norm.ppf((np.arange(STRATA) + 0.5) / STRATA)


class Points(NamedTuple):
    """Where scores are asked for: arm, day, the session before it and the days since."""

    arm: np.ndarray
    day: np.ndarray
    session: np.ndarray
    any: np.ndarray
    since: np.ndarray


class Table:
    """Arms as arrays (arm, session), padded with sessions that never come."""

    def __init__(self, arms: Sequence[Arm], people: People, low: float, high: float) -> None:
        n, most = len(arms), max(1, *(len(a.days) for a in arms))
        self.keys = [a.key for a in arms]
        self.day = np.full((n, most), 1e6, np.float32)
        self.s, self.r, self.flat, self.open = (np.zeros((n, most), np.float32) for _ in range(4))
        for i, a in enumerate(arms):
            m = len(a.days)
            self.day[i, :m], self.s[i, :m], self.r[i, :m], self.open[i, :m] = a.days, a.s, a.r, a.open
            self.flat[i, :m] = np.log(a.flat)
        column = {
            k: np.array([float(getattr(a, k)) for a in arms], np.float32)
            for k in ("hospital", "oral", "nasal")
        }
        self.hospital, self.oral, self.nasal = column["hospital"], column["oral"], column["nasal"]
        self.refractory = np.array([a.refractory for a in arms], np.float32)
        self.base = np.stack([np.clip(a.mean + a.sd * people.baseline, low, high) for a in arms]).astype(
            np.float32
        )

    def points(self, asked: Sequence[tuple[int, float]]) -> Points:
        arm, day = np.array([a for a, _ in asked], int), np.array([d for _, d in asked], np.float32)
        before = self.day[arm] <= day[:, None]
        session, any_ = np.maximum(before.sum(1) - 1, 0), before.any(1)
        since = np.where(any_, day - self.day[arm, session], 0).astype(np.float32)
        return Points(arm, day, session, any_.astype(np.float32), since)


def _contact(p: Any, care: Any, expects: Any, knows: Any, is_open: Any, dt: Any) -> tuple[Any, Any, Any]:
    near = jnp.minimum(dt, p["contact_days"])
    fade, slow = jnp.exp(-(dt - near) / p["tau_fade"]), jnp.exp(-near / p["tau_contact"])
    care = (1 - (1 - care) * slow) * fade
    expects = (1 - (1 - expects) * jnp.exp(-near / p["tau_expectancy"])) * fade
    rises = 1 - (1 - knows) * slow
    knows = jnp.where(is_open > 0, rises, jnp.where(is_open < 0, knows * slow, knows)) * fade
    return care, expects, knows


class _Relapse(NamedTuple):
    """Follow-up of one arm: four visits of the pick (one alone stands four times), then those of the rule."""

    key: Key
    days: np.ndarray
    pick: str
    by_half: bool
    start: float


class Moments:
    """Rows turned into evaluation points; `predict` gives the expectation of each.

    Shares are 0..1, scores in points, hazard ratios logs. `fixed` has the model's fixed numbers.
    """

    def __init__(
        self,
        arms: Mapping[Key, Arm],
        rows: Sequence[Row],
        fixed: Mapping[str, float],
        people: People | None = None,
    ) -> None:
        self.people, self.rows, self.fixed = people or People(), list(rows), dict(fixed)
        used = {key for r in rows for key in (r.arm, r.control) if key is not None}
        long = {key for key in used if len(arms[key].days) > 20}
        low, high = fixed["baseline_low"], fixed["baseline_high"]
        self.tables = [
            Table([arms[key] for key in sorted(group)], self.people, low, high)
            for group in (used - long, long)
            if group
        ]
        self.arms = {key: arms[key] for table in self.tables for key in table.keys}
        self.where = {key: (t, i) for t, table in enumerate(self.tables) for i, key in enumerate(table.keys)}
        self._families()
        self._asked: list[dict[tuple[int, float], int]] = [{} for _ in self.tables]
        self._rows_to_points()
        self._relapses()
        self._freeze()

    def _families(self) -> None:
        order = [self.arms[key] for table in self.tables for key in table.keys]
        self.families = sorted({a.family for a in order})
        self.with_drug = sorted({a.family for a in order if (a.s + a.r > 0).any()})
        self.family_of = np.array([self.families.index(a.family) for a in order])
        drug = [
            self.with_drug.index(a.family) if a.family in self.with_drug else len(self.with_drug)
            for a in order
        ]
        self.drug_of = np.array(drug)

    def _point(self, key: Key, day: float) -> tuple[int, int]:
        table, arm = self.where[key]
        asked = self._asked[table]
        return table, asked.setdefault((arm, round(float(day), 4)), len(asked))

    def _rows_to_points(self) -> None:
        self.shares: list[tuple[int, tuple[int, int], str, float, bool]] = []
        self.scores: list[tuple[int, float, tuple[int, int], bool]] = []
        self.late: list[tuple[int, tuple[int, int], tuple[int, int]]] = []
        self.lost: list[tuple[int, tuple[int, int], tuple[int, int], float]] = []
        self.stay: list[int] = []
        self.stay_points: list[tuple[int, int]] = []
        for i, r in enumerate(self.rows):
            if r.measure in ("response", "remission", "response_and_remission"):
                self.shares.append((i, self._point(r.arm, r.day), r.measure, r.cut, r.completers))
            elif r.measure in ("mean", "change", "difference"):
                sides = [(r.arm, 1.0)] + ([(r.control, -1.0)] if r.control is not None else [])
                for key, sign in sides:
                    self.scores.append((i, sign, self._point(key, r.day), r.measure != "mean"))
            elif r.measure == "late_response":
                self.late.append((i, self._point(r.arm, 1.0), self._point(r.arm, r.day)))
            elif r.measure == "lost":
                self.lost.append((i, self._point(r.arm, r.day / 2), self._point(r.arm, r.day), r.cut))
            elif r.measure == "stay":
                self.stay.append(i)
            if r.measure == "stay" or r.completers:
                self.stay_points = [self._point(r.arm, day) for day in STAY_DAYS]

    def _relapses(self) -> None:
        self.relapse = [(i, r.arm, r.day) for i, r in enumerate(self.rows) if r.measure == "relapse"]
        self.ratio = [(i, r.arm, r.control, r.day) for i, r in enumerate(self.rows) if r.measure == RATIO]
        keys = {key for _, key, _ in self.relapse} | {
            key for _, a, b, _ in self.ratio for key in (a, b) if key
        }
        self.follow: list[_Relapse] = []
        response, picked = rules().relapse_after_response, rules().relapse_after_pick
        for key in sorted(keys):
            arm = self.arms[key]
            start = arm.pick_day if arm.pick_day is not None else arm.days[-1] + 1.0
            half = arm.pick is None
            every = response.every_d if half else picked.every_d
            stable = arm.pick is not None and arm.pick.startswith("stable")
            last = picked.follow_d if stable else response.follow_d
            pick = start - np.array([*rules().pick.days_before, 0.0]) if stable else np.full(4, start)
            later = start + np.arange(every, last + every / 2, every)
            self.follow.append(
                _Relapse(key, np.concatenate([pick, later]), arm.pick or "response", half, start)
            )
        if not self.follow:
            return
        most = max(len(f.days) for f in self.follow)
        self.follow_days = np.array(
            [np.append(f.days, np.full(most - len(f.days), f.days[-1])) for f in self.follow]
        )
        asked = [
            [self._point(f.key, day) for day in days]
            for f, days in zip(self.follow, self.follow_days, strict=True)
        ]
        self.follow_points = asked
        k = self.people.k
        z = np.random.default_rng(5).standard_normal((len(self.follow), most, k)).astype(np.float32)
        z[:, :, k // 2 :] = -z[:, :, : k - k // 2]
        self.follow_z = z[:, :, np.random.default_rng(6).permutation(k)]
        families = [self.arms[f.key].family for f in self.follow]
        self.relapsing = sorted(set(families))
        self.relapse_of = np.array([self.relapsing.index(name) for name in families])

    def _freeze(self) -> None:
        self.offset = np.cumsum([0] + [len(asked) for asked in self._asked])
        self.points = [t.points(list(asked)) for t, asked in zip(self.tables, self._asked, strict=True)]
        self.base = np.concatenate([t.base[p.arm] for t, p in zip(self.tables, self.points, strict=True)])
        self.half = logit(self.base / 120).astype(np.float32)
        flat = self.at
        self.share_row = np.array([i for i, *_ in self.shares])
        self.share_point = np.array([flat(q) for _, q, *_ in self.shares])
        self.share_completers = np.array([c for *_, c in self.shares])
        self.share_cut = np.stack([self._threshold(flat(q), m, cut) for _, q, m, cut, _ in self.shares])
        self.score_row = np.array([i for i, *_ in self.scores])
        self.score_sign = np.array([sign for _, sign, *_ in self.scores], np.float32)
        self.score_point = np.array([flat(q) for _, _, q, _ in self.scores])
        bases = [self.base[flat(q)].mean() if change else 0.0 for _, _, q, change in self.scores]
        self.score_base = np.array(bases, np.float32)
        if self.follow:
            self.follow_at = np.array([[flat(q) for q in row] for row in self.follow_points])

    def at(self, point: tuple[int, int]) -> int:
        """Place of a point among all of them."""
        return int(self.offset[point[0]] + point[1])

    def _threshold(self, place: int, measure: str, cut: float) -> np.ndarray:
        half, score = self.half[place], np.float32(logit((cut + 0.5) / 60))
        if measure == "response":
            return half
        return np.minimum(half, score) if measure == "response_and_remission" else np.full_like(half, score)

    # --- states and scores

    def _states(self, p: Any, table: Table) -> tuple[Any, ...]:
        """Just before each session, and what the session adds; F and S (arm, session, stratum), else (arm, session)."""
        h = jnp.exp(p["omega_half_life"] * self.people.half_life)
        fast_h, slow_h = p["half_life_fast"] * h, p["half_life_slow"] * h
        x = (table.s + p["potency_r"] * table.r) / (1 + p["potency_r"])
        x = x * jnp.exp((p["nasal_exposure"] * table.nasal)[:, None] + p["flatness"] * table.flat)
        u = (1 + p["saturation"]) * x / (p["saturation"] + x)

        def step(carry: Any, session: Any) -> Any:
            fast, slow, care, expects, knows, was_open, last = carry
            day, add_fast, add_slow, is_open = session
            dt = jnp.where(last < 0, 0.0, jnp.minimum(day - last, 1e4))
            fast, slow = fast * jnp.exp2(-dt[:, None] / fast_h), slow * jnp.exp2(-dt[:, None] / slow_h)
            care, expects, knows = _contact(p, care, expects, knows, was_open, dt)
            d_fast, d_slow = add_fast[:, None] * (1 - fast), add_slow[:, None] * (1 - slow)
            after = (fast + d_fast, slow + d_slow, care, expects, knows, is_open, day)
            return after, (fast, d_fast, slow, d_slow, care, expects, knows)

        zero, none = jnp.zeros((len(table.keys), STRATA)), jnp.zeros(len(table.keys))
        adds = (1 - jnp.exp(-p["gain_fast"] * u), 1 - jnp.exp(-p["gain_slow"] * u))
        sessions = (table.day.T, adds[0].T, adds[1].T, table.open.T)
        _, out = jax.lax.scan(step, (zero, zero, none, none, none, none, none - 1), sessions)
        return (*(jnp.moveaxis(v, 0, 1) for v in out), fast_h, slow_h)

    def _latent(self, p: Any, table: Table, q: Points, trial: Any, drug: Any) -> tuple[Any, Any]:
        """Expected logit score (point, patient), variance of the wander (point, 1)."""
        fast, d_fast, slow, d_slow, care, expects, knows, fast_h, slow_h = self._states(p, table)
        a, j, dt, day, who = q.arm, q.session, q.since[:, None], q.day, self.people
        fast = (fast[a, j] + d_fast[a, j] * (1 - jnp.exp(-dt / p["tau_onset"]))) * jnp.exp2(-dt / fast_h)
        slow = (slow[a, j] + d_slow[a, j] * (1 - jnp.exp(-dt / p["tau_onset_slow"]))) * jnp.exp2(-dt / slow_h)
        unspecific = _contact(p, care[a, j], expects[a, j], knows[a, j], table.open[a, j], q.since)
        care, expects, knows = (v * q.any for v in unspecific)
        day_of = (
            q.any * jnp.exp(-q.since / p["tau_session_day"]) * (1 - jnp.exp(-q.since / p["tau_session_rise"]))
        )
        beside = np.maximum(table.oral[a], table.hospital[a])
        log_drug = (
            jnp.log(p["beside_drug"]) * beside + jnp.log(p["refractory_drug"]) * table.refractory[a] + drug[a]
        )
        amplitude = (p["theta_drug"] * jnp.exp(log_drug))[:, None] * jnp.exp(p["omega_drug"] * who.drug)[
            None, :
        ]
        d = amplitude * ((fast + p["slow_effect"] * slow) * q.any[:, None])[:, who.stratum]
        soft = jnp.exp(jnp.log(p["refractory_placebo"]) * table.refractory[a])
        oral = p["theta_oral"] * table.oral[a] * (1 - jnp.exp(-day / p["tau_oral"]))
        n = p["theta_contact"] * care + p["theta_open"] * knows + p["theta_session_day"] * day_of + oral
        n = n * soft + trial[a] * (1 - jnp.exp(-day / p["tau_trial"]))
        spread = jnp.exp(p["omega_expectancy"] * who.stable - p["omega_expectancy"] ** 2 / 2)
        quick = (p["theta_expectancy"] + p["theta_hospital"] * table.hospital[a]) * expects * soft
        own = p["omega_stable"] * (1 - jnp.exp(-day / p["tau_stable"]))
        y = logit(table.base / 60)[a] - d - n[:, None] - quick[:, None] * spread - own[:, None] * who.stable
        return y, (p["omega_wander"] ** 2 * (1 - jnp.exp(-2 * day / p["tau_wander"])))[:, None]

    def everyone(self, p: Any, z: Mapping[str, Any]) -> tuple[Any, Any]:
        """Expected logit scores of all points and patients, and the variance of the wander there.

        `z` has the trials' effects in units of their spread: trial (family,), drug (family with drug,), relapse
        (2, family with relapse).
        """
        p = {**self.fixed, **p}
        trial = p["sd_trial"] * z["trial"]
        drug = jnp.concatenate([p["sd_trial_drug"] * z["drug"], jnp.zeros(1)])
        found, i = [], 0
        for table, q in zip(self.tables, self.points, strict=True):
            arms = slice(i, i + len(table.keys))
            i += len(table.keys)
            found.append(self._latent(p, table, q, trial[self.family_of[arms]], drug[self.drug_of[arms]]))
        return jnp.concatenate([y for y, _ in found]), jnp.concatenate([v for _, v in found])

    # --- relapse

    def _wanders(self, p: Any, y: Any) -> Any:
        """Scores without residual along the follow-up, the wander a path of fixed normals: (arm, visit, patient)."""
        t = self.follow_days
        gap = np.diff(np.concatenate([np.zeros((len(t), 1)), t], 1), axis=1)
        shock = jnp.sqrt(-jnp.expm1(-2 * np.maximum(gap, 1e-3) / p["tau_wander"])) * (gap > 0)
        lower = np.tril(np.ones((t.shape[1],) * 2))
        lag = np.where(lower > 0, t[:, :, None] - t[:, None, :], 0.0)
        path = jnp.exp(-lag / p["tau_wander"]) * lower * shock[:, None, :]
        return y[self.follow_at] + p["omega_wander"] * jnp.einsum("gvw,gwk->gvk", path, self.follow_z)

    def _picked(self, p: Any, y: Any, half: Any) -> Any:
        """Weights of the patients a trial goes on with, (arm, patient)."""
        first = y[:, :4]
        remits = normal((logit(12.5 / 60) - first) / p["residual"])
        responds = normal((half[:, None, :] - first) / p["residual"])
        both = normal((jnp.minimum(half, logit(12.5 / 60))[:, None, :] - first) / p["residual"])
        stable = remits[:, 3] * remits[:, 2] * (1 - (1 - remits[:, 1]) * (1 - remits[:, 0]))
        only = jnp.maximum(responds[:, 3] * responds[:, 2] - stable, 1e-6)
        kinds = {
            "response": responds[:, 3],
            "response and remission": both[:, 3],
            "stable remission": stable,
            "stable response": only,
        }
        w = jnp.stack([kinds[f.pick][g] for g, f in enumerate(self.follow)])
        return w / w.sum(1, keepdims=True)

    def free(self, p: Any, z: Mapping[str, Any], y: Any) -> Any:
        """Share of the picked still free of relapse at each visit after the pick, (arm, visit)."""
        y = self._wanders(p, y)
        half = self.half[self.follow_at[:, 0]]
        w = self._picked(p, y, half)
        own = z["relapse"][:, self.relapse_of] * p["sd_trial_relapse"]
        at = np.stack(
            [
                half[g] if f.by_half else np.full_like(half[g], logit(21.5 / 60))
                for g, f in enumerate(self.follow)
            ]
        )
        later = y[:, 4:]
        up = 1 - normal((at[:, None, :] + own[0][:, None, None] - later) / p["residual"])
        hazard = p["relapse_hazard"] * jnp.exp(
            own[1][:, None, None] + p["relapse_slope"] * (later - self.fixed["score_reference"])
        )
        keep = jnp.exp(-hazard * np.diff(self.follow_days, axis=1)[:, 3:, None])

        def visit(carry: Any, here: Any) -> Any:
            low, high = carry  # free, below and above the threshold at the last visit
            q, k = here
            low, high = (low + high) * (1 - q) * k, low * q * k
            return (low, high), low + high

        one = jnp.ones(half.shape)
        _, alive = jax.lax.scan(visit, (one, one * 0), (jnp.moveaxis(up, 1, 0), jnp.moveaxis(keep, 1, 0)))
        return jnp.einsum("vgk,gk->gv", alive, w)

    def visit_of(self, key: Key, day: float) -> tuple[int, int]:
        """Arm and visit of a relapse reported `day` days after the pick."""
        g = next(g for g, f in enumerate(self.follow) if f.key == key)
        return g, int(np.argmin(np.abs(self.follow[g].days[4:] - self.follow[g].start - day)))

    # --- rows

    def predict(self, p: Any, z: Mapping[str, Any]) -> Any:
        """The expectation of every row."""
        p = {**self.fixed, **p}
        y, variance = self.everyone(p, z)
        sd = jnp.sqrt(variance + p["residual"] ** 2)
        out = jnp.zeros(len(self.rows))
        hits = normal((self.share_cut - y[self.share_point]) / sd[self.share_point])
        if self.stay_points:
            at = np.array([self.at(q) for q in self.stay_points])
            pace = jnp.exp(p["dropout_slope"] * (y[at] - self.fixed["score_reference"])).sum(0)
            stays = jnp.exp(-p["dropout_hazard"] * STAY_EVERY * pace)
            hits = hits * jnp.where(self.share_completers[:, None], stays / stays.mean(), 1.0)
            for i in self.stay:
                out = out.at[i].set(stays.mean())
        out = out.at[self.share_row].add(hits.mean(1))
        level = sigmoid(y[self.score_point][..., None] + sd[self.score_point][..., None] * NODES)
        mean = 60 * (level @ jnp.asarray(WEIGHTS, jnp.float32)).mean(1)
        out = out.at[self.score_row].add(self.score_sign * (mean - self.score_base))

        def below(q: tuple[int, int], threshold: Any) -> Any:
            return normal((threshold - y[self.at(q)]) / sd[self.at(q)])

        for i, first, last in self.late:
            without = 1 - below(first, self.half[self.at(first)])
            out = out.at[i].set((without * below(last, self.half[self.at(last)])).mean() / without.mean())
        for i, first, last, cut in self.lost:
            threshold = logit((cut + 0.5) / 60)
            well = below(first, threshold)
            out = out.at[i].set(1 - (well * below(last, threshold)).mean() / well.mean())
        if self.follow:
            free = self.free(p, z, y)
            for i, key, day in self.relapse:
                out = out.at[i].set(1 - free[self.visit_of(key, day)])
            for i, key, control, day in self.ratio:
                mine, theirs = free[self.visit_of(key, day)], free[self.visit_of(control, day)]
                out = out.at[i].set(jnp.log(jnp.log(mine) / jnp.log(theirs)))
        return out
