"""Concentrations, the report on them, and acute effects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine.reproduce import command, listed
from kinetamine.web import given, requests
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Watch
from kinetamine.web.routes.answers import computed, limits

__all__ = ["router"]

router = APIRouter(tags=["simulation"])


@router.post("/simulate")
async def simulate(request: Request, body: requests.Simulate) -> Response:
    """Concentrations of a typical patient, or their quantiles over people."""
    return await computed(request, lambda watch: _simulated(body, limits(request), watch))


def _simulated(body: requests.Simulate, limits: Limits, watch: Watch) -> Any:
    from kinetamine.safety.interactions import applied

    with given.models(body.model) as names:
        scenario = given.scenario(body, names, limits)
        result: Any = applied(scenario).run(watch.progress)
        return result.to_dict(scenario.quantiles)


_HTML: Any = {200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "The page"}}


@router.post("/report", response_class=Response, responses=_HTML)
async def report(request: Request, body: requests.Simulate) -> Response:
    """The self-contained report of ``kinetamine simulate --report``, as HTML."""
    return await computed(request, lambda watch: _reported(body, limits(request), watch), "text/html")


def _reported(body: requests.Simulate, limits: Limits, watch: Watch) -> str:
    from kinetamine.report import html
    from kinetamine.safety.interactions import applied

    with given.models(body.model) as names:
        scenario = given.scenario(body, names, limits)
        result: Any = applied(scenario).run(watch.progress)
        return html.of_scenario(result, scenario, command=_command(body, names))


def _command(body: Any, names: Sequence[str]) -> str:
    return command(
        "simulate", model=given.written(names), dose=given.texts(body.doses), with_=body.with_,
        condition=body.condition, patients=body.patients, seed=body.seed, age=body.age, set=body.set,
        uncertainty=body.uncertainty, residual=body.residual, until=body.until, step=body.step,
        times=listed(body.times), outputs=listed(body.outputs), quantiles=listed(body.quantiles),
        on_failure=body.on_failure if body.on_failure != "raise" else None,
    )  # fmt: skip


@router.post("/effects")
async def effects(request: Request, body: requests.Effects) -> Response:
    """When the effects of a dose begin, peak and end, and in how many people."""
    return await computed(request, lambda watch: _effects(body, limits(request)))


def _effects(body: requests.Effects, limits: Limits) -> list[dict[str, Any]]:
    from kinetamine import effects

    people = None if body.typical else body.patients
    given.refuse_many(people or 1, body.until, body.step, limits)
    with given.models(body.model) as names:
        found = effects(
            given.regimen(body.doses, limits),
            model=given.one_or_several(names),
            population=given.people(people, body.seed, body.age, body.set),
            effects=given.effects(body.effect),
            threshold=body.threshold,
            until=body.until,
            step=body.step,
            all_models=body.all_models,
            allow_site_mismatch=body.allow_site_mismatch,
        )
    rows = found.to_dicts()
    if body.all_models:
        rows = [{**plain, "model": row.model} for plain, row in zip(rows, found, strict=True)]
    return rows
