import torch
from torch.testing import assert_close

from tcsm.nets.energy import Energy
from tcsm.nets.transformer import Transformer

V, L = 5, 7


def network(timed=False):
    net = Energy(Transformer(vocabulary=V, extra=1, dim=16, depth=2, heads=2, stem=3, timed=timed))
    torch.nn.init.normal_(net.body.head.weight)
    return net


def inputs():
    return torch.randint(V, (3, 4, L)), torch.randint(V + 1, (3, L)), torch.rand(3)


def test_it_starts_at_zero():
    net = Energy(Transformer(vocabulary=V, extra=1, dim=16, depth=1, heads=2))
    assert (net(*inputs()) == 0).all()


def test_guesses_do_not_see_each_other():
    net, (x, x_t, t) = network(), inputs()
    together = net(x, x_t, t)
    for k in range(4):
        assert_close(net(x[:, k : k + 1], x_t, t)[:, 0], together[:, k], rtol=1e-4, atol=1e-4)


def test_it_minds_the_guess_what_it_came_from_and_the_time():
    net, (x, x_t, t) = network(timed=True), inputs()
    for weight in net.body.blocks.parameters():  # residual branches start at zero
        torch.nn.init.normal_(weight, std=0.2)
    value = net(x, x_t, t)
    for other in ((x.flip(-1), x_t, t), (x, x_t.flip(-1), t), (x, x_t, 1 - t)):
        assert not torch.allclose(net(*other), value)


def test_every_weight_is_trained():
    net = network()
    net(*inputs()).square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    assert net.flops_per_token(L) == net.body.flops_per_token(L)
    assert (net.vocabulary, net.states) == (V, V + 1)
