"""A prepared evaluator: one model, one regimen or event table, asked again and again with other numbers.

Inference asks for the same observations of the same people thousands of times with other random effects or
parameters. Here the plan of events, the order of formulas and everything that does not change are worked out once
(`layout`, `formulas.tape`); a call computes what is left, in arrays, and runs the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.dosing import Dose, EventTable, Regimen
from kinetamine.engine import timeline
from kinetamine.errors import InputError, UnknownName
from kinetamine.formulas.parse import parse
from kinetamine.formulas.tape import Tape
from kinetamine.formulas.tree import Binary, Call, Expr, Name, Num, Relation, Unary, names
from kinetamine.models import library
from kinetamine.models.compile import Compiled, compile_model
from kinetamine.population import Patient, Population
from kinetamine.population.residual import ResidualError, error_of
from kinetamine.simulate import parts, solver
from kinetamine.simulate.layout import DoseRows, Layout, of_regimen, of_table
from kinetamine.simulate.share import chosen_outputs, refuse_unknown_outputs, share_of
from kinetamine.simulate.times import read_times

__all__ = ["Prepared", "prepare"]

#: lanes times people that are run at once
CHUNK = 8192
_SCALE = "amount's factor"  # not a name that a model file can have


class _Known(Patient):
    """A patient whose random effects come with each call; occasions are told apart."""

    variability = True


def prepare(
    model: Any,
    doses: str | Dose | Sequence[str | Dose] | Regimen | EventTable,
    people: Patient | Population | None = None,
    *,
    times: Iterable[float] | None = None,
    outputs: Sequence[str] | None = None,
    observe: Sequence[str] | None = None,
    occasion_h: float = 24.0,
    carry: str = "next",
) -> Prepared:
    """Prepare a model and its doses for many evaluations.

    Parameters
    ----------
    model : str, Path or ModelSpec
    doses : dose phrase or phrases, Regimen or EventTable
    people : Patient or Population, optional
        Covariates: of one person, of each of a population, or of each subject of the table (where the table has
        none). Nothing is drawn of what a call gives.
    times : iterable of float, h
        When to look, for a regimen; a table has its own observation records.
    outputs : list of str, optional
        Which outputs, each at every time (at every observation record); default: all of the model.
    observe : list of str, optional
        Instead of `outputs`: the output that is looked at, one for each of `times` or for each record.
    occasion_h, carry
        As in `kinetamine.simulate`.

    Returns
    -------
    Prepared

    Examples
    --------
    >>> f = prepare("otto_2021_s_ketamine", "35 mg iv over 40 min", times=[0.5, 2], outputs=["S-ketamine"])
    >>> f.effects[:2], f.n_observations
    (('V1', 'CL'), 2)
    >>> f(np.zeros((3, len(f.effects)))).round(1)[0].tolist()
    [130.9, 55.1]
    """
    spec = library.load(model, runnable=True)
    if spec.kind != "pk":
        raise InputError("model", f"{spec.id!r}, an effect model", "a pk model", "kinetamine.link(...)")
    compiled = compile_model(spec)
    asked = list(dict.fromkeys(observe)) if observe is not None else outputs
    if asked is not None:
        refuse_unknown_outputs(asked, [compiled])
    names = chosen_outputs(compiled, asked)
    if isinstance(doses, EventTable):
        who: Any = people if people is not None else Patient()
        layout = of_table(compiled, doses, who, names, carry)
        lengths = timeline.common_lengths(layout.records)
        return Prepared(compiled, names, layout, lengths, observe)
    if times is None:
        raise InputError("times", "nothing", "when to look, h", "times=[0.5, 1, 2]")
    wanted = np.array(list(times), float)
    order = np.argsort(wanted, kind="stable")
    regimen = Regimen.parse(doses, entries=spec.routes, fields=spec.dose_fields)  # type: ignore[arg-type]
    grid = read_times(wanted[order], None, None, regimen)
    who = people if people is not None else Patient()
    if isinstance(who, Patient):
        who = _Known(**who.given)
    share = share_of(compiled, regimen, grid, names, who, [spec], occasion_h)
    layout = of_regimen(share)
    if observe is not None and len(observe) == len(order):
        observe = [observe[k] for k in order]
    return Prepared(compiled, names, layout, None, observe, order)


class Prepared:
    """Predictions of one model and one set of doses for any random effects and parameters; made by `prepare`.

    Attributes
    ----------
    effects : tuple of str
        Random effects in the order of a call: those between subjects, then those between occasions, ``ka[1]``
        for the first occasion, ``ka[2]`` for the second.
    covariance : array (effect, effect)
        As published.
    n_subjects, n_observations : int
    observed : list of str
        Output of each observation.
    time_h, subject : arrays (observation,)
    errors : dict of str to ResidualError
        Residual error of each output that has one, in the output's unit.
    """

    def __init__(
        self,
        model: Compiled,
        outputs: tuple[str, ...],
        layout: Layout,
        lengths: np.ndarray | None,
        observe: Sequence[str] | None,
        order: np.ndarray | None = None,
    ) -> None:
        self.model, self.outputs, self.layout = model, outputs, layout
        spec = model.spec
        self.n_subjects = layout.subjects
        between, self.omega = spec.covariance("subject")
        within, self.iov = spec.covariance("occasion")
        self.between, self.within = between, within
        turns = range(1, layout.occasions + 1) if within else ()
        self.effects = (*between, *(f"{name}[{k}]" for k in turns for name in within))
        self.errors: dict[str, ResidualError] = {
            name: error_of(spec, name) for name in outputs if name in spec.residual
        }
        self._observe(observe, order)
        steady = bool((layout.steady_state > 0).any())
        self.solver = solver.choose(model, outputs, layout.inputs, steady)
        self.lengths = lengths
        self._codes: dict[tuple[str, ...], _Code] = {}

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the random effects, occasions independent of each other."""
        n, k = len(self.between), len(self.within)
        whole = np.zeros((len(self.effects), len(self.effects)))
        whole[:n, :n] = self.omega
        for start in range(n, len(self.effects), max(k, 1)):
            whole[start : start + k, start : start + k] = self.iov
        return whole

    @property
    def n_observations(self) -> int:
        """Number of predictions of a lane."""
        return len(self.time_h)

    def _observe(self, observe: Sequence[str] | None, order: np.ndarray | None) -> None:
        """Which output of which sample each observation is."""
        m = len(self.layout.time_h)
        per = m // self.n_subjects if order is not None else m
        back = np.arange(m)
        if order is not None:  # as the caller gave his times
            back = np.empty(per, np.int64)
            back[order] = np.arange(per)
            back = (back + per * np.arange(self.n_subjects)[:, None]).ravel()
        if observe is None:
            samples = np.tile(back, len(self.outputs))
            which = np.repeat(np.arange(len(self.outputs)), m)
        else:
            if len(observe) != per:
                raise InputError(
                    "observe", f"{len(observe)} outputs", f"one for each of the {per} times or records", ""
                )
            at = {name: k for k, name in enumerate(self.outputs)}
            samples = back
            which = np.tile([at[name] for name in observe], m // per)[back]
        self.sample, self.which = samples, which
        self.observed = [self.outputs[k] for k in which]
        sums = [k for k, name in enumerate(self.outputs) if name in self.model.sums]
        row = np.zeros(len(self.outputs), np.int64)
        row[sums] = np.arange(len(sums))
        #: where the engine's array holds it: its row, and the sample's
        self.row = row[which]
        self.sample_row = samples + self.layout.subject_of_sample[samples]
        self.direct = bool(sums)
        self.time_h = self.layout.time_h[samples]
        self.subject = self.layout.subject_of_sample[samples]

    def __call__(
        self,
        effects: np.ndarray | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        scale: Any = None,
    ) -> np.ndarray:
        """Predictions of every lane.

        Parameters
        ----------
        effects : array (lane, effect), or (lane, subject, effect) for several people; optional
            In the order of `effects`; default: zeros, one lane.
        values : mapping of str to float or array (lane,) or (lane, subject), optional
            Parameters in the unit of the model file and covariates in the model's unit for them, where they are
            not those of the file and the people.
        scale : float or array (lane,) or (lane, subject), optional
            Factor on the amount of every dose; infusions keep their length.

        Returns
        -------
        array (lane, observation)
            In the unit of each observation's output; NaN where a lane cannot be computed.
        """
        values = values or {}
        lanes = self._lanes(effects, values, scale)
        if effects is None:
            effects = np.zeros((lanes, self.n_subjects, len(self.effects)))
        else:
            effects = np.asarray(effects, float)
            effects = effects.reshape(lanes, self.n_subjects, len(self.effects))
        names = tuple(sorted(values)) + ((_SCALE,) if scale is not None else ())
        code = self._codes.get(names)
        if code is None:
            code = self._codes[names] = _Code(self, names)
        extra = [self._value(name, values[name], lanes) for name in sorted(values)]
        if scale is not None:
            extra.append(self._shaped(scale, lanes))
        most = max(8, CHUNK // max(1, self.n_subjects))
        if lanes <= most:
            return code.run(effects, extra)
        pieces = []
        for start in range(0, lanes, most):
            part = slice(start, min(start + most, lanes))
            some = [x if x.shape[1] == 1 else x[:, part] for x in extra]
            pieces.append(code.run(effects[part], some))
        return np.concatenate(pieces)

    def _lanes(self, effects: np.ndarray | None, values: Mapping[str, Any], scale: Any) -> int:
        """How many lanes a call asks for; refuses shapes that do not fit each other."""
        given = {name: np.shape(v) for name, v in values.items()}
        if scale is not None:
            given["scale"] = np.shape(scale)
        found = {name: shape[0] for name, shape in given.items() if shape and shape[0] != 1}
        if effects is not None:
            shape, wanted = np.shape(effects), (self.n_subjects, len(self.effects))
            if shape[1:] != wanted and not (self.n_subjects == 1 and shape[1:] == wanted[1:]):
                alone = (
                    f"(lanes, {wanted[1]})" if self.n_subjects == 1 else f"(lanes, {wanted[0]}, {wanted[1]})"
                )
                raise InputError("effects", f"an array of shape {shape}", f"one of shape {alone}", "")
            if shape[0] != 1 or not found:
                found["effects"] = shape[0]
        if len(set(found.values())) > 1:
            told = ", ".join(f"{name} has {n}" for name, n in found.items())
            raise InputError("lanes", told, "the same number of lanes in all", "")
        return next(iter(found.values()), 1)

    def _shaped(self, value: Any, lanes: int) -> np.ndarray:
        """Array (column or 1, lane or 1) of what is one number, one per lane, or one per lane and subject."""
        array = np.asarray(value, float)
        if array.ndim == 0:
            return array.reshape(1, 1)
        if array.ndim == 1:
            return array[None, :]
        return np.ascontiguousarray(array.T[self.layout.owner if array.shape[1] > 1 else [0]])

    def _value(self, name: str, value: Any, lanes: int) -> np.ndarray:
        spec = self.model.spec
        if name in spec.parameters:
            return self._shaped(value, lanes) * spec.factors[name]
        if name not in spec.covariates:
            known = [*spec.parameters, *spec.covariates]
            raise UnknownName("values", name, known, "a parameter or covariate of the model")
        return self._shaped(value, lanes)


class _Code:
    """A prepared evaluator for one choice of what changes from call to call.

    Arrays of a call have the shape (column, lane); a column is one version of one subject.
    """

    def __init__(self, asked: Prepared, names: tuple[str, ...]) -> None:
        self.asked, self.layout = asked, asked.layout
        self.names = names
        model, layout = asked.model, asked.layout
        between = [f"eta.{n}" for n in asked.between]
        self.within = [f"occ.{n}" for n in asked.within]
        known: dict[str, Any] = {name: model.spec.inside(name) for name in model.spec.parameters}
        for name, values in layout.covariates.items():
            known[name] = float(values[0]) if (values == values[0]).all() else values[:, None]
        self.columns = len(layout.owner)
        self.alone = self.columns == 1
        self.tape = Tape(known, [*between, *self.within, *names])
        for name, formula in model.individual:
            self.tape.define(name, formula)
        if model.follows and _SCALE in names:
            self.tape.define("last_dose", Binary("*", Name("last_dose"), Name(_SCALE)))
        self.numbers = self._numbers(model)
        ones = [Num(1.0) for _ in model.watched(asked.outputs)]
        sums = [w for o in asked.outputs if o in model.sums for _, w in model.sums[o]]
        self.weights = [self.tape.add(w) for w in (*sums, *ones)]
        self.routes = [_Route(self, rows) for rows in layout.rows]
        self.plan: timeline.Plan | None = None
        self.timed = any(r.moves for r in self.routes)
        self.formulas = _Formulas(self) if any(o in model.formulas for o in asked.outputs) else None
        self._tiles: dict[int, _Tiles] = {}

    def _numbers(self, model: Compiled) -> list[int]:
        """Places of what the engine's equations need, in the order of `Solver.numbers`."""
        if not model.linear:
            return [self.tape.place(name) for name in self.asked.solver.written.names]  # type: ignore[attr-defined]
        sums: dict[tuple[int, int], Expr] = {}
        for term in model.terms:
            for row, sign, yield_ in term.rows:
                share: Expr = term.coefficient if yield_ is None else Binary("*", term.coefficient, yield_)
                at = (row, term.column)
                if at in sums:
                    sums[at] = Binary("+" if sign > 0 else "-", sums[at], share)
                else:
                    sums[at] = share if sign > 0 else Unary("-", share)
        return [self.tape.add(sums[place]) for place in model.places]

    def tiles(self, lanes: int) -> _Tiles:
        """What depends on the number of lanes alone."""
        if lanes not in self._tiles:
            if len(self._tiles) > 16:
                self._tiles.clear()
            self._tiles[lanes] = _Tiles(self, lanes)
        return self._tiles[lanes]

    def run(self, effects: np.ndarray, extra: list[np.ndarray]) -> np.ndarray:
        """Predictions (lane, observation)."""
        lanes = len(effects)
        tiles = self.tiles(lanes)
        with np.errstate(all="ignore"):
            values = self.tape.run([*self._effects(effects), *extra])
            doses = tiles.doses(values)
            numbers = np.empty((len(self.numbers), self.columns, lanes))
            for k, place in enumerate(self.numbers):
                numbers[k] = values[place]
            weights = tiles.weights
            if weights is None:
                weights = np.empty((len(self.weights), self.columns, lanes))
                for k, place in enumerate(self.weights):
                    weights[k] = values[place]
        asked = self.asked
        out = np.empty((asked.solver.observed, tiles.samples * lanes))
        status = np.zeros(tiles.patients, np.int64)
        asked.solver.step(
            doses.plan, doses.plan_of, _flat(numbers), _flat(weights),
            tiles.column_of, lanes, doses.state, doses.value, doses.more, doses.stride,
            out, tiles.out_stride, status, tiles.failed_at.copy(),
        )  # fmt: skip
        seen = out.reshape(asked.solver.observed, tiles.samples, lanes)
        predicted = (
            seen[asked.row, asked.sample_row] if asked.direct else np.empty((asked.n_observations, lanes))
        )
        if self.formulas is not None:
            with np.errstate(all="ignore"):
                self.formulas.fill(predicted, seen, values)
        bad = status != 0
        if doses.bad is not None:
            bad = bad | doses.bad.ravel()
        if bad.any():
            predicted[bad.reshape(-1, lanes)[asked.subject]] = np.nan
        return np.ascontiguousarray(predicted.T)

    def _effects(self, effects: np.ndarray) -> list[np.ndarray]:
        """Each random effect, array (column, lane)."""
        by = np.ascontiguousarray(effects.transpose(2, 1, 0))
        layout, n = self.layout, len(self.asked.between)
        if self.alone:
            return list(by[: n + len(self.within)])
        found = list(by[:n, layout.owner])
        for j in range(len(self.within)):
            found.append(by[n + layout.occasion * len(self.within) + j, layout.owner])
        return found

    def gather(self, name: str, column: np.ndarray) -> tuple[int, Any]:
        """Place of a name that changes (else -1), and its value at some columns when it does not."""
        place = self.tape.place(name)
        if self.tape.varies(place):
            return place, None
        value = self.tape.constant(place)
        return -1, value[column] if np.ndim(value) and len(value) > 1 else value

    def at(self, value: Any, column: np.ndarray) -> Any:
        """A value of a call at some columns."""
        return value[column] if value.shape[0] > 1 else value


def _flat(rows: np.ndarray) -> np.ndarray:
    """Array (row, column, lane) as (row, column × lane), also without rows."""
    return rows.reshape(len(rows), rows.shape[1] * rows.shape[2])


class _Part:
    """Where the numbers of one part of some doses stand on a route's tape."""

    def __init__(
        self, slots: np.ndarray, state: int, places: tuple[int, int, int], members: np.ndarray | None
    ) -> None:
        self.slots, self.state, self.members = slots, state, members
        #: of value, duration and lag
        self.places = places


def _where(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    return Call("where", (condition, then, otherwise))


class _Route:
    """Doses by one route: their formulas, evaluated at the version that holds when each is given."""

    def __init__(self, code: _Code, rows: DoseRows) -> None:
        model, layout = code.asked.model, code.layout
        self.code = code
        self.column = layout.column_of_dose[rows.dose]
        owner = layout.owner[self.column]
        amount = np.broadcast_to(rows.given.amount, rows.dose.shape).astype(float)
        rate = np.broadcast_to(rows.given.rate, rows.dose.shape).astype(float)
        moved = "weight" in code.names
        if moved and rows.bounded:
            given_as = "a weight that changes, and a dose by another weight or up to a limit"
            raise InputError("values", given_as, "one of them", "prepare(...) for each weight")
        wanted = [f for part in rows.target for f in (part.fraction, part.lag, part.duration, part.rate) if f]
        used = {n for f in wanted for n in names(f)} - {*model.spec.dose_fields, "amount"}
        known: dict[str, Any] = {
            "#amount": amount[:, None], "#rate": rate[:, None],
            "#duration": np.broadcast_to(rows.given.duration, rows.dose.shape).astype(float)[:, None],
        }  # fmt: skip
        self.read: list[int] = []
        given = []
        factors: list[str] = []
        for name in sorted(used):
            place, value = code.gather(name, self.column)
            if place >= 0:
                given.append(name)
                self.read.append(place)
            else:
                known[name] = value
        if moved and rows.per_kg and layout.weight is not None:
            known["#known weight"] = layout.weight[owner][:, None]
            factors += ["#weight", "#known weight"]
            given.append("#weight")
            self.read.append(code.tape.place("weight"))
        if _SCALE in code.names and rows.scaled:
            factors.append(_SCALE)
            given.append(_SCALE)
            self.read.append(code.tape.place(_SCALE))
        tape = self.tape = Tape(known, given)
        scaled: dict[str, Expr] = {}
        for name in ("#amount", "#rate"):
            scaled[name] = Name(name)
            for factor in factors:
                scaled[name] = Binary("/" if factor == "#known weight" else "*", scaled[name], Name(factor))
        tape.define("amount", scaled["#amount"])
        for name, field in model.spec.dose_fields.items():
            tape.define(name, parse(field.default))
            if name in rows.fields:
                said = rows.fields[name][:, None]
                tape.choose(name, np.isnan(said), said)
        self.parts: list[_Part] = []
        kinds = _kinds(rate, np.broadcast_to(rows.given.duration, rows.dose.shape))
        for kind in np.unique(kinds):
            self._add(rows, np.flatnonzero(kinds == kind), str(kind), scaled["#rate"])
        # what does not change is the same in all lanes
        moving = [p for part in self.parts for p in part.places[1:]]
        self.moves = any(tape.varies(p) for p in moving)

    def _add(self, rows: DoseRows, members: np.ndarray, kind: str, speed: Expr) -> None:
        """The parts of the doses of one kind: bolus, given rate, given duration, model's rate or duration."""
        first = self.code.layout.first_part[rows.dose]
        for q, part in enumerate(rows.target):
            amount = Name("amount")
            delivered: Expr = Binary("*", part.fraction, amount)
            free = kind == "free" and not bool(rows.given.plain)
            own_duration = part.duration if kind == "model duration" or free else None
            own_rate = part.rate if kind == "model rate" or (free and part.duration is None) else None
            for code, have in (("model rate", part.rate), ("model duration", part.duration)):
                if kind == code and have is None:
                    raise InputError(
                        rows.where, f"RATE = {-1 if code == 'model rate' else -2}",
                        f"an entry of the model with its own {code.split()[1]}", "a positive RATE",
                    )  # fmt: skip
            length: Expr = Num(0.0)
            if own_duration is not None:
                length = own_duration
            elif kind == "duration":
                length = Name("#duration")
            value = _where(Relation(">", length, Num(0.0)), Binary("/", delivered, length), delivered)
            if kind == "rate" or own_rate is not None:
                pace = speed if own_rate is None else own_rate
                runs = Relation(">", pace, Num(0.0))
                value = _where(runs, pace, value)
                length = _where(runs, Binary("/", delivered, pace), length)
                # so short that no clock tells its ends apart: given at once
                short = Relation("<", length, Num(parts.AT_ONCE_H))
                given = Relation(">", delivered, Num(0.0))
                value = _where(given, _where(short, delivered, value), value)
                length = _where(given, _where(short, Num(0.0), length), length)
                # an endless infusion (amount 0, at steady state) keeps its rate; one of nothing is nothing
                nothing = _where(Relation("==", amount, Num(0.0)), value, Num(0.0))
                value = _where(Relation("==", delivered, Num(0.0)), nothing, value)
            tape = self.tape
            lag = part.lag if part.lag is not None else Num(0.0)
            places = tape.add(value), tape.add(length), tape.add(lag)
            some = members if len(members) < len(rows.dose) else None
            self.parts.append(_Part(first[members] + q, part.state, places, some))

    def run(self, values: list[Any]) -> list[Any]:
        """The tape of the route, from the values of the call."""
        return self.tape.run([self.code.at(values[p], self.column) for p in self.read])


def _kinds(rate: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """How each dose goes in."""
    kinds = np.where(duration > 0, "duration", "free").astype("U14")
    kinds[rate > 0] = "rate"
    kinds[rate == parts.MODEL_RATE] = "model rate"
    kinds[rate == parts.MODEL_DURATION] = "model duration"
    return kinds


class _Formulas:
    """Outputs that are no sums of states, at the observations that ask for them."""

    def __init__(self, code: _Code) -> None:
        asked, model, layout = code.asked, code.asked.model, code.layout
        self.code = code
        self.work: list[tuple[np.ndarray, np.ndarray, Tape, list[int], int]] = []
        self.watched = len([o for o in asked.outputs if o in model.sums])
        self.states = [model.states[s] for s in model.watched(asked.outputs)]
        for k, output in enumerate(asked.outputs):
            rows = np.flatnonzero(asked.which == k)
            if output not in model.formulas or not len(rows):
                continue
            formula = model.formulas[output]
            column = layout.column_of_sample[asked.sample[rows]]
            known: dict[str, Any] = {"time": layout.since_h[asked.sample[rows]][:, None]}
            given, read = [*self.states], []
            for name in sorted(names(formula) - {*self.states, "time"}):
                place, value = code.gather(name, column)
                if place >= 0:
                    given.append(name)
                    read.append(place)
                else:
                    known[name] = value
            tape = Tape(known, given)
            self.work.append((rows, column, tape, read, tape.add(formula)))

    def fill(self, predicted: np.ndarray, seen: np.ndarray, values: list[Any]) -> None:
        """Write them into `predicted` (observation, lane)."""
        asked = self.code.asked
        for rows, column, tape, read, place in self.work:
            sample = asked.sample_row[rows]
            states = [seen[self.watched + k, sample] for k in range(len(self.states))]
            found = tape.run([*states, *(self.code.at(values[p], column) for p in read)])
            predicted[rows] = found[place]


@dataclass
class _Entered:
    """Doses as the engine takes them, with the plan of events that goes with them."""

    plan: timeline.Plan
    plan_of: np.ndarray
    state: np.ndarray
    value: np.ndarray
    more: np.ndarray
    stride: np.ndarray
    bad: np.ndarray | None = None


class _Tiles:
    """What depends on the number of lanes alone: places of people, lanes and parts in the engine's arrays.

    A patient of the engine is one lane of one subject, number ``subject * lanes + lane``. Sample k of subject s is
    in row k + s of `out`, part p in row p + s of the doses, so that no two patients share a place.
    """

    def __init__(self, code: _Code, lanes: int) -> None:
        self.code, self.lanes = code, lanes
        layout = code.layout
        n = layout.subjects
        self.patients = n * lanes
        self.samples = len(layout.time_h) + n
        self.column_of = (layout.first_column[:-1, None] * lanes + np.arange(lanes)).ravel()
        self.out_stride = np.array([1, lanes, 0])
        self.failed_at = np.full(self.patients, np.nan)
        self.weights: np.ndarray | None = None
        if not any(code.tape.varies(p) for p in code.weights):
            self.weights = self._full(code.weights, [code.tape.constant(p) for p in code.weights])
        self.parts = int(layout.first_part[-1])
        self.state = np.zeros(self.parts, np.int64)
        for route in code.routes:
            for part in route.parts:
                self.state[part.slots] = part.state
        doses = len(layout.first_part) - 1
        self.owner_of_part = np.repeat(layout.owner[layout.column_of_dose], np.diff(layout.first_part))
        self.interval_of_part = np.repeat(layout.interval_h, np.diff(layout.first_part))
        if code.timed:
            self._own_plans(doses)
        else:
            self._shared_plan()

    def _full(self, places: list[int], values: list[Any]) -> np.ndarray:
        full = np.empty((len(places), self.code.columns, self.lanes))
        for k, value in enumerate(values):
            full[k] = value
        return full

    def _fill(
        self, target: np.ndarray, which: int, found: list[list[Any]], moving_only: bool = False
    ) -> None:
        """Write value (0), duration (1) or lag (2) of all parts into rows of `target`."""
        for route, values in zip(self.code.routes, found, strict=True):
            for part in route.parts:
                place = part.places[which]
                if moving_only and not route.tape.varies(place):
                    continue
                value = values[place]
                if part.members is not None and np.ndim(value) and len(value) > 1:
                    value = value[part.members]
                target[self.row[part.slots]] = value

    def _constants(self) -> list[list[Any]]:
        return [[route.tape.constant(p) for p in range(len(route.tape))] for route in self.code.routes]

    # ---- one plan for all lanes of a subject

    def _shared_plan(self) -> None:
        layout, code, lanes = self.code.layout, self.code, self.lanes
        self.row = np.arange(self.parts) + self.owner_of_part
        rows = self.parts + layout.subjects
        self.value = np.ones((rows, 1))
        duration, lag = np.zeros((rows, 1)), np.zeros((rows, 1))
        constants = self._constants()
        for target, which in ((self.value, 0), (duration, 1), (lag, 2)):
            self._fill_constant(target, which, constants)
        pick = self.row
        phase = timeline.steady_phase(lag[pick, 0], self.interval_of_part)[:, None]
        doses = timeline.Doses(
            layout.first_part, layout.additional, layout.interval_h, layout.steady_state, self.state,
            self.value[pick], duration[pick], lag[pick], phase,
        )  # fmt: skip
        if code.plan is None:
            lengths = code.asked.lengths
            if lengths is None and layout.subjects == 1:
                lengths = timeline.plan_lengths(layout.records, doses)
            code.plan = timeline.build(layout.records, doses, lengths)
            if code.asked.model.from_dose:  # time counts from the first dose that was given
                code.plan.origin[:] = layout.origin_h
        more = np.zeros((3, rows, lanes))
        more[0] = duration
        more[1][pick] = self.interval_of_part[:, None]
        more[2][pick] = phase
        value = np.ascontiguousarray(np.broadcast_to(self.value, (rows, lanes)))
        self.varying = any(r.tape.varies(p.places[0]) for r in code.routes for p in r.parts)
        plan_of = np.repeat(np.arange(layout.subjects), lanes)
        stride = np.array([lanes, 1])
        self.entered = _Entered(code.plan, plan_of, self.state, value.ravel(), more.reshape(3, -1), stride)

    def _fill_constant(self, target: np.ndarray, which: int, constants: list[list[Any]]) -> None:
        for route, values in zip(self.code.routes, constants, strict=True):
            for part in route.parts:
                place = part.places[which]
                if route.tape.varies(place):
                    continue
                value = values[place]
                if part.members is not None and np.ndim(value) and len(value) > 1:
                    value = value[part.members]
                target[self.row[part.slots]] = value

    def doses(self, values: list[Any]) -> _Entered:
        """Doses of a call."""
        if self.code.timed:
            return self._own(values)
        if not self.varying:
            return self.entered
        found = [route.run(values) for route in self.code.routes]
        value = self.entered.value.reshape(-1, self.lanes).copy()
        self._fill(value, 0, found, moving_only=True)
        ready = self.entered
        return _Entered(ready.plan, ready.plan_of, ready.state, value.ravel(), ready.more, ready.stride)

    # ---- a plan for each lane: lags or durations vary

    def _own_plans(self, doses: int) -> None:
        layout, lanes = self.code.layout, self.lanes
        self.row = np.arange(self.parts)
        records, count = layout.records, np.diff(layout.first_part)
        length = np.diff(records.start)
        # records of subject s once for each of his lanes
        first = np.repeat(records.start[:-1], lanes)
        size = np.repeat(length, lanes)
        start = np.concatenate([[0], np.cumsum(size)])
        index = np.arange(start[-1]) - np.repeat(start[:-1] - first, size)
        lane = np.repeat(np.tile(np.arange(lanes), layout.subjects), size)
        kind, arg = records.kind[index], records.arg[index]
        arg = np.where(kind == timeline.REC_DOSE, arg * lanes + lane, arg)
        self.records = timeline.Records(start, records.time_h[index], kind, arg)
        # dose d of lane l is number d * lanes + l, its parts follow each other
        of_dose = np.repeat(np.arange(doses), lanes)
        sizes = count[of_dose]
        self.first_part = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        inside = np.arange(self.first_part[-1]) - np.repeat(self.first_part[:-1], sizes)
        self.part = np.repeat(layout.first_part[of_dose], sizes) + inside
        self.lane = np.repeat(np.tile(np.arange(lanes), doses), sizes)
        self.repeat = [
            np.repeat(x, lanes) for x in (layout.additional, layout.interval_h, layout.steady_state)
        ]
        self.lengths = self.code.asked.lengths
        if self.lengths is None:
            self.lengths = timeline.common_lengths(layout.records)

    def _own(self, values: list[Any]) -> _Entered:
        layout, lanes = self.code.layout, self.lanes
        found = [route.run(values) for route in self.code.routes]
        value, duration, lag = (np.empty((self.parts, lanes)) for _ in range(3))
        for target, which in ((value, 0), (duration, 1), (lag, 2)):
            self._fill(target, which, found)
        odd = ~(np.isfinite(duration) & np.isfinite(lag) & (duration >= 0) & (lag >= 0))
        bad = np.zeros((layout.subjects, lanes), bool)
        if odd.any():
            duration[odd] = lag[odd] = 0.0
            np.logical_or.at(bad, self.owner_of_part, odd)
        every = self.interval_of_part[:, None]
        phase = timeline.steady_phase(lag, every)
        whole = np.stack([value, duration, np.broadcast_to(every, lag.shape), phase, lag])[
            :, self.part, self.lane
        ]
        state = self.state[self.part]
        additional, interval, steady = self.repeat
        doses = timeline.Doses(
            self.first_part, additional, interval, steady, state,
            whole[0][:, None], whole[1][:, None], whole[4][:, None], whole[3][:, None],
        )  # fmt: skip
        plan = timeline.build(self.records, doses, self.lengths)
        if self.code.asked.model.from_dose:
            plan.origin[:] = np.repeat(layout.origin_h, lanes)
        plan_of = np.arange(self.patients) if self.patients > 1 else np.zeros(1, np.int64)
        return _Entered(
            plan, plan_of, state, whole[0], np.ascontiguousarray(whole[1:4]), np.array([1, 0]), bad
        )
