import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.autoregressive import Autoregressive
from tcsm.nets.transformer import Transformer
from tests.enumeration import sequences

V, L = 3, 4
ALL = torch.from_numpy(sequences(V, L))


def awake(chunk=None):
    net = Transformer(
        vocabulary=V, extra=1, dim=8, depth=1, heads=1, causal=True, stem=3, chunk=chunk
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return Autoregressive(net)


def test_probabilities_of_all_sequences_sum_to_one():
    log_p = awake().log_prob(ALL)
    assert log_p.dtype == torch.float64
    assert_close(log_p.exp().sum().item(), 1.0, atol=1e-6, rtol=0)
    assert log_p.std() > 0.1


def test_chain_rule_over_prefixes():
    model = awake()
    total = torch.zeros(len(ALL)).double()
    for position in range(L):
        log_next = model.log_next(ALL[:, :position])
        assert_close(log_next.exp().sum(-1), torch.ones(len(ALL)).double())
        total += log_next.gather(-1, ALL[:, position : position + 1])[:, 0]
    assert_close(model.log_prob(ALL), total, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunk", [None, 5])
def test_weighted_cross_entropy_and_its_gradient(chunk):
    model, x = awake(chunk), ALL[[3, 50, 77]]
    weight = torch.rand(x.numel())
    result = model.cross_entropy(x, weight)
    everywhere = torch.ones_like(x, dtype=torch.bool)
    start = torch.full((3, 1), V)
    logits = model.net(torch.cat([start, x[:, :-1]], 1), None, everywhere)
    loss = -logits.log_softmax(-1).gather(-1, x.flatten()[:, None])[:, 0]
    assert_close(result.loss, loss.detach())
    assert_close(result.cross_entropy, loss.detach())
    parameters = [p for p in model.parameters() if p.requires_grad]
    actual = torch.autograd.grad(result.total, parameters)
    expected = torch.autograd.grad((weight * loss).sum(), parameters)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_network_that_sees_the_future_is_refused():
    net = Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=1)
    with pytest.raises(InputError, match=r"net\.causal "):
        Autoregressive(net)
