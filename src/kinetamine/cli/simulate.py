"""``kinetamine simulate``: doses and people into a published model, concentrations out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kinetamine.cli import output
from kinetamine.cli.output import DISCLAIMER, Progress, check_writable, emit, grid, render, say, write_whole
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    from kinetamine.results import Result, TableResult
    from kinetamine.scenario import Scenario

__all__ = ["named_values", "register"]

_FORMATS = ("table", "json", "csv", "parquet")
_WHAT, _WHO, _WHEN, _HOW, _OUT = "What is given", "Who gets it", "When to look", "How", "What comes out"
_EPILOG = """Examples:

kinetamine simulate --model otto_2021_s_ketamine --dose "10 mg iv over 30 min" --until "6 h"

kinetamine simulate --model perez_ruixo_2021_esketamine --dose "84 mg nasal" --patients 1000 --format json

kinetamine simulate --model perez_ruixo_2021_esketamine --dose "28 mg nasal" --condition "Child-Pugh B"

kinetamine simulate --model examples/my_model.toml --events examples/table.csv --format csv

kinetamine simulate examples/depression_series.toml --report series.html
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("simulate", epilog=_EPILOG, no_args_is_help=True)(_simulate)


def _simulate(
    scenario: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENARIO.toml]", help="A scenario file; options below replace what it says."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID|FILE.toml",
            help="A model of the library or a model file; again for a second one (racemate: S and R).",
            rich_help_panel=_WHAT,
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
    with_: Annotated[
        list[str] | None,
        typer.Option(
            "--with",
            metavar="NAME",
            help="Another drug that changes the curve, such as clarithromycin; repeat for more.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="A disease, gene or the like that changes the curve: 'hepatic impairment moderate'.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(metavar="TABLE.csv", help="A NONMEM-style event table instead.", rich_help_panel=_WHAT),
    ] = None,
    patients: Annotated[
        str | None,
        typer.Option(
            metavar="N|TABLE.csv",
            help="How many people, or a table of them; without it the model's typical patient.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(metavar="S", help="Same seed, same people.", rich_help_panel=_WHO)
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Fix a covariate, such as weight=95 or 'weight=209 lb'; repeat for more.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    age: Annotated[
        str | None, typer.Option(metavar="LOW-HIGH", help="Ages of the people, years.", rich_help_panel=_WHO)
    ] = None,
    uncertainty: Annotated[
        bool,
        typer.Option(
            "--uncertainty", help="Draw the model's parameters from their errors.", rich_help_panel=_WHO
        ),
    ] = False,
    residual: Annotated[
        bool, typer.Option("--residual", help="Add residual error to every value.", rich_help_panel=_WHO)
    ] = False,
    times: Annotated[
        str | None,
        typer.Option(metavar="0.1,0.5,1", help="Times in h, or '5,10,15 min'.", rich_help_panel=_WHEN),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Last time, such as '28 d'.", rich_help_panel=_WHEN)
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time between points, such as '1 h'.", rich_help_panel=_WHEN),
    ] = None,
    carry: Annotated[
        str | None,
        typer.Option(
            metavar="next|last",
            help="Event tables: a covariate between two records is that of the next (default) or the last.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    on_failure: Annotated[
        str | None,
        typer.Option(
            metavar="raise|keep",
            help="A patient who cannot be computed stops the run (default) or is kept as missing.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option("--stream", help="Keep quantiles only, for very many patients.", rich_help_panel=_HOW),
    ] = False,
    outputs: Annotated[
        str | None,
        typer.Option(metavar="NAME,NAME", help="Only these outputs.", rich_help_panel=_OUT),
    ] = None,
    quantiles: Annotated[
        str | None,
        typer.Option(metavar="0.05,0.5,0.95", help="Quantiles over the people.", rich_help_panel=_OUT),
    ] = None,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="table|json|csv|parquet",
            help="Default: the suffix of --out, else table.",
            rich_help_panel=_OUT,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(metavar="PATH", help="Write to a file instead of the screen.", rich_help_panel=_OUT),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(metavar="PATH.html", help="Also write a self-contained report.", rich_help_panel=_OUT),
    ] = None,
    cite: Annotated[
        bool, typer.Option("--cite", help="List the papers behind this very run.", rich_help_panel=_OUT)
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No messages but errors.", rich_help_panel=_OUT)
    ] = False,
) -> None:
    """Simulate doses in a typical patient, a population or an event table."""
    kind = _format(format_, out)
    for path, option in ((out, "--out"), (report, "--report")):
        if path is not None:
            check_writable(path, option)
    asked = {
        "model": model or None,
        "doses": dose or None,
        "events": events,
        "with": with_ or None,
        "condition": condition or None,
        "times": times,
        "until": until,
        "step": step,
        "carry": carry,
        "on_failure": on_failure,
        "stream": stream or None,
        "outputs": outputs,
        "quantiles": quantiles,
    }
    people = {"age": age, "seed": seed, "uncertainty": uncertainty or None, "residual": residual or None}
    request = told = _scenario(scenario, asked, patients, people, set_ or [])
    if request.with_ or request.condition:
        from kinetamine.safety import interactions

        try:
            request = interactions.applied(request)
        except InputError as error:
            fault = error.faults[0]
            where = {"with": "--with", "condition": "--condition", "model": "--model"}.get(fault.where)
            raise InputError(where or fault.where, fault.given, fault.expected, fault.try_) from None
    with Progress(quiet) as watch:
        result = request.run(watch.progress, watch.notify)
        _warn(result, quiet)
        if report is not None:
            from kinetamine.report import html

            page = html.of_scenario(result, told, command=output.command)
    if report is not None:
        write_whole(report, page, "--report")
    _deliver(result, request, kind, out, cite, quiet)


def _format(given: str | None, out: str | None) -> str:
    if given is not None:
        if given not in _FORMATS:
            raise UnknownName("--format", given, _FORMATS, "a format")
        if given == "parquet" and out is None:
            raise InputError("--format", "parquet", "a file to write it to", "--out result.parquet")
        return given
    suffix = out.rpartition(".")[2].lower() if out else ""
    return suffix if suffix in _FORMATS else "table"


_OPTIONS = {
    "model": "--model",
    "doses": "--dose",
    "events": "--events",
    "times": "--times",
    "until": "--until",
    "step": "--step",
    "carry": "--carry",
    "on_failure": "--on-failure",
    "outputs": "--outputs",
    "quantiles": "--quantiles",
    "population.n": "--patients",
    "population.table": "--patients",
    "population.seed": "--seed",
    "population.age": "--age",
    "with": "--with",
    "condition": "--condition",
}


def _scenario(
    file: str | None, asked: dict[str, Any], patients: str | None, people: dict[str, Any], sets: list[str]
) -> Scenario:
    """The scenario file with the options laid over it, or the options alone."""
    from kinetamine import scenario

    request = scenario.read_file(file) if file is not None else {}
    given = {key: value for key, value in asked.items() if value is not None}
    for key, others in (("events", ["doses"]), ("doses", ["events"]), ("times", ["until", "step"])):
        if key in given:
            for other in others:
                request.pop(other, None)
    if "until" in given or "step" in given:
        request.pop("times", None)
    request.update(given)

    named = dict(_OPTIONS) if file is None else {key: _OPTIONS[key] for key in given if key in _OPTIONS}
    fixed = named_values(sets)
    population = request.get("population")
    if patients is not None:
        # A patient of the scenario becomes the likeness of all: what was fixed stays fixed.
        before = population if isinstance(population, dict) else request.pop("patient", None) or {}
        population = {k: v for k, v in before.items() if k not in ("n", "table")}
        key = "table" if patients.lower().endswith(".csv") else "n"
        population[key] = patients
        named[f"population.{key}"] = "--patients"
    table = "patient" if population is None else "population"
    if population is None:
        for key in ("age", "uncertainty", "residual"):
            if people[key] is not None:
                raise InputError(f"--{key}", "no population", "--patients with it", "--patients 1000")
    else:
        more = {key: value for key, value in people.items() if value is not None}
        population = {**population, **more}
        named.update({f"population.{key}": f"--{key}" for key in more})
        request["population"] = population
    options = {"n": "--patients", "table": "--patients", "seed": "--seed", "variability": ""}
    for key in fixed:
        # what is an option of the population is no covariate; an age is both
        if key in (*options, "uncertainty", "residual") or (key == "age" and people["age"] is not None):
            cure = options.get(key, f"--{key}")
            raise InputError(f"--set {key}", repr(fixed[key]), "the name of a covariate", cure)
    if fixed:
        request[table] = {**(request.get(table) or {}), **fixed}
        named.update({f"{table}.{key}": f"--set {key}" for key in fixed})
    return scenario.read(request, file or "command line", named)


def named_values(sets: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in sets:
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name or not value:
            raise InputError("--set", repr(text), "a name and a value", "--set weight=95")
        if name in pairs:
            raise InputError("--set", f"{name} twice", "each covariate once", f"--set {name}={pairs[name]}")
        pairs[name] = value
    return pairs


def _warn(result: Result | TableResult, quiet: bool) -> None:
    failed = result.n - int(result.ok.sum())
    if failed and not quiet:
        say(f"warning: {failed:,} of {result.n:,} patients could not be computed and are missing")


def _deliver(
    result: Result | TableResult, scenario: Scenario, kind: str, out: str | None, cite: bool, quiet: bool
) -> None:
    from kinetamine.results import TableResult

    if kind == "table":
        text = _screen(result, scenario, plain=out is not None, cite=cite)
        if out is None:
            emit(text)
        else:
            write_whole(out, text)
    elif out is not None:
        result.write(out, kind)
    elif kind == "json":
        if isinstance(result, TableResult):
            emit(result.to_json() + "\n")
        else:
            emit(result.to_json(scenario.quantiles) + "\n")
    else:
        emit(result.to_polars().write_csv())
    if quiet:
        return
    if cite and kind != "table":
        # Data on standard output stay clean: then the papers go to the other stream.
        if out is None:
            say(result.cite())
        else:
            emit(result.cite() + "\n")
    if kind != "table":
        say(DISCLAIMER)


def _screen(result: Result | TableResult, scenario: Scenario, plain: bool, cite: bool) -> str:
    """What a person reads: who and what, exposure, a few times, how far to trust it."""
    from kinetamine.results import TableResult

    parts: list[Any] = [*_heading(result, scenario)]
    if isinstance(result, TableResult):
        parts += _records(result)
    else:
        summary = _summary(result)
        if summary:
            exposure = grid("", *(row["output"] for row in summary))
            for key in list(summary[0])[1:]:
                exposure.add_row(key, *(row.get(key, "–") for row in summary))
            many = "" if result.typical else ", median (5-95 %) of the people"
            parts += [f"Exposure{many}", exposure]
        parts += _times(result, scenario.quantiles)
    reasons: dict[str, list[str]] = {}
    for one in result.outputs.values():
        reasons.setdefault("; ".join([one.grade, *one.reasons]), []).append(one.name)
    parts += [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    if cite:
        parts += ["", "Sources", result.cite()]
    parts.append(DISCLAIMER)
    return render(*parts, plain=plain)


def _heading(result: Result | TableResult, scenario: Scenario) -> list[str]:
    lines = [scenario.title] if scenario.title else []
    lines += [f"{spec.id}: {spec.title}" for spec in scenario.models]
    lines += [f"doses: {phrase}" for phrase in result.regimen]
    return [*lines, f"people: {_people(result)}", ""]


def _people(result: Result | TableResult) -> str:
    who = result.birth.get("population")
    if not isinstance(who, dict):
        return f"{result.n:,}"
    given = [f"{name} {value}" for name, value in (who.get("given") or {}).items()]
    if who.get("kind") == "patient":
        many = "typical patient" if result.n == 1 else f"{result.n:,} typical patients"
        return ", ".join([many, *given])
    words = [f"{result.n:,}", *given, f"seed {who.get('seed')}"]
    if who.get("age_years"):
        words.insert(1, "age {:g}-{:g}".format(*who["age_years"]))
    if who.get("table"):
        words.append(f"from {who['table']}")
    for key, without in (("variability", "no variability"), ("uncertainty", ""), ("residual", "")):
        text = {"uncertainty": "parameter uncertainty", "residual": "residual error"}.get(key, "")
        words += [text] if who.get(key) and text else [without] if not who.get(key) and without else []
    return ", ".join(words)


def _summary(result: Result) -> list[dict[str, str]]:
    if result.streamed and not result.exposure_arrays:
        return []
    return result.summary()


def _times(result: Result, quantiles: tuple[float, ...]) -> list[Any]:
    """Some of the times, or every one when they are few."""
    from kinetamine.results import show

    if result.typical:
        title = "Over time"
        curves = {name: [result[name][0]] for name in result.outputs}
    else:
        kept = (
            sorted(set.intersection(*(set(o.quantiles) for o in result.outputs.values())))
            if result.streamed
            else list(quantiles)
        )
        asked = sorted(dict.fromkeys((kept[0], kept[len(kept) // 2], kept[-1])))
        title = "Over time, quantiles " + ", ".join(f"{q:g}" for q in asked) + " of the people"
        curves = {name: list(result.quantiles(name, asked).values()) for name in result.outputs}
    table = grid("h", *(f"{o.name}, {show.unit(o.unit)}" for o in result.outputs.values()))
    for i in _picked(result):
        cells = ["  ".join(show.number(float(curve[i])) for curve in curves[name]) for name in result.outputs]
        table.add_row(f"{result.time_h[i]:.6g}", *cells)
    return [title, table]


def _picked(result: Result) -> list[int]:
    """Starts and ends of the first and last doses, and times spread over the run."""
    import numpy as np

    count = len(result.time_h)
    if count <= 24:
        return list(range(count))
    doses = result.doses if len(result.doses) <= 5 else (*result.doses[:2], *result.doses[-2:])
    turns = [t for d in doses for t in (d.time_h, d.end_h)]
    close = np.clip(np.searchsorted(result.time_h, np.array(turns) - 1e-9), 0, count - 1)
    spread = np.linspace(0, count - 1, 13).round().astype(int)
    return [int(i) for i in np.unique(np.concatenate([close, spread]))]


def _records(result: TableResult) -> list[Any]:
    from kinetamine.results import show

    shown = min(len(result.time_h), 24)
    caption = (
        f"{len(result.time_h) - shown:,} more records: --format csv has all" if shown < len(result) else None
    )
    units = [f"{o.name}, {show.unit(o.unit)}" for o in result.outputs.values()]
    table = grid("ID", "h", *units)
    for i in range(shown):
        cells = [show.number(float(result[name][i])) for name in result.outputs]
        table.add_row(str(result.id[i]), f"{result.time_h[i]:.6g}", *cells)
    return [table, caption] if caption else [table]
