# make demo and make test need Python 3.11 or newer, make and a package registry; everything else is installed here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The extras take a range; tests and benchmarks are run with this one.
TORCH := torch==2.13.0
DEMO_JOB := thresher-jobs/demo

.PHONY: help install demo test check bench clean

help:
	@echo "make install  make .venv with all that the tests need"
	@echo "make demo     label the example documents with the shipped model"
	@echo "make test     run all tests"
	@echo "make check    formatting, lint, types, layers"
	@echo "make bench    run the benchmarks of this machine"

install: $(VENV)/.installed

$(VENV)/.base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Thresher needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

# the demo needs no more than what users install
demo: $(VENV)/.base
	@rm -rf $(DEMO_JOB)
	$(BIN)/thresher classify examples/documents --task examples/task.yaml --model demo --job $(DEMO_JOB)
	$(BIN)/python examples/accuracy.py $(DEMO_JOB) examples/gold.csv --at-least 0.9

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 8

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m benchmarks.pipeline_rate
	$(BIN)/python -m benchmarks.pipeline_rate --memory
	$(BIN)/python -m benchmarks.llamacpp_engine
	$(BIN)/python -m benchmarks.llamacpp_questions
	$(BIN)/python -m benchmarks.llamacpp_waiting
	$(BIN)/python -m benchmarks.llamacpp_server
	$(BIN)/python -m benchmarks.llamacpp_server --case seed --documents 16 --rounds 3
	$(BIN)/python -m benchmarks.server_adapter
	$(BIN)/python -m benchmarks.server_adapter --case seed --documents 8 --rounds 2
	$(BIN)/python -m benchmarks.server_parity
	$(BIN)/python -m benchmarks.server_leaks
	$(BIN)/python -m benchmarks.job_shape --documents 40
	$(BIN)/python -m benchmarks.native_engine
	$(BIN)/python -m benchmarks.acceptance
	$(BIN)/python -m benchmarks.evaluate_labelled
	$(BIN)/python -m benchmarks.review_page
	$(BIN)/python -m benchmarks.plan_memory

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
