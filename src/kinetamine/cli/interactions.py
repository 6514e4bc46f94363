"""``kinetamine interactions``: other drugs, diseases and genes, in what they do to ketamine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, grid

if TYPE_CHECKING:
    from kinetamine.safety.pd_interactions import Interaction

__all__ = ["interactions"]


@command(
    "interactions",
    formats=("table", "json"),
    gives=("out",),
    bare=True,
    examples="""
kinetamine interactions
kinetamine interactions midazolam
kinetamine interactions "hepatic impairment moderate" --format json
""",
)
def interactions(asked: questions.Interactions, out: Out) -> None:
    """List what changes the curve or the effects of ketamine, or show what is known about one."""
    from kinetamine.safety import interactions, pd_interactions

    name = asked.name
    if name is None:
        out.give(_list, json=lambda: as_json(interactions.listed()))
    else:
        found = pd_interactions.interactions(name)
        out.give(lambda: _one(name, found), json=lambda: as_json([dataclasses.asdict(f) for f in found]))


def _list() -> list[Any]:
    from kinetamine.safety import pd_interactions, perturbations

    known = perturbations.load()
    table = grid("changes the curve", "", "status", "routes", "factors (95 %)", right=False)
    for id, one in known.perturbations.items():
        factors = "; ".join(
            f"{h} × {f.value:.2g} ({f.low:.2g}-{f.high:.2g})" for h, f in known.factors_of(id).items()
        )
        routes = ", ".join(one.routes) + (" and by mechanism others" if one.extrapolate else "")
        table.add_row(one.name, one.given, one.status, routes, factors or one.why or "")
    effects = grid("changes the effects", "severity", "direction", "effect", right=False)
    for row in pd_interactions.load()[0]:
        effects.add_row(row.drug, row.severity, row.direction, row.effect)
    return [table, effects, "One of them: kinetamine interactions NAME"]


def _one(name: str, found: list[Interaction]) -> list[Any]:
    from kinetamine.models import library
    from kinetamine.results import references
    from kinetamine.safety import interactions, perturbations

    parts: list[Any] = []
    keys = list(dict.fromkeys(f.source for f in found))
    for kind, title in (("effect", "Effects"), ("curve", "Concentrations, perturbed over usual")):
        rows = [f for f in found if f.kind == kind]
        if not rows:
            continue
        table = grid(title, "severity", "direction", "size", "evidence", "source", right=False)
        for f in rows:
            what = f"{f.effect}\n{f.drug} with {f.ketamine}" + (f"\nas a member of: {f.via}" if f.via else "")
            what += f"\n{f.note}" if f.note else ""
            evidence = ", ".join(x for x in (f.evidence, f.people) if x)
            seen = f"[{keys.index(f.source) + 1}] {f.seen}"
            table.add_row(what, f.severity, f.direction, f.magnitude or "", evidence, seen)
        parts.append(table)
    if any(f.kind == "curve" for f in found):
        id, one = perturbations.find(name)
        lines = [
            f"{one.name}: {one.status}. {one.mechanism}",
            one.doubt,
            one.why and f"Not applied: {one.why}.",
        ]
        parts += [line for line in lines if line]
        ratios = grid(
            "Simulated here, ratio (95 % that the fit leaves)", "area", "peak", "grade", right=False
        )
        for s in interactions.by_route(id):
            cells = (f"{middle:.2f} ({low:.2f}-{high:.2f})" for middle, low, high in (s.area, s.peak))
            ratios.add_row(s.route, *cells, s.grade)
        if one.status in ("fitted", "predicted"):
            parts.append(ratios)
        if one.status != "observed":
            option = perturbations.OPTION[one.given]
            parts.append(f"In a curve: kinetamine simulate … --{option} '{one.name}'")
    parts.append("Sources")
    for number, key in enumerate(keys, start=1):
        parts.append(f"[{number}] {references.text(library.reference(key))}")
    return parts
