"""``kinetamine effects``: when a dose begins to act, when it ends, and in how many people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid, say

if TYPE_CHECKING:
    from kinetamine.effects import AcuteEffects

__all__ = ["effects"]

_TIMES = ("onset_min", "peak_min", "offset_min", "duration_min")


@command(
    "effects",
    formats=("table", "json", "csv"),
    gives=("out", "figure", "cite"),
    examples="""
kinetamine effects --dose "2 mg/kg iv over 1 min" --effect "not awake"
kinetamine effects --dose "84 mg esketamine nasal" --patients 1000 --format json
kinetamine effects --dose "1 mg/kg iv over 1 min" --age 2-10 --effect sedation
kinetamine effects --dose "2 mg/kg iv over 1 min" --effect anaesthesia --all-models
""",
)
def effects(asked: questions.EffectsLine, out: Out) -> None:
    """Onset, peak, offset and duration of acute effects, with the share of the people affected."""
    from kinetamine.effects import effects
    from kinetamine.questions import people

    who = people.of(asked, "--", many=not asked.typical, uncertainty=True)
    found = effects(asked.doses, population=who, notify=say, **asked.arguments())
    out.give(
        lambda: _table(found, named=bool(asked.effect)),
        json=lambda: as_json(found.to_dicts(models=asked.all_models)),
        csv=lambda: _csv(found),
        sources=lambda: _sources(found),
        figure=lambda figures: figures.timeline(found, typical=asked.typical),
    )


def _csv(found: AcuteEffects) -> str:
    import polars

    rows = []
    for row in found:
        plain: dict[str, Any] = {"effect": row.effect, "threshold": row.threshold}
        for key in _TIMES:
            bands = getattr(row, key) or {}
            plain |= {f"{key}_{q}": bands.get(q) for q in ("q05", "q50", "q95")}
        plain |= {"affected": row.affected, "grade": row.grade, "model": row.model, "module": row.module}
        rows.append({**plain, "sources": " | ".join(row.sources)})
    return polars.DataFrame(rows, infer_schema_length=None).write_csv()


def _sources(found: AcuteEffects) -> list[str]:
    return list(dict.fromkeys(source for row in found for source in row.sources))


def _table(found: AcuteEffects, named: bool) -> list[Any]:
    from rich.text import Text

    table = grid("effect", "onset, min", "peak, min", "offset, min", "lasts, min", "people", "grade")
    table.columns[0].max_width, table.columns[-1].no_wrap = 40, True
    for row in found:
        name = Text.assemble(
            (row.effect, "bold"), f"{_size(row)}\n", (f"{row.threshold}\n{row.module} on {row.model}", "dim")
        )
        times = (_shown(getattr(row, key), "" if row.varies else row.spread) for key in _TIMES)
        table.add_row(name, *times, f"{row.affected:.0%}", row.grade)
    parts: list[Any] = [f"{model}: {why}" for model, why in found.models.items()]
    parts += ["Minutes after the first dose: median, and 5 to 95 % of those affected", table]
    reasons: dict[str, list[str]] = {}
    for row in found:
        reasons.setdefault("; ".join(row.reasons), []).append(row.effect)
    parts += [f"{', '.join(dict.fromkeys(names))}: {why}" for why, names in reasons.items() if why]
    if found.left_out:
        lines = found.left_out.values() if named else [", ".join(found.left_out)]
        parts += ["", f"Cannot answer here{'' if named else ' (ask for one by --effect to see why)'}:"]
        parts += [f"- {line}" for line in lines]
    return parts


def _size(row: Any) -> str:
    if row.size is None:
        return ""
    low, middle, high = (f"{v:.3g}" for v in row.size.values())
    unit = {"1": "", "percent": " %"}.get(row.unit, f" {row.unit}")
    return f": {middle}{unit} at the peak" + (f" ({low} to {high})" if row.varies and low != high else "")


def _shown(bands: dict[str, float | None] | None, instead: str) -> str:
    if bands is None:
        return "–"
    low, middle, high = (">" if v is None else _digits(v) for v in bands.values())
    if instead:
        return f"{middle}\n{instead}"
    return f"{middle}\n{low} to {high}"


def _digits(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
