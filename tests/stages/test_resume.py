"""Killed at any moment and started again, a run ends with the bytes of an unbroken one."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.held import Gate, plugged, until
from tests.stages.house import House

SLOW = ("experiment=kjv/score", "trainer.steps=60", "trainer.log_every=1", "validation.every=20")
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    monkeypatch.setenv("TCSM_TARGETS", "tests")
    return Gate(tmp_path / "gate")


@pytest.fixture
def start(own_house: House, gate: Gate) -> Iterator[Start]:
    """Starts a training of its own, which does not outlive the test."""
    started: list[subprocess.Popen[str]] = []

    def one(*overrides: str) -> "subprocess.Popen[str]":
        argv = [sys.executable, "-m", "tcsm", "train", *own_house.overrides("killed"), *overrides]
        process = subprocess.Popen(
            argv,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield one
    for process in started:
        with process:
            process.kill()


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def assert_same(run: Path, unbroken: Path) -> None:
    for name in ("weights.safetensors", "metrics.jsonl", "train.json"):
        assert (run / name).read_bytes() == (unbroken / name).read_bytes(), name
    assert lines(run / "telemetry.jsonl") == 60


@pytest.mark.parametrize("every", [1, 7])
def test_sigkill_at_any_moment(own_house: House, gate: Gate, start: Start, every: int) -> None:
    """With a checkpoint a step, most of the time of a step goes into writing it."""
    chance = random.Random(every)
    overrides = (*SLOW, f"trainer.checkpoint_every={every}")
    unbroken = own_house.good("train", *overrides, name="unbroken")
    scratch, out = own_house.root / "scratch/killed", own_house.root / "killed"
    for step in (chance.randrange(2, 25), chance.randrange(30, 55)):
        gate.close(step + chance.randrange(5))
        process = start(*overrides, *gate.overrides)
        until(lambda least=step: lines(scratch / "metrics.jsonl") >= least, process)
        kill(process)
        assert not out.exists()
    gate.open()
    own_house.good("train", *overrides, *gate.overrides, name="killed")
    assert_same(out, unbroken)
    assert not scratch.exists()
    assert not own_house.unfinished()


def test_sigkill_between_weights_and_record(own_house: House, gate: Gate, start: Start) -> None:
    unbroken = own_house.good("train", *SLOW, name="unbroken")
    out = own_house.root / "killed"
    with plugged(out / "train.json.tmp"):
        process = start(*SLOW)
        until((out / "config.yaml").exists, process)
        kill(process)
    assert (out / "weights.safetensors").exists()
    assert not (out / "train.json").exists()
    done = own_house.run("train", *SLOW, name="killed")
    state = own_house.root / "scratch/killed/state.safetensors"
    assert (done.code, done.err) == (0, [f"tcsm: {state}: training goes on after step 60"])
    assert_same(out, unbroken)
    assert not own_house.unfinished()


def test_a_stopped_run_goes_on_where_it_was(own_house: House, gate: Gate, start: Start) -> None:
    """SIGTERM asks for the machine: the state is saved after the step, and 75 says try again."""
    overrides = (*SLOW, "trainer.checkpoint_every=60")
    unbroken = own_house.good("train", *overrides, name="unbroken")
    gate.close(5)
    process = start(*overrides, *gate.overrides)
    until(gate.waiting, process)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 75
    scratch = own_house.root / "scratch/killed"
    assert lines(scratch / "metrics.jsonl") == 6
    done = own_house.run("train", *overrides, *gate.overrides, name="killed")
    state = scratch / "state.safetensors"
    assert (done.code, done.err) == (0, [f"tcsm: {state}: training goes on after step 6"])
    assert_same(own_house.root / "killed", unbroken)
