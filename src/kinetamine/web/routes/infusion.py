"""Target-controlled infusion."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import questions, units
from kinetamine.questions import people
from kinetamine.web import given
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import computed, limits

__all__ = ["router"]

router = APIRouter(tags=["simulation"])


@router.post("/infusion")
async def infusion(request: Request, body: questions.Infusion) -> Response:
    """A target-controlled infusion: bolus, rates in time, what is held, and the fall after the stop."""
    return await computed(request, lambda watch: _infused(body, limits(request)))


def _infused(body: questions.Infusion, limits: Limits) -> dict[str, Any]:
    from kinetamine.infusion import infusion_for
    from kinetamine.population import Patient

    given.refuse_people(body.patients, limits, "infusion")
    length = units.read(body.for_, "h", "for")
    for name in ("step", "every"):
        text = getattr(body, name)
        width = units.read(text, "h", name) if text is not None else math.inf
        if length > 0 and width > 0:  # else it is refused where it is read
            limits.check(f"for / {name}", length / width, limits.times)
            limits.check(
                f"patients × for / {name}", (body.patients or 1) * length / width, limits.patient_rates
            )
    asked = body.arguments() | {"model": given.loaded(body.model)}
    plan = infusion_for(body.target, patient=Patient(**people.fixed(body)), **asked)
    others = None if body.patients is None else people.of(body)
    return {**plan.to_dict(others, body.half_times), "rates": plan.table(body.every).to_dicts()}
