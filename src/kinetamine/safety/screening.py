"""Who should not be treated, who needs care and what a session asks for: published rules over a description.

The rules (`data/safety/screening.csv`) say in `when` whom they concern, in a small language: names of conditions,
``taking X`` for a group of medicines, ``sbp > 140`` for a number of the patient and ``X < 6 weeks`` for the time
since an event, joined by ``and`` and ``or``. A row without `when` is a fact, shown beside the rules of its domain.
A rule of another product than the one asked about is kept, at most as a caution: no rule is not a clearance.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kinetamine.errors import Fault, FaultyFile, InputError, UnknownName
from kinetamine.records import Names, Record, Sourced, raise_all, read_csv, read_toml, unknown
from kinetamine.safety import pd_interactions, perturbations
from kinetamine.safety.findings import Finding, Hazard, hazards, milder, ordered, worst

__all__ = ["Person", "Screening", "Step", "guidance", "read_person", "rules", "screen", "session_plan"]

_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}
_SINCE = re.compile(r"(.+?)\s+(\d+(?:\.\d+)?)\s*(hour|day|week|month|year)s?\s+ago", re.IGNORECASE)
_COMPARE = re.compile(r"(.+?) (<=|>=|<|>) (\d+(?:\.\d+)?)(?: (hour|day|week|month|year)s?)?")


# ---- the data


class _Product(Record):
    also: tuple[str, ...] = ()


class _Condition(Record):
    also: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()


class _Quantity(Record):
    title: str
    unit: str
    range: tuple[float, float]


class Rule(Sourced):
    """A row of screening.csv."""

    domain: str
    severity: Literal["exclude", "caution", "adjust", "monitor", "information"]
    when: str = ""
    product: str
    population: str
    text: str
    value: str = ""
    unit: str = ""
    detail: str = ""
    basis: str

    @property
    def words(self) -> str:
        """The rule in one line."""
        return _words(self.text, self.detail, self.value, self.unit)


class Step(Sourced):
    """One step of a session plan, a row of session.csv."""

    product: str
    population: str
    phase: str
    text: str
    value: str = ""
    unit: str = ""
    detail: str = ""
    basis: str

    @property
    def words(self) -> str:
        """The step in one line."""
        return _words(self.text, self.detail, self.value, self.unit)


def _words(text: str, detail: str, value: str, unit: str) -> str:
    number = " ".join(part for part in (value, unit) if part)
    return text + (f": {detail}" if detail else "") + (f" ({number})" if number else "")


@dataclass(frozen=True)
class _Term:
    kind: str  # condition | since | taking | quantity
    name: str
    sign: str = ""
    limit: float = math.nan
    text: str = ""


@dataclass(frozen=True)
class _Desk:
    products: Names
    conditions: Names
    implied: Mapping[str, tuple[str, ...]]
    quantities: Mapping[str, _Quantity]
    flags: Mapping[str, str]
    liver: Mapping[str, str]
    phases: Mapping[str, str]
    guidance: Mapping[str, str]
    rules: tuple[Rule, ...]
    whens: Mapping[str, tuple[tuple[_Term, ...], ...]]
    steps: tuple[Step, ...]


class _Words(Record):
    product: dict[str, _Product]
    condition: dict[str, _Condition]
    quantity: dict[str, _Quantity]
    flags: dict[str, str]
    liver: dict[str, str]
    phase: dict[str, str]
    guidance: dict[str, str]
    medicine: dict[str, str]


@functools.cache
def _words_of_the_desk() -> _Words:
    found: _Words = read_toml("safety/screening.toml", _Words)
    return found


@functools.cache
def _desk() -> _Desk:
    file, words = "screening.toml", _words_of_the_desk()
    products, conditions, quantities = words.product, words.condition, words.quantity
    rows = read_csv("safety/screening.csv", Rule)
    steps = read_csv("safety/session.csv", Step)
    implied = [(name, i) for name, condition in conditions.items() for i in condition.implies]
    implied += [(f"flags.{k}", v) for k, v in words.flags.items()]
    implied += [(f"liver.{k}", v) for k, v in words.liver.items()]
    faults = [
        unknown(where, name, conditions, "a condition of this file")
        for where, name in implied
        if name not in conditions
    ]
    used = [(r.id, r.product) for r in rows] + [(s.id, s.product) for s in steps]
    faults += [unknown(id, p, products, f"a product of {file}") for id, p in used if p not in products]
    phases = {**words.phase, **words.guidance}
    faults += [unknown(s.id, s.phase, phases, f"a phase of {file}") for s in steps if s.phase not in phases]
    whens = {}
    for rule in rows:
        try:
            whens[rule.id] = _parse(rule.when, conditions, quantities)
        except ValueError as error:
            faults.append(Fault(rule.id, repr(rule.when), str(error)))
    raise_all(file, faults)
    return _Desk(
        Names({k: p.also for k, p in products.items()}, file),
        Names({k: c.also for k, c in conditions.items()}, file),
        {k: c.implies for k, c in conditions.items()},
        quantities,
        words.flags,
        words.liver,
        words.phase,
        words.guidance,
        rows,
        whens,
        steps,
    )


def _parse(
    when: str, conditions: Mapping[str, Any], quantities: Mapping[str, Any]
) -> tuple[tuple[_Term, ...], ...]:
    def term(text: str) -> _Term:
        if text.startswith("taking "):
            name = text.removeprefix("taking ")
            if name not in _medicines():
                raise ValueError("a medicine or group of drug_groups.toml after 'taking'")
            return _Term("taking", name, text=text)
        if text in conditions:
            return _Term("condition", text, text=text)
        found = _COMPARE.fullmatch(text)
        if found:
            name, sign, limit, unit = found.groups()
            if unit is None and name in quantities:
                return _Term("quantity", name, sign, float(limit), text)
            if unit is not None and sign == "<" and name in conditions:
                return _Term("since", name, sign, float(limit) * _DAYS[unit], text)
        raise ValueError("a condition, 'taking X', 'age < 18' or 'X < 6 weeks'")

    return tuple(
        tuple(term(t.strip()) for t in branch.split(" and ")) for branch in when.split(" or ") if branch
    )


def rules() -> tuple[Rule, ...]:
    """Every rule and fact, as in the file.

    Examples
    --------
    >>> rules()[0].source, rules()[0].seen
    ('spravato_us_label_2021_print', 'text')
    """
    return _desk().rules


# ---- the person


@dataclass(frozen=True)
class Person:
    """A checked description; `conditions` with the days since each (None: not said), implied ones included.

    Examples
    --------
    >>> read_person({"conditions": ["heart attack 4 weeks ago"]}).conditions["myocardial infarction"]
    (28.0,)
    """

    numbers: Mapping[str, float] = field(default_factory=dict)
    conditions: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    medications: tuple[str, ...] = ()
    product: str | None = None


_WORDS = ("conditions", "medications")


def read_person(given: Mapping[str, Any], name: str = "patient") -> Person:
    """Check a description; nothing in it is guessed.

    Parameters
    ----------
    given : mapping
        ``age``, ``bmi`` (or ``weight`` in kg and ``height`` in cm), ``sbp``, ``dbp`` at the visit, ``egfr``,
        ``liver`` (A, B, C), ``conditions``, ``medications``, ``product`` and yes-or-no keys such as ``pregnant``.
    name : str
        What the description is called when more than one thing is wrong.

    Raises
    ------
    InputError
        With every fault, and the nearest names for words nobody knows.

    Examples
    --------
    >>> sorted(read_person({"pregnant": True, "age": 30}).conditions)
    ['pregnancy']
    """
    desk = _desk()
    known = (*desk.quantities, *desk.flags, *_WORDS, "weight", "height", "liver", "product")
    faults: list[InputError] = []
    numbers: dict[str, float] = {}
    found: list[tuple[str, float | None]] = []
    medications: list[str] = []
    product = None
    for key, value in given.items():
        try:
            if key in desk.quantities or key in ("weight", "height"):
                numbers[key] = _number(key, value, desk.quantities.get(key))
            elif key in desk.flags:
                if not isinstance(value, bool):
                    raise InputError(key, repr(value), "true or false", f"{key} = true")
                if value:
                    found.append((desk.flags[key], None))
            elif key == "liver":
                by_class = {str(k).casefold(): v for k, v in desk.liver.items()}
                condition = by_class.get(str(value).casefold())
                if condition is None:
                    raise UnknownName("liver", str(value), desk.liver, "a class of liver impairment")
                found.append((condition, None))
            elif key == "product":
                product = desk.products.resolve(str(value), key, "a product")
            elif key == "conditions":
                for text in _list(key, value):
                    with_time = _SINCE.fullmatch(text.strip())
                    try:
                        word = with_time[1] if with_time else text
                        days = float(with_time[2]) * _DAYS[with_time[3].lower()] if with_time else None
                        condition = desk.conditions.find(word)
                        if condition is not None:
                            found.append((condition, days))
                        elif not _changes_the_curve(word):
                            desk.conditions.resolve(word, "condition", "a known condition")
                    except InputError as error:
                        faults.append(error)
            elif key == "medications":
                for text in _list(key, value):
                    named = medicine(text)
                    if desk.conditions.find(text) is not None:
                        faults.append(InputError(key, repr(text), "a medicine", "it among the conditions"))
                    elif named is None:
                        faults.append(_no_medicine(text))
                    else:
                        medications.append(named)
            else:
                raise UnknownName(key, key, known, "a key of a patient description")
        except InputError as error:
            faults.append(error)
    if faults:
        if len(faults) == 1:
            raise faults[0]
        raise FaultyFile(name, [f for error in faults for f in error.faults])
    if "sbp" in numbers and "dbp" in numbers and numbers["dbp"] >= numbers["sbp"]:
        given_ = f"{numbers['sbp']:g}/{numbers['dbp']:g}"
        raise InputError("sbp/dbp", given_, "a systolic pressure above the diastolic one", "sbp=140 dbp=90")
    weight, height = numbers.pop("weight", None), numbers.pop("height", None)
    if "bmi" not in numbers and weight is not None and height is not None:
        numbers["bmi"] = weight / (height / 100) ** 2
    return Person(numbers, _implied(found), tuple(medications), product)


def medicine(word: str) -> str | None:
    """The name of a medicine or group as the interactions write it; None if nobody here knows it.

    Examples
    --------
    >>> medicine("maoi"), medicine("amphetamines"), medicine("sugar")
    ('MAO inhibitor', 'amphetamine', None)
    """
    return _aliases().find(word) or _interacting(word)


def _no_medicine(text: str) -> UnknownName:
    close = perturbations.sounds_like(text, _medicines())
    what = 'a medicine known here; about others nothing was looked up, which is not "no effect"'
    return UnknownName("medication", text, _medicines(), what, close, "kinetamine interactions, for the list")


def _interacting(word: str) -> str | None:
    name = pd_interactions.resolved(word)
    return name if name in _medicines() else None


@functools.cache
def _medicines() -> frozenset[str]:
    found = perturbations.load().perturbations.values()
    conditions = {n for one in found if one.given == "condition" for n in (one.name, *one.aliases)}
    conditions |= set(_words_of_the_desk().condition)
    return frozenset({*pd_interactions.asked_for(), *_other_words()} - conditions)


@functools.cache
def _other_words() -> dict[str, str]:
    return _words_of_the_desk().medicine


@functools.cache
def _aliases() -> Names:
    by_name: dict[str, list[str]] = {}
    for word, name in _other_words().items():
        by_name.setdefault(name, []).append(word)
    return Names(by_name, "screening.toml")


def _changes_the_curve(word: str) -> bool:
    """A condition of which no screening rule speaks, but which this room knows."""
    found = perturbations.load().perturbations.values()
    names = (n for one in found if one.given == "condition" for n in (one.name, *one.aliases))
    return perturbations.normal(word) in {perturbations.normal(n) for n in names}


def _within(medicine: str, group: str) -> bool:
    members = pd_interactions.load()[1].get(group, ())
    return medicine == group or any(_within(medicine, member) for member in members)


def _number(key: str, value: Any, quantity: _Quantity | None) -> float:
    low, high = quantity.range if quantity else (0.0, math.inf)
    unit = quantity.unit if quantity else {"weight": "kg", "height": "cm"}[key]
    try:
        if isinstance(value, bool):
            raise ValueError
        number = float(value)
        if not (math.isfinite(number) and low <= number <= high) or (quantity is None and number <= 0):
            raise ValueError
    except (TypeError, ValueError):
        span = f"from {low:g} to {high:g} {unit}" if quantity else f"above zero, in {unit}"
        raise InputError(key, repr(value), f"a number {span}") from None
    return number


def _list(key: str, value: Any) -> list[str]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(i, str) and i.strip() for i in items):
        raise InputError(key, repr(value), "a list of names", f'{key} = ["…"]')
    return list(items)


def _implied(found: Sequence[tuple[str, float | None]]) -> dict[str, tuple[float | None, ...]]:
    implies = _desk().implied
    out: dict[str, list[float | None]] = {}
    left = list(found)
    while left:
        name, days = left.pop()
        if days in out.setdefault(name, []):
            continue
        out[name].append(days)
        left += [(other, days) for other in implies[name]]
    return {name: tuple(times) for name, times in out.items()}


# ---- screening


@dataclass(frozen=True)
class Screening:
    """Findings, gravest first; `missing` names what some rule asked for and was not told.

    Examples
    --------
    >>> screen(sbp=150, dbp=85, product="spravato").worst
    'adjust'
    """

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    plan: tuple[Step, ...]
    person: Person

    @property
    def without_data(self) -> tuple[str, ...]:
        """What is to be said of medicines about which nothing was found."""
        said = (pd_interactions.without_data(m) for m in self.person.medications)
        return tuple(dict.fromkeys(s for s in said if s is not None))

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
            "worst": self.worst,
            "hazards": [h.to_dict() for h in self.hazards],
            "findings": [f.to_dict() for f in self.findings],
            "not_told": list(self.missing),
            "no_data": list(self.without_data),
            "session_plan": [{**s.model_dump(), "words": s.words} for s in self.plan],
        }


def screen(patient: Mapping[str, Any] | str | Path | None = None, /, **more: Any) -> Screening:
    """Screen a description by the published rules. Not a clearance: what nobody wrote down is not found.

    Parameters
    ----------
    patient : mapping or path of a TOML file, optional
        See `read_person`; keywords are laid over it.

    Returns
    -------
    Screening

    Raises
    ------
    InputError
        For a condition, medicine or product nobody knows (the nearest are offered) and for impossible numbers.

    Examples
    --------
    >>> found = screen(conditions=["aneurysm"], product="esketamine nasal")
    >>> found.worst, found.findings[0].seen
    ('exclude', 'text')
    """
    if isinstance(patient, (str, Path)):
        from kinetamine.scenario import read_file

        name = str(patient)
        given = read_file(patient)
        given = given["patient"] if isinstance(given.get("patient"), dict) and len(given) == 1 else given
    else:
        name, given = "patient", dict(patient or {})
    return screen_person(read_person({**given, **more}, name))


def screen_person(person: Person) -> Screening:
    """Screen a checked description."""
    desk = _desk()
    findings: list[Finding] = []
    missing: dict[str, None] = {}
    touched: set[str] = set()
    for rule in desk.rules:
        branches = desk.whens[rule.id]
        if not branches:
            continue
        verdict, terms, asked = _any(branches, person)
        missing.update(dict.fromkeys(asked))
        if verdict:
            because, hazard = _because(terms, person), _hazard(terms, person)
            findings.append(_finding(rule, person, rule.severity, because, hazard))
            touched.add(rule.domain)
        elif verdict is None and any(t.kind == "since" for t in terms):
            said = "; ".join(f"time since {t.name} not told, the rule holds for {t.text}" for t in terms)
            findings.append(
                _finding(rule, person, milder(rule.severity, "caution"), said, _hazard(terms, person))
            )
            touched.add(rule.domain)
    for rule in desk.rules:
        if not desk.whens[rule.id] and rule.domain in touched and _fits(rule.product, person.product):
            findings.append(_finding(rule, person, rule.severity, f"background to {rule.domain}"))
    told = {**desk.quantities}
    return Screening(
        ordered(findings),
        tuple(told[m].title if m in told else m for m in missing),
        session_plan(person.product),
        person,
    )


def _any(
    branches: tuple[tuple[_Term, ...], ...], person: Person
) -> tuple[bool | None, tuple[_Term, ...], list[str]]:
    """Three-valued: true, false, or cannot tell; with the terms that made it so and what was not told."""
    open_terms: list[_Term] = []
    asked: list[str] = []
    for branch in branches:
        values = [_holds(t, person) for t in branch]
        if all(values):
            return True, branch, []
        if False not in values:
            unknown = [t for t, v in zip(branch, values, strict=True) if v is None]
            open_terms += unknown
            asked += [t.name for t in unknown if t.kind == "quantity"]
    return (None if open_terms else False), tuple(open_terms), asked


def _holds(term: _Term, person: Person) -> bool | None:
    if term.kind == "taking":
        return any(_within(m, term.name) for m in person.medications)
    if term.kind == "condition":
        return term.name in person.conditions
    if term.kind == "since":
        times = person.conditions.get(term.name, ())
        if any(t is not None and t < term.limit for t in times):
            return True
        return None if None in times else False
    value = person.numbers.get(term.name)
    if value is None:
        return None
    return {
        "<": value < term.limit,
        "<=": value <= term.limit,
        ">": value > term.limit,
        ">=": value >= term.limit,
    }[term.sign]


def _because(terms: Iterable[_Term], person: Person) -> str:
    desk = _desk()
    parts = []
    for term in terms:
        if term.kind == "quantity":
            q = desk.quantities[term.name]
            value = person.numbers[term.name]
            parts.append(f"{q.title} {value:.4g} {q.unit} {term.sign} {term.limit:g}")
        elif term.kind == "taking":
            names = [m for m in person.medications if _within(m, term.name)]
            parts.append("taking " + ", ".join(names))
        else:
            parts.append(term.text)
    return " and ".join(parts)


def _hazard(terms: tuple[_Term, ...], person: Person) -> str:
    """The one thing about the person that a rule was met by: of conditions the one that was told."""
    term = next((t for t in terms if t.kind == "quantity"), terms[0])
    if term.kind == "quantity":
        return "blood pressure" if term.name in ("sbp", "dbp") else _desk().quantities[term.name].title
    if term.kind == "taking":
        return ", ".join(m for m in person.medications if _within(m, term.name))
    told = [c for c in person.conditions if c != term.name and term.name in _all_implied(c)]
    roots = [c for c in told if not any(c in _all_implied(other) for other in told)]
    return roots[0] if roots else term.name


@functools.cache
def _all_implied(condition: str) -> frozenset[str]:
    return frozenset(_implied([(condition, None)])) - {condition}


def _fits(product: str, asked: str | None) -> bool:
    return asked is None or product == asked or "any ketamine" in (product, asked)


def _finding(rule: Rule, person: Person, severity: str, because: str, hazard: str = "") -> Finding:
    text, other = rule.words, not _fits(rule.product, person.product)
    if other:
        if severity == "exclude":
            text += (
                f" [excluded for {rule.product}; the rules for {person.product} do not speak of it or differ]"
            )
        severity = milder(severity, "caution")
    return Finding(
        severity,
        rule.domain,
        text,
        rule.product,
        rule.population,
        rule.source,
        rule.seen,
        rule.id,
        rule.basis,
        because,
        rule.place,
        rule.note,
        other,
        hazard,
    )


def session_plan(product: str | None = None) -> tuple[Step, ...]:
    """What a session asks for: preparation, pressure and its times, monitoring, leaving and driving.

    Parameters
    ----------
    product : str, optional
        Only the steps of this product (and of any ketamine); without it those of all products.

    Raises
    ------
    UnknownName
        For a product nobody knows.

    Examples
    --------
    >>> [s.value + " " + s.unit for s in session_plan("spravato") if s.id == "S097"]
    ['>=2 h']
    """
    return _steps(product, _desk().phases)


def guidance(product: str | None = None) -> tuple[Step, ...]:
    """Published guidance on a whole course: schedules, rules seen in trials, definitions, levels of evidence.

    Raises
    ------
    UnknownName
        For a product nobody knows.

    Examples
    --------
    >>> guidance("spravato")[0].words
    'induction weeks 1-4: day 1 starting dose (56 mg)'
    """
    return _steps(product, _desk().guidance)


def _steps(product: str | None, phases: Mapping[str, str]) -> tuple[Step, ...]:
    desk, order = _desk(), list(phases)
    asked = None if product is None else desk.products.resolve(product, "product", "a product")
    fitting = [s for s in desk.steps if s.phase in phases and _fits(s.product, asked)]
    return tuple(sorted(fitting, key=lambda s: (order.index(s.phase), s.product, s.id)))


def phase_titles() -> dict[str, str]:
    """The parts of a session plan and of the guidance, and what they are called, in order."""
    return {**_desk().phases, **_desk().guidance}
