"""Non-compartmental analysis."""

from __future__ import annotations

from typing import Any, Literal

from kinetamine.errors import InputError
from kinetamine.questions.record import HOW, OUT, WHAT, Count, Names, Number, Text, say
from kinetamine.questions.shared import example
from kinetamine.questions.tables import TableOptions

__all__ = ["Nca", "rules_of", "rules_said"]


class Nca(TableOptions, json_schema_extra=example(table="data.csv")):
    """Non-compartmental analysis of measured concentrations."""

    table: Text = say(
        help="Concentrations in time: TIME, DV or CONC, ID, AMT.", metavar="TABLE.csv", argument=True,
        python=None, example="data.csv",
    )  # fmt: skip
    route: Literal["extravascular", "bolus", "infusion"] | None = say(
        None, "Default: infusion where doses have a duration, else extravascular.",
        "extravascular|bolus|infusion", WHAT, example="bolus",
    )  # fmt: skip
    dose: Number | None = say(None, "The dose, if the table has none.", "NUMBER", WHAT, example=320.0)
    duration: Number | None = say(None, "Length of the infusion.", "NUMBER", WHAT, example=0.25)
    group: Names = say(
        [], "Columns that tell curves apart beside ID.", "COLUMN,COLUMN", WHAT, commas=True, example=["TRT"]
    )
    after_dose: Count | None = say(
        None, "Which dose of several the curve follows; default the last.", "N", WHAT, example=1
    )
    units: Names = say(
        [], "Of time, concentration and dose; clearances are then in L.", "h,ng/mL,mg", WHAT, commas=True,
        example=["h", "ng/mL", "mg"],
    )  # fmt: skip
    method: Literal["linear-up log-down", "linear", "linear log"] | None = say(
        None, "How areas are drawn.", "'linear-up log-down'|linear|'linear log'", HOW, python=None,
        example="linear",
    )  # fmt: skip
    points: Count | None = say(
        None,
        "Points of the terminal slope; default by the largest adjusted R².",
        "N",
        HOW,
        python=None,
        example=4,
    )
    slope_from: Number | None = say(
        None, "The terminal slope begins here.", "TIME", HOW, python=None, example=6.0
    )
    slope_to: Number | None = say(
        None, "The terminal slope ends here.", "TIME", HOW, python=None, example=24.0
    )
    partial: Names = say(
        [], "Areas from one time to another.", "0-4,0-24", HOW, commas=True, python=None, example=["0-4"]
    )
    tau: Number | None = say(
        None, "The dosing interval, at steady state.", "TIME", HOW, python=None, example=24.0
    )
    lloq: Number | None = say(
        None, "Values below it are below the limit of quantification.", "NUMBER", HOW, example=0.05
    )
    blq: Names = say(
        [], "What those are before the first value, between two, and after the last.", "zero,drop,zero", HOW,
        commas=True, python=None, example=["zero", "drop", "drop"],
    )  # fmt: skip
    names: Literal["phoenix", "cdisc"] = say(
        "phoenix", "Whose names the parameters carry.", "phoenix|cdisc", OUT, python=None, example="cdisc"
    )
    all: bool = say(False, "Every parameter on the screen, not the usual ones.", panel=OUT, python=None)


def rules_of(asked: Nca) -> Any:
    """`kinetamine.nca.profile.Rules` that a question says; None if it says nothing of them.

    Raises
    ------
    InputError

    Examples
    --------
    >>> rules_of(Nca(table="data.csv", partial=["0-4"], blq=["zero", "drop", "0.1"])).blq_last
    0.1
    """
    from kinetamine.nca.profile import Rules

    said = rules_said(asked)
    return Rules(**said) if said else None


def rules_said(asked: Nca) -> dict[str, Any]:
    """The same as keywords of `Rules`; what says nothing is left out.

    Raises
    ------
    InputError

    Examples
    --------
    >>> rules_said(Nca(table="data.csv", tau=24.0))
    {'tau': 24.0}
    """
    names = ("method", "points", "slope_from", "slope_to", "tau")
    said: dict[str, Any] = {name: getattr(asked, name) for name in names if getattr(asked, name) is not None}
    if asked.partial:
        said["partial"] = tuple(_span(text) for text in asked.partial)
    return said | (_below(asked.blq) if asked.blq else {})


def _span(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    try:
        return float(low), float(high)
    except ValueError:
        raise InputError("partial", repr(text), "two times", "0-4") from None


def _below(rules: list[str]) -> dict[str, Any]:
    if len(rules) != 3:
        raise InputError("blq", ",".join(rules), "three rules: first, between, last", "zero,drop,zero")
    found: list[Any] = []
    for rule in rules:
        try:
            found.append(float(rule))
        except ValueError:
            found.append(rule)
    return dict(zip(("blq_first", "blq_between", "blq_last"), found, strict=True))
