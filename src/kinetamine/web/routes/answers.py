"""From a computation to an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request, Response

from kinetamine.web.bodies import Draw
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Queue, Watch

__all__ = ["Place", "Word", "catalogue", "computed", "drawn", "envelope", "limits"]


def _queue(request: Request) -> Queue:
    queue: Queue = request.app.state.queue
    return queue


def limits(request: Request) -> Limits:
    """What this server computes at most."""
    return _queue(request).limits


async def computed(
    request: Request, work: Callable[[Watch], Any], kind: str = "application/json"
) -> Response:
    """The answer of `work`, which gets a place in the queue."""
    found = await _queue(request).compute(work, request.is_disconnected)
    return Response(found, media_type=kind)


async def catalogue(request: Request, key: Any, work: Callable[[], Any]) -> Response:
    """The answer of `work`, remembered under `key`: for what comes with the package and never changes."""
    return Response(await _queue(request).catalogue(key, work), media_type="application/json")


def place(
    width: Annotated[
        int | None, Query(ge=100, le=2400, description="Asks for a figure of this width.")
    ] = None,
    labels: Literal["end", "above"] = "end",
    theme: Literal["light", "dark"] = "light",
) -> Draw | None:
    """The place a figure of a catalogue is for; none, no figure."""
    return None if width is None else Draw(width=width, labels=labels, theme=theme)


#: a name in a query
Word = Annotated[str | None, Query(max_length=200)]
#: for routes that may draw
Place = Annotated[Draw | None, Depends(place)]


def drawn(figure: Any, draw: Draw) -> dict[str, Any]:
    """A figure's definition in the colours that are asked for."""
    from kinetamine.report import figures

    definition: dict[str, Any] = figure.to_dict()
    return definition if draw.theme == "light" else _recoloured(definition, figures.DARK)


def _recoloured(value: Any, colours: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return colours.get(value, value)
    if isinstance(value, dict):
        return {key: _recoloured(one, colours) for key, one in value.items()}
    return [_recoloured(one, colours) for one in value] if isinstance(value, list | tuple) else value


def envelope(data: Any, notes: Iterable[str], reproduce: dict[str, str], **more: Any) -> dict[str, Any]:
    """What the page gets: the command's own JSON, and around it what a reader should see with it."""
    return {"data": data, **more, "notes": list(dict.fromkeys(n for n in notes if n)), "reproduce": reproduce}
