"""The policy gradient of a law that can be listed: its optimum is the tilted law."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import Likelihood, OpenMean
from tcsm.objectives.policy_gradient import Leashed, PolicyGradient
from tcsm.posteriors.factorized import Factorized
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import sequences
from tests.tables import Table, corrupted

V, BETA = 5, 0.7
PATH = Path(Mask(V), Linear())
CORRUPTION = CountSampling(PATH)
REWARD = torch.tensor([1.0, -0.5, 0.3, 2.0, 0.0]).double()
REFERENCE = torch.randn(1, V, generator=torch.Generator().manual_seed(1)).double()
ALL = torch.arange(V)[:, None]  # every text of one site


def objective(beta=BETA):
    made = PolicyGradient(CORRUPTION, Likelihood(), beta)
    return made.against(Factorized(Table(REFERENCE), PATH))


def loss(model, beta=BETA):
    """Its expectation over draws of the model: each text weighs what the model gives it."""
    q = model.net.logits.detach().softmax(-1)[0]
    advantage = REWARD - (q * REWARD).sum()
    return objective(beta)(model, ALL, batch_noise(0, 0, V), V * q * advantage)["loss"]


def leash_of(model):
    """KL(q ‖ p_ref), by hand."""
    log_q, log_p = (x.log_softmax(-1)[0] for x in (model.net.logits, REFERENCE))
    return (log_q.exp() * (log_q - log_p)).sum()


def test_it_descends_the_reward_and_its_leash():
    """The gradient is that of −E_q[R] + β KL(q ‖ p_ref), by all texts."""
    model = Factorized(Table(torch.randn(1, V)), PATH)
    q = model.net.logits.softmax(-1)[0]
    wanted = torch.autograd.grad(-(q * REWARD).sum() + BETA * leash_of(model), model.net.logits)
    found = torch.autograd.grad(loss(model), model.net.logits)
    assert_close(found, wanted)


def test_the_optimum_is_the_tilted_law():
    model = Factorized(Table(REFERENCE.clone()), PATH)
    descent = torch.optim.SGD(model.parameters(), lr=4.0)
    for _ in range(300):
        descent.zero_grad()
        loss(model).backward()
        descent.step()
    tilted = (REFERENCE[0].log_softmax(-1) + REWARD / BETA).softmax(-1)
    assert_close(model.net.logits.detach().softmax(-1)[0], tilted, atol=1e-5, rtol=1e-5)


def test_without_a_leash_only_the_best_is_left():
    model = Factorized(Table(REFERENCE.clone()), PATH)
    descent = torch.optim.SGD(model.parameters(), lr=50.0)
    for _ in range(150):
        descent.zero_grad()
        loss(model, beta=0.0).backward()
        descent.step()
    assert model.net.logits.softmax(-1)[0, 3] > 0.99


def test_the_leash_does_not_mind_the_advantage():
    """A sequence of no advantage is held by the reference all the same."""
    model = Factorized(Table(torch.randn(1, V)), PATH)
    found = objective()(model, ALL, batch_noise(0, 0, V), torch.zeros(V))["loss"]
    assert_close(found, (BETA * leash_of(model)).to(found.dtype))


def test_its_gradient_is_that_of_its_value():
    length, vocabulary = 3, 4
    path = Path(Mask(vocabulary), Linear())
    x_1 = torch.from_numpy(sequences(vocabulary, length))
    x_t = torch.where(torch.rand(x_1.shape) < 0.6, vocabulary, x_1)
    drawn = corrupted(path, x_1, x_t, torch.full((len(x_1),), 0.4))
    sites = drawn.sites()
    count = len(sites.x_1)
    log_reference = torch.randn(count, vocabulary).double().log_softmax(-1)
    site_loss = Leashed(BETA, torch.randn(count).double(), log_reference, drawn)
    for some in (slice(0, count), slice(3, 11)):
        logits = torch.randn(count, vocabulary).double()[some].requires_grad_()
        value = site_loss(logits.log_softmax(-1), sites[some])
        (wanted,) = torch.autograd.grad(value.sum(), logits)
        with torch.no_grad():
            assert_close(site_loss.gradient(logits.log_softmax(-1), sites[some]), wanted)


def test_a_network_in_chunks_has_the_same_gradient():
    whole = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1)
    parts = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, chunk=3)
    parts.load_state_dict(whole.state_dict())
    frozen = Factorized(Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1), PATH)
    made = PolicyGradient(CORRUPTION, OpenMean(), BETA).against(frozen)
    x_1, weight = torch.randint(V, (6, 4)), torch.randn(6)
    for net in (whole, parts):
        made(Factorized(net, PATH), x_1, batch_noise(0, 0, 6), weight)["loss"].backward()
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert_close(one.grad, other.grad)


def test_refusals():
    with pytest.raises(InputError, match=r"objective\.beta must be 0 or more, found -1"):
        PolicyGradient(CORRUPTION, OpenMean(), -1.0)
    model = Factorized(Table(REFERENCE.clone()), PATH)
    with pytest.raises(InputError, match="reference: found null; PolicyGradient needs the folder"):
        PolicyGradient(CORRUPTION, OpenMean(), BETA)(model, ALL, batch_noise(0, 0, V))
