"""Event tables in the manner of NONMEM: one row per dose, observation or other event, in and out.

A table is checked once, at the door, with whole-column rules; every bad row is named, all at once. Behind the
door it is plain arrays in inside units (h, mg, mg/h). The columns and rules are in docs/dosing.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.dosing.row_faults import RowFaults
from kinetamine.dosing.table_checks import COLUMNS, MISSING, check_table, keys, numbers
from kinetamine.dosing.table_source import RawTable, read_source
from kinetamine.dosing.words import HOURS, MASS
from kinetamine.errors import Fault, UnknownName, nearest
from kinetamine.files import write_whole

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "EventTable"]


@dataclass(frozen=True, eq=False)
class EventTable:
    """A checked table of events, one element per row in the order of the table.

    Parameters
    ----------
    id : list
        Label of the patient on each row, as it was written.
    subject : array of int
        Number of the patient, 0, 1, 2 …
    time_h, amount, rate, duration_h, ii_h : array of float
        h, mg, mg/h, h, h. On a dose at most one of `rate` and `duration_h` is not 0: a given rate stays
        when the entry's bioavailability is not 1, a given duration likewise. `rate` is -1 (-2) where
        the model has its own rate (duration).
    evid, addl, ss, mdv : array of int
    cmt : array of object
        Number (int), name (str) or None where the table says nothing or 0.
    occasion : array of int or None
    columns : dict of array
        The covariates and dose fields found, by the model's name for them; NaN is missing.
    ignored : tuple of str
        Columns that nothing here knows.
    line : array of int
        Where each row stands: the line of the file, or the number of the row from 1.
    source : str
        What messages call the table.

    Examples
    --------
    >>> t = EventTable.read(
    ...     {"ID": [1, 1], "TIME": [0, 2], "AMT": [35, 0], "WEIGHT": [70, 70]}, covariates=["weight"]
    ... )
    >>> t.n_subjects, t.evid.tolist(), t.columns["weight"].tolist()
    (1, [1, 0], [70.0, 70.0])
    """

    id: list[Any]
    subject: np.ndarray
    time_h: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    duration_h: np.ndarray
    evid: np.ndarray
    cmt: np.ndarray
    addl: np.ndarray
    ii_h: np.ndarray
    ss: np.ndarray
    mdv: np.ndarray
    occasion: np.ndarray | None = None
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    line: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    source: str = "events"

    @classmethod
    def read(
        cls,
        source: Any,
        covariates: Iterable[str] = (),
        dose_fields: Iterable[str] = (),
        *,
        entries: Sequence[str] | None = None,
        compartments: Sequence[str] | None = None,
        time_unit: str = "h",
        amount_unit: str = "mg",
        rename: Mapping[str, str] | None = None,
        sort: bool = False,
    ) -> EventTable:
        """Read and check a table.

        Parameters
        ----------
        source : path, polars or pandas frame, or dict of columns
            A text file with a header, separated by commas, semicolons, tabs or blanks; or a frame.
        covariates, dose_fields : iterable of str
            The model's names; columns of these names are kept. Case does not matter.
        entries, compartments : sequence of str, optional
            The model's names, in order. With them CMT is checked; without, any name or number passes.
        time_unit, amount_unit : str
            Units of the table: s, min, h, d or week for TIME, II and DUR; ug, mg or g for AMT. RATE is in
            amount per time of these.
        rename : dict, optional
            Other names of columns, such as ``{"WT": "weight"}``.
        sort : bool
            Gather the rows of one ID, and order them by time unless a reset (EVID 3, 4) is among them.

        Returns
        -------
        EventTable

        Raises
        ------
        FaultyFile
            With every bad row: the first 20 in full, the others by line.

        Examples
        --------
        >>> EventTable.read({"TIME": [0, 1], "AMT": [-5, 0]})
        Traceback (most recent call last):
        ...
        kinetamine.errors.FaultyFile: events: 1 fault: row 1: got AMT -5; expected 0 or more; try AMT 5
        """
        raw = read_source(source)
        _rename(raw, rename or {})
        hours = _unit(time_unit, HOURS, "time_unit")
        mass = _unit(amount_unit, MASS, "amount_unit")
        found, kept = _assign(raw, tuple(covariates), tuple(dose_fields))
        _drop_comments(raw, found)
        if sort:
            _sort(raw, found)
        return cls(**check_table(raw, found, kept, hours, mass, entries, compartments))

    def __len__(self) -> int:
        return len(self.subject)

    @property
    def n_records(self) -> int:
        """Number of rows."""
        return len(self.subject)

    @property
    def n_subjects(self) -> int:
        """Number of patients."""
        return int(self.subject[-1]) + 1 if len(self.subject) else 0

    @property
    def first_row(self) -> np.ndarray:
        """Index of the first row of each patient."""
        return np.flatnonzero(np.diff(self.subject, prepend=-1))

    @property
    def subject_ids(self) -> list[Any]:
        """Label of each patient."""
        return [self.id[row] for row in self.first_row]

    @property
    def is_dose(self) -> np.ndarray:
        """Rows that give a dose (EVID 1, 4)."""
        return (self.evid == 1) | (self.evid == 4)

    @property
    def is_observation(self) -> np.ndarray:
        """Rows that get a row of output (EVID 0)."""
        return self.evid == 0

    def to_polars(self) -> pl.DataFrame:
        """The table as a frame that reads back as the same table; h, mg, mg/h.

        Returns
        -------
        polars.DataFrame
            ID TIME AMT RATE (DUR) EVID CMT ADDL II SS MDV (OCC), then covariates and dose fields.

        Examples
        --------
        >>> EventTable.read({"TIME": [0, 1], "AMT": [35, 0]}).to_polars().columns
        ['ID', 'TIME', 'AMT', 'RATE', 'EVID', 'CMT', 'ADDL', 'II', 'SS', 'MDV']
        """
        import polars as pl

        numbered = all(c is None or isinstance(c, int) for c in self.cmt)
        data: dict[str, Any] = {
            "ID": pl.Series(self.id, strict=False),
            "TIME": self.time_h,
            "AMT": self.amount,
        }
        data["RATE"] = self.rate
        if self.duration_h.any():
            data["DUR"] = self.duration_h
        data["EVID"] = self.evid
        if numbered:
            data["CMT"] = np.array([c or 0 for c in self.cmt], np.int64)
        else:
            data["CMT"] = pl.Series([None if c is None else str(c) for c in self.cmt], dtype=pl.String)
        data |= {"ADDL": self.addl, "II": self.ii_h, "SS": self.ss, "MDV": self.mdv}
        if self.occasion is not None:
            data["OCC"] = self.occasion
        data |= {name: pl.Series(values, nan_to_null=True) for name, values in self.columns.items()}
        return pl.DataFrame(data)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as CSV text, also written to `path` (whole or not at all).

        Missing values are ``.``, as NONMEM wants them.

        Examples
        --------
        >>> print(EventTable.read({"TIME": [0, 1], "AMT": [35, 0]}).to_csv())
        ID,TIME,AMT,RATE,EVID,CMT,ADDL,II,SS,MDV
        1,0.0,35.0,0.0,1,0,0,0.0,0,1
        1,1.0,0.0,0.0,0,0,0,0.0,0,0
        <BLANKLINE>
        """
        text = self.to_polars().write_csv(null_value=".")
        if path is not None:
            write_whole(path, text)
        return text


def _unit(unit: str, known: Mapping[str, float], where: str) -> float:
    if not isinstance(unit, str) or unit not in known:
        raise UnknownName(where, str(unit), known, "one of " + ", ".join(known))
    return known[unit]


def _rename(raw: RawTable, rename: Mapping[str, str]) -> None:
    lower = [name.lower() for name in raw.names]
    new = list(raw.names)
    for old, name in rename.items():
        if old.lower() not in lower:
            raise UnknownName("rename", old, raw.names, "a column of the table")
        new[lower.index(old.lower())] = name
    raw.names = new


def _assign(
    raw: RawTable, covariates: Sequence[str], dose_fields: Sequence[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Index of each column that means something by itself, and of each that the model knows."""
    wanted = dict.fromkeys((*covariates, *dose_fields))
    by_lower = {name.lower(): name for name in wanted}
    # A model may well have a covariate called C; it is then not a comment mark.
    reserved = {
        name.lower(): name for name in COLUMNS if not (name in ("C", "DV") and name.lower() in by_lower)
    }
    found: dict[str, int] = {}
    kept: dict[str, int] = {}
    faults: list[Fault] = []
    for index, name in enumerate(raw.names):
        column = reserved.get(name.lower())
        known, there = (
            (column, found) if column else (name if name in wanted else by_lower.get(name.lower()), kept)
        )
        if known is None:
            continue
        if known in there:
            cure = "leave one of them out"
            faults.append(Fault("header", f"column {known} twice", "each column once", cure))
        there.setdefault(known, index)
    if "TIME" not in found:
        close = nearest("TIME", raw.names, n=1)
        cure = f"rename={{{close[0]!r}: 'TIME'}}" if close else "a TIME column in h"
        columns = ", ".join(raw.names[:12]) + (" …" if len(raw.names) > 12 else "")
        faults.append(Fault("header", f"no TIME among {columns or 'no columns'}", "a column TIME", cure))
    elif not len(raw.line):
        faults.append(Fault("table", "no rows", "one row or more", "a dose and an observation"))
    if faults:
        raise raw.refuse(*faults)
    return found, kept


def _drop_comments(raw: RawTable, found: Mapping[str, int]) -> None:
    """Leave out what ``IGNORE=C`` leaves out: rows whose C column says C."""
    import polars as pl

    if "C" not in found:
        return
    column = raw.columns[found["C"]]
    if column.dtype != pl.String:
        return
    text = column.fill_null("").str.strip_chars()
    comment = text.str.starts_with("C") | text.str.starts_with("c")
    other = ~comment & ~text.is_in(MISSING) & text.cast(pl.Float64, strict=False).is_null()
    if other.any():
        faults = RowFaults(raw.word, raw.line)
        faults.add(other.to_numpy(), lambda i: f"C {text[i][:20]!r}", "'.' or C", "C to leave the row out")
        raise raw.refuse(*faults.listed())
    raw.keep((~comment).to_numpy())
    if not len(raw.line):
        raise raw.refuse(Fault("table", "only rows marked C", "one row or more", "'.' in column C"))


def _sort(raw: RawTable, found: Mapping[str, int]) -> None:
    n = len(raw.line)
    group = np.zeros(n, np.int64)
    if "ID" in found:
        _, first, inverse = np.unique(keys(raw.columns[found["ID"]]), return_index=True, return_inverse=True)
        group = first[inverse]
    time, _ = numbers(raw.columns[found["TIME"]])
    if "EVID" in found:
        evid, _ = numbers(raw.columns[found["EVID"]])
        resets = np.isin(group, group[(evid == 3) | (evid == 4)])
        time = np.where(resets, 0.0, time)
    raw.keep(np.lexsort((np.arange(n), time, group)))
