"""Where the absorption of the derived models comes from.

A study that prints only the bioavailability and the time of the peak is joined to a published disposition. The
one unknown is solved so that the typical curve peaks at that time: the first-order rate ka, or the length of a
zero-order input (a tablet that releases evenly peaks when it is empty). Uncertainty of the time is carried over
by solving again one standard error earlier and later. Where a study's own bioavailability and peak cannot both be
met, ``fit`` scales the bioavailability to the peak and docs/routes.md shows both.

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
from scipy.linalg import expm
from scipy.optimize import brentq, minimize_scalar

from kinetamine import units
from kinetamine.dosing import Regimen
from kinetamine.models import library
from kinetamine.models.compile import compile_model
from kinetamine.population import Patient

INPUTS = Path(__file__).with_name("absorption.toml")
#: where rates (1/h) and times of a peak (h) are looked for
RATES, TIMES = (0.05, 120.0), (1e-3, 24.0)


class Absorbed:
    """The curve of one model after its dose, with any rate of absorption."""

    def __init__(self, name: str, phrase: str, weight: float) -> None:
        spec = library.load(name)
        self.model, self.patient = compile_model(spec), Patient(weight=weight)
        (dose,) = Regimen.parse(phrase, entries=spec.routes).doses
        (part,) = self.model.entries[dose.entry]
        self.amount = dose.amount * (weight if dose.per_kg else 1.0)
        self.depot, self.fraction = part.state, f"F_{dose.entry.replace(' ', '_')}"
        self.given = {**self.patient.parameters(spec, 0, 1), **self.patient.covariates(spec, 0, 1)}
        (self.output,) = spec.outputs

    def system(self, ka: float) -> tuple[np.ndarray, np.ndarray]:
        """Matrix of the amounts and weights of the concentration (ng/mL)."""
        env = self.model.environment({**self.given, "ka": ka})
        matrix = np.zeros((len(self.model.states),) * 2)
        for place, value in zip(self.model.places, self.model.coefficients(env, (1,))[:, 0], strict=True):
            matrix[place] = value
        weights = np.zeros(len(matrix))
        for (state, _), value in zip(
            self.model.sums[self.output], self.model.weights(env, (self.output,), (1,)), strict=True
        ):
            weights[state] = value[0]
        return matrix, weights

    def peak(self, ka: float) -> tuple[float, float]:
        """Time (h) and height (ng/mL) of the peak with rate ka (1/h)."""
        matrix, weights = self.system(ka)
        start = np.zeros(len(matrix))
        start[self.depot] = self.amount * float(self.given[self.fraction])
        level = lambda log_t: -float(weights @ expm(matrix * math.exp(log_t)) @ start)  # noqa: E731
        best = minimize_scalar(level, bounds=np.log(TIMES), method="bounded", options={"xatol": 1e-7})
        return math.exp(best.x), -best.fun

    def solve(self, peak_h: float) -> float:
        """The rate (1/h) whose curve peaks at `peak_h`; a faster one always peaks earlier."""
        gap = lambda log_ka: self.peak(math.exp(log_ka))[0] - peak_h  # noqa: E731
        return math.exp(brentq(gap, *np.log(RATES), xtol=1e-7))


@dataclass(frozen=True)
class Derived:
    """What the procedure gives: the value for the model file and its standard error."""

    parameter: str
    value: float
    se: float | None
    peak_ng_ml: float | None
    fitted: tuple[str, float] | None


def standard_error(inputs: dict[str, Any]) -> float | None:
    """Relative standard error of the time of the peak."""
    if "sd" in inputs:
        return inputs["sd"] / inputs["peak"] / math.sqrt(inputs["n"])
    if "gsd" in inputs:
        return math.log(inputs["gsd"]) / math.sqrt(inputs["n"])
    if "low" in inputs:
        return (inputs["high"] - inputs["low"]) / 4 / inputs["peak"] / math.sqrt(inputs["n"])
    return None


def derive(name: str, inputs: dict[str, Any]) -> Derived:
    """Solve one model's absorption."""
    hours = units.convert(inputs["peak"], inputs["unit"], "h")
    error = standard_error(inputs)
    if inputs["input"] == "zero order":
        return Derived("D", hours, hours * error if error else None, None, None)
    curve = Absorbed(name, inputs["dose"], inputs["weight"])
    ka = curve.solve(hours)
    se = None
    if (
        error is not None
    ):  # ka is not symmetric in the time: half the distance between the two, on the log scale
        early, late = (curve.solve(hours * math.exp(sign * error)) for sign in (-1, 1))
        se = ka * math.log(early / late) / 2
    height, fitted = curve.peak(ka)[1], None
    if "fit" in inputs:
        scaled = float(curve.given[inputs["fit"]]) * inputs["peak_level"] / height
        fitted, height = (inputs["fit"], scaled), inputs["peak_level"]
    return Derived("ka", ka, se, height, fitted)


def all_inputs() -> dict[str, dict[str, Any]]:
    """The inputs of every derived model, by its id."""
    return tomllib.loads(INPUTS.read_text(encoding="utf-8"))


def main() -> None:
    """Print one paragraph per derived model."""
    for name, inputs in all_inputs().items():
        found, kept = derive(name, inputs), library.load(name).parameters
        have = kept[found.parameter]
        print(
            f"{name}: {inputs['dose']} at {inputs['weight']:g} kg, peak at {inputs['peak']:g} {inputs['unit']}\n"
            f"  {found.parameter} solved {found.value:.4g} (se {found.se or math.nan:.3g}); "
            f"in the file {have.value:g} {have.unit} (se {have.se or math.nan:g})"
        )
        if found.peak_ng_ml is not None:
            print(f"  typical peak {found.peak_ng_ml:.1f} ng/mL")
        if found.fitted is not None:
            print(
                f"  {found.fitted[0]} for that peak {found.fitted[1]:.3g}; in the file {kept[found.fitted[0]].value:g}"
            )


if __name__ == "__main__":
    main()
