"""Virtual trials: how often would a trial of this size find the difference the model expects?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.course import run
from kinetamine.course.model import CAVEAT
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TrialResult", "trial"]

_ENDPOINTS = ("response", "remission", "change")
_ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class TrialResult:
    """Power and expected difference of each arm against the last one. A model of groups, not for a person.

    `comparisons` has one row per arm but the last: ``difference`` (expected, with its Monte Carlo error
    ``mc_se``), ``low`` and ``high`` (where 95 % of such trials come out), ``power`` with ``power_se``, and
    ``assurance``: power averaged over the uncertainty of the parameters, with ``uncertain_low`` and
    ``uncertain_high``, the 5-95 % range of the expected difference.
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
        at their last score.
    replicates : int
        Trials simulated.
    day : float
    seed : int
    uncertainty : int
        Draws of uncertain parameters for the assurance; 0 leaves it out.
    **options
        Arguments of `course` for all arms: model, rules, baseline, switches, response, remission, visits, pk.

    Returns
    -------
    TrialResult
        Tests are Welch's t test at 5 %, two-sided, on 0 and 1 for shares.

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.trial({"ketamine": "0.5 mg/kg iv over 40 min", "placebo": None}, n=40, day=1, replicates=200)
    >>> 0 < found.comparisons[0]["power"] <= 1
    True
    """
    if not isinstance(arms, Mapping) or len(arms) < 2:
        raise InputError(
            "arms", repr(arms)[:60], "at least two named arms", "{'drug': '84 mg nasal', 'placebo': None}"
        )
    if endpoint not in _ENDPOINTS:
        raise UnknownName("endpoint", endpoint, _ENDPOINTS, "an endpoint")
    n, replicates = run.whole("n", n, 2, 1_000_000), run.whole("replicates", replicates, 2, 1_000_000)
    run.whole("uncertainty", uncertainty, 0, 10_000)
    plans = {name: _plan(arm, day, options) for name, arm in arms.items()}

    def outcomes(name: str, values: Mapping[str, float], trials: int, lane: int) -> np.ndarray:
        """Array (trial, patient); `lane` keeps the patients of different arms and draws apart."""
        plan = plans[name]
        arrays = plan.run(values, n * trials, seed, first=lane * n * replicates)
        gained = arrays["baseline"] - arrays["last_score"]
        if endpoint == "response":
            gained = gained >= plan.response * arrays["baseline"]
        elif endpoint == "remission":
            gained = arrays["last_score"] <= plan.remission
        return gained.reshape(trials, n).astype(float)

    names = list(arms)
    drawn = {name: plan.model.draws(uncertainty, seed, **plan.changes) for name, plan in plans.items()}
    few = max(2, min(replicates, 2000 // n))
    found = {name: outcomes(name, plans[name].values, replicates, k) for k, name in enumerate(names)}
    # the same draw for all arms: the unknown is the same in both groups of a trial
    unsure = {name: [outcomes(name, v, few, k) for v in drawn[name]] for k, name in enumerate(names)}
    rows = []
    for name in names[:-1]:
        gaps = found[name].mean(axis=1) - found[names[-1]].mean(axis=1)
        power = float(np.mean(_significant(found[name], found[names[-1]])))
        row = {
            "arm": name,
            "control": names[-1],
            "difference": float(gaps.mean()),
            "mc_se": float(gaps.std(ddof=1) / np.sqrt(replicates)),
            "low": float(np.quantile(gaps, 0.025)),
            "high": float(np.quantile(gaps, 0.975)),
            "power": power,
            "power_se": float(np.sqrt(power * (1 - power) / replicates)),
        }
        pairs = list(zip(unsure[name], unsure[names[-1]], strict=True))
        if pairs:
            expected = [float(a.mean() - b.mean()) for a, b in pairs]
            row["assurance"] = float(np.mean([_significant(a, b).mean() for a, b in pairs]))
            row["uncertain_low"], row["uncertain_high"] = (
                float(q) for q in np.quantile(expected, [0.05, 0.95])
            )
        rows.append(row)
    notes = dict.fromkeys(note for plan in plans.values() for note in plan.notes)
    means = {name: float(values.mean()) for name, values in found.items()}
    return TrialResult(tuple(rows), means, endpoint, day, n, replicates, seed, tuple(notes))


def _plan(arm: Any, day: float, options: Mapping[str, Any]) -> run.Plan:
    given = dict(arm) if isinstance(arm, Mapping) else {"regimen": arm}
    if "regimen" not in given:
        raise InputError("arms", repr(arm)[:60], "a regimen", "{'regimen': '84 mg nasal', 'rules': […]}")
    asked = {**options, **given}
    return run.Plan(asked.pop("regimen"), day / 7, **asked)


def _significant(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether each trial finds a difference: Welch's t test along the patients."""
    from scipy.stats import t as student

    n = a.shape[1]
    va, vb = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / n
    gap, error = np.abs(a.mean(axis=1) - b.mean(axis=1)), np.sqrt(va + vb)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (va + vb) ** 2 / ((va**2 + vb**2) / (n - 1))
        p = 2 * student.sf(gap / error, freedom)
    # no spread in either group: nothing to test against
    found: np.ndarray = np.where(np.isnan(p), 1.0, p) < _ALPHA
    return found
