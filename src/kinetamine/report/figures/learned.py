"""A person's values and what they say: curves before and after them, parameters, an unknown dose and its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.report.figures.axes import Clock, log_domain, log_ticks, time_axis
from kinetamine.report.figures.bars import whisker
from kinetamine.report.figures.looks import Line, Plane, Told, label, pointer, tall
from kinetamine.report.figures.strip import strip
from kinetamine.report.figures.vega import (
    INK,
    PALETTE,
    SHADE,
    Figure,
    Sheet,
    inside,
    layout,
    pixel,
    stacked,
    tip,
    written,
)
from kinetamine.results import show

if TYPE_CHECKING:
    from kinetamine.inference import CoursePosterior, Posterior, TracedBack
    from kinetamine.inference.bands import Band

__all__ = ["dose_and_time", "learned", "parameters", "scores", "values"]

_READ = "grey: people like this before the data; colour: this person with them; bands: 5-95 %"
#: how a value is drawn: shape of its sign, and what it is called
_SIGNS = {
    "value": ("circle", "observed"),
    "below": ("triangle-down", "below a limit"),
    "above": ("triangle-up", "above a limit"),
    "between": ("diamond", "between two limits"),
}
#: cells of the grid of dose and time, each way
_CELLS = 24


def values(
    post: Posterior, *, log: bool = False, width: int = 560, height: int = 200, labels: str = "end"
) -> Figure:
    """What was measured over the curves of people like this (grey) and of this person (coloured).

    Parameters
    ----------
    post : Posterior
    log : bool
        A logarithmic axis of values.
    width, height : int
        Of one panel, in pixels.
    labels : str
        Where curves are named: ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"])
    >>> values(post).to_dict()["vconcat"][1]["title"]["text"]
    ['S-ketamine in venous plasma, ng/mL']
    """
    from kinetamine.inference.bands import bands

    sheet = Sheet(width, layout(labels))
    return sheet.figure(_curves(sheet, bands(post), post, height, log))


def learned(
    post: Posterior, *, log: bool = False, width: int = 480, height: int = 190, labels: str = "end"
) -> Figure:
    """`values` and, under them, `parameters`; see there.

    Examples
    --------
    >>> import kinetamine as kt
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"])
    >>> len(learned(post).to_dict()["vconcat"])
    3
    """
    from kinetamine.inference.bands import bands

    sheet = Sheet(width, layout(labels))
    panels = _curves(sheet, bands(post), post, height, log)
    return sheet.figure([*panels, _forest(sheet, post)])


def _curves(sheet: Sheet, drawn: list[Band], post: Posterior, height: int, log: bool) -> list[dict[str, Any]]:
    width = sheet.width
    if not drawn:
        raise InputError("figure", "no output that every model gives", "one output or more", "one model")
    clock = Clock.over(min(0.0, float(drawn[0].time_h[0])), float(max(b.time_h[-1] for b in drawn)), width)
    panels = [strip(sheet, clock, drawn[0].doses)] if drawn[0].doses else []
    return panels + [
        _panel(sheet, k, band, post, clock, height, log, band is drawn[-1]) for k, band in enumerate(drawn)
    ]


def _panel(
    sheet: Sheet, k: int, band: Band, post: Posterior, clock: Clock, height: int, log: bool, named: bool
) -> dict[str, Any]:
    seen = _seen(post, band.name)
    marks = np.array([v for row in seen for v in (row["low"], row["high"]) if np.isfinite(v)])
    drawn = np.concatenate([band.prior[2], band.posterior[2], marks])
    if log:
        # not the rise from nothing: from the first value on
        late = band.time_h >= min(row["time_h"] for row in seen)
        low, high = log_domain(np.concatenate([drawn[drawn > 0.03 * marks.min()], band.prior[0][late]]), 3.0)
        high = max(high, 1.3 * float(np.nanmax(drawn)))
    else:
        low, high = 0.0, 1.06 * max(float(np.nanmax(drawn)), 1e-12)
    axis: dict[str, Any] = {"title": None, "domain": False, "ticks": False}
    axis |= {"values": sheet.live(f"y{k}_ticks", log_ticks(low, high))} if log else {"tickCount": 4}
    scale = {"domain": sheet.domain(f"y{k}", low, high), "nice": False}
    scale |= {"type": "log"} if log else {"zero": False}
    names = ["before the data", "with the data"]
    plane = Plane(
        sheet, time_axis(sheet, clock, named=named), scale, axis, (clock.start, clock.end), (low, high),
        tall(sheet, height, names), log,
    )  # fmt: skip
    t, ink = clock(band.time_h), PALETTE[k % len(PALETTE)]
    layers, said, told = [], [], []
    own = band.grade if post.grade == "fitted" else f"{band.grade}, {post.grade}"
    sides = ((band.prior, SHADE, band.grade), (band.posterior, ink, own))
    for name, ((a, middle, b), colour_, grade) in zip(names, sides, strict=True):
        line = Line(f"{name.split()[0]}_{k}", colour_, band.grade, t, middle, ((a, b),), opacity=0.22)
        layers += line.layers(plane)
        known = middle[np.isfinite(middle)]
        said.append((name, grade, float(known[-1]) if known.size else 0.0, colour_))
        told.append(Told(f"{name} (5-95 %)", middle, (a, b), grade))
    layers += label(plane, f"names_{k}", said)
    layers += pointer(plane, str(k), t, told)
    layers += _signs(sheet, k, seen, plane, clock, ink)
    words = _READ + "".join(
        f"; {_SIGNS[kind][0].replace('-', ' ')}: {_SIGNS[kind][1]}" for kind in _kinds(seen)
    )
    words += "" if band.curve else "; drawn at the times of the values only"
    words += "; logarithmic axis" if log else ""
    title = sheet.title(
        f"{band.name} in {band.site}, {show.unit(band.unit)}",
        sheet.live(f"read_{k}", sheet.folded(words)),
    )
    return {"layer": layers, "width": sheet.width, "height": plane.height, "title": title}


def _kinds(seen: Sequence[dict[str, Any]]) -> list[str]:
    there = {row["kind"] for row in seen}
    return [kind for kind in _SIGNS if kind in there]


def _seen(post: Posterior, name: str) -> list[dict[str, Any]]:
    """The values of one output in its unit: as the best model matched them."""
    one = post.one()
    found = []
    matched = one.matched
    for output, low, high, time_h in zip(
        matched.output, matched.low, matched.high, matched.time_h, strict=True
    ):
        if output != name:
            continue
        kind = (
            "value" if low == high else "below" if not low > 0 else "above" if np.isinf(high) else "between"
        )
        found.append(
            {"time_h": float(time_h), "low": max(float(low), 0.0), "high": float(high), "kind": kind}
        )
    return found


def _signs(
    sheet: Sheet, k: int, seen: Sequence[dict[str, Any]], plane: Plane, clock: Clock, ink: str
) -> list[dict[str, Any]]:
    """Points, arrows at limits, and lines between two."""
    layers: list[dict[str, Any]] = []
    for kind, (shape, called) in _SIGNS.items():
        rows = []
        for row in seen:
            if row["kind"] != kind:
                continue
            low, high = row["low"], row["high"]
            at = {"below": high, "above": low}.get(kind, (low + high) / 2)
            t = float(clock(row["time_h"]))
            number = show.number(low) if low == high else f"{show.number(low)}-{show.number(high)}"
            number = {"below": f"<{show.number(high)}", "above": f">{show.number(low)}"}.get(kind, number)
            ends = {"low": plane.floor(low), "high": high if np.isfinite(high) else low}
            rows.append(
                {"t": t, "y": float(plane.floor(at)), "when": f"{t:.4g} {clock.unit}", "said": number, **ends}
            )
        data = sheet.data(f"seen_{kind}_{k}", rows)
        read = tip({"when": "time", "said": called})
        if kind == "between":
            rule = {"type": "rule", "color": INK, "strokeWidth": 1.2}
            span = {"x": plane.x, "y": plane.y("low"), "y2": {"field": "high"}}
            layers.append({"data": data, "transform": inside(), "mark": rule, "encoding": span})
        mark = {"type": "point", "shape": shape, "color": INK, "fill": ink, "size": 46, "strokeWidth": 1}
        encoding = {"x": plane.x, "y": plane.y("y"), **read}
        layers.append(
            {"data": data, "transform": inside(), "mark": mark | {"opacity": 1}, "encoding": encoding}
        )
    return layers


# ---- parameters


def parameters(post: Posterior, *, width: int = 360, labels: str = "end") -> Figure:
    """Individual parameters over the median of people like this: grey before the data, coloured with them.

    Parameters
    ----------
    post : Posterior
    width : int
        Of the panel, in pixels.
    labels : str
        Where rows are named: ``end`` (beside) or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"])
    >>> parameters(post).to_dict()["datasets"]["parameters"][0]["label"]
    'V1_i'
    """
    sheet = Sheet(width, layout(labels))
    return sheet.figure([_forest(sheet, post)])


def _forest(sheet: Sheet, post: Posterior) -> dict[str, Any]:
    shown, left = _ratios(post)
    width = sheet.width
    if not shown:
        raise InputError("figure", "no parameter above zero", "one parameter or more")
    step, bar = (22, 11) if sheet.beside else (34, 24)
    weights, first = post.weights, ""
    for k, row in enumerate(shown):
        middle = k * step + bar
        weight = f", weight {weights[row['model']]:.2f}" if len(weights) > 1 else ""
        row |= {"row": k, "py": middle, "top": middle - 7, "foot": middle + 7}
        row |= {"word": middle if sheet.beside else k * step + 8}
        row["group"] = f"{row['model']}{weight}" if row["model"] != first and len(weights) > 1 else ""
        first = row["model"]
    data = sheet.data("parameters", shown)
    low = min(min(row["prior_low"], row["low"]) for row in shown) / 1.1
    high = max(max(row["prior_high"], row["high"]) for row in shown) * 1.1
    ticks = sheet.live("parameter_ticks", log_ticks(low, high))
    scale = {"type": "log", "domain": sheet.domain("parameter", low, high), "nice": False}
    axis = {"values": ticks, "grid": True, "title": "over the median before the data (ratio)", "format": "~r"}
    x = {"type": "quantitative", "scale": scale, "axis": axis}
    read = tip({"label": "parameter", "before": "before", "said": "with the data", "learned": "learned"})
    block = {"type": "rect", "color": SHADE, "opacity": 0.3, "clip": True}
    place = {"x": x | {"field": "prior_low"}, "x2": {"field": "prior_high"}, "y": pixel("top")}
    layers: list[dict[str, Any]] = [stacked(data, step)]
    layers.append(
        {"data": data, "mark": block, "encoding": {**place, "y2": pixel("foot"), **read}},
    )
    layers += whisker(data, x, "low", "high", read)
    dot = {"type": "point", "shape": "circle", "filled": True, "color": PALETTE[0], "size": 52, "opacity": 1}
    layers.append(
        {"data": data, "mark": dot, "encoding": {"x": x | {"field": "median"}, "y": pixel("py"), **read}}
    )
    if sheet.beside:
        layers += [
            written(data, "label", width + 10, fontWeight="bold", limit=90),
            written(data, "text", width + 104, limit=300),
        ]
    else:
        layers.append(written(data, "line", 1, fontWeight="bold", limit=width + 20))
    words = "grey: 90 % of people like this before the data; dot and line: median and 90 % with them; "
    words += "learned: share of the variance that the data took away"
    words += f"; not above zero, not drawn: {', '.join(left)}" if left else ""
    title = sheet.title("parameters of this person", sheet.live("parameters_read", sheet.folded(words)))
    return {"layer": layers, "width": width, "title": title}


def _ratios(post: Posterior) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the forest, and the parameters that a logarithmic axis has no place for."""
    rows, left = [], []
    several = len(post.learned) > 1
    for line in post.summary().iter_rows(named=True):
        name = line["parameter"]
        if name.startswith("z "):
            continue
        middle = line["prior_median"]
        if not min(line["prior_low"], line["low"]) > 0:
            left.append(name)
            continue
        ratios = {
            key: line[key] / middle
            for key in ("prior_low", "prior_high", "low", "median", "high")
        }  # fmt: skip
        unit = f" {show.unit(line['unit'])}" if line["unit"] else ""
        said = show.span(line["low"], line["median"], line["high"]) + unit
        learned = f"{max(0.0, line['shrinkage']):.0%}"
        whose = f"{name}, {line['model']}" if several else name
        text = f"{said}; learned {learned}"
        rows.append(
            {
                "model": line["model"], "label": name, "said": said, "learned": learned, **ratios,
                "before": show.span(line["prior_low"], middle, line["prior_high"]) + unit,
                "line": f"{whose}: {text}", "text": f"{line['model']}: {text}" if several else text,
            }
        )  # fmt: skip
    return rows, left


# ---- an unknown dose and its time


def dose_and_time(found: TracedBack, *, width: int = 360, height: int = 260, labels: str = "end") -> Figure:
    """Where dose and time lie together, with the regions that hold half and nine tenths of the probability.

    Parameters
    ----------
    found : TracedBack
    width, height : int
        Of the panel, in pixels.
    labels : str
        ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.posterior("perez_ruixo_2021_esketamine", "10 to 1000 mg oral, 0 to 24 h before",
    ...     ["S-ketamine 46 ng/mL at 0 h"])
    >>> dose_and_time(found).to_dict()["vconcat"][0]["title"]["text"]
    ['dose and time together']
    """
    sheet = Sheet(width, layout(labels))
    both = bool(found.ranges.amount) and bool(found.ranges.before_h)
    panel = _plane_of_both(sheet, found, height) if both else _one_unknown(sheet, found, height)
    return sheet.figure([panel, sheet.notes("words", [found.words()])])


def _held(mass: np.ndarray) -> np.ndarray:
    """Of each cell the probability of all cells that are at least as likely."""
    order = np.argsort(mass, axis=None)[::-1]
    total = np.empty(mass.size)
    total[order] = np.cumsum(mass.ravel()[order]) - mass.ravel()[order]
    return total.reshape(mass.shape) / max(float(mass.sum()), 1e-300)


def _plane_of_both(sheet: Sheet, found: TracedBack, height: int) -> dict[str, Any]:
    grid = found.density(_CELLS)
    dose, time, held = grid["dose"], grid["time"], _held(grid["density"])
    cells = []
    for i, j in zip(*np.nonzero((held < 0.9) & (grid["density"] > 0)), strict=True):
        a, b, c, d = dose[i], dose[i + 1], time[j], time[j + 1]
        told = f"{a:.3g}-{b:.3g} {found.unit}, {c:.3g}-{d:.3g} h before"
        region = "half" if held[i, j] < 0.5 else "nine tenths"
        cells.append(
            {
                "low": float(f"{a:.5g}"), "high": float(f"{b:.5g}"), "from": float(f"{c:.5g}"), "to": float(f"{d:.5g}"),
                "full": 0.8 if region == "half" else 0.35, "told": told, "region": f"within {region}",
            }
        )  # fmt: skip
    data = sheet.data("cells", cells)
    ticks = sheet.live("dose_ticks", log_ticks(float(dose[0]), float(dose[-1])))
    scale = {"type": "log", "domain": sheet.domain("dose", dose[0], dose[-1]), "nice": False}
    y_axis = {"values": ticks, "grid": True, "title": None, "format": "~r"}
    x_scale = {"domain": sheet.domain("before", time[0], time[-1]), "nice": False, "zero": False}
    encoding = {
        "x": {
            "field": "from", "type": "quantitative", "scale": x_scale,
            "axis": {"grid": True, "title": "time from the dose to the first sample, h"},
        },
        "x2": {"field": "to"},
        "y": {"field": "low", "type": "quantitative", "scale": scale, "axis": y_axis},
        "y2": {"field": "high"},
        "opacity": {"field": "full", "type": "quantitative", "scale": None},
        **tip({"told": "dose and time", "region": "probability"}),
    }  # fmt: skip
    mark = {"type": "rect", "color": PALETTE[0], "clip": True}
    words = f"dose in {found.unit}; dark: half of the probability, with the light cells nine tenths; empty: a tenth"
    title = sheet.title("dose and time together", sheet.live("cells_read", sheet.folded(words)))
    layer = {"data": data, "mark": mark, "encoding": encoding}
    return {"layer": [layer], "width": sheet.width, "height": height, "title": title}


def _one_unknown(sheet: Sheet, found: TracedBack, height: int) -> dict[str, Any]:
    """Bars of the probability of the dose or of the time alone."""
    of_dose = bool(found.ranges.amount)
    drawn = found.dose if of_dose else found.before_h
    asked = found.ranges.amount if of_dose else found.ranges.before_h
    assert asked is not None
    low, high = float(asked[0]), float(asked[1])
    edges = np.geomspace(low, high, 2 * _CELLS + 1) if of_dose else np.linspace(low, high, 2 * _CELLS + 1)
    mass, _ = np.histogram(drawn, edges, weights=found.weights)
    held = _held(mass)
    unit = found.unit if of_dose else "h"
    bars = [
        {
            "low": float(f"{a:.5g}"), "high": float(f"{b:.5g}"), "p": float(f"{p:.4g}"), "zero": 0,
            "full": 0.8 if h < 0.5 else 0.35 if h < 0.9 else 0.12,
            "told": f"{a:.3g}-{b:.3g} {unit}", "share": f"{100 * p:.2g} %",
        }
        for a, b, p, h in zip(edges, edges[1:], mass, held, strict=False)
    ]  # fmt: skip
    data = sheet.data("bars", bars)
    scale: dict[str, Any] = {
        "domain": sheet.domain("dose" if of_dose else "before", low, high),
        "nice": False,
    }
    axis: dict[str, Any] = {"grid": True}
    if of_dose:
        scale |= {"type": "log"}
        axis |= {"values": sheet.live("dose_ticks", log_ticks(low, high)), "format": "~r"}
        axis["title"] = f"dose, {found.unit}"
    else:
        axis["title"] = "time from the dose to the first sample, h"
    top = sheet.live("mass_high", float(1.08 * mass.max()))
    encoding = {
        "x": {"field": "low", "type": "quantitative", "scale": scale, "axis": axis},
        "x2": {"field": "high"},
        "y": {
            "field": "p", "type": "quantitative", "scale": {"domain": [0, top], "nice": False},
            "axis": {"title": None, "labels": False, "ticks": False, "grid": False},
        },
        "y2": {"field": "zero"},
        "opacity": {"field": "full", "type": "quantitative", "scale": None},
        **tip({"told": "dose" if of_dose else "time", "share": "probability"}),
    }  # fmt: skip
    layer = {"data": data, "mark": {"type": "rect", "color": PALETTE[0], "clip": True}, "encoding": encoding}
    words = "dark: half of the probability, with the lighter bars nine tenths; faint: the rest"
    title = sheet.title("dose" if of_dose else "time", sheet.live("bars_read", sheet.folded(words)))
    return {"layer": [layer], "width": sheet.width, "height": height, "title": title}


# ---- scores


def scores(
    found: CoursePosterior,
    *,
    until_d: float | None = None,
    width: int = 560,
    height: int = 200,
    labels: str = "end",
) -> Figure:
    """A patient's scores so far, and the band of those to come; under it the probability of a relapse.

    Parameters
    ----------
    found : CoursePosterior
    until_d : float, d, optional
        Default four weeks after the last score.
    width, height : int
        Of the upper panel, in pixels.
    labels : str
        ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> seen = ["MADRS 34 on day 0", "MADRS 21 on day 7"]
    >>> found = kt.posterior("hierarchical", "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks", seen)
    >>> [panel["title"]["text"] for panel in scores(found).to_dict()["vconcat"]]
    [['MADRS'], ['probability of a relapse until then']]
    """
    sheet = Sheet(width, layout(labels))
    frame, seen = found.forecast(until_d), found.seen
    day = np.append(seen.now_d, frame["day"].to_numpy())
    names = ("p05", "p25", "median", "p75", "p95")
    columns = {name: np.append(float(seen.score[-1]), frame[name].to_numpy()) for name in names}
    columns["relapse"] = np.append(0.0, frame["relapse"].to_numpy())
    clock = Clock.over(0.0, 24.0 * float(day[-1]), width)
    t = clock(24.0 * day)
    panels = [_score_panel(sheet, found, clock, t, columns, height)]
    return sheet.figure([*panels, _relapse_panel(sheet, found, clock, t, columns["relapse"])])


def _score_panel(
    sheet: Sheet,
    found: CoursePosterior,
    clock: Clock,
    t: np.ndarray,
    columns: dict[str, np.ndarray],
    height: int,
) -> dict[str, Any]:
    plan, seen = found.best.plan, found.seen
    plane = _score_plane(sheet, clock, float(found.best.sets[0]["score_max"]), height, "score", named=False)
    middle, bands = columns["median"], ((columns["p05"], columns["p95"]), (columns["p25"], columns["p75"]))
    layers = Line("score", PALETTE[0], _LOOK, t, middle, bands).layers(plane)
    layers += label(plane, "names_score", [("forecast", found.grade, float(middle[-1]), PALETTE[0])])
    layers += pointer(plane, "score", t, [Told("score (5-95 %)", middle, bands[0], found.grade)], ".3~r")
    told = [
        {"t": float(clock(24.0 * d)), "y": float(s), "when": f"day {d:g}", "said": show.number(float(s))}
        for d, s in zip(seen.day, seen.score, strict=True)
    ]
    data = sheet.data("seen_scores", told)
    mark = {"type": "point", "shape": "circle", "color": INK, "fill": PALETTE[0], "size": 46, "opacity": 1}
    encoding = {"x": plane.x, "y": plane.y("y"), **tip({"when": "day", "said": "observed"})}
    layers.append({"data": data, "transform": inside(), "mark": mark, "encoding": encoding})
    words = "circles: observed; bands: 5-95 % and 25-75 % of what a rater would write down. "
    title = sheet.title(plan.model.score, sheet.live("score_read", sheet.folded(words + _OF_GROUPS)))
    return {"layer": layers, "width": sheet.width, "height": plane.height, "title": title}


def _relapse_panel(
    sheet: Sheet, found: CoursePosterior, clock: Clock, t: np.ndarray, relapse: np.ndarray
) -> dict[str, Any]:
    plan = found.best.plan
    plane = _score_plane(sheet, clock, 1.0, 90, "relapse", named=True)
    layers = Line("relapse", PALETTE[1], _LOOK, t, relapse, hatched=False).layers(plane)
    known = relapse[np.isfinite(relapse)]
    end = float(known[-1]) if known.size else 0.0
    layers += label(plane, "names_relapse", [("relapse", found.grade, end, PALETTE[1])])
    layers += pointer(plane, "relapse", t, [Told("relapse until then", relapse, None, found.grade)], ".0%")
    rule = sheet.live("relapse_read", sheet.folded(plan.relapse.describe()))
    title = sheet.title("probability of a relapse until then", rule)
    return {"layer": layers, "width": sheet.width, "height": plane.height, "title": title}


#: the look of one patient's forecast: from groups to one
_LOOK = "extrapolated"
#: said with every figure of one patient's scores
_OF_GROUPS = "A model of groups: how far single patients follow it was not tested."


def _score_plane(sheet: Sheet, clock: Clock, top: float, height: int, name: str, named: bool) -> Plane:
    x = time_axis(sheet, clock, named=named, words="time since the first session")
    axis = {
        "title": None,
        "domain": False,
        "ticks": False,
        "tickCount": 4,
        "format": "%" if top == 1 else "d",
    }
    scale = {"domain": [0, top], "nice": False}
    ends = (clock.start, clock.end)
    return Plane(sheet, x, scale, axis, ends, (0.0, top), tall(sheet, height, [name]))
