import itertools

import pytest
import torch

from tcsm.errors import InputError
from tcsm.noise import batch_noise
from tcsm.toy.pairs import Pairs


def test_the_distribution_is_that_of_its_chain_and_its_leaks():
    world = Pairs(3, 4, leak=0.1)
    steps = world.log_steps().exp()
    for number, (a, b, c, d) in enumerate(itertools.product(range(3), repeat=4)):
        agree = [0.9 if x == y else 0.05 for x, y in ((a, b), (c, d))]
        p = steps[0, 3, a] * steps[1, a, c] * agree[0] * agree[1]
        assert world.log_p[number].exp().item() == pytest.approx(p.item())


def test_without_a_leak_two_tokens_would_be_an_exclusive_or():
    p = Pairs(2, 2, leak=1e-12).log_p.exp()
    assert p[1] + p[2] < 1e-11
    assert p[0] + p[3] == pytest.approx(1)


def test_the_leak_is_the_chance_that_a_pair_does_not_agree():
    world = Pairs(4, 6, leak=0.2)
    x = world.sample(batch_noise(0, 0, 20_000))
    for pair in range(3):
        apart = (x[:, 2 * pair] != x[:, 2 * pair + 1]).double().mean()
        assert apart.item() == pytest.approx(0.2, abs=0.01)


def test_modes_differ_and_depend_on_each_other():
    p = Pairs(4, 4, leak=0.01).log_p.exp().view(4, 4, 4, 4).sum((1, 3))
    assert (p - p.sum(0) * p.sum(1, keepdim=True)).abs().max() > 0.01
    flat = Pairs(4, 4, leak=0.01, spread=0.0).log_p.exp().view(4, 4, 4, 4).sum((1, 3))
    assert torch.allclose(flat, torch.full((4, 4), 1 / 16).double())


def test_the_distribution_is_the_same_for_all_runs():
    assert torch.equal(Pairs(4, 6).log_p, Pairs(4, 6).log_p)
    assert not torch.equal(Pairs(4, 6).log_p, Pairs(4, 6, seed=1).log_p)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 3}, "world.length must be even, found 3"),
        ({"leak": 0.0}, r"world.leak must lie in \(0, 1\), found 0.0"),
        ({"spread": -1.0}, "world.spread must be 0 or more, found -1.0"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(InputError, match=message):
        Pairs(**{"vocabulary": 2, "length": 2, **changes})
