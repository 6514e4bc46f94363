"""How fast kinetamine is, next to other programs and to a plain fill of memory, all in one run.

``make bench`` runs it; ``python benchmarks/bench.py --quick`` takes about a minute, ``--full`` adds ten
million patients. Every time is the best of a few repeats on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import kinetamine as kt
import others

HERE = Path(__file__).parent
MODEL = str(HERE / "six_state.toml")
SERIES = "0.5 mg/kg iv over 40 min, twice weekly for 4 weeks"
MONTH_H = np.arange(0, 673.0)
DAY_H = np.linspace(0, 24, 241)


def best(work: Callable[[], Any], repeats: int = 3) -> float:
    """Shortest of a few runs, in seconds."""
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def spent(work: Callable[[], Any], repeats: int = 5) -> float:
    """Median processor time of a few runs after a first one, in seconds."""
    work()
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return float(np.median(taken))


def run(patients: int, times: np.ndarray = MONTH_H, doses: str = SERIES, **options: Any) -> Any:
    """The six-state model from end to end: random effects, propagators, doses, output."""
    options.setdefault("outputs", ["S-ketamine"])
    return kt.simulate(MODEL, doses, kt.Population(patients, seed=1), times=times, **options)


def fill_seconds(shape: tuple[int, int]) -> float:
    """Seconds to make an array of the output's size and write every number of it, on all threads."""
    import numba

    @numba.njit(parallel=True)
    def fill(out: np.ndarray) -> None:
        for i in numba.prange(out.shape[0]):
            for j in range(out.shape[1]):
                out[i, j] = 1.0

    fill(np.empty((2, 2)))
    return best(lambda: fill(np.empty(shape)))


def table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are numbers."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="left" if number == 0 else "right")
    return made


def workloads(console: Console, quick: bool) -> None:
    """The main table: nanoseconds per patient and time point, each with its ratio to LSODA."""
    patients = 10_000 if quick else 100_000
    began = time.perf_counter()
    run(64)
    first = time.perf_counter() - began
    rows: list[tuple[str, int, int, float]] = []
    for label, options in (
        ("one output", {}),
        ("all three outputs", {"outputs": None}),
        ("bands only (streaming)", {"keep": "bands"}),
    ):
        seconds = best(lambda options=options: run(patients, **options), 2)
        rows.append((f"kinetamine, 28 d, 8 infusions, {label}", patients, MONTH_H.size, seconds))
    single = best(lambda: run(10_000, DAY_H, "35 mg iv over 40 min"), 5)
    rows.append(("kinetamine, 24 h, 1 infusion, one output", 10_000, DAY_H.size, single))
    rows.append(
        ("array of the output's size, written once", patients, MONTH_H.size, fill_seconds((patients, 673)))
    )
    few = 3 if quick else 10
    slow, amounts = others.lsoda(MONTH_H, few, 1e-6)
    rows.append(("SciPy LSODA, rtol 1e-6", few, MONTH_H.size, slow * few))
    tight, _ = others.lsoda(MONTH_H, few, 1e-10)
    rows.append(("SciPy LSODA, rtol 1e-10", few, MONTH_H.size, tight * few))
    compiled = others.roadrunner(MONTH_H, 10 * few)
    if compiled is None:
        console.print("libRoadRunner is not installed: its row is left out (pip install libroadrunner)")
    else:
        rows.append(("libRoadRunner (CVODE), rtol 1e-6", 10 * few, MONTH_H.size, compiled[0] * 10 * few))

    shown = table("Six-state model, end to end", "way", "patients", "times", "s", "ns/point", "LSODA ÷ it")
    for label, n, times, seconds in rows:
        each = seconds / (n * times) * 1e9
        ratio = slow / MONTH_H.size * 1e9 / each
        shown.add_row(label, f"{n:,}", str(times), f"{seconds:.3g}", f"{each:,.3g}", f"{ratio:,.0f}")
    console.print(shown)
    console.print(
        f"first run in this process, 64 patients: {first:.2f} s (kernels compiled or read from the cache)"
    )

    typical = kt.simulate(
        MODEL, "35 mg iv over 40 min, twice weekly for 4 weeks", kt.Patient(weight=70), times=MONTH_H
    )
    ours = np.asarray(typical["S-ketamine"]).reshape(-1)
    theirs = amounts[0] / 20 * 1e3
    off = np.max(np.abs(ours - theirs)) / np.max(theirs)
    console.print(f"largest difference from LSODA (rtol 1e-6), relative to the peak: {off:.1e}\n")


def scaling(console: Console, quick: bool) -> None:
    """How the cost grows with patients, times and doses."""
    counts = [10**3, 10**4, 10**5] if quick else [10**3, 10**4, 10**5, 10**6]
    shown = table("Patients (673 times, 8 infusions, one output)", "patients", "kept", "s", "ns/point")
    for n in counts:
        keep = "bands" if n >= 10**6 else "auto"
        seconds = best(lambda n=n, keep=keep: run(n, keep=keep), 1 if n >= 10**6 else 2)
        kept = "bands" if keep == "bands" else "every curve"
        shown.add_row(f"{n:,}", kept, f"{seconds:.3g}", f"{seconds / (n * 673) * 1e9:.3g}")
    console.print(shown)

    shown = table("Times (10,000 patients, 28 d)", "times", "s", "ns/point")
    for m in (85, 169, 337, 673, 1345, 2689):
        times = np.linspace(0, 672, m)
        seconds = best(lambda times=times: run(10_000, times))
        shown.add_row(str(m), f"{seconds:.3g}", f"{seconds / (10_000 * m) * 1e9:.3g}")
    console.print(shown)

    shown = table("Infusions (10,000 patients, 673 times)", "infusions", "s", "ns/point")
    for count in (1, 8, 28, 56, 112):
        phrase = (
            f"0.5 mg/kg iv over 40 min every {672 / count:g} h x {count}"
            if count > 1
            else "35 mg iv over 40 min"
        )
        seconds = best(lambda phrase=phrase: run(10_000, MONTH_H, phrase))
        shown.add_row(str(count), f"{seconds:.3g}", f"{seconds / (10_000 * 673) * 1e9:.3g}")
    console.print(shown)


def peak_memory_mb(patients: int, keep: str) -> tuple[float, float]:
    """Seconds and peak resident memory of one run in a process of its own."""
    # VmHWM, because ru_maxrss starts from the memory of the process that started this one
    code = (
        "import sys, time, resource, pathlib; sys.path.insert(0, sys.argv[1]); import bench\n"
        "began = time.perf_counter(); bench.run(int(sys.argv[2]), keep=sys.argv[3])\n"
        "took, status = time.perf_counter() - began, pathlib.Path('/proc/self/status')\n"
        "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "if status.exists(): peak = int(status.read_text().split('VmHWM:')[1].split()[0])\n"
        "print(took, peak)"
    )
    command = [sys.executable, "-c", code, str(HERE), str(patients), keep]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return float(out[0]), float(out[1]) / unit


def memory(console: Console, quick: bool, full: bool) -> None:
    """Peak resident memory of stored and streamed runs."""
    runs = [(1_000, "auto"), (100_000, "auto"), (100_000, "bands")]
    runs += [] if quick else [(1_000_000, "bands")]
    runs += [(10_000_000, "bands")] if full else []
    shown = table(
        "Memory (673 times, 8 infusions, one output)", "patients", "keep", "s", "peak MB", "curves alone MB"
    )
    for n, keep in runs:
        seconds, peak = peak_memory_mb(n, keep)
        shown.add_row(f"{n:,}", keep, f"{seconds:.3g}", f"{peak:,.0f}", f"{n * 673 * 8 / 2**20:,.0f}")
    console.print(shown)


def summaries(console: Console, quick: bool) -> None:
    """Processor time of what is made of curves, and of reading a table; medians, accuracy first."""
    import polars as pl

    from kinetamine.engine import nca

    n = 2_000 if quick else 20_000
    curves = np.ascontiguousarray(run(n)["S-ketamine"])
    decay = 100 * np.exp(-0.1 * MONTH_H)[None, :]
    off = abs(nca.measure(MONTH_H, decay)[0, nca.MEASURES.index("auc_inf")] / 1000 - 1)
    assert off < 1e-9, f"area of an exponential off by {off:.1e}"
    low = run(n, keep="bands").quantiles("S-ketamine", [0.5])[0.5]
    assert np.allclose(low, np.quantile(curves, 0.5, axis=0), rtol=1e-6), (
        "bands differ from those of all curves"
    )
    shown = table("Summaries and tables, one thread", "work", "processor time")
    each = 1e9 / curves.size
    shown.add_row(
        "exposure measures", f"{spent(lambda: nca.measure(MONTH_H, curves)) * each:.1f} ns per value"
    )
    whole = spent(lambda: run(n, keep="bands", threads=1)) * each
    shown.add_row("bands, both passes with the simulation", f"{whole:.1f} ns per value")
    with tempfile.TemporaryDirectory() as folder:
        path, people, records = f"{folder}/table.csv", 2_000 if quick else 10_000, 100
        first = np.tile(np.arange(records) == 0, people)
        columns = {"ID": np.repeat(np.arange(people), records), "TIME": np.tile(np.arange(records), people)}
        columns |= {"AMT": 35.0 * first, "EVID": first.astype(int), "CMT": np.ones(len(first), int)}
        pl.DataFrame(columns).write_csv(path)
        ours, plain = spent(lambda: kt.EventTable.read(path)), spent(lambda: pl.read_csv(path))
    shown.add_row(f"a table of {len(first):,} rows", f"{ours:.3f} s, {ours / plain:.1f} × polars alone")
    console.print(shown)


def startup(console: Console) -> None:
    """Seconds from the shell, with every cache empty and then filled."""
    command = [sys.executable, "-m", "kinetamine"]
    one = ["simulate", "--model", "otto_2021_s_ketamine", "--dose", "10 mg iv over 30 min"]
    shown = table("From the shell", "command", "empty cache, s", "afterwards, s")
    for label, words in (
        ("kinetamine --help", ["--help"]),
        ("simulate, typical patient, JSON", [*one, "--format", "json"]),
        ("simulate, 1,000 people, tables", [*one, "--patients", "1000"]),
    ):
        with tempfile.TemporaryDirectory() as folder:
            fresh = {**os.environ, "XDG_CACHE_HOME": folder, "NUMBA_CACHE_DIR": str(Path(folder) / "numba")}

            def once(words: list[str] = words, env: dict[str, str] = fresh) -> None:
                subprocess.run([*command, *words], env=env, capture_output=True, check=True)

            shown.add_row(label, f"{best(once, 1):.2f}", f"{best(once):.2f}")
    console.print(shown)


def main() -> None:
    """Print everything; `--out` keeps a copy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller workloads")
    parser.add_argument("--full", action="store_true", help="also ten million patients, streamed")
    parser.add_argument(
        "--only", choices=["workloads", "scaling", "memory", "summaries", "startup"], help="one part"
    )
    parser.add_argument("--out", type=Path, default=HERE / "latest.md", help="copy of what is printed")
    options = parser.parse_args()
    console = Console(width=110, record=True)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    console.print(
        f"kinetamine {kt.__version__}, Python {platform.python_version()}, {cores} cores, {processor()}\n"
    )
    if options.only in (None, "workloads"):
        workloads(console, options.quick)
    if options.only in (None, "scaling"):
        scaling(console, options.quick)
    if options.only in (None, "memory"):
        memory(console, options.quick, options.full)
    if options.only in (None, "summaries"):
        summaries(console, options.quick)
    if options.only in (None, "startup"):
        startup(console)
    options.out.write_text("```\n" + console.export_text() + "```\n", encoding="utf-8")


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
