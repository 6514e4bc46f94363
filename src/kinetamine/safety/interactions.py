"""Other drugs, diseases and genes that change the curve: which handles they act on and what a model makes of it.

A perturbation multiplies named handles (gut wall, liver, …) by factors fitted to observed ratios. A model with a liver
and gut of its own carries the handles in its parameters. In a model with a plain clearance that clearance is taken
to be the liver's, and moves as the well-stirred liver of the reference model does.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine import substances
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tree import names
from kinetamine.models import library
from kinetamine.models.spec import Flow, ModelSpec, Parameter
from kinetamine.safety import pd_interactions, perturbations
from kinetamine.safety.perturbations import OPTION, Carrier, Observed, Perturbation

if TYPE_CHECKING:
    from kinetamine.scenario import Scenario

__all__ = [
    "Change",
    "Simulated",
    "applied",
    "by_route",
    "change",
    "log_error",
    "perturb",
    "ratio",
    "scaled",
]

#: routes that reach the blood without passing gut wall and liver first
_PAST_THE_LIVER = ("iv", "im", "sc", "inhaled")
#: long enough for the area to be nearly whole
_FOLLOWED_H = 96
#: standard deviations on each side of a 95 % interval
_TWO_SIDED = 1.959964
#: change of the logarithm of a factor for its slopes
_STEP = 0.02
_COLUMNS = {"AUC": "auc_inf", "Cmax": "cmax", "t_half": "half_life_h"}


@dataclass(frozen=True)
class Change:
    """What a set of perturbations does by one route: factors on handles, how far to trust them, and why.

    Examples
    --------
    >>> moved = change(["ticlopidine"], route="oral")
    >>> moved.grade, list(moved.factors)
    ('fitted', ['liver_norketamine'])
    """

    names: tuple[str, ...]
    factors: dict[str, float]
    grade: str
    reasons: tuple[str, ...]
    sources: tuple[str, ...]


def change(with_: str | Iterable[str] = (), condition: str | Iterable[str] = (), route: str = "iv") -> Change:
    """The factors of drugs and conditions together, by one route.

    Parameters
    ----------
    with_, condition : str or list of str
    route : str

    Raises
    ------
    UnknownName
        If a name is not known.
    NoData
        If there is no number for this route, or the perturbations act on the same handle.
    """
    known = perturbations.load()
    picked = [_found(n, "drug") for n in _names(with_)] + [_found(n, "condition") for n in _names(condition)]
    factors: dict[str, float] = {}
    owner: dict[str, str] = {}
    reasons: list[str] = []
    outside: list[str] = []
    sources: list[str] = []
    for id, one in picked:
        _refuse(one, route)
        if route not in one.routes:
            outside.append(f"{one.name}: from its mechanism, observed by {_listed(one.routes)} only")
        if one.status == "predicted":
            like = known.perturbations[one.like or ""].name
            outside.append(f"{one.name}: with the factors of {like}, none of its own")
        if one.status == "no change":
            reasons.append(f"{one.name}: no change was found by this route")
        own = [row for row in known.rows(id) if row.use in ("fit", "no change")]
        if own and all(row.seen == "recalled" for row in own):
            reasons.append(f"{one.name}: rests on recalled numbers")
        for handle, factor in known.factors_of(id).items():
            for part in _parts(handle):
                if part in owner:
                    raise NoData(
                        "with",
                        f"{owner[part]} and {one.name}, which both act on: {known.handles[handle]}",
                        "perturbations that act on different things: two on the same one were never "
                        "studied together and do not simply multiply",
                        "each alone",
                    )
                owner[part] = one.name
            factors[handle] = factor.value
            span = f"{factor.low:.2g}-{factor.high:.2g}"
            reasons.append(f"{one.name}: {known.handles[handle]} × {factor.value:.3g} ({span})")
            sources += factor.sources
        sources += [row.source for row in own]
        reasons += [f"{one.name}: {one.doubt.rstrip('.')}"] if one.doubt else []
    moving = [one.name for id, one in picked if known.factors_of(id)]
    if len(picked) > 1:
        outside.append(f"{_listed([one.name for _, one in picked])} were not studied together")
        if len(moving) > 1:
            outside.append("their factors are multiplied, because they act on different things")
    names = tuple(one.name for _, one in picked)
    grade = "extrapolated" if outside else "fitted"
    return Change(names, factors, grade, (*outside, *reasons), tuple(dict.fromkeys(sources)))


def _names(given: str | Iterable[str]) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    if not all(isinstance(n, str) for n in names):
        raise InputError("with", repr(names), "names of drugs or conditions", "'clarithromycin'")
    return list(dict.fromkeys(n.strip() for n in names if n.strip()))


def _found(name: str, given: str) -> tuple[str, Perturbation]:
    """As `perturbations.find`, but a drug known for its effects only is not taken for a misspelt one."""
    try:
        return perturbations.find(name, given)
    except UnknownName:
        if pd_interactions.resolved(name) is None:
            raise
    other = next((k for k in OPTION if k != given and _is(name, k)), None)
    if other is not None:
        raise InputError(OPTION[given], name, f"a {given}", f"{OPTION[other]} {name!r}")
    cure = f"kinetamine interactions {name!r}, which shows what is known"
    raise NoData(OPTION[given], f"{name}: no ratio of exposure is known", f"a {given} with a factor", cure)


def _is(name: str, given: str) -> bool:
    try:
        return bool(perturbations.find(name, given))
    except UnknownName:
        return False


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else "".join(words)


def _parts(handle: str) -> tuple[str, ...]:
    """Handles that a handle stands for; binding is part of what the liver sees."""
    return ("liver_norketamine", "liver_other") if handle in ("liver", "binding") else (handle,)


def _refuse(one: Perturbation, route: str) -> None:
    """No number for this: say so, and what was seen."""
    where = OPTION[one.given]
    seen = f"kinetamine interactions '{one.name}', which shows what was observed"
    if one.status == "observed":
        raise NoData(where, f"{one.name}: {one.why}", "a perturbation with a factor", seen)
    if route not in one.routes and not one.extrapolate:
        what = "no change was looked for" if one.status == "no change" else "the ratio was observed"
        raise NoData(
            where,
            f"{one.name} by {route}: {what} by {_listed(one.routes)} only, and is not carried over",
            f"a route among {', '.join(one.routes)}",
            seen,
        )


# ---- from factors to a model


def perturb(
    model: str | ModelSpec,
    with_: str | Iterable[str] = (),
    condition: str | Iterable[str] = (),
    route: str | None = None,
) -> ModelSpec:
    """A model as it is under other drugs or in a disease, for `simulate`.

    Parameters
    ----------
    model : str or ModelSpec
    with_ : str or list of str
        Drugs, such as ``"clarithromycin"``.
    condition : str or list of str
        Conditions, such as ``"hepatic impairment moderate"``.
    route : str, optional
        Only this entry of the model is kept. Without it every entry that there are numbers for.

    Returns
    -------
    ModelSpec
        In memory, status *derived*, with changed parameters that say what they were. What makes it an
        extrapolation stands in ``doubts``, what else is to be known in ``remarks``; both are reasons of the
        grade of a result.

    Raises
    ------
    UnknownName
        If a name is not known.
    NoData
        If there is no number for the route, or two act on the same handle.

    Source
    ------
    data/safety/ddi_observed.csv and factors.toml, each row with its own.

    Examples
    --------
    >>> import kinetamine as kt
    >>> ill = kt.perturb("perez_ruixo_2021_esketamine", condition="hepatic impairment moderate", route="nasal")
    >>> usual, liver = (kt.simulate(m, "28 mg nasal", until=72) for m in ("perez_ruixo_2021_esketamine", ill))
    >>> round(liver.exposure()["auc_inf"][0] / usual.exposure()["auc_inf"][0], 1)
    2.0
    """
    spec = library.load(model, runnable=True)
    if not _names(with_) and not _names(condition):
        return spec
    if spec.doubts or spec.remarks:
        raise InputError("model", f"{spec.id}, changed already", "all drugs and conditions in one call")
    asked = tuple(spec.entries) if route is None else (route,)
    if route is not None and route not in spec.entries:
        raise UnknownName("route", route, spec.entries, f"a route of {spec.id}")
    changes: dict[str, Change] = {}
    refused: NoData | None = None
    for one in asked:
        try:
            moved = change(with_, condition, one)
            _carried(spec, moved, one)
            changes[one] = moved
        except NoData as error:
            refused = refused or error
    if refused is not None and not changes:
        raise refused
    first = next(iter(changes.values()))
    other_drug = f"the factors come from S-ketamine, this model is of {spec.drug}"
    doubted = spec.drug != "S-ketamine" and bool(first.factors)
    new = scaled(spec, first.factors, f"with {_listed(first.names)}")
    title = f"{spec.title}; with {_listed(first.names)}"
    entries = {name: parts for name, parts in new.entries.items() if name in changes}
    changed = _remade(new, {"title": title, "entries": entries}, first.names)
    changed._also_cited = first.sources
    for name, moved in changes.items():
        if doubted or moved.grade == "extrapolated":
            changed._doubts[name] = (other_drug, *moved.reasons) if doubted else moved.reasons
        else:
            changed._remarks[name] = moved.reasons
    return changed


def listed() -> dict[str, Any]:
    """All that changes the curve or the effects of ketamine, as plain data.

    Examples
    --------
    >>> sorted(listed())
    ['curve', 'effects']
    """
    known = perturbations.load()
    curve = [
        {
            "id": id,
            **one.model_dump(exclude_none=True),
            "factors": {h: f.model_dump(exclude_none=True) for h, f in known.factors_of(id).items()},
        }
        for id, one in known.perturbations.items()
    ]
    return {
        "curve": curve,
        "effects": [row.model_dump(exclude_none=True) for row in pd_interactions.load()[0]],
    }


def applied(scenario: Scenario) -> Scenario:
    """A scenario whose models have been changed by what its keys `with` and `condition` name.

    Raises
    ------
    NoData, UnknownName
        As `perturb`.
    """
    if not scenario.with_ and not scenario.condition:
        return scenario
    from kinetamine.dosing import Regimen

    models = []
    for spec in scenario.models:
        doses = scenario.doses
        used = {d.entry for d in doses.doses} if isinstance(doses, Regimen) else set(spec.entries)
        routes = sorted(used & set(spec.entries))
        changed = [perturb(spec, scenario.with_, scenario.condition, route) for route in routes]
        whole = perturb(spec, scenario.with_, scenario.condition) if len(changed) != 1 else changed[0]
        models.append(whole)
    return replace(scenario, models=tuple(models), with_=(), condition=())


def _carried(spec: ModelSpec, moved: Change, route: str) -> None:
    """Refuse what this model cannot show."""
    for name in moved.names:
        id, _ = perturbations.find(name)
        if id in spec.covariates:
            raise NoData("with", f"{name}, which {spec.id} knows itself", "it once", f"--set {id}=1")
    if spec.id in perturbations.load().carriers:
        return
    if route not in _PAST_THE_LIVER and moved.factors:
        raise NoData(
            "model",
            f"{spec.id}, which has no gut wall, liver and nose of its own, by {route}",
            "a model that has them, for a route that passes them",
            next(iter(perturbations.load().carriers)),
        )


def scaled(model: str | ModelSpec, factors: Mapping[str, float], why: str = "changed") -> ModelSpec:
    """A model with its handles multiplied by factors; what `perturb` and the fit are made of.

    Examples
    --------
    >>> spec = scaled("perez_ruixo_2021_esketamine", {"liver": 0.5})
    >>> spec.parameters["kmet"].value
    1.385
    """
    spec = library.load(model, runnable=True)
    known = perturbations.mechanism()
    for handle, factor in factors.items():
        if handle not in known.handles:
            raise UnknownName("factors", handle, known.handles, "a handle")
        if not 0 < factor < float("inf"):
            raise InputError("factors", f"{handle} = {factor}", "a factor above zero")
    if spec.id in known.carriers:
        parts = _by_parameters(spec, factors, known.carriers[spec.id], why)
    else:
        parts = _by_clearance(spec, factors, why)
    return _remade(spec, parts, (why,))


def _by_parameters(
    spec: ModelSpec, factors: Mapping[str, float], carriers: Mapping[str, Carrier], why: str
) -> dict[str, Any]:
    made = dict(spec.parameters)
    for handle, factor in factors.items():
        carrier = carriers[handle]
        for name in carrier.times:
            made[name] = _moved(made[name], made[name].value * factor, why)
        for fractions, by in ((carrier.odds, factor), (carrier.against, 1 / factor)):
            for name in fractions:
                p = made[name].value
                made[name] = _moved(made[name], by * p / (1 - p + by * p), why)
    return {"parameters": made}


def _moved(old: Parameter, value: float, why: str) -> Parameter:
    note = f"published {old.value:g} {old.unit} ({old.place}), {why}"
    update = {"value": value, "place": why, "seen": "derived", "note": note}
    if old.se is not None:
        update["se"] = old.se * value / old.value
    return old.model_copy(update=update)


def _by_clearance(spec: ModelSpec, factors: Mapping[str, float], why: str) -> dict[str, Any]:
    """Irreversible flows of the parent drug follow the reference liver; those of norketamine their own factor.

    Formulas get a factor in front, which stands among the parameters.
    """
    whole, to_nor, other = _clearance_factors(factors)
    body = _around(spec, substances.forms("ketamine"))
    nor = _around(spec, substances.forms("norketamine"))
    if not body:
        raise NoData("model", f"{spec.id}, without an output of ketamine", "a model of ketamine in blood")
    parameters, flows = dict(spec.parameters), dict(spec.flows)

    def times(name: str, by: float, formula: str) -> str:
        if by == 1:
            return formula
        parameters[name] = Parameter(value=by, unit="1", place=why, seen="derived")
        return f"{name} * ({formula})"

    leaving = {n: f for n, f in flows.items() if f.from_ in body and f.to not in body}
    split = len(leaving) > 1 and any(f.to is not None for f in leaving.values())
    for name, flow in leaving.items():
        label, by = "change_CL", whole
        if split:
            label, by = ("change_CL_nor", to_nor) if flow.to is not None else ("change_CL_other", other)
        flows[name] = _flow(flow, rate=times(label, by, flow.rate))
    if not split and to_nor != whole:
        for name, flow in flows.items():
            if flow.to in nor and flow.from_ not in nor:
                flows[name] = _flow(
                    flows[name], yield_=times("change_fm", to_nor / whole, flow.yield_ or "1")
                )
    for name, flow in flows.items():
        if flow.from_ in nor and flow.to not in nor:
            by = factors.get("norketamine_clearance", 1.0)
            flows[name] = _flow(flow, rate=times("change_CL_norketamine", by, flow.rate))
    return {"parameters": parameters, "flows": flows}


def _flow(flow: Flow, **update: str) -> Flow:
    return flow.model_copy(update=update)


def _around(spec: ModelSpec, analytes: tuple[str, ...]) -> set[str]:
    """The compartment in which one of the analytes is measured, and those it comes back from."""
    onward: dict[str, set[str]] = {}
    for flow in spec.flows.values():
        if flow.from_ is not None and flow.to is not None:
            onward.setdefault(flow.from_, set()).add(flow.to)

    def reach(start: str) -> set[str]:
        seen, todo = {start}, [start]
        while todo:
            for state in onward.get(todo.pop(), set()) - seen:
                seen.add(state)
                todo.append(state)
        return seen

    for name, output in spec.outputs.items():
        if (output.analyte or name) in analytes:
            starts = names(parse(output.value)) & set(spec.compartments)
            return {c for start in starts for c in reach(start) if start in reach(c)}
    return set()


def _clearance_factors(factors: Mapping[str, float]) -> tuple[float, float, float]:
    """Factors on whole clearance, on formation of norketamine and on the rest, of the well-stirred liver.

    CL = Q·CLint / (Q + CLint), with the flow and the intrinsic clearances of the reference model.
    """
    fit = perturbations.mechanism().fit
    spec = library.load(fit.model)
    flow, volume = spec.inside(fit.flow), spec.inside(fit.volume)
    nor, rest = (volume * spec.inside(name) for name in (fit.to_norketamine, fit.to_others))
    all_ = factors.get("liver", 1.0) * factors.get("binding", 1.0)
    by_nor = all_ * factors.get("liver_norketamine", 1.0)
    by_rest = all_ * factors.get("liver_other", 1.0)
    q = flow * factors.get("liver_flow", 1.0)
    after, before = nor * by_nor + rest * by_rest, nor + rest
    whole = (q * after / (q + after)) / (flow * before / (flow + before))
    share = before / after
    return whole, whole * by_nor * share, whole * by_rest * share


def _remade(spec: ModelSpec, parts: dict[str, Any], names: Sequence[str]) -> ModelSpec:
    """A copy with other parts, a digest of its own and what was derived for the first one."""
    new = spec.model_copy(update={"status": "derived", **parts})
    content = repr((spec.digest, new.parameters, new.flows, new.entries, tuple(names)))
    new._digest = hashlib.sha256(content.encode()).hexdigest()[:16]
    new._doubts, new._remarks = {}, {}
    new._factors = {name: spec.factors.get(name, 1.0) for name in new.parameters}
    return new


# ---- against what was observed


def ratio(row: Observed, factors: Mapping[str, float]) -> float:
    """Predicted ratio of a row's measure, simulated with the reference model.

    Examples
    --------
    >>> row = next(r for r in perturbations.load().rows("ticlopidine") if r.use == "fit")
    >>> ratio(row, {})
    1.0
    """
    phrase, measure = row.phrase or "", row.measure or ""
    return _measured(phrase, measure, factors) / _measured(phrase, measure, {})


@dataclass(frozen=True)
class Simulated:
    """What the factors of one perturbation make of area and peak by a route: value, low, high."""

    route: str
    grade: str
    area: tuple[float, float, float]
    peak: tuple[float, float, float]


def by_route(id: str) -> list[Simulated]:
    """Simulated ratios by every route that there are numbers for, with the 95 % that the fit leaves.

    Examples
    --------
    >>> [(one.route, one.grade) for one in by_route("hepatic_impairment_moderate")]
    [('nasal', 'fitted'), ('oral', 'extrapolated'), ('iv', 'extrapolated')]
    """
    known = perturbations.load()
    one = known.perturbations[id]
    found = []
    for route, phrase in known.fit.doses.items():
        option = "with_" if one.given == "drug" else "condition"
        try:
            moved = change(**{option: one.name}, route=route)
        except NoData:
            continue
        spans = []
        for measure in ("AUC", "Cmax"):
            middle, reach = _with_error(one.like or id, moved.factors, phrase, measure)
            spans.append((middle, middle / reach, middle * reach))
        found.append(Simulated(route, moved.grade, spans[0], spans[1]))
    return found


def _with_error(id: str, factors: Mapping[str, float], phrase: str, measure: str) -> tuple[float, float]:
    """A simulated ratio and how many fold it may be off (95 %), linear in the logarithms of the factors.

    The errors of the factors come from those of the ratios they were fitted to, so that two factors that lean on each
    other do not count twice.
    """

    def simulated(phrase: str, measure: str, factors: Mapping[str, float]) -> float:
        usual = _measured(phrase, measure, {})
        return math.log(_measured(phrase, measure, factors) / usual)

    def slopes(phrase: str, measure: str, at: Mapping[str, float]) -> np.ndarray:
        here = simulated(phrase, measure, at)
        moved = ({**at, handle: at[handle] * math.exp(_STEP)} if handle in at else at for handle in fitted)
        return np.array([(simulated(phrase, measure, there) - here) / _STEP for there in moved])

    known = perturbations.load()
    fitted = {handle: f.value for handle, f in known.factors.get(id, {}).items()}
    if not fitted:
        return math.exp(simulated(phrase, measure, factors)), 1.0
    rows = [row for row in known.rows(id) if row.use == "fit"]
    jacobian = np.array([slopes(r.phrase or "", r.measure or "", fitted) / log_error(r) for r in rows])
    widest = math.log(known.fit.bounds[1]) / _TWO_SIDED
    covariance = np.linalg.inv(jacobian.T @ jacobian + np.eye(len(fitted)) / widest**2)
    slope = slopes(phrase, measure, factors)
    reach = math.exp(_TWO_SIDED * math.sqrt(slope @ covariance @ slope))
    return math.exp(simulated(phrase, measure, factors)), reach


def log_error(row: Observed) -> float:
    """Standard deviation of the logarithm of an observed ratio: of its limits (95 %), else as assumed for all."""
    if row.low and row.high:
        return math.log(row.high / row.low) / (2 * _TWO_SIDED)
    return math.log(perturbations.mechanism().fit.assumed_fold) / _TWO_SIDED


def _measured(phrase: str, measure: str, factors: Mapping[str, float]) -> float:
    exposure = _exposure(phrase, tuple(sorted(factors.items())))
    return exposure["NK AUC"] / exposure["AUC"] if measure == "NK/K AUC" else exposure[measure]


@functools.lru_cache(maxsize=1024)
def _exposure(phrase: str, factors: tuple[tuple[str, float], ...]) -> dict[str, float]:
    from kinetamine.dosing import Regimen
    from kinetamine.simulate import simulate

    spec = scaled(perturbations.mechanism().fit.model, dict(factors))
    end = (Regimen.parse(phrase).doses[0].duration_h or 0.0) + _FOLLOWED_H
    times = np.unique(np.concatenate([np.arange(0, 6, 0.02), np.arange(6, end, 0.5), [end]]))
    table = simulate(spec, phrase, times=times).exposure(shown=True)
    columns = {(f"{mark}{m}"): table[c][i] for i, mark in enumerate(("", "NK ")) for m, c in _COLUMNS.items()}
    return {name: float(value) for name, value in columns.items()}
