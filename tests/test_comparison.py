"""The same dose through several models: which apply, what they say, and what the page and the command show of it."""

import csv
import importlib.util
import io
import json
import re

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.cli import app
from kinetamine.comparison import near_misses
from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.models import library

RACEMATE = "0.5 mg/kg iv over 40 min"
PAIR = "noppers_2011_s_ketamine + derived_r_ketamine_noppers_distribution"
SEVENTY = kt.Patient(weight=70, age=30)


@pytest.fixture(scope="module")
def racemate():
    return kt.compare(RACEMATE, SEVENTY, until=8.0)


# --- which models ------------------------------------------------------------------------------------


def test_every_model_of_the_library_answers_or_says_why_not(racemate):
    told = {row.model for row in racemate} | racemate.refused.keys()
    parts = {part for name in told for part in name.split(" + ")}
    assert parts == {e.id for e in library.available() if e.kind == "pk"}
    assert all(len(why) > 10 for why in racemate.refused.values())
    assert {row.model for row in racemate} >= {"kamp_2020_meta_racemic", "clements_1981_250", PAIR}
    assert all(row.analyte == "ketamine" and row.unit == "ng/mL" for row in racemate)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ("derived_im_adults_label", "has no route of its own here: the same as derived_racemate_arterial"),
        ("herd_2007_children_ed", "made for 1 to 14 years"),
        ("fanta_2015_s_oral_iv", "incomplete, not published: "),
    ],
)
def test_the_reason_is_the_models_own(racemate, model, why):
    assert why in racemate.refused[model]


def test_near_misses_have_the_route_and_the_numbers(racemate):
    assert {"herd_2007_children_ed", "hornik_2018_children_im_iv"} <= near_misses(racemate.refused).keys()
    assert not {"derived_im_adults_label", "fanta_2015_s_oral_iv"} & near_misses(racemate.refused).keys()


def test_one_enantiomer_needs_models_of_it():
    found = kt.compare("28 mg esketamine iv over 40 min", SEVENTY, until=8.0)
    assert {library.load(row.model).drug for row in found} == {"S-ketamine"} and len(found) == 5
    assert "needs a model of S-ketamine" in found.refused["kamp_2020_meta_racemic"]
    assert "not of S-ketamine" in found.refused["derived_r_ketamine_noppers_distribution"]


def test_a_dose_without_a_drug_means_what_the_route_means():
    assert kt.compare("84 mg nasal").drug == "S-ketamine" and kt.compare(RACEMATE, SEVENTY).drug == "racemate"


def test_children_get_models_of_children():
    found = kt.compare("1 mg/kg iv over 1 min", kt.Patient(age=6, weight=20), until=4.0)
    assert {row.model for row in found} >= {"herd_2007_children_ed", "hornik_2018_children_im_iv"}
    assert "no ages were published" in found.refused["kamp_2020_meta_racemic"]
    with pytest.raises(InputError, match="children or adults"):
        kt.compare("1 mg/kg iv", kt.Population(10, age=(10, 30)))


def test_adults_beyond_the_ages_studied_are_extrapolated_not_refused():
    old = kt.compare("28 mg esketamine iv over 40 min", kt.Patient(weight=70, age=60), until=4.0)
    grades = {row.model: row.grade for row in old}
    assert grades["simons_2022_s_ketamine_otf"] == "extrapolated"
    # its paper has adults of 18 to 86 years, but models of the same site are more than twofold apart or they agree
    assert grades["perez_ruixo_2021_esketamine"] in ("range not stated", "extrapolated")


def test_models_of_one_site_that_contradict_each_other_lower_all():
    found = kt.compare("2 mg/kg iv over 1 min", SEVENTY, until=4.0)
    venous = [row for row in found if row.site == "venous plasma"]
    assert max(r.cmax for r in venous) > 10 * min(r.cmax for r in venous)
    assert {row.grade for row in venous} == {"extrapolated"}
    assert all(
        re.search("models of ketamine in venous plasma: peaks .*-fold apart", r.reasons[0]) for r in venous
    )
    assert any("not real" in why for r in venous for why in r.reasons)  # Domino, as its note says


def test_models_may_be_named():
    found = kt.compare(RACEMATE, SEVENTY, models=["clements_1981_250", PAIR], until=4.0)
    assert {row.model for row in found} == {"clements_1981_250", PAIR} and not found.refused
    with pytest.raises(NoData, match="noppers_2011_s_ketamine: gives S-ketamine"):
        kt.compare(RACEMATE, SEVENTY, models="noppers_2011_s_ketamine")


# --- what they say -----------------------------------------------------------------------------------


def test_a_row_is_what_simulate_gives(racemate):
    row = next(r for r in racemate if r.model == "kamp_2020_meta_racemic")
    direct = kt.simulate(row.model, RACEMATE, SEVENTY, times=row.time_h)
    np.testing.assert_array_equal(row.middle, direct["ketamine"][0])
    assert (row.low, row.high) == (None, None) and direct.output("ketamine").grade == "range not stated"
    exposure = direct.exposure().row(0, named=True)
    measured = (exposure["cmax"], exposure["tmax_h"], exposure["auc_last"])
    assert (row.cmax, row.tmax_h, row.auc) == pytest.approx(measured, rel=1e-3)
    assert row.half_life_h == pytest.approx(exposure["half_life_h"], rel=0.02) and "Kamp" in row.source


def test_a_total_of_two_models_is_the_sum_of_half_doses(racemate):
    row = next(r for r in racemate if r.model == PAIR)
    s, r = (
        kt.simulate(m, f"0.25 mg/kg {drug} iv over 40 min", SEVENTY, times=row.time_h)
        for m, drug in zip(PAIR.split(" + "), ("S-ketamine", "R-ketamine"), strict=True)
    )
    np.testing.assert_allclose(row.middle, (s["S-ketamine"] + r["R-ketamine"])[0], rtol=1e-9)
    assert "the sum of S- and R-ketamine of two models, half of the dose in each" in row.reasons


def test_an_enantiomer_after_the_racemate_comes_from_half_of_the_dose():
    found = kt.compare("50 mg iv over 40 min", SEVENTY, analyte=["S-ketamine", "norketamine"], until=6.0)
    alone = kt.compare("25 mg esketamine iv over 40 min", SEVENTY, until=6.0)
    halved = [
        r
        for r in found
        if library.load(r.model.split(" + ")[0]).drug == "S-ketamine" and r.analyte == "S-ketamine"
    ]
    assert {r.model: r.cmax for r in halved} == pytest.approx({r.model: r.cmax for r in alone})
    assert all("half of the racemate's dose is S-ketamine" in r.reasons for r in halved)
    assert {"derived_racemate_venous", "derived_racemate_arterial"} <= {
        r.model for r in found if r.analyte == "norketamine"
    }


def test_of_one_enantiomer_alone_it_is_the_total():
    names = ("ketamine", "norketamine")
    found = kt.compare("25 mg esketamine iv over 40 min", SEVENTY, analyte=names, until=6.0)
    assert [r.analyte for r in found] == sorted((r.analyte for r in found), key=names.index)
    otto = next(r for r in found if r.model.startswith("otto") and r.analyte == "norketamine")
    assert "S-norketamine is all the norketamine there is after S-ketamine" in otto.reasons
    assert any("ketamine equivalents" in why for why in otto.reasons)  # the file counts it in another mass


def test_people_give_quantiles_where_their_spread_was_published():
    people = kt.Population(200, seed=1, age=(18, 64))
    found = kt.compare("28 mg esketamine iv over 40 min", people, until=6.0)
    for row in found:
        known = bool(library.load(row.model).variability)
        assert known == (row.low is not None) == (row.high is not None)
        assert known != ("no band: no variability between people was published" in row.reasons)
        if known:
            direct = kt.simulate(row.model, "28 mg esketamine iv over 40 min", people, times=row.time_h)
            bands = direct.quantiles("S-ketamine")
            np.testing.assert_array_equal([row.low, row.middle, row.high], list(bands.values()))
            assert row.cmax == pytest.approx(np.median(direct["S-ketamine"].max(axis=1)))
    assert (found.n, found.typical, found.quantiles) == (200, False, (0.05, 0.5, 0.95))
    wide = kt.compare("28 mg esketamine iv over 40 min", people, until=6.0, quantiles=(0.25, 0.5, 0.75))
    assert (wide[-1].high < found[-1].high)[5:].all()


def test_spread_is_of_one_analyte_at_one_site(racemate):
    for one in racemate.spread:
        rows = [r for r in racemate if (r.analyte, r.site) == (one.analyte, one.site)]
        peaks, areas = [r.cmax for r in rows], [r.auc for r in rows]
        assert one.models == len(rows) > 1
        assert (one.cmax, one.auc) == (max(peaks) / min(peaks), max(areas) / min(areas))
    assert len({r.site for r in racemate}) == 3 and len(racemate.spread) == 2  # one site has one model


def test_times_hold_starts_and_ends_of_doses_and_are_few():
    one = {"models": "clements_1981_250"}
    found = kt.compare(["10 mg iv", "20 mg iv over 17 min at 5 h"], until="24 h", **one)
    assert {0.0, 5.0, 24.0} <= set(found[0].time_h) and len(found[0].time_h) < 300
    assert np.abs(found[0].time_h - (5 + 17 / 60)).min() < 1e-6
    assert len(kt.compare("10 mg iv", until=4.0, step=1.0, **one)[0].time_h) == 5


# --- refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("doses", "more", "told"),
    [
        (RACEMATE, {"analyte": "kitamine"}, "try 'ketamine'"),
        (RACEMATE, {"analyte": []}, "at least one analyte"),
        (RACEMATE, {"models": []}, "at least one model"),
        (RACEMATE, {"models": "kamp"}, "a model of the library"),
        (RACEMATE, {"quantiles": (0.5, 0.1, 0.9)}, "a low, a middle and a high one"),
        (RACEMATE, {"until": -1.0}, "a positive time"),
        (RACEMATE, {"population": 3}, "a Patient or a Population"),
        (["5 mg esketamine iv", "5 mg racemate iv at 1 h"], {}, "one drug"),
        ("5 mg esketamine rectal", {}, "S-ketamine needs a model of S-ketamine"),
    ],
)
def test_what_cannot_be_compared_is_refused(doses, more, told):
    with pytest.raises(InputError) as error:
        kt.compare(doses, **more)
    assert told in str(error.value)


def test_an_analyte_nobody_gives_is_named():
    with pytest.raises((NoData, UnknownName)):
        kt.compare("1 mg/kg iv", kt.Patient(age=6, weight=20), analyte="norketamine")


# --- shown -------------------------------------------------------------------------------------------


def test_as_plain_values_and_as_a_frame(racemate):
    plain = json.loads(json.dumps(racemate.to_dict()))
    assert plain["rows"][0]["low"] is None and len(plain["rows"][0]["middle"]) == len(racemate[0].time_h)
    assert plain["spread"][0].keys() == {"analyte", "site", "models", "cmax", "auc"}
    frame = racemate.frame()
    assert frame.height == sum(len(r.time_h) for r in racemate) and frame["low"].null_count() == frame.height


def run(capsys, *words):
    code = app.run(["compare", *words])
    got = capsys.readouterr()
    assert code == 0, got.err
    return got.out


def test_the_table_groups_by_site_and_tells_the_spread(capsys):
    text = run(capsys, "--dose", RACEMATE, "--set", "weight=70", "--until", "8 h", "--cite")
    assert text.index("arterial plasma") < text.index("venous plasma")
    assert "highest through lowest of" in text and "not for dosing oneself" in text
    assert "herd_2007_children_ed: made for 1 to 14 years" in text and "Clements" in text


def test_json_and_csv(capsys, tmp_path):
    words = [
        "--dose",
        "28 mg esketamine iv over 40 min",
        "--patients",
        "30",
        "--age",
        "18-64",
        "--until",
        "4 h",
    ]
    found = json.loads(run(capsys, *words, "--format", "json", "--analyte", "S-norketamine"))
    assert found["n"] == 30 and {r["analyte"] for r in found["rows"]} == {"S-norketamine"}
    rows = list(csv.DictReader(io.StringIO(run(capsys, *words, "--format", "csv"))))
    assert {r["model"] for r in rows} >= {"otto_2021_s_ketamine", "noppers_2011_s_ketamine"}
    path = tmp_path / "a.txt"
    run(capsys, *words, "--out", str(path), "--model", "otto_2021_s_ketamine")
    assert "otto_2021_s_ketamine" in path.read_text() and "noppers" not in path.read_text()


@pytest.mark.skipif(importlib.util.find_spec("vl_convert") is None, reason="needs the extra 'report'")
def test_the_figure_has_every_model(capsys, tmp_path):
    path = tmp_path / "compared.svg"
    run(capsys, "--dose", RACEMATE, "--set", "weight=70", "--until", "4 h", "--figure", str(path))
    drawn = path.read_text()
    assert drawn.startswith("<svg") and "arterial" in drawn and "venous" in drawn


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--until", "4 h"], "--dose: got nothing"),
        (["--dose", "5 mg iv", "--format", "xml"], "a format"),
        (["--dose", "5 mg iv", "--age", "6-8"], "one age for one patient"),
        (["--dose", "5 mg iv", "--figure", "/nowhere/a.svg"], "--figure"),
    ],
)
def test_the_command_refuses_in_one_line(words, told, capsys):
    assert app.run(["compare", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line
