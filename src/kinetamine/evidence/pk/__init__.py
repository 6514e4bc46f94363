"""Concentrations in blood: published exposure values and curves against every model whose range holds them."""

from kinetamine.evidence.pk.compare import fingerprint, run
from kinetamine.evidence.pk.page import page

__all__ = ["COUNTED", "fingerprint", "page", "run"]

COUNTED = "observations"
