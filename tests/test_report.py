"""The self-contained report."""

from __future__ import annotations

import html.parser
import re
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("vl_convert")
pytest.importorskip("jinja2")

from kinetamine.errors import InputError, UnknownName
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
