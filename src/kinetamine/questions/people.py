"""From what a question says about people to a patient or a population."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kinetamine.errors import InputError

if TYPE_CHECKING:
    from kinetamine.population import Patient, Population
    from kinetamine.population.individuals import Individuals

__all__ = ["ages", "drawn", "fixed", "of", "options"]


def options(asked: Any) -> dict[str, Any]:
    """Arguments of `kinetamine.Population`, by its own names; empty for one patient.

    Examples
    --------
    >>> from kinetamine import questions
    >>> options(questions.Compare(doses="84 mg nasal", patients=10, seed=1))
    {'n': 10, 'seed': 1}
    """
    found = {
        said.toml.removeprefix("population."): value
        for said in asked.said()
        if said.toml.startswith("population.")
        and said.name not in ("set", "people")
        and (value := getattr(asked, said.name)) is not None
    }
    if isinstance(found.get("age"), list):
        found["age"] = tuple(found["age"])
    return found if {"n", "table"} & set(found) else {}


def ages(given: Any, where: str = "age") -> Any:
    """``40`` or ``18-65``, years.

    Raises
    ------
    InputError

    Examples
    --------
    >>> ages("18-65"), ages("40"), ages(40.0)
    ((18.0, 65.0), 40.0, 40.0)
    """
    parts = given.split("-") if isinstance(given, str) else given
    try:
        years = tuple(map(float, parts)) if isinstance(parts, list | tuple) else (float(parts),)
        if len(years) > 2 or not all(map(math.isfinite, years)) or not 0 <= years[0] <= years[-1]:
            raise ValueError
    except ValueError:
        raise InputError(where, repr(given), "years, a lowest and a highest age or one", "18-65") from None
    return years if len(years) == 2 else years[0]


def fixed(asked: Any, where: str = "set.") -> dict[str, Any]:
    """Covariates that are the same for all.

    Raises
    ------
    InputError
        For a name that is an option of a population, or an age that is given already.
    """
    taken = {said.toml.removeprefix("population."): said for said in type(asked).said()}
    given = getattr(asked, "set", {})
    for name, value in given.items():
        said = taken.get(name)
        age = getattr(asked, "age", None)
        if said is not None and said.toml.startswith("population.") and (name != "age" or age is not None):
            raise InputError(f"{where}{name}", repr(value), "the name of a covariate", "weight")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def drawn(asked: Any) -> Individuals | None:
    """People of a posterior's file, where the question names one.

    Raises
    ------
    InputError
        If it cannot be read, or the question describes other people too.
    """
    path = getattr(asked, "people", None)
    if path is None:
        return None
    from kinetamine.population.individuals import Individuals

    told = [
        said.name for said in type(asked).said()
        if said.name in ("patients", "age", "set", "table", "uncertainty", "typical")
        and said.name in asked.model_fields_set and getattr(asked, said.name)
    ]  # fmt: skip
    if told:
        raise InputError(told[0], "people of a file and this", "one of the two", "people without it")
    found = Individuals.read(path)
    found.residual = bool(getattr(asked, "residual", False))
    return found


def of(asked: Any, where: str = "", many: bool | None = None, **more: Any) -> Patient | Population:
    """The people of a question about effects or models: a population where it says how many, else one patient.

    Parameters
    ----------
    asked : People
    where : str
        What stands before the names of fields: ``--`` on the command line.
    many : bool, optional
        Whether it is a population; default: whether `patients` says how many.
    **more
        Options of the population that the question does not ask for.

    Raises
    ------
    InputError
    """
    from kinetamine.population import Patient, Population

    if (person := drawn(asked)) is not None:
        return person
    known = fixed(asked, f"{where}set " if where else "set.")
    if getattr(asked, "age", None) is not None:
        known["age"] = ages(asked.age, f"{where}age")
    if asked.patients is not None if many is None else many:
        return Population(**more | options(asked) | known)
    if isinstance(known.get("age"), tuple):
        raise InputError(f"{where}age", repr(asked.age), "one age for one patient", "40")
    return Patient(**known)
