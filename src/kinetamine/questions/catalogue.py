"""What comes with the package: models, regimens, claims, agreement with observations; and the page itself."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kinetamine.questions.record import Names, Question, Text, say

__all__ = ["CheckModel", "Claims", "Models", "Regimens", "Serve", "Validate"]


class Models(Question):
    """What the library holds, or one model with all its numbers."""

    model: Text | None = say(
        None,
        "One model, with all its numbers.",
        "[ID|FILE.toml]",
        argument=True,
        example="otto_2021_s_ketamine",
    )


class CheckModel(Question):
    """Whether a model file is sound."""

    file: Text = say(
        help="A model file; or the id of a shipped one.",
        metavar="FILE.toml",
        argument=True,
        example="my_model.toml",
    )


class Regimens(Question):
    """Published regimens by use, each with its source; or one of them."""

    id: Text | None = say(
        None, "One regimen, with its source.", "[ID]", argument=True, example="depression_nasal_label"
    )
    use: Text | None = say(None, "Only those for one use.", "USE", example="depression")


class Claims(Question):
    """Common statements about ketamine: verdict, evidence for and against, the simulator's own number."""

    id: Names = say([], "Some of them, such as C13; default all.", "[ID]...", argument=True, example=["C13"])
    compute: bool = say(True, "With or without the simulator's own numbers.", option="--compute/--no-compute")


class Validate(Question):
    """Each published observation beside what the models say."""

    part: Text = say(
        help="What to validate: pk, concentrations in blood; interactions, ratios with drugs and diseases; "
        "course, depression scores in trials; effects, onset, length and frequency of acute effects.",
        metavar="pk|interactions|course|effects", argument=True, example="pk",
    )  # fmt: skip


class Serve(Question):
    """The page and the JSON routes, on this machine."""

    host: Text = say("127.0.0.1", "Where to listen; another than 127.0.0.1 lets others in.", "ADDRESS")
    port: Annotated[int, Field(ge=0, le=65535)] = say(8765, "The port; 0 takes a free one.", "N", example=0)
    open_: bool = say(False, "Open the page in the browser.")
    log: bool = say(False, "A line for each request: method, path, status, time; never what was asked.")
