"""How long a dose can be detected: probability of a positive over time and the window, by assay and cut-off.

Plasma is what the model says. Urine is made at the rate ``renal clearance x plasma concentration``; the renal
clearance of a person is the share of an intravenous dose that leaves in urine (data, with its range) divided by
that person's area under the curve after such a dose, and the concentration is that rate divided by the flow of
urine. What nobody could compute (hair, oral fluid, years of daily use) is shown as it was observed.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kinetamine import units
from kinetamine.errors import Fault, InputError, NoData, UnknownName
from kinetamine.records import Names, Record, Seen, Sourced, raise_all, read_csv, read_toml, unknown
from kinetamine.substances import in_own_mass
from kinetamine.urine import Spread

if TYPE_CHECKING:
    from kinetamine.dosing import Dose, Regimen
    from kinetamine.population import Patient, Population
    from kinetamine.results import Result

__all__ = [
    "ANALYTES",
    "Comparison",
    "Desk",
    "Detection",
    "DetectionResult",
    "Fact",
    "compare",
    "detect",
    "load",
]

ANALYTES = ("ketamine", "norketamine", "dehydronorketamine")
#: quantiles of a window over the people
BAND = (0.05, 0.5, 0.95)
NOT_TESTED = "not tested for"

Floats = NDArray[np.float64]
Kind = Literal[
    "assay_limit",
    "detection_window",
    "population_conc",
    "excretion",
    "urine_physiology",
    "hair_incorporation",
    "panel_membership",
]


class Fact(Sourced):
    """A row of `detection.csv`: a limit of an assay, an observed window, a concentration, a panel.

    `cut_off_ng_ml` is the number that decides positive or negative in that assay; a row without it is for
    reading. `doses` marks a controlled dose that a prediction is compared with, `not_compared` says why not.
    """

    kind: Kind
    matrix: str
    analyte: str = ""
    assay: str | None = None
    method: str = ""
    limit_type: str | None = None
    limit: str | None = None
    unit: str | None = None
    cut_off_ng_ml: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    cross_reactivity_pct: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    window: str | None = None
    doses: str | None = None
    not_compared: str | None = None
    quantity: str | None = None
    quantity_value: str | None = None
    quantity_unit: str | None = None
    given: str | None = None
    n: str | None = None
    url: str | None = None

    @property
    def words(self) -> str:
        """What was found, in one phrase."""
        if self.window is not None:
            return f"detected for {self.window}"
        unit = f" {self.quantity_unit}" if self.quantity_unit else ""
        return f"{self.quantity}: {self.quantity_value}{unit}"


class Creatinine(Record):
    """How fast creatinine leaves at least, per kg of body weight, and below what a specimen counts as dilute."""

    male: float = Field(gt=0)
    female: float = Field(gt=0)
    unit: str
    dilute_mg_dl: float = Field(gt=0)
    source: str
    place: str
    seen: Seen


class Desk(Record):
    """`detection.toml` with the rows of `detection.csv`."""

    models: tuple[str, ...]
    immunoassays: tuple[str, ...]
    blood_drawn_h: float = Field(gt=0)
    usual: dict[str, tuple[str, ...]]
    matrices: dict[str, tuple[str, ...]]
    observed_only: dict[str, str]
    share: dict[str, Spread]
    urine_flow: Spread
    creatinine: Creatinine
    facts: tuple[Fact, ...] = ()

    @functools.cached_property
    def matrix(self) -> Names:
        """The names of what is tested; serum goes as plasma."""
        return Names(self.matrices, "detection.toml")

    def tells_of(self, fact: Fact, matrix: str) -> bool:
        """Whether a row is about this matrix."""
        return matrix in map(self.matrix.find, fact.matrix.split(" and "))

    def assays(self, matrix: str) -> dict[str, tuple[Fact, ...]]:
        """Rows of every assay and panel of a matrix, by its name."""
        found: dict[str, tuple[Fact, ...]] = {}
        for fact in self.facts:
            decides = fact.cut_off_ng_ml or fact.cross_reactivity_pct or fact.kind == "panel_membership"
            if fact.assay and decides and self.tells_of(fact, matrix) and not fact.window:
                found[fact.assay] = (*found.get(fact.assay, ()), fact)
        return found

    def observed(self, matrix: str, analytes: Iterable[str] = ANALYTES) -> tuple[Fact, ...]:
        """What was seen in people and animals, not computed."""
        wanted = set(analytes)
        kinds = ("detection_window", "population_conc", "hair_incorporation")
        return tuple(
            f
            for f in self.facts
            if f.kind in kinds and self.tells_of(f, matrix) and (wanted & _analytes(f) or not f.analyte)
        )


def _analytes(fact: Fact) -> set[str]:
    names = set(fact.analyte.replace("/", " and ").split(" and "))
    return set(ANALYTES) if names & {"metabolites", "growth"} else names


@functools.cache
def load() -> Desk:
    """The data of the detection desk, checked.

    Raises
    ------
    FaultyFile
        Everything that is wrong, at once.

    Examples
    --------
    >>> load().models[0] in load().immunoassays
    False
    """
    name = "detection.toml"
    desk: Desk = read_toml(f"safety/{name}", Desk)
    desk = desk.model_copy(update={"facts": read_csv("safety/detection.csv", Fact)})
    raise_all(name, list(nonsense(desk)))
    return desk


def nonsense(desk: Desk) -> Iterable[Fault]:
    """Faults that the form of the data does not show."""
    from kinetamine.models import library

    for fact in desk.facts:
        if fact.kind == "detection_window" and fact.doses is None and fact.not_compared is None:
            yield Fault(fact.id, "no doses", "doses, or why it is not compared")
    spreads = {**desk.share, "urine_flow": desk.urine_flow}
    for key, spread in spreads.items():
        if spread.low >= spread.high:
            yield Fault(key, f"{spread.low} to {spread.high}", "an ascending range")
        units.parse(spread.unit, key)
    known = {assay for matrix in desk.matrices for assay in desk.assays(matrix)}
    for assay in (*desk.immunoassays, *(a for some in desk.usual.values() for a in some)):
        if assay not in known:
            yield unknown("detection.toml", assay, known, "an assay of detection.csv")
    for model in desk.models:
        library.load(model, runnable=True)


@dataclass(frozen=True, eq=False)
class Detection:
    """One analyte against one cut-off.

    Parameters
    ----------
    assay, method, analyte : str
    cut_off : float, ng/mL
    after_h : array (time,), h
        Since the end of the last dose.
    probability : array (time,) or None
        Share of people whose sample of that moment is positive; None where there is no data.
    window_h : dict of float to float, h
        Quantiles over the people of the last moment that is positive, since the end of the last dose; 0 for
        who is not positive then.
    ever : float
        Share of people positive at any time.
    grade : str
        ``fitted``, ``extrapolated`` or ``no data``.
    reasons : tuple of str
    sources : tuple of str
        Keys of sources.toml.
    """

    assay: str
    method: str
    analyte: str
    cut_off: float
    after_h: Floats
    probability: Floats | None
    window_h: dict[float, float]
    ever: float
    grade: str
    reasons: tuple[str, ...]
    sources: tuple[str, ...] = ()

    def at(self, after_h: float) -> float:
        """Probability of a positive that many hours after the last dose (nan: no data)."""
        if self.probability is None:
            return math.nan
        return float(np.interp(after_h, self.after_h, self.probability))


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """What an assay would say over time, and what was observed in people.

    Parameters
    ----------
    matrix : str
    detections : tuple of Detection
        Empty where nothing can be computed; `answer` then says why.
    observed : tuple of Fact
        Rows of the literature, never computed.
    answer : str
        A verdict in words: a panel that does not test for it, or a matrix that cannot be computed.
    regimen : list of str
    birth, citations
        As of a `Result`.
    """

    matrix: str
    detections: tuple[Detection, ...]
    observed: tuple[Fact, ...]
    answer: str = ""
    regimen: tuple[str, ...] = ()
    birth: dict[str, Any] = field(default_factory=dict)
    citations: tuple[dict[str, Any], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and texts, ready for JSON; what does not exist is None."""
        return {
            "matrix": self.matrix,
            "answer": self.answer or None,
            "regimen": list(self.regimen),
            "detections": [
                {
                    "assay": d.assay,
                    "method": d.method,
                    "analyte": d.analyte,
                    "cut_off": {"value": d.cut_off, "unit": "ng/mL"},
                    "after_last_dose_h": [round(float(t), 4) for t in d.after_h],
                    "probability": None
                    if d.probability is None
                    else [round(float(p), 4) for p in d.probability],
                    "window_h": {f"{q:g}": round(h, 2) for q, h in d.window_h.items()} or None,
                    "ever_positive": None if d.probability is None else round(d.ever, 4),
                    "grade": d.grade,
                    "reasons": list(d.reasons),
                }
                for d in self.detections
            ],
            "observed": [
                {
                    "analyte": f.analyte,
                    "finding": f.words,
                    "limit": f"{f.limit} {f.unit}" if f.limit else None,
                    "given": f.given,
                    "n": f.n,
                    "source": f.source,
                    "seen": f.seen,
                    "note": f.note or None,
                }
                for f in self.observed
            ],
            "birth": self.birth,
        }

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    def cite(self) -> str:
        """The works behind the numbers shown, one a line."""
        from kinetamine.models import library
        from kinetamine.results import references

        keys = [*(s for d in self.detections for s in d.sources), *(f.source for f in self.observed)]
        rows = [library.reference(key) for key in dict.fromkeys(keys)]
        return "\n".join(references.text(row) for row in (*self.citations, *rows))


@dataclass(frozen=True)
class _Test:
    """What is measured against what: response = sum of weight x concentration."""

    assay: str
    method: str
    analyte: str
    cut_off: float
    weights: dict[str, float]
    remarks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


def detect(
    doses: str | Dose | Sequence[str | Dose] | Regimen,
    *,
    matrix: str = "urine",
    analyte: str | None = None,
    assay: str | None = None,
    cutoff: str | float | None = None,
    creatinine: str | float | None = None,
    model: str | None = None,
    population: Patient | Population | None = None,
) -> DetectionResult:
    """Probability of a positive over time, and the detection window, of a regimen.

    Parameters
    ----------
    doses : str, list of str or Regimen
        As for `simulate`. A racemic dose is carried by a model of S-ketamine as if all of it were S-ketamine.
    matrix : {"urine", "plasma", "blood", "oral fluid", "hair"}
        The last three cannot be computed: the answer is what was observed.
    analyte : str, optional
        ``ketamine``, ``norketamine`` or ``dehydronorketamine``; default all of the assay.
    assay : str, optional
        An assay or panel of the data, such as ``"lc_ms_ms"``; default the usual ones.
    cutoff : float or str, ng/mL, optional
        Your own, such as ``"50 ng/mL"``; replaces the assay's.
    creatinine : float or str, mg/dL, optional
        Of the urine sample, such as ``"20 mg/dL"``: a dilute sample was made by a fast flow. Replaces the
        range of flows by one worked out from sex and weight.
    model : str, optional
        A model with an intravenous route; default the first of the data that knows the routes.
    population : Patient or Population, optional
        Default 1000 people. A Patient has no spread: the probability is 0 or 1.

    Returns
    -------
    DetectionResult

    Raises
    ------
    InputError
        If the matrix, analyte, assay or cut-off is unknown, or no model knows the route.

    Examples
    --------
    >>> import kinetamine as kt
    >>> found = kt.detect("50 mg oral", analyte="ketamine", cutoff="100 ng/mL", population=kt.Patient())
    >>> [round(h) for h in found.detections[0].window_h.values()], found.detections[0].grade
    ([7, 7, 7], 'extrapolated')
    >>> kt.detect("84 mg nasal", assay="five_panel").answer.split(":")[0]
    'not tested for'
    """
    from kinetamine.dosing import Regimen

    desk = load()
    matrix = desk.matrix.resolve(matrix, "matrix", "a matrix")
    if analyte is not None and analyte not in ANALYTES:
        raise UnknownName("analyte", analyte, ANALYTES, "an analyte")
    wanted = ANALYTES if analyte is None else (analyte,)
    known = desk.assays(matrix)
    if assay is not None and assay not in known:
        raise UnknownName("assay", assay, known, f"an assay of {matrix}")
    if cutoff is not None:
        cutoff = _concentration("cutoff", cutoff, "50 ng/mL")
    if creatinine is not None:
        creatinine = _concentration("creatinine", creatinine, "100 mg/dL")
        if matrix != "urine":
            raise InputError("creatinine", f"a sample of {matrix}", "a sample of urine", "matrix='urine'")
    regimen = Regimen.parse(doses)  # type: ignore[arg-type]
    shown = desk.observed(matrix, wanted)
    told = tuple(regimen.describe().split("; "))
    if assay is not None and any(f.kind == "panel_membership" for f in known[assay]):
        return DetectionResult(matrix, (), shown, _panel(known[assay]), told)
    if matrix in desk.observed_only:
        answer = f"not computed: {desk.observed_only[matrix]}; shown as observed"
        return DetectionResult(matrix, (), shown, answer, told)

    tests = list(_tests(desk, matrix, wanted, assay, cutoff))
    if not tests:
        measured = sorted({f.analyte for f in known[assay or desk.usual[matrix][0]] if f.cut_off_ng_ml})
        lacking = f"no cut-off for {analyte}" if measured else "no cut-off"
        raise NoData(
            "assay",
            f"{assay or 'the usual ones'}: {lacking}",
            "an analyte with one",
            " or ".join(map(repr, measured)) or "cutoff='50 ng/mL'",
        )
    curves = _Curves(desk, matrix, regimen, model, population, creatinine)
    detections = tuple(_detection(desk, test, curves) for test in tests)
    result = curves.result
    return DetectionResult(matrix, detections, shown, "", told, result.birth, tuple(result.citations))


def _concentration(where: str, given: str | float, example: str) -> float:
    value = units.read(given, example.split()[1], where)
    if not 0 < value < math.inf:
        raise InputError(where, str(given), "a concentration above 0", repr(example))
    return value


@dataclass(frozen=True)
class Comparison:
    """An observed window next to the predicted one, or why there is none."""

    fact: Fact
    predicted_h: tuple[float, ...] = ()
    why_not: str = ""


def compare(population: Patient | Population | None = None) -> list[Comparison]:
    """Every observed detection window against the prediction; nothing was fitted to them.

    Examples
    --------
    >>> from kinetamine.population import Population
    >>> for c in compare(Population(200, seed=1)):
    ...     if c.predicted_h:
    ...         print(c.fact.analyte, c.fact.window, [round(h, -1) for h in c.predicted_h])
    ketamine 120 h [110.0, 130.0, 160.0]
    norketamine 144 h [110.0, 130.0, 160.0]
    """
    rows = []
    for fact in load().facts:
        if fact.kind != "detection_window":
            continue
        if fact.not_compared is not None or fact.doses is None:
            rows.append(Comparison(fact, why_not=fact.not_compared or "no dose"))
            continue
        found = detect(
            fact.doses,
            matrix=fact.matrix,
            analyte=fact.analyte,
            cutoff=fact.cut_off_ng_ml,
            population=population,
        )
        rows.append(Comparison(fact, tuple(found.detections[0].window_h.values())))
    return rows


def _panel(rows: Sequence[Fact]) -> str:
    row = rows[0]
    where = f"{row.method} ({row.source}, seen: {row.seen})"
    if row.limit_type == "not included":
        return f"{NOT_TESTED}: ketamine is not in the {where}"
    return f"{row.limit_type}: {where}; {row.note}"


def _tests(
    desk: Desk, matrix: str, wanted: Sequence[str], assay: str | None, cutoff: float | None
) -> Iterable[_Test]:
    if assay is None and cutoff is not None:
        for one in wanted:
            yield _Test("your own", "cut-off given", one, cutoff, {one: 1.0})
        return
    known = desk.assays(matrix)
    for name in desk.usual[matrix] if assay is None else (assay,):
        rows = known[name]
        for row in rows:
            if row.cut_off_ng_ml is None or row.analyte not in wanted:
                continue
            weights, remarks = {row.analyte: 1.0}, []
            if name in desk.immunoassays:
                for other in rows:
                    if other.cross_reactivity_pct is not None and other.analyte != row.analyte:
                        weights[other.analyte] = other.cross_reactivity_pct / 100
                unknown = [a for a in ANALYTES if a not in weights]
                if unknown:
                    remarks.append(
                        f"an immunoassay; how it reacts to {' and '.join(unknown)} was not seen and counts "
                        "as not at all, so that the window is a lower bound"
                    )
            if row.seen == "recalled" and cutoff is None:
                remarks.append("the cut-off is recalled, not read")
            yield _Test(
                name,
                row.method,
                row.analyte,
                cutoff or row.cut_off_ng_ml,
                weights,
                tuple(remarks),
                (row.source,),
            )


class _Curves:
    """Concentrations in the matrix, per person and time, worked out when first asked for."""

    def __init__(
        self,
        desk: Desk,
        matrix: str,
        regimen: Regimen,
        model: str | None,
        population: Patient | Population | None,
        creatinine_mg_dl: float | None = None,
    ) -> None:
        from kinetamine.models import library
        from kinetamine.population import Patient, Population
        from kinetamine.simulate import simulate

        self.desk, self.matrix = desk, matrix
        self.creatinine_mg_dl = creatinine_mg_dl
        self._found: dict[str, Floats | None] = {}
        routes = {dose.entry for dose in regimen.doses}
        names = [model] if model is not None else desk.models
        specs = [library.load(name, runnable=True) for name in names]
        fitting = [s for s in specs if routes <= set(s.entries)]
        if not fitting:
            able = ", ".join(sorted({r for s in specs for r in s.entries}))
            raise NoData(
                "doses", f"the route {' and '.join(sorted(routes))}", f"one of: {able}", "--model ID"
            )
        self.spec = fitting[0]
        self.remarks: list[str] = []
        if any(d.drug == "racemate" for d in regimen.doses) and self.spec.drug == "S-ketamine":
            regimen = replace(
                regimen,
                doses=tuple(replace(d, drug=None) if d.drug == "racemate" else d for d in regimen.doses),
            )
            self.remarks.append("racemate carried by a model of S-ketamine as if all were S-ketamine")
        self.people = population if population is not None else Population(1000, seed=1)
        self.spread = not isinstance(self.people, Patient)
        self.end_h = regimen.duration_h
        self.times = _grid(self.end_h)
        self.result: Result = simulate(self.spec, regimen, self.people, times=self.times)
        if matrix == "urine" and "iv" not in self.spec.entries:
            raise NoData(
                "model", self.spec.id, "a model with an iv route, for the renal clearance", "no --model"
            )

    def output(self, analyte: str) -> str | None:
        """Name of the model's output of an analyte."""
        fits = (analyte, f"S-{analyte}")
        return next((k for k, o in self.result.outputs.items() if o.analyte in fits), None)

    @functools.cached_property
    def _reference(self) -> Result:
        """The same people after 1 mg iv: its area tells what a share of a dose means as a clearance."""
        from kinetamine.simulate import simulate

        found: Result = simulate(self.spec, "1 mg iv over 1 h", self.people, times=_grid(1.0))
        return found

    def _random(self, name: str) -> Floats:
        from kinetamine.engine.random import normals, stream_number

        n = self.people.n
        if not self.spread:
            return np.zeros((n, 1))
        return normals(int(self.people.seed), stream_number("detection", name), 0, n, 1)

    @functools.cached_property
    def _flow(self) -> Floats:
        """Urine, L/h, (person, 1); from the creatinine of the sample when that is known."""
        if self.creatinine_mg_dl is not None:
            people, rate = self.result.patients, self.desk.creatinine
            missing = [name for name in ("sex", "weight") if name not in people]
            if missing:
                raise NoData(
                    "creatinine", f"a patient without {missing[0]}", "sex and weight", "a Population"
                )
            per_kg = np.where(people["sex"] == 1, rate.male, rate.female)
            mg_h = per_kg * people["weight"] * units.convert(1.0, rate.unit, "mg/h")
            return np.asarray(mg_h / units.convert(self.creatinine_mg_dl, "mg/dL", "mg/L"))[:, None]
        spread = self.desk.urine_flow
        return spread.draw(self._random("flow")) * units.convert(1.0, spread.unit, "L/h")

    @property
    def flow_words(self) -> tuple[str, str]:
        """Which flow of urine was taken, and its source."""
        flow, rate, mg_dl = self.desk.urine_flow, self.desk.creatinine, self.creatinine_mg_dl
        if mg_dl is None:
            return (
                f"urine {flow.low:g}-{flow.high:g} {flow.unit}, taken as the middle 90 % of people",
                flow.source,
            )
        words = (
            f"urine flow from creatinine {mg_dl:g} mg/dL and the lower limit of its excretion "
            f"({rate.male:g} mg/kg a day in men, {rate.female:g} in women): the window is an upper bound"
        )
        if mg_dl < rate.dilute_mg_dl:
            words += f"; below {rate.dilute_mg_dl:g} mg/dL a laboratory may call the specimen dilute"
        return words, rate.source

    def __call__(self, analyte: str) -> Floats | None:
        """ng/mL, (person, time); None where there is no data."""
        if analyte not in self._found:
            self._found[analyte] = self._compute(analyte)
        return self._found[analyte]

    def _compute(self, analyte: str) -> Floats | None:
        name = self.output(analyte)
        if name is None:
            return None
        counted = self.spec.outputs[name].counted_as if name in self.spec.outputs else None
        plasma = in_own_mass(self.result[name], analyte, counted)
        if self.matrix == "plasma":
            return plasma
        from scipy.integrate import trapezoid

        if analyte not in self.desk.share:
            return None
        of_1_mg = in_own_mass(self._reference[name], analyte, counted)
        area = trapezoid(of_1_mg, self._reference.time_h, axis=1)[:, None]  # ng/mL h per 1 mg
        share = self.desk.share[analyte].draw(self._random(analyte))
        renal = share * units.convert(1.0, "mg", "ug") / area  # L/h, as ng/mL is ug/L
        return np.asarray(renal * plasma / self._flow)


def _grid(end_h: float) -> Floats:
    """From the first dose to 60 days after the last: dense at first, few different steps, as those cost."""
    tail = np.concatenate(
        [np.arange(0, 6, 0.1), np.arange(6, 48, 1), np.arange(48, 240, 4), np.arange(240, 1441, 24)]
    )
    before = np.arange(0, end_h, max(0.1, end_h / 500)) if end_h > 0 else np.zeros(0)
    return np.unique(np.concatenate([before, tail + end_h]))


def _detection(desk: Desk, test: _Test, curves: _Curves) -> Detection:
    known = {a: c for a in test.weights if (c := curves(a)) is not None}
    after = curves.times - curves.end_h
    from_end = after >= -1e-9
    if test.analyte not in known:
        why = desk.observed_only.get(test.analyte, f"{curves.spec.id} does not give it")
        return Detection(
            test.assay, test.method, test.analyte, test.cut_off, after[from_end], None, {}, math.nan,
            "no data", (why,), test.sources,
        )  # fmt: skip
    response = sum(test.weights[a] * c for a, c in known.items())
    assert isinstance(response, np.ndarray)
    positive = response >= test.cut_off
    last = _last_crossing(after[from_end], response[:, from_end], test.cut_off)
    window = {q: float(h) for q, h in zip(BAND, np.quantile(last, BAND), strict=True)}
    grade, reasons, sources = _graded(desk, test, curves, window)
    return Detection(
        test.assay, test.method, test.analyte, test.cut_off, after[from_end],
        positive[:, from_end].mean(axis=0), window, float(positive.any(axis=1).mean()), grade, reasons, sources,
    )  # fmt: skip


def _last_crossing(times: Floats, values: Floats, level: float) -> Floats:
    """When each row is last at the level, log-linear between points; 0 where it never is."""
    above = values >= level
    i = np.where(above.any(axis=1), values.shape[1] - 1 - np.argmax(above[:, ::-1], axis=1), -1)
    rows = np.arange(len(values))
    j = np.minimum(i + 1, values.shape[1] - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        drop = np.log(values[rows, i] / values[rows, j])
        share = np.where(drop > 0, np.log(values[rows, i] / level) / drop, 0.0)
    found = times[i] + share * (times[j] - times[i])
    return np.where(i >= 0, found, 0.0)


def _graded(
    desk: Desk, test: _Test, curves: _Curves, window: Mapping[float, float]
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """How far to trust it: never better than the curve in plasma."""
    name = curves.output(test.analyte)
    assert name is not None
    output = curves.result.output(name)
    grade = output.grade
    reasons = [*curves.remarks, *test.remarks]
    sources = list(test.sources)
    if curves.remarks:
        grade = "extrapolated"
    if curves.spread and not curves.spec.variability:
        reasons.append("the model has no published variability: real people spread wider")
    trusted = curves.spec.applies.duration_h
    if window[0.5] > (trusted or desk.blood_drawn_h):
        grade = "extrapolated"
        reasons.append(
            "the window ends after the "
            + (
                f"{trusted:g} h the model was made for"
                if trusted
                else f"{desk.blood_drawn_h:g} h that blood is usually drawn for"
            )
            + ": the slow end of the curve carries it"
        )
    if curves.matrix == "urine":
        grade = "extrapolated"
        share = desk.share[test.analyte]
        reasons.append(
            f"{100 * share.low:g}-{100 * share.high:g} % of a systemic dose in urine as free {test.analyte} "
            f"(seen: {share.seen}), taken as the middle 90 % of people"
        )
        told, source = curves.flow_words
        reasons.append(told)
        sources += [share.source, source]
    if window[0.95] >= curves.times[-1] - curves.end_h - 1e-6:
        reasons.append("the window reaches the end of the 60 days looked at")
    return grade, tuple(reasons), tuple(dict.fromkeys(sources))
