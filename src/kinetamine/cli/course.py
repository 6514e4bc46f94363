"""``kinetamine course``: a group of patients through sessions, visit rules, response and relapse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import DISCLAIMER, grid

if TYPE_CHECKING:
    from kinetamine.course import CourseResult

__all__ = ["course"]


@command(
    "course",
    formats=("table", "json", "csv"),
    gives=("out", "figure", "cite", "quiet"),
    examples="""
kinetamine course esketamine_label
kinetamine course --dose "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks" \
--rule "booster when MADRS >= 20 at a weekly visit for responders"
kinetamine course --dose "84 mg nasal twice weekly for 4 weeks" --weeks 12 --patients 5000 --seed 1 \
--format json
""",
)
def course(asked: questions.Course, out: Out) -> None:
    """Take a group of patients through a course of treatment: scores, response, relapse, sessions."""
    regimen = asked.regimen()
    from kinetamine.course import course

    result = course(regimen, asked.patients, **asked.arguments())

    out.give(
        lambda: _screen(result),
        json=lambda: result.to_json() + "\n",
        csv=lambda: result.visits().write_csv(),
        sources=lambda: [result.cite()],
        figure=lambda figures: figures.course(result),
        notice=f"{result.caveat} {DISCLAIMER}",
    )


def _screen(result: CourseResult) -> list[Any]:
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
    return parts


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3g}"


def _band(found: dict[str, float]) -> str:
    return f"{found['low']:.3g}-{found['high']:.3g}" if "low" in found else "–"
