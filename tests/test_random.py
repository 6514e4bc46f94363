"""The generator: right words, right distributions, and the same numbers however the work is cut."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from kinetamine.engine import random

KNOWN_STREAM = 5900921559556767025
KNOWN_NORMALS = [
    "-0x1.2e831b9efb5f2p-1",
    "-0x1.1d3274c4e6842p-1",
    "-0x1.d7d33972547c3p-2",
    "0x1.8e24fecc7ed6fp-3",
    "0x1.69b128b61df96p-1",
    "0x1.011f5969e7cacp-1",
]

WORD = st.integers(0, 2**64 - 1)


@settings(deadline=None, max_examples=50)
@given(seed=WORD, stream=WORD, patient=st.integers(0, 2**62), block=st.integers(0, 2**40))
def test_words_are_those_of_numpys_philox(seed, stream, patient, block):
    # NumPy counts up before its first word, so it starts one block earlier
    counter = (patient * 2**64 + block - 1) % 2**256
    words = np.random.Philox(key=np.array([seed, stream], np.uint64), counter=counter).random_raw(8)
    assert random.raw(seed, stream, patient, 1, 8, draw=4 * block)[0].tolist() == words.tolist()


def test_known_bits():
    # a change here changes every simulated population
    z = random.normals(1, 2, 0, 2, 3)
    assert [x.hex() for x in z.ravel().tolist()] == KNOWN_NORMALS


def test_inverse_of_the_normal_distribution():
    u = np.concatenate([np.linspace(1e-6, 1 - 1e-6, 20_001), 10.0 ** -np.arange(1, 300, 7)])
    mine = np.array([random.normal_from_uniform(x) for x in u])
    expected = special.ndtri(u)
    assert np.allclose(mine, expected, rtol=3e-15, atol=1e-17)


def test_inverse_at_the_ends_of_the_grid():
    lowest, highest = random.uniform_from_word(np.uint64(0)), random.uniform_from_word(np.uint64(2**64 - 1))
    assert lowest > 0 and highest < 1 and lowest == 1 - highest
    assert random.normal_from_uniform(lowest) == -random.normal_from_uniform(highest)
    assert random.normal_from_uniform(lowest) == pytest.approx(special.ndtri(lowest), rel=1e-14)


def test_whole_arrays_equal_single_numbers():
    u, z = random.uniforms(3, 4, 0, 700, 11), random.normals(3, 4, 0, 700, 11)
    assert (z.ravel() == [random.normal_from_uniform(x) for x in u.ravel()]).all()


@given(st.floats(1e-300, 1e300))
def test_log(x):
    assert random.log(x) == pytest.approx(np.log(x), rel=1e-15, abs=1e-17)


@given(st.floats(-690, 690))
def test_exp(x):
    assert random.exp(x) == pytest.approx(np.exp(x), rel=1e-15)


def test_uniform():
    u = random.uniforms(5, 6, 0, 50_000, 4)
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    assert stats.kstest(u[:2500].ravel(), "uniform").pvalue > 1e-4  # along the draws as well


def test_normal():
    z = random.normals(5, 7, 0, 50_000, 4)
    for column in z.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    assert abs(stats.kurtosis(z.ravel())) < 0.05
    assert (abs(z) > 4).mean() == pytest.approx(6.3e-5, rel=0.6)


def test_nothing_goes_with_anything():
    n = 100_000
    near = [
        random.normals(1, 2, 0, n, 1),
        random.normals(1, 2, 1, n, 1),  # the next patient
        random.normals(1, 2, 0, n, 1, draw=1),
        random.normals(1, 2, 0, n, 1, draw=4),  # the next block
        random.normals(1, 3, 0, n, 1),
        random.normals(2, 2, 0, n, 1),
    ]
    r = np.corrcoef(np.hstack(near).T) - np.eye(len(near))
    assert abs(r).max() < 5 / np.sqrt(n)
    squares = np.corrcoef(np.hstack(near).T ** 2) - np.eye(len(near))
    assert abs(squares).max() < 5 / np.sqrt(n)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**63), st.integers(0, 500), st.integers(1, 40), st.integers(0, 9), st.integers(1, 13))
def test_same_patient_in_every_block(seed, first, n, draw, m):
    whole = random.normals(seed, 9, 0, first + n, draw + m)
    part = random.normals(seed, 9, first, n, m, draw=draw)
    assert (part == whole[first:, draw:]).all()


def test_threads_give_the_same():
    n, m = 20_000, 8
    serial = random.normals(1, 2, 0, n, m)
    out = np.empty((n, m))
    cuts = [0, 1, 7003, 7004, 15_000, n]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(random.fill_normals, 1, 2, a, out[a:b]) for a, b in itertools.pairwise(cuts)]
        for job in jobs:
            job.result()
    assert (out == serial).all()


def test_a_strided_array_is_filled_as_well():
    out = np.zeros((50, 20))
    random.fill_normals(1, 2, 0, out[:, ::4])
    assert (out[:, ::4] == random.normals(1, 2, 0, 50, 5)).all()
    assert (out[:, 1] == 0).all()


def test_streams_have_stable_numbers():
    assert random.stream_number("eta", "CL") == KNOWN_STREAM
    assert random.stream_number("a", "bc") != random.stream_number("ab", "c")
    code = "from kinetamine.engine.random import stream_number as s; print(s('eta', 'CL'))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(other.stdout) == KNOWN_STREAM


def test_fast_enough():
    random.normals(1, 2, 0, 10, 4)
    best = 9.0
    for _ in range(7):
        begin = time.perf_counter()
        random.normals(1, 2, 0, 100_000, 4)
        best = min(best, time.perf_counter() - begin)
    assert best / 400_000 < 60e-9  # 5 ns on the machine it was written on; generous for slow ones
