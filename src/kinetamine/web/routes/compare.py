"""The same dose through every published model that applies."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import reproduce
from kinetamine.models import library
from kinetamine.questions import people
from kinetamine.web import bodies, given
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import computed, drawn, envelope, limits

__all__ = ["router"]

router = APIRouter(tags=["simulation"])


@router.post("/compare")
async def compare(request: Request, body: bodies.Compare) -> Response:
    """The same dose through every published model that applies, and how far they are apart."""
    return await computed(request, lambda watch: _compared(body, limits(request)))


def _compared(body: bodies.Compare, limits: Limits) -> dict[str, Any]:
    from kinetamine import compare

    given.refuse_people(body.patients, limits, "compare")
    if body.until and body.step:
        given.refuse_many(body.patients or 1, body.until, body.step, limits)
    known = [entry.id for entry in library.available() if entry.kind == "pk"]
    for name in body.model:
        for part in name.split("+"):
            given.shipped("model", part.strip(), known, "a model of the library")
    asked = body.arguments()
    found = compare(given.regimen(body.doses, limits), people.of(body, uncertainty=False), **asked)
    code = reproduce.call("kt.compare", given.texts(body.doses), reproduce.people(body), **asked)
    again = {"command": reproduce.line("compare", body), "python": reproduce.python(found=code)}
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figure"] = _figure(found, body.draw)
    refused = [f"{name}: {why}" for name, why in found.refused.items()] if body.model else []
    return envelope(found.to_dict(), refused, again, **more)


def _figure(found: Any, draw: bodies.Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    size: Any = {"width": draw.width, "labels": draw.labels, "log": draw.log}
    return drawn(figures.comparison(found, doses=found.doses, **size), draw)
