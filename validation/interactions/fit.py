"""Fit the factors of every perturbation to the ratios observed in people, and write factors.toml.

    python validation/interactions/fit.py            # shows
    python validation/interactions/fit.py --write    # writes src/kinetamine/data/safety/factors.toml

Least squares on logarithms; each perturbation by itself, all its rows of use "fit" at once, whatever their route. A row
with published limits takes them as 95 % limits, any other is taken as known to `assumed_fold` (95 %). Intervals
of the factors are profiles (all other handles at their best) and end at the bounds.
"""

import math
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import norm

from kinetamine.safety import interactions, perturbations

Z = norm.ppf(0.975)  # standard deviations on each side of a 95 % interval
TARGET = Path(__file__).parents[2] / "src/kinetamine/data/safety/factors.toml"
HEAD = """# Factors on handles, fitted to the rows of use "fit" in ddi_observed.csv by validation/interactions/fit.py.
# low and high: 95 % interval, given that a ratio without limits of its own is known to 1.25-fold; seen derived: ours.
format = 1
"""


def fitted(known, id):
    """Handle → (value, low, high) of one perturbation, and its rows."""
    one, settings = known.perturbations[id], known.fit
    rows = [row for row in known.rows(id) if row.use == "fit"]
    low, high = np.log(settings.bounds)

    def misfit(logs):
        factors = dict(zip(one.fit, np.exp(logs), strict=True))
        return [
            math.log(interactions.ratio(row, factors) / row.ratio) / interactions.log_error(row)
            for row in rows
        ]

    def best(fixed, value):
        """Cost and logarithms when one handle is held at a value (none: fixed = -1)."""
        free = [i for i in range(len(one.fit)) if i != fixed]
        logs = np.full(len(one.fit), value)
        if free:
            start = found.x[free] if fixed >= 0 else np.full(len(free), 0.05)
            inner = np.clip(start, low + 1e-6, high - 1e-6)
            result = least_squares(
                lambda x: misfit(np.put(logs, free, x) or logs), inner, bounds=(low, high), diff_step=1e-3
            )
            if fixed < 0:
                return result
            logs[free] = result.x
        return sum(m * m for m in misfit(logs))

    found = best(-1, 0.0)
    worst = 2 * found.cost + Z * Z

    def limit(handle, end):
        """Where the misfit, all other handles at their best, has risen by as much as chance allows."""
        inside, outside = found.x[handle], end
        if best(handle, outside) <= worst:
            return outside
        while abs(outside - inside) > 0.01:
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if best(handle, middle) <= worst else (inside, middle)
        return inside

    rounded = {}
    for i, handle in enumerate(one.fit):
        limits = (found.x[i], limit(i, low), limit(i, high))
        rounded[handle] = tuple(float(f"{math.exp(v):.4g}") for v in limits)
    return rounded, rows


def main():
    known = perturbations.mechanism()
    lines = [HEAD]
    for id, one in known.perturbations.items():
        if one.status != "fitted":
            continue
        factors, rows = fitted(known, id)
        n = sum({(row.source, row.n): row.n or 0 for row in rows}.values())
        sources = ", ".join(f'"{key}"' for key in dict.fromkeys(row.source for row in rows))
        lines.append(f"[{id}]")
        for handle, (value, low, high) in factors.items():
            people = f"n = {n}, " if n else ""
            lines.append(
                f"{handle} = {{ value = {value:g}, low = {low:g}, high = {high:g}, {people}"
                f'seen = "derived", sources = [{sources}] }}'
            )
        lines.append("")
        for row in rows:
            got = interactions.ratio(row, {h: v[0] for h, v in factors.items()})
            print(f"{id:28} {row.measure:9} {row.route:6} {row.ratio:6.2f} {got:6.2f}  {factors}")
    text = "\n".join(lines)
    if "--write" in sys.argv:
        TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
