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
    from kinetamine import combination
    from kinetamine.comparison import Compared, Comparison, compare
    from kinetamine.course import (
        CourseResult,
        SearchResult,
        TrialResult,
        available_courses,
        course,
        search_boosters,
        trial,
    )
    from kinetamine.dosing import Dose, EventTable, Regimen
    from kinetamine.dosing.library import regimens
    from kinetamine.effects import AcuteEffect, AcuteEffects, effects
    from kinetamine.errors import InputError, KinetamineError, RunError
    from kinetamine.evidence.claims import claims
    from kinetamine.inference import Posterior, TracedBack, posterior, search_dose
    from kinetamine.infusion import Infusion, context_sensitive_half_time, infusion_for
    from kinetamine.models.library import available as available_models
    from kinetamine.models.library import load as load_model
    from kinetamine.models.library import sources
    from kinetamine.models.link import link
    from kinetamine.nca import NCA, nca
    from kinetamine.observations import Observations
    from kinetamine.population import Patient, Population
    from kinetamine.population.individuals import Individuals
    from kinetamine.report.figures.bands import plot
    from kinetamine.results import Result, TableResult
    from kinetamine.safety import misuse
    from kinetamine.safety.check import check
    from kinetamine.safety.detection import DetectionResult, detect
    from kinetamine.safety.instruments import score
    from kinetamine.safety.interactions import perturb
    from kinetamine.safety.law import law
    from kinetamine.safety.pd_interactions import interactions
    from kinetamine.safety.screening import screen
    from kinetamine.scenario import Scenario
    from kinetamine.simulate import simulate
    from kinetamine.simulate.prepared import prepare

    __version__: str

__all__ = [
    "NCA",
    "AcuteEffect",
    "AcuteEffects",
    "Compared",
    "Comparison",
    "CourseResult",
    "DetectionResult",
    "Dose",
    "EventTable",
    "Individuals",
    "Infusion",
    "InputError",
    "KinetamineError",
    "Observations",
    "Patient",
    "Population",
    "Posterior",
    "Regimen",
    "Result",
    "RunError",
    "Scenario",
    "SearchResult",
    "TableResult",
    "TracedBack",
    "TrialResult",
    "__version__",
    "available_courses",
    "available_models",
    "check",
    "claims",
    "combination",
    "compare",
    "context_sensitive_half_time",
    "course",
    "detect",
    "effects",
    "infusion_for",
    "interactions",
    "law",
    "link",
    "load_model",
    "misuse",
    "nca",
    "perturb",
    "plot",
    "posterior",
    "prepare",
    "regimens",
    "score",
    "screen",
    "search_boosters",
    "search_dose",
    "simulate",
    "sources",
    "trial",
]

#: public name → (module it lives in, its name there; empty: the module itself)
_HOME = {
    "combination": ("kinetamine.combination", ""),
    "misuse": ("kinetamine.safety.misuse", ""),
    "AcuteEffect": ("kinetamine.effects", "AcuteEffect"),
    "AcuteEffects": ("kinetamine.effects", "AcuteEffects"),
    "effects": ("kinetamine.effects", "effects"),
    "link": ("kinetamine.models.link", "link"),
    "regimens": ("kinetamine.dosing.library", "regimens"),
    "Individuals": ("kinetamine.population.individuals", "Individuals"),
    "Observations": ("kinetamine.observations", "Observations"),
    "Posterior": ("kinetamine.inference", "Posterior"),
    "TracedBack": ("kinetamine.inference", "TracedBack"),
    "posterior": ("kinetamine.inference", "posterior"),
    "search_dose": ("kinetamine.inference", "search_dose"),
    "Compared": ("kinetamine.comparison", "Compared"),
    "Comparison": ("kinetamine.comparison", "Comparison"),
    "compare": ("kinetamine.comparison", "compare"),
    "CourseResult": ("kinetamine.course", "CourseResult"),
    "DetectionResult": ("kinetamine.safety.detection", "DetectionResult"),
    "Dose": ("kinetamine.dosing", "Dose"),
    "EventTable": ("kinetamine.dosing", "EventTable"),
    "Infusion": ("kinetamine.infusion", "Infusion"),
    "InputError": ("kinetamine.errors", "InputError"),
    "KinetamineError": ("kinetamine.errors", "KinetamineError"),
    "NCA": ("kinetamine.nca", "NCA"),
    "nca": ("kinetamine.nca", "nca"),
    "Patient": ("kinetamine.population", "Patient"),
    "Population": ("kinetamine.population", "Population"),
    "Regimen": ("kinetamine.dosing", "Regimen"),
    "Result": ("kinetamine.results", "Result"),
    "RunError": ("kinetamine.errors", "RunError"),
    "Scenario": ("kinetamine.scenario", "Scenario"),
    "SearchResult": ("kinetamine.course", "SearchResult"),
    "TableResult": ("kinetamine.results", "TableResult"),
    "TrialResult": ("kinetamine.course", "TrialResult"),
    "available_courses": ("kinetamine.course", "available_courses"),
    "available_models": ("kinetamine.models.library", "available"),
    "check": ("kinetamine.safety.check", "check"),
    "claims": ("kinetamine.evidence.claims", "claims"),
    "context_sensitive_half_time": ("kinetamine.infusion", "context_sensitive_half_time"),
    "course": ("kinetamine.course", "course"),
    "detect": ("kinetamine.safety.detection", "detect"),
    "infusion_for": ("kinetamine.infusion", "infusion_for"),
    "interactions": ("kinetamine.safety.pd_interactions", "interactions"),
    "law": ("kinetamine.safety.law", "law"),
    "load_model": ("kinetamine.models.library", "load"),
    "prepare": ("kinetamine.simulate.prepared", "prepare"),
    "plot": ("kinetamine.report.figures.bands", "plot"),
    "perturb": ("kinetamine.safety.interactions", "perturb"),
    "score": ("kinetamine.safety.instruments", "score"),
    "screen": ("kinetamine.safety.screening", "screen"),
    "search_boosters": ("kinetamine.course", "search_boosters"),
    "simulate": ("kinetamine.simulate", "simulate"),
    "sources": ("kinetamine.models.library", "sources"),
    "trial": ("kinetamine.course", "trial"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from kinetamine.version import version

        value: Any = version()
    elif name in _HOME:
        module, inner = _HOME[name]
        value = importlib.import_module(module)
        value = getattr(value, inner) if inner else value
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
            value = getattr(value, _HOME[name][1]) if _HOME[name][1] else value
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
