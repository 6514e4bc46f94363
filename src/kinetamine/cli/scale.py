"""``kinetamine scale``: rating scales scored by their published rules, items by number only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import source_cell, text_table
from kinetamine.cli.output import as_json

if TYPE_CHECKING:
    from kinetamine.safety.instruments import Score

__all__ = ["scale"]


@command(
    "scale",
    formats=("table", "json"),
    gives=("out",),
    bare=True,
    examples="""
kinetamine scale
kinetamine scale PHQ-9 2,2,2,1,1,1,1,1,0
kinetamine scale MADRS --total 12 --baseline 31 --format json
kinetamine scale MOAA/S 4
""",
)
def scale(asked: questions.ScaleLine, out: Out) -> None:
    """Score a rating scale: total, band, cut-offs, response and remission, with source and licence."""
    from kinetamine.safety import instruments

    if asked.name is None:
        out.give(_list, json=lambda: as_json(instruments.listed()))
    else:
        score = instruments.score(asked.name, **asked.arguments())
        out.give(lambda: _one(score), json=lambda: as_json(score.to_dict()))


def _list() -> list[Any]:
    from kinetamine.safety import instruments

    table = text_table(scale=11, name=30, items=7, total=9, rater=12, licence=38)
    for key, i in instruments.instruments().items():
        total = f"{i.total[0]} to {i.total[1]}" if i.scored else "none"
        licence = i.licence.status + (" (recalled)" if i.licence.seen == "recalled" else "")
        table.add_row(i.also[0] if i.also else key, i.name, str(i.items or "-"), total, i.rater, licence)
    return [table, "Score one: kinetamine scale PHQ-9 2,2,2,1,1,1,1,1,0"]


def _verdict(what: str, yes: bool, s: Score) -> str:
    return f"{what}: {'yes' if yes else 'no'}" + ("   (recalled)" if what in s.recalled else "")


def _one(s: Score) -> list[Any]:
    lines = [f"{s.name}: {s.total} of {s.lowest} to {s.highest}"]
    if s.band:
        lines.append(f"band: {s.band}   ({source_cell(s.source, s.seen)})")
    lines += [f"band by {name}: {band}" for name, band in s.other_bands.items()]
    lines += [f"flag: {flag}" for flag in s.flags]
    if s.change_percent is not None:
        lines.append(f"change from baseline: {s.change_percent:+.0f} %")
    if s.response is not None:
        lines.append(_verdict("response", s.response, s))
    lines += [_verdict(f"remission ({name})", yes, s) for name, yes in s.remission.items()]
    lines += [f"remark: {r}" for r in s.remarks]
    lines.append(f"licence: {s.licence}{' (recalled)' if s.licence_seen == 'recalled' else ''}")
    table = text_table(rule=28, as_printed=48, source=32)
    for e in s.evidence:
        table.add_row(e["field"], e["value"], source_cell(e["source"], e["seen"]))
    return [*lines, table]
