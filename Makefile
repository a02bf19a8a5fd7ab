# make sweep   the main job: learning rate x batch size x hidden units on the digits
# make test    every check
# make docs    an API reference, runs/reference/index.html
# make clean   remove .venv, caches and runs/
#
# All make .venv and install into it first. PYTHON=… chooses the interpreter.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: sweep test test-wheel test-pythons test-sklearn docs clean

sweep: $(VENV)/installed
	$(BIN)/nn-tuning sweep --config scripts/digits.toml

test: $(VENV)/installed-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 -rs

# The wheel in an empty environment, on each supported Python that is present.
test-wheel: $(VENV)/installed-test
	$(BIN)/python scripts/checks/check_pythons.py --no-tests

# The same, and all tests there.
test-pythons: $(VENV)/installed-test
	$(BIN)/python scripts/checks/check_pythons.py

# The estimators with the oldest scikit-learn that they support, the oldest that has all to compare them with, and the
# newest.
test-sklearn:
	for version in 1.6 1.7 1; do \
		$(PYTHON) -m venv --clear $(VENV)/sklearn && \
		$(VENV)/sklearn/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[sklearn]' \
			hypothesis pandas pytest "scikit-learn==$$version.*" && \
		$(VENV)/sklearn/bin/python -m pytest tests/nn/estimators || exit 1; \
	done

# What code outside of the project calls, each module with a page of its own.
DOCUMENTED := nn nn.reference nn.schedules nn.metrics nn.curvature nn.gradient_check nn.data nn.estimators \
	tuning tuning.space tuning.methods tuning.analysis tuning.learning_rate tuning.callbacks tuning.plots tuning.report

docs: $(VENV)/installed-docs
	$(BIN)/pdoc --docformat google --output-directory runs/reference $(DOCUMENTED)

$(VENV)/installed: pyproject.toml | $(VENV)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@ $(VENV)/installed

$(VENV)/installed-docs: pyproject.toml | $(VENV)/pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@

$(VENV)/pip:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, but none was found; name one with PYTHON=…" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	touch $@

clean:
	rm -rf $(VENV) runs dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
