"""Whether the intervals of posteriors hold what they say: people, their values and their posteriors simulated.

Run as ``python validation/inference/calibrate.py [PEOPLE [MODEL …]]``; a thousand people take hours. For each model,
number of levels and share below the limit it prints how many of the true effects lie inside the 50 and 90 %
intervals, the p value of a uniform rank histogram (chi-square, ten classes), and how many runs were flagged.
"""

from __future__ import annotations

import sys
import time

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


def setting(model: str, levels: int, below: float, people: int, seed: int = 1) -> str:
    """One line of the table."""
    spec = load(model)
    dose, patient = MODELS[model]
    regimen = Regimen.parse(dose, entries=set(spec.entries), fields=set(spec.dose_fields))
    outputs = [name for name in spec.outputs if name in spec.residual]
    times = np.geomspace(1.0, 12.0, levels) if levels > 1 else np.array([2.0])
    output, when = np.repeat(outputs, levels), np.tile(times, len(outputs))
    curves = Curves(spec, regimen, patient, when, observe=list(output))
    errors = errors_of(spec, outputs)
    rng = np.random.default_rng(seed)
    z = rng.standard_normal((people, curves.size))
    truth = curves(z[None])
    y = np.empty_like(truth)
    for name in outputs:
        at = output == name
        y[:, at] = errors[name].measured(truth[:, at], rng.standard_normal((people, int(at.sum()))))
    limits = {name: np.quantile(y[:, output == name], below) if below else 0.0 for name in outputs}
    limit = np.array([limits[name] for name in output])
    ranks, flagged, spent = [], 0, []
    for k in range(people):
        low, high = np.where(y[k] < limit, -np.inf, y[k]), np.where(y[k] < limit, limit, y[k])
        start = time.process_time()
        draws = sampled(Target(curves, low, high, np.zeros(1, int), list(output), errors), seed=k)
        spent.append(time.process_time() - start)
        bad = draws.method.startswith("importance") and (
            draws.k > MOST_K or draws.effective < LEAST_EFFECTIVE
        )
        flagged += bool(draws.note)
        assert not bad or draws.note, "a run that cannot be trusted was not flagged"
        ranks.append([draws.weights[draws.z[:, j] < z[k, j]].sum() for j in range(curves.size)])
    rank = np.array(ranks)
    half = np.mean((rank > 0.25) & (rank < 0.75))
    most = np.mean((rank > 0.05) & (rank < 0.95))
    # effects of one person depend on each other: the least p of all effects, times their number
    p = min(
        1.0,
        curves.size
        * min(stats.chisquare(np.histogram(rank[:, j], 10, (0, 1))[0]).pvalue for j in range(curves.size)),
    )
    return (
        f"| {model} | {levels} | {100 * below:.0f} % | {people} | {100 * half:.1f} | {100 * most:.1f} | {p:.3f} "
        f"| {flagged} | {1e3 * np.median(spent):.0f} |"
    )


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| model | levels | below limit | people | in 50 % | in 90 % | p of ranks | flagged | ms each |")
    print("|---|---|---|---|---|---|---|---|---|")
    for model in sys.argv[2:] or list(MODELS):
        for levels in (1, 2, 5, 10):
            for below in (0.0, 0.3):
                print(setting(model, levels, below, people), flush=True)


if __name__ == "__main__":
    main()
