"""Predicted against observed, on logarithmic axes, with the line of identity and the two-fold band."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from kinetamine.errors import InputError, UnknownName
from kinetamine.report.figures.axes import log_ticks
from kinetamine.report.figures.vega import FAINT, PALETTE, SHADE, Figure, Sheet, layout, placed, tip, words
from kinetamine.results import show

__all__ = ["predicted_observed"]

_SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
_FOLD = 2.0
_OTHER = "others"
#: the axes reach so far beyond the outermost point
_ROOM = 1.4


def predicted_observed(
    rows: Iterable[Mapping[str, Any]], *, by: str = "site", width: int = 340, labels: str = "end"
) -> Figure:
    """Each published number against what a model says; one panel per unit.

    Parameters
    ----------
    rows : iterable of dict
        `predicted`, `observed` (above zero), `model`, `site`, `unit`, `label`.
    by : {"site", "model"}
        What colours and shapes tell apart; beyond the six most frequent: others.
    width : int
        Of one panel, which is square, in pixels.
    labels : str
        Where the signs are explained: ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> row = {"predicted": 90.0, "observed": 100.0, "model": "a_2020", "site": "venous plasma"}
    >>> figure = predicted_observed([row | {"unit": "ng/mL", "label": "peak"}])
    >>> figure.to_dict()["datasets"]["key_0"][0]["text"]
    ['venous plasma', '1 of 1 within 2-fold']
    """
    if by not in ("site", "model"):
        raise UnknownName("by", by, ("site", "model"), "what to tell apart")
    found = [dict(row) for row in rows]
    kept = [row for row in found if row["predicted"] > 0 and row["observed"] > 0]
    if not kept:
        raise InputError("figure", "no pairs above zero", "at least one predicted and observed number")
    sheet = Sheet(width, layout(labels))
    units = dict.fromkeys(row["unit"] for row in kept)
    often = Counter(row[by] for row in kept)
    named = [name for name, _ in often.most_common(len(PALETTE))]
    panels = [
        _panel(sheet, i, unit, [r for r in kept if r["unit"] == unit], by, named)
        for i, unit in enumerate(units)
    ]
    return sheet.figure(panels)


def _panel(
    sheet: Sheet, i: int, unit: str, rows: list[dict[str, Any]], by: str, named: list[str]
) -> dict[str, Any]:
    width = sheet.width
    there = {row[by] for row in rows}
    groups = [*(name for name in named if name in there), *([_OTHER] if there - set(named) else [])]
    values = np.array([[row["observed"], row["predicted"]] for row in rows])
    low, high = float(values.min()) / _ROOM, float(values.max()) * _ROOM
    domain = sheet.domain(f"p{i}", low, high)
    ticks = sheet.live(f"p{i}_ticks", log_ticks(low, high))
    scale = {"type": "log", "domain": domain, "nice": False}

    def axis(field: str, title: str) -> dict[str, Any]:
        look = {"values": ticks, "grid": True, "title": f"{title}, {show.unit(unit)}", "format": "~r"}
        return {"field": field, "type": "quantitative", "scale": scale, "axis": look}

    def across(low: str, high: str | None) -> dict[str, Any]:
        top = {"y2": {"field": high}} if high else {}
        return {"x": axis("x", "observed"), "y": axis(low, "predicted"), **top}

    ends = [{"x": v, "y": v, "low": v / _FOLD, "high": v * _FOLD} for v in (low, high)]
    ruler = sheet.data(f"fold_{i}", ends)
    band = {"type": "area", "color": SHADE, "opacity": 0.15, "clip": True}
    line = {"type": "line", "color": FAINT, "strokeWidth": 1, "clip": True}
    layers = [
        {"data": ruler, "mark": band, "encoding": across("low", "high")},
        {"data": ruler, "mark": line, "encoding": across("y", None)},
    ]
    read = tip(
        {"label": "of", "model": "model", "site": "site", "told": "observed, predicted", "fold": "fold"}
    )
    keys = []
    for name in groups:
        k = named.index(name) if name in named else len(named)
        mine = [row for row in rows if (row[by] if row[by] in named else _OTHER) == name]
        ink = PALETTE[k] if name in named else FAINT
        near = sum(max(r["predicted"] / r["observed"], r["observed"] / r["predicted"]) <= _FOLD for r in mine)
        keys.append(([name or "not stated", f"{near} of {len(mine)} within {_FOLD:g}-fold"], ink, k))
        mark = {"type": "point", "shape": _SHAPES[k % len(_SHAPES)], "stroke": ink, "fill": ink, "size": 34}
        encoding = {
            "x": axis("observed", "observed"),
            "y": axis("predicted", "predicted"),
            **read,
        }
        data = sheet.data(f"pairs_{i}_{k}", [_told(row) for row in mine])
        mark |= {"fillOpacity": 0.3, "strokeWidth": 1, "opacity": 1, "clip": True}
        layers.append({"data": data, "mark": mark, "encoding": encoding})
    layers += _key(sheet, i, keys)
    title = sheet.title(
        f"predicted against observed, {show.unit(unit)}", "line: identity; band: within 2-fold"
    )
    return {"layer": layers, "width": width, "height": width, "title": title}


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    seen, made = float(row["observed"]), float(row["predicted"])
    told = f"{show.number(seen)}, {show.number(made)}"
    plain = {key: str(row.get(key, "")) for key in ("label", "model", "site")}
    return {
        "observed": seen,
        "predicted": made,
        "told": told,
        "fold": f"{max(made / seen, seen / made):.2g}",
        **plain,
    }


def _key(sheet: Sheet, i: int, keys: list[tuple[list[str], str, int]]) -> list[dict[str, Any]]:
    """What each sign is, with its share within two-fold."""
    rows, signs = [], []
    for n, (text, ink, k) in enumerate(keys):
        if sheet.beside:
            x, y = sheet.width + 16, 8 + 34 * n
            rows.append(placed(text, x + 12, y, ink))
        else:
            x, y = 6, -12 - 15 * (len(keys) - 1 - n)
            rows.append(placed([": ".join(text)], x + 12, y, ink))
        signs.append(placed("", x, y, ink, shape=_SHAPES[k % len(_SHAPES)]))
    point = words(sheet.data(f"signs_{i}", signs))
    point["mark"] = {"type": "point", "filled": True, "size": 40, "opacity": 1}
    point["encoding"] = {k: v for k, v in point["encoding"].items() if k != "text"}
    point["encoding"]["shape"] = {"field": "shape", "type": "nominal", "scale": None}
    style = {
        "fontSize": 11,
        "lineHeight": 13,
        "fontWeight": "bold",
        "limit": 190 if sheet.beside else sheet.width,
    }
    return [point, words(sheet.data(f"key_{i}", rows), **style)]
