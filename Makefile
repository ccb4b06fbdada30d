# Everything runs in .venv, made from lock files. `make` alone lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet install
LOCK   := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-config --custom-compile-command "make lock" $(LOCK_ARGS)
JS     := clients/js
PROCESSES ?= 3
NODE   := $(patsubst %/package-lock.json,%/node_modules/.stamp,$(wildcard examples/node/package-lock.json $(JS)/package-lock.json))

.PHONY: help serve check test test-python test-js test-faults test-others test-soak faults soak bench build docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

serve: $(STAMPS)/package ## run a node on http://127.0.0.1:7630 (ARGS="--local 127.0.0.1:8080" adds flags)
	@exec $(BIN)/lambdamesh serve --dev $(ARGS)

check: $(STAMPS)/dev $(NODE) ## lint, format, types, imports between layers, size of the JavaScript client
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	npm run --silent check --prefix $(JS)

test: check ## check, then every test; the soak runs beside the others
	@$(MAKE) --no-print-directory --jobs=2 test-soak test-others

test-others:
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory test-js
	@$(MAKE) --no-print-directory test-faults

test-python: $(STAMPS)/dev $(NODE) ## the node's tests and those of the Python client (ARGS="-k name" selects)
	$(BIN)/python -m pytest --numprocesses=$(PROCESSES) --dist=loadfile --ignore=tests/faults $(ARGS)

test-faults: $(STAMPS)/dev $(NODE) ## the short run of the fault suite
	$(BIN)/python -m pytest tests/faults $(ARGS)

test-soak: $(STAMPS)/dev
	@$(BIN)/python -m tests.faults.soak --minutes 5 | cat

faults: $(STAMPS)/dev $(NODE) ## the long run of the fault suite: 1,000,000 calls, full crowds (LAMBDAMESH_FAULTS_SEED=N repeats one)
	LAMBDAMESH_FAULTS=full $(BIN)/python -m pytest --timeout=3600 -s tests/faults $(ARGS)
	$(BIN)/python -m tests.faults --calls 1000000 $(ARGS)

soak: $(STAMPS)/dev ## an hour of churn: memory, descriptors, tasks, blocks of the loop (ARGS="--minutes 5")
	$(BIN)/python -m tests.faults.soak $(or $(ARGS),--minutes 60)

test-js: $(STAMPS)/dev $(NODE) $(STAMPS)/chromium ## the JavaScript client's, in Node and in Chromium
	npm run --silent vitest --prefix $(JS)

bench: $(STAMPS)/dev ## measure this machine (ARGS adds flags)
	$(BIN)/python -m bench $(ARGS)

docs: $(STAMPS)/dev ## write the generated parts of the documents again
	$(BIN)/python -m docs.generate

build: $(STAMPS)/dev ## wheel and source archive in dist/
	$(BIN)/python -m build --no-isolation

lock: $(STAMPS)/dev ## compile the lock files again (LOCK_ARGS=--upgrade takes newer versions)
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --group build -o requirements-build.lock
	$(LOCK) pyproject.toml --group dev -c requirements.lock -c requirements-build.lock -o requirements-dev.lock
	$(LOCK) -c requirements-dev.lock examples/push/requirements.in -o examples/push/requirements.lock

clean: ## remove whatever the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
	  examples/node/node_modules $(JS)/node_modules $(JS)/dist
	find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# --- what the targets above stand on; each stamp says "done, for this version of its inputs" ---

$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "lambdamesh needs Python 3.11 or newer; name one with: make PYTHON=python3.11" >&2; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null; \
	  else \
	    echo "$(PYTHON) cannot make virtual environments; install that part with: sudo apt-get install python3-venv" >&2; \
	    exit 1; \
	  fi; \
	fi
	$(PYTHON) -m venv --clear $(VENV)
	@mkdir -p $(@D) && touch $@

$(STAMPS)/runtime: $(STAMPS)/venv requirements.lock
	$(PIP) --require-hashes -r requirements.lock
	@touch $@

$(STAMPS)/build: $(STAMPS)/venv requirements-build.lock
	$(PIP) --require-hashes -r requirements-build.lock
	@touch $@

$(STAMPS)/package: $(STAMPS)/runtime $(STAMPS)/build pyproject.toml
	$(PIP) --no-index --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/package requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

# A browser is asked for, not insisted on: its tests say that they were skipped where there is none.
$(STAMPS)/chromium: $(STAMPS)/venv
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null \
	    || echo "Chromium could not be installed: the browser's tests will be skipped" >&2; \
	fi
	@touch $@

%/node_modules/.stamp: %/package-lock.json %/package.json
	npm ci --no-audit --no-fund --prefix $*
	@touch $@
