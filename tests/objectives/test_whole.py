"""Full neighborhoods of factorized posteriors: equal to per-position losses; their optima."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, hellinger
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.neighborhoods.hamming import Hamming
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.noise import batch_noise
from tcsm.objectives.base import Likelihood, OpenMean
from tcsm.objectives.score_matching import FullScoreMatching, ScoreMatching
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
P_1 = random_distribution(V, L, 0)
off = pytest.mark.filterwarnings("ignore:score matching over")


def expected(neighborhood, divergence, logits):
    """E_{x₁ ∼ p₁} of the objective with all positions masked, and its gradient by the logits."""
    model = Factorized(Table(logits), PATH)
    drawn = corrupted(PATH, ALL, torch.full_like(ALL, V), torch.full((len(ALL),), 0.5))
    weight = torch.from_numpy(P_1).flatten() * len(ALL)
    fields = {"divergence": divergence, "neighborhood": neighborhood, "weighting": OpenMean()}
    loss = loss_at(FullScoreMatching, model, drawn, weight, **fields)
    return loss, torch.autograd.grad(loss, model.net.logits)[0]


@pytest.mark.parametrize("weighting", [OpenMean(), Likelihood()])
def test_over_the_ball_it_is_score_matching_position_by_position(weighting):
    x_1 = torch.randint(V, (8, L))
    model = Factorized(Table(torch.randn(L, V)), PATH)
    fields = {"divergence": bce, "neighborhood": Hamming(V), "weighting": weighting}
    whole, positions = (
        kind(corruption=CountSampling(PATH), **fields)(model, x_1, batch_noise(0, 0, 8))
        for kind in (FullScoreMatching, ScoreMatching)
    )
    assert whole.keys() == positions.keys()
    for name, term in positions.items():
        assert_close(whole[name], term, rtol=1e-6, atol=1e-6)


@off
@pytest.mark.parametrize("divergence", [generalized_kl, bce, hellinger])
def test_larger_blocks_leave_the_marginals(divergence):
    """(2.5): the gradient at the marginals vanishes for k = 1 and for no larger k."""
    at = torch.from_numpy(marginals(P_1)).log()
    for size, far in ((1, False), (2, True), (3, True)):
        gradient = expected(HammingK(V, size), divergence, at)[1]
        assert (gradient.abs().max() > 1e-3) == far


def test_a_warning_says_so_and_the_ball_is_silent(recwarn):
    fields = {"corruption": CountSampling(PATH), "weighting": OpenMean(), "divergence": bce}
    FullScoreMatching(**fields, neighborhood=Hamming(V))
    FullScoreMatching(**fields, neighborhood=HammingK(V, 1))
    assert not recwarn.list
    with pytest.warns(UserWarning, match=r"HammingK moves a factorized posterior off the marg"):
        FullScoreMatching(**fields, neighborhood=HammingK(V, 2))


@off
def test_refusals():
    class Directed(Hamming):
        symmetric = False

    fields = {"corruption": CountSampling(PATH), "weighting": OpenMean(), "divergence": bce}
    with pytest.raises(InputError, match="symmetric neighborhood, Directed is not"):
        FullScoreMatching(**fields, neighborhood=Directed(V))
    objective = FullScoreMatching(**fields, neighborhood=HammingK(V, 2))
    with pytest.raises(InputError, match="FullScoreMatching needs a posterior"):
        objective(nn.Identity(), ALL, batch_noise(0, 0, len(ALL)))
