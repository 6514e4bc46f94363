"""The course of depression in a group."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kinetamine.errors import InputError
from kinetamine.questions.record import (
    HOW,
    WHAT,
    WHO,
    Count,
    Names,
    Number,
    Numbers,
    Question,
    Seed,
    Text,
    Texts,
    again,
    say,
)
from kinetamine.questions.shared import Dosed, People, example

__all__ = ["Course"]


class Course(
    Question,
    json_schema_extra=example(
        doses="0.5 mg/kg iv over 40 min, twice weekly for 4 weeks", weeks=8, patients=50
    ),
):
    """A group of patients through sessions, visit rules, response and relapse. Not for a person."""

    called: ClassVar[str] = "course"

    course: Text | None = say(
        None, "A shipped course (esketamine_label, ketamine_six_infusions), a file (.toml) or 'usual care'.",
        "[COURSE]",
        argument=True, python=None, example="esketamine_label",
    )  # fmt: skip
    doses: Texts | None = again(Dosed, "doses", None)  # type: ignore[assignment]
    rule: Names = say(
        [], "Such as 'booster when MADRS >= 20 at a weekly visit'; repeat for more.", "SENTENCE", WHAT,
        toml="rules", python="rules", example=["booster when MADRS >= 20 at a weekly visit"],
    )  # fmt: skip
    weeks: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = say(
        None, "Length, default 26.", "WEEKS", WHAT, unit="week", example=26.0
    )
    patients: Count | None = again(People, "patients", None, "How many, default 1000.", toml="")
    seed: Seed | None = say(None, "Same seed, same people.", "S", WHO, example=1)
    setting: Names | Text = say(
        [], "'open label' (default blinded), 'hospital', 'new oral drug', 'refractory'; repeat for more.", "WORDS",
        WHO, example=["open label"],
    )  # fmt: skip
    baseline: Annotated[list[Number], Field(min_length=2, max_length=4)] | None = say(
        None, "MADRS at entry, such as '37.5, 5.6'; default the model's 32, 5.5.", "MEAN,SD", WHO, commas=True,
        example=[32.0, 5.5],
    )  # fmt: skip
    age: Number | None = say(
        None, "Of all patients; default 45. Above 50 it matters, by a prior of its own.", "YEARS", WHO, unit="year",
        example=70.0,
    )  # fmt: skip
    trial: Text | None = say(
        None, "One more group of this fitted trial; default a new trial.", "NAME", WHO, example="heerlein2021"
    )
    new_trial: bool = say(
        True, "Every draw with a trial of its own, or the average trial.", panel=WHO,
        option="--new-trial/--average-trial",
    )  # fmt: skip
    counted: Literal["stay", "completers", "last observation", "non-responder"] = say(
        "stay", "Who is counted: 'stay' (nobody leaves), 'completers', 'last observation', 'non-responder'.", "WORDS",
        WHO, example="completers",
    )  # fmt: skip
    select: Text | None = say(
        None, "Only those follow who have it then, such as 'response at day 28'.", "WORDS", WHO,
        example="response at day 28",
    )  # fmt: skip
    crisis: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = say(
        None, "All scores rise on a day by so many points and fall back by themselves, such as '30, 8'.",
        "DAY,POINTS", WHO, commas=True, example=[30.0, 8.0],
    )  # fmt: skip
    set: Annotated[dict[Text, Number], Field(max_length=50)] = say(
        {}, "A switch or parameter of the course model, such as naltrexone=1.", "NAME=VALUE", WHO,
        toml="switches", python="switches", example={"naltrexone": 1.0},
    )  # fmt: skip
    model: Text | None = say(
        None, "hierarchical (default), or a file.", "ID|FILE.toml", HOW, example="hierarchical"
    )
    pk: Text | None = say(
        None, "A PK model for all routes.", "ID|FILE.toml", HOW, example="kamp_2020_meta_racemic"
    )
    relapse: Text | None = say(
        None, "Such as 'relapse when MADRS >= 22 at 2 visits in a row after remission'.", "SENTENCE", HOW,
        example="relapse when MADRS >= 22 at 2 visits in a row after remission",
    )  # fmt: skip
    visits: Numbers | None = say(
        None, "Days of scores, the first session on day 0, such as '0, 1, 28'; default day 1 and weekly.", "DAYS", HOW,
        commas=True, unit="day", example=[0.0, 1.0, 7.0, 28.0],
    )  # fmt: skip
    response: Number | None = say(None, "Improvement that counts, default 0.5.", "SHARE", HOW, example=0.5)
    remission: Number | None = say(
        None, "Highest score of a remission, default 12.", "MADRS", HOW, example=12.0
    )

    def regimen(self) -> str | list[str]:
        """What is given: a course or doses.

        Raises
        ------
        InputError
            If there are both or neither.
        """
        if (self.course is None) == (not self.doses):
            told = "both" if self.doses else "neither"
            raise InputError("course", told, "a course or doses", "'84 mg nasal twice weekly for 4 weeks'")
        found = self.course or self.doses or []
        return found if isinstance(found, str) else list(found)
