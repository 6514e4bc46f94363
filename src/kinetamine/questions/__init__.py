"""One record per question: each field once, with type, unit, help, panel, names and example.

The command line, the JSON interface, scenario and course files, "how to reproduce" and the documentation are all
made from these records; see *Add a question* in CONTRIBUTING.md. Records are imported when they are first used:
``kinetamine --help`` needs none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinetamine.questions.catalogue import CheckModel, Claims, Models, Regimens, Serve, Validate
    from kinetamine.questions.combine import Combine
    from kinetamine.questions.course import Course
    from kinetamine.questions.effects import Compare, Effects, EffectsLine
    from kinetamine.questions.infusion import Infusion
    from kinetamine.questions.nca import Nca
    from kinetamine.questions.posterior import Posterior, PosteriorLine
    from kinetamine.questions.safety import (
        CheckLine,
        Detect,
        DetectLine,
        Interactions,
        Law,
        Misuse,
        Scale,
        ScaleLine,
        Screen,
        ScreenLine,
    )
    from kinetamine.questions.simulate import Check, Scenario, Simulate, SimulateFiles, SimulateLine
    from kinetamine.questions.tables import TableOptions

#: module → the records in it
_HOME = {
    "simulate": ("Check", "Scenario", "Simulate", "SimulateFiles", "SimulateLine"),
    "catalogue": ("CheckModel", "Claims", "Models", "Regimens", "Serve", "Validate"),
    "combine": ("Combine",),
    "course": ("Course",),
    "effects": ("Compare", "Effects", "EffectsLine"),
    "infusion": ("Infusion",),
    "nca": ("Nca",),
    "tables": ("TableOptions",),
    "posterior": ("Posterior", "PosteriorLine"),
    "safety": (
        "CheckLine",
        "Detect",
        "DetectLine",
        "Interactions",
        "Law",
        "Misuse",
        "Scale",
        "ScaleLine",
        "Screen",
        "ScreenLine",
    ),
}

__all__ = sorted(record for records in _HOME.values() for record in records)


def __getattr__(name: str) -> Any:
    for module, records in _HOME.items():
        if name in records:
            found = getattr(importlib.import_module(f"{__name__}.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
