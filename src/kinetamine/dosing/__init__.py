"""Dosing: phrases, TOML tables and event tables to doses in time."""

from kinetamine.dosing.dose import Dose
from kinetamine.dosing.regimen import Regimen
from kinetamine.dosing.tables import EventTable

__all__ = ["Dose", "EventTable", "Regimen"]
