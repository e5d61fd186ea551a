# Each target makes what it needs first, so any of them may be the first command on a fresh machine
# that has Python 3.11 or newer with venv.

VENV      := .venv
BIN       := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SUITABLE  := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON    ?= $(shell for python in python3.11 python3.12 python3.13 python3.14 python3; do \
                     $$python -c '$(SUITABLE)' >/dev/null 2>&1 && echo $$python && break; done)
TYPED     = $(wildcard celeriac examples benchmarks tests/typing)

.DEFAULT_GOAL := help
.PHONY: help install demo test check bench bench-peers bench-tenants chaos format clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Watch two banks' tickets being solved, and a worker being killed (EXIT=1: end when done)
	@$(BIN)/celeriac dev --demo $(if $(filter-out 0,$(EXIT)),--exit)

test: $(INSTALLED) ## Run all tests; they start their own Redis and Postgres
	@$(BIN)/python -m pytest --numprocesses 3 --dist worksteal

check: $(INSTALLED) ## Run ruff, mypy, the import contracts and the house rules
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { echo "Some files are not formatted: make format"; exit 1; }
	@$(BIN)/mypy $(TYPED)
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest -q tests/house

bench: $(INSTALLED) ## Measure step overhead, throughput and start latency; prints JSON lines
	@$(BIN)/python -m benchmarks

bench-peers: $(INSTALLED) ## Measure the peers beside Celeriac, installing them first (OPTIONS="--quick", …)
	@$(BIN)/python -m benchmarks.peers $(OPTIONS)

bench-tenants: $(INSTALLED) ## Measure fairness, limits and isolation beside control arms (QUICK=1: five minutes, ONLY=T1,T4)
	@$(BIN)/python -m benchmarks.tenants $(if $(filter-out 0,$(QUICK)),--quick) $(if $(ONLY),--only $(ONLY))

chaos: $(INSTALLED) ## Break a private installation with 20 seeds of faults, a minute each (SEED= SEEDS= SECONDS=)
	@$(BIN)/celeriac chaos --seed $(or $(SEED),1) --seeds $(or $(SEEDS),20) --seconds $(or $(SECONDS),60)

format: $(INSTALLED) ## Let ruff fix and format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

install: $(INSTALLED) ## Make the environment in .venv

clean: ## Remove the environment and all caches
	rm -rf $(VENV) build dist .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once, and again whenever pyproject.toml changes.
$(INSTALLED): pyproject.toml
	@python="$(PYTHON)"; test -n "$$python" || { echo "Celeriac needs Python 3.11 or newer with venv. Install it or name one: make PYTHON=/path/to/python"; exit 1; }; \
	echo "Installing Celeriac and its tools into $(VENV) (about a minute; only when pyproject.toml has changed)"; \
	test -x $(BIN)/python || "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
