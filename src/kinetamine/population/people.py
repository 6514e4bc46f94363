"""Patients and populations: what `simulate` asks about the people it treats.

Both classes answer the same questions for patients ``start`` to ``stop`` of a model: covariates, random
effects, parameters and noise. An answer depends on nothing but the seed, the name of what is drawn and the
patient's number, so blocks, threads and order do not matter.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine import units
from kinetamine.errors import CovariateError, UnknownName
from kinetamine.population import draws
from kinetamine.population.given import (
    FOUR,
    Evenly,
    Table,
    check_allowed,
    coded,
    number,
    shared_range,
    spread,
)
from kinetamine.population.reference import OLDEST, SOURCES, tables

__all__ = ["Patient", "Population"]

#: ages of adults when neither user nor model says anything
_ADULTS = (18.0, 65.0)
_ATTEMPTS = 10_000


def _own_unit(name: str, covariate: Any) -> float:
    """Factor from the unit of the four (kg, cm, years) to the model's unit for that covariate."""
    return 1.0 if name == "sex" else units.convert(1.0, FOUR[name], covariate.unit, f"covariates.{name}")


def _all(spec: Any, together: Sequence[Any]) -> list[Any]:
    return [spec, *(other for other in together if other is not spec)] if spec is not None else list(together)


def _known_names(specs: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys([*FOUR, *(name for spec in specs for name in spec.covariates)]))


def _refuse_unknown(names: Sequence[str], specs: Sequence[Any], where: str) -> None:
    known = _known_names(specs)
    for name in names:
        if name not in known:
            raise UnknownName(where, name, known, "a covariate of the model")


class Patient:
    """One patient, with the effects of the typical one: no variability.

    Parameters
    ----------
    **covariates
        ``weight`` (kg), ``age`` (years), ``height`` (cm), ``sex`` ("female", "male" or 0, 1) and any
        covariate of the model, as number or as text with a unit. What is not given takes the model's
        reference value.

    Raises
    ------
    CovariateError
        If a value is not a finite number, or (once the model is known) outside what the model can take.
    UnknownName
        Once the model is known: if it has no such covariate.

    Examples
    --------
    >>> Patient(weight="95 kg", age="6 months")
    Patient(weight=95, age=0.5)
    """

    n = 1
    seed = 0
    variability = False
    uncertainty = False
    residual = False

    def __init__(self, **covariates: Any) -> None:
        self.given: dict[str, Any] = {}
        for name, value in covariates.items():
            # another covariate's unit is known only with the model
            keep = name not in FOUR and isinstance(value, str)
            self.given[name] = value if keep else number(name, value, FOUR.get(name, "1"), "patient")

    def __repr__(self) -> str:
        shown = {k: v if isinstance(v, str) else f"{v:g}" for k, v in self.given.items()}
        if "sex" in shown:
            shown["sex"] = repr(("female", "male")[int(self.given["sex"])])
        return "Patient(" + ", ".join(f"{k}={v}" for k, v in shown.items()) + ")"

    def covariates(
        self, spec: Any, start: int = 0, stop: int = 1, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """Covariates of the model, each an array (patient,) in the model's unit for it.

        Parameters
        ----------
        spec : ModelSpec
        start, stop : int
            Patients ``start`` to ``stop - 1``.
        together : sequence of ModelSpec
            All models of the run: a covariate that only another of them has is not refused.
        """
        _refuse_unknown(list(self.given), _all(spec, together), "patient")
        self._refuse_child_without_weight(spec)
        out = {}
        for name, covariate in spec.covariates.items():
            value = covariate.reference
            if name in FOUR and name in self.given:
                value = self.given[name] * _own_unit(name, covariate)
            elif name in self.given:
                value = number(
                    name, coded(name, self.given[name], covariate, "patient"), covariate.unit, "patient"
                )
            if name in self.given:
                check_allowed(name, value, covariate, "patient")
            out[name] = np.full(stop - start, float(value))
        return out

    def _refuse_child_without_weight(self, spec: Any) -> None:
        """A model's reference weight is mostly that of an adult: no stand-in for a child's."""
        age = self.given.get("age")
        if age is None or age >= _ADULTS[0] or "weight" not in spec.covariates or "weight" in self.given:
            return
        from kinetamine.population.reference import quantile

        sex = "male" if self.given.get("sex") == 1 else "female"
        raise CovariateError(
            "patient",
            f"age {age:g} years and no weight",
            "the child's weight, as the model's reference is "
            f"{spec.covariates['weight'].reference:g} {spec.covariates['weight'].unit}",
            f"weight={quantile('weight', sex, age, 0.5):.3g} (median of that age)",
        )

    def demographics(
        self, spec: Any = None, start: int = 0, stop: int = 1, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """What is known of age (years), sex (0 female, 1 male), weight (kg) and height (cm).

        It does not matter whether the model uses it. Not given, it is the model's reference value, and absent
        if no model has one.
        """
        out = {}
        for name in FOUR:
            value = self.given.get(name)
            for model in _all(spec, together):
                if value is None and name in model.covariates:
                    value = model.covariates[name].reference / _own_unit(name, model.covariates[name])
            if value is not None:
                out[name] = np.full(stop - start, float(value))
        return out

    def etas(self, spec: Any, start: int = 0, stop: int = 1) -> dict[str, np.ndarray]:
        """Zeros: ``{"eta.CL": array (patient,)}``."""
        zeros = draws.no_effects(spec, "subject", start, stop)
        return {f"eta.{name}": values[0] for name, values in zeros.items()}

    def occasions(self, spec: Any, n_occ: int, start: int = 0, stop: int = 1) -> dict[str, np.ndarray]:
        """Zeros: ``{"occ.ka": array (occasion, patient)}``."""
        zeros = draws.no_effects(spec, "occasion", start, stop, n_occ)
        return {f"occ.{name}": values for name, values in zeros.items()}

    def parameters(self, spec: Any, start: int = 0, stop: int = 1) -> dict[str, float | np.ndarray]:
        """The published values in inside units."""
        return draws.draw_parameters(spec, 0, start, stop, False)

    def residual_noise(self, spec: Any, output: str, times: Any, start: int = 0, stop: int = 1) -> None:
        """None: a typical patient is not measured."""
        return None  # noqa: RET501

    def sources(self, spec: Any = None) -> tuple[str, ...]:
        """Keys of the demographic sources behind this patient: none."""
        return ()

    def describe(self, spec: Any = None) -> dict[str, Any]:
        """What a report says about the patient.

        Examples
        --------
        >>> Patient(weight=95).describe()
        {'kind': 'patient', 'n': 1, 'given': {'weight': 95.0}}
        """
        return {"kind": "patient", "n": 1, "given": dict(self.given)}


@dataclass(frozen=True)
class _Plan:
    """What follows from the models of a run, worked out once."""

    ages: tuple[float, float]
    female: float
    limits: tuple[float, float, float, float]


class Population:
    """Many patients: drawn from a published reference, or real ones from a table.

    Parameters
    ----------
    n : int
        Number of patients; None takes the rows of `table`.
    seed : int
        Patient 17 of seed 1 is the same person in every run.
    age : (low, high), number, text or array, optional
        Years, spread evenly. Default: the ages the models were made for, else 18 to 65.
    sex : {"female", "male"}, float or array, optional
        A number between 0 and 1 is the share of women; default one half.
    variability : bool
        Draw between-subject and between-occasion effects.
    uncertainty : bool or int
        Draw parameters from their published standard errors. A number k makes k studies: patient i belongs to
        study i modulo k, and all patients of a study share one draw. True gives each patient an own draw.
    residual : bool
        Add measurement noise where the model has a residual error.
    table : polars or pandas frame, mapping of columns or path of a CSV file, optional
        Real patients. `n` equal to its rows takes them in order, else rows are drawn with replacement.
    **fixed
        Covariates: a number or text for all, ``(low, high)`` to spread evenly, or an array of `n`.

    Raises
    ------
    CovariateError
        If a value makes no sense, or (once the models are known) is outside what a model can take.

    Notes
    -----
    Sex and age come first, then weight and height together, from growth charts below 20 years and a survey of
    adults above; docs/population.md has the details. Born at term, 0 to 90 years.

    Examples
    --------
    >>> people = Population(1000, seed=1, age=(18, 65), sex="female")
    >>> people.demographics(start=0, stop=3)["weight"].round(1).tolist()
    [58.3, 67.9, 72.5]
    """

    def __init__(
        self,
        n: int | None = None,
        seed: int = 0,
        *,
        age: Any = None,
        sex: Any = None,
        variability: bool = True,
        uncertainty: bool | int = False,
        residual: bool = False,
        table: Any = None,
        **fixed: Any,
    ) -> None:
        self.table = None if table is None else Table(table)
        if n is None and self.table is not None:
            n = self.table.n_rows
        self.n = _whole("population.n", n, 1, "Population(1000)")
        self.seed = _whole("population.seed", seed, 0, "seed=1")
        self.variability = bool(variability)
        self.residual = bool(residual)
        if isinstance(uncertainty, bool | np.bool_):
            self.uncertainty: bool | int = bool(uncertainty)
        else:
            self.uncertainty = _whole("population.uncertainty", uncertainty, 0, "uncertainty=100") or False
        #: what was said, in kg, cm, years; of other covariates as it came, for their unit is the model's
        self.given: dict[str, Any] = {}
        self.age_range: tuple[float, float] | None = None
        self.female = 0.5
        if age is not None:
            said = spread("age", age, "year", self.n, "population")
            if isinstance(said, Evenly):
                self.age_range = (said.low, said.high)
            else:
                self.given["age"] = said
        if sex is not None:
            self._take_sex(sex)
        for name, value in fixed.items():
            if name in FOUR:
                self.given[name] = spread(name, value, FOUR[name], self.n, "population")
            else:
                self.given[name] = value
                if not isinstance(value, str):
                    spread(name, value, "1", self.n, "population")  # only to refuse nonsense early
        self._sex_said = sex is not None
        self._plans: dict[tuple[int, ...], tuple[list[Any], _Plan]] = {}
        self._blocks: deque[tuple[Any, dict[str, np.ndarray]]] = deque(maxlen=4)
        if self.table is not None:
            for name in FOUR:
                if name in self.table and not self._said(name):
                    self.table.values(name, FOUR[name])

    def _said(self, name: str) -> bool:
        return (
            name in self.given
            or (name == "age" and self.age_range is not None)
            or (name == "sex" and getattr(self, "_sex_said", False))
        )

    def _take_sex(self, sex: Any) -> None:
        if isinstance(sex, float | int | np.number) and not isinstance(sex, bool):
            if not 0 < sex < 1:  # Patient(sex=1) is a man, a share of 1 would be all women
                raise CovariateError(
                    "population.sex",
                    f"{sex:g}",
                    "'female', 'male' or a share of women between 0 and 1",
                    "'female'",
                )
            self.female = float(sex)
        elif isinstance(sex, str):
            self.given["sex"] = number("sex", sex, "1", "population")
        else:
            self.given["sex"] = spread(
                "sex", list(sex) if isinstance(sex, tuple) else sex, "1", self.n, "population"
            )

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, rows: slice) -> Population:
        """Some of these people, neighbours: the same persons, bit for bit, as in a run of all of them.

        Examples
        --------
        >>> people = Population(1000, seed=1, age=(18, 65))
        >>> some = people[700:800]
        >>> len(some), bool((some.demographics()["weight"] == people.demographics()["weight"][700:800]).all())
        (100, True)
        """
        if not isinstance(rows, slice) or rows.step not in (None, 1):
            raise CovariateError("population", f"[{rows!r}]", "neighbouring rows", "people[100:200]")
        first, stop, _ = rows.indices(self.n)
        if stop <= first:
            raise CovariateError("population", f"[{first}:{stop}]", "at least one patient", "people[0:1]")
        return _Slice(self, first, stop)

    def __getstate__(self) -> dict[str, Any]:
        # plans are known by where their models lie in this process's memory
        return {**self.__dict__, "_plans": {}, "_blocks": deque(maxlen=4)}

    def __repr__(self) -> str:
        parts = [str(self.n), f"seed={self.seed}"]
        if self.age_range:
            parts.append("age=({:g}, {:g})".format(*self.age_range))
        if self._sex_said and "sex" not in self.given:
            parts.append(f"sex={self.female:g}")
        parts += [f"{name}={_short(name, value)}" for name, value in self.given.items()]
        parts += [] if self.variability else ["variability=False"]
        parts += [f"uncertainty={self.uncertainty}"] if self.uncertainty else []
        parts += ["residual=True"] if self.residual else []
        parts += [f"table={self.table.name!r}"] if self.table else []
        return "Population(" + ", ".join(parts) + ")"

    # --- what follows from the models -----------------------------------------------------------------------

    def _plan(self, specs: list[Any]) -> _Plan:
        key = tuple(id(spec) for spec in specs)
        kept = self._plans.get(key)
        if kept is None:
            if len(self._plans) > 16:
                self._plans.clear()
            kept = self._plans[key] = (
                specs,
                self._new_plan(specs),
            )  # holds the specs, so their ids stay theirs
        return kept[1]

    def _new_plan(self, specs: list[Any]) -> _Plan:
        _refuse_unknown(list(self.given), specs, "population")
        for spec in specs:
            for name, covariate in spec.covariates.items():
                self._check(name, covariate)
        return _Plan(
            self._ages(specs), self._share(specs), (*_limits("weight", specs), *_limits("height", specs))
        )

    def _check(self, name: str, covariate: Any) -> None:
        if name == "age" and self.age_range is not None:
            factor = _own_unit(name, covariate)
            ends = Evenly(self.age_range[0] * factor, self.age_range[1] * factor)
            check_allowed(name, ends, covariate, "population")
        elif name in self.given:
            check_allowed(name, self._value(name, covariate), covariate, "population")
        elif self.table is not None and name in self.table and not self._said(name):
            values = self.table.values(name, FOUR.get(name, covariate.unit), covariate)
            values = values * _own_unit(name, covariate) if name in FOUR else values
            rows = {i: f"row {i + 1}" for i in range(len(values))} if len(values) < 10**6 else None
            check_allowed(name, values, covariate, "population.table", rows)

    def _value(self, name: str, covariate: Any) -> float | Evenly | np.ndarray:
        """What was said about a covariate, in the model's unit."""
        if name not in FOUR:
            said = coded(name, self.given[name], covariate, "population")
            return spread(name, said, covariate.unit, self.n, "population")
        value, factor = self.given[name], _own_unit(name, covariate)
        return (
            Evenly(value.low * factor, value.high * factor) if isinstance(value, Evenly) else value * factor
        )

    def _ages(self, specs: list[Any]) -> tuple[float, float]:
        draws = self.table is None and not ("weight" in self.given and "height" in self.given)
        if self.age_range is not None:
            low, high = self.age_range
            if draws and high > OLDEST:
                raise CovariateError(
                    "population.age",
                    f"{low:g} to {high:g}",
                    f"0 to {OLDEST:g} years, what the reference covers",
                    "giving weight and height",
                )
            return low, high
        stated = [getattr(spec.applies, "age_years", None) for spec in specs]
        hard = [
            tuple(end / _own_unit("age", spec.covariates["age"]) for end in spec.covariates["age"].range)
            for spec in specs
            if "age" in spec.covariates and spec.covariates["age"].range is not None
        ]
        wanted = stated if any(item is not None for item in stated) else [_ADULTS]
        low, high = shared_range([*wanted, *hard, (0.0, OLDEST)])
        if low > high:
            if "age" in self.given or self.table is not None:
                return _ADULTS
            raise CovariateError(
                "population.age", "nothing", "an age range, for the models share none", "age=(18, 65)"
            )
        return low, high

    def _share(self, specs: list[Any]) -> float:
        for spec in specs:
            allowed = spec.covariates["sex"].values if "sex" in spec.covariates else None
            if allowed is not None and not self._said("sex") and len(allowed) == 1:
                return 1.0 - float(allowed[0])
        return self.female

    # --- people ------------------------------------------------------------------------------------------

    def _rows(self, start: int, stop: int) -> np.ndarray:
        assert self.table is not None
        if self.n == self.table.n_rows:
            return np.arange(start, stop)
        from kinetamine.engine import random

        u = random.uniforms(self.seed, random.stream_number("table"), start, stop - start, 1)[:, 0]
        return (u * self.table.n_rows).astype(np.int64)

    def _spread(self, name: str, value: float | Evenly | np.ndarray, start: int, stop: int) -> np.ndarray:
        if isinstance(value, Evenly):
            from kinetamine.engine import random

            stream = random.stream_number("covariate", name)
            u = random.uniforms(self.seed, stream, start, stop - start, 1)[:, 0]
            return value.low + (value.high - value.low) * u
        if isinstance(value, np.ndarray):
            return value[start:stop]
        return np.full(stop - start, float(value))

    def demographics(
        self, spec: Any = None, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """Age (years), sex (0 female, 1 male), weight (kg) and height (cm), each an array (patient,).

        They are there whether or not a model uses them: doses per kilogram and grades need them. With a
        table, what neither table nor user gives is the model's reference value, absent if no model has one.

        Raises
        ------
        CovariateError
            If a patient's weight or height cannot be brought inside a model's hard limits.
        """
        return self._four(tuple(FOUR), _all(spec, together), start, self.n if stop is None else stop)

    def _four(self, needed: Sequence[str], specs: list[Any], start: int, stop: int) -> dict[str, np.ndarray]:
        plan = self._plan(specs)
        known: dict[str, np.ndarray] = {}
        rows = None
        for name in FOUR:
            if name in self.given:
                known[name] = self._spread(name, self.given[name], start, stop)
            elif self.table is not None and name in self.table and not self._said(name):
                rows = self._rows(start, stop) if rows is None else rows
                known[name] = self.table.values(name, FOUR[name])[rows]
        if self.table is not None:
            # real people are not completed by invented ones, except for what was asked for
            if self.age_range is not None:
                known["age"] = self._spread("age", Evenly(*self.age_range), start, stop)
            for model in specs:
                for name in FOUR:
                    if name in model.covariates and name not in known:
                        reference = model.covariates[name].reference / _own_unit(name, model.covariates[name])
                        known[name] = np.full(stop - start, float(reference))
            return known
        if set(needed) <= set(known):
            return known
        return self._drawn(plan, needed, known, start, stop)

    def _drawn(
        self, plan: _Plan, needed: Sequence[str], known: dict[str, np.ndarray], start: int, stop: int
    ) -> dict[str, np.ndarray]:
        from kinetamine.engine import random
        from kinetamine.population import sampling

        # several questions about the same block follow each other: doses per kg, covariates, grades
        block = (start, stop, plan)
        for remembered, found in list(self._blocks):
            if remembered == block and set(needed) <= set(found):
                return found
        out = np.empty((4, stop - start))
        for row, name in enumerate(FOUR):
            if name in known:
                out[row] = known[name]
        if "age" in known and (out[0] > OLDEST).any() and not ("weight" in known and "height" in known):
            at = int(np.argmax(out[0] > OLDEST))
            raise CovariateError(
                f"population.age (patient {start + at})",
                f"{out[0, at]:g}",
                f"0 to {OLDEST:g} years, what the reference covers",
                "giving weight and height",
            )
        how = np.array([sampling.GIVEN if name in known else sampling.DRAWN for name in FOUR])
        if "height" not in known and "height" not in needed and plan.limits[2:] == (0.0, math.inf):
            how[3] = sampling.SKIPPED
        keys = (np.uint64(self.seed), np.uint64(random.stream_number("people")), start)
        sampling.draw_ages(*keys, how, plan.ages, plan.female, out)
        scores = np.empty(0)
        if sampling.GIVEN in how[2:] and sampling.DRAWN in how[2:]:
            scores = sampling.given_scores(tables(), how[2] == sampling.GIVEN, out)
        failed = sampling.draw_sizes(*keys, tables(), how, scores, plan.limits, _ATTEMPTS, out)
        if failed >= 0:
            low, high = plan.limits[:2]
            raise CovariateError(
                f"population, patient {start + failed}",
                f"age {out[0, failed]:.3g} years, for which {_ATTEMPTS} draws gave no weight and height",
                f"people of {low:g} to {high:g} kg and {plan.limits[2]:g} to {plan.limits[3]:g} cm",
                "another age range",
            )
        found = {name: out[row] for row, name in enumerate(FOUR) if how[row] != sampling.SKIPPED}
        self._blocks.append((block, found))
        return found

    def covariates(
        self, spec: Any, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """Covariates of a model, each an array (patient,) in the model's unit for it.

        Parameters
        ----------
        spec : ModelSpec
        start, stop : int
            Patients ``start`` to ``stop - 1``.
        together : sequence of ModelSpec
            All models of the run. Default ages and hard limits are those they share, so each model gets the
            same people.

        Examples
        --------
        >>> from types import SimpleNamespace as Record
        >>> weight = Record(unit="kg", reference=70, range=None, values=None)
        >>> spec = Record(id="my_model", covariates={"weight": weight}, applies=Record(age_years=(2, 12)))
        >>> Population(1000, seed=1).covariates(spec, 0, 3)["weight"].round(1).tolist()
        [15.0, 19.2, 26.0]
        """
        stop = self.n if stop is None else stop
        specs = _all(spec, together)
        self._plan(specs)
        needed = [name for name in spec.covariates if name in FOUR]
        four = self._four(needed, specs, start, stop) if needed else {}
        out = {}
        for name, covariate in spec.covariates.items():
            if name in four:
                factor = _own_unit(name, covariate)
                out[name] = four[name] if factor == 1.0 else four[name] * factor
            elif name in self.given:
                out[name] = self._spread(name, self._value(name, covariate), start, stop)
            elif self.table is not None and name in self.table:
                out[name] = self.table.values(name, covariate.unit, covariate)[self._rows(start, stop)]
            else:
                out[name] = np.full(stop - start, float(covariate.reference))
        return out

    def etas(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        """Between-subject effects, ``{"eta.CL": array (patient,)}``; zeros without variability."""
        stop = self.n if stop is None else stop
        if not self.variability:
            drawn = draws.no_effects(spec, "subject", start, stop)
        else:
            drawn = draws.draw_effects(spec, "subject", self.seed, start, stop)
        return {f"eta.{name}": values[0] for name, values in drawn.items()}

    def occasions(
        self, spec: Any, n_occ: int, start: int = 0, stop: int | None = None
    ) -> dict[str, np.ndarray]:
        """Between-occasion effects, ``{"occ.ka": array (occasion, patient)}``; zeros without variability."""
        stop = self.n if stop is None else stop
        if not self.variability:
            drawn = draws.no_effects(spec, "occasion", start, stop, n_occ)
        else:
            drawn = draws.draw_effects(spec, "occasion", self.seed, start, stop, n_occ)
        return {f"occ.{name}": values for name, values in drawn.items()}

    def parameters(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, float | np.ndarray]:
        """Parameters in inside units: plain floats, arrays (patient,) where uncertainty is drawn."""
        stop = self.n if stop is None else stop
        return draws.draw_parameters(spec, self.seed, start, stop, self.uncertainty)

    def residual_noise(
        self, spec: Any, output: str, times: Any, start: int = 0, stop: int | None = None
    ) -> np.ndarray | None:
        """Standard normal noise for `add_residual`, array (patient, time).

        None if the switch is off or the model publishes no residual error for this output. `times` is the
        times or their number; the noise of a time depends on its place in the list.
        """
        stop = self.n if stop is None else stop
        if not self.residual or output not in spec.residual:
            return None
        count = times if isinstance(times, int | np.integer) else len(times)
        return draws.draw_noise(spec, output, self.seed, int(count), start, stop)

    # --- reports -----------------------------------------------------------------------------------------

    def sources(self, spec: Any = None) -> tuple[str, ...]:
        """Keys in data/sources.toml of the demographic references behind these people."""
        if self.table is not None or {"weight", "height"} <= set(self.given):
            return ()
        # a weight that is given leaves the height, which matters only to a model that has it
        if spec is not None and "weight" in self.given and "height" not in spec.covariates:
            return ()
        return SOURCES

    def describe(self, spec: Any = None) -> dict[str, Any]:
        """What a report says about the people.

        Parameters
        ----------
        spec : ModelSpec or sequence of ModelSpec, optional
            With it the default age range is filled in.

        Examples
        --------
        >>> Population(10, seed=3, age=(18, 65), weight=80, height=175).describe()["age_years"]
        [18.0, 65.0]
        """
        specs = [] if spec is None else list(spec) if isinstance(spec, Sequence) else [spec]
        ages = self.age_range or (self._plan(specs).ages if specs else None)
        if "age" in self.given or (self.table is not None and "age" in self.table and not self.age_range):
            ages = None
        sex: Any = {"female": self.female}
        if "sex" in self.given or (self.table is not None and "sex" in self.table):
            sex = "as given"
        return {
            "kind": "population",
            "n": self.n,
            "seed": self.seed,
            "age_years": None if ages is None else list(ages),
            "sex": sex,
            "reference": list(self.sources(specs[0] if len(specs) == 1 else None)),
            "given": {name: _short(name, value) for name, value in self.given.items()},
            "table": None if self.table is None else {"name": self.table.name, "rows": self.table.n_rows},
            "variability": self.variability,
            "uncertainty": self.uncertainty,
            "residual": self.residual,
        }


class _Slice(Population):
    """Patients first…stop of a population; asks the whole, with numbers moved on."""

    def __init__(self, whole: Population, first: int, stop: int) -> None:
        self.__dict__.update(whole.__dict__)
        self.whole, self.first, self.n = whole, first, stop - first

    def __getitem__(self, rows: slice) -> Population:
        inner = super().__getitem__(rows)
        assert isinstance(inner, _Slice)
        return _Slice(self.whole, self.first + inner.first, self.first + inner.first + inner.n)

    def __repr__(self) -> str:
        return f"{self.whole!r}[{self.first}:{self.first + self.n}]"

    def _plan(self, specs: list[Any]) -> _Plan:
        return self.whole._plan(specs)

    def _range(self, start: int, stop: int | None) -> tuple[int, int]:
        return start + self.first, (self.n if stop is None else stop) + self.first

    def demographics(
        self, spec: Any = None, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        return self.whole.demographics(spec, *self._range(start, stop), together)

    def covariates(
        self, spec: Any, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        return self.whole.covariates(spec, *self._range(start, stop), together)

    def etas(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        return self.whole.etas(spec, *self._range(start, stop))

    def occasions(
        self, spec: Any, n_occ: int, start: int = 0, stop: int | None = None
    ) -> dict[str, np.ndarray]:
        return self.whole.occasions(spec, n_occ, *self._range(start, stop))

    def parameters(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, float | np.ndarray]:
        return self.whole.parameters(spec, *self._range(start, stop))

    def residual_noise(
        self, spec: Any, output: str, times: Any, start: int = 0, stop: int | None = None
    ) -> np.ndarray | None:
        return self.whole.residual_noise(spec, output, times, *self._range(start, stop))

    def sources(self, spec: Any = None) -> tuple[str, ...]:
        return self.whole.sources(spec)

    def describe(self, spec: Any = None) -> dict[str, Any]:
        return {**self.whole.describe(spec), "n": self.n, "rows": [self.first, self.first + self.n]}


def _limits(name: str, specs: Sequence[Any]) -> tuple[float, float]:
    """Hard limits that all models share, in kg or cm."""
    ranges = []
    for spec in specs:
        covariate = spec.covariates.get(name)
        if covariate is not None and covariate.range is not None:
            factor = _own_unit(name, covariate)
            ranges.append((covariate.range[0] / factor, covariate.range[1] / factor))
    low, high = shared_range(ranges)
    return (low if math.isfinite(low) else 0.0, high if math.isfinite(high) else math.inf)


def _whole(where: str, value: Any, least: int, cure: str) -> int:
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        number = -1
    if not least <= number < 2**63:
        raise CovariateError(where, repr(value), f"a whole number of at least {least}", cure)
    return number


def _short(name: str, value: Any) -> str:
    if isinstance(value, Evenly):
        return f"({value.low:g}, {value.high:g})"
    if isinstance(value, np.ndarray):
        return f"<{len(value)} values>"
    if name == "sex" and value in (0.0, 1.0):
        return repr(("female", "male")[int(value)])
    return f"{value:g}" if isinstance(value, int | float) else str(value)
