"""Learn from one person's data: a posterior, which is a population.

``curves`` tells what whitened effects z mean and computes lanes of them; ``target`` scores lanes; ``mode``,
``importance`` and ``tempering`` find and draw; ``pareto`` says how far weights can be trusted; ``learned`` and
``person`` put it together for levels, ``trace_back`` for an unknown dose, ``course`` for scores, ``table`` for many
people.
"""

from kinetamine.inference.course import CoursePosterior
from kinetamine.inference.entry import posterior
from kinetamine.inference.mixture import Mixture
from kinetamine.inference.person import Posterior
from kinetamine.inference.search import DoseSearch, search_dose
from kinetamine.inference.trace_back import TracedBack

__all__ = ["CoursePosterior", "DoseSearch", "Mixture", "Posterior", "TracedBack", "posterior", "search_dose"]
