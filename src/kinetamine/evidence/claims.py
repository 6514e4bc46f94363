"""Statements the public reads about ketamine: each with its evidence and, where possible, the simulator's number.

``data/claims.toml`` holds the statements, the evidence for and against, and what to compute; the few functions
below compute it when asked. Nothing here decides a verdict: that is in the data, with its sources.
"""

from __future__ import annotations

import functools
import math
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from kinetamine.errors import Fault, UnknownName
from kinetamine.records import ById, Record, Seen, read_toml, unknown

if TYPE_CHECKING:
    from kinetamine.population import Population

__all__ = ["Claim", "Computed", "Finding", "claims", "load", "markdown", "read"]

#: people behind every computed number, and their seed
PEOPLE, SEED = 500, 1
_BAND = (0.05, 0.5, 0.95)

#: a number, or its low, middle and high quantile over the people
Number = float | tuple[float, ...]


class Finding(Record):
    """One piece of evidence: what was found, in whom, where it was read and which way it points."""

    finding: str
    direction: Literal["supports", "limits", "contradicts", "context"]
    given: str = ""
    n: str = ""
    source: str
    seen: Seen
    note: str = ""

    @property
    def words(self) -> str:
        """The finding with whom it was found in."""
        who = "; ".join(filter(None, (self.given, f"n {self.n}" if self.n else "")))
        return f"{self.finding} ({who})" if who else self.finding

    @property
    def citation(self) -> str:
        """The source in one line."""
        from kinetamine.models import library
        from kinetamine.results import references

        return references.text(library.reference(self.source))

    def to_dict(self) -> dict[str, str]:
        """As in ``kinetamine claims --format json``."""
        return {
            "finding": self.words,
            "direction": self.direction,
            "source": self.citation,
            "seen": self.seen,
        }


class Compute(Record):
    """What to compute for a claim.

    `text` is a sentence with the names of numbers in braces; `value` names the one that stands for all.
    """

    number: str
    text: str
    value: str
    unit: str
    doses: tuple[str, ...]
    model: str | None = None
    output: str | None = None
    at_h: tuple[float, ...] = ()
    until: str | None = None
    step: str | None = None
    against: tuple[str, ...] = ()
    condition: str | None = None
    effect: str | None = None
    at_day: tuple[float, ...] = ()
    weeks: float | None = None
    matrix: str = "urine"
    analyte: str | None = None
    assay: str | None = None
    cutoff: str | None = None


@dataclass(frozen=True)
class Computed:
    """The simulator's own number for a claim and the command that prints it again."""

    text: str
    value: float
    unit: str
    command: str

    def to_dict(self) -> dict[str, Any]:
        """As in ``kinetamine claims --format json``."""
        return {"text": self.text, "value": self.value, "unit": self.unit, "command": self.command}


class Claim(Record):
    """A statement, its verdict and the evidence; `compute` tells what the simulator can add."""

    id: str
    statement: str
    verdict: Literal["supported", "partly", "contradicted", "not supported"]
    compute: Compute | None = None
    evidence: tuple[Finding, ...] = Field(min_length=1)

    @functools.cached_property
    def computed(self) -> Computed | None:
        """Computed when first asked for; None where nothing can be."""
        return None if self.compute is None else _compute(self.compute)

    def to_dict(self, compute: bool = True) -> dict[str, Any]:
        """As in ``kinetamine claims --format json``."""
        computed = self.computed if compute else None
        return {
            "id": self.id,
            "statement": self.statement,
            "verdict": self.verdict,
            "evidence": [f.to_dict() for f in self.evidence],
            "computed": computed and computed.to_dict(),
        }


class _File(Record):
    claim: ById[Claim]


def claims(*ids: str) -> list[Claim]:
    """The statements asked for, or all of them.

    Parameters
    ----------
    *ids : str
        Such as ``"C13"``.

    Returns
    -------
    list of Claim
        ``claim.evidence``, ``claim.verdict``; ``claim.computed`` runs the simulator.

    Raises
    ------
    UnknownName
        If there is no such claim.

    Examples
    --------
    >>> import kinetamine as kt
    >>> [(c.verdict, len(c.evidence)) for c in kt.claims("C05", "c19")]
    [('contradicted', 4), ('not supported', 1)]
    """
    known = load()
    asked = [i.upper() for i in ids] or list(known)
    for i in asked:
        if i not in known:
            raise UnknownName("claim", i, known, "the id of a claim")
    return [known[i] for i in asked]


@functools.cache
def load() -> dict[str, Claim]:
    """Read and check the claims.

    Raises
    ------
    FaultyFile
        Everything that is wrong, at once.
    """
    return read()


def read(text: str | None = None, name: str = "claims.toml") -> dict[str, Claim]:
    """Claims from the text of a file, by default the one that comes with kinetamine, checked.

    Raises
    ------
    FaultyFile
        Everything that is wrong, at once.
    """
    found: dict[str, Claim] = read_toml(name, _File, text=text, sense=_nonsense).claim
    return found


def _nonsense(file: _File) -> Iterable[Fault]:
    for id, claim in file.claim.items():
        if claim.compute is not None and claim.compute.number not in _NUMBERS:
            yield unknown(id, claim.compute.number, _NUMBERS, " or ".join(_NUMBERS))


# ---- the numbers


class _Answer:
    """Numbers by name, how far to trust them, and the commands that print them again."""

    def __init__(self, numbers: dict[str, Number], trust: str, *commands: list[str]) -> None:
        self.numbers = numbers
        self.trust = trust
        self.command = " && ".join(shlex.join(["kinetamine", *words]) for words in commands)


def _compute(what: Compute) -> Computed:
    from kinetamine.results import show

    answer = _NUMBERS[what.number](what)
    words = {
        name: show.span(*x) if isinstance(x, tuple) else show.number(x) for name, x in answer.numbers.items()
    }
    value = answer.numbers[what.value]
    one = value[1] if isinstance(value, tuple) else value
    text = f"{what.text.format(**words)} ({answer.trust})"
    return Computed(text, float(f"{one:.3g}"), what.unit, answer.command)


def _people() -> Population:
    from kinetamine.population import Population

    return Population(PEOPLE, seed=SEED)


def _levels(what: Compute) -> _Answer:
    """Concentrations `a`, `b`, … at the times `at_h`, and `ratio`, the last middle one over the first."""
    from kinetamine.simulate import simulate

    assert what.model is not None and what.output is not None
    r = simulate(what.model, list(what.doses), _people(), times=what.at_h, outputs=[what.output])
    bands = r.quantiles(what.output, _BAND)
    rows = [tuple(float(bands[q][i]) for q in _BAND) for i in range(len(what.at_h))]
    numbers: dict[str, Number] = dict(zip("abcdef", rows, strict=False))
    numbers["ratio"] = rows[-1][1] / rows[0][1]
    times = ["--times", ",".join(f"{t:g}" for t in what.at_h)]
    return _Answer(numbers, _trust(r, what.output), [*_simulate(what, what.doses), *times])


def _exposure(what: Compute) -> _Answer:
    """`cmax`, `tmax_h`, `auc_last`, `half_life_h`; under a second regimen or a condition `other_…`, `ratio_…`."""
    from kinetamine.safety.interactions import perturb
    from kinetamine.simulate import simulate

    assert what.model is not None and what.output is not None
    grid = {k: v for k, v in (("until", what.until), ("step", what.step)) if v}
    options = [word for key, value in grid.items() for word in (f"--{key}", value)]
    runs: list[tuple[str, Any, tuple[str, ...], list[str]]] = [("", what.model, what.doses, [])]
    if what.against:
        runs.append(("other_", what.model, what.against, []))
    elif what.condition:
        changed = perturb(what.model, condition=what.condition)
        runs.append(("other_", changed, what.doses, ["--condition", what.condition]))
    numbers: dict[str, Number] = {}
    trust, commands = [], []
    for prefix, model, doses, extra in runs:
        r = simulate(model, list(doses), _people(), outputs=[what.output], **grid)  # type: ignore[arg-type]
        for row in r.exposure_quantiles(_BAND).iter_rows():
            numbers[prefix + row[1]] = tuple(row[-3:])
        trust.append(_trust(r, what.output))
        commands.append([*_simulate(what, doses), *extra, *options])
    for name in ("cmax", "auc_last"):
        first, second = numbers[name], numbers.get(f"other_{name}")
        if isinstance(first, tuple) and isinstance(second, tuple):
            numbers[f"ratio_{name}"] = second[1] / first[1]
    return _Answer(numbers, "; ".join(dict.fromkeys(trust)), *commands)


def _simulate(what: Compute, doses: Iterable[str]) -> list[str]:
    asked = [word for dose in doses for word in ("--dose", dose)]
    people = ["--patients", str(PEOPLE), "--seed", str(SEED)]
    return ["simulate", "--model", str(what.model), *asked, *people]


def _trust(result: Any, name: str) -> str:
    output = result.output(name)
    return output.grade if output.grade == "fitted" else f"{output.grade}: {'; '.join(output.reasons)}"


def _detection(what: Compute) -> _Answer:
    """The `window` of detection, h; `day1`, `day2`, `day3`, `day7`, % of people positive; the `cut_off`."""
    from kinetamine.safety.detection import detect

    options = {"matrix": what.matrix, "analyte": what.analyte, "assay": what.assay, "cutoff": what.cutoff}
    found = detect(list(what.doses), model=what.model, population=_people(), **options)  # type: ignore[arg-type]
    first = found.detections[0]
    numbers: dict[str, Number] = {"window": tuple(first.window_h[q] for q in _BAND), "cut_off": first.cut_off}
    numbers |= {f"day{d}": 100 * first.at(24 * d) for d in (1, 2, 3, 7)}
    given = [word for key, value in options.items() if value for word in (f"--{key}", value)]
    doses = [word for dose in what.doses for word in ("--dose", dose)]
    people = ["--patients", str(PEOPLE), "--seed", str(SEED)]
    trust = f"{first.grade}: {'; '.join(first.reasons)}"
    return _Answer(numbers, trust, ["detect", *doses, *given, *people])


def _effects(what: Compute) -> _Answer:
    """Of an acute effect: `onset`, `peak`, `offset` and `duration`, min, and `affected`, % of the people."""
    from kinetamine.effects import effects
    from kinetamine.population import Population

    people = Population(PEOPLE, seed=SEED, uncertainty=True)
    first = effects(list(what.doses), population=people, effects=what.effect)[0]
    numbers: dict[str, Number] = {"affected": 100 * first.affected}
    for name in ("onset", "peak", "offset", "duration"):
        found = getattr(first, f"{name}_min") or {}
        numbers[name] = tuple(math.nan if x is None else x for x in found.values()) or math.nan
    doses = [word for dose in what.doses for word in ("--dose", dose)]
    options = [
        "--effect",
        str(what.effect),
        "--patients",
        str(PEOPLE),
        "--seed",
        str(SEED),
        "--format",
        "json",
    ]
    trust = f"{first.grade}: {'; '.join((first.threshold, *first.reasons))}"
    return _Answer(numbers, trust, ["effects", *doses, *options])


def _course(what: Compute) -> _Answer:
    """Of a group on the days `at_day`: `mean7`, MADRS, and `response7`, %, each with its uncertainty."""
    from kinetamine.course import course

    r = course(list(what.doses), PEOPLE, SEED, weeks=what.weeks)
    visits = {row["day"]: row for row in r.visits().iter_rows(named=True)}
    numbers: dict[str, Number] = {}
    for day in what.at_day:
        row = visits[day]
        for name, factor in (("mean", 1), ("response", 100)):
            numbers[f"{name}{day:g}"] = tuple(factor * row[name + end] for end in ("_low", "", "_high"))
    doses = [word for dose in what.doses for word in ("--dose", dose)]
    people = ["--patients", str(PEOPLE), "--seed", str(SEED), "--weeks", f"{what.weeks:g}"]
    return _Answer(numbers, r.grade, ["course", *doses, *people])


_NUMBERS: Mapping[str, Callable[[Compute], _Answer]] = {
    "levels": _levels,
    "exposure": _exposure,
    "detection": _detection,
    "effects": _effects,
    "course": _course,
}


# ---- as a page


def markdown(some: Iterable[Claim], compute: bool = True) -> str:
    """The claims as a page; the same every time.

    Examples
    --------
    >>> markdown(claims("C19")).splitlines()[4]
    "## C19 Used to sedate animals 'because of its addictive nature'"
    """
    parts = [
        "# Claims",
        "Written by `kinetamine claims --format md`; do not edit. Statements the public reads about ketamine, "
        "each against its evidence. *Computed* is the simulator's own number, median (5-95 %) of simulated "
        "people, with how far to trust it. For research and teaching only.",
    ]
    for claim in some:
        parts += [f"## {claim.id} {claim.statement}", f"**{claim.verdict}**"]
        computed = claim.computed if compute else None
        if computed is not None:
            parts.append(f"Computed: {computed.text}\n\n`{computed.command}`")
        rows = [
            [f.words, f.direction, f.citation, "**recalled**" if f.seen == "recalled" else f.seen, f.note]
            for f in claim.evidence
        ]
        head = ["finding", "direction", "source", "seen", "note"]
        lines = [head, ["---"] * len(head), *rows]
        parts.append(
            "\n".join("| " + " | ".join(c.replace("|", "\\|") for c in line) + " |" for line in lines)
        )
    return "\n\n".join(parts) + "\n"
