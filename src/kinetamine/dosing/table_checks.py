"""The rules of event tables, each over whole columns; what passes is arrays in inside units."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinetamine.dosing.dose import MAX_REPEATS
from kinetamine.dosing.row_faults import RowFaults
from kinetamine.dosing.table_columns import Roles
from kinetamine.dosing.table_covariates import read_covariates
from kinetamine.dosing.table_options import TableOptions
from kinetamine.dosing.table_source import MISSING, RawTable, is_number
from kinetamine.dosing.table_time import TableTime
from kinetamine.dosing.words import HOURS, MASS, canonical_route
from kinetamine.errors import Fault, FaultyFile, nearest

__all__ = ["Needs", "check_table", "keys", "numbers"]

DOSE_ITEMS = ("AMT", "RATE", "DUR", "ADDL", "II", "SS")
_MOST_DOSES = 1e8
_EVENT_WORDS = {
    "obs": 0, "observation": 0, "dose": 1, "dosing": 1, "other": 2, "covariate": 2, "reset": 3,
    "reset and dose": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Needs:
    """What of a model a table is read for.

    Parameters
    ----------
    covariates : dict
        Name → the model's record of it (unit, range, values), or None where only the name is known.
    dose_fields : tuple of str
    entries, compartments : sequence of str or None
        With them CMT is checked.
    """

    covariates: Mapping[str, Any] = field(default_factory=dict)
    dose_fields: tuple[str, ...] = ()
    entries: Sequence[str] | None = None
    compartments: Sequence[str] | None = None


def keys(column: Any) -> np.ndarray:
    """Labels of patients as things that compare: numbers where all are numbers, so that 1 and 1.0 are one."""
    import polars as pl

    if column.dtype == pl.String:
        text = column.str.strip_chars()
        # 17 digits do not fit a double: two people would be one.
        if not int(text.str.len_bytes().max() or 0) > 15:
            numbers = text.cast(pl.Float64, strict=False)
            if not numbers.is_null().any():
                return numbers.to_numpy()
        return text.fill_null("").to_numpy().astype(str)
    return column.to_numpy()


def numbers(column: Any, missing: Sequence[str] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Values as floats, NaN where missing; and a mask of what is neither a number nor missing."""
    import polars as pl

    if column.dtype == pl.String:
        values = column.cast(pl.Float64, strict=False)
        odd = values.is_null()
        bad = np.zeros(len(column), bool)
        if odd.any():
            text = column.str.strip_chars()
            values = text.cast(pl.Float64, strict=False)
            absent = text.is_in([*MISSING, *missing])
            bad = (values.is_null() & text.is_not_null() & ~absent).to_numpy()
        found = values.fill_null(math.nan).to_numpy().astype(np.float64)
    elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        found = column.cast(pl.Float64).fill_null(math.nan).to_numpy().astype(np.float64)
        bad = np.zeros(len(found), bool)
    else:
        return np.full(len(column), math.nan), column.is_not_null().to_numpy()
    for text in missing:
        if is_number(text):
            found[found == float(text)] = math.nan
    return found, bad


def _tell(value: float) -> str:
    return f"{value:.12g}"


class Checked:
    """A table on its way through the rules."""

    def __init__(
        self, raw: RawTable, roles: Roles, time: TableTime, needs: Needs, options: TableOptions
    ) -> None:
        self.raw, self.roles, self.time, self.needs, self.options = raw, roles, time, needs, options
        self.n = len(raw.line)
        self.faults = RowFaults(raw.word, raw.line)
        self.given: dict[str, np.ndarray] = {}
        #: a row with a value that is no number is told once, not by every rule after
        self.unread = np.zeros(self.n, bool)

    def read(self, name: str, index: int) -> np.ndarray:
        """A column of numbers, NaN where missing."""
        column, faults = self.raw.columns[index], self.faults
        values, bad = numbers(column, self.raw.missing)
        if name == "EVID" and bad.any():
            words = column.cast(str).str.strip_chars().str.to_lowercase().str.replace_all(r"[_\s]+", " ")
            meant = words.replace_strict(_EVENT_WORDS, default=None, return_dtype=float).to_numpy()
            values, bad = np.where(bad, meant, values).astype(float), bad & np.isnan(meant.astype(float))
        faults.add(bad, lambda i: f"{name} {str(column[i])[:40]!r}", "a number", self._cure(name, column))
        endless = np.isinf(values)
        if endless.any():
            faults.add(endless, lambda i: f"{name} {column[i]}", "a finite number", "'.' for missing")
            values[endless] = math.nan
        self.unread |= bad | endless
        return values

    def _cure(self, name: str, column: Any) -> Any:
        def cure(row: int) -> str:
            text = str(column[row])
            if is_number(text.replace(",", ".")):
                return f"{text.strip().replace(',', '.')!r}, with a decimal point"
            return "'.' for missing"

        return cure

    def read_time(self) -> np.ndarray:
        """TIME of each row in the table's unit, or in h from the patient's first record."""
        time, faults = self.time, self.faults
        time.add_date_faults(faults, lambda value: self.options.say("rename", value))
        shown = time.shown
        clock = time.bad.any() and bool(shown.cast(str).str.contains(":").any())
        mixed = ", or clocks on every row" if clock else ""

        def cure(row: int) -> str:
            text = str(shown[row])
            if is_number(text.replace(",", ".")):
                return f"{text.strip().replace(',', '.')!r}, with a decimal point"
            return "hours since the first dose" if ":" in text else "hours, or a clock as 8:30"

        faults.add(time.bad, lambda i: f"TIME {str(shown[i])[:40]!r}", "a number" + mixed, cure)
        wrong = time.wrong_date if time.wrong_date is not None else np.zeros(self.n, bool)
        endless = np.isinf(time.values)
        faults.add(endless, lambda i: f"TIME {shown[i]}", "a finite number")
        none = np.isnan(time.values) & ~time.bad & ~wrong
        faults.add(none, lambda i: "no TIME", "a time on every row", "TIME 0")
        if wrong.any() or (time.dates is not None and not time.note.startswith("a clock")):
            late = time.since_midnight > 24 if time.since_midnight is not None else np.zeros(self.n, bool)
            cure_date = self.options.say("rename", {time.date_name: "DROP"}) + " if TIME is elapsed time"
            faults.add(
                late,
                lambda i: f"TIME {_tell(time.since_midnight[i])} on the day of {time.date_name}",  # type: ignore[index]
                "a time of day up to 24 h",
                cure_date,
            )
        self.unread |= time.bad | endless | none | wrong
        return np.where(endless, math.nan, time.values)


def check_table(
    raw: RawTable, roles: Roles, time: TableTime, needs: Needs, options: TableOptions
) -> dict[str, Any]:
    """What an `EventTable` is made of, or every fault of the table at once."""
    at = Checked(raw, roles, time, needs, options)
    faults, given = at.faults, at.given
    for name, index in roles.found.items():
        if name in DOSE_ITEMS or name in ("EVID", "MDV", "OCC"):
            given[name] = at.read(name, index)
    given["TIME"] = at.read_time()
    columns = read_covariates(at)
    zero = np.zeros(at.n)
    item = {name: _zeroed(given[name]) if name in given else zero for name in DOSE_ITEMS}
    subject, labels = _subjects(at)
    _check_apart(at, subject, labels)
    _check_twins(at)
    hours_at = _elapsed(at, subject)
    evid, mdv = _events(given, item, faults, at.n)
    _labels_are_no_doses(at, item, evid)
    dose = (evid == 1) | (evid == 4)
    _check_doses(at, item, evid, dose)
    _check_order(at, hours_at, subject, evid)
    cmt = _compartments(at, dose, evid)
    occasion = _occasions(at)
    _check_any_dose(at, dose)
    if faults.rules or faults.whole:
        raise FaultyFile(raw.name, faults.listed())
    clock = HOURS[roles.units.get(roles.found.get("TIME", -1)) or options.time_unit or "h"]
    mass = MASS[roles.units.get(roles.found.get("AMT", -1)) or options.amount_unit or "mg"]

    def hours(name: str) -> float:
        return HOURS.get(roles.units.get(roles.found.get(name, -1), ""), clock)

    rate = np.where(item["RATE"] > 0, item["RATE"] * (mass / clock), item["RATE"])
    return {
        "id": labels,
        "subject": subject,
        "time_h": hours_at if time.relative else hours_at * clock,
        "amount": np.where(dose, item["AMT"] * mass, 0.0),
        "rate": np.where(dose, rate, 0.0) if "RATE" in given else np.zeros(at.n),
        "duration_h": np.where(dose, item["DUR"] * hours("DUR"), 0.0) if "DUR" in given else np.zeros(at.n),
        "evid": evid,
        "cmt": cmt,
        "addl": item["ADDL"].astype(np.int64),
        "ii_h": item["II"] * hours("II"),
        "ss": item["SS"].astype(np.int64),
        "mdv": mdv,
        "occasion": occasion,
        "columns": columns,
        "line": raw.line,
        "source": raw.name,
    }


def _zeroed(values: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), 0.0, values)


def _elapsed(at: Checked, subject: np.ndarray) -> np.ndarray:
    """TIME from each patient's first record, if it came from a clock or a date."""
    time = at.given["TIME"]
    if not at.time.relative or not at.n:
        return time
    first = np.flatnonzero(np.diff(subject, prepend=-1))
    return time - time[first][np.cumsum(np.diff(subject, prepend=-1) != 0) - 1]


def _subjects(at: Checked) -> tuple[np.ndarray, list[Any]]:
    """Number of the patient on each row, and the labels."""
    import polars as pl

    raw, faults, n = at.raw, at.faults, at.n
    if "ID" not in at.roles.found:
        return np.zeros(n, np.int64), [1] * n
    column = raw.columns[at.roles.found["ID"]]
    # Only rows whose label differs from the one before are looked at: one for each patient, mostly.
    written = column.ne_missing(column.shift(1)).to_numpy().copy()
    written[0] = True
    runs = np.flatnonzero(written)
    length = np.diff(np.append(runs, n))
    some, missing = _labels(column.gather(runs))
    labels = list(itertools.chain.from_iterable(map(itertools.repeat, some.to_list(), length.tolist())))
    if missing.any():
        gone = np.repeat(missing, length)
        faults.add(gone, lambda i: "no ID", "the patient's ID on every row", "ID 1")
        at.unread |= gone
        return np.zeros(n, np.int64), labels
    key = keys(some)
    other = np.ones(len(runs), bool)
    other[1:] = key[1:] != key[:-1]
    if column.dtype == pl.String and key.dtype.kind == "f":
        near = np.zeros(n, bool)
        near[runs[~other & (key != np.floor(key))]] = True
        expected = "people who are told apart by more than a number's zeros"
        faults.add(
            near, lambda i: f"ID {labels[i]} after {labels[i - 1]}", expected, "the same ID, or a text"
        )
    changes = np.zeros(n, bool)
    changes[runs[other]] = True
    starts, label = runs[other], key[other]
    if len(np.unique(label)) < len(starts):
        _, first = np.unique(label, return_index=True)
        again = np.zeros(n, bool)
        again[np.delete(starts, first)] = True
        cure = f"{at.options.say('sort', True)} to gather them, or another ID for another patient"
        faults.add(
            again, lambda i: f"ID {labels[i]} again after another ID", "the rows of one ID together", cure
        )
    return np.cumsum(changes) - 1, labels


def _labels(column: Any) -> tuple[Any, np.ndarray]:
    """Labels of patients as they are shown, and which of them are missing."""
    import polars as pl

    if column.dtype == pl.String:
        column = column.str.strip_chars()
        return column, (column.is_null() | column.is_in(MISSING)).to_numpy()
    if not column.dtype.is_float():
        return column, column.is_null().to_numpy()
    missing = (column.is_null() | column.is_nan() | column.is_infinite()).to_numpy()
    whole = not missing.any() and bool((column == column.floor()).all())
    if whole and bool((column.abs() < 2**53).all()):
        column = column.cast(pl.Int64)
    return column, missing


def _check_apart(at: Checked, subject: np.ndarray, labels: list[Any]) -> None:
    """Another column that tells people apart must not change within an ID."""
    import polars as pl

    for k in at.roles.apart:
        name = at.raw.names[k]
        column = at.raw.columns[k].cast(pl.String, strict=False).str.strip_chars()
        before, there = column.shift(1), column.is_not_null() & column.shift(1).is_not_null()
        changed = (there & (column != before)).fill_null(False).to_numpy() & (
            np.diff(subject, prepend=-1) == 0
        )
        say = at.options.say
        cure = f"{say('rename', {name: 'ID'})}, or {say('rename', {name: 'DROP'})}"
        whose = "within ID {}" if "ID" in at.roles.found else "in a table without ID"

        def changes(i: int, c: Any = column, s: str = name, w: str = whose) -> str:
            return f"{s} {c[i]} after {c[i - 1]} {w.format(labels[i])}"

        at.faults.add(changed, changes, "one person per ID", cure)


def _check_twins(at: Checked) -> None:
    """Two columns for one thing must say the same."""
    import polars as pl

    for first, others in at.roles.twins.items():
        for k in others:
            one, two = (at.raw.columns[j].cast(pl.String, strict=False).str.strip_chars() for j in (first, k))
            differ = ~(one.eq_missing(two)).to_numpy()
            a, b = at.raw.names[first], at.raw.names[k]

            def both(i: int, x: Any = one, y: Any = two, p: str = a, q: str = b) -> str:
                return f"{p} {x[i]} and {q} {y[i]}"

            at.faults.add(differ, both, "one column for one thing", at.options.say("rename", {b: "DROP"}))


def _events(
    given: Mapping[str, np.ndarray], item: Mapping[str, np.ndarray], faults: RowFaults, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """EVID of every row, derived where the table does not say, and MDV."""
    nothing = np.full(n, math.nan)
    mdv = given.get("MDV", nothing)
    if "MDV" in given:
        faults.add(~np.isnan(mdv) & ~_whole(mdv, 1), lambda i: f"MDV {_tell(mdv[i])}", "0 or 1", "MDV 0")
    evid = given.get("EVID", nothing)
    known = _whole(evid, 4)
    faults.add(
        ~np.isnan(evid) & ~known,
        lambda i: f"EVID {_tell(evid[i])}",
        "0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose",
        "EVID 1",
    )
    gives = (item["AMT"] != 0) | ((item["RATE"] != 0) & (item["SS"] != 0))
    derived = np.where(gives, 1, np.where(mdv == 1, 2, 0))
    settled = np.where(known, evid, derived).astype(np.int64)
    return settled, np.where(_whole(mdv, 1), mdv, settled != 0).astype(np.int64)


def _whole(values: np.ndarray, most: int) -> np.ndarray:
    """Which values are whole numbers from 0 to `most`."""
    found: np.ndarray = (values >= 0) & (values <= most) & (values == np.floor(values))
    return found


def _labels_are_no_doses(at: Checked, item: dict[str, np.ndarray], evid: np.ndarray) -> None:
    """A column DOSE may hold the dose group on every row, not amounts given."""
    index = at.roles.found.get("AMT")
    if index is None or at.raw.names[index].upper() == "AMT" or at.roles.units.get(index):
        return
    name = at.raw.names[index]
    stray = (evid == 0) & (item["AMT"] != 0)
    if "EVID" in at.given and stray.any():
        item["AMT"] = np.where(stray, 0.0, item["AMT"])
        at.roles.notes[index] = "not used on observations"
    elif at.n > 1 and (item["AMT"] != 0).all():
        cure = f"{at.options.say('rename', {name: 'AMT'})}, or a column EVID or AMT"
        at.faults.whole.append(Fault("table", f"a {name} on every row", "rows without a dose too", cure))


def _check_doses(at: Checked, item: Mapping[str, np.ndarray], evid: np.ndarray, dose: np.ndarray) -> None:
    """The rules of AMT, RATE, DUR, ADDL, II and SS, on rows whose numbers could be read."""
    amt, rate, ss = item["AMT"], item["RATE"], item["SS"]
    filled = np.zeros(at.n, bool)
    for name in DOSE_ITEMS:
        if name in at.given:
            filled |= item[name] != 0
    other = ~dose & ~at.unread & filled
    dose = dose & ~at.unread
    endless = dose & (amt == 0) & ((rate > 0) | (rate == -1)) & (ss > 0)  # a constant infusion

    def stray(row: int) -> str:
        said = [f"{name} {_tell(item[name][row])}" for name in DOSE_ITEMS if item[name][row] != 0]
        return f"EVID {evid[row]} with " + ", ".join(said)

    at.faults.add(other, stray, "no dose on a row of this kind", "EVID 1 for a dose, or 0 in these columns")
    _check_amounts(at, item, evid, dose, endless)
    if at.given.keys() & {"ADDL", "II", "SS"}:
        _check_repeats(at, item, dose, endless)


def _check_amounts(
    at: Checked, item: Mapping[str, np.ndarray], evid: np.ndarray, dose: np.ndarray, endless: np.ndarray
) -> None:
    amt, rate, dur = item["AMT"], item["RATE"], item["DUR"]
    faults, asked = at.faults, at.given.get("AMT", np.full(at.n, math.nan))
    low = "0 or more"
    faults.add(dose & (amt < 0), lambda i: f"AMT {_tell(amt[i])}", low, _unsigned(at, "AMT", amt))
    if not at.options.zero_dose:
        faults.add(
            dose & (amt == 0) & ~endless,
            lambda i: f"EVID {evid[i]} with " + ("no AMT" if math.isnan(asked[i]) else "AMT 0"),
            "an amount above 0 (0 only for RATE > 0, SS 1, II 0: a constant infusion)",
            f"EVID 2 for a row that gives nothing, or {at.options.say('zero_dose', True)}",
        )
    faults.add(
        dose & (rate < 0) & (rate != -1) & (rate != -2),
        lambda i: f"RATE {_tell(rate[i])}",
        "a rate, 0 for none, -1 or -2 for the model's own rate or duration",
        "RATE 0",
    )
    faults.add(dose & (dur < 0), lambda i: f"DUR {_tell(dur[i])}", low, _unsigned(at, "DUR", dur))
    both = dose & (rate != 0) & (dur != 0)
    if both.any():
        # RATE and DUR of one infusion may both stand there, if they say the same.
        agree = both & np.isclose(rate * dur, amt, rtol=1e-6)
        item["DUR"][agree] = 0.0
        both &= ~agree
    faults.add(both, lambda i: f"RATE {_tell(rate[i])} and DUR {_tell(dur[i])}", "one of them", "DUR 0")


def _check_repeats(
    at: Checked, item: Mapping[str, np.ndarray], dose: np.ndarray, endless: np.ndarray
) -> None:
    amt, addl, ii, ss = (item[name] for name in ("AMT", "ADDL", "II", "SS"))
    faults = at.faults
    total = float(np.sum(addl[dose] + 1.0, initial=0.0))
    if total > _MOST_DOSES:
        faults.add(
            dose & (addl == addl[dose].max()),
            lambda i: f"ADDL {_tell(addl[i])}, which makes {total:.3g} doses in the table",
            f"at most {_MOST_DOSES:.0e} doses in all",
            "smaller ADDL",
        )
    faults.add(dose & (ii < 0), lambda i: f"II {_tell(ii[i])}", "0 or more", _unsigned(at, "II", ii))
    faults.add(
        dose & ((addl < 0) | (addl != np.floor(addl)) | (addl > MAX_REPEATS)),
        lambda i: f"ADDL {_tell(addl[i])}",
        f"a whole number from 0 to {MAX_REPEATS}",
        "ADDL 0",
    )
    without = dose & (addl > 0) & (ii == 0) & ~endless
    faults.add(without, lambda i: f"ADDL {_tell(addl[i])} without II", "II above 0", "II 24")
    faults.add(dose & ~_whole(ss, 2), lambda i: f"SS {_tell(ss[i])}", "0, 1 or 2", "SS 1")
    faults.add(
        dose & (ss > 0) & (ii == 0) & (amt > 0),
        lambda i: f"SS {_tell(ss[i])} without II",
        "II above 0 (or AMT 0 and RATE > 0 for a constant infusion)",
        "II 24",
    )
    faults.add(
        endless & ((ii > 0) | (addl > 0)),
        lambda i: (
            f"a constant infusion (AMT 0, SS {_tell(ss[i])}) with II {_tell(ii[i])}, ADDL {_tell(addl[i])}"
        ),
        "II 0 and ADDL 0, as it never stops",
        "an AMT above 0",
    )


def _unsigned(at: Checked, name: str, values: np.ndarray) -> Any:
    """The cure of a negative number; -99 and the like stand for a missing one."""

    def cure(row: int) -> str:
        value = values[row]
        if value < 0 and set(_tell(-value)) == {"9"}:
            return f"'.' where it is not known, or {at.options.say('missing', int(value))}"
        return f"{name} 0 or '.' for none"

    return cure


def _check_order(at: Checked, time: np.ndarray, subject: np.ndarray, evid: np.ndarray) -> None:
    backwards = np.zeros(at.n, bool)
    backwards[1:] = (np.diff(time) < 0) & (np.diff(subject) == 0) & ~((evid[1:] == 3) | (evid[1:] == 4))
    cure = at.options.say("sort", True)
    if "ID" not in at.roles.found:
        cure += ", or a column ID if another person begins here"
    elif at.time.relative and at.time.note.startswith("a clock") and at.time.dates is None:
        cure += ", or a column DATE for a clock that passes midnight"
    at.faults.add(
        backwards,
        lambda i: f"TIME {_tell(time[i])} after {_tell(time[i - 1])}",
        "times that do not go down within a patient, but at EVID 3 or 4",
        cure,
    )


def _occasions(at: Checked) -> np.ndarray | None:
    if "OCC" not in at.given:
        return None
    occ = at.given["OCC"]
    at.faults.add(
        ~at.unread & (np.isnan(occ) | (occ != np.floor(occ)) | (np.abs(occ) > 1e9)),
        lambda i: f"OCC {_tell(occ[i])}" if occ[i] == occ[i] else "no OCC",
        "a whole number on every row",
        "OCC 1",
    )
    return np.nan_to_num(occ).astype(np.int64)


def _check_any_dose(at: Checked, dose: np.ndarray) -> None:
    if at.options.no_dose is not False or dose.any() or at.unread.any():
        return
    index = at.roles.found.get("AMT")
    if index is None:
        names = ", ".join(at.raw.names[:12]) + (" …" if len(at.raw.names) > 12 else "")
        given, cure = f"no dose: no AMT among {names}", at.options.say("rename", {"DOSE": "AMT"})
    else:
        given, cure = f"no dose: {at.raw.names[index]} is 0 or missing on every row", "an AMT above 0"
    say = at.options.say("no_dose", True)
    at.faults.whole.append(
        Fault("table", given, "one dose or more", f"{cure}, or {say} if the model needs none")
    )


def _compartments(at: Checked, dose: np.ndarray, evid: np.ndarray) -> np.ndarray:
    """CMT of each row as number, name or None; a wrong one is a fault where a dose goes there.

    A negative number turns a compartment off, so it may stand on any row but a dose.
    """
    import polars as pl

    entries, compartments, given = at.needs.entries, at.needs.compartments, at.options.cmt
    cmt = np.full(at.n, None, object)
    if "CMT" in at.roles.found:
        column = at.raw.columns[at.roles.found["CMT"]]
        text = column.cast(pl.String, strict=False).fill_null("")
        different = text.unique()
        if len(different) == 1:
            codes = np.zeros(at.n, np.uint32)
        else:
            codes = text.cast(pl.Enum(different)).to_physical().to_numpy()
        meaning: list[int | str | None] = []
        wrong = np.zeros(len(different), bool)
        for k, one in enumerate(different.to_list()):
            one = one.strip()
            if isinstance(given, Mapping):
                one = given.get(f"{float(one):.12g}" if is_number(one) else one, one)
            value, sound = _compartment(one, entries, compartments)
            meaning.append(value)
            wrong[k] = not sound
        cmt = np.array([*meaning, None], object)[codes]
        below = np.array([isinstance(m, int) and m < 0 for m in meaning], bool)[codes]
        # EVID 2 and 3 turn compartments on and off, so an unknown one matters there too.
        bad = (dose & (wrong[codes] | below)) | (below & wrong[codes])
        _add_compartment_faults(at, bad, text)
        elsewhere = wrong[codes] & ~bad
        if elsewhere.any():
            shown = ", ".join(dict.fromkeys(text.filter(pl.Series(elsewhere)).head(50).to_list()))
            at.raw.tell(
                f"CMT {shown} is none of the model's; on rows without a dose it changes nothing", elsewhere
            )
    if isinstance(given, str):
        value, sound = _compartment(given, entries, compartments)
        if not sound:
            names = ", ".join([*(entries or ()), *(compartments or ())])
            at.faults.whole.append(Fault("cmt", repr(given), f"one of {names}" if names else "a name"))
        empty = dose & np.array([one is None for one in cmt], bool)
        cmt[empty] = value
    return cmt


def _add_compartment_faults(at: Checked, bad: np.ndarray, text: Any) -> None:
    entries, compartments = at.needs.entries, at.needs.compartments
    names = [*(entries or ()), *(compartments or ())]
    expected = f"a number from 1 to {len(compartments)}" if compartments else "a number from 1"
    expected += " or one of " + ", ".join(names[:20]) if names else " or a name"

    def cure(row: int) -> str:
        close = nearest(text[row][:40], names, n=1)
        if close:
            return close[0]
        return at.options.say("cmt", {text[row][:40] or ".": (names or ["1"])[0]})

    at.faults.add(bad, lambda i: f"CMT {text[i][:40]!r}", expected, cure)


def _compartment(
    text: str, entries: Sequence[str] | None, compartments: Sequence[str] | None
) -> tuple[int | str | None, bool]:
    """What one CMT means, and whether the model has it."""
    if text in MISSING:
        return None, True
    if is_number(text):
        value = float(text)
        sound = math.isfinite(value) and value == math.floor(value) and abs(value) < 1e6
        number = int(value) if sound else 0
        if compartments is not None and abs(number) > len(compartments):
            sound = False
        return number or None, sound
    for name in (*(entries or ()), *(compartments or ())):
        if text.lower() == name.lower():
            return name, True
    if entries is None and compartments is None:
        return canonical_route(text) or text, True
    route = canonical_route(text, entries or ())
    if route is not None and (entries is None or route in entries):
        return route, True
    return text, entries is None or compartments is None
