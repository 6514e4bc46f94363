"""Non-compartmental analysis: against Phoenix WinNonlin, against closed forms, and what it says of its data."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kinetamine as kt
from kinetamine.errors import FaultyFile, InputError
from kinetamine.nca import names
from kinetamine.nca.profile import METHODS, Rules, area

HERE = Path(__file__).parent / "nca"


@pytest.mark.parametrize(
    ("data", "reference", "more"),
    [
        ("Theoph", "Theoph_Log", {"dose": 320}),
        ("Indometh", "Indometh_Log", {"dose": 25, "route": "bolus"}),
        ("Indometh", "Indometh_Log_Infusion", {"dose": 25, "route": "infusion", "duration": 0.25}),
        ("Indometh", "Indometh_Log_Wrong_Extravascular", {"dose": 25}),
    ],
)
def test_every_value_that_phoenix_prints(data, reference, more):
    found = kt.nca(HERE / f"{data}.csv", **more)
    people = [str(profile.label[0]) for profile in found.curves.profiles]
    with (HERE / f"Final_Parameters_Pivoted_{reference}.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(people)
    compared = 0
    for row in rows:
        mine = found.found[people.index(row.pop("Subject"))]
        for name, printed in row.items():
            if printed:
                digits = len(printed.lstrip("-0.").replace(".", ""))
                assert mine[name] == pytest.approx(float(printed), rel=max(10.0 ** (1 - digits), 1e-12)), name
                compared += 1
    assert compared >= 200


def test_a_bolus_of_one_compartment_in_closed_form():
    t = np.array([0.0, 0.5, 1, 2, 4, 8, 12])
    found = kt.nca(t, 10 * np.exp(-0.3 * t), dose=200, route="bolus")
    expected = {
        "C0": 10, "Lambda_z": 0.3, "HL_Lambda_z": math.log(2) / 0.3, "AUCINF_obs": 10 / 0.3, "AUMCINF_obs": 10 / 0.09,
        "MRTINF_obs": 1 / 0.3, "Cl_obs": 6, "Vz_obs": 20, "Vss_obs": 20, "Rsq_adjusted": 1,
        "AUC_%Extrap_obs": 100 * math.exp(-3.6), "AUClast": (1 - math.exp(-3.6)) / 0.03, "Cmax_D": 0.05,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, rel=1e-9), name
    without_zero = kt.nca(t[1:], 10 * np.exp(-0.3 * t[1:]), dose=200, route="bolus")
    assert without_zero["C0"][0] == pytest.approx(10)
    assert without_zero["AUC_%Back_Ext_obs"][0] == pytest.approx(100 * (1 - math.exp(-0.15)))


def test_partial_areas():
    t = np.array([0.0, 1, 2, 4, 8])
    conc = 10 * np.exp(-0.5 * t)
    rules = Rules(route="bolus", partial=((0, 3), (1.5, 2.5), (3, 20), (10, 12)))
    found = kt.nca(t, conc, rules=rules)
    for low, high in rules.partial:
        exact = 20 * (math.exp(-0.5 * low) - math.exp(-0.5 * high))
        assert found[f"AUC{low:g}_{high:g}"][0] == pytest.approx(exact)
    assert found["AUCINT_0_3"][0] == found["AUC0_3"][0]
    rising = kt.nca([0.0, 1, 2], [0.0, 1, 2], rules=Rules(partial=((0, 1.5), (0, 4))))
    assert rising["AUC0_1.5"][0] == pytest.approx(1.125)
    assert "AUC0_4" not in rising.parameters
    assert any("no area from 0 to 4" in line for line in rising.said())


def test_steady_state():
    k, tau, dose, volume = 0.2, 12.0, 120.0, 30.0
    t = np.array([0.0, 1, 2, 4, 6, 8, 12])
    conc = dose / volume * np.exp(-k * t) / (1 - math.exp(-k * tau))
    found = kt.nca(t, conc, dose=dose, rules=Rules(route="bolus", tau=tau))
    expected = {
        "AUC_TAU": dose / (k * volume), "Cavg": dose / (k * volume * tau), "CLss": k * volume, "Vz": volume,
        "Cmin": conc[-1], "Accumulation_Index": 1 / (1 - math.exp(-k * tau)), "MRTINF_obs": 1 / k,
        "Vss_obs": volume, "Fluctuation%": 100 * (conc[0] - conc[-1]) / (dose / (k * volume * tau)),
        "Swing": conc[0] / conc[-1] - 1,
    }  # fmt: skip
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, rel=1e-9), name


def test_the_terminal_slope_can_be_chosen():
    t = np.array([0.0, 1, 2, 3, 4, 5, 6])
    conc = np.array([0, 10, 8, 5, 4, 2.2, 1.5])
    chosen = kt.nca(t, conc)
    assert chosen["Lambda_z_upper"][0] == 6
    for rules, lower, points in ((Rules(points=4), 3, 4), (Rules(slope_from=2, slope_to=4), 2, 3)):
        found = kt.nca(t, conc, rules=rules)
        assert (found["Lambda_z_lower"][0], found["No_points_lambda_z"][0]) == (lower, points)
        used = (t >= lower) & (t <= found["Lambda_z_upper"][0])
        assert found["Lambda_z"][0] == pytest.approx(-np.polyfit(t[used], np.log(conc[used]), 1)[0])
    flat = kt.nca([0, 1, 2, 3, 4], [0, 1, 2, 2, 2.5])
    assert "Lambda_z" not in flat.parameters
    assert "no terminal slope" in flat.said()[-1]


def test_values_below_the_limit():
    data = {"TIME": [0, 1, 2, 3, 4, 5, 6], "CONC": ["BLQ", "4", "<0.5", "2", "1", "bql", "."]}
    found = kt.nca(data)
    assert found["Tlast"][0] == 4
    assert found["AUCall"][0] == pytest.approx(found["AUClast"][0] + 0.5)
    assert sum("below the limit" in line for line in found.said()) == 3
    assert any("1 rows without a value left out" in line for line in found.said())
    by_number = kt.nca({"TIME": [0, 1, 2, 3, 4, 5], "DV": [0.1, 4, 0.2, 2, 1, 0.3]}, lloq=0.5)
    by_mark = kt.nca({"TIME": [0, 1, 2, 3, 4, 5], "DV": [0.5, 4, 0.5, 2, 1, 0.5], "CENS": [1, 0, 1, 0, 0, 1]})
    assert by_number["AUCall"] == by_mark["AUCall"] == found["AUCall"]
    half = kt.nca(data, rules=Rules(blq_first="drop", blq_between=0.25, blq_last="drop"))
    assert half["AUClast"][0] < found["AUClast"][0]
    assert half["AUCall"][0] == half["AUClast"][0]


def test_groups_doses_and_units():
    frame = pl.DataFrame(
        {
            "ID": [1] * 5 + [2] * 5 + [1] * 5,
            "TRT": ["A"] * 10 + ["B"] * 5,
            "TIME": [0, 0, 1, 2, 4] * 3,
            "AMT": [100, 0, 0, 0, 0, 50, 0, 0, 0, 0, 100, 0, 0, 0, 0],
            "EVID": [1, 0, 0, 0, 0] * 3,
            "DV": [0, 0, 800, 400, 100, 0, 0, 400, 200, 50, 0, 0, 1600, 800, 200],
        }
    )
    found = kt.nca(frame, group="TRT", units=("h", "ng/mL", "mg"), rules=Rules(slope_from=1))
    assert len(found) == 3
    assert found.curves.names == ("ID", "TRT")
    # 100 mg and an area in h ng/mL are litres
    auc = found["AUCINF_obs"]
    assert found["Cl_F_obs"] == pytest.approx(1000 * np.array([100, 50, 100]) / auc)
    assert found.unit("Cl_F_obs") == "L/h"
    table = found.summary().filter(pl.col("parameter") == "AUCINF_obs")
    assert table["TRT"].to_list() == ["A", "B"]
    assert table["n"].to_list() == [2, 1]
    assert table["geometric_mean"][0] == pytest.approx(math.sqrt(auc[0] * auc[1]))
    spread = np.log(auc[:2]).var(ddof=1)
    assert table["geometric_cv_percent"][0] == pytest.approx(100 * math.sqrt(math.expm1(spread)))
    assert {column.name: column.use for column in found.account}["TRT"] == "used"
    assert kt.nca(frame.filter(pl.col("TRT") == "A"), dose={1: 10, 2: 10})["Cmax_D"].tolist() == [80, 40]


def test_the_last_of_several_doses_or_another():
    data = {
        "TIME": [0, 1, 2, 3, 24, 25, 26, 27],
        "AMT": [10, 0, 0, 0, 20, 0, 0, 0],
        "DV": [None, 4, 2, 1, None, 8, 4, 2],
    }
    last, first = kt.nca(data), kt.nca(data, after_dose=1)
    assert (last["Cmax"][0], first["Cmax"][0]) == (8, 4)
    assert last["Tmax"][0] == first["Tmax"][0] == 1
    assert any("dose 2 of 2" in line for line in last.said())
    assert any("3 values before this dose or after the next left out" in line for line in last.said())
    with pytest.raises(InputError):
        kt.nca(data, after_dose=3)
    label = kt.nca({"Subject": [1, 1, 1], "Time": [0, 1, 2], "Dose": [4, 4, 4], "conc": [0, 3, 1]})
    assert label["Cmax_D"][0] == 0.75
    infused = kt.nca({"TIME": [0, 0, 1, 2, 3, 4], "AMT": [10, 0, 0, 0, 0, 0], "TINF": [0.5, 0, 0, 0, 0, 0],
                      "DV": [None, 0, 4, 3, 2, 1]})  # fmt: skip
    assert infused.rules.route == "infusion"


def test_what_is_wrong_is_told_at_once():
    data = {"ID": [1, 1, 1], "TIME": [0, 1, 1], "DV": [0, -3, 2]}
    with pytest.raises(FaultyFile) as error:
        kt.nca(data)
    assert len(error.value.faults) == 2
    for wrong, more in (
        ({"TIME": [0, 1]}, {}),
        ({"ID": [1, 1], "TIME": [1, 0], "DV": [1, 1]}, {}),
        ({"TIME": [0, 1], "DV": ["x", 1]}, {}),
        ({"TIME": [0, 1], "DV": [1, 2]}, {"route": "nasal"}),
        ({"TIME": [0, 1], "DV": [1, 2]}, {"route": "infusion"}),
        ({"TIME": [0, 1], "DV": [1, 2]}, {"dose": -1}),
        ({"TIME": [0, 1], "DV": [1, 2]}, {"lloq": 0}),
        ({"TIME": [0, 1], "DV": [1, 2]}, {"group": "TRT"}),
        ({"TIME": [0, 1], "DV": [None, None]}, {}),
    ):
        with pytest.raises(InputError):
            kt.nca(wrong, **more)
    for wrong in (
        {"method": "cubic"},
        {"points": 1},
        {"partial": ((4, 1),)},
        {"tau": 0},
        {"blq_last": "half"},
    ):
        with pytest.raises(InputError):
            Rules(**wrong)


def test_out(tmp_path):
    found = kt.nca(HERE / "Theoph.csv", dose=320)
    found.write(tmp_path / "nca.csv")
    again = pl.read_csv(tmp_path / "nca.csv")
    assert again["AUClast"].to_list() == found["AUClast"].tolist()
    assert "AUCLST" in found.to_polars("cdisc").columns
    told = json.loads(found.to_json())
    assert told["cdisc"]["Cl_F_obs"] == "CLFO"
    assert len(told["curves"]) == 12
    assert {row["parameter"] for row in told["summary"]} == set(found.parameters)
    assert [column["name"] for column in told["columns"]] == ["ID", "TIME", "AMT", "DV", "EVID", "WT", "MDV"]
    with pytest.raises(InputError):
        found.write(tmp_path / "nca.xlsx")
    assert found.as_result().outputs["concentration"].grade == "observed"
    assert len({names.cdisc(name) for name in found.parameters}) == len(found.parameters)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 50), st.floats(0.001, 1e4)), min_size=1, max_size=12),
    st.sampled_from(METHODS),
    st.sampled_from(["extravascular", "bolus"]),
)
def test_areas_of_any_curve(points, method, route):
    time = np.cumsum([step for step, _ in points])
    conc = np.array([value for _, value in points])
    found = kt.nca(time, conc, route=route, dose=10, rules=Rules(route=route, method=method))
    one = found.found[0]
    whole, _ = area(np.append(0.0, time), np.append(one.get("C0", 0.0), conc), method)
    assert one["AUClast"] == pytest.approx(whole)
    assert one["Cmax"] == conc.max()
    if "Lambda_z" in one:
        assert one["Lambda_z"] > 0
        assert one["AUCINF_obs"] >= one["AUClast"]
    # stretched time stretches the area
    twice = kt.nca(2 * time, conc, route=route, dose=10, rules=Rules(route=route, method=method)).found[0]
    assert twice["AUClast"] == pytest.approx(2 * one["AUClast"], rel=1e-9)


def test_the_command(tmp_path, capsys):
    from kinetamine.cli import app

    path, table = tmp_path / "out.csv", HERE.parent.parent / "examples" / "concentrations.csv"
    assert app.run(["nca", str(table), "--partial", "0-4", "--out", str(path)]) == 0
    again = pl.read_csv(path)
    assert again["AUClast"][0] == pytest.approx(147.2347485, rel=1e-9)
    assert "AUC0_4" in again.columns
    assert "not used: WT" in capsys.readouterr().err
    assert app.run(["nca", str(table), "--blq", "zero"]) == 2
