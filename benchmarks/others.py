"""The six-state model in other programs: SciPy's LSODA, and libRoadRunner (CVODE, compiled) if installed.

The numbers come from `six_state.toml`, so that every program solves the same equations for a typical patient
of 70 kg: 35 mg over 40 min, twice weekly for four weeks.
"""

from __future__ import annotations

import itertools
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np

STATES = ("central", "shallow", "deep", "metabolite", "metabolite_deep", "brain")
DOSE_MG, DURATION_H = 35.0, 2 / 3
STARTS_H = [week * 168.0 + day for week in range(4) for day in (0.0, 72.0)]


def matrix() -> np.ndarray:
    """Rate matrix of the typical patient, amounts in mg (the effect site is a concentration, mg/L)."""
    text = (Path(__file__).parent / "six_state.toml").read_text(encoding="utf-8")
    p = {name: entry["value"] for name, entry in tomllib.loads(text)["parameters"].items()}
    a = np.zeros((6, 6))
    for source, target, rate in (
        (0, 1, p["Q2"] / p["V1"]),
        (1, 0, p["Q2"] / p["V2"]),
        (0, 2, p["Q3"] / p["V1"]),
        (2, 0, p["Q3"] / p["V3"]),
        (0, 3, p["CL"] / p["V1"]),
        (3, 4, p["QM"] / p["VM"]),
        (4, 3, p["QM"] / p["VP"]),
    ):
        a[source, source] -= rate
        a[target, source] += rate
    a[3, 3] -= p["CLM"] / p["VM"]
    a[5, 0] += p["ke0"] / p["V1"]
    a[5, 5] -= p["ke0"]
    return a


def right_hand_side(a: np.ndarray) -> Callable[..., list[float]]:
    """The equations as a careful person writes them for SciPy: plain numbers, no arrays."""
    (a00, a01, a02, *_), (a10, a11, *_), (a20, _, a22, *_) = a[:3].tolist()
    a30, a33, a34 = a[3, [0, 3, 4]].tolist()
    a43, a44, a50, a55 = float(a[4, 3]), float(a[4, 4]), float(a[5, 0]), float(a[5, 5])

    def slopes(t: float, x: np.ndarray, infusion: float) -> list[float]:
        x0, x1, x2, x3, x4, x5 = x
        return [
            infusion + a00 * x0 + a01 * x1 + a02 * x2,
            a10 * x0 + a11 * x1,
            a20 * x0 + a22 * x2,
            a30 * x0 + a33 * x3 + a34 * x4,
            a43 * x3 + a44 * x4,
            a50 * x0 + a55 * x5,
        ]

    return slopes


def lsoda(times_h: np.ndarray, patients: int, rtol: float = 1e-6) -> tuple[float, np.ndarray]:
    """Seconds per patient with `scipy.integrate.solve_ivp`, stopping at every change of the infusion.

    Returns
    -------
    seconds : float
    amounts : array (state, time), mg
        Of the last patient.
    """
    from scipy.integrate import solve_ivp

    breaks = sorted({*STARTS_H, *(s + DURATION_H for s in STARTS_H), float(times_h[-1])})
    out = np.zeros((6, times_h.size))
    began = time.perf_counter()
    for _ in range(patients):
        slopes, state = right_hand_side(matrix()), np.zeros(6)
        for start, stop in itertools.pairwise(breaks):
            infusion = DOSE_MG / DURATION_H if start in STARTS_H else 0.0
            wanted = (times_h >= start) & (times_h < stop)
            at = np.append(times_h[wanted], stop)
            solved = solve_ivp(
                slopes, (start, stop), state, "LSODA", at, args=(infusion,), rtol=rtol, atol=1e-3 * rtol
            )
            out[:, wanted], state = solved.y[:, :-1], solved.y[:, -1]
        out[:, times_h == breaks[-1]] = state[:, None]
    return (time.perf_counter() - began) / patients, out


def sbml() -> str:
    """The same system as SBML: rate rules, and two events per infusion."""
    a = matrix()
    number = "<cn>{!r}</cn>".format
    parts = []
    for i, state in enumerate(STATES):
        terms = [
            f"<apply><times/><ci>a{i}{j}</ci><ci>{STATES[j]}</ci></apply>" for j in range(6) if a[i, j] != 0
        ]
        if i == 0:
            terms.append("<ci>infusion</ci>")
        math = (
            f"<math xmlns='http://www.w3.org/1998/Math/MathML'><apply><plus/>{''.join(terms)}</apply></math>"
        )
        parts.append(f"<rateRule variable='{state}'>{math}</rateRule>")
    events = []
    for k, start in enumerate(STARTS_H):
        for name, at, value in (("on", start, DOSE_MG / DURATION_H), ("off", start + DURATION_H, 0.0)):
            clock = (
                "<csymbol encoding='text' definitionURL='http://www.sbml.org/sbml/symbols/time'>t</csymbol>"
            )
            events.append(
                f"<event id='{name}{k}' useValuesFromTriggerTime='true'>"
                "<trigger initialValue='false' persistent='true'><math xmlns='http://www.w3.org/1998/Math/MathML'>"
                f"<apply><geq/>{clock}{number(at)}</apply></math></trigger><listOfEventAssignments>"
                "<eventAssignment variable='infusion'><math xmlns='http://www.w3.org/1998/Math/MathML'>"
                f"{number(value)}</math></eventAssignment></listOfEventAssignments></event>"
            )
    parameters = [f"<parameter id='{s}' value='0' constant='false'/>" for s in STATES]
    parameters.append("<parameter id='infusion' value='0' constant='false'/>")
    parameters += [
        f"<parameter id='a{i}{j}' value='{float(a[i, j])!r}' constant='true'/>"
        for i in range(6)
        for j in range(6)
        if a[i, j] != 0
    ]
    return (
        "<?xml version='1.0' encoding='UTF-8'?><sbml xmlns='http://www.sbml.org/sbml/level3/version1/core' "
        "level='3' version='1'><model id='six_state'>"
        f"<listOfParameters>{''.join(parameters)}</listOfParameters><listOfRules>{''.join(parts)}</listOfRules>"
        f"<listOfEvents>{''.join(events)}</listOfEvents></model></sbml>"
    )


def roadrunner(times_h: np.ndarray, patients: int) -> tuple[float, np.ndarray] | None:
    """Seconds per patient in libRoadRunner, or None where it is not installed."""
    try:
        import roadrunner as rr
    except ImportError:
        return None
    rr.Logger.setLevel(rr.Logger.LOG_ERROR)
    model = rr.RoadRunner(sbml())
    model.timeCourseSelections = list(STATES)
    model.getIntegrator().setValue("relative_tolerance", 1e-6)
    model.getIntegrator().setValue("absolute_tolerance", 1e-9)
    began = time.perf_counter()
    for _ in range(patients):
        model.resetAll()
        out = np.asarray(model.simulate(float(times_h[0]), float(times_h[-1]), times_h.size))
    return (time.perf_counter() - began) / patients, out.T
