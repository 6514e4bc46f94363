"""``kinetamine misuse``: tolerance, dependence, bladder, overdose: published numbers for clinicians and teachers."""

from __future__ import annotations

from typing import Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import citations, source_cell, text_table
from kinetamine.cli.output import as_json, grid

__all__ = ["misuse"]


@command(
    "misuse",
    formats=("table", "json"),
    gives=("out", "cite"),
    bare=True,
    examples="""
kinetamine misuse
kinetamine misuse withdrawal
kinetamine misuse --concentration 800
kinetamine misuse --days 30 --format json
""",
)
def misuse(asked: questions.Misuse, out: Out) -> None:
    """Show what repeated use and overdose do, as published; no advice how to use."""
    from kinetamine.safety import misuse

    data: dict[str, Any] = {}
    parts: list[Any] = []
    keys: list[str] = []
    if asked.concentration is not None:
        ranges = misuse.thresholds(asked.concentration)
        data["concentration_ng_ml"] = asked.concentration
        data["ranges"] = [t.to_dict() for t in ranges]
        keys += [t.fact.source for t in ranges]
        table = text_table(range=15, it_is=9, what_was_measured=44, measured_in=18, source=24)
        for t in ranges:
            f = t.fact
            span = f"{f.low_ng_ml:g}" + (f" to {f.high_ng_ml:g}" if f.high_ng_ml != f.low_ng_ml else "")
            text = f"{f.quantity}; {f.population}" + (f"\n  {f.note}" if f.note else "")
            table.add_row(span, t.relation, text, f.matrix, source_cell(f.source, f.seen, f.place))
        parts += [f"{asked.concentration:g} ng/mL of ketamine against published ranges, in ng/mL", table]
    if asked.days is not None:
        odds = misuse.urinary_odds(asked.days)
        data["days"] = asked.days
        data["urinary_odds"] = [vars(o) for o in odds]
        keys += [o.source for o in odds]
        table = grid("symptom", "odds against no use", "source")
        for o in odds:
            table.add_row(o.symptom, f"{o.ratio:.2f}", source_cell(o.source, o.seen))
        parts += [f"{asked.days:g} days of use in half a year: an association in one survey", table]
    if asked.topic is not None:
        facts = misuse.facts(asked.topic)
        data["facts"] = [f.model_dump() for f in facts]
        keys += [f.source for f in facts]
        table = text_table(what=36, value=28, in_whom=24, source=22)
        for f in facts:
            text = f.quantity + (f"\n  {f.note}" if f.note else "")
            value = f.value if f.unit in ("class", "list") else f"{f.value} {f.unit}"
            table.add_row(text, value, f.population, source_cell(f.source, f.seen, f.place))
        parts += [misuse.topics()[facts[0].topic], table]
    if not data:
        data["topics"] = misuse.topics()
        table = grid("topic", "", "numbers", right=False)
        for name, title in misuse.topics().items():
            table.add_row(name, title, str(len(misuse.facts(name))))
        parts += [table, "One of them: kinetamine misuse withdrawal"]
    out.give(lambda: [*parts, *(citations(keys) if out.cite else ())], json=lambda: as_json(data))
