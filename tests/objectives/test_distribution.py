"""Distribution matching: its optimum, and MDLM's objective, batch by batch."""

import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.scoring_rules import (
    KL,
    Brier,
    GeneralizedKL,
    ItakuraSaito,
    OneVsRest,
    Spherical,
    Tsallis,
)
from tcsm.models.factorized import Factorized
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import Likelihood, OpenMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear, Polynomial
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, kernel, marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
RULES = [
    KL(),
    GeneralizedKL(),
    ItakuraSaito(),
    Brier(),
    Spherical(),
    Tsallis(1.5),
    Tsallis(0.5),
    OneVsRest(),
]


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize(
    ("source", "x_t"), [(Mask(V), [V, 1, V]), (Uniform(V), [0, 2, 2])], ids=["mask", "uniform"]
)
def test_optimum_is_the_marginals(rule, source, x_t):
    """(2.5), for a distribution that is no product, all x₁ enumerated."""
    path, state = Path(source, Linear()), torch.tensor(x_t)
    matrix = kernel(0.4, V, isinstance(source, Mask))
    posterior, _ = bayes(random_distribution(V, L, 0), state.numpy(), matrix)
    weight = torch.from_numpy(posterior).flatten()
    support = weight > 0
    x_1 = torch.from_numpy(sequences(V, L))[support]
    drawn = corrupted(path, x_1, state.expand(len(x_1), -1), torch.full((len(x_1),), 0.4))

    def loss(logits):
        model = Factorized(Table(logits), path)
        share = weight[support] * len(x_1)
        fields = {"scoring": rule, "weighting": OpenMean(), "row_weight": share}
        return model, loss_at(DistributionMatching, model, drawn, **fields)

    logits = torch.from_numpy(marginals(posterior)).clamp(min=1e-30).log()
    model, least = loss(logits)
    least.backward()
    assert_close(model.net.logits.grad, torch.zeros(L, V).double(), atol=1e-10, rtol=0)
    for _ in range(5):
        assert loss(logits + torch.randn(L, V))[1] > least


def mdlm(model, x_1, x_t, t, schedule):
    """MDLM's and MD4's objective in their own terms, nats a token.

    Noise level σ = −log α, weight dσ/expm1(σ) in reversed time, cross-entropy of the data under
    logits without a mask column at masked tokens, summed and divided by all tokens.
    """
    sigma = -torch.log(schedule.alpha(t))
    times = t.clone().requires_grad_()
    (sigma_dot,) = torch.autograd.grad(-torch.log(schedule.alpha(times)).sum(), times)
    weight = -sigma_dot / torch.expm1(sigma)
    everywhere = torch.ones_like(x_t, dtype=torch.bool)
    log_p = model.net(x_t, t, everywhere).view(*x_t.shape, V).log_softmax(-1)
    nats = -log_p.gather(-1, x_1[..., None])[..., 0] * (x_t == V)
    return (weight[:, None] * nats).sum() / x_1.numel()


@pytest.mark.parametrize("schedule", [Linear(), Cosine(), Polynomial(2.0)], ids=str)
@pytest.mark.parametrize("chunk", [None, 4])
@pytest.mark.parametrize("timed", [False, True])
def test_likelihood_weighted_kl_is_mdlm_batch_by_batch(schedule, chunk, timed):
    """§8: the same draws, values and all gradients."""
    path, length, size = Path(Mask(V), schedule), 9, 6
    net = Transformer(
        vocabulary=V, extra=1, dim=8, depth=1, heads=2, timed=timed, chunk=chunk
    ).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    model = Factorized(net, path)
    corruption = TimeSampling(path)
    objective = DistributionMatching(corruption=corruption, weighting=Likelihood(), scoring=KL())
    for step in range(3):
        x_1, noise = torch.randint(V, (size, length)), batch_noise(5, step, size)
        drawn = corruption(x_1, noise)
        ours = objective(model, x_1, noise)["loss"]
        peer = mdlm(model, x_1, drawn.x_t, drawn.t, schedule)
        assert_close(ours, peer, rtol=1e-10, atol=1e-12)
        parameters = list(net.parameters())
        actual = torch.autograd.grad(ours, parameters)
        expected = torch.autograd.grad(peer, parameters)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other, rtol=1e-8, atol=1e-12)


def test_by_count_and_by_time_are_one_bound_for_a_time_free_network():
    """(11.3): the same expectation, checked by enumeration of both distributions of x_t."""
    path = Path(Mask(V), Linear())
    model = Factorized(Table(torch.randn(4**L, L, V), states=4), path)
    x_1 = torch.tensor([[0, 2, 1]])
    by_count = by_time = 0.0
    node, weight = torch.tensor([0.1127016654, 0.5, 0.8872983346]), torch.tensor([5, 8, 5]) / 18
    for flags in range(1, 2**L):
        hidden = torch.tensor([[bool(flags >> i & 1) for i in range(L)]])
        n = int(hidden.sum())
        drawn = corrupted(path, x_1, torch.where(hidden, V, x_1), torch.tensor([0.5]))
        nats = loss_at(DistributionMatching, model, drawn, scoring=KL(), weighting=OpenMean()) * n
        by_count += nats / n / math.comb(L, n)
        # κ(t) t^(L−n) (1−t)^n is a polynomial: three nodes are exact
        by_time += nats * (weight * node ** (L - n) * (1 - node) ** (n - 1)).sum().double()
    assert_close(by_count, by_time, rtol=1e-7, atol=0)


def test_weighting_by_sequence_scales_what_it_says():
    path = Path(Mask(V), Linear())
    model = Factorized(Table(torch.randn(L, V)), path)
    corruption = CountSampling(path)
    objective = DistributionMatching(corruption=corruption, weighting=Likelihood(), scoring=KL())
    x_1, noise = torch.randint(V, (4, L)), batch_noise(0, 0, 4)
    whole = objective(model, x_1, noise)["loss"]
    parts = [
        objective(model, x_1, noise, torch.nn.functional.one_hot(torch.tensor(b), 4).double())
        for b in range(4)
    ]
    assert_close(sum(part["loss"] for part in parts), whole)
