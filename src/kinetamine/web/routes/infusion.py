"""Target-controlled infusion."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import units
from kinetamine.web import given, requests
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import computed, limits

__all__ = ["router"]

router = APIRouter(tags=["simulation"])


@router.post("/infusion")
async def infusion(request: Request, body: requests.Infusion) -> Response:
    """A target-controlled infusion: bolus, rates in time, what is held, and the fall after the stop."""
    return await computed(request, lambda watch: _infused(body, limits(request)))


def _infused(body: requests.Infusion, limits: Limits) -> dict[str, Any]:
    from kinetamine.infusion import infusion_for
    from kinetamine.population import Patient, Population

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
    fixed = given.fixed(body.set)
    with given.models(body.model) as (model,):
        plan = infusion_for(
            body.target, model=model, duration=body.for_, patient=Patient(**fixed), site=body.site, ke0=body.ke0,
            output=body.output, wake_at=body.wake_at, max_rate=body.max_rate, bolus=body.bolus,
            max_bolus=body.max_bolus, step=body.step,
        )  # fmt: skip
        people = None if body.patients is None else Population(body.patients, seed=body.seed, **fixed)
        facts = plan.to_dict(people, body.half_times)
        return {**facts, "rates": plan.table(body.every).to_dicts()}
