"""What a course takes for granted: endpoints, time under observation, the pk model of each route."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from kinetamine.errors import Fault
from kinetamine.models import library
from kinetamine.records import Record, Seen, read_toml, unknown
from kinetamine.substances import Drug

__all__ = ["Route", "Settings", "settings"]


class _Sourced(Record):
    source: str
    place: str
    seen: Seen


class Number(_Sourced):
    """A number with its birth."""

    value: float = Field(ge=0, allow_inf_nan=False)
    unit: Literal["1", "points", "h"]


class Rule(_Sourced):
    """A rule of visits with its birth."""

    rule: str


class Endpoints(Record):
    """What counts as a response, a remission and a relapse."""

    response: Number
    remission: Number
    relapse: Rule


class Session(Record):
    """What surrounds a session."""

    observation_h: Number


class Route(Record):
    """The pk model that carries a route, and the drug that is meant when a phrase names none.

    `reference_pk` carries the reference session where `pk` is a model of absorption alone; `like` is the entry of
    the model that stands for the route, `note` says what was assumed then.
    """

    pk: str
    drug: Drug
    reference_pk: str | None = None
    like: str | None = None
    note: str | None = None


class Settings(Record):
    """The whole file."""

    endpoints: Endpoints
    session: Session
    routes: dict[str, Route]


@functools.cache
def settings() -> Settings:
    """What a course takes for granted: routes, cut-offs, observation time, each with its source.

    Raises
    ------
    FaultyFile
        With every fault of the file.

    Examples
    --------
    >>> settings().endpoints.remission.value
    12.0
    """
    found: Settings = read_toml("course/settings.toml", Settings, sense=_nonsense)
    return found


def _nonsense(found: Settings) -> Iterable[Fault]:
    known = {e.id: e.routes for e in library.available() if e.kind == "pk" and e.status != "incomplete"}
    for name, route in found.routes.items():
        where = f"settings.toml: routes.{name}"
        for model, entry in ((route.pk, route.like or name), (route.reference_pk, "iv")):
            if model is not None and model not in known:
                yield unknown(where, model, known, "a model that can run")
            elif model is not None and entry not in known[model]:
                yield unknown(where, entry, known[model], f"a route of {model}")
