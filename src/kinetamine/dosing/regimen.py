"""Doses in time: `Dose` is one dose with its repeats, `Regimen` is all that a patient gets.

Inside units: h, mg (of base), mg/h. The phrases that make a regimen are read in `phrases`.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetamine.errors import DoseError, Fault, FaultyFile, InputError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DRUGS", "MAX_REPEATS", "SALTS", "Dose", "Regimen", "base_per_hydrochloride"]

#: what `Dose.drug` may be, besides None (the model's own drug)
DRUGS = ("S-ketamine", "R-ketamine", "racemate")
#: what `Dose.salt` may be: how the amount was stated; the amount itself is kept as base
SALTS = ("base", "HCl")
#: more repeats than this are taken for a slip
MAX_REPEATS = 1_000_000
#: the same for amounts (mg or mg/kg: 1 kg of drug) and times (h: 114 years)
MAX_AMOUNT = 1e6
MAX_TIME_H = 1e6

_WHOLE = "a whole number"


@functools.cache
def base_per_hydrochloride() -> float:
    """Mass of ketamine base in a mass of ketamine hydrochloride.

    Source: ``data/substances.toml``, from the two molar masses.

    Examples
    --------
    >>> base_per_hydrochloride()
    0.867
    """
    text = resources.files("kinetamine").joinpath("data/substances.toml").read_text("utf-8")
    return float(tomllib.loads(text)["ketamine"]["salt_factor"]["value"])


def _number(
    where: str, name: str, value: object, low: float, high: float, *, open_low: bool = False
) -> float:
    """`value` as a finite float inside its range, or a DoseError that says which."""
    bound = f"more than {low:g}" if open_low else f"at least {low:g}"
    expected = f"{name}: a finite number, {bound} and at most {high:g}"
    if isinstance(value, (bool, str, bytes)):
        raise DoseError(where, f"{name} = {value!r}", expected)
    try:
        number = float(value)  # type: ignore[arg-type]  # NumPy scalars too
    except (TypeError, ValueError, OverflowError):
        raise DoseError(where, f"{name} = {value!r}"[:80], expected) from None
    if not math.isfinite(number) or number > high or number < low or (open_low and number == low):
        raise DoseError(where, f"{name} = {value!r}", expected)
    return number


@dataclass(frozen=True)
class Dose:
    """One dose and its repeats.

    Parameters
    ----------
    time_h : float
        Start of the first one, h.
    amount : float
        mg of base, or mg/kg when `per_kg`. 0 only for a constant infusion at steady state.
    per_kg : bool
        Whether `amount` and `rate` are per kg of body weight.
    entry : str
        The route, by the name a model knows it by: iv, im, nasal, oral, oral film …
    drug : str or None
        ``"S-ketamine"``, ``"R-ketamine"``, ``"racemate"``; None is the model's own drug.
    salt : str
        How the amount was stated, ``"base"`` or ``"HCl"``; `amount` is base in either case.
    duration_h : float or None
        Length of a zero-order input; None leaves it to the entry (a bolus for iv).
    rate : float or None
        mg/h (mg/kg/h). Given together with an amount it becomes `duration_h`, so it is left
        standing only for a constant infusion at steady state (amount 0).
    every_h, count : float, int
        Interval and number of doses in all. `every_h` is 0 for a single dose.
    steady_state : int
        0 no; 1 the dose finds the system at the steady state of its own repeats, all else
        forgotten; 2 the same, added to what is there.
    fields : dict
        Further facts of the dose that a model asks for, such as ``{"sprays": 3}``.
    text : str
        The words it was read from; not part of what makes two doses equal.

    Raises
    ------
    DoseError
        If a number is missing, not finite, negative or absurd, or two facts contradict each other.

    Examples
    --------
    >>> Dose(0, 0.5, per_kg=True, duration_h=2 / 3, every_h=84, count=8).describe()
    '0.5 mg/kg iv over 40 min every 84 h x 8'
    >>> Dose(0, 35, rate=52.5).duration_h
    0.6666666666666666
    """

    time_h: float
    amount: float
    per_kg: bool = False
    entry: str = "iv"
    drug: str | None = None
    salt: str = "base"
    duration_h: float | None = None
    rate: float | None = None
    every_h: float = 0.0
    count: int = 1
    steady_state: int = 0
    fields: Mapping[str, float] = field(default_factory=dict, hash=False)
    text: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        where = f"dose {self.text!r}" if self.text else "dose"
        put = functools.partial(object.__setattr__, self)
        put("time_h", _number(where, "time_h", self.time_h, 0, MAX_TIME_H))
        put("amount", _number(where, "amount", self.amount, 0, MAX_AMOUNT))
        put("per_kg", bool(self.per_kg))
        put("every_h", _number(where, "every_h", self.every_h, 0, MAX_TIME_H))
        if self.rate is not None:
            put("rate", _number(where, "rate", self.rate, 0, math.inf, open_low=True))
        if self.duration_h is not None:
            put("duration_h", _number(where, "duration_h", self.duration_h, 0, MAX_TIME_H, open_low=True))
        if (
            isinstance(self.count, bool)
            or int(_number(where, "count", self.count, 1, MAX_REPEATS)) != self.count
        ):
            raise DoseError(where, f"count = {self.count!r}", f"{_WHOLE} from 1 to {MAX_REPEATS}", "count=1")
        put("count", int(self.count))
        if self.steady_state not in (0, 1, 2):
            raise DoseError(where, f"steady_state = {self.steady_state!r}", "0, 1 or 2", "steady_state=1")
        put("steady_state", int(self.steady_state))
        if not isinstance(self.entry, str) or not self.entry.strip():
            raise DoseError(where, f"entry = {self.entry!r}", "the name of a route", "entry='iv'")
        if self.drug is not None and self.drug not in DRUGS:
            raise DoseError(
                where, f"drug = {self.drug!r}", "None or one of " + ", ".join(DRUGS), "drug='S-ketamine'"
            )
        if self.salt not in SALTS:
            raise DoseError(where, f"salt = {self.salt!r}", "one of " + ", ".join(SALTS), "salt='base'")
        put("fields", {str(k): _number(where, str(k), v, 0, 1e9) for k, v in dict(self.fields).items()})
        self._settle_input(where, put)
        if self.count > 1 and self.every_h == 0:
            raise DoseError(where, f"{self.count} doses without an interval", "every_h > 0", "every_h=24")
        if self.steady_state and self.every_h == 0 and self.rate is None:
            raise DoseError(where, "a steady state without an interval", "every_h > 0", "every_h=24")
        if self.count == 1 and not self.steady_state:
            put("every_h", 0.0)
        if self.time_h + (self.count - 1) * self.every_h > MAX_TIME_H:
            raise DoseError(
                where, f"{self.count} doses every {self.every_h:g} h", f"at most {MAX_TIME_H:g} h in all"
            )

    def _settle_input(self, where: str, put: Any) -> None:
        """Amount, rate and duration say two things at most; keep amount and duration."""
        if self.rate is None:
            if self.amount == 0:
                raise DoseError(where, "amount = 0", "an amount above 0", "leave the dose out")
            return
        if self.duration_h is not None:
            if self.amount == 0:
                put(
                    "amount",
                    _number(where, "amount", self.rate * self.duration_h, 0, MAX_AMOUNT, open_low=True),
                )
            elif not math.isclose(self.amount, self.rate * self.duration_h, rel_tol=1e-9):
                given = f"amount {self.amount:g} at rate {self.rate:g} over {self.duration_h:g} h"
                raise DoseError(where, given, "two of amount, rate and duration_h", "leave one of them out")
            put("rate", None)
        elif self.amount > 0:
            put(
                "duration_h",
                _number(where, "duration_h", self.amount / self.rate, 0, MAX_TIME_H, open_low=True),
            )
            put("rate", None)
        elif not self.steady_state:
            raise DoseError(
                where, f"rate = {self.rate:g} alone", "an amount or duration_h with it", "duration_h=1"
            )
        elif self.every_h or self.count > 1:
            given = f"a constant infusion every {self.every_h:g} h"
            raise DoseError(
                where, given, "no interval (it never stops)", "every_h=0, count=1, or give duration_h"
            )

    @property
    def last_h(self) -> float:
        """Start of the last repeat, h."""
        return self.time_h + (self.count - 1) * self.every_h

    @property
    def end_h(self) -> float:
        """End of the first of the repeats, h; its start if it is given at once."""
        return self.time_h + (self.duration_h or 0.0)

    def repeats(self) -> list[Dose]:
        """Each dose by itself. Only the first keeps the steady state and its interval.

        Examples
        --------
        >>> [d.time_h for d in Dose(1, 10, every_h=24, count=3).repeats()]
        [1.0, 25.0, 49.0]
        """
        if self.count == 1:
            return [self]
        first = replace(self, count=1, every_h=self.every_h if self.steady_state else 0.0)
        plain = replace(self, count=1, every_h=0.0, steady_state=0)
        return [first, *(plain._moved(self.time_h + k * self.every_h) for k in range(1, self.count))]

    def _moved(self, time_h: float) -> Dose:
        """The same dose at another time known to be sound: checking each of 10^5 repeats takes 2 s."""
        moved = object.__new__(type(self))
        moved.__dict__.update(self.__dict__, time_h=time_h)
        return moved

    def describe(self) -> str:
        """The dose as a phrase that reads back as the same dose.

        Examples
        --------
        >>> Dose(3, 10, every_h=24, count=7, entry="oral").describe()
        '10 mg oral at 3 h daily for 1 week'
        """
        from kinetamine.dosing.wording import describe

        return describe((self,))


@dataclass(frozen=True)
class Regimen:
    """Everything a patient gets, in the order it was written.

    Parameters
    ----------
    doses : tuple of Dose

    Examples
    --------
    >>> r = Regimen.parse("0.5 mg/kg iv over 40 min, twice weekly for 4 weeks")
    >>> len(r.expanded()), r.duration_h
    (8, 576.0)
    >>> r.describe()
    '0.5 mg/kg iv over 40 min twice weekly for 4 weeks'
    """

    doses: tuple[Dose, ...]

    def __post_init__(self) -> None:
        doses = tuple(self.doses)
        object.__setattr__(self, "doses", doses)
        for dose in doses:
            if not isinstance(dose, Dose):
                raise DoseError(
                    "regimen", repr(dose), "Dose objects", "Regimen.parse('35 mg iv over 40 min')"
                )
        if not doses:
            raise DoseError("regimen", "no dose", "at least one dose", "'35 mg iv over 40 min'")
        total = sum(dose.count for dose in doses)
        if total > MAX_REPEATS:
            raise DoseError(
                "regimen", f"{total} doses", f"at most {MAX_REPEATS} doses in all", "fewer repeats"
            )
        wipes = [dose for dose in doses if dose.steady_state == 1]
        if len({dose.time_h for dose in wipes}) < len(wipes):
            raise DoseError(
                "regimen",
                "two doses 'at steady state' at the same time, where the second wipes out the first",
                "the later ones added to the first",
                "'at added steady state' for all but the first",
            )

    @classmethod
    def parse(
        cls,
        phrase: str | Dose | Regimen | Sequence[str | Dose | Regimen],
        *,
        entries: Iterable[str] = (),
        fields: Iterable[str] = (),
    ) -> Regimen:
        """Read one phrase or several.

        Parameters
        ----------
        phrase : str, or a sequence of them
            Such as ``"35 mg iv over 40 min"``; docs/dosing.md has the whole grammar. Doses and
            regimens are taken as they are.
        entries : iterable of str, optional
            Names of a model's entries, known as routes besides the usual ones.
        fields : iterable of str, optional
            Names of a model's dose fields, for ``as 3 sprays``; sprays is always known.

        Raises
        ------
        DoseError
            If a phrase cannot be read. FaultyFile if several cannot.

        Examples
        --------
        >>> Regimen.parse(["84 mg nasal as 3 sprays", "10 mg iv at 3 h"]).duration_h
        3.0
        """
        from kinetamine.dosing.phrases import read_phrase

        if isinstance(phrase, Regimen):
            return phrase
        if isinstance(phrase, (str, Dose)):
            phrase = [phrase]
        if not isinstance(phrase, Sequence) or isinstance(phrase, bytes):
            raise DoseError(
                "doses", repr(phrase)[:80], "a dose phrase or a list of them", "'35 mg iv over 40 min'"
            )
        entries, fields = tuple(entries), tuple(fields)
        doses: list[Dose] = []
        errors: list[InputError] = []
        for item in phrase:
            try:
                if isinstance(item, Regimen):
                    doses.extend(item.doses)
                elif isinstance(item, Dose):
                    doses.append(item)
                else:
                    doses.extend(read_phrase(item, entries=entries, fields=fields))
            except InputError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise FaultyFile("doses", [fault for error in errors for fault in error.faults])
        return cls(tuple(doses))

    @classmethod
    def from_toml(
        cls,
        source: Sequence[Mapping[str, Any]] | Mapping[str, Any] | str | Path,
        *,
        entries: Iterable[str] = (),
        fields: Iterable[str] = (),
        name: str = "doses",
    ) -> Regimen:
        """Read ``[[doses]]`` tables.

        Parameters
        ----------
        source : list of dict, dict, str or Path
            The tables, a mapping that holds them under ``doses``, TOML text, or a file.
        entries, fields : iterable of str, optional
            As in `parse`.
        name : str
            What messages call the source; a file's own name wins.

        Raises
        ------
        FaultyFile
            With every fault of every dose.

        Examples
        --------
        >>> Regimen.from_toml('''
        ... [[doses]]
        ... amount = "0.5 mg/kg"
        ... route = "iv"
        ... over = "40 min"
        ... every = "84 h"
        ... count = 8
        ... ''').describe()
        '0.5 mg/kg iv over 40 min every 84 h x 8'
        """
        from kinetamine.dosing.toml_doses import read_table

        if isinstance(source, Path):
            name = source.name
        tables = _toml_tables(source, name)
        doses: list[Dose] = []
        faults: list[Fault] = []
        for index, table in enumerate(tables, 1):
            where = f"doses[{index}]"
            if not isinstance(table, Mapping):
                faults.append(
                    Fault(where, repr(table)[:80], "a table", '[[doses]] phrase = "35 mg iv over 40 min"')
                )
                continue
            read, found = read_table(table, where, tuple(entries), tuple(fields))
            doses.extend(read)
            faults.extend(found)
        if faults:
            raise FaultyFile(name, faults)
        try:
            return cls(tuple(doses))
        except InputError as error:
            raise FaultyFile(name, error.faults) from None

    def describe(self) -> str:
        """The regimen as phrases that read back as the same regimen.

        Examples
        --------
        >>> Regimen.parse("30 MG  intranasal;20 mg/h iv for 2 h").describe()
        '30 mg nasal; 40 mg iv over 2 h'
        """
        from kinetamine.dosing.wording import describe

        return describe(self.doses)

    def __str__(self) -> str:
        return self.describe()

    @property
    def duration_h(self) -> float:
        """Start of the last dose of all, repeats included, h."""
        return max(dose.last_h for dose in self.doses)

    @property
    def end_h(self) -> float:
        """End of the last dose of all, its infusion included, h."""
        return max(dose.last_h + (dose.duration_h or 0.0) for dose in self.doses)

    def expanded(self) -> list[Dose]:
        """Every dose by itself, in order of time; at the same time in the order written.

        Examples
        --------
        >>> [d.time_h for d in Regimen.parse("25 mg oral daily x 3; 5 mg iv at 30 h").expanded()]
        [0.0, 24.0, 30.0, 48.0]
        """
        return sorted((one for dose in self.doses for one in dose.repeats()), key=lambda dose: dose.time_h)

    def to_events(
        self,
        n_subjects: int = 1,
        times: Iterable[float] | None = None,
        weight: float | Sequence[float] | None = None,
        *,
        cmt: Mapping[str, int] | None = None,
        drug: str | None = None,
    ) -> pl.DataFrame:
        """The regimen as an event table for this or another program.

        Parameters
        ----------
        n_subjects : int
            How many patients get it; ID is 1, 2, …
        times : iterable of float, optional
            Observation records (EVID 0) at these times, h. One at the time of a dose comes after it.
        weight : float or sequence, optional
            kg, one for all or one per patient; wanted when a dose is per kg.
        cmt : dict, optional
            Compartment number of each entry, for programs that know no names; without it CMT holds
            the entry's name.
        drug : str, optional
            The drug AMT is to be mg of; half of a racemic dose when it is an enantiomer. Without it all
            doses must be of the same drug.

        Returns
        -------
        polars.DataFrame
            ID TIME AMT RATE EVID CMT ADDL II SS MDV and the dose fields; h, mg of base, mg/h.

        Raises
        ------
        DoseError
            If a weight is missing, or doses of different drugs cannot be one AMT.

        Examples
        --------
        >>> r = Regimen.parse("40 mg iv over 2 h every 12 h x 4")
        >>> r.to_events(times=[1.0]).select("TIME", "AMT", "RATE", "EVID", "ADDL", "II").rows()
        [(0.0, 40.0, 20.0, 1, 3, 12.0), (1.0, 0.0, 0.0, 0, 0, 0.0)]
        """
        from kinetamine.dosing.export import regimen_events

        return regimen_events(self, n_subjects, times, weight, cmt, drug)


def _toml_tables(source: object, name: str) -> Sequence[Any]:
    if isinstance(source, Path):
        try:
            source = source.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise FaultyFile(
                name, [Fault("file", reason, "a readable TOML file", "check the path")]
            ) from None
    if isinstance(source, str):
        try:
            source = tomllib.loads(source)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            cure = '[[doses]] phrase = "35 mg iv over 40 min"'
            raise FaultyFile(name, [Fault("TOML", str(error), "valid TOML", cure)]) from None
    if isinstance(source, Mapping):
        source = source.get("doses", ())
    if not isinstance(source, Sequence) or isinstance(source, (str, bytes)) or not source:
        fault = Fault(
            "doses", repr(source)[:80], "one [[doses]] table or more", 'phrase = "35 mg iv over 40 min"'
        )
        raise FaultyFile(name, [fault])
    return source
