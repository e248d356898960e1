"""Edits against strings cut and joined in Python."""

from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import bce
from tcsm.errors import InputError
from tcsm.neighborhoods.edit import Edit
from tcsm.noise import batch_noise
from tests.enumeration import sequences

V, L = 3, 4
ALL = torch.from_numpy(sequences(V, L))
SPANS = [[1, 1, 1, 1], [1, 1, 0, 1], [0, 1, 1, 1], [0, 1, 0, 0]]
spans = pytest.mark.parametrize("span", SPANS, ids=str)


def by_hand(x, span):
    """All results of all operations, with repetitions."""
    actual = Counter()
    for i in range(L):
        if not span[i]:
            continue
        end = next((j for j in range(i, L) if not span[j]), L)
        for v in range(V):
            actual[(*x[:i], v, *x[i : end - 1], *x[end:])] += 1
            actual[(*x[:i], *x[i + 1 : end], v, *x[end:])] += 1
    return actual


def listed(near, x, row):
    kept = near.weight[row] > 0
    return Counter(tuple(y) for y in near.apply(x)[row, kept].tolist())


@spans
def test_operations_are_insertions_and_deletions_inside_a_span(span):
    noised = torch.tensor(span).bool().expand(len(ALL), -1)
    near = Edit(V).enumerate(ALL, noised)
    for row in range(0, len(ALL), 7):
        assert listed(near, ALL, row) == by_hand(tuple(ALL[row].tolist()), span)
    assert_close(near.weight.sum(-1), torch.ones(len(ALL)).double())


@spans
def test_multiplicities_are_symmetric(span):
    """(6.7): insert(i, v) is undone by delete(i, x^e)."""
    noised = torch.tensor(span).bool().expand(len(ALL), -1)
    near, matrix = Edit(V).enumerate(ALL, noised), torch.zeros(len(ALL), len(ALL))
    place = (near.apply(ALL) * V ** torch.arange(L - 1, -1, -1)).sum(-1)
    matrix.scatter_add_(1, place, (near.weight > 0).float())
    assert torch.equal(matrix, matrix.T)
    assert Edit.symmetric
    if all(span):
        reached = torch.matrix_power((matrix > 0).float() + torch.eye(len(ALL)), L)
        assert (reached > 0).all()


def test_draws_are_operations_drawn_uniformly():
    x, noised = torch.tensor([[0, 2, 1, 1]]), torch.tensor([[True, True, False, True]])
    expected = by_hand((0, 2, 1, 1), noised[0].tolist())
    actual = listed(Edit(V).draw(x, noised, 9000, batch_noise(0, 0, 1)), x, 0)
    assert set(actual) == set(expected)
    for y, count in expected.items():
        assert abs(actual[y] / 9000 - count / 18) < 0.015


def test_sequence_loss_is_the_weighted_sum_over_operations():
    x, noised = torch.tensor([[0, 2, 1, 1]]), torch.tensor([[True, True, False, True]])
    log_q = torch.randn(3, V).double().log_softmax(-1)
    distribution = dict(zip((0, 1, 3), log_q, strict=True))
    expected = sum(
        count * bce.pair(sum(q[y[i]] - q[x[0, i]] for i, q in distribution.items()))
        for y, count in by_hand((0, 2, 1, 1), noised[0].tolist()).items()
    )
    actual = Edit(V).sequence_loss(bce, log_q, x, noised, batch_noise(0, 0, 1))
    assert_close(actual[0], expected / 18)


def test_nothing_open_and_refusal():
    x, closed = ALL[:1], torch.zeros(1, L).bool()
    for near in (Edit(V).enumerate(x, closed), Edit(V).draw(x, closed, 4, batch_noise(0, 0, 1))):
        assert (near.weight == 0).all()
        assert (near.apply(x) == x[:, None]).all()
    with pytest.raises(InputError, match=r"neighborhood\.vocabulary .*1"):
        Edit(1)
