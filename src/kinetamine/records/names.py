"""Names with the other words they go by."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from kinetamine.errors import Fault, FaultyFile, UnknownName

__all__ = ["Names"]


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
