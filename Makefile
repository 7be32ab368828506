# Each target does its own set-up in .venv; all it needs is Python with venv, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help demo test check format bench servers matrix fuzz chaos mutants dashboards reference docs release clean

help: ## say what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

demo: $(VENV)/.demo ## see jobs live: make demo ARGS="--seconds 8 --dir out"
	@$(BIN)/clues demo $(ARGS)

test: $(VENV)/.dev ## run all tests: make test ARGS="-k sanitize"
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.dev ## lint, format, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev ## put the code into its format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## measure: make bench ARGS="--quick"
	$(BIN)/python -m benchmarks $(ARGS)

servers: $(VENV)/.dev ## start real back ends for the tests, where there is a JDK or go
	@$(BIN)/python -m tests.servers run

matrix: $(VENV)/.dev ## test on another Python, Redis: make matrix ARGS="--python 3.13 --redis valkey-8"
	@$(BIN)/python -m tests.matrix $(ARGS)

fuzz: $(VENV)/.fuzz ## look for bytes that break what reads foreign data: make fuzz ARGS="--seconds 60"
	@$(BIN)/python -m tests.fuzz $(ARGS)

chaos: $(VENV)/.dev ## work under fire, and account for every job and event: make chaos ARGS="--minutes 5"
	@$(BIN)/python -m tests.chaos.soak $(ARGS)

mutants: $(VENV)/.mutants ## make mistakes in the core, see tests find them: make mutants ARGS=clues/metadata.py
	@$(BIN)/python -m tests.mutants $(ARGS)

dashboards: $(VENV)/.dev ## make dashboards, rules and their metrics anew from clues/dashboards_source
	@$(BIN)/python -m clues.dashboards_source

reference: $(VENV)/.dev ## make the reference's pages anew, from the code
	@$(BIN)/python -m docs.reference_source

docs: reference ## build the documentation: make docs ARGS=--open
	@$(BIN)/python -m docs $(ARGS)

release: $(VENV)/.release ## check, build, try, commit and tag: make release VERSION=1.0.0 ARGS=--dry-run
	@$(BIN)/python tools/release.py '$(VERSION)' $(ARGS)

clean: ## remove what the targets made
	rm -rf $(VENV) .adapters .bench .matrix dist build mutants .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'clues needs Python 3.11 or newer: make PYTHON=python3.12'; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo 'Python has no venv here: apt-get install python3-venv'; exit 1; }

# The extra `fast` is welcome, not needed: where it has no wheels nothing is compiled.
FAST = $(INSTALL) --only-binary hiredis,orjson --editable '.[fast]' 2>/dev/null || echo 'No wheels of orjson and hiredis here: going on without.'

$(VENV)/.demo: pyproject.toml $(VENV)/bin/python | clues/publishers
	@echo 'Installing clues with its demo into $(VENV), once …'
	@$(INSTALL) --editable '.[demo]'
	@$(FAST)
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/bin/python | clues/publishers
	@echo 'Installing clues and the tools of its tests into $(VENV), once …'
	@$(INSTALL) --editable '.[demo,dev]'
	@$(FAST)
	@touch $@ $(VENV)/.demo

$(VENV)/.mutants: $(VENV)/.dev
	@$(INSTALL) 'mutmut==3.8.*'
	@touch $@

# atheris has wheels for some Pythons only, and nobody else needs it.
$(VENV)/.fuzz: $(VENV)/.dev
	@$(INSTALL) --only-binary :all: 'atheris>=3'
	@touch $@

$(VENV)/.release: $(VENV)/.dev
	@$(INSTALL) 'twine>=6.1'
	@touch $@

# Archives of the source hold no links.
clues/publishers:
	@ln -s ../publishers $@
