"""One group through one course: regimen + rules + course model → `CourseResult`."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from kinetamine.course import kernel, strength
from kinetamine.course import model as models
from kinetamine.course import rules as visit_rules
from kinetamine.course.result import CourseResult, endpoints, free_of_relapse
from kinetamine.course.settings import settings
from kinetamine.dosing import Dose, Regimen
from kinetamine.errors import InputError, UnknownName
from kinetamine.models import library
from kinetamine.records import Record, read_toml
from kinetamine.version import version

__all__ = ["CourseFile", "available_courses", "course", "read_course"]

_MOST_WEEKS = 520
_MOST_PATIENTS = 20_000_000
_MODEL, _PATIENTS, _WEEKS = "one_state", 1000, 26
#: draws of uncertain parameters, and patients in each
_DRAWS, _PATIENTS_PER_DRAW = 60, 500


class CourseFile(Record):
    """A course as a TOML file: what `course` takes, and where it comes from."""

    format: Literal[1] = 1
    title: str = ""
    doses: str | tuple[str, ...]
    rules: tuple[str, ...] = ()
    weeks: float = Field(default=26, gt=0, le=_MOST_WEEKS)
    visits: tuple[float, ...] | None = None
    baseline: tuple[float, ...] | None = None
    relapse: str | None = None
    response: float | None = None
    remission: float | None = None
    model: str | None = None
    patients: int | None = Field(default=None, ge=1, le=_MOST_PATIENTS)
    seed: int | None = Field(default=None, ge=0)
    setting: str | tuple[str, ...] = ()
    switches: dict[str, float] = Field(default={})
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def _folder() -> Path:
    return Path(str(resources.files("kinetamine"))) / "data" / "course" / "regimens"


def available_courses() -> dict[str, str]:
    """Shipped regimens, id → title.

    Examples
    --------
    >>> "esketamine_label" in available_courses()
    True
    """
    return {path.stem: read_course(path).title for path in sorted(_folder().glob("*.toml"))}


def read_course(name: str | Path) -> CourseFile:
    """A shipped regimen by its id, or a TOML file.

    Examples
    --------
    >>> read_course("esketamine_label").weeks
    26.0
    """
    path = Path(name)
    if path.suffix != ".toml":
        shipped = [p.stem for p in _folder().glob("*.toml")]
        if str(name) not in shipped:
            raise UnknownName("course", str(name), shipped, "a shipped course or a .toml file")
        path = _folder() / f"{name}.toml"
    found: CourseFile = read_toml(path.name, CourseFile, folder=path.parent)
    return found


@functools.cache
def _shipped() -> frozenset[str]:
    return frozenset(p.stem for p in _folder().glob("*.toml"))


def course(
    regimen: str | Dose | Regimen | Iterable[Any] | None,
    n: int | None = None,
    seed: int | None = None,
    model: str | Path | models.CourseModel | None = None,
    rules: str | Iterable[Any] = (),
    weeks: float | None = None,
    *,
    pk: str | None = None,
    visits: Iterable[float] | None = None,
    baseline: tuple[float, ...] | None = None,
    relapse: str | None = None,
    response: float | None = None,
    remission: float | None = None,
    setting: str | Iterable[str] | None = None,
    switches: Mapping[str, float] | None = None,
    uncertainty: int = _DRAWS,
    first: int = 0,
    threads: int | None = None,
) -> CourseResult:
    """A group of patients through a course of treatment. Not for a person.

    Parameters
    ----------
    regimen : str, Regimen, list or None
        Dose phrases, the id of a shipped course (`available_courses`) or a course file; None: no drug, which
        is the placebo arm with visits only.
    n, seed : int
        Patients (default 1000) and the key of their draws (0). The same patient is the same in every arm.
    model : str
        ``"one_state"`` (default), ``"two_state"``, or a course model file.
    rules : str or list of str
        Visit rules; see `kinetamine.course.rules`. They are asked in order at every score.
    weeks : float
        Length of the follow-up, 26 weeks unless a course file says otherwise.
    pk : str, optional
        PK model that carries all routes.
    visits : array, d, optional
        Days of scores; default day 0 and weekly. Scores are also taken before each session, for the rules.
    baseline : (mean, sd) or (mean, sd, low, high), optional
        MADRS at entry, instead of the model's.
    relapse : str, optional
        Such as ``"relapse when MADRS >= 22 at 2 visits in a row after remission"``.
    response, remission : float, optional
        Share of improvement, and highest MADRS, that count.
    setting : str or list of str, optional
        What surrounds the treatment: ``"open label"`` or ``"blinded"`` (default), ``"hospital"``,
        ``"new oral drug"`` (an antidepressant begun with it) or ``"ongoing oral drug"``, ``"refractory"``. Each
        turns on a switch; their effects were fitted to the trials.
    switches : dict, optional
        Switches (``open_label``, ``hospital``, ``oral_antidepressant``, ``refractory``, ``naltrexone``,
        ``rapamycin``, ``drug_effect``, ``expectancy``) and any parameter of the model, by name.
    uncertainty : int
        Draws of the uncertain parameters, each run on 500 patients; 0 leaves them out.
    first : int
        Number of the first patient.
    threads : int, optional

    Returns
    -------
    CourseResult

    Raises
    ------
    InputError
        If something cannot be read.

    Examples
    --------
    >>> import kinetamine as kt
    >>> arm = kt.course(
    ...     "0.5 mg/kg iv over 40 min, three times weekly for 2 weeks",
    ...     n=2000, seed=1, weeks=12, rules="booster when MADRS >= 20 at a weekly visit for responders",
    ... )
    >>> arm.summary()["sessions"]["value"] > 6
    True
    """
    file = None
    if isinstance(regimen, str | Path) and (str(regimen) in _shipped() or str(regimen).endswith(".toml")):
        file = read_course(regimen)
        regimen = file.doses if isinstance(file.doses, str) else list(file.doses)
        rules = [*file.rules, *([rules] if isinstance(rules, str) else rules)]
        n, seed, model = _first(n, file.patients), _first(seed, file.seed), _first(model, file.model)
        relapse, remission = _first(relapse, file.relapse), _first(remission, file.remission)
        response, visits = _first(response, file.response), _first(visits, file.visits)
        baseline = _first(baseline, file.baseline)
        weeks = _first(weeks, file.weeks)
        setting = _first(setting, file.setting)
        switches = {**file.switches, **(switches or {})}
    n = whole("n", _first(n, _PATIENTS), 1, _MOST_PATIENTS)
    seed = whole("seed", _first(seed, 0), 0, 2**63)
    weeks = _inside("weeks", _first(weeks, _WEEKS), 0, _MOST_WEEKS)
    plan = Plan(
        regimen,
        weeks,
        model=_first(model, _MODEL),
        rules=rules,
        pk=pk,
        visits=visits,
        relapse=relapse,
        response=response,
        remission=remission,
        setting=setting,
        switches=switches,
        baseline=baseline,
    )
    arrays = plan.run(plan.values, n, seed, first=first, threads=threads)
    hours = float(plan.sessions.hours.mean()) if plan.sessions is not None else 0.0
    observation = settings().session.observation_h.value
    bands: dict[str, list[Any]] = {}
    for drawn in plan.model.draws(whole("uncertainty", uncertainty, 0, 10_000), seed, **plan.changes):
        one = plan.run(drawn, min(n, _PATIENTS_PER_DRAW), seed, first=first, threads=1)
        for name in ("mean", "response", "remission"):
            bands.setdefault(name, []).append(one[name])
        bands.setdefault("free", []).append(free_of_relapse(one, plan.visits))
        for name, (value, _) in endpoints(one, weeks, hours + observation).items():
            bands.setdefault(name, []).append(value)
    return CourseResult(
        arrays=arrays,
        bands={name: np.array(rows) for name, rows in bands.items()},
        title=file.title if file is not None else "",
        regimen=plan.phrases,
        rules=tuple(rule.describe() for rule in plan.rules),
        relapse=plan.relapse.describe(),
        n=n,
        seed=seed,
        weeks=weeks,
        response=plan.response,
        remission=plan.remission,
        session_h=hours,
        observation_h=observation,
        grade=plan.grade,
        notes=plan.notes,
        sources=(*(file.sources if file is not None else ()), *plan.sources),
        birth={
            "model": plan.model.id,
            "digest": plan.model.digest,
            "seed": seed,
            "patients": n,
            "version": version(),
            "changes": plan.changes,
            "score_max": plan.values["score_max"],
        },
    )


class Plan:
    """Everything about an arm that does not depend on patients or draws of parameters."""

    def __init__(
        self,
        regimen: Any,
        weeks: float,
        *,
        model: Any = _MODEL,
        rules: Any = (),
        pk: str | None = None,
        visits: Iterable[float] | None = None,
        relapse: str | None = None,
        response: float | None = None,
        remission: float | None = None,
        setting: str | Iterable[str] | None = None,
        switches: Mapping[str, float] | None = None,
        baseline: tuple[float, ...] | None = None,
    ) -> None:
        defaults = settings().endpoints
        self.model = models.load(model)
        surrounding = models.surroundings(setting or ())
        self.changes = surrounding | {name: float(value) for name, value in (switches or {}).items()}
        self.values = self.model.values(**self.changes)
        self.baseline = _baseline(baseline)
        self.rules = visit_rules.parse_all(rules)
        self.relapse = visit_rules.parse_relapse(_first(relapse, defaults.relapse.rule))
        self.response = float(_inside("response", _first(response, defaults.response.value), 0, 1))
        self.remission = float(_inside("remission", _first(remission, defaults.remission.value), 0, 60))
        self.end_d = 7.0 * weeks
        self.visits = _visit_days(visits, self.end_d)
        weekly = (self.visits > 0) & (np.abs(self.visits % 7) < 1e-6)
        if any(rule.place == "weekly" for rule in self.rules) and not weekly.any():
            given = f"no visit at a multiple of 7 days in {self.end_d:g} days"
            raise InputError("rules", given, "a weekly visit for a rule that asks at one", "'at a visit'")
        self.pk = pk
        self.sessions: strength.Sessions | None = None
        self.phrases: tuple[str, ...] = ("no drug",)
        self._kept = np.zeros(0, bool)
        if regimen is not None:
            read = Regimen.parse(list(regimen) if not isinstance(regimen, str | Dose | Regimen) else regimen)
            self.phrases = tuple(read.describe().split("; "))
            self._last = read.expanded()[-1]
            self.sessions = self._exposure(read)
            self._kept = self.sessions.times_h / 24 <= self.end_d + 1e-9
        elif any(rule.action == "booster" for rule in self.rules):
            raise InputError("rules", "a booster without a regimen", "a regimen that says what is given")
        self._doses = {rule.dose: self._exposure(self._like(rule.dose)) for rule in self.rules if rule.dose}
        beyond = tuple(self._beyond())
        self.grade = "extrapolated" if beyond else "fitted"
        seen = self.sessions.notes if self.sessions is not None else ()
        reference = f"reference session: {self.model.reference.dose}"
        around = ", ".join(word for word, switch in models.SETTINGS.items() if self.values.get(str(switch)))
        self.notes = (
            *beyond,
            f"setting: {around or 'blinded, no new oral drug'}",
            "scores: MADRS",
            reference,
            *seen,
            *self.model.notes[:2],
        )
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
        u = strength.strength(self.sessions.s, self.sessions.r, self.values)
        if u.min() < applies.strength[0] or u.max() > applies.strength[1]:
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

    def run(self, values: Mapping[str, float], n: int, seed: int, **more: Any) -> dict[str, Any]:
        """The arm in `n` patients with these parameter values."""

        def of(words: str) -> float:
            one = self._doses[words]
            return float(strength.strength(one.s, one.r, values)[0])

        times, u = np.zeros(0), np.zeros(0)
        if self.sessions is not None:
            times = self.sessions.times_h[self._kept]
            u = strength.strength(self.sessions.s, self.sessions.r, values)[self._kept]
        last_d = float(times.max()) / 24 if times.size else 0.0
        return kernel.simulate_arm(
            values,
            times,
            u,
            n,
            seed,
            self.visits,
            response=self.response,
            remission=self.remission,
            rules=visit_rules.table(self.rules, of, self.response, self.remission),
            booster=float(u[-1]) if u.size else math.nan,
            relapse=visit_rules.relapse_table(self.relapse, last_d),
            baseline=self.baseline,
            end_d=self.end_d,
            **more,
        )


def _first(given: Any, other: Any) -> Any:
    return other if given is None else given


def whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
        raise InputError(name, repr(value)[:60], f"a whole number from {low} to {high:,}")
    return int(value)


def _inside(name: str, value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value <= high:
        raise InputError(name, repr(value)[:60], f"a number above {low:g}, at most {high:g}")
    return float(value)


def _visit_days(visits: Iterable[float] | None, end_d: float) -> np.ndarray:
    if visits is None:
        days = np.append(np.arange(0.0, end_d + 1e-9, 7.0), end_d)
    else:
        days = np.asarray(list(visits), float)
        if not days.size or not np.isfinite(days).all() or days.min() < 0 or days.max() > end_d:
            raise InputError("visits", str(days.tolist())[:80], f"days from 0 to {end_d:g}, at least one")
    return np.unique(np.round(days, 9))


def _baseline(baseline: tuple[float, ...] | None) -> tuple[float, ...] | None:
    if baseline is None:
        return None
    fine = len(baseline) in (2, 4) and all(0 <= x < 60 for x in baseline) and baseline[0] > 0
    if not fine or (len(baseline) == 4 and not 0 < baseline[2] < baseline[3]):
        raise InputError("baseline", baseline, "(mean, sd) or (mean, sd, low, high), MADRS", "(32, 5.5)")
    return tuple(map(float, baseline))
