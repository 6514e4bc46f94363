"""What a linear compartment system does in the long run: its slowest rate, and areas to infinity.

Both follow from the matrix alone. ``dx/dt = A x`` with rates that are never negative off the diagonal: ``-A`` is an
M-matrix, its smallest eigenvalue is real, elimination without exchange of rows is stable, and the area under ``w x``
after amounts `a` went in is ``w (-A)⁻¹ a``, however fast they did.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

__all__ = ["areas", "between", "slowest_rate"]

Matrix = Mapping[tuple[int, int], np.ndarray]


def between(places: Iterable[tuple[int, int]], sources: Iterable[int], targets: Iterable[int]) -> list[int]:
    """States on the way from some states to others, both included.

    Examples
    --------
    >>> between([(1, 0), (2, 1), (3, 0)], [0], [2])   # row, column: what flows from column to row
    [0, 1, 2]
    """
    places = list(places)

    def spread(start: set[int], edges: list[tuple[int, int]]) -> set[int]:
        found = set(start)
        while True:
            more = {to for frm, to in edges if frm in found} - found
            if not more:
                return found
            found |= more

    down = spread(set(sources), [(column, row) for row, column in places])
    up = spread(set(targets), places)
    return sorted(down & up)


def _blocks(states: Sequence[int], matrix: Matrix) -> list[list[int]]:
    """States that reach each other, in groups."""
    edges = [(row, column) for row, column in matrix if row in states and column in states]
    reach = {s: set(between(edges, [s], states)) for s in states}
    left, found = list(states), []
    while left:
        group = [s for s in left if s in reach[left[0]] and left[0] in reach[s]] or [left[0]]
        found.append(group)
        left = [s for s in left if s not in group]
    return found


def slowest_rate(matrix: Matrix, states: Sequence[int]) -> np.ndarray:
    """Rate at which what is in these states fades in the end, array (patient,), 1/h; 0 where something stays.

    Parameters
    ----------
    matrix : dict of (row, column) to array (patient,)
        ``A`` of ``dx/dt = A x``.
    states : sequence of int
        The part of the system that counts.

    Examples
    --------
    >>> a = {(0, 0): np.array([-3.0]), (0, 1): np.array([1.0]), (1, 0): np.array([2.0]), (1, 1): np.array([-1.0])}
    >>> slowest_rate(a, [0, 1]).round(6).tolist()
    [0.267949]
    """
    rates = [_slowest(matrix, block) for block in _blocks(states, matrix)]
    return np.min(np.stack(np.broadcast_arrays(*rates)), axis=0)


def _slowest(matrix: Matrix, block: Sequence[int]) -> np.ndarray:
    n = len(block)
    m = [[-np.asarray(matrix.get((i, j), 0.0), float) for j in block] for i in block]
    if n == 1:
        return np.maximum(m[0][0], 0.0)
    if n == 2:
        det = m[0][0] * m[1][1] - m[0][1] * m[1][0]
        trace = m[0][0] + m[1][1]
        return np.maximum(det / (0.5 * (trace + np.sqrt(np.maximum(trace**2 - 4 * det, 0.0)))), 0.0)
    if n == 3:
        (a, b, c), (d, e, f), (g, h, i) = m
        minors = a * e - b * d + a * i - c * g + e * i - f * h
        det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        trace = a + e + i
        x = np.zeros(np.broadcast(det, trace).shape)
        for _ in range(100):  # Newton from below never passes the smallest root, which is real
            value = ((trace - x) * x - minors) * x + det
            slope = (2 * trace - 3 * x) * x - minors
            with np.errstate(all="ignore"):
                step = np.where(value > 0, -value / slope, 0.0)
            step = np.where(np.isfinite(step) & (step > 0), step, 0.0)
            x = x + step
            if (step <= 1e-15 * x).all():
                break
        return np.maximum(x, 0.0)
    cells = np.broadcast_arrays(*(cell for row in m for cell in row))
    whole = np.stack(cells, axis=-1).reshape(*cells[0].shape, n, n)
    return np.maximum(np.linalg.eigvals(whole).real.min(axis=-1), 0.0)


def areas(matrix: Matrix, states: Sequence[int], weights: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Area under a weighted sum of states, from zero to infinity, after one unit goes into each state.

    Returns
    -------
    dict of state to array (patient,)
        Infinite where something stays for ever.

    Examples
    --------
    >>> areas({(0, 0): np.array([-0.5])}, [0], {0: np.array([2.0])})
    {0: array([4.])}
    """
    n = len(states)
    # columns of -A as rows: y solves (-A)ᵀ y = w
    m = [[-np.asarray(matrix.get((j, i), 0.0), float) for j in states] for i in states]
    y = [np.asarray(weights.get(s, 0.0), float) for s in states]
    with np.errstate(all="ignore"):
        for k in range(n):
            for r in range(k + 1, n):
                factor = m[r][k] / m[k][k]
                for c in range(k, n):
                    m[r][c] = m[r][c] - factor * m[k][c]
                y[r] = y[r] - factor * y[k]
        for k in range(n - 1, -1, -1):
            for c in range(k + 1, n):
                y[k] = y[k] - m[k][c] * y[c]
            y[k] = y[k] / m[k][k]
    return dict(zip(states, y, strict=True))
