"""``kinetamine posterior``: what a person's own levels or scores say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid, write_whole
from kinetamine.errors import InputError

if TYPE_CHECKING:
    from kinetamine.inference import CoursePosterior, Posterior, TracedBack
    from kinetamine.inference.answer import Answer

__all__ = ["posterior"]

_NOTICE = ""  # every answer carries its own among the remarks
#: draws kept when nobody says how many
PEOPLE = 1000


_EXAMPLES = "\n".join(
    "kinetamine posterior " + " ".join(words)
    for words in (
        (
            '--model otto_2021_s_ketamine --dose "10 mg iv over 30 min" --set weight=80',
            '--level "S-ketamine 46 ng/mL at 40 min" --level "S-norketamine 12 ng/mL at 2 h" --out me.json',
        ),
        (
            "--model otto_2021_s_ketamine --model perez_ruixo_2021_esketamine",
            '--dose "28 mg iv over 40 min" --level "S-ketamine 60 ng/mL at 2 h"',
        ),
        (
            '--model perez_ruixo_2021_esketamine --dose "10 to 1000 mg oral, 0 to 24 h before"',
            '--level "S-ketamine 46 ng/mL at 0 h"',
        ),
        (
            '--model otto_2021_s_ketamine --dose "10 mg iv over 30 min" --level "S-ketamine 46 ng/mL at 40 min"',
            '--search "5 to 20 mg iv over 30 min" --target "S-ketamine Cmax 40 to 90 ng/mL"',
        ),
        (
            '--model herd_2007_children_ed --dose "20 mg iv over 1 min" --set weight=20 --set age=6',
            '--level "ketamine 400 ng/mL at 30 min" --residual "ketamine=20 %"',
        ),
    )
)


@command(
    "posterior",
    formats=("table", "json", "csv"),
    gives=("out", "figure", "report", "cite"),
    examples=_EXAMPLES,
)
def posterior(asked: questions.PosteriorLine, out: Out) -> None:
    """Learn from a person's levels or scores: what they say of him, of a dose, of the weeks to come."""
    from kinetamine.dosing.table_options import on_command_line
    from kinetamine.inference import CoursePosterior, TracedBack
    from kinetamine.inference.answer import answer
    from kinetamine.inference.entry import posterior
    from kinetamine.population import Patient
    from kinetamine.questions import people
    from kinetamine.questions.tables import options_of

    if asked.events is not None and (asked.doses or asked.level):
        raise InputError("events", "a table and doses or values", "one of the two", "--events alone")
    patient = Patient(**people.fixed(asked, "--set ")) if asked.set else None
    doses: Any = asked.doses
    how: dict[str, Any] = options_of(asked)
    if asked.events is not None:
        from pathlib import Path

        doses = Path(asked.events)
        how["say"] = on_command_line
    found = posterior(doses=doses, patient=patient, **asked.arguments(), **how)
    told = answer(
        found, forecast=asked.forecast, until=asked.until, search=asked.search, target=asked.target, least=asked.least,
        booster=asked.booster, most=asked.most,
    )  # fmt: skip
    if out.report is not None:
        from kinetamine.cli import output
        from kinetamine.report.learned import report

        write_whole(out.report, report(told, command=output.command))
    if isinstance(found, dict):
        if out.figure is not None:
            raise InputError("figure", out.figure, "one person's values", "--dose and --level of one of them")
        _many(told, out, asked.people or PEOPLE)
    elif isinstance(found, CoursePosterior):
        _course(told, asked, out)
    elif isinstance(found, TracedBack):
        _traced(told, asked, out)
    else:
        _person(told, asked, out)


def _person(told: Answer, asked: questions.PosteriorLine, out: Out) -> None:
    found = told.found
    out.give(
        lambda: _screen(found, told.search, told.forecast),
        json=lambda: as_json(told.to_dict(asked.people or PEOPLE)),
        csv=lambda: str(found.summary().write_csv()),
        figure=lambda figures: figures.learned(found),
        sources=lambda: [found.cite()],
        notice=_NOTICE,
    )


def _screen(found: Posterior, search: Any, curves: Any) -> list[Any]:
    parts: list[Any] = []
    weights = found.weights
    for row in found.diagnostics().iter_rows(named=True):
        weight = f", weight {weights[row['model']]:.2f}" if len(weights) > 1 else ""
        parts.append(
            f"{row['model']}{weight}: {row['method']}, {row['effective']:.0f} effective draws, grade {row['grade']}"
        )
        table = grid("parameter", "unit", "prior (90 %)", "posterior (90 %)", "shrinkage")
        for line in found.summary(row["model"]).iter_rows(named=True):
            if line["parameter"].startswith("z "):
                continue
            table.add_row(
                line["parameter"],
                line["unit"],
                _interval(line, "prior_"),
                _interval(line, ""),
                f"{line['shrinkage']:.2f}",
            )
        parts.append(table)
        values = grid("value", "at", "observed", "posterior (90 %)", "unit")
        for line in found.fit(row["model"]).iter_rows(named=True):
            values.add_row(
                line["output"],
                _time(line["time_h"]),
                _observed(line),
                _interval(line, "posterior_"),
                line["unit"],
            )
        parts.append(values)
    if search is not None:
        parts += ["", f"{search.target.output} {search.target.metric} within limits, by dose"]
        rows = grid("dose", "probability", "95 % of the sampling")
        for line in search.table.iter_rows(named=True):
            rows.add_row(
                line["dose"], f"{line['probability']:.2f}", f"{line['low']:.2f} to {line['high']:.2f}"
            )
        least = f"{search.least:.0%}"
        parts += [rows, f"best: {search.best}" + ("" if search.reached else f"; none reaches {least}")]
    if curves is not None:
        parts += ["", "forecast: median and 90 % limits", _forecast(curves)]
    return [*parts, "", *(f"remark: {text}" for text in found.remarks)]


def _forecast(curves: Any) -> Any:
    names = curves.analytes() if hasattr(curves, "analytes") else tuple(curves.outputs)
    table = grid("time", *names)
    found = {name: curves.quantiles(name) for name in names}
    for k in range(0, len(curves.time_h), max(1, len(curves.time_h) // 12)):
        cells = [f"{q[0.5][k]:.3g} ({q[0.05][k]:.3g} to {q[0.95][k]:.3g})" for q in found.values()]
        table.add_row(_time(float(curves.time_h[k])), *cells)
    return table


def _interval(line: dict[str, Any], prefix: str) -> str:
    low, middle, high = (line[f"{prefix}{name}"] for name in ("low", "median", "high"))
    return f"{middle:.3g} ({low:.3g} to {high:.3g})"


def _observed(line: dict[str, Any]) -> str:
    low, high = line["low"], line["high"]
    if low == high:
        return f"{low:.4g}"
    if high != high:  # NaN: no upper end
        return f">{low:.4g}"
    return f"<{high:.4g}" if not low > 0 else f"{low:.4g} to {high:.4g}"


def _time(hours: float) -> str:
    if hours and hours < 2:
        return f"{60 * hours:.3g} min"
    return f"{hours / 24:.3g} d" if hours > 48 else f"{hours:.3g} h"


def _course(told: Answer, asked: questions.PosteriorLine, out: Out) -> None:
    from kinetamine.inference.course import said

    found: CoursePosterior = told.found

    def screen() -> list[Any]:
        row = found.diagnostics().row(0, named=True)
        parts: list[Any] = [f"{row['model']}: {row['effective']:.0f} effective draws, grade {found.grade}"]
        rows = grid("day", "score (90 %)", "response", "remission", "relapse until then")
        for line in found.forecast(told.until_d).iter_rows(named=True):
            rows.add_row(
                f"{line['day']:g}", f"{line['median']:.0f} ({line['p05']:.0f} to {line['p95']:.0f})",
                f"{line['response']:.0%}", f"{line['remission']:.0%}", said(line["relapse"]),
            )  # fmt: skip
        parts += [rows, found.best.plan.relapse.describe()]
        if told.boosters is not None:
            boosters = grid("one more session", "relapse before", f"relapse until day {told.boosters.end_d:g}",
                            "score then (90 %)", "response then")  # fmt: skip
            for line in told.boosters.table.iter_rows(named=True):
                day = line["booster_day"]
                boosters.add_row(
                    "none" if day is None else f"day {day:g}", "" if day is None else said(line["relapse_before"]),
                    said(line["relapse_until_end"]),
                    f"{line['score_at_end']:.0f} ({line['p05']:.0f} to {line['p95']:.0f})",
                    f"{line['response_at_end']:.0%}",
                )  # fmt: skip
            parts += ["", boosters, told.boosters.words()]
        return [*parts, "", *(f"remark: {text}" for text in found.remarks)]

    out.give(
        screen,
        json=lambda: as_json(told.to_dict(asked.people or 0)),
        csv=lambda: str(found.forecast(told.until_d).write_csv()),
        figure=lambda figures: figures.scores(found, until_d=told.until_d),
        sources=lambda: [found.cite()],
        notice=_NOTICE,
    )


def _traced(told: Answer, asked: questions.PosteriorLine, out: Out) -> None:
    found: TracedBack = told.found

    def screen() -> list[Any]:
        table = grid("what", "unit", "asked", "median", "50 %", "90 %")
        for row in found.summary().iter_rows(named=True):
            table.add_row(
                row["what"], row["unit"], f"{row['prior_low']:g} to {row['prior_high']:g}", f"{row['median']:.3g}",
                f"{row['low_50']:.3g} to {row['high_50']:.3g}", f"{row['low_90']:.3g} to {row['high_90']:.3g}",
            )  # fmt: skip
        return [table, found.words(), *(f"remark: {text}" for text in found.remarks[1:])]

    out.give(
        screen,
        json=lambda: as_json(told.to_dict(asked.people or 0)),
        csv=lambda: str(found.summary().write_csv()),
        figure=lambda figures: figures.dose_and_time(found),
        notice=_NOTICE,
    )


def _many(told: Answer, out: Out, draws: int) -> None:
    import polars

    found: dict[str, Posterior] = told.found

    def frame() -> Any:
        rows = [one.summary().with_columns(polars.lit(name).alias("subject")) for name, one in found.items()]
        table = polars.concat(rows)
        return table.select("subject", *(c for c in table.columns if c != "subject"))

    def screen() -> list[Any]:
        table = grid("subject", "parameter", "unit", "posterior (90 %)", "shrinkage", "grade")
        for name, one in found.items():
            for line in one.summary().iter_rows(named=True):
                if not line["parameter"].startswith("z "):
                    table.add_row(
                        name,
                        line["parameter"],
                        line["unit"],
                        _interval(line, ""),
                        f"{line['shrinkage']:.2f}",
                        one.grade,
                    )
        remarks = dict.fromkeys(text for one in found.values() for text in one.remarks)
        return [table, *(f"remark: {text}" for text in remarks)]

    out.give(
        screen,
        json=lambda: as_json(told.to_dict(draws)),
        csv=lambda: str(frame().write_csv()),
        notice=_NOTICE,
    )
