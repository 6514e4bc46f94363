"""Where the absorption rates of the three derived paediatric models come from.

A study that prints only the bioavailability and the time of the peak is joined to the two-compartment
disposition of Herd 2007. The one unknown, the first-order rate ka, is solved so that the typical curve
peaks at the printed time. Run it to see the solved rate beside the one in the model file, and the peak
that follows::

    python validation/derive_absorption.py

All numbers are read from the model files: the printed Tmax, the dose and the weight stand in their
``[[checks]]``.
"""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import numpy as np
from scipy.optimize import brentq

MODELS = Path(__file__).resolve().parent.parent / "src" / "kinetamine" / "data" / "models" / "pk"
DERIVED = (
    "derived_in_children_nielsen",
    "derived_in_children_malinovsky",
    "derived_rectal_children_malinovsky",
)


class Disposition:
    """Two compartments of one patient: central volume, the two rates of decay, the rate of return."""

    def __init__(self, parameters: dict, weight: float) -> None:
        size = weight / 70  # volumes grow with size, clearances with size to the power of 0.75
        v1, v2 = (parameters[name]["value"] * size for name in ("V1", "V2"))
        cl, q = (parameters[name]["value"] * size**0.75 for name in ("CL", "Q"))
        k10, k12, k21 = cl / v1, q / v1, q / v2
        total = k10 + k12 + k21
        root = math.sqrt(total**2 - 4 * k10 * k21)
        self.v1, self.k21 = v1, k21
        self.fast, self.slow = (total + root) / 2, (total - root) / 2

    def terms(self, ka: float) -> list[tuple[float, float]]:
        """Weight and rate of the three exponentials of the concentration after one unit of dose."""
        rates = (self.fast, self.slow, ka)
        return [
            (
                ka / self.v1 * (self.k21 - r) / math.prod(other - r for other in rates if other != r),
                r,
            )
            for r in rates
        ]

    def concentration(self, time_h: float, ka: float) -> float:
        """mg/L after 1 mg absorbed with rate ka (1/h)."""
        return sum(weight * math.exp(-rate * time_h) for weight, rate in self.terms(ka))

    def slope(self, time_h: float, ka: float) -> float:
        """Change of the concentration with time; 0 at the peak."""
        return sum(-rate * weight * math.exp(-rate * time_h) for weight, rate in self.terms(ka))

    def peak_time(self, ka: float) -> float:
        """Time of the peak, h."""
        return brentq(lambda t: self.slope(t, ka), 1e-4, 24.0, xtol=1e-10)


def solve(disposition: Disposition, peak_h: float) -> list[float]:
    """Every ka (1/h) between 0.05 and 60 whose curve peaks at `peak_h`."""
    grid = np.geomspace(0.05, 60, 4001)
    slope = [disposition.slope(peak_h, ka) for ka in grid]
    return [
        brentq(lambda ka: disposition.slope(peak_h, ka), a, b)
        for a, b, left, right in zip(grid, grid[1:], slope, slope[1:], strict=False)
        if left * right < 0
    ]


def main() -> None:
    """Print one line per derived model."""
    for name in DERIVED:
        model = tomllib.loads((MODELS / f"{name}.toml").read_text(encoding="utf-8"))
        parameters = model["parameters"]
        peak = next(check for check in model["checks"] if check["metric"] == "Tmax")
        cmax = next(c for c in model["checks"] if c["metric"] == "Cmax" and c["doses"] == peak["doses"])
        weight = peak["set"]["weight"]
        per_kg = float(re.match(r"[0-9.]+", peak["doses"])[0])
        route = peak["doses"].split()[-1]
        disposition = Disposition(parameters, weight)
        absorbed_mg = parameters[f"F_{route}"]["value"] * per_kg * weight
        roots = solve(disposition, peak["value"] / 60)
        kept = parameters["ka"]["value"]
        when = disposition.peak_time(kept)
        print(
            f"{name}: {peak['doses']} at {weight:g} kg, peak at {peak['value']:g} min\n"
            f"  ka solved {', '.join(f'{ka:.3f}' for ka in roots)} 1/h; in the file {kept:g} 1/h, "
            f"which peaks at {60 * when:.2f} min with "
            f"{1000 * absorbed_mg * disposition.concentration(when, kept):.1f} ng/mL "
            f"(printed {cmax['value']:g})"
        )


if __name__ == "__main__":
    main()
