"""Documentation is product: its code blocks run, and what is generated is not stale."""

import re
import runpy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kinetamine.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
#: words that begin lines which set up a machine, not this program
SETUP = (
    "git ",
    "cd ",
    "make ",
    "pip ",
    "kinetamine serve",
    "python -m pip",
    "python -m pytest",
    "python3 ",
    ". ",
    "source ",
)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path) -> list[str]:
    lines = []
    for kind in ("console", "bash", "sh"):
        for block in blocks(page, kind):
            joined = re.sub(r"\\\n\s*", "", block)
            lines += [line.removeprefix("$ ").split("  #")[0].strip() for line in joined.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder like the one a reader works in: examples there, and a model and table of their own."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name in ("my_model.toml", "table.csv"):
        shutil.copy(ROOT / "examples" / name, tmp_path)
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_python_blocks_run(page, desk):
    names: dict = {"__name__": "documentation"}
    for block in blocks(page, "python"):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_run(page, desk):
    for line in commands(page):
        if line.startswith(SETUP):
            continue
        assert line.startswith("kinetamine "), f"{page.name}: {line}"
        if line.startswith("kinetamine validate"):
            continue  # minutes of work, tested by itself
        words = shlex.split(line)[1:]
        if page.name != "README.md":  # in this process: starting Python a hundred times takes minutes
            assert app.run(words) == 0, line
            continue
        done = subprocess.run([sys.executable, "-m", "kinetamine", *words], capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_examples_are_sound(path):
    import tomllib

    from kinetamine import scenario
    from kinetamine.models import library

    if "model" in tomllib.loads(path.read_text(encoding="utf-8")):
        scenario.read(scenario.read_file(path), path.name)
    else:
        library.load(path)


def test_the_index_of_the_validation_is_made_from_what_is_stored():
    made = runpy.run_path(str(ROOT / "docs" / "make_validation.py"))["text"]()
    assert (ROOT / "docs" / "validation.md").read_text(encoding="utf-8") == made, "stale: run `make docs`"


def test_command_reference_is_fresh():
    made = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))["text"]()
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == made, "stale: run `make docs`"


def test_every_command_and_option_has_help_and_an_example():
    import typer

    from kinetamine.cli.app import app

    for name, command in typer.main.get_command(app).commands.items():
        assert command.help, name
        assert f"kinetamine {name}" in (command.epilog or ""), f"{name} has no example"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"{name}: {parameter.name}"


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_between_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
