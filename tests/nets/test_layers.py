import math

import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from tcsm.nets.layers import (
    Attention,
    Mlp,
    Stem,
    TimeEmbedding,
    attend,
    linear,
    rms_norm,
    rotary,
    rotate,
)


def test_rms_norm():
    x = torch.randn(4, 64, dtype=torch.float64) * 10
    assert_close(rms_norm(x).square().mean(-1), torch.ones(4).double(), atol=1e-6, rtol=0)
    assert_close(rms_norm(3 * x), rms_norm(x), atol=1e-6, rtol=0)


def test_gradient_of_rms_norm():
    x = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(rms_norm, (x,))
    zero = torch.zeros(2, 8, requires_grad=True)
    rms_norm(zero).sum().backward()
    assert torch.isfinite(zero.grad).all()


def test_linear_starts_at_fan_in_or_zero():
    assert abs(linear(256, 512).weight.std() * 16 - 1) < 0.02
    assert (linear(8, 8, zero=True).weight == 0).all()


def test_rotations_keep_lengths_and_see_relative_positions_only():
    like = torch.zeros(1)
    x, y = torch.randn(2, 1, 1, 1, 16)
    turn = rotary(10, 16, like)
    turned_x, turned_y = (rotate(v.expand(1, 10, 2, 16), turn) for v in (x, y))
    assert_close(turned_x.norm(dim=-1), x.norm().expand(1, 10, 2) / 2)  # 16^(-1/4)
    product = torch.einsum("blhe,bmhe->blmh", turned_x, turned_y)[0, ..., 0]
    for offset in range(-9, 10):
        diagonal = product.diagonal(offset)
        assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=1e-4)
    assert_close(turned_x[0, 0], x.expand(1, 1, 2, 16)[0, 0] / 2)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 7, 128, 130])
def test_attention_by_hand_fused_and_explicit_agree(causal, length):
    q, k, v = (torch.randn(2, 3, length, 8) for _ in range(3))
    actual = attend(q, k, v, causal)
    fused = functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=1.0)
    assert_close(actual, fused, atol=1e-5, rtol=1e-5)
    logits = q.double() @ k.double().transpose(-1, -2)
    if causal:
        ahead = torch.arange(length)[None] > torch.arange(length)[:, None]
        logits[..., ahead] = -math.inf
    assert_close(actual.double(), logits.softmax(-1) @ v.double(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_explicit_attention_has_the_fused_gradients(causal):
    inputs = [torch.randn(1, 2, 9, 4, requires_grad=True) for _ in range(3)]
    direction = torch.randn(1, 2, 9, 4)
    explicit = torch.autograd.grad((attend(*inputs, causal) * direction).sum(), inputs)
    fused = functional.scaled_dot_product_attention(*inputs, is_causal=causal, scale=1.0)
    for actual, truth in zip(
        explicit, torch.autograd.grad((fused * direction).sum(), inputs), strict=True
    ):
        assert_close(actual, truth, atol=1e-5, rtol=1e-4)


def test_half_precision_attention_is_close():
    q, k, v = (torch.randn(1, 2, 32, 16) for _ in range(3))
    q = q / 4
    actual = attend(*(part.bfloat16() for part in (q, k, v)), True)
    assert actual.dtype == torch.bfloat16
    assert_close(actual.float(), attend(q, k, v, True), atol=0.05, rtol=0.05)


def test_branches_end_in_zero():
    x = torch.randn(2, 5, 16)
    attention = Attention(16, 2, False)
    assert (attention.out(attention.mix(x, rotary(5, 8, x))) == 0).all()
    assert (Mlp(16, 4)(x) == 0).all()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("width", [1, 3, 5])
def test_stem_by_tables_and_by_convolution_are_one_function(causal, width):
    dim, states, length = 6, 4, 9
    stem = Stem(dim, width, causal)
    embedding = torch.randn(states, dim, requires_grad=True)
    x = torch.randint(states, (2, length))
    before = width - 1 if causal else width // 2
    expected = functional.embedding(x, embedding)
    for i in range(length):
        for k in range(width):
            j = i + k - before
            if 0 <= j < length:
                around = torch.zeros(2, length, dim)
                around[:, i] = embedding[x[:, j]] @ stem.weight[k]
                expected = expected + around
    assert_close(stem(x, embedding), expected, atol=1e-5, rtol=1e-5)
    # More states than any table is made for: the same embedding behind unused rows.
    padded = torch.cat([embedding, torch.randn(5000, dim)])
    assert_close(stem(x, padded), expected, atol=1e-5, rtol=1e-5)
    parameters = [stem.weight, embedding]
    direction = torch.randn_like(expected)
    by_table = torch.autograd.grad((stem(x, embedding) * direction).sum(), parameters)
    by_convolution = torch.autograd.grad((stem(x, padded) * direction).sum(), parameters)
    for one, other in zip(by_table, by_convolution, strict=True):
        assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_time_embedding_tells_times_apart():
    embed = TimeEmbedding(32)
    actual = embed(torch.tensor([0.0, 0.5, 0.501, 1.0]).double())
    assert actual.shape == (4, 32)
    distance = torch.cdist(actual, actual) + torch.eye(4)
    assert (distance > 1e-3).all()
