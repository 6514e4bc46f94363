"""Infusions that reach and hold a target concentration, and how fast it falls once they stop.

``system`` writes a linear model with its patient as matrices and follows them exactly; ``target`` plans bolus and
rates within the limits of a pump.
"""

from kinetamine.infusion.target import Infusion, context_sensitive_half_time, infusion_for

__all__ = ["Infusion", "context_sensitive_half_time", "infusion_for"]
