"""What the fit of the course model found, as `validation/course/fit.py` wrote it down, and how trials count."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from kinetamine.errors import Fault
from kinetamine.records import Record, Seen, read_csv, read_toml

__all__ = ["Account", "Posterior", "Predicted", "account", "predicted", "rules"]


class Posterior(Record):
    """Prior and posterior of one parameter: median, 5 and 95 %; `ratio` of their SDs on the scale of the prior."""

    prior: tuple[float, float, float]
    posterior: tuple[float, float, float]
    ratio: float = Field(gt=0)
    rhat: float
    ess: float


class Account(Record):
    """How well it sampled, what the data told, and what a change of the priors would do."""

    format: Literal[1]
    model: str
    rows: int
    chains: int
    draws: int
    divergences: int
    rhat_max: float
    ess_min: float
    steps: float
    seconds: float
    fold_divergences: int
    folds: tuple[tuple[str, ...], ...]
    parameters: dict[str, Posterior]
    sensitivity: dict[str, dict[str, float]]

    def as_prior(self, name: str) -> bool:
        """Whether the data say next to nothing about a parameter."""
        return self.parameters[name].ratio > 0.9


class Predicted(Record):
    """One fitted row: shares in percent, scores in points.

    `low` and `high` are the published 95 % interval; `moment` the expectation at the medians of the posterior in the
    average trial; `fitted` that of the posterior with the trial's own effects; `new_trial` in a new one. `predicted`
    and its intervals come from the fold refitted without the trial. `attainable`: how often a published interval of
    this size would hold the prediction, were the model true. `rank`: of the published value among those predicted.
    """

    id: str
    design: str
    fold: int
    low: float
    high: float
    moment: float
    fitted: float
    new_trial: float
    predicted: float
    low95: float
    low80: float
    high80: float
    high95: float
    attainable: float = Field(ge=0, le=1)
    rank: float = Field(ge=0, le=1)


class _Response(Record):
    improvement: float
    source: str
    seen: Seen


class _Remission(Record):
    score: float
    source: str
    seen: Seen


class _AfterResponse(Record):
    improvement: float
    visits: int
    every_d: float
    follow_d: float
    source: str
    seen: Seen
    note: str = ""


class _Pick(Record):
    days_before: tuple[float, ...]
    source: str
    seen: Seen
    note: str = ""


class _AfterPick(Record):
    score: float
    visits: int
    every_d: float
    follow_d: float
    source: str
    seen: Seen
    note: str = ""


class Rules(Record):
    """How a trial counts a response, a remission and a relapse, where its own row says nothing else."""

    format: Literal[1]
    response: _Response
    remission: _Remission
    relapse_after_response: _AfterResponse
    pick: _Pick
    relapse_after_pick: _AfterPick


@functools.cache
def account() -> Account:
    """How the fit went.

    Examples
    --------
    >>> account().model
    'hierarchical'
    """
    found: Account = read_toml("trials/fit.toml", Account, sense=_nonsense)
    return found


def _nonsense(found: Account) -> Iterable[Fault]:
    for name, p in found.parameters.items():
        if not p.posterior[1] <= p.posterior[0] <= p.posterior[2]:
            yield Fault(f"fit.toml: {name}", str(p.posterior), "median, 5 and 95 %")


@functools.cache
def predicted() -> dict[str, Predicted]:
    """Every fitted row by the id of its outcome."""
    rows: tuple[Predicted, ...] = read_csv("trials/predictions.csv", Predicted)
    return {row.id: row for row in rows}


@functools.cache
def rules() -> Rules:
    """The rules of trials.

    Examples
    --------
    >>> rules().relapse_after_pick.score
    22.0
    """
    found: Rules = read_toml("trials/rules.toml", Rules)
    return found
