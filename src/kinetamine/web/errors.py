"""Refusals in one shape, whatever refused: a pydantic record, a room of kinetamine, the server itself.

``{"error": {"kind": …, "message": …, "faults": [{"where", "given", "expected", "try"}]}}``
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from kinetamine.errors import Fault, KinetamineError, nearest
from kinetamine.questions.record import Question
from kinetamine.web.json_text import dumps

__all__ = ["HEADERS", "REFUSALS", "Busy", "Mistake", "Refused", "TooLong", "install", "paths", "refusal"]

MISTAKE = "the server made a mistake; please report it with the request"
#: said with every answer
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; base-uri 'none'; "
    "object-src 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_LOG = logging.getLogger("kinetamine.web")


class Refused(KinetamineError):
    """The server did not do what was asked, though it may be right."""

    status = 503

    def __init__(self, where: str, given: str, expected: str, try_: str) -> None:
        self.faults = [Fault(where, given, expected, try_)]
        super().__init__(str(self.faults[0]))


class Busy(Refused):
    """Too many requests at the same time."""


class TooLong(Refused):
    """The time limit of a request is over."""

    status = 504


class Mistake(Refused):
    """A mistake of ours."""

    status = 500

    def __init__(self) -> None:
        KinetamineError.__init__(self, MISTAKE)
        self.faults = []


class TheFault(BaseModel):
    where: str
    given: str
    expected: str
    try_: str = Field(alias="try")


class TheError(BaseModel):
    kind: str
    message: str
    faults: list[TheFault]


class ErrorAnswer(BaseModel):
    """What a refusal looks like."""

    error: TheError


#: for the OpenAPI of every route
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": words}
    for status, words in {
        400: "not HTTP or not JSON as it should be",
        404: "nothing has that name",
        413: "too large a body",
        422: "what was asked cannot be done as asked; all faults at once",
        503: "busy; try again after the seconds in Retry-After",
        504: "it would take too long",
    }.items()
}


def refusal(kind: str, message: str, faults: Iterable[Fault] = ()) -> dict[str, Any]:
    """The shape of every refusal.

    Examples
    --------
    >>> refusal("NotFound", "no such route", [Fault("path", "/x", "a route")])["error"]["faults"]
    [{'where': 'path', 'given': '/x', 'expected': 'a route', 'try': ''}]
    """
    rows = [{"where": f.where, "given": f.given, "expected": f.expected, "try": f.try_} for f in faults]
    return {"error": {"kind": kind, "message": " ".join(message.split()), "faults": rows}}


def paths(app: FastAPI) -> list[str]:
    """Addresses of the page and of the routes."""
    return ["/", app.openapi_url or "", *app.openapi()["paths"]]


def install(app: FastAPI) -> None:
    """Answer every error in the one shape."""
    app.add_exception_handler(KinetamineError, _own)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def _answer(
    kind: str,
    message: str,
    faults: Iterable[Fault],
    status: int = 422,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = dumps(refusal(kind, message, faults))
    return Response(body, status, dict(headers or {}), "application/json")


async def _own(request: Request, error: Any) -> Response:
    status = getattr(error, "status", 422)
    headers = {"Retry-After": "2"} if status == 503 else None
    faults, message = getattr(error, "faults", []), str(error)
    record = _record(request)
    if len(faults) == 1 and record is not None:
        faults = record.renamed(error, "request")
        message = str(faults[0]) if faults != error.faults else message
    return _answer(type(error).__name__, message, faults, status, headers)


async def _http(request: Request, error: Any) -> Response:
    path, status = request.url.path[:200], error.status_code
    if status == 404:
        close = nearest(path, paths(request.app))
        cure = " or ".join(close) if close else "/api/openapi.json, which lists them"
        kind, fault = "NotFound", Fault("path", path, "an address of this server", cure)
    elif status == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        kind, fault = "WrongMethod", Fault("method", request.method, allowed, f"{allowed} {path}")
    else:
        kind = "BadRequest"
        fault = Fault("request", str(error.detail)[:200], "a request as HTTP and JSON have it")
    return _answer(kind, str(fault), [fault], status, error.headers)


async def _unreadable(request: Request, error: Any) -> Response:
    record = _record(request)
    inside = [item for item in error.errors() if item["loc"][:1] == ("body",) and len(item["loc"]) > 1]
    if record is not None and len(inside) == len(error.errors()):
        items = [{**item, "loc": item["loc"][1:]} for item in inside]
        faults = record.faults_of(items, "request")
    elif any(isinstance(item.get("input"), bytes) for item in error.errors()):
        # a body that was not taken for JSON arrives as bytes, whatever it says
        sent = request.headers.get("content-type", "nothing")[:100]
        faults = [Fault("Content-Type", sent, "application/json", "Content-Type: application/json")]
    else:
        faults = [_fault(item) for item in error.errors()]
    many = "fault" if len(faults) == 1 else "faults"
    return _answer("FaultyRequest", f"{len(faults)} {many}: " + " | ".join(map(str, faults)), faults)


def _record(request: Request) -> type[Question] | None:
    """The question that this route reads."""
    field = getattr(request.scope.get("route"), "body_field", None)
    record = getattr(getattr(field, "field_info", None), "annotation", None)
    return record if isinstance(record, type) and issubclass(record, Question) else None


def _fault(item: dict[str, Any]) -> Fault:
    """A fault of a query, or of a body that is no record at all."""
    if item["type"] == "json_invalid":
        given = f"text that is not JSON ({item.get('ctx', {}).get('error', '')})"
        return Fault("body", given, "a JSON object", '{"doses": "84 mg nasal"}')
    where = ".".join(str(part) for part in item["loc"][1:]) or "body"
    given = "nothing" if item["type"] == "missing" else repr(item.get("input"))[:60]
    return Fault(where, given, str(item["msg"]).removeprefix("Input should be "))


async def _bug(request: Request, error: Any) -> Response:
    """A mistake of ours outside a computation. It passes no door, so the headers are put on here."""
    _LOG.error("%s failed", request.url.path, exc_info=error)
    return _answer(Mistake.__name__, MISTAKE, (), Mistake.status, HEADERS)
