from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, hellinger
from tcsm.errors import InputError
from tcsm.neighborhoods.base import Neighbors, PerPosition
from tcsm.neighborhoods.hamming import Hamming
from tcsm.noise import batch_noise

V, L = 3, 4
X = torch.tensor([[0, 1, 2, 0], [2, 2, 0, 1]])
OPEN = torch.tensor([[True, False, True, True], [False, True, False, False]])


def listed(near, x, row):
    return [
        tuple(y)
        for y, good in zip(near.apply(x)[row].tolist(), near.weight[row] > 0, strict=True)
        if good
    ]


def test_ball_is_every_sequence_at_distance_one_on_noised_positions():
    near = Hamming(V).enumerate(X, OPEN)
    for row in range(2):
        ball = listed(near, X, row)
        expected = {
            tuple(y)
            for y in torch.cartesian_prod(*[torch.arange(V)] * L).tolist()
            if sum(a != b for a, b in zip(y, X[row].tolist(), strict=True)) == 1
            and all(
                a == b or free
                for a, b, free in zip(y, X[row].tolist(), OPEN[row].tolist(), strict=True)
            )
        }
        assert set(ball) == expected
        assert len(ball) == len(expected) == (V - 1) * int(OPEN[row].sum())


@given(st.integers(0, V**L - 1))
def test_ball_is_symmetric_and_holds_not_its_center(number):
    every = torch.cartesian_prod(*[torch.arange(V)] * L)
    x, everywhere = every[number : number + 1], torch.ones(1, L, dtype=torch.bool)
    ball = Hamming(V)
    assert ball.symmetric
    for y in listed(ball.enumerate(x, everywhere), x, 0):
        assert y != tuple(x[0].tolist())
        back = torch.tensor([y])
        assert tuple(x[0].tolist()) in listed(ball.enumerate(back, everywhere), back, 0)


def test_log_ratio_under_a_product_distribution_is_a_difference_of_log_probabilities():
    log_q = torch.randn(2, L, V, dtype=torch.float64).log_softmax(-1)
    near = Hamming(V).enumerate(X, OPEN)

    def log_prob(x):
        return log_q.gather(-1, x[..., None]).sum((1, 2))

    ratios = near.log_ratio(log_q, X)
    for j, y in enumerate(near.apply(X).unbind(1)):
        assert_close(ratios[:, j], log_prob(y) - log_prob(X))


def test_neighbors_may_rewrite_several_positions():
    near = Neighbors(
        positions=torch.tensor([[[0, 3]], [[1, 2]]]),
        tokens=torch.tensor([[[2, 1]], [[0, 0]]]),
        weight=torch.ones(2, 1, dtype=torch.float64),
    )
    assert near.apply(X)[:, 0].tolist() == [[2, 1, 2, 1], [2, 0, 0, 1]]
    log_q = torch.randn(2, L, V, dtype=torch.float64)
    expected = log_q[0, 0, 2] - log_q[0, 0, 0] + log_q[0, 3, 1] - log_q[0, 3, 0]
    assert_close(near.log_ratio(log_q, X)[0, 0], expected)


@pytest.mark.parametrize("divergence", [generalized_kl, bce, hellinger])
def test_sum_over_listed_neighbors_is_the_closed_form_of_the_positions(divergence):
    log_q = torch.randn(2, L, V, dtype=torch.float64).log_softmax(-1)
    ball = Hamming(V)
    near = ball.enumerate(X, OPEN)
    listed = near.sum(divergence.pair(near.log_ratio(log_q, X)))
    for row in range(2):
        positions = ball.position_loss(divergence, log_q[row, OPEN[row]], X[row, OPEN[row]])
        assert_close(listed[row], positions.mean())
    whole = ball.sequence_loss(divergence, log_q[OPEN], X, OPEN, batch_noise(0, 0, 2))
    assert_close(whole, listed)


def test_drawn_neighbors_are_unbiased():
    """Every draw is one of the list, as often as its weight says; the total stays."""
    near = Hamming(V).enumerate(X[:1], OPEN[:1])
    drawn = Hamming(V).draw(X[:1], OPEN[:1], 6000, batch_noise(0, 0, 1))
    assert_close(drawn.weight.sum(-1), near.weight.sum(-1))
    expected = {y: near.weight.max() for y in listed(near, X, 0)}
    actual = Counter(listed(drawn, X, 0))
    assert set(actual) == set(expected)
    for y, count in actual.items():
        assert abs(count * drawn.weight[0, 0] / expected[y] - 1) < 5 * (len(actual) / 6000) ** 0.5


def test_any_label_is_the_mean_over_labels():
    log_q = torch.randn(4, V, dtype=torch.float64).log_softmax(-1)
    ball = Hamming(V)
    assert_close(
        ball.any_label_loss(hellinger, log_q), PerPosition.any_label_loss(ball, hellinger, log_q)
    )


def test_sum_over_nothing_is_zero():
    closed = torch.zeros_like(OPEN)
    for near in (
        Hamming(V).enumerate(X, closed),
        Hamming(V).draw(X, closed, 5, batch_noise(0, 0, 2)),
    ):
        assert near.sum(torch.full(near.weight.shape, torch.nan)).tolist() == [0, 0]


def test_refusal():
    with pytest.raises(InputError, match=r"neighborhood\.vocabulary .*1"):
        Hamming(1)
