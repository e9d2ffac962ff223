# Sets rookery up in .venv and runs it: nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test test-gpu test-server docs wheel slow lint check clean

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "rookery needs Python 3.11 or newer; try: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(BIN)/.tested: $(BIN)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

demo: $(BIN)/.installed  ## Solve Game of 24 hands on the embedded model, no key and no network
	$(BIN)/python examples/game24.py --demo

test: $(BIN)/.tested  ## All tests but the slow ones
	$(BIN)/python -m pytest

test-gpu: $(BIN)/.tested  ## Masks, cache reuse, batches and tokens/s on one CUDA device
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[transformers]'
	$(BIN)/python -m pytest -m gpu -rs tests/models/test_gpu.py

docs: $(BIN)/.installed  ## The site of docs/, in build/site
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m mkdocs build --quiet

wheel:  ## The built wheel in a fresh environment, used from an empty folder
	.ci/wheel

test-server: $(BIN)/.tested  ## All levels of decoding against a llama.cpp server, which is built first
	$(BIN)/python -m pytest -m server

slow: $(BIN)/.tested  ## The slow tests too
	$(BIN)/python -m pytest -m slow

lint: $(BIN)/.tested
	$(BIN)/ruff check .
	$(BIN)/mypy

check: lint test slow  ## What CI runs

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
