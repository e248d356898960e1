"""Contrast with the reference: EDLM's loss, and an optimum that normalizes itself."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, hellinger
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.density_ratio import NoiseContrastive
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import random_distribution, sequences
from tests.tables import Table, TableEnergy, corrupted, loss_at

V = L = 3
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
CORRUPTION = CountSampling(PATH)


@pytest.mark.parametrize("divergence", [bce, generalized_kl, hellinger])
def test_optimum_is_the_normalized_log_ratio(divergence):
    """(9.1), by enumeration: E = log(q_ref/p), without a free constant."""
    p = torch.from_numpy(random_distribution(V, L, 0)).flatten()
    log_ref = torch.randn(len(ALL)).double().log_softmax(-1)
    objective = NoiseContrastive(CORRUPTION, OpenMean(), divergence)

    def expected(energy):
        at_data = torch.zeros(len(ALL)).double()
        ref = objective.contrast(at_data, -energy[:, None])  # −F′(1) in the place of data
        data = objective.contrast(-energy, at_data[:, None])
        return (log_ref.exp() * ref + p * data).sum()

    best = (log_ref - p.log()).requires_grad_()
    (gradient,) = torch.autograd.grad(expected(best), best)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-10, rtol=0)
    for shift in (torch.randn(len(ALL)).double(), torch.full((len(ALL),), 0.3).double()):
        assert expected(best + shift) > expected(best)


def test_with_bce_it_is_the_contrast_of_edlm():
    model = Joint(TableEnergy(torch.randn(V, V, V)), Factorized(Table(torch.randn(L, V)), PATH))
    x_t = torch.full_like(ALL, V)
    x_t[:, 1] = ALL[:, 1]
    drawn = corrupted(PATH, ALL, x_t, torch.full((len(ALL),), 0.5))
    fields = {"divergence": bce, "weighting": OpenMean(), "negatives": 3}
    loss = loss_at(NoiseContrastive, model, drawn, **fields)
    noise = batch_noise(0, 0, len(ALL))
    negatives = model.candidates(drawn.x_t, drawn.t, drawn.noised, 3, noise)
    assert (negatives[..., 1] == ALL[:, None, 1]).all()
    energy = model.net.energy
    by_hand = softplus(energy.flatten()) + softplus(-energy[negatives.unbind(-1)]).mean(-1)
    assert_close(loss, by_hand.mean())


def test_refusals():
    with pytest.raises(InputError, match=r"objective\.negatives .*0"):
        NoiseContrastive(CORRUPTION, OpenMean(), bce, negatives=0)
    objective = NoiseContrastive(CORRUPTION, OpenMean(), bce)
    with pytest.raises(InputError, match="nce needs model=joint, found Identity"):
        objective(nn.Identity(), ALL, batch_noise(0, 0, len(ALL)))
