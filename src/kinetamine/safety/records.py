"""The data files of the safety desk: one folder, checked in two steps."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeVar

from pydantic import ValidationError

from kinetamine.errors import Fault, FaultyFile
from kinetamine.records import Names, Record, Seen, Sourced, check_sources, form_faults, rows_of

__all__ = ["Names", "Record", "Seen", "Sourced", "check_sources", "read_rows", "read_table", "validated"]

Row = TypeVar("Row", bound=Sourced)
Kind = TypeVar("Kind", bound=Record)


def _text(name: str) -> str:
    return (resources.files("kinetamine") / "data" / "safety" / name).read_text(encoding="utf-8")


def read_rows(name: str, kind: type[Row], text: str | None = None) -> tuple[Row, ...]:
    """The rows of a CSV file of this room (or of `text`), checked.

    Raises
    ------
    FaultyFile
        With every fault of the form, else every unknown source and every id given twice.
    """
    faults: list[Fault] = []
    rows = rows_of(_text(name) if text is None else text, kind, faults)
    if not faults:
        ids: set[str] = set()
        for row in rows:
            if row.id in ids:
                faults.append(Fault(row.id, "twice", "each id once"))
            ids.add(row.id)
        faults += check_sources((row.id, row.source) for row in rows)
    if faults:
        raise FaultyFile(name, faults)
    return tuple(rows)


def read_table(name: str) -> dict[str, Any]:
    """A TOML file of this room, not yet checked.

    Raises
    ------
    FaultyFile
        If it is not TOML of format 1.
    """
    try:
        data = tomllib.loads(_text(name))
    except tomllib.TOMLDecodeError as error:
        raise FaultyFile(name, [Fault(name, str(error), "TOML")]) from None
    if data.pop("format", None) != 1:
        raise FaultyFile(name, [Fault("format", "another format", "format = 1")])
    return data


def validated(name: str, tables: Mapping[str, Any], kind: type[Kind]) -> dict[str, Kind]:
    """Each table of a mapping as a record.

    Raises
    ------
    FaultyFile
        With every fault of the form.
    """
    faults: list[Fault] = []
    records: dict[str, Kind] = {}
    for key, table in tables.items():
        try:
            records[key] = kind.model_validate(table)
        except ValidationError as error:
            faults += form_faults(key, error)
    if faults:
        raise FaultyFile(name, faults)
    return records
