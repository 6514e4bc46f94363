"""Evidence by both methods, and how often the true one of two models gets more than half.

Run as ``python validation/inference/evidence.py [PEOPLE]`` (default 100; 20 of them for the methods).
"""

from __future__ import annotations

import sys

import numpy as np

import kinetamine as kt
from kinetamine.dosing import Regimen
from kinetamine.inference import importance, tempering
from kinetamine.inference.curves import Curves
from kinetamine.inference.target import Target
from kinetamine.likelihood import errors_of
from kinetamine.models.library import load
from kinetamine.observations import Observation, Observations
from kinetamine.population import Patient

MODELS = ("otto_2021_s_ketamine", "perez_ruixo_2021_esketamine")
DOSE, PATIENT = "28 mg iv over 40 min", Patient(age=45, weight=70)


def curves_of(model: str, times: list[float]) -> tuple[Curves, list[str]]:
    """Both analytes at these times."""
    spec = load(model)
    regimen = Regimen.parse(DOSE, entries=set(spec.entries), fields=set(spec.dose_fields))
    output = [name for name in ("S-ketamine", "S-norketamine") for _ in times]
    return Curves(spec, regimen, PATIENT, np.tile(times, 2), observe=output), output


def person(curves: Curves, output: list[str], seed: int) -> np.ndarray:
    """Values of one simulated person."""
    errors = errors_of(curves.spec, dict.fromkeys(output))
    rng = np.random.default_rng([11, seed])
    f = curves(rng.standard_normal((1, 1, curves.size)))
    y = np.empty_like(f)
    for name, error in errors.items():
        at = np.array([one == name for one in output])
        y[:, at] = error.measured(f[:, at], rng.standard_normal((1, int(at.sum()))))
    return y[0]


def both_methods(people: int = 20) -> None:
    """Log evidence of importance sampling against that of sequential Monte Carlo."""
    print("| model | levels | people | mean difference | SD | largest |")
    print("|---|---|---|---|---|---|")
    for model in MODELS:
        for times in ([2.0], [1.0, 2.0, 4.0, 6.0, 8.0]):
            curves, output = curves_of(model, times)
            errors = errors_of(curves.spec, dict.fromkeys(output))
            found = []
            for k in range(people):
                y = person(curves, output, k)
                target = Target(curves, y, y, np.zeros(1, int), output, errors)
                one, two = importance.sample(target, seed=k), tempering.sample(target, seed=k)
                found.append(one.log_evidence - two.log_evidence)
            gap = np.array(found)
            print(
                f"| {model} | {2 * len(times)} | {people} | {gap.mean():+.3f} | {gap.std():.3f} "
                f"| {np.abs(gap).max():.2f} |",
                flush=True,
            )


def true_one(people: int) -> None:
    """Weight of the model that made the values."""
    print()
    print("| true model | samples | people | true one above half | median weight |")
    print("|---|---|---|---|---|")
    for model in MODELS:
        for times in ([2.0], [1.0, 4.0]):
            curves, output = curves_of(model, times)
            units = {name: curves.spec.outputs[name].unit for name in output}
            weights = []
            for k in range(people):
                y = person(curves, output, k)
                if not (y > 0).all():
                    continue
                seen = Observations(
                    Observation(name, value, value, units[name], time)
                    for name, value, time in zip(output, y, times * 2, strict=True)
                )
                post = kt.posterior(list(MODELS), DOSE, seen, PATIENT, seed=k)
                weights.append(post.weights[model])
            found = np.array(weights)
            print(
                f"| {model} | {len(times)} | {len(found)} | {100 * np.mean(found > 0.5):.0f} % "
                f"| {np.median(found):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    both_methods(min(20, many))
    true_one(many)
