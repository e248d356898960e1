import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.masked_lm import HollowLM, MaskedLM
from tcsm.nets.hollow import Hollow
from tcsm.nets.transformer import Transformer

V, L = 4, 5
X = torch.tensor([[0, 3, 1, 2, 2], [1, 1, 0, 3, 2]])
POSITIONS = torch.tensor([[True, False, True, False, False], [False, True, True, True, False]])


def awake(net):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return net.double()


def transformer(**fields):
    return awake(Transformer(vocabulary=V, dim=8, depth=1, heads=1, **{"extra": 1} | fields))


TEACHERS = {
    "blind": lambda: HollowLM(awake(Hollow(vocabulary=V, dim=8, depth=1, heads=1, stem=3))),
    "masked": lambda: MaskedLM(transformer(), batch=2),
}
both = pytest.mark.parametrize("name", TEACHERS)


@both
@torch.no_grad()
def test_conditionals_are_normalized_and_do_not_see_their_own_token(name):
    teacher = TEACHERS[name]()
    actual = teacher.log_conditionals(X, POSITIONS)
    assert_close(actual.exp().sum(-1), torch.ones(5).double())
    row, column = POSITIONS.nonzero(as_tuple=True)
    for n, (i, j) in enumerate(zip(row, column, strict=True)):
        other = X.clone()
        other[i, j] = (X[i, j] + 1) % V
        moved = (teacher.log_conditionals(other, POSITIONS) - actual).abs().amax(-1)
        assert moved[n] < 1e-12
        neighbors = (row == i) & (column != j)
        assert (moved[neighbors] > 1e-6).all()
        assert (moved[row != i] == 0).all()
    assert teacher.log_conditionals(X, torch.zeros_like(POSITIONS)).shape == (0, V)


@torch.no_grad()
def test_a_masked_model_is_asked_one_position_at_a_time():
    teacher = TEACHERS["masked"]()
    actual = teacher.log_conditionals(X, POSITIONS)
    at = torch.zeros(1, L, dtype=torch.bool).index_fill(1, torch.tensor(2), True)
    alone = teacher.net(torch.tensor([[0, 3, V, 2, 2]]), None, at).log_softmax(-1)
    assert_close(actual[1:2], alone)
    together = teacher.net(X.masked_fill(POSITIONS, V), None, POSITIONS).log_softmax(-1)
    assert (together - actual).abs().max() > 1e-3
    assert_close(MaskedLM(teacher.net).log_conditionals(X, POSITIONS), actual)


@torch.no_grad()
def test_a_hollow_model_gives_all_positions_in_one_pass():
    """Those of one position at a time, each of a text with any token there."""
    teacher, everywhere, calls = TEACHERS["blind"](), torch.ones_like(X, dtype=torch.bool), []
    handle = teacher.net.register_forward_hook(lambda *_: calls.append(1))
    actual = teacher.log_conditionals(X, everywhere)
    assert len(calls) == 1
    handle.remove()
    for n, (i, j) in enumerate(everywhere.nonzero().tolist()):
        alone = torch.zeros_like(everywhere)
        alone[i, j] = True
        other = X.clone()
        other[i, j] = (X[i, j] + 1) % V
        assert_close(teacher.log_conditionals(other, alone)[0], actual[n], rtol=0, atol=1e-12)


@both
def test_cross_entropy_and_its_gradient(name):
    teacher, weight = TEACHERS[name](), torch.rand(5)
    result = teacher.cross_entropy(X, POSITIONS, weight)
    seen = X if name == "blind" else X.masked_fill(POSITIONS, V)
    log_p = teacher.net(seen, None, POSITIONS).log_softmax(-1)
    nats = -log_p.gather(-1, X[POSITIONS][:, None])[:, 0]
    assert_close(result.total.double(), (weight * nats).sum(), rtol=1e-5, atol=0)
    teacher.net.chunk = 2
    parts = teacher.cross_entropy(X, POSITIONS, weight)
    parameters = list(teacher.parameters())
    actual = torch.autograd.grad(parts.total, parameters)
    expected = torch.autograd.grad((weight * nats).sum(), parameters)
    for one, other in zip(actual, expected, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_networks_that_cannot_teach_are_refused():
    with pytest.raises(InputError, match="model=blind needs net=hollow, found Transformer"):
        HollowLM(transformer())
    for fields in ({"extra": 0}, {"causal": True}, {"timed": True}):
        with pytest.raises(InputError, match="needs a bidirectional net with a mask"):
            MaskedLM(transformer(**fields))
    with pytest.raises(InputError, match=r"model\.batch "):
        MaskedLM(transformer(), batch=0)
