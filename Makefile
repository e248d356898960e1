# Both `make report` and `make test` install the environment into .venv first.

PYTHON ?= python3
BIN := .venv/bin
HERE = PATH="$$PWD/$(BIN):$$PATH"
SCALE = $(shell sed -n 's/^scale: *\([a-z0-9_]*\) *\(\#.*\)*$$/\1/p' params.yaml)

.PHONY: report test quick docs slurm chaos lint clean pull checkout check bench-check help

# Train and evaluate everything and write reports/index.html.
report: .venv/.stamp
	$(HERE) python -m snakemake --cores all --workflow-profile workflow/profiles/default

# Download the results of another machine, after git clone and dvc remote add (docs/reproduce.md).
pull: .venv/.stamp
	@$(HERE); remote=$$(python -m dvc remote default) || { echo "$$remote: docs/reproduce.md"; exit 1; }; \
	python -m dvc remote modify --local "$$remote" verify true  # DVC hashes downloads only then
	$(HERE) python -m dvc pull
	@$(MAKE) --no-print-directory -o .venv/.stamp checkout

# Put the results of dvc.lock in place and mark them as up to date for Snakemake.
checkout: .venv/.stamp
	$(HERE) python -m dvc checkout
	@$(HERE) python -m dvc status --quiet || { $(HERE) python -m dvc status; echo "not what dvc.lock is of: undo it, or dvc repro"; exit 1; }
	$(HERE) python -m snakemake --touch --forceall --cores 1 --quiet all --config scale=$(SCALE)
	@$(HERE) python -m workflow.scripts.reproduce $(SCALE)

# List the code and parameters that changed since dvc.lock was written; needs no data.
check: .venv/.stamp
	@$(HERE); said=$$(python -m dvc status) && echo "$$said" | \
	awk '/changed command|new:|modified:/ && !seen[$$0]++ {print "not what dvc.lock is of: " $$NF; bad = 1} END {exit bad}'

# Run lint and all tests, about twenty minutes on two cores.
test: .venv/.stamp lint
	$(BIN)/python -m pytest -n 2 --quiet -rs

# Run the tests that are not marked slow, two minutes: for every day.
quick: .venv/.stamp
	$(BIN)/python -m pytest -n 2 --quiet -m "not slow"

# Build the documentation site, site/index.html, which opens and searches without a server.
docs: .venv/.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Run the tests of a SLURM cluster of two nodes on this machine; needs root, slurm-wlm and munge.
slurm: .venv/.stamp
	$(BIN)/python -m pytest tests/slurm --durations=3

# Run the tests of faults (kills at random moments, damaged files, full disks), 15 minutes; SEED=N varies them.
chaos: .venv/.stamp
	CHAOS=1 SEED=$(or $(SEED),0) STRIKES=$(or $(STRIKES),28) $(BIN)/python -m pytest tests/chaos tests/workflow/test_faults.py -s -v

# Has a training step become slower? Against its dense path in the same run; two minutes.
bench-check: .venv/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.check

# Check style, types and import contracts.
lint: .venv/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Remove all results, the report and Snakemake's records.
clean:
	rm -rf results reports/index.html reports/figures reports/tables .snakemake

# Show this list.
help:
	@sed -n '/^# /{s/^# //;h};/^[a-z-]*:/{s/:.*//;G;s/\n/: /p;s/.*//;x}' Makefile

# Installed again when one of these two files changes.
.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tcsm needs Python 3.11 or newer; make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
