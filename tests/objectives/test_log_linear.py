"""The extension: a bounded gradient, the same optimum above a frequency, none below."""

import math

import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.bregman import generalized_kl
from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.neighborhoods.hamming import Hamming
from tcsm.objectives.base import OpenMean
from tcsm.objectives.score_matching import LogLinear, LogLinearLoss, NeighborhoodLoss
from tcsm.process.corruption import CountSampling, Positions
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import marginals, random_distribution, sequences
from tests.tables import Table, corrupted, loss_at

V = L = 3
PATH = Path(Mask(V), Linear())
ALL = torch.from_numpy(sequences(V, L))


def expected(logits, threshold, p_1=None):
    """E_{x₁} of the objective with every position masked, and its gradient by the logits."""
    p_1 = random_distribution(V, L, 0) if p_1 is None else p_1
    model = Factorized(Table(logits), PATH)
    drawn = corrupted(PATH, ALL, torch.full_like(ALL, V), torch.full((len(ALL),), 0.5))
    weight = torch.from_numpy(p_1).flatten() * len(ALL)
    loss = loss_at(LogLinear, model, drawn, weight, weighting=OpenMean(), threshold=threshold)
    return loss, torch.autograd.grad(loss, model.net.logits)[0]


def test_optimum_is_the_marginals_if_no_token_is_too_rare():
    at = torch.from_numpy(marginals(random_distribution(V, L, 0)))
    threshold = 1 / (V * at.min().item())
    loss, gradient = expected(at.log(), threshold)
    assert_close(gradient, torch.zeros(L, V).double(), atol=1e-10, rtol=0)
    for _ in range(5):
        assert expected(at.log() + torch.randn(L, V).double(), threshold)[0] > loss


def test_rarer_tokens_collapse():
    """Below 1/(VC) nothing holds a token up: at the truth its logit is pushed down."""
    p_1 = torch.tensor([0.898, 0.1, 0.002]).double()
    p_1 = (p_1[:, None, None] * p_1[:, None] * p_1).numpy()
    at = torch.from_numpy(marginals(p_1)).log()
    for threshold, held in ((200.0, True), (20.0, False)):
        gradient = expected(at, threshold, p_1)[1][:, 2]
        assert (gradient.abs().max() < 1e-9) if held else (gradient > 1e-3).all()


def rows():
    """Right, wrong and very wrong positions."""
    logits = torch.tensor([[3.0, 0, -1], [-2, 1, 0], [-30, 0, 0], [-4, 0, 2]]).double()
    nothing = torch.zeros(4).long()
    return logits, Positions(nothing, nothing, nothing.double(), range(4))


def test_it_is_generalized_kl_up_to_the_threshold_and_a_line_beyond():
    logits, positions = rows()
    log_q = logits.log_softmax(-1)
    raw = NeighborhoodLoss(generalized_kl, Hamming(V))
    actual = LogLinearLoss(math.log(20))(log_q, positions)
    v = (-log_q[:, 0]).exp() / V
    assert_close(actual[v <= 20], raw(log_q, positions)[v <= 20])
    beyond = 20 * (1 + v.log() - math.log(20)) - log_q[:, 0] + log_q.mean(-1) - 1
    assert_close(actual[v > 20], beyond[v > 20])
    assert (v <= 20).any()
    assert (v > 20).any()


@pytest.mark.parametrize("threshold", [1.0, 20.0])
def test_gradient_is_bounded_and_that_of_autograd(threshold):
    logits, positions = rows()
    logits.requires_grad_()
    loss = LogLinearLoss(math.log(threshold))
    log_q = logits.log_softmax(-1)
    (by_autograd,) = torch.autograd.grad(loss(log_q, positions).sum(), logits)
    log_q = log_q.detach()
    closed = loss.closed_form(log_q.clone(), positions, torch.empty_like(log_q))
    assert_close(closed.gradient(), by_autograd)
    assert_close(closed.loss, loss(log_q, positions))
    assert by_autograd.abs().max() <= threshold + 1
    assert by_autograd[2].abs().max() > threshold / 2


@pytest.mark.parametrize("threshold", [0.5, math.inf, math.nan])
def test_refusal(threshold):
    with pytest.raises(InputError, match=r"objective\.threshold "):
        LogLinear(CountSampling(PATH), OpenMean(), threshold=threshold)
