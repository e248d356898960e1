"""The recipes of CONTRIBUTING.md, followed to the letter in a copy of the checkout."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.ablations import read

pytestmark = pytest.mark.slow
TOP = Path(__file__).parents[1]
TEXT = (TOP / "CONTRIBUTING.md").read_text("utf-8")
FILE = re.compile(
    r"(?ms)^\*\*[^*]+:\*\* `([^`]+)`(?:(?!\n\n).)*\n\n```(?:python|yaml)\n(.*?)^```$"
)
ROW = re.compile(r"(?m)^( {4}\"le cam\": .*),  # (FORMULAS|PAIRS): .*$")
CONFIG = re.compile(r"snakemake [^`#\n]*--config ((?:(?! -)[^`#\n])+)")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with every file that the recipes write whole."""
    folder = tmp_path_factory.mktemp("recipes") / "checkout"
    for name in ("tcsm", "params", "tests", "workflow"):
        shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", folder)
    for path, content in FILE.findall(TEXT):
        if path != "tests/test_bregman.py":  # gets rows alone
            assert not (folder / path).exists(), path
            (folder / path).write_text(content, "utf-8")
    return folder


def proved(folder: Path, test: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_divergence(copy: Path) -> None:
    file = copy / "tests/test_bregman.py"
    text = file.read_text("utf-8")
    rows = ROW.findall(TEXT)
    assert [table for _, table in rows] == ["FORMULAS", "PAIRS"]
    for row, table in rows:
        text = text.replace(f"\n{table} = {{\n", f"\n{table} = {{\n{row},\n")
    file.write_text(text.replace("\n\n", "\n\nfrom tcsm.lecam import LeCam\n", 1), "utf-8")
    assert text.count('"le cam"') == len(rows)
    proved(copy, "tests/test_bregman.py")


def test_a_neighborhood(copy: Path) -> None:
    proved(copy, "tests/neighborhoods/test_ring.py")


def test_an_objective(copy: Path) -> None:
    proved(copy, "tests/objectives/test_label_smoothing.py")


def test_a_stage(copy: Path) -> None:
    proved(copy, "tests/stages/test_accuracy.py")


def test_a_question(copy: Path) -> None:
    names = [arm.name for arm in read("schedules", "smoke", copy / "params")]
    assert names == ["schedules/linear", "schedules/cosine"]


def test_no_command_hands_a_target_to_config() -> None:
    """``--config`` takes all words that follow it, up to the next option."""
    documents = [TOP / "README.md", TOP / "CONTRIBUTING.md", *(TOP / "docs").rglob("*.md")]
    found = [words for path in documents for words in CONFIG.findall(path.read_text("utf-8"))]
    assert found
    assert all("=" in word for words in found for word in words.split()), found
