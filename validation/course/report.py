"""What the fit writes down: draws, how well it sampled, what the data told, and every row as predicted."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from problem import RATIO, Row

from kinetamine.evidence.course.observations import wilson
from kinetamine.files import write_whole

if TYPE_CHECKING:
    from fit import Fit, Samples

__all__ = ["write"]

#: draws behind a prediction of a fitted row, and of one left out
DRAWS, DRAWS_LEFT_OUT = 400, 1200
#: answers whose dependence on the priors is shown: a row each
ANSWERS = (
    "murrough2013_single-ket-response_pct-1",
    "murrough2013_rep-ket-response_pct-12",
    "heerlein2021-usual-response_pct-182",
    "heerlein2021-usual-remission_pct-182",
    "daly2018_p2-open-remission_pct-130",
)
_PREDICTED = (
    "id", "design", "fold", "low", "high", "moment", "fitted", "new_trial", "predicted", "low95", "low80", "high80",
    "high95", "attainable", "rank",
)  # fmt: skip


def write(
    fit: Fit, chains: Sequence[Mapping[str, Any]], folds: Sequence[Mapping[str, Any]],
    left_out: Sequence[Sequence[str]], seconds: float,
) -> None:  # fmt: skip
    """All files."""
    from fit import together, write_draws

    data = Path(str(__import__("kinetamine").__file__)).parent / "data" / "trials"
    samples = together(chains)
    write_draws(fit, samples)
    write_whole(data / "predictions.csv", predictions(fit, samples, folds, left_out))
    write_whole(data / "fit.toml", account(fit, chains, folds, left_out, seconds))


def published(row: Row) -> tuple[float, float]:
    """The 95 % interval of a published value, as the fit takes its error."""
    if row.share:
        n = max(round(row.n), 1)
        low, high = wilson(round(row.value / 100 * n), n)
        return 100 * low, 100 * high
    if row.measure == RATIO:
        return row.value * math.exp(-1.96 * row.se), row.value * math.exp(1.96 * row.se)
    return row.value - 1.96 * row.se, row.value + 1.96 * row.se


def design(fit: Fit, row: Row) -> str:
    """What sort of row: of relapse and lasting, a difference, or of an arm of this kind."""
    if row.measure in ("relapse", RATIO, "stay", "lost"):
        return "withdrawal"
    if row.control is not None:
        return "difference"
    arm = fit.arms[row.arm]
    if not (arm.s + arm.r > 0).any():
        return "control"
    return "nasal" if arm.nasal else "single" if len(arm.days) == 1 else "series"


def judged(row: Row, x: np.ndarray, rng: np.random.Generator) -> tuple[float, list[float], float, float]:
    """Expectation, ends of the 95 and 80 % intervals of the published value, and two measures of calibration.

    The share of future trials of this size whose published 95 % interval would hold the expectation, were the model
    true; and the rank of the published value among those the model expects (a half for ties).
    """
    if row.share:
        n = max(round(row.n), 1)
        hits = rng.binomial(n, np.clip(x, 0, 1))
        drawn, centre = 100 * hits / n, 100 * float(np.clip(x, 0, 1).mean())
        row = replace(row, value=100 * round(row.value / 100 * n) / n)  # as printed it is rounded
        values, counts = np.unique(hits, return_counts=True)
        ends = [wilson(int(h), n) for h in values]
        held = [100 * low <= centre <= 100 * high for low, high in ends]
        attained = float((np.array(held) * counts).sum() / counts.sum())
    elif row.measure == RATIO:
        log = x + row.se * rng.standard_normal(len(x))
        drawn, centre = np.exp(log), float(np.exp(np.median(x)))
        attained = float((np.abs(log - math.log(centre)) <= 1.96 * row.se).mean())
    else:
        drawn, centre = x + row.se * rng.standard_normal(len(x)), float(x.mean())
        attained = float((np.abs(drawn - centre) <= 1.96 * row.se).mean())
    rank = float((drawn < row.value - 1e-9).mean() + 0.5 * (np.abs(drawn - row.value) <= 1e-9).mean())
    return centre, [float(q) for q in np.quantile(drawn, [0.025, 0.1, 0.9, 0.975])], attained, rank


def predictions(
    fit: Fit, samples: Samples, folds: Sequence[Mapping[str, Any]], left_out: Sequence[Sequence[str]]
) -> str:
    """Every fitted row as CSV."""
    rng = np.random.default_rng(0)
    fold_of = {family: k for k, names in enumerate(left_out) for family in names}
    fitted = fit.expect(samples, DRAWS, False, 0)
    new = fit.expect(samples, DRAWS, True, 1)
    unseen = [fit.expect(one["samples"], DRAWS_LEFT_OUT, True, 10 + k) for k, one in enumerate(folds)]
    medians = {k: jnp.asarray(float(np.median(samples[k]))) for k in fit.free}
    m = fit.moments
    none = {
        "trial": jnp.zeros(len(m.families)),
        "drug": jnp.zeros(len(m.with_drug)),
        "relapse": jnp.zeros((2, len(m.relapsing))),
    }
    moment = np.asarray(m.predict(medians, none))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_PREDICTED)
    for i, row in enumerate(fit.rows):
        fold = fold_of[row.family]
        scale = 100.0 if row.share else 1.0
        centre, ends, attained, rank = judged(row, unseen[fold][:, i], rng)
        numbers = [
            *published(row), math.exp(moment[i]) if row.measure == RATIO else scale * moment[i],
            judged(row, fitted[:, i], rng)[0],
            judged(row, new[:, i], rng)[0],
            centre, *ends, attained, rank,
        ]  # fmt: skip
        table.writerow([row.id, design(fit, row), fold, *(f"{x:.4g}" for x in numbers)])
    return out.getvalue()


def account(
    fit: Fit, chains: Sequence[Mapping[str, Any]], folds: Sequence[Mapping[str, Any]],
    left_out: Sequence[Sequence[str]], seconds: float,
) -> str:  # fmt: skip
    """How well it sampled, priors and posteriors, prior sensitivity, as TOML."""
    by_chain = {k: np.stack([one["samples"][k] for one in chains]) for k in chains[0]["samples"]}
    rhat = {k: np.max(split_gelman_rubin(v)) for k, v in by_chain.items()}
    ess = {k: np.min(effective_sample_size(v)) for k, v in by_chain.items()}
    lines = [
        "# Written by validation/course/fit.py.",
        "format = 1",
        'model = "hierarchical"',
        f"rows = {len(fit.rows)}",
        f"chains = {len(chains)}",
        f"draws = {len(chains) * len(chains[0]['samples']['theta_drug'])}",
        f"divergences = {sum(one['divergences'] for one in chains)}",
        f"rhat_max = {max(rhat.values()):.4f}",
        f"ess_min = {min(ess.values()):.0f}",
        f"steps = {np.mean([one['steps'] for one in chains]):.0f}",
        f"seconds = {seconds:.0f}",
        f"fold_divergences = {sum(one['divergences'] for one in folds)}",
        "folds = [",
        *(f"  [{', '.join(repr(x).replace(chr(39), chr(34)) for x in names)}]," for names in left_out),
        "]",
        "",
        "[parameters]  # prior and posterior: median, 5 and 95 %; ratio of their SDs where they are fitted",
    ]
    z = np.random.default_rng(0).standard_normal(20_000)
    for name, p in fit.free.items():
        x, y = p.from_normal(z), by_chain[name].ravel()
        scaled = (np.log(x), np.log(y)) if p.prior == "lognormal" else (x, y)
        ratio = scaled[1].std() / scaled[0].std()
        numbers = [*np.quantile(x, [0.5, 0.05, 0.95]), *np.quantile(y, [0.5, 0.05, 0.95])]
        prior, posterior = (", ".join(f"{v:.4g}" for v in numbers[k : k + 3]) for k in (0, 3))
        lines.append(
            f"{name} = {{ prior = [{prior}], posterior = [{posterior}], ratio = {ratio:.2f}, "
            f"rhat = {rhat[name]:.4f}, ess = {ess[name]:.0f} }}"
        )
    return "\n".join(
        [*lines, "", *_sensitivity(fit, {k: v.reshape(-1, *v.shape[2:]) for k, v in by_chain.items()})]
    )


def _sensitivity(fit: Fit, samples: Samples) -> list[str]:
    """What answers do when one prior counts twice, in SDs of the answer: importance weights, no refit."""
    rows = np.linspace(0, len(samples["theta_drug"]) - 1, DRAWS).astype(int)
    expected = fit.expect(samples, DRAWS, False, 0)
    place = {r.id: i for i, r in enumerate(fit.rows)}
    lines = [
        "[sensitivity]  # change of an answer, in its SDs, when one prior counts twice: the five largest"
    ]
    for answer in ANSWERS:
        y = expected[:, place[answer]]
        change = {}
        for name, p in fit.free.items():
            log = _log_prior(p, samples[name][rows])
            w = np.exp(log - log.max())
            change[name] = float(((w / w.sum()) @ y - y.mean()) / y.std())
        top = sorted(change.items(), key=lambda item: -abs(item[1]))[:5]
        inside = ", ".join(f"{name} = {value:.2f}" for name, value in top)
        lines.append(f'"{answer}" = {{ {inside} }}')
    return [*lines, ""]


def _log_prior(p: Any, x: np.ndarray) -> np.ndarray:
    at = np.log(x / p.centre) if p.prior == "lognormal" else x - p.centre
    return np.asarray(-0.5 * (at / p.spread) ** 2)
