# One environment, made from pinned versions with hashes; every target makes it first if need be.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: install demo test test-slow test-faults test-cluster mutants lint types env clean

demo: env
	$(BIN)/onesketch demo

test: env
	$(BIN)/python -m pytest -m "not slow and not faults"

test-slow: env
	$(BIN)/python -m pytest -m slow --timeout 1800

test-faults: env
	$(BIN)/python -m pytest tests/faults --timeout 1800

test-cluster: env
	ONESKETCH_CLUSTER=required $(BIN)/python -m pytest tests/cluster --timeout 1800

mutants: env
	$(BIN)/python -m tests.tools.mutants

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	$(BIN)/mypy

env: $(STAMP)

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "expected Python 3.11 or newer as $(PYTHON); set PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "python3 has no venv module: apt-get install python3-venv" >&2; exit 2; }
	$(BIN)/pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

install: env

clean:
	rm -rf $(VENV) build dist *.egg-info
