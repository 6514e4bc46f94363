"""Published outcomes of trials against the course model.

A trial that was fitted to is predicted by the fold of the fit that had not seen it (`fits`), as a new trial; others
(beyond the range of the fit, and pooled analyses) by the shipped posterior, through the same door as any course.
`run` gives a `Report`; `page` writes it down.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.course import model as course_model
from kinetamine.course.model import CAVEAT
from kinetamine.course.plan import Plan
from kinetamine.evidence.course import fits, observations
from kinetamine.evidence.course.observations import SHARES, Design, Outcome, Trials
from kinetamine.evidence.tables import Screen

__all__ = [
    "DESIGNS",
    "DESIGN_80",
    "DESIGN_95",
    "HELD",
    "INSIDE_80",
    "INSIDE_95",
    "ROLES",
    "Comparison",
    "Coverage",
    "Report",
    "coverage",
    "fingerprint",
    "plan",
    "run",
]

#: called with steps done, steps in all
Progress = Callable[[int, int], None]

ROLES = ("left out", "beyond", "pooled")
DESIGNS = ("single", "series", "nasal", "control", "difference", "withdrawal")
#: of trials left out: share of published values inside the 95 and 80 % intervals, least and most; the least of any
#: design; published intervals that hold the prediction, against what a true model would attain
INSIDE_95, INSIDE_80 = (0.90, 0.98), (0.72, 0.88)
DESIGN_95, DESIGN_80, HELD = 0.85, 0.65, 0.90
#: draws of the posterior and patients of each, for what was not fitted to
DRAWS, PATIENTS, SEED = 60, 500, 11


@dataclass(frozen=True)
class Comparison:
    """One published number and what the model says of a new trial of that size.

    `low`, `high` are the published 95 % interval; `ends` those of the predicted one, 95 and 80 % (2.5, 10, 90,
    97.5 %). `fitted` is what the posterior makes of the trial itself, of fitted ones. `attainable` is the chance
    that the published interval of a trial of this size holds the prediction, were the model true.
    """

    id: str
    trial: str
    family: str
    arm: str
    design: str
    measure: str
    when: str
    unit: str
    role: str
    seen: str
    published: float
    low: float | None
    high: float | None
    predicted: float
    ends: tuple[float, float, float, float]
    fitted: float | None
    attainable: float
    rank: float

    @property
    def inside(self) -> bool | None:
        """Whether the published interval holds the prediction."""
        return None if self.low is None or self.high is None else self.low <= self.predicted <= self.high

    @property
    def in95(self) -> bool:
        """Whether the 95 % interval of the prediction holds the published number."""
        return self.ends[0] - _PRINTED <= self.published <= self.ends[3] + _PRINTED

    @property
    def in80(self) -> bool:
        """The same of 80 %."""
        return self.ends[1] - _PRINTED <= self.published <= self.ends[2] + _PRINTED


#: published percentages are rounded
_PRINTED = 0.05


@dataclass(frozen=True)
class Coverage:
    """Of some comparisons: shares that hold, and what a true model would attain."""

    n: int
    trials: int
    held: float
    attainable: float
    in95: float
    in80: float


def coverage(comparisons: Iterable[Comparison]) -> Coverage:
    """Coverage of those with a published interval.

    Examples
    --------
    >>> coverage([]).n
    0
    """
    counted = [c for c in comparisons if c.inside is not None]
    if not counted:
        return Coverage(0, 0, math.nan, math.nan, math.nan, math.nan)
    shares = (
        float(np.mean([getattr(c, k) for c in counted])) for k in ("inside", "attainable", "in95", "in80")
    )
    return Coverage(len(counted), len({c.family for c in counted}), *shares)


@dataclass(frozen=True)
class Report:
    """All comparisons, and the outcomes the model cannot express or that stand twice."""

    comparisons: tuple[Comparison, ...]
    unusable: tuple[Outcome, ...]
    not_compared: tuple[Outcome, ...]
    trials: Trials
    account: fits.Account
    model_digest: str

    def of(self, role: str) -> list[Comparison]:
        """Comparisons of one role."""
        return [c for c in self.comparisons if c.role == role]

    def summary(self) -> list[tuple[str, Coverage]]:
        """Coverage of trials left out, by design, then of the others."""
        left = self.of("left out")
        rows = [("left out", coverage(left))]
        rows += [(f"left out, {d}", coverage(c for c in left if c.design == d)) for d in DESIGNS]
        rows += [(role, coverage(self.of(role))) for role in ROLES[1:]]
        return [(name, c) for name, c in rows if c.n]

    def calibration(
        self, levels: Sequence[float] = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    ) -> list[tuple[float, float]]:
        """Share of published values of left-out trials inside the central interval of each level."""
        far = np.array([2 * abs(c.rank - 0.5) for c in self.of("left out")])
        return [(level, float((far <= level).mean())) for level in levels]

    def screen(self) -> Screen:
        """Coverage by what the fit did with an outcome."""
        rows = [
            (name, str(c.n), str(c.trials), *(f"{x:.0%}" for x in (c.in95, c.in80, c.held, c.attainable)))
            for name, c in self.summary()
        ]
        return Screen(
            ("outcomes", "n", "trials", "in 95 %", "in 80 %", "interval holds", "attainable"),
            tuple(rows),
            (
                f"{len(self.comparisons)} outcomes predicted, {len(self.unusable)} the model cannot express.",
                "In 95 %, 80 %: share of published values inside the predicted interval of a new trial. Interval "
                "holds: share of published 95 % intervals that hold the prediction; attainable, were the model true.",
                CAVEAT,
            ),
        )

    def rows(self) -> Iterable[dict[str, Any]]:
        """Every comparison in the shape of `kinetamine.evidence.stored.COLUMNS`."""
        outcomes = {o.id: o for o in self.trials.outcomes}
        for c in self.comparisons:
            yield {
                "id": c.id, "model": self.account.model, "study": c.trial, "arm": c.arm,
                "metric": f"{c.measure}, {c.when}" if c.when else c.measure, "analyte": outcomes[c.id].scale,
                "unit": c.unit, "observed": c.published, "low": c.low, "high": c.high, "predicted": c.predicted,
                "predicted_low": c.ends[0], "predicted_high": c.ends[3], "difference": c.predicted - c.published,
                "holds": c.inside, "use": f"predicted ({c.role})", "source": outcomes[c.id].source,
                "remark": "recalled" if c.seen == "recalled" else "",
            }  # fmt: skip


def fingerprint() -> str:
    """What the numbers depend on, in 16 digits: trials, model, fit.

    Examples
    --------
    >>> len(fingerprint())
    16
    """
    fitted = [row.model_dump_json() for row in fits.predicted().values()]
    content = [observations.load().digest, course_model.load("hierarchical").digest, *fitted]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]


def run(
    progress: Progress | None = None, outcomes: Sequence[Outcome] | None = None, draws: int = DRAWS
) -> Report:
    """Compare every usable outcome (or those given) with its prediction.

    Parameters
    ----------
    progress : callable, optional
        Called with outcomes done and outcomes in all.
    outcomes : sequence of Outcome, optional
        Instead of all that are usable.
    draws : int
        Draws of the posterior behind the interval of what was not fitted to.

    Examples
    --------
    >>> found = run(outcomes=observations.load().usable()[:1])
    >>> found.comparisons[0].trial, found.comparisons[0].role
    ('daly2018_p2', 'left out')
    """
    data, known = observations.load(), fits.predicted()
    chosen = list(data.usable() if outcomes is None else outcomes)
    compared, left = [], []
    arms = _Arms(draws)
    for k, o in enumerate(chosen):
        if progress is not None:
            progress(k, len(chosen))
        if o.id in known:
            compared.append(_left_out(data, o, known[o.id]))
            continue
        found = arms.compare(data, o) if data.role(o) != "fit" else None
        if found is None:
            left.append(o)
        else:
            compared.append(found)
    if progress is not None:
        progress(len(chosen), len(chosen))
    unusable = tuple(o for o in data.outcomes if o.unusable is not None)
    digest = course_model.load("hierarchical").digest
    return Report(tuple(compared), unusable, tuple(left), data, fits.account(), digest)


def _left_out(data: Trials, o: Outcome, row: fits.Predicted) -> Comparison:
    value = o.value
    if o.measure == "relapse_free":
        value = 100 - value
    elif o.measure == "relapse_median":
        value = 50.0
    ends = (row.low95, row.low80, row.high80, row.high95)
    return Comparison(
        o.id, o.trial, data.design(o).family, o.arm, row.design, str(o.measure), o.when or "", o.unit, "left out",
        o.seen, value, row.low, row.high, row.predicted, ends, row.fitted, row.attainable, row.rank,
    )  # fmt: skip


def plan(design: Design, days: Sequence[float]) -> Plan:
    """A trial's arm as a course, with visits on `days`."""
    like = next((dose for dose in design.doses if dose != "sham"), "0.5 mg/kg racemate iv over 40 min")
    phrases = [
        f"sham {like} at {day:g} d" if dose == "sham" else f"{dose} at {day:g} d"
        for day, dose in zip(design.session_days, design.doses, strict=True)
    ]
    end = max([1.0, *days, *design.session_days])
    return Plan(
        phrases or None, end / 7, setting=design.setting, baseline=(design.madrs_mean, design.madrs_sd),
        visits=sorted({0.0, *days}),
    )  # fmt: skip


class _Arms:
    """Arms simulated once for each draw."""

    def __init__(self, draws: int) -> None:
        self.draws = draws
        self._done: dict[tuple[str, str, float, float], np.ndarray] = {}

    def _ask(self, design: Design, day: float, cut: float) -> np.ndarray:
        """(draw, 5): mean, gain, its SD, response, remission at `cut`."""
        key = (design.trial, design.arm, day, cut)
        if key not in self._done:
            arm = plan(design, [day])
            arm.remission = cut
            rows = []
            for values in arm.draws(self.draws, SEED):
                one = arm.run(values, PATIENTS, SEED, threads=1)
                at = int(np.argmin(np.abs(one["visit_days"] - day)))
                rows.append(
                    [one[k][at] for k in ("mean", "mean_change", "sd_change", "response", "remission")]
                )
            self._done[key] = np.array(rows)
        return self._done[key]

    def compare(self, data: Trials, o: Outcome) -> Comparison | None:
        """Of what was not fitted to; None where this comparison has no such measure."""
        treated, day, cut = data.design(o), float(o.day or 0), float(o.cutoff or 12)
        arms = [self._ask(d, day, cut) for d in (treated, *([data.design(o, True)] if o.control else []))]
        x = _value(o, arms)
        if x is None:
            return None
        interval = o.published()
        log = o.measure is not None and o.measure.endswith("ratio")
        scaled = np.log(np.maximum(x, 1e-3)) if log else x
        error = 0.0
        if interval is not None:
            ends = [math.log(max(e, 1e-3)) if log else e for e in interval]
            error = (ends[1] - ends[0]) / 3.92
        rng = np.random.default_rng(SEED)
        drawn = np.repeat(scaled, 20) + error * rng.standard_normal(20 * len(scaled))
        centre = float(scaled.mean())
        value = math.log(max(o.value, 1e-3)) if log else o.value
        back: Callable[[float], float] = math.exp if log else float
        low, low80, high80, high = (back(float(q)) for q in np.quantile(drawn, [0.025, 0.1, 0.9, 0.975]))
        if o.measure in SHARES:
            low, low80, high80, high = (min(max(q, 0.0), 100.0) for q in (low, low80, high80, high))
        attained, rank = float((np.abs(drawn - centre) <= 1.96 * error).mean()), float((drawn < value).mean())
        return Comparison(
            o.id, o.trial, treated.family, o.arm, "difference" if o.control else treated.kind, str(o.measure),
            o.when or "", o.unit, data.role(o), o.seen, o.value, interval and interval[0],
            interval and interval[1], back(centre), (low, low80, high80, high), None, attained, rank,
        )  # fmt: skip


def _value(o: Outcome, arms: Sequence[np.ndarray]) -> np.ndarray | None:
    """What each draw expects of a measure, array (draw,)."""
    measure = str(o.measure)
    column = {"response": 3, "remission": 4}.get(measure.split("_")[0])
    found: np.ndarray | None = None
    if column is not None and measure.split("_", 1)[-1] in (
        "response",
        "remission",
        "difference",
        "ratio",
        "odds_ratio",
    ):
        p = [np.clip(arm[:, column], 1e-3, 1 - 1e-3) for arm in arms]
        kind = measure.split("_", 1)[-1]
        if kind in ("response", "remission"):
            found = 100 * p[0]
        elif kind == "difference":
            found = 100 * (p[0] - p[1])
        else:
            odds = [q / (1 - q) for q in p] if kind == "odds_ratio" else p
            found = odds[0] / odds[1]
    elif measure == "mean":
        found = arms[0][:, 0]
    elif measure == "change":
        found = -arms[0][:, 1]
    elif measure == "difference":
        found = arms[1][:, 1] - arms[0][:, 1]
    elif measure == "effect_size":
        pooled = np.sqrt((arms[0][:, 2] ** 2 + arms[1][:, 2] ** 2) / 2)
        # some print a gain as negative
        found = math.copysign(1.0, o.value) * (arms[0][:, 1] - arms[1][:, 1]) / pooled
    return found
