"""The validation of the course model as a Markdown page. Every number comes from the `Report`.

Numbers are rounded, so that the last bits of a machine do not change the page.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from kinetamine.course.model import CAVEAT
from kinetamine.evidence.course.predict import NEVER
from kinetamine.evidence.tables import significant, table

if TYPE_CHECKING:
    from kinetamine.evidence.course.compare import Comparison, Report

__all__ = ["page"]

_ROLE = {
    "fit": "Outcomes used in the calibration",
    "left out": "Trials left out of the calibration",
    "beyond": "Beyond the range of the calibration",
    "pooled": "Pooled analyses",
}
_ABOUT = {
    "fit": "Agreement here is a fit, not a prediction.",
    "left out": "A tenth of the trials, by the order of their hashed names, fixed before the first fit.",
    "beyond": "Never fitted to: children, ketamine under anaesthesia, doses by mouth. A test of reach.",
    "pooled": "Meta-analyses, never fitted to. They hold many of the trials above, so they are no new evidence.",
}
_EVIDENCE = "kept as evidence"


def page(report: Report) -> str:
    """The whole page."""
    parts = [_head(report), _summary(report), _parameters(report)]
    parts += [_role(report, role) for role in _ROLE]
    parts += [_unusable(report), _evidence(report), _sources(report)]
    return "\n\n".join(parts).rstrip() + "\n"


def _head(report: Report) -> str:
    used = len(report.comparisons)
    return f"""# Validation: the course of depression against published trials

<!-- Written by `kinetamine validate course`. Do not edit: change the data or the model and run it again. -->
<!-- trials {report.trials.digest}, model {report.calibration.model} {report.model_digest} -->

{CAVEAT}

{len(report.trials.arms)} arms and {len(report.trials.outcomes)} outcomes were read. The model can express {used} of the
outcomes; the other {len(report.unusable)} are listed at the end with the reason.

*Published*: the number and its 95 % interval: as printed; Wilson's from n for a share; from SD or SE for a mean.
Where nothing was given to compute an interval from, the row is shown and not counted. *Predicted*: what the model
expects, and the range in which 95 % of trials of that size would fall, the uncertainty of the fit included. *Holds*:
whether the published interval holds the prediction. A number marked (recalled) was not read in a text."""


def _summary(report: Report) -> str:
    from kinetamine.evidence.course.compare import TARGETS

    rows = []
    summary = [(name, c) for name, c in report.summary() if c.n]
    for name, c in summary:
        target = TARGETS.get(name)
        verdict = "" if target is None else f"{target:.0%}: {'met' if c.held >= target else '**missed**'}"
        rows.append(
            (
                name,
                str(c.n),
                str(c.trials),
                f"{c.held:.0%} ({c.low:.0%} to {c.high:.0%})",
                f"{c.by_trial:.0%}",
                f"{c.bias:+.2f}" if math.isfinite(c.bias) else "",
                f"{c.expected:.0%}" if math.isfinite(c.expected) and name != "pooled" else "",
                verdict,
            )
        )
    head = (
        "outcomes",
        "n",
        "trials",
        "published interval holds the prediction",
        "mean of the trials",
        "bias",
        "prediction's interval holds the published",
        "target",
    )
    return (
        "## What it comes to\n\n"
        + table(head, rows)
        + "\n\nIn brackets Wilson's 95 % interval of the share, as if outcomes were independent; those of one "
        "trial are measured in the same people, so it is too narrow, and the number of trials tells how much stands "
        "behind a share. Bias: median of predicted minus published, in half-widths of the published interval; above 0 "
        "the model says more (for a mean change: less improvement).\n\n" + _readings(report)
    )


def _readings(report: Report) -> str:
    """Which reading of "left out" meets the goal, and which does not."""
    from kinetamine.evidence.course.compare import ALONE, TARGETS, TENTHS

    found = dict(report.summary())
    split, target = found["left out"], TARGETS["left out"]
    verdicts = [
        f"{name} {'meets' if found[name].held >= TARGETS[name] else 'misses'} it ({found[name].held:.0%})"
        for name in (TENTHS, ALONE, "left out")
    ]
    missed = Counter(c.trial for c in report.of("left out") if c.inside is False)
    which = ", ".join(f"{trial} {n}" for trial, n in sorted(missed.items())) or "none"
    turn = [
        (one.family, str(one.outcomes), str(one.held_tenth), str(one.held_alone))
        for one in report.calibration.in_turn
    ]
    return (
        f"**Trials the fit had not seen.** The goal is {target:.0%}. Read in three ways: {'; '.join(verdicts)}. "
        f"The first is the main one: it counts {found[TENTHS].trials} trials, the fixed split only {split.trials} with "
        f"{split.n} outcomes, a share that chance alone moves between {split.low:.0%} and {split.high:.0%}. Intervals "
        f"of that split that miss: {which}. Its trials are in no fit, not even in those of the others left out in "
        "turn; settings of the model were chosen on the others by what they predicted when left out in turn, which "
        "makes that share a little too good.\n\nEach trial predicted by fits without it, "
        "with its tenth of the trials left out or it alone:\n\n"
        + table(("trial", "outcomes", "hold, tenth left out", "hold, it alone left out"), turn)
    )


def _parameters(report: Report) -> str:
    found = report.calibration
    rows = []
    for name, p in found.parameters.items():
        rows.append(
            (
                name,
                significant(p["value"]),
                f"{significant(p['low'])} to {significant(p['high'])}",
                significant(p["start"]),
            )
        )
    pairs = "; ".join(f"{a} with {b} ({r:+.2f})" for a, b, r in found.confounded) or "none above 0.5"
    return (
        f"## What was fitted\n\nTo {found.outcomes} outcomes by `python validation/course/calibrate.py`, which also "
        "documents the weights. The interval is the 95 % profile interval, weak priors around the start included.\n\n"
        + table(("parameter", "estimate", "95 % profile interval", "start of the fit"), rows)
        + f"\n\nConfounded (correlation of the estimates): {pairs}.\n\nLeft out: {', '.join(found.left_out)}."
    )


def _role(report: Report, role: str) -> str:
    found = report.of(role)
    rows = [_row(c) for c in found]
    head = ("trial, arm", "outcome", "when", "published", "predicted", "holds")
    return f"## {_ROLE[role]}\n\n{_ABOUT[role]}\n\n" + table(head, rows)


def _row(c: Comparison) -> tuple[str, ...]:
    published = _number(c.published, c)
    if c.low is not None and c.high is not None:
        published += f" ({_number(c.low, c)} to {_number(c.high, c)})"
    if c.seen != "text":
        published += f" ({c.seen})"
    predicted = f"{_number(c.predicted, c)} ({_number(c.predicted_low, c)} to {_number(c.predicted_high, c)})"
    holds = "not counted" if c.inside is None else "yes" if c.inside else "**no**"
    return (
        f"{c.trial}, {c.arm}",
        c.measure.replace("_", " "),
        c.when,
        f"{published} {c.unit}",
        predicted,
        holds,
    )


def _number(x: float, c: Comparison) -> str:
    if not math.isfinite(x):
        return "–"
    ratio = c.measure.endswith("ratio") or c.measure == "effect_size"
    if c.unit == "days" and x >= NEVER:
        return "never"
    return f"{x:.2f}" if ratio else f"{x:.0f}" if c.unit == "percent" else f"{x:.1f}"


def _unusable(report: Report) -> str:
    rest = [o for o in report.unusable if _EVIDENCE not in str(o.unusable)]
    reasons = Counter(str(o.unusable) for o in rest)
    rows = [
        (reason, str(n), ", ".join(sorted({o.trial for o in rest if o.unusable == reason})))
        for reason, n in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return "## What the model cannot express\n\n" + table(("reason", "outcomes", "trials"), rows)


def _evidence(report: Report) -> str:
    rows: list[tuple[str, ...]] = []
    for o in report.unusable:
        if _EVIDENCE not in str(o.unusable):
            continue
        interval = o.published()
        limits = "" if interval is None else f" ({interval[0]:g} to {interval[1]:g})"
        recalled = "" if o.seen == "text" else f" ({o.seen})"
        rows.append(
            (
                str(o.unusable).split(":")[0],
                f"{o.trial}, {o.arm}",
                f"{o.outcome.replace('_', ' ')}, {o.scale or ''}",
                o.when or "",
                f"{o.value:g}{limits} {o.unit}{recalled}",
            )
        )
    return (
        "## Other uses: evidence without a model\n\nAnxiety, PTSD, suicidality, alcohol, cocaine and opioids: "
        "no time courses to fit, so the published sizes stand here as they are.\n\n"
        + table(("use", "trial, arm", "outcome", "when", "published"), sorted(rows))
    )


def _sources(report: Report) -> str:
    from kinetamine.models import library

    sources = library.sources()
    keys = sorted(
        {o.source for o in report.trials.outcomes} | {a.source for a in report.trials.arms.values()}
    )
    return "## Sources\n\n" + "\n".join(f"- `{key}` {sources[key].citation}" for key in keys)
