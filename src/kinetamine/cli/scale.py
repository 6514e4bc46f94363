"""``kinetamine scale``: rating scales scored by their published rules, items by number only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, render, say
from kinetamine.cli.screen import as_json, check_format, source_cell, text_table
from kinetamine.errors import InputError

if TYPE_CHECKING:
    from kinetamine.safety.instruments import Score

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine scale

kinetamine scale PHQ-9 2,2,2,1,1,1,1,1,0

kinetamine scale MADRS --total 12 --baseline 31 --format json

kinetamine scale MOAA/S 4
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("scale", epilog=_EPILOG)(_scale)


def _scale(
    name: Annotated[
        str | None, typer.Argument(metavar="[SCALE]", help="Such as PHQ-9; without it, all scales.")
    ] = None,
    items: Annotated[
        str | None, typer.Argument(metavar="[ITEMS]", help="The items in order, such as 2,1,0,3.")
    ] = None,
    total: Annotated[
        int | None, typer.Option(metavar="N", help="The total itself, instead of the items.")
    ] = None,
    baseline: Annotated[
        int | None, typer.Option(metavar="N", help="An earlier total, for response and change.")
    ] = None,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """Score a rating scale: total, band, cut-offs, response and remission, with source and licence."""
    check_format(format_)
    from kinetamine.safety import instruments

    if name is None:
        if format_ == "json":
            plain = {k: i.model_dump(mode="json") for k, i in instruments.instruments().items()}
            emit(as_json(plain))
        else:
            emit(_list())
        return
    numbers = None if items is None else [_number(x) for x in items.split(",")]
    score = instruments.score(name, numbers, total=total, baseline=baseline)
    if format_ == "json":
        emit(as_json(score.to_dict()))
        say(DISCLAIMER)
    else:
        emit(_one(score))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InputError("ITEMS", repr(text), "whole numbers with commas between", "2,1,0,3") from None


def _list() -> str:
    from kinetamine.safety import instruments

    table = text_table(scale=11, name=30, items=7, total=9, rater=12, licence=38)
    for key, i in instruments.instruments().items():
        total = f"{i.total[0]} to {i.total[1]}" if i.scored else "none"
        licence = i.licence.status + (" (recalled)" if i.licence.seen == "recalled" else "")
        table.add_row(i.also[0] if i.also else key, i.name, str(i.items or "-"), total, i.rater, licence)
    return render(table, "Score one: kinetamine scale PHQ-9 2,2,2,1,1,1,1,1,0")


def _verdict(what: str, yes: bool, s: Score) -> str:
    return f"{what}: {'yes' if yes else 'no'}" + ("   (recalled)" if what in s.recalled else "")


def _one(s: Score) -> str:
    lines = [f"{s.name}: {s.total} of {s.lowest} to {s.highest}"]
    if s.band:
        lines.append(f"band: {s.band}   ({source_cell(s.source, s.seen)})")
    lines += [f"band by {name}: {band}" for name, band in s.other_bands.items()]
    lines += [f"flag: {flag}" for flag in s.flags]
    if s.change_percent is not None:
        lines.append(f"change from baseline: {s.change_percent:+.0f} %")
    if s.response is not None:
        lines.append(_verdict("response", s.response, s))
    lines += [_verdict(f"remission ({name})", yes, s) for name, yes in s.remission.items()]
    lines += [f"remark: {r}" for r in s.remarks]
    lines.append(f"licence: {s.licence}{' (recalled)' if s.licence_seen == 'recalled' else ''}")
    table = text_table(rule=28, as_printed=48, source=32)
    for e in s.evidence:
        table.add_row(e["field"], e["value"], source_cell(e["source"], e["seen"]))
    parts: list[Any] = [*lines, table, DISCLAIMER]
    return render(*parts)
