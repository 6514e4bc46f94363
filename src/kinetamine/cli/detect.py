"""``kinetamine detect``: how long a test stays positive after a dose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kinetamine import questions
from kinetamine.cli.command import Out, command
from kinetamine.cli.output import grid

if TYPE_CHECKING:
    from kinetamine.safety.detection import Detection, DetectionResult

__all__ = ["detect"]

#: when the table looks, h after the last dose
_LOOKS = {"12 h": 12, "1 d": 24, "2 d": 48, "3 d": 72, "7 d": 168}


@command(
    "detect",
    formats=("table", "json"),
    gives=("out", "figure", "cite"),
    examples="""
kinetamine detect --dose "84 mg nasal"
kinetamine detect --dose "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks" --assay lc_ms_ms
kinetamine detect --dose "50 mg oral" --analyte norketamine --cutoff "50 ng/mL" --format json
kinetamine detect --dose "84 mg nasal" --creatinine "15 mg/dL"
kinetamine detect --dose "84 mg nasal" --assay five_panel
""",
)
def detect(asked: questions.DetectLine, out: Out) -> None:
    """Probability of a positive test over time and the detection window, next to what was observed."""
    from kinetamine.questions import people
    from kinetamine.safety import detection

    found = detection.detect(asked.doses, population=people.of(asked, "--"), **asked.arguments())

    out.give(
        lambda: _screen(found),
        json=lambda: found.to_json() + "\n",
        sources=lambda: [found.cite()],
        figure=lambda figures: figures.detection(found),
    )


def _screen(found: DetectionResult) -> list[Any]:
    parts: list[Any] = [f"doses: {phrase}" for phrase in found.regimen]
    if found.birth:
        parts += [f"{found.matrix}: {found.birth['n']:,} people, {found.birth['models'][0]['id']}", ""]
    if found.answer:
        parts += [found.answer, ""]
    if found.detections:
        table = grid("assay", "analyte", "cut-off, ng/mL", "window, h", *_LOOKS, right=False)
        for column in table.columns[2:]:
            column.justify = "right"
        for d in found.detections:
            table.add_row(d.assay, d.analyte, f"{d.cut_off:g}", *_numbers(d))
        parts += ["Window after the last dose, median (5-95 %), and share of people positive", table]
        reasons: dict[str, list[str]] = {}
        for d in found.detections:
            reasons.setdefault("; ".join([d.grade, *d.reasons]), []).append(f"{d.analyte} ({d.assay})")
        parts += [f"{', '.join(names)}: {why}" for why, names in reasons.items()]
    if found.observed:
        table = grid("observed, not computed", "finding", "who and what", "seen", right=False)
        for f in found.observed:
            who = "; ".join(filter(None, (f.given, f"n {f.n}" if f.n else None, f.note)))
            limit = f" (limit {f.limit} {f.unit})" if f.limit else ""
            table.add_row(f"{f.analyte}\n{f.id}", f.words + limit, who, f.seen)
        parts += ["", table]
    return parts


def _numbers(d: Detection) -> list[str]:
    if d.probability is None:
        return ["no data", *("–" for _ in _LOOKS)]
    low, middle, high = (f"{h:.0f}" if h >= 10 else f"{h:.1f}" for h in d.window_h.values())
    return [f"{middle} ({low}-{high})", *(f"{100 * d.at(h):.0f} %" for h in _LOOKS.values())]
