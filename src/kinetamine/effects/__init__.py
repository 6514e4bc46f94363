"""Acute effects: when a dose begins to act, when it is strongest, when it ends, and in whom.

``choice`` finds the pk models, ``selection`` the effect models that can read them, ``crossing`` computes when a
signal is above a limit, ``acute`` puts the answer together, ``sessions`` says where the first session ends.
"""

from kinetamine.effects.acute import AcuteEffect, AcuteEffects, effects
from kinetamine.effects.sessions import effects_of_first_session, first_session

__all__ = ["AcuteEffect", "AcuteEffects", "effects", "effects_of_first_session", "first_session"]
