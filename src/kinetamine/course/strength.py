"""From doses to strengths: every route, drug and dose goes through a PK model.

The strength of a session is ``u = (1 + c) x / (c + x)`` where x is its exposure (AUC in plasma, enantiomers
weighted by potency) relative to the reference session of the course model, both by the same PK model in its
typical patient. A profile flatter than the reference session's counts for less than its AUC says: x is multiplied
by a power of its flatness, the mean concentration of its best hour over that of the reference session, per AUC.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kinetamine.course.settings import Route, settings
from kinetamine.dosing import Dose, Regimen
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.results.grades import EXTRAPOLATED
from kinetamine.substances import share as share_of

__all__ = ["Sessions", "sessions", "strength"]

#: outputs of PK models that stand for the drug itself
_PARENTS = ("S-ketamine", "ketamine", "R-ketamine")


@dataclass(frozen=True)
class Sessions:
    """The sessions of a regimen in the units of a course.

    Parameters
    ----------
    times_h : array (session,), h
    s, r : array (session,)
        Exposure to either enantiomer, relative to the S-ketamine of the reference session; 0 of a sham session.
    flat : array (session,)
        Best hour over AUC, relative to the reference session: below 1 for slow routes.
    nasal : array (session,) of bool
    hours : array (session,), h
        Length of the administration.
    drugs, routes : tuple of str
    notes : tuple of str
        What had to be assumed.
    beyond : tuple of str
        Where the exposure itself is extrapolated.
    """

    times_h: np.ndarray
    s: np.ndarray
    r: np.ndarray
    flat: np.ndarray
    nasal: np.ndarray
    hours: np.ndarray
    drugs: tuple[str, ...]
    routes: tuple[str, ...]
    notes: tuple[str, ...]
    beyond: tuple[str, ...]

    def strength(self, parameters: Mapping[str, float]) -> np.ndarray:
        """Strength of each session under a set of parameters."""
        found: np.ndarray = strength(self.s, self.r, parameters, self.flat, self.nasal)
        return found

    def sham(self) -> Sessions:
        """The same sessions without drug."""
        nothing = np.zeros(self.s.size)
        return replace(self, s=nothing, r=nothing, drugs=(), routes=(), notes=(), beyond=())

    def together(self, other: Sessions) -> Sessions:
        """Both lists of sessions as one; of the same time the one with drug counts."""
        order = np.argsort(np.concatenate([self.times_h, other.times_h]), kind="stable")
        columns = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])[order]
            for name in ("times_h", "s", "r", "flat", "nasal", "hours")
        }
        times, drug = columns["times_h"], columns["s"] + columns["r"]
        best = np.lexsort((-drug, times))
        kept = best[np.append(True, np.diff(times[best]) > 1e-9)]
        words: dict[str, Any] = {
            name: tuple(dict.fromkeys((*getattr(self, name), *getattr(other, name))))
            for name in ("drugs", "routes", "notes", "beyond")
        }
        return replace(self, **words, **{k: v[kept] for k, v in columns.items()})


def strength(s: Any, r: Any, parameters: Mapping[str, float], flat: Any = 1.0, nasal: Any = False) -> Any:
    """Strength of sessions; 1 is the reference, ``1 + saturation`` the limit.

    Examples
    --------
    >>> float(strength(1, 1, {"potency_r": 0.3, "saturation": 0.4, "flatness": 0.5, "nasal_exposure": 0.0}))
    1.0
    """
    potency, c = parameters["potency_r"], parameters["saturation"]
    x = (np.asarray(s, float) + potency * np.asarray(r, float)) / (1 + potency)
    x = x * np.asarray(flat, float) ** parameters["flatness"]
    x = x * np.exp(parameters["nasal_exposure"] * np.asarray(nasal, float))
    return (1 + c) * x / (c + x)


@functools.lru_cache(maxsize=4096)
def _auc(model: str, entry: str, amount: float, duration_h: float | None, fields: Any, weight: float) -> Any:
    """AUC to infinity and in the best hour of `amount` mg in the model's typical patient; grade and reasons."""
    from kinetamine.models import library
    from kinetamine.population import Patient
    from kinetamine.simulate import simulate

    spec = library.load(model, runnable=True)
    # of a model of the racemate the total: half of the mass is in either enantiomer
    parents = ("ketamine", *_PARENTS) if spec.drug == "racemate" else _PARENTS
    output = next((name for name in parents if name in spec.outputs), None)
    if output is None:
        raise NoData(f"model {spec.id}", "no output of ketamine", "a PK model of the drug itself")
    if entry not in spec.routes:
        raise UnknownName(f"model {spec.id}", entry, spec.routes, "a route of this model")
    dose = Dose(0.0, amount, entry=entry, duration_h=duration_h, fields=dict(fields))
    # fine while the session lasts, then out to where the tail is a line
    times = np.concatenate([np.arange(0, 12, 0.1), np.arange(12, 97, 1.0)])
    result = simulate(spec, [dose], Patient(weight=weight), times=times, outputs=[output])
    measures = result.exposure(shown=True).row(0, named=True)
    auc = float(measures["auc_inf"] or measures["auc_last"])
    return (
        auc,
        _best_hour(spec, dose, weight, output),
        result.output(output).grade,
        result.output(output).reasons,
    )


def _best_hour(spec: Any, dose: Dose, weight: float, output: str) -> float:
    """Largest AUC of one hour in the first half day, concentration times h."""
    from kinetamine.population import Patient
    from kinetamine.simulate import simulate

    steps = 60
    times = np.arange(0, 12 + 0.5 / steps, 1 / steps)
    result = simulate(spec, [dose], Patient(weight=weight), times=times, outputs=[output])
    level = result.to_polars()["value"].to_numpy()
    area = np.append(0.0, np.cumsum((level[1:] + level[:-1]) / 2 / steps))
    return float((area[steps:] - area[:-steps]).max())


def sessions(
    regimen: str | Dose | Regimen | list[Any], reference: str, weight_kg: float, pk: str | None = None
) -> Sessions:
    """Every dose of a regimen as a session.

    Parameters
    ----------
    regimen : str or Regimen
    reference : str
        Phrase of the session of strength 1.
    weight_kg : float
        Of the typical patient: mg/kg doses and doses in mg meet here.
    pk : str, optional
        A PK model for all routes, instead of the one in ``data/course/settings.toml``.

    Raises
    ------
    NoData
        If no PK model carries a route.

    Examples
    --------
    >>> found = sessions("0.5 mg/kg iv over 40 min x 2 every 84 h", "0.5 mg/kg racemate iv over 40 min", 70)
    >>> found.times_h.tolist(), found.s.round(3).tolist()
    ([0.0, 84.0], [1.0, 1.0])
    """
    # dictionaries for their order: each thing once, as it comes
    notes: dict[str, None] = {}
    beyond: dict[str, None] = {}
    drugs: dict[str, None] = {}
    rows: dict[float, list[float]] = {}
    [ref] = Regimen.parse(reference).expanded()
    person = {"weight": weight_kg}
    ref_mg = ref.mg(person)
    for dose in Regimen.parse(regimen).expanded():
        if dose.steady_state or dose.amount == 0:
            raise InputError("course", dose.describe(), "single sessions, each with an amount")
        route = _route(dose.entry)
        model, entry = pk or route.pk, route.like or dose.entry
        reference_pk = pk or route.reference_pk or model
        drug = dose.drug or route.drug
        if dose.drug is None:
            notes[f"{dose.entry}: no drug named, taken as {drug}"] = None
        drugs[drug] = None
        if route.note:
            beyond[f"{dose.entry}: {route.note}"] = None
        amount = dose.mg(person)
        share = share_of(drug, "S-ketamine")
        fields = tuple(sorted(dose.fields.items()))
        length = dose.duration_h if route.like is None else None
        # both enantiomers by the same kinetics; the mass that enters the nose or the gut is that of the dose
        auc, best, grade, reasons = _auc(str(model), entry, amount, length, fields, weight_kg)
        unit, unit_best, _, _ = _auc(str(reference_pk), "iv", ref_mg, ref.duration_h, (), weight_kg)
        (beyond if grade == EXTRAPOLATED else notes)[
            f"{dose.entry}: exposure by {model}, {grade} ({', '.join(reasons)})"
        ] = None
        if share < 1:
            notes["R-ketamine taken to have the kinetics of S-ketamine"] = None
        # exposure to S after the reference is that of its half of the mass
        x = auc / (unit * share_of(ref.drug or "racemate", "S-ketamine"))
        row = rows.setdefault(dose.time_h, [0.0, 0.0, 0.0, 0.0, 0.0])
        row[0] += share * x
        row[1] += (1 - share) * x
        row[2] += best / auc * unit / unit_best * x  # of several doses at once the mean, by exposure
        row[3] = max(row[3], float(dose.entry == "nasal"))
        row[4] = max(row[4], dose.duration_h or 0.0)
    times = sorted(rows)
    table = np.array([rows[t] for t in times])
    routes = tuple(dict.fromkeys(dose.entry for dose in Regimen.parse(regimen).doses))
    return Sessions(
        np.array(times),
        table[:, 0],
        table[:, 1],
        table[:, 2] / (table[:, 0] + table[:, 1]),
        table[:, 3] > 0,
        table[:, 4],
        tuple(drugs),
        routes,
        tuple(notes),
        tuple(beyond),
    )


def _route(entry: str) -> Route:
    routes = settings().routes
    if entry not in routes:
        raise NoData(
            "course", f"{entry!r} doses", "a route with a PK model in adults", ", ".join(sorted(routes))
        )
    return routes[entry]
