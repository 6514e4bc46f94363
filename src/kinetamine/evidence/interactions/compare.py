"""Observed exposure ratios against the factors on handles: ``kinetamine validate interactions``.

The observations are in `kinetamine.safety.perturbations`, the prediction is `kinetamine.safety.interactions.ratio`;
`page` writes the comparison down.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from kinetamine.evidence.tables import Screen
from kinetamine.models import library
from kinetamine.safety import interactions, perturbations
from kinetamine.safety.perturbations import Observed

__all__ = ["Agreement", "Report", "fingerprint", "run"]


@dataclass(frozen=True)
class Agreement:
    """One observed ratio and what the factors make of it."""

    id: str
    row: Observed
    predicted: float

    @property
    def fold(self) -> float:
        """How far off, always at least 1."""
        apart = self.predicted / (self.row.ratio or math.nan)
        return max(apart, 1 / apart)

    @property
    def within(self) -> bool:
        """Within the published limits, or 1.25-fold (1.5-fold where nothing was fitted to it)."""
        low, high = self.row.low, self.row.high
        inside = low is not None and high is not None and low <= self.predicted <= high
        return inside or self.fold <= (1.5 if self.row.use == "held out" else 1.25)


@dataclass(frozen=True)
class Report:
    """The outcome of `run`."""

    comparisons: tuple[Agreement, ...]

    def counts(self, use: str) -> tuple[int, int]:
        """How many ratios of a use ("fit", "held out") there are, and how many agree."""
        rows = [one for one in self.comparisons if one.row.use == use]
        return len(rows), sum(one.within for one in rows)

    def screen(self) -> Screen:
        """How many agree, of those fitted to and of those predicted."""
        uses = (("fit", "fitted to, within 1.25-fold"), ("held out", "predicted, within 1.5-fold"))
        rows = tuple((name, *map(str, self.counts(use))) for use, name in uses)
        return Screen(("ratios", "n", "agree"), rows)

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every comparison in the shape of `kinetamine.evidence.stored.COLUMNS`."""
        known = perturbations.load()
        for one in self.comparisons:
            row = one.row
            assert row.ratio is not None
            yield {
                "id": row.id, "model": known.fit.model, "study": known.perturbations[one.id].name,
                "arm": row.phrase or row.dose or row.route, "metric": row.measure, "analyte": row.drug,
                "unit": "ratio", "observed": row.ratio, "low": row.low, "high": row.high,
                "predicted": one.predicted, "fold": one.predicted / row.ratio, "holds": one.within,
                "use": {"fit": "fitted to", "held out": "predicted"}[row.use], "source": row.source,
                "remark": "recalled" if row.seen == "recalled" else "",
            }  # fmt: skip


def fingerprint() -> str:
    """What the numbers depend on, in 16 digits: observed ratios, factors and the model that carries them.

    Examples
    --------
    >>> len(fingerprint())
    16
    """
    known = perturbations.load()
    factors = {
        id: {h: f.model_dump(mode="json") for h, f in found.items()} for id, found in known.factors.items()
    }
    content = [
        library.load(known.fit.model).digest,
        json.dumps([row.model_dump(mode="json") for row in known.observed], sort_keys=True),
        json.dumps(factors, sort_keys=True),
    ]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]


def run(progress: Callable[[int, int], None] | None = None) -> Report:
    """Every ratio that was fitted, kept out of the fit or found unchanged, against the factors.

    Examples
    --------
    >>> [one.within for one in run().comparisons if one.id == "hepatic_impairment_moderate"]
    [True, True]
    """
    known = perturbations.load()
    rows = [
        (id, row)
        for row in known.observed
        if row.use in ("fit", "held out") and row.ratio is not None
        for id in row.ids
    ]
    found = []
    for done, (id, row) in enumerate(rows, start=1):
        factors = {handle: factor.value for handle, factor in known.factors_of(id).items()}
        found.append(Agreement(id, row, interactions.ratio(row, factors)))
        if progress is not None:
            progress(done, len(rows))
    return Report(tuple(found))
