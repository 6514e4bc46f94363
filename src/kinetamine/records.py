"""How data files are read: form first (pydantic records), then sense, all faults of a step at once."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kinetamine.errors import Fault, FaultyFile, UnknownName, nearest

__all__ = ["Names", "Record", "Seen", "Sourced", "check_sources", "form_faults", "rows_of"]

Seen = Literal["text", "abstract", "recalled", "derived"]


class Record(BaseModel):
    """A row or table of a file: unknown names are faults, empty cells are absent."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, data: Any) -> Any:
        if isinstance(data, Mapping):
            return {k: v for k, v in data.items() if v not in ("", None)}
        return data


class Sourced(Record):
    """A fact with its birth."""

    id: str = Field(min_length=1)
    source: str = Field(min_length=1)
    place: str = ""
    seen: Seen
    note: str = ""


Row = TypeVar("Row", bound=Record)


def rows_of(text: str, kind: type[Row], faults: list[Fault], name: str = "") -> list[Row]:
    """The rows of a CSV text; what is wrong with their form goes to `faults`."""
    rows = []
    reader = csv.DictReader(text.splitlines())
    for cells in reader:
        where = f"{name} line {reader.line_num}".strip()
        if None in cells or None in cells.values():
            expected = f"{len(reader.fieldnames or ())} cells, as in line 1"
            faults.append(Fault(where, "another number of cells", expected))
            continue
        try:
            rows.append(kind.model_validate(cells))
        except ValidationError as error:
            faults.extend(form_faults(where, error))
    return rows


def form_faults(where: str, error: ValidationError) -> list[Fault]:
    """One fault for each cell or key that does not fit."""
    return [
        Fault(
            f"{where}, {'.'.join(str(p) for p in one['loc'])}",
            "nothing" if one["type"] == "missing" else repr(one["input"])[:80],
            one["msg"],
        )
        for one in error.errors(include_url=False)
    ]


def check_sources(pairs: Iterable[tuple[str, str]]) -> list[Fault]:
    """A fault for each (place, key) whose key is not in sources.toml."""
    from kinetamine.models.library import sources

    known = sources()
    return [
        Fault(where, repr(key), "a key of sources.toml", " or ".join(nearest(key, known)))
        for where, key in pairs
        if key not in known
    ]


class Names:
    """Words with the other words they go by; case, accents, hyphens and underscores do not matter.

    Examples
    --------
    >>> Names({"breast-feeding": ["lactation"]}).resolve("Breast feeding", "condition", "a condition")
    'breast-feeding'
    """

    def __init__(self, words: Mapping[str, Iterable[str]], file: str = "names") -> None:
        self._by_form: dict[str, str] = {}
        self.known: list[str] = []
        faults = []
        for name, also in words.items():
            for word in (name, *also):
                taken = self._by_form.setdefault(_form_of(word), name)
                if taken != name:
                    faults.append(Fault(name, repr(word), f"a word that is not also {taken!r}"))
                self.known.append(word)
        if faults:
            raise FaultyFile(file, faults)

    def find(self, word: str) -> str | None:
        """The name a word stands for, None if nobody knows it."""
        return self._by_form.get(_form_of(word))

    def resolve(self, word: str, where: str, what: str) -> str:
        """The name a word stands for.

        Raises
        ------
        UnknownName
            With the nearest words: nothing is guessed.
        """
        name = self.find(word)
        if name is None:
            raise UnknownName(where, word, self.known, what)
        return name


def _form_of(word: str) -> str:
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode().casefold()
    return " ".join(plain.replace("-", " ").replace("_", " ").split())
