"""What has been said of one dose, and the doses that come of it.

Phrases and TOML tables fill the same draft, so both know the same rules.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from kinetamine.dosing.dose import MAX_REPEATS, Dose
from kinetamine.dosing.salts import base_per_hydrochloride
from kinetamine.dosing.words import ROUTES
from kinetamine.errors import DoseError

__all__ = ["Draft"]


@dataclass
class Draft:
    """What has been said of one dose so far; `build` makes the doses of it."""

    where: str
    whole: str = ""
    amount: float | None = None
    rate: float | None = None
    per_kg: bool | None = None
    rate_per_kg: bool | None = None
    route: str | None = None
    drug: str | None = None
    salt: str | None = None
    over_h: float | None = None
    start_h: float | None = None
    every_h: float | None = None
    offsets: tuple[float, ...] = (0.0,)
    count: int | None = None
    for_h: float | None = None
    once: bool = False
    bolus: bool = False
    infusion: bool = False
    steady: int = 0
    fields: dict[str, float] = field(default_factory=dict)

    def refuse(self, given: str, expected: str, try_: str = "") -> DoseError:
        return DoseError(self.where, given, expected, try_)

    def put(self, name: str, value: Any, what: str) -> None:
        if getattr(self, name) not in (None, False, 0):
            raise self.refuse(f"{what} twice", f"one {what} per dose", "';' between doses")
        setattr(self, name, value)

    def build(self, follows_h: float | None) -> tuple[list[Dose], float | None]:
        """The doses, and when a ``then`` after them begins (None: that must be said)."""
        self._check()
        rate, duration, amount = self.rate, self.over_h, self.amount
        if self.rate is not None and duration is None and self.amount is None and self.every_h is None:
            duration, self.for_h = self.for_h, None
        if (
            self.rate is not None
            and self.amount is None
            and duration is None
            and not (self.steady and self.every_h is None)
        ):
            raise self.refuse("a rate without an end", "how long it runs", self._cured("for 2 h"))
        if amount is None and duration is not None and rate is not None:
            amount, rate = rate * duration, None
        if self.for_h is not None and self.every_h is None:
            cure = "'over 40 min' for an infusion, 'daily for 6 weeks' for a schedule"
            raise self.refuse("'for' with neither a rate nor a schedule", "what lasts that long", cure)
        factor = base_per_hydrochloride() if self.salt == "HCl" else 1.0
        start = self.start_h if self.start_h is not None else (follows_h or 0.0)
        slots, end = self._slots(start, duration)
        doses = [
            Dose(
                time_h=time,
                amount=(amount or 0.0) * factor,
                per_kg=bool(self.per_kg if self.amount is not None else self.rate_per_kg),
                entry=self.route or "",
                drug=self.drug,
                salt=self.salt or "base",
                duration_h=duration,
                rate=None if rate is None else rate * factor,
                every_h=self.every_h or 0.0,
                count=count,
                steady_state=self.steady,
                fields=self.fields,
                text=self.whole,
            )
            for time, count in slots
        ]
        return doses, end

    def _check(self) -> None:
        if self.amount is None and self.rate is None:
            raise self.refuse("no amount", "an amount with its unit", "'35 mg iv over 40 min'")
        if self.route is None:
            raise self.refuse("no route", "a route: " + ", ".join(ROUTES), self._cured("iv"))
        if self.amount is not None and self.rate is not None and self.per_kg != self.rate_per_kg:
            raise self.refuse(
                "amount and rate, one of them per kg", "both per kg or neither", "'35 mg iv at 20 mg/h'"
            )
        if self.amount is not None and self.rate is not None and self.over_h is not None:
            raise self.refuse("amount, rate and duration", "two of the three", "'35 mg iv over 40 min'")
        if self.bolus and (self.over_h is not None or self.rate is not None):
            raise self.refuse(
                "a bolus that takes time", "either 'bolus' or 'over 40 min'", "'35 mg iv over 40 min'"
            )
        if self.infusion and self.over_h is None and self.rate is None:
            raise self.refuse("an infusion without a length", "how long it runs", self._cured("over 40 min"))
        if self.once and (self.every_h is not None or self.count is not None):
            raise self.refuse("'once' and a schedule", "one of them", "'35 mg iv daily x 8'")
        if self.once and self.steady:
            raise self.refuse(
                "'once' at steady state", "a schedule", "'25 mg oral every 12 h at steady state'"
            )
        if self.count is not None and self.every_h is None:
            raise self.refuse(
                f"{self.count} doses without an interval", "how often", f"'every 84 h x {self.count}'"
            )
        if self.count is not None and self.for_h is not None and self.every_h is not None:
            raise self.refuse("both a number of doses and a length", "one of them", "'every 84 h x 8'")
        if self.every_h is not None and self.count is None and self.for_h is None and not self.steady:
            raise self.refuse("a schedule without an end", "how long or how many", self._cured("for 4 weeks"))
        if self.steady and self.every_h is None and self.rate is None:
            cure = "'25 mg oral every 12 h at steady state'"
            raise self.refuse("a steady state of a single dose", "an interval, or a constant rate", cure)
        if self.steady and len(self.offsets) > 1:
            given = f"{len(self.offsets)} doses weekly at steady state"
            raise self.refuse(given, "even intervals", "'every 84 h at steady state'")

    def _cured(self, more: str) -> str:
        return repr(f"{self.whole} {more}") if self.whole and len(self.whole) < 100 else repr(more)

    def _slots(self, start: float, duration: float | None) -> tuple[list[tuple[float, int]], float | None]:
        """(start, count) of each run of doses, and the end of the whole."""
        if self.every_h is None:
            return [(start, 1)], None if duration is None else start + duration
        every, offsets = self.every_h, self.offsets
        if self.for_h is not None:
            if self.for_h / every * len(offsets) > MAX_REPEATS:
                raise self.refuse(
                    f"about {self.for_h / every:.3g} doses", f"at most {MAX_REPEATS}", "fewer repeats"
                )
            # Every dose that begins before the end; 1e-9 forgives the rounding of minutes to hours.
            counts = [math.ceil((self.for_h - offset) / every - 1e-9) for offset in offsets]
            end = start + self.for_h
        else:
            total = self.count if self.count is not None else 1
            counts = [-(-(total - i) // len(offsets)) for i in range(len(offsets))]
            end = start + (total // len(offsets)) * every + offsets[total % len(offsets)]
            if self.count is None:
                return [(start, 1)], None
        return [(start + offset, n) for offset, n in zip(offsets, counts, strict=True) if n > 0], end
