"""The safety desk: check, detect, screen, scale, interactions, misuse, law."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from kinetamine import questions, reproduce
from kinetamine.errors import InputError
from kinetamine.questions import people
from kinetamine.web import bodies, given
from kinetamine.web.cited import cited, line
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import Word, catalogue, computed, drawn, envelope, limits

__all__ = ["router"]

router = APIRouter(tags=["safety"])


@router.post("/check")
async def check(request: Request, body: questions.Check) -> Response:
    """A whole scenario before the safety desk: screening, interactions, concentrations; gravest first."""
    return await computed(request, lambda watch: _checked(body, limits(request)))


def _checked(body: questions.Check, limits: Limits) -> dict[str, Any]:
    from kinetamine.safety.check import check

    names, doses = given.chosen(body, limits)
    found = check(given.scenario(body, names, limits, doses)).to_dict()
    scenario = questions.Scenario.like(body, model=given.written(names)).to_file()
    again = {
        "command": reproduce.command("check", "scenario.toml"),
        "python": reproduce.python(found=reproduce.call("kt.check", scenario)),
        "scenario": reproduce.toml(scenario),
    }
    sources = {one["source"]: line(one["source"]) for one in found["findings"]}
    return envelope(found, found["notes"], again, findings=found["findings"], sources=sources)


@router.post("/detect")
async def detect(request: Request, body: bodies.Detect) -> Response:
    """Probability of a positive test over time and the detection window, next to what was observed."""
    return await computed(request, lambda watch: _detected(body, limits(request)))


def _detected(body: bodies.Detect, limits: Limits) -> dict[str, Any]:
    from kinetamine import detect
    from kinetamine.report import figures

    given.refuse_people(body.patients, limits, "detect")
    asked = body.arguments()
    model = {"model": given.loaded(body.model)} if body.model else {}
    found = detect(given.regimen(body.doses, limits), population=people.of(body), **{**asked, **model})
    told = asked | ({"model": given.written(given.models(body.model))} if body.model else {})
    code = reproduce.call("kt.detect", given.texts(body.doses), population=reproduce.people(body), **told)
    again = {"command": reproduce.line("detect", body), "python": reproduce.python(found=code)}
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figure"] = drawn(
            figures.detection(found, width=body.draw.width, labels=body.draw.labels), body.draw
        )
    data = found.to_dict()
    data["observed"] = [{**row, **cited(row["source"])} for row in data["observed"]]
    return envelope(data, [found.answer], again, **more)


@router.post("/screen")
async def screen(request: Request, body: questions.Screen) -> Response:
    """Who should not be treated, who needs care, and what a session asks for, by published rules."""
    return await computed(request, lambda watch: _screened(body))


def _screened(body: questions.Screen) -> dict[str, Any]:
    from kinetamine.safety import screening

    told = body.arguments()
    if not told:
        raise InputError("screen", "nothing", "a patient", '{"condition": ["aneurysm"]}')
    found = screening.screen(told)
    course = screening.guidance(found.person.product) if body.guidance else ()
    more = {"guidance": [{**s.model_dump(), "words": s.words} for s in course]} if body.guidance else {}
    return found.to_dict() | more


@router.post("/scale")
async def scale(request: Request, body: questions.Scale) -> Response:
    """Score a rating scale by its published rule, items by number only."""
    return await computed(request, lambda watch: _scored(body))


def _scored(body: questions.Scale) -> dict[str, Any]:
    from kinetamine import score

    return score(body.name, **body.arguments()).to_dict()


@router.get("/scale")
async def scales(request: Request) -> Response:
    """All rating scales, with bands, cut-offs and licences."""
    return await catalogue(request, "scale", _scales)


def _scales() -> dict[str, Any]:
    from kinetamine.safety import instruments

    return instruments.listed()


@router.get("/interactions")
async def interactions(request: Request, name: Word = None) -> Response:
    """What changes the curve or the effects of ketamine, or what is known about one of them."""
    return await catalogue(request, ("interactions", name), lambda: _interactions(name))


def _interactions(name: str | None) -> Any:
    from kinetamine.safety import interactions, pd_interactions

    if name is None:
        return interactions.listed()
    return [asdict(found) for found in pd_interactions.interactions(name)]


@router.get("/misuse")
async def misuse(
    request: Request,
    topic: Word = None,
    concentration: Annotated[float | None, Query(description="ng/mL, in blood", allow_inf_nan=False)] = None,
    days: Annotated[
        float | None, Query(description="of use in 180, or since the last", allow_inf_nan=False)
    ] = None,
    months: Annotated[float | None, Query(description="since first use", allow_inf_nan=False)] = None,
    sex: Word = None,
    depressed: bool = False,
    prevalence: Annotated[float | None, Query(description="per cent", allow_inf_nan=False)] = None,
    criteria: int | None = None,
    country: Word = None,
    year: int | None = None,
) -> Response:
    """What repeated use and overdose do, as published and computed; no advice how to use."""
    asked = {
        "concentration": concentration, "days": days, "months": months, "sex": sex, "depressed": depressed,
        "prevalence": prevalence, "criteria": criteria, "country": country, "year": year,
    }  # fmt: skip
    return await computed(request, lambda watch: _misuse(topic, asked))


def _misuse(topic: str | None, asked: dict[str, Any]) -> dict[str, Any]:
    from kinetamine.safety.misuse import ask

    return ask(topic, **asked).to_dict()


@router.get("/combine")
async def combine(
    request: Request,
    what: Word = None,
    ratio: Annotated[float | None, Query(description="propofol over ketamine", allow_inf_nan=False)] = None,
    duration: Annotated[float | None, Query(alias="for", description="hours", allow_inf_nan=False)] = None,
    weight: Annotated[float | None, Query(description="kg", allow_inf_nan=False)] = None,
    age: Annotated[float | None, Query(description="years", allow_inf_nan=False)] = None,
    propofol: Annotated[float | None, Query(description="mg/kg or ug/mL", allow_inf_nan=False)] = None,
    ketamine: Annotated[float | None, Query(description="mg/kg", allow_inf_nan=False)] = None,
    remifentanil: Annotated[float | None, Query(description="ng/mL", allow_inf_nan=False)] = None,
    endpoint: Word = None,
) -> Response:
    """Ketamine together with other anaesthetics, as published."""
    asked = {
        "ratio": ratio, "duration": duration, "weight": weight, "age": age, "propofol": propofol,
        "ketamine": ketamine, "remifentanil": remifentanil, "endpoint": endpoint,
    }  # fmt: skip
    return await computed(request, lambda watch: _combine(what, asked))


def _combine(what: str | None, asked: dict[str, Any]) -> dict[str, Any]:
    from kinetamine.combination import ask

    return ask(what, **asked)


@router.get("/law")
async def law(request: Request, jurisdiction: Word = None) -> Response:
    """The legal class of ketamine: class, date, rule, source. As read, not legal advice."""
    return await catalogue(request, ("law", jurisdiction), lambda: _law(jurisdiction))


def _law(jurisdiction: str | None) -> list[dict[str, Any]]:
    from kinetamine import law

    return [{**rule.model_dump(), "where": rule.where} for rule in law(jurisdiction)]
