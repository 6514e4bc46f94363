"""The bibliography: every work that a number comes from, by its key."""

from __future__ import annotations

import functools
import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, Strict

from kinetamine.errors import FaultyFile
from kinetamine.records.form import Seen, parse_toml, record_of

__all__ = ["Source", "keys", "reference", "sources"]

_FILE = "sources.toml"
Text = Annotated[str, Field(max_length=2000)]


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


@functools.cache
def _text() -> str:
    from importlib import resources

    path = resources.files("kinetamine") / "data" / _FILE
    return path.read_text("utf-8")


@functools.cache
def keys() -> frozenset[str]:
    """All keys, without reading what stands under them: that takes a tenth of a second.

    Examples
    --------
    >>> "otto_2021" in keys()
    True
    """
    return frozenset(re.findall(r"^\[([^\]]+)\]\s*$", _text(), re.MULTILINE))


@functools.cache
def sources() -> dict[str, Source]:
    """Where the library's numbers come from, by key.

    Raises
    ------
    FaultyFile
        With every fault of the file.

    Examples
    --------
    >>> sources()["otto_2021"].year
    2021
    """
    faults: list[Any] = []
    found = record_of(parse_toml(_text(), _FILE), dict[str, Source], _FILE, faults)
    if faults:
        raise FaultyFile(_FILE, faults)
    known: dict[str, Source] = found
    return known


def reference(key: str, own: dict[str, Source] | None = None) -> dict[str, Any]:
    """The work behind a key, of a file of one's own or the library, as plain values with the key.

    A key nobody knows is its own citation.

    Examples
    --------
    >>> reference("otto_2021")["doi"]
    '10.1007/s00228-021-03104-1'
    """
    found = (own or {}).get(key) or sources().get(key)
    return {"key": key, **(found.model_dump(exclude_none=True) if found else {"citation": key})}
