"""Clock times and dates of a table as hours: the day-time translation of NM-TRAN.

A clock (``8:30``), a date column or a date and time in one are counted from each patient's first record.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing.row_faults import RowFaults

__all__ = ["DATES", "TableTime", "read_time"]

#: date columns → order of day, month and year in them
DATES = {
    "DATE": "month/day/year",
    "DAT1": "day/month/year",
    "DAT2": "year/month/day",
    "DAT3": "year/day/month",
}
_LAST_20 = 50  # two digits of a year: 51-99 are 19.., as NM-TRAN has it
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = r"^(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?\s*([AaPp][Mm])?$"
_MOMENT = r"^(\d{4}-\d{1,2}-\d{1,2})(?:[Tt ]\s*(\d{1,2}:\d{2}(?::\d{2}(?:\.\d*)?)?)(?:[Zz]|\+00:?00)?)?$"


@dataclass
class TableTime:
    """Times of the rows in the table's own unit, and what could not be read.

    Parameters
    ----------
    values : array (row,)
        NaN where missing or unreadable.
    bad : array (row,) of bool
    shown : Series or None
        What stood there, for messages.
    relative : bool
        Whether the values are in hours and to be counted from each patient's first record.
    wrong_date : array (row,) of bool
    dates : Series or None
    note : str
        How it was read, if not as plain numbers.
    """

    values: np.ndarray
    bad: np.ndarray
    shown: Any
    relative: bool = False
    wrong_date: np.ndarray | None = None
    dates: Any = None
    date_name: str = ""
    note: str = ""
    since_midnight: np.ndarray | None = None

    def take(self, order: np.ndarray) -> None:
        """Reorder the rows."""
        self.values, self.bad = self.values[order], self.bad[order]
        self.shown = None if self.shown is None else self.shown.gather(order)
        if self.wrong_date is not None:
            self.wrong_date, self.dates = self.wrong_date[order], self.dates.gather(order)
        if self.since_midnight is not None:
            self.since_midnight = self.since_midnight[order]

    def add_date_faults(self, faults: RowFaults, rename: Any) -> None:
        """The rows whose date could not be read."""
        if self.wrong_date is None:
            return
        cure = rename({self.date_name: "DAT1"}) + " for day/month/year" if self.date_name == "DATE" else "'.'"
        expected = f"a date, {DATES[self.date_name]}"
        faults.add(self.wrong_date, lambda i: f"{self.date_name} {str(self.dates[i])[:40]!r}", expected, cure)


def read_time(raw: Any, found: Mapping[str, int], numbers: Any) -> TableTime:
    """The TIME of each row, with its date where there is one."""
    import polars as pl

    date = next((name for name in DATES if name in found), None)
    days, wrong, dates = None, None, None
    if date is not None:
        dates = raw.columns[found[date]]
        days, wrong = _days(dates, DATES[date])
    if "TIME" not in found:
        assert days is not None
        note = f"days of {date} ({DATES[date]}), in h from the first record"  # type: ignore[index]
        return TableTime(days * 24.0, np.zeros(len(days), bool), None, True, wrong, dates, date or "", note)
    column = raw.columns[found["TIME"]]
    if column.dtype in (pl.Datetime, pl.Date):
        hours = column.cast(pl.Datetime("us")).dt.epoch("us").cast(pl.Float64).fill_null(math.nan) / 3.6e9
        return TableTime(hours.to_numpy(), np.zeros(len(column), bool), column, True, note="a date and time")
    if column.dtype in (pl.Duration, pl.Time):
        unit = 3.6e12 if column.dtype == pl.Time else 3.6e9
        whole = (
            column.cast(pl.Int64)
            if column.dtype == pl.Time
            else column.cast(pl.Duration("us")).cast(pl.Int64)
        )
        hours = whole.cast(pl.Float64).fill_null(math.nan) / unit
        clock = column.dtype == pl.Time
        time = TableTime(hours.to_numpy(), np.zeros(len(column), bool), column, clock or None is not date)
        time.note = "a clock" if clock else "durations"
        if not clock:
            time.note += ", in h"
    else:
        values, bad = numbers(column)
        time = TableTime(values, bad, column)
        if bad.any() and column.dtype == pl.String:
            _clock(time, column.str.strip_chars())
    if days is not None and not time.note.startswith("a date"):
        time.since_midnight = time.values
        time.values = time.values + days * 24.0
        time.relative, time.wrong_date, time.dates, time.date_name = True, wrong, dates, str(date)
        time.note = (
            f"{time.note or 'hours'} on the day of {date} ({DATES[str(date)]}), in h from the first record"
        )
    elif time.relative:
        time.note += ", in h from the first record"
    return time


def _clock(time: TableTime, text: Any) -> None:
    """Read 8:30 and 2024-03-01T08:30 where they stand."""
    import polars as pl

    moment = text.str.extract_groups(_MOMENT).struct.unnest()
    day, hour = moment.to_series(0), moment.to_series(1)
    dated = day.is_not_null().to_numpy()
    groups = hour.fill_null("0:00") if dated.all() else pl.select(pl.coalesce(hour, text)).to_series()
    parts = groups.str.extract_groups(_CLOCK).struct.unnest()
    h, m, s = (parts.to_series(k).cast(pl.Float64, strict=False).to_numpy() for k in range(3))
    half = parts.to_series(3).str.to_lowercase()
    h = np.where((half == "pm").fill_null(False).to_numpy() & (h < 12), h + 12, h)
    h = np.where((half == "am").fill_null(False).to_numpy() & (h == 12), 0, h)
    s = np.nan_to_num(s, nan=0.0)
    hours = h + m / 60 + s / 3600
    hours[~((m < 60) & (s < 60))] = math.nan
    if dated.any():
        days, _ = _days(day, DATES["DAT2"])
        midnight = dated & hour.is_null().to_numpy()
        hours = np.where(midnight, 0.0, hours) + np.where(dated, days * 24.0, 0.0)
        # A row without a date among rows with one could be on any day.
        hours[~dated] = math.nan
    read = ~np.isnan(hours)
    if not read.any():
        return
    if (~time.bad & ~np.isnan(time.values)).any():
        return  # numbers and clocks in one column: which is meant?
    time.values = np.where(read, hours, time.values)
    time.bad = time.bad & ~read
    time.relative = True
    time.note = "a date and time" if dated.any() else "a clock"


def _days(column: Any, order: str) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970 (NaN where unreadable), and the rows that cannot be read or are missing."""
    import polars as pl

    if column.dtype in (pl.Date, pl.Datetime):
        days = column.cast(pl.Date).cast(pl.Int32).cast(pl.Float64)
        return days.fill_null(math.nan).to_numpy(), column.is_null().to_numpy()
    text = column.cast(pl.String, strict=False).str.strip_chars().str.to_lowercase().fill_null("")
    unique, codes = np.unique(text.to_numpy().astype(str), return_inverse=True)
    days = np.array([_day(one, order) for one in unique.tolist()], float)[codes]
    return days, np.isnan(days)


def _day(text: str, order: str) -> float:
    for number, month in enumerate(_MONTHS, 1):
        if month in text:
            head, _, tail = text.partition(month)
            tail = tail.lstrip("abcdefghijklmnopqrstuvwxyz")
            text, order = f"{head.strip(' -/.')}/{number}/{tail.strip(' -/.,')}", "day/month/year"
            break
    parts = re.split(r"[-/.\s]+", text)
    if not all(part.isdigit() for part in parts) or len(parts) > 3:
        return math.nan
    values = [int(part) for part in parts]
    names = order.split("/")
    if len(values) == 1:
        # One number is a day of its own count; 20240301 is a date.
        if len(parts[0]) == 8:
            return _civil(values[0] // 10000, values[0] // 100 % 100, values[0] % 100)
        return float(values[0])
    if len(values) == 2:
        names = [name for name in names if name != "year"]
    elif len(parts[0]) == 4:
        names = names if names[0] == "year" else ["year", "month", "day"]
    said = dict(zip(names, values, strict=True))
    year = said.get("year", 2001)
    if year < 100:
        year += 1900 if year > _LAST_20 else 2000
    return _civil(year, said["month"], said["day"])


def _civil(year: int, month: int, day: int) -> float:
    import datetime

    try:
        return float(datetime.date(year, month, day).toordinal() - 719163)
    except ValueError:
        return math.nan
