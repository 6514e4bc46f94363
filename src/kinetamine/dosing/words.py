"""The words of dose phrases: routes, drugs, salts, units, and what to say instead of other words."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["DRUG_WORDS", "EXAMPLES", "ROUTES", "canonical_drug", "canonical_route"]

#: name of an entry → the other words for it
ROUTES: dict[str, tuple[str, ...]] = {
    "iv": ("i.v.", "intravenous", "intravenously"),
    "im": ("i.m.", "intramuscular", "intramuscularly"),
    "sc": ("s.c.", "subcutaneous", "subcutaneously"),
    "nasal": ("intranasal", "intranasally", "nasally", "i.n.", "nasal spray"),
    "oral": ("po", "p.o.", "orally", "by mouth"),
    "oral film": ("oral thin film", "otf"),
    "oral prolonged release": ("oral extended release", "prolonged-release oral", "extended-release oral"),
    "sublingual": ("sl", "sublingually"),
    "buccal": ("buccally",),
    "rectal": ("rectally",),
    "inhaled": ("inhalation", "by inhalation", "nebulised", "nebulized"),
    "transdermal": ("transdermally",),
    "epidural": ("epidurally",),
    "intrathecal": ("intrathecally",),
}

#: name of a drug → the words for it
DRUG_WORDS: dict[str, tuple[str, ...]] = {
    "S-ketamine": ("s-ketamine", "s ketamine", "(s)-ketamine", "s(+)-ketamine", "(s)", "esketamine"),
    "R-ketamine": ("r-ketamine", "r ketamine", "(r)-ketamine", "r(-)-ketamine", "(r)", "arketamine"),
    "racemate": (
        "racemate",
        "racemic ketamine",
        "racemic",
        "rac-ketamine",
        "ketamine racemate",
        "(r,s)-ketamine",
        "r,s-ketamine",
        "rs-ketamine",
    ),
}

SALT_WORDS = {"hcl": "HCl", "hydrochloride": "HCl", "base": "base", "free base": "base"}

#: every kind of phrase once; also what an unknown phrase is compared with
EXAMPLES = (
    "35 mg iv over 40 min",
    "0.5 mg/kg iv over 40 min",
    "1.5 mg/kg/h iv for 48 h",
    "20 mg/h iv for 2 h",
    "35 mg iv at 52.5 mg/h",
    "84 mg nasal",
    "84 mg nasal as 3 sprays",
    "50 mg oral film",
    "84 mg oral",
    "10 mg iv at 3 h",
    "10 mg iv at day 3",
    "25 mg oral daily for 6 weeks",
    "56 mg nasal every 84 h x 8",
    "0.5 mg/kg iv over 40 min twice weekly for 4 weeks",
    "0.5 mg/kg iv over 40 min three times weekly for 2 weeks",
    "56 mg nasal weekly for 4 weeks",
    "56 mg nasal every 2 weeks x 4",
    "25 mg oral twice daily for 3 days",
    "25 mg oral every 8 h for 2 days",
    "25 mg oral every 12 h at steady state",
    "20 mg/h iv at steady state",
    "35 mg racemic ketamine iv over 40 min",
    "28 mg esketamine HCl nasal",
    "0.5 mg/kg iv over 40 min max 50 mg",
    "0.5 mg/kg iv over 40 min by ideal weight",
    "56 mg nasal on days 1, 4 and 8",
    "56 mg nasal twice weekly for 4 weeks except session 3",
    "4 mL/h of 10 mg/mL iv for 2 h",
    "2 devices of Spravato",
    "100 umol iv",
)

# Spelled out here rather than asked of `units`: reading a phrase must not cost the import of pint.
HOURS = {"s": 1 / 3600, "min": 1 / 60, "h": 1.0, "d": 24.0, "week": 168.0}
PER_HOUR = {"s": 3600.0, "min": 60.0, "h": 1.0, "d": 1 / 24, "week": 1 / 168}
TIME_WORDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
    **dict.fromkeys(("week", "weeks", "wk", "wks"), "week"),
}
MASS = {"mg": 1.0, "ug": 1e-3, "mcg": 1e-3, "g": 1e3}
TIMES = {"once": 1, "one": 1, "twice": 2, "two": 2, "thrice": 3, "three": 3, "four": 4}

#: doses per week → hours after the start of each week; days 1 and 4, and days 1, 3 and 5
WEEKLY = {1: (0.0,), 2: (0.0, 72.0), 3: (0.0, 48.0, 96.0)}

#: amounts of substance → micromoles
MOLES = {"umol": 1.0, "nmol": 1e-3, "mmol": 1e3}
VOLUMES = {"ml": 1.0, "ul": 1e-3, "l": 1e3}

#: abbreviations of schedules → hours between doses, and doses a week where it is a week's pattern
OFTEN: dict[str, tuple[float, int]] = {
    **dict.fromkeys(("qd", "q.d.", "od", "o.d."), (24.0, 1)),
    **dict.fromkeys(("bid", "b.i.d.", "bd"), (12.0, 1)),
    **dict.fromkeys(("tid", "t.i.d.", "tds"), (8.0, 1)),
    **dict.fromkeys(("qid", "q.i.d.", "qds"), (6.0, 1)),
    **dict.fromkeys(("qod", "q.o.d."), (48.0, 1)),
    "qh": (1.0, 1),
    "qw": (168.0, 1),
    "biw": (168.0, 2),
    "tiw": (168.0, 3),
}

#: words for the weight that an amount per kg is of
WEIGHTS = {
    **dict.fromkeys(
        ("weight", "actual weight", "body weight", "actual body weight", "total body weight", "tbw"), "weight"
    ),
    **dict.fromkeys(("ideal weight", "ideal body weight", "ibw"), "ideal weight"),
    **dict.fromkeys(("adjusted weight", "adjusted body weight", "abw", "adjbw", "ajbw"), "adjusted weight"),
    **dict.fromkeys(("lean weight", "lean body weight", "lean body mass", "lbw", "lbm"), "lean weight"),
}

#: words people write that are not in the grammar → what to write instead
INSTEAD = {
    "and": "';' between doses",
    "plus": "';' between doses",
    "biweekly": "'twice weekly' or 'every 2 weeks'",
    "bimonthly": "'every 2 weeks' or 'every 8 weeks'",
    "fortnightly": "'every 2 weeks'",
    "monthly": "'every 4 weeks'",
    "month": "a number of weeks or days",
    "months": "a number of weeks or days",
    "ketamine": "'racemic ketamine', 'esketamine' or 'arketamine' (without any, it is the model's own drug)",
    "twice": "'twice daily' or 'twice weekly'",
    "spray": "'as 1 spray' after the amount in mg, or so many sprays of a product",
    "sprays": "'as 3 sprays' after the amount in mg, or so many sprays of a product",
    "prn": "the times at which it is given",
}

KEYWORDS: tuple[str, ...] = (
    "over",
    "for",
    "at",
    "every",
    "daily",
    "weekly",
    "once",
    "twice daily",
    "twice weekly",
)
KEYWORDS += (
    "three times weekly",
    "steady state",
    "starting at",
    "mg",
    "mg/kg",
    "min",
    "weeks",
    "days",
    "sprays",
    "max",
    "except session",
    "on days",
    "by ideal weight",
)


def plain(text: str) -> str:
    """Lower case, one kind of micro, times and minus sign."""
    text = text.lower().replace("µ", "u").replace("μ", "u").replace("×", "x")
    return re.sub("[−–‑‐]", "-", text)


def canonical_route(word: str, entries: Iterable[str] = ()) -> str | None:
    """The name of an entry for any word for it, or None.

    Parameters
    ----------
    word : str
    entries : iterable of str, optional
        Names a model knows; they win over the usual words.

    Examples
    --------
    >>> canonical_route("Intranasal"), canonical_route("tablet"), canonical_route("Tablet", ["tablet"])
    ('nasal', None, 'tablet')
    """
    text = " ".join(plain(word).split())
    for entry in entries:
        if text in (entry.lower(), entry.lower().replace("_", " ")):
            return entry
    for route, words in ROUTES.items():
        if text == route or text in words:
            return route
    return None


def canonical_drug(word: str) -> str | None:
    """``S-ketamine``, ``R-ketamine`` or ``racemate`` for any word for it, or None.

    Examples
    --------
    >>> canonical_drug("Esketamine")
    'S-ketamine'
    """
    text = " ".join(plain(word).split())
    return next((drug for drug, words in DRUG_WORDS.items() if text in words or text == drug.lower()), None)


def short(text: object, limit: int = 60) -> str:
    shown = " ".join(str(text).split())
    return repr(shown if len(shown) <= limit else shown[: limit - 1] + "…")


def as_written(value: float) -> float:
    """A product of decimal numbers as a person would write it: 57.6, not 57.599999999999994.

    Examples
    --------
    >>> 1.2 * 48, as_written(1.2 * 48)
    (57.599999999999994, 57.6)
    """
    return float(f"{value:.15g}")


def scaled(value: float, factor: float) -> float:
    """The number in another unit, as a person would write it; in the same unit as it stands, to the last digit.

    Examples
    --------
    >>> scaled(1.2, 48), scaled(6.404615362009805e-05, 1)
    (57.6, 6.404615362009805e-05)
    """
    return value if factor == 1 else as_written(value * factor)


def tidy(value: float) -> str:
    """The shortest text that reads back as the same number."""
    for digits in (6, 9, 12, 15):
        shown = f"{value:.{digits}g}"
        if float(shown) == value:
            return shown
    return repr(value)
