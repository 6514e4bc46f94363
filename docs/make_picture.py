"""Draws the picture of the README from a real run of examples/nasal_esketamine.toml (``make docs``)."""

from __future__ import annotations

from pathlib import Path

import kinetamine as kt
from kinetamine import scenario
from kinetamine.report import figures

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "img" / "nasal_esketamine.svg"
#: of the day that is simulated, the hours in which something happens
WINDOW_H = (0.0, 12.0)

if __name__ == "__main__":
    asked = scenario.read(scenario.read_file(ROOT / "examples" / "nasal_esketamine.toml"))
    result = asked.run()
    found = kt.effects(asked.doses, model=asked.models[0], population=asked.people, until=24.0)
    TARGET.parent.mkdir(exist_ok=True)
    figures.save(figures.explore(result, found, window=WINDOW_H), TARGET)
    print(f"wrote {TARGET}")
