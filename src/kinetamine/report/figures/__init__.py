"""Figures: one definition each, for the page, the report and files."""

from kinetamine.report.figures.acute import explore, timeline
from kinetamine.report.figures.axes import MOST_POINTS, thin
from kinetamine.report.figures.bands import TYPICAL_NOTE, curves
from kinetamine.report.figures.flows import diagram
from kinetamine.report.figures.groups import course, survival
from kinetamine.report.figures.learned import dose_and_time, learned, parameters, scores, values
from kinetamine.report.figures.models import comparison
from kinetamine.report.figures.ratios import Ratio, forest
from kinetamine.report.figures.scatter import predicted_observed
from kinetamine.report.figures.strip import administrations, doses_drawn
from kinetamine.report.figures.vega import DARK, PALETTE, Figure, save, svg, writable
from kinetamine.report.figures.windows import detection

__all__ = [
    "DARK",
    "MOST_POINTS",
    "PALETTE",
    "TYPICAL_NOTE",
    "Figure",
    "Ratio",
    "administrations",
    "comparison",
    "course",
    "curves",
    "detection",
    "diagram",
    "dose_and_time",
    "doses_drawn",
    "explore",
    "forest",
    "learned",
    "parameters",
    "predicted_observed",
    "save",
    "scores",
    "survival",
    "svg",
    "thin",
    "timeline",
    "values",
    "writable",
]
