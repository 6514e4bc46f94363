"""The validation of interactions and special patients as a Markdown page. Every number comes from the `Report`."""

from __future__ import annotations

from kinetamine.evidence.interactions.compare import Report
from kinetamine.evidence.tables import significant
from kinetamine.safety import perturbations

__all__ = ["page"]

_USE = {"fit": "fitted to", "held out": "**predicted**"}


def page(report: Report) -> str:
    """The whole report as Markdown.

    Examples
    --------
    >>> page(Report(())).splitlines()[0]
    '# Validation: other drugs and diseases'
    """
    known = perturbations.load()
    fitted, close = report.counts("fit")
    kept, near = report.counts("held out")
    saturated = ", ".join(
        known.perturbations[id].name
        for id, factors in known.factors.items()
        if len(factors) >= sum(one.id == id and one.row.use == "fit" for one in report.comparisons)
    )
    folds = known.fit.assumed_fold
    head = f"""# Validation: other drugs and diseases

<!-- Written by `kinetamine validate interactions`. Do not edit: change the data and run it again. -->

For research and teaching only: not for treating a person, not for dosing oneself.

Ratios of exposure with a drug or disease over exposure without, as published and as simulated with
`{known.fit.model}` and the fitted factors (see [interactions](interactions.md)).

- **fitted to**: the factors were fitted to this ratio. It counts as reproduced within its published interval or
  1.25-fold: {close} of {fitted} do. That is no test where there are as many factors as ratios
  ({saturated}).
- **predicted**: nothing was fitted to it. It counts as predicted within 1.5-fold: {near} of {kept} do. These are
  numbers known only from memory or from a list (*recalled*); they are a weak test.
- Fold is the larger of predicted / observed and its inverse. NK is norketamine, NK/K its area over ketamine's.
"""
    rows = ["| | route | measure | observed | simulated | fold | | n | seen | source |", "|" + "---|" * 10]
    for one in report.comparisons:
        row = one.row
        limits = f" ({row.low:g}-{row.high:g})" if row.low and row.high else ""
        verdict = "yes" if one.within else "**no**"
        cells = (
            known.perturbations[one.id].name,
            row.route,
            row.measure or "",
            f"{row.ratio:g}{limits}",
            significant(one.predicted),
            significant(one.fold),
            f"{_USE[row.use]}: {verdict}",
            str(row.n or "–"),
            row.seen,
            row.source,
        )
        rows.append("| " + " | ".join(cells) + " |")
    factors = ["| | handle | factor | 95 % | n |", "|---|---|---|---|---|"]
    for id, handles in known.factors.items():
        for handle, f in handles.items():
            name, span = known.perturbations[id].name, f"{f.low:g}-{f.high:g}"
            factors.append(f"| {name} | {handle} | {f.value:g} | {span} | {f.n or '–'} |")
    low, high = known.fit.bounds
    words = f"""## Factors

Derived here (`validation/interactions/fit.py`). Ratios without a published interval are taken as known to
{folds:g}-fold (95 %); an interval that ends at {low:g} or {high:g} is open there.
"""
    quiet = [
        f"- {one.name}: {', '.join(one.routes)}"
        for one in known.perturbations.values()
        if one.status == "no change"
    ]
    none = [
        "## No change found",
        "",
        "Looked for by these routes, applied as a factor of 1, not carried over to others.",
        "",
    ]
    return "\n".join([head, *rows, "", words, *factors, "", *none, *quiet]) + "\n"
