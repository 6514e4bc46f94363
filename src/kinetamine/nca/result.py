"""What a non-compartmental analysis found: one row per curve, and the statistics of groups."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from kinetamine.dosing.table_columns import Column
from kinetamine.dosing.table_options import Options
from kinetamine.errors import InputError, UnknownName
from kinetamine.files import write_whole
from kinetamine.nca import names
from kinetamine.nca.profile import Profile, Rules, measures, order
from kinetamine.nca.read import Curves, read_curves

if TYPE_CHECKING:
    import polars as pl

    from kinetamine.results import TableResult

__all__ = ["NCA", "nca"]


def nca(
    data: Any,
    conc: Iterable[float] | None = None,
    *,
    route: str | None = None,
    dose: Any = None,
    duration: float | None = None,
    group: str | Sequence[str] = (),
    rules: Rules | None = None,
    after_dose: int | None = None,
    lloq: float | None = None,
    units: Sequence[str] = ("h", "", ""),
    **options: Unpack[Options],
) -> NCA:
    """Non-compartmental analysis of measured concentrations.

    Parameters
    ----------
    data : path, frame, dict of columns, or array of times
        A table with TIME and DV (or CONC …), ID for several people, and doses in AMT; or the times of one
        curve, with its concentrations in `conc`.
    conc : array, optional
    route : {"extravascular", "bolus", "infusion"}, optional
        Default: infusion where the doses have a duration, else extravascular.
    dose : number or dict, optional
        The dose, or one for each ID; else the table's own. Without any, what needs a dose is absent.
    duration : float, optional
        Length of an infusion.
    group : str or list of str
        Columns that tell curves apart besides ID, such as a treatment; statistics are by them.
    rules : Rules, optional
        Method, terminal slope, partial areas, interval at steady state, values below the limit.
    after_dose : int, optional
        Which dose of several the curve follows; default the last.
    lloq : float, optional
        Values below it are below the limit of quantification, as are BLQ, <0.1 and CENS 1.
    units : (time, concentration, dose)
        Such as ``("h", "ng/mL", "mg")``; clearances and volumes are then in L/h and L.
    options
        Those of `EventTable.read`: rename, ignore, accept, missing, sort, columns …

    Returns
    -------
    NCA

    Raises
    ------
    FaultyFile
        With every row that is wrong.

    Examples
    --------
    >>> found = nca([0.0, 1, 2, 4, 8], [0.0, 4, 3, 1.5, 0.375], dose=100)
    >>> found["HL_Lambda_z"].round(6).tolist(), found["AUClast"].round(3).tolist()
    ([2.0], [13.05])
    """
    from kinetamine.dosing.dose import MAX_TIME_H

    if duration is not None and not 0 < duration < MAX_TIME_H:
        raise InputError("duration", repr(duration), "the length of the infusion", "duration=0.5")
    if conc is not None:
        data = {"TIME": list(data), "DV": list(conc)}
    groups = [group] if isinstance(group, str) else list(group)
    curves = read_curves(data, groups, dose, duration, lloq, after_dose, dict(options))
    if not curves.profiles:
        raise InputError(curves.source, "no concentrations", "one curve or more", "a column DV")
    settled = rules or Rules()
    if route is None and settled.route == "auto":
        route = "infusion" if any(one.duration for one in curves.profiles) else "extravascular"
    if route is not None:
        settled = replace(settled, route=route)
    if settled.route == "infusion" and not all(one.duration for one in curves.profiles):
        raise InputError("duration", "nothing", "the length of the infusion", "duration=0.5")
    factor = _to_litres(units)
    found = []
    for profile in curves.profiles:
        values = measures(profile, settled)
        for name in values:
            if names.kind(name) in ("volume", "clearance"):
                values[name] *= factor
        found.append(values)
    return NCA(curves, settled, found, tuple(units))


def _to_litres(units: Sequence[str]) -> float:
    """Factor from dose per concentration to litres, where both units are known."""
    if len(units) != 3:
        raise InputError(
            "units", repr(units), "units of time, concentration and dose", "('h', 'ng/mL', 'mg')"
        )
    _, conc, dose = units
    if not conc or not dose:
        return 1.0
    from kinetamine.units import convert

    return float(convert(1.0, f"{dose}/({conc})", "L", "units"))


@dataclass(eq=False, repr=False)
class NCA:
    """Parameters of every curve, by the names of Phoenix WinNonlin.

    Parameters
    ----------
    curves : Curves
        What was analysed; `curves.account` says what became of the table's columns.
    rules : Rules
    found : list of dict
        Parameters of each curve; what could not be told is absent.
    units : tuple of str
        Of time, concentration and dose.

    Examples
    --------
    >>> found = nca({"ID": [1, 1, 1, 1], "TIME": [0, 1, 2, 3], "CONC": [0, 4, 2, 1]})
    >>> found["Cmax"].tolist(), found.said()
    ([4.0], ['ID 1: no terminal slope: fewer than three falling points after the peak'])
    """

    curves: Curves
    rules: Rules
    found: list[dict[str, float]]
    units: tuple[str, ...] = ("h", "", "")
    _names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        every: dict[str, float] = {}
        for one in self.found:
            every |= one
        self._names = order(every)

    def __getitem__(self, name: str) -> np.ndarray:
        """One parameter of every curve, array (curve,), NaN where it could not be told."""
        if name not in self._names:
            by_code = {names.cdisc(one, self.rules.route): one for one in self._names}
            if name not in by_code:
                raise UnknownName("parameter", name, self._names, "a parameter that was found")
            name = by_code[name]
        return np.array([one.get(name, math.nan) for one in self.found])

    def __len__(self) -> int:
        return len(self.found)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters that were found for anybody."""
        return tuple(self._names)

    @property
    def account(self) -> tuple[Column, ...]:
        """What became of each column of the table."""
        return self.curves.account

    def told(self) -> list[str]:
        """What became of the columns of the table, in one line for a person."""
        parts = []
        for use in ("used", "not used"):
            names = [str(column.name) for column in self.account if column.use == use]
            if names:
                parts.append(f"{use}{':' if use == 'not used' else ''} {', '.join(names)}")
        return [f"{self.curves.source}: {'; '.join(parts)}"]

    def said(self) -> list[str]:
        """What somebody should hear of the table and of each curve."""
        lines = [f"{self.curves.source}: {text}" for text in self.curves.said]
        for profile in self.curves.profiles:
            lines += [f"{self._who(profile)}: {text}" for text in profile.said]
        return lines

    def _who(self, profile: Profile) -> str:
        return ", ".join(
            f"{name} {value}" for name, value in zip(self.curves.names, profile.label, strict=True)
        )

    def unit(self, name: str) -> str:
        """Unit of a parameter, as far as the units of the data are known."""
        time, conc, dose = self.units
        conc = conc or "concentration"
        litres = self.units[1] and self.units[2]
        volume = "L" if litres else f"{dose or 'dose'}/({conc})"
        return {
            "time": time,
            "rate": f"1/{time}",
            "conc": conc,
            "area": f"{time}*{conc}",
            "moment": f"{time}^2*{conc}",
            "volume": volume,
            "clearance": f"{volume}/{time}",
            "per dose": f"({conc}{'' if name == 'Cmax_D' else '*' + time})/{dose or 'dose'}",
            "number": "",
        }[names.kind(name)]

    def to_polars(self, style: str = "phoenix") -> pl.DataFrame:
        """One row per curve: who, then the parameters.

        Parameters
        ----------
        style : {"phoenix", "cdisc"}
            Whose names the columns carry.
        """
        import polars as pl

        data: dict[str, Any] = {}
        for k, name in enumerate(self.curves.names):
            data[name] = pl.Series([profile.label[k] for profile in self.curves.profiles], strict=False)
        for name in self._names:
            data[self.named(name, style)] = pl.Series(self[name], nan_to_null=True)
        return pl.DataFrame(data)

    def named(self, name: str, style: str = "phoenix") -> str:
        """The name of a parameter in a style, phoenix or cdisc."""
        if style not in ("phoenix", "cdisc"):
            raise InputError("names", repr(style), "phoenix or cdisc", "'cdisc'")
        return name if style == "phoenix" else names.cdisc(name, self.rules.route)

    def summary(self, style: str = "phoenix") -> pl.DataFrame:
        """Statistics over the curves of each group: one row per group and parameter.

        Returns
        -------
        polars.DataFrame
            Groups, parameter, unit, n, mean, sd, cv_percent, geometric_mean, geometric_cv_percent, median, min, max.
        """
        import polars as pl

        groups: dict[tuple[Any, ...], list[int]] = {}
        for k, profile in enumerate(self.curves.profiles):
            groups.setdefault(profile.label[1:], []).append(k)
        rows = []
        for label, mine in groups.items():
            for name in self._names:
                values = self[name][mine]
                values = values[np.isfinite(values)]
                if len(values):
                    who = dict(zip(self.curves.names[1:], label, strict=True))
                    rows.append(
                        {
                            **who,
                            "parameter": self.named(name, style),
                            "unit": self.unit(name),
                            **_spread(values),
                        }
                    )
        return pl.DataFrame(rows, infer_schema_length=None)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, ready for JSON."""
        rules = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in vars(self.rules).items()
        }
        return {
            "rules": rules,
            "units": {name: self.unit(name) for name in self._names},
            "cdisc": {name: names.cdisc(name, self.rules.route) for name in self._names},
            "curves": self.to_polars().to_dicts(),
            "summary": self.summary().to_dicts(),
            "columns": [vars(column).copy() for column in self.account],
            "said": self.said(),
        }

    def to_json(self, indent: int | None = None) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False, indent=indent, default=str)

    def write(self, path: str | os.PathLike[str], style: str = "phoenix") -> None:
        """Write the parameters to a ``.csv`` or ``.json`` file, whole or not at all."""
        suffix = Path(path).suffix.lower()
        if suffix == ".csv":
            write_whole(path, self.to_polars(style).write_csv())
        elif suffix == ".json":
            write_whole(path, self.to_json(indent=1))
        else:
            raise InputError("out", repr(str(path)), "a name that ends in .csv or .json", "'nca.csv'")

    def as_result(self) -> TableResult:
        """The measured curves as a result, for figures and reports; graded as observed."""
        from kinetamine.results import Output, TableResult

        labels, subject, time, values = [], [], [], []
        for k, profile in enumerate(self.curves.profiles):
            seen = profile.conc >= 0
            labels += ["/".join(map(str, profile.label))] * int(seen.sum())
            subject += [k] * int(seen.sum())
            time += profile.time[seen].tolist()
            values += profile.conc[seen].tolist()
        output = Output("concentration", "concentration", "as measured", self.units[1] or "1", "observed")
        output.values = np.array(values)
        return TableResult(labels, np.array(subject), np.array(time), {"concentration": output})

    def __repr__(self) -> str:
        people = len({profile.label[0] for profile in self.curves.profiles})
        return (
            f"<NCA of {self.curves.source}: {len(self)} curves of {people} people, {self.rules.route}, "
            f"{self.rules.method}; {len(self._names)} parameters>"
        )


def _spread(values: np.ndarray) -> dict[str, float | int | None]:
    n, mean = len(values), float(values.mean())
    sd = float(values.std(ddof=1)) if n > 1 else None
    geometric = geometric_cv = None
    if (values > 0).all():
        logs = np.log(values)
        geometric = float(math.exp(logs.mean()))
        if n > 1:
            geometric_cv = 100 * math.sqrt(math.expm1(float(logs.var(ddof=1))))
    return {
        "n": n,
        "mean": mean,
        "sd": sd,
        "cv_percent": 100 * sd / mean if sd is not None and mean else None,
        "geometric_mean": geometric,
        "geometric_cv_percent": geometric_cv,
        "median": float(np.median(values)),
        "min": float(values.min()),
        "max": float(values.max()),
    }
