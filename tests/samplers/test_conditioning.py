"""Samples with known positions follow p(x₁ | known positions), by enumeration."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.models.factorized import Factorized, LeaveOneOut
from tcsm.models.joint import Joint
from tcsm.nets.transformer import Transformer
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.ancestral import Ancestral
from tcsm.samplers.conditioning import Conditioning
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.samplers.importance import Importance
from tcsm.samplers.leaping import TauLeaping
from tcsm.samplers.next_token import NextToken
from tests.enumeration import (
    kernel,
    posterior_table,
    product_kernel,
    random_distribution,
    sequences,
    total_variation,
)
from tests.samplers.distributions import chi_square, leap
from tests.samplers.walks import called, walks
from tests.tables import Table, exact

V, L, COUNT = 3, 3, 40_000
P_1 = random_distribution(V, L, 7)
MASKED, NOISED = Path(Mask(V), Cosine()), Path(Uniform(V), Linear())
# What is known of three positions: a prefix, an infix, both ends, nothing, everything.
KNOWN = [(1, None, None), (None, 2, None), (2, None, 0), (None, None, None), (0, 1, 2)]
SAMPLERS = walks(MASKED, NOISED)
every = pytest.mark.parametrize("sampler", SAMPLERS, ids=called)


def conditioning(known):
    tokens = torch.tensor([0 if token is None else token for token in known])
    return Conditioning(tokens, torch.tensor([token is not None for token in known]))


def conditional(p_1, known):
    """The distribution of the noised positions, flat."""
    table = p_1[tuple(slice(None) if token is None else token for token in known)]
    return np.atleast_1d(table).ravel() / table.sum()


def posterior():
    """Exact for masks, at all times: what is open says nothing of when it opened."""
    table = torch.from_numpy(posterior_table(P_1, kernel(0.5, V, True)))
    return Factorized(Table(table.log(), states=V + 1), MASKED)


@pytest.mark.parametrize("known", KNOWN[:4], ids=str)
def test_first_hitting_fills_in_exactly(known):
    held = conditioning(known)
    sampled = FirstHitting(path=MASKED, steps=L)(posterior(), COUNT, L, 0, held)
    statistic, bound = chi_square(sampled.tokens[:, ~held.fixed], conditional(P_1, known))
    assert statistic < bound
    assert (sampled.tokens[:, held.fixed] == held.tokens[held.fixed]).all()
    assert sampled.network_calls == int((~held.fixed).sum())


@pytest.mark.parametrize("sampler", [Ancestral, TauLeaping])
def test_many_steps_from_masks_tend_to_the_conditional_distribution(sampler):
    """The first test allows six standard deviations of the last distribution; this one 2 %."""
    known = KNOWN[1]
    drawn = sampler(path=MASKED, steps=64)(posterior(), COUNT, L, 1, conditioning(known)).tokens
    seen = torch.bincount(drawn[:, 0] * V + drawn[:, 2], minlength=V * V).numpy() / COUNT
    assert total_variation(seen, conditional(P_1, known)) < 0.02
    assert total_variation(seen, P_1.sum(1).ravel()) > 0.05


def clamped(p_1, known, steps):
    """Distribution of noised positions after leaping from uniform noise with known positions."""
    x = sequences(V, L)
    fixed = np.array([token is not None for token in known])
    right = np.all([x[:, i] == token for i, token in enumerate(known) if token is not None], 0)
    distribution = right / right.sum()
    for alpha_t, alpha_s in itertools.pairwise(np.linspace(0, 1, steps + 1)):
        q = posterior_table(p_1, kernel(alpha_t, V, False))
        positions = leap(q, alpha_t, alpha_s, False)
        positions[:, fixed] = np.eye(V)[x][:, fixed]
        distribution = distribution @ product_kernel(positions)
    return distribution[right]


@pytest.mark.parametrize("known", KNOWN[:3], ids=str)
def test_for_uniform_noise_known_positions_are_put_back_at_every_step(known):
    held = conditioning(known)
    model = Factorized(exact(NOISED, P_1), NOISED)
    drawn = TauLeaping(path=NOISED, steps=8)(model, COUNT, L, 0, held).tokens
    statistic, bound = chi_square(drawn[:, ~held.fixed], clamped(P_1, known, 8))
    assert statistic < bound


@pytest.mark.parametrize("known", KNOWN[:3], ids=str)
def test_for_uniform_noise_that_is_nearer_to_the_conditional_distribution_than_nothing(known):
    held = [token is not None for token in known]
    others = P_1.sum(tuple(np.flatnonzero(held))).ravel()
    wanted = conditional(P_1, known)
    actual = total_variation(clamped(P_1, known, 64), wanted)
    assert actual < 0.6 * total_variation(others, wanted)


class OfTheData(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x, x_t, t):
        return -torch.from_numpy(P_1)[x.unbind(-1)].log()


@pytest.mark.parametrize("path", [MASKED, NOISED], ids=["mask", "uniform"])
def test_a_joint_model_fills_in_jointly(path):
    """From pure noise one step of many candidates is enough, whatever the source."""
    known = KNOWN[1]
    model = Joint(OfTheData(), Factorized(Table(torch.zeros(L, V)), path))
    sampler = Importance(steps=1, path=path, candidates=128)
    drawn = sampler(model, 20_000, L, 0, conditioning(known)).tokens
    assert (drawn[:, 1] == 2).all()
    seen = torch.bincount(drawn[:, 0] * V + drawn[:, 2], minlength=V * V).numpy() / 20_000
    wanted = conditional(P_1, known)
    assert total_variation(seen, wanted) < 0.02
    product = np.outer(wanted.reshape(V, V).sum(1), wanted.reshape(V, V).sum(0)).ravel()
    assert total_variation(product, wanted) > 0.05


def left_to_right():
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True, stem=3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return Autoregressive(net)


def test_an_autoregressive_model_goes_on_after_a_prefix():
    model = left_to_right()
    with torch.no_grad():
        distribution = (
            model.log_prob(torch.from_numpy(sequences(V, L))).exp().view(V, V, V).numpy()
        )
    sampled = NextToken(steps=1)(model, COUNT, L, 0, conditioning(KNOWN[0]))
    statistic, bound = chi_square(sampled.tokens[:, 1:], conditional(distribution, KNOWN[0]))
    assert statistic < bound
    assert sampled.network_calls == 2


def test_an_autoregressive_model_refuses_what_stands_after_a_noised_position():
    for known, position in ((KNOWN[1], 1), (KNOWN[2], 2)):
        with pytest.raises(InputError, match=f"position {position} "):
            NextToken(steps=1)(left_to_right(), 1, L, 0, conditioning(known))


@every
@pytest.mark.parametrize("known", KNOWN, ids=str)
def test_known_positions_keep_their_tokens_at_every_call(sampler, known):
    held = conditioning(known)
    seen = []
    model = LeaveOneOut(Table(torch.randn(L, V)), sampler.path)
    model.net.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    drawn = sampler(model, 7, L, 3, held).tokens
    assert all((x[:, held.fixed] == held.tokens[held.fixed]).all() for x in [*seen, drawn])
    assert ((drawn >= 0) & (drawn < V)).all()


@every
def test_nothing_given_is_nothing_changed(sampler):
    model = LeaveOneOut(Table(torch.randn(L, V)), sampler.path)
    free, held = (
        sampler(model, 50, L, 3, known).tokens for known in (None, conditioning(KNOWN[3]))
    )
    assert torch.equal(free, held)


@every
def test_what_is_given_must_fit(sampler):
    model = LeaveOneOut(Table(torch.randn(L, V)), sampler.path)
    with pytest.raises(InputError, match=r"given\.tokens .*2"):
        sampler(model, 1, L, 0, conditioning((1, None)))
    with pytest.raises(InputError, match=r"given\.tokens must lie in \[0, 3\), found 1 to 3"):
        sampler(model, 1, L, 0, conditioning((1, 3, None)))
    with pytest.raises(InputError, match=r"given\.fixed "):
        Conditioning(torch.tensor([0, 1]), torch.tensor([True]))
