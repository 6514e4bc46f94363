"""``kinetamine validate``: models against published observations and trials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kinetamine.cli.output import Progress, check_writable, emit, grid, render, say, write_whole
from kinetamine.errors import InputError

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine validate pk

kinetamine validate pk --out docs/validation_pk.md

kinetamine validate interactions --out docs/validation_interactions.md

kinetamine validate course --out docs/validation_course.md

kinetamine validate effects --out docs/validation_effects.md --data effects.csv
"""


_ENDINGS = (".md", ".csv", ".parquet")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("validate", epilog=_EPILOG, no_args_is_help=True)(_validate)


def _validate(
    what: Annotated[
        str,
        typer.Argument(
            metavar="pk|interactions|course|effects",
            help="What to validate: pk, concentrations in blood; interactions, ratios with drugs and diseases; "
            "course, depression scores in trials; effects, onset, length and frequency of acute effects.",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH.md", help="Write all of it: .md to read, .csv or .parquet to compute with."
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="PATH.csv", help="Write each comparison, all parts in one shape, as the page shows them."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No messages but errors.")] = False,
) -> None:
    """Simulate every usable published observation and say how far off each prediction is."""
    from kinetamine.evidence import stored
    from kinetamine.evidence.parts import part

    for path, option in ((out, "--out"), (data, "--data")):
        if path is not None:
            check_writable(path, option)
    if out is not None and Path(out).suffix not in _ENDINGS:
        raise InputError("--out", repr(out), "a name ending in .md, .csv or .parquet", f"{out}.md")
    chosen = part(what)
    with Progress(quiet, chosen.COUNTED) as watch:
        report = chosen.run(watch.progress)
    if out is not None:
        write_whole(out, _content(out, chosen.page, report, what), "--out")
    if data is not None:
        write_whole(data, stored.text(what, report), "--data")
    found = report.screen()
    table = grid(*found.head)
    for row in found.rows:
        table.add_row(*row)
    emit(render(table, *found.lines))
    if not quiet:
        for path in (out, data):
            if path is not None:
                say(f"wrote {path}")
        if out is None:
            say(f"each of them: --out validation_{what}.md")


def _content(out: str, page: Any, report: Any, what: str) -> Any:
    """What goes into a file, by its ending."""
    from kinetamine.evidence import stored

    writers = {
        ".md": lambda: page(report),
        ".csv": lambda: stored.text(what, report),
        ".parquet": lambda: lambda place: stored.frame(stored.text(what, report)).write_parquet(place),
    }
    return writers[Path(out).suffix]()
