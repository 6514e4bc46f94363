"""Posteriors against long runs of another program's sampler (emcee)."""

from __future__ import annotations

import numpy as np
import pytest

from kinetamine.dosing import Regimen
from kinetamine.inference.curves import Curves
from kinetamine.inference.learned import sampled
from kinetamine.inference.target import Target
from kinetamine.likelihood import errors_of
from kinetamine.models.library import load
from kinetamine.population import Patient

pytestmark = pytest.mark.slow

#: model, dose, patient, times of both analytes, people, steps of 64 walkers
CASES = (
    (
        "otto_2021_s_ketamine",
        "10 mg iv over 30 min",
        Patient(weight=70),
        (0.75, 1.5, 3.0, 5.0, 8.0),
        14,
        3000,
    ),
    ("perez_ruixo_2021_esketamine", "84 mg nasal", Patient(age=45), (1.0, 4.0), 6, 5000),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_means_and_sds_are_those_of_a_long_chain(case: tuple, capsys: pytest.CaptureFixture[str]) -> None:
    emcee = pytest.importorskip("emcee")
    model, dose, patient, times, people, steps = case
    spec = load(model)
    regimen = Regimen.parse(dose, entries=set(spec.entries), fields=set(spec.dose_fields))
    output = [name for name in ("S-ketamine", "S-norketamine") for _ in times]
    curves = Curves(spec, regimen, patient, np.tile(times, 2), observe=output)
    errors = errors_of(spec, dict.fromkeys(output))
    gaps, ratios, lengths = [], [], []
    for k in range(people):
        rng = np.random.default_rng([41, k])
        f = curves(rng.standard_normal((1, 1, curves.size)))[0]
        y = np.array([
            float(errors[name].measured(np.array([value]), rng.standard_normal(1))[0])
            for name, value in zip(output, f, strict=True)
        ])  # fmt: skip
        low, high = np.where(y > 0.5, y, -np.inf), np.maximum(y, 0.5)
        target = Target(curves, low, high, np.zeros(1, int), output, errors)
        mine = sampled(target, n=20_000, seed=k)
        mean = mine.weights @ mine.z
        sd = np.sqrt(mine.weights @ (mine.z - mean) ** 2)
        # not the snooker move: with it SDs of emcee 3.1.6 came out some 5 % too small, those of the prior too
        moves = [(emcee.moves.DEMove(), 0.9), (emcee.moves.DEMove(gamma0=1.0), 0.1)]
        chain = emcee.EnsembleSampler(
            64, curves.size, lambda z, t=target: t.log_posterior(z[None])[0], vectorize=True, moves=moves
        )
        chain.random_state = np.random.RandomState(k).get_state()
        start = mine.z[rng.choice(len(mine.z), 64, p=mine.weights)]
        chain.run_mcmc(start, steps)
        tau = chain.get_autocorr_time(tol=0)
        long = chain.get_chain(discard=steps // 10, flat=True)
        gaps.append(np.abs(mean - long.mean(axis=0)) / long.std(axis=0))
        ratios.append(sd / long.std(axis=0))
        lengths.append(0.9 * steps * 64 / tau.max())
    gap, ratio = np.concatenate(gaps), np.concatenate(ratios)
    with capsys.disabled():
        print(
            f"\n{model}: {people} people, means within {gap.max():.3f} SD (median {np.median(gap):.3f}), SD ratio "
            f"{ratio.min():.3f} to {ratio.max():.3f}, effective draws of the chain at least {min(lengths):.0f}"
        )
    assert min(lengths) > 2000
    assert gap.max() < 0.1
    assert ratio.min() > 0.9
    assert ratio.max() < 1.1
