"""Closed forms over blocks against all rewritings, one by one; draws against both."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import (
    Power,
    bce,
    generalized_kl,
    hellinger,
    itakura_saito,
    lsif,
    neyman,
    pearson,
)
from tcsm.divergences.cosines import NODES
from tcsm.errors import InputError
from tcsm.neighborhoods.hamming import Hamming
from tcsm.neighborhoods.hamming_k import HammingK, SampledHammingK
from tcsm.noise import batch_noise
from tests.operations import Counted

V, L = 3, 5
X = torch.tensor([[0, 1, 2, 0, 1], [2, 2, 0, 1, 0], [1, 1, 1, 1, 1]])
OPEN = torch.tensor([[1, 0, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
LOG_Q = torch.randn(5, V, generator=torch.Generator().manual_seed(5)).double().log_softmax(-1)
NOISE = batch_noise(0, 0, 3)
DIVERGENCES = {
    "gkl": generalized_kl,
    "is": itakura_saito,
    "lsif": lsif,
    "pearson": pearson,
    "neyman": neyman,
    "bce": bce,
    "hellinger": hellinger,
    "power 0.3": Power(0.3),
}
every = pytest.mark.parametrize("name", DIVERGENCES)
sizes = pytest.mark.parametrize("size", [1, 2, 3])


def brute_force(divergence, log_q, size):
    """(6.1) word by word."""
    rows, start, result = log_q, 0, []
    for x, noised in zip(X, OPEN, strict=True):
        labels = x[noised].tolist()
        here, start = rows[start : start + len(labels)], start + len(labels)
        k = min(size, len(labels))
        total, blocks = torch.zeros(()).double(), 0
        for block in itertools.combinations(range(len(labels)), k):
            blocks += 1
            for y in itertools.product(range(V), repeat=k):
                u = sum(here[i, a] - here[i, labels[i]] for i, a in zip(block, y, strict=True))
                if k:
                    total = total + divergence.pair(u) / V**k
        result.append(total / blocks / max(1, k))
    return torch.stack(result)


@every
@sizes
def test_closed_form_is_the_mean_over_all_blocks(name, size):
    """Value and gradient, also where fewer positions are open than a block has, or none."""
    actual, expected = (LOG_Q.clone().requires_grad_() for _ in range(2))
    ball = HammingK(V, size)
    values = ball.sequence_loss(DIVERGENCES[name], actual, X, OPEN, NOISE)
    by_hand = brute_force(DIVERGENCES[name], expected, size)
    assert_close(values, by_hand)
    weight = torch.tensor([1.0, -2.0, 3.0]).double()
    (weight * values).sum().backward()
    (weight * by_hand).sum().backward()
    assert_close(actual.grad, expected.grad)


@every
@sizes
def test_the_list_is_the_closed_form(name, size):
    ball, distribution = HammingK(V, size), torch.zeros(3, L, V).double()
    distribution[OPEN] = LOG_Q
    near = ball.enumerate(X, OPEN)
    listed = near.sum(DIVERGENCES[name].pair(near.log_ratio(distribution, X)))
    assert_close(listed, ball.sequence_loss(DIVERGENCES[name], LOG_Q, X, OPEN, NOISE))
    moved = near.apply(X) != X[:, None]
    assert not (moved & ~OPEN[:, None]).any()


@pytest.mark.parametrize("name", ["gkl", "bce", "hellinger"])
def test_cost_is_positions_times_tokens_times_size_at_most(name):
    """Numbers written forward and backward: twice of one size doubles them, nothing squares."""

    def cost(n, vocabulary, size):
        log_q = torch.zeros(n, vocabulary).log_softmax(-1).requires_grad_()
        x, noised = torch.zeros(1, n, dtype=torch.long), torch.ones(1, n).bool()
        ball = HammingK(vocabulary, size)
        with Counted() as seen:
            ball.sequence_loss(
                DIVERGENCES[name], log_q, x, noised, batch_noise(0, 0, 1)
            ).backward()
        return seen.total

    usual = cost(64, 40, 4)
    assert max(cost(128, 40, 4), cost(64, 80, 4), cost(64, 40, 8)) < 2.1 * usual
    assert usual < (40 * NODES if name == "bce" else 40) * 64 * 40


@every
def test_one_position_a_block_is_the_ball(name):
    actual, expected = (
        ball.sequence_loss(DIVERGENCES[name], LOG_Q, X, OPEN, NOISE)
        for ball in (HammingK(V, 1), Hamming(V))
    )
    assert_close(actual, expected)


def estimates(ball, divergence, runs, log_q):
    """Many independent estimates of one value, and its gradient."""
    log_q = log_q.clone().requires_grad_()
    x, noised = X[:1].expand(runs, -1), OPEN[:1].expand(runs, -1)
    rows = log_q[: int(OPEN[0].sum())].repeat(runs, 1)
    values = ball.sequence_loss(divergence, rows, x, noised, batch_noise(1, 0, runs))
    values.mean().backward()
    return values.detach(), log_q.grad


def exact(divergence, size):
    log_q = LOG_Q.clone().requires_grad_()
    value = HammingK(V, size).sequence_loss(divergence, log_q, X, OPEN, NOISE)[0]
    value.backward()
    return value.detach(), log_q.grad


@pytest.mark.parametrize("name", ["bce", "hellinger", "gkl"])
@sizes
def test_importance_weights_are_unbiased_in_value_and_gradient(name, size):
    runs = 4000
    ball = SampledHammingK(V, size, draws=8)
    values, gradient = estimates(ball, DIVERGENCES[name], runs, LOG_Q)
    value, expected = exact(DIVERGENCES[name], size)
    error = values.std() / runs**0.5
    assert error < 0.1
    assert abs(values.mean() - value) < 4 * error
    assert_close(gradient, expected, atol=8 * error.item(), rtol=0)


@pytest.mark.parametrize("name", ["bce", "hellinger", "gkl"])
@sizes
def test_drawn_blocks_are_unbiased_in_value_and_gradient(name, size):
    runs, distribution = 20000, torch.zeros(1, L, V).double()
    distribution[:, OPEN[0]] = LOG_Q[:4]
    distribution.requires_grad_()
    near = HammingK(V, size).draw(X[:1], OPEN[:1], runs, batch_noise(2, 0, 1))
    each = DIVERGENCES[name].pair(near.log_ratio(distribution, X[:1]))
    near.sum(each).sum().backward()
    value, expected = exact(DIVERGENCES[name], size)
    error = (each.std() / size / runs**0.5).item()
    assert abs(near.sum(each)[0] - value) < 4 * error
    assert_close(distribution.grad[0, OPEN[0]], expected[:4], atol=8 * error, rtol=0)


def test_blocks_are_drawn_uniformly_and_whole():
    near = HammingK(V, 2).draw(X, OPEN, 3000, NOISE)
    pairs = near.positions[0].sort(-1).values
    counts = pairs.unique(dim=0, return_counts=True)
    assert counts[0].tolist() == [list(b) for b in itertools.combinations([0, 2, 3, 4], 2)]
    assert (counts[1] / 500 - 1).abs().max() < 0.2
    assert (near.apply(X)[2] == X[2]).all()
    assert (near.apply(X)[1] != X[1]).any(0).tolist() == OPEN[1].tolist()


def test_weights_tame_the_variance_of_bce():
    """(6.2): √q beats uniform rewritings under peaked distributions, labels being likely ones."""
    distribution = (4 * torch.randn(1, L, 20).double()).log_softmax(-1)
    x, noised = distribution.argmax(-1), torch.ones(1, L).bool()
    sampled, noise = SampledHammingK(20, 2, draws=5000), batch_noise(0, 0, 1)
    spread = [
        (5000 * near.weight * torch.nn.functional.softplus(near.log_ratio(distribution, x))).std()
        for near in (
            sampled.propose(distribution, x, noised, noise),
            sampled.draw(x, noised, 5000, noise),
        )
    ]
    assert 2 * spread[0] < spread[1]


@sizes
def test_tokens_are_drawn_by_the_root_of_q_and_weighed_by_what_they_were_drawn_by(size):
    """(6.2): g = ∏ √q/Z and 1/(V^k g), against both by hand."""
    draws, distribution = 20000, torch.zeros(1, L, V).double()
    distribution[:, OPEN[0]] = LOG_Q[:4]
    ball = SampledHammingK(V, size, draws)
    near = ball.propose(distribution, X[:1], OPEN[:1], batch_noise(3, 0, 1))
    root = distribution[0].exp().sqrt()
    g = root / root.sum(-1, keepdim=True)
    positions, tokens = near.positions[0], near.tokens[0]
    chance = g[positions, tokens].prod(-1)
    assert_close(near.weight[0], 1 / (draws * size * V**size * chance))
    for position in OPEN[0].nonzero().flatten():
        drawn = tokens[positions == position]
        share = torch.bincount(drawn, minlength=V) / len(drawn)
        assert ((share - g[position]).abs() < 4 * (g[position] / len(drawn)).sqrt()).all()


def test_refusals():
    with pytest.raises(InputError, match=r"neighborhood\.vocabulary .*1"):
        HammingK(1, 2)
    with pytest.raises(InputError, match=r"neighborhood\.size .*0"):
        HammingK(V, 0)
    with pytest.raises(InputError, match=r"neighborhood\.draws .*0"):
        SampledHammingK(V, 2, draws=0)
    with pytest.raises(InputError, match="too many to list"):
        HammingK(100, 4).enumerate(X, OPEN)
