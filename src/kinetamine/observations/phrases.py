"""Phrases for measured values: ``"S-ketamine 46 ng/mL at 40 min"``, ``"MADRS 21 on day 7"``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from kinetamine import units
from kinetamine.errors import Fault, FaultyFile, InputError, NoData, UnitError
from kinetamine.observations.observation import SCALES, Observation

__all__ = ["read"]

_NUMBER = r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?"
_PHRASE = re.compile(
    rf"""^\s*(?P<what>[^<>=≤≥]*?[^<>=≤≥:\s])(?:\s+|\s*[:=]\s*|\s*(?=[<>≤≥]))
    (?P<sign><=|>=|<|>|below\b|under\b|above\b|over\b|between\b|≤|≥)?\s*
    (?P<value>{_NUMBER})(?:\s*(?:to|and|-|–)\s*(?P<upto>{_NUMBER}))?
    \s*(?P<unit>[^\d\s@][^@]*?)?
    \s+(?:(?:at|after|@)\s*(?P<at>.+?)|on\s+day\s+(?P<day>{_NUMBER}))
    (?:\s+(?:in|from)\s+(?P<site>[A-Za-z ]+?))?\s*$""",
    re.VERBOSE | re.IGNORECASE,
)
_EXPECTED = (
    "a value, its unit and its time, such as 'S-ketamine 46 ng/mL at 40 min', 'S-ketamine <0.5 ng/mL at 24 h' "
    "or 'MADRS 21 on day 7'"
)
_BELOW, _ABOVE = {"<", "<=", "≤", "below", "under"}, {">", ">=", "≥", "above", "over"}
_AFTER_DEATH = re.compile(r"femoral|cardiac|heart|post.?mortem|autopsy|vitreous|after death", re.IGNORECASE)
_SITES = {
    "venous": "venous plasma", "venous plasma": "venous plasma", "arterial": "arterial plasma",
    "arterial plasma": "arterial plasma", "plasma": "plasma", "serum": "plasma", "venous serum": "venous plasma",
    "blood": "whole blood", "whole blood": "whole blood", "urine": "urine",
}  # fmt: skip


def read(phrases: str | Iterable[str], where: str) -> list[Observation]:
    """The values of phrases, see `observations.parse`; every fault of all of them comes at once."""
    texts = [phrases] if isinstance(phrases, str) else list(phrases)
    found, faults = [], []
    for k, text in enumerate(texts):
        place = f"{where} {k + 1}" if len(texts) > 1 else where
        try:
            found.append(_one(str(text), place))
        except InputError as error:
            faults += error.faults
    if not texts:
        faults.append(Fault(where, "nothing", _EXPECTED))
    if faults:
        raise FaultyFile(where, faults)
    return found


def _one(text: str, where: str) -> Observation:
    if len(text) > 200:
        raise InputError(where, f"{len(text)} letters", _EXPECTED)
    match = _PHRASE.match(text)
    if match is None:
        raise InputError(where, repr(text), _EXPECTED, _cure(text))
    what = " ".join(match["what"].split())
    low, high = _limits(match, where, text)
    scale = next((name for name in SCALES if name.upper() == what.upper()), None)
    time_h = _time(match, where, text)
    if scale is not None:
        if match["unit"] and match["unit"].strip().lower() not in ("points", "point"):
            raise InputError(
                where, repr(text), f"points of {scale}, without a unit", f"{scale} {low:g} on day 7"
            )
        return Observation(scale, low, high, "", time_h, where=text)
    unit = (match["unit"] or "").strip()
    if not unit and "/" in what:  # a ratio has none
        unit = "1"
    if not unit:
        raise InputError(
            where, repr(text), f"a unit behind {match['value']}", "adding it, such as ng/mL or nmol/L"
        )
    _check_unit(unit, where)
    site = match["site"]
    if site is not None and _AFTER_DEATH.search(site):
        raise NoData(
            where,
            f"a sample after death ({site.strip()})",
            "samples of the living: after death drug moves between tissues and blood, and no model here has that",
            "no computation; kinetamine misuse --concentration tells what is known",
        )
    if site is not None and " ".join(site.lower().split()) not in _SITES:
        raise InputError(
            where, repr(site), "a site: " + ", ".join(sorted(set(_SITES.values()))), "in venous plasma"
        )
    return Observation(
        what, low, high, unit, time_h, _SITES[" ".join(site.lower().split())] if site else None, where=text
    )


def _number(text: str) -> float:
    return float(text.replace(",", "."))


def _limits(match: re.Match[str], where: str, text: str) -> tuple[float, float]:
    value = _number(match["value"])
    sign = (match["sign"] or "").lower()
    if match["upto"] is not None:
        low, high = value, _number(match["upto"])
        if sign in _BELOW | _ABOVE or not low < high:
            raise InputError(
                where, repr(text), "the lower limit before the upper one", f"{high:g} to {low:g}"
            )
    elif sign in _BELOW:
        low, high = 0.0, value
    elif sign in _ABOVE:
        low, high = value, math.inf
    elif sign == "between":
        raise InputError(where, repr(text), "two limits", "between 10 and 20")
    else:
        low = high = value
    if not ((low >= 0 and (math.isfinite(low)) and high > 0) or (low == high == 0)) or math.isnan(high):
        raise InputError(where, repr(text), "a value that is not negative", "")
    return low, high


def _time(match: re.Match[str], where: str, text: str) -> float:
    if match["day"] is not None:
        return 24.0 * _number(match["day"])
    said = match["at"]
    if re.fullmatch(_NUMBER, said.strip()):
        raise InputError(
            where, repr(text), f"a time with its unit, not {said.strip()} alone", "adding min, h or d"
        )
    try:
        return float(units.read(said, "h", where))
    except UnitError as error:
        raise InputError(where, repr(text), "a time such as '40 min' or '2 h'", "at 2 h") from error


def _check_unit(unit: str, where: str) -> None:
    measured = units.dimension(unit, where)
    if measured not in (
        "[mass] / [length] ** 3",
        "[substance] / [length] ** 3",
        "dimensionless",
        "[mass]",
        "[substance]",
    ):
        raise UnitError(where, repr(unit), "a unit of concentration, such as ng/mL or nmol/L", "'ng/mL'")


def _cure(text: str) -> str:
    if re.search(r"\d", text) and not re.search(r"\b(at|after|on day)\b|@", text):
        return "adding when it was taken: 'at 40 min', 'at 2 h' or 'on day 7'"
    return "'S-ketamine 46 ng/mL at 40 min'"
