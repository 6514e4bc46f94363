"""The records of a model file, format 1.

One pydantic class per table of the file. They see to keys, types and allowed words (the *schema*); what needs
several tables at once (names, units, balances) is in :mod:`kinetamine.models.sense`. Records are made by
:mod:`kinetamine.models.library` and not changed afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    Strict,
    WithJsonSchema,
    model_validator,
)

from kinetamine.records import Seen
from kinetamine.records.bibliography import Source

__all__ = [
    "Applies",
    "Check",
    "Compartment",
    "Covariate",
    "DoseField",
    "Drive",
    "EffectSite",
    "Flow",
    "Limit",
    "ModelSpec",
    "Output",
    "Parameter",
    "Part",
    "Residual",
    "Source",
    "Threshold",
    "Variability",
]


def _formula_text(value: Any) -> Any:
    """A bare number is a formula too: ``fraction = 0.5``."""
    return repr(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[float, Strict(), Field(allow_inf_nan=False, ge=0)]
Flag = Annotated[bool, Strict()]
Range = tuple[Number, Number]
Text = Annotated[str, Field(max_length=2000)]
#: a name that stands in formulas
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,59}$")]
#: a name for people: outputs, routes, flows
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9][^\x00-\x1f\x7f-\x9f\"'\\]{0,79}$")]
UnitText = Annotated[str, Field(max_length=60, examples=["L/h"])]
Formula = Annotated[
    str,
    BeforeValidator(_formula_text),
    WithJsonSchema({"type": ["string", "number"], "description": "a formula, see docs; never run as code"}),
]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, allow_inf_nan=False)


class _Sourced(_Record):
    """A number that somebody published."""

    place: Text = Field(
        default="not given", description="table, figure or page in the source", examples=["Table 3"]
    )
    seen: Seen = Field(default="recalled", description="how the number was read", examples=["text"])
    source: Text | None = Field(
        default=None, description="key of another source than the file's", examples=["otto_2021"]
    )
    note: Text | None = Field(default=None, description="a remark", examples=["fixed to the value of ..."])


class Applies(_Record):
    """Where the model was made for, as far as the paper says it.

    Outside a range a result is graded extrapolated; where no range is given, it is graded *range not stated*.
    """

    people: Literal["adults", "children"] | None = Field(
        default=None, description="who they were where no ages are printed", examples=["adults"]
    )
    age_years: Range | None = Field(default=None, description="lowest and highest age", examples=[[18, 57]])
    weight_kg: Range | None = Field(
        default=None, description="lowest and highest weight", examples=[[50, 110]]
    )
    dose_mg: Range | None = Field(
        default=None, description="lowest and highest single dose", examples=[[5, 100]]
    )
    dose_mg_kg: Range | None = Field(
        default=None, description="the same per kg of body weight, of each dose", examples=[[1, 1.5]]
    )
    routes: tuple[Label, ...] | None = Field(default=None, description="routes", examples=[["iv"]])
    health: Text | None = Field(default=None, description="who they were", examples=["healthy"])
    only: Text | None = Field(
        default=None,
        description="why people of another health differ: they are graded extrapolated",
        examples=["in intensive care clearance is twice that of healthy people"],
    )
    duration_h: Positive | None = Field(default=None, description="trusted up to this time", examples=[24])


class Limit(_Record):
    """What a model cannot say, as its authors or its numbers forbid it."""

    why: Text = Field(description="in words, shown with the grade", examples=["its volume was fixed"])
    outputs: tuple[Label, ...] = Field(
        default=(), description="outputs it is about; default: all", examples=[["S-norketamine"]]
    )
    shorter_h: Positive | None = Field(
        default=None, description="only after doses given in less time than this", examples=[0.25]
    )
    within_h: Positive | None = Field(
        default=None, description="only this long after the start of such a dose", examples=[0.17]
    )
    becomes: Literal["extrapolated", "refused"] = Field(
        default="extrapolated", description="grade of the outputs then; refused: they are left out"
    )


class Covariate(_Record):
    """A property of the patient; in formulas a plain number in its declared unit, or a category in quotes.

    Categories are numbered from 0 in their order; `reference` is the number of one.
    """

    unit: UnitText = Field(default="1", description="unit of the plain number", examples=["kg"])
    reference: Number = Field(description="value (or category) of the typical patient", examples=[70])
    range: Range | None = Field(default=None, description="hard physical limits", examples=[[1, 300]])
    values: tuple[Number, ...] | None = Field(
        default=None, description="the only allowed values", examples=[[0, 1]]
    )
    categories: tuple[Label, ...] | None = Field(
        default=None, min_length=2, description="words instead of numbers", examples=[["tablet", "solution"]]
    )
    note: Text | None = Field(default=None, description="a remark")

    @model_validator(mode="before")
    @classmethod
    def _numbered(cls, data: Any) -> Any:
        """A category as reference is its number."""
        words = data.get("categories") if isinstance(data, dict) else None
        if isinstance(words, list | tuple) and data.get("reference") in words:
            return {**data, "reference": list(words).index(data["reference"])}
        return data


class Parameter(_Sourced):
    """A literature value, in the unit in which it was published."""

    value: Number = Field(description="the number as published", examples=[133])
    unit: UnitText = Field(description="its unit; /kg is per kilogram of body weight", examples=["L"])
    se: Positive | None = Field(default=None, description="standard error, same unit", examples=[12.5])
    rse_percent: Positive | None = Field(
        default=None, description="relative standard error, percent", examples=[8]
    )
    fixed: Flag = Field(default=False, description="fixed by the authors", examples=[True])


class Variability(_Sourced):
    """Random effects, normal with mean 0: one block, or several independent ones of equal kind."""

    etas: tuple[Identifier, ...] = Field(min_length=1, description="names of the effects", examples=[["CL"]])
    covariance: tuple[tuple[Number, ...], ...] | None = Field(
        default=None, description="full symmetric matrix", examples=[[[0.09, 0.02], [0.02, 0.04]]]
    )
    variance: tuple[Positive, ...] | None = Field(
        default=None, description="one per effect", examples=[[0.09]]
    )
    sd: tuple[Positive, ...] | None = Field(default=None, description="one per effect", examples=[[0.3]])
    level: Literal["subject", "occasion"] = Field(default="subject", description="varies between whom")

    def matrix(self) -> np.ndarray:
        """The covariance matrix, array (effect, effect)."""
        if self.covariance is not None:
            return np.array(self.covariance, dtype=float)
        if self.variance is not None:
            return np.diag(np.array(self.variance, dtype=float))
        return np.diag(np.array(self.sd or (), dtype=float) ** 2)


class Compartment(_Record):
    """An amount in mg; the order in the file is the compartment number 1, 2, …"""

    analyte: Label | None = Field(default=None, description="what is in it", examples=["S-ketamine"])
    volume: Formula | None = Field(default=None, description="volume of distribution", examples=["V1_i"])
    start: Formula | None = Field(
        default=None,
        description="amount before anything is given, and after a reset",
        examples=["kin / kout"],
    )
    note: Text | None = Field(default=None, description="a remark")


class Drive(_Record):
    """Effect models: a concentration that is read from a pk model, by analyte and site."""

    analyte: Label = Field(description="`ketamine` is the racemic total", examples=["S-ketamine"])
    site: Literal["arterial plasma", "venous plasma", "plasma"] = Field(
        description="where it is measured; plasma: the source does not say", examples=["arterial plasma"]
    )
    studied: Range | None = Field(
        default=None, description="concentrations seen by the authors", examples=[[0, 320]]
    )
    unit: UnitText = Field(default="ng/mL", description="unit of `studied`", examples=["ng/mL"])
    beyond: Literal["extrapolated", "refused"] = Field(
        default="extrapolated", description="what becomes of concentrations above `studied`"
    )
    optional: Text | None = Field(
        default=None, description="why it may count as zero where the pk model does not have it"
    )


class EffectSite(_Record):
    """A state that runs after a concentration: d site / dt = rate * (follows - site)."""

    follows: Formula = Field(description="what it runs after", examples=["central / V1_i"])
    rate: Formula | None = Field(
        default=None, description="how fast, 1/time; effect models: none is at once", examples=["ke0"]
    )
    note: Text | None = Field(default=None, description="a remark")


class Flow(_Record):
    """Amount per time out of one compartment, into another, or both."""

    from_: Identifier | None = Field(
        default=None, alias="from", description="compartment it leaves", examples=["central"]
    )
    to: Identifier | None = Field(
        default=None, description="compartment it reaches; none: eliminated", examples=["nor"]
    )
    rate: Formula = Field(description="mass per time leaving", examples=["CL_i * central / V1_i"])
    yield_: Formula | None = Field(
        default=None,
        alias="yield",
        description="amount arriving per amount leaving",
        examples=["fm * MW_N / MW_K"],
    )
    note: Text | None = Field(default=None, description="a remark")


class DoseField(_Record):
    """An extra fact of a dose that entries may use."""

    unit: UnitText = Field(default="1", description="unit of the plain number", examples=["1"])
    default: Formula = Field(
        description="formula of `amount` (mg, a plain number)", examples=["max(1, amount / 28)"]
    )
    note: Text | None = Field(default=None, description="a remark")


class Part(_Record):
    """One way that a share of a dose takes into a compartment."""

    to: Identifier = Field(description="compartment", examples=["central"])
    fraction: Formula = Field(default="1", description="share of the dose that arrives", examples=["F"])
    lag: Formula | None = Field(default=None, description="time before it starts", examples=["tlag"])
    duration: Formula | None = Field(
        default=None, description="zero-order input over this time", examples=["D1"]
    )
    rate: Formula | None = Field(
        default=None, description="zero-order input at this mass per time", examples=["R1"]
    )
    note: Text | None = Field(default=None, description="a remark")


class Threshold(_Sourced):
    """From where on an effect counts as there."""

    value: Number = Field(description="in the output's unit", examples=[2.5])
    meaning: Text = Field(description="in words", examples=["half of the scale"])


class Output(_Record):
    """A named quantity that can be asked for; the keys after `note` are for effect models."""

    value: Formula = Field(description="formula of the states", examples=["central / V1_i"])
    unit: UnitText = Field(description="unit in which it is given", examples=["ng/mL"])
    site: Text = Field(default="not stated", description="where it is measured", examples=["venous plasma"])
    analyte: Label | None = Field(default=None, description="what is measured; default: the output's name")
    counted_as: Label | None = Field(
        default=None,
        description="substance in whose mass it is counted, when not its own",
        examples=["S-ketamine"],
    )
    note: Text | None = Field(default=None, description="a remark")
    effect: Label | None = Field(
        default=None, description="name of the effect; outputs of one file that share it are alternatives"
    )
    scale: Literal["continuous", "score", "probability", "relative"] | None = Field(
        default=None, description="relative: over the half-maximal concentration"
    )
    range: Range | None = Field(default=None, description="ends of the scale", examples=[[0, 10]])
    direction: Literal["rises", "falls"] | None = Field(default=None, description="with the drug")
    baseline: Formula | None = Field(default=None, description="value without drug", examples=["E0"])
    threshold: Threshold | None = Field(default=None, description="from where on the effect is there")


class Residual(_Sourced):
    """What is left between model and measurement."""

    kind: Literal["proportional", "additive", "combined", "lognormal"] = Field(
        description="how it depends on the value", examples=["proportional"]
    )
    sd: Positive = Field(description="standard deviation (of the proportional part)", examples=[0.24])
    additive_sd: Positive | None = Field(
        default=None, description="combined only: the additive part", examples=[1.5]
    )
    unit: UnitText | None = Field(default=None, description="additive, combined: unit of the additive part")


class Check(_Sourced):
    """A number the source prints about its own model."""

    output: Label = Field(description="name of an output", examples=["S-ketamine"])
    metric: Text = Field(description="what is compared", examples=["Cmax"])
    doses: Text | tuple[Text, ...] = Field(description="dose phrase or phrases", examples=["28 mg nasal"])
    value: Number = Field(description="the printed number", examples=[43.8])
    unit: UnitText = Field(description="its unit", examples=["ng/mL"])
    set: dict[Identifier, Number] = Field(
        default={}, description="covariates of the patient", examples=[{"age": 45}]
    )
    from_h: Positive | None = Field(
        default=None, description="half-life: start of the time looked at", examples=[4]
    )
    to_h: Positive | None = Field(default=None, description="end of the time looked at", examples=[24])
    off: Text | None = Field(
        default=None, description="why the file is known not to give the printed number", examples=["..."]
    )
    samples_h: tuple[Positive, ...] = Field(
        default=(), description="times of the study's samples: the measure is taken from these alone"
    )


def _grams_per_mole(value: Any) -> Any:
    """A bare number is in g/mol."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"value": value, "unit": "g/mol"} if number else value


class ModelSpec(_Record):
    """A whole model file, with what was derived from it.

    Values are untouched: `inside` gives them in the units used for computing (h, mg, L).

    Examples
    --------
    >>> from kinetamine.models.library import load_text
    >>> spec = load_text('''
    ... format = 1
    ... drug = "S-ketamine"
    ... parameters = { CL = { value = 1, unit = "L/min" }, V = { value = 80, unit = "L" } }
    ... compartments = { central = {} }
    ... flows = { elimination = { from = "central", rate = "CL * central / V" } }
    ... entries = { iv = [{ to = "central" }] }
    ... outputs = { "S-ketamine" = { value = "central / V", unit = "ng/mL" } }
    ... ''', "mine.toml")
    >>> spec.inside("CL"), spec.output_factor["S-ketamine"], spec.states, spec.routes
    (60.0, 1000.0, ('central',), ('iv',))
    """

    model_config = ConfigDict(title="kinetamine model file, format 1")

    format: Literal[1] = Field(description="version of the file format", examples=[1])
    id: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,80}$")] = Field(
        default="",
        description="small letters, digits and _; the file's name",
        examples=["otto_2021_s_ketamine"],
    )
    kind: Literal["pk", "effect"] = Field(
        default="pk", description="doses to concentrations, or concentrations to effects", examples=["pk"]
    )
    status: Literal["published", "derived", "incomplete"] = Field(
        default="published", description="incomplete: listed, refuses to run", examples=["published"]
    )
    title: Text = Field(
        default="", description="one line for people", examples=["S-ketamine after IV infusion in adults"]
    )
    drug: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ,+()-]{0,59}$")] = Field(
        description="what a dose of this model is: S-ketamine, R-ketamine, racemate, or another drug",
        examples=["S-ketamine"],
    )
    molar_mass: Annotated[Parameter | None, BeforeValidator(_grams_per_mole)] = Field(
        default=None, description="of the drug, g/mol; `molar_mass` in formulas", examples=[237.73]
    )
    sampling: Literal["arterial", "venous", "not stated"] = Field(
        default="not stated", description="sampling site"
    )
    source: Text = Field(
        default="not given", description="key in sources.toml or in [sources]", examples=["otto_2021"]
    )
    notes: tuple[Text, ...] = Field(default=(), description="traps and limits")
    missing: tuple[Text, ...] = Field(default=(), description="incomplete only: what is missing")
    sources: dict[Identifier, Source] = Field(
        default={}, max_length=1000, description="the file's own sources"
    )
    applies: Applies = Field(default=Applies(), description="where the model was made for")
    covariates: dict[Identifier, Covariate] = Field(
        default={}, max_length=1000, description="properties of the patient"
    )
    parameters: dict[Identifier, Parameter] = Field(
        default={}, max_length=1000, description="literature values"
    )
    variability: dict[Label, Variability] = Field(default={}, max_length=1000, description="random effects")
    individual: dict[Identifier, Formula] = Field(
        default={}, max_length=1000, description="one value per patient, in order"
    )
    compartments: dict[Identifier, Compartment] = Field(
        default={}, max_length=1000, description="states, amounts in mg"
    )
    drives: dict[Identifier, Drive] = Field(
        default={}, max_length=1000, description="effect models: concentrations that are read"
    )
    effect_sites: dict[Identifier, EffectSite] = Field(
        default={}, description="states that follow a concentration"
    )
    flows: dict[Label, Flow] = Field(
        default={}, max_length=1000, description="amount per time between compartments"
    )
    dose_fields: dict[Identifier, DoseField] = Field(
        default={}, max_length=1000, description="extra facts of a dose"
    )
    entries: dict[Label, tuple[Part, ...]] = Field(default={}, max_length=1000, description="route to parts")
    outputs: dict[Label, Output] = Field(default={}, max_length=1000, description="what can be asked for")
    residual: dict[Label, Residual] = Field(
        default={}, max_length=1000, description="residual error of outputs"
    )
    checks: tuple[Check, ...] = Field(default=(), description="numbers the source prints about its model")
    limits: tuple[Limit, ...] = Field(default=(), description="what the model cannot say")
    stands_on: Identifier | None = Field(
        default=None,
        description="a model of the library whose tables this one starts from; its own entries are added",
        examples=["derived_racemate_venous"],
    )

    @model_validator(mode="before")
    @classmethod
    def _weighed(cls, data: Any) -> Any:
        """The molar mass is a parameter like others."""
        if not isinstance(data, dict) or "molar_mass" not in data:
            return data
        mass, parameters = _grams_per_mole(data["molar_mass"]), data.get("parameters", {})
        if not isinstance(parameters, dict) or "molar_mass" in parameters:
            return data
        return {**data, "parameters": {**parameters, "molar_mass": mass}}

    _digest: str = PrivateAttr("")
    _path: Path | None = PrivateAttr(None)
    _text: str = PrivateAttr("")
    _shipped: bool = PrivateAttr(False)
    _warnings: tuple[str, ...] = PrivateAttr(())
    _doubts: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _remarks: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _also_cited: tuple[str, ...] = PrivateAttr(())
    _inherited: tuple[str, ...] = PrivateAttr(())
    _factors: dict[str, float] = PrivateAttr(default_factory=dict)
    _output_factor: dict[str, float] = PrivateAttr(default_factory=dict)
    _derived_units: dict[str, str] = PrivateAttr(default_factory=dict)
    _caveats: dict[str, tuple[str, ...]] = PrivateAttr(default_factory=dict)
    _pure: bool = PrivateAttr(False)

    @property
    def digest(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of the file."""
        return self._digest

    @property
    def path(self) -> Path | None:
        """The file, None if the model came as text."""
        return self._path

    @property
    def text(self) -> str:
        """The file as it stands."""
        return self._text

    @property
    def shipped(self) -> bool:
        """True for a model of the library, False for a user's file."""
        return self._shipped

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the file but not wrong."""
        return self._warnings

    @property
    def doubts(self) -> dict[str, tuple[str, ...]]:
        """Route → why a model changed in memory is extrapolated by it."""
        return self._doubts

    @property
    def remarks(self) -> dict[str, tuple[str, ...]]:
        """Route → what was changed in memory, where that was observed."""
        return self._remarks

    @property
    def also_cited(self) -> tuple[str, ...]:
        """Keys of the sources behind a change in memory."""
        return self._also_cited

    @property
    def factors(self) -> dict[str, float]:
        """Parameter name → what its value is multiplied by to be in inside units."""
        return self._factors

    @property
    def output_factor(self) -> dict[str, float]:
        """Output name → what its formula in inside units is multiplied by to be in the declared unit."""
        return self._output_factor

    @property
    def derived_units(self) -> dict[str, str]:
        """Name of an individual value, a state or an output → the inside unit derived for it."""
        return self._derived_units

    @property
    def caveats(self) -> dict[str, tuple[str, ...]]:
        """Output name → why it is to be trusted less; filled by `kinetamine.models.link.link`."""
        return self._caveats

    @property
    def pure(self) -> bool:
        """True where an effect counts the other enantiomer as absent: no doses of the racemate."""
        return self._pure

    def inside(self, name: str) -> float:
        """A parameter's value in inside units."""
        return self.parameters[name].value * self._factors[name]

    @property
    def states(self) -> tuple[str, ...]:
        """Compartments, then effect sites, in the order of the file."""
        return (*self.compartments, *self.effect_sites)

    @property
    def routes(self) -> tuple[str, ...]:
        """Names of the entries."""
        return tuple(self.entries)

    @property
    def own_routes(self) -> tuple[str, ...]:
        """Names of the entries that are not those of the model this one stands on."""
        return tuple(route for route in self.entries if route not in self._inherited)

    @property
    def subject_etas(self) -> tuple[str, ...]:
        """Random effects that are one per patient, without the prefix ``eta.``."""
        return self._etas("subject")

    @property
    def occasion_etas(self) -> tuple[str, ...]:
        """Random effects that are one per patient and occasion, without the prefix ``occ.``."""
        return self._etas("occasion")

    def _etas(self, level: str) -> tuple[str, ...]:
        return tuple(eta for block in self.variability.values() if block.level == level for eta in block.etas)

    def covariance(
        self, level: Literal["subject", "occasion"] = "subject"
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Names of the random effects of a level and their covariance.

        Returns
        -------
        names : tuple of str
            Without prefix, in the order of the file.
        matrix : array (effect, effect)
        """
        names = self._etas(level)
        matrix = np.zeros((len(names), len(names)))
        at = 0
        for block in self.variability.values():
            if block.level == level:
                size = len(block.etas)
                matrix[at : at + size, at : at + size] = block.matrix()
                at += size
        return names, matrix
