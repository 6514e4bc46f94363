"""One reader of data files: form, then sense, sources included; every fault with place, expectation and near names."""

import csv
import re
import shutil
import tomllib
from pathlib import Path
from typing import Literal

import pytest

import kinetamine
from kinetamine import choice, combination, substances
from kinetamine.course import model as course_model
from kinetamine.course import run as course_run
from kinetamine.course import scales, settings
from kinetamine.dosing import library as regimens
from kinetamine.dosing import products, weights
from kinetamine.errors import FaultyFile, InputError
from kinetamine.evidence import claims
from kinetamine.evidence.course import fits
from kinetamine.evidence.course import observations as trials
from kinetamine.evidence.effects import observations as acute
from kinetamine.evidence.pk import compare, observations
from kinetamine.models import library
from kinetamine.population import reference
from kinetamine.records import ById, Record, Sourced, bibliography, parse_toml, read_csv, read_toml, reading
from kinetamine.safety import (
    detection,
    doses,
    instruments,
    law,
    pd_interactions,
    perturbations,
    screening,
)
from kinetamine.safety.misuse import models as misuse_models
from kinetamine.safety.misuse import published as misuse_facts

SRC = Path(kinetamine.__file__).parent
DATA = SRC / "data"


def shipped_course(name):
    return course_run.read_course(reading.data_folder() / "course" / "regimens" / f"{name}.toml")


#: file → what reads it
READERS = {
    "combinations.toml": lambda: combination.combinations.__wrapped__(),
    "substances.toml": lambda: substances._file.__wrapped__(),
    "products.toml": lambda: products.products.__wrapped__(),
    "body_weights.toml": lambda: weights.formulas.__wrapped__(),
    "regimens.toml": lambda: regimens.regimens.__wrapped__(),
    "claims.toml": lambda: claims.load.__wrapped__(),
    "course/settings.toml": lambda: settings.settings.__wrapped__(),
    "course/scales.toml": lambda: scales._maps.__wrapped__(),
    "course/regimens/esketamine_label.toml": lambda: shipped_course("esketamine_label"),
    "course/regimens/ketamine_six_infusions.toml": lambda: shipped_course("ketamine_six_infusions"),
    "effects/pk_models.toml": lambda: choice.choices.__wrapped__(),
    "population/children_cdc_2000.toml": lambda: reference.tables.__wrapped__(),
    "population/adults_nhanes_2021_2023.toml": lambda: reference.tables.__wrapped__(),
    "population/height_weight_correlation.toml": lambda: reference.tables.__wrapped__(),
    "observations/pk_arms.toml": lambda: observations.load(),
    "observations/remarks.toml": lambda: compare.remarks.__wrapped__(),
    "trials/rules.toml": lambda: fits.rules.__wrapped__(),
    "trials/fit.toml": lambda: fits.account.__wrapped__(),
    "safety/detection.toml": lambda: detection.load.__wrapped__(),
    "safety/dose_bounds.toml": lambda: doses.bounds.__wrapped__(),
    "safety/drug_groups.toml": lambda: pd_interactions.groups.__wrapped__(),
    "safety/factors.toml": lambda: perturbations._read(True),
    "safety/instruments.toml": lambda: instruments.instruments.__wrapped__(),
    "safety/law.toml": lambda: law._read.__wrapped__(),
    "safety/addiction.toml": lambda: misuse_models.load.__wrapped__(),
    "safety/misuse.toml": lambda: misuse_facts._read.__wrapped__(),
    "safety/perturbations.toml": lambda: perturbations._read(False),
    "safety/screening.toml": lambda: screening._words_of_the_desk.__wrapped__(),
}
#: file → the rows read from it
ROWS = {
    "observations/pk_values.csv": lambda: observations.load().values,
    "observations/pk_curves.csv": lambda: observations.load().points,
    "observations/acute_effects.csv": lambda: acute.load.__wrapped__(),
    "trials/arms.csv": lambda: trials.load().arms,
    "trials/designs.csv": lambda: trials.load().designs,
    "trials/outcomes.csv": lambda: trials.load().outcomes,
    "trials/predictions.csv": lambda: fits.predicted.__wrapped__(),
    "safety/ddi_observed.csv": lambda: perturbations._read(False).observed,
    "safety/detection.csv": lambda: detection.load.__wrapped__().facts,
    "safety/law.csv": lambda: law._read.__wrapped__()[1],
    "safety/misuse.csv": lambda: misuse_facts._read.__wrapped__()[2],
    "safety/addiction.csv": lambda: misuse_facts._read.__wrapped__()[3],
    "safety/pd_interactions.csv": lambda: pd_interactions.load.__wrapped__()[0],
    "safety/screening.csv": lambda: screening._desk.__wrapped__().rules,
    "safety/session.csv": lambda: screening._desk.__wrapped__().steps,
}
#: read in their own way: models by their library, the bibliography by itself, results of the validation by polars
OTHERWISE = re.compile(r"models/|sources|validation/")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the data folder that every reader looks into."""
    shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("models", "validation", "schema"))
    monkeypatch.setattr(reading, "data_folder", lambda: tmp_path / "data")
    return tmp_path / "data"


def test_every_data_file_has_its_reader():
    files = {str(p.relative_to(DATA)) for p in DATA.rglob("*") if p.suffix in (".toml", ".csv")}
    assert {f for f in files if not OTHERWISE.match(f)} == {*READERS, *ROWS}


def test_only_the_reader_parses_toml():
    """Elsewhere only the list of models, which reads the heads of its files, and scenarios."""
    here = {str(p.relative_to(SRC)) for p in SRC.rglob("*.py") if "tomllib.loads(" in p.read_text("utf-8")}
    assert here <= {"records/form.py", "models/library.py", "scenario.py"}


@pytest.mark.parametrize("name", READERS)
def test_a_misspelt_key_of_any_file_is_told_with_place(name, copy):
    READERS[name]()
    file = copy / name
    text = file.read_text("utf-8")
    assert "format = 1" in text
    # the first key of the first table that has one, or the first key of the file
    key = re.search(r"^([a-z_0-9]+) = (?=.)", text.partition("format = 1")[2], re.MULTILINE)
    wrong = text[: text.index("format = 1")] + text[text.index("format = 1") :].replace(
        f"\n{key[1]} = ", f"\n{key[1]}x = [1]\n{key[1]} = ", 1
    )
    file.write_text(wrong, "utf-8")
    with pytest.raises(FaultyFile) as refused:
        READERS[name]()
    assert any(f"{key[1]}x" in f.where or f"{key[1]}x" in f.given for f in refused.value.faults)
    file.write_text(text.replace("format = 1", "format = 2"), "utf-8")
    with pytest.raises(FaultyFile, match="format"):
        READERS[name]()
    file.write_text(text + "\n=", "utf-8")
    with pytest.raises(FaultyFile, match=r"line \d+"):
        READERS[name]()


@pytest.mark.parametrize("name", ROWS)
def test_no_row_is_lost_and_faults_of_rows_are_told(name, copy):
    file = copy / name
    text = file.read_text("utf-8")
    assert len(ROWS[name]()) == sum(1 for _ in csv.DictReader(text.splitlines()))
    lines = text.splitlines()
    file.write_text("\n".join([lines[0] + ",extra", *(line + ",1" for line in lines[1:])]) + "\n", "utf-8")
    with pytest.raises(FaultyFile, match="extra"):
        ROWS[name]()
    file.write_text("\n".join([*lines, lines[-1] + ",1,2,3"]) + "\n", "utf-8")
    with pytest.raises(FaultyFile, match="cells"):
        ROWS[name]()


@pytest.mark.parametrize(
    "name", [n for n in {**READERS, **ROWS} if re.search("source", (DATA / n).read_text("utf-8"))]
)
def test_an_unknown_source_is_told_with_the_nearest(name, copy):
    file = copy / name
    text = file.read_text("utf-8")
    keys = sorted((k for k in library.sources() if re.search(rf"\b{re.escape(k)}\b", text)), key=len)
    used = next((k for k in reversed(keys) if re.search(rf"sources? = [^\n]*\"{k}\"|,{k},", text)), None)
    if used is None:
        pytest.skip("only words about sources")
    file.write_text(
        re.sub(rf"(sources? = [^\n]*\"|,){used}(?=\"|,)", rf"\g<1>{used}x", text, count=1), "utf-8"
    )
    with pytest.raises(FaultyFile) as refused:
        {**READERS, **ROWS}[name]()
    assert any(f"{used}x" in f.given and used in f.try_ for f in refused.value.faults), str(refused.value)


class Dose(Record):
    drug: Literal["S-ketamine", "R-ketamine"]
    amount: float = 0.0


class Arm(Record):
    id: str
    doses: tuple[Dose, ...] = ()
    best: Dose | None = None


def faults(text, kind=ById[Arm]):
    with pytest.raises(FaultyFile) as refused:
        read_toml("mine.toml", kind, text=text)
    return refused.value.faults


def test_faults_of_form_have_place_expectation_and_near_names():
    found = faults(
        '[a]\ndose = 1\n[b]\nbest = { drug = "S-ketamin" }\n[c]\ndoses = [{ drugg = "R-ketamine" }]'
    )
    assert [(f.where, f.try_) for f in found] == [
        ("mine.toml: a.dose", "doses"),
        ("mine.toml: b.best.drug", "S-ketamine or R-ketamine"[:10]),
        ("mine.toml: c.doses.0.drugg", "drug"),
    ]


def test_a_table_knows_its_name_and_several_files_are_read_in_one_go(tmp_path):
    assert read_toml("mine.toml", ById[Arm], text="[a]\n[b]")["b"].id == "b"
    gathered = []
    assert read_toml("m.toml", ById[Arm], text="[a]\nx = 1", into=gathered) is None
    assert read_csv("m.csv", Sourced, text="id,source\na,b\n", into=gathered) == ()
    assert len(gathered) == 2


def test_what_is_not_toml_is_told_with_its_line():
    with pytest.raises(FaultyFile, match=r"line 2, column \d+.*try quotes around the text: b = \"word\""):
        parse_toml("a = 1\nb = word", "x.toml")
    with pytest.raises(FaultyFile, match=r"line 2: got bytes that are not UTF-8"):
        parse_toml(b"a = 1\nb = '\xff'", "x.toml")
    with pytest.raises(InputError, match="No such file"):
        read_toml("none.toml", dict[str, str])


def test_ids_are_given_once():
    with pytest.raises(FaultyFile, match="twice"):
        read_csv("x.csv", Sourced, text="id,source,seen\na,otto_2021,text\na,otto_2021,text\n")


def test_keys_of_the_bibliography_are_found_without_reading_it():
    tables = [tomllib.loads(text) for text in bibliography._texts().values()]
    named = [key for one in tables for key in one]
    named += [alias for one in tables for work in one.values() for alias in work.get("aliases", ())]
    assert len(named) == len(set(named)) and bibliography.keys() == set(named) == set(library.sources())


def test_a_faulty_course_model_tells_all(tmp_path):
    text = (course_model._folder() / "hierarchical.toml").read_text("utf-8")
    (tmp_path / "m.toml").write_text(
        text.replace("half_life_slow = { prior", "half_life_slow = { prio", 1), "utf-8"
    )
    with pytest.raises(FaultyFile, match=r"parameters\.half_life_slow\.prio.*try prior"):
        course_model.load(tmp_path / "m.toml")


# ---- substances


def test_names_that_hang_together():
    assert set(substances.DRUGS) == {"S-ketamine", "R-ketamine", "racemate"}
    assert substances.forms("ketamine") == substances.PARENTS
    for drug in substances.DRUGS:
        total = sum(substances.share(drug, f"{form}ketamine") for form in substances.ENANTIOMERS)
        assert total == 1.0
    assert {substances.parent(s) for s in substances.substances()} == {None, "ketamine", "norketamine"}
    with pytest.raises(InputError, match="norketamine"):
        substances.molar_mass("norketamin")


def test_molar_masses_are_sums_of_atoms():
    atoms = {"C": 12.011, "H": 1.008, "Cl": 35.45, "N": 14.007, "O": 15.999}
    for name, one in substances._file().substance.items():
        formula = re.search(r"sum over (\w+)", one.molar_mass.place)[1]
        mass = sum(atoms[a] * int(n or 1) for a, n in re.findall(r"(Cl|C|H|N|O)(\d*)", formula))
        assert substances.molar_mass(f"S-{name}") == pytest.approx(mass, abs=0.006)
    salt = substances._file().substance["ketamine"].salt
    assert salt.base.value == pytest.approx(237.727 / salt.molar_mass.value, abs=5e-4)


def test_lists_of_substances_stand_in_one_place():
    """No other module holds names of enantiomers in a list of its own."""
    listed = re.compile(r"[(\[{]\s*\"(?:[SR]-(?:nor)?ketamine|[SR]-)\"\s*(?:,|:\s*[0-9.])")

    def code(path):
        return "\n".join(x for x in path.read_text("utf-8").splitlines() if ">>>" not in x)

    here = {str(p.relative_to(SRC)) for p in SRC.rglob("*.py") if listed.search(code(p))}
    # the words of dose phrases; the order in which a course looks for the drug
    assert here <= {"substances.py", "dosing/words.py", "course/strength.py"}
