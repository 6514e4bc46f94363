"""The rules of event tables, each over whole columns; what passes is arrays in inside units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kinetamine.dosing.dose import MAX_REPEATS
from kinetamine.dosing.row_faults import RowFaults
from kinetamine.dosing.table_source import RawTable, is_number
from kinetamine.dosing.words import canonical_route
from kinetamine.errors import FaultyFile, nearest

__all__ = ["COLUMNS", "MISSING", "check_table", "keys", "numbers"]

#: the columns that mean something by themselves
COLUMNS = {
    "ID": "patient, a number or a text; without it all rows are one patient",
    "TIME": "time, h",
    "AMT": "amount of a dose, mg",
    "RATE": "rate of its infusion, mg/h; 0 none, -1 and -2 the model's own rate and duration",
    "DUR": "duration of its infusion, h, instead of RATE",
    "EVID": "0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose",
    "CMT": "compartment by number or name, or entry by name",
    "ADDL": "additional doses",
    "II": "interval of additional doses and of steady state, h",
    "SS": "0 no, 1 steady state, 2 steady state added to what is there",
    "MDV": "1 where there is no observation",
    "OCC": "occasion, a whole number",
    "DV": "an observed value; not used",
    "C": "a comment mark: rows with the letter C are left out",
}

DOSE_ITEMS = ("AMT", "RATE", "DUR", "ADDL", "II", "SS")
_MOST_DOSES = 1e8
MISSING = ("", ".", "NA", "N/A", "na", "NaN", "nan", "NAN", "null", "NULL", "None")
HOURS = {"s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0, "week": 168.0}
_MG = {"ug": 1e-3, "mg": 1.0, "g": 1e3}


def keys(column: Any) -> np.ndarray:
    """Labels of patients as things that compare: numbers where all are numbers, so that 1 and 1.0 are one."""
    import polars as pl

    if column.dtype == pl.String:
        text = column.str.strip_chars()
        numbers = text.cast(pl.Float64, strict=False)
        if not numbers.is_null().any():
            return numbers.to_numpy()
        return text.fill_null("").to_numpy().astype(str)
    return column.to_numpy()


def numbers(column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Values as floats, NaN where missing; and a mask of what is neither a number nor missing."""
    import polars as pl

    if column.dtype == pl.String:
        values = column.cast(pl.Float64, strict=False)
        odd = values.is_null()
        bad = np.zeros(len(column), bool)
        if odd.any():
            text = column.str.strip_chars()
            values = text.cast(pl.Float64, strict=False)
            bad = (values.is_null() & text.is_not_null() & ~text.is_in(MISSING)).to_numpy()
        return values.fill_null(math.nan).to_numpy().astype(np.float64), bad
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        values = column.cast(pl.Float64).fill_null(math.nan).to_numpy().astype(np.float64)
        return values, np.zeros(len(values), bool)
    return np.full(len(column), math.nan), column.is_not_null().to_numpy()


def _tell(value: float) -> str:
    return f"{value:.12g}"


def check_table(
    raw: RawTable,
    found: Mapping[str, int],
    kept: Mapping[str, int],
    hours: float,
    mass: float,
    entries: Sequence[str] | None,
    compartments: Sequence[str] | None,
) -> dict[str, Any]:
    """What an `EventTable` is made of, or every fault of the table at once."""
    n = len(raw.line)
    faults = RowFaults(raw.word, raw.line)

    given: dict[str, np.ndarray] = {}
    unread = np.zeros(n, bool)  # a row with a value that is no number is told once, not by every rule after
    for name, index in found.items():
        if name in ("ID", "CMT", "DV", "C"):
            continue
        given[name], odd = _read_numbers(raw.columns[index], name, faults)
        unread |= odd
    columns = {name: _read_numbers(raw.columns[index], name, faults)[0] for name, index in kept.items()}
    zero = np.zeros(n)
    item = {name: np.nan_to_num(given.get(name, zero), nan=0.0) for name in DOSE_ITEMS}
    subject, labels = _subjects(raw, found, faults)
    time = given["TIME"]
    evid, mdv = _events(given, item, faults, n)
    dose = (evid == 1) | (evid == 4)
    _check_doses(item, given, evid, dose, ~unread, faults)

    backwards = np.zeros(n, bool)
    backwards[1:] = (np.diff(time) < 0) & (np.diff(subject) == 0) & ~((evid[1:] == 3) | (evid[1:] == 4))
    faults.add(
        backwards,
        lambda i: f"TIME {_tell(time[i])} after {_tell(time[i - 1])}",
        "times that do not go down within a patient, but at EVID 3 or 4",
        "sort=True",
    )
    cmt = _compartments(raw, found, dose, entries, compartments, faults)
    occasion = None
    if "OCC" in given:
        occ = given["OCC"]
        faults.add(
            ~unread & (np.isnan(occ) | (occ != np.floor(occ)) | (np.abs(occ) > 1e9)),
            lambda i: f"OCC {_tell(occ[i])}" if occ[i] == occ[i] else "no OCC",
            "a whole number on every row",
            "OCC 1",
        )
        occasion = np.nan_to_num(occ).astype(np.int64)
    if faults.rules:
        raise FaultyFile(raw.name, faults.listed())
    rate = np.where(item["RATE"] > 0, item["RATE"] * (mass / hours), item["RATE"])
    used = {*found.values(), *kept.values()}
    names = [name for index, name in enumerate(raw.names) if name and index not in used]
    return {
        "id": labels,
        "subject": subject,
        "time_h": time * hours,
        "amount": np.where(dose, item["AMT"] * mass, 0.0),
        "rate": np.where(dose, rate, 0.0),
        "duration_h": np.where(dose, item["DUR"] * hours, 0.0),
        "evid": evid,
        "cmt": cmt,
        "addl": item["ADDL"].astype(np.int64),
        "ii_h": item["II"] * hours,
        "ss": item["SS"].astype(np.int64),
        "mdv": mdv,
        "occasion": occasion,
        "columns": columns,
        "ignored": tuple(names),
        "line": raw.line,
        "source": raw.name,
    }


def _read_numbers(column: Any, name: str, faults: RowFaults) -> tuple[np.ndarray, np.ndarray]:
    """Values, NaN where missing, and a mask of those that could not be read."""

    values, bad = numbers(column)

    def cure(row: int) -> str:
        text = str(column[row])
        if is_number(text.replace(",", ".")):
            return f"{text.strip().replace(',', '.')!r}, with a decimal point"
        if name == "TIME" and ":" in text:
            return "hours since the first dose"
        return "hours" if name == "TIME" else "'.' for missing"

    faults.add(bad, lambda i: f"{name} {str(column[i])[:40]!r}", "a number", cure)
    endless = np.isinf(values)
    finite = "a finite number"
    faults.add(endless, lambda i: f"{name} {column[i]}", finite, "" if name == "TIME" else "'.' for missing")
    if name == "TIME":
        faults.add(np.isnan(values) & ~bad, lambda i: "no TIME", "a time on every row", "TIME 0")
    values[endless] = math.nan
    return values, bad | endless


def _subjects(raw: RawTable, found: Mapping[str, int], faults: RowFaults) -> tuple[np.ndarray, list[Any]]:
    """Number of the patient on each row, and the labels."""
    import polars as pl

    n = len(raw.line)
    if "ID" not in found:
        return np.zeros(n, np.int64), [1] * n
    column = raw.columns[found["ID"]]
    if column.dtype == pl.String:
        column = column.str.strip_chars()
        missing = (column.is_null() | column.is_in(MISSING)).to_numpy()
    elif column.dtype.is_float():
        missing = (column.is_null() | column.is_nan() | column.is_infinite()).to_numpy()
        if (
            not missing.any()
            and bool((column == column.floor()).all())
            and bool((column.abs() < 2**53).all())
        ):
            column = column.cast(pl.Int64)
    else:
        missing = column.is_null().to_numpy()
    labels = column.to_list()
    if missing.any():
        faults.add(missing, lambda i: "no ID", "the patient's ID on every row", "ID 1")
        return np.zeros(n, np.int64), labels
    label = keys(column)
    changes = np.ones(n, bool)
    changes[1:] = label[1:] != label[:-1]
    starts = np.flatnonzero(changes)
    if len(np.unique(label[starts])) < len(starts):
        _, first = np.unique(label[starts], return_index=True)
        again = np.zeros(n, bool)
        again[np.delete(starts, first)] = True
        cure = "sort=True to gather them, or another ID for another patient"
        faults.add(
            again, lambda i: f"ID {labels[i]} again after another ID", "the rows of one ID together", cure
        )
    return np.cumsum(changes) - 1, labels


def _events(
    given: Mapping[str, np.ndarray], item: Mapping[str, np.ndarray], faults: RowFaults, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """EVID of every row, derived where the table does not say, and MDV."""
    nothing = np.full(n, math.nan)
    mdv = given.get("MDV", nothing)
    faults.add(~np.isnan(mdv) & ~np.isin(mdv, (0, 1)), lambda i: f"MDV {_tell(mdv[i])}", "0 or 1", "MDV 0")
    evid = given.get("EVID", nothing)
    faults.add(
        ~np.isnan(evid) & ~np.isin(evid, (0, 1, 2, 3, 4)),
        lambda i: f"EVID {_tell(evid[i])}",
        "0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose",
        "EVID 1",
    )
    gives = (item["AMT"] != 0) | ((item["RATE"] != 0) & (item["SS"] != 0))
    derived = np.where(gives, 1, np.where(mdv == 1, 2, 0))
    settled = np.where(np.isin(evid, (0, 1, 2, 3, 4)), evid, derived).astype(np.int64)
    return settled, np.where(np.isnan(mdv), settled != 0, mdv).astype(np.int64)


def _check_doses(
    item: Mapping[str, np.ndarray],
    given: Mapping[str, np.ndarray],
    evid: np.ndarray,
    dose: np.ndarray,
    read: np.ndarray,
    faults: RowFaults,
) -> None:
    """The rules of AMT, RATE, DUR, ADDL, II and SS, on rows whose numbers could be read."""
    amt, rate, dur, addl, ii, ss = (item[name] for name in DOSE_ITEMS)
    other = ~dose & read & np.any([item[name] != 0 for name in DOSE_ITEMS], axis=0)
    dose = dose & read
    endless = dose & (amt == 0) & ((rate > 0) | (rate == -1)) & (ss > 0)  # a constant infusion

    def stray(row: int) -> str:
        said = [f"{name} {_tell(item[name][row])}" for name in DOSE_ITEMS if item[name][row] != 0]
        return f"EVID {evid[row]} with " + ", ".join(said)

    faults.add(other, stray, "no dose on a row of this kind", "EVID 1 for a dose, or 0 in these columns")
    faults.add(
        dose & (amt < 0), lambda i: f"AMT {_tell(amt[i])}", "0 or more", lambda i: f"AMT {_tell(-amt[i])}"
    )
    asked = given.get("AMT", np.full(len(amt), math.nan))
    faults.add(
        dose & (amt == 0) & ~endless,
        lambda i: f"EVID {evid[i]} with " + ("no AMT" if math.isnan(asked[i]) else "AMT 0"),
        "an amount above 0 (0 only for RATE > 0, SS 1, II 0: a constant infusion)",
        "EVID 2 for a row that gives nothing",
    )
    faults.add(
        dose & (rate < 0) & (rate != -1) & (rate != -2),
        lambda i: f"RATE {_tell(rate[i])}",
        "a rate, 0 for none, -1 or -2 for the model's own rate or duration",
        "RATE 0",
    )
    faults.add(
        dose & (dur < 0), lambda i: f"DUR {_tell(dur[i])}", "0 or more", lambda i: f"DUR {_tell(-dur[i])}"
    )
    total = float(np.sum(addl[dose] + 1.0, initial=0.0))
    if total > _MOST_DOSES:
        faults.add(
            dose & (addl == addl[dose].max()),
            lambda i: f"ADDL {_tell(addl[i])}, which makes {total:.3g} doses in the table",
            f"at most {_MOST_DOSES:.0e} doses in all",
            "smaller ADDL",
        )
    both = dose & (rate != 0) & (dur != 0)
    faults.add(both, lambda i: f"RATE {_tell(rate[i])} and DUR {_tell(dur[i])}", "one of them", "DUR 0")
    faults.add(dose & (ii < 0), lambda i: f"II {_tell(ii[i])}", "0 or more", lambda i: f"II {_tell(-ii[i])}")
    faults.add(
        dose & ((addl < 0) | (addl != np.floor(addl)) | (addl > MAX_REPEATS)),
        lambda i: f"ADDL {_tell(addl[i])}",
        f"a whole number from 0 to {MAX_REPEATS}",
        "ADDL 0",
    )
    without = dose & (addl > 0) & (ii == 0) & ~endless
    faults.add(without, lambda i: f"ADDL {_tell(addl[i])} without II", "II above 0", "II 24")
    faults.add(dose & ~np.isin(ss, (0, 1, 2)), lambda i: f"SS {_tell(ss[i])}", "0, 1 or 2", "SS 1")
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


def _compartments(
    raw: RawTable,
    found: Mapping[str, int],
    dose: np.ndarray,
    entries: Sequence[str] | None,
    compartments: Sequence[str] | None,
    faults: RowFaults,
) -> np.ndarray:
    """CMT of each row as number, name or None; a wrong one is a fault where a dose goes there."""
    import polars as pl

    cmt = np.full(len(dose), None, object)
    if "CMT" not in found:
        return cmt
    column = raw.columns[found["CMT"]]
    text = column.cast(pl.String, strict=False).str.strip_chars().fill_null("")
    codes = text.rank("dense").to_numpy().astype(np.int64) - 1
    rows = np.unique(codes, return_index=True)[1]
    meaning: list[int | str | None] = []
    wrong = np.zeros(len(rows), bool)
    for code, row in enumerate(rows):
        value, sound = _compartment(text[int(row)], entries, compartments)
        meaning.append(value)
        wrong[code] = not sound
    cmt[:] = np.array([*meaning, None], object)[codes]
    names = [*(entries or ()), *(compartments or ())]
    expected = f"a number from 1 to {len(compartments)}" if compartments else "a number from 1"
    expected += " or one of " + ", ".join(names[:20]) if names else " or a name"

    def cure(row: int) -> str:
        return (nearest(text[row][:40], names, n=1) or ["CMT 1"])[0]

    faults.add(dose & wrong[codes], lambda i: f"CMT {text[i][:40]!r}", expected, cure)
    return cmt


def _compartment(
    text: str, entries: Sequence[str] | None, compartments: Sequence[str] | None
) -> tuple[int | str | None, bool]:
    """What one CMT means, and whether the model has it."""
    if text in MISSING:
        return None, True
    if is_number(text):
        value = float(text)
        sound = math.isfinite(value) and value == math.floor(value) and 0 <= value < 1e6
        number = int(value) if sound else 0
        if compartments is not None and number > len(compartments):
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
