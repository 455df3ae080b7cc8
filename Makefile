.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ARGS ?=
LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-header --no-annotate --no-emit-index-url

.PHONY: help bench serve test test-frameworks fuzz proof check format docs lock clean

help: ## list what make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Rheostat needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	@echo 'installing into $(VENV), once: a minute or two'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m compileall -q service # pip compiles what it installs, but not what stays here
	@touch $(STAMP)

serve: $(STAMP) ## serve on http://127.0.0.1:8000 with an embedded SQLite
	$(BIN)/rheostat serve $(ARGS)

test: $(STAMP) ## run every test that needs no heavy framework
	$(BIN)/pytest --ignore tests/torch -n 2 $(ARGS)

test-frameworks: $(STAMP) ## run the tests that need PyTorch and Accelerate
	$(BIN)/python -c 'import torch' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -c 'import accelerate' 2>/dev/null || $(BIN)/pip install --quiet --disable-pip-version-check accelerate==1.15.0
	$(BIN)/pytest tests/torch $(ARGS)

check: $(STAMP) ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format and mend what can be mended, and write the blocking client
	$(BIN)/python service/rheostat/client/unasync.py
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure what docs/performance.md tells
	$(BIN)/python benchmarks/reads.py
	$(BIN)/python benchmarks/values.py
	$(BIN)/python benchmarks/settling.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/growth.py docs/growth.svg
	$(BIN)/python benchmarks/curves.py
	$(BIN)/python benchmarks/curve_answers.py
	$(BIN)/python benchmarks/start.py

fuzz: $(STAMP) ## throw 100,000 random definitions at a server
	RHEOSTAT_EXAMPLES=100000 $(BIN)/pytest tests/server/test_random_definitions.py

proof: $(STAMP) ## kill, freeze, cut off and crash everything for minutes, and check what was served
	$(BIN)/python -m tests.faults.proof docs/reliability.md
	RHEOSTAT_EXAMPLES=2000 $(BIN)/pytest tests/server/protocol tests/server/test_openapi_cases.py \
	  tests/server/test_openapi_raw.py -n 2

docs: $(STAMP) ## write the manuals that are made from the code
	$(BIN)/python -m rheostat.schedules.manual docs
	$(BIN)/python -m rheostat.converters.docs docs
	$(BIN)/python -m rheostat.server.documents docs
	$(BIN)/python -m rheostat.cli.reference docs/cli.md
	$(BIN)/python examples/gallery.py docs

lock: ## renew the lock files (needs uv)
	$(LOCK) pyproject.toml --extra dev --output-file requirements.lock
	$(LOCK) pyproject.toml --extra postgres --output-file requirements-server.lock
	echo hatchling | $(LOCK) - --output-file requirements-build.lock

clean: ## remove what make made
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache
