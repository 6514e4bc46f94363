"""``kinetamine check``: a whole scenario before the safety desk."""

from __future__ import annotations

from typing import Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import citations, hazards_table
from kinetamine.cli.output import as_json

__all__ = ["check"]

_NO_CLEARANCE = "Not a clearance: only what was published about what the scenario says is found."


@command(
    "check",
    formats=("table", "json"),
    gives=("out", "cite"),
    examples="""
kinetamine check examples/safety_check.toml
kinetamine check examples/nasal_esketamine.toml --format json
""",
)
def check(asked: questions.CheckLine, out: Out) -> None:
    """Check a scenario: screening, interactions, concentrations; gravest first. Exit code 0 whatever is found."""
    from kinetamine.safety.check import check

    found = check(asked.scenario)

    def table() -> list[Any]:
        parts: list[Any] = [found.title] if found.title else []
        parts += hazards_table(found.hazards)
        for p in found.peaks:
            line = f"Typical peak of {p.name}, {p.site}: {p.ng_ml:.3g} ng/mL ({p.grade})"
            reached = sum(t.reached for t in p.thresholds)
            parts.append(
                f"{line}; reaches {reached} of {len(p.thresholds)} published ranges. {p.note}".rstrip()
            )
        if found.screening.missing:
            parts.append(f"Not told, though a rule asks for it: {', '.join(found.screening.missing)}.")
        parts += found.notes
        parts += citations(f.source for f in found.findings) if out.cite else ()
        return [*parts, "", _NO_CLEARANCE]

    out.give(table, json=lambda: as_json(found.to_dict()))
