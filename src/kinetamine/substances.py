"""Drugs, enantiomers, metabolites and salts: what they are called, how they hang together, what they weigh.

An analyte is a substance, such as ``norketamine``, or one of its enantiomers, ``S-norketamine``. The racemate holds
both enantiomers in equal mass. All numbers are in ``data/substances.toml``, with their sources.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from kinetamine.errors import Fault, UnknownName

if TYPE_CHECKING:
    pass

__all__ = [
    "DRUGS",
    "ENANTIOMERS",
    "PARENTS",
    "Drug",
    "analytes",
    "base_per_hydrochloride",
    "forms",
    "in_own_mass",
    "mirror",
    "molar_mass",
    "parent",
    "part",
    "share",
    "split",
    "substances",
    "whole",
]

#: what a dose may be, and what a model may be about
Drug = Literal["S-ketamine", "R-ketamine", "racemate"]
DRUGS: tuple[str, ...] = get_args(Drug)
RACEMATE = "racemate"
#: what the names of the enantiomers of a substance begin with
ENANTIOMERS = ("S-", "R-")
#: the analytes that are the drug itself
PARENTS = ("S-ketamine", "R-ketamine", "ketamine")

Values = TypeVar("Values")


@functools.cache
def _file() -> Any:
    from pydantic import Field

    from kinetamine.records import Record, Seen, read_toml, unknown

    class Number(Record):
        value: float = Field(gt=0, allow_inf_nan=False)
        unit: Literal["g/mol", "1"]
        source: str | None = None
        place: str
        seen: Seen

    class Salt(Record):
        name: str
        molar_mass: Number
        base: Number

    class Substance(Record):
        molar_mass: Number
        parent: str | None = None
        salt: Salt | None = None

    class File(Record):
        substance: dict[str, Substance]
        racemate: dict[Literal["S-ketamine", "R-ketamine"], Number]

    def nonsense(file: File) -> Iterable[Fault]:
        for name, one in file.substance.items():
            if one.parent is not None and one.parent not in file.substance:
                yield unknown(f"substances.toml: {name}.parent", one.parent, file.substance, "a substance")
        if abs(sum(share.value for share in file.racemate.values()) - 1) > 1e-12:
            yield Fault("substances.toml: racemate", "other shares", "shares that add to 1")

    return read_toml("substances.toml", File, sense=nonsense)


@functools.cache
def substances() -> tuple[str, ...]:
    """Ketamine and its metabolites, without their enantiomers.

    Examples
    --------
    >>> substances()
    ('ketamine', 'norketamine', 'hydroxynorketamine', 'dehydronorketamine')
    """
    return tuple(_file().substance)


def forms(substance: str) -> tuple[str, str, str]:
    """The analytes that are a substance: both enantiomers, then their sum.

    Examples
    --------
    >>> forms("norketamine")
    ('S-norketamine', 'R-norketamine', 'norketamine')
    """
    return (f"S-{substance}", f"R-{substance}", substance)


@functools.cache
def analytes() -> tuple[str, ...]:
    """Everything that may be measured: each substance, then its enantiomers."""
    return tuple(form + name for name in substances() for form in ("", *ENANTIOMERS))


def split(analyte: str) -> tuple[str, str]:
    """Form and substance of an analyte or drug.

    Examples
    --------
    >>> split("S-norketamine"), split("ketamine")
    (('S-', 'norketamine'), ('', 'ketamine'))
    """
    form = analyte[:2] if analyte.startswith(ENANTIOMERS) else ""
    return form, analyte.removeprefix(form)


def mirror(drug: str) -> str:
    """What the names of the other enantiomer's substances begin with.

    Examples
    --------
    >>> mirror("S-ketamine")
    'R-'
    """
    return ENANTIOMERS[split(drug)[0] == ENANTIOMERS[0]]


def whole(drug: str) -> str:
    """The analyte that a dose of a drug is: of the racemate both enantiomers together.

    Examples
    --------
    >>> whole("racemate"), whole("S-ketamine")
    ('ketamine', 'S-ketamine')
    """
    return PARENTS[-1] if drug == RACEMATE else drug


def share(drug: str, enantiomer: str) -> float:
    """How much of the mass of a drug is an enantiomer.

    Parameters
    ----------
    drug : {"S-ketamine", "R-ketamine", "racemate"}
    enantiomer : str
        Of ketamine, such as ``"S-ketamine"``.

    Examples
    --------
    >>> share("racemate", "S-ketamine"), share("S-ketamine", "R-ketamine")
    (0.5, 0.0)
    """
    if drug == RACEMATE:
        return float(_file().racemate[enantiomer].value)
    return float(drug == enantiomer)


def part(drug: str, analyte: str) -> float:
    """How much of the mass of a drug an analyte can come from: an enantiomer has half of a racemate.

    Examples
    --------
    >>> part("racemate", "R-norketamine"), part("racemate", "norketamine"), part("S-ketamine", "norketamine")
    (0.5, 1.0, 1.0)
    """
    form, _ = split(analyte)
    return share(drug, f"{form}ketamine") if drug == RACEMATE and form else 1.0


def parent(substance: str) -> str | None:
    """What a substance is made from in the body.

    Examples
    --------
    >>> parent("norketamine"), parent("ketamine")
    ('ketamine', None)
    """
    found: str | None = _substance(substance).parent
    return found


def molar_mass(analyte: str) -> float:
    """g/mol of a substance or either of its enantiomers.

    Raises
    ------
    UnknownName
        If there is no such substance.

    Examples
    --------
    >>> molar_mass("S-norketamine")
    223.7
    """
    return float(_substance(split(analyte)[1]).molar_mass.value)


def _substance(name: str) -> Any:
    known = _file().substance
    if name not in known:
        raise UnknownName("analyte", name, known, "a substance")
    return known[name]


def in_own_mass(values: Any, analyte: str, counted_as: str | None) -> Any:
    """Amounts or concentrations of an analyte in its own mass, where they were counted in that of another.

    Examples
    --------
    >>> round(in_own_mass(100.0, "S-norketamine", "S-ketamine"), 2)
    94.1
    """
    if counted_as is None:
        return values
    return values * molar_mass(analyte) / molar_mass(counted_as)


def base_per_hydrochloride() -> float:
    """Mass of ketamine base in a mass of ketamine hydrochloride.

    Examples
    --------
    >>> base_per_hydrochloride()
    0.867
    """
    return float(_file().substance["ketamine"].salt.base.value)
