"""A second clone: what it pulls is done there, for DVC and for Snakemake."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.dvc.house import Checkout
from tests.held import plugged, until

LONGER = ("params/experiment/kjv/score.yaml", "experiment:", "trainer: {steps: 5}\nexperiment:")
CLEAN = "Data and pipelines are up to date."
WEIGHTS = "results/default/kjv/score/seed-0/weights.safetensors"


def test_after_a_pull_there_is_nothing_to_do(finished: Checkout, second: Checkout) -> None:
    done = second.make("pull")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (second.folder / WEIGHTS).read_bytes() == (finished.folder / WEIGHTS).read_bytes()
    assert (second.folder / "data/toy/train.tok").exists()
    assert second.plan() == {}
    assert "Running stage" not in second.dvc("repro")
    assert second.dvc("status").strip() == CLEAN
    assert second.git("status", "--porcelain") == ""
    second.edit(*LONGER)
    assert second.plan() == {"train": 1, "evaluate": 1, "sample": 1, "report": 1}


def test_an_interrupted_pull_is_finished_by_the_next(
    finished: Checkout, second: Checkout, pushed: Path, tmp_path: Path
) -> None:
    cache = second.folder / ".dvc/cache/files"
    shelf = Path(shutil.copytree(pushed, tmp_path / "shelf"))
    second.dvc("remote", "modify", "--local", "shelf", "url", str(shelf))
    md5 = hashlib.md5((finished.folder / WEIGHTS).read_bytes()).hexdigest()
    with plugged(shelf / "files/md5" / md5[:2] / md5[2:]):
        running = subprocess.Popen(
            [sys.executable, "-m", "dvc", "pull"],
            cwd=second.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until(lambda: [*cache.rglob("*")], running)
        finally:
            running.kill()
            running.wait()
    assert not (second.folder / WEIGHTS).exists()
    assert second.make("pull").returncode == 0
    assert second.dvc("status").strip() == CLEAN
    assert second.plan() == {}
