"""Virtual trials: how often would a trial of this size find the difference the model expects?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.course.model import CAVEAT
from kinetamine.course.plan import Plan, whole
from kinetamine.course.result import times_to
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TrialResult", "trial"]

_ENDPOINTS = ("response", "remission", "change", "relapse")
_ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class TrialResult:
    """Power and expected difference of each arm against the last one. A model of groups, not for a person.

    `comparisons` has one row per arm but the last: ``difference`` (expected, with its Monte Carlo error
    ``mc_se``), ``low`` and ``high`` (where 95 % of such trials come out), ``power`` with ``power_se``, and
    ``assurance``: power averaged over the uncertainty of the parameters, with ``uncertain_low`` and
    ``uncertain_high``, the 5-95 % range of the expected difference. Of relapse also ``hazard_ratio`` with
    ``hazard_ratio_low`` and ``hazard_ratio_high``, where 95 % of such trials come out.
    """

    comparisons: tuple[dict[str, Any], ...]
    means: dict[str, float]
    endpoint: str
    day: float
    n: int
    replicates: int
    seed: int
    notes: tuple[str, ...]
    caveat: str = CAVEAT

    def to_polars(self) -> pl.DataFrame:
        """The comparisons as a table."""
        import polars as pl

        return pl.DataFrame(list(self.comparisons))


def trial(
    arms: Mapping[str, Any],
    n: int,
    endpoint: str = "response",
    replicates: int = 1000,
    *,
    day: float = 28,
    seed: int = 0,
    uncertainty: int = 60,
    **options: Any,
) -> TrialResult:
    """Simulate a parallel-group trial many times.

    Parameters
    ----------
    arms : dict
        Name → regimen as for `course` (None: placebo), or a dict of `course`'s arguments with ``regimen``.
        Each arm but the last is compared with the last.
    n : int
        Patients per arm.
    endpoint : str
        ``"response"``, ``"remission"`` or ``"change"`` (points of MADRS gained) at `day`; of those who left,
        at their last score. ``"relapse"``: the share relapsed by `day` of those whose clock has started, by
        `course`'s ``relapse`` rule, such as one that starts after the week at which a trial picks whom it
        goes on with; who leaves is censored for the test and counts as free in the share.
    replicates : int
        Trials simulated.
    day : float
    seed : int
    uncertainty : int
        Draws of uncertain parameters for the assurance; 0 leaves it out.
    **options
        Arguments of `course` for all arms: model, rules, baseline, setting, switches, response, remission,
        relapse, visits, pk.

    Returns
    -------
    TrialResult
        Tests are at 5 %, two-sided: Welch's t test, on 0 and 1 for shares; the log-rank test for relapse,
        whose hazard ratio is Peto's.

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.trial({"ketamine": "0.5 mg/kg iv over 40 min", "placebo": None}, n=40, day=1, replicates=200)
    >>> 0 < found.comparisons[0]["power"] <= 1
    True

    Stop or go on, in those who are well after twelve weeks:

    >>> on = "84 mg nasal, twice weekly for 4 weeks; 84 mg nasal every 7 d x {} at 28 d"
    >>> found = kt.trial(
    ...     {"go on": on.format(20), "stop": on.format(8)}, n=100, endpoint="relapse", day=168, replicates=50,
    ...     relapse="relapse when MADRS >= 22 at 2 visits in a row after week 12", uncertainty=0,
    ... )
    >>> found.comparisons[0]["hazard_ratio"] < 1
    True
    """
    if not isinstance(arms, Mapping) or len(arms) < 2:
        raise InputError(
            "arms", repr(arms)[:60], "at least two named arms", "{'drug': '84 mg nasal', 'placebo': None}"
        )
    if endpoint not in _ENDPOINTS:
        raise UnknownName("endpoint", endpoint, _ENDPOINTS, "an endpoint")
    n, replicates = whole("n", n, 2, 1_000_000), whole("replicates", replicates, 2, 1_000_000)
    whole("uncertainty", uncertainty, 0, 10_000)
    plans = {name: _plan(arm, day, options) for name, arm in arms.items()}

    def outcomes(name: str, values: Mapping[str, float], trials: int, lane: int) -> _Outcomes:
        """`lane` keeps the patients of different arms and draws apart."""
        plan = plans[name]
        arrays = plan.run(values, n * trials, seed, first=lane * n * replicates)
        if endpoint == "relapse":
            # nobody outside the clock is at risk or counts
            time, relapsed = np.full(n * trials, -1.0), np.full(n * trials, np.nan)
            begun = np.isfinite(arrays["relapse_start_d"])
            time[begun], relapsed[begun] = times_to(arrays, "relapse")
            return _Outcomes(relapsed.reshape(trials, n), time.reshape(trials, n))
        gained = arrays["baseline"] - arrays["last_score"]
        if endpoint == "response":
            gained = gained >= plan.response * arrays["baseline"]
        elif endpoint == "remission":
            gained = arrays["last_score"] <= plan.remission
        return _Outcomes(gained.reshape(trials, n).astype(float))

    names = list(arms)
    drawn = {name: plan.draws(uncertainty, seed) for name, plan in plans.items()}
    few = max(2, min(replicates, 2000 // n))
    found = {name: outcomes(name, plans[name].values, replicates, k) for k, name in enumerate(names)}
    # the same draw for all arms: the unknown is the same in both groups of a trial
    unsure = {name: [outcomes(name, v, few, k) for v in drawn[name]] for k, name in enumerate(names)}
    rows = []
    for name in names[:-1]:
        mine, theirs = found[name], found[names[-1]]
        gaps = mine.means() - theirs.means()
        gaps = gaps[np.isfinite(gaps)]
        if not gaps.size:
            raise InputError(
                "endpoint", f"{endpoint}: nobody at risk by day {day:g}", "a relapse rule whose clock starts"
            )
        power = float(np.mean(mine.differs(theirs)))
        row = {
            "arm": name,
            "control": names[-1],
            "difference": float(gaps.mean()),
            "mc_se": float(gaps.std(ddof=1) / np.sqrt(gaps.size)) if gaps.size > 1 else math.nan,
            "low": float(np.quantile(gaps, 0.025)),
            "high": float(np.quantile(gaps, 0.975)),
            "power": power,
            "power_se": float(np.sqrt(power * (1 - power) / replicates)),
        }
        if mine.time is not None:
            ratios = np.exp(np.quantile(mine.log_rank(theirs)[0], [0.5, 0.025, 0.975]))
            names_of = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")
            row |= {key: float(ratio) for key, ratio in zip(names_of, ratios, strict=True)}
        pairs = list(zip(unsure[name], unsure[names[-1]], strict=True))
        if pairs:
            expected = [float(np.nanmean(a.value) - np.nanmean(b.value)) for a, b in pairs]
            row["assurance"] = float(np.mean([a.differs(b).mean() for a, b in pairs]))
            row["uncertain_low"], row["uncertain_high"] = (
                float(q) for q in np.quantile(expected, [0.05, 0.95])
            )
        rows.append(row)
    notes = dict.fromkeys(note for plan in plans.values() for note in plan.notes)
    means = {name: float(np.nanmean(one.value)) for name, one in found.items()}
    return TrialResult(tuple(rows), means, endpoint, day, n, replicates, seed, tuple(notes))


def _plan(arm: Any, day: float, options: Mapping[str, Any]) -> Plan:
    given = dict(arm) if isinstance(arm, Mapping) else {"regimen": arm}
    if "regimen" not in given:
        raise InputError("arms", repr(arm)[:60], "a regimen", "{'regimen': '84 mg nasal', 'rules': […]}")
    asked = {**options, **given}
    return Plan(asked.pop("regimen"), day / 7, **asked)


@dataclass(frozen=True, eq=False)
class _Outcomes:
    """Of one arm in many trials, arrays (trial, patient): a number each; of relapse also the days to it.

    Who is not at risk has nan and a negative time.
    """

    value: np.ndarray
    time: np.ndarray | None = None

    def means(self) -> np.ndarray:
        """Of each trial; nan without anybody at risk."""
        counted = np.isfinite(self.value)
        total = np.where(counted, self.value, 0.0).sum(axis=1)
        with np.errstate(invalid="ignore"):
            mean: np.ndarray = total / counted.sum(axis=1)
        return mean

    def differs(self, other: _Outcomes) -> np.ndarray:
        """Whether each trial finds a difference."""
        from scipy.stats import norm
        from scipy.stats import t as student

        if self.time is not None:
            p = 2 * norm.sf(np.abs(self.log_rank(other)[1]))
        else:
            a, b, n = self.value, other.value, self.value.shape[1]
            va, vb = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / n
            gap, error = np.abs(a.mean(axis=1) - b.mean(axis=1)), np.sqrt(va + vb)
            with np.errstate(divide="ignore", invalid="ignore"):
                freedom = (va + vb) ** 2 / ((va**2 + vb**2) / (n - 1))
                p = 2 * student.sf(gap / error, freedom)
        # no spread in either group: nothing to test against
        found: np.ndarray = np.where(np.isnan(p), 1.0, p) < _ALPHA
        return found

    def log_rank(self, other: _Outcomes) -> tuple[np.ndarray, np.ndarray]:
        """Peto's log hazard ratio of each trial against another arm, and the z of the log-rank test."""
        assert self.time is not None and other.time is not None
        time = np.concatenate([self.time, other.time], axis=1)
        happened = np.nan_to_num(np.concatenate([self.value, other.value], axis=1))
        mine = np.concatenate([np.ones(self.time.shape), np.zeros(other.time.shape)], axis=1)
        order = np.argsort(-time, axis=1, kind="stable")
        time, happened, mine = (np.take_along_axis(x, order, axis=1) for x in (time, happened, mine))
        # at risk: whoever has a time at least as long, so of equal times the last place counts
        place = np.arange(time.shape[1])
        last = np.append(time[:, :-1] != time[:, 1:], np.ones((len(time), 1), bool), axis=1)
        ends = np.minimum.accumulate(np.where(last, place, place[-1])[:, ::-1], axis=1)[:, ::-1]
        risk = ends + 1
        share = np.take_along_axis(np.cumsum(mine, axis=1), ends, axis=1) / risk
        # events of the same time: all of them up to its last place, less those before its first
        events = np.cumsum(happened, axis=1)
        first = np.maximum.accumulate(np.where(np.roll(last, 1, axis=1), place, 0), axis=1)
        tied = np.take_along_axis(events, ends, axis=1) - np.take_along_axis(events - happened, first, axis=1)
        excess = (happened * (mine - share)).sum(axis=1)
        variance = (happened * share * (1 - share) * (risk - tied) / np.maximum(risk - 1, 1)).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.nan_to_num(excess / variance), excess / np.sqrt(variance)
