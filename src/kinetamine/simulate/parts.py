"""Doses as a model takes them: which state gets how much, when and how fast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine import substances
from kinetamine.errors import InputError, NoData, SimulationFailed
from kinetamine.formulas.evaluate import evaluate
from kinetamine.formulas.parse import parse
from kinetamine.models.compile import Compiled, PartFormulas
from kinetamine.models.spec import ModelSpec

__all__ = ["ONE", "Given", "enter", "share_of_drug"]

MODEL_RATE, MODEL_DURATION = -1.0, -2.0


def share_of_drug(spec: ModelSpec, drug: str | None) -> float:
    """The share of a dose's mass that a model is about: a racemate is half S and half R.

    Raises
    ------
    NoData
        If the model is of the racemate and the dose is one enantiomer, or an effect needs both.

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> share_of_drug(load("otto_2021_s_ketamine"), "racemate")
    0.5
    """
    if drug is None or drug == spec.drug:
        return 1.0
    if spec.drug not in substances.DRUGS:
        return 0.0
    if drug == "racemate" and spec.pure:
        raise NoData(
            f"model {spec.id} with effects",
            "a dose of the racemate",
            f"a dose of {spec.drug}: the effect needs the other enantiomer's concentration too",
            "a model of each enantiomer, side by side",
        )
    if drug == "racemate":
        return substances.share(drug, spec.drug)
    if spec.drug == "racemate":
        raise NoData(
            f"model {spec.id}",
            f"a dose of {drug}",
            "a dose of the racemate: the model does not tell the enantiomers apart",
            f"a model of {drug}",
        )
    return 0.0


@dataclass
class Given:
    """What is known of some doses by the same route; arrays broadcast with the patient's values.

    Parameters
    ----------
    amount : array, mg
    rate : array, mg/h
        0 none, -1 and -2 the model's own rate and duration.
    duration : array, h
        0 none.
    plain : array of bool
        Addressed by compartment number: without a rate it is a bolus, whatever the entry says.
    """

    amount: np.ndarray
    rate: np.ndarray
    duration: np.ndarray
    plain: np.ndarray


#: an infusion shorter than this (4 µs) is a bolus, h
AT_ONCE_H = 1e-9

#: 1 mg at once: the amount whose fraction is an amount that is there from the start
ONE = Given(np.asarray(1.0), np.asarray(0.0), np.asarray(0.0), np.asarray(False))


def _non_negative(what: str, values: Any, where: str) -> None:
    array = np.asarray(values, dtype=float)
    bad = ~(np.isfinite(array) & (array >= 0.0))
    if bad.any():
        first = int(np.flatnonzero(bad.ravel())[0])
        raise SimulationFailed(
            f"{where}: {what} is {array.ravel()[first]:g} for patient {first % max(array.shape[-1:] or (1,))}; "
            "it must be a number of at least 0; look at the patient's values or the model's formula"
        )


def enter(
    part: PartFormulas, env: Mapping[str, Any], given: Given, shape: tuple[int, ...], where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Amount or rate, duration and lag of one part of a dose.

    Bioavailability acts on the amount: an infusion of given rate gets shorter, one of given duration slower.

    Returns
    -------
    value : array
        mg when the duration is 0, else mg/h.
    duration, lag : array, h

    Raises
    ------
    InputError
        If the model's own rate or duration is asked for and it has none.
    SimulationFailed
        If a fraction, lag, duration or rate comes out negative or not finite.
    """

    def own(formula: Any, what: str) -> np.ndarray | None:
        if formula is None:
            return None
        value = np.broadcast_to(evaluate(formula, env), shape)
        _non_negative(what, value, where)
        return value

    fraction = own(part.fraction, "fraction")
    lag = own(part.lag, "lag")
    own_rate, own_duration = own(part.rate, "rate"), own(part.duration, "duration")
    for code, have, word in ((MODEL_RATE, own_rate, "rate"), (MODEL_DURATION, own_duration, "duration")):
        if (given.rate == code).any() and have is None:
            raise InputError(
                where,
                f"RATE = {code:g}",
                f"an entry of the model with its own {word}",
                f'{word} = "…" in [entries] of the model file, or a positive RATE',
            )
    assert fraction is not None
    delivered = np.broadcast_to(fraction * given.amount, shape)
    rate = np.broadcast_to(given.rate, shape)
    length = np.broadcast_to(given.duration, shape).astype(float)
    free = np.broadcast_to((given.rate == 0.0) & (given.duration == 0.0) & ~given.plain, shape)
    speed = np.where(rate > 0.0, rate, 0.0)
    if own_rate is not None:
        speed = np.where((rate == MODEL_RATE) | (free & (own_duration is None)), own_rate, speed)
    if own_duration is not None:
        length = np.where((rate == MODEL_DURATION) | free, own_duration, length)
    with np.errstate(divide="ignore", invalid="ignore"):
        length = np.where(speed > 0.0, delivered / speed, length)
        # so short that no clock tells its ends apart: given at once
        at_once = (length > 0.0) & (length < AT_ONCE_H) & (delivered > 0.0)
        length, speed = np.where(at_once, 0.0, length), np.where(at_once, 0.0, speed)
        value = np.where(speed > 0.0, speed, np.where(length > 0.0, delivered / length, delivered))
    # an endless infusion (amount 0, at steady state) keeps its rate; an infusion of nothing is nothing
    endless = (np.broadcast_to(given.amount, shape) == 0.0) & (speed > 0.0)
    value = np.where((delivered == 0.0) & ~endless, 0.0, value)
    return value, length, np.zeros(shape) if lag is None else lag


def dose_fields(model: Compiled, amount: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a dose that entries may use: as given, else by the model's default.

    `given` may hold NaN where a table says nothing.
    """
    env: dict[str, Any] = {"amount": amount}
    for name, field in model.spec.dose_fields.items():
        default = evaluate(parse(field.default), env)
        value = given.get(name)
        if value is None:
            env[name] = default
        else:
            env[name] = np.where(np.isnan(value), default, value)
    return env
