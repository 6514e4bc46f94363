"""Curves and effects of the same doses in the same people, for the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine.effects.sessions import POINTS
from kinetamine.errors import NoData
from kinetamine.reproduce import Code, call, command, listed, python, toml
from kinetamine.web import given, requests
from kinetamine.web.cited import line
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Watch
from kinetamine.web.routes.answers import computed, drawn, envelope, limits

__all__ = ["explored", "router"]

router = APIRouter(tags=["simulation"])

#: so few people are simulated sooner by one thread than by two
_FEW = 2000


@router.post("/explore")
async def explore(request: Request, body: requests.Explore) -> Response:
    """Curves and effects of the same doses in the same people."""
    return await computed(request, lambda watch: explored(body, limits(request), watch))


def explored(body: requests.Explore, limits: Limits, watch: Watch) -> dict[str, Any]:
    """The answer of ``/api/explore``."""
    from kinetamine import simulate
    from kinetamine.effects import effects_of_first_session
    from kinetamine.population import Patient
    from kinetamine.safety.interactions import applied

    with given.models(body.model) as named:
        names = named or given.usual_models(body, limits)
        scenario = given.scenario(body, names, limits)
        assert scenario.until_h is not None  # the request has a default
        given.refuse_many(body.patients or 1, body.until, f"{scenario.until_h / POINTS:g} h", limits)
        moved = applied(scenario)
        result = simulate(
            list(moved.models), moved.doses, moved.people, until=moved.until_h, outputs=moved.outputs,
            quantiles=moved.quantiles, threads=1 if (body.patients or 1) <= _FEW else None, progress=watch.progress,
        )  # fmt: skip
        try:
            found, second = effects_of_first_session(
                given.regimen(body.doses, limits),
                scenario.until_h,
                model=given.one_or_several(named if moved is scenario else moved.models),
                population=scenario.people or Patient(),
                effects=given.effects(body.effect),
                threshold=body.threshold,
                allow_site_mismatch=body.allow_site_mismatch,
            )
            rows, why = found.to_dicts(), [f"{model}: {reason}" for model, reason in found.models.items()]
            silent = found.left_out.values() if body.effect else [", ".join(found.left_out)]
            why += [f"no answer here: {line}" for line in silent if line]
            if second:
                why.append(f"effects are those of the first session; the next begins after {second:g} h")
        except NoData as error:  # the curves are an answer all the same
            found, second, rows, why = None, None, [], [f"no effects: {error}"]
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


def _figure(result: Any, found: Any, second: float | None, draw: requests.Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    place = {"width": draw.width, "labels": draw.labels, "log": draw.log}
    return drawn(figures.explore(result, found, session_h=second, **place), draw)  # type: ignore[arg-type]


def _again(
    body: requests.Explore, names: Sequence[str], named: Sequence[str], end: float | None
) -> dict[str, str]:
    """The same without the page; effects (their end is given, h) under another drug are for Python alone."""
    models, doses, changed = given.written(names), given.texts(body.doses), bool(body.with_ or body.condition)
    own = given.one_or_several(given.written(named))
    scenario = given.mapping(body, models)
    who = {
        "patients": body.patients,
        "seed": body.seed if body.patients else None,
        "age": body.age,
        "set": body.set,
    }
    lines = [
        command(
            "simulate", model=models, dose=doses, with_=body.with_, condition=body.condition, **who,
            uncertainty=body.patients is not None, outputs=listed(body.outputs), until=body.until,
        )
    ]  # fmt: skip
    imports: list[str] = []
    code = {"people": given.people_code(body)}
    if changed:
        imports = ["from kinetamine import scenario", "from kinetamine.safety.interactions import applied"]
        code["request"] = call("applied", call("scenario.read", scenario))
        code["result"] = Code("request.run()")
    else:
        shown = {"until": body.until, "outputs": body.outputs}
        code["result"] = call("kt.simulate", given.one_or_several(models), doses, Code("people"), **shown)
    if end is not None:
        code["effects"] = call(
            "kt.effects", doses, model=Code("list(request.models)") if changed else own, population=Code("people"),
            effects=body.effect, threshold=body.threshold, until=f"{end:g} h", points=POINTS,
            allow_site_mismatch=body.allow_site_mismatch or None,
        )  # fmt: skip
        if not changed:
            lines.append(
                command(
                    "effects", dose=doses, model=own, effect=body.effect, threshold=body.threshold, **who,
                    allow_site_mismatch=body.allow_site_mismatch, typical=body.patients is None, until=f"{end:g} h",
                    points=POINTS,
                )
            )  # fmt: skip
    return {"command": "\n".join(lines), "python": python(*imports, **code), "scenario": toml(scenario)}
