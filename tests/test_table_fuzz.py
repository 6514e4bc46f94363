"""Mutated event tables: read with every column and row accounted for, or refused in one line."""

from __future__ import annotations

import random
import re
from pathlib import Path

import numpy as np
import pytest

from kinetamine.dosing.table_options import on_command_line
from kinetamine.dosing.tables import EventTable
from kinetamine.errors import InputError
from kinetamine.models.library import load

MODEL = load(Path(__file__).parent.parent / "examples" / "my_model.toml")
BASES = (
    "ID,TIME,AMT,EVID,CMT,WT\n7,0,100,1,2,140\n7,1,0,0,2,140\n8,0,50,1,1,60\n8,2.5,.,0,2,60\n",
    "USUBJID,DATE,TIME,DOSE,ROUTE,SEX,DV\nP1,3/1/2024,8:30,35,iv,F,.\nP1,3/2/2024,9:00,.,.,F,12\n"
    "P2,3/1/2024,8:00,5,oral,M,3\n",
    "ID;TIME;AMT;RATE;ADDL;II;SS;OCC;weight\n1;0;3,5;1,5;3;24;0;1;70,5\n1;0,5;0;0;0;0;0;1;70,5\n1;30;0;0;0;0;0;2;71\n",
    "# made today\n#ID\tTIME\tAMT\tTINF\tMDV\tnote\n1\t0\t100\t0.5\t1\ta\n1\t1\t.\t.\t0\tb\n2\t0\t100\t1\t1\tc\n",
    "C ID TIME AMT EVID CMT DV PRED DV\n. 1 0 100 1 2 0 0 0\nC 1 1 0 0 2 3 2 3\n. 1 2 0 0 2 3 2 3\n. 1 3 0 3 0 0 0 0\n",
)
WORDS = (
    "ID SUBJ USUBJID STUDY CID TIME T DATE DAT1 TAFD AMT DOSE AMOUNT RATE DUR TINF EVID EVTYPE CMT ROUTE ADDL II SS "
    "MDV OCC DV CONC C WT weight WEIGTH WTBL AGE SEX X note DROP TME RATES PATNO"
)
VALUES = (
    "0 1 2 -1 -2 3 . NA 0.5 0,5 1e3 1e400 -99 140 iv oral F M abc 8:30 24:00 3/1/2024 13/13/2024 C # @ nan inf -0 "
    "1.0 BLQ 2024-03-01T08:00"
)
NAMES = [*WORDS.split(), "", "TIME (min)", "AMT [ug]", "WT (lb)", "a b"]
CELLS = [*VALUES.split(), "", " ", '"', '"1"', "é", "1 000"]


def mutated(draw: random.Random) -> bytes:
    text = draw.choice(BASES)
    separator = next(s for s in ("\t", ";", ",", " ") if s in text.splitlines()[-1])
    rows = [line.split(separator) for line in text.splitlines()]
    for _ in range(draw.randint(1, 5)):
        kind, i = draw.randrange(12), draw.randrange(len(rows))
        j = draw.randrange(max(map(len, rows)))
        head = next(k for k, row in enumerate(rows) if len(row) > 1)
        if kind <= 3 and j < len(rows[i]):
            rows[i][j] = draw.choice(NAMES if i <= head else CELLS)
        elif kind == 4:
            rows[head][j % len(rows[head])] = draw.choice(NAMES)
        elif kind == 5:
            rows = [row[:j] + row[j + 1 :] for row in rows]
        elif kind == 6:
            name = draw.choice(NAMES)
            rows = [[*row, name if k <= head else draw.choice(CELLS)] for k, row in enumerate(rows)]
        elif kind == 7:
            rows = [[*row, row[min(j, len(row) - 1)]] if row else row for row in rows]
        elif kind == 8:
            rows.insert(i, list(rows[draw.randrange(len(rows))]))
        elif kind == 9 and len(rows) > 2:
            rows.pop(i)
        elif kind == 10:
            separator = draw.choice((",", ";", "\t", " "))
        else:
            rows.insert(i, draw.choice(([""], ["# a remark"], ["@ another"], [separator * 3])))
        if not rows or not any(rows):
            break
    data = draw.choice(("\n", "\n", "\r\n", "\r")).join(separator.join(row) for row in rows)
    data += draw.choice(("", "\n", "\n\n"))
    coding = draw.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"))
    return data.encode(coding)


def arrays(table: EventTable) -> list[object]:
    names = (
        "subject",
        "time_h",
        "amount",
        "rate",
        "duration_h",
        "evid",
        "addl",
        "ii_h",
        "ss",
        "cmt",
        "occasion",
    )
    found: list[object] = [np.asarray(getattr(table, name), object).tolist() for name in names]
    return [
        *found,
        {name: values.tolist() for name, values in table.columns.items()},
        list(map(str, table.id)),
    ]


def rows_of(data: bytes) -> int:
    """Lines that are neither empty nor, by their first character, the header."""
    text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    lines = re.split(r"\r\n|\r|\n", text)
    return len([line for line in lines if line.strip(" ,;\t")])


def check(data: bytes, path: Path, options: dict[str, object]) -> bool:
    """Whether the table was accepted; then all of it is accounted for."""
    path.write_bytes(data)
    try:
        table = EventTable.for_model(path, MODEL, say=on_command_line, **options)
    except InputError as error:
        assert "\n" not in str(error)
        assert len(error.faults) <= 40
        return False
    assert {column.use for column in table.account} <= {"used", "carried", "not used"}
    assert [column.number for column in table.account] == list(range(1, len(table.account) + 1))
    left_out = sum(int(said.split()[0]) for said in table.said if "left out" in said)
    # the header, and what stands before it
    assert 1 <= rows_of(data) - len(table) - left_out <= 4
    unused = {column.number - 1 for column in table.account if column.use == "not used"}
    assert "\n" not in " ".join(table.told({"weight": "70 kg"}))
    frame = {f"{k}": values for k, values in enumerate(raw_columns(path, options))}
    names = {str(k): column.name for k, column in enumerate(table.account)}
    if len(set(names.values())) < len(names) or not all(names.values()):
        return True
    # what is not used can be anything
    other = {names[k]: (["zz"] * len(values) if int(k) in unused else values) for k, values in frame.items()}
    again = EventTable.for_model(other, MODEL, **{**options, "ignore": ()})
    assert str(arrays(again)) == str(arrays(table)), data
    return True


def raw_columns(path: Path, options: dict[str, object]) -> list[list[object]]:
    """The columns of a file as the reader sees them, before their meaning."""
    from kinetamine.dosing.table_columns import assign
    from kinetamine.dosing.table_options import TableOptions
    from kinetamine.dosing.table_source import read_source
    from kinetamine.dosing.tables import _decimal_commas

    how = TableOptions.of(options)
    opened = read_source(path, how)
    raw = opened.load(None, (), how)
    assert raw is not None
    _decimal_commas(raw, assign(opened.names, ("weight",), (), how)[0])
    return [column.to_list() for column in raw.columns]


def fuzz(n: int, seed: int, path: Path) -> int:
    draw = random.Random(seed)
    accepted = 0
    for _ in range(n):
        options: dict[str, object] = draw.choice(
            (
                {},
                {},
                {"sort": True},
                {"no_dose": True},
                {"missing": -99},
                {"ignore": "@"},
                {"zero_dose": True},
            )
        )
        accepted += check(mutated(draw), path, dict(options))
    return accepted


def test_a_sample_of_mutated_tables(tmp_path):
    assert fuzz(300, 1, tmp_path / "table.csv") > 15


@pytest.mark.slow
def test_ten_thousand_mutated_tables(tmp_path):
    assert fuzz(10_000, 2, tmp_path / "table.csv") > 500
