"""Acute effects, the comparison of models, and the explorer that shows curves and effects at once."""

from __future__ import annotations

from kinetamine.questions.record import WHAT, WHEN, WHO, Count, Names, Pairs, Question, Seed, again, say
from kinetamine.questions.shared import Dosed, Drawn, Modelled, Models, People, Time, Timed, example

__all__ = ["Compare", "Effects", "EffectsLine", "Sought"]


class Sought(Question):
    """Which effects, and from when they count."""

    effect: Names = say(
        [], "An effect or an effect model; repeat for more. Default: all that can answer.", "NAME|ID|FILE.toml",
        WHAT, python="effects", example=["not awake"],
    )  # fmt: skip
    threshold: Pairs | None = say(
        None,
        "Instead of the effect model's own, in the effect's unit.",
        "VALUE|EFFECT=VALUE",
        WHAT,
        example=2.0,
    )
    allow_site_mismatch: bool = say(
        False,
        "Let arterial effects read venous curves and the other way round; lowers the grade.",
        panel=WHAT,
    )


class Effects(
    People,
    Sought,
    Modelled,
    Dosed,
    json_schema_extra=example(doses="2 mg/kg iv over 1 min", effect=["not awake"], patients=50),
):
    """Onset, peak, offset and duration of acute effects, with the share of the people affected."""

    model: Models | None = again(
        Modelled, "model", None,
        "A pk model; twice for one of S- and one of R-ketamine. Default: see docs/effects.md.",
    )  # fmt: skip
    all_models: bool = say(False, "Every pk model that fits, side by side.", panel=WHAT)
    patients: Count = again(People, "patients", 1000, "How many people.")
    seed: Seed = again(People, "seed", 0)
    typical: bool = say(False, "One typical patient instead of many.", panel=WHO, python=None)
    until: Time = again(Timed, "until", "24 h")
    step: Time = again(Timed, "step", "1 min", "Time between points; finer just after a dose.")
    points: Count | None = say(
        None,
        "Instead of --step at most about so many times, closest just after doses.",
        "N",
        WHEN,
        example=300,
    )


class EffectsLine(Drawn, Effects):
    """The same where files may be read."""


class Compare(
    Timed,
    People,
    Dosed,
    json_schema_extra=example(doses="0.5 mg/kg iv over 40 min", set={"weight": 70}),
):
    """The same dose through every published model that applies, and how far they are apart."""

    model: Names = say(
        [], "Only these; 'A + B' for a model of each enantiomer. Default: all that apply.", "ID|FILE.toml", WHAT,
        python="models", example=["kamp_2020_meta_racemic"],
    )  # fmt: skip
    analyte: Names = say(
        [], "Such as ketamine (S and R together) or S-norketamine; repeat for more. Default: what is given.",
        "NAME", WHAT, example=["S-norketamine"],
    )  # fmt: skip
    seed: Seed = again(People, "seed", 0)
