"""Course model files: records, two-step check, and the plain numbers the kernel wants.

A course model has one fixed structure (see the file's ``[equations]``); the file brings its numbers. Each has
the range we hold plausible, from which `draws` takes the uncertainty of a group's outcome.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from statistics import NormalDist
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from kinetamine.course.kernel import NAMES
from kinetamine.engine.random import normals, stream_number
from kinetamine.errors import Fault, InputError, UnknownName, nearest
from kinetamine.records import Seen, read_text, read_toml

__all__ = ["CAVEAT", "SETTINGS", "CourseModel", "available", "load", "surroundings"]

#: said with every figure and table of a course
CAVEAT = "A model of groups with wide uncertainty, fitted to published trials: not for a person."
#: parameters that drive the strength of a session, outside the kernel
_EXPOSURE = ("saturation", "potency_r")

#: what may surround a treatment: the word of a trial's design, and the switch it turns on
SETTINGS = {
    "blinded": None,
    "open label": "open_label",
    "hospital": "hospital",
    "new oral drug": "oral_antidepressant",
    "ongoing oral drug": None,
    "refractory": "refractory",
}

#: the standard normal deviate with 95 % below it: a range holds the middle 90 %
_NORMAL_95 = NormalDist().inv_cdf(0.95)
#: switches that may be turned up as well as down
_MOST = {"expectancy": 10.0, "drug_effect": 10.0}

Number = Annotated[float, Field(allow_inf_nan=False)]
Row = Annotated[tuple[Number, ...], Field(strict=False)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Parameter(_Record):
    """One number, where it comes from and the 90 % range we hold plausible."""

    value: Number
    unit: Literal["1", "logit", "d", "1/d", "points"]
    range: tuple[Number, Number] = Field(strict=False)
    place: str
    seen: Seen
    source: str | None = None
    note: str | None = None


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


class Uncertainty(_Record):
    """How the estimates vary together: covariance on the scale of `CourseModel.draws`."""

    parameters: tuple[str, ...] = Field(strict=False)
    covariance: tuple[Row, ...] = Field(strict=False)
    place: str


class CourseModel(_Record):
    """A course model as its file has it.

    Examples
    --------
    >>> model = load("mono_state")
    >>> model.status, model.parameters["half_life_slow"].unit
    ('derived', 'd')
    """

    format: Literal[1]
    id: str
    kind: Literal["course"]
    status: Literal["derived", "published"]
    title: str
    score: Literal["MADRS"]
    structure: Literal["one_state", "two_state"]
    notes: tuple[str, ...] = Field(default=(), strict=False)
    equations: dict[str, str]
    reference: Reference
    applies: Applies
    parameters: dict[str, Parameter]
    switches: dict[str, Annotated[float, Field(ge=0, le=1, strict=False)]]
    uncertainty: Uncertainty | None = None
    _digest: str = PrivateAttr("")

    @property
    def digest(self) -> str:
        """First 16 hex digits of the sha256 of the file."""
        return self._digest

    def values(self, **changes: float) -> dict[str, float]:
        """Parameters and switches as plain numbers, some of them changed.

        Examples
        --------
        >>> load("mono_state").values(refractory=1)["refractory"]
        1.0
        """
        found = {name: parameter.value for name, parameter in self.parameters.items()} | dict(self.switches)
        for name, value in changes.items():
            if name not in found:
                raise UnknownName("course model", name, found, f"a parameter or switch of {self.id}")
            most = _MOST.get(name, 1.0) if name in self.switches else np.inf
            if not 0 <= value <= most or not np.isfinite(value):
                raise InputError(f"course model: {name}", value, f"a number from 0 to {most:g}")
            found[name] = float(value)
        return found

    def draws(self, n: int, seed: int, **changes: float) -> list[dict[str, float]]:
        """Sets of parameters as uncertain as the file says, for the uncertainty of a group's outcome.

        Shares vary on the logit scale, all else on the log scale; what has no range, and what is changed,
        stays.
        """
        fixed = self.values(**changes)
        free = {
            k: p
            for k, p in self.parameters.items()
            if p.range[1] > p.range[0] and p.value > 0 and k not in changes
        }
        names = list(free)
        z = normals(seed, stream_number("course", "parameters"), 0, n, max(len(free), 1))[:, : len(free)]
        scales = [_scale(p) for p in free.values()]
        low, centre, high = (
            np.array([to(x) for (to, _), x in zip(scales, column, strict=True)])
            for column in (
                [p.range[0] for p in free.values()],
                [p.value for p in free.values()],
                [p.range[1] for p in free.values()],
            )
        )
        sd = (high - low) / (2 * _NORMAL_95)
        step = z * sd
        if self.uncertainty is not None:
            inside = [k for k in self.uncertainty.parameters if k in free]
            at = [self.uncertainty.parameters.index(k) for k in inside]
            columns = [names.index(k) for k in inside]
            covariance = np.array(self.uncertainty.covariance)[np.ix_(at, at)]
            step[:, columns] = z[:, columns] @ np.linalg.cholesky(covariance).T
        return [
            fixed | {k: float(back(x)) for k, (_, back), x in zip(names, scales, centre + row, strict=True)}
            for row in step
        ]


def surroundings(words: str | Iterable[str]) -> dict[str, float]:
    """The switches that a design turns on: the one place where its words get a meaning.

    Parameters
    ----------
    words : str or list of str
        Words of `SETTINGS`; in one text with commas between.

    Examples
    --------
    >>> surroundings("open label, new oral drug")
    {'open_label': 1.0, 'oral_antidepressant': 1.0}
    """
    given = words.split(",") if isinstance(words, str) else list(words)
    names = [" ".join(str(word).lower().replace("-", " ").replace("_", " ").split()) for word in given]
    for name in names:
        if name and name not in SETTINGS:
            raise UnknownName("setting", name, SETTINGS, "what surrounds the treatment")
    if {"blinded", "open label"} <= set(names):
        raise InputError("setting", "blinded and open label", "one of the two")
    switches = (SETTINGS[name] for name in names if name)
    return {switch: 1.0 for switch in switches if switch is not None}


def _logit(x: float) -> float:
    x = min(x, 0.999)  # a range may end at certainty
    return float(np.log(x / (1 - x)))


def _expit(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def _scale(parameter: Parameter) -> tuple[Any, Any]:
    share = parameter.unit == "1" and parameter.range[0] > 0 and parameter.range[1] <= 1
    return (_logit, _expit) if share else (np.log, np.exp)


def _folder() -> Path:
    return Path(str(resources.files("kinetamine"))) / "data" / "models" / "course"


#: other names people use
_ALIASES = {"one_state": "mono_state", "synapse": "two_state"}


def available() -> list[str]:
    """Ids of the course models of the library.

    Examples
    --------
    >>> available()
    ['mono_state', 'two_state']
    """
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load(model: str | Path | CourseModel) -> CourseModel:
    """A course model by its id, or from a TOML file.

    Raises
    ------
    UnknownName
        If there is no such model.
    FaultyFile
        With every fault of the file.

    Examples
    --------
    >>> load("synapse").id
    'two_state'
    """
    if isinstance(model, CourseModel):
        return model
    text = str(model)
    if isinstance(model, str) and not text.endswith(".toml"):
        name = _ALIASES.get(text, text)
        if name not in available():
            raise UnknownName(
                "course model", text, [*available(), *_ALIASES], "a course model or a .toml file"
            )
        return _read(_folder() / f"{name}.toml")
    return _read(Path(model))


def _read(path: Path) -> CourseModel:
    return _parsed(read_text(path.name, path.parent), path.name)


@functools.cache
def _parsed(text: str, name: str) -> CourseModel:
    record: CourseModel = read_toml(name, CourseModel, text=text, sense=lambda found: _sense(found, name))
    record._digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return record


def _sense(model: CourseModel, name: str) -> Any:
    """What needs several tables at once."""
    known = set(NAMES) | set(_EXPOSURE)
    given = set(model.parameters) | set(model.switches)
    for missing in sorted(known - given):
        yield Fault(f"{name}: parameters", f"no {missing}", "every number of the equations")
    for extra in sorted(given - known):
        cure = ", ".join(nearest(extra, known)) or "leaving it out"
        yield Fault(f"{name}: parameters.{extra}", "a name the equations do not have", "a known name", cure)
    for key, p in model.parameters.items():
        where = f"{name}: parameters.{key}"
        if not p.range[0] <= p.value <= p.range[1]:
            yield Fault(where, f"value {p.value:g}, range {list(p.range)}", "a value inside its range")
        if p.range[0] < 0:
            yield Fault(where, f"range {list(p.range)}", "numbers of at least 0")
        if p.range[0] == 0 < p.range[1]:
            yield Fault(where, f"range {list(p.range)}", "a range above 0, or [0, 0] for what is off")
        if p.seen != "derived" and p.source is None:
            yield Fault(where, f"seen {p.seen} and no source", "a key of sources.toml")
    if model.uncertainty is not None:
        u, where = model.uncertainty, f"{name}: uncertainty"
        size = len(u.parameters)
        for key in u.parameters:
            if key not in model.parameters:
                yield Fault(where, repr(key), "a parameter of this file")
        matrix = np.array(u.covariance) if all(len(r) == size for r in u.covariance) else np.zeros((0, 0))
        if matrix.shape != (size, size) or not np.allclose(matrix, matrix.T):
            yield Fault(
                f"{where}.covariance", f"{len(u.covariance)} rows", f"a symmetric {size} x {size} matrix"
            )
        elif np.linalg.eigvalsh(matrix).min() <= 0:
            yield Fault(f"{where}.covariance", "not positive definite", "a covariance matrix")
