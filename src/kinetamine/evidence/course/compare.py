"""Every published outcome that the course model can express against its prediction.

`run` predicts, compares and gives a `Report`; `page` writes it down. What was fitted to and what was
not is kept apart: agreement with the former is a fit, only the latter is a prediction.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinetamine.course import model as course_model
from kinetamine.course.model import CAVEAT
from kinetamine.evidence.course import calibration, observations
from kinetamine.evidence.course.calibration import Calibration
from kinetamine.evidence.course.observations import Outcome, Trials, wilson
from kinetamine.evidence.course.predict import NEVER, Prediction, Predictor
from kinetamine.evidence.tables import Screen

__all__ = ["ALONE", "ROLES", "TARGETS", "TENTHS", "Comparison", "Coverage", "Report", "fingerprint", "run"]

#: called with steps done, steps in all
Progress = Callable[[int, int], None]

ROLES = ("fit", "left out", "beyond", "pooled")
#: every trial predicted by a fit that had not seen it: a tenth of the trials left out at a time, or one
TENTHS, ALONE = "each tenth left out in turn", "each trial left out in turn"
#: share of published intervals that should hold the prediction
TARGETS = {"fit": 0.80, "left out": 0.65, TENTHS: 0.65, ALONE: 0.65}
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
    """Of some comparisons: how many, coverage of published intervals, bias in half-widths of them.

    `low` and `high` end Wilson's 95 % interval of `held`; `by_trial` is the mean of the shares of the trials.
    """

    n: int
    held: float
    low: float
    high: float
    trials: int
    by_trial: float
    bias: float = math.nan
    expected: float = math.nan


def coverage(comparisons: Iterable[Comparison]) -> Coverage:
    """Coverage and bias of those with a published interval.

    Examples
    --------
    >>> coverage([]).n
    0
    """
    counted = [c for c in comparisons if c.inside is not None]
    trials: dict[str, list[bool]] = {}
    for c in counted:
        trials.setdefault(c.family, []).append(bool(c.inside))
    found = _counted({family: (len(held), sum(held)) for family, held in trials.items()})
    if not counted:
        return found
    return replace(
        found,
        bias=float(np.median([c.distance for c in counted])),
        expected=float(np.mean([c.expected for c in counted])),
    )


def _counted(trials: Mapping[str, tuple[int, int]]) -> Coverage:
    """Coverage from outcomes and intervals that hold, by trial."""
    n, held = (sum(column) for column in zip((0, 0), *trials.values(), strict=True))
    if not n:
        return Coverage(0, math.nan, math.nan, math.nan, 0, math.nan)
    mean = float(np.mean([hits / of for of, hits in trials.values()]))
    return Coverage(n, held / n, *wilson(held, n), len(trials), mean)


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
        """Coverage by role and of trials left out in turn, then without recalled numbers, then of all unseen."""
        rows = [(role, coverage(self.of(role))) for role in ROLES]
        rows[2:2] = [(TENTHS, self._in_turn("held_tenth")), (ALONE, self._in_turn("held_alone"))]
        rows += [(f"{role}, read in a text", coverage(self.of(role, "text"))) for role in ROLES[:2]]
        unseen = [c for c in self.comparisons if c.role in ("left out", "beyond")]
        return [*rows, ("left out and beyond", coverage(unseen))]

    def _in_turn(self, held: str) -> Coverage:
        """Of all trials: those left out from the first on, and the others as the calibration wrote them down."""
        trials = {one.family: (one.outcomes, getattr(one, held)) for one in self.calibration.in_turn}
        for c in self.of("left out"):
            if c.inside is not None:
                n, hits = trials.get(c.family, (0, 0))
                trials[c.family] = n + 1, hits + c.inside
        return _counted(trials)

    def screen(self) -> Screen:
        """Coverage by what the calibration did with an outcome."""
        rows = []
        for name, c in self.summary():
            if c.n:
                target = f"{TARGETS[name]:.0%}" if name in TARGETS else ""
                share = f"{c.held:.0%} ({c.low:.0%}-{c.high:.0%})"
                bias = f"{c.bias:+.2f}" if c.bias == c.bias else ""
                rows.append((name, str(c.n), str(c.trials), share, target, bias))
        return Screen(
            ("outcomes", "n", "trials", "interval holds", "target", "bias"),
            tuple(rows),
            (
                f"{len(self.comparisons)} outcomes predicted, {len(self.unusable)} the model cannot express.",
                "Interval holds: share of published 95 % intervals that hold the prediction, with Wilson's 95 % "
                "interval.",
                CAVEAT,
            ),
        )

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every comparison in the shape of `kinetamine.evidence.stored.COLUMNS`."""
        outcomes = {o.id: o for o in self.trials.outcomes}
        for c in self.comparisons:
            yield {
                "id": c.id, "model": self.calibration.model, "study": c.trial, "arm": c.arm,
                "metric": f"{c.measure}, {c.when}" if c.when else c.measure, "analyte": outcomes[c.id].scale,
                "unit": c.unit, "observed": c.published, "low": c.low, "high": c.high, "predicted": c.predicted,
                "predicted_low": c.predicted_low, "predicted_high": c.predicted_high,
                "difference": c.predicted - c.published, "holds": c.inside,
                "use": {"fit": "fitted to"}.get(c.role, f"predicted ({c.role})"), "source": outcomes[c.id].source,
                "remark": "recalled" if c.seen == "recalled" else "",
            }  # fmt: skip


def fingerprint() -> str:
    """What the numbers depend on, in 16 digits: trials, model and calibration.

    Examples
    --------
    >>> len(fingerprint())
    16
    """
    fitted = calibration.load()
    estimates = json.dumps([fitted.values(), fitted.covariance.tolist()], sort_keys=True)
    content = [observations.load().digest, course_model.load(fitted.model).digest, estimates]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]


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
    >>> found = run(outcomes=observations.load().usable()[:1], draws=2)
    >>> found.comparisons[0].trial, found.comparisons[0].role
    ('daly2018_p2', 'fit')
    """
    data, fitted = observations.load(), calibration.load()
    chosen = list(data.usable() if outcomes is None else outcomes)
    model = course_model.load(fitted.model)

    def predictions(patients: int, values: dict[str, float] | None, seed: int) -> list[Prediction]:
        # the centre is the model file as it is shipped; draws replace what was fitted
        return Predictor(data, model, patients, seed).predict(chosen, model.values() | (values or {}))

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
