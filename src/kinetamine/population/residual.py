"""Residual error: how far a measurement may lie from what a model says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.errors import UnknownName

__all__ = ["ResidualError", "add_residual", "error_of"]


@dataclass(frozen=True)
class ResidualError:
    """The residual error of one output, in the output's unit.

    Parameters
    ----------
    kind : {"proportional", "additive", "combined", "lognormal"}
    proportional : float
        Standard deviation in proportion to the value (lognormal: of the logarithm).
    additive : float
        Standard deviation of what does not depend on the value.

    Examples
    --------
    >>> ResidualError("combined", 0.3, 4.0).sd(np.array([0.0, 10.0])).tolist()
    [4.0, 5.0]
    """

    kind: str
    proportional: float
    additive: float

    def sd(self, values: np.ndarray) -> np.ndarray:
        """Standard deviation of a measurement (lognormal: of its logarithm) where the model says `values`."""
        values = np.asarray(values, float)
        if self.kind == "lognormal":
            return np.full(values.shape, self.proportional)
        if self.kind == "combined":
            return np.sqrt((self.proportional * values) ** 2 + self.additive**2)
        return (
            self.proportional * values
            if self.kind == "proportional"
            else np.full(values.shape, self.additive)
        )

    def measured(self, values: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """What would be measured, from standard normal noise."""
        if self.kind == "proportional":
            return values * (1.0 + self.proportional * noise)
        if self.kind == "lognormal":
            return values * np.exp(self.proportional * noise)
        if self.kind == "additive":
            return values + self.additive * noise
        return values + self.sd(values) * noise


def error_of(spec: Any, output: str) -> ResidualError:
    """The residual error that a model publishes for an output.

    Raises
    ------
    UnknownName
        If it publishes none.

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> error_of(load("otto_2021_s_ketamine"), "S-ketamine").kind
    'proportional'
    """
    error = spec.residual.get(output)
    if error is None:
        raise UnknownName(
            f"residual error of {spec.id}", output, spec.residual, "an output with residual error"
        )

    def own(sd: float | None) -> float:
        if not error.unit:
            return float(sd or 0.0)
        return units.convert(float(sd or 0.0), error.unit, spec.outputs[output].unit, f"residual.{output}")

    if error.kind == "combined":
        return ResidualError(error.kind, error.sd, own(error.additive_sd))
    if error.kind == "additive":
        return ResidualError(error.kind, 0.0, own(error.sd))
    return ResidualError(error.kind, error.sd, 0.0)


def add_residual(spec: Any, output: str, values: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """What would be measured where the model says `values`.

    Parameters
    ----------
    spec : ModelSpec
    output : str
        Name of the output.
    values : array (patient, time)
        In the output's declared unit.
    noise : array (patient, time)
        Standard normal, from ``residual_noise``.

    Returns
    -------
    array (patient, time)
        In the same unit. A proportional or additive error may bring a value below zero; it is left there, as
        an assay's quantification limit is not part of the model.

    Raises
    ------
    UnknownName
        If the model has no residual error for this output.

    Examples
    --------
    >>> from types import SimpleNamespace as Record
    >>> error = Record(kind="lognormal", sd=0.1, unit=None)
    >>> spec = Record(residual={"K": error}, outputs={"K": Record(unit="ng/mL")})
    >>> add_residual(spec, "K", np.array([100.0]), np.array([0.0])).tolist()
    [100.0]
    """
    return error_of(spec, output).measured(values, noise)
