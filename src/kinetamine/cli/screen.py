"""``kinetamine screen``: who should not be treated, who needs care, and what a session asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import citations, hazards_table, source_cell, text_table
from kinetamine.cli.output import as_json
from kinetamine.errors import InputError

if TYPE_CHECKING:
    from kinetamine.safety.screening import Screening, Step

__all__ = ["screen"]

_NO_CLEARANCE = "Not a clearance: only what was published about the words and numbers given is found."


@command(
    "screen",
    formats=("table", "json"),
    gives=("out", "cite"),
    bare=True,
    examples="""
kinetamine screen examples/patients/older_adult.toml
kinetamine screen --condition aneurysm --product "esketamine nasal"
kinetamine screen --condition "heart attack 4 weeks ago" --sbp 150 --dbp 85 --age 70 --format json
kinetamine screen --product "esketamine nasal" --plan
""",
)
def screen(asked: questions.ScreenLine, out: Out) -> None:
    """Screen a patient by published rules: exclude, caution, adjust, monitor, information."""
    from kinetamine.safety import screening

    given = asked.arguments()
    if asked.patient is None and not given:
        cure = "--condition aneurysm --product 'esketamine nasal'"
        raise InputError("screen", "nothing", "a patient", cure)
    found = screening.screen(asked.patient, **given)
    course = screening.guidance(found.person.product) if asked.guidance else ()

    def table() -> list[Any]:
        parts: list[Any] = [*hazards_table(found.hazards), *_not_told(found)]
        if asked.plan:
            parts += _plan("Plan of a session", found.plan)
        if asked.guidance:
            parts += _plan("Guidance on a course, as published", course)
        if out.cite:
            steps = [*(found.plan if asked.plan else ()), *course]
            parts += citations([*(f.source for f in found.findings), *(s.source for s in steps)])
        return [*parts, "", _NO_CLEARANCE]

    more = {"guidance": [{**s.model_dump(), "words": s.words} for s in course]} if asked.guidance else {}
    out.give(table, json=lambda: as_json(found.to_dict() | more))


def _not_told(found: Screening) -> list[str]:
    from kinetamine.safety import pd_interactions

    missing = [f"Not told, though a rule asks for it: {', '.join(found.missing)}."] if found.missing else []
    known = [m for m in found.person.medications if pd_interactions.without_data(m) is None]
    more = [f"What is known of a medicine with ketamine: kinetamine interactions '{m}'" for m in known]
    return [*missing, *found.without_data, *more]


def _plan(title: str, steps: Iterable[Step]) -> list[Any]:
    from kinetamine.safety.screening import phase_titles

    titles = phase_titles()
    parts: list[Any] = ["", title]
    table = text_table(when=18, what=46, product=18, source=26)
    last = ""
    for s in steps:
        table.add_row(
            titles[s.phase] if s.phase != last else "",
            s.words,
            s.product,
            source_cell(s.source, s.seen, s.place),
        )
        last = s.phase
    return [*parts, table]
