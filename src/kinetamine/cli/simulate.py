"""``kinetamine simulate``: doses and people into a published model, concentrations out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli import output
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import Progress, grid, say, write_whole
from kinetamine.errors import InputError

if TYPE_CHECKING:
    from kinetamine.cluster import Blocks
    from kinetamine.results import Result, TableResult
    from kinetamine.scenario import Scenario

__all__ = ["simulate"]


@command(
    "simulate",
    formats=("table", "json", "csv", "parquet"),
    gives=("out", "figure", "report", "cite", "quiet"),
    raw=True,
    examples="""
kinetamine simulate --model otto_2021_s_ketamine --dose "10 mg iv over 30 min" --until "6 h"
kinetamine simulate --model perez_ruixo_2021_esketamine --dose "84 mg nasal" --patients 1000 --format json
kinetamine simulate --model perez_ruixo_2021_esketamine --dose "28 mg nasal" --condition "Child-Pugh B"
kinetamine simulate --model examples/my_model.toml --events examples/table.csv --format csv
kinetamine simulate examples/depression_series.toml --report series.html
""",
)
def simulate(asked: questions.SimulateLine, out: Out) -> None:
    """Simulate doses in a typical patient, a population or an event table."""
    spread = {key: asked.pop(key, None) for key in ("cluster", "checkpoint", "resume")}  # type: ignore[attr-defined]
    told = _scenario(asked)  # type: ignore[arg-type]
    if _windowed(told) and out.format in ("csv", "parquet"):
        raise InputError("--exposure-to", out.format, "a format that shows exposure", "--format json")
    from kinetamine.safety import interactions

    request = interactions.applied(told)
    with _workers(**spread) as workers:  # they also measure exposure, when it is shown
        with Progress(out.quiet) as watch:
            result = request.run(watch.progress, watch.notify, workers)
            _warn(result, out.quiet)
            if told.chosen and out.format != "table":
                names = ", ".join(spec.id for spec in told.models)
                out.say(f"models: {names}: {told.chosen}; --model takes others")
            if out.report is not None:
                from kinetamine.report import html

                page = html.of_scenario(result, told, command=output.command)
        if out.report is not None:
            write_whole(out.report, page, "--report")

        out.give(
            lambda: _screen(result, request),
            json=lambda: _json(result, request),
            csv=lambda: result.to_polars().write_csv(),
            write=lambda path, kind: (
                write_whole(path, _json(result, request)) if kind == "json" else result.write(path, kind)
            ),
            sources=lambda: [result.cite()],
            figure=lambda figures: figures.curves(result),
        )


@contextlib.contextmanager
def _workers(cluster: str | None, checkpoint: str | None, resume: bool | None) -> Iterator[Blocks | None]:
    """Who computes, when it is not this process."""
    if cluster is None:
        for option, value in (("--checkpoint", checkpoint), ("--resume", resume)):
            if value:
                raise InputError(option, str(value), "it with --cluster", "--cluster local")
        yield None
        return
    from kinetamine.cluster import Blocks, connected

    if resume and checkpoint is None:
        raise InputError(
            "--resume", "no checkpoint", "the folder of the run to go on with", "--checkpoint run1"
        )
    with connected(cluster, "--cluster") as client:
        yield Blocks(client, None, checkpoint, bool(resume))


def _scenario(given: dict[str, Any]) -> Scenario:
    """The scenario file with the options laid over it, or the options alone."""
    from kinetamine import scenario

    file = given.pop("scenario", None)
    values, said = questions.Scenario.from_file(scenario.read_file(file)) if file is not None else ({}, {})
    if str(given.get("patients", "")).lower().endswith(".csv"):
        given["table"] = given.pop("patients")
    for field, others in _INSTEAD.items():
        if field in given:
            for other in others:
                values.pop(other, None)
    given["set"] = {**values.get("set", {}), **given.get("set", {})}
    named = {field: place for field, place in said.items() if field not in given}
    named |= {f"set.{key}": said[f"set.{key}"] for key in values.get("set", {}) if f"set.{key}" in said}
    return scenario.of_question({**values, **given}, file or "command line", "command line", named)


#: what an option takes the place of in a file
_INSTEAD = {
    "events": ("doses",),
    "doses": ("events",),
    "times": ("until", "step"),
    "until": ("times",),
    "step": ("times",),
    "patients": ("table",),
    "table": ("patients",),
}


def _warn(result: Result | TableResult, quiet: bool) -> None:
    failed = result.n - int(result.ok.sum())
    if failed and not quiet:
        say(f"warning: {failed:,} of {result.n:,} patients could not be computed and are missing")


def _json(result: Result | TableResult, scenario: Scenario) -> str:
    from kinetamine.results import TableResult, export

    if isinstance(result, TableResult):
        return result.to_json() + "\n"
    plain = result.to_dict(scenario.quantiles)
    if _windowed(scenario):
        plain["exposure"] = _summary(result, scenario)
    return export.json_text(plain, None) + "\n"


def _windowed(scenario: Scenario) -> bool:
    return bool(scenario.exposure_from_h) or scenario.exposure_to_h is not None


def _screen(result: Result | TableResult, scenario: Scenario) -> list[Any]:
    """What a person reads: who and what, exposure, a few times, how far to trust it."""
    from kinetamine.results import TableResult

    parts: list[Any] = [*_heading(result, scenario)]
    if isinstance(result, TableResult):
        parts += _records(result)
    else:
        summary = _summary(result, scenario)
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
    return parts


def _heading(result: Result | TableResult, scenario: Scenario) -> list[str]:
    lines = [scenario.title] if scenario.title else []
    lines += [f"{spec.id}: {spec.title}" for spec in scenario.models]
    if scenario.chosen:
        lines.append(f"these models: {scenario.chosen}; --model takes others")
    lines += [f"doses: {phrase}" for phrase in result.regimen]
    return [*lines, f"people: {_people(result)}", ""]


def _people(result: Result | TableResult) -> str:
    from kinetamine.results import show

    who = result.birth.get("population")
    if not isinstance(who, dict):
        return f"{result.n:,}"
    given = [
        f"{name} {show.number(value) if isinstance(value, float) else value}"
        for name, value in (who.get("given") or {}).items()
    ]
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


def _summary(result: Result, scenario: Scenario) -> list[dict[str, str]]:
    if not result.measurable:
        return []
    return result.summary(scenario.exposure_from_h, scenario.exposure_to_h)


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
    for i in _picked(result, [several[len(several) // 2] for several in curves.values()]):
        cells = ["  ".join(show.number(float(curve[i])) for curve in curves[name]) for name in result.outputs]
        table.add_row(f"{result.time_h[i]:.6g}", *cells)
    return [title, table]


def _picked(result: Result, middle: list[Any]) -> list[int]:
    """Starts and ends of the first and last doses, the highest value of each curve, and times spread over the run."""
    import numpy as np

    count = len(result.time_h)
    if count <= 24:
        return list(range(count))
    peaks = [int(np.nanargmax(curve)) for curve in middle if np.isfinite(curve).any()]
    doses = result.doses if len(result.doses) <= 5 else (*result.doses[:2], *result.doses[-2:])
    turns = [t for d in doses for t in (d.time_h, d.end_h)]
    close = np.clip(np.searchsorted(result.time_h, np.array(turns) - 1e-9), 0, count - 1)
    spread = np.linspace(0, count - 1, 13).round().astype(int)
    return [int(i) for i in np.unique(np.concatenate([close, spread, np.array(peaks, int)]))]


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
