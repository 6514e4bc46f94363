"""Samples that no output of a model gives by itself: urine, and ratios of two analytes, for an unknown dose.

Urine is made at the rate of renal clearance times plasma concentration; the renal clearance of a person is the share
of a dose that leaves in urine divided by his area after a dose into a vein; the concentration is that rate over the
flow of urine (as `kinetamine.safety.detection` has it). Share and flow are unknown, each with its range.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinetamine import substances, units
from kinetamine.errors import Fault, FaultyFile, InputError, NoData, UnknownName
from kinetamine.inference.match import match
from kinetamine.likelihood import errors_of, stated
from kinetamine.observations import Observation, Observations
from kinetamine.population.residual import ResidualError

__all__ = ["Mix", "Sample", "Sampled", "read"]

#: unit of urine and of both sides of a ratio
UNIT = "ng/mL"


@dataclass(frozen=True)
class Sample:
    """One value: the output it is of, over another one if it is a ratio, in urine or where the model gives it.

    Parameters
    ----------
    name : str
        As its error is stated: ``S-ketamine``, ``S-ketamine in urine``, ``S-norketamine/S-ketamine``.
    output : str
    over : str
        The lower side of a ratio.
    urine : bool
    """

    name: str
    output: str
    over: str = ""
    urine: bool = False


@dataclass(frozen=True)
class Sampled:
    """Values of a person whose dose is not known.

    Parameters
    ----------
    samples : tuple of Sample
    low, high, time_h : array (value,)
    errors : dict of name to ResidualError
    notes : tuple of str
    """

    samples: tuple[Sample, ...]
    low: np.ndarray
    high: np.ndarray
    time_h: np.ndarray
    errors: dict[str, ResidualError]
    notes: tuple[str, ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """Outputs that are asked of the model."""
        named = [name for one in self.samples for name in (one.output, one.over) if name]
        return tuple(dict.fromkeys(named))

    @property
    def urinary(self) -> tuple[str, ...]:
        """Outputs whose share in urine is one more unknown."""
        found = [name for one in self.samples if one.urine for name in (one.output, one.over) if name]
        return tuple(dict.fromkeys(found))


def read(
    spec: Any, observations: Observations, residual: Mapping[str, str], allow_site_mismatch: bool
) -> Sampled:
    """Match levels, urine and ratios; every fault at once.

    Raises
    ------
    FaultyFile
        Values that are of nothing the model gives.
    NoData
        If an error was neither published nor stated.
    """
    samples, low, high, faults = [], [], [], []
    notes: list[str] = []
    for item in observations:
        try:
            sample, a, b, said = _one(spec, item, allow_site_mismatch)
        except InputError as error:
            faults += [Fault(str(item), f.given, f.expected, f.try_) for f in error.faults]
            continue
        samples.append(sample)
        low.append(a)
        high.append(b)
        notes += said
    if faults:
        raise FaultyFile("observations", faults)
    times = np.array([item.time_h for item in observations], float)
    errors = _errors(spec, samples, residual)
    if any(one.urine for one in samples):
        notes.append(
            "urine as made at that moment, from the share of a dose that leaves in it and the flow of urine, each with "
            "its range; how long it waits in the bladder is left out: extrapolated"
        )
    return Sampled(tuple(samples), np.array(low), np.array(high), times, errors, tuple(dict.fromkeys(notes)))


def _one(spec: Any, item: Observation, allow: bool) -> tuple[Sample, float, float, tuple[str, ...]]:
    urine = item.site == "urine"
    if not urine and "/" not in item.what:
        found = match(spec, Observations([item]), allow, None)
        name = found.output[0]
        notes = (*found.notes, *(["a value of another site than the model's was allowed"] * found.mismatched))
        return Sample(name, name), float(found.low[0]), float(found.high[0]), notes
    if urine and "iv" not in spec.entries:
        raise InputError(
            str(item), f"urine and model {spec.id}", "a model with an iv route, for the renal clearance"
        )
    parts = [part.strip() for part in item.what.split("/")]
    if len(parts) > 2:
        raise InputError(str(item), repr(item.what), "a ratio of two", "S-norketamine/S-ketamine")
    site = None if urine else item.site
    outputs = []
    for part in parts:
        alone = replace(item, what=part, unit=UNIT, site=site, low=1.0, high=1.0)
        outputs.append(match(spec, Observations([alone]), allow, None).output[0])
    factor = 1.0
    if len(parts) == 1:
        factor = _in_ng_ml(item, spec.outputs[outputs[0]].analyte or outputs[0])
    elif units.dimension(item.unit) != "dimensionless":
        raise InputError(str(item), repr(item.unit), "a ratio without a unit", f"{item.what} 1.3 at 2 h")
    else:
        factor = units.convert(1.0, item.unit, "1")
    if urine:
        from kinetamine.urine import load

        for name in outputs:
            analyte = spec.outputs[name].analyte or name
            if load().of(analyte) is None:
                raise InputError(str(item), f"{analyte} in urine", "an analyte whose share in urine is known")
    name = "/".join(outputs) + (" in urine" if urine else "")
    low = -np.inf if item.kind == "below" else item.low * factor
    return Sample(name, outputs[0], (*outputs, "")[1], urine), low, item.high * factor, ()


def _in_ng_ml(item: Observation, analyte: str) -> float:
    given = units.dimension(item.unit)
    if given == "[substance] / [length] ** 3":
        nmol_per_l = units.convert(1.0, item.unit, "nmol/L")
        return float(units.convert(nmol_per_l * substances.molar_mass(analyte), "ng/L", UNIT))
    if given != units.dimension(UNIT):
        raise InputError(str(item), repr(item.unit), f"a unit of {UNIT}", repr(UNIT))
    return float(units.convert(1.0, item.unit, UNIT))


def _errors(spec: Any, samples: Sequence[Sample], residual: Mapping[str, str]) -> dict[str, ResidualError]:
    """Stated errors before published ones; a ratio of two levels has the relative errors of both."""
    own = {one.name: one for one in samples}
    for name in residual:
        if name not in own and name not in spec.outputs:
            raise UnknownName("residual", name, [*own, *spec.outputs], "what was sampled, or an output")
    plain = [one.output for one in own.values() if one.name in spec.outputs]
    told = {name: text for name, text in residual.items() if name not in own or name in spec.outputs}
    found = errors_of(spec, dict.fromkeys(plain), told)
    for name, one in own.items():
        if name in spec.outputs:
            continue
        if name in residual:
            found[name] = stated(residual[name], "1" if one.over else UNIT, f"residual {name}")
            continue
        both = {} if one.urine else errors_of(spec, [one.output, one.over], told)
        sides = [e for e in both.values() if e.kind in ("proportional", "lognormal")]
        if len(sides) < 2:
            raise NoData(
                f"model {spec.id}",
                f"no published residual error of {name}",
                "how far a measurement may lie from the model",
                f'stating one: residual={{"{name}": "30 %"}} or --residual "{name}=30 %" (graded assumed)',
            )
        found[name] = ResidualError("lognormal", math.hypot(*(e.proportional for e in sides)), 0.0)
    return found


class Mix:
    """From outputs in plasma to what was sampled: factors of each lane.

    Parameters
    ----------
    spec : ModelSpec
    sampled : Sampled
    reference : callable
        Curves after 1 mg into a vein, array (output, lane, time), of effects z; and their times.
    """

    def __init__(self, spec: Any, sampled: Sampled, reference: Any, times_h: np.ndarray) -> None:
        self.spec, self.sampled, self.reference, self.times = spec, sampled, reference, times_h
        #: one more z for the flow, and one for the share of each analyte
        self.size = 1 + len(sampled.urinary) if sampled.urinary else 0

    def own(self, output: str) -> float:
        """Factor from an output to ng/mL in the analyte's own mass."""
        record = self.spec.outputs[output]
        factor = units.convert(1.0, record.unit, UNIT)
        counted = getattr(record, "counted_as", None)
        return float(substances.in_own_mass(factor, record.analyte or output, counted))

    def __call__(
        self, plasma: Mapping[tuple[str, int], np.ndarray], eta: np.ndarray, more: np.ndarray
    ) -> np.ndarray:
        """Predictions (lane, value) from plasma concentrations by output and number of the value."""
        per_ng = self._per_ng(eta, more) if self.size else {}
        columns = []
        for k, one in enumerate(self.sampled.samples):
            upper = plasma[one.output, k]
            if one.urine or one.over:
                upper = upper * self.own(one.output)
            if one.urine:
                upper = upper * per_ng[one.output]
            if one.over:
                lower = plasma[one.over, k] * self.own(one.over)
                upper = upper / np.maximum(lower * (per_ng[one.over] if one.urine else 1.0), 1e-30)
            columns.append(upper)
        return np.stack(columns, axis=1)

    def _per_ng(self, eta: np.ndarray, more: np.ndarray) -> dict[str, np.ndarray]:
        """ng/mL in urine for one in plasma, of each lane: share of 1 mg over area, over flow."""
        from kinetamine.urine import load

        known = load()
        flow = known.urine_flow.draw(more[:, 0]) * units.convert(1.0, known.urine_flow.unit, "L/h")
        curves = self.reference(eta)
        found = {}
        for k, name in enumerate(self.sampled.urinary):
            share = known.of(self.spec.outputs[name].analyte or name)
            assert share is not None
            area = np.trapezoid(curves[k], self.times, axis=1) * self.own(name)
            found[name] = share.draw(more[:, 1 + k]) * units.convert(1.0, "mg", "ug") / area / flow
        return found
