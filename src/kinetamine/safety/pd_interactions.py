"""What other drugs do to the effects of ketamine, with or without a change of its curve.

`pd_interactions.csv` holds one finding a row; `drug_groups.toml` says which drugs a finding about a group speaks of,
what else they are called, and about which drugs nothing was found.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from kinetamine.errors import Fault, NoData, UnknownName
from kinetamine.records import Record, Sourced, read_csv, read_toml
from kinetamine.safety import perturbations
from kinetamine.safety.perturbations import Observed, normal, sounds_like

__all__ = [
    "SEVERITIES",
    "Effect",
    "Groups",
    "Interaction",
    "asked_for",
    "groups",
    "interactions",
    "known_names",
    "load",
    "resolved",
    "without_data",
]

#: worst first
SEVERITIES = ("high", "moderate", "low", "none stated", "benefit")


class Effect(Sourced):
    """One published finding about ketamine and another drug.

    `about` holds drugs and groups, separated by semicolons; `drug` is what the source says.
    """

    about: str
    drug: str
    ketamine: str
    effect: str
    direction: Literal["increase", "decrease", "none", "not stated"]
    magnitude: str | None = None
    severity: Literal["high", "moderate", "low", "none stated", "benefit"]
    evidence: Literal["people studied", "model", "label", "review", "case reports", "not stated"]
    people: str | None = None


class Groups(Record):
    """Members of groups, other words of names, and the drugs, by kind, about which nothing was found."""

    groups: dict[str, tuple[str, ...]]
    also: dict[str, tuple[str, ...]]
    no_data: dict[str, tuple[str, ...]]

    @functools.cached_property
    def kind_without_data(self) -> dict[str, str]:
        """Drug about which nothing was found → its kind."""
        return {drug: kind for kind, drugs in self.no_data.items() for drug in drugs}


@dataclass(frozen=True)
class Interaction:
    """One answer about a drug or condition together with ketamine.

    `kind` is *effect* (what it does to ketamine's actions) or *curve* (what it does to concentrations). `via` names
    the group the finding is about when it is not about the drug itself: then it is an inference.
    """

    kind: Literal["effect", "curve"]
    drug: str
    via: str | None
    effect: str
    direction: str
    magnitude: str | None
    severity: str
    evidence: str
    ketamine: str
    people: str | None
    source: str
    seen: str
    note: str | None


@functools.cache
def load() -> tuple[tuple[Effect, ...], dict[str, tuple[str, ...]]]:
    """The findings, and the members of every group.

    Raises
    ------
    FaultyFile
        With every fault found.
    """
    return read_csv("safety/pd_interactions.csv", Effect), groups().groups


@functools.cache
def groups() -> Groups:
    """The words of `drug_groups.toml`.

    Examples
    --------
    >>> groups().kind_without_data["cannabis"]
    'cannabinoid'
    """
    found: Groups = read_toml("safety/drug_groups.toml", Groups, sense=_nonsense)
    return found


def _nonsense(found: Groups) -> Iterable[Fault]:
    members = {n for group, drugs in found.groups.items() for n in (group, *drugs)}
    for drug in found.kind_without_data:
        if drug in members:
            yield Fault(f"drug_groups.toml: {drug}", "without data and member of a group", "one of them")
    owner: dict[str, str] = {}
    for name, words in found.also.items():
        for word in (name, *words):
            if owner.setdefault(normal(word), name) != name:
                yield Fault(
                    f"drug_groups.toml: also.{name}", repr(word), f"a word not of {owner[normal(word)]}"
                )


def _about(row: Effect) -> tuple[str, ...]:
    return tuple(name.strip() for name in row.about.split(";"))


def known_names() -> list[str]:
    """Every drug, group and condition that something is known about.

    Examples
    --------
    >>> "midazolam" in known_names()
    True
    """
    rows, groups = load()
    names = [n for row in rows for n in _about(row)]
    names += [n for group, drugs in groups.items() for n in (group, *drugs)]
    names += [n for one in perturbations.load().perturbations.values() for n in (one.name, *one.aliases)]
    return sorted(dict.fromkeys(names), key=str.lower)


def asked_for() -> list[str]:
    """Every name that is understood: those something is known about, and those about which nothing was found."""
    return [*known_names(), *groups().kind_without_data]


def resolved(name: str) -> str | None:
    """The name as it is written here, None if nobody knows it; an s at its end does not matter.

    Examples
    --------
    >>> resolved("GHB"), resolved("cannabis"), resolved("sugar")
    ('gamma-hydroxybutyrate', 'cannabis', None)
    """
    words = {normal(n): n for n in asked_for()}
    words |= {normal(word): n for n, others in groups().also.items() for word in others}
    return words.get(normal(name)) or words.get(normal(name.removesuffix("s")))


def without_data(name: str) -> str | None:
    """What is to be said of a drug about which nothing was found; None for others.

    Examples
    --------
    >>> without_data("levetiracetam")
    'levetiracetam (anticonvulsant): no data together with ketamine was found; that is not "no effect"'
    >>> without_data("propofol") is None
    True
    """
    known = resolved(name)
    kind = groups().kind_without_data.get(known or "")
    if kind is None:
        return None
    return f'{known} ({kind}): no data together with ketamine was found; that is not "no effect"'


def interactions(name: str) -> list[Interaction]:
    """What is known about ketamine together with a drug, or in a condition; worst first.

    Parameters
    ----------
    name : str
        A drug, a group of drugs or a condition.

    Returns
    -------
    list of Interaction
        With severity, direction, evidence, source and how it was seen. Findings about the drug's group are marked
        in ``via``. No finding does not exist: an unknown name is an error, never "safe".

    Raises
    ------
    UnknownName
        With names that sound alike, if there are any.
    NoData
        For a drug that is known, but about which nothing was found.

    Examples
    --------
    >>> import kinetamine as kt
    >>> first = kt.interactions("midazolam")[0]
    >>> first.severity, first.direction, first.via
    ('high', 'increase', 'benzodiazepine')
    """
    asked = resolved(name)
    if asked is None:
        raise _not_known(name)
    said = without_data(asked)
    if said is not None:
        raise NoData("interactions", said, "a drug that was studied", "kinetamine interactions, for the list")
    rows, members = load()
    wider = _wider(asked, members)
    found = [_effect(row, asked, wider) for row in rows if set(_about(row)) & {asked, *wider}]
    try:
        id, one = perturbations.find(asked)
    except UnknownName:
        pass
    else:
        found += [_curve(row, one.name) for row in perturbations.load().rows(id)]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def _not_known(name: str) -> UnknownName:
    names = asked_for()
    part = [n for n in names if len(name) > 2 and name.lower() in n.lower()]
    return UnknownName(
        "interactions",
        name,
        names,
        'a drug or condition known here; about others nothing was looked up, which is not "no effect"',
        part[:3] or sounds_like(name, names),
        "kinetamine interactions, for the list",
    )


def _wider(name: str, groups: dict[str, tuple[str, ...]]) -> list[str]:
    """The groups a drug belongs to, nearest first."""
    found, todo = [], [name]
    while todo:
        up = [g for g, drugs in groups.items() if todo[0] in drugs and g not in found]
        found += up
        todo = todo[1:] + up
    return found


def _effect(row: Effect, asked: str, wider: Iterable[str]) -> Interaction:
    about = _about(row)
    via = None if asked in about else next(g for g in wider if g in about)
    return Interaction(
        "effect",
        row.drug,
        via,
        row.effect,
        row.direction,
        row.magnitude,
        row.severity,
        row.evidence,
        row.ketamine,
        row.people,
        row.source,
        row.seen,
        row.note or None,
    )


def _curve(row: Observed, name: str) -> Interaction:
    """A change of concentrations carries no severity of its own: what follows depends on the dose."""
    if row.ratio is None:
        effect, direction, size = row.finding or row.mechanism or row.note or "", "not stated", None
    else:
        way: Any = (row.ratio > 1) - (row.ratio < 1)
        direction = {1: "increase", -1: "decrease", 0: "none"}[way]
        limits = f" ({row.low:g}-{row.high:g})" if row.low and row.high else ""
        effect, size = f"{row.measure} by {row.route}", f"× {row.ratio:g}{limits}"
    evidence = {"observed": "people studied", "model_based": "model", "in_vitro": "in vitro"}[row.data_kind]
    people = f"{row.n}" if row.n else None
    ketamine = ", ".join(x for x in (row.drug, row.dose) if x)
    words = [x for x in (row.detail, row.finding if row.ratio else None, row.note) if x]
    note = "; ".join(words) or None
    return Interaction(
        "curve", name, None, effect, direction, size, "none stated", evidence, ketamine, people, row.source,
        row.seen, note,
    )  # fmt: skip
