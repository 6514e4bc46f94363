"""What each column of a table means, and an account of all of them: used, carried along, or not used."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kinetamine.dosing.table_options import TableOptions, mass_unit, time_unit
from kinetamine.dosing.table_time import DATES
from kinetamine.dosing.words import MASS, TIME_WORDS, plain
from kinetamine.errors import Fault, UnknownName, nearest

__all__ = ["COLUMNS", "Column", "Roles", "assign", "canonical_covariate", "renamed"]

#: the columns that mean something by themselves
COLUMNS = {
    "ID": "patient, a number or a text; without it all rows are one patient",
    "TIME": "time, h, or a clock as 8:30",
    "AMT": "amount of a dose, mg",
    "RATE": "rate of its infusion, mg/h; 0 none, -1 and -2 the model's own rate and duration",
    "DUR": "duration of its infusion, h, instead of RATE",
    "EVID": "0 observation, 1 dose, 2 other, 3 reset, 4 reset and dose",
    "CMT": "compartment by number or name, or entry by name; a negative number turns it off",
    "ADDL": "additional doses",
    "II": "interval of additional doses and of steady state, h",
    "SS": "0 no, 1 steady state, 2 steady state added to what is there",
    "MDV": "1 where there is no observation",
    "OCC": "occasion, a whole number",
    "DV": "an observed value; not used",
    "C": "a comment mark: rows with the letter C are left out",
    **{name: f"date of the clock in TIME, {order}" for name, order in DATES.items()},
}

#: other names that people use for them, in the order in which they are believed
SYNONYMS = {
    "ID": "usubjid subjid subj subject subjectid subject_id subjectno pat patient patientid patient_id patid"
    " pid cid id_ animal participant person",
    "TIME": "t datetime dtm adtm afrlt areltm tafd tafde tsfd eltm eltime elapsed_time elapsedtime hour hours",
    "AMT": "amount dose exdose doseamt dose_amt amt_",
    "RATE": "infrate inf_rate infusion_rate infusionrate",
    "DUR": "tinf duration infdur inf_dur tinfusion inftime inf_time infusion_time infusion_duration durinf",
    "EVID": "evtype event eventtype event_type eventid",
    "CMT": "comp compartment route exroute cmpt adm",
    "ADDL": "additional addl_doses naddl",
    "II": "tau interval dosing_interval",
    "SS": "steady_state steadystate",
    "OCC": "occasion iov",
    "DV": "conc concentration obs observation",
}
_BY_SYNONYM = {
    word: (name, rank) for name, words in SYNONYMS.items() for rank, word in enumerate(words.split(), 2)
}
#: covariates by whatever name: those of one line are the same thing
_COVARIATES = (
    "weight wt bw bodyweight body_weight wtkg tbw wgt bwt",
    "height ht hgt",
    "age ageyr ageyrs",
    "sex gender",
    "bmi",
    "bsa",
    "ffm lbm lbw leanmass",
    "crcl clcr clcrea",
    "creatinine scr creat cr",
)
_ALIKE = {word: line.split() for line in _COVARIATES for word in line.split()}
#: further names that tell people or studies apart
_TELLS_APART = ("study", "studyid", "siteid", "site", "center", "centre", "stud", "trial")
_DROP = ("drop", "skip")
#: what a column is called that may tell people apart
_PEOPLE = re.compile(r"(^|[^a-z])(id|ident\w*)($|[^a-z])|subj|patient|^pat|^[a-z]{1,4}id$")
_ESSENTIAL = ("TIME", "AMT", "RATE", "DUR", "EVID", "CMT", "ADDL")


@dataclass(frozen=True)
class Column:
    """One column of a table and what became of it.

    Parameters
    ----------
    name : str
        As it stands in the table.
    number : int
        Its place, from 1.
    use : {"used", "carried", "not used"}
    meaning : str
        The column or covariate it was taken for; empty if it was not used.
    note : str
        How it was read, or why it was not used.
    """

    name: str
    number: int
    use: str
    meaning: str = ""
    note: str = ""

    def __str__(self) -> str:
        what = f"{self.name or f'column {self.number}'}: {self.use}"
        if self.meaning and self.meaning != self.name:
            what += f" as {self.meaning}"
        return what + (f" ({self.note})" if self.note else "")


@dataclass
class Roles:
    """Which column has which part.

    Parameters
    ----------
    found : dict of int
        Index of each column that means something by itself, by the name it has here.
    kept : dict of int
        Index of each covariate and dose field of the model, by its name there.
    twins : dict of list
        Further columns that could have the same part, by index of the one that has it.
    units : dict of str
        Unit that the header of a column gives, by index.
    notes : dict of str
        What is to be said of a column, by index.
    carried : dict of int
    apart : list of int
        Columns that could tell people apart but are not ID.
    dropped : set of int
    """

    found: dict[str, int] = field(default_factory=dict)
    kept: dict[str, int] = field(default_factory=dict)
    twins: dict[int, list[int]] = field(default_factory=dict)
    units: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)
    carried: dict[str, int] = field(default_factory=dict)
    apart: list[int] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)

    @property
    def numeric(self) -> set[int]:
        """Columns that are numbers and nothing else."""
        texts = ("ID", "CMT", "DV", "C", *DATES)
        return {k for name, k in self.found.items() if name not in texts} | set(self.kept.values())

    @property
    def needed(self) -> set[int]:
        """Columns that are to be read at all."""
        used = {*self.found.values(), *self.kept.values(), *self.carried.values(), *self.apart}
        return used | {k for twins in self.twins.values() for k in twins} - self.dropped

    def account(self, names: Sequence[str]) -> tuple[Column, ...]:
        """One record for each column."""
        meaning = {k: name for part in (self.found, self.kept) for name, k in part.items()}
        shown = []
        for k, name in enumerate(names):
            note = self.notes.get(k, "")
            if k in meaning and meaning[k] != "DV":
                use = "used"
            elif k in self.carried.values():
                use = "carried"
            else:
                use = "not used"
            shown.append(Column(name, k + 1, use, meaning.get(k, "") if use == "used" else "", note))
        return tuple(shown)


def renamed(names: Sequence[str], rename: Mapping[str, str], refuse: Any) -> list[str]:
    """The names after the option `rename`."""
    lower = [name.lower() for name in names]
    new = list(names)
    for old, name in rename.items():
        if old.lower() not in lower:
            refuse(old)
        for k, one in enumerate(lower):
            if one == old.lower():
                new[k] = name
    return new


def assign(
    names: Sequence[str], covariates: Sequence[str], dose_fields: Sequence[str], options: TableOptions
) -> tuple[Roles, list[Fault]]:
    """Give each column its part, and find what is amiss with the header."""
    wanted = dict.fromkeys((*covariates, *dose_fields))
    roles, faults = Roles(), list[Fault]()
    claims: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for k, name in enumerate(names):
        if name.lower() in _DROP or name.lower().endswith(("=drop", "=skip")):
            roles.dropped.add(k)
            roles.notes[k] = "dropped, as asked"
            continue
        claim = _claim(name, wanted)
        if claim is None:
            continue
        part, meaning, rank, unit = claim
        claims.setdefault((part, meaning), []).append((rank, k))
        if unit:
            roles.units[k] = unit
    for (part, meaning), columns in claims.items():
        columns.sort()
        (rank, first), *others = columns
        there = roles.found if part == "found" else roles.kept
        there[meaning] = first
        if meaning == "DV":
            continue
        if meaning == "ID":
            roles.apart += [k for _, k in others]
            roles.notes.update({k: f"{names[first]} tells people apart" for _, k in others})
            continue
        for other, k in others:
            if other == rank and rank < 2:
                cure = f"leave one of them out, or {options.say('rename', {names[k]: 'DROP'})}"
                faults.append(Fault("header", f"column {meaning} twice", "each column once", cure))
            elif rank < 2:
                roles.notes[k] = f"{names[first]} is {meaning}"
            else:
                roles.twins.setdefault(first, []).append(k)
                roles.notes[k] = f"the same as {names[first]}"
    _read_units(roles, names, faults)
    # Only a table that has a date for its clock has its date in use.
    dates = [name for name in DATES if name in roles.found]
    for name in dates[1:]:
        roles.notes[roles.found.pop(name)] = f"{dates[0]} is the date"
    faults += _header_faults(names, roles, wanted, options)
    roles.apart += [
        k for k, name in enumerate(names) if name.lower() in _TELLS_APART and k not in roles.dropped
    ]
    _carry(names, roles, options, faults)
    return roles, faults


def observed(names: Sequence[str]) -> str | None:
    """The column of measured values.

    Examples
    --------
    >>> observed(["ID", "TIME", "CONC"]), observed(["ID", "TIME"])
    ('CONC', None)
    """
    claims = [(claim[2], name) for name in names if (claim := _claim(name, ())) and claim[1] == "DV"]
    return min(claims)[1] if claims else None


def canonical_covariate(name: str) -> str:
    """The usual name of a covariate: weight for WT and BW, sex for gender; others are their own.

    Examples
    --------
    >>> canonical_covariate("WT"), canonical_covariate("asian")
    ('weight', 'asian')
    """
    return _ALIKE.get(name.lower(), [name.lower()])[0]


def _claim(name: str, wanted: Iterable[str]) -> tuple[str, str, int, str] | None:
    """(found or kept, meaning, rank, unit of the header) of a column; rank 0 is its own name."""
    by_lower = {one.lower(): one for one in wanted}
    reserved = {one.lower(): one for one in COLUMNS if not (one in ("C", "DV") and one.lower() in by_lower)}
    lower = name.lower()
    if lower in reserved:
        return "found", reserved[lower], 0, ""
    if name in wanted:
        return "kept", name, 0, ""
    if lower in by_lower:
        return "kept", by_lower[lower], 0, ""
    match = re.fullmatch(r"(.*?)\s*[\[(]\s*([^\])]*)\s*[\])]", name.strip())
    match = match or re.fullmatch(r"(.+?)[_. ]([A-Za-zµμ]+)", name.strip())
    if match and match[1].strip() and _is_unit(match[2]):
        inner = _claim(match[1].strip(), wanted)
        if inner is not None and not inner[3]:
            return inner[0], inner[1], max(inner[2], 1), match[2].strip()
    for alike in _ALIKE.get(lower, ()):
        if alike in by_lower:
            return "kept", by_lower[alike], 2 + _ALIKE[lower].index(lower), ""
    if lower in _BY_SYNONYM:
        meaning, rank = _BY_SYNONYM[lower]
        return "found", meaning, rank, ""
    return None


def _is_unit(text: str) -> bool:
    text = plain(text).strip()
    small = ("kg", "lb", "cm", "m", "year", "years", "yr", "yrs", "y", "1")
    return text in TIME_WORDS or text in MASS or text in small or bool(re.fullmatch(r"(ug|mg|g)/\w+", text))


def _read_units(roles: Roles, names: Sequence[str], faults: list[Fault]) -> None:
    """Units in the header of TIME, DUR, II and AMT; those of other columns are for whoever knows the model."""
    for name, k in roles.found.items():
        unit = roles.units.get(k)
        if unit is None:
            continue
        try:
            if name in ("TIME", "DUR", "II"):
                roles.units[k] = time_unit(unit, f"column {names[k]}")
            elif name == "AMT":
                roles.units[k] = mass_unit(unit, f"column {names[k]}")
            else:
                faults.append(Fault(f"column {names[k]}", f"the unit {unit}", f"{name} without a unit"))
        except UnknownName as error:
            faults += error.faults


def _header_faults(
    names: Sequence[str], roles: Roles, wanted: Iterable[str], options: TableOptions
) -> list[Fault]:
    """A column that is missing, or that looks like one but is not called so."""
    faults = []
    used = {*roles.found.values(), *roles.kept.values(), *roles.dropped}
    used |= {k for twins in roles.twins.values() for k in twins}
    free = [k for k in range(len(names)) if k not in used and names[k]]
    missing = [name for name in wanted if name not in roles.kept]
    missing += [name for name in _ESSENTIAL if name not in roles.found]
    has_date = any(name in roles.found for name in DATES)
    told: set[int] = set()
    for name in missing:
        for k in free:
            if k in told or not _looks_like(names[k], name):
                continue
            told.add(k)
            if name == "TIME":
                continue
            cure = (
                f"{options.say('rename', {names[k]: name})}, or {options.say('rename', {names[k]: 'DROP'})}"
            )
            faults.append(Fault("header", f"column {names[k]}", f"{name}, which it looks like", cure))
    if "TIME" not in roles.found and not has_date:
        close = [names[k] for k in free if _looks_like(names[k], "TIME")] or nearest("TIME", names, n=1)
        cure = options.say("rename", {close[0]: "TIME"}) if close else "a TIME column in h"
        columns = ", ".join(names[:12]) + (" …" if len(names) > 12 else "")
        faults.append(Fault("header", f"no TIME among {columns or 'no columns'}", "a column TIME", cure))
    if "ID" not in roles.found:
        for k in free:
            if re.search(
                r"(^|[^a-z])(id|subj\w*|pat\w*|ident\w*)($|[^a-z])|subj|patient|[a-z]{1,4}id$",
                names[k].lower(),
            ):
                cure = f"{options.say('rename', {names[k]: 'ID'})}, or {options.say('rename', {names[k]: 'DROP'})}"
                expected = "a column ID, as it may tell people apart"
                faults.append(Fault("header", f"column {names[k]} and no ID", expected, cure))
    return faults


def _looks_like(given: str, name: str) -> bool:
    """Whether a column is very likely a slip of a name, or of another word for it."""
    bare = re.sub(r"[^a-z0-9]", "", given.lower())
    for word in (name.lower(), *_ALIKE.get(name.lower(), ()), *SYNONYMS.get(name, "").split()[:2]):
        word = re.sub(r"[^a-z0-9]", "", word)
        if bare == word:
            return True
        if not name.isupper() and re.fullmatch(
            re.escape(word) + r"(bl|base|baseline|[0-9]|kg|cm|at|_)", bare
        ):
            return True
        if len(word) < 3:
            continue
        if bare.startswith(word) and len(bare) <= len(word) + 4 and not name.isupper():
            return True
        if name.isupper() and re.fullmatch(re.escape(word) + r"[s0-9_]", bare):
            return True
        if sorted(bare) == sorted(word):
            return True
        alike = difflib.SequenceMatcher(None, bare, word).ratio()
        if len(word) >= 4 and alike > (0.84 if len(word) > 4 else 0.85):
            return True
        if len(word) >= 4 and len(bare) >= 3 and abs(len(bare) - len(word)) == 1 and alike >= 0.85:
            return True
    return False


def _carry(names: Sequence[str], roles: Roles, options: TableOptions, faults: list[Fault]) -> None:
    lower = [name.lower() for name in names]
    for name in options.carry:
        if name.lower() not in lower:
            close = nearest(name, names)
            cure = " or ".join(map(repr, close)) or "one of " + ", ".join(names[:12])
            faults.append(Fault("carry", repr(name), "a column of the table", cure))
        else:
            k = lower.index(name.lower())
            roles.carried[names[k]] = k
