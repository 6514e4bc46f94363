"""Results: arrays, quantiles, other forms, files, references."""

from __future__ import annotations

import json
import math
import os
import stat
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinetamine.errors import InputError, MissingExtra, UnknownName
from kinetamine.files import write_whole
from kinetamine.results import Output, Result, TableResult
from kinetamine.results.output import column_quantiles
from kinetamine.results.references import bibtex, link

PAPER = {
    "key": "otto_2021",
    "citation": "Otto ME, Bergmann KR, Jacobs G, van Esdonk MJ. Eur J Clin Pharmacol 2021;77(8):1181-1192",
    "doi": "10.1007/s00228-021-03104-1",
    "year": 2021,
    "seen": "text",
}
BIRTH = {
    "models": [{"id": "otto_2021_s_ketamine", "digest": "0123456789abcdef", "source": "otto_2021"}],
    "kinetamine": "0.1.0",
    "seed": np.int64(1),
    "n": 40,
    "regimen": ["0.5 mg/kg iv over 40 min"],
}


def population(n=40, typical=False, seed=0, **more):
    times = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 1 / 3 + 8])
    values = 100 * np.random.default_rng(seed).lognormal(0, 0.3, (n, 1)) * np.exp(-0.3 * times)
    out = Output(
        "S-ketamine", "S-ketamine", "venous plasma", "ng/mL", "fitted", ("inside its range",), values
    )
    return Result(times, {"S-ketamine": out}, birth=BIRTH, citations=[PAPER], typical=typical, **more)


def streamed(full):
    kept = full.quantiles("S-ketamine", (0.05, 0.25, 0.5, 0.75, 0.95))
    out = Output("S-ketamine", "S-ketamine", "venous plasma", "ng/mL", "fitted", quantiles=kept)
    return Result(full.time_h, {"S-ketamine": out}, birth=full.birth)


# ---- values and quantiles


def test_indexing():
    r = population()
    assert r["S-ketamine"].shape == (40, 6)
    assert "S-ketamine" in r
    assert list(r) == ["S-ketamine"]
    with pytest.raises(UnknownName, match="'S-ketamine'"):
        r["s-ketamin"]


@given(st.integers(1, 60), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_quantiles_are_those_of_numpy(n, q):
    values = np.random.default_rng(n).normal(size=(n, 5))
    assert column_quantiles(values, q) == pytest.approx(np.quantile(values, q, axis=0), rel=1e-12, abs=1e-12)


def test_quantiles_in_threads_and_with_nan():
    values = np.random.default_rng(0).normal(size=(5000, 70))
    values[3, 4] = math.nan
    got = column_quantiles(values, [0.05, 0.5])
    assert np.isnan(got[:, 4]).all()
    keep = np.arange(70) != 4
    assert np.allclose(got[:, keep], np.quantile(values[:, keep], [0.05, 0.5], axis=0), rtol=1e-13)


def test_failed_patients_take_no_part():
    r = population(status=np.arange(40) == 3)
    clean = np.delete(r["S-ketamine"], 3, axis=0)
    r["S-ketamine"][3] = math.nan
    assert r.quantiles("S-ketamine", 0.5)[0.5] == pytest.approx(np.median(clean, axis=0))
    assert r.to_dict()["failed"] == {"a value is not finite": 1}
    assert "1 failed" in repr(r)


def test_bad_quantiles():
    with pytest.raises(InputError, match="between 0 and 1"):
        population().quantiles("S-ketamine", 5)


def test_streamed_results_say_what_to_do():
    s = streamed(population())
    with pytest.raises(InputError, match="quantiles"):
        s["S-ketamine"]
    with pytest.raises(InputError, match=r"0\.05, 0\.25, 0\.5"):
        s.quantiles("S-ketamine", 0.1)
    assert s.quantiles("S-ketamine", 0.5)[0.5] == pytest.approx(
        population().quantiles("S-ketamine", 0.5)[0.5]
    )
    assert s.n == 40
    assert "streamed" in repr(s)
    assert s._repr_html_()


# ---- JSON


def test_json_of_a_typical_patient():
    r = population(1, typical=True)
    data = json.loads(r.to_json())
    assert list(data) == ["time_h", "outputs", "birth"]
    entry = data["outputs"]["S-ketamine"]
    assert list(entry) == ["unit", "site", "analyte", "grade", "reasons", "values"]
    assert entry["values"] == r["S-ketamine"][0].tolist()  # every bit survives
    assert data["time_h"] == r.time_h.tolist()
    assert data["birth"]["seed"] == 1


@pytest.mark.parametrize("make", [lambda: population(1), population, lambda: streamed(population())])
def test_json_of_a_population(make):
    r = make()
    entry = json.loads(r.to_json())["outputs"]["S-ketamine"]
    assert "values" not in entry
    want = ["0.05", "0.25", "0.5", "0.75", "0.95"] if r.streamed else ["0.05", "0.5", "0.95"]
    assert list(entry["quantiles"]) == want
    assert entry["quantiles"]["0.5"] == r.quantiles("S-ketamine", 0.5)[0.5].tolist()


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8))
def test_json_is_always_valid(values):
    out = Output('"<x>\n', "x", "effect", "1", "fitted", values=np.array([values]))
    birth = {"nan": math.nan, "set": {1}, "array": np.arange(2.0), "path": os.sep, 5: (np.float32(1.5),)}
    text = Result(np.arange(float(len(values))), {out.name: out}, typical=True, birth=birth).to_json()

    def refuse(token):
        raise AssertionError(token)

    data = json.loads(text, parse_constant=refuse)
    assert data["outputs"][out.name]["values"] == [v if math.isfinite(v) else None for v in values]


# ---- frames and files


def test_polars_long_and_wide():
    r = population(2)
    long = r.to_polars()
    assert long.columns == ["patient", "time_h", "output", "value", "unit"]
    assert long["value"].to_numpy().reshape(2, 6).tolist() == r["S-ketamine"].tolist()
    assert r.to_polars(long=False).columns == ["patient", "time_h", "S-ketamine"]
    assert streamed(population()).to_polars().columns == ["quantile", "time_h", "output", "value", "unit"]
    assert streamed(population()).to_polars(long=False).height == 5 * 6


def test_pandas_and_xarray():
    pytest.importorskip("pandas")
    pytest.importorskip("xarray")
    r = population(3, patients={"weight": np.array([60.0, 70.0, 80.0])})
    assert list(r.to_pandas().columns) == r.to_polars().columns
    data = r.to_xarray()
    assert data["S-ketamine"].dims == ("patient", "time_h")
    assert data["S-ketamine"].attrs["units"] == "ng/mL"
    assert data["weight"].values.tolist() == [60.0, 70.0, 80.0]
    assert json.loads(data.attrs["birth"])["kinetamine"] == "0.1.0"
    assert streamed(population()).to_xarray()["S-ketamine"].sel(quantile=0.5).shape == (6,)


def test_missing_extras_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingExtra, match=r"kinetamine\[xarray\]"):
        population().to_xarray()


def test_files_hold_every_bit(tmp_path):
    r = population()
    for suffix, read in [("csv", pl.read_csv), ("parquet", pl.read_parquet)]:
        path = tmp_path / f"r.{suffix}"
        r.write(path)
        assert read(path).equals(r.to_polars())
    r.write(tmp_path / "r.txt", format="json")
    assert json.loads((tmp_path / "r.txt").read_text()) == json.loads(r.to_json())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.csv", "r.parquet", "r.txt"]


def test_parquet_carries_the_birth(tmp_path):
    population().write(tmp_path / "r.parquet")
    kept = pl.read_parquet_metadata(tmp_path / "r.parquet")["kinetamine"]
    assert json.loads(kept)["models"][0]["digest"] == "0123456789abcdef"


@pytest.mark.parametrize("name", ["r", "r.xlsx", "r.csv.gz"])
def test_unknown_suffix(tmp_path, name):
    with pytest.raises(InputError, match=r"\.csv"):
        population().write(tmp_path / name)
    with pytest.raises(UnknownName, match="'csv'"):
        population().write(tmp_path / name, format="cvs")
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_half(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    path.write_text("before")
    r = population()

    def fails():
        raise RuntimeError("in the middle")

    monkeypatch.setattr(r, "to_json", fails)
    with pytest.raises(RuntimeError):
        r.write(path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_places_that_cannot_be_written(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        population().write(tmp_path / "no" / "r.csv")
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(InputError, match="a folder"):
        population().write(tmp_path / "d.csv")


def test_links_and_devices_stay_what_they_are(tmp_path):
    (tmp_path / "real.json").write_text("")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    population(1).write(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())
    write_whole("/dev/null", lambda place: open(place, "w").close())
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


# ---- references


def test_cite():
    r = population(1)
    assert r.cite() == PAPER["citation"] + ". https://doi.org/10.1007/s00228-021-03104-1"
    entry = r.cite(bibtex=True)
    assert entry.startswith("@article{otto_2021,")
    assert "author = {Otto, ME and Bergmann, KR and Jacobs, G and van Esdonk, MJ}" in entry
    assert "pages = {1181--1192}" in entry


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ({"key": "a b", "citation": "A thesis, 2024, 100% & more"}, ["@misc{a_b,", r"100\% \& more"]),
        (
            {"key": "k", "citation": "Kamp J, et al. A title here. Br J Anaesth 2020;125(5):750-61", "url": "https://x.org/y_z"},
            ["Kamp, J and others", "title = {A title here}", "journal = {Br J Anaesth}", "url = {https://x.org/y_z}"],
        ),
    ],
)  # fmt: skip
def test_bibtex(source, parts):
    entry = bibtex(source)
    for part in parts:
        assert part in entry


def test_links_are_addresses_only():
    assert link({"doi": "https://doi.org/10.1/x"}) == "https://doi.org/10.1/x"
    assert link({"doi": "https://pmc.ncbi.nlm.nih.gov/articles/PMC1/"}).startswith("https://pmc")
    assert link({"url": "javascript:alert(1)"}) == ""


def test_recalled_numbers_are_marked():
    assert (
        "recalled"
        in population(1, typical=True).cite()
        + Result(np.zeros(1), {}, citations=[PAPER | {"seen": "recalled"}]).cite()
    )


# ---- at a glance


def test_repr_and_summary():
    r = population(1, typical=True)
    assert repr(r) == (
        "<Result of otto_2021_s_ketamine: typical patient × 6 times, 0-8.33333 h; S-ketamine (ng/mL, fitted)>"
    )
    assert population().summary()[0]["grade"] == "fitted"
    assert list(population().summary()[0])[:5] == ["output", "site", "unit", "grade", "Cmax"]
    evil = population(1)
    evil.outputs = {"<b>": Output("<b>", "", "", "1", "fitted", values=evil["S-ketamine"])}
    assert "<b>" not in evil._repr_html_()


# ---- event tables


def table():
    out = Output(
        "S-ketamine",
        "S-ketamine",
        "plasma",
        "ng/mL",
        "fitted",
        values=np.array([1 / 3, 2.0, math.nan, 1e-17]),
    )
    return TableResult(
        [1.0, 1.0, 5.0, 5.0], [0, 0, 1, 1], [0.1, 2.0, 0.0, 1.0], {"S-ketamine": out}, birth=BIRTH
    )


def test_event_table(tmp_path):
    r = table()
    assert r.n == 2
    assert len(r) == 4
    assert r["S-ketamine"][0] == 1 / 3
    assert r.to_polars().columns == ["ID", "TIME", "S-ketamine"]
    r.write(tmp_path / "r.csv")
    back = pl.read_csv(tmp_path / "r.csv")
    assert back["S-ketamine"].to_list() == [1 / 3, 2.0, None, 1e-17]
    r.write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["outputs"]["S-ketamine"]["values"][2] is None
    assert r.exposure()["ID"].to_list() == [1, 5]
    with pytest.raises(UnknownName):
        r["C"]
    assert "2 subjects, 4 observation records" in repr(r)
    assert r._repr_html_()


def test_labels_of_ids():
    out = Output("C", "C", "", "1", "fitted", values=np.zeros(3))
    r = TableResult(["a", "b", "7"], [0, 1, 2], np.zeros(3), {"C": out})
    assert r.to_polars()["ID"].to_list() == ["a", "b", "7"]
