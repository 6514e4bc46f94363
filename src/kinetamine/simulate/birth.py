"""Where the numbers of a result come from: models, people, regimen and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kinetamine.models import library
from kinetamine.models.spec import ModelSpec
from kinetamine.population import Population
from kinetamine.version import version

__all__ = ["certificate", "source_keys"]


def certificate(
    specs: Sequence[ModelSpec], people: Any, regimen: list[str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    citations = {key: library.reference(key, spec) for spec in specs for key in source_keys(spec)}
    describe = getattr(people, "describe", None)
    birth = {
        "models": [{"id": s.id, "digest": s.digest, "source": s.source, "status": s.status} for s in specs],
        "kinetamine": version(),
        "seed": people.seed if isinstance(people, Population) else None,
        "n": people.n,
        "regimen": regimen,
        "population": describe() if describe else repr(people),
        "sources": list(citations),
    }
    return birth, list(citations.values())


def source_keys(spec: ModelSpec) -> list[str]:
    """Keys of the sources behind a model's numbers, its own first."""
    keys = [spec.source]
    for group in (spec.parameters, spec.variability, spec.residual):
        keys += [r.source for r in group.values() if r.source]  # type: ignore[attr-defined]
    keys += [o.threshold.source for o in spec.outputs.values() if o.threshold and o.threshold.source]
    return list(dict.fromkeys((*keys, *spec.also_cited)))
