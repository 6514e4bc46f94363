"""Fit a course model to published trials, and say how well each number is known.

    python validation/course/calibrate.py                    # about seven minutes on one free core
    python validation/course/calibrate.py --model two_state  # the other model: its file only
    python validation/course/calibrate.py --check            # the same, nothing written

It writes the estimates into the model file (value, 90 % range, covariance) and, of the default model, the rest
(settings, profile intervals, correlations, what was left out in turn) into `data/trials/calibration.toml`. Same
data, same seed, same result.

What is fitted to: every usable outcome of `data/trials` whose trial is not left out (a tenth, by the hash of its
name), not pooled and not beyond the range of the model. Weights: the distance from the published number counts in
half-widths of its 95 % interval (Wilson's for shares, from SD or SE else); where nothing was published, a mean
is taken to have an SD of 12 points and a time an error of 40 %. A recalled number counts half. Outcomes of one
trial are measured in the same people, so the weight of a trial grows with the root of their number. Trials
disagree by more than chance, so errors follow Student's t with 3 degrees of freedom. Each parameter has a weak
prior around its start, so that what the data do not tell stays where it was.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares

from kinetamine.course import model as course_model
from kinetamine.evidence.course import observations as trials
from kinetamine.evidence.course.calibration import Scale
from kinetamine.evidence.course.observations import Outcome, Trials
from kinetamine.evidence.course.predict import Predictor

DATA = Path(__file__).parents[2] / "src" / "kinetamine" / "data"
#: name: start, SD of the prior on the scale of the fit
FREE = {
    "theta_slow": (3.0, 0.7),
    "gain_slow": (0.35, 0.7),
    # narrow: relapse 16 to 19 days after a series; the rest of the data fit as well with 3 days as with 10
    "half_life_slow": (7.6, 0.3),
    "omega_half_life_slow": (0.9, 0.4),
    "responder_share": (0.69, 0.7),
    "weak_effect": (0.15, 0.7),
    "omega_theta": (0.35, 0.4),
    "residual": (0.25, 0.5),
    "omega_wander": (0.5, 0.5),
    "tau_wander": (20.0, 0.7),
    "tau_onset": (0.08, 1.0),
    "saturation": (0.4, 0.7),
    "theta_placebo": (0.5, 0.7),
    "omega_placebo": (0.95, 0.4),
    "tau_placebo": (0.1, 1.0),
    "theta_open": (0.5, 0.7),
    "tau_open": (10.0, 0.7),
    "theta_oral": (0.6, 1.0),
    "tau_oral": (28.0, 0.5),
    "hospital_placebo": (2.0, 0.7),
    "beside_drug": (0.7, 0.7),
    "relapse_hazard": (0.0025, 0.7),
}
#: what a model has besides
MORE: dict[str, dict[str, tuple[float, float]]] = {
    "mono_state": {},
    "two_state": {
        "theta_fast": (1.0, 0.7),
        "half_life_fast": (4.0, 0.5),
        "theta_slow": (1.7, 0.7),
        "gain_slow": (0.2, 0.7),
        "half_life_slow": (12.0, 0.5),
    },
}
PATIENTS, SEED, STARTS = 2000, 4, 4
#: step of the derivatives on the scale of the fit: large, for shares of 2000 patients are steps
STEP = 0.04
#: degrees of freedom of the errors, weight of a recalled number
NU, RECALLED = 3.0, 0.5
#: errors taken where none was published
SD_POINTS, ERROR_OF_TIME = 12.0, 0.4
#: where the model file says a fitted number comes from
PLACE = "fitted to published trials by validation/course/calibrate.py"
#: -2 log likelihood at the ends of a 95 % interval
LIMIT = 3.84


@dataclass
class Fit:
    """Estimates on the scale of the fit, with what surrounds them."""

    model: str
    names: list[str]
    x: np.ndarray
    covariance: np.ndarray
    low: np.ndarray
    high: np.ndarray
    outcomes: int
    per_arm: float
    cost: float

    def values(self, x: np.ndarray | None = None) -> dict[str, float]:
        return {k: Scale.of(k).back(v) for k, v in zip(self.names, self.x if x is None else x, strict=True)}


class Problem:
    """Residuals of a set of parameters."""

    def __init__(
        self, data: Trials, outcomes: Sequence[Outcome], patients: int = PATIENTS, model: str = "mono_state"
    ) -> None:
        self.data, self.outcomes = data, outcomes
        loaded = course_model.load(model)
        self.base = loaded.values()
        self.predictor = Predictor(data, loaded, patients, SEED)
        free = FREE | MORE[model]
        self.names = list(free)
        self.start = np.array([Scale.of(k).to(v) for k, (v, _) in free.items()])
        self.prior = np.array([sd for _, sd in free.values()])
        family = [data.design(o).family for o in outcomes]
        many = Counter(family)
        share = np.array([many[name] ** -0.25 for name in family])
        seen = np.array([RECALLED if o.seen == "recalled" else 1.0 for o in outcomes])
        self.weight = seen * share / math.sqrt(np.mean(share**2))
        self.intervals = [o.published() or self._assumed(o) for o in outcomes]

    def _assumed(self, o: Outcome) -> tuple[float, float]:
        sizes = []
        for side in (o.treated, o.control):
            arm = self.data.arms.get((o.trial, str(side)))
            if side is not None:
                sizes.append(arm.n if arm is not None and arm.n else o.n or 20)
        root = math.sqrt(sum(1 / n for n in sizes))
        if o.measure in ("mean", "change", "difference"):
            error = SD_POINTS * root
        elif o.measure == "effect_size":
            error = root
        else:
            error = ERROR_OF_TIME * abs(o.value)
        return o.value - 1.96 * error, o.value + 1.96 * error

    def errors(self, x: np.ndarray) -> np.ndarray:
        """Prediction minus published in standard errors, beyond ±1.96 where outside the published interval."""
        own = self.base | {k: Scale.of(k).back(v) for k, v in zip(self.names, x, strict=True)}
        found = []
        for o, (low, high), p in zip(
            self.outcomes, self.intervals, self.predictor.predict(self.outcomes, own), strict=True
        ):
            a, b, lo, hi = p.value, o.value, low, high
            if p.scale == "log":
                a, b, lo, hi = (math.log(max(v, 1e-3)) for v in (a, b, lo, hi))
            side = hi - b if a > b else b - lo
            found.append(1.96 * (a - b) / max(side, 0.25 * (hi - lo)))
        return np.array(found)

    def residuals(self, x: np.ndarray) -> np.ndarray:
        """Their squares add up to -2 log likelihood, prior included."""
        e = self.weight * self.errors(x)
        heavy = np.sign(e) * np.sqrt((NU + 1) * np.log1p(e * e / NU))
        return np.concatenate([heavy, (x - self.start) / self.prior])

    def jacobian(self, x: np.ndarray) -> np.ndarray:
        at = self.residuals(x)
        return np.array([(self.residuals(x + d) - at) / STEP for d in STEP * np.eye(x.size)]).T

    def cost(self, x: np.ndarray) -> float:
        return float(np.sum(self.residuals(x) ** 2))


def fitted_to(data: Trials) -> list[Outcome]:
    """Outcomes the calibration may see."""
    return [o for o in data.usable() if data.role(o) == "fit"]


def calibrate(
    data: Trials,
    outcomes: Sequence[Outcome],
    patients: int = PATIENTS,
    steps: int = 10,
    model: str = "mono_state",
) -> Fit:
    """Estimate, covariance and profile intervals."""
    # shares of 2000 patients are steps, so the surface has small hollows: in few patients from several places,
    # then on in all from the best two
    rough, problem = (Problem(data, outcomes, n, model) for n in (patients // 4, patients))
    spread = np.random.default_rng(SEED).standard_normal((STARTS, problem.start.size))
    spread[0] = 0.0
    first = [
        least_squares(
            rough.residuals, rough.start + 0.5 * rough.prior * z, jac=rough.jacobian, max_nfev=steps
        )
        for z in spread
    ]
    best_two = sorted(first, key=lambda one: one.cost)[:2]
    on = [least_squares(problem.residuals, one.x, jac=problem.jacobian, max_nfev=steps) for one in best_two]
    found = min(on, key=lambda one: one.cost)
    x = found.x
    jacobian = problem.jacobian(x)
    # outcomes of one arm are measured in the same people: they count as one and a little
    arms = {(o.trial, o.treated) for o in outcomes}
    per_arm = len(outcomes) / len(arms)
    information = jacobian.T @ jacobian
    covariance = per_arm * np.linalg.inv(information)
    best = float(np.sum(found.fun**2))
    ends = np.array([_profile(problem, x, jacobian, j, best, per_arm) for j in range(x.size)])
    return Fit(model, problem.names, x, covariance, ends[:, 0], ends[:, 1], len(outcomes), per_arm, best)


@dataclass
class Unseen:
    """Outcomes with a published interval, and how many of those intervals hold the prediction."""

    family: str
    outcomes: int
    held: int


def in_turn(data: Trials, fit: Fit, size: int, patients: int = PATIENTS, steps: int = 3) -> list[Unseen]:
    """So many families at a time predicted from the others; those of `left_out` are in no fit at all."""
    families = data.families()[len(data.left_out()) :]
    found = []
    for k in range(0, len(families), size):
        out = families[k : k + size]
        split: dict[bool, list[Outcome]] = {True: [], False: []}
        for o in fitted_to(data):
            split[data.design(o).family in out].append(o)
        unseen = [o for o in split[True] if o.published() is not None]
        if not unseen:
            continue
        others = Problem(data, split[False], patients, fit.model)
        x = least_squares(others.residuals, fit.x, jac=others.jacobian, max_nfev=steps).x
        inside = np.abs(Problem(data, unseen, patients, fit.model).errors(x)) <= 1.96
        for family in out:
            own = [bool(i) for o, i in zip(unseen, inside, strict=True) if data.design(o).family == family]
            if own:
                found.append(Unseen(family, len(own), sum(own)))
    return found


def _profile(
    problem: Problem, x: np.ndarray, jacobian: np.ndarray, j: int, best: float, per_arm: float
) -> tuple[float, float]:
    """Where -2 log likelihood, all others fitted anew, has risen by `LIMIT`; the others follow by Gauss-Newton."""
    others = [k for k in range(x.size) if k != j]
    solve = np.linalg.pinv(jacobian[:, others])
    sd = math.sqrt(
        per_arm
        / max(float(np.sum((jacobian[:, j] - jacobian[:, others] @ (solve @ jacobian[:, j])) ** 2)), 1e-9)
    )
    ends = []
    for sign in (-1.0, 1.0):
        near, rise_near = 0.0, 0.0
        y = x.copy()
        for reach in (1.0, 2.0, 3.0, 4.5):
            step = sign * sd * reach
            y = y.copy()
            y[others] -= solve @ jacobian[:, j] * (step - (y[j] - x[j]))
            y[j] = x[j] + step
            trial = y.copy()
            trial[others] -= solve @ problem.residuals(y)
            y = min(y, trial, key=problem.cost)
            rise = (problem.cost(y) - best) / per_arm
            if rise >= LIMIT:
                root, root_near = math.sqrt(rise), math.sqrt(max(rise_near, 0.0))
                near += (step - near) * (math.sqrt(LIMIT) - root_near) / (root - root_near)
                break
            near, rise_near = step, rise
        ends.append(x[j] + near)
    return ends[0], ends[1]


def write_model(fit: Fit) -> None:
    """Estimates, ranges and covariance into the model file."""
    values = fit.values()
    sd = np.sqrt(np.diag(fit.covariance))
    ranges = [fit.values(fit.x + 1.645 * s * sd) for s in (-1, 1)]
    path = DATA / "models" / "course" / f"{fit.model}.toml"
    text = path.read_text("utf-8")
    for k in fit.names:
        text, hits = re.subn(
            rf'^({k} = \{{ value = )[^,]+(, .*?range = )\[[^\]]*\](.*?place = )"[^"]*"',
            rf'\g<1>{values[k]:.4g}\g<2>[{ranges[0][k]:.4g}, {ranges[1][k]:.4g}]\g<3>"{PLACE}"',
            text, flags=re.MULTILINE,
        )  # fmt: skip
        if hits != 1:
            raise SystemExit(f"{path}: no line for {k}")
    text = re.sub(r"\n\[uncertainty\].*?(?=\n\[|\Z)", "", text, flags=re.DOTALL).rstrip() + "\n"
    path.write_text(text, encoding="utf-8")
    # the model file draws every share on the logit scale; d logit = d log / (1 - value)
    steps = [_to_file(k, values[k], course_model.load(path)) for k in fit.names]
    covariance = fit.covariance * np.outer(steps, steps)
    text += "\n[uncertainty]               # of the fitted ones together; logit for shares, else log\n"
    text += f"parameters = {_strings(fit.names)}\ncovariance = [\n{_matrix(covariance)}]\n"
    text += f'place = "{PLACE}"\n'
    path.write_text(text, encoding="utf-8")
    course_model.load(path)


def write_calibration(fit: Fit, data: Trials, tenths: list[Unseen], single: list[Unseen]) -> None:
    """All about the fit into `calibration.toml`."""
    sd = np.sqrt(np.diag(fit.covariance))
    correlation = fit.covariance / np.outer(sd, sd)
    pairs = sorted(
        ((abs(correlation[i, j]), i, j) for i in range(len(sd)) for j in range(i)), reverse=True
    )  # fmt: skip
    lines = [
        "# Written by validation/course/calibrate.py: do not edit.",
        "format = 1",
        f'model = "{fit.model}"',
        f'trials = "{data.digest}"          # digest of designs.csv and outcomes.csv',
        f"left_out = {_strings(data.left_out())}",
        f"seed = {SEED}",
        f"patients = {PATIENTS}               # of each simulated arm",
        f"outcomes = {fit.outcomes}",
        f"outcomes_per_arm = {fit.per_arm:.3f}   # variances are this much larger than if all were independent",
        f"cost = {fit.cost:.2f}             # -2 log likelihood with the priors, up to a constant",
        "",
        "# Estimates; `low` and `high` end the 95 % profile interval; start and prior_sd as in the script.",
    ]
    for i, k in enumerate(fit.names):
        back = Scale.of(k).back
        lines.append(
            f'[parameters."{k}"]\nvalue = {back(fit.x[i]):.6g}\nlow = {back(fit.low[i]):.4g}\n'
            f"high = {back(fit.high[i]):.4g}\nstart = {FREE[k][0]:g}\nprior_sd = {FREE[k][1]:g}\n"
        )
    lines += ["# Pairs that the data cannot tell apart well: correlation of the estimates."]
    for r, i, j in pairs:
        if r >= 0.5:
            lines.append(
                f"[[confounded]]\npair = {_strings([fit.names[i], fit.names[j]])}\nr = {correlation[i, j]:.2f}\n"
            )
    alone = {one.family: one for one in single}
    lines += [
        "# Trials predicted from fits without them: outcomes with a published interval, and intervals that hold."
    ]
    for one in tenths:
        lines.append(
            f'[[in_turn]]\nfamily = "{one.family}"\noutcomes = {one.outcomes}\n'
            f"held_tenth = {one.held}    # its tenth of the trials left out\n"
            f"held_alone = {alone[one.family].held}    # only this trial left out\n"
        )
    lines += [
        "[uncertainty]",
        f"parameters = {_strings(fit.names)}",
        f"covariance = [\n{_matrix(fit.covariance)}]",
        "",
    ]
    (DATA / "trials" / "calibration.toml").write_text("\n".join(lines), encoding="utf-8")


def _to_file(name: str, value: float, model: course_model.CourseModel) -> float:
    parameter = model.parameters[name]
    logit = parameter.unit == "1" and parameter.range[0] > 0 and parameter.range[1] <= 1
    return 1 / (1 - value) if logit and not Scale.of(name).share else 1.0


def _strings(words: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"


def _matrix(rows: np.ndarray) -> str:
    # rounded, then made symmetric to the last digit
    rows = np.array([[float(f"{v:.5g}") for v in row] for row in (rows + rows.T) / 2])
    return "".join("  [" + ", ".join(f"{v:g}" for v in row) + "],\n" for row in rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--model", choices=sorted(MORE), default="mono_state")
    options = parser.parse_args(arguments)
    data = trials.load()
    outcomes = fitted_to(data)
    print(f"{len(outcomes)} outcomes, left out: {', '.join(data.left_out())}", file=sys.stderr)
    fit = calibrate(data, outcomes, model=options.model)
    values, low, high = fit.values(), fit.values(fit.low), fit.values(fit.high)
    for k in fit.names:
        print(f"{k:28s} {values[k]:9.4g}   95 % {low[k]:.4g} to {high[k]:.4g}")
    if not options.check:
        write_model(fit)
    tenths = in_turn(data, fit, len(data.left_out()))
    print(f"cost {fit.cost:.1f}; a tenth left out in turn: {_held(tenths)}")
    if options.model == "mono_state":
        single = in_turn(data, fit, 1, steps=2)
        print(f"one trial left out in turn: {_held(single)}")
        if not options.check:
            write_calibration(fit, data, tenths, single)


def _held(found: Sequence[Unseen]) -> str:
    held, n = sum(one.held for one in found), sum(one.outcomes for one in found)
    return f"{held} of {n} published intervals hold the prediction"


if __name__ == "__main__":
    main()
