"""A non-linear model behind the same door as a linear one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from kinetamine.engine import nonlinear
from kinetamine.models.compile import Compiled
from kinetamine.models.equations import Written, write_equations

__all__ = ["RTOL", "NonLinear"]

#: relative tolerance of a step, and absolute one as share of the largest dose
RTOL, ATOL_SHARE = 1e-9, 1e-15


@functools.lru_cache(maxsize=64)
def _written(model: Compiled) -> Written:
    return write_equations(model)


class NonLinear:
    """See `solver.Solver`."""

    def __init__(
        self,
        model: Compiled,
        outputs: tuple[str, ...],
        inputs: tuple[int, ...],
        steady: bool,
        notify: Callable[[str], None] | None,
    ) -> None:
        self.model, self.outputs = model, outputs
        self.written = _written(model)
        structure = model.structure(outputs, inputs, steady)
        self.observed = len(structure.outputs)
        self.module = nonlinear.kernel(
            self.written.equations(structure.inputs, structure.outputs, steady), notify
        )

    def run(
        self, *, steps, plan_of, env, shape, column_of, column_stride, doses, part_stride, every,
        out, out_stride, status, failed_at,
    ) -> None:  # type: ignore[no-untyped-def]  # fmt: skip
        from kinetamine.simulate.solver import more

        n = len(status)
        rows: list[Any] = [np.broadcast_to(env[name], shape).reshape(-1) for name in self.written.names]
        parameters = np.array(rows, float).reshape(len(rows), int(np.prod(shape)))
        weights = self.model.weights(env, self.outputs, shape)
        self.module.run(
            0, n, n, plan_of, steps.start, steps.origin, steps.h, steps.version, steps.code, steps.arg,
            parameters, weights.reshape(len(weights), -1), column_of, column_stride,
            doses.state, doses.value.ravel(), more(doses, every), np.array(part_stride),
            out, np.array(out_stride), status, failed_at, RTOL, ATOL_SHARE,
        )  # fmt: skip
