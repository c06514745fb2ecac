# make test       everything: lint, types, all tests, the smoke run, it again with the paper's chunks, the same road with Whispers
# make test-fast  lint and the tests that take less than about 0.3 s each, with few examples of each property
# make test-real  only the tests on published weights, which are fetched; with K2D_REAL=1 they must be there
PYTHON := $(if $(K2D_PYTHON),$(K2D_PYTHON),.venv/bin/python)
SCRIPTS := run.sh $(wildcard utils/*.sh tools/*.sh egs/*/run.sh)
export PYTHONPATH := $(CURDIR)
# Threads that wait leave the core to the work beside them.
export OMP_WAIT_POLICY := PASSIVE
# Hundreds of processes import the project's code: with this variable, each would compile it again.
unexport PYTHONDONTWRITEBYTECODE

# A process a core; each begins with the files of its share, so that what the tests of a file share is made once.
SIDE_BY_SIDE := $(PYTHON) -m pytest -n auto --dist worksteal

.PHONY: test test-fast test-real side-by-side roads smoke smoke-sum whisper environment lint types format

test: environment
	$(MAKE) lint types
	$(MAKE) -j 3 side-by-side roads

side-by-side: environment
	$(SIDE_BY_SIDE)

# Their output comes command by command, so that it does not mix. A second thread would take the core of a test.
roads:
	OMP_NUM_THREADS=1 $(MAKE) -Oline smoke-sum whisper

# Temporary files are in memory if there are 2 GB of it: what tests write is synced, and a disk takes a third longer.
test-fast: lint
	@free_kb=$$(df -kP /dev/shm 2>/dev/null | awk 'NR == 2 {print $$4}'); \
	if [ "$${free_kb:-0}" -gt 2000000 ]; then memory=$$(mktemp -d /dev/shm/k2d-tests-XXXXXX); trap 'rm -rf "$$memory"' EXIT; fi; \
	$(SIDE_BY_SIDE) -m "not slow" --hypothesis-profile few $${memory:+--basetemp="$$memory/pytest"}

test-real: environment
	$(PYTHON) -m pytest test/real

# The other two roads take from the first: stages 1 to 5, or the auxiliary. All are small, so one process takes the least
# time of processors. The first one starts Python as users do, the others with the libraries imported once.
WARM := $(PYTHON) test/support/warm_python.py

smoke: environment
	./run.sh --nj 1 --conf conf/smoke.yaml
	$(PYTHON) -m pytest test/check_smoke.py

smoke-sum: smoke
	$(WARM) ./run.sh --nj 1 --conf conf/smoke_sum.yaml
	$(PYTHON) -m pytest test/check_smoke_sum.py

whisper: smoke
	$(WARM) ./run.sh --nj 1 --conf conf/whisper_tiny.yaml
	$(PYTHON) -m pytest test/check_whisper_tiny.py

environment:
	@$(if $(K2D_PYTHON),true,tools/install.sh --quiet)

lint: environment
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("scripts"))')"/shellcheck -x $(SCRIPTS)

types: environment
	$(PYTHON) -m mypy --num-workers 2

format: environment
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .
