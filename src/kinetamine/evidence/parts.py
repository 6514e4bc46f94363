"""The parts of the validation, all asked in the same way: run, page, rows, screen, fingerprint."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

from kinetamine.errors import UnknownName
from kinetamine.evidence.tables import Screen

__all__ = ["PARTS", "Part", "Report", "part"]

#: name → what is compared, in a few words
PARTS = {
    "pk": "concentrations in blood",
    "interactions": "ratios with drugs and diseases",
    "course": "depression scores in trials",
    "effects": "onset, length and frequency of acute effects",
}


class Report(Protocol):
    """What a run found."""

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every comparison in the shape of `kinetamine.evidence.stored.COLUMNS`."""

    def screen(self) -> Screen:
        """What it comes to, for the screen."""


class Part(Protocol):
    """A package of this room: ``observations`` (what was published), ``predict``, ``compare`` and ``page``.

    `page` knows the report and the report does not know its page.
    """

    #: what a step of the run is
    COUNTED: str

    def run(self, progress: Callable[[int, int], None] | None = None) -> Report:
        """Predict every observation that can be predicted, and compare."""

    def page(self, report: Any) -> str:
        """The report as Markdown, the same every time."""

    def fingerprint(self) -> str:
        """What the numbers depend on, in 16 digits: data, models, fits."""


def part(name: str) -> Part:
    """A part by its name.

    Raises
    ------
    UnknownName
        If there is no such part.

    Examples
    --------
    >>> part("interactions").COUNTED
    'ratios'
    """
    if name not in PARTS:
        raise UnknownName("validation", name, PARTS, "a part of the validation")
    from kinetamine.evidence import course, effects, interactions, pk

    found: dict[str, Part] = {"pk": pk, "interactions": interactions, "course": course, "effects": effects}
    return found[name]
