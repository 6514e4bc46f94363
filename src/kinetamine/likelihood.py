"""How probable a measured value is where the model says another: density, derivative and information.

Every function works on arrays of any shape and lets predictions broadcast against observations, so that lanes of
one person, or records of many, are scored at once.

The density is that of the value itself (of a log-normal error too), so models with different errors can be
compared by their evidence. References: Beal 2001 (doi 10.1023/A:1012299115260) for values below a limit (M3).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.population.residual import ResidualError, error_of

__all__ = ["FLOOR", "Scored", "errors_of", "score", "stated"]

_LOG_2PI = math.log(2.0 * math.pi)
#: below this share of the largest prediction a relative error has no meaning
FLOOR = 1e-10


@dataclass(frozen=True)
class Scored:
    """Of each value: log density, its derivative by the prediction, and the expected information."""

    log: np.ndarray
    slope: np.ndarray
    information: np.ndarray


_SHARE = re.compile(r"^\s*([0-9.]+(?:[eE][-+]?\d+)?)\s*%\s*(log(?:-?normal)?)?\s*$")


def stated(text: str | float, unit: str, where: str = "residual") -> ResidualError:
    """A residual error in the user's words, graded *assumed*.

    Parameters
    ----------
    text : str
        ``"20 %"``, ``"2 ng/mL"``, ``"20 % + 1 ng/mL"``, ``"20 % lognormal"``.
    unit : str
        Unit of the output.

    Raises
    ------
    InputError
        If it is none of these, or not positive.

    Examples
    --------
    >>> stated("20 % + 1 ng/mL", "ng/mL")
    ResidualError(kind='combined', proportional=0.2, additive=1.0)
    """
    expected = f"such as '20 %', '2 {unit}', '20 % + 1 {unit}' or '20 % lognormal'"
    said = str(text).strip()
    share = absolute = 0.0
    log = False
    for part in said.split("+"):
        found = _SHARE.match(part)
        if found:
            share = float(found[1]) / 100
            log = bool(found[2])
            continue
        try:
            absolute = units.read(part, unit, where)
        except InputError as error:
            raise InputError(where, repr(said), expected, "20 %") from error
        if re.fullmatch(r"\s*[-+0-9.eE]+\s*", part):  # a bare number could be either
            raise InputError(where, repr(said), expected, f"{part.strip()} {unit}")
    if not (share > 0 or absolute > 0) or (log and absolute) or not math.isfinite(share + absolute):
        raise InputError(where, repr(said), expected + ", above 0", "20 %")
    if log:
        return ResidualError("lognormal", share, 0.0)
    if share and absolute:
        return ResidualError("combined", share, absolute)
    if share:
        return ResidualError("proportional", share, 0.0)
    return ResidualError("additive", 0.0, absolute)


def score(error: ResidualError, f: Any, low: Any, high: Any) -> Scored:
    """Log density of observations under predictions.

    Parameters
    ----------
    error : ResidualError
    f : array (…, value)
        Predictions, in the output's unit.
    low, high : array (value,)
        Equal: a measured value. Otherwise the value is known to lie between: ``low = -inf`` (or 0) below a
        limit, ``high = inf`` above one.

    Returns
    -------
    Scored
        Arrays of the shape of `f`.

    Examples
    --------
    >>> seen = np.array([2.0])
    >>> score(ResidualError("additive", 0.0, 1.0), seen, seen, seen).log.round(4).tolist()
    [-0.9189]
    """
    f = np.asarray(f, float)
    low, high = np.broadcast_to(low, f.shape), np.broadcast_to(high, f.shape)
    exact = low == high
    some = exact.all()
    values = _exact(error, f, np.where(exact, low, f))
    if some:
        return values
    between = _between(error, f, low, high)
    return Scored(
        *(
            np.where(exact, a, b)
            for a, b in (
                (values.log, between.log),
                (values.slope, between.slope),
                (values.information, between.information),
            )
        )
    )


def _slope(error: ResidualError, f: np.ndarray) -> np.ndarray:
    """Derivative of the variance by the prediction."""
    if error.kind in ("proportional", "combined"):
        return 2.0 * error.proportional**2 * f
    return np.zeros_like(f)


def _exact(error: ResidualError, f: np.ndarray, y: np.ndarray) -> Scored:
    if error.kind == "lognormal":
        sd = error.proportional
        with np.errstate(divide="ignore", invalid="ignore"):
            log_y = np.log(y)
            r = log_y - np.log(f)
            log = -0.5 * (r / sd) ** 2 - math.log(sd) - 0.5 * _LOG_2PI - log_y
        return Scored(np.where(y > 0, log, -np.inf), r / sd**2 / f, 1.0 / (sd * f) ** 2)
    variance = error.sd(f) ** 2
    slope = _slope(error, f)
    r = y - f
    log = -0.5 * (r * r / variance + np.log(variance) + _LOG_2PI)
    gradient = r / variance + 0.5 * slope / variance * (r * r / variance - 1.0)
    return Scored(log, gradient, 1.0 / variance + 0.5 * (slope / variance) ** 2)


def _between(error: ResidualError, f: np.ndarray, low: np.ndarray, high: np.ndarray) -> Scored:
    from scipy.special import log_ndtr

    log_scale = error.kind == "lognormal"
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.log(np.maximum(low, 0.0)) if log_scale else low
        b = np.log(np.maximum(high, 0.0)) if log_scale else high
        middle = np.log(f) if log_scale else f
        sd = error.sd(f)
        za, zb = (a - middle) / sd, (b - middle) / sd
        # the tail that is small is taken, so that both ends far out keep their digits
        flip = za > 0
        lower, upper = np.where(flip, -zb, za), np.where(flip, -za, zb)
        log_upper, log_lower = log_ndtr(upper), log_ndtr(lower)
        log = log_upper + np.log1p(-np.exp(np.minimum(log_lower - log_upper, 0.0)))
        log = np.maximum(log, -1e6)
        # d sd / d f and d middle / d f
        dm = 1.0 / f if log_scale else np.ones_like(f)
        ds = np.zeros_like(f) if log_scale else 0.5 * _slope(error, f) / sd

        def edge(z: np.ndarray) -> np.ndarray:
            density = np.exp(np.clip(-0.5 * z * z - 0.5 * _LOG_2PI - log, -700.0, 50.0))
            return np.where(np.isfinite(z), density * -(dm + np.where(np.isfinite(z), z, 0.0) * ds) / sd, 0.0)

        slope = edge(zb) - edge(za)
    return Scored(log, slope, slope * slope)


def errors_of(spec: Any, outputs: Any, residual: Mapping[str, str] | None = None) -> dict[str, ResidualError]:
    """Residual errors of the outputs that were observed: stated ones before published ones.

    Raises
    ------
    InputError
        Naming every output that has none, or every stated one that the model does not have.
    """
    residual = dict(residual or {})
    for name in residual:
        if name not in spec.outputs:
            raise UnknownName("residual", name, spec.outputs, "an output of the model")
    found = {
        name: stated(residual[name], spec.outputs[name].unit, f"residual {name}")
        if name in residual
        else (error_of(spec, name) if name in spec.residual else None)
        for name in outputs
    }
    without = [name for name, error in found.items() if error is None]
    if without:
        raise NoData(
            f"model {spec.id}",
            f"no published residual error of {', '.join(without)}",
            "how far a measurement may lie from the model",
            f'stating one: residual={{"{without[0]}": "20 %"}} or --residual "{without[0]}=20 %" (graded assumed)',
        )
    return {name: error for name, error in found.items() if error is not None}
