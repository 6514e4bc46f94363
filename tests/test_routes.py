"""Derived absorption: each model peaks when its source says, and says how sure that is."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import kinetamine as kt
from kinetamine import units
from kinetamine.models import library

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "validation" / "derive_absorption.py"))
INPUTS = SCRIPT["all_inputs"]()
#: recalled or borrowed numbers: never to look like a fit
BORROWED = [
    "derived_im_adults_clements",
    "derived_im_children_hornik",
    "derived_rectal_adults_yanagihara",
    "derived_inhaled_s_jonkman",
]


def grade_of(model, phrase, weight=70):
    return kt.simulate(model, phrase, kt.Patient(weight=weight), times=[0.5]).outputs.popitem()[1].grade


def test_every_derived_absorption_has_its_inputs():
    derived = [e for e in library.available() if e.status == "derived" and e.path.parent.name == "pk"]
    absorbed = {e.id for e in derived if "iv" not in e.routes}
    assert absorbed == set(INPUTS) | {"derived_inhaled_s_jonkman"}  # whose rate is published


@pytest.mark.parametrize("name", INPUTS)
def test_the_procedure_gives_what_the_file_has(name):
    found, kept = SCRIPT["derive"](name, INPUTS[name]), library.load(name).parameters
    assert kept[found.parameter].value == pytest.approx(found.value, rel=0.01)
    if kept[found.parameter].se is not None:
        assert kept[found.parameter].se == pytest.approx(found.se, rel=0.05)
    if found.fitted is not None:
        assert kept[found.fitted[0]].value == pytest.approx(found.fitted[1], rel=0.01)
    assert INPUTS[name]["source"] in library.sources()


@pytest.mark.parametrize("name", INPUTS)
def test_the_simulated_curve_peaks_at_the_published_time(name):
    inputs = INPUTS[name]
    peak = units.convert(inputs["peak"], inputs["unit"], "h")
    times = np.linspace(0.5 * peak, 1.5 * peak, 2001)
    found = kt.simulate(name, inputs["dose"], kt.Patient(weight=inputs["weight"]), times=times)
    assert times[found["ketamine"][0].argmax()] == pytest.approx(peak, rel=0.01)


def test_the_standard_error_covers_what_the_study_saw():
    name = "derived_oral_adults_chong"
    people = kt.Population(2000, seed=1, variability=False, uncertainty=True, weight=70)
    peaks = kt.simulate(name, "25 mg oral", people, until=8)["ketamine"].max(axis=1)
    low, high = np.quantile(peaks, (0.05, 0.95))
    assert low < 14.0 < high and high / low > 1.5


def test_mass_absorbed_is_the_bioavailability():
    for name, dose in (
        ("derived_nasal_adults_singh", "30 mg nasal"),
        ("derived_im_adults_clements", "30 mg im"),
    ):
        times = np.linspace(0, 48, 20001)
        found = np.trapezoid(kt.simulate(name, dose, times=times)["ketamine"][0], times)
        by_vein = np.trapezoid(
            kt.simulate("clements_1981_250", "30 mg iv", times=times)["ketamine"][0], times
        )
        fraction = library.load(name).parameters["F_" + dose.split()[-1]].value
        assert found / by_vein == pytest.approx(fraction, rel=1e-3)


def test_nasal_peaks_are_within_a_third_of_the_published_ones():
    for dose, peak in ((10, 22.9), (30, 60.8), (50, 77.6)):
        found = kt.simulate("derived_nasal_adults_singh", f"{dose} mg nasal", until=2)["ketamine"].max()
        assert found == pytest.approx(peak, rel=0.34)


def test_children_stay_anaesthetised_as_the_study_simulated():
    for dose in (6, 8):
        found = kt.simulate(
            "derived_im_children_hornik", f"{dose} mg/kg im", kt.Patient(weight=14), times=[5 / 60, 20 / 60]
        )
        assert (found["ketamine"] > 750).all()


def test_borrowed_numbers_are_graded_extrapolated():
    for name in BORROWED:
        (route,) = library.load(name).routes
        assert grade_of(name, f"50 mg {route}") == "extrapolated", name
    assert grade_of("derived_sublingual_adults_rolan", "25 mg sublingual") == "fitted"
    assert grade_of("derived_sublingual_adults_rolan", "250 mg sublingual") == "extrapolated"


def test_every_route_of_the_list_runs_or_is_refused_with_a_reason():
    runs = {route for e in library.available() if e.status != "incomplete" for route in e.routes}
    wanted = (
        "iv",
        "im",
        "nasal",
        "oral",
        "oral prolonged release",
        "oral film",
        "sublingual",
        "rectal",
        "inhaled",
    )
    assert runs >= set(wanted)
    with pytest.raises(kt.InputError, match="no published model here has that route"):
        kt.simulate("clements_1981_250", "0.5 mg/kg sc")


def test_the_page_has_the_numbers_of_the_files():
    page = (Path(__file__).parents[1] / "docs" / "routes.md").read_text("utf-8")
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if (
            len(cells) > 6
            and cells[3].startswith("`derived_")
            and "`," not in cells[3]
            and cells[5][:2] == "0."
        ):
            parameters = library.load(cells[3].strip("`")).parameters
            fraction = next(p for name, p in parameters.items() if name.startswith("F_"))
            shown = f"{fraction.value:g}" + (f" (se {fraction.se:g})" if fraction.se else "")
            assert cells[5].startswith(shown), cells
