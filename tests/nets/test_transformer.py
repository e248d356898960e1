import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer

V, B, L = 11, 2, 8
SIZES = {"vocabulary": V, "extra": 1, "dim": 16, "depth": 2, "heads": 2}


def awake(**fields):
    """A network none of whose branches is zero."""
    net = Transformer(**(SIZES | fields)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return net


def everywhere(net, x, t=None):
    return net(x, t, torch.ones_like(x, dtype=torch.bool)).view(*x.shape, -1)


@pytest.mark.parametrize("fields", [{}, {"causal": True}, {"timed": True}, {"stem": 3}], ids=str)
def test_starts_as_the_uniform_distribution(fields):
    net = Transformer(**(SIZES | fields))
    x, t = torch.randint(V + 1, (B, L)), torch.rand(B, dtype=torch.float64)
    logits = everywhere(net, x, t)
    assert logits.shape == (B, L, V)
    assert (logits == 0).all()


@pytest.mark.parametrize("stem", [0, 3])
def test_a_causal_network_never_sees_the_future(stem):
    net = awake(causal=True, stem=stem)
    x = torch.randint(V, (1, L))
    logits = everywhere(net, x)
    for position in range(L):
        changed = x.clone()
        changed[0, position] = (x[0, position] + 1) % V
        difference = (everywhere(net, changed) - logits).abs().amax((0, 2))
        assert (difference[:position] == 0).all()
        assert (difference[position:] > 1e-9).all()


@pytest.mark.parametrize("stem", [0, 3])
def test_a_bidirectional_network_sees_everything(stem):
    net = awake(stem=stem)
    x = torch.randint(V, (1, L))
    logits = everywhere(net, x)
    for position in range(L):
        changed = x.clone()
        changed[0, position] = (x[0, position] + 1) % V
        assert ((everywhere(net, changed) - logits).abs().amax((0, 2)) > 1e-9).all()


def test_a_time_free_network_has_no_time_and_ignores_it():
    net = awake()
    assert not net.timed
    assert not [name for name, _ in net.named_modules() if "time" in name or "modul" in name]
    x = torch.randint(V, (B, L))
    late, early = torch.ones(B).double(), torch.zeros(B).double()
    assert torch.equal(everywhere(net, x, late), everywhere(net, x, early))
    assert torch.equal(everywhere(net, x), everywhere(net, x, early))


def test_a_timed_network_minds_the_time_of_each_sequence():
    net = awake(timed=True)
    x = torch.randint(V, (1, L)).expand(B, -1)
    logits = everywhere(net, x, torch.tensor([0.2, 0.9]).double())
    assert (logits[0] - logits[1]).abs().max() > 1e-3
    alone = everywhere(net, x[:1], torch.tensor([0.9]).double())
    assert_close(logits[1:], alone)


def test_an_untouched_time_gate_changes_nothing():
    """adaLN starts at zero: at first a timed network is the time-free one."""
    net = Transformer(**SIZES, timed=True).double()
    with torch.no_grad():
        net.head.weight.normal_()
    x = torch.randint(V, (B, L))
    late, early = torch.ones(B).double(), torch.zeros(B).double()
    assert torch.equal(everywhere(net, x, late), everywhere(net, x, early))


def test_sequences_of_a_batch_do_not_mix():
    net = awake(stem=3)
    x = torch.randint(V, (B, L))
    assert_close(everywhere(net, x)[:1], everywhere(net, x[:1]))


def test_all_parameters_receive_gradients():
    net = awake(timed=True, stem=3)
    x = torch.randint(V + 1, (B, L))
    everywhere(net, x, torch.rand(B).double()).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"depth": 0}, r"net\.depth must be 1 or more, found 0"),
        ({"dim": 18}, r"net\.dim must be a multiple of 2 · net\.heads = 4, found 18"),
        ({"stem": 4}, r"net\.stem must be 0 or an odd width, found 4"),
        ({"stem": -1}, r"net\.stem must be 0 or an odd width, found -1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Transformer(**(SIZES | fields))


@pytest.mark.parametrize("timed", [False, True])
def test_dropout_acts_in_training_alone_and_keeps_the_mean(timed):
    x, t = torch.randint(V, (1, L)), torch.full((1,), 0.3).double() if timed else None
    torch.manual_seed(0)
    plain = awake(timed=timed)
    torch.manual_seed(0)
    net = awake(timed=timed, dropout=0.5)
    assert torch.equal(everywhere(net.eval(), x, t), everywhere(plain.train(), x, t))
    one, two = (everywhere(net.train(), x, t) for _ in range(2))
    assert not torch.equal(one, two)
    branch = net.blocks[0].dropped(torch.ones(4000, 16))
    assert branch.unique().tolist() == [0, 2]
    assert abs(branch.mean() - 1) < 0.02


@pytest.mark.parametrize("kind", [Transformer, Hollow])
def test_a_chance_of_dropout_lies_below_one(kind):
    sizes = SIZES if kind is Transformer else {k: v for k, v in SIZES.items() if k != "extra"}
    with pytest.raises(InputError, match=r"net\.dropout .* 1\.0"):
        kind(**sizes, dropout=1.0)
