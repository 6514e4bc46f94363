"""What several questions say: doses, people, times, what changes a curve. Each field stands here once."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from kinetamine.questions.record import (
    HOW,
    WHAT,
    WHEN,
    WHO,
    Count,
    Names,
    Number,
    Question,
    Seed,
    Settings,
    Text,
    Texts,
    say,
)

__all__ = [
    "Changed",
    "Dosed",
    "Drawn",
    "Model",
    "ModelText",
    "Modelled",
    "Models",
    "People",
    "Spread",
    "Time",
    "Timed",
    "example",
]

#: a number is in hours
Time = Text | Number


def example(**fields: Any) -> dict[str, Any]:
    """A whole question for the OpenAPI; a name of Python's own ends in an underscore here."""
    return {"examples": [{name.rstrip("_"): value for name, value in fields.items()}]}


class ModelText(Question, json_schema_extra=example(text='format = 1\nkind = "pk"\ndrug = "racemate"')):
    """A model file as text, instead of the id of a shipped one. It is parsed, never executed."""

    text: Annotated[str, StringConstraints(min_length=1, max_length=50_000)] = say(
        help="The text of a model file.", example='format = 1\nkind = "pk"\ndrug = "racemate"'
    )


Model = Text | ModelText
Models = Model | Annotated[list[Model], Field(min_length=1, max_length=50)]


class Modelled(Question):
    """By which model."""

    model: Models | None = say(
        None, "A model of the library or a model file; again for a second one (racemate: S and R).",
        "ID|FILE.toml", WHAT, example="perez_ruixo_2021_esketamine",
    )  # fmt: skip


class Dosed(Question):
    """What is given."""

    doses: Texts = say(
        help="A dose phrase, such as '0.5 mg/kg iv over 40 min, twice weekly for 4 weeks'; repeat for more.",
        metavar="PHRASE", panel=WHAT, option="--dose", python=None, example="84 mg nasal",
    )  # fmt: skip


class Changed(Question):
    """What changes the curve beside the dose."""

    with_: Names | Text = say(
        [], "Another drug that changes the curve, such as clarithromycin; repeat for more.", "NAME", WHAT,
        example="clarithromycin",
    )  # fmt: skip
    condition: Names | Text = say(
        [], "A disease, gene or the like that changes the curve: 'hepatic impairment moderate'; repeat for more.",
        "TEXT", WHO, example="hepatic impairment moderate",
    )  # fmt: skip


class People(Question):
    """Who gets it. A field here with a key ``population.x`` is given to `kinetamine.Population` as ``x``."""

    patients: Count | None = say(
        None, "How many people; without it one typical patient.", "N", WHO, toml="population.n", python=None,
        example=1000,
    )  # fmt: skip
    seed: Seed | None = say(
        None, "Same seed, same people.", "S", WHO, toml="population.seed", python=None, example=1
    )
    age: Text | Number | list[Number] | None = say(
        None, "Ages of the people, years; below 18: children.", "LOW-HIGH", WHO, toml="population.age",
        python=None, commas=True, unit="year", example="18-65",
    )  # fmt: skip
    set: Settings = say(
        {}, "Fix a covariate, such as weight=95 or 'weight=209 lb'; repeat for more.", "NAME=VALUE", WHO,
        toml="population.*", python=None, example={"weight": 95},
    )  # fmt: skip


class Drawn(Question):
    """People whose effects are known already; only where files may be read."""

    people: Text | None = say(
        None, "People that `kinetamine posterior --out` wrote: one person, as uncertain as his levels leave him.",
        "FILE.json", WHO, toml="population.people", python=None, example="me.json",
    )  # fmt: skip


class Spread(Question):
    """Who computes; only on the command line. Results do not depend on it."""

    cluster: Text | None = say(
        None, "Compute on workers: local, local:4 (processes) or a Dask scheduler's address; keeps quantiles only.",
        "local[:N]|tcp://HOST:PORT", HOW, python=None, example="local:2",
    )  # fmt: skip
    checkpoint: Text | None = say(
        None,
        "With --cluster: keep what was counted in this folder.",
        "FOLDER",
        HOW,
        python=None,
        example="run1",
    )
    resume: bool = say(False, "Go on from what the checkpoint holds.", panel=HOW, python=None)


class Timed(Question):
    """When to look."""

    until: Time | None = say(None, "Last time, such as '28 d'.", "TIME", WHEN, unit="h", example="24 h")
    step: Time | None = say(
        None, "Time between points, such as '1 h'.", "TIME", WHEN, unit="h", example="5 min"
    )
