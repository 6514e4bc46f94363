"""``kinetamine combine``: ketamine together with propofol, remifentanil, sevoflurane or dexmedetomidine."""

from __future__ import annotations

from typing import Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.desk import citations
from kinetamine.cli.output import as_json, grid

__all__ = ["combine"]


@command(
    "combine",
    formats=("table", "json"),
    gives=("out", "cite"),
    bare=True,
    examples="""
kinetamine combine
kinetamine combine ketofol --ratio 5
kinetamine combine bolus --propofol 0.63 --ketamine 0.21
kinetamine combine laryngoscopy --propofol 4 --remifentanil 2
kinetamine combine sevoflurane
""",
)
def combine(asked: questions.Combine, out: Out) -> None:
    """Show what ketamine and other anaesthetics do together, as published."""
    from kinetamine.combination import ask

    found = ask(**asked.arguments())
    cited = citations([found["source"]]) if out.cite and "source" in found else ()
    out.give(lambda: [*_table(found), *cited], json=lambda: as_json(found))


def _table(found: dict[str, Any]) -> list[Any]:
    if "parts" in found:
        table = grid("combination", "needs", right=False)
        for name, fields in found["parts"].items():
            table.add_row(name, ", ".join(fields))
        return [table, "One of them: kinetamine combine ketofol --ratio 5"]
    if "rows" in found:
        names = list(found["rows"][0])
        table = grid(*names, right=False)
        for row in found["rows"]:
            table.add_row(*(_cell(row[n]) for n in names))
    else:
        table = grid(found["what"], "", right=False)
        for name, value in found.items():
            if name not in ("what", "warns", "reasons", "source"):
                table.add_row(name.replace("_", " "), _cell(value))
    return [table, *(f"! {w}" for w in (*found.get("reasons", ()), *found.get("warns", ()))), found["source"]]


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"{value[0]:.3g} ({value[1]:.3g}-{value[2]:.3g})"
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)
