"""A training that is started again: the same goes on, another one leaves what was there."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
import torch

from tcsm import config
from tcsm.training.checkpoint import load
from tests.held import PATIENCE
from tests.stages.house import LENGTH, Done, House, command

pytestmark = pytest.mark.slow

SCORE = ("experiment=kjv/score", "trainer.steps=4", "trainer.log_every=1", "validation.every=4")
MORE = "trainer.steps=8"


def train(house: House, *overrides: str, name: str = "run") -> Done:
    """A training whose state lies where it lies by default."""
    given = [part for part in house.overrides(name) if not part.startswith("scratch=")]
    return command("train", *given, *SCORE, *overrides)


@contextmanager
def stopped(after: int) -> Iterator[None]:
    """A scheduler asks for the machine in some step."""
    calls: list[int] = []

    @contextmanager
    def interruption():
        yield lambda: calls.append(1) or len(calls) == after

    with (
        mock.patch("tcsm.training.loop.interruption", interruption),
        pytest.raises(SystemExit, match="75"),
    ):
        yield


def rows(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def steps(folder: Path) -> list[float]:
    return [row["step"] for row in rows(folder)]


def place(folder: Path) -> Path:
    """The only folder of files that were set aside."""
    (actual,) = folder.glob("set-aside-*")
    return actual


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_state_lies_in_the_folder_of_the_run() -> None:
    for out in ("results/a", "/tmp/b"):
        assert config.compose([f"out={out}"]).scratch == f"{out}/.scratch"


def test_two_trials_have_a_state_each(house: House) -> None:
    with stopped(after=2):
        train(house, name="a")
    assert train(house, name="b").err == []
    state = house.root / "a/.scratch/state.safetensors"
    (line,) = train(house, name="a").err
    assert all(word in line for word in (str(state), "step 2"))
    for name in ("weights.safetensors", "metrics.jsonl"):
        first, second = (house.root / run / name for run in "ab")
        assert first.read_bytes() == second.read_bytes()


def test_a_finished_run_goes_on_to_more_steps(house: House) -> None:
    run = house.root / "run"
    assert train(house).code == 0
    house.good("evaluate", *SCORE)
    before = content(run)
    output = train(house, MORE).err
    assert len(output) == 2
    assert f"{run}: its training is another one (trainer.steps was 4, now 8)" in output[0]
    assert (
        "goes on after step 4 with its weights, optimizer and averages: trainer.steps" in output[1]
    )
    assert "learning rate" in output[1]
    assert content(place(run)) == before
    record = json.loads((run / "train.json").read_text())
    assert (record["steps"], record["changes"]) == (
        8,
        ["after step 4: trainer.steps was 4, now 8"],
    )
    assert steps(run) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert not (run / "evaluate.json").exists()
    again = train(house)  # the old command: its results come back
    assert again.code == 0
    assert "complete" in again.err[-1]
    assert content(run) == before
    assert "training goes on after step 4 with" in train(house, "trainer.steps=5").err[-1]
    assert steps(run) == [1, 2, 3, 4, 5]


def test_more_steps_without_the_optimizer_are_refused(house: House) -> None:
    run = house.root / "run"
    assert train(house).code == 0
    shutil.rmtree(run / ".scratch")
    before = content(run)
    done = train(house, MORE)
    assert done.code == 2
    assert len(done.err) == 1
    for word in ("trainer.steps", str(run), "4", "8", f"initial={run}", "out="):
        assert word in done.err[0]
    assert content(run) == before


def test_the_same_command_changes_nothing(house: House) -> None:
    """Nor where times and state are missing, as after a pull."""
    run = house.root / "run"
    assert train(house).code == 0
    house.good("evaluate", *SCORE)
    for kept in (True, False):
        if not kept:
            shutil.rmtree(run / ".scratch")
            for path in run.glob("*telemetry*"):
                path.unlink()
        before = content(run)
        done = train(house, "targets.limit_mib=7", "devices.patience=60")
        assert (done.code, len(done.err)) == (0, 1)
        assert f"{run}: complete" in done.err[0]
        assert content(run) == before


def test_a_damaged_result_is_made_again(house: House) -> None:
    run = house.root / "run"
    assert train(house).code == 0
    good = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(good[:-5])
    assert train(house).code == 0
    assert (run / "weights.safetensors").read_bytes() == good


def test_a_finished_run_is_not_replaced_by_another(house: House) -> None:
    run = house.root / "run"
    assert train(house).code == 0
    before = content(run)
    done = train(house, "seed=1", "trainer.learning_rate=0.01")
    assert done.code == 0
    assert "seed was 0, now 1" in done.err[0]
    assert "trainer.learning_rate was 0.003, now 0.01" in done.err[0]
    assert content(place(run)) == before
    assert content(run)["weights.safetensors"] != before["weights.safetensors"]


def test_keys_that_decide_nothing_do_not_count(house: House) -> None:
    with stopped(after=2):
        train(house)
    others = ("targets.limit_mib=7", "devices.patience=60", "trainer.checkpoint_every=3")
    (line,) = train(house, *others, "count_failures=true", "experiment=kjv/score").err
    assert "state.safetensors: training goes on after step 2" in line


def test_text_that_has_moved_is_the_same_text(house: House) -> None:
    with stopped(after=2):
        train(house)
    shutil.copytree(house.data, house.root / "moved")
    output = train(house, f"data.root={house.root}/moved").err
    assert output[0].endswith("training goes on after step 2")


def test_other_threads_go_on_and_are_said(house: House) -> None:
    with stopped(after=2):
        train(house)
    try:
        output = train(house, "threads=2").err
    finally:
        torch.set_num_threads(1)
    assert "goes on after step 2" in output[0]
    assert "threads was 1, now 2" in output[0]


def test_a_batch_in_other_parts_ends_as_if_it_had_not_stopped(house: House) -> None:
    with stopped(after=2):
        train(house)
    assert "trainer.accumulate was 1, now 2" in train(house, "trainer.accumulate=2").err[0]
    assert train(house, name="whole").code == 0
    first, second = (load(house.root / n / "weights.safetensors")[0] for n in ("run", "whole"))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_other_numbers_of_processes_go_on_with_the_optimizer(
    house: House, numbers: tuple[int, int]
) -> None:
    """Up to rounding: processes share the batch of one, so it is the same global batch."""
    constant = ("trainer.decay={_target_: tcsm.training.optim.Constant}", "scale.warmup=1")
    common = (*SCORE, *constant, "devices.precision=fp32")
    kept, (before, after) = f"scratch={house.root}/run/.scratch", numbers
    for steps, processes in ((2, before), (4, after)):
        given = (f"trainer.steps={steps}", f"devices.processes={processes}", kept)
        with house.started("train", *common, *given) as running:
            said = running.communicate(timeout=PATIENCE)[1]
        assert running.returncode == 0, said
    assert f"devices.processes was {before}, now {after}" in said
    assert "goes on after step 2 with its weights, optimizer and averages" in said
    run, whole = house.root / "run", house.good("train", *common, name="whole")
    assert len(json.loads((run / "train.json").read_text())["changes"]) == 1
    for left, right in zip(rows(run), rows(whole), strict=True):
        assert left["step"] == right["step"]
        assert left["loss"] == pytest.approx(right["loss"], rel=1e-4)
    first, second = (load(folder / "weights.safetensors")[0] for folder in (run, whole))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=1e-3, atol=2e-4)


def test_another_batch_goes_on_with_the_optimizer(house: House) -> None:
    run = house.root / "run"
    with stopped(after=2):
        train(house)
    before = rows(run / ".scratch")
    assert "data.batch was 4, now 8" in train(house, "data.batch=8").err[0]
    assert rows(run)[:2] == before
    assert [row["tokens"] for row in rows(run)] == [4 * LENGTH * n for n in (1, 2, 4, 6)]
    assert json.loads((run / "train.json").read_text())["changes"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ("trainer.learning_rate=0.01", "validation.draws=3"),
            ("trainer.learning_rate was 0.003, now 0.01", "validation.draws was 2, now 3"),
        ),
        (("trainer.steps=1",), ("trainer.steps was 4, now 1",)),
    ],
)
def test_a_state_of_another_run_comes_back(
    house: House, overrides: tuple[str, ...], said: tuple[str, ...]
) -> None:
    run = house.root / "run"
    with stopped(after=2):
        train(house)
    kept = content(run / ".scratch")
    done = train(house, *overrides, "trainer.warmup=1")
    assert done.code == 0
    assert all(change in done.err[0] for change in said)
    assert "starts from step 0" in done.err[0]
    assert content(place(run / ".scratch")) == kept
    back = train(house).err
    assert back[-1].endswith("state.safetensors: training goes on after step 2")
    tensors, _ = load(run / "weights.safetensors")
    assert tensors
    assert steps(run) == [1, 2, 3, 4]


def test_other_text_is_another_run(own_house: House) -> None:
    own_house.good("prepare")
    with stopped(after=2):
        train(own_house)
    (own_house.root / "text.txt").write_text("other words of another text " * 500)
    shutil.rmtree(own_house.data)
    own_house.good("prepare")
    output = train(own_house).err
    assert "(corpus has other contents" in output[0]
    assert "set aside in" in output[0]


@pytest.mark.parametrize("other", ["trainer.steps=2", "trainer.learning_rate=0.001"])
def test_a_stopped_run_is_taken_up_after_another_command(house: House, other: str) -> None:
    """Its own state, even if it could also go on from that of the other command."""
    with stopped(after=3):
        train(house, MORE)
    assert train(house, other).code == 0
    assert train(house, MORE).err[-1].endswith("training goes on after step 3")
    assert train(house, MORE, name="whole").code == 0
    first, second = (house.root / name / "weights.safetensors" for name in ("run", "whole"))
    assert first.read_bytes() == second.read_bytes()
