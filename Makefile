# `make run` and `make test` need nothing but Python 3.11 or newer: they make .venv and install into it first.
# Where torch wheels come from; https://download.pytorch.org/whl/cu130, for example, for a GPU.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
PYTHON ?= python3
PAGE ?= 05_layer_geometry
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TORCH := $(shell sed -n 's/^nn = \["\(torch[^"]*\)".*/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help setup run test lab site check execute notebooks clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 19
	@echo 'Variables: PYTHON, TORCH_INDEX (setup); PAGE (run); ARGS (run, test, lab, site, execute, notebooks), as in make run ARGS="-p seed 1"'

setup: $(INSTALLED)  ## make .venv and install the book into it

run: $(INSTALLED)  ## run the main job: train, extract, compare, measure, draw
	$(BIN)/python -m lib run $(PAGE) $(ARGS)

test: $(INSTALLED)  ## run all tests, pages included
	$(BIN)/python -m pytest $(ARGS)

lab: $(INSTALLED)  ## open JupyterLab on a launcher of all pages (ARGS="--no-browser --port 8890")
	$(BIN)/python -m lib lab -- $(ARGS)

site: $(INSTALLED)  ## build the book's site into _build/html, and say with which theme (ARGS="--theme offline")
	$(BIN)/python -m tools.site $(ARGS)

check: $(INSTALLED)  ## what a change must pass: format, lint, tests (pairing of pages is one of them)
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/python -m pytest

execute: $(INSTALLED)  ## run the whole book with its defaults and print seconds per page (ARGS="05": only that page)
	$(BIN)/python -m lib execute $(ARGS)

notebooks: $(INSTALLED)  ## execute pages with their defaults and store the notebooks (ARGS="05": only that page)
	$(BIN)/python -m lib execute --store $(ARGS)

clean:  ## remove executed runs and caches; keeps .venv, downloads and trained checkpoints
	rm -rf build/runs build/interactive build/site _build reference/api .pytest_cache .ruff_cache .hypothesis

# torch first and alone: PyPI's Linux wheel brings several GB of CUDA, and an extra index slows down every other package.
$(INSTALLED): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --retries 1 --extra-index-url $(TORCH_INDEX) "$(TORCH)"
	$(BIN)/python -m pip install --disable-pip-version-check -e ".[nn,book,site,cluster,test]"
	touch $@
