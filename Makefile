# SPDX-License-Identifier: MIT
# Everything runs from .venv, which the first target to be made sets up and the later ones reuse.

PYTHON ?= python3
TORCH ?= 2.13.0
WERROR ?= OFF
OUTPUT ?= runs/demo
BENCH_FLAGS ?=
FUZZ_FLAGS ?= --seconds 600
RESULTS ?= $(firstword $(wildcard benchmarks/results/*.json))
PYTEST_FLAGS ?= -n auto --maxprocesses=4
TORCH_VERSIONS ?= 2.10.0 2.13.0 newest

BIN := .venv/bin
KERNELS := $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.inc')
CPP := $(filter-out %.inc,$(KERNELS)) $(wildcard tests/native/*.h tests/native/*.cpp tests/cuda/*.h tests/cuda/*.cpp)
SOURCES := CMakeLists.txt $(wildcard build_support/*) $(KERNELS)
MATRIX := .cache/torch-versions
INTEGRATIONS := .cache/integrations

export SKBUILD_CMAKE_DEFINE := PYVAE_WERROR=$(WERROR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo theory test test-slow test-gpu fuzz sanitize lint format bench bench-gpu bench-document bench-loop docs test-torch-versions test-integrations clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' Makefile

demo: .venv/.ready  ## train a Gaussian-mixture VAE on real digits and draw what it learnt
	$(BIN)/pyvae train --output $(OUTPUT) --overwrite
	$(BIN)/pyvae fit-kl --output $(OUTPUT)/kl.png
	@echo; echo "The pictures:"; ls $(CURDIR)/$(OUTPUT)/*.png

theory: .venv/.ready  ## run the experiments behind docs/theory.md and write docs/experiments.md
	$(BIN)/python -m experiments --output docs

test: .venv/.ready  ## run the test suite, but for what test-slow runs
	$(BIN)/pytest $(PYTEST_FLAGS) -m 'not slow'

test-slow: .venv/.ready  ## run what takes minutes: kernels under sanitizers, code for every GPU
	$(BIN)/pytest $(PYTEST_FLAGS) -m slow

test-gpu: .venv/.ready  ## run what needs a GPU, on the installed ops; skipped where there is none
	$(BIN)/pytest -m gpu -n 0 tests/ops tests/cuda

fuzz: .venv/.ready  ## spoil files of every kind at random for ten minutes; FUZZ_FLAGS='--seconds N --seed N'
	$(BIN)/python -m tests.fuzz $(FUZZ_FLAGS)

sanitize: .venv/.ready  ## run the kernels under the address, undefined-behaviour and thread sanitizers
	PYVAE_SANITIZERS='address,undefined thread' $(BIN)/pytest $(PYTEST_FLAGS) tests/native tests/cuda

lint: .venv/.lint  ## check formatting, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/clang-format --dry-run --Werror $(CPP)

format: .venv/.lint  ## format everything that `make lint` checks
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(CPP)

bench: .venv/.bench  ## measure every op beside its peers; a quarter of an hour
	$(BIN)/python -m benchmarks $(BENCH_FLAGS)

bench-gpu: .venv/.ready  ## measure the ops on a GPU, and write docs/benchmarks-gpu.md
	$(BIN)/python -m benchmarks --device cuda --document docs/benchmarks-gpu.md $(BENCH_FLAGS)

bench-document: .venv/.ready  ## write docs/benchmarks.md and its plots from RESULTS
	$(BIN)/python -m benchmarks --from $(RESULTS) --document docs/benchmarks.md

bench-loop: .venv/.ready  ## time the ops alone, over the tests' case table (pytest-benchmark)
	$(BIN)/pytest --benchmark-only benchmarks/test_ops.py

docs: .venv/.docs  ## build the documentation into build/docs; warnings are errors
	rm -rf build/docs  # with the pages that are no more
	$(BIN)/python -m sphinx --builder html --write-all --fail-on-warning --keep-going --quiet \
	  --doctree-dir build/docs-doctrees docs build/docs
	$(BIN)/python docs/check_site.py build/docs
	@echo "The pages: $(CURDIR)/build/docs/index.html"

test-torch-versions: $(TORCH_VERSIONS:%=test-torch-%)  ## run one wheel on several torches (several GB)

# scvi-tools pins what others have newer, so these libraries get an environment of their own.
test-integrations: $(MATRIX)/.wheel  ## run pyvae.integrations beside all its libraries (several GB)
	$(PYTHON) -m venv $(INTEGRATIONS)
	$(INTEGRATIONS)/bin/pip install torch==$(TORCH)
	$(INTEGRATIONS)/bin/pip install --force-reinstall --no-deps $(MATRIX)/wheel/*.whl
	for wheel in $(MATRIX)/wheel/*.whl; do $(INTEGRATIONS)/bin/pip install "$$wheel[test,integrations]"; done
	rm -rf $(INTEGRATIONS)/suite && mkdir $(INTEGRATIONS)/suite
	cp -R tests docs pyproject.toml $(INTEGRATIONS)/suite
	cd $(INTEGRATIONS)/suite && ../bin/python -m pytest -n 0 tests/integrations tests/docs/test_examples.py
	cd $(INTEGRATIONS)/suite && ../bin/python -m pytest -n 0 -W default --pyargs pyvae.integrations

clean:  ## remove builds and caches; .venv and runs stay
	rm -rf build docs/generated docs/sg_execution_times.rst dist .cache .pytest_cache .ruff_cache .hypothesis

# The build tools live in .venv too, so that a changed source compiles only what depends on it.
.venv/.tools: Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo 'pyvae needs Python 3.10 or newer; type: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install 'pip>=23.1' cmake ninja pybind11 scikit-build-core
	$(BIN)/pip install torch==$(TORCH)
	@touch $@

.venv/.ready: .venv/.tools pyproject.toml $(SOURCES)
	$(BIN)/pip install --no-build-isolation --editable '.[test]'
	@touch $@

.venv/.lint: pyproject.toml | .venv/.ready
	$(BIN)/pip install --no-build-isolation --editable '.[dev]'
	@touch .venv/.ready $@

# JAX and KeOps are not to be had everywhere; the suite does without them and says so.
.venv/.bench: pyproject.toml | .venv/.ready
	-$(BIN)/pip install --no-build-isolation --editable '.[test,bench]'
	@touch .venv/.ready $@

.venv/.docs: pyproject.toml | .venv/.ready
	$(BIN)/pip install --no-build-isolation --editable '.[docs]'
	@touch .venv/.ready $@

# The suite is copied away from the sources, so that only the installed wheel can be imported. Where
# nvcc is, the wheel has the CUDA kernels, though the torch that it is built against has no CUDA.
$(MATRIX)/.wheel: .venv/.ready $(SOURCES) $(shell find pyvae tests -name '*.py')
	rm -rf $(MATRIX)/wheel $(MATRIX)/suite
	PYVAE_CUDA=$(if $(shell command -v nvcc),ON,AUTO) $(BIN)/pip wheel --no-build-isolation --no-deps --wheel-dir $(MATRIX)/wheel .
	mkdir -p $(MATRIX)/suite && cp -R tests pyproject.toml $(MATRIX)/suite
	@touch $@

test-torch-%: $(MATRIX)/.wheel
	$(PYTHON) -m venv $(MATRIX)/$*
	$(MATRIX)/$*/bin/pip install --upgrade torch$(if $(filter-out newest,$*),==$*)
	$(MATRIX)/$*/bin/pip install --force-reinstall --no-deps $(MATRIX)/wheel/*.whl
	for wheel in $(MATRIX)/wheel/*.whl; do $(MATRIX)/$*/bin/pip install "$$wheel[test]"; done
	cd $(MATRIX)/suite && ../$*/bin/python -m pytest $(PYTEST_FLAGS) -W default tests/ops
