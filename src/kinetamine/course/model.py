"""Course model files: records, two-step check, and the plain numbers the kernel wants.

A course model has one fixed structure (see the file's ``[equations]``); the file brings its numbers. Those that were
fitted have a prior in the file, and their posterior in a file of draws beside it: each draw is a set of parameters
together with what it makes of every fitted trial.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from kinetamine.course.kernel import Parameters
from kinetamine.engine.random import normals, stream_number
from kinetamine.errors import Fault, FaultyFile, InputError, UnknownName, nearest
from kinetamine.records import Seen, read_text, read_toml

__all__ = ["CAVEAT", "SETTINGS", "CourseModel", "available", "load", "surroundings"]

#: said with every figure and table of a course
CAVEAT = "A model of groups with wide uncertainty, fitted to published trials: not for a person."
#: parameters that drive the strength of a session, outside the kernel
_EXPOSURE = ("saturation", "potency_r", "nasal_exposure", "flatness")
#: spreads between trials, from which the effects of a new one are drawn
_BETWEEN = {
    "trial": "sd_trial",
    "trial_drug": "sd_trial_drug",
    "trial_relapse_score": "sd_trial_relapse",
    "trial_relapse_hazard": "sd_trial_relapse",
}

#: what may surround a treatment: the word of a trial's design, and the switch it turns on
SETTINGS = {
    "blinded": None,
    "open label": "open_label",
    "hospital": "hospital",
    "new oral drug": "oral_antidepressant",
    "ongoing oral drug": None,
    "refractory": "refractory",
}

#: switches that may be turned up beyond 1
_MOST = {"expectancy": 10.0, "drug_effect": 10.0, "age": 110.0}

Number = Annotated[float, Field(allow_inf_nan=False)]
Row = Annotated[tuple[Number, ...], Field(strict=False)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Parameter(_Record):
    """One number: fixed, or with the prior it was fitted from."""

    unit: Literal["1", "logit", "d", "1/d", "points", "y"]
    place: str
    seen: Seen
    value: Number | None = None
    prior: Literal["lognormal", "normal", "half-normal", "truncated normal"] | None = None
    centre: Number | None = None
    spread: Number | None = Field(default=None, gt=0)
    low: Number | None = None
    high: Number | None = None
    source: str | None = None
    note: str | None = None

    @property
    def free(self) -> bool:
        """Whether it is uncertain."""
        return self.prior is not None

    def from_normal(self, z: np.ndarray) -> np.ndarray:
        """Values of the prior at standard normal deviates.

        Examples
        --------
        >>> half_life = load("hierarchical").parameters["half_life_fast"]
        >>> [round(x, 2) for x in half_life.from_normal(np.array([0.0, 1.0])).tolist()]
        [5.0, 7.46]
        """
        from scipy.stats import norm

        assert self.centre is not None and self.spread is not None
        if self.prior == "lognormal":
            return np.asarray(self.centre * np.exp(self.spread * z))
        if self.prior == "half-normal":
            return np.asarray(self.spread * norm.ppf(0.5 + 0.5 * norm.cdf(z)))
        if self.prior == "truncated normal":
            assert self.low is not None and self.high is not None
            a, b = (norm.cdf((x - self.centre) / self.spread) for x in (self.low, self.high))
            return np.asarray(self.centre + self.spread * norm.ppf(a + (b - a) * norm.cdf(z)))
        return np.asarray(self.centre + self.spread * z)


class Reference(_Record):
    """The session of strength 1."""

    dose: str
    weight_kg: Number = Field(gt=0)
    measure: str


class Applies(_Record):
    """What the fit has seen; outside it a course is graded extrapolated."""

    drugs: tuple[str, ...] = Field(strict=False)
    routes: tuple[str, ...] = Field(strict=False)
    weeks: Number
    spacing_d: Number
    strength: tuple[Number, Number] = Field(strict=False)


class Posterior(_Record):
    """Where the draws of the posterior stand."""

    file: str
    sha256: str


class Draws:
    """Draws of the posterior: parameters (draw,), and effects of the fitted trials (draw, trial).

    `trials` names the families of trials; an effect of a trial it was not fitted for is nan.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.trials = tuple(str(name) for name in arrays["trials"])
        self.effects = {name: arrays[name].astype(float) for name in _BETWEEN}
        self.parameters = {
            str(name): column.astype(float)
            for name, column in zip(arrays["parameters"], arrays["draws"].T, strict=True)
        }
        self.n = len(arrays["draws"])


class CourseModel(_Record):
    """A course model as its file has it.

    Examples
    --------
    >>> model = load("hierarchical")
    >>> model.status, model.parameters["half_life_slow"].unit
    ('derived', 'd')
    """

    format: Literal[1]
    id: str
    kind: Literal["course"]
    status: Literal["derived", "published"]
    title: str
    score: Literal["MADRS"]
    notes: tuple[str, ...] = Field(default=(), strict=False)
    equations: dict[str, str]
    reference: Reference
    applies: Applies
    posterior: Posterior | None = None
    parameters: dict[str, Parameter]
    switches: dict[str, Annotated[float, Field(ge=0, le=110, strict=False)]]
    _digest: str = PrivateAttr("")
    _draws: Any = PrivateAttr(None)

    @property
    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the file; the file holds that of the draws."""
        return self._digest

    @property
    def trials(self) -> tuple[str, ...]:
        """The fitted trials whose own effects can be taken instead of a new trial's."""
        return () if self._draws is None else self._draws.trials

    @functools.cached_property
    def central(self) -> dict[str, float]:
        """Medians of the posterior (of the prior, without draws), fixed values and the average trial."""
        found = dict.fromkeys(_BETWEEN, 0.0)
        for name, p in self.parameters.items():
            drawn = None if self._draws is None else self._draws.parameters.get(name)
            if not p.free:
                found[name] = float(p.value or 0.0)
            else:
                found[name] = float(np.median(drawn) if drawn is not None else p.from_normal(np.zeros(1))[0])
        return found

    def values(self, **changes: float) -> dict[str, float]:
        """Parameters and switches as plain numbers, those uncertain at their median, some of them changed.

        Examples
        --------
        >>> load("hierarchical").values(refractory=1)["refractory"]
        1.0
        """
        found = self.central | dict(self.switches)
        return found | self._checked(changes, found)

    def _checked(self, changes: Mapping[str, float], known: Mapping[str, float]) -> dict[str, float]:
        for name, value in changes.items():
            if name not in known:
                raise UnknownName("course model", name, known, f"a parameter or switch of {self.id}")
            most = _MOST.get(name, 1.0) if name in self.switches else np.inf
            least = 0.0 if name in self.switches else -np.inf if self._signed(name) else 0.0
            if not least <= value <= most or not np.isfinite(value):
                raise InputError(f"course model: {name}", value, f"a number from {least:g} to {most:g}")
        return {name: float(value) for name, value in changes.items()}

    def _signed(self, name: str) -> bool:
        p = self.parameters.get(name)
        return p is None or p.prior == "normal" or (p.value is not None and p.value < 0)

    def draws(
        self, n: int, seed: int, *, new_trial: bool = True, trial: str | None = None, **changes: float
    ) -> list[dict[str, float]]:
        """Sets of parameters as uncertain as the fit, each in a trial of its own.

        Parameters
        ----------
        n, seed : int
            How many; the draws of the posterior in an order of their own, and the key of new trials.
        new_trial : bool
            Draw a new trial's effects with each set; else the average trial's, which are 0.
        trial : str, optional
            A fitted trial (`trials`), whose own effects are taken.
        **changes
            Parameters and switches that are given.
        """
        fixed = self.values(**changes)
        if trial is not None and trial not in self.trials:
            raise UnknownName("trial", trial, self.trials, "a fitted trial")
        free = [k for k, p in self.parameters.items() if p.free and k not in changes]
        z = normals(seed, stream_number("course", "parameters"), 0, n, len(free) + len(_BETWEEN))
        columns = {k: self.parameters[k].from_normal(z[:, i]) for i, k in enumerate(free)}
        d = self._draws
        # spread over all draws, however few are wanted
        rows = (
            None
            if d is None
            else np.floor(np.arange(n) * (d.n / n)).astype(int)
            if n <= d.n
            else np.arange(n) % d.n
        )
        if d is not None:
            columns |= {k: d.parameters[k][rows] for k in free if k in d.parameters}
        for i, (effect, sd) in enumerate(_BETWEEN.items()):
            if effect in changes:
                continue
            if trial is not None:
                own = d.effects[effect][rows, self.trials.index(trial)]
                columns[effect] = np.where(np.isnan(own), 0.0, own)
            elif new_trial:
                columns[effect] = z[:, len(free) + i] * columns.get(sd, fixed.get(sd, 0.0))
        return [fixed | {k: float(column[i]) for k, column in columns.items()} for i in range(n)]


_UNTIL = re.compile(r"(?P<word>.+?) until (?P<unit>day|week) (?P<number>\d+(?:\.\d+)?)$")


def open_until(words: str | Iterable[str]) -> float:
    """The day until which sessions are open, where the words say so: "open label until week 16".

    Examples
    --------
    >>> open_until("open label until week 16"), open_until("hospital")
    (112.0, inf)
    """
    for name in _words(words):
        match = _UNTIL.match(name)
        if match and match["word"] == "open label":
            return float(match["number"]) * (7.0 if match["unit"] == "week" else 1.0)
    return np.inf


def _words(words: str | Iterable[str]) -> list[str]:
    given = words.split(",") if isinstance(words, str) else list(words)
    return [" ".join(str(word).lower().replace("-", " ").replace("_", " ").split()) for word in given]


def surroundings(words: str | Iterable[str]) -> dict[str, float]:
    """The switches that a design turns on: the one place where its words get a meaning.

    Parameters
    ----------
    words : str or list of str
        Words of `SETTINGS`, in one text with commas between; "open label until week 16" for sessions that are
        open only until then (`open_until`).

    Examples
    --------
    >>> surroundings("open label, new oral drug")
    {'open_label': 1.0, 'oral_antidepressant': 1.0}
    """
    names = []
    for name in _words(words):
        match = _UNTIL.match(name)
        names.append("open label" if match and match["word"] == "open label" else name)
    for name in names:
        if name and name not in SETTINGS:
            raise UnknownName("setting", name, SETTINGS, "what surrounds the treatment")
    if {"blinded", "open label"} <= set(names):
        raise InputError("setting", "blinded and open label", "one of the two")
    switches = (SETTINGS[name] for name in names if name)
    return {switch: 1.0 for switch in switches if switch is not None}


def _folder() -> Path:
    return Path(str(resources.files("kinetamine"))) / "data" / "models" / "course"


def available() -> list[str]:
    """Ids of the course models of the library.

    Examples
    --------
    >>> available()
    ['hierarchical']
    """
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load(model: str | Path | CourseModel, draws: bool = True) -> CourseModel:
    """A course model by its id, or from a TOML file; without its draws for the fit that makes them.

    Raises
    ------
    UnknownName
        If there is no such model.
    FaultyFile
        With every fault of the file.

    Examples
    --------
    >>> load("hierarchical").id
    'hierarchical'
    """
    if isinstance(model, CourseModel):
        return model
    text = str(model)
    if isinstance(model, str) and not text.endswith(".toml"):
        if text not in available():
            raise UnknownName("course model", text, available(), "a course model or a .toml file")
        return _read(_folder() / f"{text}.toml", draws)
    return _read(Path(model), draws)


def _read(path: Path, draws: bool) -> CourseModel:
    model = _parsed(read_text(path.name, path.parent), path.name)
    posterior = model.posterior
    if draws and posterior is not None:
        model = model.model_copy()
        model._draws = _read_draws(path.parent / posterior.file, posterior.sha256)
    return model


def _read_draws(path: Path, sha256: str) -> Draws:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), error.strerror or "unreadable", "the draws of the course model") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        fault = Fault(path.name, f"sha256 {found[:16]}…", f"sha256 {sha256[:16]}…, as the model says")
        raise FaultyFile(path.name, [fault])
    return _unpacked(content)


@functools.lru_cache(maxsize=4)
def _unpacked(content: bytes) -> Draws:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return Draws(arrays)


@functools.cache
def _parsed(text: str, name: str) -> CourseModel:
    record: CourseModel = read_toml(name, CourseModel, text=text, sense=lambda found: _sense(found, name))
    record._digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return record


def _sense(model: CourseModel, name: str) -> Any:
    """What needs several tables at once."""
    known = (set(Parameters._fields) - set(_BETWEEN)) | set(_EXPOSURE) | set(_BETWEEN.values())
    given = set(model.parameters) | set(model.switches)
    for missing in sorted(known - given):
        yield Fault(f"{name}: parameters", f"no {missing}", "every number of the equations")
    for extra in sorted(given - known):
        cure = ", ".join(nearest(extra, known)) or "leaving it out"
        yield Fault(f"{name}: parameters.{extra}", "a name the equations do not have", "a known name", cure)
    for key, p in model.parameters.items():
        where = f"{name}: parameters.{key}"
        if (p.value is None) == (p.prior is None):
            yield Fault(where, f"value {p.value}, prior {p.prior}", "either a value or a prior")
        if p.prior is not None and (p.centre is None or p.spread is None):
            yield Fault(where, f"prior {p.prior}", "with centre and spread")
        elif p.prior == "lognormal" and not (p.centre or 0) > 0:
            yield Fault(where, f"centre {p.centre}", "a median above 0")
        if p.prior == "truncated normal" and not (
            p.low is not None and p.high is not None and p.low < p.high
        ):
            yield Fault(where, f"low {p.low}, high {p.high}", "the ends of a truncated prior")
        if p.seen != "derived" and p.source is None:
            yield Fault(where, f"seen {p.seen} and no source", "a key of sources.toml")
