"""One question about misuse with all that answers it: rows, concentration ranges, computed answers, a time line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kinetamine.errors import InputError
from kinetamine.records import Names
from kinetamine.safety.misuse import computed, published
from kinetamine.safety.misuse.computed import Odds
from kinetamine.safety.misuse.models import load, row
from kinetamine.safety.misuse.published import Fact, Threshold
from kinetamine.safety.misuse.shares import Answer
from kinetamine.safety.misuse.timeline import Timeline, timeline

__all__ = ["Asked", "ask"]

_TIMELINE = "timeline"
#: other words for a topic
_ALSO = {
    "dependence": ["addiction"],
    "treatment": ["relapse"],
    "mortality": ["deaths"],
    _TIMELINE: ["time line"],
}

Given = Mapping[str, Any]
#: topic → the options it can use, and the answers it gives
_TOPICS: dict[str, tuple[tuple[str, ...], Callable[[Given], list[Answer]]]] = {
    "dependence": ((), lambda g: [computed.dependence()]),
    "diagnosis": (("criteria",), lambda g: _if(g, "criteria", computed.diagnosis)),
    "withdrawal": ((), lambda g: [computed.withdrawal()]),
    "bladder": (("days", "months", "sex", "depressed"), lambda g: _bladder(g)),
    "liver": ((), lambda g: [computed.liver()]),
    "cognition": ((), lambda g: [computed.cognition()]),
    "treatment": (("months",), lambda g: [computed.treatment(), _relapse(g)]),
    "tolerance": (("months",), lambda g: _escalation(g)),
    "urine": (("days",), lambda g: [computed.urine([g["days"]] if "days" in g else (30, 60, 90))]),
    "mortality": ((), lambda g: [computed.mortality()]),
    "screening": (("prevalence",), lambda g: _if(g, "prevalence", computed.screening)),
    "prevalence": (("country", "year"), lambda g: [computed.prevalence(g.get("country"), g.get("year"))]),
}
#: without a topic an option speaks for one
_TOPIC_OF = {
    "criteria": "diagnosis", "prevalence": "screening", "country": "prevalence", "year": "prevalence",
    "days": "bladder", "months": "bladder", "sex": "bladder", "depressed": "bladder",
}  # fmt: skip


def _if(given: Given, name: str, make: Callable[[Any], Answer]) -> list[Answer]:
    return [make(given[name])] if name in given else []


def _bladder(given: Given) -> list[Answer]:
    asked = {k: v for k, v in given.items() if k in ("days", "months", "sex", "depressed")}
    more = [] if asked else [computed.onset(), computed.hydronephrosis(), computed.recovery()]
    return [computed.bladder(**asked), *more]


def _relapse(given: Given) -> Answer:
    return computed.relapse(months=[given["months"]] if "months" in given else (6, 12, 24, 36))


def _escalation(given: Given) -> list[Answer]:
    groups = load().escalation.group
    if "months" not in given:
        return [computed.escalation(one.months, name) for name, one in groups.items()]
    able = [name for name, one in groups.items() if given["months"] <= one.months] or list(groups)[:1]
    return [computed.escalation(given["months"], name) for name in able]


@dataclass(frozen=True)
class Asked:
    """What was found; parts that were not asked about are empty."""

    topic: str | None
    facts: tuple[Fact, ...]
    answers: tuple[Answer, ...]
    concentration_ng_ml: float | None
    ranges: tuple[Threshold, ...]
    days: float | None
    odds: tuple[Odds, ...]
    story: Timeline | None

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of all sources, each once."""
        rows = [r for a in self.answers for r in a.rows] + list(self.story.rows if self.story else ())
        keys = [t.fact.source for t in self.ranges] + [o.source for o in self.odds]
        keys += [row(r).source for r in rows] + [f.source for f in self.facts]
        return tuple(dict.fromkeys(keys))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        data: dict[str, Any] = {}
        if self.concentration_ng_ml is not None:
            data |= {
                "concentration_ng_ml": self.concentration_ng_ml,
                "ranges": [t.to_dict() for t in self.ranges],
            }
        if self.odds:
            data |= {"days": self.days, "urinary_odds": [vars(o) for o in self.odds]}
        if self.answers:
            data["answers"] = [a.to_dict() for a in self.answers]
        if self.story is not None:
            data["timeline"] = self.story.to_dict()
        if self.facts:
            data["facts"] = [f.model_dump(exclude_defaults=True) for f in self.facts]
        return data or {"topics": published.topics()}


def ask(
    topic: str | None = None,
    *,
    concentration: float | None = None,
    days: float | None = None,
    months: float | None = None,
    sex: str | None = None,
    depressed: bool = False,
    prevalence: float | None = None,
    criteria: int | None = None,
    country: str | None = None,
    year: int | None = None,
) -> Asked:
    """What is known of misuse: published rows of a topic and what can be computed, for groups of people.

    Parameters
    ----------
    topic : str, optional
        One of `topics`, or ``"timeline"``: the story of an invented person, for teaching; it needs `months`.
    concentration : float, optional
        ng/mL in blood, against published ranges.
    days : float, optional
        Days of use in 180 (bladder, timeline), or days since the last use (urine).
    months : float, optional
        Since first use (bladder, tolerance, timeline), or since the sentence (treatment).
    sex, depressed : optional
        For the bladder symptom score.
    prevalence : float, optional
        Per cent of those screened: predictive values of tests.
    criteria : int, optional
        DSM-5 criteria met.
    country, year : optional
        Of a survey.

    Raises
    ------
    InputError
        For what is not known or not in range. An option that a topic does not use is answered beside it.

    Examples
    --------
    >>> import kinetamine as kt
    >>> kt.misuse.ask("dependence").answers[0]["medical use"].shown
    '0.855 (0.0783-3.34) %'
    """
    told = {
        "days": days, "months": months, "sex": sex, "depressed": depressed or None, "prevalence": prevalence,
        "criteria": criteria, "country": country, "year": year,
    }  # fmt: skip
    given = {k: v for k, v in told.items() if v is not None}
    ranges = () if concentration is None else published.thresholds(concentration)
    known = Names({name: _ALSO.get(name, ()) for name in (*published.topics(), _TIMELINE)})
    name = None if topic is None else known.resolve(topic, "topic", "a topic")
    story = _story(given) if name == _TIMELINE else None
    answers, odds = ([], ()) if story is not None else _answers(name, given)
    rows = published.facts(name) if name not in (None, _TIMELINE) else ()
    return Asked(name, rows, tuple(answers), concentration, ranges, days, odds, story)


def _answers(name: str | None, given: Given) -> tuple[list[Answer], tuple[Odds, ...]]:
    """Those of the topic; an option that it does not use speaks for a topic of its own, so that none is lost."""
    usable = _TOPICS[name][0] if name in _TOPICS else ()
    others = dict.fromkeys(_TOPIC_OF[k] for k in given if k not in usable)
    answers: list[Answer] = []
    odds: tuple[Odds, ...] = ()
    for one in dict.fromkeys([*([name] if name in _TOPICS else []), *others]):
        options, make = _TOPICS[one]
        mine = {k: v for k, v in given.items() if k in options and (one == name or k not in usable)}
        answers += make(mine)
        if one == "bladder" and mine.get("days", math.inf) <= load().bladder.most_days:
            odds = computed.urinary_odds(mine["days"])
    return answers, odds


def _story(given: Given) -> Timeline:
    for name, value in given.items():
        if name not in ("months", "days", "sex"):
            raise InputError(
                name, repr(value), "months, days and sex for a time line", "it without the topic"
            )
    if "months" not in given:
        raise InputError("months", "nothing", "the months of use that the story lasts", "months 24")
    return timeline(**given)
