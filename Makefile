# livertrack: the commands of a working day. `make demo` and `make test` need nothing but Python 3.11 to 3.13.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo docs test test-all lint format lock bench clean

demo: $(STAMP)
	$(BIN)/livertrack demo --out demo

# pages with a real example need DATA=folder of pbc.csv, pbcseq.csv and udca.csv, or R with its survival package
docs: $(STAMP)
	$(BIN)/python docs/build.py --out build/docs $(if $(DATA),--data $(DATA))

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope -m "not slow"

test-all: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The lock names no CUDA packages: they follow from the torch build that pip finds.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate \
	  --constraint constraints.txt pyproject.toml --quiet | grep -vE '^(nvidia-|cuda-|triton)' > requirements.lock

clean:
	rm -rf $(VENV) demo .pytest_cache .mypy_cache .ruff_cache

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "livertrack needs Python 3.11 to 3.13; this is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)
