"""What a request may say: the names of the command line's options, strictly typed, nothing else."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

__all__ = [
    "Check", "Compare", "Course", "Detect", "Draw", "Effects", "Explore", "Infusion", "ModelText",
    "Request", "Scale", "Screen", "Simulate",
]  # fmt: skip

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Texts = Text | Annotated[list[Text], Field(min_length=1, max_length=50)]
Names = Annotated[list[Text], Field(max_length=50)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Settings = Annotated[dict[Text, Number | Text], Field(max_length=50)]
Count = Annotated[int, Field(ge=1)]
_NASAL = "perez_ruixo_2021_esketamine"
Seed = Annotated[int, Field(ge=0, lt=2**63)]


class Request(BaseModel):
    """Base of all bodies: no unknown field, no silent conversion."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _example(**fields: Any) -> dict[str, Any]:
    """A whole request for the OpenAPI; a name of Python's own ends in an underscore here."""
    return {"examples": [{name.rstrip("_"): value for name, value in fields.items()}]}


class ModelText(Request, json_schema_extra=_example(text='format = 1\nkind = "pk"\ndrug = "racemate"')):
    """A model file as text, instead of the id of a shipped one. It is parsed, never executed."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=50_000)]


Model = Text | ModelText
Models = Model | Annotated[list[Model], Field(min_length=1, max_length=4)]


class Draw(Request):
    """That a figure is wanted, and the place it is for."""

    width: Annotated[int, Field(ge=100, le=2400)] = 560
    labels: Literal["end", "above"] = "end"
    log: bool = False
    theme: Literal["light", "dark"] = "light"


class _Dosed(Request):
    doses: Texts = Field(examples=["84 mg nasal"], description="A dose phrase, or several.")


class _People(Request):
    patients: Count | None = Field(None, description="How many people; without it one typical patient.")
    seed: Seed | None = Field(None, description="Same seed, same people.")
    age: Text | None = Field(None, description="Years, such as 18-64.", examples=["18-64"])
    set: Settings = Field({}, description="Fixed covariates.", examples=[{"weight": 95}])


class _Changed(Request):
    with_: Names = Field([], alias="with", description="Other drugs that change the curve.")
    condition: Names = Field([], description="Diseases, genes and the like that change the curve.")


class _Timed(Request):
    until: Text | None = Field(None, description="Last time.", examples=["24 h"])
    step: Text | None = Field(None, description="Time between points.", examples=["5 min"])


class Simulate(
    _Dosed,
    _People,
    _Changed,
    _Timed,
    json_schema_extra=_example(
        model=_NASAL, doses="84 mg nasal", patients=100, seed=1, age="18-64", until="6 h"
    ),
):
    """``kinetamine simulate``."""

    model: Models = Field(examples=["perez_ruixo_2021_esketamine"])
    times: Text | Annotated[list[Number], Field(min_length=1, max_length=20_000)] | None = None
    uncertainty: bool = Field(False, description="Draw the model's parameters from their errors.")
    residual: bool = Field(False, description="Add residual error to every value.")
    on_failure: Literal["raise", "keep"] = "raise"
    outputs: Names | None = None
    quantiles: Annotated[list[Number], Field(min_length=1, max_length=20)] | None = None


class Effects(
    _Dosed, json_schema_extra=_example(doses="2 mg/kg iv over 1 min", effect=["not awake"], patients=50)
):
    """``kinetamine effects``."""

    model: Models | None = None
    all_models: bool = False
    effect: Names = Field([], description="Effects or ids of effect models; none: all that can answer.")
    threshold: Number | Annotated[dict[Text, Number], Field(max_length=50)] | None = None
    allow_site_mismatch: bool = False
    patients: Count = 1000
    seed: Seed = 0
    age: Text | None = None
    set: Settings = {}
    typical: bool = Field(False, description="One typical patient instead of many.")
    until: Text = "24 h"
    step: Text = "1 min"


class Explore(
    _Dosed,
    _People,
    _Changed,
    json_schema_extra=_example(doses="84 mg nasal", patients=100, seed=1, until="6 h", draw={"width": 560}),
):
    """Curves and effects of the same doses in the same people: ``simulate`` and ``effects`` in one.

    Models' parameters are drawn from their errors, as ``kinetamine effects`` always does.
    """

    uncertainty: ClassVar[bool] = True

    model: Models | None = Field(None, description="Without it the model that effects are computed from.")
    effect: Names = []
    threshold: Number | Annotated[dict[Text, Number], Field(max_length=50)] | None = None
    allow_site_mismatch: bool = False
    outputs: Names | None = None
    until: Text = "24 h"
    exposure: bool = Field(False, description="Also peak, time of the peak, area and half-life.")
    numbers: bool = Field(True, description="The numbers under `data`; without them the figure comes sooner.")
    draw: Draw | None = None


class Compare(
    _Dosed,
    _People,
    _Timed,
    json_schema_extra=_example(doses="0.5 mg/kg iv over 40 min", set={"weight": 70}, draw={"width": 560}),
):
    """``kinetamine compare``."""

    model: Names = Field([], description="Only these; 'A + B' for a model of each enantiomer.")
    analyte: Names = Field([], examples=[["S-norketamine"]])
    draw: Draw | None = None


class Course(
    Request,
    json_schema_extra=_example(
        doses="0.5 mg/kg iv over 40 min, twice weekly for 4 weeks", weeks=8, patients=50
    ),
):
    """``kinetamine course``."""

    course: Text | None = Field(None, description="The id of a shipped course, instead of doses.")
    doses: Texts | None = Field(None, examples=["0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"])
    rule: Names = Field([], examples=[["booster when MADRS >= 20 at a weekly visit"]])
    weeks: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    patients: Count | None = None
    seed: Seed | None = None
    set: Annotated[dict[Text, Number], Field(max_length=50)] = {}
    model: Text | None = Field(None, examples=["one_state"])
    pk: Text | None = None
    setting: Names = Field([], description="What surrounds the treatment.", examples=[["open label"]])
    baseline: Annotated[list[Number], Field(min_length=2, max_length=4)] | None = Field(
        None,
        description="MADRS at entry: mean and SD, then perhaps lowest and highest.",
        examples=[[32.0, 5.5]],
    )
    visits: Annotated[list[Number], Field(min_length=1, max_length=200)] | None = Field(
        None, description="Days of scores.", examples=[[0.0, 1.0, 7.0, 28.0]]
    )
    relapse: Text | None = None
    response: Number | None = None
    remission: Number | None = None
    without_drug: bool = Field(
        False, description="Also the same sessions with the drug's effect switched off."
    )
    draw: Draw | None = None


class Detect(_Dosed, json_schema_extra=_example(doses="84 mg nasal", cutoff="50 ng/mL", patients=50)):
    """``kinetamine detect``."""

    matrix: Text = "urine"
    analyte: Text | None = None
    assay: Text | None = None
    cutoff: Text | None = Field(None, examples=["50 ng/mL"])
    creatinine: Text | None = Field(None, examples=["20 mg/dL"])
    model: Model | None = None
    patients: Count = 1000
    seed: Seed = 1
    draw: Draw | None = None


class Check(
    _Dosed,
    _People,
    _Changed,
    json_schema_extra=_example(doses="84 mg nasal", conditions=["aneurysm"], visit={"sbp": 150, "dbp": 85}),
):
    """``kinetamine check``."""

    model: Models | None = None
    title: Text | None = None
    until: Text | None = None
    product: Text | None = Field(None, examples=["esketamine nasal"])
    conditions: Names = []
    medications: Names = []
    visit: Annotated[dict[Text, Number | Text | bool], Field(max_length=20)] = Field(
        {}, examples=[{"sbp": 150, "dbp": 85}]
    )


class Screen(
    Request,
    json_schema_extra=_example(condition=["heart attack 4 weeks ago"], product="esketamine nasal", age=70),
):
    """``kinetamine screen``."""

    condition: Names = []
    medication: Names = []
    product: Text | None = None
    age: Number | None = None
    bmi: Number | None = None
    sbp: Number | None = None
    dbp: Number | None = None
    egfr: Number | None = None
    liver: Text | None = None
    pregnant: bool = False
    guidance: bool = False


class Infusion(
    Request,
    json_schema_extra=_example(
        model="kamp_2020_meta_racemic", target="200 ng/mL", for_="1 h", max_rate="200 mg/h"
    ),
):
    """``kinetamine infusion``."""

    model: Model = Field(examples=["kamp_2020_meta_racemic"])
    target: Text = Field(examples=["200 ng/mL"])
    for_: Text = Field(alias="for", examples=["2 h"])
    site: Text = "plasma"
    ke0: Text | None = None
    output: Text | None = None
    wake_at: Text | None = None
    max_rate: Text | None = None
    bolus: bool = True
    max_bolus: Text | None = None
    step: Text = "10 s"
    set: Settings = {}
    patients: Count | None = None
    seed: Seed = 0
    every: Text | None = None
    half_times: Names = []


class Scale(Request, json_schema_extra=_example(name="PHQ-9", items=[2, 2, 2, 1, 1, 1, 1, 1, 0])):
    """``kinetamine scale``."""

    name: Text = Field(examples=["PHQ-9"])
    items: Annotated[list[int], Field(max_length=100)] | None = Field(
        None, examples=[[2, 2, 2, 1, 1, 1, 1, 1, 0]]
    )
    total: int | None = None
    baseline: int | None = None
