"""An event table: each subject with doses, samples and changing covariates of his own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing import EventTable
from kinetamine.engine import timeline
from kinetamine.errors import Fault, FaultyFile, InputError
from kinetamine.formulas.tree import Num
from kinetamine.models.compile import Compiled, PartFormulas
from kinetamine.population import add_residual
from kinetamine.simulate import parts, solver
from kinetamine.simulate.runner import Piece, Run

__all__ = ["EventRun"]

#: subjects per piece of work
CHUNK = 2048


@dataclass
class Columns:
    """Versions of some subjects: each holds while nothing about a subject changes.

    Parameters
    ----------
    covariates : dict of array (version,)
    owner : array (version,)
        Whose it is, counted from the first of these subjects.
    occasion : array (version,)
        Number of the occasion.
    occasions : int
        How many there are in the table.
    version_of_row : array (row,)
    first_version : array (subject + 1,)
    """

    covariates: dict[str, np.ndarray]
    owner: np.ndarray
    occasion: np.ndarray
    occasions: int
    version_of_row: np.ndarray
    first_version: np.ndarray


class EventRun(Run):
    """Runs one model on one table.

    Parameters
    ----------
    model : Compiled
    table : EventTable
    outputs : tuple of str
    population : Patient or Population
        Random effects and parameters of the subjects; covariates that the table does not have.
    carry : str
        ``next``: a record's covariates hold since the record before it (as in NONMEM); ``last``: until the
        record after it.
    threads : int
    notify : callable, optional
    """

    def __init__(
        self,
        model: Compiled,
        table: EventTable,
        outputs: tuple[str, ...],
        population: Any,
        carry: str = "next",
        threads: int = 1,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        table.check(model.spec)
        super().__init__(model, outputs, population, table.n_subjects, threads)
        self.table, self.carry = table, carry
        self.bounds = np.append(np.flatnonzero(np.diff(table.subject, prepend=-1)), len(table.subject))
        self.sampled = np.flatnonzero(table.is_output)
        self.dosed = np.flatnonzero((table.evid == 1) | (table.evid == 4))
        self.row_of_sample = np.full(len(table.subject), -1)
        self.row_of_sample[self.sampled] = np.arange(len(self.sampled))
        self.covariates = {
            name: self._filled(table.columns[name]) for name in model.spec.covariates if name in table.columns
        }
        self._targets()
        steady = bool((table.ss[self.dosed] > 0).any())
        self.solver = solver.choose(self.model, self.outputs, self.inputs(), steady, notify)

    # ---- which part of which entry a dose record means

    def _targets(self) -> None:
        """For each dose record a list of parts, and whether it is addressed by compartment number."""
        model, table = self.model, self.table
        states = {name: k for k, name in enumerate(model.states)}
        modelled = bool((table.rate[self.dosed] < 0).any())
        known: dict[Any, tuple[tuple[PartFormulas, ...], bool, str]] = {}
        faults: list[Fault] = []
        self.targets: list[tuple[tuple[PartFormulas, ...], bool, str]] = []
        for row in self.dosed:
            cmt = table.cmt[row]
            if cmt not in known:
                try:
                    known[cmt] = self._target(cmt, states, modelled)
                except InputError as error:
                    faults.append(Fault(f"line {table.line[row]}", *_tail(error.faults[0])))
                    known[cmt] = ((), False, "")
            self.targets.append(known[cmt])
        if faults:
            raise FaultyFile(table.source, faults)

    def _target(
        self, cmt: Any, states: dict[str, int], modelled: bool
    ) -> tuple[tuple[PartFormulas, ...], bool, str]:
        entries = self.model.entries
        if cmt is None:
            if len(entries) == 1:
                (name,) = entries
                return entries[name], modelled, name
            raise InputError(
                "CMT",
                "nothing",
                "where the dose goes, as the model has several entries",
                " or ".join(entries),
            )
        if isinstance(cmt, str) and cmt in entries:
            return entries[cmt], False, cmt
        if isinstance(cmt, str):
            if cmt not in states:
                raise InputError(
                    "CMT", repr(cmt), "an entry, a compartment or its number", ", ".join([*entries, *states])
                )
            state = states[cmt]
        else:
            state = int(cmt) - 1
            if not 0 <= state < len(self.model.spec.compartments):
                raise InputError(
                    "CMT",
                    str(cmt),
                    f"a number from 1 to {len(self.model.spec.compartments)}",
                    ", ".join(f"{k + 1} {name}" for name, k in states.items()),
                )
        for name, found in entries.items():
            if len(found) == 1 and found[0].state == state:
                return found, True, name
        return (PartFormulas(state, Num(1.0), None, None, None),), True, f"compartment {state + 1}"

    def inputs(self) -> tuple[int, ...]:
        """States that may be fed at a constant rate."""
        table = self.table
        found = set()
        for row, (target, plain, _) in zip(self.dosed, self.targets, strict=True):
            given = table.rate[row] != 0 or table.duration_h[row] > 0
            for part in target:
                if given or (not plain and (part.duration is not None or part.rate is not None)):
                    found.add(part.state)
        return tuple(sorted(found))

    # ---- covariates that change

    def _filled(self, values: np.ndarray) -> np.ndarray:
        """Missing values carried within each subject; NaN where he has none at all."""
        out = np.array(values, float)
        rows = np.arange(len(out))
        first = self.bounds[:-1][self.table.subject]
        last = (self.bounds[1:] - 1)[self.table.subject]
        have = np.isfinite(out)
        before = np.maximum.accumulate(np.where(have, rows, -1))
        before = np.where(before >= first, before, -1)
        after = np.minimum.accumulate(np.where(have, rows, len(out))[::-1])[::-1]
        after = np.where(after <= last, after, -1)
        one, two = (after, before) if self.carry == "next" else (before, after)
        use = np.where(one >= 0, one, two)
        return np.where(use >= 0, out[np.maximum(use, 0)], np.nan)

    def columns(self, first: int, last: int) -> Columns:
        """What changes within and between subjects first…last: their covariates and occasions."""
        table, spec, people = self.table, self.model.spec, self.population
        rows = slice(self.bounds[first], self.bounds[last])
        subject = table.subject[rows] - first
        n = last - first
        base = people.covariates(spec, first, last) if people.n > 1 else people.covariates(spec, 0, n)
        covariates: dict[str, np.ndarray] = {}
        for name in spec.covariates:
            if name in self.covariates:
                filled = self.covariates[name][rows]
                covariates[name] = np.where(np.isfinite(filled), filled, base[name][subject])
        occasion = np.zeros(len(subject), np.int64)
        labels = np.array([0])
        if spec.occasion_etas and table.occasion is not None:
            labels = np.unique(table.occasion)
            occasion = np.searchsorted(labels, table.occasion[rows])
        changed = np.diff(subject, prepend=-1) != 0
        for values in (*covariates.values(), occasion):
            changed[1:] |= values[1:] != values[:-1]
        followed: dict[str, np.ndarray] = {}
        if self.model.follows:
            followed = self._last_dose(rows, subject, changed)
            changed[1:] |= (table.evid[rows][1:] == 1) | (table.evid[rows][1:] == 4)
        start_row = np.flatnonzero(changed)
        owner = subject[start_row]
        known = {k: v[start_row] for k, v in covariates.items()}
        known |= {k: v[owner] for k, v in base.items() if k not in known}
        known |= {k: v[start_row] for k, v in followed.items()}
        return Columns(
            known,
            owner,
            occasion[start_row],
            len(labels),
            np.cumsum(changed) - 1,
            np.searchsorted(owner, np.arange(n + 1)),
        )

    def _last_dose(self, rows: slice, subject: np.ndarray, changed: np.ndarray) -> dict[str, np.ndarray]:
        """Amount of the last dose on each row, and its time since the subject's first dose."""
        table, name = self.table, f"model {self.model.spec.id}"
        dose = (table.evid[rows] == 1) | (table.evid[rows] == 4)
        if (table.addl[rows][dose] > 0).any() or (table.ss[rows][dose] > 0).any():
            wanted = "each dose on a row of its own, as the model looks at the last dose"
            raise InputError(name, "ADDL or SS", wanted, "the doses written out")
        within = changed & (np.diff(subject, prepend=subject[0]) == 0)
        if self.carry == "next" and within[1:].any():
            raise InputError(
                name,
                "covariates that change",
                "carry='last', as the model looks at the last dose",
                "carry='last'",
            )
        at = np.maximum.accumulate(np.where(dose, np.arange(len(dose)), -1))
        first = np.searchsorted(subject, subject)
        given = at >= first
        time = table.time_h[rows]
        since = time[np.maximum(at, 0)] - self.first_dose()[table.subject[rows]]
        amount = table.amount[rows][np.maximum(at, 0)]
        return {"last_dose": np.where(given, amount, 0.0), "last_dose_at": np.where(given, since, 0.0)}

    def environment(self, first: int, last: int, columns: Columns) -> dict[str, Any]:
        """Values of all names for subjects first…last, floats or arrays (version,)."""
        spec, people, owner = self.model.spec, self.population, columns.owner

        def each(values: Any) -> Any:
            return values[owner] if np.ndim(values) == 1 else values

        env: dict[str, Any] = {k: each(v) for k, v in people.parameters(spec, first, last).items()}
        env.update(columns.covariates)
        env.update({k: each(v) for k, v in people.etas(spec, first, last).items()})
        if spec.occasion_etas:
            drawn = people.occasions(spec, columns.occasions, first, last)
            env.update({k: v[columns.occasion, owner] for k, v in drawn.items()})
        return self.model.environment(env)

    # ---- a piece of the table

    def records(self, first: int, last: int, columns: Columns) -> timeline.Records:
        """Events of the subjects in order."""
        table = self.table
        offset = self.bounds[first]
        rows = np.arange(offset, self.bounds[last])
        subject = table.subject[rows] - first
        local = columns.version_of_row - columns.first_version[subject]
        evid = table.evid[rows]
        place: list[np.ndarray] = []
        kind: list[np.ndarray] = []
        arg: list[np.ndarray] = []

        def put(where: np.ndarray, order: float, what: int, value: Any) -> None:
            place.append(where + order)
            kind.append(np.full(len(where), what))
            arg.append(np.broadcast_to(value, len(where)))

        index = np.arange(len(rows), dtype=float)
        changes = np.flatnonzero((np.diff(local, prepend=0) != 0) & (np.diff(subject, prepend=-1) == 0))
        if self.carry == "next" and not self.model.follows:  # the new values hold from the record before on
            put(index[changes] - 1, 0.9, timeline.REC_VERSION, local[changes])
        else:
            put(index[changes], 0.0, timeline.REC_VERSION, local[changes])
        resets = np.flatnonzero((evid == 3) | (evid == 4))
        put(index[resets], 0.1, timeline.REC_RESET, 0)
        doses = np.flatnonzero((evid == 1) | (evid == 4))
        put(index[doses], 0.2, timeline.REC_DOSE, np.arange(len(doses)))
        if self.model.starts:  # before the first record and after each reset
            begins = np.flatnonzero(np.diff(subject, prepend=-1) != 0)
            put(index[begins], 0.0, timeline.REC_DOSE, len(doses) + np.arange(len(begins)))
            put(index[resets], 0.15, timeline.REC_DOSE, len(doses) + subject[resets])
        samples = np.flatnonzero(table.is_output[rows])
        put(index[samples], 0.3, timeline.REC_SAMPLE, self.row_of_sample[rows[samples]])
        others = np.flatnonzero(evid == 2)
        put(index[others], 0.3, timeline.REC_VERSION, local[others])
        for rows_, what, states in self._switched(rows, evid):
            put(index[rows_], 0.4, what, states)
        order = np.argsort(np.concatenate(place), kind="stable")
        at = np.floor(np.concatenate(place)[order] + 1e-9).astype(int)
        whose = subject[at]
        return timeline.Records(
            np.searchsorted(whose, np.arange(last - first + 1)),
            table.time_h[rows][at],
            np.concatenate(kind)[order],
            np.concatenate(arg)[order],
        )

    def _leaks(self, state: int) -> bool:
        """Whether a state is fed by a compartment and feeds one: between two events amounts would pass through."""
        name = self.model.states[state] if 0 <= state < len(self.model.states) else ""
        flows = self.model.spec.flows.values()
        fed = any(flow.to == name and flow.from_ for flow in flows)
        return fed and any(flow.from_ == name and flow.to for flow in flows)

    @functools.cached_property
    def numbers(self) -> np.ndarray:
        """Numbers of compartments of all records, 0 where there is none or a name: a few values, many records."""
        cmt = self.table.cmt
        whole = {c: c for c in set(cmt.tolist()) if isinstance(c, int)}
        if not any(c < 0 for c in whole.values()):
            return np.zeros(len(cmt), np.int64)  # nothing is turned off
        return np.array([whole.get(c, 0) for c in cmt.tolist()], np.int64)

    def _switched(self, rows: np.ndarray, evid: np.ndarray) -> list[tuple[np.ndarray, int, np.ndarray]]:
        """Records that turn a compartment off (CMT < 0) or on (EVID 2 and CMT > 0): rows, kind, states."""
        number = self.numbers[rows]
        off = np.flatnonzero((number < 0) & (evid != 1) & (evid != 4))
        if not len(off):
            return []
        faults = [
            Fault(
                f"line {self.table.line[rows[k]]}", f"CMT {number[k]}",
                "a compartment that passes nothing on while others feed it: what is turned off would leak",
                "a reset (EVID 3), or a compartment without such flows",
            )
            for k in off
            if self._leaks(-int(number[k]) - 1)
        ]  # fmt: skip
        if faults:
            raise FaultyFile(self.table.source, faults)
        on = np.flatnonzero((number > 0) & (evid == 2))
        return [
            (off, timeline.REC_OFF, -number[off] - 1),
            (on, timeline.REC_ON, number[on] - 1),
        ]

    def doses(self, first: int, last: int, env: dict[str, Any], columns: Columns) -> timeline.Doses:
        """Parts of all doses of the subjects."""
        table = self.table
        version_of_row, first_version = columns.version_of_row, columns.first_version
        offset = self.bounds[first]
        low, high = np.searchsorted(self.dosed, [offset, self.bounds[last]])
        rows = self.dosed[low:high]
        targets = self.targets[low:high]
        count = np.array([len(t[0]) for t in targets], np.int64)
        first_part = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        total = int(first_part[-1])
        state = np.zeros(total, np.int64)
        value, length, lag = np.zeros(total), np.zeros(total), np.zeros(total)
        groups: dict[int, list[int]] = {}
        for k, meant in enumerate(targets):
            groups.setdefault(id(meant), []).append(k)
        for members in groups.values():
            target, plain, name = targets[members[0]]
            index = np.array(members)
            record = rows[index]
            version = version_of_row[record - offset]
            now = {k: v[version] if np.ndim(v) == 1 else v for k, v in env.items()}
            fields = {k: table.columns[k][record] for k in self.model.spec.dose_fields if k in table.columns}
            now.update(parts.dose_fields(self.model, table.amount[record], fields))
            given = parts.Given(
                table.amount[record], table.rate[record], table.duration_h[record], np.asarray(plain)
            )
            for q, part in enumerate(target):
                where = f"{table.source}: dose by {name}"
                v, d, g = parts.enter(part, now, given, (len(index),), where)
                slot = first_part[index] + q
                state[slot], value[slot], length[slot], lag[slot] = part.state, v, d, g
        every = table.ii_h[rows].astype(float)
        phase = timeline.steady_phase(lag, np.repeat(every, count))
        found = timeline.Doses(
            first_part, table.addl[rows], every, table.ss[rows], state,
            value[:, None], length[:, None], lag[:, None], phase[:, None],
        )  # fmt: skip
        return self._with_starts(found, last - first, env, first_version) if self.model.starts else found

    def _with_starts(
        self, doses: timeline.Doses, n: int, env: dict[str, Any], first_version: np.ndarray
    ) -> timeline.Doses:
        """Amounts that are there from the start, as one more dose of each subject."""
        starts = self.model.starts
        now = {k: v[first_version[:-1]] if np.ndim(v) == 1 else v for k, v in env.items()}
        where = f"{self.model.spec.id}: starting amount"
        values = np.array([parts.enter(part, now, parts.ONE, (n,), where)[0] for part in starts])
        more, none = len(starts) * n, np.zeros(n, np.int64)

        def longer(rows: np.ndarray, new: Any = 0.0) -> np.ndarray:
            return np.concatenate([rows, np.broadcast_to(new, (more, 1))])

        return timeline.Doses(
            np.append(doses.first_part, doses.first_part[-1] + len(starts) * np.arange(1, n + 1)),
            np.append(doses.additional, none),
            np.append(doses.interval_h, none.astype(float)),
            np.append(doses.steady_state, none),
            np.append(doses.state, np.tile([part.state for part in starts], n)),
            longer(doses.value, values.T.reshape(-1, 1)), longer(doses.duration_h), longer(doses.lag_h),
            longer(doses.phase_h),
        )  # fmt: skip

    def pieces(self) -> list[tuple[int, int]]:
        """Subjects in pieces."""
        return [(a, min(a + CHUNK, self.n)) for a in range(0, self.n, CHUNK)]

    def prepare(self, first: int, last: int) -> tuple[Piece, timeline.Records, np.ndarray]:
        """Subjects first…last ready for the engine, their records, and the version that holds on each row."""
        columns = self.columns(first, last)
        env = self.environment(first, last, columns)
        records = self.records(first, last, columns)
        doses = self.doses(first, last, env, columns)
        shape = (int(columns.first_version[-1]),)
        piece = Piece(first, last, env, shape, columns.first_version[:-1], 1, doses, (1, 0))
        return piece, records, columns.version_of_row

    def stored(self, progress: Callable[[int], None] | None = None) -> dict[str, np.ndarray]:
        """Outputs at the observation records, arrays (record,)."""
        observed = np.zeros((self.solver.observed, len(self.sampled)))
        found = {name: np.zeros(len(self.sampled)) for name in self.outputs}
        first_dose = self.first_dose()

        def work(first: int, last: int) -> None:
            piece, records, version_of_row = self.prepare(first, last)
            steps = timeline.build(records, piece.doses)
            if self.model.from_dose:  # time counts from the first dose that was given
                steps.origin[:] = self.table.time_h[self.bounds[first:last]] - first_dose[first:last]
            self.step(piece, steps, observed, (0, 1, 0))
            low, high = np.searchsorted(self.sampled, [self.bounds[first], self.bounds[last]])
            rows = self.sampled[low:high]

            def samples() -> dict[str, Any]:
                version = version_of_row[rows - self.bounds[first]]
                now = {k: v[version] if np.ndim(v) == 1 else v for k, v in piece.env.items()}
                return {**now, "time": self.table.time_h[rows] - first_dose[self.table.subject[rows]]}

            for name, values in self.named(observed[:, low:high], samples, rows.shape).items():
                found[name][low:high] = values

        self.each(work, progress)
        failed = self.status[self.table.subject[self.sampled]] != 0
        for values in found.values():
            values[failed] = np.nan
        return {name: self._with_residual(name, found[name]) for name in self.outputs}

    def _with_residual(self, name: str, values: np.ndarray) -> np.ndarray:
        """Residual error, when it is switched on: one draw per subject and observation record."""
        if not self.population.residual or name not in self.model.spec.residual:
            return values
        seen = self.table.is_observation[self.sampled]
        whose = self.table.subject[self.sampled][seen]
        turn = np.arange(len(whose)) - np.searchsorted(whose, whose)
        most = int(turn.max(initial=-1)) + 1
        noise = self.population.residual_noise(self.model.spec, name, most, 0, self.n)
        found = values.copy()
        found[seen] = add_residual(self.model.spec, name, values[seen], noise[whose, turn])
        return found

    def also(self) -> dict[str, np.ndarray]:
        """What the table asks for besides its outputs, arrays (row of output,)."""
        table = self.table
        found: dict[str, np.ndarray] = {}
        if "doses" in table.also:
            found |= {"EVID": table.evid[self.sampled], "AMT": table.amount[self.sampled]}
        if "tad" in table.also:
            found["TAD"] = self._after_dose()
        return found | (self._individual() if "parameters" in table.also else {})

    def _after_dose(self) -> np.ndarray:
        """Time after the subject's last dose at each observation record, h, repeats counted; NaN before the first."""
        table, rows = self.table, np.arange(len(self.table.subject))
        dose = np.full(len(rows), -1)
        dose[self.dosed] = self.dosed
        last = np.maximum.accumulate(dose)[self.sampled]
        given = last >= self.bounds[:-1][table.subject[self.sampled]]
        at = np.maximum(last, 0)
        since = table.time_h[self.sampled] - table.time_h[at]
        every = table.ii_h[at].astype(float)
        with np.errstate(divide="ignore", invalid="ignore"):
            turns = np.where(every > 0, np.minimum(np.floor(since / every + 1e-9), table.addl[at]), 0.0)
        return np.where(given, since - turns * every, np.nan)

    def _individual(self) -> dict[str, np.ndarray]:
        """Individual values at each observation record, arrays (record,), in inside units (h, mg, L)."""
        columns = self.columns(0, self.n)
        env = self.environment(0, self.n, columns)
        version = columns.version_of_row[self.sampled]
        found = {}
        for name in self.model.spec.individual:
            value = np.asarray(env[name])
            found[name] = value[version] if value.ndim else np.full(len(version), float(value))
        return found

    def first_dose(self) -> np.ndarray:
        """Time of each subject's first dose (of his first record, when there is none)."""
        first = self.table.time_h[self.bounds[:-1]].astype(float)
        rows = self.dosed[::-1]  # the first dose of a subject comes last and stays
        first[self.table.subject[rows]] = self.table.time_h[rows]
        return first


def _tail(fault: Fault) -> tuple[str, str, str]:
    return f"{fault.where} {fault.given}", fault.expected, fault.try_
