# Each target first sets up .venv from the lock files (once, and again when they, settings.ini or setup.py change), then works.
#   make report   run the laptop profile and write reports/laptop/index.html    (PROFILE=smoke for the short one)
#   make lab      open JupyterLab on a working copy of the walk-through in lab/ (LAB_FLAGS=--no-browser on a server;
#                 FIRST=nbs/index.ipynb for a notebook of the library itself, to change it)
#   make test     run the tests                     (TESTS=tests/test_house.py for some; LONG=1 with the longest, as CI)
#   make bench    run branch training, merges and a whole run beside TRL and mergekit, and print the tables (about 15 minutes)
#   make vllm     install vLLM for CPUs into .venv/vllm (1.2 GB); used for answers where eval.engine is vllm or auto
#   make site     write the documentation as pages into _site/ (searchable, light and dark, no network)
#   make wheel    write the package as one file into dist/, for Colab or another machine
#   make docs     write README.md from nbs/index.ipynb, and the card of data/recorded
VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input
PROFILE ?= laptop
TESTS   ?= tests
LONG    ?=
LAB_FLAGS ?=
FIRST   ?= $(patsubst nbs/%,lab/%,$(firstword $(sort $(wildcard nbs/paper/5*.ipynb))))

SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.13 python3.11; do $$p -c '$(SUPPORTED)' >/dev/null 2>&1 && { echo $$p; break; }; done)

# Threads that spin while they wait cost up to ten times the work on a shared machine.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help setup report lab test bench vllm site docs wheel
help:
	@sed -n '2,11s/^# *//p' Makefile

setup: $(READY)

# The stamp is written last: a set-up that was killed leaves none, and starts again from an empty .venv.
$(READY): requirements.lock requirements-nodeps.lock settings.ini setup.py
	@"$(PYTHON)" -c '$(SUPPORTED)' >/dev/null 2>&1 || { \
	  echo "make: Python 3.11, 3.12 or 3.13 with its venv module is needed$(if $(PYTHON),; $(PYTHON) is: $$($(PYTHON) --version 2>&1),)."; \
	  echo "  cure: install one (Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	@if [ ! -f $(READY) ] || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); fi
	@rm -f $(READY) $(VENV)/.failed
	@echo "setting up $(VENV) with $$($(BIN)/python --version) from requirements.lock: 2 to 5 minutes, 2 GB (more where torch comes with CUDA)"
	@{ { $(PIP) install --no-compile $$(grep -E '^(setuptools|wheel)==' requirements.lock) \
	&& $(PIP) install --no-compile --no-build-isolation -r requirements.lock \
	&& $(PIP) install --no-compile --no-deps --no-build-isolation -r requirements-nodeps.lock \
	&& $(PIP) install --no-compile --no-deps --no-build-isolation -e . \
	&& mkdir -p $(VENV)/etc/jupyter/labconfig \
	&& echo '{"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": true}}' > $(VENV)/etc/jupyter/labconfig/page_config.json; \
	} || touch $(VENV)/.failed; } 2>&1 | { n=0; while IFS= read -r line; do printf '%s\n' "$$line" >&3; \
	  case "$$line" in Collecting*|Processing*) n=$$((n + 1)); [ $$((n % 40)) -ne 0 ] || echo "  $$n of $$(grep -c '^[a-zA-Z]' requirements.lock) packages";; \
	  "Installing collected"*) [ $$n -lt 40 ] || { echo "  installing"; n=0; };; esac; done; } 3>$(VENV)/setup.log
	@if [ -f $(VENV)/.failed ]; then grep -iE 'error|no space|no matching' $(VENV)/setup.log | tail -n 8; \
	  echo "make: the set-up did not finish; $(VENV)/setup.log says why. When it is mended, run the same command again."; exit 1; fi
	@touch $(READY)
	@echo "$(VENV) is ready"

report: $(READY)
	@$(BIN)/mot report $(PROFILE)

# A notebook that is run is saved: pages are run in a copy, so that the checkout stays as it is.
lab: $(READY)
	@$(BIN)/mot course lab
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --ServerApp.root_dir="$(CURDIR)" --LabApp.default_url=/lab/tree/$(FIRST) $(LAB_FLAGS)

test: $(READY)
	@LONG=$(LONG) $(BIN)/python -m pytest -q -n 2 --dist loadgroup --durations=12 $(TESTS)

# An environment beside .venv that sees its packages: $(call beside,FOLDER).
define beside
	@rm -rf $(1) && $(BIN)/python -m venv --without-pip $(1)
	@$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(" + repr(sysconfig.get_path("purelib")) + ")")' \
	  > "$$($(1)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/of_venv.pth"
endef

# The peers live inside .venv, so they go with it, and see its packages; nothing in .venv itself is added or changed.
PEERS := $(VENV)/peers
$(PEERS)/.ready: requirements-bench.lock $(READY)
	$(call beside,$(PEERS))
	@$(PIP) --python $(PEERS)/bin/python install --quiet --no-compile --no-deps -r requirements-bench.lock
	@touch $@

bench: $(PEERS)/.ready
	@$(BIN)/python tests/tools/bench_speed.py $(BENCH)

# vLLM has a folder of its own for the same reason: it needs other versions of a few packages.
VLLM := $(VENV)/vllm
vllm: $(VLLM)/.ready
$(VLLM)/.ready: requirements-vllm.lock $(READY)
	$(call beside,$(VLLM))
	@echo "installing vLLM into $(VLLM): a minute or two, 1.2 GB"
	@$(PIP) --python $(VLLM)/bin/python install --quiet --no-compile --no-deps --only-binary=:all: -r requirements-vllm.lock
	@touch $@

SITE := $(VENV)/site
$(SITE)/.ready: requirements-site.lock $(READY)
	$(call beside,$(SITE))
	@$(PIP) --python $(SITE)/bin/python install --quiet --no-compile --no-deps -r requirements-site.lock
	@touch $@

site: $(SITE)/.ready
	@$(SITE)/bin/python tests/tools/make_site.py _site

wheel: $(READY)
	@$(BIN)/python -m build --quiet --wheel --no-isolation --outdir dist . && ls dist/*.whl

docs: $(READY)
	@$(BIN)/python tests/tools/house.py docs
