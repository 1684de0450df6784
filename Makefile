# Three commands matter: `make lab` to take the course, `make check` to see in two minutes that it
# works here, `make test` to prove all of it.
# Works with GNU make 3.81 and later, the one that macOS has.

# An interpreter for .venv, such as PYTHON=python3.12; empty: the first fitting one is found.
PYTHON ?=
# Where torch comes from, such as https://download.pytorch.org/whl/cpu; empty: pip's own index. What
# the environment was made with holds for whatever is done with it later.
TORCH_INDEX ?=
# Passed on to JupyterLab, such as LAB_ARGS="--no-browser --port 8899".
LAB_ARGS ?=
# Passed on to pytest, such as TEST_ARGS="-k boxes -x".
TEST_ARGS ?=
# What lmms-eval is run on, such as MODELS="pocket-llava pocket-llava-next", and what is passed on to
# its recipe, such as LMMS_ARGS="--limit 20 --processes 2".
MODELS ?= pocket-llava
LMMS_ARGS ?=
# Other machines that `make wheels` collects for, such as WHEELS_FOR="windows-3.12 mac-3.13".
WHEELS_FOR ?=
# How many at once `make load` has work, such as LEARNERS="1 2 4 8".
LEARNERS ?= 1 2 4
# The notebooks that `make colab` runs, such as NOTEBOOKS="00 03".
NOTEBOOKS ?=
# The repository's new address for `make links`, such as REPO=https://github.com/ME/COURSE.
REPO ?=
# Passed on to the tests in a browser, such as BROWSER_ARGS="-k 00" for one notebook.
BROWSER_ARGS ?=
# Passed on to tools.playground, such as PLAYGROUND_ARGS="--port 8899" or PLAYGROUND_ARGS=--no-server.
PLAYGROUND_ARGS ?=

# In LC_ALL=C Python cannot start in an environment whose path has other letters than English ones;
# without it, it chooses a locale that has them.
ifneq ($(filter C POSIX,$(LC_ALL)),)
LC_ALL :=
endif

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
EXTRAS := lab,training,dev
# The whole repository is served, so that links from the notebooks to its other files work; and
# JupyterLab asks nobody for news, nor the reader whether it may.
LAB := --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks/00_welcome.ipynb --LabApp.app_settings_dir=deploy/lab
CHECK := --nbval tests/test_installation.py notebooks/00_welcome.ipynb
# The notebooks take longest and come first, so that no worker waits for one at the end. A file
# stays with one worker, which so makes its fixtures and its kernel once.
TESTS := -p tools.processor --nbval -n 2 --dist loadscope --no-loadscope-reorder notebooks tests

# The stamp is named after what the environment was made from: after a changed pin, or in a folder
# that was moved, there is none of that name. It is written last: what was interrupted has none.
KEY := $(shell { cat pyproject.toml constraints.txt; pwd; } | cksum | tr ' ' '-')
READY := $(VENV)/.ready-$(KEY)
ifeq ($(TORCH_INDEX),)
TORCH_INDEX := $(shell cat $(VENV)/torch-index 2>/dev/null)
endif

# The newest Pythons are left out until torch has builds for them; PYTHON=... overrides.
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.11 python3.14 python)
BOUNDS := (3, 11) <= sys.version_info[:2]$(if $(PYTHON),, <= (3, 14))

# lmms-eval brings half a hundred packages along, some older than the course's: it has its own.
LMMS := .venv-lmms
LMMS_PY := $(LMMS)/bin/python
LMMS_PIP := $(LMMS_PY) -m pip --disable-pip-version-check --no-input
LMMS_FILES := $(addprefix recipes/lmms_eval/,requirements.txt constraints.txt)
LMMS_READY := $(LMMS)/.ready-$(shell { cat $(LMMS_FILES) 2>/dev/null; pwd; } | cksum | tr ' ' '-')

# The web pages are made without torch or anything else of the course's environment.
SITE := .venv-site
SITE_PY := $(SITE)/bin/python
SITE_READY := $(SITE)/.ready-$(shell { cat site/*.txt 2>/dev/null; pwd; } | cksum | tr ' ' '-')

# What drives the browsers is no part of the course's environment.
BROWSER := .venv-browser
BROWSER_FILES := $(addprefix tests/browser/,requirements.txt package-lock.json)
BROWSER_READY := $(BROWSER)/.ready-$(shell { cat $(BROWSER_FILES) 2>/dev/null; pwd; } | cksum | tr ' ' '-')

.PHONY: help lab check test setup wheels lint notebooks links pins data benchmark load lmms-eval playground site browser colab clean
.DEFAULT_GOAL := help

help:
	@echo "make lab         set up, then open the course in JupyterLab"
	@echo "make check       set up, then see in two minutes whether the course works here"
	@echo "make test        set up, then run the package's tests and every notebook"
	@echo
	@echo "make setup       only set up: create .venv and install the pinned packages"
	@echo "make wheels      collect every package in wheels/, for machines without a network"
	@echo "make lint        check the Python code, and the notebooks as they are stored"
	@echo "make notebooks   run every notebook and store its outputs"
	@echo "make data        rebuild the data sets in data/"
	@echo "make playground  serve the pocket model as a web page, on this machine alone"
	@echo "make site        build the course as web pages in build/site, in an environment of its own"
	@echo "make browser     run every notebook and the playground in real browsers, and look at them"
	@echo "make benchmark   measure import, answers, memory and notebooks"
	@echo "make load        measure what learners cost a server that they all work on"
	@echo "make lmms-eval   ask the pocket benchmarks by lmms-eval, in an environment of its own"
	@echo "make colab       run the notebooks on Colab's versions, in a replica of it"
	@echo "make links       write the repository's address into badges and links (REPO=... changes it)"
	@echo "make pins        resolve constraints.txt anew (needs uv)"
	@echo "make clean       remove .venv and caches"
	@echo
	@echo "Variables: PYTHON, TORCH_INDEX, LAB_ARGS, TEST_ARGS, WHEELS_FOR, LEARNERS, MODELS,"
	@echo "LMMS_ARGS, PLAYGROUND_ARGS, BROWSER_ARGS, NOTEBOOKS, REPO; the Makefile's first lines say how."

# In a recipe: the first fitting interpreter's name, in the shell variable `found`.
define FIND_PYTHON
found=; for candidate in $(CANDIDATES); do \
    if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(not $(BOUNDS))' 2>/dev/null; \
    then found=$$candidate; break; fi; \
  done; \
  if [ -z "$$found" ]; then \
    echo "No Python from 3.11 to 3.14 with its venv module was found (tried:" $(CANDIDATES)");" \
         "install one, or name yours: make setup PYTHON=/path/to/python3" >&2; \
    exit 1; \
  fi
endef

# An interpreter that no longer runs (Python was upgraded or removed) makes the stamp worthless.
ifneq ($(shell LC_ALL="$(LC_ALL)" $(PY) -c 'print("runs")' 2>/dev/null),runs)
.PHONY: $(READY)
endif

setup: $(READY)
	@echo "The environment in $(VENV) is ready."

$(READY):
	@if $(PY) -c '' 2>/dev/null && grep -qxF "$$(pwd)" $(VENV)/.ready-* 2>/dev/null; then \
	  echo "Bringing the environment in $(VENV) up to date."; \
	  rm -f $(VENV)/.ready-*; \
	else \
	  if ! [ -w "$(dir $(VENV))" ]; then \
	    echo "The environment cannot be created here, for this folder cannot be written. Put it" \
	         "elsewhere: make $(or $(firstword $(MAKECMDGOALS)),setup) VENV=$$HOME/vlm-course" >&2; \
	    exit 1; \
	  fi; \
	  $(FIND_PYTHON); \
	  echo "Creating the environment in $(VENV) with $$("$$found" --version)."; \
	  "$$found" -m venv --clear $(VENV) || exit; \
	  if [ -z "$(TORCH_INDEX)$$PIP_NO_INDEX" ] && [ "$$(uname -s)" = Linux ] && \
	     [ ! -e /proc/driver/nvidia ] && ! command -v nvidia-smi >/dev/null; then \
	    echo "No NVIDIA GPU here. If pip now fetches gigabytes of CUDA packages, stop it;"; \
	    echo "  make $(or $(firstword $(MAKECMDGOALS)),setup) TORCH_INDEX=https://download.pytorch.org/whl/cpu"; \
	    echo "does without them."; \
	  fi; \
	fi
	@echo "Installing torch."
	@$(PIP) install --no-deps $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") \
	  "$$(grep '^torch==' constraints.txt)"
	@echo "$(TORCH_INDEX)" > $(VENV)/torch-index
	@echo "Installing the course and the rest of its pinned packages: some minutes the first time."
	@$(PIP) install --quiet -c constraints.txt -e ".[$(EXTRAS)]"
	@$(PIP) check
	@pwd > $(READY)

lab: $(READY)
	@echo "Opening the first notebook in JupyterLab. To stop it: Ctrl-C, twice."
	@if ! [ -w "$$HOME" ]; then \
	  HOME=$$(mktemp -d) && export HOME || exit; \
	  echo "Your home folder cannot be written; Jupyter keeps its own files in $$HOME instead."; \
	fi; \
	HF_HUB_DISABLE_TELEMETRY=1 $(if $(PIP_NO_INDEX),HF_HUB_OFFLINE=1) $(PY) -m jupyterlab $(LAB) \
	  $(if $(filter 0,$(shell id -u)),--allow-root) $(LAB_ARGS)

check: $(READY)
	@echo "Asking the models that ship with the course, and running the first notebook."
	@$(PY) -m pytest $(CHECK)

test: $(READY)
	@echo "Running the package's tests, and every notebook against its stored outputs."
	@$(PY) -m pytest $(TESTS) $(TEST_ARGS)

# hatchling and editables build the course's own package where there is no network to fetch them.
wheels: $(READY)
	@echo "Collecting every package of the environment in wheels/."
	@$(PIP) download --quiet --dest wheels --no-deps \
	  $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") "$$(grep '^torch==' constraints.txt)"
	@$(PIP) download --quiet --dest wheels --find-links wheels -c constraints.txt \
	  ".[$(EXTRAS)]" hatchling editables
	@$(if $(WHEELS_FOR),$(PY) -m tools.wheels $(WHEELS_FOR))
	@echo "On the others: PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels make lab"

lint: $(READY)
	@echo "Checking the Python code with ruff, and the notebooks as they are stored."
	@$(PY) -m ruff check .
	@$(PY) -m tools.clocks
	@$(PY) -m tools.notebooks lint

notebooks: $(READY)
	@echo "Running every notebook from top to bottom and storing its outputs."
	@$(PY) -m tools.notebooks execute

links: $(READY)
	@echo "Writing the repository's address from pyproject.toml into every badge and link."
	@$(PY) -m tools.links $(if $(REPO),"$(REPO)")

# torch pins its own CUDA packages, and on most machines there are none: they are left out.
pins:
	@command -v uv >/dev/null || { echo "make pins needs uv, and it is not here: pip install uv, or" \
	  "see https://docs.astral.sh/uv/" >&2; exit 1; }
	@echo "Resolving constraints.txt anew with uv, for every platform and Python from 3.11."
	@uv pip compile --quiet --universal --python-version 3.11 --no-python-downloads --all-extras \
	  --no-annotate --custom-compile-command "make pins" $(UV_ARGS) -o constraints.txt pyproject.toml
	@grep -vE '^(cuda-|nvidia-|triton)' constraints.txt > constraints.tmp
	@mv constraints.tmp constraints.txt

data: $(READY)
	@echo "Rebuilding the data sets in data/."
	@$(PY) -m recipes.data
	@$(PY) -m recipes.benchmarks

benchmark: $(READY)
	@echo "Measuring import, answers, memory and notebooks on this machine."
	@$(PY) -m recipes.benchmark

load: $(READY)
	@echo "Having $(LEARNERS) learners run the first notebook at once, on this machine."
	@$(PY) -m recipes.load $(LEARNERS)

lmms-eval: $(LMMS_READY)
	@$(LMMS_PY) -m recipes.lmms_eval $(MODELS) $(LMMS_ARGS)

$(LMMS_READY):
	@$(FIND_PYTHON); \
	echo "Creating lmms-eval's environment in $(LMMS) with $$("$$found" --version)."; \
	"$$found" -m venv --clear $(LMMS)
	@echo "Installing torch, lmms-eval and what it needs: some minutes, the first time only."
	@$(LMMS_PIP) install --quiet --no-compile --no-deps $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") \
	  "$$(grep '^torch==' constraints.txt)"
	@$(LMMS_PIP) install --quiet --no-compile "$$(grep '^torch==' constraints.txt)" \
	  -c recipes/lmms_eval/constraints.txt -r recipes/lmms_eval/requirements.txt
	@$(LMMS_PIP) install --quiet --no-compile --no-deps "$$(grep '^lmms_eval==' recipes/lmms_eval/constraints.txt)"
	@touch $(LMMS_READY)

# What Colab had in August 2026: its Python, its torch and tools/colab.txt.
COLAB_PY := .venv-colab/bin/python
COLAB_PIP := $(COLAB_PY) -m pip --disable-pip-version-check --no-input
COLAB_TORCH := torch==2.11.0
COLAB_VISION := torchvision==0.26.0

colab: $(READY)
	@echo "Building a replica of Colab's image in .venv-colab: some minutes, the first time only."
	@$(COLAB_PY) -c '' 2>/dev/null || $(or $(PYTHON),python3.13) -m venv --clear .venv-colab
	@$(COLAB_PIP) install --quiet --no-deps $(if $(TORCH_INDEX),--index-url "$(TORCH_INDEX)") $(COLAB_TORCH) $(COLAB_VISION)
	@$(COLAB_PIP) install --quiet $(COLAB_TORCH) $(COLAB_VISION) -r tools/colab.txt
	@$(PY) -m tools.colab $(COLAB_PY) $(NOTEBOOKS)

# Any Python will do: no environment is set up for it.
playground:
	@echo "Putting the playground together in build/playground."
	@$(or $(PYTHON),python3) -m tools.playground $(PLAYGROUND_ARGS)

site: $(SITE_READY)
	@echo "Building the course's web pages in build/site."
	@$(SITE_PY) -m tools.site
	@echo "To read them: python3 -m http.server --directory build/site"

$(SITE_READY):
	@$(FIND_PYTHON); \
	echo "Creating the site's environment in $(SITE) with $$("$$found" --version)."; \
	"$$found" -m venv --clear $(SITE)
	@$(SITE_PY) -m pip --disable-pip-version-check --no-input install --quiet \
	  -c site/constraints.txt -r site/requirements.txt
	@touch $(SITE_READY)

browser: $(READY) $(BROWSER_READY)
	@echo "Driving JupyterLab and the playground in this machine's browsers; pictures go to build/browser."
	@$(BROWSER)/bin/python -m pytest -c tests/browser/pytest.ini tests/browser $(BROWSER_ARGS)

# axe-core looks for what shuts readers out; without npm the test of that is skipped.
$(BROWSER_READY): | $(READY)
	@echo "Installing Playwright in $(BROWSER)."
	@$(PY) -m venv --clear $(BROWSER)
	@$(BROWSER)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps \
	  -r tests/browser/requirements.txt
	@if command -v npm >/dev/null; then \
	  cp tests/browser/package.json tests/browser/package-lock.json $(BROWSER)/ && \
	  npm ci --prefix $(BROWSER) --silent --ignore-scripts; \
	fi
	@touch $(BROWSER_READY)

clean:
	@echo "Removing the environments and caches."
	@rm -rf $(VENV) $(LMMS) $(SITE) $(BROWSER) .venv-colab build dist .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
