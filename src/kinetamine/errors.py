"""Every exception of kinetamine, the tree drawn on top.

::

    KinetamineError
    ├── InputError            what was asked cannot be done as asked      (exit code 2)
    │   ├── FaultyFile        a model, scenario or table file, all faults at once
    │   ├── UnknownName       a name nobody knows, with the nearest ones
    │   ├── UnitError         a unit that cannot be read or does not fit
    │   ├── DoseError         a dose phrase or dose that makes no sense
    │   ├── CovariateError    a patient outside what a model can take
    │   └── NoData            no published number: refusing is the answer
    └── RunError              the computation itself failed               (exit code 1)
        ├── SimulationFailed  a patient's numbers could not be computed
        └── MissingExtra      an optional library is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "CovariateError",
    "DoseError",
    "Fault",
    "FaultyFile",
    "InputError",
    "KinetamineError",
    "MissingExtra",
    "NoData",
    "RunError",
    "SimulationFailed",
    "UnitError",
    "UnknownName",
    "nearest",
]


def nearest(word: str, known: Iterable[str], n: int = 3) -> list[str]:
    """The known names that look most like `word`, best first.

    Examples
    --------
    >>> nearest("nasel", ["nasal", "oral", "iv"])
    ['nasal']
    """
    by_lower = {k.lower(): k for k in known}
    return [by_lower[m] for m in difflib.get_close_matches(word.lower(), by_lower, n=n, cutoff=0.5)]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: where it stands, what was given, what was expected, what to try."""

    where: str
    given: str
    expected: str
    try_: str = ""

    def __str__(self) -> str:
        line = f"{self.where}: got {self.given}; expected {self.expected}"
        if self.try_:
            line += f"; try {self.try_}"
        return " ".join(line.split())


class KinetamineError(Exception):
    """Base of all errors; `exit_code` is what the command line returns."""

    exit_code = 1


class InputError(KinetamineError):
    """What was asked cannot be done as asked.

    Parameters
    ----------
    where, given, expected, try_ : str
        The place, the value found there, what would be right and a cure.

    Examples
    --------
    >>> print(InputError("--patients", "-3", "a whole number of at least 1", "--patients 100"))
    --patients: got -3; expected a whole number of at least 1; try --patients 100
    """

    exit_code = 2

    def __init__(self, where: str, given: object, expected: str, try_: str = "") -> None:
        self.faults: list[Fault] = [Fault(where, str(given), expected, try_)]
        super().__init__(str(self.faults[0]))


class FaultyFile(InputError):
    """A file with one or more faults, all of them listed."""

    def __init__(self, name: str, faults: Sequence[Fault]) -> None:
        self.name = name
        self.faults = list(faults)
        many = "fault" if len(self.faults) == 1 else "faults"
        listed = " | ".join(str(f).removeprefix(f"{name}: ") for f in self.faults)
        text = f"{name}: {len(self.faults)} {many}: {listed}"
        KinetamineError.__init__(self, text)


class UnknownName(InputError):
    """A name nobody knows; the nearest known ones are offered, or those in `close`, if only they can be meant."""

    def __init__(
        self,
        where: str,
        given: str,
        known: Iterable[str],
        what: str = "a known name",
        close: Sequence[str] | None = None,
        cure: str = "",
    ) -> None:
        known = list(known)
        close = nearest(given, known) if close is None else close
        if close:
            cure = " or ".join(repr(c) for c in close)
        elif not cure:
            shown = sorted(known)
            cure = "one of " + ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "")
        super().__init__(where, repr(given), what, cure)


class UnitError(InputError):
    """A unit that cannot be read, or that measures something else than wanted."""


class DoseError(InputError):
    """A dose phrase that cannot be read, or a dose that makes no sense."""


class CovariateError(InputError):
    """A patient's property is missing, not finite or outside what a model can take."""


class NoData(InputError):
    """No published number covers the question; says what would be needed."""


class RunError(KinetamineError):
    """The computation itself failed."""


class SimulationFailed(RunError):
    """A patient's numbers could not be computed; names the patient, the time and the knob to turn."""


class MissingExtra(RunError):
    """An optional library is not installed."""

    def __init__(self, library: str, extra: str, what: str) -> None:
        super().__init__(f"{what} needs {library}; try: pip install 'kinetamine[{extra}]'")
