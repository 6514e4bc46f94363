"""Curves over time before and after the data: what prior and posterior say of what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.inference.learned import INTERVAL, Learned, prior_z, resample
from kinetamine.inference.mixture import Mixture
from kinetamine.population.individuals import Individuals

if TYPE_CHECKING:
    from kinetamine.inference.person import Posterior

__all__ = ["Band", "bands"]

#: the axis goes on so far beyond the last value
BEYOND = 1.15


@dataclass(frozen=True)
class Band:
    """One output over time: quantiles of 5, 50 and 95 %, array (3, time), before the data and with them.

    Parameters
    ----------
    name, unit, site, grade : str
        The grade is of people, doses and times; how far the values can be read is `Posterior.grade`.
    time_h : array (time,), h
    prior, posterior : array (3, time)
    doses : tuple
        Doses that were given, for a strip above; empty for a person of a table.
    curve : bool
        Whether the times are those of a curve; else those of the values alone.
    """

    name: str
    unit: str
    site: str
    grade: str
    time_h: np.ndarray
    prior: np.ndarray
    posterior: np.ndarray
    doses: tuple[Any, ...] = ()
    curve: bool = True


def bands(post: Posterior, n: int = 400, until_h: float | None = None) -> list[Band]:
    """The outputs that were measured, of the mixture where there are several models.

    Parameters
    ----------
    post : Posterior
    n : int
        Draws of each.
    until_h : float, h, optional
        Default: a little beyond the last value.

    Returns
    -------
    list of Band
        Of a person of an event table only at the times of his values.

    Examples
    --------
    >>> import kinetamine as kt
    >>> post = kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", ["S-ketamine 46 ng/mL at 40 min"])
    >>> band = bands(post)[0]
    >>> band.name, band.prior.shape == band.posterior.shape
    ('S-ketamine', True)
    """
    from kinetamine.dosing import Regimen

    best = post.one()
    if not isinstance(best.doses, Regimen):
        return _at_values(post)
    last = max(item.time_h for item in post.observations)
    end = BEYOND * last if until_h is None else until_h
    order = [best, *(one for one in post.learned if one is not best)]
    before = {one.spec.id: _curves(one, prior_z(one, post.seed, n), post, n, end) for one in order}
    after = {one.spec.id: _curves(one, resample(one.draws, n, post.seed), post, n, end) for one in order}
    weights = {one.spec.id: post.prior_weights.get(one.spec.id, 1.0) for one in order}
    total = sum(weights.values())
    first = after[best.spec.id]
    old = Mixture(before, {model: weight / total for model, weight in weights.items()})
    new = Mixture(after, post.weights)
    found = []
    for name in dict.fromkeys(best.matched.output):
        if name not in new.analytes():  # another model has it under another site: each is shown by itself
            continue
        output = first.outputs[name]
        found.append(
            Band(
                name, output.unit, output.site, output.grade, first.time_h,
                np.array(list(old.quantiles(name, INTERVAL).values())),
                np.array(list(new.quantiles(name, INTERVAL).values())),
                tuple(first.doses or ()),
            )
        )  # fmt: skip
    return found


def _curves(one: Learned, z: np.ndarray, post: Posterior, n: int, end: float) -> Any:
    from kinetamine.simulate import simulate

    people = Individuals({one.spec.id: one.curves.layout.given(z)}, post.patient, n, post.seed)
    return simulate(one.spec, one.doses, people, until=end, threads=1)


def _at_values(post: Posterior) -> list[Band]:
    from kinetamine.simulate import simulate

    one, frame = post.one(), post.fit()
    known = simulate(one.spec, one.doses, post.patient, threads=1).outputs
    found = []
    for name in dict.fromkeys(one.matched.output):
        mine = frame.filter(frame["output"] == name).sort("time_h")
        output = one.spec.outputs[name]
        prior, posterior = (
            np.array([mine[f"{which}_{q}"].to_numpy() for q in ("low", "median", "high")])
            for which in ("prior", "posterior")
        )
        times = mine["time_h"].to_numpy()
        found.append(
            Band(name, output.unit, output.site, known[name].grade, times, prior, posterior, curve=False)
        )
    return found
