"""The course of one person's use for teaching: what is known of groups at each time, each part with its grade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kinetamine.errors import InputError, NoData
from kinetamine.safety.misuse import computed
from kinetamine.safety.misuse.models import load
from kinetamine.safety.misuse.shares import Number

__all__ = ["Moment", "Timeline", "timeline"]

#: months of use and months after the end at which the line is read
_YEARS = (12.0, 24.0, 48.0)
_AFTER = (1.0, 3.0, 12.0, 36.0)
_DAYS_A_MONTH = 30.44


@dataclass(frozen=True)
class Moment:
    """One time and what is known of groups then; `months` since first use."""

    months: float
    what: str
    numbers: tuple[Number, ...]


@dataclass(frozen=True)
class Timeline:
    """Moments in order, and what is not to be read into them."""

    moments: tuple[Moment, ...]
    warns: tuple[str, ...]
    refused: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        from dataclasses import asdict

        return {
            "moments": [asdict(m) for m in self.moments],
            "warns": list(self.warns),
            "refused": list(self.refused),
        }

    @property
    def rows(self) -> tuple[str, ...]:
        """All rows that numbers come from, each once."""
        return tuple(dict.fromkeys(r for m in self.moments for n in m.numbers for r in n.rows))


def timeline(
    months: float, days: float | None = None, sex: str | None = None, stopped: bool = True
) -> Timeline:
    """What published groups say along the use of an invented person, for teaching.

    Parameters
    ----------
    months : float
        From first use to the end of the story, 1 to 240.
    days : float, optional
        Days with use among the last 180.
    sex : {"female", "male"}, optional
    stopped : bool
        Whether the story goes on after the use has stopped.

    Returns
    -------
    Timeline
        Nothing in it is a prediction for a person: shares are those of groups, each with its grade.

    Examples
    --------
    >>> story = timeline(24, days=60, sex="female")
    >>> [round(m.months) for m in story.moments]
    [0, 12, 24, 24, 25, 27, 36, 60]
    """
    if isinstance(months, bool) or not isinstance(months, (int, float)) or not 1 <= months <= 240:
        raise InputError("months", repr(months), "months of use, 1 to 240")
    refused: list[str] = []
    moments = [Moment(0.0, "first use", tuple(_first()))]
    for t in sorted({*(y for y in _YEARS if y <= months), float(months)}):
        moments.append(Moment(t, "use goes on", tuple(computed.onset([t]).numbers)))
    moments[-1] = Moment(float(months), "use goes on", tuple(_by_the_end(months, days, sex, refused)))
    if stopped:
        moments.append(Moment(float(months), "use stops", tuple(computed.withdrawal().numbers[:4])))
        for t in _AFTER:
            moments.append(Moment(months + t, f"{t:g} months after stopping", tuple(_after(t, refused))))
    warns = (
        "An invented person: each number is a share of a group that was studied, not a forecast of anybody.",
        *load().bladder.warns,
        *load().relapse.warns,
    )
    return Timeline(tuple(moments), warns, tuple(dict.fromkeys(refused)))


def _first() -> list[Number]:
    ladder = computed.dependence()
    return [n for n in ladder.numbers if n.n is not None and n.people.startswith(("past-year", "medical"))]


def _by_the_end(months: float, days: float | None, sex: str | None, refused: list[str]) -> list[Number]:
    asked = computed.bladder(days=days, months=months, sex=sex)
    refused += asked.refused
    numbers = list(asked.numbers)
    for group, one in load().escalation.group.items():
        try:
            numbers += computed.escalation(months, group).numbers
        except NoData:
            refused.append(
                f"dose a session of {one.people} after {months:g} months: published to {one.months:g}"
            )
    return numbers


def _after(months: float, refused: list[str]) -> list[Number]:
    numbers: list[Number] = []
    if months * _DAYS_A_MONTH <= load().urine.longest_days:
        numbers += computed.urine([round(months * _DAYS_A_MONTH)]).numbers
    if months <= 3:
        numbers += [n for n in computed.relapse().numbers if "residential" in n.what and months == 3]
    if months >= 12:
        numbers += computed.relapse("offence again, any illicit drug", [months]).numbers
    if months == 12:
        numbers += computed.recovery().numbers
    return numbers
