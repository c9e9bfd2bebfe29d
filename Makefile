# Everything one does with this checkout. `make` alone explains itself.
# Needs Python 3.11+, git and make; everything else goes into .venv.

PYTHON ?= python3
VENV   := .venv
READY  := $(VENV)/.ready
SIZE   ?= 500k

.DEFAULT_GOAL := help
.PHONY: help setup run test bench scan mutate stop clean ci

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install what requirements.txt names into .venv, if it changed

# The stamp is written last: an interrupted installation is taken up again.
$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "This needs Python 3.11 or newer.")'
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing requirements.txt (the first time takes a minute)"
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --requirement requirements.txt
	@touch $@

run: setup ## open the desk in the browser (starts its own PostgreSQL unless DATABASE_URL is set)
	@$(VENV)/bin/python -m dashboard run

test: setup ## run every test on the embedded PostgreSQL
	@$(VENV)/bin/python -m pytest -q --numprocesses auto

bench: setup ## measure the desk on a bank of its own: SIZE=500k (three minutes) or SIZE=5m (fifteen)
	@$(VENV)/bin/python -m pip install -qq --disable-pip-version-check --requirement requirements-bench.txt
	@$(VENV)/bin/python -m benchmarks --size $(SIZE)

scan: setup ## bandit over the code, pip-audit over what is required
	@$(VENV)/bin/python -m tests.scan

mutate: setup ## take away one protection at a time; its test must fail (tests/mutations.toml)
	@$(VENV)/bin/python -m tests.mutate

stop: ## stop the embedded PostgreSQL (it outlives the desk); the data stays
	@if [ -e $(READY) ]; then $(VENV)/bin/python -m dashboard stop; fi

clean: stop ## remove .venv and caches; the data stays
	@rm -rf $(VENV) .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

ci: ## what the build machine runs (Debian, root): every test on PostgreSQL 18, the database ones again on 15
	@.ci/run
