"""Times that are one in arithmetic but not in its last digit, compartments that are turned off, odd infusions."""

from __future__ import annotations

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.errors import FaultyFile
from kinetamine.models.library import load_text

K, V = 1.1 / 20, 20.0
LINEAR = """
format = 1
id = "ties"
drug = "racemate"
covariates = { LAGT = { unit = "h", reference = 0 } }
parameters = { CL = { value = 1.1, unit = "L/h" }, V = { value = 20, unit = "L" } }
compartments = { central = {} }
flows = { out = { from = "central", rate = "CL * central / V" } }
entries = { iv = [{ to = "central", lag = "LAGT" }] }
outputs = { CP = { value = "central / V", unit = "ng/mL", site = "plasma" } }
"""
#: the same, taken for a non-linear one
ADAPTIVE = LINEAR.replace("CL * central / V", "CL * central / (V + 0 * central)").replace(
    '"ties"', '"ties_n"'
)
TIMES = np.array([1.0, 5, 10, 20, 30, 60, 100])


def infused(t: np.ndarray, lag: float, lasts: float, every: float, more: int) -> np.ndarray:
    """100 mg over `lasts`, at steady state at time 0 and `more` times after it: sum of closed forms, ng/mL."""
    out = np.zeros(len(t))
    for turn in range(-400, more + 1):
        since = np.clip(t - (turn * every + lag), 0, None)
        run = np.minimum(since, lasts)
        out += 1e5 / lasts / (K * V) * (1 - np.exp(-K * run)) * np.exp(-K * (since - run))
    return out


def grid(lasts: list[float]) -> list[tuple[float, float, float]]:
    """Interval, duration and lag with lag + duration, or lag alone, a multiple of the interval."""
    found = [
        (every, d, m * every - d)
        for every in (6.0, 8.0, 12.0, 24.0)
        for d in lasts
        if d < every
        for m in (1, 2, 3)
    ]
    return found + [
        (every, d, m * every) for every in (6.0, 12.0) for d in lasts if d < every for m in (1, 2)
    ]


@pytest.mark.parametrize(
    ("model", "lasts", "digits"),
    [
        (LINEAR, [0.1, 0.3, 0.7, 1.1, 1.7, 2.3, 3.3, 4.12, 5.0, 5.9], 1e-9),
        (ADAPTIVE, [0.7, 3.3], 1e-6),
    ],
    ids=["exact steps", "adaptive steps"],
)
def test_an_infusion_that_ends_as_its_record_stands_ends(
    model: str, lasts: list[float], digits: float
) -> None:
    cases = grid(lasts)
    rows: dict[str, list[float]] = {
        n: [] for n in ("ID", "TIME", "AMT", "RATE", "EVID", "SS", "II", "ADDL", "LAGT")
    }
    for number, (every, duration, lag) in enumerate(cases):
        for time in (0.0, *TIMES):
            dose = time == 0.0
            said = {
                "ID": number, "TIME": time, "AMT": 100 * dose, "RATE": 100 / duration * dose, "EVID": int(dose),
                "SS": int(dose), "II": every * dose, "ADDL": 2 * dose, "LAGT": lag,
            }  # fmt: skip
            for name, value in said.items():
                rows[name].append(float(value))
    table = kt.EventTable.read(rows, covariates=["LAGT"])
    found = np.array(kt.simulate(load_text(model, "ties.toml"), table)["CP"]).reshape(len(cases), -1)
    for case, row in zip(cases, found, strict=True):
        every, duration, lag = case
        np.testing.assert_allclose(
            row, infused(TIMES, lag, duration, every, 2), rtol=digits, err_msg=str(case)
        )


def test_a_lag_of_the_model_ties_too() -> None:
    lagged = (
        LINEAR.replace('covariates = { LAGT = { unit = "h", reference = 0 } }\n', "")
        .replace('lag = "LAGT"', 'lag = "TLAG", duration = "D1"')
        .replace(
            "V = { value = 20,",
            'TLAG = { value = 11.3, unit = "h" }, D1 = { value = 0.7, unit = "h" }, V = { value = 20,',
        )
    )
    found = kt.simulate(
        load_text(lagged, "lag.toml"), "100 mg iv every 12 h at steady state", times=[1, 24, 100]
    )
    np.testing.assert_allclose(found["CP"][0], [9608.8116, 5247.1263, 80.273201], rtol=1e-7)


def table(text: str) -> dict[str, list[float]]:
    head, *lines = text.split()
    names = head.split(",")
    return {name: [float(line.split(",")[k]) for line in lines] for k, name in enumerate(names)}


@pytest.mark.parametrize("model", [LINEAR, ADAPTIVE], ids=["exact steps", "adaptive steps"])
def test_a_compartment_that_is_off_is_empty_until_a_dose_or_a_record_turns_it_on(model: str) -> None:
    events = table(
        "ID,TIME,AMT,RATE,EVID,CMT 1,0,50,10,1,1 1,1,0,0,2,-1 1,2,0,0,0,1 1,3,0,0,2,1 1,3.5,0,0,0,1 "
        "1,4,30,0,1,1 1,5,0,0,0,1 2,0,50,0,1,1 2,1,0,0,0,-1 2,2,0,0,0,1 2,3,40,0,1,1 2,4,0,0,0,1"
    )
    found = kt.simulate(load_text(model, "off.toml"), kt.EventTable.read(events))["CP"]
    expected = [0, 0, 1500 * np.exp(-K), 2500 * np.exp(-K), 0, 2000 * np.exp(-K)]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_what_would_leak_through_a_compartment_that_is_off_is_refused() -> None:
    two = LINEAR.replace(
        "compartments = { central = {} }", "compartments = { central = {}, deep = {} }"
    ).replace(
        "flows = {",
        'flows = { a = { from = "central", to = "deep", rate = "CL * central / V" }, '
        'b = { from = "deep", to = "central", rate = "CL * deep / V" },',
    )
    events = table("ID,TIME,AMT,EVID,CMT 1,0,50,1,1 1,1,0,2,-1 1,2,0,0,1")
    with pytest.raises(FaultyFile, match="turned off"):
        kt.simulate(load_text(two, "two.toml"), kt.EventTable.read(events))


def test_a_rate_that_no_clock_can_follow_is_a_bolus() -> None:
    model = load_text(LINEAR, "rate.toml")
    at_once = kt.simulate(model, "10 mg iv", times=[1.0])["CP"]
    events = table("ID,TIME,AMT,RATE,EVID 1,0,10,1e308,1 1,1,0,0,0")
    np.testing.assert_allclose(kt.simulate(model, kt.EventTable.read(events))["CP"], at_once[0], rtol=1e-12)


def test_an_endless_infusion_at_steady_state() -> None:
    events = table("ID,TIME,AMT,RATE,EVID,SS,II 1,0,0,10,1,1,0 1,0,0,0,0,0,0 1,2,0,0,0,0,0")
    found = kt.simulate(load_text(LINEAR, "ss.toml"), kt.EventTable.read(events))["CP"]
    np.testing.assert_allclose(found, [1e4 / 1.1, 1e4 / 1.1 * np.exp(-2 * K)], rtol=1e-9)
