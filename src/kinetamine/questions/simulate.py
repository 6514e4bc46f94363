"""Concentrations: the question of ``simulate`` and of its scenario file; and what the safety desk adds to it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from kinetamine.questions.record import (
    HOW,
    OUT,
    WHAT,
    WHEN,
    WHO,
    LongText,
    Names,
    Number,
    Question,
    Text,
    again,
    say,
)
from kinetamine.questions.shared import Changed, Dosed, Drawn, Modelled, People, Spread, Time, Timed, example
from kinetamine.questions.tables import TABLE, TableOptions, options_of

__all__ = ["Check", "Examined", "Scenario", "Simulate", "SimulateFiles", "SimulateLine"]

#: of which record a covariate is between two
CARRY = ("next", "last")
_NASAL = "perez_ruixo_2021_esketamine"


class Simulate(
    Timed,
    People,
    Changed,
    Dosed,
    Modelled,
    json_schema_extra=example(
        model=_NASAL, doses="84 mg nasal", patients=100, seed=1, age="18-64", until="6 h"
    ),
):
    """Concentrations of a typical patient, or their quantiles over people."""

    uncertainty: bool | int = say(
        False, "Draw the model's parameters from their errors.", panel=WHO, toml="population.uncertainty",
        python=None,
    )  # fmt: skip
    residual: bool = say(
        False, "Add residual error to every value.", panel=WHO, toml="population.residual", python=None
    )
    times: LongText | Number | list[Number | Text] | None = say(
        None,
        "Times in h, or '5,10,15 min'.",
        "0.1,0.5,1",
        WHEN,
        commas=True,
        unit="h",
        example=[0.5, 1.0, 2.0],
    )
    exposure_from: Time | None = say(
        None, "Exposure from this time on, instead of all of it.", "TIME", OUT, unit="h", example="0 h"
    )
    exposure_to: Time | None = say(None, "Exposure until this time.", "TIME", OUT, unit="h", example="4 h")
    on_failure: Literal["raise", "keep"] = say(
        "raise", "A patient who cannot be computed stops the run (default) or is kept as missing.", "raise|keep",
        HOW, example="keep",
    )  # fmt: skip
    outputs: Text | Names | None = say(
        None, "Only these outputs.", "NAME,NAME", OUT, commas=True, example=["S-ketamine"]
    )
    quantiles: LongText | list[Number] | None = say(
        None, "Quantiles over the people.", "0.05,0.5,0.95", OUT, commas=True, example=[0.05, 0.5, 0.95]
    )


class SimulateFiles(TableOptions, Drawn, Simulate):
    """The same where files may be read: on the command line and in a scenario file."""

    doses: LongText | list[LongText | dict[str, Any]] | None = again(  # type: ignore[assignment]
        Dosed, "doses", None
    )
    events: Text | None = say(None, "A NONMEM-style event table instead.", "TABLE.csv", WHAT)
    table: Text | None = say(
        None, "A table of people, one row each.", "TABLE.csv", WHO, toml="population.table", python=None
    )
    variability: bool = say(
        True, "Whether people differ at random, as published (default).", panel=WHO,
        option="--variability/--no-variability", toml="population.variability", python=None,
    )  # fmt: skip
    carry: Text | Names | None = say(
        None, "Columns of the table that go along into the output; next (default) or last: of which record a "
        "covariate is between two.", "COLUMN,COLUMN|next|last", TABLE, commas=True, example=["DV", "last"],
    )  # fmt: skip
    also: Names = say(
        [], "More in the output of a table: doses (a row each), tad (time after dose), parameters (individual values).",
        "doses,tad,parameters", TABLE, commas=True, python=None, example=["tad", "parameters"],
    )  # fmt: skip
    occasion: Time | None = say(
        None, "How long an occasion lasts, default '24 h'.", "TIME", HOW, unit="h", example="24 h"
    )
    stream: bool = say(False, "Keep quantiles only, for very many patients.", panel=HOW)

    def reading(self) -> dict[str, Any]:
        """How the event table is read, as keywords of `EventTable.read`."""
        carried = [name for name in self._carried() if name not in CARRY]
        return (
            options_of(self)
            | ({"carry": carried} if carried else {})
            | ({"also": self.also} if self.also else {})
        )

    def carried_from(self) -> str | None:
        """Of which record a covariate is between two, if that was said."""
        return next((name for name in self._carried() if name in CARRY), None)

    def _carried(self) -> list[str]:
        given = self.carry or []
        return [part.strip() for part in (given.split(",") if isinstance(given, str) else given)]


class SimulateLine(Spread, SimulateFiles):
    """A command line of ``simulate``: a scenario file, and what is laid over it."""

    scenario: Text | None = say(
        None,
        "A scenario file; options below replace what it says.",
        "[SCENARIO.toml]",
        argument=True,
        python=None,
    )


class Examined(Question):
    """What the safety desk looks at beside doses and people."""

    product: Text | None = say(None, "Such as 'esketamine nasal'.", "NAME", WHO, example="esketamine nasal")
    conditions: Names | Text = say(
        [], "An illness or other fact that rules ask for; repeat for more.", "NAME", WHO, example="aneurysm"
    )
    medications: Names | Text = say(
        [], "A medicine taken; repeat for more.", "NAME", WHO, example="lamotrigine"
    )
    visit: Annotated[dict[Text, bool | Number | Text], Field(max_length=20)] = say(
        {}, "What was measured at the visit, such as sbp=150.", "NAME=VALUE", WHO, example={"sbp": 150}
    )


class Check(
    Timed,
    Examined,
    People,
    Changed,
    Dosed,
    Modelled,
    json_schema_extra=example(doses="84 mg nasal", conditions=["aneurysm"], visit={"sbp": 150, "dbp": 85}),
):
    """A whole scenario before the safety desk."""

    title: Text | None = say(None, "What it is called.", "TEXT", OUT, example="a first session")


class Scenario(Examined, SimulateFiles):
    """A scenario file: everything that ``simulate`` and ``check`` can be asked."""

    called: ClassVar[str] = "scenario"

    format: Literal[1] = say(1, "The format of the file.")
    title: str = say("", "What it is called.")
    notes: str = say("", "For people; not read.")
