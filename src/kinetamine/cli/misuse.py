"""``kinetamine misuse``: what repeated use and overdose do, as published and computed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import citations, source_cell, text_table
from kinetamine.cli.output import as_json, grid

if TYPE_CHECKING:
    from kinetamine.safety.misuse import Asked, Number

__all__ = ["misuse"]

_GROUPS = "Numbers of groups that were studied; none is about a person, and none tells how to use."


@command(
    "misuse",
    formats=("table", "json"),
    gives=("out", "cite"),
    bare=True,
    examples="""
kinetamine misuse
kinetamine misuse dependence
kinetamine misuse bladder --days 60 --months 24 --sex female
kinetamine misuse timeline --months 24 --days 60 --sex female
kinetamine misuse --prevalence 8.6
kinetamine misuse --concentration 800
kinetamine misuse --days 30 --format json
""",
)
def misuse(asked: questions.Misuse, out: Out) -> None:
    """Show what repeated use and overdose do, as published and computed; no advice how to use."""
    from kinetamine.safety.misuse import ask

    found = ask(**asked.arguments())
    cited = citations(found.sources) if out.cite else ()
    out.give(lambda: [*_parts(found), *cited], json=lambda: as_json(found.to_dict()))


def _parts(found: Asked) -> list[Any]:
    from kinetamine.safety.misuse import topics

    parts = [*_ranges(found), *_odds(found)]
    for answer in found.answers:
        parts += [answer.title, _numbers(answer.numbers), *(f"Refused: {r}" for r in answer.refused)]
        parts += [f"! {w}" for w in answer.warns]
    if found.story is not None:
        for moment in found.story.moments:
            parts += [f"Month {moment.months:g}: {moment.what}", _numbers(moment.numbers)]
        parts += [*(f"Refused: {r}" for r in found.story.refused), *(f"! {w}" for w in found.story.warns)]
    if found.facts and found.topic is not None:
        parts += [f"{topics()[found.topic]}: as published", _facts(found)]
    if found.answers or found.story:
        parts.append(_GROUPS)
    return parts or _topics()


def _numbers(numbers: Iterable[Number]) -> Any:
    from kinetamine.safety.misuse.models import row

    table = text_table(what=36, number=18, in_whom=26, source=20)
    for n in numbers:
        counted = f"\n{n.events} of {n.n}" if n.n is not None and n.events is not None else ""
        source = "; ".join(dict.fromkeys(source_cell(row(r).source, row(r).seen) for r in n.rows))
        table.add_row(
            n.what + (f"\n  {n.note}" if n.note else ""), f"{n.shown}{counted}\n{n.grade}", n.people, source
        )
    return table


def _ranges(found: Asked) -> list[Any]:
    if found.concentration_ng_ml is None:
        return []
    table = text_table(range=15, it_is=9, what_was_measured=44, measured_in=18, source=24)
    for t in found.ranges:
        f = t.fact
        span = f"{f.low_ng_ml:g}" + (f" to {f.high_ng_ml:g}" if f.high_ng_ml != f.low_ng_ml else "")
        text = f"{f.quantity}; {f.population}" + (f"\n  {f.note}" if f.note else "")
        table.add_row(span, t.relation, text, f.matrix, source_cell(f.source, f.seen, f.place))
    return [f"{found.concentration_ng_ml:g} ng/mL of ketamine against published ranges, in ng/mL", table]


def _odds(found: Asked) -> list[Any]:
    if not found.odds:
        return []
    table = grid("symptom", "odds against no use", "source")
    for o in found.odds:
        table.add_row(o.symptom, f"{o.ratio:.2f}", source_cell(o.source, o.seen))
    return [f"{found.days:g} days of use in half a year: an association in one survey", table]


def _facts(found: Asked) -> Any:
    table = text_table(what=36, value=28, in_whom=24, source=22)
    for f in found.facts:
        text = f.quantity + (f"\n  {f.note}" if f.note else "")
        value = f.value if f.unit in ("class", "list", "direction") else f"{f.value} {f.unit}"
        if f.low is not None and f.high is not None:
            value += f" ({f.low:g}-{f.high:g})"
        table.add_row(text, value, f.population, source_cell(f.source, f.seen, f.place))
    return table


def _topics() -> list[Any]:
    from kinetamine.safety import misuse

    table = grid("topic", "", "numbers", right=False)
    for name, title in misuse.topics().items():
        table.add_row(name, title, str(len(misuse.facts(name))))
    table.add_row("timeline", "The story of an invented person, for teaching: --months N", "")
    return [table, "One of them: kinetamine misuse withdrawal"]
