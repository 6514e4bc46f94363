"""Scores of one patient: how often the next ones lie inside the forecast, and how wide it is.

Run as ``python validation/inference/scores.py [PATIENTS]`` (default 200). Patients are the course model's own: of
draws of its posterior, each in a trial of its own, with wander and rater; their scores are rounded as a rater does.
"""

from __future__ import annotations

import sys

import numpy as np

import kinetamine as kt
from kinetamine.course.plan import Plan

SERIES = "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"
DAYS = np.arange(0.0, 85.0, 7.0)


def main() -> None:
    people = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    plan = Plan(SERIES, 12, visits=DAYS)
    # another key than the posterior's, so that nobody is his own prior draw
    scores = plan.run(plan.draws(400, 77), people, 77, keep_scores=True)["scores"]
    print(
        "| scores seen | patients | ahead | in 50 % | in 90 % | width of 90 %, points | effective draws | flagged |"
    )
    print("|---|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(5)
    for seen in (1, 3, 5, 9):
        found: dict[float, list[tuple[float, float]]] = {7.0: [], 28.0: []}
        effective, flagged = [], 0
        for row in scores:
            told = [
                f"MADRS {np.floor(s + 0.5):.0f} on day {d:g}" for s, d in zip(row[:seen], DAYS, strict=False)
            ]
            if np.floor(row[0] + 0.5) < 1:
                continue
            post = kt.posterior("hierarchical", SERIES, told)
            effective.append(post.best.effective)
            flagged += post.grade == "uncertain"
            now = DAYS[seen - 1]
            days, joined, weights = post._pooled(None, now + 28.0)
            for ahead, ranks in found.items():
                at = int(np.flatnonzero(days == now + ahead)[0])
                drawn, truth = (
                    np.floor(joined["scores"][:, at] + 0.5),
                    np.floor(row[seen - 1 + int(ahead / 7)] + 0.5),
                )
                below, same = weights[drawn < truth].sum(), weights[drawn == truth].sum()
                # a whole number has a stretch of ranks; a place in it at random makes them uniform
                rank = below + rng.random() * same
                width = float(np.ptp(np.quantile(drawn, [0.05, 0.95])))
                ranks.append((float(rank), width))
        for ahead, ranks in found.items():
            rank, width = np.array(ranks).T
            half, most = np.mean((rank > 0.25) & (rank < 0.75)), np.mean((rank > 0.05) & (rank < 0.95))
            print(
                f"| {seen} | {len(rank)} | {ahead:g} d | {100 * half:.1f} | {100 * most:.1f} | {np.median(width):.0f} "
                f"| {np.median(effective):.0f} ({np.quantile(effective, 0.05):.0f}) | {flagged} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
