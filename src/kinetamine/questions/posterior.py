"""What a person's own values say."""

from __future__ import annotations

from typing import Literal

from kinetamine.questions.course import Course
from kinetamine.questions.record import (
    HOW,
    OUT,
    WHAT,
    WHO,
    Count,
    Names,
    Number,
    Numbers,
    Seed,
    Settings,
    Text,
    again,
    say,
)
from kinetamine.questions.shared import Dosed, Models, People, Time, example
from kinetamine.questions.tables import TableOptions

__all__ = ["Posterior", "PosteriorLine"]

_SEEN = "What was measured"


class Posterior(
    TableOptions,
    json_schema_extra=example(
        model="otto_2021_s_ketamine", doses="10 mg iv over 30 min", level=["S-ketamine 46 ng/mL at 40 min"]
    ),
):
    """The posterior of a person's effects, from levels or scores."""

    model: Models = say(
        help="A model with published variability, or a course model (scores); several are weighed by their evidence.",
        metavar="ID|FILE.toml", panel=WHAT, example="otto_2021_s_ketamine",
    )  # fmt: skip
    doses: Names | Text | None = again(
        Dosed, "doses", None,
        "What was given. A range is estimated: '10 to 1000 mg oral, 0 to 24 h before'; repeat for more.",
    )  # fmt: skip
    level: Names = say(
        [], "A value, '<limit' or 'a to b': 'S-ketamine 46 ng/mL at 40 min', 'MADRS 21 on day 7'; repeat.",
        "PHRASE", _SEEN, python="observations", example=["S-ketamine 46 ng/mL at 40 min"],
    )  # fmt: skip
    dv_unit: Text | None = say(None, "Unit of DV in the table.", "UNIT", _SEEN, example="ng/mL")
    residual: dict[Text, Text] = say(
        {}, "A residual error that you state, graded assumed: 'S-ketamine=20 %'; repeat.", "OUTPUT=ERROR", _SEEN,
        example={"S-ketamine": "20 %"},
    )  # fmt: skip
    allow_site_mismatch: bool = say(
        False, "Let a venous value be explained by an arterial curve and the other way round; lowers the grade.",
        panel=_SEEN,
    )  # fmt: skip
    set: Settings = again(People, "set", {}, "A covariate of the person, such as weight=80; repeat for more.")
    prior: Literal["published", "published with parameter error"] = say(
        "published", "Whether the published standard errors belong to the prior.", "WORDS", HOW,
        example="published with parameter error",
    )  # fmt: skip
    method: Literal["auto", "importance", "smc", "laplace"] = say(
        "auto", "How to draw; auto tells by itself.", "auto|importance|smc|laplace", HOW, example="smc"
    )
    draws: Count | None = say(
        None, "Draws; default 10,000, of a model that is solved step by step 2,000.", "N", HOW, python="n",
        example=4000,
    )  # fmt: skip
    seed: Seed = again(People, "seed", 0)
    forecast: Text | None = say(
        None, "Show the curve after these doses too; 'same' for those given.", "PHRASE", OUT, python=None,
        example="56 mg nasal",
    )  # fmt: skip
    until: Time | None = say(
        None,
        "Last time of the forecast (course: since the first session).",
        "TIME",
        OUT,
        python=None,
        unit="h",
        example="24 h",
    )
    search: Text | None = say(
        None,
        "Try the doses of a range: '28 to 84 mg nasal'.",
        "PHRASE",
        OUT,
        python=None,
        example="28 to 84 mg nasal",
    )
    target: Text | None = say(
        None, "What a tried dose should reach: 'S-ketamine Cmax 40 to 90 ng/mL'.", "TARGET", OUT, python=None,
        example="S-ketamine Cmax 40 to 90 ng/mL",
    )  # fmt: skip
    setting: Names | Text = again(
        Course, "setting", [], "What surrounds the sessions of a course; repeat for more."
    )
    relapse: Text | None = again(Course, "relapse", None, "What counts as a relapse in a course.")
    booster: Numbers | None = say(
        None, "Days after the last score on which one more session is tried.", "DAY,DAY", OUT, python=None,
        commas=True, unit="d", example=[7.0, 14.0, 28.0],
    )  # fmt: skip
    most: Number = say(
        0.2, "Probability of a relapse that is accepted before a booster.", "P", OUT, python=None, example=0.1
    )
    least: Number = say(0.8, "Probability that counts as reached.", "P", OUT, python=None, example=0.9)


class PosteriorLine(Posterior):
    """The same where files may be read and are written."""

    events: Text | None = say(
        None, "An event table with DV instead: a posterior for each of its people.", "TABLE.csv", _SEEN, python=None
    )  # fmt: skip
    people: Count | None = say(
        None,
        "Draws kept in the file of --out, for --people; default 1000.",
        "N",
        WHO,
        python=None,
        example=2000,
    )
