"""Dose phrases: ``0.5 mg/kg iv over 40 min, twice weekly for 4 weeks``.

A phrase is an amount, a route and clauses in any order. Nothing is guessed: what is missing, said twice or
unknown is answered with the place and a cure. The grammar is in docs/dosing.md.
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from kinetamine.dosing.dose import MAX_REPEATS, MAX_TIME_H, Dose
from kinetamine.dosing.draft import Draft
from kinetamine.dosing.salts import mg_per_umol
from kinetamine.dosing.words import (
    DRUG_WORDS,
    HOURS,
    INSTEAD,
    KEYWORDS,
    MASS,
    MOLES,
    OFTEN,
    PER_HOUR,
    ROUTES,
    SALT_WORDS,
    TIME_WORDS,
    TIMES,
    VOLUMES,
    WEEKLY,
    WEIGHTS,
    canonical_drug,
    canonical_route,
    plain,
    scaled,
    short,
)
from kinetamine.errors import DoseError, nearest

__all__ = ["LONGEST", "Reader", "read_phrase", "understood"]

_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?(?![0-9.])"
_END = r"(?![a-z0-9])"
LONGEST = 1000


def _either(words: Iterable[str]) -> str:
    return "|".join(re.escape(w).replace(r"\ ", r"\s+") for w in sorted(words, key=len, reverse=True))


_SKIP = re.compile(r"(?:[\s,]+|(?:of|via|given|with)\s)+")
_QUANTITY = re.compile(rf"({_NUMBER})\s*((?:[a-z%]+[0-9]?)(?:\s*(?:/|\bper\b)\s*[a-z]+[0-9]?)*)?")
_DRUG = re.compile(rf"(?:{_either(w for words in DRUG_WORDS.values() for w in words)}){_END}")
_SALT = re.compile(rf"(?:{_either(SALT_WORDS)}){_END}")
_PREPOSITION = re.compile(
    rf"(over|for|every|starting\s+at|start\s+at|starting\s+on|from|at|on|as|in|x){_END}"
)
_X = re.compile(rf"x\s*(?={_NUMBER})")
_DAY = re.compile(rf"(day|week)\s*({_NUMBER}){_END}")
_STEADY = re.compile(rf"(?:(?:at|in)\s+)?(added\s+)?steady(?:\s+|-)state{_END}")
_OFTEN = re.compile(
    rf"(once|twice|thrice|(?:{_NUMBER}|one|two|three|four)\s*times)[\s-]*"
    rf"(?:(?:an?|per|every|each)\s+)?(daily|day|weekly|week){_END}"
)
_PLAIN_OFTEN = re.compile(rf"(daily|weekly|hourly){_END}")
_WORD = re.compile(r"[^\s,;]+")
_ABBREVIATED = re.compile(rf"(?:{_either(OFTEN)}){_END}")
_EVERY_ABBREVIATED = re.compile(rf"q\s*({_NUMBER})\s*({_either(TIME_WORDS)}|w){_END}")
_BY = re.compile(rf"by\s+({_either(WEIGHTS)}){_END}")
_MOST = re.compile(
    rf"(?:max|maximum|maximal|at\s+most|not\s+more\s+than|capped\s+at|up\s+to)(?:\s+of)?{_END}\.?"
)
_LISTED = r"[0-9]+(?:\s*(?:,|and|to|-|&|\s)\s*(?:and\s+)?[0-9]+)*"
_DAYS = re.compile(rf"(?:on\s+|at\s+)?days\s+({_LISTED})(?![0-9.])(\s+of\s+(?:each|every|the)\s+week)?{_END}")
_EXCEPT = re.compile(
    rf"(?:except|without|but\s+not|skipping|omitting)\s+(?:the\s+)?(?:session|dose|number)s?\s+({_LISTED})(?![0-9.])"
)
_EXCEPT_NTH = re.compile(
    r"(?:except|without|skipping|omitting)\s+the\s+([0-9]+)(?:st|nd|rd|th)(?:\s+(?:session|dose))?"
)
_FIELD = re.compile(rf"(?:as\s+|in\s+)?({_NUMBER})\s*([a-z_][a-z_0-9]*)")


@functools.cache
def _brands() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Names of products, and numbers of their pieces; read when a word needs them."""
    from kinetamine.dosing.products import products

    pieces = {word for one in products().values() for word in one.pieces}
    return (
        re.compile(rf"(?:{_either(products())}){_END}"),
        re.compile(rf"({_NUMBER})\s*({_either(pieces)})s?{_END}"),
    )


class Reader:
    """Reads one phrase, clause by clause."""

    def __init__(
        self, whole: str, entries: Sequence[str], fields: Iterable[str], drugs: Iterable[str] = ()
    ) -> None:
        self.whole = " ".join(whole.split())
        self.text = plain(self.whole)
        self.at = 0
        self.entries = entries
        #: names of drugs beside ketamine's own, as a model has them
        self.drugs = {plain(drug): drug for drug in drugs if canonical_drug(drug) is None and drug.strip()}
        self.other_drug = re.compile(rf"(?:{_either(self.drugs)}){_END}") if self.drugs else None
        # A field that is called like a unit could not be told from an amount.
        self.fields = {"sprays", *fields} - {*MASS, *TIME_WORDS}
        names = {n for route, words in ROUTES.items() for n in (route, *words)}
        names |= {plain(e) for e in entries} | {plain(e).replace("_", " ") for e in entries}
        self.routes = re.compile(rf"(?:{_either(n for n in names if n)}){_END}")
        self.vocabulary = [
            *names,
            *(w for ws in DRUG_WORDS.values() for w in ws),
            *self.drugs,
            *SALT_WORDS,
            *KEYWORDS,
            *fields,
        ]
        self.draft = Draft(f"dose {short(self.whole, 100)}", self.whole)
        self.draft.offer = self.offer
        self.lenient = False
        #: whether a refusal looks for a cure; a reader that only tries one does not
        self.cures = True
        #: words that were passed over when reading leniently
        self.strange: list[str] = []

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match and match.end() > self.at:
            self.at = match.end()
            return match
        return None

    def read(self) -> Draft:
        if not self.lenient:
            self._refuse_commas()
        while True:
            self.take(_SKIP)
            if self.at >= len(self.text):
                return self.draft
            if not self.lenient:
                self._clause()
                continue
            at = self.at
            try:
                self._clause()
            except DoseError:
                word = _WORD.match(self.text, at)
                self.at = word.end() if word else at + 1
                self.strange.append(self.text[at : self.at])

    def _refuse_commas(self) -> None:
        lists = re.sub(rf"(?:days|sessions?|doses?|numbers?)\s+{_LISTED}", " ", self.text)
        bad = re.search(r"[0-9]+,[0-9]+", lists)
        if bad is None:
            return
        cure = bad[0].replace(",", ".", 1)
        if re.fullmatch(r"[1-9][0-9]{0,2},[0-9]{3}", bad[0]):
            cure += f", or {bad[0].replace(',', '')} if the comma marks thousands"
        raise self.draft.refuse(f"a comma inside a number, {bad[0]!r}", "a decimal point", cure)

    # -- cures -----------------------------------------------------------------------------------------

    def _again(self, phrase: str, lenient: bool = False) -> Reader:
        other = Reader(phrase, self.entries, self.fields, self.drugs.values())
        other.lenient, other.cures = lenient, False
        return other

    def offer(self, phrase: str, but: Sequence[str] = ()) -> str:
        """A phrase as a cure, if it reads as a dose and keeps all that was understood; else nothing.

        `but` names facts that the cure is there to say in another way.
        """
        if len(phrase) > 120 or not self.cures:
            return ""
        reader = self._again(phrase)
        try:
            cured = reader.read()
            before = vars(cured).copy()
            cured.build(0.0)
        except DoseError:
            return ""
        said = self._again(self.whole, lenient=True)
        return repr(phrase) if _keeps(before, said.read(), but) else ""

    def unread(self) -> list[str]:
        """The words of the phrase that mean nothing here."""
        reader = self._again(self.whole, lenient=True)
        reader.read()
        return reader.strange

    def _clause(self) -> None:
        draft = self.draft
        if match := self.take(_STEADY):
            draft.put("steady", 2 if match[1] else 1, "steady state")
        elif match := self.take(_DRUG):
            draft.put("drug", canonical_drug(match[0]), "drug")
        elif self.other_drug is not None and (match := self.take(self.other_drug)):
            draft.put("drug", self.drugs[" ".join(match[0].split())], "drug")
        elif match := self.take(_SALT):
            draft.put("salt", SALT_WORDS[" ".join(match[0].split())], "salt")
        elif match := self.take(self.routes):
            draft.put("route", canonical_route(match[0], self.entries), "route")
        elif match := self.take(_OFTEN):
            self._often(match)
        elif match := self.take(_BY):
            draft.put("by", WEIGHTS[" ".join(match[1].split())], "weight")
        elif self.take(_MOST):
            self._most()
        elif match := self.take(_DAYS):
            draft.put("days", self._list(match[1], "day"), "days")
            draft.weekly_days = bool(match[2])
        elif (match := self.take(_EXCEPT)) or (match := self.take(_EXCEPT_NTH)):
            draft.put("skipped", self._list(match[1], "session"), "'except'")
        elif match := self.take(_EVERY_ABBREVIATED):
            unit = TIME_WORDS.get(match[2], "week")
            self._schedule(self._value(match[1], "'every'") * HOURS[unit])
        elif match := self.take(_ABBREVIATED):
            every, weekly = OFTEN[match[0]]
            self._schedule(every, WEEKLY[weekly])
        elif match := self.take(_PLAIN_OFTEN):
            self._schedule({"daily": 24.0, "weekly": 168.0, "hourly": 1.0}[match[1]])
        elif match := self.take(_X):
            self._count()
        elif match := self.take(_PREPOSITION):
            self._preposition(" ".join(match[1].split()), match.start())
        elif match := re.compile(rf"(once|bolus|infusion|infused){_END}").match(self.text, self.at):
            self.at = match.end()
            name = {"once": "once", "bolus": "bolus"}.get(match[1], "infusion")
            draft.put(name, True, repr(match[1]))
        elif match := _QUANTITY.match(self.text, self.at):
            self._quantity(match)
        elif match := self.take(_brands()[0]):
            from kinetamine.dosing.products import products

            draft.put("product", products()[" ".join(match[0].split())], "product")
        else:
            raise self._unknown_word()

    # -- numbers -------------------------------------------------------------------------------------

    def _value(self, shown: str, what: str, *, zero: bool = False) -> float:
        value = float(shown)
        if not math.isfinite(value):
            raise self.draft.refuse(f"{what} {shown[:40]}", "a finite number")
        if value < 0 or (value == 0 and not zero) or shown.startswith("-"):
            raise self.draft.refuse(f"{what} {shown[:40]}", "0 or more" if zero else "a number above 0")
        return value

    def _list(self, text: str, what: str) -> tuple[int, ...]:
        """The numbers of ``1, 4 and 8`` or ``1 to 5``."""
        parts = re.findall(r"[0-9]+|to|-", text)
        found: list[int] = []
        for index, part in enumerate(parts):
            if not part.isdigit():
                continue
            number = int(part[:8])
            low = found[-1] + 1 if index and parts[index - 1] in ("to", "-") and found else number
            if not 1 <= number <= 100_000 or low > number or number - low > 10_000:
                raise self.draft.refuse(
                    f"{what} {part[:20]} in {short(text, 40)}", "whole numbers from 1, rising"
                )
            found += range(low, number + 1)
        if len(set(found)) < len(found):
            raise self.draft.refuse(f"{what}s {short(text, 40)}", f"each {what} once")
        return tuple(found)

    def _most(self) -> None:
        self.take(_SKIP)
        match = self.take(_QUANTITY)
        unit = match[2].split()[0] if match and match[2] else ""
        if match is None or unit not in MASS:
            given = match[0] if match else "nothing"
            raise self.draft.refuse(
                f"{short(given)} after 'max'", "an amount in mg, ug or g, such as max 50 mg"
            )
        self.at = match.start(2) + len(unit)
        self.draft.put("most", scaled(self._value(match[1], "'max'"), MASS[unit]), "'max'")

    def _quantity(self, match: re.Match[str]) -> None:
        """A number at the start of a clause: the amount, a count of something, or a slip."""
        draft, number, unit = self.draft, match[1], match[2]
        rest = re.compile(rf"\s*(times|doses|dose){_END}").match(self.text, match.end(1))
        if rest:
            self.at = match.start()
            self._count()
            self.at = rest.end()
            return
        if self._field():
            return
        head = unit.split("/")[0].split(" per ")[0].strip() if unit else ""
        if head in MASS or head in MOLES or head in VOLUMES:
            self.at = match.end()
            self._amount(number, unit)
            return
        if pieces := self.take(_brands()[1]):
            draft.put("pieces", (self._value(pieces[1], pieces[2]), pieces[2]), "amount")
            return
        self._value(number, "the number")
        if head in TIME_WORDS:
            cure = f"'over {number} {head}', 'at {number} {head}' or 'for {number} {head}'"
            raise draft.refuse(
                f"'{number} {head}' by itself", "'over', 'at', 'every' or 'for' before a time", cure
            )
        known = not head or self._is_known(match.end(1))
        if known:
            cured = self.text[: match.end(1)] + " mg" + self.text[match.end(1) :]
            raise draft.refuse(f"{number!r} without a unit", "mg, ug or g, also per kg", self.offer(cured))
        near = nearest(head, MASS, n=1)
        cured = (
            self.text[: match.start(2)] + near[0] + self.text[match.start(2) + len(head) :] if near else ""
        )
        raise draft.refuse(
            f"the unit {unit!r}", "mg, ug or g, per kg and per h if need be", self.offer(cured)
        )

    def _is_known(self, start: int) -> bool:
        space = _SKIP.match(self.text, start)
        start = space.end() if space else start
        word = _WORD.match(self.text, start)
        patterns = (self.routes, _DRUG, _SALT, _PREPOSITION, _OFTEN, _PLAIN_OFTEN, _STEADY)
        return word is None or word[0] in INSTEAD or any(p.match(self.text, start) for p in patterns)

    def _unit(self, unit: str) -> tuple[str, bool, bool, float | None]:
        """What is counted, whether per kg, whether per mL, and factor to per hour (None: no time in it)."""
        head, *below = [part.strip() for part in re.split(r"/|\bper\b", unit)]
        per_kg, per_ml, per_hour = False, False, None
        for part in below:
            if part == "kg" and not per_kg:
                per_kg = True
            elif part in ("ml", "l") and not per_ml and head in MASS:
                per_ml = True
            elif part in TIME_WORDS and per_hour is None:
                per_hour = PER_HOUR[TIME_WORDS[part]]
            else:
                raise self.draft.refuse(
                    f"the unit {unit!r}", "mg, ug or g, per kg and per h if need be, such as mg/kg/h"
                )
        return head, per_kg, per_ml, per_hour

    def _amount(self, number: str, unit: str) -> None:
        draft = self.draft
        head, per_kg, per_ml, per_hour = self._unit(unit)
        if per_ml:
            if per_kg or per_hour is not None:
                raise draft.refuse(f"the unit {unit!r}", "a concentration such as mg/mL")
            litres = 1e-3 if re.search(r"(?:/|per)\s*l$", unit) else 1.0
            draft.put(
                "concentration", self._value(number, "concentration") * MASS[head] * litres, "concentration"
            )
            return
        if head in VOLUMES:
            self._volume(number, VOLUMES[head], per_kg, per_hour)
            return
        if draft.amount is not None or (per_hour is None and draft.rate is not None):
            raise draft.refuse("two amounts", "one amount per dose", "';' between doses")
        draft.moles = head in MOLES
        factor = MOLES[head] * mg_per_umol() if draft.moles else MASS[head]
        value = scaled(self._value(number, "amount"), factor)
        if value == 0:  # so small that the conversion to mg loses it
            raise draft.refuse(f"amount {number} {unit}", "an amount above 0")
        if per_hour is None:
            draft.amount, draft.per_kg = value, per_kg
        else:
            self._rate(scaled(value, per_hour), per_kg)

    def _volume(self, number: str, factor: float, per_kg: bool, per_hour: float | None) -> None:
        value = self._value(number, "volume") * factor
        if per_hour is None:
            self.draft.put("volume", value, "volume")
            self.draft.per_kg = per_kg
        else:
            self.draft.put("volume_rate", value * per_hour, "rate")
            self.draft.rate_per_kg = per_kg

    def _rate(self, value: float, per_kg: bool) -> None:
        self.draft.put("rate", value, "rate")
        self.draft.rate_per_kg = per_kg

    def _time(self, what: str, *, zero: bool = False) -> float:
        """A number and a unit of time, in h."""
        self.take(_SKIP)
        match = self.take(_QUANTITY)
        if match is None:
            other = _WORD.match(self.text, self.at)
            given = short(other[0]) if other else "nothing"
            raise self.draft.refuse(
                f"{given} after {what!r}", f"a number and min, h, d or weeks, such as '{what} 40 min'"
            )
        value = self._value(match[1], f"{what!r}", zero=zero)
        unit = match[2] or ""
        word = unit.split()[0] if unit else ""
        if word in TIME_WORDS:
            self.at = match.start(2) + len(word)
            hours = value * HOURS[TIME_WORDS[word]]
        elif value == 0 and zero and (not unit or self._is_known(match.end(1))):
            self.at = match.end(1)
            hours = 0.0
        else:
            given = f"{what} {match[1]}" + (f" {word}" if word else " without a unit")
            cure = INSTEAD.get(word) or f"'{what} {match[1]} min' or '{what} {match[1]} h'"
            raise self.draft.refuse(short(given), "a time in s, min, h, d or weeks", cure)
        if hours > MAX_TIME_H or (value > 0 and hours == 0):
            raise self.draft.refuse(f"{what!r} {match[1]} {word}", f"a time up to {MAX_TIME_H:g} h")
        return hours

    def _count(self) -> None:
        self.take(_SKIP)
        match = self.take(re.compile(_NUMBER))
        value = float(match[0]) if match else math.nan
        if not 1 <= value <= MAX_REPEATS or value != math.floor(value):
            shown = match[0][:40] if match else "nothing"
            raise self.draft.refuse(f"{shown} doses", f"a whole number from 1 to {MAX_REPEATS}, such as x 8")
        self.draft.put("count", int(value), "number of doses")
        self.take(re.compile(rf"\s*(?:times|doses|dose){_END}"))

    # -- clauses -------------------------------------------------------------------------------------

    def _preposition(self, word: str, start: int) -> None:
        draft = self.draft
        if word == "over":
            draft.put("over_h", self._time("over"), "'over'")
        elif word == "every":
            self._every()
        elif word == "for":
            self._for()
        elif word in ("as", "in"):
            self.at = start
            if not self._field():
                known = ", ".join(sorted(self.fields))
                raise draft.refuse(
                    short(self.text[start : start + 40]), f"a number of {known}, such as 'as 3 sprays'"
                )
        elif word == "x":
            self._count()
        else:
            self._at(word)

    def _at(self, word: str) -> None:
        self.take(_SKIP)
        if match := self.take(_DAY):
            number = float(match[2])
            if not 1 <= number <= MAX_TIME_H or number != math.floor(number):
                raise self.draft.refuse(f"{match[1]} {match[2]}", "a whole number from 1 (the first)")
            hours = (number - 1) * (24.0 if match[1] == "day" else 168.0)
        else:
            quantity = _QUANTITY.match(self.text, self.at)
            head = quantity[2].split("/")[0].strip() if quantity and quantity[2] else ""
            if word == "at" and quantity and (head in MASS or head in MOLES or head in VOLUMES):
                self.at = quantity.end()
                if self._unit(quantity[2])[3] is None:
                    raise self.draft.refuse(f"'at {quantity[0]}'", "a rate per time, such as 20 mg/h")
                amount, self.draft.amount = self.draft.amount, None
                self._amount(quantity[1], quantity[2])
                self.draft.amount = amount
                return
            hours = self._time("at", zero=True)
        if hours > MAX_TIME_H:
            raise self.draft.refuse(f"{word!r} {hours:g} h", f"a time up to {MAX_TIME_H:g} h")
        if self.draft.start_h is not None:
            raise self.draft.refuse("two starts", "one start per dose", "';' between doses")
        self.draft.start_h = hours

    def _every(self) -> None:
        self.take(_SKIP)
        if self.take(re.compile(rf"(?:other|second)\s+day{_END}")):
            self._schedule(48.0)
        elif match := self.take(re.compile(rf"(hour|day|week){_END}")):
            self._schedule(HOURS[TIME_WORDS[match[1]]])
        else:
            self._schedule(self._time("every"))

    def _often(self, match: re.Match[str]) -> None:
        first = match[1].split()[0].removesuffix("times")
        times = TIMES.get(first) or self._value(first, "how often")
        if match[2] in ("daily", "day"):
            if times not in (1, 2, 3, 4):
                raise self.draft.refuse(
                    f"{match[0]!r}", "once to four times daily, or an interval such as 'every 4 h'"
                )
            self._schedule(24.0 / times)
        elif times in WEEKLY:
            self._schedule(168.0, WEEKLY[int(times)])
        else:
            raise self.draft.refuse(
                f"{match[0]!r}", "once, twice or three times weekly, or an interval such as 'every 42 h'"
            )

    def _schedule(self, every_h: float, offsets: tuple[float, ...] = (0.0,)) -> None:
        self.draft.put("every_h", every_h, "schedule")
        self.draft.offsets = offsets

    def _for(self) -> None:
        draft = self.draft
        if re.compile(rf"\s*{_NUMBER}\s*(?:times|doses|dose){_END}").match(self.text, self.at):
            self._count()
        elif (
            draft.rate is not None and draft.amount is None and draft.over_h is None and draft.every_h is None
        ):
            draft.put("over_h", self._time("for"), "'for'")
        else:
            draft.put("for_h", self._time("for"), "'for'")

    def _field(self) -> bool:
        match = _FIELD.match(self.text, self.at)
        if match is None:
            return False
        by_word = {w: name for name in self.fields for w in (name.lower(), name.lower().removesuffix("s"))}
        name = by_word.get(match[2])
        if name is None:
            return False
        if name in self.draft.fields:
            raise self.draft.refuse(f"{name} twice", "once per dose", "';' between doses")
        self.draft.fields[name] = self._value(match[1], name)
        self.at = match.end()
        return True

    def _unknown_word(self) -> DoseError:
        match = _WORD.match(self.text, self.at)
        word = match[0] if match else self.text[self.at :]
        where = self.draft.where
        if word in INSTEAD:
            return DoseError(where, repr(word), "a word of a dose phrase", INSTEAD[word])
        if re.fullmatch(r"[+-]?(nan|inf|infinity)", word):
            return DoseError(where, repr(word), "a finite number")
        following = self.text[self.at + len(word) :].split()
        number_word = bool(following) and following[0].split("/")[0] in MASS
        if word.split("/")[0] in MASS or number_word:
            shown = short(f"{word} {following[0]}" if number_word else word, 40)
            return DoseError(where, shown, "a number in digits before the unit")
        expected = "a route, a drug, or a word such as over, at, every, for"
        if not self.cures:
            return DoseError(where, short(word, 40), expected)
        for close in _close(word[:40], self.vocabulary):
            cured = self.offer(self.text[: self.at] + close + self.text[self.at + len(word) :])
            if cured:
                return DoseError(where, short(word, 40), expected, cured)
        strange = [short(one, 40) for one in self.unread()] or [short(word, 40)]
        said = ", ".join(dict.fromkeys(strange[:6]))
        return DoseError(where, said, expected + "; these words are not understood")


def _close(word: str, known: Iterable[str]) -> list[str]:
    """The one known word that `word` is very likely a slip of."""
    found = nearest(word, known, n=1)
    alike = found and difflib.SequenceMatcher(None, word, found[0].lower()).ratio() > 0.55
    return found if alike else []


#: what of a draft a cure may not change
_FACTS = (
    "amount", "rate", "per_kg", "rate_per_kg", "by", "most", "moles", "volume", "volume_rate", "concentration",
    "product", "pieces", "route", "drug", "salt", "over_h", "start_h", "every_h", "offsets", "days", "weekly_days",
    "skipped", "count", "for_h", "once", "bolus", "infusion", "steady", "fields",
)  # fmt: skip


def _keeps(cured: dict[str, Any], said: Draft, but: Sequence[str] = ()) -> bool:
    """Whether a cured phrase says all that was understood of the first one, and the same."""
    blank = vars(Draft(""))
    return all(getattr(said, name) in (blank[name], cured[name]) for name in _FACTS if name not in but)


def understood(
    text: str, *, entries: Sequence[str] = (), fields: Iterable[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """What is understood of a phrase that may have faults, and the words that are not.

    Examples
    --------
    >>> facts, strange = understood("35 mg iv quickly over 40 min")
    >>> facts["amount"], facts["route"], strange
    (35.0, 'iv', ['quickly'])
    """
    reader = Reader(text, entries, fields)
    reader.lenient, reader.cures = True, False
    draft, blank = reader.read(), vars(Draft(""))
    facts = {name: getattr(draft, name) for name in _FACTS if getattr(draft, name) != blank[name]}
    return facts, reader.strange


def read_phrase(
    text: str, *, entries: Sequence[str] = (), fields: Iterable[str] = (), drugs: Iterable[str] = ()
) -> tuple[Dose, ...]:
    """Read one phrase, or several joined by ``;`` or ``then``.

    Parameters
    ----------
    text : str
    entries, fields, drugs : iterables of str, optional
        Names of a model's entries, dose fields and drug, known besides the usual ones.

    Raises
    ------
    DoseError
        With the first word that cannot be read, and what to write instead.

    Examples
    --------
    >>> doses = read_phrase("20 mg iv over 1 h then 40 mg iv over 1 h; 10 mg iv at 3 h")
    >>> [(dose.time_h, dose.amount) for dose in doses]
    [(0.0, 20.0), (1.0, 40.0), (3.0, 10.0)]
    """
    if not isinstance(text, str):
        raise DoseError("dose", repr(text)[:60], "a phrase", "'35 mg iv over 40 min'")
    pieces = re.split(r"(;|(?i:(?<=\s)then(?=\s)))", text)
    if len(pieces) > 20_000:
        raise DoseError("dose", f"{len(pieces) // 2} phrases", "at most 10,000", "an event table")
    phrases = pieces[0::2]
    if len(phrases) > 1 and not phrases[-1].strip() and pieces[-2] == ";":
        phrases.pop()
    doses: list[Dose] = []
    end: float | None = None
    last: float | None = None
    for index, phrase in enumerate(phrases):
        if not phrase.strip(" \t\r\n,"):
            where = f"dose {short(text)}" if text.strip() else "dose"
            raise DoseError(where, "an empty phrase", "an amount and a route", "'35 mg iv over 40 min'")
        if len(phrase) > LONGEST:
            raise DoseError("dose", short(phrase), f"at most {LONGEST} characters", "';' between doses")
        draft = Reader(phrase, entries, fields, drugs).read()
        follows = end if index and pieces[2 * index - 1].strip().lower() == "then" else 0.0
        if follows is None and draft.start_h is None:
            takes_time = draft.over_h is not None or draft.rate is not None or draft.volume_rate is not None
            if last is None or not takes_time:
                cure = repr(f"then {draft.whole} at 2 h")
                raise draft.refuse("'then' after a dose that has no length", "when it is given", cure)
            follows = last  # an infusion after a dose that is given at once
        built, end = guarded(draft, lambda d=draft, f=follows: d.build(f))
        last = built[0].time_h if len(built) == 1 and built[0].count == 1 else None
        doses.extend(built)
    return tuple(doses)


def guarded(draft: Draft, build: Any) -> Any:
    """A refusal by `Dose` itself is told in the words of the phrase."""
    try:
        return build()
    except DoseError as error:
        fault = error.faults[0]
        raise DoseError(draft.where, fault.given, fault.expected, fault.try_) from None
