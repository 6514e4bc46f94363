"""Concentrations and effects over time, with the strip of doses above."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.report.figures.axes import MOST_POINTS, Clock, log_domain, log_ticks, thin, time_axis
from kinetamine.report.figures.looks import Line, Plane, Told, label, pointer
from kinetamine.report.figures.strip import doses_drawn, strip
from kinetamine.report.figures.vega import INK, PALETTE, Figure, Sheet, inside, layout, rows, save, tip
from kinetamine.results import Output, Result, TableResult, show

__all__ = ["TYPICAL_NOTE", "Panels", "curves", "plot"]

TYPICAL_NOTE = "typical patient: no variability drawn"

#: populations smaller than this are drawn one by one: quantiles of so few say nothing
FEW = 10
#: curves of an event table drawn at most
MOST_SUBJECTS = 200
#: outputs in one panel at most
PER_PANEL = 3

_BANDS = ((0.05, 0.95), (0.25, 0.75))
Floats = np.ndarray[Any, Any]


# ---- what is drawn, before any drawing


@dataclass
class _Trace:
    """An output as it is drawn: lines and, in a population, bands on the times of the line."""

    output: Output
    colour: str
    lines: list[tuple[Floats, Floats]] = field(default_factory=list)
    bands: list[tuple[Floats, Floats]] = field(default_factory=list)
    faint: bool = False
    #: lowest, middle and highest at each time of the result, for the pointer
    told: tuple[Floats, Floats, Floats] | None = None

    def values(self) -> Floats:
        arrays = [y for _, y in self.lines] + [edge for pair in self.bands for edge in pair]
        flat = np.concatenate([np.asarray(a, dtype=np.float64) for a in arrays]) if arrays else np.empty(0)
        return flat[np.isfinite(flat)]

    def end(self) -> float:
        """Where the curve ends."""
        ends = [values[np.isfinite(values)][-1] for _, values in self.lines if np.isfinite(values).any()]
        return float(np.median(ends)) if ends else 0.0


def _trace(result: Result | TableResult, output: Output, colour: str, seen: slice) -> _Trace:
    trace = _Trace(output, colour)
    if isinstance(result, TableResult):
        assert output.values is not None
        trace.faint = result.n > FEW
        for subject in _chosen(result.n):
            at = np.flatnonzero(result.subject == subject)
            at = at[np.argsort(result.time_h[at], kind="stable")]
            most = 60 if trace.faint else MOST_POINTS
            keep = at[thin(output.values[at], most=most)] if len(at) else at
            trace.lines.append((result.time_h[keep], output.values[keep]))
        return trace
    time_h = result.time_h[seen]
    if output.values is not None and (result.typical or result.n < FEW):
        some = output.values[result.ok][:, seen]
        for values in some:
            keep = thin(values)
            trace.lines.append((time_h[keep], values[keep]))
        if len(some):
            trace.told = some.min(axis=0), np.median(some, axis=0), some.max(axis=0)
        return trace
    pairs = _pairs(output)
    kept = sorted(output.quantiles)
    middle = 0.5 if output.values is not None or 0.5 in kept else kept[len(kept) // 2]
    edges = {
        q: v[seen]
        for q, v in result.quantiles(
            output.name, sorted({middle, *(q for pair in pairs for q in pair)})
        ).items()
    }
    keep = thin(edges[middle], edges[max(edges)])
    trace.lines.append((time_h[keep], edges[middle][keep]))
    trace.bands = [(edges[low][keep], edges[high][keep]) for low, high in pairs]
    trace.told = edges[min(edges)], edges[middle], edges[max(edges)]
    return trace


def _pairs(output: Output) -> list[tuple[float, float]]:
    """Quantiles that bound the bands, widest first: the usual ones, or those that a streamed run kept."""
    if output.values is not None:
        return list(_BANDS)
    kept = sorted(output.quantiles)
    known = [p for p in _BANDS if all(any(abs(q - k) < 1e-9 for k in kept) for q in p)]
    return known or ([(kept[0], kept[-1])] if len(kept) > 1 else [])


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
    spans = [_span(pair) for pair in _pairs(trace.output)]
    low, high = trace.bands[0]
    if np.allclose(low, high, rtol=1e-6, atol=0.0, equal_nan=True):
        return f"{int(result.ok.sum()):,} patients, all alike: no variability published"
    return f"median of {int(result.ok.sum()):,} patients; band{'s' * (len(spans) > 1)}: {' and '.join(spans)}"


def _span(pair: tuple[float, float]) -> str:
    return f"{100 * pair[0]:g}-{100 * pair[1]:g} %"


def _groups(result: Result | TableResult, names: Sequence[str]) -> list[list[str]]:
    """Outputs that share a panel: concentrations of one unit and site; anything else stands alone."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        output = result.output(name)
        alone = "/" not in output.unit
        groups.setdefault((name,) if alone else (output.unit, output.site), []).append(name)
    return [g[i : i + PER_PANEL] for g in groups.values() for i in range(0, len(g), PER_PANEL)]


def _points(observed: Any, result: Result | TableResult, names: Sequence[str]) -> list[dict[str, Any]]:
    """Observed points as plain rows; points of outputs not drawn are left out."""
    if observed is None:
        return []
    given = observed.iter_rows(named=True) if hasattr(observed, "iter_rows") else observed
    points = []
    for row in given:
        if not isinstance(row, Mapping) or not {"time_h", "output", "value"} <= set(row):
            raise InputError("observed", str(row)[:60], "rows with time_h, output and value", '"time_h": 1.0')
        result.output(row["output"])
        value = row["value"]
        if row["output"] in names and value is not None and math.isfinite(value):
            points.append({"t": float(row["time_h"]), "y": float(value), "output": row["output"]})
    return points


# ---- drawing


def curves(
    result: Result | TableResult,
    outputs: Iterable[str] | None = None,
    *,
    log: bool = False,
    observed: Any = None,
    width: int = 560,
    height: int = 220,
    labels: str = "end",
) -> Figure:
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
    Figure

    Raises
    ------
    UnknownName
        If an output does not exist.

    Examples
    --------
    >>> t = np.arange(0.0, 5.0)
    >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.exp(-t)[None, :])
    >>> curves(Result(t, {"C": out}, typical=True)).to_dict()["vconcat"][0]["title"]["text"]
    ['plasma, ng/mL']
    """
    sheet = Sheet(width, layout(labels))
    panels = Panels(sheet, result, Clock.of(result.time_h, width), height, log)
    charts = [strip(sheet, panels.clock, result.doses)] if doses_drawn(result) else []
    charts += panels.all(outputs, observed, named=True)
    return sheet.figure(charts)


@dataclass
class Panels:
    """The panels of one result on one time axis."""

    sheet: Sheet
    result: Result | TableResult
    clock: Clock
    height: int
    log: bool

    def all(self, outputs: Iterable[str] | None, observed: Any, named: bool) -> list[dict[str, Any]]:
        """One panel for each unit and site; the time axis of the last has a name if `named`."""
        names = list(self.result.outputs) if outputs is None else list(outputs)
        if not names:
            raise InputError("figure", "no outputs", "at least one output", "outputs=[...]")
        points = _points(observed, self.result, names)
        colour = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
        groups = _groups(self.result, names)
        charts = []
        for i, group in enumerate(groups):
            traces = [
                _trace(self.result, self.result.output(name), colour[name], self._seen()) for name in group
            ]
            here = [p for p in points if p["output"] in group]
            charts.append(self._panel(i, traces, here, named and i == len(groups) - 1))
        return charts

    def _seen(self) -> slice:
        """The times on the axis, and one beyond each end so that lines reach it."""
        if isinstance(self.result, TableResult):
            return slice(None)
        ends = np.array([self.clock.start, self.clock.end]) * self.clock.per_unit_h
        low, high = np.searchsorted(self.result.time_h, ends, side="left")
        return slice(max(0, int(low) - 1), int(high) + 1)

    def _panel(
        self, i: int, traces: Sequence[_Trace], points: Sequence[dict[str, Any]], named: bool
    ) -> dict[str, Any]:
        sheet, log = self.sheet, self.log
        low, high = _domain(traces, points, log)
        domain = sheet.domain(f"y{i}", low, high)
        axis: dict[str, Any] = {"title": None, "domain": False, "ticks": False}
        if log:
            axis["values"] = sheet.live(f"y{i}_ticks", log_ticks(low, high))
        else:
            axis["tickCount"] = max(2, self.height // 45)
        scale = {"domain": domain, "nice": False} | ({"type": "log"} if log else {"zero": False})
        x = time_axis(sheet, self.clock, named=named)
        across = (self.clock.start, self.clock.end)
        plane = Plane(sheet, x, scale, axis, across, (low, high), self.height, log)

        layers: list[dict[str, Any]] = []
        for k, trace in enumerate(traces):
            layers += self._layers(f"{i}_{k}", trace, plane)
        said = [(t.output.name, t.output.grade, t.end(), t.colour) for t in traces]
        layers += label(plane, f"names_{i}", said)
        if all(t.told for t in traces):
            t = self.clock(self.result.time_h[self._seen()])
            layers += pointer(plane, str(i), t, [self._told(t) for t in traces])
        # above the columns of the pointer, so that it meets them
        for k, trace in enumerate(traces):
            mine = [p for p in points if p["output"] == trace.output.name]
            if mine:
                told = rows(t=self.clock([p["t"] for p in mine]), y=[p["y"] for p in mine])
                mark = {"type": "point", "color": INK, "fill": trace.colour, "size": 38, "strokeWidth": 1}
                read = self._read(told, trace.output, "observed")
                layers.append(
                    {
                        "data": sheet.data(f"observed_{i}_{k}", told),
                        "transform": inside(),
                        "mark": mark | {"opacity": 1},
                        "encoding": {"x": x, "y": plane.y("y"), **read},
                    }
                )
        one = traces[0].output
        subject = (one.site or "concentration") if "/" in one.unit else one.name
        who = _who(self.result, traces[0]) + ("; circles: observed" if points else "")
        who += "; logarithmic axis" if log else ""
        who_live = sheet.live(f"who{i}", sheet.folded(who))
        title = sheet.title(f"{subject}, {show.unit(one.unit)}", who_live)
        return {"layer": layers, "width": sheet.width, "height": self.height, "title": title}

    def _read(self, told: list[dict[str, Any]], output: Output, more: str) -> dict[str, Any]:
        """Adds to each point what the pointer reads there, and says how."""
        for row in told:
            row |= {"when": f"{row['t']:.4g} {self.clock.unit}", "said": f"{show.number(row['y'])}, {more}"}
        return tip({"when": "time", "said": f"{output.name}, {show.unit(output.unit)}"})

    def _layers(self, key: str, trace: _Trace, plane: Plane) -> list[dict[str, Any]]:
        """Bands, hatching, line and dots of one output."""
        width = 0.8 if trace.faint else 1.2 if len(trace.lines) > 1 else 2.2
        t, middle = trace.lines[0] if trace.lines else (np.empty(0), np.empty(0))
        line = Line(
            key,
            trace.colour,
            trace.output.grade,
            self.clock(t),
            middle,
            tuple(trace.bands),
            bool(self.result.typical),
            width=width,
        )
        if len(trace.lines) == 1 and not isinstance(self.result, TableResult):
            return line.layers(plane)
        told = []
        for k, (t, values) in enumerate(trace.lines):
            told += [row | {"k": k} for row in rows(t=self.clock(t), y=plane.floor(values))]
        data = self.sheet.data(f"curve_{key}", told)
        layers = line.strokes(plane, data, detail=True)
        if trace.faint:
            layers = [layer | {"mark": layer["mark"] | {"opacity": 0.45}} for layer in layers[1:]]
        if isinstance(self.result, TableResult):
            if len(told) <= 400:
                mark = {"type": "point", "color": trace.colour, "filled": True, "size": 14, "opacity": 1}
                encoding = layers[-1]["encoding"] | self._read(told, trace.output, trace.output.grade)
                layers.append({"data": data, "transform": inside(), "mark": mark, "encoding": encoding})
            return layers
        return [*layers, line.dots(plane, told)]

    def _told(self, trace: _Trace) -> Told:
        """What the pointer reads of a curve."""
        output = trace.output
        title = f"{output.name}, {show.unit(output.unit)}"
        assert trace.told is not None
        low, middle, high = trace.told
        if self.result.typical or isinstance(self.result, TableResult):
            return Told(title, middle, None, output.grade)
        pairs = _pairs(output) if trace.bands else []
        return Told(
            f"{title} ({_span(pairs[0]) if pairs else 'lowest-highest'})", middle, (low, high), output.grade
        )


def _domain(traces: Sequence[_Trace], points: Sequence[Mapping[str, Any]], log: bool) -> tuple[float, float]:
    """Lowest and highest value of a panel."""
    values = np.concatenate([t.values() for t in traces] + [np.array([p["y"] for p in points])])
    if log:
        return log_domain(values)
    if not values.size:
        return 0.0, 1.0
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    if high == low:
        high = low + 1.0
    return low * 1.06, high + 0.06 * (high - low)


def plot(result: Any, path: str | os.PathLike[str] | None = None, **options: Any) -> Figure:
    """The curves of a result, and a file of them if a path is given; see `Result.plot`."""
    figure = curves(result, **options)
    if path is not None:
        save(figure, path)
    return figure
