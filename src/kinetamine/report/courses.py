"""The figure of a course: scores, response and relapse of groups, with the uncertainty of the group.

Every figure says in words that it is a model of groups. A dashed line is extrapolated, a solid one fitted; the
band is the uncertainty of the group's outcome, not the spread between patients.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.report.figures import _DASHES, FAINT, GRID, INK, PALETTE, _altair, thin

if TYPE_CHECKING:
    import altair as alt

    from kinetamine.course import CourseResult

__all__ = ["course_figure"]

_PANELS = {"mean": "MADRS, mean", "response": "in response", "free": "free of relapse since its clock began"}


def course_figure(
    arms: CourseResult | Mapping[str, CourseResult], width: int = 480, height: int = 160
) -> alt.VConcatChart:
    """Mean score, share in response and share free of relapse over days, one colour per arm.

    Parameters
    ----------
    arms : CourseResult or dict
        One group, or several by name.
    width, height : int
        Of one panel, in pixels.

    Returns
    -------
    altair.VConcatChart
        `kinetamine.report.figures.save` writes it to a file.

    Raises
    ------
    MissingExtra
        If altair is not installed.

    Examples
    --------
    >>> import kinetamine as kt
    >>> arm = kt.course("0.5 mg/kg iv over 40 min", n=200, weeks=2)
    >>> course_figure(arm).to_dict()["title"]["subtitle"][0]
    'A model of groups with wide uncertainty, fitted to published trials: not for a person.'
    """
    alt = _altair()
    named = dict(arms) if isinstance(arms, Mapping) else {"; ".join(arms.regimen): arms}
    if not named or len(named) > len(PALETTE):
        raise InputError("figure", f"{len(named)} arms", f"1 to {len(PALETTE)} arms")
    rows = [row for name, arm in named.items() for row in _rows(name, arm)]
    colour = alt.Color(
        "arm:N", sort=None, scale=alt.Scale(domain=list(named), range=list(PALETTE[: len(named)]))
    )
    colour.legend = alt.Legend(orient="top", title=None, labelLimit=width, columns=1, symbolType="stroke")
    dash = alt.StrokeDash("grade:N", legend=None, scale=_dashes(alt))
    panels = []
    for panel, title in _PANELS.items():
        chosen = [row for row in rows if row["panel"] == panel]
        if not chosen:
            continue
        share = panel != "mean"
        domain = [0, 1] if share else [0, 60]
        axis = alt.Axis(format="%" if share else "d", tickCount=4)
        x = alt.X("day:Q", title="day", scale=alt.Scale(nice=False))
        y = alt.Y("value:Q", title=None, scale=alt.Scale(domain=domain), axis=axis)
        base = alt.Chart(alt.Data(values=chosen)).encode(x=x, color=colour)
        step = {"interpolate": "step-after"} if panel == "free" else {}
        under = [row for row in rows if row["panel"] == "free band"] if panel == "free" else chosen
        band = alt.Chart(alt.Data(values=under)).mark_area(opacity=0.18, **step)
        band = band.encode(x=x, color=colour, y=alt.Y("low:Q", title=None), y2="high:Q")
        line = base.mark_line(strokeWidth=2, **step).encode(y=y, strokeDash=dash)
        panels.append(
            (band + line).properties(width=width, height=height, title=alt.Title(title, frame="group"))
        )
    first = next(iter(named.values()))
    grades = sorted({arm.grade for arm in named.values()})
    said = ", ".join(
        {"extrapolated": "dashed: extrapolated", "fitted": "solid: fitted"}[grade] for grade in grades
    )
    words = [
        first.caveat,
        f"Bands: 5-95 % of the group's outcome over parameter uncertainty. {said.capitalize()}.",
    ]
    title = alt.TitleParams(
        "Course of depression scores, groups", subtitle=words, anchor="start", frame="bounds"
    )
    figure = alt.vconcat(*panels, spacing=12).properties(title=title, background="transparent")
    return (
        figure.configure(font="sans-serif", aria=False)
        .configure_view(stroke=None)
        .configure_axis(labelColor=FAINT, titleColor=INK, gridColor=GRID, tickColor=GRID, domainColor=FAINT)
        .configure_title(anchor="start", color=INK, subtitleColor=FAINT, subtitleFontSize=11.5)
    )


def _dashes(alt: Any) -> Any:
    styles = {grade: _DASHES[(False, grade)] or [1, 0] for grade in ("fitted", "extrapolated")}
    return alt.Scale(domain=list(styles), range=list(styles.values()))


def _rows(name: str, arm: CourseResult) -> list[dict[str, Any]]:
    """One row per point."""
    who = {"arm": name, "grade": arm.grade}
    found = []
    for row in arm.visits().iter_rows(named=True):
        for panel in ("mean", "response"):
            value = row[panel]
            low, high = row.get(f"{panel}_low", value), row.get(f"{panel}_high", value)
            found.append({**who, "panel": panel, "day": row["day"], "value": value, "low": low, "high": high})
    free = arm.kaplan_meier("relapse")
    if free.height > 1:
        kept = free[thin(free["free"].to_numpy()).tolist()]
        found += [
            {**who, "panel": "free", "day": day, "value": free}
            for day, free in kept["day", "free"].iter_rows()
        ]
        if "free" in arm.bands:
            # a draw with nobody at risk says nothing about the others
            low, high = np.nanquantile(arm.bands["free"], [0.05, 0.95], axis=0)
            found += [
                {**who, "panel": "free band", "day": day, "low": a, "high": b}
                for day, a, b in zip(arm["visit_days"].tolist(), low.tolist(), high.tolist(), strict=True)
            ]
    return found
