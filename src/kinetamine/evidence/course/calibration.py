"""What the calibration of the course model found, as `validation/course/calibrate.py` wrote it down."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from kinetamine.errors import Fault
from kinetamine.records import Record, read_toml

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


class _Estimate(Record):
    value: float
    low: float
    high: float
    start: float
    prior_sd: float


class _Pair(Record):
    pair: tuple[str, str]
    r: float = Field(ge=-1, le=1)


class _Uncertainty(Record):
    parameters: tuple[str, ...]
    covariance: tuple[tuple[float, ...], ...]
    place: str = ""


class _InTurn(Record):
    family: str
    outcomes: int
    held_tenth: int
    held_alone: int


class _File(Record):
    model: str
    trials: str
    left_out: tuple[str, ...]
    seed: int
    patients: int
    outcomes: int
    outcomes_per_arm: float
    cost: float
    parameters: dict[str, _Estimate]
    confounded: tuple[_Pair, ...] = ()
    uncertainty: _Uncertainty
    in_turn: tuple[_InTurn, ...]


def _nonsense(file: _File) -> Iterable[Fault]:
    for name, p in file.parameters.items():
        if not p.low <= p.value <= p.high:
            yield Fault(
                f"calibration.toml: {name}", f"{p.value:g} outside {p.low:g} to {p.high:g}", "a fresh fit"
            )
    size = len(file.parameters)
    if {len(row) for row in file.uncertainty.covariance} | {len(file.uncertainty.covariance)} != {size}:
        yield Fault("calibration.toml: covariance", "another size", f"a {size} x {size} matrix")


@functools.cache
def load() -> Calibration:
    """The calibration that comes with kinetamine.

    Raises
    ------
    FaultyFile
        With every fault of the file.
    """
    file: _File = read_toml("trials/calibration.toml", _File, sense=_nonsense)
    return Calibration(
        file.model,
        file.trials,
        file.left_out,
        file.outcomes,
        {name: p.model_dump() for name, p in file.parameters.items()},
        tuple((*c.pair, c.r) for c in file.confounded),
        np.array(file.uncertainty.covariance),
        tuple(InTurn(**one.model_dump()) for one in file.in_turn),
    )
