"""In which class ketamine is, where, since when and by which rule. As read on the day of the source: laws change."""

from __future__ import annotations

import functools

from kinetamine.records import Names, Record, Sourced, raise_all, read_csv, read_toml, unknown

__all__ = ["LegalRule", "jurisdictions", "law"]


class _Jurisdiction(Record):
    name: str
    also: tuple[str, ...] = ()


class LegalRule(Sourced):
    """One row of law.csv.

    Examples
    --------
    >>> law("SG")[0].schedule
    'Class B (Misuse of Drugs Act Cap 185)'
    """

    jurisdiction: str
    topic: str
    schedule: str
    year: int | None = None
    date: str = ""
    rule: str

    @property
    def where(self) -> str:
        """The jurisdiction's name."""
        return jurisdictions()[self.jurisdiction]


class _File(Record):
    jurisdiction: dict[str, _Jurisdiction]


@functools.cache
def _read() -> tuple[dict[str, _Jurisdiction], tuple[LegalRule, ...], Names]:
    file = "law.toml"
    places = read_toml(f"safety/{file}", _File).jurisdiction
    rows = read_csv("safety/law.csv", LegalRule)
    faults = [
        unknown(r.id, r.jurisdiction, places, f"a code of {file}")
        for r in rows
        if r.jurisdiction not in places
    ]
    raise_all("law.csv", faults)
    return places, rows, Names({k: (p.name, *p.also) for k, p in places.items()}, file)


def jurisdictions() -> dict[str, str]:
    """Code and name of every jurisdiction in the data.

    Examples
    --------
    >>> jurisdictions()["GB"]
    'United Kingdom'
    """
    return {code: place.name for code, place in _read()[0].items()}


def law(jurisdiction: str | None = None) -> tuple[LegalRule, ...]:
    """The legal class of ketamine in a jurisdiction and its parts (``US`` has ``US-OR`` in it), or everywhere.

    Parameters
    ----------
    jurisdiction : str, optional
        A code (``US``, ``GB``, ``CA-BC``) or a name.

    Raises
    ------
    UnknownName
        With the nearest names: a law that was not looked up is not guessed.

    Examples
    --------
    >>> law("US")[0].schedule, law("US")[0].date
    ('CSA Schedule III', '1999-08-12')
    >>> {rule.seen for rule in law("Japan")}
    {'recalled'}
    """
    _, rows, names = _read()
    if jurisdiction is None:
        return rows
    code = names.resolve(jurisdiction, "jurisdiction", "a jurisdiction")
    return tuple(r for r in rows if r.jurisdiction == code or r.jurisdiction.startswith(code + "-"))
