import math

import pytest
import torch

from tcsm.errors import InputError
from tcsm.training.hooks import Hooks
from tcsm.training.loop import fit
from tcsm.training.resume import CheckpointManager
from tcsm.training.state import TrainState
from tests.training import toy


def test_training_learns_and_reports():
    state, rows = toy.train(toy.make_optim(steps=40, learning_rate=0.1))
    assert [row["step"] for row in rows] == [*range(3, 40, 3), 40]
    assert list(rows[0]) == ["step", "tokens", "loss", "spread", "lr", "grad_norm"]
    assert [row["tokens"] for row in rows] == [40 * row["step"] for row in rows]
    assert [row["lr"] for row in rows] == [state.optim.rate(row["step"] - 1) for row in rows]
    assert rows[-1]["loss"] < rows[0]["loss"]


def test_a_record_is_the_loss_before_the_step():
    _, rows = toy.train(toy.make_optim(steps=1, warmup=0))
    first = toy.loss(toy.make_net(), toy.Batches().at(0))["loss"]
    assert rows[0]["loss"] == pytest.approx(first.item())


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_accumulation_is_the_big_batch(accumulate):
    recipes = [toy.make_optim(steps=12, accumulate=n) for n in (1, accumulate)]
    (big, big_rows), (small, rows) = (toy.train(r, dtype=torch.float64) for r in recipes)
    for name, expected in big.weights().items():
        torch.testing.assert_close(small.weights()[name], expected, rtol=0, atol=1e-12)
    losses = [[row["loss"] for row in some] for some in (rows, big_rows)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-12)
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in big_rows]


def test_equal_seeds_give_equal_dropout_and_others_do_not():
    optim, ends = toy.make_optim(steps=5), []
    for seed in (0, 0, 1):
        state = TrainState(toy.make_net(0.5), optim, seed=seed)
        fit(state, toy.loss, toy.Batches(), toy.DEVICES, Hooks())
        ends.append(state.weights()["embed.weight"])
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_no_steps_leave_the_model_alone():
    state, rows = toy.train(toy.make_optim(steps=0, warmup=0))
    assert rows == []
    assert torch.equal(state.weights()["embed.weight"], toy.make_net().embed.weight)


def diverging(at, value, calls):
    def loss(net, batch):
        calls.append(batch)
        terms = toy.loss(net, batch)
        factor = value if len(calls) == at else 1.0
        return {**terms, "loss": terms["loss"] * factor}

    return loss


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(tmp_path, monkeypatch, value, kind):
    """On a GPU ("cuda") numbers are read at records and checkpoints only, the loss being real."""
    calls, steps_read = [], []
    state = TrainState(toy.make_net(), toy.make_optim())
    checkpoints = CheckpointManager(tmp_path, toy.THIS)
    checkpoints.resume(state)
    hooks = Hooks(checkpoints=checkpoints, record=lambda row: steps_read.append(row["step"]))
    if kind == "cuda":
        monkeypatch.setattr("tcsm.training.loop._eager", lambda devices: False)
    with pytest.raises(InputError, match=r"stopped at step 13: loss (nan|inf)") as caught:
        fit(state, diverging(13, value, calls), toy.Batches(), toy.DEVICES, hooks)
    assert len(calls) == (13 if kind == "cpu" else 14)
    assert f"the last good checkpoint is {tmp_path / 'state.safetensors'}" in str(caught.value)
    assert "trainer.learning_rate" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert steps_read == [3, 6, 9, 12]
    good = TrainState(toy.make_net(), toy.make_optim())
    CheckpointManager(tmp_path, toy.THIS).resume(good)
    assert good.step == 7
    assert all(tensor.isfinite().all() for tensor in good.tensors().values())


def test_a_gradient_that_is_not_finite_stops_the_run():
    def loss(net, batch):
        terms = toy.loss(net, batch)
        return {"loss": terms["loss"] + (net.embed.weight * 0).abs().sqrt().sum()}

    with pytest.raises(
        InputError, match=r"step 1: loss [0-9.]+, gradient norm nan; no checkpoint"
    ):
        toy.train(toy.make_optim(), loss=loss)


def test_a_save_that_fails_stops_the_run_in_one_line(tmp_path):
    state = TrainState(toy.make_net(), toy.make_optim())
    checkpoints = CheckpointManager(tmp_path, toy.THIS)
    checkpoints.resume(state)
    (tmp_path / "state.safetensors.tmp").mkdir()
    with pytest.raises(InputError, match=r"state\.safetensors: cannot be written"):
        fit(state, toy.loss, toy.Batches(), toy.DEVICES, Hooks(checkpoints=checkpoints))


def test_prompts_and_padding_are_not_counted():
    class Padded(toy.Batches):
        def at(self, *place):
            batch = super().at(*place)
            object.__setattr__(batch, "real", batch.tokens > 2)
            return batch

    state = TrainState(toy.make_net(), toy.make_optim(steps=3, warmup=0, accumulate=2))
    fit(state, toy.loss, Padded(), toy.DEVICES, Hooks())
    assert state.tokens == sum(int((toy.Batches().at(n).tokens > 2).sum()) for n in range(3))
    assert state.sequences == 3 * 8
