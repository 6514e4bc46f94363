"""``kinetamine misuse``: tolerance, dependence, bladder, overdose: published numbers for clinicians and teachers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say
from kinetamine.cli.screen import as_json, check_format, citations, source_cell, text_table

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine misuse

kinetamine misuse withdrawal

kinetamine misuse --concentration 800

kinetamine misuse --days 30 --format json
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("misuse", epilog=_EPILOG)(_misuse)


def _misuse(
    topic: Annotated[
        str | None, typer.Argument(metavar="[TOPIC]", help="Such as tolerance; without it, the list.")
    ] = None,
    concentration: Annotated[
        float | None,
        typer.Option(metavar="NG/ML", help="Compare a blood concentration with anaesthesia and deaths."),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(metavar="N", help="Odds of urinary symptoms after N days of use in half a year."),
    ] = None,
    cite: Annotated[bool, typer.Option("--cite", help="List the sources of what is shown.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """Show what repeated use and overdose do, as published; no advice how to use."""
    check_format(format_)
    from kinetamine.safety import misuse

    data: dict[str, Any] = {}
    parts: list[Any] = []
    keys: list[str] = []
    if concentration is not None:
        ranges = misuse.thresholds(concentration)
        data["concentration_ng_ml"] = concentration
        data["ranges"] = [t.to_dict() for t in ranges]
        keys += [t.fact.source for t in ranges]
        table = text_table(range=15, it_is=9, what_was_measured=44, measured_in=18, source=24)
        for t in ranges:
            f = t.fact
            span = f"{f.low_ng_ml:g}" + (f" to {f.high_ng_ml:g}" if f.high_ng_ml != f.low_ng_ml else "")
            text = f"{f.quantity}; {f.population}" + (f"\n  {f.note}" if f.note else "")
            table.add_row(span, t.relation, text, f.matrix, source_cell(f.source, f.seen, f.place))
        parts += [f"{concentration:g} ng/mL of ketamine against published ranges, in ng/mL", table]
    if days is not None:
        odds = misuse.urinary_odds(days)
        data["days"] = days
        data["urinary_odds"] = [vars(o) for o in odds]
        keys += [o.source for o in odds]
        table = grid("symptom", "odds against no use", "source")
        for o in odds:
            table.add_row(o.symptom, f"{o.ratio:.2f}", source_cell(o.source, o.seen))
        parts += [f"{days:g} days of use in half a year: an association in one survey", table]
    if topic is not None:
        facts = misuse.facts(topic)
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
    if format_ == "json":
        emit(as_json(data))
        say(DISCLAIMER)
        return
    emit(render(*parts, *(citations(keys) if cite else ()), DISCLAIMER))
