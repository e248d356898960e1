import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from tcsm.divergences.symmetric import NOTHING, Blocks, log_symmetric
from tests.operations import Counted

OPEN = torch.tensor([[True, False, True, True, True], [False, True, False, False, True]])
OPEN = torch.cat([OPEN, torch.zeros(1, 5, dtype=torch.bool)])


def by_definition(m, degree):
    """e_j: the sum over j-subsets of their products."""
    return [
        sum(math.prod(block) for block in itertools.combinations(m, j)) for j in range(degree + 1)
    ]


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=9), st.integers(1, 4))
def test_symmetric_polynomials_by_their_definition(log_m, degree):
    actual = log_symmetric(torch.tensor([log_m], dtype=torch.float64), degree)[0].exp()
    expected = by_definition([math.exp(value) for value in log_m], degree)
    assert_close(actual, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=0)


def test_gradient_of_a_coefficient_is_the_coefficient_without_the_factor():
    log_m = torch.randn(1, 6, dtype=torch.float64).requires_grad_()
    log_symmetric(log_m, 3)[0, 3].exp().backward()
    m = log_m.detach()[0].exp().tolist()
    expected = [m[i] * by_definition(m[:i] + m[i + 1 :], 2)[2] for i in range(6)]
    assert_close(log_m.grad[0], torch.tensor(expected).double())


def test_logs_neither_overflow_nor_vanish():
    for level in (2000.0, -2000.0):
        actual = log_symmetric(torch.full((1, 5), level), 3)[0]
        assert_close(actual[3], torch.tensor(3 * level + math.log(10)))


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
def test_mean_of_products_over_all_blocks(limit):
    """Over all noised positions where they are fewer than k; a visible one is in no block."""
    blocks = Blocks(OPEN, limit)
    assert blocks.sizes().tolist() == [min(limit, 4), min(limit, 2), 0]
    values = torch.randn(int(OPEN.sum()), dtype=torch.float64).requires_grad_()
    products, sums = blocks.log_mean_of_products(values), blocks.mean_of_sums(values)
    start = 0
    for row, count in enumerate(OPEN.sum(-1).tolist()):
        here = values[start : start + count]
        listed = [here[list(b)] for b in itertools.combinations(range(count), min(limit, count))]
        start += count
        assert_close(products[row], torch.stack([b.exp().prod() for b in listed]).mean().log())
        assert_close(sums[row], torch.stack([b.sum() for b in listed]).mean())
    products.sum().backward()
    assert values.grad.isfinite().all()


def test_cost_is_the_number_of_factors_times_the_degree():
    """Forward and backward; squared degrees would cost four times as much for twice the degree."""

    def cost(n, degree):
        with Counted() as seen:
            log_symmetric(torch.zeros(1, n).requires_grad_(), degree)[0, degree].backward()
        return seen.total

    for n, degree in ((64, 4), (128, 4), (128, 16)):
        assert cost(2 * n, degree) < 2.1 * cost(n, degree)
        assert cost(n, 2 * degree) < 2.1 * cost(n, degree)
        assert cost(n, degree) < 60 * n * degree


def test_what_is_not_there_stays_nothing():
    assert log_symmetric(torch.zeros(1, 2), 3)[0, 3] <= NOTHING / 2
