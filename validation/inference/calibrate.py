"""Whether the intervals of posteriors hold what they say: people, their values and their posteriors simulated.

Run as ``python validation/inference/calibrate.py FOLDER [PEOPLE [MODEL …]]``; a thousand people take an hour or two.
What was computed is kept in FOLDER, one file for each cell, and a second run goes on from there: person k of a cell
is the same whoever computes him. For each model, number of levels and share below the limit it prints how many of the
true effects lie inside the 50 and 90 % intervals, the p value of a uniform rank histogram (chi-square, ten classes,
the least of all effects times their number), how many runs were flagged, and the time of each.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from kinetamine.dosing import Regimen
from kinetamine.inference.curves import Curves
from kinetamine.inference.learned import LEAST_EFFECTIVE, MOST_K, sampled
from kinetamine.inference.target import Target
from kinetamine.likelihood import errors_of
from kinetamine.models.library import load
from kinetamine.population import Patient

MODELS = {
    "otto_2021_s_ketamine": ("10 mg iv over 30 min", Patient(weight=70)),
    "perez_ruixo_2021_esketamine": ("84 mg nasal", Patient(age=45)),
    "simons_2022_s_ketamine_otf": ("50 mg oral film", Patient(weight=70)),
    "flint_2017_s_ketamine_picu": ("1 mg/kg iv over 1 h", Patient(weight=12, age=3)),
}
LEVELS, BELOW = (1, 2, 5, 10), (0.0, 0.3)
#: people computed between two looks at the disk, and people whose values say where the limit lies
PIECE, LIMITING = 25, 4000


@dataclass(frozen=True)
class Cell:
    """One line of the table."""

    model: str
    levels: int
    below: float

    def file(self, folder: Path) -> Path:
        """Where its people are kept."""
        return folder / f"{self.model}_{self.levels}_{round(100 * self.below)}.npz"


class Trial:
    """People of a cell: true effects, values, posterior and the rank of the truth in it."""

    def __init__(self, cell: Cell) -> None:
        spec = load(cell.model)
        dose, patient = MODELS[cell.model]
        regimen = Regimen.parse(dose, entries=set(spec.entries), fields=set(spec.dose_fields))
        outputs = [name for name in spec.outputs if name in spec.residual]
        times = np.geomspace(1.0, 12.0, cell.levels) if cell.levels > 1 else np.array([2.0])
        self.output = np.repeat(outputs, cell.levels)
        self.curves = Curves(spec, regimen, patient, np.tile(times, len(outputs)), observe=list(self.output))
        self.errors = errors_of(spec, outputs)
        rng = np.random.default_rng(7)
        _, y = self._measured(rng.standard_normal((LIMITING, self.curves.size)), rng)
        limits = {n: np.quantile(y[:, self.output == n], cell.below) if cell.below else 0.0 for n in outputs}
        self.limit = np.array([limits[name] for name in self.output])

    def _measured(self, z: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        truth = self.curves(z[None])
        y = np.empty_like(truth)
        for name, error in self.errors.items():
            at = self.output == name
            y[:, at] = error.measured(truth[:, at], rng.standard_normal((len(z), int(at.sum()))))
        return z, y

    def person(self, k: int) -> tuple[np.ndarray, bool, float]:
        """Rank of each true effect, whether the run was flagged, seconds of processor."""
        rng = np.random.default_rng([1, k])
        z, y = self._measured(rng.standard_normal((1, self.curves.size)), rng)
        cut = y[0] < self.limit
        low, high = np.where(cut, -np.inf, y[0]), np.where(cut, self.limit, y[0])
        start = time.process_time()
        target = Target(self.curves, low, high, np.zeros(1, int), list(self.output), self.errors)
        draws = sampled(target, seed=k)
        spent = time.process_time() - start
        bad = draws.method.startswith("importance") and (
            draws.k > MOST_K or draws.effective < LEAST_EFFECTIVE
        )
        if bad and not draws.note:
            raise AssertionError(f"person {k}: a run that cannot be trusted was not flagged")
        ranks = (draws.weights[:, None] * (draws.z < z)).sum(axis=0)
        return ranks, bool(draws.note), spent


def fill(cell: Cell, folder: Path, people: int) -> dict[str, Any]:
    """A cell with so many people, those kept before among them."""
    path = cell.file(folder)
    kept = dict(np.load(path)) if path.exists() else {}
    done = len(kept["ranks"]) if kept else 0
    trial = Trial(cell) if done < people else None
    while trial is not None and done < people:
        found = [trial.person(k) for k in range(done, min(done + PIECE, people))]
        new = {
            "ranks": np.array([one[0] for one in found]),
            "flagged": np.array([one[1] for one in found]),
            "seconds": np.array([one[2] for one in found]),
        }
        kept = {key: np.concatenate([kept[key], new[key]]) if kept else new[key] for key in new}
        done = len(kept["ranks"])
        np.savez(path, **kept)
    return {key: value[:people] for key, value in kept.items()}


def line(cell: Cell, found: dict[str, Any]) -> str:
    """The cell as a row of the table."""
    rank = found["ranks"]
    people, size = rank.shape
    half = np.mean((rank > 0.25) & (rank < 0.75))
    most = np.mean((rank > 0.05) & (rank < 0.95))
    least = min(stats.chisquare(np.histogram(rank[:, j], 10, (0, 1))[0]).pvalue for j in range(size))
    return (
        f"| {cell.model} | {cell.levels} | {100 * cell.below:.0f} % | {people} | {100 * half:.1f} "
        f"| {100 * most:.1f} | {min(1.0, size * least):.3f} | {found['flagged'].sum()} "
        f"| {1e3 * np.median(found['seconds']):.0f} |"
    )


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    people = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    print("| model | levels | below limit | people | in 50 % | in 90 % | p of ranks | flagged | ms each |")
    print("|---|---|---|---|---|---|---|---|---|")
    for model in sys.argv[3:] or list(MODELS):
        for levels in LEVELS:
            for below in BELOW:
                cell = Cell(model, levels, below)
                print(line(cell, fill(cell, folder, people)), flush=True)


if __name__ == "__main__":
    main()
