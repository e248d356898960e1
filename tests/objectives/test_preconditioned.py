"""Weights on pairs: the optimum stays, the gradient becomes that of cross-entropy."""

import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import Power, bce, generalized_kl, hellinger, lsif
from tcsm.divergences.scoring_rules import KL
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.neighborhoods.hamming import Hamming
from tcsm.objectives.base import OpenMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.objectives.score_matching import Preconditioned, ScoreMatching
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
P_1 = random_distribution(V, L, 0)
AT = torch.from_numpy(marginals(P_1)).log()
divergences = pytest.mark.parametrize(
    "divergence", [generalized_kl, lsif, bce, hellinger, Power(0.25)], ids=str
)


def gradient(objective, logits, **fields):
    """Of E_{x₁} of the objective with every position masked, by the logits."""
    model = Factorized(Table(logits), PATH)
    drawn = corrupted(PATH, ALL, torch.full_like(ALL, V), torch.full((len(ALL),), 0.5))
    weight = torch.from_numpy(P_1).flatten() * len(ALL)
    loss = loss_at(objective, model, drawn, weight, weighting=OpenMean(), **fields)
    return torch.autograd.grad(loss, model.net.logits)[0]


@divergences
@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5, 1.0])
def test_the_marginals_are_stationary_whatever_the_power(divergence, gamma):
    actual = gradient(Preconditioned, AT, divergence=divergence, gamma=gamma)
    assert_close(actual, torch.zeros_like(AT), atol=1e-10, rtol=0)


@pytest.mark.parametrize("divergence", [generalized_kl, bce], ids=str)
def test_descent_leads_there_from_elsewhere(divergence):
    logits = AT + torch.randn(L, V, generator=torch.Generator().manual_seed(0)).double()
    for _ in range(100):
        slope = gradient(Preconditioned, logits, divergence=divergence, gamma=0.5)
        logits = logits - slope.clamp(-1, 1)
    assert_close(logits.log_softmax(-1), AT, atol=2e-2, rtol=0)


@divergences
def test_at_one_it_is_the_gradient_of_cross_entropy(divergence):
    logits = 3 * torch.randn(L, V).double()
    actual = gradient(Preconditioned, logits, divergence=divergence, gamma=1.0)
    assert_close(actual, gradient(DistributionMatching, logits, scoring=KL()))


@divergences
def test_at_zero_it_is_the_raw_loss(divergence):
    logits, raw = torch.randn(L, V).double(), {"divergence": divergence}
    actual = gradient(Preconditioned, logits, **raw, gamma=0.0)
    assert_close(actual, gradient(ScoreMatching, logits, **raw, neighborhood=Hamming(V)))


def test_growth_is_tempered():
    """Where q_x = e^−20 the raw gradient of generalized KL is e^20, then its power 1 − γ."""
    drawn = corrupted(PATH, torch.zeros(1, 1).long(), torch.tensor([[V]]), torch.tensor([0.5]))
    for gamma in (0.0, 0.25, 0.5, 1.0):
        model = Factorized(Table(torch.tensor([[-20.0, 0.0, 0.0]])), PATH)
        fields = {"divergence": generalized_kl, "gamma": gamma, "weighting": OpenMean()}
        loss_at(Preconditioned, model, drawn, **fields).backward()
        size = model.net.logits.grad.abs().max().item()
        assert abs(math.log(size) - 20 * (1 - gamma)) < 1.5
    assert size <= 1


@divergences
def test_confident_and_wrong_positions_stay_finite_in_single_precision(divergence):
    drawn = corrupted(PATH, torch.zeros(1, 2).long(), torch.full((1, 2), V), torch.tensor([0.5]))
    model = Factorized(Table(torch.tensor([[-25.0, 0.0, 3.0], [25.0, -5.0, 0.0]])), PATH).float()
    fields = {"divergence": divergence, "gamma": 0.5, "weighting": OpenMean()}
    loss = loss_at(Preconditioned, model, drawn, **fields)
    loss.backward()
    assert loss.isfinite()
    assert model.net.logits.grad.isfinite().all()


@divergences
@pytest.mark.parametrize("gamma", [0.5, 1.0])
@pytest.mark.parametrize("gap", [60.0, 100.0, 200.0])
def test_where_a_score_overflows_single_precision_the_gradient_is_still_right(
    divergence, gamma, gap
):
    """At γ = 1 that of cross-entropy, else that of double precision if single can hold it."""
    drawn = corrupted(PATH, torch.zeros(1, 2).long(), torch.full((1, 2), V), torch.tensor([0.5]))
    logits = torch.tensor([[-gap, 0.0, -3.0], [gap / 2, -gap / 2, 0.0]])
    actual = []
    for kind in (torch.float32, torch.float64):
        model = Factorized(Table(logits), PATH).to(kind)
        fields = {"divergence": divergence, "gamma": gamma, "weighting": OpenMean()}
        loss_at(Preconditioned, model, drawn, **fields).backward()
        actual.append(model.net.logits.grad.double())
    if actual[1].abs().max() < torch.finfo(torch.float32).max:
        assert_close(actual[0], actual[1], rtol=1e-4, atol=1e-6)
    if gamma == 1:
        q = logits.double().softmax(-1)
        q[:, 0] -= 1
        assert_close(actual[0], q / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, math.nan])
def test_refusal(gamma):
    with pytest.raises(InputError, match=r"objective\.gamma "):
        Preconditioned(CountSampling(PATH), OpenMean(), bce, gamma=gamma)
