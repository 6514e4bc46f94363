"""Many measured values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from kinetamine.observations.observation import Observation
from kinetamine.observations.phrases import read

__all__ = ["Observations", "parse"]


class Observations(Sequence[Observation]):
    """Measured values of one person, or of many.

    Parameters
    ----------
    items : iterable of Observation

    Examples
    --------
    >>> levels = Observations.parse(["S-ketamine 46 ng/mL at 40 min", "S-ketamine <0.5 ng/mL at 24 h"])
    >>> len(levels), levels[1].kind, str(levels[0])
    (2, 'below', 'S-ketamine 46 ng/mL at 40 min')
    """

    def __init__(self, items: Iterable[Observation] = ()) -> None:
        self.items = tuple(items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        found = self.items[index]
        return Observations(found) if isinstance(index, slice) else found

    def __iter__(self) -> Iterator[Observation]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"Observations({[str(item) for item in self.items]!r})"

    @classmethod
    def parse(cls, phrases: str | Iterable[str]) -> Observations:
        """Read phrases, see `observations.parse`."""
        return cls(read(phrases, "observations"))

    @property
    def scores(self) -> Observations:
        """Ratings of a scale."""
        return Observations(item for item in self.items if item.is_score)

    @property
    def levels(self) -> Observations:
        """Everything but ratings."""
        return Observations(item for item in self.items if not item.is_score)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose they are, in order of first appearance."""
        return tuple(dict.fromkeys(item.subject for item in self.items))

    def of(self, subject: str) -> Observations:
        """Those of one person."""
        return Observations(item for item in self.items if item.subject == subject)

    def shifted(self, hours: float) -> Observations:
        """The same values, each that much later."""
        return Observations(replace(item, time_h=item.time_h + hours) for item in self.items)

    def to_dict(self) -> list[dict[str, Any]]:
        """A list of plain records."""
        return [item.to_dict() for item in self.items]


def parse(phrases: str | Iterable[str], where: str = "observations") -> Observations:
    """Read one phrase or many; every fault of all of them comes at once.

    Parameters
    ----------
    phrases : str or iterable of str
        What, value (or ``<limit``, ``>limit``, ``a to b``), unit, then ``at TIME`` or ``on day N``, and if need
        be ``in venous plasma``. Times count from the first dose.

    Returns
    -------
    Observations
        In the order given.

    Raises
    ------
    FaultyFile
        If a phrase cannot be read, a value is negative or infinite, or a unit is unknown.

    Examples
    --------
    >>> found = parse(["S-norketamine 61 ng/mL at 2 h in venous plasma", "MADRS 21 on day 7"])
    >>> found[0].time_h, found[0].site, found[1].time_h, found[1].is_score
    (2.0, 'venous plasma', 168.0, True)
    """
    return Observations(read(phrases, where))
