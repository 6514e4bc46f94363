"""Derived absorption: each model peaks when its source says, and says how sure that is."""

import runpy
from pathlib import Path

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.models import library

SCRIPT = runpy.run_path(str(Path(__file__).parents[1] / "validation" / "derive_absorption.py"))
INPUTS = SCRIPT["all_inputs"]()
#: recalled, borrowed or assumed numbers: never to look like a fit
BORROWED = [
    "derived_im_adults_label",
    "derived_sc_adults_label",
    "derived_im_children_herd",
    "derived_s_ketamine_children_herd",
    "derived_nasal_solution_s_ketamine",
    "derived_rectal_adults_yanagihara",
    "derived_inhaled_s_jonkman",
]
#: on another model's absorption, or with a published rate
TAKEN_OVER = set(BORROWED) - {"derived_im_adults_label", "derived_rectal_adults_yanagihara"}


def grade_of(model, phrase, weight=70):
    return kt.simulate(model, phrase, kt.Patient(weight=weight), times=[0.5]).outputs.popitem()[1].grade


def test_every_derived_absorption_has_its_inputs():
    derived = [library.load(e.id) for e in library.available() if e.status == "derived" and e.kind == "pk"]
    absorbed = {spec.id for spec in derived if spec.stands_on}
    assert absorbed == set(INPUTS) | TAKEN_OVER


@pytest.mark.parametrize("name", INPUTS)
def test_the_procedure_gives_what_the_file_has(name):
    found, kept = SCRIPT["derive"](name, INPUTS[name], errors=False), library.load(name).parameters
    for parameter, value in found.values.items():
        assert kept[parameter].value == pytest.approx(value, rel=0.01)
    assert {t["source"] for t in INPUTS[name]["target"]} <= set(library.sources())


def test_derived_routes_keep_the_vein_they_stand_on():
    for name in INPUTS:
        spec = library.load(name)
        base = library.load(spec.stands_on)
        assert set(base.routes) <= set(spec.routes) and set(spec.own_routes) == set(spec.routes) - set(
            base.routes
        )
        here, there = (kt.simulate(m, "1 mg/kg iv", kt.Patient(weight=40), times=[0.5]) for m in (spec, base))
        np.testing.assert_allclose(here["ketamine"], there["ketamine"], rtol=1e-9)


def test_what_a_model_stands_on_must_be_there():
    text = 'format = 1\ndrug = "racemate"\nstands_on = "nobody"\n'
    with pytest.raises(kt.InputError, match="stands_on: got 'nobody'; expected the id of a model"):
        library.load_text(text, "mine.toml")


def test_the_standard_error_covers_what_the_study_saw():
    name = "derived_oral_adults_chong"
    people = kt.Population(2000, seed=1, variability=False, uncertainty=True, weight=70)
    peaks = kt.simulate(name, "25 mg oral", people, until=8)["ketamine"].max(axis=1)
    low, high = np.quantile(peaks, (0.05, 0.95))
    assert low < 15.3 < high and high / low > 1.4


def area(name, dose, output="ketamine", until=72):
    times = np.concatenate([np.arange(0, 4, 1 / 360), np.arange(4, until, 0.05)])
    return np.trapezoid(kt.simulate(name, dose, kt.Patient(weight=70), times=times)[output][0], times)


def test_mass_absorbed_is_the_bioavailability():
    for name, dose, fraction in (
        ("derived_nasal_adults_singh", "30 mg nasal", "F_nasal"),
        ("derived_oral_adults_chong", "30 mg oral", "F_oral"),
    ):
        found = area(name, dose) / area(name, "30 mg iv")
        assert found == pytest.approx(library.load(name).parameters[fraction].value, rel=5e-3)


def test_a_nasal_spray_of_the_racemate_has_the_area_of_its_source():
    assert 45 < area("derived_nasal_adults_singh", "50 mg nasal", until=24) < 90  # 11 % of 50 mg
    for dose, peak in ((10, 22.9), (30, 60.8), (50, 77.6)):
        found = kt.simulate("derived_nasal_adults_singh", f"{dose} mg nasal", until=2)["ketamine"].max()
        assert found == pytest.approx(peak, rel=0.56)  # its peaks and its areas cannot both hold


def test_a_nasal_solution_is_not_as_slow_as_the_licensed_spray():
    solution = kt.effects(
        "50 mg esketamine nasal solution", effects="altered perception and memory", points=100
    )
    assert solution.rows[0].model == "derived_nasal_solution_s_ketamine"
    times = np.arange(0, 4, 1 / 60)
    late = [
        times[kt.simulate(m, f"50 mg {route}", times=times)["S-ketamine"][0].argmax()]
        for m, route in (
            ("derived_nasal_solution_s_ketamine", "nasal solution"),
            ("perez_ruixo_2021_esketamine", "nasal"),
        )
    ]
    assert late[0] < 0.6 * late[1]


def test_prolonged_release_is_that_of_its_study():
    name, times = "derived_oral_prolonged_release_hasan", np.arange(0, 72.01, 0.1)
    found = kt.simulate(name, "40 mg oral prolonged release", times=times)["ketamine"][0]
    late = (times > 12) & (times < 36)
    half_life = -np.log(2) / np.polyfit(times[late], np.log(found[late]), 1)[0]
    assert 5 < found.max() < 9 and 7 < half_life < 15
    for dose, cmax, auc in ((10, 1.63, 13.4), (20, 3.70, 33.5), (80, 11.8, 124)):  # not used
        got = kt.simulate(name, f"{dose} mg oral prolonged release", times=times)["ketamine"][0]
        assert got.max() == pytest.approx(cmax, rel=0.2)
        assert np.trapezoid(got, times) == pytest.approx(auc, rel=0.2)


def test_metabolites_after_the_racemate():
    name = "derived_racemate_venous"
    ketamine = area(name, "5 mg iv over 30 min")
    assert ketamine == pytest.approx(52.3, rel=0.1)  # Hasan
    assert area(name, "5 mg iv over 30 min", "norketamine") / ketamine == pytest.approx(1.79, abs=0.56)
    assert area(name, "5 mg iv over 30 min", "hydroxynorketamine") / ketamine == pytest.approx(
        0.334, abs=0.13
    )
    for form in ("S", "R"):
        assert f"{form}-dehydronorketamine" in library.load(name).outputs


def test_borrowed_numbers_are_graded_extrapolated():
    for name in BORROWED:
        route = library.load(name).own_routes[-1]
        assert grade_of(name, f"50 mg {route}") == "extrapolated", name
    assert (
        grade_of("derived_sublingual_adults_rolan", "25 mg sublingual") == "range not stated"
    )  # ages, weights
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
        "sc",
        "nasal solution",
    )
    assert runs >= set(wanted)
    with pytest.raises(kt.InputError, match="no published model here has that route"):
        kt.simulate("clements_1981_250", "0.5 mg/kg transdermal")


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
