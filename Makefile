.DEFAULT_GOAL := help
PYTHON ?= python3
PORT ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# Two marks in one environment: what serving needs is a part of what developing needs, in the very
# same versions. So `make test` after `make serve` adds to it, and `make serve` after it adds nothing.
SERVING := $(VENV)/.serving
STAMP := $(VENV)/.installed
PIP := $(BIN)/pip --disable-pip-version-check
LOCK := uv pip compile --quiet --upgrade --universal --python-version 3.11 \
  --generate-hashes --no-header --no-annotate --no-emit-index-url

# Some images set it, and every process that tests start would compile what it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve page test test-page test-frameworks coverage check format docs changelog bench fuzz proof compare audit \
  picture lock clean

help: ## list what make can do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Rheostat needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(SERVING): requirements-server.lock requirements-build.lock pyproject.toml | $(BIN)/python
	@echo 'Installing what serving needs into $(VENV), once. About a minute.'
	$(PIP) install --require-hashes -r requirements-server.lock -r requirements-build.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q service # pip compiles what it installs, but not what stays here
	@touch $(SERVING)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing what developing needs into $(VENV), once. A minute or two.'
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q service
	@touch $(SERVING) $(STAMP)

serve: $(SERVING) ## serve on http://127.0.0.1:8000, or PORT=, with an embedded SQLite
	@$(BIN)/rheostat serve $(if $(PORT),--port $(PORT)) $(ARGS) || { code=$$?; \
	  test $$code -ge 128 || echo 'Is the port taken? Another one: make serve PORT=8001' >&2; exit $$code; }

page: $(SERVING) ## the page at http://127.0.0.1:8000, or PORT=, with a simulated training to look after
	@$(BIN)/rheostat demo --page --port $(or $(PORT),8000) $(ARGS) || { code=$$?; \
	  test $$code -ge 128 || echo 'Is the port taken? Another one: make page PORT=8001' >&2; exit $$code; }

test: $(STAMP) $(VENV)/.deploy ## run every test that needs no heavy framework, and the examples in docstrings
	$(BIN)/pytest --ignore tests/torch --ignore tests/frameworks --ignore tests/page -n 3 --dist worksteal $(ARGS)

test-page: $(STAMP) $(VENV)/.page ## run the tests of the page, in the system's Chromium; its types need npm
	$(BIN)/pytest tests/page $(ARGS)

test-frameworks: $(STAMP) $(VENV)/.frameworks ## run the tests that need PyTorch, and every other framework
	$(BIN)/pytest tests/torch -n 3 --dist loadfile $(ARGS) # in these Keras computes with PyTorch,
	$(BIN)/pytest tests/frameworks -n 3 --dist loadfile $(ARGS) # and in these with JAX

coverage: $(STAMP) ## run the tests of make test, and fail if fewer lines and branches are run than were
	.ci/coverage $(ARGS)

check: $(STAMP) ## format, lint, types, layers, changelog fragments
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python changelog.d/assemble.py --check

format: $(STAMP) ## format and mend what can be mended, and write the blocking client
	$(BIN)/python service/rheostat/client/unasync.py
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write the manuals that are made from the code
	$(BIN)/python -m rheostat.schedules.manual docs
	$(BIN)/python -m rheostat.converters.docs docs
	$(BIN)/python -m rheostat.server.documents docs
	$(BIN)/python -m rheostat.cli.reference docs/cli.md
	$(BIN)/python examples/gallery.py docs

picture: $(STAMP) $(VENV)/.torch ## train twice, and draw the README's picture again
	$(BIN)/python examples/same_step.py docs/same-step.svg

changelog: ## move the fragments of changelog.d into CHANGELOG.md, for the release VERSION=
	$(PYTHON) changelog.d/assemble.py $(VERSION)

bench: $(STAMP) $(VENV)/.torch ## measure what docs/performance.md tells
	@command -v wrk nginx >/dev/null || echo 'values.py and fleet.py need more: apt-get install wrk nginx'
	$(BIN)/python -c 'import jax, optax' 2>/dev/null || $(PIP) install jax==0.10.2 optax==0.2.8
	$(BIN)/python benchmarks/reads.py
	$(BIN)/python benchmarks/values.py
	$(BIN)/python benchmarks/settling.py
	$(BIN)/python benchmarks/fleet.py
	$(BIN)/python benchmarks/growth.py docs/growth.svg
	$(BIN)/python benchmarks/arrival.py docs/arrival.svg
	$(BIN)/python benchmarks/curves.py
	$(BIN)/python benchmarks/curve_answers.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/control.py
	$(BIN)/python benchmarks/brief.py

$(VENV)/.torch: | $(STAMP)
	$(BIN)/python -c 'import torch' 2>/dev/null || $(PIP) install torch==2.13.0
	@touch $(VENV)/.torch

$(VENV)/.deploy: tests/deploy/requirements.txt | $(STAMP)
	$(PIP) install --quiet --requirement tests/deploy/requirements.txt
	@touch $(VENV)/.deploy

$(VENV)/.page: tests/page/requirements.txt | $(STAMP)
	$(PIP) install --quiet --requirement tests/page/requirements.txt
	@touch $(VENV)/.page

# The newest versions here, and the oldest that work beside them, each in a folder of its own.
$(VENV)/.frameworks: tests/frameworks/requirements.txt | $(VENV)/.torch
	$(PIP) install --quiet --requirement tests/frameworks/requirements.txt
	$(BIN)/python -m tests.frameworks.oldest
	@touch $(VENV)/.frameworks

fuzz: $(STAMP) ## throw 100,000 random definitions at a server
	RHEOSTAT_EXAMPLES=100000 $(BIN)/pytest tests/server/test_random_definitions.py

proof: $(STAMP) ## kill, freeze, cut off and crash everything for minutes, and check what was served
	$(BIN)/python -m tests.faults.proof docs/reliability.md
	RHEOSTAT_EXAMPLES=2000 $(BIN)/pytest tests/server/protocol tests/server/test_openapi_cases.py \
	  tests/server/test_openapi_raw.py -n 2

compare: $(STAMP) $(VENV)/.compare ## step random configurations and files in the real projects, beside what they become
	PYTHONPATH=$(VENV)/projects $(BIN)/python -W ignore -m tests.converters.compare docs/converters.md

# Projects in a folder of their own, since some change what other packages do where they are found.
$(VENV)/.compare: tests/converters/compare/requirements.txt \
    tests/converters/compare/files/requirements.txt $(VENV)/.frameworks
	$(PIP) install --no-deps -r tests/converters/compare/requirements.txt
	rm -rf $(VENV)/projects
	$(PIP) install --no-deps --target $(VENV)/projects \
	  -r tests/converters/compare/files/requirements.txt
	@touch $@

audit: $(BIN)/python ## look for known vulnerabilities of what the lock files name
	@test -x $(VENV)/audit/bin/pip-audit || { $(PYTHON) -m venv $(VENV)/audit \
	  && $(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1; }
	$(BIN)/python .ci/audit.py $(VENV)/audit/bin/pip-audit

lock: ## renew the lock files (needs uv)
	$(LOCK) pyproject.toml --extra dev --output-file requirements.lock
	$(LOCK) pyproject.toml --extra postgres --output-file requirements-server.lock
	echo hatchling | $(LOCK) - --output-file requirements-build.lock

clean: ## remove what make made
	rm -rf $(VENV) .venv-3.* build dist .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.*
