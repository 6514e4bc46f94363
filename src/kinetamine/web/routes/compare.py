"""The same dose through every published model that applies."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine.models import library
from kinetamine.reproduce import call, command, python
from kinetamine.web import given, requests
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import computed, drawn, envelope, limits

__all__ = ["router"]

router = APIRouter(tags=["simulation"])


@router.post("/compare")
async def compare(request: Request, body: requests.Compare) -> Response:
    """The same dose through every published model that applies, and how far they are apart."""
    return await computed(request, lambda watch: _compared(body, limits(request)))


def _compared(body: requests.Compare, limits: Limits) -> dict[str, Any]:
    from kinetamine import compare

    given.refuse_people(body.patients, limits, "compare")
    if body.until and body.step:
        given.refuse_many(body.patients or 1, body.until, body.step, limits)
    known = [entry.id for entry in library.available() if entry.kind == "pk"]
    for name in body.model:
        for part in name.split("+"):
            given.shipped("model", part.strip(), known, "a model of the library")
    asked: dict[str, Any] = {"analyte": body.analyte or None, "until": body.until, "step": body.step}
    people = given.people(body.patients, body.seed, body.age, body.set, uncertainty=False)
    found = compare(given.regimen(body.doses, limits), people, models=body.model or None, **asked)
    doses = given.texts(body.doses)
    reproduce = {
        "command": command(
            "compare", dose=doses, model=body.model, patients=body.patients, seed=body.seed, age=body.age,
            set=body.set, **asked,
        ),
        "python": python(
            found=call("kt.compare", doses, given.people_code(body, None), models=body.model, **asked)
        ),
    }  # fmt: skip
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figure"] = _figure(found, body.draw)
    refused = [f"{name}: {why}" for name, why in found.refused.items()] if body.model else []
    return envelope(found.to_dict(), refused, reproduce, **more)


def _figure(found: Any, draw: requests.Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    size: Any = {"width": draw.width, "labels": draw.labels, "log": draw.log}
    return drawn(figures.comparison(found, doses=found.doses, **size), draw)
