"""Numbers about groups with their birth, and the intervals of shares."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scipy import special

__all__ = ["Answer", "Grade", "Number", "beta_share", "none_seen", "wilson"]

#: how far to trust a number: counted, of a published relation, outside of what was studied, by assumption, not at all
Grade = Literal["observed", "fitted", "extrapolated", "assumed", "no data"]
#: two-sided 95 %
_Z = 1.959964


@dataclass(frozen=True)
class Number:
    """One number about a group of people.

    Parameters
    ----------
    what, people : str
        What it is, and of whom.
    value, low, high : float or None
        With its 95 % interval, None where none was published or none can be computed.
    unit : str
    grade : str
        One of `Grade`.
    rows : tuple of str
        The rows of `addiction.csv` it comes from.
    n, events : int or None
        Where it was counted.
    note : str

    Examples
    --------
    >>> str(Number("ever", "10 users", 20.0, 5.7, 51.0, "%", "observed", ("A000",), 10, 2))
    'ever, 10 users: 20 (5.7-51) % (2 of 10), observed'
    """

    what: str
    people: str
    value: float | None
    low: float | None
    high: float | None
    unit: str
    grade: Grade
    rows: tuple[str, ...] = ()
    n: int | None = None
    events: int | None = None
    note: str = ""

    @property
    def shown(self) -> str:
        """The number with its interval and unit."""
        if self.value is None:
            return "in words"
        span = "" if self.low is None or self.high is None else f" ({self.low:.3g}-{self.high:.3g})"
        unit = "" if self.unit in ("", "1") else f" {self.unit}"
        return f"{self.value:.3g}{span}{unit}"

    def __str__(self) -> str:
        counted = f" ({self.events} of {self.n})" if self.n is not None and self.events is not None else ""
        return f"{self.what}, {self.people}: {self.shown}{counted}, {self.grade}"


@dataclass(frozen=True)
class Answer:
    """The answer to one question about misuse.

    Parameters
    ----------
    topic, title : str
    numbers : tuple of Number
    warns : tuple of str
        What would mislead; to be shown with the numbers.
    refused : tuple of str
        What was asked and is not answered, with the reason.
    """

    topic: str
    title: str
    numbers: tuple[Number, ...]
    warns: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()

    def __getitem__(self, what: str) -> Number:
        """The first number whose name holds these words."""
        for number in self.numbers:
            if what in f"{number.what}, {number.people}":
                return number
        raise KeyError(what)

    @property
    def rows(self) -> tuple[str, ...]:
        """All rows that numbers come from, each once."""
        return tuple(dict.fromkeys(r for number in self.numbers for r in number.rows))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "topic": self.topic,
            "title": self.title,
            "numbers": [asdict(n) for n in self.numbers],
            "warns": list(self.warns),
            "refused": list(self.refused),
        }


def wilson(events: float, n: float) -> tuple[float, float, float]:
    """Share and its 95 % interval by Wilson, in per cent.

    Examples
    --------
    >>> [round(x, 1) for x in wilson(195, 274)]
    [71.2, 65.5, 76.2]
    """
    p, z2 = events / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return 100 * p, max(0.0, 100 * (middle - half)), min(100.0, 100 * (middle + half))


def beta_share(events: float, n: float) -> tuple[float, float, float]:
    """Median and 95 % interval of a share, Beta(events + 1/2, n - events + 1/2), in per cent.

    Examples
    --------
    >>> [round(x, 1) for x in beta_share(1, 138)]
    [0.9, 0.1, 3.3]
    """
    a, b = events + 0.5, n - events + 0.5
    low = 0.0 if events == 0 else float(special.betaincinv(a, b, 0.025))
    return (
        100 * float(special.betaincinv(a, b, 0.5)),
        100 * low,
        100 * float(special.betaincinv(a, b, 0.975)),
    )


def none_seen(n: int) -> float:
    """Upper end of the 95 % interval (exact, two-sided) of a share of which no case was seen, in per cent.

    Examples
    --------
    >>> round(none_seen(62), 1)
    5.8
    """
    return 100 * (1 - 0.025 ** (1 / n))
