"""Bars from when to when, with whiskers and arrows; grades look apart as those of lines do."""

from __future__ import annotations

from typing import Any

from kinetamine.report.figures.looks import dashes
from kinetamine.report.figures.vega import INK, SHADE, Sheet, colour, pixel

__all__ = ["arrows", "bar_place", "bars", "whisker"]

_BAR = 11
#: how full a bar of a grade is; an extrapolated one is grey
_FULL = {"observed": 0.85, "fitted": 0.5, "range not stated": 0.38, "extrapolated": 0.25}


def bar_place(middle: float, ink: str, grade: str) -> dict[str, Any]:
    """Where a bar lies in its panel (pixels) and how it looks, for `bars`."""
    fill = SHADE if grade == "extrapolated" else ink
    spot = {"py": middle, "top": middle - _BAR / 2, "foot": middle + _BAR / 2}
    return {**spot, "fill": fill, "edge": ink, "grade": grade}


def bars(
    data: dict[str, str],
    x: dict[str, Any],
    fields: tuple[str, str],
    typical: bool,
    read: dict[str, Any],
    solid: str | None = None,
) -> list[dict[str, Any]]:
    """Bars between two times; grades look apart as those of lines do.

    `solid` names a live value, 0 where the bars are to be hollow.
    """
    layers = []
    for grade, full in _FULL.items():
        mark = {"type": "rect", "clip": True, "strokeWidth": 1.3, "strokeDash": dashes(typical, grade)}
        opacity = full * (0.35 if typical else 1)
        mark["fillOpacity"] = {"expr": f"{opacity:g} * {solid}"} if solid else opacity
        encoding = {
            "x": x | {"field": fields[0]},
            "x2": {"field": fields[1]},
            "y": pixel("top"),
            "y2": pixel("foot"),
            "fill": colour("fill"),
            "stroke": colour("edge"),
            **read,
        }
        chosen = [{"filter": f"datum.grade == '{grade}'"}]
        layers.append({"data": data, "transform": chosen, "mark": mark, "encoding": encoding})
    return layers


def whisker(
    data: dict[str, str], x: dict[str, Any], low: str, high: str, read: dict[str, Any]
) -> list[dict[str, Any]]:
    """A thin line between two values, with ends."""
    line = {"type": "rule", "clip": True, "color": INK, "strokeWidth": 1}
    end = {"type": "tick", "clip": True, "color": INK, "thickness": 1, "size": 6, "orient": "vertical"}
    between = {"x": x | {"field": low}, "x2": {"field": high}, "y": pixel("py"), **read}
    ends = [{"x": x | {"field": field}, "y": pixel("py")} for field in (low, high)]
    return [
        {"data": data, "mark": line, "encoding": between},
        *({"data": data, "mark": end, "encoding": encoding} for encoding in ends),
    ]


def arrows(sheet: Sheet, data: dict[str, str], end: str, outer: str) -> list[dict[str, Any]]:
    """Arrows at the edge of the panel where a bar or its whisker goes on beyond it."""
    layers = []
    for field, size, ink in ((end, 60, colour("edge")), (outer, 28, {"value": INK})):
        mark = {"type": "point", "shape": "triangle-right", "size": size, "filled": True, "opacity": 1}
        encoding = {"x": {"value": sheet.width - 4}, "y": pixel("py"), "color": ink}
        chosen = [{"filter": f"datum.{field} > x_high"}]
        layers.append({"data": data, "transform": chosen, "mark": mark, "encoding": encoding})
    return layers
