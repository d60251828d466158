# Two commands do all the set-up: `make run` and `make test`. Python 3.11 and make are all they need.
SHELL   := /bin/bash
PYTHON  ?= python3.11
VENV    := .venv
BIN     := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

.PHONY: setup run demo test lint check bench bench-train bench-engines bench-watch bench-review page-pictures nightly-demo nightly-campaign nightly-load nightly-publish audit faults clean

# --- environments: stamps remember which set is installed, and go stale with what defines it -------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11)' 2>/dev/null || \
	  { echo "Python 3.11 or newer is needed: set PYTHON=, for example make run PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "Python lacks its venv module: apt install python3-venv" >&2; exit 2; }

$(VENV)/.running: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what running needs into $(VENV) ..." >&2
	@$(INSTALL) .
	@touch $@

$(VENV)/.everything: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing everything that tests and training need into $(VENV) ..." >&2
	@$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.running

setup: $(VENV)/.everything

# --- the service -----------------------------------------------------------------------------------------------

# DROP picks the drop folder, WNET_VAR where state lives.
ifdef DROP
export WNET_DROP := $(DROP)
endif

run: $(VENV)/.running
	@exec $(BIN)/python deploy/supervise.py

demo: $(VENV)/.running
	@$(BIN)/python deploy/demo.py & exec $(BIN)/python deploy/supervise.py

# --- the proof -------------------------------------------------------------------------------------------------

# A file's tests stay in one process; most of their time is waiting for brokers, databases and browsers.
test: $(VENV)/.everything
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(VENV)/.everything
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test

bench: $(VENV)/.everything
	@$(BIN)/python tests/bench/bench.py

bench-train: $(VENV)/.everything
	@$(BIN)/python tests/bench/bench_train.py

bench-review: $(VENV)/.everything
	@$(BIN)/python tests/bench/bench_review.py

# What the page looks like, from the real service, to docs/pictures/.
page-pictures: $(VENV)/.everything
	@$(BIN)/python tests/bench/page_pictures.py

bench-engines: $(VENV)/.everything
	@$(BIN)/python tests/bench/bench_engines.py

bench-watch: $(VENV)/.everything
	@$(BIN)/python tests/bench/bench_watch.py

# A simulated month of nightly fine-tunes: SET=pbc or chula, NIGHTS=30, LABELS=80 a night. Broken off, it goes on.
nightly-demo: $(VENV)/.everything
	@$(BIN)/python tests/bench/nightly_demo.py $(if $(SET),--set $(SET)) $(if $(NIGHTS),--nights $(NIGHTS)) \
	  $(if $(LABELS),--labels $(LABELS)) $(if $(EPOCHS),--epochs $(EPOCHS))

# Poisoned and clean nights before the gate, SEEDS=20 of each; broken off, it goes on.
nightly-campaign: $(VENV)/.everything
	@$(BIN)/python tests/bench/nightly_campaign.py $(if $(SEEDS),--seeds $(SEEDS)) $(if $(EPOCHS),--epochs $(EPOCHS))

# A night with 500 new labels while slides arrive: how long it takes and what slides feel of it. Half an hour, a quiet machine.
nightly-load: $(VENV)/.everything
	@$(BIN)/python tests/bench/nightly_load.py $(if $(QUIET),--quiet-minutes $(QUIET))

# What the three of them measured, each promise beside it, as docs/measurements/nightly.json.
nightly-publish: $(VENV)/.everything
	@$(BIN)/python tests/bench/nightly_publish.py

# Kills, breaks and floods on purpose, for about an hour; broken off, the same command goes on. PART=name plays one part,
# SCALE=short or a share such as 0.1 less of it, AGAIN=1 what was done before too, PATIENCE=4 allows for a slow machine.
faults: $(VENV)/.everything
	@$(BIN)/python tests/faults/campaign.py $(foreach part,$(PART),--part $(part)) $(if $(SCALE),--scale $(SCALE)) \
	  $(if $(AGAIN),--again) $(if $(PATIENCE),--patience $(PATIENCE))

# Known holes in what is installed, from the package index's own data; needs the network and an install of pip-audit.
audit: $(VENV)/.everything
	@command -v pip-audit >/dev/null || { echo "pip-audit is missing: pipx install pip-audit" >&2; exit 2; }
	@pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
