"""Claims: all of them, with evidence; the simulator's numbers are reproducible and the page is fresh."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import kinetamine as kt
from kinetamine.cli.app import run
from kinetamine.errors import FaultyFile, UnknownName
from kinetamine.evidence import claims as desk

FILE = Path(str(resources.files("kinetamine"))) / "data" / "claims.toml"
PAGE = Path(__file__).parents[1] / "docs" / "claims.md"
NUMBER = re.compile(r"\d[\d,]*\.?\d*(?:e[-+]\d+)?")
CURE = "stale: kinetamine claims --format md > docs/claims.md"
COMPUTED = [c.id for c in desk.claims() if c.compute is not None]


def test_no_statement_and_no_finding_is_lost():
    everything = kt.claims()
    assert [c.id for c in everything] == list(tomllib.loads(FILE.read_text("utf-8"))["claim"])
    assert all(f.citation and f.finding for c in everything for f in c.evidence)


def test_enough_of_them_are_computed():
    assert len(COMPUTED) >= 8


@pytest.mark.parametrize("name", COMPUTED)
def test_the_command_prints_the_number_again(name, capsys):
    computed = kt.claims(name)[0].computed
    assert computed.value > 0
    assert computed.unit
    assert "{" not in computed.text
    for command in computed.command.split(" && "):
        assert run(shlex.split(command)[1:]) == 0
    shown = capsys.readouterr().out
    told = computed.text.rsplit(" (fitted", 1)[0]
    spans = re.findall(r"([\d.,e-]+) \([\d.,e-]+\)", told)
    assert spans, "a band over the people"
    printed = {float(x.replace(",", "")) for x in NUMBER.findall(shown)}
    for middle in spans:
        want = float(middle.replace(",", ""))
        assert any(x == pytest.approx(want, rel=0.03) for x in printed), f"{middle} is not in:\n{shown}"


def test_the_page_is_fresh():
    """Words must be equal; a number may differ in its last digit, which another processor may round otherwise."""
    kept, now = PAGE.read_text("utf-8").splitlines(), desk.markdown(kt.claims()).splitlines()
    assert len(kept) == len(now), CURE
    for old, new in zip(kept, now, strict=True):
        assert NUMBER.sub("#", old) == NUMBER.sub("#", new), CURE
        for a, b in zip(NUMBER.findall(old), NUMBER.findall(new), strict=True):
            assert float(a.replace(",", "")) == pytest.approx(float(b.replace(",", "")), rel=0.02), CURE


def test_json_has_the_agreed_shape(capsys):
    assert run(["claims", "c13", "C19", "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [r["id"] for r in rows] == ["C13", "C19"]
    for row in rows:
        assert set(row) == {"id", "statement", "verdict", "evidence", "computed"}
        assert all(set(e) == {"finding", "direction", "source", "seen"} for e in row["evidence"])
    assert set(rows[0]["computed"]) == {"text", "value", "unit", "command"}
    assert rows[1]["computed"] is None


def test_without_computing_nothing_is_computed(capsys):
    assert run(["claims", "--no-compute", "--format", "json"]) == 0
    assert all(row["computed"] is None for row in json.loads(capsys.readouterr().out))
    assert run(["claims", "C08", "--no-compute"]) == 0
    assert "computed:" not in capsys.readouterr().out


def test_recalled_evidence_is_shown_as_recalled():
    page = desk.markdown(kt.claims("C11"), compute=False)
    assert "**recalled**" in page


def test_an_unknown_claim_offers_the_nearest(capsys):
    with pytest.raises(UnknownName, match="C3"):
        kt.claims("C39")
    assert run(["claims", "C39"]) == 2
    assert run(["claims", "C01", "--format", "html"]) == 2


def test_faults_are_told_all_at_once():
    text = resources.files("kinetamine").joinpath("data/claims.toml").read_text("utf-8")
    text = text.replace('number = "levels"', 'number = "horoscope"', 1)
    with pytest.raises(FaultyFile) as caught:
        desk.read(text.replace('source = "msf_essential_drugs"', 'source = "nobody_1900"'))
    assert len(caught.value.faults) == 2
    with pytest.raises(FaultyFile, match="maybe"):
        desk.read(text.replace('verdict = "partly"', 'verdict = "maybe"', 1))
