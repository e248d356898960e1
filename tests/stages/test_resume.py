"""Killed at any moment and started again, a run ends with the bytes of an unbroken one."""

import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.held import PATIENCE, Gate, plugged, until
from tests.stages.house import House

SLOW = ("experiment=kjv/score", "trainer.steps=60", "trainer.log_every=1", "validation.every=20")


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
def test_sigkill_at_any_moment(own_house: House, gate: Gate, every: int) -> None:
    """With a checkpoint a step, most of the time of a step goes into writing it."""
    chance = random.Random(every)
    overrides = (*SLOW, f"trainer.checkpoint_every={every}")
    unbroken = own_house.good("train", *overrides, name="unbroken")
    scratch, out = own_house.root / "scratch/killed", own_house.root / "killed"
    for step in (chance.randrange(2, 25), chance.randrange(30, 55)):
        gate.close(step + chance.randrange(5))
        with own_house.started("train", *overrides, *gate.overrides, name="killed") as process:
            until(lambda least=step: lines(scratch / "metrics.jsonl") >= least, process)
            kill(process)
        assert not out.exists()
    gate.open()
    own_house.good("train", *overrides, *gate.overrides, name="killed")
    assert_same(out, unbroken)
    assert not scratch.exists()
    assert not own_house.unfinished()


def test_sigkill_between_weights_and_record(own_house: House) -> None:
    unbroken = own_house.good("train", *SLOW, name="unbroken")
    out = own_house.root / "killed"
    pipe = plugged(out / "train.json.tmp")
    with pipe, own_house.started("train", *SLOW, name="killed") as process:
        until((out / "config.yaml").exists, process)
        kill(process)
    assert (out / "weights.safetensors").exists()
    assert not (out / "train.json").exists()
    done = own_house.run("train", *SLOW, name="killed")
    state = own_house.root / "scratch/killed/state.safetensors"
    assert (done.code, done.err) == (0, [f"tcsm: {state}: training goes on after step 60"])
    assert_same(out, unbroken)
    assert not own_house.unfinished()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stopped_run_goes_on_where_it_was(
    own_house: House, gate: Gate, number: signal.Signals
) -> None:
    """The machine is asked for: the state is saved after the step, and 75 says try again."""
    overrides = (*SLOW, "trainer.checkpoint_every=60")
    unbroken = own_house.good("train", *overrides, name="unbroken")
    gate.close(5)
    with own_house.started("train", *overrides, *gate.overrides, name="killed") as process:
        until(gate.waiting, process)
        process.send_signal(number)
        words = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 75
    assert "tcsm: stopped after step 6; state saved in" in words
    scratch = own_house.root / "scratch/killed"
    assert lines(scratch / "metrics.jsonl") == 6
    done = own_house.run("train", *overrides, *gate.overrides, name="killed")
    state = scratch / "state.safetensors"
    assert (done.code, done.err) == (0, [f"tcsm: {state}: training goes on after step 6"])
    assert_same(own_house.root / "killed", unbroken)


def test_a_training_removes_its_own_files_alone(own_house: House) -> None:
    scratch = own_house.root / "scratch/run"
    scratch.mkdir(parents=True)
    (scratch / "thesis.txt").write_text("mine")
    own_house.good("train", *SLOW, "trainer.steps=4")
    assert own_house.files("scratch") == {"scratch/run/thesis.txt": b"mine"}


def test_a_training_keeps_its_state_elsewhere_than_its_results(own_house: House) -> None:
    out = own_house.root / "run"
    done = own_house.run("train", *SLOW, f"scratch={out}/../run")
    assert done.code == 2
    assert done.err == [
        "tcsm: error: scratch: must be another folder than out, whose files it would take along"
    ]


def test_weights_of_another_training_are_refused(own_house: House) -> None:
    """Whole and of the same architecture, but not those that the record beside them tells of."""
    ours, theirs = (
        own_house.good("train", *SLOW, "trainer.steps=4", f"seed={seed}", name=str(seed))
        for seed in (0, 1)
    )
    weights = ours / "weights.safetensors"
    weights.write_bytes((theirs / weights.name).read_bytes())
    done = own_house.run("evaluate", *SLOW, name="0")
    assert (done.code, done.err) == (
        2,
        [f"tcsm: error: {weights}: train.json beside it is of other weights; train again"],
    )
