"""The course of depression in a group."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine.errors import InputError
from kinetamine.reproduce import Code, call, command, listed, python, toml
from kinetamine.web import given, requests
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
async def course(request: Request, body: requests.Course) -> Response:
    """A group of patients through sessions, visit rules, response and relapse. Not for a person."""
    return await computed(request, lambda watch: _course(body, limits(request)))


def _course(body: requests.Course, limits: Limits) -> dict[str, Any]:
    from kinetamine.course import course
    from kinetamine.course.run import read_course

    _refuse_unknown(body)
    file = read_course(body.course).model_dump(exclude_unset=True) if body.course else {}
    weeks, patients = body.weeks or file.get("weeks") or 26, body.patients or file.get("patients") or 1000
    given.refuse_people(patients, limits, "course")
    limits.check("patients × weeks", patients * weeks, limits.patient_weeks)
    if body.doses is not None:
        given.regimen(body.doses, limits)
    regimen: Any = body.course or given.texts(body.doses or [])
    asked: dict[str, Any] = {key: getattr(body, key) for key in _ASKED}
    asked["setting"] = asked["setting"] or None
    off = {**body.set, **_OFF}
    result = course(regimen, body.patients, rules=body.rule, switches=body.set, **asked)
    data = json.loads(result.to_json())
    arms = {"with the drug": result}
    if body.without_drug:
        arms["without the drug"] = course(regimen, body.patients, rules=body.rule, switches=off, **asked)
        data["without_drug"] = json.loads(arms["without the drug"].to_json())
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figures"] = _figures(arms, body.draw)
    return envelope(data, [result.caveat, *result.notes], _again(body, file, asked, off), **more)


#: what a request and `kt.course` call by the same name
_ASKED = ("seed", "model", "weeks", "pk", "visits", "baseline", "setting", "relapse", "response", "remission")

#: what takes the drug's effect out of a course and leaves everything else
_OFF = {"drug_effect": 0.0}


def _refuse_unknown(body: requests.Course) -> None:
    from kinetamine.course import available_courses
    from kinetamine.course import model as models
    from kinetamine.models import library

    if (body.course is None) == (body.doses is None):
        told = "neither" if body.doses is None else "both"
        raise InputError("course", told, "a course or doses", '{"course": "esketamine_label"}')
    pk = [entry.id for entry in library.available() if entry.kind == "pk"]
    given.shipped("course", body.course, available_courses(), "a shipped course")
    if (body.model or "").endswith(".toml"):  # any other unknown name is refused where it is read
        given.shipped("model", body.model, models.available(), "a course model of the library")
    given.shipped("pk", body.pk, pk, "a model of the library")


def _again(
    body: requests.Course, file: dict[str, Any], asked: dict[str, Any], off: dict[str, float]
) -> dict[str, str]:
    """The same without the page. A course file has no key for the pk model: that is an option."""
    doses = None if body.doses is None else given.texts(body.doses)

    def line(switches: dict[str, float]) -> str:
        words = [body.course] if body.course else []
        numbers = {key: listed(asked[key]) for key in ("visits", "baseline")}
        return command(
            "course",
            *words,
            dose=doses,
            rule=body.rule,
            patients=body.patients,
            set=switches,
            **asked | numbers,
        )

    def code(switches: dict[str, float]) -> Code:
        return call(
            "kt.course",
            body.course or doses,
            body.patients,
            rules=body.rule,
            switches=switches or None,
            **asked,
        )

    scenario = {key: value for key, value in file.items() if key not in ("notes", "sources")}
    scenario |= {"doses": doses} if doses else {}
    scenario |= {key: value for key, value in asked.items() if value is not None and key != "pk"}
    scenario |= {"patients": body.patients} if body.patients else {}
    scenario["rules"] = [*file.get("rules", ()), *body.rule]
    scenario["switches"] = {**file.get("switches", {}), **body.set}
    lines, arms = [line(body.set)], {"result": code(body.set)}
    if body.without_drug:
        lines.append(line(off))
        arms["without_drug"] = code(off)
    return {
        "command": "\n".join(lines),
        "python": python(**arms),
        "scenario": toml({key: value for key, value in scenario.items() if value not in ([], {}, None)}),
    }


def _figures(arms: Any, draw: requests.Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    size: Any = {"width": draw.width, "labels": draw.labels}
    return {
        "course": drawn(figures.course(arms, relapse=False, **size), draw),
        "survival": drawn(figures.survival(arms, **size), draw),
    }
