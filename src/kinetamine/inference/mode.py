"""Most probable effects: Fisher scoring with Levenberg's damping, many starts as lanes, many people at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kinetamine.inference.target import Target

__all__ = ["Modes", "axes", "curvature", "find"]

#: the search ends where a Newton step would gain less than this
GAIN = 1e-8
#: longest step in z
LONGEST = 2.0
#: modes whose log posterior lies further below the best one do not count
NEAR = 6.0


@dataclass(frozen=True)
class Modes:
    """Where each start ended.

    Parameters
    ----------
    z : array (person, start, size)
    value : array (person, start)
        Log posterior without the constant of the prior.
    converged : array (person, start) of bool
    iterations : int
    """

    z: np.ndarray
    value: np.ndarray
    converged: np.ndarray
    iterations: int

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """Highest one of each person: z (person, size) and value (person,)."""
        k = self.value.argmax(axis=1)
        rows = np.arange(len(k))
        return self.z[rows, k], self.value[rows, k]

    def distinct(self, person: int = 0, apart: float = 0.3, most: int = 4) -> list[np.ndarray]:
        """Different modes of one person, best first."""
        values = self.value[person]
        found: list[np.ndarray] = []
        for k in np.argsort(-values):
            near = values[k] > values.max() - NEAR
            if near and all(np.linalg.norm(self.z[person, k] - other) > apart for other in found):
                found.append(self.z[person, k])
        return found[:most]


def _starts(target: Target, starts: int, screen: int, seed: int) -> np.ndarray:
    """Zero, and the best of `screen` draws somewhat wider than the prior, array (person, start, size)."""
    zero = np.zeros((target.people, 1, target.size))
    if starts <= 1 or target.size == 0:
        return zero
    rng = np.random.default_rng(seed)
    drawn = 1.3 * rng.standard_normal((target.people, max(screen, starts - 1), target.size))
    value = target.log_posterior(drawn)
    order = np.argsort(-value, axis=1)[:, : starts - 1]
    return np.concatenate([zero, np.take_along_axis(drawn, order[..., None], axis=1)], axis=1)


def find(
    target: Target,
    starts: int = 8,
    screen: int = 64,
    iterations: int = 150,
    seed: int = 0,
    z: np.ndarray | None = None,
) -> Modes:
    """Climb from several starts.

    Parameters
    ----------
    target : Target
    starts : int
        Lanes of each person: zero, and the best of `screen` draws of the prior.
    iterations : int
        At most.
    z : array (person, start, size), optional
        Starts instead of those.

    Returns
    -------
    Modes
    """
    z = _starts(target, starts, screen, seed) if z is None else z.copy()
    size = target.size
    damping = np.full(z.shape[:2], 1e-4)
    value, gradient, information = target.derivatives(z)
    eye = np.eye(size)
    done = np.zeros(z.shape[:2], bool)
    taken = 0
    for taken in range(1, iterations + 1):  # noqa: B007
        scale = np.einsum("skdd->skd", information)
        damped = information + damping[..., None, None] * eye * scale[..., None, :]
        step = np.linalg.solve(damped, gradient[..., None])[..., 0]
        gain = np.einsum("skd,skd->sk", gradient, step)
        done |= (np.abs(gain) < GAIN) | (damping > 1e7)
        if done.all():
            break
        length = np.linalg.norm(step, axis=-1)
        step *= np.minimum(1.0, LONGEST / np.maximum(length, 1e-12))[..., None]
        step[done] = 0.0
        new = target.derivatives(z + step)
        better = (new[0] >= value - 1e-10) & ~done
        z = np.where(better[..., None], z + step, z)
        value = np.where(better, new[0], value)
        gradient = np.where(better[..., None], new[1], gradient)
        information = np.where(better[..., None, None], new[2], information)
        damping = np.where(better, np.maximum(damping / 6, 1e-10), np.minimum(damping * 8, 1e8))
    return Modes(z, value, done, taken)


def axes(hessian: np.ndarray, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Curvatures, none below `least`, and directions; of each the largest part is positive, so that it is one."""
    width, directions = np.linalg.eigh(hessian)
    rows = np.abs(directions).argmax(axis=0)
    return np.maximum(width, least), directions * np.sign(directions[rows, np.arange(len(rows))])


def curvature(target: Target, z: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Negative Hessian of the log posterior at one person's z, array (size, size), by differences of gradients."""
    size = target.size
    if size == 0:
        return np.zeros((0, 0))
    moved = np.concatenate([z + step * np.eye(size), z - step * np.eye(size)])[None]
    gradient = target.derivatives(moved, step=1e-5, central=True)[1][0]
    hessian = -(gradient[:size] - gradient[size:]) / (2 * step)
    return 0.5 * (hessian + hessian.T)
