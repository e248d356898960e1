"""A second clone: what it pulls is done there, for DVC and for Snakemake."""

import shutil
import signal
import stat
import sys
from pathlib import Path

from tests.dvc.house import CLEAN, KJV_SCORE, SCORE, Checkout

LONGER = ("params/experiment/kjv/score.yaml", "experiment:", "trainer: {steps: 5}\nexperiment:")
# DVC, killed when it has taken in some files of the cache.
KILLED = """
import os, signal, sys
from dvc.cli import main

def watch(event, arguments):
    if event == "os.chmod" and "/.dvc/cache/files/" in str(arguments[0]):
        taken.append(arguments[0])
        if len(taken) == 10:
            os.kill(os.getpid(), signal.SIGKILL)

taken = []
sys.addaudithook(watch)
sys.exit(main(["pull"]))
"""


def cached(house: Checkout) -> dict[str, bytes]:
    """Every object of the cache."""
    files = (house.folder / ".dvc/cache/files").rglob("*")
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def test_after_a_pull_there_is_nothing_to_do(finished: Checkout, second: Checkout) -> None:
    done = second.make("pull")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (second.folder / KJV_SCORE).read_bytes() == (finished.folder / KJV_SCORE).read_bytes()
    assert (second.folder / "data/toy/train.tok").exists()
    assert not [*(second.folder / "results").rglob("*telemetry*")]
    assert second.plan() == {}
    assert "Running stage" not in second.dvc("repro")
    assert second.dvc("status").strip() == CLEAN
    assert second.git("status", "--porcelain") == ""
    second.edit(*LONGER)
    assert second.plan() == {
        "train_all_seeds": 1,
        "evaluate_kjv": 1,
        "sample_kjv": 1,
        "report": 1,
    }


def test_another_code_than_the_lock_is_not_taken_over(second: Checkout) -> None:
    second.edit(*SCORE)
    done = second.make("pull")
    assert done.returncode != 0
    assert "not what dvc.lock is of" in done.stdout
    assert not (second.folder / ".snakemake/metadata").exists()


def test_linked_results_are_replaced_and_never_written_through(second: Checkout) -> None:
    second.dvc("config", "--local", "cache.type", "hardlink")
    assert second.make("pull").returncode == 0
    pulled = second.folder / KJV_SCORE
    assert pulled.stat().st_nlink > 1
    assert not pulled.stat().st_mode & stat.S_IWUSR
    second.dvc("config", "--local", "cache.type", "symlink")
    before = cached(second)
    second.edit(*SCORE)
    second.dvc("repro", "pretrain")
    assert pulled.read_text() == "9.0"
    assert pulled.is_symlink()
    after = cached(second)
    assert {name: after[name] for name in before} == before


def test_an_interrupted_pull_is_finished_by_the_next(second: Checkout) -> None:
    done = second.run(sys.executable, "-c", KILLED)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (second.folder / KJV_SCORE).exists()
    assert second.make("pull").returncode == 0
    assert second.dvc("status").strip() == CLEAN


def test_a_damaged_file_is_not_pulled(second: Checkout, pushed: Path, tmp_path: Path) -> None:
    remote = Path(shutil.copytree(pushed, tmp_path / "remote"))
    (damaged,) = (
        file for file in remote.rglob("*") if file.is_file() and file.read_text() == "6.0"
    )
    damaged.chmod(0o644)
    damaged.write_text("7.0")
    second.dvc("remote", "modify", "--local", "shelf", "url", str(remote))
    assert second.make("pull").returncode != 0
    assert not (second.folder / KJV_SCORE).exists()
    assert b"7.0" not in cached(second).values()
    damaged.write_text("6.0")
    second.dvc("pull")
    assert (second.folder / KJV_SCORE).read_text() == "6.0"


def test_without_a_remote_one_line_says_so(finished: Checkout, tmp_path: Path) -> None:
    done = finished.clone(tmp_path / "clone").make("pull")
    assert done.returncode != 0
    assert done.stdout == "No default remote set: docs/reproduce.md\n"
