"""The same dose through every published model that applies: where they agree, and how far they are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine import units
from kinetamine.choice import ADULT, fitting, of_group, together
from kinetamine.dosing import Dose, Regimen
from kinetamine.effects.acute import WIDTHS_H
from kinetamine.engine import nca
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.models import library
from kinetamine.models.spec import ModelSpec
from kinetamine.population import Patient, Population
from kinetamine.results import references
from kinetamine.results.grades import EXTRAPOLATED, worst
from kinetamine.results.output import column_quantiles
from kinetamine.simulate import simulate
from kinetamine.simulate.parts import share_of_drug
from kinetamine.simulate.times import default_times
from kinetamine.substances import ENANTIOMERS, in_own_mass, whole

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Compared", "Comparison", "Spread", "compare", "near_misses"]

#: concentrations of all models in one unit
UNIT, INSIDE = "ng/mL", "mg/L"
#: models of the same analyte and site further apart than this contradict each other
APART = 2.0
NO_ROUTE, INCOMPLETE = "has no route", "incomplete"
#: without a step: so many even times, and closer ones in the first hours after the first dose
EVEN, CLOSE_H, CLOSE_STEP_H = 180, 2.0, 2 / 60


@dataclass(frozen=True, eq=False)
class Compared:
    """What one model says about one analyte.

    Parameters
    ----------
    model : str
        Its id; two ids with `` + `` for a model of each enantiomer.
    title, drug : str
        Of the model.
    analyte, site, unit : str
    grade : str
        A word of `kinetamine.results.grades.GRADES`; lowered where models of the same site are apart by more
        than `APART`.
    reasons : tuple of str
        Behind the grade, how the analyte was summed, why there is no band.
    time_h : array (time,)
    low, middle, high : array (time,)
        The outer and the middle quantile; of a typical patient only the middle. Without published variability
        between people there is no band: `low` and `high` are None.
    cmax, tmax_h, auc, half_life_h : float or None
        Of the typical patient, or medians: highest concentration and when, area until the end of the times (`unit`
        times h), terminal half-life.
    source : str
        The papers behind the model.
    """

    model: str
    title: str
    drug: str
    analyte: str
    site: str
    unit: str
    grade: str
    reasons: tuple[str, ...]
    time_h: np.ndarray
    low: np.ndarray | None
    middle: np.ndarray
    high: np.ndarray | None
    cmax: float
    tmax_h: float
    auc: float
    half_life_h: float | None
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        } | {"reasons": list(self.reasons)}


@dataclass(frozen=True)
class Spread:
    """How far models of the same analyte and site are apart: highest through lowest."""

    analyte: str
    site: str
    models: int
    cmax: float
    auc: float


@dataclass(frozen=True)
class Comparison(Sequence[Compared]):
    """The same dose through several models.

    Parameters
    ----------
    rows : tuple of Compared
        By analyte and site.
    refused : dict
        Ids of models that cannot answer, and analytes that none of those that apply gives → why.
    drug : str
        What is given.
    doses : tuple of Dose
        One for each administration.
    quantiles : (low, middle, high)
    n : int
        Number of people.
    typical : bool
        One typical patient, without variability.
    """

    rows: tuple[Compared, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    drug: str = ""
    doses: tuple[Dose, ...] = ()
    quantiles: tuple[float, float, float] = (0.05, 0.5, 0.95)
    n: int = 1
    typical: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    @property
    def spread(self) -> tuple[Spread, ...]:
        """Ratio of the highest to the lowest Cmax and area, for each analyte and site that several models give."""
        return tuple(_spread(self.rows).values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in JSON."""
        return {
            "drug": self.drug,
            "n": self.n,
            "quantiles": list(self.quantiles),
            "rows": [row.to_dict() for row in self.rows],
            "spread": [vars(one) for one in self.spread],
            "refused": dict(self.refused),
        }

    def frame(self) -> pl.DataFrame:
        """One row for each model, analyte and time.

        Examples
        --------
        >>> compare("0.5 mg/kg iv over 40 min", until=2.0).frame().columns
        ['model', 'analyte', 'site', 'unit', 'grade', 'time_h', 'low', 'middle', 'high']
        """
        import polars as pl

        columns = ("model", "analyte", "site", "unit", "grade", "time_h", "low", "middle", "high")
        kinds = dict.fromkeys(("time_h", "low", "middle", "high"), pl.Float64)
        frames = [
            pl.DataFrame({key: getattr(row, key) for key in columns}, schema_overrides=kinds)
            for row in self.rows
        ]
        return pl.concat(frames)


def _spread(rows: Iterable[Compared]) -> dict[tuple[str, str], Spread]:
    groups: dict[tuple[str, str], list[Compared]] = {}
    for row in rows:
        groups.setdefault((row.analyte, row.site), []).append(row)
    return {
        key: Spread(*key, len(mine), _ratio(r.cmax for r in mine), _ratio(r.auc for r in mine))
        for key, mine in groups.items()
        if len(mine) > 1
    }


def _apart(rows: Sequence[Compared]) -> list[Compared]:
    """Rows with lower grades where models of the same site contradict each other."""
    spread = _spread(rows)
    out = []
    for row in rows:
        one = spread.get((row.analyte, row.site))
        size = max(one.cmax, one.auc) if one else 1.0
        if one and size > APART:
            of = "peaks" if one.cmax >= one.auc else "areas"
            told = f"{one.models} models of {row.analyte} in {row.site}: {of} {size:.2g}-fold apart, not all can hold"
            row = replace(row, grade=worst([row.grade, EXTRAPOLATED]), reasons=(told, *row.reasons))
        out.append(row)
    return out


def _ratio(values: Iterable[float]) -> float:
    found = list(values)
    return max(found) / min(found) if min(found) > 0 else math.inf


def compare(
    doses: Any,
    population: Patient | Population | None = None,
    *,
    models: Any = None,
    analyte: str | Sequence[str] | None = None,
    until: float | str | None = None,
    step: float | str | None = None,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    threads: int | None = None,
    notify: Callable[[str], None] | None = None,
) -> Comparison:
    """The same dose through every published pk model that applies.

    Parameters
    ----------
    doses : str, list of str or Regimen
        Such as ``"0.5 mg/kg iv over 40 min"``. Without a drug: what the route's first row in docs/effects.md says.
    population : Patient or Population, optional
        Default: each model's typical patient. Say `age` to give every model people of the same ages; else each
        gets those it was made for.
    models : list of models, optional
        Ids, files, or two ids with ``+`` for a model of each enantiomer. Default: all of the library.
    analyte : str or list of str, optional
        Default: what is given. ``"ketamine"`` after the racemate is S- and R-ketamine together: of a model of the
        racemate as it is, of two models of the enantiomers their sum, each with half of the dose.
    until, step : float or str, optional
        As in `kinetamine.simulate`; without a step about 240 times, closest in the first two hours.
    quantiles : (low, middle, high)
        Of the population.
    threads : int, optional
    notify : callable(text), optional

    Returns
    -------
    Comparison
        A sequence of `Compared`; those that do not apply are in `refused`, with the reason.

    Raises
    ------
    NoData
        If no model applies; says why for each that was asked for.

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.compare("0.5 mg/kg iv over 40 min", kt.Patient(weight=70, age=30))
    >>> [(s.site, s.models, round(s.cmax, 1)) for s in found.spread]
    [('arterial plasma', 4, 1.1), ('venous plasma', 5, 1.7)]
    """
    people = population if population is not None else Patient()
    if not isinstance(people, Patient | Population):
        raise InputError("population", repr(people)[:60], "a Patient or a Population", "Population(1000)")
    q = tuple(float(x) for x in quantiles)
    if len(q) != 3 or not 0 <= q[0] < q[1] < q[2] <= 1:
        raise InputError("quantiles", str(list(q)), "a low, a middle and a high one", "(0.05, 0.5, 0.95)")
    entries = library.available()
    regimen = Regimen.parse(doses, entries={r for e in entries for r in e.routes})
    given, ages = _given(regimen, people)
    drug = given.doses[0].drug or ""
    wanted = _wanted(analyte, drug, entries)
    routes = {d.entry for d in given.doses}
    times = _times(given, until, step)
    refused: dict[str, str] = {}
    chosen = _library(drug, wanted, routes, ages, refused) if models is None else _named(models)
    rows: list[Compared] = []
    for spec in chosen:
        asked = _asked(spec, wanted, drug)
        if not asked:
            refused[spec.id] = _lacks(spec, wanted, drug)
            continue
        try:
            rows += _answers(spec, asked, given, people, times, q, threads, notify)
        except InputError as error:
            refused[spec.id] = "; ".join(str(fault) for fault in error.faults)
    if not rows:
        raise _nothing(given, refused, routes, models is None)
    for name in wanted:
        if not any(row.analyte == name for row in rows):
            refused[f"analyte {name}"] = "no model that applies gives it"
    rows = _apart(rows)
    order = {name: k for k, name in enumerate(wanted)}
    rows.sort(key=lambda row: (order[row.analyte], row.site))
    return Comparison(
        tuple(rows), dict(sorted(refused.items())), drug, tuple(given.expanded()), q, people.n,
        isinstance(people, Patient),
    )  # fmt: skip


def _given(regimen: Regimen, people: Any) -> tuple[Regimen, tuple[float, float]]:
    """The doses, each with its drug, and the ages asked about."""
    drugs = {d.drug for d in regimen.doses if d.drug}
    if len(drugs) > 1:
        raise InputError("doses", " and ".join(sorted(drugs)), "one drug", "one request for each")
    rows, ages = fitting(regimen, people)
    drug = next(iter(drugs), None) or (rows[0].drug if rows else None)
    if drug is None:
        routes = " and ".join(sorted({d.entry for d in regimen.doses}))
        raise NoData("doses", f"a dose by {routes}", "a route with a published model", "another route")
    return Regimen(tuple(replace(d, drug=drug) for d in regimen.doses)), ages


def _times(regimen: Regimen, until: float | str | None, step: float | str | None) -> dict[str, Any]:
    """What `simulate` is told of the times."""
    if step is not None:
        return {"until": until, "step": step}
    end = default_times(regimen)[-1] if until is None else until
    hours = units.read(end, "h", "until") if isinstance(end, str) else float(end)
    if not (math.isfinite(hours) and hours > 0):
        raise InputError("until", repr(until), "a positive time", "'28 d'")
    width = next((w for w in WIDTHS_H if hours / w <= EVEN), hours / EVEN)
    first = min(d.time_h for d in regimen.doses)
    turns = [t for d in regimen.expanded() for t in (d.time_h, d.end_h)]
    close = first + np.arange(0, CLOSE_H, CLOSE_STEP_H)
    times = np.concatenate([np.arange(0, hours, width), close, turns, [hours]])
    return {"times": np.unique(np.round(times[times <= hours] * 3600, 3)) / 3600}  # equal steps stay equal


def _wanted(analyte: Any, drug: str, entries: Iterable[library.Entry]) -> tuple[str, ...]:
    """Analytes asked for; by default what is given."""
    if analyte is None:
        return (whole(drug),)
    asked = [analyte] if isinstance(analyte, str) else list(analyte)
    runnable = [library.load(e.id) for e in entries if e.kind == "pk" and e.status != "incomplete"]
    known = {o.analyte or name for spec in runnable for name, o in spec.outputs.items()}
    known |= {name.removeprefix(half) for name in known for half in ENANTIOMERS}
    for name in asked:
        if name not in known:
            raise UnknownName("analyte", str(name), known, "an analyte of a model")
    if not asked:
        raise InputError("analyte", "an empty list", "at least one analyte", "'ketamine'")
    return tuple(dict.fromkeys(asked))


# --- which models ------------------------------------------------------------------------------------


def _named(models: Any) -> list[ModelSpec]:
    names = (
        [models] if isinstance(models, str | ModelSpec) or not isinstance(models, Iterable) else list(models)
    )
    if not names:
        raise InputError("models", "an empty list", "at least one model", "'kamp_2020_meta_racemic'")
    return [together(name) for name in names]


def _library(
    drug: str, wanted: Sequence[str], routes: set[str], ages: tuple[float, float], refused: dict[str, str]
) -> list[ModelSpec]:
    """Models of the library that apply, pairs of enantiomers last; why the others do not goes to `refused`."""
    fits: list[ModelSpec] = []
    for entry in library.available():
        if entry.kind != "pk":
            continue
        if entry.status == "incomplete":
            refused[entry.id] = f"{INCOMPLETE}, not published: {'; '.join(entry.missing)}"
            continue
        spec = library.load(entry.id)
        why = _why_not(spec, drug, routes, ages)
        if why:
            refused[spec.id] = why
        else:
            fits.append(spec)
    pairs = []
    if drug == "racemate" and _totals(wanted):
        of = {half: [s for s in fits if s.drug.startswith(half)] for half in ENANTIOMERS}
        pairs = [together(f"{s.id} + {r.id}") for s in of["S-"] for r in of["R-"]]
        pairs = [p for p in pairs if _asked(p, wanted, drug)]
    paired = {id for p in pairs for id in p.id.split(" + ")}
    return [s for s in fits if s.id not in paired or _asked(s, wanted, drug)] + pairs


def _why_not(spec: ModelSpec, drug: str, routes: set[str], ages: tuple[float, float]) -> str:
    """Why a model cannot take these doses in these people."""
    if spec.stands_on and not routes & set(spec.own_routes):
        return f"{NO_ROUTE} of its own here: the same as {spec.stands_on}"
    if not routes <= set(spec.routes):
        lost = " or ".join(sorted(routes - set(spec.routes)))
        return f"{NO_ROUTE} {lost}, only {', '.join(spec.routes)}"
    try:
        if share_of_drug(spec, drug) == 0:
            return f"of {spec.drug}, not of {drug}"
    except NoData as error:
        return f"of {spec.drug}; {drug} needs {error.faults[0].try_}"
    if spec.applies.age_years is None and spec.applies.people is None and ages[1] < ADULT:
        return "no ages were published: taken as of adults"
    if not of_group(spec, ages):
        return f"made for {spec.applies.people or '{:g} to {:g} years'.format(*(spec.applies.age_years or ages))}"
    return ""


def _lacks(spec: ModelSpec, wanted: Sequence[str], drug: str) -> str:
    gives = ", ".join(dict.fromkeys(f"{o.analyte or n} ({o.site})" for n, o in spec.outputs.items()))
    total = drug == "racemate" and spec.drug != "racemate" and _totals(wanted)
    more = "; a total needs a model of the other enantiomer at the same site" if total else ""
    return f"gives {gives}, not {' or '.join(wanted)}{more}"


def _totals(analytes: Sequence[str]) -> list[str]:
    return [a for a in analytes if not a.startswith(ENANTIOMERS)]


def _asked(spec: ModelSpec, wanted: Sequence[str], drug: str) -> list[tuple[str, str]]:
    """Analytes asked for that a model gives, with the names of its outputs; of two models together only totals."""
    mine = (_totals(wanted) or wanted) if " + " in spec.id else wanted
    return [(analyte, name) for analyte in mine for name in _outputs(spec, analyte, drug)]


def _outputs(spec: ModelSpec, analyte: str, drug: str) -> list[str]:
    """Outputs of a model that are this analyte's concentration."""
    names = [analyte]
    if drug != "racemate" and not analyte.startswith(ENANTIOMERS):
        names.append(f"{drug[:2]}{analyte}")  # of one enantiomer alone it is the total
    return [
        name
        for name, output in spec.outputs.items()
        if (output.analyte or name) in names
        and output.scale is None
        and spec.derived_units.get(name) == INSIDE
    ]


def near_misses(refused: Mapping[str, str]) -> dict[str, str]:
    """Of the models that do not apply those that have the route and all numbers: the others are no surprise."""
    return {name: why for name, why in refused.items() if not why.startswith((NO_ROUTE, INCOMPLETE))}


def _nothing(given: Regimen, refused: Mapping[str, str], routes: set[str], everything: bool) -> NoData:
    told = near_misses(refused) if everything else refused
    why = "; ".join(f"{name}: {why}" for name, why in told.items())
    none = f"another route than {' or '.join(sorted(routes))}, which no model has"
    return NoData(
        "doses", given.describe(), "a dose that a published model takes in these people", why or none
    )


# --- what they say -----------------------------------------------------------------------------------


def _answers(
    spec: ModelSpec,
    asked: Sequence[tuple[str, str]],
    given: Regimen,
    people: Any,
    times: Mapping[str, Any],
    q: tuple[float, ...],
    threads: int | None,
    notify: Callable[[str], None] | None,
) -> Iterable[Compared]:
    drug = given.doses[0].drug or ""
    result = simulate(spec, given, people, **times, keep="all", threads=threads, notify=notify)
    source = " | ".join(references.text(c) for c in result.citations)
    for analyte, name in asked:
        output = result.output(name)
        values = result[name] * units.convert(1.0, output.unit, UNIT)
        values = in_own_mass(values, output.analyte, spec.outputs[name].counted_as)
        band = people.n > 1 and people.variability and bool(spec.variability)
        rows = column_quantiles(values, q if band else q[1:2])
        measured = nca.measure(result.time_h, values)
        cmax, tmax, auc = (float(np.median(measured[:, k])) for k in range(3))
        half = measured[:, nca.MEASURES.index("half_life_h")]
        known = half[np.isfinite(half)]
        yield Compared(
            model=spec.id,
            title=spec.title,
            drug=spec.drug,
            analyte=analyte,
            site=output.site,
            unit=UNIT,
            grade=output.grade,
            reasons=(*output.reasons, *_remarks(spec, analyte, output, drug, people)),
            time_h=result.time_h,
            low=rows[0] if band else None,
            middle=rows[1 if band else 0],
            high=rows[2] if band else None,
            cmax=cmax,
            tmax_h=tmax,
            auc=auc,
            half_life_h=float(np.median(known)) if len(known) else None,
            source=source,
        )


def _remarks(spec: ModelSpec, analyte: str, output: Any, drug: str, people: Any) -> Iterable[str]:
    if " + " in spec.id and not analyte.startswith(ENANTIOMERS):
        yield f"the sum of S- and R-{analyte} of two models, half of the dose in each"
    elif drug == "racemate" and spec.drug != "racemate":
        yield f"half of the racemate's dose is {spec.drug}"
    yield from (note for note in spec.notes if note.startswith(f"{output.analyte} is "))
    if counted := spec.outputs[output.name].counted_as:
        yield f"the model counts {output.analyte} in mass of {counted}; here it is in its own"
    if output.analyte != analyte:
        yield f"{output.analyte} is all the {analyte} there is after {drug}"
    if people.n > 1 and people.variability and not spec.variability:
        yield "no band: no variability between people was published"
