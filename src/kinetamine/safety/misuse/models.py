"""What can be computed about misuse: `addiction.toml`, read and checked against the rows of `addiction.csv`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, Field

from kinetamine.errors import Fault
from kinetamine.records import Record, read_toml, unknown
from kinetamine.safety.misuse.published import Fact, computed_rows

__all__ = ["Models", "load", "row"]

Span = tuple[float, float, float]


class _Warned(Record):
    warns: tuple[str, ...] = Field(min_length=1)


class Step(Record):
    """One group of the ladder of dependence."""

    group: str
    rows: tuple[str, ...]
    medical: bool = False
    n: int | None = None
    events: int | None = None
    note: str = ""


class _Severity(Record):
    row: str
    text: str


class Dependence(_Warned):
    """The ladder."""

    step: tuple[Step, ...]
    severity: _Severity


class Group(Record):
    """A share of a group, here or in its row."""

    row: str
    share: float | None = Field(default=None, gt=0, lt=1)
    n: int | None = None
    n_row: str = ""


class Index(Record):
    """A symptom score by months, sex and mood (logarithms)."""

    months_row: str
    sex_row: str
    women: Span
    depressed: Span
    dose: Span
    people: str
    prevalence_percent: float
    note: str


class Onset(Record):
    """Months until the first symptom."""

    row: str
    mean_months: float
    sd_months: float
    at_months: tuple[float, ...]
    note: str


class Hydronephrosis(Record):
    """Share of a clinic and odds around its means."""

    row: str
    odds: dict[str, str]
    note: str


class _Normal(Record):
    row: str
    note: str


class Recovery(Record):
    """Shares that improved after stopping."""

    rows: tuple[str, ...]
    normal: _Normal
    note: str


class Bladder(_Warned):
    """Bladder and urinary tract."""

    window_days: float
    most_days: float
    odds: dict[str, str]
    baseline: dict[str, Group]
    group: dict[str, Group]
    index: Index
    onset: Onset
    hydronephrosis: Hydronephrosis
    recovery: Recovery


class Liver(_Warned):
    """Bile ducts and liver."""

    rows: tuple[str, ...]
    odds: tuple[str, ...]


class Medical(Record):
    """A score after a medical course."""

    row: str
    weeks: tuple[float, ...]
    score: tuple[float, ...]
    sd: tuple[float, ...]
    n: int
    of: int
    note: str


class Withdrawal(_Warned):
    """Symptoms after stopping."""

    rows: tuple[str, ...]
    medical: Medical


class Point(Record):
    """Share with an event by a time; from its row if not here."""

    months: float
    row: str
    share: float | None = None
    low: float | None = None
    high: float | None = None
    complement: bool = False


class Also(Record):
    """A further number of an event."""

    text: str
    row: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


class Event(Record):
    """One kind of event after treatment or sentence."""

    people: str
    points: tuple[Point, ...] = Field(min_length=1)
    note: str = ""
    follow: Also | None = None
    ratio: Also | None = None


class Relapse(_Warned):
    """Events, one curve each."""

    event: dict[str, Event]


class Urine(_Warned):
    """Days until all samples are negative."""

    row: str
    shortest_days: float
    longest_days: float
    n: int
    range_sd: float
    cutoff: str


class Ratio(Record):
    """A standardised mortality ratio."""

    value: float
    row: str


class Ratios(Record):
    """By cause of death."""

    row: str
    people: str
    all: Ratio
    natural: Ratio
    unnatural: Ratio
    suicide: Ratio
    overdose: Ratio
    violence: Ratio

    def items(self) -> Iterator[tuple[str, Ratio]]:
        """Cause and ratio."""
        for name in ("all", "natural", "unnatural", "suicide", "overdose", "violence"):
            yield name, getattr(self, name)


class CoDrugs(Record):
    """Shares of deaths in which another drug was found."""

    n: int
    percent: dict[str, float]


class Rows(Record):
    """Rows to be shown as they are."""

    rows: tuple[str, ...]


class PoisonCentres(Record):
    """Grave outcomes among calls."""

    row: str
    ratios: dict[str, Span]
    ratios_row: str


class Mortality(_Warned):
    """Deaths and poisonings."""

    ratio: Ratios
    co_drugs: dict[str, CoDrugs]
    us: Rows
    poison_centres: PoisonCentres
    suicidality: Rows


class Test(Record):
    """Accuracy of a screening test."""

    row: str
    sensitivity: float = Field(gt=0, lt=1)
    specificity: float = Field(gt=0, lt=1)


class Assist(Record):
    """Bands of the ASSIST for drugs other than alcohol."""

    row: str
    moderate_from: int
    high_from: int
    most: int


class Screening(_Warned):
    """Tests."""

    test: dict[str, Test]
    assist: Assist


class Diagnosis(_Warned):
    """DSM-5: criteria met → severity."""

    row: str
    criteria: int
    bands: dict[str, int]
    kappa_row: str


class Pattern(Record):
    """First dose and dose now of a group."""

    row: str
    people: str
    fold: float
    months: float


class Escalation(_Warned):
    """Dose a session over the years."""

    group: dict[str, Pattern]


class Place(Record):
    """One published prevalence."""

    country: str
    who: str
    year: str
    row: str


class Prevalence(_Warned):
    """All of them."""

    point: tuple[Place, ...]


class Words(_Warned):
    """What stays text: statement → row and certainty."""

    none_found: str
    cognition: dict[str, tuple[str, str]]
    treatment: dict[str, tuple[str, str]]
    withdrawal: dict[str, tuple[str, str]]


class Models(Record):
    """The file."""

    dependence: Dependence
    bladder: Bladder
    liver: Liver
    withdrawal: Withdrawal
    relapse: Relapse
    urine: Urine
    mortality: Mortality
    screening: Screening
    diagnosis: Diagnosis
    escalation: Escalation
    prevalence: Prevalence
    text: Words


@functools.cache
def load() -> Models:
    """What can be computed.

    Raises
    ------
    FaultyFile
        With every fault, rows that are not there included.

    Examples
    --------
    >>> load().bladder.most_days
    90.0
    """
    found: Models = read_toml("safety/addiction.toml", Models, sense=_nonsense)
    return found


def row(id: str) -> Fact:
    """A row of `addiction.csv`."""
    return computed_rows()[id]


def _nonsense(found: Models) -> Iterable[Fault]:
    known = computed_rows()
    for place, id in _named(found, ""):
        if id not in known:
            yield unknown(f"addiction.toml: {place}", id, known, "a row of addiction.csv")


def _named(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """Every name of a row with its place."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if name == "row" or name.endswith("_row"):
                yield from [(f"{place}.{name}".lstrip("."), inner)] if inner else []
            elif name in ("rows", "odds") and isinstance(inner, (tuple, dict)):
                ids = inner.values() if isinstance(inner, dict) else inner
                yield from ((f"{place}.{name}".lstrip("."), id) for id in ids)
            else:
                yield from _named(inner, f"{place}.{name}")
    elif isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, tuple) and len(inner) == 2 and isinstance(inner[0], str):
                yield f"{place}.{name}".lstrip("."), inner[0]
            else:
                yield from _named(inner, f"{place}.{name}")
            if isinstance(inner, CoDrugs):
                yield f"{place}.{name}".lstrip("."), name
    elif isinstance(value, tuple):
        for inner in value:
            yield from _named(inner, place)
