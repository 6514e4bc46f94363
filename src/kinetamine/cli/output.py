"""Where words and data go: data to standard output, messages to standard error, files whole or not at all."""

from __future__ import annotations

import contextlib
import sys
import time
from types import TracebackType
from typing import Any

from kinetamine.files import check_writable, write_whole

__all__ = [
    "DISCLAIMER",
    "PipeClosed",
    "Progress",
    "as_json",
    "check_writable",
    "emit",
    "grid",
    "render",
    "say",
    "write_whole",
]

DISCLAIMER = "For research and teaching only: not for treating a person, not for dosing oneself."

#: a page that is not a terminal is so wide; a column of words is readable from so many letters on
_PAGE, _READABLE = 110, 16

#: the command line being run, for reports to repeat
command = "kinetamine"


class PipeClosed(Exception):
    """Nobody reads standard output any more."""


def say(line: str) -> None:
    """One message on standard error; never fails."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def emit(data: str | bytes) -> None:
    """Data on standard output.

    Raises
    ------
    PipeClosed
        If the reader has gone.
    """
    try:
        if isinstance(data, bytes):
            sys.stdout.buffer.write(data)
        else:
            sys.stdout.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        raise PipeClosed from None


def render(*parts: Any, plain: bool = False, width: int | None = None) -> str:
    """Rich tables and lines as text; coloured, and as wide as it, only when standard output is a terminal."""
    import io

    from rich.console import Console
    from rich.table import Table

    terminal = sys.stdout.isatty() and not plain
    buffer = io.StringIO()
    wide = width or (None if terminal else _PAGE)
    console = Console(file=buffer, force_terminal=terminal, width=wide, highlight=False)
    for part in parts:
        if isinstance(part, Table) and console.width < _PAGE and not _fits(part, console.width):
            for line in _cards(part):
                console.print(line, markup=False)
            continue
        console.print(part, markup=False, soft_wrap=isinstance(part, str) and not terminal)
    return buffer.getvalue()


def _fits(table: Any, width: int) -> bool:
    """Whether a table can be so narrow without cutting a word or making a column one word wide; sets its columns."""
    ratios = sum(column.ratio or 0 for column in table.columns)
    spare = width - 3 * len(table.columns)
    for column in table.columns:
        lines = [line for cell in column.cells for line in str(cell).splitlines()]
        longest = max(map(len, " ".join([str(column.header), *lines]).split()), default=1)
        natural = max(map(len, lines), default=1)
        least = max(longest, min(natural, _READABLE))
        if ratios and column.ratio and spare * column.ratio // ratios < least:
            return False
        column.min_width, column.overflow = least, "fold"
    return ratios > 0 or sum(column.min_width for column in table.columns) <= spare


def _cards(table: Any) -> list[Any]:
    """The rows of a table one under the other: what the first column says, and under it the others by name."""
    from rich.padding import Padding
    from rich.text import Text

    heads = [str(column.header) for column in table.columns]
    lines: list[Any] = [""]
    for first, *others in zip(*(list(column.cells) for column in table.columns), strict=True):
        lines.append(first if isinstance(first, Text) else Text(str(first), "bold"))
        told = [
            f"{head} {', '.join(map(str.strip, str(cell).splitlines()))}".strip()
            for head, cell in zip(heads[1:], others, strict=True)
            if str(cell).strip()
        ]
        if told:
            lines.append(Padding(Text("; ".join(told)), (0, 0, 0, 4)))
    return [*lines, ""]


def as_json(data: Any, indent: int | None = 1) -> str:
    """JSON as commands print it.

    Examples
    --------
    >>> as_json({"x": [1.0, None]}, indent=None)
    '{"x": [1.0, null]}\\n'
    """
    import json

    return json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False) + "\n"


def grid(*columns: str, right: bool = True) -> Any:
    """An empty table: the first column is text, the others are numbers unless told otherwise."""
    from rich import box
    from rich.table import Table

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns[1:] if right else ():
        column.justify = "right"
    return table


class Progress:
    """A bar on standard error (a terminal) once work has lasted a second; a sentence when asked to notify."""

    def __init__(self, quiet: bool = False, what: str = "patients") -> None:
        self._quiet = quiet
        self._what = what
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def notify(self, text: str) -> None:
        """Say what is being waited for."""
        if not self._quiet:
            say(text)

    def progress(self, done: int, total: int) -> None:
        """Move the bar; called with how many are done and how many there are."""
        if self._bar is None:
            if self._quiet or not sys.stderr.isatty() or time.monotonic() - self._start < 1 or done >= total:
                return
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            self._bar = Bar(
                self._what,
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=total)
        self._bar.update(self._task, completed=done, total=total)
