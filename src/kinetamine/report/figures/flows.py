"""The compartments of a model file as boxes, its flows as numbered arrows, and what each number stands for."""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from kinetamine.report.figures.graph_layout import HIGH, Edge, Placed, arrange
from kinetamine.report.figures.vega import (
    FAINT,
    GROUND,
    INK,
    PALETTE,
    SHADE,
    Figure,
    Sheet,
    colour,
    pixel,
    placed,
    tip,
    words,
)
from kinetamine.results import show

if TYPE_CHECKING:
    from kinetamine.models.spec import ModelSpec

__all__ = ["diagram"]

_GONE = "eliminated"
_LINE = 15
_BADGE = 7
#: narrower boxes have smaller letters
_ROOMY = 74


def diagram(spec: ModelSpec, *, width: int = 560) -> Figure:
    """Where a dose goes: entries, compartments, flows, and where the outputs are measured.

    An effect model, and a file that cannot run, have no compartments: they are told in words.

    Parameters
    ----------
    spec : ModelSpec
        As `kinetamine.models.library.load` gives it.
    width : int
        In pixels; boxes get narrower to stay within, and the figure wider where that is not enough.

    Returns
    -------
    Figure

    Examples
    --------
    >>> from kinetamine.models import library
    >>> drawn = diagram(library.load("noppers_2011_s_ketamine")).to_dict()["datasets"]
    >>> [row["text"] for row in drawn["boxes"]]
    [['iv'], ['central'], ['peripheral 1'], ['peripheral 2'], ['eliminated']]
    """
    if not spec.compartments:
        return _nothing(Sheet(width, beside=False), spec)
    graph = _Graph(spec)
    place = arrange(list(graph.nodes), graph.edges, width)
    width = max(width, math.ceil(place.width))
    sheet = Sheet(width, beside=False)
    layers = [_lines(sheet, place), _heads(sheet, place), *_boxes(sheet, graph, place)]
    layers += _badges(sheet, graph, place)
    picture = {"layer": layers, "width": width, "height": place.height, "title": _title(sheet, spec)}
    return sheet.figure([picture, _list(sheet, graph.said())])


def _title(sheet: Sheet, spec: ModelSpec) -> dict[str, Any]:
    return sheet.title(spec.title or spec.id, f"{spec.id}; a dose is {spec.drug}")


def _nothing(sheet: Sheet, spec: ModelSpec) -> Figure:
    """A file without compartments, in words."""
    if spec.kind == "effect":
        lines = [f"reads {d.analyte} in {d.site}" for d in spec.drives.values()]
        for name, site in spec.effect_sites.items():
            lines.append(
                f"{name} follows {site.follows}" + (f", rate {site.rate}" if site.rate else ", at once")
            )
        lines += [f"gives {name}: {output.value}" for name, output in spec.outputs.items()]
    else:
        lines = ["Not enough was published to compute with.", *(f"missing: {text}" for text in spec.missing)]
    panel = _list(sheet, [(line, FAINT) for line in ["no compartments", *lines]])
    return sheet.figure([panel | {"title": _title(sheet, spec)}])


class _Graph:
    """The file as boxes and arrows."""

    def __init__(self, spec: ModelSpec) -> None:
        from kinetamine.formulas.parse import parse
        from kinetamine.formulas.tree import names

        self.spec = spec
        #: node → its text, and whether it is a compartment
        self.nodes: dict[str, tuple[str, bool]] = {}
        self.edges: list[Edge] = []
        self.flow: list[str | None] = []
        states = list(spec.states)
        routes: dict[tuple[str, ...], list[str]] = {}
        for route, parts in spec.entries.items():
            routes.setdefault(tuple(dict.fromkeys(p.to for p in parts)), []).append(route)
        for targets, some in routes.items():
            node = f"entry {some[0]}"
            self.nodes[node] = (", ".join(some), False)
            for to in targets:
                self._edge(node, to, None)
        self.nodes |= {state: (state.replace("_", " "), True) for state in states}
        for name, flow in spec.flows.items():
            start, end = flow.from_ or f"source {name}", flow.to or f"gone {name}"
            if flow.from_ is None:
                self.nodes[start] = (name.replace("_", " "), False)
            if flow.to is None:
                self.nodes[end] = (_GONE, False)
            self._edge(start, end, name)
        for name, site in spec.effect_sites.items():
            for start in sorted(names(parse(site.follows)) & set(states)):
                self._edge(start, name, None)
        read = {name: names(parse(output.value)) & set(states) for name, output in spec.outputs.items()}
        #: compartment → outputs read from it
        self.read = {s: [n for n, some in read.items() if s in some] for s in states}
        self.number = {name: k + 1 for k, name in enumerate(n for n in self.flow if n)}
        measured = [s for s in states if self.read[s]]
        self.ink = {s: PALETTE[k % len(PALETTE)] for k, s in enumerate(measured)}

    def _edge(self, start: str, end: str, flow: str | None) -> None:
        self.edges.append(Edge(start, end))
        self.flow.append(flow)

    def said(self) -> list[tuple[str, str]]:
        """The lines below the picture, with their colours."""
        lines = []
        for state, ink in self.ink.items():
            for name in self.read[state]:
                output = self.spec.outputs[name]
                about = f"{name}, {output.site}, {show.unit(output.unit)}"
                lines.append((f"{state.replace('_', ' ')}: measured as {about}", ink))
        for name, number in self.number.items():
            flow = self.spec.flows[name]
            share = f", of which {flow.yield_} arrives" if flow.yield_ else ""
            lines.append((f"{number}  {name.replace('_', ' ')}: {flow.rate}{share}", INK))
        return lines


def _lines(sheet: Sheet, place: Placed) -> dict[str, Any]:
    rows = [
        {"line": k, "step": n, "px": round(x, 1), "py": round(y, 1)}
        for k, corners in place.corners.items()
        for n, (x, y) in enumerate(corners)
    ]
    return {
        "data": sheet.data("arrows", rows),
        "mark": {"type": "line", "color": FAINT, "strokeWidth": 1.3},
        "encoding": {
            "x": pixel("px"),
            "y": pixel("py"),
            "detail": {"field": "line", "type": "nominal"},
            "order": {"field": "step", "type": "quantitative"},
        },
    }


def _heads(sheet: Sheet, place: Placed) -> dict[str, Any]:
    rows = []
    for corners in place.corners.values():
        (x0, y0), (x1, y1) = corners[-2:]
        turn = math.degrees(math.atan2(y1 - y0, x1 - x0)) + 90
        away = math.hypot(x1 - x0, y1 - y0) or 1.0
        back = 4 / away
        rows.append(placed("", x1 - back * (x1 - x0), y1 - back * (y1 - y0), FAINT, angle=round(turn, 1)))
    layer = words(sheet.data("heads", rows))
    layer["mark"] = {"type": "point", "shape": "triangle-up", "filled": True, "size": 55, "opacity": 1}
    del layer["encoding"]["text"]
    layer["encoding"]["angle"] = {"field": "angle", "type": "quantitative", "scale": None}
    return layer


def _boxes(sheet: Sheet, graph: _Graph, place: Placed) -> list[dict[str, Any]]:
    rows = []
    size = 11.5 if place.box >= _ROOMY else 9.5
    letters = max(8, int(place.box / (0.54 * size)))
    for node, (text, real) in graph.nodes.items():
        x, y = place.middle[node]
        ink = graph.ink.get(node, INK) if real else FAINT
        lines = textwrap.wrap(text, letters if real else letters + 6, break_long_words=False)[:3]
        edge = graph.ink.get(node, SHADE if real else "transparent")
        half = place.box / 2
        spot = {"left": x - half, "right": x + half, "top": y - HIGH / 2, "foot": y + HIGH / 2}
        row = placed(
            lines, x, y - (len(lines) - 1) * 6.5, ink, edge=edge, real=real, measured=node in graph.ink
        )
        rows.append(row | {key: round(value, 1) for key, value in spot.items()})
    data = sheet.data("boxes", rows)
    encoding = {
        "x": pixel("left"),
        "x2": {"field": "right"},
        "y": pixel("top"),
        "y2": {"field": "foot"},
        "stroke": colour("edge"),
    }
    layers: list[dict[str, Any]] = []
    for measured, thick in ((False, 1.2), (True, 2.6)):
        mark = {"type": "rect", "fill": GROUND, "cornerRadius": 4, "strokeWidth": thick}
        chosen = [{"filter": f"datum.real && datum.measured == {str(measured).lower()}"}]
        layers.append({"data": data, "transform": chosen, "mark": mark, "encoding": encoding})
    for kind, style in (("true", {"fontWeight": "bold"}), ("false", {"fontStyle": "italic"})):
        named = words(data, align="center", fontSize=size, lineHeight=size + 1.5, **style)
        layers.append(named | {"transform": [{"filter": f"datum.real == {kind}"}]})
    return layers


def _badges(sheet: Sheet, graph: _Graph, place: Placed) -> list[dict[str, Any]]:
    """The number of each flow, on its line."""
    rows = []
    for k, name in enumerate(graph.flow):
        if name is None:
            continue
        corners = place.corners[k]
        # on the first stretch, nearer to its end: lines part on their way
        (x0, y0), (x1, y1) = corners[:2]
        share = 0.45
        x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
        flow = graph.spec.flows[name]
        rows.append(placed(str(graph.number[name]), x, y, INK, name=name.replace("_", " "), rate=flow.rate))
    data = sheet.data("numbers", rows)
    read = tip({"name": "flow", "rate": "amount per time"})
    number = words(data, align="center", fontSize=11, fontWeight="bold")
    number["encoding"] |= read
    disc = {"type": "point", "shape": "circle", "size": 4 * _BADGE**2, "fill": GROUND, "stroke": GROUND}
    spot = {"x": pixel("px"), "y": pixel("py"), **read}
    return [{"data": data, "mark": disc | {"opacity": 1}, "encoding": spot}, number]


def _list(sheet: Sheet, lines: list[tuple[str, str]]) -> dict[str, Any]:
    rows, down = [], 8
    for text, ink in lines:
        for part in sheet.folded(text):
            rows.append(placed(part, 0, down, ink))
            down += _LINE
        down += 2
    data = sheet.data("list", rows)
    return {"layer": [words(data, fontSize=11)], "width": sheet.width, "height": down}
