"""``kinetamine infusion``: bolus and rates that reach and hold a concentration, and the fall after the stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid

if TYPE_CHECKING:
    from kinetamine.infusion import Infusion

__all__ = ["infusion"]


@command(
    "infusion",
    formats=("table", "json", "csv"),
    gives=("out", "figure", "cite"),
    examples="""
kinetamine infusion --model kamp_2020_meta_racemic --target "200 ng/mL" --for "2 h" --max-rate "200 mg/h"
kinetamine infusion --model otto_2021_s_ketamine --target "100 ng/mL" --for "1 h" --wake-at "50 ng/mL" --patients 1000
kinetamine infusion --model kamp_2020_meta_racemic --site "effect site" --ke0 "0.3 1/min" --target 150 --for "1 h"
""",
)
def infusion(asked: questions.Infusion, out: Out) -> None:
    """Plan a target-controlled infusion: bolus, rates in time, what is held, and the fall after the stop."""
    from kinetamine.infusion import infusion_for
    from kinetamine.population import Patient
    from kinetamine.questions import people

    plan = infusion_for(asked.target, patient=Patient(**people.fixed(asked, "--set ")), **asked.arguments())
    others = None if asked.patients is None else people.of(asked, "--")
    facts = plan.to_dict(others, asked.half_times)
    every = asked.every or (plan.duration_h / 12 if out.format == "table" else None)
    table = plan.table(every)
    out.give(
        lambda: _screen(plan, facts, table),
        json=lambda: as_json({**facts, "rates": table.to_dicts()}),
        csv=lambda: str(table.write_csv()),
        sources=lambda: [plan.predict(times=[0.0]).cite()],
        figure=lambda figures: figures.curves(plan.predict(others, until=2 * plan.duration_h), [plan.output]),
    )


def _time(hours: float | None) -> str:
    if hours is None:
        return "later than a year"
    return f"{60 * hours:.3g} min" if hours < 2 else f"{hours:.3g} h"


def _screen(plan: Infusion, facts: dict[str, Any], table: Any) -> list[Any]:
    unit = plan.unit
    low, high = plan.held
    parts: list[Any] = [
        f"{plan.output} at {plan.target:g} {unit} in {plan.site}, model {plan.model}, its typical patient",
        f"bolus {plan.bolus_mg:.4g} mg, {plan.total_mg:.4g} mg in all; reached after {_time(plan.reached_h)}, "
        f"held {low:.5g} to {high:.5g} {unit} until {_time(plan.duration_h)}; "
        f"highest in plasma {plan.peak_plasma:.4g} {unit}",
        f"after the stop: half of it after {_time(facts['half_time_h'])}"
        + (f", {plan.wake_at:g} {unit} after {_time(facts['wake_h'])}" if plan.wake_at is not None else ""),
        "",
    ]
    columns = grid("from", "until", "mg/h", *(name for name in table.columns[3:]))
    for start, end, rate, *levels in table.iter_rows():
        columns.add_row(_time(start), _time(end), f"{rate:.4g}", *(f"{v:.4g}" for v in levels))
    parts.append(columns)
    for row in facts.get("context_sensitive_half_times", ()):
        parts.append(f"context-sensitive half-time after {row['held_for']}: {_time(row['half_time_h'])}")
    people = facts.get("people")
    if people:
        at = people["plasma_at_stop"]
        parts.append(
            f"the same plan in {people['n']:,} people (seed {people['seed']}): plasma at the stop "
            f"{at['0.5']:.4g} {unit} (90 % between {at['0.05']:.4g} and {at['0.95']:.4g})"
        )
        if "wake_h" in people:
            wake = people["wake_h"]
            parts.append(
                f"{plan.wake_at:g} {unit} after {_time(wake['0.5'])} "
                f"(90 % between {_time(wake['0.05'])} and {_time(wake['0.95'])})"
            )
    elif plan.system.spec.variability:
        parts.append("people differ from the typical patient: --patients 1000 shows how far")
    else:
        parts.append(
            "people differ from the typical patient; this model has no published variability to show it"
        )
    parts += [f"remark: {remark}" for remark in plan.remarks]
    parts += [f"grade: {plan.grade} ({'; '.join(plan.reasons)})"]
    return parts
