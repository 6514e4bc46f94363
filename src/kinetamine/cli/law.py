"""``kinetamine law``: the legal class of ketamine, where and since when."""

from __future__ import annotations

from typing import Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import citations, source_cell, text_table
from kinetamine.cli.output import as_json, grid

__all__ = ["law"]

_NOTICE = "As read on the day of the source; laws change. Not legal advice."


@command(
    "law",
    formats=("table", "json"),
    gives=("out", "cite"),
    bare=True,
    examples="""
kinetamine law
kinetamine law US
kinetamine law "United Kingdom" --format json
""",
)
def law(asked: questions.Law, out: Out) -> None:
    """Show the legal class of ketamine: class, date, rule, source. As read, not legal advice."""
    from kinetamine.safety import law as legal

    rules = legal.law(asked.jurisdiction)

    def table() -> list[Any]:
        if asked.jurisdiction is None:
            listed = grid("code", "jurisdiction", "rules", right=False)
            for code, name in legal.jurisdictions().items():
                listed.add_row(code, name, str(sum(r.jurisdiction == code for r in rules)))
            return [listed, "One of them: kinetamine law US"]
        shown = text_table(where=14, legal_class=18, since=12, rule=42, source=24)
        for r in rules:
            text = r.rule + (f"\n  {r.note}" if r.note else "")
            since = r.date or (str(r.year) if r.year else "")
            shown.add_row(
                f"{r.jurisdiction} {r.topic}", r.schedule, since, text, source_cell(r.source, r.seen, r.place)
            )
        return [shown, *(citations(r.source for r in rules) if out.cite else ())]

    out.give(
        table, json=lambda: as_json([{**r.model_dump(), "where": r.where} for r in rules]), notice=_NOTICE
    )
