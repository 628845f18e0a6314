# make run: everything, from nothing. make test: everything, checked. See CONTRIBUTING.md for the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
COLAB := .venv-colab/bin
COLAB_READY := .venv-colab/.ready
# A process for each core, with one thread: on models this small, threads that wait for each other cost more than they
# help. Each process needs about 1 GB; of the slow tests, one needs about 4 GB.
TESTS := OMP_NUM_THREADS=1 @/pytest -n auto --maxprocesses 4 --dist worksteal tests

# Copies of the notebooks are executed, in order, in a folder of their own, so that a learner's is never touched; what
# reads them follows in the same line. KEEP names a folder that stays.
KEEP ?=
EXECUTE := folder=$(or $(abspath $(KEEP)),$$(mktemp -d)) && { test -n "$(KEEP)" || trap 'rm -rf "$$folder"' EXIT; } && \
	export PYTHONPATH=$(CURDIR) CAPTIONING_ARTIFACTS=$$folder && \
	@/pytest --nbmake --overwrite --nbmake-timeout=900 -v $$(@/python -m tools.notebooks copies)

.PHONY: setup run lab test test-full test-colab check clean data emoji base-model links strip class marks mistakes development fresh results bench

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

test: check
	@$(subst @,$(BIN),$(EXECUTE)) && $(BIN)/python -m tools.notebooks pages && \
	EXECUTED_NOTEBOOKS=$$folder/notebooks OMP_NUM_THREADS=1 $(BIN)/pytest -m executed tests

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
	@$(subst @,$(COLAB),$(EXECUTE))

data: $(READY)
	$(BIN)/python -m tools.make_data

# Fetches some 110 MB; needs npm, Debian's apt-get and dpkg-deb, and resvg-py in .venv, and says so where one is missing.
emoji: $(READY)
	$(BIN)/python -m tools.make_emoji

base-model: $(READY)
	$(BIN)/python -m tools.make_base_model

# Badges and first cells from pyproject.toml, links to the glossary; REPO=owner/name writes a new address there first.
links: $(READY)
	$(BIN)/python -m tools.notebooks links $(REPO)

strip: $(READY)
	$(BIN)/python -m tools.notebooks strip

# For teachers: the project without solutions, and verdicts on what learners hand in; OPTIONS="--quick" for marks.
class: $(READY)
	@$(BIN)/python -m tools.classroom class $(if $(FOLDER),"$(FOLDER)")

marks: $(READY)
	@$(BIN)/python -m tools.classroom marks $(if $(FOLDER),"$(FOLDER)") $(OPTIONS)

# docs/when-something-goes-wrong.md, from the tests that make each mistake.
mistakes: $(READY)
	$(BIN)/pytest --write-mistakes tests/test_mistakes.py

# What every system says of creatures that nobody could look at; `make development` shows what choices were made by.
fresh: $(READY)
	$(BIN)/python -m tools.fresh

development: $(READY)
	$(BIN)/python -m tools.fresh development

# The figures in README, cards and notebooks, from what `make run` measured.
results: $(READY)
	$(BIN)/python -m tools.results

bench: $(READY)
	$(BIN)/python -m benchmarks.compare

clean:
	rm -rf .venv .venv-colab artifacts .pytest_cache .ruff_cache *.egg-info
