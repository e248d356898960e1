"""The explicit ratio: normalized where it is used, its reference as it was."""

import pytest
import torch
from torch.testing import assert_close

from tcsm.errors import InputError
from tcsm.models.explicit import Explicit
from tcsm.models.factorized import Factorized
from tcsm.models.losses import BoundIntegrand, CrossEntropy, RatioLoss, ReferenceRatioLoss
from tcsm.neighborhoods.hamming import Hamming
from tcsm.nets.transformer import Transformer
from tcsm.noise import batch_noise
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask
from tcsm.samplers.ancestral import Ancestral
from tests.tables import Table

V = L = 3
PATH = Path(Mask(V), Linear())
LOG_R, LOGITS = torch.randn(2, L, V, generator=torch.Generator().manual_seed(0)).double()


def network(chunk=None):
    return Transformer(vocabulary=V, extra=1, dim=8, depth=1, heads=2, chunk=chunk).double()


def tables(clamp=None):
    return Explicit(Table(LOG_R), Factorized(Table(LOGITS), PATH), clamp)


def drawn():
    return CountSampling(PATH)(torch.randint(V, (6, L)), batch_noise(0, 0, 6))


@pytest.mark.parametrize("clamp", [None, 0.5])
def test_it_is_the_reference_times_the_ratio_normalized(clamp):
    """(9.4), against the posterior whose logits are the product's."""
    model, x = tables(clamp), drawn()
    log_r = LOG_R if clamp is None else clamp * torch.tanh(LOG_R / clamp)
    assert log_r.abs().max() < (clamp or 10)
    same = Factorized(Table(LOGITS.log_softmax(-1) + log_r), PATH)
    actual, expected = (m.log_marginals(x.x_t, x.t, x.noised) for m in (model, same))
    assert_close(actual, expected)
    near = Hamming(V).enumerate(x.x_1, x.noised)
    assert_close(model.log_ratio(x, near), same.log_ratio(x, near))
    weight = torch.rand(int(x.noised.sum()))
    for loss in (CrossEntropy(), BoundIntegrand(PATH)):
        one, other = (m.weighted_loss(x, loss, weight) for m in (model, same))
        for first, second in zip(one, other, strict=True):
            assert_close(first, second)
    draws = [m.candidates(x.x_t, x.t, x.noised, 3, batch_noise(0, 0, 6)) for m in (model, same)]
    assert torch.equal(*draws)


def test_samples_are_drawn_from_it():
    model, same = tables(), Factorized(Table(LOGITS.log_softmax(-1) + LOG_R), PATH)
    texts = [Ancestral(path=PATH, steps=4)(m, 5, L, seed=3).tokens for m in (model, same)]
    assert torch.equal(*texts)


def test_at_the_start_it_is_its_reference_and_by_chance_it_is_not():
    reference = Factorized(Table(LOGITS), PATH)
    x = drawn()
    expected = reference.log_marginals(x.x_t, x.t, x.noised)
    for zero in (True, False):
        model = Explicit(network(), reference, zero=zero)
        close = torch.allclose(model.log_marginals(x.x_t, x.t, x.noised), expected)
        assert close == zero
    with torch.no_grad():
        model.net.head.weight.fill_(3.0)
    model.reset_head()
    assert model.net.head.weight.std() < 1


def test_the_reference_is_neither_trained_nor_saved():
    model = Explicit(network(), Factorized(network(), PATH))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {f"net.{name}" for name, _ in model.net.named_parameters()}
    x = drawn()
    model.weighted_loss(x, CrossEntropy(), torch.ones(int(x.noised.sum()))).total.backward()
    assert all(p.grad is None for p in model.reference.parameters())
    assert model.path is PATH


class Cube(RatioLoss):
    """A loss with no gradient of its own."""

    def __call__(self, log_r, log_reference, positions):
        return ((log_r + log_reference) ** 3).sum(-1)


@pytest.mark.parametrize("loss", [Cube(), CrossEntropy()], ids=["ratio", "conditionals"])
def test_chunks_are_the_whole(loss):
    torch.manual_seed(0)
    net, x = network(), drawn()
    model = Explicit(net, Factorized(network(), PATH), clamp=1.5, zero=False)
    weight, actual = torch.rand(int(x.noised.sum())), []
    if isinstance(loss, RatioLoss):
        loss = ReferenceRatioLoss(loss, model.reference.log_conditionals(x.x_t, x.t, x.noised))
    for chunk in (None, 2):
        net.chunk = chunk
        total = model.weighted_loss(x, loss, weight).total
        actual.append((total, *torch.autograd.grad(total, net.parameters())))
    for one, other in zip(*actual, strict=True):
        assert_close(one, other, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("clamp", [0.0, -1.0, float("nan")])
def test_a_clamp_is_positive(clamp):
    with pytest.raises(InputError, match=r"model\.clamp "):
        tables(clamp)
