"""A regimen in a population, on times common to all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kinetamine.dosing import Dose
from kinetamine.engine import timeline
from kinetamine.engine.summarise import Quantiles
from kinetamine.population import add_residual
from kinetamine.simulate import parts, solver
from kinetamine.simulate.runner import Piece, Run
from kinetamine.simulate.share import Share

__all__ = ["GridRun"]

#: patients per piece of work: enough to keep NumPy's overhead small, few enough to stay near the caches
CHUNK = 4096
#: people whose covariates are kept
MOST_REMEMBERED = 1_000_000


class GridRun(Run):
    """Runs one share of a request in pieces.

    Parameters
    ----------
    share : Share
    threads : int
    notify : callable, optional
    """

    def __init__(
        self, share: Share, threads: int | None = None, notify: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(share.model, share.outputs, share.population, share.population.n, threads)
        self.share = share
        self.records = share.records()
        self.lengths: np.ndarray | None = None  # from the first patient: the same for any number of patients
        steady = any(d.steady_state for d in share.doses)
        self.solver = solver.choose(share.model, share.outputs, share.states_with_input(), steady, notify)
        self.shared: tuple[np.ndarray, timeline.Plan] | None = None
        self.people: dict[str, np.ndarray] = {}

    # ---- one piece

    def prepare(self, start: int, stop: int) -> Piece:
        """Draw the people and evaluate the model's formulas for them."""
        share, spec, people = self.share, self.model.spec, self.population
        env: dict[str, Any] = {**people.parameters(spec, start, stop)}
        seen, covariates = self.meet(start, stop)
        env.update(covariates)
        env.update(people.etas(spec, start, stop))
        drawn = people.occasions(spec, max(1, len(share.occasion_starts)), start, stop)
        env.update({k: v[share.occasion_of] for k, v in drawn.items()})
        n = stop - start
        if self.model.follows:
            number, at = share.last_doses
            given = np.array([*(self.amount(d, seen, n) for d in share.doses), np.zeros(n)])
            env |= {"last_dose": given[number], "last_dose_at": np.broadcast_to(at[:, None], (len(at), n))}
        env = self.model.environment(env)
        doses = self.enter(env, seen, n)
        return Piece(start, stop, env, (share.versions, n), np.arange(n), n, doses, (n, 1))

    def meet(self, start: int, stop: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Demographics and covariates of some of the people, who are remembered."""
        spec, together = self.model.spec, self.share.together
        seen = dict(self.population.demographics(spec, start, stop, together))
        covariates = self.population.covariates(spec, start, stop, together)
        self._remember(start, stop, {**covariates, **seen})
        return seen, covariates

    def _remember(self, start: int, stop: int, values: dict[str, np.ndarray]) -> None:
        """Keep who was simulated, for the result and its grade; of very many only the first."""
        for name, column in values.items():
            if name not in self.people:
                self.people[name] = np.full(min(self.n, MOST_REMEMBERED), np.nan)
            room = max(0, min(stop, MOST_REMEMBERED) - start)
            self.people[name][start : start + room] = column[:room]

    def amount(self, dose: Dose, people: dict[str, np.ndarray], n: int) -> np.ndarray:
        """What of a dose is for this model, array (patient,), mg."""
        return np.broadcast_to(dose.mg(people, parts.share_of_drug(self.model.spec, dose.drug)), (n,))

    def enter(self, env: dict[str, Any], people: dict[str, np.ndarray], n: int) -> timeline.Doses:
        """Amounts, rates, durations and lags of all parts of all doses."""
        share, model = self.share, self.model
        first, states, value, length, lag, phase = [0], [], [], [], [], []
        for dose in share.doses:
            part_of = parts.share_of_drug(model.spec, dose.drug)
            amount = self.amount(dose, people, n)
            now = {k: v[share.version(dose.time_h)] if np.ndim(v) == 2 else v for k, v in env.items()}
            now.update(parts.dose_fields(model, amount, dose.fields))
            given = parts.Given(
                amount,
                np.asarray(dose.mg_per_h(people, part_of) if dose.duration_h is None else 0.0),
                np.asarray(dose.duration_h or 0.0),
                np.asarray(False),
            )
            for k, part in enumerate(model.entries[dose.entry]):
                where = f"{model.spec.id}: entry {dose.entry}, part {k + 1}"
                v, d, g = parts.enter(part, now, given, (n,), where)
                states.append(part.state)
                value.append(v)
                length.append(d)
                lag.append(g)
                phase.append(timeline.steady_phase(g, dose.every_h))
            first.append(len(states))
        additional = [d.count - 1 for d in share.doses]
        every = [d.every_h for d in share.doses]
        steady = [d.steady_state for d in share.doses]
        if model.starts:
            now = {k: v[0] if np.ndim(v) == 2 else v for k, v in env.items()}
            for part in model.starts:
                v, d, g = parts.enter(part, now, parts.ONE, (n,), f"{model.spec.id}: starting amount")
                states.append(part.state)
                for rows, found in ((value, v), (length, d), (lag, g), (phase, g)):
                    rows.append(found)
            first.append(len(states))
            additional, every, steady = [*additional, 0], [*every, 0.0], [*steady, 0]
        shape = (len(states), n)
        return timeline.Doses(
            np.array(first),
            np.array(additional),
            np.array(every, float),
            np.array(steady),
            np.array(states, np.int64),
            *(np.array(rows, float).reshape(shape) for rows in (value, length, lag, phase)),
        )

    def compute(self, piece: Piece, out: np.ndarray, offset: int) -> None:
        """Simulate a piece; `out` (observed, patients × times) gets it from column `offset` × times on."""
        if self.lengths is None:
            self.lengths = timeline.plan_lengths(self.records, piece.doses)
        turns = piece.doses.turns()
        if self.shared is not None and turns is not None and np.array_equal(turns, self.shared[0]):
            steps = self.shared[1]
        else:
            steps = timeline.build(self.records, piece.doses, self.lengths)
            if self.model.from_dose:  # time counts from the first dose that was given
                steps.origin[:] = self.records.time_h[0] - self.share.first_dose_h
            if turns is not None:
                self.shared = (turns, steps)
        times = len(self.share.times)
        self.step(piece, steps, out, (times, 1, offset * times))

    def curves(self, piece: Piece, observed: np.ndarray) -> dict[str, np.ndarray]:
        """Outputs in their units from what the engine observed, arrays (patient, time)."""
        share, n = self.share, piece.stop - piece.start
        times = share.times

        def samples() -> dict[str, Any]:
            which = np.array([share.version(t) for t in times])
            env: dict[str, Any] = {}
            for key, v in piece.env.items():
                if np.ndim(v) == 2:
                    env[key] = v[which].T
                else:
                    env[key] = v[:, None] if np.ndim(v) == 1 else v
            return {**env, "time": times - share.first_dose_h}

        return self.named(observed.reshape(-1, n, len(times)), samples, (n, len(times)))

    def found(self, piece: Piece, observed: np.ndarray) -> dict[str, np.ndarray]:
        """As `curves`, with residual error where it is switched on."""
        found, times = self.curves(piece, observed), self.share.times
        if self.population.residual:
            spec = self.model.spec
            for name in self.outputs:
                if name in spec.residual:
                    noise = self.population.residual_noise(spec, name, times, piece.start, piece.stop)
                    found[name] = add_residual(spec, name, found[name], noise)
        return found

    # ---- all of it

    def pieces(self) -> list[tuple[int, int]]:
        """Patients in pieces of a multiple of eight."""
        size = CHUNK
        while size > 64 and self.n < 2 * size * self.threads:
            size //= 2
        return [(a, min(a + size, self.n)) for a in range(0, self.n, size)]

    def stored(self, progress: Callable[[int], None] | None = None) -> dict[str, np.ndarray]:
        """Every patient's curve, arrays (patient, time)."""
        times = len(self.share.times)
        observed = np.empty((self.solver.observed, self.n * times))
        later = any(o in self.model.formulas for o in self.outputs) or self.population.residual
        found: dict[str, np.ndarray] = {}
        if later or not self.solver.observed:
            found = {name: np.empty((self.n, times)) for name in self.outputs}
            later = True

        def work(start: int, stop: int) -> None:
            piece = self.prepare(start, stop)
            if not later:
                self.compute(piece, observed, start)
                return
            part = np.empty((self.solver.observed, (stop - start) * times))
            self.compute(piece, part, 0)
            for name, values in self.found(piece, part).items():
                found[name][start:stop] = values

        self.each(work, progress)
        if not later:
            cube = observed.reshape(-1, self.n, times)
            found = {name: cube[k] for k, name in enumerate(self.sums())}
        if self.status.any():
            for values in found.values():
                bad = ~np.isfinite(values).all(axis=1) & np.isnan(self.failed_at)
                self.failed_at[bad] = self.share.times[np.argmin(np.isfinite(values[bad]), axis=1)]
                values[self.status != 0] = np.nan
        return found

    def streamed(
        self, q: Sequence[float], progress: Callable[[int], None] | None = None
    ) -> dict[str, np.ndarray]:
        """Quantiles (q, time) without keeping the curves."""
        found = self.passed(q, progress)
        for o in self.outputs:
            found[o].locate()
        self.passed(q, progress, found)
        return {o: found[o].result() for o in self.outputs}

    def passed(
        self,
        q: Sequence[float],
        progress: Callable[[int], None] | None = None,
        located: dict[str, Quantiles] | None = None,
    ) -> dict[str, Quantiles]:
        """One pass over everybody: the first, or with the places it `located` the second, which adds to them."""
        times = len(self.share.times)
        used: list[dict[str, Quantiles]] = [located] if located else []
        free = list(used)

        def counter() -> dict[str, Quantiles]:
            try:
                return free.pop()
            except IndexError:
                fresh = {
                    o: located[o].another() if located is not None else Quantiles(times, q)
                    for o in self.outputs
                }
                used.append(fresh)
                return fresh

        def work(start: int, stop: int) -> None:
            piece = self.prepare(start, stop)
            part = np.empty((self.solver.observed, (stop - start) * times))
            self.compute(piece, part, 0)
            good = self.status[start:stop] == 0
            mine = counter()
            for name, values in self.found(piece, part).items():
                values = np.ascontiguousarray(values if good.all() else values[good])
                if located is not None:
                    mine[name].refine(values)
                else:
                    mine[name].count(values)
            free.append(mine)

        self.each(work, progress)
        for other in used[1:]:
            for o in self.outputs:
                if located is not None:
                    used[0][o].merge_fine(other[o])
                else:
                    used[0][o].merge(other[o])
        return used[0]
