"""Acute effects: published onsets, lengths, sizes and frequencies against the effect models."""

from kinetamine.evidence.effects.compare import fingerprint, run
from kinetamine.evidence.effects.page import page

__all__ = ["COUNTED", "fingerprint", "page", "run"]

COUNTED = "observations"
