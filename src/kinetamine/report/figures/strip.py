"""The strip of doses: one row per route, a block as long as the infusion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kinetamine.report.figures.axes import Clock, blank, time_axis
from kinetamine.report.figures.vega import INK, Sheet, placed, tip, words
from kinetamine.results import Result, TableResult

__all__ = ["administrations", "doses_drawn", "strip"]

_ROW = 24


def administrations(doses: Iterable[Any]) -> list[dict[str, Any]]:
    """Doses as start, end (h), amount in words and route; repeats written out.

    Examples
    --------
    >>> from kinetamine.dosing import Regimen
    >>> administrations(Regimen.parse("10 mg iv over 30 min at 3 h").expanded())
    [{'start': 3.0, 'end': 3.5, 'amount': '10 mg', 'route': 'iv'}]
    """
    rows = []
    for dose in doses:
        rate, duration = getattr(dose, "rate", None), getattr(dose, "duration_h", None)
        if not duration and rate and rate > 0:
            duration = dose.amount / rate
        amount = f"{dose.amount:g} mg{'/kg' * bool(getattr(dose, 'per_kg', False))}"
        if getattr(dose, "most", None) is not None:
            amount += f" (max {dose.most:g} mg)"
        drug = getattr(dose, "drug", None)
        route = str(getattr(dose, "entry", "dose")) + (f" {drug}" if drug else "")
        for k in range(max(1, int(getattr(dose, "count", 1) or 1))):
            start = float(dose.time_h) + k * float(getattr(dose, "every_h", 0.0) or 0.0)
            rows.append(
                {"start": start, "end": start + float(duration or 0.0), "amount": amount, "route": route}
            )
    return rows


def doses_drawn(result: Result | TableResult) -> bool:
    """Whether a figure of this result has a strip of doses.

    Examples
    --------
    >>> import numpy as np
    >>> doses_drawn(Result(np.array([0.0, 1.0]), {}))
    False
    """
    return bool(result.doses)


def strip(sheet: Sheet, clock: Clock, doses: Iterable[Any]) -> dict[str, Any]:
    """The panel of doses; those outside the time axis are counted out."""
    given = administrations(doses)
    routes = list(dict.fromkeys(row["route"] for row in given))
    blocks, said = [], []
    for i, route in enumerate(routes):
        mine = []
        for row in given:
            t, end = float(clock(row["start"])), float(clock(row["end"]))
            if row["route"] == route and t <= clock.end and end >= clock.start:
                mine.append(row | {"t": t, "end": end})
        amounts = list(dict.fromkeys(row["amount"] for row in mine))
        times = f" × {len(mine)}" if len(mine) > 1 else ""
        none = "none in this time" if not mine else f"{len(mine)} doses"
        said.append(f"{amounts[0]}{times}" if len(amounts) == 1 else none)
        for (t, end), row in {(row["t"], row["end"]): row for row in mine}.items():
            place = {"top": i * _ROW + 6.5, "foot": (i + 1) * _ROW - 6.5}
            lasts = "" if end == t else f" to {end:.4g}"
            told = {"what": f"{row['amount']} {route}", "when": f"{t:.4g}{lasts} {clock.unit}"}
            blocks.append({"t": round(t, 6), "end": round(end, 6)} | place | told)
    height = _ROW * len(routes)
    scale = {"domain": [0, height], "range": [0, height], "nice": False}
    # the stroke keeps a bolus visible, however wide the axis is
    mark = {"type": "rect", "color": INK, "stroke": INK, "strokeWidth": 3, "clip": True}
    encoding = {
        "x": time_axis(sheet, clock, named=False, bare=True),
        "x2": {"field": "end"},
        "y": {"field": "top", "type": "quantitative", "scale": scale, "axis": blank()},
        "y2": {"field": "foot"},
        **tip({"what": "dose", "when": "time"}),
    }
    layers = [{"data": sheet.data("doses", blocks), "mark": mark, "encoding": encoding}]
    pairs = list(zip(routes, said, strict=True))
    subtitle = None
    if sheet.beside:
        named = [placed(list(pair), sheet.width, i * _ROW + _ROW / 2) for i, pair in enumerate(pairs)]
        style = {"dx": 8, "dy": -6, "fontSize": 11, "lineHeight": 12, "limit": 150}
        layers.append(words(sheet.data("dose_words", named), **style))
    else:
        line = "; ".join(f"{route}: {text}" for route, text in pairs)
        subtitle = sheet.live("dose_words", sheet.folded(line))
    title = sheet.title("doses", subtitle, offset=4)
    return {"layer": layers, "width": sheet.width, "height": height, "title": title}
