"""Interactions and special patients: published exposure ratios against the fitted factors."""

from kinetamine.evidence.interactions.compare import fingerprint, run
from kinetamine.evidence.interactions.page import page

__all__ = ["COUNTED", "fingerprint", "page", "run"]

COUNTED = "ratios"
