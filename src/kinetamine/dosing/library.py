"""Published regimens by use, from ``data/regimens.toml``."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import Field

from kinetamine.dosing.regimen import Regimen
from kinetamine.errors import Fault, InputError, UnknownName
from kinetamine.models import library as models
from kinetamine.records import ById, Record, read_toml, unknown

__all__ = ["PublishedRegimen", "read", "regimens"]

Words = Annotated[str, Field(min_length=1)]
FILE = "regimens.toml"


class PublishedRegimen(Record):
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

    id: Words
    use: Words
    title: Words
    doses: Annotated[tuple[Words, ...], Field(min_length=1)]
    population: Words
    source: Words
    place: Words
    seen: Literal["text", "abstract", "recalled"]
    models: tuple[str, ...]
    patient: dict[str, float] = Field(default={})
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
    return read()


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


def read(text: str | None = None, name: str = FILE) -> dict[str, PublishedRegimen]:
    """Read and check a file of regimens, by default the one that comes with kinetamine.

    Raises
    ------
    FaultyFile
        If there are faults.

    Examples
    --------
    >>> read("[a]")
    Traceback (most recent call last):
    kinetamine.errors.FaultyFile: regimens.toml: 8 faults: a.use: got nothing; expected a value | ...
    """
    found: dict[str, PublishedRegimen] = read_toml(name, ById[PublishedRegimen], text=text, sense=_nonsense)
    return found


def _nonsense(found: dict[str, PublishedRegimen]) -> Iterable[Fault]:
    known = {entry.id: entry.status for entry in models.available()}
    runs = [name for name, status in known.items() if status != "incomplete"]
    for record in found.values():
        where = f"{FILE}: {record.id}"
        if not record.models and not record.missing:
            yield Fault(f"{where}.models", "none", "a model, or in `missing` why there is none")
        for model in record.models:
            if model not in runs:
                yield unknown(f"{where}.models", model, runs, "a model that can run")
        try:
            Regimen.parse(list(record.doses))
        except InputError as error:
            yield from (Fault(f"{where}.doses", f.given, f.expected, f.try_) for f in error.faults)
