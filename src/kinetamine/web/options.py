"""What the page can start from: drugs, routes, models and published doses, read from the data files."""

from __future__ import annotations

import functools
from typing import Any

from kinetamine.choice import choices
from kinetamine.comparison import ENANTIOMERS
from kinetamine.course import available_courses, rules
from kinetamine.course.model import CAVEAT, SETTINGS, available, load
from kinetamine.course.run import read_course
from kinetamine.dosing.library import regimens
from kinetamine.dosing.regimen import Dose
from kinetamine.models import library
from kinetamine.safety import detection

__all__ = ["options"]

#: a slider goes from this share of the smallest published dose to this multiple of the largest
_BELOW, _ABOVE = 0.25, 1.5


@functools.cache
def options() -> dict[str, Any]:
    """Routes with their models and the span of published doses, and the published regimens.

    Returns
    -------
    dict
        ``routes``: people, route, drug, models, why, amounts (unit, low, high, usual, over_min, n published);
        ``regimens``: id, use, title, doses, population, models, patient. ``courses``: the shipped ones;
        ``course_models`` with their switches, ``course_rules``: examples, ``course_caveat``. ``detection``: what is
        tested and by which assays. ``analytes``: what models give.

    Examples
    --------
    >>> nasal = next(r for r in options()["routes"] if (r["route"], r["drug"]) == ("nasal", "S-ketamine"))
    >>> nasal["models"][0]["id"], nasal["amounts"][0]["unit"]
    ('perez_ruixo_2021_esketamine', 'mg')
    """
    titles = {entry.id: entry.title for entry in library.available()}
    published = [r for r in regimens().values() if r.models]
    found = []
    for row in choices():
        children = row.people == "children"
        firsts = [r.regimen.doses[0] for r in published if r.population.startswith("children") == children]
        same = [d for d in firsts if d.entry == row.route and (d.drug or row.drug) == row.drug]
        found.append(
            {
                "people": row.people,
                "route": row.route,
                "drug": row.drug,
                "models": [{"id": m, "title": titles.get(m, m)} for m in row.models],
                "why": row.reason,
                **_span(same, row.models[0]),
            }
        )
    return {
        "routes": found,
        "regimens": [
            r.model_dump(include={"id", "use", "title", "doses", "population", "models", "patient", "note"})
            for r in published
        ],
        "courses": [{"id": id, **read_course(id).model_dump(mode="json")} for id in available_courses()],
        "course_models": [
            {"id": m.id, "title": m.title, "switches": m.switches} for m in map(load, available())
        ],
        "course_rules": list(rules.EXAMPLES),
        "course_settings": [name for name, switches in SETTINGS.items() if switches],
        "course_caveat": CAVEAT,
        "detection": _detection(),
        "analytes": _analytes(),
    }


def _detection() -> dict[str, Any]:
    desk = detection.load()
    assays = {
        matrix: [
            {
                "id": id,
                "method": facts[0].method,
                "analytes": sorted({fact.analyte for fact in facts}),
                "usual": id in desk.usual.get(matrix, ()),
            }
            for id, facts in desk.assays(matrix).items()
        ]
        for matrix in desk.matrices
    }
    return {
        "matrices": list(desk.matrices),
        "observed_only": desk.observed_only,
        "analytes": list(detection.ANALYTES),
        "assays": assays,
    }


def _analytes() -> list[str]:
    """What `kinetamine.compare` can be asked for: of the models, and both enantiomers of it together."""
    entries = [e for e in library.available() if e.kind == "pk" and e.status != "incomplete"]
    known = {o.analyte or name for e in entries for name, o in library.load(e.id).outputs.items()}
    return sorted(known | {name.removeprefix(half) for name in known for half in ENANTIOMERS})


def _span(doses: list[Dose], model: str) -> dict[str, Any]:
    """Amounts that were given, by unit, the commonest first: of regimens, else what the model was made from."""
    amounts: list[dict[str, Any]] = []
    single = [d for d in doses if not d.rate]
    for per_kg in (True, False):
        mine = sorted((d for d in single if d.per_kg == per_kg), key=lambda d: d.amount)
        if not mine:
            continue
        usual = mine[len(mine) // 2].amount
        over = sorted(60 * d.duration_h for d in mine if d.amount == usual and d.duration_h)
        amounts.append(
            {
                "unit": "mg/kg" if per_kg else "mg",
                "low": round(mine[0].amount * _BELOW, 6),
                "high": round(mine[-1].amount * _ABOVE, 6),
                "usual": usual,
                "over_min": round(over[len(over) // 2], 6) if over else None,
                "n": len(mine),
            }
        )
    if not amounts:
        range_ = library.load(model.split("+")[0].strip()).applies.dose_mg
        if range_ is not None:
            low, high = map(float, range_)
            amounts.append(
                {"unit": "mg", "low": low, "high": high, "usual": (low + high) / 2, "over_min": None, "n": 0}
            )
    amounts.sort(key=lambda a: -int(a["n"]))
    return {"amounts": amounts}
