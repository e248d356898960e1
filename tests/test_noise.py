import itertools
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from tcsm.noise import (
    BLOCK,
    Antithetic,
    Noise,
    batch_noise,
    categorical,
    fold,
    splitmix64,
    to_uniform,
)

GOLDEN = 0x9E3779B97F4A7C15
COUNT = 4000
double = partial(torch.tensor, dtype=torch.float64)


def signed(word):
    return word - (1 << 64) if word >> 63 else word


def reference(word):
    """SplitMix64 in Python's integers: the state is advanced first, as in Vigna's C code."""
    mask = (1 << 64) - 1
    word = (word + GOLDEN) & mask
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
    return word ^ (word >> 31)


def distance_from_uniform(u):
    """Kolmogorov-Smirnov distance times √n; above 1.95 with probability 0.001."""
    ordered = np.sort(u.numpy().ravel())
    n = len(ordered)
    grid = np.arange(n)
    return max((ordered - grid / n).max(), ((grid + 1) / n - ordered).max()) * n**0.5


def test_published_sequence():
    states = [signed((1234567 + i * GOLDEN) % (1 << 64)) for i in range(5)]
    actual = [int(word) % (1 << 64) for word in splitmix64(torch.tensor(states))]
    assert actual == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@given(st.integers(0, (1 << 64) - 1))
def test_finalizer_equals_unsigned_arithmetic(word):
    assert int(splitmix64(torch.tensor(signed(word)))) % (1 << 64) == reference(word)


@given(st.integers(0, (1 << 64) - 1))
def test_uniform_is_the_top_53_bits(word):
    assert float(to_uniform(torch.tensor(signed(word)))) == (word >> 11) / 2**53


def test_uniform_is_never_one():
    assert 0 <= to_uniform(torch.tensor(-1)) < 1
    assert to_uniform(torch.tensor(0)) == 0


def test_fold_broadcasts_and_minds_the_order():
    rows, columns = torch.arange(3)[:, None], torch.arange(4)
    table = fold(7, rows, columns)
    assert table.shape == (3, 4)
    assert table[2, 1] == fold(7, 2, 1)
    assert fold(1, 2) != fold(2, 1)
    assert len(table.unique()) == 12


def test_draws_are_uniform():
    noise = batch_noise(0, 0, COUNT)
    assert distance_from_uniform(noise.uniform("a", 16)) < 1.95
    assert distance_from_uniform(noise.uniform("a")) < 1.95
    first = torch.stack([batch_noise(0, step, 1).uniform("a")[0] for step in range(1000)])
    assert distance_from_uniform(first) < 1.95


def test_seeds_streams_steps_samples_and_positions_are_independent():
    def draw(seed=0, step=0, stream="a"):
        return batch_noise(seed, step, COUNT).uniform(stream, 2)

    here = draw()
    columns = [
        here[:, 0],
        here[:, 1],
        here[:, 0].roll(1),
        draw(seed=1)[:, 0],
        draw(step=1)[:, 0],
        draw(stream="b")[:, 0],
        draw(seed=1, stream="b")[:, 0],
    ]
    for one, other in itertools.combinations(columns, 2):
        correlation = torch.corrcoef(torch.stack([one, other]))[0, 1]
        assert abs(correlation) < 4 / COUNT**0.5
        assert not torch.equal(one, other)
        cells = (one * 4).long() * 4 + (other * 4).long()
        expected = COUNT / 16
        chi_square = ((cells.bincount(minlength=16) - expected) ** 2 / expected).sum()
        assert chi_square < 45  # 15 degrees of freedom: exceeded once in 10⁴


def test_seed_and_step_are_not_interchangeable():
    assert not torch.equal(batch_noise(1, 2, 8).uniform("a"), batch_noise(2, 1, 8).uniform("a"))


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_ranks_draw_what_one_device_would(ranks):
    whole = batch_noise(3, 5, 24)
    parts = [Noise(3, 5, torch.arange(24)[rank::ranks], 24) for rank in range(ranks)]
    for rank, part in enumerate(parts):
        assert torch.equal(part.uniform("a", 7, 2), whole.uniform("a", 7, 2)[rank::ranks])
        assert torch.equal(part.stratified("a"), whole.stratified("a")[rank::ranks])


def test_accumulated_halves_are_the_whole():
    whole, halves = batch_noise(0, 9, 10), torch.arange(10).view(2, 5)
    drawn = torch.cat([Noise(0, 9, ids, 10).uniform("a", 3) for ids in halves])
    assert torch.equal(drawn, whole.uniform("a", 3))


@given(st.integers(0, 2**31), st.integers(0, 10**6), st.integers(1, 64))
def test_stratified_draws_hit_every_stratum_once(seed, step, total):
    u = batch_noise(seed, step, total).stratified("time")
    assert ((u >= 0) & (u < 1)).all()
    assert (u * total).floor().long().tolist() == list(range(total))


def test_stratified_offset_is_uniform_over_steps():
    offsets = torch.stack([batch_noise(0, step, 1).stratified("time")[0] for step in range(1000)])
    assert distance_from_uniform(offsets) < 1.95


def test_no_two_samples_share_masks():
    drawn = torch.cat([batch_noise(0, step, 64).uniform("corrupt", 32) for step in range(20)])
    masks = drawn < 0.5
    assert len(masks.unique(dim=0)) == len(masks)  # 1280 of 2³²: a collision has p = 2·10⁻⁴
    assert len(drawn.unique()) == drawn.numel()


def test_step_may_be_a_tensor():
    ids, draws = torch.tensor([4, 4, 9]), torch.tensor([0, 1, 0])
    noise = Noise(1, ids, draws, 2)
    alone = Noise(1, 9, torch.tensor([0]), 2)
    assert torch.equal(noise.uniform("a", 3)[2], alone.uniform("a", 3)[0])
    assert torch.equal(noise.stratified("a")[2:], alone.stratified("a"))
    assert not torch.equal(noise.uniform("a")[0], noise.uniform("a")[1])
    assert torch.isclose(
        noise.stratified("a")[1] - noise.stratified("a")[0], torch.tensor(0.5).double()
    )


def test_categorical_inverts_the_distribution_function():
    log_p = double([[0.2, 0.0, 0.5, 0.3]]).log().expand(8, -1)
    u = double([0.0, 0.1999, 0.2001, 0.4, 0.6999, 0.7001, 0.9, 1 - 2**-53])
    assert categorical(log_p, u).tolist() == [0, 0, 2, 2, 2, 3, 3, 3]


@given(
    st.lists(st.floats(-30, 0), min_size=2, max_size=8),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 7),
)
def test_categorical_never_draws_the_impossible(logits, u, zero):
    log_p = double([logits])
    log_p[0, zero % len(logits)] = -torch.inf
    drawn = categorical(log_p, double([u]))
    assert 0 <= drawn < len(logits)
    assert log_p[0, drawn] > -torch.inf


def test_categorical_draws_tokens_eighteen_nats_down():
    """(12.6): single-precision uniforms live on 2⁻²⁴ and would miss e⁻¹⁸ nearly always.

    The strip of u that gives the rare token has its exact width, to a part in 10⁶.
    """
    log_p = double([[0.0, -18.0]]).log_softmax(-1)
    rare = log_p[0, 1].exp().item()
    edge = double([1 - rare * (1 + 1e-6), 1 - rare * (1 - 1e-6)])
    assert categorical(log_p.expand(2, -1), edge).tolist() == [0, 1]
    # Rare tokens in front: single-precision sums would lose them beside the common one.
    front = log_p.flip(-1).expand(2, -1)
    edge = double([rare * (1 - 1e-6), rare * (1 + 1e-6)])
    assert categorical(front, edge).tolist() == [0, 1]


def test_categorical_sees_many_rare_tokens_behind_a_common_one():
    """A tail of 1000 tokens of e⁻¹⁸ each, at the right end of the distribution function."""
    log_p = torch.cat([torch.zeros(1), torch.full((1000,), -18.0)]).log_softmax(-1)
    tail = 1000 * log_p[1].exp()
    u = 1 - tail * (1 - (torch.arange(1000).double() + 0.5) / 1000)
    drawn = categorical(log_p.expand(1000, -1), u)
    assert torch.equal(drawn, torch.arange(1, 1001))


def test_draws_do_not_depend_on_how_many_are_inverted_at_once(monkeypatch):
    noise = batch_noise(0, 0, 50)
    log_p = torch.log_softmax(3 * noise.uniform("logits", 7), -1)
    whole = categorical(log_p, noise.uniform("draw"))
    monkeypatch.setattr("tcsm.noise.CELLS", 15)
    assert torch.equal(categorical(log_p, noise.uniform("draw")), whole)
    assert len(categorical(log_p[:0], noise.uniform("draw")[:0])) == 0


def test_two_steps_draw_the_same_as_one(monkeypatch):
    """Blocks of four tokens, the last one shorter, impossible tokens and a whole such block."""
    monkeypatch.setattr("tcsm.noise.BLOCK", 4)
    noise = batch_noise(1, 0, 3000)
    log_p = 3 * noise.uniform("logits", 14)
    log_p[:, [1, 4, 5, 6, 7, 13]] = -torch.inf
    u = noise.uniform("draw")
    once = categorical(log_p, u)
    monkeypatch.setattr("tcsm.noise.DENSE", 0)
    assert torch.equal(categorical(log_p, u), once)
    assert torch.equal(categorical(log_p + 1e4, u), once)
    for kind in (torch.float32, torch.bfloat16):
        rounded = log_p.to(kind)
        drawn, exact = categorical(rounded, u), categorical(rounded.double(), u)
        assert (drawn != exact).sum() <= 1  # sums in single precision move the edges by 10⁻⁷


def test_two_steps_give_every_token_its_own_strip_of_u():
    """Chances from e⁻³⁰ beside a common token, in its block or another, to a part in 10⁵."""
    vocabulary = 3001
    log_p = torch.full((vocabulary,), -60.0)
    tokens = torch.tensor([3, 5, 255, 256, 1000, 2999, 3000])
    log_p[tokens] = torch.tensor([0.0, -20.0, -25.0, -24.0, -1.0, -28.0, -30.0])
    chance = log_p.double().softmax(-1)

    def first(token):
        """The smallest u that draws a token or a later one, by bisection."""
        low, high = torch.zeros(len(token)).double(), torch.ones(len(token)).double()
        for _ in range(60):
            middle = (low + high) / 2
            drawn = categorical(log_p.expand(len(token), -1), middle.clamp(max=1 - 2**-53))
            low, high = middle.where(drawn < token, low), high.where(drawn < token, middle)
        return high

    width = first(tokens + 1) - first(tokens)
    assert torch.allclose(width, chance[tokens], rtol=1e-5, atol=2**-52)
    assert (width > 0).all()


@pytest.mark.parametrize("total", [1, 2, 5, 8])
def test_mirrored_strata_have_no_error_in_what_is_linear(total):
    ids = torch.arange(total)
    draws = torch.stack([Antithetic(s, 3, ids, total).stratified("n") for s in range(50)])
    assert ((draws >= ids / total) & (draws < (ids + 1) / total)).all()
    plain = torch.stack([Noise(s, 3, ids, total).stratified("n") for s in range(50)])
    assert torch.equal(draws[:, : (total + 1) // 2], plain[:, : (total + 1) // 2])
    error = (draws.mean(1) - 0.5).abs().max()
    assert error < (1e-12 if total % 2 == 0 else 0.5 / total**2 + 1e-12)


def test_a_large_vocabulary_is_never_summed_in_float64():
    """Float64 holds the sums of blocks and the tokens of one block."""
    log_p, widest = torch.randn(3, 5000), [0]

    class Widest(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            out = operation(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
                widest[0] = max(widest[0], out.shape[-1])
            return out

    with Widest():
        categorical(log_p, torch.rand(3, dtype=torch.float64))
    assert 3 < widest[0] <= BLOCK
