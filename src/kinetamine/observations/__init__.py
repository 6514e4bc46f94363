"""What was measured: levels and scores, from phrases, from the columns of an event table, or from a data frame."""

from kinetamine.observations.observation import Observation
from kinetamine.observations.observed import Observations, parse

__all__ = ["Observation", "Observations", "parse"]
