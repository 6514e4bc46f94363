"""Scores of one patient: the posterior of his course."""

from __future__ import annotations

from typing import Any

__all__ = ["is_course", "posterior"]


def is_course(model: Any) -> bool:
    """Whether a model is one of the course of depression."""
    return False


def posterior(model: Any, doses: Any, observations: Any, *, seed: int = 0, n: int = 10_000) -> Any:
    """To come."""
    raise NotImplementedError
