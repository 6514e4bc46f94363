"""Which pk model stands under which effect models, when the user names none."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from kinetamine.dosing import Regimen
from kinetamine.errors import Fault, InputError, NoData
from kinetamine.models import library
from kinetamine.models.keyed import Keyed
from kinetamine.models.link import side_by_side
from kinetamine.models.spec import ModelSpec
from kinetamine.records import Record, read_toml, unknown
from kinetamine.substances import Drug

__all__ = ["ADULT", "Choice", "age_span", "choices", "fitting", "of_group", "pk_models", "together", "usual"]

#: years from which a person counts as an adult, and the ages of adults when nobody says any
ADULT, ADULTS = 18.0, (18.0, 65.0)
_FILE = "pk_models.toml"


class Choice(Record):
    """One row of the table: models for a route, a drug and an age group, best first."""

    people: Literal["adults", "children"]
    route: str
    drug: Drug
    models: Annotated[tuple[str, ...], Field(min_length=1)]
    reason: str
    #: a pair of models that tells the halves of a racemate apart, where the first model does not
    enantiomers: str = ""


class _File(Record):
    choice: tuple[Choice, ...]


@functools.cache
def choices() -> tuple[Choice, ...]:
    """The table, in its order.

    Raises
    ------
    FaultyFile
        With all its faults: keys, types, models that do not exist or do not fit.

    Examples
    --------
    >>> next(c.models[0] for c in choices() if c.route == "nasal")
    'perez_ruixo_2021_esketamine'
    """
    rows: tuple[Choice, ...] = read_toml(f"effects/{_FILE}", _File, sense=_nonsense).choice
    return rows


def _nonsense(file: _File) -> Iterable[Fault]:
    known = {e.id: e for e in library.available() if e.kind == "pk" and e.status != "incomplete"}
    seen = set()
    for row in file.choice:
        where = f"{row.people}, {row.route}, {row.drug}"
        if (row.people, row.route, row.drug) in seen:
            yield Fault(where, "a second row", "one row each")
        seen.add((row.people, row.route, row.drug))
        for one in (part for name in (*row.models, row.enantiomers) for part in _parts(name) if part):
            if one not in known or row.route not in known[one].routes:
                routes = [id for id, entry in known.items() if row.route in entry.routes]
                yield unknown(where, one, routes, f"a model that runs, with the route {row.route}")


def _parts(name: str) -> list[str]:
    return [part.strip() for part in name.split("+")]


def together(model: Any) -> ModelSpec:
    """One model, or ``"a + b"`` or a list of two as a model of the racemate; the same two are joined once.

    Examples
    --------
    >>> together("noppers_2011_s_ketamine + derived_r_ketamine_noppers_distribution").drug
    'racemate'
    """
    if isinstance(model, str) and "+" in model and "/" not in model:
        model = _parts(model)
    several = isinstance(model, Sequence) and not isinstance(model, str)
    specs = tuple(library.load(one, runnable=True) for one in (model if several else [model]))
    return _joined(Keyed(tuple((spec.digest, spec.id) for spec in specs), specs))


@functools.lru_cache(maxsize=64)
def _joined(models: Keyed) -> ModelSpec:
    return side_by_side(models.asked)


def age_span(people: Any, model: ModelSpec | None) -> tuple[float, float]:
    """Lowest and highest age that a request is about; without word of it, those of the model, else adults'.

    Examples
    --------
    >>> from kinetamine.population import Patient
    >>> age_span(Patient(age=6, weight=20), None)
    (6.0, 6.0)
    """
    given = people.given.get("age")
    span = getattr(people, "age_range", None)
    table = getattr(people, "table", None)
    if span is not None:
        return span
    if given is None and table is not None and "age" in table:
        given = table.values("age", "year")
    if given is not None:
        low, high = getattr(given, "low", None), getattr(given, "high", None)
        if low is not None and high is not None:
            return float(low), float(high)
        import numpy as np

        return float(np.min(given)), float(np.max(given))
    studied = model.applies.age_years if model is not None else None
    return studied or ADULTS


def pk_models(
    model: Any, regimen: Regimen, people: Any, every: bool = False
) -> tuple[list[ModelSpec], tuple[float, float], str]:
    """Models to run, best first, the ages asked about, and why these models.

    Parameters
    ----------
    model : model, list of two models, text such as ``"a + b"``, or None
    every : bool
        All models of the library that fit instead of the table's.

    Raises
    ------
    NoData
        If none is known for the route, the drug and the people.
    """
    if model is not None:
        spec = together(model)
        return [spec], age_span(people, spec), "named by the user"
    fits, ages = fitting(regimen, people)
    routes = {d.entry for d in regimen.doses}
    if every and fits:
        found = _every(fits[0].drug, routes, ages)
    else:
        found = [m for c in fits for m in map(together, c.models) if routes <= set(m.routes)]
    if not found:
        group = _group(ages)
        drugs = {d.drug for d in regimen.doses if d.drug}
        have = "; ".join(sorted(f"{c.route} {c.drug}" for c in choices() if c.people == group))
        raise NoData(
            "doses",
            f"{' and '.join(sorted(drugs)) or 'a dose'} by {' and '.join(sorted(routes))} in {group}",
            f"a route, drug and age with a published model (for {group}: {have})",
            "a pk model of your own with model= (--model)",
        )
    return found, ages, "one of all that fit" if every else fits[0].reason


def usual(regimen: Regimen, people: Any) -> tuple[tuple[str, ...], Regimen, str]:
    """What is simulated when nobody names a model: that of the effects, and of a racemate also the enantiomers.

    Returns
    -------
    tuple of str, Regimen, str
        Models, the doses with their drug, and why these models.

    Raises
    ------
    NoData
        If no model is known for the route, the drug and the people.

    Examples
    --------
    >>> from kinetamine.population import Patient
    >>> usual(Regimen.parse("84 mg nasal"), Patient())[0]
    ('perez_ruixo_2021_esketamine',)
    >>> usual(Regimen.parse("0.5 mg/kg iv over 40 min"), Patient())[0][:2]
    ('kamp_2020_meta_racemic', 'noppers_2011_s_ketamine')
    """
    found, _, why = pk_models(None, regimen, people)
    row = fitting(regimen, people)[0][0]
    drug, names = row.drug, _parts(found[0].id)
    if row.enantiomers and found[0].id == row.models[0]:
        names += _parts(row.enantiomers)
    doses = tuple(replace(d, drug=d.drug or drug) for d in regimen.doses)
    return tuple(names), replace(regimen, doses=doses), why


def fitting(regimen: Regimen, people: Any) -> tuple[list[Choice], tuple[float, float]]:
    """Rows of the table for these doses and people, and their ages; a dose without a drug means that of the first.

    Raises
    ------
    InputError
        If the people are both children and adults.

    Examples
    --------
    >>> from kinetamine.population import Patient
    >>> fitting(Regimen.parse("84 mg nasal"), Patient())[0][0].drug
    'S-ketamine'
    """
    ages = age_span(people, None)
    if ages[0] < ADULT <= ages[1]:
        raise InputError(
            "population",
            f"ages {ages[0]:g} to {ages[1]:g} years",
            "children or adults, as effect models are of one or the other",
            f"age=({ADULT:g}, {max(ages[1], ADULT):g})",
        )
    routes = {d.entry for d in regimen.doses}
    drugs = {d.drug for d in regimen.doses if d.drug}
    rows = [c for c in choices() if c.people == _group(ages) and c.route in routes]
    return [c for c in rows if not drugs or drugs == {c.drug}][: 1 if not drugs else None], ages


def _group(ages: tuple[float, float]) -> str:
    return "children" if ages[1] < ADULT else "adults"


def of_group(spec: ModelSpec, ages: Sequence[float]) -> bool:
    """Whether a model was made for adults, or children, as these people are; one that does not say is for all."""
    if spec.applies.age_years is None and spec.applies.people is not None:
        return (spec.applies.people == "adults") == (ages[0] >= ADULT)
    low, high = spec.applies.age_years or ages
    return high > ADULT if ages[0] >= ADULT else low < ADULT


def _every(drug: str, routes: set[str], ages: Sequence[float]) -> list[ModelSpec]:
    found = []
    for entry in library.available():
        if entry.kind == "pk" and entry.status != "incomplete" and routes <= set(entry.routes):
            spec = library.load(entry.id)
            low, high = spec.applies.age_years or ages
            if spec.drug == drug and of_group(spec, ages) and low <= ages[1] and ages[0] <= high:
                found.append(spec)
    pairs = {m for c in choices() if c.drug == drug and c.route in routes for m in c.models if "+" in m}
    return found + [together(p) for p in sorted(pairs) if min(ages) >= ADULT]
