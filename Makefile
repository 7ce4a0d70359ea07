# Two commands for a newcomer: `make demo` and `make test`.  Needs Python >= 3.11.
# Another interpreter: make demo PYTHON=/path/to/python3.12
SHELL := /bin/sh
# Many containers forbid Python to keep bytecode; every start would compile 1,300 modules anew, for seconds.
unexport PYTHONDONTWRITEBYTECODE
VENV := .venv
BIN := $(VENV)/bin
# Packages come from the locks alone.  Without --no-compile pip would spend half of its time
# on bytecode of modules that nobody imports.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile
PYTEST := $(BIN)/python -m pytest -q -n 2 --dist loadfile

.PHONY: help demo test test-all warm lint lock
.DELETE_ON_ERROR:

help:
	@echo 'make demo      build the environment, compare dosing schedules, write a report to demo-out/'
	@echo 'make test      run the tests'
	@echo 'make test-all  run the tests, the slow ones too'
	@echo 'make lint      check style and types'
	@echo 'make lock      pin the packages of pyproject.toml anew (LOCK=--upgrade for newer ones)'

demo: $(VENV)/.core
	$(BIN)/simulator run configs/experiments/demo.yaml -o demo-out
	$(BIN)/simulator report demo-out
	@echo
	@echo 'Report: demo-out/report.html   figures: demo-out/figures/   tables: demo-out/tables/   runs: demo-out/runs/'

test: $(VENV)/.test warm
	$(PYTEST)

test-all: $(VENV)/.test warm
	$(PYTEST) -m ''

# Compiled once here, not by every test process at the same time.
warm: $(VENV)/.core
	@$(BIN)/python -c 'from simulator.run.warm import warm; warm(print)'

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# `requirements.lock`: what the simulator needs, and what installs it from a checkout.
# `requirements-test.lock`: the same versions, with the tests' and linters' packages.
lock: $(VENV)/.test
	echo hatchling | $(UV) pyproject.toml - -o requirements.lock
	echo hatchling | $(UV) pyproject.toml - --extra test -c requirements.lock -o requirements-test.lock

UV = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command 'make lock' $(LOCK)

$(VENV)/.core: requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing the packages of requirements.lock (once; about a minute) ...'
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements-test.lock $(VENV)/.core
	@echo 'Installing the packages of requirements-test.lock ...'
	@$(INSTALL) --require-hashes -r requirements-test.lock
	@touch $@

# An interpreter counts if it runs (a pyenv shim may not), is new enough and can make environments.
FITS := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
$(BIN)/python:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	    if $$python -c '$(FITS)' >/dev/null 2>&1; then \
	        echo "Environment: $(VENV), from $$python ($$($$python -V))"; \
	        exec $$python -m venv $(VENV); \
	    fi; \
	done; \
	echo 'The simulator needs Python 3.11 or newer with its venv module; none was found as' >&2; \
	echo '$(PYTHON) python3, python3.13, python3.12 or python3.11.  On Debian or Ubuntu: apt install python3 python3-venv' >&2; \
	echo 'Another place: make $(MAKECMDGOALS) PYTHON=/path/to/python3' >&2; \
	exit 1
