"""The one place where model, doses and people meet.

``request`` reads what was asked and refuses what cannot be done; ``parts`` turns doses into amounts and rates of
a model's states; ``grid`` runs a regimen in a population on common times, ``events`` runs an event table;
``grade`` says how far to trust the outcome.
"""

from kinetamine.simulate.request import simulate

__all__ = ["simulate"]
