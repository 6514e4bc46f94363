"""``kinetamine compare``: the same dose through every published model that applies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.effects import people
from kinetamine.cli.output import DISCLAIMER, check_writable, emit, grid, render, say, write_whole
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.comparison import Comparison

__all__ = ["register"]

_FORMATS = ("table", "json", "csv")
_WHAT, _WHO, _WHEN, _OUT = "What is given", "Who gets it", "When to look", "What comes out"
_EPILOG = """Examples:

kinetamine compare --dose "0.5 mg/kg iv over 40 min" --set weight=70

kinetamine compare --dose "28 mg esketamine iv over 40 min" --patients 500 --age 18-64 --until "8 h"

kinetamine compare --dose "28 mg esketamine iv over 40 min" --analyte S-norketamine --format csv
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("compare", epilog=_EPILOG, no_args_is_help=True)(_compare)


def _compare(
    dose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHRASE",
            help="Such as '0.5 mg/kg iv over 40 min'; repeat for more.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|FILE.toml",
            help="Only these; 'A + B' for a model of each enantiomer. Default: all that apply.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    analyte: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Such as ketamine (S and R together) or S-norketamine; repeat for more. Default: what is given.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    patients: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How many people. Default: one typical patient.", rich_help_panel=_WHO
        ),
    ] = None,
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
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Last time, such as '24 h'.", rich_help_panel=_WHEN)
    ] = None,
    step: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time between points.", rich_help_panel=_WHEN)
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|csv", help="How to show it.", rich_help_panel=_OUT)
    ] = "table",
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write to a file instead of the screen.", rich_help_panel=_OUT),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(
            metavar="PATH.svg", help="Also draw it: .svg, .pdf, .png or .json.", rich_help_panel=_OUT
        ),
    ] = None,
    cite: Annotated[
        bool, typer.Option("--cite", help="List the papers behind this very run.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """The same dose through every published model that applies, and how far they are apart."""
    from kinetamine.comparison import compare

    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    if not dose:
        raise InputError("--dose", "nothing", "a dose", '--dose "0.5 mg/kg iv over 40 min"')
    for path, option in ((out, "--out"), (figure, "--figure")):
        if path is not None:
            check_writable(path, option)
    found = compare(
        dose,
        people(
            1 if patients is None else patients,
            seed,
            age,
            set_ or [],
            typical=patients is None,
            uncertainty=False,
        ),
        models=model or None,
        analyte=analyte or None,
        until=until,
        step=step,
        notify=say,
    )
    if figure is not None:
        from kinetamine.report import figures

        figures.save(figures.comparison(found, doses=found.doses), figure)
    if format_ == "json":
        import json

        text = json.dumps(found.to_dict(), ensure_ascii=False) + "\n"
    elif format_ == "csv":
        text = found.frame().write_csv()
    else:
        text = _table(found, cite, plain=out is not None, named=bool(model))
    if out is None:
        emit(text)
    else:
        write_whole(out, text)
    if format_ != "table":
        if cite:
            say("\n".join(_sources(found)))
        say(DISCLAIMER)


def _sources(found: Comparison) -> list[str]:
    return list(dict.fromkeys(source for row in found for source in row.source.split(" | ")))


def _table(found: Comparison, cite: bool, plain: bool, named: bool) -> str:
    from rich.text import Text

    from kinetamine.comparison import near_misses

    who = "one typical patient" if found.typical else f"{found.n:,} people, medians"
    parts: list[Any] = [f"{'; '.join(d.describe() for d in found.doses[:1])}: {found.drug}, {who}"]
    table = grid("model", "Cmax", "Tmax, h", "AUC", "half-life, h", "grade")
    table.columns[-1].no_wrap = True
    place = None
    for row in found:
        if (row.analyte, row.site) != place:
            place = (row.analyte, row.site)
            table.add_row(Text(f"{row.analyte}, {row.site}, {row.unit}", "bold"))
        half = "–" if row.half_life_h is None else f"{row.half_life_h:.3g}"
        table.add_row(
            f"  {row.model}", f"{row.cmax:.3g}", f"{row.tmax_h:.2f}", f"{row.auc:.3g}", half, row.grade
        )
    parts.append(table)
    parts += [
        f"{s.analyte}, {s.site}: highest through lowest of {s.models} models: "
        f"Cmax {s.cmax:.2f}, AUC {s.auc:.2f}"
        for s in found.spread
    ]
    parts.append(f"AUC: {found[0].unit} times h, to the last time ({found[0].time_h[-1]:g} h).")
    reasons: dict[str, list[str]] = {}
    for row in found:
        reasons.setdefault("; ".join(row.reasons), []).append(row.model)
    parts += [f"{', '.join(dict.fromkeys(models))}: {why}" for why, models in reasons.items() if why]
    near = found.refused if named else near_misses(found.refused)
    if found.refused:
        far = len(found.refused) - len(near)
        others = f" {far} more have no such route or lack published numbers." if far else ""
        parts += ["", f"Do not apply:{others}", *(f"- {name}: {why}" for name, why in near.items())]
    if cite:
        parts += ["", "Sources", *_sources(found)]
    return render(*parts, DISCLAIMER, plain=plain)
