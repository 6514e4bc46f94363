"""How the amount of a dose was stated: as base, or as hydrochloride."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources

__all__ = ["SALTS", "base_per_hydrochloride"]

#: what `Dose.salt` may be: how the amount was stated; the amount itself is kept as base
SALTS = ("base", "HCl")


@functools.cache
def base_per_hydrochloride() -> float:
    """Mass of ketamine base in a mass of ketamine hydrochloride.

    Source: ``data/substances.toml``, from the two molar masses.

    Examples
    --------
    >>> base_per_hydrochloride()
    0.867
    """
    text = resources.files("kinetamine").joinpath("data/substances.toml").read_text("utf-8")
    return float(tomllib.loads(text)["ketamine"]["salt_factor"]["value"])
