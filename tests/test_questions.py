"""One record per question: a field said once is there in every face."""

import json
import runpy
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError

from kinetamine import questions, reproduce
from kinetamine.cli import app as cli
from kinetamine.cli import command as commands
from kinetamine.cli.command import Out, command
from kinetamine.errors import InputError
from kinetamine.questions.people import options
from kinetamine.questions.record import WHO, Number, say

ROOT = Path(__file__).parents[1]


class Wider(questions.Simulate):
    """Concentrations, with one more option of the people."""

    height_of_all: Number | None = say(
        None, "How tall everybody is.", "CM", WHO, toml="population.height_of_all", python=None, example=170.0
    )


@pytest.fixture
def wide(monkeypatch):
    """A command of the wider question, and what it was asked."""
    told = []
    monkeypatch.setattr(commands, "_COMMANDS", {})

    @command("wide", formats=("table", "json"), examples="kinetamine wide --dose x")
    def wide(asked: Wider, out: Out) -> None:
        """Ask."""
        told.append(asked)

    return commands.Command(commands._COMMANDS["wide"]), told


def test_a_field_said_once_is_in_every_face(wide):
    made, told = wide
    # the command line, its help and the documentation
    assert (
        made.main(
            ["--dose", "84 mg nasal", "--patients", "3", "--height-of-all", "170"], standalone_mode=False
        )
        is None
    )
    assert (told[0].patients, told[0].height_of_all) == (3, 170.0)
    row = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["section"]("wide", made)
    assert "| `--height-of-all CM` | How tall everybody is. |" in row
    option = next(p for p in made.params if p.name == "height_of_all")
    assert option.help == "How tall everybody is." and option.rich_help_panel == WHO
    with pytest.raises(
        InputError, match="--height-of-all: got 'tall'; expected a number; try --height-of-all 170"
    ):
        made.main(["--dose", "84 mg nasal", "--height-of-all", "tall"], standalone_mode=False)
    # JSON and its schema
    asked = Wider.model_validate_json(
        json.dumps({"doses": "84 mg nasal", "patients": 3, "height_of_all": 170})
    )
    assert asked.height_of_all == 170
    assert Wider.model_json_schema()["properties"]["height_of_all"]["description"] == "How tall everybody is."
    # TOML, there and back
    values, places = Wider.from_file({"doses": "84 mg nasal", "population": {"n": 3, "height_of_all": 170}})
    assert Wider.model_validate(values, strict=False) == asked
    assert places["height_of_all"] == "population.height_of_all"
    assert asked.to_file()["population"] == {"n": 3, "height_of_all": 170.0}
    # the people that are made of it, and how to ask again
    assert options(asked)["height_of_all"] == 170
    assert reproduce.line("simulate", asked).endswith("--patients 3 --height-of-all 170")
    assert "height_of_all=170.0" in reproduce.people(asked)


def test_every_field_says_what_it_is():
    for name in questions.__all__:
        for said in getattr(questions, name).said():
            assert said.help, f"{name}.{said.name}"
            assert said.help.endswith((".", "'")), f"{name}.{said.name}: {said.help}"


def test_faults_of_form_are_all_there_under_the_name_of_the_face():
    given = {"doses": 3, "patients": "x", "set": {"weight": True}, "dose": 1}
    with pytest.raises(ValidationError) as caught:
        questions.Simulate.model_validate(given)
    where = [f.where for f in questions.Simulate.faults(caught.value, "request")]
    assert where == ["doses", "patients", "set.weight", "dose"]
    where = [f.where for f in questions.Simulate.faults(caught.value, "command line")]
    assert where[:3] == ["--dose", "--patients", "--set weight"]


def test_no_value_is_converted_in_silence():
    for value in ("3", 3.5, True, None):
        if value is not None:
            with pytest.raises(ValidationError):
                questions.Simulate.model_validate({"doses": "84 mg nasal", "patients": value})


def test_a_command_knows_its_record_when_it_is_asked():
    root = typer.main.get_command(cli.app)
    assert root.commands["effects"].entry.record is questions.EffectsLine
