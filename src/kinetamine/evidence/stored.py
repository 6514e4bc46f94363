"""Results of the validation as they come with kinetamine: every comparison of every part, in one shape.

``kinetamine validate PART --data PATH`` writes them, `load` reads them, so that a page can show how each model fares
without minutes of computing. Each file begins with a fingerprint of the data and models behind it.
"""

from __future__ import annotations

import functools
import io
import math
from importlib import resources
from typing import TYPE_CHECKING, Any

from kinetamine.errors import UnknownName
from kinetamine.evidence import parts
from kinetamine.evidence.parts import PARTS, Report

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "frame", "load", "stamp", "text"]

#: columns of every part. `observed` with `low` and `high` (an interval, or the ends of a published range) and
#: `predicted` with its own; `fold` is predicted / observed, `difference` predicted - observed where a ratio says
#: nothing; `holds` whether the two agree by the rule of the part, null where nothing was published to tell;
#: `use` what the number is to the model (predicted, fitted to, its own data, a check of the file)
TEXTS = ("id", "model", "study", "arm", "metric", "analyte", "site", "unit", "use", "source", "remark")
NUMBERS = (
    "observed", "low", "high", "predicted", "predicted_low", "predicted_high", "fold", "difference"
)  # fmt: skip
COLUMNS = (
    "id", "model", "study", "arm", "metric", "analyte", "site", "unit", *NUMBERS, "holds", "use", "source", "remark"
)  # fmt: skip
_STAMP = "# data and models: "


# --- reading -----------------------------------------------------------------------------------------


def load(part: str) -> pl.DataFrame:
    """Every comparison of a part of the validation.

    Parameters
    ----------
    part : {"pk", "effects", "interactions", "course"}

    Returns
    -------
    polars.DataFrame
        One row for each comparison; see `COLUMNS`.

    Raises
    ------
    UnknownName
        If there is no such part.

    Examples
    --------
    >>> load("interactions").columns[:4]
    ['id', 'model', 'study', 'arm']
    """
    return frame(_stored(part))


def frame(text: str) -> pl.DataFrame:
    """The table in the text of a part."""
    import polars as pl

    kinds: dict[str, Any] = dict.fromkeys(TEXTS, pl.String) | dict.fromkeys(NUMBERS, pl.Float64)
    kinds["holds"] = pl.Boolean
    return pl.read_csv(io.StringIO(text), comment_prefix="#", schema={name: kinds[name] for name in COLUMNS})


def stamp(part: str) -> str:
    """The fingerprint that was written with a part."""
    return _stored(part).splitlines()[0].removeprefix(_STAMP)


@functools.cache
def _stored(part: str) -> str:
    if part not in PARTS:
        raise UnknownName("validation", part, PARTS, "a part of the validation")
    folder = resources.files("kinetamine") / "data" / "validation"
    return (folder / f"{part}.csv").read_text(encoding="utf-8")


# --- writing -----------------------------------------------------------------------------------------


def text(part: str, report: Report) -> str:
    """A part as it is stored, from what its `run` gave.

    Examples
    --------
    >>> from kinetamine.evidence.interactions.compare import Report
    >>> text("interactions", Report(())).splitlines()[1].split(",")[:3]
    ['id', 'model', 'study']
    """
    import csv

    out = io.StringIO()
    out.write(f"{_STAMP}{parts.part(part).fingerprint()}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in report.rows():
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
