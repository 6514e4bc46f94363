"""Numbers and units as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["auc_unit", "number", "people", "span", "unit"]


def number(value: float | None) -> str:
    """Three significant digits; a dash for what could not be determined.

    Examples
    --------
    >>> [number(x) for x in (1234.5, 0.012345, 71.0, None, float("nan"))]
    ['1,234', '0.0123', '71.0', '–', '–']
    """
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size == 0.0:
        return "0"
    if size >= 99.95:
        return f"{value:,.0f}" if size < 1e7 else f"{value:.3g}"
    if size < 1e-4:
        return f"{value:.2e}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(size)))}f}"


def span(low: float | None, middle: float | None, high: float | None) -> str:
    """Median with its range, or the one number when there is no spread.

    Examples
    --------
    >>> span(1.0, 2.0, 3.0)
    '2.00 (1.00-3.00)'
    """
    if middle is None or low is None or high is None or number(low) == number(high):
        return number(middle)
    return f"{number(middle)} ({number(low)}-{number(high)})"


def unit(text: str) -> str:
    """A unit for people: nothing for plain numbers becomes a word.

    Examples
    --------
    >>> unit("1"), unit("ug/mL")
    ('no unit', 'µg/mL')
    """
    if text in ("", "1", "-"):
        return "no unit"
    return text.replace("ug", "µg")


def auc_unit(text: str) -> str:
    """The unit of an area under a curve in `text` against hours.

    Examples
    --------
    >>> auc_unit("ng/mL"), auc_unit("1"), auc_unit("points")
    ('ng*h/mL', 'h', 'points*h')
    """
    if text in ("", "1", "-"):
        return "h"
    above, slash, below = text.partition("/")
    return f"{above}*h{slash}{below}"


_COVARIATE_UNITS = {"age": " years", "weight": " kg", "height": " cm"}


def people(described: str | Mapping[str, Any] | None) -> str:
    """A patient or population, as a birth describes it, in words; words stay as they are.

    Examples
    --------
    >>> people({"kind": "patient", "n": 1, "given": {"weight": 95.0}})
    'typical patient, weight 95 kg'
    >>> people({"kind": "population", "n": 1000, "age_years": [18, 60], "variability": True})
    '1,000 people, 18-60 years; drawn: variability between people'
    """
    if not isinstance(described, Mapping):
        return str(described or "")
    n = int(described.get("n") or 1)
    if described.get("kind") == "patient":
        words = ["typical patient"]
    else:
        words = [f"{n:,} {'person' if n == 1 else 'people'}"]
    if ages := described.get("age_years"):
        words.append(f"{ages[0]:g}-{ages[-1]:g} years")
    sex = described.get("sex")
    if isinstance(sex, Mapping) and isinstance(sex.get("female"), (int, float)):
        words.append(f"{100 * sex['female']:.3g} % female")
    for name, value in (described.get("given") or {}).items():
        shown = f"{value:g}" if isinstance(value, (int, float)) else str(value).strip("'\"")
        words.append(f"{name} {shown}{_COVARIATE_UNITS.get(name, '')}")
    if table := described.get("table"):
        words.append(f"from the table {table.get('name')} ({table.get('rows')} rows)")
    text = ", ".join(words)
    drawn = {
        "variability": "variability between people",
        "uncertainty": "uncertainty of the parameters",
        "residual": "residual error",
    }
    if any(described.get(key) for key in drawn):
        text += "; drawn: " + ", ".join(v for key, v in drawn.items() if described.get(key))
    elif described.get("kind") == "population":
        text += "; no variability drawn"
    return text
