"""Typical-value curves made by another program (golden/README.md), reproduced through the command line."""

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
RELATIVE = 1e-6

#: file → words of the command; column → (substance in the output's name, metabolite?)
RUNS = {
    "noppers_2011_two_step_bolus": [
        *("--model", "noppers_2011_s_ketamine", "--set", "weight=70"),
        *("--dose", "20 mg iv over 1 h", "--dose", "40 mg iv over 1 h at 1 h", "--dose", "10 mg iv at 3 h"),
    ],
    "kamp_2020_course8_40min": [
        *("--model", "kamp_2020_meta_racemic", "--set", "weight=70"),
        *("--dose", "35 mg iv over 40 min every 84 h x 8"),
    ],
    "otto_2021_iv30min_wt70": [
        *("--model", "otto_2021_s_ketamine", "--set", "weight=70", "--dose", "10 mg iv over 30 min"),
    ],
    "perez_ruixo_2021_nasal84_age45": [
        *("--model", "perez_ruixo_2021_esketamine", "--set", "age=45", "--dose", "84 mg nasal"),
    ],
    "perez_ruixo_2021_iv28_40min": [
        *("--model", "perez_ruixo_2021_esketamine", "--set", "age=45", "--dose", "28 mg iv over 40 min"),
    ],
    "simons_2022_film50_then_iv20_minutes": [
        *("--model", "simons_2022_s_ketamine_otf", "--set", "weight=70"),
        *("--dose", "50 mg oral film", "--dose", "20 mg iv over 20 min at 360 min"),
    ],
}
COLUMNS = {"conc": "ketamine", "nor": "norketamine", "hnk": "hydroxynorketamine"}


def test_every_golden_file_is_run():
    assert {path.stem for path in GOLDEN.glob("*.csv")} == set(RUNS)


def kinetamine(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "kinetamine", *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def output_of(names, column):
    """The one output whose substance is the column's: `S-ketamine`, `S-norketamine` …"""
    wanted = COLUMNS[column]
    found = [name for name in names if name.split(" ")[0].rsplit("-", 1)[-1] == wanted]
    assert len(found) == 1, f"{column}: {found} of {list(names)}"
    return found[0]


def close(ours, theirs):
    return len(ours) == len(theirs) and all(
        math.isclose(a, b, rel_tol=RELATIVE, abs_tol=0) for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("stem", sorted(RUNS))
def test_golden(stem):
    with (GOLDEN / f"{stem}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    unit = "min" if stem.endswith("_minutes") else "h"
    times = ",".join(row["time"] for row in rows) + f" {unit}"
    words = ["simulate", *RUNS[stem], "--times", times]

    outputs = json.loads(kinetamine(*words, "--format", "json"))["outputs"]
    for column in rows[0].keys() - {"time"}:
        output = outputs[output_of(outputs, column)]
        assert output["unit"] == "ng/mL"
        assert close(output["values"], [float(row[column]) for row in rows]), column


def test_golden_as_csv():
    stem = "otto_2021_iv30min_wt70"
    with (GOLDEN / f"{stem}.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    text = kinetamine(
        "simulate", *RUNS[stem], "--times", ",".join(r["time"] for r in rows), "--format", "csv"
    )
    table = list(csv.DictReader(text.splitlines()))
    assert table, "nothing on standard output"
    parent = [row for row in table if row.get("output", "S-ketamine") == "S-ketamine"]
    key = "value" if "value" in parent[0] else "S-ketamine"
    assert close([float(row[key]) for row in parent], [float(row["conc"]) for row in rows])
