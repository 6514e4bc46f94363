"""A scenario: model(s), doses, people, times and outputs, read from a TOML file or from command-line words.

Both faces make the same plain mapping, and this one place reads and checks it. All faults are reported at
once, each under the name its writer used (``population.n`` in a file, ``--patients`` on the command line).

::

    model = "kamp_2020_meta_racemic"          # or a list; a path ending in .toml is a model file of your own
    doses = "35 mg iv over 40 min"            # a phrase, a list of phrases, or [[doses]] tables
    # events = "table.csv"                    # instead of doses: a NONMEM-style table
    until = "28 d"                            # or times = [0.5, 1, "90 min"]
    step = "1 h"
    outputs = ["S-ketamine"]                  # default: all
    with = ["clarithromycin"]                 # other drugs that change the curve
    condition = "hepatic impairment moderate" # and diseases, genes: see kinetamine interactions
    product = "esketamine nasal"              # for kinetamine check, as are conditions, medications and [visit]
    conditions = ["history of psychosis"]
    medications = ["lamotrigine"]
    [visit]                                   # what was measured at the visit
    sbp = 150
    dbp = 85
    [population]                              # or [patient]; neither is the typical patient of the model
    n = 1000
    seed = 1
    age = [18, 65]
    weight = 80                               # any covariate of the model, the same for all
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from kinetamine import questions, units
from kinetamine.errors import Fault, FaultyFile, InputError, KinetamineError, NoData, nearest
from kinetamine.questions import people
from kinetamine.questions.simulate import CARRY
from kinetamine.questions.tables import TableOptions
from kinetamine.records import parse_toml

if TYPE_CHECKING:
    from kinetamine.dosing import EventTable, Regimen
    from kinetamine.models.spec import ModelSpec
    from kinetamine.population import Patient, Population
    from kinetamine.results import Result, TableResult

__all__ = ["Scenario", "of_question", "read", "read_file"]

#: what a patient has whether or not the model asks for it (mg/kg doses need the weight)
_ALWAYS_KNOWN = ("age", "sex", "weight", "height")
#: more time points than this are a slip of the unit, not a wish
_MOST_TIMES = 1_000_000
_MOST_PATIENTS = 1_000_000_000
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Scenario:
    """One complete, checked request; `run` hands it to `simulate`.

    Examples
    --------
    >>> scenario = read({"model": "otto_2021_s_ketamine", "doses": "10 mg iv over 30 min", "until": "6 h"})
    >>> scenario.until_h
    6.0
    """

    models: tuple[ModelSpec, ...]
    doses: Regimen | EventTable
    people: Patient | Population | None = None
    times_h: tuple[float, ...] | None = None
    until_h: float | None = None
    step_h: float | None = None
    outputs: tuple[str, ...] | None = None
    quantiles: tuple[float, ...] = (0.05, 0.5, 0.95)
    exposure_from_h: float = 0.0
    exposure_to_h: float | None = None
    carry: str = "next"
    occasion_h: float = 24.0
    on_failure: str = "raise"
    stream: bool = False
    with_: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()
    product: str = ""
    conditions: tuple[str, ...] = ()
    medications: tuple[str, ...] = ()
    visit: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    #: why these models, when nobody named one
    chosen: str = ""
    title: str = ""
    notes: str = dataclasses.field(default="", compare=False)

    def run(
        self,
        progress: Callable[[int, int], None] | None = None,
        notify: Callable[[str], None] | None = None,
        executor: Any = None,
    ) -> Result | TableResult:
        """Simulate it.

        Parameters
        ----------
        progress : callable, optional
            Called with (patients done, patients in all) now and then.
        notify : callable, optional
            Called with a sentence when something takes long, such as the first compilation of a model.
        executor : optional
            Who computes, as `kinetamine.simulate` takes it.
        """
        from kinetamine.simulate import simulate

        if self.with_ or self.condition:
            names = ", ".join((*self.with_, *self.condition))
            cure = "kinetamine.safety.interactions.applied(scenario).run()"
            raise InputError("with", names, "models that have been changed by it", cure)
        return simulate(
            self.models[0] if len(self.models) == 1 else list(self.models),
            self.doses,
            self.people,
            times=None if self.times_h is None else list(self.times_h),
            until=self.until_h,
            step=self.step_h,
            outputs=None if self.outputs is None else list(self.outputs),
            on_failure=self.on_failure,
            carry=self.carry,
            occasion_h=self.occasion_h,
            keep="bands" if self.stream else "auto",
            quantiles=self.quantiles,
            progress=progress,
            notify=notify,
            executor=executor,
        )


def read_file(path: str | Path) -> dict[str, Any]:
    """The plain mapping in a scenario file; files it names are made relative to its folder.

    Raises
    ------
    InputError
        If the file cannot be read or is not TOML.
    """
    path = Path(path)
    if not path.is_file():
        close = (
            nearest(path.name, (p.name for p in path.parent.glob("*.toml"))) if path.parent.is_dir() else []
        )
        raise InputError("scenario", repr(str(path)), "a TOML file that exists", " or ".join(close))
    if path.stat().st_size > _MOST_BYTES:
        raise InputError("scenario", repr(str(path)), f"a file of at most {_MOST_BYTES // 10**6} MB")
    mapping = parse_toml(path.read_bytes(), str(path))
    for key in ("model", "events"):
        mapping[key] = _beside(mapping[key], path.parent) if key in mapping else None
    population = mapping.get("population")
    if isinstance(population, dict) and isinstance(population.get("table"), str):
        population["table"] = str(path.parent / population["table"])
    return {key: value for key, value in mapping.items() if value is not None}


def _beside(value: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_beside(v, folder) for v in value]
    if isinstance(value, str) and value.endswith((".toml", ".csv")):
        return str(folder / value)
    return value


def read(
    request: Mapping[str, Any], name: str = "scenario", places: Mapping[str, str] | None = None
) -> Scenario:
    """Check a plain mapping and make a scenario of it.

    Parameters
    ----------
    request : mapping
        As it stands in a scenario file.
    name : str
        What the mapping is called when more than one thing is wrong with it.
    places : mapping, optional
        What the writer calls a key (``{"population.n": "--patients"}``).

    Raises
    ------
    InputError
        With every fault found; a single fault keeps its own kind.
    """
    values, said = questions.Scenario.from_file(request)
    faults = []
    if "population" in request and "patient" in request:
        faults = [
            Fault("patient", "[patient] and [population]", "one of the two", "[population] with fixed values")
        ]
    elif isinstance(request.get("population"), Mapping) and not {"n", "table", "people"} & set(
        request["population"]
    ):
        faults = [Fault("population.n", "nothing", "the number of patients", "n = 1000")]
    named = {field: (places or {}).get(key, key) for field, key in said.items()}
    return _Reader(values, name, named, "file", faults).scenario()


def of_question(
    values: Mapping[str, Any],
    name: str,
    face: str,
    places: Mapping[str, str] | None = None,
    regimen: Regimen | None = None,
) -> Scenario:
    """Check what a command line, a request or both over a file said, by field of `kinetamine.questions.Scenario`.

    Parameters
    ----------
    values : mapping
    name : str
        What the whole is called when more than one thing is wrong with it.
    face : str
        ``command line`` or ``request``: how a field is called there.
    places : mapping, optional
        Fields that are called otherwise (``{"patients": "population.n"}``).
    regimen : Regimen, optional
        The doses, where they were read already.

    Raises
    ------
    InputError
        With every fault found.
    """
    return _Reader(values, name, dict(places or {}), face, [], regimen).scenario()


class _Wrong(Exception):
    """A value that has been reported already."""


class _Reader:
    def __init__(
        self,
        values: Mapping[str, Any],
        name: str,
        places: dict[str, str],
        face: str,
        faults: list[Fault],
        regimen: Regimen | None = None,
    ) -> None:
        self.regimen, self.chosen = regimen, ""
        self.name, self.places, self.face, self.faults = name, places, face, faults
        self.first: KinetamineError | None = None
        self.said = {said.name: said for said in questions.Scenario.said()}
        #: fields whose form is wrong, reported already
        self.unfit: set[str] = set()
        self.asked = self.form(dict(values))

    def form(self, values: dict[str, Any]) -> questions.Scenario:
        """The record; fields whose form is wrong are reported and left out, so that the others are looked at too."""
        try:
            return questions.Scenario.model_validate(values, strict=False)
        except ValidationError as error:
            self.faults += questions.Scenario.faults(error, self.face, self.places)
            self.unfit = {str(item["loc"][0]) for item in error.errors(include_url=False)}
            self.unfit |= {name for name, said in self.said.items() if said.key in self.unfit}
        fit = {key: value for key, value in values.items() if key not in self.unfit}
        return questions.Scenario.model_validate(fit, strict=False)

    # ---- faults

    def place(self, field: str) -> str:
        """What the writer calls a field; of ``set.weight`` the covariate."""
        if field in self.places:
            return self.places[field]
        name, dot, inner = field.partition(".")
        if name not in self.said:
            return field
        outer = self.said[name].place(self.face)
        return f"{outer} {inner}" if dot and self.face == "command line" else outer + dot + inner

    def fault(self, field: str, given: object, expected: str, try_: str = "") -> None:
        self.faults.append(Fault(self.place(field), str(given), expected, try_))

    def caught(self, field: str, error: InputError) -> None:
        """Keep the faults found by another room, under the name this request gives the place."""
        if self.first is None:
            self.first = error
        by_key = {said.toml: name for name, said in self.said.items()}
        for f in error.faults:
            if isinstance(error, FaultyFile):
                where = f.where if f.where.startswith(error.name) else f"{error.name}: {f.where}"
            elif f.where in by_key:
                where = self.place(by_key[f.where])
            else:
                place = self.place(field)
                where = f.where if place in f.where else place if f.where in place else f"{place}: {f.where}"
            self.faults.append(Fault(where, f.given, f.expected, f.try_))

    def stop_if_faulty(self) -> None:
        if not self.faults:
            return
        if isinstance(self.first, FaultyFile) and len(self.faults) == len(self.first.faults):
            raise self.first  # all of it is in a model file or a table, which has its own name
        if len(self.faults) == 1 and self.name in ("command line", "request"):
            fault = self.faults[0]
            raise InputError(fault.where, fault.given, fault.expected, fault.try_) from self.first
        raise FaultyFile(self.name, self.faults) from self.first

    def unknown(self, field: str, word: str, known: Iterable[str], what: str) -> None:
        known = list(known)
        close = nearest(word, known)
        cure = " or ".join(repr(c) for c in close) if close else "one of " + ", ".join(known)
        self.fault(field, repr(word), what, cure)

    def wrong(self, field: str, given: object, expected: str, try_: str = "") -> _Wrong:
        self.fault(field, given, expected, try_)
        return _Wrong()

    def hours(self, field: str, value: Any, positive: bool = False) -> float:
        try:
            hours = float(units.read(value, "h", self.place(field)))
        except InputError as error:
            self.caught(field, error)
            raise _Wrong from None
        if not math.isfinite(hours) or hours < 0 or (positive and hours == 0):
            least = "a time above zero" if positive else "a time of at least zero"
            raise self.wrong(field, repr(value), least, "'1 h'")
        return hours

    # ---- the scenario, subject by subject

    def scenario(self) -> Scenario:
        asked = self.asked
        models = self.models()
        self.fitting_fields()
        made: dict[str, Any] = {
            "models": models,
            "carry": asked.carried_from() or "next",
            "on_failure": asked.on_failure,
            "stream": asked.stream,
            "visit": dict(asked.visit),
            "product": asked.product or "",
            "chosen": self.chosen,
            "title": asked.title,
            "notes": asked.notes,
        }
        made |= {key: tuple(_several(getattr(asked, key))) for key in ("with_", "condition")}
        made |= {key: tuple(_several(getattr(asked, key))) for key in ("conditions", "medications")}
        for key, make in (
            ("doses", self.doses),
            ("people", self.people),
            ("times_h", self.times),
            ("until_h", lambda models: self.time("until")),
            ("step_h", lambda models: self.time("step")),
            ("occasion_h", lambda models: self.time("occasion", 24.0)),
            ("exposure_from_h", lambda models: self.time("exposure_from", 0.0, positive=False)),
            ("exposure_to_h", lambda models: self.time("exposure_to")),
            ("outputs", self.outputs),
            ("quantiles", self.quantiles),
        ):
            try:
                made[key] = make(models)
            except _Wrong:
                made[key] = None
            except InputError as error:
                self.caught({"people": "set"}.get(key, key.removesuffix("_h")), error)
        if not self.faults and made["until_h"] is not None and made["step_h"] is not None:
            points = made["until_h"] / made["step_h"]
            if points > _MOST_TIMES:
                self.fault("step", f"{points:.3g} times", f"at most {_MOST_TIMES:,} times", "a longer step")
        self.stop_if_faulty()
        return Scenario(**made)

    def fitting_fields(self) -> None:
        """Nothing asked for is silently without effect."""
        table = self.asked.events is not None
        for name in () if table else self.asked.reading().get("carry", ()):
            if nearest(name, CARRY):  # without a table no column is meant
                self.unknown("carry", name, CARRY, f"next, last, or columns of {self.place('events')}")
        read = [*TableOptions.model_fields, "carry", "also"]
        for field in ("times", "until", "step", "stream", "quantiles") if table else read:
            if value := getattr(self.asked, field):
                why = f"nothing: {self.place('events')} says when to look, one row per observation record"
                self.fault(field, value, why if table else f"{self.place('events')} with it")
        if self.asked.patients is None and self.asked.table is None and self.asked.people is None:
            for said, value in self.asked.told():
                if said.toml.startswith("population.") and said.name not in ("seed", "set"):
                    many = f"{self.place('patients')} with it"
                    self.fault(said.name, repr(value), many, self.said["patients"].shown(self.face))

    def models(self) -> tuple[ModelSpec, ...]:
        from kinetamine.models import library

        if self.asked.model is None:
            return () if "model" in self.unfit else self.usual()
        specs: list[ModelSpec] = []
        for one in self.asked.model if isinstance(self.asked.model, list) else [self.asked.model]:
            try:
                spec = library.load(
                    one if isinstance(one, str) else library.load_text(one.text), runnable=True
                )
            except InputError as error:
                self.caught("model", error)
                continue
            if any(spec.id == other.id for other in specs):
                self.fault("model", repr(one), "each model once", "leave it out")
            specs.append(spec)
        return tuple(specs)

    def usual(self) -> tuple[ModelSpec, ...]:
        """The models that nobody named: those that effects are computed from."""
        from kinetamine import choice
        from kinetamine.dosing import Regimen
        from kinetamine.models import library

        doses = self.asked.doses
        if self.asked.events is not None or (
            doses and not isinstance(doses, str) and dict in map(type, doses)
        ):
            self.fault("model", "nothing", "the id of a model or a model file", "otto_2021_s_ketamine")
        if not doses or self.faults:
            return ()
        try:
            routes = {route for entry in library.available() for route in entry.routes}
            read = Regimen.parse(_several(doses), entries=routes)  # type: ignore[arg-type]
            names, self.regimen, self.chosen = choice.usual(read, people.of(self.asked))
        except NoData as error:
            self.caught("model", error)
            return ()
        except InputError:  # it is said where doses and people are read
            return ()
        if self.asked.with_ or self.asked.condition:
            names = names[:1]
        return tuple(library.load(name, runnable=True) for name in names)

    def doses(self, models: tuple[ModelSpec, ...]) -> Any:
        from kinetamine.dosing import EventTable, Regimen
        from kinetamine.dosing.table_options import on_command_line

        if self.regimen is not None:
            return self.regimen
        entries = list(dict.fromkeys(route for m in models for route in m.entries))
        fields = list(dict.fromkeys(f for m in models for f in m.dose_fields))
        value, events = self.asked.doses, self.asked.events
        if value is not None and events is not None:
            raise self.wrong(
                "events", repr(events), f"either {self.place('doses')} or {self.place('events')}"
            )
        if events is not None:
            if not models:
                raise _Wrong
            how: Any = {**self.asked.reading(), "say": on_command_line}
            if len(models) == 1:
                return EventTable.for_model(events, models[0], **how)
            covariates = {name: one for m in models for name, one in m.covariates.items()}
            how.setdefault("no_dose", False)
            return EventTable.read(events, covariates, fields, entries=entries, **how)
        if not value:
            if "doses" in self.unfit or "events" in self.unfit:
                raise _Wrong
            raise self.wrong("doses", "nothing", "a dose phrase", "'0.5 mg/kg iv over 40 min'")
        items = value if isinstance(value, list) else [value]
        regimens: list[Regimen] = []
        faults = len(self.faults)
        for number, item in enumerate(items, start=1):
            field = "doses" if len(items) == 1 else f"doses[{number}]"
            self.places.setdefault(field, self.place("doses"))
            try:
                if isinstance(item, str):
                    regimens.append(Regimen.parse(item, entries=entries, fields=fields))
                else:
                    regimens.append(Regimen.from_toml([item], entries=entries, fields=fields))
            except InputError as error:
                self.caught(field, error)
        if len(self.faults) > faults:
            raise _Wrong
        return Regimen(tuple(dose for regimen in regimens for dose in regimen.doses))

    def people(self, models: tuple[ModelSpec, ...]) -> Any:
        """A patient or a population, made covariate by covariate, so that each fault is found."""
        from kinetamine.population import Patient, Population

        try:
            if (person := people.drawn(self.asked)) is not None:
                return person
        except InputError as error:
            self.caught(error.faults[0].where if error.faults[0].where in self.said else "people", error)
            raise _Wrong from None
        options = people.options(self.asked)
        many = bool(options) or bool({"patients", "table"} & self.unfit)
        if not many and not self.asked.set:
            return None
        kind: Callable[..., Any] = Population if many else Patient
        faults = len(self.faults)
        if isinstance(options.get("age"), str):
            try:
                options["age"] = people.ages(options["age"], self.place("age"))
            except InputError as error:
                self.caught("age", error)
                del options["age"]
        if options.get("n", 0) > _MOST_PATIENTS:
            self.fault("patients", options["n"], f"a whole number from 1 to {_MOST_PATIENTS}", "1000")
        fixed = self.covariates(models, many)
        if many and not options:
            raise _Wrong
        if len(self.faults) == faults:
            for key, value in fixed.items():
                try:
                    kind(**options, **{key: value})
                except InputError as error:
                    self.caught(f"set.{key}", error)
        if len(self.faults) > faults or "set" in self.unfit:
            raise _Wrong
        found = kind(**options, **fixed)
        for spec in models:
            found.covariates(spec, 0, 1, together=models)
        return found

    def covariates(self, models: tuple[ModelSpec, ...], many: bool) -> dict[str, Any]:
        """Those of the given names that are covariates; the others are faults."""
        declared = dict.fromkeys(name for m in models for name in m.covariates)
        taken = {
            said.toml.rpartition(".")[2]: said for said in self.said.values() if "population." in said.toml
        }
        out: dict[str, Any] = {}
        for key, value in self.asked.set.items():
            said = taken.get(key)
            if said is not None and (key != "age" or self.asked.age is not None):
                # what is an option of the population is no covariate; an age is both
                self.fault(f"set.{key}", repr(value), "the name of a covariate", said.place(self.face))
                continue
            # without a model any name may be a covariate; one that is nearly an option is a slip all the same
            strange = bool(models) or bool(nearest(key, taken if many else ()))
            if strange and key not in declared and key not in _ALWAYS_KNOWN:
                known = [*(taken if many else ()), *dict.fromkeys((*_ALWAYS_KNOWN, *declared))]
                self.unknown(f"set.{key}", key, known, "a covariate")
                continue
            out[key] = tuple(value) if isinstance(value, list) else value
        return out

    def times(self, models: object) -> tuple[float, ...] | None:
        value = self.asked.times
        if value is None:
            return None
        for other in ("until", "step"):
            if getattr(self.asked, other) is not None:
                raise self.wrong(
                    "times", f"it and {self.place(other)}", f"either times or {self.place(other)}"
                )
        if isinstance(value, str):
            parts: list[Any] = _share_last_unit([p.strip() for p in value.split(",")])
        else:
            parts = list(value) if isinstance(value, list) else [value]
        if not parts or len(parts) > _MOST_TIMES:
            raise self.wrong("times", repr(value)[:60], "a list of times", "0.5,1,2 h")
        hours = tuple(self.hours("times", p) for p in parts)
        for a, b in itertools.pairwise(hours):
            if b < a:
                raise self.wrong("times", f"{b:g} h after {a:g} h", "times that increase")
        return hours

    def time(self, field: str, usual: float | None = None, positive: bool = True) -> float | None:
        value = getattr(self.asked, field)
        return usual if value is None else self.hours(field, value, positive)

    def outputs(self, models: tuple[ModelSpec, ...]) -> tuple[str, ...] | None:
        value = self.asked.outputs
        if value is None:
            return None
        known = dict.fromkeys(o for m in models for o in m.outputs)
        names = [p.strip() for p in (value.split(",") if isinstance(value, str) else value)]
        for name in names:
            if models and name not in known:
                self.unknown("outputs", name, known, "an output of the model")
        return tuple(names)

    def quantiles(self, models: object) -> tuple[float, ...]:
        value = self.asked.quantiles
        if value is None:
            return (0.05, 0.5, 0.95)
        try:
            parts: list[Any] = value.split(",") if isinstance(value, str) else value
            numbers = tuple(map(float, parts))
        except ValueError:
            numbers = ()
        if not numbers or not all(0 < q < 1 for q in numbers) or list(numbers) != sorted(set(numbers)):
            raise self.wrong("quantiles", repr(value), "increasing numbers between 0 and 1", "0.05,0.5,0.95")
        return numbers


def _several(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _share_last_unit(parts: list[str]) -> list[str]:
    """``5,10,15 min``: a unit after the last number only is meant for all of them."""
    bare = [p[-1:].isdigit() or p.endswith(".") for p in parts]
    if len(parts) > 1 and all(bare[:-1]) and not bare[-1]:
        unit = parts[-1].lstrip("+-.0123456789eE").strip()
        return [f"{p} {unit}" for p in parts[:-1]] + parts[-1:]
    return parts
