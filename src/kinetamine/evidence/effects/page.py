"""The validation of acute effects as a Markdown page. Every number comes from the `Report`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from kinetamine.evidence.effects.compare import CLOSE_FOLD, CLOSE_POINTS, USES, fingerprint
from kinetamine.evidence.effects.observations import DIFFERENCES
from kinetamine.evidence.effects.predict import PATIENTS
from kinetamine.evidence.tables import significant, table
from kinetamine.models import library

if TYPE_CHECKING:
    from kinetamine.evidence.effects.compare import Comparison, Report
    from kinetamine.evidence.effects.observations import Observation

__all__ = ["page"]


def page(report: Report) -> str:
    """The whole report as Markdown.

    Examples
    --------
    >>> from kinetamine.evidence.effects.compare import Report
    >>> page(Report((), ())).splitlines()[0]
    '# Validation: acute effects'
    """
    sections = dict.fromkeys(o.section for o in report.observations)
    parts = [_head(report), _summary(report)]
    parts += [text for name in sections if (text := _section(report, name))]
    parts += [_left_out(report), _sources(report)]
    return "\n\n".join(parts).rstrip() + "\n"


def _head(report: Report) -> str:
    done, total = len(report.rows_predicted), len(report.observations)
    fitted = sum(o.used_in_fit == "fit" for o in report.observations)
    return f"""# Validation: acute effects

<!-- Written by `kinetamine validate effects`. Do not edit: change the data and run it again. -->
<!-- Data and models: {fingerprint()} -->

For research and teaching only: not for treating a person, not for dosing oneself.

Of {total} published observations of onset, duration, size and frequency of acute effects, {done} are predicted by
at least one [effect model](effects.md) ({len(report.predicted)} comparisons), {total - done} by none: those stand
with the reason at the end. Nothing was tuned on this page.

- Predicted: median and 5 to 95 % of {PATIENTS} people with published variability and uncertainty. Of a share of
  people the band is what a study of the observed size would see; no band where its size is unknown. A band of no
  width means that no spread was published. Several doses: the mean of their medians, the widest ends.
- Error: fold (the larger of predicted / observed and its inverse), for shares, changes and scores predicted minus
  observed. No error beside a bound.
- Agrees: the observed range holds the predicted median, or the predicted band the observed value; else within
  {CLOSE_FOLD:g}-fold, or {CLOSE_POINTS:g} percentage points of people. A wide band agrees easily.
- Use: **predicted**, nothing of it was used; *fitted to* ({fitted} rows of [calibrated effects](fitted_effects.md));
  *the module's own*, its own number or study, which tests the program, not the model.
- Grade: see [effects](effects.md). Where a study does not say, people are adults or the children of the module."""


def _summary(report: Report) -> str:
    rows = [
        (use, kind, str(n), significant(middle), f"{agree} of {n}")
        for use, kind, n, middle, agree in report.summary()
    ]
    by = []
    for name in dict.fromkeys(o.section for o in report.observations):
        observed = [o.id for o in report.observations if o.section == name]
        free = [c for c in report.predicted if c.row.section == name and not c.row.used_in_fit]
        reached = len(report.rows_predicted.intersection(observed))
        agree = f"{sum(bool(c.agrees) for c in free)} of {len(free)}" if free else "–"
        by.append((name, str(len(observed)), str(reached), agree))
    return "\n\n".join(
        [
            "## What it comes to",
            table(("use", "error", "n", "median", "agree"), rows),
            "Comparisons in which nothing of the row was used:",
            table(("effect", "observations", "with a prediction", "agree"), by),
            "Held against the bars of the project, comparisons in which nothing of the row was used:",
            table(("what", "n", "found", "bar"), _bars(report)),
        ]
    )


#: times within this fold, and changes within this of the value or inside the printed interval
NEAR_FOLD, NEAR_CHANGE = 1.5, 3.0


def _bars(report: Report) -> list[tuple[str, ...]]:
    """Times and changes of pressure and heart rate, as the issue of the review sets them."""
    free = [c for c in report.predicted if not c.row.used_in_fit and c.error is not None and not c.row.bound]
    rows: list[tuple[str, ...]] = []
    times = [c for c in free if c.row.measure in ("onset", "peak", "offset", "duration")]
    if times:
        folds = [c.band[1] / c.row.value for c in times if c.band is not None and c.band[1] > 0]
        near = sum(max(f, 1 / f) <= NEAR_FOLD for f in folds)
        bias = math.exp(sum(math.log(f) for f in folds) / len(folds))
        rows.append(
            (
                "onset, peak, end, duration within 1.5-fold",
                str(len(times)),
                f"{near / len(times):.0%}",
                "75 %",
            )
        )
        rows.append(("their bias, geometric mean", str(len(folds)), significant(bias), "0.8 to 1.25"))
    changes = [c for c in free if c.row.measure == "change" and c.row.section == "blood pressure and heart"]
    if changes:
        near = sum(
            abs(c.error or 0.0) <= NEAR_CHANGE
            or (c.row.low or math.inf) <= c.band[1] <= (c.row.high or -math.inf)
            for c in changes
            if c.band is not None
        )
        rows.append(
            (
                "pressure and heart rate in the interval or within 3",
                str(len(changes)),
                f"{near / len(changes):.0%}",
                "all",
            )
        )
    return rows


_MEASURE = {
    "level": "concentration at the threshold",
    "value at level": "size at a held concentration",
    "cmax": "highest concentration",
    "concentration": "concentration",
    "share": "people affected",
    "peak": "time of the peak",
    "offset": "end",
}


def _section(report: Report, name: str) -> str:
    found = [c for c in report.comparisons if c.row.section == name and c.row.id in report.rows_predicted]
    if not found:
        return ""
    head = ("study", "effect", "measure", "observed", "predicted", "error", "agrees", "use", "grade", "by")
    lines = [f"## {name[0].upper()}{name[1:]}", "", table(head, [_row(c) for c in found])]
    remarks = dict.fromkeys(
        f"- {c.row.study}, {c.row.effect}: {c.row.remark}." for c in found if c.row.remark
    )
    return "\n".join([*lines, "", *remarks]) if remarks else "\n".join(lines)


def _row(c: Comparison) -> tuple[str, ...]:
    row = c.row
    measure = str(row.measure)
    words = _MEASURE.get(measure, measure)
    if row.time_min is not None and measure in ("change", "concentration"):
        words += f" at {row.time_min:g} min"
    by = f"`{c.module}`: {c.effect}" + (f"; `{c.model}`" if c.model not in ("", c.module, "no dose") else "")
    measured = "; ".join(x for x in (words, " and ".join(row.doses)) if x)
    if c.band is None:
        refused = f"refused: {c.refused}"
        return (_study(row), row.effect, measured, _observed(row), refused, "", "", "", "", by)
    error = "–" if c.error is None or row.bound else significant(c.error)
    if row.measure in DIFFERENCES and c.error is not None and c.error > 0:
        error = f"+{error}"
    predicted = significant(c.band[1])
    if math.isfinite(c.band[0]):
        predicted += f" ({significant(c.band[0])} to {'not over' if math.isinf(c.band[2]) else significant(c.band[2])})"
    return (
        _study(row),
        row.effect,
        measured,
        _observed(row),
        predicted,
        error,
        "yes" if c.agrees else "**no**",
        USES[row.used_in_fit],
        c.grade or "–",
        by,
    )


def _study(row: Observation) -> str:
    year = f" {row.year}" if row.year and str(row.year) not in row.study else ""
    size = f", n = {row.n}" if row.n else ""
    given = " ".join(x for x in (row.drug, row.route, row.dose) if x)
    return f"{row.study}{year}{size}: {row.people}; {given}"


def _observed(row: Observation) -> str:
    bound = f"{row.bound} " if row.bound else ""
    limits = f" ({row.low:g} to {row.high:g})" if row.low is not None and row.high is not None else ""
    return f"{bound}{row.value:g}{limits} {row.unit}{'' if row.seen == 'text' else f' ({row.seen})'}"


def _left_out(report: Report) -> str:
    rows = [(o.section, _study(o), o.effect, _observed(o), reason) for o, reason in report.unpredicted()]
    head = ("effect", "study", "what", "observed", "why")
    return f"## Rows nothing here can predict\n\n{len(rows)} observations.\n\n" + table(head, rows)


def _sources(report: Report) -> str:
    sources = library.sources()
    keys = sorted({o.source for o in report.observations})
    return "## Sources\n\n" + "\n".join(f"- `{key}` {sources[key].citation}" for key in keys)
