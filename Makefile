# `make run` and `make test` need Python 3.11 or later and make; they set up everything else in .venv.
# Another Python than python3: make PYTHON=python3.12 run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ENGINES := $(VENV)/.engines

# Nothing here reports to anybody.
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export MLFLOW_DISABLE_TELEMETRY := true
export GX_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help setup run test engines bench lint lock clean

help:  ## What there is to make
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(INSTALLED)  ## Create .venv and install the locked dependencies

run: $(INSTALLED)  ## The whole main job on a demo company of 10,000 customers
	$(BIN)/holdfast run --demo

test: $(INSTALLED)  ## Every test, dbt's own among them
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not postgres and not spark"

engines: $(ENGINES)  ## Install the other engines' extras, and hold the engines against DuckDB
	$(BIN)/python -m pytest -m "postgres or spark"

# SIZE=small takes minutes; PART is one of contest, growth, day, scoring, page.
SIZE ?= full
PART ?= all
bench: $(INSTALLED)  ## The benchmark against its peers; make bench SIZE=small for minutes
	$(BIN)/python -m bench --size $(SIZE) --part $(PART)

lint: $(INSTALLED)  ## ruff, mypy and sqlfluff
	$(BIN)/ruff check ml tests bench
	$(BIN)/ruff format --check ml tests bench
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 models tests

lock: $(INSTALLED)  ## Resolve the dependencies anew into the two locks
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
		--generate-hashes --no-strip-extras --no-header --no-annotate --no-emit-index-url \
		--output-file requirements.lock pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra engines \
		--generate-hashes --no-strip-extras --no-header --no-annotate --no-emit-index-url \
		--constraint requirements.lock --output-file $(VENV)/engines.lock pyproject.toml
	@# Only what the engines need beside the first lock; the installer is given both.
	awk 'NR == FNR { if (/^[^ ]/) known[$$1] = 1; next } /^[^ ]/ { keep = !($$1 in known) } keep' \
		requirements.lock $(VENV)/engines.lock > requirements-engines.lock

clean:  ## Remove everything generated, the environment too
	rm -rf $(VENV) target logs dbt_packages .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find local -mindepth 1 -maxdepth 1 ! -name .gitignore -exec rm -rf {} +

$(ENGINES): $(INSTALLED) requirements-engines.lock
	@echo "Installing what the other engines need ..."
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes \
		--requirement requirements.lock --requirement requirements-engines.lock
	@touch $@

# The stamp is written last, so an interrupted installation is taken up again.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Holdfast needs Python 3.11 or later, and $(PYTHON) is not. Name one: make PYTHON=python3.12 $(firstword $(MAKECMDGOALS))" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "Installing the locked dependencies ..."
	@awk '/^uv==/ { found = 1 } found { print } found && !/\\$$/ { exit }' requirements.lock > $(VENV)/uv.lock
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.lock \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements.lock \
		&& $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	then :; else \
		echo "uv could not install the lock; pip does it, in about two minutes."; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@touch $@
