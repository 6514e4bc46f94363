"""Results of event tables: one value per observation record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinetamine.results import export
from kinetamine.results import exposure as _exposure
from kinetamine.results.output import Output
from kinetamine.results.simulated import Simulated

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TableResult"]


@dataclass(eq=False, repr=False)
class TableResult(Simulated):
    """What an event table gives: the outputs at each observation record, in the table's order.

    Parameters
    ----------
    id : sequence (record,)
        Labels as they stood in the table.
    subject : array (record,) of int
        Which subject, counted from 0 in order of appearance.
    time_h : array (record,), h
    outputs : dict of str to Output
        `Output.values` has one value per record.
    status : array (subject,) of int
        0 = ok; see `kinetamine.results.STATUS`.
    birth, citations, doses, notes
        As in `kinetamine.results.Result`.
    carried : dict of str to series (record,)
        Columns of the table that go along, and what `also` asked for.

    Examples
    --------
    >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([5.0, 4.0, 6.0]))
    >>> r = TableResult(["a", "a", "b"], np.array([0, 0, 1]), np.array([1.0, 2.0, 1.0]), {"C": out})
    >>> r.to_polars().rows()
    [('a', 1.0, 5.0), ('a', 2.0, 4.0), ('b', 1.0, 6.0)]
    """

    id: Sequence[Any]
    subject: NDArray[np.int64]
    time_h: NDArray[np.float64]
    outputs: dict[str, Output]
    status: NDArray[np.integer[Any]] | None = None
    birth: dict[str, Any] = field(default_factory=dict)
    citations: list[dict[str, Any]] = field(default_factory=list)
    doses: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    carried: dict[str, Any] = field(default_factory=dict)

    #: an event table is never a typical patient nor streamed
    typical = False
    streamed = False

    def __post_init__(self) -> None:
        self.subject = np.asarray(self.subject, dtype=np.int64)
        self.time_h = np.asarray(self.time_h, dtype=np.float64)
        if self.status is None:
            self.status = np.zeros(int(self.subject.max(initial=-1)) + 1, dtype=np.int8)

    @property
    def labels(self) -> list[Any]:
        """Label of each subject; None for one without observation records."""
        found: list[Any] = [None] * self.n
        for label, subject in zip(self.id, self.subject.tolist(), strict=True):
            if found[subject] is None:
                found[subject] = export.plain(label)
        return found

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Values of an output, array (record,), in its unit."""
        values = self.output(name).values
        assert values is not None
        return values

    def __len__(self) -> int:
        return len(self.time_h)

    def exposure(
        self,
        thresholds: Mapping[str, float] | float | None = None,
        from_h: float = 0.0,
        to_h: float | None = None,
    ) -> pl.DataFrame:
        """Exposure measures from each subject's records; see `Result.exposure`, with ``ID`` for ``patient``.

        Examples
        --------
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([8.0, 4.0, 2.0, 1.0]))
        >>> r = TableResult([7] * 4, np.zeros(4, dtype=int), np.array([0.0, 1.0, 2.0, 3.0]), {"C": out})
        >>> r.exposure().select("ID", "cmax", "half_life_h").row(0)
        (7, 8.0, 1.0...)
        """
        return _exposure.table_frame(self, thresholds, from_h, to_h)

    def to_polars(self) -> pl.DataFrame:
        """One row per observation record: ``ID``, ``TIME``, one column per output and what goes along."""
        return export.table_frame(self)

    def to_pandas(self) -> Any:
        """As `to_polars`, a pandas frame (needs the extra ``pandas``)."""
        return export.pandas_frame(self.to_polars())

    def to_dict(self) -> dict[str, Any]:
        """The result as plain lists and texts, ready for JSON."""
        return export.table_dict(self)

    def to_json(self, indent: int | None = None) -> str:
        """The result as JSON text."""
        return export.json_text(self.to_dict(), indent)

    def __repr__(self) -> str:
        people = f"{self.n:,} subject{'s' * (self.n != 1)}"
        records = f"{len(self.time_h):,} observation records"
        return f"<TableResult of {self._models()}: {people}, {records}; {self._quantities()}>"

    def summary(self, from_h: float = 0.0, to_h: float | None = None) -> list[dict[str, str]]:
        """Rows for a table on the screen: one per output, texts, median (5-95 %) over the subjects."""
        return super().summary(from_h, to_h) if self.outputs and len(self.time_h) else []
