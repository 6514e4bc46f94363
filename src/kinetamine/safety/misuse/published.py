"""What was published on repeated use and overdose, one number a row; a concentration against published ranges."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Literal

from kinetamine.errors import Fault, InputError
from kinetamine.records import Names, Record, Sourced, raise_all, read_csv, read_toml, unknown
from kinetamine.safety.findings import SEVERITIES

__all__ = ["Fact", "Threshold", "computed_rows", "facts", "gravest_kind", "kinds", "thresholds", "topics"]


class Fact(Sourced):
    """One row of misuse.csv or addiction.csv.

    `value` and `unit` are as printed; rows about blood also have the range in ng/mL, what `kind` of finding it
    is and in which `matrix` it was measured. Rows of addiction.csv may have what was counted (`n`, `events`), an
    interval, the exposure, what it is compared with, time, design and what the design can show (`quality`).
    """

    topic: str
    quantity: str
    population: str
    value: str
    unit: str
    low_ng_ml: float | None = None
    typical_ng_ml: float | None = None
    high_ng_ml: float | None = None
    kind: str = ""
    matrix: str = ""
    exposure: str = ""
    comparator: str = ""
    n: str = ""
    events: str = ""
    low: float | None = None
    high: float | None = None
    spread: str = ""
    time: str = ""
    design: str = ""
    quality: str = ""


class Kind(Record):
    """What it amounts to when a concentration reaches a range of this kind."""

    severity: Literal["exclude", "caution", "adjust", "monitor", "information"]
    means: str
    fatal: bool = False


class _File(Record):
    topic: dict[str, str]
    kind: dict[str, Kind]


@dataclass(frozen=True)
class Threshold:
    """A concentration against one published range.

    Parameters
    ----------
    relation : str
        ``below``, ``within`` or ``above`` the range; a single value is reached from that value on.
    ratio : float
        The concentration over the lower end of the range.

    Examples
    --------
    >>> thresholds(10.0)[0].relation
    'below'
    """

    fact: Fact
    relation: str
    ratio: float

    @property
    def reached(self) -> bool:
        """The concentration lies in the range or above it."""
        return self.relation != "below"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"relation": self.relation, "ratio_to_lower_end": self.ratio, **self.fact.model_dump()}


@functools.cache
def _read() -> tuple[dict[str, str], dict[str, Kind], tuple[Fact, ...], tuple[Fact, ...]]:
    file = "misuse.toml"
    desk: _File = read_toml(f"safety/{file}", _File)
    rows = read_csv("safety/misuse.csv", Fact)
    counted = read_csv("safety/addiction.csv", Fact)
    faults = []
    for r in (*rows, *counted):
        if r.topic not in desk.topic:
            faults.append(unknown(r.id, r.topic, desk.topic, f"a topic of {file}"))
        if r.low_ng_ml is None or r.high_ng_ml is None:
            if r.kind or r.low_ng_ml is not None or r.high_ng_ml is not None:
                faults.append(Fault(r.id, "half a range", "low_ng_ml, high_ng_ml and kind"))
        elif r.kind not in desk.kind or not 0 < r.low_ng_ml <= r.high_ng_ml:
            faults.append(Fault(r.id, f"{r.kind!r} {r.low_ng_ml}-{r.high_ng_ml}", "a kind and a range"))
    raise_all("misuse.csv", faults)
    return desk.topic, desk.kind, rows, counted


def computed_rows() -> dict[str, Fact]:
    """The rows of addiction.csv by their id."""
    return {fact.id: fact for fact in _read()[3]}


def topics() -> dict[str, str]:
    """The topics and what they are called.

    Examples
    --------
    >>> topics()["withdrawal"]
    'Withdrawal and abstinence'
    """
    return dict(_read()[0])


def kinds() -> dict[str, Kind]:
    """The kinds of concentration ranges, and what reaching one amounts to."""
    return dict(_read()[1])


def facts(topic: str | None = None) -> tuple[Fact, ...]:
    """The published numbers of a topic, or all.

    Raises
    ------
    UnknownName
        With the nearest topics.

    Examples
    --------
    >>> facts("treatment")[0].seen
    'text'
    """
    names, _, rows, counted = _read()
    rows = (*rows, *counted)
    if topic is None:
        return rows
    known = Names({name: (title,) for name, title in names.items()})
    wanted = known.resolve(topic, "topic", "a topic")
    return tuple(r for r in rows if r.topic == wanted)


def thresholds(conc_ng_ml: float) -> tuple[Threshold, ...]:
    """A concentration of ketamine in blood or plasma against every published range, lowest range first.

    Post-mortem blood is not plasma: drug moves after death, and most of these people had taken other drugs too.

    Parameters
    ----------
    conc_ng_ml : float
        ng/mL, at least zero.

    Raises
    ------
    InputError
        If it is negative or not finite.

    Examples
    --------
    >>> [t.fact.quantity for t in thresholds(1900.0) if t.fact.kind == "loss of consciousness" and t.reached][:1]
    ['awakening after anaesthesia']
    """
    if not isinstance(conc_ng_ml, (int, float)) or not math.isfinite(conc_ng_ml) or conc_ng_ml < 0:
        raise InputError("concentration", repr(conc_ng_ml), "a number of at least zero, in ng/mL")
    found = []
    for fact in _read()[2]:
        if fact.low_ng_ml is None or fact.high_ng_ml is None:
            continue
        single = fact.low_ng_ml == fact.high_ng_ml
        if conc_ng_ml < fact.low_ng_ml:
            relation = "below"
        elif conc_ng_ml > fact.high_ng_ml and not single:
            relation = "above"
        else:
            relation = "within" if not single or conc_ng_ml == fact.low_ng_ml else "above"
        found.append(Threshold(fact, relation, conc_ng_ml / fact.low_ng_ml))
    return tuple(sorted(found, key=lambda t: (t.fact.low_ng_ml, t.fact.high_ng_ml, t.fact.id)))


def gravest_kind(reached: tuple[Threshold, ...]) -> str | None:
    """The gravest severity among the ranges that are reached."""
    known = kinds()
    found = [known[t.fact.kind].severity for t in reached if t.reached]
    return min(found, key=SEVERITIES.index, default=None)
