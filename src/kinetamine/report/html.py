"""A report that is one file: it opens offline, prints on paper, and nothing in it runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.dosing import Regimen
from kinetamine.errors import InputError, MissingExtra
from kinetamine.files import write_whole
from kinetamine.report import figures
from kinetamine.results import Result, TableResult, references, show
from kinetamine.results.exposure import TITLES, summarise
from kinetamine.results.grades import GRADES
from kinetamine.results.output import describe_status

if TYPE_CHECKING:
    from kinetamine.effects import AcuteEffect, AcuteEffects
    from kinetamine.safety.findings import Finding
    from kinetamine.scenario import Scenario

__all__ = [
    "GRADES",
    "NOTICE",
    "drawn_both",
    "of_scenario",
    "render",
    "template_of",
    "write_report",
]

NOTICE = "For research and teaching; not for treating a person or dosing oneself."


_SEEN = {
    "text": "numbers read in the text",
    "abstract": "numbers read in the abstract",
    "recalled": "numbers recalled, not read in the source",
}
#: measures that make sense for what is not a concentration
_EFFECT_TITLES = {"cmax": "highest value", "tmax_h": "time of it", "time_above_h": "time above level"}
_TABLE_ROWS = 40


def write_report(
    result: Result | TableResult, path: str | os.PathLike[str], title: str | None = None, **options: Any
) -> None:
    """Write the report of a result, whole or not at all.

    Parameters
    ----------
    result : Result or TableResult
    path : path
        Usually ends in ``.html``.
    title : str, optional
        The regimen when not given.
    **options
        As `render` takes them.

    Raises
    ------
    InputError
        If the place cannot be written to.
    MissingExtra
        If the extra ``report`` is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from kinetamine.results import Output
    >>> t = np.arange(0.0, 5.0)
    >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.exp(-t)[None, :])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(Result(t, {"C": out}, typical=True), folder + "/report.html")
    ...     Path(folder, "report.html").read_text(encoding="utf-8")[:15]
    '<!doctype html>'
    """
    text = render(result, title, **options)
    write_whole(path, text)


def render(
    result: Result | TableResult,
    title: str | None = None,
    *,
    command: str | None = None,
    log: bool = False,
    observed: Any = None,
    thresholds: Mapping[str, float] | float | None = None,
    limits: Sequence[str] = (),
    findings: Sequence[Finding] | None = None,
    effects: AcuteEffects | None = None,
    session_h: float | None = None,
) -> str:
    """The report as HTML text: what was asked, what comes out, how far to trust it.

    Parameters
    ----------
    result : Result or TableResult
    title : str, optional
    command : str, optional
        The command line or code that makes this report again.
    log : bool
        Logarithmic value axes.
    observed : frame or list of dict, optional
        Measured points, see `kinetamine.report.figures.curves`.
    thresholds : dict of output to level, or one level, optional
        Adds the time above a level to the table.
    limits : sequence of str
        Further limits to print, besides those of the models.
    findings : sequence of Finding, optional
        What the safety desk found, gravest first (`kinetamine.safety.check`); printed before the curves.
    effects : AcuteEffects, optional
        Of the same doses and people, until the same time or the end of the first session; drawn under the curves.
    session_h : float, optional
        The effects are those of the first session alone, which is over by then.

    Returns
    -------
    str

    Raises
    ------
    MissingExtra
        If the extra ``report`` is not installed.
    """
    template = template_of("page.html.jinja")
    drawings: dict[str, Any] = {}
    if result.outputs and len(result.time_h):
        shown: dict[str, Any] = {"log": log, "observed": observed}
        draw: Callable[..., figures.Figure] = figures.curves
        if effects is not None:
            draw = partial(figures.explore, effects=effects, session_h=session_h)
        wide = draw(result, **shown, width=560, height=230)
        narrow = draw(result, **shown, width=285, height=200, labels="above")
        drawings = drawn_both(wide, narrow)

    exposure, lead, missing = _exposure(result, thresholds)
    own = {references.text(source) for source in result.citations}
    more = dict.fromkeys(text for one in effects or () for text in one.sources if text not in own)
    birth = result.birth
    regimen = result.regimen
    return template.render(
        title=title or "; ".join(regimen) or "Simulation",
        findings=findings,
        notice=NOTICE,
        regimen=regimen,
        people=_people(result),
        span=_span(result.time_h),
        models=[_model(m) for m in birth.get("models", [])],
        outputs=list(result.outputs.values()),
        unit=show.unit,
        grades=GRADES,
        used_grades=[g for g in GRADES if any(o.grade == g for o in result.outputs.values())],
        lead=lead,
        drawings=drawings,
        drawn="; ".join(o.label for o in result.outputs.values()),
        effects=_effects(effects or ()),
        session=session_h is not None and effects is not None,
        data=_data(result),
        doses_drawn=bool(drawings) and figures.doses_drawn(result),
        typical=bool(result.typical),
        exposure=exposure,
        missing=missing,
        failures=_failures(result),
        limits=_limits(result, limits),
        sources=[
            {
                "text": str(s.get("citation") or s.get("key") or ""),
                "link": references.link(s),
                "seen": _SEEN.get(str(s.get("seen")), ""),
                "key": str(s.get("key", "")),
            }
            for s in result.citations
        ]
        + [{"text": text, "link": "", "seen": "", "key": ""} for text in more],
        version=birth.get("kinetamine"),
        seed=birth.get("seed"),
        n=result.n,
        command=command,
        dark=figures.DARK,
    )


def template_of(name: str) -> Any:
    """A template of this folder.

    Raises
    ------
    MissingExtra
        If the extra ``report`` is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise MissingExtra("jinja2", "report", "a report") from None
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def drawn_both(wide: figures.Figure, narrow: figures.Figure) -> dict[str, Any]:
    """A figure for a wide page and for a narrow one, as markup."""
    import markupsafe

    drawn = {"wide": wide, "narrow": narrow}
    return {name: markupsafe.Markup(figures.svg(one, ids=name)) for name, one in drawn.items()}


def of_scenario(result: Result | TableResult, scenario: Scenario, *, command: str | None = None) -> str:
    """The report of a scenario that was run: besides the curves its acute effects and what the safety desk finds.

    Parameters
    ----------
    result : Result or TableResult
    scenario : Scenario
        As it was asked, before ``with`` and ``condition`` changed its models.
    command : str, optional
        As for `render`.

    Returns
    -------
    str

    Examples
    --------
    >>> from kinetamine import scenario
    >>> asked = scenario.read({"model": "otto_2021_s_ketamine", "doses": "10 mg iv over 30 min", "until": "2 h"})
    >>> "Acute effects" in of_scenario(asked.run(), asked)
    True
    """
    findings, acute, session_h = None, None, None
    if isinstance(result, Result) and isinstance(scenario.doses, Regimen):  # a table has no regimen to check
        from kinetamine.safety.check import check

        findings = [f for f in check(scenario).findings if f.severity != "information"]
        if not result.streamed and len(result.time_h):
            acute, session_h = _acute(float(result.time_h[-1]), scenario, scenario.doses)
    return render(
        result,
        scenario.title or None,
        command=command,
        findings=findings,
        effects=acute,
        session_h=session_h,
    )


def _acute(
    until_h: float, scenario: Scenario, doses: Regimen
) -> tuple[AcuteEffects, float | None] | tuple[None, None]:
    """Acute effects, where effect models can read what the scenario's models give."""
    from kinetamine.effects import effects_of_first_session
    from kinetamine.population import Patient
    from kinetamine.safety.interactions import applied

    models = list(applied(scenario).models)
    try:
        return effects_of_first_session(
            doses,
            until_h,
            model=models if len(models) > 1 else models[0],
            population=scenario.people or Patient(),
        )
    except InputError:  # the curves are a report all the same
        return None, None


def _model(model: Mapping[str, Any]) -> dict[str, str]:
    return {k: str(model.get(k) or "") for k in ("id", "digest", "source", "status")}


def _people(result: Result | TableResult) -> str:
    words = show.people(result.birth.get("population"))
    kind = "subject" if isinstance(result, TableResult) else "patient"
    count = "typical patient" if result.typical else f"{result.n:,} {kind}{'s' * (result.n != 1)}"
    if not words:
        return count
    said = f"{result.n:,}" in words or result.typical
    return words if said else f"{count}: {words}"


def _span(time_h: np.ndarray[Any, Any]) -> str:
    if not len(time_h):
        return "no times"
    low, high = float(time_h.min()), float(time_h.max())
    days = f" ({high / 24:g} d)" if high >= 48 and high % 24 == 0 else ""
    kind = "times" if len(np.unique(time_h)) == len(time_h) else "records"
    return f"{low:g} to {high:g} h{days}, {len(time_h):,} {kind}"


def _failures(result: Result | TableResult) -> str:
    """How many could not be computed, and why."""
    if result.ok.all():
        return ""
    status = np.asarray(result.status)
    codes, counts = np.unique(status[status != 0], return_counts=True)
    reasons = ", ".join(f"{describe_status(c)}: {k:,}" for c, k in zip(codes, counts, strict=True))
    return f"{int(counts.sum()):,} of {result.n:,} could not be computed and are left out ({reasons})."


def _limits(result: Result | TableResult, more: Sequence[str]) -> list[str]:
    """What these numbers do not say."""
    lines = list(result.notes) + list(more)
    for model in result.birth.get("models", []):
        if model.get("status") == "derived":
            lines.append(
                f"{model.get('id')} is derived: a fit or combination made here, not published as such."
            )
    if result.typical:
        lines.append(
            "One typical patient: people differ, and the spread between them is not in these numbers."
        )
    lines.append(
        "A model speaks for the people, doses and times it was made from; other illnesses, medicines taken "
        "at the same time and uncertainty of the model's own structure are not in the bands."
    )
    return list(dict.fromkeys(lines))


def _exposure(
    result: Result | TableResult, thresholds: Mapping[str, float] | float | None
) -> tuple[list[dict[str, Any]], list[dict[str, str]], str]:
    """Blocks of the exposure table, one line per output for the top of the page, and why it is missing."""
    if not result.outputs or not len(result.time_h):
        return [], [], "There is nothing to measure."
    if isinstance(result, Result) and not result.measurable:
        return (
            [],
            [],
            "This streamed run kept quantiles of the curves only; exposure of each patient was not measured.",
        )
    frame = result.exposure(thresholds)
    table = list(summarise(frame, (0.05, 0.5, 0.95)).iter_rows(named=True))
    levels = dict(frame.select("output", "level").unique().rows())
    blocks, lead = [], []
    for name, output in result.outputs.items():
        rows = []
        concentration = "/" in output.unit
        titles = TITLES if concentration else _EFFECT_TITLES
        for line in table:
            if line["output"] != name:
                continue
            measure = titles.get(line["measure"])
            if measure is None:
                continue
            if line["measure"] == "time_above_h":
                measure = f"time above {levels[name]:g} {show.unit(output.unit)}"
            known = "" if line["n"] == result.n else f"in {line['n']:,} of {result.n:,}"
            rows.append(
                {
                    "measure": measure,
                    "unit": show.unit(line["unit"]).replace("*", "·"),
                    "low": show.number(line["q0.05"]),
                    "middle": show.number(line["q0.5"]),
                    "high": show.number(line["q0.95"]),
                    "known": "not determinable" if line["n"] == 0 else known,
                }
            )
        blocks.append({"output": output, "rows": rows})
        found = {line["measure"]: line for line in table if line["output"] == name}
        peak, time = found["cmax"], found["tmax_h"]
        if peak["n"]:
            value = show.span(peak["q0.05"], peak["q0.5"], peak["q0.95"])
            unit = "" if show.unit(output.unit) == "no unit" else " " + show.unit(output.unit)
            # after repeated doses nearly equal peaks compete, and the time of the highest says little
            once = time["n"] and len(figures.administrations(result.doses)) < 2
            when = f", {show.number(time['q0.5'])} h after the start" if once else ""
            verb = "peaks at" if concentration else "is at most"
            lead.append(
                {"name": name, "verb": verb, "value": f"{value}{unit}", "when": when, "grade": output.grade}
            )
    return blocks, lead, ""


def _effects(effects: Iterable[AcuteEffect]) -> list[dict[str, str]]:
    """Rows of the table of effects, times in minutes."""

    def told(times: Mapping[str, float | None] | None) -> str:
        if times is None:
            return "–"
        low, middle, high = ("after the end" if v is None else show.number(v) for v in times.values())
        return middle if low == high else f"{middle} ({low} to {high})"

    return [
        {
            "name": one.effect,
            "threshold": one.threshold,
            "onset": told(one.onset_min),
            "lasts": told(one.duration_min),
            "people": f"{one.affected:.0%}",
            "grade": one.grade,
        }
        for one in effects
    ]


def _data(result: Result | TableResult) -> dict[str, Any] | None:
    """The curves as a table, thinned."""
    if isinstance(result, TableResult) or not result.outputs or not len(result.time_h):
        return None
    at = np.unique(np.linspace(0, len(result.time_h) - 1, min(_TABLE_ROWS, len(result.time_h))).astype(int))
    columns = []
    for name, output in result.outputs.items():
        if result.typical and output.values is not None:
            columns.append([show.number(float(v)) for v in output.values[0][at]])
            continue
        kept = sorted(output.quantiles) if output.values is None else [0.05, 0.5, 0.95]
        edges = result.quantiles(name, kept)
        low, high = edges[kept[0]][at], edges[kept[-1]][at]
        middle = edges[0.5 if 0.5 in kept else kept[len(kept) // 2]][at]
        columns.append([show.span(*map(float, v)) for v in zip(low, middle, high, strict=True)])
    times = [f"{t:.4g}" for t in result.time_h[at]]
    heads = [f"{o.name}, {show.unit(o.unit)}" for o in result.outputs.values()]
    return {
        "heads": heads,
        "rows": list(zip(times, *columns, strict=True)),
        "all": len(at) == len(result.time_h),
    }
