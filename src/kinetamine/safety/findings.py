"""A finding: the one record in which every part of the safety desk says what it found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["SEVERITIES", "Finding", "milder", "ordered", "worst"]

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
    return tuple(sorted(dict.fromkeys(findings), key=lambda f: (f.rank, f.other_product, f.topic, f.id)))


def worst(findings: Iterable[Finding]) -> str | None:
    """The gravest severity, None without findings.

    Examples
    --------
    >>> worst([]) is None
    True
    """
    return min((f.severity for f in findings), key=SEVERITIES.index, default=None)
