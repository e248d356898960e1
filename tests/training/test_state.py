import pytest
import torch
from torch import nn

from tcsm.errors import InputError
from tcsm.training.state import TrainState, named_tensors
from tcsm.training.telemetry import Elapsed
from tests.training.toy import Batches, loss, make_net, make_optim


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("passing", torch.zeros(2), persistent=False)


def descend(state, steps):
    for _ in range(steps):
        loss(state.model, Batches().at(state.step))["loss"].backward()
        state.descend()


def copies(state):
    return {name: tensor.clone() for name, tensor in state.tensors().items()}


def test_a_tied_tensor_comes_once_and_a_passing_buffer_never():
    assert named_tensors(Tied()).keys() == {"embed.weight"}


def test_named_tensors_share_the_models_storage():
    net = make_net()
    named_tensors(net)["embed.weight"].zero_()
    assert not net.embed.weight.any()


def test_names_are_flat_and_complete():
    state = TrainState(make_net(), make_optim())
    descend(state, 1)
    names = state.tensors().keys()
    trained = {f"{name}" for name, _ in state.model.named_parameters()}
    assert {name for name in names if name.startswith("ema.")} == {f"ema.{n}" for n in trained}
    slots = ("exp_avg", "exp_avg_sq", "step")
    expected = {f"optimizer.{name}.{slot}" for name in trained for slot in slots}
    assert {name for name in names if name.startswith("optimizer.")} == expected
    assert "model.scale" in names
    assert "model.embed.weight" in names


def test_a_restored_state_is_equal_and_goes_on_equally():
    state = TrainState(make_net(), make_optim())
    descend(state, 6)
    state.tokens, state.elapsed = 1234, Elapsed(5.5, 4.25)
    other = TrainState(make_net().apply(lambda m: m.float()), make_optim())
    descend(other, 2)
    other.load(copies(state))
    assert (other.step, other.tokens, other.elapsed) == (6, 1234, Elapsed(5.5, 4.25))
    descend(state, 5)
    descend(other, 5)
    rows, peer = state.tensors(), other.tensors()
    assert rows.keys() == peer.keys()
    assert all(torch.equal(rows[name], peer[name]) for name in rows)


def test_restoring_copies_and_does_not_share():
    state, other = (TrainState(make_net(), make_optim()) for _ in range(2))
    descend(state, 1)
    kept = copies(state)
    other.load(state.tensors())
    descend(other, 1)
    assert all(torch.equal(kept[name], tensor) for name, tensor in state.tensors().items())


def test_a_foreign_state_is_refused_and_nothing_changes():
    state = TrainState(make_net(), make_optim())
    before = copies(state)
    wrong_shape = {**before, "ema.embed.weight": torch.zeros(2, 2)}
    missing = {name: t + 1 for name, t in before.items() if name != "model.scale"}
    with pytest.raises(InputError, match=r"average holds embed\.weight of shape \(2, 2\)"):
        state.load(wrong_shape)
    with pytest.raises(InputError, match="saved model lacks 1 tensors, among them scale"):
        state.load(missing)
    with pytest.raises(InputError, match="saved average adds"):
        TrainState(make_net(), make_optim(ema=None)).load(before)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors().items())


def test_the_norm_is_the_unclipped_one_and_the_rate_is_the_recipes():
    state = TrainState(make_net(), make_optim(clip=1e-3))
    loss(state.model, Batches().at(0))["loss"].backward()
    norms = [p.grad.norm() for p in state.model.parameters()]
    expected = torch.stack(norms).norm()
    torch.testing.assert_close(state.descend(), expected)
    assert {group["lr"] for group in state.optimizer.param_groups} == {state.optim.rate(0)}
    assert all(p.grad is None for p in state.model.parameters())


def test_without_clip_the_gradient_is_untouched():
    free, wide = (TrainState(make_net(), make_optim(clip=c)) for c in (None, 1e9))
    descend(free, 3)
    descend(wide, 3)
    assert torch.equal(free.model.embed.weight, wide.model.embed.weight)


def test_weights_are_the_average_where_there_is_one():
    plain, averaged = (TrainState(make_net(), make_optim(ema=e)) for e in (None, make_optim().ema))
    descend(plain, 4)
    descend(averaged, 4)
    assert torch.equal(plain.weights()["embed.weight"], averaged.model.embed.weight)
    assert torch.equal(averaged.weights()["embed.weight"], averaged.averages["embed.weight"])
    assert not torch.equal(averaged.weights()["embed.weight"], plain.weights()["embed.weight"])
    assert averaged.weights().keys() == named_tensors(averaged.model).keys()


def test_what_is_delivered_is_in_place_for_a_while_only():
    state = TrainState(make_net(), make_optim())
    descend(state, 3)
    live = {name: value.clone() for name, value in named_tensors(state.model).items()}
    with state.final_weights():
        for name, value in named_tensors(state.model).items():
            assert torch.equal(value, state.weights()[name])
    assert all(
        torch.equal(value, live[name]) for name, value in named_tensors(state.model).items()
    )
    assert any(not torch.equal(live[name], value) for name, value in state.averages.items())
