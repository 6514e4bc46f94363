"""A finding: the one record in which every part of the safety desk says what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["SEVERITIES", "Finding", "Hazard", "hazards", "milder", "ordered", "worst"]

#: from the gravest to the mildest
SEVERITIES = ("exclude", "caution", "adjust", "monitor", "information")


@dataclass(frozen=True)
class Finding:
    """What speaks against a treatment or asks for care, and who says so.

    Parameters
    ----------
    severity : str
        One of `SEVERITIES`.
    topic, text : str
        What it is about, and the finding in words.
    product, population : str
        The product the rule was written for and the people or the document it speaks of.
    source, seen : str
        Key in sources.toml and how the number was read (``text``, ``abstract``, ``recalled``, ``derived``).
    id : str
        The row of the data file.
    basis : str
        What kind of rule it is: a label contraindication, a trial exclusion, the rule of one clinic, …
    because : str
        What in the patient or the scenario brought it up.
    place, note : str
        Where in the source it stands; a remark.
    other_product : bool
        The rule was written for another product than the one asked about.
    hazard : str
        The one thing about the patient or the treatment that this and other findings speak of; empty: the topic.

    Examples
    --------
    >>> Finding("caution", "psychosis", "history of psychosis", "esketamine nasal", "EU", "x", "text").rank
    1
    """

    severity: str
    topic: str
    text: str
    product: str
    population: str
    source: str
    seen: str
    id: str = ""
    basis: str = ""
    because: str = ""
    place: str = ""
    note: str = ""
    other_product: bool = False
    hazard: str = ""

    @property
    def rank(self) -> int:
        """0 for the gravest severity."""
        return SEVERITIES.index(self.severity)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def milder(a: str, b: str) -> str:
    """The milder of two severities.

    Examples
    --------
    >>> milder("exclude", "caution")
    'caution'
    """
    return max(a, b, key=SEVERITIES.index)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Gravest first; within a severity the product asked about first, then by row; each one once.

    Examples
    --------
    >>> ordered([])
    ()
    """
    # what is far beyond anything given to people comes before every rule
    return tuple(
        sorted(
            dict.fromkeys(findings),
            key=lambda f: (f.rank, f.topic != "dose", f.other_product, f.topic, f.id),
        )
    )


@dataclass(frozen=True)
class Hazard:
    """All findings about one thing, the gravest first; one row wherever findings are shown.

    Examples
    --------
    >>> a = Finding("exclude", "aneurysm/AVM", "ever had an aneurysm", "esketamine nasal", "EU", "x", "text")
    >>> b = Finding("exclude", "aneurysm/AVM", "aneurysmal vascular disease", "esketamine nasal", "US", "y", "text")
    >>> [one.severity, one.sources] if (one := hazards([a, b])[0]) else []
    ['exclude', ('x', 'y')]
    """

    name: str
    findings: tuple[Finding, ...]

    @property
    def severity(self) -> str:
        """That of the gravest finding."""
        return self.findings[0].severity

    @property
    def sources(self) -> tuple[str, ...]:
        """Keys of all sources, each once."""
        return tuple(dict.fromkeys(f.source for f in self.findings))

    @property
    def because(self) -> str:
        """What brought it up."""
        said = (f.because for f in self.findings if f.because and not f.because.startswith("background to"))
        return "; ".join(dict.fromkeys(said))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "hazard": self.name,
            "severity": self.severity,
            "because": self.because,
            "sources": list(self.sources),
            "findings": [f.to_dict() for f in self.findings],
        }


def hazards(findings: Iterable[Finding]) -> tuple[Hazard, ...]:
    """Findings, one row for each hazard, gravest first: what is said twice about one thing is said once.

    What is only background to a topic goes with the first hazard of that topic.

    Examples
    --------
    >>> hazards([])
    ()
    """
    rows = ordered(findings)
    first: dict[str, str] = {}
    for f in rows:
        if f.hazard:
            first.setdefault(f.topic, f.hazard)
    groups: dict[str, list[Finding]] = {}
    for f in rows:
        groups.setdefault(f.hazard or first.get(f.topic, f.topic), []).append(f)
    return tuple(Hazard(name, tuple(some)) for name, some in groups.items())


def worst(findings: Iterable[Finding]) -> str | None:
    """The gravest severity, None without findings.

    Examples
    --------
    >>> worst([]) is None
    True
    """
    return min((f.severity for f in findings), key=SEVERITIES.index, default=None)
