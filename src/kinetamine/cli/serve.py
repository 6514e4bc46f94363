"""``kinetamine serve``: the page and the JSON routes, on this machine."""

from __future__ import annotations

import importlib.util
import logging

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import DISCLAIMER, say
from kinetamine.errors import MissingExtra

__all__ = ["serve"]


@command(
    "serve",
    bare=True,
    examples="""
kinetamine serve
kinetamine serve --port 0 --open
""",
)
def serve(asked: questions.Serve, out: Out) -> None:
    """Open the explorer: a page in the browser that simulates, compares and checks, without internet."""
    for library in ("fastapi", "uvicorn", "vl_convert"):
        if importlib.util.find_spec(library) is None:
            raise MissingExtra(library, "web", "the server")
    from kinetamine.web import server

    if not server.loopback(asked.host):
        say(f"warning: {asked.host} can be reached by others; there is no password and no encryption")

    if asked.log:
        requests = logging.getLogger("kinetamine.web.access")
        requests.addHandler(logging.StreamHandler())
        requests.setLevel(logging.INFO)

    def ready(address: str) -> None:
        say(f"kinetamine is at {address} (Ctrl-C stops it). {DISCLAIMER}")
        if asked.open_:
            import webbrowser

            webbrowser.open(address)

    server.serve(asked.host, asked.port, ready=ready, notify=say)
