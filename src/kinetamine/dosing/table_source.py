"""Tables as they come: text files and frames to named columns, each row with its place."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.dosing.row_faults import RowFaults
from kinetamine.errors import Fault, FaultyFile, InputError

__all__ = ["RawTable", "is_number", "read_source"]

_LARGEST = 1_000_000_000  # bytes; a table is held in memory


@dataclass
class RawTable:
    """Columns as they came, and where each row stands."""

    name: str
    names: list[str]
    columns: list[Any]  # polars Series
    line: np.ndarray
    word: str  # "line" of a file, "row" of a frame

    def refuse(self, *faults: Fault) -> FaultyFile:
        return FaultyFile(self.name, faults)

    def keep(self, rows: np.ndarray) -> None:
        """Keep these rows, by mask or by index."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        self.columns = [column.gather(index) for column in self.columns]
        self.line = self.line[index]


def read_source(source: Any) -> RawTable:
    import polars as pl

    if isinstance(source, (str, os.PathLike)):
        return _read_file(Path(source))
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
    n = len(columns[0]) if columns else 0
    return RawTable("events", names, columns, np.arange(1, n + 1), "row")


def _from_pandas(series: Any) -> Any:
    import polars as pl

    if series.dtype.kind in "fiub" and isinstance(series.dtype, np.dtype):
        return pl.Series(series.to_numpy())
    missing = series.isna().to_numpy()
    values = [None if gone else value for value, gone in zip(series.tolist(), missing, strict=True)]
    if all(
        value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)) for value in values
    ):
        return pl.Series(values, strict=False)
    return pl.Series([None if value is None else str(value) for value in values], dtype=pl.String)


def _read_file(path: Path) -> RawTable:
    name = path.name or str(path)

    def refuse(given: str, expected: str, try_: str) -> FaultyFile:
        return FaultyFile(name, [Fault("file", given, expected, try_)])

    try:
        size = path.stat().st_size
        if path.is_dir():
            raise refuse("a folder", "a CSV file", "the path of a file in it")
        if size > _LARGEST:
            raise refuse(f"{size / 1e9:.1f} GB", f"at most {_LARGEST / 1e9:g} GB", "fewer patients per file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise refuse(
            getattr(error, "strerror", None) or str(error), "a readable file", "check the path"
        ) from None
    if data[:4] == b"PK\x03\x04":
        raise refuse("an Excel workbook or zip file", "text", "saving it as CSV")
    if data[:4] == b"PAR1":
        raise refuse("a Parquet file", "text", "EventTable.read(polars.read_parquet(path))")
    if b"\0" in data:
        raise refuse("binary data", "text in UTF-8", "saving it as CSV in UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise refuse(
            f"bytes that are not UTF-8 on line {line}", "text in UTF-8", "saving it as UTF-8"
        ) from None
    return _read_text(text, name)


def _read_text(text: str, name: str) -> RawTable:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    # Comments may stand before the header, and tables that NONMEM itself wrote begin with "TABLE NO.  1".
    skipped = ("#", "TABLE NO")
    head = next((i for i, x in enumerate(lines) if x.strip() and not x.lstrip().startswith(skipped)), None)
    if head is None:
        fault = Fault("file", "no text", "a header and rows", "the columns ID TIME AMT EVID CMT")
        raise FaultyFile(name, [fault])
    header = lines[head].strip(" ")
    separator = max((",", ";", "\t"), key=header.count)
    blanks = separator not in header
    if blanks and len(header.split()) > 1:
        separator = "\t"
        lines = ["\t".join(x.split()) for x in lines]
        header = lines[head]
    empty = separator + " \t"
    rows = [i for i in range(head + 1, len(lines)) if lines[i].strip(empty) and lines[i][0] != "#"]
    names = [x.strip().strip('"').strip() for x in next(csv.reader([header], delimiter=separator))]
    if all(is_number(x) for x in names if x):
        fault = Fault(
            f"line {head + 1}", "numbers only", "the names of the columns", "ID,TIME,AMT,EVID without a #"
        )
        raise FaultyFile(name, [fault])
    if not rows:
        fault = Fault(f"line {head + 1}", "a header without rows", "one row or more", "1,0,35,0,1,1 below it")
        raise FaultyFile(name, [fault])
    line = np.array(rows, np.int64) + 1
    body = [lines[i] for i in rows]
    return RawTable(name, names, _split(body, separator, names, line, name), line, "line")


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
