"""What leaves in urine, and how much urine there is: ranges between people, read as log-normal."""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kinetamine.records import Record, Seen, read_toml

__all__ = ["Excretion", "Spread", "load"]

Floats = NDArray[np.float64]


class Spread(Record):
    """A range of a quantity between people, read as the middle 90 % of a log-normal spread."""

    low: float = Field(gt=0, allow_inf_nan=False)
    high: float = Field(gt=0, allow_inf_nan=False)
    unit: str
    source: str
    place: str
    seen: Seen

    def draw(self, z: Floats) -> Floats:
        """Values at standard normal numbers."""
        from scipy.stats import norm

        middle, width = math.log(self.low * self.high) / 2, math.log(self.high / self.low) / 2
        return np.asarray(np.exp(middle + width / norm.ppf(0.95) * z))


class Excretion(Record, extra="ignore"):
    """Shares of a systemic dose that leave in urine, by analyte, and the flow of urine.

    The file is that of detection, which reads and checks the rest of it.
    """

    share: dict[str, Spread]
    urine_flow: Spread

    def of(self, analyte: str) -> Spread | None:
        """The share of an analyte; an enantiomer goes as its racemate.

        Examples
        --------
        >>> load().of("S-norketamine").source
        'classic_excretion_split'
        """
        return self.share.get(analyte) or self.share.get(analyte.removeprefix("S-").removeprefix("R-"))


@functools.cache
def load() -> Excretion:
    """The tables that detection has, which checks the file as a whole.

    Examples
    --------
    >>> load().urine_flow.unit
    'L/d'
    """
    found: Excretion = read_toml("safety/detection.toml", Excretion)
    return found
