"""Figures: valid definitions whose numbers can be swapped, grades that look apart, words that do not overlap."""

from __future__ import annotations

import functools
import json
import re
import time
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("vl_convert")

import vl_convert

import kinetamine as kt
from kinetamine.effects import AcuteEffect, AcuteEffects
from kinetamine.errors import InputError, UnknownName
from kinetamine.models import library
from kinetamine.report import figures
from kinetamine.report.figures.axes import apart
from kinetamine.results import Output, Result, TableResult
from kinetamine.safety.detection import Detection, DetectionResult, Fact

WIDE, NARROW = {"width": 720, "labels": "end"}, {"width": 300, "labels": "above"}


# ---- what figures are made from: `size` moves every number, nothing else


def dose(**fields):
    plain = {"time_h": 0.0, "amount": 0.5, "per_kg": True, "entry": "iv", "drug": None}
    return SimpleNamespace(**(plain | {"duration_h": 2 / 3, "rate": None} | fields))


def result(n=50, grade="fitted", size=1.0, **more):
    times = np.arange(0.0, 25.0)
    spread = np.exp(np.random.default_rng(0).normal(0, 0.3, (n, 1))) if n > 1 else np.ones((1, 1))
    parent = 100 * size * np.exp(-0.2 * times) * spread
    outputs = {
        "S-ketamine": Output("S-ketamine", "S-ketamine", "venous plasma", "ng/mL", grade, (), parent),
        "S-norketamine": Output("S-norketamine", "", "venous plasma", "ng/mL", "fitted", (), parent / 2),
        "pain relief": Output("pain relief", "", "effect", "points", "observed", (), parent / (parent + 50)),
    }
    fields = {"typical": n == 1, "doses": (dose(amount=0.5 * size),)}
    return Result(times, outputs, **(fields | more))


def effect(name, onset, end, grade="fitted", affected=0.6, **more):
    def times(middle):
        return None if middle is None else {"q05": middle * 0.8, "q50": middle, "q95": middle * 1.4}

    none = onset is None
    length = None if none or end is None else end - onset
    ends = None if none else {"q05": 1e3, "q50": None, "q95": None} if end is None else times(end)
    parts = (times(onset), times(onset and onset * 1.2), ends, times(length))
    fields = {"model": "otto_2021_s_ketamine", "module": "some_2020_effect"}
    return AcuteEffect(name, "half", *parts, 0.0 if none else affected, grade, (), **(fields | more))


def effects(size=1.0):
    rows = [
        effect("dissociation", 5, 90 * size),
        effect("altered perception and memory", 3, 400, "extrapolated", 0.97),
        effect("not awake", 1, None, affected=0.004),
        effect("sedation", 12 * size, 60 * size, "fitted" if size < 2 else "extrapolated"),
        effect("anaesthesia", None if size < 2 else 9, 30),
    ]
    return AcuteEffects(tuple(rows), {"herd_2008_children": "children"})


def compared(size=1.0):
    t = np.linspace(0, 8, 97)
    rows = []
    for k, name in enumerate(
        ("otto_2021_s_ketamine", "perez_ruixo_2021_esketamine", "noppers_2011_s_ketamine")
    ):
        middle = size * (100 + 20 * k) * np.exp(-t / (k + 1))
        site = "arterial plasma" if k == 2 else "venous plasma"
        row = {"model": name, "title": "", "drug": "S-ketamine", "analyte": "S-ketamine", "site": site}
        row |= {
            "unit": "ng/mL",
            "grade": "extrapolated" if k == 1 else "fitted",
            "time_h": t,
            "middle": middle,
        }
        rows.append(row | {"low": None if k == 2 else middle * 0.7, "high": None if k == 2 else middle * 1.4})
    return rows


def found(size=1.0, typical=False):
    t = np.linspace(0, 400, 201)

    def one(analyte, middle, grade):
        probability = 1 / (1 + np.exp((t - middle) / 5))
        window = {0.05: 0.7 * middle, 0.5: middle, 0.95: 1.3 * middle}
        return Detection("gc", "GC-MS", analyte, 50.0, t, probability, window, 1.0, grade, ())

    lacking = Detection("eia", "EIA", "ketamine", 9.0, t, None, {}, np.nan, "no data", ("no half-life",))
    some = {
        "analyte": "ketamine",
        "matrix": "urine",
        "seen": "text",
        "source": "x_2020",
        "kind": "detection_window",
    }
    facts = (
        Fact.model_construct(id="a", window="24-48 h", given="50 mg oral", not_compared=None, **some),
        Fact.model_construct(id="b", window="up to 2304 h", given=None, not_compared="chronic use", **some),
    )
    tests = (one("ketamine", 40 * size, "fitted"), one("norketamine", 60 * size, "extrapolated"), lacking)
    birth = {"population": {"kind": "patient" if typical else "population"}}
    return DetectionResult("urine", tests, facts, birth=birth)


@functools.cache
def arm(weeks=6):
    return kt.course(
        "0.5 mg/kg iv over 40 min, twice weekly for 2 weeks", n=200, seed=weeks, weeks=6, uncertainty=10
    )


def pairs(size=1.0):
    rng = np.random.default_rng(1)
    rows = []
    for k in range(60):
        seen = float(np.exp(rng.normal(4, 1)))
        row = {
            "observed": seen,
            "predicted": seen * size * float(np.exp(rng.normal(0, 0.5))),
            "label": "Cmax",
        }
        row |= {"model": f"model_{k % 8}_s_ketamine", "site": ("venous plasma", "arterial plasma")[k % 2]}
        rows.append(row | {"unit": "h" if k % 3 == 0 else "ng/mL"})
    return rows


def ratios(size=1.0):
    return [
        figures.Ratio("rifampicin", "oral AUC", (0.14 * size, None, None), (0.14, None, None), "fitted"),
        figures.Ratio("rifampicin", "iv AUC", (0.86, 0.8, 0.92), (0.88 * size, 0.7, 1.1), "predicted"),
        figures.Ratio("itraconazole", "oral AUC", None, (1.1, 0.9, 1.3 * size), "extrapolated"),
    ]


@functools.cache
def learned(size):
    """A person's posterior, of values times `size`."""
    levels = [f"S-ketamine {46 * size:g} ng/mL at 40 min", f"S-norketamine <{20 * size:g} ng/mL at 2 h",
              "S-ketamine 3 to 10 ng/mL at 3 h"]  # fmt: skip
    return kt.posterior("otto_2021_s_ketamine", "10 mg iv over 30 min", levels)


@functools.cache
def traced(size, when=", 0 to 24 h before"):
    """An unknown dose, of a value times `size`."""
    level = f"S-ketamine {46 * size:g} ng/mL at {0 if when else 2} h"
    return kt.posterior("perez_ruixo_2021_esketamine", f"10 to 1000 mg oral{when}", [level])


@functools.cache
def scored(size):
    """A patient's scores, the last times `size`."""
    seen = ["MADRS 34 on day 0", "MADRS 25 on day 7", f"MADRS {round(12 * size)} on day 14"]
    return kt.posterior("hierarchical", "84 mg nasal, twice weekly for 2 weeks", seen)


#: name → a figure of some width, with numbers of some size
DRAW = {
    "curves": lambda size, **w: figures.curves(result(size=size), **w),
    "curves, typical": lambda size, **w: figures.curves(result(1, "extrapolated", size), **w),
    "curves, logarithmic": lambda size, **w: figures.curves(
        result(grade="extrapolated", size=size), log=True, **w
    ),
    "timeline": lambda size, **w: figures.timeline(effects(size), until_h=6 * size, doses=[dose()], **w),
    "timeline, typical": lambda size, **w: figures.timeline(effects(size), until_h=6, typical=True, **w),
    "explore": lambda size, **w: figures.explore(result(size=size), effects(size), **w),
    "comparison": lambda size, **w: figures.comparison(compared(size), doses=[dose()], **w),
    "course": lambda size, **w: figures.course(
        {"ketamine, twice weekly": arm(6), "other": arm(int(6 * size))}, **w
    ),
    "course of one": lambda size, **w: figures.course(arm(int(6 * size)), **w),
    "survival": lambda size, **w: figures.survival({"one": arm(6), "two": arm(int(6 * size))}, **w),
    "forest": lambda size, **w: figures.forest(ratios(size), **w),
    "detection": lambda size, **w: figures.detection(found(size), **w),
    "detection, typical": lambda size, **w: figures.detection(found(size, typical=True), **w),
    "values of a person": lambda size, **w: figures.values(learned(size), **w),
    "values of a person, logarithmic": lambda size, **w: figures.values(learned(size), log=True, **w),
    "parameters of a person": lambda size, **w: figures.parameters(learned(size), **w),
    "dose and time": lambda size, **w: figures.dose_and_time(traced(size), **w),
    "scores of a patient": lambda size, **w: figures.scores(scored(size), **w),
    "dose alone": lambda size, **w: figures.dose_and_time(traced(size, ""), **w),
    "predicted, by site": lambda size, **w: figures.predicted_observed(pairs(size), **w),
    "predicted, by model": lambda size, **w: figures.predicted_observed(pairs(size), by="model", **w),
}
#: words that must be there
SAYS = {
    "curves": (
        "S-ketamine",
        "fitted",
        "time, h",
        "median of 50 patients; bands: 5-95 % and 25-75 %",
        "0.5 mg/kg",
    ),
    "curves, typical": ("extrapolated", figures.TYPICAL_NOTE),
    "curves, logarithmic": ("logarithmic axis",),
    "timeline": (
        "dissociation",
        "60 % of people, fitted",
        "<1 % of people",
        "Not reached: anaesthesia.",
        "No data: 1",
    ),
    "timeline, typical": (figures.TYPICAL_NOTE,),
    "explore": ("acute effects", "S-norketamine", "doses", "97 % of people, extrapolated"),
    "comparison": ("arterial plasma", "venous plasma", "no spread", "perez_ruixo_2021_"),
    "course": ("not for a person", "share in remission", "patients at risk", "ketamine, twice weekly"),
    "course of one": ("light band: 5-95 % of patients",),
    "survival": ("share free of relapse", "time since the clock of relapse began, d"),
    "forest": ("rifampicin", "observed", "predicted, nothing fitted", "extrapolated, no data"),
    "detection": (
        "ketamine: 40 h (28-52)",
        "extrapolated",
        "as published, chronic use",
        "No data for ketamine above 9",
    ),
    "detection, typical": (figures.TYPICAL_NOTE,),
    "values of a person": ("before the data", "with the data", "triangle down: below a limit", "10 mg"),
    "parameters of a person": ("V1_i", "learned", "over the median before the data"),
    "dose and time": ("nine tenths", "leaves the dose open by a factor of", "No statement about a person"),
    "scores of a patient": (
        "MADRS",
        "probability of a relapse",
        "how far single patients follow it was not tested",
    ),
    "dose alone": ("half of the probability", "dose, mg"),
    "predicted, by site": ("venous plasma", "within 2-fold", "observed, ng/mL"),
    "predicted, by model": ("others",),
}


def draw(name, size=1.0, **how):
    return DRAW[name](size, **(how or WIDE))


def bare(figure):
    """A definition without what may differ between two runs of one question."""
    definition = figure.to_dict()
    params = [{**p, "value": None} if "value" in p else p for p in definition["params"]]
    return json.dumps(
        {**definition, "datasets": sorted(definition["datasets"]), "params": params}, sort_keys=True
    )


def all_words(figure):
    """Every text of a figure, lines joined, params and data too."""
    definition = figure.to_dict()

    def texts(part):
        if isinstance(part, str):
            yield part
        elif isinstance(part, list) and part and all(isinstance(line, str) for line in part):
            yield " ".join(part)
        elif isinstance(part, (list, dict)):
            for inner in part.values() if isinstance(part, dict) else part:
                yield from texts(inner)

    return "\n".join(
        texts([definition["datasets"], definition["params"], definition["vconcat"], definition.get("title")])
    )


# ---- rules for all of them


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("how", [WIDE, NARROW], ids=["wide", "narrow"])
def test_it_is_drawn_and_no_words_overlap(name, how):
    figure = draw(name, **how)
    drawn = vl_convert.vegalite_to_scenegraph(figure.still())
    words = [box for box in texts_of(drawn) if box.text.strip()]
    assert len(words) > 5
    clash = [(a.text, b.text) for k, a in enumerate(words) for b in words[:k] if a.meets(b)]
    assert not clash
    room = drawn["width"] + 12
    assert not [box.text for box in words if box.right + drawn["origin"][0] > room]
    assert how is WIDE or drawn["width"] <= 300 + 80


@pytest.mark.parametrize("name", DRAW)
@pytest.mark.parametrize("how", [WIDE, NARROW], ids=["wide", "narrow"])
def test_only_data_and_parameters_hang_on_numbers(name, how):
    one, other = draw(name, 1.0, **how), draw(name, 2.5, **how)
    assert bare(one) == bare(other)
    assert one.to_json() != other.to_json()


@pytest.mark.parametrize("name", SAYS)
def test_it_says_what_it_shows(name):
    said = all_words(draw(name))
    for words in SAYS[name]:
        assert words in said, words


@pytest.mark.parametrize("name", DRAW)
def test_every_colour_has_a_dark_one(name):
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]{3,6})"', figures.svg(draw(name))))
    assert used <= set(figures.DARK)


def test_the_time_axis_can_change_its_unit():
    points = [{"time_h": 1.0, "output": "S-ketamine", "value": 9.0}]
    short, long = result(), result()
    long.time_h = long.time_h * 24
    assert bare(figures.curves(short, observed=points)) == bare(figures.curves(long, observed=points))
    assert bare(figures.explore(short, effects())) == bare(figures.explore(long, None))


def test_a_group_in_which_nobody_responds():
    some = arm()
    nobody = replace(some, arrays=some.arrays | {"relapse_start_d": np.full(some.n, np.nan)})
    assert bare(figures.survival(nobody)) == bare(figures.survival(some))
    counts = {row["text"] for row in figures.survival(nobody).to_dict()["datasets"]["at_risk"]}
    assert counts == {"0"}
    figures.svg(figures.course({"some": some, "nobody": nobody}))


def test_a_grade_can_change_while_a_slider_moves():
    looks = [bare(figures.curves(result(grade=grade))) for grade in ("observed", "fitted", "extrapolated")]
    assert len(set(looks)) == 1


def test_drawing_is_quick():
    r, e = result(1000), effects()
    times = np.linspace(0, 24, 241)
    values = {
        k: Output(k, "", o.site, o.unit, "fitted", (), np.tile(o.values[:, :1], 241))
        for k, o in r.outputs.items()
    }
    r = Result(times, values, doses=r.doses)
    figures.explore(r, e)  # quantiles are remembered

    def took(draw):
        begin = time.perf_counter()
        draw()
        return time.perf_counter() - begin

    assert min(took(lambda: figures.curves(r)) for _ in range(5)) < 0.010
    assert min(took(lambda: figures.timeline(e)) for _ in range(5)) < 0.003
    assert min(took(lambda: figures.explore(r, e)) for _ in range(5)) < 0.012


# ---- curves


def looks_of(definition):
    """Marks as they are drawn, without the words; parameters put in."""
    text = re.sub(r"<text.*?</text>", "", figures.svg(definition), flags=re.S)
    return re.sub(r"<g[^>]*>|</g>", "", text)


def test_grades_never_look_alike():
    looks = {
        (n, grade): looks_of(figures.curves(result(n, grade), ["S-ketamine"]))
        for n in (1, 50)
        for grade in ("observed", "fitted", "extrapolated")
    }
    assert len(set(looks.values())) == 6


def test_bars_of_grades_never_look_alike():
    bars = [effect("x", 5, 60, grade) for grade in ("fitted", "extrapolated")]
    looks = {looks_of(figures.timeline([bar], until_h=2, typical=t)) for bar in bars for t in (True, False)}
    assert len(looks) == 4


def test_typical_patient_is_never_a_plain_line():
    figure = figures.curves(result(1)).to_dict()
    dashes = {p["name"]: p["value"] for p in figure["params"] if p["name"].startswith("dash")}
    assert len(dashes) == 3
    assert all(min(dash) > 0 for dash in dashes.values())
    assert '"area"' not in json.dumps(figure)
    assert str(figure).count(figures.TYPICAL_NOTE) == 2


def test_population_has_bands():
    figure = figures.curves(result(), ["S-ketamine"])
    assert figure.to_json().count('"area"') == 2
    few = figures.curves(result(4), ["S-ketamine"])
    assert "each of 4 patients" in few.to_json()
    assert '"area"' not in few.to_json()


def test_streamed_bands():
    full = result()
    outputs = {
        k: Output(k, "", o.site, o.unit, "fitted", quantiles=full.quantiles(k, (0.1, 0.5, 0.9)))
        for k, o in full.outputs.items()
    }
    figure = figures.curves(Result(full.time_h, outputs, birth={"n": 50}), ["S-ketamine"])
    assert "band: 10-90 %" in figure.to_json()


def test_panels_by_unit_and_site():
    figure = figures.curves(result()).to_dict()
    assert [p["title"]["text"][0] for p in figure["vconcat"]] == [
        "doses",
        "venous plasma, ng/mL",
        "pain relief, points",
    ]
    scales = {json.dumps(p["layer"][0]["encoding"]["x"]["scale"]) for p in figure["vconcat"]}
    assert len(scales) == 1  # doses and curves share their time axis
    with pytest.raises(UnknownName, match="'S-ketamine'"):
        figures.curves(result(), ["S-ketamin"])
    with pytest.raises(InputError, match="'end' or 'above'"):
        figures.curves(result(), labels="left")


@pytest.mark.parametrize(("factor", "unit"), [(1, "h"), (24, "d"), (1 / 24, "min")])
def test_axes_have_units(factor, unit):
    r = result()
    r.time_h = r.time_h * factor
    assert f"time, {unit}" in figures.curves(r).to_json()


def test_log_axis_has_no_zero():
    r = result()
    r["S-ketamine"][:, 0] = 0.0
    drawn = figures.curves(r, ["S-ketamine"], log=True).to_dict()["datasets"]["curve_0_0"]
    assert min(row[k] for row in drawn for k in ("y", "low0", "low1")) > 0


def test_observed_points():
    frame = pl.DataFrame({"time_h": [1.0, 2.0], "output": ["S-ketamine"] * 2, "value": [80.0, None]})
    figure = figures.curves(result(), ["S-ketamine"], observed=frame)
    row = {"t": 1.0, "y": 80.0, "when": "1 h", "said": "80.0, observed"}
    assert figure.to_dict()["datasets"]["observed_0_0"] == [row]
    assert "circles: observed" in all_words(figure)
    with pytest.raises(InputError, match="time_h, output and value"):
        figures.curves(result(), observed=[{"time": 1}])
    with pytest.raises(UnknownName):
        figures.curves(result(), observed=[{"time_h": 1, "output": "x", "value": 1}])


def test_the_pointer_reads_numbers_of_the_result():
    r = result()
    rows = figures.curves(r, ["S-ketamine"]).to_dict()["datasets"]["hover_0"]
    row = next(row for row in rows if row["t"] == 6.0)
    low, middle, high = (float(v[6]) for v in r.quantiles("S-ketamine").values())
    assert [row["l0"], row["m0"], row["h0"]] == pytest.approx([low, middle, high], rel=1e-4)
    assert rows[0]["from"] == 0 and rows[-1]["to"] == 24
    assert figures.curves(r).still()["datasets"]["hover_0"] == []  # a file has no pointer


def test_event_tables_are_drawn_by_subject():
    times = np.tile(np.arange(5.0), 3)
    out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.exp(-times))
    r = TableResult(np.repeat(["a", "b", "c"], 5), np.repeat(np.arange(3), 5), times, {"C": out})
    figure = figures.curves(r)
    assert "each subject of the table" in all_words(figure)
    assert {row["k"] for row in figure.to_dict()["datasets"]["curve_0_0"]} == {0, 1, 2}
    figures.svg(figure)


@given(st.integers(3, 5000), st.integers(0, 10**6))
def test_thinning_keeps_the_peaks(n, seed):
    shape = np.random.default_rng(seed).normal(size=n)
    kept = figures.thin(shape, -shape)
    assert len(kept) <= max(figures.MOST_POINTS, 4)
    assert {0, n - 1, int(shape.argmax()), int(shape.argmin())} <= set(kept.tolist())
    assert (np.diff(kept) > 0).all()


def test_large_populations_stay_small():
    times = np.linspace(0, 672, 20_000)
    out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.random.default_rng(0).random((20, 20_000)))
    figure = figures.curves(Result(times, {"C": out})).to_dict()
    assert max(map(len, figure["datasets"].values())) <= figures.MOST_POINTS


@given(st.lists(st.floats(0, 220), min_size=1, max_size=4))
def test_labels_do_not_overlap(places):
    moved = np.sort(apart(places, [28] * len(places), 220))
    assert (np.diff(moved) >= 28 - 1e-9).all()
    assert moved[0] >= 14 - 1e-9
    assert moved[-1] <= 206 + 1e-9


def test_repeated_late_and_missing_doses():
    every = dose(amount=10.0, per_kg=False, rate=5.0, duration_h=None, count=3, every_h=6.0)
    later = dose(time_h=1e4, amount=1.0, entry="oral", duration_h=None)
    figure = figures.curves(result(doses=(every, later)))
    blocks = figure.to_dict()["datasets"]["doses"]
    assert [(b["t"], b["end"]) for b in blocks] == [(0.0, 2.0), (6.0, 8.0), (12.0, 14.0)]
    assert "10 mg × 3" in all_words(figure)
    assert "none in this time" in all_words(figure)
    assert "doses" not in figures.curves(result(doses=())).to_dict()["datasets"]


# ---- acute effects


def test_effects_beyond_the_axis_end_in_arrows():
    figure = figures.timeline(effects(), until_h=2.0)
    rows = {row["effect"]: row for row in figure.to_dict()["datasets"]["effects"]}
    high = next(p["value"] for p in figure.to_dict()["params"] if p["name"] == "x_high")
    assert set(rows) == {"dissociation", "altered perception and memory", "not awake", "sedation"}
    beyond = {name for name, row in rows.items() if row["end"] > high}
    assert beyond == {"altered perception and memory", "not awake"}
    assert rows["not awake"]["ends"] == "not over by the end"
    assert signs(figure, "triangle-right") == 5  # two ends, and three whiskers that go on
    assert signs(figures.timeline(effects(), until_h=20.0), "triangle-right") == 2


def signs(figure, shape):
    """How many signs of a shape are drawn."""
    return json.dumps(vl_convert.vegalite_to_scenegraph(figure.still())).count(f'"shape": "{shape}"')


def test_what_comes_and_goes_with_doses_does_not_look_as_if_it_lasted():
    once, twice = (
        figures.timeline(effects(), until_h=9, doses=[dose(time_h=t) for t in range(n)]) for n in (1, 2)
    )
    assert bare(once) == bare(twice)
    assert "in between it may be gone" in all_words(twice)
    scenes = [json.dumps(vl_convert.vegalite_to_scenegraph(figure.still())) for figure in (once, twice)]
    hollow = [scene.count('"fillOpacity": 0,') for scene in scenes]
    assert hollow[0] == 0 and hollow[1] >= 4


def test_effects_count_from_the_first_dose():
    late = result(doses=(dose(time_h=3.0), dose(time_h=9.0)))
    rows = figures.explore(late, effects()).to_dict()["datasets"]["effects"]
    assert rows[0]["onset"] == pytest.approx(3 + 5 / 60, abs=1e-4)


def test_height_follows_the_rows():
    few = vl_convert.vegalite_to_scenegraph(figures.timeline(effects().rows[:1], until_h=6).still())
    more = vl_convert.vegalite_to_scenegraph(figures.timeline(effects(2.5).rows, until_h=6).still())
    assert more["height"] - few["height"] == pytest.approx(4 * 30, abs=1)


def test_no_effect_at_all_is_said():
    assert "no effect model can answer" in all_words(figures.explore(result(), None))
    assert "no effect is reached by anybody" in all_words(figures.timeline([effect("x", None, None)]))


def test_one_effect_of_two_papers_has_two_names():
    two = [
        effect("pain relief", 5, 60, module="simons_2022_x"),
        effect("pain relief", 6, 50, module="olofsen_2012_x"),
    ]
    rows = figures.timeline(two).to_dict()["datasets"]["effects"]
    assert [row["effect"] for row in rows] == ["pain relief (Simons 2022)", "pain relief (Olofsen 2012)"]


def test_a_window_of_the_time():
    figure = figures.explore(result(), effects(), window=(2.0, 6.0)).to_dict()
    values = {p["name"]: p.get("value") for p in figure["params"]}
    assert (values["x_low"], values["x_high"], values["x_unit"]) == (2.0, 6.0, "h")
    assert {row["t"] for row in figure["datasets"]["curve_0_0"]} == {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}


def test_effects_as_they_are_computed():
    found = kt.effects("2 mg/kg iv over 1 min", effects="not awake", population=kt.Patient(weight=70))
    assert "the typical patient" in figures.timeline(found, typical=True).to_json()


# ---- the others


def test_arterial_and_venous_share_a_scale():
    figure = figures.comparison(compared()).to_dict()
    assert [p["title"]["text"][0].split(",")[1] for p in figure["vconcat"]] == [
        " arterial plasma",
        " venous plasma",
    ]
    values = {p["name"]: p.get("value") for p in figure["params"]}
    assert values["y0_high"] == values["y1_high"]
    with pytest.raises(InputError, match="at least one model"):
        figures.comparison([])


def test_numbers_at_risk_fall():
    rows = figures.survival(arm()).to_dict()["datasets"]["at_risk"]
    counts = [int(row["text"].replace(",", "")) for row in rows]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == int(np.isfinite(arm()["relapse_start_d"]).sum())
    with pytest.raises(InputError, match="1 to 6 arms"):
        figures.course({})


def test_interactions_as_they_are_kept():
    from kinetamine.evidence.interactions.compare import Agreement
    from kinetamine.safety import perturbations

    kept = perturbations.load().observed
    rows = [
        Agreement(row.ids[0], row, row.ratio * 1.1)
        for row in kept
        if row.use in ("fit", "held out") and row.ratio
    ]
    figure = figures.forest(rows).to_dict()
    drawn = figure["datasets"]["ratios"]
    assert {row["kind"] for row in drawn} == {"fitted", "predicted"}
    assert sum(bool(row["group"]) for row in drawn) == len({row.id for row in rows})
    figures.svg(figures.forest(rows))


def test_a_matrix_that_cannot_be_computed_shows_what_was_published():
    figure = figures.detection(kt.detect("84 mg nasal", matrix="hair"))
    assert "not computed" in all_words(figure)
    assert figure.to_dict()["datasets"]["windows"]


def test_predicted_against_observed_counts_folds():
    rows = [
        {"observed": 1.0, "predicted": p, "model": "a", "site": "x", "unit": "h", "label": ""}
        for p in (1.9, 2.1)
    ]
    assert "1 of 2 within 2-fold" in all_words(figures.predicted_observed(rows))
    with pytest.raises(UnknownName, match="site"):
        figures.predicted_observed(rows, by="sites")


PK = [entry.id for entry in library.available() if entry.kind == "pk"]


@pytest.mark.parametrize("model", PK)
@pytest.mark.parametrize("width", [560, 300])
def test_nothing_overlaps_in_a_diagram(model, width):
    spec = library.load(model)
    figure = figures.diagram(spec, width=width)
    data = figure.to_dict()["datasets"]
    if not spec.compartments:
        assert "no compartments" in all_words(figure)
        return
    boxes = [(r["left"], r["top"], r["right"], r["foot"]) for r in data["boxes"]]
    assert not touching(boxes)
    few = len(spec.compartments) <= 12  # more do not fit at 300 pixels: the figure gets wider
    if (spec.id, width) == ("ashraf_2018_semimechanistic_ticlopidine", 300):
        pytest.xfail("its boxes need 324 pixels")
    assert min(b[0] for b in boxes) >= -1 and max(b[2] for b in boxes) <= (width if few else 720) + 1
    numbers = [(r["px"] - 7, r["py"] - 7, r["px"] + 7, r["py"] + 7) for r in data["numbers"]]
    assert len(numbers) == len(spec.flows)
    assert not touching(numbers)
    assert not touching([*boxes, *numbers])
    assert not [line for line in segments(data["arrows"]) for box in boxes if crosses(line, box)]
    said = " ".join(row["text"] for row in data["list"])
    boxed = {" ".join(row["text"]) for row in data["boxes"]}
    for name in spec.compartments:
        assert name.replace("_", " ") in boxed
    for name, output in spec.outputs.items():
        assert f"measured as {name}, {output.site}" in said
    figures.svg(figure)


def test_an_effect_model_is_told_in_words():
    said = all_words(figures.diagram(library.load("olofsen_2022_perception")))
    assert "reads S-ketamine in arterial plasma" in said
    assert "Ce follows C, rate log(2) / t_half" in said
    assert "gives external perception" in said


def test_an_unknown_kind_of_ratio():
    with pytest.raises(UnknownName, match="predicted"):
        figures.Ratio("x", "AUC", None, (1.0, None, None), "predikted")


def touching(boxes):
    """Pairs of rectangles that overlap."""
    return [
        (a, b)
        for k, b in enumerate(boxes)
        for a in boxes[:k]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def segments(rows):
    lines = {}
    for row in rows:
        lines.setdefault(row["line"], []).append((row["px"], row["py"]))
    return [pair for corners in lines.values() for pair in pairwise(corners)]


def crosses(line, box):
    """Whether a stretch of a line runs through a box, its rim left out."""
    (x0, y0), (x1, y1) = line
    share = np.linspace(0, 1, 200)
    x, y = x0 + share * (x1 - x0), y0 + share * (y1 - y0)
    return bool(((x > box[0] + 1) & (x < box[2] - 1) & (y > box[1] + 1) & (y < box[3] - 1)).any())


# ---- files


@pytest.mark.parametrize(
    ("suffix", "start"), [("svg", b"<svg"), ("pdf", b"%PDF"), ("png", b"\x89PNG"), ("json", b"{")]
)
def test_figure_files(tmp_path, suffix, start):
    figures.save(figures.curves(result(1)), tmp_path / f"f.{suffix}")
    assert (tmp_path / f"f.{suffix}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


def test_unknown_figure_suffix(tmp_path):
    with pytest.raises(InputError, match=r"\.svg"):
        figures.save(figures.curves(result(1)), tmp_path / "f.bmp")


def test_a_notebook_draws_it():
    figure = figures.curves(result(1))
    assert figure._repr_mimebundle_()["application/vnd.vegalite.v5+json"] is figure.definition
    assert json.loads(figure.to_json()) == figure.to_dict()


# ---- where words are, measured about as wide as they are drawn


class Box(SimpleNamespace):
    def meets(self, other):
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.foot, other.foot) - max(self.top, other.top)
        return across > 1 and down > 3


def texts_of(drawn):
    """Every visible text of a scene with its place."""

    def walk(mark, x, y):
        for item in mark.get("items", []):
            here = x + item.get("x", 0), y + item.get("y", 0)
            if mark["marktype"] == "text" and item.get("opacity", 1) > 0 and item.get("text"):
                yield box(item, *here)
            for inner in item.get("items", []):
                yield from walk(inner, *here)

    return list(walk(drawn["scenegraph"], 0, 0))


def box(item, x, y):
    lines = item["text"] if isinstance(item["text"], list) else [item["text"]]
    size = item.get("fontSize", 11)
    letter = size * (0.56 if item.get("fontWeight") == "bold" else 0.5)
    wide = max(len(str(line)) for line in lines) * letter
    wide = min(wide, item.get("limit") or wide)
    high = (len(lines) - 1) * item.get("lineHeight", size + 2) + size
    shift = {"center": -wide / 2, "right": -wide}.get(item.get("align", "left"), 0)
    rise = {"middle": -size / 2, "top": 0, "line-top": 0}.get(item.get("baseline"), -size * 0.8)
    x, y = x + item.get("dx", 0), y + item.get("dy", 0)
    if item.get("angle") in (270, -90):
        return Box(
            text=" ".join(map(str, lines)), left=x - size, right=x, top=y - wide / 2, foot=y + wide / 2
        )
    left, top = x + shift, y + rise
    return Box(text=" ".join(map(str, lines)), left=left, right=left + wide, top=top, foot=top + high)
