"""Published exposure of real people, read and checked: who got what, and what was measured in them.

Three files, in one folder: `pk_arms.toml` (study arms: people, doses, sampling site), `pk_values.csv` (one
number a row: Cmax, clearance, half-life, …) and `pk_curves.csv` (one point of a concentration curve a row).
A row that cannot be compared with anything stays in the file and says why in `unusable`.

Checked in two steps, like model files: first the form of every row, then its sense (arms exist, units measure
what the row says, dose phrases can be read, sources are known). All faults of a step are reported at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from kinetamine import units
from kinetamine.errors import Fault, InputError
from kinetamine.records import (
    Record,
    Seen,
    raise_all,
    read_csv,
    read_toml,
    source_faults,
    unknown,
)
from kinetamine.substances import Drug, analytes, molar_mass

__all__ = ["METRICS", "Arm", "Observations", "Point", "Value", "load"]

#: measure → the unit it is compared in. The last four are kept for the record and cannot be compared.
METRICS = {
    "Cmax": "ng/mL",
    "C_at": "ng/mL",
    "Tmax": "h",
    "AUC_last": "ng*h/mL",
    "AUC_inf": "ng*h/mL",
    "t_half": "h",
    "CL": "L/h",
    "Vss": "L",
    "Vz": "L",
    "F": "1",
    "AUC_ratio": "1",
    "C_effect": "ng/mL",
    "T_first": "h",
    "share": "1",
}
_NEVER_COMPARED = ("C_effect", "T_first", "share")

DataKind = Literal["observed", "model_based", "secondary"]


class Arm(Record):
    """One group of people, what they were given and where their blood was taken.

    `built_into` names the models estimated from these very people: agreement with them is a fit, not a
    prediction. `maybe_built_into` names pooled models whose members were not seen.
    """

    study: str
    population: str
    n: int | None = Field(default=None, ge=1)
    health: str | None = None
    age_group: Literal["adult", "child"]
    age_years: tuple[float, float] | None = None
    age_mean: float | None = Field(default=None, gt=0, lt=130)
    weight_kg: tuple[float, float] | None = None
    weight_mean: float | None = Field(default=None, gt=0, lt=400)
    female_percent: float | None = Field(default=None, ge=0, le=100)
    drug: Drug
    route: str
    formulation: str | None = None
    unlike: str | None = None
    doses: tuple[str, ...] = ()
    doses_note: str | None = None
    nominal_dose: bool = False
    doses_without_film: tuple[str, ...] = ()
    sampling: Literal["arterial", "venous", "arterial and venous", "unknown"]
    built_into: tuple[str, ...] = ()
    maybe_built_into: tuple[str, ...] = ()
    note: str | None = None

    @property
    def age(self) -> float | None:
        """Mean age, else the middle of the range, else None."""
        if self.age_mean is not None:
            return self.age_mean
        return None if self.age_years is None else sum(self.age_years) / 2

    @property
    def weight(self) -> float | None:
        """Mean weight, else the middle of the range, else None."""
        if self.weight_mean is not None:
            return self.weight_mean
        return None if self.weight_kg is None else sum(self.weight_kg) / 2


class _Fact(Record):
    """What a value and a point of a curve have in common."""

    arm: str
    analyte: str
    time_h: float | None = Field(default=None, ge=0)
    unit: str
    source: str
    place: str | None = None
    url: str | None = None
    seen: Seen
    data_kind: DataKind
    unusable: str | None = None
    note: str | None = None


class Value(_Fact):
    """One published number.

    `per` is "kg" for a number per kg of body weight, "70 kg" for one scaled allometrically to 70 kg (exponent
    0.75 for clearance, 1 for volumes).
    `bound` marks one end of a published range; the two ends are two rows, compared together.
    """

    id: str
    metric: str
    reference: str | None = None
    from_h: float | None = Field(default=None, ge=0)
    to_h: float | None = Field(default=None, gt=0)
    value: float = Field(gt=0, allow_inf_nan=False)
    per: Literal["kg", "70 kg"] | None = None
    bound: Literal["lower", "upper"] | None = None
    spread_kind: Literal["SD", "SE", "CV%", "CI90", "CI95", "IQR", "printed"] | None = None
    spread: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    spread_low: float | None = Field(default=None, allow_inf_nan=False)
    spread_high: float | None = Field(default=None, allow_inf_nan=False)

    @field_validator("metric")
    @classmethod
    def _known_metric(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError("one of " + ", ".join(METRICS))
        return metric

    @property
    def amount(self) -> float:
        """The number in the unit its measure is compared in (see `METRICS`)."""
        return _to_common(self.value, self.unit, METRICS[self.metric], self.analyte)

    @property
    def interval(self) -> tuple[float, float] | None:
        """Published interval in the common unit: mean ± SD, mean ± 1.96 SE, or the limits as printed."""
        low, high = self.spread_low, self.spread_high
        if low is None or high is None:
            if self.spread is None:
                return None
            reach = self.spread
            if self.spread_kind == "CV%":
                reach = self.value * self.spread / 100
            elif self.spread_kind == "SE":
                reach = 1.96 * self.spread
            low, high = self.value - reach, self.value + reach
        factor = self.amount / self.value
        return max(low, 0.0) * factor, high * factor


class Point(_Fact):
    """One point of a published mean concentration curve."""

    curve: str
    value: float = Field(ge=0, allow_inf_nan=False)
    sd: float | None = Field(default=None, ge=0)

    @property
    def concentration(self) -> float:
        """ng/mL."""
        return _to_common(self.value, self.unit, "ng/mL", self.analyte)


class _File(Record):
    arm: dict[str, Arm]


@dataclass(frozen=True)
class Observations:
    """All observations of one folder.

    Examples
    --------
    >>> all_of_them = load()
    >>> value = all_of_them.value("hasan_2021_iv_s_cl")
    >>> round(value.amount, 1), all_of_them.arms[value.arm].doses
    (97.2, ('5 mg racemate iv over 30 min',))
    """

    arms: Mapping[str, Arm]
    values: tuple[Value, ...]
    points: tuple[Point, ...]

    def value(self, id: str) -> Value:
        """The value with this id."""
        return next(v for v in self.values if v.id == id)

    def curves(self) -> dict[str, tuple[Point, ...]]:
        """Points by curve, in the order of the file."""
        found: dict[str, list[Point]] = {}
        for point in self.points:
            found.setdefault(point.curve, []).append(point)
        return {name: tuple(points) for name, points in found.items()}


def _to_common(value: float, unit: str, to: str, analyte: str) -> float:
    if to == "1":
        return value / 100 if unit == "%" else value
    if "mol" in unit:  # nmol/mL of g/mol is ng/mL
        return units.convert(value, unit, "nmol/mL") * molar_mass(analyte)
    return units.convert(value, unit, to)


def load(folder: str | Path | None = None) -> Observations:
    """Read and check the observations that come with kinetamine, or those in a folder of your own.

    Parameters
    ----------
    folder : path, optional
        Holds `pk_arms.toml`, `pk_values.csv` and `pk_curves.csv`.

    Raises
    ------
    FaultyFile
        Everything that is wrong, at once.

    Examples
    --------
    >>> load().value("hasan_2021_iv_s_cl").unit
    'mL/min'
    """
    root, place = (None, "observations/") if folder is None else (Path(folder), "")
    faults: list[Fault] = []
    file = read_toml(f"{place}pk_arms.toml", _File, folder=root, into=faults)
    values = read_csv(f"{place}pk_values.csv", Value, folder=root, into=faults)
    points = read_csv(f"{place}pk_curves.csv", Point, folder=root, into=faults)
    raise_all("observations", faults)
    found = Observations(file.arm, values, points)
    raise_all("observations", list(_nonsense(found)))
    return found


def _nonsense(found: Observations) -> Iterable[Fault]:
    """Faults that the form of a row does not show."""
    yield from _bad_arms(found)
    yield from source_faults("pk_values.csv", found.values)
    yield from source_faults("pk_curves.csv", found.points)
    seen: set[str] = set()
    for value in found.values:
        where = f"pk_values.csv {value.id}"
        if value.id in seen:
            yield Fault(where, "the same id twice", "an id of its own")
        seen.add(value.id)
        yield from _bad_fact(found, value, where, METRICS[value.metric])
        if value.reference is not None and value.reference not in analytes():
            yield unknown(f"{where}, reference", value.reference, analytes())
        if (value.metric == "AUC_ratio") != (value.reference is not None):
            yield Fault(
                f"{where}, reference", repr(value.reference), "the analyte below the line, for AUC_ratio only"
            )
        if value.metric == "C_at" and value.time_h is None and value.unusable is None:
            yield Fault(f"{where}, time_h", "nothing", "the time of the sample")
        if value.metric == "AUC_last" and value.to_h is None and value.unusable is None:
            yield Fault(f"{where}, to_h", "nothing", "the end of the area")
        if value.metric in _NEVER_COMPARED and value.unusable is None:
            yield Fault(f"{where}, unusable", "nothing", f"why {value.metric} cannot be compared")
        has = (value.spread is not None) + (value.spread_low is not None) * (value.spread_high is not None)
        if (value.spread_kind is not None) != (has == 1):
            yield Fault(
                f"{where}, spread",
                repr(value.spread),
                "spread_kind with spread or with both limits, or none of them",
            )
    times: dict[str, float] = {}
    for number, point in enumerate(found.points, start=2):
        where = f"pk_curves.csv line {number}"
        yield from _bad_fact(found, point, where, "ng/mL")
        if point.unusable is None:
            if point.time_h is None:
                yield Fault(f"{where}, time_h", "nothing", "the time of the sample")
            elif point.time_h <= times.get(point.curve, -1.0):
                yield Fault(f"{where}, time_h", repr(point.time_h), "times that ascend within a curve")
            else:
                times[point.curve] = point.time_h


def _bad_arms(found: Observations) -> Iterable[Fault]:
    from kinetamine.dosing import Regimen

    used = {fact.arm for fact in (*found.values, *found.points)}
    for name, arm in found.arms.items():
        where = f"pk_arms.toml [arm.{name}]"
        if name not in used:
            yield Fault(where, "no row", "at least one row in pk_values.csv or pk_curves.csv")
        for range_, mean, what in (
            (arm.age_years, arm.age_mean, "age"),
            (arm.weight_kg, arm.weight_mean, "weight"),
        ):
            if range_ is not None and not range_[0] <= (mean if mean is not None else range_[0]) <= range_[1]:
                yield Fault(
                    f"{where}, {what}", f"{range_}, mean {mean}", "an ascending range that holds the mean"
                )
        for phrases in (arm.doses, arm.doses_without_film):
            if not phrases:
                continue
            try:
                regimen = Regimen.parse(list(phrases))
            except InputError as error:
                yield from (
                    Fault(f"{where}, doses: {f.where}", f.given, f.expected, f.try_) for f in error.faults
                )
                continue
            drugs = {dose.drug for dose in regimen.doses}
            if drugs != {arm.drug}:
                yield Fault(f"{where}, doses", f"{phrases} of {drugs}", f"phrases that say {arm.drug}")


def _bad_fact(found: Observations, fact: Value | Point, where: str, common: str) -> Iterable[Fault]:
    if fact.arm not in found.arms:
        yield unknown(f"{where}, arm", fact.arm, found.arms)
    elif fact.unusable is None and not found.arms[fact.arm].doses:
        yield Fault(f"{where}, arm", f"{fact.arm}, which has no doses", "doses, or a reason in `unusable`")
    if fact.analyte not in analytes():
        yield unknown(f"{where}, analyte", fact.analyte, analytes())
        return
    try:
        _to_common(1.0, fact.unit, common, fact.analyte)
    except InputError as error:
        yield from (Fault(f"{where}, unit", f.given, f.expected, f.try_) for f in error.faults)
    if common == "1" and fact.unit not in ("1", "%"):
        yield Fault(f"{where}, unit", repr(fact.unit), "1 or %")
