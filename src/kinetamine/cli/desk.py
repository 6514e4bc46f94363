"""How the safety desk shows what it found: tables of sentences, sources, hazards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kinetamine.cli.output import grid

if TYPE_CHECKING:
    from kinetamine.safety.findings import Hazard

__all__ = ["citations", "hazards_table", "source_cell", "text_table"]


def text_table(**share: int) -> Any:
    """An empty table for sentences: columns by name (an underscore is a blank) with their share of the width."""
    table = grid(*(name.replace("_", " ") for name in share), right=False)
    table.expand = True
    for column, width in zip(table.columns, share.values(), strict=True):
        column.ratio, column.overflow = width, "fold"
    return table


def source_cell(source: str, seen: str, place: str = "") -> str:
    """A source with its place, and a word in front when it was not read as text."""
    mark = "" if seen == "text" else f"{seen}: "
    return f"{mark}{source}" + (f", {place}" if place else "")


def hazards_table(hazards: Iterable[Hazard]) -> list[Any]:
    """Hazards as a table, one row each with its sources inside, gravest first; a line when there are none."""
    rows = list(hazards)
    if not rows:
        return ["No published rule speaks of what was given."]
    table = text_table(severity=11, hazard=58, says=31)
    for h in rows:
        lines = [h.name + (f", because: {h.because}" if h.because and h.because != h.name else "")]
        sources = []
        for f in dict.fromkeys(h.findings):
            other = ", another product" if f.other_product else ""
            mark = "" if f.severity == h.severity else f"{f.severity}: "
            text = f"- {mark}{f.text} [{f.product}{other}]"
            lines += [text] if text not in lines else []
            lines += [f"  {f.note}"] if f.note and f"  {f.note}" not in lines else []
            sources.append(f"{source_cell(f.source, f.seen, f.place)} {f.id}".rstrip())
        table.add_row(h.severity, "\n".join(lines), "\n".join(dict.fromkeys(sources)))
    return [f"{len(rows)} hazards, the gravest: {rows[0].severity}", table]


def citations(keys: Iterable[str]) -> list[str]:
    """The references behind these keys, each once."""
    from kinetamine.models.library import sources

    known = sources()
    lines = ["", "Sources"]
    for key in dict.fromkeys(keys):
        s = known[key]
        where = s.doi or s.url or ""
        lines.append(f"{key}: {s.citation}{'. ' + where if where else ''} (read as: {s.seen})")
    return lines
