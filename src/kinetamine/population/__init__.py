"""Who is treated: one patient, or many drawn from a published reference or from a table of real people.

``people`` has the two public classes; ``given`` reads what the user says about them; ``reference`` and
``sampling`` draw age, sex, weight and height; ``draws`` draws what differs between people beyond
that, ``residual`` adds what a measurement does.
"""

from kinetamine.population.people import Patient, Population
from kinetamine.population.residual import add_residual

__all__ = ["Patient", "Population", "add_residual"]
