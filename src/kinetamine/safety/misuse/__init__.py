"""What repeated use and overdose do: published numbers, and what can be computed from them; no advice how to use.

``published`` holds the rows and concentration ranges, ``computed`` the questions that have a number as their answer,
``timeline`` the story of an invented person for teaching.
"""

from kinetamine.safety.misuse.asked import Asked, ask
from kinetamine.safety.misuse.computed import (
    Odds,
    assist,
    bladder,
    cognition,
    dependence,
    diagnosis,
    escalation,
    hydronephrosis,
    liver,
    mortality,
    onset,
    prevalence,
    recovery,
    relapse,
    screening,
    symptom_index,
    treatment,
    urinary_odds,
    urine,
    withdrawal,
)
from kinetamine.safety.misuse.published import (
    Fact,
    Threshold,
    facts,
    gravest_kind,
    kinds,
    thresholds,
    topics,
)
from kinetamine.safety.misuse.shares import Answer, Number
from kinetamine.safety.misuse.timeline import Moment, Timeline, timeline

__all__ = [
    "Answer",
    "Asked",
    "Fact",
    "Moment",
    "Number",
    "Odds",
    "Threshold",
    "Timeline",
    "ask",
    "assist",
    "bladder",
    "cognition",
    "dependence",
    "diagnosis",
    "escalation",
    "facts",
    "gravest_kind",
    "hydronephrosis",
    "kinds",
    "liver",
    "mortality",
    "onset",
    "prevalence",
    "recovery",
    "relapse",
    "screening",
    "symptom_index",
    "thresholds",
    "timeline",
    "topics",
    "treatment",
    "urinary_odds",
    "urine",
    "withdrawal",
]
