"""Start and stop: a port, a process that answers, kernels compiled before they are asked for."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from kinetamine.errors import InputError
from kinetamine.web.app import create_app
from kinetamine.web.bodies import Explore
from kinetamine.web.files import bundle
from kinetamine.web.limits import Limits
from kinetamine.web.queue import Watch
from kinetamine.web.routes.explore import explored

__all__ = ["loopback", "serve", "settings", "warm"]

#: names by which a browser on this machine may ask
_OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
#: what the page shows first, and what the first request would otherwise wait for
_FIRST = "84 mg nasal"


def loopback(host: str) -> bool:
    """Whether only this machine can reach the address.

    Examples
    --------
    >>> loopback("127.0.0.1"), loopback("0.0.0.0")
    (True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    host: str = "127.0.0.1",
    port: int = 8765,
    *,
    limits: Limits | None = None,
    ready: Callable[[str], None] | None = None,
    notify: Callable[[str], None] | None = None,
) -> None:
    """Answer requests until stopped by Ctrl-C.

    Parameters
    ----------
    host, port : str, int
        Where to listen; port 0 takes a free one.
    limits : Limits, optional
    ready : callable(address), optional
        Called when requests are answered.
    notify : callable(text), optional
        Told what takes long.

    Raises
    ------
    InputError
        If the address or port cannot be had.
    """
    hosts = {*_OWN_NAMES, host} if loopback(host) else None
    app = create_app(limits, hosts)
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}/"
        server = uvicorn.Server(settings(app))
        threading.Thread(target=_prepared, args=(notify,), daemon=True).start()
        if ready is not None:
            ready(address)
        with contextlib.suppress(KeyboardInterrupt):
            server.run([listener])


def settings(app: Any) -> uvicorn.Config:
    """How requests are taken: the door writes the log, and nothing tells which program this is."""
    return uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off",
        timeout_keep_alive=30, timeout_graceful_shutdown=2,
    )  # fmt: skip


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(
            "--host", repr(host), f"an address of this machine ({error.strerror})", "127.0.0.1"
        ) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen(512)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                "--port", f"{host}:{port}", f"a free port of this machine ({reason})", "--port 0"
            ) from None
        yield listener


def _prepared(notify: Callable[[str], None] | None) -> None:
    try:
        warm(notify)
        bundle()
    except Exception as error:  # a request will say it to the one who asks
        logging.getLogger("kinetamine.web").warning("not prepared: %s", error)


def warm(notify: Callable[[str], None] | None = None) -> None:
    """Compile and import what the first view of the page needs (once on a machine, some seconds)."""
    import kinetamine as kt

    people = kt.Population(8, uncertainty=True)
    kt.effects(_FIRST, population=people, notify=notify)
    body = {"doses": _FIRST, "patients": people.n, "draw": {}}
    explored(Explore.model_validate(body), Limits(), Watch())
