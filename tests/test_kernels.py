"""Kernels: compiled, plain and generic ones agree; files in their cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.engine import linear, nonlinear


def test_code_for_one_structure_and_for_all_give_the_same_bits(monkeypatch):
    doses = ["30 mg iv over 40 min every 8 h x 3", "10 mg iv at 1 h"]
    who = kt.Population(13, seed=1, weight=(50, 90))

    def run():
        return kt.simulate("otto_2021_s_ketamine", doses, who, until="24 h", step="30 min")

    general = run()
    monkeypatch.setattr(linear, "WORTH_COMPILING", 0)
    linear.kernel.cache_clear()
    special = run()
    linear.kernel.cache_clear()
    assert all(np.array_equal(general[name], special[name]) for name in general)


PLAIN = """
import json, kinetamine as kt
runs = [
    ("otto_2021_s_ketamine", "10 mg iv over 30 min", dict(weight=70)),
    ("perez_ruixo_2021_esketamine", "84 mg nasal", dict(age=45)),
    ("flint_2017_s_ketamine_picu", "1 mg/kg iv over 1 h", dict(weight=12, age=3)),
]
found = [kt.simulate(m, d, kt.Patient(**p), times=[0.25, 1, 4]) for m, d, p in runs]
print(json.dumps([{n: r[n].tolist() for n in r} for r in found]))
"""


def test_plain_python_gives_what_compiled_code_gives():
    def run(**changed):
        done = subprocess.run(
            [sys.executable, "-c", PLAIN],
            env=os.environ | changed,
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.splitlines()[-1])

    for compiled, plain in zip(run(), run(NUMBA_DISABLE_JIT="1"), strict=True):
        assert compiled.keys() == plain.keys()
        for name in compiled:
            assert plain[name][0] == pytest.approx(compiled[name][0], rel=1e-12)


def test_the_continuous_extension_has_order_four():
    def worst(n):
        x, t, h, off = 1.0, 0.0, 1.0 / n, 0.0
        for _ in range(n):
            w = 1 / (nonlinear.GAMMA * h) + 2 * x
            k = np.zeros(8)
            for s in range(8):
                y = x + nonlinear.A[s] @ k
                f = -y * y
                k[s] = (f + nonlinear.C[s] @ k / h) / w
            new, (a, b, c) = y + k[7], nonlinear.H @ k  # y: where the last stage began
            for share in (0.1, 0.3, 0.5, 0.7, 0.9):
                value = (1 - share) * x + share * (new + (1 - share) * (a + share * (b + share * c)))
                off = max(off, abs(value - 1 / (1 + t + share * h)))
            x, t = new, t + h
        return off

    assert np.log2(worst(8) / worst(16)) > 3.7


@pytest.mark.parametrize("broken", [b"", b"not a pickle at all"])
def test_a_cut_or_foreign_file_in_the_cache_is_made_anew(tmp_path, monkeypatch, broken):
    from kinetamine.engine import kernels

    monkeypatch.setattr(kernels, "folder", lambda: tmp_path)
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    source = f"from numba import njit\n@njit(nogil=True)\ndef run(x):\n    return x + 1\n# {len(broken)}\n"
    assert kernels.load("test", source).run(1) == 2
    made = [*tmp_path.glob("*.py"), *tmp_path.glob("__pycache__/*.nb*")]
    assert len(made) == 3
    for path in made:
        path.write_bytes(broken)
    for name in [n for n in sys.modules if n.startswith("kinetamine_test_")]:
        del sys.modules[name]
    assert kernels.load("test", source).run(1) == 2
    assert all(path.read_bytes() != broken for path in made)
