# `make run` starts the app, `make check` runs the quick checks and `make test` all. Each sets up what it needs first: only
# Python 3.11 or newer has to be there. uv installs in seconds where it is found, pip in minutes.
PORT ?= 8501
PYTHON ?=
ARGS ?=
# One process a core; a file's tests stay together, for what they share.
WORKERS ?= --numprocesses auto --maxprocesses 4 --dist loadfile

# Also where the environment forbids bytecode: without it every process, and tests start many, compiles PyTorch for seconds.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
# The name of a stamp holds a checksum of what was installed: changed requirements install again, equal ones cost nothing.
app_stamp := .venv/app-$(shell cat requirements.txt | cksum | cut -d' ' -f1)
test_stamp := .venv/test-$(shell cat requirements.txt requirements-test.txt | cksum | cut -d' ' -f1)

.PHONY: run check test lint quick format chromium clean

run: $(app_stamp)
	$(BIN)/python -m se_viz app --port $(PORT) $(ARGS)

test: $(test_stamp) chromium lint
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

# Both at once: the types take one core for half of the time that there is.
check: $(test_stamp)
	@$(MAKE) --no-print-directory --jobs 2 lint quick

quick: $(test_stamp)
	$(BIN)/python -m pytest $(WORKERS) -m "not slow and not browser" $(ARGS)

lint: $(test_stamp)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

format: $(test_stamp)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf .venv

$(BIN)/python:
	@for python in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "No Python 3.11 or newer was found. Install one, or name it: make run PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if uv --version >/dev/null 2>&1; then uv venv --quiet --clear --seed --python "$$found" .venv; \
	else "$$found" -m venv --clear .venv; fi

# Old stamps go first: going back to earlier requirements has to install them again.
$(app_stamp): | $(BIN)/python
	@rm -f .venv/app-* .venv/test-*
	$(call install,requirements.txt)
	@touch $@

$(test_stamp): | $(app_stamp)
	@rm -f .venv/test-*
	$(call install,requirements-test.txt)
	@touch $@

define install
@if uv --version >/dev/null 2>&1; then uv pip install --python $(BIN)/python -r $(1); \
else $(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip; \
  $(BIN)/python -m pip install --disable-pip-version-check -r $(1); fi
endef

# The browser tests drive a Chromium: the machine's own, else Debian's package, else the one Playwright brings.
chromium: $(test_stamp)
	@for browser in chromium chromium-browser google-chrome; do \
	  if command -v $$browser >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" != 0 ]; then $(BIN)/python -m playwright install chromium; \
	elif command -v apt-get >/dev/null && apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; then exit 0; \
	else $(BIN)/python -m playwright install --with-deps chromium; fi
