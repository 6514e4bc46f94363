"""From what a request says to arguments of public names. No file that a request names is ever read."""

from __future__ import annotations

import contextlib
import inspect
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kinetamine import units
from kinetamine.dosing import Regimen
from kinetamine.errors import InputError, UnknownName
from kinetamine.models import library
from kinetamine.population import Patient, Population
from kinetamine.reproduce import Code, call
from kinetamine.scenario import Scenario, read
from kinetamine.simulate.times import default_times
from kinetamine.web.limits import Limits
from kinetamine.web.requests import ModelText

__all__ = [
    "effects", "fixed", "mapping", "models", "one_or_several", "people", "people_code", "refuse_many",
    "refuse_people", "regimen", "scenario", "shipped", "texts", "usual_models", "written",
]  # fmt: skip

#: names of `Population` that are no covariates; a table would be a file
_NO_COVARIATES = frozenset(inspect.signature(Population).parameters) - {"fixed", "sex", "age"}


def texts(value: str | Sequence[str]) -> list[str]:
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


@contextlib.contextmanager
def models(given: Any, where: str = "model") -> Iterator[list[str]]:
    """Models of a request as `library.load` takes them: ids of shipped ones, and files made of given texts.

    Raises
    ------
    UnknownName
        If a name is not that of a shipped model.
    FaultyFile
        With all faults of a text.
    """
    asked = [] if given is None else given if isinstance(given, list) else [given]
    known = [entry.id for entry in library.available() if entry.kind == "pk"]
    written = any(isinstance(model, ModelText) for model in asked)
    with tempfile.TemporaryDirectory() if written else contextlib.nullcontext("") as folder:
        found = []
        for number, model in enumerate(asked):
            if isinstance(model, ModelText):
                path = Path(folder, f"model_{number + 1}.toml" if number else "model.toml")
                path.write_text(model.text, encoding="utf-8")
                found.append(str(path))
            else:
                found.append(str(shipped(where, model, known, "a model of the library")))
        yield found


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


def fixed(given: Mapping[str, Any], age: str | None = None) -> dict[str, Any]:
    """Covariates that a request fixes.

    Raises
    ------
    InputError
        For a name that is an option of a population, or an `age` that is given already.
    """
    for name, value in given.items():
        if name in _NO_COVARIATES or (name == "age" and age is not None):
            raise InputError(f"set.{name}", repr(value), "the name of a covariate", "weight")
    return dict(given)


def ages(text: str) -> float | tuple[float, float]:
    """``40`` or ``18-65``.

    Raises
    ------
    InputError
    """
    low, dash, high = text.partition("-")
    try:
        return (float(low), float(high)) if dash else float(low)
    except ValueError:
        raise InputError("age", repr(text), "years, one or two", "18-65") from None


def people(
    patients: int | None,
    seed: int | None,
    age: str | None,
    given: Mapping[str, Any],
    uncertainty: bool = True,
) -> Patient | Population:
    """The people of a request about effects; None is the typical patient.

    Raises
    ------
    InputError
    """
    known = fixed(given, age)
    if age is not None:
        known["age"] = ages(age)
    if patients is not None:
        return Population(patients, seed=seed or 0, uncertainty=uncertainty, **known)
    if isinstance(known.get("age"), tuple):
        raise InputError("age", repr(age), "one age for one patient", "40")
    return Patient(**known)


def one_or_several(names: Sequence[Any]) -> Any:
    """As public functions take models: none, one, or a list."""
    return None if not names else names[0] if len(names) == 1 else list(names)


def refuse_people(patients: int | None, limits: Limits, name: str) -> None:
    """Refuse more people than this server computes; the command `name` does.

    Raises
    ------
    TooMuch
    """
    limits.check("patients", patients or 1, limits.patients, f"kinetamine {name} --patients {patients}")


def refuse_many(patients: int, until: str, step: str, limits: Limits) -> None:
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


def usual_models(body: Any, limits: Limits) -> list[str]:
    """The pk models that effects of these doses in these people are computed from first.

    Raises
    ------
    NoData
        If none is known for the route, the drug and the people.
    """
    from kinetamine.effects.choice import pk_models

    refuse_people(body.patients, limits, "simulate")
    who = people(body.patients, body.seed, body.age, body.set)
    return pk_models(None, regimen(body.doses, limits), who)[0][0].id.split(" + ")


def written(names: Sequence[str]) -> list[str]:
    """Models as a reader names them: a text that was given is a file of theirs."""
    return [Path(name).name if name.endswith(".toml") else name for name in names]


def people_code(body: Any, uncertainty: bool | None = True) -> Code:
    """The people of a request in Python."""
    if body.patients is None:
        return call("kt.Patient", **body.set)
    fixed = {**body.set, **({} if body.age is None else {"age": ages(body.age)})}
    return call("kt.Population", body.patients, seed=body.seed, uncertainty=uncertainty, **fixed)


_PLACES = {"population.n": "patients", "population.seed": "seed", "population.age": "age"}
_FIELDS = ("times", "until", "step", "outputs", "quantiles", "on_failure", "condition", "title", "product",
           "conditions", "medications", "visit")  # fmt: skip


def mapping(body: Any, names: Sequence[str]) -> dict[str, Any]:
    """A request as a scenario file would say it; also what the reproducing scenario is written from."""
    found: dict[str, Any] = {"model": list(names) if len(names) != 1 else names[0]}
    doses = texts(body.doses)
    found["doses"] = doses if len(doses) > 1 else doses[0]
    for key in _FIELDS:
        if value := getattr(body, key, None):
            found[key] = value
    if body.with_:
        found["with"] = list(body.with_)
    table = dict(body.set)
    if body.patients is not None:
        options = {"n": body.patients, "seed": body.seed, "age": body.age}
        options |= {key: getattr(body, key, False) or None for key in ("uncertainty", "residual")}
        found["population"] = {k: v for k, v in options.items() if v is not None} | table
    elif table:
        found["patient"] = table
    if found.get("on_failure") == "raise":
        del found["on_failure"]
    return found


def scenario(body: Any, names: Sequence[str], limits: Limits) -> Scenario:
    """The scenario of a request, checked, not too large.

    Raises
    ------
    InputError
        With every fault found.
    """
    fixed(body.set, body.age)
    if body.patients is None:
        for key in ("age", "uncertainty", "residual"):
            if key in body.model_fields_set and (value := getattr(body, key)):
                raise InputError(key, repr(value), "patients with it", "patients: 1000")
    refuse_people(body.patients, limits, "simulate")
    asked = mapping(body, names)
    table = "population" if "population" in asked else "patient"
    checked = read(asked, "request", {**_PLACES, **{f"{table}.{key}": f"set.{key}" for key in body.set}})
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
