"""Dosing: phrases, TOML tables and event tables to doses in time."""

from kinetamine.dosing.regimen import Dose, Regimen
from kinetamine.dosing.tables import EventTable

__all__ = ["Dose", "EventTable", "Regimen"]
