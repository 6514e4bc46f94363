"""One patient who was seen so far, followed on: what his own scores and simulated later ones make of him.

The judge is the kernel's (`_judge`, `_hazards`); only where the scores come from differs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

from kinetamine.course import kernel
from kinetamine.course.kernel import Limits, Relapse, parameters

__all__ = ["FOLLOWED", "Followed", "follow"]

#: columns of what is found of each draw
FOLLOWED = ("response_d", "remission_d", "relapse_start_d", "relapse_d")


class Followed(NamedTuple):
    """Scores of draws of one patient, arrays (draw, visit): those until now are his own, nan where none was."""

    days: np.ndarray
    latent: np.ndarray  # logit
    scores: np.ndarray
    base: np.ndarray  # (draw,)
    ill: np.ndarray  # (draw,): cumulative hazard at which he falls ill again, from now on


@njit(cache=True, nogil=True, error_model="numpy")
def _walk(p, limits, relapse, now_d, days, latent, scores, base, ill, rows, out):
    s, m, c = np.empty(kernel._STATE), np.empty(kernel._MEMORY), np.empty(kernel._CHOICE)
    done = np.zeros(0, np.bool_)
    for i in rows:
        kernel._begin(s, m, c, done)
        person = kernel._Person(base[i], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, math.inf, ill[i])
        for v in range(days.shape[0]):
            now, score = days[v], scores[i, v]
            if math.isnan(score):  # he was not seen
                continue
            if now > now_d:
                kernel._hazards(p, s, m, person, latent[i, v], now, relapse)
            else:  # nothing but his scores is known of what was
                m[kernel._HAZARD] = now
            x = math.log(score / (p.score_max - score))
            kernel._judge(p, m, limits, relapse, base[i], x, score, now)
            m[kernel._SEEN] = now
        out[i, 0], out[i, 1] = m[kernel._RESPONSE], m[kernel._REMISSION]
        out[i, 2], out[i, 3] = m[kernel._START], m[kernel._RELAPSE]


def follow(
    draws: Sequence[Mapping[str, float]],
    which: np.ndarray,
    seen: Followed,
    relapse: Relapse,
    now_d: float,
    response: float,
    remission: float,
) -> np.ndarray:
    """Days of response, remission, start of the clock of relapse, and relapse; nan where there was none.

    Parameters
    ----------
    draws : sequence of mappings
        Sets of parameters.
    which : array (draw,) of int
        The set of each draw.
    seen : Followed
    relapse : Relapse
    now_d : float, d
        The last visit of the patient's own; the hazard of falling ill counts from here.
    response, remission : float

    Returns
    -------
    array (draw, 4)
        Columns as in `FOLLOWED`.
    """
    n = len(seen.base)
    out = np.full((n, len(FOLLOWED)), math.nan)
    limits = Limits(response, remission, math.inf, float(seen.days[-1]), 0, math.inf, 0.0, -1, 0)
    for k in np.unique(which):
        # a rule is read as it stands: how a trial read it is no matter of one patient
        p = parameters(draws[k])._replace(dropout_hazard=0.0, trial_relapse_score=0.0)
        rows = np.flatnonzero(which == k)
        _walk(
            p, limits, relapse, float(now_d), seen.days, seen.latent, seen.scores, seen.base, seen.ill, rows, out
        )  # fmt: skip
    return out
