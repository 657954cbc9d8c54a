# From a clone to a working place: every target can be run first, and again, and does only what is not done yet.
#
#   make install      .venv with the product and the developer's tools
#   make demo         a simulated community on this machine   (ARGS="--port 8000 --speed 2880")
#   make test         everything that needs no more than this machine and .venv
#   make check        format, lint, types, import contracts
#   make integration  the rest: real servers named by KAIMEN_TEST_*, browser, packaging
#   make bench        the benchmarks, each with its limit     (ARGS="--json")
#   make lock         resolve the dependencies anew into the two lock files
#   make clean        remove what was built here

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
PYTEST_ARGS ?=
# Test processes side by side; each starts its own servers. WORKERS=0: one after the other, for a debugger.
WORKERS ?= 2
UV_VERSION := 0.13.9
BENCHES := alerts console decode detect ingest replay store

PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK_TOOL := build/lock-tool
COMPILE := $(LOCK_TOOL)/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --custom-compile-command "make lock"

.PHONY: help install demo test check format integration bench lock clean distclean

help:
	@sed -n '3,$${/^#/!q;s/^# \{0,1\}//;p}' Makefile

# ---- set-up -------------------------------------------------------------------------------------------------

$(BIN)/python:
	@.ci/make-venv "$(VENV)"

# The stamps are younger than what they were made from; touching nothing makes the next call do nothing.
$(VENV)/.installed: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	$(PIP) check
	@touch $(VENV)/.runs $@

# What it takes to run, without the developer's tools; where those are already there, nothing more is needed.
$(VENV)/.runs: requirements-run.lock pyproject.toml | $(BIN)/python
	$(PIP) install --quiet --require-hashes --requirement requirements-run.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

install: $(VENV)/.installed

lock:
	@test -x $(LOCK_TOOL)/bin/uv || { .ci/make-venv $(LOCK_TOOL) && \
		$(LOCK_TOOL)/bin/python -m pip install --quiet uv==$(UV_VERSION); }
	$(COMPILE) --extra all --extra apprise --group dev --output-file requirements.lock $(ARGS)
	$(COMPILE) --extra all --group build --constraint requirements.lock --output-file requirements-run.lock $(ARGS)

# ---- use ----------------------------------------------------------------------------------------------------

demo: $(VENV)/.runs
	@exec $(BIN)/kaimen up --demo $(ARGS)

bench: $(VENV)/.installed
	@for bench in $(BENCHES); do $(BIN)/kaimen bench $$bench $(ARGS); done

# ---- proof --------------------------------------------------------------------------------------------------

test: $(VENV)/.installed
	env -u KAIMEN_TEST_DATABASE_TIMESCALE -u KAIMEN_TEST_BROKER_MOSQUITTO \
		$(BIN)/python -m pytest -m "not browser and not packaging and not slow and not simulation" \
		--numprocesses $(WORKERS) --dist worksteal $(PYTEST_ARGS)

integration: $(VENV)/.installed
	$(BIN)/python -m pytest -m "integration or browser or packaging or simulation or slow" \
		--numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	.ci/check-locks

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf build dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache \
		.hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print0 | xargs -0 --no-run-if-empty rm -rf

distclean: clean
	rm -rf $(VENV)
