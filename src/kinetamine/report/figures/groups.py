"""Courses of groups: mean score, response and remission over time, and how many stay free of relapse.

Every figure says in words that it is a model of groups. The dark band is the uncertainty of the group's outcome, not
the spread between patients; that one is drawn too, lighter, where there is one group only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.report.figures.axes import Clock, blank, thin, time_axis
from kinetamine.report.figures.looks import Line, Plane, Told, label, pointer, tall
from kinetamine.report.figures.vega import PALETTE, Figure, Sheet, colour, layout, pixel

if TYPE_CHECKING:
    from kinetamine.course import CourseResult

__all__ = ["course", "survival"]

_DAY = 24.0
_BANDS = "Bands: 5-95 % of the group's outcome over the uncertainty of the parameters."
_FAN = "light band: 5-95 % of patients; dark band: of the group's mean"
_NO_BANDS = "No uncertainty of the parameters drawn; the band of relapse is a 95 % Monte Carlo interval."
_TITLES = {
    "mean": "MADRS, mean of the group",
    "response": "share in response",
    "remission": "share in remission",
}
_FREE = "share free of relapse, of those whose clock began"


def course(
    arms: CourseResult | Mapping[str, CourseResult],
    *,
    relapse: bool = True,
    width: int = 480,
    height: int = 160,
    labels: str = "end",
) -> Figure:
    """Mean score and shares in response, in remission and free of relapse, one colour per group.

    Parameters
    ----------
    arms : CourseResult or dict
        One group, or several by name.
    relapse : bool
        With the panel of `survival`.
    width, height : int
        Of one panel, in pixels.
    labels : str
        ``end`` or ``above``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> arm = kt.course("0.5 mg/kg iv over 40 min", n=200, weeks=2)
    >>> course(arm).to_dict()["title"]["subtitle"][0]
    'A model of groups with wide uncertainty, fitted to published trials: not for a person.'
    """
    named, sheet = _named(arms), Sheet(width, layout(labels))
    days = max(float(arm["visit_days"][-1]) for arm in named.values())
    clock = Clock.over(0.0, days * _DAY, width)
    panels = [_visits(sheet, named, clock, measure, height) for measure in _TITLES]
    if relapse:
        panels += _relapse(sheet, named, height, "free")
    return _headed(sheet, named, panels, "Course of depression scores")


def survival(
    arms: CourseResult | Mapping[str, CourseResult],
    *,
    width: int = 480,
    height: int = 200,
    labels: str = "end",
) -> Figure:
    """Share still free of relapse (Kaplan-Meier) since its clock began, with the numbers at risk.

    Parameters
    ----------
    arms : CourseResult or dict
    width, height : int
    labels : str
        As `course` takes them.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import kinetamine as kt
    >>> arm = kt.course("0.5 mg/kg iv over 40 min", n=200, weeks=4)
    >>> [panel["title"]["text"][0] for panel in survival(arm).to_dict()["vconcat"]]
    ['share free of relapse, of those whose clock began', 'patients at risk']
    """
    named, sheet = _named(arms), Sheet(width, layout(labels))
    return _headed(sheet, named, _relapse(sheet, named, height, "x"), "Relapse after response")


def _named(arms: CourseResult | Mapping[str, CourseResult]) -> dict[str, CourseResult]:
    named = dict(arms) if isinstance(arms, Mapping) else {"; ".join(arms.regimen) or "no drug": arms}
    if not named or len(named) > len(PALETTE):
        raise InputError("figure", f"{len(named)} arms", f"1 to {len(PALETTE)} arms")
    return named


def _headed(
    sheet: Sheet, named: Mapping[str, CourseResult], panels: list[dict[str, Any]], text: str
) -> Figure:
    first = next(iter(named.values()))
    told = _BANDS if all("mean" in arm.bands for arm in named.values()) else _NO_BANDS
    words = [*sheet.folded(first.caveat), *sheet.folded(told)]
    title = {"text": sheet.folded(f"{text}, groups"), "subtitle": words, "frame": "bounds", "offset": 14}
    return sheet.figure(panels, title=title)


def _plane(sheet: Sheet, x: dict[str, Any], clock: Clock, top: float, height: int, axis: str = "x") -> Plane:
    """A panel for shares (`top` 1) or scores."""
    scale = {"domain": [0, top], "nice": False}
    y_axis = {
        "title": None,
        "domain": False,
        "ticks": False,
        "tickCount": 4,
        "format": "%" if top == 1 else "d",
    }
    return Plane(sheet, x, scale, y_axis, (clock.start, clock.end), (0.0, top), height, axis=axis)


def _visits(
    sheet: Sheet, named: Mapping[str, CourseResult], clock: Clock, measure: str, height: int
) -> dict[str, Any]:
    """One measure at the visits."""
    score = measure == "mean"
    words = "time since the course began"
    x = time_axis(sheet, clock, named=measure == list(_TITLES)[-1], words=words)
    top = max(float(arm.birth.get("score_max", 60)) for arm in named.values()) if score else 1.0
    plane = _plane(sheet, x, clock, top, tall(sheet, height, named))
    layers, said, told = [], [], []
    for k, (name, arm) in enumerate(named.items()):
        frame = arm.visits()
        middle = frame[measure].to_numpy()
        bands = []
        if score and len(named) == 1:
            bands.append((frame["p05"].to_numpy(), frame["p95"].to_numpy()))
        if f"{measure}_low" in frame.columns:
            bands.append((frame[f"{measure}_low"].to_numpy(), frame[f"{measure}_high"].to_numpy()))
        t = clock(frame["day"].to_numpy() * _DAY)
        line = Line(f"{measure}_{k}", PALETTE[k], arm.grade, t, middle, tuple(bands))
        layers += line.layers(plane)
        said.append((name, arm.grade, float(middle[-1]), PALETTE[k]))
        reach = bands[-1] if f"{measure}_low" in frame.columns else None
        told.append((t, Told(f"{name} (5-95 %)" if reach else name, middle, reach, arm.grade)))
    layers += label(plane, f"names_{measure}", said)
    layers += _pointer(plane, measure, told, ".3~r" if score else ".0%")
    title = sheet.title(_TITLES[measure], _FAN if score and len(named) == 1 else None)
    return {"layer": layers, "width": sheet.width, "height": plane.height, "title": title}


def _pointer(plane: Plane, key: str, told: list[tuple[Any, Told]], number: str) -> list[dict[str, Any]]:
    """Numbers at the times of the first group; those of the others at or before them."""
    t = told[0][0]

    def there(other: Any, values: Any) -> Any:
        return np.asarray(values)[np.clip(np.searchsorted(other, t, side="right") - 1, 0, None)]

    moved = [
        Told(
            one.title,
            there(other, one.middle),
            one.span and (there(other, one.span[0]), there(other, one.span[1])),
            one.grade,
        )
        for other, one in told
    ]
    return pointer(plane, key, t, moved, number)


def _relapse(sheet: Sheet, named: Mapping[str, CourseResult], height: int, axis: str) -> list[dict[str, Any]]:
    """Kaplan and Meier's estimate, and the numbers at risk below it."""
    from kinetamine.course.result import times_to

    curves = {name: _free(arm) for name, arm in named.items()}
    days = max(float(c[0][-1]) for c in curves.values())
    clock = Clock.over(0.0, max(days, 1.0) * _DAY, sheet.width)
    x = time_axis(sheet, clock, words="time since the clock of relapse began", name=axis)
    plane = _plane(sheet, x, clock, 1.0, tall(sheet, height, named), axis)
    layers, said, told, risk = [], [], [], []
    for k, (name, arm) in enumerate(named.items()):
        day, free, span = curves[name]
        t = clock(day * _DAY)
        keep = thin(free)
        bands = ((span[0][keep], span[1][keep]),)
        layers += Line(f"free_{k}", PALETTE[k], arm.grade, t[keep], free[keep], bands, step=True).layers(
            plane
        )
        said.append((name, arm.grade, float(free[-1]), PALETTE[k]))
        reach = "5-95 %" if "free" in arm.bands else "95 % interval"
        told.append((t, Told(f"{name} ({reach})", free, span, arm.grade)))
        times = np.sort(times_to(arm.arrays, "relapse")[0])
        for tick in clock.ticks:
            left = int(times.size - np.searchsorted(times, tick * clock.per_unit_h / _DAY - 1e-9))
            risk.append({"t": tick, "py": 8 + 15 * k, "text": f"{left:,}", "colour": PALETTE[k]})
    layers += label(plane, "names_free", said)
    layers += _pointer(plane, "free", told, ".0%")
    panel = {"layer": layers, "width": sheet.width, "height": plane.height, "title": sheet.title(_FREE)}
    below = {
        "data": sheet.data("at_risk", risk),
        "mark": {"type": "text", "baseline": "middle", "fontSize": 11},
        "encoding": {
            "x": x | {"axis": blank()},
            "y": pixel("py"),
            "text": {"field": "text", "type": "nominal"},
            "color": colour(),
        },
        "width": sheet.width,
        "height": 15 * len(named),
        "title": sheet.title("patients at risk", offset=2),
    }
    return [panel, below]


def _free(arm: CourseResult) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Days, share free, and its band: over parameters at the visits, else that of Monte Carlo alone."""
    frame = arm.kaplan_meier("relapse")
    day, free = frame["day"].to_numpy().astype(float), frame["free"].to_numpy().astype(float)
    if not len(day):  # nobody's clock began
        return np.zeros(1), np.full(1, np.nan), (np.full(1, np.nan), np.full(1, np.nan))
    if "free" not in arm.bands:
        return day, free, (frame["low"].to_numpy().astype(float), frame["high"].to_numpy().astype(float))
    visits = arm["visit_days"]
    whole = np.union1d(day, visits[visits <= day[-1]])

    def at(days: Any, values: Any) -> Any:
        return values[np.clip(np.searchsorted(days, whole, side="right") - 1, 0, None)]

    # a draw with nobody at risk says nothing about the others
    low, high = np.nanquantile(arm.bands["free"], [0.05, 0.95], axis=0)
    return whole, at(day, free), (at(visits, low), at(visits, high))
