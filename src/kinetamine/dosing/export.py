"""Doses as an event table, for this and other programs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.dosing.dose import Dose
from kinetamine.errors import DoseError, UnknownName
from kinetamine.substances import PARENTS, share

if TYPE_CHECKING:
    import polars as pl

__all__ = ["dose_events"]


def dose_events(
    doses: Sequence[Dose],
    n_subjects: int = 1,
    times: Iterable[float] | None = None,
    weight: float | Sequence[float] | None = None,
    cmt: Mapping[str, int] | None = None,
    drug: str | None = None,
) -> pl.DataFrame:
    """Event table of doses; see `Regimen.to_events`."""
    import polars as pl

    if isinstance(n_subjects, bool) or int(n_subjects) != n_subjects or n_subjects < 1:
        raise DoseError("n_subjects", repr(n_subjects), "a whole number of at least 1", "1")
    n = int(n_subjects)
    sampled = np.asarray([] if times is None else list(times), np.float64)
    if not np.all(np.isfinite(sampled)) or np.any(sampled < 0):
        raise DoseError(
            "times", "a time that is negative or not finite", "times in h from 0", "times=[0, 1, 2]"
        )
    kg = _weights(doses, n, weight)
    kept, shares = _of_drug(doses, drug)
    target = _targets(kept, cmt)
    d, t = len(kept), len(sampled)
    start = np.array([dose.time_h for dose in kept])
    # Stable: at the same time doses in the order written, then the observations.
    order = np.argsort(np.concatenate([start, sampled]), kind="stable")

    def column(of_doses: Any, of_samples: Any, dtype: Any = np.float64) -> np.ndarray:
        row = np.concatenate([np.asarray(of_doses, dtype), np.full(t, of_samples, dtype)])[order]
        return np.tile(row, n)

    def per_patient(values: np.ndarray) -> np.ndarray:
        return np.hstack([values, np.zeros((n, t))])[:, order].ravel()

    amount, rate = _given(kept, shares, kg)
    data: dict[str, Any] = {
        "ID": np.repeat(np.arange(1, n + 1), d + t),
        "TIME": np.tile(np.concatenate([start, sampled])[order], n),
        "AMT": per_patient(amount),
        "RATE": per_patient(rate),
        "EVID": column([1] * d, 0, np.int64),
    }
    if cmt is None:
        names = [*target, *([None] * t)]
        data["CMT"] = pl.Series([names[i] for i in order] * n, dtype=pl.String)
    else:
        data["CMT"] = column(target, 0, np.int64)
    data["ADDL"] = column([dose.count - 1 for dose in kept], 0, np.int64)
    data["II"] = column([dose.every_h for dose in kept], 0.0)
    data["SS"] = column([dose.steady_state for dose in kept], 0, np.int64)
    data["MDV"] = column([1] * d, 0, np.int64)
    for name in dict.fromkeys(name for dose in kept for name in dose.fields):
        values = column([dose.fields.get(name, math.nan) for dose in kept], math.nan)
        data[name] = pl.Series(values, nan_to_null=True)
    return pl.DataFrame(data)


def _of_drug(doses: Sequence[Dose], drug: str | None) -> tuple[list[Dose], np.ndarray]:
    """The doses that contain the drug, and how much of each is it."""
    shares = np.array([_share(doses, dose, drug) for dose in doses])
    kept = [dose for dose, share in zip(doses, shares, strict=True) if share > 0]
    if not kept:
        raise DoseError("drug", repr(drug), "a drug that the regimen contains", "drug=None")
    return kept, shares[shares > 0]


def _targets(doses: Sequence[Dose], cmt: Mapping[str, int] | None) -> list[Any]:
    """Where each dose goes: the name of its entry, or the number it has in `cmt`."""
    if cmt is None:
        return [dose.entry for dose in doses]
    for dose in doses:
        if dose.entry not in cmt:
            raise UnknownName("cmt", dose.entry, cmt, "a compartment number for each entry of the regimen")
    return [cmt[dose.entry] for dose in doses]


def _given(doses: Sequence[Dose], shares: np.ndarray, kg: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Amount and rate of each dose for each patient, arrays (patient, dose); mg, mg/h."""
    for dose in doses:
        if dose.by != "weight":
            raise DoseError(
                f"dose {dose.describe()!r}",
                f"a dose by {dose.by}",
                "a dose by weight, as a table has no height",
                "",
            )
    per_kg = np.array([dose.per_kg for dose in doses])
    most = np.array([math.inf if dose.most is None else dose.most for dose in doses])
    scale = np.where(per_kg[None, :], kg[:, None], 1.0) * shares[None, :]
    amount = np.minimum(scale * np.array([dose.amount for dose in doses])[None, :], shares * most)
    length = np.array([dose.duration_h or math.inf for dose in doses])
    return amount, amount / length[None, :] + scale * np.array([dose.rate or 0.0 for dose in doses])[None, :]


def _weights(doses: Sequence[Dose], n: int, weight: float | Sequence[float] | None) -> np.ndarray:
    if weight is None:
        per_kg = next((dose for dose in doses if dose.per_kg), None)
        if per_kg is not None:
            raise DoseError(
                f"dose {per_kg.describe()!r}", "a dose per kg without a weight", "weight in kg", "weight=70"
            )
        return np.ones(n)
    try:
        kg = np.broadcast_to(np.asarray(weight, np.float64), (n,))
    except (TypeError, ValueError):
        raise DoseError("weight", repr(weight)[:60], f"one number or {n}, in kg", "weight=70") from None
    if not np.all(np.isfinite(kg) & (kg > 0)):
        raise DoseError("weight", "a weight that is not a number above 0", "weights in kg", "weight=70")
    return kg


def _share(doses: Sequence[Dose], dose: Dose, drug: str | None) -> float:
    """How much of a dose is `drug`, by mass."""
    if drug is None:
        if len({d.drug for d in doses}) > 1:
            raise DoseError(
                "regimen", "doses of different drugs", "one drug per AMT column", "drug='S-ketamine'"
            )
        return 1.0
    if dose.drug is None or dose.drug == drug:
        return 1.0
    if dose.drug == "racemate" and drug in PARENTS[:2]:
        return share(dose.drug, drug)
    if drug == "racemate":
        raise DoseError(
            "drug", f"{dose.drug} in a table of racemate", "an enantiomer or None", f"drug={dose.drug!r}"
        )
    return 0.0
