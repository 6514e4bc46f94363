"""One measured value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = ["SCALES", "Observation"]

#: rating scales that a course model may be asked about
SCALES = ("MADRS", "HDRS-17", "HAM-D", "PHQ-9", "QIDS-SR", "BDI-II", "CADSS")


@dataclass(frozen=True)
class Observation:
    """A value, or the limits it lies between, at a time.

    Parameters
    ----------
    what : str
        Analyte, output of a model, or rating scale.
    low, high : float
        Equal for a measured value; ``low`` 0 for one below a limit, ``high`` infinite for one above.
    unit : str
        ``""`` for the points of a scale; None until a table's unit is known.
    time_h : float, h
        Since the first dose (scores: since the first session).
    site : str, optional
        Where it was taken, such as ``"venous plasma"``.
    subject : str
        Whose it is, in a table.
    where : str
        The phrase or the line it came from, for messages.

    Examples
    --------
    >>> Observation("S-ketamine", 0.0, 0.5, "ng/mL", 24.0).kind
    'below'
    """

    what: str
    low: float
    high: float
    unit: str
    time_h: float
    site: str | None = None
    subject: str = ""
    where: str = ""

    @property
    def kind(self) -> str:
        """``value``, ``below``, ``above`` or ``between``."""
        if self.low == self.high:
            return "value"
        if not self.low > 0.0:
            return "below"
        return "above" if math.isinf(self.high) else "between"

    @property
    def is_score(self) -> bool:
        """Whether it is a rating, not a concentration."""
        return self.unit == "" and self.what.upper() in {name.upper() for name in SCALES}

    def __str__(self) -> str:
        value = {
            "value": f"{self.low:g}",
            "below": f"<{self.high:g}",
            "above": f">{self.low:g}",
            "between": f"{self.low:g} to {self.high:g}",
        }[self.kind]
        if self.is_score:
            return f"{self.what} {value} on day {self.time_h / 24:g}"
        site = f" in {self.site}" if self.site else ""
        return f"{self.what} {value} {self.unit} at {_time(self.time_h)}{site}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values; an infinite end is None."""
        return {
            "what": self.what,
            "low": self.low if math.isfinite(self.low) else None,
            "high": self.high if math.isfinite(self.high) else None,
            "unit": self.unit,
            "time_h": self.time_h,
            "site": self.site,
            "kind": self.kind,
        }


def _time(time_h: float) -> str:
    if time_h < 2 and time_h * 60 == round(time_h * 60, 6):
        return f"{round(time_h * 60, 6):g} min"
    if time_h >= 48 and time_h % 24 == 0:
        return f"{time_h / 24:g} d"
    return f"{time_h:g} h"
