"""``kinetamine law``: the legal class of ketamine, where and since when."""

from __future__ import annotations

from typing import Annotated

import typer

from kinetamine.cli.output import emit, grid, render
from kinetamine.cli.screen import as_json, check_format, citations, source_cell, text_table

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine law

kinetamine law US

kinetamine law "United Kingdom" --format json
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("law", epilog=_EPILOG)(_law)


def _law(
    jurisdiction: Annotated[
        str | None, typer.Argument(metavar="[JURISDICTION]", help="A code or name; without it, the list.")
    ] = None,
    cite: Annotated[bool, typer.Option("--cite", help="List the sources of what is shown.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """Show the legal class of ketamine: class, date, rule, source. As read, not legal advice."""
    check_format(format_)
    from kinetamine.safety import law as legal

    rules = legal.law(jurisdiction)
    if format_ == "json":
        emit(as_json([{**r.model_dump(), "where": r.where} for r in rules]))
        return
    if jurisdiction is None:
        table = grid("code", "jurisdiction", "rules", right=False)
        for code, name in legal.jurisdictions().items():
            table.add_row(code, name, str(sum(r.jurisdiction == code for r in rules)))
        emit(render(table, "One of them: kinetamine law US"))
        return
    table = text_table(where=14, legal_class=18, since=12, rule=42, source=24)
    for r in rules:
        text = r.rule + (f"\n  {r.note}" if r.note else "")
        since = r.date or (str(r.year) if r.year else "")
        source = source_cell(r.source, r.seen, r.place)
        table.add_row(f"{r.jurisdiction} {r.topic}", r.schedule, since, text, source)
    more = citations(r.source for r in rules) if cite else []
    emit(render(table, *more, "As read on the day of the source; laws change. Not legal advice."))
