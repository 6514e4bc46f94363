"""Forest plot of interactions: ratios of exposure with another drug or disease over exposure without."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kinetamine.errors import InputError, UnknownName
from kinetamine.report.figures.axes import log_ticks
from kinetamine.report.figures.bars import whisker
from kinetamine.report.figures.vega import (
    INK,
    PALETTE,
    SHADE,
    Figure,
    Sheet,
    layout,
    pixel,
    stacked,
    tip,
    written,
)
from kinetamine.results import show

if TYPE_CHECKING:
    from kinetamine.evidence.interactions.compare import Agreement

__all__ = ["Ratio", "forest"]

#: what a simulated ratio is → its mark: colour, shape, whether filled, in words
_KINDS = {
    "fitted": (PALETTE[0], "diamond", True, "fitted"),
    "predicted": (PALETTE[1], "triangle-up", False, "predicted, nothing fitted to it"),
    "extrapolated": (SHADE, "square", False, "extrapolated, no data behind it"),
}
_USES = {"fit": "fitted", "held out": "predicted"}


@dataclass(frozen=True)
class Ratio:
    """One row: what was observed and what is simulated, each as value, low, high; None where there is none.

    `kind` says what the simulated ratio is: ``fitted``, ``predicted`` or ``extrapolated``.
    """

    group: str
    label: str
    observed: tuple[float, float | None, float | None] | None = None
    simulated: tuple[float, float | None, float | None] | None = None
    kind: str = "predicted"
    note: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UnknownName("kind", self.kind, _KINDS, "what a simulated ratio is")


def forest(
    rows: Iterable[Agreement | Ratio | Mapping[str, Any]], *, width: int = 380, labels: str = "end"
) -> Figure:
    """Ratios on a logarithmic axis, one row each, observed and simulated side by side.

    Parameters
    ----------
    rows : iterable of Agreement, Ratio or dict
        `kinetamine.evidence.interactions.run().comparisons`, or rows with the fields of `Ratio`.
    width : int
        Of the panel, in pixels.
    labels : str
        Where rows are named: ``end`` (beside) or ``above`` (for narrow screens).

    Returns
    -------
    Figure

    Examples
    --------
    >>> figure = forest([Ratio("rifampicin", "oral AUC", (0.14, None, None), (0.16, 0.1, 0.2), "fitted")])
    >>> figure.to_dict()["datasets"]["ratios"][0]["said"]
    'observed 0.140, simulated 0.160 (0.100-0.200)'
    """
    found = [_ratio(row) for row in rows]
    groups = list(dict.fromkeys(one.group for one in found))
    found.sort(key=lambda one: groups.index(one.group))
    if not found:
        raise InputError("figure", "no ratios", "at least one ratio")
    sheet = Sheet(width, layout(labels))
    row, bar = (21, 10) if sheet.beside else (32, 22)
    drawn = []
    for k, one in enumerate(found):
        middle, first = k * row + bar, not k or found[k - 1].group != one.group
        # one above the other, so that equal ones are both seen
        place = {"row": k, "py": middle - 4, "made_py": middle + 4}
        place["word"] = middle if sheet.beside else k * row + 8
        drawn.append({**place, **_told(one), "group": one.group if first else ""})
    keys = [f"{name}{end}" for name in ("seen", "made") for end in ("", "_low", "_high")]
    values = [1.0, *(one[key] for one in drawn for key in keys if one[key] is not None)]
    data = sheet.data("ratios", drawn)
    low, high = min(values) / 1.15, max(values) * 1.15
    scale = {"type": "log", "domain": sheet.domain("ratio", low, high), "nice": False}
    ticks = sheet.live("ratio_ticks", log_ticks(low, high))
    title = "exposure with, over exposure without (ratio)"
    axis = {"values": ticks, "grid": True, "title": title, "format": "~r"}
    x = {"type": "quantitative", "scale": scale, "axis": axis}
    panel = {"layer": _layers(sheet, data, x, row), "width": width}
    return sheet.figure([panel | {"title": _title(sheet, found)}])


def _ratio(row: Agreement | Ratio | Mapping[str, Any]) -> Ratio:
    if isinstance(row, Ratio):
        return row
    if isinstance(row, Mapping):
        return Ratio(**row)
    from kinetamine.safety import perturbations

    one = row.row
    name = perturbations.load().perturbations[row.id].name
    observed = (float(one.ratio or math.nan), one.low, one.high)
    seen = "" if one.seen == "text" else f"{one.seen}, "
    people = f"{one.n} people, " if one.n else ""
    note = f"{people}{seen}{one.source}"
    return Ratio(
        name, f"{one.route} {one.measure}", observed, (row.predicted, None, None), _USES[one.use], note
    )


def _told(one: Ratio) -> dict[str, Any]:
    """Numbers and words of a row."""
    both = {"observed": one.observed, "simulated": one.simulated}
    row: dict[str, Any] = {"kind": one.kind, "label": one.label, "line": f"{one.group}: {one.label}"}
    row |= {"meaning": _KINDS[one.kind][3], "note": one.note}
    row["said"] = ", ".join(f"{name} {_span(ends)}" for name, ends in both.items() if ends)
    for name, ends in zip(("seen", "made"), both.values(), strict=True):
        value, low, high = ends or (None, None, None)
        row |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return row


def _span(ends: tuple[float, float | None, float | None]) -> str:
    value, low, high = ends
    return show.number(value) if low is None or high is None else show.span(low, value, high)


def _layers(sheet: Sheet, data: dict[str, str], x: dict[str, Any], row: int) -> list[dict[str, Any]]:
    read = tip({"line": "ratio of", "said": "values", "meaning": "simulated", "note": "observed in"})
    no_change = sheet.data("no_change", [{"at": 1}])
    line = {"type": "rule", "color": INK, "strokeWidth": 1}
    one = {"data": no_change, "mark": line, "encoding": {"x": x | {"field": "at"}}}
    layers: list[dict[str, Any]] = [stacked(data, row), one]
    for part in whisker(data, x, "seen_low", "seen_high", read):
        known = [{"filter": "isValid(datum.seen_low) && isValid(datum.seen_high)"}]
        layers.append(part | {"transform": known})
    dot = {"type": "point", "shape": "circle", "filled": True, "color": INK, "size": 40, "opacity": 1}
    seen = {"x": x | {"field": "seen"}, "y": pixel("py"), **read}
    layers.append({"data": data, "transform": [_valid("seen")], "mark": dot, "encoding": seen})
    for kind, (ink, shape, filled, _) in _KINDS.items():
        chosen = [{"filter": f"datum.kind == '{kind}'"}]
        line = {"type": "rule", "color": ink, "strokeWidth": 1.6}
        span = {"x": x | {"field": "made_low"}, "x2": {"field": "made_high"}, "y": pixel("made_py"), **read}
        known = [*chosen, _valid("made_low"), _valid("made_high")]
        layers.append({"data": data, "transform": known, "mark": line, "encoding": span})
        mark = {"type": "point", "shape": shape, "size": 44, "stroke": ink, "strokeWidth": 1.6, "opacity": 1}
        mark["fill"] = ink if filled else "transparent"
        spot = {"x": x | {"field": "made"}, "y": pixel("made_py"), **read}
        layers.append({"data": data, "transform": [*chosen, _valid("made")], "mark": mark, "encoding": spot})
    return layers + _words(sheet, data)


def _valid(field: str) -> dict[str, str]:
    return {"filter": f"isValid(datum.{field})"}


def _words(sheet: Sheet, data: dict[str, str]) -> list[dict[str, Any]]:
    if not sheet.beside:
        return [written(data, "line", 1, fontWeight="bold", limit=sheet.width + 20)]
    right = sheet.width + 10
    return [
        written(data, "group", right, fontWeight="bold", limit=170),
        written(data, "label", right + 174, limit=110),
    ]


def _title(sheet: Sheet, found: list[Ratio]) -> dict[str, Any]:
    shapes = {"fitted": "diamond", "predicted": "triangle", "extrapolated": "square"}
    told = [f"{shapes[k]}: simulated, {_KINDS[k][3]}" for k in _KINDS if any(r.kind == k for r in found)]
    if any(r.observed for r in found):
        told.insert(0, "circle: observed, with its interval where one was published")
    return sheet.title("interactions", sheet.live("ratios_read", sheet.folded("; ".join(told))))
