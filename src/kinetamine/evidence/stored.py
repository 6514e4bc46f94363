"""Results of the validation as they come with kinetamine: every comparison of every part, in one shape.

``kinetamine validate PART --data PATH`` writes them, `load` reads them, so that a page can show how each model fares
without minutes of computing. Each file begins with a fingerprint of the data and models behind it.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterable
from importlib import resources
from typing import TYPE_CHECKING, Any

from kinetamine.errors import UnknownName

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "PARTS", "fingerprint", "load", "stamp", "text"]

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
Row = dict[str, Any]


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
    import polars as pl

    kinds: dict[str, Any] = dict.fromkeys(TEXTS, pl.String) | dict.fromkeys(NUMBERS, pl.Float64)
    kinds["holds"] = pl.Boolean
    return pl.read_csv(
        io.StringIO(_stored(part)), comment_prefix="#", schema={name: kinds[name] for name in COLUMNS}
    )


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


def text(part: str, report: Any) -> str:
    """A part as it is stored, from what its `run` gave (of interactions: `agreement`).

    Examples
    --------
    >>> text("interactions", []).splitlines()[1].split(",")[:3]
    ['id', 'model', 'study']
    """
    import csv

    out = io.StringIO()
    out.write(f"{_STAMP}{fingerprint(part)}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in PARTS[part](report):
        writer.writerow([_cell(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


_ORIGINS = {
    "other": "predicted",
    "own": "made from these people",
    "unknown": "perhaps made from these people",
}


def _pk(report: Any) -> Iterable[Row]:
    from kinetamine.evidence.observations import METRICS
    from kinetamine.models import library

    values = {value.id: value for value in report.observations.values}
    arms = report.observations.arms
    for c in report.comparisons:
        value = values[c.row.split(" / ")[0]]
        band = c.band or (None, None)
        yield {
            "id": c.row, "model": c.model, "study": c.study, "arm": c.arm, "metric": c.metric,
            "analyte": c.analyte, "site": arms[c.arm].sampling,
            "unit": METRICS[value.metric] + (f"/{c.per}" if c.per else ""),
            "observed": c.observed, "low": c.low, "high": c.high,
            "predicted": c.predicted, "predicted_low": band[0], "predicted_high": band[1],
            "fold": c.fold, "difference": c.difference_h, "holds": c.inside,
            "use": _ORIGINS[c.origin], "source": value.source,
            "remark": _remark(c, () if c.strong else ("recalled or not observed itself",)),
        }  # fmt: skip
    points = report.observations.curves()
    for c in report.curves:
        yield {
            "id": c.curve, "model": c.model, "study": c.study, "arm": c.arm,
            "metric": f"curve of {len(c.time_h)} points", "analyte": c.analyte, "site": arms[c.arm].sampling,
            "unit": "ng/mL", "fold": 1 + c.bias, "use": _ORIGINS[c.origin], "source": points[c.curve][0].source,
            "remark": _remark(c, (f"fold: median of the points; median size of the error {c.mdape:.0%}",)),
        }  # fmt: skip
    for c in report.checks:
        covariates = ", ".join(f"{k} {v:g}" for k, v in c.covariates.items())
        yield {
            "id": c.place, "model": c.model, "arm": "; ".join(c.doses) + (f", {covariates}" if covariates else ""),
            "metric": c.metric + (f" to {c.to_h:g} h" if c.to_h else ""), "analyte": c.output, "unit": c.unit,
            "observed": c.published, "predicted": c.predicted, "fold": c.ratio, "use": "check of the file",
            "source": library.load(c.model).source,
            "remark": "a number that the source prints about its own model",
        }  # fmt: skip


def _remark(c: Any, more: Iterable[str]) -> str:
    site = ("sampled at another site than the model's",) if c.site == "mismatch" else ()
    return "; ".join((*site, *c.outside, *more))


def _effects(report: Any) -> Iterable[Row]:
    from kinetamine.evidence.validate_effects import DIFFERENCES, USES

    for c in report.predicted:
        o = c.row
        error = "difference" if o.measure in DIFFERENCES else "fold"
        low, middle, high = c.band
        yield {
            "id": o.id, "model": c.module, "study": f"{o.study} {o.year or ''}".strip(), "arm": " | ".join(o.doses),
            "metric": o.measure, "analyte": c.effect, "unit": o.unit,
            "observed": o.value, "low": o.low, "high": o.high,
            "predicted": middle, "predicted_low": low, "predicted_high": high,
            error: c.error if error == "difference" or not o.value else middle / o.value, "holds": c.agrees,
            "use": USES[o.used_in_fit].strip("*"), "source": o.source,
            "remark": "; ".join(
                x for x in (f"on {c.model}", c.grade, o.bound, "recalled" if o.seen == "recalled" else "") if x
            ),
        }  # fmt: skip


def _interactions(report: Any) -> Iterable[Row]:
    from kinetamine.safety import perturbations

    known = perturbations.load()
    for one in report:
        row = one.row
        yield {
            "id": row.id, "model": known.fit.model, "study": known.perturbations[one.id].name,
            "arm": row.phrase or row.dose or row.route, "metric": row.measure, "analyte": row.drug, "unit": "ratio",
            "observed": row.ratio, "low": row.low, "high": row.high, "predicted": one.predicted,
            "fold": one.predicted / row.ratio, "holds": one.within,
            "use": {"fit": "fitted to", "held out": "predicted"}[row.use], "source": row.source,
            "remark": "recalled" if row.seen == "recalled" else "",
        }  # fmt: skip


def _course(report: Any) -> Iterable[Row]:
    outcomes = {o.id: o for o in report.trials.outcomes}
    for c in report.comparisons:
        yield {
            "id": c.id, "model": report.calibration.model, "study": c.trial, "arm": c.arm,
            "metric": f"{c.measure}, {c.when}" if c.when else c.measure, "analyte": outcomes[c.id].scale,
            "unit": c.unit, "observed": c.published, "low": c.low, "high": c.high, "predicted": c.predicted,
            "predicted_low": c.predicted_low, "predicted_high": c.predicted_high,
            "difference": c.predicted - c.published, "holds": c.inside,
            "use": {"fit": "fitted to"}.get(c.role, f"predicted ({c.role})"), "source": outcomes[c.id].source,
            "remark": "recalled" if c.seen == "recalled" else "",
        }  # fmt: skip


PARTS: dict[str, Callable[[Any], Iterable[Row]]] = {
    "pk": _pk,
    "effects": _effects,
    "interactions": _interactions,
    "course": _course,
}


# --- whether it is of today --------------------------------------------------------------------------


def fingerprint(part: str) -> str:
    """What the results of a part depend on, in 16 digits: its data, its models, its fits.

    Examples
    --------
    >>> len(fingerprint("interactions"))
    16
    """
    if part == "pk":
        from kinetamine.evidence import validate_pk

        return validate_pk.fingerprint()
    if part == "effects":
        from kinetamine.evidence import validate_effects

        return validate_effects.fingerprint()
    return hashlib.sha256("\n".join(_content(part)).encode()).hexdigest()[:16]


def _content(part: str) -> list[str]:
    if part == "interactions":
        from kinetamine.models import library
        from kinetamine.safety import perturbations

        known = perturbations.load()
        factors = {
            id: {h: f.model_dump(mode="json") for h, f in found.items()}
            for id, found in known.factors.items()
        }
        return [
            library.load(known.fit.model).digest,
            json.dumps([row.model_dump(mode="json") for row in known.observed], sort_keys=True),
            json.dumps(factors, sort_keys=True),
        ]
    from kinetamine.course import model
    from kinetamine.evidence import calibration, trials

    fitted = calibration.load()
    estimates = json.dumps([fitted.values(), fitted.covariance.tolist()], sort_keys=True)
    return [trials.load().digest, model.load(fitted.model).digest, estimates]
