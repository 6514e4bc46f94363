"""``kinetamine screen``: who should not be treated, who needs care, and what a session asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.safety.findings import Finding
    from kinetamine.safety.screening import Screening, Step

__all__ = ["as_json", "check_format", "citations", "findings_table", "register", "source_cell", "text_table"]

_FORMATS = ("table", "json")
_EPILOG = """Examples:

kinetamine screen examples/patients/older_adult.toml

kinetamine screen --condition aneurysm --product "esketamine nasal"

kinetamine screen --condition "heart attack 4 weeks ago" --sbp 150 --dbp 85 --age 70 --format json

kinetamine screen --product "esketamine nasal" --plan
"""
_NO_CLEARANCE = "Not a clearance: only what was published about the words and numbers given is found."


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("screen", epilog=_EPILOG, no_args_is_help=True)(_screen)


def _screen(
    patient: Annotated[
        str | None,
        typer.Argument(metavar="[PATIENT.toml]", help="A description; options are laid over it."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Such as 'aneurysm' or 'heart attack 4 weeks ago'; repeat."),
    ] = None,
    medication: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A medicine taken; repeat for more.")
    ] = None,
    product: Annotated[
        str | None, typer.Option(metavar="NAME", help="Such as 'esketamine nasal'; without it, all products.")
    ] = None,
    age: Annotated[float | None, typer.Option(metavar="YEARS", help="Age.")] = None,
    bmi: Annotated[float | None, typer.Option(metavar="KG/M2", help="Body-mass index.")] = None,
    sbp: Annotated[float | None, typer.Option(metavar="MMHG", help="Systolic pressure at the visit.")] = None,
    dbp: Annotated[
        float | None, typer.Option(metavar="MMHG", help="Diastolic pressure at the visit.")
    ] = None,
    egfr: Annotated[
        float | None, typer.Option(metavar="ML/MIN", help="Filtration rate of the kidneys.")
    ] = None,
    liver: Annotated[
        str | None, typer.Option(metavar="A|B|C", help="Child-Pugh class, or mild, moderate, severe.")
    ] = None,
    pregnant: Annotated[bool, typer.Option("--pregnant", help="The patient is pregnant.")] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Also show the plan of a session.")] = False,
    guidance: Annotated[
        bool, typer.Option("--guidance", help="Also show published guidance on a whole course.")
    ] = False,
    cite: Annotated[bool, typer.Option("--cite", help="List the sources of what is shown.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """Screen a patient by published rules: exclude, caution, adjust, monitor, information."""
    check_format(format_)
    from kinetamine.safety import screening

    given: dict[str, Any] = {"age": age, "bmi": bmi, "sbp": sbp, "dbp": dbp, "egfr": egfr, "liver": liver}
    given |= {"conditions": condition, "medications": medication, "product": product}
    given = {k: v for k, v in given.items() if v is not None} | ({"pregnant": True} if pregnant else {})
    if patient is None and not given:
        raise InputError(
            "screen", "nothing", "a patient", "--condition aneurysm --product 'esketamine nasal'"
        )
    found = screening.screen(patient, **given)
    course = screening.guidance(found.person.product) if guidance else ()
    if format_ == "json":
        more = {"guidance": [{**s.model_dump(), "words": s.words} for s in course]} if guidance else {}
        emit(as_json(found.to_dict() | more))
        say(DISCLAIMER)
        return
    parts: list[Any] = [*findings_table(found.findings), *_not_told(found)]
    steps = [*(found.plan if plan else ()), *course]
    if plan:
        parts += _plan("Plan of a session", found.plan)
    if guidance:
        parts += _plan("Guidance on a course, as published", course)
    if cite:
        parts += citations([*(f.source for f in found.findings), *(s.source for s in steps)])
    emit(render(*parts, "", _NO_CLEARANCE, DISCLAIMER))


def check_format(given: str) -> None:
    """Refuse a format that is neither table nor json.

    Raises
    ------
    UnknownName
        With the nearest.
    """
    if given not in _FORMATS:
        raise UnknownName("--format", given, _FORMATS, "a format")


def as_json(data: Any) -> str:
    """JSON as every command of the safety desk prints it."""
    import json

    return json.dumps(data, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def text_table(**share: int) -> Any:
    """An empty table for sentences: columns by name (an underscore is a blank) with their share of the width."""
    table = grid(*(name.replace("_", " ") for name in share), right=False)
    table.expand = True
    for column, width in zip(table.columns, share.values(), strict=True):
        column.ratio, column.overflow = width, "fold"
    return table


def source_cell(source: str, seen: str, place: str = "") -> str:
    """A source with its place, and a word in front when it was not read as text."""
    mark = "" if seen == "text" else f"{seen}: "
    return f"{mark}{source}" + (f", {place}" if place else "")


def findings_table(findings: Iterable[Finding]) -> list[Any]:
    """Findings as a table, gravest first; a line when there are none."""
    rows = list(findings)
    if not rows:
        return ["No published rule speaks of what was given."]
    table = text_table(severity=13, finding=47, product=20, source=28)
    for f in rows:
        text = (
            f.text + (f"\n  because: {f.because}" if f.because else "") + (f"\n  {f.note}" if f.note else "")
        )
        who = f.product + (" (another product)" if f.other_product else "") + f"\n{f.basis}"
        table.add_row(f.severity, text, who, f"{source_cell(f.source, f.seen, f.place)}\n{f.id}")
    return [f"{len(rows)} findings, the gravest: {rows[0].severity}", table]


def _not_told(found: Screening) -> list[str]:
    return [f"Not told, though a rule asks for it: {', '.join(found.missing)}."] if found.missing else []


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


def citations(keys: Iterable[str]) -> list[str]:
    """The references behind these keys, each once."""
    from kinetamine.models.library import sources

    known = sources()
    lines = ["", "Sources"]
    for key in dict.fromkeys(keys):
        s = known[key]
        where = s.doi or s.url or ""
        lines.append(f"{key}: {s.citation}{'. ' + where if where else ''} (read as: {s.seen})")
    return lines
