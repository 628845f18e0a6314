# make run: everything, from nothing. make test: everything, checked. See CONTRIBUTING.md for the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
COLAB := .venv-colab/bin
COLAB_READY := .venv-colab/.ready
# A process for each core, with one thread: on models this small, threads that wait for each other cost more than they
# help. Each process needs about 1 GB; of the slow tests, one needs about 4 GB.
TESTS := OMP_NUM_THREADS=1 @/pytest -n auto --maxprocesses 4 --dist worksteal tests

.PHONY: setup run lab test test-full test-colab check clean data base-model links strip mistakes results bench

setup: $(READY)

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --quiet -r requirements.txt -r requirements-dev.txt
	@touch $@

run: $(READY)
	@$(BIN)/python -m tools.notebooks run

lab: $(READY)
	$(BIN)/jupyter lab notebooks/01_load_and_visualize.ipynb

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(subst @,$(BIN),$(TESTS)) -m "not slow and not executed"

# The notebooks share one temporary artifacts folder, in order, so a learner's own is never touched.
test: check
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	CAPTIONING_ARTIFACTS=$$folder $(BIN)/pytest --nbmake --nbmake-timeout=900 -v $(wildcard notebooks/0*.ipynb)

test-full: $(READY)
	$(subst @,$(BIN),$(TESTS)) -m slow

# What Colab ships, then what its learners get on top; neither torch nor numpy may change, and the tests' tools may
# change nothing at all. The project itself is not installed, as in Colab.
$(COLAB_READY): tests/colab.txt requirements-colab.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv --clear .venv-colab
	$(COLAB)/pip install --disable-pip-version-check --quiet -r tests/colab.txt
	$(COLAB)/pip freeze | grep -E '^(torch|numpy)==' > .venv-colab/before.txt
	$(COLAB)/pip install --disable-pip-version-check --quiet -r requirements-colab.txt
	$(COLAB)/pip freeze > .venv-colab/after.txt
	grep -E '^(torch|numpy)==' .venv-colab/after.txt | diff .venv-colab/before.txt -
	$(COLAB)/pip install --disable-pip-version-check --quiet -r requirements-dev.txt -c .venv-colab/after.txt
	@touch $@

# Tests, first cell and notebooks with Colab's versions; PYTHONPATH does what the first cell does there.
test-colab: $(COLAB_READY)
	$(subst @,$(COLAB),$(TESTS)) -m "not slow and not executed"
	$(COLAB)/pytest -m slow tests/test_colab.py
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	PYTHONPATH=$(CURDIR) CAPTIONING_ARTIFACTS=$$folder $(COLAB)/pytest --nbmake --nbmake-timeout=900 -v $(wildcard notebooks/0*.ipynb)

data: $(READY)
	$(BIN)/python -m tools.make_data

base-model: $(READY)
	$(BIN)/python -m tools.make_base_model

# Badges and first cells from pyproject.toml; REPO=owner/name writes a new address there first.
links: $(READY)
	$(BIN)/python -m tools.notebooks links $(REPO)

strip: $(READY)
	$(BIN)/python -m tools.notebooks strip

# docs/when-something-goes-wrong.md, from the tests that make each mistake.
mistakes: $(READY)
	$(BIN)/pytest --write-mistakes tests/test_mistakes.py

# The figures in README, cards and notebooks, from what `make run` measured.
results: $(READY)
	$(BIN)/python -m tools.results

bench: $(READY)
	$(BIN)/python -m benchmarks.recipes
	$(BIN)/python -m benchmarks.training_share
	$(BIN)/python -m benchmarks.metrics_speed
	$(BIN)/python -m benchmarks.data_memory

clean:
	rm -rf .venv .venv-colab artifacts .pytest_cache .ruff_cache *.egg-info
