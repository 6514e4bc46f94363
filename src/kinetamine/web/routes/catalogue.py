"""What comes with the package: models, regimens, what the page starts from; and whether a model file is sound."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from kinetamine.models import library
from kinetamine.questions.shared import ModelText
from kinetamine.reproduce import published
from kinetamine.web import given
from kinetamine.web.bodies import Draw
from kinetamine.web.cited import papers
from kinetamine.web.options import options as starting_points
from kinetamine.web.routes.answers import Place, Word, catalogue, computed, drawn

__all__ = ["router"]

router = APIRouter(tags=["catalogue"])


@router.get("/models")
async def models(request: Request) -> Response:
    """All models of the library, those that cannot run with what is missing."""
    return await catalogue(request, "models", _models)


def _models() -> list[dict[str, Any]]:
    return [{k: v for k, v in vars(entry).items() if k != "path"} for entry in library.available()]


@router.get("/models/{id}")
async def model(request: Request, id: str, draw: Place) -> Response:
    """One model with all its numbers, units and places, and the papers its keys stand for."""
    return await catalogue(request, ("models", id, draw), lambda: _model(id, draw))


def _model(id: str, draw: Draw | None) -> dict[str, Any]:
    given.shipped("model", id, [entry.id for entry in library.available()], "a model of the library")
    spec = library.load(id)
    plain = spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    more = {} if draw is None else {"figure": _figure(spec, draw)}
    return {**plain, "digest": spec.digest, "sources": papers(spec), **more}


def _figure(spec: Any, draw: Draw) -> dict[str, Any]:
    from kinetamine.report import figures

    return drawn(figures.diagram(spec, width=draw.width), draw)


@router.post("/check-model")
async def check_model(request: Request, body: ModelText) -> Response:
    """Check the text of a model file: words, units of every formula, mass balance, sources. All faults at once."""
    return await computed(request, lambda watch: _checked(body))


def _checked(body: ModelText) -> dict[str, Any]:
    spec = library.load_text(body.text)
    return {
        "id": spec.id,
        "digest": spec.digest,
        "status": spec.status,
        "states": list(spec.states),
        "routes": list(spec.routes),
        "outputs": {name: output.unit for name, output in spec.outputs.items()},
        "remarks": list(spec.warnings),
    }


@router.get("/regimens")
async def regimens(request: Request, id: Word = None, use: Word = None) -> Response:
    """Published regimens by use, each with its source; or one of them."""
    return await catalogue(request, ("regimens", id, use), lambda: _regimens(id, use))


def _regimens(id: str | None, use: str | None) -> Any:
    from kinetamine.dosing.library import chosen

    rows = [
        {**r.model_dump(), "reads_as": r.regimen.describe(), "run": published(r)} for r in chosen(id, use)
    ]
    return rows if id is None else rows[0]


@router.get("/options")
async def options(request: Request) -> Response:
    """Drugs, routes, models and published doses: where the page can start."""
    return await catalogue(request, "options", starting_points)
