"""What differs between people, occasions, studies and measurements beyond the covariates.

Every draw belongs to a name: the random effect ``CL`` of a model has its own stream, so adding an effect to a
model leaves the others of each patient as they were.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kinetamine.errors import InputError

__all__ = [
    "draw_effects",
    "draw_noise",
    "draw_parameters",
    "factor",
    "no_effects",
    "relative_error",
    "spread_parameter",
]

_IMPOSSIBLE = "a matrix that no random effects can have"
_FRACTION_UNITS = ("", "-", "1", "%", "percent", "fraction")


@functools.lru_cache(maxsize=256)
def _factor(cells: bytes, size: int, where: str) -> np.ndarray:
    matrix = np.frombuffer(cells).reshape(size, size).tolist()
    lower = [[0.0] * size for _ in range(size)]
    # Cholesky in plain floats: LAPACK's last bits depend on the machine, and it refuses a zero variance
    for j in range(size):
        rest = matrix[j][j] - sum(lower[j][k] ** 2 for k in range(j))
        if rest < -1e-9 * max(abs(matrix[j][j]), 1e-300):
            raise InputError(where, _IMPOSSIBLE, "a positive semi-definite matrix")
        empty = rest <= 1e-12 * abs(matrix[j][j])
        lower[j][j] = 0.0 if empty else rest**0.5
        for i in range(j + 1, size):
            left = matrix[i][j] - sum(lower[i][k] * lower[j][k] for k in range(j))
            if empty and abs(left) > 1e-6 * (abs(matrix[i][i] * matrix[j][j])) ** 0.5:
                raise InputError(where, _IMPOSSIBLE, "a positive semi-definite matrix")
            lower[i][j] = 0.0 if empty else left / lower[j][j]
    return np.array(lower)


def factor(matrix: np.ndarray, where: str = "variability") -> np.ndarray:
    """Lower triangle A with A Aᵀ = matrix; zero and wholly correlated effects are fine.

    Raises
    ------
    InputError
        If the matrix is not positive semi-definite.

    Examples
    --------
    >>> factor(np.array([[4.0, 2.0], [2.0, 1.0]])).tolist()
    [[2.0, 0.0], [1.0, 0.0]]
    """
    matrix = np.ascontiguousarray(matrix, dtype=float)
    return _factor(matrix.tobytes(), len(matrix), where)


def draw_effects(
    spec: Any, level: str, seed: int, start: int, stop: int, n_occ: int = 1
) -> dict[str, np.ndarray]:
    """Random effects of a model, one array (occasion, patient) for each name without prefix."""
    from kinetamine.engine import random

    names, matrix = spec.covariance(level)
    lower = factor(matrix, f"{spec.id}: variability")
    n = stop - start
    scores = [
        random.normals(seed, random.stream_number(level, spec.id, name), start, n, n_occ).T
        if lower[:, k].any()
        else None
        for k, name in enumerate(names)
    ]
    out = {}
    for row, name in zip(lower, names, strict=True):
        total = None
        for weight, score in zip(row, scores, strict=True):  # fixed order of sums: same bits everywhere
            if weight != 0.0 and score is not None:
                total = score * weight if total is None else total + score * weight
        out[name] = np.zeros((n_occ, n)) if total is None else np.ascontiguousarray(total)
    return out


def no_effects(spec: Any, level: str, start: int, stop: int, n_occ: int = 1) -> dict[str, np.ndarray]:
    """The same names with zeros: typical people."""
    names, _ = spec.covariance(level)
    return {name: np.zeros((n_occ, stop - start)) for name in names}


def relative_error(spec: Any, name: str) -> float | None:
    """Published relative standard error of a parameter; None where it was fixed or none was published."""
    parameter = spec.parameters[name]
    relative = None
    if parameter.se is not None and parameter.value:
        relative = parameter.se / abs(parameter.value)
    elif parameter.rse_percent is not None:
        relative = parameter.rse_percent / 100
    return relative if relative and not parameter.fixed else None


def spread_parameter(spec: Any, name: str, z: np.ndarray) -> np.ndarray:
    """Values of a parameter that lie `z` standard errors from the published one, in inside units.

    Log-normal where it is positive, logit-normal for a fraction, else normal; see `draw_parameters`.
    """
    value, relative = spec.inside(name), relative_error(spec, name) or 0.0
    if spec.parameters[name].unit.strip() in _FRACTION_UNITS and 0 < value < 1:
        odds = value / (1 - value) * np.exp(relative / (1 - value) * z)
        return np.asarray(odds / (1 + odds))
    if value > 0:
        return np.asarray(value * np.exp(np.sqrt(np.log1p(relative**2)) * z))
    return np.asarray(value * (1 + relative * z))


def draw_parameters(
    spec: Any, seed: int, start: int, stop: int, uncertainty: bool | int
) -> dict[str, float | np.ndarray]:
    """Parameters in inside units; arrays (patient,) where a standard error is known.

    A positive value is drawn log-normally and a fraction (no unit, between 0 and 1) logit-normally, both with
    the published value as median and a spread that matches the published standard error to first order;
    anything else is normal.
    """
    from kinetamine.engine import random

    out: dict[str, float | np.ndarray] = {}
    for name in spec.parameters:
        if not uncertainty or relative_error(spec, name) is None:
            out[name] = spec.inside(name)
            continue
        stream = random.stream_number("uncertainty", spec.id, name)
        if uncertainty is True:
            z = random.normals(seed, stream, start, stop - start, 1)[:, 0]
        else:  # patient i belongs to replicate i modulo k
            replicates = random.normals(seed, stream, 0, int(uncertainty), 1)[:, 0]
            z = replicates[np.arange(start, stop) % int(uncertainty)]
        out[name] = spread_parameter(spec, name, z)
    return out


def draw_noise(spec: Any, output: str, seed: int, n_times: int, start: int, stop: int) -> np.ndarray:
    """Standard normal noise of an output, array (patient, time)."""
    from kinetamine.engine import random

    return random.normals(
        seed, random.stream_number("residual", spec.id, output), start, stop - start, n_times
    )
