"""``kinetamine regimens``: published standard regimens by use, each with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid
from kinetamine.reproduce import published

if TYPE_CHECKING:
    from kinetamine.dosing.library import PublishedRegimen

__all__ = ["regimens"]


@command(
    "regimens",
    formats=("table", "json"),
    gives=("out",),
    bare=True,
    examples="""
kinetamine regimens
kinetamine regimens depression_nasal_label
kinetamine regimens --use depression --format json
""",
)
def regimens(asked: questions.Regimens, out: Out) -> None:
    """List published regimens by use: anaesthesia, sedation, pain, depression, status epilepticus."""
    from kinetamine.dosing.library import chosen

    rows = chosen(asked.id, asked.use)
    plain = [{**r.model_dump(), "reads_as": r.regimen.describe(), "run": published(r)} for r in rows]
    one = asked.id is not None
    out.give(
        lambda: _one(rows[0]) if one else _list(rows),
        json=lambda: as_json(plain[0] if one else plain),
    )


def _list(chosen: list[PublishedRegimen]) -> list[Any]:
    parts: list[Any] = []
    for use in dict.fromkeys(r.use for r in chosen):
        table = grid(use, "doses", "population", right=False)
        for r in chosen:
            if r.use == use:
                mark = " (recalled)" if r.seen == "recalled" else ""
                mark += "" if r.models else " (no data to simulate it)"
                table.add_row(r.id, "\n".join(r.doses) + mark, r.population)
        parts.append(table)
    return [*parts, "One of them, with source and command: kinetamine regimens ID"]


def _one(record: PublishedRegimen) -> list[Any]:
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
    return parts
