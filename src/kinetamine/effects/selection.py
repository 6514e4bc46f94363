"""Which effect models can answer: asked for by name or all, fit for the people, the drug and the pk models."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kinetamine import substances
from kinetamine.errors import Fault, InputError, NoData, UnknownName
from kinetamine.models import library
from kinetamine.models.keyed import Keyed
from kinetamine.models.link import Reading, readings
from kinetamine.models.spec import ModelSpec

__all__ = ["Job", "effect_of", "jobs", "wanted"]


@dataclass(frozen=True)
class Job:
    """One effect model on one pk model.

    Parameters
    ----------
    pk, effect : ModelSpec
    readings : tuple of Reading
    outputs : tuple of str
        Those asked for.
    caveats : tuple of str
        Why its outputs are to be trusted less.
    """

    pk: ModelSpec
    effect: ModelSpec
    readings: tuple[Reading, ...]
    outputs: tuple[str, ...]
    caveats: tuple[str, ...]


def effect_of(spec: ModelSpec, output: str) -> str:
    """Name under which an output is asked for."""
    return spec.outputs[output].effect or output


def wanted(asked: Any) -> list[tuple[ModelSpec, tuple[str, ...]]]:
    """Effect models with their outputs, for names of effects, ids or files of models; None is all.

    Raises
    ------
    UnknownName
        If a name is neither an effect nor an effect model.
    NoData
        If the model is listed as incomplete.

    Examples
    --------
    >>> [spec.id for spec, _ in wanted("not awake")]
    ['herd_2008_adult_thresholds']
    """
    entries = [e for e in library.available() if e.kind == "effect"]
    shipped = [library.load(e.id) for e in entries if e.status != "incomplete"]
    if asked is None:
        return [(spec, tuple(spec.outputs)) for spec in shipped]
    found: dict[str, tuple[ModelSpec, tuple[str, ...]]] = {}
    for name in [asked] if isinstance(asked, str | Path | ModelSpec) else list(asked):
        for spec, outputs in _named(name, shipped, {e.id for e in entries}):
            before = found[spec.id][1] if spec.id in found else ()
            found[spec.id] = (spec, tuple(dict.fromkeys((*before, *outputs))))
    if not found:
        raise InputError("effects", "an empty list", "at least one effect", "'anaesthesia'")
    return list(found.values())


def _named(name: Any, shipped: list[ModelSpec], ids: set[str]) -> list[tuple[ModelSpec, tuple[str, ...]]]:
    if isinstance(name, ModelSpec | Path) or str(name).endswith(".toml") or str(name) in ids:
        spec = library.load(name, runnable=True)
        if spec.kind != "effect":
            raise InputError("effects", repr(spec.id), "a model of kind 'effect'", f"model = {spec.id!r}")
        return [(spec, tuple(spec.outputs))]
    text = str(name).casefold()
    found = []
    for spec in shipped:
        outputs = tuple(o for o in spec.outputs if text in (effect_of(spec, o).casefold(), o.casefold()))
        if outputs:
            found.append((spec, outputs))
    if not found:
        known = {effect_of(s, o) for s in shipped for o in s.outputs} | ids
        raise UnknownName("effects", str(name), known, "an effect or an effect model")
    return found


def jobs(
    modules: Iterable[tuple[ModelSpec, tuple[str, ...]]],
    models: Sequence[ModelSpec],
    drug: str | None,
    ages: tuple[float, float],
    allow_site_mismatch: bool,
    routes: Iterable[str] = (),
) -> tuple[list[Job], dict[str, NoData]]:
    """Each effect model on the first pk model that gives what it reads; and why the others cannot answer.

    Parameters
    ----------
    drug : str or None
        What is given; None is each pk model's own drug.
    ages : (low, high), years
    routes : of the doses
    """
    found: list[Job] = []
    refused: dict[str, NoData] = {}
    given = [(pk, (pk.digest, pk.id), drug or pk.drug) for pk in models]
    for effect, outputs in modules:
        reasons: list[NoData] = []
        own = (effect.digest, effect.id)
        for pk, digest, dosed in given:
            rest = (outputs, dosed, ages, allow_site_mismatch, tuple(sorted(routes)))
            answer = _answer(Keyed((own, digest, rest), (effect, pk, *rest)))
            if isinstance(answer, Job):
                found.append(answer)
                break
            reasons.append(NoData(answer.where, answer.given, answer.expected, answer.try_))
        else:
            refused[effect.id] = reasons[0]
    return [j for j in found if not _outdone(j, found, drug)], refused


def _outdone(job: Job, found: Iterable[Job], drug: str | None) -> bool:
    """Whether the same paper has the same effect for the very drug that is given."""
    given = drug or job.pk.drug
    own = {effect_of(job.effect, o) for o in job.outputs}
    return job.effect.drug != given and any(
        other.effect.source == job.effect.source
        and other.effect.drug == given
        and own <= {effect_of(other.effect, o) for o in other.outputs}
        for other in found
    )


@functools.lru_cache(maxsize=1024)
def _answer(question: Keyed) -> Job | Fault:
    try:
        return _job(*question.asked)
    except NoData as error:
        return error.faults[0]


def _job(
    effect: ModelSpec,
    pk: ModelSpec,
    outputs: tuple[str, ...],
    drug: str,
    ages: tuple[float, float],
    allow: bool,
    routes: tuple[str, ...],
) -> Job:
    where = f"effect {effect.id}"
    span = effect.applies.age_years
    if span is not None and (ages[1] < span[0] or ages[0] > span[1]):
        years = f"{ages[0]:g}" if ages[0] == ages[1] else f"{ages[0]:g} to {ages[1]:g}"
        raise NoData(
            where,
            f"people of {years} years",
            f"people of {span[0]:g} to {span[1]:g} years, as it was measured in ({effect.applies.health})",
            "an effect model of that age; kinetamine models lists them",
        )
    measured = effect.applies.routes
    if measured is not None and not set(routes) <= set(measured):
        raise NoData(
            where, f"a dose by {' and '.join(routes)}", f"a dose by {' or '.join(measured)}, as it was measured after",
            "another effect model of it; kinetamine models lists them",
        )  # fmt: skip
    if effect.drug == "R-ketamine" and drug != "R-ketamine":
        raise NoData(
            where, f"a dose of {drug}", "R-ketamine alone, as it was measured with", "another effect"
        )
    read = readings(pk, effect, allow)
    if drug == "racemate" and pk.drug != "racemate":
        other = substances.mirror(pk.drug)
        lost = next((r.drive for r in read if r.output is None and r.drive.analyte.startswith(other)), None)
        if lost is not None:
            raise NoData(
                where, f"the racemate with {pk.id} alone", f"{lost.analyte} too", "a model of each enantiomer"
            )
    caveats = [r.caveat for r in read if r.caveat]
    if effect.drug == "S-ketamine" and drug == "racemate":
        caveats.append(f"{effect.id} was measured with S-ketamine; here R-ketamine is present as well")
    return Job(pk, effect, read, outputs, tuple(caveats))
