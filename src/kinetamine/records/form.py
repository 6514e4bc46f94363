"""The form of data files: TOML and CSV as pydantic records, every fault with its place and the nearest names."""

from __future__ import annotations

import csv
import re
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from kinetamine.errors import Fault, FaultyFile, nearest

__all__ = [
    "ById",
    "Record",
    "Seen",
    "Sourced",
    "form_faults",
    "parse_toml",
    "record_of",
    "records_in",
    "rows_of",
    "unknown",
]

Seen = Literal["text", "abstract", "recalled", "derived"]


class Record(BaseModel):
    """A row or table of a file: unknown names are faults, empty cells are absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {k: v for k, v in data.items() if v not in ("", None)}
        return data


class Sourced(Record):
    """A fact with its birth."""

    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    place: str = ""
    seen: Seen
    note: str = ""


Kind = TypeVar("Kind")
Row = TypeVar("Row", bound=BaseModel)


def _with_ids(tables: Any) -> Any:
    if not isinstance(tables, Mapping):
        return tables
    return {k: {"id": k, **table} if isinstance(table, Mapping) else table for k, table in tables.items()}


#: tables by name, each of which knows its name as `id`
ById = Annotated[dict[str, Kind], BeforeValidator(_with_ids)]


# --- TOML --------------------------------------------------------------------------------------------


def parse_toml(content: str | bytes, name: str) -> dict[str, Any]:
    """The plain tables of a TOML text.

    Raises
    ------
    FaultyFile
        With the line, if it is not TOML in UTF-8.

    Examples
    --------
    >>> parse_toml("a = 1; b = 2", "mine.toml")
    Traceback (most recent call last):
    kinetamine.errors.FaultyFile: mine.toml: 1 fault: line 1, column 6: ...; try one entry per line, without ';'
    """
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
    except UnicodeDecodeError as error:
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        where = f"{name}: line {line}"
        fault = Fault(where, "bytes that are not UTF-8", "a text file", "saving it as UTF-8")
        raise FaultyFile(name, [fault]) from None
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise FaultyFile(name, [_not_toml(str(error), text, name)]) from None
    except ValueError:
        given, expected = "a number with thousands of digits", "numbers as they are published"
    except RecursionError:
        given, expected = "lists nested without end", "a few levels"
    raise FaultyFile(name, [Fault(name, given, expected)])


def _not_toml(message: str, text: str, name: str) -> Fault:
    place = re.search(r"\s*\(at (?:line (\d+), (column \d+)|end of document)\)$", message)
    line = int(place[1]) if place and place[1] else text.count("\n") + 1
    where = f"{name}: line {line}" + (f", {place[2]}" if place and place[2] else "")
    said = message[: place.start()] if place else message
    lines = text.splitlines()
    return Fault(
        where,
        f"text that TOML cannot read ({said[:150]})",
        "TOML",
        _cure(lines[line - 1] if line <= len(lines) else ""),
    )


def _cure(line: str) -> str:
    if ";" in line.partition("#")[0]:
        return "one entry per line, without ';'"
    if re.match(r"\s*[\w-]+ +[\w-]+.*=", line):
        return "quotes around a name with spaces"
    match = re.match(r"\s*([\w.-]+)\s*=\s*([A-Za-z].*)", line)
    if match and match[2] not in ("true", "false"):
        return f'quotes around the text: {match[1]} = "{match[2][:40]}"'
    return ""


def record_of(data: Any, kind: Any, where: str, faults: list[Fault]) -> Any:
    """Plain tables as a record of `kind` (a record, or a dict or list of records); None if the form is wrong."""
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        faults += form_faults(where, error, kind)
        return None


# --- CSV ---------------------------------------------------------------------------------------------


def rows_of(text: str, kind: type[Row], faults: list[Fault], name: str = "") -> list[Row]:
    """The rows of a CSV text; what is wrong with their form goes to `faults`."""
    rows = []
    reader = csv.DictReader(text.splitlines())
    for cells in reader:
        where = f"{name} line {reader.line_num}".strip()
        if None in cells or None in cells.values():
            expected = f"{len(reader.fieldnames or ())} cells, as in line 1"
            faults.append(Fault(where, "another number of cells", expected))
            continue
        try:
            rows.append(kind.model_validate(cells))
        except ValidationError as error:
            faults += form_faults(where, error, kind)
    return rows


# --- faults ------------------------------------------------------------------------------------------


def form_faults(where: str, error: ValidationError, kind: Any = None) -> list[Fault]:
    """One fault for each cell or key that does not fit; a misspelt key is not also a missing one."""
    items = error.errors(include_url=False)
    meant = {
        (*item["loc"][:-1], near)
        for item in items
        if item["type"] == "extra_forbidden"
        for near in nearest(str(item["loc"][-1]), _keys(kind, item["loc"][:-1]), 1)
    }
    return [
        _fault(where, item, kind) for item in items if item["type"] != "missing" or item["loc"] not in meant
    ]


def _fault(where: str, item: Any, kind: Any) -> Fault:
    loc, type_ = item["loc"], item["type"]
    place = f"{where}: {'.'.join(str(part) for part in loc)}" if loc else where
    given = repr(item["input"])
    given = given if len(given) <= 80 else given[:77] + "..."
    if type_ == "missing":
        return Fault(place, "nothing", "a value")
    if type_ == "extra_forbidden":
        known = _keys(kind, loc[:-1])
        close = nearest(str(loc[-1]), known, 2)
        expected = "a known key" if close or not known else "one of " + ", ".join(known)
        return Fault(place, f"the unknown key {str(loc[-1])[:60]!r}", expected, " or ".join(close))
    if type_ == "literal_error":
        options = re.findall(r"'([^']*)'", item["ctx"]["expected"])
        return Fault(place, given, " or ".join(options), " or ".join(nearest(str(item["input"]), options, 1)))
    return Fault(place, given, item["msg"][0].lower() + item["msg"][1:])


def _keys(kind: Any, loc: Iterable[str | int]) -> list[str]:
    """The keys that the record at a place may have."""
    for part in loc:
        if part == "[key]":
            return []
        kind = _step(_plain(kind), part)
    kind = _plain(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []


def _step(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if part in (name, field.alias):
                return field.annotation
        return None
    args = get_args(kind)
    if get_origin(kind) is dict and len(args) == 2:
        return args[1]
    return args[0] if args and get_origin(kind) in (list, tuple) else None


def _plain(kind: Any) -> Any:
    """Without Annotated and None; of several the first that is a record."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        options = [_plain(one) for one in get_args(kind) if one is not type(None)]
        records = [one for one in options if isinstance(one, type) and issubclass(one, BaseModel)]
        return (records or options or [None])[0]
    return kind


def unknown(where: str, given: str, known: Iterable[str], expected: str = "a known name") -> Fault:
    """A name that nothing has, with the nearest that are there."""
    return Fault(where, repr(given), expected, " or ".join(nearest(given, known)))


# --- inside ------------------------------------------------------------------------------------------


def records_in(found: Any, place: str = "") -> Iterator[tuple[str, BaseModel]]:
    """Every record in a record, a mapping or a list of them, with its place.

    Examples
    --------
    >>> fact = Sourced(id="a", source="otto_2021", seen="text")
    >>> [place for place, _ in records_in({"x": [fact]})]
    ['x.a']
    """
    if isinstance(found, BaseModel):
        yield place, found
        for name in type(found).model_fields:
            yield from records_in(getattr(found, name), f"{place}.{name}".lstrip("."))
    elif isinstance(found, Mapping):
        for key, value in found.items():
            yield from records_in(value, f"{place}.{key}".lstrip("."))
    elif isinstance(found, list | tuple):
        for number, value in enumerate(found):
            word = getattr(value, "id", None) or number
            yield from records_in(value, f"{place}.{word}".lstrip("."))
