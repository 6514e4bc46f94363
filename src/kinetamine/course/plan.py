"""Everything about an arm that does not depend on patients or draws of parameters."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kinetamine.course import kernel, strength
from kinetamine.course import model as models
from kinetamine.course import rules as visit_rules
from kinetamine.course.settings import settings
from kinetamine.dosing import Dose, Regimen
from kinetamine.errors import InputError, UnknownName
from kinetamine.models import library

__all__ = ["MODEL", "Plan", "first_of", "inside", "whole"]

MODEL = "hierarchical"


class Plan:
    """Everything about an arm that does not depend on patients or draws of parameters."""

    def __init__(
        self,
        regimen: Any,
        weeks: float,
        *,
        model: Any = MODEL,
        rules: Any = (),
        pk: str | None = None,
        visits: Iterable[float] | None = None,
        relapse: str | None = None,
        response: float | None = None,
        remission: float | None = None,
        setting: str | Iterable[str] | None = None,
        switches: Mapping[str, float] | None = None,
        baseline: tuple[float, ...] | None = None,
        age: float | None = None,
        trial: str | None = None,
        new_trial: bool = True,
        counted: str = "stay",
        select: str | None = None,
        crisis: tuple[float, float] | None = None,
    ) -> None:
        defaults = settings().endpoints
        self.model = models.load(model)
        surrounding = models.surroundings(setting or ())
        self.changes = surrounding | {name: float(value) for name, value in (switches or {}).items()}
        self.changes |= _baseline(baseline)
        if age is not None:
            self.changes["age"] = inside("age", age, 0, 110)
        self.values = self.model.values(**self.changes)
        self.open_until = models.open_until(setting or ())
        if trial is not None and trial not in self.model.trials:
            raise UnknownName("trial", trial, self.model.trials, f"a trial {self.model.id} was fitted to")
        self.trial, self.new_trial = trial, new_trial
        if counted not in kernel.COUNTED:
            raise UnknownName("counted", counted, kernel.COUNTED, "a way of counting who has left")
        self.counted = counted
        self.select, self.crisis = _selected(select), _crisis(crisis)
        self.rules = visit_rules.parse_all(rules)
        self.relapse = visit_rules.parse_relapse(first_of(relapse, defaults.relapse.rule))
        self.response = float(inside("response", first_of(response, defaults.response.value), 0, 1))
        self.remission = float(inside("remission", first_of(remission, defaults.remission.value), 0, 60))
        self.end_d = 7.0 * weeks
        self.visits = _visit_days(visits, self.end_d)
        weekly = (self.visits > 0) & (np.abs(self.visits % 7) < 1e-6)
        if any(rule.place == "weekly" for rule in self.rules) and not weekly.any():
            given = f"no visit at a multiple of 7 days in {self.end_d:g} days"
            raise InputError("rules", given, "a weekly visit for a rule that asks at one", "'at a visit'")
        self.pk = pk
        self.sessions: strength.Sessions | None = None
        self.phrases: tuple[str, ...] = ("no sessions",)
        self._kept = np.zeros(0, bool)
        if regimen is not None:
            self._read(regimen)
        elif any(rule.action == "booster" for rule in self.rules):
            raise InputError("rules", "a booster without a regimen", "a regimen that says what is given")
        self._doses = {rule.dose: self._exposure(self._like(rule.dose)) for rule in self.rules if rule.dose}
        beyond = tuple(self._beyond())
        self.grade = "extrapolated" if beyond else "fitted"
        seen = self.sessions.notes if self.sessions is not None else ()
        reference = f"reference session: {self.model.reference.dose}"
        around = ", ".join(word for word, switch in models.SETTINGS.items() if self.values.get(str(switch)))
        if np.isfinite(self.open_until):
            around = around.replace("open label", f"open label until day {self.open_until:g}")
        self.notes = (
            *beyond,
            f"setting: {around or 'blinded, no new oral drug'}",
            f"trial: {trial or ('a new one' if new_trial else 'the average one')}",
            "scores: MADRS",
            reference,
            *seen,
            *self.model.notes[:2],
        )
        if self.sessions is None:
            self.notes += ("no sessions: neither contact nor expectancy; say sham for a blinded control",)
        used = {p.source for p in self.model.parameters.values() if p.source is not None}
        mine = (defaults.response, defaults.remission, defaults.relapse, settings().session.observation_h)
        self.sources = tuple(sorted(used | {part.source for part in mine} | self._pk_sources()))

    def _beyond(self) -> Iterator[str]:
        """Where this arm leaves what the model was fitted to."""
        applies = self.model.applies
        if self.end_d > 7 * applies.weeks:
            yield f"longer than the {applies.weeks:g} weeks of the fit"
        if any(rule.action == "booster" for rule in self.rules):
            yield "boosters decided at visits: in no trial of the fit"
        if self.sessions is None:
            return
        yield from self.sessions.beyond
        for route in sorted(set(self.sessions.routes) - set(applies.routes)):
            yield f"{route}: no trial of this route in the fit"
        for drug in sorted(set(self.sessions.drugs) - set(applies.drugs)):
            yield f"{drug}: no trial of it alone in the fit"
        times = self.sessions.times_h[self._kept] / 24
        if times.size > 1 and np.diff(times).min() < applies.spacing_d - 1e-9:
            yield f"sessions less than {applies.spacing_d:g} days apart"
        u = self.sessions.strength(self.values)
        u = u[u > 0]
        if self.values["age"] > self.values["age_from"]:
            yield "older people: no trial of the fit, the effect of age is a prior"
        if u.size and (u.min() < applies.strength[0] or u.max() > applies.strength[1]):
            yield f"strength outside {applies.strength[0]:g}-{applies.strength[1]:g} of the reference session"
        if not self._kept.all():
            yield f"{int((~self._kept).sum())} sessions after the last week are left out"

    def _exposure(self, regimen: Any) -> strength.Sessions:
        reference = self.model.reference
        return strength.sessions(regimen, reference.dose, reference.weight_kg, self.pk)

    def _like(self, words: str) -> Dose:
        """The dose of the last planned session in another amount."""
        if self.sessions is None:
            raise InputError("rules", words, "a regimen whose dose can be changed")
        amount, _, unit = words.partition(" ")
        return replace(
            self._last,
            time_h=0.0,
            amount=float(amount),
            per_kg=unit == "mg/kg",
            by="weight",
            most=None,
            fields={},
            text="",
        )

    def _pk_sources(self) -> set[str]:
        if self.sessions is None:
            return set()
        names = {self.pk} if self.pk else {settings().routes[self._last.entry].pk}
        return {library.load(name).source for name in names if name}

    def _read(self, regimen: Any) -> None:
        """Sessions with drug and sham ones, in one list."""
        given: list[Any]
        if isinstance(regimen, str):
            given = [part for part in regimen.split(";") if part.strip()]
        else:
            given = [regimen] if isinstance(regimen, Dose | Regimen) else list(regimen)
        sham = [part for part in given if isinstance(part, str) and part.strip().lower().startswith("sham")]
        real = [part for part in given if not any(part is other for other in sham)]
        plain = [part.strip()[4:].lstrip(" :") for part in sham]
        self.phrases = ()
        for parts, word in ((real, ""), (plain, "sham ")):
            if not parts:
                continue
            one = parts[0] if len(parts) == 1 and isinstance(parts[0], Regimen) else parts
            read = Regimen.parse(one)
            self.phrases += tuple(f"{word}{phrase}" for phrase in read.describe().split("; "))
            found = self._exposure(read)
            if word:
                found = found.sham()
            if not word or not real:
                self._last = read.expanded()[-1]
            self.sessions = found if self.sessions is None else self.sessions.together(found)
        if self.sessions is None:
            raise InputError(
                "regimen", repr(regimen)[:60], "at least one dose phrase, or None for no sessions"
            )
        self._kept = self.sessions.times_h / 24 <= self.end_d + 1e-9

    def without(self) -> Plan:
        """The same group without sessions: usual care."""
        alone = copy.copy(self)
        alone.sessions, alone._kept, alone.rules, alone._doses = None, np.zeros(0, bool), (), {}
        return alone

    def draws(self, n: int, seed: int) -> list[dict[str, float]]:
        """Sets of parameters, each with its trial."""
        if n == 0:
            return []
        return self.model.draws(n, seed, new_trial=self.new_trial, trial=self.trial, **self.changes)

    def run(
        self, values: Mapping[str, float] | Sequence[Mapping[str, float]], n: int, seed: int, **more: Any
    ) -> dict[str, Any]:
        """The arm in `n` patients with these parameter values, or dealt out over several sets of them."""
        sets = [values] if isinstance(values, Mapping) else list(values)
        times, u = np.zeros(0), np.zeros((len(sets), 0))
        if self.sessions is not None:
            times = self.sessions.times_h[self._kept]
            u = np.array([self.sessions.strength(one)[self._kept] for one in sets])
        rules, booster = None, np.full(len(sets), math.nan)
        if self.rules:
            # a booster is as strong as the last session with drug
            strong = np.flatnonzero(u[0] > 0) if u.size else np.zeros(0, int)
            booster = u[:, strong[-1]] if strong.size else booster
            rules = [self._table(one) for one in sets]
        last_d = float(times.max()) / 24 if times.size else 0.0
        arrays = kernel.simulate_arm(
            sets,
            times,
            u,
            n,
            seed,
            self.visits,
            response=self.response,
            remission=self.remission,
            open_=(times / 24 < self.open_until) * self.values["open_label"],
            rules=rules,
            booster=booster,
            relapse=visit_rules.relapse_table(self.relapse, last_d),
            end_d=self.end_d,
            counted=self.counted,
            crisis=self.crisis,
            select=self.select,
            **more,
        )
        if self.select is not None:
            followed = np.isfinite(arrays["baseline"])
            for name in (*kernel.PATIENT, *(["scores"] if "scores" in arrays else [])):
                arrays[name] = arrays[name][followed]
        return arrays

    def _table(self, values: Mapping[str, float]) -> np.ndarray:
        def of(words: str) -> float:
            return float(self._doses[words].strength(values)[0])

        return visit_rules.table(self.rules, of, self.response, self.remission)


def first_of(given: Any, other: Any) -> Any:
    return other if given is None else given


def whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise InputError(name, repr(value)[:60], f"a whole number from {low} to {high:,}")
    return int(value)


def inside(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value <= high:
        raise InputError(name, repr(value)[:60], f"a number above {low:g}, at most {high:g}")
    return float(value)


def _visit_days(visits: Iterable[float] | None, end_d: float) -> np.ndarray:
    if visits is None:
        days = np.append(np.arange(0.0, end_d + 1e-9, 7.0), [min(1.0, end_d), end_d])
    else:
        days = np.asarray(list(visits), float)
        if not days.size or not np.isfinite(days).all() or days.min() < 0 or days.max() > end_d:
            raise InputError("visits", str(days.tolist())[:80], f"days from 0 to {end_d:g}, at least one")
    return np.unique(np.round(days, 9))


def _baseline(baseline: tuple[float, ...] | None) -> dict[str, float]:
    if baseline is None:
        return {}
    fine = len(baseline) in (2, 4) and all(0 <= x < 60 for x in baseline) and baseline[0] > 0
    if not fine or (len(baseline) == 4 and not 0 < baseline[2] < baseline[3]):
        raise InputError("baseline", baseline, "(mean, sd) or (mean, sd, low, high), MADRS", "(32, 5.5)")
    names = ("baseline_mean", "baseline_sd", "baseline_low", "baseline_high")
    return dict(zip(names, map(float, baseline), strict=False))


_SELECT = re.compile(r"(response|remission) (?:at|on) (day|week) (\d+(?:\.\d+)?)$")


def _selected(words: str | None) -> tuple[str, float] | None:
    if words is None:
        return None
    match = _SELECT.match(" ".join(str(words).lower().split()))
    if match is None:
        raise InputError(
            "select", repr(words)[:60], "response or remission at a visit", "'response at day 28'"
        )
    return match[1], float(match[3]) * (7.0 if match[2] == "week" else 1.0)


def _crisis(crisis: tuple[float, float] | None) -> tuple[float, float] | None:
    if crisis is None:
        return None
    if len(crisis) != 2 or not all(np.isfinite(x) for x in crisis) or crisis[0] < 0 or not 0 < crisis[1] < 60:
        raise InputError("crisis", crisis, "(day, points)", "(60, 10)")
    return float(crisis[0]), float(crisis[1])
