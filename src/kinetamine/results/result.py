"""Results on a time grid: one row per patient, one column per time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinetamine.errors import InputError, MissingExtra, UnknownName
from kinetamine.results import export, references, show
from kinetamine.results import exposure as _exposure

if TYPE_CHECKING:
    import polars as pl

__all__ = ["STATUS", "Output", "Result", "column_quantiles", "describe_status"]

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


class Simulated:
    """What every result can say, whatever the shape of its values."""

    outputs: dict[str, Output]
    status: NDArray[np.integer[Any]] | None
    birth: dict[str, Any]
    citations: list[dict[str, Any]]

    @property
    def n(self) -> int:
        """Number of patients or subjects."""
        assert self.status is not None
        return len(self.status)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """Which patients or subjects could be computed, array of bool."""
        assert self.status is not None
        return np.asarray(self.status) == 0

    @property
    def regimen(self) -> list[str]:
        """The doses in words."""
        text = self.birth.get("regimen") or []
        return [text] if isinstance(text, str) else list(text)

    def output(self, name: str) -> Output:
        """The output called `name`, or the one whose name is nearest is offered.

        Raises
        ------
        UnknownName
            If there is no such output.
        """
        try:
            return self.outputs[name]
        except KeyError:
            raise UnknownName("output", str(name), self.outputs, "an output of this result") from None

    def __contains__(self, name: object) -> bool:
        return name in self.outputs

    def __iter__(self) -> Any:
        return iter(self.outputs)

    def cite(self, bibtex: bool = False) -> str:
        """The papers behind this run, one per line, or as BibTeX.

        Examples
        --------
        >>> paper = {"key": "a_2020", "citation": "A B. J 2020", "doi": "10.1/x"}
        >>> Result(np.array([0.0]), {}, citations=[paper]).cite()
        'A B. J 2020. https://doi.org/10.1/x'
        """
        return references.listed(self.citations, bibtex)


@dataclass(eq=False, repr=False)
class Result(Simulated):
    """A simulated patient or population on a time grid.

    Parameters
    ----------
    time_h : array (time,), h
    outputs : dict of str to Output
    patients : dict of str to array (patient,)
        Covariates as simulated.
    status : array (patient,) of int
        0 = ok; see `STATUS`. A failed patient's values are NaN and take no part in quantiles or exposure.
    birth : dict
        Where the numbers come from: ``models`` (list of id, digest, source, status), ``kinetamine``
        (version), ``seed``, ``n``, ``regimen`` (list of phrases), ``population`` (words), ``sources`` (keys).
        No clock time: the same run gives the same birth.
    citations : list of dict
        One per source used: ``key``, ``citation``, ``doi``, ``url``, ``year``, ``seen``, ``seen_in``.
    typical : bool
        A typical patient: no variability was drawn.
    doses : tuple
        The regimen, one object per administration with ``time_h``, ``amount``, ``per_kg``, ``entry``,
        ``drug``, ``duration_h``, ``rate``; drawn as a strip in reports.
    notes : tuple of str
        Limits of the models used, in their own words.
    exposure_arrays : dict of str to array (patient, 6), optional
        Measured while streaming; columns as `kinetamine.engine.nca.MEASURES`.
    exposure_window : (float, float or None)
        Window of `exposure_arrays`, h; None = to the end.
    exposure_levels : dict of str to float
        Levels that `exposure_arrays` counts the time above.

    Examples
    --------
    >>> t = np.arange(0.0, 4.0)
    >>> out = Output("S-ketamine", "S-ketamine", "plasma", "ng/mL", "fitted", values=np.exp(-t)[None, :] * 80)
    >>> r = Result(t, {"S-ketamine": out}, typical=True, birth={"models": [{"id": "demo"}]})
    >>> r
    <Result of demo: typical patient × 4 times, 0-3 h; S-ketamine (ng/mL, fitted)>
    >>> r["S-ketamine"].round(1).tolist()
    [[80.0, 29.4, 10.8, 4.0]]
    """

    time_h: Floats
    outputs: dict[str, Output]
    patients: dict[str, NDArray[Any]] = field(default_factory=dict)
    status: NDArray[np.integer[Any]] | None = None
    birth: dict[str, Any] = field(default_factory=dict)
    citations: list[dict[str, Any]] = field(default_factory=list)
    typical: bool = False
    doses: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    exposure_arrays: dict[str, NDArray[np.floating[Any]]] = field(default_factory=dict)
    exposure_window: tuple[float, float | None] = (0.0, None)
    exposure_levels: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.time_h = np.asarray(self.time_h, dtype=np.float64)
        if self.status is None:
            stored = [len(o.values) for o in self.outputs.values() if o.values is not None]
            self.status = np.zeros(stored[0] if stored else int(self.birth.get("n") or 1), dtype=np.int8)
        self._quantiles: dict[tuple[str, float], Floats] = {}

    # ---- what is in it

    @property
    def streamed(self) -> bool:
        """True when only quantiles were kept, not every patient's curve."""
        return any(o.values is None for o in self.outputs.values())

    def __getitem__(self, name: str) -> Floats:
        """Values of an output, array (patient, time), in its unit.

        Raises
        ------
        UnknownName
            If there is no such output.
        InputError
            If the run was streamed and kept no curves.
        """
        values = self.output(name).values
        if values is None:
            raise InputError(
                f"result[{name!r}]",
                f"a streamed result of {self.n:,} patients",
                "a result that kept every patient's curve",
                f'result.quantiles({name!r}), or simulate again with keep="all" and fewer patients',
            )
        return values

    def __len__(self) -> int:
        return self.n

    # ---- measures

    def quantiles(self, name: str, q: float | Sequence[float] = BANDS) -> dict[float, Floats]:
        """Quantiles over the patients at each time.

        Parameters
        ----------
        name : str
            An output.
        q : float or sequence of float
            Between 0 and 1.

        Returns
        -------
        dict of float to array (time,), in the output's unit

        Raises
        ------
        InputError
            If a quantile is not between 0 and 1, or was not kept by a streamed run.

        Examples
        --------
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([[1.0], [2.0], [3.0]]))
        >>> Result(np.array([0.0]), {"C": out}).quantiles("C", 0.75)
        {0.75: array([2.5])}
        """
        output = self.output(name)
        asked = [float(x) for x in (q if isinstance(q, Iterable) else [q])]
        for x in asked:
            if not 0.0 <= x <= 1.0:
                raise InputError("quantiles", str(x), "numbers between 0 and 1", "0.05, 0.5, 0.95")
        if output.values is None:
            kept = {round(float(k), 12): v for k, v in output.quantiles.items()}
            for x in asked:
                if round(x, 12) not in kept:
                    raise InputError(
                        "quantiles",
                        str(x),
                        "one that this streamed run kept: " + ", ".join(f"{k:g}" for k in sorted(kept)),
                        f"simulate(..., quantiles=({x:g}, ...))",
                    )
            return {x: kept[round(x, 12)] for x in asked}
        missing = [x for x in asked if (name, x) not in self._quantiles]
        if missing:
            ok = self.ok
            values = output.values if ok.all() else output.values[ok]
            for x, row in zip(missing, column_quantiles(values, missing), strict=True):
                self._quantiles[name, x] = row
        return {x: self._quantiles[name, x] for x in asked}

    def exposure(
        self,
        thresholds: Mapping[str, float] | float | None = None,
        from_h: float = 0.0,
        to_h: float | None = None,
    ) -> pl.DataFrame:
        """Exposure measures of every patient and output.

        Parameters
        ----------
        thresholds : dict of output to level, or one level for all, optional
            Adds the time above a level; in the output's unit.
        from_h, to_h : float
            Window; `to_h` None = to the end.

        Returns
        -------
        polars.DataFrame
            One row per patient (counted from 0, as the arrays are) and output: ``cmax`` (in ``unit``),
            ``tmax_h``, ``auc_last`` and ``auc_inf`` (in ``auc_unit``; linear up, logarithmic down),
            ``half_life_h`` (terminal, best adjusted R²), ``level``, ``time_above_h``. Null where it cannot
            be determined.

        Raises
        ------
        UnknownName
            If a threshold names no output.
        InputError
            If the window is empty, or a streamed run measured another one.

        Examples
        --------
        >>> t = np.arange(0.0, 25.0)
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=100 * np.exp(-0.1 * t)[None, :])
        >>> r = Result(t, {"C": out})
        >>> r.exposure().select("cmax", "auc_unit", "auc_inf", "half_life_h").row(0)
        (100.0, 'ng*h/mL', 1000.0..., 6.93...)
        """
        return _exposure.grid_frame(self, thresholds, from_h, to_h)

    def exposure_quantiles(
        self,
        q: Sequence[float] = BANDS,
        thresholds: Mapping[str, float] | float | None = None,
        from_h: float = 0.0,
        to_h: float | None = None,
    ) -> pl.DataFrame:
        """Exposure over the population: one row per output and measure, one column per quantile.

        Examples
        --------
        >>> t = np.arange(0.0, 25.0)
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=100 * np.exp(-0.1 * t)[None, :])
        >>> Result(t, {"C": out}).exposure_quantiles([0.5]).row(0)
        ('C', 'cmax', 'ng/mL', 1, 100.0)
        """
        return _exposure.summarise(self.exposure(thresholds, from_h, to_h), q)

    def summary(self) -> list[dict[str, str]]:
        """Rows for a table on the screen: one per output, texts, median (5-95 %) over the patients.

        Examples
        --------
        >>> t = np.arange(0.0, 25.0)
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=100 * np.exp(-0.1 * t)[None, :])
        >>> Result(t, {"C": out}, typical=True).summary()[0]["half-life, h"]
        '6.93'
        """
        if not self._measurable():
            return _exposure.highest_rows(self)
        return _exposure.rows(self.outputs, self.exposure())

    # ---- other forms

    def to_polars(self, long: bool = True) -> pl.DataFrame:
        """All values as a polars frame.

        Parameters
        ----------
        long : bool
            True: ``patient``, ``time_h``, ``output``, ``value``, ``unit``; False: one column per output.
            A streamed result has ``quantile`` in place of ``patient``.

        Examples
        --------
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([[1.0, 2.0]]))
        >>> Result(np.array([0.0, 1.0]), {"C": out}).to_polars().rows()
        [(0, 0.0, 'C', 1.0, 'ng/mL'), (0, 1.0, 'C', 2.0, 'ng/mL')]
        """
        return export.grid_frame(self, long)

    def to_pandas(self, long: bool = True) -> Any:
        """As `to_polars`, a pandas frame (needs the extra ``pandas``).

        Raises
        ------
        MissingExtra
            If pandas or pyarrow is not installed.
        """
        try:
            return self.to_polars(long).to_pandas()
        except ImportError:
            raise MissingExtra("pandas", "pandas", "to_pandas()") from None

    def to_xarray(self) -> Any:
        """All outputs as an xarray Dataset (needs the extra ``xarray``).

        Raises
        ------
        MissingExtra
            If xarray is not installed.
        """
        return export.dataset(self)

    def to_dict(self, quantiles: Sequence[float] = BANDS) -> dict[str, Any]:
        """The result as plain lists and texts, ready for JSON; what is not finite is None.

        Examples
        --------
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([[1.0, np.nan]]))
        >>> Result(np.array([0.0, 1.0]), {"C": out}, typical=True).to_dict()["outputs"]["C"]["values"]
        [1.0, None]
        """
        return export.grid_dict(self, quantiles)

    def to_json(self, quantiles: Sequence[float] = BANDS, indent: int | None = None) -> str:
        """The result as JSON text: values of a typical patient, quantiles of a population.

        Examples
        --------
        >>> out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([[1.0]]))
        >>> Result(np.array([0.0]), {"C": out}, typical=True).to_json()[:15]
        '{"time_h": [0.0'
        """
        return json.dumps(self.to_dict(quantiles), ensure_ascii=False, allow_nan=False, indent=indent)

    def write(self, path: str | os.PathLike[str], format: str | None = None) -> None:
        """Write to a file: ``csv`` and ``parquet`` (every value, long form) or ``json`` (as `to_json`).

        The file appears whole or not at all.

        Parameters
        ----------
        path : path
        format : str, optional
            Taken from the suffix when not given.

        Raises
        ------
        InputError
            If the format is unknown or the place cannot be written to.
        """
        export.write(self, path, format)

    # ---- at a glance

    def __repr__(self) -> str:
        who = "typical patient" if self.typical else f"{self.n:,} patient{'s' * (self.n != 1)}"
        failed = self.n - int(self.ok.sum())
        parts = ", ".join(f"{o.name} ({show.unit(o.unit)}, {o.grade})" for o in self.outputs.values())
        models = " + ".join(str(m.get("id")) for m in self.birth.get("models", [])) or "a model"
        span = f"{self.time_h[0]:g}-{self.time_h[-1]:g} h" if len(self.time_h) else "no times"
        more = (", streamed" if self.streamed else "") + (f", {failed} failed" if failed else "")
        return f"<Result of {models}: {who} × {len(self.time_h)} times, {span}{more}; {parts}>"

    def _repr_html_(self) -> str:
        return html_table(repr(self), self.summary())

    def _measurable(self) -> bool:
        """Whether there is exposure of each patient: curves, or measured while streaming."""
        return not self.streamed or set(self.outputs) <= set(self.exposure_arrays)


def html_table(caption: str, rows: list[dict[str, str]]) -> str:
    """A small table for notebooks, everything escaped."""
    head = "".join(f"<th>{escape(k)}</th>" for k in (rows[0] if rows else {}))
    body = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row.values()) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<p><code>{escape(caption)}</code></p>{table}"


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
