"""JSON as every answer has it."""

from __future__ import annotations

import json
from typing import Any

from kinetamine.results.export import plain

__all__ = ["dumps"]


def dumps(data: Any) -> bytes:
    """JSON, compact; what is not finite becomes null. Text stays as it is.

    Examples
    --------
    >>> dumps({"x": [1.0, float("inf")]})
    b'{"x":[1.0,null]}'
    """
    if isinstance(data, str):
        return data.encode("utf-8", "replace")
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        text = json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
