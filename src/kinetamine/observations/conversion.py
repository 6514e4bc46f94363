"""From the unit and mass of a measured value to those of a model's output."""

from __future__ import annotations

from typing import Any

from kinetamine import substances, units
from kinetamine.errors import InputError

__all__ = ["to_output"]


def to_output(spec: Any, name: str, unit: str, where: str = "unit") -> float:
    """Factor from a value in `unit`, in the analyte's own mass, to the output's unit and mass.

    Parameters
    ----------
    spec : ModelSpec
    name : str
        Of the output.
    unit : str
        Mass or amount of substance by volume.

    Raises
    ------
    InputError
        If the unit measures something else.

    Examples
    --------
    >>> from kinetamine.models.library import load
    >>> round(to_output(load("otto_2021_s_ketamine"), "S-norketamine", "ug/L"), 4)  # counted as ketamine there
    1.0627
    """
    output = spec.outputs[name]
    analyte = output.analyte or name
    given, own = units.dimension(unit, where), units.dimension(output.unit)
    if given == own:
        factor = float(units.convert(1.0, unit, output.unit, where))
    elif given == "[substance] / [length] ** 3" and own == "[mass] / [length] ** 3":
        nmol_per_l = units.convert(1.0, unit, "nmol/L", where)
        factor = float(units.convert(nmol_per_l * substances.molar_mass(analyte), "ng/L", output.unit))
    else:
        raise InputError(where, repr(unit), f"a unit of {output.unit}", repr(output.unit))
    counted = getattr(output, "counted_as", None)
    return factor / float(substances.in_own_mass(1.0, analyte, counted)) if counted else factor
