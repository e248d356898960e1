"""Sequences along a known order: their distribution, and importance weights between models."""

import itertools

import pytest
import torch

from tcsm.evaluation.enumeration import chain_distribution
from tcsm.evaluation.ordered import log_along
from tcsm.models.factorized import Factorized
from tcsm.process.paths import Path
from tcsm.process.schedules import Cosine
from tcsm.process.sources import Mask
from tcsm.samplers.first_hitting import FirstHitting
from tcsm.toy.base import all_sequences
from tests.tables import Oracle, Table, number

V, L = 3, 3
PATH = Path(Mask(V), Cosine())
ALL = all_sequences(V, L)
ORDERS = list(itertools.permutations(range(L)))


def model(seed):
    """Nobody's posterior: any function of a partly masked sequence."""
    draw = torch.Generator().manual_seed(seed)
    logits = torch.randn((V + 1) ** L, L, V, generator=draw, dtype=torch.float64)
    return Factorized(Table(logits, states=V + 1), PATH)


def along(posterior, order, at_once=1):
    orders = torch.tensor(order).expand(len(ALL), -1)
    return log_along(posterior, ALL, orders, torch.zeros(len(ALL), L).double(), at_once)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_a_distribution_along_an_order_is_a_product_of_conditionals(order, at_once):
    table = model(0).net.logits.detach().softmax(-1)
    actual = along(model(0), order, at_once).exp()
    assert float(actual.sum()) == pytest.approx(1)
    for x, chance in zip(ALL, actual, strict=True):
        x_t, p = torch.full((L,), V), 1.0
        for first in range(0, L, at_once):
            q = table[number(x_t[None], V + 1)[0]]
            for position in order[first : first + at_once]:
                p *= float(q[position, x[position]])
                x_t[position] = x[position]
        assert float(chance) == pytest.approx(p)


def test_the_mean_over_orders_is_the_distribution_of_the_chain():
    actual = torch.stack([along(model(0), order).exp() for order in ORDERS]).mean(0)
    torch.testing.assert_close(actual, chain_distribution(model(0), L))


def test_weights_along_the_order_are_unbiased_for_the_other_model():
    """E_order E_{x ∼ θ(· | order)} w 1[x] = p_base(x), and w has mean 1 for every order."""
    theta, base = model(1), model(2)
    drawn = torch.stack([along(theta, order) for order in ORDERS])
    weight = torch.stack([along(base, order) for order in ORDERS]) - drawn
    weighed = (drawn + weight).exp()
    torch.testing.assert_close(weighed.sum(1), torch.ones(len(ORDERS)).double())
    torch.testing.assert_close(weighed.mean(0), chain_distribution(base, L))


@pytest.mark.parametrize("steps", [2, 3])
def test_draws_are_weighed_back_to_the_base(steps):
    """The order that the sampler tells is the one in which it drew."""
    theta, base, count = model(1), model(2), 40_000
    sampler = FirstHitting(path=PATH, steps=steps)
    x = sampler(theta, count, L, 5).tokens
    unmasking = sampler.unmasking(count, L, 5, x.device)
    t = PATH.schedule.inverse(unmasking.level)
    peer, wanted = (log_along(m, x, unmasking.order, t, unmasking.at_once) for m in (theta, base))
    weight = (wanted - peer).exp()
    distribution = torch.zeros(V**L).double().index_add(0, number(x, V), weight / count)
    mean_square = torch.zeros(V**L).double().index_add(0, number(x, V), weight**2 / count)
    orders = [along(base, order, unmasking.at_once).exp() for order in ORDERS]
    error = (mean_square / count).sqrt()
    assert ((distribution - torch.stack(orders).mean(0)).abs() < 5 * error + 1e-12).all()
    plain = number(x, V).bincount(minlength=V**L) / count
    assert (plain - distribution).abs().sum() > 0.2  # the models differ indeed


def test_a_timed_network_is_asked_at_the_times_of_the_draw():
    seen = []
    oracle = Oracle(V, lambda x, t: seen.append(t) or torch.zeros(*x.shape, V).double())
    sampler, timed = FirstHitting(path=PATH, steps=2), Factorized(oracle, PATH)
    x = sampler(timed, 4, L, 0).tokens
    unmasking = sampler.unmasking(4, L, 0, x.device)
    t = PATH.schedule.inverse(unmasking.level)
    log_along(timed, x, unmasking.order, t, unmasking.at_once)
    assert torch.stack(seen[:2]).equal(torch.stack(seen[2:]))
