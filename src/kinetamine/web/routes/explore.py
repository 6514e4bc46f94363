"""Curves and effects of the same doses in the same people, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import questions, reproduce
from kinetamine.dosing import Regimen
from kinetamine.effects.sessions import POINTS
from kinetamine.errors import NoData
from kinetamine.reproduce import Code, call
from kinetamine.scenario import Scenario
from kinetamine.web import bodies, given
from kinetamine.web.cited import line
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Watch
from kinetamine.web.routes.answers import computed, drawn, envelope, limits

__all__ = ["explored", "router"]

router = APIRouter(tags=["simulation"])

#: so few people are simulated sooner by one thread than by two
_FEW = 2000


@router.post("/explore")
async def explore(request: Request, body: bodies.Explore) -> Response:
    """Curves and effects of the same doses in the same people."""
    return await computed(request, lambda watch: explored(body, limits(request), watch))


def explored(body: bodies.Explore, limits: Limits, watch: Watch) -> dict[str, Any]:
    """The answer of ``/api/explore``."""
    from kinetamine import simulate
    from kinetamine.safety.interactions import applied

    names, doses = given.chosen(body, limits)
    named = bool(body.model)
    drawn_ = {"uncertainty": True} if body.patients is not None else {}
    scenario = given.scenario(body, names, limits, doses, until=body.until, **drawn_)
    assert scenario.until_h is not None and isinstance(scenario.doses, Regimen)  # the request has a default
    given.refuse_many(body.patients or 1, body.until, scenario.until_h / POINTS, limits)
    moved = applied(scenario)
    result = simulate(
        list(moved.models), moved.doses, moved.people, until=moved.until_h, outputs=moved.outputs,
        quantiles=moved.quantiles, threads=1 if (body.patients or 1) <= _FEW else None, progress=watch.progress,
    )  # fmt: skip
    asked = None if moved is scenario and not named else list(moved.models)
    found, second, rows, why = _effects(body, scenario, asked)
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figure"] = _figure(result, found, second, body.draw)
    if body.exposure:
        more["exposure"] = [] if result.streamed else result.summary()
    return envelope(
        {"simulate": result.to_dict(scenario.quantiles), "effects": rows} if body.numbers else None,
        [*result.notes, *why],
        _again(body, names, named, None if found is None else second or scenario.until_h),
        models=[
            {"id": spec.id, "title": spec.title, "source": line(spec.source, spec)}
            for spec in scenario.models
        ],
        **more,
    )


def _effects(
    body: bodies.Explore, scenario: Scenario, models: list[Any] | None
) -> tuple[Any, float | None, list[dict[str, Any]], list[str]]:
    """Effects of the first session, when the second begins, their rows and why they are so."""
    from kinetamine.effects import effects_of_first_session
    from kinetamine.population import Patient

    assert scenario.until_h is not None and isinstance(scenario.doses, Regimen)
    try:
        found, second = effects_of_first_session(
            scenario.doses,
            scenario.until_h,
            model=models[0] if models and len(models) == 1 else models,
            population=scenario.people or Patient(),
            effects=given.effects(body.effect),
            threshold=body.threshold,
            allow_site_mismatch=body.allow_site_mismatch,
        )
    except NoData as error:  # the curves are an answer all the same
        return None, None, [], [f"no effects: {error}"]
    why = [f"{model}: {reason}" for model, reason in found.models.items()]
    silent = found.left_out.values() if body.effect else [", ".join(found.left_out)]
    why += [f"no answer here: {line}" for line in silent if line]
    if second:
        why.append(f"effects are those of the first session; the next begins after {second:g} h")
    return found, second, found.to_dicts(), why


def _figure(result: Any, found: Any, second: float | None, draw: bodies.Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    place = {"width": draw.width, "labels": draw.labels, "log": draw.log}
    return drawn(figures.explore(result, found, session_h=second, **place), draw)  # type: ignore[arg-type]


def _again(body: bodies.Explore, models: Sequence[Any], named: bool, end: float | None) -> dict[str, str]:
    """The same without the page; effects (their end is given, h) under another drug are for Python alone."""
    names, changed = given.written(models), bool(body.with_ or body.condition)
    own, doses = names if named else None, given.texts(body.doses)
    many = {"uncertainty": True} if body.patients is not None else {}
    simulated = questions.Scenario.like(body, model=names, until=body.until, **many)
    scenario = simulated.to_file()
    lines = [reproduce.line("simulate", simulated)]
    imports: list[str] = []
    code = {"people": reproduce.people(simulated)}
    if changed:
        imports = ["from kinetamine import scenario", "from kinetamine.safety.interactions import applied"]
        code["request"] = call("applied", call("scenario.read", scenario))
        code["result"] = Code("request.run()")
    else:
        shown = {"until": body.until, "outputs": body.outputs}
        code["result"] = call("kt.simulate", names, doses, Code("people"), **shown)
    if end is not None:
        last = f"{end:g} h"
        acute = questions.Effects.like(
            body, model=own, typical=body.patients is None, until=last, points=POINTS
        )
        asked = acute.arguments() | {"until": last, "model": Code("list(request.models)") if changed else own}
        code["effects"] = call("kt.effects", doses, population=Code("people"), **asked)
        if not changed:
            lines.append(reproduce.line("effects", acute))
    return {
        "command": "\n".join(lines),
        "python": reproduce.python(*imports, **code),
        "scenario": reproduce.toml(scenario),
    }
