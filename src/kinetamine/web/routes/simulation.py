"""Concentrations, the report on them, and acute effects."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import questions, reproduce, units
from kinetamine.questions import people
from kinetamine.web import given
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Watch
from kinetamine.web.routes.answers import computed, limits

__all__ = ["router"]

router = APIRouter(tags=["simulation"])


@router.post("/simulate")
async def simulate(request: Request, body: questions.Simulate) -> Response:
    """Concentrations of a typical patient, or their quantiles over people."""
    return await computed(request, lambda watch: _simulated(body, limits(request), watch))


def _simulated(body: questions.Simulate, limits: Limits, watch: Watch) -> Any:
    from kinetamine.safety.interactions import applied

    scenario = given.scenario(body, given.models(body.model), limits)
    result: Any = applied(scenario).run(watch.progress)
    return result.to_dict(scenario.quantiles)


_HTML: Any = {200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The page"}}


@router.post("/report", response_class=Response, responses=_HTML)
async def report(request: Request, body: questions.Simulate) -> Response:
    """The self-contained report of ``kinetamine simulate --report``, as HTML."""
    return await computed(request, lambda watch: _reported(body, limits(request), watch), "text/html")


def _reported(body: questions.Simulate, limits: Limits, watch: Watch) -> str:
    from kinetamine.report import html
    from kinetamine.safety.interactions import applied

    names = given.models(body.model)
    scenario = given.scenario(body, names, limits)
    result: Any = applied(scenario).run(watch.progress)
    line = reproduce.line("simulate", body, model=given.written(names))
    return html.of_scenario(result, scenario, command=line)


@router.post("/effects")
async def effects(request: Request, body: questions.Effects) -> Response:
    """When the effects of a dose begin, peak and end, and in how many people."""
    return await computed(request, lambda watch: _effects(body, limits(request)))


def _effects(body: questions.Effects, limits: Limits) -> list[dict[str, Any]]:
    from kinetamine import effects

    many = 1 if body.typical else body.patients
    step = body.step if body.points is None else units.read(body.until, "h", "until") / body.points
    given.refuse_many(many, body.until, step, limits)
    asked = body.arguments() | {"model": given.loaded(body.model), "effects": given.effects(body.effect)}
    found = effects(
        given.regimen(body.doses, limits),
        population=people.of(body, many=not body.typical, uncertainty=True),
        **asked,
    )
    return found.to_dicts(models=body.all_models)
