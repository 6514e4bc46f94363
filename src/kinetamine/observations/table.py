"""Measured values in the columns of an event table: DV and what belongs to it, as in NONMEM and Monolix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.errors import Fault, FaultyFile, InputError
from kinetamine.observations.conversion import to_output

__all__ = ["COLUMNS", "Observed", "read_table"]

#: what each column means
COLUMNS = {
    "DV": "measured value; '<0.5' is below a limit",
    "DVID": "which output, by name or by number in the order of the model",
    "CENS": "1: DV is the limit below which the value lies, -1: above which (Monolix)",
    "LIMIT": "with CENS 1 the lower end of the interval",
    "BLQ": "1: the value lies below LLOQ",
    "LLOQ": "lower limit of quantification",
    "SITE": "where it was taken, such as venous plasma",
}


@dataclass(frozen=True)
class Observed:
    """Values of an event table, a row for each observation that counts.

    Parameters
    ----------
    table : EventTable
        Other observation records left out.
    output : tuple of str
    low, high : array (value,)
        In the outputs' units.
    subject : array (value,) of int
    """

    table: Any
    output: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    subject: np.ndarray


def read_table(source: Any, spec: Any, *, dv_unit: str | None = None, **options: Any) -> Observed:
    """Read doses and values of a table.

    Parameters
    ----------
    source : path, frame, dict of columns, or EventTable
        An EventTable must carry its DV (``carry=["DV", …]``).
    spec : ModelSpec
    dv_unit : str, optional
        Unit of DV; default that of each output.
    options
        Those of `EventTable.read`.

    Raises
    ------
    FaultyFile
        Every row whose value cannot be used, with its line.
    """
    from dataclasses import replace

    from kinetamine.dosing import EventTable
    from kinetamine.dosing.table_columns import observed
    from kinetamine.dosing.table_options import in_python

    if options.get("also"):
        raise InputError(
            "also", repr(options["also"]), "nothing: no table of outputs is made here", "kinetamine.simulate"
        )
    if isinstance(source, EventTable):
        table, names = source, list(source.carried)
    else:
        first = EventTable.for_model(source, spec, **options)
        new = {old.lower(): name for old, name in (options.get("rename") or {}).items()}
        names = [new.get(column.name.lower(), column.name) for column in first.account if column.name]
        wanted = observed(names)
        kept = [name for name in names if name.upper() in COLUMNS and name.upper() != "DV"]
        kept += [wanted] if wanted else []
        table = EventTable.for_model(source, spec, **{**options, "carry": kept})
    carried = {name.upper(): values.to_list() for name, values in table.carried.items()}
    wanted = observed(names)
    if wanted is None or wanted.upper() not in carried:
        cure = options.get("say", in_python)("rename", {"Cp": "DV"})
        raise FaultyFile(table.source, [Fault("header", "no DV", "a column DV of measured values", cure)])
    carried["DV"] = carried[wanted.upper()]
    reader = _Rows(table, spec, carried, dv_unit)
    rows, output, low, high = reader.all()
    keep = np.ones(len(table), bool)
    keep[np.flatnonzero(table.evid == 0)] = False
    keep[rows] = True
    slim = replace(
        table,
        **{
            name: getattr(table, name)[keep]
            for name in (
                "subject", "time_h", "amount", "rate", "duration_h", "evid", "cmt", "addl", "ii_h", "ss", "mdv", "line",
            )
        },
        id=[label for label, kept_ in zip(table.id, keep, strict=True) if kept_],
        columns={name: values[keep] for name, values in table.columns.items()},
        occasion=None if table.occasion is None else table.occasion[keep],
        carried={},
    )  # fmt: skip
    return Observed(slim, tuple(output), np.array(low), np.array(high), table.subject[rows])


class _Rows:
    """The observation records of a table, one at a time, faults gathered."""

    def __init__(self, table: Any, spec: Any, carried: dict[str, list[Any]], dv_unit: str | None) -> None:
        self.table, self.spec, self.carried = table, spec, carried
        self.dv_unit = dv_unit
        self.faults: list[Fault] = []
        self.factors: dict[str, float] = {}

    def all(self) -> tuple[np.ndarray, list[str], list[float], list[float]]:
        """Rows that count, their outputs and limits."""
        rows, output, low, high = [], [], [], []
        for row in np.flatnonzero((self.table.evid == 0) & (self.table.mdv == 0)):
            try:
                name = self._output(int(row))
                a, b = self._limits(int(row))
            except InputError as error:
                fault = error.faults[0]
                self.faults.append(
                    Fault(f"line {self.table.line[row]}", fault.given, fault.expected, fault.try_)
                )
                continue
            factor = self._factor(name)
            rows.append(row)
            output.append(name)
            low.append(a * factor)
            high.append(b * factor)
        if not rows and not self.faults:
            self.faults.append(Fault("table", "no observation", "rows with EVID 0, MDV 0 and a DV", ""))
        if self.faults:
            raise FaultyFile(self.table.source, self.faults[:50])
        return np.array(rows, np.int64), output, low, high

    def _factor(self, name: str) -> float:
        """From DV to the output's unit and mass."""
        if name not in self.factors:
            unit = self.dv_unit or self.spec.outputs[name].unit
            self.factors[name] = to_output(self.spec, name, unit, "dv_unit")
        return self.factors[name]

    def _cell(self, name: str, row: int) -> str:
        values = self.carried.get(name)
        text = "" if values is None or values[row] is None else str(values[row]).strip()
        return "" if text in (".", "NA", "na", "NaN", "nan") else text

    def _number(self, name: str, row: int) -> float | None:
        text = self._cell(name, row)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise InputError(name, f"{name} {text!r}", "a number", ".")
        return value

    def _limits(self, row: int) -> tuple[float, float]:
        text = self._cell("DV", row)
        if text.startswith("<"):
            self.carried["DV"][row] = text[1:]
            limit = self._number("DV", row)
            self.carried["DV"][row] = text
            return -math.inf, self._positive("DV", limit)
        blq, lloq = self._number("BLQ", row), self._number("LLOQ", row)
        if blq == 1:
            return -math.inf, self._positive("LLOQ", lloq)
        cens = self._number("CENS", row) or 0.0
        value = self._number("DV", row)
        if value is None:
            raise InputError("DV", "no DV", "a value, or MDV 1", "MDV 1 where nothing was measured")
        if cens == 1:
            lower = self._number("LIMIT", row)
            return (-math.inf if lower is None else lower), self._positive("DV", value)
        if cens == -1:
            return value, math.inf
        if cens:
            raise InputError("CENS", f"CENS {cens:g}", "0, 1 or -1", "0")
        if lloq is not None and blq is None and value < lloq:
            return -math.inf, lloq
        return value, value

    @staticmethod
    def _positive(name: str, value: float | None) -> float:
        if value is None or not value > 0:
            raise InputError(name, f"{name} {value}", "the limit, above 0", "")
        return value

    def _output(self, row: int) -> str:
        names = list(self.spec.outputs)
        said = self._cell("DVID", row)
        if said:
            if said in names:
                return self._at_site(said, row)
            number = self._number("DVID", row) if said.replace(".", "").isdigit() else None
            if number is not None and number == int(number) and 1 <= number <= len(names):
                return self._at_site(names[int(number) - 1], row)
            raise InputError(
                "DVID", f"DVID {said!r}", "an output by name or number: " + ", ".join(names), names[0]
            )
        if len(names) == 1:
            return self._at_site(names[0], row)
        cmt = self.table.cmt[row]
        state = self.table_state(cmt)
        fits = [name for name in names if state is not None and self._observes(name) == state]
        if len(fits) == 1:
            return self._at_site(fits[0], row)
        given = "no CMT" if cmt is None else f"CMT {cmt}"
        raise InputError(
            "CMT", f"{given} and no DVID", "which output was measured: " + ", ".join(names), "a column DVID"
        )

    def table_state(self, cmt: Any) -> str | None:
        """Name of the compartment that CMT means."""
        states = list(self.spec.states)
        if isinstance(cmt, int) and 1 <= abs(cmt) <= len(states):
            return str(states[abs(cmt) - 1])
        return cmt if isinstance(cmt, str) and cmt in states else None

    def _observes(self, name: str) -> str | None:
        """The one compartment that an output is made of."""
        from kinetamine.formulas.parse import parse
        from kinetamine.formulas.tree import names as names_in

        found = [s for s in self.spec.states if s in names_in(parse(self.spec.outputs[name].value))]
        return str(found[0]) if len(found) == 1 else None

    def _at_site(self, name: str, row: int) -> str:
        site, own = self._cell("SITE", row), self.spec.outputs[name].site
        if site and site != own and "not stated" not in (site, own) and site != "plasma" != own:
            raise InputError("SITE", f"SITE {site!r}", f"the site of the model's output: {own}", own)
        return name
