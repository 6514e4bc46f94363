"""A regimen in a population, on times common to all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing import Dose
from kinetamine.engine import nca, timeline
from kinetamine.engine.summarise import Quantiles
from kinetamine.errors import CovariateError
from kinetamine.formulas.evaluate import evaluate
from kinetamine.models.compile import Compiled
from kinetamine.simulate import parts, solver

__all__ = ["GridRun", "Plan"]

#: patients per piece of work: enough to keep NumPy's overhead small, few enough to stay near the caches
CHUNK = 4096
#: people whose covariates are kept
MOST_REMEMBERED = 1_000_000


@dataclass
class Plan:
    """One model's share of a request: everything that does not depend on the patient.

    Parameters
    ----------
    model : Compiled
    doses : list of Dose
        Those with a share for this model; repeats not written out unless occasions need it.
    times : array (time,), h
    outputs : tuple of str
    population : Patient or Population
    occasion_starts : array (occasion,), h
        Empty when nothing varies between occasions.
    together : sequence of ModelSpec
        All models of the request.
    """

    model: Compiled
    doses: list[Dose]
    times: np.ndarray
    outputs: tuple[str, ...]
    population: Any
    occasion_starts: np.ndarray
    together: Sequence[Any] = ()

    def records(self) -> timeline.Records:
        """Occasions, doses and samples in order; at the same time in this order."""
        rows = [(t, 0, timeline.REC_VERSION, k) for k, t in enumerate(self.occasion_starts) if k > 0]
        rows += [(d.time_h, 1, timeline.REC_DOSE, k) for k, d in enumerate(self.doses)]
        rows += [(t, 2, timeline.REC_SAMPLE, k) for k, t in enumerate(self.times)]
        rows.sort(key=lambda r: r[:2])
        columns = list(zip(*rows, strict=True))
        return timeline.Records(
            np.array([0, len(rows)]), np.array(columns[0], float), np.array(columns[2]), np.array(columns[3])
        )

    def version(self, time_h: float) -> int:
        """The occasion at a time."""
        return max(0, int(np.searchsorted(self.occasion_starts, time_h + 1e-9, side="right")) - 1)

    def states_with_input(self) -> tuple[int, ...]:
        """States that some dose may feed at a constant rate."""
        found = set()
        for dose in self.doses:
            for part in self.model.entries[dose.entry]:
                if dose.duration_h or dose.rate or part.duration is not None or part.rate is not None:
                    found.add(part.state)
        return tuple(sorted(found))


@dataclass
class Chunk:
    """Numbers of patients `start`…`stop`, ready for the engine."""

    start: int
    env: dict[str, Any]
    versions: int
    doses: timeline.Doses


class GridRun:
    """Runs one plan in pieces.

    Parameters
    ----------
    plan : Plan
    threads : int
    notify : callable, optional
    """

    def __init__(
        self, plan: Plan, threads: int | None = None, notify: Callable[[str], None] | None = None
    ) -> None:
        self.plan = plan
        self.threads = threads or os.cpu_count() or 1
        self.n = plan.population.n
        self.records = plan.records()
        self.lengths: np.ndarray | None = None  # from the first patient: the same for any number of patients
        steady = any(d.steady_state for d in plan.doses)
        self.solver = solver.choose(plan.model, plan.outputs, plan.states_with_input(), steady, notify)
        self.shared: tuple[np.ndarray, timeline.Plan] | None = None
        self.status = np.zeros(self.n, np.int64)
        self.failed_at = np.full(self.n, np.nan)
        self.people: dict[str, np.ndarray] = {}

    # ---- one piece

    def prepare(self, start: int, stop: int) -> Chunk:
        """Draw the people and evaluate the model's formulas for them."""
        plan, model = self.plan, self.plan.model
        spec, people = model.spec, plan.population
        env: dict[str, Any] = {**people.parameters(spec, start, stop)}
        seen = dict(people.demographics(spec, start, stop, plan.together))
        covariates = people.covariates(spec, start, stop, plan.together)
        self._remember(start, stop, {**covariates, **seen})
        env.update(covariates)
        env.update(people.etas(spec, start, stop))
        versions = max(1, len(plan.occasion_starts))
        env.update(people.occasions(spec, versions, start, stop))
        env = model.environment(env)
        return Chunk(start, env, versions, self.enter(env, seen.get("weight"), stop - start))

    def _remember(self, start: int, stop: int, values: dict[str, np.ndarray]) -> None:
        """Keep who was simulated, for the result and its grade; of very many only the first."""
        for name, column in values.items():
            if name not in self.people:
                self.people[name] = np.full(min(self.n, MOST_REMEMBERED), np.nan)
            room = max(0, min(stop, MOST_REMEMBERED) - start)
            self.people[name][start : start + room] = column[:room]

    def enter(self, env: dict[str, Any], weight: np.ndarray | None, n: int) -> timeline.Doses:
        """Amounts, rates, durations and lags of all parts of all doses."""
        plan = self.plan
        if weight is None and any(d.per_kg for d in plan.doses):
            raise CovariateError(
                "doses",
                "a dose per kg and no weight",
                "the patient's weight",
                "Patient(weight=70) or --set weight=70",
            )
        first, states, value, length, lag, phase = [0], [], [], [], [], []
        for dose in plan.doses:
            share = parts.share_of_drug(plan.model.spec, dose.drug)
            per = share * (weight if dose.per_kg and weight is not None else np.ones(n))
            amount = dose.amount * per
            now = {k: v[plan.version(dose.time_h)] if np.ndim(v) == 2 else v for k, v in env.items()}
            now.update(parts.dose_fields(plan.model, amount, dose.fields))
            given = parts.Given(
                amount,
                np.asarray((dose.rate or 0.0) * per if dose.duration_h is None else 0.0),
                np.asarray(dose.duration_h or 0.0),
                np.asarray(False),
            )
            for k, part in enumerate(plan.model.entries[dose.entry]):
                where = f"{plan.model.spec.id}: entry {dose.entry}, part {k + 1}"
                v, d, g = parts.enter(part, now, given, (n,), where)
                states.append(part.state)
                value.append(v)
                length.append(d)
                lag.append(g)
                phase.append(timeline.steady_phase(g, dose.every_h))
            first.append(len(states))
        shape = (len(states), n)
        return timeline.Doses(
            np.array(first),
            np.array([d.count - 1 for d in plan.doses]),
            np.array([d.every_h for d in plan.doses], float),
            np.array([d.steady_state for d in plan.doses]),
            np.array(states, np.int64),
            *(np.array(rows, float).reshape(shape) for rows in (value, length, lag, phase)),
        )

    def compute(self, chunk: Chunk, out: np.ndarray, offset: int) -> None:
        """Simulate a piece; `out` (observed, patients × times) gets it from column `offset` × times on."""
        n = chunk.doses.value.shape[1]
        if self.lengths is None:
            self.lengths = timeline.plan_lengths(self.records, chunk.doses)
        turns = chunk.doses.turns()
        if self.shared is not None and turns is not None and np.array_equal(turns, self.shared[0]):
            steps = self.shared[1]
        else:
            steps = timeline.build(self.records, chunk.doses, self.lengths)
            if turns is not None:
                self.shared = (turns, steps)
        times = len(self.plan.times)
        shape = (chunk.versions, n)
        piece = slice(chunk.start, chunk.start + n)
        self.solver.run(
            steps=steps,
            plan_of=np.zeros(n, np.int64) if len(steps.start) == 2 else np.arange(n),
            env=chunk.env,
            shape=shape,
            column_of=np.arange(n),
            column_stride=n,
            doses=chunk.doses,
            part_stride=(n, 1),
            out=out,
            out_stride=(times, 1, offset * times),
            status=self.status[piece],
            failed_at=self.failed_at[piece],
        )

    def outputs(self, chunk: Chunk, observed: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs in their units from what the engine observed, arrays (patient, time); adds residual error."""
        plan, model = self.plan, self.plan.model
        found: dict[str, np.ndarray] = {}
        rows = iter(range(len(observed)))
        for name in plan.outputs:
            if name in model.sums:
                found[name] = observed[next(rows)]
        states = {model.states[s]: observed[next(rows)] for s in model.watched(plan.outputs)}
        if any(o in model.formulas for o in plan.outputs):
            which = np.array([plan.version(t) for t in plan.times])
            env: dict[str, Any] = {}
            for key, v in chunk.env.items():
                if np.ndim(v) == 2:
                    env[key] = v[which].T
                else:
                    env[key] = v[:, None] if np.ndim(v) == 1 else v
            first = min((d.time_h for d in plan.doses), default=0.0)
            env.update(states, time=plan.times - first)
            for name in plan.outputs:
                if name in model.formulas:
                    shape = (
                        observed.shape[1] if len(observed) else len(chunk.doses.value[0]),
                        len(plan.times),
                    )
                    found[name] = np.array(np.broadcast_to(evaluate(model.formulas[name], env), shape))
        if plan.population.residual:
            from kinetamine.population import add_residual

            for name in plan.outputs:
                if name in model.spec.residual:
                    stop = chunk.start + len(found[name])
                    noise = plan.population.residual_noise(model.spec, name, plan.times, chunk.start, stop)
                    found[name] = add_residual(model.spec, name, found[name], noise)
        return {name: found[name] for name in plan.outputs}

    # ---- all of it

    def pieces(self) -> list[tuple[int, int]]:
        """Patients in pieces of a multiple of eight."""
        size = CHUNK
        while size > 64 and self.n < 2 * size * self.threads:
            size //= 2
        return [(a, min(a + size, self.n)) for a in range(0, self.n, size)]

    def _each(self, work: Callable[[int, int], None], progress: Callable[[int], None] | None) -> None:
        pieces = self.pieces()
        # the first piece alone: it compiles what has to be compiled and settles the shared plan
        head, *rest = pieces
        work(*head)
        if progress:
            progress(head[1] - head[0])
        if self.threads == 1 or len(rest) < 1:
            for start, stop in rest:
                work(start, stop)
                if progress:
                    progress(stop - start)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            futures = [pool.submit(work, a, b) for a, b in rest]
            try:
                for future, (a, b) in zip(futures, rest, strict=True):
                    future.result()
                    if progress:
                        progress(b - a)
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def stored(self, progress: Callable[[int], None] | None = None) -> dict[str, np.ndarray]:
        """Every patient's curve, arrays (patient, time)."""
        times = len(self.plan.times)
        observed = np.empty((self.solver.observed, self.n * times))
        later = bool(self.plan.model.watched(self.plan.outputs)) or self.plan.population.residual
        found: dict[str, np.ndarray] = {}
        if later or not self.solver.observed:
            found = {name: np.empty((self.n, times)) for name in self.plan.outputs}
            later = True

        def work(start: int, stop: int) -> None:
            chunk = self.prepare(start, stop)
            if not later:
                self.compute(chunk, observed, start)
                return
            part = np.empty((self.solver.observed, (stop - start) * times))
            self.compute(chunk, part, 0)
            for name, values in self.outputs(chunk, part.reshape(-1, stop - start, times)).items():
                found[name][start:stop] = values

        self._each(work, progress)
        if not later:
            cube = observed.reshape(-1, self.n, times)
            names = [o for o in self.plan.outputs if o in self.plan.model.sums]
            found = {name: cube[k] for k, name in enumerate(names)}
        if self.status.any():
            for values in found.values():
                bad = ~np.isfinite(values).all(axis=1) & np.isnan(self.failed_at)
                self.failed_at[bad] = self.plan.times[np.argmin(np.isfinite(values[bad]), axis=1)]
                values[self.status != 0] = np.nan
        return found

    def streamed(
        self, q: Sequence[float], progress: Callable[[int], None] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Quantiles (q, time) and exposure measures (patient, measure) without keeping the curves."""
        times = len(self.plan.times)
        counters: dict[str, list[Quantiles]] = {o: [] for o in self.plan.outputs}
        free: list[dict[str, Quantiles]] = []
        measures = {o: np.full((self.n, len(nca.MEASURES)), np.nan, np.float32) for o in self.plan.outputs}
        second = False

        def counter() -> dict[str, Quantiles]:
            if free:
                return free.pop()
            fresh = {}
            for o in self.plan.outputs:
                fresh[o] = counters[o][0].another() if second else Quantiles(times, q)
                counters[o].append(fresh[o])
            return fresh

        def work(start: int, stop: int) -> None:
            chunk = self.prepare(start, stop)
            part = np.empty((self.solver.observed, (stop - start) * times))
            self.compute(chunk, part, 0)
            good = self.status[start:stop] == 0
            mine = counter()
            for name, values in self.outputs(chunk, part.reshape(-1, stop - start, times)).items():
                values = np.ascontiguousarray(values if good.all() else values[good])
                if second:
                    mine[name].refine(values)
                else:
                    mine[name].count(values)
                    measures[name][start:stop][good] = nca.measure(self.plan.times, values, threads=1)
            free.append(mine)

        self._each(work, progress)
        for o in self.plan.outputs:
            for other in counters[o][1:]:
                counters[o][0].merge(other)
            counters[o][0].locate()
            del counters[o][1:]
        free.clear()
        free.append({o: counters[o][0] for o in self.plan.outputs})
        second = True
        self._each(work, progress)
        out = {}
        for o in self.plan.outputs:
            for other in counters[o][1:]:
                counters[o][0].merge_fine(other)
            out[o] = counters[o][0].result()
        return out, measures
