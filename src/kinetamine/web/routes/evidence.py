"""Published evidence: claims, agreement with observations."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from kinetamine.models import library
from kinetamine.web import given
from kinetamine.web.bodies import Draw
from kinetamine.web.cited import cited
from kinetamine.web.routes.answers import Place, Word, catalogue, drawn

__all__ = ["router"]

router = APIRouter(tags=["evidence"])

Part = Literal["pk", "effects", "interactions", "course"]

#: numbers that a paper prints about its own model are no predictions
_OF_THE_FILE = "check of the file"
#: a square panel is not wider than this
_WIDEST = 360


@router.get("/claims")
async def claims(
    request: Request, id: Annotated[list[str] | None, Query(max_length=50)] = None, compute: bool = True
) -> Response:
    """Common statements about ketamine: verdict, evidence for and against, the simulator's own number."""
    ids = id or []
    return await catalogue(request, ("claims", *ids, compute), lambda: _claims(ids, compute))


def _claims(ids: list[str], compute: bool) -> list[dict[str, Any]]:
    from kinetamine.evidence import claims

    return [{**one.to_dict(compute), "computable": one.compute is not None} for one in claims.claims(*ids)]


@router.get("/validate/{part}")
async def validate(request: Request, part: Part, draw: Place, model: Word = None) -> Response:
    """Each published observation beside what the models say, as stored with the package; of one model or all."""
    return await catalogue(request, ("validate", part, model, draw), lambda: _validated(part, model, draw))


def _validated(part: str, model: str | None, draw: Draw | None) -> dict[str, Any]:
    from kinetamine.evidence import stored

    rows = [{**row, **cited(row["source"])} for row in stored.load(part).to_dicts()]
    if model is not None:
        known = [entry.id for entry in library.available()] + [row["model"] for row in rows]
        given.shipped("model", model, known, "a model of the library")
        rows = [row for row in rows if model in (row["model"], *row["model"].split(" + "))]
    figure = None if draw is None else _figure(part, rows, draw)
    return {"rows": rows, **({"figure": figure} if figure else {})}


def _figure(part: str, rows: list[dict[str, Any]], draw: Draw) -> dict[str, Any] | None:
    """Ratios as a forest, other numbers against each other; what was not predicted is left out."""
    from kinetamine.report import figures

    pairs = [
        r for r in rows if (r["observed"] or 0) > 0 and (r["predicted"] or 0) > 0 and r["use"] != _OF_THE_FILE
    ]
    if not pairs:
        return None
    if part == "interactions":
        ratios = [
            figures.Ratio(
                r["study"], f"{r['metric']}, {r['arm']}", (r["observed"], r["low"], r["high"]),
                (r["predicted"], r["predicted_low"], r["predicted_high"]),
                "fitted" if r["use"] == "fitted to" else "predicted",
            )
            for r in pairs
        ]  # fmt: skip
        return drawn(figures.forest(ratios, width=draw.width, labels=draw.labels), draw)
    told = [
        {
            **r,
            "site": r["site"] or "not stated",
            "label": f"{r['study']} {r['arm']}: {r['metric']} {r['analyte']}",
        }
        for r in pairs
    ]
    width = min(draw.width, _WIDEST)
    return drawn(figures.predicted_observed(told, width=width, labels=draw.labels), draw)
