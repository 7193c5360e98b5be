# Each target makes its own virtual environment from the project's files and nothing else.
PYTHON ?= python3
VENV ?= .venv
BACKEND ?= jax tensorflow torch
PIP = $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt
export TF_CPP_MIN_LOG_LEVEL = 3

.PHONY: demo test lint bench clean

demo: $(VENV)/demo.done
	KERAS_BACKEND=jax $(VENV)/bin/python examples/demo.py

test: $(VENV)/test.done lint
	for backend in $(BACKEND); do \
		echo "== $$backend"; \
		KERAS_BACKEND=$$backend $(VENV)/bin/python -m pytest || exit 1; \
	done

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
	$(PIP) --editable ".[jax,tensorflow,torch,data,test,dev]"
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
