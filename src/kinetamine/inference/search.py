"""The dose or the interval that reaches a target, with its probability: in a person whose levels are known, or
before any was measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine import units
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.inference import ranges

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DoseSearch", "Wanted", "search_dose"]

_NUMBER = r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
_TARGET = re.compile(
    rf"^\s*(?P<output>[^<>\s]+)\s+(?:(?P<metric>Cmax|peak|Cmin|trough|AUC)\b\s*)?(?P<sign>[<>])?\s*(?P<low>{_NUMBER})"
    rf"(?:\s*(?:to|-|–)\s*(?P<high>{_NUMBER}))?\s*(?P<unit>\S.*?)(?:\s+at\s+(?P<at>{_NUMBER}\s*\w+))?\s*$",
    re.IGNORECASE,
)
_EXPECTED = (
    "such as 'S-ketamine Cmax 40 to 90 ng/mL', 'S-ketamine <20 ng/mL at 2 h' or "
    "'S-ketamine AUC 100 to 300 ng*h/mL'"
)


@dataclass(frozen=True)
class Wanted:
    """A target: an output's measure between two limits.

    Examples
    --------
    >>> Wanted.parse("S-ketamine <20 ng/mL at 2 h")
    Wanted(output='S-ketamine', metric='at', low=0.0, high=20.0, unit='ng/mL', at_h=2.0)
    """

    output: str
    metric: str
    low: float
    high: float
    unit: str
    at_h: float | None = None

    @classmethod
    def parse(cls, text: str) -> Wanted:
        """Read a target.

        Raises
        ------
        InputError
            If it is none.
        """
        found = _TARGET.match(text)
        if found is None:
            raise InputError("target", repr(text), _EXPECTED, "'S-ketamine Cmax 40 to 90 ng/mL'")
        value = float(found["low"])
        if found["high"] is not None:
            low, high = value, float(found["high"])
        elif found["sign"] == "<":
            low, high = 0.0, value
        elif found["sign"] == ">":
            low, high = value, float("inf")
        else:
            raise InputError(
                "target", repr(text), "limits: 'a to b', '< b' or '> a'", "'S-ketamine Cmax 40 to 90 ng/mL'"
            )
        metric = {"peak": "cmax", "trough": "cmin"}.get(
            (found["metric"] or "").lower(), (found["metric"] or "").lower()
        )
        at_h = units.read(found["at"], "h", "target") if found["at"] else None
        if bool(metric) == (at_h is not None) or not low < high:
            raise InputError("target", repr(text), _EXPECTED, "'S-ketamine Cmax 40 to 90 ng/mL'")
        return cls(found["output"], metric or "at", low, high, found["unit"].strip(), at_h)

    def measure(self, result: Any) -> np.ndarray:
        """The measure of each patient of a result, in this target's unit, array (patient,)."""
        name = next((n for n in result.outputs if n.lower() == self.output.lower()), None)
        if name is None:
            raise UnknownName("target", self.output, result.outputs, "an output of the model")
        output = result.outputs[name]
        curve = np.asarray(result[name])
        if self.metric == "auc":
            area = np.trapezoid(curve, result.time_h, axis=1)
            return area * units.convert(1.0, f"{output.unit}*h", self.unit, "target")
        factor = units.convert(1.0, output.unit, self.unit, "target")
        if self.metric == "cmax":
            return factor * curve.max(axis=1)
        if self.metric == "cmin":
            return factor * curve[:, -1]
        return factor * curve[:, int(np.argmin(np.abs(result.time_h - self.at_h)))]


@dataclass(frozen=True)
class DoseSearch:
    """Probability of a target by dose or interval.

    Parameters
    ----------
    table : polars frame
        ``value, dose, probability, low, high``: probability with its Monte Carlo limits of 95 %.
    target : Wanted
    least : float
        Probability asked for.
    best : str
        The dose with the highest probability.
    reached : bool
        Whether any dose reaches `least`.
    """

    table: pl.DataFrame
    target: Wanted
    least: float
    best: str
    reached: bool

    def __repr__(self) -> str:
        top = float(self.table["probability"].max())  # type: ignore[arg-type]
        word = "" if self.reached else f", none reaches {self.least:.0%}"
        return f"<Search: best {self.best!r}, probability {top:.2f}{word}>"


def search_dose(
    model: Any,
    doses: str,
    target: str | Wanted,
    population: Any,
    *,
    least: float = 0.8,
    steps: int = 15,
    until: Any = None,
) -> DoseSearch:
    """Try doses or intervals of a range in a population (a posterior's, or any).

    Parameters
    ----------
    model : str, Path or ModelSpec
    doses : str
        With one range: ``"28 to 84 mg nasal"`` or ``"56 mg nasal every 2 to 7 d x 8"``.
    target : str or Wanted
        Such as ``"S-ketamine Cmax 40 to 90 ng/mL"``; AUC and trough are those up to the end of the time looked at.
    population : Population
        Prior people, or ``posterior.people()``.
    least : float
        Probability that counts as reached.
    steps : int
        Values tried, evenly on a logarithmic scale for amounts.

    Returns
    -------
    DoseSearch

    Raises
    ------
    InputError
        If there is no range, or the target cannot be read.

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = search_dose("otto_2021_s_ketamine", "5 to 20 mg iv over 30 min", "S-ketamine Cmax 40 to 90 ng/mL",
    ...     kt.Population(50, seed=1, weight=70), steps=3)
    >>> found.table["dose"].to_list()
    ['5 mg iv over 30 min', '10 mg iv over 30 min', '20 mg iv over 30 min']
    """
    import polars as pl

    from kinetamine.simulate import simulate

    wanted = target if isinstance(target, Wanted) else Wanted.parse(target)
    if not 0 < least < 1:
        raise InputError("least", f"{least:g}", "a probability between 0 and 1", "0.8")
    if not 2 <= steps <= 200:
        raise InputError("steps", str(steps), "2 to 200 values", "15")
    gap = ranges.read(doses)
    if gap.before_h or (gap.amount and gap.every):
        raise InputError("doses", repr(doses), "one range, of amounts or of intervals", "28 to 84 mg nasal")
    values = _values(gap, steps)
    how: dict[str, Any] = {"until": until} if until is not None else {}
    rows = []
    for value in values:
        phrase = gap.phrase(value) if gap.amount else gap.phrase(every=value)
        if wanted.at_h is not None:
            how = {"times": np.array([wanted.at_h])}
        measured = wanted.measure(simulate(model, phrase, population, **how))
        measured = measured[np.isfinite(measured)]
        if not len(measured):
            raise NoData("search", "no patient who could be computed", "results", "another range")
        p = float(((measured >= wanted.low) & (measured <= wanted.high)).mean())
        error = 1.96 * float(np.sqrt(max(p * (1 - p), 0.25 / len(measured)) / len(measured)))
        rows.append((float(value), phrase, p, max(0.0, p - error), min(1.0, p + error)))
    table = pl.DataFrame(rows, schema=["value", "dose", "probability", "low", "high"], orient="row")
    top = int(table["probability"].arg_max() or 0)
    return DoseSearch(table, wanted, least, str(table["dose"][top]), bool(table["probability"][top] >= least))


def _values(gap: ranges.Ranges, steps: int) -> list[float]:
    if gap.amount:
        low, high, _ = gap.amount
        return [float(f"{v:.4g}") for v in np.geomspace(low, high, steps)]
    assert gap.every is not None
    low, high, _ = gap.every
    return [float(f"{v:.4g}") for v in np.linspace(low, high, steps)]
