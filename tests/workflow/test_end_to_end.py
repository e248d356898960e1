"""The real workflow on a corpus of its own: text → report, kill, rerun, and what an edit reruns.

A corpus needs one params file, a variant one more: this test adds both to a copy of the checkout.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.held import plugged, until
from tests.stages.house import make_text
from tests.workflow.house import TOP, House

pytestmark = pytest.mark.slow
ARM = """# @package _global_
defaults:
  - override /corpus: tiny
{choices}
experiment: tiny/{name}
{rest}"""
AR = [
    "override /net: causal",
    "override /model: autoregressive",
    "override /objective: next_token",
    "override /bound: exact",
    "override /sampler: next_token",
]
SCALE = """name: tiny
gpu: 0
mem_mb: 1000
runtime: 5
pretrain: [tiny/ar, tiny/score]
seeds: [0, 1]
judge: tiny/ar
budget: {pretrain: 60, ablations: 0, post_training: 0}
length: 16
batch: 8
steps: 12
warmup: 2
log_every: 3
checkpoint_every: 3
net: {dim: 16, depth: 1, heads: 2}
evaluation: {sequences: 8, draws: 2, batch: 8}
sampling: {count: 2, steps: [4]}
validation: {every: 6, sequences: 4, draws: 2}
collecting: {count: 4, steps: 2, batch: 4}
rewards: {count: 2, steps: 2}
"""

ALL = {"prepare": 1, "pin": 1, "train": 4, "evaluate": 2, "sample": 2, "report": 1}
AGAIN = {"train": 2, "evaluate": 1, "sample": 1, "report": 1}


def copy_checkout(folder: Path) -> House:
    """What a clone would hold, with a tiny corpus, two variants and a scale added."""
    for name in ("tcsm", "workflow", "params", "reports"):
        ignored = shutil.ignore_patterns("__pycache__", "smoke", "figures", "tables", "index.html")
        shutil.copytree(TOP / name, folder / name, ignore=ignored)
    shutil.copy(TOP / "Snakefile", folder)
    (folder / "my text.txt").write_text(make_text(0, words=1500))
    params = folder / "params"
    corpus = (params / "corpus/local.yaml").read_text()
    corpus = corpus.replace("path: ???", "path: my text.txt").replace("data/local", "data/tiny")
    (params / "corpus/tiny.yaml").write_text(corpus)
    (params / "scale/tiny.yaml").write_text(SCALE)
    (params / "experiment/tiny").mkdir()
    for name, choices in (("ar", AR), ("score", ["override /objective: score"])):
        lines = "\n".join(f"  - {choice}" for choice in choices)
        (params / f"experiment/tiny/{name}.yaml").write_text(
            ARM.format(choices=lines, name=name, rest="")
        )
    report = params / "report/default.yaml"
    listed = "  experiments:\n"
    text = report.read_text()
    assert text.count(listed) == 1
    report.write_text(text.replace(listed, f"{listed}    tiny/ar: AR\n    tiny/score: Score\n"))
    return House(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A checkout in which the report was made, after one kill in the middle."""
    house = copy_checkout(tmp_path_factory.mktemp("workflow") / "with space")
    _start_and_kill(house)
    done = house.snakemake("--config", "scale=tiny", "live=true", "--rerun-incomplete", "--nolock")
    assert done.returncode == 0, done.stdout + done.stderr
    return house


def _start_and_kill(house: House) -> None:
    """SIGKILL to the whole process group while a training saves its state; half a file is left."""
    partial = house.folder / "results/.scratch/tiny/tiny/ar/seed-0/state.safetensors.tmp"
    metrics = partial.with_name("metrics.jsonl")
    with plugged(partial):
        running = subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "scale=tiny"],
            cwd=house.folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            until(lambda: metrics.exists() and metrics.stat().st_size, running)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    partial.write_bytes(b"half")


def test_one_command_makes_the_report(finished: House) -> None:
    page = (finished.folder / "reports/tiny/index.html").read_text("utf-8")
    assert "AR" in page
    assert "Score" in page
    assert not re.search(r"<(script|link|img|iframe)\b[^>]*\b(src|href)=.?https?:", page)
    assert list((finished.folder / "reports/tiny/tables").glob("*.tex"))
    assert list((finished.folder / "reports/tiny/figures").glob("*.pdf"))


def test_a_live_page_shows_what_was_finished(finished: House) -> None:
    page = (finished.folder / "reports/tiny/live/index.html").read_text("utf-8")
    assert 'http-equiv="refresh"' in page


def test_nothing_temporary_is_left(finished: House) -> None:
    left = [
        path
        for pattern in ("*.partial", "*.part", "*.tmp")
        for path in finished.folder.rglob(pattern)
        if ".snakemake" not in path.parts
    ]
    assert left == []
    assert not list((finished.folder / "results/.scratch").rglob("state.safetensors"))


def test_a_comment_reruns_nothing_a_value_what_it_touches_and_another_text_all(
    finished: House, tmp_path: Path
) -> None:
    house = House(Path(shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)))
    house.edit("params/objective/score.yaml", "smoothing: 0.05", "smoothing: 0.05  # a thought")
    house.edit("tcsm/objectives/score_matching.py", "import math\n", "import math  # a thought\n")
    os.utime(house.folder / "my text.txt")
    assert house.plan("--config", "scale=tiny") == {}
    house.edit("params/objective/score.yaml", "smoothing: 0.05", "smoothing: 0.1")
    assert house.plan("--config", "scale=tiny") == AGAIN
    house.edit("my text.txt", " ", " and god said ")
    assert house.plan("--config", "scale=tiny") == ALL


def test_what_is_complete_in_a_group_is_not_trained_again(finished: House, tmp_path: Path) -> None:
    """If one job of a group fails, Snakemake removes what all have left, and sends all again."""
    house = House(Path(shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)))
    always = ("--config", "scale=tiny", "--nolock")  # the first start was killed
    as_in_a_group = (*always, "--until", "train", "--local-groupid", "group", "--no-hooks")
    place = "tiny/score/seed-1"
    run = house.folder / "results/tiny" / place
    log = house.folder / f"results/logs/tiny/train/{place}.log"
    state = house.folder / "results/.scratch/tiny" / place / "state.safetensors"
    weights = (run / "weights.safetensors").read_bytes()
    for resumed in (False, True):
        shutil.rmtree(run)
        done = house.snakemake(*as_in_a_group)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("training goes on after step 12" in log.read_text()) == resumed
        assert state.exists()
        assert weights == (run / "weights.safetensors").read_bytes()
    done = house.snakemake(*always, "--until", "sample")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not state.exists()
