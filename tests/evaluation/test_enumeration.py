"""Exact laws against the sum over all orders, and against the posterior they should be."""

import itertools

import pytest
import torch

from tcsm.errors import InputError
from tcsm.evaluation.enumeration import chain_law, kl, log_chain, log_law
from tcsm.nets.flat import Flat
from tcsm.nets.pairwise import Pairwise
from tcsm.posteriors.factorized import Factorized
from tcsm.posteriors.joint import Joint
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.worlds.base import every
from tcsm.worlds.pairs import Pairs
from tests.enumeration import kernel, posterior_table, random_law
from tests.tables import Table, TableEnergy, exact

V, L = 3, 3
PATH = Path(Mask(V), Linear())


def test_the_chain_is_the_mean_over_all_orders():
    torch.manual_seed(0)
    table = torch.randn((V + 1) ** L, L, V).double()
    model = Factorized(Table(table, states=V + 1), PATH)
    q = table.view(*[V + 1] * L, L, V).softmax(-1)
    law = chain_law(model, L)
    for number, x in enumerate(itertools.product(range(V), repeat=L)):
        orders = []
        for order in itertools.permutations(range(L)):
            seen, p = [V] * L, 1.0
            for site in order:
                p *= q[(*seen, site, x[site])].item()
                seen[site] = x[site]
            orders.append(p)
        assert law[number].item() == pytest.approx(sum(orders) / len(orders))
    few = every(V, L)[::5]
    assert torch.allclose(log_chain(model, few), law[::5].log())
    assert law.sum().item() == pytest.approx(1)


def test_with_the_exact_posterior_the_chain_is_the_data():
    p_1 = random_law(V, L, 1)
    law = log_law(Factorized(exact(PATH, p_1), PATH), L)
    assert kl(torch.from_numpy(p_1).flatten().log(), law) == pytest.approx(0, abs=1e-12)


def test_the_chain_ignores_conditionals_at_open_sites():
    p_1 = random_law(V, L, 2)
    table = torch.from_numpy(posterior_table(p_1, kernel(0.5, V, masked=True))).log()
    law = chain_law(Factorized(Table(table.clamp(min=-1e3), states=V + 1), PATH), L)
    assert torch.allclose(law, torch.from_numpy(p_1).flatten())


def test_a_joint_law_is_reference_times_energy_normalized():
    torch.manual_seed(3)
    energy, logits = torch.randn(V, V, V).double(), torch.randn(L, V).double()
    model = Joint(TableEnergy(energy), Factorized(Table(logits), PATH))
    q = logits.softmax(-1)
    weight = torch.stack([q[range(L), x].prod() * (-energy[tuple(x)]).exp() for x in every(V, L)])
    assert torch.allclose(log_law(model, L).exp(), weight / weight.sum())


def test_an_energy_of_pairs_can_be_the_planted_law():
    """The world of pairs is a sum over pairs of sites, so that KL = 0 is within reach."""
    world = Pairs(2, 4, leak=0.1)
    x = every(2, 4)
    net = Pairwise(2, 4)
    features = (x[..., None] == torch.arange(2)).flatten(1).double()
    products = (features[:, :, None] * features[:, None]).flatten(1)
    solution = torch.linalg.lstsq(products, -world.log_law[:, None], driver="gelsd").solution
    net.weight.data = solution.view(8, 8).float()
    model = Joint(net, Factorized(Flat(2, 1), Path(Mask(2), Linear())))
    assert kl(world.log_law, log_law(model, 4)) == pytest.approx(0, abs=1e-6)


def test_kl_by_hand():
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.25, 0.5, 0.25]).double()
    assert kl(p.log(), q.log()) == pytest.approx(0.5 * torch.tensor(2.0).log().item())
    assert kl(q.log(), p.log()) == float("inf")


def test_others_have_no_law():
    with pytest.raises(InputError, match="needs model=factorized or joint, found Linear"):
        log_law(torch.nn.Linear(1, 1), L)
