"""Figures and the self-contained report."""

from __future__ import annotations

import html.parser
import re
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("altair")
pytest.importorskip("vl_convert")
pytest.importorskip("jinja2")

from kinetamine.errors import InputError, UnknownName
from kinetamine.report import figures
from kinetamine.report.html import NOTICE, render, write_report
from kinetamine.results import Output, Result, TableResult

EVIL = "<script>alert(1)</script>\"'&</svg>"


def result(n=50, grade="fitted", **more):
    times = np.arange(0.0, 25.0)
    spread = np.exp(np.random.default_rng(0).normal(0, 0.3, (n, 1))) if n > 1 else np.ones((1, 1))
    parent = 100 * np.exp(-0.2 * times) * spread
    outputs = {
        "S-ketamine": Output(
            "S-ketamine", "S-ketamine", "venous plasma", "ng/mL", grade, ("why so",), parent
        ),
        "S-norketamine": Output("S-norketamine", "", "venous plasma", "ng/mL", "fitted", (), parent / 2),
        "pain relief": Output("pain relief", "", "effect", "points", "observed", (), parent / (parent + 50)),
    }
    birth = {
        "models": [{"id": "otto_2021_s_ketamine", "digest": "9f86d081884c7d65", "status": "published"}],
        "kinetamine": "0.1.0",
        "seed": 1,
        "regimen": ["0.5 mg/kg iv over 40 min"],
        "population": "adults",
    }
    dose = SimpleNamespace(
        time_h=0.0, amount=0.5, per_kg=True, entry="iv", drug=None, duration_h=2 / 3, rate=None
    )
    papers = [
        {"key": "otto_2021", "citation": "Otto ME. Eur J 2021;77:1", "doi": "10.1007/x", "seen": "recalled"}
    ]
    given = {
        "birth": birth,
        "citations": papers,
        "doses": (dose,),
        "notes": ("a venous model",),
        "typical": n == 1,
    }
    return Result(times, outputs, **(given | more))


def marks(definition):
    """Every mark of a figure, with what it is drawn from."""
    found = []

    def walk(part):
        if "mark" in part:
            found.append(part["mark"] | {"rows": definition["datasets"][part["data"]["name"]]})
        for key in ("vconcat", "layer"):
            for child in part.get(key, []):
                walk(child)

    walk(definition)
    return found


def lines(definition):
    return [m for m in marks(definition) if m["type"] == "line"]


def words(definition):
    return [
        text for m in marks(definition) if m["type"] == "text" for row in m["rows"] for text in row["text"]
    ]


# ---- figures


def test_grades_never_look_alike():
    looks = {}
    for n in (1, 50):
        for grade in ("observed", "fitted", "extrapolated"):
            d = figures.curves(result(n, grade), ["S-ketamine"]).to_dict()
            assert grade in words(d)
            drawn = [
                {k: v for k, v in m.items() if k != "rows"}
                for m in marks(d)
                if m["type"] not in ("text", "rect")
            ]
            looks[n, grade] = str(drawn)
    assert len(set(looks.values())) == 6


def test_typical_patient_is_never_a_plain_line():
    d = figures.curves(result(1)).to_dict()
    assert all(m.get("strokeDash") for m in lines(d) if m["color"] != figures.SHADE)
    assert str(d).count(figures.TYPICAL_NOTE) == 2
    assert not [m for m in marks(d) if m["type"] == "area"]


def test_population_has_bands():
    d = figures.curves(result(), ["S-ketamine"]).to_dict()
    assert len([m for m in marks(d) if m["type"] == "area"]) == 2
    assert "bands: 5-95 % and 25-75 %" in str(d)
    few = figures.curves(result(4), ["S-ketamine"]).to_dict()
    assert "each of 4 patients" in str(few)
    assert not [m for m in marks(few) if m["type"] == "area"]


def test_streamed_bands():
    full = result()
    outputs = {
        k: Output(k, "", o.site, o.unit, "fitted", quantiles=full.quantiles(k, (0.1, 0.5, 0.9)))
        for k, o in full.outputs.items()
    }
    d = figures.curves(Result(full.time_h, outputs, birth={"n": 50}), ["S-ketamine"]).to_dict()
    assert "band: 10-90 %" in str(d)


def test_panels_by_unit_and_site():
    d = figures.curves(result()).to_dict()
    titles = [p["title"]["text"][0] for p in d["vconcat"]]
    assert titles == ["doses", "venous plasma, ng/mL", "pain relief, points"]
    domains = {str(p["layer"][0]["encoding"]["x"]["scale"]["domain"]) for p in d["vconcat"]}
    assert len(domains) == 1  # doses and curves share their time axis
    with pytest.raises(UnknownName, match="'S-ketamine'"):
        figures.curves(result(), ["S-ketamin"])


def test_axes_have_units():
    text = str(figures.curves(result()).to_dict())
    assert "time, h" in text
    long = result()
    long.time_h = long.time_h * 24
    assert "time, d" in str(figures.curves(long).to_dict())
    short = result()
    short.time_h = short.time_h / 24
    assert "time, min" in str(figures.curves(short).to_dict())


def test_log_axis_has_no_zero():
    r = result()
    r["S-ketamine"][:, 0] = 0.0
    d = figures.curves(r, ["S-ketamine"], log=True).to_dict()
    assert "'type': 'log'" in str(d)
    values = [
        v
        for m in marks(d)
        if m["type"] in ("area", "line")
        for row in m["rows"]
        for k, v in row.items()
        if k in ("y", "low")
    ]
    assert min(values) > 0


def test_observed_points():
    frame = pl.DataFrame({"time_h": [1.0, 2.0], "output": ["S-ketamine"] * 2, "value": [80.0, None]})
    d = figures.curves(result(), ["S-ketamine"], observed=frame).to_dict()
    points = [m for m in marks(d) if m["type"] == "point"]
    assert [m["rows"] for m in points] == [[{"t": 1.0, "y": 80.0}]]
    assert "circles: observed" in str(d)
    with pytest.raises(InputError, match="time_h, output and value"):
        figures.curves(result(), observed=[{"time": 1}])
    with pytest.raises(UnknownName):
        figures.curves(result(), observed=[{"time_h": 1, "output": "x", "value": 1}])


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
    d = figures.curves(Result(times, {"C": out})).to_dict()
    assert max(len(m["rows"]) for m in marks(d)) <= figures.MOST_POINTS


@given(st.lists(st.floats(0, 220), min_size=1, max_size=4))
def test_labels_do_not_overlap(places):
    moved = figures._apart(places, 28, 220)
    order = np.sort(moved)
    assert (np.diff(order) >= 28 - 1e-9).all()
    assert order[0] >= 14 - 1e-9
    assert order[-1] <= 206 + 1e-9


def test_repeated_and_long_doses():
    every = SimpleNamespace(
        time_h=0.0, amount=10.0, entry="iv", rate=5.0, duration_h=None, count=3, every_h=6.0
    )
    later = SimpleNamespace(time_h=1e4, amount=1.0, entry="oral", duration_h=None, rate=None)
    d = figures.curves(result(doses=(every, later))).to_dict()
    blocks = next(m for m in marks(d) if m["type"] == "rect")["rows"]
    assert [(b["t"], b["end"]) for b in blocks] == [(0.0, 2.0), (6.0, 8.0), (12.0, 14.0)]
    assert "10 mg × 3" in words(d)


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


# ---- the report


class Reader(html.parser.HTMLParser):
    VOID = frozenset({"meta", "br", "hr", "img", "link"})

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.text, self.ids = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.ids += [v for k, v in attrs if k == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader(text)
    return reader, re.sub(r"\s+", " ", " ".join(reader.text))


@pytest.mark.parametrize("n", [1, 50])
def test_report_says_it_all(n):
    _, text = read(render(result(n, "extrapolated"), command="kinetamine simulate x --seed 1"))
    for part in (
        NOTICE, "0.5 mg/kg iv over 40 min", "otto_2021_s_ketamine", "9f86d081884c7d65", "extrapolated",
        "why so", "a venous model", "Otto ME", "AUC to infinity", "ng·h/mL",
        "https://doi.org/10.1007/x", "recalled",
        "kinetamine simulate x --seed 1", "kinetamine 0.1.0", "How far to trust it", "Limits",
    ):  # fmt: skip
        assert part in text, part
    assert ("no variability drawn" in text) == (n == 1)
    assert ("95 %" in text) == (n > 1)


def test_report_is_self_contained():
    reader, _ = read(render(result()))
    tags = {tag for tag, _ in reader.seen}
    assert not tags & {"script", "link", "iframe", "img", "object", "image"}
    assert all(
        a.get("href", "https://doi.org").startswith("https://doi.org") for t, a in reader.seen if t == "a"
    )
    assert len(reader.ids) == len(set(reader.ids))
    svgs = [a for t, a in reader.seen if t == "svg"]
    assert len(svgs) == 2  # wide and narrow
    text = render(result())
    for target in re.findall(r"url\(#([^)]+)\)", text):
        assert f'id="{target}"' in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_every_colour_has_a_dark_one():
    svg = figures.svg(
        figures.curves(
            result(grade="extrapolated"), observed=[{"time_h": 1, "output": "S-ketamine", "value": 9}]
        )
    )
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]{3,6})"', svg))
    assert used <= set(figures.DARK)


def test_everything_is_escaped():
    out = Output(EVIL, EVIL, EVIL, EVIL, "fitted", (EVIL,), np.ones((20, 3)))
    dose = SimpleNamespace(time_h=0.0, amount=1.0, entry=EVIL, drug=EVIL)
    birth = {
        "models": [{"id": EVIL, "digest": EVIL, "source": EVIL, "status": EVIL}],
        "regimen": [EVIL],
        "seed": EVIL,
    }
    paper = {"key": EVIL, "citation": EVIL, "url": "javascript:alert(1)"}
    r = Result(np.arange(3.0), {EVIL: out}, birth=birth, citations=[paper], notes=(EVIL,), doses=(dose,))
    text = render(r, EVIL, command=EVIL, limits=(EVIL,))
    reader, _ = read(text)
    assert "script" not in {tag for tag, _ in reader.seen}
    assert "javascript:" not in str([a for _, a in reader.seen])


def test_report_is_reproducible():
    assert render(result()) == render(result())


def test_failed_patients_are_counted():
    status = np.zeros(50, dtype=int)
    status[:2] = 3
    _, text = read(render(result(status=status)))
    assert "2 of 50 could not be computed" in text
    assert "median of 48 patients" in text


def test_thresholds_and_effects():
    _, text = read(render(result(), thresholds={"S-ketamine": 20.0}))
    assert "time above 20 ng/mL" in text
    assert "highest value" in text  # an effect has no half-life


@pytest.mark.parametrize(
    "values", [np.zeros((20, 3)), np.full((20, 3), np.nan), -np.ones((20, 3)), [[1.0]], [[1.0, np.inf, 0.0]]]
)
@pytest.mark.parametrize("log", [False, True])
def test_odd_curves_still_make_a_report(values, log):
    values = np.asarray(values)
    out = Output("C", "C", "plasma", "ng/mL", "extrapolated", values=values)
    read(render(Result(np.arange(float(values.shape[1])), {"C": out}, typical=len(values) == 1), log=log))


def test_report_of_nothing_and_of_quantiles_only():
    read(render(Result(np.arange(3.0), {})))
    out = Output("C", "C", "plasma", "ng/mL", "fitted", quantiles={0.5: np.ones(3)})
    _, text = read(render(Result(np.arange(3.0), {"C": out}, birth={"n": 10_000_000})))
    assert "10,000,000 patients" in text
    assert "was not measured" in text


def test_report_of_an_event_table(tmp_path):
    times = np.tile(np.arange(5.0), 3)
    out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.exp(-times))
    r = TableResult(np.repeat(["a", "b", "c"], 5), np.repeat(np.arange(3), 5), times, {"C": out})
    write_report(r, tmp_path / "r.html")
    _, text = read((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "3 subjects" in text
    assert "each subject of the table" in text


def test_report_is_written_whole(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        write_report(result(1), tmp_path / "no" / "r.html")
    with pytest.raises(UnknownName):
        write_report(result(1), tmp_path / "r.html", thresholds={"x": 1})
    assert not list(tmp_path.iterdir())


def test_findings_stand_before_the_curves():
    from kinetamine.safety.findings import Finding

    grave = Finding(
        "exclude", "x", "<b>psychosis</b>", "esketamine nasal", "label", "a_2020", "recalled", because="told"
    )
    mild = Finding("monitor", "x", "pressure", "esketamine nasal", "esketamine nasal", "b_2020", "text")
    page = render(result(), findings=[grave, mild])
    assert page.index("What to look at first") < page.index("What comes out")
    assert "&lt;b&gt;psychosis" in page
    assert "recalled, not read: a_2020" in page
    assert "To monitor: 1" in page
    assert "no clearance" in render(result(), findings=[])
    assert "What to look at first" not in render(result())
