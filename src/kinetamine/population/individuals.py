"""People whose random effects are known: draws of one person's posterior, taken like any other population."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kinetamine.errors import InputError
from kinetamine.population import draws
from kinetamine.population.people import Patient, Population

__all__ = ["Individuals"]

_FORMAT = "kinetamine individuals 1"
_KINDS = ("effects", "occasions", "parameters")


class Individuals(Population):
    """One person's uncertainty as a population: everyone has his covariates and one draw of his effects.

    Parameters
    ----------
    given : mapping of model id to dict
        ``effects`` {name: array (n,)}, ``occasions`` {name: array (occasion, n)} and ``parameters``
        {name: array (n,)} in inside units. Effects of other models are drawn as in any population, and so are
        occasions beyond those that are given.
    patient : Patient
        Whose they are.
    n : int
    seed : int
        For everything that is not given.
    source : str
        In words, where the draws come from.

    Examples
    --------
    >>> people = Individuals({"m": {"effects": {"CL": np.array([0.1, 0.2])}}}, Patient(weight=80), 2)
    >>> people
    Individuals(2 draws for Patient(weight=80))
    """

    def __init__(
        self,
        given: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
        patient: Patient,
        n: int,
        seed: int = 0,
        source: str = "",
    ) -> None:
        super().__init__(n, seed)
        self.patient, self.source = patient, source
        self.effects = {
            model: {
                kind: {name: np.asarray(v, float) for name, v in kinds.get(kind, {}).items()}
                for kind in _KINDS
            }
            for model, kinds in given.items()
        }
        self.given = dict(patient.given)

    def __repr__(self) -> str:
        return f"Individuals({self.n} draws for {self.patient!r})"

    def _stop(self, stop: int | None) -> int:
        return self.n if stop is None else stop

    def demographics(
        self, spec: Any = None, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """The person's own, for everyone."""
        return self.patient.demographics(spec, start, self._stop(stop), together)

    def covariates(
        self, spec: Any, start: int = 0, stop: int | None = None, together: Sequence[Any] = ()
    ) -> dict[str, np.ndarray]:
        """The person's own, for everyone."""
        return self.patient.covariates(spec, start, self._stop(stop), together)

    def etas(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, np.ndarray]:
        """Effects that are given; of another model drawn."""
        stop = self._stop(stop)
        found = super().etas(spec, start, stop)
        own = self.effects.get(spec.id, {}).get("effects", {})
        return {**found, **{f"eta.{name}": v[start:stop] for name, v in own.items()}}

    def occasions(
        self, spec: Any, n_occ: int, start: int = 0, stop: int | None = None
    ) -> dict[str, np.ndarray]:
        """Effects of the occasions that are given; of later ones and of another model drawn."""
        stop = self._stop(stop)
        found = super().occasions(spec, n_occ, start, stop)
        for name, values in self.effects.get(spec.id, {}).get("occasions", {}).items():
            known = min(n_occ, len(values))
            found[f"occ.{name}"][:known] = values[:known, start:stop]
        return found

    def parameters(self, spec: Any, start: int = 0, stop: int | None = None) -> dict[str, float | np.ndarray]:
        """Published values, and draws of those that were uncertain."""
        stop = self._stop(stop)
        found = draws.draw_parameters(spec, self.seed, start, stop, False)
        own = self.effects.get(spec.id, {}).get("parameters", {})
        return {**found, **{name: v[start:stop] for name, v in own.items()}}

    def sources(self, spec: Any = None) -> tuple[str, ...]:
        """None: nobody is drawn from a reference."""
        return ()

    def describe(self, spec: Any = None) -> dict[str, Any]:
        """What a report says about them."""
        return {
            "kind": "individuals",
            "n": self.n,
            "seed": self.seed,
            "given": dict(self.patient.given),
            "models": list(self.effects),
            "source": self.source,
        }

    # --- files -------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "format": _FORMAT,
            "n": self.n,
            "seed": self.seed,
            "source": self.source,
            "patient": dict(self.patient.given),
            "models": {
                model: {kind: {k: v.tolist() for k, v in values.items()} for kind, values in kinds.items()}
                for model, kinds in self.effects.items()
            },
        }

    @classmethod
    def from_dict(cls, data: Any, where: str = "people") -> Individuals:
        """From `to_dict`; a posterior's file, which holds them under ``people``, is taken too.

        Raises
        ------
        InputError
            If it is not such data, or arrays differ in length.
        """
        if isinstance(data, Mapping) and "people" in data:
            data = data["people"]
        try:
            if data["format"] != _FORMAT:
                raise ValueError
            n = int(data["n"])
            given = {
                str(model): {
                    kind: {str(k): np.asarray(v, float) for k, v in kinds.get(kind, {}).items()}
                    for kind in _KINDS
                }
                for model, kinds in data["models"].items()
            }
            sized = all(
                v.shape[-1] == n and np.isfinite(v).all()
                for kinds in given.values()
                for values in kinds.values()
                for v in values.values()
            )
            if not sized or n < 1:
                raise ValueError
            return cls(given, Patient(**data["patient"]), n, int(data["seed"]), str(data.get("source", "")))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                where, "no draws of a person", "a file written by kinetamine posterior", "--out me.json"
            ) from error

    @classmethod
    def read(cls, path: str | Path) -> Individuals:
        """From a file that `kinetamine posterior --out` wrote.

        Raises
        ------
        InputError
            If it cannot be read or is something else.
        """
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                str(path), f"a file that cannot be read ({type(error).__name__})", "a posterior's JSON file"
            ) from error
        return cls.from_dict(data, str(path))
