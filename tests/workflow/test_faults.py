"""Two at once, a failure after an edit, and clocks that jump."""

import os
import subprocess
import sys
import time

import pytest

from tests.chaos.house import long_form
from tests.held import PATIENCE, until
from tests.workflow.house import House

pytestmark = pytest.mark.slow
WAIT = f"""    import pathlib, time
    end = time.monotonic() + {PATIENCE}
    while not pathlib.Path("go").exists() and time.monotonic() < end:
        time.sleep(0.05)
"""
YEAR = 365 * 86400


def test_a_second_snakemake_is_refused_and_the_first_unharmed(house: House) -> None:
    house.edit("tcsm/stages/train.py", "    objective =", f"{WAIT}    objective =")
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    first = subprocess.Popen(command, cwd=house.folder, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: list(house.folder.glob("results/.scratch/**/.train.lock")), first)
        second = house.snakemake()
    finally:
        (house.folder / "go").touch()
        words = first.communicate()[1]
    assert first.returncode == 0, words
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout + second.stderr
    assert "other instances of snakemake" in " ".join((second.stdout + second.stderr).split())
    assert house.plan() == {}


def test_what_failed_after_an_edit_is_made_again(house: House) -> None:
    """Snakemake removes the outputs of a failed job; the page of the former run is still there."""
    fail = "1 // (1 - __import__('pathlib').Path('fail').exists())"
    house.edit(
        "tcsm/objectives/score_matching.py", "return self.weight", f"return {fail} * self.weight"
    )
    (house.folder / "fail").touch()
    assert house.snakemake().returncode != 0
    (house.folder / "fail").unlink()
    assert (house.folder / "reports/index.html").exists()
    assert house.plan() == {"train": 2, "evaluate": 1, "sample": 1, "report": 1}
    (house.folder / "data/toy/train.tok").unlink()
    assert house.plan()["prepare"] == 1


def touch(house: House, pattern: str, moment: float) -> None:
    files = [path for path in house.folder.rglob(pattern) if path.is_file()]
    assert files
    for path in files:
        os.utime(path, (moment, moment))


@long_form
def test_files_of_another_clock_rerun_nothing(house: House) -> None:
    now = time.time()
    for inputs, outputs in ((now + YEAR, now - YEAR), (now - YEAR, now + YEAR)):
        for name in ("*.tok", "weights.safetensors", "train.json"):
            touch(house, name, inputs)
        for name in ("evaluate.json", "index.html"):
            touch(house, name, outputs)
        assert house.plan() == {}


@long_form
def test_files_of_the_future_hide_no_edit(house: House) -> None:
    """Snakemake makes nothing from files that are newer than now, and names the first of them."""
    touch(house, "results/**/*", time.time() + YEAR)
    house.edit("params/objective/score.yaml", "2.0", "3.0")
    done = house.snakemake()
    assert done.returncode != 0
    assert "than input results/manifests/data/toy.sha256" in done.stderr
    assert "clock skew" in done.stderr
    touch(house, "results/**/*", time.time())
    done = house.snakemake()
    assert done.returncode == 0, done.stderr
    run = house.folder / "results/default/toy/score/seed-1"
    assert (run / "weights.safetensors").read_text() == "9.0"
    assert house.plan() == {}
