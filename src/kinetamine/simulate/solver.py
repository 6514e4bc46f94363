"""The engine behind a model: exact steps for a linear one, adaptive steps for any other; called alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kinetamine.engine import linear, nonlinear, timeline
from kinetamine.engine.linear import Structure
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
    ) -> None:
        self.model, self.outputs = model, outputs
        structure = model.structure(outputs, inputs, steady)
        self.observed = len(structure.outputs)
        self.module = self._kernel(structure, notify)

    def _kernel(self, structure: Structure, notify: Callable[[str], None] | None) -> Any:
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
        raise NotImplementedError


class _Linear(Solver):
    def _kernel(self, structure: Structure, notify: Callable[[str], None] | None) -> Any:
        return linear.kernel(structure, notify)

    def numbers(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        return self.model.coefficients(env, shape).reshape(len(self.model.places), -1)

    def step(
        self, steps, plan_of, numbers, weights, column_of, column_stride, state, value, more, part_stride, out,
        out_stride, status, failed_at,
    ) -> None:  # type: ignore[no-untyped-def]  # fmt: skip
        n = len(status)
        self.module.run(
            0, (n + 7) // 8, n,
            plan_of, steps.start, steps.length, steps.h, steps.version, steps.code, steps.arg,
            numbers, weights, column_of, column_stride, state, value, more, part_stride,
            out, out_stride, status,
        )  # fmt: skip


class _NonLinear(Solver):
    def _kernel(self, structure: Structure, notify: Callable[[str], None] | None) -> Any:
        self.written = write_equations(self.model)
        equations = self.written.equations(structure.inputs, structure.outputs, structure.steady)
        return nonlinear.kernel(equations, notify)

    def numbers(self, env: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
        rows: list[Any] = [np.broadcast_to(env[name], shape).reshape(-1) for name in self.written.names]
        return np.array(rows, float).reshape(len(rows), int(np.prod(shape)))

    def step(
        self, steps, plan_of, numbers, weights, column_of, column_stride, state, value, more, part_stride, out,
        out_stride, status, failed_at,
    ) -> None:  # type: ignore[no-untyped-def]  # fmt: skip
        n = len(status)
        self.module.run(
            0, n, n, plan_of, steps.start, steps.origin, steps.h, steps.version, steps.code, steps.arg,
            numbers, weights, column_of, column_stride, state, value, more, part_stride,
            out, out_stride, status, failed_at, RTOL, ATOL_SHARE,
        )  # fmt: skip


def choose(
    model: Compiled,
    outputs: tuple[str, ...],
    inputs: tuple[int, ...],
    steady: bool,
    notify: Callable[[str], None] | None = None,
) -> Solver:
    """The engine for a model; `inputs` are the states that may be fed at a constant rate."""
    return (_Linear if model.linear else _NonLinear)(model, outputs, inputs, steady, notify)
