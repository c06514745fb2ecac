# make test       everything: lint, types, all tests, the smoke run, it again with the paper's chunks, the same road with Whispers
# make test-fast  the same without what takes more than seconds
PYTHON := $(if $(K2D_PYTHON),$(K2D_PYTHON),.venv/bin/python)
SCRIPTS := run.sh $(wildcard utils/*.sh tools/*.sh egs/*/run.sh)
export PYTHONPATH := $(CURDIR)

.PHONY: test test-fast environment lint types format

test: lint types
	$(PYTHON) -m pytest -n auto
	./run.sh --conf conf/smoke.yaml
	$(PYTHON) -m pytest test/check_smoke.py
	./run.sh --conf conf/smoke_sum.yaml
	$(PYTHON) -m pytest test/check_smoke_sum.py
	./run.sh --conf conf/whisper_tiny.yaml
	$(PYTHON) -m pytest test/check_whisper_tiny.py

test-fast: lint
	$(PYTHON) -m pytest -n auto -m "not slow"

environment:
	@$(if $(K2D_PYTHON),true,tools/install.sh --quiet)

lint: environment
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("scripts"))')"/shellcheck -x $(SCRIPTS)

types: environment
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy --explicit-package-bases egs tools

format: environment
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
