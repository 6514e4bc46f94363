"""``kinetamine claims``: statements the public reads, each against its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say
from kinetamine.errors import UnknownName

if TYPE_CHECKING:
    from kinetamine.evidence.claims import Claim

__all__ = ["register"]

_FORMATS = ("table", "json", "md")
_EPILOG = """Examples:

kinetamine claims --no-compute

kinetamine claims C13

kinetamine claims C08 --format json
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("claims", epilog=_EPILOG)(_claims)


def _claims(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Some of them, such as C13; default all.")
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|md", help="How to show it.")
    ] = "table",
    compute: Annotated[
        bool, typer.Option("--compute/--no-compute", help="With or without the simulator's own numbers.")
    ] = True,
) -> None:
    """Check statements about ketamine: verdict, evidence for and against, and the simulator's own number."""
    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    from kinetamine.evidence import claims

    some = claims.claims(*(ids or ()))
    if format_ == "md":
        emit(claims.markdown(some, compute))
    elif format_ == "json":
        import json

        rows = [claim.to_dict(compute) for claim in some]
        emit(json.dumps(rows, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
        say(DISCLAIMER)
    else:
        emit(_screen(some, compute))


def _screen(some: list[Claim], compute: bool) -> str:
    parts: list[Any] = []
    for claim in some:
        parts.append(f"{claim.id} {claim.statement}: {claim.verdict}")
        computed = claim.computed if compute else None
        if computed is not None:
            parts += [f"computed: {computed.text}", f"again: {computed.command}"]
        table = grid("evidence", "direction", "source", "seen", right=False)
        for f in claim.evidence:
            table.add_row("; ".join(filter(None, (f.words, f.note))), f.direction, f.citation, f.seen)
        parts.append(table)
    return render(*parts, DISCLAIMER)
