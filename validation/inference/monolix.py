"""Conditional means and SDs of each person's effects against Monolix's.

Run as ``python validation/inference/monolix.py POSTHOC MONOLIX [RUN …]``. POSTHOC is the folder of `posthoc.py`
(data and models), MONOLIX holds ``runNNN_estimatedRandomEffects.txt`` and ``runNNN_populationParameters.txt`` of the
public files of Leven 2022 (doi 10.3390/pharmaceutics14020442), whose parameter b is an SD.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
from posthoc import target_of

from kinetamine.inference.learned import sampled


def effects_of(spec: object) -> dict[str, str]:
    """Parameter in capitals → its random effect."""
    found = {}
    for name, formula in spec.individual.items():  # type: ignore[attr-defined]
        match = re.search(r"eta\.(\w+)", str(formula))
        if match:
            found[name.upper()] = match[1]
    return found


def main() -> None:
    posthoc, monolix = Path(sys.argv[1]), Path(sys.argv[2])
    known = sorted(f.name[3:6] for f in monolix.glob("run*_estimatedRandomEffects.txt"))
    print("run   people effects  mean within 0.1 SD %  median gap (SD)  SD ratio: median (5 %, 95 %)")
    every: list[float] = []
    for run in sys.argv[3:] or [r for r in known if (posthoc / f"model_{r}.toml").exists()]:
        theirs = pl.read_csv(monolix / f"run{run}_estimatedRandomEffects.txt")
        population = dict(pl.read_csv(monolix / f"run{run}_populationParameters.txt").iter_rows())
        sigma = [float(population["b"]) ** 2, 0.0]
        gaps, ratios, size = [], [], 0
        for row in theirs.iter_rows(named=True):
            target, _ = target_of(posthoc, run, only=str(row["id"]), sigma=sigma)
            draws = sampled(target)
            spec = target.curves.layout.spec  # type: ignore[attr-defined]
            eta = target.curves.layout.eta(draws.z)  # type: ignore[attr-defined]
            names = list(spec.covariance("subject")[0])
            of = effects_of(spec)
            for column in theirs.columns:
                match = re.fullmatch(r"eta_(\w+)_mean", column)
                name = of.get({"ALAG": "ALAG1"}.get(match[1].upper(), match[1].upper())) if match else None
                if match and name is None:
                    name = of.get(match[1].upper())
                if name is None or match is None:
                    continue
                values = eta[:, names.index(name)]
                mean = float(draws.weights @ values)
                sd = float(np.sqrt(draws.weights @ (values - mean) ** 2))
                gaps.append(abs(mean - row[column]) / row[f"eta_{match[1]}_sd"])
                ratios.append(sd / row[f"eta_{match[1]}_sd"])
            size = len(names)
        every += gaps
        near, low, middle, high = np.mean(np.array(gaps) < 0.1), *np.quantile(ratios, [0.05, 0.5, 0.95])
        print(
            f"{run} {theirs.height:7d} {size:7d} {100 * near:15.1f} {np.median(gaps):18.3f}"
            f" {middle:15.3f} ({low:.3f}, {high:.3f})",
            flush=True,
        )
    print(f"all: {100 * np.mean(np.array(every) < 0.1):.1f} % of {len(every)} means within 0.1 SD")


if __name__ == "__main__":
    main()
