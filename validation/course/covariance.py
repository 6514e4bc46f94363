"""How rows vary together that were measured in the same people: one correlation matrix over all rows of the fit.

Patients of every arm are simulated at one set of parameters, each row is written as a mean of what it takes from
each patient (its influence), and influences are correlated; arms that share people (a pooled report and its trials)
by the share of them. Off the diagonal the result is shrunk: n, imputation and adjustment differ between rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from moments import STAY_EVERY, Moments, People
from problem import WHOLE, Arm, Key, Row

__all__ = ["correlation"]

SHRINK = 0.9
PATIENTS = 4096
#: people in the pooled reports, where the row says only part of it
_POOLED = {("transform1_2_pooled", "esk"): 310.0, ("transform1_2_pooled", "placebo"): 208.0}


def _sizes(arms: Mapping[Key, Arm], rows: list[Row]) -> dict[Key, float]:
    n: dict[Key, float] = {}
    for r in rows:
        if r.measure in ("late_response", "lost"):
            continue  # of a part of the arm
        n[r.arm] = max(n.get(r.arm, 0.0), r.n)
        if r.control is not None:
            n[r.control] = max(n.get(r.control, 0.0), arms[r.control].n or r.n)
    for whole, parts in WHOLE.items():
        for key in (whole, *parts):
            n.setdefault(key, 100.0)
    return n | _POOLED


def _overlap(a: Key, b: Key, n: Mapping[Key, float]) -> float:
    """People in both arms over the product of their sizes: the factor of a covariance of means."""
    if a == b:
        return 1 / n[a]
    for x, y in ((a, b), (b, a)):
        stem = (x[0], x[1].rpartition("_")[0])
        if stem in WHOLE and x not in WHOLE:  # women or men of a pooled arm
            if y == stem:
                return 1 / n[y]
            if y in WHOLE[stem]:
                return 1 / sum(n[part] for part in WHOLE[stem])
        if y in WHOLE.get(x, ()):
            return min(1.0, n[x] / sum(n[part] for part in WHOLE[x])) / n[x]
    return 0.0


class _Simulated:
    """Scores of many patients at every point, wander and residual drawn; the same people in every arm."""

    def __init__(self, m: Moments, p: Mapping[str, float], seed: int) -> None:
        k = m.people.k
        z = {
            "trial": jnp.zeros(len(m.families)),
            "drug": jnp.zeros(len(m.with_drug)),
            "relapse": jnp.zeros((2, len(m.relapsing))),
        }
        y, variance = (np.asarray(v, float) for v in m.everyone(p, z))
        rng = np.random.default_rng(seed)
        keep = np.exp(-1 / p["tau_wander"])
        path = np.zeros((400, k))
        for t in range(1, 400):
            shock = p["omega_wander"] * np.sqrt(1 - keep * keep) * rng.standard_normal(k)
            path[t] = keep * path[t - 1] + shock
        self.day = np.concatenate([q.day for q in m.points])
        noise: dict[int, np.ndarray] = {}
        self.latent, seen = np.empty_like(y), np.empty_like(y)
        for i, t in enumerate(self.day):
            within = path[1] * np.sqrt(variance[i, 0] / p["omega_wander"] ** 2 / (1 - keep * keep))
            self.latent[i] = y[i] + (path[round(t)] if t >= 1 else within)
            e = noise.setdefault(round(24 * float(t)), p["residual"] * rng.standard_normal(k))
            seen[i] = self.latent[i] + e
        self.score = 60 / (1 + np.exp(-seen))
        self.half = m.base / 2
        self.uniform = rng.random((2, k))
        self.arm = [t.keys[a] for t, q in zip(m.tables, m.points, strict=True) for a in q.arm]


class _Influences:
    """What each row takes from each patient of its arms."""

    def __init__(self, m: Moments, p: Mapping[str, float], seed: int) -> None:
        self.m, self.p, self.sim = m, {**m.fixed, **p}, _Simulated(m, {**m.fixed, **p}, seed)
        self.of: list[dict[Key, np.ndarray]] = [{} for _ in m.rows]
        self._shares()
        self._others()
        for g in range(len(m.follow)):
            self._relapse(g)

    def _add(self, row: int, key: Key, x: Any) -> None:
        self.of[row][key] = self.of[row].get(key, 0.0) + np.asarray(x, float)

    def _pace(self, latent: np.ndarray, slope: str) -> np.ndarray:
        return np.exp(self.p[slope] * (latent - self.p["score_reference"]))

    def _shares(self) -> None:
        m, sim = self.m, self.sim
        stay = np.ones(m.people.k, bool)
        if m.stay_points:
            at = [m.at(q) for q in m.stay_points]
            hazard = (
                self.p["dropout_hazard"] * STAY_EVERY * self._pace(sim.latent[at], "dropout_slope").sum(0)
            )
            stay = sim.uniform[0] < np.exp(-hazard)
        for i in m.stay:
            self._add(i, m.rows[i].arm, stay - stay.mean())
        for i, q, measure, cut, completers in m.shares:
            at = m.at(q)
            low, half = sim.score[at] <= cut + 0.5, sim.score[at] <= sim.half[at]
            hit = {"response": half, "remission": low}.get(measure, low & half)
            w = stay / stay.mean() if completers else np.ones(m.people.k)
            self._add(i, sim.arm[at], w * (hit - (hit * w).mean()))

    def _others(self) -> None:
        m, sim = self.m, self.sim
        for i, sign, q, change in m.scores:
            at = m.at(q)
            x = sim.score[at] - (m.base[at] if change else 0)
            self._add(i, sim.arm[at], sign * (x - x.mean()))
        for i, first, last in m.late:
            a, b = m.at(first), m.at(last)
            self._part(i, sim.arm[a], sim.score[a] > sim.half[a], sim.score[b] <= sim.half[b])
        for i, first, last, cut in m.lost:
            a, b = m.at(first), m.at(last)
            self._part(i, sim.arm[a], sim.score[a] <= cut + 0.5, sim.score[b] > cut + 0.5)

    def _part(self, row: int, key: Key, part: np.ndarray, hit: np.ndarray) -> None:
        self._add(row, key, part * (hit - hit[part].mean()) / part.mean())

    def _relapse(self, g: int) -> None:
        m, sim, f = self.m, self.sim, self.m.follow[g]
        at = m.follow_at[g]
        half, score = sim.half[at[0]], sim.score[at]
        low, better = score[:4] <= 12.5, score[:4] <= half
        stable = low[3] & low[2] & (low[1] | low[0])
        picked = {
            "response": better[3],
            "response and remission": better[3] & low[3],
            "stable remission": stable,
            "stable response": better[3] & better[2] & ~stable,
        }[f.pick]
        gone, last = np.zeros(m.people.k, bool), np.zeros(m.people.k, bool)
        hazard, free = np.zeros(m.people.k), []
        for c in range(4, len(f.days)):
            up = score[c] > (half if f.by_half else 21.5)
            gone, last = gone | (up & last), up
            step = f.days[c] - f.days[c - 1]
            hazard = hazard + self.p["relapse_hazard"] * self._pace(sim.latent[at[c]], "relapse_slope") * step
            free.append(~gone & (sim.uniform[1] < np.exp(-hazard)))
        for i, key, day in m.relapse:
            if key == f.key:
                self._part(i, key, picked, ~free[m.visit_of(key, day)[1]])
        for i, key, control, day in m.ratio:
            if f.key in (key, control):
                x = free[m.visit_of(f.key, day)[1]]
                s = float(np.clip(x[picked].mean(), 0.01, 0.99))
                sign = 1 if f.key == key else -1
                self._add(i, f.key, sign * picked * (x - s) / picked.mean() / (s * np.log(s)))


def correlation(
    arms: Mapping[Key, Arm],
    rows: list[Row],
    fixed: Mapping[str, float],
    p: Mapping[str, float],
    seed: int = 1,
) -> np.ndarray:
    """Correlation of the rows, array (row, row), at the parameters `p`."""
    psi = _Influences(Moments(arms, rows, fixed, People(PATIENTS)), p, seed).of
    n = _sizes(arms, rows)
    keys = sorted({key for one in psi for key in one})
    covariance = np.zeros((len(rows), len(rows)))
    for a in keys:
        ia = [i for i, one in enumerate(psi) if a in one]
        mine = np.array([psi[i][a] for i in ia])
        for b in keys:
            share = _overlap(a, b, n)
            if share:
                ib = [i for i, one in enumerate(psi) if b in one]
                theirs = np.array([psi[i][b] for i in ib])
                covariance[np.ix_(ia, ib)] += share * (mine @ theirs.T) / PATIENTS
    sd = np.sqrt(np.diag(covariance))
    found = covariance / sd[:, None] / sd[None, :]
    found[~np.eye(len(found), dtype=bool)] *= SHRINK
    return found
