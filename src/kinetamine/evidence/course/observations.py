"""Published trials, read and checked: who got what, what came of it, and how the course model runs an arm.

Three files, in one folder: `arms.csv` and `outcomes.csv` hold what was published, one arm or one number a row;
`designs.csv` holds our own reading of an arm as a simulation: days and dose of its sessions, its setting, the
baseline taken. An outcome that no design or endpoint can express stays in its file and says why in `unusable`.

Checked in two steps: first the form of every row, then its sense (arms and designs exist, doses can be read,
sources are known). All faults of a step are reported at once.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from kinetamine.course.model import open_until, surroundings
from kinetamine.errors import Fault, InputError
from kinetamine.records import Record, Seen, raise_all, read_csv, read_text, source_faults, unknown

__all__ = ["MEASURES", "Arm", "Design", "Outcome", "Trials", "load", "wilson"]

#: endpoint → what one arm (or two) must be asked. Shares are in percent, scores in points, times in days.
MEASURES = (
    "mean", "change", "response", "remission", "sustained_response", "late_response",
    "response_and_remission", "stay", "lost",
    "relapse", "relapse_free", "relapse_median", "relapse_mean", "relapse_restricted_mean",
    "difference", "effect_size", "response_difference", "remission_difference",
    "response_ratio", "response_odds_ratio", "remission_ratio", "remission_odds_ratio", "relapse_hazard_ratio",
)  # fmt: skip
SHARES = ("response", "remission", "sustained_response", "late_response", "response_and_remission", "stay", "lost",
          "relapse", "relapse_free")  # fmt: skip
RATIOS = ("response_ratio", "response_odds_ratio", "remission_ratio", "remission_odds_ratio",
          "relapse_hazard_ratio")  # fmt: skip


class Arm(Record):
    """One arm as published. `recalled` names the cells that were not read in a text."""

    trial: str
    arm: str
    study: str
    year: int | None = None
    design: str
    population: str
    n: int | None = Field(default=None, ge=1)
    drug: str
    route: str | None = None
    dose: str | None = None
    dose_unit: str | None = None
    infusion_min: float | None = None
    schedule: str
    role: str
    scale: str | None = None
    baseline_mean: float | None = None
    baseline_sd: float | None = None
    source: str
    url: str
    seen: Seen
    recalled: str | None = None
    note: str | None = None


class Design(Record):
    """How the model runs an arm.

    `setting` has words of `kinetamine.course.model.SETTINGS` with commas between.
    `session` is the dose of a session or "sham", or several after each other with `;` (the last one goes on), or
    "none": no sessions at all. `group`: "trial" is fitted to; "beyond" is outside what the model is fitted to
    (ketamine under anaesthesia, doses dissolved in the mouth at home); "pooled" is an analysis over trials that
    mostly stand here themselves. Trials of one `family` share people and are left out together. Relapse counts from
    a response on the day after the last session, or from what `pick` names on `pick_day`.
    """

    trial: str
    arm: str
    group: Literal["trial", "beyond", "pooled"]
    family: str
    days: str = ""
    session: str
    setting: str = ""
    madrs_mean: float = Field(gt=0, lt=60)
    madrs_sd: float = Field(gt=0, lt=30)
    baseline_from: Literal["own", "borrowed", "recalled", "assumed"]
    pick: Literal["stable remission", "stable response", "response and remission"] | None = None
    pick_day: float | None = None
    note: str | None = None

    @property
    def session_days(self) -> tuple[float, ...]:
        """Days of the sessions; the first is day 0."""
        return tuple(float(day) for day in self.days.split())

    @property
    def doses(self) -> tuple[str, ...]:
        """A dose phrase, or "sham", for each session; nothing without sessions."""
        if self.session == "none":
            return ()
        given = [phrase.strip() for phrase in self.session.split(";")]
        return tuple(given[min(k, len(given) - 1)] for k in range(len(self.session_days)))

    @property
    def drug(self) -> bool:
        """Whether any session has drug."""
        return any(dose != "sham" for dose in self.doses)

    @property
    def open_until(self) -> float:
        """The day until which its sessions are open."""
        return open_until(self.setting) if self.switches.get("open_label") else 0.0

    @property
    def kind(self) -> str:
        """What sort of arm: control (no drug), nasal, single, series."""
        if not self.drug:
            return "control"
        if "nasal" in self.session:
            return "nasal"
        return "single" if len(self.session_days) == 1 else "series"

    @property
    def switches(self) -> dict[str, float]:
        """What its setting turns on in a course model."""
        return surroundings(self.setting)


class Outcome(Record):
    """One published number.

    `time_days` and `when` are as published; `day` counts from the first session. `treated` and `control` name
    designs; `cutoff` is the highest score of a remission; `counted` says whose value it is, where not everybody's.
    """

    id: str
    trial: str
    arm: str
    outcome: str
    scale: str | None = None
    time_days: float | None = Field(default=None, ge=0)
    when: str | None = None
    value: float = Field(allow_inf_nan=False)
    low: float | None = None
    high: float | None = None
    interval: Literal["95 % interval", "range"] | None = None
    spread_kind: Literal["SD", "SE"] | None = None
    spread: float | None = Field(default=None, gt=0)
    spread_text: str | None = None
    n: int | None = Field(default=None, ge=1)
    n_seen: Literal["recalled", "derived"] | None = None
    unit: str
    source: str
    url: str
    seen: Seen
    note: str | None = None
    measure: str | None = None
    treated: str | None = None
    control: str | None = None
    day: float | None = Field(default=None, ge=0)
    cutoff: float | None = Field(default=None, gt=0, lt=60)
    cutoff_seen: Literal["text", "assumed"] | None = None
    unusable: str | None = None
    counted: Literal["completers"] | None = None

    def published(self) -> tuple[float, float] | None:
        """The published 95 % interval: as printed, Wilson's from n for a share, else from SD or SE.

        None when nothing is given to compute it from. A range is not an interval.

        Examples
        --------
        >>> zheng = load().outcome("zheng2019-ket-response_pct-12")
        >>> zheng.value, [round(x, 1) for x in zheng.published()]
        (67.5, [56.5, 76.9])
        """
        if self.interval == "95 % interval":
            return (self.low, self.high) if self.low is not None and self.high is not None else None
        if self.measure in SHARES:
            if self.n is None:
                return None
            low, high = wilson(min(round(self.value / 100 * self.n), self.n), self.n)
            return 100 * low, 100 * high
        if self.spread is None or (self.spread_kind == "SD" and (self.n is None or self.control is not None)):
            return None
        se = self.spread if self.spread_kind == "SE" else self.spread / math.sqrt(self.n or 1)
        return self.value - 1.96 * se, self.value + 1.96 * se


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share.

    Examples
    --------
    >>> [round(x, 2) for x in wilson(3, 7)]
    [0.16, 0.75]
    """
    from scipy.stats import binomtest

    found = binomtest(hits, n).proportion_ci(0.95, method="wilson")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Trials:
    """All trials of one folder.

    Examples
    --------
    >>> trials = load()
    >>> trials.designs["transform1", "esk56"].session
    '56 mg S-ketamine nasal'
    """

    arms: Mapping[tuple[str, str], Arm]
    designs: Mapping[tuple[str, str], Design]
    outcomes: tuple[Outcome, ...]
    digest: str

    def outcome(self, id: str) -> Outcome:
        """The outcome with this id."""
        return next(o for o in self.outcomes if o.id == id)

    def usable(self) -> tuple[Outcome, ...]:
        """Outcomes the model can express."""
        return tuple(o for o in self.outcomes if o.unusable is None)

    def design(self, outcome: Outcome, control: bool = False) -> Design:
        """The design of an outcome's treated (or control) arm."""
        return self.designs[outcome.trial, str(outcome.control if control else outcome.treated)]

    def families(self) -> tuple[str, ...]:
        """Families of trials that may be fitted to, in the order of their hashed names."""
        names = {d.family for d in self.designs.values() if d.group == "trial"}
        return tuple(sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest()))

    def role(self, outcome: Outcome) -> str:
        """ "fit", "beyond" or "pooled": what the fit did with an outcome."""
        group = self.design(outcome).group
        return "fit" if group == "trial" else group


def load(folder: str | Path | None = None) -> Trials:
    """Read and check the trials that come with kinetamine, or those in a folder of your own.

    Parameters
    ----------
    folder : path, optional
        Holds `arms.csv`, `designs.csv` and `outcomes.csv`.

    Raises
    ------
    FaultyFile
        Everything that is wrong, at once.

    Examples
    --------
    >>> load().outcome("murrough2013_rep-ket-response_pct-12").value
    70.8
    """
    root, place = (None, "trials/") if folder is None else (Path(folder), "")
    faults: list[Fault] = []
    arms = read_csv(f"{place}arms.csv", Arm, folder=root, into=faults)
    designs = read_csv(f"{place}designs.csv", Design, folder=root, into=faults)
    outcomes = read_csv(f"{place}outcomes.csv", Outcome, folder=root, into=faults)
    raise_all("trials", faults)
    for name, rows in (("arms.csv", arms), ("designs.csv", designs)):
        seen: set[tuple[str, str]] = set()
        for row in rows:
            if (row.trial, row.arm) in seen:
                faults.append(Fault(f"{name} {row.trial} {row.arm}", "the same arm twice", "each arm once"))
            seen.add((row.trial, row.arm))
    digest = hashlib.sha256()
    for name in ("designs.csv", "outcomes.csv"):
        digest.update(read_text(f"{place}{name}", root).encode())
    found = Trials(
        {(a.trial, a.arm): a for a in arms},
        {(d.trial, d.arm): d for d in designs},
        outcomes,
        digest.hexdigest()[:16],
    )
    raise_all("trials", [*faults, *_nonsense(found)])
    return found


def _nonsense(found: Trials) -> Iterable[Fault]:
    """Faults that the form of a row does not show."""
    for arm in found.arms.values():
        yield from source_faults(f"arms.csv {arm.trial} {arm.arm}", arm)
    yield from source_faults("outcomes.csv", found.outcomes)
    yield from _bad_designs(found)
    seen: set[str] = set()
    for o in found.outcomes:
        where = f"outcomes.csv {o.id}"
        if o.id in seen:
            yield Fault(where, "the same id twice", "an id of its own")
        seen.add(o.id)
        if (o.unusable is None) != (o.measure is not None):
            yield Fault(f"{where}, measure", repr(o.measure), "a measure, or a reason in `unusable`")
        elif o.measure is not None:
            yield from _bad_outcome(found, o, where)


def _bad_designs(found: Trials) -> Iterable[Fault]:
    from kinetamine.dosing import Regimen

    for design in found.designs.values():
        where = f"designs.csv {design.trial} {design.arm}"
        try:
            surroundings(design.setting)
        except InputError as error:
            yield from (Fault(f"{where}, setting", f.given, f.expected, f.try_) for f in error.faults)
        try:
            days = design.session_days
        except ValueError:
            yield Fault(f"{where}, days", repr(design.days), "numbers with blanks between")
            continue
        if (design.session == "none") != (not days):
            yield Fault(
                f"{where}, days", repr(design.days), "days of sessions, and none where there is no session"
            )
        elif days and (days[0] != 0 or any(b <= a for a, b in itertools.pairwise(days))):
            yield Fault(f"{where}, days", repr(design.days), "days that ascend from 0")
        for phrase in sorted(set(design.doses) - {"sham"}):
            try:
                Regimen.parse(phrase)
            except InputError as error:
                yield from (
                    Fault(f"{where}, session: {f.where}", f.given, f.expected, f.try_) for f in error.faults
                )


def _bad_outcome(found: Trials, o: Outcome, where: str) -> Iterable[Fault]:
    if o.measure not in MEASURES:
        yield unknown(f"{where}, measure", str(o.measure), MEASURES)
        return
    names = [arm for trial, arm in found.designs if trial == o.trial]
    for side in (o.treated, o.control):
        if side is not None and side not in names:
            yield unknown(f"{where}, arm", side, names)
    if o.treated is None:
        yield Fault(f"{where}, treated", "nothing", "the name of a design")
    pair = MEASURES.index(o.measure) >= MEASURES.index("difference")
    if pair != (o.control is not None):
        yield Fault(f"{where}, control", repr(o.control), "a second arm for differences and ratios only")
    if o.day is None:
        yield Fault(f"{where}, day", "nothing", "the day since the first session")
    if (o.measure.split("_")[0] in ("remission", "lost") or o.measure == "response_and_remission") != (
        o.cutoff is not None
    ):
        yield Fault(f"{where}, cutoff", repr(o.cutoff), "the highest score of a remission, for those only")
