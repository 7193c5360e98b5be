# Each target makes its own virtual environment from the project's files and nothing else.
PYTHON ?= python3
VENV ?= .venv
BACKEND ?= jax tensorflow torch
PIP = $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt
# One process for each folder: XLA never gives the memory maps of what it has compiled back, and the
# system has a limit on them.
FOLDERS = $(filter-out %/__pycache__,$(patsubst %/,%,$(wildcard tests/*/)))
PARTS = $(foreach backend,$(BACKEND),$(addprefix $(backend)/,$(FOLDERS) tests/test_*.py))
export TF_CPP_MIN_LOG_LEVEL = 3

.PHONY: demo test lint bench clean $(PARTS)

demo: $(VENV)/demo.done
	KERAS_BACKEND=jax $(VENV)/bin/python examples/demo.py

test: $(VENV)/test.done lint
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(PARTS)

# BACKEND/FOLDER, with one thread each, since two run at a time.
$(PARTS): $(VENV)/test.done
	KERAS_BACKEND=$(firstword $(subst /, ,$@)) OMP_NUM_THREADS=1 \
		$(VENV)/bin/python -m pytest $(@:$(firstword $(subst /, ,$@))/%=%)

lint: $(VENV)/test.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

bench: $(VENV)/test.done
	for backend in $(BACKEND); do \
		KERAS_BACKEND=$$backend $(VENV)/bin/python benchmarks/overhead.py || exit 1; \
	done

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip

$(VENV)/demo.done: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) --editable ".[jax,demo]"
	touch $@

$(VENV)/test.done: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) --editable ".[jax,tensorflow,torch,data,augment,test,dev]"
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
