"""Answers that are remembered by the content of a question, not by its objects."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Keyed"]


@dataclass(frozen=True)
class Keyed:
    """What a cached function is asked: equal to any other with the same key.

    Parameters
    ----------
    key : hashable
        All that the answer depends on, models by their digests.
    asked : tuple
        What is needed to answer.

    Examples
    --------
    >>> Keyed("a", ([1],)) == Keyed("a", ([2],))
    True
    """

    key: Hashable
    asked: tuple[Any, ...] = field(compare=False)
