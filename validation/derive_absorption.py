"""Where the absorption of the derived models comes from.

A study that prints only the bioavailability and a few numbers of its curve is joined to a disposition. Its unknowns
are solved so that the typical curve has such numbers (or comes nearest to them): the rate of absorption from the time
of the peak, the share of a swallowed dose that becomes norketamine on its first pass from the ratio of areas, the
early share of an intramuscular dose from onset and length of anaesthesia in the label. Uncertainty of the first number
is carried over to the first unknown by solving again one standard error earlier and later.

The inputs stand in validation/absorption.toml, the results in the model files; this prints both side by side::

    python validation/derive_absorption.py
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

import kinetamine as kt
from kinetamine import units
from kinetamine.models import library
from kinetamine.models.spec import ModelSpec

INPUTS = Path(__file__).with_name("absorption.toml")
OUTPUT, METABOLITE = "ketamine", "norketamine"
#: even times of a curve, h, in pieces that get coarser; without `until` a curve is followed so long
PIECES = ((0.5, 1 / 3600), (3.0, 1 / 360), (24.0, 1 / 60), (96.0, 0.1))
UNTIL_H = 24.0


def with_values(spec: ModelSpec, values: dict[str, float]) -> ModelSpec:
    """The model with other values of some parameters, in the units of the file."""
    parameters = {name: spec.parameters[name].model_copy(update={"value": v}) for name, v in values.items()}
    new = spec.model_copy(update={"parameters": {**spec.parameters, **parameters}})
    new._digest = f"{spec.digest} {sorted(values.items())}"
    return new


def _times(until: float) -> np.ndarray:
    pieces, start = [], 0.0
    for stop, step in PIECES:
        pieces.append(np.arange(start, min(stop, until), step))
        start = stop
    return np.unique(np.round(np.append(np.concatenate([p for p in pieces if len(p)]), until), 9))


def measured(spec: ModelSpec, target: dict[str, Any]) -> float:
    """A target's measure on the typical curve, in the target's unit."""
    times = _times(float(target.get("until", UNTIL_H)))
    of = target.get("output", OUTPUT)
    outputs = [OUTPUT, METABOLITE] if target["measure"] == "AUC ratio" else [of]
    found = kt.simulate(
        spec, target["dose"], kt.Patient(weight=target["weight"]), times=times, outputs=outputs, threads=1
    )
    c = found[OUTPUT if target["measure"] == "AUC ratio" else of][0]
    match target["measure"]:
        case "Tmax":
            k = int(c.argmax())
            a, b, d = c[k - 1 : k + 2]  # the top of a parabola through three points
            step = times[k + 1] - times[k]
            return float(
                units.convert(times[k] + 0.5 * step * (a - d) / (a - 2 * b + d), "h", target["unit"])
            )
        case "Cmax":
            return float(units.convert(c.max(), "ng/mL", target["unit"]))
        case "AUC ratio":
            return float(np.trapezoid(found[METABOLITE][0], times) / np.trapezoid(c, times))
        case "half-life":
            late = times >= target["from"]
            return float(-math.log(2) / np.polyfit(times[late], np.log(c[late]), 1)[0])
    site, rate = np.zeros_like(c), math.log(2) / (target["delay"] / 3600)
    for k in range(1, len(c)):
        kept = math.exp(-rate * (times[k] - times[k - 1]))
        site[k] = kept * site[k - 1] + (1 - kept) * (c[k] + c[k - 1]) / 2
    above = np.flatnonzero(site >= target["level"])
    if not len(above):
        return 1e-3
    first, last = above[0], above[-1]
    cross = [
        np.interp(target["level"], site[first - 1 : first + 1], times[first - 1 : first + 1]),
        np.interp(-target["level"], -site[last : last + 2], times[last : last + 2]),
    ]
    minutes = float(cross[0] if target["measure"] == "onset" else cross[1] - cross[0]) * 60
    return float(units.convert(minutes, "min", target["unit"]))


def standard_error(target: dict[str, Any]) -> float | None:
    """Relative standard error of a target's value."""
    if "sd" in target:
        return target["sd"] / target["value"] / math.sqrt(target["n"])
    if "gsd" in target:
        return math.log(target["gsd"]) / math.sqrt(target["n"])
    if "low" in target:
        return (target["high"] - target["low"]) / 4 / target["value"] / math.sqrt(target["n"])
    return None


def solve(name: str, solved: list[str], targets: list[dict[str, Any]]) -> dict[str, float]:
    """The parameters with which the typical curve has its targets, in the units of the file."""
    spec = library.load(name)
    start = np.log([spec.parameters[p].value for p in solved])

    def gaps(x: np.ndarray) -> list[float]:
        new = with_values(spec, dict(zip(solved, map(float, np.exp(x)), strict=True)))
        return [math.log(measured(new, t) / t["value"]) for t in targets]

    found = least_squares(gaps, start, diff_step=1e-3, xtol=1e-7)
    if len(solved) == len(targets) and np.abs(found.fun).max() > 0.02:
        raise ValueError(f"{name}: no solution, log ratios {found.fun}")
    return dict(zip(solved, map(float, np.exp(found.x)), strict=True))


@dataclass(frozen=True)
class Derived:
    """What the procedure gives: values for the model file and the standard error of the first."""

    values: dict[str, float]
    se: float | None


def derive(name: str, inputs: dict[str, Any], errors: bool = True) -> Derived:
    """Solve one model's absorption."""
    targets = inputs["target"]
    values = solve(name, inputs["solve"], targets)
    error = standard_error(targets[0])
    if error is None or not errors:
        return Derived(values, None)
    # rates are not symmetric in a time: half the distance between the two, on the log scale
    first = inputs["solve"][0]
    early, late = (
        solve(name, inputs["solve"], [{**targets[0], "value": targets[0]["value"] * math.exp(s * error)}, *targets[1:]])
        for s in (-1, 1)
    )  # fmt: skip
    return Derived(values, values[first] * abs(math.log(early[first] / late[first])) / 2)


def all_inputs() -> dict[str, dict[str, Any]]:
    """The inputs of every derived model, by its id."""
    return tomllib.loads(INPUTS.read_text(encoding="utf-8"))


def main() -> None:
    """Print one paragraph per derived model."""
    for name, inputs in all_inputs().items():
        found, kept = derive(name, inputs), library.load(name).parameters
        print(f"{name}:")
        for parameter, value in found.values.items():
            se = f" (se {found.se:.3g})" if found.se and parameter == inputs["solve"][0] else ""
            have = kept[parameter]
            print(
                f"  {parameter} solved {value:.4g}{se}; in the file {have.value:g} {have.unit} (se {have.se})"
            )


if __name__ == "__main__":
    main()
