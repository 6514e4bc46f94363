"""Tables as they come: text files and frames to named columns, each row with its place."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.dosing.row_faults import RowFaults, ranges
from kinetamine.dosing.table_options import TableOptions
from kinetamine.dosing.table_rows import is_character
from kinetamine.errors import Fault, FaultyFile, InputError

__all__ = ["MISSING", "RawTable", "Source", "is_number", "read_source"]

_LARGEST = 1_000_000_000  # bytes; a table is held in memory

MISSING = ("", ".", "NA", "N/A", "na", "NaN", "nan", "NAN", "null", "NULL", "None")


@dataclass
class RawTable:
    """Columns as they came, and where each row stands. A column that nobody needs may be None."""

    name: str
    names: list[str]
    columns: list[Any]  # polars Series
    line: np.ndarray
    word: str  # "line" of a file, "row" of a frame
    said: list[str] = field(default_factory=list)
    missing: tuple[str, ...] = ()

    def refuse(self, *faults: Fault) -> FaultyFile:
        return FaultyFile(self.name, faults)

    def tell(self, text: str, rows: np.ndarray | None = None) -> None:
        """Note what was done to the table, with the rows it was done to."""
        where = f" ({self.word}s {ranges(self.line[rows], 60)})" if rows is not None else ""
        self.said.append(text + where)

    def keep(self, rows: np.ndarray) -> None:
        """Keep these rows, by mask or by index."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        self.columns = [None if column is None else column.gather(index) for column in self.columns]
        self.line = self.line[index]


@dataclass
class Source:
    """A table whose columns are known by name but not yet read.

    Parameters
    ----------
    name, word : str
        What messages call it, and its rows.
    names : list of str
    said : list of str
        What was left out or changed on the way.
    read : callable
        ``read(numeric, needed)`` gives the columns and the place of each row; numbers where `numeric` says so,
        or, without it, texts (the slow way, for tables with faults and oddities).
    quick : bool
        Whether ``read`` has a quick way at all.
    """

    name: str
    word: str
    names: list[str]
    read: Callable[[Collection[int] | None, Collection[int]], tuple[list[Any], np.ndarray, list[str]] | None]
    said: list[str] = field(default_factory=list)
    quick: bool = False

    def load(
        self, numeric: Collection[int] | None, needed: Collection[int], options: TableOptions
    ) -> RawTable | None:
        """The rows; None if the quick way does not do."""
        found = self.read(numeric, needed)
        if found is None:
            return None
        columns, line, said = found
        return RawTable(
            self.name, list(self.names), columns, line, self.word, [*self.said, *said], options.missing
        )


def read_source(source: Any, options: TableOptions) -> Source:
    """Open a file, a frame, or what a file would hold (bytes).

    Raises
    ------
    InputError
        If it is no table at all.
    """
    import polars as pl

    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source), options)
    if isinstance(source, bytes):
        return _of_bytes(source, "table", options)
    if isinstance(source, pl.LazyFrame):
        source = source.collect()
    if isinstance(source, pl.DataFrame):
        names, columns = list(source.columns), [c.rechunk() for c in source.get_columns()]
    elif type(source).__module__.split(".")[0] == "pandas" and hasattr(source, "iloc"):
        names = [str(name) for name in source.columns]
        columns = [_from_pandas(source.iloc[:, j]) for j in range(len(names))]
    elif isinstance(source, Mapping):
        try:
            frame = pl.DataFrame({str(k): pl.Series(list(v), strict=False) for k, v in source.items()})
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            fault = Fault("table", str(error)[:80], "columns of equal length", "one value per row in each")
            raise FaultyFile("events", [fault]) from None
        names, columns = list(frame.columns), frame.get_columns()
    else:
        given = type(source).__name__
        raise InputError(
            "events", given, "a path, a polars or pandas frame, or a dict of columns", "'events.csv'"
        )
    columns = [_no_object(column) for column in columns]
    line = np.arange(1, (len(columns[0]) if columns else 0) + 1)
    return Source("events", "row", names, lambda numeric, needed: (list(columns), line, []))


def _no_object(column: Any) -> Any:
    """Lists and objects as texts, so that a message can show them."""
    import polars as pl

    if not (column.dtype.is_nested() or column.dtype == pl.Object):
        return column
    return pl.Series(
        column.name, [None if value is None else str(value) for value in column.to_list()], dtype=pl.String
    )


def _from_pandas(series: Any) -> Any:
    import polars as pl

    if series.dtype.kind in "fiubM" and isinstance(series.dtype, np.dtype):
        return pl.Series(series.to_numpy())
    missing = series.isna().to_numpy()
    values = [None if gone else value for value, gone in zip(series.tolist(), missing, strict=True)]
    if all(
        value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values
    ):
        return pl.Series(values, strict=False)
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def _refusal(name: str, given: str, expected: str, try_: str) -> FaultyFile:
    return FaultyFile(name, [Fault("file", given, expected, try_)])


def _read_file(path: Path, options: TableOptions) -> Source:
    name = path.name or str(path)
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise _refusal(name, "a folder", "a CSV file", "the path of a file in it")
        if size > _LARGEST:
            most = f"at most {_LARGEST / 1e9:g} GB"
            raise _refusal(name, f"{size / 1e9:.1f} GB", most, "fewer patients per file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        given = getattr(error, "strerror", None) or str(error)
        raise _refusal(name, given, "a readable file", "check the path") from None
    return _of_bytes(data, name, options)


def _of_bytes(data: bytes, name: str, options: TableOptions) -> Source:
    """The table that a file holds."""
    if data[:4] == b"PK\x03\x04":
        raise _refusal(name, "an Excel workbook or zip file", "text", "saving it as CSV")
    if data[:4] == b"PAR1":
        raise _refusal(name, "a Parquet file", "text", "EventTable.read(polars.read_parquet(path))")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):  # as Excel writes "Unicode text"
        data = data.decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    if b"\0" in data:
        raise _refusal(name, "binary data", "text in UTF-8", "saving it as CSV in UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        data.isascii() or data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        given = f"bytes that are not UTF-8 on line {line}"
        raise _refusal(name, given, "text in UTF-8", "saving it as UTF-8") from None
    return TextTable(data, name, options).source()


class TextTable:
    """A table in a text file: its header, its separator, and the two ways to its rows."""

    def __init__(self, data: bytes, name: str, options: TableOptions) -> None:
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self.data, self.name, self.options = data, name, options
        marks = {rule.strip().strip("'\"") for rule in options.ignore if is_character(rule)}
        self.letters = "@" in marks
        self.marks = tuple(sorted({"#", *marks} - {"@"}))
        self.said: list[str] = []
        self.start = 0  # where the rows begin, in bytes, and the number of their first line
        self.first_line = 1
        self.names, self.separator, self.blanks = self._header()

    def source(self) -> Source:
        return Source(self.name, "line", self.names, self.read, self.said, quick=True)

    def read(
        self, numeric: Collection[int] | None, needed: Collection[int]
    ) -> tuple[list[Any], np.ndarray, list[str]] | None:
        return self._as_text() if numeric is None else self._quickly(numeric, needed)

    # -- the header ------------------------------------------------------------------------------------

    def _header(self) -> tuple[list[str], str, bool]:
        """Names of the columns, the separator, and whether it is any amount of blank space."""
        at, number, separator, hashed = 0, 0, "", None
        while True:
            if at >= len(self.data):
                if hashed is not None:  # nothing but comments: perhaps a header without rows
                    break
                fault = Fault("file", "no text", "a header and rows", "the columns ID TIME AMT EVID CMT")
                raise FaultyFile(self.name, [fault])
            end = self.data.find(b"\n", at)
            end = len(self.data) if end < 0 else end
            text = self.data[at:end].decode("utf-8", errors="replace")
            begin, at, number = at, end + 1, number + 1
            plain = text.strip()
            if re.fullmatch(r"(?i)sep=.?", plain):  # what Excel writes for itself
                separator = plain[4:] or "\t"
            elif plain.startswith("#"):
                hashed = (text.replace("#", " ", 1), number, at)
            elif plain and not plain.startswith("TABLE NO"):
                if self.options.columns is None and (
                    hashed is None or not self._is_data(text, hashed[0], separator)
                ):
                    return self._named(text, number, at, separator)
                if hashed is not None and self.options.columns is None:
                    break
                return self._unnamed(text, number, begin, at, separator)
        text, number, at = hashed
        return self._named(text, number, at, separator)

    def _is_data(self, text: str, header: str, separator: str) -> bool:
        """Whether a line is a row under a header that a comment mark hides."""
        sep = separator or _separator(header)
        names, cells = _fields(header, sep), _fields(text, sep)
        return len(names) == len(cells) > 1 and any(is_number(cell) for cell in cells)

    def _named(self, text: str, number: int, at: int, separator: str) -> tuple[list[str], str, bool]:
        self.start, self.first_line = at, number + 1
        header = text.strip(" ")
        header = header[1:] if header.startswith("@") else header
        separator = separator or _separator(header)
        names = _fields(header, separator)
        if all(is_number(name) for name in names if name):
            cure = self.options.say("columns", "ID TIME AMT EVID")
            fault = Fault(f"line {number}", "numbers only", "the names of the columns", cure)
            raise FaultyFile(self.name, [fault])
        blank = separator == "" and len(names) > 1
        return names, "\t" if blank or separator == "" else separator, blank

    def _unnamed(
        self, text: str, number: int, begin: int, at: int, separator: str
    ) -> tuple[list[str], str, bool]:
        """The names come from the option `columns`; a header that is there all the same is passed over."""
        assert self.options.columns is not None
        names = list(self.options.columns)
        separator = separator or _separator(text)
        cells = _fields(text, separator)
        self.start, self.first_line = begin, number
        if cells and not any(is_number(cell) for cell in cells):
            self.start, self.first_line = at, number + 1
            self.said.append(f"line {number} passed over, as the columns were named: {', '.join(cells)[:60]}")
        return names, separator or "\t", separator == ""

    # -- the rows --------------------------------------------------------------------------------------

    def _quickly(
        self, numeric: Collection[int], needed: Collection[int]
    ) -> tuple[list[Any], np.ndarray, list[str]] | None:
        """By polars alone; None if anything is out of the ordinary."""
        import polars as pl

        data, last = self.data, len(self.names) - 1
        odd = self.blanks or self.letters or len(self.marks) > 1 or data.find(b'"', self.start) >= 0
        if odd or self.start >= len(data) or data.find(b"#", self.start) >= 0:
            return None
        rows = data.count(b"\n", self.start) + (not data.endswith(b"\n"))
        wanted = sorted({*needed, last})
        schema = {f"column_{k + 1}": pl.Float64 if k in numeric else pl.String for k in range(last + 1)}
        try:
            frame = pl.read_csv(
                data,
                has_header=False,
                skip_rows=self.first_line - 1,
                separator=self.separator,
                quote_char=None,
                schema=schema,
                columns=wanted,
                null_values=[one for one in MISSING if one],
            )
        except pl.exceptions.PolarsError:
            return None
        # A row that is too long is an error of polars; one that is too short leaves its last cells empty.
        short = frame.to_series(wanted.index(last)).null_count() > 0
        if short and data.count(self.separator.encode(), self.start) != rows * last:
            return None
        if len(frame) != rows:
            return None
        columns: list[Any] = [None] * len(self.names)
        for k, column in zip(wanted, frame.get_columns(), strict=True):
            columns[k] = column
        return columns, np.arange(self.first_line, self.first_line + rows), []

    def _as_text(self) -> tuple[list[Any], np.ndarray, list[str]]:
        """Line by line, every cell a text."""
        lines = self.data[self.start :].decode("utf-8").split("\n")
        if self.blanks:
            lines = ["\t".join(x.split()) for x in lines]
        empty = self.separator + " \t"
        marked: list[int] = []
        rows: list[int] = []
        for i, text in enumerate(lines):
            if not text.strip(empty):
                continue
            first = text.lstrip()[:1]
            if first in self.marks or (self.letters and (first == "@" or first.isalpha())):
                marked.append(i)
            else:
                rows.append(i)
        if not rows:
            fault = Fault(
                f"line {self.first_line - 1}",
                "a header without rows",
                "one row or more",
                "1,0,35,0,1,1 below it",
            )
            raise FaultyFile(self.name, [fault])
        line = np.array(rows, np.int64) + self.first_line
        said = []
        if marked:
            places = ranges(np.array(marked) + self.first_line, 60)
            said.append(f"{len(marked)} comment lines left out (lines {places})")
        columns = _split([lines[i] for i in rows], self.separator, self.names, line, self.name)
        return columns, line, said


def _separator(header: str) -> str:
    """Comma, semicolon or tab, whichever the header has most of; nothing for blank space."""
    separator = max((",", ";", "\t"), key=header.count)
    return separator if separator in header else ""


def _fields(text: str, separator: str) -> list[str]:
    if not separator:
        return [x.strip('"') for x in text.split()]
    return [x.strip().strip('"').strip() for x in next(csv.reader([text], delimiter=separator))]


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(body: list[str], separator: str, names: list[str], line: np.ndarray, name: str) -> list[Any]:
    """Columns of text, or a fault for every row of another length than the header."""
    import polars as pl

    n = len(names)
    cells: list[list[str]] | None = None
    if any('"' in row for row in body):
        try:
            cells = list(csv.reader(body, delimiter=separator, strict=True))
        except csv.Error as error:
            cells, reason = [], str(error)
        else:
            reason = "a line ends inside quotes"
        if len(cells) != len(body):
            expected = "quotes that close on their line"
            raise FaultyFile(name, [Fault("file", f"a quoted field: {reason}", expected, "no quotes at all")])
        sizes = np.array([len(row) for row in cells])
    else:
        sizes = np.array([row.count(separator) + 1 for row in body])
    wrong = sizes != n
    if wrong.any():
        faults = RowFaults("line", line)
        faults.add(wrong, lambda i: f"{sizes[i]} fields", f"{n}, as in the header", "'.' for a missing value")
        raise FaultyFile(name, faults.listed())
    if cells is not None:
        return [pl.Series(column, dtype=pl.String) for column in zip(*cells, strict=True)]
    frame = pl.read_csv(
        io.BytesIO("\n".join(body).encode()),
        has_header=False,
        separator=separator,
        quote_char=None,
        infer_schema_length=0,
    )
    return frame.get_columns()
