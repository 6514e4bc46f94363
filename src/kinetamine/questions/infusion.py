"""Target-controlled infusion."""

from __future__ import annotations

from kinetamine.questions.record import OUT, Count, Names, Question, Seed, Settings, Text, again, say
from kinetamine.questions.shared import Model, People, Time, example

__all__ = ["Infusion"]

_HELD, _PUMP = "What is held", "The pump"


class Infusion(
    Question,
    json_schema_extra=example(
        model="kamp_2020_meta_racemic", target="200 ng/mL", for_="1 h", max_rate="200 mg/h"
    ),
):
    """A target-controlled infusion: bolus, rates in time, what is held, and the fall after the stop."""

    model: Model | None = say(
        None, "A linear model with the route iv; default that of the effects by vein.", "ID|FILE.toml", _HELD,
        example="kamp_2020_meta_racemic",
    )  # fmt: skip
    target: Text = say(
        help="Such as '200 ng/mL'.", metavar="LEVEL", panel=_HELD, python=None, example="200 ng/mL"
    )
    for_: Time = say(
        help="Until the pump stops.", metavar="TIME", panel=_HELD, python="duration", unit="h", example="2 h"
    )
    site: Text = say("plasma", "Where the target is.", "plasma|'effect site'", _HELD, example="effect site")
    ke0: Text | None = say(
        None, "How fast the effect site follows: '0.3 1/min'.", "RATE", _HELD, unit="1/h", example="0.3 1/min"
    )
    output: Text | None = say(None, "If the model has several.", "NAME", _HELD, example="S-ketamine")
    wake_at: Text | None = say(None, "Say when it has fallen to this.", "LEVEL", _HELD, example="50 ng/mL")
    max_rate: Text | None = say(
        None, "Such as '200 mg/h' or '3 mg/kg/h'.", "RATE", _PUMP, unit="mg/h", example="200 mg/h"
    )
    bolus: bool = say(True, "Whether to load at once.", panel=_PUMP, option="--bolus/--no-bolus")
    max_bolus: Text | None = say(None, "The most at once.", "AMOUNT", _PUMP, unit="mg", example="20 mg")
    step: Time = say("10 s", "How long a rate is kept.", "TIME", _PUMP, unit="h", example="1 min")
    set: Settings = again(People, "set", {}, "A covariate, such as weight=80; repeat for more.")
    patients: Count | None = again(People, "patients", None, "What the same plan does in N other people.")
    seed: Seed = again(People, "seed", 0)
    every: Time | None = say(
        None, "Rows of the table (means over them); default a twelfth.", "TIME", OUT, python=None, unit="h",
        example="5 min",
    )  # fmt: skip
    half_times: Names = say(
        [], "Context-sensitive half-times after being held so long.", "TIME,TIME", OUT, commas=True, python=None,
        example=["1 h", "2 h"],
    )  # fmt: skip
