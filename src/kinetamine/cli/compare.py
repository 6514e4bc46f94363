"""``kinetamine compare``: the same dose through every published model that applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid, say

if TYPE_CHECKING:
    from kinetamine.comparison import Comparison

__all__ = ["compare"]


@command(
    "compare",
    formats=("table", "json", "csv"),
    gives=("out", "figure", "cite"),
    examples="""
kinetamine compare --dose "0.5 mg/kg iv over 40 min" --set weight=70
kinetamine compare --dose "28 mg esketamine iv over 40 min" --patients 500 --age 18-64 --until "8 h"
kinetamine compare --dose "28 mg esketamine iv over 40 min" --analyte S-norketamine --format csv
""",
)
def compare(asked: questions.Compare, out: Out) -> None:
    """The same dose through every published model that applies, and how far they are apart."""
    from kinetamine.comparison import compare
    from kinetamine.questions import people

    found = compare(asked.doses, people.of(asked, "--", uncertainty=False), notify=say, **asked.arguments())

    out.give(
        lambda: _table(found, named=bool(asked.model)),
        json=lambda: as_json(found.to_dict(), indent=None),
        csv=lambda: found.frame().write_csv(),
        sources=lambda: _sources(found),
        figure=lambda figures: figures.comparison(found, doses=found.doses),
    )


def _sources(found: Comparison) -> list[str]:
    return list(dict.fromkeys(source for row in found for source in row.source.split(" | ")))


def _table(found: Comparison, named: bool) -> list[Any]:
    from rich.text import Text

    from kinetamine.comparison import near_misses

    who = "one typical patient" if found.typical else f"{found.n:,} people, medians"
    parts: list[Any] = [f"{'; '.join(d.describe() for d in found.doses[:1])}: {found.drug}, {who}"]
    table = grid("model", "Cmax", "Tmax, h", "AUC", "half-life, h", "grade")
    table.columns[-1].no_wrap = True
    place = None
    for row in found:
        if (row.analyte, row.site) != place:
            place = (row.analyte, row.site)
            table.add_row(Text(f"{row.analyte}, {row.site}, {row.unit}", "bold"))
        half = "–" if row.half_life_h is None else f"{row.half_life_h:.3g}"
        table.add_row(
            f"  {row.model}", f"{row.cmax:.3g}", f"{row.tmax_h:.2f}", f"{row.auc:.3g}", half, row.grade
        )
    parts.append(table)
    parts += [
        f"{s.analyte}, {s.site}: highest through lowest of {s.models} models: "
        f"Cmax {s.cmax:.2f}, AUC {s.auc:.2f}"
        for s in found.spread
    ]
    parts.append(f"AUC: {found[0].unit} times h, to the last time ({found[0].time_h[-1]:g} h).")
    reasons: dict[str, list[str]] = {}
    for row in found:
        reasons.setdefault("; ".join(row.reasons), []).append(row.model)
    parts += [f"{', '.join(dict.fromkeys(models))}: {why}" for why, models in reasons.items() if why]
    near = found.refused if named else near_misses(found.refused)
    if found.refused:
        far = len(found.refused) - len(near)
        others = f" {far} more have no such route or lack published numbers." if far else ""
        parts += ["", f"Do not apply:{others}", *(f"- {name}: {why}" for name, why in near.items())]
    return parts
