"""A run over people in blocks, each computed by some worker; the sum has the bits of a run in one piece."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.cluster import Blocks
from kinetamine.engine.summarise import Quantiles
from kinetamine.errors import InputError
from kinetamine.files import check_writable, write_whole
from kinetamine.simulate.grid import MOST_REMEMBERED, GridRun
from kinetamine.simulate.share import Share
from kinetamine.version import version

__all__ = ["BlockRun"]

#: counts are 32 bits wide
MOST_PEOPLE = 2**32 - 1


@dataclass(frozen=True)
class _Answer:
    """What a worker sends of one block in one pass."""

    counted: dict[str, Quantiles]
    failed: np.ndarray
    status: np.ndarray
    failed_at: np.ndarray


def _pass(
    share: Share, start: int, stop: int, q: tuple[float, ...], located: dict[str, Quantiles] | None
) -> _Answer:
    """A worker's part: one block, one pass."""
    run = GridRun(replace(share, population=share.population[start:stop]), 1)
    if located is not None:  # a thread was given everybody's
        located = {o: counted.another() for o, counted in located.items()}
    counted = run.passed(q, located=located)
    failed = np.flatnonzero(run.status)
    return _Answer(counted, failed + start, run.status[failed], run.failed_at[failed])


class BlockRun(GridRun):
    """As `GridRun`, for bands only: workers pass over the people, here their counts are added.

    Parameters
    ----------
    share : Share
    blocks : Blocks
    notify : callable, optional
    """

    def __init__(self, share: Share, blocks: Blocks, notify: Callable[[str], None] | None = None) -> None:
        super().__init__(share, 1, notify)
        if self.n > MOST_PEOPLE:
            raise InputError(
                "population.n", f"{self.n:,}", f"at most {MOST_PEOPLE:,} in one run", "several seeds"
            )
        self.blocks, self.notify = blocks, notify
        self.totals: dict[str, Quantiles] = {}
        self.second = False
        self.done: set[int] = set()

    def streamed(
        self, q: Sequence[float], progress: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Quantiles (q, time), the same bits as of one process."""
        q, times = tuple(q), len(self.share.times)
        self.totals = {o: Quantiles(times, q) for o in self.outputs}
        self.second, self.done = False, set()
        file = self._file()
        birth = _fingerprint(self.share, q, self.blocks.of(self.n)[0]) if file is not None else ""
        if file is not None and file.exists():
            self._read(file, birth)
        keep = None if file is None else lambda: self._write(file, birth)
        if not self.second:
            self._all(q, None, progress, keep)
            self._locate()
        elif progress:
            progress(self.n)
        self._all(q, {o: c.another() for o, c in self.totals.items()}, progress, keep)
        for start in range(0, min(self.n, MOST_REMEMBERED), 4096):
            self.meet(start, min(start + 4096, self.n))
        return {o: counted.result() for o, counted in self.totals.items()}

    def _locate(self) -> None:
        for counted in self.totals.values():
            counted.locate()
        self.second, self.done = True, set()

    def _all(
        self,
        q: tuple[float, ...],
        located: dict[str, Quantiles] | None,
        progress: Callable[[int], None] | None,
        keep: Callable[[], None] | None,
    ) -> None:
        def take(block: tuple[int, int], answer: _Answer) -> None:
            for o, counted in self.totals.items():
                if located is not None:
                    counted.merge_fine(answer.counted[o])
                else:
                    counted.merge(answer.counted[o])
            self.status[answer.failed] = answer.status
            self.failed_at[answer.failed] = answer.failed_at
            self.done.add(block[0])
            if progress:
                progress(block[1] - block[0])

        blocks = self.blocks.of(self.n)
        if progress:
            for start, stop in blocks:
                if start in self.done:
                    progress(stop - start)
        left = [block for block in blocks if block[0] not in self.done]
        self.blocks.each(_pass, lambda a, b: (self.share, a, b, q, located), left, take, keep)

    # ---- what is kept between runs

    def _file(self) -> Path | None:
        folder = self.blocks.folder
        if folder is None:
            return None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError("checkpoint", repr(str(folder)), "a folder", str(error)) from None
        file = folder / f"{self.model.spec.id}.npz"
        check_writable(file, "checkpoint")
        if file.exists() and not self.blocks.resume:
            raise InputError("checkpoint", f"{str(folder)!r}, which holds a run", "resume, or another folder")
        if self.blocks.resume and not file.exists() and self.notify is not None:
            self.notify(f"nothing of {self.model.spec.id} in {folder} yet: begun from the start")
        return file

    def _write(self, file: Path, birth: str) -> None:
        kept: dict[str, Any] = {
            "birth": birth,
            "second": self.second,
            "done": np.array(sorted(self.done), int),
        }
        bad = np.flatnonzero(self.status)
        kept |= {"failed": bad, "status": self.status[bad], "failed_at": self.failed_at[bad]}
        for k, counted in enumerate(self.totals.values()):
            kept |= {f"{k}.{name}": value for name, value in counted.__getstate__().items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **kept)
        write_whole(file, buffer.getvalue(), "checkpoint")

    def _read(self, file: Path, birth: str) -> None:
        try:
            with np.load(file, allow_pickle=False) as kept:
                if str(kept["birth"]) != birth:
                    raise InputError(
                        "checkpoint",
                        f"{str(file)!r}, which belongs to another run",
                        "the same model, doses, people, times, quantiles, size and version",
                        "another folder",
                    )
                self.second, self.done = bool(kept["second"]), {int(x) for x in kept["done"]}
                self.status[kept["failed"]] = kept["status"]
                self.failed_at[kept["failed"]] = kept["failed_at"]
                for k, counted in enumerate(self.totals.values()):
                    names = [n for n in kept.files if n.startswith(f"{k}.")]
                    counted.__setstate__({n.partition(".")[2]: kept[n] for n in names})
        except (OSError, ValueError, KeyError, EOFError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                "checkpoint", f"{str(file)!r}, which cannot be read", "a whole file", "another folder"
            ) from None


def _fingerprint(share: Share, q: tuple[float, ...], first: tuple[int, int]) -> str:
    """A short text that two runs share when their sums may be added."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype != object:
            digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        elif dataclasses.is_dataclass(value):
            add([(f.name, getattr(value, f.name)) for f in dataclasses.fields(value)])
        elif isinstance(value, dict):
            add(list(value.items()))
        elif isinstance(value, list | tuple | np.ndarray):
            digest.update(f"{type(value).__name__}{len(value)}".encode())
            for one in value:
                add(one)
        elif hasattr(value, "to_list"):  # a column of a frame
            add(value.to_list())
        elif hasattr(value, "__dict__") and not isinstance(value, type):
            add([type(value).__name__, *((k, v) for k, v in vars(value).items() if k not in _PASSING)])
        else:
            digest.update(repr(value).encode() + b"\0")

    add([version(), share.model.spec.digest, [s.digest for s in share.together], share.doses, share.times])
    add([share.outputs, share.population, share.occasion_starts, q, first])
    return digest.hexdigest()


#: of a population, what it only remembers
_PASSING = ("_plans", "_blocks", "_read")
