"""Writes docs/validation.md, the index of the pages that ``kinetamine validate`` writes (``make docs``)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import polars as pl

from kinetamine.evidence import stored
from kinetamine.evidence.parts import PARTS
from kinetamine.evidence.tables import significant, table

DOCS = Path(__file__).parent
TARGET = DOCS / "validation.md"
TITLE = re.compile(r"^# (?:Validation: )?(.+)$", re.MULTILINE)
TIMES = ("onset", "peak", "offset", "duration")

INTRO = """# Validation

<!-- Written by docs/make_validation.py from the stored comparisons. Do not edit. -->

What published models and our own fits predict, against what was observed. Published models stand as published; what a
fit has used is marked and left out of the figures on this page. Each part has a page of its own, with every number:
"""
READING = """## Predicted, nothing of it used

Only comparisons in which nothing of the observation went into the model. Fold is predicted / observed; its middle is
the median size, its bias the geometric mean. *Holds*: the part's own rule (a published interval, or the range of the
prediction; see its page). Recalled numbers, other sampling sites and people outside a model's range are in the second
row of a part where they can be told apart.
"""


def text() -> str:
    """The whole page."""
    titles = {part: TITLE.search((DOCS / f"validation_{part}.md").read_text("utf-8"))[1] for part in PARTS}
    links = [f"- [{title[0].upper()}{title[1:]}](validation_{part}.md)" for part, title in titles.items()]
    head = ("", "n", "middle fold", "bias", "within 1.25", "within 1.5", "within 2", "holds")
    return "\n".join([INTRO, *links, "", READING, table(head, rows())]) + "\n"


def rows() -> list[tuple[str, ...]]:
    """One line for each kind of comparison."""
    pk, effects = (_predicted(part) for part in ("pk", "effects"))
    inside = pl.col("remark").fill_null("") == ""
    curves, times = pl.col("metric").str.starts_with("curve of"), pl.col("metric").is_in(TIMES)
    shares, changes = pl.col("metric") == "share", pl.col("metric").str.contains("change")
    return [
        _line("concentrations and exposure, range and site of the model", pk.filter(inside & ~curves)),
        _line("the same, elsewhere or weaker evidence", pk.filter(~inside & ~curves)),
        _line("curves of concentrations, median of each", pk.filter(curves)),
        _line("onset, peak, end and length of effects", effects.filter(times)),
        _line("shares of people affected", effects.filter(shares)),
        _line("changes of pressure, heart rate and scores", effects.filter(changes)),
        _line("other measures of effects", effects.filter(~times & ~shares & ~changes)),
        _line("interactions and special patients", _predicted("interactions")),
        _line("depression scores in trials", _predicted("course")),
    ]


def _predicted(part: str) -> pl.DataFrame:
    return stored.load(part).filter(pl.col("use").str.starts_with("predicted"))


def _line(name: str, found: pl.DataFrame) -> tuple[str, ...]:
    logs = np.log(found["fold"].drop_nulls().filter(found["fold"].drop_nulls() > 0).to_numpy())
    cells = [""] * 5
    if logs.size:
        middle, bias = math.exp(np.median(np.abs(logs))), math.exp(logs.mean())
        shares = (f"{np.mean(np.abs(logs) <= math.log(limit) + 1e-12):.0%}" for limit in (1.25, 1.5, 2))
        cells = [significant(middle), significant(bias), *shares]
    told = found["holds"].drop_nulls()
    holds = f"{int(told.sum())} of {len(told)}" if len(told) else ""
    return (name, str(found.height), *cells, holds)


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
    print(f"wrote {TARGET}")
