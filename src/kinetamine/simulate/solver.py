"""The engine behind a model: exact steps for a linear one, adaptive steps for any other; called alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from kinetamine.engine import linear, timeline
from kinetamine.models.compile import Compiled

__all__ = ["Solver", "choose"]


class Solver(Protocol):
    """What a run needs of an engine.

    `observed` is the number of rows it writes: the outputs that are sums of states, then the states that
    other outputs are computed from.
    """

    observed: int

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
        every: np.ndarray,
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
        every : array (parts,), h
            Dosing interval of each part, for steady states.
        out : array (observed, …)
            Written at ``patient * out_stride[0] + sample * out_stride[1] + out_stride[2]``.
        status, failed_at : array (patient,)
            Left 0 and NaN, or set to a code of `results.STATUS` and the time since the first dose, h (linear
            models: NaN).
        """
        ...


def more(doses: timeline.Doses, every: np.ndarray) -> np.ndarray:
    """Duration, interval and phase of each part as the engine wants them, array (3, parts × columns)."""
    return np.stack(
        [doses.duration_h, np.broadcast_to(every[:, None], doses.value.shape), doses.phase_h]
    ).reshape(3, -1)


class _Linear:
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
        self.module = linear.kernel(structure, notify)

    def run(
        self, *, steps, plan_of, env, shape, column_of, column_stride, doses, part_stride, every,
        out, out_stride, status, failed_at,
    ) -> None:  # type: ignore[no-untyped-def]  # fmt: skip
        n = len(status)
        coefficients = self.model.coefficients(env, shape).reshape(len(self.model.places), -1)
        weights = self.model.weights(env, self.outputs, shape)
        weights = weights.reshape(len(weights), -1)
        self.module.run(
            0, (n + 7) // 8, n,
            plan_of, steps.start, steps.length, steps.h, steps.version, steps.code, steps.arg,
            coefficients, weights, column_of, column_stride,
            doses.state, doses.value.ravel(), more(doses, every), np.array(part_stride),
            out, np.array(out_stride), status,
        )  # fmt: skip


def choose(
    model: Compiled,
    outputs: tuple[str, ...],
    inputs: tuple[int, ...],
    steady: bool,
    notify: Callable[[str], None] | None = None,
) -> Solver:
    """The engine for a model; `inputs` are the states that may be fed at a constant rate."""
    if model.linear:
        return _Linear(model, outputs, inputs, steady, notify)
    from kinetamine.simulate.stiff import NonLinear

    return NonLinear(model, outputs, inputs, steady, notify)
