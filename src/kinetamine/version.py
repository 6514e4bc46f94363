"""The version of this package, for everything that says which one made a result."""

from __future__ import annotations

import functools
from importlib import metadata

__all__ = ["version"]


@functools.cache
def version() -> str:
    """As in the metadata of the installed package."""
    return metadata.version("kinetamine")
