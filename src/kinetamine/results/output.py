"""One simulated quantity, and what the status of a patient means: below everything else of results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kinetamine.results import show

__all__ = ["BANDS", "STATUS", "Floats", "Output", "column_quantiles", "describe_status"]

#: what the status codes of a patient mean
STATUS = {
    0: "ok",
    1: "a value is not finite",
    2: "too many steps",
    3: "the step became too small",
    4: "no steady state: what goes in does not get out",
}

Floats = NDArray[np.float64]

#: quantiles shown when none are asked for
BANDS = (0.05, 0.5, 0.95)


def describe_status(code: int) -> str:
    """A status code in words.

    Examples
    --------
    >>> describe_status(0)
    'ok'
    """
    return STATUS.get(int(code), f"failed (code {int(code)})")


@dataclass(eq=False)
class Output:
    """One simulated quantity with its unit, its site and how far to trust it.

    Parameters
    ----------
    name, analyte, site, unit : str
        As declared by the model; `site` is e.g. ``venous plasma``.
    grade : str
        ``observed``, ``fitted`` or ``extrapolated``.
    reasons : tuple of str
        Why this grade, in words.
    values : array (patient, time) or None
        In `unit`; None when the run was streamed and only quantiles were kept. In event tables: (record,).
    quantiles : dict of float to array (time,)
        Kept by streamed runs.

    Examples
    --------
    >>> Output("S-ketamine", "S-ketamine", "venous plasma", "ng/mL", "fitted").label
    'S-ketamine, venous plasma (ng/mL)'
    """

    name: str
    analyte: str
    site: str
    unit: str
    grade: str
    reasons: tuple[str, ...] = ()
    values: Floats | None = None
    quantiles: dict[float, Floats] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name, site and unit in one line, as written on an axis."""
        site = f", {self.site}" if self.site and self.site not in self.name else ""
        return f"{self.name}{site} ({show.unit(self.unit)})"


def column_quantiles(values: Floats, q: Sequence[float]) -> Floats:
    """Quantiles over the rows (linear interpolation), array (quantile, column).

    Blocks of columns are turned into rows first, so that each selection runs through neighbouring memory.

    Examples
    --------
    >>> column_quantiles(np.array([[1.0], [2.0], [4.0]]), [0.0, 0.25, 1.0]).ravel().tolist()
    [1.0, 1.5, 4.0]
    """
    n, columns = values.shape
    out = np.full((len(q), columns), np.nan)
    if n == 0:
        return out
    place = np.asarray(q, dtype=np.float64) * (n - 1)
    low = np.floor(place).astype(np.int64)
    high = np.minimum(low + 1, n - 1)
    share = place - low
    width = max(1, min(32, 4_000_000 // n))

    def block(start: int) -> None:
        rows = np.ascontiguousarray(values[:, start : start + width].T)
        if not np.isfinite(rows.sum()):  # NaN would be sorted to the end and pass for a large value
            rows[np.isnan(rows).any(axis=1)] = np.nan
        rows.sort(axis=1)  # with vector instructions many times as quick as a selection of ten places
        a, b = rows[:, low].T, rows[:, high].T
        with np.errstate(invalid="ignore"):
            out[:, start : start + width] = np.where(share[:, None] == 0.0, a, a + share[:, None] * (b - a))

    starts = range(0, columns, width)
    if n * columns < 1_000_000:  # sooner done than threads are started
        for start in starts:
            block(start)
    else:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(block, starts))
    return out
