"""The validation of the course model as a Markdown page. Every number comes from the `Report`.

Numbers are rounded, so that the last bits of a machine do not change the page.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from kinetamine.course.model import CAVEAT
from kinetamine.evidence.course.compare import DESIGN_80, DESIGN_95, HELD, INSIDE_80, INSIDE_95
from kinetamine.evidence.tables import significant, table

if TYPE_CHECKING:
    from kinetamine.evidence.course.compare import Comparison, Coverage, Report

__all__ = ["page"]

_ROLE = {
    "left out": "Trials predicted by fits that had not seen them",
    "beyond": "Beyond the range of the fit",
    "pooled": "Pooled analyses",
}
_ABOUT = {
    "left out": "Each sixth of the trials left out, the model refitted without it, and a new trial of that size drawn. "
    "*As fitted*: what the whole fit makes of the trial itself; agreement there is a fit, no prediction.",
    "beyond": "Never fitted to: ketamine under anaesthesia, doses dissolved in the mouth at home. A test of reach.",
    "pooled": "Meta-analyses, never fitted to. They hold many of the trials above, so they are no new evidence.",
}
_EVIDENCE = "kept as evidence"


def page(report: Report) -> str:
    """The whole page."""
    parts = [_head(report), _summary(report), _calibration(report), _parameters(report), _sensitivity(report)]
    parts += [_role(report, role) for role in _ROLE]
    parts += [_unusable(report), _evidence(report), _sources(report)]
    return "\n\n".join(parts).rstrip() + "\n"


def _head(report: Report) -> str:
    used = len(report.comparisons)
    return f"""# Validation: the course of depression against published trials

<!-- Written by `kinetamine validate course`. Do not edit: change the data or the model and run it again. -->
<!-- trials {report.trials.digest}, model {report.account.model} {report.model_digest} -->

{CAVEAT}

{len(report.trials.arms)} arms and {len(report.trials.outcomes)} outcomes were read; {used} of the outcomes are compared
here. {len(report.unusable)} the model cannot express, they are listed at the end with the reason;
{len(report.not_compared)} say again what other rows of the same arm say (a difference beside both arms, an odds ratio).

*Published*: the number and its 95 % interval: as printed; Wilson's from n for a share; from SD or SE for a mean; where
nothing was printed a mean is taken to have an SD of 12. *Predicted*: the expectation for a new trial, and the
range in which 95 % of trials of that size would fall, what is uncertain about the model and what differs from trial to
trial included. *In*: whether the published number lies in the 95 and the 80 % range. *Holds*: whether the published
interval holds the prediction; even a true model would not attain all of that, since trials differ. A number marked
(recalled) was not read in a text."""


def _summary(report: Report) -> str:
    rows = []
    for name, c in report.summary():
        rows.append(
            (
                name, str(c.n), str(c.trials), f"{c.in95:.0%}", f"{c.in80:.0%}", f"{c.held:.0%}",
                f"{c.attainable:.0%}", f"{c.held / c.attainable:.2f}" if c.attainable else "", _verdict(name, c),
            )
        )  # fmt: skip
    head = (
        "outcomes",
        "n",
        "trials",
        "in 95 %",
        "in 80 %",
        "holds",
        "attainable",
        "holds / attainable",
        "goal",
    )
    return (
        "## What it comes to\n\n"
        + table(head, rows)
        + f"\n\nGoals, of trials left out: {INSIDE_95[0]:.0%} to {INSIDE_95[1]:.0%} of published values in the "
        f"95 % ranges, {INSIDE_80[0]:.0%} to {INSIDE_80[1]:.0%} in the 80 % ones, of every design at least "
        f"{DESIGN_95:.0%} and {DESIGN_80:.0%}; published intervals that hold the prediction at least "
        f"{HELD:.1f} of what a true model would attain. Outcomes of one trial are of the same people, so "
        "the number of trials tells how much stands behind a share."
    )


def _verdict(name: str, c: Coverage) -> str:
    in95, in80, held, attainable = c.in95, c.in80, c.held, c.attainable
    if name == "left out":
        fine = [
            INSIDE_95[0] <= in95 <= INSIDE_95[1],
            INSIDE_80[0] <= in80 <= INSIDE_80[1],
            held >= HELD * attainable,
        ]
        words = ("95 %", "80 %", "holds")
        missed = [word for word, met in zip(words, fine, strict=True) if not met]
        return "met" if not missed else f"**missed**: {', '.join(missed)}"
    if name.startswith("left out, "):
        return "met" if in95 >= DESIGN_95 and in80 >= DESIGN_80 else "**missed**"
    return ""


def _calibration(report: Report) -> str:
    rows = [(f"{level:.0%}", f"{share:.0%}") for level, share in report.calibration()]
    missed = Counter(c.trial for c in report.of("left out") if not c.in95)
    which = ", ".join(f"{trial} {n}" for trial, n in sorted(missed.items())) or "none"
    return (
        "## Calibration of the intervals\n\nOf trials left out: the share of published values inside the central "
        "interval of each level.\n\n"
        + table(("interval", "holds"), rows)
        + f"\n\nOutside the 95 % ranges: {which}."
    )


def _parameters(report: Report) -> str:
    found = report.account
    rows = []
    for name, p in found.parameters.items():
        rows.append(
            (
                name, _range(p.prior), _range(p.posterior),
                f"{p.ratio:.2f}" + (" (prior)" if found.as_prior(name) else ""), f"{p.rhat:.3f}", f"{p.ess:.0f}",
            )
        )  # fmt: skip
    head = ("parameter", "prior", "posterior", "ratio", "R-hat", "effective draws")
    return (
        f"## What was fitted\n\nTo {found.rows} rows by `python validation/course/fit.py`: {found.chains} chains, "
        f"{found.draws} draws, {found.divergences} divergences, R-hat at most {found.rhat_max:.3f}, effective draws at "
        f"least {found.ess_min:.0f}; in the folds {found.fold_divergences} divergences. Median and 90 % range. "
        "*Ratio*: spread of the posterior over that of the prior; above 0.9 the trials say next to nothing "
        "and the value is its prior.\n\n" + table(head, rows)
    )


def _range(x: tuple[float, float, float]) -> str:
    return f"{significant(x[0])} ({significant(x[1])} to {significant(x[2])})"


def _sensitivity(report: Report) -> str:
    rows = [
        (answer, ", ".join(f"{name} {change:+.2f}" for name, change in changes.items()))
        for answer, changes in report.account.sensitivity.items()
    ]
    return (
        "## What would change the answer\n\nHow far an answer moves, in its own posterior SDs, when one prior counts "
        "twice; the five largest.\n\n" + table(("answer", "priors"), rows)
    )


def _role(report: Report, role: str) -> str:
    found = report.of(role)
    rows = [_row(c) for c in found]
    head = ("trial, arm", "outcome", "when", "published", "predicted", "in 95, 80 %", "holds", "as fitted")
    return f"## {_ROLE[role]}\n\n{_ABOUT[role]}\n\n" + table(head, rows)


def _row(c: Comparison) -> tuple[str, ...]:
    published = _number(c.published, c)
    if c.low is not None and c.high is not None:
        published += f" ({_number(c.low, c)} to {_number(c.high, c)})"
    if c.seen != "text":
        published += f" ({c.seen})"
    predicted = f"{_number(c.predicted, c)} ({_number(c.ends[0], c)} to {_number(c.ends[3], c)})"
    holds = "not counted" if c.inside is None else "yes" if c.inside else "no"
    inside = "yes, yes" if c.in80 else "yes, no" if c.in95 else "**no**, no"
    fitted = "" if c.fitted is None else _number(c.fitted, c)
    return (
        f"{c.trial}, {c.arm}", c.measure.replace("_", " "), c.when, f"{published} {c.unit}", predicted, inside, holds,
        fitted,
    )  # fmt: skip


def _number(x: float, c: Comparison) -> str:
    if not math.isfinite(x):
        return "–"
    if c.measure.endswith("ratio") or c.measure == "effect_size":
        return f"{x:.2f}"
    share = c.unit == "percent" or c.measure.startswith("relapse")
    return f"{x:.0f}" if share else f"{x:.1f}"


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
