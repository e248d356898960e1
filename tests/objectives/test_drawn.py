"""Score matching by ratios: the optimum of a joint model is the posterior itself."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.divergences.bregman import bce, generalized_kl, hellinger
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.joint import Joint
from tcsm.neighborhoods.hamming import Hamming
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.noise import batch_noise
from tcsm.objectives.base import OpenMean
from tcsm.objectives.score_matching import FullScoreMatching, SampledScoreMatching
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask, Uniform
from tests.enumeration import bayes, kernel, random_distribution, sequences
from tests.tables import Table, TableEnergy, corrupted, loss_at

V = L = 3
ALL = torch.from_numpy(sequences(V, L))
P_1 = random_distribution(V, L, 0)
off = pytest.mark.filterwarnings("ignore:score matching over")
divergences = pytest.mark.parametrize("divergence", [generalized_kl, bce, hellinger])
SITUATIONS = {"mask": (Mask(V), [V, V, V]), "uniform": (Uniform(V), [0, 2, 2])}


def setting(name):
    """A path, x_t, and the posterior's distribution there."""
    source, x_t = SITUATIONS[name]
    distribution, _ = bayes(P_1, torch.tensor(x_t).numpy(), kernel(0.4, V, name == "mask"))
    return Path(source, Linear()), x_t, torch.from_numpy(distribution)


def expected(model, x_t, distribution, ball, divergence):
    states, t = torch.tensor(x_t).expand(len(ALL), -1), torch.full((len(ALL),), 0.4)
    drawn = corrupted(model.path, ALL, states, t)
    fields = {"divergence": divergence, "neighborhood": ball, "weighting": OpenMean()}
    return loss_at(SampledScoreMatching, model, drawn, distribution.flatten() * len(ALL), **fields)


@divergences
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("ball", [Hamming(V), HammingK(V, 2), HammingK(V, 3)], ids=str)
def test_optimum_of_a_joint_model_is_the_posterior_for_every_ball(divergence, situation, ball):
    """(6.6): E = log(q_ref/p) + const, whatever the reference, is stationary and the least."""
    path, x_t, distribution = setting(situation)
    reference = Factorized(Table(torch.randn(L, V)), path)
    log_q = reference.net.logits.log_softmax(-1)
    log_ref = sum(log_q[i][ALL[:, i]] for i in range(L)).view(V, V, V)
    model = Joint(TableEnergy(log_ref - distribution.log() + 0.7), reference)
    loss = expected(model, x_t, distribution, ball, divergence)
    (gradient,) = torch.autograd.grad(loss, model.net.energy)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-10, rtol=0)
    for _ in range(3):
        other = Joint(TableEnergy(model.net.energy.detach() + torch.randn(V, V, V)), reference)
        assert expected(other, x_t, distribution, ball, divergence) > loss


def test_pairs_of_positions_see_odds_that_single_positions_do_not():
    """(2.2): on the support {000, 111} the 1-ball leaves the odds free, k = 3 does not."""
    distribution = torch.full((V, V, V), 1e-12).double()
    distribution[0, 0, 0], distribution[1, 1, 1] = 0.8, 0.2
    path = Path(Mask(V), Linear())
    reference = Factorized(Table(torch.zeros(L, V)), path)
    tilted = distribution.log().clone()
    tilted[0, 0, 0] -= 1.0
    change = {}
    for size in (1, 3):
        losses = [
            expected(
                Joint(TableEnergy(-table), reference),
                [V] * L,
                distribution,
                HammingK(V, size),
                bce,
            )
            for table in (distribution.log(), tilted)
        ]
        change[size] = (losses[1] - losses[0]).item()
    assert abs(change[1]) < 1e-3 * change[3]


@off
@divergences
def test_for_a_factorized_model_it_is_the_whole_closed_form(divergence):
    path = Path(Uniform(V), Linear())
    model, x_1 = LeaveOneOut(Table(torch.randn(L, V)), path), torch.randint(V, (8, L))
    fields = {"corruption": TimeSampling(path), "weighting": OpenMean(), "divergence": divergence}
    drawn, whole = (
        kind(**fields, neighborhood=HammingK(V, 2))(model, x_1, batch_noise(0, 0, 8))["loss"]
        for kind in (SampledScoreMatching, FullScoreMatching)
    )
    assert_close(drawn, whole)


def test_draws_are_unbiased():
    path, runs = Path(Mask(V), Linear()), 4000
    model = Joint(TableEnergy(torch.randn(V, V, V)), Factorized(Table(torch.randn(L, V)), path))
    x_1 = torch.tensor([[0, 1, 2]]).expand(runs, -1)
    drawn = corrupted(path, x_1, torch.full_like(x_1, V), torch.full((runs,), 0.5))
    fields = {"divergence": bce, "neighborhood": HammingK(V, 2), "weighting": OpenMean()}
    all_of_them, some = (
        loss_at(SampledScoreMatching, model, drawn, **fields, draws=draws) for draws in (None, 5)
    )
    assert_close(some, all_of_them, atol=0.03, rtol=0)


def test_warning_and_refusals():
    class Directed(Hamming):
        symmetric = False

    path = Path(Mask(V), Linear())
    fields = {"corruption": CountSampling(path), "weighting": OpenMean(), "divergence": bce}
    with pytest.raises(InputError, match="symmetric neighborhood, Directed is not"):
        SampledScoreMatching(**fields, neighborhood=Directed(V))
    with pytest.raises(InputError, match=r"objective\.draws .*0"):
        SampledScoreMatching(**fields, neighborhood=Hamming(V), draws=0)
    objective = SampledScoreMatching(**fields, neighborhood=HammingK(V, 2), draws=2)
    with pytest.raises(InputError, match="needs ratios"):
        objective(nn.Identity(), ALL, batch_noise(0, 0, 27))
    with pytest.warns(UserWarning, match="off the marginals"):
        objective(Factorized(Table(torch.zeros(L, V)), path), ALL, batch_noise(0, 0, 27))
