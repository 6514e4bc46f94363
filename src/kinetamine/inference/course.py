"""One patient's scores so far, and what they say of the weeks to come, under a course model.

What does not change in a patient (his response to the drug, the level he moves to, how fast an effect goes, the trial
he might be in, the parameters of the model) is drawn from the prior and weighed; the wander of his illness, an
Ornstein-Uhlenbeck process, and the rater's error are Gaussian on the logit scale and are integrated exactly (Kalman
1960). So a weight is the probability of his scores given everything that stays, and few weights are wasted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.inference import pareto
from kinetamine.inference.scores import NEAREST, Seen, oddness, read, weigh
from kinetamine.observations import Observations
from kinetamine.population import Patient

__all__ = ["CourseLearned", "CoursePosterior", "is_course", "posterior"]

#: sets of parameters, patients weighed, the most of them, and the effective draws that are enough
SETS, PATIENTS, MOST_PATIENTS, ENOUGH = 400, 40_000, 320_000, 400
#: draws that are followed on
FOLLOWED = 4000
#: days that are looked ahead, unless told otherwise
AHEAD_D = 28.0
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def is_course(models: Sequence[Any]) -> bool:
    """Whether models are course models: ids of them, files of that kind, or read ones."""
    from kinetamine.course import model as course_models

    known = course_models.available()
    return any(
        isinstance(one, course_models.CourseModel) or (isinstance(one, str) and one in known)
        for one in models
    )


@dataclass(frozen=True)
class CourseLearned:
    """What one course model learned of a patient.

    Parameters
    ----------
    plan : Plan
        Sessions and visits; rules have no part in it.
    days : array (visit,), d
    means : array (patient, visit)
        Logit scores without wander and rater.
    baseline, drug : array (patient,)
        Score of day 0, and effect of the drug.
    sets : list of dict
        Sets of parameters; patient number i has set i modulo their number.
    n : int
        Patients weighed.
    weights : array (patient,)
    k, log_evidence, predictive_p : float
    note : str
        Why the answer is uncertain, or nothing.
    seed : int
    """

    plan: Any
    days: np.ndarray
    means: np.ndarray
    baseline: np.ndarray
    drug: np.ndarray
    sets: list[dict[str, float]]
    n: int
    weights: np.ndarray
    k: float
    log_evidence: float
    predictive_p: float
    note: str
    seed: int

    @property
    def effective(self) -> float:
        """Effective number of draws."""
        return pareto.effective(self.weights)

    def of_sets(self, name: str, who: np.ndarray) -> np.ndarray:
        """A parameter of each of these patients."""
        return _of_sets(self.sets, name, who)


def _of_sets(sets: Sequence[Mapping[str, float]], name: str, who: np.ndarray) -> np.ndarray:
    """A parameter of each of these patients: number i has set i modulo their number."""
    return np.array([one[name] for one in sets])[who % len(sets)]


def _noise(sets: Sequence[Mapping[str, float]], n: int) -> dict[str, np.ndarray]:
    """What makes scores of `n` patients wander, arrays (patient,)."""
    return {name: _of_sets(sets, name, np.arange(n)) for name in ("omega_wander", "tau_wander", "residual")}


def _means(plan: Any, sets: list[dict[str, float]], n: int, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Logit scores without wander and rater, array (patient, visit), and what the kernel says of the patients."""
    still = [{**one, "omega_wander": 0.0, "residual": 0.0} for one in sets]
    arrays = plan.run(still, n, seed, keep_scores=True)
    most = sets[0]["score_max"]
    scores = np.clip(arrays["scores"], 1e-9, most - 1e-9)
    return np.log(scores / (most - scores)), arrays


# ---- the posterior


class CoursePosterior:
    """What a patient's scores say, under one course model or several weighed by their evidence.

    Made by `kinetamine.posterior` for a course model.

    Parameters
    ----------
    learned : list of CourseLearned
    seen : Seen
    observations : Observations
    regimen : list
        As it was given.
    how : dict
        Options of `kinetamine.course.plan.Plan`.
    seed : int
    """

    def __init__(
        self, learned: list[CourseLearned], seen: Seen, observations: Observations, regimen: Any, how: dict[str, Any],
        seed: int,
    ) -> None:  # fmt: skip
        self.learned, self.seen, self.observations = learned, seen, observations
        self.regimen, self.how, self.seed = regimen, how, seed
        self._paths: dict[Any, Any] = {}

    @property
    def weights(self) -> dict[str, float]:
        """Probability of each model."""
        log = np.array([one.log_evidence for one in self.learned])
        names = [one.plan.model.id for one in self.learned]
        return dict(zip(names, pareto.normalised(log).tolist(), strict=True))

    @property
    def best(self) -> CourseLearned:
        """The model with the highest weight."""
        return max(self.learned, key=lambda one: one.log_evidence)

    @property
    def grade(self) -> str:
        """``uncertain`` where the scores do not fit or draws are too few; else ``extrapolated``: from groups to one."""
        odd = any(one.note or one.predictive_p < 0.01 for one in self.learned)
        return "uncertain" if odd else "extrapolated"

    @property
    def remarks(self) -> list[str]:
        """What a reader must know."""
        from kinetamine.inference.person import DISCLAIMER

        best, found = self.best, []
        if best.predictive_p < 0.01:
            found.append(
                f"scores as odd as these have a probability of {100 * best.predictive_p:.2g} % under this model and "
                "these sessions; check days, scale and doses"
            )
        if self.seen.base is None:
            found.append(
                "no score on day 0: the baseline is that of trials, and improvement counts from there"
            )
        found += [one.note for one in self.learned if one.note]
        if (reached := self.relapsed()) is not None:
            found.append(f"by the rule his own scores are a relapse on day {reached:g}")
        found.append(
            "a model of groups, fitted to published trials; how far single patients follow it was not tested: "
            "extrapolated"
        )
        found += [
            note for note in best.plan.notes if note.startswith(("longer", "boosters", "sessions less"))
        ]
        return [*found, DISCLAIMER]

    # ---- what follows

    def _path(self, extra_d: float | None, until_d: float) -> list[Any]:
        """Of each model: visit days, draws of latent and measured scores, set of each draw, what came of it."""
        key = (extra_d, until_d)
        if key not in self._paths:
            self._paths[key] = [self._simulated(one, extra_d, until_d) for one in self.learned]
        return self._paths[key]

    def _simulated(self, one: CourseLearned, extra_d: float | None, until_d: float) -> dict[str, Any]:
        from kinetamine.course.follow import Followed, follow
        from kinetamine.course.rules import relapse_table

        days = _days(self.seen, until_d)
        if extra_d is None and np.array_equal(days, one.days):
            plan, means = one.plan, one.means
        else:
            plan = _plan(self.regimen, extra_d, one.plan.model, days, until_d, self.how)
            means, _ = _means(plan, one.sets, one.n, self.seed)
        past = np.searchsorted(days, self.seen.day)
        most = one.sets[0]["score_max"]
        own = _noise(one.sets, one.n)
        _, wander = weigh(own, means[:, past[self.seen.day > 0]], self.seen, most)
        rng = np.random.default_rng([self.seed, 31])
        # a place of its own in each stratum: equal steps would meet the same few sets of parameters again and again
        places = (np.arange(FOLLOWED) + rng.random(FOLLOWED)) / FOLLOWED
        at = np.searchsorted(np.cumsum(one.weights), places)
        who = rng.permutation(at.clip(0, one.n - 1))
        omega, tau, residual = (own[name][who] for name in ("omega_wander", "tau_wander", "residual"))
        now = wander.mean[who] + np.sqrt(wander.variance[who]) * rng.standard_normal(FOLLOWED)
        latent, scores = np.full((FOLLOWED, len(days)), np.nan), np.full((FOLLOWED, len(days)), np.nan)
        scores[:, past] = np.clip(self.seen.score, NEAREST, most - NEAREST)
        before = wander.day
        for v in np.flatnonzero(days > self.seen.now_d):
            keep = np.exp(-(days[v] - before) / tau)
            now = now * keep + omega * np.sqrt(1 - keep**2) * rng.standard_normal(FOLLOWED)
            before = days[v]
            latent[:, v] = means[who, v] + now
            x = latent[:, v] + residual * rng.standard_normal(FOLLOWED)
            scores[:, v] = np.clip(most / (1 + np.exp(-x)), 1e-6, most - 1e-6)
        last_d = float(plan.sessions.times_h.max()) / 24 if plan.sessions is not None else 0.0
        base = np.full(FOLLOWED, self.seen.base) if self.seen.base is not None else one.baseline[who]
        found = follow(
            one.sets, who % len(one.sets), Followed(days, latent, scores, base, rng.standard_exponential(FOLLOWED)),
            relapse_table(plan.relapse, last_d), self.seen.now_d, plan.response, plan.remission,
        )  # fmt: skip
        return {"days": days, "scores": scores, "base": base, "found": found, "plan": plan}

    def _pooled(
        self, extra_d: float | None, until_d: float
    ) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
        """Days, arrays of all models together, and the weight of each draw."""
        parts, weights = self._path(extra_d, until_d), list(self.weights.values())
        joined = {
            name: np.concatenate([part[name] for part in parts]) for name in ("scores", "base", "found")
        }
        return parts[0]["days"], joined, np.repeat(np.array(weights) / FOLLOWED, FOLLOWED)

    def forecast(self, until_d: float | None = None, booster_d: float | None = None) -> Any:
        """Scores that a rater would write down from now on, a polars frame with a row for each visit.

        Parameters
        ----------
        until_d : float, d, optional
            Last day; default four weeks after the last score.
        booster_d : float, d, optional
            Day of one more session like the last one.

        Returns
        -------
        polars frame
            ``day, median, p05, p25, p75, p95, response, remission, relapse``: the last is the probability of a
            relapse until that day.
        """
        import polars as pl

        from kinetamine.inference.mixture import weighted_quantiles

        until_d = self._until(until_d, booster_d)
        days, joined, weights = self._pooled(booster_d, until_d)
        plan = self.best.plan
        rows = []
        for v in np.flatnonzero(days > self.seen.now_d):
            rated = np.floor(joined["scores"][:, v] + 0.5)
            low, quarter, middle, upper, high = weighted_quantiles(joined["scores"][:, v], weights, QUANTILES)
            responds = 1 - joined["scores"][:, v] / joined["base"] >= plan.response
            rows.append(
                {
                    "day": float(days[v]), "median": float(middle), "p05": float(low), "p25": float(quarter),
                    "p75": float(upper), "p95": float(high), "response": float(weights[responds].sum()),
                    "remission": float(weights[rated <= plan.remission].sum()),
                    "relapse": self._relapse(joined, weights, float(days[v])),
                }
            )  # fmt: skip
        return pl.DataFrame(rows)

    def relapsed(self) -> float | None:
        """The day on which the patient's own scores are a relapse by the rule, if they are."""
        found = self._path(None, self._until(None, None))[0]["found"][:, 3]
        own = found[found <= self.seen.now_d]
        return float(np.median(own)) if len(own) > len(found) / 2 else None

    def relapse(self, before_d: float, booster_d: float | None = None) -> float:
        """Probability of a relapse from now until a day; nan if his own scores are one already.

        Parameters
        ----------
        before_d : float, d
            The next visit.
        booster_d : float, d, optional
            Day of one more session.
        """
        end = max(before_d, self.seen.now_d + AHEAD_D)
        _, joined, weights = self._pooled(booster_d, self._until(end, booster_d))
        return self._relapse(joined, weights, before_d)

    def _relapse(self, joined: Mapping[str, np.ndarray], weights: np.ndarray, before_d: float) -> float:
        day = joined["found"][:, 3]
        well = ~(day <= self.seen.now_d)
        if not well.any():
            return math.nan
        return float(weights[well & (day <= before_d)].sum() / weights[well].sum())

    def boosters(self, after_d: Sequence[float] = (7, 14, 21, 28), most: float = 0.2) -> Any:
        """One more session like the last, so many days after the last score: what each day would bring.

        Parameters
        ----------
        after_d : sequence of float, d
        most : float
            The rule: the latest day before which a relapse has at most this probability.

        Returns
        -------
        Boosters
        """
        import polars as pl

        if not len(after_d) or not all(0 < day <= 365 for day in after_d):
            raise InputError(
                "booster", repr(list(after_d))[:60], "days from now, above 0, at most 365", "7,14,28"
            )
        if not 0 < most < 1:
            raise InputError("most", f"{most:g}", "a probability between 0 and 1", "0.2")
        now = self.seen.now_d
        end = now + max(after_d) + AHEAD_D
        rows = []
        for after in [None, *sorted(after_d)]:
            day = None if after is None else now + after
            last = self.forecast(end, day).row(-1, named=True)
            _, joined, weights = self._pooled(day, end)
            rows.append(
                {
                    "booster_day": day,
                    "relapse_before": None if day is None else self._relapse(joined, weights, day),
                    "relapse_until_end": last["relapse"],
                    "score_at_end": last["median"], "p05": last["p05"], "p95": last["p95"],
                    "response_at_end": last["response"],
                }
            )  # fmt: skip
        fits = [row["booster_day"] for row in rows[1:] if row["relapse_before"] <= most]
        return Boosters(pl.DataFrame(rows, infer_schema_length=None), most, max(fits) if fits else None, end)

    def _until(self, until_d: float | None, booster_d: float | None) -> float:
        now = self.seen.now_d
        end = now + AHEAD_D if until_d is None else float(until_d)
        if not now < end <= now + 3650:
            raise InputError("until", f"day {end:g}", f"a day after the last score, day {now:g}", "6 weeks")
        if booster_d is not None and not now < booster_d <= end:
            raise InputError(
                "booster", f"day {booster_d:g}", f"a day after {now:g}, until {end:g}", f"{end:g}"
            )
        return end

    # ---- words and files

    def summary(self) -> Any:
        """Prior and posterior of what stays the same in him, a polars frame as of other posteriors."""
        import polars as pl

        from kinetamine.inference.mixture import weighted_quantiles

        rows = []
        for one in self.learned:
            equal = np.full(one.n, 1 / one.n)
            named = {
                "effect of the drug": ("logit", one.drug),
                "half-life of the fast effect": ("d", one.of_sets("half_life_fast", np.arange(one.n))),
                "half-life of the slow effect": ("d", one.of_sets("half_life_slow", np.arange(one.n))),
                "wander": ("logit", one.of_sets("omega_wander", np.arange(one.n))),
            }
            for name, (unit, values) in named.items():
                before, after = (
                    weighted_quantiles(values, w, (0.05, 0.5, 0.95)) for w in (equal, one.weights)
                )
                logs = np.log(np.maximum(values, 1e-12))
                spread = float(one.weights @ (logs - one.weights @ logs) ** 2)
                rows.append(
                    {
                        "model": one.plan.model.id, "parameter": name, "unit": unit, "prior_median": float(before[1]),
                        "prior_low": float(before[0]), "prior_high": float(before[2]), "median": float(after[1]),
                        "low": float(after[0]), "high": float(after[2]),
                        "shrinkage": 1 - spread / max(float(logs.var()), 1e-300),
                    }
                )  # fmt: skip
        return pl.DataFrame(rows)

    def diagnostics(self) -> Any:
        """Method, effective draws, Pareto k, log evidence, weight and fit of the scores, of each model."""
        import polars as pl

        weights = self.weights
        return pl.DataFrame(
            [
                {
                    "model": one.plan.model.id, "method": "prior draws weighed, wander integrated", "draws": one.n,
                    "effective": one.effective, "pareto_k": one.k, "log_evidence": one.log_evidence,
                    "weight": weights[one.plan.model.id], "probability_of_data": one.predictive_p,
                    "grade": self.grade,
                }
                for one in self.learned
            ]
        )  # fmt: skip

    def to_dict(self, until_d: float | None = None) -> dict[str, Any]:
        """Plain values, for JSON."""
        plan = self.best.plan
        return {
            "kind": "course",
            "observations": self.observations.to_dict(),
            "doses": list(plan.phrases),
            "weights": self.weights,
            "grade": self.grade,
            "now_day": self.seen.now_d,
            "relapse_rule": plan.relapse.describe(),
            "relapsed_day": self.relapsed(),
            "summary": self.summary().to_dicts(),
            "diagnostics": self.diagnostics().to_dicts(),
            "forecast": self.forecast(until_d).to_dicts(),
            "remarks": self.remarks,
        }

    def cite(self) -> str:
        """The sources behind the course."""
        from kinetamine.models import library
        from kinetamine.results import references

        return "\n".join(references.text(library.reference(key)) for key in self.best.plan.sources)

    def __repr__(self) -> str:
        return (
            f"<CoursePosterior of {len(self.seen.day)} scores under {', '.join(self.weights)}: "
            f"{self.best.effective:.0f} effective draws, {self.grade}>"
        )


@dataclass(frozen=True)
class Boosters:
    """What one more session would bring, by its day.

    Parameters
    ----------
    table : polars frame
        ``booster_day`` (nothing: none), ``relapse_before`` it, ``relapse_until_end``, score and response at the end.
    most : float
        Probability of a relapse before the session that is accepted.
    best : float or None
        The latest day that keeps to it; None if none does.
    end_d : float, d
    """

    table: Any
    most: float
    best: float | None
    end_d: float

    def words(self) -> str:
        """The rule and its answer in a sentence."""
        rule = f"the latest day before which a relapse has a probability of at most {self.most:.0%}"
        return (
            f"{rule}: day {self.best:g}" if self.best is not None else f"{rule}: none of the days asked about"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "days": self.table.to_dicts(),
            "most": self.most,
            "best_day": self.best,
            "words": self.words(),
        }


def said(p: float) -> str:
    """A probability of relapse for a reader; nan, as `CoursePosterior.relapse` gives it, is a relapse that was.

    Examples
    --------
    >>> said(0.123), said(math.nan)
    ('12%', 'already')
    """
    return "already" if math.isnan(p) else f"{p:.0%}"


# ---- reading and computing


def _days(seen: Seen, until_d: float) -> np.ndarray:
    """Days of visits: his own, then weekly ones."""
    weekly = seen.now_d + np.arange(7.0, until_d - seen.now_d + 1e-9, 7.0)
    later = np.round(np.append(weekly, until_d), 9)
    return np.concatenate([np.unique(np.append(seen.day, 0.0)), np.unique(later)])


def _plan(
    regimen: Any, extra_d: float | None, model: Any, days: np.ndarray, until_d: float, how: Mapping[str, Any]
) -> Any:
    from dataclasses import replace

    from kinetamine.course.plan import Plan

    options = {**how, "model": model, "visits": days}
    weeks = until_d / 7
    if extra_d is None:
        return Plan(regimen, weeks, **options)
    first = Plan(regimen, weeks, **options)
    if first.sessions is None:
        raise InputError("booster", f"day {extra_d:g}", "a course with sessions", "doses that were given")
    again = replace(first._last, time_h=24.0 * extra_d)
    return Plan([*([regimen] if isinstance(regimen, str) else regimen), again], weeks, **options)


def posterior(
    models: Sequence[Any], doses: Any, observations: Observations, patient: Patient, *, seed: int = 0,
    setting: Any = None, relapse: str | None = None,
) -> CoursePosterior:  # fmt: skip
    """What a patient's scores say; see `kinetamine.posterior`.

    Parameters
    ----------
    models : sequence of str, Path or CourseModel
    doses : str, list or Regimen
        Sessions so far, and planned ones; ``"usual care"``: none.
    observations : Observations
    patient : Patient
        His age; nothing else is known to a course model.
    setting : str or list of str, optional
        As `kinetamine.course` takes it.
    relapse : str, optional
        What counts as a relapse.

    Raises
    ------
    FaultyFile
        Every value that is not a whole score of the model's scale.
    """
    from kinetamine.course import model as course_models
    from kinetamine.course.run import USUAL_CARE

    unknown = set(patient.given) - {"age"}
    if unknown:
        name = min(unknown)
        raise InputError(name, repr(patient.given[name]), "what a course model knows: age", "leaving it out")
    if doses is None:
        raise InputError(
            "doses", "nothing", "the sessions so far, or 'usual care'", "'84 mg nasal, twice weekly'"
        )
    regimen = None if isinstance(doses, str) and doses == USUAL_CARE else doses
    loaded = [course_models.load(one) for one in models]
    if len({one.id for one in loaded}) < len(loaded):
        raise InputError("model", "the same model twice", "different models", "one of them")
    seen = read(observations, loaded[0].score, loaded[0].central["score_max"])
    how: dict[str, Any] = {"setting": setting, "relapse": relapse}
    if "age" in patient.given:
        how["age"] = float(patient.given["age"])
    if seen.base is not None:
        # his own baseline, exactly
        how["baseline"] = (seen.base, 0.0, seen.base - 1e-6, seen.base + 1e-6)
    learned = [_learn(one, regimen, seen, how, seed) for one in loaded]
    return CoursePosterior(learned, seen, observations, regimen, how, seed)


def _learn(model: Any, regimen: Any, seen: Seen, how: Mapping[str, Any], seed: int) -> CourseLearned:
    from scipy.special import logsumexp

    end = seen.now_d + AHEAD_D
    days = _days(seen, end)
    plan = _plan(regimen, None, model, days, end, how)
    past = np.isin(days, seen.day) & (days > 0)
    sets = plan.draws(SETS, seed)
    most = sets[0]["score_max"]
    n = PATIENTS
    while True:
        means, arrays = _means(plan, sets, n, seed)
        own = _noise(sets, n)
        later = means[:, past]
        log, _ = weigh(own, later, seen, most)
        smoothed, k = pareto.smooth(log)
        weights = pareto.normalised(smoothed)
        good = k <= 0.7 and pareto.effective(weights) >= ENOUGH
        if good or n >= MOST_PATIENTS or not len(later.T):
            break
        n *= 4
    inside = np.clip(seen.score[seen.day > 0], NEAREST, most - NEAREST)
    density = float(np.log(most / (inside * (most - inside))).sum())
    evidence = float(logsumexp(log) - np.log(n)) + density
    p = oddness(later[:2000], {name: v[:2000] for name, v in own.items()}, seen, most, seed)
    note = (
        "" if good or not len(later.T) else f"only {pareto.effective(weights):.0f} effective draws: uncertain"
    )
    base, drug = arrays["baseline"], arrays["drug_effect"]
    return CourseLearned(plan, days, means, base, drug, sets, n, weights, k, evidence, p, note, seed)
