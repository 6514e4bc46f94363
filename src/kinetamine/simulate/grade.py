"""How far a result can be trusted: the model's range against what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from kinetamine.models.spec import ModelSpec

__all__ = ["FEW", "grade"]

#: share of a population that may lie outside the range before the whole is called extrapolated
FEW = 0.05


def grade(
    spec: ModelSpec,
    people: Mapping[str, np.ndarray],
    routes: Iterable[str],
    dose_times: np.ndarray,
    sample_times: np.ndarray,
    dose_mg: Iterable[float] = (),
) -> tuple[str, tuple[str, ...]]:
    """Grade of a model's outputs and the reasons, in words.

    Parameters
    ----------
    people : dict of arrays
        ``age`` in years and ``weight`` in kg, where known.
    routes : names of the entries used
    dose_times, sample_times : array, h
    dose_mg : single doses

    Returns
    -------
    grade : str
        ``fitted`` inside the model's range, ``extrapolated`` outside.
    reasons : tuple of str

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> spec = load("otto_2021_s_ketamine")
    >>> grade(spec, {"age": np.array([70.0])}, ["iv"], np.array([0.0]), np.array([1.0]))[0]
    'extrapolated'
    """
    used = list(routes)
    outside = [why for route in used or spec.doubts for why in spec.doubts.get(route, ())]
    inside = [why for route in used or spec.remarks for why in spec.remarks.get(route, ())]
    applies = spec.applies
    for key, name, unit, limits in (
        ("age", "age", "years", applies.age_years),
        ("weight", "weight", "kg", applies.weight_kg),
    ):
        if limits is None or key not in people:
            continue
        values = np.asarray(people[key])
        out = (values < limits[0] - 1e-9) | (values > limits[1] + 1e-9)
        span = f"{limits[0]:g}-{limits[1]:g} {unit}"
        if out.all() and len(values) == 1:
            outside.append(f"{name} {values[0]:g} {unit} is outside the {span} of the people studied")
        elif out.mean() > FEW:
            outside.append(f"{out.mean():.0%} of the people are outside the {span} of those studied")
        elif out.any():
            inside.append(f"{name} within {span} but for {out.mean():.1%} of the people")
        else:
            inside.append(f"{name} within {span}")
    if applies.routes is not None:
        strange = sorted(set(used) - set(applies.routes))
        if strange:
            outside.append("route not studied: " + ", ".join(strange))
        else:
            inside.append("route studied")
    if applies.dose_mg is not None:
        low, high = applies.dose_mg
        strange_mg = [m for m in dose_mg if m < low * (1 - 1e-9) or m > high * (1 + 1e-9)]
        if strange_mg:
            most = max(strange_mg, key=lambda m: max(m / high, low / max(m, 1e-300)))
            outside.append(f"a dose of {most:.3g} mg is outside the {low:g}-{high:g} mg studied")
    if applies.duration_h is not None and len(dose_times) and len(sample_times):
        before = np.searchsorted(np.sort(dose_times), sample_times, side="right") - 1
        since = sample_times - np.sort(dose_times)[np.maximum(before, 0)]
        late = (before >= 0) & (since > applies.duration_h * (1 + 1e-9))
        if late.any():
            outside.append(
                f"{late.mean():.0%} of the times lie more than {applies.duration_h:g} h after a dose, "
                "later than was studied"
            )
    if spec.status == "derived":
        inside.append("derived here from published data, not a published model")
    if outside:
        return "extrapolated", tuple(outside)
    return "fitted", tuple(inside) or ("nothing in the request is known to lie outside the model's range",)
