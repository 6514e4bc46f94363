"""Where one session ends and the next one begins."""

from __future__ import annotations

import math
from typing import Any

from kinetamine.dosing import Regimen
from kinetamine.effects.acute import AcuteEffects, effects

__all__ = ["PAUSE_H", "POINTS", "effects_of_first_session", "first_session"]

#: a dose after a pause this long starts another session; acute effects of a session are over by then
PAUSE_H = 6.0
#: how many times effects are looked at: twice as many move medians by less than 2 %
POINTS = 300


def first_session(regimen: Regimen, pause_h: float = PAUSE_H) -> float:
    """When the second session of a regimen begins.

    Onset and end of an effect are those of everything that is given; over several sessions they would span the weeks
    between. `kinetamine.effects` asked until this time tells of the first one.

    Parameters
    ----------
    regimen : Regimen
    pause_h : float, h
        The shortest time without a dose between two sessions.

    Returns
    -------
    float
        Hours on the regimen's clock; infinite if there is one session.

    Examples
    --------
    >>> first_session(Regimen.parse("56 mg nasal, twice weekly for 4 weeks"))
    72.0
    >>> first_session(Regimen.parse(["0.5 mg/kg iv over 1 min", "0.5 mg/kg/h iv for 24 h at 1 min"]))
    inf
    """
    first, *others = regimen.expanded()
    over = first.end_h
    for dose in others:
        if dose.time_h - over >= pause_h:
            return float(dose.time_h)
        over = max(over, dose.end_h)
    return math.inf


def effects_of_first_session(
    regimen: Regimen, until_h: float, **options: Any
) -> tuple[AcuteEffects, float | None]:
    """Acute effects of the first session, and when the second begins if that is before the end.

    Parameters
    ----------
    regimen : Regimen
    until_h : float, h
        The end of what is looked at.
    **options
        As `kinetamine.effects` takes them; looked at in `POINTS` times.

    Returns
    -------
    AcuteEffects, float or None

    Raises
    ------
    NoData
        As `kinetamine.effects`.

    Examples
    --------
    >>> import kinetamine as kt
    >>> doses = Regimen.parse("84 mg nasal, twice weekly for 4 weeks")
    >>> found, second = effects_of_first_session(doses, 672.0, effects="sedation", population=kt.Patient())
    >>> second, found[0].offset_min["q50"] < 180
    (72.0, True)
    """
    second = first_session(regimen)
    return effects(
        regimen, until=min(until_h, second), points=POINTS, **options
    ), second if second < until_h else None
