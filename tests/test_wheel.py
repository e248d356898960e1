"""An installed package works in an empty folder: it holds its params and what makes a report."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
TOP = Path(__file__).parents[1]
BUILT_OF = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "tcsm", "params")
OFFLINE = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` puts beside other packages."""
    source, site = (tmp_path_factory.mktemp(name) for name in ("source", "site"))
    ignored = shutil.ignore_patterns("__pycache__")
    for name in (*BUILT_OF, "reports/template", "reports/chapters"):
        place = TOP / name
        copy = shutil.copy if place.is_file() else shutil.copytree
        copy(place, source / name, **({} if place.is_file() else {"ignore": ignored}))
    command = [sys.executable, "-m", "pip", "install", *OFFLINE, "--target", str(site), "."]
    subprocess.run(command, cwd=source, check=True)
    shutil.rmtree(source)
    return site


def python(site: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_folder_is_shipped(site: Path) -> None:
    for name in ("params", "reports/template", "reports/chapters", "tcsm"):
        files = [file for file in (TOP / name).rglob("*") if file.suffix not in ("", ".pyc")]
        actual = site / "tcsm" / ("" if name == "tcsm" else name)
        lost = [file for file in files if not (actual / file.relative_to(TOP / name)).exists()]
        assert lost == []
    assert {path.name for path in site.iterdir()} <= {"tcsm", "bin", *map(_info, site.iterdir())}


def _info(path: Path) -> str:
    return path.name if path.name.endswith(".dist-info") else ""


def test_a_text_is_prepared_and_a_page_made_in_an_empty_folder(site: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("to be or not to be that is the question " * 100)
    own = ("corpus=local", "corpus.path=text.txt", "data.root=tokens", "out=tokens")
    assert "tokens/train.tok" in python(site, tmp_path, "-m", "tcsm", "prepare", *own)
    page = (
        "import tcsm; from tcsm.reporting.page import Report; from pathlib import Path; "
        f"assert tcsm.__file__.startswith({str(site)!r}); "
        "print(Report('a title', 'a line', ['summary']).build([], Path('page')))"
    )
    assert python(site, tmp_path, "-c", page) == "page/index.html\n"
    assert "a title" in (tmp_path / "page/index.html").read_text("utf-8")
