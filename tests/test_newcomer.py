"""Somebody new adds a model, a check and an effect with the commands that CONTRIBUTING names, and nothing else."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.evidence.pk.compare import checked, remarks
from kinetamine.models import library

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def commands(title: str) -> list[list[str]]:
    part = GUIDE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\s*\$ kinetamine (.+)$", part, re.MULTILINE)
    return [shlex.split(line) for line in lines]


def check(value: float, **more: str) -> str:
    part = GUIDE.partition("## Add a model\n")[2].partition("\n## ")[0]
    block = re.search(r"^   (\[\[checks\]\].*?)^   ```$", part, re.MULTILINE | re.DOTALL)[1]
    text = re.sub(r"^   ", "", block, flags=re.MULTILINE).replace("value = 149", f"value = {value:g}")
    return "\n" + text + "".join(f'{key} = "{words}"\n' for key, words in more.items())


@pytest.fixture
def desk(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "examples" / "my_model.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_and_an_effect_run_with_the_commands_of_the_guide(desk, capsys):
    for title in ("Add a model", "Add an effect"):
        asked = commands(title)
        assert any(words[0] == "check-model" for words in asked) and len(asked) >= 2
        for words in asked:
            assert run(words) == 0, words
    assert "sound" in capsys.readouterr().out


def test_a_check_decides_whether_a_model_is_sound(desk, capsys):
    file = desk / "my_model.toml"
    plain = file.read_text("utf-8")
    peak = kt.simulate(file, "35 mg iv over 40 min").exposure().row(0, named=True)["cmax"]
    file.write_text(plain + check(round(peak)), "utf-8")
    assert run(["check-model", "my_model.toml"]) == 0
    assert "sound; gives 1 of 1 printed numbers" in capsys.readouterr().out
    file.write_text(plain + check(peak / 155 * 120), "utf-8")
    assert run(["check-model", "my_model.toml"]) == 2
    told = capsys.readouterr()
    assert "sound" not in told.out and "is printed" in told.err
    file.write_text(
        plain + check(peak / 155 * 120, off="the mean of people lies below the typical one"), "utf-8"
    )
    assert run(["check-model", "my_model.toml"]) == 0
    assert "1 known to be off" in capsys.readouterr().out


def test_shipped_models_give_what_their_papers_print_or_say_why_not():
    for entry in library.available():
        if entry.kind == "pk" and entry.status != "incomplete" and entry.id not in remarks():
            apart = [one for one in checked(library.load(entry.id)) if not one.agrees and not one.off]
            assert not apart, entry.id


def test_analytes_of_models_meet_in_their_own_mass():
    dose = "28 mg esketamine iv over 40 min"
    found = kt.compare(dose, analyte="S-norketamine", models=["otto_2021_s_ketamine"])
    alone = kt.simulate("otto_2021_s_ketamine", dose, outputs=["S-norketamine"], times=list(found[0].time_h))
    as_published = float(alone["S-norketamine"].max())
    assert found[0].cmax == pytest.approx(as_published * 223.7 / 237.73, rel=1e-3)
    assert any("in its own" in reason for reason in found[0].reasons)
