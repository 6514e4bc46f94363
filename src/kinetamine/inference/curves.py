"""Predictions of lanes: what whitened effects z mean, and the curves that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.population import Patient
from kinetamine.population.draws import factor, relative_error, spread_parameter

__all__ = ["Curves", "Layout"]


@dataclass(frozen=True)
class Layout:
    """The layout of z: effects between people, effects of each occasion, parameters with a standard error.

    Parameters
    ----------
    spec : ModelSpec
    occasions : int
        How many occasions the doses have; 0 when nothing varies between them.
    uncertain : tuple of str
        Parameters whose published standard error is part of the prior.
    """

    spec: Any
    occasions: int = 0
    uncertain: tuple[str, ...] = ()

    @property
    def subject(self) -> tuple[str, ...]:
        """Names of effects between people."""
        return tuple(self.spec.covariance("subject")[0])

    @property
    def occasion(self) -> tuple[str, ...]:
        """Names of effects between occasions."""
        return tuple(self.spec.covariance("occasion")[0]) if self.occasions else ()

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each z, in order."""
        within = [f"{name} (occasion {k + 1})" for k in range(self.occasions) for name in self.occasion]
        return (*self.subject, *within, *(f"typical {name}" for name in self.uncertain))

    @property
    def size(self) -> int:
        """Number of z."""
        return len(self.names)

    @property
    def effects(self) -> int:
        """How many of them are random effects."""
        return self.size - len(self.uncertain)

    def eta(self, z: np.ndarray) -> np.ndarray:
        """Random effects of z, array (…, effect)."""
        between = len(self.subject)
        found = np.empty((*z.shape[:-1], self.effects))
        if between:
            found[..., :between] = z[..., :between] @ factor(self.spec.covariance("subject")[1]).T
        if self.occasion:
            root, size = factor(self.spec.covariance("occasion")[1]).T, len(self.occasion)
            for start in range(between, self.effects, size):
                found[..., start : start + size] = z[..., start : start + size] @ root
        return found

    def parameters(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Parameters of z in inside units, those with a standard error."""
        return {
            name: spread_parameter(self.spec, name, z[..., self.effects + k])
            for k, name in enumerate(self.uncertain)
        }

    def given(self, z: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """What z (lane, size) means, as `Individuals` takes it."""
        eta, between, size = self.eta(z), len(self.subject), len(self.occasion)
        within = eta[:, between:].reshape(len(z), -1, size) if size else np.zeros((len(z), 0, 0))
        return {
            "effects": {name: np.ascontiguousarray(eta[:, k]) for k, name in enumerate(self.subject)},
            "occasions": {
                name: np.ascontiguousarray(within[:, :, k].T) for k, name in enumerate(self.occasion)
            },
            "parameters": self.parameters(z),
        }


class Curves:
    """Predictions for lanes of z, of one person or of each person of an event table.

    Parameters
    ----------
    spec : ModelSpec
    doses : Regimen or EventTable
    patient : Patient
    times_h : array (value,), h, optional
        Of a regimen.
    observe : sequence of str
        Output of each value.
    parameter_error : bool
        Whether published standard errors are part of the prior.
    """

    def __init__(
        self, spec: Any, doses: Any, patient: Patient, times_h: Any = None, *, observe: Sequence[str],
        parameter_error: bool = False,
    ) -> None:  # fmt: skip
        from kinetamine.simulate.prepared import prepare

        self.spec, self.patient = spec, patient
        self.prepared = prepare(spec, doses, patient, times=times_h, observe=list(observe))
        within = len(self.prepared.within)
        turns = (len(self.prepared.effects) - len(self.prepared.between)) // within if within else 0
        uncertain = (
            [n for n in spec.parameters if relative_error(spec, n) is not None] if parameter_error else []
        )
        self.layout = Layout(spec, turns, tuple(uncertain))
        self.size = self.layout.size

    @property
    def linear(self) -> bool:
        """Whether a lane costs microseconds: steps of a linear model are exact, others are solved."""
        return bool(self.prepared.model.linear)

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Predictions (lane, value) of z, array (person, lane, size)."""
        z = np.swapaxes(z, 0, 1)
        values = {}
        for name, value in self.layout.parameters(z).items():
            values[name] = value / self.spec.factors[name]
        eta = self.layout.eta(z)
        return self.prepared(eta[:, 0] if eta.shape[1] == 1 else eta, values)

    def individual(self, z: np.ndarray) -> dict[str, np.ndarray]:
        """Individual parameters of the model file of lanes z (lane, size), in inside units, first occasion."""
        given = self.layout.given(z)
        env: dict[str, Any] = {
            **self.patient.parameters(self.spec),
            **given["parameters"],
            **self.patient.covariates(self.spec),
            **{f"eta.{name}": v for name, v in given["effects"].items()},
            **{f"occ.{name}": 0.0 for name in self.spec.covariance("occasion")[0]},
            **{f"occ.{name}": v[0] for name, v in given["occasions"].items()},
        }
        env = self.prepared.model.environment(env)
        return {name: env[name] for name, _ in self.prepared.model.individual}
