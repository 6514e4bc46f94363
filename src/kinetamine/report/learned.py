"""The report of what a person's own values say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kinetamine.errors import InputError
from kinetamine.report import figures
from kinetamine.report.html import NOTICE, drawn_both, template_of
from kinetamine.results import show

if TYPE_CHECKING:
    from kinetamine.inference.answer import Answer

__all__ = ["report"]


@dataclass(frozen=True)
class _Table:
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def report(told: Answer, *, command: str | None = None) -> str:
    """The report as HTML text: what was asked, the figure, the numbers, how far to trust them, sources.

    Parameters
    ----------
    told : Answer
        Of one person; a table of many people has no report.
    command : str, optional
        What makes it again.

    Raises
    ------
    InputError
        For many people.
    MissingExtra
        If the extra ``report`` is not installed.

    Examples
    --------
    >>> import kinetamine as kt
    >>> from kinetamine.inference.answer import answer
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"])
    >>> "How far to trust it" in report(answer(post))
    True
    """
    from kinetamine.inference import CoursePosterior, TracedBack
    from kinetamine.version import version

    found = told.found
    if isinstance(found, dict):
        raise InputError(
            "report", f"{len(found)} people", "one person's values", "doses and values of one of them"
        )
    size: dict[str, Any] = {"width": 500}
    narrow: dict[str, Any] = {"width": 285, "labels": "above"}
    if isinstance(found, CoursePosterior):
        wide_, narrow_ = (figures.scores(found, until_d=told.until_d, **how) for how in (size, narrow))
        title, lead, tables = "A patient's scores", _said(told), _course(told)
    elif isinstance(found, TracedBack):
        wide_, narrow_ = (figures.dose_and_time(found, **how) for how in (size, narrow))
        title, lead, tables = "An unknown dose", [found.words()], _traced(told)
    else:
        wide_, narrow_ = (figures.learned(found, **how) for how in (size, narrow))
        title, lead, tables = "A person's own values", _said(told), _person(told)
    remarks = list(found.remarks)
    cited = found.cite() if hasattr(found, "cite") else found.spec.source
    page: str = template_of("learned.html.jinja").render(
        title=title, notice=NOTICE, asked=_asked(found), lead=lead, drawings=drawn_both(wide_, narrow_),
        drawn=title, tables=tables, remarks=remarks, sources=cited.splitlines(), command=command,
        version=version(), dark=figures.DARK,
    )  # fmt: skip
    return page


def _asked(found: Any) -> list[tuple[str, str]]:
    values = "; ".join(map(str, found.observations))
    if hasattr(found, "ranges"):
        return [("Values", values), ("Model", found.spec.id)]
    weights = found.weights
    models = ", ".join(
        f"{name} (weight {p:.2f})" if len(weights) > 1 else name for name, p in weights.items()
    )
    facts = found.to_dict() if not hasattr(found, "people") else found.to_dict(0)
    return [("Values", values), ("Doses", "; ".join(dict.fromkeys(facts["doses"]))), ("Model", models)]


def _said(told: Answer) -> list[str]:
    lead = []
    if told.search is not None:
        reached = "" if told.search.reached else f"; none reaches {told.search.least:.0%}"
        lead.append(f"dose with the highest probability of the target: {told.search.best}{reached}")
    if told.boosters is not None:
        lead.append(told.boosters.words())
    return lead


def _parameters(found: Any) -> _Table:
    rows = [
        (
            line["parameter"], show.unit(line["unit"]),
            show.span(line["prior_low"], line["prior_median"], line["prior_high"]),
            show.span(line["low"], line["median"], line["high"]), f"{line['shrinkage']:.0%}",
        )
        for line in found.summary().iter_rows(named=True)
        if not line["parameter"].startswith("z ")
    ]  # fmt: skip
    return _Table(
        "What stays the same", ("parameter", "unit", "before (5-95 %)", "with the data", "learned"), rows
    )


def _diagnostics(found: Any) -> _Table:
    rows = [
        (
            line["model"], line["method"], f"{line['effective']:.0f}", show.number(line["pareto_k"]),
            f"{line['probability_of_data']:.2g}", line["grade"],
        )
        for line in found.diagnostics().iter_rows(named=True)
    ]  # fmt: skip
    columns = ("model", "method", "effective draws", "Pareto k", "probability of the data", "grade")
    return _Table("How it was computed", columns, rows)


def _person(told: Answer) -> list[_Table]:
    found = told.found
    values = [
        (
            line["output"], f"{line['time_h']:g} h", _seen(line),
            show.span(line["posterior_low"], line["posterior_median"], line["posterior_high"]), show.unit(line["unit"]),
        )
        for line in found.fit().iter_rows(named=True)
    ]  # fmt: skip
    tables = [
        _Table("Values", ("value", "at", "observed", "curve (5-95 %)", "unit"), values),
        _parameters(found),
    ]
    if told.search is not None:
        tried = [
            (line["dose"], f"{line['probability']:.0%}") for line in told.search.table.iter_rows(named=True)
        ]
        tables.append(
            _Table(f"Probability of the target: {told.search.target.output}", ("dose", "probability"), tried)
        )
    return [*tables, _diagnostics(found)]


def _seen(line: dict[str, Any]) -> str:
    low, high = line["low"], line["high"]
    if low == high:
        return show.number(low)
    if high != high:
        return f">{show.number(low)}"
    return f"<{show.number(high)}" if not low > 0 else f"{show.number(low)}-{show.number(high)}"


def _traced(told: Answer) -> list[_Table]:
    rows = [
        (
            line["what"], line["unit"], f"{line['prior_low']:g}-{line['prior_high']:g}", show.number(line["median"]),
            f"{show.number(line['low_50'])}-{show.number(line['high_50'])}",
            f"{show.number(line['low_90'])}-{show.number(line['high_90'])}",
        )
        for line in told.found.summary().iter_rows(named=True)
    ]  # fmt: skip
    return [_Table("What was not known", ("what", "unit", "asked", "median", "50 %", "90 %"), rows)]


def _course(told: Answer) -> list[_Table]:
    from kinetamine.inference.course import said

    found = told.found
    rows = [
        (
            f"{line['day']:g}", show.span(line["p05"], line["median"], line["p95"]), f"{line['response']:.0%}",
            f"{line['remission']:.0%}", said(line["relapse"]),
        )
        for line in found.forecast(told.until_d).iter_rows(named=True)
    ]  # fmt: skip
    columns = ("day", "score (5-95 %)", "response", "remission", "relapse until then")
    tables = [_Table("The next weeks", columns, rows)]
    if told.boosters is not None:
        tried = [
            (
                "none" if line["booster_day"] is None else f"day {line['booster_day']:g}",
                "" if line["booster_day"] is None else said(line["relapse_before"]),
                said(line["relapse_until_end"]), show.span(line["p05"], line["score_at_end"], line["p95"]),
            )
            for line in told.boosters.table.iter_rows(named=True)
        ]  # fmt: skip
        end = f"day {told.boosters.end_d:g}"
        heads = ("one more session", "relapse before", f"relapse until {end}", f"score on {end}")
        tables.append(_Table("One more session", heads, tried))
    return [*tables, _parameters(found), _diagnostics(found)]
