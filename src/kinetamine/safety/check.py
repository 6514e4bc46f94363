"""A whole scenario before the safety desk: patient, other medicines, concentrations; gravest first.

Nothing here clears a treatment: it lists what was published about the words and numbers it was given.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetamine import units
from kinetamine.errors import InputError, NoData
from kinetamine.results import grades
from kinetamine.safety import doses, misuse, pd_interactions, perturbations, screening
from kinetamine.safety.findings import Finding, Hazard, hazards, ordered, worst
from kinetamine.substances import PARENTS

if TYPE_CHECKING:
    from kinetamine.safety.perturbations import Observed, Perturbation
    from kinetamine.scenario import Scenario

__all__ = ["Check", "Peak", "check"]

_IN_BLOOD = ("plasma", "blood", "serum")
#: a peak is looked for minute by minute, in at most this many points
_MOST_POINTS = 50_000
_MINUTE_H = 1 / 60
#: how grave an interaction is, in the words of a finding; a benefit is told, not warned of
_SEVERITY = {
    "high": "caution",
    "moderate": "monitor",
    "low": "information",
    "none stated": "information",
    "benefit": "information",
}


@dataclass(frozen=True)
class Peak:
    """Highest simulated concentration of the typical patient, and the published ranges it meets.

    Parameters
    ----------
    name, site, grade : str
        Which concentration, where, and how far to trust it.
    ng_ml : float
        The peak.
    note : str
        What it leaves out.
    """

    name: str
    site: str
    grade: str
    ng_ml: float
    thresholds: tuple[misuse.Threshold, ...]
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        ranges = [t.to_dict() for t in self.thresholds]
        return {
            "output": self.name,
            "site": self.site,
            "grade": self.grade,
            "peak_ng_ml": self.ng_ml,
            "note": self.note,
            "ranges": ranges,
        }


@dataclass(frozen=True)
class Check:
    """Everything found about one scenario.

    Examples
    --------
    >>> found = check({"model": "otto_2021_s_ketamine", "doses": "10 mg iv over 30 min", "conditions": ["avm"]})
    >>> found.worst
    'exclude'
    """

    title: str
    findings: tuple[Finding, ...]
    peaks: tuple[Peak, ...]
    screening: screening.Screening
    notes: tuple[str, ...]

    @property
    def worst(self) -> str | None:
        """The gravest severity found."""
        return worst(self.findings)

    @property
    def hazards(self) -> tuple[Hazard, ...]:
        """The findings, one row for each hazard."""
        return hazards(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "title": self.title,
            **self.screening.to_dict(),
            "worst": self.worst,
            "hazards": [h.to_dict() for h in self.hazards],
            "findings": [f.to_dict() for f in self.findings],
            "peaks": [p.to_dict() for p in self.peaks],
            "notes": list(self.notes),
        }


def check(scenario: Scenario | Mapping[str, Any] | str | Path) -> Check:
    """Screen a scenario, name its interactions and compare its typical peak with published concentrations.

    Parameters
    ----------
    scenario : Scenario, mapping or path of a TOML file
        Its keys ``product``, ``conditions``, ``medications``, ``with``, ``condition`` and the table ``[visit]``
        describe the patient; age, weight and height are those of ``[patient]`` or ``[population]``.

    Raises
    ------
    InputError
        For words nobody knows and scenarios that are not sound.

    Examples
    --------
    >>> request = {"model": "perez_ruixo_2021_esketamine", "doses": "84 mg nasal", "visit": {"sbp": 150, "dbp": 85}}
    >>> [f.severity for f in check(request).findings][:1]
    ['adjust']
    """
    from kinetamine.scenario import Scenario, read, read_file

    if isinstance(scenario, (str, Path)):
        scenario = read(read_file(scenario), str(scenario))
    elif not isinstance(scenario, Scenario):
        scenario = read(scenario)
    screenings = [screening.screen(given) for given in _descriptions(scenario)]
    notes: list[str] = []
    if getattr(scenario.people, "table", None) is not None:
        notes.append(
            "the people of the table were not screened one by one: describe each with kinetamine screen"
        )
    notes += dict.fromkeys(said for s in screenings for said in s.without_data)
    peaks = _peaks(scenario, notes)
    findings = [f for s in screenings for f in s.findings]
    findings += _interactions(scenario)
    findings += [f for peak in peaks for f in _reached(peak)]
    findings += _doses(scenario)
    merged = replace(
        screenings[0],
        findings=ordered(f for s in screenings for f in s.findings),
        missing=tuple(dict.fromkeys(m for s in screenings for m in s.missing)),
    )
    return Check(scenario.title, ordered(findings), peaks, merged, tuple(notes))


def _descriptions(scenario: Scenario) -> list[dict[str, Any]]:
    """What the screening is told; once for the youngest and once for the oldest of a population."""
    given: dict[str, Any] = {
        "conditions": [*scenario.conditions, *scenario.condition],
        "medications": [*scenario.medications, *scenario.with_],
    }
    if scenario.product:
        given["product"] = scenario.product
    for key in scenario.visit:
        if key in given or key in ("age", "weight", "height"):
            raise InputError(
                f"visit.{key}", repr(key), "what is measured at the visit", "sbp, dbp, egfr, liver"
            )
    given.update(scenario.visit)
    people = scenario.people
    if people is None:
        return [given]
    known = getattr(people, "given", {})
    given.update({k: float(known[k]) for k in ("weight", "height") if isinstance(known.get(k), (int, float))})
    ages = (
        [known["age"]] if isinstance(known.get("age"), (int, float)) else getattr(people, "age_range", None)
    )
    return [{**given, "age": float(age)} for age in dict.fromkeys(ages)] if ages else [given]


# ---- other medicines and diseases


def _interactions(scenario: Scenario) -> Iterable[Finding]:
    asked = (*scenario.medications, *scenario.with_, *scenario.conditions, *scenario.condition)
    library = perturbations.load()
    for name in dict.fromkeys(asked):
        known = pd_interactions.resolved(screening.medicine(name) or name)
        if known is None:
            continue  # only the screening rules speak of it
        if pd_interactions.without_data(known) is not None:
            continue  # said among the notes
        yield from (
            _effect_finding(name, f) for f in pd_interactions.interactions(known) if f.kind == "effect"
        )
        for id, one in library.perturbations.items():
            if known in (one.name, *one.aliases) and library.rows(id):
                yield _curve_finding(name, id, one, library.rows(id))


def _effect_finding(name: str, f: pd_interactions.Interaction) -> Finding:
    size = f" ({f.magnitude})" if f.magnitude else ""
    way = "" if f.direction == "not stated" else f": {f.direction}"
    drug = f.drug if f.via is None else f"{f.drug}; {name} is taken to act as its group, {f.via}"
    return Finding(
        _SEVERITY[f.severity],
        "interaction",
        f"{f.effect}{way}{size}; {drug}",
        f.ketamine,
        f.people or "people not stated",
        f.source,
        f.seen,
        "",
        f.evidence,
        name,
        "",
        f.note or "",
        hazard=_drug(name),
    )


def _curve_finding(name: str, id: str, one: Perturbation, rows: list[Observed]) -> Finding:
    said = {
        "fitted": "changes the curve; factors fitted to what was observed",
        "predicted": f"expected to change the curve as {one.like} does",
        "no change": "looked for, no change of the curve found",
        "observed": "observed only; not applied to other doses or routes",
    }[one.status]
    ratios = [f"{r.measure} x{r.ratio:g} ({r.drug} {r.route})" for r in rows if r.measure and r.ratio]
    shown = f": {', '.join(ratios[:3])}" if ratios else ""
    return Finding(
        "adjust" if one.status in ("fitted", "predicted") else "information",
        "exposure",
        f"{one.name}: {said}{shown}",
        "any ketamine",
        rows[0].detail or "as observed",
        rows[0].source,
        "recalled" if all(r.seen == "recalled" for r in rows) else rows[0].seen,
        id,
        "observed exposure",
        name,
        rows[0].place or "",
        one.doubt or one.why or "",
        hazard=_drug(name),
    )


def _drug(name: str) -> str:
    """A medicine as the screening writes it too."""
    return screening.medicine(name) or name


# ---- doses and concentrations


def _doses(scenario: Scenario) -> Iterable[Finding]:
    from kinetamine.dosing import Regimen

    if not isinstance(scenario.doses, Regimen):
        return ()
    weight = getattr(scenario.people, "given", {}).get("weight")
    return doses.findings(scenario.doses.doses, weight if isinstance(weight, (int, float)) else None)


def _peaks(scenario: Scenario, notes: list[str]) -> tuple[Peak, ...]:
    from kinetamine.dosing import Regimen
    from kinetamine.population import Patient
    from kinetamine.safety.interactions import applied

    known = getattr(scenario.people, "given", {})
    typical = Patient(**{k: v for k, v in known.items() if isinstance(v, (int, float, str))})
    try:
        moved = applied(scenario)
    except NoData as error:
        notes.append(f"the peak is that without {', '.join((*scenario.with_, *scenario.condition))}: {error}")
        moved = replace(scenario, with_=(), condition=())
    alone = replace(moved, people=typical, outputs=None, stream=False)
    if isinstance(scenario.doses, Regimen):
        until = scenario.doses.duration_h + scenario.occasion_h
        step = max(_MINUTE_H, until / _MOST_POINTS)
        alone = replace(alone, times_h=None, until_h=until, step_h=step)
    else:
        notes.append("event table: peaks are the highest of its observation records, of all its patients")
        alone = replace(alone, people=scenario.people)
    result = alone.run()
    found: dict[str, list[Any]] = {}
    for output in result.outputs.values():
        site = next((s for s in _IN_BLOOD if s in output.site), None)
        if output.analyte in PARENTS and site is not None and output.values is not None:
            found.setdefault(output.site, []).append(output)
    peaks = []
    for site, outputs in found.items():
        whole = [o for o in outputs if o.analyte == "ketamine"]
        sides = [o for o in outputs if o.analyte != "ketamine"]
        for some in ([o] for o in whole):
            peaks.append(_peak(site, some))
        if sides and not whole:
            peaks.append(_peak(site, list({o.analyte: o for o in sides}.values())))
    if not peaks:
        notes.append("no concentration of ketamine in blood or plasma among the outputs: nothing to compare")
    return tuple(peaks)


def _peak(site: str, outputs: list[Any]) -> Peak:
    import numpy as np

    curves = [units.convert(1.0, o.unit, "ng/mL") * np.asarray(o.values) for o in outputs]
    highest = float(np.nanmax(sum(curves[1:], curves[0])))
    note = ""
    if len(outputs) == 1 and outputs[0].analyte != "ketamine":
        note = f"{outputs[0].analyte} alone; the published ranges are of total ketamine, mostly the racemate"
    return Peak(
        " + ".join(o.analyte for o in outputs),
        site,
        grades.worst(o.grade for o in outputs),
        highest,
        misuse.thresholds(highest) if math.isfinite(highest) else (),
        note,
    )


def _reached(peak: Peak) -> Iterable[Finding]:
    kinds = misuse.kinds()
    deaths = [t.fact.high_ng_ml or 0.0 for t in peak.thresholds if kinds[t.fact.kind].fatal]
    beyond = bool(deaths) and peak.ng_ml > max(deaths)
    for t in peak.thresholds:
        if not t.reached:
            continue
        fact, kind = t.fact, kinds[t.fact.kind]
        span = f"{fact.low_ng_ml:g}" + (
            f" to {fact.high_ng_ml:g}" if fact.high_ng_ml != fact.low_ng_ml else ""
        )
        worst_death = beyond and kind.fatal and fact.high_ng_ml == max(deaths)
        words = "far beyond anything measured in people, the dead included; " if worst_death else ""
        yield Finding(
            "exclude" if worst_death else kind.severity,
            "concentration",
            f"{words}{fact.quantity} ({fact.matrix}, {span} ng/mL): {kind.means}",
            "any ketamine",
            fact.population,
            fact.source,
            fact.seen,
            fact.id,
            "published concentration",
            f"simulated typical peak of {peak.name} in {peak.site} {peak.ng_ml:.3g} ng/mL ({peak.grade})",
            fact.place,
            "; ".join(n for n in (f"{t.relation} the range", fact.note, peak.note) if n),
            hazard=doses.OVERDOSE,
        )
