# Everything here sets itself up first, and a later run re-installs nothing.  ARGS="..." is handed on to the program.
.DEFAULT_GOAL := help
.PHONY: help setup demo test lint fmt bench fuzz docs lock clean
ARGS :=

help: ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 14

setup: ## make .venv and install what is missing, the servers included
	@scripts/setup.sh --servers postgres test

demo: ## platforms ask a real ejabberd and a Prosody for incidents; the clearinghouse and people decide
	@scripts/demo.sh $(ARGS)

test: ## every check and every test, those with real servers included
	@scripts/test.sh $(ARGS)

lint: ## rules, form, types, architecture, shell scripts
	@scripts/setup.sh postgres test
	@scripts/lint.sh

fmt: ## put the code into its form, and mend what can be mended by rule
	@scripts/setup.sh postgres test
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

bench: ## measure the engine beside its peers, and approvals through real servers
	@scripts/setup.sh postgres test bench
	@.venv/bin/python -m tests.benchmarks $(ARGS)

fuzz: ## let a fuzzer look for input that breaks the parser
	@scripts/setup.sh postgres test fuzz
	@.venv/bin/python -m tests.fuzz $(ARGS)

docs: ## build the documentation; a warning is an error
	@scripts/setup.sh docs
	@.venv/bin/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html
	@echo docs/_build/html/index.html

lock: ## write the requirements with their hashes anew (ARGS=--upgrade for newer versions)
	@scripts/lock.sh $(ARGS)

clean: ## remove everything that make made, the virtual environments included
	rm -rf .venv .venv-lock build dist docs/_build clearinghouse.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find clearinghouse tests -name __pycache__ -type d -prune -exec rm -rf {} +
