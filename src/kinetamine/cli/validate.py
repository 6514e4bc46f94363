"""``kinetamine validate``: models against published observations and trials."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kinetamine.cli.output import Progress, check_writable, emit, grid, render, say, write_whole
from kinetamine.errors import UnknownName

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine validate pk

kinetamine validate pk --out docs/validation_pk.md

kinetamine validate interactions --out docs/validation_interactions.md

kinetamine validate course --out docs/validation_course.md

kinetamine validate effects --out docs/validation_effects.md --data effects.csv
"""
_WHAT = ("pk", "interactions", "course", "effects")


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
    if what not in _WHAT:
        raise UnknownName("validate", what, _WHAT, "pk or another of them")
    for path, option in ((out, "--out"), (data, "--data")):
        if path is not None:
            check_writable(path, option)
    report = {"interactions": _interactions, "effects": _effects}.get(what, _report)(what, out, quiet)
    if data is not None:
        from kinetamine.evidence import stored

        write_whole(data, stored.text(what, report), "--data")
        if not quiet:
            say(f"wrote {data}")


def _report(what: str, out: str | None, quiet: bool) -> Any:
    report: Any
    if what == "pk":
        from kinetamine.evidence import validate_pk

        with Progress(quiet, "observations") as watch:
            report = validate_pk.run(watch.progress)
        text = _screen(report)
    else:
        from kinetamine.evidence import validate_course

        with Progress(quiet, "outcomes") as watch:
            report = validate_course.run(watch.progress)
        text = _screen_course(report)
    if out is not None:
        report.write(out)
    emit(text)
    if not quiet:
        say(f"wrote {out}" if out is not None else "the whole report: --out validation.md")
    return report


def _interactions(what: str, out: str | None, quiet: bool) -> Any:
    from kinetamine.evidence import validate_interactions
    from kinetamine.safety import interactions

    found = interactions.agreement()
    if out is not None:
        write_whole(out, validate_interactions.page(found))
    table = grid("ratios", "n", "agree")
    for use, name in (("fit", "fitted to, within 1.25-fold"), ("held out", "predicted, within 1.5-fold")):
        table.add_row(name, *map(str, validate_interactions.counts(found, use)))
    emit(render(table))
    if not quiet:
        say(f"wrote {out}" if out is not None else f"each of them: --out validation_{what}.md")
    return found


def _effects(what: str, out: str | None, quiet: bool) -> Any:
    from kinetamine.evidence import validate_effects, validation_effects_page
    from kinetamine.evidence.validation_page import significant

    with Progress(quiet, "observations") as watch:
        report = validate_effects.run(watch.progress)
    if out is not None:
        write_whole(out, validation_effects_page.page(report))
    table = grid("observations", "error", "n", "median", "agree")
    for use, kind, n, middle, agree in report.summary():
        table.add_row(use.strip("*"), kind, str(n), significant(middle), str(agree))
    done, total = len(report.rows_predicted), len(report.observations)
    line = f"{done} of {total} observations predicted in {len(report.predicted)} comparisons."
    emit(render(table, line))
    if not quiet:
        say(f"wrote {out}" if out is not None else f"each of them: --out validation_{what}.md")
    return report


def _screen(report: Any) -> str:
    """Agreement by model and sampling site."""
    table = grid("prediction / observation", "n", "median", "AAFE", "within 1.25", "within 2")
    for name, s in report.summary():
        shares = (f"{100 * share:.0f} %" for share in (s.within_1_25, s.within_2))
        table.add_row(name, str(s.n), f"{s.median:.2f}", f"{s.aafe:.2f}", *shares)
    lines = [
        f"{len(report.comparisons)} values and {len(report.curves)} curves compared, "
        f"{len(report.unpredicted)} rows nothing here can predict, {len(report.unusable)} unusable.",
        "AAFE: absolute average fold error. Models are taken as published; nothing was fitted.",
    ]
    return render(table, *lines)


def _screen_course(report: Any) -> str:
    """Coverage by what the calibration did with an outcome."""
    from kinetamine.course.model import CAVEAT
    from kinetamine.evidence.validate_course import TARGETS

    table = grid("outcomes", "n", "trials", "interval holds", "target", "bias")
    for name, c in report.summary():
        if c.n:
            target = f"{TARGETS[name]:.0%}" if name in TARGETS else ""
            share = f"{c.held:.0%} ({c.low:.0%}-{c.high:.0%})"
            bias = f"{c.bias:+.2f}" if c.bias == c.bias else ""
            table.add_row(name, str(c.n), str(c.trials), share, target, bias)
    lines = [
        f"{len(report.comparisons)} outcomes predicted, {len(report.unusable)} the model cannot express.",
        "Interval holds: share of published 95 % intervals that hold the prediction, with Wilson's 95 % interval.",
        CAVEAT,
    ]
    return render(table, *lines)
