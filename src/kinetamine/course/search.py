"""Which booster schedule keeps most patients well for the fewest sessions: a small grid, with its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.course.model import CAVEAT
from kinetamine.course.run import course

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SearchResult", "search_boosters"]


@dataclass(frozen=True, eq=False)
class SearchResult:
    """The grid. A model of groups, not for a person.

    `table`: spacing_d, threshold, share of time well and sessions, each with its Monte Carlo standard error
    (``_se``) and the 5-95 % range of parameter uncertainty (``_low``, ``_high``); `efficient`: no other point
    gives more time well for as few sessions.
    """

    table: pl.DataFrame
    notes: tuple[str, ...]
    caveat: str = CAVEAT


def search_boosters(
    regimen: Any,
    spacings_d: Sequence[float] = (7, 14, 28),
    thresholds: Sequence[float] = (12, 16, 20, 24),
    n: int = 2000,
    seed: int = 0,
    rules: Sequence[str] = (),
    **options: Any,
) -> SearchResult:
    """Compare booster rules after an induction.

    Every point gives a booster at a weekly visit to those who have responded before, when MADRS is at least
    the threshold and the last session is at least the spacing ago. The same patients go through every point.

    Parameters
    ----------
    regimen : str
        The induction, as for `course`.
    spacings_d, thresholds : sequence of float
    n, seed : int
    rules : sequence of str
        Rules that hold at every point.
    **options
        As for `course`.

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.search_boosters(
    ...     "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks", (7, 28), (20,), n=500, uncertainty=0
    ... )
    >>> found.table["sessions"].is_sorted(descending=True)
    True
    """
    import polars as pl

    rows: list[dict[str, Any]] = []
    notes: tuple[str, ...] = ()
    for spacing in spacings_d:
        for threshold in thresholds:
            rule = (
                f"booster every {spacing:g} days when MADRS >= {threshold:g} at a weekly visit for responders"
            )
            arm = course(regimen, n, seed, rules=[*rules, rule], **options)
            summary, notes = arm.summary(), arm.notes
            row: dict[str, Any] = {"spacing_d": float(spacing), "threshold": float(threshold)}
            for name, key in (("well", "share of time well"), ("sessions", "sessions")):
                found = summary[key]
                row |= {name: found["value"], f"{name}_se": found["mc_se"]}
                row |= {f"{name}_{side}": found[side] for side in ("low", "high") if side in found}
            rows.append(row)
    well = np.array([row["well"] for row in rows])
    used = np.array([row["sessions"] for row in rows])
    for k, row in enumerate(rows):
        better = (well >= well[k]) & (used <= used[k]) & ((well > well[k]) | (used < used[k]))
        row["efficient"] = not bool(better.any())
    return SearchResult(pl.DataFrame(rows), notes)
