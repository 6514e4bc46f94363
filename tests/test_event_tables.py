"""Event tables: what is read, what is refused and named, and the way out to other programs."""

from __future__ import annotations

import os
import time

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinetamine.dosing.regimen import Regimen
from kinetamine.dosing.tables import EventTable
from kinetamine.errors import DoseError, FaultyFile, InputError, UnknownName

HEADER = "ID,TIME,AMT,RATE,EVID,CMT,ADDL,II,SS"


@pytest.fixture
def read(tmp_path):
    """Write a text to a file and read it as a table."""

    def read(text: str | bytes, **options) -> EventTable:
        path = tmp_path / "events.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return EventTable.read(path, **options)

    return read


def faults_of(call, *args, **options) -> list[str]:
    with pytest.raises(FaultyFile) as error:
        call(*args, **options)
    assert "\n" not in str(error.value)
    return [str(fault) for fault in error.value.faults]


def same(a: EventTable, b: EventTable) -> bool:
    return (
        a.to_polars()
        .with_columns(pl.col("ID").cast(pl.String))
        .equals(b.to_polars().with_columns(pl.col("ID").cast(pl.String)))
    )


# -- what is read ---------------------------------------------------------------------------------------


def test_columns_and_their_defaults(read):
    table = read("ID,TIME,AMT,Weight,note\n7,0,35,70,x\n7,1.5,0,.,y\n9,0,10,80,\n", covariates=["weight"])
    assert table.id == ["7", "7", "9"]
    assert table.subject_ids == ["7", "9"]
    assert table.subject.tolist() == [0, 0, 1]
    assert (len(table), table.n_records, table.n_subjects) == (3, 3, 2)
    assert table.first_row.tolist() == [0, 2]
    assert table.time_h.tolist() == [0, 1.5, 0]
    assert table.evid.tolist() == [1, 0, 1]
    assert table.mdv.tolist() == [1, 0, 1]
    assert table.is_dose.tolist() == [True, False, True]
    assert table.is_observation.tolist() == [False, True, False]
    assert table.cmt.tolist() == [None] * 3
    assert table.occasion is None
    np.testing.assert_array_equal(table.columns["weight"], [70, np.nan, 80])
    assert table.ignored == ("note",)
    assert table.line.tolist() == [2, 3, 4]
    assert table.source == "events.csv"
    for name in ("rate", "duration_h", "ii_h", "addl", "ss"):
        assert not getattr(table, name).any()


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "   "])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_separators_and_line_ends(read, separator, newline):
    rows = ["id", "Time", "aMt", "evid"], ["1", "0", "1e1", "1"], ["1", ".5", ".", "0"]
    table = read(newline.join(separator.join(row) for row in rows) + newline)
    assert table.time_h.tolist() == [0, 0.5]
    assert table.amount.tolist() == [10, 0]


def test_files_as_other_programs_write_them(read):
    byte_order_mark = b"\xef\xbb\xbf"
    assert read(byte_order_mark + b"ID,TIME,AMT\n1,0,3\n").n_subjects == 1
    quoted = read('"ID","TIME","AMT"\n"a, b",0,3\n"a, b",1,NA\n')
    assert quoted.id == ["a, b", "a, b"]
    nonmem = read("TABLE NO.  1\n ID          TIME        AMT\n  1.0000E+00  0.0000E+00  1.0000E+02\n")
    assert nonmem.amount.tolist() == [100]
    indexed = read("\tID\tTIME\tAMT\n0\t1\t0\t3\n1\t1\t1\t0\n")  # pandas, with its index
    assert indexed.time_h.tolist() == [0, 1]
    assert indexed.ignored == ()
    gaps = read("# made today\n\nID,TIME,AMT\n\n1,0,3\n,,\n# half way\n1,1,0\n\n")
    assert gaps.line.tolist() == [5, 8]


def test_rows_marked_c_are_left_out(read):
    text = "C,ID,TIME,AMT\n.,1,0,3\nC,1,0,-1\n,1,1,0\n0,1,2,0\n"
    assert read(text).time_h.tolist() == [0, 1, 2]
    assert faults_of(read, "C,ID,TIME\nC,1,0\n")[0].startswith("table: got only rows marked C")
    assert "line 3: got C 'x'" in faults_of(read, "C,TIME\n.,0\nx,1\n")[0]
    assert read("C,TIME\n3,0\n4,1\n", covariates=["C"]).columns["C"].tolist() == [3, 4]


def test_missing_evid_is_derived():
    table = EventTable.read(
        {
            "TIME": [0, 1, 2, 3, 4],
            "AMT": [5, 0, None, 0, 0],
            "RATE": [0, 0, 0, 0, 3],
            "SS": [0, 0, 0, 0, 1],
            "MDV": [1, 0, 0, 1, 1],
        }
    )
    assert table.evid.tolist() == [1, 0, 0, 2, 1]
    table = EventTable.read({"TIME": [0, 1, 2], "AMT": [5, 0, 0], "EVID": [".", 3, None]})
    assert table.evid.tolist() == [1, 3, 0]
    assert table.mdv.tolist() == [1, 1, 0]


def test_every_kind_of_dose(read):
    table = read(
        f"{HEADER}\n"
        "1,0,100,0,1,1,3,24,0\n"
        "1,1,100,10,1,2,0,0,0\n"
        "1,2,100,-1,1,2,0,0,0\n"
        "1,3,100,-2,1,2,2,12,1\n"
        "1,4,0,100,1,2,0,0,1\n"
        "1,5,100,2,4,2,0,12,2\n"
        "1,3,0,0,3,0,0,0,0\n"
        "1,3,100,0,1,0,0,0,0\n"
    )
    assert table.rate.tolist() == [0, 10, -1, -2, 100, 2, 0, 0]
    assert table.addl.tolist() == [3, 0, 0, 2, 0, 0, 0, 0]
    assert table.ii_h.tolist() == [24, 0, 0, 12, 0, 12, 0, 0]
    assert table.ss.tolist() == [0, 0, 0, 1, 1, 2, 0, 0]
    assert table.evid.tolist() == [1, 1, 1, 1, 1, 4, 3, 1]
    assert table.cmt.tolist() == [1, 2, 2, 2, 2, 2, None, None]


def test_dur_is_a_duration_of_its_own():
    table = EventTable.read({"TIME": [0, 1], "AMT": [35, 0], "DUR": [0.5, 0]})
    assert (table.duration_h.tolist(), table.rate.tolist()) == ([0.5, 0], [0, 0])


def test_units_of_a_table():
    data = {"TIME": [0, 90], "AMT": [3, 0], "RATE": [2, 0], "II": [60, 0], "ADDL": [3, 0]}
    table = EventTable.read(data, time_unit="min", amount_unit="g")
    assert table.time_h.tolist() == [0, 1.5]
    assert table.amount.tolist() == [3000, 0]
    assert table.rate.tolist() == pytest.approx([120_000, 0])
    assert table.ii_h.tolist() == [1, 0]
    days = EventTable.read({"TIME": [0], "AMT": [3], "RATE": [-2]}, time_unit="d")
    assert days.rate.tolist() == [-2]
    for wrong in ({"time_unit": "month"}, {"amount_unit": "kg"}, {"time_unit": None}):
        with pytest.raises(InputError):
            EventTable.read(data, **wrong)


def test_compartments_and_entries_by_name(read):
    names = {"entries": ["iv", "nasal", "oral film"], "compartments": ["depot", "central"]}
    text = "TIME,AMT,CMT\n0,3,IV\n1,0,2\n2,3,Central\n3,3,Intranasal\n4,3,0\n5,3,.\n6,3,2.0\n7,3,Oral Film\n"
    text += "8,0,99\n"  # where an observation is made is the model's business
    table = read(text, **names)
    assert table.cmt.tolist() == ["iv", 2, "central", "nasal", None, None, 2, "oral film", 99]
    told = faults_of(read, "TIME,AMT,CMT\n0,3,im\n1,3,3\n2,3,centrel\n3,3,1.5\n4,3,-2\n5,0,im\n", **names)
    assert [fault[:6] for fault in told] == [f"line {i}" for i in range(2, 7)]
    assert "try central" in told[2]
    assert "a number from 1 to 2 or one of iv, nasal, oral film, depot, central" in told[0]
    assert read("TIME,AMT,CMT\n0,3,gut\n").cmt.tolist() == ["gut"]
    assert len(faults_of(read, "TIME,AMT,CMT\n0,3,1.5\n0,3,-1\n0,3,gut\n")) == 2


def test_occasions():
    assert EventTable.read({"TIME": [0, 1], "OCC": [1, 2]}).occasion.tolist() == [1, 2]
    assert len(faults_of(EventTable.read, {"TIME": [0, 1, 2], "OCC": [1.5, None, 1.0]})) == 2


def test_covariates_and_dose_fields_keep_the_models_names(read):
    text = "TIME,WT,Age,SPRAYS,LAGT\n0,70,40,3,0\n1,80,.,,1\n"
    table = read(text, covariates=["age", "weight"], dose_fields=["sprays"], rename={"wt": "weight"})
    assert list(table.columns) == ["weight", "age", "sprays"]
    np.testing.assert_array_equal(table.columns["sprays"], [3, np.nan])
    assert table.ignored == ("LAGT",)
    with pytest.raises(UnknownName, match="WGHT"):
        read(text, rename={"WGHT": "weight"})
    assert read("TIME,DOSE\n0,3\n", rename={"DOSE": "AMT"}).amount.tolist() == [3]


def test_the_same_table_from_every_source(read, tmp_path):
    pd = pytest.importorskip("pandas")
    data = {
        "ID": ["a", "a", "b"],
        "TIME": [0.0, 1, 0],
        "AMT": [3.0, 0, 4],
        "CMT": ["iv", None, "iv"],
        "W": [1.5, 2, 3],
    }
    frame = pl.DataFrame(data)
    frame.write_csv(tmp_path / "t.csv")
    tables = [
        EventTable.read(source, covariates=["w"])
        for source in (
            data,
            frame,
            frame.lazy(),
            pd.DataFrame(data),
            tmp_path / "t.csv",
            str(tmp_path / "t.csv"),
        )
    ]
    for table in tables:
        assert same(table, tables[0])
        assert table.id == data["ID"]
    nullable = pd.DataFrame({"TIME": [0, 1], "AMT": pd.array([3, None], dtype="Int64"), "ID": [4, 4]})
    assert EventTable.read(nullable).amount.tolist() == [3, 0]
    assert EventTable.read(nullable).id == [4, 4]


def test_ids(read):
    assert read("TIME,AMT\n0,3\n").id == [1]
    assert read("ID,TIME\n1,0\n1.0,1\n01,2\n2,0\n").subject.tolist() == [0, 0, 0, 1]
    assert EventTable.read({"ID": [1.0, 2.0], "TIME": [0, 0]}).id == [1, 2]
    told = faults_of(read, "ID,TIME\n1,0\n,1\n.,2\n")
    assert [fault.split(":")[0] for fault in told] == ["line 3", "line 4"]


def test_an_id_that_comes_back_is_refused_or_gathered(read):
    text = "ID,TIME,AMT\nb,0,1\na,0,2\nb,2,0\na,1,0\nb,1,3\n"
    told = faults_of(read, text)
    assert [fault.split(":")[0] for fault in told] == ["line 4", "line 5", "line 6"]
    assert "sort=True" in told[0]
    table = read(text, sort=True)
    assert table.id == ["b", "b", "b", "a", "a"]
    assert table.time_h.tolist() == [0, 1, 2, 0, 1]
    assert table.line.tolist() == [2, 6, 4, 3, 5]
    resets = read(
        "ID,TIME,AMT,EVID\n1,0,1,1\n2,0,1,1\n1,5,0,0\n1,2,0,3\n1,3,1,1\n2,3,0,0\n2,1,0,0\n", sort=True
    )
    assert resets.time_h.tolist() == [0, 5, 2, 3, 0, 1, 3]  # with a reset in it, an ID keeps its order


def test_time_may_go_down_only_at_a_reset(read):
    assert len(read("ID,TIME,AMT,EVID\n1,5,1,1\n1,0,0,3\n1,1,0,0\n1,0.5,2,4\n2,0,1,1\n")) == 5
    told = faults_of(read, "ID,TIME,AMT\n1,5,1\n1,4,0\n1,6,0\n1,5.5,0\n2,0,1\n")
    assert told[0].startswith("line 3: got TIME 4 after 5; ")
    assert told[1].startswith("line 5: got TIME 5.5 after 6; ")


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("1,0,-3,0,1,1,0,0,0", "AMT -3; expected 0 or more; try AMT 0 or '.' for none"),
        ("1,0,abc,0,1,1,0,0,0", "AMT 'abc'; expected a number"),
        ("1,0,inf,0,1,1,0,0,0", "AMT inf; expected a finite number"),
        ("1,0,1e999,0,1,1,0,0,0", "AMT 1e999; expected a finite number"),
        ("1,0,.,0,1,1,0,0,0", "EVID 1 with no AMT"),
        ("1,0,0,0,1,1,0,0,0", "EVID 1 with AMT 0"),
        ("1,0,0,0,4,1,0,0,0", "EVID 4 with AMT 0"),
        ("1,0,0,5,1,1,0,0,0", "EVID 1 with AMT 0"),
        ("1,0,3,-3,1,1,0,0,0", "RATE -3"),
        ("1,0,3,0,1,1,2,0,0", "ADDL 2 without II"),
        ("1,0,3,0,1,1,-1,12,0", "ADDL -1"),
        ("1,0,3,0,1,1,1.5,12,0", "ADDL 1.5"),
        ("1,0,3,0,1,1,1e7,12,0", "ADDL 10000000; expected a whole number from 0 to 1000000"),
        ("1,0,3,0,1,1,0,-12,0", "II -12"),
        ("1,0,3,0,1,1,0,0,1", "SS 1 without II"),
        ("1,0,3,0,1,1,0,12,3", "SS 3; expected 0, 1 or 2"),
        ("1,0,0,5,1,1,0,12,1", "a constant infusion"),
        ("1,0,3,0,0,1,0,0,0", "EVID 0 with AMT 3"),
        ("1,0,0,2,2,1,0,0,0", "EVID 2 with RATE 2"),
        ("1,0,0,0,3,1,0,0,1", "EVID 3 with SS 1"),
        ("1,0,0,0,7,1,0,0,0", "EVID 7"),
        ("1,0,0,0,0.5,1,0,0,0", "EVID 0.5"),
        ("1,.,0,0,0,1,0,0,0", "no TIME"),
        ("1,inf,0,0,0,1,0,0,0", "TIME inf"),
        (
            "1,08:30,0,0,0,1,0,0,0",
            "TIME '08:30'; expected a number, or clocks on every row; try hours since the first",
        ),
    ],
)
def test_a_bad_row_is_told_once_and_named(read, row, told):
    faults = faults_of(read, f"{HEADER}\n1,0,3,0,1,1,0,0,0\n{row}\n")
    assert len(faults) == 1
    assert faults[0].startswith(f"line 3: got {told}")


def test_rate_and_duration_are_not_both_given():
    told = faults_of(EventTable.read, {"TIME": [0, 1], "AMT": [3, 3], "RATE": [2, 0], "DUR": [1, -1]})
    assert told[0].startswith("row 1: got RATE 2 and DUR 1")
    assert told[1].startswith("row 2: got DUR -1")


def test_decimal_commas_are_read_where_they_are_plain(read):
    european = read("ID;TIME;AMT;WT\r\n1;0;3,25;70\r\n1;0,5;0;70,5\r\n", covariates=["weight"])
    assert european.time_h.tolist() == [0, 0.5]
    assert european.amount.tolist() == [3.25, 0]
    assert european.columns["weight"].tolist() == [70, 70.5]
    assert "decimal commas" in european.said
    assert read("sep=;\nID;TIME;AMT\n1;0;3\n1;0,5;0\n").time_h.tolist() == [0, 0.5]
    # a point beside it, or a number that may be a thousand, is not guessed
    assert "try '0.5', with a decimal point" in faults_of(read, "ID;TIME;AMT\n1;0;3.5\n1;0,5;0\n")[0]
    assert "AMT '1,000'" in faults_of(read, "ID;TIME;AMT\n1;0;1,000\n1;1;0\n")[0]


def test_all_bad_rows_are_named(read):
    rows = [f"1,{i},{-1 if i % 2 else 3},0,1,1,0,0,0" for i in range(100)]
    told = faults_of(read, "\n".join([HEADER, *rows]))
    assert len(told) == 21
    assert [fault.split(":")[0] for fault in told[:3]] == ["line 3", "line 5", "line 7"]
    assert told[20].startswith("lines 43, 45, 47, 49, ")
    assert "99, 101: got 30 more faults" in told[20]
    rows = ["1,0,-1,0,1,1,0,0,0"] * 1000
    assert faults_of(read, "\n".join([HEADER, *rows]))[20].startswith("lines 22-1001: got 980 more faults")


def test_covariates_must_be_numbers(read):
    told = faults_of(read, "TIME,RACE,WT\n0,A,70\n1,B,inf\n", covariates=["race", "wt"])
    assert [fault.split(";")[0] for fault in told] == [
        "line 2: got race 'A'",
        "line 3: got race 'B'",
        "line 3: got wt inf",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "file: got no text"),
        (" \n\n", "file: got no text"),
        ("ID,TIME,AMT\n", "line 1: got a header without rows"),
        ("ID,TIME,AMT\n\n,,\n", "line 1: got a header without rows"),
        ("1,2,3\n4,5,6\n", "line 1: got numbers only"),
        ("ID,TME,AMT\n1,0,3\n", "header: got no TIME among ID, TME, AMT; .* rename={'TME': 'TIME'}"),
        ("TIME,time,AMT,Amt\n0,0,3,3\n", "header: got column TIME twice.*header: got column AMT twice"),
        ("ID,TIME,AMT\n1,0\n1,0,3\n1,0,3,4\n", "line 2: got 2 fields; expected 3.*line 4: got 4 fields"),
        ('ID,TIME,AMT\n"1,0,3\n1,0,3\n', "file: got a quoted field"),
        (b"ID,TIME\n\x00\x01\x02", "binary data"),
        (b"PK\x03\x04\x14\x00", "an Excel workbook"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"ID,TIME\n1,0\n\xff,3\n", "not UTF-8 on line 3"),
    ],
)
def test_a_file_that_is_no_table(read, text, told):
    with pytest.raises(FaultyFile, match=told):
        read(text)


def test_paths_that_cannot_be_read(tmp_path, monkeypatch):
    for wrong in (tmp_path, tmp_path / "none.csv", str(tmp_path / "none.csv"), "a\0b", "x" * 5000):
        with pytest.raises(FaultyFile):
            EventTable.read(wrong)
    for wrong in (None, 3, [1, 2], object()):
        with pytest.raises(InputError):
            EventTable.read(wrong)
    (tmp_path / "big.csv").write_text("ID,TIME\n1,0\n")
    monkeypatch.setattr("kinetamine.dosing.table_source._LARGEST", 5)
    with pytest.raises(FaultyFile, match="fewer patients per file"):
        EventTable.read(tmp_path / "big.csv")


def test_frames_that_are_no_table():
    for wrong in ({}, {"TIME": []}, {"TIME": [0, 1], "AMT": [1]}, pl.DataFrame(), {"TIME": [object()]}):
        with pytest.raises(InputError):
            EventTable.read(wrong)
    assert "row 1: got TIME" in faults_of(EventTable.read, pl.DataFrame({"TIME": [[1.0]]}))[0]


def test_too_many_doses_in_all():
    table = {"TIME": [0] * 200, "AMT": [1] * 200, "ADDL": [1_000_000] * 200, "II": [1] * 200}
    assert "2e+08 doses in the table" in faults_of(EventTable.read, table)[0]


CELLS = st.one_of(
    st.sampled_from(["0", "1", "-1", "2", ".", "", "3.5", "NA", "iv", "1e400", '"', "C"]), st.text(max_size=4)
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=9, max_size=9), max_size=6), st.sampled_from([",", ";", " "]))
def test_random_tables_are_read_or_refused(tmp_path_factory, rows, separator):
    path = tmp_path_factory.getbasetemp() / "random.csv"
    lines = [HEADER.replace(",", separator), *(separator.join(row) for row in rows)]
    path.write_text("\n".join(lines), encoding="utf-8", errors="replace")
    for options in ({}, {"sort": True}, {"entries": ["iv"], "compartments": ["a", "b"]}):
        try:
            table = EventTable.read(path, **options)
        except InputError as error:
            assert "\n" not in str(error)
        else:
            assert same(EventTable.read(table.to_polars()), table)


# -- size -----------------------------------------------------------------------------------------------


def test_a_hundred_thousand_rows_load_quickly(tmp_path):
    n = 10_000
    frame = pl.DataFrame(
        {
            "ID": np.repeat(np.arange(n), 10),
            "TIME": np.tile(np.arange(10.0), n),
            "AMT": np.tile([35.0, *[0.0] * 9], n),
            "EVID": np.tile([1, *[0] * 9], n),
            "CMT": 1,
            "WT": np.linspace(40, 120, 10 * n),
        }
    )
    path = tmp_path / "big.csv"
    frame.write_csv(path)
    EventTable.read(frame)  # the first call pays for imports
    start = time.perf_counter()
    table = EventTable.read(path, covariates=["WT"])
    assert time.perf_counter() - start < 2  # 0.15 s on an idle machine
    assert table.n_subjects == n
    bad = frame.with_columns(AMT=pl.lit(-1.0), EVID=pl.lit(1))
    start = time.perf_counter()
    assert len(faults_of(EventTable.read, bad)) == 21
    assert time.perf_counter() - start < 2


# -- out ------------------------------------------------------------------------------------------------


def test_out_and_in_again(read, tmp_path):
    text = (
        "ID,TIME,AMT,RATE,DUR,EVID,CMT,ADDL,II,SS,OCC,weight\n"
        "x,0,0.1,0,0.25,1,nasal,3,24,1,1,70.5\n"
        "x,1,0,0,0,0,.,0,0,0,1,.\n"
        'y,0,3,-2,0,4,2,0,0,0,2,"80"\n'
    )
    table = read(text, covariates=["weight"])
    path = tmp_path / "out.csv"
    written = table.to_csv(path)
    assert path.read_text() == written
    assert same(EventTable.read(path, ["weight"]), table)
    assert same(EventTable.read(table.to_polars(), ["weight"]), table)
    assert "nan" not in written.lower()
    assert written.splitlines()[0] == text.splitlines()[0].replace(",DUR,EVID", ",DUR,EVID").replace(
        "SS,OCC", "SS,MDV,OCC"
    )


def test_nothing_is_written_half(read, tmp_path, monkeypatch):
    table = read("TIME,AMT\n0,3\n")
    path = tmp_path / "out.csv"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="No space left"):
        table.to_csv(path)
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["events.csv", "out.csv"]
    with pytest.raises(InputError):
        table.to_csv(tmp_path / "none" / "out.csv")


def test_a_regimen_as_a_table():
    regimen = Regimen.parse("40 mg iv over 2 h every 12 h x 4; 84 mg nasal as 3 sprays at 1 h")
    table = EventTable.read(regimen.to_events(2, times=[0, 1, 50]), dose_fields=["sprays"])
    assert table.n_subjects == 2
    first = table.to_polars().filter(pl.col("ID") == 1)
    assert first["TIME"].to_list() == [0, 0, 1, 1, 50]
    assert first["EVID"].to_list() == [1, 0, 1, 0, 0]
    assert first["AMT"].to_list() == [40, 0, 84, 0, 0]
    assert first["RATE"].to_list() == [20, 0, 0, 0, 0]
    assert first["ADDL"].to_list() == [3, 0, 0, 0, 0]
    assert first["II"].to_list() == [12, 0, 0, 0, 0]
    assert first["CMT"].to_list() == ["iv", None, "nasal", None, None]
    assert first["sprays"].to_list() == [None, None, 3, None, None]


def test_a_regimen_per_kg_and_by_number():
    regimen = Regimen.parse(
        "0.5 mg/kg/h iv for 2 h every 24 h at steady state; 1 mg/kg/h iv at steady state at 3 h"
    )
    events = regimen.to_events(2, weight=[60, 80], cmt={"iv": 1})
    assert events["CMT"].to_list() == [1, 1, 1, 1]
    assert events["AMT"].to_list() == [60, 0, 80, 0]
    assert events["RATE"].to_list() == [30, 60, 40, 80]
    assert events["SS"].to_list() == [1, 1, 1, 1]
    assert events["II"].to_list() == [24, 0, 24, 0]
    EventTable.read(events, compartments=["central"])
    with pytest.raises(DoseError, match="weight"):
        regimen.to_events()
    for wrong in ({"weight": [60, 70, 80]}, {"weight": 0}, {"weight": np.nan}, {"weight": "heavy"}):
        with pytest.raises(DoseError):
            regimen.to_events(2, **wrong)
    with pytest.raises(UnknownName):
        regimen.to_events(weight=70, cmt={"oral": 1})
    for wrong in ({"n_subjects": 0}, {"n_subjects": 1.5}, {"times": [-1]}, {"times": [np.nan]}):
        with pytest.raises(DoseError):
            Regimen.parse("3 mg iv").to_events(**wrong)


def test_a_racemic_dose_is_half_of_either():
    regimen = Regimen.parse("40 mg racemic ketamine iv; 10 mg esketamine iv at 2 h")
    assert regimen.to_events(drug="S-ketamine")["AMT"].to_list() == [20, 10]
    assert regimen.to_events(drug="R-ketamine")["AMT"].to_list() == [20]
    for drug in (None, "racemate"):
        with pytest.raises(DoseError):
            regimen.to_events(drug=drug)
    assert Regimen.parse("40 mg racemic ketamine iv").to_events()["AMT"].to_list() == [40]
    with pytest.raises(DoseError, match="a drug that the regimen contains"):
        Regimen.parse("40 mg esketamine iv").to_events(drug="R-ketamine")
