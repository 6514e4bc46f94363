"""The evidence room: observations are read and checked, matched with models, and compared the right way."""

from __future__ import annotations

import csv
import math
import re
import shutil
from importlib import resources
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kinetamine.cli import app
from kinetamine.dosing import Regimen
from kinetamine.errors import FaultyFile, InputError
from kinetamine.evidence.pk import compare, observations
from kinetamine.evidence.pk.matching import Match, matches, unusual_doses, why_none
from kinetamine.evidence.pk.observations import Arm, Value
from kinetamine.evidence.pk.page import page
from kinetamine.evidence.pk.predict import NotDerivable, Predictor
from kinetamine.evidence.tables import significant
from kinetamine.models import library

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def found():
    return observations.load()


@pytest.fixture(scope="module")
def specs():
    return {e.id: library.load(e.id) for e in library.available() if e.status != "incomplete"}


class OneCompartment:
    """Stands in for `simulate`: all is one compartment, CL 50 L/h, V 200 L, F 1; metabolites half of it."""

    CL, V = 50.0, 200.0

    def __init__(self) -> None:
        self.calls: list[tuple] = []

    def __call__(self, model, doses, who, *, times):
        names = model if isinstance(model, list) else [model]
        self.calls.append((tuple(names), tuple(doses)))
        k = self.CL / self.V
        spread = np.linspace(0.5, 1.5, who.n)[:, None] if who.n > 1 else np.ones((1, 1))
        outputs = {}
        for name in names:
            spec = library.load(name)
            c = np.zeros((1, len(times)))
            for dose in Regimen.parse(list(doses)).expanded():
                amount = dose.amount * (who.given.get("weight", 70.0) if dose.per_kg else 1.0)
                amount *= 0.5 if dose.drug == "racemate" and spec.drug != "racemate" else 1.0
                since = np.maximum(times - dose.time_h, 0.0)
                if dose.duration_h:
                    during = np.minimum(since, dose.duration_h)
                    one = amount / dose.duration_h / self.CL * (1 - np.exp(-k * during))
                    c = c + one * np.exp(-k * (since - during))
                else:
                    c = c + amount / self.V * np.exp(-k * since) * (times >= dose.time_h)
            for key, output in spec.outputs.items():
                share = 1.0 if "nor" not in (output.analyte or key) else 0.5
                outputs[key] = SimpleNamespace(
                    analyte=output.analyte or key, unit="mg/L", values=share * c * spread
                )
        return _Answer(outputs)


class _Answer:
    def __init__(self, outputs):
        self.outputs = outputs

    def __getitem__(self, name):
        return self.outputs[name].values


# ---- the data


def test_no_row_is_lost_and_every_row_says_what_becomes_of_it(found):
    for name, rows in (("pk_values.csv", found.values), ("pk_curves.csv", found.points)):
        text = resources.files("kinetamine").joinpath("data/observations", name).read_text("utf-8")
        assert len(rows) == sum(1 for _ in csv.DictReader(text.splitlines())) > 100
    for fact in (*found.values, *found.points):
        assert fact.unusable is None or len(fact.unusable) > 10
        assert fact.unusable or found.arms[fact.arm].doses
        assert fact.url or fact.place or fact.seen == "recalled"


def test_dose_phrases_are_read_with_their_drug_and_salt(found):
    persson = Regimen.parse(list(found.arms["persson_2002_s"].doses)).doses[0]
    assert persson.amount == pytest.approx(7 * 0.867)
    assert (persson.drug, persson.duration_h) == ("S-ketamine", 0.5)
    kamp = Regimen.parse(list(found.arms["kamp_2020_racemate"].doses)).doses
    assert sum(d.amount for d in kamp) == pytest.approx(1.99)


def value(**columns) -> Value:
    row = {"id": "x", "arm": "a", "analyte": "S-ketamine", "metric": "CL", "value": 1620, "unit": "mL/min"}
    row |= {"source": "s", "seen": "text", "data_kind": "observed"}
    return Value.model_validate(row | columns)


def test_numbers_come_out_in_the_common_unit():
    assert value().amount == pytest.approx(97.2)
    assert value(metric="Cmax", value=2.0, unit="ug/mL").amount == pytest.approx(2000)
    assert value(metric="AUC_last", value=60, unit="ng*min/mL").amount == pytest.approx(1)
    assert value(metric="F", value=48, unit="%").amount == pytest.approx(0.48)
    assert value(metric="t_half", value=90, unit="min").amount == pytest.approx(1.5)
    assert value(metric="Cmax", value=1, unit="nmol/mL").amount == pytest.approx(237.73)
    assert value(metric="Cmax", value=1, unit="nmol/mL", analyte="R-norketamine").amount == pytest.approx(
        223.7
    )


def test_intervals_follow_the_kind_of_spread():
    assert value(metric="t_half", value=5, unit="h", spread_kind="SD", spread=2).interval == pytest.approx(
        (3, 7)
    )
    assert value(metric="t_half", value=5, unit="h", spread_kind="SD", spread=8).interval == pytest.approx(
        (0, 13)
    )
    assert value(metric="F", value=70, unit="%", spread_kind="SE", spread=5).interval == pytest.approx(
        (0.602, 0.798)
    )
    assert value(metric="F", value=50, unit="%", spread_kind="CV%", spread=10).interval == pytest.approx(
        (0.45, 0.55)
    )
    ends = value(metric="F", value=24, unit="%", spread_kind="IQR", spread_low=17, spread_high=27)
    assert ends.interval == pytest.approx((0.17, 0.27))
    assert value().interval is None


def copy_of_data(tmp_path: Path) -> Path:
    source = Path(str(resources.files("kinetamine"))) / "data" / "observations"
    return Path(shutil.copytree(source, tmp_path / "observations"))


def test_faults_of_form_are_told_all_at_once(tmp_path):
    folder = copy_of_data(tmp_path)
    path = folder / "pk_values.csv"
    lines = path.read_text("utf-8").splitlines()
    lines[1] = lines[1].replace(",0.02,", ",minus,")
    lines[2] = lines[2].replace(",CL,", ",clearance,")
    lines[3] += ",one cell too many"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(FaultyFile) as caught:
        observations.load(folder)
    assert [fault.where.split(",")[0].split(": ")[0] for fault in caught.value.faults] == [
        "pk_values.csv line 2",
        "pk_values.csv line 3",
        "pk_values.csv line 4",
    ]


def test_faults_of_sense_are_told_all_at_once(tmp_path):
    folder = copy_of_data(tmp_path)
    values, arms = folder / "pk_values.csv", folder / "pk_arms.toml"
    text = values.read_text("utf-8")
    text = text.replace("persson_2002_r_r_cl,persson_2002_r,", "persson_2002_r_r_cl,persson_2002_q,")
    text = text.replace(",1620,mL/min,", ",1620,ng/mL,").replace(",wang_2025,", ",wang_2052,")
    values.write_text(text, "utf-8")
    arms.write_text(
        arms.read_text("utf-8").replace("5 mg racemate iv over 30 min", "5 mg racemate iv over thirty"),
        "utf-8",
    )
    with pytest.raises(FaultyFile) as caught:
        observations.load(folder)
    told = str(caught.value)
    assert "persson_2002_q" in told and "persson_2002_r" in told
    assert "hasan_2021_iv_s_cl, unit" in told
    assert "'wang_2052'" in told and "try wang_2025" in told
    assert "[arm.hasan_2021_iv], doses" in told


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"pk_arms\.toml"):
        observations.load(tmp_path)


# ---- which model for which arm


def labels(found, specs, arm, *analytes):
    return {m.label: m for m in matches(arm, found.arms[arm], analytes, specs)}


def test_an_enantiomer_of_a_racemate_is_predicted_by_its_own_models(found, specs):
    got = labels(found, specs, "hasan_2021_iv", "S-ketamine")
    assert got["otto_2021_s_ketamine"].site == "same"
    assert got["noppers_2011_s_ketamine"].site == "mismatch"
    assert "kamp_2020_meta_racemic" not in got


def test_a_total_is_predicted_by_racemic_models_and_by_pairs_of_one_site(found, specs):
    got = labels(found, specs, "hasan_abstract_iv", "ketamine")
    assert "kamp_2020_meta_racemic" in got
    assert "noppers_2011_s_ketamine + derived_r_ketamine_noppers_distribution" in got
    mixed = [label for label in got if "otto" in label and "noppers" in label]
    assert not mixed, "a venous S-model and an arterial R-model are no pair"


def test_a_prolonged_release_tablet_is_not_an_oral_solution(found, specs):
    arm = found.arms["hasan_2021_tablet40"]
    found_ = matches("hasan_2021_tablet40", arm, ["S-ketamine"], specs)
    assert {spec.id for match in found_ for spec in match.models} == {"derived_oral_prolonged_release_hasan"}
    others = {id: spec for id, spec in specs.items() if "prolonged" not in id}
    assert "prolonged release" in why_none(arm, ["S-ketamine"], others)


def test_ages_decide(found, specs):
    assert not labels(found, specs, "herd_2007", "ketamine").keys() & {
        "hijazi_2003_icu_adults",
        "clements_1981_250",
    }
    assert "sherwin_2015_children_sampling" not in labels(found, specs, "zarate_2006", "ketamine")
    assert "otto_2021_s_ketamine" not in labels(found, specs, "perez_ruixo_2021_iv", "S-ketamine")
    assert "covers 2-9 years" in why_none(found.arms["lapidus_2014"], ["ketamine"], specs)


def test_its_own_people_are_not_a_prediction(found, specs):
    assert (
        labels(found, specs, "simons_2022_film50", "S-ketamine")["simons_2022_s_ketamine_otf"].origin == "own"
    )
    assert labels(found, specs, "herd_2007", "ketamine")["kamp_2020_meta_racemic"].origin == "unknown"


def test_a_model_without_the_film_gets_the_infusion_alone(found, specs):
    got = labels(found, specs, "simons_2022_iv_after_film50", "S-ketamine")
    assert got["noppers_2011_s_ketamine"].outside == ("the film dose left out",)
    assert len(got["simons_2022_s_ketamine_otf"].doses) == 2


def test_the_steps_of_one_infusion_are_one_dose(found, specs):
    match = labels(found, specs, "kamp_2020_esketamine", "S-ketamine")["perez_ruixo_2021_esketamine"]
    assert not list(unusual_doses(match, found.arms["kamp_2020_esketamine"]))
    match = labels(found, specs, "hasan_2021_iv", "S-ketamine")["perez_ruixo_2021_esketamine"]
    assert "dose 2.5 mg" in next(iter(unusual_doses(match, found.arms["hasan_2021_iv"])))


# ---- measures against closed forms


def arm(**columns) -> Arm:
    row = {"study": "s", "population": "p", "age_group": "adult", "drug": "S-ketamine", "route": "iv"}
    row |= {"sampling": "venous", "doses": ["20 mg S-ketamine iv over 2 h"], "weight_mean": 80}
    return Arm.model_validate(row | columns)


def match_of(specs, *names, doses=("20 mg S-ketamine iv over 2 h",)) -> Match:
    return Match(tuple(specs[n] for n in names), tuple(doses), "same", "other", ())


@pytest.mark.parametrize(
    ("metric", "per", "expected"),
    [
        ("CL", None, 50.0),
        ("CL", "kg", 50 / 80),
        ("CL", "70 kg", 50 * (70 / 80) ** 0.75),
        ("Vss", None, 200.0),
        ("Vz", None, 200.0),
        ("t_half", None, math.log(2) * 4),
        ("AUC_inf", None, 400.0),
        ("Cmax", None, 200 * (1 - math.exp(-0.5))),
        ("Tmax", None, 2.0),
        ("F", None, 1.0),
    ],
)
def test_measures_of_one_compartment(specs, metric, per, expected):
    predictor = Predictor(OneCompartment())
    got = predictor.measure(match_of(specs, "otto_2021_s_ketamine"), arm(), metric, "S-ketamine", per=per)
    assert got[0] == pytest.approx(expected, rel=1e-3)


def test_measures_within_windows(specs):
    predictor = Predictor(OneCompartment())
    what = (match_of(specs, "simons_2022_s_ketamine_otf"), arm())
    at_4 = 200 * (1 - math.exp(-0.5)) * math.exp(-0.5)
    assert predictor.measure(*what, "C_at", "S-ketamine", time_h=4.0)[0] == pytest.approx(at_4, rel=1e-9)
    assert predictor.measure(*what, "Cmax", "S-ketamine", from_h=4, to_h=8)[0] == pytest.approx(
        at_4, rel=1e-9
    )
    tail = at_4 / 0.25
    assert predictor.measure(*what, "AUC_last", "S-ketamine", to_h=4)[0] == pytest.approx(
        400 - tail, rel=1e-3
    )
    ratio = predictor.measure(*what, "AUC_ratio", "S-norketamine", reference="S-ketamine")
    assert ratio[0] == pytest.approx(0.5)


def test_ketamine_equivalents_are_turned_into_norketamine(specs):
    predictor = Predictor(OneCompartment())
    what = (arm(), "AUC_ratio", "S-norketamine")
    otto = predictor.measure(match_of(specs, "otto_2021_s_ketamine"), *what, reference="S-ketamine")
    assert otto[0] == pytest.approx(0.5 * 223.70 / 237.73)


def test_half_of_a_racemate_and_the_sum_of_two_models(specs):
    predictor = Predictor(OneCompartment())
    doses = ("20 mg racemate iv over 2 h",)
    racemic = arm(drug="racemate", doses=doses)
    alone = match_of(specs, "otto_2021_s_ketamine", doses=doses)
    assert predictor.measure(alone, racemic, "AUC_inf", "S-ketamine")[0] == pytest.approx(200, rel=1e-3)
    assert predictor.measure(alone, racemic, "CL", "S-ketamine")[0] == pytest.approx(50, rel=1e-3)
    pair = match_of(specs, "noppers_2011_s_ketamine", "derived_r_ketamine_noppers_distribution", doses=doses)
    assert predictor.measure(pair, racemic, "AUC_inf", "ketamine")[0] == pytest.approx(400, rel=1e-3)
    assert predictor.measure(pair, racemic, "CL", "ketamine")[0] == pytest.approx(50, rel=1e-3)


def test_bioavailability_needs_an_intravenous_dose(specs):
    doses = ("3 mg/kg racemate nasal",)
    children = arm(drug="racemate", route="nasal", doses=doses, age_group="child")
    spec = specs["derived_in_children_malinovsky"]
    alone = spec.model_copy(update={"entries": {n: e for n, e in spec.entries.items() if n != "iv"}})
    with pytest.raises(NotDerivable, match="intravenous"):
        what = match_of({**specs, spec.id: alone}, spec.id, doses=doses)
        Predictor(OneCompartment()).measure(what, children, "F", "ketamine")


def test_an_arm_is_simulated_once(specs):
    simulate = OneCompartment()
    predictor = Predictor(simulate)
    for metric in ("CL", "Vss", "Vz", "Cmax", "Tmax", "AUC_inf", "t_half"):
        predictor.measure(match_of(specs, "otto_2021_s_ketamine"), arm(), metric, "S-ketamine")
    assert len(simulate.calls) == 2, "the arm and the bolus"


# ---- the run and its page


@pytest.fixture(scope="module")
def report():
    return compare.run(simulate=OneCompartment())


def test_every_row_is_compared_or_explained(report, found):
    compared = {name for c in report.comparisons for name in c.row.split(" / ")}
    unpredicted = {name for name, _ in report.unpredicted}
    unusable = {name for name, _ in report.unusable}
    for one in found.values:
        assert (one.id in compared) + (one.id in unpredicted) + (one.id in unusable) == 1, one.id
    reached = {c.curve for c in report.curves} | {name.split(" (")[0] for name in unpredicted}
    assert {p.curve for p in found.points if p.unusable is None} <= reached


def test_sites_are_never_mixed_in_a_figure(report):
    for title, _ in report.summary():
        assert title.endswith(("site same", "site not stated", "site differs"))
    assert any(c.site == "mismatch" for c in report.comparisons)


def test_what_enters_the_statistics(report):
    for c in report.comparisons:
        if c.counts:
            assert c.strong and not c.outside and c.observed is not None
            assert c.fold == pytest.approx(c.predicted / c.observed)
        assert (c.fold is None) == (c.metric == "Tmax")
        assert c.band is None or c.band[0] <= c.band[1]


def test_a_range_is_judged_by_its_ends(report):
    label = next(c for c in report.comparisons if c.arm == "spravato_label_nasal" and c.metric == "Tmax")
    assert label.observed is None
    assert (label.low, label.high) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert label.inside is False and label.difference_h == pytest.approx(-1 / 3)


def test_fold_statistics():
    s = compare.fold_statistics([0.5, 1.0, 2.0, 4.0])
    assert s.afe == pytest.approx(2 ** (2 / 4))
    assert s.aafe == pytest.approx(2 ** (4 / 4))
    assert (s.within_1_25, s.within_2) == (0.25, 0.75)


def test_the_page_is_the_same_every_time(report):
    again = compare.run(simulate=OneCompartment())
    assert page(again) == page(report)


def test_the_page_holds_every_row_and_section(report, found):
    text = page(report)
    for title in (
        "How to read",
        "Agreement, single values",
        "Curves",
        "own paper",
        "nothing here can predict",
    ):
        assert title in text
    for name in {c.arm for c in report.comparisons}:
        assert f"\n### {name}\n" in text
    for name, _ in (*report.unpredicted, *report.unusable):
        assert name in text
    assert not re.search(r"\b(nan|inf)\b", text)


@pytest.mark.parametrize("name", ["v.docx", "v", "missing/v.md"])
def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, name, capsys):
    assert app.run(["validate", "pk", "--out", str(tmp_path / name)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_progress_is_told(found):
    steps: list[tuple[int, int]] = []
    models = ["otto_2021_s_ketamine"]
    compare.run(lambda done, work: steps.append((done, work)), models=models, simulate=OneCompartment())
    assert steps[-1][0] == steps[-1][1] == len(steps)


def test_three_digits():
    assert [significant(x) for x in (1.0049, 9.996, 0.00012345, 99999, math.nan, None)] == [
        "1.00",
        "10.0",
        "0.000123",
        "100000",
        "–",
        "–",
    ]


# ---- the real thing

NUMBER = re.compile(r"-?\+?\d+(?:\.\d+)?")


CURE = "run: kinetamine validate pk --out docs/validation_pk.md"


def test_the_page_in_docs_was_written_from_these_data_and_models():
    assert compare.fingerprint() in (DOCS / "validation_pk.md").read_text("utf-8"), CURE


@pytest.mark.slow
def test_the_page_in_docs_is_what_a_run_gives():
    """docs/validation_pk.md is what `kinetamine validate pk --out docs/validation_pk.md` writes now.

    Words must be equal; numbers may differ in the last digit, which another processor may round otherwise.
    """
    kept = (DOCS / "validation_pk.md").read_text("utf-8").splitlines()
    now = page(compare.run()).splitlines()
    assert len(kept) == len(now), CURE
    for old, new in zip(kept, now, strict=True):
        assert NUMBER.sub("#", old) == NUMBER.sub("#", new), CURE
        for a, b in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
            slack = 1.01 if "%" in new else 0.02
            assert float(a) == pytest.approx(float(b), rel=0.02, abs=slack), f"{CURE}; was {old}; is {new}"
