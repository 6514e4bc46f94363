"""When acute effects are there: one row per effect, alone or below the curves on the same time axis.

A bar runs from the median onset to the median end among those affected, thin lines are 5-95 % of these two times, a
diamond is the median peak. With several doses bars are hollow: they run from the first onset to the last end, and say
nothing about the time between. Grades look as in `looks`: a full bar is fitted, a grey one with a dashed edge
extrapolated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from kinetamine.report.figures.axes import Clock, time_axis
from kinetamine.report.figures.bands import TYPICAL_NOTE, Panels
from kinetamine.report.figures.bars import arrows, bar_place, bars, whisker
from kinetamine.report.figures.looks import follower
from kinetamine.report.figures.strip import administrations, doses_drawn, strip
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
    from kinetamine.effects import AcuteEffect
    from kinetamine.results import Result

__all__ = ["explore", "timeline"]

_COLOUR = PALETTE[2]
_MINUTES = 60.0
_KEYS = ("effect", "threshold", "in", "begins", "peaks", "ends", "lasts", "grade", "models")


def timeline(
    effects: Iterable[AcuteEffect],
    *,
    until_h: float | None = None,
    doses: Iterable[Any] = (),
    typical: bool = False,
    width: int = 560,
    labels: str = "end",
) -> Figure:
    """Onset, peak and end of acute effects.

    Parameters
    ----------
    effects : AcuteEffects
        As `kinetamine.effects` gives them; times count from the first dose.
    until_h : float, optional
        End of the time axis; what goes on beyond it ends in an arrow. Default: a little after the last known end.
    doses : iterable of dose, optional
        Draws the strip of doses above, `Regimen.expanded()`.
    typical : bool
        Whether the effects are those of one typical patient.
    width : int
        Of the panel, in pixels.
    labels : str
        Where effects are named: ``end`` (beside their rows) or ``above`` (for narrow screens).

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.effects("2 mg/kg iv over 1 min", effects="not awake", population=kt.Patient(weight=70))
    >>> timeline(found, typical=True).to_dict()["datasets"]["effects"][0]["effect"]
    'not awake'
    """
    rows, sheet, given = list(effects), Sheet(width, layout(labels)), list(doses)
    starts = _starts(given)
    if until_h is None:
        ends = [e.offset_min or {} for e in rows]
        known = [v for end in ends for v in (end.get("q95"), end.get("q50")) if v is not None]
        until_h = min(starts, default=0.0) + 1.1 * max(known, default=60.0) / _MINUTES
    clock = Clock.over(0.0, until_h, width)
    panels = [strip(sheet, clock, given)] if given else []
    left_out = getattr(effects, "left_out", {})
    panels += _rows(sheet, clock, rows, left_out, starts, typical)
    return sheet.figure(panels)


def explore(
    result: Result,
    effects: Iterable[AcuteEffect] | None,
    *,
    outputs: Iterable[str] | None = None,
    log: bool = False,
    observed: Any = None,
    session_h: float | None = None,
    window: tuple[float, float] | None = None,
    width: int = 560,
    height: int = 200,
    labels: str = "end",
) -> Figure:
    """Doses, concentrations and acute effects on one time axis.

    Parameters
    ----------
    result : Result
    effects : AcuteEffects or None
        Of the same doses, people and end: one that is not over by then is drawn to the end of the axis. None where no
        effect model can answer.
    outputs, log, observed, height
        As `curves` takes them.
    session_h : float, optional
        The effects are those of the first session alone, which is over by then (`kinetamine.effects.first_session`).
    window : (float, float), h, optional
        The part of the time to show.
    width : int
        Of the panels, in pixels.
    labels : str
        ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> r = kt.simulate("noppers_2011_s_ketamine", "20 mg iv over 1 min", kt.Patient(), times=[0, 0.5, 1])
    >>> [panel["title"]["text"][0] for panel in explore(r, None).to_dict()["vconcat"][:3]]
    ['doses', 'arterial plasma, ng/mL', 'acute effects']
    """
    sheet = Sheet(width, layout(labels))
    clock = Clock.of(result.time_h, width) if window is None else Clock.over(*window, width)
    charts = [strip(sheet, clock, result.doses)] if doses_drawn(result) else []
    charts += Panels(sheet, result, clock, height, log).all(outputs, observed, named=False)
    rows = None if effects is None else list(effects)
    left_out = getattr(effects, "left_out", {})
    starts = _starts(result.doses)
    mine = [start for start in starts if session_h is None or start < session_h]
    charts += _rows(sheet, clock, rows, left_out, mine, bool(result.typical), len(mine) < len(starts))
    return sheet.figure(charts)


def _starts(doses: Iterable[Any]) -> list[float]:
    """When doses start, h; the first is the zero of the effects' times."""
    return [row["start"] for row in administrations(doses)]


def _rows(
    sheet: Sheet,
    clock: Clock,
    effects: Sequence[AcuteEffect] | None,
    left_out: Any,
    starts: Sequence[float],
    typical: bool,
    first: bool = False,
) -> list[dict[str, Any]]:
    """The panel of bars, and below it in words what is not drawn; `starts` of the doses, h.

    `first`: the effects are those of the first session alone.
    """
    reached = [e for e in effects or () if e.onset_min]
    name = _names(effects or ())
    row, bar, word = (30, 15, 9) if sheet.beside else (34, 24, 8)
    drawn = []
    for k, one in enumerate(reached):
        place = {"row": k, "word": k * row + word, **bar_place(k * row + bar, _COLOUR, one.grade)}
        drawn.append(_bar(one, name[id(one)], clock, min(starts, default=0.0), typical) | place)
    data = sheet.data("effects", drawn)
    x = time_axis(sheet, clock)
    read = tip({key: key for key in _KEYS})
    # what comes and goes with each dose must not look as if it lasted
    solid = sheet.live("effects_solid", int(len(set(starts)) < 2))["expr"]
    # height follows the number of rows, whatever the page puts into the data
    layers = [stacked(data, row), *bars(data, x, ("onset", "end"), typical, read, solid)]
    for side in () if typical else ("onset", "end"):
        layers += whisker(data, x, f"{side}_low", f"{side}_high", read)
    diamond = {"type": "point", "shape": "diamond", "size": 44, "fill": INK, "stroke": INK, "opacity": 1}
    peak = {"x": x | {"field": "peak"}, "y": pixel("py"), **read}
    layers.append({"data": data, "transform": inside("peak"), "mark": diamond, "encoding": peak})
    layers += arrows(sheet, data, "end", "end_high")
    layers += follower(sheet, x)
    layers += _words(sheet, data)
    if reached:
        told = "first session alone; " * first + _how_to_read(typical, len(set(starts)) > 1, sheet.beside)
    else:
        told = "no effect model can answer" if effects is None else "no effect is reached by anybody"
    title = sheet.title("acute effects", sheet.live("effects_read", sheet.folded(told)))
    panel = {"layer": layers, "width": sheet.width, "title": title}
    return [panel, _missing(sheet, [name[id(e)] for e in effects or () if not e.onset_min], left_out)]


def _how_to_read(typical: bool, several: bool, beside: bool) -> str:
    """What the bars are, below the title."""
    bar = (
        "from the first onset to the last end, in between it may be gone" if several else "from onset to end"
    )
    if typical:
        return f"{TYPICAL_NOTE}; bar: {bar}; diamond: peak"
    share = "" if beside else "; %: people affected"
    return f"bar: {bar}, medians of those affected; thin lines: 5-95 %; diamond: peak{share}"


def _words(sheet: Sheet, data: dict[str, str]) -> list[dict[str, Any]]:
    """Name, share of people and grade of each row."""
    if not sheet.beside:
        return [written(data, "line", 1, fontWeight="bold", limit=sheet.width + 20)]
    right = sheet.width + 8
    return [
        written(data, "effect", right, fontSize=12, fontWeight="bold", limit=230),
        written(data, "said", right, dy=13, color=FAINT, limit=230),
    ]


def _missing(sheet: Sheet, names: Sequence[str], left_out: Any) -> dict[str, Any]:
    """In words: effects that nobody reaches, and how many models have no answer."""
    said = [f"Not reached: {', '.join(dict.fromkeys(names))}."] if names else []
    if left_out:
        some = f"{len(left_out)} other effect model{'s' * (len(left_out) > 1)}"
        said.append(f"No data: {some} cannot answer for this drug, dose, site or age.")
    return sheet.notes("not_drawn", said)


def _names(effects: Iterable[AcuteEffect]) -> dict[int, str]:
    """What each row is called; where several models speak of one effect, by whom."""
    effects = list(effects)
    often = Counter(e.effect for e in effects)
    found = {}
    for one in effects:
        same = [e for e in effects if e.effect == one.effect]
        source = one.module if len({e.module for e in same}) > 1 else one.model
        by = " ".join(source.split("_")[:2]).capitalize()
        found[id(one)] = f"{one.effect} ({by})" if often[one.effect] > 1 else one.effect
    return found


def _bar(one: AcuteEffect, name: str, clock: Clock, first: float, typical: bool) -> dict[str, Any]:
    """One effect as a row: places in the unit of the axis, and what it says."""
    onset, peak, end = one.onset_min or {}, one.peak_min or {}, one.offset_min or {}

    # an end that is not known lies beyond the axis
    far = round(clock.end + 9 * (clock.end - clock.start), 5)

    def at(minutes: float | None) -> float:
        return far if minutes is None else round(float(clock(first + minutes / _MINUTES)), 5)

    share = "<1 %" if 0 < one.affected < 0.005 else f"{100 * one.affected:.0f} %"
    grade = one.grade if one.varies else f"{one.grade}, {one.spread}"
    said = grade if typical else f"{share} of people, {grade}"
    peak_at = peak.get("q50")
    return {
        "onset": at(onset.get("q50")),
        "onset_low": at(onset.get("q05")),
        "onset_high": at(onset.get("q95")),
        "end": at(end.get("q50")),
        "end_low": at(end.get("q05")),
        "end_high": at(end.get("q95")),
        "peak": None if peak_at is None else at(peak_at),
        "effect": name,
        "said": said,
        "line": f"{name}: {grade if typical else f'{share}, {grade}'}",
        "threshold": one.threshold,
        "in": "the typical patient" if typical else f"{share} of people",
        "begins": _span(onset),
        "peaks": _span(peak),
        "ends": _span(end),
        "lasts": _span(one.duration_min or {}),
        "models": f"{one.module} on {one.model}",
    }


def _span(times: Any) -> str:
    """Minutes as median and 5-95 %, in words.

    Examples
    --------
    >>> _span({"q05": 4.0, "q50": 12.0, "q95": 150.0}), _span({"q05": 300.0, "q50": None, "q95": None})
    ('12 min (4 min-2.5 h)', 'not over by the end')
    """

    def told(minutes: float | None) -> str:
        if minutes is None:
            return "not over by the end"
        return f"{minutes:.3g} min" if minutes < 120 else f"{minutes / _MINUTES:.3g} h"

    low, middle, high = (told(times.get(q)) for q in ("q05", "q50", "q95"))
    return middle if low == high or times.get("q50") is None else f"{middle} ({low}-{high})"
