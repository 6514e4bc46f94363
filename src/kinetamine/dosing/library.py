"""Published regimens by use, from ``data/regimens.toml``."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kinetamine.dosing.regimen import Regimen
from kinetamine.errors import Fault, FaultyFile, InputError, UnknownName
from kinetamine.models import library as models

__all__ = ["PublishedRegimen", "read", "regimens"]

Words = Annotated[str, Field(min_length=1)]
FILE = "regimens.toml"


class PublishedRegimen(BaseModel):
    """What was given to whom, with its source.

    Parameters
    ----------
    id, use, title, population : str
    doses : tuple of str
        Dose phrases.
    source : str
        Key in ``data/sources.toml``.
    place : str
        Where in the source, with the range it gives.
    seen : str
        ``text``, ``abstract`` or ``recalled``: how the dose was read.
    models : tuple of str
        Models here that can run it, the best fitting first.
    patient : dict
        Covariates such a model needs.
    missing : str
        Why no model can run it.
    note : str
        What was chosen where the source leaves it open.

    Examples
    --------
    >>> regimens()["depression_iv_single"].doses
    ('0.5 mg/kg racemic ketamine iv over 40 min',)
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Words
    use: Words
    title: Words
    doses: Annotated[tuple[Words, ...], Field(min_length=1)]
    population: Words
    source: Words
    place: Words
    seen: Literal["text", "abstract", "recalled"]
    models: tuple[str, ...]
    patient: dict[str, float] = {}
    missing: str = ""
    note: str = ""

    @property
    def regimen(self) -> Regimen:
        """The doses, read."""
        return Regimen.parse(list(self.doses))


@functools.cache
def regimens() -> dict[str, PublishedRegimen]:
    """Published standard regimens, by id; for research and teaching, never for treating a person.

    Raises
    ------
    FaultyFile
        If the data file has faults; all of them are listed.

    Examples
    --------
    >>> import kinetamine as kt
    >>> label = kt.regimens()["depression_nasal_label"]
    >>> len(label.regimen.expanded())
    16
    """
    return read(resources.files("kinetamine").joinpath("data", FILE).read_text("utf-8"))


def chosen(id: str | None = None, use: str | None = None) -> list[PublishedRegimen]:
    """Regimens of one id or one use; without either all of them.

    Raises
    ------
    UnknownName
        If there is none.

    Examples
    --------
    >>> [r.use for r in chosen("depression_nasal_label")]
    ['depression']
    """
    known = regimens()
    if id is not None and id not in known:
        raise UnknownName("id", id, known, "a regimen of the library")
    some = [r for name, r in known.items() if id in (None, name)]
    uses = dict.fromkeys(r.use for r in some)
    if use is not None and use not in uses:
        raise UnknownName("use", use, uses, "a use" if id is None else f"the use of {id}")
    return [r for r in some if use in (None, r.use)]


def read(text: str, name: str = FILE) -> dict[str, PublishedRegimen]:
    """Read and check a file of regimens: first its records, then their sense; all faults at once.

    Raises
    ------
    FaultyFile
        If there are faults.

    Examples
    --------
    >>> read("[a]")
    Traceback (most recent call last):
    kinetamine.errors.FaultyFile: regimens.toml: 8 faults: a.use: got nothing; expected Field required | ...
    """
    tables = tomllib.loads(text)
    faults = [] if tables.pop("format", 1) == 1 else [Fault(f"{name}: format", "another", "1")]
    found: dict[str, PublishedRegimen] = {}
    for key, table in tables.items():
        try:
            found[key] = PublishedRegimen(id=key, **table)
        except ValidationError as error:
            for one in error.errors(include_url=False):
                place = ".".join(str(part) for part in (key, *one["loc"]))
                given = "nothing" if one["type"] == "missing" else repr(one["input"])[:60]
                faults.append(Fault(f"{name}: {place}", given, one["msg"]))
    for record in found.values():
        faults += _senseless(record, name)
    if faults:
        raise FaultyFile(name, faults)
    return found


def _senseless(record: PublishedRegimen, name: str) -> list[Fault]:
    where = f"{name}: {record.id}"
    faults = []
    if record.source not in models.sources():
        faults.append(Fault(f"{where}.source", repr(record.source), "a key of sources.toml"))
    if not record.models and not record.missing:
        faults.append(Fault(f"{where}.models", "none", "a model, or in `missing` why there is none"))
    known = {entry.id: entry for entry in models.available()}
    for model in record.models:
        if model not in known or known[model].status == "incomplete":
            faults.append(Fault(f"{where}.models", repr(model), "a model that can run"))
    try:
        Regimen.parse(list(record.doses))
    except InputError as error:
        faults += [Fault(f"{where}.doses", fault.given, fault.expected, fault.try_) for fault in error.faults]
    return faults
