"""Simulate ketamine treatment with published models: for research and teaching only.

The public names below are imported when they are first used, so that ``import kinetamine`` costs nothing.

Examples
--------
>>> import kinetamine as kt
>>> kt.Patient(weight=95).n
1
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinetamine.dosing import Dose, EventTable, Regimen
    from kinetamine.errors import InputError, KinetamineError, RunError
    from kinetamine.models.library import available as available_models
    from kinetamine.models.library import load as load_model
    from kinetamine.models.library import sources
    from kinetamine.population import Patient, Population
    from kinetamine.results import Result, TableResult
    from kinetamine.scenario import Scenario
    from kinetamine.simulate import simulate

    __version__: str

__all__ = [
    "Dose",
    "EventTable",
    "InputError",
    "KinetamineError",
    "Patient",
    "Population",
    "Regimen",
    "Result",
    "RunError",
    "Scenario",
    "TableResult",
    "__version__",
    "available_models",
    "load_model",
    "simulate",
    "sources",
]

#: public name → (module it lives in, its name there)
_HOME = {
    "Dose": ("kinetamine.dosing", "Dose"),
    "EventTable": ("kinetamine.dosing", "EventTable"),
    "InputError": ("kinetamine.errors", "InputError"),
    "KinetamineError": ("kinetamine.errors", "KinetamineError"),
    "Patient": ("kinetamine.population", "Patient"),
    "Population": ("kinetamine.population", "Population"),
    "Regimen": ("kinetamine.dosing", "Regimen"),
    "Result": ("kinetamine.results", "Result"),
    "RunError": ("kinetamine.errors", "RunError"),
    "Scenario": ("kinetamine.scenario", "Scenario"),
    "TableResult": ("kinetamine.results", "TableResult"),
    "available_models": ("kinetamine.models.library", "available"),
    "load_model": ("kinetamine.models.library", "load"),
    "simulate": ("kinetamine.simulate", "simulate"),
    "sources": ("kinetamine.models.library", "sources"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("kinetamine")
    elif name in _HOME:
        module, inner = _HOME[name]
        value = getattr(importlib.import_module(module), inner)
    else:
        raise AttributeError(f"module 'kinetamine' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    # `simulate` is a public function and the file it lives in. Python sets a submodule as an attribute of its
    # package when it is imported, which would put the module in the function's place.
    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value = getattr(value, _HOME[name][1])
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
