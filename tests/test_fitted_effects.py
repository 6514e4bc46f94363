"""Calibrated effects: the fit runs again to the same numbers, and rows not used are reported as they are."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.effects import effects
from kinetamine.models import library

FIT = runpy.run_path(str(Path(__file__).parents[1] / "validation" / "effects" / "fit.py"))
GIVEN = FIT["inputs"]()
USED = [row for row in GIVEN["share"] if row["use"] == "fit"]


def test_the_fit_gives_what_the_files_have():
    found = FIT["fitted"]()
    shipped = {e.id for e in library.available() if e.id.startswith("fitted_")}
    shares_only = {"fitted_emergence_adults", "fitted_emergence_children", "fitted_ventilation_low_dose"}
    assert shipped == set(found) | shares_only
    for name, numbers in found.items():
        kept = library.load(name).parameters
        assert set(kept) - {"t_half"} == set(numbers)
        for key, (value, se) in numbers.items():
            assert kept[key].value == pytest.approx(value, rel=0.02)
            if se is not None:
                assert kept[key].se == pytest.approx(se, rel=0.1)


@pytest.mark.parametrize("row", USED, ids=lambda row: f"{row['output']}, {row['dose']}")
def test_shares_fitted_come_back_through_the_effects(row):
    people = kt.Population(2000, seed=2, age=(18, 64))
    (found,) = effects(row["dose"], effects=row["model"], population=people)
    expected = (row["share"] - row["placebo"]) / (1 - row["placebo"])
    assert found.affected == pytest.approx(expected, abs=0.035)


def test_rows_not_used_are_as_the_notes_say():
    verdicts = {words: (predicted, seen) for words, predicted, seen in FIT["tested"]()}
    for words in ("CADSS above 4: peak, min", "MOAA/S below 5: onset, min", "MOAA/S below 5: offset, min"):
        predicted, seen = verdicts[words]
        assert 1 / 1.4 < predicted / np.mean(seen) < 1.4
    circulation = {words.partition(":")[0]: v for words, v in verdicts.items() if words.startswith("slope_")}
    assert set(circulation) == {"slope_diastolic", "slope_rate"}
    for predicted, (low, high) in circulation.values():
        assert low <= predicted <= high
    share = next(p for words, (p, _) in verdicts.items() if words.startswith("CADSS above 4: share"))
    assert share == pytest.approx(0.70, abs=0.03)


def test_every_source_is_known():
    rows = [*GIVEN["share"], *GIVEN["time"], *GIVEN["change"]]
    assert {row["source"] for row in rows} <= set(library.sources())


def test_blood_pressure_is_refused_far_above_nasal_levels():
    with pytest.raises(kt.InputError):
        effects(
            "2 mg/kg esketamine iv",
            effects="fitted_circulation",
            population=kt.Patient(weight=70),
        )


def test_the_page_has_the_numbers():
    page = (Path(__file__).parents[1] / "docs" / "fitted_effects.md").read_text("utf-8")
    for words, predicted, _ in FIT["tested"]():
        line = next(
            line
            for line in page.splitlines()
            if words.split(";")[0].split(":")[0] in line and f"{predicted:.2g}" in line
        )
        assert line.startswith("|"), words
