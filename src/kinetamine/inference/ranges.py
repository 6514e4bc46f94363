"""Ranges in dose phrases: ``"10 to 1000 mg oral, 0 to 24 h before"``, ``"84 mg nasal every 2 to 7 d"``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from kinetamine import units
from kinetamine.errors import DoseError

__all__ = ["Ranges", "has_range", "read"]

_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TO = rf"(?P<low>{_NUMBER})\s*(?:to|-|–)\s*(?P<high>{_NUMBER})"
_BEFORE = re.compile(
    rf"[,;]?\s*(?:taken\s+)?{_TO}\s*(?P<unit>min|h|hours?|d|days?)\s+(?:before|ago)\b", re.IGNORECASE
)
_EVERY = re.compile(rf"\bevery\s+{_TO}\s*(?P<unit>min|h|hours?|d|days?)\b", re.IGNORECASE)
_AMOUNT = re.compile(rf"^\s*{_TO}\s*(?P<unit>(?:m|u|µ|μ|mc)?g(?:/kg)?(?:/(?:h|min))?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Ranges:
    """A phrase with gaps for what is not known.

    Parameters
    ----------
    text : str
        The phrase, with ``{amount}`` and ``{every}`` where a range stood.
    amount : (low, high, unit) or None
    before_h : (low, high) or None
        Time between the dose and the first sample, h.
    every : (low, high, unit) or None
    """

    text: str
    amount: tuple[float, float, str] | None
    before_h: tuple[float, float] | None
    every: tuple[float, float, str] | None

    def phrase(self, amount: float | None = None, every: float | None = None) -> str:
        """The phrase with values in the gaps."""
        said = {}
        if self.amount:
            said["amount"] = f"{amount if amount is not None else self.amount[1]:.12g} {self.amount[2]}"
        if self.every:
            said["every"] = f"every {every if every is not None else self.every[1]:.12g} {self.every[2]}"
        return self.text.format(**said)


def has_range(doses: Any) -> bool:
    """Whether a phrase (or one of several) leaves an amount or a time open."""
    texts = [doses] if isinstance(doses, str) else doses if isinstance(doses, list | tuple) else []
    return any(isinstance(t, str) and bool(_AMOUNT.search(t) or _BEFORE.search(t)) for t in texts)


def _ends(match: re.Match[str], text: str, zero: bool) -> tuple[float, float]:
    low, high = float(match["low"]), float(match["high"])
    if not (low < high and (low > 0 or zero)):
        least = "from 0 on" if zero else "above 0"
        raise DoseError("doses", repr(text), f"a range {least}, the lower end first", "10 to 1000 mg oral")
    return low, high


def read(text: str) -> Ranges:
    """Read a phrase with ranges.

    Raises
    ------
    DoseError
        If a range is empty, or an amount's begins at 0.

    Examples
    --------
    >>> found = read("10 to 1000 mg oral, 0 to 24 h before")
    >>> found.amount, found.before_h, found.phrase(50)
    ((10.0, 1000.0, 'mg'), (0.0, 24.0), '50 mg oral')
    """
    rest = text.replace("{", "").replace("}", "")
    before_h = amount = every = None
    found = _BEFORE.search(rest)
    if found:
        low, high = _ends(found, text, zero=True)
        factor = units.convert(1.0, found["unit"], "h")
        before_h = (low * factor, high * factor)
        rest = rest[: found.start()] + rest[found.end() :]
    found = _EVERY.search(rest)
    if found:
        every = (*_ends(found, text, zero=False), found["unit"])
        rest = rest[: found.start()] + "{every}" + rest[found.end() :]
    found = _AMOUNT.search(rest)
    if found:
        amount = (*_ends(found, text, zero=False), found["unit"])
        rest = "{amount}" + rest[found.end() :]
    if not (amount or before_h or every):
        raise DoseError("doses", repr(text), "a range of amounts, times or intervals", "10 to 1000 mg oral")
    return Ranges(rest.strip(), amount, before_h, every)
