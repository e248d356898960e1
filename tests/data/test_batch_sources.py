"""Batches of a weighed buffer: unbiased, stratified, the same whatever the split."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from tcsm.data.batch_sources import Collected, Corpus, DataContext
from tcsm.data.batches import WindowBatches
from tcsm.data.buffer import Buffer
from tcsm.data.tilts import Best, Boltzmann, Even
from tcsm.errors import InputError
from tcsm.noise import Noise
from tcsm.process.corruption import CountSampling
from tcsm.process.paths import Path
from tcsm.process.schedules import Linear
from tcsm.process.sources import Mask

L, TEXT = 2, 10_000  # tokens of the text are above all those of buffers


def context(reward=(0.0,), size=32, seed=0, log_weight=None):
    """Sequence r of the buffer is (r, r)."""
    reward = torch.tensor(reward, dtype=torch.float64)
    rows = torch.arange(len(reward))
    weight = torch.zeros_like(reward) if log_weight is None else torch.tensor(log_weight).double()
    corpus = WindowBatches(np.arange(TEXT, TEXT + 500, dtype=np.uint32), L, size, seed)
    buffer = Buffer(rows[:, None].repeat(1, L), reward, weight)
    return DataContext(corpus, size, L, seed, nn.Identity(), None, buffer)


def batches(tilt=None, **fields):
    return Collected(tilt or Boltzmann(1.0), **fields)


def share_of(batch, rows):
    """How much each sequence of the buffer weighs in a batch, whole weight over its size."""
    ours = batch.tokens[:, 0] < TEXT
    weight = batch.weight[ours].double() / batch.total
    return torch.zeros(rows).double().index_add(0, batch.tokens[ours, 0], weight)


@given(st.lists(st.floats(-4, 4), min_size=1, max_size=9), st.floats(0, 1), st.integers(0, 5))
def test_every_resampling_weighs_a_sequence_by_its_weight(reward, a, seed):
    """Strata count each sequence as often as they should, to within one."""
    given_, rows = context(reward, size=512, seed=seed), len(reward)
    source = batches(resample=a).open(given_)
    weights = Boltzmann(1.0).log_weights(given_.buffer).exp()
    actual = share_of(source.at(3), rows)
    one = weights ** (1 - a) * (weights**a).mean() / 512
    assert ((actual - weights / rows).abs() <= one * (1 + 1e-5) + 1e-9).all()


@pytest.mark.slow
@pytest.mark.parametrize("a", [0.0, 1.0])
def test_means_over_steps_are_the_weights(a):
    given_ = context([0.0, 1.0, -1.0, 2.0, 0.5], size=4)
    source = batches(resample=a).open(given_)
    steps = 300
    actual = torch.stack([share_of(source.at(step), 5) for step in range(steps)]).mean(0)
    weights = Boltzmann(1.0).log_weights(given_.buffer).exp()
    # The count of a sequence in four strata is one of two neighbors: its error is 1/2 at most.
    error = float(weights.max()) / 4 / 2 / steps**0.5
    assert actual.tolist() == pytest.approx((weights / 5).tolist(), abs=5 * error)


def test_at_one_all_weigh_alike_and_at_zero_all_come_alike():
    given_ = context([0.0, 1.0, 2.0, -1.0])
    assert batches(resample=1.0).open(given_).at(0).weight.tolist() == pytest.approx([1] * 32)
    even = batches(resample=0.0).open(given_).at(0)
    assert even.tokens[:, 0].bincount().tolist() == [8] * 4
    weights = Boltzmann(1.0).log_weights(given_.buffer).exp()
    assert even.weight.tolist() == pytest.approx(weights[even.tokens[:, 0]].tolist())


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_padding_comes_with_its_sequence_and_text_has_none(share):
    """Sequence r of the buffer has r tokens."""
    given_ = context([0.0, 0.0, 0.0])
    given_ = replace(given_, buffer=replace(given_.buffer, lengths=torch.tensor([[0], [1], [2]])))
    batch = batches(Even(), share=share).open(given_).at(1)
    expected = torch.where(batch.tokens[:, 0] < TEXT, batch.tokens[:, 0], L)
    assert batch.real.sum(-1).tolist() == expected.tolist()
    assert (expected < L).any()
    assert batch.to("cpu").real.equal(batch.real)


def test_rewards_that_overflow_are_refused():
    with pytest.raises(InputError, match="effective sample size nan"):
        batches(Boltzmann(1e-300)).open(context([1e10, -1e10]))


@pytest.mark.parametrize("a", [0.0, 0.5, 1.0])
def test_what_weighs_nothing_is_never_trained_on(a):
    source = batches(Best(0.25), resample=a).open(context([0.0, 3.0, 1.0, 2.0]))
    for step in range(20):
        actual = share_of(source.at(step), 4)
        assert actual.tolist() == pytest.approx([0, 1, 0, 0], abs=1e-6)


def test_importance_counts():
    source = batches(Even(), resample=1.0).open(context([0.0, 9.0], log_weight=[math.log(3), 0.0]))
    assert source.at(0).tokens[:, 0].bincount().tolist() == [24, 8]


@pytest.mark.parametrize(("share", "rows"), [(0.0, 0), (0.25, 8), (0.5, 16), (1.0, 32)])
def test_a_share_of_the_rows_is_collected_from_all_of_the_buffer(share, rows):
    source = batches(Even(), share=share).open(context([0.0] * 8))
    batch = source.at(5)
    assert int((batch.tokens[:, 0] < TEXT).sum()) == rows
    assert share_of(batch, 8).tolist() == pytest.approx([share / 8] * 8)
    assert batch.weight.tolist() == pytest.approx([1.0] * 32)
    text = batch.tokens[batch.tokens[:, 0] >= TEXT]
    assert text.diff(dim=1).eq(1).all()


@pytest.mark.slow
def test_a_sequence_meets_every_level_of_noise():
    """Neither the buffer's order nor text or not is tied to the strata of the noise."""
    steps, size = 150, 16
    source = batches(Even(), share=0.5).open(context([0.0] * 4, size=size))
    corruption = CountSampling(Path(Mask(TEXT * 2), Linear()))
    counts = {}
    for step in range(steps):
        batch = source.at(step)
        drawn = corruption(batch.tokens, Noise(0, step, batch.ids, size))
        rows = batch.tokens[:, 0].clamp(max=TEXT).tolist()
        for row, noised in zip(rows, drawn.noised, strict=True):
            counts.setdefault(row, []).append(int(noised.sum()))
    assert set(counts) == {0, 1, 2, 3, TEXT}
    for actual in counts.values():  # 1 or 2 of 2 positions, each half the time
        error = 0.5 / len(actual) ** 0.5
        assert abs(np.mean(actual) - 1.5) < 5 * error


@pytest.mark.parametrize(("world", "micros"), [(1, 4), (2, 1), (2, 4), (8, 2)])
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_ranks_and_micro_batches_make_up_the_same_batch(world, micros, share):
    source = batches(share=share, resample=0.5).open(context([0.0, 1.0, 2.0]))
    whole = source.at(7)
    parts = [source.at(7, r, world, m, micros) for r in range(world) for m in range(micros)]
    for name in ("tokens", "weight", "ids"):
        assert torch.cat([getattr(part, name) for part in parts]).equal(getattr(whole, name))
    assert {part.total for part in parts} == {32}


def test_batches_are_a_function_of_seed_and_step():
    given_ = context([0.0, 1.0, 2.0, 0.3])
    first, again = (batches().open(given_).at(step).tokens for step in (2, 2))
    assert first.equal(again)
    assert not first.equal(batches().open(given_).at(3).tokens)
    assert not first.equal(batches().open(context([0.0, 1.0, 2.0, 0.3], seed=1)).at(2).tokens)


def test_the_corpus_is_the_corpus():
    given_ = context()
    assert Corpus().open(given_).at(4).tokens.equal(given_.corpus.at(4).tokens)


# --- refusals --------------------------------------------------------------------------------

PEAKED = [0.0] * 99 + [50.0]  # one of 100 sequences has all the weight


def test_collapsed_weights_are_refused_with_advice():
    with pytest.raises(
        InputError,
        match=r"batches\.least_ess: .* 0\.010 of 100 .* wanted 0\.05 .*;"
        r" raise tilt\.beta, collect more, or refresh",
    ):
        batches(least_ess=0.05).open(context(PEAKED))
    batches(Boltzmann(1e3), least_ess=0.05).open(context(PEAKED))


def test_low_sample_sizes_are_warned_of_once(capsys):
    batches().open(context(PEAKED))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("tcsm: batches: relative effective sample size 0.010 of 100 collected")
    batches(Boltzmann(1e3)).open(context(PEAKED))
    batches(Best(0.01), least_ess=0.05).open(context(PEAKED))  # few is what it is for
    assert capsys.readouterr().err == ""


def test_importance_can_collapse_too():
    with pytest.raises(InputError, match=r"batches\.least_ess"):
        batches(Even(), least_ess=0.05).open(context([0.0] * 100, log_weight=PEAKED))


@pytest.mark.parametrize("key", ["resample", "share", "least_ess"])
@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan])
def test_a_share_outside_its_range_is_refused(key, value):
    with pytest.raises(InputError, match=rf"batches\.{key} "):
        batches(**{key: value})


def test_a_share_of_no_row_is_refused():
    with pytest.raises(InputError, match=r"batches\.share: 0\.01 of data\.batch = 32 is not one"):
        batches(share=0.01).open(context())


def test_sequences_of_another_length_are_refused():
    given_ = context()
    long = DataContext(given_.corpus, 32, 7, 0, nn.Identity(), None, given_.buffer)
    with pytest.raises(InputError, match=r"sequences of 2 tokens, wanted data\.length = 7"):
        batches().open(long)


def test_batches_without_a_buffer_say_what_they_need():
    bare = DataContext(context().corpus, 32, L, 0, nn.Identity())
    with pytest.raises(InputError, match="collected: found null"):
        batches().open(bare)
