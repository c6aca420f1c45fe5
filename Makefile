# One word each: demo, run, test, check, bench. `make help` lists them.

PYTHON ?= python3
TORCH ?= torch
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# Never from source: that would need a compiler, and take hours.
INSTALL := $(BIN)/pip install --quiet --progress-bar off --only-binary=:all:
# 2.1 is needed by Gemini 305 and newer. The packages that it names are those of its examples; they
# would put a second OpenCV and Open3D over ours.
ORBBEC := pyorbbecsdk2==2.1.2; sys_platform != 'darwin' and python_version < '3.14'

# What the app and its tests need from the system, by Debian's names.
SYSTEM := python3-venv make xvfb xauth libgl1 libgl1-mesa-dri libegl1 libusb-1.0-0 libxcb-cursor0 \
	libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 \
	libxkbcommon-x11-0 libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 libgomp1 libx11-6 \
	libxext6 libxrender1 fonts-dejavu-core

.PHONY: help break demo run test check fix cover translations docs architecture dist bench screenshots pictures interop system clean

help:
	@echo "make demo            install all, then open the app on a simulated camera"
	@echo "make run ARGS=...    run lingbot-live with arguments"
	@echo "make test            run the tests       make check   ruff, mypy, import-linter"
	@echo "make fix             mend what ruff can  make cover   tests with coverage"
	@echo "make docs            the docs as a site  make dist    wheel and sdist"
	@echo "make bench           measure speed       make clean   remove .venv and demo/"
	@echo "make translations    list what the window does not say in every language"
	@echo "make screenshots  the window at four sizes, in two themes and languages"
	@echo "make pictures     the docs' pictures of the window, anew"
	@echo "make break           break it in every way we know, ARGS=--short in some"
	@echo "make interop         let Rerun read a session file"
	@echo "TORCH=...            which torch pip installs, such as TORCH=torch==2.13.0"

system:
	@./scripts/install-system.sh $(SYSTEM)

$(VENV)/bin/pip:
	@$(MAKE) --no-print-directory system
	@$(PYTHON) scripts/check-python.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.app: pyproject.toml | $(VENV)/bin/pip
	@echo "lingbot-live: installing $(TORCH), Open3D, Qt and the camera SDKs into $(VENV)/ (minutes)"
	@$(INSTALL) "$(TORCH)"
	@$(INSTALL) --editable ".[cameras]"
	@$(INSTALL) --no-deps "$(ORBBEC)"
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.app
	@echo "lingbot-live: installing what the checks and tests need"
	@$(INSTALL) --editable ".[kinect,dev]"
	@touch $@

demo: $(VENV)/.app
	@./scripts/demo.sh $(BIN)/lingbot-live

run: $(VENV)/.app
	$(BIN)/lingbot-live $(ARGS)

# Two processes, each with whole files: windows bear it, and two cores are used. What failed is run
# once more alone: a test of real processes and windows may fail for want of a processor, and only so.
WORKERS ?= -n 2 --dist loadfile
test: $(VENV)/.dev
	$(BIN)/python -m pytest $(WORKERS) $(ARGS) || { [ $$? -eq 1 ] && \
	echo "lingbot-live: once more, alone, what failed beside others" && \
	$(BIN)/python -m pytest --last-failed --last-failed-no-failures none $(ARGS); }

break: $(VENV)/.dev
	@./scripts/break.sh $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/python scripts/architecture.py --check
	$(BIN)/python scripts/translations.py

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/architecture.py

cover: $(VENV)/.dev
	$(BIN)/pip install --quiet "coverage>=7.6"
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

translations: $(VENV)/.dev
	$(BIN)/python scripts/translations.py $(ARGS)

architecture: $(VENV)/.dev
	$(BIN)/python scripts/architecture.py

docs: $(VENV)/.dev
	$(BIN)/pip install --quiet --editable ".[docs]"
	$(BIN)/mkdocs build --strict

dist: $(VENV)/.dev
	$(BIN)/pip install --quiet "build>=1.2"
	$(BIN)/python -m build

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

screenshots: $(VENV)/.dev
	$(BIN)/python scripts/screenshots.py

pictures: $(VENV)/.dev
	$(BIN)/python scripts/doc_pictures.py

interop: $(VENV)/.dev
	@./scripts/interop.sh $(BIN)/python

clean:
	rm -rf $(VENV) demo
