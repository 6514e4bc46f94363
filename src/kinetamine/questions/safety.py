"""The safety desk: detection, screening, scales; and what it knows about drugs, misuse and law."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kinetamine.questions.record import Count, Names, Number, Question, Seed, Text, again, say
from kinetamine.questions.shared import Dosed, Drawn, Model, People, example

__all__ = [
    "CheckLine",
    "Detect",
    "DetectLine",
    "Interactions",
    "Law",
    "Misuse",
    "Scale",
    "ScaleLine",
    "Screen",
    "ScreenLine",
]


class CheckLine(Question):
    """A scenario file before the safety desk."""

    scenario: Text = say(help="A scenario file.", metavar="SCENARIO.toml", argument=True)


class Detect(Dosed, json_schema_extra=example(doses="84 mg nasal", cutoff="50 ng/mL", patients=50)):
    """Probability of a positive test over time and the detection window, next to what was observed."""

    matrix: Text = say("urine", "What is tested.", "urine|plasma|blood|oral fluid|hair", example="urine")
    analyte: Text | None = say(
        None, "Only ketamine, norketamine or dehydronorketamine.", "NAME", example="norketamine"
    )
    assay: Text | None = say(
        None, "An assay or panel, such as lc_ms_ms; without it the usual ones.", "NAME", example="lc_ms_ms"
    )
    cutoff: Text | None = say(
        None, "A cut-off of your own, such as '50 ng/mL'.", "CONCENTRATION", unit="ng/mL", example="50 ng/mL"
    )
    creatinine: Text | None = say(
        None, "Creatinine of the urine sample, such as '20 mg/dL'.", "CONCENTRATION", unit="mg/dL",
        example="20 mg/dL",
    )  # fmt: skip
    model: Model | None = say(
        None, "Another model than the usual one.", "ID|FILE.toml", example="perez_ruixo_2021_esketamine"
    )
    patients: Count = again(People, "patients", 1000, "How many people.")
    seed: Seed = again(People, "seed", 1)


class DetectLine(Drawn, Detect):
    """The same where files may be read."""


class Screen(
    Question,
    json_schema_extra=example(condition=["heart attack 4 weeks ago"], product="esketamine nasal", age=70),
):
    """Who should not be treated, who needs care, and what a session asks for, by published rules."""

    condition: Names = say(
        [], "Such as 'aneurysm' or 'heart attack 4 weeks ago'; repeat.", "NAME", python="conditions",
        example=["aneurysm"],
    )  # fmt: skip
    medication: Names = say(
        [], "A medicine taken; repeat for more.", "NAME", python="medications", example=["lamotrigine"]
    )
    product: Text | None = say(
        None, "Such as 'esketamine nasal'; without it, all products.", "NAME", example="esketamine nasal"
    )
    age: Number | None = say(None, "Age.", "YEARS", unit="year", example=70.0)
    bmi: Number | None = say(None, "Body-mass index.", "KG/M2", unit="kg/m^2", example=27.0)
    sbp: Number | None = say(None, "Systolic pressure at the visit.", "MMHG", unit="mmHg", example=150.0)
    dbp: Number | None = say(None, "Diastolic pressure at the visit.", "MMHG", unit="mmHg", example=85.0)
    egfr: Number | None = say(None, "Filtration rate of the kidneys.", "ML/MIN", unit="mL/min", example=45.0)
    liver: Text | None = say(None, "Child-Pugh class, or mild, moderate, severe.", "A|B|C", example="B")
    pregnant: bool = say(False, "The patient is pregnant.")
    guidance: bool = say(False, "Also show published guidance on a whole course.", python=None)


class ScreenLine(Screen):
    """The same on the command line, where a file may describe the patient."""

    patient: Text | None = say(
        None, "A description; options are laid over it.", "[PATIENT.toml]", argument=True, python=None
    )
    plan: bool = say(False, "Also show the plan of a session.", python=None)


class Scale(Question, json_schema_extra=example(name="PHQ-9", items=[2, 2, 2, 1, 1, 1, 1, 1, 0])):
    """Score a rating scale by its published rule, items by number only."""

    name: Text = say(
        help="Such as PHQ-9; without it, all scales.", metavar="[SCALE]", argument=True, python=None,
        example="PHQ-9",
    )  # fmt: skip
    items: Annotated[list[int], Field(max_length=100)] | None = say(
        None, "The items in order, such as 2,1,0,3.", "[ITEMS]", argument=True, commas=True,
        example=[2, 2, 2, 1, 1, 1, 1, 1, 0],
    )  # fmt: skip
    total: int | None = say(None, "The total itself, instead of the items.", "N", example=12)
    baseline: int | None = say(None, "An earlier total, for response and change.", "N", example=31)


class ScaleLine(Scale):
    """The same on the command line, where no name asks for the list."""

    name: Text | None = again(Scale, "name", None)  # type: ignore[assignment]


class Interactions(Question):
    """What changes the curve or the effects of ketamine, or what is known about one of them."""

    name: Text | None = say(
        None, "A drug, a group of drugs or a condition.", "[NAME]", argument=True, example="midazolam"
    )


class Misuse(Question):
    """What repeated use and overdose do, as published; no advice how to use."""

    topic: Text | None = say(
        None,
        "Such as dependence, or timeline; without it, the list.",
        "[TOPIC]",
        argument=True,
        example="withdrawal",
    )
    concentration: Number | None = say(
        None,
        "Compare a blood concentration with anaesthesia and deaths.",
        "NG/ML",
        unit="ng/mL",
        example=800.0,
    )
    days: Number | None = say(
        None, "Days of use in 180 (bladder, timeline), or since the last use (urine).", "N", example=30.0
    )
    months: Number | None = say(
        None, "Months since first use, or since the sentence (treatment).", "N", example=24.0
    )
    sex: Literal["female", "male"] | None = say(
        None, "For the bladder symptom score and the timeline.", "female|male", example="female"
    )
    depressed: bool = say(False, "For the bladder symptom score.")
    prevalence: Number | None = say(
        None,
        "Per cent with the disorder: predictive values of screening tests.",
        "PERCENT",
        unit="%",
        example=8.6,
    )
    criteria: int | None = say(None, "DSM-5 criteria met: the band of severity.", "N", example=4)
    country: Text | None = say(None, "Surveys of a country.", "NAME", example="Australia")
    year: int | None = say(None, "Surveys of a year.", "YEAR", example=2022)


class Law(Question):
    """The legal class of ketamine: class, date, rule, source. As read, not legal advice."""

    jurisdiction: Text | None = say(
        None, "A code or name; without it, the list.", "[JURISDICTION]", argument=True, example="US"
    )
