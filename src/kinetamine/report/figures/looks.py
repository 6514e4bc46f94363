"""What a line looks like says how far to trust it, and the label says it in words.

================== ======================================= ===================================
grade              population or group                     typical patient
================== ======================================= ===================================
observed           solid line with dots, coloured band     long dashes with dots
fitted             solid line, coloured band               long dashes
range not stated   long dashes, coloured band              long dashes with dots between
extrapolated       dashed line, grey hatched band          short dashes on a grey shadow
================== ======================================= ===================================

A typical patient's line is always broken, because the spread between people is not in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.report.figures.axes import apart
from kinetamine.report.figures.vega import (
    BOLD,
    HOVER,
    INK,
    SHADE,
    Sheet,
    colour,
    folded,
    inside,
    pixel,
    placed,
    rows,
    tip,
    words,
)

__all__ = [
    "Line",
    "Plane",
    "Told",
    "dashes",
    "follower",
    "label",
    "pointer",
    "tall",
]

Floats = np.ndarray[Any, Any]

SOLID = [1, 0]
_DASHES = {
    (False, "fitted"): SOLID,
    (False, "observed"): SOLID,
    (False, "range not stated"): [14, 3],
    (False, "extrapolated"): [6, 3],
    (True, "fitted"): [10, 4],
    (True, "observed"): [10, 4],
    (True, "range not stated"): [10, 3, 2, 3],
    (True, "extrapolated"): [3, 3],
}
#: pixels between two strokes of a hatching
_HATCH = 7
_LINE_HEIGHT = 13
_BESIDE = 150
#: pixels between two places where the pointer finds numbers
_POINTER = 8


def dashes(typical: bool, grade: str) -> list[int]:
    """The dash pattern of a line of this grade.

    Examples
    --------
    >>> dashes(False, "fitted"), dashes(False, "extrapolated")
    ([1, 0], [6, 3])
    """
    return _DASHES.get((typical, grade), SOLID)


@dataclass(frozen=True)
class Plane:
    """Where lines are drawn: the ends of the axes, and their encodings."""

    sheet: Sheet
    x: dict[str, Any]
    y_scale: dict[str, Any]
    y_axis: dict[str, Any]
    across: tuple[float, float]
    down: tuple[float, float]
    height: int
    log: bool = False
    axis: str = "x"  # name of the time axis among the live values

    def y(self, name: str) -> dict[str, Any]:
        """The encoding of a field as height."""
        return {"field": name, "type": "quantitative", "scale": self.y_scale, "axis": self.y_axis}

    def floor(self, values: Any) -> Any:
        """A logarithmic axis has no place for zero: such points go to its foot."""
        return np.maximum(values, self.down[0]) if self.log else values

    def place(self, value: float) -> float:
        """How far down the panel a value is, in pixels."""
        low, high = self.down
        if self.log:
            value, low, high = (float(np.log(max(v, self.down[0]))) for v in (value, low, high))
        return self.height * (1 - (value - low) / (high - low))


@dataclass(frozen=True)
class Line:
    """A curve with the bands around it, widest first; times in the unit of the axis."""

    key: str
    colour: str
    grade: str
    t: Floats
    middle: Floats
    bands: tuple[tuple[Floats, Floats], ...] = ()
    typical: bool = False
    step: bool = False
    width: float = 2.2
    opacity: float = 0.2  # of each band
    hatched: bool = True

    def layers(self, plane: Plane) -> list[dict[str, Any]]:
        """Bands, hatching, line and dots."""
        columns = {"t": self.t, "y": plane.floor(self.middle)}
        for n, (low, high) in enumerate(self.bands):
            columns |= {f"low{n}": plane.floor(low), f"high{n}": plane.floor(high)}
        told = rows(**columns)
        data = plane.sheet.data(f"curve_{self.key}", told)
        layers = [*self._bands(plane, data), *self.strokes(plane, data)]
        return [*layers, self.dots(plane, told)]

    def _bands(self, plane: Plane, data: dict[str, str]) -> list[dict[str, Any]]:
        if not self.bands:
            return []
        guess = self.grade == "extrapolated"
        fill = plane.sheet.live(f"fill_{self.key}", SHADE if guess else self.colour)
        area = {"type": "area", "clip": True, "color": fill, "opacity": self.opacity, **self._shape()}
        found = [
            {"data": data, "mark": area, "encoding": self._between(plane, n)} for n in range(len(self.bands))
        ]
        if not self.hatched:
            return found
        hatch = plane.sheet.data(f"hatch_{self.key}", self._hatch(plane) if guess else [])
        rule = {"type": "rule", "clip": True, "color": self.colour, "strokeWidth": 0.8, "opacity": 0.55}
        return [*found, {"data": hatch, "mark": rule, "encoding": self._between(plane, 0)}]

    @staticmethod
    def _between(plane: Plane, n: int) -> dict[str, Any]:
        return {"x": plane.x, "y": plane.y(f"low{n}"), "y2": {"field": f"high{n}"}}

    def _shape(self) -> dict[str, str]:
        return {"interpolate": "step-after"} if self.step else {}

    def strokes(self, plane: Plane, data: dict[str, str], detail: bool = False) -> list[dict[str, Any]]:
        """The line itself; a typical one on a grey shadow where it is extrapolated."""
        encoding: dict[str, Any] = {"x": plane.x, "y": plane.y("y")}
        if detail:
            encoding["detail"] = {"field": "k", "type": "nominal"}
        layers = []
        if not self.bands:
            shown = plane.sheet.live(f"shadow_{self.key}", 0.3 if self.grade == "extrapolated" else 0.0)
            mark = {"type": "line", "clip": True, "color": SHADE, "opacity": shown, "strokeWidth": 7}
            layers.append({"data": data, "mark": mark | self._shape(), "encoding": encoding})
        mark = {
            "type": "line",
            "clip": True,
            "color": self.colour,
            "strokeWidth": self.width,
            "strokeDash": plane.sheet.live(f"dash_{self.key}", dashes(self.typical, self.grade)),
            **self._shape(),
        }
        return [*layers, {"data": data, "mark": mark, "encoding": encoding}]

    def dots(self, plane: Plane, told: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Dots along a line that was observed."""
        some = told[:: max(1, len(told) // 16)] if self.grade == "observed" else []
        data = plane.sheet.data(f"dots_{self.key}", [{"t": row["t"], "y": row["y"]} for row in some])
        mark = {"type": "point", "color": self.colour, "filled": True, "opacity": 1, "size": 26}
        encoding = {"x": plane.x, "y": plane.y("y")}
        return {"data": data, "transform": inside("t", plane.axis), "mark": mark, "encoding": encoding}

    def _hatch(self, plane: Plane) -> list[dict[str, Any]]:
        """Thin strokes across the outer band."""
        t = self.t
        at = np.linspace(*plane.across, max(2, plane.sheet.width // _HATCH))
        at = at[(at >= t[0]) & (at <= t[-1])] if len(t) else at[:0]
        # between two points the band's edge is straight on the axis drawn
        to, back = (np.log, np.exp) if plane.log else (np.asarray, np.asarray)
        edges = []
        for edge in self.bands[0]:
            drawn = to(plane.floor(edge))
            before = np.searchsorted(t, at, side="right") - 1
            edges.append(back(drawn[before] if self.step else np.interp(at, t, drawn)))
        return rows(t=at, low0=edges[0], high0=edges[1])


def _line_at(x: dict[str, Any], data: dict[str, str], param: str) -> dict[str, Any]:
    mark = {"type": "rule", "color": INK, "strokeWidth": 1, "clip": True}
    opacity = {"condition": {"param": param, "empty": False, "value": 0.6}, "value": 0}
    return {"data": data, "mark": mark, "encoding": {"x": x, "opacity": opacity}}


def follower(sheet: Sheet, x: dict[str, Any], axis: str = "x") -> list[dict[str, Any]]:
    """The pointer's line of the panels above, in a panel that has no numbers over time."""
    views = sheet.pointers.get(axis, [])
    if not views:
        return []
    data = {"name": views[0].replace(f"{HOVER}_at_", f"{HOVER}_")}
    return [_line_at(x, data, f"at_{axis}")]


def label(
    plane: Plane, name: str, said: Sequence[tuple[str, str, float, str]], leads: bool = False
) -> list[dict[str, Any]]:
    """Name and grade of each line: beside its end, kept apart when ends meet, or above the panel.

    Parameters
    ----------
    plane : Plane
    name : str
        Of the dataset.
    said : sequence of (name, grade, last value, colour)
    leads : bool
        Thin lines lead from the curves to their names, for panels with many.
    """
    sheet = plane.sheet
    style: dict[str, Any] = {"fontSize": 12, "fontWeight": "bold", "lineHeight": _LINE_HEIGHT}
    if not sheet.beside:
        found, up = [], -10
        for text, grade, _, ink in reversed(said):
            lines = _named(f"{text}, {grade}", sheet.width)
            up -= (len(lines) - 1) * (_LINE_HEIGHT + 1)
            found.append(placed(lines, 0, up, ink))
            up -= _LINE_HEIGHT + 2
        return [words(sheet.data(name, found[::-1]), limit=sheet.width, **style)]
    texts = [[*_named(text, _BESIDE), grade] for text, grade, _, _ in said]
    ends = [plane.place(value) if np.isfinite(value) else 0.0 for _, _, value, _ in said]
    places = apart(ends, [len(text) * _LINE_HEIGHT + 2 for text in texts], plane.height)
    far = sheet.width + (24 if leads else 0)
    found = [
        placed(text, far, place - (len(text) - 1) * _LINE_HEIGHT / 2, ink)
        for text, place, (_, _, _, ink) in zip(texts, places, said, strict=True)
    ]
    layers = [words(sheet.data(name, found), dx=8, limit=_BESIDE + 20, **style)]
    if leads:
        ties = [
            placed("", sheet.width + 1, end, ink, qx=far + 4, qy=round(place, 1))
            for end, place, (_, _, _, ink) in zip(ends, places, said, strict=True)
        ]
        mark = {"type": "rule", "strokeWidth": 1, "opacity": 0.7}
        encoding = {"x": pixel("px"), "y": pixel("py"), "x2": {"field": "qx"}, "y2": {"field": "qy"}}
        ties_data = sheet.data(f"{name}_ties", ties)
        layers.append({"data": ties_data, "mark": mark, "encoding": encoding | {"color": colour()}})
    return layers


def tall(sheet: Sheet, height: int, names: Iterable[str]) -> int:
    """The height of a panel beside which these names, each with its grade, have room."""
    need = sum((len(_named(name, _BESIDE)) + 1) * _LINE_HEIGHT + 2 for name in names)
    return max(height, need) if sheet.beside else height


def _named(text: str, width: int) -> list[str]:
    """A bold name in lines; an id may break after its underscores."""
    return [line.replace("_ ", "_") for line in folded(text.replace("_", "_ "), width, BOLD)]


@dataclass(frozen=True)
class Told:
    """What the pointer reads of one line: its name with unit, the numbers at each time, and how far to trust it."""

    title: str
    middle: Floats
    span: tuple[Floats, Floats] | None = None
    grade: str = ""


def pointer(
    plane: Plane, key: str, t: Floats, told: Sequence[Told], number: str = ",.3~r"
) -> list[dict[str, Any]]:
    """Columns over the panel, one for each place of the pointer: a line, and the numbers at that time.

    Parameters
    ----------
    plane : Plane
    key : str
        Of the dataset.
    t : array (time,)
        Ascending, in the unit of the axis.
    told : sequence of Told
    number : str
        How a number is written.
    """
    sheet, (start, end) = plane.sheet, plane.across
    grid = np.linspace(start, end, max(2, sheet.width // _POINTER))
    at = np.unique(np.clip(np.searchsorted(t, grid), 0, len(t) - 1)) if len(t) else np.empty(0, int)
    middle = (t[at][1:] + t[at][:-1]) / 2
    edges = {"from": [start, *middle], "to": [*middle, end]} if len(at) else {"from": [], "to": []}
    columns: dict[str, Any] = {"t": t[at], **edges}
    steps = [{"calculate": f"format(datum.t, '.4~r') + ' ' + {plane.axis}_unit", "as": "when"}]
    fields = {"when": "time"}
    for k, one in enumerate(told):
        columns[f"m{k}"] = np.asarray(one.middle)[at]
        said = f"format(datum.m{k}, '{number}')"
        if one.span:
            columns |= {f"l{k}": np.asarray(one.span[0])[at], f"h{k}": np.asarray(one.span[1])[at]}
            said += f" + ' (' + format(datum.l{k}, '{number}') + '-' + format(datum.h{k}, '{number}') + ')'"
        if one.grade:
            said += f" + ', ' + {sheet.live(f'grade_{key}_{k}', one.grade)['expr']}"
        steps.append({"calculate": f"isValid(datum.m{k}) ? {said} : 'no value'", "as": f"said{k}"})
        fields[f"said{k}"] = one.title
    data = sheet.data(f"{HOVER}_{key}", rows(gaps=True, **columns))
    return [
        _line_at(plane.x, data, sheet.points_at(plane.axis, f"{HOVER}_at_{key}")),
        {
            "name": f"{HOVER}_at_{key}",
            "data": data,
            "transform": steps,
            "mark": {"type": "rect", "color": "transparent", "clip": True},
            "encoding": {
                "x": plane.x | {"field": "from"},
                "x2": {"field": "to"},
                "y": {"value": 0},
                "y2": {"value": plane.height},
                **tip(fields),
            },
        },
    ]
