# `make demo` and `make test` do everything from a fresh clone: they make .venv, install, and run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Python compiles the few modules that are imported; pip would compile all, for minutes.
INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable
READY := $(VENV)/.ready
READY_DEV := $(VENV)/.ready-dev

.PHONY: demo test coverage quick slow docs format clean

demo: $(READY)
	$(BIN)/lab demo --out demo

test: $(READY_DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

coverage: $(READY_DEV)
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term

quick: $(READY_DEV)
	$(BIN)/pytest -n 2 --dist worksteal -m 'not slow and not process'

slow: $(READY_DEV)
	$(BIN)/pytest -m slow

docs: $(READY_DEV)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

format: $(READY_DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# What the demo and the notebooks need.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[notebooks]'
	touch $@

# The rest: tests, benchmarks, documentation.
$(READY_DEV): $(READY)
	$(INSTALL) '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
