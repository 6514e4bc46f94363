"""The doses of a scenario against the largest that were written down for people."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from kinetamine.records import ById, Record, Sourced, read_toml
from kinetamine.safety.findings import Finding

if TYPE_CHECKING:
    from kinetamine.dosing import Dose

__all__ = ["OVERDOSE", "bounds", "findings"]

#: the one hazard that dose and concentration speak of
OVERDOSE = "dose and concentration"


class Largest(Sourced):
    """The largest single dose of a route that was written down."""

    mg_per_kg: float | None = Field(default=None, gt=0)
    mg: float | None = Field(default=None, gt=0)
    drug: str

    @model_validator(mode="after")
    def _one(self) -> Largest:
        if (self.mg is None) == (self.mg_per_kg is None):
            raise ValueError("either mg or mg_per_kg")
        return self

    def in_mg(self, weight_kg: float) -> float:
        """The dose for a body weight."""
        return self.mg if self.mg is not None else (self.mg_per_kg or 0.0) * weight_kg


class Overdose(Record):
    """From where on a dose is an overdose in what was published, and what came of it."""

    fold: float = Field(gt=1)
    deaths: int
    people: str
    outcome: str
    source: str
    seen: str


class Bounds(Record):
    """The file."""

    at_once_h: float = Field(gt=0)
    weight_kg: float = Field(gt=0)
    largest: ById[Largest]
    overdose: Overdose


@functools.cache
def bounds() -> Bounds:
    """What `dose_bounds.toml` says.

    Examples
    --------
    >>> bounds().largest["im"].in_mg(70)
    910.0
    """
    found: Bounds = read_toml("safety/dose_bounds.toml", Bounds)
    return found


def findings(doses: Iterable[Dose], weight_kg: float | None) -> Iterable[Finding]:
    """A finding for each dose above the largest one of its route, far above it of the gravest severity.

    Parameters
    ----------
    doses : iterable of Dose
    weight_kg : float or None
        None: the weight of the file is taken, and said.

    Examples
    --------
    >>> from kinetamine.dosing import Regimen
    >>> [f.severity for f in findings(Regimen.parse("35 g iv").doses, 70)]
    ['exclude']
    >>> list(findings(Regimen.parse("2 mg/kg iv over 1 min").doses, 70))
    []
    """
    file = bounds()
    weight = file.weight_kg if weight_kg is None else weight_kg
    assumed = "" if weight_kg is not None else f" ({weight:g} kg taken)"
    for dose in doses:
        most = file.largest.get(dose.entry)
        if most is None or (dose.duration_h or 0.0) > file.at_once_h:
            continue
        mg, limit = dose.amount * (weight if dose.per_kg else 1.0), most.in_mg(weight)
        if mg <= limit:
            continue
        far = mg > file.overdose.fold * limit
        told = f"{most.mg_per_kg:g} mg/kg" if most.mg_per_kg is not None else f"{most.mg:g} mg"
        words = (
            "far beyond anything given to people on purpose" if far else "above the largest dose written down"
        )
        note = f"overdoses of {file.overdose.people}: {file.overdose.outcome}" if far else ""
        yield Finding(
            "exclude" if far else "caution",
            "dose",
            f"{words}: {mg:g} mg {dose.entry} is {mg / limit:.3g} times the largest single dose, {told}{assumed}",
            most.drug,
            "as published",
            most.source,
            most.seen,
            f"largest.{most.id}",
            "largest dose written down",
            dose.describe(),
            most.place,
            note,
            hazard=OVERDOSE,
        )
