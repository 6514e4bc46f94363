"""Which output of a model an observation is of, in that output's unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kinetamine.errors import Fault, FaultyFile, InputError
from kinetamine.observations import Observation, Observations
from kinetamine.observations.conversion import to_output

__all__ = ["Matched", "match"]

#: other names that people use
SAME = {
    "esketamine": "S-ketamine",
    "s(+)-ketamine": "S-ketamine",
    "arketamine": "R-ketamine",
    "noresketamine": "S-norketamine",
    "ketamine racemate": "ketamine",
    "racemic ketamine": "ketamine",
}


@dataclass(frozen=True)
class Matched:
    """Observations as a model sees them.

    Parameters
    ----------
    output : tuple of str
        Output of each value.
    low, high : array (value,)
        In the outputs' units.
    time_h : array (value,), h
    notes : tuple of str
        What was taken for granted, such as a site that was not said.
    mismatched : bool
        A value of another site than the output's was allowed.
    """

    output: tuple[str, ...]
    low: np.ndarray
    high: np.ndarray
    time_h: np.ndarray
    notes: tuple[str, ...] = ()
    mismatched: bool = False


def match(
    spec: Any, observations: Observations, allow_site_mismatch: bool = False, first_dose_h: float | None = 0.0
) -> Matched:
    """Find the output of each observation.

    Parameters
    ----------
    spec : ModelSpec
    observations : Observations
    allow_site_mismatch : bool
        Let a venous value be explained by an arterial output and the other way round; lowers the grade.
    first_dose_h : float, h, optional
        Values before it are refused; None when the time of the dose is not known.

    Raises
    ------
    FaultyFile
        Every value whose analyte, site, unit or time the model cannot answer for.
    """
    rows, notes, faults = [], [], []
    mismatched = False
    for item in observations:
        try:
            name, differs = _output(spec, item, allow_site_mismatch)
            if first_dose_h is not None and item.time_h < first_dose_h - 1e-9:
                raise InputError(
                    item.where or str(item),
                    f"a value at {item.time_h:g} h",
                    f"times from the first dose on ({first_dose_h:g} h)",
                )
            factor = to_output(spec, name, item.unit, item.where or str(item))
            # below a limit is everything below it, as an additive error may fall below zero (M3)
            low = -np.inf if item.kind == "below" else item.low * factor
            rows.append((name, low, item.high * factor, item.time_h))
            mismatched |= differs
            if (
                item.site is None
                and len(_sites(spec)) == 1
                and spec.outputs[name].site not in ("plasma", "not stated")
            ):
                notes.append(f"no site said: taken as {spec.outputs[name].site}, as the model's")
        except InputError as error:
            faults += [Fault(item.where or str(item), f.given, f.expected, f.try_) for f in error.faults]
    if faults:
        raise FaultyFile("observations", faults)
    return Matched(
        tuple(row[0] for row in rows),
        np.array([row[1] for row in rows], float),
        np.array([row[2] for row in rows], float),
        np.array([row[3] for row in rows], float),
        tuple(dict.fromkeys(notes)),
        mismatched,
    )


def _sites(spec: Any) -> set[str]:
    return {output.site for output in spec.outputs.values()}


def _output(spec: Any, item: Observation, allow: bool) -> tuple[str, bool]:
    """Name of the output, and whether its site is another than the observation's."""
    if item.site == "urine" or "/" in item.what:
        raise InputError(
            item.where,
            f"{item.what}{' in urine' if item.site == 'urine' else ''} and a known dose",
            "a level; urine and ratios count where the dose is unknown",
            "a range in the doses: '10 to 1000 mg oral, 0 to 24 h before'",
        )
    wanted = SAME.get(item.what.lower(), item.what).lower()
    fits = [n for n, o in spec.outputs.items() if wanted in (n.lower(), (o.analyte or n).lower())]
    if not fits:
        known = ", ".join(dict.fromkeys((o.analyte or n) for n, o in spec.outputs.items()))
        raise InputError(
            item.where,
            repr(item.what),
            f"what model {spec.id} gives: {known}",
            "another model, see kinetamine models",
        )
    exact = [n for n in fits if n.lower() == wanted]
    if item.site is None:
        if len(fits) > 1 and not exact:
            raise InputError(
                item.where,
                f"{item.what} and no site",
                "the site, as the model has several: " + ", ".join(spec.outputs[n].site for n in fits),
                f"in {spec.outputs[fits[0]].site}",
            )
        return (exact or fits)[0], False
    here = [n for n in fits if _same_site(spec.outputs[n].site, item.site)]
    if here:
        return here[0], False
    if allow:
        return (exact or fits)[0], True
    raise InputError(
        item.where,
        f"{item.what} in {item.site}",
        f"a value of the site that model {spec.id} gives: " + ", ".join(spec.outputs[n].site for n in fits),
        "allowing it: --allow-site-mismatch (lowers the grade)",
    )


def _same_site(a: str, b: str) -> bool:
    if a == b or "not stated" in (a, b):
        return True
    plasma = {a, b}
    return "plasma" in plasma and plasma <= {"plasma", "venous plasma", "arterial plasma"}
