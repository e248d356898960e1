"""Each position of the hollow transformer sees all others, and never itself."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.nets.hollow import Hollow

V, L = 5, 6


def awake(stem=3, chunk=None):
    net = Hollow(vocabulary=V, dim=8, depth=2, heads=2, stem=stem, chunk=chunk).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net


def logits(net, x):
    everywhere = torch.ones_like(x, dtype=torch.bool)
    return net(x, None, everywhere).view(*x.shape, V)


@pytest.mark.parametrize("stem", [0, 3])
@torch.no_grad()
def test_a_position_is_blind_to_itself_alone(stem):
    net, x = awake(stem), torch.randint(V, (1, L))
    before = logits(net, x)
    for position in range(L):
        other = x.clone()
        other[0, position] = (x[0, position] + 1) % V
        moved = (logits(net, other) - before)[0].abs().amax(-1)
        assert moved[position] == 0
        assert (moved[[j for j in range(L) if j != position]] > 1e-6).all()


def test_no_gradient_reaches_the_own_embedding():
    """One embedding a place, by ids that differ: then the derivative tells the place."""
    net = Hollow(vocabulary=L, dim=8, depth=1, heads=1).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    x = torch.arange(L)[None]
    for position in range(L):
        at_position = torch.zeros(1, L, dtype=torch.bool)
        at_position[0, position] = True
        tables = [net.left.embedding, net.right.embedding]
        left, right = torch.autograd.grad(net(x, None, at_position).pow(2).sum(), tables)
        reached = left.abs().sum(-1) + right.abs().sum(-1)
        assert reached[position] == 0
        assert (reached[[j for j in range(L) if j != position]] > 0).all()


def test_chosen_rows_and_chunks_are_those_of_the_whole():
    x = torch.randint(V, (3, L))
    positions = torch.rand(3, L) < 0.5
    net = awake()
    assert_close(net(x, None, positions), logits(net, x)[positions])
    assert net.flops_per_token(L) > 6 * sum(p.numel() for p in net.mixing.parameters())


def test_every_parameter_learns():
    net = awake()
    logits(net, torch.randint(V, (2, L))).pow(2).sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_at_first_it_is_uniform_and_bad_sizes_are_refused():
    net = Hollow(vocabulary=V, dim=8, depth=1, heads=1)
    assert (logits(net, torch.zeros(1, L, dtype=torch.int64)) == 0).all()
    with pytest.raises(InputError, match=r"net\.dim "):
        Hollow(vocabulary=V, dim=9, depth=1, heads=1)
