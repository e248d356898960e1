"""Batches that the model in training draws for itself."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.data.batch_sources import DataContext
from tcsm.data.tokenizers import Letters
from tcsm.errors import InputError
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.weighted_likelihood import WeightedLikelihood
from tcsm.on_policy import OnPolicy, rewards_of
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.rewards.base import Reward
from tcsm.rewards.classifier import Classifier
from tcsm.samplers.base import Sampled, Sampler
from tests.stages.house import House

LENGTH, SIZE = 5, 6


class Letter(Reward):
    def __call__(self, texts):
        return np.array([text.count("e") for text in texts], float)


@dataclass(frozen=True)
class Drawer(Sampler):
    """Draws the letters that the model's single weight lifts."""

    def __call__(self, model, count, length, seed, conditioning=None):
        assert not model.training
        u = batch_noise(seed, 0, count).uniform("token", length)
        lifted = (u * 27 + float(model.weight)).long() % 27
        return Sampled(lifted, 1)


class Nothing:
    """No text."""

    def at(self, step, rank=0, world=1, micro=0, micros=1):
        raise AssertionError


@pytest.fixture
def model():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 0.0)
    return net.train()


def source(model, **fields):
    batches = OnPolicy(Drawer(1), Letter(), **fields)
    return batches.open(DataContext(Nothing(), SIZE, LENGTH, 3, model, Letters()))


def test_weights_are_advantages(model):
    batch = source(model).at(7)
    reward = rewards_of(Letter(), batch.tokens, Letters())
    assert reward.std() > 0
    assert_close(batch.weight.double(), (reward - reward.mean()) / reward.std())
    plain = source(model, normalized=False).at(7)
    assert_close(plain.weight.double(), reward - reward.mean())
    assert model.training


def test_all_alike_have_no_advantage(model, monkeypatch):
    monkeypatch.setattr(Letter, "__call__", lambda _, texts: np.ones(len(texts)))
    assert (source(model).at(0).weight == 0).all()


def test_ranks_share_one_batch_and_its_mean(model):
    whole = source(model).at(7)
    parts = [source(model).at(7, rank, 2) for rank in range(2)]
    ids = torch.cat([part.ids for part in parts])
    assert sorted(ids.tolist()) == list(range(SIZE))
    for part in parts:
        assert torch.equal(part.tokens, whole.tokens[part.ids])
        assert torch.equal(part.weight, whole.weight[part.ids])


def test_weights_are_of_the_whole_batch_on_each_of_several_ranks(model):
    """wd1's softmax is over all draws of a step, not over those of a rank or a micro-batch."""
    wd1 = WeightedLikelihood(CountSampling(Path(Mask(27), Linear())), OpenMean(), 0.5)
    batches = OnPolicy(Drawer(1), Letter(), normalized=False)
    data = DataContext(Nothing(), SIZE, LENGTH, 3, model, Letters(), weigh=wd1.weigh)
    parts = [batches.open(data).at(7, rank, 2) for rank in range(2)]
    weight = torch.cat([part.weight for part in parts])
    plain = [source(model, normalized=False).at(7, rank, 2).weight for rank in range(2)]
    advantage = torch.cat(plain)
    assert_close(weight, wd1.weigh(advantage).float())
    assert abs(weight.sum()) < 1e-5
    assert weight.std() > 0


def test_draws_are_those_of_the_model_as_it_is_and_of_the_step(model):
    first, again = (source(model).at(7).tokens for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, source(model).at(8).tokens)
    nn.init.constant_(model.weight, 1.0)
    assert torch.equal(source(model).at(7).tokens, (first + 1) % 27)


def test_refusals(model):
    with pytest.raises(InputError, match="reward: found null; batches=on_policy needs one"):
        OnPolicy(Drawer(1), None).open(DataContext(Nothing(), SIZE, LENGTH, 3, model, Letters()))
    with pytest.raises(InputError, match=r"data\.batch "):
        OnPolicy(Drawer(1), Letter()).open(DataContext(Nothing(), 1, LENGTH, 3, model, Letters()))


@pytest.mark.slow
def test_it_trains_from_the_command_line(house: House, monkeypatch: pytest.MonkeyPatch):
    """Twice the same: what is drawn depends on the weights and the step alone."""
    monkeypatch.setattr(Classifier, "__call__", Letter.__call__)
    monkeypatch.setattr(Classifier, "open", lambda self: None)
    first = house.good("train", "trainer.steps=2", name="first")
    given = [f"initial={first}", f"reference={first}", "reward=classifier"]
    given += ["objective=policy_gradient", "batches=on_policy"]
    runs = [house.good("train", *given, name=name) for name in ("one", "other")]
    one, other = ((run / "metrics.jsonl").read_bytes() for run in runs)
    assert one == other
    assert (runs[0] / "weights.safetensors").read_bytes() != (
        first / "weights.safetensors"
    ).read_bytes()
