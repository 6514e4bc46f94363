"""What every request passes first: who is asked for, how large the body is; and what every answer says."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from typing import Any

from kinetamine.errors import Fault
from kinetamine.web.errors import HEADERS, refusal
from kinetamine.web.json_text import dumps

__all__ = ["Door"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_ENCODED = [(key.encode(), value.encode()) for key, value in HEADERS.items()]
_LOG = logging.getLogger("kinetamine.web.access")


class _TooLarge(Exception):
    """More of a body than is read."""


class Door:
    """Refuses foreign hosts and large bodies, adds headers, logs without query and body.

    Parameters
    ----------
    app : ASGI application
    body_bytes : int
        Of a request, at most. It is counted while it comes in; what is too much is not kept.
    hosts : collection of str, optional
        Names by which this server may be asked for; None: any. A page of another site that has its name point
        to this machine would otherwise be of the same origin.
    """

    def __init__(self, app: Any, body_bytes: int, hosts: Collection[str] | None = None) -> None:
        self.app, self.body_bytes, self.hosts = app, body_bytes, hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, sent, count = time.perf_counter(), 0, 0

        async def out(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = message["status"]
                given = {key.lower() for key, _ in message["headers"]}
                more = [] if b"cache-control" in given else [(b"cache-control", b"no-store")]
                message["headers"] = [*message["headers"], *more, *_ENCODED]
            await send(message)

        async def counted() -> Message:
            nonlocal count
            message = await receive()
            count += len(message.get("body", b""))
            if count > self.body_bytes:
                raise _TooLarge
            return message

        async def answered(message: Message) -> None:
            if count <= self.body_bytes:  # else the application speaks of a body it could not read
                await out(message)

        try:
            headers = dict(scope["headers"])
            if self.hosts is not None and _name(headers.get(b"host", b"")) not in self.hosts:
                await self._refuse(out, 403, "ForeignHost", _foreign(headers.get(b"host", b""), self.hosts))
            elif headers.get(b"sec-fetch-site") == b"cross-site" and scope["path"].startswith("/api/"):
                await self._refuse(
                    out, 403, "ForeignSite", Fault("Sec-Fetch-Site", "cross-site", "this page")
                )
            elif self._declared(headers) > self.body_bytes:
                await self._large(out, self._declared(headers))
            else:
                with contextlib.suppress(_TooLarge):
                    await self.app(scope, counted, answered)
                if count > self.body_bytes and not sent:
                    await self._large(out, count)
        finally:
            spent = 1e3 * (time.perf_counter() - start)
            _LOG.info("%s %s %s %.0f ms", scope["method"], ascii(scope["path"])[1:-1][:200], sent, spent)

    @staticmethod
    def _declared(headers: dict[bytes, bytes]) -> int:
        given = headers.get(b"content-length", b"0")
        return int(given) if given.isdigit() and len(given) < 19 else 0

    async def _large(self, out: Send, size: int) -> None:
        fault = Fault("body", f"{size:,} bytes or more", f"at most {self.body_bytes:,} bytes", "less")
        await self._refuse(out, 413, "TooLarge", fault, (b"connection", b"close"))

    async def _refuse(
        self, out: Send, status: int, kind: str, fault: Fault, *more: tuple[bytes, bytes]
    ) -> None:
        body = dumps(refusal(kind, str(fault), [fault]))
        size = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", size), *more]
        await out({"type": "http.response.start", "status": status, "headers": headers})
        await out({"type": "http.response.body", "body": body})


def _name(host: bytes) -> str:
    """The name in a Host header, without the port."""
    text = host.decode("latin-1").lower()
    return text.partition("]")[0] + "]" if text.startswith("[") else text.partition(":")[0]


def _foreign(host: bytes, hosts: Collection[str]) -> Fault:
    return Fault(
        "Host", repr(host.decode("latin-1"))[:100], "a name of this machine", " or ".join(sorted(hosts))
    )
