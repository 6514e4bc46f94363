"""Ketamine together with other anaesthetics."""

from __future__ import annotations

from kinetamine.questions.record import Number, Question, Text, say

__all__ = ["Combine"]


class Combine(Question):
    """Ketamine together with propofol, remifentanil, sevoflurane or dexmedetomidine, as published."""

    what: Text | None = say(
        None, "Such as ketofol; without it, the list.", "[WHAT]", argument=True, example="ketofol"
    )
    ratio: Number | None = say(None, "ketofol: propofol over ketamine, by mass.", "NUMBER", example=5.0)
    duration: Number | None = say(
        None, "ketofol: hours of infusion.", "HOURS", option="--for", unit="h", example=1.5
    )
    weight: Number | None = say(None, "ketofol: of the child.", "KG", unit="kg", example=20.0)
    age: Number | None = say(None, "ketofol: of the child.", "YEARS", unit="year", example=5.0)
    propofol: Number | None = say(None, "bolus: mg/kg; laryngoscopy: ug/mL.", "NUMBER", example=0.63)
    ketamine: Number | None = say(None, "bolus: mg/kg.", "MG/KG", unit="mg/kg", example=0.21)
    remifentanil: Number | None = say(None, "laryngoscopy: ng/mL.", "NG/ML", unit="ng/mL", example=2.0)
    endpoint: Text | None = say(None, "bolus: such as 'no response to tetanus'.", "NAME", example="apnoea")
