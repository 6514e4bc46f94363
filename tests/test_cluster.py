"""Blocks on other processes: the bits of one process, whatever happens to a worker or to the run."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import kinetamine as kt
from kinetamine.cli import app
from kinetamine.cluster import Blocks, connected
from kinetamine.errors import InputError, RunError

MODEL, DOSES = "otto_2021_s_ketamine", "10 mg iv over 30 min"
HOW = {"until": "6 h", "step": "30 min", "keep": "bands"}


def people(n=1000, **more):
    return kt.Population(n, seed=3, weight=(50, 95), **more)


def bands(result):
    return np.array([[o.quantiles[q] for q in sorted(o.quantiles)] for o in result.outputs.values()])


class AtOnce:
    """Answers each block as it is asked for; stops at block `stop`."""

    def __init__(self, stop=None):
        self.stop, self.seen = stop, 0

    def submit(self, work, *arguments):
        future: Future = Future()
        self.seen += 1
        if self.stop is not None and self.seen > self.stop:
            future.set_exception(KeyboardInterrupt())
        else:
            future.set_result(work(*arguments))
        return future


class Backwards:
    """Answers nothing until `many` blocks were asked for, then the last of them first, one taken at a time."""

    class Asked(Future):
        """Knows when its answer was taken."""

        def __init__(self):
            super().__init__()
            self.taken = threading.Event()

        def result(self, timeout=None):
            found = super().result(timeout)
            self.taken.set()
            return found

    def __init__(self, many):
        self.many, self.waiting = many, []

    def submit(self, work, *arguments):
        future = self.Asked()
        self.waiting.append((future, work, arguments))
        if len(self.waiting) == self.many:
            threading.Thread(target=self._answer, daemon=True).start()
        return future

    def _answer(self):
        while self.waiting:
            future, work, arguments = self.waiting.pop()
            future.set_result(work(*arguments))
            future.taken.wait(10)


@pytest.mark.parametrize("uncertainty", [False, 7])
def test_some_of_the_people_are_the_same_people(uncertainty):
    everyone = people(uncertainty=uncertainty, residual=True)
    whole = kt.simulate(MODEL, DOSES, everyone, until="6 h")
    some = kt.simulate(MODEL, DOSES, everyone[100:900][50:53], until="6 h")
    for name in whole:
        assert np.array_equal(some[name], whole[name][150:153])
    assert some.birth["population"]["rows"] == [150, 153]


def test_people_with_columns_of_their_own_are_sliced_too():
    n = 40
    everyone = kt.Population(n, seed=1, weight=np.linspace(50, 90, n))
    whole = kt.simulate(MODEL, "0.2 mg/kg iv over 30 min", everyone, until="2 h")
    some = kt.simulate(MODEL, "0.2 mg/kg iv over 30 min", everyone[7:11], until="2 h")
    assert all(np.array_equal(some[name], whole[name][7:11]) for name in whole)


@pytest.mark.parametrize("rows", [slice(0, 10, 2), slice(5, 5)])
def test_rows_apart_or_none_are_refused(rows):
    with pytest.raises(InputError, match="population"):
        people()[rows]


def test_any_partition_has_the_bits_of_one_process():
    want = kt.simulate(MODEL, DOSES, people(), **HOW)
    for size in (1000, 333, 97):
        got = kt.simulate(MODEL, DOSES, people(), executor=Blocks(AtOnce(), size=size), **HOW)
        assert np.array_equal(bands(got), bands(want))
        assert got.exposure().equals(want.exposure())
        assert {n: o.grade for n, o in got.outputs.items()} == {n: o.grade for n, o in want.outputs.items()}


def test_any_order_has_the_bits_of_one_process():
    want = kt.simulate(MODEL, DOSES, people(), **HOW)
    taken = []
    blocks, three = Blocks(Backwards(3)), [(0, 1), (1, 2), (2, 3)]
    blocks.each(sum, lambda a, b: ((a, b),), three, lambda block, _: taken.append(block))
    assert taken == three[::-1]
    got = kt.simulate(MODEL, DOSES, people(), executor=Blocks(Backwards(11), size=97), **HOW)
    assert np.array_equal(bands(got), bands(want))
    assert got.exposure().equals(want.exposure())


def test_resuming_what_is_not_there_is_said(tmp_path):
    told = []
    kt.simulate(
        MODEL, DOSES, people(), executor=Blocks(AtOnce(), 500, tmp_path, True), notify=told.append, **HOW
    )
    assert any("begun from the start" in text for text in told)


def test_a_process_pool_computes():
    want = kt.simulate(MODEL, DOSES, people(), **HOW)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        got = kt.simulate(MODEL, DOSES, people(), executor=Blocks(pool, size=250), **HOW)
    assert np.array_equal(bands(got), bands(want))


@pytest.mark.parametrize("stop", [2, 6])
def test_a_stopped_run_goes_on_where_it_was(tmp_path, stop):
    want = kt.simulate(MODEL, DOSES, people(), **HOW)
    with pytest.raises(KeyboardInterrupt):
        kt.simulate(MODEL, DOSES, people(), executor=Blocks(AtOnce(stop), 250, tmp_path), **HOW)
    with pytest.raises(InputError, match="checkpoint"):
        kt.simulate(MODEL, DOSES, people(), executor=Blocks(AtOnce(), 250, tmp_path), **HOW)
    with pytest.raises(InputError, match="another run"):
        kt.simulate(MODEL, DOSES, people(999), executor=Blocks(AtOnce(), 250, tmp_path, True), **HOW)
    rest = AtOnce()
    got = kt.simulate(MODEL, DOSES, people(), executor=Blocks(rest, 250, tmp_path, True), **HOW)
    assert rest.seen < 8
    assert np.array_equal(bands(got), bands(want))


def test_a_checkpoint_that_is_none_is_refused(tmp_path):
    (tmp_path / f"{MODEL}.npz").write_bytes(b"not one")
    with pytest.raises(InputError, match="cannot be read"):
        kt.simulate(MODEL, DOSES, people(), executor=Blocks(AtOnce(), 250, tmp_path, True), **HOW)


def test_workers_gone_for_good_are_told_in_one_line():
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(RunError, match="workers were lost"):
            kt.simulate(MODEL, DOSES, people(), executor=pool, **HOW)


@pytest.mark.parametrize(
    ("population", "more", "said"),
    [(kt.Patient(), {}, "population"), (people(), {"keep": "all"}, "bands")],
)
def test_what_blocks_cannot_do_is_refused(population, more, said):
    with ThreadPoolExecutor(1) as pool, pytest.raises(InputError, match=said):
        kt.simulate(MODEL, DOSES, population, executor=pool, until="6 h", **more)


@pytest.mark.parametrize("given", [3, None, "local"])
def test_something_without_submit_is_refused(given):
    with pytest.raises(InputError, match="submit"):
        Blocks(given)


@pytest.mark.slow
def test_forty_blocks_on_two_dask_workers_one_killed():
    pytest.importorskip("distributed")
    everyone = people(40_000)
    want = kt.simulate(MODEL, DOSES, everyone, **HOW)
    with connected("local:2") as client:
        pids = list(client.run(os.getpid).values())
        done = 0

        def progress(n, total):
            nonlocal done
            done += 1
            if done == 3:
                os.kill(pids[0], signal.SIGKILL)

        got = kt.simulate(
            MODEL, DOSES, everyone, executor=Blocks(client, size=1000), progress=progress, **HOW
        )
        assert pids[0] not in client.run(os.getpid).values()
    assert done == 80
    assert np.array_equal(bands(got), bands(want))


@pytest.mark.parametrize("words", [["--checkpoint", "x"], ["--resume"], ["--cluster", "here"]])
def test_options_that_make_no_sense_alone_are_refused(words, capsys):
    asked = ["simulate", "--model", MODEL, "--dose", DOSES, "--patients", "100", *words]
    assert app.run(asked) == 2
    assert "--cluster" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_starts_workers_and_keeps_what_they_counted(tmp_path, capsys):
    pytest.importorskip("distributed")
    asked = ["simulate", "--model", MODEL, "--dose", DOSES, "--patients", "9000", "--until", "6 h", "--quiet"]
    spread = ["--cluster", "local:2", "--checkpoint", str(tmp_path)]
    assert app.run([*asked, "--stream"]) == 0
    want = capsys.readouterr().out
    for words in (spread, [*spread, "--resume"]):
        assert app.run([*asked, *words]) == 0
        assert capsys.readouterr().out == want
    assert app.run([*asked, *spread]) == 2
    assert "--checkpoint" in capsys.readouterr().err
