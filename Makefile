# Each target makes its own virtual environment from the project's files and nothing else.
PYTHON ?= python3
VENV ?= .venv
BACKEND ?= jax tensorflow torch
# What the tests need beside the package; without tensorflow and augment where it has no wheel.
EXTRAS ?= jax,tensorflow,torch,data,augment,test,dev
PIP = $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt
# Two processes of one thread each; a file is run by one of them, for what its tests share.
PYTEST = OMP_NUM_THREADS=1 $(VENV)/bin/python -m pytest --numprocesses=2 --dist=loadfile
# Mathematics that no backend changes is tested on torch alone, which compiles nothing.
MATHEMATICS = torch
TESTS = $(BACKEND:%=test-%)
SLOW = $(BACKEND:%=slow-%)
export TF_CPP_MIN_LOG_LEVEL = 3

.PHONY: demo docs test test-slow test-all check lint release-check bench clean $(TESTS) $(SLOW)

demo: $(VENV)/demo.done
	KERAS_BACKEND=jax $(VENV)/bin/python examples/demo.py

# The site, in build/docs; its pages are run. A warning is an error.
docs: $(VENV)/docs.done
	KERAS_BACKEND=torch $(VENV)/bin/python -m sphinx -W --keep-going -b html docs build/docs

# All but the slow tests.
test: lint $(TESTS)
ifeq ($(filter $(MATHEMATICS),$(BACKEND)),)
	@echo "Left out: tests of mathematics (marked 'once'), which run where BACKEND has torch."
endif

$(TESTS): test-%: $(VENV)/test.done
	KERAS_BACKEND=$* $(PYTEST) -m "$(if $(filter $(MATHEMATICS),$*),not slow,not slow and not once)"

test-slow: $(SLOW)

$(SLOW): slow-%: $(VENV)/test.done
	KERAS_BACKEND=$* $(PYTEST) -m "slow$(if $(filter $(MATHEMATICS),$*),, and not once)"

test-all: test test-slow

# Style, types, and the tests of what changed since the branch left main, on one backend.
check: BACKEND = torch
check: lint
	changed=$$($(VENV)/bin/python tests/changed.py) && if [ -n "$$changed" ]; then \
		KERAS_BACKEND=$(BACKEND) $(PYTEST) -m "not slow" $$changed; fi

lint: $(VENV)/test.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# Wheel and sdist, and samples of a shipped model in fresh environments with one backend each.
release-check: $(VENV)/test.done
	$(VENV)/bin/python tests/release_check.py $(BACKEND)

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

$(VENV)/docs.done: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) --editable ".[torch,docs]"
	touch $@

$(VENV)/test.done: $(VENV)/bin/python setup.cfg pyproject.toml constraints.txt
	$(PIP) --editable ".[$(EXTRAS)]"
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
