"""The house: a room imports only rooms above it, and starting the command imports nothing heavy."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
HEAVY = (
    "fastapi",
    "jinja2",
    "numba",
    "pandas",
    "pint",
    "polars",
    "scipy",
    "sympy",
    "numpy",
    "pydantic",
    "uvicorn",
    "vl_convert",
    "xarray",
)


def test_rooms_import_only_rooms_above_them():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_costs_nothing():
    assert not modules_after("import kinetamine") & {*HEAVY, "typer", "rich"}


def test_the_command_line_starts_light():
    assert not modules_after("import kinetamine.cli.app") & {*HEAVY, "rich"}


def test_public_names_are_there_and_the_function_keeps_its_place():
    import kinetamine
    import kinetamine.simulate

    for name in kinetamine.__all__:
        assert getattr(kinetamine, name) is not None
    assert callable(kinetamine.simulate)
    assert set(kinetamine.__all__) == set(kinetamine._HOME) | {"__version__"}


def test_no_room_is_a_cupboard():
    banned = {"utils", "helpers", "common", "misc", "core"}
    found = [p for p in (ROOT / "src" / "kinetamine").rglob("*") if p.stem in banned]
    assert not found
