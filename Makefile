# Everything runs from a clean checkout with git, make and Python 3.11 or newer; the environment is .venv.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
BIN := .venv/bin
# Two at a time: the suite is mostly waiting for compiled kernels and for command-line runs.
JOBS ?= 2

SYSTEM_BROWSER = command -v chromium || command -v chromium-browser || command -v google-chrome

.PHONY: help env browser demo test speed slow lint bounds format bench docs clean

help:
	@echo "make demo    simulate examples/depression_series.toml and write a report (makes .venv first)"
	@echo "make test    the fast test suite"
	@echo "make speed   how fast the page answers a slider (part of make test)"
	@echo "make slow    the tests left out of it"
	@echo "make lint    ruff, mypy and the import order of the rooms"
	@echo "make bounds  a core of the suite with the lowest allowed and the newest versions of the libraries"
	@echo "make bench   time per patient and time point next to other programs"
	@echo "make docs    regenerate docs/cli.md, the picture, the pages of validation and docs/claims.md"
	@echo "make clean   remove .venv and everything made"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "kinetamine needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[web]'
	@touch $@

.venv/test.stamp: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ .venv/run.stamp

env: .venv/test.stamp

demo: .venv/run.stamp
	@mkdir -p demo
	$(BIN)/kinetamine simulate examples/depression_series.toml --report demo/depression_series.html
	@echo "report: demo/depression_series.html"

# The tests of the page use the system's Chromium; where packages may be installed it is fetched.
browser:
	@$(SYSTEM_BROWSER) >/dev/null \
	  || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
	  || echo "no Chromium found: install it, or the tests of the page are left out" >&2

test: .venv/test.stamp speed
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow and not speed"

# The page's answer to a moved slider, measured in a browser with nothing beside it.
speed: .venv/test.stamp browser
	$(BIN)/python -m pytest -q -m speed tests

slow: .venv/test.stamp
	$(BIN)/python -m pytest -m slow

lint: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# On the oldest and the newest Python found here on which those versions install.
bounds: .venv/bin/python
	$(BIN)/python .ci/bounds.py

format: .venv/test.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# libroadrunner is optional: without it its row says so.
bench: .venv/test.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'libroadrunner>=2.5' \
	  || echo "libroadrunner could not be installed; its row will be empty" >&2
	$(BIN)/python benchmarks/bench.py

docs: .venv/test.stamp
	$(BIN)/python docs/make_reference.py
	$(BIN)/python docs/make_picture.py
	for part in pk effects interactions course; do \
	  $(BIN)/kinetamine validate $$part --out docs/validation_$$part.md \
	    --data src/kinetamine/data/validation/$$part.csv || exit; done
	$(BIN)/python docs/make_validation.py
	$(BIN)/kinetamine claims --format md > docs/claims.md

clean:
	rm -rf .venv .bounds demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
