"""Questions of a clinical pharmacologist with the range of a right answer, or the reason of a refusal.

Ranges are those of labels and of the works named; where a question is of another room (combinations, course, misuse)
its test is there.
"""

from __future__ import annotations

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.errors import NoData

SEVENTY = kt.Patient(weight=70)
TIMES = np.concatenate([np.arange(0, 4, 1 / 60), np.arange(4, 48.01, 0.1)])


def effect(dose, name, people=None, **more):
    people = people if people is not None else kt.Population(200, seed=1, uncertainty=True)
    rows = kt.effects(dose, effects=name, population=people, points=300, **more)
    return rows[0]


def curve(model, dose, output="ketamine", people=SEVENTY):
    return kt.simulate(model, dose, people, times=TIMES)[output][0]


def test_spray_at_75_against_45_years():
    """US and EU label: 5 to 35 % more."""
    young, old = (
        curve("perez_ruixo_2021_esketamine", "84 mg nasal", "S-ketamine", kt.Patient(weight=70, age=age))
        for age in (45, 75)
    )
    assert 1.0 <= np.trapezoid(old, TIMES) / np.trapezoid(young, TIMES) <= 1.35


@pytest.mark.parametrize(
    ("condition", "area", "peak"),
    [
        ("Child-Pugh B", (1.7, 2.3), (0.95, 1.25)),
        ("severe renal impairment", (1.0, 1.5), (1.1, 1.35)),
    ],
)
def test_spray_with_a_diseased_liver_or_kidney(condition, area, peak):
    """Labels: area x 2.03, peak x 1.08 in Child-Pugh B (recalled, fitted to); severe renal: peak x 1.1 to 1.35."""
    well = curve("perez_ruixo_2021_esketamine", "28 mg nasal", "S-ketamine")
    ill = curve(
        kt.perturb("perez_ruixo_2021_esketamine", condition=condition, route="nasal"),
        "28 mg nasal",
        "S-ketamine",
    )
    assert area[0] <= np.trapezoid(ill, TIMES) / np.trapezoid(well, TIMES) <= area[1]
    assert peak[0] <= ill.max() / well.max() <= peak[1]


def test_an_opioid_beside_ketamine_is_told_with_ventilation():
    """Bourke 1987: morphine and ketamine shift the response to carbon dioxide together."""
    found = kt.interactions("fentanyl")
    assert all(row.via == "opioid" for row in found)
    assert any("respiratory depression" in row.effect for row in found)
    assert any(row.source == "bourke_1987" and row.magnitude for row in found)


def test_ventilation_after_the_spray_is_refused_for_its_site():
    with pytest.raises(NoData, match="arterial and venous curves differ"):
        kt.effects("84 mg nasal", effects="ventilation", population=SEVENTY)


def test_two_mg_per_kg_by_vein():
    """Label, White 1982: not responding from 0.3 to 1 min on, for 5 to 15 min."""
    row = effect("2 mg/kg iv over 1 min", "not awake")
    assert 0.3 <= row.onset_min["q50"] <= 1 and 5 <= row.duration_min["q50"] <= 15


def test_nine_to_thirteen_mg_per_kg_into_a_muscle():
    """Label: surgical anaesthesia in 3 to 4 min, for 12 to 25 min."""
    row = effect("11 mg/kg im", "anaesthesia")
    assert 3 <= row.onset_min["q50"] <= 4 and 12 <= row.duration_min["q50"] <= 25


def test_half_a_mg_per_kg_over_40_min():
    """Zarate 2012, Clements 1981: 120 to 250 ng/mL in veins; Vankawala 2021: pressure and heart rate."""
    dose = "0.5 mg/kg racemate iv over 40 min"
    assert 120 <= curve("derived_racemate_venous", dose).max() <= 250
    sizes = {
        name: effect(dose, name).size["q50"]
        for name in ("systolic pressure", "diastolic pressure", "heart rate")
    }
    assert 10 <= sizes["systolic pressure"] <= 15
    assert 7 <= sizes["diastolic pressure"] <= 10
    assert 0.5 <= sizes["heart rate"] <= 7.6


def test_dissociation_after_the_spray():
    """Label: strongest at 30 to 45 min, over at 75 to 105 min."""
    row = effect("84 mg nasal", "dissociation")
    assert 30 <= row.peak_min["q50"] <= 45 and 75 <= row.offset_min["q50"] <= 105


@pytest.mark.parametrize("name", ["systolic pressure", "sedation", "dissociation", "nausea"])
def test_above_64_years_the_refusal_names_the_age(name):
    with pytest.raises(NoData, match="people of 18 to 64 years"):
        kt.effects("84 mg nasal", effects=name, population=kt.Patient(age=70, weight=70))


def test_analgesia_after_a_swallowed_dose_has_its_own_threshold():
    """Grant 1981: 45 (35 to 55) ng/mL, with norketamine."""
    row = effect("0.5 mg/kg oral", "analgesia", SEVENTY)
    assert row.threshold.startswith("above the concentration of analgesia after a swallowed dose, 45 ng/mL")
    found = kt.simulate("derived_oral_adults_chong", "0.5 mg/kg oral", SEVENTY, times=TIMES)
    assert found["norketamine"].max() > 2 * found["ketamine"].max()


def test_prolonged_release():
    """Hasan 2021: 5 to 9 ng/mL after 40 mg; half-lives of 7 to 15 h."""
    found = curve("derived_oral_prolonged_release_hasan", "40 mg oral prolonged release")
    late = (TIMES > 12) & (TIMES < 36)
    half_life = -np.log(2) / np.polyfit(TIMES[late], np.log(found[late]), 1)[0]
    assert 5 <= found.max() <= 9 and 7 <= half_life <= 15


def test_nasal_racemate():
    """Singh 2022: 45 to 90 ng h/mL after 50 mg."""
    assert 45 <= np.trapezoid(curve("derived_nasal_adults_singh", "50 mg nasal"), TIMES) <= 95
    day = TIMES <= 24
    assert np.trapezoid(curve("derived_nasal_adults_singh", "50 mg nasal")[day], TIMES[day]) <= 90


def test_models_side_by_side_explain_their_peaks():
    """2 mg/kg over 1 min: what gives 1,120 and 16,100 ng/mL is graded or explained."""
    found = kt.compare("2 mg/kg iv over 1 min", SEVENTY, until=4.0)
    odd = [row for row in found if row.cmax > 10_000 or row.site == "venous plasma"]
    assert odd and all(row.grade == "extrapolated" for row in odd)
    assert all(row.grade != "fitted" for row in found)


def test_esketamine_over_three_hours():
    """BJA 2024: ventilation + 2.4 to 3.7 L/min, heart rate about + 10 per min."""
    steps = [f"{rate} mg/kg/h esketamine iv for 1 h at {k} h" for k, rate in enumerate((0.14, 0.28, 0.57))]
    assert 2.4 <= effect(steps, "ventilation").size["q50"] <= 3.7
    assert 7 <= effect(steps, "heart rate").size["q50"] <= 13


def test_ventilation_at_anaesthetic_doses():
    """Bourke 1987: - 1.6 (SE 0.3) L/min per doubling from 0.39 to 3 mg/kg, carbon dioxide held."""
    low, high = (
        -kt.simulate(
            kt.link("kamp_2020_meta_racemic", "bourke_1987_ventilation"),
            f"{dose} mg/kg iv",
            SEVENTY,
            times=[1 / 6],
        )["ventilation at fixed carbon dioxide"][0, 0]
        for dose in (0.39, 3.0)
    )
    assert (high - low) / np.log2(3.0 / 0.39) == pytest.approx(1.6, abs=0.3)


@pytest.mark.parametrize(
    "model", ["kamp_2020_meta_racemic", "clements_1981_250", "domino_tci_set", "hijazi_2003_icu_adults"]
)
def test_nothing_beyond_a_range_is_fitted(model):
    """85 years, 250 kg, 5 mg/kg; and an intensive-care set in healthy people."""
    found = kt.simulate(model, "5 mg/kg iv", kt.Patient(age=85, weight=250), times=[1.0, 12.0])
    assert found.output("ketamine").grade in ("range not stated", "extrapolated")
    assert (
        kt.simulate("hijazi_2003_icu_adults", "35 mg iv", times=[1.0]).output("ketamine").grade
        == "extrapolated"
    )
