"""Predictions of lanes: what whitened effects z mean, and the curves that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.models.compile import Compiled
from kinetamine.population import Patient
from kinetamine.population.draws import factor, relative_error, spread_parameter

__all__ = ["Effects", "PersonCurves"]


@dataclass(frozen=True)
class Effects:
    """The layout of z: effects between people, effects of each occasion, parameters with a standard error.

    Parameters
    ----------
    spec : ModelSpec
    occasions : int
        How many occasions the regimen has; 0 when nothing varies between them.
    parameter_error : bool
        Whether published standard errors are part of the prior.
    """

    spec: Any
    occasions: int = 0
    parameter_error: bool = False

    @property
    def subject(self) -> tuple[str, ...]:
        """Names of effects between people, without those of zero variance."""
        return tuple(self.spec.covariance("subject")[0])

    @property
    def occasion(self) -> tuple[str, ...]:
        """Names of effects between occasions."""
        return tuple(self.spec.covariance("occasion")[0]) if self.occasions else ()

    @property
    def uncertain(self) -> tuple[str, ...]:
        """Parameters whose standard error was published."""
        if not self.parameter_error:
            return ()
        return tuple(name for name in self.spec.parameters if relative_error(self.spec, name) is not None)

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each z, in order."""
        within = [f"{name} (occasion {k + 1})" for k in range(self.occasions) for name in self.occasion]
        return (*self.subject, *within, *(f"typical {name}" for name in self.uncertain))

    @property
    def size(self) -> int:
        """Number of z."""
        return len(self.names)

    def given(self, z: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """What z means to the engine: ``effects``, ``occasions`` and ``parameters``, arrays (lane,).

        Parameters
        ----------
        z : array (lane, size)
        """
        n = len(z)
        names, matrix = self.spec.covariance("subject")
        at = len(names)
        eta = z[:, :at] @ factor(matrix).T if at else np.zeros((n, 0))
        effects = {name: np.ascontiguousarray(eta[:, k]) for k, name in enumerate(names)}
        occasions = {}
        if self.occasion:
            root = factor(self.spec.covariance("occasion")[1])
            stop = at + self.occasions * len(self.occasion)
            within = z[:, at:stop].reshape(n, self.occasions, -1) @ root.T
            occasions = {name: np.ascontiguousarray(within[:, :, k].T) for k, name in enumerate(self.occasion)}
            at = stop
        parameters = {name: spread_parameter(self.spec, name, z[:, at + k]) for k, name in enumerate(self.uncertain)}
        return {"effects": effects, "occasions": occasions, "parameters": parameters}


class Lanes:
    """A population whose effects and parameters are given: a lane for each set of them."""

    variability, residual, uncertainty, seed = True, False, False, 0

    def __init__(self, patient: Patient, given: dict[str, dict[str, np.ndarray]], n: int) -> None:
        self.patient, self.set, self.n = patient, given, n

    def _stop(self, stop: int | None) -> int:
        return self.n if stop is None else stop

    def parameters(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, Any]:
        """Published values, or the given ones."""
        out = self.patient.parameters(spec, 0, 1)
        return {**out, **{name: v[start : self._stop(stop)] for name, v in self.set["parameters"].items()}}

    def demographics(self, spec: Any = None, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()) -> dict:
        """The patient's, for each lane."""
        return self.patient.demographics(spec, start, self._stop(stop), together)

    def covariates(self, spec: Any, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()) -> dict:
        """The patient's, for each lane."""
        return self.patient.covariates(spec, start, self._stop(stop), together)

    def etas(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        """The given effects."""
        return {f"eta.{name}": v[start : self._stop(stop)] for name, v in self.set["effects"].items()}

    def occasions(self, spec: Any, n_occ: int, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        """The given effects of each occasion."""
        return {f"occ.{name}": v[:, start : self._stop(stop)] for name, v in self.set["occasions"].items()}

    def residual_noise(self, *_: Any) -> None:
        """None: predictions carry no noise."""
        return None  # noqa: RET501


class PersonCurves:
    """Predictions of one person's values for lanes of z.

    Parameters
    ----------
    model : Compiled
    regimen : Regimen
    outputs : sequence of str
        Output of each value.
    times_h : array (value,), h
    patient : Patient
    parameter_error : bool
    """

    def __init__(
        self, model: Compiled, regimen: Any, outputs: Sequence[str], times_h: np.ndarray, patient: Patient,
        parameter_error: bool = False,
    ) -> None:  # fmt: skip
        from kinetamine.simulate.grid import GridRun
        from kinetamine.simulate.share import share_of

        self.model, self.patient = model, patient
        self.times, column = np.unique(np.asarray(times_h, float), return_inverse=True)
        self.outputs = tuple(dict.fromkeys(outputs))
        self.pick = (np.array([self.outputs.index(name) for name in outputs]), column)
        probe = Effects(model.spec)
        lanes = Lanes(patient, probe.given(np.zeros((1, probe.size))), 1)
        self.share = share_of(model, regimen, self.times, self.outputs, lanes, [model.spec])
        self.effects = Effects(model.spec, len(self.share.occasion_starts), parameter_error)
        self.size = self.effects.size
        self._run = GridRun

    def grid(self, z: np.ndarray) -> np.ndarray:
        """Every output at every time, array (output, lane, time), of z (lane, size)."""
        self.share.population = Lanes(self.patient, self.effects.given(z), len(z))
        found = self._run(self.share, 1).stored()
        return np.stack([found[name] for name in self.outputs])

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Predictions (lane, value) of z, array (1, lane, size)."""
        return self.grid(z[0])[self.pick[0], :, self.pick[1]].T
