"""What a course gives: scores at visits, endpoints of patients, and how uncertain a group's outcome is."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from kinetamine.course.model import CAVEAT
from kinetamine.errors import InputError, UnknownName

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CourseResult"]

#: event → the column of its day, and of the day the clock starts
_EVENTS = {"response": "response_d", "remission": "remission_d", "relapse": "relapse_d"}
_BANDED = ("mean", "response", "remission")
#: endpoints that mean little without what would have happened anyway
_BESIDE = (
    "ever in response",
    "ever in remission",
    "in remission at two visits in a row",
    "relapsed of those at risk",
)


@dataclass(frozen=True, eq=False)
class CourseResult:
    """One group after one course. A model of groups with wide uncertainty: not for a person.

    `arrays` holds what `kernel.simulate_arm` gave; `bands` the same by draws of uncertain parameters, arrays
    (draw, visit) and (draw,).

    Examples
    --------
    >>> import kinetamine as kt
    >>> r = kt.course("0.5 mg/kg iv over 40 min, twice weekly for 4 weeks", n=2000, seed=1, weeks=8)
    >>> r.visits()["day"].to_list()[:3]
    [0.0, 1.0, 7.0]
    >>> 0 < r.summary()["response at the end"]["low"] < r.summary()["response at the end"]["value"] < 1
    True
    """

    arrays: dict[str, Any]
    bands: dict[str, np.ndarray]
    without: dict[str, float]
    horizon_weeks: float
    title: str
    regimen: tuple[str, ...]
    rules: tuple[str, ...]
    relapse: str
    n: int
    seed: int
    weeks: float
    response: float
    remission: float
    session_h: float
    observation_h: float
    grade: str
    notes: tuple[str, ...]
    sources: tuple[str, ...] = ()
    birth: dict[str, Any] = field(default_factory=dict)
    caveat: str = CAVEAT

    def __getitem__(self, name: str) -> np.ndarray:
        """An array of the kernel by its name, such as ``r["last_score"]`` (patient,)."""
        if name not in self.arrays:
            raise UnknownName("course", name, self.arrays, "an array of the result")
        found: np.ndarray = self.arrays[name]
        return found

    def visits(self) -> pl.DataFrame:
        """Scores and shares at each visit.

        ``_low`` and ``_high`` are the 5th and 95th percentile over parameter uncertainty; ``p05`` and ``p95``
        those of patients.
        """
        import polars as pl

        a = self.arrays
        columns: dict[str, Any] = {
            "day": a["visit_days"],
            "n": a["n"].astype(int),
            "mean": a["mean"],
            "sd": a["sd"],
        }
        columns["change"] = -a["mean_change"]
        for name, share in (("p05", 0.05), ("median", 0.5), ("p95", 0.95)):
            columns[name] = self.quantile(share)
        columns |= {"response": a["response"], "remission": a["remission"]}
        for name in _BANDED:
            if name in self.bands:
                low, high = np.quantile(self.bands[name], [0.05, 0.95], axis=0)
                columns |= {f"{name}_low": low, f"{name}_high": high}
        return pl.DataFrame(columns)

    def quantile(self, share: float) -> np.ndarray:
        """Score below which a share of the patients lies, array (visit,), from bins of half a point."""
        counts = self.arrays["histogram"]
        cumulated = np.cumsum(counts, axis=1)
        wanted = share * cumulated[:, -1]
        width = self.birth.get("score_max", 60) / counts.shape[1]
        out = np.full(len(counts), np.nan)
        for v in np.flatnonzero(cumulated[:, -1]):
            b = int(np.searchsorted(cumulated[v], wanted[v]))
            before = cumulated[v, b - 1] if b else 0
            out[v] = width * (b + (wanted[v] - before) / max(counts[v, b], 1))
        return out

    def patients(self) -> pl.DataFrame:
        """One row per patient: baseline, last score, days of events, sessions, days well."""
        import polars as pl

        from kinetamine.course.kernel import PATIENT

        frame = pl.DataFrame({name: self.arrays[name] for name in PATIENT})
        whole = [pl.col(name).cast(pl.Int64) for name in ("sessions", "boosters")]
        return frame.with_columns(*whole).fill_nan(None)

    def kaplan_meier(self, event: str = "relapse") -> pl.DataFrame:
        """Share still free of an event over days since its clock started.

        The clock of response and remission starts at day 0, that of relapse by the relapse rule. Kaplan and
        Meier's estimate (SciPy); who leaves or is well at the end is censored. `low` and `high` are its 95 %
        log-log interval, Monte Carlo error alone; the uncertainty of the group at the days of the visits is
        ``bands["free"]``, array (draw, visit).

        Returns
        -------
        polars.DataFrame
            day, at_risk, free, low, high.
        """
        import polars as pl

        time, happened = times_to(self.arrays, event)
        if time.size == 0:
            return pl.DataFrame(schema=dict.fromkeys(("day", "at_risk", "free", "low", "high"), pl.Float64))
        curve = _survival(time, happened)
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            # where nobody or everybody has had the event there is no interval; filled in below
            warnings.simplefilter("ignore", RuntimeWarning)
            band = curve.confidence_interval(method="log-log")
        days = curve.quantiles
        at_risk = time.size - np.searchsorted(np.sort(time), days)
        free = curve.probabilities
        low, high = (
            np.where(np.isfinite(b), b, free) for b in (band.low.probabilities, band.high.probabilities)
        )
        return pl.DataFrame({"day": days, "at_risk": at_risk, "free": free, "low": low, "high": high})

    def median_time(self, event: str) -> float:
        """Days until half have had the event (Kaplan-Meier); nan when fewer than half have by the end."""
        return self.median_interval(event)["value"]

    def median_interval(self, event: str) -> dict[str, float]:
        """The same with its 95 % interval (Brookmeyer and Crowley): where the curve's own interval crosses a half.

        An end that the follow-up does not reach is infinite: at least half may be free for longer than was seen.
        """
        curve = self.kaplan_meier(event)
        days = curve["day"].to_numpy()

        def crosses(column: str) -> float:
            below = np.flatnonzero(curve[column].to_numpy() <= 0.5)
            return float(days[int(below[0])]) if below.size else math.inf

        value = crosses("free")
        return {
            "value": value if math.isfinite(value) else math.nan,
            "low": crosses("low"),
            "high": crosses("high"),
        }

    def hazard_ratio(
        self, control: CourseResult, event: str = "relapse", day: float | None = None
    ) -> dict[str, float]:
        """Ratio of cumulative hazards of an event by `day` of its clock, against a control.

        The uncertainty is that of the group: the draws of both arms are paired.

        Returns
        -------
        dict
            ``day``, ``value``, and for relapse ``low`` and ``high``, 5 and 95 % over draws.
        """
        end = min(float(self.arrays["visit_days"][-1]), float(control.arrays["visit_days"][-1]))
        day = end if day is None else float(day)
        free = []
        for one in (self, control):
            time, happened = times_to(one.arrays, event)
            free.append(float(_survival(time, happened).evaluate(day)) if time.size else math.nan)
        out = {"day": day, "value": _ratio(*free)}
        mine, theirs = self.bands.get("free"), control.bands.get("free")
        if event == "relapse" and mine is not None and theirs is not None and len(mine) == len(theirs):
            v, w = (int(np.searchsorted(one.arrays["visit_days"], day + 1e-6)) - 1 for one in (self, control))
            ratios = [_ratio(a, b) for a, b in zip(mine[:, v], theirs[:, w], strict=True)]
            if np.isfinite(ratios).any():
                out["low"], out["high"] = (float(q) for q in np.nanquantile(ratios, [0.05, 0.95]))
        return out

    def summary(self) -> dict[str, dict[str, float]]:
        """The endpoints: value, standard error of the simulation and the 5-95 % range over draws and trials.

        What happened "ever", and relapse, stand only within the weeks of the fit, and beside their value in the
        same group ``without ketamine``: scores of one person wander, so some are well at some visit in any group.
        """
        values = endpoints(self.arrays, self.weeks, self.session_h + self.observation_h)
        out: dict[str, dict[str, float]] = {}
        for name, (value, se) in values.items():
            beside = name in _BESIDE
            if beside and self.weeks > self.horizon_weeks:
                continue
            out[name] = {"value": value, "mc_se": se}
            drawn = self.bands.get(name)
            if drawn is not None and np.isfinite(drawn).any():
                low, high = np.nanquantile(drawn, [0.05, 0.95])
                out[name] |= {"low": float(low), "high": float(high)}
            if beside and name in self.without:
                out[name]["without ketamine"] = self.without[name]
        for event in ("response", "relapse"):
            if event == "response" or self.weeks <= self.horizon_weeks:
                out[f"median days to {event}"] = self.median_interval(event)
        return out

    def nnt(
        self, control: CourseResult | float, endpoint: str = "response", day: float | None = None
    ) -> dict[str, float]:
        """Number needed to treat for one more `endpoint` at a visit, against a control.

        Parameters
        ----------
        control : CourseResult or float
            Another group (its draws of parameters are paired with these), or a published share.
        endpoint : str
            response or remission.
        day : float, optional
            The visit; default the last.

        Returns
        -------
        dict
            ``difference`` of shares with ``low`` and ``high`` (5 and 95 % over draws and trials), and ``nnt``, which
            is infinite without a difference and negative when the control does better, with ``nnt_low`` and
            ``nnt_high``: from the best difference to the worst; where no difference is inside, `nnt_high` is
            infinite.
        """
        if endpoint not in ("response", "remission"):
            raise UnknownName("nnt", endpoint, ("response", "remission"), "an endpoint with shares")
        v = self._visit(day)
        day = float(self.arrays["visit_days"][v])
        mine, drawn = float(self.arrays[endpoint][v]), self.bands.get(endpoint)
        if isinstance(control, CourseResult):
            w = control._visit(day)
            theirs, other = float(control.arrays[endpoint][w]), control.bands.get(endpoint)
            paired = drawn is not None and other is not None and len(drawn) == len(other)
            gaps = drawn[:, v] - other[:, w] if paired else None  # type: ignore[index]
        else:
            theirs = float(control)
            gaps = drawn[:, v] - theirs if drawn is not None else None
        difference = mine - theirs
        out = {"day": day, "difference": difference, "nnt": 1 / difference if difference else math.inf}
        if gaps is not None:
            out["low"], out["high"] = (float(q) for q in np.quantile(gaps, [0.05, 0.95]))
            out["nnt_low"] = 1 / out["high"] if out["high"] > 0 else math.inf
            out["nnt_high"] = 1 / out["low"] if out["low"] > 0 else math.inf
        return out

    def _visit(self, day: float | None) -> int:
        days = self.arrays["visit_days"]
        if day is None:
            return len(days) - 1
        near = int(np.argmin(np.abs(days - day)))
        if abs(days[near] - day) > 1e-6:
            raise InputError("day", f"{day:g}", "a day with a visit", f"day={days[near]:g}")
        return near

    def to_json(self) -> str:
        """Visits, endpoints and birth as JSON; what is missing is null."""
        visits = {name: column.to_list() for name, column in self.visits().to_dict().items()}
        whole = {
            "caveat": self.caveat,
            "grade": self.grade,
            "regimen": list(self.regimen),
            "rules": list(self.rules),
            "relapse": self.relapse,
            "visits": visits,
            "summary": self.summary(),
            "notes": list(self.notes),
            "birth": self.birth,
        }
        return json.dumps(_clean(whole), ensure_ascii=False, allow_nan=False)

    def cite(self, form: str = "text") -> str:
        """The works behind this very run: one a line, or as BibTeX, RIS or CSL-JSON."""
        from kinetamine.models.library import reference
        from kinetamine.results import references

        return references.listed(map(reference, self.sources), form)


def times_to(arrays: Mapping[str, Any], event: str) -> tuple[np.ndarray, np.ndarray]:
    """Days from the start of an event's clock to the event or to the end, and whether it happened."""
    if event not in _EVENTS:
        raise UnknownName("kaplan_meier", event, _EVENTS, "an event")
    observed = arrays["observed_d"]
    start = arrays["relapse_start_d"] if event == "relapse" else np.zeros(observed.size)
    begun = np.isfinite(start)
    day = arrays[_EVENTS[event]][begun]
    happened = np.isfinite(day)
    end = np.where(happened, day, np.maximum(observed[begun], start[begun]))
    return end - start[begun], happened


def _ratio(mine: float, theirs: float) -> float:
    """Of cumulative hazards, from the shares still free."""
    if not (0 < mine <= 1 and 0 < theirs < 1):
        return math.nan
    return math.log(mine) / math.log(theirs)


def _survival(time: np.ndarray, happened: np.ndarray) -> Any:
    from scipy.stats import CensoredData, ecdf

    return ecdf(CensoredData.right_censored(time, ~happened)).sf


def free_of_relapse(arrays: Mapping[str, Any], days: np.ndarray) -> np.ndarray:
    """Share still free of relapse at some days of its clock, array (day,); nan when nobody was at risk."""
    time, happened = times_to(arrays, "relapse")
    if time.size == 0:
        return np.full(days.shape, np.nan)
    free: np.ndarray = _survival(time, happened).evaluate(days)
    return free


def _clean(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _clean(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def endpoints(arrays: dict[str, Any], weeks: float, session_h: float) -> dict[str, tuple[float, float]]:
    """Group endpoints of one run: name → (value, Monte Carlo standard error).

    Shares at the end are of those still seen; times and sessions of everyone who began.
    """
    n = len(arrays["baseline"])
    observed = arrays["observed_d"]
    left = max(float(arrays["n"][-1]), 1.0)
    begun = np.isfinite(arrays["relapse_start_d"])
    relapsed = np.isfinite(arrays["relapse_d"][begun])

    def share(value: float, of: float) -> tuple[float, float]:
        return value, math.sqrt(max(value * (1 - value), 0) / max(of, 1))

    def mean(values: np.ndarray) -> tuple[float, float]:
        return float(values.mean()), float(values.std() / math.sqrt(n))

    years = np.maximum(observed, 1e-9) / 365.25
    return {
        "score at the end": (float(arrays["mean"][-1]), float(arrays["sd"][-1] / math.sqrt(left))),
        "response at the end": share(float(arrays["response"][-1]), left),
        "remission at the end": share(float(arrays["remission"][-1]), left),
        "ever in response": share(float(np.isfinite(arrays["response_d"]).mean()), n),
        "ever in remission": share(float(np.isfinite(arrays["remission_d"]).mean()), n),
        "in remission at two visits in a row": share(
            float(np.isfinite(arrays["remission_twice_d"]).mean()), n
        ),
        "relapsed of those at risk": share(float(relapsed.mean()) if begun.any() else math.nan, begun.sum()),
        "share of time well": mean(arrays["well_d"] / np.maximum(observed, 1e-9)),
        "sessions": mean(arrays["sessions"]),
        "boosters per year": mean(arrays["boosters"] / years),
        "clinic hours": mean(arrays["sessions"] * session_h),
        "stopped by a rule": share(float(np.isfinite(arrays["stopped_d"]).mean()), n),
        "left": share(float((observed < 7 * weeks).mean()), n),
    }
