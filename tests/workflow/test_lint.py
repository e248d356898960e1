"""Snakemake's linter: nothing but the software environment, which the Makefile provides."""

import re
from pathlib import Path

import pytest

from tests.workflow.house import House

RULES = (
    "prepare",
    "pin",
    "train",
    "train_seeds",
    "train_all_seeds",
    "evaluate",
    "sample",
    "report",
)
ENVIRONMENT = "Specify a conda environment or container for each rule."


@pytest.mark.slow
def test_lint_misses_only_the_software_environment(finished: House) -> None:
    done = finished.snakemake("--lint")
    output = done.stdout + done.stderr
    assert re.findall(r"^ +\* (.+?):$", output, re.MULTILINE) == [ENVIRONMENT] * len(RULES)
    assert re.findall(r"^Lints for rule (\w+)", output, re.MULTILINE) == list(RULES)
    assert "Lints for snakefile" not in output


def test_snakefile_is_short() -> None:
    top = Path(__file__).parents[2]
    code = [line for line in (top / "Snakefile").read_text("utf-8").splitlines() if line.strip()]
    assert len(code) <= 20
