"""What the course model says about a published outcome: arms simulated once, endpoints read off them.

All arms use the same virtual patients (common random numbers), so a difference between arms or between two
sets of parameters is not blurred by chance.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from kinetamine.evidence.course.observations import SHARES, Design, Outcome, Trials
from kinetamine.records import Record, Seen, read_toml

if TYPE_CHECKING:
    from kinetamine.course.model import CourseModel

__all__ = ["NEVER", "Prediction", "Predictor"]

#: stands for "until the end" where half of an arm never relapses
NEVER = 1000.0


class _Counted(Record):
    source: str
    seen: Seen
    note: str | None = None


class _Response(_Counted):
    improvement: float = Field(gt=0, lt=1)


class _Remission(_Counted):
    score: float = Field(ge=0, le=60)


class _Followed(_Counted):
    improvement: float = Field(default=0.0, ge=0, lt=1)
    score: float = Field(default=0.0, ge=0, le=60)
    visits: int = Field(ge=1)
    every_d: float = Field(gt=0)
    follow_d: float = Field(gt=0)


class _Pick(_Counted):
    days_before: tuple[float, ...] = Field(min_length=1)


class _Rules(Record):
    response: _Response
    remission: _Remission
    relapse_after_response: _Followed
    pick: _Pick
    relapse_after_pick: _Followed


@functools.cache
def _rules() -> _Rules:
    """How a trial counts, where its own row says nothing else."""
    found: _Rules = read_toml("trials/rules.toml", _Rules)
    return found


@dataclass(frozen=True)
class Prediction:
    """Expected value for an endless trial, and the variance of the same trial with n patients an arm.

    `scale` is the one on which the noise is normal: "log" for ratios, else "plain".
    """

    value: float
    sampling_variance: float
    scale: str = "plain"


class Predictor:
    """Predicts outcomes from a set of parameters.

    Parameters
    ----------
    trials : Trials
    model : CourseModel
        Its reference session; its parameters come with each call.
    n, seed : int
        Virtual patients of an arm.

    Examples
    --------
    >>> from kinetamine.course.model import load as load_model
    >>> from kinetamine.evidence.course.observations import load
    >>> model, trials = load_model("one_state"), load()
    >>> outcome = trials.outcome("murrough2013_single-midazolam-mean_score-1")
    >>> [found] = Predictor(trials, model, n=500).predict([outcome], model.values())
    >>> 20 < found.value < 31
    True
    """

    def __init__(
        self,
        trials: Trials,
        model: CourseModel,
        n: int = 2000,
        seed: int = 4,
    ) -> None:
        self.trials, self.model, self.n, self.seed = trials, model, n, seed
        self._exposures: dict[str, tuple[float, float]] = {}

    def predict(self, outcomes: Iterable[Outcome], parameters: Mapping[str, float]) -> list[Prediction]:
        """One prediction for each outcome."""
        outcomes = list(outcomes)
        days: dict[tuple[str, str], set[float]] = {}
        for o in outcomes:
            if not o.measure or o.day is None:
                raise ValueError(f"{o.id} is not usable")
            for arm in (o.treated, o.control):
                if arm is not None:
                    wanted = days.setdefault((o.trial, arm), set())
                    if not o.measure.startswith("relapse"):
                        wanted.update(_days(o))
        arms = {
            key: self._arm(self.trials.designs[key], sorted(wanted), parameters)
            for key, wanted in days.items()
            if wanted
        }
        followed: dict[tuple[str, str], Any] = {}
        found = []
        for o in outcomes:
            keys = [(o.trial, a) for a in (o.treated, o.control) if a is not None]
            if str(o.measure).startswith("relapse"):
                for key in keys:
                    if key not in followed:
                        followed[key] = self._followed(self.trials.designs[key], parameters)
                found.append(_relapse(o, [followed[key] for key in keys]))
            else:
                sizes = [self._size(o, key) for key in keys]
                found.append(_endpoint(o, [arms[key] for key in keys], sizes))
        return found

    def _size(self, o: Outcome, key: tuple[str, str]) -> float:
        if o.control is None and o.n is not None:
            return o.n
        arm = self.trials.arms.get(key)
        return math.inf if arm is None or arm.n is None else arm.n

    def _strengths(self, doses: Sequence[str], parameters: Mapping[str, float]) -> np.ndarray:
        """Strength of each session."""
        from kinetamine.course import strength

        reference = self.model.reference
        for phrase in set(doses) - set(self._exposures):
            one = strength.sessions(phrase, reference.dose, reference.weight_kg)
            self._exposures[phrase] = float(one.s[0]), float(one.r[0])
        s, r = np.array([self._exposures[phrase] for phrase in doses]).T
        return strength.strength(s, r, parameters)

    def _run(
        self, design: Design, parameters: Mapping[str, float], visits: Any, **more: Any
    ) -> dict[str, Any]:
        from kinetamine.course.kernel import simulate_arm

        own = {**parameters, **design.switches}
        sessions = np.asarray(design.session_days) * 24.0
        strengths = self._strengths(design.doses, own) if design.doses else np.zeros(len(sessions))
        rules = _rules()
        options = {
            "response": rules.response.improvement,
            "remission": rules.remission.score,
        } | more
        # the mean of a trial is known far better than one patient's score: no clipping of the low and high
        baseline = (design.madrs_mean, design.madrs_sd, 5.0, 55.0)
        return simulate_arm(
            own, sessions, np.asarray(strengths, float), self.n, self.seed, np.asarray(visits, float), baseline,
            placebo_only=not design.doses, threads=1, **options,
        )  # fmt: skip

    def _arm(self, design: Design, days: Sequence[float], parameters: Mapping[str, float]) -> dict[str, Any]:
        arm = self._run(design, parameters, days)
        arm["at"] = {day: k for k, day in enumerate(days)}
        return arm

    def _followed(self, design: Design, parameters: Mapping[str, float]) -> dict[str, Any]:
        """Time to relapse of those whom the trial went on with."""
        last = design.session_days[-1]
        start = design.pick_day if design.pick_day is not None else last + 1
        rules = _rules()
        how = rules.relapse_after_pick if design.pick else rules.relapse_after_response
        gap = how.every_d
        visits = np.concatenate([[start], start + np.arange(gap, how.follow_d + gap, gap)])
        if design.pick is None:
            rule = [1, 2, 3, how.improvement, how.visits, 2, start]
            arm = self._run(design, parameters, visits, relapse=np.array(rule, float))
            relapse, origin = arm["relapse_d"][np.isfinite(arm["relapse_start_d"])], last
        else:
            before = start - np.array(rules.pick.days_before, float)
            rule = [1, 1, 0, how.score, how.visits, 2, start]
            # the clock starts for everybody; then those are picked whom the trial would have picked
            arm = self._run(
                design, parameters, np.concatenate([before, visits]),
                relapse=np.array(rule, float), response=-math.inf, keep_scores=True,
            )  # fmt: skip
            relapse, origin = arm["relapse_d"][_picked(design.pick, arm, before.size)], start
        return {"time": np.where(np.isfinite(relapse), relapse - origin, NEVER)}


def _picked(pick: str, arm: Mapping[str, Any], weeks: int) -> np.ndarray:
    """Who is stable in the last four weeks: `weeks` scores before that of the last day, the oldest first."""
    rules = _rules()
    scores = arm["scores"][:, : weeks + 1]
    well = scores <= rules.remission.score
    remission: np.ndarray = well[:, -2:].all(axis=1) & well[:, :-2].any(axis=1)
    if pick == "stable remission":
        return remission
    better = scores[:, -2:] <= (1 - rules.response.improvement) * arm["baseline"][:, None]
    response: np.ndarray = better.all(axis=1) & ~remission
    return response


def _days(o: Outcome) -> tuple[float, ...]:
    day = float(o.day or 0)
    if o.measure in ("sustained_response", "late_response"):
        return (1.0, day)
    return (day,)


def _cut(arm: Mapping[str, Any], k: int, cutoff: float) -> float:
    counts = arm["histogram"][k]
    return float(counts[: round(cutoff * counts.size / 60)].sum() / counts.sum())


def _share(o: Outcome, arm: Mapping[str, Any]) -> float:
    k = arm["at"][o.day]
    what = str(o.measure).split("_")[0]
    if what == "remission":
        return _cut(arm, k, float(o.cutoff or _rules().remission.score))
    if what in ("sustained", "late"):
        first = arm["response_d"]
        early, late = arm["response"][arm["at"][1.0]], arm["response"][k]
        new = float(np.mean(first == o.day))
        return late - new if what == "sustained" else new / (1 - early)
    return float(arm["response"][k])


def _endpoint(o: Outcome, arms: Sequence[Mapping[str, Any]], sizes: Sequence[float]) -> Prediction:
    if o.measure in SHARES:
        p = _share(o, arms[0])
        return Prediction(100 * p, 1e4 * p * (1 - p) / sizes[0])
    k = [arm["at"][o.day] for arm in arms]
    if o.measure == "mean":
        return Prediction(float(arms[0]["mean"][k[0]]), float(arms[0]["sd"][k[0]] ** 2) / sizes[0])
    change = [float(arm["mean_change"][i]) for arm, i in zip(arms, k, strict=True)]
    variance = [float(arm["sd_change"][i] ** 2) for arm, i in zip(arms, k, strict=True)]
    if o.measure == "change":
        return Prediction(-change[0], variance[0] / sizes[0])
    if o.measure == "difference":
        return Prediction(change[1] - change[0], sum(v / n for v, n in zip(variance, sizes, strict=True)))
    if o.measure == "effect_size":
        size = (change[0] - change[1]) / math.sqrt((variance[0] + variance[1]) / 2)
        sign = math.copysign(1.0, o.value)  # some print a gain as negative
        return Prediction(sign * size, sum(1 / n for n in sizes))
    shares = [min(max(_share(o, arm), 1e-3), 1 - 1e-3) for arm in arms]
    if str(o.measure).endswith("difference"):
        return Prediction(
            100 * (shares[0] - shares[1]),
            1e4 * sum(q * (1 - q) / n for q, n in zip(shares, sizes, strict=True)),
        )
    if str(o.measure).endswith("odds_ratio"):
        value = shares[0] / (1 - shares[0]) / (shares[1] / (1 - shares[1]))
        return Prediction(
            value, sum(1 / (q * (1 - q) * n) for q, n in zip(shares, sizes, strict=True)), "log"
        )
    return Prediction(
        shares[0] / shares[1], sum((1 - q) / (q * n) for q, n in zip(shares, sizes, strict=True)), "log"
    )


def _relapse(o: Outcome, arms: Sequence[Mapping[str, Any]]) -> Prediction:
    time, end = arms[0]["time"], float(o.day or 0)
    n = float(o.n or math.inf)
    if o.measure in ("relapse", "relapse_free"):
        p = float(np.mean(time <= end))
        return Prediction(100 * (p if o.measure == "relapse" else 1 - p), 1e4 * p * (1 - p) / n)
    if o.measure == "relapse_hazard_ratio":
        hazard = [-math.log(max(float(np.mean(arm["time"] > end)), 1e-3)) for arm in arms]
        return Prediction(hazard[0] / max(hazard[1], 1e-3), 0.0, "log")
    if o.measure == "relapse_median":
        median = float(np.quantile(time, 0.5))
        # a quarter of the middle half: the usual large-sample error of a median is about 1.25 sd / sqrt(n)
        spread = (float(np.quantile(time, 0.75)) - float(np.quantile(time, 0.25))) / 1.35
        return Prediction(median, (1.25 * spread) ** 2 / n)
    known = np.minimum(time, end) if o.measure == "relapse_restricted_mean" else time[time <= end]
    return Prediction(float(known.mean()), float(known.var()) / n)
