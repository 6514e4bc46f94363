"""The bibliography: every work that a number comes from, once, with its other keys as aliases.

``data/sources.toml`` has the fields of CSL (citeproc) under TOML names. The identity of a work is its DOI, its PMID or
the issuer's address; where its numbers were read is a field beside it. `kinetamine.results.references` writes a work
as text, BibTeX, RIS or CSL-JSON.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

from kinetamine.errors import Fault, FaultyFile
from kinetamine.records.form import ById, Record, Seen, parse_toml, record_of

__all__ = ["Source", "Work", "canonical", "keys", "reference", "sources", "works"]

_FILE = "sources.toml"
Text = Annotated[str, Field(max_length=2000)]

#: types of works, as CSL calls them
Type = Literal[
    "article-journal", "book", "chapter", "dataset", "document", "legislation", "pamphlet", "report", "software",
    "thesis", "webpage",
]  # fmt: skip
#: how near a work is to what was measured or ruled; `own` is no work: a definition, a convention, our arithmetic
Tier = Literal["primary", "label", "guideline", "review", "secondary", "own"]


class Source(BaseModel):
    """Where numbers come from; see `kinetamine.models.library.sources`."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)

    citation: Text = Field(description="the reference in full", examples=["Otto ME et al. J ... 2021;1:2-3"])
    doi: Text | None = Field(
        default=None, description="DOI without https://doi.org/", examples=["10.1000/182"]
    )
    url: Text | None = Field(default=None, description="address", examples=["https://..."])
    year: Annotated[int, Strict()] | None = Field(
        default=None, description="year of publication", examples=[2021]
    )
    seen_in: Text | None = Field(default=None, description="public place where the numbers were read")
    seen: Seen = Field(default="recalled", description="how it was read", examples=["text"])
    note: Text | None = Field(default=None, description="a remark")


class Work(Record):
    """One work of the bibliography.

    Parameters
    ----------
    id : str
        Its key.
    type, tier : str
        What it is, and how near to what was measured or ruled.
    authors : tuple of str
        ``"Otto ME"``, an organisation as it calls itself, ``"et al."`` last where more are not named here.
    title, container, volume, issue, pages, number, publisher, revision : str
        `container` is the journal or book; `revision` of a label.
    doi, pmid, pmcid, url : str
        `url` is the issuer's address.
    read_at : tuple of str
        Where its numbers were read, when not in the work itself.
    seen : str
        How it was read.
    recalled : tuple of str
        Fields known from memory only.
    reason : str
        Why there is no DOI, PMID or address.
    aliases : tuple of str
        Other keys.

    Examples
    --------
    >>> sources()["otto_2021"].container
    'Eur J Clin Pharmacol'
    """

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    type: Type
    tier: Tier
    authors: tuple[str, ...] = ()
    title: str | None = None
    container: str | None = None
    year: int | None = Field(default=None, ge=1800, le=2100)
    volume: str | None = None
    issue: str | None = None
    pages: str | None = None
    number: str | None = None
    publisher: str | None = None
    revision: str | None = None
    doi: str | None = Field(default=None, pattern=r"^10\.\d{4,9}/\S+$")
    pmid: str | None = Field(default=None, pattern=r"^\d+$")
    pmcid: str | None = Field(default=None, pattern=r"^PMC\d+$")
    url: str | None = Field(default=None, pattern=r"^https?://")
    read_at: tuple[str, ...] = ()
    seen: Seen
    recalled: tuple[Literal["authors", "title", "container", "year", "doi", "url", "pages"], ...] = ()
    reason: str | None = None
    note: str | None = None
    aliases: tuple[str, ...] = ()

    @property
    def citation(self) -> str:
        """The work in one line, without its address.

        Examples
        --------
        >>> sources()["iupac_2021_weights"].citation[-33:]
        'Pure Appl Chem 2022;94(5):573-600'
        """
        place = self.container or self.publisher or ""
        if self.year:
            place = f"{place} {self.year}".strip()
        if self.volume:
            place += f";{self.volume}" + (f"({self.issue})" if self.issue else "")
        if self.pages or self.number:
            place += f":{self.pages or self.number}"
        authors = ", ".join(self.authors)
        parts = (authors, self.title or "", place, f"revised {self.revision}" if self.revision else "")
        return ". ".join(part.rstrip(".") for part in parts if part) or self.id


@functools.cache
def _texts() -> dict[str, str]:
    """The text of each file of the bibliography: the main one, and what rooms have added in ``data/sources/``."""
    from importlib import resources

    data = resources.files("kinetamine") / "data"
    found = {_FILE: (data / _FILE).read_text("utf-8")}
    more = data / "sources"
    if more.is_dir():
        files = sorted(more.iterdir(), key=lambda path: path.name)
        found |= {f"sources/{p.name}": p.read_text("utf-8") for p in files if p.name.endswith(".toml")}
    return found


@functools.cache
def keys() -> frozenset[str]:
    """All keys and aliases, without reading what stands under them: that takes a tenth of a second.

    Examples
    --------
    >>> "otto_2021" in keys()
    True
    """
    text = "\n".join(_texts().values())
    found = re.findall(r"^\[([^\]]+)\]\s*$", text, re.MULTILINE)
    for line in re.findall(r"^aliases = \[(.*)\]\s*$", text, re.MULTILINE):
        found += re.findall(r'"([^"]+)"', line)
    return frozenset(found)


@functools.cache
def works() -> dict[str, Work]:
    """Every work once, by its key.

    Raises
    ------
    FaultyFile
        With every fault of the files.

    Examples
    --------
    >>> works()["otto_2021"].year
    2021
    """
    return read(_texts())


def read(texts: Mapping[str, str]) -> dict[str, Work]:
    """The works in the texts of a bibliography, by file, checked: form, then one key for one work.

    Raises
    ------
    FaultyFile
        With every fault.

    Examples
    --------
    >>> read({"mine.toml": "[a]\\ntype = 'book'\\ntier = 'review'\\nseen = 'text'\\ntitle = 'A'"})
    Traceback (most recent call last):
    kinetamine.errors.FaultyFile: sources: 1 fault: mine.toml: a: got no doi, pmid or url; expected one of them, ...
    """
    faults: list[Fault] = []
    found: dict[str, Work] = {}
    places: dict[str, str] = {}
    for name, text in texts.items():
        some = record_of(parse_toml(text, name), ById[Work], name, faults) or {}
        for key in some.keys() & found.keys():
            faults.append(
                Fault(
                    f"{name}: {key}", "a work that is in another file too", f"it once ({places[key]} has it)"
                )
            )
        found |= some
        places |= dict.fromkeys(some, name)
    if not faults:
        faults += _nonsense(found, places)
    if faults:
        raise FaultyFile("sources", faults)
    return found


def _nonsense(found: Mapping[str, Work], places: Mapping[str, str]) -> Iterable[Fault]:
    owners: dict[str, str] = dict.fromkeys(found, "")
    identities: dict[tuple[str, str], str] = {}
    for key, work in found.items():
        where = f"{places[key]}: {key}"
        if not (work.doi or work.pmid or work.url or work.reason):
            yield Fault(where, "no doi, pmid or url", "one of them, or in `reason` why there is none")
        if not (work.title or work.container):
            yield Fault(where, "no title and no container", "one of them")
        for alias in work.aliases:
            if alias in owners:
                yield Fault(f"{where}.aliases", repr(alias), "a key that is no work and no other's alias")
            owners[alias] = key
        for field in ("doi", "pmid"):
            value = getattr(work, field)
            if value:
                other = identities.setdefault((field, value.lower()), key)
                if other != key:
                    expected = f"one key for one work: {other} has it"
                    yield Fault(f"{where}.{field}", value, expected, f"an alias of {other}")


@functools.cache
def sources() -> dict[str, Work]:
    """Where the library's numbers come from: every work under its key and under each alias.

    Examples
    --------
    >>> sources()["otto_2021"].year
    2021
    """
    found = dict(works())
    for work in works().values():
        found |= dict.fromkeys(work.aliases, work)
    return found


def canonical(key: str) -> str:
    """The key of the work that a key stands for; one that nobody knows stands for itself.

    Examples
    --------
    >>> canonical("otto_2021"), canonical("mine")
    ('otto_2021', 'mine')
    """
    work = sources().get(key)
    return key if work is None else work.id


def reference(key: str, own: Mapping[str, Source] | None = None) -> dict[str, Any]:
    """The work behind a key, of a file of one's own or the library, as plain values with its key.

    A key nobody knows is its own citation.

    Examples
    --------
    >>> reference("otto_2021")["doi"]
    '10.1007/s00228-021-03104-1'
    """
    mine = (own or {}).get(key)
    if mine is not None:
        return {"key": key, **mine.model_dump(exclude_none=True)}
    work = sources().get(key)
    if work is None:
        return {"key": key, "citation": key}
    plain = work.model_dump(exclude_none=True, exclude={"id", "aliases"}, exclude_defaults=True)
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}
    return {"key": work.id, "citation": work.citation, **plain, "seen": work.seen}
