"""One ``[[doses]]`` table of a scenario to doses, with every fault of it at once."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kinetamine.dosing.dose import DRUGS, MAX_REPEATS, Dose
from kinetamine.dosing.draft import Draft
from kinetamine.dosing.phrases import LONGEST, Reader, read_phrase
from kinetamine.dosing.words import ROUTES, SALT_WORDS, canonical_drug, canonical_route, short
from kinetamine.errors import DoseError, Fault, InputError, nearest

__all__ = ["read_table"]

_KEYS = (
    "amount",
    "route",
    "over",
    "at",
    "every",
    "count",
    "for",
    "rate",
    "steady_state",
    "drug",
    "salt",
    "by",
    "max",
    "phrase",
)


def read_table(
    table: Mapping[str, Any], where: str, entries: Sequence[str], fields: Sequence[str]
) -> tuple[list[Dose], list[Fault]]:
    """Doses and faults of one ``[[doses]]`` table; every fault of it at once."""
    if "phrase" in table:
        if len(table) > 1:
            others = ", ".join(str(key) for key in table if key != "phrase")
            fault = Fault(where, f"'phrase' and {others}", "'phrase' alone", "all of it in the phrase")
            return [], [fault]
        try:
            return list(read_phrase(table["phrase"], entries=entries, fields=fields)), []
        except InputError as error:
            return [], [Fault(f"{where}.phrase", f.given, f.expected, f.try_) for f in error.faults]
    draft = Draft(where)
    faults: list[Fault] = []
    for key, value in table.items():
        try:
            _read_key(draft, f"{where}.{key}", key, value, entries, {"sprays", *fields})
        except InputError as error:
            faults.extend(error.faults)
    # What a faulty key would have said is unknown, so only a sound table is checked as a whole.
    missing = [] if faults else [key for key in ("amount", "route") if key not in table]
    if "amount" in missing and "rate" in table:
        missing.remove("amount")
    for key in missing:
        cure = {"amount": 'amount = "35 mg"', "route": 'route = "iv"'}[key]
        faults.append(Fault(where, f"no {key}", f"{key} = …", cure))
    if faults:
        return [], faults
    try:
        return draft.build(0.0)[0], []
    except DoseError as error:
        return [], [Fault(where, f.given, f.expected, f.try_) for f in error.faults]


def _read_key(
    draft: Draft, where: str, key: str, value: Any, entries: Sequence[str], fields: Iterable[str]
) -> None:
    if key in (
        "amount",
        "rate",
        "over",
        "at",
        "every",
        "for",
        "route",
        "drug",
        "salt",
        "by",
        "max",
    ) and not isinstance(value, str):
        example = {"amount": "35 mg", "rate": "20 mg/h", "route": "iv", "drug": "S-ketamine", "salt": "HCl"}
        cure = f'{key} = "{example.get(key) or "40 min"}"'
        expected = "text" if key in ("route", "drug", "salt") else "text with a unit"
        raise DoseError(where, repr(value)[:60], expected, cure)
    if key == "steady_state":
        if value not in (False, True, 0, 1, 2) or isinstance(value, float):
            raise DoseError(
                where, repr(value)[:60], "true, false, or 2 (added to what is there)", "steady_state = true"
            )
        draft.steady = int(value)
    elif key == "count":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_REPEATS:
            raise DoseError(where, repr(value)[:60], f"a whole number from 1 to {MAX_REPEATS}", "count = 8")
        draft.count = value
    elif key == "route":
        draft.route = canonical_route(value, entries)
        if draft.route is None:
            names = [*entries, *ROUTES, *(w for words in ROUTES.values() for w in words)]
            close = nearest(value[:40], names, n=1)
            cure = repr(close[0]) if close else "one of " + ", ".join(dict.fromkeys([*entries, *ROUTES]))
            raise DoseError(where, short(value), "a route", cure)
    elif key == "drug":
        draft.drug = canonical_drug(value)
        if draft.drug is None:
            raise DoseError(where, short(value), "one of " + ", ".join(DRUGS), "'S-ketamine'")
    elif key == "salt":
        draft.salt = SALT_WORDS.get(" ".join(value.lower().split()))
        if draft.salt is None:
            raise DoseError(where, short(value), "'base' or 'HCl'", "'HCl'")
    elif key in ("amount", "rate", "over", "at", "every", "for", "by", "max"):
        _read_clause(draft, where, key, value)
    elif key in fields:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise DoseError(where, repr(value)[:60], "a number above 0", f"{key} = 3")
        draft.fields[key] = float(value)
    else:
        close = nearest(str(key), [*_KEYS, *fields])
        expected = "a key of a dose: " + ", ".join((*_KEYS, *sorted(fields)))
        raise DoseError(
            where, repr(key)[:60], expected, " or ".join(map(repr, close)) if close else "leave it out"
        )


def _read_clause(draft: Draft, where: str, key: str, value: str) -> None:
    """One value of a table is read as the clause of a phrase that it is."""
    said = {"amount": value, "rate": value, "for": f"for {value}"}.get(key, f"{key} {value}")
    frequency = key == "every" and bool(
        re.match(r"\s*(once|twice|thrice|daily|weekly|hourly|.*times)", value.lower())
    )
    if len(value) > LONGEST:
        raise DoseError(where, short(value), "a shorter text", "'40 min'")
    reader = Reader(value if frequency else said, (), ())
    reader.draft.where = where
    read = reader.read()
    taken = {
        "amount": ("amount", "per_kg", "moles", "volume", "concentration"),
        "rate": ("rate", "rate_per_kg", "moles", "volume_rate", "concentration"),
        "over": ("over_h",),
        "at": ("start_h",),
        "every": ("every_h", "offsets", "days", "weekly_days"),
        "for": ("for_h",),
        "by": ("by",),
        "max": ("most",),
    }[key]
    blank = Draft(where)
    for name in vars(blank):
        now, before = getattr(read, name), getattr(blank, name)
        if name in taken:
            setattr(draft, name, now or getattr(draft, name) if name in ("moles", "concentration") else now)
        elif name not in ("where", "whole", "offer") and now != before:
            raise DoseError(where, short(value), f"{key} alone", f'{key} = "{_VALUES[key]}"')
    if all(getattr(read, name) == getattr(blank, name) for name in taken):
        raise DoseError(where, short(value), f"a value for {key}", f'{key} = "{_VALUES[key]}"')


_VALUES = {
    "amount": "35 mg",
    "rate": "20 mg/h",
    "over": "40 min",
    "at": "2 h",
    "every": "84 h",
    "for": "4 weeks",
    "by": "ideal weight",
    "max": "50 mg",
}
