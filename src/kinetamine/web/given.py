"""What this server does not do for a request: read files that it names, compute more than its limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kinetamine import questions, units
from kinetamine.dosing import Regimen
from kinetamine.errors import UnknownName
from kinetamine.models import library
from kinetamine.questions import people
from kinetamine.questions.shared import ModelText
from kinetamine.scenario import Scenario, of_question
from kinetamine.simulate.times import default_times
from kinetamine.web.limits import Limits

__all__ = [
    "chosen", "effects", "loaded", "models", "refuse_many", "refuse_people", "regimen", "scenario", "shipped", "texts",
    "written",
]  # fmt: skip


def texts(value: str | Sequence[Any]) -> list[Any]:
    """One or several as a list."""
    return [value] if isinstance(value, str) else list(value)


def shipped(where: str, name: str | None, known: Iterable[str], what: str) -> str | None:
    """A name of something that comes with the package, or nothing; a path is a name nobody knows.

    Raises
    ------
    UnknownName
    """
    known = list(known)
    if name is not None and name not in known:
        raise UnknownName(where, name, known, what)
    return name


def models(given: Any, where: str = "model") -> list[str | ModelText]:
    """Models of a request: ids of shipped ones, and texts of model files.

    Raises
    ------
    UnknownName
        If a name is not that of a shipped model.
    """
    asked = [] if given is None else given if isinstance(given, list) else [given]
    known = [entry.id for entry in library.available() if entry.kind == "pk"]
    for model in asked:
        if not isinstance(model, ModelText):
            shipped(where, model, known, "a model of the library")
    return asked


def loaded(given: Any) -> Any:
    """The same as public functions take them: none, one, or a list.

    Raises
    ------
    UnknownName
    FaultyFile
        With all faults of a text.
    """
    found = [library.load_text(m.text) if isinstance(m, ModelText) else m for m in models(given)]
    return None if not found else found[0] if len(found) == 1 else found


def written(models: Sequence[str | ModelText]) -> Any:
    """Models as a reader names them: a text that was given is a file of theirs; one stands by itself."""
    names = [
        m if isinstance(m, str) else f"model_{number}.toml" if number > 1 else "model.toml"
        for number, m in enumerate(models, start=1)
    ]
    return None if not names else names[0] if len(names) == 1 else names


def regimen(doses: str | list[str], limits: Limits) -> Regimen:
    """The doses of a request, not too many of them.

    Raises
    ------
    DoseError, TooMuch
    """
    routes = {route for entry in library.available() for route in entry.routes}
    read = Regimen.parse(texts(doses), entries=routes)
    limits.check("doses", sum(d.count for d in read.doses), limits.doses)
    return read


def refuse_people(patients: int | None, limits: Limits, name: str) -> None:
    """Refuse more people than this server computes; the command `name` does.

    Raises
    ------
    TooMuch
    """
    limits.check("patients", patients or 1, limits.patients, f"kinetamine {name} --patients {patients}")


def refuse_many(patients: int, until: float | str, step: float | str, limits: Limits) -> None:
    """Refuse more people and times than this server looks for effects in.

    Raises
    ------
    TooMuch
    """
    refuse_people(patients, limits, "effects")
    end, width = units.read(until, "h", "until"), units.read(step, "h", "step")
    if end > 0 and width > 0:  # else it is refused where it is read
        limits.check("until / step", end / width, limits.times)
        limits.check("patients × times", patients * end / width, limits.values)


def effects(names: Sequence[str]) -> list[str] | None:
    """Effects and effect models that a request names; none is all.

    Raises
    ------
    UnknownName
        If one is neither an effect nor a shipped effect model.
    """
    from kinetamine.effects.selection import effect_of, wanted

    if not names:
        return None
    known = {n for spec, outputs in wanted(None) for o in outputs for n in (spec.id, o, effect_of(spec, o))}
    by_fold = {name.casefold() for name in known}
    for name in names:
        if name.casefold() not in by_fold:
            shipped("effect", name, known, "an effect or an effect model of the library")
    return list(names)


def chosen(body: Any, limits: Limits) -> tuple[list[str | ModelText], Regimen | None]:
    """The models that a request names; else those that effects of its doses in its people are computed from first.

    Returns
    -------
    list, Regimen or None
        The doses, if they had to be read for that.

    Raises
    ------
    NoData
        If none is known for the route, the drug and the people.
    """
    from kinetamine.choice import pk_models

    if named := models(body.model):
        return named, None
    doses = regimen(body.doses, limits)
    refuse_people(body.patients, limits, "simulate")
    return list(pk_models(None, doses, people.of(body, uncertainty=True))[0][0].id.split(" + ")), doses


def scenario(
    body: Any, names: Sequence[str | ModelText], limits: Limits, doses: Regimen | None = None, **more: Any
) -> Scenario:
    """The scenario of a request, checked, not too large.

    Parameters
    ----------
    doses : Regimen, optional
        The doses, where they were read already.
    **more
        Fields that the request does not ask for.

    Raises
    ------
    InputError
        With every fault found.
    """
    refuse_people(body.patients, limits, "simulate")
    fields = {said.name for said in questions.Scenario.said()}
    values = {said.name: value for said, value in body.told() if said.name in fields}
    values |= {**({"model": list(names)} if names else {}), **more}
    checked = of_question(values, "request", "request", regimen=doses)
    assert isinstance(checked.doses, Regimen)  # a request has no event table
    limits.check("doses", sum(d.count for d in checked.doses.doses), limits.doses)
    if checked.times_h is not None:
        times = len(checked.times_h)
    else:
        grid = default_times(checked.doses, checked.until_h)
        times = int(grid[-1] / checked.step_h) + 2 if checked.step_h else len(grid)
    limits.check("times", times, limits.times)
    outputs = len(checked.outputs or [o for m in checked.models for o in m.outputs])
    limits.check("patients × times × outputs", (body.patients or 1) * times * outputs, limits.values)
    return checked
