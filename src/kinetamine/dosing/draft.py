"""What has been said of one dose, and the doses that come of it.

Phrases and TOML tables fill the same draft, so both know the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kinetamine.dosing.dose import MAX_REPEATS, Dose
from kinetamine.dosing.salts import base_per_hydrochloride
from kinetamine.dosing.words import ROUTES, as_written, tidy
from kinetamine.errors import DoseError

if TYPE_CHECKING:
    from kinetamine.dosing.products import Product

__all__ = ["Draft"]

#: one run of equal doses: start, interval (0 for one), number
Slot = tuple[float, float, int]


@dataclass
class Draft:
    """What has been said of one dose so far; `build` makes the doses of it."""

    where: str
    whole: str = ""
    amount: float | None = None
    rate: float | None = None
    per_kg: bool | None = None
    rate_per_kg: bool | None = None
    by: str | None = None
    most: float | None = None
    moles: bool = False
    volume: float | None = None
    volume_rate: float | None = None
    concentration: float | None = None
    product: Product | None = None
    pieces: tuple[float, str] | None = None
    route: str | None = None
    drug: str | None = None
    salt: str | None = None
    over_h: float | None = None
    start_h: float | None = None
    every_h: float | None = None
    offsets: tuple[float, ...] = (0.0,)
    days: tuple[int, ...] = ()
    weekly_days: bool = False
    skipped: tuple[int, ...] = ()
    count: int | None = None
    for_h: float | None = None
    once: bool = False
    bolus: bool = False
    infusion: bool = False
    steady: int = 0
    fields: dict[str, float] = field(default_factory=dict)
    #: turns a phrase into a cure, or into nothing where it would change what was said
    offer: Callable[..., str] = field(default=lambda phrase, but=(): "", compare=False)

    def refuse(self, given: str, expected: str, try_: str = "") -> DoseError:
        return DoseError(self.where, given, expected, try_)

    def put(self, name: str, value: Any, what: str) -> None:
        if getattr(self, name) not in (None, False, 0, ()):
            raise self.refuse(f"{what} twice", f"one {what} per dose", "';' between doses")
        setattr(self, name, value)

    def build(self, follows_h: float | None) -> tuple[list[Dose], float | None]:
        """The doses, and when a ``then`` after them begins (None: that must be said)."""
        self._settle_product()
        self._settle_volume()
        self._check()
        rate, duration, amount = self.rate, self.over_h, self.amount
        if (
            rate is not None
            and duration is None
            and amount is None
            and self.every_h is None
            and not self.days
        ):
            duration, self.for_h = self.for_h, None
        endless = bool(self.steady) and self.every_h is None
        if rate is not None and amount is None and duration is None and not endless:
            raise self.refuse("a rate without an end", "how long it runs", self._more("for 2 h"))
        if amount is None and duration is not None and rate is not None:
            amount, rate = as_written(rate * duration), None
        if self.for_h is not None and self.every_h is None and not self.days:
            cure = self.offer(self.whole.replace(" for ", " over ", 1), ("for_h", "over_h"))
            expected = "'over 40 min' for an infusion, 'daily for 6 weeks' for a schedule"
            raise self.refuse("'for' with neither a rate nor a schedule", expected, cure)
        factor = base_per_hydrochloride() if self.salt == "HCl" and not self.moles else 1.0
        start = self.start_h if self.start_h is not None else (follows_h or 0.0)
        slots, end = self._slots(start, duration)
        doses = [
            Dose(
                time_h=time,
                amount=as_written((amount or 0.0) * factor),  # rounded once, in mass of base
                per_kg=bool(self.per_kg if self.amount is not None else self.rate_per_kg),
                by=self.by or "weight",
                most=None if self.most is None else as_written(self.most * factor),
                entry=self.route or "",
                drug=self.drug,
                salt=self.salt or "base",
                duration_h=duration,
                rate=None if rate is None else as_written(rate * factor),
                every_h=every,
                count=count,
                steady_state=self.steady,
                fields=self.fields,
                text=self.whole,
            )
            for time, every, count in self._without_skipped(slots)
        ]
        return doses, end

    # -- what is given -------------------------------------------------------------------------------

    def _settle_product(self) -> None:
        """Drug, route and amount that a brand stands for."""
        product, pieces = self.product, self.pieces
        if product is None:
            if pieces is not None:
                raise self.refuse(f"{tidy(pieces[0])} {pieces[1]}s of what", "the product, such as Spravato")
            return
        if self.drug is not None and self.drug != product.drug:
            raise self.refuse(f"{product.name} and {self.drug}", f"{product.name} is {product.drug}")
        if product.route and self.route and self.route != product.route:
            raise self.refuse(f"{product.name} {self.route}", f"{product.name} is {product.route}")
        self.drug, self.route = product.drug, self.route or product.route
        number = self.fields.get("sprays")
        if pieces is None and number is not None and "spray" in product.pieces:
            held = number * product.pieces["spray"].value
            if self.amount is None:
                pieces = (self.fields.pop("sprays"), "spray")
            elif math.isclose(held, self.amount):
                del self.fields["sprays"]  # the model counts devices, and knows how many an amount is
        if pieces is None:
            return
        count, word = pieces
        if word not in product.pieces:
            raise self.refuse(
                f"{word}s of {product.name}", " or ".join(product.pieces) or "an amount in mg or mL"
            )
        if self.amount is not None or self.rate is not None:
            raise self.refuse("two amounts", f"mg or {word}s of {product.name}")
        self.amount, self.per_kg = as_written(count * product.pieces[word].value), False

    def _settle_volume(self) -> None:
        """Volumes of a concentration as amounts."""
        strengths = self.product.mg_per_ml if self.product else ()
        if self.volume is None and self.volume_rate is None:
            if self.concentration is not None:
                expected = "the volume of it, such as 5 mL, or the amount alone"
                raise self.refuse("a concentration without a volume", expected)
            return
        if self.concentration is None and len(strengths) == 1:
            self.concentration = strengths[0]
        if self.concentration is None:
            known = " or ".join(f"{one:g}" for one in strengths)
            said = f", as {known} mg/mL of {self.product.name}" if self.product and known else ""
            raise self.refuse(
                "a volume without a concentration", f"how much is in it, such as of 10 mg/mL{said}"
            )
        if strengths and not any(math.isclose(self.concentration, one) for one in strengths):
            given = f"{self.product.name if self.product else ''} of {self.concentration:g} mg/mL"
            raise self.refuse(given, " or ".join(f"{one:g} mg/mL" for one in strengths))
        if self.volume is not None:
            if self.amount is not None:
                raise self.refuse("an amount and a volume", "one of them")
            self.amount = as_written(self.volume * self.concentration)
        if self.volume_rate is not None:
            if self.rate is not None:
                raise self.refuse("two rates", "one rate per dose", "';' between doses")
            self.rate = as_written(self.volume_rate * self.concentration)

    # -- whether it makes sense ----------------------------------------------------------------------

    def _check(self) -> None:
        if self.amount is None and self.rate is None:
            raise self.refuse("no amount", "an amount with its unit, such as 35 mg")
        if self.route is None:
            raise self.refuse("no route", "a route: " + ", ".join(ROUTES), self._more("iv"))
        self._check_input()
        self._check_schedule()
        if self.by is not None and not (self.per_kg or self.rate_per_kg):
            raise self.refuse(f"by {self.by} without an amount per kg", "an amount per kg, such as 0.5 mg/kg")

    def _check_input(self) -> None:
        both = self.amount is not None and self.rate is not None
        if both and self.per_kg != self.rate_per_kg:
            raise self.refuse("amount and rate, one of them per kg", "both per kg or neither")
        if both and self.over_h is not None:
            raise self.refuse("amount, rate and duration", "two of the three")
        if self.bolus and (self.over_h is not None or self.rate is not None):
            raise self.refuse("a bolus that takes time", "either 'bolus' or a length such as 'over 40 min'")
        if self.infusion and self.over_h is None and self.rate is None:
            raise self.refuse("an infusion without a length", "how long it runs", self._more("over 40 min"))

    def _check_schedule(self) -> None:
        scheduled = self.every_h is not None
        if self.once and (scheduled or self.count is not None):
            raise self.refuse("'once' and a schedule", "one of them")
        if self.once and self.steady:
            raise self.refuse("'once' at steady state", "a schedule")
        if self.days:
            self._check_days()
            return
        if self.count is not None and not scheduled:
            raise self.refuse(f"{self.count} doses without an interval", "how often, such as every 84 h")
        if self.count is not None and self.for_h is not None and scheduled:
            raise self.refuse("both a number of doses and a length", "one of them")
        if scheduled and self.count is None and self.for_h is None and not self.steady:
            raise self.refuse("a schedule without an end", "how long or how many", self._more("for 4 weeks"))
        if self.steady and not scheduled and self.rate is None:
            raise self.refuse("a steady state of a single dose", "an interval, or a constant rate")
        if self.steady and len(self.offsets) > 1:
            given = f"{len(self.offsets)} doses weekly at steady state"
            raise self.refuse(given, "even intervals, such as 'every 84 h at steady state'")
        if self.skipped and self.steady:
            raise self.refuse("'except' at steady state", "one of them")
        if self.skipped and not scheduled:
            raise self.refuse("'except' without a schedule", "a schedule with more than one session")

    def _check_days(self) -> None:
        if self.steady:
            raise self.refuse("days and a steady state", "one of them")
        if self.start_h is not None:
            raise self.refuse("days and a start", "one of them")
        if self.weekly_days:
            if self.for_h is None:
                raise self.refuse("days of each week without an end", "how long", self._more("for 4 weeks"))
            if max(self.days) > 7:
                raise self.refuse(f"day {max(self.days)} of a week", "days 1 to 7")
        elif self.for_h is not None:
            raise self.refuse("days and a length", "the days alone, or 'of each week' after them")
        if self.count is not None:
            raise self.refuse("days and a number of doses", "one of them")
        if self.every_h is not None and (self.every_h > 24 or 24 % self.every_h > 1e-9):
            raise self.refuse("days and another schedule", "one of them")

    def _more(self, more: str) -> str:
        return self.offer(f"{self.whole} {more}") if self.whole else repr(more)

    # -- when it is given ----------------------------------------------------------------------------

    def _slots(self, start: float, duration: float | None) -> tuple[list[Slot], float | None]:
        """Each run of equal doses, and the end of the whole."""
        if self.days:
            return self._on_days(start, duration)
        if self.every_h is None:
            if self.bolus:
                return [(start, 0.0, 1)], start
            return [(start, 0.0, 1)], None if duration is None else start + duration
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
                return [(start, every, 1)], None
        slots = [(start + offset, every, n) for offset, n in zip(offsets, counts, strict=True) if n > 0]
        return slots, end

    def _on_days(self, start: float, duration: float | None) -> tuple[list[Slot], float | None]:
        each = round(24 / self.every_h) if self.every_h else 1
        within = self.every_h or 0.0
        if not self.weekly_days:
            last = start + (max(self.days) - 1) * 24.0 + (each - 1) * within
            slots = [
                (start + (day - 1) * 24.0, within if each > 1 else 0.0, each) for day in sorted(self.days)
            ]
            return slots, None if duration is None else last + duration
        weeks = math.ceil((self.for_h or 0.0) / 168.0 - 1e-9)
        slots = [
            (start + (day - 1) * 24.0 + k * within, 168.0, weeks)
            for day in sorted(self.days)
            for k in range(each)
        ]
        return slots, start + (self.for_h or 0.0)

    def _without_skipped(self, slots: list[Slot]) -> list[Slot]:
        """The runs without the sessions that were excepted, which are counted from 1 in order of time."""
        if not self.skipped:
            return slots
        if sum(count for _, _, count in slots) > 10_000:
            raise self.refuse("'except' in more than 10,000 doses", "fewer doses, or an event table")
        times = sorted(
            (time + k * every, run) for run, (time, every, count) in enumerate(slots) for k in range(count)
        )
        if max(self.skipped) > len(times):
            raise self.refuse(f"session {max(self.skipped)} of {len(times)}", f"1 to {len(times)}")
        gone = {number - 1 for number in self.skipped}
        if len(gone) == len(times):
            raise self.refuse("every session excepted", "at least one that is given")
        kept: list[Slot] = []
        for run, (_, every, _) in enumerate(slots):
            mine = [(time, index not in gone) for index, (time, whose) in enumerate(times) if whose == run]
            begin = 0
            while begin < len(mine):
                stop = begin
                while stop < len(mine) and mine[stop][1]:
                    stop += 1
                if stop > begin:
                    kept.append((mine[begin][0], every if stop - begin > 1 else 0.0, stop - begin))
                begin = stop + 1
        return kept
