"""What was measured: levels and scores, from kinetamine.observations.observation import Observation
from kinetamine.observations.observed import Observations, parse

__all__ = ["Observation", "Observations", "parse"]
