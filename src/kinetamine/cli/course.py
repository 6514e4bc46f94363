"""``kinetamine course``: a group of patients through sessions, visit rules, response and relapse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli.output import DISCLAIMER, check_writable, emit, grid, render, say, write_whole
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.course import CourseResult

__all__ = ["register"]

_FORMATS = ("table", "json", "csv")
_WHAT, _WHO, _HOW, _OUT = "What is given", "Who gets it", "How", "What comes out"
_EPILOG = """Examples:

kinetamine course esketamine_label

kinetamine course --dose "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks" \
--rule "booster when MADRS >= 20 at a weekly visit for responders"

kinetamine course --dose "84 mg nasal twice weekly for 4 weeks" --weeks 12 --patients 5000 --seed 1 \
--model two_state --format json
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("course", epilog=_EPILOG, no_args_is_help=True)(_course)


def _course(
    course: Annotated[
        str | None,
        typer.Argument(
            metavar="[COURSE]",
            help="A shipped course (esketamine_label, ketamine_six_infusions) or a course file (.toml).",
        ),
    ] = None,
    dose: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PHRASE",
            help="Such as '0.5 mg/kg iv over 40 min, twice weekly for 4 weeks'; repeat for more.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SENTENCE",
            help="Such as 'booster when MADRS >= 20 at a weekly visit'; repeat for more.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    weeks: Annotated[
        float | None, typer.Option(metavar="WEEKS", help="Length, default 26.", rich_help_panel=_WHAT)
    ] = None,
    patients: Annotated[
        int | None, typer.Option(metavar="N", help="How many, default 1000.", rich_help_panel=_WHO)
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Same seed, same people.", rich_help_panel=_WHO)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS",
            help="'open label' (default blinded), 'hospital', 'new oral drug', 'refractory'; repeat for more.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="MEAN,SD",
            help="MADRS at entry, such as '37.5, 5.6'; default the model's 32, 5.5.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="A switch or parameter of the course model, such as naltrexone=1.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="ID|FILE.toml", help="one_state (default), two_state, or a file.", rich_help_panel=_HOW
        ),
    ] = None,
    pk: Annotated[
        str | None,
        typer.Option(metavar="ID|FILE.toml", help="A PK model for all routes.", rich_help_panel=_HOW),
    ] = None,
    relapse: Annotated[
        str | None,
        typer.Option(
            metavar="SENTENCE",
            help="Such as 'relapse when MADRS >= 22 at 2 visits in a row after remission'.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    visits: Annotated[
        str | None,
        typer.Option(
            metavar="DAYS",
            help="Days of scores, the first session on day 0, such as '0, 1, 7, 28'; default weekly.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    response: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Improvement that counts, default 0.5.", rich_help_panel=_HOW),
    ] = None,
    remission: Annotated[
        float | None,
        typer.Option(metavar="MADRS", help="Highest score of a remission, default 12.", rich_help_panel=_HOW),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="table|json|csv", help="Shape.", rich_help_panel=_OUT)
    ] = "table",
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write to a file instead of the screen.", rich_help_panel=_OUT),
    ] = None,
    figure: Annotated[
        str | None,
        typer.Option(
            metavar="PATH.svg", help="Also draw it: .svg, .pdf, .png or .json.", rich_help_panel=_OUT
        ),
    ] = None,
    cite: Annotated[
        bool, typer.Option("--cite", help="List the papers behind this very run.", rich_help_panel=_OUT)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No messages but errors.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """Take a group of patients through a course of treatment: scores, response, relapse, sessions."""
    if format_ not in _FORMATS:
        raise UnknownName("--format", format_, _FORMATS, "a format")
    if (course is None) == (not dose):
        given = "both" if dose else "neither"
        raise InputError(
            "course", given, "a course or --dose", '--dose "84 mg nasal twice weekly for 4 weeks"'
        )
    for path, option in ((out, "--out"), (figure, "--figure")):
        if path is not None:
            check_writable(path, option)
    from kinetamine.course import course as run

    result = run(
        course if course is not None else dose,
        patients,
        seed,
        model,
        rule or [],
        weeks,
        pk=pk,
        relapse=relapse,
        visits=_numbers("--visits", visits),
        baseline=_numbers("--baseline", baseline),
        response=response,
        remission=remission,
        setting=setting,
        switches=_switches(set_ or []),
    )
    if figure is not None:
        from kinetamine.report import figures

        figures.save(figures.course(result), figure)
    if format_ == "table":
        text = _screen(result, cite, plain=out is not None)
    else:
        text = result.to_json() + "\n" if format_ == "json" else result.visits().write_csv()
    if out is None:
        emit(text)
    else:
        write_whole(out, text)
    if quiet or format_ == "table":
        return
    if cite:
        say(result.cite())
    say(f"{result.caveat} {DISCLAIMER}")


def _switches(sets: list[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in sets:
        name, _, value = (part.strip() for part in text.partition("="))
        try:
            found[name] = float(value)
        except ValueError:
            raise InputError("--set", repr(text), "a name and a number", "--set naltrexone=1") from None
    return found


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(option, repr(text), "numbers with commas between", f'{option} "37.5, 5.6"') from None


def _screen(result: CourseResult, cite: bool, plain: bool) -> str:
    """What a person reads: what was done, scores, endpoints, how far to trust it."""
    parts: list[Any] = [result.caveat]
    parts += [result.title] if result.title else []
    parts += [f"doses: {phrase}" for phrase in result.regimen]
    parts += [f"rule: {rule}" for rule in result.rules]
    parts += [
        f"{result.relapse}; response {100 * result.response:g} % better, remission MADRS <= {result.remission:g}"
    ]
    parts += [
        f"{result.n:,} patients, {result.weeks:g} weeks, model {result.birth['model']}, seed {result.seed}",
        "",
    ]

    visits = result.visits()
    step = max(1, (visits.height - 1) // 13)
    chosen = sorted({*range(0, visits.height, step), visits.height - 1})
    table = grid(
        "day", "MADRS mean", "group 5-95 %", "patients 5-95 %", "response", "group 5-95 %", "remission"
    )
    for row in (visits.row(k, named=True) for k in chosen):
        table.add_row(
            f"{row['day']:g}",
            f"{row['mean']:.1f}",
            f"{row['mean_low']:.1f}-{row['mean_high']:.1f}",
            f"{row['p05']:.0f}-{row['p95']:.0f}",
            f"{row['response']:.0%}",
            f"{row['response_low']:.0%}-{row['response_high']:.0%}",
            f"{row['remission']:.0%}",
        )
    ends = grid("endpoint", "value", "group 5-95 %", "Monte Carlo error")
    for name, found in result.summary().items():
        ends.add_row(name, _number(found["value"]), _band(found), _number(found.get("mc_se")))
    parts += [table, ends, f"{result.grade}: " + "; ".join(result.notes)]
    parts += ["group 5-95 %: uncertainty of the group's outcome; patients: spread between patients."]
    if cite:
        parts += ["", "Sources", result.cite()]
    return render(*parts, f"{result.caveat} {DISCLAIMER}", plain=plain)


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3g}"


def _band(found: dict[str, float]) -> str:
    return f"{found['low']:.3g}-{found['high']:.3g}" if "low" in found else "–"
