"""The course of depression in a group."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import questions, reproduce
from kinetamine.web import bodies, given
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import catalogue, computed, drawn, envelope, limits

__all__ = ["router"]

router = APIRouter(tags=["course"])


@router.get("/course")
async def courses(request: Request) -> Response:
    """The courses that come with the package, id and title."""
    return await catalogue(request, "course", _courses)


def _courses() -> dict[str, str]:
    from kinetamine import available_courses

    return available_courses()


@router.post("/course")
async def course(request: Request, body: bodies.Course) -> Response:
    """A group of patients through sessions, visit rules, response and relapse. Not for a person."""
    return await computed(request, lambda watch: _course(body, limits(request)))


def _course(body: bodies.Course, limits: Limits) -> dict[str, Any]:
    from kinetamine.course import course
    from kinetamine.course.run import USUAL_CARE, read_course

    _refuse_unknown(body)
    file: dict[str, Any] = {}
    if body.course == USUAL_CARE:
        file = {"doses": USUAL_CARE}
    elif body.course:
        file = read_course(body.course).model_dump(exclude_unset=True)
    weeks, patients = body.weeks or file.get("weeks") or 26, body.patients or file.get("patients") or 1000
    given.refuse_people(patients, limits, "course")
    limits.check("patients × weeks", patients * weeks, limits.patient_weeks)
    if body.doses is not None:
        given.regimen(body.doses, limits)
    regimen = body.regimen()
    arms = {"with the drug": course(regimen, body.patients, **body.arguments())}
    result = arms["with the drug"]
    data = json.loads(result.to_json())
    if body.without_drug:
        off = body.arguments() | {"switches": {**body.set, **_OFF}}
        arms["without the drug"] = course(regimen, body.patients, **off)
        data["without_drug"] = json.loads(arms["without the drug"].to_json())
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figures"] = _figures(arms, body.draw)
    return envelope(data, [result.caveat, *result.notes], _again(body, file), **more)


#: what takes the drug's effect out of a course and leaves everything else
_OFF = {"drug_effect": 0.0}


def _refuse_unknown(body: bodies.Course) -> None:
    from kinetamine.course import available_courses
    from kinetamine.course import model as models
    from kinetamine.course.run import USUAL_CARE
    from kinetamine.models import library

    body.regimen()
    pk = [entry.id for entry in library.available() if entry.kind == "pk"]
    courses = {**available_courses(), USUAL_CARE: ""}
    given.shipped("course", body.course, courses, "a shipped course")
    if (body.model or "").endswith(".toml"):  # any other unknown name is refused where it is read
        given.shipped("model", body.model, models.available(), "a course model of the library")
    given.shipped("pk", body.pk, pk, "a model of the library")


def _again(body: bodies.Course, file: dict[str, Any]) -> dict[str, str]:
    """The same without the page. A course file has no key for the pk model: that is an option."""
    off = {**body.set, **_OFF}
    asked, regimen = body.arguments(), body.regimen()
    lines = [reproduce.line("course", body)]
    arms = {"result": reproduce.call("kt.course", regimen, body.patients, **asked)}
    if body.without_drug:
        lines.append(reproduce.line("course", body, set=off))
        arms["without_drug"] = reproduce.call(
            "kt.course", regimen, body.patients, **asked | {"switches": off}
        )
    told = questions.Course.like(body).to_file()
    scenario = {key: value for key, value in file.items() if key not in ("notes", "sources")}
    scenario |= {key: value for key, value in told.items() if key not in ("course", "pk")}
    scenario["rules"] = [*file.get("rules", ()), *body.rule]
    scenario["switches"] = {**file.get("switches", {}), **body.set}
    kept = {key: value for key, value in scenario.items() if value not in ([], {}, None)}
    return {
        "command": "\n".join(lines),
        "python": reproduce.python(**arms),
        "scenario": reproduce.toml(kept),
    }


def _figures(arms: Any, draw: bodies.Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    size: Any = {"width": draw.width, "labels": draw.labels}
    return {
        "course": drawn(figures.course(arms, relapse=False, **size), draw),
        "survival": drawn(figures.survival(arms, **size), draw),
    }
