# Every target sets up what it needs: a machine with Python 3.11 or later, make and a package index
# is enough. `make` alone lists the targets.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
WORKERS ?= 2
ONLY ?=
SECONDS ?= 60
HOURS ?= 48
COUNT ?= 50
SEED ?= 0
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CHROMIUM := $(VENV)/.chromium
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
HOME_FILE := .dagster_home/dagster.yaml
CODE := dagster_transform $(wildcard example_project bench matrix tests docs)

# With this set, every process would compile what it imports, each time.
unexport PYTHONDONTWRITEBYTECODE
# The Dagster home and the environment of the person who runs make stay out of it.
unexport DAGSTER_HOME VIRTUAL_ENV PYTHONPATH PYTHONHOME

export DO_NOT_TRACK := 1
export SQLMESH__DISABLE_ANONYMIZED_ANALYTICS := true
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
# SQLMesh would load models in forked processes, and a fork of a process with threads may hang.
export MAX_FORK_WORKERS := 1

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: install
install: $(STAMP) ## Make .venv from requirements.lock, with this package as an editable install

.PHONY: demo
demo: $(STAMP) $(HOME_FILE) ## Run the example from end to end, on real data; ARGS=--break: with a failure
	DAGSTER_HOME="$(CURDIR)/.dagster_home" $(BIN)/python -m example_project.demo $(ARGS)

.PHONY: dev
dev: $(STAMP) $(HOME_FILE) ## Start Dagster's UI and daemon on the example project
	DAGSTER_HOME="$(CURDIR)/.dagster_home" $(BIN)/dagster dev -w workspace.yaml $(ARGS)

.PHONY: deploy-local
deploy-local: $(STAMP) ## Start the example with PostgreSQL, code server, webserver and daemon; ARGS="--port 3001"
	@$(BIN)/python -m example_project.deployment $(ARGS)

.PHONY: unit
unit: $(STAMP) ## Run what takes a minute: no server, no dbt process, no browser
	$(PYTEST) -m "not (slow or long or postgres or crash or browser)" tests/unit tests/property $(ARGS)

.PHONY: test
test: $(STAMP) $(CHROMIUM) ## Run the tests; ARGS="-k name" selects; WORKERS=0: one after the other
	$(PYTEST) -m "not long" $(ARGS)

.PHONY: test-all
test-all: $(STAMP) $(CHROMIUM) ## Run all tests, those too that take minutes: weeks, the second engine of some
	$(PYTEST) $(ARGS)

.PHONY: soak
soak: $(STAMP) ## Build and audit side by side on PostgreSQL for a while; SECONDS=60
	SOAK_SECONDS="$(SECONDS)" $(BIN)/python -m pytest -q tests/soak/builds_and_audits.py $(ARGS)

.PHONY: deployed
deployed: $(STAMP) ## Kill the processes of a deployment while schedules tick; SECONDS=1800
	SOAK_SECONDS="$(SECONDS)" $(BIN)/python -m pytest -q -s tests/soak/deployed.py $(ARGS)

.PHONY: killed
killed: $(STAMP) ## Kill run workers at random and compare what is built with what is told; COUNT=50 SEED=1
	KILLED_COUNT="$(COUNT)" KILLED_SEED="$(SEED)" $(BIN)/python -m pytest -q -s tests/soak/killed_runs.py $(ARGS)

.PHONY: crash
crash: $(STAMP) ## Kill and stop processes that hold claims, and take claims' guards out
	$(BIN)/python -m pytest -q tests/crash/claims_faults.py tests/crash/claims_mutants.py $(ARGS)

.PHONY: claims-soak
claims-soak: $(STAMP) ## Claim from eight processes that are killed and stopped; SECONDS=60
	SOAK_SECONDS="$(SECONDS)" $(BIN)/python -m pytest -q -s tests/soak/claims.py $(ARGS)

.PHONY: ticks
ticks: $(STAMP) ## Drive schedules and the sensor through simulated days, with what goes wrong; HOURS=48
	TICKS_HOURS="$(HOURS)" $(BIN)/python -m pytest -q -s tests/soak/ticks.py $(ARGS)

.PHONY: matrix
matrix: $(STAMP) ## Test with lowest, middle and newest versions; ONLY=lowest; UPGRADE=1 resolves anew
	$(BIN)/python -m matrix $(if $(ONLY),--only $(ONLY)) $(if $(UPGRADE),--upgrade) \
	  --workers $(WORKERS) $(ARGS)

.PHONY: check
check: $(STAMP) ## Lint, check the format, the types and the arrows between the packages
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy --strict dagster_transform $(wildcard example_project)
	$(BIN)/lint-imports

.PHONY: format
format: $(STAMP) ## Format the code and mend what ruff can mend
	$(BIN)/ruff check --fix-only $(CODE)
	$(BIN)/ruff format $(CODE)

.PHONY: bench
bench: $(STAMP) ## Measure, and write the results as JSON; ONLY="name name" runs some; ARGS=--help
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

.PHONY: docs
docs: $(STAMP) ## Build the documentation into site/; every link has to lead somewhere
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict $(ARGS)
	@echo "site/index.html"

.PHONY: dist
dist: $(STAMP) ## Build wheel and source distribution into dist/
	$(BIN)/uv build --quiet --no-config --no-build-isolation --python $(BIN)/python --out-dir dist $(ARGS)
	@ls dist

.PHONY: lock
lock: $(BIN)/uv ## Write requirements.lock from pyproject.toml; UPGRADE=1 takes newer versions
	@{ echo "# Everything that developing needs: the package's dependencies with all extras."; \
	   echo "# Resolved for Python 3.11 and later, on any platform. Written by: make lock"; } > requirements.lock.new
	@if [ -f requirements.lock ]; then cp requirements.lock requirements.lock.pins; fi
	@$(BIN)/uv pip compile --quiet --no-config --universal --fork-strategy fewest \
	  --python-version 3.11 --all-extras --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) \
	  --constraints lock-constraints.txt pyproject.toml --output-file requirements.lock.pins
	@grep -v '^#' requirements.lock.pins >> requirements.lock.new
	@rm requirements.lock.pins
	@if grep -nE '://|/|^ *-|@' requirements.lock.new; then \
	  echo "requirements.lock would name an address or a path" >&2; exit 1; fi
	@if grep -nE '^(sqlglotc|dagster-dbt)\b' requirements.lock.new; then \
	  echo "these break SQLMesh" >&2; exit 1; fi
	@mv requirements.lock.new requirements.lock
	@echo "requirements.lock: $$(grep -c == requirements.lock) packages"

.PHONY: clean
clean: ## Remove all that the other targets made: .venv, the Dagster home, the demo's data, caches
	rm -rf $(VENV) .dagster_home .deployment .tmp_dagster_home* .dagster_transform .cache build dist site logs \
	  example_project/data example_project/logs example_project/.dagster_transform \
	  example_project/dbt_project/{dbt_packages,logs,target} bench/results \
	  .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis requirements.lock.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(HOME_FILE): dagster_home.yaml
	@mkdir -p $(@D)
	@[ -f $@ ] || cp $< $@
	@touch $@

# Once: where it can't be installed, the browser tests are skipped and say so.
$(CHROMIUM): | $(STAMP)
	@.ci/chromium
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than Python 3.11: make PYTHON=python3.x" >&2; exit 1; }
	@echo "[1/4] $(VENV), with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# uv is ten times as fast as pip. It does not read pip's configuration, so where an index is
# configured for pip only, pip does its work below.
$(BIN)/uv: | $(BIN)/python
	@echo "[2/4] uv"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
	  $(addprefix -c ,$(wildcard requirements.lock)) uv
	@touch $@

$(STAMP): requirements.lock pyproject.toml | $(BIN)/uv
	@echo "[3/4] $$(grep -c == requirements.lock) packages of requirements.lock, and this package"
	@$(BIN)/uv pip sync --quiet --no-config --python $(BIN)/python requirements.lock || { \
	  echo "      uv could not; pip does it (about two minutes)"; \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --no-deps \
	    -r requirements.lock; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps \
	  --no-build-isolation -e .
	@echo "[4/4] compiling to bytecode (half a minute)"
	@$(BIN)/python -m compileall -q -j 2 $(VENV)/lib >/dev/null 2>&1 || true
	@touch $@
