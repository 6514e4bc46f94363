"""Arms and rows of the fit, from data/trials: what each patient was given, and which published numbers are fitted to.

Readings of ours, where a row does not say enough: a change or mean without its spread has SD 12; a pooled report
stands beside its trials through the people they share (`WHOLE`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from kinetamine.course import model as course_model
from kinetamine.course.strength import sessions
from kinetamine.evidence.course import observations
from kinetamine.evidence.course.observations import SHARES, Design, Outcome, Trials

__all__ = ["RATIO", "WHOLE", "Arm", "Row", "read"]

Key = tuple[str, str]
RATIO = "relapse_hazard_ratio"
#: measures the moments know
_FITTED = (
    "response", "remission", "response_and_remission", "late_response", "mean", "change", "difference",
    "relapse", "relapse_free", "relapse_median", "stay", "lost", RATIO,
)  # fmt: skip
#: pooled report → the arms whose people it holds
WHOLE: dict[Key, tuple[Key, ...]] = {
    ("transform1_2_pooled", "esk"): (
        ("transform1", "esk56"), ("transform1", "esk84"), ("transform2", "esk_flex"),
    ),
    ("transform1_2_pooled", "placebo"): (("transform1", "placebo"), ("transform2", "placebo")),
    ("aspire_pooled", "esk"): (("aspire1", "esk"), ("aspire2", "esk")),
    ("aspire_pooled", "placebo"): (("aspire1", "placebo"), ("aspire2", "placebo")),
    ("janik2025_mono", "esk_pooled"): (("janik2025_mono", "esk56"), ("janik2025_mono", "esk84")),
}  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """One arm as the model runs it; arrays (session,)."""

    key: Key
    family: str
    days: np.ndarray
    s: np.ndarray
    r: np.ndarray
    flat: np.ndarray
    nasal: bool
    open: np.ndarray  # 1 the drug, known; 0 the drug, blinded; -1 sham
    hospital: float
    oral: float
    refractory: float
    mean: float
    sd: float
    n: float | None
    pick: str | None
    pick_day: float | None


@dataclass(frozen=True)
class Row:
    """One published number: shares in percent with n, scores and log ratios with their standard error."""

    id: str
    family: str
    arm: Key
    control: Key | None
    measure: str
    day: float
    value: float
    n: float
    se: float
    cut: float
    completers: bool

    @property
    def share(self) -> bool:
        """Whether it is a share, with a binomial error."""
        return self.measure in SHARES


@cache
def _session(phrase: str) -> tuple[float, float, float, bool]:
    reference = course_model.load("hierarchical").reference
    found = sessions(phrase, reference.dose, reference.weight_kg)
    return float(found.s[0]), float(found.r[0]), float(found.flat[0]), bool(found.nasal[0])


def _arm(design: Design, trials: Trials) -> Arm:
    nothing = (0.0, 0.0, 1.0, False)
    given = [nothing if dose == "sham" else _session(dose) for dose in design.doses]
    table = np.array([one[:3] for one in given]).reshape(-1, 3)
    days = np.array(design.session_days)
    with_drug = table[:, 0] + table[:, 1] > 0
    switches = design.switches
    published = trials.arms.get((design.trial, design.arm))
    return Arm(
        (design.trial, design.arm),
        design.family,
        days,
        table[:, 0],
        table[:, 1],
        table[:, 2],
        any(one[3] for one in given),
        np.where(with_drug, (days < design.open_until).astype(float), -1.0),
        *(switches.get(name, 0.0) for name in ("hospital", "oral_antidepressant", "refractory")),
        design.madrs_mean,
        design.madrs_sd,
        None if published is None or published.n is None else float(published.n),
        design.pick,
        design.pick_day,
    )


def _row(o: Outcome, arm: Arm) -> Row:
    assert o.measure is not None and o.day is not None and o.treated is not None
    measure, day, value = o.measure, o.day, o.value
    n = float(o.n or arm.n or 30)
    se = 1.0
    interval = (o.low, o.high) if o.interval == "95 % interval" else None
    low, high = interval or (None, None)
    if measure == RATIO:
        assert low is not None and high is not None
        se = (math.log(high) - math.log(low)) / 3.92
    elif measure == "relapse_free":
        measure, value = "relapse", 100 - value
    elif measure == "relapse_median":
        measure, day, value = "relapse", value, 50.0
    elif measure in ("mean", "change", "difference"):
        if low is not None and high is not None:
            se = (high - low) / 3.92
        elif o.spread is not None and (o.spread_kind == "SE" or measure != "difference"):
            se = o.spread / (1 if o.spread_kind == "SE" else math.sqrt(n))
        else:
            se = 12 * math.sqrt((2 if measure == "difference" else 1) / n)
    control = None if o.control is None else (o.trial, o.control)
    return Row(
        o.id, arm.family, arm.key, control, measure, float(day), value, n, se, float(o.cutoff or 12),
        o.counted == "completers",
    )  # fmt: skip


def read() -> tuple[dict[Key, Arm], list[Row]]:
    """All arms that may be fitted to, and the rows of the fit."""
    trials = observations.load()
    arms = {key: _arm(d, trials) for key, d in trials.designs.items() if d.group == "trial"}
    usable = [o for o in trials.usable() if trials.role(o) == "fit" and o.measure in _FITTED]
    have = {(o.trial, o.treated, o.measure, o.day) for o in usable}
    rows = []
    for o in usable:
        both = [
            any((o.trial, side, m, o.day) in have for m in ("change", "mean"))
            for side in (o.treated, o.control)
        ]
        if o.measure == "difference" and all(both):
            continue  # both arms stand for themselves
        if o.measure == "relapse_median" and o.treated == "esk_responders":
            continue  # not reached: a bound, no number
        rows.append(_row(o, arms[o.trial, str(o.treated)]))
    return arms, rows
