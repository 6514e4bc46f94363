"""Event tables with measured values: a posterior for each person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.inference.learned import learn_from, learnable
from kinetamine.inference.match import Matched
from kinetamine.inference.person import Posterior
from kinetamine.observations import Observation, Observations
from kinetamine.observations.table import read_table
from kinetamine.population import Patient

__all__ = ["is_table", "person", "posterior"]


def is_table(doses: Any) -> bool:
    """Whether doses are an event table: read, a path, a frame, columns, or what a file holds."""
    from kinetamine.dosing import EventTable

    if isinstance(doses, EventTable | Path | Mapping | bytes) or hasattr(doses, "columns"):
        return True
    return isinstance(doses, str) and doses.lower().endswith((".csv", ".txt", ".dat", ".tsv", ".tab"))


def person(table: Any, subject: int) -> Any:
    """The rows of one person as a table of its own."""
    mine = np.flatnonzero(table.subject == subject)
    arrays = ("time_h", "amount", "rate", "duration_h", "evid", "cmt", "addl", "ii_h", "ss", "mdv", "line")
    return replace(
        table,
        subject=np.zeros(len(mine), np.int64),
        id=[table.id[k] for k in mine],
        columns={name: values[mine] for name, values in table.columns.items()},
        occasion=None if table.occasion is None else table.occasion[mine],
        **{name: getattr(table, name)[mine] for name in arrays},
    )


def _patient(table: Any, patient: Patient) -> Patient:
    """The person with his last covariates of the table, as forecasts need them."""
    known = {name: values[np.isfinite(values)] for name, values in table.columns.items()}
    last = {name: float(values[-1]) for name, values in known.items() if len(values)}
    return Patient(**{**patient.given, **last})


def posterior(
    models: list[Any], doses: Any, *, patient: Patient, residual: Mapping[str, str] | None, prior: str, method: str,
    n: int | None, seed: int, allow_site_mismatch: bool, dv_unit: str | None = None, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """A posterior for each person of a table who has a value; see `kinetamine.posterior`."""
    if allow_site_mismatch:
        raise InputError("allow_site_mismatch", "True", "a table whose SITE says what was measured", "DVID")
    specs = [learnable(model) for model in models]
    found: dict[str, list[Any]] = {}
    seen: dict[str, Observations] = {}
    people: dict[str, Patient] = {}
    for spec in specs:
        read = read_table(doses, spec, dv_unit=dv_unit, **options)
        for subject in np.unique(read.subject):
            mine = read.subject == subject
            table = person(read.table, int(subject))
            output = tuple(np.array(read.output, object)[mine])
            times = table.time_h[table.evid == 0]
            matched = Matched(output, read.low[mine], read.high[mine], times)
            label = str(table.id[0])
            who = _patient(table, patient)
            found.setdefault(label, []).append(
                learn_from(spec, table, matched, who, residual or {}, prior, method, n, seed)
            )
            people[label] = who
            seen[label] = Observations(
                Observation(name, max(a, 0.0), b, spec.outputs[name].unit, float(t), subject=label)
                for name, a, b, t in zip(output, matched.low, matched.high, times, strict=True)
            )
    return {label: Posterior(learned, seen[label], people[label], seed) for label, learned in found.items()}
