"""Importance sampling round the modes: a mixture of t distributions and a tenth of the prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinetamine.inference import mode, pareto
from kinetamine.inference.target import Target

__all__ = ["Draws", "sample"]

#: degrees of freedom of each component, and the share of the prior
DF, PRIOR = 5, 0.1
#: no component is wider than the prior by more than this
LEAST_CURVATURE = 0.3


@dataclass(frozen=True)
class Draws:
    """Weighted draws of one person's z.

    Parameters
    ----------
    z : array (draw, size)
    weights : array (draw,)
        Sum to one.
    log_evidence : float
        Of the observations, in the density of the values themselves.
    k : float
        Pareto shape of the largest weights; NaN for a method that has none.
    method : str
    modes : tuple of array (size,)
        Different modes, best first.
    note : str
        What a reader must know: empty, or why the draws are uncertain.
    """

    z: np.ndarray
    weights: np.ndarray
    log_evidence: float
    k: float
    method: str
    modes: tuple[np.ndarray, ...] = ()
    note: str = ""

    @property
    def effective(self) -> float:
        """Effective number of draws."""
        return pareto.effective(self.weights)


def _log_prior(z: np.ndarray) -> np.ndarray:
    return -0.5 * (z * z).sum(axis=-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi)


def _log_t(z: np.ndarray, centre: np.ndarray, root: np.ndarray, log_det: float) -> np.ndarray:
    from scipy.special import gammaln

    size = z.shape[-1]
    u = np.linalg.solve(root, (z - centre).T).T
    constant = gammaln((DF + size) / 2) - gammaln(DF / 2) - 0.5 * size * np.log(DF * np.pi) - log_det
    return constant - 0.5 * (DF + size) * np.log1p((u * u).sum(axis=1) / DF)


def sample(target: Target, n: int = 10_000, seed: int = 0, starts: int = 8) -> Draws:
    """Draw one person's effects.

    Parameters
    ----------
    target : Target
        Of one person.
    n : int
        Number of draws.

    Returns
    -------
    Draws
    """
    from scipy.special import logsumexp

    rng = np.random.default_rng([seed, 1])
    size = target.size
    centres = mode.find(target, starts=starts, seed=seed).distinct()
    components = []
    for centre in centres:
        hessian = mode.curvature(target, centre)
        if not np.isfinite(hessian).all():
            hessian = np.eye(size)
        width, axes = mode.axes(hessian, LEAST_CURVATURE)
        components.append((centre, axes / np.sqrt(width), -0.5 * float(np.log(width).sum())))
    shares = np.array([PRIOR] + [(1 - PRIOR) / len(components)] * len(components))
    which = rng.choice(len(shares), n, p=shares)
    normal, chi = rng.standard_normal((n, size)), rng.chisquare(DF, n) / DF
    z = normal.copy()
    for k, (centre, root, _) in enumerate(components):
        here = which == k + 1
        z[here] = centre + (normal[here] / np.sqrt(chi[here])[:, None]) @ root.T
    density = [np.log(shares[0]) + _log_prior(z)]
    density += [np.log(shares[k + 1]) + _log_t(z, *component) for k, component in enumerate(components)]
    log_weights = target.log_likelihood(z[None])[0] + _log_prior(z) - logsumexp(np.stack(density), axis=0)
    log_evidence = float(logsumexp(log_weights) - np.log(n))
    smoothed, shape = pareto.smooth(log_weights)
    return Draws(z, pareto.normalised(smoothed), log_evidence, shape, "importance sampling", tuple(centres))
