"""``kinetamine serve``: the page and the JSON routes, on this machine."""

from __future__ import annotations

import importlib.util
import logging
from typing import Annotated

import typer

from kinetamine.cli.output import DISCLAIMER, say
from kinetamine.errors import InputError, MissingExtra

__all__ = ["register"]

_EPILOG = """Examples:

kinetamine serve

kinetamine serve --port 0 --open
"""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("serve", epilog=_EPILOG)(_serve)


def _serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; another than 127.0.0.1 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", help="The port; 0 takes a free one.")] = 8765,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    log: Annotated[
        bool,
        typer.Option(
            "--log", help="A line for each request: method, path, status, time; never what was asked."
        ),
    ] = False,
) -> None:
    """Open the explorer: a page in the browser that simulates, compares and checks, without internet."""
    if not 0 <= port <= 65535:
        raise InputError("--port", str(port), "a port from 0 to 65535", "--port 0")
    for library in ("fastapi", "uvicorn", "vl_convert"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "web", "the server")
    from kinetamine.web import server

    if not server.loopback(host):
        say(f"warning: {host} can be reached by others; there is no password and no encryption")

    if log:
        requests = logging.getLogger("kinetamine.web.access")
        requests.addHandler(logging.StreamHandler())
        requests.setLevel(logging.INFO)

    def ready(address: str) -> None:
        say(f"kinetamine is at {address} (Ctrl-C stops it). {DISCLAIMER}")
        if open_:
            import webbrowser

            webbrowser.open(address)

    server.serve(host, port, ready=ready, notify=say)
