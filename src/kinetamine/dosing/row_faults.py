"""Bad rows of a table, found rule by rule and told in the order of the table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kinetamine.errors import Fault

__all__ = ["RowFaults", "ranges"]

_SHOWN = 20


class RowFaults:
    """Bad rows, found rule by rule, told in the order of the table."""

    def __init__(self, word: str, line: np.ndarray) -> None:
        self.word, self.line = word, line
        #: faults of the table as a whole
        self.whole: list[Fault] = []
        self.rules: list[tuple[np.ndarray, Callable[[int], str], str, str | Callable[[int], str]]] = []

    def add(
        self,
        bad: np.ndarray,
        given: Callable[[int], str],
        expected: str,
        try_: str | Callable[[int], str] = "",
    ) -> None:
        """A rule that `bad` rows break; `given` says of one row what it has."""
        rows = np.flatnonzero(bad)
        if len(rows):
            self.rules.append((rows, given, expected, try_))

    def listed(self) -> list[Fault]:
        """The first 20 in full, then the lines of the others."""
        pairs = sorted(
            (int(row), rule) for rule, (rows, *_) in enumerate(self.rules) for row in rows[: _SHOWN + 1]
        )
        faults = list(self.whole)
        for row, rule in pairs[:_SHOWN]:
            _, given, expected, try_ = self.rules[rule]
            cure = try_ if isinstance(try_, str) else try_(row)
            faults.append(Fault(f"{self.word} {self.line[row]}", given(row), expected, cure))
        total = sum(len(rows) for rows, *_ in self.rules)
        if total > _SHOWN:
            told = {row for row, _ in pairs[:_SHOWN]}
            rows = np.unique(np.concatenate([rows for rows, *_ in self.rules]))
            rest = self.line[[row for row in rows if row not in told]]
            more = f"{total - _SHOWN} more faults"
            where = f"{self.word}s {ranges(rest)}" if len(rest) else "the same rows"
            faults.append(Fault(where, more, "sound rows", "mending the first ones"))
        return faults


def ranges(numbers: np.ndarray, limit: int = 2000) -> str:
    """``3-7, 9, 12-14``, cut when it gets longer than anybody reads."""
    numbers = np.sort(numbers)
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[0] - 2) != 1)
    ends = np.append(starts[1:] - 1, len(numbers) - 1)
    said, size = [], 0
    for a, b in zip(numbers[starts], numbers[ends], strict=True):
        said.append(f"{a}" if a == b else f"{a}-{b}")
        size += len(said[-1]) + 2
        if size > limit:
            said.append("…")
            break
    return ", ".join(said)
