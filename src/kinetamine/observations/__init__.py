"""What was measured: levels and scores, from phrases, from the columns of an event table, or from a data frame."""

from kinetamine.observations.observed import Observation, Observations
from kinetamine.observations.phrases import parse

__all__ = ["Observation", "Observations", "parse"]
