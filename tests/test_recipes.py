"""The recipes of docs/how-to, followed to the letter in a copy of the checkout."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workflow.ablations import read

pytestmark = pytest.mark.slow
TOP = Path(__file__).parents[1]
PAGES = sorted((TOP / "docs/how-to").glob("*.md"))
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
FILE = re.compile(
    r"(?ms)^\*\*[^*]+:\*\* `([^`]+)`(?:(?!\n\n).)*\n\n```(?:python|yaml)\n(.*?)^```$"
)
ROW = re.compile(r"(?m)^( {4}\"le cam\": .*),  # (FORMULAS|PAIRS): .*$")
TABLES = "tests/divergences/test_bregman.py"
CONFIG = re.compile(r"snakemake [^`#\n]*--config ((?:(?! -)[^`#\n])+)")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with every file that the recipes write whole, and the rows that they add."""
    folder = tmp_path_factory.mktemp("recipes") / "checkout"
    for name in ("tcsm", "params", "tests", "workflow"):
        shutil.copytree(TOP / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", folder)
    for path, content in FILE.findall(TEXT):
        if path != TABLES:  # gets rows alone
            assert not (folder / path).exists(), path
            (folder / path).write_text(content, "utf-8")
    text = (folder / TABLES).read_text("utf-8")
    for row, table in ROW.findall(TEXT):
        text = text.replace(f"\n{table} = {{\n", f"\n{table} = {{\n{row},\n")
    imported = "from tcsm.divergences.lecam import LeCam"
    assert imported in TEXT
    assert text.count('"le cam"') == 2
    (folder / TABLES).write_text(text.replace("\n\n", f"\n\n{imported}\n", 1), "utf-8")
    return folder


def succeeds(folder: Path, *arguments: str) -> None:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def proved(folder: Path, *tests: str) -> None:
    succeeds(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests)


def test_members_of_families(copy: Path) -> None:
    """A divergence, a neighborhood, an objective, a target, a sampler, a network, a metric."""
    tests = [path for path, _ in FILE.findall(TEXT) if path.startswith("tests/")]
    assert len(tests) >= 6
    assert "tests/stages/test_accuracy.py" in tests
    proved(copy, *tests, TABLES)


def test_their_commands_run(copy: Path) -> None:
    """Every choice that a recipe writes, from the command line."""
    pages = [page for page in PAGES if "`params/" in page.read_text("utf-8")]
    assert len(pages) >= 8
    succeeds(copy, "-m", "tests.documents", *map(str, pages))


def test_a_question(copy: Path) -> None:
    names = [variant.name for variant in read("schedules", "smoke", copy / "params")]
    assert names == ["schedules/linear", "schedules/cosine"]


def test_no_command_hands_a_target_to_config() -> None:
    """``--config`` takes all words that follow it, up to the next option."""
    documents = [TOP / "README.md", TOP / "CONTRIBUTING.md", *(TOP / "docs").rglob("*.md")]
    actual = [words for path in documents for words in CONFIG.findall(path.read_text("utf-8"))]
    assert actual
    assert all("=" in word for words in actual for word in words.split()), actual
