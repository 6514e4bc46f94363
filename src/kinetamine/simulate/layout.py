"""What a prepared evaluator runs: people, records and doses of a regimen or an event table, with nothing drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing import EventTable
from kinetamine.engine import timeline
from kinetamine.errors import CovariateError
from kinetamine.models.compile import Compiled, PartFormulas
from kinetamine.simulate import parts
from kinetamine.simulate.events import EventRun
from kinetamine.simulate.share import Share

__all__ = ["DoseRows", "Layout", "of_regimen", "of_table"]


@dataclass
class DoseRows:
    """Doses by the same route, as given.

    Parameters
    ----------
    target : tuple of PartFormulas
    where : str
        Named in errors.
    dose : array (row,)
        Their numbers among all doses.
    given : parts.Given
    fields : dict of array (row,)
        Facts of the doses that the model asks for; NaN takes the default.
    per_kg : array (row,) of bool
        Amount and rate are per kg of body weight.
    """

    target: tuple[PartFormulas, ...]
    where: str
    dose: np.ndarray
    given: parts.Given
    fields: dict[str, np.ndarray]
    per_kg: np.ndarray


@dataclass
class Layout:
    """Who gets what and when.

    Parameters
    ----------
    covariates : dict of array (column,)
        A column is one version of one subject.
    first_column : array (subject + 1,)
    owner, occasion : array (column,)
    occasions : int
    records : timeline.Records
        Of all subjects; doses and samples counted through.
    rows : list of DoseRows
    first_part : array (dose + 1,)
    additional, interval_h, steady_state : array (dose,)
    column_of_dose, column_of_sample : arrays
    subject_of_sample : array (sample,)
    time_h : array (sample,), h
    since_h : array (sample,), h
        Time since the subject's first dose.
    weight : array (subject,), kg, or None
        For doses per kg.
    inputs : tuple of int
        States that may be fed at a constant rate.
    lengths : array or None
        Common interval lengths; None: those of the records.
    """

    covariates: dict[str, np.ndarray]
    first_column: np.ndarray
    owner: np.ndarray
    occasion: np.ndarray
    occasions: int
    records: timeline.Records
    rows: list[DoseRows]
    first_part: np.ndarray
    additional: np.ndarray
    interval_h: np.ndarray
    steady_state: np.ndarray
    column_of_dose: np.ndarray
    column_of_sample: np.ndarray
    subject_of_sample: np.ndarray
    time_h: np.ndarray
    since_h: np.ndarray
    weight: np.ndarray | None
    inputs: tuple[int, ...]

    @property
    def subjects(self) -> int:
        """How many people."""
        return len(self.first_column) - 1


def of_regimen(share: Share) -> Layout:
    """A regimen for each of some people, on common times."""
    model, people = share.model, share.population
    spec, n = model.spec, people.n
    versions, doses, times = max(1, len(share.occasion_starts)), share.doses, share.times
    owner = np.repeat(np.arange(n), versions)
    covariates = people.covariates(spec, 0, n, share.together)
    seen = people.demographics(spec, 0, n, share.together)
    weight = seen.get("weight")
    if weight is None and any(d.per_kg for d in doses):
        raise CovariateError(
            "doses", "a dose per kg and no weight", "the patient's weight", "Patient(weight=70)"
        )
    one, k, m = share.records(), len(doses), len(times)
    size = len(one.time_h)
    shift = np.where(one.kind == timeline.REC_DOSE, k, np.where(one.kind == timeline.REC_SAMPLE, m, 0))
    records = timeline.Records(
        size * np.arange(n + 1),
        np.tile(one.time_h, n),
        np.tile(one.kind, n),
        (one.arg + np.arange(n)[:, None] * shift).ravel(),
    )
    rows = []
    for number, dose in enumerate(doses):
        scale = np.full(n, parts.share_of_drug(spec, dose.drug))
        rate = (dose.rate or 0.0) if dose.duration_h is None else 0.0
        given = parts.Given(
            dose.amount * scale, rate * scale, np.full(n, dose.duration_h or 0.0), np.asarray(False)
        )
        fields = {name: np.full(n, value) for name, value in dose.fields.items()}
        where = f"{spec.id}: entry {dose.entry}"
        per_kg = np.full(n, dose.per_kg)
        rows.append(
            DoseRows(model.entries[dose.entry], where, number + k * np.arange(n), given, fields, per_kg)
        )
    version_of_dose = np.array([share.version(d.time_h) for d in doses], np.int64)
    version_of_sample = np.array([share.version(t) for t in times], np.int64)
    start = versions * np.arange(n)[:, None]
    count = np.tile([len(model.entries[d.entry]) for d in doses], n)
    return Layout(
        covariates={name: values[owner] for name, values in covariates.items()},
        first_column=versions * np.arange(n + 1),
        owner=owner,
        occasion=np.tile(np.arange(versions), n),
        occasions=versions,
        records=records,
        rows=rows,
        first_part=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        additional=np.tile([d.count - 1 for d in doses], n).astype(np.int64),
        interval_h=np.tile([d.every_h for d in doses], n).astype(float),
        steady_state=np.tile([d.steady_state for d in doses], n).astype(np.int64),
        column_of_dose=(start + version_of_dose).ravel(),
        column_of_sample=(start + version_of_sample).ravel(),
        subject_of_sample=np.repeat(np.arange(n), m),
        time_h=np.tile(times, n),
        since_h=np.tile(times - min((d.time_h for d in doses), default=0.0), n),
        weight=weight,
        inputs=share.states_with_input(),
    )


def of_table(model: Compiled, table: EventTable, people: Any, outputs: Sequence[str], carry: str) -> Layout:
    """An event table, each subject with records of his own."""
    run = EventRun(model, table, tuple(outputs), people, carry, threads=1)
    n = table.n_subjects
    columns = run.columns(0, n)
    dosed, sampled = run.dosed, run.sampled
    groups: dict[int, list[int]] = {}
    for k, meant in enumerate(run.targets):
        groups.setdefault(id(meant), []).append(k)
    rows = []
    for members in groups.values():
        target, plain, name = run.targets[members[0]]
        index = np.array(members)
        record = dosed[index]
        given = parts.Given(
            table.amount[record],
            table.rate[record].astype(float),
            table.duration_h[record],
            np.asarray(plain),
        )
        fields = {k: table.columns[k][record] for k in model.spec.dose_fields if k in table.columns}
        no = np.zeros(len(index), bool)
        rows.append(DoseRows(target, f"{table.source}: dose by {name}", index, given, fields, no))
    count = np.array([len(t[0]) for t in run.targets], np.int64)
    return Layout(
        covariates=columns.covariates,
        first_column=columns.first_version,
        owner=columns.owner,
        occasion=columns.occasion,
        occasions=columns.occasions,
        records=run.records(0, n, columns),
        rows=rows,
        first_part=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        additional=table.addl[dosed],
        interval_h=table.ii_h[dosed].astype(float),
        steady_state=table.ss[dosed],
        column_of_dose=columns.version_of_row[dosed],
        column_of_sample=columns.version_of_row[sampled],
        subject_of_sample=table.subject[sampled],
        time_h=table.time_h[sampled],
        since_h=table.time_h[sampled] - run.first_dose()[table.subject[sampled]],
        weight=None,
        inputs=run.inputs(),
    )
