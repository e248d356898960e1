"""Curvatures against second differences of the loss, and the condition against (2.2)."""

import pytest
import torch

from tcsm.divergences.bregman import bce, generalized_kl, hellinger
from tcsm.evaluation.curvature import LossHessian, condition, contrasts, laplacian
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.toy.base import all_sequences
from tcsm.toy.pairs import Pairs

WORLD = Pairs(2, 4, leak=0.1)


def loss(hessian, log_q):
    """The population loss at all masked, by the list (2.3)."""
    x = all_sequences(hessian.world.vocabulary, hessian.world.length)
    near = hessian.neighborhood.enumerate(x, torch.ones_like(x, dtype=torch.bool))
    place = hessian.world.vocabulary ** torch.arange(x.shape[1] - 1, -1, -1)
    u = log_q[(near.apply(x) * place).sum(-1)] - log_q[:, None]
    return (hessian.world.log_p.exp() * near.sum(hessian.divergence.pair(u))).sum()


@pytest.mark.parametrize("divergence", [bce, generalized_kl, hellinger])
@pytest.mark.parametrize("size", [1, 2])
def test_the_curvature_is_the_second_difference_of_the_loss(divergence, size):
    hessian, at = LossHessian(WORLD, HammingK(2, size), divergence), WORLD.log_p
    torch.manual_seed(0)
    v, step = torch.randn(16).double(), 1e-4
    up, here, down = (loss(hessian, at + s * step * v) for s in (1, 0, -1))
    assert (v @ laplacian(hessian) @ v).item() == pytest.approx(
        ((up - 2 * here + down) / step**2).item(), rel=1e-4
    )


def test_the_distribution_is_where_the_loss_is_least():
    hessian = LossHessian(WORLD, HammingK(2, 2), bce)
    at = WORLD.log_p.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(hessian, at), at)
    assert gradient.abs().max() < 1e-12


def test_with_bce_single_steps_are_as_badly_conditioned_as_the_leak_is_small():
    single, pairs = (
        [
            condition(LossHessian(Pairs(3, 4, leak), HammingK(3, size), bce))
            for leak in (1e-2, 1e-3)
        ]
        for size in (1, 2)
    )
    assert single[1] / single[0] == pytest.approx(10, rel=0.1)
    assert pairs[1] / pairs[0] < 1.5
    assert single[1] > 20 * pairs[1]


def test_contrasts_span_all_sums_over_pairs_of_positions():
    basis = contrasts(3, 3)
    assert basis.shape == (27, 6 + 12)
    assert torch.linalg.matrix_rank(torch.cat([basis, torch.ones(27, 1)], 1)) == 19
