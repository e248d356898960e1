# make report: from text to reports/index.html.   make test: the proof.   Both set themselves up.

PYTHON ?= python3
BIN := .venv/bin
HERE = PATH="$$PWD/$(BIN):$$PATH"
SCALE = $(shell sed -n 's/^scale: *\([a-z0-9_]*\) *\(\#.*\)*$$/\1/p' params.yaml)

.PHONY: report test quick slurm chaos lint clean pull checkout check help

report: .venv/.stamp
	$(HERE) python -m snakemake --cores all --workflow-profile workflow/profiles/default

# Results that another machine computed, after git clone and dvc remote add: docs/reproduce.md.
pull: .venv/.stamp
	@$(HERE); shelf=$$(python -m dvc remote default) || { echo "$$shelf: docs/reproduce.md"; exit 1; }; \
	python -m dvc remote modify --local "$$shelf" verify true  # else DVC believes what it downloads
	$(HERE) python -m dvc pull
	@$(MAKE) --no-print-directory -o .venv/.stamp checkout

# The results of dvc.lock, taken over by Snakemake, which else could not tell of what they are.
checkout: .venv/.stamp
	$(HERE) python -m dvc checkout
	@$(HERE) python -m dvc status --quiet || { $(HERE) python -m dvc status; echo "not what dvc.lock is of: undo it, or dvc repro"; exit 1; }
	$(HERE) python -m snakemake --touch --forceall --cores 1 --quiet all --config scale=$(SCALE)
	@$(HERE) python -m workflow.scripts.own $(SCALE)

# What dvc.lock is behind, code or params; needs no data.
check: .venv/.stamp
	@$(HERE); said=$$(python -m dvc status) && echo "$$said" | \
	awk '/changed command|new:|modified:/ && !seen[$$0]++ {print "not what dvc.lock is of: " $$NF; bad = 1} END {exit bad}'

# The proof: all tests, some twenty minutes on two cores, after lint.
test: .venv/.stamp lint
	$(BIN)/python -m pytest -n 2 --dist loadgroup --quiet -rs

# The tests to run while working, two minutes: all but those marked slow (workflow, DVC, SLURM, chaos).
quick: .venv/.stamp
	$(BIN)/python -m pytest -n 2 --dist loadgroup --quiet -m "not slow"

# A part of the tests: through a SLURM of two nodes on this machine. Root, slurm-wlm, munge.
slurm: .venv/.stamp
	$(BIN)/python -m pytest tests/slurm --durations=3

# Killed at random moments, files altered, disks full: a quarter of an hour. Another SEED, other moments.
chaos: .venv/.stamp
	CHAOS=1 SEED=$(or $(SEED),0) STRIKES=$(or $(STRIKES),28) $(BIN)/python -m pytest tests/chaos tests/workflow/test_faults.py -s -v

# Style, types, and who may import whom.
lint: .venv/.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Remove all results, the page, and what Snakemake knows of them.
clean:
	rm -rf results reports/index.html reports/figures reports/tables .snakemake

# This list.
help:
	@sed -n '/^# /{s/^# //;h};/^[a-z]*:/{s/:.*//;G;s/\n/: /p;s/.*//;x}' Makefile

# Installed again when what is to be installed changes.
.venv/.stamp: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "tcsm needs Python 3.11 or newer; make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@
