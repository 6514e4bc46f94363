"""The same doses through several models: arterial and venous in panels of their own, the spread of each drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from kinetamine.errors import InputError
from kinetamine.report.figures.axes import Clock, log_domain, log_ticks, thin, time_axis
from kinetamine.report.figures.bands import TYPICAL_NOTE
from kinetamine.report.figures.looks import Line, Plane, Told, label, pointer, tall
from kinetamine.report.figures.strip import strip
from kinetamine.report.figures.vega import PALETTE, Figure, Sheet, layout
from kinetamine.results import show

__all__ = ["Compared", "comparison"]

Floats = np.ndarray[Any, Any]

#: models in one panel whose bands can still be told apart
_FEW = 3
_MOST_TIMES = 240


class Compared(Protocol):
    """One output of one model; `low` and `high` None where no spread was published."""

    @property
    def model(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def analyte(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def unit(self) -> str: ...
    @property
    def grade(self) -> str: ...
    @property
    def time_h(self) -> Any: ...
    @property
    def low(self) -> Any: ...
    @property
    def middle(self) -> Any: ...
    @property
    def high(self) -> Any: ...


class _Row:
    """A `Compared`, or a dict of the same fields, as arrays."""

    def __init__(self, row: Compared | Mapping[str, Any]) -> None:
        def field(name: str) -> Any:
            return row[name] if isinstance(row, Mapping) else getattr(row, name)

        self.model, self.grade = str(field("model")), str(field("grade"))
        self.where = (str(field("analyte")), str(field("site")), str(field("unit")))
        self.time_h = np.asarray(field("time_h"), dtype=float)
        self.middle = np.asarray(field("middle"), dtype=float)
        edges = [field("low"), field("high")]
        known = all(edge is not None for edge in edges)
        low, high = (np.asarray(e if known else self.middle, dtype=float) for e in edges)
        spread = np.nanmax(high - low, initial=0.0) > 1e-6 * np.nanmax(high, initial=0.0)
        self.band = (low, high) if spread else None


def comparison(
    compared: Iterable[Compared | Mapping[str, Any]],
    *,
    doses: Iterable[Any] = (),
    log: bool = False,
    window: tuple[float, float] | None = None,
    width: int = 560,
    height: int = 180,
    labels: str = "end",
) -> Figure:
    """One dose through many models: the median of each with its 5-95 % band.

    A model without a published spread is drawn as a typical patient is, with a broken line.

    Parameters
    ----------
    compared : iterable of Compared or dict
        `model`, `title`, `analyte`, `site`, `unit`, `grade` and the arrays `time_h`, `low`, `middle`, `high`.
    doses : iterable of dose, optional
        Draws the strip of doses above, `Regimen.expanded()`.
    log : bool
        Logarithmic axis.
    window : (float, float), h, optional
        The part of the time to show.
    width, height : int
        Of one panel, in pixels; a panel with many models is higher.
    labels : str
        ``end`` or ``above``.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If there is nothing to compare.

    Examples
    --------
    >>> t = np.arange(0.0, 5.0)
    >>> row = {"model": "a_2020_x", "title": "", "analyte": "ketamine", "site": "venous plasma", "unit": "ng/mL"}
    >>> row |= {"grade": "fitted", "time_h": t, "low": None, "middle": np.exp(-t), "high": None}
    >>> comparison([row]).to_dict()["vconcat"][0]["title"]["text"]
    ['ketamine, venous plasma, ng/mL']
    """
    typical = bool(getattr(compared, "typical", False))
    ends = getattr(compared, "quantiles", (0.05, 0.5, 0.95))
    bands = TYPICAL_NOTE if typical else f"bands: {100 * ends[0]:g}-{100 * ends[-1]:g} % of people"
    found = [_Row(row) for row in compared]
    if not found:
        raise InputError("figure", "no models", "at least one model that was run")
    sheet = Sheet(width, layout(labels))
    times = np.concatenate([row.time_h for row in found])
    clock = Clock.of(times, width) if window is None else Clock.over(*window, width)
    analytes = list(dict.fromkeys(row.where[0] for row in found))
    groups: dict[tuple[str, str, str], list[_Row]] = {}
    for row in sorted(found, key=lambda row: (analytes.index(row.where[0]), _site_order(row.where[1]))):
        groups.setdefault(row.where, []).append(row)
    given = list(doses)
    panels = [strip(sheet, clock, given)] if given else []
    for i, (where, rows) in enumerate(groups.items()):
        named = i == len(groups) - 1
        # arterial and venous of one analyte on one scale, so that the eye can compare them
        alike = [row for row in found if (row.where[0], row.where[2]) == (where[0], where[2])]
        panels.append(_panel(sheet, clock, i, where, rows, alike, height, log, bands, named))
    return sheet.figure(panels)


def _site_order(site: str) -> int:
    return next((k for k, word in enumerate(("arterial", "venous")) if word in site), 2)


def _panel(
    sheet: Sheet,
    clock: Clock,
    i: int,
    where: tuple[str, str, str],
    rows: Sequence[_Row],
    alike: Sequence[_Row],
    height: int,
    log: bool,
    bands: str,
    named: bool,
) -> dict[str, Any]:
    values = np.concatenate([v for row in alike for v in (row.middle, *(row.band or ()))])
    values = values[np.isfinite(values)]
    low, high = log_domain(values) if log else (0.0, 1.06 * float(values.max(initial=0.0)) or 1.0)
    scale = {"type": "log" if log else "linear", "domain": sheet.domain(f"y{i}", low, high), "nice": False}
    axis: dict[str, Any] = {"title": None, "domain": False, "ticks": False, "tickCount": max(2, height // 45)}
    if log:
        axis["values"] = sheet.live(f"y{i}_ticks", log_ticks(low, high))
    height = tall(sheet, height, [row.model for row in rows])
    x = time_axis(sheet, clock, named=named)
    plane = Plane(sheet, x, scale, axis, (clock.start, clock.end), (low, high), height, log)
    few = len(rows) <= _FEW
    layers, said, told = [], [], []
    grid = rows[0].time_h
    for k, row in enumerate(rows):
        colour = PALETTE[k % len(PALETTE)]
        keep = thin(row.middle, most=_MOST_TIMES)
        line = Line(
            f"{i}_{k}",
            colour,
            row.grade,
            clock(row.time_h[keep]),
            row.middle[keep],
            ((row.band[0][keep], row.band[1][keep]),) if row.band else (),
            typical=row.band is None,
            opacity=0.2 if few else 0.12,
            hatched=few,
        )
        layers += line.layers(plane)
        at = np.searchsorted(row.time_h, clock.end * clock.per_unit_h, side="right") - 1
        lone = row.band is None and bands != TYPICAL_NOTE
        spread = f"{row.grade}, no spread" if lone else row.grade
        said.append((row.model, spread, float(row.middle[at]), colour))

        def there(values: Floats, row: _Row = row) -> Floats:
            return np.interp(grid, row.time_h, values)

        span = (there(row.band[0]), there(row.band[1])) if row.band else None
        told.append(Told(f"{row.model}, {show.unit(row.where[2])}", there(row.middle), span, row.grade))
    # bands behind, lines in front
    layers.sort(key=lambda layer: layer["mark"]["type"] != "area")
    layers += label(plane, f"names_{i}", said, leads=True)
    layers += pointer(plane, str(i), clock(grid), told)
    analyte, site, unit = where
    who = f"{len(rows)} model{'s' * (len(rows) > 1)}; lines: medians; {bands}"
    if bands == TYPICAL_NOTE:
        who = f"{len(rows)} model{'s' * (len(rows) > 1)}; {bands}"
    elif any(row.band is None for row in rows):
        who += "; broken lines: no spread was published"
    who += "; logarithmic axis" if log else ""
    title = sheet.title(f"{analyte}, {site}, {show.unit(unit)}", sheet.live(f"who{i}", sheet.folded(who)))
    return {"layer": layers, "width": sheet.width, "height": height, "title": title}
