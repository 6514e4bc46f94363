"""A person's own values: posterior, unknown dose, non-compartmental analysis."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine import questions, reproduce
from kinetamine.errors import InputError
from kinetamine.questions import people
from kinetamine.web import bodies, given
from kinetamine.web.limits import Limits
from kinetamine.web.routes.answers import computed, drawn, envelope, limits

__all__ = ["router"]

router = APIRouter(tags=["learning"])

#: what a table that came as text is called in "how to reproduce"
_TABLE = "data.csv"


@router.post("/posterior")
async def posterior(request: Request, body: bodies.Posterior) -> Response:
    """What a person's own levels say: of his parameters, of a next dose, of an unknown one."""
    return await computed(request, lambda watch: _learned(body, limits(request)))


def _learned(body: bodies.Posterior, limits: Limits) -> dict[str, Any]:
    from kinetamine.inference.answer import answer
    from kinetamine.inference.entry import posterior
    from kinetamine.population import Patient
    from kinetamine.questions.tables import options_of

    limits.check("draws", body.draws or 1, limits.draws, f"kinetamine posterior --draws {body.draws}")
    limits.check("people", body.people, limits.draws)
    if body.table is not None and (body.doses or body.level):
        raise InputError("table", "a table and doses or values", "one of the two", "table alone")
    names, models = _models(body)
    how: dict[str, Any] = options_of(body)
    doses: Any = body.doses
    if body.table is not None:
        doses = body.table.encode()
        _refuse_many(body, limits)
    _refuse_doses(body, limits)
    patient = Patient(**people.fixed(body))
    asked = body.arguments()
    found = posterior(doses=doses, patient=patient, **asked | {"model": models}, **how)
    told = answer(
        found, forecast=body.forecast, until=body.until, search=body.search, target=body.target, least=body.least,
        booster=body.booster, most=body.most,
    )  # fmt: skip
    more: dict[str, Any] = {}
    if body.draw is not None:
        more["figures"] = _figures(told, body.draw)
    return envelope(told.to_dict(body.people), _notes(found), _again(body, names, how), **more)


def _models(body: bodies.Posterior) -> tuple[list[Any], Any]:
    """Models of concentrations, or course models of the library: as they are written, and as they are asked."""
    from kinetamine.course import model as course_models

    known = course_models.available()
    asked = body.model if isinstance(body.model, list) else [body.model]
    if all(one in known for one in asked):
        return asked, asked
    names = given.models(body.model)
    return names, given.loaded(names)


def _refuse_doses(body: bodies.Posterior, limits: Limits) -> None:
    """Every phrase is one: no name of a file, not too many doses. A range is looked at with its upper end."""
    from kinetamine.course.run import USUAL_CARE
    from kinetamine.inference import ranges

    given_ = [text for text in given.texts(body.doses or []) if text != USUAL_CARE]
    more = [body.forecast] if body.forecast not in (None, "same") else []
    for text in [*given_, *more, *([body.search] if body.search is not None else [])]:
        whole = ranges.read(text).phrase() if text == body.search or ranges.has_range(text) else text
        given.regimen(whole, limits)


def _refuse_many(body: bodies.Posterior, limits: Limits) -> None:
    """Each person of a table is a computation of its own."""
    rows = len((body.table or "").splitlines())
    limits.check("rows of the table", rows, 50 * limits.learned, "kinetamine posterior --events data.csv")


def _notes(found: Any) -> list[str]:
    if isinstance(found, dict):
        return [f"{name}: {text}" for name, one in found.items() for text in one.remarks]
    return list(found.remarks)


def _figures(told: Any, draw: bodies.Draw) -> dict[str, Any]:
    from kinetamine.inference import CoursePosterior, Posterior, TracedBack
    from kinetamine.report import figures

    found = told.found
    size: Any = {"width": draw.width, "labels": draw.labels}
    if isinstance(found, TracedBack):
        return {"dose_and_time": drawn(figures.dose_and_time(found, **size), draw)}
    if isinstance(found, CoursePosterior):
        return {"scores": drawn(figures.scores(found, until_d=told.until_d, **size), draw)}
    if isinstance(found, Posterior):
        return {
            "values": drawn(figures.values(found, log=draw.log, **size), draw),
            "parameters": drawn(figures.parameters(found, **size), draw),
        }
    many = f"a table of {len(found)} people"
    raise InputError("draw", many, "one person's values", "doses and values of one of them")


def _again(body: bodies.Posterior, names: list[Any], how: dict[str, Any]) -> dict[str, str]:
    model = given.written(names)
    line = questions.PosteriorLine.like(
        body, model=model, events=_TABLE if body.table is not None else None, people=body.people or None
    )
    asked = {k: v for k, v in body.arguments().items() if k != "model"}
    doses = _TABLE if body.table is not None else body.doses
    patient = reproduce.call("kt.Patient", **people.fixed(body)) if body.set else None
    code = {"found": reproduce.call("kt.posterior", model, doses, patient=patient, **asked, **how)}
    if body.forecast is not None:
        future = None if body.forecast == "same" else body.forecast
        code["forecast"] = reproduce.call("found.forecast", future, until=body.until)
    if body.booster is not None:
        code["boosters"] = reproduce.call("found.boosters", body.booster, body.most)
    if body.search is not None:
        code["search"] = reproduce.call("found.search", body.search, body.target, body.least)
    return {"command": reproduce.line("posterior", line), "python": reproduce.python(**code)}


@router.post("/nca")
async def nca(request: Request, body: bodies.Nca) -> Response:
    """Non-compartmental analysis of measured concentrations, given as the text of a table."""
    return await computed(request, lambda watch: _analysed(body))


def _analysed(body: bodies.Nca) -> dict[str, Any]:
    import kinetamine
    from kinetamine.questions.nca import rules_of, rules_said
    from kinetamine.questions.tables import options_of
    from kinetamine.report import figures

    asked, how, said = body.arguments(), options_of(body), rules_said(body)
    asked |= how
    found = kinetamine.nca(body.table.encode(), rules=rules_of(body), **asked)
    code = reproduce.call("kt.nca", _TABLE, rules=reproduce.call("Rules", **said) if said else None, **asked)
    imports = ["from kinetamine.nca.profile import Rules"] if said else []
    again = {
        "command": reproduce.line("nca", questions.Nca.like(body, table=_TABLE)),
        "python": reproduce.python(*imports, found=code),
    }
    more: dict[str, Any] = {}
    if body.draw is not None:
        size: Any = {"width": body.draw.width, "labels": body.draw.labels}
        more["figure"] = drawn(figures.curves(found.as_result(), log=True, **size), body.draw)
    return envelope(found.to_dict(), [*found.told(), *found.said()], again, **more)
