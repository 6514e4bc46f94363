"""Forecasts of several models as one: their mixture, weighed by how well each explains the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.errors import UnknownName

__all__ = ["Mixture", "weighted_quantiles"]


def weighted_quantiles(values: np.ndarray, weights: np.ndarray, q: Sequence[float]) -> np.ndarray:
    """Quantiles of weighted draws along the first axis, array (quantile, …).

    Parameters
    ----------
    values : array (draw, …)
    weights : array (draw,)
        Not negative.
    q : sequence of float
        Between 0 and 1.

    Examples
    --------
    >>> weighted_quantiles(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 2.0]), [0.5]).tolist()
    [2.3333333333333335]
    """
    values = np.asarray(values, float)
    order = np.argsort(values, axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    w = np.asarray(weights, float)[order]
    total = np.cumsum(w, axis=0)
    middle = (total - 0.5 * w) / total[-1]
    flat_m, flat_v = middle.reshape(len(values), -1), ranked.reshape(len(values), -1)
    out = np.array([np.interp(q, flat_m[:, k], flat_v[:, k]) for k in range(flat_m.shape[1])])
    return out.T.reshape(len(q), *values.shape[1:])


@dataclass(frozen=True)
class Mixture:
    """Results of several models of the same person.

    Parameters
    ----------
    results : dict of model id to Result
        On the same times.
    weights : dict of model id to float
        Sum to one.
    """

    results: Mapping[str, Any]
    weights: Mapping[str, float]

    @property
    def time_h(self) -> np.ndarray:
        """Times, h."""
        return np.asarray(next(iter(self.results.values())).time_h)

    def analytes(self) -> tuple[str, ...]:
        """Analytes that every model gives, at one site."""
        keys = [
            {(o.analyte, o.site): name for name, o in result.outputs.items()}
            for result in self.results.values()
        ]
        return tuple(keys[0][key] for key in keys[0] if all(key in other for other in keys))

    def quantiles(self, name: str, q: Sequence[float] = (0.05, 0.5, 0.95)) -> dict[float, np.ndarray]:
        """Quantiles of the mixture at each time, in the unit of the first model.

        Raises
        ------
        UnknownName
            If not every model gives it.
        """
        from kinetamine import units

        if name not in self.analytes():
            raise UnknownName("output", name, self.analytes(), "an output that every model gives")
        first = next(iter(self.results.values())).outputs[name]
        values, weights = [], []
        for model, result in self.results.items():
            own = next(
                o for o in result.outputs.values() if (o.analyte, o.site) == (first.analyte, first.site)
            )
            found = units.convert(1.0, own.unit, first.unit) * np.asarray(own.values)
            values.append(found)
            weights.append(np.full(len(found), self.weights[model] / len(found)))
        all_values = np.concatenate(values)
        keep = np.isfinite(all_values).all(axis=1)
        found_q = weighted_quantiles(all_values[keep], np.concatenate(weights)[keep], list(q))
        return dict(zip(q, found_q, strict=True))

    def __repr__(self) -> str:
        parts = ", ".join(f"{model} {weight:.0%}" for model, weight in self.weights.items())
        return f"<Mixture of {parts}; {len(self.time_h)} times>"
