"""What one model learns from a person's values: draws of his effects, and how far to trust them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.errors import InputError, NoData
from kinetamine.inference import importance, tempering
from kinetamine.inference.curves import Curves
from kinetamine.inference.importance import Draws
from kinetamine.inference.match import Matched, match
from kinetamine.inference.target import Target
from kinetamine.likelihood import errors_of
from kinetamine.observations import Observations
from kinetamine.population import Patient
from kinetamine.population.residual import ResidualError

__all__ = [
    "INTERVAL",
    "Learned",
    "affordable",
    "learn",
    "learn_from",
    "learnable",
    "prior_z",
    "resample",
    "sampled",
    "share_as_odd",
    "summary_of",
]

#: weights are trusted up to this Pareto k and from this many effective draws
MOST_K, LEAST_EFFECTIVE = 0.7, 400
#: draws of importance sampling: of a linear model, and of one that is solved step by step (a hundred times dearer)
DRAWS, DRAWS_SOLVED = 10_000, 2_000
#: draws of the prior predictive, likewise, and the probability below which the data do not fit the model
PREDICTED, PREDICTED_SOLVED, IMPROBABLE = 2000, 500, 0.01
INTERVAL = (0.05, 0.5, 0.95)
#: a log likelihood below it is that of a value where the model says nothing at all, not of an odd one
IMPOSSIBLE = -1e15


@dataclass(frozen=True)
class Learned:
    """What one model learned.

    Parameters
    ----------
    spec : ModelSpec
    curves : Curves
    target : Target
    matched : Matched
    errors : dict of output to ResidualError
    stated : tuple of str
        Outputs whose residual error the user stated.
    draws : Draws
    predictive_p : float
        Probability of data at least as odd as these under the prior predictive.
    doses : Regimen
    """

    spec: Any
    curves: Curves
    target: Target
    matched: Matched
    errors: Mapping[str, ResidualError]
    draws: Draws
    predictive_p: float
    doses: Any
    stated: tuple[str, ...] = ()

    @property
    def assumed(self) -> bool:
        """Whether a residual error was stated by the user."""
        return any(name in self.stated for name in self.errors)

    @property
    def grade(self) -> str:
        """``fitted``, ``assumed`` or ``uncertain``, the lowest that applies."""
        if self.draws.note or self.predictive_p < IMPROBABLE:
            return "uncertain"
        return "assumed" if self.assumed or self.matched.mismatched else "fitted"

    def remarks(self) -> list[str]:
        """What a reader must know before the numbers."""
        found = list(self.matched.notes)
        if self.predictive_p < IMPROBABLE:
            share = _percent(self.predictive_p, self.curves)
            found.append(
                f"values as odd as these have a probability of {share} under {self.spec.id}: they do "
                "not fit this model in people like this; check units, site, times and doses"
            )
        if all(low != high for low, high in zip(self.matched.low, self.matched.high, strict=True)):
            found.append("every value is below or above a limit: they only bound the answer")
        if len(self.draws.modes) > 1:
            found.append(f"{len(self.draws.modes)} different explanations fit nearly as well (several modes)")
        if self.draws.note:
            found.append(self.draws.note)
        if self.assumed:
            found.append(f"residual error of {', '.join(self.stated)} as stated, not published: assumed")
        if self.matched.mismatched:
            found.append("a value of another site than the model's was allowed")
        if self.target.floored:
            found.append("some lanes predicted less than a ten billionth of the largest value; set to that")
        return found


def _percent(p: float, curves: Curves) -> str:
    n = affordable(curves, PREDICTED, PREDICTED_SOLVED)
    return f"less than {100 / n:g} %" if p < 1.5 / n else f"{100 * p:.2g} %"


def affordable(curves: Any, linear: int, solved: int) -> int:
    """How many lanes: so many of a linear model, fewer of one that is solved step by step."""
    return linear if getattr(curves, "linear", True) else solved


def learnable(model: Any) -> Any:
    """The model's record, if it has something to learn.

    Raises
    ------
    NoData
        If no between-subject effects were published for it.
    """
    from kinetamine.models.library import load

    spec = model if hasattr(model, "covariance") else load(model)
    if not len(spec.covariance("subject")[0]):
        raise NoData(
            f"model {spec.id}",
            "no between-subject effects: none were published",
            "how much people differ, without which levels say nothing about one of them",
            "a model that has them: otto_2021_s_ketamine, perez_ruixo_2021_esketamine, simons_2022_s_ketamine_otf",
        )
    return spec


def learn(
    spec: Any, doses: Any, observations: Observations, patient: Patient, residual: Mapping[str, str], prior: str,
    method: str, n: int | None, seed: int, allow_site_mismatch: bool,
) -> Learned:  # fmt: skip
    """What one model learns; see `posterior`."""
    from kinetamine.dosing import Regimen

    if doses is None:
        raise InputError("doses", "nothing", "what the person got", "'84 mg nasal'")
    regimen = Regimen.parse(doses, entries=set(spec.entries), fields=set(spec.dose_fields))
    start = min(dose.time_h for dose in regimen.doses)
    matched = match(spec, observations, allow_site_mismatch, start)
    return learn_from(spec, regimen, matched, patient, residual, prior, method, n, seed)


def learn_from(
    spec: Any, doses: Any, matched: Matched, patient: Patient, residual: Mapping[str, str], prior: str, method: str,
    n: int | None, seed: int,
) -> Learned:  # fmt: skip
    """What one model learns from values that were matched to its outputs; `doses`: Regimen, or a person's table."""
    from kinetamine.dosing import Regimen

    errors = errors_of(spec, dict.fromkeys(matched.output), residual)
    times = matched.time_h if isinstance(doses, Regimen) else None
    curves = Curves(spec, doses, patient, times, observe=matched.output, parameter_error=prior != "published")
    target = Target(curves, matched.low, matched.high, np.zeros(1, int), matched.output, errors)
    draws = sampled(target, method, n, seed)
    p = predictive_probability(target, errors, matched, seed)
    return Learned(spec, curves, target, matched, errors, draws, p, doses, tuple(residual))


def sampled(target: Target, method: str = "auto", n: int | None = None, seed: int = 0) -> Draws:
    """Draws of one person's z by the method asked for; see `posterior`."""
    n = affordable(target.curves, DRAWS, DRAWS_SOLVED) if n is None else n
    tried = np.random.default_rng([seed, 8]).standard_normal((1, 64, target.size))
    if not target.log_likelihood(tried).max() > IMPOSSIBLE:
        raise InputError(
            "observations",
            "values to which no person of this model could give rise",
            "values that the model can give: none at the very moment of the first dose",
            "another time, site or unit",
        )
    if method == "smc":
        return tempering.sample(target, seed=seed)
    if method == "laplace":
        return _laplace(target, n, seed)
    first = importance.sample(target, n, seed)
    if first.k <= MOST_K and first.effective >= LEAST_EFFECTIVE:
        return first
    if method == "importance":
        why = f"importance weights cannot be trusted: Pareto k {first.k:.2f}, {first.effective:.0f} effective draws"
        return Draws(first.z, first.weights, first.log_evidence, first.k, first.method, first.modes, why)
    second = tempering.sample(target, seed=seed)
    return Draws(
        second.z, second.weights, second.log_evidence, first.k, second.method, first.modes, second.note
    )


def _laplace(target: Target, n: int, seed: int) -> Draws:
    from kinetamine.inference import mode

    found = mode.find(target, seed=seed)
    centre = found.best()[0][0]
    width, axes = mode.axes(mode.curvature(target, centre), importance.LEAST_CURVATURE)
    noise = np.random.default_rng([seed, 3]).standard_normal((n, target.size))
    z = centre + (noise / np.sqrt(width)) @ axes.T
    log_evidence = float(found.value.max() - 0.5 * np.log(width).sum())
    note = "mode with normal bands, on request: can be half a standard deviation off"
    return Draws(
        z,
        np.full(n, 1 / n),
        log_evidence,
        float("nan"),
        "mode and Laplace bands",
        tuple(found.distinct()),
        note,
    )


def resample(draws: Draws, n: int, seed: int) -> np.ndarray:
    """`n` equally likely z, array (n, size), by systematic resampling in random order."""
    rng = np.random.default_rng([seed, 4])
    at = np.searchsorted(np.cumsum(draws.weights), (np.arange(n) + rng.random()) / n)
    return draws.z[rng.permutation(at.clip(0, len(draws.z) - 1))]


def predictive_probability(
    target: Target, errors: Mapping[str, ResidualError], matched: Matched, seed: int
) -> float:
    """Probability, under the prior predictive, of values at least as odd as those observed.

    Oddness is the Mahalanobis distance of the logarithms from draws of the prior with residual error; a value
    below a limit counts as the limit, in the draws too.
    """
    rng = np.random.default_rng([seed, 5])
    n = affordable(target.curves, PREDICTED, PREDICTED_SOLVED)
    f = target.predict(rng.standard_normal((1, n, target.size)))
    noise = rng.standard_normal(f.shape)
    y = np.empty_like(f)
    for rows, error in target.groups:
        y[:, rows] = error.measured(f[:, rows], noise[:, rows])
    y = y[np.isfinite(y).all(axis=1)]
    if len(y) < 10:
        return 0.0
    low, high = matched.low, matched.high
    seen = np.where(low == high, low, np.where(np.isfinite(high), high, low))
    floor = np.where((low < high) & np.isfinite(high), high, 0.0)  # of a value below its limit the limit
    least = 1e-6 * max(float(seen.max(initial=0.0)), 1e-30)
    x = np.log(np.maximum(np.maximum(y, floor), least))
    own = np.log(np.maximum(seen, least))
    return share_as_odd(x, own)


def share_as_odd(x: np.ndarray, own: np.ndarray) -> float:
    """Share of draws x (draw, value) at least as far from their middle as `own`, by Mahalanobis distance.

    Examples
    --------
    >>> x = np.random.default_rng(1).standard_normal((1000, 2))
    >>> share_as_odd(x, np.zeros(2)) > 0.99, share_as_odd(x, np.array([5.0, 5.0]))
    (True, 0.0)
    """
    middle = x.mean(axis=0)
    covariance = np.cov(x.T).reshape(len(own), len(own)) + 1e-6 * np.eye(len(own))
    distance = np.einsum("kv,vk->k", x - middle, np.linalg.solve(covariance, (x - middle).T))
    mine = float((own - middle) @ np.linalg.solve(covariance, own - middle))
    return float((distance >= mine).mean())


# --- summaries -------------------------------------------------------------------------------------------


def prior_z(one: Learned, seed: int, n: int = 2000) -> np.ndarray:
    """Draws of the prior, array (n, size)."""
    return np.random.default_rng([seed, 6]).standard_normal((n, one.target.size))


def individual_values(one: Learned, z: np.ndarray) -> dict[str, np.ndarray]:
    """Individual parameters of the model file for lanes of z, in inside units, those that vary."""
    found = {}
    for name, value in one.curves.individual(z).items():
        value = np.broadcast_to(np.asarray(value, float), (len(z),))
        if np.ptp(value) > 0:
            found[name] = value
    return found


def summary_of(one: Learned, seed: int) -> list[dict[str, Any]]:
    """Rows of `Posterior.summary`."""
    before, after = prior_z(one, seed), resample(one.draws, 4000, seed)
    prior, mine = individual_values(one, before), individual_values(one, after)
    rows = [
        _row(one.spec.id, name, _unit(one.spec, name), prior[name], mine[name])
        for name in mine
        if name in prior
    ]
    for k, name in enumerate(one.curves.layout.names):
        rows.append(_row(one.spec.id, f"z {name}", "1", before[:, k], after[:, k]))
    return rows


def _unit(spec: Any, name: str) -> str:
    """Inside unit of an individual parameter, as far as the model file tells."""
    return str(spec.derived_units.get(name, ""))


def _row(model: str, name: str, unit: str, prior: np.ndarray, mine: np.ndarray) -> dict[str, Any]:
    positive = (prior > 0).all() and (mine > 0).all()
    a, b = (np.log(prior), np.log(mine)) if positive else (prior, mine)
    shrinkage = 1.0 - float(np.var(b)) / max(float(np.var(a)), 1e-300)
    p, m = np.quantile(prior, INTERVAL), np.quantile(mine, INTERVAL)
    return {
        "model": model,
        "parameter": name,
        "unit": unit,
        "prior_median": float(p[1]),
        "prior_low": float(p[0]),
        "prior_high": float(p[2]),
        "median": float(m[1]),
        "low": float(m[0]),
        "high": float(m[2]),
        "shrinkage": shrinkage,
    }
