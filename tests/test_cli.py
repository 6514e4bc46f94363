"""The command line as a product: data on one stream, one line per error, right exit codes, whole files."""

import csv
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinetamine.cli import app as cli

ROOT = Path(__file__).parents[1]
OTTO = ("simulate", "--model", "otto_2021_s_ketamine", "--dose", "10 mg iv over 30 min")


def shell(*words, **options):
    """A process of its own, as from a shell."""
    return subprocess.run(
        [sys.executable, "-m", "kinetamine", *words], capture_output=True, text=True, timeout=300, **options
    )


@pytest.fixture
def run(capsys):
    """The same in this process, which is faster: exit code, standard output, standard error."""

    def go(*words):
        capsys.readouterr()
        code = cli.run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


def one_line(err):
    assert err.endswith("\n") and err.count("\n") == 1, err
    assert "Traceback" not in err
    return err


# ---- what comes out


def test_typical_patient_as_json(run):
    code, out, err = run(*OTTO, "--times", "0.25,0.5,1", "--format", "json")
    assert code == 0, err
    data = json.loads(out)
    assert data["time_h"] == [0.25, 0.5, 1.0]
    parent = data["outputs"]["S-ketamine"]
    assert parent["unit"] == "ng/mL" and parent["site"] == "venous plasma"
    assert parent["grade"] == "range not stated"
    assert len(parent["values"]) == 3 and all(v > 0 for v in parent["values"])
    assert data["birth"]["models"][0]["id"] == "otto_2021_s_ketamine"
    assert "research and teaching" in err


def test_population_as_json_has_quantiles(run):
    words = (*OTTO, "--patients", "50", "--seed", "3", "--times", "0.5,1", "--format", "json")
    code, out, _ = run(*words)
    assert code == 0
    output = json.loads(out)["outputs"]["S-ketamine"]
    assert list(output["quantiles"]) == ["0.05", "0.5", "0.95"]
    assert "values" not in output
    low, middle, high = (output["quantiles"][q][0] for q in ("0.05", "0.5", "0.95"))
    assert low < middle < high
    assert run(*words)[1] == out, "the same seed gives the same people"
    other = json.loads(run(*words, "--quantiles", "0.1,0.9")[1])["outputs"]["S-ketamine"]
    assert list(other["quantiles"]) == ["0.1", "0.9"]


def test_times_in_minutes_are_the_same_times(run):
    hours = json.loads(run(*OTTO, "--times", "0.25,0.5,1", "--format", "json")[1])
    minutes = json.loads(run(*OTTO, "--times", "15,30,60 min", "--format", "json")[1])
    assert minutes["time_h"] == pytest.approx(hours["time_h"], rel=1e-15)
    assert minutes["outputs"]["S-ketamine"]["values"] == pytest.approx(
        hours["outputs"]["S-ketamine"]["values"]
    )


def test_covariate_with_a_unit(run):
    plain = json.loads(run(*OTTO, "--set", "weight=95", "--times", "1", "--format", "json")[1])
    pounds = json.loads(run(*OTTO, "--set", "weight=209.4391 lb", "--times", "1", "--format", "json")[1])
    typical = json.loads(run(*OTTO, "--times", "1", "--format", "json")[1])
    a, b, c = (d["outputs"]["S-ketamine"]["values"][0] for d in (plain, pounds, typical))
    assert a == pytest.approx(b, rel=1e-6)
    assert a < c


def test_table_says_what_it_is(run):
    code, out, err = run(*OTTO, "--until", "6 h", "--cite")
    assert code == 0, err
    for word in ("S-ketamine", "venous plasma", "ng/mL", "Cmax", "Tmax", "AUC", "half-life"):
        assert word in out
    assert "Eur J Clin Pharmacol" in out, "--cite lists the paper"
    assert "research and teaching" in out


def test_csv_parses_and_papers_go_elsewhere(run):
    code, out, err = run(*OTTO, "--times", "0.5,1", "--format", "csv", "--cite")
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert {row["output"] for row in rows} == {"S-ketamine", "S-norketamine"}
    assert "Eur J Clin Pharmacol" in err


def test_outputs_are_chosen(run):
    out = run(*OTTO, "--times", "1", "--outputs", "S-norketamine", "--format", "json")[1]
    assert list(json.loads(out)["outputs"]) == ["S-norketamine"]


@pytest.mark.parametrize("kind", ["json", "csv", "parquet", "txt"])
def test_out_is_written_and_its_suffix_is_the_format(run, tmp_path, kind):
    target = tmp_path / f"result.{kind}"
    code, out, err = run(*OTTO, "--times", "0.5,1", "--out", str(target))
    assert code == 0, err
    assert out == ""
    assert target.stat().st_size > 100
    assert os.listdir(tmp_path) == [target.name], "no half-written neighbour is left"
    if kind == "parquet":
        import polars

        assert polars.read_parquet(target).height == 4


def test_report_is_one_file(run, tmp_path):
    target = tmp_path / "series.html"
    code, out, err = run(*OTTO, "--patients", "20", "--until", "12 h", "--report", str(target))
    assert code == 0, err
    assert "S-ketamine" in out
    text = target.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html")
    assert "research and teaching" in text


def test_streaming_gives_bands(run):
    words = (*OTTO, "--patients", "300", "--seed", "1", "--times", "0.5,1,2", "--format", "json")
    kept = json.loads(run(*words)[1])["outputs"]["S-ketamine"]["quantiles"]
    streamed = json.loads(run(*words, "--stream")[1])["outputs"]["S-ketamine"]["quantiles"]
    assert list(kept) == list(streamed)
    for q in kept:
        assert streamed[q] == pytest.approx(kept[q], rel=0.03)


def test_event_table_has_one_row_per_observation(run):
    examples = ROOT / "examples"
    words = ("simulate", "--model", str(examples / "my_model.toml"), "--events", str(examples / "table.csv"))
    code, out, err = run(*words, "--format", "csv")
    assert code == 0, err
    rows = list(csv.DictReader(out.splitlines()))
    with (examples / "table.csv").open(encoding="utf-8") as file:
        observed = [row for row in csv.DictReader(file) if row["EVID"] == "0"]
    assert [(row["ID"], float(row["TIME"])) for row in rows] == [
        (r["ID"], float(r["TIME"])) for r in observed
    ]
    assert all(float(row["ketamine"]) > 0 for row in rows)
    # 50 mg by mouth in 70 kg, an hour after: Bateman's formula
    ka, k, v = 1.2, 80 / 200, 200
    exact = 1000 * 0.2 * 50 / v * ka / (ka - k) * (math.exp(-k) - math.exp(-ka))
    assert float(rows[0]["ketamine"]) == pytest.approx(exact, rel=1e-9)


def test_how_a_table_is_read_is_asked_by_options(run, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("WHO,TIME,AMT,EVID,CMT,DV\n1,0,50,1,1,.\n1,60,0,0,2,7\n")
    words = ("simulate", "--model", str(ROOT / "examples" / "my_model.toml"), "--events", str(table))
    code, out, err = run(
        *words, "--rename", "WHO=ID", "--time-unit", "min", "--carry", "DV,last", "--format", "csv"
    )
    assert code == 0, err
    assert [(r["TIME"], r["DV"]) for r in csv.DictReader(out.splitlines())] == [("1.0", "7")]
    assert "WHO as ID" in err and "carried DV" in err, "each column is accounted for"
    code, out, err = run(*words[:3], "--dose", "5 mg oral", "--sort")
    assert (code, out) == (2, "") and "--events" in one_line(err)


@pytest.mark.parametrize(
    "words", [("--times", "1,2"), ("--until", "3 h"), ("--stream",), ("--patients", "7")]
)
def test_what_an_event_table_decides_itself_is_refused(run, words):
    examples = ROOT / "examples"
    table = ("simulate", "--model", str(examples / "my_model.toml"), "--events", str(examples / "table.csv"))
    code, out, err = run(*table, *words)
    assert (code, out) == (2, "")
    one_line(err)


def test_event_table_in_a_population(run):
    examples = ROOT / "examples"
    table = ("simulate", "--model", str(examples / "my_model.toml"), "--events", str(examples / "table.csv"))
    typical, drawn = (run(*table, *more, "--format", "csv")[1] for more in ((), ("--patients", "3")))
    assert typical.count("\n") == drawn.count("\n") and typical != drawn


def test_a_racemate_drives_two_models(run):
    pair = ("--model", "noppers_2011_s_ketamine", "--model", "derived_r_ketamine_noppers_distribution")
    words = (
        "simulate",
        *pair,
        "--dose",
        "40 mg racemic ketamine iv over 1 h",
        "--times",
        "1",
        "--format",
        "json",
    )
    both = json.loads(run(*words)[1])["outputs"]
    half = ("simulate", *pair[:2], "--dose", "20 mg iv over 1 h", "--times", "1", "--format", "json")
    alone = json.loads(run(*half)[1])["outputs"]
    assert set(both) == {"S-ketamine", "R-ketamine"}
    assert both["S-ketamine"]["values"] == pytest.approx(alone["S-ketamine"]["values"], rel=1e-12)


# ---- pictures


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("simulate --model otto_2021_s_ketamine --dose '10 mg iv over 30 min' --until '2 h'", "html"),
        ("simulate --model otto_2021_s_ketamine --dose '10 mg iv over 30 min' --until '2 h'", "pdf"),
        ("effects --dose '84 mg nasal' --patients 20 --effect sedation", "svg"),
        ("infusion --model otto_2021_s_ketamine --target '100 ng/mL' --for '30 min'", "png"),
        ("detect --dose '84 mg nasal' --patients 20 --cutoff '50 ng/mL'", "json"),
    ],
    ids=lambda value: value.split()[0],
)
def test_every_command_that_computes_draws(run, tmp_path, line, kind):
    target = tmp_path / f"figure.{kind}"
    code, out, err = run(*shlex.split(line), "--figure", str(target))
    assert code == 0, err
    assert out
    content = target.read_bytes()
    start = {"html": b"<!DOCTYPE html>", "pdf": b"%PDF", "svg": b"<svg", "png": b"\x89PNG", "json": b"{"}[
        kind
    ]
    assert content.lstrip().startswith(start)
    if kind == "html":
        assert b'src="http' not in content, "it opens without internet"


# ---- without a model


def test_a_racemate_is_total_ketamine_and_its_enantiomers(run):
    words = ("simulate", "--dose", "0.5 mg/kg iv over 40 min", "--times", "1,2", "--format", "json")
    code, out, err = run(*words)
    assert code == 0, err
    data = json.loads(out)
    assert list(data["outputs"]) == ["ketamine", "S-ketamine", "R-ketamine"]
    assert "kamp_2020_meta_racemic" in err and "--model" in err, "which, and why"
    total, s, r = (data["outputs"][k]["values"][0] for k in data["outputs"])
    assert s + r == pytest.approx(total, rel=0.1), "half of the dose is each enantiomer"


def test_the_table_says_which_model_was_taken_and_holds_the_peak(run):
    code, out, _ = run("simulate", "--dose", "84 mg nasal", "--until", "7 d")
    assert code == 0
    assert "these models: " in out and "--model takes others" in out
    peak = next(line.split()[1] for line in out.splitlines() if line.strip().startswith("Cmax"))
    rows = out[out.index("Over time") :]
    assert any(line.split()[1:2] == [peak] for line in rows.splitlines())


def test_exposure_of_a_window(run):
    words = (
        "simulate",
        "--model",
        "otto_2021_s_ketamine",
        "--dose",
        "10 mg iv over 30 min",
        "--until",
        "6 h",
    )
    whole, some = (
        json.loads(run(*words, *more, "--format", "json")[1]) for more in ((), ("--exposure-to", "1 h"))
    )
    assert "exposure" not in whole and some["exposure"][0]["measured"] == "from 0 to 1 h"
    assert "from 0 to 1 h" in run(*words, "--exposure-to", "1 h")[1]


# ---- scenario files

SCENARIO = """
model = "otto_2021_s_ketamine"
doses = "10 mg iv over 30 min"
times = [0.5, "60 min"]
"""


def test_scenario_and_options_agree(run, tmp_path):
    file = tmp_path / "one.toml"
    file.write_text(SCENARIO)
    out = run("simulate", str(file), "--format", "json")[1]
    assert out == run(*OTTO, "--times", "0.5,1", "--format", "json")[1]


def test_options_replace_what_a_scenario_says(run, tmp_path):
    file = tmp_path / "one.toml"
    file.write_text(SCENARIO + "[patient]\nweight = 95\n")
    words = ("simulate", str(file), "--dose", "20 mg iv over 30 min", "--until", "2 h", "--step", "1 h")
    data = json.loads(run(*words, "--format", "json")[1])
    assert data["time_h"] == [0, 1, 2]
    direct = run(*OTTO[:3], "--dose", "20 mg iv over 30 min", "--times", "0,1,2", "--set", "weight=95")
    assert direct[0] == 0
    people = json.loads(run("simulate", str(file), "--patients", "10", "--format", "json")[1])
    assert "quantiles" in people["outputs"]["S-ketamine"]


def test_a_scenario_brings_its_own_model_file(run, tmp_path):
    (tmp_path / "mine.toml").write_text((ROOT / "examples" / "my_model.toml").read_text())
    (tmp_path / "s.toml").write_text('model = "mine.toml"\ndoses = "20 mg oral"\ntimes = [1]\n')
    code, out, err = run("simulate", str(tmp_path / "s.toml"), "--format", "json")
    assert code == 0, err
    assert json.loads(out)["outputs"]["ketamine"]["values"][0] > 0


def test_all_faults_of_a_scenario_at_once(run, tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text(
        'modle = "x"\nmodel = "otto_2021_s_ketamin"\ndoses = ["10 mg iv ovr 30 min", "84 mg nasel"]\n'
        'until = "3 parsec"\ncarry = "nxt"\n[population]\nn = -3\nsede = 1\n'
    )
    code, out, err = run("simulate", str(file))
    assert (code, out) == (2, "")
    line = one_line(err)
    for word in ("modle", "otto_2021_s_ketamine", "nasal", "parsec", "'next'", "population.n", "seed"):
        assert word in line, word


@pytest.mark.parametrize(
    "text",
    [
        "model = ",
        "\x00",
        "doses = 3",
        "[population]\nn = nan",
        "times = []\n",
        "model = [1]",
        "doses = [[1]]",
    ],
)
def test_broken_scenarios_get_one_line(run, tmp_path, text):
    file = tmp_path / "bad.toml"
    file.write_text(text)
    code, out, err = run("simulate", str(file))
    assert (code, out) == (2, "")
    one_line(err)


# ---- bad input: one line with the cure, exit code 2, nothing written


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (("--model", "otto_2021_s_ketamin", "--dose", "10 mg iv"), "otto_2021_s_ketamine"),
        (("--model", "otto_2021_s_ketamine", "--dose", "10 mg nasal"), "iv"),
        (("--model", "otto_2021_s_ketamine", "--dose", "-10 mg iv"), "--dose"),
        (("--model", "otto_2021_s_ketamine", "--dose", "10 furlong iv"), "mg"),
        (("--model", "otto_2021_s_ketamine", "--dose", "ten mg iv"), "--dose"),
        (("--model", "otto_2021_s_ketamine", "--dose", "nan mg iv"), "--dose"),
        (("--model", "otto_2021_s_ketamine", "--dose", ""), "--dose"),
        (("--model", "otto_2021_s_ketamine"), "--dose"),
        (("--dose", "10 mg buccal", "--set", "age=3", "--set", "weight=12"), "--model"),
        (("--events", "table.csv"), "--model"),
        ((*OTTO[1:], "--out", "x.cvs"), "x.csv"),
        ((*OTTO[1:], "--figure", "x.gif"), ".svg"),
        ((*OTTO[1:], "--exposure-to", "2 h", "--format", "csv"), "--format json"),
        ((*OTTO[1:], "--set", "weight=-3"), "weight"),
        ((*OTTO[1:], "--set", "weight=9999"), "weight"),
        ((*OTTO[1:], "--set", "weight=inf"), "weight"),
        ((*OTTO[1:], "--set", "wieght=80"), "weight"),
        ((*OTTO[1:], "--set", "weight"), "--set weight=95"),
        ((*OTTO[1:], "--set", "weight=80", "--set", "weight=90"), "once"),
        ((*OTTO[1:], "--patients", "0"), "--patients"),
        ((*OTTO[1:], "--patients", "many"), "--patients"),
        ((*OTTO[1:], "--patients", "10", "--seed", "x"), "--seed"),
        ((*OTTO[1:], "--patients", "10", "--age", "65-18"), "--age"),
        ((*OTTO[1:], "--age", "18-65"), "--patients"),
        ((*OTTO[1:], "--uncertainty"), "--patients"),
        ((*OTTO[1:], "--times", "1,x"), "--times"),
        ((*OTTO[1:], "--times", "2,1"), "--times"),
        ((*OTTO[1:], "--times", "nan"), "--times"),
        ((*OTTO[1:], "--times", "-1"), "--times"),
        ((*OTTO[1:], "--times", "1", "--until", "2 h"), "--until"),
        ((*OTTO[1:], "--until", "-2 h"), "--until"),
        ((*OTTO[1:], "--until", "2 kg"), "--until"),
        ((*OTTO[1:], "--until", "100 year", "--step", "1 s"), "step"),
        ((*OTTO[1:], "--step", "0 h"), "--step"),
        ((*OTTO[1:], "--outputs", "ketamin"), "S-ketamine"),
        ((*OTTO[1:], "--quantiles", "5,50"), "--quantiles"),
        ((*OTTO[1:], "--format", "jsn"), "json"),
        ((*OTTO[1:], "--format", "parquet"), "--out"),
        ((*OTTO[1:], "--carry", "lst"), "last"),
        ((*OTTO[1:], "--carry", "last"), "--events"),
        ((*OTTO[1:], "--patients", "10", "--set", "n=3"), "--patients"),
        ((*OTTO[1:], "--patients", "10", "--set", "seed=3"), "--seed"),
        ((*OTTO[1:], "--patients", "10", "--set", "age=30", "--age", "18-65"), "--age"),
        ((*OTTO[1:], "--on-failure", "ignore"), "raise"),
        ((*OTTO[1:], "--out", "/no/such/folder/x.csv"), "mkdir"),
        ((*OTTO[1:], "--report", "/no/such/folder/x.html"), "mkdir"),
        ((*OTTO[1:], "--modle", "x"), "--model"),
        (("no_such_scenario.toml",), "TOML"),
        ((*OTTO[1:3], "--events", "no_such_table.csv"), "no_such_table.csv"),
        ((*OTTO[1:], "--events", "table.csv"), "--dose"),
        (("--model", "fanta_2015_s_oral_iv", "--dose", "10 mg iv"), "incomplete"),
    ],
    ids=lambda value: " ".join(value[2:])[:60] if isinstance(value, tuple) else None,
)
def test_bad_input(run, tmp_path, monkeypatch, words, cure):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("simulate", *words)
    assert (code, out) == (2, ""), err
    assert cure in one_line(err)
    assert not list(tmp_path.iterdir()), "nothing is written half"


def test_model_files_never_run_code(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "examples" / "my_model.toml").read_text()
    for attack in (
        "__import__('os').system('touch pwned')",
        "CL.__class__",
        "open('pwned', 'w')",
        "[x for x in (1,)][0]",
        "(lambda: 1)()",
        "exp(eta.CL) if 1 else 2",
        "CL; import os",
        "9 ^ 9 ^ 9 ^ 9 ^ 9",
        "(" * 5000 + "CL" + ")" * 5000,
    ):
        Path("bad.toml").write_text(text.replace('"V * (weight / 70)"', json.dumps(attack)))
        for words in (("check-model", "bad.toml"), ("simulate", "--model", "bad.toml", "--dose", "10 mg iv")):
            code, _, err = run(*words)
            assert code == 2, attack
            one_line(err)
    assert os.listdir() == ["bad.toml"]


def test_bad_rows_of_a_table_are_all_named(run, tmp_path):
    table = tmp_path / "bad.csv"
    table.write_text("ID,TIME,AMT,EVID,CMT\n1,0,50,1,1\n1,x,0,0,2\n1,2,-5,1,1\n1,3,0,7,2\n1,4,0,0,2\n")
    code, out, err = run("simulate", "--model", str(ROOT / "examples/my_model.toml"), "--events", str(table))
    assert (code, out) == (2, "")
    for row in ("row 2", "row 3", "row 4"):
        assert row in one_line(err).replace("line 3", "row 2").replace("line 4", "row 3").replace(
            "line 5", "row 4"
        )


def test_check_model_lists_every_fault(run, tmp_path):
    file = tmp_path / "bad.toml"
    text = (ROOT / "examples" / "my_model.toml").read_text()
    file.write_text(text.replace('"ka * gut"', '"kaa * gut"').replace('unit = "ng/mL"', 'unit = "furlong"'))
    code, out, err = run("check-model", str(file))
    assert code == 2
    assert out.count("\n") >= 2 and "ka" in out and "furlong" in out
    assert "faults" in one_line(err)


def test_check_model_of_a_sound_file(run):
    code, out, err = run("check-model", str(ROOT / "examples" / "my_model.toml"))
    assert (code, err) == (0, "")
    assert "sound" in out


# ---- models


def test_models_lists_those_that_cannot_run_with_what_is_missing(run):
    code, out, err = run("models")
    assert (code, err) == (0, "")
    assert "otto_2021_s_ketamine" in out and "missing" in out
    rows = json.loads(run("models", "--format", "json")[1])
    runs = [row for row in rows if row["status"] != "incomplete"]
    lacking = [row for row in rows if row["status"] == "incomplete"]
    assert len(runs) >= 17 and len(lacking) >= 8
    assert all(row["missing"] for row in lacking) and not any(row["missing"] for row in runs)


@pytest.mark.parametrize(
    "name", ["otto_2021_s_ketamine", "simons_2022_s_ketamine_otf", "fanta_2015_s_oral_iv"]
)
def test_one_model_shows_its_numbers_and_papers(run, name):
    code, out, err = run("models", name)
    assert (code, err) == (0, "")
    assert name in out and "source:" in out
    assert json.loads(run("models", name, "--format", "json")[1])["id"] == name


def test_unknown_model_is_answered_with_the_nearest(run):
    code, out, err = run("models", "oto_2021_s_ketamine")
    assert (code, out) == (2, "")
    assert "otto_2021_s_ketamine" in one_line(err)


def test_validate_wants_a_known_subject(run):
    code, out, err = run("validate", "pkk")
    assert (code, out) == (2, "")
    assert "pk" in one_line(err)


# ---- the program as a process


def test_version_and_help():
    import kinetamine

    assert shell("--version").stdout.strip() == kinetamine.__version__
    for words in (
        ["--help"],
        ["simulate", "--help"],
        ["models", "-h"],
        ["check-model", "-h"],
        ["validate", "-h"],
    ):
        done = shell(*words)
        assert done.returncode == 0 and "kinetamine" in done.stdout and not done.stderr


def test_unknown_command_is_one_line():
    done = shell("simulat", "--model", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert "simulat" in one_line(done.stderr)


def test_internal_errors_are_one_line_and_debug_shows_more(monkeypatch, capsys):
    def broken(*words):
        raise ZeroDivisionError("of no importance")

    monkeypatch.setattr("kinetamine.models.library.available", broken)
    assert cli.run(["models"]) == 1
    line = one_line(capsys.readouterr().err)
    assert "internal error" in line and "report" in line and "ZeroDivisionError" in line
    monkeypatch.setenv("KINETAMINE_DEBUG", "1")
    assert cli.run(["models"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_closed_pipe_is_quiet():
    command = f"{sys.executable} -m kinetamine models --format json"
    done = subprocess.run(
        ["bash", "-c", f"{command} | head -c 10; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.returncode in (0, 141)
    closed = subprocess.run(
        ["bash", "-c", f"{command} | (exec 0<&-; sleep 1)"], capture_output=True, text=True
    )
    assert closed.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_interrupt_is_130_and_leaves_nothing(tmp_path):
    target = tmp_path / "x.csv"
    words = [*OTTO, "--patients", "3000000", "--until", "28 d", "--stream", "--out", str(target)]
    process = subprocess.Popen(
        [sys.executable, "-m", "kinetamine", *words], stderr=subprocess.PIPE, text=True
    )
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    if process.returncode == 0:
        pytest.skip("done before it could be stopped")
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="needs getrusage")
def test_help_starts_at_once():
    import resource

    def seconds():
        # processor time, so that a busy machine does not fail the test
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    taken = []
    for _ in range(4):
        began = seconds()
        assert shell("--help").returncode == 0
        taken.append(seconds() - began)
    assert min(taken) < 0.5, taken
