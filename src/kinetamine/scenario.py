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

import contextlib
import itertools
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetamine import units
from kinetamine.errors import Fault, FaultyFile, InputError, KinetamineError, nearest

if TYPE_CHECKING:
    from kinetamine.dosing import EventTable, Regimen
    from kinetamine.models.spec import ModelSpec
    from kinetamine.population import Patient, Population
    from kinetamine.results import Result, TableResult

__all__ = ["Scenario", "read", "read_file"]

_KEYS = (
    "format",
    "title",
    "notes",
    "model",
    "doses",
    "events",
    "times",
    "until",
    "step",
    "outputs",
    "quantiles",
    "population",
    "patient",
    "carry",
    "occasion",
    "on_failure",
    "stream",
    "with",
    "condition",
    "product",
    "conditions",
    "medications",
    "visit",
)
_POPULATION_KEYS = ("n", "seed", "age", "sex", "variability", "uncertainty", "residual", "table")
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
    carry: str = "next"
    occasion_h: float = 24.0
    on_failure: str = "raise"
    stream: bool = False
    with_: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()
    product: str = ""
    conditions: tuple[str, ...] = ()
    medications: tuple[str, ...] = ()
    visit: Mapping[str, Any] = field(default_factory=dict, hash=False)
    title: str = ""
    notes: str = field(default="", compare=False)

    def run(
        self,
        progress: Callable[[int, int], None] | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> Result | TableResult:
        """Simulate it.

        Parameters
        ----------
        progress : callable, optional
            Called with (patients done, patients in all) now and then.
        notify : callable, optional
            Called with a sentence when something takes long, such as the first compilation of a model.
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
    try:
        mapping = tomllib.loads(path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        fault = Fault(f"byte {error.start}", "bytes that are not UTF-8", "a TOML file in UTF-8")
        raise FaultyFile(str(path), [fault]) from None
    except tomllib.TOMLDecodeError as error:
        fault = Fault("TOML", str(error), "valid TOML", 'a line like: model = "otto_2021_s_ketamine"')
        raise FaultyFile(str(path), [fault]) from None
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
    return _Reader(request, name, dict(places or {})).scenario()


class _Wrong(Exception):
    """A value that has been reported already."""


class _Reader:
    def __init__(self, request: Mapping[str, Any], name: str, places: dict[str, str]) -> None:
        self.request = request
        self.name = name
        self.places = places
        self.faults: list[Fault] = []
        self.first: KinetamineError | None = None

    # ---- faults

    def place(self, key: str) -> str:
        return self.places.get(key, key)

    def fault(self, key: str, given: object, expected: str, try_: str = "") -> None:
        self.faults.append(Fault(self.place(key), str(given), expected, try_))

    def caught(self, key: str, error: InputError) -> None:
        """Keep the faults found by another room, under the name this request gives the place."""
        if self.first is None:
            self.first = error
        for f in error.faults:
            if isinstance(error, FaultyFile):
                where = f.where if f.where.startswith(error.name) else f"{error.name}: {f.where}"
            elif f.where in self.places:
                where = self.places[f.where]
            else:
                place = self.place(key)
                where = f.where if place in f.where else place if f.where in place else f"{place}: {f.where}"
            self.faults.append(Fault(where, f.given, f.expected, f.try_))

    def stop_if_faulty(self) -> None:
        if not self.faults:
            return
        if isinstance(self.first, FaultyFile) and len(self.faults) == len(self.first.faults):
            raise self.first  # all of it is in a model file or a table, which has its own name
        if len(self.faults) == 1 and self.name == "command line":
            fault = self.faults[0]
            raise InputError(fault.where, fault.given, fault.expected, fault.try_) from self.first
        raise FaultyFile(self.name, self.faults) from self.first

    def unknown(self, key: str, word: str, known: Iterable[str], what: str) -> None:
        known = list(known)
        close = nearest(word, known)
        cure = " or ".join(repr(c) for c in close) if close else "one of " + ", ".join(known)
        self.fault(key, repr(word), what, cure)

    # ---- plain values

    def hours(self, key: str, value: Any, positive: bool = False) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            self.fault(key, repr(value), "a time with a unit", "'6 h'")
            raise _Wrong
        try:
            hours = float(units.read(value, "h", self.place(key)))
        except InputError as error:
            self.caught(key, error)
            raise _Wrong from None
        if not math.isfinite(hours) or hours < 0 or (positive and hours == 0):
            self.fault(
                key, repr(value), "a time above zero" if positive else "a time of at least zero", "'1 h'"
            )
            raise _Wrong
        return hours

    def whole(self, key: str, value: Any, least: int, most: int, example: str) -> int:
        try:
            if isinstance(value, bool):
                raise ValueError
            number = int(value) if isinstance(value, str) else value
            if number != int(number) or not least <= number <= most:
                raise ValueError
            return int(number)
        except (ValueError, TypeError, OverflowError):
            self.fault(key, repr(value), f"a whole number from {least} to {most}", example)
            raise _Wrong from None

    def flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self.fault(key, repr(value), "true or false", "true")
            raise _Wrong
        return value

    def choice(self, key: str, value: Any, known: tuple[str, ...]) -> str:
        if value not in known:
            if isinstance(value, str):
                self.unknown(key, value, known, " or ".join(known))
            else:
                self.fault(key, repr(value), " or ".join(known), repr(known[0]))
            raise _Wrong
        return str(value)

    def words(self, key: str, value: Any) -> list[str]:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not all(isinstance(p, str) and p.strip() for p in parts):
            self.fault(key, repr(value), "a name or a list of names")
            raise _Wrong
        return [p.strip() for p in parts]

    # ---- the scenario, key by key

    def scenario(self) -> Scenario:
        for key in self.request:
            if key not in _KEYS:
                self.unknown(key, key, _KEYS, "a key of a scenario")
        if self.request.get("format", 1) != 1:
            self.fault("format", repr(self.request["format"]), "scenario format 1", "format = 1")
        models = self.models()
        self.fitting_keys()
        made: dict[str, Any] = {"models": models}
        for key, make in (
            ("doses", self.doses),
            ("people", self.people),
            ("times_h", self.times),
            ("until_h", self.until),
            ("step_h", self.step),
            ("outputs", self.outputs),
            ("quantiles", self.quantiles),
            ("carry", self.carry),
            ("occasion_h", self.occasion),
            ("on_failure", self.on_failure),
            ("stream", self.stream),
            ("with_", self.names("with")),
            ("condition", self.names("condition")),
            ("product", self.text("product")),
            ("conditions", self.names("conditions")),
            ("medications", self.names("medications")),
            ("visit", self.visit),
            ("title", self.text("title")),
            ("notes", self.text("notes")),
        ):
            try:
                made[key] = make(models)
            except _Wrong:
                made[key] = None
            except InputError as error:
                self.caught(key, error)
        if not self.faults and made["until_h"] is not None and made["step_h"] is not None:
            points = made["until_h"] / made["step_h"]
            if points > _MOST_TIMES:
                self.fault("step", f"{points:.3g} times", f"at most {_MOST_TIMES:,} times", "a longer step")
        self.stop_if_faulty()
        return Scenario(**made)

    def fitting_keys(self) -> None:
        """Nothing asked for is silently without effect."""
        table = self.request.get("events") is not None
        for key in ("times", "until", "step", "stream", "quantiles") if table else ("carry",):
            if self.request.get(key) is not None:
                why = f"nothing: {self.place('events')} says when to look, one row per observation record"
                self.fault(key, self.request[key], why if table else f"{self.place('events')} with it")

    def models(self) -> tuple[ModelSpec, ...]:
        from kinetamine.models import library

        value = self.request.get("model")
        if value is None or value == []:
            self.fault("model", "nothing", "the id of a model or a model file", "otto_2021_s_ketamine")
            return ()
        names = value if isinstance(value, (list, tuple)) else [value]
        specs: list[ModelSpec] = []
        for name in names:
            if not isinstance(name, str):
                self.fault("model", repr(name), "the id of a model or a model file", "otto_2021_s_ketamine")
                continue
            try:
                spec = library.load(name, runnable=True)
            except InputError as error:
                self.caught("model", error)
                continue
            if any(spec.id == other.id for other in specs):
                self.fault("model", repr(name), "each model once", "leave it out")
            specs.append(spec)
        return tuple(specs)

    def doses(self, models: tuple[ModelSpec, ...]) -> Any:
        from kinetamine.dosing import EventTable, Regimen

        entries = list(dict.fromkeys(route for m in models for route in m.entries))
        fields = list(dict.fromkeys(f for m in models for f in m.dose_fields))
        value, events = self.request.get("doses"), self.request.get("events")
        if value is not None and events is not None:
            self.fault("events", repr(events), f"either {self.place('doses')} or {self.place('events')}")
            raise _Wrong
        if events is not None:
            if not isinstance(events, str):
                self.fault("events", repr(events), "the path of a CSV table", "table.csv")
                raise _Wrong
            if not models:
                raise _Wrong
            states = list(models[0].states) if len(models) == 1 else None
            covariates = list(dict.fromkeys(c for m in models for c in m.covariates))
            return EventTable.read(events, covariates, fields, entries=entries, compartments=states)
        if value is None or value in ([], "", [""]):
            self.fault("doses", "nothing", "a dose phrase", "'0.5 mg/kg iv over 40 min'")
            raise _Wrong
        items = value if isinstance(value, list) else [value]
        regimens: list[Regimen] = []
        faults = len(self.faults)
        for number, item in enumerate(items, start=1):
            key = "doses" if len(items) == 1 else f"doses[{number}]"
            self.places.setdefault(key, self.place("doses"))
            try:
                if isinstance(item, str):
                    regimens.append(Regimen.parse(item, entries=entries, fields=fields))
                elif isinstance(item, dict):
                    regimens.append(Regimen.from_toml([item], entries=entries, fields=fields))
                else:
                    self.fault(key, repr(item), "a dose phrase or a table", "'35 mg iv over 40 min'")
            except InputError as error:
                self.caught(key, error)
        if len(self.faults) > faults:
            raise _Wrong
        return Regimen(tuple(dose for regimen in regimens for dose in regimen.doses))

    def people(self, models: tuple[ModelSpec, ...]) -> Any:
        from kinetamine.population import Patient, Population

        patient, population = self.request.get("patient"), self.request.get("population")
        for key, value in (("patient", patient), ("population", population)):
            if value is not None and not isinstance(value, Mapping):
                self.fault(key, repr(value), f"a table [{key}]", f"[{key}]")
                raise _Wrong
        if patient is not None and population is not None:
            self.fault(
                "patient", "[patient] and [population]", "one of the two", "[population] with fixed values"
            )
            raise _Wrong
        if population is None:
            if not patient:
                return None
            return self.checked("patient", Patient, {}, patient, models)
        options: dict[str, Any] = {}
        faults = len(self.faults)
        if population.get("n") is None and population.get("table") is None:
            self.fault("population.n", "nothing", "the number of patients", "n = 1000")
        for key in _POPULATION_KEYS:
            if population.get(key) is not None:
                with contextlib.suppress(_Wrong):
                    options[key] = self.population_value(key, population[key])
        fixed = {key: value for key, value in population.items() if key not in _POPULATION_KEYS}
        if len(self.faults) > faults:
            self.covariates("population", fixed, models, _POPULATION_KEYS)
            raise _Wrong
        return self.checked("population", Population, options, fixed, models)

    def checked(
        self,
        table: str,
        kind: Callable[..., Any],
        options: dict[str, Any],
        given: Mapping[str, Any],
        models: Any,
    ) -> Any:
        """Make a patient or population, covariate by covariate, so that each fault is found."""
        faults = len(self.faults)
        fixed = self.covariates(table, given, models, _POPULATION_KEYS if options else ())
        for key, value in fixed.items():
            try:
                kind(**options, **{key: value})
            except InputError as error:
                self.caught(f"{table}.{key}", error)
        if len(self.faults) > faults:
            raise _Wrong
        people = kind(**options, **fixed)
        for spec in models:
            people.covariates(spec, 0, 1, together=models)
        return people

    def population_value(self, key: str, value: Any) -> Any:
        where = f"population.{key}"
        if key == "n":
            return self.whole(where, value, 1, _MOST_PATIENTS, "1000")
        if key == "seed":
            return self.whole(where, value, 0, 2**63 - 1, "1")
        if key in ("variability", "residual"):
            return self.flag(where, value)
        if key == "age":
            return self.ages(where, value)
        if key == "table" and not isinstance(value, str):
            self.fault(where, repr(value), "the path of a CSV table", "people.csv")
            raise _Wrong
        return value

    def ages(self, where: str, value: Any) -> Any:
        """``18-65`` or ``[18, 65]``; anything else is for the population to judge."""
        parts = value.split("-") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or len(parts) != 2:
            return value
        try:
            low, high = (float(p) for p in parts)
            if not (math.isfinite(low) and math.isfinite(high) and 0 <= low <= high):
                raise ValueError
        except (ValueError, TypeError):
            example = "18-65" if isinstance(value, str) else "[18, 65]"
            self.fault(where, repr(value), "a lowest and a highest age in years", example)
            raise _Wrong from None
        return (low, high)

    def covariates(
        self, table: str, given: Mapping[str, Any], models: tuple[ModelSpec, ...], options: tuple[str, ...]
    ) -> dict[str, Any]:
        """Those of the given names that are covariates; the others are faults."""
        declared = dict.fromkeys(name for m in models for name in m.covariates)
        out: dict[str, Any] = {}
        for key, value in given.items():
            # without a model any name may be a covariate; one that is nearly an option is a slip all the same
            strange = bool(models) or bool(nearest(key, options))
            if strange and key not in declared and key not in _ALWAYS_KNOWN:
                known = [*options, *dict.fromkeys((*_ALWAYS_KNOWN, *declared))]
                self.unknown(f"{table}.{key}", key, known, "a covariate")
                continue
            pair = isinstance(value, list) and len(value) == 2
            out[key] = tuple(value) if pair else value
        return out

    def times(self, models: object) -> tuple[float, ...] | None:
        value = self.request.get("times")
        if value is None:
            return None
        for other in ("until", "step"):
            if self.request.get(other) is not None:
                self.fault("times", f"it and {self.place(other)}", f"either times or {self.place(other)}")
                raise _Wrong
        parts = value.split(",") if isinstance(value, str) else value
        if isinstance(parts, (int, float)) and not isinstance(parts, bool):
            parts = [parts]
        if not isinstance(parts, (list, tuple)) or not parts or len(parts) > _MOST_TIMES:
            self.fault("times", repr(value), "a list of times", "0.5,1,2 h")
            raise _Wrong
        if isinstance(value, str):
            parts = _share_last_unit([str(p).strip() for p in parts])
        hours = tuple(self.hours("times", p) for p in parts)
        for a, b in itertools.pairwise(hours):
            if b < a:
                self.fault("times", f"{b:g} h after {a:g} h", "times that increase")
                raise _Wrong
        return hours

    def until(self, models: object) -> float | None:
        value = self.request.get("until")
        return None if value is None else self.hours("until", value, positive=True)

    def step(self, models: object) -> float | None:
        value = self.request.get("step")
        return None if value is None else self.hours("step", value, positive=True)

    def outputs(self, models: tuple[ModelSpec, ...]) -> tuple[str, ...] | None:
        value = self.request.get("outputs")
        if value is None:
            return None
        known = dict.fromkeys(o for m in models for o in m.outputs)
        names = self.words("outputs", value)
        for name in names:
            if models and name not in known:
                self.unknown("outputs", name, known, "an output of the model")
        return tuple(names)

    def quantiles(self, models: object) -> tuple[float, ...]:
        value = self.request.get("quantiles")
        if value is None:
            return (0.05, 0.5, 0.95)
        parts = value.split(",") if isinstance(value, str) else value
        try:
            if not isinstance(parts, (list, tuple)) or not parts:
                raise ValueError
            numbers = tuple(float(p) for p in parts)
            if not all(0 < q < 1 for q in numbers) or list(numbers) != sorted(set(numbers)):
                raise ValueError
        except (ValueError, TypeError):
            self.fault("quantiles", repr(value), "increasing numbers between 0 and 1", "0.05,0.5,0.95")
            raise _Wrong from None
        return numbers

    def carry(self, models: object) -> str:
        return self.choice("carry", self.request.get("carry", "next"), ("next", "last"))

    def occasion(self, models: object) -> float:
        return self.hours("occasion", self.request.get("occasion", "24 h"), positive=True)

    def on_failure(self, models: object) -> str:
        return self.choice("on_failure", self.request.get("on_failure", "raise"), ("raise", "keep"))

    def stream(self, models: object) -> bool:
        return self.flag("stream", self.request.get("stream", False))

    def visit(self, models: object) -> Mapping[str, Any]:
        """Kept as given: what its words and numbers may be is for the safety desk to judge."""
        value = self.request.get("visit", {})
        if not isinstance(value, Mapping):
            self.fault("visit", repr(value), "a table [visit]", "[visit]")
            raise _Wrong
        return dict(value)

    def names(self, key: str) -> Callable[[object], tuple[str, ...]]:
        def make(models: object) -> tuple[str, ...]:
            value = self.request.get(key) or []
            names = [value] if isinstance(value, str) else value
            if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
                self.fault(key, repr(value), "a name or a list of names")
                raise _Wrong
            return tuple(names)

        return make

    def text(self, key: str) -> Callable[[object], str]:
        def make(models: object) -> str:
            value = self.request.get(key, "")
            if not isinstance(value, str):
                self.fault(key, repr(value), "text")
                raise _Wrong
            return value

        return make


def _share_last_unit(parts: list[str]) -> list[str]:
    """``5,10,15 min``: a unit after the last number only is meant for all of them."""
    bare = [p[-1:].isdigit() or p.endswith(".") for p in parts]
    if len(parts) > 1 and all(bare[:-1]) and not bare[-1]:
        unit = parts[-1].lstrip("+-.0123456789eE").strip()
        return [f"{p} {unit}" for p in parts[:-1]] + parts[-1:]
    return parts
