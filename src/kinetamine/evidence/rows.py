"""How every table of evidence is read: rows checked for form, all faults gathered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from kinetamine.errors import Fault, InputError, nearest
from kinetamine.records import Record, form_faults, rows_of

__all__ = ["Record", "form_faults", "read_rows", "read_text", "unknown"]

Row = TypeVar("Row", bound=Record)


def read_text(root: Any, name: str) -> str:
    """The text of one file of a folder (a path or a resource of the package)."""
    path = root.joinpath(name)
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), type(error).__name__, "a readable file in UTF-8") from None


def read_rows(root: Any, name: str, kind: type[Row], faults: list[Fault]) -> list[Row]:
    """The rows of a CSV file; what is wrong with their form goes to `faults`."""
    return rows_of(read_text(root, name), kind, faults, name)


def unknown(where: str, given: str, known: Iterable[str]) -> Fault:
    """A name that nothing has, with the nearest that are there."""
    return Fault(where, repr(given), "a known name", " or ".join(nearest(given, known)))
