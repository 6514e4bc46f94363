"""Published acute effects, read and checked: who got what, and what was seen in them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, field_validator

from kinetamine.effects.selection import effect_of
from kinetamine.errors import Fault
from kinetamine.models import library
from kinetamine.models.spec import ModelSpec
from kinetamine.records import Record, Seen, read_csv, unknown

__all__ = ["DIFFERENCES", "Observation", "load"]

_FILE = "acute_effects.csv"

Measure = Literal[
    "onset",
    "peak",
    "offset",
    "duration",
    "share",
    "level",
    "value at level",
    "change",
    "peak change",
    "concentration",
    "cmax",
]
#: compared by difference; all others by ratio
DIFFERENCES = ("share", "value at level", "change", "peak change")


class Observation(Record):
    """One published number.

    `predict` names what predicts it, ``module: effect`` (for concentrations ``pk model: output``), several with
    `;`. `doses` has several arms with `|`, their mean is taken; for ``value at level`` it is a concentration.
    `used_in_fit` is ``fit`` for rows of validation/effects/fit.py and ``model`` where the module's own number or
    study stands.
    """

    id: str
    section: str
    study: str
    year: int | None = None
    n: int | None = None
    people: str = ""
    age_years: str = Field(default="", pattern=r"^(\d+-\d+)?$")
    drug: str
    route: str
    dose: str = ""
    effect: str
    instrument: str = ""
    metric: str
    time_min: float | None = None
    value: float
    low: float | None = None
    high: float | None = None
    bound: Literal["", "at most", "at least"] = ""
    spread: str = ""
    unit: str
    source: str
    place: str
    seen: Seen
    used_in_fit: Literal["", "fit", "model"] = ""
    measure: Measure | None = None
    predict: tuple[tuple[str, str], ...] = ()
    doses: tuple[str, ...] = ()
    placebo_percent: float = 0.0
    factor: float = 1.0
    remark: str = ""
    unusable: str = ""

    @field_validator("predict", mode="before")
    @classmethod
    def _pairs(cls, text: str) -> list[list[str]]:
        return [[word.strip() for word in part.split(":", 1)] for part in text.split(";")]

    @field_validator("doses", mode="before")
    @classmethod
    def _arms(cls, text: str) -> list[str]:
        return [part.strip() for part in text.split("|")]


@functools.cache
def load() -> tuple[Observation, ...]:
    """All observations, usable or not.

    Raises
    ------
    FaultyFile
        With all faults: form, ids given twice, unknown sources, modules or effects, rows without use or reason.

    Examples
    --------
    >>> next(o.measure for o in load() if o.study == "Adams")
    'duration'
    """
    return read_csv(f"observations/{_FILE}", Observation, sense=_sense)


def _sense(rows: Sequence[Observation]) -> Iterable[Fault]:
    known = {e.id for e in library.available() if e.status != "incomplete"}
    for row in rows:
        if bool(row.predict) == bool(row.unusable) or bool(row.predict) != bool(row.measure):
            yield Fault(row.id, "predict, measure, unusable", "what predicts it and how, or why nothing does")
        for module, name in row.predict:
            if module not in known:
                yield unknown(row.id, module, known, "a model of the library that runs")
            elif name not in (answers := _answers(library.load(module))):
                yield unknown(row.id, name, answers, f"an effect or output of {module}")


def _answers(spec: ModelSpec) -> set[str]:
    return set(spec.outputs) if spec.kind == "pk" else {effect_of(spec, o) for o in spec.outputs}
