"""What every run does: people in pieces, steps by the engine, outputs from what it observed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.engine import timeline
from kinetamine.errors import SimulationFailed
from kinetamine.formulas.evaluate import evaluate
from kinetamine.models.compile import Compiled
from kinetamine.results.output import describe_status
from kinetamine.simulate import solver

__all__ = ["Piece", "Run", "refuse_failures"]


@dataclass
class Piece:
    """Numbers of patients `start`…`stop`, ready for the engine.

    Parameters
    ----------
    env : dict
        Values of all names of the model, broadcastable to `shape`.
    shape : tuple of int
        Versions of the patients (occasions, changed covariates); flattened, column
        ``column_of[patient] + version * column_stride`` is one version of one patient.
    doses : timeline.Doses
    part_stride : (int, int)
        A part's number is at ``part * part_stride[0] + patient * part_stride[1]`` of the doses.
    """

    start: int
    stop: int
    env: dict[str, Any]
    shape: tuple[int, ...]
    column_of: np.ndarray
    column_stride: int
    doses: timeline.Doses
    part_stride: tuple[int, int]


class Run:
    """One model in some people.

    Parameters
    ----------
    model : Compiled
    outputs : tuple of str
    population : Patient or Population
        Answers for covariates, random effects, parameters and noise.
    n : int
        Number of people.
    threads : int, optional
        Default: one per processor.
    """

    def __init__(
        self, model: Compiled, outputs: tuple[str, ...], population: Any, n: int, threads: int | None
    ) -> None:
        self.model, self.outputs, self.population, self.n = model, outputs, population, n
        self.threads = threads or os.cpu_count() or 1
        self.status = np.zeros(n, np.int64)
        self.failed_at = np.full(n, np.nan)
        self.solver: solver.Solver

    def sums(self) -> list[str]:
        """Outputs that the engine gives itself, in its order."""
        return [name for name in self.outputs if name in self.model.sums]

    def pieces(self) -> list[tuple[int, int]]:
        """First and last + 1 of each piece of work."""
        raise NotImplementedError

    def each(self, work: Callable[[int, int], None], progress: Callable[[int], None] | None = None) -> None:
        """All pieces, the first one alone: it compiles what has to be compiled and settles what is shared."""
        head, *rest = self.pieces()

        def done(start: int, stop: int) -> None:
            if progress:
                progress(stop - start)

        work(*head)
        done(*head)
        if self.threads == 1 or not rest:
            for piece in rest:
                work(*piece)
                done(*piece)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(work, *piece) for piece in rest]
            try:
                for future, piece in zip(futures, rest, strict=True):
                    future.result()
                    done(*piece)
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def step(
        self, piece: Piece, steps: timeline.Plan, out: np.ndarray, out_stride: tuple[int, int, int]
    ) -> None:
        """Let the engine run a piece; see `solver.Solver.run`."""
        n = piece.stop - piece.start
        people = slice(piece.start, piece.stop)
        self.solver.run(
            steps=steps,
            plan_of=np.zeros(n, np.int64) if len(steps.start) == 2 else np.arange(n),
            env=piece.env,
            shape=piece.shape,
            column_of=piece.column_of,
            column_stride=piece.column_stride,
            doses=piece.doses,
            part_stride=piece.part_stride,
            out=out,
            out_stride=out_stride,
            status=self.status[people],
            failed_at=self.failed_at[people],
        )

    def named(
        self,
        observed: np.ndarray,
        samples: Callable[[], Mapping[str, Any]],
        shape: tuple[int, ...],
    ) -> dict[str, np.ndarray]:
        """Outputs in their units from what the engine observed.

        Parameters
        ----------
        observed : array (observed, *shape)
            Sums of states, then the states that other outputs are computed from.
        samples : callable
            Gives the value of every name (and of ``time``) at each sample, when a formula needs it.
        shape : tuple of int
        """
        model = self.model
        rows = iter(observed)
        found = {name: next(rows) for name in self.sums()}
        states = {model.states[s]: next(rows) for s in model.watched(self.outputs)}
        later = [name for name in self.outputs if name in model.formulas]
        if later:
            env = {**samples(), **states}
            for name in later:
                value = evaluate(model.formulas[name], env)
                found[name] = np.array(np.broadcast_to(value, shape))
        return {name: found[name] for name in self.outputs}


def refuse_failures(run: Run, on_failure: str = "raise") -> None:
    """Name the first patient who could not be computed."""
    failed = np.flatnonzero(run.status)
    if len(failed) and on_failure == "raise":
        first = int(failed[0])
        when = run.failed_at[first]
        raise SimulationFailed(
            f"patient {first}{f' at {when:g} h' if np.isfinite(when) else ''}: "
            f"{describe_status(int(run.status[first]))} ({len(failed)} of {len(run.status)} patients failed); "
            'look at the patient\'s values, or keep the others with on_failure="keep"'
        )
