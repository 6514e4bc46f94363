"""Scores of one patient: read, weighed given what stays the same in him, and how odd they are.

The wander of the illness, an Ornstein-Uhlenbeck process that begins at nothing on day 0, and the rater's error are
Gaussian on the logit scale; so the probability of scores given the rest is exact (Kalman 1960).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kinetamine.errors import Fault, FaultyFile, InputError, NoData
from kinetamine.observations import Observations

__all__ = ["NEAREST", "Seen", "Wander", "oddness", "read", "weigh"]

#: scores this near the ends of the scale count as so far from them, points
NEAREST = 0.25


@dataclass(frozen=True)
class Seen:
    """Scores of one patient, in the model's scale.

    Parameters
    ----------
    day : array (score,), d
        Ascending, since the first session.
    score : array (score,)
    base : float or None
        The score of day 0.
    """

    day: np.ndarray
    score: np.ndarray
    base: float | None

    @property
    def now_d(self) -> float:
        """Day of the last score."""
        return float(self.day[-1]) if len(self.day) else 0.0


def read(observations: Observations, scale: str, most: float) -> Seen:
    """Scores of a patient in a model's scale, which ends at `most`; every fault at once."""
    from kinetamine.course.scales import convert

    faults, found = [], []
    for item in observations:
        where = item.where or str(item)
        if not item.is_score:
            faults.append(Fault(where, item.what, f"a score of {scale}", f"'{scale} 21 on day 7'"))
            continue
        if item.kind != "value" or item.low != int(item.low):
            faults.append(Fault(where, str(item), "a whole score", f"'{scale} 21 on day 7'"))
            continue
        if item.time_h < 0:
            faults.append(
                Fault(where, str(item), "a day from 0 on, the first session", f"'{scale} 34 on day 0'")
            )
            continue
        score = item.low
        if item.what.upper() != scale.upper():
            try:
                low, high = convert(score, item.what, scale)
            except NoData as error:
                faults += [Fault(where, f.given, f.expected, f.try_) for f in error.faults]
                continue
            score = (low + high) / 2
        if not 0 <= score <= most:
            faults.append(Fault(where, f"{score:g}", f"a {scale} score, 0 to {most:g}"))
            continue
        found.append((item.time_h / 24, score))
    days = [day for day, _ in found]
    if not faults and len(set(days)) < len(days):
        faults.append(Fault("observations", "two scores on one day", "one score a day", "the last of them"))
    if not faults and not found:
        faults.append(Fault("observations", "nothing", "at least one score", f"'{scale} 34 on day 0'"))
    if faults:
        raise FaultyFile("observations", faults)
    found.sort()
    day, score_ = (np.array(column, float) for column in zip(*found, strict=True))
    base = float(score_[0]) if day[0] == 0 else None
    if base is not None and not 0 < base < most:
        raise InputError(
            "observations", f"a score of {base:g} on day 0", "a score above 0", f"{scale} 34 on day 0"
        )
    return Seen(day, score_, base)


def _logit(score: np.ndarray, most: float) -> np.ndarray:
    inside = np.clip(score, NEAREST, most - NEAREST)
    return np.asarray(np.log(inside / (most - inside)))


@dataclass(frozen=True)
class Wander:
    """The wander of each patient after some scores: normal, mean and variance (patient,), on a day."""

    mean: np.ndarray
    variance: np.ndarray
    day: float

    def later(self, day: float, omega: np.ndarray, tau: np.ndarray) -> Wander:
        """The same on a later day."""
        keep = np.exp(-(day - self.day) / tau)
        return Wander(self.mean * keep, self.variance * keep**2 + omega**2 * (1 - keep**2), day)


def weigh(
    learned: Mapping[str, np.ndarray], means: np.ndarray, seen: Seen, most: float
) -> tuple[np.ndarray, Wander]:
    """Log likelihood (patient,) of the scores after day 0, and the wander after the last of them."""
    omega, tau, residual = (learned[name] for name in ("omega_wander", "tau_wander", "residual"))
    wander = Wander(np.zeros(len(means)), np.zeros(len(means)), 0.0)
    log = np.zeros(len(means))
    later = seen.day > 0
    for k, (day, score) in enumerate(zip(seen.day[later], seen.score[later], strict=True)):
        wander = wander.later(float(day), omega, tau)
        inside = float(np.clip(score, NEAREST, most - NEAREST))
        # a whole number stands for a point of the scale: variance of a uniform, carried to the logit
        rounding = (most / (inside * (most - inside))) ** 2 / 12
        spread = wander.variance + residual**2 + rounding
        gap = float(_logit(np.array([score]), most)[0]) - means[:, k] - wander.mean
        log -= 0.5 * (gap**2 / spread + np.log(2 * np.pi * spread))
        gain = wander.variance / spread
        wander = Wander(wander.mean + gain * gap, wander.variance * (1 - gain), float(day))
    return log, wander


def oddness(means: np.ndarray, own: Mapping[str, np.ndarray], seen: Seen, most: float, seed: int) -> float:
    """Probability, before the data, of scores at least as odd as these (Mahalanobis distance of logits)."""
    from kinetamine.inference.learned import share_as_odd

    later = seen.day > 0
    if not later.any():
        return 1.0
    rng = np.random.default_rng([seed, 30])
    wander, before = np.zeros(len(means)), 0.0
    x = np.empty_like(means)
    for k, day in enumerate(seen.day[later]):
        keep = np.exp(-(day - before) / own["tau_wander"])
        wander = wander * keep + own["omega_wander"] * np.sqrt(1 - keep**2) * rng.standard_normal(len(means))
        before = day
        x[:, k] = means[:, k] + wander + own["residual"] * rng.standard_normal(len(means))
    rated = np.floor(most / (1 + np.exp(-x)) + 0.5)
    return share_as_odd(_logit(rated, most), _logit(seen.score[later], most))
