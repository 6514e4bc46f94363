"""``kinetamine detect``: how long a test stays positive after a dose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, emit, grid, render, say
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.safety.detection import Detection, DetectionResult

__all__ = ["register"]

_FORMATS = ("table", "json")
#: when the table looks, h after the last dose
_LOOKS = {"12 h": 12, "1 d": 24, "2 d": 48, "3 d": 72, "7 d": 168}
_EPILOG = """Examples:

kinetamine detect --dose "84 mg nasal"

kinetamine detect --dose "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks" --assay lc_ms_ms

kinetamine detect --dose "50 mg oral" --analyte norketamine --cutoff "50 ng/mL" --format json

kinetamine detect --dose "84 mg nasal" --creatinine "15 mg/dL"

kinetamine detect --dose "84 mg nasal" --assay five_panel
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("detect", epilog=_EPILOG, no_args_is_help=True)(_detect)


def _detect(
    dose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHRASE", help="Such as '84 mg nasal twice weekly for 4 weeks'; repeat for more."
        ),
    ] = None,
    matrix: Annotated[
        str, typer.Option(metavar="urine|plasma|blood|oral fluid|hair", help="What is tested.")
    ] = "urine",
    analyte: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only ketamine, norketamine or dehydronorketamine.")
    ] = None,
    assay: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An assay or panel, such as lc_ms_ms; without it the usual ones."),
    ] = None,
    cutoff: Annotated[
        str | None, typer.Option(metavar="CONCENTRATION", help="A cut-off of your own, such as '50 ng/mL'.")
    ] = None,
    creatinine: Annotated[
        str | None,
        typer.Option(metavar="CONCENTRATION", help="Creatinine of the urine sample, such as '20 mg/dL'."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="ID|FILE.toml", help="Another model than the usual one.")
    ] = None,
    patients: Annotated[int, typer.Option(metavar="N", help="How many people.")] = 1000,
    seed: Annotated[int, typer.Option(metavar="S", help="Same seed, same people.")] = 1,
    cite: Annotated[bool, typer.Option("--cite", help="The works behind the numbers.")] = False,
    format_: Annotated[str, typer.Option("--format", metavar="table|json", help="How to show it.")] = "table",
) -> None:
    """Probability of a positive test over time and the detection window, next to what was observed."""
    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    if not dose:
        raise InputError("--dose", "nothing", "at least one dose", "--dose '84 mg nasal'")
    from kinetamine.population import Population
    from kinetamine.safety import detection

    found = detection.detect(
        dose, matrix=matrix, analyte=analyte, assay=assay, cutoff=cutoff, creatinine=creatinine, model=model,
        population=Population(patients, seed=seed),
    )  # fmt: skip
    if format_ == "json":
        emit(found.to_json() + "\n")
        if cite:
            say(found.cite())
        say(DISCLAIMER)
        return
    emit(_screen(found, cite))


def _screen(found: DetectionResult, cite: bool) -> str:
    parts: list[Any] = [f"doses: {phrase}" for phrase in found.regimen]
    if found.birth:
        parts += [f"{found.matrix}: {found.birth['n']:,} people, {found.birth['models'][0]['id']}", ""]
    if found.answer:
        parts += [found.answer, ""]
    if found.detections:
        table = grid("assay", "analyte", "cut-off, ng/mL", "window, h", *_LOOKS, right=False)
        for column in table.columns[2:]:
            column.justify = "right"
        for d in found.detections:
            table.add_row(d.assay, d.analyte, f"{d.cut_off:g}", *_numbers(d))
        parts += ["Window after the last dose, median (5-95 %), and share of people positive", table]
        reasons: dict[str, list[str]] = {}
        for d in found.detections:
            reasons.setdefault("; ".join([d.grade, *d.reasons]), []).append(f"{d.analyte} ({d.assay})")
        parts += [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    if found.observed:
        table = grid("observed, not computed", "finding", "who and what", "seen", right=False)
        for f in found.observed:
            who = "; ".join(filter(None, (f.given, f"n {f.n}" if f.n else None, f.note)))
            limit = f" (limit {f.limit} {f.unit})" if f.limit else ""
            table.add_row(f"{f.analyte}\n{f.id}", f.words + limit, who, f.seen)
        parts += ["", table]
    if cite:
        parts += ["Sources", found.cite()]
    parts.append(DISCLAIMER)
    return render(*parts)


def _numbers(d: Detection) -> list[str]:
    if d.probability is None:
        return ["no data", *("–" for _ in _LOOKS)]
    low, middle, high = (f"{h:.0f}" if h >= 10 else f"{h:.1f}" for h in d.window_h.values())
    return [f"{middle} ({low}-{high})", *(f"{100 * d.at(h):.0f} %" for h in _LOOKS.values())]
