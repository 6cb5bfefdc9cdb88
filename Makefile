# The daily commands. Each does its own set-up in .venv; `make` lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test docs accessible lint bench clean

help:
	@echo "make demo    install, then forecast tomorrow's temperature with seven networks beside baselines (about three minutes)"
	@echo "make test    install, then run the tests; what needs real files is skipped without SUNHWAN_TEST_DATA"
	@echo "make docs    install, then build the documentation into site/; open site/index.html"
	@echo "make accessible  check the built site with axe-core in Chromium; needs npm and chromium"
	@echo "make lint    check style and formatting"
	@echo "make bench   time gathering windows, reading a large CSV, and a line of a stream"
	@echo "make clean   remove .venv, build, site and caches"

.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found; name one: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv || { echo "no venv module: on Debian, apt-get install python3-venv"; exit 1; }
	@touch $@

NATIVE := CMakeLists.txt $(wildcard native/include/* native/src/*)

.venv/installed: .venv/made pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# Also what is installed for the demo, so that the kernels are not built twice.
.venv/tested: .venv/made pyproject.toml $(NATIVE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,docs]'
	@touch .venv/installed $@

demo: .venv/installed
	$(BIN)/sunhwan study run newyork_temperature --epochs 3

test: .venv/tested
	$(BIN)/python -m pytest

# Material advises at each build against MkDocs 2, which pyproject.toml rules out.
docs: .venv/tested
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "open site/index.html"

accessible:
	npm install --silent --no-save --prefix build/accessible axe-core playwright-core
	node docs/accessible.mjs

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: .venv/installed
	$(BIN)/python bench/data.py
	$(BIN)/python bench/stream.py

clean:
	rm -rf .venv build site .pytest_cache .ruff_cache .hypothesis
