"""Products by their brand: drug, route, and what a device, a spray or a millilitre of them holds."""

from __future__ import annotations

import functools
from typing import Annotated, Literal

from pydantic import Field

from kinetamine.records import ById, Record, Seen, read_toml
from kinetamine.substances import Drug

__all__ = ["Product", "products"]

FILE = "products.toml"
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Piece(Record):
    """What one device, spray or tablet holds."""

    value: Positive
    unit: Literal["mg"]


class Strengths(Record):
    """What a millilitre may hold."""

    values: Annotated[tuple[Positive, ...], Field(min_length=1)]
    unit: Literal["mg/mL"]


class Product(Record):
    """One product of ``data/products.toml``; amounts are base.

    Parameters
    ----------
    name, drug : str
    route : str or None
        Where there is only one.
    pieces : dict
        What one device, spray … holds.
    strengths : record or None
    source, place, seen : str
    """

    id: str
    name: Annotated[str, Field(min_length=1)]
    drug: Drug
    route: str | None = None
    pieces: dict[str, Piece] = Field(default_factory=dict)
    strengths: Strengths | None = None
    source: str
    place: str
    seen: Seen

    @property
    def mg_per_ml(self) -> tuple[float, ...]:
        """mg of base in a millilitre, of each strength."""
        return self.strengths.values if self.strengths else ()


@functools.cache
def products() -> dict[str, Product]:
    """Every product, by its name in small letters.

    Examples
    --------
    >>> products()["spravato"].pieces["device"].value
    28.0
    """
    found: dict[str, Product] = read_toml(FILE, ById[Product])
    return {one.name.lower(): one for one in found.values()}
