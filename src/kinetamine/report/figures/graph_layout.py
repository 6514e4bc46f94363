"""Places for the boxes of a small graph: layers from top to bottom, few crossings, lines that pass by boxes.

Boxes that exchange with one other box only stand beside it, in its layer. A line that spans several layers gets a
narrow place of its own in each, so that it runs past the boxes there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, permutations

from kinetamine.report.figures.axes import apart

__all__ = ["Edge", "Placed", "arrange"]

#: pixels between boxes of a layer, kept free around a passing line, between layers
GAP, PASS, LAYER = 30, 18, 56
#: box height, widest and narrowest box
HIGH, WIDEST, NARROWEST = 40, 112, 54
_SWEEPS = 6
#: layers with more places than this are left in the order they come
_MOST_PERMUTED = 6


@dataclass(frozen=True)
class Edge:
    """A line with a head, from one box to another."""

    start: str
    end: str


@dataclass
class Placed:
    """Middles of boxes, the width of boxes and the corners of every line; pixels."""

    width: float
    height: float
    box: float
    middle: dict[str, tuple[float, float]] = field(default_factory=dict)
    corners: dict[int, list[tuple[float, float]]] = field(default_factory=dict)


def arrange(nodes: Sequence[str], edges: Sequence[Edge], width: float) -> Placed:
    """Layers, order and places.

    Parameters
    ----------
    nodes : sequence of str
        In the order that decides ties.
    edges : sequence of Edge
    width : float
        Pixels to stay within, if the boxes can be made small enough.

    Returns
    -------
    Placed

    Examples
    --------
    >>> found = arrange(["a", "b"], [Edge("a", "b")], 300)
    >>> found.middle["a"][1] < found.middle["b"][1]
    True
    """
    beside = _beside(nodes, edges)
    rank = _ranks(
        [n for n in nodes if n not in beside], [e for e in edges if not {e.start, e.end} & set(beside)]
    )
    rank |= {node: rank[parent] for node, parent in beside.items()}
    paths = _paths(edges, rank)
    layers: list[list[str]] = [[] for _ in range(max(rank.values(), default=0) + 1)]
    for node in nodes:
        if node not in beside:
            layers[rank[node]].append(node)
    for path in paths.values():
        for level, place in path[1:-1]:
            layers[level].append(place)
    links = [(a[1], b[1]) for path in paths.values() for a, b in pairwise(path)]
    _order(layers, links)
    sides = _sides(beside)
    box = _box(layers, sides, set(nodes), width)
    width = max(width, _need(layers, sides, set(nodes), box))  # where even the narrowest boxes do not fit
    across = _across(layers, links, sides, set(nodes), box, width)
    return _placed(edges, rank, paths, across, box, width)


def _beside(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, str]:
    """Boxes that exchange with one other only → that one."""
    found: dict[str, str] = {}
    for node in nodes:
        into = {e.start for e in edges if e.end == node}
        out = {e.end for e in edges if e.start == node}
        if into == out and len(into) == 1 and (parent := next(iter(into))) not in found and parent != node:
            found[node] = parent
    return found


def _ranks(nodes: Sequence[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Layer of each box: below what flows into it; sources right above what they flow into."""
    down = {n: list(dict.fromkeys(e.end for e in edges if e.start == n and e.end != n)) for n in nodes}
    forward: dict[str, list[str]] = {n: [] for n in nodes}
    state: dict[str, int] = {}

    def visit(node: str) -> None:
        state[node] = 1
        for other in down[node]:
            if state.get(other) != 1:  # a line back to where we come from does not count
                forward[node].append(other)
                if other not in state:
                    visit(other)
        state[node] = 2

    sources = [n for n in nodes if not any(n in ends for ends in down.values())]
    for node in [*sources, *nodes]:
        if node not in state:
            visit(node)
    rank = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for node in nodes:
            for other in forward[node]:
                rank[other] = max(rank[other], rank[node] + 1)
    for _ in nodes:
        for node in nodes:
            if forward[node] and not any(node in ends for ends in forward.values()):
                rank[node] = min(rank[o] for o in forward[node]) - 1
    least = min(rank.values(), default=0)
    return {node: level - least for node, level in rank.items()}


def _paths(edges: Sequence[Edge], rank: Mapping[str, int]) -> dict[int, list[tuple[int, str]]]:
    """Line → the layers and places it passes from top to bottom; lines within a layer are left out."""
    found = {}
    for k, edge in enumerate(edges):
        top, foot = sorted((edge.start, edge.end), key=lambda n: rank[n])
        if rank[top] == rank[foot]:
            continue
        between = [(level, f" {k} {level}") for level in range(rank[top] + 1, rank[foot])]
        found[k] = [(rank[top], top), *between, (rank[foot], foot)]
    return found


def _order(layers: list[list[str]], links: Sequence[tuple[str, str]]) -> None:
    """Put each layer in the order with the fewest crossings."""
    for sweep in range(_SWEEPS):
        levels = range(len(layers)) if sweep % 2 == 0 else reversed(range(len(layers)))
        for level in levels:
            if len(layers[level]) > _MOST_PERMUTED:
                continue
            orders = list(permutations(layers[level]))
            costs = [_cost(layers, level, order, links) for order in orders]
            layers[level] = list(orders[costs.index(min(costs))])


def _cost(
    layers: Sequence[Sequence[str]], level: int, order: Sequence[str], links: Sequence[tuple[str, str]]
) -> float:
    here = {name: k for k, name in enumerate(order)}
    cost = 0.0
    for other in (level - 1, level + 1):
        if not 0 <= other < len(layers):
            continue
        there = {name: k for k, name in enumerate(layers[other])}
        pairs = [(here[a], there[b]) for a, b in links if a in here and b in there]
        pairs += [(here[b], there[a]) for a, b in links if b in here and a in there]
        for i, (a, b) in enumerate(pairs):
            shift = (len(order) - 1) / 2 - a - (len(there) - 1) / 2 + b
            cost += 0.01 * abs(shift)
            cost += sum((a - c) * (b - d) < 0 for c, d in pairs[:i])
    return cost


def _sides(beside: Mapping[str, str]) -> dict[str, tuple[list[str], list[str]]]:
    """Box → boxes to its left and to its right."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for node, parent in beside.items():
        left, right = found.setdefault(parent, ([], []))
        (right if len(right) <= len(left) else left).append(node)
    return found


def _spread(
    name: str, sides: Mapping[str, tuple[list[str], list[str]]], nodes: set[str], box: float
) -> tuple[float, float]:
    """Pixels that a place takes to the left and to the right of its middle."""
    if name not in nodes:
        return PASS / 2, PASS / 2
    left, right = (box / 2 + len(some) * (box + GAP) for some in sides.get(name, ([], [])))
    return left, right


def _box(
    layers: Sequence[Sequence[str]],
    sides: Mapping[str, tuple[list[str], list[str]]],
    nodes: set[str],
    width: float,
) -> float:
    """The widest box with which every layer fits."""
    size = float(WIDEST)
    while size > NARROWEST:
        if _need(layers, sides, nodes, size) <= width:
            break
        size -= 2
    return size


def _need(
    layers: Sequence[Sequence[str]],
    sides: Mapping[str, tuple[list[str], list[str]]],
    nodes: set[str],
    size: float,
) -> float:
    """Pixels that the widest layer takes with boxes of this size."""
    need = (
        sum(sum(_spread(n, sides, nodes, size)) for n in layer) + GAP / 2 * (len(layer) - 1)
        for layer in layers
    )
    return max(need, default=0.0)


def _across(
    layers: Sequence[Sequence[str]],
    links: Sequence[tuple[str, str]],
    sides: Mapping[str, tuple[list[str], list[str]]],
    nodes: set[str],
    box: float,
    width: float,
) -> dict[str, float]:
    """How far to the right each place is, near those it is linked with."""
    near: dict[str, list[str]] = {}
    for a, b in links:
        near.setdefault(a, []).append(b)
        near.setdefault(b, []).append(a)
    across: dict[str, float] = {}

    def settle(layer: Sequence[str], known: Mapping[str, float]) -> None:
        wanted, sizes, offsets = [], [], []
        for k, name in enumerate(layer):
            left, right = _spread(name, sides, nodes, box)
            linked = [known[n] for n in near.get(name, ()) if n in known]
            middle = sum(linked) / len(linked) if linked else width * (k + 1) / (len(layer) + 1)
            offsets.append((right - left) / 2)
            sizes.append(left + right + GAP / 2)
            wanted.append(middle + offsets[-1] + GAP / 4)
        for k in range(1, len(wanted)):  # the order is decided: nobody overtakes
            wanted[k] = max(wanted[k], wanted[k - 1] + 1e-3)
        for name, place, offset in zip(layer, apart(wanted, sizes, width + GAP / 2), offsets, strict=True):
            across[name] = place - offset - GAP / 4

    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            settle(layer, across)
    for parent, both in sides.items():
        for sign, some in zip((-1, 1), both, strict=True):
            for k, node in enumerate(some):
                across[node] = across[parent] + sign * (k + 1) * (box + GAP)
    return across


def _placed(
    edges: Sequence[Edge],
    rank: Mapping[str, int],
    paths: Mapping[int, list[tuple[int, str]]],
    across: Mapping[str, float],
    box: float,
    width: float,
) -> Placed:
    step = HIGH + LAYER
    found = Placed(width, (max(rank.values(), default=0)) * step + HIGH, box)
    found.middle = {node: (across[node], level * step + HIGH / 2) for node, level in rank.items()}
    # lines leave and reach a box side by side, in the order of where they go
    ports: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for k, path in paths.items():
        (_, top), (_, foot) = path[0], path[-1]
        ports.setdefault((top, "foot"), []).append((across[path[1][1]], k))
        ports.setdefault((foot, "top"), []).append((across[path[-2][1]], k))
    port: dict[tuple[int, str], float] = {}
    for (node, side), lines in ports.items():
        for n, (_, k) in enumerate(sorted(lines)):
            room = box / (len(lines) + 1)
            port[k, side] = across[node] - box / 2 + room * (n + 1)
    for k, path in paths.items():
        start, end = (found.middle[node][1] for _, node in (path[0], path[-1]))
        corners = [(port[k, "foot"], start + HIGH / 2)]
        for level, place in path[1:-1]:
            corners += [(across[place], level * step - 4), (across[place], level * step + HIGH + 4)]
        corners.append((port[k, "top"], end - HIGH / 2))
        found.corners[k] = corners if edges[k].start == path[0][1] else corners[::-1]
    for k, edge in enumerate(edges):
        if k in found.corners:
            continue
        (x0, y), (x1, _) = found.middle[edge.start], found.middle[edge.end]
        sign = 1 if x1 > x0 else -1
        # to and fro, one above the other
        found.corners[k] = [(x0 + sign * box / 2, y - 9 * sign), (x1 - sign * box / 2, y - 9 * sign)]
    return found
