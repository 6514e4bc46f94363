"""A place and a time limit for each computation: a few at once, a short queue, then a refusal."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from kinetamine.errors import KinetamineError
from kinetamine.web.errors import Busy, Mistake, TooLong
from kinetamine.web.json_text import dumps
from kinetamine.web.limits import Limits, TooMuch

__all__ = ["Queue", "Watch"]

_LOG = logging.getLogger("kinetamine.web")
#: answers of catalogues that are kept
_MOST_KEPT = 256


class _Stopped(Exception):
    """Nobody waits for this computation any more."""


class Watch:
    """Tells a computation to stop; `progress` is what `simulate` calls now and then."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def stop(self) -> None:
        """Stop at the next call of `progress`."""
        self._stop.set()

    def progress(self, done: int, total: int) -> None:
        """Raise if nobody waits any more."""
        if self._stop.is_set():
            raise _Stopped


class Queue:
    """Computes in threads, so that the server always answers.

    Parameters
    ----------
    limits : Limits
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._slots = asyncio.Semaphore(limits.computing)
        self._waiting = 0
        self._kept: OrderedDict[Any, bytes] = OrderedDict()

    async def compute(
        self, work: Callable[[Watch], Any], gone: Callable[[], Awaitable[bool]] | None = None
    ) -> bytes:
        """The answer of `work` as JSON.

        Parameters
        ----------
        work : callable(watch)
            Runs in a thread. If it goes on after its time it keeps its place until it ends.
        gone : awaitable function, optional
            Whether nobody waits for the answer any more.

        Raises
        ------
        Busy
            If too many wait already, or no place became free in time.
        TooLong
            If the time limit is over.
        """
        await self._place(gone)
        watch = Watch()
        future = _in_thread(lambda: dumps(work(watch)))
        future.add_done_callback(self._ended)
        try:
            return await asyncio.wait_for(asyncio.shield(future), self.limits.seconds)
        except KinetamineError:
            raise
        except asyncio.CancelledError:
            raise Busy("server", "a request when it stops", "a running server", "kinetamine serve") from None
        except MemoryError:
            raise TooMuch("request", "more than fits into memory", "a smaller one") from None
        except TimeoutError:
            cure = "fewer patients, a shorter time, or the command line, which has no such limit"
            limit = f"an answer within {self.limits.seconds:g} s"
            raise TooLong("request", "a longer computation", limit, cure) from None
        except Exception as error:
            _LOG.error("a computation failed", exc_info=error)
            raise Mistake from error
        finally:
            watch.stop()

    async def _place(self, gone: Callable[[], Awaitable[bool]] | None) -> None:
        given = f"{self.limits.computing} requests being computed"
        cure = "the same request again in a moment"
        if self._slots.locked():
            if self._waiting >= self.limits.waiting:
                raise Busy("server", f"{given}, {self._waiting} waiting", "a free place", cure)
            self._waiting += 1
            try:
                await asyncio.wait_for(self._slots.acquire(), self.limits.seconds)
            except TimeoutError:
                raise Busy("server", given, f"a free place within {self.limits.seconds:g} s", cure) from None
            finally:
                self._waiting -= 1
            try:
                if gone is not None and await gone():
                    raise Busy("server", "a request nobody waits for", "somebody who waits", cure)
            except BaseException:
                self._slots.release()
                raise
        else:
            await self._slots.acquire()

    def _ended(self, future: asyncio.Future[bytes]) -> None:
        self._slots.release()
        if not future.cancelled():
            future.exception()  # looked at, or asyncio complains when nobody waited

    async def catalogue(self, key: Any, work: Callable[[], Any]) -> bytes:
        """The answer of `work` as JSON, computed once for each key; also when nobody waited to its end."""
        if key not in self._kept:
            await self.compute(lambda watch: self._keep(key, work()))
        return self._kept[key]

    def _keep(self, key: Any, found: Any) -> None:
        self._kept[key] = dumps(found)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


def _in_thread(work: Callable[[], bytes]) -> asyncio.Future[bytes]:
    """What `work` gives or raises, run in a thread that the end of the program does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes] = loop.create_future()

    def settle(found: bytes | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found or b"")

    def run() -> None:
        found, error = None, None
        try:
            found = work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the server has stopped meanwhile
            loop.call_soon_threadsafe(settle, found, error)

    threading.Thread(target=run, daemon=True).start()
    return future
