"""Observed acute effects against the effect models: ``kinetamine validate effects``.

`run` predicts every observation of data/observations/acute_effects.csv that names effect models and compares;
`page` writes it down. Nothing is tuned here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from kinetamine.errors import NoData
from kinetamine.evidence.effects.observations import DIFFERENCES, Observation, load
from kinetamine.evidence.effects.predict import PATIENTS, SEED, STEP_H, UNTIL_H, Band, predict
from kinetamine.evidence.tables import Screen, significant
from kinetamine.models import library

__all__ = ["CLOSE_FOLD", "CLOSE_POINTS", "USES", "Comparison", "Report", "fingerprint", "run"]

#: agreement where neither side has a width
CLOSE_FOLD, CLOSE_POINTS = 1.25, 5.0


@dataclass(frozen=True)
class Comparison:
    """One observation and what one module says: median and 5 to 95 % in the observation's unit, or why not."""

    row: Observation
    module: str
    effect: str
    band: Band | None = None
    model: str = ""
    grade: str = ""
    refused: str = ""

    @property
    def error(self) -> float | None:
        """Fold error (at least 1), or predicted minus observed; None where there is no prediction."""
        if self.band is None or not math.isfinite(self.band[1]):
            return None
        predicted, seen = self.band[1], self.row.value
        if self.row.measure in DIFFERENCES:
            return round(predicted - seen, 9)
        return max(predicted / seen, seen / predicted) if predicted > 0 else math.inf

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if self.row.bound:
            return KINDS[3]
        if self.row.measure == "share":
            return KINDS[1]
        return KINDS[2] if self.row.measure in DIFFERENCES else KINDS[0]

    @property
    def agrees(self) -> bool | None:
        """Whether the observed range holds the prediction, or the band holds the observed value."""
        if self.band is None or math.isnan(self.band[1]):
            return None
        predicted, row = self.band[1], self.row
        if row.bound:
            return predicted <= row.value if row.bound == "at most" else predicted >= row.value
        inside = row.low is not None and row.high is not None and row.low <= predicted <= row.high
        if inside or self.band[0] <= row.value <= self.band[2]:
            return True
        if row.measure == "share":
            return abs(predicted - row.value) <= CLOSE_POINTS
        return row.measure not in DIFFERENCES and (self.error or math.inf) <= CLOSE_FOLD


@dataclass(frozen=True)
class Report:
    """All observations and all comparisons."""

    observations: tuple[Observation, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def predicted(self) -> list[Comparison]:
        """Comparisons with a prediction."""
        return [c for c in self.comparisons if c.band is not None]

    @property
    def rows_predicted(self) -> set[str]:
        """Ids of observations that at least one module predicts."""
        return {c.row.id for c in self.predicted}

    def unpredicted(self) -> list[tuple[Observation, str]]:
        """Observations that nothing predicts, and why."""
        reasons: dict[str, dict[str, str]] = {}
        for c in self.comparisons:
            mine = reasons.setdefault(c.row.id, {})
            mine[c.refused] = ", ".join(x for x in (mine.get(c.refused), f"`{c.module}`") if x)
        done = self.rows_predicted
        return [
            (o, o.unusable or "; ".join(f"{who}: {why}" for why, who in reasons.get(o.id, {}).items()))
            for o in self.observations
            if o.id not in done
        ]

    def summary(self) -> list[tuple[str, str, int, float, int]]:
        """Use of a row, kind of error, comparisons, median error (where it has one unit), and how many agree."""
        out = []
        for use, words in USES.items():
            for kind in KINDS:
                found = [c for c in self.predicted if c.row.used_in_fit == use and c.kind == kind]
                if found:
                    sizes = [abs(c.error) for c in found if c.error is not None]
                    middle = median(sizes) if sizes and kind in KINDS[:2] else math.nan
                    out.append((words, kind, len(found), middle, sum(bool(c.agrees) for c in found)))
        return out

    def screen(self) -> Screen:
        """Agreement by use of a row and kind of error."""
        rows = [
            (use.strip("*"), kind, str(n), significant(middle), str(agree))
            for use, kind, n, middle, agree in self.summary()
        ]
        done, total = len(self.rows_predicted), len(self.observations)
        line = f"{done} of {total} observations predicted in {len(self.predicted)} comparisons."
        return Screen(("observations", "error", "n", "median", "agree"), tuple(rows), (line,))

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every comparison in the shape of `kinetamine.evidence.stored.COLUMNS`."""
        for c in self.predicted:
            assert c.band is not None
            o = c.row
            error = "difference" if o.measure in DIFFERENCES else "fold"
            low, middle, high = c.band
            yield {
                "id": o.id, "model": c.module, "study": f"{o.study} {o.year or ''}".strip(),
                "arm": " | ".join(o.doses), "metric": o.measure, "analyte": c.effect, "unit": o.unit,
                "observed": o.value, "low": o.low, "high": o.high,
                "predicted": middle, "predicted_low": low, "predicted_high": high,
                error: c.error if error == "difference" or not o.value else middle / o.value, "holds": c.agrees,
                "use": USES[o.used_in_fit].strip("*"), "source": o.source,
                "remark": "; ".join(
                    x for x in (f"on {c.model}", c.grade, o.bound, "recalled" if o.seen == "recalled" else "") if x
                ),
            }  # fmt: skip


#: kinds of comparison; errors of the first two can be put together
KINDS = ("fold", "share of people, percentage points", "change or score", "bound")
USES = {"": "**predicted**", "fit": "fitted to", "model": "the module's own"}


def fingerprint() -> str:
    """What the page depends on, in 16 digits: observations, effect and pk models, people.

    Examples
    --------
    >>> len(fingerprint())
    16
    """
    models = [library.load(e.id) for e in library.available() if e.status != "incomplete"]
    content = {
        "observations": [row.model_dump(mode="json") for row in load()],
        "models": [
            m.model_dump(mode="json", exclude={"title", "notes", "sources"})
            for m in models
            if m.kind in ("pk", "effect")
        ],
        "people": [PATIENTS, SEED, UNTIL_H, STEP_H],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def run(
    progress: Callable[[int, int], None] | None = None, observations: Sequence[Observation] | None = None
) -> Report:
    """Predict every observation that names effect models.

    Parameters
    ----------
    progress : callable, optional
        Called with observations done and in all.
    observations : sequence of Observation, optional
        Instead of all.

    Examples
    --------
    >>> row = next(o for o in load() if o.study == "Adams" and o.value == 9.2)
    >>> [c.effect for c in run(observations=[row]).predicted]
    ['not awake', 'anaesthesia until emergence']
    """
    rows = load() if observations is None else tuple(observations)
    found = []
    for done, row in enumerate(rows):
        if progress is not None:
            progress(done, len(rows))
        found += [_compare(row, module, name) for module, name in row.predict]
    if progress is not None:
        progress(len(rows), len(rows))
    return Report(rows, tuple(found))


def _compare(row: Observation, module: str, name: str) -> Comparison:
    try:
        band, model, grade = predict(row, module, name)
    except NoData as error:
        fault = error.faults[0]
        return Comparison(row, module, name, refused=f"{fault.given}; needs {fault.expected}")
    return Comparison(row, module, name, band, model, grade)
