"""Draws the picture of the README from a real run of examples/nasal_esketamine.toml (``make docs``)."""

from __future__ import annotations

from pathlib import Path

from kinetamine import scenario
from kinetamine.report import figures

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "img" / "nasal_esketamine.svg"

if __name__ == "__main__":
    result = scenario.read(scenario.read_file(ROOT / "examples" / "nasal_esketamine.toml")).run()
    TARGET.parent.mkdir(exist_ok=True)
    figures.save(figures.curves(result), TARGET)
    print(f"wrote {TARGET}")
