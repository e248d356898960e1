"""The policy gradient by enumeration: its optimum is the tilted distribution, or near it."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.evaluation.enumeration import chain_distribution
from tcsm.models.factorized import Factorized
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.objectives.base import Likelihood, OpenMean
from tcsm.objectives.policy_gradient import PolicyGradient, PolicyLoss
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tests.enumeration import kernel, posterior_table, random_distribution, sequences
from tests.tables import FixedCorruption, Table, corrupted, number

V, BETA = 5, 0.7
PATH = Path(Mask(V), Linear())
CORRUPTION = CountSampling(PATH)
REWARD = torch.tensor([1.0, -0.5, 0.3, 2.0, 0.0]).double()
REFERENCE = torch.randn(1, V, generator=torch.Generator().manual_seed(1)).double()
ALL = torch.arange(V)[:, None]  # every text of one position


def objective(beta=BETA):
    made = PolicyGradient(CORRUPTION, Likelihood(), beta)
    return made.attach(Factorized(Table(REFERENCE), PATH))


def loss(model, beta=BETA):
    """Its expectation over draws of the model: each text weighs what the model gives it."""
    q = model.net.logits.detach().softmax(-1)[0]
    advantage = REWARD - (q * REWARD).sum()
    return objective(beta)(model, ALL, batch_noise(0, 0, V), V * q * advantage)["loss"]


def penalty_of(model):
    """KL(q ‖ p_ref), by hand."""
    log_q, log_p = (x.log_softmax(-1)[0] for x in (model.net.logits, REFERENCE))
    return (log_q.exp() * (log_q - log_p)).sum()


def test_it_descends_the_reward_and_the_kl_penalty():
    """The gradient is that of −E_q[R] + β KL(q ‖ p_ref), by all texts."""
    model = Factorized(Table(torch.randn(1, V)), PATH)
    q = model.net.logits.softmax(-1)[0]
    wanted = torch.autograd.grad(-(q * REWARD).sum() + BETA * penalty_of(model), model.net.logits)
    actual = torch.autograd.grad(loss(model), model.net.logits)
    assert_close(actual, wanted)


def test_of_one_position_the_optimum_is_the_tilted_distribution():
    model = Factorized(Table(REFERENCE.clone()), PATH)
    descent = torch.optim.SGD(model.parameters(), lr=4.0)
    for _ in range(300):
        descent.zero_grad()
        loss(model).backward()
        descent.step()
    tilted = (REFERENCE[0].log_softmax(-1) + REWARD / BETA).softmax(-1)
    assert_close(model.net.logits.detach().softmax(-1)[0], tilted, atol=1e-5, rtol=1e-5)


class Coins:
    """Two tokens a position, tables for all x_t: the exact expected loss of any sequence."""

    def __init__(self, length, beta, seed=2):
        self.length, self.beta, self.path = length, beta, Path(Mask(2), Linear())
        generator = torch.Generator().manual_seed(seed)
        self.x = torch.from_numpy(sequences(2, length))
        self.reward = torch.randn(len(self.x), generator=generator).double()
        pre = torch.from_numpy(random_distribution(2, length, seed)).flatten()
        self.tilted = (pre.log() + self.reward / beta).softmax(0)
        self.reference = self.posterior(pre)

    def posterior(self, distribution):
        """The model whose every conditional is that of a distribution."""
        table = posterior_table(
            distribution.view((2,) * self.length).numpy(), kernel(0.5, 2, masked=True)
        )
        return Factorized(Table(torch.from_numpy(table).log(), states=3), self.path)

    def loss(self, model):
        """Over all x₁ by the model's distribution, and all masks of each by that of counts."""
        q = chain_distribution(model, self.length).detach()
        hidden = torch.from_numpy(sequences(2, self.length))[1:].bool()
        count = hidden.sum(-1).tolist()
        share = [1 / (n * math.comb(self.length, n)) for n in count]  # ω P(S | n) P(n)
        x_1 = self.x.repeat_interleave(len(hidden), 0)
        x_t = x_1.masked_fill(hidden.repeat(len(self.x), 1), 2)
        drawn = corrupted(self.path, x_1, x_t, torch.full((len(x_1),), 0.5))
        omega = len(x_1) * torch.outer(q, torch.tensor(share).double()).flatten()
        advantage = (self.reward - q @ self.reward).repeat_interleave(len(hidden))
        given = FixedCorruption(self.path, replace(drawn, omega=omega))
        made = PolicyGradient(given, Likelihood(), self.beta).attach(self.reference)
        return made(model, x_1, batch_noise(0, 0, len(x_1)), advantage)["loss"]

    def free_energy(self, model):
        """(−E[R] + β KL(q ‖ p_ref))/L along a random order of the positions, by all texts."""
        log_q, log_p = (m.net.logits.log_softmax(-1) for m in (model, self.reference))
        total = torch.zeros(()).double()
        orders = list(itertools.permutations(range(self.length)))
        for order in orders:
            x_t, actual = torch.full_like(self.x, 2), torch.zeros(2, len(self.x)).double()
            for position in order:
                at = number(x_t, 3), position, self.x[:, position]
                actual = actual + torch.stack([log_q[at], log_p[at]])
                x_t[:, position] = self.x[:, position]
            total = total + actual[0].exp() @ (self.beta * (actual[0] - actual[1]) - self.reward)
        return total / len(orders) / self.length

    def slope(self, value, model):
        return torch.autograd.grad(value(model), model.net.logits)[0]


@pytest.mark.slow
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_of_several_positions_the_optimum_is_near_the_tilted_distribution_and_not_there(beta):
    """The KL penalty sums over x_t, whose distribution depends on q: that term is left out."""
    for length in (1, 2):
        coins = Coins(length, beta)
        there = coins.posterior(coins.tilted)
        zero = torch.zeros_like(there.net.logits)
        assert_close(coins.slope(coins.free_energy, there), zero, atol=1e-12, rtol=0)
        left = coins.slope(coins.loss, there).norm()
        assert left < 1e-12 if length == 1 else 1e-3 < left < 0.01
    model = coins.posterior(coins.tilted)
    descent = torch.optim.SGD(model.parameters(), lr=4.0)
    for _ in range(300):
        descent.zero_grad()
        coins.loss(model).backward()
        descent.step()
    assert coins.slope(coins.loss, model).norm() < 1e-4
    before, after = (
        (chain_distribution(m, 2) - coins.tilted).abs().sum() / 2 for m in (coins.reference, model)
    )
    assert 1e-4 < after < 0.1 * before


def test_without_a_penalty_only_the_best_is_left():
    model = Factorized(Table(REFERENCE.clone()), PATH)
    descent = torch.optim.SGD(model.parameters(), lr=50.0)
    for _ in range(150):
        descent.zero_grad()
        loss(model, beta=0.0).backward()
        descent.step()
    assert model.net.logits.softmax(-1)[0, 3] > 0.99


def test_the_penalty_does_not_depend_on_the_advantage():
    """A sequence of no advantage is held by the reference all the same."""
    model = Factorized(Table(torch.randn(1, V)), PATH)
    actual = objective()(model, ALL, batch_noise(0, 0, V), torch.zeros(V))["loss"]
    assert_close(actual, (BETA * penalty_of(model)).to(actual.dtype))


def test_its_gradient_is_that_of_its_value():
    length, vocabulary = 3, 4
    path = Path(Mask(vocabulary), Linear())
    x_1 = torch.from_numpy(sequences(vocabulary, length))
    x_t = torch.where(torch.rand(x_1.shape) < 0.6, vocabulary, x_1)
    drawn = corrupted(path, x_1, x_t, torch.full((len(x_1),), 0.4))
    positions = drawn.positions()
    count = len(positions.x_1)
    log_reference = torch.randn(count, vocabulary).double().log_softmax(-1)
    position_loss = PolicyLoss(BETA, torch.randn(count).double(), log_reference)
    for some in (slice(0, count), slice(3, 11)):
        logits = torch.randn(count, vocabulary).double()[some].requires_grad_()
        value = position_loss(logits.log_softmax(-1), positions[some])
        (wanted,) = torch.autograd.grad(value.sum(), logits)
        with torch.no_grad():
            log_q = logits.log_softmax(-1)
            closed = position_loss.closed_form(log_q, positions[some], torch.empty_like(log_q))
            assert_close(closed.gradient(), wanted)
            assert_close(closed.loss, value.detach())


def test_a_network_in_chunks_has_the_same_gradient():
    whole = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1)
    parts = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, chunk=3)
    parts.load_state_dict(whole.state_dict())
    frozen = Factorized(Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1), PATH)
    made = PolicyGradient(CORRUPTION, OpenMean(), BETA).attach(frozen)
    x_1, weight = torch.randint(V, (6, 4)), torch.randn(6)
    for net in (whole, parts):
        made(Factorized(net, PATH), x_1, batch_noise(0, 0, 6), weight)["loss"].backward()
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert_close(one.grad, other.grad)


def test_refusals():
    with pytest.raises(InputError, match=r"objective\.beta .*-1"):
        PolicyGradient(CORRUPTION, OpenMean(), -1.0)
    model = Factorized(Table(REFERENCE.clone()), PATH)
    with pytest.raises(InputError, match="reference: found null; PolicyGradient needs the folder"):
        PolicyGradient(CORRUPTION, OpenMean(), BETA)(model, ALL, batch_noise(0, 0, V))
