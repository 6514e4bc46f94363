"""The application: routes under /api, the page at /."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware

from kinetamine.version import version
from kinetamine.web import errors, files
from kinetamine.web.door import Door
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Queue
from kinetamine.web.routes import (
    catalogue,
    compare,
    course,
    evidence,
    explore,
    infusion,
    learning,
    safety,
    simulation,
)

__all__ = ["create_app"]

_ABOUT = """Ketamine treatment simulated from published models: one route per command of `kinetamine`.

For research and teaching only: not for treating a person, not for dosing oneself."""


def create_app(limits: Limits | None = None, hosts: Collection[str] | None = None) -> FastAPI:
    """The server as an ASGI application.

    Parameters
    ----------
    limits : Limits, optional
        How much one request may ask for.
    hosts : collection of str, optional
        Names by which it may be asked for; default any.

    Examples
    --------
    >>> "/api/explore" in create_app().openapi()["paths"]
    True
    """
    limits = limits or Limits()
    app = FastAPI(
        title="kinetamine",
        version=version(),
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        # their scripts would come from a foreign host
        docs_url=None,
        redoc_url=None,
    )
    app.state.queue = Queue(limits)
    api = APIRouter(prefix="/api", responses=errors.REFUSALS)
    for part in (explore, simulation, compare, infusion, learning, course, safety, evidence, catalogue):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(files.router)
    errors.install(app)
    # inside the door; what is packed already (the page's files) passes as it is
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)
    app.add_middleware(Door, body_bytes=limits.body_bytes, hosts=hosts)
    return app
