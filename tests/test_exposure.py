"""Exposure measures against closed forms and against a plain second implementation."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinetamine.engine import nca
from kinetamine.errors import InputError, UnknownName
from kinetamine.results import Output, Result, TableResult

# ---- a second implementation: slow, in words of the textbook, nothing shared with the product


def reference(times, values, level=math.nan, from_h=-math.inf, to_h=math.inf):
    points = [(float(t), float(c)) for t, c in zip(times, values, strict=True) if math.isfinite(c)]
    inside = [(t, c) for t, c in points if from_h <= t <= to_h]
    if not inside:
        return dict.fromkeys(nca.MEASURES, math.nan)
    cmax = max(c for _, c in inside)
    tmax = next(t for t, c in inside if c == cmax)

    def at(t):
        if t in dict(points):
            return [c for u, c in points if u == t][-1]
        (t0, c0), (t1, c1) = next((a, b) for a, b in pairwise(points) if a[0] < t < b[0])
        if c0 > c1 > 0:
            return math.exp(math.log(c0) + (math.log(c1) - math.log(c0)) * (t - t0) / (t1 - t0))
        return c0 + (c1 - c0) * (t - t0) / (t1 - t0)

    path = list(inside)
    if path[0][0] > from_h > points[0][0]:
        path.insert(0, (from_h, at(from_h)))
    if path[-1][0] < to_h < points[-1][0]:
        path.append((to_h, at(to_h)))
    out = {"cmax": cmax, "tmax_h": tmax if cmax > 0 else math.nan, "time_above_h": math.nan}
    out |= dict.fromkeys(("auc_last", "auc_inf", "half_life_h"), math.nan)
    if len(path) < 2:
        return out

    def area(t0, c0, t1, c1):
        if c0 > c1 > 0:
            return (c0 - c1) * (t1 - t0) / math.log(c0 / c1)
        return (c0 + c1) / 2 * (t1 - t0)

    positive = [i for i, (_, c) in enumerate(path) if c > 0]
    last = positive[-1] if positive else 0
    out["auc_last"] = math.fsum(area(*path[i], *path[i + 1]) for i in range(last))

    if not math.isnan(level):
        above = 0.0
        for (t0, c0), (t1, c1) in pairwise(path):
            if c0 > level and c1 > level:
                above += t1 - t0
            elif (c0 > level) != (c1 > level):
                if c0 > c1 > 0 and level > 0:
                    cross = t0 + (t1 - t0) * math.log(level / c0) / math.log(c1 / c0)
                else:
                    cross = t0 + (t1 - t0) * (level - c0) / (c1 - c0)
                above += (cross - t0) if c0 > level else (t1 - cross)
        out["time_above_h"] = above

    tail = [(t, math.log(c)) for t, c in inside if t > tmax and c > 0]
    fits = []
    for n in range(3, len(tail) + 1):
        x, y = np.array(tail[-n:]).T
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            continue
        slope, intercept = np.polyfit(x - x[-1], y, 1)
        residual = np.sum((y - intercept - slope * (x - x[-1])) ** 2)
        r2 = 1 - residual / np.sum((y - y.mean()) ** 2)
        if slope < 0:
            fits.append((1 - (1 - r2) * (n - 1) / (n - 2), n, -slope))
    if fits:
        best = max(f[0] for f in fits)
        slope = max((n, s) for a, n, s in fits if a >= best - 1e-4)[1]
        out["half_life_h"] = math.log(2) / slope
        out["auc_inf"] = out["auc_last"] + path[last][1] / slope
    return out


def compare(times, values, **window):
    got = dict(zip(nca.MEASURES, nca.measure(times, values[None, :], **window)[0], strict=True))
    want = reference(times, values, **window)
    for measure in nca.MEASURES:
        assert got[measure] == pytest.approx(want[measure], rel=1e-9, abs=1e-12, nan_ok=True), measure


# ---- closed forms


@pytest.mark.parametrize(
    ("dose", "clearance", "volume"), [(100.0, 10.0, 50.0), (28.0, 95.2, 133.0), (1.0, 0.3, 700.0)]
)
def test_bolus_one_compartment(dose, clearance, volume):
    rate = clearance / volume
    times = np.concatenate([np.linspace(0, 1 / rate, 7), np.linspace(2, 9, 4) / rate])
    got = dict(
        zip(nca.MEASURES, nca.measure(times, dose / volume * np.exp(-rate * times)[None, :])[0], strict=True)
    )
    assert got["auc_inf"] == pytest.approx(dose / clearance, rel=1e-12)
    assert got["half_life_h"] == pytest.approx(math.log(2) * volume / clearance, rel=1e-12)
    assert got["auc_last"] == pytest.approx(dose / clearance * (1 - math.exp(-9)), rel=1e-12)
    assert (got["cmax"], got["tmax_h"]) == (dose / volume, 0.0)


def test_time_above_is_exact_on_an_exponential():
    times = np.array([0.0, 3.0, 7.0, 20.0])
    above = nca.measure(times, 100 * np.exp(-0.2 * times)[None, :], level=10.0)[0, 5]
    assert above == pytest.approx(math.log(10) / 0.2, rel=1e-12)


def test_two_phases_find_the_slow_one():
    times = np.arange(0.0, 97.0)
    got = nca.measure(times, (100 * np.exp(-1.0 * times) + 5 * np.exp(-0.05 * times))[None, :])[0]
    assert got[4] == pytest.approx(math.log(2) / 0.05, rel=2e-3)
    assert got[3] == pytest.approx(100 / 1.0 + 5 / 0.05, rel=0.1)


def test_window_splits_the_area():
    times = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0])
    values = np.array([0.0, 40.0, 90.0, 70.0, 30.0, 9.0, 2.0, 0.1])[None, :]
    whole = nca.measure(times, values)[0, 2]
    parts = [nca.measure(times, values, from_h=a, to_h=b)[0, 2] for a, b in [(0, 0.7), (0.7, 5.3), (5.3, 24)]]
    assert sum(parts) == pytest.approx(whole, rel=1e-12)


# ---- against the second implementation

# four digits: curves that differ in the last bit only have a slope made of rounding
positive = st.floats(1e-6, 1e4).map(lambda x: float(f"{x:.4g}"))
concentration = st.one_of(st.just(0.0), positive, st.just(math.nan), st.floats(-5.0, 0.0))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.floats(1e-3, 10.0), concentration), min_size=1, max_size=25),
    st.one_of(st.just(math.nan), st.floats(0.1, 100.0)),
)
def test_any_curve(steps, level):
    times = np.cumsum([s for s, _ in steps])
    values = np.array([c for _, c in steps])
    if not (values > 0).any() and (values < 0).any():
        return  # areas of curves that are never positive are not determined
    compare(times, values, level=level)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 10.0), st.floats(0.5, 15.0))
def test_noisy_curves_and_windows(seed, start, length):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 24, 30))
    values = 100 * (np.exp(-0.2 * times) - np.exp(-1.5 * times)) * rng.lognormal(0, 0.2, 30)
    compare(times, values, level=20.0, from_h=start, to_h=start + length)
    compare(times, values)


def test_repeated_infusions():
    times = np.arange(0.0, 337.0)
    values = sum(
        np.where(times > s, 80 * np.exp(-0.25 * np.maximum(times - s, 0)), 0.0) for s in (0, 84, 168, 252)
    )
    compare(times, values, level=5.0)


# ---- corners


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.0, 0.0, 0.0], [0.0, None, 0.0, None, None, None]),
        ([math.nan] * 4, [None] * 6),
        ([math.nan, 5.0, math.nan, math.nan], [5.0, 1.0, None, None, None, None]),
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 7.5, None, None, None]),
        ([5.0, 5.0, 5.0, 5.0], [5.0, 0.0, 15.0, None, None, None]),
        ([4.0, 2.0, 1.0, 0.0], [4.0, 0.0, 3 / math.log(2), None, None, None]),
        ([-1.0, -2.0, -3.0, -4.0], [-1.0, None, None, None, None, None]),
    ],
)
def test_what_cannot_be_determined_is_null(values, expected):
    out = Output("C", "C", "plasma", "ng/mL", "fitted", values=np.array([values]))
    frame = Result(np.arange(4.0), {"C": out}).exposure()
    got = frame.select(nca.MEASURES).row(0)
    assert [g is None for g in got] == [e is None for e in expected]
    assert [g for g in got if g is not None] == pytest.approx([e for e in expected if e is not None])


def test_blocks_and_threads_change_nothing():
    rng = np.random.default_rng(1)
    times = np.linspace(0, 24, 40)
    values = rng.lognormal(size=(5000, 1)) * np.exp(-rng.uniform(0.05, 2, (5000, 1)) * times)
    whole = nca.measure(times, values, 0.1, threads=2)
    out = np.empty((5000, 6))
    for start in range(0, 5000, 700):
        nca.measure(times, values[start : start + 700], 0.1, out=out[start : start + 700])
    assert whole.tobytes() == out.tobytes()
    assert nca.measure(times, np.asfortranarray(values), 0.1).tobytes() == whole.tobytes()


# ---- frames


def result(n=3, **more):
    times = np.arange(0.0, 25.0)
    rate = np.linspace(0.1, 0.2, n)[:, None]
    values = 100 * np.exp(-rate * times)
    outputs = {
        "S-ketamine": Output("S-ketamine", "S-ketamine", "venous plasma", "ng/mL", "fitted", values=values),
        "relief": Output(
            "relief", "relief", "effect", "1", "extrapolated", ("age 80 is outside 18-57",), values / 100
        ),
    }
    return Result(times, outputs, **more)


def test_frame_has_a_row_per_patient_and_output():
    frame = result().exposure({"S-ketamine": 50.0})
    assert frame.columns == [
        "patient", "output", "unit", "auc_unit", "cmax", "tmax_h", "auc_last", "auc_inf", "half_life_h",
        "level", "time_above_h", "remark",
    ]  # fmt: skip
    assert frame.height == 6
    assert frame["auc_unit"].unique(maintain_order=True).to_list() == ["ng*h/mL", "h"]
    first = frame.row(0, named=True)
    assert first["time_above_h"] == pytest.approx(math.log(2) / 0.1)
    assert frame.filter(pl.col("output") == "relief")["time_above_h"].null_count() == 3


def test_failed_patients_have_no_exposure():
    frame = result(status=np.array([0, 1, 0])).exposure()
    assert frame.filter(pl.col("cmax").is_null())["patient"].to_list() == [1, 1]


def test_bad_questions():
    r = result()
    with pytest.raises(UnknownName, match="S-ketamine"):
        r.exposure({"S-ketamin": 5})
    with pytest.raises(InputError, match="window"):
        r.exposure(from_h=5, to_h=5)
    with pytest.raises(InputError, match="finite"):
        r.exposure(math.inf)


def test_streamed_exposure_arrives_ready_made():
    full = result()
    outputs = {
        k: Output(k, o.analyte, o.site, o.unit, o.grade, quantiles=full.quantiles(k))
        for k, o in full.outputs.items()
    }
    arrays = {k: nca.measure(full.time_h, full[k], level=10.0) for k in full.outputs}
    streamed = Result(
        full.time_h,
        outputs,
        birth={"n": 3},
        exposure_arrays=arrays,
        exposure_levels=dict.fromkeys(arrays, 10.0),
    )
    assert streamed.exposure().equals(full.exposure(10.0))
    assert streamed.exposure(to_h=24.0).drop("from_h", "to_h").equals(full.exposure(10.0))
    with pytest.raises(InputError, match="keep"):
        streamed.exposure(from_h=2)
    with pytest.raises(InputError, match="keep"):
        streamed.exposure(50.0)
    with pytest.raises(InputError, match="keep"):
        Result(full.time_h, outputs).exposure()


def test_quantiles_of_exposure():
    r = result(101)
    table = r.exposure_quantiles((0.05, 0.5, 0.95))
    line = table.row(
        by_predicate=(pl.col("output") == "S-ketamine") & (pl.col("measure") == "half_life_h"), named=True
    )
    assert line["q0.5"] == pytest.approx(math.log(2) / 0.15)
    assert (line["unit"], line["n"]) == ("h", 101)
    assert table["measure"].to_list() == list(nca.MEASURES[:5]) * 2


def test_event_tables_in_any_order():
    grid = result()
    records = np.random.default_rng(0).permutation([(p, t) for p in range(3) for t in range(25)])
    subject, index = records.T
    outputs = {
        k: Output(k, o.analyte, o.site, o.unit, o.grade, values=grid[k][subject, index])
        for k, o in grid.outputs.items()
    }
    table = TableResult([f"p{s}" for s in subject], subject, grid.time_h[index], outputs)
    got, want = table.exposure(50.0), grid.exposure(50.0)
    assert got["ID"].to_list() == [f"p{p}" for p in range(3)] * 2
    assert got.drop("ID").equals(want.drop("patient"))
