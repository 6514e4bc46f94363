"""``kinetamine infusion``: bolus and rates that reach and hold a concentration, and the fall after the stop."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say
from kinetamine.cli.simulate import named_values
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.infusion import Infusion

__all__ = ["people_given", "plan_facts", "register"]

_FORMATS = ("table", "json", "csv")
_BANDS = (0.05, 0.5, 0.95)
_EPILOG = """Examples:

kinetamine infusion --model kamp_2020_meta_racemic --target "200 ng/mL" --for "2 h" --max-rate "200 mg/h"

kinetamine infusion --model otto_2021_s_ketamine --target "100 ng/mL" --for "1 h" --wake-at "50 ng/mL" --patients 1000

kinetamine infusion --model kamp_2020_meta_racemic --site "effect site" --ke0 "0.3 1/min" --target 150 --for "1 h"
"""
_WHAT, _PUMP, _WHO, _OUT = "What is held", "The pump", "Who gets it", "What comes out"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("infusion", epilog=_EPILOG, no_args_is_help=True)(_infusion)


def _infusion(
    model: Annotated[
        str,
        typer.Option(metavar="ID|FILE.toml", help="A linear model with the route iv.", rich_help_panel=_WHAT),
    ],
    target: Annotated[str, typer.Option(metavar="LEVEL", help="Such as '200 ng/mL'.", rich_help_panel=_WHAT)],
    length: Annotated[
        str, typer.Option("--for", metavar="TIME", help="Until the pump stops.", rich_help_panel=_WHAT)
    ],
    site: Annotated[
        str,
        typer.Option(metavar="plasma|'effect site'", help="Where the target is.", rich_help_panel=_WHAT),
    ] = "plasma",
    ke0: Annotated[
        str | None,
        typer.Option(
            metavar="RATE", help="How fast the effect site follows: '0.3 1/min'.", rich_help_panel=_WHAT
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="NAME", help="If the model has several.", rich_help_panel=_WHAT)
    ] = None,
    wake_at: Annotated[
        str | None,
        typer.Option(
            "--wake-at", metavar="LEVEL", help="Say when it has fallen to this.", rich_help_panel=_WHAT
        ),
    ] = None,
    max_rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Such as '200 mg/h' or '3 mg/kg/h'.", rich_help_panel=_PUMP),
    ] = None,
    bolus: Annotated[
        bool, typer.Option("--bolus/--no-bolus", help="Whether to load at once.", rich_help_panel=_PUMP)
    ] = True,
    max_bolus: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="The most at once.", rich_help_panel=_PUMP)
    ] = None,
    step: Annotated[
        str, typer.Option(metavar="TIME", help="How long a rate is kept.", rich_help_panel=_PUMP)
    ] = "10 s",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A covariate, such as weight=80.", rich_help_panel=_WHO
        ),
    ] = None,
    patients: Annotated[
        int | None,
        typer.Option(metavar="N", help="What the same plan does in N other people.", rich_help_panel=_WHO),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="S", help="Same seed, same people.", rich_help_panel=_WHO)] = 0,
    every: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Rows of the table (means over them); default a twelfth.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    held_for: Annotated[
        str | None,
        typer.Option(
            "--half-times",
            metavar="TIME,TIME",
            help="Context-sensitive half-times after being held so long.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|csv", help="How to show it.", rich_help_panel=_OUT)
    ] = "table",
    cite: Annotated[
        bool, typer.Option("--cite", help="List the papers behind it.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """Plan a target-controlled infusion: bolus, rates in time, what is held, and the fall after the stop."""
    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    from kinetamine.infusion import context_sensitive_half_time, infusion_for
    from kinetamine.population import Patient, Population

    fixed: dict[str, Any] = {**named_values(set_ or [])}
    plan = infusion_for(
        target, model=model, duration=length, patient=Patient(**fixed), site=site, ke0=ke0, output=output,
        wake_at=wake_at, max_rate=max_rate, bolus=bolus, max_bolus=max_bolus, step=step,
    )  # fmt: skip
    facts = plan_facts(plan)
    if held_for is not None:
        spans = [text.strip() for text in held_for.split(",") if text.strip()]
        times = context_sensitive_half_time(model, spans, patient=plan.patient, output=plan.output)
        facts["context_sensitive_half_times"] = [
            {"held_for": span, "half_time_h": _finite(time)} for span, time in zip(spans, times, strict=True)
        ]
    if patients is not None:
        if not plan.system.spec.variability:
            raise InputError(
                "--patients",
                f"the model {plan.model}",
                "a model with published variability",
                "leaving it out",
            )
        facts["people"] = people_given(plan, Population(patients, seed=seed, **fixed))
    table = plan.table(every or (plan.duration_h / 12 if format_ == "table" else None))
    if format_ == "csv":
        emit(table.write_csv())
    elif format_ == "json":
        import json

        rows = table.to_dicts()
        emit(json.dumps({**facts, "rates": rows}, ensure_ascii=False, indent=1) + "\n")
    else:
        emit(_screen(plan, facts, table))
    if cite:
        (emit if format_ == "table" else say)(plan.predict(times=[0.0]).cite() + "\n")
    if format_ != "table":
        say(DISCLAIMER)


def _finite(hours: float | None) -> float | None:
    return hours if hours is not None and math.isfinite(hours) else None


def plan_facts(plan: Infusion) -> dict[str, Any]:
    return {
        "model": plan.model,
        "output": plan.output,
        "site": plan.site,
        "target": plan.target,
        "unit": plan.unit,
        "bolus_mg": plan.bolus_mg,
        "total_mg": plan.total_mg,
        "reached_h": plan.reached_h,
        "duration_h": plan.duration_h,
        "held": list(plan.held),
        "peak_plasma": plan.peak_plasma,
        "half_time_h": _finite(plan.half_time_h),
        "wake_at": plan.wake_at,
        "wake_h": _finite(plan.wake_h),
        "grade": plan.grade,
        "reasons": list(plan.reasons),
        "remarks": list(plan.remarks),
    }


def people_given(plan: Infusion, population: Any) -> dict[str, Any]:
    """Quantiles over people who get the plan made for the typical patient."""
    import numpy as np

    end = plan.predict(population, times=[plan.duration_h])[plan.output][:, 0]
    found: dict[str, Any] = {
        "n": population.n,
        "seed": population.seed,
        "plasma_at_stop": {f"{q:g}": float(np.quantile(end, q)) for q in _BANDS},
    }
    if plan.wake_at is not None and plan.site == "plasma":
        wake = plan.falls(population, plan.wake_at)
        quantiles = np.quantile(wake, _BANDS, method="lower")
        found["wake_h"] = {f"{q:g}": _finite(float(v)) for q, v in zip(_BANDS, quantiles, strict=True)}
    return found


def _time(hours: float | None) -> str:
    if hours is None:
        return "later than a year"
    return f"{60 * hours:.3g} min" if hours < 2 else f"{hours:.3g} h"


def _screen(plan: Infusion, facts: dict[str, Any], table: Any) -> str:
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
    parts += [f"grade: {plan.grade} ({'; '.join(plan.reasons)})", DISCLAIMER]
    return render(*parts)
