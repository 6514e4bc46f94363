"""`Dose`, one dose with its repeats, and the limits that hold wherever a dose is written.

Inside units: h, mg (of base), mg/h. Nothing here knows how doses are read; phrases, tables and regimens stand above.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kinetamine.dosing.salts import SALTS
from kinetamine.dosing.wording import describe
from kinetamine.dosing.words import as_written, canonical_drug
from kinetamine.errors import DoseError
from kinetamine.substances import DRUGS

__all__ = ["BASES", "DRUGS", "MAX_AMOUNT", "MAX_REPEATS", "MAX_TIME_H", "SALTS", "Dose"]

#: no name of a drug: ketamine alone could be the racemate or either enantiomer
_NO_DRUG = re.compile(r"\s*|ketamine", re.I)
#: which weight an amount per kg is of
BASES = ("weight", "ideal weight", "adjusted weight", "lean weight")
#: an input shorter than this (h; 4 µs) would be lost beside the times of a plan
MIN_DURATION_H = 1e-9
#: more repeats than this are taken for a slip
MAX_REPEATS = 1_000_000
#: the same for amounts (mg or mg/kg: 1 kg of drug) and times (h: 114 years)
MAX_AMOUNT = 1e6
MAX_TIME_H = 1e6

_WHOLE = "a whole number"


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
    by : str
        Which weight that is: ``"weight"`` as measured, ``"ideal weight"``, ``"adjusted weight"`` or ``"lean
        weight"``; the formulas are in `kinetamine.dosing.weights`.
    most : float or None
        No single dose is larger than this, mg of base.
    entry : str
        The route, by the name a model knows it by: iv, im, nasal, oral, oral film …
    drug : str or None
        ``"S-ketamine"``, ``"R-ketamine"``, ``"racemate"``, or the drug of a model of another one; None is the
        model's own drug.
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
    by: str = "weight"
    most: float | None = None

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
            put("duration_h", _number(where, "duration_h", self.duration_h, MIN_DURATION_H, MAX_TIME_H))
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
            self._check_other_drug(where)
        if self.salt not in SALTS:
            raise DoseError(where, f"salt = {self.salt!r}", "one of " + ", ".join(SALTS), "salt='base'")
        self._check_weight(where, put)
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

    def _check_other_drug(self, where: str) -> None:
        """A drug of a model of another substance; a slip of ketamine's own names is none."""
        name = self.drug
        slip = bool(not isinstance(name, str) or _NO_DRUG.fullmatch(name) or canonical_drug(name))
        if not slip:
            close = difflib.get_close_matches(str(name).lower(), [one.lower() for one in DRUGS], 1, 0.75)
            slip = bool(close)
        if slip:
            known = ", ".join(DRUGS)
            raise DoseError(
                where, f"drug = {name!r}", f"None, {known} or a model's drug", "drug='S-ketamine'"
            )

    def _check_weight(self, where: str, put: Any) -> None:
        if self.by not in BASES:
            raise DoseError(where, f"by = {self.by!r}", "one of " + ", ".join(BASES), "by='weight'")
        if self.by != "weight" and not self.per_kg:
            raise DoseError(where, f"an amount in all by {self.by}", "an amount per kg", "")
        if self.most is not None:
            put("most", _number(where, "most", self.most, 0, MAX_AMOUNT, open_low=True))
            if self.amount == 0 and self.duration_h is None:
                raise DoseError(where, "the most of an infusion without an end", "an end", "")

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
                    _number(
                        where, "amount", as_written(self.rate * self.duration_h), 0, MAX_AMOUNT, open_low=True
                    ),
                )
            elif not math.isclose(self.amount, self.rate * self.duration_h, rel_tol=1e-9):
                given = f"amount {self.amount:g} at rate {self.rate:g} over {self.duration_h:g} h"
                raise DoseError(where, given, "two of amount, rate and duration_h", "leave one of them out")
            put("rate", None)
        elif self.amount > 0:
            length = self.amount / self.rate
            put("duration_h", _number(where, "duration_h", length, MIN_DURATION_H, MAX_TIME_H))
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

    def mg(self, people: Mapping[str, Any] | None = None, share: float = 1.0) -> Any:
        """Amount of each single dose in people, mg of base.

        Parameters
        ----------
        people : dict of float or array
            ``weight`` (kg) where the dose is per kg; ``height`` (cm) and ``sex`` (0 female, 1 male) where it is
            by another weight than the measured one.
        share : float
            The part of it that is the drug in question.

        Raises
        ------
        CovariateError
            If something of that is not known, or a formula does not cover it.

        Examples
        --------
        >>> Dose(0, 0.5, per_kg=True, most=50).mg({"weight": 140.0})
        50.0
        """
        amount = self.amount * self._scale(people, share)
        if self.most is None:
            return amount
        most = share * self.most
        return min(amount, most) if isinstance(amount, (int, float)) else amount.clip(max=most)

    def mg_per_h(self, people: Mapping[str, Any] | None = None, share: float = 1.0) -> Any:
        """Rate of a constant infusion at steady state in people, mg/h of base; 0 of every other dose."""
        return (self.rate or 0.0) * self._scale(people, share)

    def _scale(self, people: Mapping[str, Any] | None, share: float) -> Any:
        if not self.per_kg:
            return share
        from kinetamine.dosing.weights import dosing_weight

        return share * dosing_weight(self.by, people or {})

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
        return describe((self,))
