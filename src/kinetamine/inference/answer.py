"""What a question about a person's values is answered with, for every face the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kinetamine import units
from kinetamine.errors import InputError
from kinetamine.inference.course import CoursePosterior
from kinetamine.inference.person import Posterior

__all__ = ["Answer", "answer"]


@dataclass(frozen=True)
class Answer:
    """What was found, and what was asked of it.

    Parameters
    ----------
    found : Posterior, TracedBack, CoursePosterior, or dict of subject to Posterior
    search : DoseSearch, optional
    forecast : Result or Mixture, optional
    until_d : float, d, optional
        Last day of a course's forecast.
    boosters : Boosters, optional
    """

    found: Any
    search: Any = None
    forecast: Any = None
    until_d: float | None = None
    boosters: Any = None

    def to_dict(self, people: int = 0) -> dict[str, Any]:
        """Plain values, for JSON.

        Parameters
        ----------
        people : int
            Draws under ``people``, for ``--people`` of other commands; of levels after known doses alone.

        Raises
        ------
        InputError
            If draws are asked of something else.
        """
        from kinetamine.results.export import plain

        if people and not isinstance(self.found, Posterior | dict):
            raise InputError(
                "people", str(people), "levels after known doses: nobody else is drawn", "leaving it out"
            )

        if isinstance(self.found, dict):
            return {name: plain(one.to_dict(people)) for name, one in self.found.items()}
        if isinstance(self.found, CoursePosterior):
            more = {} if self.boosters is None else {"boosters": self.boosters.to_dict()}
            course: dict[str, Any] = plain({**self.found.to_dict(self.until_d), **more})
            return course
        facts = self.found.to_dict(people) if isinstance(self.found, Posterior) else self.found.to_dict()
        if self.search is not None:
            doses = self.search
            facts["search"] = {
                "doses": doses.table.to_dicts(), "best": doses.best, "reached": doses.reached, "least": doses.least,
            }  # fmt: skip
        if self.forecast is not None:
            facts["forecast"] = _bands(self.forecast)
        found: dict[str, Any] = plain(facts)
        return found


def answer(
    found: Any, *, forecast: str | None = None, until: Any = None, search: str | None = None,
    target: str | None = None, least: float = 0.8, booster: Sequence[float] | None = None, most: float = 0.2,
) -> Answer:  # fmt: skip
    """Ask a posterior for a forecast and for the dose that reaches a target.

    Parameters
    ----------
    found : Posterior, TracedBack, CoursePosterior, or dict of subject to Posterior
        As `kinetamine.posterior` gives it.
    forecast : str, optional
        Doses whose curve is wanted; ``same``: those that were given.
    until : time, optional
        Last time of the forecast.
    search, target : str, optional
        A range of doses to try, and what they should reach.
    least : float
        Probability that counts as reached.
    booster : sequence of float, d, optional
        Days after the last score on which one more session is tried; of a course.
    most : float
        Probability of a relapse that is accepted before it.

    Raises
    ------
    InputError
        If one is asked without the other it needs, or of something else than one person whose doses are known.

    Examples
    --------
    >>> import kinetamine as kt
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"])
    >>> list(answer(post, forecast="same", until="2 h").to_dict()["forecast"])
    ['time_h', 'quantiles']
    """
    scores = isinstance(found, CoursePosterior) or None
    needs = (
        ("target", target, search, "the doses to try too", "search='28 to 84 mg nasal'"),
        ("search", search, target, "a target too", "target='S-ketamine Cmax 40 to 90 ng/mL'"),
        ("until", until, forecast or scores, "the doses to forecast too", "forecast='same'"),
    )
    for name, value, other, expected, cure in needs:
        if value is not None and other is None:
            raise InputError(name, repr(value), expected, cure)
    if booster is not None and not scores:
        raise InputError("booster", repr(booster), "scores and a course model", "model hierarchical")
    if isinstance(found, CoursePosterior):
        for name, value in (("forecast", forecast), ("search", search)):
            if value is not None:
                raise InputError(name, repr(value), "levels; scores are always forecast", "booster")
        until_d = None if until is None else units.read(until, "h", "until") / 24
        found.forecast(until_d)  # refused before anything is shown
        return Answer(
            found, until_d=until_d, boosters=None if booster is None else found.boosters(booster, most)
        )
    if not isinstance(found, Posterior):
        for name, value in (("forecast", forecast), ("search", search)):
            if value is not None:
                raise InputError(name, repr(value), "one person whose doses are known", "leaving it out")
        return Answer(found)
    tried = found.search(search, target, least) if search is not None and target is not None else None
    curves = None
    if forecast is not None:
        how = {} if until is None else {"until": until}
        curves = found.forecast(None if forecast == "same" else forecast, **how)
    return Answer(found, tried, curves)


def _bands(curves: Any) -> dict[str, Any]:
    """Quantiles of a forecast over time."""
    names = curves.analytes() if hasattr(curves, "analytes") else tuple(curves.outputs)
    return {
        "time_h": [float(t) for t in curves.time_h],
        "quantiles": {
            name: {f"{q:g}": [float(v) for v in values] for q, values in curves.quantiles(name).items()}
            for name in names
        },
    }
