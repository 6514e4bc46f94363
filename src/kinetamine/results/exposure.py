"""Exposure measures as frames: Cmax, Tmax, areas, terminal half-life, time above a level."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError, UnknownName
from kinetamine.results import show
from kinetamine.results.output import Output

if TYPE_CHECKING:
    import polars as pl

    from kinetamine.results.result import Result
    from kinetamine.results.table import TableResult

__all__ = ["grid_frame", "highest_rows", "rows", "summarise", "table_frame"]

#: measures as they are called on screen, in the order shown
TITLES = {
    "cmax": "Cmax",
    "tmax_h": "Tmax",
    "auc_last": "AUC to last",
    "auc_inf": "AUC to infinity",
    "half_life_h": "half-life",
    "time_above_h": "time above level",
}


@dataclass(frozen=True)
class Measured:
    """Exposure of one output.

    Parameters
    ----------
    values : array (patient, measure)
        Columns as `kinetamine.engine.nca.MEASURES`.
    remark : str
        Why something cannot be told.
    """

    values: np.ndarray[Any, Any]
    remark: str = ""


def levels(names: Sequence[str], thresholds: Mapping[str, float] | float | None) -> dict[str, float]:
    """Level of each output, NaN where none was asked for."""
    if thresholds is None:
        return dict.fromkeys(names, math.nan)
    asked = thresholds if isinstance(thresholds, Mapping) else dict.fromkeys(names, thresholds)
    for name, level in asked.items():
        if name not in names:
            raise UnknownName("thresholds", str(name), names, "an output of this result")
        if not isinstance(level, (int, float, np.number)) or not math.isfinite(level):
            raise InputError(
                f"thresholds, {name}", repr(level), "a finite number in the output's unit", "100.0"
            )
    return {name: float(asked.get(name, math.nan)) for name in names}


def window(from_h: float, to_h: float | None) -> tuple[float, float]:
    """The window as two numbers."""
    end = math.inf if to_h is None else float(to_h)
    if math.isnan(from_h) or math.isnan(end) or from_h >= end:
        raise InputError(
            "exposure",
            f"from_h={from_h}, to_h={to_h}",
            "a window that starts before it ends",
            "from_h=0, to_h=24",
        )
    return float(from_h), end


def grid_frame(
    result: Result,
    thresholds: Mapping[str, float] | float | None,
    from_h: float,
    to_h: float | None,
    shown: bool = False,
) -> pl.DataFrame:
    """Exposure of a result on a time grid, one row per patient and output."""
    import polars as pl

    start, end = window(from_h, to_h)
    names = list(result.outputs)
    own: Mapping[str, Measured] = {}
    if result.measure is not None and not shown:
        level = levels(names, thresholds)
        own = result.measure(level, start, end)
    elif result.streamed:
        level = _streamed_levels(result, thresholds, start, end)
    else:
        level = levels(names, thresholds)
    failed = ~result.ok
    frames = []
    for name in names:
        output = result.outputs[name]
        remark = ""
        if name in own:
            measured, remark = own[name].values, own[name].remark
        elif output.values is None:
            measured = np.asarray(result.exposure_arrays[name], dtype=np.float64)
        else:
            from kinetamine.engine import nca

            measured = nca.measure(result.time_h, output.values, level[name], start, end, threads=None)
        if failed.any():
            measured = np.where(failed[:, None], np.nan, measured)
        who = {"patient": np.arange(result.n, dtype=np.int64)}
        frames.append(_frame(who, output, measured, level[name], remark, (from_h, to_h)))
    return pl.concat(frames) if frames else pl.DataFrame()


def _streamed_levels(
    result: Result, thresholds: Mapping[str, float] | float | None, start: float, end: float
) -> dict[str, float]:
    """Levels of a streamed run, after making sure that what is asked is what was measured."""
    if not all(name in result.exposure_arrays for name in result.outputs):
        raise InputError(
            "exposure",
            "a streamed result that kept quantiles only",
            "a result with every curve, or with exposure measured while streaming",
            'simulate(..., keep="all") with fewer patients',
        )
    kept = levels(list(result.outputs), result.exposure_levels)
    asked = kept if thresholds is None else levels(list(result.outputs), thresholds)
    kept_start, kept_end = window(*result.exposure_window)
    last = float(result.time_h[-1]) if len(result.time_h) else math.inf
    same_window = start == kept_start and (end == kept_end or min(end, kept_end) >= last)
    if not same_window or any(asked[k] != kept[k] and not math.isnan(asked[k]) for k in kept):
        raise InputError(
            "exposure",
            f"from_h={start:g}, to_h={end:g}, thresholds={thresholds}",
            f"what this streamed run measured: from_h={kept_start:g}, to_h={kept_end:g}, "
            f"thresholds={result.exposure_levels or None}",
            'exposure() without arguments, or simulate(..., keep="all") with fewer patients',
        )
    return kept


def table_frame(
    result: TableResult, thresholds: Mapping[str, float] | float | None, from_h: float, to_h: float | None
) -> pl.DataFrame:
    """Exposure of an event table, one row per subject and output."""
    import polars as pl

    from kinetamine.engine import nca

    start, end = window(from_h, to_h)
    level = levels(list(result.outputs), thresholds)
    # records of a subject may stand apart and out of order; equal times keep the table's order
    order = np.lexsort((result.time_h, result.subject))
    counts = np.bincount(result.subject, minlength=result.n)
    starts = np.concatenate([[0], np.cumsum(counts)])
    frames = []
    for name, output in result.outputs.items():
        assert output.values is not None
        measured = nca.measure_ragged(
            result.time_h[order], output.values[order], starts, level[name], start, end
        )
        measured[~result.ok] = np.nan
        frames.append(_frame({"ID": result.labels}, output, measured, level[name], "", (from_h, to_h)))
    return pl.concat(frames) if frames else pl.DataFrame()


def _frame(
    who: dict[str, Any],
    output: Output,
    measured: np.ndarray[Any, Any],
    level: float,
    remark: str,
    asked: tuple[float, float | None],
) -> pl.DataFrame:
    import polars as pl

    from kinetamine.engine.nca import MEASURES

    columns = {m: measured[:, j] for j, m in enumerate(MEASURES)}
    frame = pl.DataFrame({**who, **columns}).with_columns(
        pl.col(MEASURES).fill_nan(None),
        output=pl.lit(output.name),
        unit=pl.lit(output.unit),
        auc_unit=pl.lit(show.auc_unit(output.unit)),
        level=pl.lit(None if math.isnan(level) else level, dtype=pl.Float64),
        remark=pl.lit(remark),
        from_h=pl.lit(asked[0], dtype=pl.Float64),
        to_h=pl.lit(asked[1], dtype=pl.Float64),
    )
    first = ["output", "unit", "auc_unit", "cmax", "tmax_h", "auc_last", "auc_inf", "half_life_h", "level"]
    window = ["from_h", "to_h"] if asked != (0.0, None) else []
    return frame.select([*who, *first, "time_above_h", "remark", *window])


def measure_unit(measure: str, unit: str) -> str:
    """The unit of a measure of an output in `unit`.

    Examples
    --------
    >>> measure_unit("auc_inf", "ng/mL")
    'ng*h/mL'
    """
    if measure.endswith("_h"):
        return "h"
    return show.auc_unit(unit) if measure.startswith("auc") else unit


def summarise(frame: pl.DataFrame, q: Sequence[float]) -> pl.DataFrame:
    """Quantiles of every measure over the patients.

    Columns: output, measure, unit, n (patients in whom it could be determined), one per quantile.
    """
    import polars as pl

    columns = [f"q{x:g}" for x in q]
    lines: list[dict[str, Any]] = []
    for (name, unit), part in frame.group_by(["output", "unit"], maintain_order=True):
        for measure in TITLES:
            if measure == "time_above_h" and part["level"].null_count() == part.height:
                continue
            known = part[measure].drop_nulls().to_numpy()
            known = known[np.isfinite(known)]
            values = np.quantile(known, list(q)).tolist() if known.size else [None] * len(q)
            lines.append(
                {
                    "output": name,
                    "measure": measure,
                    "unit": measure_unit(measure, str(unit)),
                    "n": len(known),
                }
                | dict(zip(columns, values, strict=True))
            )
    schema = {"output": pl.String, "measure": pl.String, "unit": pl.String, "n": pl.Int64}
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(columns, pl.Float64))


def rows(outputs: Mapping[str, Output], frame: pl.DataFrame) -> list[dict[str, str]]:
    """One row of texts per output: median (5-95 %) of every measure."""
    if not outputs:
        return []
    table = summarise(frame, (0.05, 0.5, 0.95))
    result = []
    for name, output in outputs.items():
        row = {"output": name, "site": output.site, "unit": show.unit(output.unit), "grade": output.grade}
        part = frame.filter(frame["output"] == name)
        if "from_h" in part.columns:
            row["measured"] = _window_words(part["from_h"][0], part["to_h"][0])
        for line in table.filter(table["output"] == name).iter_rows(named=True):
            measure = line["measure"]
            unit = "h" if measure.endswith("_h") else "unit × h" if measure.startswith("auc") else ""
            title = TITLES[measure] + (f", {unit}" if unit else "")
            text = show.span(line["q0.05"], line["q0.5"], line["q0.95"])
            told = line["n"] or measure not in ("auc_inf", "half_life_h")
            row[title] = text if told else (part["remark"][0] or text)
        result.append(row)
    return result


def _window_words(from_h: float, to_h: float | None) -> str:
    """A window in words.

    Examples
    --------
    >>> _window_words(0.0, 4.0), _window_words(24.0, None)
    ('from 0 to 4 h', 'from 24 h on')
    """
    return f"from {from_h:g} h on" if to_h is None else f"from {from_h:g} to {to_h:g} h"


def highest_rows(result: Result) -> list[dict[str, str]]:
    """Rows of texts when only quantiles were kept: the highest point of each quantile's curve."""
    lines = []
    for name, output in result.outputs.items():
        row = {"output": name, "site": output.site, "unit": show.unit(output.unit), "grade": output.grade}
        for q in sorted(output.quantiles):
            curve = output.quantiles[q]
            top = float(np.nanmax(curve)) if np.isfinite(curve).any() else math.nan
            row[f"highest {100 * q:g} %"] = show.number(top)
        lines.append(row)
    return lines
