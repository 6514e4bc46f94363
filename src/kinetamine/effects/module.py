"""One effect model in all people of one run: which signals its outputs follow, and each patient's limit of them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kinetamine.effects import crossing
from kinetamine.effects.crossing import Signal
from kinetamine.effects.selection import Job, effect_of
from kinetamine.errors import InputError
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tree import Expr, names
from kinetamine.models.compile import affine_terms, linear_terms
from kinetamine.models.keyed import Keyed
from kinetamine.models.spec import ModelSpec, Output

__all__ = ["Module"]

#: signals of this many effect models are remembered, each of at most this many people
MODULES, MOST_PEOPLE = 128, 2000

Env = Mapping[str, Any]


class Module:
    """One effect model in all people of one run.

    Parameters
    ----------
    job : Job
    people : Patient or Population
    together : list of ModelSpec
        All models of the run.
    asked : dict of effect to float
        Thresholds instead of the file's.
    """

    def __init__(self, job: Job, people: Any, together: list[ModelSpec], asked: Mapping[str, float]) -> None:
        self.job, self.spec, self.n = job, job.effect, people.n
        spec = self.spec
        env: dict[str, Any] = {**people.parameters(spec, 0, self.n)}
        if spec.covariates:
            env |= people.covariates(spec, 0, self.n, together)
        env |= people.etas(spec, 0, self.n)
        self.thresholds: dict[str, float] = {}
        for output in job.outputs:
            record = spec.outputs[output]
            assert record.threshold is not None
            self.thresholds[output] = asked.get(effect_of(spec, output), record.threshold.value)
        # what follows depends on nothing else: another dose asks it again
        key = (
            job.pk.digest, spec.digest, tuple(r.output for r in job.readings),
            tuple(self.thresholds.items()), self.n, _content(env),
        )  # fmt: skip
        question = Keyed(key, (job, self.thresholds, self.n, env))
        self.solved = (_solved if self.n <= MOST_PEOPLE else _solved.__wrapped__)(question)
        for output in job.outputs:
            if effect_of(spec, output) in asked:
                self._refuse_pointless(output, spec.outputs[output])
        #: output → array (patient, 4): onset, offset, time of the peak, and the signal there
        self.found: dict[str, np.ndarray] = {}

    def _refuse_pointless(self, output: str, record: Output) -> None:
        """A threshold that is off the scale, or met without any drug."""
        threshold = self.thresholds[output]
        low, high = record.range or (-np.inf, np.inf)
        env = {**self.solved.env, "time": 0.0, **dict.fromkeys(self.solved.drives, 0.0)}
        for name, site in self.spec.effect_sites.items():
            env[name] = evaluate(parse(site.follows), env)
        without = float(np.median(evaluate(parse(record.value), env))) * self.spec.output_factor[output]
        if not low <= threshold <= high:
            raise InputError("threshold", f"{threshold:g}", f"a value on the scale of {low:g} to {high:g}")
        if self.solved.signs[output] * (without - threshold) >= 0:
            side = "above" if record.direction == "rises" else "below"
            raise InputError("threshold", f"{threshold:g}", f"a value {side} that without drug, {without:g}")

    def at_peak(self, output: str) -> np.ndarray:
        """Value of an output at its peak, array (patient,)."""
        return self.solved.shown(output, self.found[output][:, 3])

    def look(self, curves: np.ndarray, times: np.ndarray, start: int, stop: int) -> None:
        """Find the crossings of what follows no signal, from the curves of the pk model (curve, patient, time)."""
        for output in self.solved.others:
            shown = self.solved.signs[output] * self._computed(output, curves, times, start, stop)
            n = stop - start
            limits = np.full((1, n), self.solved.signs[output] * self.thresholds[output])
            itself = crossing.Signals([Signal(np.ones((1, 1, n)), np.full((1, n), np.inf), limits)])
            found = self.found.setdefault(output, np.full((self.n, 4), np.nan))
            found[start:stop] = crossing.cross(shown[None], itself, times)[0]

    def _computed(
        self, output: str, curves: np.ndarray, times: np.ndarray, start: int, stop: int
    ) -> np.ndarray:
        """An output at all times, array (patient, time)."""
        env = {k: v[start:stop, None] if np.ndim(v) else v for k, v in self.solved.env.items()}
        env["time"] = times
        for name, place in self.solved.drives.items():
            env[name] = place[1] * curves[place[0]] if place is not None else 0.0
        for name, site in self.spec.effect_sites.items():
            follows = np.broadcast_to(evaluate(parse(site.follows), env), curves.shape[1:])
            rate = self.solved.rate(name)[start:stop]
            env[name] = crossing.follow(follows[None], np.ones((1, stop - start)), rate, times)
        formula = parse(self.spec.outputs[output].value)
        shown = self.spec.output_factor[output] * np.asarray(evaluate(formula, env))
        return np.broadcast_to(shown, curves.shape[1:])


def _content(env: Env) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    for name, value in env.items():
        found.update(name.encode())
        found.update(np.asarray(value, float).tobytes())
    return found.digest()


@functools.lru_cache(maxsize=MODULES)
def _solved(question: Keyed) -> _Solved:
    return _Solved(*question.asked)


class _Solved:
    """What of an effect model in some people does not depend on the dose.

    `signals` has one for each group of outputs that follow the same, `outputs` the outputs of all limits in their
    order; `others` are outputs that follow no signal: they must be computed at all times.
    """

    def __init__(self, job: Job, thresholds: Mapping[str, float], n: int, given: dict[str, Any]) -> None:
        self.job, self.spec, self.n, self.thresholds = job, job.effect, n, thresholds
        env = dict(given)
        for name, text in self.spec.individual.items():
            env[name] = evaluate(parse(text), env)
        self.env = env
        places = {name: k for k, name in enumerate(job.pk.outputs)}
        #: drive → row of the pk model's outputs and their factor to mg/L; None: it counts as zero
        self.drives = {
            name: (places[r.output], 1 / job.pk.output_factor[r.output]) if r.output else None
            for name, r in zip(self.spec.drives, job.readings, strict=True)
        }
        self.signs = {o: 1.0 if self.spec.outputs[o].direction == "rises" else -1.0 for o in thresholds}
        #: output → name of the one thing that moves it and with which sign; or, if several do, what is added to them
        self._one: dict[str, tuple[str, float]] = {}
        self._added: dict[str, np.ndarray] = {}
        groups: dict[tuple[str, float], list[tuple[str, np.ndarray]]] = {}
        several: list[tuple[str, Signal]] = []
        for output in thresholds:
            if (found := self._follows_one(output)) is not None:
                name, way, limit = found
                self._one[output] = name, way
                groups.setdefault((name, way), []).append((output, limit))
            elif (signal := self._follows_several(output)) is not None:
                several.append((output, signal))
        self.signals: list[Signal] = []
        self.outputs: list[str] = []
        for (name, way), mine in groups.items():
            weights = self._weights(name)
            assert weights is not None
            limits = np.array([limit for _, limit in mine])
            self.signals.append(Signal(way * weights[None], self.rate(name)[None], limits))
            self.outputs += [output for output, _ in mine]
        self.signals += [signal for _, signal in several]
        self.outputs += [output for output, _ in several]
        self.others = tuple(o for o in thresholds if o not in self.outputs)

    def _moving(self, formula: Expr) -> set[str]:
        return names(formula) & {*self.spec.effect_sites, *self.drives, "time"}

    def _follows_one(self, output: str) -> tuple[str, float, np.ndarray] | None:
        """The one thing that moves an output, with which sign, and each patient's limit of it."""
        formula = parse(self.spec.outputs[output].value)
        moving = self._moving(formula)
        if len(moving) != 1 or "time" in moving:
            return None
        (name,) = moving
        if self._weights(name) is None:
            return None
        for way in (1.0, -1.0):
            limit = self._limit(output, formula, name, way)
            if limit is not None:
                return name, way, limit
        return None

    def _limit(self, output: str, formula: Expr, name: str, way: float) -> np.ndarray | None:
        sign, threshold, factor = self.signs[output], self.thresholds[output], self.spec.output_factor[output]
        straight = linear_terms(formula, {name: 0})
        if straight is not None and sign * threshold > 0:
            slope = way * factor * self._column(evaluate(straight[0], self.env))
            if (sign * slope >= 0).all():
                with np.errstate(divide="ignore"):
                    return np.where(slope == 0, np.inf, threshold / np.where(slope == 0, 1.0, slope))
            return None
        env = {k: _plain(self.env[k]) for k in names(formula) - {name}}
        n = self.n if any(np.ndim(v) for v in env.values()) else 1  # alike in everybody: solved once

        def excess(signal: np.ndarray) -> np.ndarray:
            return sign * (_value(formula, factor, env, name, way * signal) - threshold)

        limit = crossing.limit_of(excess, n)
        return None if limit is None else np.broadcast_to(limit, (self.n,))

    def _follows_several(self, output: str) -> Signal | None:
        """The signal of an output that is a sum of what moves it."""
        formula = parse(self.spec.outputs[output].value)
        moving = sorted(self._moving(formula))
        if len(moving) < 2 or "time" in moving:
            return None
        terms = affine_terms(formula, {name: k for k, name in enumerate(moving)})
        sums = [self._weights(name) for name in moving]
        if terms is None or any(weights is None for weights in sums):
            return None
        scale = self.signs[output] * self.spec.output_factor[output]
        parts = [
            scale * self._column(evaluate(terms[k], self.env)) * weights
            for k, weights in enumerate(sums)
            if weights is not None
        ]
        self._added[output] = scale * self._column(evaluate(terms[None], self.env) if None in terms else 0.0)
        limit = self.signs[output] * self.thresholds[output] - self._added[output]
        return Signal(np.array(parts), np.array([self.rate(name) for name in moving]), limit[None])

    def shown(self, output: str, signal: np.ndarray) -> np.ndarray:
        """Value of an output where its signal is `signal`, arrays (patient,)."""
        if output in self._one:
            name, way = self._one[output]
            formula = parse(self.spec.outputs[output].value)
            env = {k: self.env[k] for k in names(formula) - {name}}
            return _value(formula, self.spec.output_factor[output], env, name, way * signal[:, None])[:, 0]
        return self.signs[output] * (signal + self._added.get(output, 0.0))

    def _column(self, value: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(value, float), (self.n,))

    def _weights(self, name: str) -> np.ndarray | None:
        """Weights of the curves in what moves an output; None if it is no weighted sum of them."""
        site = self.spec.effect_sites.get(name)
        terms = linear_terms(parse(site.follows if site else name), {d: k for k, d in enumerate(self.drives)})
        if terms is None:
            return None
        out = np.zeros((len(self.job.pk.outputs), self.n))
        read: Sequence[tuple[int, float] | None] = list(self.drives.values())
        for k, weight in terms.items():
            if (place := read[k]) is not None:
                out[place[0]] += place[1] * self._column(evaluate(weight, self.env))
        return out

    def rate(self, name: str) -> np.ndarray:
        """How fast an effect site or a drive follows, array (patient,), 1/h."""
        site = self.spec.effect_sites.get(name)
        rate = np.inf if site is None or site.rate is None else evaluate(parse(site.rate), self.env)
        return np.ascontiguousarray(self._column(rate))


def _plain(value: Any) -> Any:
    """A number where all patients have the same."""
    return value[0] if np.ndim(value) and (value == value[0]).all() else value


def _value(formula: Expr, factor: float, env: Env, name: str, signal: np.ndarray) -> np.ndarray:
    """An output of one signal, array (patient, …) like the signal; the first patients if it has fewer."""
    known = {k: v[: len(signal), None] if np.ndim(v) else v for k, v in env.items()}
    return np.broadcast_to(factor * np.asarray(evaluate(formula, {**known, name: signal})), signal.shape)
