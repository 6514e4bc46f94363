"""The log posterior of the whitened effects of one person or of many, a lane for each set of effects.

``z`` has independent standard normal priors: random effects are ``L z``, parameters with a standard error,
unknown doses and times are functions of further ``z``. So the prior term is ``-z'z / 2`` everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from kinetamine.likelihood import FLOOR, score
from kinetamine.population.residual import ResidualError

__all__ = ["Curves", "Target"]

#: step of a forward difference in z: the engine's own error is some 1e-13 of the value
STEP = 1e-6


class Curves(Protocol):
    """What a target asks of the engine."""

    size: int  # number of z

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Predictions, array (lane, value), of z, array (person, lane, size)."""
        ...


class Target:
    """Values of one person or many, and what the effects say about them.

    Parameters
    ----------
    curves : Curves
    low, high : array (value,)
        Sorted by person; equal for a measured value.
    first : array (person,)
        Where each person's values begin.
    output : sequence of str
        Output of each value.
    errors : mapping of output to ResidualError
    """

    def __init__(
        self,
        curves: Curves,
        low: np.ndarray,
        high: np.ndarray,
        first: np.ndarray,
        output: Sequence[str],
        errors: Mapping[str, ResidualError],
    ) -> None:
        self.curves, self.low, self.high = curves, np.asarray(low, float), np.asarray(high, float)
        self.first = np.asarray(first, np.int64)
        self.people, self.size = len(self.first), curves.size
        names = np.asarray(list(output), object)
        self.groups = [(np.flatnonzero(names == name), errors[name]) for name in dict.fromkeys(names)]
        self.floor = FLOOR * max(
            float(np.max(np.where(np.isfinite(self.high), self.high, self.low), initial=0)), 1e-30
        )
        #: how often a prediction was below the floor, of how many
        self.floored = 0

    def predict(self, z: np.ndarray) -> np.ndarray:
        """Predictions, array (lane, value), none below the floor; of a lane that failed NaN."""
        f = self.curves(z)
        self.floored += int((f < self.floor).sum())
        return np.maximum(f, self.floor)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Sums over each person's values: array (…, value) to (…, person)."""
        return np.add.reduceat(values, self.first, axis=-1)

    def log_likelihood_of(self, f: np.ndarray) -> np.ndarray:
        """Of predictions (lane, value): array (person, lane); minus infinity where the engine failed."""
        log = np.empty_like(f)
        for rows, error in self.groups:
            log[..., rows] = score(error, f[..., rows], self.low[rows], self.high[rows]).log
        found = self._sum(log).T
        return np.where(np.isnan(found), -np.inf, found)

    def log_likelihood(self, z: np.ndarray) -> np.ndarray:
        """Array (person, lane) of z, array (person, lane, size)."""
        return self.log_likelihood_of(self.predict(z))

    def log_posterior(self, z: np.ndarray) -> np.ndarray:
        """Without the constant of the prior, array (person, lane)."""
        return self.log_likelihood(z) - 0.5 * np.einsum("skd,skd->sk", z, z)

    def derivatives(self, z: np.ndarray, step: float = STEP, central: bool = False) -> tuple[np.ndarray, ...]:
        """Log posterior (person, lane), gradient (…, size) and expected information (…, size, size).

        The information is that of Fisher scoring, I + J' W J: positive definite wherever it is taken.
        """
        people, lanes, size = z.shape
        steps = np.concatenate([np.zeros((1, size)), step * np.eye(size)])
        if central:
            steps = np.concatenate([steps, -step * np.eye(size)])
        moved = (z[:, :, None, :] + steps).reshape(people, -1, size)
        f = self.predict(moved).reshape(lanes, len(steps), -1)
        f0 = f[:, 0]
        if central:
            jacobian = (f[:, 1 : size + 1] - f[:, size + 1 :]) / (2 * step)
        else:
            jacobian = (f[:, 1:] - f0[:, None]) / step
        log, slope, weight = np.empty_like(f0), np.empty_like(f0), np.empty_like(f0)
        for rows, error in self.groups:
            scored = score(error, f0[:, rows], self.low[rows], self.high[rows])
            log[:, rows], slope[:, rows], weight[:, rows] = scored.log, scored.slope, scored.information
        value = self._sum(log).T - 0.5 * np.einsum("skd,skd->sk", z, z)
        gradient = -z + np.moveaxis(self._sum(jacobian * slope[:, None]), (0, 1, 2), (1, 2, 0))
        information = np.empty((people, lanes, size, size))
        for a in range(size):
            for b in range(a + 1):
                cell = self._sum(jacobian[:, a] * jacobian[:, b] * weight).T
                information[..., a, b] = information[..., b, a] = cell
        information += np.eye(size)
        bad = ~(np.isfinite(value) & np.isfinite(gradient).all(-1) & np.isfinite(information).all((-1, -2)))
        value = np.where(bad, -np.inf, value)
        gradient[bad], information[bad] = 0.0, np.eye(size)
        return value, gradient, information
