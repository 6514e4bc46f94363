"""How the amount of a dose was stated: as base, or as hydrochloride."""

from __future__ import annotations

from kinetamine.substances import base_per_hydrochloride, molar_mass

__all__ = ["SALTS", "base_per_hydrochloride", "mg_per_umol"]

#: what `Dose.salt` may be: how the amount was stated; the amount itself is kept as base
SALTS = ("base", "HCl")


def mg_per_umol() -> float:
    """Mass of a micromole of ketamine or of either enantiomer, mg of base.

    Examples
    --------
    >>> round(mg_per_umol(), 4)
    0.2377
    """
    return molar_mass("ketamine") / 1000
