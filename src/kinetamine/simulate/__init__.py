"""The one place where model, doses and people meet.

``request`` reads what was asked, runs it and puts the result together; ``times`` settles when to look, ``share``
what of the doses is a model's own, ``parts`` how doses enter a model's states; ``grid`` runs a regimen in a
population on common times, ``events`` runs an event table, both on ``runner``; ``grade`` says how far to trust the
outcome, ``birth`` where it comes from.
"""

from kinetamine.simulate.request import simulate

__all__ = ["simulate"]
