"""The forest plot of docs/course.md: each arm's share, published and predicted by a fit without its trial.

python docs/make_course_forest.py
"""

from __future__ import annotations

from pathlib import Path

from kinetamine.evidence.course import fits, observations
from kinetamine.files import write_whole

OUT = Path(__file__).parent / "img" / "course_forest.svg"
_X = {"type": "quantitative", "title": "%", "scale": {"domain": [0, 100]}}


def rows() -> list[dict[str, object]]:
    """One row for each published share of an arm."""
    data, found = observations.load(), []
    for id, row in fits.predicted().items():
        o = data.outcome(id)
        if o.measure in ("response", "remission"):
            label = f"{o.trial}, {o.treated}: {o.measure}, day {o.day:g}"
            numbers = row.model_dump(
                include={"low", "high", "predicted", "low95", "low80", "high80", "high95"}
            )
            found.append({"label": label, "design": row.design, "published": o.value, **numbers})
    return found


def figure() -> dict[str, object]:
    """As Vega-Lite."""
    y = {
        "field": "label",
        "type": "nominal",
        "title": None,
        "sort": None,
        "axis": {"labelLimit": 400, "labelFontSize": 9},
    }

    def layer(mark: dict[str, object], x: str, x2: str | None = None) -> dict[str, object]:
        encoding: dict[str, object] = {"y": y, "x": {"field": x, **_X}}
        if x2:
            encoding["x2"] = {"field": x2}
        return {"mark": mark, "encoding": encoding}

    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": rows()},
        "width": 420,
        "height": {"step": 11},
        "layer": [
            layer({"type": "bar", "color": "#cfe3d6", "height": 8}, "low", "high"),
            layer({"type": "tick", "color": "#2e7d4f", "thickness": 2, "size": 8}, "published"),
            layer({"type": "rule", "color": "#888"}, "low95", "high95"),
            layer({"type": "rule", "color": "#333", "strokeWidth": 2.5}, "low80", "high80"),
            layer({"type": "point", "filled": True, "color": "#333", "size": 22}, "predicted"),
        ],
    }


if __name__ == "__main__":
    import vl_convert

    write_whole(OUT, vl_convert.vegalite_to_svg(figure()))
