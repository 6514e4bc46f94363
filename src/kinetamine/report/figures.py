"""One definition of each figure, as Vega-Lite: the page, the report and vector files draw from it.

What a line looks like says how far to trust it, and the label says it in words:

================== ======================================= ===================================
grade              population                              typical patient
================== ======================================= ===================================
observed           solid line with dots, coloured band     long dashes with dots
fitted             solid line, coloured band               long dashes
extrapolated       dashed line, grey hatched band          short dashes on a grey shadow
================== ======================================= ===================================

A typical patient's line is always broken, because the spread between people is not in it.
"""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError, MissingExtra
from kinetamine.results import Output, Result, TableResult, show
from kinetamine.results.export import write_whole

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "DARK",
    "PALETTE",
    "TYPICAL_NOTE",
    "administrations",
    "curves",
    "doses_drawn",
    "save",
    "svg",
    "thin",
]

#: Okabe and Ito's colours, told apart with every common colour vision; black and yellow left out
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")

INK, FAINT, GRID, SHADE = "#222222", "#5f5f5f", "#e3e3e3", "#8a8a8a"

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
}

TYPICAL_NOTE = "typical patient: no variability drawn"

#: time points a curve is thinned to
MOST_POINTS = 500
#: populations smaller than this are drawn one by one: quantiles of so few say nothing
FEW = 10
#: curves of an event table drawn at most
MOST_SUBJECTS = 200
#: outputs in one panel at most
PER_PANEL = 3

_BANDS = ((0.05, 0.95), (0.25, 0.75))
_DASHES = {
    (False, "fitted"): None,
    (False, "observed"): None,
    (False, "extrapolated"): [6, 3],
    (True, "fitted"): [10, 4],
    (True, "observed"): [10, 4],
    (True, "extrapolated"): [3, 3],
}
_TIMES = (
    (2.0, "min", 1 / 60, (5, 10, 15, 20, 30)),
    (96.0, "h", 1.0, (0.5, 1, 2, 3, 4, 6, 8, 12, 24)),
    (math.inf, "d", 24.0, (1, 2, 7, 14, 28, 56, 91, 182, 364, 728)),
)


def _altair() -> Any:
    try:
        import altair
    except ImportError:
        raise MissingExtra("altair", "report", "a figure") from None
    return altair


def _vl_convert() -> Any:
    try:
        import vl_convert
    except ImportError:
        raise MissingExtra("vl-convert-python", "report", "a figure file") from None
    return vl_convert


# ---- what is drawn, before any drawing


def thin(*shapes: np.ndarray[Any, Any], most: int = MOST_POINTS) -> np.ndarray[Any, Any]:
    """Places to keep so that no peak and no trough of the curves is lost.

    Parameters
    ----------
    *shapes : array (time,)
        Curves on one time grid.
    most : int
        How many places to keep at most, about.

    Returns
    -------
    array of int
        Ascending, with the first and the last place.

    Examples
    --------
    >>> spike = np.zeros(10_000); spike[4321] = 1.0
    >>> kept = thin(spike)
    >>> len(kept) <= 500, 4321 in kept
    (True, True)
    """
    n = len(shapes[0])
    if n <= most:
        return np.arange(n)
    blocks = np.array_split(np.arange(n), max(1, (most - 2) // (2 * len(shapes))))
    kept = {0, n - 1}
    for shape in shapes:
        filled = np.nan_to_num(np.asarray(shape, dtype=np.float64), nan=0.0)
        for block in blocks:
            kept.add(int(block[np.argmax(filled[block])]))
            kept.add(int(block[np.argmin(filled[block])]))
    return np.array(sorted(kept))


@dataclass
class _Trace:
    """An output as it is drawn: lines (with a key each) and, in a population, bands."""

    output: Output
    colour: str
    lines: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = field(default_factory=list)
    bands: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]] = field(
        default_factory=list
    )
    faint: bool = False

    def values(self) -> np.ndarray[Any, Any]:
        arrays = [y for _, y in self.lines] + [edge for _, low, high in self.bands for edge in (low, high)]
        flat = np.concatenate([np.asarray(a, dtype=np.float64) for a in arrays]) if arrays else np.empty(0)
        return flat[np.isfinite(flat)]


def _trace(result: Result | TableResult, output: Output, colour: str) -> _Trace:
    trace = _Trace(output, colour)
    if isinstance(result, TableResult):
        assert output.values is not None
        trace.faint = result.n > FEW
        for subject in _chosen(result.n):
            rows = np.flatnonzero(result.subject == subject)
            rows = rows[np.argsort(result.time_h[rows], kind="stable")]
            keep = (
                rows[thin(output.values[rows], most=60 if trace.faint else MOST_POINTS)]
                if len(rows)
                else rows
            )
            trace.lines.append((result.time_h[keep], output.values[keep]))
        return trace
    if output.values is not None and (result.typical or result.n < FEW):
        for values in output.values[result.ok]:
            keep = thin(values)
            trace.lines.append((result.time_h[keep], values[keep]))
        return trace
    kept = {round(q, 12) for q in output.quantiles} if output.values is None else None
    known = [pair for pair in _BANDS if kept is None or set(pair) <= kept]
    if not known and kept and len(kept) > 1:
        known = [(min(kept), max(kept))]
    middle = 0.5 if kept is None or 0.5 in kept else sorted(kept)[len(kept) // 2]
    edges = result.quantiles(output.name, sorted({middle, *(q for pair in known for q in pair)}))
    keep = thin(edges[middle], edges[max(edges)])
    trace.lines.append((result.time_h[keep], edges[middle][keep]))
    trace.bands = [(result.time_h[keep], edges[a][keep], edges[b][keep]) for a, b in known]
    return trace


def _chosen(n: int) -> Sequence[int]:
    """Subjects drawn: all, or evenly spread ones."""
    if n <= MOST_SUBJECTS:
        return range(n)
    return np.linspace(0, n - 1, MOST_SUBJECTS).astype(int).tolist()


def _who(result: Result | TableResult, trace: _Trace) -> str:
    """Under the title of a panel: whose curves these are, and what the bands mean."""
    if result.typical:
        return TYPICAL_NOTE
    if isinstance(result, TableResult):
        drawn = len(trace.lines)
        more = f"{drawn} of {result.n:,} subjects drawn" if drawn < result.n else "each subject of the table"
        return f"{more}; points at its records"
    if not trace.bands:
        return f"each of {len(trace.lines)} patients"
    if result.streamed:
        pairs = [p for p in _BANDS if all(any(abs(q - k) < 1e-9 for k in trace.output.quantiles) for q in p)]
        if not pairs:
            kept = sorted(trace.output.quantiles)
            pairs = [(kept[0], kept[-1])]
    else:
        pairs = list(_BANDS)
    words = " and ".join(f"{100 * a:g}-{100 * b:g} %" for a, b in pairs)
    return f"median of {int(result.ok.sum()):,} patients; band{'s' * (len(pairs) > 1)}: {words}"


def _panels(result: Result | TableResult, names: Sequence[str]) -> list[list[str]]:
    """Outputs that share a panel: concentrations of one unit and site; anything else stands alone."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        output = result.output(name)
        alone = "/" not in output.unit
        groups.setdefault((name,) if alone else (output.unit, output.site), []).append(name)
    return [g[i : i + PER_PANEL] for g in groups.values() for i in range(0, len(g), PER_PANEL)]


@dataclass(frozen=True)
class _Clock:
    """The time axis: its unit, its ends in that unit and where its ticks stand."""

    unit: str
    per_unit_h: float
    start: float
    end: float
    ticks: tuple[float, ...]

    @classmethod
    def of(cls, time_h: np.ndarray[Any, Any], width: int) -> _Clock:
        low, high = (float(time_h.min()), float(time_h.max())) if len(time_h) else (0.0, 1.0)
        low = min(low, 0.0) if low < 0.2 * high else low
        if high <= low:
            high = low + 1.0
        _, unit, size, steps = next(row for row in _TIMES if high <= row[0])
        start, end = low / size, high / size
        step = next((s for s in steps if (end - start) / s <= width / 52), steps[-1])
        first = math.ceil(start / step - 1e-9)
        ticks = tuple(round(k * step, 9) for k in range(first, math.floor(end / step + 1e-9) + 1))
        return cls(unit, size, start, end, ticks)

    def __call__(self, time_h: Any) -> Any:
        return np.asarray(time_h, dtype=np.float64) / self.per_unit_h


# ---- drawing


@dataclass
class _Sheet:
    """What every part of one figure shares."""

    alt: Any
    result: Result | TableResult
    clock: _Clock
    width: int
    height: int
    log: bool
    beside: bool  # names beside the ends of curves, or above the panel
    data: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def chart(self, rows: list[dict[str, Any]]) -> Any:
        """A chart on rows kept once, at the top of the definition: altair copies what is inside charts."""
        name = f"d{len(self.data)}"
        self.data[name] = rows
        return self.alt.Chart(self.alt.NamedData(name=name))

    def x(self, **axis: Any) -> Any:
        domain = [self.clock.start, self.clock.end]
        scale = self.alt.Scale(domain=domain, nice=False, zero=False)
        return self.alt.X("t:Q", scale=scale, axis=self.alt.Axis(values=list(self.clock.ticks), **axis))

    def text(self, lines: list[str], across: float, down: float, **style: Any) -> Any:
        """Words at a place of the panel given in pixels."""
        alt = self.alt
        words = self.chart([{"text": lines}]).encode(x=alt.value(across), y=alt.value(down), text="text:N")
        return words.mark_text(align="left", **style)


def curves(
    result: Result | TableResult,
    outputs: Iterable[str] | None = None,
    *,
    log: bool = False,
    observed: Any = None,
    width: int = 560,
    height: int = 220,
    labels: str = "end",
) -> alt.VConcatChart:
    """The regimen and, on the same time axis, what comes out.

    Parameters
    ----------
    result : Result or TableResult
    outputs : iterable of str, optional
        All when not given.
    log : bool
        Logarithmic value axes.
    observed : frame or list of dict, optional
        Measured points: ``time_h``, ``output``, ``value`` (in the output's unit).
    width, height : int
        Of one panel, in pixels.
    labels : str
        Where curves are named: ``end`` (beside their ends) or ``above`` (for narrow screens).

    Returns
    -------
    altair.VConcatChart
        `to_dict()` gives the Vega-Lite definition.

    Raises
    ------
    UnknownName
        If an output does not exist.
    MissingExtra
        If altair is not installed.

    Examples
    --------
    >>> t = np.arange(0.0, 5.0)
    >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.exp(-t)[None, :])
    >>> curves(Result(t, {"C": out}, typical=True)).to_dict()["vconcat"][0]["title"]["text"]
    ['plasma, ng/mL']
    """
    alt = _altair()
    names = list(result.outputs) if outputs is None else list(outputs)
    if not names:
        raise InputError("figure", "no outputs", "at least one output", "outputs=[...]")
    if labels not in ("end", "above"):
        raise InputError("labels", repr(labels), "'end' or 'above'", "labels='end'")
    points = _points(observed, result, names)
    sheet = _Sheet(alt, result, _Clock.of(result.time_h, width), width, height, log, labels == "end")
    colour = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    panels = _panels(result, names)
    charts = [_regimen(sheet)] if _visible_doses(result, sheet.clock, width) else []
    for i, group in enumerate(panels):
        traces = [_trace(result, result.output(name), colour[name]) for name in group]
        here = [p for p in points if p["output"] in group]
        charts.append(_panel(sheet, traces, here, last=i == len(panels) - 1))
    figure = alt.vconcat(*charts, spacing=14).resolve_scale(x="independent", y="independent")
    # the reader's font may be wider than the one that words are measured with here
    edge = {"left": 4, "top": 4, "bottom": 4, "right": 22}
    figure = (
        figure.properties(padding=edge, background="transparent", autosize=alt.AutoSizeParams(type="pad"))
        .configure(font="sans-serif", aria=False)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=FAINT,
            titleColor=INK,
            gridColor=GRID,
            tickColor=GRID,
            domainColor=FAINT,
            labelFontSize=11,
            titleFontSize=11.5,
            titleFontWeight="normal",
            gridWidth=1,
        )
        .configure_title(
            anchor="start",
            color=INK,
            fontSize=12.5,
            fontWeight="bold",
            subtitleColor=FAINT,
            subtitleFontSize=11.5,
            offset=8,
            frame="group",
        )
    )
    figure.datasets = sheet.data
    return figure


def _points(observed: Any, result: Result | TableResult, names: Sequence[str]) -> list[dict[str, Any]]:
    """Observed points as plain rows; points of outputs not drawn are left out."""
    if observed is None:
        return []
    rows = observed.iter_rows(named=True) if hasattr(observed, "iter_rows") else observed
    points = []
    for row in rows:
        if not isinstance(row, Mapping) or not {"time_h", "output", "value"} <= set(row):
            raise InputError("observed", str(row)[:60], "rows with time_h, output and value", '"time_h": 1.0')
        result.output(row["output"])
        value = row["value"]
        if row["output"] in names and value is not None and math.isfinite(value):
            points.append({"t": float(row["time_h"]), "y": float(value), "output": row["output"]})
    return points


def _domain(traces: Sequence[_Trace], points: Sequence[Mapping[str, Any]], log: bool) -> tuple[float, float]:
    """Lowest and highest value of a panel."""
    values = np.concatenate([t.values() for t in traces] + [np.array([p["y"] for p in points])])
    if log:
        values = values[values > 0]
        if not values.size:
            return 0.1, 1.0
        high = float(values.max())
        least = max(float(values.min()), high / 1e4)
        decade = 10.0 ** math.floor(math.log10(least))
        return decade * max(k for k in (1, 2, 5) if k * decade <= least * (1 + 1e-9)), high * 1.3
    if not values.size:
        return 0.0, 1.0
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if high == low:
        high = low + 1.0
    return low * 1.06, high + 0.06 * (high - low)


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 between them when there are few.

    Examples
    --------
    >>> _log_ticks(0.5, 30)
    [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
    """
    steps = (1,) if high / low > 300 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{k}e{d}") for d in decades for k in steps]
    return [t for t in ticks if low * (1 - 1e-9) <= t <= high]


def _panel(sheet: _Sheet, traces: Sequence[_Trace], points: Sequence[dict[str, Any]], last: bool) -> Any:
    alt, clock, log = sheet.alt, sheet.clock, sheet.log
    low, high = _domain(traces, points, log)
    x = sheet.x(grid=True, title=f"time, {clock.unit}" if last else None)
    y_scale = alt.Scale(domain=[low, high], nice=False, zero=False, type="log" if log else "linear")
    ticks = {"values": _log_ticks(low, high)} if log else {"tickCount": max(2, sheet.height // 45)}
    y_axis = alt.Axis(title=None, domain=False, ticks=False, **ticks)

    def y(name: str) -> Any:
        return alt.Y(f"{name}:Q", scale=y_scale, axis=y_axis)

    def floor(values: Any) -> Any:
        # a logarithmic axis has no place for zero: such points go to its foot
        return np.maximum(values, low) if log else values

    layers = []
    for trace in traces:
        grade = trace.output.grade
        guess = grade == "extrapolated"
        fill = SHADE if guess else trace.colour
        for t, bottom, top in trace.bands:
            band = sheet.chart(_rows(t=clock(t), low=floor(bottom), high=floor(top)))
            layers.append(
                band.encode(x=x, y=y("low"), y2="high:Q").mark_area(clip=True, color=fill, opacity=0.2)
            )
        if guess and trace.bands:
            # thin strokes across the outer band, one every seven pixels
            t, bottom, top = trace.bands[0]
            at = np.linspace(clock.start, clock.end, max(2, sheet.width // 7))
            inside = (at >= clock(t[0])) & (at <= clock(t[-1]))
            # between two points the band's edge is straight on the axis drawn
            to, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
            edges = [back(np.interp(at[inside], clock(t), to(floor(edge)))) for edge in (bottom, top)]
            strokes = sheet.chart(_rows(t=at[inside], low=edges[0], high=edges[1]))
            strokes = strokes.encode(x=x, y=y("low"), y2="high:Q")
            layers.append(strokes.mark_rule(clip=True, color=trace.colour, strokeWidth=0.8, opacity=0.55))
        dash = _DASHES.get((bool(sheet.result.typical), grade))
        style: dict[str, Any] = {"strokeDash": dash} if dash else {}
        rows = []
        for key, (t, values) in enumerate(trace.lines):
            rows += [r | {"k": key} for r in _rows(t=clock(t), y=floor(values))]
        lines = sheet.chart(rows).encode(x=x, y=y("y"), detail="k:N")
        if guess and not trace.bands:
            layers.append(lines.mark_line(clip=True, color=SHADE, opacity=0.3, strokeWidth=7))
        weight = 0.8 if trace.faint else 1.2 if len(trace.lines) > 1 else 2.2
        opacity = 0.45 if trace.faint else 1.0
        layers.append(
            lines.mark_line(clip=True, color=trace.colour, strokeWidth=weight, opacity=opacity, **style)
        )
        if isinstance(sheet.result, TableResult) and len(rows) <= 400:
            layers.append(lines.mark_point(clip=True, color=trace.colour, filled=True, size=14, opacity=1))
        elif grade == "observed":
            dots = sheet.chart(rows[:: max(1, len(rows) // 16)]).encode(x=x, y=y("y"))
            layers.append(dots.mark_point(clip=True, color=trace.colour, filled=True, size=26, opacity=1))
    for trace in traces:
        mine = [{"t": float(clock(p["t"])), "y": p["y"]} for p in points if p["output"] == trace.output.name]
        if mine:
            marks = sheet.chart(mine).encode(x=x, y=y("y"))
            layers.append(
                marks.mark_point(clip=True, color=INK, fill=trace.colour, size=38, strokeWidth=1, opacity=1)
            )
    layers += _names(sheet, traces, (low, high))
    one = traces[0].output
    subject = (one.site or "concentration") if "/" in one.unit else one.name
    who = _who(sheet.result, traces[0]) + ("; circles: observed" if points else "")
    who += "; logarithmic axis" if log else ""
    room = sheet.width + (120 if sheet.beside else 0)
    heading = alt.TitleParams(text=[f"{subject}, {show.unit(one.unit)}"], subtitle=_folded(who, room))
    return alt.layer(*layers).properties(width=sheet.width, height=sheet.height, title=heading)


def _rows(**columns: Any) -> list[dict[str, Any]]:
    """Columns as rows, six digits, only where every number is finite."""
    matrix = np.column_stack([np.asarray(c, dtype=np.float64) for c in columns.values()])
    matrix = matrix[np.isfinite(matrix).all(axis=1)]
    return [{k: float(f"{v:.6g}") for k, v in zip(columns, row, strict=True)} for row in matrix.tolist()]


def _folded(text: str, width: int) -> list[str]:
    """Text broken at spaces to fit a width in pixels.

    Examples
    --------
    >>> _folded("typical patient: no variability drawn", 150)
    ['typical patient: no', 'variability drawn']
    """
    return textwrap.wrap(text, max(20, int(width / 6.6)), break_long_words=False) or [""]


def _names(sheet: _Sheet, traces: Sequence[_Trace], domain: tuple[float, float]) -> list[Any]:
    """Name and grade of each curve, beside its end, kept apart when ends meet."""
    style = {"fontSize": 12, "fontWeight": "bold", "lineHeight": 13, "baseline": "middle"}
    if not sheet.beside:
        return [
            sheet.text(
                [f"{t.output.name}, {t.output.grade}"],
                0,
                -10 - 15 * (len(traces) - 1 - i),
                color=t.colour,
                limit=sheet.width,
                **style,
            )
            for i, t in enumerate(traces)
        ]
    places = _apart([_end(t, domain, sheet) for t in traces], 28, sheet.height)
    return [
        sheet.text(
            [t.output.name, t.output.grade],
            sheet.width,
            place,
            color=t.colour,
            dx=8,
            dy=-6,
            limit=150,
            **style,
        )
        for t, place in zip(traces, places, strict=True)
    ]


def _end(trace: _Trace, domain: tuple[float, float], sheet: _Sheet) -> float:
    """How far down the panel a curve ends."""
    ends = [values[np.isfinite(values)][-1] for _, values in trace.lines if np.isfinite(values).any()]
    value = float(np.median(ends)) if ends else 0.0
    low, high = domain
    if sheet.log:
        value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
    return sheet.height * (1 - (value - low) / (high - low))


def _apart(places: Sequence[float], gap: float, height: float) -> list[float]:
    """Middles of labels moved as little as needed to be `gap` apart and inside the panel.

    Examples
    --------
    >>> _apart([200.0, 199.0], 30, 200)
    [185.0, 155.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    moved = list(places)
    top = -gap / 2
    for i in order:
        moved[i] = max(moved[i], top + gap)
        top = moved[i]
    foot = height + gap / 2
    for i in reversed(order):
        moved[i] = min(moved[i], foot - gap)
        foot = moved[i]
    return moved


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
    >>> doses_drawn(Result(np.array([0.0, 1.0]), {}))
    False
    """
    return bool(_visible_doses(result, _Clock.of(result.time_h, 560), 560))


def _visible_doses(result: Result | TableResult, clock: _Clock, width: int) -> list[dict[str, Any]]:
    """Doses inside the time axis, in its unit."""
    least = 2 * (clock.end - clock.start) / width
    seen = []
    for row in administrations(result.doses):
        start, end = float(clock(row["start"])), float(clock(row["end"]))
        if start <= clock.end and end >= clock.start:
            # at least two pixels wide, or a bolus would not be seen
            end = min(max(end, start + least), clock.end)
            seen.append(row | {"t": max(clock.start, min(start, end - least)), "end": end})
    return seen


def _regimen(sheet: _Sheet) -> Any:
    """The strip of doses: one row per route, a block as long as the infusion."""
    alt, row = sheet.alt, 24
    seen = _visible_doses(sheet.result, sheet.clock, sheet.width)
    routes = list(dict.fromkeys(r["route"] for r in seen))
    marks, words = [], []
    for i, route in enumerate(routes):
        mine = [r for r in seen if r["route"] == route]
        amounts = list(dict.fromkeys(r["amount"] for r in mine))
        times = f" × {len(mine)}" if len(mine) > 1 else ""
        words.append(f"{amounts[0]}{times}" if len(amounts) == 1 else f"{len(mine)} doses")
        blocks = dict.fromkeys((r["t"], r["end"]) for r in mine)
        marks += [{"t": t, "end": end, "top": i * row + 5, "foot": (i + 1) * row - 5} for t, end in blocks]
    height = row * len(routes)
    scale = alt.Scale(domain=[0, height], range=[0, height], nice=False)
    blank = alt.Axis(title=None, labels=False, ticks=False, grid=False, domain=False)
    chart = sheet.chart(marks).encode(
        x=sheet.x(labels=False, ticks=False, title=None),
        x2="end:Q",
        y=alt.Y("top:Q", scale=scale, axis=blank),
        y2="foot:Q",
    )
    layers = [chart.mark_rect(color=INK, clip=True)]
    heading = alt.TitleParams(text=["doses"], offset=4)
    if sheet.beside:
        style = {
            "dx": 8,
            "dy": -6,
            "color": INK,
            "fontSize": 11,
            "lineHeight": 12,
            "limit": 150,
            "baseline": "middle",
        }
        for i, (route, text) in enumerate(zip(routes, words, strict=True)):
            layers.append(sheet.text([route, text], sheet.width, i * row + row / 2, **style))
    else:
        line = "; ".join(f"{route}: {text}" for route, text in zip(routes, words, strict=True))
        heading = alt.TitleParams(text=["doses"], subtitle=_folded(line, sheet.width), offset=4)
    return alt.layer(*layers).properties(width=sheet.width, height=height, title=heading)


# ---- files


def svg(figure: Any, ids: str = "f") -> str:
    """A figure as SVG text, the same text for the same figure.

    Parameters
    ----------
    figure : altair chart
    ids : str
        Start of the names inside, so that several figures can stand in one page.

    Raises
    ------
    MissingExtra
        If vl-convert-python is not installed.

    Examples
    --------
    >>> t = np.arange(0.0, 5.0)
    >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.exp(-t)[None, :])
    >>> svg(curves(Result(t, {"C": out}, typical=True)))[:4]
    '<svg'
    """
    text = str(_vl_convert().vegalite_to_svg(figure.to_dict(validate=False)))
    text = text[text.index("<svg") :]
    # the converter counts its clip paths on from figure to figure
    found = dict.fromkeys(re.findall(r'\bid="([\w-]+)"', text))
    names = {old: f"{ids}-{k}" for k, old in enumerate(found)}

    def renamed(match: re.Match[str]) -> str:
        return match[1] + names.get(match[2], match[2]) + match[3]

    return re.sub(r'(\bid="|url\(#|href="#)([\w-]+)("|\))', renamed, text)


def save(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write a figure as ``.svg``, ``.pdf``, ``.png`` or ``.json`` (its definition), whole or not at all.

    Raises
    ------
    InputError
        If the suffix is another one or the place cannot be written to.
    """
    convert = _vl_convert()
    kind = Path(path).suffix.lower()
    definition = figure.to_dict(validate=False)
    if kind == ".svg":
        content = svg(figure).encode()
    elif kind == ".pdf":
        content = convert.vegalite_to_pdf(definition)
    elif kind == ".png":
        content = convert.vegalite_to_png(definition | {"background": "white"}, scale=2)
    elif kind == ".json":
        content = figure.to_json().encode()
    else:
        raise InputError(str(path), repr(kind), "a name ending in .svg, .pdf, .png or .json", "figure.svg")
    write_whole(path, lambda place: Path(place).write_bytes(content))
