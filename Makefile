# Everything starts here: `make demo`, `make test`. The virtual environment is made once and reused.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Torch's threads times the test workers must not exceed the cores.
ONE_THREAD := OMP_NUM_THREADS=1

.PHONY: demo test test-all lint constraints clean help

help:
	@echo "make demo      run the main job on simulated exams and open its result"
	@echo "make test      the tests that CI runs"
	@echo "make test-all  the same and the long ones"
	@echo "make lint      ruff, basedpyright, import-linter"

# One package comes as source and is built with setuptools: antlr4-python3-runtime, which lightly needs.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip setuptools hatchling editables
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation \
	    --editable '.[train,test,lint]'
	touch $(READY)

demo: $(READY)
	$(BIN)/sonoprior demo

test: $(READY)
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --doctest-modules -m 'not long' $(PYTEST)

test-all: $(READY)
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto --doctest-modules $(PYTEST)

lint: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright
	$(BIN)/lint-imports

constraints: $(READY)
	echo '# Every version that the tests ran with; `make constraints` writes it anew.' > constraints.txt
	$(BIN)/python -m pip freeze --all --exclude-editable >> constraints.txt

clean:
	rm -rf $(VENV) out build dist
