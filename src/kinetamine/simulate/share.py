"""One model's share of a request: which doses, outputs and occasions are its own."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing import Dose, Regimen
from kinetamine.engine import timeline
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.models import library
from kinetamine.models.compile import Compiled
from kinetamine.models.spec import ModelSpec
from kinetamine.population import Patient, Population
from kinetamine.simulate import parts
from kinetamine.simulate.grade import Given, grade

__all__ = ["Share", "chosen_outputs", "given_doses", "graded", "refuse_unknown_outputs", "share_of"]


@dataclass
class Share:
    """One model's share of a request: everything that does not depend on the patient.

    Parameters
    ----------
    model : Compiled
    doses : list of Dose
        Those with a share for this model; repeats not written out unless occasions need it.
    times : array (time,), h
    outputs : tuple of str
    population : Patient or Population
    occasion_starts : array (occasion,), h
        Empty when nothing varies between occasions.
    together : sequence of ModelSpec
        All models of the request.
    """

    model: Compiled
    doses: list[Dose]
    times: np.ndarray
    outputs: tuple[str, ...]
    population: Any
    occasion_starts: np.ndarray
    together: Sequence[Any] = ()

    @functools.cached_property
    def version_starts(self) -> np.ndarray:
        """Where a version of the patients begins, h: an occasion, or a dose where the model looks at the last one."""
        if not self.model.follows:
            return self.occasion_starts
        return np.unique([0.0, *self.occasion_starts, *(d.time_h for d in self.doses)])

    @property
    def versions(self) -> int:
        """How many versions there are."""
        return max(1, len(self.version_starts))

    @functools.cached_property
    def occasion_of(self) -> np.ndarray:
        """Occasion of each version."""
        found = np.searchsorted(self.occasion_starts, self.version_starts + 1e-9, side="right") - 1
        return np.maximum(found, 0) if self.model.follows else np.arange(self.versions)

    @functools.cached_property
    def last_doses(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of the last dose of each version (-1: none yet) and its time since the first dose, h."""
        starts = np.array([d.time_h for d in self.doses] or [0.0])
        if not self.doses:
            return np.full(self.versions, -1), np.zeros(self.versions)
        number = np.searchsorted(starts, self.version_starts + 1e-9, side="right") - 1
        return number, np.where(number >= 0, starts[number] - starts[0], 0.0)

    @property
    def first_dose_h(self) -> float:
        """Time of the first dose, h."""
        return min((d.time_h for d in self.doses), default=0.0)

    def records(self) -> timeline.Records:
        """Versions, doses and samples in order; at the same time in this order."""
        rows: list[tuple[float, int, int, int]] = []
        if self.model.starts:  # what is there before anything is given goes in as one more dose
            rows.append((0.0, -1, timeline.REC_DOSE, len(self.doses)))
        rows += [(t, 0, timeline.REC_VERSION, k) for k, t in enumerate(self.version_starts) if k > 0]
        rows += [(d.time_h, 1, timeline.REC_DOSE, k) for k, d in enumerate(self.doses)]
        rows += [(t, 2, timeline.REC_SAMPLE, k) for k, t in enumerate(self.times)]
        rows.sort(key=lambda r: r[:2])
        columns = list(zip(*rows, strict=True))
        return timeline.Records(
            np.array([0, len(rows)]), np.array(columns[0], float), np.array(columns[2]), np.array(columns[3])
        )

    def version(self, time_h: float) -> int:
        """The version at a time."""
        return max(0, int(np.searchsorted(self.version_starts, time_h + 1e-9, side="right")) - 1)

    def states_with_input(self) -> tuple[int, ...]:
        """States that some dose may feed at a constant rate."""
        found = set()
        for dose in self.doses:
            for part in self.model.entries[dose.entry]:
                if dose.duration_h or dose.rate or part.duration is not None or part.rate is not None:
                    found.add(part.state)
        return tuple(sorted(found))


def share_of(
    model: Compiled,
    regimen: Regimen,
    times: np.ndarray,
    outputs: tuple[str, ...],
    people: Patient | Population,
    together: Sequence[ModelSpec],
    occasion_h: float = 24.0,
) -> Share:
    """One model's share of a request.

    Raises
    ------
    NoData
        If it has no route of a dose, or if no dose is of its drug and it is the only model.
    InputError
        If a dose names no drug and the models are of several.
    """
    alone = sum(spec.kind == "pk" for spec in together) == 1
    _one_drug(regimen, together)
    doses = _doses_for(model, regimen, alone)
    varies = model.spec.occasion_etas and people.variability
    starts = _occasions(doses, occasion_h) if varies else np.zeros(0)
    return Share(model, _unroll(model, doses, people), times, outputs, people, starts, together)


def _one_drug(regimen: Regimen, together: Sequence[ModelSpec]) -> None:
    """Refuse a dose that names no drug where models of several would each take it whole."""
    drugs = sorted({spec.drug for spec in together if spec.kind == "pk"})
    unnamed = next((dose for dose in regimen.doses if dose.drug is None), None)
    if len(drugs) > 1 and unnamed is not None:
        raise InputError(
            "doses",
            f"{unnamed.text or unnamed.describe()!r} without a drug for models of {' and '.join(drugs)}",
            "a dose that names its drug: each model would take all of it for its own",
            f"{unnamed.text or unnamed.describe()!r} with racemic ketamine, S-ketamine or another drug in it",
        )


def _doses_for(model: Compiled, regimen: Regimen, alone: bool) -> list[Dose]:
    spec = model.spec
    found = []
    for dose in regimen.doses:
        share = parts.share_of_drug(spec, dose.drug)
        if share == 0.0:
            continue
        if dose.entry not in model.entries:
            raise NoData(
                f"model {spec.id}",
                f"a dose by the route {dose.entry!r}",
                "one of its routes: " + ", ".join(model.entries),
                _others_with(dose.entry, spec),
            )
        found.append(dose)
    if not found and alone:
        drugs = ", ".join(sorted({d.drug or spec.drug for d in regimen.doses}))
        raise NoData(f"model {spec.id}", f"doses of {drugs}", f"doses of {spec.drug}", "a model of that drug")
    return found


def _others_with(route: str, spec: ModelSpec) -> str:
    fits = [e.id for e in library.available() if e.status != "incomplete" and route in e.routes]
    same = [e for e in fits if e != spec.id]
    return "the model " + " or ".join(same[:3]) if same else "no published model here has that route"


def _unroll(model: Compiled, doses: list[Dose], people: Any) -> list[Dose]:
    """Repeats written out where they may differ: between occasions, or where the model looks at the last dose."""
    if model.follows and any(d.steady_state for d in doses):
        raise NoData(
            f"model {model.spec.id}",
            "a steady state",
            "single doses: the model looks at the last dose",
            "repeats",
        )
    if model.follows or (model.spec.occasion_etas and people.variability):
        return sorted((one for d in doses for one in d.repeats()), key=lambda d: d.time_h)
    return doses


def _occasions(doses: list[Dose], occasion_h: float) -> np.ndarray:
    if not (isinstance(occasion_h, int | float) and math.isfinite(occasion_h) and occasion_h > 0):
        raise InputError("occasion_h", repr(occasion_h), "a positive number of hours", "24")
    starts: list[float] = []
    for time in sorted(one.time_h for d in doses for one in d.repeats()):
        if not starts or time >= starts[-1] + occasion_h - 1e-9:
            starts.append(time)
    return np.array(starts)


def chosen_outputs(model: Compiled, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Names of the outputs asked for that are the model's, in its order; all of them by default."""
    names = tuple(model.spec.outputs)
    if asked is None:
        return names
    return tuple(n for n in names if n in asked)


def refuse_unknown_outputs(asked: Sequence[str], models: Sequence[Compiled]) -> None:
    """Outputs that no model has."""
    if isinstance(asked, str):
        raise InputError("outputs", repr(asked), "a list of outputs", f"[{asked!r}]")
    known = {n for m in models for n in m.spec.outputs}
    for name in asked:
        if name not in known:
            raise UnknownName("outputs", str(name), known, "an output of the model")
    if not asked:
        raise InputError("outputs", "an empty list", "at least one output", repr([sorted(known)[0]]))


def given_doses(share: Share, people: dict[str, np.ndarray]) -> Given:
    """The doses of a run as its model sees them."""
    spec = share.model.spec
    usual = {name: float(np.median(values)) for name, values in people.items()}
    weight = usual.setdefault("weight", 70.0)
    first = [d.time_h + d.every_h * np.arange(d.count) for d in share.doses]
    mg = np.array([d.mg(usual, parts.share_of_drug(spec, d.drug)) for d in share.doses])
    return Given(
        [d.entry for d in share.doses],
        np.concatenate(first) if first else np.zeros(0),
        np.repeat([d.duration_h or 0.0 for d in share.doses], [d.count for d in share.doses]),
        mg,
        mg / weight,
    )


def graded(share: Share, people: dict[str, np.ndarray]) -> tuple[str, tuple[str, ...]]:
    """Grade of a model's outputs in a run, with the reasons."""
    return grade(share.model.spec, people, given_doses(share, people), share.times)
