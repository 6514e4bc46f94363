"""A dose of unknown size, at an unknown time: what a sample or two can tell, and how little that is.

The dose is log-uniform and the time uniform in the ranges of the phrase; both are estimated together with the
person's own effects. Times of samples count from the first sample (time 0), the dose lies before it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine import units
from kinetamine.errors import DoseError, InputError
from kinetamine.inference import pareto, ranges, samples
from kinetamine.inference.curves import Curves
from kinetamine.inference.importance import Draws
from kinetamine.inference.mixture import weighted_quantiles
from kinetamine.inference.samples import Mix, Sampled
from kinetamine.inference.target import Target
from kinetamine.observations import Observations
from kinetamine.population import Patient

if TYPE_CHECKING:
    import polars as pl

__all__ = ["TracedBack", "is_range", "posterior"]

#: prior draws are looked at first, in pieces: with a sample or two that is enough, and nothing can be missed
PIECE, MOST_DRAWS, ENOUGH = 20_000, 200_000, 2000
#: end of the time with close points, h
EARLY_H = 2.0
#: points of the time grid on which curves are computed, and steps of the amount where curves do not scale with it
POINTS, AMOUNTS = 240, 13


def is_range(doses: Any) -> bool:
    """Whether the doses leave an amount or a time open."""
    return ranges.has_range(doses)


class _Traced:
    """Predictions for lanes of z with two more: dose and time before the first sample, as normal scores."""

    def __init__(self, spec: Any, gap: ranges.Ranges, sampled: Sampled, patient: Patient) -> None:
        from kinetamine.dosing import Regimen

        self.gap, self.times = gap, np.asarray(sampled.time_h, float)
        self.last = gap.before_h[1] if gap.before_h else 0.0
        end = self.last + float(self.times.max())
        self.amounts = np.geomspace(gap.amount[0], gap.amount[1], AMOUNTS) if gap.amount else np.ones(1)

        def regimen(amount: float) -> Any:
            return Regimen.parse(gap.phrase(amount), entries=set(spec.entries), fields=set(spec.dose_fields))

        doses = regimen(float(self.amounts[-1])).doses
        knots = [d.time_h + (d.duration_h or 0.0) for d in doses]
        early = min(EARLY_H, end)
        # equal steps: a linear model needs one propagator for each length
        grid = np.concatenate(
            [np.linspace(0.0, early, POINTS // 2 + 1), np.linspace(early, end, POINTS // 2 + 1), knots]
        )
        self.grid = np.unique(grid[(grid >= 0) & (grid <= end + 1e-9)].round(12))
        names = sampled.outputs
        self.asked = [
            (name, k, names.index(name))
            for k, one in enumerate(sampled.samples)
            for name in (one.output, one.over)
            if name
        ]
        flat, when = np.repeat(names, len(self.grid)), np.tile(self.grid, len(names))
        self.base = [Curves(spec, regimen(float(a)), patient, when, observe=list(flat)) for a in self.amounts]
        self.layout = self.base[0].layout
        self.mix = _mix(spec, sampled, patient)
        self.size = self.layout.size + self.mix.size + 2
        self.scales = self._scales()

    def _scales(self) -> bool:
        """Whether curves are proportional to the amount, so that one library serves all."""
        if len(self.base) == 1:
            return True
        z = np.random.default_rng(0).standard_normal((16, self.layout.size))
        first, last = self._grid(0, z), self._grid(-1, z)
        return bool(np.allclose(first * (self.amounts[-1] / self.amounts[0]), last, rtol=1e-6, atol=0.0))

    def _grid(self, amount: int, z: np.ndarray) -> np.ndarray:
        """Curves on the grid after one of the amounts, array (output, lane, time)."""
        found = self.base[amount](z[None])
        return np.moveaxis(found.reshape(len(z), -1, len(self.grid)), 1, 0)

    def unknown(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Amount (in the phrase's unit) and hours before the first sample, of z (lane, size)."""
        from scipy.special import ndtr

        u = ndtr(z[:, -2:])
        amount = np.ones(len(z))
        if self.gap.amount:
            low, high, _ = self.gap.amount
            amount = low * (high / low) ** u[:, 0]
        before = np.zeros(len(z))
        if self.gap.before_h:
            low, high = self.gap.before_h
            before = low + (high - low) * u[:, 1]
        return amount, before

    def _log_curves(self, z: np.ndarray, amount: np.ndarray) -> np.ndarray:
        """Logarithms of the curves on the grid, array (output, lane, time)."""
        eta = z[:, : self.layout.size]

        def log(values: np.ndarray) -> np.ndarray:
            return np.log(np.maximum(values, 1e-30))

        if self.scales:
            return log(self._grid(-1, eta)) + np.log(amount / self.amounts[-1])[None, :, None]
        position = np.log(amount / self.amounts[0]) / np.log(self.amounts[1] / self.amounts[0])
        cell = np.clip(position.astype(int), 0, len(self.amounts) - 2)
        out: np.ndarray | None = None
        for k in np.unique(cell):
            here = cell == k
            share = (position[here] - k)[None, :, None]
            found = (1 - share) * log(self._grid(k, eta[here])) + share * log(self._grid(k + 1, eta[here]))
            if out is None:
                out = np.empty((found.shape[0], len(z), found.shape[2]))
            out[:, here] = found
        assert out is not None
        return out

    def __call__(self, z: np.ndarray) -> np.ndarray:
        lanes = z[0]
        amount, before = self.unknown(lanes)
        curves = self._log_curves(lanes, amount)
        rows = np.arange(len(lanes))
        found = {}
        for name, k, row in self.asked:
            when = np.clip(self.times[k] + before, 0.0, self.grid[-1])
            right = np.clip(np.searchsorted(self.grid, when), 1, len(self.grid) - 1)
            share = (when - self.grid[right - 1]) / (self.grid[right] - self.grid[right - 1])
            low, high = curves[row, rows, right - 1], curves[row, rows, right]
            found[name, k] = np.exp((1 - share) * low + share * high)
        own = self.layout.size
        return self.mix(found, lanes[:, :own], lanes[:, own : own + self.mix.size])


def _mix(spec: Any, sampled: Sampled, patient: Patient) -> Mix:
    """With the curves after 1 mg into a vein, where urine was sampled."""
    from kinetamine.dosing import Regimen

    names = sampled.urinary
    if not names:
        return Mix(spec, sampled, None, np.zeros(0))
    times = np.concatenate([np.arange(0, 7, 0.1), np.arange(7, 48, 1.0), np.arange(48, 241, 4.0)])
    once = Regimen.parse("1 mg iv over 1 h", entries=set(spec.entries), fields=set(spec.dose_fields))
    flat, when = np.repeat(names, len(times)), np.tile(times, len(names))
    curves = Curves(spec, once, patient, when, observe=list(flat))

    def reference(eta: np.ndarray) -> np.ndarray:
        return np.moveaxis(curves(eta[None]).reshape(len(eta), len(names), len(times)), 1, 0)

    return Mix(spec, sampled, reference, times)


@dataclass
class TracedBack:
    """What samples say about a dose and its time.

    Parameters
    ----------
    draws : Draws
    dose : array (draw,)
        In `unit`.
    before_h : array (draw,), h
        From the dose to the first sample.
    unit : str
    ranges : Ranges
        What was asked.
    spec : ModelSpec
    observations : Observations
    notes : tuple of str
        What was taken for granted.
    """

    draws: Draws
    dose: np.ndarray
    before_h: np.ndarray
    unit: str
    ranges: ranges.Ranges
    spec: Any
    observations: Observations
    notes: tuple[str, ...] = ()

    @property
    def remarks(self) -> list[str]:
        """What a reader must know, the width of the answer first."""
        return [self.words(), *self.notes, *([self.draws.note] if self.draws.note else [])]

    @property
    def weights(self) -> np.ndarray:
        """Weight of each draw; they sum to one."""
        return self.draws.weights

    @property
    def effective(self) -> float:
        """Effective number of draws."""
        return self.draws.effective

    def interval(self, level: float = 0.9) -> dict[str, tuple[float, float, float]]:
        """Median and limits of dose and time, each (low, median, high); only what was not known."""
        q = [(1 - level) / 2, 0.5, (1 + level) / 2]
        found: dict[str, tuple[float, float, float]] = {}
        if self.ranges.amount:
            a, b, c = weighted_quantiles(self.dose, self.weights, q)
            found["dose"] = (float(a), float(b), float(c))
        if self.ranges.before_h:
            a, b, c = weighted_quantiles(self.before_h, self.weights, q)
            found["time"] = (float(a), float(b), float(c))
        return found

    def probability(self, statement: str) -> float:
        """Probability of ``"dose > 300 mg"`` or ``"time < 6 h"``.

        Raises
        ------
        InputError
            If it is none of these.
        """
        found = re.fullmatch(r"\s*(dose|time)\s*([<>])\s*([0-9.eE+-]+)\s*(\S+)\s*", statement)
        if found is None:
            raise InputError(
                "probability", repr(statement), "'dose > 300 mg' or 'time < 6 h'", "'dose > 300 mg'"
            )
        limit = float(found[3]) * units.convert(
            1.0, found[4], self.unit if found[1] == "dose" else "h", "probability"
        )
        values = self.dose if found[1] == "dose" else self.before_h
        return float(self.weights[values > limit if found[2] == ">" else values < limit].sum())

    def words(self) -> str:
        """The answer in a sentence, with its width."""
        said = []
        n = len(self.observations)
        many = f"{n} values leave" if n != 1 else "1 value leaves"
        for name, (low, middle, high) in self.interval().items():
            if name == "dose":
                said.append(
                    f"{many} the dose open by a factor of {high / low:.2g} "
                    f"(90 %: {low:.3g} to {high:.3g} {self.unit}, median {middle:.3g})"
                )
            else:
                said.append(
                    f"{'and' if said else many} the time open within {high - low:.2g} h "
                    f"(90 %: {low:.2g} to {high:.2g} h before the first sample)"
                )
        return (
            " ".join(said)
            + ". No statement about a person's dose, intent or guilt: for research and teaching."
        )

    def density(self, bins: int = 40) -> dict[str, np.ndarray]:
        """Joint density of dose and time on a grid: ``dose`` and ``time`` (edges), ``density`` (dose, time)."""
        a = self.ranges.amount or (0.5, 1.5, "1")
        t = self.ranges.before_h or (0.0, 1.0)
        x, y = np.geomspace(a[0], a[1], bins + 1), np.linspace(t[0], t[1], bins + 1)
        mass, _, _ = np.histogram2d(self.dose, self.before_h, [x, y], weights=self.weights)
        return {"dose": x, "time": y, "density": mass}

    def summary(self) -> pl.DataFrame:
        """One row for each unknown: prior range, median and 50 and 90 % limits."""
        import polars as pl

        rows = []
        half, most = self.interval(0.5), self.interval(0.9)
        for name in most:
            asked = self.ranges.amount if name == "dose" else self.ranges.before_h
            assert asked is not None
            rows.append(
                {
                    "what": name,
                    "unit": self.unit if name == "dose" else "h",
                    "prior_low": float(asked[0]),
                    "prior_high": float(asked[1]),
                    "median": most[name][1],
                    "low_50": half[name][0],
                    "high_50": half[name][2],
                    "low_90": most[name][0],
                    "high_90": most[name][2],
                }
            )
        return pl.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        density = self.density()
        return {
            "model": self.spec.id,
            "observations": self.observations.to_dict(),
            "summary": self.summary().to_dicts(),
            "words": self.words(),
            "effective": self.effective,
            "method": self.draws.method,
            "note": self.draws.note,
            "remarks": self.remarks,
            "density": {name: values.tolist() for name, values in density.items()},
        }

    def __repr__(self) -> str:
        return f"<TracedBack under {self.spec.id}: {self.words()}>"


def posterior(
    models: Sequence[Any], doses: Any, observations: Observations, patient: Patient, *,
    residual: Mapping[str, str] | None = None, seed: int = 0, allow_site_mismatch: bool = False,
) -> TracedBack:  # fmt: skip
    """Estimate an unknown dose and time; see `kinetamine.posterior`.

    Raises
    ------
    InputError
        More than one model or open dose, more unknown than measured, or no route said.
    """
    from kinetamine.inference.learned import learnable

    texts = [doses] if isinstance(doses, str) else list(doses)
    if len(texts) != 1:
        raise DoseError(
            "doses", f"{len(texts)} phrases with a range", "one dose of unknown size or time", texts[0]
        )
    if len(models) != 1:
        raise InputError(
            "model", f"{len(models)} models", "one model for an unknown dose", "the one of that route"
        )
    if not len(observations):
        raise InputError(
            "observations", "nothing", "at least one measured value", "'S-ketamine 46 ng/mL at 0 h'"
        )
    spec = learnable(models[0])
    gap = ranges.read(texts[0])
    if gap.every:
        raise DoseError("doses", repr(texts[0]), "a known interval", "every 12 h")
    first = min(item.time_h for item in observations)
    seen = observations.shifted(-first) if gap.before_h else observations
    sampled = samples.read(spec, seen, residual or {}, allow_site_mismatch)
    curves = _Traced(spec, gap, sampled, patient)
    names = [one.name for one in sampled.samples]
    target = Target(curves, sampled.low, sampled.high, np.zeros(1, int), names, sampled.errors)
    draws = _draws(target, seed)
    dose, before = curves.unknown(draws.z)
    return TracedBack(
        draws, dose, before, gap.amount[2] if gap.amount else "mg", gap, spec, observations, sampled.notes
    )


def _draws(target: Target, seed: int) -> Draws:
    """The prior weighed by the data where enough draws count; else as for any other posterior."""
    from scipy.special import logsumexp

    rng = np.random.default_rng([seed, 7])
    z, log = np.empty((0, target.size)), np.empty(0)
    while len(z) < MOST_DRAWS:
        more = rng.standard_normal((PIECE, target.size))
        z, log = np.concatenate([z, more]), np.concatenate([log, target.log_likelihood(more[None])[0]])
        smoothed, k = pareto.smooth(log)
        weights = pareto.normalised(smoothed)
        if pareto.effective(weights) >= ENOUGH and k <= 0.7:
            evidence = float(logsumexp(log) - np.log(len(log)))
            return Draws(z, weights, evidence, k, "prior draws weighed by the data")
        if pareto.effective(weights) * MOST_DRAWS < ENOUGH * len(z):
            break  # more of them would not do
    from kinetamine.inference.learned import sampled

    return sampled(target, "smc", seed=seed)
