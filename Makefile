# Everything a contributor types. Needs python3 >= 3.11, make and, the first time, a package index; makes .venv itself.
# `make lock` is the only target that needs more than the locked versions.

PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check
SOURCES := actors protocols tests

QUESTION ?= What must we do, and what can go wrong?
FILES ?= $(sort $(wildcard examples/briefing/documents/*))
CHAOS ?=
ARGS ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install demo demo-durable demo-cluster test check bench format lint types docs lock conformance acceptance soak build clean

help:  ## Show this list
	@awk 'BEGIN {FS = ":.*  ## "} /^[a-z-]+:.*  ## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.dev  ## Make .venv with the locked versions of everything a developer needs

demo: $(VENV)/.run  ## Brief real files: make demo [FILES="a.md b.txt"] [QUESTION="..."] [CHAOS=member]
	@$(BIN)/understage run examples/briefing/agents.yml briefing "$(QUESTION)" \
		$(foreach file,$(FILES),--file $(file)) $(if $(CHAOS),--chaos $(CHAOS)) $(ARGS)

demo-durable: $(VENV)/.dev  ## Kill a process in mid-run, start it again, and show that nothing is lost
	@$(PY) examples/orders/demo.py

demo-cluster: $(VENV)/.dev  ## Kill one of three processes that share a PostgreSQL, and show that nothing is lost
	@PYTHONPATH=. $(PY) examples/cluster/demo.py

test: $(VENV)/.dev  ## Run the tests: make test [ARGS="tests/runtime -x"]
	$(PY) -m pytest $(ARGS)

check: lint types  ## Everything that reads the code without running it

lint: $(VENV)/.dev  ## Formatting, style and layering
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo

types: $(VENV)/.dev  ## mypy --strict and pyright strict
	$(BIN)/mypy
	$(BIN)/basedpyright

format: $(VENV)/.dev  ## Put the code into the one format, fix what can be fixed safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev $(VENV)/.bench  ## Print one table of ratios: make bench [ARGS="tell ask"]
	$(PY) -m benchmarks $(ARGS)

docs: $(VENV)/.dev  ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

conformance: $(VENV)/.dev  ## Run the reliability catalogue and print its table
	$(PY) -m pytest -m "conformance and not soak" --conformance-table $(ARGS)

acceptance: $(VENV)/.dev  ## Run the behaviour contract and print its table
	$(PY) -m pytest -m "seed and not soak" --acceptance-table $(ARGS)

soak: $(VENV)/.dev  ## Run the tests that take minutes: make soak [ARGS=tests/durability]
	$(PY) -m pytest -m soak $(ARGS)

build: $(VENV)/.dev  ## Build the wheel and the source distribution into dist/
	$(PY) -m build --no-isolation --outdir dist

clean:  ## Remove everything that make can make again
	rm -rf $(VENV) build dist site .bench .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) benchmarks examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# ------------------------------------------------------------------------------------- environment

# A stamp per requirements file: the second `make` does nothing until a pin or pyproject.toml changes. The stamp says where
# the environment is and what runs it; when that is no longer so, its programs would not start.
STAMPS := $(VENV)/.run $(VENV)/.dev $(VENV)/.bench
.PHONY: $(shell for stamp in $(STAMPS); do [ ! -e $$stamp ] || { [ -x $(PY) ] && \
	[ "$$(cat $$stamp)" = "$$(cd $(VENV) && pwd -P) $$(readlink -f $(PY))" ]; } || echo $$stamp; done)

$(STAMPS): $(VENV)/.%: requirements/%.txt requirements/install.sh pyproject.toml
	@sh requirements/install.sh '$(PYTHON)' '$(VENV)' $*

# ------------------------------------------------------------------------------------- locked versions

# One resolution for Python 3.11 to 3.13 and all platforms. Existing pins stay unless UPGRADE=1.
# The index is the one pip is configured with; it is never written to a file.
COMPILE = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links --no-emit-build-options $(if $(UPGRADE),--upgrade)
FEATURES = --extra anthropic --extra mcp --extra openai --extra otel --extra postgres \
	--extra prometheus --extra ray --extra triggers --extra web

lock:  ## Compile requirements/*.txt with hashes: make lock [UPGRADE=1]
	@sh requirements/install.sh '$(PYTHON)' '$(VENV)'
	@test -x $(BIN)/uv || $(PIP) install --quiet uv
	@mkdir -p requirements
	@index=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$($(PIP) config get global.index-url 2>/dev/null || true)}}; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; set -e; \
	$(COMPILE) $(FEATURES) --group build --group test --group lint --group docs --group lock -o requirements/dev.txt; \
	$(COMPILE) --extra anthropic --extra openai --group build -c requirements/dev.txt -o requirements/run.txt; \
	$(COMPILE) --group build --group bench -c requirements/dev.txt -o requirements/bench.txt
	@if grep -nE '://|^ *-|file:| @ ' requirements/*.txt | grep -v ' --hash='; then \
		echo "understage: a compiled requirements file names an address" >&2; exit 1; fi
