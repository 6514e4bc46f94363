"""Bodies of requests: the questions, and what only the page asks beside them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kinetamine import questions
from kinetamine.questions.effects import Sought
from kinetamine.questions.record import OUT, LongText, Names, Question, again, say
from kinetamine.questions.shared import Changed, Dosed, Modelled, Models, People, Time, Timed, example

__all__ = ["Compare", "Course", "Detect", "Draw", "Explore", "Nca", "Posterior"]


class Draw(Question):
    """That a figure is wanted, and the place it is for."""

    width: Annotated[int, Field(ge=100, le=2400)] = Field(default=560, description="Width in pixels.")
    labels: Literal["end", "above"] = Field(default="end", description="Where the names of curves stand.")
    log: bool = Field(default=False, description="A logarithmic axis of values.")
    theme: Literal["light", "dark"] = Field(default="light", description="The colours.")


class _Drawn(Question):
    draw: Draw | None = Field(default=None, description="Asks for a figure, and says for which place.")


class Compare(_Drawn, questions.Compare):
    """``kinetamine compare``."""


class Detect(_Drawn, questions.Detect):
    """``kinetamine detect``."""


class Course(_Drawn, questions.Course):
    """``kinetamine course``."""

    without_drug: bool = Field(
        default=False, description="Also the same sessions with the drug's effect switched off."
    )


class Explore(
    _Drawn,
    Sought,
    People,
    Changed,
    Dosed,
    Modelled,
    json_schema_extra=example(doses="84 mg nasal", patients=100, seed=1, until="6 h", draw={"width": 560}),
):
    """Curves and effects of the same doses in the same people: ``simulate`` and ``effects`` in one.

    Models' parameters are drawn from their errors, as ``kinetamine effects`` always does.
    """

    model: Models | None = again(
        Modelled, "model", None, "Without it the model that effects are computed from."
    )
    outputs: Names | None = say(None, "Only these outputs.", "NAME,NAME", OUT, commas=True)
    until: Time = again(Timed, "until", "24 h")
    exposure: bool = Field(default=False, description="Also peak, time of the peak, area and half-life.")
    numbers: bool = Field(
        default=True, description="The numbers under `data`; without them the figure comes sooner."
    )


class Posterior(
    _Drawn,
    questions.Posterior,
    json_schema_extra=example(
        model="otto_2021_s_ketamine",
        doses="10 mg iv over 30 min",
        level=["S-ketamine 46 ng/mL at 40 min"],
        draw={"width": 560},
    ),
):
    """``kinetamine posterior``."""

    table: LongText | None = Field(
        default=None,
        description="The text of an event table with DV, in the place of doses and values: a posterior for each of "
        "its people.",
        examples=["ID,TIME,AMT,DV,EVID\n1,0,10,.,1\n1,1,.,40,0"],
    )
    people: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Draws under `people`, as the file of `--out` has them for other commands."
    )


class Nca(
    _Drawn,
    questions.Nca,
    json_schema_extra=example(
        table="TIME,DV,AMT\n0,.,100\n1,4,.\n2,3,.\n4,1.5,.\n8,0.375,.", draw={"width": 560}
    ),
):
    """``kinetamine nca``."""

    table: LongText = Field(  # type: ignore[assignment]
        description="The text of a table of concentrations in time: TIME, DV or CONC, ID, AMT.",
        examples=["TIME,DV,AMT\n0,.,100\n1,4,."],
    )
