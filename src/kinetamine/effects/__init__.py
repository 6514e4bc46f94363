"""Acute effects: when a dose begins to act, when it is strongest, when it ends, and in whom.

``choice`` finds the pk models, ``selection`` the effect models that can read them, ``crossing`` computes when a
signal is above a limit, ``acute`` puts the answer together.
"""

from kinetamine.effects.acute import AcuteEffect, AcuteEffects, effects

__all__ = ["AcuteEffect", "AcuteEffects", "effects"]
