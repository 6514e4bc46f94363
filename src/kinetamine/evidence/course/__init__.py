"""The course of depression: outcomes of published trials against the course model."""

from kinetamine.evidence.course.compare import fingerprint, run
from kinetamine.evidence.course.page import page

__all__ = ["COUNTED", "fingerprint", "page", "run"]

COUNTED = "outcomes"
