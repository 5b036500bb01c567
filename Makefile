# What one can do here. `make` alone lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Parallel test processes; more than one per core only makes them wait.
JOBS ?= 2
# Further options for pytest, such as TESTS=tests/release or ARGS='-k gate'.
TESTS ?= tests
ARGS ?=
# One thread per process: results do not depend on the machine, and processes do not fight for cores.
export OMP_NUM_THREADS ?= 1

BASE_STAMP := $(VENV)/.stamp-base
DEMO_STAMP := $(VENV)/.stamp-demo
DEV_STAMP := $(VENV)/.stamp-dev
BENCH_STAMP := $(VENV)/.stamp-bench
# Foreign clients live apart: their pins would drag our own rdflib down.
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.stamp

.PHONY: help setup peers demo test test-long check format bench docs system clean

help: ## list what you can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(DEV_STAMP) ## install everything for development into .venv
	@echo "ready: $(BIN)/fairbank --help"

peers: $(PEERS_STAMP) ## install the foreign clients that the tests run into .venv-peers
	@echo "ready: $(PEERS)/bin/img2catalog --help"

demo: $(DEMO_STAMP) ## run the demonstration: one hub, three biobanks, real DICOM (ARGS='--keep')
	@$(BIN)/fairbank demo $(ARGS)

test: $(DEV_STAMP) $(PEERS_STAMP) ## run the tests, but not the long ones (TESTS=tests/release, ARGS='-k gate', JOBS=2)
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "not long" $(ARGS) $(TESTS)

test-long: $(DEV_STAMP) $(PEERS_STAMP) ## run all the tests, the kill-point and fuzz suites too
	@$(BIN)/python -m pytest -q -n $(JOBS) $(ARGS) $(TESTS)

check: $(DEV_STAMP) ## check format, lint, types, imports, insecure code and what is installed
	@status=0; \
	echo "check: format";  $(BIN)/ruff format --check --quiet . || status=1; \
	echo "check: lint";    $(BIN)/ruff check --quiet . || status=1; \
	echo "check: types";   $(BIN)/mypy || status=1; \
	echo "check: imports"; $(BIN)/lint-imports --no-logo || status=1; \
	echo "check: insecure code";  $(BIN)/python tools/check_security.py || status=1; \
	echo "check: dependencies";   $(BIN)/python tools/check_dependencies.py || status=1; \
	exit $$status

format: $(DEV_STAMP) ## write the files in the house's format
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix --quiet .

bench: $(BENCH_STAMP) ## run the benchmarks of bench/, one after the other
	@for file in bench/*.py; do echo "bench: $$file"; $(BIN)/python "$$file"; done

docs: $(DEV_STAMP) ## build the documentation into site/, without network
	@$(BIN)/python tools/build_settings_page.py && $(BIN)/python tools/build_cli_page.py
	@$(BIN)/python tools/build_profiles_page.py && $(BIN)/python tools/build_permissions_page.py
	@$(BIN)/python tools/build_ontology_page.py && $(BIN)/python tools/build_training_page.py
	@$(BIN)/python tools/build_training_results_page.py
	@$(BIN)/python -m mkdocs build --strict --quiet
	@echo "docs: site/index.html"

clean: ## remove what was built, but not .venv and .venv-peers
	@rm -rf build dist site bench-out .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(DEV_STAMP): $(BASE_STAMP) pyproject.toml constraints.txt
	@echo "setup: fairbank with everything for development"
	@$(PIP) install -qq -c constraints.txt -e '.[dev]'
	@$(PIP) install -qq --no-deps openmined-psi==2.0.6
	@touch $(DEMO_STAMP) $@

$(BENCH_STAMP): $(DEV_STAMP)
	@echo "setup: what the benchmarks compare with (about 100 MB)"
	@$(PIP) install -qq -c constraints.txt -e '.[dev,bench]'
	@touch $@

$(PEERS_STAMP): constraints-peers.txt | $(BASE_STAMP)
	@echo "setup: the foreign clients in $(PEERS) (half a minute)"
	@$(BIN)/python -m venv --clear --without-pip $(PEERS)
	@$(PIP) --python $(PEERS)/bin/python install -qq --only-binary :all: --no-deps -r constraints-peers.txt
	@$(PIP) --python $(PEERS)/bin/python check -q
	@touch $@

# The packages of `dev` include those of `demo`: whoever has set up for development need not install again.
$(DEMO_STAMP): $(BASE_STAMP) pyproject.toml constraints.txt
	@echo "setup: fairbank with its demonstration"
	@$(PIP) install -qq -c constraints.txt -e '.[demo]'
	@touch $@

# torch first and alone: the version that is named is the build that is taken, whatever else asks for torch.
$(BASE_STAMP): constraints.txt tools/system_packages.sh
	@python=$$(tools/system_packages.sh); \
	  test -x $(BIN)/python || { echo "setup: $(VENV) by $$python"; "$$python" -m venv $(VENV); }
	@echo "setup: pip and torch (about a minute)"
	@$(PIP) install -qq --upgrade pip
	@$(PIP) install -qq -c constraints.txt torch==2.13.0
	@touch $@

system: ## install bubblewrap where it is missing (Debian, as root)
	@tools/system_packages.sh >/dev/null
