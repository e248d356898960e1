"""First-hitting sampling: exact one position at a time."""

import itertools

import numpy as np
import pytest
import torch

from tcsm.errors import InputError
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine, Linear
from tcsm.process.sources import Mask, Uniform
from tcsm.samplers.first_hitting import FirstHitting
from tests.enumeration import kernel, marginals, posterior_table, random_distribution, sequences
from tests.samplers.distributions import chi_square
from tests.tables import Oracle, Table

V, L, COUNT = 3, 3, 60_000
P_1 = random_distribution(V, L, 7)
PATH = Path(Mask(V), Cosine())


def distribution(table, at_once):
    """Mean over orders of products of conditionals, ``at_once`` positions a call, (V^L)."""
    x_1 = sequences(V, L)
    place = (V + 1) ** np.arange(L - 1, -1, -1)
    total = np.zeros(len(x_1))
    orders = list(itertools.permutations(range(L)))
    for order in orders:
        x_t, chance = np.full_like(x_1, V), np.ones(len(x_1))
        for first in range(0, L, at_once):
            q = table[x_t @ place]
            for position in order[first : first + at_once]:
                chance *= q[np.arange(len(x_1)), position, x_1[:, position]]
                x_t[:, position] = x_1[:, position]
        total += chance / len(orders)
    return total


def test_exact_posterior_one_position_a_call_is_exact():
    table = posterior_table(P_1, kernel(0.5, V, True))  # the same at all times
    assert np.allclose(distribution(table, 1), P_1.ravel())
    model = Factorized(Table(torch.from_numpy(table).log(), states=V + 1), PATH)
    sampled = FirstHitting(path=PATH, steps=L)(model, COUNT, L, 0)
    statistic, bound = chi_square(sampled.tokens, P_1.ravel())
    assert statistic < bound
    assert sampled.network_calls == L


@pytest.mark.parametrize(("steps", "at_once"), [(1, 3), (2, 2), (3, 1), (99, 1)])
def test_any_model_in_groups(steps, at_once):
    """A model that is nobody's posterior: the distribution still is the mean over orders."""
    logits = torch.randn(4**L, L, V, dtype=torch.float64)
    model = Factorized(Table(logits, states=4), PATH)
    expected = distribution(logits.softmax(-1).numpy(), at_once)
    sampled = FirstHitting(path=PATH, steps=steps)(model, COUNT, L, 1)
    statistic, bound = chi_square(sampled.tokens, expected)
    assert statistic < bound


def test_all_at_once_is_the_product_of_marginals():
    table = posterior_table(P_1, kernel(0.5, V, True))
    first, second, third = marginals(P_1)
    product = np.einsum("a,b,c->abc", first, second, third).ravel()
    assert np.allclose(distribution(table, L), product)


def test_times_are_those_at_which_positions_open():
    """The n-th of L levels α has mean n/(L + 1); the network is asked at t = α⁻¹(level)."""
    seen = []
    oracle = Oracle(V, lambda x, t: seen.append(t) or torch.zeros(*x.shape, V).double())
    FirstHitting(path=PATH, steps=L)(Factorized(oracle, PATH), 20_000, L, 0)
    levels = PATH.alpha(torch.cat(seen)).view(L, -1).mean(1)
    expected = torch.arange(1, L + 1).double() / (L + 1)
    # The standard deviation of a level is below 0.2: five standard errors of 20 000.
    assert (levels - expected).abs().max() < 5 * 0.2 / 20_000**0.5


def test_only_masks_are_hit():
    with pytest.raises(InputError, match="first_hitting needs the Mask source, found Uniform"):
        FirstHitting(path=Path(Uniform(V), Linear()), steps=2)
