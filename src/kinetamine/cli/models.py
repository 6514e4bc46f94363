"""``kinetamine models``, what the library holds; ``kinetamine check-model``, whether a file is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import as_json, emit, grid
from kinetamine.errors import Fault, FaultyFile

if TYPE_CHECKING:
    from kinetamine.models.spec import ModelSpec

__all__ = ["check_model", "models"]


@command(
    "models",
    formats=("table", "json"),
    gives=("out",),
    bare=True,
    examples="""
kinetamine models
kinetamine models otto_2021_s_ketamine
kinetamine models --format json
""",
)
def models(asked: questions.Models, out: Out) -> None:
    """List the models, or show one: parameters with unit, place in the paper and how they were read."""
    from kinetamine.models import library

    if asked.model is None:
        keys = ("id", "kind", "status", "drug", "routes", "title", "missing")
        rows = [{key: getattr(e, key) for key in keys} for e in library.available()]
        out.give(_list, json=lambda: as_json(rows), notice="")
        return
    spec = library.load(asked.model)
    plain = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    out.give(lambda: _one(spec), json=lambda: as_json({**plain, "digest": spec.digest}), notice="")


@command("check-model", examples="kinetamine check-model examples/my_model.toml")
def check_model(asked: questions.CheckModel, out: Out) -> None:
    """Check a model file: words, units of every formula, mass balance, sources, the numbers its paper prints.

    All faults at once; a model that gives other numbers than those in its own [[checks]] is not sound.
    """
    from kinetamine.models import library

    try:
        spec = library.load(asked.file)
    except FaultyFile as error:
        if len(error.faults) > 1:
            emit("".join(f"{number}. {fault}\n" for number, fault in enumerate(error.faults, start=1)))
        raise
    for warning in spec.warnings:
        emit(f"remark: {warning}\n")
    states, outputs = ", ".join(spec.states), ", ".join(f"{n} ({o.unit})" for n, o in spec.outputs.items())
    word = "incomplete, listed only" if spec.status == "incomplete" else _verdict(spec)
    emit(f"{asked.file}: {word}; id {spec.id}, digest {spec.digest}\n")
    if states:
        emit(f"states: {states}\nroutes: {', '.join(spec.routes)}\noutputs: {outputs}\n")


def _verdict(spec: ModelSpec) -> str:
    """Sound, and how many printed numbers the file gives.

    Raises
    ------
    FaultyFile
        If it gives other ones, and neither `off` of the check nor a remark of ours says why.
    """
    from kinetamine.evidence.pk.compare import REPRODUCED, checked, remarks

    found = checked(spec)
    apart = [one for one in found if not one.agrees]
    explained = remarks() if spec.shipped else {}
    unexplained = [] if spec.id in explained else [one for one in apart if not one.off]
    if unexplained:
        expected = f"within {REPRODUCED:g}-fold of it, or in `off` why not"
        raise FaultyFile(
            spec.id,
            [
                Fault(
                    f"checks: {one.metric} of {one.output} after {'; '.join(one.doses)} ({one.place})",
                    f"{one.predicted:.4g} {one.unit} where {one.published:g} is printed",
                    expected,
                    "a look at units and parameters",
                )
                for one in unexplained
            ],
        )
    if not found:
        return "sound; it has no checks of printed numbers" if spec.kind == "pk" else "sound"
    rest = f", {len(apart)} known to be off" if apart else ""
    return f"sound; gives {len(found) - len(apart)} of {len(found)} printed numbers{rest}"


def _list() -> list[Any]:
    from kinetamine.models import library

    entries = library.available()
    runs = [e for e in entries if e.status != "incomplete"]
    parts: list[Any] = []
    for kind_, what, column in (("pk", "models", "routes"), ("effect", "effect models", "")):
        table = grid("model", "drug", column, "status", right=False)
        own = [e for e in runs if e.kind == kind_]
        for e in own:
            table.add_row(_name(e), e.drug, ", ".join(e.routes), e.status)
        parts += [f"{len(own)} {what}", table]
    lacking = [e for e in entries if e.status == "incomplete"]
    if lacking:
        other = grid("model", "what is missing", right=False)
        other.columns[0].ratio, other.columns[1].ratio, other.expand = 1, 1, True
        for e in lacking:
            other.add_row(_name(e), "\n".join(f"- {m}" for m in e.missing))
        parts += [f"{len(lacking)} models that cannot run: numbers are missing", other]
    parts.append("One of them: kinetamine models ID")
    return parts


def _name(entry: Any) -> Any:
    """The id, and under it what it is."""
    from rich.text import Text

    return Text.assemble((entry.id, "bold"), "\n", (entry.title, "dim"))


def _one(spec: ModelSpec) -> list[Any]:
    head = [
        f"{spec.id}: {spec.title}",
        f"drug: {spec.drug}   sampling: {spec.sampling}   status: {spec.status}   digest: {spec.digest}",
        f"source: {_source(spec, spec.source)}",
    ]
    if spec.missing:
        head.append("cannot run, missing: " + "; ".join(spec.missing))
    head += [f"applies to: {line}" for line in [_applies(spec)] if line]
    parts: list[Any] = [*head, ""]

    if spec.entries:
        parts += ["routes: " + ", ".join(spec.entries), ""]
    if spec.drives:
        drives = grid("reads", "site", "studied", right=False)
        for d in spec.drives.values():
            drives.add_row(d.analyte, d.site, f"{_span(d.studied)} {d.unit}" if d.studied else "")
        parts.append(drives)
    if spec.outputs and spec.kind == "effect":
        outputs = grid("output", "scale", "unit", "there from", right=False)
        for name, o in spec.outputs.items():
            there = f"{o.threshold.value:g}: {o.threshold.meaning}" if o.threshold else ""
            outputs.add_row(name, o.scale or "", o.unit, there)
        parts.append(outputs)
    elif spec.outputs:
        outputs = grid("output", "analyte", "site", "unit", right=False)
        for name, o in spec.outputs.items():
            outputs.add_row(name, o.analyte or name, o.site, o.unit)
        parts.append(outputs)
    if spec.covariates:
        covariates = grid("covariate", "unit", "typical", "limits", right=False)
        for name, c in spec.covariates.items():
            limits = ", ".join(f"{v:g}" for v in c.values) if c.values else _span(c.range)
            covariates.add_row(name, c.unit, f"{c.reference:g}", limits)
        parts.append(covariates)
    if spec.parameters:
        numbers = grid("parameter", "value", "unit", "error", "place", "seen", right=False)
        numbers.columns[1].justify = "right"
        for name, p in spec.parameters.items():
            place = p.place if p.source is None else f"{p.place} ({p.source})"
            numbers.add_row(name, f"{p.value:.10g}", p.unit, _error(p), place, p.seen)
        parts.append(numbers)
    if spec.variability:
        effects = grid("random effect", "of each", "SD", "place", "seen", right=False)
        for block in spec.variability.values():
            deviations = ", ".join(f"{v**0.5:.3g}" for v in block.matrix().diagonal())
            effects.add_row(", ".join(block.etas), block.level, deviations, block.place, block.seen)
        parts.append(effects)
    elif spec.status != "incomplete":
        parts += ["variability: none published, none invented", ""]
    if spec.residual:
        errors = "; ".join(f"{name}: {r.kind}, SD {r.sd:g}" for name, r in spec.residual.items())
        parts += [f"residual error: {errors}", ""]
    parts += [f"- {note}" for note in spec.notes]
    keys = dict.fromkeys(
        key
        for group in (spec.parameters, spec.variability, spec.residual)
        for key in (item.source for item in group.values())
        if key
    )
    parts += [f"[{key}] {_source(spec, key)}" for key in keys if key != spec.source]
    return parts


def _source(spec: ModelSpec, key: str) -> str:
    from kinetamine.models import library
    from kinetamine.results import references

    return references.text(library.reference(key, spec))


def _applies(spec: ModelSpec) -> str:
    a = spec.applies
    facts = [
        a.health or "",
        f"age {_span(a.age_years)} y" if a.age_years else "",
        f"weight {_span(a.weight_kg)} kg" if a.weight_kg else "",
        f"single doses {_span(a.dose_mg)} mg" if a.dose_mg else "",
        "routes " + ", ".join(a.routes) if a.routes else "",
        f"first {a.duration_h:g} h" if a.duration_h else "",
    ]
    return "; ".join(fact for fact in facts if fact)


def _span(pair: tuple[float, float] | None) -> str:
    return f"{pair[0]:g}-{pair[1]:g}" if pair else ""


def _error(parameter: Any) -> str:
    if parameter.fixed:
        return "fixed"
    if parameter.rse_percent is not None:
        return f"RSE {parameter.rse_percent:g} %"
    return f"SE {parameter.se:g}" if parameter.se is not None else ""
