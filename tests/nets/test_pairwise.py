import pytest
import torch

from tcsm.errors import InputError
from tcsm.nets.pairwise import Pairwise
from tcsm.toy.base import all_sequences


def test_it_is_a_sum_over_pairs_of_positions():
    net = Pairwise(3, 2)
    torch.nn.init.normal_(net.weight)
    w = net.weight.detach()
    x = torch.tensor([[2, 1]])
    actual = net(x[None], x, torch.zeros(1))
    assert actual.item() == pytest.approx((w[2, 2] + w[2, 4] + w[4, 2] + w[4, 4]).item())


def test_it_starts_at_zero_and_looks_at_the_guess_alone():
    net = Pairwise(3, 2)
    guesses, x_t = all_sequences(3, 2)[None], torch.full((1, 2), 3)
    assert net(guesses, x_t, torch.zeros(1)).abs().max() == 0
    torch.nn.init.normal_(net.weight)
    one, two = net(guesses, x_t, torch.zeros(1)), net(guesses, x_t - 1, torch.ones(1))
    assert torch.equal(one, two)


def test_it_is_no_table_of_the_distribution():
    """Of the distributions of three positions it has those without interactions of all three."""
    x = all_sequences(2, 3)
    odd = (-1.0) ** x.sum(-1)
    net = Pairwise(2, 3)
    torch.nn.init.normal_(net.weight)
    energy = net(x[None], x[:1], torch.zeros(1))[0]
    assert abs((odd * energy).sum().item()) < 1e-4


def test_no_sizes_no_net():
    with pytest.raises(InputError, match="at least 1, found 0 and 3"):
        Pairwise(0, 3)
