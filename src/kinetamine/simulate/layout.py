"""What a prepared evaluator runs: people, records and doses of a regimen or an event table, with nothing drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing import EventTable
from kinetamine.engine import timeline
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
    per_kg, bounded : bool
        Whether amounts and rates, here in mg, follow the body weight; by another weight or up to a limit.
    scaled : bool
        Whether a factor on the doses acts on them; not on amounts that are there from the start.
    """

    target: tuple[PartFormulas, ...]
    where: str
    dose: np.ndarray
    given: parts.Given
    fields: dict[str, np.ndarray]
    per_kg: bool = False
    bounded: bool = False
    scaled: bool = True


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
    origin_h : array (subject,), h
        Time of the first record, counted from the first dose.
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
    origin_h: np.ndarray

    @property
    def subjects(self) -> int:
        """How many people."""
        return len(self.first_column) - 1


def of_regimen(share: Share) -> Layout:
    """A regimen for each of some people, on common times."""
    model, people = share.model, share.population
    spec, n = model.spec, people.n
    versions, doses, times = share.versions, share.doses, share.times
    owner = np.repeat(np.arange(n), versions)
    covariates = people.covariates(spec, 0, n, share.together)
    seen = people.demographics(spec, 0, n, share.together)
    one, m = share.records(), len(times)
    k = len(doses) + bool(model.starts)
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
        part_of = parts.share_of_drug(spec, dose.drug)
        rate = dose.mg_per_h(seen, part_of) if dose.duration_h is None else 0.0
        given = parts.Given(
            np.broadcast_to(dose.mg(seen, part_of), (n,)).astype(float),
            np.broadcast_to(rate, (n,)).astype(float),
            np.full(n, dose.duration_h or 0.0),
            np.asarray(False),
        )
        fields = {name: np.full(n, value) for name, value in dose.fields.items()}
        where = f"{spec.id}: entry {dose.entry}"
        number_of = number + k * np.arange(n)
        plain = dose.per_kg and dose.by == "weight" and dose.most is None
        rows.append(DoseRows(model.entries[dose.entry], where, number_of, given, fields))
        rows[-1].per_kg, rows[-1].bounded = plain, dose.per_kg and not plain
    begins = [0.0] if model.starts else []
    if model.starts:
        rows.append(_starts(model, k - 1 + k * np.arange(n)))
    if model.follows:
        turn, at = share.last_doses
        given_mg = [np.broadcast_to(d.mg(seen, parts.share_of_drug(spec, d.drug)), (n,)) for d in doses]
        last = np.array([*given_mg, np.zeros(n)])[turn].T
        covariates |= {"last_dose": last.ravel(), "last_dose_at": np.tile(at, n)}
    version_of_dose = np.array([share.version(d) for d in (*(d.time_h for d in doses), *begins)], np.int64)
    version_of_sample = np.array([share.version(t) for t in times], np.int64)
    start = versions * np.arange(n)[:, None]
    more = len(begins)
    count = np.tile([len(model.entries[d.entry]) for d in doses] + [len(model.starts)] * more, n)
    return Layout(
        covariates={k: v if len(v) == len(owner) else v[owner] for k, v in covariates.items()},
        first_column=versions * np.arange(n + 1),
        owner=owner,
        occasion=np.tile(share.occasion_of, n),
        occasions=max(1, len(share.occasion_starts)),
        records=records,
        rows=rows,
        first_part=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        additional=np.tile([d.count - 1 for d in doses] + [0] * more, n).astype(np.int64),
        interval_h=np.tile([d.every_h for d in doses] + [0.0] * more, n).astype(float),
        steady_state=np.tile([d.steady_state for d in doses] + [0] * more, n).astype(np.int64),
        column_of_dose=(start + version_of_dose).ravel(),
        column_of_sample=(start + version_of_sample).ravel(),
        subject_of_sample=np.repeat(np.arange(n), m),
        time_h=np.tile(times, n),
        since_h=np.tile(times - share.first_dose_h, n),
        weight=seen.get("weight"),
        inputs=share.states_with_input(),
        origin_h=np.full(n, one.time_h[0] - share.first_dose_h),
    )


def _starts(model: Compiled, dose: np.ndarray) -> DoseRows:
    """Amounts that are there from the start, as doses of 1 mg of which they are fractions."""
    n = len(dose)
    given = parts.Given(np.ones(n), np.zeros(n), np.zeros(n), np.asarray(False))
    where = f"{model.spec.id}: starting amount"
    return DoseRows(model.starts, where, dose, given, {}, scaled=False)


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
        rows.append(DoseRows(target, f"{table.source}: dose by {name}", index, given, fields))
    count = np.array([len(t[0]) for t in run.targets], np.int64)
    records, more = run.records(0, n, columns), np.zeros(0, np.int64)
    if model.starts:
        # one dose that nobody gets, with a part for each subject, keeps the places of two subjects apart
        late = (records.kind == timeline.REC_DOSE) & (records.arg >= len(dosed))
        records.arg = np.where(late, records.arg + 1, records.arg)
        rows.append(_starts(model, len(dosed) + 1 + np.arange(n)))
        count = np.concatenate([count, [n], np.full(n, len(model.starts))])
        more = np.zeros(n + 1, np.int64)
    first_row = run.bounds[:-1]
    begins = columns.first_version[:-1]
    return Layout(
        covariates=columns.covariates,
        first_column=columns.first_version,
        owner=columns.owner,
        occasion=columns.occasion,
        occasions=columns.occasions,
        records=records,
        rows=rows,
        first_part=np.concatenate([[0], np.cumsum(count)]).astype(np.int64),
        additional=np.append(table.addl[dosed], more),
        interval_h=np.append(table.ii_h[dosed].astype(float), more.astype(float)),
        steady_state=np.append(table.ss[dosed], more),
        column_of_dose=np.append(columns.version_of_row[dosed], [0, *begins] if len(more) else more),
        column_of_sample=columns.version_of_row[sampled],
        subject_of_sample=table.subject[sampled],
        time_h=table.time_h[sampled],
        since_h=table.time_h[sampled] - run.first_dose()[table.subject[sampled]],
        weight=None,
        inputs=run.inputs(),
        origin_h=table.time_h[first_row] - run.first_dose(),
    )
