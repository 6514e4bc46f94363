"""What the schema cannot see: names, units, balances and variances of a whole model file.

Nothing here stops at the first fault: every check adds to one list, so that a file is mended in one go.
A name whose own definition is broken is passed over where it is used, so one slip is one fault.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kinetamine.errors import Fault, InputError, UnitError, nearest
from kinetamine.formulas.dimensions import fits, unit_of
from kinetamine.formulas.evaluate import constant, evaluate
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tree import (
    FUNCTIONS,
    JOINED,
    Expr,
    Name,
    Num,
    Relation,
    Text,
    names,
    replaced,
    to_source,
)
from kinetamine.models.spec import ModelSpec
from kinetamine.substances import DRUGS
from kinetamine.units import MASS, NUMBER, TIME, VOLUME, Unit, unit

__all__ = ["RESERVED", "Derived", "Examination", "derive", "examine", "numbered", "try_typical"]

#: past this many there is no use in looking for more
MOST_FAULTS = 50

#: names of what changes while time goes on: time since the first dose, time after the last one, its amount
MOVING = ("time", "tad", "last_dose")
#: names that mean something in formulas already
RESERVED = {*FUNCTIONS, *JOINED, *MOVING, "amount", "eta", "occ", "last_dose_at"}


@dataclass(frozen=True)
class Derived:
    """What units say about a file: all that a later load needs to know without reading units again."""

    factors: dict[str, float] = field(default_factory=dict)
    output_factor: dict[str, float] = field(default_factory=dict)
    derived_units: dict[str, str] = field(default_factory=dict)


@dataclass
class Examination:
    """Everything found in one file; `formulas` maps a place in the file to the tree read there."""

    spec: ModelSpec
    file: str
    shipped: bool
    broken: frozenset[str]
    faults: list[Fault] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    formulas: dict[str, Expr] = field(default_factory=dict)

    def fault(self, where: str, given: str, expected: str, cure: str = "") -> None:
        self.faults.append(Fault(self.at(where), given, expected, cure))

    def at(self, where: str) -> str:
        return f"{self.file}: {where}"


def examine(
    spec: ModelSpec, file: str, sources: Iterable[str], shipped: bool, broken: Iterable[str] = ()
) -> Examination:
    """Check everything but units.

    Parameters
    ----------
    spec : ModelSpec
    file : str
        Name of the file, for the faults.
    sources : iterable of str
        Keys of the library's sources.
    shipped : bool
        Files of the library must name source, place and `seen` of every number.
    broken : iterable of str
        Names that the file defines wrongly; their use is no further fault.

    Returns
    -------
    Examination
        With faults, warnings and the formulas that could be read.
    """
    found = Examination(spec, file, shipped, frozenset(broken))
    if shipped:
        _answers_for_numbers(found, {*sources, *spec.sources})
    _unique_names(found)
    _ranges(found)
    _variances(found)
    _formulas(found)
    _structure(found)
    _measurements(found)
    if spec.status != "incomplete":
        _unused(found)
    return found


# --- a library file answers for every number; a user's own file may leave that out -------------------


def _answers_for_numbers(found: Examination, sources: set[str]) -> None:
    spec = found.spec
    stem = found.file.removesuffix(".toml")
    if spec.id != stem:
        found.fault("id", repr(spec.id), "the name of the file", repr(stem))
    asked = ("title", "status", "kind", "source", *(["sampling"] if spec.kind == "pk" else []))
    for key in asked:
        if key not in spec.model_fields_set:
            found.fault(key, "nothing", "a value, as this file belongs to the library", f'{key} = "…"')
    keys = [("source", spec.source)] if "source" in spec.model_fields_set else []
    for place, record in _sourced_records(spec):
        if record.source is not None:
            keys.append((f"{place}.source", record.source))
        for key, example in (("place", '"Table 3"'), ("seen", '"text"')):
            if key not in record.model_fields_set:
                found.fault(f"{place}.{key}", "nothing", "where the number stands", f"{key} = {example}")
    for place, key in keys:
        if key not in sources:
            close = " or ".join(map(repr, nearest(key, sources, 2)))
            found.fault(place, repr(key), "a key of sources.toml", close or f"an entry [{key}] there")
    for name, output in spec.outputs.items():
        if "site" not in output.model_fields_set:
            found.fault(f"outputs.{name}.site", "nothing", "where it is measured", 'site = "venous plasma"')


def _sourced_records(spec: ModelSpec) -> Iterator[tuple[str, Any]]:
    for table in ("parameters", "variability", "residual"):
        for name, record in getattr(spec, table).items():
            yield f"{table}.{name}", record
    for name, output in spec.outputs.items():
        if output.threshold is not None:
            yield f"outputs.{name}.threshold", output.threshold
    for i, record in enumerate(spec.checks):
        yield f"checks[{i}]", record


# --- names -------------------------------------------------------------------------------------------

_KINDS = {
    "parameters": "a parameter",
    "covariates": "a covariate",
    "individual": "an individual value",
    "compartments": "a compartment",
    "drives": "a concentration that is read",
    "effect_sites": "an effect site",
    "dose_fields": "a dose field",
}


def _unique_names(found: Examination) -> None:
    taken: dict[str, str] = {}
    for table, kind in _KINDS.items():
        for name in getattr(found.spec, table):
            if name in RESERVED:
                found.fault(f"{table}.{name}", repr(name), "a name that formulas do not use", f"{name}_1")
            elif name in taken:
                given = f"{name!r}, which is {taken[name]} already"
                found.fault(f"{table}.{name}", given, "one meaning per name", f"{name}_i")
            taken.setdefault(name, kind)


def _formulas(found: Examination) -> None:
    """Read every formula with the names it may use."""
    spec = found.spec
    fixed = {*spec.parameters, *spec.covariates}
    fixed |= {f"eta.{n}" for n in spec.subject_etas} | {f"occ.{n}" for n in spec.occasion_etas}
    for name, text in spec.individual.items():
        _read(found, f"individual.{name}", text, fixed)
        fixed.add(name)
    moving = {*fixed, *MOVING, *spec.compartments, *spec.drives}
    for name, compartment in spec.compartments.items():
        _read(found, f"compartments.{name}.volume", compartment.volume, fixed)
        _read(found, f"compartments.{name}.start", compartment.start, fixed)
    for name, site in spec.effect_sites.items():
        _read(found, f"effect_sites.{name}.follows", site.follows, moving)
        _read(found, f"effect_sites.{name}.rate", site.rate, moving)
        moving.add(name)
    for name, flow in spec.flows.items():
        _read(found, f"flows.{name}.rate", flow.rate, moving)
        _read(found, f"flows.{name}.yield", flow.yield_, moving)
    fields = {"amount"}
    for name, dose_field in spec.dose_fields.items():
        _read(found, f"dose_fields.{name}.default", dose_field.default, fields)
        fields.add(name)
    for route, parts in spec.entries.items():
        for i, part in enumerate(parts):
            for key in ("fraction", "lag", "duration", "rate"):
                _read(found, f"entries.{route}[{i}].{key}", getattr(part, key), {*fixed, *spec.dose_fields})
    for name, output in spec.outputs.items():
        _read(found, f"outputs.{name}.value", output.value, moving)
        _read(found, f"outputs.{name}.baseline", output.baseline, fixed)


def _read(found: Examination, place: str, text: str | None, allowed: set[str]) -> None:
    if text is None:
        return
    try:
        expr = parse(text, found.at(place))
    except InputError as error:
        found.faults.extend(error.faults)
        return
    expr = _numbered(found, place, expr)
    unknown = names(expr) - allowed
    if not unknown:
        found.formulas[place] = expr
    for name in sorted(unknown - found.broken) if len(found.faults) < MOST_FAULTS else ():
        expected, cure = _why_unknown(found.spec, name, allowed, place)
        found.fault(place, repr(name), expected, cure)


def _numbered(found: Examination, place: str, expr: Expr) -> Expr:
    """A formula with categories as their numbers."""

    def new(node: Expr) -> Expr | None:
        if not isinstance(node, Relation) or not any(isinstance(s, Text) for s in (node.left, node.right)):
            return None
        word, name = (node.left, node.right) if isinstance(node.left, Text) else (node.right, node.left)
        assert isinstance(word, Text) and isinstance(name, Name)
        covariate = found.spec.covariates.get(name.id)
        known = (covariate.categories if covariate else None) or ()
        if word.value not in known:
            cure = " or ".join(map(repr, nearest(word.value, known) or known))
            wanted = f"a category of {name.id}" if known else "a covariate with categories"
            cure = cure or f'{name.id} = {{ categories = ["{word.value}", "…"], reference = "{word.value}" }}'
            found.fault(place, repr(word.value), wanted, cure)
            return Num(0.0)
        return Relation(node.op, name, Num(float(known.index(word.value))))

    return replaced(expr, new)


def numbered(found: Examination) -> ModelSpec:
    """The model with its categories as numbers in every formula."""
    spec = found.spec

    def text(place: str, formula: str | None) -> str | None:
        return formula if formula is None else to_source(found.formulas[place])

    def each(table: str, *keys: str) -> dict[str, Any]:
        return {
            name: record.model_copy(
                update={key: text(f"{table}.{name}.{key.rstrip('_')}", getattr(record, key)) for key in keys}
            )
            for name, record in getattr(spec, table).items()
        }

    entries = {
        route: tuple(
            part.model_copy(
                update={
                    key: text(f"entries.{route}[{i}].{key}", getattr(part, key))
                    for key in ("fraction", "lag", "duration", "rate")
                }
            )
            for i, part in enumerate(parts)
        )
        for route, parts in spec.entries.items()
    }
    return spec.model_copy(
        update={
            "individual": {n: text(f"individual.{n}", f) for n, f in spec.individual.items()},
            "compartments": each("compartments", "volume", "start"),
            "effect_sites": each("effect_sites", "follows", "rate"),
            "flows": each("flows", "rate", "yield_"),
            "outputs": each("outputs", "value", "baseline"),
            "entries": entries,
        }
    )


def _why_unknown(spec: ModelSpec, name: str, allowed: set[str], place: str) -> tuple[str, str]:
    head, _, tail = name.partition(".")
    table = next((t for t in _KINDS if name in getattr(spec, t)), None)
    if tail:
        other, declared = {"eta": ("occ", spec.occasion_etas), "occ": ("eta", spec.subject_etas)}[head]
        if tail in declared:
            level = "occasion" if other == "occ" else "subject"
            return f"a random effect of level {level} written {other}.{tail}", f"{other}.{tail}"
        close = nearest(name, {n for n in allowed if n.startswith(head + ".")}, 2)
        return "a random effect of [variability]", " or ".join(close) or f'etas = ["{tail}"] there'
    if name in MOVING:
        return f"no {name} here, as this is one value per patient", f"{name} in [flows] or [outputs]"
    if name == "amount":
        return "amount only in [dose_fields]", 'a dose field with default = "amount"'
    if name in ("eta", "occ"):
        return "the name of the random effect as well", f"{name}.CL"
    if place.startswith("dose_fields"):
        return "only amount, numbers and dose fields above", "amount"
    if table == "individual":
        return "a name defined above the line that uses it", f"moving {name} up"
    if table == "effect_sites":
        return "an effect site defined above the line that uses it", f"moving {name} up"
    if table == "compartments":
        return "no amounts here, as this is one value per patient", f"{name} in [flows] or [outputs]"
    if table == "dose_fields":
        return "a dose field only in [entries]", "a covariate"
    close = nearest(name, {n for n in allowed if "." not in n and n != "time"}, 2)
    return "a name that this file defines", " or ".join(
        map(repr, close)
    ) or f"defining {name} in [parameters]"


def _unused(found: Examination) -> None:
    spec, used = found.spec, set[str]()
    for expr in found.formulas.values():
        used |= names(expr)
    for table in ("parameters", "covariates", "individual", "drives", "dose_fields"):
        for name in getattr(spec, table):
            if name not in used and name != "molar_mass":
                found.warnings.append(f"{table}.{name} is not used by any formula")
    for prefix, etas in (("eta", spec.subject_etas), ("occ", spec.occasion_etas)):
        for name in etas:
            if f"{prefix}.{name}" not in used:
                found.warnings.append(f"{prefix}.{name} of [variability] is not used by any formula")


# --- ranges, variances -------------------------------------------------------------------------------


def _ranges(found: Examination) -> None:
    spec = found.spec
    for key in ("age_years", "weight_kg", "dose_mg", "dose_mg_kg"):
        limits = getattr(spec.applies, key)
        if limits and limits[0] > limits[1]:
            found.fault(f"applies.{key}", str(list(limits)), "lowest, then highest", str(list(limits[::-1])))
    for name, covariate in spec.covariates.items():
        place, reference = f"covariates.{name}", covariate.reference
        if covariate.range:
            low, high = covariate.range
            if low > high:
                found.fault(
                    f"{place}.range", f"[{low:g}, {high:g}]", "lowest, then highest", f"[{high:g}, {low:g}]"
                )
            elif not low <= reference <= high:
                found.fault(
                    f"{place}.reference", f"{reference:g}", f"a value in the range {low:g} to {high:g}"
                )
        if covariate.categories is not None:
            known = covariate.categories
            if len(set(known)) < len(known):
                found.fault(f"{place}.categories", str(list(known)), "different words")
            if covariate.values or covariate.range:
                found.fault(place, "categories and numbers", "one of them", "categories alone")
            if reference not in range(len(known)):
                found.fault(f"{place}.reference", f"{reference:g}", "one of its categories", repr(known[0]))
        if covariate.values is not None and reference not in covariate.values:
            allowed = ", ".join(f"{v:g}" for v in covariate.values)
            found.fault(f"{place}.reference", f"{reference:g}", f"one of its values ({allowed})")


def _variances(found: Examination) -> None:
    seen: dict[tuple[str, str], str] = {}
    for name, block in found.spec.variability.items():
        place, size = f"variability.{name}", len(block.etas)
        for eta in block.etas:
            if (block.level, eta) in seen:
                given = f"{eta!r}, which is in {seen[block.level, eta]} already"
                found.fault(f"{place}.etas", given, "each random effect in one block")
            seen.setdefault((block.level, eta), name)
        forms = [key for key in ("covariance", "variance", "sd") if getattr(block, key) is not None]
        if len(forms) != 1:
            given = " and ".join(forms) or "none of them"
            found.fault(place, given, "one of covariance, variance or sd", f"variance = {[0.1] * size}")
            continue
        key = forms[0]
        if key != "covariance":
            given_size = len(getattr(block, key))
            if given_size != size:
                found.fault(f"{place}.{key}", f"{given_size} values", f"{size}, one per effect")
            continue
        rows = block.covariance or ()
        if len(rows) != size or any(len(row) != size for row in rows):
            shape = " + ".join(str(len(row)) for row in rows) or "no"
            cure = "writing both halves of the matrix" if len(rows) == size else ""
            found.fault(f"{place}.covariance", f"{shape} numbers", f"{size} rows of {size}", cure)
            continue
        matrix = block.matrix()
        scale = float(np.abs(matrix).max())
        if np.abs(matrix - matrix.T).max() > 1e-9 * scale:
            i, j = (int(k) for k in np.argwhere(np.abs(matrix - matrix.T) > 1e-9 * scale)[0])
            given = f"{matrix[i, j]:g} in row {i + 1} and {matrix[j, i]:g} in row {j + 1}"
            found.fault(f"{place}.covariance", given, "a symmetric matrix")
        elif scale and float(np.linalg.eigvalsh(matrix).min()) < -1e-9 * scale:
            given = f"smallest eigenvalue {np.linalg.eigvalsh(matrix).min():.3g}"
            cure = "covariances no larger than the square root of the product of the variances"
            found.fault(f"{place}.covariance", given, "no negative eigenvalue", cure)


# --- structure ---------------------------------------------------------------------------------------


def _known(found: Examination, place: str, name: str, known: Iterable[str], what: str) -> None:
    if name not in known and name not in found.broken:
        close = " or ".join(map(repr, nearest(name, known)))
        some = ", ".join(list(known)[:8])
        found.fault(place, repr(name), what, close or (f"one of {some}" if some else ""))


def _drug(found: Examination) -> None:
    """A name near one of the known drugs is a slip; any other is another drug's."""
    drug = found.spec.drug
    if drug in DRUGS:
        return
    words = {"ketamine": "racemate", "esketamine": "S-ketamine", "arketamine": "R-ketamine"}
    close = difflib.get_close_matches(drug.lower(), [*words, *(d.lower() for d in DRUGS)], 1, 0.8)
    if close:
        meant = words.get(close[0]) or next(d for d in DRUGS if d.lower() == close[0])
        wanted = " or ".join(DRUGS) + ", or the name of another drug"
        found.fault("drug", repr(drug), wanted, f'drug = "{meant}"')


def _structure(found: Examination) -> None:
    spec = found.spec
    _drug(found)
    if spec.status == "incomplete":
        if not spec.missing:
            found.fault(
                "missing", "nothing", "what is missing, as status is 'incomplete'", 'missing = ["V1"]'
            )
    else:
        if spec.missing:
            found.fault("missing", f"a list with status {spec.status!r}", "no list", 'status = "incomplete"')
        effect = spec.kind == "effect"
        for table, example in (
            ("drives", 'C = { analyte = "S-ketamine", site = "arterial plasma" }')
            if effect
            else ("compartments", "central = {}"),
            ("outputs", '"S-ketamine" = { value = "central / V", unit = "ng/mL" }'),
        ):
            if not getattr(spec, table) and not found.broken & {table, f"table {table}"}:
                found.fault(table, "nothing", f"a table [{table}]", example)
        if not spec.entries and not effect:
            found.warnings.append("no [entries]: doses can only be given by compartment number")
        _kinds_kept_apart(found)
        for name, site in spec.effect_sites.items():
            if site.rate is None and not effect:
                found.fault(f"effect_sites.{name}.rate", "nothing", "how fast it follows", 'rate = "ke0"')
    for name, flow in spec.flows.items():
        place = f"flows.{name}"
        for key, target in (("from", flow.from_), ("to", flow.to)):
            if target is not None:
                _known(found, f"{place}.{key}", target, spec.compartments, "a compartment")
        if flow.from_ is None and flow.to is None:
            found.fault(place, "a flow without from and to", "at least one of them", 'from = "central"')
        elif flow.from_ == flow.to:
            found.fault(place, f"from and to {flow.to!r}", "two different compartments")
        if flow.yield_ is not None and flow.to is None:
            found.fault(f"{place}.yield", "a yield", "a flow with `to`, as it is the amount arriving")
        rate = found.formulas.get(f"{place}.rate")
        if rate is not None and flow.from_ is not None and flow.from_ not in names(rate):
            text = f"{place}.rate does not depend on {flow.from_!r}, which can run below zero"
            found.warnings.append(text)
    for route, parts in spec.entries.items():
        if not parts:
            found.fault(f"entries.{route}", "no parts", "at least one", '[{ to = "central" }]')
        for i, part in enumerate(parts):
            place = f"entries.{route}[{i}]"
            _known(found, f"{place}.to", part.to, spec.compartments, "a compartment")
    touched = {f.from_ for f in spec.flows.values()} | {f.to for f in spec.flows.values()}
    touched |= {part.to for parts in spec.entries.values() for part in parts}
    touched |= {name for name, compartment in spec.compartments.items() if compartment.start is not None}
    for name in spec.compartments:
        if name not in touched and spec.status != "incomplete":
            found.warnings.append(f"compartments.{name} has no flow and no entry")


#: tables and keys of an output that belong to one kind of model
_OF_KIND = {
    "pk": (("compartments", "flows", "entries", "dose_fields"), ()),
    "effect": (("drives",), ("effect", "scale", "range", "direction", "baseline", "threshold")),
}


def _kinds_kept_apart(found: Examination) -> None:
    spec = found.spec
    other = "pk" if spec.kind == "effect" else "effect"
    tables, keys = _OF_KIND[other]
    for table in tables:
        if getattr(spec, table):
            found.fault(table, f"a table in a model of kind {spec.kind!r}", "none", f'kind = "{other}"')
    for name, block in spec.variability.items():
        if spec.kind == "effect" and block.level != "subject":
            found.fault(f"variability.{name}.level", repr(block.level), "subject in an effect model")
    for name, output in spec.outputs.items():
        place = f"outputs.{name}"
        for key in keys:
            if getattr(output, key) is not None:
                found.fault(f"{place}.{key}", "a key of effect models", "none", f'kind = "{other}"')
        if spec.kind == "effect":
            for key, example in (
                ("scale", '"score"'),
                ("direction", '"rises"'),
                ("threshold", '{ value = 0.5, meaning = "half of the maximal effect" }'),
            ):
                if getattr(output, key) is None:
                    found.fault(
                        f"{place}.{key}", "nothing", "a value in an effect model", f"{key} = {example}"
                    )
            if output.range and output.range[0] >= output.range[1]:
                found.fault(f"{place}.range", str(list(output.range)), "lowest, then highest")


def _measurements(found: Examination) -> None:
    spec = found.spec
    if spec.entries:
        for route in spec.applies.routes or ():
            if route not in spec.entries:
                found.warnings.append(f"applies.routes: {route!r} is none of the entries")
    for k, limit in enumerate(spec.limits):
        for name in limit.outputs:
            _known(found, f"limits[{k}].outputs", name, spec.outputs, "an output")
        if limit.within_h is not None and limit.shorter_h is None:
            found.fault(
                f"limits[{k}].within_h",
                f"{limit.within_h:g} alone",
                "shorter_h beside it",
                "shorter_h = 0.25",
            )
    for name, residual in spec.residual.items():
        place = f"residual.{name}"
        _known(found, place, name, spec.outputs, "an output")
        both = residual.kind == "combined"
        if both != (residual.additive_sd is not None):
            given = "no additive_sd" if both else f"additive_sd with kind {residual.kind!r}"
            found.fault(f"{place}.additive_sd", given, "additive_sd with kind 'combined' and only there")
        if (both or residual.kind == "additive") and residual.unit is None:
            found.fault(f"{place}.unit", "nothing", "the unit of the additive part", 'unit = "ng/mL"')
    for i, check in enumerate(spec.checks):
        _known(found, f"checks[{i}].output", check.output, spec.outputs, "an output")
        for name in check.set:
            _known(found, f"checks[{i}].set.{name}", name, spec.covariates, "a covariate")


# --- units -------------------------------------------------------------------------------------------


def derive(found: Examination) -> Derived:
    """Derive the unit of every formula and compare it with what the place asks for.

    Faults are added to `found`; formulas that use a name without unit are passed over.
    """
    spec = found.spec
    derived = Derived()
    units: dict[str, Unit] = {"time": TIME, "tad": TIME, "last_dose": MASS, "amount": NUMBER}
    units |= {f"eta.{n}": NUMBER for n in spec.subject_etas} | {
        f"occ.{n}": NUMBER for n in spec.occasion_etas
    }

    for name, parameter in spec.parameters.items():
        read = _read_unit(found, f"parameters.{name}.unit", parameter.unit, body_weight=True)
        if read is not None:
            units[name], derived.factors[name] = read
    for table in ("covariates", "dose_fields"):
        for name, record in getattr(spec, table).items():
            if _read_unit(found, f"{table}.{name}.unit", record.unit) is not None:
                units[name] = NUMBER
    for name in spec.dose_fields:
        _want(found, f"dose_fields.{name}.default", units, NUMBER, "a plain number")
    for name in spec.individual:
        measured = _measured(found, f"individual.{name}", units)
        if measured is not None:
            units[name] = measured
            derived.derived_units[name] = str(measured)
    for name in spec.compartments:
        units[name] = MASS
        derived.derived_units[name] = str(MASS)
        _want(found, f"compartments.{name}.volume", units, VOLUME, "a volume")
        _want(found, f"compartments.{name}.start", units, MASS, "an amount")
    for name, drive in spec.drives.items():
        units[name] = MASS / VOLUME
        read = _read_unit(found, f"drives.{name}.unit", drive.unit)
        if read is not None and read[0] != MASS / VOLUME:
            found.fault(f"drives.{name}.unit", repr(drive.unit), "a unit of concentration", '"ng/mL"')
    for name in spec.effect_sites:
        measured = _measured(found, f"effect_sites.{name}.follows", units)
        if measured is not None:
            units[name] = measured
            derived.derived_units[name] = str(measured)
        _want(found, f"effect_sites.{name}.rate", units, NUMBER / TIME, "a rate constant")
    for name in spec.flows:
        _want(found, f"flows.{name}.rate", units, MASS / TIME, "amount per time")
        _want(found, f"flows.{name}.yield", units, NUMBER, "amount per amount")
    for route, parts in spec.entries.items():
        for i in range(len(parts)):
            place = f"entries.{route}[{i}]"
            _want(found, f"{place}.fraction", units, NUMBER, "a share of the dose")
            for key, measured, unit_text, what in (
                ("lag", TIME, "h", "a time"),
                ("duration", TIME, "h", "a time"),
                ("rate", MASS / TIME, "mg/h", "amount per time"),
            ):
                if not _from_table(found, f"{place}.{key}", unit_text):
                    _want(found, f"{place}.{key}", units, measured, what)
    for name, output in spec.outputs.items():
        declared = _read_unit(found, f"outputs.{name}.unit", output.unit)
        if declared is None:
            continue
        wanted, factor = declared
        _want(found, f"outputs.{name}.value", units, wanted, f"what {output.unit} measures")
        _want(found, f"outputs.{name}.baseline", units, wanted, f"what {output.unit} measures")
        derived.output_factor[name] = 1.0 / factor
        derived.derived_units[name] = str(wanted)
        residual = spec.residual.get(name)
        if residual is not None and residual.unit is not None:
            place = f"residual.{name}.unit"
            read = _read_unit(found, place, residual.unit)
            if read is not None and read[0] != wanted:
                found.fault(place, repr(residual.unit), f"a unit like the output's {output.unit!r}")
    for i, check in enumerate(spec.checks):
        _read_unit(found, f"checks[{i}].unit", check.unit)
    return derived


def _read_unit(
    found: Examination, place: str, text: str, body_weight: bool = False
) -> tuple[Unit, float] | None:
    try:
        return unit(text, found.at(place), body_weight=body_weight)
    except UnitError as error:
        fault = error.faults[0]
        cure = fault.try_
        if match := re.fullmatch(r"(.+?)\s*/\s*70\s*kg", text):
            cure = f"{match[1]!r}, with (weight / 70) in [individual]"
        found.faults.append(Fault(fault.where, fault.given, fault.expected, cure))
        return None


def _ready(found: Examination, place: str, units: Mapping[str, Unit]) -> Expr | None:
    expr = found.formulas.get(place)
    return expr if expr is not None and names(expr) <= units.keys() else None


def _measured(found: Examination, place: str, units: Mapping[str, Unit]) -> Unit | None:
    expr = _ready(found, place, units)
    if expr is None:
        return None
    try:
        return unit_of(expr, units, found.at(place))
    except InputError as error:
        found.faults.extend(error.faults)
        return None


def _from_table(found: Examination, place: str, unit_text: str) -> bool:
    """Whether a formula is made of numbers and columns of an event table alone, all in inside units.

    Columns such as a lag in h are plain numbers like all covariates; asking for a factor "1 h" would be pedantry.
    """
    expr, spec = found.formulas.get(place), found.spec
    if expr is None:
        return False
    used = names(expr)
    columns: dict[str, Any] = {**spec.covariates, **spec.dose_fields}
    return (
        bool(used)
        and used <= columns.keys()
        and all(columns[n].unit.strip() in (unit_text, "1", "") for n in used)
    )


def _want(found: Examination, place: str, units: Mapping[str, Unit], wanted: Unit, what: str) -> None:
    expr = _ready(found, place, units)
    if expr is None:
        return
    try:
        other = fits(expr, units, wanted, found.at(place))
    except InputError as error:
        found.faults.extend(error.faults)
        return
    if other is None:
        return
    given = f"{to_source(expr)!r}, which has {'no unit' if other.plain else f'unit {other}'}"
    per_year = any("year" in p.unit for p in found.spec.parameters.values())
    if "[substance]" in dict((other / wanted).powers):
        cure = "a molar mass (g/mol) among the parameters"
    elif wanted / other == TIME and per_year:
        cure = "the unit of the slope without the year, as age is a plain number in formulas"
    elif constant(expr) is not None:
        cure = f"a parameter with unit {wanted}"
    else:
        cure = f"a factor with unit {wanted / other}"
    found.fault(place, given, f"{what} ({'no unit' if wanted.plain else wanted})", cure)


# --- one try with numbers ----------------------------------------------------------------------------


def try_typical(found: Examination, factors: Mapping[str, float]) -> None:
    """Evaluate once for the reference patient: what is not a number there is a fault of the file."""
    spec = found.spec
    values: dict[str, float] = {name: p.value * factors[name] for name, p in spec.parameters.items()}
    values |= {name: c.reference for name, c in spec.covariates.items()}
    values |= {f"eta.{n}": 0.0 for n in spec.subject_etas} | {f"occ.{n}": 0.0 for n in spec.occasion_etas}

    def value(place: str) -> float | None:
        expr = found.formulas.get(place)
        if expr is None or not names(expr) <= values.keys():
            return None
        number = float(evaluate(expr, values))
        if not math.isfinite(number):
            found.fault(place, f"{number} for the reference patient", "a finite number")
            return None
        return number

    for name in spec.individual:
        number = value(f"individual.{name}")
        if number is not None:
            values[name] = number
    for name in spec.compartments:
        number = value(f"compartments.{name}.volume")
        if number is not None and number <= 0:
            found.fault(
                f"compartments.{name}.volume", f"{number:g} L for the reference patient", "more than 0"
            )
        number = value(f"compartments.{name}.start")
        if number is not None and number < 0:
            found.fault(f"compartments.{name}.start", f"{number:g} for the reference patient", "0 or more")
    for route, parts in spec.entries.items():
        shares = []
        for i in range(len(parts)):
            for key in ("fraction", "lag", "duration", "rate"):
                place = f"entries.{route}[{i}].{key}"
                number = value(place)
                if number is not None and number < 0:
                    found.fault(place, f"{number:g} for the reference patient", "0 or more")
                if key == "fraction":
                    shares.append(number)
        total = sum(s for s in shares if s is not None)
        if total > 1 + 1e-9:
            share = f"{total:.3g} of the dose arrives in the reference patient, more than all of it"
            found.warnings.append(f"entries.{route}: {share}")
