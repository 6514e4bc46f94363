"""How the amount of a dose was stated: as base, or as hydrochloride."""

from __future__ import annotations

from kinetamine.substances import base_per_hydrochloride

__all__ = ["SALTS", "base_per_hydrochloride"]

#: what `Dose.salt` may be: how the amount was stated; the amount itself is kept as base
SALTS = ("base", "HCl")
