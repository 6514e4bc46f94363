"""``kinetamine regimens``: published standard regimens by use, each with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say
from kinetamine.errors import UnknownName
from kinetamine.reproduce import published

if TYPE_CHECKING:
    from kinetamine.dosing.library import PublishedRegimen

__all__ = ["register"]

_FORMATS = ("table", "json")
_EPILOG = """Examples:

kinetamine regimens

kinetamine regimens depression_nasal_label

kinetamine regimens --use depression --format json
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("regimens", epilog=_EPILOG)(_regimens)


def _regimens(
    regimen: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One regimen, with its source.")
    ] = None,
    use: Annotated[str | None, typer.Option(metavar="USE", help="Only those for one use.")] = None,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """List published regimens by use: anaesthesia, sedation, pain, depression, status epilepticus."""
    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    from kinetamine.dosing.library import regimens

    known = regimens()
    chosen = list(known.values())
    if regimen is not None:
        if regimen not in known:
            raise UnknownName("regimen", regimen, known, "a regimen of the library")
        chosen = [known[regimen]]
    if use is not None:
        uses = list(dict.fromkeys(r.use for r in known.values()))
        if use not in uses:
            raise UnknownName("--use", use, uses, "a use")
        chosen = [r for r in chosen if r.use == use]
    if format_ == "json":
        import json

        rows = [{**r.model_dump(), "reads_as": r.regimen.describe(), "run": published(r)} for r in chosen]
        emit(json.dumps(rows if regimen is None else rows[0], ensure_ascii=False, indent=1) + "\n")
        say(DISCLAIMER)
    elif regimen is not None:
        emit(_one(chosen[0]))
    else:
        emit(_list(chosen))


def _list(chosen: list[PublishedRegimen]) -> str:
    parts: list[Any] = []
    for use in dict.fromkeys(r.use for r in chosen):
        table = grid(use, "doses", "population", right=False)
        for r in chosen:
            if r.use == use:
                mark = " (recalled)" if r.seen == "recalled" else ""
                mark += "" if r.models else " (no data to simulate it)"
                table.add_row(r.id, "\n".join(r.doses) + mark, r.population)
        parts.append(table)
    parts += ["One of them, with source and command: kinetamine regimens ID", DISCLAIMER]
    return render(*parts)


def _one(record: PublishedRegimen) -> str:
    from kinetamine.models import library
    from kinetamine.results import references

    seen = "recalled, not read in the source" if record.seen == "recalled" else f"read as {record.seen}"
    parts: list[Any] = [
        f"{record.id}: {record.title}",
        f"use: {record.use}   population: {record.population}",
        *(f"dose: {dose}" for dose in record.doses),
        f"source: {references.text(library.reference(record.source))}",
        f"place: {record.place} ({seen})",
    ]
    if record.note:
        parts.append(f"note: {record.note}")
    line = published(record)
    parts.append(f"run: {line}" if line else f"cannot be simulated: no data for {record.missing}")
    return render(*parts, DISCLAIMER)
