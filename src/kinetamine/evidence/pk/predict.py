"""What a model says an arm's blood should have held: concentrations, and exposure measures taken from them.

The times are fine enough that an area or a clearance is right to about a thousandth: every minute for 2 h
after each start and end of a dose, every 5 min to 8 h, then evenly on the log scale to 48 h after the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinetamine import substances, units
from kinetamine.evidence.pk.matching import REFERENCE_WEIGHT_KG, Match
from kinetamine.evidence.pk.observations import Arm

if TYPE_CHECKING:
    from kinetamine.models.spec import ModelSpec

__all__ = ["TAIL_H", "Curves", "NotDerivable", "Predictor", "Simulate"]

Floats = NDArray[np.float64]
#: `kinetamine.simulate`, or something that answers like it
Simulate = Callable[..., Any]

#: how long after the last dose the curve is followed, h
TAIL_H = 48.0
#: the terminal slope is read over the last half of the curve, and never below this share of the peak
FAINTEST = 1e-6
#: the bolus from which clearance and volumes are taken, mg; in a linear model its size does not matter
BOLUS_MG = 10.0


class NotDerivable(Exception):
    """This measure cannot be had from this model; the text says why."""


@dataclass(frozen=True)
class Curves:
    """Simulated concentrations of one arm.

    `values` holds ng/mL by analyte, array (patient, time); `weight` is kg.
    """

    time_h: Floats
    values: Mapping[str, Floats]
    weight: float

    def of(self, analyte: str) -> Floats:
        """Concentrations of an analyte; of both enantiomers together where the models give them apart."""
        if analyte in self.values:
            return self.values[analyte]
        return self.values[f"S-{analyte}"] + self.values[f"R-{analyte}"]


class Predictor:
    """Simulates arms with models and keeps the curves, so that every measure of an arm costs one run.

    Parameters
    ----------
    simulate : callable
        `kinetamine.simulate`.
    patients, seed : int
        Size and seed of the population behind a band.
    """

    def __init__(self, simulate: Simulate, patients: int = 1000, seed: int = 20) -> None:
        self.simulate = simulate
        self.patients = patients
        self.seed = seed
        self._kept: dict[Any, Curves] = {}

    # ---- curves

    def curves(self, match: Match, arm: Arm, *, crowd: bool = False, at: Sequence[float] = ()) -> Curves:
        """Curves of an arm: of the typical patient of its age and weight, or of a crowd of such patients.

        `at` adds times that must be hit exactly, h.
        """
        return self._run(match.models, match.doses, people(arm), crowd, tuple(sorted(set(at))))

    def points(self, match: Match, arm: Arm, times: Sequence[float]) -> Curves:
        """The typical patient at these times only."""
        return self._run(match.models, match.doses, people(arm), False, tuple(times), grid=False)

    def check(
        self, spec: ModelSpec, doses: tuple[str, ...], covariates: Mapping[str, float], at: Sequence[float]
    ) -> Curves:
        """The typical patient of one model with these covariates."""
        return self._run((spec,), doses, dict(covariates), False, tuple(sorted(set(at))))

    def _run(
        self,
        models: tuple[ModelSpec, ...],
        doses: tuple[str, ...],
        covariates: Mapping[str, float],
        crowd: bool,
        at: tuple[float, ...],
        grid: bool = True,
    ) -> Curves:
        key = (tuple(m.id for m in models), doses, tuple(sorted(covariates.items())), crowd, at, grid)
        if key not in self._kept:
            from kinetamine.population import Patient, Population

            given: dict[str, Any] = dict(covariates)
            who: Any = Population(self.patients, self.seed, **given) if crowd else Patient(**given)
            times = _times(doses, at) if grid else np.unique(np.asarray(at, dtype=np.float64))
            named = [m.id if m.shipped else m for m in models]
            model: Any = named if len(named) > 1 else named[0]
            result = self.simulate(model, list(doses), who, times=times)
            self._kept[key] = _collect(result, models, times, covariates)
        return self._kept[key]

    # ---- measures

    def measure(
        self,
        match: Match,
        arm: Arm,
        metric: str,
        analyte: str,
        *,
        reference: str | None = None,
        time_h: float | None = None,
        from_h: float | None = None,
        to_h: float | None = None,
        per: str | None = None,
        crowd: bool = False,
    ) -> Floats:
        """One exposure measure, array (patient,), in the unit of `kinetamine.evidence.observations.METRICS`.

        Raises
        ------
        NotDerivable
            When the model cannot say: no intravenous entry for a bioavailability, for instance.
        """
        at = [t for t in (time_h, from_h, to_h) if t is not None]
        if metric in ("CL", "Vss", "Vz"):
            value = self._kinetics(match, arm, metric, analyte, crowd)
            weight = people(arm).get("weight", REFERENCE_WEIGHT_KG)
            if per == "kg":
                return value / weight
            if per == "70 kg":
                return value * (70.0 / weight) ** (0.75 if metric == "CL" else 1.0)
            return value
        if metric == "F":
            return self._bioavailability(match, arm, analyte, crowd)
        found = self.curves(match, arm, crowd=crowd, at=at)
        c = found.of(analyte)
        if metric == "AUC_ratio":
            assert reference is not None
            return _area(found.time_h, c, to_h) / _area(found.time_h, found.of(reference), to_h)
        return curve_measure(found.time_h, c, metric, time_h=time_h, from_h=from_h, to_h=to_h)

    def late_share(self, match: Match, arm: Arm, analyte: str, after_h: float) -> float:
        """Share of the area that lies after `after_h`, and so beyond what the model was built on."""
        found = self.curves(match, arm, at=[after_h])
        whole = _area(found.time_h, found.of(analyte), None)
        return float(1 - _area(found.time_h, found.of(analyte), after_h)[0] / whole[0])

    def _bolus(self, match: Match, arm: Arm, analyte: str, crowd: bool) -> tuple[Curves, float]:
        """Curves after a bolus, and how much of it was what `analyte` belongs to, mg."""
        if any("iv" not in spec.entries for spec in match.models):
            raise NotDerivable("needs an intravenous dose, which the model does not take")
        doses = (f"{BOLUS_MG:g} mg {arm.drug} iv",)
        return self._run(match.models, doses, people(arm), crowd, ()), BOLUS_MG * substances.part(
            arm.drug, analyte
        )

    def _kinetics(self, match: Match, arm: Arm, metric: str, analyte: str, crowd: bool) -> Floats:
        found, dose = self._bolus(match, arm, analyte, crowd)
        t, c = found.time_h, found.of(analyte)
        slope = _slope(t, c)
        area = _area(t, c, None)
        clearance = dose * 1e3 / area  # mg / (ng h / mL) is 1000 L/h
        if metric == "CL":
            return clearance
        if metric == "Vz":
            return clearance / slope
        last = c[:, -1]
        moment = np.trapezoid(c * t, t, axis=1) + last * t[-1] / slope + last / slope**2
        return clearance * moment / area

    def _bioavailability(self, match: Match, arm: Arm, analyte: str, crowd: bool) -> Floats:
        bolus, dose = self._bolus(match, arm, analyte, crowd)
        given = self.curves(match, arm, crowd=crowd)
        amount = _base_mg(match.doses, given.weight) * substances.part(arm.drug, analyte)
        area = _area(given.time_h, given.of(analyte), None) / amount
        return area / (_area(bolus.time_h, bolus.of(analyte), None) / dose)


def people(arm: Arm) -> dict[str, float]:
    """Covariates of an arm's typical patient: its mean age and weight where known."""
    covariates = {"weight": arm.weight if arm.weight is not None else REFERENCE_WEIGHT_KG}
    if arm.age is not None:
        covariates["age"] = arm.age
    return covariates


def curve_measure(
    t: Floats,
    c: Floats,
    metric: str,
    *,
    time_h: float | None = None,
    from_h: float | None = None,
    to_h: float | None = None,
) -> Floats:
    """A measure of curves, array (patient,).

    Examples
    --------
    >>> t = np.linspace(0, 48, 481)
    >>> float(curve_measure(t, 80 * np.exp(-0.2 * t)[None, :], "AUC_inf").round(6)[0])
    400.0
    """
    from kinetamine.engine import nca

    if metric == "C_at":
        assert time_h is not None
        return np.asarray(c[:, int(np.argmin(np.abs(t - time_h)))])
    if metric == "AUC_inf":
        return _area(t, c, None)
    if metric == "AUC_last":
        return _area(t, c, to_h)
    if metric == "t_half":
        if from_h is not None or to_h is not None:  # as a study that sampled in this window sees it
            low, high = from_h or 0.0, to_h if to_h is not None else float(t[-1])
            return np.asarray(nca.measure(t, c, math.nan, low, high)[:, nca.MEASURES.index("half_life_h")])
        return math.log(2) / _slope(t, c)
    window = (-math.inf if from_h is None else from_h, math.inf if to_h is None else to_h)
    measured = nca.measure(t, c, math.nan, *window)
    return measured[:, {"Cmax": 0, "Tmax": 1}[metric]]


def _area(t: Floats, c: Floats, to_h: float | None) -> Floats:
    from kinetamine.engine import nca

    if to_h is not None:
        return nca.measure(t, c, math.nan, -math.inf, to_h)[:, 2]
    whole = nca.measure(t, c)[:, 2]
    return whole + np.maximum(c[:, -1], 0.0) / _slope(t, c)


def _slope(t: Floats, c: Floats) -> Floats:
    """Terminal slope, 1/h: over the last half of the time that the curve is above `FAINTEST` of its peak."""
    from kinetamine.engine import nca

    slopes = np.empty(len(c))
    for i, curve in enumerate(c):
        end = t[np.flatnonzero(curve > FAINTEST * curve.max())[-1]]
        slopes[i] = math.log(2) / nca.measure(t, curve[None, :], math.nan, end / 2, end)[0, 4]
    return slopes


def _times(doses: tuple[str, ...], at: Sequence[float]) -> Floats:
    from kinetamine.dosing import Regimen

    steps = np.concatenate(
        [
            [0.0],
            np.geomspace(1e-3, 1 / 60, 12),
            np.arange(2, 121) / 60,
            np.arange(125, 481, 5) / 60,
            np.geomspace(8, TAIL_H, 60)[1:],
        ]
    )
    edges: set[float] = {0.0}
    for dose in Regimen.parse(list(doses)).expanded():
        edges |= {dose.time_h, dose.end_h}
    end = max(edges) + TAIL_H
    times = np.concatenate([*(edge + steps for edge in edges), [end], np.asarray(at, dtype=np.float64)])
    return np.unique(np.round(times[times <= end], 9))


def _collect(
    result: Any, models: tuple[ModelSpec, ...], times: Floats, covariates: Mapping[str, float]
) -> Curves:
    values = {}
    for name, output in result.outputs.items():
        analyte = output.analyte or name
        c = np.asarray(result[name], dtype=np.float64) * units.convert(1.0, output.unit, "ng/mL")
        counted = next((spec.outputs[name].counted_as for spec in models if name in spec.outputs), None)
        c = substances.in_own_mass(c, str(analyte), counted)
        values[str(analyte)] = c
    return Curves(np.asarray(times), values, covariates.get("weight", REFERENCE_WEIGHT_KG))


def _base_mg(doses: tuple[str, ...], weight: float) -> float:
    from kinetamine.dosing import Regimen

    return sum(d.mg({"weight": weight}) for d in Regimen.parse(list(doses)).expanded())
