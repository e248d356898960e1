"""Exact distributions against the sum over all orders, and against the true posterior."""

import itertools

import pytest
import torch

from tcsm.errors import InputError
from tcsm.evaluation.enumeration import chain_distribution, kl, log_chain, log_distribution
from tcsm.models.factorized import Factorized
from tcsm.models.joint import Joint
from tcsm.nets.flat import UniformLogits
from tcsm.nets.pairwise import Pairwise
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.toy.base import all_sequences
from tcsm.toy.pairs import Pairs
from tests.enumeration import kernel, posterior_table, random_distribution
from tests.tables import Table, TableEnergy, exact

V, L = 3, 3
PATH = Path(Mask(V), Linear())


def test_the_chain_is_the_mean_over_all_orders():
    torch.manual_seed(0)
    table = torch.randn((V + 1) ** L, L, V).double()
    model = Factorized(Table(table, states=V + 1), PATH)
    q = table.view(*[V + 1] * L, L, V).softmax(-1)
    distribution = chain_distribution(model, L)
    for number, x in enumerate(itertools.product(range(V), repeat=L)):
        orders = []
        for order in itertools.permutations(range(L)):
            seen, p = [V] * L, 1.0
            for position in order:
                p *= q[(*seen, position, x[position])].item()
                seen[position] = x[position]
            orders.append(p)
        assert distribution[number].item() == pytest.approx(sum(orders) / len(orders))
    few = all_sequences(V, L)[::5]
    assert torch.allclose(log_chain(model, few), distribution[::5].log())
    assert distribution.sum().item() == pytest.approx(1)


def test_with_the_exact_posterior_the_chain_is_the_data():
    p_1 = random_distribution(V, L, 1)
    distribution = log_distribution(Factorized(exact(PATH, p_1), PATH), L)
    assert kl(torch.from_numpy(p_1).flatten().log(), distribution) == pytest.approx(0, abs=1e-12)


def test_the_chain_ignores_conditionals_at_noised_positions():
    p_1 = random_distribution(V, L, 2)
    table = torch.from_numpy(posterior_table(p_1, kernel(0.5, V, masked=True))).log()
    distribution = chain_distribution(
        Factorized(Table(table.clamp(min=-1e3), states=V + 1), PATH), L
    )
    assert torch.allclose(distribution, torch.from_numpy(p_1).flatten())


def test_a_joint_distribution_is_reference_times_energy_normalized():
    torch.manual_seed(3)
    energy, logits = torch.randn(V, V, V).double(), torch.randn(L, V).double()
    model = Joint(TableEnergy(energy), Factorized(Table(logits), PATH))
    q = logits.softmax(-1)
    weight = torch.stack(
        [q[range(L), x].prod() * (-energy[tuple(x)]).exp() for x in all_sequences(V, L)]
    )
    assert torch.allclose(log_distribution(model, L).exp(), weight / weight.sum())


def test_an_energy_of_pairs_can_be_the_planted_distribution():
    """The world of pairs is a sum over pairs of positions, so that KL = 0 is within reach."""
    world = Pairs(2, 4, leak=0.1)
    x = all_sequences(2, 4)
    net = Pairwise(2, 4)
    features = (x[..., None] == torch.arange(2)).flatten(1).double()
    products = (features[:, :, None] * features[:, None]).flatten(1)
    solution = torch.linalg.lstsq(products, -world.log_p[:, None], driver="gelsd").solution
    net.weight.data = solution.view(8, 8).float()
    model = Joint(net, Factorized(UniformLogits(2, 1), Path(Mask(2), Linear())))
    assert kl(world.log_p, log_distribution(model, 4)) == pytest.approx(0, abs=1e-6)


def test_kl_by_hand():
    p, q = torch.tensor([0.5, 0.5, 0.0]).double(), torch.tensor([0.25, 0.5, 0.25]).double()
    assert kl(p.log(), q.log()) == pytest.approx(0.5 * torch.tensor(2.0).log().item())
    assert kl(q.log(), p.log()) == float("inf")


def test_others_have_no_distribution():
    with pytest.raises(InputError, match="needs model=factorized or joint, found Linear"):
        log_distribution(torch.nn.Linear(1, 1), L)
