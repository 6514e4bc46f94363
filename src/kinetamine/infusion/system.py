"""A linear model in one patient as matrices: exact steps, the exact hold of a concentration, exact times of a fall.

With amounts x, drug entering at rate u and a concentration y = h·x::

    dx/dt = A x + b u

Holding y takes the rate u = -(h A x) / (h b), which turns the whole into dx/dt = (A - b h A / (h b)) x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq

from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.models import library
from kinetamine.models.compile import Compiled, compile_model
from kinetamine.models.spec import ModelSpec

__all__ = ["EFFECT_SITE", "ROUTE", "LinearSystem", "first_time", "system_of"]

ROUTE = "iv"
EFFECT_SITE = "effect site"
#: the furthest that a time is looked for, h: beyond it the answer is never
HORIZON_H = 24.0 * 365.0


def first_time(gap: Callable[[float], float], start_h: float = 1e-3) -> float:
    """The first time at which `gap`, positive at 0, is 0; infinite when there is none.

    Looks in steps that grow by a quarter, which finds every crossing of a sum of decaying exponentials that is
    not followed by a second one within a quarter of its time.

    Examples
    --------
    >>> round(first_time(lambda t: 1.0 - t), 9)
    1.0
    """
    before = 0.0
    if gap(0.0) <= 0.0:
        return 0.0
    time = start_h
    while time < HORIZON_H:
        if gap(time) <= 0.0:
            return float(brentq(gap, before, time, xtol=1e-12, rtol=1e-13))
        before, time = time, time * 1.25
    return float("inf")


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """Amounts of one patient and what is seen of them.

    Parameters
    ----------
    spec : ModelSpec
    output : str
        The plasma concentration that `plasma` gives.
    matrix : array (state, state), 1/h
    entry : array (state,)
        Where a milligram given by vein arrives.
    plasma : array (state,)
        Weights that turn amounts (mg) into the output, in its unit.
    effect : array (state,) or None
        The same for the effect site.
    weight_kg : float or None
    """

    spec: ModelSpec
    output: str
    matrix: np.ndarray
    entry: np.ndarray
    plasma: np.ndarray
    effect: np.ndarray | None
    weight_kg: float | None

    @property
    def unit(self) -> str:
        """Unit of the concentrations."""
        return self.spec.outputs[self.output].unit

    @property
    def per_mg(self) -> float:
        """Plasma concentration right after 1 mg."""
        return float(self.plasma @ self.entry)

    def later(self, state: np.ndarray, time_h: float, rate: float = 0.0) -> np.ndarray:
        """Amounts after a time with a constant rate of infusion (mg/h)."""
        if rate == 0.0:
            return expm(self.matrix * time_h) @ state
        carried, given = self.step(time_h)
        return carried @ state + rate * given

    def step(self, time_h: float) -> tuple[np.ndarray, np.ndarray]:
        """Matrix that carries amounts over a time, and what 1 mg/h adds meanwhile."""
        n = len(self.matrix)
        both = np.zeros((n + 1, n + 1))
        both[:n, :n], both[:n, n] = self.matrix, self.entry
        exact = expm(both * time_h)
        return exact[:n, :n], exact[:n, n]

    def held(self, level: float, time_h: float) -> np.ndarray:
        """Amounts after plasma was brought to `level` at once and held there exactly."""
        clamp = self.matrix - np.outer(self.entry, self.plasma @ self.matrix) / self.per_mg
        return expm(clamp * time_h) @ (self.entry * (level / self.per_mg))

    def fall(self, state: np.ndarray, to: float, seen: np.ndarray) -> float:
        """Time until what `seen` weighs falls to `to` with nothing given; infinite if it never does."""
        return first_time(lambda t: float(seen @ self.later(state, t)) - to)


def system_of(
    model: Any, patient: Any, *, output: str | None = None, ke0: float | None = None
) -> LinearSystem:
    """Write a model in a patient as matrices.

    Parameters
    ----------
    ke0 : float, 1/h, optional
        Adds an effect site that follows plasma with this rate.

    Raises
    ------
    InputError
        If the model is not linear, or a dose by vein does not go straight into the plasma compartment.
    NoData
        If the model has no intravenous route or is incomplete.
    """
    spec = library.load(model, runnable=True)
    compiled = compile_model(spec)
    where = f"model {spec.id}"
    if not compiled.linear:
        raise InputError(where, "a model that is not linear", "one whose flows are sums of its amounts")
    if ROUTE not in spec.entries:
        raise NoData(where, "no intravenous route", "a model with the route iv", "kinetamine models")
    env = _typical(compiled, patient)
    entry = _entry(compiled, env, where)
    n = len(compiled.states)
    matrix = np.zeros((n, n))
    for (row, column), value in zip(compiled.places, compiled.coefficients(env, (1,))[:, 0], strict=True):
        matrix[row, column] = value
    seen = {name: _weights(compiled, env, name) for name in compiled.sums}
    name = _plasma(spec, {k: v for k, v in seen.items() if v @ entry > 0.0}, output)
    weight = patient.demographics(spec, 0, 1).get("weight")
    kilograms = float(weight[0]) if weight is not None else None
    system = LinearSystem(spec, name, matrix, entry, seen[name], None, kilograms)
    return _with_effect_site(system, ke0)


def _typical(compiled: Compiled, patient: Any) -> dict[str, Any]:
    spec = compiled.spec
    drawn: dict[str, Any] = dict(patient.parameters(spec, 0, 1))
    drawn.update(patient.covariates(spec, 0, 1))
    drawn.update(patient.etas(spec, 0, 1))
    drawn.update({k: v[0] for k, v in patient.occasions(spec, 1, 0, 1).items()})
    return compiled.environment(drawn)


def _entry(compiled: Compiled, env: dict[str, Any], where: str) -> np.ndarray:
    arrives = np.zeros(len(compiled.states))
    for part in compiled.entries[ROUTE]:
        if part.lag is not None or part.duration is not None or part.rate is not None:
            raise InputError(
                where, "an intravenous route with a delay of its own", "one that takes a dose as given"
            )
        arrives[part.state] += float(np.ravel(evaluate(part.fraction, env))[0])
    return arrives


def _weights(compiled: Compiled, env: dict[str, Any], name: str) -> np.ndarray:
    row = np.zeros(len(compiled.states))
    for (state, _), value in zip(compiled.sums[name], compiled.weights(env, (name,), (1,)), strict=True):
        row[state] += value[0]
    return row


def _plasma(spec: ModelSpec, direct: dict[str, np.ndarray], asked: str | None) -> str:
    """The output that a dose by vein raises at once."""
    if asked is not None:
        if asked not in spec.outputs:
            raise UnknownName("output", asked, spec.outputs, "an output of the model")
        if asked not in direct:
            raise InputError(
                "output", repr(asked), "a concentration that a dose by vein raises at once", _first(direct)
            )
        return asked
    if len(direct) == 1:
        return next(iter(direct))
    if not direct:
        raise InputError(f"model {spec.id}", "no output of its central compartment", "a plasma concentration")
    raise InputError("output", "nothing", "one of " + ", ".join(direct), _first(direct))


def _first(direct: dict[str, np.ndarray]) -> str:
    return f"output={next(iter(direct))!r}" if direct else "another model"


def _with_effect_site(system: LinearSystem, ke0: float | None) -> LinearSystem:
    spec = system.spec
    if ke0 is not None:
        n = len(system.matrix)
        matrix = np.zeros((n + 1, n + 1))
        matrix[:n, :n], matrix[n, :n], matrix[n, n] = system.matrix, ke0 * system.plasma, -ke0
        return replace(
            system,
            matrix=matrix,
            entry=np.append(system.entry, 0.0),
            plasma=np.append(system.plasma, 0.0),
            effect=np.append(np.zeros(n), 1.0),
        )
    follows = parse(spec.outputs[system.output].value)
    for name, site in spec.effect_sites.items():
        if parse(site.follows) == follows:
            effect = np.zeros(len(system.matrix))
            effect[spec.states.index(name)] = spec.output_factor[system.output]
            return replace(system, effect=effect)
    return system
