"""``kinetamine nca``: areas, slopes and clearances of measured concentrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid

if TYPE_CHECKING:
    from kinetamine.nca import NCA

__all__ = ["nca"]

#: what a person looks at first
_USUAL = (
    "Cmax", "Tmax", "C0", "AUClast", "AUCINF_obs", "AUC_%Extrap_obs", "HL_Lambda_z", "Rsq_adjusted", "Cl_obs",
    "Cl_F_obs", "CLss", "CLss_F", "Vz_obs", "Vz_F_obs", "Vz", "Vz_F", "Vss_obs", "MRTINF_obs", "AUC_TAU", "Cavg",
    "Cmin", "Fluctuation%", "Accumulation_Index",
)  # fmt: skip


@command(
    "nca",
    formats=("table", "json", "csv"),
    gives=("out", "figure", "quiet"),
    examples="""
kinetamine nca examples/concentrations.csv
kinetamine nca examples/concentrations.csv --units h,mg/L,mg --partial 0-4,0-24 --format csv --names cdisc
""",
)
def nca(asked: questions.Nca, out: Out) -> None:
    """Analyse measured concentrations without a model: areas, terminal slope, clearance, by person and group."""
    import kinetamine
    from kinetamine.dosing.table_options import on_command_line
    from kinetamine.questions.nca import rules_of
    from kinetamine.questions.tables import options_of

    found = kinetamine.nca(
        asked.table,
        rules=rules_of(asked),
        say=on_command_line,
        **asked.arguments(),
        **options_of(asked),
    )
    for line in (*found.told(), *found.said()):
        out.say(line)

    out.give(
        lambda: _screen(found, asked),
        json=lambda: as_json(found.to_dict()),
        csv=lambda: str(found.to_polars(asked.names).write_csv()),
        figure=lambda figures: figures.curves(found.as_result(), log=True),
    )


def _screen(found: NCA, asked: questions.Nca) -> list[Any]:
    parts: list[Any] = [repr(found)[1:-1], ""]
    chosen = [name for name in found.parameters if asked.all or name in _USUAL or name.startswith("AUC0")]
    groups = found.curves.names[1:]
    rows = grid("parameter", "unit", *groups, "n", "geometric mean", "CV %", "median", "lowest", "highest")
    summary = found.summary(asked.names).to_dicts()
    shown = {found.named(name, asked.names) for name in chosen}
    for row in summary:
        if row["parameter"] in shown:
            rows.add_row(
                row["parameter"], row["unit"], *(str(row[name]) for name in groups), str(row["n"]),
                *(_short(row[name]) for name in ("geometric_mean", "geometric_cv_percent", "median", "min", "max")),
            )  # fmt: skip
    parts.append(rows)
    if len(found) > 1:
        each = [
            name
            for name in ("Cmax", "Tmax", "AUClast", "AUCINF_obs", "HL_Lambda_z")
            if name in found.parameters
        ]
        people = grid(*found.curves.names, *(found.named(name, asked.names) for name in each))
        for k, profile in enumerate(found.curves.profiles[:40]):
            people.add_row(*map(str, profile.label), *(_short(found.found[k].get(name)) for name in each))
        parts += ["", people]
        if len(found) > 40:
            parts.append(f"and {len(found) - 40} more curves: --format csv")
    return parts


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
