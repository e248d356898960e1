"""Means of log cosh by cosines against all blocks and rewritings, one by one."""

import itertools
import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.cosines import mean_log_cosh
from tcsm.divergences.symmetric import Blocks

OPEN = torch.tensor([[1, 0, 1, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0]]).bool()
V = torch.randn(5, 3, generator=torch.Generator().manual_seed(5)).double()


def listed(v, size):
    """log cosh(u/2) of every block and rewriting."""
    result, start = [], 0
    for count in OPEN.sum(-1).tolist():
        here, start = v[start : start + count], start + count
        blocks = itertools.combinations(range(count), min(size, count))
        sums = [
            sum(here[i, y] for i, y in zip(block, word, strict=True)) + torch.zeros(()).double()
            for block in blocks
            for word in itertools.product(range(3), repeat=len(block))
        ]
        u = torch.stack(sums).abs()
        result.append((u / 2 + torch.log1p((-u).exp()) - math.log(2)).mean())
    return torch.stack(result)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize(("scale", "tolerance"), [(0, 1e-10), (1, 1e-10), (10, 1e-9), (300, 0.02)])
def test_value_and_gradient_are_those_of_the_list(scale, tolerance, size):
    """Also of models so sure that the cosines are too few: near, and finite."""
    actual, expected = ((scale * V).requires_grad_() for _ in range(2))
    values, by_hand = mean_log_cosh(actual, Blocks(OPEN, size)), listed(expected, size)
    assert_close(values, by_hand, atol=tolerance, rtol=tolerance)
    values.sum().backward()
    by_hand.sum().backward()
    assert_close(actual.grad, expected.grad, atol=tolerance, rtol=0)
