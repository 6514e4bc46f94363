"""Results on a time grid: one row per patient, one column per time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kinetamine.errors import InputError
from kinetamine.results import export
from kinetamine.results import exposure as _exposure
from kinetamine.results.output import BANDS, Floats, Output, column_quantiles
from kinetamine.results.simulated import Simulated

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Result"]


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
    measure : callable, optional
        Measures exposure from the model itself, whatever the times shown: levels, from_h and to_h to measures of
        every output.

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
    measure: Callable[[Mapping[str, float], float, float], dict[str, _exposure.Measured]] | None = None

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
        *,
        shown: bool = False,
    ) -> pl.DataFrame:
        """Exposure measures of every patient and output.

        What was simulated here is measured from the model itself, whatever the times shown: the terminal half-life
        and the area to infinity of a linear model in closed form, peaks on times dense after every dose. Of a
        non-linear model these times reach three terminal half-lives, or the area cannot be told (``remark``).

        Parameters
        ----------
        thresholds : dict of output to level, or one level for all, optional
            Adds the time above a level; in the output's unit.
        from_h, to_h : float
            A window; `to_h` None = without end. Measures are then of that window, which the frame says; the area
            to infinity is left out when the window ends.
        shown : bool
            Measure the times shown instead, by the rules of non-compartmental analysis.

        Returns
        -------
        polars.DataFrame
            One row per patient (counted from 0, as the arrays are) and output: ``cmax`` (in ``unit``),
            ``tmax_h``, ``auc_last`` (to the last time shown) and ``auc_inf`` (in ``auc_unit``), ``half_life_h``
            (terminal), ``level``, ``time_above_h``, ``remark``; ``from_h`` and ``to_h`` when a window was asked
            for. Null where it cannot be determined.

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
        return _exposure.grid_frame(self, thresholds, from_h, to_h, shown)

    def summary(self, from_h: float = 0.0, to_h: float | None = None) -> list[dict[str, str]]:
        """Rows for a table on the screen: one per output, texts, median (5-95 %) over the patients.

        When only quantiles were kept: the highest point of each quantile's curve.
        """
        return super().summary(from_h, to_h) if self.measurable else _exposure.highest_rows(self)

    @property
    def measurable(self) -> bool:
        """Whether there is exposure of each patient: of curves, of the model itself, or measured while streaming."""
        return not self.streamed or self.measure is not None or set(self.outputs) <= set(self.exposure_arrays)

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
        return export.pandas_frame(self.to_polars(long))

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
        return export.json_text(self.to_dict(quantiles), indent)

    def __repr__(self) -> str:
        who = "typical patient" if self.typical else f"{self.n:,} patient{'s' * (self.n != 1)}"
        failed = self.n - int(self.ok.sum())
        span = f"{self.time_h[0]:g}-{self.time_h[-1]:g} h" if len(self.time_h) else "no times"
        more = (", streamed" if self.streamed else "") + (f", {failed} failed" if failed else "")
        return f"<Result of {self._models()}: {who} × {len(self.time_h)} times, {span}{more}; {self._quantities()}>"
