"""Killed at any moment and started again, a run ends with the bytes of an unbroken one."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.stages.house import House

SLOW = ("experiment=kjv/score", "trainer.steps=60", "trainer.log_every=1", "validation.every=20")


def start(house: House, *overrides: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tcsm", "train", *house.overrides("killed"), *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        argv,
        cwd=Path(__file__).parents[2],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_when(process: subprocess.Popen[bytes], ready) -> None:
    """SIGKILL as soon as something holds; the process must still have been at work."""
    until = time.monotonic() + 120
    while not ready():
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < until
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert process.stderr is not None
    process.stderr.close()


@pytest.mark.parametrize("every", [1, 7])
def test_sigkill_at_any_moment(house, every):
    """With a checkpoint a step, most of the time of a step goes into writing it."""
    chance = random.Random(every)
    overrides = (*SLOW, f"trainer.checkpoint_every={every}")
    unbroken = house.good("train", *overrides, name=f"unbroken-{every}")
    scratch, out = house.root / "scratch/killed", house.root / "killed"
    for step in (chance.randrange(2, 25), chance.randrange(30, 55)):
        process = start(house, *overrides)
        kill_when(process, lambda least=step: lines(scratch / "metrics.jsonl") >= least)
        assert not out.exists()
    process = start(house, *overrides)
    kill_when(process, (out / "weights.safetensors").exists)
    house.good("train", *overrides, name="killed")
    for name in ("weights.safetensors", "metrics.jsonl", "train.json"):
        assert (out / name).read_bytes() == (unbroken / name).read_bytes(), name
    assert lines(out / "telemetry.jsonl") == 60
    assert not scratch.exists()
    assert not house.unfinished()
    for path in out.iterdir():
        path.unlink()
    out.rmdir()


def test_a_stopped_run_goes_on_where_it_was(house):
    """SIGTERM asks for the machine: the state is saved after the step, and 75 says try again."""
    overrides = (*SLOW, "trainer.checkpoint_every=60")
    process = start(house, *overrides)
    scratch = house.root / "scratch/killed"
    while lines(scratch / "metrics.jsonl") < 5:
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 75
    steps = lines(scratch / "metrics.jsonl")
    done = house.run("train", *overrides, name="killed")
    assert done.code == 0
    assert done.err == [f"tcsm: {scratch}/state.safetensors: training goes on after step {steps}"]
