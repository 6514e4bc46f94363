"""Visit rules: one sentence each, the same in TOML, Python and on the command line.

::

    booster when MADRS >= 20 at a weekly visit
    booster of 84 mg when no response at a weekly visit for responders until week 52
    booster every 4 weeks
    stop after 4 sessions without 20 % improvement
    stop when improvement < 50 % at week 4
    raise to 84 mg if response < 50 % at session 4
    space to every 2 weeks when remission at a weekly visit from week 9
    miss 10 % of sessions
    at most 12 sessions
    at most 4 boosters

A sentence is an action, a condition, a place and a window, read clause by clause; what is left over is a fault,
answered with the nearest rule. "week n" is a stretch with ``from`` and ``until`` and its end with ``at`` and
``after``. A relapse rule is ``relapse when MADRS >= 22 at 2 visits in a row after remission``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from kinetamine.course import kernel
from kinetamine.course.kernel import ACTIONS, MEASURES, OPS, PLACES, RULE
from kinetamine.errors import FaultyFile, InputError, nearest

__all__ = ["EXAMPLES", "Relapse", "Rule", "parse", "parse_all", "parse_relapse", "table"]

EXAMPLES = (
    "booster when MADRS >= 20 at a weekly visit",
    "booster of 84 mg when no response at a weekly visit for responders",
    "booster every 4 weeks",
    "stop after 4 sessions without 20 % improvement",
    "stop when improvement < 50 % at week 4",
    "raise to 84 mg if response < 50 % at session 4",
    "lower to 56 mg when remission at a weekly visit",
    "space to every 2 weeks when remission at a weekly visit from week 9",
    "taper to every week from week 5",
    "miss 10 % of sessions",
    "at most 12 sessions",
    "at most 4 boosters",
)
_FOREVER = math.inf
_WORD_OPS = {"at least": ">=", "above": ">", "at most": "<=", "below": "<", "over": ">", "under": "<"}
_OPPOSITE = {">=": "<", ">": "<=", "<=": ">", "<": ">="}


@dataclass(frozen=True)
class Rule:
    """One visit rule.

    Parameters
    ----------
    action : str
        booster, stop, dose, space, miss, sessions or boosters.
    value : float
        Days of ``space``, share of ``miss``, number of ``sessions`` and ``boosters``.
    dose : str
        ``84 mg``, for ``dose`` and ``booster``; empty: the dose the patient is on.
    measure, op, threshold
        The condition: ``score`` in points or ``improvement`` as a share; ``always``. A threshold that is
        nan stands for the cut-off of response or remission in use.
    place, place_n
        Where it is asked: ``any`` score, ``weekly`` visit, any ``visit``, all ``sessions``, at ``session`` n,
        ``after`` n sessions (once), ``once`` at the first score of the window. For a booster `place_n` is the
        shortest time since the last session, d.
    from_d, until_d : float
    responders : bool
        Only those who have responded at some time.
    """

    action: str
    value: float = math.nan
    dose: str = ""
    measure: str = "always"
    op: str = ">="
    threshold: float = 0.0
    place: str = "any"
    place_n: float = 0.0
    from_d: float = 0.0
    until_d: float = _FOREVER
    responders: bool = False

    def describe(self) -> str:
        """The rule as a sentence that reads back as the same rule.

        Examples
        --------
        >>> parse("Raise to 84mg if response < 50% at session 4").describe()
        'change to 84 mg when improvement < 50 % at session 4'
        """
        if self.action == "miss":
            return f"miss {100 * self.value:.12g} % of sessions"
        if self.action in ("sessions", "boosters"):
            return f"at most {self.value:g} {self.action}"
        words = {
            "booster": "booster" + (f" of {self.dose}" if self.dose else ""),
            "stop": "stop",
            "dose": f"change to {self.dose}",
            "space": f"space to every {self.value:.12g} days",
        }[self.action]
        if self.action == "booster" and self.place_n:
            words += f" every {self.place_n:.12g} days"
        if self.measure == "score":
            words += (
                " when " + ("remission" if self.op == "<=" else "no remission")
                if math.isnan(self.threshold)
                else f" when MADRS {self.op} {self.threshold:.12g}"
            )
        elif self.measure == "improvement":
            words += (
                " when " + ("response" if self.op == ">=" else "no response")
                if math.isnan(self.threshold)
                else f" when improvement {self.op} {100 * self.threshold:.12g} %"
            )
        words += {
            "any": "",
            "weekly": " at a weekly visit",
            "visit": " at a visit",
            "sessions": " at every session",
            "session": f" at session {self.place_n:.12g}",
            "after": f" after {self.place_n:.12g} sessions",
            "once": f" at day {self.from_d:.12g}",
        }[self.place]
        if self.from_d and self.place != "once":
            words += f" from day {self.from_d:.12g}"
        if self.until_d != _FOREVER:
            words += f" until day {self.until_d:.12g}"
        return words + (" for responders" if self.responders else "")


@dataclass(frozen=True)
class Relapse:
    """When a relapse is counted: a condition at so many visits in a row, after the clock has started.

    `start` is ``response``, ``remission`` (the patient's first), ``session`` (the last planned one) or
    ``day``; these two take those in response at the first visit after that session, or from that day on.
    """

    measure: str
    op: str
    threshold: float
    visits: int = 1
    start: str = "response"
    start_d: float = 0.0

    def describe(self) -> str:
        """The rule as a sentence that reads back as the same rule.

        Examples
        --------
        >>> parse_relapse("relapse when MADRS at least 22 at 2 visits in a row after week 16").describe()
        'relapse when MADRS >= 22 at 2 visits in a row after day 112'
        """
        condition = (
            f"MADRS {self.op} {self.threshold:.12g}"
            if self.measure == "score"
            else f"improvement {self.op} {100 * self.threshold:.12g} %"
        )
        start = {"session": "the last session", "day": f"day {self.start_d:.12g}"}.get(self.start, self.start)
        return f"relapse when {condition} at {self.visits} visits in a row after {start}"


# --- reading -----------------------------------------------------------------------------------------

_NUMBER = r"(\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_DOSE = r"(\d+(?:\.\d+)?) ?(mg/kg|mg)"
_OP = r"(>=|<=|>|<|at least|at most|above|below|over|under)"
_EVERY = rf"(weekly|every week|every day|daily|every {_NUMBER} (?:days?|d|weeks?))"
_CONDITION = [
    (rf"(?:madrs|score) ?{_OP} ?{_NUMBER}", "score"),
    (rf"(?:improvement|response) ?{_OP} ?{_NUMBER} ?%", "improvement"),
    (r"(no|not in|in|without) (response|remission)|(response|remission)( is lost| lost)?", "state"),
]
_TIME = rf"(week|day) {_NUMBER}"


class _Reader:
    """A sentence, eaten from the left."""

    def __init__(self, text: str) -> None:
        self.rest = " ".join(text.replace("≥", ">=").replace("≤", "<=").split()).lower().rstrip(".")

    def take(self, pattern: str) -> re.Match[str] | None:
        match = re.match(rf"(?:{pattern})(?=$|[ ,;])", self.rest)
        if match:
            self.rest = self.rest[match.end() :].lstrip(" ,;")
        return match


def _days(text: str) -> float:
    if text in ("weekly", "every week"):
        return 7.0
    if text in ("daily", "every day"):
        return 1.0
    match = re.search(rf"{_NUMBER} (\w+)", text)
    assert match is not None
    return float(match[1]) * (7.0 if match[2].startswith("w") else 1.0)


def _condition(reader: _Reader) -> dict[str, object]:
    if not reader.take(r"when|if|while"):
        return {}
    for pattern, kind in _CONDITION:
        match = reader.take(pattern)
        if match is None:
            continue
        if kind == "state":
            word, state = match[1] or ("no" if match[4] else "in"), match[2] or match[3]
            measure, op = ("improvement", ">=") if state == "response" else ("score", "<=")
            if word in ("no", "not in", "without"):
                op = _OPPOSITE[op]
            return {"measure": measure, "op": op, "threshold": math.nan}
        op = _WORD_OPS.get(match[1], match[1])
        number = float(match[2])
        return {"measure": kind, "op": op, "threshold": number if kind == "score" else number / 100}
    raise ValueError


def _clauses(reader: _Reader, found: dict[str, object]) -> None:
    """Place, window and people, in any order."""
    while reader.rest:
        if reader.take(r"at (?:a|each|every|any) weekly visit|at weekly visits"):
            found["place"] = "weekly"
        elif reader.take(r"at (?:a|each|every|any) visit"):
            found["place"] = "visit"
        elif reader.take(r"at (?:a|each|every|any) session"):
            found["place"] = "sessions"
        elif match := reader.take(rf"at session {_NUMBER}"):
            found.update(place="session", place_n=float(match[1]))
        elif match := reader.take(rf"after {_NUMBER} sessions?"):
            found.update(place="after", place_n=float(match[1]))
        elif match := reader.take(rf"at {_TIME}"):
            found.update(place="once", from_d=float(match[2]) * (7.0 if match[1] == "week" else 1.0))
        elif match := reader.take(rf"from {_TIME}"):
            found["from_d"] = 7.0 * max(float(match[2]) - 1, 0) if match[1] == "week" else float(match[2])
        elif match := reader.take(rf"after {_TIME}"):
            found["from_d"] = float(match[2]) * (7.0 if match[1] == "week" else 1.0)
        elif match := reader.take(rf"(?:until|before) {_TIME}"):
            found["until_d"] = float(match[2]) * (7.0 if match[1] == "week" else 1.0)
        elif reader.take(r"for responders|in responders"):
            found["responders"] = True
        else:
            raise ValueError


def _action(reader: _Reader) -> dict[str, object]:
    if reader.take(r"boosters?(?: session)?"):
        found: dict[str, object] = {"action": "booster", "place": "weekly"}
        if match := reader.take(rf"(?:of|with) {_DOSE}"):
            found["dose"] = f"{float(match[1]):.12g} {match[2]}"
        if match := reader.take(_EVERY):
            found["place_n"] = _days(match[1])
        return found
    if reader.take("stop"):
        return {"action": "stop"}
    if match := reader.take(rf"(?:raise|lower|change|switch) to {_DOSE}"):
        return {"action": "dose", "dose": f"{float(match[1]):.12g} {match[2]}"}
    if match := reader.take(rf"(?:space|taper)(?: to)? {_EVERY}"):
        return {"action": "space", "value": _days(match[1])}
    if match := reader.take(rf"miss {_NUMBER} ?%(?: of (?:the )?sessions)?"):
        return {"action": "miss", "value": float(match[1]) / 100}
    if match := reader.take(rf"(?:at most|maximum|max|no more than) {_NUMBER} (session|booster)s?"):
        return {"action": f"{match[2]}s", "value": float(match[1])}
    raise ValueError


def parse(text: str) -> Rule:
    """Read one rule.

    Raises
    ------
    InputError
        If it cannot be read; the nearest rule is offered.

    Examples
    --------
    >>> parse("booster when MADRS >= 20 at a weekly visit").threshold
    20.0
    >>> parse("boostr when MADRS > 20")
    Traceback (most recent call last):
    kinetamine.errors.InputError: rule: got 'boostr when MADRS > 20'; expected a visit rule; ...
    """
    reader = _Reader(str(text))
    try:
        found = _action(reader)
        if found["action"] == "stop" and (
            match := reader.take(
                rf"after {_NUMBER} sessions? without (?:{_NUMBER} ?% improvement|(response|remission))"
            )
        ):
            wanted = float(match[2]) / 100 if match[2] else math.nan
            measure, op = ("score", ">") if match[3] == "remission" else ("improvement", "<")
            found.update(place="after", place_n=float(match[1]), measure=measure, op=op, threshold=wanted)
        found.update(_condition(reader))
        _clauses(reader, found)
        rule = Rule(**found)  # type: ignore[arg-type]
    except ValueError:
        raise _unread(text, reader.rest, EXAMPLES, "a visit rule") from None
    return _sensible(rule, text)


def _sensible(rule: Rule, text: str) -> Rule:
    def fault(expected: str, cure: str = "") -> InputError:
        return InputError("rule", repr(text)[:100], expected, cure)

    if rule.action == "miss" and not 0 <= rule.value <= 1:
        raise fault("a share from 0 to 100 %", "miss 10 % of sessions")
    if rule.action == "space" and not rule.value > 0:
        raise fault("a spacing above 0 days", "space to every 2 weeks")
    if rule.action == "booster" and rule.place not in ("weekly", "visit", "once"):
        raise fault("a booster asked for at a visit", EXAMPLES[0])
    if rule.action in ("miss", "sessions", "boosters") and rule != Rule(rule.action, rule.value):
        raise fault("no condition, place or window here", f"{rule.action} for the whole course")
    if rule.until_d <= rule.from_d:
        raise fault("a window that ends after it begins")
    return rule


def _unread(text: str, rest: str, examples: Sequence[str], what: str) -> InputError:
    close = nearest(str(text), examples, n=1) or [examples[0]]
    first = str(text).split()[:1]
    same = [e for e in examples if first and e.split()[0] == first[0].lower()]
    cure = (same if same and close[0] not in same else close)[0]
    stuck = f" (stuck at {rest[:40]!r})" if rest and rest != " ".join(str(text).split()).lower() else ""
    return InputError("rule", f"{str(text)[:100]!r}{stuck}", what, repr(cure))


def parse_all(rules: str | Rule | Iterable[str | Rule]) -> tuple[Rule, ...]:
    """Read several rules, all faults at once.

    Examples
    --------
    >>> [rule.action for rule in parse_all(["at most 12 sessions", "miss 5 % of sessions"])]
    ['sessions', 'miss']
    """
    if isinstance(rules, str | Rule):
        rules = [rules]
    read: list[Rule] = []
    errors: list[InputError] = []
    for rule in rules:
        try:
            read.append(rule if isinstance(rule, Rule) else parse(rule))
        except InputError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise FaultyFile("rules", [fault for error in errors for fault in error.faults])
    return tuple(read)


_RELAPSES = (
    "relapse when MADRS >= 22 at 2 visits in a row after response",
    "relapse when improvement < 50 % at 1 visit after the last session",
)


def parse_relapse(text: str | Relapse) -> Relapse:
    """Read a relapse rule.

    Examples
    --------
    >>> parse_relapse("relapse when improvement < 25 % after the last session").start
    'session'
    """
    if isinstance(text, Relapse):
        return text
    reader = _Reader(str(text))
    try:
        if not reader.take("relapse"):
            raise ValueError
        found = _condition(reader)
        if not found or math.isnan(float(found["threshold"])):  # type: ignore[arg-type]
            raise ValueError
        if match := reader.take(rf"at {_NUMBER} (?:consecutive )?visits?(?: in a row)?"):
            found["visits"] = int(float(match[1]))
        if match := reader.take(r"after (?:(response|remission)|the last session)"):
            found["start"] = match[1] or "session"
        elif match := reader.take(rf"after {_TIME}"):
            found["start"] = "day"
            found["start_d"] = float(match[2]) * (7.0 if match[1] == "week" else 1.0)
        if reader.rest:
            raise ValueError
        return Relapse(**found)  # type: ignore[arg-type]
    except ValueError:
        raise _unread(text, reader.rest, _RELAPSES, "a relapse rule") from None


# --- for the kernel ----------------------------------------------------------------------------------


def table(
    rules: Sequence[Rule], strength: Callable[[str], float], response: float, remission: float
) -> np.ndarray:
    """The rules as the kernel reads them, array (rule, column).

    Parameters
    ----------
    rules : sequence of Rule
    strength : callable
        From the words of a dose to its strength.
    response, remission : float
        The cut-offs that stand behind "response" and "remission".
    """
    rows = np.empty((len(rules), len(RULE)))
    for row, rule in zip(rows, rules, strict=True):
        threshold = rule.threshold
        if math.isnan(threshold):
            threshold = remission if rule.measure == "score" else response
        row[:] = (
            ACTIONS.index(rule.action),
            strength(rule.dose) if rule.dose else rule.value,
            MEASURES.index(rule.measure),
            OPS.index(rule.op),
            threshold,
            PLACES.index(rule.place),
            rule.place_n,
            rule.from_d,
            rule.until_d,
            rule.responders,
        )
    return rows


_STARTS = ("response", "remission", "day", "session")


def relapse_table(rule: Relapse, last_session_d: float) -> kernel.Relapse:
    """The relapse rule as the kernel reads it."""
    return kernel.Relapse(
        1.0,
        float(MEASURES.index(rule.measure)),
        float(OPS.index(rule.op)),
        float(rule.threshold),
        float(rule.visits),
        float(_STARTS.index(rule.start)),
        float(last_session_d if rule.start == "session" else rule.start_d),
    )
