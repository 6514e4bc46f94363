"""``kinetamine claims``: statements the public reads, each against its evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid

if TYPE_CHECKING:
    from kinetamine.evidence.claims import Claim

__all__ = ["claims"]


@command(
    "claims",
    formats=("table", "json", "md"),
    gives=("out",),
    bare=True,
    examples="""
kinetamine claims --no-compute
kinetamine claims C13
kinetamine claims C08 --format json
""",
)
def claims(asked: questions.Claims, out: Out) -> None:
    """Check statements about ketamine: verdict, evidence for and against, and the simulator's own number."""
    from kinetamine.evidence import claims

    some = claims.claims(*asked.id)
    out.give(
        lambda: _screen(some, asked.compute),
        json=lambda: as_json([claim.to_dict(asked.compute) for claim in some]),
        md=lambda: claims.markdown(some, asked.compute),
    )


def _screen(some: list[Claim], compute: bool) -> list[Any]:
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
    return parts
