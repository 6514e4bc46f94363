"""Stored results of the validation: of today, complete, and in one shape."""

import polars as pl
import pytest

from kinetamine.cli import app
from kinetamine.errors import UnknownName
from kinetamine.evidence import course, effects, interactions, parts, pk, stored
from kinetamine.evidence.course import observations as trials
from kinetamine.evidence.effects import observations as acute
from kinetamine.models import library

PARTS = list(parts.PARTS)


def cure(part):
    return f"stale: kinetamine validate {part} --data src/kinetamine/data/validation/{part}.csv"


@pytest.mark.parametrize("part", PARTS)
def test_what_is_stored_was_computed_from_these_data_and_models(part):
    assert stored.stamp(part) == parts.part(part).fingerprint(), cure(part)


@pytest.mark.parametrize("part", PARTS)
def test_every_row_says_what_where_and_how(part):
    rows = stored.load(part)
    assert tuple(rows.columns) == stored.COLUMNS and rows.height > 30
    for name in ("id", "model", "metric", "unit", "use", "source"):
        assert rows[name].null_count() == 0, name
    assert rows["holds"].drop_nulls().len() > 10
    told = rows.filter(pl.col("metric").str.starts_with("curve of").not_())
    assert (told["predicted"].is_not_null() | (told["id"] == "")).all()
    assert set(rows["source"]) <= set(library.sources())
    if part != "course":
        known = {e.id for e in library.available()}
        assert {one for name in rows["model"].unique() for one in name.split(" + ")} <= known
    assert any(use.startswith("predicted") for use in rows["use"])


def same(part, report):
    """Whether rows made now are among those stored."""
    made = stored.text(part, report).splitlines()[2:]
    kept = set(stored._stored(part).splitlines())
    assert made and set(made) <= kept, cure(part)


def test_rows_made_now_are_those_stored():
    same("interactions", interactions.run())
    chosen = [o for o in acute.load() if o.predict][:3]
    same("effects", effects.run(observations=chosen))
    same("pk", pk.run(models=["hijazi_2003_icu_adults", "domino_tci_set"]))


def test_outcomes_of_trials_have_their_scale_and_source():
    report = course.run(outcomes=trials.load().usable()[:2], draws=2)
    header, *rows = stored.text("course", report).splitlines()[1:]
    assert len(rows) == 2 and header.split(",") == list(stored.COLUMNS)
    first = stored.load("course").row(0, named=True)
    assert (
        first["study"] == report.comparisons[0].trial and first["observed"] == report.comparisons[0].published
    )
    assert first["difference"] == pytest.approx(first["predicted"] - first["observed"], abs=1e-4)


def test_the_command_writes_them(tmp_path, capsys):
    path = tmp_path / "interactions.csv"
    assert app.run(["validate", "interactions", "--data", str(path)]) == 0
    assert path.read_text() == stored._stored("interactions") and "wrote" in capsys.readouterr().err
    assert app.run(["validate", "interactions", "--data", str(tmp_path / "no" / "a.csv")]) == 2


def test_an_unknown_part_is_refused():
    with pytest.raises(UnknownName, match="pk"):
        stored.load("pkk")
