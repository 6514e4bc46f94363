"""The validation report as a Markdown page. Only words and tables: every number comes from the `Report`.

Numbers are written with three significant digits, so that the last bits of a machine do not change the page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kinetamine.evidence.pk.compare import fold_statistics, grouped, remarks, statistics
from kinetamine.evidence.pk.observations import METRICS, Arm, Observations
from kinetamine.evidence.tables import NONE, significant, table
from kinetamine.models import library

if TYPE_CHECKING:
    from kinetamine.evidence.pk.compare import Check, Comparison, Curve, Report, Statistics

__all__ = ["page"]

_SITE = {"same": "same", "not stated": "not stated", "mismatch": "**differs**"}
_ORIGIN = {"other": "others", "own": "**its own**", "unknown": "not known"}


def page(report: Report) -> str:
    """The whole page."""
    parts = [
        _head(report),
        _agreement(report),
        _curves(report),
        _rows(report),
        _checks(report),
        _left_out(report),
        _sources(report.observations),
    ]
    return "\n\n".join(parts).rstrip() + "\n"


# ---- how to read, what it comes to


def _head(report: Report) -> str:
    found = report.observations
    compared = {c.row for c in report.comparisons}
    rows = sum(row.count(" / ") + 1 for row in compared)
    points = [p for p in found.points if p.unusable is None]
    reached = {c.curve for c in report.curves}
    no_value = sum(v.unusable is not None for v in found.values)
    none_here = len(found.values) - no_value - rows
    point_count = sum(p.curve in reached for p in points)
    return f"""# Validation: published models against published data

<!-- Written by `kinetamine validate pk`. Do not edit: change the data or the models and run it again. -->
<!-- Data and models: {report.fingerprint} -->

For research and teaching only: not for treating a person, not for dosing oneself.

Every published exposure value and concentration curve that this library knows is simulated with every model
whose range holds it, and set beside what was measured. **Nothing is tuned**: the models stand as their
papers print them (those marked *derived* are combinations of our own and say what they were solved for), no
number was changed after looking at this page, and poor agreement is left standing.

This part is about concentrations. The others: [acute effects](validation_effects.md),
[interactions and special patients](validation_interactions.md), [course of depression](validation_course.md),
[detection](detection.md).

| | single values | points of curves |
|---|---|---|
| known | {len(found.values)} | {len(found.points)} |
| compared with at least one model | {rows} | {point_count} |
| no model here can predict it | {none_here} | {len(points) - point_count} |
| cannot be compared with anything | {no_value} | {len(found.points) - len(points)} |

{len(report.comparisons)} comparisons of single values, {len(report.curves)} of curves with models,
{len(report.checks)} checks of models against their own papers.

## How to read this

- **Prediction**: the typical patient (no variability) with the arm's mean age and weight where the source
  gives them, otherwise the model's reference (70 kg), sampled finely to 48 h after the last dose. A study
  with few or early samples sees lower peaks and shorter half-lives than this.
- **Fold error** = predicted / observed. **AFE** is the geometric mean of fold errors and shows direction,
  **AAFE** the geometric mean of their sizes: 1.3 means off by a factor of 1.3 either way on average.
- **Site**: where the blood was taken, in the study and in the model. Arterial and venous concentrations
  differ up to twofold during an infusion. *same*, *not stated* (by one of the two) and *differs* are never
  put into one figure.
- **People**: *others* is a prediction. *its own* means that the model was estimated from these very people,
  so agreement is a fit. *not known*: a pooled model whose members could not be seen.
- A racemic dose gives an S-model half of it. An S- and an R-model together predict total ketamine as their
  sum.
- Clearance, volumes and bioavailability are taken from simulated curves (dose / area, mean residence time,
  ratio of areas per dose to a bolus of the same model), as a study would; the half-life is the slope of the
  last half of the curve.
- **5-95 %**: 1,000 patients of the same age and weight with the model's own variability between people
  (seed fixed), where the model has any and the source gives a spread.
- **In interval**: the prediction lies within the published mean ± SD (± 1.96 SE, the printed limits, or the
  two ends of a published range).
- The statistics use what was observed and read in a text, in people, doses and times inside the model's
  range. Ranges, and whatever differs in those points, are in tables of their own or in the tables of rows,
  with the reason. The dose range matters for concentrations and areas only: all else does not depend on the
  dose in these models."""


def _statistic_cells(s: Statistics) -> list[str]:
    return [
        str(s.n),
        significant(s.median),
        significant(s.afe),
        significant(s.aafe),
        f"{s.within_1_25:.0%}",
        f"{s.within_2:.0%}",
    ]


_STATISTICS = ("n", "median fold", "AFE", "AAFE", "within 1.25", "within 2")


def _by(comparisons: Iterable[Comparison], keys: Sequence[str], titles: Sequence[str]) -> str:
    words = {"site": _SITE, "origin": _ORIGIN}

    def key(c: Comparison) -> str:
        return "\t".join(words.get(k, {}).get(getattr(c, k), getattr(c, k)) for k in keys)

    groups = grouped(comparisons, key)
    if not groups:
        return "None."
    rows = [[*name.split("\t"), *_statistic_cells(statistics(members))] for name, members in groups.items()]
    return table((*titles, *_STATISTICS), rows)


def _agreement(report: Report) -> str:
    counted = [c for c in report.comparisons if c.counts]
    predicted = [c for c in counted if c.origin == "other"]
    fitted = [c for c in counted if c.origin != "other"]
    outside = [c for c in report.comparisons if c.strong and c.outside and c.fold is not None and c.observed]
    quoted = [
        c for c in report.comparisons if not c.strong and not c.outside and c.fold is not None and c.observed
    ]
    keys, titles = ("model", "site"), ("model", "site")
    return "\n\n".join(
        [
            "## Agreement, single values",
            _bar(report, predicted),
            "### By model: people the model has not seen",
            _by(predicted, keys, titles),
            "### By route",
            _by(predicted, ("route", "site"), ("route", "site")),
            "### By drug given",
            _by(predicted, ("drug", "site"), ("drug", "site")),
            "### By measure",
            _by(predicted, ("metric", "site"), ("measure", "site")),
            "### By sampling site",
            _by(predicted, ("site",), ("site",)),
            "### People the model was, or may have been, estimated from",
            "A fit, not a prediction.",
            _by(fitted, ("model", "origin", "site"), ("model", "people", "site")),
            "### Outside the range of the model",
            "Observed values for which people, weight, dose or time leave the range the model was made for.",
            _by(outside, keys, titles),
            "### Published fits, numbers quoted by others, recalled numbers",
            "Weaker evidence: compared all the same, and kept apart.",
            _by(quoted, ("model", "origin", "site"), ("model", "people", "site")),
            "### Time to peak",
            _peaks(report),
        ]
    )


def _bar(report: Report, predicted: Sequence[Comparison]) -> str:
    """Concentrations and areas that nothing was fitted to, against the bar of the project."""
    alike = ("same", "not stated")
    values = [
        c.fold
        for c in predicted
        if c.site in alike and c.fold and c.metric.startswith(("Cmax", "C at", "AUC"))
    ]
    points = [
        p / o
        for curve in report.curves
        if curve.origin == "other" and curve.site in alike and not curve.outside
        for p, o in zip(curve.predicted, curve.observed, strict=True)
        if o > 0 and p > 0
    ]
    rows = []
    for what, folds in (
        ("single values", values),
        ("points of curves", points),
        ("both", [*values, *points]),
    ):
        if folds:
            sizes = np.abs(np.log(folds))
            rows.append(
                (
                    what,
                    str(len(folds)),
                    f"{np.mean(sizes <= np.log(2)):.0%}",
                    significant(np.exp(np.median(sizes))),
                )
            )
    words = (
        "Concentrations and areas of people that a model has not seen, inside its range, same sampling site or none "
        "stated, every model counted. The bar: 85 % within twofold, median fold error 1.25."
    )
    return "\n\n".join([words, table(("what", "n", "within twofold", "median fold error"), rows)])


def _peaks(report: Report) -> str:
    rows = []
    for c in report.comparisons:
        if c.difference_h is None:
            continue
        seen = f"{_range_words(c)} min" if c.observed is None else _minutes(c.observed)
        rows.append(
            [
                c.arm,
                c.analyte,
                c.model,
                seen,
                _minutes(c.predicted),
                f"{round(c.difference_h * 60):+d} min" if round(c.difference_h * 60) else "0 min",
                _SITE[c.site],
                _ORIGIN[c.origin],
            ]
        )
    head = ("arm", "analyte", "model", "observed", "predicted", "difference", "site", "people")
    return table(head, rows)


def _minutes(hours: float) -> str:
    return f"{hours * 60:.3g} min"


# ---- curves


def _curves(report: Report) -> str:
    parts = [
        "## Curves",
        "Mean concentration curves as others digitised them from the figures. **Bias** is the median "
        "prediction error, **MDAPE** the median size of it.",
    ]
    rows = []
    for curve in report.curves:
        s = fold_statistics([p / o for p, o in zip(curve.predicted, curve.observed, strict=True)])
        rows.append(
            [
                curve.curve,
                curve.analyte,
                curve.model,
                _SITE[curve.site],
                _ORIGIN[curve.origin],
                str(s.n),
                f"{curve.bias:+.0%}",
                f"{curve.mdape:.0%}",
                significant(s.aafe),
                f"{s.within_1_25:.0%}",
                f"{s.within_2:.0%}",
                "; ".join(curve.outside) or NONE,
            ]
        )
    head = (
        "curve",
        "analyte",
        "model",
        "site",
        "people",
        "n",
        "bias",
        "MDAPE",
        "AAFE",
        "within 1.25",
        "within 2",
    )
    parts.append(table((*head, "outside the model's range"), rows))
    for name, members in grouped(report.curves, lambda c: c.curve).items():
        if len(members[0].time_h) > 1:
            parts += [f"### {name}", _curve_table(members, report.observations.arms[members[0].arm])]
    return "\n\n".join(parts)


def _curve_table(members: Sequence[Curve], arm: Arm) -> str:
    first = members[0]
    doses = "; ".join(arm.doses)
    text = f"{arm.study}: {first.analyte}, ng/mL, after {doses}; {arm.sampling} samples. Predicted:"
    rows = [
        [f"{t:g}", significant(observed), *(significant(m.predicted[i]) for m in members)]
        for i, (t, observed) in enumerate(zip(first.time_h, first.observed, strict=True))
    ]
    return text + "\n\n" + table(("time, h", "observed", *(m.model for m in members)), rows)


# ---- every value


def _rows(report: Report) -> str:
    parts = [
        "## Every value",
        "One table per study arm. *Weaker evidence* marks published fits, quotes and recalled numbers; the "
        "sources of an arm are named in the last section.",
    ]
    for name, members in grouped(report.comparisons, lambda c: c.arm).items():
        parts += [f"### {name}", _arm_words(report.observations.arms[name]), _arm_table(members)]
    return "\n\n".join(parts)


def _arm_words(arm: Arm) -> str:
    people = arm.population + (f", n = {arm.n}" if arm.n else "")
    words = [
        f"{arm.study}: {people}.",
        f"{'; '.join(arm.doses)}{f' ({arm.formulation})' if arm.formulation else ''}.",
    ]
    words.append(f"Sampling: {arm.sampling}.")
    if arm.nominal_dose:
        words.append("The dose is nominal: it was not given, and does not matter for these measures.")
    words += [note for note in (arm.doses_note, arm.note) if note]
    return " ".join(words)


def _arm_table(members: Sequence[Comparison]) -> str:
    rows = []
    for c in members:
        weak = "" if c.strong else "weaker evidence"
        notes = "; ".join(filter(None, (weak, *c.outside)))
        fold = "" if c.fold is None else significant(c.fold)
        if c.difference_h is not None:
            fold = f"{round(c.difference_h * 60):+d} min"
        rows.append(
            [
                f"{c.analyte} {c.metric}",
                _unit_words(c),
                _observed_words(c),
                c.model,
                _number(c, c.predicted),
                NONE if c.band is None else " to ".join(_number(c, x) for x in c.band),
                fold,
                _yes(c.inside),
                _SITE[c.site],
                _ORIGIN[c.origin],
                notes or NONE,
            ]
        )
    head = (
        "measure",
        "unit",
        "observed",
        "model",
        "predicted",
        "5-95 %",
        "fold",
        "in interval",
        "site",
        "people",
    )
    return table((*head, "notes"), rows)


def _yes(inside: bool | None) -> str:
    return NONE if inside is None else ("yes" if inside else "**no**")


def _base(c: Comparison) -> str:
    words = {"AUC": "AUC_inf", "half-life": "t_half", "AUC ratio": "AUC_ratio"}
    if c.metric.startswith("AUC 0-"):
        return "AUC_last"
    return "C_at" if c.metric.startswith("C at") else words.get(c.metric, c.metric)


def _unit_words(c: Comparison) -> str:
    base = _base(c)
    if base == "F":
        return "%"
    if base == "Tmax":
        return "min"
    unit = METRICS[base] + ({"kg": "/kg", "70 kg": " at 70 kg"}.get(c.per or "", ""))
    return NONE if unit == "1" else unit.replace("*", "·")


def _number(c: Comparison, x: float) -> str:
    """A number in the unit of `_unit_words`."""
    if _base(c) == "Tmax":
        return f"{x * 60:.3g}"
    return significant(x * 100 if _base(c) == "F" else x)


def _observed_words(c: Comparison) -> str:
    if c.observed is None:
        return _range_words(c)
    text = _number(c, c.observed)
    if c.low is not None and c.high is not None:
        text += f" ({_number(c, c.low)} to {_number(c, c.high)})"
    return text


def _range_words(c: Comparison) -> str:
    low, high = (None if x is None else _number(c, x) for x in (c.low, c.high))
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"{low} to {high}"


# ---- each model against its own paper


def _checks(report: Report) -> str:
    parts = [
        "## Each model against its own paper",
        "Numbers that a source prints about its own model or data, and what the model file gives for the "
        "typical patient. A ratio of 1 says that the file is a faithful copy; other ratios are explained "
        "where the reason is known. Nothing was adjusted to bring them to 1.",
    ]
    for name, members in grouped(report.checks, lambda c: c.model).items():
        parts.append(f"### {name}" + (" (derived)" if members[0].status == "derived" else ""))
        summary = []
        for kind, some in grouped(members, lambda c: f"{c.output}\t{c.metric}").items():
            s = fold_statistics([c.ratio for c in some])
            low, high = min(c.ratio for c in some), max(c.ratio for c in some)
            cells = [*kind.split("\t"), str(s.n), significant(s.afe), significant(low), significant(high)]
            summary.append(cells)
        parts.append(table(("output", "measure", "n", "mean ratio", "lowest", "highest"), summary))
        if name in remarks():
            parts.append(remarks()[name])
        parts.append("<details><summary>every check</summary>\n\n" + _check_table(members) + "\n\n</details>")
    without = sorted(set(report.models) - {c.model for c in report.checks})
    if without:
        parts.append("No printed number to check was found for: " + ", ".join(without) + ".")
    return "\n\n".join(parts)


def _check_table(members: Sequence[Check]) -> str:
    rows = [
        [
            c.output,
            c.metric + (f" to {c.to_h:g} h" if c.to_h and c.metric == "AUC" else ""),
            "; ".join(c.doses),
            ", ".join(f"{k} {v:g}" for k, v in c.covariates.items()) or NONE,
            significant(c.published),
            significant(c.predicted),
            c.unit.replace("*", "·"),
            significant(c.ratio),
            c.place,
        ]
        for c in members
    ]
    head = ("output", "measure", "doses", "patient", "published", "model", "unit", "ratio", "place")
    return table(head, rows)


# ---- what is left out


def _left_out(report: Report) -> str:
    untested = sorted(
        set(report.models)
        - {name for c in report.comparisons for name in c.model.split(" + ")}
        - {name for c in report.curves for name in c.model.split(" + ")}
    )
    parts = ["## What nothing here can predict", _reasons(report.unpredicted)]
    parts += ["## What cannot be compared with anything", _reasons(report.unusable)]
    parts += ["## Models that no observation here tests", ", ".join(untested) + "." if untested else "None."]
    return "\n\n".join(parts)


def _reasons(pairs: Sequence[tuple[str, str]]) -> str:
    groups = grouped(pairs, lambda pair: pair[1])
    return table(
        ("why", "n", "rows"),
        [[why, str(len(some)), ", ".join(row for row, _ in some)] for why, some in groups.items()],
    )


def _sources(found: Observations) -> str:

    known = library.sources()
    used: dict[str, set[str]] = {}
    for fact in (*found.values, *found.points):
        used.setdefault(fact.source, set()).add(fact.arm)
    rows = []
    for key in sorted(used):
        source = known[key]
        link = f"https://doi.org/{source.doi}" if source.doi else source.url or ""
        rows.append([key, f"{source.citation}. {link}".strip(), source.seen, ", ".join(sorted(used[key]))])
    return "## Sources of the observations\n\n" + table(("key", "source", "seen", "arms"), rows)
