"""Most probable effects of each person against NONMEM's POSTHOC.

Run as ``python validation/inference/posthoc.py FOLDER [RUN …]``. The folder holds, for each run NNN, the data
(``data_NNN.csv``), the model (``model_NNN.toml``), its residual variances (``model_NNN.json``) and NONMEM's effects
and objective (``nonmem_etas_NNN.csv``): the public test of Le Louedec 2021, doi 10.1002/psp4.12689.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl

from kinetamine.dosing import EventTable
from kinetamine.inference.curves import Curves
from kinetamine.inference.mode import find
from kinetamine.inference.target import Target
from kinetamine.models.library import load
from kinetamine.population import Patient
from kinetamine.population.residual import ResidualError


def error(run: str, sigma: list[float]) -> ResidualError:
    """Residual error from variances, proportional then additive; run 407 is additive on the logarithm."""
    if run in ("407", "408"):
        return ResidualError("lognormal", sigma[0] ** 0.5, 0.0)
    additive = sigma[1] if len(sigma) > 1 else 0.0
    return ResidualError("combined" if additive else "proportional", sigma[0] ** 0.5, additive**0.5)


def target_of(
    folder: Path, run: str, only: str | None = None, sigma: list[float] | None = None
) -> tuple[Target, list[str]]:
    """The log posterior of everybody in a data set (or of one of them, with other variances), and their names."""
    about = json.loads((folder / f"model_{run}.json").read_text())
    spec = load(folder / f"model_{run}.toml")
    frame = pl.read_csv(folder / f"data_{run}.csv", null_values=["."], infer_schema_length=None)
    frame = frame.rename({name: name.upper() for name in frame.columns})
    if only is not None:
        frame = frame.filter(pl.col("ID").cast(pl.String) == only)
    log = run in ("407", "408")
    dv = frame["LDV" if log else "DV"].cast(pl.Float64).to_numpy()
    frame = frame.drop([n for n in ("S2_SAMPLING", "LDV", "NDV", "DV") if n in frame.columns])
    table = EventTable.read(
        frame,
        covariates=list(spec.covariates),
        compartments=list(spec.compartments),
        entries=list(spec.entries),
    )
    seen = np.flatnonzero(table.evid == 0)
    y = np.exp(dv[seen]) if log else dv[seen]
    outputs = list(spec.outputs)
    observed = [int(c) for c in about["obs"]]
    output = [
        outputs[observed.index(int(c))] if c is not None and int(c) in observed else outputs[0]
        for c in table.cmt[seen]
    ]
    curves = Curves(spec, table, Patient(), observe=output)
    who = table.subject[seen]
    first = np.flatnonzero(np.diff(who, prepend=-1))
    errors = {name: error(run, sigma or about["sigma"]) for name in outputs}
    return Target(curves, y, y, first, output, errors), list(dict.fromkeys(table.id))


def main() -> None:
    folder = Path(sys.argv[1])
    runs = sys.argv[2:] or sorted(f.stem[-3:] for f in folder.glob("model_*.toml"))
    total = np.zeros(4)
    print("run   people effects  same %   ours lower  NONMEM lower  ms/person (processor)")
    for run in runs:
        target, people = target_of(folder, run)
        theirs = pl.read_csv(folder / f"nonmem_etas_{run}.csv")
        names = [n for n in theirs.columns if n.upper().startswith("ETA")]
        eta_n = theirs[names].to_numpy()[: len(people)]
        find(target, starts=1, iterations=1)  # compiles
        start = time.process_time()
        modes = find(target, starts=4, screen=48)
        z, value = modes.best()
        spent = time.process_time() - start
        eta = target.curves.layout.eta(z)
        root = np.linalg.cholesky(target.curves.layout.spec.covariance("subject")[1])
        z_n = np.linalg.solve(root, eta_n.T).T
        value_n = target.log_posterior(z_n[:, None])[:, 0]
        same = np.abs(eta - eta_n).max(axis=1) < 1e-3
        # objectives are minus twice the log posterior
        better = (value > value_n + 5e-4) & ~same
        worse = (value < value_n - 5e-4) & ~same
        total += len(people), same.sum(), better.sum(), worse.sum()
        print(
            f"{run} {len(people):7d} {eta.shape[1]:7d} {100 * same.mean():8.2f} {better.sum():11d} {worse.sum():13d}"
            f" {1e3 * spent / len(people):10.2f}",
            flush=True,
        )
    n, same, better, worse = total
    print(f"all {n:7.0f}         {100 * same / n:8.2f} {better:11.0f} {worse:13.0f}")
    print(f"same, or ours lower: {100 * (same + better) / n:.2f} %")


if __name__ == "__main__":
    main()
