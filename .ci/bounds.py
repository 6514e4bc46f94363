"""A core of the suite with the lowest allowed versions on the oldest Python here, and the newest on the newest.

``python .ci/bounds.py [lowest|newest]`` makes an environment for each in ``.bounds/`` and runs the core there. The
lowest versions are the lower bounds in pyproject.toml, taken literally; what those need themselves is left to pip.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".bounds"
#: whatever has broken with another version of a library: commands, units, files, tables, models, results
CORE = (
    "tests/test_layers.py",
    "tests/test_model_files.py",
    "tests/test_results.py",
    "tests/test_files.py",
    "tests/test_records.py",
    "tests/test_formulas.py",
    "tests/test_dosing_phrases.py",
    "tests/test_cli.py",
)
EXTRAS = ("report", "web", "xarray", "pandas")
#: what needs import-linter; that commands start without rich is a matter of speed and of newer typer; the schema is
#: written by the newest pydantic, which adds no titles
LINTED = "tests/test_layers.py::test_rooms_import_only_rooms_above_them"
ELSEWHERE = {
    "lowest": (
        LINTED,
        "tests/test_layers.py::test_the_command_line_starts_light",
        "tests/test_model_files.py::test_the_written_schema_is_not_stale",
    ),
    "newest": (LINTED,),
}
#: what runs the tests is not what is tested: newest
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "httpx")


def pythons() -> list[tuple[tuple[int, ...], str]]:
    """The Pythons of this machine that may be used, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    least = tuple(map(int, re.findall(r"\d+", project["requires-python"])))
    found: dict[tuple[int, ...], str] = {}
    places = [shutil.which(f"python3.{minor}") for minor in range(least[1], least[1] + 10)]
    places += sorted(map(str, Path.home().glob(".pyenv/versions/3.*/bin/python")))
    for place in (*places, sys.executable):
        if place is None:
            continue
        code = "import sys, venv, ensurepip; print(*sys.version_info[:3])"
        done = subprocess.run([place, "-c", code], capture_output=True, text=True)
        version = tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()
        if version >= least:
            found.setdefault(version, place)
    return sorted(found.items())


def lowest() -> list[str]:
    """Each requirement at its lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = [*project["dependencies"], *(r for e in EXTRAS for r in project["optional-dependencies"][e])]
    return [one.replace(">=", "==") for one in asked if ">=" in one]


def install(place: str, python: str, pins: list[str]) -> bool:
    """An environment with the project in it; False if the versions do not install on this Python."""
    folder = FOLDER / place
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    (folder / "pins.txt").write_text("\n".join(pins) + "\n", encoding="utf-8")
    project = f"{ROOT}[{','.join(EXTRAS)}]"
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # a version that would have to be built from source counts as one that does not install
    done = subprocess.run(
        [
            *pip,
            "--only-binary=:all:",
            "--no-binary=kinetamine",
            "-c",
            str(folder / "pins.txt"),
            "-e",
            project,
            *TOOLS,
        ]
    )
    return done.returncode == 0


def run(which: str) -> int:
    """The core in an environment; kernels are compiled into a folder of its own."""
    folder = FOLDER / which
    environment = {
        **os.environ,
        "KINETAMINE_CACHE": str(folder / "kernels"),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    tests = [*CORE, "-q", "-m", "not slow and not speed", "-n", os.environ.get("JOBS", "2")]
    for name in ELSEWHERE[which]:
        tests += ["--deselect", name]
    command = [str(folder / "bin" / "python"), "-m", "pytest", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def main() -> int:
    """Both, or the one that is named."""
    asked = sys.argv[1:] or ["lowest", "newest"]
    known = pythons()
    for which in asked:
        pins = lowest() if which == "lowest" else []
        order = known if which == "lowest" else known[::-1]
        chosen = next((version for version, python in order if install(which, python, pins)), None)
        if chosen is None:
            print(f"{which} versions install on none of {[python for _, python in known]}", file=sys.stderr)
            return 1
        print(f"{which} versions on Python {'.'.join(map(str, chosen))}", flush=True)
        if code := run(which):
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
