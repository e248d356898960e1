import pytest
import torch
from torch.testing import assert_close

from tcsm.divergences.scoring_rules import KL
from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import Likelihood, SequenceMean
from tcsm.objectives.distribution import DistributionMatching
from tcsm.objectives.likelihood import Nelbo, NextToken
from tcsm.process.corruption import CountSampling, TimeSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.process.steps import StepSampling
from tests.tables import Table, corrupted, loss_at

V, L = 3, 4


def test_masked_bound_is_likelihood_weighted_kl():
    path = Path(Mask(V), Cosine())
    model = Factorized(Table(torch.randn(L, V)), path)
    corruption = TimeSampling(path)
    x_1, noise = torch.randint(V, (8, L)), batch_noise(0, 0, 8)
    bound = Nelbo(corruption=corruption, weighting=SequenceMean())(model, x_1, noise)["loss"]
    kl = DistributionMatching(corruption=corruption, weighting=Likelihood(), scoring=KL())
    assert_close(bound, kl(model, x_1, noise)["loss"])


def udlm(log_pi, x_1, x_t, alpha, alpha_dot):
    """UDLM's term at one position in its own form: Σ_{y≠x} s − r + r log(r/s), plain floats."""
    pi = log_pi.exp()
    total = 0.0
    for y in range(V):
        if y != x_t:
            r = (alpha * V * (y == x_1) + 1 - alpha) / (alpha * V * (x_t == x_1) + 1 - alpha)
            s = (alpha * V * pi[y] + 1 - alpha) / (alpha * V * pi[x_t] + 1 - alpha)
            total += s - r + r * torch.log(r / s)
    return alpha_dot / (alpha * V) * total


@pytest.mark.parametrize("t", [0.01, 0.5, 0.99])
def test_uniform_bound_is_udlm_position_by_position(t):
    """§8: term by term, π the network's own output."""
    path = Path(Uniform(V), Linear())
    logits = torch.randn(L, V).double()
    model = LeaveOneOut(Table(logits), path)
    x_1, x_t = torch.tensor([[0, 1, 2, 0]]), torch.tensor([[0, 2, 2, 1]])
    drawn = corrupted(path, x_1, x_t, torch.tensor([t]))
    loss = loss_at(Nelbo, model, drawn, weighting=SequenceMean())
    log_pi, alpha = logits.log_softmax(-1), drawn.t[0]
    by_hand = sum(udlm(log_pi[i], x_1[0, i], x_t[0, i], alpha, 1.0) for i in range(L)) / L
    assert_close(loss, by_hand, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("corruption", "source"),
    [(CountSampling, Mask(V)), (StepSampling, Mask(V)), (StepSampling, Uniform(V))],
)
def test_the_bound_is_refused_where_no_time_is_drawn_from_a_density(corruption, source):
    """On a grid the uniform integrand is no number at t = 0."""
    actual = f"objective=nelbo needs corruption=time, found {corruption.__name__}"
    with pytest.raises(InputError, match=actual):
        Nelbo(corruption=corruption(Path(source, Linear())), weighting=SequenceMean())


def test_next_token_loss_is_the_mean_negative_log_likelihood():
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True)
    with torch.no_grad():
        net.head.weight.normal_()
    model, x = Autoregressive(net), torch.randint(V, (5, L))
    noise, weight = batch_noise(0, 0, 5), torch.rand(5)
    nats = -model.log_prob(x)
    terms = NextToken()(model, x, noise)
    assert_close(terms["loss"].double(), nats.mean() / L, rtol=1e-5, atol=0)
    assert_close(terms["cross_entropy"], terms["loss"].detach())
    weighted = NextToken()(model, x, noise, weight)["loss"]
    assert_close(weighted.double(), (weight * nats).mean() / L, rtol=1e-5, atol=0)
