"""Winners against the reference: the optimum is their distribution, by enumeration (10.6)."""

import pytest
import torch
from torch import nn
from torch.nn.functional import softplus
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.noise import Noise, batch_noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.preference import Winners
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import (
    bradley_terry,
    kernel,
    posterior_table,
    random_distribution,
    sequences,
)
from tests.tables import FixedCorruption, Table, corrupted

V, L = 3, 2
ALL = torch.from_numpy(sequences(V, L))
GENERATOR = torch.Generator().manual_seed(7)
SITES = torch.randn(L, V, generator=GENERATOR).double()
R = torch.randn(len(ALL), generator=GENERATOR).double()
P_W = torch.from_numpy(bradley_terry(random_distribution(V, L, 3).ravel(), R.numpy()).sum(1))
MASKED = Path(Mask(V), Linear())
COUNTED = CountSampling(MASKED)


def test_optimum_of_winners_is_their_distribution_whatever_the_reference():
    """Marginals of p_w at every x_t that masks can leave."""
    distribution = P_W.view(V, V).numpy()
    best = torch.from_numpy(posterior_table(distribution, kernel(0.4, V, masked=True))).log()
    masks = torch.tensor([[True, True], [True, False], [False, True]])
    x = ALL.repeat(3, 1)
    x_t = torch.where(masks.repeat_interleave(len(ALL), 0), V, x)
    drawn = corrupted(MASKED, x, x_t, torch.full((len(x),), 0.4))
    reference = Factorized(Table(torch.randn(L, V)), MASKED)
    winners = Winners(FixedCorruption(MASKED, drawn), OpenMean(), L, reference=reference)
    model = Factorized(Table(best, V + 1), MASKED)
    rows, weight = torch.cat([x, x.flip(0)], 1), P_W.repeat(3)
    terms = winners(model, rows, batch_noise(0, 0, len(x)), weight)
    terms["loss"].backward()
    assert model.net.logits.grad.abs().max() < 1e-12
    other = Factorized(Table(best + 0.1 * torch.randn_like(best), V + 1), MASKED)
    assert winners(other, rows, batch_noise(0, 0, len(x)), weight)["loss"] > terms["loss"]


def test_winners_are_held_against_every_draw_of_the_reference():
    """Σ_y q_ref(y) softplus(l(y)) is the mean over negatives (9.3)."""
    drawn = corrupted(MASKED, ALL, torch.full_like(ALL, V), torch.full((len(ALL),), 0.4))
    reference = Factorized(Table(SITES), MASKED)
    model = Factorized(Table(torch.randn(L, V, generator=GENERATOR)), MASKED)
    winners = Winners(FixedCorruption(MASKED, drawn), OpenMean(), L, reference=reference)
    loss = winners(model, ALL.repeat(1, 2), batch_noise(0, 0, len(ALL)))["loss"]
    log_r = model.net.logits.log_softmax(-1) - SITES.log_softmax(-1)
    negatives = (SITES.softmax(-1) * softplus(log_r)).sum(-1)
    by_hand = torch.stack([softplus(-log_r[i, ALL[:, i]]) + negatives[i] for i in range(L)])
    assert_close(loss, by_hand.mean())


def test_split_over_devices_the_mean_of_losses_is_the_whole():
    reference, model = Factorized(Table(SITES), MASKED), Factorized(Table(SITES.flip(0)), MASKED)
    winners = Winners(COUNTED, OpenMean(), L, reference=reference)
    rows = ALL.repeat(1, 2)[:8]
    whole = winners(model, rows, batch_noise(1, 2, 8))["loss"]
    parts = [
        winners(model, rows[k::2], Noise(1, 2, torch.arange(8)[k::2], 8))["loss"] for k in range(2)
    ]
    assert_close(sum(parts) / 2, whole)


def test_winners_need_pairs_a_posterior_and_a_reference():
    model, noise = Factorized(Table(SITES), MASKED), batch_noise(0, 0, len(ALL))
    winners, rows = Winners(COUNTED, OpenMean(), L), ALL.repeat(1, 2)
    with pytest.raises(InputError, match=r"a pair is a row of 4 tokens.*found 2"):
        winners(model, ALL, noise)
    with pytest.raises(InputError, match="reference: found null"):
        winners(model, rows, noise)
    with pytest.raises(InputError, match=r"needs a posterior .*found Identity"):
        winners.attach(model)(nn.Identity(), rows, noise)
