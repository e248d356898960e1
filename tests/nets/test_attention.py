import pytest
import torch
from torch.testing import assert_close

from tcsm.nets import attention
from tcsm.nets.layers import Attention, rotary


def built(causal=False, dim=12, heads=3):
    torch.manual_seed(0)
    layer = Attention(dim, heads, causal).double()
    return layer, rotary(5, dim // heads, torch.zeros(1))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("like", [torch.float64, torch.float32])
def test_the_one_function_and_the_plain_layers_agree(causal, like, monkeypatch):
    layer, turn = built(causal)
    layer = layer.to(like)
    x = torch.randn(2, 5, 12, dtype=like, requires_grad=True)
    direction = torch.randn(2, 5, 12, dtype=like)
    actual = {}
    for short in (True, False):
        monkeypatch.setattr(attention, "LONGEST", 128 if short else 0)
        y = layer.mix(x, turn)
        assert ("Mixed" in type(y.grad_fn).__name__) == short
        actual[short] = (y, *torch.autograd.grad(y, (x, layer.qkv.weight), direction))
    close = {"atol": 1e-10, "rtol": 1e-10} if like is torch.float64 else {}
    assert_close(actual[True], actual[False], **close)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_the_one_function(causal):
    layer, turn = built(causal, dim=4, heads=1)
    x = torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)

    def call(x, weight):
        return attention.mixed(x, weight, turn, 1, causal)

    assert torch.autograd.gradcheck(call, (x, layer.qkv.weight))


def test_frozen_weights_and_frozen_inputs_have_gradients_of_the_other():
    layer, turn = built()
    x = torch.randn(2, 5, 12, dtype=torch.float64, requires_grad=True)
    layer.mix(x.detach(), turn).sum().backward()
    assert layer.qkv.weight.grad is not None
    layer.qkv.weight.requires_grad_(False)
    layer.mix(x, turn).sum().backward()
    assert x.grad is not None


def test_zeros_are_normalized_to_zeros():
    layer, turn = built()
    x = torch.zeros(1, 5, 12, dtype=torch.float64, requires_grad=True)
    y = layer.mix(x, turn)
    y.sum().backward()
    assert (y == 0).all()
    assert torch.isfinite(x.grad).all()


def test_half_precision_and_long_sequences_use_the_plain_layers():
    x = torch.zeros(1, attention.LONGEST, 4)
    assert attention.is_short(x)
    assert not attention.is_short(x.bfloat16())
    assert not attention.is_short(torch.zeros(1, attention.LONGEST + 1, 4))
    with torch.autocast("cpu", torch.bfloat16):
        assert not attention.is_short(x)
