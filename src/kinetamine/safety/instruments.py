"""Rating scales as numbers: totals, bands, cut-offs and change. Items go by their number; their wording is not here."""

from __future__ import annotations

import functools
import itertools
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from kinetamine.errors import Fault, InputError, NoData
from kinetamine.records import Names, Record, read_toml

__all__ = ["Instrument", "Score", "instrument", "instruments", "score"]

Band = tuple[int, int, str]


class _Flag(Record):
    from_: int
    to: int
    means: str
    seen: Literal["text", "recalled"]

    @model_validator(mode="before")
    @classmethod
    def _from(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {("from_" if k == "from" else k): v for k, v in data.items()}


class _ItemFlag(Record):
    item: int
    above: int
    means: str
    seen: Literal["text", "recalled"]


class _OtherBands(Record):
    name: str
    bands: tuple[Band, ...]


class _Response(Record):
    percent: float
    seen: Literal["text", "recalled"]


class _Remission(Record):
    name: str
    at_most: int
    seen: Literal["text", "recalled"]


class Licence(Record):
    """May the form be used: as far as known, and how that is known."""

    status: str
    owner: str = ""
    seen: Literal["text", "recalled"]
    advice: str = ""
    conflict: str = ""


class Evidence(Record):
    """Where a rule of a scale comes from."""

    field: str
    value: str
    source: str
    seen: Literal["text", "recalled"]
    note: str = ""


class Instrument(Record):
    """Scoring rules of one scale.

    Examples
    --------
    >>> instrument("MADRS").total
    (0, 60)
    """

    name: str
    also: tuple[str, ...] = ()
    rater: str
    items: int = 0
    lowest: int = 0
    highest: int | tuple[int, ...] = 0
    scored: bool = True
    total: tuple[int, int] = (0, 0)
    higher_is: Literal["worse", "better"] = "worse"
    groups: tuple[tuple[int, ...], ...] = ()
    reverse: tuple[int, ...] = ()
    bands: tuple[Band, ...] = ()
    other_bands: _OtherBands | None = None
    flags: tuple[_Flag, ...] = ()
    item_flag: _ItemFlag | None = None
    response: _Response | None = None
    remission: tuple[_Remission, ...] = ()
    meaningful_change: dict[str, float | tuple[float, float]] = Field(default_factory=dict)
    hamd17_from_total: tuple[tuple[int, int], ...] = ()
    remarks: tuple[str, ...] = ()
    licence: Licence
    evidence: tuple[Evidence, ...]

    @property
    def highest_of(self) -> tuple[int, ...]:
        """The highest value of each item."""
        return self.highest if isinstance(self.highest, tuple) else (self.highest,) * self.items

    def add_up(self, items: Sequence[int]) -> int:
        """The total of checked items: reversed ones turned round, of a group only the highest."""
        values = [
            self.lowest + high - x if n in self.reverse else x
            for n, (x, high) in enumerate(zip(items, self.highest_of, strict=True), start=1)
        ]
        grouped = {n for group in self.groups for n in group}
        alone = sum(v for n, v in enumerate(values, start=1) if n not in grouped)
        return alone + sum(max(values[n - 1] for n in group) for group in self.groups)

    @property
    def sense(self) -> list[str]:
        """What contradicts itself: totals that the items cannot give, bands with gaps."""
        if not self.scored:
            return []
        wrong = []
        least = [h if n in self.reverse else self.lowest for n, h in enumerate(self.highest_of, start=1)]
        most = [self.lowest if n in self.reverse else h for n, h in enumerate(self.highest_of, start=1)]
        if (self.add_up(least), self.add_up(most)) != self.total:
            wrong.append(f"items give {self.add_up(least)} to {self.add_up(most)}")
        for bands in (self.bands, self.other_bands.bands if self.other_bands else ()):
            # sorted, because a scale on which more is better lists its best band first
            edges = sorted(bands)
            joined = all(a[1] + 1 == b[0] for a, b in itertools.pairwise(edges))
            if edges and (not joined or (edges[0][0], edges[-1][1]) != self.total):
                wrong.append("bands do not cover the total")
        return wrong


def listed() -> dict[str, dict[str, Any]]:
    """Every scale as plain data."""
    return {key: one.model_dump(mode="json") for key, one in instruments().items()}


class _File(Record):
    instrument: dict[str, Instrument]


@functools.cache
def instruments() -> dict[str, Instrument]:
    """Every scale, by its id.

    Examples
    --------
    >>> instruments()["phq9"].items
    9
    """
    found: dict[str, Instrument] = read_toml("safety/instruments.toml", _File, sense=_nonsense).instrument
    return found


def _nonsense(file: _File) -> Iterable[Fault]:
    for k, i in file.instrument.items():
        yield from (Fault(k, wrong, f"a total of {i.total}") for wrong in i.sense)
        if not i.evidence:
            yield Fault(k, "no evidence", "a source for its rules")


@functools.cache
def _names() -> Names:
    return Names({k: (*i.also, i.name) for k, i in instruments().items()}, "instruments.toml")


def instrument(name: str) -> Instrument:
    """One scale by id, short or full name.

    Raises
    ------
    UnknownName
        With the nearest names.

    Examples
    --------
    >>> instrument("PHQ-9").items
    9
    """
    return instruments()[_names().resolve(name, "instrument", "a rating scale")]


@dataclass(frozen=True)
class Score:
    """A total with its meaning and the birth of that meaning.

    Parameters
    ----------
    total : int
        Within `lowest` to `highest`.
    band : str or None
        The band of the total; None where none was published. `other_bands` holds a second set by its name.
    flags : tuple of str
        Cut-offs reached, with "(recalled)" where that was not read.
    change_percent, response, remission
        Against a baseline total, when there is one; remission by each published cut-off. `recalled` names those
        whose rule was not read.
    source, seen : str
        Where the bands (else the items) come from and how that was read; `evidence` has every row.

    Examples
    --------
    >>> score("GAD-7", [1, 1, 1, 1, 1, 1, 0]).band
    'mild'
    """

    instrument: str
    name: str
    total: int
    lowest: int
    highest: int
    band: str | None
    other_bands: dict[str, str]
    flags: tuple[str, ...]
    change_percent: float | None
    response: bool | None
    remission: dict[str, bool]
    recalled: tuple[str, ...]
    meaningful_change: dict[str, float | tuple[float, float]]
    source: str
    seen: str
    licence: str
    licence_seen: str
    remarks: tuple[str, ...]
    evidence: tuple[dict[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def score(
    name: str,
    items: Sequence[int] | int | None = None,
    *,
    total: int | None = None,
    baseline: int | None = None,
) -> Score:
    """Score a rating scale by its published rule.

    Parameters
    ----------
    name : str
        Such as ``PHQ-9``, ``MADRS``, ``MOAA/S``.
    items : sequence of int
        The items in the order of the form (a single number for a scale of one item).
    total : int, optional
        The total itself, instead of items.
    baseline : int, optional
        An earlier total, to compare with.

    Raises
    ------
    UnknownName
        For a scale nobody knows; the nearest names are offered.
    InputError
        For another number of items than the form has, or one outside its range.
    NoData
        For a scale without a published total.

    Examples
    --------
    >>> s = score("PHQ-9", [2, 2, 2, 1, 1, 1, 1, 1, 0])
    >>> s.total, s.band, s.seen
    (11, 'moderate', 'recalled')
    >>> score("MADRS", total=12, baseline=30).remission["default"]
    True
    """
    key = _names().resolve(name, "instrument", "a rating scale")
    form = instruments()[key]
    if not form.scored:
        raise NoData(name, "items to add up", f"a scale with a published total ({form.remarks[0]})")
    if (items is None) == (total is None):
        given = "nothing" if items is None else "items and a total"
        raise InputError(name, given, f"either {form.items} items or a total")
    if items is not None:
        values = [items] if isinstance(items, numbers.Number) else list(items)  # type: ignore[arg-type]
        if len(values) != form.items:
            raise InputError(name, f"{len(values)} items", f"{form.items} items, in the order of the form")
        whole = [
            _whole(f"{name} item {n}", x, form.lowest, high)
            for n, (x, high) in enumerate(zip(values, form.highest_of, strict=True), start=1)
        ]
        result = form.add_up(whole)
    else:
        whole = []
        result = _whole(f"{name} total", total, *form.total)
    start = None if baseline is None else _whole(f"{name} baseline", baseline, *form.total)
    return _meaning(key, form, result, whole, start)


def _whole(where: str, value: Any, low: int, high: int) -> int:
    try:
        if isinstance(value, bool) or int(value) != value or not low <= value <= high:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise InputError(where, repr(value), f"a whole number from {low} to {high}") from None
    return int(value)


def _band(bands: Sequence[Band], total: int) -> str | None:
    return next((word for low, high, word in bands if low <= total <= high), None)


def _meaning(key: str, form: Instrument, total: int, items: list[int], baseline: int | None) -> Score:
    flags = [
        f.means + (" (recalled)" if f.seen == "recalled" else "")
        for f in form.flags
        if f.from_ <= total <= f.to
    ]
    watch = form.item_flag
    if watch and items and items[watch.item - 1] > watch.above:
        flags.append(watch.means + (" (recalled)" if watch.seen == "recalled" else ""))
    change = 100 * (total - baseline) / baseline if baseline else None
    response = None
    if change is not None and form.response is not None:
        response = -change >= form.response.percent
    proof = next((e for e in form.evidence if "bands" in e.field.split(", ")), form.evidence[0])
    recalled = [f"remission ({r.name})" for r in form.remission if r.seen == "recalled"]
    if form.response is not None and form.response.seen == "recalled":
        recalled.append("response")
    remarks = form.remarks
    if form.hamd17_from_total:
        low, high = form.hamd17_from_total[total]
        remarks = (
            *remarks,
            f"as HAM-D17 by the published map: {low}" + (f" to {high}" if high > low else ""),
        )
    return Score(
        instrument=key,
        name=form.name,
        total=total,
        lowest=form.total[0],
        highest=form.total[1],
        band=_band(form.bands, total),
        other_bands={
            o.name: word for o in (form.other_bands,) if o is not None and (word := _band(o.bands, total))
        },
        flags=tuple(flags),
        change_percent=change,
        response=response,
        remission={r.name: total <= r.at_most for r in form.remission},
        recalled=tuple(recalled),
        meaningful_change=form.meaningful_change,
        source=proof.source,
        seen=proof.seen,
        licence=form.licence.status,
        licence_seen=form.licence.seen,
        remarks=remarks,
        evidence=tuple(e.model_dump() for e in form.evidence),
    )
