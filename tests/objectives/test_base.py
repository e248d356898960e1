import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.scoring_rules import KL
from tcsm.models.factorized import Factorized
from tcsm.noise import Noise, batch_noise
from tcsm.objectives.base import Likelihood, OpenMean, SequenceMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.tables import Table, corrupted, loss_at

V, L = 3, 4
PATH = Path(Mask(V), Linear())
X = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0], [1, 1, 1, 1]])
X_T = torch.tensor([[3, 1, 3, 3], [3, 2, 1, 0], [1, 1, 1, 1]])
DRAWN = corrupted(PATH, X, X_T, torch.tensor([0.2, 0.5, 0.9]))
LOGITS = torch.randn(L, V, generator=torch.Generator().manual_seed(3)).double()


@pytest.mark.parametrize(
    ("weighting", "expected"),
    [
        (OpenMean(), [1 / 3, 1.0, 1.0]),
        (SequenceMean(), [1 / 4] * 3),
        (Likelihood(), [1 / 0.8 / 4, 1 / 0.5 / 4, 1 / 0.1 / 4]),
    ],
)
def test_loss_is_the_weighted_sum_over_noised_positions(weighting, expected):
    assert_close(weighting(DRAWN), torch.tensor(expected).double(), rtol=1e-6, atol=0)
    nats = -LOGITS.log_softmax(-1)
    by_hand = sum(
        expected[row] * nats[position, X[row, position]]
        for row in range(3)
        for position in range(L)
        if X_T[row, position] == V
    )
    model = Factorized(Table(LOGITS), PATH)
    loss = loss_at(DistributionMatching, model, DRAWN, scoring=KL(), weighting=weighting)
    assert_close(loss, by_hand / 3, rtol=1e-6, atol=0)


@pytest.mark.parametrize("corruption", [TimeSampling(PATH), CountSampling(PATH)], ids=str)
def test_split_over_devices_the_mean_of_losses_is_the_whole(corruption):
    objective = DistributionMatching(corruption=corruption, weighting=Likelihood(), scoring=KL())
    model, x = Factorized(Table(LOGITS), PATH), torch.randint(V, (12, L))
    whole = objective(model, x, batch_noise(1, 2, 12))["loss"]
    parts = [
        objective(model, x[rank::3], Noise(1, 2, torch.arange(12)[rank::3], 12))["loss"]
        for rank in range(3)
    ]
    assert_close(sum(parts) / 3, whole)


def test_diagnostics_are_plain_numbers():
    objective = DistributionMatching(
        corruption=CountSampling(PATH), weighting=OpenMean(), scoring=KL()
    )
    terms = objective(Factorized(Table(LOGITS), PATH), X, batch_noise(0, 0, 3))
    assert set(terms) == {"loss", "cross_entropy", "open"}
    assert all(value.dim() == 0 for value in terms.values())
    assert [name for name, value in terms.items() if value.requires_grad] == ["loss"]
    drawn = CountSampling(PATH)(X, batch_noise(0, 0, 3))
    assert terms["open"] == drawn.noised.double().mean()
    nats = -LOGITS.log_softmax(-1).expand(3, L, V).gather(-1, X[..., None])[..., 0]
    assert_close(terms["cross_entropy"], nats[drawn.noised].mean())


def test_a_batch_without_noised_positions_has_a_loss_of_zero():
    clean = corrupted(PATH, X, X, torch.ones(3) * 0.99)
    model = Factorized(Table(LOGITS), PATH)
    loss = loss_at(DistributionMatching, model, clean, scoring=KL(), weighting=OpenMean())
    loss.backward()
    assert loss == 0
    assert (model.net.logits.grad == 0).all()
