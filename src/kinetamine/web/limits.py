"""How much one request may ask for. The command line has none of these limits."""

from __future__ import annotations

from dataclasses import dataclass

from kinetamine.errors import InputError

__all__ = ["Limits", "TooMuch"]


class TooMuch(InputError):
    """A request that is larger than this server computes."""


@dataclass(frozen=True)
class Limits:
    """What a server computes at most, for one request and at the same time.

    Parameters
    ----------
    patients, doses, times : int
        Of one request; doses with their repeats written out.
    values : int
        Patients × times × outputs that are computed.
    patient_weeks : int
        Of a course.
    patient_rates : int
        Of an infusion that is given to other people: patients × steps of the pump.
    draws, learned : int
        Of a posterior: draws, and people of a table.
    body_bytes : int
        Of a request.
    seconds : float
        Until a request is answered, be it with a refusal.
    computing, waiting : int
        Requests that are computed and that wait at the same time.

    Examples
    --------
    >>> Limits().check("patients", 10**9, Limits().patients, "kinetamine simulate --patients 1000000000")
    Traceback (most recent call last):
    kinetamine.web.limits.TooMuch: patients: got 1,000,000,000; expected at most 20,000 in one request to ...
    """

    patients: int = 20_000
    doses: int = 2_000
    times: int = 20_000
    values: int = 60_000_000
    patient_weeks: int = 1_040_000
    patient_rates: int = 10_000_000
    draws: int = 50_000
    learned: int = 40
    body_bytes: int = 64_000
    seconds: float = 30.0
    computing: int = 2
    waiting: int = 32

    def check(self, where: str, asked: float, most: float, way_out: str = "") -> None:
        """Refuse more than `most`.

        Raises
        ------
        TooMuch
            With the limit and the way out.
        """
        if asked > most:
            cure = f"the command line, which has no such limit: {way_out}" if way_out else "less"
            raise TooMuch(where, f"{asked:,}", f"at most {most:,} in one request to this server", cure)
