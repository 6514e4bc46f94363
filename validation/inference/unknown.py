"""Unknown dose and time: how often the truth lies inside, and how wide the answer is.

Run as ``python validation/inference/unknown.py [PEOPLE [1|2 …]]`` (default 200; one sample, and two with 2 h
between). People, doses (log-uniform) and times (uniform) are drawn from the prior of the question.
"""

from __future__ import annotations

import sys

import numpy as np

import kinetamine as kt
from kinetamine.dosing import Regimen
from kinetamine.inference.curves import Curves
from kinetamine.likelihood import errors_of
from kinetamine.models.library import load
from kinetamine.observations import Observation, Observations
from kinetamine.population import Patient

MODEL, PATIENT = "perez_ruixo_2021_esketamine", Patient(age=45)
LOW, HIGH, LAST = 10.0, 1000.0, 24.0
OUTPUTS = ("S-ketamine", "S-norketamine")


def values(gaps: list[float], k: int) -> tuple[Observations, float, float]:
    """What samples of one person say, his dose and its time before the first."""
    spec = load(MODEL)
    rng = np.random.default_rng([21, k])
    dose = LOW * (HIGH / LOW) ** rng.random()
    before = LAST * rng.random()
    regimen = Regimen.parse(f"{dose:.6f} mg oral", entries=set(spec.entries), fields=set(spec.dose_fields))
    times = [before + gap for gap in gaps]
    output = [name for name in OUTPUTS for _ in times]
    curves = Curves(spec, regimen, PATIENT, np.tile(times, 2), observe=output)
    f = curves(rng.standard_normal((1, 1, curves.size)))[0]
    seen = []
    for name, value, gap in zip(output, f, gaps * 2, strict=True):
        error = errors_of(spec, [name])[name]
        y = float(error.measured(np.array([value]), rng.standard_normal(1))[0])
        low = y if y > 0.5 else 0.0  # a usual limit of quantification, ng/mL
        seen.append(Observation(name, low, max(y, 0.5), spec.outputs[name].unit, gap))
    return Observations(seen), dose, before


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(
        "| samples | people | dose in 50 % | in 90 % | factor left open | time in 50 % | in 90 % | width, h |"
    )
    print("|---|---|---|---|---|---|---|---|")
    asked = {"1": [0.0], "2": [0.0, 2.0]}
    for gaps in [asked[name] for name in sys.argv[2:] or asked]:
        inside = {(name, level): 0 for name in ("dose", "time") for level in (0.5, 0.9)}
        factor, width = [], []
        for k in range(people):
            seen, dose, before = values(gaps, k)
            question = f"{LOW:g} to {HIGH:g} mg oral, 0 to {LAST:g} h before"
            found = kt.posterior(MODEL, question, seen, PATIENT, seed=k)
            for name, truth in (("dose", dose), ("time", before)):
                for level in (0.5, 0.9):
                    low, _, high = found.interval(level)[name]
                    inside[name, level] += low <= truth <= high
            most = found.interval()
            factor.append(most["dose"][2] / most["dose"][0])
            width.append(most["time"][2] - most["time"][0])
        share = {key: 100 * count / people for key, count in inside.items()}
        print(
            f"| {len(gaps)} | {people} | {share['dose', 0.5]:.1f} | {share['dose', 0.9]:.1f} | {np.median(factor):.1f} "
            f"| {share['time', 0.5]:.1f} | {share['time', 0.9]:.1f} | {np.median(width):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
