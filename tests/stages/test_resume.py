"""Killed at any moment and started again, a run ends with the bytes of an unbroken one."""

import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.held import PATIENCE, Gate, plugged, until
from tests.stages.house import House

pytestmark = pytest.mark.slow

SLOW = ("experiment=kjv/score", "trainer.steps=40", "trainer.log_every=1", "validation.every=20")


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def unbroken(file_house: House) -> Path:
    """The same in a process that nobody disturbs; how often it saves decides nothing."""
    return file_house.good("train", *SLOW, name="unbroken")


def assert_same(run: Path, unbroken: Path) -> None:
    for name in ("weights.safetensors", "metrics.jsonl", "train.json"):
        assert (run / name).read_bytes() == (unbroken / name).read_bytes(), name
    assert lines(run / "telemetry.jsonl") == 40


def test_sigkill_at_any_moment(house: House, gate: Gate, unbroken: Path) -> None:
    """With a checkpoint a step, most of the time of a step goes into writing it."""
    chance = random.Random(1)
    scratch, out = house.root / "scratch/killed", house.root / "killed"
    for every, step in ((7, chance.randrange(8, 20)), (1, chance.randrange(22, 32))):
        gate.close(step + chance.randrange(5))
        often = f"trainer.checkpoint_every={every}"
        with house.started("train", *SLOW, often, *gate.overrides, name="killed") as process:
            until(lambda least=step: lines(scratch / "metrics.jsonl") >= least, process)
            kill(process)
        assert not out.exists()
    gate.open()
    house.good("train", *SLOW, *gate.overrides, name="killed")
    assert_same(out, unbroken)
    assert not scratch.exists()
    assert not house.unfinished()


def test_sigkill_between_weights_and_record(house: House, unbroken: Path) -> None:
    out = house.root / "killed"
    pipe = plugged(out / "train.json.tmp")
    with pipe, house.started("train", *SLOW, name="killed") as process:
        until((out / "config.yaml").exists, process)
        kill(process)
    assert (out / "weights.safetensors").exists()
    assert not (out / "train.json").exists()
    done = house.run("train", *SLOW, name="killed")
    state = house.root / "scratch/killed/state.safetensors"
    assert (done.code, len(done.err)) == (0, 1)
    assert all(word in done.err[0] for word in (str(state), "step 40"))
    assert_same(out, unbroken)
    assert not house.unfinished()


def test_a_stopped_run_goes_on_where_it_was(house: House, gate: Gate, unbroken: Path) -> None:
    """The machine is asked for: the state is saved after the step, and 75 says try again."""
    overrides = (*SLOW, "trainer.checkpoint_every=40")
    scratch = house.root / "scratch/killed"
    for done, number in ((6, signal.SIGTERM), (26, signal.SIGINT)):
        gate.close(done - 1)
        with house.started("train", *overrides, *gate.overrides, name="killed") as process:
            until(gate.waiting, process)
            process.send_signal(number)
            words = process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 75
        assert f"stopped after step {done}; state saved in" in words
        assert lines(scratch / "metrics.jsonl") == done
        gate.open()
    again = house.run("train", *overrides, *gate.overrides, name="killed")
    (line,) = again.err
    assert again.code == 0
    assert all(word in line for word in (str(scratch / "state.safetensors"), "step 26"))
    assert_same(house.root / "killed", unbroken)


def test_a_training_removes_its_own_files_alone(house: House) -> None:
    scratch = house.root / "scratch/run"
    scratch.mkdir(parents=True)
    (scratch / "thesis.txt").write_text("mine")
    house.good("train", *SLOW, "trainer.steps=4")
    assert house.files("scratch") == {"scratch/run/thesis.txt": b"mine"}


def test_a_training_keeps_its_state_elsewhere_than_its_results(house: House) -> None:
    out = house.root / "run"
    done = house.run("train", *SLOW, f"scratch={out}/../run")
    assert done.code == 2
    (line,) = done.err
    assert all(word in line for word in ("scratch: ", "out"))


def test_weights_of_another_training_are_refused(house: House) -> None:
    """Whole and of the same architecture, but not those that the record beside them tells of."""
    ours, peer = (
        house.good("train", *SLOW, "trainer.steps=4", f"seed={seed}", name=str(seed))
        for seed in (0, 1)
    )
    weights = ours / "weights.safetensors"
    weights.write_bytes((peer / weights.name).read_bytes())
    done = house.run("evaluate", *SLOW, name="0")
    assert (done.code, len(done.err)) == (2, 1)
    assert all(word in done.err[0] for word in (str(weights), "train.json", "train again"))
