"""How the safety desk shows what it found: tables of sentences, sources, findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kinetamine.cli.output import grid

if TYPE_CHECKING:
    from kinetamine.safety.findings import Finding

__all__ = ["citations", "findings_table", "source_cell", "text_table"]


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


def findings_table(findings: Iterable[Finding]) -> list[Any]:
    """Findings as a table, gravest first; a line when there are none."""
    rows = list(findings)
    if not rows:
        return ["No published rule speaks of what was given."]
    table = text_table(severity=13, finding=47, product=20, source=28)
    for f in rows:
        text = (
            f.text + (f"\n  because: {f.because}" if f.because else "") + (f"\n  {f.note}" if f.note else "")
        )
        who = f.product + (" (another product)" if f.other_product else "") + f"\n{f.basis}"
        table.add_row(f.severity, text, who, f"{source_cell(f.source, f.seen, f.place)}\n{f.id}")
    return [f"{len(rows)} findings, the gravest: {rows[0].severity}", table]


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
