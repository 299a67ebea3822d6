# Rundown's commands. `make demo` on a fresh machine needs Python 3.11+, git and a C toolchain, nothing else.

VENV  := .venv
BIN   := $(VENV)/bin
# Extra arguments for pip, for example an index with a torch build for your GPU.
PIP_FLAGS ?=
PYTEST_FLAGS ?= -n 2

.DEFAULT_GOAL := help
.PHONY: help install demo test check format clean

help: ## Show these commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## Create .venv and install Rundown with pinned dependencies

demo: $(VENV)/.installed ## Install if needed, then play one incident from page to answered question
	$(BIN)/rundown demo

test: $(VENV)/.installed-dev ## Install if needed, then run every test
	$(BIN)/pytest $(PYTEST_FLAGS)

check: $(VENV)/.installed-dev ## Lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## Let ruff put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## Remove .venv and every cache
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.installed: pyproject.toml constraints.txt $(BIN)/python
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet $(PIP_FLAGS) --constraint constraints.txt --editable '.[dev]'
	@touch $@

# 3.11 first: it is what constraints.txt was written on. PYTHON=… overrides.
$(BIN)/python:
	@for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Creating $(VENV) with $$("$$candidate" --version). The first install takes a few minutes."; \
	    "$$candidate" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); echo "$$candidate cannot create a virtual environment: install its venv package" >&2; exit 1; \
	  fi; \
	done; \
	echo "Rundown needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python" >&2; exit 1
