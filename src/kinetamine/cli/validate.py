"""``kinetamine validate``: published models against published observations."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kinetamine.cli.output import Progress, check_writable, emit, grid, render, say
from kinetamine.errors import UnknownName

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine validate pk

kinetamine validate pk --out docs/validation.md
"""
_WHAT = ("pk",)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("validate", epilog=_EPILOG, no_args_is_help=True)(_validate)


def _validate(
    what: Annotated[str, typer.Argument(metavar="pk", help="What to validate: pk, concentrations in blood.")],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH.md", help="Write all of it: .md to read, .csv or .parquet to compute with."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No messages but errors.")] = False,
) -> None:
    """Simulate every usable published observation and say how far off each prediction is."""
    if what not in _WHAT:
        raise UnknownName("validate", what, _WHAT, "pk")
    if out is not None:
        check_writable(out, "--out")
    from kinetamine.evidence import validate_pk

    with Progress(quiet, "observations") as watch:
        report = validate_pk.run(watch.progress)
    if out is not None:
        report.write(out)
    emit(_screen(report))
    if not quiet:
        say(f"wrote {out}" if out is not None else "the whole report: --out validation.md")


def _screen(report: Any) -> str:
    """Agreement by model and sampling site."""
    table = grid("prediction / observation", "n", "median", "AAFE", "within 1.25", "within 2")
    for name, s in report.summary():
        shares = (f"{100 * share:.0f} %" for share in (s.within_1_25, s.within_2))
        table.add_row(name, str(s.n), f"{s.median:.2f}", f"{s.aafe:.2f}", *shares)
    lines = [
        f"{len(report.comparisons)} values and {len(report.curves)} curves compared, "
        f"{len(report.unpredicted)} rows nothing here can predict, {len(report.unusable)} unusable.",
        "AAFE: absolute average fold error. Models are taken as published; nothing was fitted.",
    ]
    return render(table, *lines)
