"""Definitions of figures: plain Vega-Lite whose numbers stand apart, so that a page can swap them.

Two figures of one question differ only in ``datasets`` and in the ``value`` of ``params``: domains, ticks, dashes
and texts that hang on numbers are parameters (``{"expr": name}``), places of labels are data.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.errors import InputError, MissingExtra
from kinetamine.files import write_whole

__all__ = [
    "DARK",
    "FAINT",
    "GRID",
    "GROUND",
    "INK",
    "PALETTE",
    "SHADE",
    "Figure",
    "Sheet",
    "colour",
    "folded",
    "inside",
    "layout",
    "pixel",
    "placed",
    "rows",
    "save",
    "stacked",
    "svg",
    "tip",
    "words",
    "written",
]

#: Okabe and Ito's colours, told apart with every common colour vision; black and yellow left out
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

INK, FAINT, GRID, SHADE, GROUND = "#222222", "#5f5f5f", "#e3e3e3", "#8a8a8a", "#fdfdfd"

#: what each colour becomes on a dark ground
DARK = {
    "#0072B2": "#58aee6",
    "#D55E00": "#f58a4b",
    "#009E73": "#35c79b",
    "#CC79A7": "#e6a3c9",
    "#E69F00": "#f0b93a",
    "#56B4E9": "#a5d8f6",
    INK: "#ececec",
    FAINT: "#b0b0b0",
    GRID: "#3a3d42",
    SHADE: "#9a9a9a",
    GROUND: "#15171a",
}

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
#: dataset names that begin so hold what the pointer meets; a file has no pointer
HOVER = "hover"
#: significant digits of the numbers drawn
DIGITS = 5
#: pixels that a letter takes, about: of plain words, of a bold name
PLAIN, BOLD = 6.2, 6.9

_CONFIG = {
    "font": "sans-serif",
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": FAINT,
        "titleColor": INK,
        "gridColor": GRID,
        "tickColor": GRID,
        "domainColor": FAINT,
        "labelFontSize": 11,
        "titleFontSize": 11.5,
        "titleFontWeight": "normal",
        "gridWidth": 1,
    },
    # numbers that grow must not move the panel while a slider is held
    "axisLeft": {"minExtent": 28},
    "title": {
        "anchor": "start",
        "color": INK,
        "fontSize": 12.5,
        "fontWeight": "bold",
        "subtitleColor": FAINT,
        "subtitleFontSize": 11.5,
        "offset": 8,
        "frame": "group",
    },
}


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure as plain Vega-Lite; Jupyter draws it.

    Parameters
    ----------
    definition : dict

    Examples
    --------
    >>> Figure({"mark": "point"}).to_json()
    '{"mark": "point"}'
    """

    definition: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The definition."""
        return self.definition

    def to_json(self) -> str:
        """The definition as JSON text."""
        return json.dumps(self.definition, ensure_ascii=False, allow_nan=False)

    def still(self) -> dict[str, Any]:
        """The definition without what only a pointer meets."""
        data = {k: [] if k.startswith(HOVER) else v for k, v in self.definition.get("datasets", {}).items()}
        return {**self.definition, "datasets": data} if data else self.definition

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        text = f"<Figure: {len(self.definition.get('datasets', {}))} datasets>"
        return {"application/vnd.vegalite.v5+json": self.definition, "text/plain": text}


@dataclass
class Sheet:
    """What the panels of a figure share: its size, its data and its live values.

    Examples
    --------
    >>> sheet = Sheet(300)
    >>> sheet.live("y_high", 5.0)
    {'expr': 'y_high'}
    >>> sheet.data("points", [{"t": 1.0}])
    {'name': 'points'}
    >>> sheet.figure([]).definition["params"]
    [{'name': 'y_high', 'value': 5.0}]
    """

    width: int
    beside: bool = True  # names beside the ends of curves, or above the panel
    datasets: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    params: dict[str, dict[str, Any]] = field(default_factory=dict)
    pointers: dict[str, list[str]] = field(default_factory=dict)

    def data(self, name: str, of: list[dict[str, Any]]) -> dict[str, str]:
        """Rows kept once, at the top of the definition."""
        self.datasets[name] = of
        return {"name": name}

    def live(self, name: str, value: Any) -> dict[str, str]:
        """A value that hangs on numbers."""
        self.params[name] = {"name": name, "value": value}
        return {"expr": name}

    def points_at(self, axis: str, view: str) -> str:
        """A view where the pointer chooses a time; all panels of an axis show the same one."""
        self.pointers.setdefault(axis, []).append(view)
        return f"at_{axis}"

    def domain(self, name: str, low: float, high: float) -> list[dict[str, str]]:
        """The ends of an axis, as live values."""
        return [self.live(f"{name}_low", float(low)), self.live(f"{name}_high", float(high))]

    def folded(self, text: str) -> list[str]:
        """Text in lines that fit."""
        return folded(text, self.width + (120 if self.beside else 0))

    def title(self, text: str, subtitle: str | dict[str, str] | None = None, **style: Any) -> dict[str, Any]:
        """A heading; a subtitle is folded to the width."""
        lines = self.folded(subtitle) if isinstance(subtitle, str) else subtitle
        heading = folded(text, self.width + (120 if self.beside else 0), BOLD)
        return {"text": heading, **({"subtitle": lines} if lines else {}), **style}

    def notes(self, name: str, texts: Sequence[str]) -> dict[str, Any]:
        """A panel of words, as high as they need, whatever the page puts into its data."""
        lines = [line for text in texts for line in self.folded(text)]
        data = self.data(name, [placed(line, 0, 15 * k + 8, FAINT, row=k) for k, line in enumerate(lines)])
        return {"layer": [stacked(data, 15), words(data, fontSize=11)], "width": self.width}

    def figure(self, panels: Sequence[dict[str, Any]], **more: Any) -> Figure:
        """The whole: panels one below the other."""
        select = {"type": "point", "fields": ["t"], "on": "pointerover", "clear": "pointerout"}
        chosen = [{"name": f"at_{a}", "select": select, "views": v} for a, v in self.pointers.items()]
        definition = {
            "$schema": SCHEMA,
            "background": "transparent",
            "autosize": {"type": "pad"},
            # the reader's font may be wider than the one that words are measured with here
            "padding": {"left": 4, "top": 4, "bottom": 4, "right": 22},
            "config": _CONFIG,
            "params": [*self.params.values(), *chosen],
            "spacing": 14,
            "vconcat": list(panels),
            "resolve": {"scale": {"x": "independent", "y": "independent"}},
            "datasets": self.datasets,
        }
        return Figure(definition | more)


def layout(labels: str) -> bool:
    """Whether names stand beside the ends of curves.

    Raises
    ------
    InputError
        If `labels` is another word than ``end`` or ``above``.
    """
    if labels not in ("end", "above"):
        raise InputError("labels", repr(labels), "'end' or 'above'", "labels='end'")
    return labels == "end"


def rows(gaps: bool = False, **columns: Any) -> list[dict[str, Any]]:
    """Columns of numbers as rows, rounded, only where every number is finite; with `gaps` None for those that are not.

    Examples
    --------
    >>> rows(t=[1.0, 2.0], y=[1 / 3, np.nan])
    [{'t': 1.0, 'y': 0.33333}]
    """
    matrix = np.column_stack([np.asarray(c, dtype=np.float64) for c in columns.values()])
    names, known = tuple(columns), np.isfinite(matrix)
    if not known.all() and gaps:
        plain = _rounded(np.where(known, matrix, 0.0)).astype(object)
        plain[~known] = None
        return [dict(zip(names, row, strict=True)) for row in plain.tolist()]
    matrix = _rounded(matrix[known.all(axis=1)])
    return [dict(zip(names, row, strict=True)) for row in matrix.tolist()]


def _rounded(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Significant digits; dividing by whole powers of ten keeps the decimals short."""
    with np.errstate(divide="ignore"):
        size = np.floor(np.log10(np.abs(values)))
    shift = np.clip(DIGITS - 1 - np.where(np.isfinite(size), size, 0.0), -300, 300)
    up, down = 10.0 ** np.maximum(shift, 0), 10.0 ** np.maximum(-shift, 0)
    return np.asarray(np.round(values * up / down) / up * down)


def folded(text: str, width: int, letter: float = PLAIN) -> list[str]:
    """Text broken at spaces to fit a width in pixels.

    Examples
    --------
    >>> folded("typical patient: no variability drawn", 140)
    ['typical patient: no', 'variability drawn']
    """
    # a number keeps its sign
    lines = textwrap.wrap(text.replace(" %", "\xa0%"), max(18, int(width / letter)), break_long_words=False)
    return [line.replace("\xa0", " ") for line in lines] or [""]


def placed(text: str | list[str], across: float, down: float, ink: str = INK, **more: Any) -> dict[str, Any]:
    """A row of words at a place of the panel given in pixels, for `words`."""
    return {"text": text, "px": round(float(across), 1), "py": round(float(down), 1), "colour": ink, **more}


def pixel(field: str) -> dict[str, Any]:
    """A place in pixels, read from the data: places that hang on numbers stay live."""
    return {"field": field, "type": "quantitative", "scale": None}


def colour(field: str = "colour") -> dict[str, Any]:
    """A colour read from the data."""
    return {"field": field, "type": "nominal", "scale": None}


def tip(fields: Mapping[str, str]) -> dict[str, Any]:
    """What the pointer reads: field → its title."""
    return {"tooltip": [{"field": f, "type": "nominal", "title": title} for f, title in fields.items()]}


def inside(field: str = "t", axis: str = "x") -> list[dict[str, str]]:
    """Keeps what lies on the time axis: signs at its ends are shown whole, so they are not clipped."""
    return [{"filter": f"datum.{field} >= {axis}_low && datum.{field} <= {axis}_high"}]


def words(data: dict[str, str], **style: Any) -> dict[str, Any]:
    """A layer of words from rows made by `placed`."""
    return {
        "data": data,
        "mark": {"type": "text", "align": "left", "baseline": "middle", **style},
        "encoding": {
            "x": pixel("px"),
            "y": pixel("py"),
            "text": {"field": "text", "type": "nominal"},
            "color": colour(),
        },
    }


def written(data: dict[str, str], field: str, across: float, **style: Any) -> dict[str, Any]:
    """A layer that writes a field of each row, `across` pixels to the right, at the row's pixel ``word``."""
    mark = {"type": "text", "align": "left", "baseline": "middle", "fontSize": 11, "color": INK, **style}
    text = {"field": field, "type": "nominal"}
    return {
        "data": data,
        "mark": mark,
        "encoding": {"x": {"value": across}, "y": pixel("word"), "text": text},
    }


def stacked(data: dict[str, str], step: int) -> dict[str, Any]:
    """An unseen layer: the panel is as high as its data has rows, whatever the page puts into it."""
    y = {
        "field": "row",
        "type": "nominal",
        "sort": None,
        "axis": None,
        "scale": {"type": "band", "padding": 0},
    }
    mark = {"type": "rule", "opacity": 0}
    return {"data": data, "mark": mark, "encoding": {"y": y}, "height": {"step": step}}


# ---- files


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise MissingExtra("vl-convert-python", "report", "a figure file") from None
    return vl_convert


def svg(figure: Figure, ids: str = "f") -> str:
    """A figure as SVG text, the same text for the same figure.

    Parameters
    ----------
    figure : Figure
    ids : str
        Start of the names inside, so that several figures can stand in one page.

    Raises
    ------
    MissingExtra
        If vl-convert-python is not installed.

    Examples
    --------
    >>> svg(Figure({"data": {"values": [{"a": 1}]}, "mark": "point"}))[:4]
    '<svg'
    """
    text = str(_vl_convert().vegalite_to_svg(figure.still()))
    text = text[text.index("<svg") :]
    # the converter counts its clip paths on from figure to figure
    found = dict.fromkeys(re.findall(r'\bid="([\w-]+)"', text))
    names = {old: f"{ids}-{k}" for k, old in enumerate(found)}

    def renamed(match: re.Match[str]) -> str:
        return match[1] + names.get(match[2], match[2]) + match[3]

    return re.sub(r'(\bid="|url\(#|href="#)([\w-]+)("|\))', renamed, text)


#: what a figure can be written as
SUFFIXES = (".svg", ".png", ".pdf", ".html", ".json")


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as ``.svg``, ``.pdf``, ``.png``, ``.html`` (it works offline) or ``.json`` (its definition).

    The file appears whole or not at all.

    Raises
    ------
    InputError
        If the suffix is another one or the place cannot be written to.
    """
    kind = writable(path)
    if kind == ".svg":
        content = svg(figure).encode()
    elif kind == ".pdf":
        content = _vl_convert().vegalite_to_pdf(figure.still())
    elif kind == ".png":
        content = _vl_convert().vegalite_to_png(figure.still() | {"background": "white"}, scale=2)
    elif kind == ".html":
        content = _vl_convert().vegalite_to_html(figure.to_dict(), bundle=True).encode()
    else:
        content = figure.to_json().encode()
    write_whole(path, content)


def writable(path: str | os.PathLike[str], where: str = "") -> str:
    """The suffix of a place that a figure can be written to.

    Raises
    ------
    InputError
        If it is none of the known ones.

    Examples
    --------
    >>> writable("curves.svg")
    '.svg'
    """
    kind = Path(path).suffix.lower()
    if kind not in SUFFIXES:
        *most, last = SUFFIXES
        known = f"a name ending in {', '.join(most)} or {last}"
        raise InputError(where or str(path), repr(str(path)), known, f"{Path(path).stem or 'figure'}.svg")
    return kind
