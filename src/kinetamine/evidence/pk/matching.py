"""Which models hold a study arm: same route, a drug they take, an analyte they give, people of that age.

What is known to differ beyond that is written down, not hidden: another sampling site, people the model was
estimated from, a weight, dose or state of health outside its range.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kinetamine.evidence.pk.observations import Arm
from kinetamine.substances import ENANTIOMERS, part

if TYPE_CHECKING:
    from kinetamine.models.spec import ModelSpec

__all__ = ["GROWN_UP", "REFERENCE_WEIGHT_KG", "Match", "matches", "unusual_doses", "why_none"]

#: years from which a person counts as an adult
GROWN_UP = 18.0
#: body weight where neither the arm nor the model says one: the weight clearances are usually stated for
REFERENCE_WEIGHT_KG = 70.0

Site = Literal["same", "not stated", "mismatch"]
Origin = Literal["other", "own", "unknown"]

#: words in a description of people → what they have in common. Words of both sides must overlap.
_STATES = {
    "healthy": ("healthy",),
    "depression": ("depress",),
    "intensive care": ("intensive care",),
    "heart surgery": ("heart", "cardiac"),
    "burns": ("burn",),
    "procedures": ("procedure", "emergency", "halothane", "surg"),
    "pain": ("pain",),
    "schizophrenia": ("schizophrenia",),
}


@dataclass(frozen=True)
class Match:
    """A model, or an S- and an R-model together, that can predict an analyte of an arm.

    `site` compares where the blood was taken; `origin` says whether the model was estimated from these very
    people ("own"), from pooled data whose members were not seen ("unknown"), or from others; `outside` lists
    what leaves the model's range.
    """

    models: tuple[ModelSpec, ...]
    doses: tuple[str, ...]
    site: Site
    origin: Origin
    outside: tuple[str, ...]

    @property
    def label(self) -> str:
        """Id of the model, or of both."""
        return " + ".join(spec.id for spec in self.models)


def matches(name: str, arm: Arm, analytes: Iterable[str], specs: Mapping[str, ModelSpec]) -> list[Match]:
    """Every model, and every pair of an S- and an R-model, that can predict these analytes of this arm.

    Parameters
    ----------
    name : str
        The arm's key, for messages only.
    arm : Arm
    analytes : iterable of str
        All of them must come out of the same model (a ratio needs two).
    specs : dict of str to ModelSpec
        Models that run.

    Returns
    -------
    list of Match
        In the order of `specs`, pairs last.

    Examples
    --------
    >>> from kinetamine.evidence.pk.observations import load
    >>> from kinetamine.models import library
    >>> specs = {"otto_2021_s_ketamine": library.load("otto_2021_s_ketamine")}
    >>> arm = load().arms["hasan_2021_iv"]
    >>> [(m.label, m.site, m.origin) for m in matches("hasan_2021_iv", arm, ["S-ketamine"], specs)]
    [('otto_2021_s_ketamine', 'same', 'other')]
    """
    wanted = tuple(analytes)
    found = [
        _match(arm, doses, (spec,))
        for spec in specs.values()
        if _gives(spec, arm, wanted) and _old_enough(spec, arm) and (doses := _doses(spec, arm))
    ]
    if arm.drug == "racemate" and all(not a.startswith(ENANTIOMERS) for a in wanted):
        halves = [[f"{form}{a}" for a in wanted] for form in ENANTIOMERS]
        s_models, r_models = (
            [
                s
                for s in specs.values()
                if s.drug == f"{form}ketamine" and _gives(s, arm, half) and _old_enough(s, arm)
            ]
            for form, half in zip(ENANTIOMERS, halves, strict=True)
        )
        found += [
            _match(arm, doses, (s, r))
            for s in s_models
            for r in r_models
            if s.sampling == r.sampling and (doses := _doses(s, arm)) and _doses(r, arm) == doses
        ]
    return found


def why_none(arm: Arm, analytes: Iterable[str], specs: Mapping[str, ModelSpec]) -> str:
    """Why no model here predicts these analytes of this arm, in one line."""
    wanted = tuple(analytes)
    names = " and ".join(wanted)
    by_route = [s for s in specs.values() if _doses(s, arm)]
    if not by_route:
        return f"no model here has the route {arm.route}"
    takes = [s for s in by_route if s.drug == arm.drug or (arm.drug == "racemate" and s.drug != "racemate")]
    if not takes:
        return f"no model here takes {arm.drug} by the route {arm.route}"
    giving = [s for s in takes if _gives(s, arm, wanted)]
    if not giving:
        total = arm.drug == "racemate" and not names.startswith(ENANTIOMERS)
        both = "; the two enantiomers would need an S- and an R-model together" if total else ""
        return f"no model here gives {names} after {arm.drug} by the route {arm.route}{both}"
    return "; ".join(f"{s.id} covers {_ages(s)}" for s in giving) + f"; these are {_age_words(arm)}"


def _gives(spec: ModelSpec, arm: Arm, analytes: Iterable[str]) -> bool:
    """The drug fits (half of a racemate is each enantiomer) and all analytes come out."""
    if spec.drug != arm.drug and (arm.drug != "racemate" or spec.drug == "racemate"):
        return False
    out = {(output.analyte or name) for name, output in spec.outputs.items()}
    return out.issuperset(analytes)


def _doses(spec: ModelSpec, arm: Arm) -> tuple[str, ...]:
    """The arm's dose phrases as far as this model can take them; empty when it cannot."""
    routes = set(spec.entries)
    if arm.route not in spec.own_routes:
        return ()
    for phrases in (arm.doses, arm.doses_without_film):
        if phrases and {_entry(phrase) for phrase in phrases} <= routes:
            return phrases
    return ()


def _entry(phrase: str) -> str:
    from kinetamine.dosing import Regimen

    return Regimen.parse(phrase).doses[0].entry


def _old_enough(spec: ModelSpec, arm: Arm) -> bool:
    ages = spec.applies.age_years
    if ages is None and spec.applies.people is not None:
        return (spec.applies.people == "adults") == (arm.age_group == "adult")
    if ages is None:  # nothing printed: adults, unless it says otherwise
        everyone = spec.applies.health is not None and re.search("mixed|child", spec.applies.health)
        return arm.age_group == "adult" or bool(everyone)
    if arm.age is not None:
        return ages[0] <= arm.age <= ages[1]
    return ages[1] > GROWN_UP if arm.age_group == "adult" else ages[0] < GROWN_UP


def _match(arm: Arm, doses: tuple[str, ...], models: tuple[ModelSpec, ...]) -> Match:
    sites = {spec.sampling for spec in models}
    site: Site = "not stated"
    if arm.sampling in ("arterial", "venous") and sites <= {"arterial", "venous"}:
        site = "same" if sites == {arm.sampling} else "mismatch"
    origin: Origin = "other"
    if {spec.id for spec in models} & set(arm.built_into):
        origin = "own"
    elif {spec.id for spec in models} & set(arm.maybe_built_into):
        origin = "unknown"
    outside: list[str] = []
    for spec in models:
        outside += _outside(spec, arm)
    if arm.unlike:
        outside.append(arm.unlike)
    if doses != arm.doses:
        outside.append("the film dose left out")
    return Match(models, doses, site, origin, tuple(dict.fromkeys(outside)))


def _outside(spec: ModelSpec, arm: Arm) -> Iterable[str]:
    applies = spec.applies
    if (
        applies.weight_kg
        and arm.weight is not None
        and not applies.weight_kg[0] <= arm.weight <= applies.weight_kg[1]
    ):
        yield f"weight {arm.weight:g} kg (model: {applies.weight_kg[0]:g}-{applies.weight_kg[1]:g})"
    if arm.health and applies.health:
        people, covered = _states(arm.health), _states(applies.health)
        if people and covered and not people & covered:
            yield f"people: {arm.health} (model: {applies.health})"


def unusual_doses(match: Match, arm: Arm) -> Iterable[str]:
    """Doses outside what the models were built on; matters where a measure depends on the dose."""
    from kinetamine.dosing import Regimen

    for spec in match.models:
        limits = spec.applies.dose_mg
        if limits is None or arm.nominal_dose:
            continue
        share = part(arm.drug, spec.drug)
        kg = arm.weight or REFERENCE_WEIGHT_KG
        given = Regimen.parse(list(match.doses)).expanded()
        amounts: list[float] = []
        end = None
        for dose in given:
            amount = share * dose.mg({"weight": kg})
            if end is not None and dose.duration_h and abs(dose.time_h - end) < 1e-6:
                amounts[-1] += amount  # steps of one infusion are one dose
            else:
                amounts.append(amount)
            end = dose.end_h
        if not all(limits[0] * 0.999 <= amount <= limits[1] * 1.001 for amount in amounts):
            words = " and ".join(f"{amount:.3g}" if amount < 100 else f"{amount:.0f}" for amount in amounts)
            yield f"dose {words} mg of {spec.drug} (model: {limits[0]:g}-{limits[1]:g})"


def _states(text: str) -> set[str]:
    return {state for state, words in _STATES.items() if any(word in text.lower() for word in words)}


def _ages(spec: ModelSpec) -> str:
    ages = spec.applies.age_years
    return "adults (no ages printed)" if ages is None else f"{ages[0]:g}-{ages[1]:g} years"


def _age_words(arm: Arm) -> str:
    if arm.age is not None:
        return f"{'of mean age' if arm.age_mean is not None else 'around'} {arm.age:g} years"
    return "children of unknown age" if arm.age_group == "child" else "adults"
