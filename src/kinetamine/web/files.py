"""The files of the page, from the installed package; and vega, bundled once on this machine."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.metadata
import mimetypes
from importlib import resources
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from kinetamine.engine import kernels
from kinetamine.errors import MissingExtra
from kinetamine.files import write_whole

__all__ = ["bundle", "router"]

router = APIRouter(include_in_schema=False)

_ROOT = Path(str(resources.files("kinetamine"))) / "web" / "static"
#: asked for again after a restart with other files, so looked at each time: the answer is empty when it is the same
_LOOKED_AT, _KEPT = "no-cache", "public, max-age=604800"
_SMALL = 1_000


@functools.lru_cache(maxsize=256)
def _read(path: Path, changed: int) -> tuple[bytes, bytes, str]:
    """A file, the same compressed, and its tag."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return content, gzip.compress(content, 6, mtime=0) if len(content) > _SMALL else b"", tag


def _send(request: Request, path: Path, cache: str) -> Response:
    content, packed, tag = _read(path, path.stat().st_mtime_ns)
    headers = {"etag": tag, "cache-control": cache, "vary": "accept-encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if packed and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["content-encoding"] = packed, "gzip"
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Response(content, media_type=kind, headers=headers)


@router.api_route("/", methods=["GET", "HEAD"])
def index(request: Request) -> Response:
    """The page."""
    return _send(request, _ROOT / "index.html", _LOOKED_AT)


@router.api_route("/static/{name:path}", methods=["GET", "HEAD"])
def static(request: Request, name: str) -> Response:
    """A file of the page; nothing outside its folder."""
    try:
        path = (_ROOT / name).resolve()
        found = path.is_relative_to(_ROOT.resolve()) and path.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise HTTPException(404)
    return _send(request, path, _LOOKED_AT)


@router.api_route("/vendor/vega.js", methods=["GET", "HEAD"])
def vega(request: Request) -> Response:
    """Vega, Vega-Lite and vega-embed in one file."""
    return _send(request, bundle(), _KEPT)


def bundle() -> Path:
    """The file of vega in the cache folder, made when it is not there yet (two seconds).

    Raises
    ------
    MissingExtra
        If vl-convert is not installed.
    """
    try:
        version = importlib.metadata.version("vl-convert-python")
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtra("vl-convert-python", "web", "the figures of the page") from None
    path = kernels.folder() / f"vega-{version}.js"
    if not path.is_file():
        import vl_convert

        write_whole(path, vl_convert.javascript_bundle())  # type: ignore[call-arg]
    return path
