"""What a simulation gives back: arrays with units and grades, exposure measures, birth and references."""

from kinetamine.results.output import STATUS, Output
from kinetamine.results.result import Result
from kinetamine.results.table import TableResult

__all__ = ["STATUS", "Output", "Result", "TableResult"]
