import json
import random
import signal
from dataclasses import replace
from unittest import mock

import pytest
import torch

from tcsm.training.interruption import PREEMPTED
from tcsm.training.optim import Constant
from tcsm.training.resume import CheckpointManager
from tcsm.training.state import TrainState
from tests.held import PATIENCE
from tests.training import toy


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("unbroken")
    toy.run(out / "scratch", out / "out")
    assert not (out / "scratch").exists()
    return out / "out"


def assert_same_run(out, unbroken):
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (out / name).read_bytes() == (unbroken / name).read_bytes()
    steps = [
        [json.loads(line)["step"] for line in (folder / "telemetry.jsonl").open()]
        for folder in (out, unbroken)
    ]
    assert steps[0] == steps[1] == [*range(3, 40, 3), 40]


def child(processes, target, *args):
    process = processes.Process(target=target, args=args)
    process.start()
    process.join(PATIENCE)
    return process.exitcode


@pytest.mark.slow
def test_killed_in_any_step_it_ends_the_same(processes, tmp_path, unbroken):
    chance = random.Random(0)
    steps = sorted(chance.sample(range(1, 41), 6))
    for step in [*steps, 40]:  # each life dies further on, some before the next checkpoint
        args = (processes, toy.run_killed_in_step, tmp_path / "scratch", tmp_path / "out", step)
        assert child(*args) == -signal.SIGKILL
    assert child(processes, toy.run, tmp_path / "scratch", tmp_path / "out") == 0
    assert_same_run(tmp_path / "out", unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("save", [1, 3])
def test_killed_in_a_save_it_ends_the_same(processes, tmp_path, unbroken, save):
    args = (tmp_path / "scratch", tmp_path / "out")
    assert child(processes, toy.run_killed_in_save, *args, save) == -signal.SIGKILL
    assert child(processes, toy.run, *args) == 0
    assert_same_run(tmp_path / "out", unbroken)


@pytest.mark.slow
def test_killed_from_outside_at_random_moments_it_ends_the_same(processes, tmp_path, unbroken):
    """Each life may be longer than the last, so that one is long enough however slow it is."""
    chance, patience, code = random.Random(1), 0.1, None
    while code != 0:
        process = processes.Process(target=toy.run, args=(tmp_path / "scratch", tmp_path / "out"))
        process.start()
        process.join(chance.uniform(0, patience))
        process.kill()
        process.join()
        code, patience = process.exitcode, 1.1 * patience
        assert code in (0, -signal.SIGKILL)
    assert_same_run(tmp_path / "out", unbroken)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP])
def test_a_preempted_run_saves_its_step_and_exits_with_75(processes, tmp_path, unbroken, number):
    args = (tmp_path / "scratch", tmp_path / "out")
    assert child(processes, toy.run_killed_in_step, *args, 17, number) == PREEMPTED
    seen = []
    toy.run(*args, before=lambda state: seen.append(state.step))
    assert seen == [17]
    assert_same_run(tmp_path / "out", unbroken)


def killed_after(tmp_path, calls):
    """A scratch folder whose run ended in an exception after so many micro-batches."""

    def failing(net, batch):
        killed_after.left -= 1
        if killed_after.left < 0:
            raise KeyboardInterrupt
        return toy.loss(net, batch)

    killed_after.left = calls
    with pytest.raises(KeyboardInterrupt):
        toy.run(tmp_path / "scratch", tmp_path / "out", loss=failing)
    return tmp_path / "scratch"


def test_half_a_line_and_later_lines_are_cut(tmp_path, unbroken):
    scratch = killed_after(tmp_path, 2 * 25)
    with (scratch / "metrics.jsonl").open("a") as journal:
        journal.write('{"step": 27, "los')
    toy.run(scratch, tmp_path / "out")
    assert_same_run(tmp_path / "out", unbroken)


def begun(scratch, out, run, optim=None):
    """The step that a run begins after, in a folder that others have used."""
    seen = []

    def stop(state):
        seen.append(state.step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.run(scratch, out, before=stop, run=run, optim=optim)
    return seen[0]


def test_the_state_of_another_run_is_set_aside_and_comes_back(tmp_path, unbroken, capsys):
    scratch = killed_after(tmp_path, 2 * 25)
    kept = {path.name: path.read_bytes() for path in scratch.iterdir()}
    other = replace(toy.THIS, values={**toy.THIS.values, "trainer.learning_rate": 0.5})
    assert begun(scratch, tmp_path / "out", other) == 0
    place = scratch / f"set-aside-{toy.THIS.digest[:8]}"
    assert f"(trainer.learning_rate was not there, now 0.5); set aside in {place}; tr" in (
        capsys.readouterr().err
    )
    assert {path.name: path.read_bytes() for path in place.iterdir()} == kept
    state = TrainState(toy.make_net(), toy.make_optim())
    CheckpointManager(scratch, other).save(state)
    seen = []
    toy.run(scratch, tmp_path / "out", before=lambda state: seen.append(state.step))
    assert seen == [21]
    assert_same_run(tmp_path / "out", unbroken)


def test_more_steps_go_on_with_the_optimizer(tmp_path, capsys):
    """With a constant learning rate they end as if they had been wanted from the start."""
    long, short = (
        toy.make_optim(accumulate=2, decay=Constant(), steps=steps, log_every=1)
        for steps in (40, 20)
    )
    few = replace(toy.THIS, values={**toy.THIS.values, "trainer.steps": 20})
    patch = mock.patch.object(toy, "save_weights", side_effect=KeyboardInterrupt)
    with patch, pytest.raises(KeyboardInterrupt):
        toy.run(tmp_path / "scratch", tmp_path / "out", optim=short, run=few)
    resumed = toy.run(tmp_path / "scratch", tmp_path / "out", optim=long)
    words = capsys.readouterr().err
    assert "after step 20 with its weights, optimizer and averages: trainer.steps was 20" in words
    assert "learning rate" not in words
    toy.run(tmp_path / "scratch", tmp_path / "whole", optim=long)
    for name in ("weights.safetensors", "metrics.jsonl"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert resumed.step == 40


def test_a_schedule_that_depends_on_the_steps_is_said(tmp_path, capsys):
    scratch = killed_after(tmp_path, 2 * 25)
    more = replace(toy.THIS, values={**toy.THIS.values, "trainer.steps": 50})
    optim = toy.make_optim(accumulate=2, steps=50)
    assert begun(scratch, tmp_path / "out", more, optim) == 21
    words = capsys.readouterr().err.splitlines()
    assert len(words) == 1
    assert "trainer.steps was 40, now 50; the learning rate follows the schedule of 50" in words[0]


def test_fewer_steps_than_were_taken_are_another_run(tmp_path, capsys):
    scratch = killed_after(tmp_path, 2 * 25)
    fewer = replace(toy.THIS, values={**toy.THIS.values, "trainer.steps": 10})
    optim = toy.make_optim(accumulate=2, steps=10)
    assert begun(scratch, tmp_path / "out", fewer, optim) == 0
    assert "(trainer.steps was 40, now 10); set aside in" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["state", "journal", "line"])
def test_a_damaged_scratch_is_said_and_started_anew(tmp_path, unbroken, capsys, damage):
    scratch = killed_after(tmp_path, 2 * 25)
    if damage == "state":
        raw = (scratch / "state.safetensors").read_bytes()
        (scratch / "state.safetensors").write_bytes(raw[:-9])
    elif damage == "journal":
        (scratch / "metrics.jsonl").unlink()
    else:
        rows = (scratch / "metrics.jsonl").read_text()
        (scratch / "metrics.jsonl").write_text(rows.replace('"step": 3', '"step": 4'))
    toy.run(scratch, tmp_path / "out")
    assert f"set aside in {scratch}/set-aside-damaged; training starts from step 0" in (
        capsys.readouterr().err
    )
    assert_same_run(tmp_path / "out", unbroken)


def test_a_finished_state_needs_no_further_step(tmp_path, unbroken):
    """Killed after the last save, before the results were copied."""
    patch = mock.patch.object(toy, "save_weights", side_effect=KeyboardInterrupt)
    with patch, pytest.raises(KeyboardInterrupt):
        toy.run(tmp_path / "scratch", tmp_path / "out")
    unused = mock.Mock()
    toy.run(tmp_path / "scratch", tmp_path / "out", loss=unused)
    unused.assert_not_called()
    assert_same_run(tmp_path / "out", unbroken)


def test_time_adds_up_over_restarts(tmp_path):
    scratch = killed_after(tmp_path, 2 * 25)
    before = [json.loads(line) for line in (scratch / "telemetry.jsonl").open()]
    state = toy.run(scratch, tmp_path / "out")
    rows = [json.loads(line) for line in (tmp_path / "out" / "telemetry.jsonl").open()]
    assert rows[:7] == before[:7]
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert state.elapsed.seconds >= rows[-1]["seconds"] > before[6]["seconds"]


def test_only_the_main_process_writes(tmp_path):
    state = TrainState(toy.make_net(), toy.make_optim())
    other = CheckpointManager(tmp_path / "scratch", toy.THIS, main=False)
    other.resume(state)
    other.save(state)
    assert not list((tmp_path / "scratch").iterdir())


def test_a_generator_is_not_needed(unbroken, tmp_path):
    """Dropout depends on (seed, step, micro-batch) alone, whatever was drawn before."""
    torch.rand(17)
    toy.run(tmp_path / "scratch", tmp_path / "out", before=lambda state: torch.rand(5))
    assert_same_run(tmp_path / "out", unbroken)
