"""Event tables as the field writes them: what each column is taken for, and that none is passed over in silence."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import kinetamine as kt
from kinetamine.dosing.table_options import in_python, on_command_line
from kinetamine.dosing.tables import EventTable
from kinetamine.errors import FaultyFile, InputError
from kinetamine.models.library import load

MODEL = load(Path(__file__).parent.parent / "examples" / "my_model.toml")
RACEMIC = load("kamp_2020_meta_racemic")


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "table.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def told(call, *args, **options) -> list[str]:
    with pytest.raises(FaultyFile) as error:
        call(*args, **options)
    return [str(fault) for fault in error.value.faults]


def uses(table: EventTable) -> dict[str, str]:
    return {column.name: column.meaning or column.use for column in table.account}


# -- tables that users sent -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID,TIME,AMT,EVID,CMT,WT\n7,0,100,1,2,140\n7,1,0,0,2,140\n", [178.59]),
        ("ID,TIME,AMT,TINF,CMT\n7,0,100,1,2\n7,1,.,.,2\n", [412.10]),
        ("USUBJID,TIME,AMT,EVID,CMT\nP1,0,100,1,2\nP1,1,0,0,2\nP2,1,50,1,2\nP2,2,0,0,2\n", [335.16, 167.58]),
        ("@ID,TIME,AMT,CMT\n7,0,100,2\n7,1,.,2\n8,1,50,2\n8,2,.,2\n", [335.16, 167.58]),
        ("ID,TIME,DOSE,CMT\n7,0,100,2\n7,1,.,2\n", [335.16]),
        ("#ID,TIME,AMT,CMT,DV\n7,0,100,2,.\n7,1,.,2,3\n", [335.16]),
        ("ID,TIME,AMT,CMT,DV,PRED,DV\n7,0,100,2,0,0,0\n7,1,.,2,3,2,3\n", [335.16]),
    ],
)
def test_tables_are_read_as_meant(write, text, expected):
    table = EventTable.for_model(write(text), MODEL)
    assert kt.simulate(MODEL, table)["ketamine"].round(2).tolist() == expected
    assert len(table.account) == len(text.split("\n")[0].split(","))


def test_a_missing_weight_is_no_weight_of_minus_99(write):
    path = write("ID,TIME,AMT,weight\n7,0,100,-99\n7,1,.,-99\n")
    for model, expected in ((RACEMIC, "0.5 to 350 kg"), (MODEL, "a number above 0")):
        faults = told(EventTable.for_model, path, model, say=on_command_line)
        assert faults == [
            f"line {n}: got weight -99 kg; expected {expected}; "
            "try '.' where it is not known, or --missing -99"
            for n in (2, 3)
        ]
    table = EventTable.for_model(path, MODEL, missing=-99)
    assert np.isnan(table.columns["weight"]).all()
    assert table.told({"weight": "70 kg"})[-1] == "table.csv: no value of weight: 70 kg taken"
    # every door: a table that was read without the model is held to it when the two meet
    heavy = EventTable.read({"TIME": [0, 1], "AMT": [5, 0], "WT": [70, 400]}, ["weight"])
    assert told(heavy.check, RACEMIC) == [
        "line 2: got weight 400 kg; expected 0.5 to 350 kg; try '.' where it is not known"
    ]


def test_time_that_falls_and_its_cure(write):
    path = write("ID,TIME,AMT,CMT\n7,1,100,2\n7,0,.,2\n7,2,.,2\n")
    assert "line 3: got TIME 0 after 1" in told(EventTable.for_model, path, MODEL, say=on_command_line)[0]
    assert told(EventTable.for_model, path, MODEL, say=on_command_line)[0].endswith("try --sort")
    assert EventTable.for_model(path, MODEL, sort=True).time_h.tolist() == [0, 1, 2]
    no_id = told(EventTable.read, {"TIME": [0, 1, 0], "AMT": [3, 0, 3]})
    assert "a column ID if another person begins here" in no_id[0]


# -- names ----------------------------------------------------------------------------------------------


def test_every_column_is_used_or_reported():
    data = {"ID": [1, 1], "TIME": [0, 1], "AMT": [5, 0], "DV": [0, 3], "BW": [70, 70], "note": ["a", "b"]}
    table = EventTable.read(data, ["weight"], carry=["DV"])
    assert uses(table) == {
        "ID": "ID", "TIME": "TIME", "AMT": "AMT", "DV": "carried", "BW": "weight", "note": "not used",
    }  # fmt: skip
    assert table.carried["DV"].to_list() == [0, 3]
    assert table.told() == ["events: used ID, TIME, AMT, BW as weight; carried DV; not used: note"]
    assert table.to_dict()["columns"][4] == {
        "name": "BW", "number": 5, "use": "used", "meaning": "weight", "note": "",
    }  # fmt: skip
    assert "carry: got 'DVX'" in told(EventTable.read, data, carry=["DVX"])[0]


@pytest.mark.parametrize("name", ["WT", "wt", "BW", "Weight", "BODYWEIGHT", "WT (kg)", "weight_kg"])
def test_words_for_weight(name):
    table = EventTable.read({"TIME": [0], "AMT": [5], name: [80]}, ["weight"])
    assert table.columns["weight"].tolist() == [80]
    other = EventTable.read({"TIME": [0], "AMT": [5], name: [80]}, ["WT"])
    assert other.columns["WT"].tolist() == [80]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("SUBJ", "ID"), ("USUBJID", "ID"), ("CID", "ID"), ("Subject", "ID"), ("TINF", "DUR"), ("DUR", "DUR"),
        ("DOSE", "AMT"), ("EVTYPE", "EVID"), ("TAU", "II"), ("ROUTE", "CMT"), ("AMOUNT", "AMT"),
    ],
)  # fmt: skip
def test_other_names_of_columns(name, meaning):
    value = {"CMT": ["iv", None], "EVID": [1, 0], "AMT": [5, None], "ID": ["a", "a"]}.get(meaning, [1, 0])
    data = {"TIME": [0, 1], name: value} | ({"AMT": [5, 0]} if meaning != "AMT" else {})
    if meaning == "II":
        data["ADDL"] = [1, 0]
    assert uses(EventTable.read(data))[name] == meaning


def test_a_near_name_is_a_fault_with_both_ways_out():
    data = {"ID": [1, 1], "TIME": [0, 1], "AMT": [5, 0]}
    for name in ("WEIGTH", "weight2", "WTBL", "body-weight"):
        faults = told(EventTable.read, data | {name: [80, 80]}, ["weight"], say=on_command_line)
        assert f"--rename {name}=weight, or --rename {name}=DROP" in faults[0]
        assert EventTable.read(data | {name: [80, 80]}, ["weight"], rename={name: "drop"}).absent == (
            "weight",
        )
    assert "rename={'EVIDE': 'EVID'}" in told(EventTable.read, data | {"EVIDE": [1, 0]})[0]
    assert "rename={'DOSES': 'AMT'}" in told(EventTable.read, {"TIME": [0], "DOSES": [1]})[0]
    assert (
        EventTable.read(data | {"PRED": [1, 2], "TAD": [0, 1], "STUDY": [1, 1]}, ["weight"]).n_subjects == 1
    )


def test_people_are_not_merged():
    data = {"TIME": [0, 1, 2], "AMT": [5, 0, 5]}
    faults = told(EventTable.read, data | {"ID": [1, 1, 1], "USUBJID": ["a", "a", "b"]})
    assert "row 3: got USUBJID b after a within ID 1" in faults[0]
    assert EventTable.read(data | {"ID": [1, 1, 2], "USUBJID": ["a", "a", "b"]}).n_subjects == 2
    assert (
        "STUDY 2 after 1 within ID 1"
        in told(EventTable.read, data | {"ID": [1, 1, 1], "STUDY": [1, 1, 2]})[0]
    )
    assert "PATNO and no ID" in told(EventTable.read, data | {"PATNO": [1, 1, 2]})[0]
    assert "RATID and no ID" in told(EventTable.read, data | {"RATID": [1, 1, 2]})[0]
    # numbers of 17 digits, and 1.1 beside 1.10, are other people
    long = ["10000000000000001", "10000000000000001", "10000000000000002"]
    assert EventTable.read(data | {"ID": long}).n_subjects == 2
    assert "ID 1.10 after 1.1" in told(EventTable.read, data | {"ID": ["1.1", "1.1", "1.10"]})[0]


def test_two_columns_for_one_thing():
    data = {"TIME": [0, 1], "AMOUNT": [5, 0]}
    assert EventTable.read(data | {"DOSE": [5, 0]}).amount.tolist() == [5, 0]
    assert "AMOUNT 0 and DOSE 5" in told(EventTable.read, data | {"DOSE": [5, 5]})[0]
    table = EventTable.read({"TIME": [0, 1], "AMT": [5, 0], "DOSE": [5, 5]})
    assert uses(table)["DOSE"] == "not used"
    assert EventTable.read({"TIME": [0, 1], "DOSE": [5, 5], "EVID": [1, 0]}).amount.tolist() == [5, 0]
    assert "a DOSE on every row" in told(EventTable.read, {"TIME": [0, 1], "DOSE": [5, 5]})[0]
    assert EventTable.read({"TIME": [0, 1], "AMT": [5, 5]}).amount.tolist() == [5, 5]


def test_a_table_without_a_dose(write):
    assert "no dose: no AMT among" in told(EventTable.for_model, {"ID": [1], "TIME": [0]}, MODEL)[0]
    nothing = {"TIME": [0, 1], "AMT": [0, None], "CMT": [2, 2]}
    assert "AMT is 0 or missing" in told(EventTable.for_model, nothing, MODEL)[0]
    assert len(EventTable.for_model(nothing, MODEL, no_dose=True)) == 2
    assert "no dose" in told(EventTable.read({"TIME": [0]}).check, MODEL)[0]
    assert EventTable.read({"TIME": [0, 1], "AMT": [0, 0], "EVID": [1, 0]}, zero_dose=True).evid.tolist() == [
        1,
        0,
    ]


def test_sex_in_words():
    data = {"TIME": [0, 1], "AMT": [5, 0], "SEX": ["F", "male"]}
    table = EventTable.read(data, ["sex"])
    assert table.columns["sex"].tolist() == [0, 1]
    assert "female" in str(table.account[2]) or "f is 0" in str(table.account[2])
    assert len(told(EventTable.read, data | {"SEX": [1, 2]}, ["sex"])) == 1


# -- units, clocks, dates -------------------------------------------------------------------------------


def test_units_in_the_header():
    table = EventTable.read({"TIME (min)": [0, 90], "AMT [ug]": [500, 0], "WT (lb)": [100, 100]}, ["weight"])
    assert table.time_h.tolist() == [0, 1.5]
    assert table.amount.tolist() == [0.5, 0]
    assert table.columns["weight"] == pytest.approx([45.359237] * 2)
    assert EventTable.read({"TIME": [0, 1], "AMT_mg": [5, 0], "TINF_min": [30, 0]}).duration_h.tolist() == [
        0.5,
        0,
    ]


def test_clock_times_count_from_the_first_record():
    table = EventTable.read(
        {"ID": [1, 1, 2, 2], "TIME": ["8:30", "10:00", "9:00", "21:15:36"], "AMT": [5, 0, 5, 0]}
    )
    assert table.time_h == pytest.approx([0, 1.5, 0, 12.26])
    assert table.said == ("TIME is a clock, in h from the first record",)
    assert EventTable.read({"TIME": ["11:00 am", "1:00 PM"], "AMT": [5, 0]}).time_h.tolist() == [0, 2]
    faults = told(EventTable.read, {"TIME": ["23:00", "7:00"], "AMT": [5, 0]})
    assert "TIME -16 after 0" in faults[0]


@pytest.mark.parametrize(
    ("name", "dates"),
    [
        ("DATE", ["2/28/2024", "3/1/2024"]), ("DATE", ["02-28-24", "03-01-24"]), ("DAT1", ["28/2/24", "1/3/24"]),
        ("DAT2", ["2024-2-28", "2024-3-1"]), ("DAT3", ["2024/28/2", "2024/1/3"]), ("DATE", ["2024-02-28", "2024-3-1"]),
        ("DAT1", ["28FEB2024", "01-Mar-2024"]), ("DAT2", ["20240228", "20240301"]), ("DATE", ["1", "3"]),
    ],
)  # fmt: skip
def test_dates(name, dates):
    table = EventTable.read({name: dates, "TIME": ["23:00", "1:00"], "AMT": [5, 0]})
    assert table.time_h.tolist() == [0, 26]


def test_dates_that_cannot_be():
    data = {"TIME": ["8:00", "9:00"], "AMT": [5, 0]}
    faults = told(EventTable.read, data | {"DATE": ["13/4/2024", "13/4/2024"]}, say=on_command_line)
    assert "expected a date, month/day/year; try --rename DATE=DAT1 for day/month/year" in faults[0]
    assert len(faults) == 2
    elapsed = {"TIME": [0, 30], "AMT": [5, 0], "DATE": ["1/1/2024", "1/2/2024"]}
    assert "TIME 30 on the day of DATE" in told(EventTable.read, elapsed)[0]
    assert EventTable.read(elapsed, rename={"DATE": "DROP"}).time_h.tolist() == [0, 30]


def test_moments():
    table = EventTable.read({"TIME": ["2024-02-28T23:00", "2024-02-29 01:30:00"], "AMT": [5, 0]})
    assert table.time_h.tolist() == [0, 2.5]
    day = datetime.datetime(2024, 2, 28, 23)
    frame = pl.DataFrame({"TIME": [day, day + datetime.timedelta(hours=26)], "AMT": [5, 0]})
    assert EventTable.read(frame).time_h.tolist() == [0, 26]


# -- rows -----------------------------------------------------------------------------------------------


def test_lines_and_rows_left_out_are_told(write):
    text = "ID TIME AMT DV\n1 0 5 .\n# a remark\n1 1 0 3\n@ another\n1 2 0 0\n"
    table = EventTable.read(write(text), ignore=["@", "DV.EQ.0"])
    assert table.time_h.tolist() == [0, 1]
    assert table.said == (
        "2 comment lines left out (lines 4, 6)",
        "1 rows left out by DV.EQ.0 (lines 7)",
    ) or ("comment lines left out" in table.said[0] and "DV.EQ.0" in table.said[1])
    numbers = {"ID": [1, 1, 2], "TIME": [0, 1, 0], "AMT": [5, 0, 5], "OCC": [1, 2, 1]}
    assert EventTable.read(numbers, accept="(ID=2)").n_records == 1
    assert EventTable.read(numbers, ignore="ID>1").n_records == 2
    assert EventTable.read(numbers, ignore="(ID.GT.1, TIME==1)").n_records == 1
    for wrong in ("ID ? 3", "XX=3", "ID>a"):
        with pytest.raises(InputError):
            EventTable.read(numbers, ignore=wrong)


def test_files_without_a_header(write):
    path = write("1,0,5,70\n1,1,.,70\n")
    assert "columns='ID TIME AMT EVID'" in told(EventTable.read, path)[0]
    table = EventTable.read(path, ["weight"], columns="ID TIME AMT WT")
    assert table.columns["weight"].tolist() == [70, 70]
    headed = EventTable.read(write("C HEAD X Y\n1 0 5 70\n"), ["weight"], columns="ID TIME AMT WT")
    assert "line 1 passed over" in headed.said[0]


def test_files_of_other_systems(write):
    text = "ID\tTIME\tAMT\r\n1\t0\t5\r\n1\t1\t.\r\n"
    for data in (text.encode("utf-16"), b"\xef\xbb\xbf" + text.encode(), text.replace("\r\n", "\r").encode()):
        assert EventTable.read(write(data)).time_h.tolist() == [0, 1]


def test_where_doses_go(write):
    data = {"TIME": [0, 1], "AMT": [5, 0]}
    assert EventTable.for_model(data, MODEL, cmt="iv").cmt.tolist() == ["iv", None]
    numbered = data | {"CMT": [7, 2]}
    assert "cmt={'7': 'oral'}" in told(EventTable.for_model, numbered, MODEL)[0]
    assert EventTable.for_model(numbered, MODEL, cmt={7: "oral"}).cmt.tolist() == ["oral", 2]
    off = {"TIME": [0, 1, 2, 3], "AMT": [5, 0, 0, 0], "EVID": [1, 2, 0, 2], "CMT": [2, -2, 2, 2]}
    assert EventTable.for_model(off, MODEL).cmt.tolist() == [2, -2, 2, 2]
    assert "CMT '-2'" in told(EventTable.for_model, off | {"CMT": [-2, 2, 2, 2]}, MODEL)[0]
    assert "CMT '-9'" in told(EventTable.for_model, off | {"CMT": [2, -9, 2, 2]}, MODEL)[0]
    seen = EventTable.for_model(data | {"CMT": [2, 99]}, MODEL)
    assert "CMT 99 is none of the model's" in seen.said[0]


def test_options_are_checked_and_named_by_each_face():
    data = {"TIME": [0], "AMT": [5]}
    for wrong in ({"sorted": True}, {"rename": "WT"}, {"time_unit": "month"}, {"carry": 3}, {"ignore": [3]}):
        with pytest.raises(InputError):
            EventTable.read(data, **wrong)
    assert in_python("missing", -99) == "missing=-99"
    assert on_command_line("zero_dose", True) == "--zero-dose"
    assert on_command_line("columns", "ID TIME") == "--columns 'ID TIME'"


def test_categories_of_a_model():
    class Form:
        unit, range, values, reference = "1", None, (0, 1), 0
        categories = ("tablet", "solution")

    data = {"TIME": [0, 1, 2], "AMT": [5, 0, 0], "form": ["Tablet", "solution", "."]}
    table = EventTable.read(data, {"form": Form()})
    np.testing.assert_array_equal(table.columns["form"], [0, 1, np.nan])
    assert uses(table)["form"] == "form"
    faults = told(EventTable.read, data | {"form": ["tablet", "drops", "1"]}, {"form": Form()})
    assert faults == ["row 2: got form 'drops'; expected tablet or solution; try tablet"]


def test_the_account_goes_with_the_result():
    heard: list[str] = []
    table = EventTable.for_model(
        {"ID": [7, 7], "TIME": [0, 1], "AMT": [100, 0], "CMT": [2, 2], "X": [1, 2]}, MODEL
    )
    result = kt.simulate(MODEL, table, notify=heard.append)
    expected = ["events: used ID, TIME, AMT, CMT; not used: X", "events: no column of weight: 70 kg taken"]
    assert heard == expected
    assert result.birth["table"]["told"] == expected
    assert list(result.notes[:2]) == expected
    assert [column["use"] for column in result.birth["table"]["columns"]] == ["used"] * 4 + ["not used"]
    ashraf = load("ashraf_2018_semimechanistic_ticlopidine")  # in people of 50 to 88 kg
    for weights, grade in (([60, 88], "fitted"), ([60, 138], "extrapolated")):
        rows = {"ID": [7, 7], "TIME": [0, 1], "AMT": [20, 0], "CMT": ["oral", None], "weight": weights}
        graded = kt.simulate(ashraf, EventTable.for_model(rows, ashraf))
        assert {output.grade for output in graded.outputs.values()} == {grade}
    twice = kt.simulate(MODEL, ["10 mg iv", "10 mg iv"], times=[1.0], notify=heard.append)
    assert heard[-1] == twice.birth["said"][0] == "2 doses iv at 0 h: 10 mg, 10 mg"
