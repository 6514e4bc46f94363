"""`Regimen`, all that a patient gets, from phrases, TOML tables or doses; and back to words and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinetamine.dosing.dose import DRUGS, MAX_REPEATS, SALTS, Dose
from kinetamine.dosing.phrases import read_phrase
from kinetamine.dosing.salts import base_per_hydrochloride
from kinetamine.dosing.toml_doses import read_table
from kinetamine.dosing.wording import describe
from kinetamine.dosing.words import tidy
from kinetamine.errors import DoseError, Fault, FaultyFile, InputError
from kinetamine.records import parse_toml

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DRUGS", "MAX_REPEATS", "SALTS", "Dose", "Regimen", "base_per_hydrochloride"]


@dataclass(frozen=True)
class Regimen:
    """Everything a patient gets, in the order it was written.

    Parameters
    ----------
    doses : tuple of Dose

    Examples
    --------
    >>> r = Regimen.parse("0.5 mg/kg iv over 40 min, twice weekly for 4 weeks")
    >>> len(r.expanded()), r.duration_h
    (8, 576.0)
    >>> r.describe()
    '0.5 mg/kg iv over 40 min twice weekly for 4 weeks'
    """

    doses: tuple[Dose, ...]

    def __post_init__(self) -> None:
        doses = tuple(self.doses)
        object.__setattr__(self, "doses", doses)
        for dose in doses:
            if not isinstance(dose, Dose):
                raise DoseError(
                    "regimen", repr(dose), "Dose objects", "Regimen.parse('35 mg iv over 40 min')"
                )
        if not doses:
            raise DoseError("regimen", "no dose", "at least one dose", "'35 mg iv over 40 min'")
        total = sum(dose.count for dose in doses)
        if total > MAX_REPEATS:
            raise DoseError(
                "regimen", f"{total} doses", f"at most {MAX_REPEATS} doses in all", "fewer repeats"
            )
        wipes = [dose for dose in doses if dose.steady_state == 1]
        if len({dose.time_h for dose in wipes}) < len(wipes):
            raise DoseError(
                "regimen",
                "two doses 'at steady state' at the same time, where the second wipes out the first",
                "the later ones added to the first",
                "'at added steady state' for all but the first",
            )

    @classmethod
    def parse(
        cls,
        phrase: str | Dose | Regimen | Sequence[str | Dose | Regimen],
        *,
        entries: Iterable[str] = (),
        fields: Iterable[str] = (),
        drugs: Iterable[str] = (),
    ) -> Regimen:
        """Read one phrase or several.

        Parameters
        ----------
        phrase : str, or a sequence of them
            Such as ``"35 mg iv over 40 min"``; docs/dosing.md has the whole grammar. Doses and
            regimens are taken as they are.
        entries : iterable of str, optional
            Names of a model's entries, known as routes besides the usual ones.
        fields : iterable of str, optional
            Names of a model's dose fields, for ``as 3 sprays``; sprays is always known.
        drugs : iterable of str, optional
            Drugs of models beside ketamine's, for ``5 mg midazolam oral``.

        Raises
        ------
        DoseError
            If a phrase cannot be read. FaultyFile if several cannot.

        Examples
        --------
        >>> Regimen.parse(["84 mg nasal as 3 sprays", "10 mg iv at 3 h"]).duration_h
        3.0
        """
        if isinstance(phrase, Regimen):
            return phrase
        if isinstance(phrase, (str, Dose)):
            phrase = [phrase]
        if not isinstance(phrase, Sequence) or isinstance(phrase, bytes):
            raise DoseError(
                "doses", repr(phrase)[:80], "a dose phrase or a list of them", "'35 mg iv over 40 min'"
            )
        entries, fields, drugs = tuple(entries), tuple(fields), tuple(drugs)
        doses: list[Dose] = []
        errors: list[InputError] = []
        for item in phrase:
            try:
                if isinstance(item, Regimen):
                    doses.extend(item.doses)
                elif isinstance(item, Dose):
                    doses.append(item)
                else:
                    doses.extend(read_phrase(item, entries=entries, fields=fields, drugs=drugs))
            except InputError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise FaultyFile("doses", [fault for error in errors for fault in error.faults])
        return cls(tuple(doses))

    @classmethod
    def from_toml(
        cls,
        source: Sequence[Mapping[str, Any]] | Mapping[str, Any] | str | Path,
        *,
        entries: Iterable[str] = (),
        fields: Iterable[str] = (),
        name: str = "doses",
    ) -> Regimen:
        """Read ``[[doses]]`` tables.

        Parameters
        ----------
        source : list of dict, dict, str or Path
            The tables, a mapping that holds them under ``doses``, TOML text, or a file.
        entries, fields : iterable of str, optional
            As in `parse`.
        name : str
            What messages call the source; a file's own name wins.

        Raises
        ------
        FaultyFile
            With every fault of every dose.

        Examples
        --------
        >>> Regimen.from_toml('''
        ... [[doses]]
        ... amount = "0.5 mg/kg"
        ... route = "iv"
        ... over = "40 min"
        ... every = "84 h"
        ... count = 8
        ... ''').describe()
        '0.5 mg/kg iv over 40 min every 84 h x 8'
        """
        if isinstance(source, Path):
            name = source.name
        tables = _toml_tables(source, name)
        doses: list[Dose] = []
        faults: list[Fault] = []
        for index, table in enumerate(tables, 1):
            where = f"doses[{index}]"
            if not isinstance(table, Mapping):
                faults.append(
                    Fault(where, repr(table)[:80], "a table", '[[doses]] phrase = "35 mg iv over 40 min"')
                )
                continue
            read, found = read_table(table, where, tuple(entries), tuple(fields))
            doses.extend(read)
            faults.extend(found)
        if faults:
            raise FaultyFile(name, faults)
        try:
            return cls(tuple(doses))
        except InputError as error:
            raise FaultyFile(name, error.faults) from None

    def describe(self) -> str:
        """The regimen as phrases that read back as the same regimen.

        Examples
        --------
        >>> Regimen.parse("30 MG  intranasal;20 mg/h iv for 2 h").describe()
        '30 mg nasal; 40 mg iv over 2 h'
        """
        return describe(self.doses)

    def __str__(self) -> str:
        return self.describe()

    @property
    def said(self) -> tuple[str, ...]:
        """What somebody should hear of the regimen: sessions by one route that begin at one moment.

        Examples
        --------
        >>> Regimen.parse("56 mg nasal weekly x 3; 28 mg nasal at day 8").said
        ('2 doses nasal at 168 h: 56 mg, 28 mg',)
        """
        if sum(dose.count for dose in self.doses) > 100_000 or len(self.doses) < 2:
            return ()
        together: dict[tuple[float, str], list[Dose]] = {}
        for dose in self.doses:
            for k in range(dose.count):
                together.setdefault((dose.time_h + k * dose.every_h, dose.entry), []).append(dose)
        said = []
        for (time, entry), doses in sorted(together.items(), key=lambda item: item[0]):
            # a bolus with the infusion that goes on from it is one treatment
            if len({bool(dose.duration_h or dose.rate) for dose in doses}) < len(doses):
                amounts = ", ".join(f"{tidy(d.rate or d.amount)} mg{'/kg' * d.per_kg}" for d in doses)
                said.append(f"{len(doses)} doses {entry} at {tidy(time)} h: {amounts}")
        more = [f"and {len(said) - 5} more such moments"] if len(said) > 5 else []
        return (*said[:5], *more)

    @property
    def duration_h(self) -> float:
        """Start of the last dose of all, repeats included, h."""
        return max(dose.last_h for dose in self.doses)

    @property
    def end_h(self) -> float:
        """End of the last dose of all, its infusion included, h."""
        return max(dose.last_h + (dose.duration_h or 0.0) for dose in self.doses)

    def expanded(self) -> list[Dose]:
        """Every dose by itself, in order of time; at the same time in the order written.

        Examples
        --------
        >>> [d.time_h for d in Regimen.parse("25 mg oral daily x 3; 5 mg iv at 30 h").expanded()]
        [0.0, 24.0, 30.0, 48.0]
        """
        return sorted((one for dose in self.doses for one in dose.repeats()), key=lambda dose: dose.time_h)

    def to_events(
        self,
        n_subjects: int = 1,
        times: Iterable[float] | None = None,
        weight: float | Sequence[float] | None = None,
        *,
        cmt: Mapping[str, int] | None = None,
        drug: str | None = None,
    ) -> pl.DataFrame:
        """The regimen as an event table for this or another program.

        Parameters
        ----------
        n_subjects : int
            How many patients get it; ID is 1, 2, …
        times : iterable of float, optional
            Observation records (EVID 0) at these times, h. One at the time of a dose comes after it.
        weight : float or sequence, optional
            kg, one for all or one per patient; wanted when a dose is per kg.
        cmt : dict, optional
            Compartment number of each entry, for programs that know no names; without it CMT holds
            the entry's name.
        drug : str, optional
            The drug AMT is to be mg of; half of a racemic dose when it is an enantiomer. Without it all
            doses must be of the same drug.

        Returns
        -------
        polars.DataFrame
            ID TIME AMT RATE EVID CMT ADDL II SS MDV and the dose fields; h, mg of base, mg/h.

        Raises
        ------
        DoseError
            If a weight is missing, or doses of different drugs cannot be one AMT.

        Examples
        --------
        >>> r = Regimen.parse("40 mg iv over 2 h every 12 h x 4")
        >>> r.to_events(times=[1.0]).select("TIME", "AMT", "RATE", "EVID", "ADDL", "II").rows()
        [(0.0, 40.0, 20.0, 1, 3, 12.0), (1.0, 0.0, 0.0, 0, 0, 0.0)]
        """
        from kinetamine.dosing.export import dose_events  # NumPy: only when a table is asked for

        return dose_events(self.doses, n_subjects, times, weight, cmt, drug)


def _toml_tables(source: object, name: str) -> Sequence[Any]:
    if isinstance(source, Path):
        try:
            source = source.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            raise FaultyFile(
                name, [Fault("file", reason, "a readable TOML file", "check the path")]
            ) from None
    if isinstance(source, str):
        source = parse_toml(source, name)
    if isinstance(source, Mapping):
        source = source.get("doses", ())
    if not isinstance(source, Sequence) or isinstance(source, (str, bytes)) or not source:
        fault = Fault(
            "doses", repr(source)[:80], "one [[doses]] table or more", 'phrase = "35 mg iv over 40 min"'
        )
        raise FaultyFile(name, [fault])
    return source
