"""Curvatures against second differences of the loss, and the condition against (2.2)."""

import pytest
import torch

from tcsm.bregman import bce, generalized_kl, hellinger
from tcsm.evaluation.curvature import Bend, condition, contrasts, laplacian
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.worlds.base import every
from tcsm.worlds.pairs import Pairs

WORLD = Pairs(2, 4, leak=0.1)


def loss(bend, log_q):
    """The population loss at all masked, by the list (2.3)."""
    x = every(bend.world.vocabulary, bend.world.length)
    near = bend.neighborhood.enumerate(x, torch.ones_like(x, dtype=torch.bool))
    place = bend.world.vocabulary ** torch.arange(x.shape[1] - 1, -1, -1)
    u = log_q[(near.apply(x) * place).sum(-1)] - log_q[:, None]
    return (bend.world.log_law.exp() * near.sum(bend.divergence.pair(u))).sum()


@pytest.mark.parametrize("divergence", [bce, generalized_kl, hellinger])
@pytest.mark.parametrize("size", [1, 2])
def test_the_curvature_is_the_second_difference_of_the_loss(divergence, size):
    bend, at = Bend(WORLD, HammingK(2, size), divergence), WORLD.log_law
    torch.manual_seed(0)
    v, step = torch.randn(16).double(), 1e-4
    up, here, down = (loss(bend, at + s * step * v) for s in (1, 0, -1))
    assert (v @ laplacian(bend) @ v).item() == pytest.approx(
        ((up - 2 * here + down) / step**2).item(), rel=1e-4
    )


def test_the_law_is_where_the_loss_is_least():
    bend = Bend(WORLD, HammingK(2, 2), bce)
    at = WORLD.log_law.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(bend, at), at)
    assert gradient.abs().max() < 1e-12


def test_with_bce_single_steps_are_as_badly_conditioned_as_the_leak_is_small():
    single, pairs = (
        [condition(Bend(Pairs(3, 4, leak), HammingK(3, size), bce)) for leak in (1e-2, 1e-3)]
        for size in (1, 2)
    )
    assert single[1] / single[0] == pytest.approx(10, rel=0.1)
    assert pairs[1] / pairs[0] < 1.5
    assert single[1] > 20 * pairs[1]


def test_contrasts_span_all_sums_over_pairs_of_sites():
    basis = contrasts(3, 3)
    assert basis.shape == (27, 6 + 12)
    assert torch.linalg.matrix_rank(torch.cat([basis, torch.ones(27, 1)], 1)) == 19
