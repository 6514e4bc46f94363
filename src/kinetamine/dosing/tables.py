"""Event tables in the manner of NONMEM: one row per dose, observation or other event, in and out.

A table is checked once, at the door, with whole-column rules; every bad row is named, all at once. Behind the
door it is plain arrays in inside units (h, mg, mg/h). The columns and rules are in docs/dosing.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from kinetamine.dosing.row_faults import RowFaults
from kinetamine.dosing.table_checks import Needs, check_table, keys, numbers
from kinetamine.dosing.table_columns import COLUMNS, Column, Roles, assign, renamed
from kinetamine.dosing.table_covariates import add_limits
from kinetamine.dosing.table_options import Options, TableOptions
from kinetamine.dosing.table_rows import leave_out
from kinetamine.dosing.table_source import MISSING, RawTable, Source, read_source
from kinetamine.dosing.table_time import TableTime, read_time
from kinetamine.errors import Fault, FaultyFile, UnknownName
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
        Number (int), name (str) or None where the table says nothing or 0. A negative number, never on a dose,
        turns that compartment off.
    occasion : array of int or None
    columns : dict of array
        The covariates and dose fields found, by the model's name for them; NaN is missing.
    account : tuple of Column
        One record for each column of the table: what it was used as, that it is carried along, or not used.
    said : tuple of str
        What was left out or changed on the way: comment lines, rows left out, decimal commas, clocks.
    absent : tuple of str
        Covariates of the model that the table has no column for.
    no_dose : bool
        Whether a table without a dose is meant.
    also : tuple of str
        What the output has besides: ``doses``, ``tad``, ``parameters``.
    carried : dict
        Columns carried along as they came, one value per row, by the table's name for them.
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
    account: tuple[Column, ...] = ()
    said: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    carried: dict[str, Any] = field(default_factory=dict)
    no_dose: bool = False
    also: tuple[str, ...] = ()
    line: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    source: str = "events"

    @classmethod
    def read(
        cls,
        source: Any,
        covariates: Iterable[str] | Mapping[str, Any] = (),
        dose_fields: Iterable[str] = (),
        *,
        entries: Sequence[str] | None = None,
        compartments: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> EventTable:
        """Read and check a table.

        Parameters
        ----------
        source : path, polars or pandas frame, or dict of columns
            A text file with a header, separated by commas, semicolons, tabs or blanks; or a frame.
        covariates, dose_fields : iterable of str
            The model's names; columns of these names, or of other names that people use for them (WT for
            weight), are kept. Case does not matter. A dict of the model's own records also checks limits.
        entries, compartments : sequence of str, optional
            The model's names, in order. With them CMT is checked; without, any name or number passes.
        time_unit, amount_unit : str
            Units of the table: s, min, h, d or week for TIME, II and DUR; ug, mg or g for AMT. RATE is in
            amount per time of these. Without them the header says (``TIME (min)``), or h and mg hold.
        rename : dict
            Other names of columns, such as ``{"SUBJECTNUM": "ID"}``; ``DROP`` leaves a column out.
        sort : bool
            Gather the rows of one ID, and order them by time unless a reset (EVID 3, 4) is among them.
        ignore, accept : str or list of str
            As in NONMEM: a character that begins lines to leave out (``#`` always; ``@`` any letter), or
            conditions on rows, such as ``DV.EQ.0`` or ``ID>10``.
        cmt : str or dict
            Where doses go that the table says nothing of, or what its numbers and names mean: ``{1: "oral"}``.
        missing : number, text or list of them
            What stands for a missing value besides ``.`` and NA, such as -99.
        columns : str or list of str
            Names of the columns of a file without a header, as in $INPUT.
        carry : list of str
            Columns to keep as they came, for the output.
        also : list of str
            More for the output: ``doses`` (a row for each dose record, with EVID and AMT; the output is that just
            after it), ``tad`` (time after the last dose, h), ``parameters`` (individual values of the model, in h,
            mg and L).
        zero_dose : bool
            Take EVID 1 with AMT 0 for a dose of nothing.
        no_dose : bool
            Whether a table without a dose is meant. A model refuses one unless told so.
        say : callable
            How messages name an option: `table_options.in_python`, or ``on_command_line``.

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
        kinetamine.errors.FaultyFile: events: 1 fault: row 1: got AMT -5; expected 0 or more; try AMT 0 or '.' for none
        >>> table = EventTable.read({"TIME": [0, 1], "DOSE": [5, 0], "WT": [70, 70], "note": [1, 2]}, ["weight"])
        >>> table.told()[0]
        'events: used TIME, DOSE as AMT, WT as weight; not used: note'
        """
        records = covariates if isinstance(covariates, Mapping) else dict.fromkeys(covariates)
        needs = Needs(records, tuple(dose_fields), entries, compartments)
        how = TableOptions.of(options)
        opened = read_source(source, how)
        shown = list(opened.names)

        def unknown(name: str) -> None:
            raise UnknownName("rename", name, shown, "a column of the table")

        opened.names = renamed(opened.names, how.rename, unknown)
        roles, faults = assign(opened.names, tuple(records), tuple(dose_fields), how)
        if faults:
            raise FaultyFile(opened.name, faults)
        return cls(**_read_rows(opened, shown, roles, needs, how))

    @classmethod
    def for_model(cls, source: Any, spec: Any, **options: Unpack[Options]) -> EventTable:
        """Read a table for a model: its covariates and their limits, dose fields, entries and compartments.

        Parameters
        ----------
        source : path, frame, dict of columns, or EventTable
            A table that was read already is only held to the model's limits.
        spec : ModelSpec
        options
            Those of `read`.

        Raises
        ------
        FaultyFile
            With every bad row.

        Examples
        --------
        >>> from kinetamine.models.library import load
        >>> table = EventTable.for_model({"TIME": [0, 1], "AMT": [5, 0]}, load("kamp_2020_meta_racemic"))
        >>> table.absent
        ('weight',)
        """
        if isinstance(source, EventTable):
            source.check(spec)
            return source
        options.setdefault("no_dose", False)
        entries, states = list(spec.entries), list(spec.states)
        return cls.read(
            source, spec.covariates, spec.dose_fields, entries=entries, compartments=states, **options
        )

    def check(self, spec: Any) -> None:
        """Hold the covariates to the limits of a model, in every row, and the table to having a dose.

        Raises
        ------
        FaultyFile
            With every row that has a value the model cannot take.
        """
        faults = RowFaults("line", self.line)
        for name, values in self.columns.items():
            if name in spec.covariates:
                add_limits(faults, name, values, spec.covariates[name], TableOptions().say)
        if not self.no_dose and not self.is_dose.any():
            faults.whole.append(Fault("table", "no dose", "one dose or more", "a row with AMT above 0"))
        if faults.rules or faults.whole:
            raise FaultyFile(self.source, faults.listed())

    def __len__(self) -> int:
        return len(self.subject)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns that are neither used nor carried along."""
        return tuple(column.name for column in self.account if column.use == "not used" and column.name)

    def without(self, covariate: str) -> list[Any]:
        """Labels of the patients for whom no row has a value of a covariate.

        Examples
        --------
        >>> t = EventTable.read({"ID": [7, 8], "TIME": [0, 0], "AMT": [5, 5], "WT": [70, None]}, ["weight"])
        >>> t.without("weight")
        [8]
        """
        have = np.zeros(self.n_subjects, bool)
        if covariate in self.columns:
            have[self.subject[np.isfinite(self.columns[covariate])]] = True
        return [label for label, known in zip(self.subject_ids, have, strict=True) if not known]

    def told(self, taken: Mapping[str, str] | None = None) -> list[str]:
        """What became of the columns and rows, in lines for a person.

        Parameters
        ----------
        taken : dict of str, optional
            Values that stand for covariates the table does not have, such as ``{"weight": "70 kg"}``.
        """
        parts = {"used": "used", "carried": "carried", "not used": "not used:"}
        said = []
        for use, word in parts.items():
            names = []
            for column in self.account:
                if column.use == use:
                    alias = (
                        f" as {column.meaning}"
                        if column.meaning not in ("", column.name.upper(), column.name)
                        else ""
                    )
                    note = f" ({column.note})" if column.note else ""
                    names.append((column.name or f"column {column.number}") + alias + note)
            if names:
                said.append(f"{word} {', '.join(names)}")
        lines = [f"{self.source}: {'; '.join(said)}", *(f"{self.source}: {text}" for text in self.said)]
        for name, value in (taken or {}).items():
            people = self.without(name)
            if len(people) == self.n_subjects:
                why = "no value" if name in self.columns else "no column"
                lines.append(f"{self.source}: {why} of {name}: {value} taken")
            elif people:
                shown = ", ".join(map(str, people[:5])) + (" …" if len(people) > 5 else "")
                lines.append(
                    f"{self.source}: no value of {name} for {len(people)} people ({shown}): {value} taken"
                )
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The account of columns and rows as plain values, ready for JSON."""
        return {
            "source": self.source,
            "rows": len(self),
            "people": self.n_subjects,
            "columns": [asdict(column) for column in self.account],
            "said": list(self.said),
            "absent": list(self.absent),
        }

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
        """Rows with an observation (EVID 0)."""
        return self.evid == 0

    @property
    def is_output(self) -> np.ndarray:
        """Rows that get a row of output: observations, and doses where they were asked for."""
        return self.is_observation | self.is_dose if "doses" in self.also else self.is_observation

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


def _read_rows(
    opened: Source, shown: list[str], roles: Roles, needs: Needs, how: TableOptions
) -> dict[str, Any]:
    """The rows: quickly if nothing is odd or wrong, else text by text, so that messages show what stood there."""
    if opened.quick and not any(not rule.startswith("#") for rule in (*how.ignore, *how.accept)):
        raw = opened.load(roles.numeric, roles.needed, how)
        if raw is not None:
            try:
                return _checked(raw, shown, roles, needs, how)
            except FaultyFile:
                pass
    raw = opened.load(None, (), how)
    assert raw is not None
    if not len(raw.line):
        raise raw.refuse(Fault("table", "no rows", "one row or more", "a dose and an observation"))
    _decimal_commas(raw, roles)
    return _checked(raw, shown, roles, needs, how)


def _checked(
    raw: RawTable, shown: list[str], roles: Roles, needs: Needs, how: TableOptions
) -> dict[str, Any]:
    notes = dict(roles.notes)
    _drop_comments(raw, roles)
    leave_out(raw, how.ignore, how.accept)
    if not len(raw.line):
        raise raw.refuse(Fault("table", "every row left out", "one row or more", "another condition"))
    time = read_time(raw, roles.found, lambda column: numbers(column, raw.missing))
    if how.sort:
        order = _order(raw, roles, time)
        raw.keep(order)
        time.take(order)
    try:
        parts = check_table(raw, roles, time, needs, how)
        if time.note:
            raw.tell(f"TIME is {time.note}")
        if "ID" not in roles.found:
            raw.tell("no column ID: all rows are one patient")
        account = roles.account(shown)
    finally:
        roles.notes = notes
    said = (*parts.pop("said", ()), *raw.said)
    absent = tuple(name for name in needs.covariates if name not in parts["columns"])
    carried = {name: raw.columns[k] for name, k in roles.carried.items()}
    return {
        **parts,
        "account": account,
        "said": said,
        "absent": absent,
        "carried": carried,
        "no_dose": bool(how.no_dose),
        "also": how.also,
    }


def _decimal_commas(raw: RawTable, roles: Roles) -> None:
    """Read 0,5 as 0.5 where the whole table writes numbers so."""
    import polars as pl

    used = sorted(roles.numeric)
    texts = [raw.columns[k].str.strip_chars() for k in used if raw.columns[k].dtype == pl.String]
    with_comma = [text.filter(text.str.contains(r"^[+-]?\d*,\d+(?:[eE][+-]?\d+)?$")) for text in texts]
    some = pl.concat(with_comma) if with_comma else pl.Series([], dtype=pl.String)
    if not len(some) or any(text.str.contains(r"^[+-]?\d*\.\d").any() for text in texts):
        return
    if some.str.contains(r"^[1-9]\d{0,2},\d{3}$").all():  # 1,000 may be a thousand
        return
    for k in used:
        if raw.columns[k].dtype == pl.String:
            raw.columns[k] = raw.columns[k].str.replace(",", ".", literal=True)
    raw.tell("decimal commas")


def _drop_comments(raw: RawTable, roles: Roles) -> None:
    """Leave out what ``IGNORE=C`` leaves out: rows whose C column says C."""
    import polars as pl

    if "C" not in roles.found:
        return
    column = raw.columns[roles.found["C"]]
    if column.dtype != pl.String:
        return
    text = column.fill_null("").str.strip_chars()
    comment = text.str.starts_with("C") | text.str.starts_with("c")
    other = ~comment & ~text.is_in(MISSING) & text.cast(pl.Float64, strict=False).is_null()
    if other.any():
        faults = RowFaults(raw.word, raw.line)
        faults.add(other.to_numpy(), lambda i: f"C {text[i][:20]!r}", "'.' or C", "C to leave the row out")
        raise raw.refuse(*faults.listed())
    if comment.all():
        raise raw.refuse(Fault("table", "only rows marked C", "one row or more", "'.' in column C"))
    if comment.any():
        raw.tell(f"{int(comment.sum())} rows marked C left out", comment.to_numpy())
        raw.keep((~comment).to_numpy())


def _order(raw: RawTable, roles: Roles, time: TableTime) -> np.ndarray:
    """The rows of each patient together, in time unless one of them is a reset."""
    n = len(raw.line)
    group = np.zeros(n, np.int64)
    if "ID" in roles.found:
        labels = keys(raw.columns[roles.found["ID"]])
        _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        group = first[inverse]
    values = time.values
    if "EVID" in roles.found:
        evid, _ = numbers(raw.columns[roles.found["EVID"]])
        resets = np.isin(group, group[(evid == 3) | (evid == 4)])
        values = np.where(resets, 0.0, values)
    order: np.ndarray = np.lexsort((np.arange(n), values, group))
    return order
