"""``kinetamine check``: a whole scenario before the safety desk."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, render, say
from kinetamine.cli.screen import as_json, check_format, citations, findings_table

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine check examples/safety_check.toml

kinetamine check examples/nasal_esketamine.toml --format json
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("check", epilog=_EPILOG, no_args_is_help=True)(_check)


def _check(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO.toml", help="A scenario file.")],
    cite: Annotated[bool, typer.Option("--cite", help="List the sources of what is shown.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """Check a scenario: screening, interactions, concentrations; gravest first. Exit code 0 whatever is found."""
    check_format(format_)
    from kinetamine.safety.check import check

    found = check(scenario)
    if format_ == "json":
        emit(as_json(found.to_dict()))
        say(DISCLAIMER)
        return
    parts: list[Any] = [found.title] if found.title else []
    parts += findings_table(found.findings)
    for p in found.peaks:
        line = f"Typical peak of {p.name}, {p.site}: {p.ng_ml:.3g} ng/mL ({p.grade})"
        reached = sum(t.reached for t in p.thresholds)
        parts.append(f"{line}; reaches {reached} of {len(p.thresholds)} published ranges. {p.note}".rstrip())
    if found.screening.missing:
        parts.append(f"Not told, though a rule asks for it: {', '.join(found.screening.missing)}.")
    parts += found.notes
    parts += citations(f.source for f in found.findings) if cite else ()
    clearance = "Not a clearance: only what was published about what the scenario says is found."
    emit(render(*parts, "", clearance, DISCLAIMER))
