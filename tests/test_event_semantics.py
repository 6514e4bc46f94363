"""Event tables mean what they mean in NONMEM: every rule against sums of single-dose formulas.

The reference writes a steady state out as hundreds of earlier doses and adds closed forms of a one-compartment
model with first-order absorption; it shares no code with the engine. The same rules were compared with
NONMEM 7.5 runs of 30 scenarios when they were written: equal to the five digits that NONMEM prints.
"""

from __future__ import annotations

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.models.library import load_text

MODEL = """
format = 1
drug = "racemate"
[covariates]
LAGT = { unit = "h", reference = 0 }
DUR2 = { unit = "h", reference = 2 }
RAT2 = { unit = "mg/h", reference = 10 }
BIOAV = { unit = "1", reference = 1 }
WT = { unit = "kg", reference = 70 }
[parameters]
TVCL = { value = 1.1, unit = "L/h" }
V = { value = 20, unit = "L" }
KA = { value = 1.5, unit = "1/h" }
[individual]
CL = "TVCL * (WT / 70)^0.75"
[compartments]
gut = {}
central = {}
[flows]
absorption = { from = "gut", to = "central", rate = "KA * gut" }
elimination = { from = "central", rate = "CL * central / V" }
[entries]
oral = [{ to = "gut" }]
iv = [{ to = "central", fraction = "BIOAV", lag = "LAGT", duration = "DUR2", rate = "RAT2" }]
[outputs]
CP = { value = "central / V", unit = "ng/mL", site = "plasma" }
"""
SPEC = load_text(MODEL, "nm.toml")
K, V, KA = 1.1 / 20, 20.0, 1.5
HOURS = np.arange(0.0, 97.0, 1.5)


def one(t, amount, cmt, duration=0.0):
    """Concentration t hours after a dose of `amount` mg that arrives, ng/mL."""
    t = np.maximum(t, 0)
    if cmt == 1:
        return 1000 * amount * KA / (V * (KA - K)) * (np.exp(-K * t) - np.exp(-KA * t))
    if duration == 0:
        return 1000 * amount / V * np.exp(-K * t)
    run = np.minimum(t, duration)
    return 1000 * amount / duration / (K * V) * (1 - np.exp(-K * run)) * np.exp(-K * (t - run))


def expected(doses, t, reset=()):
    """`doses`: time, amount, cmt, duration, ii, addl, ss, F, lag; resets wipe out what was given before."""
    out = np.zeros(len(t))
    wipes = sorted([*reset, *(d["time"] for d in doses if d.get("ss") == 1)])
    for d in doses:
        cut = min([w for w in wipes if w > d["time"]], default=np.inf)
        first = -400 if d.get("ss") else 0
        for k in range(first, d.get("addl", 0) + 1):
            at = d["time"] + k * d.get("ii", 0) + d.get("lag", 0)
            if at >= cut:
                continue
            amount = d["amount"] * d.get("F", 1)
            seen = (t >= at) & (t < cut) & (t >= d["time"])
            out += np.where(seen, one(t - at, amount, d["cmt"], d.get("duration", 0)), 0)
    return out


def run(rows, t=HOURS, **options):
    """Dose rows of a table, then observations at t; columns by name, missing ones 0."""
    # by time; at the same time doses first, as given
    listed = [{"EVID": 1, **r} for r in rows] + [{"TIME": float(x), "EVID": 0, "CMT": 2} for x in t]
    listed.sort(key=lambda r: (r["TIME"], r["EVID"] == 0))
    names = sorted({n for r in listed for n in r})
    fill = {"BIOAV": 1.0, "DUR2": 2.0, "RAT2": 10.0, "WT": 70.0}
    last = {n: next((r[n] for r in rows if n in r), fill.get(n, 0)) for n in names}
    columns = {n: [r.get(n, last[n] if n in SPEC.covariates else 0) for r in listed] for n in names}
    table = kt.EventTable.read(columns, covariates=SPEC.covariates)
    return kt.simulate(SPEC, table, **options)["CP"]


def close(found, wanted):
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-8)


CASES = {
    "bolus with additional doses": (
        [{"TIME": 0, "AMT": 100, "CMT": 1, "II": 24, "ADDL": 3}],
        [{"time": 0, "amount": 100, "cmt": 1, "ii": 24, "addl": 3}],
    ),
    "lag and bioavailability": (
        [{"TIME": 0, "AMT": 100, "CMT": 2, "II": 24, "ADDL": 3, "LAGT": 12.13, "BIOAV": 2.23}],
        [{"time": 0, "amount": 100, "cmt": 2, "ii": 24, "addl": 3, "lag": 12.13, "F": 2.23}],
    ),
    "a given rate stays when bioavailability shortens the infusion": (
        [{"TIME": 0, "AMT": 480, "CMT": 2, "RATE": 10, "BIOAV": 0.5}],
        [{"time": 0, "amount": 480, "cmt": 2, "duration": 24, "F": 0.5}],
    ),
    "a given duration stays": (
        [{"TIME": 0, "AMT": 480, "CMT": 2, "DUR": 48, "BIOAV": 0.5}],
        [{"time": 0, "amount": 480, "cmt": 2, "duration": 48, "F": 0.5}],
    ),
    "modelled duration": (
        [
            {
                "TIME": 0,
                "AMT": 100,
                "CMT": 2,
                "RATE": -2,
                "II": 24,
                "ADDL": 3,
                "DUR2": 9,
                "LAGT": 5,
                "BIOAV": 0.61,
            }
        ],
        [{"time": 0, "amount": 100, "cmt": 2, "duration": 9, "ii": 24, "addl": 3, "lag": 5, "F": 0.61}],
    ),
    "modelled rate": (
        [{"TIME": 0, "AMT": 100, "CMT": 2, "RATE": -1, "RAT2": 8, "BIOAV": 0.4}],
        [{"time": 0, "amount": 100, "cmt": 2, "duration": 5, "F": 0.4}],
    ),
    "rate 0 by compartment number is a bolus whatever the entry says": (
        [{"TIME": 3, "AMT": 100, "CMT": 2, "RATE": 0, "DUR2": 9}],
        [{"time": 3, "amount": 100, "cmt": 2}],
    ),
    "steady state of infusions": (
        [{"TIME": 0, "AMT": 100, "CMT": 2, "RATE": 2, "II": 12, "SS": 1, "ADDL": 4, "BIOAV": 0.12}],
        [{"time": 0, "amount": 100, "cmt": 2, "duration": 6, "ii": 12, "ss": 1, "addl": 4, "F": 0.12}],
    ),
    "steady state of infusions longer than their interval": (
        [{"TIME": 0, "AMT": 100, "CMT": 2, "RATE": 100 / 15, "II": 6, "SS": 1, "ADDL": 9}],
        [{"time": 0, "amount": 100, "cmt": 2, "duration": 15, "ii": 6, "ss": 1, "addl": 9}],
    ),
    "steady state of infusions as long as their interval": (
        [{"TIME": 0, "AMT": 100, "CMT": 2, "RATE": 10, "II": 10, "SS": 1, "ADDL": 8}],
        [{"time": 0, "amount": 100, "cmt": 2, "duration": 10, "ii": 10, "ss": 1, "addl": 8}],
    ),
    "steady state with a lag, infusions": (
        [
            {
                "TIME": 0,
                "AMT": 100,
                "CMT": 2,
                "RATE": 10,
                "II": 24,
                "SS": 1,
                "ADDL": 3,
                "LAGT": 3.16,
                "BIOAV": 0.412,
            }
        ],
        [
            {
                "time": 0,
                "amount": 100,
                "cmt": 2,
                "duration": 4.12,
                "ii": 24,
                "ss": 1,
                "addl": 3,
                "lag": 3.16,
                "F": 0.412,
            }
        ],
    ),
    "steady state with a lag that outlasts the interval": (
        [{"TIME": 0, "AMT": 100, "CMT": 2, "II": 5, "SS": 1, "ADDL": 3, "LAGT": 7}],
        [{"time": 0, "amount": 100, "cmt": 2, "ii": 5, "ss": 1, "addl": 3, "lag": 7}],
    ),
    "steady state with modelled duration": (
        [
            {
                "TIME": 0,
                "AMT": 100,
                "CMT": 2,
                "RATE": -2,
                "II": 24,
                "SS": 1,
                "ADDL": 3,
                "DUR2": 9,
                "BIOAV": 0.61,
            }
        ],
        [{"time": 0, "amount": 100, "cmt": 2, "duration": 9, "ii": 24, "ss": 1, "addl": 3, "F": 0.61}],
    ),
    "steady state 1, then 2 on top": (
        [
            {"TIME": 0, "AMT": 100, "CMT": 1, "II": 24, "SS": 1, "ADDL": 3},
            {"TIME": 12, "AMT": 50, "CMT": 1, "II": 24, "SS": 2, "ADDL": 3},
        ],
        [
            {"time": 0, "amount": 100, "cmt": 1, "ii": 24, "ss": 1, "addl": 3},
            {"time": 12, "amount": 50, "cmt": 1, "ii": 24, "ss": 2, "addl": 3},
        ],
    ),
    "bolus and infusion at the same time and into two compartments": (
        [
            {"TIME": 6, "AMT": 50, "CMT": 1},
            {"TIME": 6, "AMT": 80, "CMT": 2, "RATE": 16},
            {"TIME": 8, "AMT": 20, "CMT": 2, "RATE": 4},
        ],
        [
            {"time": 6, "amount": 50, "cmt": 1},
            {"time": 6, "amount": 80, "cmt": 2, "duration": 5},
            {"time": 8, "amount": 20, "cmt": 2, "duration": 5},
        ],
    ),
}


@pytest.mark.parametrize("rows, doses", CASES.values(), ids=CASES)
def test_rule(rows, doses):
    close(run(rows), expected(doses, HOURS))


def test_a_reset_empties_stops_and_cancels():
    rows = [
        {"TIME": 0, "AMT": 100, "CMT": 2, "RATE": 5, "II": 12, "ADDL": 5},
        {"TIME": 30, "EVID": 3, "CMT": 2},
        {"TIME": 54, "AMT": 120, "CMT": 1, "II": 16, "ADDL": 2},
    ]
    doses = [
        {"time": 0, "amount": 100, "cmt": 2, "duration": 20, "ii": 12, "addl": 5},
        {"time": 54, "amount": 120, "cmt": 1, "ii": 16, "addl": 2},
    ]
    close(run(rows), expected(doses, HOURS, reset=[30]))


def test_reset_and_dose_at_steady_state_with_lag():
    rows = [
        {"TIME": 12 * k, "EVID": 4, "AMT": 100 * (k + 1), "CMT": 2, "SS": 1, "II": 12, "LAGT": 5}
        for k in range(3)
    ]
    doses = [
        {"time": 12 * k, "amount": 100 * (k + 1), "cmt": 2, "ii": 12, "ss": 1, "lag": 5} for k in range(3)
    ]
    close(run(rows), expected(doses, HOURS))


def test_an_endless_infusion_reaches_its_level_and_stops_at_the_record():
    wanted = 1000 * 100 / 1.1 * np.exp(-K * HOURS)
    close(run([{"TIME": 0, "AMT": 0, "CMT": 2, "RATE": 100, "SS": 1}]), wanted)


def test_time_may_start_again_at_a_reset():
    columns = {
        "TIME": [0, 2, 0, 0, 2], "AMT": [100, 0, 0, 50, 0], "EVID": [1, 0, 3, 1, 0], "CMT": [2, 2, 2, 2, 2],
    }  # fmt: skip
    found = kt.simulate(SPEC, kt.EventTable.read(columns))["CP"]
    close(found, [one(np.array(2.0), 100, 2), one(np.array(2.0), 50, 2)])


@pytest.mark.parametrize("carry", ["next", "last"])
def test_covariates_that_change(carry):
    t = np.array([0.0, 4.0, 8.0, 12.0, 20.0])
    wt = np.array([60.0, 90.0, 50.0, 50.0, 120.0])
    columns = {
        "TIME": [0.0, *t], "AMT": [100] + [0] * 5, "EVID": [1] + [0] * 5, "CMT": [2] * 6, "WT": [60.0, *wt],
    }  # fmt: skip
    found = kt.simulate(SPEC, kt.EventTable.read(columns, covariates=["WT"]), carry=carry)["CP"]
    use = wt[1:] if carry == "next" else wt[:-1]
    k = 1.1 * (use / 70) ** 0.75 / V
    close(found, 5000 * np.exp(-np.concatenate([[0], np.cumsum(k * np.diff(t))])))


def test_a_missing_covariate_is_carried():
    nan = float("nan")
    columns = {
        "ID": [1, 1, 1, 2, 2, 2], "TIME": [0, 3, 6, 0, 3, 6], "AMT": [100, 0, 0] * 2, "EVID": [1, 0, 0] * 2,
        "CMT": [2] * 6, "WT": [nan, 90, nan, nan, nan, nan],
    }  # fmt: skip
    table = kt.EventTable.read(columns, covariates=["WT"])
    k = 1.1 * (90 / 70) ** 0.75 / V
    wanted = [5000 * np.exp(-k * 3), 5000 * np.exp(-k * 6), 5000 * np.exp(-K * 3), 5000 * np.exp(-K * 6)]
    close(kt.simulate(SPEC, table)["CP"], wanted)  # the second has none at all: the reference


def test_additional_doses_come_before_a_record_of_the_same_time():
    found = run([{"TIME": 0, "AMT": 100, "CMT": 2, "II": 12, "ADDL": 3}], t=[12.0])
    close(found, [one(np.array(12.0), 100, 2) + 5000])


def test_records_of_one_time_act_in_their_order():
    columns = {"TIME": [0, 0, 0], "AMT": [0, 100, 0], "EVID": [0, 1, 0], "CMT": [2, 2, 2]}
    assert kt.simulate(SPEC, kt.EventTable.read(columns))["CP"].tolist() == [0.0, 5000.0]


def test_subjects_do_not_touch_each_other():
    rng = np.random.default_rng(7)
    columns: dict = {n: [] for n in ("ID", "TIME", "AMT", "EVID", "CMT", "RATE", "WT")}
    for subject in range(23):
        times = np.sort(rng.uniform(0, 50, 12))
        for k, t in enumerate(times):
            dose = k % 4 == 0
            row = (
                subject,
                t,
                50.0 * dose,
                int(dose),
                1 + subject % 2,
                25.0 * (dose and subject % 3 == 0),
                50 + subject,
            )
            for name, value in zip(columns, row, strict=True):
                columns[name].append(value)
    together = kt.simulate(SPEC, kt.EventTable.read(columns, covariates=["WT"]))
    whose = np.array(columns["ID"])
    alone = [
        kt.simulate(
            SPEC,
            kt.EventTable.read(
                {n: list(np.array(v)[whose == s]) for n, v in columns.items()}, covariates=["WT"]
            ),
        )["CP"]
        for s in range(23)
    ]
    assert together["CP"] == pytest.approx(np.concatenate(alone), rel=1e-12)


def test_a_regimen_and_its_table_agree():
    regimen = kt.Regimen.parse("40 mg iv over 2 h every 12 h x 4; 30 mg oral at 5 h")
    times = np.linspace(0, 60, 41)
    grid = kt.simulate(SPEC, regimen, times=times)["CP"][0]
    table = kt.EventTable.read(regimen.to_events(times=times))
    assert kt.simulate(SPEC, table)["CP"] == pytest.approx(grid, rel=1e-9, abs=1e-9)


def test_residual_error_and_variability_of_a_table():
    text = MODEL.replace(
        "[individual]", '[variability]\nCL = { etas = ["CL"], variance = [0.09] }\n[individual]'
    )
    text = (
        text.replace("^0.75", "^0.75 * exp(eta.CL)")
        + '[residual]\nCP = { kind = "proportional", sd = 0.2 }\n'
    )
    spec = load_text(text, "nm2.toml")
    n = 400
    columns = {
        "ID": np.repeat(np.arange(n), 3), "TIME": [0, 0, 10] * n, "AMT": [100, 0, 0] * n,
        "EVID": [1, 0, 0] * n, "CMT": [2] * 3 * n,
    }  # fmt: skip
    table = kt.EventTable.read(columns)
    plain = kt.simulate(spec, table, kt.Population(n, seed=1))["CP"].reshape(n, 2)
    assert np.allclose(plain[:, 0], 5000)
    assert np.std(np.log(-np.log(plain[:, 1] / 5000))) == pytest.approx(0.3, rel=0.15)
    noisy = kt.simulate(spec, table, kt.Population(n, seed=1, residual=True))["CP"].reshape(n, 2)
    assert np.std(noisy / plain - 1) == pytest.approx(0.2, rel=0.1)
    assert abs(np.corrcoef((noisy / plain).T)[0, 1]) < 0.15
