"""The engine behind a model: exact steps for a linear one, adaptive steps for any other; called alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kinetamine.engine import linear, nonlinear, timeline
from kinetamine.engine.driver import Control, Numbers, Parts, Results, Who
from kinetamine.engine.linear import Kernel, Structure
from kinetamine.models.compile import Compiled
from kinetamine.models.equations import write_equations

__all__ = ["Solver", "choose"]


#: of a non-linear model: relative tolerance of a step, and absolute one as share of the largest dose
RTOL, ATOL_SHARE = 1e-9, 1e-15


class Solver:
    """What a run needs of an engine.

    `observed` is the number of rows it writes: the outputs that are sums of states, then the states that
    other outputs are computed from.
    """

    def __init__(
        self,
        model: Compiled,
        outputs: tuple[str, ...],
        inputs: tuple[int, ...],
        steady: bool,
        notify: Callable[[str], None] | None,
        points: int,
    ) -> None:
        self.model, self.outputs = model, outputs
        structure = model.structure(outputs, inputs, steady)
        self.observed = len(structure.outputs)
        self.kernel = self._kernel(structure, notify, points)

    def _kernel(self, structure: Structure, notify: Callable[[str], None] | None, points: int) -> Kernel:
        raise NotImplementedError

    def numbers(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        """What the engine's equations need of each column, array (number, columns)."""
        raise NotImplementedError

    def weights(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        """Weights of the observed sums of each column, array (weight, columns)."""
        weights = self.model.weights(env, self.outputs, shape)
        return weights.reshape(len(weights), int(np.prod(shape)))

    def run(
        self,
        *,
        steps: timeline.Plan,
        plan_of: np.ndarray,
        env: Mapping[str, Any],
        shape: tuple[int, ...],
        column_of: np.ndarray,
        column_stride: int,
        doses: timeline.Doses,
        part_stride: tuple[int, int],
        out: np.ndarray,
        out_stride: tuple[int, int, int],
        status: np.ndarray,
        failed_at: np.ndarray,
    ) -> None:
        """Simulate patients 0…len(status).

        Parameters
        ----------
        env : dict
            Values of the model's names, broadcastable to `shape`; flattened, column
            ``column_of[patient] + version * column_stride`` is one version of one patient.
        out : array (observed, …)
            Written at ``patient * out_stride[0] + sample * out_stride[1] + out_stride[2]``.
        status, failed_at : array (patient,)
            Left 0 and NaN, or set to a code of `results.STATUS` and the time since the first dose, h (linear
            models: NaN).
        """
        self.step(
            steps, plan_of, self.numbers(env, shape), self.weights(env, shape), column_of, column_stride,
            doses.state, doses.value.ravel(), doses.more(), np.array(part_stride),
            out, np.array(out_stride), status, failed_at,
        )  # fmt: skip

    def step(
        self, steps: timeline.Plan, plan_of: np.ndarray, numbers: np.ndarray, weights: np.ndarray,
        column_of: np.ndarray, column_stride: int, state: np.ndarray, value: np.ndarray, more: np.ndarray,
        part_stride: np.ndarray, out: np.ndarray, out_stride: np.ndarray, status: np.ndarray,
        failed_at: np.ndarray,
    ) -> None:  # fmt: skip
        """As `run`, with everything as the arrays that the engine takes.

        `value` and `more` (duration, interval, phase) of a part are at
        ``part * part_stride[0] + patient * part_stride[1]``; `state` is one per part.
        """
        n = len(status)
        self.kernel.run(
            0, (n + 7) // 8, self.kernel.shape, steps, Who(n, plan_of, column_of, column_stride),
            Numbers(numbers, weights), Parts(state, value, more, part_stride),
            Results(out, out_stride, status, failed_at), Control(RTOL, ATOL_SHARE),
        )  # fmt: skip


class _Linear(Solver):
    def _kernel(self, structure: Structure, notify: Callable[[str], None] | None, points: int) -> Kernel:
        return linear.kernel(structure, notify, points)

    def numbers(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        return self.model.coefficients(env, shape).reshape(len(self.model.places), -1)


class _NonLinear(Solver):
    def _kernel(self, structure: Structure, notify: Callable[[str], None] | None, points: int) -> Kernel:
        self.written = write_equations(self.model)
        equations = self.written.equations(structure.inputs, structure.outputs, structure.steady)
        return nonlinear.kernel(equations, len(self.written.names), notify)

    def numbers(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        rows: list[Any] = [np.broadcast_to(env[name], shape).reshape(-1) for name in self.written.names]
        return np.array(rows, float).reshape(len(rows), int(np.prod(shape)))


def choose(
    model: Compiled,
    outputs: tuple[str, ...],
    inputs: tuple[int, ...],
    steady: bool,
    notify: Callable[[str], None] | None = None,
    points: int = 0,
) -> Solver:
    """The engine for a model.

    `inputs` are the states that may be fed at a constant rate; `points`, patients × times, tells whether code made
    for the model repays its compilation. The bits do not depend on it.
    """
    return (_Linear if model.linear else _NonLinear)(model, outputs, inputs, steady, notify, points)
