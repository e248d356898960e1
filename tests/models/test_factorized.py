"""Factorized posteriors, and the general contract of posteriors they fulfil."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from tcsm.divergences.bregman import bce
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.losses import BoundIntegrand, CrossEntropy
from tcsm.neighborhoods.hamming import Hamming
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.process.corruption import CountSampling, Positions, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import kernel, posterior_table, random_distribution, sequences
from tests.tables import Table, corrupted, exact

V = L = 3
MASKED, NOISED = Path(Mask(V), Cosine()), Path(Uniform(V), Cosine())
LOGITS = torch.randn(L, V, generator=torch.Generator().manual_seed(0)).double()
both = pytest.mark.parametrize("path", [MASKED, NOISED], ids=["mask", "uniform"])
kinds = pytest.mark.parametrize("kind", [Factorized, LeaveOneOut])


def network(extra, dtype=torch.float64, **fields):
    net = Transformer(vocabulary=V, extra=extra, dim=8, depth=1, heads=1, **fields).to(dtype)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter))
    return net


@both
@kinds
@given(seed=st.integers(0, 10**6))
def test_marginals_are_normalized_carried_over_and_without_a_mask(path, kind, seed):
    generator = torch.Generator().manual_seed(seed)
    x_t = torch.randint(path.source.states, (4, L), generator=generator)
    t, noised = torch.rand(4, generator=generator).double(), path.source.noised(x_t)
    log_q = kind(Table(LOGITS), path).log_marginals(x_t, t, noised)
    assert log_q.shape == (4, L, V)
    assert_close(log_q.exp().sum(-1), torch.ones(4, L).double())
    carried = torch.nn.functional.one_hot(x_t[~noised], V).double()
    assert torch.equal(log_q[~noised].exp(), carried)
    assert (log_q[noised] > -torch.inf).all()


@both
@kinds
def test_the_head_sees_noised_positions_alone(path, kind):
    net = network(path.source.states - V)
    seen = []
    net.head.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    drawn = TimeSampling(path)(torch.randint(V, (5, L)), batch_noise(0, 0, 5))
    model, n = kind(net, path), int(drawn.noised.sum())
    model.weighted_loss(drawn, CrossEntropy(), torch.ones(n))
    model.log_conditionals(drawn.x_t, drawn.t, drawn.noised)
    assert seen == [n, n]


@both
def test_conditionals_by_hand(path):
    """(1.4): leave-one-out adds λ_t at x_t; where the position is masked nothing is added."""
    x_t, t = torch.tensor([[1, path.source.states - 1, 0]]), torch.tensor([0.6]).double()
    everywhere = torch.ones(1, L, dtype=torch.bool)
    plain = Factorized(Table(LOGITS), path).log_conditionals(x_t, t, everywhere)
    assert_close(plain, LOGITS.log_softmax(-1))
    shifted = LOGITS.clone()
    alpha = path.alpha(t)[0]
    amount = torch.log1p(V * alpha / (1 - alpha)) if path is NOISED else 0.0
    for position, state in enumerate(x_t[0].tolist()):
        if state < V:
            shifted[position, state] += amount
    actual = LeaveOneOut(Table(LOGITS), path).log_conditionals(x_t, t, everywhere)
    assert_close(actual, shifted.log_softmax(-1))


@both
def test_leave_one_out_undoes_what_the_path_takes_back(path):
    """softmax(logits) = π of the conditionals (1.5)."""
    x_t, t = torch.tensor([0, 1, 2]), torch.tensor([0.1, 0.5, 0.9]).double()
    model = LeaveOneOut(Table(LOGITS), path)
    log_q = model.conditionals(LOGITS, Positions(x_t, x_t, t, range(len(x_t))))
    assert_close(path.leave_one_out(log_q, x_t, path.alpha(t)), LOGITS.log_softmax(-1))


@both
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.9])
def test_exact_logits_give_the_posterior(path, alpha):
    p_1 = random_distribution(V, L, 4)
    matrix = kernel(alpha, V, path is MASKED)
    x_t = torch.from_numpy(sequences(path.source.states, L))
    t = path.schedule.inverse(torch.full((len(x_t),), alpha, dtype=torch.float64))
    log_q = Factorized(exact(path, p_1), path).log_marginals(x_t, t, path.source.noised(x_t))
    truth = torch.from_numpy(posterior_table(p_1, matrix))
    possible = torch.ones(len(x_t), dtype=torch.bool)
    if path is MASKED:
        possible = ((x_t == V) | (alpha > 0)).all(-1)
    assert_close(log_q.exp()[possible], truth[possible], atol=1e-7, rtol=0)


@both
def test_concrete_scores_are_ratios_of_products_of_marginals(path):
    x_1 = torch.tensor([[0, 1, 2], [2, 2, 1]])
    x_t = torch.tensor([[path.source.states - 1, 1, path.source.states - 1]]).expand(2, -1)
    x_t = torch.where(path.source.noised(x_t), x_t, x_1)
    drawn = corrupted(path, x_1, x_t, torch.tensor([0.3, 0.8]))
    model = LeaveOneOut(Table(LOGITS), path)
    near = Hamming(V).enumerate(x_1, drawn.noised)
    ratios = model.log_ratio(drawn, near)
    log_q = model.log_marginals(x_t, drawn.t, drawn.noised)
    for j, y in enumerate(near.apply(x_1).unbind(1)):
        direct = (log_q.gather(-1, y[..., None]) - log_q.gather(-1, x_1[..., None])).sum((1, 2))
        kept = near.weight[:, j] > 0
        assert_close(ratios[kept, j], direct[kept])


@both
@pytest.mark.parametrize("chunk", [None, 2])
def test_the_two_ways_of_the_contract_agree(path, chunk):
    """Per-position closed forms and the log-ratios of listed neighbors are one loss."""
    net = network(path.source.states - V, chunk=chunk)
    drawn = TimeSampling(path)(torch.randint(V, (6, L)), batch_noise(0, 0, 6))
    model, ball = LeaveOneOut(net, path), Hamming(V)
    near = ball.enumerate(drawn.x_1, drawn.noised)
    listed = near.sum(bce.pair(model.log_ratio(drawn, near)))

    class Position(CrossEntropy):
        def __call__(self, log_q, positions):
            return ball.position_loss(bce, log_q, positions.x_1)

    row = drawn.noised.nonzero()[:, 0]
    weight = 1 / drawn.noised.sum(-1).double()[row]
    result = model.weighted_loss(drawn, Position(), weight)
    assert_close(result.total, listed.sum())
    parameters = list(net.parameters())
    for one, other in zip(
        torch.autograd.grad(result.total, parameters, allow_unused=True),
        torch.autograd.grad(listed.sum(), parameters, allow_unused=True),
        strict=True,
    ):
        assert (one is None) == (other is None)
        if one is not None:
            assert_close(one, other)


def test_cross_entropy_is_reported_whatever_the_loss():
    drawn = CountSampling(MASKED)(torch.randint(V, (4, L)), batch_noise(0, 0, 4))
    model, n = Factorized(Table(LOGITS), MASKED), int(drawn.noised.sum())
    result = model.weighted_loss(drawn, BoundIntegrand(MASKED), torch.ones(n))
    plain = model.weighted_loss(drawn, CrossEntropy(), torch.ones(n))
    assert_close(result.cross_entropy, plain.loss)
    kappa = MASKED.schedule.kappa(drawn.positions().t)
    assert_close(result.loss, plain.loss * kappa)


def test_half_precision_logits_are_normalized_in_single():
    model = LeaveOneOut(Table(LOGITS), NOISED)
    x, t = torch.tensor([0, 1, 2]), torch.full((3,), 0.999, dtype=torch.float64)
    log_q = model.conditionals(LOGITS.bfloat16(), Positions(x, x, t, range(len(x))))
    assert log_q.dtype == torch.float32
    assert_close(log_q.exp().sum(-1), torch.ones(3))


def test_a_data_parallel_wrapper_may_stand_in_for_the_net():
    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def forward(self, *inputs):
            return self.module(*inputs)

    net = Table(LOGITS)
    model = Factorized(net, Path(Mask(V), Linear()))
    drawn = CountSampling(model.path)(torch.zeros(2, L).long(), batch_noise(0, 0, 2))
    weight = torch.ones(int(drawn.noised.sum()))
    bare = model.weighted_loss(drawn, CrossEntropy(), weight).total
    model.net = Wrapper(net)
    assert torch.equal(model.weighted_loss(drawn, CrossEntropy(), weight).total, bare)
