"""Joint posteriors in a world small enough to normalize."""

import torch
from torch.testing import assert_close

from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.neighborhoods.hamming_k import HammingK
from tcsm.nets.energy import Energy
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import sequences
from tests.tables import Table, TableEnergy, corrupted

V = L = 3
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))
RUNS = 20000


def world():
    model = Joint(TableEnergy(torch.randn(V, V, V)), Factorized(Table(torch.randn(L, V)), PATH))
    reference = model.reference.net.logits.detach().log_softmax(-1)
    log_ref = sum(reference[i][ALL[:, i]] for i in range(L))
    log_q = (log_ref - model.net.energy.detach().flatten()).log_softmax(-1)
    return model, log_ref, log_q


def masked(x_1):
    """Position 1 is known, the others are not."""
    x_t = torch.full_like(x_1, V)
    x_t[:, 1] = x_1[:, 1]
    return corrupted(PATH, x_1, x_t, torch.full((len(x_1),), 0.3))


def test_concrete_scores_are_ratios_of_the_joint_distribution():
    model, _, log_q = world()
    drawn = masked(ALL)
    near = HammingK(V, 2).enumerate(drawn.x_1, drawn.noised)
    ratios = model.log_ratio(drawn, near)
    table, y = log_q.view(V, V, V), near.apply(drawn.x_1)
    expected = table[y.unbind(-1)] - table[ALL.unbind(-1)][:, None]
    kept = near.weight > 0
    assert_close(ratios[kept], expected[kept])
    assert (y[..., 1] == ALL[:, None, 1]).all()


def test_the_reference_is_frozen():
    model = world()[0]
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["net.energy"]


def frequencies(tokens):
    place = (tokens * torch.tensor([V * V, V, 1])).sum(-1)
    return torch.bincount(place, minlength=V**L) / len(tokens)


def conditioned(log_p):
    """Given x^1 = 2."""
    return torch.where(ALL[:, 1] == 2, log_p, -torch.inf).softmax(-1)


def test_candidates_follow_the_reference_and_carry_over():
    model, log_ref, _ = world()
    drawn = masked(torch.tensor([[0, 2, 0]]).expand(RUNS, -1))
    noise = batch_noise(0, 0, RUNS)
    guesses = model.candidates(drawn.x_t, drawn.t, drawn.noised, 2, noise)
    assert (guesses[..., 1] == 2).all()
    for k in range(2):
        actual = frequencies(guesses[:, k])
        assert (actual - conditioned(log_ref)).abs().max() < 0.015


def test_resampling_tends_to_the_joint_distribution():
    """(9.6): one candidate is the reference; many are q, by weights softmax(−E)."""
    model, log_ref, log_q = world()
    drawn = masked(torch.tensor([[0, 2, 0]]).expand(RUNS, -1))
    away = {}
    for count in (1, 64):
        noise = batch_noise(1, 0, RUNS)
        actual = frequencies(model.resample(drawn.x_t, drawn.t, drawn.noised, count, noise))
        away[count] = (actual - conditioned(log_q)).abs().sum() / 2
    assert away[64] < 0.03
    assert away[1] > 3 * away[64]
    assert abs(away[1] - (conditioned(log_ref) - conditioned(log_q)).abs().sum() / 2) < 0.02


def test_marginals_from_many_candidates_are_those_of_the_joint_distribution():
    model, _, log_q = world()
    drawn = masked(torch.tensor([[0, 2, 0], [1, 2, 1]]))
    position = torch.tensor([0, 2])
    actual = model.log_marginal(drawn, position, 4000, batch_noise(0, 0, 2))
    distribution = conditioned(log_q).view(V, V, V)
    expected = torch.stack([distribution.sum((1, 2)), distribution.sum((0, 1))])
    assert_close(actual.exp(), expected, atol=0.03, rtol=0)
    few = model.log_marginal(drawn, position, 1, batch_noise(0, 0, 2))
    assert_close(few.exp().sum(-1), torch.ones(2).double())


def test_a_fresh_energy_leaves_the_reference_as_it_is():
    body = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=2)
    model = Joint(Energy(body), Factorized(Table(torch.randn(L, V)), PATH))
    drawn, ball = masked(ALL), HammingK(V, 2)
    near = ball.enumerate(drawn.x_1, drawn.noised)
    assert_close(model.log_ratio(drawn, near), model.reference.log_ratio(drawn, near))
