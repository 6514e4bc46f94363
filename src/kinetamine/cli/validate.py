"""``kinetamine validate``: models against published observations and trials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import Progress, emit, grid, render, write_whole
from kinetamine.errors import InputError

__all__ = ["validate"]

_ENDINGS = (".md", ".csv", ".parquet")


@command(
    "validate",
    gives=("out", "data", "quiet"),
    examples="""
kinetamine validate pk
kinetamine validate pk --out docs/validation_pk.md
kinetamine validate interactions --out docs/validation_interactions.md
kinetamine validate course --out docs/validation_course.md
kinetamine validate effects --out docs/validation_effects.md --data effects.csv
""",
)
def validate(asked: questions.Validate, out: Out) -> None:
    """Simulate every usable published observation and say how far off each prediction is."""
    from kinetamine.evidence import stored
    from kinetamine.evidence.parts import part

    if out.out is not None and Path(out.out).suffix not in _ENDINGS:
        raise InputError("--out", repr(out.out), "a name ending in .md, .csv or .parquet", f"{out.out}.md")
    chosen = part(asked.part)
    with Progress(out.quiet, chosen.COUNTED) as watch:
        report = chosen.run(watch.progress)
    if out.out is not None:
        write_whole(out.out, _content(out.out, chosen.page, report, asked.part), "--out")
    if out.data is not None:
        write_whole(out.data, stored.text(asked.part, report), "--data")
    found = report.screen()
    table = grid(*found.head)
    for row in found.rows:
        table.add_row(*row)
    emit(render(table, *found.lines))
    for path in (out.out, out.data):
        if path is not None:
            out.say(f"wrote {path}")
    if out.out is None:
        out.say(f"each of them: --out validation_{asked.part}.md")


def _content(out: str, page: Any, report: Any, what: str) -> Any:
    """What goes into a file, by its ending."""
    from kinetamine.evidence import stored

    writers = {
        ".md": lambda: page(report),
        ".csv": lambda: stored.text(what, report),
        ".parquet": lambda: lambda place: stored.frame(stored.text(what, report)).write_parquet(place),
    }
    return writers[Path(out).suffix]()
