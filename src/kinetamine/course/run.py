"""One group through one course: regimen + rules + course model → `CourseResult`."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from kinetamine.course import model as models
from kinetamine.course.plan import MODEL, Plan, first_of, inside, whole
from kinetamine.course.result import CourseResult, endpoints, free_of_relapse
from kinetamine.course.settings import settings
from kinetamine.dosing import Dose, Regimen
from kinetamine.errors import UnknownName
from kinetamine.records import Record, read_toml
from kinetamine.version import version

__all__ = ["USUAL_CARE", "CourseFile", "available_courses", "course", "read_course"]

_MOST_WEEKS = 520
_MOST_PATIENTS = 20_000_000
_PATIENTS, _WEEKS = 1000, 26
#: draws behind an interval, and patients in each
_DRAWS, _PATIENTS_PER_DRAW = 60, 500
#: draws over which the patients of the group itself are dealt out
_DEALT = 400
#: patients of the same group without ketamine
_PATIENTS_WITHOUT = 20_000
#: who is counted once people leave
Counted = Literal["stay", "completers", "last observation", "non-responder"]
#: what a regimen without sessions is called
USUAL_CARE = "usual care"


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
    age: float | None = None
    trial: str | None = None
    new_trial: bool | None = None
    counted: Counted | None = None
    select: str | None = None
    crisis: tuple[float, float] | None = None
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
    age: float | None = None,
    trial: str | None = None,
    new_trial: bool | None = None,
    counted: str | None = None,
    select: str | None = None,
    crisis: tuple[float, float] | None = None,
    uncertainty: int = _DRAWS,
    first: int = 0,
    threads: int | None = None,
) -> CourseResult:
    """A group of patients through a course of treatment. Not for a person.

    Parameters
    ----------
    regimen : str, Regimen, list or None
        Dose phrases, the id of a shipped course (`available_courses`) or a course file. A phrase that begins with
        "sham" gives the same sessions without drug, as a blinded control has them; None or ``"usual care"``: no
        sessions at all.
    n, seed : int
        Patients (default 1000) and the key of their draws (0). The same patient is the same in every arm.
    model : str
        ``"hierarchical"`` (default), or a course model file.
    rules : str or list of str
        Visit rules; see `kinetamine.course.rules`. They are asked in order at every score.
    weeks : float
        Length of the follow-up, 26 weeks unless a course file says otherwise.
    pk : str, optional
        PK model that carries all routes.
    visits : array, d, optional
        Days of scores; default day 0, day 1 and weekly. Scores are also taken before each session, for the rules.
    baseline : (mean, sd) or (mean, sd, low, high), optional
        MADRS at entry, instead of the model's.
    relapse : str, optional
        Such as ``"relapse when MADRS >= 22 at 2 visits in a row after remission"``.
    response, remission : float, optional
        Share of improvement, and highest MADRS, that count.
    setting : str or list of str, optional
        What surrounds the treatment: ``"open label"`` or ``"blinded"`` (default), ``"open label until week 16"``,
        ``"hospital"``, ``"new oral drug"`` (an antidepressant begun with it) or ``"ongoing oral drug"``,
        ``"refractory"``. Each turns on a switch; their effects were fitted to the trials.
    switches : dict, optional
        Switches (``open_label``, ``hospital``, ``oral_antidepressant``, ``refractory``, ``naltrexone``,
        ``rapamycin``, ``drug_effect``, ``expectancy``) and any parameter of the model, by name.
    age : float, optional, years
        Of all patients, default 45; above 50 it matters, by a prior from trials of oral drugs alone.
    trial : str, optional
        A fitted trial (``trials`` of the model): the group is one more of it, instead of a new trial.
    new_trial : bool
        Whether each draw of the posterior comes with a new trial's effects (default); False: the average trial.
    counted : str
        ``"stay"`` (default): nobody leaves. Else people leave, the worse rather, and who has left is counted as
        ``"completers"``: not at all; ``"last observation"``: as last seen; ``"non-responder"``.
    select : str, optional
        ``"response at day 28"``, ``"remission at week 4"``: only those who have it then are followed and counted.
    crisis : (day, points), optional
        All scores rise by so many points that day and fall back at the pace of the illness.
    uncertainty : int
        Draws of the posterior behind each interval, each run on 500 patients. 0 leaves intervals out and takes
        the medians of all parameters in the average trial.
    first : int
        Number of the first patient.
    threads : int, optional

    Returns
    -------
    CourseResult
        Values are expectations over the posterior and over new trials: the patients are dealt out over draws.

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
        n, seed, model = first_of(n, file.patients), first_of(seed, file.seed), first_of(model, file.model)
        relapse, remission = first_of(relapse, file.relapse), first_of(remission, file.remission)
        response, visits = first_of(response, file.response), first_of(visits, file.visits)
        baseline = first_of(baseline, file.baseline)
        weeks = first_of(weeks, file.weeks)
        setting = first_of(setting, file.setting)
        switches = {**file.switches, **(switches or {})}
        age, trial, select = (
            first_of(age, file.age),
            first_of(trial, file.trial),
            first_of(select, file.select),
        )
        new_trial, counted = first_of(new_trial, file.new_trial), first_of(counted, file.counted)
        crisis = first_of(crisis, file.crisis)
    if isinstance(regimen, str) and regimen == USUAL_CARE:
        regimen = None
    new_trial, counted = first_of(new_trial, True), first_of(counted, "stay")
    n = whole("n", first_of(n, _PATIENTS), 1, _MOST_PATIENTS)
    seed = whole("seed", first_of(seed, 0), 0, 2**63)
    weeks = inside("weeks", first_of(weeks, _WEEKS), 0, _MOST_WEEKS)
    uncertainty = whole("uncertainty", uncertainty, 0, 10_000)
    plan = Plan(
        regimen,
        weeks,
        model=first_of(model, MODEL),
        rules=rules,
        pk=pk,
        visits=visits,
        relapse=relapse,
        response=response,
        remission=remission,
        setting=setting,
        switches=switches,
        baseline=baseline,
        age=age,
        trial=trial,
        new_trial=new_trial,
        counted=counted,
        select=select,
        crisis=crisis,
    )
    dealt = plan.draws(_DEALT, seed) if uncertainty else [plan.values]
    arrays = plan.run(dealt, n, seed, first=first, threads=threads)
    hours = float(plan.sessions.hours.mean()) if plan.sessions is not None else 0.0
    observation = settings().session.observation_h.value
    drawn = plan.draws(uncertainty, seed)
    bands = _bands(plan, drawn, min(n, _PATIENTS_PER_DRAW), seed, first, weeks, hours + observation)
    usual = plan.without() if plan.sessions is not None else None
    without = {}
    if usual is not None:
        # ever and relapse mean little without what would have happened anyway
        alone = usual.run(dealt, min(n, _PATIENTS_WITHOUT), seed, first=first, threads=threads)
        without = {k: v for k, (v, _) in endpoints(alone, weeks, 0.0).items()}
    return CourseResult(
        arrays=arrays,
        bands=bands,
        without=without,
        horizon_weeks=plan.model.applies.weeks,
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
            "trial": trial or ("new" if new_trial else "average"),
            "counted": counted,
            "score_max": plan.values["score_max"],
        },
    )


def _bands(
    plan: Plan, drawn: list[dict[str, float]], n: int, seed: int, first: int, weeks: float, hours: float
) -> dict[str, np.ndarray]:
    """What each draw alone makes of the group: arrays (draw, visit) and (draw,).

    Each draw has patients of its own, so that no band leans to one side with the few patients behind it.
    """
    bands: dict[str, list[Any]] = {}
    for k, values in enumerate(drawn):
        one = plan.run(values, n, seed, first=first + k * n, threads=1)
        for name in ("mean", "response", "remission"):
            bands.setdefault(name, []).append(one[name])
        bands.setdefault("free", []).append(free_of_relapse(one, plan.visits))
        for name, (value, _) in endpoints(one, weeks, hours).items():
            bands.setdefault(name, []).append(value)
    return {name: np.array(rows) for name, rows in bands.items()}
