"""Where the wings meet in training."""

import pytest
import torch

from tcsm.data.batches import Rows, WindowBatches, evaluation_windows
from tcsm.divergences.scoring_rules import KL
from tcsm.evaluation.bound import Count
from tcsm.models.factorized import Factorized
from tcsm.nets.transformer import Transformer
from tcsm.noise import Noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.runs.parts import Loss
from tcsm.runs.text import VALIDATION_SEED, BoundValidation
from tcsm.training.devices import Devices
from tcsm.training.optim import OptimConfig
from tcsm.training.state import TrainState

V, L = 5, 8
PATH = Path(Mask(V), Linear())
TOKENS = (torch.arange(400) * 7 % 11 % V).to(torch.uint8).numpy()


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Factorized(Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=2), PATH)


@pytest.fixture
def objective():
    return DistributionMatching(CountSampling(PATH), OpenMean(), KL())


def test_a_loss_is_the_objective_with_the_noise_of_seed_and_step(model, objective):
    batch = WindowBatches(TOKENS, L, 4, seed=3).at(9)
    terms = Loss(model, objective, seed=3)(model.net, batch)
    noise = Noise(3, 9, torch.arange(4), 4)
    assert torch.equal(terms["loss"], objective(model, batch.tokens, noise)["loss"])


def test_parts_of_a_batch_share_no_noise(model, objective):
    """The mean over micro-batches is the loss of the whole."""
    batches, loss = WindowBatches(TOKENS, L, 4, seed=3), Loss(model, objective, seed=3)
    whole = loss(model.net, batches.at(2))["loss"]
    parts = [loss(model.net, batches.at(2, micro=n, micros=2))["loss"] for n in range(2)]
    torch.testing.assert_close(sum(parts) / 2, whole)


def test_the_network_it_is_given_stands_in_the_model(model, objective):
    """As a wrapper for data parallelism does."""
    other = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=2)
    Loss(model, objective, seed=3)(other, WindowBatches(TOKENS, L, 4, seed=3).at(0))
    assert model.net is other


def state(model, step, steps=10, log_every=1):
    optim = OptimConfig(steps, warmup=0, log_every=log_every)
    made = TrainState(model.net, optim)
    made.step = step
    return made


def test_validation_happens_every_so_often_and_at_the_end(model):
    windows = evaluation_windows(TOKENS, L, 6)
    net, bound = model.net, Count(PATH)
    devices = Devices("cpu", precision="fp32")
    validate = BoundValidation(
        model,
        net,
        bound,
        Rows(windows, torch.full((len(windows),), L)),
        3,
        every=4,
        devices=devices,
    )
    assert [bool(validate(state(model, step))) for step in range(1, 11)] == [
        step in (4, 8, 10) for step in range(1, 11)
    ]
    seldom = [bool(validate(state(model, step, log_every=3))) for step in (3, 6, 9, 10)]
    assert seldom == [False, True, True, True]
    actual = validate(state(model, 4))
    draws = bound(model, windows, torch.arange(6), VALIDATION_SEED, 3)
    nats = float(draws.nats.mean()) / L
    assert actual["valid_nats_per_token"] == pytest.approx(nats)
    assert actual["valid_bits_per_token"] == pytest.approx(nats / 0.6931471805599453)


def test_weights_of_another_run_are_measured_before_the_first_step(model):
    rows = Rows(evaluation_windows(TOKENS, L, 2), torch.full((2,), L))
    given = (model, model.net, Count(PATH), rows, 3, 1, Devices("cpu", precision="fp32"))
    started, fresh = (BoundValidation(*given, first=first) for first in (True, False))
    known = state(model, 5)
    assert started.initial(known) == {"initial": started(known)}
    assert fresh.initial(known) == {}


def test_validation_asks_the_bare_network(model):
    windows = evaluation_windows(TOKENS, L, 2)
    net, known = model.net, state(model, 1)
    validate = BoundValidation(
        model,
        net,
        Count(PATH),
        Rows(windows, torch.full((len(windows),), L)),
        1,
        1,
        Devices("cpu"),
    )
    model.net = torch.nn.Identity()
    validate(known)
    assert model.net is net
