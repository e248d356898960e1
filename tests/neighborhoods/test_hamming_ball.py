"""Each neighbor once: the list, the closed form and the draws against all sequences."""

import itertools

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, hellinger, itakura_saito, lsif
from tcsm.neighborhoods.hamming import Hamming
from tcsm.neighborhoods.hamming_ball import HammingBall
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.noise import batch_noise

V, L = 3, 4
X = torch.tensor([[0, 1, 2, 0], [2, 2, 0, 1], [1, 1, 1, 1], [2, 0, 1, 1]])
OPEN = torch.tensor([[1, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1]]).bool()
COUNT = int(OPEN.sum())
LOG_Q = torch.randn(COUNT, V, generator=torch.Generator().manual_seed(5)).double().log_softmax(-1)
NOISE = batch_noise(0, 0, len(X))
DIVERGENCES = {
    "gkl": generalized_kl,
    "is": itakura_saito,
    "lsif": lsif,
    "bce": bce,
    "hellinger": hellinger,
}
every = pytest.mark.parametrize("name", DIVERGENCES)
sizes = pytest.mark.parametrize("size", [1, 2, 3])


def neighbors(x, noised, size):
    """All y at a distance of 1 … k from x, with the visible positions of x."""
    every = itertools.product(
        *[range(V) if free else [v] for v, free in zip(x, noised, strict=True)]
    )
    apart = {y: sum(a != b for a, b in zip(x, y, strict=True)) for y in every}
    return [y for y, d in apart.items() if 1 <= d <= size]


def brute_force(divergence, log_q, size):
    spread = torch.zeros(len(X), L, V).double().masked_scatter(OPEN[..., None], log_q)
    result = []
    for x, noised, rows in zip(X.tolist(), OPEN.tolist(), spread, strict=True):
        k = max(1, min(size, sum(noised)))
        ball = neighbors(x, noised, size)
        u = [sum(rows[i, y[i]] - rows[i, x[i]] for i in range(L)) for y in ball]
        terms = divergence.pair(torch.stack(u)) if u else torch.zeros(1).double()
        result.append(terms.mean() * (1 - V**-k) / k)
    return torch.stack(result)


@every
@sizes
def test_the_closed_form_is_the_mean_over_all_neighbors(name, size):
    """Value and gradient, also where fewer positions are open than k, or none."""
    found, expected = (LOG_Q.clone().requires_grad_() for _ in range(2))
    values = HammingBall(V, size).sequence_loss(DIVERGENCES[name], found, X, OPEN, NOISE)
    by_hand = brute_force(DIVERGENCES[name], expected, size)
    assert_close(values, by_hand)
    weight = torch.tensor([1.0, -2.0, 3.0, 0.5]).double()
    (weight * values).sum().backward()
    (weight * by_hand).sum().backward()
    assert_close(found.grad, expected.grad)


@sizes
def test_the_list_has_each_neighbor_once(size):
    near = HammingBall(V, size).enumerate(X, OPEN)
    for row, (x, noised) in enumerate(zip(X.tolist(), OPEN.tolist(), strict=True)):
        weight: dict[tuple[int, ...], float] = {}
        for y, w in zip(near.apply(X)[row].tolist(), near.weight[row].tolist(), strict=True):
            if w:
                weight[tuple(y)] = weight.get(tuple(y), 0) + w
        ball = neighbors(x, noised, size)
        assert sorted(weight) == sorted(ball)
        k = min(size, sum(noised))
        assert_close(list(weight.values()), [(1 - V**-k) / k / len(ball) for _ in ball])


@sizes
def test_draws_are_uniform_over_the_ball(size):
    draws = 20000
    near = HammingBall(V, size).draw(X, OPEN, draws, NOISE)
    drawn = near.apply(X)
    for row, (x, noised) in enumerate(zip(X.tolist(), OPEN.tolist(), strict=True)):
        ball = neighbors(x, noised, size)
        if not ball:
            assert not near.weight[row].any()
            assert (drawn[row] == X[row]).all()
            continue
        found, counts = drawn[row].unique(dim=0, return_counts=True)
        assert sorted(map(tuple, found.tolist())) == sorted(ball)
        share = counts * len(ball) / draws
        assert (share - 1).abs().max() < 5 * (len(ball) / draws) ** 0.5
        k = min(size, sum(noised))
        assert near.weight[row].sum().item() == pytest.approx((1 - V**-k) / k)


@every
def test_one_position_is_the_ball_of_hamming(name):
    found, expected = (
        ball.sequence_loss(DIVERGENCES[name], LOG_Q, X, OPEN, NOISE)
        for ball in (HammingBall(V, 1), Hamming(V))
    )
    assert_close(found, expected)


def test_it_is_not_the_mean_over_blocks():
    """Of one total weight, but spread otherwise."""
    once, blocks = (ball(V, 2).enumerate(X, OPEN) for ball in (HammingBall, HammingK))
    other = blocks.weight * (blocks.apply(X) != X[:, None]).any(-1)
    assert_close(once.weight.sum(-1), other.sum(-1))
    found, expected = (
        ball(V, 2).sequence_loss(bce, LOG_Q, X, OPEN, NOISE) for ball in (HammingBall, HammingK)
    )
    assert (found - expected).abs().max() > 1e-3
