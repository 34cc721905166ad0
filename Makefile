# make serve   install what serving needs, fetch the models, start the server; PORT=9000 HOST=... ARGS="--https"
# make demo    the same with a generated face that moves, in a browser: no camera is needed
# make test    install everything, check the code, run all tests
# make test-quick   the same without JavaScript, the browser and what is slow
# make check   lint, format and types only, of the Python and of the JavaScript
# make check-deploy   lint Dockerfile, compose file, scrape config and alerts (promtool comes from Debian's package)
# make try-image TARGET=cpu   run every command of the Dockerfile in a clean virtual environment
# make docs    build the documentation into build/docs, warnings being errors; docs-serve shows it while you write
# make sbom    write dist/sbom.cdx.json (CycloneDX) and dist/licences.md of what is installed with the program
# make release-check   everything that must hold before a release
# make training-bundle   pack what training needs into build/rigid-live-training.tar.xz, for a machine with a GPU
# make graphs  write the networks' graphs anew (rigid/graphs), after a network was changed
# make lock    pin the newest versions of everything, with their hashes, in requirements.lock and requirements-dev.lock
# make clean   remove the virtual environment, node_modules and what tools left

HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=
PYTEST_ARGS ?=
TARGET ?= cpu

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough and has 64 bits; looked for only where it is needed.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11) or sys.maxsize < 2**32)' 2>/dev/null && echo $$name && break; done)

PIP := -m pip --disable-pip-version-check
# $(call install,PYTHON,LOCK): what LOCK lists, each file by its hash.
install = $(1) $(PIP) install --quiet --no-deps --only-binary :all: --require-hashes --requirement $(2)
# On two processes, by files, whose tests share what is dear to make; those that take longest begin.
PYTEST = $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Else each process compiles the program and the tests again, where the environment asks for no files of that.
test test-server test-computing test-quick: export PYTHONDONTWRITEBYTECODE :=
SERVER_ROOMS := tests/client tests/server
# Files with real peers, and the browser's, take longest.
LONGEST_SERVER_TESTS := tests/server/webrtc tests/client
SERVER_TESTS = $(LONGEST_SERVER_TESTS) $(filter-out %/__pycache__ $(LONGEST_SERVER_TESTS),$(patsubst %/,%,$(wildcard tests/server/*/))) \
	$(wildcard tests/server/test_*.py)
# What starts Ray or loads it.
CLUSTER_TESTS := $(patsubst %,tests/server/cluster/test_%.py,cluster scaling proxy_guard)
# What only computes, however long that takes.
COMPUTING_TESTS := $(addprefix tests/,training edits engines export checkpoints evaluation discovery)
LONGEST_TESTS := tests/systems tests/test_light_install.py
OTHER_TESTS = $(LONGEST_TESTS) \
	$(filter-out %/__pycache__ $(SERVER_ROOMS) $(COMPUTING_TESTS) $(LONGEST_TESTS),$(patsubst %/,%,$(wildcard tests/*/))) \
	$(filter-out $(LONGEST_TESTS),$(wildcard tests/test_*.py))
# The project itself, with the build tools that the lock brought.
PROJECT := --no-deps --no-build-isolation

.DEFAULT_GOAL := help
.PHONY: help serve demo test test-server test-computing test-quick check lint types check-deploy try-image docs docs-serve sbom release-check training-bundle graphs format lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

serve: $(VENV)/.installed
	@PYTHON=$(BIN)/python scripts/system-packages
	@$(BIN)/rigid-live serve --host $(HOST) --port $(PORT) $(ARGS)

demo: $(VENV)/.installed
	@PYTHON=$(BIN)/python scripts/system-packages
	@$(BIN)/rigid-live demo --port $(PORT) $(ARGS)

test: $(VENV)/.installed-dev
	@PYTHON=$(BIN)/python scripts/system-packages --mediapipe --browser --whip --turn
	@$(MAKE) --no-print-directory lint
ifeq ($(strip $(PYTEST_ARGS)),)
	@# Tests of the server wait for pictures, so that a processor is free for the types meanwhile, and for what gives way.
	@$(MAKE) --no-print-directory --jobs 3 types test-server test-computing
	$(PYTEST) $(OTHER_TESTS)
	@# Ray gives each process of a node so long to start; several nodes on two cores need these to themselves.
	$(BIN)/python -m pytest $(CLUSTER_TESTS)
else
	@$(MAKE) --no-print-directory types
	$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

# The server in a process of its own, as it runs: without the libraries that only training and evaluation load.
test-server: $(VENV)/.installed-dev
	$(PYTEST) $(SERVER_TESTS) $(CLUSTER_TESTS:%=--ignore=%)

test-computing: $(VENV)/.installed-dev
	nice -n 10 $(PYTEST) $(COMPUTING_TESTS)

test-quick: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(PYTEST) -m "not slow and not browser"

check: lint types

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.installed-dev
	$(BIN)/mypy
	@scripts/check-javascript

check-deploy: $(VENV)/.installed-dev
	@PATH="$$(scripts/promtool):$$PATH" $(BIN)/python -m pytest tests/deploy

try-image:
	@scripts/try_dockerfile.py $(TARGET)

docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build --strict --quiet

docs-serve: $(VENV)/.installed-dev
	$(BIN)/mkdocs serve

# Of an environment that holds the program and what built it; the tool that lists it lives in another.
sbom: $(VENV)/.installed-dev
	@test -d build/runtime || $(BIN)/python -m venv build/runtime
	@echo "Installing the program by itself (minutes the first time) ..."
	@$(call install,build/runtime/bin/python,requirements.lock)
	@build/runtime/bin/python $(PIP) install --quiet $(PROJECT) .
	@mkdir -p dist
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
		--output-file dist/sbom.cdx.json build/runtime/bin/python
	build/runtime/bin/python -m scripts.release_check --licences dist/licences.md

release-check: test check-deploy sbom
	$(BIN)/python -m scripts.release_check

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

graphs: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.make_graphs

training-bundle: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.pack_training

# Compiled together, so that both agree. PyTorch's version is ours to choose, in requirements-torch.lock; it and what only
# its CUDA build brings differ by machine, as does where a package is fetched from, and pip itself is not ours to pin.
COMPILE := $(BIN)/uv pip compile --quiet --python $(BIN)/python --generate-hashes --no-header --annotation-style line \
	--constraint requirements-torch.lock
UNLOCKED := pip|torch|triton|nvidia-.*|cuda-.*
lock: $(VENV)/.installed-dev
	@mkdir -p build
	$(COMPILE) --upgrade --extra dev --extra train --extra release pyproject.toml --output-file build/requirements-dev.lock
	printf 'hatchling\neditables\n' | $(COMPILE) --constraint build/requirements-dev.lock pyproject.toml - \
		--output-file build/requirements.lock
	@for name in requirements requirements-dev; do \
		{ echo "# Exact versions with the hashes of their files, made by \`make lock\`; PyTorch is in requirements-torch.lock."; \
		awk '/^[^ #]/ { left = /^($(UNLOCKED))==/ } !left' build/$$name.lock | \
			sed -E -e '/# via -c [^,]*$$/d' -e 's/-c [^,]*, //; s/, -c [^,]*//'; } > $$name.lock; done

clean:
	rm -rf $(VENV) client/node_modules client/types build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Error: no 64-bit Python 3.11 or newer was found; install one, or name it: make PYTHON=..." >&2; exit 1; }
	@echo "Creating the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing what the server needs (a minute the first time) ..."
	@$(call install,$(BIN)/python,requirements.lock)
	@$(BIN)/python $(PIP) install --quiet $(PROJECT) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements-dev.lock requirements-torch.lock | $(BIN)/python
	@echo "Installing what the server, training and tests need (a few minutes the first time) ..."
	@$(call install,$(BIN)/python,requirements-dev.lock)
	@# By its version alone: which build of PyTorch (CPU, CUDA) is the machine's choice, with what that build brings; and
	@# pip refuses an unhashed line beside hashed ones.
	@$(BIN)/python $(PIP) install --quiet --requirement requirements-torch.lock
	@$(BIN)/python $(PIP) install --quiet $(PROJECT) --editable .
	@touch $@ $(VENV)/.installed
