"""Fits the calibrated effects of esketamine nasal spray and tests them on rows that were not used.

Only shares of people affected, times and mean changes were published. So:

- *share affected* (CADSS above 4, MOAA/S below 5, nausea, vomiting): everyone has a concentration above which the
  effect is there, log-normal among people. The share is that of people whose peak is above their own; what placebo
  does is taken out first, (p - p0) / (1 - p0). Peaks come from the population of the published pk model. The normal
  score of the share at `C_ref` (the middle of the peaks, so that the two numbers hardly depend on each other) and
  the steepness per tenfold of concentration are found by maximum likelihood (binomial), errors from its curvature.
- *fading*: dissociation and sedation are gone while half of the peak is still in plasma. Their signal is the
  concentration in a site that follows plasma with the half-life that Olofsen 2012 found on average (6.1 min), less a
  level that follows plasma at the rate `fade` (adaptation without remainder); `fade` is the rate
  at which dissociation ends when it was seen to, in the median of those affected. Sedation has the same rate, and
  its times are a test.
- *circulation*: straight lines through zero, mean change over mean concentration of S-ketamine; R-ketamine adds
  with the potency that gives the systolic rise after the racemate. Errors are a quarter of the printed range.

Inputs stand in observations.toml, results in data/models/effect/fitted_*.toml; this prints both, and the tests::

    python validation/effects/fit.py
"""

from __future__ import annotations

import functools
import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import norm

import kinetamine as kt
from kinetamine.models import library

INPUTS = Path(__file__).with_name("observations.toml")
PEOPLE = {"n": 2000, "seed": 1, "age": (18, 64)}
DRUG = "S-ketamine"


@functools.cache
def inputs() -> dict[str, Any]:
    """All that the fits and tests use."""
    return tomllib.loads(INPUTS.read_text(encoding="utf-8"))


@functools.cache
def curves(pk: str, dose: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (h) and concentrations (person, time), ng/mL."""
    times = np.linspace(0, 3, 181)
    return times, kt.simulate(pk, dose, kt.Population(**PEOPLE), times=times, outputs=[DRUG])[DRUG]


@functools.cache
def following(pk: str, dose: str, rate: float) -> np.ndarray:
    """What follows the concentration at a rate (1/h), ng/mL."""
    times, levels = curves(pk, dose)
    kept = math.exp(-rate * times[1])
    follows = np.zeros_like(levels)
    for k in range(1, len(times)):
        middle = (levels[:, k - 1] + levels[:, k]) / 2
        follows[:, k] = kept * follows[:, k - 1] + (1 - kept) * middle
    return follows


def signal(pk: str, dose: str, fade: float) -> tuple[np.ndarray, np.ndarray]:
    """Times (h) and what an effect follows, ng/mL: where it fades, the delayed concentration less a level."""
    times, levels = curves(pk, dose)
    if not fade:
        return times, levels  # peaks hardly differ for a delay of seconds
    return times, following(pk, dose, math.log(2) / (inputs()["delay_min"] / 60)) - following(pk, dose, fade)


def affected(peaks: np.ndarray, c_ref: float, z: float, steepness: float) -> float:
    """Share of people whose peak is above their own threshold."""
    return float(norm.cdf(z + steepness * np.log10(peaks / c_ref)).mean())


def fit_shares(
    pk: str, rows: list[dict[str, Any]], fade: float = 0.0
) -> dict[str, tuple[float, float | None]]:
    """`C_ref` (ng/mL), normal score there and steepness with their standard errors."""
    peaks = [signal(pk, row["dose"], fade)[1].max(axis=1) for row in rows]
    c_ref = float(np.exp(np.mean([np.log(np.median(peak)) for peak in peaks])))

    def misfit(x: np.ndarray) -> float:
        total = 0.0
        for row, peak in zip(rows, peaks, strict=True):
            share = row["placebo"] + (1 - row["placebo"]) * affected(peak, c_ref, x[0], math.exp(x[1]))
            seen = row["share"]
            total -= row["n"] * (seen * math.log(share) + (1 - seen) * math.log(1 - share))
        return total

    best = minimize(misfit, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-8})
    step = 0.02
    eye = step * np.eye(2)
    curvature = np.array(
        [
            [
                sum(s * t * misfit(best.x + s * a + t * b) for s in (-1, 1) for t in (-1, 1)) / (4 * step**2)
                for b in eye
            ]
            for a in eye
        ]
    )
    error = np.sqrt(np.diag(np.linalg.inv(curvature)))
    steepness = math.exp(best.x[1])
    return {
        "C_ref": (c_ref, None),
        "z": (float(best.x[0]), float(error[0])),
        "steepness": (steepness, steepness * float(error[1])),
    }


def moment(pk: str, row: dict[str, Any], values: dict[str, float]) -> float:
    """Median time (min) of onset, peak or offset of those affected."""
    times, levels = signal(pk, row["dose"], values.get("fade", 0.0))
    score = norm.ppf((np.random.default_rng(1).permutation(len(levels)) + 0.5) / len(levels))
    own = values["C_ref"] * 10 ** ((score - values["z"]) / values["steepness"])
    above = levels > own[:, None]
    index = {
        "onset": above.argmax(axis=1),
        "peak": levels.argmax(axis=1),
        "offset": above.shape[1] - 1 - above[:, ::-1].argmax(axis=1),
    }[row["measure"]][above.any(axis=1)]
    return float(np.median(times[index])) * 60


def fit_fade(pk: str, rows: list[dict[str, Any]], time: dict[str, Any]) -> float:
    """The rate (1/h) at which the effect ends when it was seen to."""

    def late(fade: float) -> float:
        found = {name: value for name, (value, _) in fit_shares(pk, rows, fade).items()}
        return moment(pk, time, {**found, "fade": fade}) - float(np.mean(time["minutes"]))

    low, high = 0.1, 2.0  # 1/h: far too late, far too early
    for _ in range(10):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if late(middle) > 0 else (low, middle)
    return math.sqrt(low * high)


@functools.cache
def mean_levels(pk: str, dose: str | tuple[str, ...], minutes: float) -> dict[str, float]:
    """Mean concentrations of S- and R-ketamine (ng/mL) over people at a time."""
    given = dose if isinstance(dose, str) else list(dose)
    names = [n for n in (DRUG, "R-ketamine") if n in library.load(pk).outputs]
    young = {**PEOPLE, "age": (18, 35)} if pk != inputs()["pk"] else PEOPLE
    found = kt.simulate(pk, given, kt.Population(**young), times=[minutes / 60], outputs=names)
    return {name: float(found[name].mean()) for name in names}


def effective(row: dict[str, Any], potency: float) -> float:
    """Mean over doses of the concentration that moves the circulation, ng/mL of S-ketamine."""
    levels = [
        mean_levels(row.get("pk", inputs()["pk"]), d if isinstance(d, str) else tuple(d), row["minutes"])
        for d in row["doses"]
    ]
    return float(np.mean([one[DRUG] + potency * one.get("R-ketamine", 0.0) for one in levels]))


def fit_changes(rows: list[dict[str, Any]]) -> dict[str, dict[str, tuple[float, float | None]]]:
    """Slopes, then the potency of R-ketamine with them."""
    out: dict[str, dict[str, tuple[float, float | None]]] = {}
    for row in sorted(rows, key=lambda r: "slope" in r):
        mine = out.setdefault(row["model"], {})
        if "slope" in row:
            slope, alone = mine[row["slope"]][0], effective(row, 0.0)
            other = effective(row, 1.0) - alone
            value, per = (row["value"] / slope - alone) / other, slope * other
        else:
            per = effective(row, 0.0)
            value = row["value"] / per
        mine[row["parameter"]] = (value, (row["high"] - row["low"]) / 4 / per if "low" in row else None)
    return out


def fitted() -> dict[str, dict[str, tuple[float, float | None]]]:
    """Model, parameter, value and standard error of everything that is fitted."""
    given = inputs()
    out: dict[str, dict[str, tuple[float, float | None]]] = {}
    rows = [row for row in given["share"] if row["use"] == "fit"]
    (time,) = (row for row in given["time"] if row["use"] == "fit")
    fade = fit_fade(given["pk"], [row for row in rows if row["model"] == time["model"]], time)
    for name in dict.fromkeys(row["model"] for row in rows):
        mine, fades = [row for row in rows if row["model"] == name], name in given["fading"]
        out[name] = fit_shares(given["pk"], mine, fade if fades else 0.0)
        if fades:
            out[name]["fade"] = (fade, None)
    return out | fit_changes([row for row in given["change"] if row["use"] == "fit"])


def tested() -> list[tuple[str, float, tuple[float, float]]]:
    """What was predicted for each row not used: words, prediction, what was seen (low, high)."""
    given = inputs()
    results: list[tuple[str, float, tuple[float, float]]] = []
    numbers = {
        name: {key: p.value for key, p in library.load(name).parameters.items()}
        for name in dict.fromkeys(row["model"] for row in given["share"])
    }
    for row in (row for row in given["share"] if row["use"] == "test"):
        p = numbers[row["model"]]
        peaks = signal(given["pk"], row["dose"], p.get("fade", 0.0))[1].max(axis=1)
        share = affected(peaks, p["C_ref"], p["z"], p["steepness"])
        share = row["placebo"] + (1 - row["placebo"]) * share
        half = 1.96 * math.sqrt(row["share"] * (1 - row["share"]) / row["n"])
        results.append(
            (f"{row['output']}: share; {row['place']}", share, (row["share"] - half, row["share"] + half))
        )
    for row in (row for row in given["time"] if row["use"] == "test"):
        found = moment(given["pk"], row, numbers[row["model"]])
        results.append((f"{row['output']}: {row['measure']}, min", found, tuple(row["minutes"])))
    for row in (row for row in given["change"] if row["use"] == "test"):
        kept = library.load(row["model"]).parameters
        change = kept[row["parameter"]].value * effective(row, kept["potency_R"].value)
        results.append((f"{row['parameter']}: {row['place']}", change, (row["low"], row["high"])))
    return results


def main() -> None:
    """Print fits beside the files, then the tests."""
    for name, found in fitted().items():
        kept = library.load(name).parameters
        for parameter, (value, se) in found.items():
            have = kept[parameter]
            error = "fixed" if se is None else f"se {se:.2g}"
            print(f"{name} {parameter}: {value:.4g} ({error}); in the file {have.value:g} (se {have.se})")
    for words, predicted, (low, high) in tested():
        verdict = "inside" if low <= predicted <= high else "outside"
        print(f"{words}: predicted {predicted:.3g}, seen {low:.3g} to {high:.3g}: {verdict}")


if __name__ == "__main__":
    main()
