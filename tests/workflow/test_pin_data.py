"""The data is what data.dvc pins, and DVC holds it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.house import TOP, House

pytestmark = pytest.mark.slow
FILES = ("train.tok", "valid.tok", "test.tok")


def dvc(house: House, *arguments: str) -> str:
    done = house.python("-m", "dvc", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pin(house: House) -> subprocess.CompletedProcess[str]:
    return house.python("-m", "workflow.scripts.pin_data", *[f"data/toy/{name}" for name in FILES])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A checkout with a data.dvc that DVC wrote, fresh: neither data nor a cache."""
    tmp_path = tmp_path_factory.mktemp("pinned")
    house = House(tmp_path)
    shutil.copytree(TOP / "workflow", tmp_path / "workflow")
    shutil.copytree(TOP / ".dvc", tmp_path / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    (tmp_path / ".gitignore").write_text("/data/\n")
    shutil.copy(TOP / ".dvcignore", tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    make_data(house)
    dvc(house, "add", "--quiet", "data")
    shutil.rmtree(tmp_path / ".dvc/cache")
    return house


@pytest.fixture
def pinned(made: House, tmp_path: Path) -> House:
    """A copy of it."""
    return House(Path(shutil.copytree(made.folder, tmp_path / "checkout")))


def make_data(house: House) -> None:
    folder = house.folder / "data/toy"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(f"in the beginning {name}")


def test_verified_data_is_committed(pinned: House) -> None:
    before = (pinned.folder / "data.dvc").read_bytes()
    assert "not in cache" in dvc(pinned, "status", "data.dvc")
    done = pin(pinned)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert done.stdout.splitlines()[0].endswith("  data/toy/train.tok")
    assert "up to date" in dvc(pinned, "status", "data.dvc")
    assert (pinned.folder / "data.dvc").read_bytes() == before
    assert pin(pinned).stdout == done.stdout


def test_two_at_once(pinned: House) -> None:
    module = "workflow.scripts.pin_data"
    command = [sys.executable, "-m", module, *(f"data/toy/{n}" for n in FILES)]
    jobs = [
        subprocess.Popen(
            command, cwd=pinned.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    output = [job.communicate() for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], output
    assert "up to date" in dvc(pinned, "status", "data.dvc")


@pytest.mark.parametrize("change", ["content", "less"])
def test_other_data_is_refused(pinned: House, change: str) -> None:
    before = (pinned.folder / "data.dvc").read_bytes()
    folder = pinned.folder / "data/toy"
    if change == "content":
        (folder / "train.tok").write_text("in the end")
    else:
        (folder / "valid.tok").unlink()
    done = pin(pinned)
    assert done.returncode != 0
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("tcsm: error: data: md5 is ")
    assert "data.dvc pins" in done.stderr
    assert "delete" not in done.stderr
    assert (pinned.folder / "data.dvc").read_bytes() == before
    assert not (pinned.folder / ".dvc/cache/files").exists()


def test_files_of_others_are_named_and_kept(pinned: House) -> None:
    (pinned.folder / "data/mine").mkdir()
    (pinned.folder / "data/mine/more.tok").write_text("")
    done = pin(pinned)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "data/mine/more.tok" in done.stderr
    assert "train.tok" not in done.stderr
    assert "data.root=" in done.stderr
    assert "delete" not in done.stderr


def test_litter_is_ignored_here_and_by_dvc(pinned: House) -> None:
    before = (pinned.folder / "data.dvc").read_bytes()
    for name in (".DS_Store", "toy/.nfs0012", "._train.tok", "toy/.prepare.lock", "Thumbs.db"):
        (pinned.folder / "data" / name).write_text("litter")
    done = pin(pinned)
    assert done.returncode == 0, done.stderr
    assert "up to date" in dvc(pinned, "status", "data.dvc")
    assert (pinned.folder / "data.dvc").read_bytes() == before


def test_a_path_with_braces_is_no_failure_and_says_how_dvc_can_hold_the_data(
    pinned: House,
) -> None:
    cache = str(pinned.folder / "a {x} cache")
    dvc(pinned, "cache", "dir", "--local", cache)
    done = pin(pinned)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
    assert "not in DVC's cache" in done.stderr


def test_outside_a_git_checkout(pinned: House) -> None:
    shutil.rmtree(pinned.folder / ".git")
    done = pin(pinned)
    assert done.returncode == 0
    assert "not a git checkout" in done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_data_dvc_holds_the_default_corpus_alone() -> None:
    text = (TOP / "data.dvc").read_text("utf-8")
    assert "nfiles: 3" in text
    assert "path: data\n" in text
