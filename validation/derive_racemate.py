"""The racemate with its metabolites: what the two `derived_racemate_*` models were solved from.

No published model gives norketamine, dehydronorketamine and hydroxynorketamine after the racemate. Here:

- *S-ketamine and S-norketamine* stand as published: Noppers 2011 in arteries, Otto 2021 in veins, S-norketamine of
  Otto 2021 in both.
- *R-ketamine in veins* has the volumes of S-ketamine but for the slow one, which is solved with its flow so that
  half-life, volume at steady state and clearance are those printed in Hasan 2021.
- *R-norketamine, dehydronorketamine, hydroxynorketamine* are fitted by least squares on the log scale to the mean
  curves of the racemic arm of Kamp 2020 (digitised; 15 min to 5 h): R-norketamine has the volumes and clearances of
  S-norketamine times one factor. Of what is made from norketamine only the ratio of the share to the volume can be
  known, so a tenth of cleared S-norketamine is taken to become dehydronorketamine and the rest hydroxynorketamine.

Judged on what was not used: the esketamine arm of Kamp 2020 and the ratios of areas of Hasan. Prints values beside
those in the model files, then the test::

    python validation/derive_racemate.py
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.optimize import brentq, least_squares

from kinetamine.evidence import observations
from kinetamine.models import library

#: h, from when a digitised curve of a metabolite is more than the width of its line
FROM_H = 0.25
#: weight of a curve of dehydronorketamine or hydroxynorketamine beside one of norketamine
LATER = 0.7
MASS = {"K": 237.73, "N": 223.70, "D": 221.68, "H": 239.70}
STEPS_MG_KG_H = (0.14, 0.28, 0.57)
#: printed in Hasan 2021: L/h, L/kg times 70 kg, h
HASAN_R = {"CL": 1.53 * 60, "Vss": 5.6 * 70, "half_life": 6.1}


def _value(model: str, name: str) -> float:
    return library.load(model).parameters[name].value


def late_phase() -> dict[str, float]:
    """Slow volume (L) and flow (L/h) of R-ketamine in veins."""
    v1, v3, q3 = (_value("otto_2021_s_ketamine", n) for n in ("V1", "Vp2", "Q2"))
    v2, cl = HASAN_R["Vss"] - v1 - v3, HASAN_R["CL"]

    def half_life(q2: float) -> float:
        m = np.array(
            [[-(cl + q2 + q3) / v1, q2 / v2, q3 / v3], [q2 / v1, -q2 / v2, 0], [q3 / v1, 0, -q3 / v3]]
        )
        return math.log(2) / float(min(-np.linalg.eigvals(m).real))

    return {"V2_R": v2, "Q2_R": brentq(lambda q: half_life(q) - HASAN_R["half_life"], 5, 200)}


def observed(arm: str, analyte: str) -> tuple[np.ndarray, np.ndarray]:
    """Times (h) and concentrations (umol/L) of a curve of Kamp 2020."""
    points = [
        p for p in observations.load().points
        if p.arm == arm and p.analyte == analyte and p.time_h is not None and p.time_h >= FROM_H
    ]  # fmt: skip
    mass = MASS["D" if "dehydro" in analyte else "H" if "hydroxy" in analyte else "N"]
    return np.array([p.time_h for p in points]), np.array([p.concentration / mass for p in points])


def curves(form: str, p: dict[str, float], times: np.ndarray) -> dict[str, np.ndarray]:
    """Norketamine, dehydronorketamine and hydroxynorketamine of one enantiomer, umol/L, 70 kg."""
    v1, v2, v3, q2, q3 = (_value("noppers_2011_s_ketamine", n) for n in ("V1", "V2", "V3", "Q2", "Q3"))
    cl = _value("noppers_2011_s_ketamine" if form == "S" else "derived_r_ketamine_noppers_distribution", "CL")
    ratio = 1.0 if form == "S" else p["ratio_NK_R"]
    vn, cln, vnp, qn = (ratio * _value("otto_2021_s_ketamine", n) for n in ("V_NK", "CL_NK", "Vp_NK", "Q_NK"))
    share = 0.1 if form == "S" else p["f_D_R"]
    m = np.zeros((8, 8))  # ketamine (3), norketamine (2), dehydro-, hydroxynorketamine, input
    for a, b, rate in (
        (0, 1, q2 / v1), (1, 0, q2 / v2), (0, 2, q3 / v1), (2, 0, q3 / v3), (0, 3, cl / v1),
        (3, 4, qn / vn), (4, 3, qn / vnp), (3, 5, share * cln / vn), (3, 6, (1 - share) * cln / vn),
    ):  # fmt: skip
        m[a, a] -= rate
        m[b, a] += rate
    m[5, 5], m[6, 6] = -p["k_D"], -p["k_H"]
    grid = np.unique(np.concatenate([times, [0.0, 1.0, 2.0, 3.0]]))
    x, found = np.append(np.zeros(7), 1.0), {0.0: np.zeros(8)}
    for start, stop in itertools.pairwise(grid):
        step = int(start)
        m[0, 7] = STEPS_MG_KG_H[step] * 70 / MASS["K"] * 1000 if step < 3 else 0.0
        x = expm(m * (stop - start)) @ x
        found[stop] = x
    states = np.array([found[t] for t in times])
    return {"N": states[:, 3] / vn, "D": states[:, 5] / p["V_D"], "H": states[:, 6] / p["V_H"]}


FITTED = {"ratio_NK_R": 0.9, "f_D_R": 0.2, "V_D": 27.0, "k_D": 2.5, "V_H": 140.0, "k_H": 2.0}


def misfit(p: dict[str, float]) -> np.ndarray:
    """Log ratios over all curves of the racemic arm that are fitted."""
    out = []
    for form in "SR":
        for key, analyte, weight in (("N", "norketamine", 1.0), ("D", "dehydronorketamine", LATER)):
            if (form, key) != ("S", "N"):
                times, seen = observed("kamp_2020_racemate", f"{form}-{analyte}")
                out.append(weight * np.log(curves(form, p, times)[key] / seen))
    times, seen = observed("kamp_2020_racemate", "hydroxynorketamine")
    out.append(LATER * np.log((curves("S", p, times)["H"] + curves("R", p, times)["H"]) / seen))
    return np.concatenate(out)


def metabolites() -> dict[str, float]:
    """What is fitted to the racemic arm of Kamp 2020."""
    names = list(FITTED)
    best = least_squares(
        lambda x: misfit(dict(zip(names, np.exp(x), strict=True))), np.log(list(FITTED.values()))
    )
    return dict(zip(names, map(float, np.exp(best.x)), strict=True))


def tests(p: dict[str, float]) -> list[tuple[str, float]]:
    """Geometric mean of predicted / observed of curves that nothing was fitted to."""
    found: list[tuple[str, Any]] = []
    for arm, analyte, key in (
        ("kamp_2020_racemate", "S-norketamine", "N"),
        ("kamp_2020_esketamine", "S-norketamine", "N"),
        ("kamp_2020_esketamine", "S-dehydronorketamine", "D"),
    ):
        times, seen = observed(arm, analyte)
        found.append((f"{arm} {analyte}", float(np.exp(np.log(curves("S", p, times)[key] / seen).mean()))))
    return found


def main() -> None:
    """Print values beside those of the files, then the tests."""
    fitted = metabolites()
    for name, value in {**late_phase(), **fitted}.items():
        model = "derived_racemate_venous" if name.endswith("2_R") else "derived_racemate_arterial"
        print(f"{name} {value:.4g}; in {model} {_value(model, name):g}")
    for words, ratio in tests(fitted):
        print(f"{words}: predicted / observed {ratio:.2f}")


if __name__ == "__main__":
    main()
