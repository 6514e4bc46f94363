"""Results in other forms: frames, JSON, files. A file appears whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.errors import InputError, MissingExtra, UnknownName
from kinetamine.files import write_whole
from kinetamine.results.output import Output, describe_status

if TYPE_CHECKING:
    import polars as pl

    from kinetamine.results.result import Result
    from kinetamine.results.table import TableResult

__all__ = ["FORMATS", "beside", "grid_dict", "grid_frame", "table_dict", "table_frame", "write"]

#: what can be written, by suffix
FORMATS = ("csv", "json", "parquet")


def listed(values: np.ndarray[Any, Any]) -> list[Any]:
    """Numbers for JSON: what is not finite becomes None.

    Examples
    --------
    >>> listed(np.array([1.0, np.inf]))
    [1.0, None]
    """
    plain = np.asarray(values, dtype=np.float64)
    if np.isfinite(plain).all():
        return plain.tolist()
    return [x if np.isfinite(x) else None for x in plain.tolist()]


def plain(value: Any) -> Any:
    """Anything of a birth certificate as JSON can hold it.

    Examples
    --------
    >>> plain({"seed": np.int64(1), "x": float("nan"), 2: (1, 2)})
    {'seed': 1, 'x': None, '2': [1, 2]}
    """
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _described(output: Output) -> dict[str, Any]:
    return {
        "unit": output.unit,
        "site": output.site,
        "analyte": output.analyte,
        "grade": output.grade,
        "reasons": list(output.reasons),
    }


def _failures(status: np.ndarray[Any, Any]) -> dict[str, Any]:
    """How many patients failed and why; nothing when none did."""
    codes, counts = np.unique(status[status != 0], return_counts=True)
    return {describe_status(c): int(k) for c, k in zip(codes, counts, strict=True)}


def grid_dict(result: Result, quantiles: Sequence[float]) -> dict[str, Any]:
    """A result on a grid as plain data: values of a typical patient, quantiles of a population."""
    outputs = {}
    for name, output in result.outputs.items():
        entry = _described(output)
        if result.typical and output.values is not None:
            entry["values"] = listed(output.values[0])
        else:
            asked = sorted(output.quantiles) if output.values is None else quantiles
            curves = result.quantiles(name, asked)
            entry["quantiles"] = {f"{q:.12g}": listed(curve) for q, curve in curves.items()}
        outputs[name] = entry
    assert result.status is not None
    failed = _failures(np.asarray(result.status))
    extra = {"failed": failed} if failed else {}
    return {"time_h": listed(result.time_h), "outputs": outputs, **extra, "birth": plain(result.birth)}


def table_dict(result: TableResult) -> dict[str, Any]:
    """An event table's result as plain data, one value per observation record."""
    outputs = {}
    for name, output in result.outputs.items():
        assert output.values is not None
        outputs[name] = _described(output) | {"values": listed(output.values)}
    failed = _failures(np.asarray(result.status))
    extra = {"failed": failed} if failed else {}
    labels = [plain(x) for x in result.id]
    return {
        "id": labels,
        "time_h": listed(result.time_h),
        "outputs": outputs,
        **({"carried": {k: plain(list(v)) for k, v in result.carried.items()}} if result.carried else {}),
        **extra,
        "birth": plain(result.birth),
    }


def grid_frame(result: Result, long: bool) -> pl.DataFrame:
    """All values of a result on a grid as a frame."""
    import polars as pl

    n, t = result.n, len(result.time_h)
    blocks: dict[str, np.ndarray[Any, Any]] = {}
    if result.streamed:
        shared = (
            set.intersection(*(set(o.quantiles) for o in result.outputs.values()))
            if result.outputs
            else set()
        )
        kept = sorted(shared)
        index = pl.Series("quantile", np.repeat(np.asarray(kept, dtype=np.float64), t))
        for name in result.outputs:
            blocks[name] = (
                np.concatenate([result.quantiles(name, kept)[q] for q in kept]) if kept else np.empty(0)
            )
        rows = len(kept)
    else:
        index = pl.Series("patient", np.repeat(np.arange(n, dtype=np.int64), t))
        blocks = {name: result[name].reshape(-1) for name in result.outputs}
        rows = n
    base = pl.DataFrame([index, pl.Series("time_h", np.tile(result.time_h, rows))])
    if not long:
        return base.with_columns(pl.Series(k, v).fill_nan(None) for k, v in blocks.items())
    parts = [
        base.with_columns(
            pl.lit(name).alias("output"),
            pl.Series("value", values).fill_nan(None),
            pl.lit(result.outputs[name].unit).alias("unit"),
        )
        for name, values in blocks.items()
    ]
    return pl.concat(parts) if parts else base


def table_frame(result: TableResult) -> pl.DataFrame:
    """One row per observation record: ID, TIME and a column per output."""
    import polars as pl

    labels = pl.Series("ID", [plain(x) for x in result.id], strict=False)
    columns = [labels, pl.Series("TIME", result.time_h)]
    for name, output in result.outputs.items():
        columns.append(pl.Series(name, output.values).fill_nan(None))
    taken = {column.name for column in columns}
    for name, series in result.carried.items():
        columns.append(pl.Series(f"{name} (table)" if name in taken else name, series, strict=False))
    return pl.DataFrame(columns)


def beside(taken: Collection[str], more: Mapping[str, Any]) -> dict[str, Any]:
    """Further columns under names of their own: one that is taken gets an underscore behind it.

    Examples
    --------
    >>> beside(["ID", "CL"], {"CL": 5, "V": 7})
    {'CL_': 5, 'V': 7}
    """
    found: dict[str, Any] = {}
    for name, values in more.items():
        while name in taken or name in found:
            name += "_"
        found[name] = values
    return found


def dataset(result: Result) -> Any:
    """An xarray Dataset with dimensions (patient, time_h) or (quantile, time_h)."""
    try:
        import xarray
    except ImportError:
        raise MissingExtra("xarray", "xarray", "to_xarray()") from None
    first = "quantile" if result.streamed else "patient"
    variables: dict[str, Any] = {}
    coordinates: dict[str, Any] = {"time_h": ("time_h", result.time_h, {"units": "h"})}
    for name, output in result.outputs.items():
        facts = {k: v for k, v in _described(output).items() if k != "unit"}
        facts["reasons"] = "; ".join(output.reasons)
        if output.values is None:
            kept = sorted(output.quantiles)
            values = np.stack([output.quantiles[q] for q in kept])
            coordinates["quantile"] = ("quantile", np.asarray(kept), {})
        else:
            values = output.values
        variables[name] = ((first, "time_h"), values, {"units": output.unit, **facts})
    if first == "patient":
        coordinates["patient"] = ("patient", np.arange(result.n), {})
        for name, column in result.patients.items():
            coordinates[name] = ("patient", np.asarray(column), {})
    return xarray.Dataset(variables, coords=coordinates, attrs={"birth": json.dumps(plain(result.birth))})


def pandas_frame(frame: pl.DataFrame) -> Any:
    """A polars frame as a pandas frame."""
    try:
        return frame.to_pandas()
    except ImportError:
        raise MissingExtra("pandas", "pandas", "to_pandas()") from None


def json_text(value: dict[str, Any], indent: int | None) -> str:
    """Plain data as JSON text; what is not finite must be None already."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


# ---- files


def write(result: Any, path: str | os.PathLike[str], format: str | None) -> None:
    """Write a result as csv, json or parquet."""
    kind = (format or Path(path).suffix).lower().lstrip(".")
    if kind not in FORMATS:
        if format is not None:
            raise UnknownName("format", format, FORMATS, "csv, json or parquet")
        raise InputError(
            str(path), repr(Path(path).suffix), "a name ending in .csv, .json or .parquet", "result.csv"
        )

    if kind == "json":
        write_whole(path, result.to_json() + "\n")
    elif kind == "csv":
        write_whole(path, lambda place: result.to_polars().write_csv(place))
    else:
        # the birth travels inside the file
        birth = {"kinetamine": json.dumps(plain(result.birth))}
        buffer = io.BytesIO()  # polars calls a full disk a fault of the format
        result.to_polars().write_parquet(buffer, metadata=birth)
        write_whole(path, buffer.getvalue())
