"""One concentration curve: areas, terminal slope and what follows from them.

Everything here is in the units that came in; the parameters carry the names of Phoenix WinNonlin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from kinetamine.errors import InputError

__all__ = ["METHODS", "ROUTES", "Profile", "Rules", "area", "measures", "terminal"]

#: how a trapezoid is drawn
METHODS = ("linear-up log-down", "linear", "linear log")
ROUTES = ("auto", "extravascular", "bolus", "infusion")
#: a fit with more points wins if its adjusted R² is within this of the best (as Phoenix does)
_TIE = 1e-4
#: a value at time 0 this many times (as a logarithm) the first measured one is none
_STEEPEST = math.log(1e6)


@dataclass(frozen=True)
class Rules:
    """How curves are analysed.

    Parameters
    ----------
    route : {"auto", "extravascular", "bolus", "infusion"}
        ``auto``: infusion where a dose has a duration, else extravascular.
    method : str
        ``linear-up log-down``: logarithmic where the concentration falls; ``linear``: never; ``linear log``:
        logarithmic after the peak.
    points : int or None
        Points of the terminal slope; None chooses by the largest adjusted R².
    slope_from, slope_to : float or None
        The span of the terminal slope instead.
    partial : tuple of (float, float)
        Partial areas from one time to another.
    tau : float or None
        The dosing interval at steady state.
    blq_first, blq_between, blq_last : str or float
        What a value below the limit of quantification is before the first measurable one, between two, and
        after the last: ``"zero"``, ``"drop"``, or a number.
    """

    route: str = "auto"
    method: str = "linear-up log-down"
    points: int | None = None
    slope_from: float | None = None
    slope_to: float | None = None
    partial: tuple[tuple[float, float], ...] = ()
    tau: float | None = None
    blq_first: str | float = "zero"
    blq_between: str | float = "drop"
    blq_last: str | float = "zero"

    def __post_init__(self) -> None:
        for name, known in (("route", ROUTES), ("method", METHODS)):
            value = getattr(self, name)
            if value not in known:
                raise InputError(name, repr(value), "one of " + ", ".join(known), repr(known[0]))
        if self.points is not None and (isinstance(self.points, bool) or self.points < 2):
            raise InputError("points", repr(self.points), "a whole number of at least 2", "3")
        for name in ("blq_first", "blq_between", "blq_last"):
            value = getattr(self, name)
            if value not in ("zero", "drop") and (isinstance(value, str) or not 0 <= value < math.inf):
                raise InputError(name, repr(value), "'zero', 'drop' or a number of at least 0", "'drop'")
        for low, high in self.partial:
            if not 0 <= low < high < math.inf:
                raise InputError("partial", f"({low}, {high})", "two times, the second one later", "(0, 4)")
        if self.tau is not None and not 0 < self.tau < math.inf:
            raise InputError("tau", repr(self.tau), "a dosing interval above 0", "24")


@dataclass(frozen=True)
class Profile:
    """The curve of one person, times from the dose on.

    Parameters
    ----------
    label : tuple
        Person and groups.
    time, conc : array
        Rising times; below the limit of quantification is -1 in `conc`.
    dose : float or None
    duration : float
        Of an infusion.
    """

    label: tuple[object, ...]
    time: np.ndarray
    conc: np.ndarray
    dose: float | None = None
    duration: float = 0.0
    said: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Slope:
    """A terminal slope: log-linear through the points from `lower` to `upper`."""

    rate: float
    intercept: float
    r2: float
    r2_adjusted: float
    correlation: float
    points: int
    lower: float
    upper: float
    used: np.ndarray


def measures(profile: Profile, rules: Rules) -> dict[str, float]:
    """Every parameter of one curve that can be told; the others are absent.

    Examples
    --------
    >>> t = np.array([0.0, 1, 2, 4, 8])
    >>> found = measures(Profile(("a",), t, 10 * np.exp(-0.5 * t), dose=100.0), Rules(route="bolus"))
    >>> round(found["Lambda_z"], 6), round(found["AUCINF_obs"], 6), round(found["Vz_obs"], 6)
    (0.5, 20.0, 10.0)
    """
    if rules.route == "auto":
        rules = replace(rules, route="infusion" if profile.duration else "extravascular")
    time, conc = _quantified(profile, rules)
    out: dict[str, float] = {}
    seen = np.flatnonzero(conc > 0)
    if not len(seen):
        profile.said.append("no concentration above the limit of quantification")
        return out
    peak = int(np.argmax(conc))
    out |= {"Tmax": float(time[peak]), "Cmax": float(conc[peak])}
    if profile.dose:
        out["Cmax_D"] = out["Cmax"] / profile.dose
    time, conc, back = _from_zero(time, conc, rules, out)
    extrapolated = back > 0
    last = int(np.flatnonzero(conc > 0)[-1])
    if rules.route == "extravascular":
        first = int(np.flatnonzero(conc > 0)[0])
        out["Tlag"] = float(time[max(first - 1, 0)])
    out |= {"Tlast": float(time[last]), "Clast": float(conc[last])}
    auc, aumc = area(time[: last + 1], conc[: last + 1], rules.method)
    out["AUClast"] = auc
    out["AUCall"] = area(time[: last + 2], conc[: last + 2], rules.method, last_linear=True)[0]
    out["AUMClast"] = aumc
    half = profile.duration / 2 if rules.route == "infusion" else 0.0
    if auc > 0:
        out["MRTlast"] = aumc / auc - half
    slope = terminal(time, conc, rules, measured_at_0=not extrapolated)
    if slope is None:
        profile.said.append("no terminal slope: fewer than three falling points after the peak")
    else:
        _extrapolate(out, slope, profile, rules, back, half)
    for low, high in rules.partial:
        value = _between(time, conc, low, high, rules.method, slope)
        if value is not None:
            out[f"AUC{low:g}_{high:g}"] = value
        else:
            profile.said.append(f"no area from {low:g} to {high:g}: beyond the last point and no slope")
    if rules.tau is not None:
        _steady_state(out, time, conc, profile, rules, slope)
    return out


def _quantified(profile: Profile, rules: Rules) -> tuple[np.ndarray, np.ndarray]:
    """The curve after the rules for values below the limit of quantification."""
    time, conc = profile.time, profile.conc.astype(float).copy()
    below = conc < 0
    if not below.any():
        return time, conc
    seen = np.flatnonzero(conc > 0)
    index = np.arange(len(conc))
    first, last = (seen[0], seen[-1]) if len(seen) else (len(conc), -1)
    keep = np.ones(len(conc), bool)
    for where, rule in (
        (below & (index < first), rules.blq_first),
        (below & (index > first) & (index < last), rules.blq_between),
        (below & (index > last) & (index > first), rules.blq_last),
    ):
        if rule == "drop":
            keep &= ~where
        else:
            conc[where] = 0.0 if rule == "zero" else float(rule)
        if where.any():
            done = "dropped" if rule == "drop" else f"taken as {0 if rule == 'zero' else rule:g}"
            profile.said.append(f"{int(where.sum())} values below the limit {done}")
    return time[keep], conc[keep]


def _from_zero(
    time: np.ndarray, conc: np.ndarray, rules: Rules, out: dict[str, float]
) -> tuple[np.ndarray, np.ndarray, float]:
    """The curve with its value at the time of the dose, and the area that was extrapolated back."""
    if rules.route != "bolus":
        if time[0] > 0:
            return np.append(0.0, time), np.append(0.0, conc), 0.0
        return time, conc, 0.0
    if time[0] == 0 and conc[0] > 0:
        out["C0"] = float(conc[0])
        return time, conc, 0.0
    if time[0] == 0:
        time, conc = time[1:], conc[1:]
    first = float(conc[0])
    back = 0.0
    if len(conc) > 1 and conc[0] > conc[1] > 0:
        back = math.log(conc[0] / conc[1]) * time[0] / (time[1] - time[0])
    if 0 < back < _STEEPEST:
        first = float(conc[0]) * math.exp(back)
    elif (conc > 0).any():
        first = float(conc[conc > 0][0])
    out["C0"] = first
    time, conc = np.append(0.0, time), np.append(first, conc)
    return time, conc, area(time[:2], conc[:2], rules.method)[0]


def area(
    time: np.ndarray, conc: np.ndarray, method: str = "linear-up log-down", *, last_linear: bool = False
) -> tuple[float, float]:
    """Area under a curve and under its first moment.

    Parameters
    ----------
    time, conc : array
    method : str
        One of `METHODS`.
    last_linear : bool
        Whether the last piece is a straight line whatever the method (it goes to 0).

    Examples
    --------
    >>> area(np.array([0.0, 1, 2]), np.array([0.0, 2, 1]), "linear")
    (2.5, 3.0)
    """
    t1, t2, c1, c2 = time[:-1], time[1:], conc[:-1], conc[1:]
    dt = t2 - t1
    auc, aumc = dt * (c1 + c2) / 2, dt * (t1 * c1 + t2 * c2) / 2
    log = (c1 > 0) & (c2 > 0) & (c1 != c2)
    if method == "linear":
        log[:] = False
    elif method == "linear-up log-down":
        log &= c2 < c1
    else:
        log &= np.arange(len(dt)) >= int(np.argmax(conc))
    if last_linear and len(log) and conc[-1] == 0:
        log[-1] = False
    if log.any():
        k = np.log(c1[log] / c2[log]) / dt[log]
        auc[log] = (c1[log] - c2[log]) / k
        aumc[log] = (t1[log] * c1[log] - t2[log] * c2[log]) / k + (c1[log] - c2[log]) / k**2
    return float(auc.sum()), float(aumc.sum())


def terminal(time: np.ndarray, conc: np.ndarray, rules: Rules, measured_at_0: bool = True) -> Slope | None:
    """The terminal slope: asked for, or of the points after the peak with the largest adjusted R².

    The peak itself is among them only after a bolus; a value at time 0 that was extrapolated back never is.
    """
    good = conc > 0
    good[0] &= measured_at_0 or time[0] > 0
    if rules.slope_from is not None or rules.slope_to is not None:
        low = -math.inf if rules.slope_from is None else rules.slope_from
        high = math.inf if rules.slope_to is None else rules.slope_to
        return _fit(time, conc, np.flatnonzero(good & (time >= low) & (time <= high)))
    measured = np.where(good, conc, -1.0)
    after = int(np.argmax(measured)) + (rules.route != "bolus")
    tail = np.flatnonzero(good & (np.arange(len(time)) >= after))
    if rules.points is not None:
        return _fit(time, conc, tail[-rules.points :]) if len(tail) >= rules.points else None
    best: Slope | None = None
    for n in range(3, len(tail) + 1):
        found = _fit(time, conc, tail[-n:])
        if found is not None and (best is None or found.r2_adjusted > best.r2_adjusted - _TIE):
            top = max(found.r2_adjusted, best.r2_adjusted if best else found.r2_adjusted)
            if found.r2_adjusted >= top - _TIE:
                best = found
    return best


def _fit(time: np.ndarray, conc: np.ndarray, points: np.ndarray) -> Slope | None:
    n = len(points)
    if n < 2:
        return None
    x, y = time[points], np.log(conc[points])
    dx, dy = x - x.mean(), y - y.mean()
    if not (dx @ dx > 0 and dy @ dy > 0):
        return None
    b = float(dx @ dy / (dx @ dx))
    if b >= 0:
        return None
    r = float(dx @ dy / math.sqrt((dx @ dx) * (dy @ dy)))
    r2 = r * r
    adjusted = 1 - (1 - r2) * (n - 1) / (n - 2) if n > 2 else math.nan
    intercept = float(y.mean() - b * x.mean())
    return Slope(-b, intercept, r2, adjusted, r, n, float(x[0]), float(x[-1]), points)


def _extrapolate(
    out: dict[str, float], slope: Slope, profile: Profile, rules: Rules, back: float, half: float
) -> None:
    """What the terminal slope adds: half-life, areas to infinity, clearance, volumes, mean residence time."""
    z, at = slope.rate, out["Tlast"]
    out |= {
        "Rsq": slope.r2,
        "Rsq_adjusted": slope.r2_adjusted,
        "Corr_XY": slope.correlation,
        "No_points_lambda_z": slope.points,
        "Lambda_z": z,
        "Lambda_z_lower": slope.lower,
        "Lambda_z_upper": slope.upper,
        "HL_Lambda_z": math.log(2) / z,
        "Lambda_z_intercept": slope.intercept,
    }
    over_f = "_F" if rules.route == "extravascular" else ""
    predicted = math.exp(slope.intercept - z * at)
    out["Clast_pred"] = predicted
    for kind, conc in (("obs", out["Clast"]), ("pred", predicted)):
        auc = out["AUClast"] + conc / z
        aumc = out["AUMClast"] + conc * at / z + conc / z**2
        out[f"AUCINF_{kind}"] = auc
        out[f"AUC_%Extrap_{kind}"] = 100 * conc / z / auc
        out[f"AUMCINF_{kind}"] = aumc
        out[f"AUMC_%Extrap_{kind}"] = 100 * (aumc - out["AUMClast"]) / aumc
        out[f"MRTINF_{kind}"] = aumc / auc - half
        if rules.route == "bolus":
            out[f"AUC_%Back_Ext_{kind}"] = 100 * back / auc
        if profile.dose:
            out[f"AUCINF_D_{kind}"] = auc / profile.dose
            out[f"Cl{over_f}_{kind}"] = profile.dose / auc
            out[f"Vz{over_f}_{kind}"] = profile.dose / (z * auc)
            if rules.route != "extravascular":
                out[f"Vss_{kind}"] = out[f"MRTINF_{kind}"] * profile.dose / auc


def _between(
    time: np.ndarray, conc: np.ndarray, low: float, high: float, method: str, slope: Slope | None
) -> float | None:
    """Area from one time to another; beyond the last measurable point along the terminal slope."""
    last = int(np.flatnonzero(conc > 0)[-1])
    end = float(time[last])
    if high > end and slope is None and high > time[-1]:
        return None
    times = list(time[: last + 1])
    values = list(conc[: last + 1])
    if high > end:
        if slope is None:
            times, values = list(time), list(conc)
        else:
            start = max(end, low)
            tail = math.exp(slope.intercept)
            extra = tail * (math.exp(-slope.rate * start) - math.exp(-slope.rate * high)) / slope.rate
            return extra + (_between(time, conc, low, end, method, slope) or 0.0 if low < end else 0.0)
    grid = np.array(times), np.array(values)
    inside = [low, *[t for t in times if low < t < high], high]
    cut = np.array([_value_at(grid[0], grid[1], t, method) for t in inside])
    return area(np.array(inside), cut, method)[0]


def _value_at(time: np.ndarray, conc: np.ndarray, at: float, method: str) -> float:
    """The curve at a time, along the line or the exponential that the method draws there."""
    k = int(np.clip(np.searchsorted(time, at, side="right") - 1, 0, len(time) - 2)) if len(time) > 1 else 0
    if len(time) == 1 or at == time[k]:
        return float(conc[k])
    t1, t2, c1, c2 = time[k], time[k + 1], conc[k], conc[k + 1]
    part = (at - t1) / (t2 - t1)
    falls = c1 > c2 > 0 if method == "linear-up log-down" else min(c1, c2) > 0 and k >= int(np.argmax(conc))
    if method != "linear" and falls:
        return float(c1 * (c2 / c1) ** part)
    return float(c1 + part * (c2 - c1))


def _steady_state(
    out: dict[str, float],
    time: np.ndarray,
    conc: np.ndarray,
    profile: Profile,
    rules: Rules,
    slope: Slope | None,
) -> None:
    """The measures of one dosing interval at steady state."""
    tau = float(rules.tau or 0.0)
    auc = _between(time, conc, 0.0, tau, rules.method, slope)
    if auc is None or auc <= 0:
        profile.said.append(f"no area over the interval of {tau:g}")
        return
    within = time <= tau
    low, high = float(conc[within].min()), float(conc[within].max())
    average = auc / tau
    out |= {
        "AUC_TAU": auc,
        "Cmin": low,
        "Tmin": float(time[within][np.argmin(conc[within])]),
        "Cavg": average,
        "Fluctuation%": 100 * (high - low) / average,
    }
    if low > 0:
        out["Swing"] = (high - low) / low
    inside = within & (time > 0)
    moments = np.append(time[within], [] if time[within][-1] == tau else [tau])
    values = [_value_or_tail(time, conc, t, rules.method, slope) for t in moments]
    out["AUMC_TAU"] = area(moments, np.array(values), rules.method)[1] if inside.any() else math.nan
    over_f = "_F" if rules.route == "extravascular" else ""
    if profile.dose:
        out["AUC_TAU_D"] = auc / profile.dose
        out[f"CLss{over_f}"] = profile.dose / auc
    if slope is None:
        return
    out["Accumulation_Index"] = 1 / -math.expm1(-slope.rate * tau)
    half = profile.duration / 2 if rules.route == "infusion" else 0.0
    for kind in ("obs", "pred"):
        out[f"MRTINF_{kind}"] = (out["AUMC_TAU"] + tau * (out[f"AUCINF_{kind}"] - auc)) / auc - half
        # At steady state the area of one interval is the exposure of one dose.
        out.pop(f"Cl{over_f}_{kind}", None)
        out.pop(f"Vz{over_f}_{kind}", None)
        if profile.dose and rules.route != "extravascular":
            out[f"Vss_{kind}"] = out[f"MRTINF_{kind}"] * profile.dose / auc
    if profile.dose:
        out[f"Vz{over_f}"] = profile.dose / (slope.rate * auc)


def _value_or_tail(time: np.ndarray, conc: np.ndarray, at: float, method: str, slope: Slope | None) -> float:
    if at <= time[-1]:
        return _value_at(time, conc, at, method)
    return math.exp(slope.intercept - slope.rate * at) if slope is not None else math.nan


def order(found: Mapping[str, float]) -> list[str]:
    """The names of parameters in the order in which Phoenix lists them."""
    return [name for name in _ORDER if name in found] + [name for name in found if name not in _ORDER]


_ORDER = (
    "Rsq", "Rsq_adjusted", "Corr_XY", "No_points_lambda_z", "Lambda_z", "Lambda_z_intercept", "Lambda_z_lower",
    "Lambda_z_upper", "HL_Lambda_z", "Tlag", "Tmax", "Cmax", "Cmax_D", "C0", "Tlast", "Clast", "Clast_pred",
    "AUClast", "AUCall", "AUCINF_obs", "AUCINF_D_obs", "AUC_%Extrap_obs", "AUC_%Back_Ext_obs", "Vz_obs", "Cl_obs",
    "Vz_F_obs", "Cl_F_obs", "AUCINF_pred", "AUCINF_D_pred", "AUC_%Extrap_pred", "AUC_%Back_Ext_pred", "Vz_pred",
    "Cl_pred", "Vz_F_pred", "Cl_F_pred", "AUMClast", "AUMCINF_obs", "AUMC_%Extrap_obs", "AUMCINF_pred",
    "AUMC_%Extrap_pred", "MRTlast", "MRTINF_obs", "MRTINF_pred", "Vss_obs", "Vss_pred",
)  # fmt: skip
