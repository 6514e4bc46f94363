"""What changes the curve of ketamine: the records, read and checked.

Three files: `perturbations.toml` (drugs, diseases, genes and the handles they act on), `factors.toml` (the fitted
factors, written by ``validation/interactions/fit.py``) and `ddi_observed.csv` (the observed ratios and findings).
Checked in two steps, form and then sense; all faults are reported at once.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from kinetamine.errors import Fault, UnknownName, nearest
from kinetamine.records import Record, Sourced, raise_all, read_csv, read_toml

__all__ = [
    "Carrier",
    "Factor",
    "Fit",
    "Library",
    "Observed",
    "Perturbation",
    "find",
    "load",
    "mechanism",
    "normal",
    "sounds_like",
]

Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]
#: what a perturbation is given as → the key or option that names it
OPTION = {"drug": "with", "condition": "condition"}
#: how much of two names must be alike before one is offered for the other
_ALIKE = 0.75
#: beginnings that sound as another letter
_SOUNDS = {"ph": "f", "x": "s", "ps": "s", "ch": "k", "c": "k", "y": "i", "h": ""}
MEASURES = ("AUC", "Cmax", "Tmax", "t_half", "NK AUC", "NK Cmax", "NK/K AUC")


class Perturbation(Record):
    """One drug, disease, gene or state of life; see the head of `perturbations.toml` for the fields."""

    name: str
    given: Literal["drug", "condition"]
    group: str
    status: Literal["fitted", "predicted", "no change", "observed"]
    mechanism: str
    aliases: tuple[str, ...] = ()
    fit: tuple[str, ...] = ()
    like: str | None = None
    like_handles: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    extrapolate: bool = False
    doubt: str | None = None
    why: str | None = None


class Factor(Record):
    """A fitted factor on one handle, with its 95 % interval."""

    value: Ratio
    low: Ratio
    high: Ratio
    n: int | None = None
    seen: Literal["derived"]
    sources: tuple[str, ...]


class Observed(Sourced):
    """One observed ratio (perturbed over usual) or finding in words.

    `use` tells what it does here: a factor was *fitted* to it, it was *held out* and is predicted, it says
    *no change*, or it is only *shown*. `phrase` is the dose that stands for it in a simulation.
    """

    perturbation: str
    detail: str | None = None
    drug: str
    route: str
    dose: str | None = None
    phrase: str | None = None
    n: int | None = Field(default=None, ge=1)
    measure: str | None = None
    ratio: Ratio | None = None
    low: Ratio | None = None
    high: Ratio | None = None
    finding: str | None = None
    mechanism: str | None = None
    use: Literal["fit", "held out", "no change", "shown"]
    data_kind: Literal["observed", "model_based", "in_vitro"]

    @property
    def ids(self) -> tuple[str, ...]:
        """The perturbations it speaks of."""
        return tuple(self.perturbation.split())


class Carrier(Record):
    """How the parameters of a model carry a handle."""

    times: tuple[str, ...] = ()
    odds: tuple[str, ...] = ()
    against: tuple[str, ...] = ()


class Fit(Record):
    """How the factors are fitted, and the model whose liver and gut carry the mechanism."""

    assumed_fold: Annotated[float, Field(gt=1)]
    bounds: tuple[Ratio, Ratio]
    model: str
    flow: str
    volume: str
    to_norketamine: str
    to_others: str
    doses: dict[str, str]


class _File(Record):
    fit: Fit
    handles: dict[str, str]
    models: dict[str, dict[str, Carrier]]
    perturbations: dict[str, Perturbation]


@dataclass(frozen=True)
class Library:
    """Everything that is known to change the curve, or was looked for and does not."""

    perturbations: dict[str, Perturbation]
    factors: dict[str, dict[str, Factor]]
    observed: tuple[Observed, ...]
    handles: dict[str, str]
    carriers: dict[str, dict[str, Carrier]]
    fit: Fit

    def rows(self, id: str) -> list[Observed]:
        """What was observed about one perturbation."""
        return [row for row in self.observed if id in row.ids]

    def factors_of(self, id: str) -> dict[str, Factor]:
        """Handle → factor; none for what changes nothing or is only observed."""
        one = self.perturbations[id]
        if one.like is None:
            return self.factors.get(id, {})
        return {h: f for h, f in self.factors[one.like].items() if h in one.like_handles}


@functools.cache
def load() -> Library:
    """The records of this room.

    Raises
    ------
    FaultyFile
        With every fault found.

    Examples
    --------
    >>> load().perturbations["itraconazole"].status
    'no change'
    """
    return _read(with_factors=True)


@functools.cache
def mechanism() -> Library:
    """The records without the factors: what these are fitted with."""
    return _read(with_factors=False)


def _read(with_factors: bool) -> Library:
    file: _File = read_toml("safety/perturbations.toml", _File)
    factors = read_toml("safety/factors.toml", dict[str, dict[str, Factor]]) if with_factors else {}
    rows = read_csv("safety/ddi_observed.csv", Observed)
    found = Library(file.perturbations, factors, rows, file.handles, file.models, file.fit)
    return checked(found, with_factors)


def checked(found: Library, with_factors: bool = True) -> Library:
    """The same, if it makes sense.

    Raises
    ------
    FaultyFile
        With every fault found.
    """
    raise_all("data/safety", list(_nonsense(found, with_factors)))
    return found


def find(name: str, given: str | None = None) -> tuple[str, Perturbation]:
    """The perturbation of that name; words may stand in any order.

    Parameters
    ----------
    name : str
    given : "drug" or "condition", optional
        Only among these.

    Raises
    ------
    UnknownName
        With the nearest names.

    Examples
    --------
    >>> find("moderate hepatic impairment")[0]
    'hepatic_impairment_moderate'
    """
    found = mechanism().perturbations
    kinds = {id: one for id, one in found.items() if given in (None, one.given)}
    words = {normal(w): id for id, one in kinds.items() for w in (id, one.name, *one.aliases)}
    id = words.get(normal(name))
    if id is None:
        what = {"drug": "a drug with a known effect on the curve", "condition": "a known condition"}
        names = [w for one in kinds.values() for w in (one.name, *one.aliases)]
        part = [n for n in names if len(name) > 2 and name.lower() in n.lower()]
        where = OPTION[given] if given else "interactions"
        wanted = what.get(given or "", "a known drug or condition")
        raise UnknownName(
            where, name, names, wanted, part[:3] or sounds_like(name, names), "kinetamine interactions"
        )
    return id, found[id]


def _nonsense(found: Library, with_factors: bool) -> Iterable[Fault]:
    def known(where: str, name: str, names: Iterable[str], what: str) -> Iterable[Fault]:
        names = list(names)
        if name not in names:
            yield Fault(where, repr(name), what, " or ".join(nearest(name, names)))

    words: dict[str, str] = {}
    for id, one in found.perturbations.items():
        where = f"perturbations.toml, {id}"
        for word in {normal(w) for w in (id, one.name, *one.aliases)}:
            if words.setdefault(word, id) != id:
                yield Fault(where, repr(word), f"a name that is not also that of {words[word]}")
        for handle in (*one.fit, *one.like_handles):
            yield from known(where, handle, found.handles, "a handle")
        if one.like is not None:
            yield from known(f"{where}, like", one.like, found.perturbations, "a perturbation")
        if with_factors and one.status == "fitted" and set(found.factors.get(id, {})) != set(one.fit):
            yield Fault("factors.toml", f"{id} without the factors of {', '.join(one.fit)}", "a fresh fit")
        needed = {"predicted": one.like, "observed": one.why, "fitted": one.fit, "no change": one.routes}
        if not needed[one.status]:
            yield Fault(where, one.status, "what this status needs; see the head of the file")
        if not found.rows(id) and one.status != "observed":
            yield Fault(where, "no row in ddi_observed.csv", "what was observed")
    for id, group in found.factors.items():
        yield from known("factors.toml", id, found.perturbations, "a perturbation")
        for handle, factor in group.items():
            if not factor.low <= factor.value <= factor.high:
                yield Fault(f"factors.toml, {id}.{handle}", str(factor.value), "a value within its interval")
    for row in found.observed:
        where = f"ddi_observed.csv, {row.id}"
        for id in row.ids:
            yield from known(where, id, found.perturbations, "a perturbation")
        if row.measure is not None:
            yield from known(where, row.measure, MEASURES, "a measure")
        if row.ratio is None and row.finding is None and row.mechanism is None and not row.note:
            yield Fault(where, "nothing", "a ratio or a finding")
        if row.use in ("fit", "held out") and (
            row.ratio is None or row.measure is None or row.phrase is None
        ):
            yield Fault(where, "no ratio, measure or phrase", f"all three for a row of use {row.use!r}")


def sounds_like(word: str, names: Iterable[str]) -> list[str]:
    """Names that are nearly spelt and begin as the word sounds: a drug is not offered for another one.

    Examples
    --------
    >>> sounds_like("clarithromicin", ["clarithromycin", "azithromycin"])
    ['clarithromycin']
    >>> sounds_like("phenytoin", ["heroin"]), sounds_like("MDMA", ["male"]), sounds_like("propofol", ["bupropion"])
    ([], [], [])
    """
    spelt = {n.lower(): n for n in names}
    close = difflib.get_close_matches(word.lower(), spelt, n=3, cutoff=_ALIKE)
    return [spelt[c] for c in close if _sound(c) == _sound(word)]


def _sound(word: str) -> str:
    """How a word begins to the ear."""
    first = word.lower().strip()
    for written, heard in _SOUNDS.items():
        first = heard + first.removeprefix(written) if first.startswith(written) else first
    return first[:1]


def normal(word: str) -> str:
    """A name as it is compared: small letters, digits and stars, words in any order.

    Examples
    --------
    >>> normal("Moderate hepatic impairment") == normal("hepatic impairment, moderate")
    True
    """
    plain = "".join(c if c.isalnum() or c in "*/" else " " for c in word.lower().replace("'", ""))
    return " ".join(sorted(plain.split()))
