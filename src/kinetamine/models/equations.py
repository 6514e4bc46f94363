"""Equations of a non-linear model as Python text, with the Jacobian from sympy.

The text is made from the parsed tree only: numbers, operators, the grammar's functions and names that are mapped to
``x[i]`` and ``p[k]``. Nothing of a model file's own text gets into generated code.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from kinetamine.engine.nonlinear import Equations
from kinetamine.errors import InputError
from kinetamine.formulas.symbolic import to_sympy
from kinetamine.formulas.tree import names
from kinetamine.models.compile import Compiled

__all__ = ["Written", "write_equations"]


@dataclass(frozen=True)
class Written:
    """Right-hand side and derivatives of a model.

    Parameters
    ----------
    names : tuple of str
        What ``p[k]`` stands for.
    derivative, jacobian, by_time
        As in `engine.nonlinear.Equations`.
    """

    names: tuple[str, ...]
    derivative: tuple[str, ...]
    jacobian: tuple[tuple[int, int, str], ...]
    by_time: tuple[tuple[int, str], ...]

    def equations(
        self, inputs: tuple[int, ...], outputs: tuple[tuple[int, ...], ...], steady: bool = False
    ) -> Equations:
        """For the engine."""
        return Equations(
            len(self.derivative), self.derivative, self.jacobian, self.by_time, inputs, outputs, steady
        )


def _text(expr: Any) -> str:
    import sympy
    from sympy.printing.pycode import PythonCodePrinter

    class Printer(PythonCodePrinter):  # type: ignore[misc]
        def _print_Symbol(self, symbol: Any) -> str:
            return str(symbol.name)

        def _print_Floor(self, call: Any) -> str:
            return f"math.floor({self._print(call.args[0])})"

        def _print_sign(self, call: Any) -> str:
            return f"math.copysign(1.0, {self._print(call.args[0])})"

        def _print_Heaviside(self, call: Any) -> str:
            return f"(1.0 if {self._print(call.args[0])} > 0 else 0.0)"

    for call in expr.atoms(sympy.DiracDelta):  # second derivatives of a kink never matter
        expr = expr.subs(call, 0)
    return str(Printer({"fully_qualified_modules": True}).doprint(expr))


@functools.lru_cache(maxsize=64)
def write_equations(model: Compiled) -> Written:
    """Equations of a compiled model.

    Examples
    --------
    >>> from kinetamine.models.compile import compile_model
    >>> from kinetamine.models.library import load
    >>> written = write_equations(compile_model(load("flint_2017_s_ketamine_picu")))
    >>> len(written.derivative), [row for row, _ in written.by_time]
    (3, [2])
    """
    import sympy

    states = {name: k for k, name in enumerate(model.states)}
    used = sorted({n for e in model.equations for n in names(e)} - states.keys() - {"time"})
    symbols: dict[str, Any] = {name: sympy.Symbol(f"x[{k}]", real=True) for name, k in states.items()}
    symbols.update({name: sympy.Symbol(f"p[{k}]", real=True) for k, name in enumerate(used)})
    symbols["time"] = sympy.Symbol("t", real=True)
    right = [to_sympy(e, dict(symbols)) for e in model.equations]
    moving = {*(symbols[name] for name in states), symbols["time"]}
    for expr in right:
        if any(call.free_symbols & moving for call in expr.atoms(sympy.loggamma)):
            wanted = "lgamma of what does not change with time"
            raise InputError(f"model {model.spec.id}", "lgamma of an amount or of time in a flow", wanted)
    jacobian = []
    for i, expr in enumerate(right):
        for k, name in enumerate(model.states):
            slope = sympy.diff(expr, symbols[name])
            if slope != 0:
                jacobian.append((i, k, _text(slope)))
    by_time = []
    for i, expr in enumerate(right):
        slope = sympy.diff(expr, symbols["time"])
        if slope != 0:
            by_time.append((i, _text(slope)))
    return Written(
        tuple(used), tuple(_text(sympy.sympify(e)) for e in right), tuple(jacobian), tuple(by_time)
    )
