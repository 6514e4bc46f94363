"""Files appear whole or not at all, and one message says why one could not be written."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kinetamine import simulate
from kinetamine.errors import InputError
from kinetamine.files import check_writable, write_whole

ROOT = Path(__file__).parents[1]


def test_texts_bytes_and_fillers(tmp_path):
    write_whole(tmp_path / "a", "one\r\ntwo µg\n")
    write_whole(tmp_path / "b", b"\0\1")
    write_whole(tmp_path / "c", lambda place: Path(place).write_text("filled"))
    assert (tmp_path / "a").read_bytes() == "one\r\ntwo µg\n".encode()
    assert (tmp_path / "b").read_bytes() == b"\0\1"
    assert (tmp_path / "c").read_text() == "filled"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_an_old_file_keeps_its_permissions_and_a_new_one_gets_the_usual_ones(tmp_path):
    (tmp_path / "old").write_text("x")
    (tmp_path / "old").chmod(0o640)
    write_whole(tmp_path / "old", "y")
    write_whole(tmp_path / "new", "y")
    (tmp_path / "usual").touch()
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_what_a_killed_write_left_goes_with_the_next_one_and_other_parts_stay(tmp_path):
    code = (
        "import sys, time; from kinetamine.files import write_whole\n"
        f"def fill(place): open(place, 'w').write('half'); print('now', flush=True); time.sleep(60)\n"
        f"write_whole({str(tmp_path / 'r.csv')!r}, fill)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"now\n"
    write_whole(tmp_path / "r.csv", "whole")  # the other one is still alive: its part is left to it
    assert len(list(tmp_path.iterdir())) == 2
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    old = tmp_path / ".r.csv.elsewhere.1.00.part"
    old.touch()
    os.utime(old, (time.time() - 1e6,) * 2)
    fresh = tmp_path / ".r.csv.elsewhere.2.00.part"
    fresh.touch()
    write_whole(tmp_path / "r.csv", "again")
    assert sorted(p.name for p in tmp_path.iterdir()) == [fresh.name, "r.csv"]
    assert (tmp_path / "r.csv").read_text() == "again"


@pytest.mark.parametrize("suffix", ["csv", "json", "parquet"])
def test_a_full_disk_is_one_clean_error_and_the_old_file_stays(tmp_path, suffix):
    result = simulate("otto_2021_s_ketamine", "35 mg iv over 40 min", times=[x / 100 for x in range(2000)])
    path = tmp_path / f"r.{suffix}"
    path.write_text("before")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InputError, match="a place that can be written to"):
            result.write(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_places_that_cannot_be_written_are_known_before_the_work(tmp_path):
    (tmp_path / "folder").mkdir()
    for bad in (tmp_path / "folder", tmp_path / "none" / "a.csv", "a\0b", "/proc/none/a.csv"):
        with pytest.raises(InputError) as refused:
            check_writable(bad, "--out")
        assert str(refused.value).startswith("--out: got ")
        with pytest.raises(InputError):
            write_whole(bad, "x")


def test_every_file_of_the_program_is_written_by_this_module():
    """No other module opens a file for writing or puts one in another's place."""
    calls = ("write_text(", "write_bytes(", "os.replace(", "mkstemp(")
    here = {
        str(p.relative_to(ROOT / "src" / "kinetamine"))
        for p in (ROOT / "src" / "kinetamine").rglob("*.py")
        if any(call in p.read_text() for call in calls)
    }
    # a model that came as text is put into a temporary folder, which goes again
    assert here - {"web/given.py"} == {"files.py"}


def test_json_is_whole(tmp_path):
    result = simulate("otto_2021_s_ketamine", "35 mg iv over 40 min", times=[1.0])
    result.write(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["time_h"] == [1.0]
