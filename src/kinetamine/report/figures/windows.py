"""How long a dose can be detected: probability of a positive over time, computed and observed windows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.report.figures.axes import Clock, thin, time_axis
from kinetamine.report.figures.bands import TYPICAL_NOTE
from kinetamine.report.figures.bars import arrows, bar_place, bars, whisker
from kinetamine.report.figures.looks import Line, Plane, Told, label, pointer, tall
from kinetamine.report.figures.vega import (
    FAINT,
    INK,
    PALETTE,
    Figure,
    Sheet,
    inside,
    layout,
    pixel,
    stacked,
    tip,
    written,
)

if TYPE_CHECKING:
    from kinetamine.safety.detection import Detection, DetectionResult, Fact

__all__ = ["detection"]

#: first number of hours, or two, in a window in words
_HOURS = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))? h")
#: the axis ends where so few are still positive
_RARE = 0.005
_ROW, _NARROW = 30, 46


def detection(
    found: DetectionResult,
    *,
    observed: bool = True,
    width: int = 560,
    height: int = 200,
    labels: str = "end",
) -> Figure:
    """Probability of a positive test over time since the last dose, and the windows below it.

    Parameters
    ----------
    found : DetectionResult
        As `kinetamine.detect` gives it.
    observed : bool
        With the published windows.
    width, height : int
        Of the panel of curves, in pixels.
    labels : str
        ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.detect("50 mg oral", cutoff="100 ng/mL", population=kt.Population(20, seed=1))
    >>> [panel["title"]["text"][0] for panel in detection(found).to_dict()["vconcat"][:2]]
    ['probability of a positive, urine', 'detection windows']
    """
    sheet = Sheet(width, layout(labels))
    known = [d for d in found.detections if d.probability is not None]
    facts = [f for f in found.observed if observed and f.kind == "detection_window" and _hours(f)[1]]
    ends = [_end(d) for d in known] or [_hours(f)[1] for f in facts] or [24.0]
    clock = Clock.over(0.0, 1.1 * max(ends), width)
    people = found.birth.get("population")
    typical = isinstance(people, dict) and people.get("kind") == "patient"
    panels = [_curves(sheet, clock, found, known, height, typical)] if known else []
    panels += _windows(sheet, clock, found, known, facts, typical)
    return sheet.figure(panels)


def _hours(fact: Fact) -> tuple[float, float]:
    """The first window of a text, h; (0, 0) where there is none."""
    match = _HOURS.search(fact.window or "")
    return (float(match[1]), float(match[2] or match[1])) if match else (0.0, 0.0)


def _end(one: Detection) -> float:
    """When hardly anybody is positive any more, h."""
    assert one.probability is not None
    positive = np.flatnonzero(one.probability > _RARE)
    return float(one.after_h[min(int(positive[-1]) + 1, len(one.after_h) - 1)]) if positive.size else 24.0


def _name(one: Detection) -> str:
    return f"{one.analyte} above {one.cut_off:g} ng/mL, {one.method or one.assay}"


def _curves(
    sheet: Sheet, clock: Clock, found: DetectionResult, known: Sequence[Detection], height: int, typical: bool
) -> dict[str, Any]:
    scale = {"domain": [0, 1], "nice": False}
    axis = {"title": None, "domain": False, "ticks": False, "tickCount": 4, "format": "%"}
    x = time_axis(sheet, clock, named=False)
    height = tall(sheet, height, map(_name, known))
    plane = Plane(sheet, x, scale, axis, (clock.start, clock.end), (0.0, 1.0), height)
    layers, said, told = [], [], []
    grid = known[0].after_h
    for k, one in enumerate(known):
        assert one.probability is not None
        ink = PALETTE[k % len(PALETTE)]
        keep = thin(one.probability)
        t = clock(one.after_h[keep])
        # a probability has no band of its own: the spread between people is what makes it
        layers += Line(str(k), ink, one.grade, t, one.probability[keep], typical=typical).layers(plane)
        # named beside where the curve leaves, not at its end, where all are zero
        said.append((_name(one), one.grade, 1 - (k + 0.5) / len(known), ink))
        told.append(Told(_name(one), np.interp(grid, one.after_h, one.probability), None, one.grade))
    layers += label(plane, "names", said)
    layers += pointer(plane, "p", clock(grid), told, ".0%")
    who = TYPICAL_NOTE if typical else "share of people whose sample of that moment is positive"
    title = sheet.title(f"probability of a positive, {found.matrix}", who)
    return {"layer": layers, "width": sheet.width, "height": height, "title": title}


def _windows(
    sheet: Sheet,
    clock: Clock,
    found: DetectionResult,
    known: Sequence[Detection],
    facts: Sequence[Fact],
    typical: bool,
) -> list[dict[str, Any]]:
    row, bar, word = (_ROW, 15, 9) if sheet.beside else (_NARROW, 36, 8)
    drawn: list[dict[str, Any]] = []
    for one in known:
        k = len(drawn)
        low, middle, high = (one.window_h[q] for q in sorted(one.window_h))
        test = f"above {one.cut_off:g} ng/mL, {one.method or one.assay}"
        text = {"name": f"{one.analyte}: {_span(low, middle, high)}", "said": f"{one.grade}, {test}"}
        place = bar_place(k * row + bar, PALETTE[k % len(PALETTE)], one.grade)
        hours = {"from": 0.0, "to": middle, "low": low, "high": high}
        drawn.append({**_at(clock, hours), **place, **text})
    for fact in facts:
        k = len(drawn)
        low, high = _hours(fact)
        place = {"py": k * row + bar, "edge": INK, "grade": "seen"}
        hours = {"from": 0.0, "to": high, "low": low, "high": high}
        about = fact.given or fact.not_compared or "no more is told"
        text = {"name": f"{fact.analyte}: {fact.window}", "said": f"as published, {about}"}
        drawn.append({**_at(clock, hours), **place, **text})
    for k, one_row in enumerate(drawn):
        one_row |= {"row": k, "word": k * row + word}
    data = sheet.data("windows", drawn)
    x = time_axis(sheet, clock, words="time since the end of the last dose")
    read = tip({"name": "window", "said": "of"})
    layers = [stacked(data, row), *bars(data, x, ("from", "to"), typical, read)]
    seen = [{"filter": "datum.grade == 'seen'"}]
    line = {"type": "rule", "clip": True, "color": INK, "strokeWidth": 1.6}
    dot = {"type": "point", "filled": True, "color": INK, "size": 34, "opacity": 1}
    span = {"x": x | {"field": "from"}, "x2": {"field": "to"}, "y": pixel("py"), **read}
    layers.append({"data": data, "transform": seen, "mark": line, "encoding": span})
    for edge in ("low", "high"):
        spot = {"x": x | {"field": edge}, "y": pixel("py"), **read}
        layers.append({"data": data, "transform": [*seen, *inside(edge)], "mark": dot, "encoding": spot})
    computed = [{"filter": "datum.grade != 'seen'"}]
    thin_lines = [] if typical else whisker(data, x, "low", "high", read)
    layers += [layer | {"transform": computed} for layer in thin_lines]
    layers += arrows(sheet, data, "to", "high")
    layers += _said(sheet, data)
    told = [found.answer] if found.answer else []
    if known:
        told.append("bar: half of the people are positive so long")
        told += [] if typical else ["thin line: 5-95 %"]
    if facts:
        told.append("line with dots: as published, not computed")
    told = told or [f"no window was published for {found.matrix}"]
    title = sheet.title("detection windows", sheet.live("windows_read", sheet.folded("; ".join(told))))
    lacking = [d for d in found.detections if d.probability is None]
    said = [f"No data for {_name(d)}: {'; '.join(d.reasons)}" for d in lacking]
    return [{"layer": layers, "width": sheet.width, "title": title}, sheet.notes("no_data", said)]


def _at(clock: Clock, hours: dict[str, float]) -> dict[str, float]:
    return {key: round(float(clock(value)), 4) for key, value in hours.items()}


def _span(low: float, middle: float, high: float) -> str:
    """Hours in words, in days where they are long.

    Examples
    --------
    >>> _span(10, 20, 30), _span(60.0, 96.0, 120.0), _span(7, 7, 7)
    ('20 h (10-30)', '4 d (2.5-5)', '7 h')
    """
    size, unit = (24.0, "d") if middle >= 72 else (1.0, "h")
    low, middle, high = (float(f"{v / size:.2g}") for v in (low, middle, high))
    return f"{middle:g} {unit}" + (f" ({low:g}-{high:g})" if low != high else "")


def _said(sheet: Sheet, data: dict[str, str]) -> list[dict[str, Any]]:
    """The window of each row, and what of."""
    across, limit = (sheet.width + 8, 220) if sheet.beside else (1, sheet.width + 20)
    return [
        written(data, "name", across, fontWeight="bold", limit=limit),
        written(data, "said", across, dy=13, color=FAINT, limit=limit),
    ]
