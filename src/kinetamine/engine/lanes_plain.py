"""The eight lanes in plain NumPy: the same names as in `lanes`, for a debugger and for tests.

Used instead of the compiled ones when ``NUMBA_DISABLE_JIT=1`` is set. A pointer is the flat view of an array; a row
is its numbers ``8 i … 8 i + 7``.
"""

from __future__ import annotations

import numpy as np

__all__ = ["add", "blend", "fma", "load", "mul", "rows", "scatter", "splat", "store", "sub", "zero"]

LANES = 8


def rows(array: np.ndarray) -> np.ndarray:
    """The array as one row of numbers, not a copy: kernel arrays are C-contiguous."""
    return array.reshape(-1)


def load(p: np.ndarray, i: int) -> np.ndarray:
    """Row `i`."""
    return p[LANES * i : LANES * (i + 1)].copy()


def store(p: np.ndarray, i: int, value: np.ndarray) -> None:
    """Write row `i`."""
    p[LANES * i : LANES * (i + 1)] = value


def scatter(p: np.ndarray, first: int, stride: int, value: np.ndarray) -> None:
    """Write the lanes to numbers `first`, `first` + `stride`, …"""
    p[first + stride * np.arange(LANES)] = value


def fma(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """a · b + c with two roundings: equal to the compiled one but for about an ulp."""
    return a * b + c


def blend(switch: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`a` where `switch` is above 0.5, else `b`."""
    return np.where(switch > 0.5, a, b)


def splat(value: float) -> np.ndarray:
    """The same number in all eight lanes."""
    return np.full(LANES, value)


def zero() -> np.ndarray:
    """Eight zeros."""
    return np.zeros(LANES)


add, sub, mul = np.add, np.subtract, np.multiply
