"""The one way in which data files are read: form first, then sense, all faults of a step at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from kinetamine.errors import Fault, FaultyFile, InputError
from kinetamine.records import bibliography
from kinetamine.records.form import parse_toml, record_of, records_in, rows_of, unknown

__all__ = ["check_sources", "data_folder", "raise_all", "read_csv", "read_text", "read_toml", "source_faults"]

Kind = TypeVar("Kind")
Row = TypeVar("Row", bound=BaseModel)


def data_folder() -> Any:
    """The folder of the data files that come with kinetamine."""
    return resources.files("kinetamine") / "data"


def read_text(name: str | Path, folder: Any = None) -> str:
    """The text of a data file.

    Raises
    ------
    InputError
        If it cannot be read or is not UTF-8.
    """
    path = (data_folder() if folder is None else folder) / name
    try:
        text: str = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "bytes that are not UTF-8"
        raise InputError(str(path), reason, "a readable file in UTF-8") from None
    return text


def read_toml(
    name: str,
    kind: type[Kind] | Any,
    *,
    text: str | bytes | None = None,
    folder: Any = None,
    sense: Callable[[Any], Iterable[Fault]] | None = None,
    into: list[Fault] | None = None,
) -> Any:
    """A TOML file as a record.

    Parameters
    ----------
    name : str
        Path below the folder; its last part is named in faults.
    kind : type
        A record, or a dict of records by name (`ById` tells each its name). A `format` that it does not have itself
        must be 1 or absent.
    text : str or bytes, optional
        Instead of the text of the file.
    folder : path, optional
        Instead of the data that come with kinetamine.
    sense : callable(record) → faults, optional
        What the form of single keys does not show; called when the form is right.
    into : list of Fault, optional
        Gathers the faults of the form instead of raising them, so that several files are read in one go; the sense
        of such a file is left to the caller. Without a record then None is given back.

    Raises
    ------
    FaultyFile
        With every fault of the form; else with every unknown source and all that `sense` finds.

    Examples
    --------
    >>> from kinetamine.records import Sourced
    >>> read_toml("mine.toml", dict[str, Sourced], text="[a]\\nid = 'a'\\nsorce = 'b'\\nseen = 'txt'")
    Traceback (most recent call last):
    kinetamine.errors.FaultyFile: mine.toml: 2 faults: a.seen: got 'txt'; expected text or abstract or recalled or \
    derived; try text | a.sorce: got the unknown key 'sorce'; expected a known key; try source
    """
    short = name.rpartition("/")[2]
    faults: list[Fault] = []
    tables = parse_toml(read_text(name, folder) if text is None else text, short)
    if not (isinstance(kind, type) and issubclass(kind, BaseModel) and "format" in kind.model_fields):
        format_ = tables.pop("format", 1)
        if format_ != 1:
            faults.append(Fault(f"{short}: format", repr(format_)[:60], "format = 1"))
    found = record_of(tables, kind, short, faults)
    return _judged(short, found, faults, sense, into)


def read_csv(
    name: str,
    kind: type[Row],
    *,
    text: str | None = None,
    folder: Any = None,
    sense: Callable[[Any], Iterable[Fault]] | None = None,
    into: list[Fault] | None = None,
) -> tuple[Row, ...]:
    """The rows of a CSV file as records; the parameters are those of `read_toml`.

    Raises
    ------
    FaultyFile
        With every fault of the form; else with every id given twice, unknown source and all that `sense` finds.
    """
    short = name.rpartition("/")[2]
    faults: list[Fault] = []
    rows = tuple(rows_of(read_text(name, folder) if text is None else text, kind, faults, short))
    return tuple(_judged(short, rows, faults, sense, into))


def _judged(name: str, found: Any, faults: list[Fault], sense: Any, into: list[Fault] | None) -> Any:
    if into is not None:
        into += faults
        return found
    if not faults:
        faults = [*_twice(name, found), *source_faults(name, found)]
        faults += sense(found) if sense is not None else ()
    raise_all(name, faults)
    return found


def raise_all(name: str, faults: Sequence[Fault]) -> None:
    """Raise these faults, if there are any."""
    if faults:
        raise FaultyFile(name, faults)


def _twice(name: str, found: Any) -> Iterable[Fault]:
    if not isinstance(found, tuple):
        return
    ids: set[str] = set()
    for row in found:
        one = getattr(row, "id", None)
        if one in ids:
            yield Fault(f"{name}: {one}", "given twice", "each id once")
        if one is not None:
            ids.add(one)


def source_faults(name: str, found: Any) -> list[Fault]:
    """A fault for each source named anywhere in a record that the bibliography does not have."""
    pairs = []
    for place, record in records_in(found):
        where = f"{name}: {place}." if place else f"{name}: "
        keys = [("source", getattr(record, "source", None))]
        keys += [("sources", key) for key in getattr(record, "sources", None) or ()]
        pairs += [(where + field, key) for field, key in keys if isinstance(key, str)]
    return check_sources(pairs)


def check_sources(pairs: Iterable[tuple[str, str]]) -> list[Fault]:
    """A fault for each (place, key) whose key is not in the bibliography."""
    known = bibliography.keys()
    return [
        unknown(where, key, known, "a key of sources.toml")
        for where, key in pairs
        if key and key not in known
    ]
