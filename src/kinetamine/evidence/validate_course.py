"""Every published outcome that the course model can express against its prediction.

`run` predicts, compares and gives a `Report`; `Report.write` writes it down. What was fitted to and what was
not is kept apart: agreement with the former is a fit, only the latter is a prediction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kinetamine.errors import InputError
from kinetamine.evidence import calibration, trials
from kinetamine.evidence.calibration import Calibration
from kinetamine.evidence.predict_trials import NEVER, Prediction, Predictor
from kinetamine.evidence.trials import Outcome, Trials

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ROLES", "TARGETS", "Comparison", "Coverage", "Report", "run"]

#: called with steps done, steps in all
Progress = Callable[[int, int], None]

ROLES = ("fit", "left out", "beyond", "pooled")
#: share of published intervals that should hold the prediction
TARGETS = {"fit": 0.80, "left out": 0.65}
#: patients of an arm: for the prediction, and for each of the sets of parameters behind its interval
PATIENTS, DRAWN_PATIENTS, DRAWS, SEED = 4000, 1000, 60, 11


@dataclass(frozen=True)
class Comparison:
    """One published number and what the model says.

    `low`, `high` are the published 95 % interval (None: nothing was given to compute it from);
    `predicted_low`, `predicted_high` hold 95 % of trials of that size, the uncertainty of the fit included.
    `distance` is predicted minus published in half-widths of the published interval, its side for side.
    """

    id: str
    trial: str
    family: str
    arm: str
    measure: str
    when: str
    unit: str
    role: str
    seen: str
    published: float
    low: float | None
    high: float | None
    predicted: float
    predicted_low: float
    predicted_high: float
    distance: float | None

    @property
    def inside(self) -> bool | None:
        """Whether the published interval holds the prediction."""
        return None if self.low is None or self.high is None else self.low <= self.predicted <= self.high

    @property
    def expected(self) -> bool:
        """Whether the prediction's interval holds the published number."""
        return self.predicted_low <= self.published <= self.predicted_high


@dataclass(frozen=True)
class Coverage:
    """Of some comparisons: how many, coverage of published intervals, bias in half-widths of them."""

    n: int
    held: float
    bias: float
    trials: int
    expected: float


def coverage(comparisons: Iterable[Comparison]) -> Coverage:
    """Coverage and bias of those with a published interval.

    Examples
    --------
    >>> coverage([]).n
    0
    """
    counted = [c for c in comparisons if c.inside is not None]
    if not counted:
        return Coverage(0, math.nan, math.nan, 0, math.nan)
    return Coverage(
        len(counted),
        float(np.mean([bool(c.inside) for c in counted])),
        float(np.median([c.distance for c in counted])),
        len({c.family for c in counted}),
        float(np.mean([c.expected for c in counted])),
    )


@dataclass(frozen=True)
class Report:
    """All comparisons, and the outcomes the model cannot express."""

    comparisons: tuple[Comparison, ...]
    unusable: tuple[Outcome, ...]
    trials: Trials
    calibration: Calibration
    model_digest: str

    def of(self, role: str, seen: str | None = None) -> list[Comparison]:
        """Comparisons of one role ("fit", "left out", "beyond", "pooled")."""
        return [c for c in self.comparisons if c.role == role and seen in (None, c.seen)]

    def summary(self) -> list[tuple[str, Coverage]]:
        """Coverage by role, then without recalled numbers, then of all that was not fitted to."""
        rows = [(role, coverage(self.of(role))) for role in ROLES]
        rows += [(f"{role}, read in a text", coverage(self.of(role, "text"))) for role in ROLES[:2]]
        unseen = [c for c in self.comparisons if c.role in ("left out", "beyond")]
        return [*rows, ("left out and beyond", coverage(unseen))]

    def frame(self) -> pl.DataFrame:
        """One comparison a row."""
        import polars as pl

        return pl.DataFrame([asdict(c) | {"inside": c.inside} for c in self.comparisons])

    def write(self, path: str | Path) -> None:
        """As Markdown to read, or CSV or Parquet to compute with, by the ending of `path`."""
        path = Path(path)
        if path.suffix == ".md":
            from kinetamine.evidence.validation_course_page import page

            path.write_text(page(self), encoding="utf-8")
        elif path.suffix == ".csv":
            self.frame().write_csv(path)
        elif path.suffix == ".parquet":
            self.frame().write_parquet(path)
        else:
            raise InputError("--out", str(path), "a name ending in .md, .csv or .parquet", f"{path}.md")


def run(
    progress: Progress | None = None, outcomes: Sequence[Outcome] | None = None, draws: int = DRAWS
) -> Report:
    """Predict every usable outcome (or those given) and compare.

    Parameters
    ----------
    progress : callable, optional
        Called with outcomes done and outcomes in all.
    outcomes : sequence of Outcome, optional
        Instead of all that are usable.
    draws : int
        Sets of parameters behind each predicted interval.

    Examples
    --------
    >>> found = run(outcomes=trials.load().usable()[:1], draws=2)
    >>> found.comparisons[0].trial, found.comparisons[0].role
    ('daly2018_p2', 'fit')
    """
    from kinetamine.course import model as course_model

    data, fitted = trials.load(), calibration.load()
    chosen = list(data.usable() if outcomes is None else outcomes)
    model = course_model.load(fitted.model)

    def predictions(patients: int, values: dict[str, float] | None, seed: int) -> list[Prediction]:
        # the centre is the model file as it is shipped; draws replace what was fitted
        own, settings = fitted.split(fitted.values() if values is None else values)
        base = model.values()
        return Predictor(data, model, patients, seed).predict(
            chosen, base if values is None else base | own, settings
        )

    steps = draws + 1
    centre = predictions(PATIENTS, None, SEED)
    drawn = []
    for k, values in enumerate(fitted.draws(draws, SEED)):
        if progress is not None:
            progress(k * len(chosen) // steps, len(chosen))
        drawn.append(predictions(DRAWN_PATIENTS, values, SEED))
    compared = [_compare(data, o, centre[i], [one[i] for one in drawn]) for i, o in enumerate(chosen)]
    if progress is not None:
        progress(len(chosen), len(chosen))
    unusable = tuple(o for o in data.outcomes if o.unusable is not None)
    return Report(tuple(compared), unusable, data, fitted, model.digest)


def _compare(data: Trials, o: Outcome, centre: Prediction, drawn: Sequence[Prediction]) -> Comparison:
    def scaled(x: float) -> float:
        return math.log(max(x, 1e-3)) if centre.scale == "log" else x

    variance = float(np.mean([p.sampling_variance for p in drawn]))
    if len(drawn) > 1:
        variance += float(np.var([scaled(p.value) for p in drawn], ddof=1))
    reach = 1.96 * math.sqrt(variance)
    ends = [scaled(centre.value) - reach, scaled(centre.value) + reach]
    if centre.scale == "log":
        ends = [math.exp(x) for x in ends]
    elif o.unit in ("percent", "days"):
        top = 100.0 if o.unit == "percent" else NEVER
        ends = [min(max(x, 0.0), top) for x in ends]
    interval = o.published()
    distance = None
    if interval is not None:
        a, b = scaled(centre.value), scaled(o.value)
        low, high = (scaled(x) for x in interval)
        side = max(high - b if a > b else b - low, 0.25 * (high - low))
        distance = (a - b) / side
    return Comparison(
        o.id,
        o.trial,
        data.design(o).family,
        o.arm,
        str(o.measure),
        o.when or "",
        o.unit,
        data.role(o),
        o.seen,
        o.value,
        None if interval is None else interval[0],
        None if interval is None else interval[1],
        centre.value,
        ends[0],
        ends[1],
        distance,
    )
