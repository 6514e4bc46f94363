"""Pareto smoothed importance weights and the diagnostic k (Vehtari et al. 2024, J Mach Learn Res 25(72);
Zhang and Stephens 2009, Technometrics 51:316, doi 10.1198/tech.2009.08017)."""

from __future__ import annotations

import numpy as np

__all__ = ["effective", "normalised", "smooth"]


def normalised(log_weights: np.ndarray) -> np.ndarray:
    """Weights that sum to one.

    Examples
    --------
    >>> normalised(np.log([1.0, 3.0])).tolist()
    [0.25, 0.75]
    """
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def effective(weights: np.ndarray) -> float:
    """Effective number of draws of normalised weights.

    Examples
    --------
    >>> effective(np.array([0.5, 0.5, 0.0]))
    2.0
    """
    return float(1.0 / np.square(weights).sum())


def _fit(x: np.ndarray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution, x sorted and positive."""
    n = len(x)
    grid = 30 + int(n**0.5)
    b = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    b = b / (3.0 * x[int(n / 4 + 0.5) - 1]) + 1.0 / x[-1]
    k = np.log1p(-b[:, None] * x).mean(axis=1)
    fit = n * (np.log(-(b / k)) - k - 1.0)
    weight = 1.0 / np.exp(np.clip(fit - fit[:, None], -700, 700)).sum(axis=1)
    b_mean = float((b * weight).sum())
    shape = float(np.log1p(-b_mean * x).mean())
    scale = -shape / b_mean
    return (shape * n + 5.0) / (n + 10.0), scale  # a weak prior of 0.5 worth ten values


def smooth(log_weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Smoothed log weights, and k; above 0.7 the weights cannot be trusted.

    Parameters
    ----------
    log_weights : array (draw,)

    Returns
    -------
    log_weights : array (draw,)
    k : float
        Infinite when too few draws count to tell.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> smooth(rng.standard_normal(1000))[1] < 0.7
    True
    """
    shifted = log_weights - log_weights.max()
    n = len(shifted)
    tail = int(min(0.2 * n, 3 * np.sqrt(n)))
    order = np.argsort(shifted)
    last = order[-tail:]
    cut = shifted[order[-tail - 1]] if n > tail else -np.inf
    if tail < 5 or not np.isfinite(cut):
        counted = int((shifted > -700).sum())
        return shifted, np.inf if counted < 25 else 0.7001
    excess = np.exp(shifted[last]) - np.exp(cut)
    if not excess[0] >= 0 or excess[-1] <= 0 or (excess > 0).sum() < 10:
        return shifted, 0.0 if np.ptp(shifted[last]) < 1e-9 else np.inf
    k, scale = _fit(np.maximum(excess, 1e-300))
    out = shifted.copy()
    if np.isfinite(k):
        p = (np.arange(tail) + 0.5) / tail
        quantile = -scale * np.log1p(-p) if abs(k) < 1e-12 else scale * np.expm1(-k * np.log1p(-p)) / k
        out[last] = np.minimum(np.log(quantile + np.exp(cut)), 0.0)
    return out, k
