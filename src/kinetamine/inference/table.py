"""Event tables with measured values: a posterior for each person."""

from __future__ import annotations

from typing import Any

__all__ = ["is_table", "posterior"]


def is_table(doses: Any) -> bool:
    """Whether doses are an event table."""
    return False


def posterior(models: Any, doses: Any, **how: Any) -> Any:
    """To come."""
    raise NotImplementedError
