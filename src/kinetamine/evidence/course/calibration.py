"""What the calibration of the course model found, as `validation/course/calibrate.py` wrote it down."""

from __future__ import annotations

import functools
import math
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

__all__ = ["Calibration", "InTurn", "Scale", "load"]

_SHARES = ("gain_slow", "responder_share", "weak_effect", "beside_drug")


@dataclass(frozen=True)
class Scale:
    """The scale on which a parameter is fitted and uncertain: logit for shares, else log."""

    share: bool

    @classmethod
    def of(cls, name: str) -> Scale:
        """The scale of a parameter."""
        return cls(name in _SHARES)

    def to(self, value: float) -> float:
        """From a value to the scale of the fit."""
        return math.log(value / (1 - value)) if self.share else math.log(value)

    def back(self, x: float) -> float:
        """From the scale of the fit to a value.

        Examples
        --------
        >>> round(Scale.of("gain_slow").back(Scale.of("gain_slow").to(0.3)), 6)
        0.3
        """
        return 1 / (1 + math.exp(-x)) if self.share else math.exp(x)


@dataclass(frozen=True)
class InTurn:
    """A trial predicted from fits that had not seen it, with its tenth of the trials left out or it alone."""

    family: str
    outcomes: int
    held_tenth: int
    held_alone: int


@dataclass(frozen=True)
class Calibration:
    """Estimates, their intervals and how they vary together.

    Examples
    --------
    >>> found = load()
    >>> found.model, len(found.draws(3, seed=1))
    ('mono_state', 3)
    """

    model: str
    trials: str
    left_out: tuple[str, ...]
    outcomes: int
    parameters: dict[str, dict[str, float]]
    confounded: tuple[tuple[str, str, float], ...]
    covariance: np.ndarray
    in_turn: tuple[InTurn, ...]

    def values(self) -> dict[str, float]:
        """The estimates."""
        return {k: p["value"] for k, p in self.parameters.items()}

    def draws(self, n: int, seed: int) -> list[dict[str, float]]:
        """Sets of values as uncertain as the fit."""
        from kinetamine.engine.random import normals, stream_number

        names = list(self.parameters)
        z = normals(seed, stream_number("calibration"), 0, n, len(names))
        centre = np.array([Scale.of(k).to(v) for k, v in self.values().items()])
        rows = centre + z @ np.linalg.cholesky(self.covariance).T
        return [{k: Scale.of(k).back(float(v)) for k, v in zip(names, row, strict=True)} for row in rows]


@functools.cache
def load() -> Calibration:
    """The calibration that comes with kinetamine."""
    path = resources.files("kinetamine").joinpath("data/trials/calibration.toml")
    data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return Calibration(
        data["model"],
        data["trials"],
        tuple(data["left_out"]),
        data["outcomes"],
        data["parameters"],
        tuple((*c["pair"], c["r"]) for c in data.get("confounded", ())),
        np.array(data["uncertainty"]["covariance"]),
        tuple(InTurn(**one) for one in data["in_turn"]),
    )
