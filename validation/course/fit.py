"""Fit the hierarchical course model to published trials, and predict each trial by fits that have not seen it.

    pip install kinetamine[fit]
    python validation/course/fit.py             # about half an hour on two free cores
    python validation/course/fit.py --check     # the same, nothing written

Full posterior by the No-U-Turn sampler (NumPyro). Two pilot chains adapt a dense mass matrix; four chains start from
their draws. Then six folds of trials, each refitted without them, beside each other in processes. Seeded.

Likelihood: one multivariate normal over all rows; those of the same people vary together (`covariance`). Shares on
the empirical logit with the binomial variance of the prediction, scores and log hazard ratios with their printed
error. It writes the thinned draws beside the model file (and their sha256 into it), `data/trials/fit.toml` (how well
it sampled, priors and posteriors, what a change of the priors would do) and `data/trials/predictions.csv` (every
fitted row: as fitted, in a new trial, and by the fold without it).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
sys.path.insert(0, str(Path(__file__).parent))

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from covariance import correlation
from moments import Moments
from numpyro.infer import MCMC, NUTS, init_to_value
from problem import RATIO, Row, read

from kinetamine.course import model as course_model

FOLDS, CHAINS, PILOTS, WORKERS = 6, 2, 2, 2
#: draws of warm-up and kept ones: pilot, chain, fold
PILOT, CHAIN, FOLD = (350, 250), (120, 700), (120, 400)
SHIPPED = 400
#: how far the pilot's covariance is drawn to its diagonal for the mass matrix
SHRINK = 0.3
EFFECTS = ("trial", "drug", "relapse")

Samples = dict[str, np.ndarray]


class Fit:
    """Model, rows and likelihood of one process; compiled once for a length of chain."""

    def __init__(self, reference: Mapping[str, float] | None = None) -> None:
        model = course_model.load("hierarchical", draws=False)
        self.fixed = {k: float(p.value) for k, p in model.parameters.items() if p.value is not None}
        # no arm is of older people: the effect of age keeps its prior and is no part of the fit
        self.free = {k: p for k, p in model.parameters.items() if p.free and k != "age_effect"}
        self.arms, self.rows = read()
        at = dict(reference or {k: model.central[k] for k in self.free})
        self.correlation = correlation(self.arms, self.rows, self.fixed, at)
        self.moments = Moments(self.arms, self.rows, self.fixed)
        self.families = np.array([r.family for r in self.rows])
        self._likelihood()
        self.start: Samples | None = None
        self.mass: np.ndarray | None = None
        self._made: dict[tuple[int, int], MCMC] = {}

    def _likelihood(self) -> None:
        rows = self.rows
        self.share = np.array([r.share for r in rows])
        n, value = np.array([r.n for r in rows]), np.array([r.value for r in rows])
        hits = np.where(self.share, value / 100 * n, 0.0)
        ratio = np.array([r.measure == RATIO for r in rows])
        seen = np.where(ratio, np.log(np.where(ratio, value, 1.0)), value)
        logits = np.log((hits + 0.5) / np.where(self.share, n - hits + 0.5, 1.0))
        self.seen = np.where(self.share, logits, seen).astype(np.float32)
        self.n, self.se = n.astype(np.float32), np.array([r.se for r in rows], np.float32)
        # families do not vary together, so the inverse of the factor has no entry across them either
        self.whitened = np.linalg.inv(np.linalg.cholesky(self.correlation)).astype(np.float32)

    def log_likelihood(self, expected: Any, mask: Any) -> Any:
        """Log density of each row given those before it; left-out rows (mask 0) count for nothing."""
        p = jnp.clip(jnp.where(self.share, expected, 0.5), 0.003, 0.997)
        at = jnp.where(self.share, jnp.log(p / (1 - p)), expected)
        sd = jnp.where(self.share, jnp.sqrt(1 / (self.n * p * (1 - p) + 0.5)), self.se)
        e = self.whitened @ ((self.seen - at) / sd)
        return mask * (-0.5 * e**2 - jnp.log(sd))

    def program(self, mask: Any) -> None:
        """The model in NumPyro's words."""
        p = {name: numpyro.sample(name, _prior(parameter)) for name, parameter in self.free.items()}
        m = self.moments
        shapes = {"trial": (len(m.families),), "drug": (len(m.with_drug),), "relapse": (2, len(m.relapsing))}
        z = {
            name: numpyro.sample(f"z_{name}", dist.Normal(0, 1).expand(shape).to_event(len(shape)))
            for name, shape in shapes.items()
        }
        numpyro.factor("rows", self.log_likelihood(m.predict(p, z), mask).sum())

    def sample(self, leave: Sequence[str], length: tuple[int, int], seed: int) -> dict[str, Any]:
        """One chain without some families of trials."""
        if length not in self._made:
            known: dict[str, Any] = {}
            if self.mass is not None:
                known = {"inverse_mass_matrix": self.mass, "adapt_mass_matrix": False}
            kernel = NUTS(
                self.program, init_strategy=init_to_value(values=self._begin(seed)), target_accept_prob=0.9,
                max_tree_depth=7, dense_mass=True, **known,
            )  # fmt: skip
            warm, keep = length
            self._made[length] = MCMC(
                kernel, num_warmup=warm, num_samples=keep, progress_bar=False, jit_model_args=True
            )
        mc, began = self._made[length], time.time()
        mask = jnp.asarray(~np.isin(self.families, list(leave)), jnp.float32)
        mc.run(jax.random.PRNGKey(seed), mask, extra_fields=("diverging", "num_steps"))
        extra = mc.get_extra_fields()
        return {
            "samples": {k: np.asarray(v) for k, v in mc.get_samples().items()},
            "divergences": int(extra["diverging"].sum()),
            "steps": float(extra["num_steps"].mean()),
            "seconds": time.time() - began,
        }

    def _begin(self, seed: int) -> dict[str, Any]:
        if self.start is None:
            return {k: jnp.asarray(float(p.from_normal(np.zeros(1))[0])) for k, p in self.free.items()}
        pick = np.random.default_rng(seed).integers(len(self.start["theta_drug"]))
        return {k: jnp.asarray(v[pick]) for k, v in self.start.items()}

    def expect(self, samples: Samples, n: int, fresh: bool, seed: int) -> np.ndarray:
        """Expectations (draw, row); fresh: every trial a new one."""
        rows = np.linspace(0, len(samples["theta_drug"]) - 1, n).astype(int)
        p = {k: jnp.asarray(samples[k][rows], jnp.float32) for k in self.free}
        z = {name: samples[f"z_{name}"][rows] for name in EFFECTS}
        if fresh:
            rng = np.random.default_rng(seed)
            z = {name: rng.standard_normal(v.shape) for name, v in z.items()}
        whole = (p, {k: jnp.asarray(v, jnp.float32) for k, v in z.items()})
        return np.asarray(jax.jit(lambda q: jax.lax.map(lambda one: self.moments.predict(*one), q))(whole))


def _prior(p: course_model.Parameter) -> dist.Distribution:
    if p.prior == "lognormal":
        return dist.LogNormal(np.log(p.centre), p.spread)
    if p.prior == "half-normal":
        return dist.HalfNormal(p.spread)
    if p.prior == "truncated normal":
        return dist.TruncatedNormal(p.centre, p.spread, low=p.low, high=p.high)
    return dist.Normal(p.centre, p.spread)


def unconstrained(fit: Fit, samples: Samples) -> np.ndarray:
    """Draws on the scale on which they are sampled, (draw, dimension), in NumPyro's order."""
    columns = []
    for name in sorted(samples):
        x, p = samples[name], fit.free.get(name)
        if p is not None and p.prior in ("lognormal", "half-normal"):
            x = np.log(x)
        elif p is not None and p.prior == "truncated normal":
            u = (x - p.low) / (p.high - p.low)
            x = np.log(u / (1 - u))
        columns.append(x.reshape(len(x), -1))
    return np.concatenate(columns, axis=1)


def deal(rows: Sequence[Row], k: int = FOLDS) -> list[list[str]]:
    """Families of trials dealt out so that each fold has about as many rows."""
    n: dict[str, int] = {}
    for r in rows:
        n[r.family] = n.get(r.family, 0) + 1
    out: list[list[str]] = [[] for _ in range(k)]
    load = [0] * k
    for family in sorted(n, key=lambda family: (-n[family], family)):
        least = int(np.argmin(load))
        out[least].append(family)
        load[least] += n[family]
    return out


# --- processes ---------------------------------------------------------------------------------------

_fit: Fit | None = None


def _prepare(reference: Mapping[str, float] | None, start: Samples | None, mass: np.ndarray | None) -> None:
    global _fit
    _fit = Fit(reference)
    _fit.start, _fit.mass = start, mass


def _task(task: tuple[str, tuple[str, ...], tuple[int, int], int]) -> dict[str, Any]:
    assert _fit is not None
    name, leave, length, seed = task
    found = _fit.sample(leave, length, seed)
    print(
        f"{name}: {found['seconds']:.0f} s, {found['divergences']} divergences, {found['steps']:.0f} steps a draw",
        flush=True,
    )
    return found


def run(tasks: Sequence[Any], *prepared: Any) -> list[dict[str, Any]]:
    """Chains beside each other, in the order of `tasks`."""
    with ProcessPoolExecutor(WORKERS, get_context("spawn"), _prepare, prepared) as pool:
        return list(pool.map(_task, tasks))


def together(found: Sequence[Mapping[str, Any]]) -> Samples:
    """Draws of several chains after each other."""
    return {k: np.concatenate([one["samples"][k] for one in found]) for k in found[0]["samples"]}


# --- what is written ---------------------------------------------------------------------------------


def thinned(fit: Fit, samples: Samples, n: int = SHIPPED) -> dict[str, np.ndarray]:
    """Draws as shipped: parameters (draw, name), effects of every trial (draw, trial), nan where it has none."""
    rows = np.linspace(0, len(samples["theta_drug"]) - 1, n).astype(int)
    m = fit.moments

    def spread(z: np.ndarray, names: Sequence[str], sd: str) -> np.ndarray:
        out = np.full((n, len(m.families)), np.nan, np.float32)
        for i, name in enumerate(names):
            out[:, m.families.index(name)] = z[rows, i] * samples[sd][rows]
        return out

    return {
        "parameters": np.array(list(fit.free)),
        "draws": np.stack([samples[k][rows] for k in fit.free], axis=1).astype(np.float32),
        "trials": np.array(m.families),
        "trial": spread(samples["z_trial"], m.families, "sd_trial"),
        "trial_drug": spread(samples["z_drug"], m.with_drug, "sd_trial_drug"),
        "trial_relapse_score": spread(samples["z_relapse"][:, 0], m.relapsing, "sd_trial_relapse"),
        "trial_relapse_hazard": spread(samples["z_relapse"][:, 1], m.relapsing, "sd_trial_relapse"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked = parser.parse_args()
    began = time.time()
    pilots = run([(f"pilot {s}", (), PILOT, s) for s in range(PILOTS)], None, None, None)
    start, fit = together(pilots), Fit()
    scaled = np.cov(unconstrained(fit, start).T)
    mass = ((1 - SHRINK) * scaled + SHRINK * np.diag(np.diag(scaled))).astype(np.float32)
    reference = {k: float(np.median(start[k])) for k in fit.free}
    left_out = deal(fit.rows)
    tasks = [(f"chain {s}", (), CHAIN, s) for s in range(1, CHAINS + 1)]
    tasks += [(f"fold {k}", tuple(names), FOLD, 100 + k) for k, names in enumerate(left_out)]
    found = run(tasks, reference, start, mass)
    from report import write

    if not asked.check:
        write(Fit(reference), found[:CHAINS], found[CHAINS:], left_out, time.time() - began)


def write_draws(fit: Fit, samples: Samples) -> None:
    """The draws beside the model file, and their sha256 in it."""
    import hashlib
    import io

    from kinetamine.files import write_whole

    folder = Path(course_model.__file__).parents[1] / "data" / "models" / "course"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **thinned(fit, samples))
    write_whole(folder / "hierarchical.npz", buffer.getvalue())
    text = (folder / "hierarchical.toml").read_text("utf-8")
    digest = hashlib.sha256(buffer.getvalue()).hexdigest()
    write_whole(folder / "hierarchical.toml", re.sub(r'sha256 = "[0-9a-f]*"', f'sha256 = "{digest}"', text))


if __name__ == "__main__":
    main()
