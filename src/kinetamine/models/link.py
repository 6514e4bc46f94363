"""Effect models on concentrations: one model in memory that runs like any other.

An effect site is one more linear state that follows a concentration, and an effect is a formula of states. So a pk
model with effects is again a model: the formulas of the effect file are written in terms of the pk model's states,
all its names get the effect model's id in front. The pk model's own names stay, so each patient stays the same.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinetamine import substances
from kinetamine.errors import InputError, NoData
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tree import Expr, Name, replaced, to_source
from kinetamine.models import library
from kinetamine.models.spec import Drive, ModelSpec, Output

__all__ = ["Reading", "link", "readings", "side_by_side"]

Model = str | Path | ModelSpec
CONCENTRATION = "mg/L"


@dataclass(frozen=True)
class Reading:
    """How one concentration of an effect model is met by a pk model.

    Parameters
    ----------
    drive : Drive
    output : str or None
        Name of the pk model's output; None: it counts as zero.
    remark : str
        What a reader should know about it.
    caveat : str
        Why the effect is to be trusted less.
    """

    drive: Drive
    output: str | None
    remark: str = ""
    caveat: str = ""


def link(
    pk: Model | Sequence[Model], effects: Model | Sequence[Model], *, allow_site_mismatch: bool = False
) -> ModelSpec:
    """Compose effect models onto a pk model.

    Parameters
    ----------
    pk : model, or a model of S-ketamine and one of R-ketamine
        The two together take doses of the racemate.
    effects : model or list of models
        Of kind ``effect``.
    allow_site_mismatch : bool
        Let a model of arterial concentrations read venous ones or the other way round; its outputs are then graded
        extrapolated.

    Returns
    -------
    ModelSpec
        Runs in `kinetamine.simulate`. An output keeps its name unless another has it; then the effect model's id
        follows in brackets.

    Raises
    ------
    NoData
        If the pk model does not give what an effect model reads.

    Examples
    --------
    >>> both = link("noppers_2011_s_ketamine", "olofsen_2022_perception")
    >>> list(both.outputs)
    ['S-ketamine', 'external perception', 'pressure pain relief']
    """
    spec = side_by_side(pk)
    loaded = [library.load(e, runnable=True) for e in _several(effects)]
    taken = [e.id for e in loaded]
    if len(set(taken)) < len(taken):
        raise InputError("effects", ", ".join(taken), "each effect model once", "without the repetition")
    for effect in loaded:
        spec = _with(spec, effect, readings(spec, effect, allow_site_mismatch))
    return spec


def _several(models: Any) -> list[Any]:
    return list(models) if isinstance(models, Sequence) and not isinstance(models, str) else [models]


# --- finding the concentrations ----------------------------------------------------------------------


def readings(pk: ModelSpec, effect: ModelSpec, allow_site_mismatch: bool = False) -> tuple[Reading, ...]:
    """What an effect model reads of a pk model, one for each of its drives.

    Raises
    ------
    NoData
        If something is missing or measured elsewhere.

    Examples
    --------
    >>> load = library.load
    >>> readings(load("otto_2021_s_ketamine"), load("olofsen_2022_perception"))
    Traceback (most recent call last):
    kinetamine.errors.NoData: effect olofsen_2022_perception: got S-ketamine in venous plasma ...
    """
    if effect.kind != "effect":
        raise InputError("effects", repr(effect.id), "a model of kind 'effect'", f"model = {effect.id!r}")
    found = tuple(_reading(pk, effect, drive, allow_site_mismatch) for drive in effect.drives.values())
    if not any(r.output for r in found):
        raise _lacking(pk, effect, next(iter(effect.drives.values())))
    return found


def _reading(pk: ModelSpec, effect: ModelSpec, drive: Drive, allow: bool) -> Reading:
    fits = {
        name: output
        for name, output in pk.outputs.items()
        if (output.analyte or name) == drive.analyte
        and pk.derived_units.get(name) == CONCENTRATION
        and "plasma" in output.site
        and output.scale is None
    }
    if not fits:
        if pk.drug != "racemate" and drive.analyte.startswith(substances.mirror(pk.drug)):
            return Reading(drive, None)  # the body does not turn one enantiomer into the other
        if drive.optional:
            return Reading(drive, None, f"{drive.analyte} is not in {pk.id}: {drive.optional}")
        raise _lacking(pk, effect, drive)
    for name, output in fits.items():
        if output.site == drive.site:
            return Reading(drive, name)
    name, output = next(iter(fits.items()))
    if drive.site == "plasma":
        return Reading(
            drive, name, f"{effect.id}: sampling site of the effect's {drive.analyte} is not stated; read from "
            f"{output.site}",
        )  # fmt: skip
    told = f"reads {drive.analyte} in {drive.site}, {pk.id} gives it in {output.site}"
    if not allow:
        raise NoData(
            f"effect {effect.id}",
            f"{drive.analyte} in {output.site} ({pk.id})",
            f"{drive.analyte} in {drive.site}, as arterial and venous curves differ",
            _others(
                drive, pk.drug, "allow_site_mismatch=True (--allow-site-mismatch), which lowers the grade"
            ),
        )
    return Reading(drive, name, caveat=f"{effect.id} {told}; the two differ most just after a dose")


def _in_own_mass(output: Output, analyte: str) -> str:
    """Formula of a concentration in the mass of the analyte itself, as effects are measured with."""
    if output.counted_as is None:
        return output.value
    return f"({output.value}) * {substances.in_own_mass(1.0, analyte, output.counted_as)!r}"


def _lacking(pk: ModelSpec, effect: ModelSpec, drive: Drive) -> NoData:
    have = ", ".join(f"{o.analyte or n} ({o.site})" for n, o in pk.outputs.items() if o.scale is None)
    return NoData(
        f"effect {effect.id}",
        f"the model {pk.id} of {pk.drug} with {have}",
        f"{drive.analyte} in {drive.site}",
        _others(drive, pk.drug, "an effect model that reads what this one gives"),
    )


@functools.cache
def _measured() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Analyte and site of the outputs of each pk model of the library that can run, by its id and drug."""
    specs = [library.load(e.id) for e in library.available() if e.kind == "pk" and e.status != "incomplete"]
    return {(s.id, s.drug): [(o.analyte or n, o.site) for n, o in s.outputs.items()] for s in specs}


def _others(drive: Drive, drug: str, otherwise: str) -> str:
    found = [
        name
        for (name, of), pairs in _measured().items()
        if of == drug
        and any(a == drive.analyte and (site == drive.site or drive.site == "plasma") for a, site in pairs)
    ]
    return "the model " + " or ".join(found[:3]) + ", or " + otherwise if found else otherwise


# --- writing one model into another ------------------------------------------------------------------


def _rewritten(text: str, new: Mapping[str, Expr]) -> str:
    """A formula with names replaced."""

    def swap(node: Expr) -> Expr | None:
        return new.get(node.id) if isinstance(node, Name) else None

    return to_source(replaced(parse(text), swap))


def _renaming(spec: ModelSpec, tables: Iterable[str]) -> dict[str, Expr]:
    new: dict[str, Expr] = {name: Name(_own(spec, name)) for table in tables for name in getattr(spec, table)}
    for prefix, etas in (("eta", spec.subject_etas), ("occ", spec.occasion_etas)):
        new |= {f"{prefix}.{n}": Name(f"{prefix}.{_own(spec, n)}") for n in etas}
    return new


def _own(spec: ModelSpec, name: str) -> str:
    return f"{spec.id}__{name}"


_NAMED = ("parameters", "individual", "compartments", "effect_sites")


def _moved(spec: ModelSpec, new: Mapping[str, Expr]) -> dict[str, dict[str, Any]]:
    """Tables of a model under names of their own, every number with its source."""

    def text(formula: str | None) -> str | None:
        return None if formula is None else _rewritten(formula, new)

    def own(name: str) -> str:
        return _own(spec, name)

    return {
        "parameters": {own(n): _sourced(p, spec) for n, p in spec.parameters.items()},
        "variability": {
            own(n): _sourced(v, spec).model_copy(update={"etas": tuple(map(own, v.etas))})
            for n, v in spec.variability.items()
        },
        "individual": {own(n): text(f) for n, f in spec.individual.items()},
        "compartments": {
            own(n): c.model_copy(update={"volume": text(c.volume), "start": text(c.start)})
            for n, c in spec.compartments.items()
        },
        "effect_sites": {
            own(n): s.model_copy(update={"follows": text(s.follows), "rate": text(s.rate)})
            for n, s in spec.effect_sites.items()
            if s.rate is not None
        },
        "flows": {
            own(n): f.model_copy(
                update={
                    "from_": f.from_ and own(f.from_),
                    "to": f.to and own(f.to),
                    "rate": text(f.rate),
                    "yield_": text(f.yield_),
                }
            )
            for n, f in spec.flows.items()
        },
        "outputs": {
            n: o.model_copy(update={"value": text(o.value), "baseline": text(o.baseline)})
            for n, o in spec.outputs.items()
        },
    }


def _sourced(record: Any, spec: ModelSpec) -> Any:
    return record if record.source else record.model_copy(update={"source": spec.source})


def _joined(
    base: ModelSpec,
    other: ModelSpec,
    moved: Mapping[str, dict[str, Any]],
    names: Mapping[str, str],
    why: str,
    **more: Any,
) -> ModelSpec:
    """Both models in one; `names` tells what the other's outputs are called now."""
    tables = {table: {**getattr(base, table), **rows} for table, rows in moved.items() if table != "outputs"}
    outputs = {**base.outputs, **{names[n]: o for n, o in moved["outputs"].items()}}
    spec = base.model_copy(
        update={
            **tables,
            "outputs": outputs,
            "covariates": {**other.covariates, **base.covariates},
            "sources": {**other.sources, **base.sources},
            "notes": tuple(dict.fromkeys((*base.notes, *other.notes))),
            "checks": (),
            **more,
        }
    )
    spec._digest = hashlib.sha256(f"{base.digest} {other.digest} {why}".encode()).hexdigest()[:16]
    spec._path, spec._shipped = None, base.shipped and other.shipped
    spec._factors = {**base.factors, **{_own(other, n): f for n, f in other.factors.items()}}
    spec._output_factor = {**base.output_factor, **{names[n]: f for n, f in other.output_factor.items()}}
    spec._derived_units = {
        **base.derived_units,
        **{names.get(n, _own(other, n)): u for n, u in other.derived_units.items()},
    }
    spec._caveats = dict(base.caveats)
    return spec


def _with(base: ModelSpec, effect: ModelSpec, found: Sequence[Reading]) -> ModelSpec:
    """A pk model with an effect model on it."""
    new = _renaming(effect, _NAMED)
    for name, reading in zip(effect.drives, found, strict=True):
        text = _in_own_mass(base.outputs[reading.output], reading.drive.analyte) if reading.output else "0"
        new[name] = parse(text)
    for name, site in effect.effect_sites.items():
        if site.rate is None:  # follows at once: no state of its own
            new[name] = parse(_rewritten(site.follows, new))
    names = {n: n if n not in base.outputs else f"{n} ({effect.id})" for n in effect.outputs}
    moved = _moved(effect, new)
    moved["outputs"] = {
        n: o.model_copy(update={"effect": o.effect or n, "threshold": _sourced(o.threshold, effect)})
        for n, o in moved["outputs"].items()
    }
    ages, apart = _ages(base, effect)
    spec = _joined(
        base, effect, moved, names, f"effect {[r.output for r in found]}",
        applies=base.applies.model_copy(update={"age_years": ages}),
    )  # fmt: skip
    caveats = tuple(r.caveat for r in found if r.caveat) + ((apart,) if apart else ())
    if caveats:
        spec._caveats |= {names[n]: caveats for n in effect.outputs}
    # with one enantiomer's model the other's share was set to zero: right for that drug only
    spec._pure = base.pure or any(
        r.output is None and r.drive.analyte.startswith(substances.mirror(base.drug)) for r in found
    )
    return spec


def _ages(a: ModelSpec, b: ModelSpec) -> tuple[tuple[float, float] | None, str]:
    first, second = a.applies.age_years, b.applies.age_years
    if first is None or second is None:
        return first or second, ""
    both = (max(first[0], second[0]), min(first[1], second[1]))
    if both[0] <= both[1]:
        return both, ""
    spans = [f"{s.id} was made for {r[0]:g}-{r[1]:g} years" for s, r in ((a, first), (b, second))]
    return second, " and ".join(spans)


def side_by_side(pk: Model | Sequence[Model]) -> ModelSpec:
    """One pk model as it is; one of S-ketamine and one of R-ketamine as a model of the racemate.

    Half of a dose goes into each; where both give an analyte at the same site, their sum is an output too.

    Raises
    ------
    InputError
        If they are not one of each.

    Examples
    --------
    >>> list(side_by_side(["noppers_2011_s_ketamine", "derived_r_ketamine_noppers_distribution"]).outputs)
    ['S-ketamine', 'R-ketamine', 'ketamine']
    """
    specs = [library.load(m, runnable=True) for m in _several(pk)]
    for spec in specs:
        if spec.kind != "pk":
            raise InputError("model", repr(spec.id), "a pk model", f"effects = {spec.id!r}")
    if len(specs) == 1:
        return specs[0]
    if sorted(s.drug for s in specs) != sorted(substances.PARENTS[:2]):
        given = ", ".join(f"{s.id} ({s.drug})" for s in specs)
        raise InputError("model", given, "one model of S-ketamine and one of R-ketamine")
    a, b = specs
    routes = [r for r in a.entries if r in b.entries]
    if not routes:
        given = " and ".join(f"{s.id} ({', '.join(s.entries)})" for s in specs)
        raise NoData("model", given, "two models with a route in common")
    new = _renaming(b, _NAMED)

    def halved(part: Any, names: Mapping[str, Expr], to: str) -> Any:
        text = {k: _rewritten(v, names) for k in ("lag", "duration", "rate") if (v := getattr(part, k))}
        return part.model_copy(
            update={**text, "to": to, "fraction": f"0.5 * ({_rewritten(part.fraction, names)})"}
        )

    names = {n: n if n not in a.outputs else f"{n} ({b.id})" for n in b.outputs}
    ages, _ = _ages(a, b)
    spec = _joined(
        a, b, _moved(b, new), names, "racemate",
        id=f"{a.id} + {b.id}",
        drug="racemate",
        title=f"Racemate: {a.title}; {b.title}",
        entries={
            route: tuple(
                [halved(p, {}, p.to) for p in a.entries[route]]
                + [halved(p, new, _own(b, p.to)) for p in b.entries[route]]
            )
            for route in routes
        },
        dose_fields={**b.dose_fields, **a.dose_fields},
        applies=a.applies.model_copy(update={"age_years": ages}),
    )  # fmt: skip
    return _with_totals(spec)


def _with_totals(spec: ModelSpec) -> ModelSpec:
    outputs = dict(spec.outputs)
    for name, s in spec.outputs.items():
        for other, r in spec.outputs.items():
            analyte, mirrored = s.analyte or name, r.analyte or other
            total = analyte.removeprefix("S-")
            same = (
                s.counted_as == r.counted_as
                and analyte == f"S-{total}"
                and mirrored == f"R-{total}"
                and s.site == r.site
            )
            if same and total not in outputs and spec.derived_units.get(name) == CONCENTRATION:
                outputs[total] = Output(
                    value=f"({s.value}) + ({r.value})", unit=s.unit, site=s.site, analyte=total,
                    counted_as=s.counted_as, note="sum of S and R",
                )  # fmt: skip
                spec._output_factor[total] = spec.output_factor[name]
                spec._derived_units[total] = CONCENTRATION
    return spec.model_copy(update={"outputs": outputs})
