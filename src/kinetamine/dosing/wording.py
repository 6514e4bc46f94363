"""Doses back to phrases that read as the same doses.

Below `dose`, so that a dose can say itself; it is known here by its type only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kinetamine.dosing.salts import base_per_hydrochloride
from kinetamine.dosing.words import HOURS, WEEKLY, as_written, tidy

if TYPE_CHECKING:
    from kinetamine.dosing.dose import Dose

__all__ = ["describe"]

#: what two doses of one schedule have in common
_SAME = (
    "amount", "per_kg", "by", "most", "entry", "drug", "salt", "duration_h", "rate", "steady_state", "fields",
)  # fmt: skip


def describe(doses: Sequence[Dose]) -> str:
    """Phrases that read back as the same doses.

    Examples
    --------
    >>> from kinetamine.dosing.phrases import read_phrase
    >>> describe(read_phrase("30 mg esketamine hcl sc thrice weekly x 7"))
    '30 mg S-ketamine HCl sc three times weekly x 7'
    """
    said: list[str] = []
    rest = list(doses)
    while rest:
        run = _weekly_run(rest)
        said.append(_say(rest[0], rest[:run]))
        del rest[:run]
    return "; ".join(said)


def _weekly_run(doses: Sequence[Dose]) -> int:
    """How many doses from the first on are one twice (three times) weekly schedule."""
    first = doses[0]
    if first.steady_state:
        return 1
    for n in (3, 2):
        run = doses[:n]
        if len(run) < n or any(not _same_but_time(first, other) for other in run):
            continue
        total = sum(d.count for d in run)
        counts = [-(-(total - i) // n) for i in range(n)]
        spaced = all(
            d.time_h == first.time_h + offset
            and d.count == count
            and d.every_h == (168.0 if count > 1 else 0.0)
            for d, offset, count in zip(run, WEEKLY[n], counts, strict=True)
        )
        if spaced and total > n:
            return n
    return 1


def _same_but_time(a: Dose, b: Dose) -> bool:
    return all(getattr(a, key) == getattr(b, key) for key in _SAME)


def _say(dose: Dose, run: Sequence[Dose]) -> str:
    value = dose.rate if dose.rate is not None else dose.amount
    unit = "mg" + ("/kg" if dose.per_kg else "") + ("/h" if dose.rate is not None else "")
    words = [f"{_stated(value, dose.salt)} {unit}"]
    if dose.drug:
        words.append({"racemate": "racemic ketamine"}.get(dose.drug, dose.drug))
    if dose.salt != "base":
        words.append(dose.salt)
    words.append(dose.entry)
    words += [f"as {tidy(number)} {name}" for name, number in dose.fields.items()]
    if dose.duration_h is not None:
        words.append("over " + _say_time(dose.duration_h))
    if dose.by != "weight":
        words.append(f"by {dose.by}")
    if dose.most is not None:
        words.append(f"max {_stated(dose.most, dose.salt)} mg")
    if dose.time_h:
        words.append("at " + _say_time(dose.time_h))
    total = sum(d.count for d in run)
    if len(run) > 1:
        words.append({2: "twice weekly", 3: "three times weekly"}[len(run)])
        words.append(f"for {_plural(total // len(run), 'week')}" if total % len(run) == 0 else f"x {total}")
    elif dose.every_h:
        words.append(_say_schedule(dose))
    if dose.steady_state:
        words.append("at steady state" if dose.steady_state == 1 else "at added steady state")
    return " ".join(words)


def _stated(base: float, salt: str) -> str:
    """The amount as it was stated: the shortest salt amount whose base amount is exactly `base`."""
    if salt == "base":
        return tidy(base)
    factor = base_per_hydrochloride()
    exact = base / factor
    for digits in (6, 9, 12, 15, 16, 17):
        shown = f"{exact:.{digits}g}"
        if as_written(float(shown) * factor) == base:
            return shown
    for step in (1, -1, 2, -2):
        moved = exact
        for _ in range(abs(step)):
            moved = math.nextafter(moved, math.copysign(math.inf, step))
        if as_written(moved * factor) == base:
            return repr(moved)
    return repr(exact)


def _plural(n: int, word: str) -> str:
    return f"{n} {word}" + ("" if n == 1 else "s")


def _say_time(hours: float) -> str:
    """In h if that is short, else in the first unit that reads back as the same number."""
    shown = tidy(hours)
    if len(shown) > 5:
        for unit in ("min", "s", "d"):
            number = f"{hours / HOURS[unit]:.6g}"
            if float(number) * HOURS[unit] == hours:
                return f"{number} {unit}"
    return f"{shown} h"


def _say_schedule(dose: Dose) -> str:
    every, n = dose.every_h, dose.count
    if dose.steady_state and n == 1:
        return f"every {_say_time(every)}"
    if every == 24.0:
        return f"daily for {_plural(n // 7, 'week') if n % 7 == 0 else _plural(n, 'day')}"
    if every == 12.0 and n % 2 == 0:
        return f"twice daily for {_plural(n // 2, 'day')}"
    if every == 168.0:
        return f"weekly for {_plural(n, 'week')}"
    if every % 168 == 0:
        return f"every {every / 168:g} weeks x {n}"
    return f"every {_say_time(every)} x {n}"
