"""``kinetamine effects``: when a dose begins to act, when it ends, and in how many people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say, write_whole
from kinetamine.cli.simulate import named_values
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.effects import AcuteEffects

__all__ = ["people", "register"]

_FORMATS = ("table", "json", "csv")
_WHAT, _WHO, _WHEN, _OUT = "What is given", "Who gets it", "When to look", "What comes out"
_TIMES = ("onset_min", "peak_min", "offset_min", "duration_min")
_EPILOG = """Examples:

kinetamine effects --dose "2 mg/kg iv over 1 min" --effect "not awake"

kinetamine effects --dose "84 mg esketamine nasal" --patients 1000 --format json

kinetamine effects --dose "1 mg/kg iv over 1 min" --age 2-10 --effect sedation

kinetamine effects --dose "2 mg/kg iv over 1 min" --effect anaesthesia --all-models
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("effects", epilog=_EPILOG, no_args_is_help=True)(_effects)


def _effects(
    dose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHRASE", help="Such as '2 mg/kg iv over 1 min'; repeat for more.", rich_help_panel=_WHAT
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|FILE.toml",
            help="A pk model; twice for one of S- and one of R-ketamine. Default: see docs/effects.md.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    all_models: Annotated[
        bool,
        typer.Option("--all-models", help="Every pk model that fits, side by side.", rich_help_panel=_WHAT),
    ] = False,
    effect: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|ID|FILE.toml",
            help="An effect or an effect model; repeat for more. Default: all that can answer.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VALUE|EFFECT=VALUE",
            help="Instead of the effect model's own, in the effect's unit.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    allow_site_mismatch: Annotated[
        bool,
        typer.Option(
            "--allow-site-mismatch",
            help="Let arterial effects read venous curves and the other way round; lowers the grade.",
            rich_help_panel=_WHAT,
        ),
    ] = False,
    patients: Annotated[int, typer.Option(metavar="N", help="How many people.", rich_help_panel=_WHO)] = 1000,
    seed: Annotated[int, typer.Option(metavar="S", help="Same seed, same people.", rich_help_panel=_WHO)] = 0,
    age: Annotated[
        str | None,
        typer.Option(metavar="LOW-HIGH", help="Ages, years; below 18: children.", rich_help_panel=_WHO),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Fix a covariate, such as weight=95.", rich_help_panel=_WHO
        ),
    ] = None,
    typical: Annotated[
        bool,
        typer.Option("--typical", help="One typical patient instead of many.", rich_help_panel=_WHO),
    ] = False,
    until: Annotated[
        str, typer.Option(metavar="TIME", help="Last time, such as '24 h'.", rich_help_panel=_WHEN)
    ] = "24 h",
    step: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="Time between points; finer just after a dose.", rich_help_panel=_WHEN
        ),
    ] = "1 min",
    points: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Instead of --step at most about so many times, closest just after doses.",
            rich_help_panel=_WHEN,
        ),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|csv", help="How to show it.", rich_help_panel=_OUT)
    ] = "table",
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write to a file instead of the screen.", rich_help_panel=_OUT),
    ] = None,
    cite: Annotated[
        bool, typer.Option("--cite", help="List the papers behind this very run.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """Onset, peak, offset and duration of acute effects, with the share of the people affected."""
    from kinetamine.effects import effects

    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    if not dose:
        raise InputError("--dose", "nothing", "a dose", '--dose "2 mg/kg iv over 1 min"')
    found = effects(
        dose,
        model=(model[0] if len(model) == 1 else model) if model else None,
        population=people(patients, seed, age, set_ or [], typical),
        effects=effect or None,
        threshold=_threshold(threshold or []),
        until=until,
        step=step,
        points=points,
        all_models=all_models,
        allow_site_mismatch=allow_site_mismatch,
        notify=say,
    )
    if format_ == "json":
        text = _json(found, all_models)
    elif format_ == "csv":
        text = _csv(found)
    else:
        text = _table(found, cite, plain=out is not None, named=bool(effect))
    if out is None:
        emit(text)
    else:
        write_whole(out, text)
    if format_ != "table":
        if cite:
            say("\n".join(_sources(found)))
        say(DISCLAIMER)


def people(
    patients: int, seed: int, age: str | None, sets: list[str], typical: bool, uncertainty: bool = True
) -> Any:
    """The people that the options of a command are about."""
    from kinetamine.population import Patient, Population

    fixed: dict[str, Any] = {k: _number(v) for k, v in named_values(sets).items()}
    if age is not None:
        low, dash, high = age.partition("-")
        try:
            fixed["age"] = (float(low), float(high)) if dash else float(low)
        except ValueError:
            raise InputError("--age", repr(age), "years, one or two", "--age 18-65") from None
    if not typical:
        return Population(patients, seed=seed, uncertainty=uncertainty, **fixed)
    if isinstance(fixed.get("age"), tuple):
        raise InputError("--age", repr(age), "one age for one patient", "--age 40")
    return Patient(**fixed)


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _threshold(given: list[str]) -> Any:
    if not given:
        return None
    read: dict[str, Any] = {}
    for text in given:
        name, sign, value = text.rpartition("=")
        number = _number(value)
        if not isinstance(number, float):
            raise InputError(
                "--threshold", repr(text), "a number, or an effect and a number", "--threshold 2"
            )
        if not sign and len(given) == 1:
            return number
        read[name.strip()] = number
    return read


def _json(found: AcuteEffects, all_models: bool) -> str:
    import json

    rows = [row.to_dict() for row in found]
    if all_models:  # rows differ in nothing else that a reader could tell
        rows = [{**plain, "model": row.model} for plain, row in zip(rows, found, strict=True)]
    return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"


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


def _table(found: AcuteEffects, cite: bool, plain: bool, named: bool) -> str:
    from rich.text import Text

    table = grid("effect", "onset, min", "peak, min", "offset, min", "lasts, min", "people", "grade")
    table.columns[0].max_width, table.columns[-1].no_wrap = 40, True
    for row in found:
        name = Text.assemble(
            (row.effect, "bold"), "\n", (f"{row.threshold}\n{row.module} on {row.model}", "dim")
        )
        times = (_shown(getattr(row, key)) for key in _TIMES)
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
    if cite:
        parts += ["", "Sources", *_sources(found)]
    return render(*parts, DISCLAIMER, plain=plain)


def _shown(bands: dict[str, float | None] | None) -> str:
    if bands is None:
        return "–"
    low, middle, high = (">" if v is None else _digits(v) for v in bands.values())
    return f"{middle}\n{low} to {high}"


def _digits(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:.0f}"
