"""Work in blocks on processes or machines: whatever takes tasks by `submit`, and a folder of what was done already.

Nothing here knows what is computed. A block is a range of whole numbers (patients); its answer is added to a sum that
does not depend on order, so blocks may come back as they like, be computed again after a worker was lost, or be left
out because an earlier run did them.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from pathlib import Path
from typing import Any

from kinetamine.errors import InputError, MissingExtra, RunError

__all__ = ["Blocks", "connected"]

#: blocks under way at once: bounds what waits in this process
_UNDER_WAY = 64
#: seconds between two writings of what was done
_EVERY_S = 60.0
#: people of a block when nobody says
_MOST, _LEAST, _PARTS = 262_144, 4096, 64


class Blocks:
    """An executor, the size of a block, and where the sum is kept between runs.

    Parameters
    ----------
    executor : object with ``submit``
        A Dask client or its ``get_executor()``, a process pool of `concurrent.futures`, or the like.
    size : int, optional
        Patients in a block. Results do not depend on it.
    checkpoint : path, optional
        A folder in which the sum so far is kept, at least every minute and when the run is stopped.
    resume : bool
        Go on from what the folder holds. Without it a folder that holds this run already is refused.

    Raises
    ------
    InputError
        If something is none of these.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(2) as pool:
    ...     blocks, parts = Blocks(pool, size=4), []
    ...     blocks.each(sum, lambda a, b: (range(a, b),), blocks.of(10), lambda block, part: parts.append(part))
    >>> sorted(parts)
    [6, 17, 22]
    """

    def __init__(
        self,
        executor: Any,
        size: int | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> None:
        if isinstance(executor, Blocks) or not callable(getattr(executor, "submit", None)):
            raise InputError(
                "executor",
                repr(executor)[:60],
                "something with submit: a Dask client or a process pool",
                "concurrent.futures.ProcessPoolExecutor(2)",
            )
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise InputError("size", repr(size), "a whole number of at least 1", "100000")
        if resume and checkpoint is None:
            raise InputError("resume", "no checkpoint", "the folder of the run to go on with", "checkpoint=…")
        # futures of a Dask client are its own kind; those of its executor are everybody's
        self.executor = executor.get_executor(pure=False) if hasattr(executor, "get_executor") else executor
        self.size, self.resume = size, resume
        self.folder = None if checkpoint is None else Path(checkpoint)

    def of(self, n: int) -> list[tuple[int, int]]:
        """First and last + 1 of each block of `n` patients.

        Examples
        --------
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> Blocks(ThreadPoolExecutor(1), size=400).of(1000)
        [(0, 400), (400, 800), (800, 1000)]
        """
        size = self.size or min(_MOST, max(_LEAST, -(-n // _PARTS)))
        return [(a, min(a + size, n)) for a in range(0, n, size)]

    def each(
        self,
        work: Callable[..., Any],
        arguments: Callable[[int, int], tuple[Any, ...]],
        blocks: Iterable[tuple[int, int]],
        take: Callable[[tuple[int, int], Any], None],
        keep: Callable[[], None] | None = None,
    ) -> None:
        """Submit every block, take every answer as it comes.

        Parameters
        ----------
        work : callable
            Found by its name on the other side; called with ``arguments(start, stop)``.
        take : callable
            Given the block and its answer, in this thread.
        keep : callable, optional
            Writes down what was taken: every minute, and when something stops the run.

        Raises
        ------
        RunError
            If the workers are gone for good.
        """
        under_way: dict[Future[Any], tuple[int, int]] = {}
        left, written, taken = iter(blocks), time.monotonic(), False
        try:
            while self._fill(under_way, left, work, arguments):
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    answer = future.result()
                    take(under_way.pop(future), answer)
                    taken = True
                if keep is not None and time.monotonic() - written > _EVERY_S:
                    keep()
                    written, taken = time.monotonic(), False
        except Exception as error:
            if not isinstance(error, BrokenExecutor) and type(error).__name__ != "KilledWorker":
                raise
            again = "resume from the checkpoint" if self.folder else "a checkpoint, from which a run goes on"
            raise RunError(
                f"the workers were lost ({type(error).__name__}); try: more memory for each, or {again}"
            ) from error
        finally:
            for future, block in under_way.items():
                whole = not future.cancel() and future.done() and future.exception() is None
                if whole and keep is not None:  # what came beside the one that stopped the run is not lost
                    take(block, future.result())
                    taken = True
            if keep is not None and taken:
                keep()

    def _fill(
        self,
        under_way: dict[Future[Any], tuple[int, int]],
        left: Iterator[tuple[int, int]],
        work: Callable[..., Any],
        arguments: Callable[[int, int], tuple[Any, ...]],
    ) -> bool:
        while len(under_way) < _UNDER_WAY and (block := next(left, None)) is not None:
            under_way[self.executor.submit(work, *arguments(*block))] = block
        return bool(under_way)


@contextlib.contextmanager
def connected(address: str, where: str = "cluster") -> Iterator[Any]:
    """A Dask client for as long as it is needed: of this machine's processors, or of a scheduler that runs.

    Parameters
    ----------
    address : str
        ``local``, ``local:4`` (as many processes) or the scheduler's address, such as ``tcp://10.0.0.1:8786``.
    where : str
        Named in errors.

    Raises
    ------
    InputError
        If the address is none, or nobody answers there.
    MissingExtra
        If the extra ``cluster`` is not installed.

    Examples
    --------
    >>> with connected("somewhere") as client:
    ...     pass
    Traceback (most recent call last):
    kinetamine.errors.InputError: cluster: got 'somewhere'; expected local, local:4 or tcp://…; try local:2
    """
    local = re.fullmatch(r"local(?::([1-9]\d{0,3}))?", address)
    if not local and not re.fullmatch(r"(tcp|tls|ucx|ws|wss)://\S+", address):
        raise InputError(where, repr(address), "local, local:4 or tcp://…", "local:2")
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise MissingExtra("dask and distributed", "cluster", "a cluster") from None
    with contextlib.ExitStack() as stack:
        if local:
            count = int(local[1]) if local[1] else os.cpu_count() or 1
            address = stack.enter_context(
                LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
            )
        try:
            client = stack.enter_context(Client(address, timeout="15s"))
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(where, repr(address), "a scheduler that answers", "dask scheduler") from error
        yield client
