"""How far a result can be trusted: the model's ranges and limits against what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kinetamine.models.spec import Limit, ModelSpec
from kinetamine.results.grades import EXTRAPOLATED, FITTED, NOT_STATED

__all__ = ["FEW", "Given", "grade", "limits"]

#: share of a population that may lie outside the range before the whole is called extrapolated
FEW = 0.05


@dataclass(frozen=True)
class Given:
    """The doses of a request, as far as a model's ranges are about them.

    Parameters
    ----------
    routes : names of the entries used
    start_h, length_h : array (administration,)
        When each begins and how long it takes.
    amount_mg, amount_mg_kg : array (dose,)
        How much it is; per kg of the median person.
    """

    routes: Sequence[str] = ()
    start_h: np.ndarray = field(default_factory=lambda: np.zeros(0))
    length_h: np.ndarray = field(default_factory=lambda: np.zeros(0))
    amount_mg: np.ndarray = field(default_factory=lambda: np.zeros(0))
    amount_mg_kg: np.ndarray = field(default_factory=lambda: np.zeros(0))


class _Found:
    """What was found: outside a range, without a range, inside."""

    def __init__(self) -> None:
        self.outside: list[str] = []
        self.unstated: list[str] = []
        self.inside: list[str] = []

    def verdict(self) -> tuple[str, tuple[str, ...]]:
        if self.outside:
            return EXTRAPOLATED, tuple(dict.fromkeys(self.outside))
        if self.unstated:
            told = "the paper's range was not seen: " + ", ".join(self.unstated)
            return NOT_STATED, (told, *dict.fromkeys(self.inside))
        return FITTED, tuple(dict.fromkeys(self.inside)) or ("inside all ranges of the model",)


def grade(
    spec: ModelSpec, people: Mapping[str, np.ndarray], given: Given, sample_h: np.ndarray
) -> tuple[str, tuple[str, ...]]:
    """Grade of a model's outputs and the reasons, in words.

    Of an effect model only the people are looked at: its concentrations have a range of their own.

    Parameters
    ----------
    people : dict of arrays
        ``age`` in years and ``weight`` in kg, where known.
    given : Given
    sample_h : array, h

    Returns
    -------
    grade : str
        One of `kinetamine.results.grades.GRADES`: ``fitted`` inside every range, ``range not stated`` where the
        paper has none for something asked, ``extrapolated`` outside one.
    reasons : tuple of str

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> spec = load("otto_2021_s_ketamine")
    >>> one = Given(["iv"], np.zeros(1), np.array([0.5]), np.array([10.0]), np.array([0.14]))
    >>> grade(spec, {"age": np.array([70.0])}, one, np.array([1.0]))[0]
    'extrapolated'
    """
    found = _Found()
    used = list(given.routes)
    found.outside += [why for route in used or spec.doubts for why in spec.doubts.get(route, ())]
    found.inside += [why for route in used or spec.remarks for why in spec.remarks.get(route, ())]
    for name, unit, range_ in (
        ("age", "years", spec.applies.age_years),
        ("weight", "kg", spec.applies.weight_kg),
    ):
        if name in people and (range_ is not None or spec.kind == "pk"):
            _people(found, name, unit, range_, np.asarray(people[name]))
    if spec.applies.only:
        found.outside.append(f"made from {spec.applies.health}: {spec.applies.only}")
    if spec.kind == "pk":
        _doses(found, spec, given)
        _times(found, spec, given, sample_h)
        for limit in spec.limits:
            if not limit.outputs and _holds(limit, given, sample_h):
                found.outside.append(limit.why)
    if spec.status == "derived":
        found.inside.append("derived here from published data, not a published model")
    return found.verdict()


def limits(spec: ModelSpec, given: Given, sample_h: np.ndarray) -> dict[str, Limit]:
    """Outputs about which a limit of their own holds.

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> bolus = Given(["iv"], np.zeros(1), np.zeros(1), np.array([5.0]), np.array([0.5]))
    >>> list(limits(load("flint_2017_s_ketamine_picu"), bolus, np.array([1.0])))
    ['S-norketamine']
    """
    holding = [limit for limit in spec.limits if limit.outputs and _holds(limit, given, sample_h)]
    return {name: limit for limit in holding for name in limit.outputs}


def _people(
    found: _Found, name: str, unit: str, range_: tuple[float, float] | None, values: np.ndarray
) -> None:
    if range_ is None:
        found.unstated.append(name)
        return
    out = (values < range_[0] - 1e-9) | (values > range_[1] + 1e-9)
    span = f"{range_[0]:g}-{range_[1]:g} {unit}"
    if out.all() and len(values) == 1:
        found.outside.append(f"{name} {values[0]:g} {unit} is outside the {span} of the people studied")
    elif out.mean() > FEW:
        found.outside.append(f"{out.mean():.0%} of the people are outside the {span} of those studied")
    elif out.any():
        found.inside.append(f"{name} within {span} but for {out.mean():.1%} of the people")
    else:
        found.inside.append(f"{name} within {span}")


def _doses(found: _Found, spec: ModelSpec, given: Given) -> None:
    applies = spec.applies
    if applies.routes is None:
        found.unstated.append("route")
    elif strange := sorted(set(given.routes) - set(applies.routes)):
        found.outside.append("route not studied: " + ", ".join(strange))
    else:
        found.inside.append("route studied")
    ranges = [
        (range_, unit, amounts)
        for range_, unit, amounts in (
            (applies.dose_mg, "mg", given.amount_mg),
            (applies.dose_mg_kg, "mg/kg", given.amount_mg_kg),
        )
        if range_ is not None
    ]
    if not ranges:
        found.unstated.append("dose")
    for (low, high), unit, amounts in ranges:
        out = [float(m) for m in amounts if m < low * (1 - 1e-9) or m > high * (1 + 1e-9)]
        if out:
            most = max(out, key=lambda m: max(m / high, low / max(m, 1e-300)))
            found.outside.append(
                f"a dose of {most:.3g} {unit} is outside the {low:g}-{high:g} {unit} studied"
            )


def _times(found: _Found, spec: ModelSpec, given: Given, sample_h: np.ndarray) -> None:
    longest = spec.applies.duration_h
    if longest is None:
        found.unstated.append("time after the dose")
        return
    if not len(given.start_h) or not len(sample_h):
        return
    starts = np.sort(given.start_h)
    before = np.searchsorted(starts, sample_h, side="right") - 1
    late = (before >= 0) & (sample_h - starts[np.maximum(before, 0)] > longest * (1 + 1e-9))
    if late.any():
        found.outside.append(
            f"{late.mean():.0%} of the times lie more than {longest:g} h after a dose, later than was studied"
        )


def _holds(limit: Limit, given: Given, sample_h: np.ndarray) -> bool:
    if limit.shorter_h is None:
        return True
    short = given.length_h < limit.shorter_h * (1 - 1e-9)
    if not short.any() or limit.within_h is None or not len(sample_h):
        return bool(short.any())
    starts = np.sort(given.start_h[short])
    before = np.searchsorted(starts, sample_h, side="right") - 1
    since = sample_h - starts[np.maximum(before, 0)]
    return bool(((before >= 0) & (since <= limit.within_h)).any())
