# make serve   install, fetch the models, export them, start the server; PORT=9000 HOST=... ARGS="--https"
# make test    install, check the code, run all tests
# make check   lint, format and types only, of the Python and of the JavaScript
# make check-deploy   lint Dockerfile, compose file, scrape config and alerts (promtool comes from Debian's package)
# make try-image TARGET=cpu   run every command of the Dockerfile in a clean virtual environment
# make docs    build the documentation into build/docs, warnings being errors; docs-serve shows it while you write
# make sbom    write dist/sbom.cdx.json (CycloneDX) and dist/licences.md of what is installed with the program
# make release-check   everything that must hold before a release
# make training-bundle   pack what training needs into build/rigid-live-training.tar.xz, for a machine with a GPU
# make lock    pin the newest versions of everything in requirements.lock
# make clean   remove the virtual environment, node_modules and what tools left

HOST ?= 127.0.0.1
PORT ?= 8080
ARGS ?=
PYTEST_ARGS ?=
TARGET ?= cpu

VENV := .venv
BIN := $(VENV)/bin
# The first Python that is new enough; looked for only where it is needed.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

# The constraint pins what pip installs, and what it builds the project with.
PIP_INSTALL := PIP_CONSTRAINT=requirements.lock $(BIN)/python -m pip --disable-pip-version-check install --quiet

.DEFAULT_GOAL := help
.PHONY: help serve test check check-deploy try-image docs docs-serve sbom release-check training-bundle format lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

serve: $(VENV)/.installed
	@PYTHON=$(BIN)/python scripts/system-packages
	@$(BIN)/rigid-live models pull
	@$(BIN)/rigid-live serve --host $(HOST) --port $(PORT) $(ARGS)

test: $(VENV)/.installed-dev
	@PYTHON=$(BIN)/python scripts/system-packages --browser --whip --turn
	@$(MAKE) --no-print-directory check
ifeq ($(strip $(PYTEST_ARGS)),)
	@# The server in a process of its own, as it runs: without the libraries that only training and evaluation load.
	$(BIN)/python -m pytest tests/client tests/server
	$(BIN)/python -m pytest --ignore tests/client --ignore tests/server
else
	$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

check: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
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

# Of an environment that holds the program and nothing else; the tool that lists it lives in another.
sbom: | $(BIN)/python
	@for name in runtime tools; do test -d build/$$name || $(BIN)/python -m venv build/$$name; done
	@echo "Installing the program and the tool that lists it, each by itself (minutes the first time) ..."
	@PIP_CONSTRAINT=requirements.lock build/runtime/bin/python -m pip --disable-pip-version-check install --quiet .
	@PIP_CONSTRAINT=requirements.lock build/tools/bin/python -m pip --disable-pip-version-check install --quiet cyclonedx-bom
	@mkdir -p dist
	build/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type application --output-reproducible \
		--output-file dist/sbom.cdx.json build/runtime/bin/python
	build/runtime/bin/python scripts/release_check.py --licences dist/licences.md

release-check: test check-deploy sbom
	$(BIN)/python scripts/release_check.py

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

training-bundle: $(VENV)/.installed-dev
	$(BIN)/python -m scripts.pack_training

lock: $(VENV)/.installed-dev
	$(BIN)/pip-compile --quiet --upgrade --extra dev --extra release --strip-extras --allow-unsafe --annotation-style line --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.new pyproject.toml
	@# Where a package is fetched from and which build of torch it is differ by machine; pip itself is not ours to pin.
	@{ echo "# Exact versions of everything, the tests' tools too; made by \`make lock\`. It names no place to fetch from"; \
		echo "# and no build of torch: those differ by machine."; \
		sed -E -e 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' -e '/^pip==/d' -e '/^(#|$$)/d' requirements.new; } > requirements.lock
	@rm requirements.new

clean:
	rm -rf $(VENV) client/node_modules client/types build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Error: no Python 3.11 or newer was found; install one, or name it: make PYTHON=..." >&2; exit 1; }
	@echo "Creating the virtual environment $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing what the server needs (a few minutes the first time) ..."
	@$(PIP_INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements.lock | $(BIN)/python
	@echo "Installing what the server and its tests need (a few minutes the first time) ..."
	@$(PIP_INSTALL) --editable '.[dev]'
	@touch $@ $(VENV)/.installed
