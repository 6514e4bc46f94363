"""Ketamine together with other anaesthetics: additive surfaces, return of response, and values that are looked up.

All numbers are in ``data/combinations.toml`` with their sources; models of the other drugs are model files like any.
"""

from __future__ import annotations

import functools
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from pydantic import Field

from kinetamine import units
from kinetamine.errors import Fault, InputError, NoData, UnknownName
from kinetamine.infusion import infusion_for
from kinetamine.infusion.system import first_time, system_of
from kinetamine.population import Patient
from kinetamine.records import Record, Seen, check_sources, read_toml

__all__ = [
    "Additive",
    "Ketofol",
    "additive",
    "ask",
    "combinations",
    "endoscopy",
    "ketofol",
    "laryngoscopy",
    "no_response",
    "sevoflurane",
]

Span = tuple[float, float, float]


class _Cited(Record):
    source: str
    place: str
    seen: Seen
    people: str
    warns: tuple[str, ...]


class Endpoint(Record):
    """Half-maximal doses, mg/kg: value, low, high."""

    propofol: Span
    ketamine: Span | None = None
    ketamine_above: float | None = None
    together: tuple[float, float]


class Bolus(_Cited):
    """Doses at once."""

    endpoint: dict[str, Endpoint]


class Surface(_Cited):
    """Concentrations of children."""

    propofol_mg_l: float = Field(gt=0)
    ketamine_mg_l: float = Field(gt=0)
    slope: float = Field(gt=0)
    propofol_model: str
    ketamine_model: str
    held_mg_l: float = Field(gt=0)
    held_seen: Seen
    printed: tuple[tuple[float, float], ...]
    printed_hours: float
    printed_weight_kg: float
    printed_age: float


class Laryngoscopy(_Cited):
    """Propofol and remifentanil."""

    remifentanil_ng_ml: float
    propofol_ug_ml: float
    remifentanil_slope: float
    propofol_slope: float
    pre: float


class Mac(Record):
    """One published MAC."""

    s_ketamine: str
    mac: float
    sd: float


class Endoscopy(Record):
    """One published EC50."""

    s_ketamine_mg_kg: float
    ec50_ug_ml: Span


class Works(Record):
    """Keys of what has no place of its own."""

    sevoflurane: str
    endoscopy: str
    dexmedetomidine: str


class Combinations(Record):
    """The file."""

    bolus: Bolus
    surface: Surface
    laryngoscopy: Laryngoscopy
    sevoflurane: tuple[Mac, ...]
    endoscopy: tuple[Endoscopy, ...]
    dexmedetomidine: dict[str, Span]
    works: Works


@functools.cache
def combinations() -> Combinations:
    """What was published on combinations.

    Examples
    --------
    >>> combinations().surface.slope
    5.4
    """
    found: Combinations = read_toml("combinations.toml", Combinations, sense=_nonsense)
    return found


def _nonsense(found: Combinations) -> list[Fault]:
    return check_sources((f"combinations.toml: works.{k}", v) for k, v in found.works.model_dump().items())


def _not_negative(name: str, value: float) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value < 0
    ):
        raise InputError(name, repr(value), "a number of at least zero")
    return float(value)


@dataclass(frozen=True)
class Additive:
    """Two doses at once on the additive line.

    Parameters
    ----------
    index : float
        Sum of the shares of the half-maximal doses; 1 where half of the people respond, if they add.
    low, high : float
        With the ends of the printed intervals, all at once: wider than an interval of the sum.
    endpoint, people, source : str
    warns : tuple of str
    """

    index: float
    low: float
    high: float
    endpoint: str
    people: str
    source: str
    warns: tuple[str, ...]


def additive(
    propofol_mg_kg: float, ketamine_mg_kg: float, endpoint: str = "loss of response to command"
) -> Additive:
    """Propofol and ketamine given at once: the sum of their shares of the half-maximal dose.

    Parameters
    ----------
    propofol_mg_kg, ketamine_mg_kg : float
        mg/kg; ketamine is the racemate.
    endpoint : str
        ``"loss of response to command"``, ``"no response to tetanus"``; of apnoea ketamine's own dose is not known.

    Raises
    ------
    NoData
        For apnoea with ketamine: its half-maximal dose is above the largest that was given.

    Examples
    --------
    >>> round(additive(0.63, 0.21).index, 2)
    1.11
    """
    part = combinations().bolus
    if endpoint not in part.endpoint:
        raise UnknownName("endpoint", endpoint, part.endpoint, "an endpoint")
    p, k = _not_negative("propofol", propofol_mg_kg), _not_negative("ketamine", ketamine_mg_kg)
    one = part.endpoint[endpoint]
    if one.ketamine is None and k > 0:
        raise NoData(
            "endpoint",
            f"{endpoint} with ketamine",
            f"a half-maximal dose of ketamine, which is above {one.ketamine_above:g} mg/kg; together half stopped "
            f"breathing at {one.together[0]:g} + {one.together[1]:g} mg/kg",
        )
    halves = [one.propofol, one.ketamine or (math.inf,) * 3]
    index, high, low = (sum(d / h[i] for d, h in zip((p, k), halves, strict=True)) for i in range(3))
    return Additive(index, low, high, endpoint, part.people, part.source, part.warns)


def no_response(propofol_mg_l: Any, ketamine_mg_l: Any) -> Any:
    """Share of children without response to a 5-s tetanus at two concentrations (arrays broadcast).

    Examples
    --------
    >>> float(no_response(3.1, 0.0)), round(float(no_response(1.55, 0.32)), 3)
    (0.5, 0.5)
    """
    s = combinations().surface
    u = (
        np.asarray(propofol_mg_l, float) / s.propofol_mg_l
        + np.asarray(ketamine_mg_l, float) / s.ketamine_mg_l
    )
    return u**s.slope / (1 + u**s.slope)


@dataclass(frozen=True)
class Ketofol:
    """Propofol and ketamine in one ratio: what was given and when half respond again.

    Parameters
    ----------
    ratio : float
        Propofol over ketamine, by mass.
    duration_h : float
    propofol_mg, ketamine_mg : float
        Given in all.
    return_h : float
        From the stop until half respond to a tetanus again; infinite if never within a year.
    share_at_stop : float
        Without response at the stop.
    printed_h : float or None
        What the authors printed for this ratio, time and child.
    grade : str
    reasons : tuple of str
    """

    ratio: float
    duration_h: float
    propofol_mg: float
    ketamine_mg: float
    return_h: float
    share_at_stop: float
    printed_h: float | None
    grade: str
    reasons: tuple[str, ...]


def ketofol(
    ratio: float,
    duration_h: float = 1.5,
    *,
    weight: float = 20.0,
    age: float = 5.0,
    propofol_mg_l: float | None = None,
) -> Ketofol:
    """Propofol held at a concentration with ketamine in a fixed ratio; how long until half respond again.

    Parameters
    ----------
    ratio : float
        Propofol over ketamine, by mass: 1 for 1:1, 10 for 10:1.
    duration_h : float
    weight, age : float
        kg, years; of a child.
    propofol_mg_l : float, optional
        At which propofol is held; without it the one that meets the printed times.

    Raises
    ------
    InputError
        For numbers that cannot be.

    Examples
    --------
    >>> [round(ketofol(r).return_h, 1) for r in (1, 10)]
    [4.7, 0.6]
    """
    s = combinations().surface
    for name, value in (("ratio", ratio), ("duration", duration_h), ("weight", weight), ("age", age)):
        if _not_negative(name, value) == 0:
            raise InputError(name, repr(value), "a number above zero")
    held = s.held_mg_l if propofol_mg_l is None else _not_negative("propofol", propofol_mg_l)
    who = Patient(weight=weight, age=age)
    plan = infusion_for(held, model=s.propofol_model, patient=who, duration=duration_h, output="propofol")
    states, systems = (
        [],
        (system_of(s.propofol_model, who, output="propofol"), system_of(s.ketamine_model, who)),
    )
    for system, share in zip(systems, (1.0, 1.0 / ratio), strict=True):
        state = system.entry * plan.bolus_mg * share
        for start, end, rate in zip(plan.start_h, plan.end_h, plan.rate_mg_h, strict=True):
            state = system.later(state, float(end - start), float(rate) * share)
        states.append(state)
    scale = [units.convert(1.0, system.unit, "mg/L") for system in systems]

    def level(t: float) -> float:
        p, k = (float(y.plasma @ y.later(x, t)) * f for y, x, f in zip(systems, states, scale, strict=True))
        return p / s.propofol_mg_l + k / s.ketamine_mg_l

    u = level(0.0)
    same = (duration_h, weight, age) == (s.printed_hours, s.printed_weight_kg, s.printed_age)
    printed = dict(s.printed).get(ratio) if same else None
    assumed = (
        f"propofol held at {held:g} mg/L, an assumption: the regimen behind the printed times was not seen"
    )
    outside = [] if 1 <= age <= 12 else [f"age {age:g} years is outside the 1-12 years of the models"]
    grade = "extrapolated" if outside else "assumed"
    total = plan.total_mg
    return Ketofol(
        ratio, duration_h, total, total / ratio, first_time(lambda t: level(t) - 1.0),
        u**s.slope / (1 + u**s.slope), printed, grade, (*outside, assumed, *s.warns),
    )  # fmt: skip


def laryngoscopy(propofol_ug_ml: float, remifentanil_ng_ml: float) -> float:
    """Share without response to laryngoscopy under propofol and remifentanil at their effect sites.

    Examples
    --------
    >>> round(laryngoscopy(4.0, 0.0), 3) < round(laryngoscopy(4.0, 4.0), 3)
    True
    """
    s = combinations().laryngoscopy
    p, r = _not_negative("propofol", propofol_ug_ml), _not_negative("remifentanil", remifentanil_ng_ml)
    blocked = r**s.remifentanil_slope / (
        r**s.remifentanil_slope + (s.remifentanil_ng_ml * s.pre) ** s.remifentanil_slope
    )
    left = s.pre * (1 - blocked)
    if p == 0:
        return 0.0
    return p**s.propofol_slope / (p**s.propofol_slope + (s.propofol_ug_ml * left) ** s.propofol_slope)


def sevoflurane() -> tuple[tuple[str, float, float], ...]:
    """MAC of sevoflurane at skin incision by S-ketamine given: regimen, vol%, SD; looked up, never interpolated.

    Examples
    --------
    >>> [mac for _, mac, _ in sevoflurane()]
    [2.1, 0.9, 0.5]
    """
    return tuple((m.s_ketamine, m.mac, m.sd) for m in combinations().sevoflurane)


def endoscopy() -> tuple[tuple[float, Span], ...]:
    """Propofol target (EC50, Marsh) for endoscopy in people of 65 to 89 years by S-ketamine given before.

    Examples
    --------
    >>> [(dose, ec50[0]) for dose, ec50 in endoscopy()]
    [(0.0, 3.69), (0.25, 2.45), (0.5, 1.71)]
    """
    return tuple((e.s_ketamine_mg_kg, e.ec50_ug_ml) for e in combinations().endoscopy)


#: what may be asked, and the fields each part needs
PARTS = {
    "ketofol": ("ratio",),
    "bolus": ("propofol", "ketamine"),
    "laryngoscopy": ("propofol", "remifentanil"),
    "sevoflurane": (),
    "endoscopy": (),
    "dexmedetomidine": (),
}


def ask(
    what: str | None = None,
    *,
    ratio: float | None = None,
    duration: float | None = None,
    weight: float | None = None,
    age: float | None = None,
    propofol: float | None = None,
    ketamine: float | None = None,
    remifentanil: float | None = None,
    endpoint: str | None = None,
) -> dict[str, Any]:
    """One question about a combination, as plain values: what the command and the route say.

    Parameters
    ----------
    what : str, optional
        One of `PARTS`; without it what may be asked.
    ratio, duration, weight, age : float, optional
        *ketofol*: propofol over ketamine by mass, hours, kg, years of a child.
    propofol, ketamine : float, optional
        *bolus*: mg/kg. *laryngoscopy*: propofol in ug/mL.
    remifentanil : float, optional
        *laryngoscopy*: ng/mL.
    endpoint : str, optional
        *bolus*.

    Raises
    ------
    InputError
        Also for a field that this part does not use.

    Examples
    --------
    >>> ask("sevoflurane")["rows"][1]
    {'s_ketamine': '0.5 mg/kg, then 0.5 mg/kg/h', 'mac': 0.9, 'sd': 0.1}
    """
    told = {
        "ratio": ratio, "duration": duration, "weight": weight, "age": age, "propofol": propofol, "ketamine": ketamine,
        "remifentanil": remifentanil, "endpoint": endpoint,
    }  # fmt: skip
    given = {k: v for k, v in told.items() if v is not None}
    if what is None:
        if given:
            raise InputError(next(iter(given)), repr(next(iter(given.values()))), "what it is for", "ketofol")
        return {"parts": {name: list(fields) for name, fields in PARTS.items()}}
    if what not in PARTS:
        raise UnknownName("what", what, PARTS, "a combination")
    more = {"ketofol": ("duration", "weight", "age"), "bolus": ("endpoint",)}.get(what, ())
    for name, value in given.items():
        if name not in (*PARTS[what], *more):
            raise InputError(
                name, repr(value), f"a field of {what}: {', '.join((*PARTS[what], *more)) or 'none'}"
            )
    for name in PARTS[what]:
        if name not in given:
            raise InputError(name, "nothing", f"a number for {what}", f"{name} 1")
    return {"what": what, **_part(what, given)}


def _part(what: str, given: dict[str, Any]) -> dict[str, Any]:
    file = combinations()
    if what == "ketofol":
        names = {"duration": "duration_h"}
        found = ketofol(given["ratio"], **{names.get(k, k): v for k, v in given.items() if k != "ratio"})
        data = asdict(found) | {"reasons": list(found.reasons), "source": file.surface.source}
        return data | {"return_h": found.return_h if math.isfinite(found.return_h) else None}
    if what == "bolus":
        end = {"endpoint": given["endpoint"]} if "endpoint" in given else {}
        one = additive(given["propofol"], given["ketamine"], **end)
        return asdict(one) | {"warns": list(one.warns)}
    if what == "laryngoscopy":
        s = file.laryngoscopy
        share = laryngoscopy(given["propofol"], given["remifentanil"])
        return {
            "share_without_response": share,
            "people": s.people,
            "source": s.source,
            "warns": list(s.warns),
        }
    source = getattr(file.works, what)
    if what == "dexmedetomidine":
        rows = [{"endpoint": k, "ec50_ng_ml": list(v)} for k, v in file.dexmedetomidine.items()]
        return {"rows": rows, "source": source, "warns": ["remifentanil adds nothing to these"]}
    rows = [row.model_dump() for row in getattr(file, what)]
    return {"rows": rows, "source": source, "warns": ["looked up; nothing is interpolated"]}
