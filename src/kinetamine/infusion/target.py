"""Bolus and rates that bring a concentration to a target and hold it there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from kinetamine import units
from kinetamine.choice import usual
from kinetamine.dosing import Dose, Regimen
from kinetamine.errors import InputError, NoData, UnitError, UnknownName
from kinetamine.infusion.system import EFFECT_SITE, ROUTE, LinearSystem, first_time, system_of
from kinetamine.population import Patient, Population
from kinetamine.results.grades import EXTRAPOLATED
from kinetamine.simulate import simulate
from kinetamine.simulate.grade import Given, grade

if TYPE_CHECKING:
    import polars as pl

    from kinetamine.results import Result

__all__ = ["Infusion", "context_sensitive_half_time", "infusion_for"]

SITES = ("plasma", EFFECT_SITE)
#: how often a pump sets a new rate unless told otherwise
STEP = "10 s"
MOST_STEPS = 20_000
#: a site this fast follows plasma within a millisecond (1/h)
FASTEST_SITE = 1e6
SHORTEST_H = 1 / 3600
#: a shorter delay is the next rate's business (h)
_BLINK = 1e-9
_BANDS = (0.05, 0.5, 0.95)


@dataclass(frozen=True, eq=False)
class Infusion:
    """A plan that reaches and holds a target in the model's typical patient.

    Parameters
    ----------
    target : float
        In `unit`.
    unit, site, output, model : str
        What is held: the model's output, in plasma or at its effect site.
    patient : Patient
    bolus_mg : float
        Given at once at time 0.
    start_h, end_h, rate_mg_h : array (rate,)
        Rates of the pump, one after another; time without a rate is a pause.
    reached_h : float
        When the target is first reached.
    duration_h : float
        When the pump stops.
    held : (float, float)
        Lowest and highest concentration at the site from then until the stop, in `unit`.
    peak_plasma : float
        Highest plasma concentration, in `unit`.
    wake_at, wake_h : float or None
        Level at the site, and time from the stop until it is reached; infinite if it is not.
    half_time_h : float
        From the stop until the site is at half of what it was.
    remarks : tuple of str
        Where the limits of the pump were felt.
    grade : str
    reasons : tuple of str
        How far to trust it, as for a simulation.

    Examples
    --------
    >>> import kinetamine as kt
    >>> plan = kt.infusion_for("200 ng/mL", model="kamp_2020_meta_racemic", duration="1 h")
    >>> round(plan.bolus_mg, 2), plan.reached_h
    (5.0, 0.0)
    """

    target: float
    unit: str
    site: str
    output: str
    model: str
    patient: Patient
    bolus_mg: float
    start_h: np.ndarray
    end_h: np.ndarray
    rate_mg_h: np.ndarray
    reached_h: float
    duration_h: float
    held: tuple[float, float]
    peak_plasma: float
    wake_at: float | None
    wake_h: float | None
    half_time_h: float
    remarks: tuple[str, ...]
    grade: str
    reasons: tuple[str, ...]
    system: LinearSystem

    @cached_property
    def regimen(self) -> Regimen:
        """The same as doses, for `kinetamine.simulate`."""
        doses = [Dose(0.0, self.bolus_mg, entry=ROUTE)] if self.bolus_mg > 0 else []
        doses += [
            Dose(float(a), float(r * (b - a)), entry=ROUTE, duration_h=float(b - a))
            for a, b, r in zip(self.start_h, self.end_h, self.rate_mg_h, strict=True)
            if r > 0
        ]
        return Regimen(tuple(doses))

    @property
    def total_mg(self) -> float:
        """All that is given, bolus and infusion."""
        return self.bolus_mg + float(self.rate_mg_h @ (self.end_h - self.start_h))

    def predict(self, population: Patient | Population | None = None, **options: Any) -> Result:
        """Simulate the plan in its patient, or in other people: they will not sit on the target.

        Parameters
        ----------
        population : Patient or Population, optional
        **options
            As for `kinetamine.simulate`.

        Examples
        --------
        >>> import kinetamine as kt
        >>> plan = kt.infusion_for("200 ng/mL", model="herd_2007_children_ed", duration="1 h",
        ...                        patient=kt.Patient(weight=30))
        >>> plan.predict(times=[0.5, 1.0])["ketamine"].round(1).tolist()
        [[200.0, 200.0]]
        """
        who = self.patient if population is None else population
        return simulate(self.system.spec, self.regimen, who, **options)

    def concentrations(self, times_h: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
        """Plasma and site concentrations in the typical patient, exactly, in `unit`.

        Parameters
        ----------
        times_h : iterable of float, ascending
        """
        rates = list(zip(self.start_h, self.end_h, self.rate_mg_h, strict=True))
        state, now, k = self.system.entry * self.bolus_mg, 0.0, 0
        plasma, site = [], []
        seen = _seen(self.system, self.site)
        for time in times_h:
            while now < time:
                while k < len(rates) and rates[k][1] <= now + _BLINK:
                    k += 1
                running = k < len(rates) and rates[k][0] <= now + _BLINK
                turn = (rates[k][1] if running else rates[k][0]) if k < len(rates) else math.inf
                to = min(time, float(turn))
                state = self.system.later(state, to - now, float(rates[k][2]) if running else 0.0)
                now = to
            plasma.append(float(self.system.plasma @ state))
            site.append(float(seen @ state))
        return np.array(plasma), np.array(site)

    def table(self, every: float | str | None = None) -> pl.DataFrame:
        """Rates in time with the concentrations at the end of each.

        Parameters
        ----------
        every : float (h) or str, optional
            Show means over spans of this length instead of every rate.
        """
        import polars as pl

        width = None if every is None else _positive("every", every, "h", "'5 min'")
        if width is not None and self.duration_h / width > MOST_STEPS:
            raise InputError("every", repr(every), f"at most {MOST_STEPS:,} rows", "'5 min'")
        if width is None:
            edges = np.unique(np.concatenate([[0.0], self.start_h, self.end_h]))
        else:
            edges = np.minimum(
                width * np.arange(math.ceil(self.duration_h / width - 1e-9) + 1), self.duration_h
            )
        given = np.concatenate([[0.0], np.cumsum(self.rate_mg_h * (self.end_h - self.start_h))])
        turns = np.column_stack([self.start_h, self.end_h]).ravel()
        total = np.interp(edges, turns, np.column_stack([given[:-1], given[1:]]).ravel())
        plasma, site = self.concentrations(edges[1:])
        seen = {f"plasma ({self.unit})": plasma, f"{self.site} ({self.unit})": site}
        rate = np.diff(total) / np.diff(edges)
        return pl.DataFrame({"start_h": edges[:-1], "end_h": edges[1:], "rate_mg_h": rate, **seen})

    def to_dict(
        self, people: Patient | Population | None = None, held_for: Sequence[float | str] = ()
    ) -> dict[str, Any]:
        """The plan as plain data.

        Parameters
        ----------
        people : Population, optional
            Adds what the same plan does in them.
        held_for : sequence of float (h) or str
            Adds context-sensitive half-times after being held so long.

        Raises
        ------
        InputError
            If the model has no published variability by which people differ.
        """
        keys = ("model", "output", "site", "target", "unit", "bolus_mg", "total_mg", "reached_h", "duration_h",
                "held", "peak_plasma", "half_time_h", "wake_at", "wake_h", "grade", "reasons", "remarks")  # fmt: skip
        found: dict[str, Any] = {key: getattr(self, key) for key in keys}
        found |= {key: list(found[key]) for key in ("held", "reasons", "remarks")}
        found |= {key: _finite(found[key]) for key in ("half_time_h", "wake_h")}
        if held_for:
            spec, who = self.system.spec, self.patient
            times = context_sensitive_half_time(spec, held_for, patient=who, output=self.output)
            found["context_sensitive_half_times"] = [
                {"held_for": span, "half_time_h": _finite(time)}
                for span, time in zip(held_for, times, strict=True)
            ]
        if people is not None:
            found["people"] = self._in_people(people)
        return found

    def _in_people(self, people: Any) -> dict[str, Any]:
        """Quantiles over people who get the plan made for the typical patient."""
        if not self.system.spec.variability:
            wanted = "a model with published variability"
            raise InputError("patients", f"the model {self.model}", wanted, "leaving it out")
        end = self.predict(people, times=[self.duration_h])[self.output][:, 0]
        found: dict[str, Any] = {
            "n": people.n,
            "seed": people.seed,
            "plasma_at_stop": {f"{q:g}": float(np.quantile(end, q)) for q in _BANDS},
        }
        if self.wake_at is not None and self.site == "plasma":
            wake = np.quantile(self.falls(people, self.wake_at), _BANDS, method="lower")
            found["wake_h"] = {f"{q:g}": _finite(float(v)) for q, v in zip(_BANDS, wake, strict=True)}
        return found

    def falls(self, population: Population, to: float | str, until: float | str = "24 h") -> np.ndarray:
        """Hours from the stop until plasma of each person is at `to`; infinite where later than `until`.

        Raises
        ------
        NoData
            If an effect site is held: no model says how its rate differs between people.
        """
        if self.site != "plasma":
            raise NoData("falls", f"the {self.site}", "plasma", "site='plasma'")
        level = _positive("to", to, self.unit, f"'100 {self.unit}'")
        grid = np.concatenate([[0.0], np.geomspace(1 / 3600, _positive("until", until, "h", "'24 h'"), 600)])
        curves = self.predict(population, times=self.duration_h + grid)[self.output]
        below = curves <= level
        fallen, last = np.flatnonzero(below.any(axis=1)), below.argmax(axis=1)
        out = np.full(len(curves), np.inf)
        for person in fallen:
            k = last[person]
            pair = curves[person, [k, max(k - 1, 0)]]
            out[person] = np.interp(math.log(level), np.log(pair), grid[[k, max(k - 1, 0)]])
        return out


def infusion_for(
    target: float | str,
    *,
    duration: float | str,
    model: Any = None,
    patient: Patient | None = None,
    site: str = "plasma",
    ke0: float | str | None = None,
    max_rate: float | str | None = None,
    bolus: bool = True,
    max_bolus: float | str | None = None,
    step: float | str = STEP,
    wake_at: float | str | None = None,
    output: str | None = None,
) -> Infusion:
    """Bolus and rates that reach a concentration as fast as the pump can without overshoot, and hold it.

    Loading is solved for, not stepped towards: the bolus (or the time at full rate) is the one after which the
    site peaks exactly at the target, and the end of every later step is on the target. So what is held does not
    depend on the step.

    Parameters
    ----------
    target : float or str
        In the output's unit, or such as ``"200 ng/mL"``.
    model : str, Path or ModelSpec, optional
        A linear model with an intravenous route; default that of the effects of ketamine by vein in such a person.
    duration : float (h) or str
        From the start until the pump stops.
    patient : Patient, optional
    site : {"plasma", "effect site"}
        The effect site needs its rate: one of the model's own, or `ke0`.
    ke0 : float (1/h) or str, optional
        Such as ``"0.3 1/min"``. Values shipped with pump software for one and the same model differ fivefold.
    max_rate : float (mg/h) or str, optional
        Limit of the pump, also as ``"3 mg/kg/h"``.
    bolus : bool
        Whether a dose may be given at once; otherwise `max_rate` does the loading.
    max_bolus : float (mg) or str, optional
        The most to be given at once; `max_rate` does the rest.
    step : float (h) or str
        How long the pump keeps a rate.
    wake_at : float or str, optional
        A level to fall to after the stop.
    output : str, optional
        The plasma output meant, if the model has several.

    Returns
    -------
    Infusion

    Raises
    ------
    InputError
        If the target cannot be reached in time within the limits.
    NoData
        If an effect site is asked for whose rate nobody gives.

    Examples
    --------
    >>> import kinetamine as kt
    >>> plan = kt.infusion_for("200 ng/mL", model="kamp_2020_meta_racemic", patient=kt.Patient(weight=80),
    ...                        duration="2 h", max_rate="200 mg/h", wake_at="100 ng/mL")
    >>> plan.held
    (199.9..., 200.0...)
    >>> 0 < plan.wake_h < 1
    True
    """
    if site not in SITES:
        raise UnknownName("site", str(site), SITES, "a site")
    who = Patient() if patient is None else patient
    if not isinstance(who, Patient):
        raise InputError(
            "patient",
            repr(who)[:60],
            "one Patient",
            "Patient(weight=80); Infusion.predict takes a Population",
        )
    system, chosen = _system(model, who, site, ke0, output)
    goal = _positive("target", target, system.unit, f"'200 {system.unit}'")
    length = _positive("duration", duration, "h", "'2 h'")
    width = _positive("step", step, "h", repr(STEP))
    if length < SHORTEST_H:
        raise InputError("duration", repr(duration), "at least a second", "'2 h'")
    if length / width > MOST_STEPS:
        raise InputError("step", repr(step), f"at most {MOST_STEPS:,} rates in {length:g} h", "a longer step")
    most = math.inf if max_rate is None else _pump_rate(max_rate, system.weight_kg)
    at_once = 0.0
    if bolus:
        at_once = math.inf if max_bolus is None else _positive("max_bolus", max_bolus, "mg", "'50 mg'")
    elif math.isinf(most):
        raise InputError(
            "max_rate", "none, and no bolus", "one of the two to load with", "max_rate='200 mg/h'"
        )
    run = _Run(system, goal, site, length, width, most)
    bolus_mg = run.load(at_once)
    run.hold()
    seen = _seen(system, site)
    wake = None if wake_at is None else _positive("wake_at", wake_at, system.unit, f"'100 {system.unit}'")
    last = float(seen @ run.state)
    total_mg = bolus_mg + float(np.dot(run.rates, np.subtract(run.ends, run.starts)))
    verdict, reasons = _graded(system, who, length, total_mg)
    if ke0 is not None and site == EFFECT_SITE:
        foreign = "the rate of the effect site is the user's, not published with this model"
        verdict, reasons = EXTRAPOLATED, (foreign, *(reasons if verdict == EXTRAPOLATED else ()))
    remarks = (*run.remarks, *([f"model {system.spec.id}: {chosen}"] if chosen else []))
    return Infusion(
        goal, system.unit, site, system.output, system.spec.id, who, bolus_mg,
        np.array(run.starts), np.array(run.ends), np.array(run.rates),
        run.reached_h, length, (run.low, run.high), run.peak, wake,
        None if wake is None else system.fall(run.state, wake, seen),
        system.fall(run.state, last / 2, seen), remarks, verdict, reasons, system,
    )  # fmt: skip


def _system(
    model: Any, who: Patient, site: str, ke0: float | str | None, output: str | None
) -> tuple[LinearSystem, str]:
    """The model in this patient, and why it was taken if nobody named it."""
    rate_of_site = None if ke0 is None else _positive("ke0", ke0, "1/h", "'0.3 1/min'")
    if rate_of_site is not None and rate_of_site > FASTEST_SITE:
        raise InputError(
            "ke0",
            repr(ke0),
            f"at most {FASTEST_SITE:g} 1/h: faster than that it is the plasma",
            "site='plasma'",
        )
    chosen = ""
    if model is None:
        (model, *_), _, chosen = usual(Regimen.parse(f"1 mg {ROUTE}"), who)
    system = system_of(model, who, output=output, ke0=rate_of_site)
    if site == EFFECT_SITE and system.effect is None:
        raise NoData(
            "site",
            f"the effect site of {system.spec.id}",
            "the rate at which it follows plasma",
            "ke0='0.3 1/min'",
        )
    return system, chosen


def _graded(
    system: LinearSystem, who: Patient, length: float, total_mg: float
) -> tuple[str, tuple[str, ...]]:
    people = {**who.covariates(system.spec, 0, 1), **who.demographics(system.spec, 0, 1)}
    weight = float(np.median(people["weight"])) if "weight" in people else 70.0
    given = Given(
        [ROUTE], np.zeros(1), np.array([length]), np.array([total_mg]), np.array([total_mg / weight])
    )
    return grade(system.spec, people, given, np.array([length]))


def context_sensitive_half_time(
    model: Any,
    durations: Sequence[float | str] | np.ndarray,
    fraction: float = 0.5,
    *,
    patient: Patient | None = None,
    output: str | None = None,
) -> np.ndarray:
    """Time for plasma to fall by a fraction after it was held constant for a while.

    Exact: the rate that holds plasma is a closed form of the model's matrices.

    Parameters
    ----------
    durations : sequence of float (h) or str
        How long plasma was held.
    fraction : float
        Fall looked for: 0.5 for the half-time.

    Returns
    -------
    array (duration,), h

    Examples
    --------
    >>> context_sensitive_half_time("kamp_2020_meta_racemic", ["10 min", "1 h", "8 h"]).round(2)
    array([0.08, 0.34, 1.14])
    """
    if not 0.0 < fraction < 1.0:
        raise InputError("fraction", repr(fraction), "a number between 0 and 1", "0.5")
    lengths = [_positive("durations", d, "h", "[0.5, '2 h']") for d in durations]
    system = system_of(model, Patient() if patient is None else patient, output=output)
    return np.array([system.fall(system.held(1.0, t), 1.0 - fraction, system.plasma) for t in lengths])


def _finite(hours: float | None) -> float | None:
    return hours if hours is not None and math.isfinite(hours) else None


def _positive(name: str, value: float | str, unit: str, cure: str) -> float:
    number = units.read(value, unit, name)
    if not (math.isfinite(number) and number > 0.0):
        raise InputError(name, repr(value), "more than 0", cure)
    return number


def _pump_rate(value: float | str, weight_kg: float | None) -> float:
    text = str(value)
    if "/kg" not in text:
        return _positive("max_rate", value, "mg/h", "'200 mg/h'")
    if weight_kg is None:
        raise UnitError("max_rate", repr(value), "a rate in mg/h: the model knows no weight", "'200 mg/h'")
    return _positive("max_rate", text.replace("/kg", "", 1), "mg/h", "'3 mg/kg/h'") * weight_kg


def _seen(system: LinearSystem, site: str) -> np.ndarray:
    if site != EFFECT_SITE or system.effect is None:
        return system.plasma
    return system.effect


class _Run:
    """The pump at work on one patient: where the amounts are, and what was set so far."""

    def __init__(
        self, system: LinearSystem, goal: float, site: str, length: float, width: float, most: float
    ) -> None:
        self.system, self.goal, self.length, self.width, self.most = system, goal, length, width, most
        self.seen = _seen(system, site)
        self.state = np.zeros(len(system.matrix))
        self.now = self.reached_h = self.peak = 0.0
        self.low, self.high = math.inf, 0.0
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.rates: list[float] = []
        self.remarks: list[str] = []

    def load(self, most_bolus: float) -> float:
        """Bring the site to the target: the bolus given, in mg. The amounts are then those at the target."""
        wanted = self.goal / self._crest(self.system.entry)[0]
        bolus = min(wanted, most_bolus)
        self.state = self.system.entry * bolus
        if bolus < wanted:
            if math.isinf(self.most):
                raise InputError(
                    "max_bolus", f"{bolus:.4g} mg", f"the {wanted:.4g} mg needed, or a rate for the rest",
                    "max_rate='200 mg/h'",
                )  # fmt: skip
            self._run_for(self._time_at_full_rate())
        delay = self._crest(self.state)[1]
        self.peak = max(self.peak, float(self.system.plasma @ self.state))
        if delay > _BLINK:
            if self.now + delay > self.length:
                raise self._too_late(self.now + delay)
            self.state = self.system.later(self.state, delay)
            self.now += delay
        self.reached_h = self.now
        return bolus

    def _crest(self, state: np.ndarray) -> tuple[float, float]:
        """Highest concentration at the site if nothing more is given, and when."""
        system = self.system
        if self.seen is system.plasma:
            return float(self.seen @ state), 0.0
        slope = self.seen @ system.matrix
        delay = first_time(lambda t: float(slope @ system.later(state, t)))
        return float(self.seen @ system.later(state, delay)), delay

    def _time_at_full_rate(self) -> float:
        start = self.state
        short = lambda t: self.goal - self._crest(self.system.later(start, t, self.most))[0]  # noqa: E731
        if short(self.length) > 0.0:
            top = self.goal - short(self.length)
            raise InputError(
                "target", f"{self.goal:g} {self.system.unit}",
                f"one that {self.most:.4g} mg/h reaches within {self.length:g} h (it reaches {top:.4g})",
                "a bolus, a higher max_rate or more time",
            )  # fmt: skip
        return float(brentq(short, 0.0, self.length, xtol=1e-12, rtol=1e-13))  # more time, a higher peak

    def _too_late(self, when: float) -> InputError:
        return InputError(
            "duration", f"{self.length:g} h", f"more than the {when:.3g} h it takes to reach the target",
            f"duration='{math.ceil(2 * when * 60)} min'",
        )  # fmt: skip

    def _run_for(self, time_h: float) -> None:
        self.state = self.system.later(self.state, time_h, self.most)
        self._record(time_h, self.most)

    def _record(self, time_h: float, rate: float) -> None:
        self.starts.append(self.now)
        self.now += time_h
        self.ends.append(self.now)
        self.rates.append(rate)

    def hold(self) -> None:
        """Set rates until the end, each such that plasma ends its step on the target.

        At an effect site's peak plasma equals the site, so holding plasma there holds the site.
        """
        carried, given = self.system.step(self.width)
        half, half_given = self.system.step(self.width / 2)
        plasma, limited = self.system.plasma, 0
        self._look()
        begin = self.now
        steps = math.ceil((self.length - begin) / self.width - 1e-9)
        for k in range(steps):
            width = self.width
            if k == steps - 1:  # the last one may be shorter
                width = self.length - self.now
                carried, given = self.system.step(width)
                half, half_given = self.system.step(width / 2)
            wish = float((self.goal - plasma @ carried @ self.state) / (plasma @ given))
            rate = min(max(wish, 0.0), self.most)
            limited += wish > self.most * (1 + 1e-9)
            before = self.state
            self.state = half @ before + rate * half_given
            self._look()
            self.state = carried @ before + rate * given
            self.starts.append(self.now)
            self.now = begin + (k + 1) * self.width if k < steps - 1 else self.length
            self.ends.append(self.now)
            self.rates.append(rate)
            self._look()
        if limited:
            self.remarks.append(
                f"{limited} of {steps} rates would have to be above the pump's {self.most:.4g} mg/h; "
                f"the site falls to {self.low:.4g} {self.system.unit}"
            )

    def _look(self) -> None:
        level = float(self.seen @ self.state)
        self.low, self.high = min(self.low, level), max(self.high, level)
        self.peak = max(self.peak, float(self.system.plasma @ self.state))
