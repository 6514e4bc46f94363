"""How data/population/height_weight_correlation.toml was made from NHANES public-use files.

Takes a folder with DEMO_B.XPT … DEMO_H.XPT and BMX_B.XPT … BMX_H.XPT (National Center for Health Statistics,
survey cycles 2001-2002 to 2013-2014) and prints the table. Needs pandas.

Within sex and age band, weight and height (length below 2 years) become normal scores by their
survey-weighted ranks, after the growth reference has taken out age below 20 years; `r` is the weighted
Pearson correlation of the scores, `se` is (1 - r²) / sqrt(effective n). Weights: WTMEC2YR. Pregnant women are
left out.

    python validation/height_weight_correlation.py FOLDER
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import norm

from kinetamine.population.reference import read_data

YOUNG = [(0, 0.5), (0.5, 1), (1, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
BANDS = [*YOUNG, *((a, a + 2) for a in range(10, 20, 2)), *((a, a + 10) for a in range(20, 80, 10))]
BANDS.append((80, math.inf))


def people(folder: Path) -> pd.DataFrame:
    """One row per examined person: sex (1 male, 2 female), years, kg, cm, survey weight."""
    cycles = []
    for cycle in "BCDEFGH":
        both = pd.read_sas(folder / f"DEMO_{cycle}.XPT").merge(
            pd.read_sas(folder / f"BMX_{cycle}.XPT"), on="SEQN"
        )
        months = pd.Series(np.nan, index=both.index)
        for name in ("RIDEXAGM", "RIDAGEEX", "RIDAGEMN"):  # at examination if recorded, else at screening
            if name in both:
                months = months.fillna(both[name].astype(float))
        cycles.append(
            pd.DataFrame(
                {
                    "sex": both.RIAGENDR,
                    "age": np.where(months.notna(), (months + 0.5) / 12, both.RIDAGEYR + 0.5),
                    "kg": both.BMXWT,
                    "length": both.BMXRECUM,
                    "height": both.BMXHT,
                    "weight": both.WTMEC2YR,
                    "pregnant": both.RIDEXPRG == 1,
                }
            )
        )
    rows = pd.concat(cycles)
    return rows[~rows.pregnant & (rows.weight > 0)]


def without_age(values: np.ndarray, ages: np.ndarray, curve: dict[str, list[float]]) -> np.ndarray:
    """Scores by the growth reference."""
    power, middle, spread = (np.interp(12 * ages, curve["age"], curve[key]) for key in "LMS")
    return ((values / middle) ** power - 1) / (power * spread)


def scores(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Normal scores of weighted ranks."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weight[order])
    out = np.empty(len(values))
    out[order] = norm.ppf((below - weight[order] / 2) / below[-1])
    return out


def correlation(a: np.ndarray, b: np.ndarray, weight: np.ndarray) -> float:
    w = weight / weight.sum()
    a, b = a - w @ a, b - w @ b
    return float(w @ (a * b) / math.sqrt((w @ a**2) * (w @ b**2)))


def main(folder: Path) -> None:
    rows = people(folder)
    reference = read_data("children_cdc_2000")
    print("age_bands = [" + ", ".join(f"[{low:g}, {high:g}]" for low, high in BANDS) + "]")
    for number, sex in ((2, "female"), (1, "male")):
        count, r, se = [], [], []
        for low, high in BANDS:
            tall = "length" if high <= 2 else "height"
            band = rows[(rows.sex == number) & (rows.age >= low) & (rows.age < high)]
            band = band.dropna(subset=["kg", tall])
            kg, cm, age, w = (band[c].to_numpy(dtype=float) for c in ("kg", tall, "age", "weight"))
            if high <= 20:
                part = "infant" if high <= 2 else "child"
                kg = without_age(kg, age, reference[sex][f"weight_{part}"])
                cm = without_age(cm, age, reference[sex][f"{tall}_{part}"])
            value = correlation(scores(kg, w), scores(cm, w), w)
            count.append(len(band))
            r.append(round(value, 3))
            se.append(round((1 - value**2) / math.sqrt(w.sum() ** 2 / (w**2).sum()), 3))
        print(f"\n[{sex}]\nn = {count}\nr = {r}\nse = {se}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
