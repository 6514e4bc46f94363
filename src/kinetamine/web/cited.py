"""The papers that keys of sources stand for, beside the keys."""

from __future__ import annotations

from typing import Any

from kinetamine.models import library
from kinetamine.models.spec import ModelSpec
from kinetamine.results import references
from kinetamine.simulate.birth import source_keys

__all__ = ["cited", "line", "papers"]


def cited(key: str, spec: ModelSpec | None = None) -> dict[str, Any]:
    """Words and address of a source, by its key in the library or in a model file of the user's.

    Examples
    --------
    >>> cited("otto_2021")["url"]
    'https://doi.org/10.1007/s00228-021-03104-1'
    """
    known = library.reference(key, spec)
    return {"citation": known["citation"], "url": references.link(known) or None}


def line(key: str, spec: ModelSpec | None = None) -> str:
    """The same in one line, as a list of references has it."""
    return references.text(library.reference(key, spec))


def papers(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    """Every paper that a model file cites, by key.

    Examples
    --------
    >>> list(papers(library.load("otto_2021_s_ketamine")))
    ['otto_2021']
    """
    keys = [*source_keys(spec), *(check.source for check in spec.checks if check.source)]
    return {key: {"key": key, **cited(key, spec)} for key in dict.fromkeys(keys)}
