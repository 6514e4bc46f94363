"""The words for how far a number can be trusted, best first."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["EXTRAPOLATED", "FITTED", "GRADES", "NOT_STATED", "worst"]

FITTED, NOT_STATED, EXTRAPOLATED = "fitted", "range not stated", "extrapolated"

#: grade → what it means, in one sentence; best first
GRADES = {
    "observed": "Measured in people like these; the model agrees with what was seen.",
    FITTED: "Inside the ranges of people, doses and times that the model was made from.",
    NOT_STATED: "The paper does not say a range that the request needs, so nobody knows whether it lies inside.",
    EXTRAPOLATED: "Outside a range of the model, or against what its authors say it can do: no data stand behind it.",
    "no data": "No published number can answer.",
}


def worst(grades: Iterable[str]) -> str:
    """The lowest of several grades; without any, `FITTED`.

    Examples
    --------
    >>> worst(["fitted", "range not stated"])
    'range not stated'
    """
    order = list(GRADES)
    return max(grades, key=order.index, default=FITTED)
