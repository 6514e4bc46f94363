"""Sequential Monte Carlo from the prior to the posterior by tempering, for posteriors that no mixture catches."""

from __future__ import annotations

import numpy as np

from kinetamine.inference.importance import Draws
from kinetamine.inference.target import Target

__all__ = ["LEAST_DISTINCT", "sample"]

#: fewer different particles than this at the end: uncertain
LEAST_DISTINCT = 200
#: share of effective particles that a stage keeps, random walk moves of a stage, acceptance steered to
KEPT, MOVES, ACCEPTED = 0.5, 6, 0.25


def _increment(log_likelihood: np.ndarray, room: float) -> float:
    """Largest step in the power of the likelihood that keeps enough particles."""
    from scipy.special import logsumexp

    def share(step: float) -> float:
        w = step * log_likelihood
        w = w - logsumexp(w)
        return float(np.exp(-logsumexp(2 * w))) / len(w)

    if share(room) >= KEPT:
        return room
    low, high = 0.0, room
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) > KEPT else (low, middle)
    return max(low, 1e-12)


def sample(target: Target, n: int = 2000, seed: int = 0, moves: int = MOVES) -> Draws:
    """Draw one person's effects.

    Returns
    -------
    Draws
        Equal weights; `note` says so when fewer than `LEAST_DISTINCT` different particles are left.
    """
    from scipy.special import logsumexp

    rng = np.random.default_rng([seed, 2])
    size = target.size
    z = rng.standard_normal((n, size))
    log_likelihood = np.maximum(target.log_likelihood(z[None])[0], -1e100)
    power, log_evidence, scale = 0.0, 0.0, 2.38 / np.sqrt(max(size, 1))
    while power < 1.0:
        step = _increment(log_likelihood, 1.0 - power)
        w = step * log_likelihood
        log_evidence += float(logsumexp(w) - np.log(n))
        w = np.exp(w - logsumexp(w))
        power += step
        chosen = np.searchsorted(np.cumsum(w), (np.arange(n) + rng.random()) / n).clip(0, n - 1)
        z, log_likelihood = z[chosen], log_likelihood[chosen]
        root = np.linalg.cholesky(np.cov(z.T).reshape(size, size) + 1e-9 * np.eye(size))
        for _ in range(moves * (2 if power >= 1.0 else 1)):
            new = z + scale * rng.standard_normal((n, size)) @ root.T
            there = np.maximum(target.log_likelihood(new[None])[0], -1e100)
            change = power * (there - log_likelihood) - 0.5 * ((new**2).sum(1) - (z**2).sum(1))
            accepted = np.log(rng.random(n)) < change
            z = np.where(accepted[:, None], new, z)
            log_likelihood = np.where(accepted, there, log_likelihood)
            scale *= np.exp(0.5 * (accepted.mean() - ACCEPTED))
    distinct = len(np.unique(z, axis=0))
    note = "" if distinct >= LEAST_DISTINCT else f"only {distinct} different draws: uncertain"
    return Draws(z, np.full(n, 1.0 / n), log_evidence, float("nan"), "sequential Monte Carlo", (), note)
