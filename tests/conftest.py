"""A server and a browser for the tests of the page.

``server`` is an address; ``page`` and ``narrow`` are open windows that fail the test when the page writes an error
to its console, throws, or asks another host for anything. ``shot`` keeps a picture, ``axe`` looks for what keeps
people with a disability out.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PICTURES = Path(__file__).parents[1] / "build" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
#: what the browser itself says of an answer that refuses; the page shows the refusal
_REFUSALS = ("status of 422", "status of 413", "status of 404", "status of 503", "status of 504")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of a running server."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    pytest.importorskip("vl_convert")
    from kinetamine.web.app import create_app

    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    running = uvicorn.Server(uvicorn.Config(create_app(), "127.0.0.1", port, log_level="warning"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not running.started:
        assert thread.is_alive() and time.monotonic() < end, "the server did not start"
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(10)


# Not longer than a module: while Playwright runs, no other test of this thread can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """The system's Chromium."""
    api = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        # where every change is checked, a test that is left out is a test that fails
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield running
        running.close()


@contextlib.contextmanager
def window(browser: Any, server: str, **options: Any) -> Iterator[Any]:
    """A new window of its own; what it must not do fails the test when it closes."""
    context = browser.new_context(base_url=server, **options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    faults: list[str] = []

    def said(message: Any) -> None:
        if message.type == "error" and not any(words in message.text for words in _REFUSALS):
            faults.append(f"console: {message.text} {message.location}")

    def asked(request: Any) -> None:
        if not request.url.startswith((server, "data:", "blob:")):
            faults.append(f"foreign host: {request.url}")

    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"thrown: {error}"))
    page.on("request", asked)
    yield page
    context.close()
    assert not faults, faults


@pytest.fixture
def page(browser: Any, server: str) -> Iterator[Any]:
    """A window as on a desk."""
    with window(browser, server, viewport={"width": 1280, "height": 900}) as opened:
        yield opened


@pytest.fixture
def narrow(browser: Any, server: str) -> Iterator[Any]:
    """A window as on a telephone."""
    size = {"width": 360, "height": 740}
    with window(browser, server, viewport=size, has_touch=True) as opened:
        yield opened


@pytest.fixture
def shot() -> Callable[..., Path]:
    """``shot(page, name)`` keeps a picture of the whole page."""

    def take(page: Any, name: str) -> Path:
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return take


@pytest.fixture
def axe() -> Callable[[Any], list[str]]:
    """``axe(page)`` gives the serious and critical findings of axe-core, one line each."""
    tool = pytest.importorskip("axe_playwright_python.sync_playwright")

    def look(page: Any) -> list[str]:
        return [
            f"{found['id']}: {found['help']}: {node['target']} {node.get('failureSummary', '')}"
            for found in tool.Axe().run(page).response["violations"]
            if found["impact"] in ("serious", "critical")
            for node in found["nodes"]
        ]

    return look


@pytest.fixture
def sideways() -> Callable[[Any], int]:
    """``sideways(page)``: pixels by which the page is wider than its window; 0 if nobody has to scroll sideways."""
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return lambda page: max(0, page.evaluate(wider))


@pytest.fixture
def slowness() -> float:
    """How many times slower this machine is than the one the bars of speed were set on; 1 if it is not.

    A fixed piece of work, the quickest of seven: a slower processor moves a bar, busy neighbours do not.
    """
    best = min(_work() for _ in range(7))
    return max(1.0, best / _REFERENCE_S)


#: of `_work`, two cores of an AMD EPYC (Zen 4) with nothing else running
_REFERENCE_S = 0.037


def _work() -> float:
    begin = time.perf_counter()
    rows = [{"t": 0.1 * k, "low": k / 7, "high": 1.3 * k} for k in range(20_000)]
    json.loads(json.dumps(rows))
    return time.perf_counter() - begin
