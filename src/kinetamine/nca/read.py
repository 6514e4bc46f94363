"""Curves of a table: who, when, how much was measured, and the dose before it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinetamine.dosing.row_faults import RowFaults
from kinetamine.dosing.table_checks import numbers
from kinetamine.dosing.table_columns import Column, Roles, assign, renamed
from kinetamine.dosing.table_options import TableOptions
from kinetamine.dosing.table_rows import leave_out
from kinetamine.dosing.table_source import RawTable, read_source
from kinetamine.dosing.table_time import read_time
from kinetamine.errors import Fault, FaultyFile, InputError, UnknownName
from kinetamine.nca.profile import Profile

__all__ = ["Curves", "read_curves"]

_BELOW = re.compile(r"(?i)\s*(?:<.*|blq|bql|bloq|blod|nd|n\.d\.|lloq|<?loq|ns?q)\s*")


@dataclass
class Curves:
    """The curves of a table, and what became of its columns and rows."""

    profiles: list[Profile]
    names: tuple[str, ...]
    account: tuple[Column, ...] = ()
    said: list[str] = field(default_factory=list)
    source: str = "data"


def read_curves(
    data: Any,
    group: Sequence[str],
    dose: Any,
    duration: float | None,
    lloq: float | None,
    after_dose: int | None,
    options: Mapping[str, Any],
) -> Curves:
    """Read a table as curves; see `kinetamine.nca.nca` for the arguments.

    Raises
    ------
    FaultyFile
        With every row that is wrong.
    """
    how = TableOptions.of({**options, "carry": list(group)})
    if how.also:
        raise InputError(
            "also", repr(list(how.also)), "nothing: no table of outputs is made here", "kinetamine.simulate"
        )
    opened = read_source(data, how)
    shown = list(opened.names)

    def unknown(name: str) -> None:
        raise UnknownName("rename", name, shown, "a column of the table")

    opened.names = renamed(opened.names, how.rename, unknown)
    # CENS and BLQ mark values below the limit of quantification
    roles, faults = assign(opened.names, ("CENS",), (), how)
    if "DV" not in roles.found:
        faults.append(
            Fault(
                "header",
                "no DV among " + ", ".join(shown[:12]),
                "a column of concentrations: DV, CONC",
                how.say("rename", {"Cp": "DV"}),
            )
        )
    if faults:
        raise FaultyFile(opened.name, faults)
    raw = opened.load(None, (), how)
    assert raw is not None
    leave_out(raw, how.ignore, how.accept)
    return _Reader(raw, roles, how, tuple(group), lloq).curves(dose, duration, after_dose, shown)


class _Reader:
    """Rows to curves."""

    def __init__(
        self, raw: RawTable, roles: Roles, how: TableOptions, group: tuple[str, ...], lloq: float | None
    ) -> None:
        self.raw, self.roles, self.how, self.group = raw, roles, how, group
        self.faults = RowFaults(raw.word, raw.line)
        self.n = len(raw.line)
        time = read_time(raw, roles.found, lambda column: numbers(column, raw.missing))
        bad = time.bad | np.isnan(time.values)
        shown = time.shown
        self.faults.add(bad, lambda i: f"TIME {shown[i] if shown is not None else ''}", "a time on every row")
        self.time, self.relative = time.values, time.relative
        if time.note:
            raw.tell(f"TIME is {time.note}")
        self.conc = self._concentrations(lloq)
        self.amount = self._numbers("AMT")
        self.evid = self._numbers("EVID")
        self.is_dose = np.where(
            np.isnan(self.evid), np.nan_to_num(self.amount) > 0, np.isin(self.evid, (1, 4))
        )
        self.label = self._labels()

    def _numbers(self, name: str) -> np.ndarray:
        if name not in self.roles.found:
            return np.full(self.n, math.nan)
        column = self.raw.columns[self.roles.found[name]]
        values, bad = numbers(column, self.raw.missing)
        self.faults.add(bad, lambda i: f"{name} {str(column[i])[:40]!r}", "a number", "'.' for missing")
        if name == "AMT":
            self.faults.add(values < 0, lambda i: f"AMT {values[i]:g}", "0 or more")
        return values

    def _concentrations(self, lloq: float | None) -> np.ndarray:
        """Measured values; -1 below the limit of quantification, NaN where nothing was measured."""
        import polars as pl

        index = self.roles.found["DV"]
        column = self.raw.columns[index]
        self.roles.notes[index] = "concentration"
        values, bad = numbers(column, self.raw.missing)
        below = np.zeros(self.n, bool)
        if bad.any() and column.dtype == pl.String:
            text = column.fill_null("").to_list()
            below = np.array([bool(_BELOW.fullmatch(text[i])) if bad[i] else False for i in range(self.n)])
        name = self.raw.names[index]
        self.faults.add(
            bad & ~below, lambda i: f"{name} {str(column[i])[:40]!r}", "a concentration or BLQ", "'.'"
        )
        self.faults.add(values < 0, lambda i: f"{name} {values[i]:g}", "0 or more, or BLQ", "BLQ")
        if "CENS" in self.roles.kept:
            censored, _ = numbers(self.raw.columns[self.roles.kept["CENS"]], self.raw.missing)
            below |= censored == 1
        if lloq is not None:
            if not 0 < lloq < math.inf:
                raise InputError("lloq", repr(lloq), "a limit of quantification above 0", "0.05")
            below |= values < lloq
        return np.where(below, -1.0, values)

    def _labels(self) -> list[tuple[Any, ...]]:
        columns: list[list[Any]] = []
        if "ID" in self.roles.found:
            columns.append(self.raw.columns[self.roles.found["ID"]].to_list())
        else:
            columns.append([1] * self.n)
            self.raw.tell("no column ID: all rows are one person")
        for name in self.roles.carried:
            columns.append(self.raw.columns[self.roles.carried[name]].to_list())
        return list(zip(*columns, strict=True))

    def curves(self, dose: Any, duration: float | None, after_dose: int | None, shown: list[str]) -> Curves:
        """One curve for each person and group."""
        rows: dict[tuple[Any, ...], list[int]] = {}
        for i, label in enumerate(self.label):
            rows.setdefault(label, []).append(i)
        if self.how.sort:
            rows = {label: sorted(mine, key=lambda i: self.time[i]) for label, mine in rows.items()}
        self._nominal_doses(rows)
        profiles = []
        for label, mine in rows.items():
            profile = self._curve(label, np.array(mine), dose, duration, after_dose)
            if profile is not None:
                profiles.append(profile)
        if self.faults.rules or self.faults.whole:
            raise FaultyFile(self.raw.name, self.faults.listed())
        names = ("ID", *self.roles.carried)
        account = self._account(shown)
        return Curves(profiles, names, account, list(self.raw.said), self.raw.name)

    def _account(self, shown: list[str]) -> tuple[Column, ...]:
        used = {self.roles.found["DV"]: "DV"}
        unused = {
            k
            for name, k in self.roles.found.items()
            if name in ("II", "SS", "CMT", "OCC", "ADDL", "C", "MDV")
        }
        found = []
        for column in self.roles.account(shown):
            k = column.number - 1
            if k in used:
                column = Column(column.name, column.number, "used", "DV", column.note)
            elif k in self.roles.carried.values():
                column = Column(column.name, column.number, "used", "group", column.note)
            elif k in unused:
                column = Column(column.name, column.number, "not used", "", column.note)
            found.append(column)
        return tuple(found)

    def _nominal_doses(self, rows: Mapping[tuple[Any, ...], list[int]]) -> None:
        """A dose that stands on every row of a person is a label of him, not a dose each time."""
        self.nominal: dict[tuple[Any, ...], float] = {}
        if "AMT" not in self.roles.found or "EVID" in self.roles.found:
            return
        for label, mine in rows.items():
            given = self.amount[mine]
            if len(mine) > 1 and (given > 0).all():
                if len(set(given.tolist())) > 1:
                    self.faults.whole.append(
                        Fault(
                            f"ID {label[0]}", "several doses on rows of concentrations", "one dose a person"
                        )
                    )
                self.nominal[label] = float(given[0])
                self.is_dose[mine] = False

    def _curve(
        self,
        label: tuple[Any, ...],
        rows: np.ndarray,
        dose: Any,
        duration: float | None,
        after_dose: int | None,
    ) -> Profile | None:
        said: list[str] = []
        given = rows[self.is_dose[rows]]
        start, amount, length, until = self._dose(label, rows, given, after_dose, said)
        if dose is not None:
            amount = _dose_of(dose, label)
        seen = rows[~self.is_dose[rows] & ~np.isnan(self.conc[rows])]
        # a predose sample stands before the dose of the same time
        time = self.time[seen] - start
        keep = (time >= 0) & (time <= until)
        dropped = int((~keep).sum())
        if dropped:
            said.append(f"{dropped} values before this dose or after the next left out")
        empty = int((~self.is_dose[rows] & np.isnan(self.conc[rows])).sum())
        if empty:
            said.append(f"{empty} rows without a value left out")
        seen, time = seen[keep], time[keep]
        self._check_times(label, seen, time)
        if not len(seen):
            self.raw.tell(f"ID {label[0]}: no concentrations")
            return None
        length = duration if duration is not None else length
        return Profile(label, time, self.conc[seen], amount, length or 0.0, said)

    def _dose(
        self,
        label: tuple[Any, ...],
        rows: np.ndarray,
        given: np.ndarray,
        after_dose: int | None,
        said: list[str],
    ) -> tuple[float, float | None, float, float]:
        """Time, amount and length of the dose that the curve follows, and the time to the next."""
        if not len(given):
            first = float(self.time[rows].min()) if self.relative else 0.0
            return first, self.nominal.get(label), 0.0, math.inf
        k = (after_dose or len(given)) - 1
        if not 0 <= k < len(given):
            raise InputError(
                "after_dose", str(after_dose), f"1 to {len(given)} for ID {label[0]}", "after_dose=1"
            )
        if len(given) > 1:
            said.append(f"dose {k + 1} of {len(given)}")
        row = given[k]
        until = float(self.time[given[k + 1]] - self.time[row]) if k + 1 < len(given) else math.inf
        length = 0.0
        for name in ("DUR", "RATE"):
            if name in self.roles.found:
                value = float(np.nan_to_num(self._numbers(name)[row]))
                if value > 0:
                    length = value if name == "DUR" else float(self.amount[row] / value)
        return float(self.time[row]), float(self.amount[row]), length, until

    def _check_times(self, label: tuple[Any, ...], rows: np.ndarray, time: np.ndarray) -> None:
        step = np.diff(time, prepend=-math.inf)
        back, twice = np.zeros(self.n, bool), np.zeros(self.n, bool)
        back[rows[step < 0]] = True
        twice[rows[step == 0]] = True
        who = f" of ID {label[0]}"
        self.faults.add(
            back, lambda i: f"TIME {self.time[i]:g}{who}, which goes down", "rising times", "a column ID"
        )
        cure = "a column that tells the curves apart in `group`"
        self.faults.add(
            twice, lambda i: f"TIME {self.time[i]:g}{who} a second time", "one value at each time", cure
        )


def _dose_of(dose: Any, label: tuple[Any, ...]) -> float:
    if isinstance(dose, Mapping):
        by_text = {str(key): value for key, value in dose.items()}
        if str(label[0]) not in by_text:
            raise InputError("dose", f"no dose of ID {label[0]}", "a dose for everybody", "dose=100")
        dose = by_text[str(label[0])]
    try:
        value = float(dose)
    except (TypeError, ValueError):
        raise InputError("dose", repr(dose)[:60], "a number, or one for each ID", "dose=100") from None
    if not 0 < value < math.inf:
        raise InputError("dose", repr(dose), "a dose above 0", "dose=100")
    return value
