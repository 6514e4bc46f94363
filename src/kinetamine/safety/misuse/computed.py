"""Questions about misuse that published numbers answer: shares, odds, curves, each with its people and grade.

Every function gives an `Answer` about groups of people; none of them is about a person, and none tells how to use.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

from kinetamine.errors import InputError, NoData, UnknownName
from kinetamine.safety.misuse.models import Event, Group, Point, load, row
from kinetamine.safety.misuse.shares import Answer, Grade, Number, beta_share, none_seen, wilson

__all__ = [
    "Odds",
    "bladder",
    "cognition",
    "dependence",
    "diagnosis",
    "escalation",
    "hydronephrosis",
    "liver",
    "mortality",
    "onset",
    "prevalence",
    "recovery",
    "relapse",
    "screening",
    "symptom_index",
    "treatment",
    "urinary_odds",
    "urine",
    "withdrawal",
]

_NORMAL = NormalDist()
#: the symptom score is told for this many times the months
_FIVE = 5.0


def _limits(what: str, value: float, low: float, high: float, why: str) -> float:
    """A number from `low` to `high`; the reason is told with the refusal."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError(what, repr(value), f"a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise NoData(what, f"{value:g}", f"{low:g} to {high:g}: {why}")
    return float(value)


def _counted(id: str, what: str = "", people: str = "", note: str = "") -> Number:
    """The share that a row counted, with Wilson's interval."""
    fact = row(id)
    n, events = _whole(fact.n), _whole(fact.events)
    if n is None or events is None:
        value, low, high = float(fact.value), fact.low, fact.high
    else:
        value, low, high = wilson(events, n)
    return Number(
        what or fact.quantity, people or fact.population, value, low, high, "%", "observed", (id,), n, events,
        note or fact.note,
    )  # fmt: skip


def _whole(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _odds_row(id: str, what: str = "") -> Number:
    fact = row(id)
    return Number(
        what or fact.quantity, fact.population, float(fact.value), fact.low, fact.high, "odds ratio",
        "observed", (id,), note=fact.note,
    )  # fmt: skip


# ---- dependence, diagnosis, screening


def dependence() -> Answer:
    """Dependence as a ladder of groups by exposure, each with its interval; not a curve over doses.

    Returns
    -------
    Answer
        Medians and 95 % intervals of Beta(events + 1/2, n - events + 1/2), in per cent; where no case was seen the
        value is 0 and the upper end that of the exact interval.

    Examples
    --------
    >>> print(dependence()["6 months later"])
    dependence, one trial infusion, 6 months later: 0 (0-5.78) % (0 of 62), observed
    """
    part = load().dependence
    numbers = []
    for step in part.step:
        n = step.n if step.n is not None else sum(_whole(row(r).n) or 0 for r in step.rows)
        events = (
            step.events if step.events is not None else sum(_whole(row(r).events) or 0 for r in step.rows)
        )
        median, low, high = beta_share(events, n)
        note = step.note
        if events == 0:
            note = f"{note}; " if note else ""
            note += (
                f"no case is not 'safe': median {median:.1f} %, upper end {high:.1f} % of the Beta interval"
            )
            median, low, high = 0.0, 0.0, none_seen(n)
        numbers.append(
            Number("dependence", step.group, median, low, high, "%", "observed", step.rows, n, events, note)
        )
    order = part.severity
    numbers.append(
        Number(order.text, row(order.row).population, None, None, None, "", "observed", (order.row,), 80)
    )
    return Answer("dependence", "Dependence by group", tuple(numbers), part.warns)


def diagnosis(criteria: int) -> Answer:
    """The band of a number of DSM-5 criteria met within 12 months.

    Examples
    --------
    >>> diagnosis(4).title
    'DSM-5: 4 of 10 criteria: moderate'
    """
    part = load().diagnosis
    count = int(_limits("criteria", criteria, 0, part.criteria, "DSM-5 has that many"))
    if count != criteria:
        raise InputError("criteria", repr(criteria), "a whole number")
    band = max((b for b in part.bands if part.bands[b] <= count), key=lambda b: part.bands[b])
    number = Number(
        f"criteria met: {band}", "within 12 months", count, None, None, "criteria", "observed", (part.row,)
    )
    return Answer("diagnosis", f"DSM-5: {count} of {part.criteria} criteria: {band}", (number,), part.warns)


def screening(prevalence: float) -> Answer:
    """Predictive values of screening tests at a prevalence, by Bayes.

    Parameters
    ----------
    prevalence : float
        Of the disorder among those who are screened, per cent.

    Examples
    --------
    >>> [round(n.value) for n in screening(8.6).numbers if n.what == "disorder if positive"]
    [51, 34]
    """
    p = _limits("prevalence", prevalence, 0, 100, "a share in per cent") / 100
    part = load().screening
    numbers = []
    for name, test in part.test.items():
        se, sp = test.sensitivity, test.specificity
        positive, negative = se * p + (1 - sp) * (1 - p), (1 - se) * p + sp * (1 - p)
        for what, share in (
            ("disorder if positive", se * p / positive),
            ("no disorder if negative", sp * (1 - p) / negative),
        ):
            numbers.append(
                Number(what, name, 100 * share, None, None, "%", "extrapolated", (test.row,),
                       note="accuracy of other drugs")
            )  # fmt: skip
    return Answer("screening", f"Screening at a prevalence of {prevalence:g} %", tuple(numbers), part.warns)


def assist(score: int) -> str:
    """The band of an ASSIST score for a drug other than alcohol; ketamine is asked among the hallucinogens.

    Examples
    --------
    >>> assist(12)
    'moderate'
    """
    bands = load().screening.assist
    value = _limits("score", score, 0, bands.most, "the scores of the ASSIST")
    return "high" if value >= bands.high_from else "moderate" if value >= bands.moderate_from else "low"


# ---- bladder and liver


def _group(name: str, group: Group) -> Number:
    if group.share is None:
        return _counted(group.row, "any urinary symptom", name)
    n = group.n
    rows = (group.row, group.n_row) if group.n_row else (group.row,)
    if n is None:
        value = 100 * group.share
        return Number("any urinary symptom", name, value, None, None, "%", "observed", rows)
    value, low, high = wilson(group.share * n, n)
    return Number(
        "any urinary symptom", name, value, low, high, "%", "observed", rows, n, round(group.share * n)
    )


def bladder(
    days: float | None = None,
    months: float | None = None,
    sex: str | None = None,
    depressed: bool = False,
    baseline: str = "never users of the survey",
) -> Answer:
    """Bladder symptoms: shares of groups, and odds by days of use on a stated baseline.

    Parameters
    ----------
    days : float, optional
        Days with use among the last 180. Beyond 90 the odds are refused; shares of groups are still given when
        `months` or `sex` is asked about.
    months : float, optional
        Since the first use: the symptom score against a fifth of that time, and who had symptoms by then.
    sex, depressed : optional
        ``"female"`` or ``"male"``; mood, for the symptom score.
    baseline : str
        What the odds stand on.

    Raises
    ------
    NoData
        Beyond 90 days, if nothing else is asked.

    Examples
    --------
    >>> print(bladder(days=26)["frequency, share"])
    frequency, share at 26 days in 180, on never users of the survey (24 %): 32.3 %, fitted
    """
    part = load().bladder
    numbers = [_group(name, group) for name, group in {**part.baseline, **part.group}.items()]
    refused: list[str] = []
    if days is not None:
        try:
            numbers += _by_days(days, baseline)
        except NoData as error:
            if months is None and sex is None:
                raise
            refused.append(str(error))
    if sex is not None or months is not None or depressed:
        numbers += symptom_index(months, sex, depressed).numbers
        refused.append(
            "an absolute share for one sex: no data; women's symptom score is higher, see the ratio"
        )
    if months is not None:
        numbers += onset([months]).numbers
    return Answer("bladder", "Bladder symptoms", tuple(numbers), part.warns, tuple(refused))


def _by_days(days: float, baseline: str) -> Iterable[Number]:
    part = load().bladder
    why = "no day beyond was frequent enough in the survey"
    days = _limits("days", days, 0, part.most_days, f"days of use in {part.window_days:g}; {why}")
    if baseline not in part.baseline:
        raise UnknownName("baseline", baseline, part.baseline, "a baseline")
    ground = part.baseline[baseline]
    share = ground.share if ground.share is not None else _counted(ground.row).value or 0.0
    share = share / 100 if share > 1 else share
    for symptom, id in part.odds.items():
        ratio = (1 + float(row(id).value) / 100) ** days
        odds = share / (1 - share) * ratio
        told = "no interval was printed"
        yield Number(
            f"{symptom}, odds at {days:g} days in {part.window_days:g}", "against no use", ratio, None, None,
            "odds ratio", "fitted", (id,), note=told,
        )  # fmt: skip
        yield Number(
            f"{symptom}, share at {days:g} days in {part.window_days:g}", f"on {baseline} ({100 * share:.3g} %)",
            100 * odds / (1 + odds), None, None, "%", "fitted", (id, ground.row), note=told,
        )  # fmt: skip


def symptom_index(months: float | None = None, sex: str | None = None, depressed: bool = False) -> Answer:
    """A symptom score by time, sex and mood, as ratios; it multiplies a score, not a risk.

    Parameters
    ----------
    months : float, optional
        Since first use; the ratio is against a fifth of that time.
    sex : {"female", "male"}, optional
    depressed : bool

    Examples
    --------
    >>> print(symptom_index(months=60)["five times"])
    symptom score after five times as long (12 to 60 months), 143 users, Taiwan: 1.4 (1.1-1.76) ratio, fitted
    """
    index = load().bladder.index
    fact = row(index.months_row)
    numbers = []
    if months is not None:
        months = _limits("months", months, 1, 240, "months since first use")
        value, low, high = (_FIVE**s for s in (float(fact.value), fact.low or 0.0, fact.high or 0.0))
        what = f"symptom score after five times as long ({months / _FIVE:.3g} to {months:g} months)"
        numbers.append(
            Number(
                what,
                index.people,
                value,
                low,
                high,
                "ratio",
                "fitted",
                (index.months_row,),
                143,
                None,
                index.note,
            )
        )
    if sex not in (None, "female", "male"):
        raise UnknownName("sex", str(sex), ["female", "male"], "a sex")
    for asked, what, span in (
        (sex == "female", "symptom score of women over men", index.women),
        (depressed, "symptom score of depressed over others", index.depressed),
    ):
        if asked:
            value, low, high = (math.exp(x) for x in span)
            numbers.append(
                Number(
                    what,
                    index.people,
                    value,
                    low,
                    high,
                    "ratio",
                    "fitted",
                    (index.sex_row,),
                    143,
                    None,
                    index.note,
                )
            )
    return Answer("bladder", "Symptom score", tuple(numbers), load().bladder.warns)


def onset(months: Iterable[float] | None = None) -> Answer:
    """When urinary symptoms began, among those who got them.

    Examples
    --------
    >>> [round(n.value) for n in onset().numbers]
    [35, 66, 88]
    """
    part = load().bladder.onset
    variance = math.log(1 + (part.sd_months / part.mean_months) ** 2)
    middle = math.log(part.mean_months) - variance / 2
    numbers = [
        Number(
            f"symptoms begun by {t:g} months of use", "of those who got them",
            100 * _NORMAL.cdf((math.log(t) - middle) / math.sqrt(variance)), None, None, "%", "assumed",
            (part.row,), 106, None, part.note,
        )
        for t in (part.at_months if months is None else months)
        if _limits("months", t, 0.1, 240, "months since first use")
    ]  # fmt: skip
    return Answer("bladder", "Onset of urinary symptoms", tuple(numbers), load().bladder.warns)


def hydronephrosis() -> Answer:
    """Hydronephrosis in clinic patients, and what goes with it; the odds stand around the means of the cohort.

    Examples
    --------
    >>> print(hydronephrosis().numbers[0])
    hydronephrosis, uropathy patients, Hong Kong: 16.8 (13.9-20.1) % (96 of 572), observed
    """
    part = load().bladder.hydronephrosis
    numbers = [_counted(part.row, note=part.note)]
    numbers += [_odds_row(id, f"odds, {name}") for name, id in part.odds.items()]
    return Answer("bladder", "Upper urinary tract", tuple(numbers), load().bladder.warns)


def recovery() -> Answer:
    """Who improved after stopping, as a range over studies.

    Examples
    --------
    >>> [round(n.value) for n in recovery().numbers]
    [51, 84, 68]
    """
    part = load().bladder.recovery
    numbers = tuple(_counted(id) for id in part.rows)
    return Answer("bladder", "After stopping", numbers, (part.note, part.normal.note))


def liver() -> Answer:
    """Bile ducts and liver of users who were examined.

    Examples
    --------
    >>> print(liver().numbers[0].shown)
    61.9 (55.8-67.6) %
    """
    part = load().liver
    numbers = [*(_counted(id) for id in part.rows), *(_odds_row(id) for id in part.odds)]
    return Answer("liver", "Bile ducts and liver", tuple(numbers), part.warns)


# ---- stopping, relapse, urine


def withdrawal() -> Answer:
    """Symptoms after stopping: shares of a survey, and a score after medical use.

    Examples
    --------
    >>> print(withdrawal()["craving"].shown)
    71.2 (65.5-76.2) %
    """
    part = load().withdrawal
    medical = part.medical
    numbers = [_counted(id) for id in part.rows]
    numbers += [
        Number(
            f"PWC-20 {week:g} weeks after the last dose", "depression, esketamine spray", score,
            None, None, f"of {medical.of}", "observed", (medical.row,), medical.n, None, f"SD {sd:g}; {medical.note}",
        )
        for week, score, sd in zip(medical.weeks, medical.score, medical.sd, strict=True)
    ]  # fmt: skip
    return Answer("withdrawal", "Withdrawal", (*numbers, *_words("withdrawal")), part.warns)


def _words(topic: str) -> list[Number]:
    statements: dict[str, tuple[str, str]] = getattr(load().text, topic)
    found = []
    for text, (id, certainty) in statements.items():
        fact = row(id)
        people = f"{fact.population}, n {fact.n}" if fact.n else fact.population
        found.append(
            Number(text, people, None, None, None, "", "observed", (id,), note=f"certainty {certainty}")
        )
    return found


def treatment() -> Answer:
    """What is known of treatment: words with numbers of people and certainty, and what was not found."""
    part = load().text
    return Answer("treatment", "Treatment", tuple(_words("treatment")), (part.none_found, *part.warns))


def cognition() -> Answer:
    """What is known of thinking and memory: words with numbers of people and certainty."""
    return Answer("cognition", "Cognition", tuple(_words("cognition")), load().text.warns)


def relapse(event: str | None = None, months: Iterable[float] = (6, 12, 24, 36)) -> Answer:
    """Events after treatment or sentence, one curve for each kind of event; kinds are never pooled.

    Parameters
    ----------
    event : str, optional
        One kind; without it all.
    months : iterable of float
        Where a curve is read; refused beyond its last point.

    Returns
    -------
    Answer
        Where two points were published a Weibull curve through them; else the points alone.

    Examples
    --------
    >>> curve = relapse("offence again, any illicit drug")
    >>> [(round(n.value, 1), n.grade) for n in curve.numbers]
    [(18.3, 'extrapolated'), (25.0, 'observed'), (33.6, 'fitted'), (39.5, 'observed')]
    """
    part = load().relapse
    if event is not None and event not in part.event:
        raise UnknownName("event", event, part.event, "a kind of event")
    numbers: list[Number] = []
    refused: list[str] = []
    for name, one in part.event.items():
        if event in (None, name):
            numbers += _curve(name, one, list(months), refused)
    return Answer("relapse", "After treatment or sentence", tuple(numbers), part.warns, tuple(refused))


def _curve(name: str, one: Event, months: list[float], refused: list[str]) -> list[Number]:
    points = {p.months: _at_point(name, one, p) for p in one.points}
    numbers = list(points.values())
    if len(points) == 2:
        (t1, a), (t2, b) = sorted(points.items())
        shape, scale = _weibull(t1, (a.value or 0) / 100, t2, (b.value or 0) / 100)
        numbers = []
        for t in months:
            if t > t2:
                refused.append(f"{name} at {t:g} months: nothing was published beyond {t2:g}")
            elif t in points:
                numbers.append(points[t])
            else:
                _limits("months", t, 0, t2, "the last published point")
                share = 100 * (1 - math.exp(-scale * t**shape))
                grade: Grade = "extrapolated" if t < t1 else "fitted"
                rows = (*a.rows, *b.rows)
                numbers.append(
                    Number(
                        f"{name} by {t:g} months",
                        one.people,
                        share,
                        None,
                        None,
                        "%",
                        grade,
                        rows,
                        note=one.note,
                    )
                )
    for more in (one.follow, one.ratio):
        if more is not None and more.value is None:
            numbers.append(_counted(more.row, more.text, one.people))
        elif more is not None:
            numbers.append(
                Number(
                    more.text, one.people, more.value, more.low, more.high, "ratio", "observed", (more.row,)
                )
            )
    return numbers


def _at_point(name: str, one: Event, point: Point) -> Number:
    what = f"{name} by {point.months:g} months"
    if point.share is not None:
        low, high = (100 * x if x is not None else None for x in (point.low, point.high))
        return Number(
            what,
            one.people,
            100 * point.share,
            low,
            high,
            "%",
            "observed",
            (point.row,),
            note=row(point.row).note,
        )
    found = _counted(point.row, what, one.people)
    if not point.complement or found.n is None or found.events is None:
        return found
    value, low, high = wilson(found.n - found.events, found.n)
    return Number(
        what, one.people, value, low, high, "%", "observed", (point.row,), found.n, found.n - found.events
    )


def _weibull(t1: float, p1: float, t2: float, p2: float) -> tuple[float, float]:
    """Shape and scale of 1 - exp(-scale t^shape) through two points."""
    h1, h2 = -math.log1p(-p1), -math.log1p(-p2)
    shape = math.log(h2 / h1) / math.log(t2 / t1)
    return shape, h1 / t1**shape


def urine(days: Iterable[float] = (30, 60, 90)) -> Answer:
    """How long urine stays positive after chronic daily use: share of people still positive.

    Examples
    --------
    >>> [round(n.value) for n in urine().numbers]
    [78, 31, 11]
    """
    part = load().urine
    middle = (math.log(part.shortest_days) + math.log(part.longest_days)) / 2
    sigma = math.log(part.longest_days / part.shortest_days) / part.range_sd
    numbers = []
    for day in days:
        _limits("days", day, 0.01, 365, "days after the last use")
        share = 100 * (1 - _NORMAL.cdf((math.log(day) - middle) / sigma))
        within = part.shortest_days <= day <= part.longest_days
        numbers.append(
            Number(
                f"urine still positive after {day:g} days", f"chronic daily users, {part.cutoff}", share, None,
                None, "%", "assumed" if within else "extrapolated", (part.row,), part.n, None,
                "lognormal through the shortest and longest of seven times",
            )
        )  # fmt: skip
    return Answer("urine", "Urine after chronic use", tuple(numbers), part.warns)


# ---- deaths, amounts, prevalence


def mortality(expected: float | None = None) -> Answer:
    """Mortality ratios, drugs found beside ketamine, grave outcomes of poisonings.

    Parameters
    ----------
    expected : float, optional
        Deaths expected of people of that age and sex, per 1000 in three years: multiplied by the ratio of all causes.

    Examples
    --------
    >>> print(mortality()["suicide"])
    deaths over those expected: suicide, 25,357 first-time ketamine offenders, Taiwan, 3 years; from press reports of \
the study, intervals not seen: 13.4 ratio, observed
    """
    part = load().mortality
    people = part.ratio.people
    numbers = [
        Number(
            f"deaths over those expected: {name}", people, r.value, None, None, "ratio", "observed", (r.row,)
        )
        for name, r in part.ratio.items()
    ]
    if expected is not None:
        base = _limits("expected", expected, 0, 1000, "deaths per 1000")
        numbers.append(
            Number(
                "deaths where so many were expected", people, base * part.ratio.all.value, None, None,
                "per 1000 in 3 years", "extrapolated", (part.ratio.all.row,), note="an interval was not seen",
            )
        )  # fmt: skip
    numbers += [_counted(id) for id in part.us.rows]
    for id, found in part.co_drugs.items():
        for drug, percent in found.percent.items():
            events = round(percent * found.n / 100)
            numbers.append(
                Number(f"deaths with ketamine, {drug} found too", row(id).population, *wilson(events, found.n), "%",
                       "observed", (id,), found.n, events)
            )  # fmt: skip
    centres = part.poison_centres
    numbers.append(_counted(centres.row))
    numbers += [
        Number(f"major effect or death with {name}", row(centres.ratios_row).population, *span, "ratio", "observed",
               (centres.ratios_row,), note="adjusted prevalence ratio among calls")
        for name, span in centres.ratios.items()
    ]  # fmt: skip
    numbers += [_odds_row(id) for id in part.suicidality.rows]
    return Answer("mortality", "Deaths and poisonings", tuple(numbers), part.warns)


def escalation(months: float, group: str = "frequent") -> Answer:
    """How many times the first dose a session had become, between the two published points only.

    Examples
    --------
    >>> print(escalation(60).numbers[0].shown)
    7.6 times the first dose
    """
    part = load().escalation
    if group not in part.group:
        raise UnknownName("group", group, part.group, "a group")
    one = part.group[group]
    months = _limits("months", months, 0, one.months, "the two published points: first use and now")
    end = months in (0, one.months)
    number = Number(
        f"dose a session after {months:g} months", one.people, one.fold ** (months / one.months), None, None,
        "times the first dose", "observed" if end else "assumed", (one.row,), 30, None,
        "" if end else "exponential between the two points: an assumption",
    )  # fmt: skip
    return Answer("tolerance", "Escalation", (number,), part.warns)


def prevalence(country: str | None = None, year: int | None = None) -> Answer:
    """Published prevalences by country and year: looked up, never interpolated.

    Raises
    ------
    NoData
        For a year that no survey was found of.

    Examples
    --------
    >>> print(prevalence("United States", 2019).numbers[0].shown)
    0.2 %
    """
    part = load().prevalence
    countries = list(dict.fromkeys(p.country for p in part.point))
    if country is not None and country not in countries:
        raise UnknownName("country", country, countries, "a country with a survey")
    of_country = [p for p in part.point if country in (None, p.country)]
    found = [p for p in of_country if year is None or p.year == str(year)]
    if not found:
        years = ", ".join(dict.fromkeys(p.year for p in of_country))
        raise NoData("year", str(year), f"a year with a survey: {years}; nothing is interpolated")
    numbers = []
    for p in found:
        fact = row(p.row)
        text = fact.value.split(" / ")[0]
        numbers.append(
            Number(f"{fact.quantity}, {p.year}", f"{p.country}, {p.who}", float(text), fact.low, fact.high, fact.unit,
                   "observed", (p.row,), note=fact.note)
        )  # fmt: skip
    return Answer("prevalence", "Use of ketamine in surveys", tuple(numbers), part.warns)


@dataclass(frozen=True)
class Odds:
    """Odds of a urinary symptom against no use, with its birth."""

    symptom: str
    ratio: float
    source: str
    seen: str


def urinary_odds(days: float) -> tuple[Odds, ...]:
    """Odds of each urinary symptom after `days` of use in half a year, against none, from one large survey.

    An association in people who answered a drug-information site, not a prediction for a person.

    Raises
    ------
    NoData
        Beyond the days that are frequent enough in the survey: that would be extrapolation.

    Examples
    --------
    >>> [round(o.ratio, 2) for o in urinary_odds(30) if o.symptom == "haematuria"]
    [1.76]
    """
    part = load().bladder
    found = {n.what.partition(",")[0]: n for n in bladder(days=days).numbers if "odds at" in n.what}
    return tuple(
        Odds(symptom, found[symptom].value or 0.0, row(id).source, row(id).seen)
        for symptom, id in part.odds.items()
    )
