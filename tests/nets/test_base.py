import pytest
import torch
from torch import nn
from torch.testing import assert_close

from tcsm.divergences import closed_form
from tcsm.nets.base import Net
from tcsm.nets.head import LossValues

V, D, B, L = 7, 4, 3, 5
SITES = torch.rand(B, L, generator=torch.Generator().manual_seed(0)) < 0.7


class Small(Net):
    """An embedding and a head that remembers how many positions it saw at once."""

    def __init__(self, chunk=None):
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.vocabulary, self.causal, self.timed, self.chunk = V, False, False, chunk
        self.table = nn.Parameter(torch.randn(V, D, dtype=torch.float64, generator=generator))
        self.head = nn.Linear(D, V).double()
        with torch.no_grad():
            for parameter in self.head.parameters():
                parameter.normal_(generator=generator)
        self.seen = []
        self.head.register_forward_hook(lambda _, inputs, __: self.seen.append(len(inputs[0])))

    def features(self, x, t, rows):
        return (self.table[x] + self.table[x].sum(1, keepdim=True)).flatten(0, 1)[rows]


class CrossEntropy:
    """A loss by autograd."""

    def __init__(self, labels):
        self.labels = labels

    def __call__(self, logits, chunk):
        loss = nn.functional.cross_entropy(logits, self.labels[chunk], reduction="none")
        return LossValues(loss, loss.detach())

    def closed_form(self, logits, spare, chunk):
        closed = closed_form.by_autograd(lambda values: self(values, chunk).loss, logits)
        return closed, closed.loss


class WithGradient(CrossEntropy):
    def closed_form(self, logits, spare, chunk):
        log_q = torch.log_softmax(logits, -1, out=spare)
        closed = closed_form.cross_entropy(log_q, self.labels[chunk])
        return closed, closed.loss


def run(logit_loss, chunk, weight_type=torch.float64):
    net = Small(chunk)
    x = torch.arange(B * L).view(B, L) % V
    generator = torch.Generator().manual_seed(2)
    n = int(SITES.sum())
    labels = torch.randint(V, (n,), generator=generator)
    weight = torch.rand(n, dtype=torch.float64, generator=generator).to(weight_type)
    result = net(x, None, SITES, logit_loss(labels), weight)
    (2 * result.total).backward()
    return net, result


def test_logits_only_at_chosen_positions_in_row_major_order():
    net, x = Small(), torch.arange(B * L).view(B, L) % V
    everywhere = net(x, None, torch.ones_like(SITES)).view(B, L, V)
    assert_close(net(x, None, SITES), everywhere[SITES])
    assert net.seen == [B * L, int(SITES.sum())]
    assert len(net(x, None, torch.zeros_like(SITES))) == 0


@pytest.mark.parametrize("logit_loss", [CrossEntropy, WithGradient])
@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_chunks_give_the_values_and_all_gradients_of_the_whole(logit_loss, chunk):
    whole, expected = run(CrossEntropy, None)
    net, result = run(logit_loss, chunk)
    for actual, truth in zip(result, expected, strict=True):
        assert_close(actual, truth)
    for actual, truth in zip(net.parameters(), whole.parameters(), strict=True):
        assert truth.grad.abs().max() > 0.1
        assert_close(actual.grad, truth.grad)
    assert max(net.seen) <= max(chunk, 1) or chunk >= int(SITES.sum())
    assert sum(net.seen) == int(SITES.sum())


@pytest.mark.parametrize("chunk", [None, 2])
def test_loss_keeps_its_precision_whatever_the_weights(chunk):
    _, result = run(CrossEntropy, chunk, torch.float32)
    assert result.total.dtype == torch.float64
    assert result.total.requires_grad
    assert not result.loss.requires_grad


def test_values_need_no_gradients():
    with torch.no_grad():
        net = Small(2)
        x = torch.zeros(B, L).long()
        labels = torch.zeros(int(SITES.sum())).long()
        result = net(x, None, SITES, CrossEntropy(labels), torch.ones(len(labels)))
    assert not result.total.requires_grad
    assert len(result.loss) == len(labels)


@pytest.mark.parametrize("chunk", [None, 2])
def test_no_position_at_all_costs_nothing_and_has_a_gradient(chunk):
    net = Small(chunk)
    nowhere = torch.zeros_like(SITES)
    logit_loss, nothing = CrossEntropy(torch.zeros(0).long()), torch.zeros(0)
    result = net(torch.zeros(B, L).long(), None, nowhere, logit_loss, nothing)
    result.total.backward()
    assert result.total == 0
    assert (net.table.grad == 0).all()


class Tied(Small):
    """The head is the table, as where embeddings are tied."""

    def __init__(self, chunk=None):
        super().__init__(chunk)
        self.head = nn.Linear(D, V, bias=False).double()
        self.head.weight = self.table
        self.head.register_forward_hook(lambda _, inputs, __: self.seen.append(len(inputs[0])))


class Plain(Small):
    """A linear map that nothing watches."""

    def __init__(self, chunk=None):
        super().__init__(chunk)
        self.head._forward_hooks.clear()


class Headless(Small):
    """Features are logits: the head has no parameters."""

    def __init__(self, chunk=None):
        super().__init__(chunk)
        self.table = nn.Parameter(torch.randn(V, V, dtype=torch.float64))
        self.head = nn.Identity()


def frozen_head(net):
    net.head.requires_grad_(False)


def frozen_bias(net):
    net.head.bias.requires_grad_(False)


def frozen_body(net):
    net.table.requires_grad_(False)


def spare_parameter(net):
    net.head.register_parameter("spare", nn.Parameter(torch.ones(2, dtype=torch.float64)))


@pytest.mark.parametrize("logit_loss", [CrossEntropy, WithGradient])
@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (Tied, None),
        (Headless, None),
        (Plain, None),
        (Plain, frozen_head),
        (Plain, frozen_bias),
        (Plain, frozen_body),
        (Small, frozen_head),
        (Small, frozen_bias),
        (Small, frozen_body),
        (Small, spare_parameter),
    ],
)
def test_any_head_may_be_read_in_chunks(kind, change, logit_loss):
    actual = []
    for chunk in (None, 2):
        torch.manual_seed(0)
        net = kind(chunk)
        if change:
            change(net)
        x = torch.arange(B * L).view(B, L) % V
        labels = x[SITES].roll(1)
        weight = torch.linspace(0.1, 1, len(labels), dtype=torch.float64)
        result = net(x, None, SITES, logit_loss(labels), weight)
        result.total.backward()
        actual.append([*result, *(p.grad for p in net.parameters())])
    for whole, chunked in zip(*actual, strict=True):
        assert (whole is None) == (chunked is None) or not chunked.any()
        if whole is not None:
            assert_close(chunked, whole)


def test_a_network_without_anything_to_learn_is_read_in_chunks():
    net = Small(2).requires_grad_(False)
    x, labels = torch.zeros(B, L).long(), torch.zeros(int(SITES.sum())).long()
    result = net(x, None, SITES, CrossEntropy(labels), torch.ones(len(labels)))
    assert not result.total.requires_grad
